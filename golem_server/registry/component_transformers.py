"""Component transformers: services outside that change a component when they are installed on it.

A transformer is sent the binary, what the component is, and the installation's parameters as parts of a form. It
answers with JSON: `data`, the new binary in base64, `additionalFiles`, and `env`, variables that are added; all may be
missing. Several are asked one after the other, by priority. What was uploaded is kept, so that a change of the
installations begins with it again (reference: rest-api, section 9).
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
from golem_server.model.plugins import InstalledPlugin
from golem_server.registry.file_archives import FILE_NAMESPACE
from golem_server.registry.ports import Upload, WasmStore


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
class Transformed:
    """A component on its way through the transformers. `files` and `environment` are those that were added."""

    wasm: Upload
    files: list[InitialFile] = field(default_factory=list[InitialFile])
    environment: dict[str, str] = field(default_factory=dict[str, str])


_answer = msgspec.json.Decoder(TransformerAnswer)


def transformers(plugins: Sequence[InstalledPlugin]) -> list[InstalledPlugin]:
    """Those of the installed plugins that change the component, in their order."""
    found = [plugin for plugin in plugins if plugin.transform_url is not None]
    return sorted(found, key=lambda plugin: plugin.priority)


async def transform(
    client: TransformerClient,
    store: WasmStore,
    component_id: ComponentId,
    name: str,
    environment: Mapping[str, str],
    plugins: Sequence[InstalledPlugin],
    wasm: Upload,
) -> Transformed:
    """What the transformers make of a binary. Raises InvalidInput where one of them fails."""
    made = Transformed(wasm)
    for plugin in plugins:
        about = {
            "componentId": str(component_id),
            "componentName": name,
            "files": [file.to_json() for file in made.files],
            "env": {**environment, **made.environment},
        }
        parts = {"metadata": msgspec.json.encode(about).decode(), **plugin.parameters}
        url = plugin.transform_url or ""
        try:
            body = await client.post_form(url, parts, {"component": made.wasm})
            answer = await asyncio.to_thread(_answer.decode, body)
            made = await _applied(store, made, answer)
        except (msgspec.DecodeError, Base64Error, ValueError) as error:
            raise _failed(plugin, f"its answer cannot be read: {error}") from error
        except InvalidInput as error:
            raise _failed(plugin, error.message) from error
    return made


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
