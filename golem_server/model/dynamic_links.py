"""What the clients of other components that a component imports stand for: its dynamic links.

Golem's tools up to 1.4 generate a client for each component that is called, `shop:cart-client/cart-client`, whose
resources are stubs. The server provides such an import; an upload says which interface of which component each stub
calls (reference: host-interfaces, section 5.4). As JSON:

    {"shop:cart-client/cart-client": {"type": "WasmRpc", "targets": {
        "api": {"interfaceName": "shop:cart-exports/api", "componentName": "shop:cart"}}}}

where 1.2 has a third field, `componentType`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from golem_server.model.errors import InvalidInput

MAX_TARGETS = 1_000
"""Stubs that the links of one component may describe."""

EPHEMERAL = "Ephemeral"


class LinkTarget(msgspec.Struct, frozen=True, array_like=True):
    """What one stub calls. `component_type` is given by 1.2 only."""

    import_name: str
    resource: str
    interface: str
    component: str
    component_type: str | None = None


class DynamicLinks(msgspec.Struct, frozen=True, array_like=True):
    """The links of a component's revision, in the order of their names. Equal links have equal hashes."""

    targets: tuple[LinkTarget, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.targets)

    def find(self, import_name: str, resource: str) -> LinkTarget | None:
        """What a stub of an import calls, if it is known."""
        for target in self.targets:
            if target.import_name == import_name and target.resource == resource:
                return target
        return None


NO_LINKS = DynamicLinks()


class _Target(msgspec.Struct, rename="camel"):
    interface_name: str
    component_name: str
    component_type: str | None = None


class _WasmRpc(msgspec.Struct, tag="WasmRpc"):
    targets: dict[str, _Target]


class _Older(msgspec.Struct, rename="camel"):
    dynamic_linking: dict[str, Any] = {}


def links_from_json(value: Any) -> DynamicLinks:
    """The links in the JSON above, also where it is wrapped once more as 1.2 has it. Raises InvalidInput."""
    try:
        if isinstance(value, dict) and value.keys() == {"dynamicLinking"}:
            value = msgspec.convert(value, _Older).dynamic_linking
        instances = msgspec.convert(value, dict[str, _WasmRpc])
    except msgspec.ValidationError as error:
        raise InvalidInput(f"Invalid dynamic linking: {error}") from None
    targets = [
        LinkTarget(import_name, resource, target.interface_name, target.component_name, target.component_type)
        for import_name, instance in sorted(instances.items())
        for resource, target in sorted(instance.targets.items())
    ]
    if len(targets) > MAX_TARGETS:
        raise InvalidInput(f"Invalid dynamic linking: more than {MAX_TARGETS} targets")
    return DynamicLinks(tuple(targets))


def links_to_json(links: DynamicLinks) -> dict[str, Any]:
    """The JSON of the links."""
    instances: dict[str, Any] = {}
    for target in links.targets:
        instance = instances.setdefault(target.import_name, {"type": "WasmRpc", "targets": {}})
        described = {"interfaceName": target.interface, "componentName": target.component}
        if target.component_type is not None:
            described["componentType"] = target.component_type
        instance["targets"][target.resource] = described
    return instances
