"""The engine and code cache that all tests of this room share, and the way from component text to an instance."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager

import pytest
import wasmtime

from golem_server.model.types import FunctionType
from golem_server.wasm.code_cache import CodeCache, CompiledComponent
from golem_server.wasm.engine import Engine
from golem_server.wasm.instance import Instance, Limits
from golem_server.wasm.linking import HostImport, LinkedComponent


def binary(text: str) -> bytes:
    """The binary of a component's text."""
    return bytes(wasmtime.wat2wasm(text))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One engine, as in a server."""
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def code_cache(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeCache]:
    """A cache in a folder that is used by nobody else."""
    cache = CodeCache(engine, tmp_path_factory.mktemp("code"))
    yield cache
    cache.close()


Compile = Callable[[str], Awaitable[CompiledComponent]]


@pytest.fixture
def compile_text(code_cache: CodeCache) -> Compile:
    """Compiles component text."""

    async def compile_(text: str) -> CompiledComponent:
        wasm = binary(text)

        async def fetch() -> bytes:
            return wasm

        return await code_cache.load(hashlib.sha256(wasm).hexdigest(), fetch)

    return compile_


class HostFunctions:
    """A resolver made of named functions, and the context that remembers what was dropped."""

    def __init__(self, **functions: HostImport) -> None:
        self.functions = {name.replace("_", "-"): function for name, function in functions.items()}
        self.dropped: list[int] = []

    def function(self, interface: str, name: str, type: FunctionType) -> HostImport | None:
        """The function of that name in any interface."""
        return self.functions.get(name)

    def resource_dropped(self, rep: int) -> None:
        """Part of the context."""
        self.dropped.append(rep)


class Guests:
    """Starts instances of component text, and closes them in the end."""

    def __init__(self, engine: Engine, compile_: Compile) -> None:
        self._engine = engine
        self._compile = compile_
        self._instances: list[Instance] = []

    async def start(self, text: str, host: HostFunctions | None = None, limits: Limits | None = None) -> Instance:
        """An instance; its context is the host itself."""
        host = host or HostFunctions()
        linked = LinkedComponent(self._engine, await self._compile(text), host)
        instance = await Instance.create(linked, host, limits or Limits())
        self._instances.append(instance)
        return instance

    def forget(self) -> None:
        """Let go of the instances without closing them."""
        self._instances.clear()

    def close(self) -> None:
        """Close them all."""
        for instance in self._instances:
            instance.close()


@pytest.fixture
async def guests(engine: Engine, compile_text: Compile) -> AsyncIterator[Guests]:
    """Starts guests."""
    guests = Guests(engine, compile_text)
    yield guests
    guests.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does: nothing tells the loop of it."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come about within ten seconds")


@contextmanager
def raising(expected: BaseException) -> Generator[None]:
    """The block must raise this very object."""
    with pytest.raises(type(expected)) as found:
        yield
    assert found.value is expected
