"""Linked components by content: workers of the same binary share one, whichever component or revision it belongs to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.linking import LinkedComponent, Resolver

RECENT = 64
"""Linked components that are kept although no worker of theirs is in memory."""


class LinkCache:
    """Compiles and links a component once. `resolver` provides the imports of all of them."""

    def __init__(self, engine: Engine, code: CodeCache, resolver: Resolver) -> None:
        self._engine = engine
        self._code = code
        self._resolver = resolver
        self._in_use: WeakValueDictionary[str, LinkedComponent] = WeakValueDictionary()
        self._recent: OrderedDict[str, LinkedComponent] = OrderedDict()

    async def link(self, wasm_hash: str, fetch: Callable[[], Awaitable[bytes]]) -> LinkedComponent:
        """The linked component of the bytes with this hash; `fetch` gives them if they must be compiled.

        Raises InvalidComponent and whatever `fetch` raises.
        """
        linked = self._in_use.get(wasm_hash)
        if linked is None:
            compiled = await self._code.load(wasm_hash, fetch)
            # Others may have linked it meanwhile; from here on nothing waits.
            linked = self._in_use.get(wasm_hash)
            if linked is None:
                linked = self._in_use[wasm_hash] = LinkedComponent(self._engine, compiled, self._resolver)
        self._recent[wasm_hash] = linked
        self._recent.move_to_end(wasm_hash)
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        return linked

    def close(self) -> None:
        """Let go of everything that nobody uses."""
        self._recent.clear()
