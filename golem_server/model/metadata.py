"""What a component says of itself, and the `metadata` object that the REST API makes of it (rest-api, section 8)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from golem_server.model.dynamic_links import NO_LINKS, DynamicLinks, links_to_json
from golem_server.model.errors import InvalidInput
from golem_server.model.json_types import type_to_json
from golem_server.model.types import ComponentType, FunctionType, InterfaceType
from golem_server.model.virtual_exports import virtual_exports

AGENT_GUEST = "golem:agent/guest"
"""The interface that a component with agents exports."""

KNOWN_EXPORTS = {
    "agentGuestInterface": AGENT_GUEST,
    "saveSnapshotInterface": "golem:api/save-snapshot",
    "loadSnapshotInterface": "golem:api/load-snapshot",
    "oplogProcessorInterface": "golem:api/oplog-processor",
}
"""Interfaces by which a component takes part in what the server does, by the key that names them in `metadata`."""


@dataclass(frozen=True, slots=True)
class BinaryMetadata:
    """What a component's binary says beside its types.

    `producers` are the producers sections, the component's own first, then those of nested components and modules in
    the order of the file: each maps a field ("language", "processed-by", ...) to (name, version) pairs.
    `memories` are the memories that its core modules define: (initial bytes, maximum bytes or None).
    The root package is the component's name where that has the form `namespace:name`; WIT's own package name is
    lost when a component is encoded. `binary_wit` is its WIT package in binary form, where there is one.
    """

    producers: tuple[dict[str, list[tuple[str, str]]], ...]
    memories: tuple[tuple[int, int | None], ...]
    root_package_name: str | None
    root_package_version: str | None
    binary_wit: bytes | None = None

    @property
    def initial_memory_bytes(self) -> int:
        """The memory that an instance has from the start."""
        return sum(initial for initial, _ in self.memories)


def metadata_to_json(
    component: ComponentType,
    binary: BinaryMetadata,
    links: DynamicLinks = NO_LINKS,
    agent_types: Sequence[Any] = (),
    provisions: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The `metadata` object of a component, with the keys of all generations of the API.

    `agent_types` and `provisions` (what agents of a type are given, by the type's name) are JSON already.
    """
    return {
        "exports": exports_to_json(component),
        "producers": [
            {
                "fields": [
                    {"name": field, "values": [{"name": name, "version": version} for name, version in tools]}
                    for field, tools in section.items()
                ]
            }
            for section in binary.producers
        ],
        "memories": [{"initial": initial, "maximum": maximum} for initial, maximum in binary.memories],
        "binaryWit": b64encode(binary.binary_wit or b"").decode(),
        "rootPackageName": binary.root_package_name,
        "rootPackageVersion": binary.root_package_version,
        "dynamicLinking": links_to_json(links),
        "knownExports": known_exports(component),
        "agentTypes": list(agent_types),
        "agentTypeProvisionConfigs": dict(provisions),
    }


def exports_to_json(component: ComponentType) -> list[dict[str, Any]]:
    """The exported instances with their functions, the functions of the world, and what the server adds."""
    instances = [_instance(interface) for interface in component.exports.values()]
    functions = [{"type": "Function", **_function(raw, type_)} for raw, type_ in component.exported_functions.items()]
    return instances + functions + [_instance(virtual.type) for virtual in virtual_exports(component)]


def _instance(interface: InterfaceType) -> dict[str, Any]:
    functions = [_function(raw, function) for raw, function in interface.functions.items()]
    return {"type": "Instance", "name": interface.name, "functions": functions}


def _function(name: str, function: FunctionType) -> dict[str, Any]:
    result = None if function.result is None else {"typ": type_to_json(function.result)}
    return {
        "name": name,
        "parameters": [
            {"name": parameter.name, "typ": type_to_json(parameter.type)} for parameter in function.parameters
        ],
        "result": result,
        # The form of older clients, which knew functions with several results.
        "results": [] if result is None else [{"name": None, **result}],
    }


def known_exports(component: ComponentType) -> dict[str, str | None]:
    """The exact names of the interfaces of `KNOWN_EXPORTS`. Raises InvalidInput for two versions of one."""
    return {key: exported_interface(component, name) for key, name in KNOWN_EXPORTS.items()}


def exported_interface(component: ComponentType, name: str) -> str | None:
    """The exact name, with its version, under which an interface is exported; None where it is not.

    Raises InvalidInput where it is exported in two versions: nobody could say which one is meant.
    """
    found = [export for export in component.exports if export == name or export.startswith(f"{name}@")]
    if len(found) > 1:
        raise InvalidInput(f"The component exports {name} more than once: {', '.join(found)}")
    return found[0] if found else None
