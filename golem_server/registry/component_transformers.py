"""Plugins that change a component when they are installed on it: transformers, apps and libraries.

A *component transformer* is a service outside. It is sent the binary, what the component is, and the installation's
parameters as parts of a form, and answers with JSON: `data`, the new binary in base64, `additionalFiles`, and `env`,
variables that are added; all may be missing. A *library* is a component whose exports the component imports, an *app*
is one that imports what the component exports: both are joined with it. All take their turns by priority. What was
uploaded is kept, so that a change of the installations begins with it again (reference: rest-api, section 9).
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId
from golem_server.model.initial_files import InitialFile, file_path, permissions_of
from golem_server.model.plugins import LIBRARY, ComposedSpec, InstalledPlugin
from golem_server.registry.file_archives import FILE_NAMESPACE
from golem_server.registry.ports import ComponentInspector, Upload, WasmStore


class TransformerClient(Protocol):
    """Sends forms to services outside."""

    async def post_form(self, url: str, parts: Mapping[str, str], files: Mapping[str, Upload]) -> bytes:
        """The body of the answer. Raises InvalidInput, with what went wrong, for any other answer than success."""
        ...


class AdditionalFile(msgspec.Struct, rename="camel"):
    """A file that a transformer adds; its content is base64."""

    path: str
    content: str
    permissions: str | None = None


class TransformerAnswer(msgspec.Struct, rename="camel"):
    """What a transformer answers."""

    data: str | None = None
    additional_files: list[AdditionalFile] | None = None
    env: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class TransformerTools:
    """What the plugins are carried out with. Binaries are in `namespace`; without a `client` nobody can be asked."""

    client: TransformerClient | None
    store: WasmStore
    namespace: str
    inspector: ComponentInspector


@dataclass(frozen=True, slots=True)
class Transformed:
    """A component on its way through the plugins. `files` and `environment` are those that were added."""

    wasm: Upload
    files: list[InitialFile] = field(default_factory=list[InitialFile])
    environment: dict[str, str] = field(default_factory=dict[str, str])


_answer = msgspec.json.Decoder(TransformerAnswer)


def transformers(plugins: Sequence[InstalledPlugin]) -> list[InstalledPlugin]:
    """Those of the installed plugins that change the component, in their order."""
    found = [plugin for plugin in plugins if plugin.transform_url is not None or plugin.composed is not None]
    return sorted(found, key=lambda plugin: plugin.priority)


async def transform(
    tools: TransformerTools,
    component_id: ComponentId,
    name: str,
    environment: Mapping[str, str],
    plugins: Sequence[InstalledPlugin],
    wasm: Upload,
) -> Transformed:
    """What the plugins make of a binary. Raises InvalidInput where one of them fails."""
    made = Transformed(wasm)
    for plugin in plugins:
        if plugin.composed is not None:
            made = replace(made, wasm=await _joined(tools, plugin, plugin.composed, made.wasm))
            continue
        about = {
            "componentId": str(component_id),
            "componentName": name,
            "files": [file.to_json() for file in made.files],
            "env": {**environment, **made.environment},
        }
        parts = {"metadata": msgspec.json.encode(about).decode(), **plugin.parameters}
        url = plugin.transform_url or ""
        try:
            if tools.client is None:
                raise InvalidInput("this server asks no component transformers")
            body = await tools.client.post_form(url, parts, {"component": made.wasm})
            answer = await asyncio.to_thread(_answer.decode, body)
            made = await _applied(tools.store, made, answer)
        except (msgspec.DecodeError, Base64Error, ValueError) as error:
            raise _failed(plugin, f"its answer cannot be read: {error}") from error
        except InvalidInput as error:
            raise _failed(plugin, error.message) from error
    return made


async def _joined(tools: TransformerTools, plugin: InstalledPlugin, spec: ComposedSpec, wasm: Upload) -> bytes:
    """The component and the plugin's, joined, and able to run. Raises InvalidInput."""
    own = await tools.store.get(tools.namespace, spec.wasm_hash)
    socket, plug = (wasm, own) if spec.kind == LIBRARY else (own, wasm)
    try:
        return await tools.inspector.compose(socket, plug)
    except InvalidInput as error:
        raise InvalidInput(f"Plugin {plugin.name} of version {plugin.version}: {error.message}") from error


async def _applied(store: WasmStore, made: Transformed, answer: TransformerAnswer) -> Transformed:
    files = {file.path: file for file in made.files}
    for each in answer.additional_files or ():
        path, content = file_path(each.path), b64decode(each.content, validate=True)
        content_hash, size = await store.put_stream(FILE_NAMESPACE, _once(content))
        files[path] = InitialFile(path, content_hash, size, permissions_of(each.permissions))
    wasm = made.wasm if answer.data is None else await asyncio.to_thread(b64decode, answer.data, validate=True)
    return replace(made, wasm=wasm, files=list(files.values()), environment={**made.environment, **(answer.env or {})})


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _failed(plugin: InstalledPlugin, reason: str) -> InvalidInput:
    return InvalidInput(
        f"Component transformer {plugin.name} of version {plugin.version} failed: {reason}",
        code="COMPONENT_TRANSFORMER_FAILED",
    )
