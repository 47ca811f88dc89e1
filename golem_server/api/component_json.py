"""A component as JSON, with the names of all generations side by side (reference: rest-api, section 8)."""

from __future__ import annotations

from typing import Any

from golem_server.api.timestamps import timestamp
from golem_server.model.metadata import metadata_to_json
from golem_server.registry.components import RegisteredComponent


def component_to_json(component: RegisteredComponent) -> dict[str, Any]:
    """The object that answers every component route."""
    component_id = str(component.component_id)
    return {
        "componentId": component_id,
        "id": component_id,
        "componentName": component.name,
        "componentVersion": component.revision,
        "revision": component.revision,
        "versionedComponentId": {"componentId": component_id, "version": component.revision},
        "componentType": component.component_type,
        "componentSize": component.size_bytes,
        "createdAt": timestamp(component.created_at),
        "environmentId": str(component.environment_id),
        "applicationId": str(component.application_id),
        "accountId": str(component.account_id),
        "hash": component.hash,
        "wasmHash": component.wasm_hash,
        "env": component.environment,
        "originalEnv": component.given_environment,
        "files": [file.to_json() for file in component.files],
        "originalFiles": [file.to_json() for file in component.given_files],
        "installedPlugins": [plugin.to_json() for plugin in component.plugins],
        "metadata": metadata_to_json(
            component.type, component.binary, component.links, component.agent_types, component.provisions
        ),
    }
