"""Reads an uploaded binary: what it imports and exports, and what it says of itself.

Reading includes compiling, since only then it is certain that the component can run; the compiled code stays in the
cache, where the first worker finds it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from blake3 import blake3

from golem_server.model.metadata import BinaryMetadata
from golem_server.model.types import ComponentType
from golem_server.wasm.binary import binary_metadata, check_component
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.composition import compose
from golem_server.wasm.errors import InvalidComponent


class ComponentReader:
    """Inspects uploads with the engine's code cache, and joins them."""

    def __init__(self, code: CodeCache) -> None:
        self._code = code

    async def inspect(self, wasm: Path | bytes) -> tuple[ComponentType, BinaryMetadata]:
        """What the binary imports and exports and says of itself. Raises InvalidComponent with the reason."""
        content, wasm_hash, metadata = await asyncio.to_thread(_read, wasm)

        async def fetch() -> bytes:
            return content

        compiled = await self._code.load(wasm_hash, fetch)
        return compiled.type, metadata

    async def compose(self, socket: Path | bytes, plug: Path | bytes) -> bytes:
        """The component whose `socket` gets what it imports from what the `plug` exports. Raises InvalidInput."""
        joined = await asyncio.to_thread(lambda: compose(_content(socket), _content(plug)))
        try:
            await self.inspect(joined)
        except InvalidComponent as error:
            shown = await asyncio.to_thread(lambda: compose(_content(socket), _content(plug), show_joined=True))
            try:
                await self.inspect(shown)
            except InvalidComponent:
                raise error from None
            return shown
        return joined


def _content(wasm: Path | bytes) -> bytes:
    return wasm if isinstance(wasm, bytes) else wasm.read_bytes()


def _read(wasm: Path | bytes) -> tuple[bytes, str, BinaryMetadata]:
    content = _content(wasm)
    check_component(content)
    return content, blake3(content).hexdigest(), binary_metadata(content)
