"""Starts guests on a plain host, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from blake3 import blake3

from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.instance import Instance, Limits
from golem_server.wasm.linking import LinkedComponent
from tests.guests.languages import CODE_CACHE
from tests.guests.plain_host import PlainHost

Start = Callable[[bytes, PlainHost], Awaitable[Instance]]


@pytest.fixture(scope="session")
def guest_code() -> Iterator[tuple[Engine, CodeCache]]:
    """One engine and code cache for all guests. What was compiled is kept between runs: languages take their time."""
    engine = Engine()
    cache = CodeCache(engine, CODE_CACHE)
    yield engine, cache
    cache.close()
    engine.close()


@pytest.fixture
async def start(guest_code: tuple[Engine, CodeCache]) -> AsyncIterator[Start]:
    """Starts an instance of a component; closed at the end of the test."""
    engine, cache = guest_code
    instances: list[Instance] = []

    async def start_(wasm: bytes, host: PlainHost) -> Instance:
        async def fetch() -> bytes:
            return wasm

        compiled = await cache.load(blake3(wasm).hexdigest(), fetch)
        limits = Limits(memory_bytes=64 << 20)
        instance = await Instance.create(LinkedComponent(engine, compiled, host), host, limits)
        instances.append(instance)
        return instance

    yield start_
    for instance in instances:
        instance.close()
