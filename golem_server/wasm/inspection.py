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


class ComponentReader:
    """Inspects uploads with the engine's code cache."""

    def __init__(self, code: CodeCache) -> None:
        self._code = code

    async def inspect(self, wasm: Path | bytes) -> tuple[ComponentType, BinaryMetadata]:
        """What the binary imports and exports and says of itself. Raises InvalidComponent with the reason."""
        content, wasm_hash, metadata = await asyncio.to_thread(_read, wasm)

        async def fetch() -> bytes:
            return content

        compiled = await self._code.load(wasm_hash, fetch)
        return compiled.type, metadata


def _read(wasm: Path | bytes) -> tuple[bytes, str, BinaryMetadata]:
    content = wasm if isinstance(wasm, bytes) else wasm.read_bytes()
    check_component(content)
    return content, blake3(content).hexdigest(), binary_metadata(content)
