"""Linked components by content: workers of the same binary share one, whichever component or revision it belongs to.

Where the imports of one binary can stand for different things, each `variant` of them has its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from golem_server.model.types import ComponentType
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.linking import LinkedComponent, Resolver

RECENT = 64
"""Linked components that are kept although no worker of theirs is in memory."""


ResolverOf: TypeAlias = Callable[[ComponentType, Any], Resolver]
"""Gives what provides the imports of a component, whose second argument is the variant."""

_Key: TypeAlias = tuple[str, Hashable]


class LinkCache:
    """Compiles and links a component once for each variant. `resolver_of` provides the imports."""

    def __init__(self, engine: Engine, code: CodeCache, resolver_of: ResolverOf) -> None:
        self._engine = engine
        self._code = code
        self._resolver_of = resolver_of
        self._in_use: WeakValueDictionary[_Key, LinkedComponent] = WeakValueDictionary()
        self._recent: OrderedDict[_Key, LinkedComponent] = OrderedDict()

    async def link(
        self, wasm_hash: str, fetch: Callable[[], Awaitable[bytes]], variant: Hashable = None
    ) -> LinkedComponent:
        """The linked component of the bytes with this hash; `fetch` gives them if they must be compiled.

        Raises InvalidComponent and whatever `fetch` raises.
        """
        key = (wasm_hash, variant)
        linked = self._in_use.get(key)
        if linked is None:
            compiled = await self._code.load(wasm_hash, fetch)
            # Others may have linked it meanwhile; from here on nothing waits.
            linked = self._in_use.get(key)
            if linked is None:
                resolver = self._resolver_of(compiled.type, variant)
                linked = self._in_use[key] = LinkedComponent(self._engine, compiled, resolver)
        self._recent[key] = linked
        self._recent.move_to_end(key)
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        return linked

    def close(self) -> None:
        """Let go of everything that nobody uses."""
        self._recent.clear()
