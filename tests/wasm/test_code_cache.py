"""Components are compiled once per content, kept, and never run from a file that is damaged or of another version."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from pathlib import Path

import pytest

from golem_server.wasm import code_cache, native
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.errors import InvalidComponent
from golem_server.wasm.instance import Instance, Limits
from golem_server.wasm.linking import LinkedComponent
from tests.guests.busy import BUSY
from tests.guests.resources import OFFERS_CARTS, SHOP
from tests.wasm.conftest import HostFunctions, binary

WASM = binary(BUSY)


def ignore(context: HostFunctions, value: int) -> None:
    """A host function that does nothing."""


def code_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of code and their digests."""
    return sorted(folder.glob("*.cwasm")), sorted(folder.glob("*.blake3"))


class Store:
    """Where the bytes of components come from; counts how often it is asked."""

    def __init__(self, wasm: bytes = WASM) -> None:
        self.wasm = wasm
        self.asked = 0

    async def __call__(self) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        return self.wasm


async def test_concurrent_loads_compile_once(engine: Engine, tmp_path: Path) -> None:
    cache, store = CodeCache(engine, tmp_path / "new folder"), Store()
    loaded = await asyncio.gather(*(cache.load("a", store) for _ in range(10)))
    assert all(component is loaded[0] for component in loaded)
    assert (cache.compilations, store.asked) == (1, 1)
    assert await cache.load("a", store) is loaded[0]
    cache.close()


async def test_code_is_found_again_by_the_next_server(engine: Engine, tmp_path: Path) -> None:
    store = Store(binary(OFFERS_CARTS))
    for expected in (1, 0):
        cache = CodeCache(engine, tmp_path)
        linked = LinkedComponent(engine, await cache.load("a", store), HostFunctions(dropped=ignore))
        instance = await Instance.create(linked, HostFunctions(), Limits())
        await instance.drop_resource(await instance.call(SHOP, "[constructor]cart", [1]))
        instance.close()
        assert cache.compilations == expected
        cache.close()
    assert store.asked == 1
    assert len(os.listdir(tmp_path)) == 2  # no temporary file stays


@pytest.mark.parametrize("damage", ["one byte", "cut off", "empty", "no digest", "wrong digest"])
async def test_damaged_code_is_made_again(engine: Engine, tmp_path: Path, damage: str) -> None:
    await CodeCache(engine, tmp_path).load("a", Store())
    (code,), (digest,) = code_files(tmp_path)
    content = code.read_bytes()
    match damage:
        case "one byte":
            middle = len(content) // 2
            code.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "cut off":
            code.write_bytes(content[: len(content) // 2])
        case "empty":
            code.write_bytes(b"")
        case "no digest":
            digest.unlink()
        case _:
            digest.write_bytes(b"\xff not a digest")
    for expected in (1, 0):
        cache = CodeCache(engine, tmp_path)
        await cache.load("a", Store())
        assert cache.compilations == expected


async def test_code_that_wasmtime_refuses_is_made_again(engine: Engine, tmp_path: Path) -> None:
    # What a file of another configuration looks like whose name and digest are nevertheless right.
    await CodeCache(engine, tmp_path).load("a", Store())
    (code,), (digest,) = code_files(tmp_path)
    code.write_bytes(b"not code")
    digest.write_text(code_cache.blake3(b"not code").hexdigest())
    cache = CodeCache(engine, tmp_path)
    await cache.load("a", Store())
    assert cache.compilations == 1


async def test_a_new_wasmtime_compiles_anew(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await CodeCache(engine, tmp_path).load("a", Store())
    monkeypatch.setattr(native, "WASMTIME_VERSION", "99.0.0")
    cache = CodeCache(engine, tmp_path)
    await cache.load("a", Store())
    assert cache.compilations == 1
    assert len(code_files(tmp_path)[0]) == 2


async def test_other_engine_settings_compile_anew(tmp_path: Path, engine: Engine) -> None:
    await CodeCache(engine, tmp_path).load("a", Store())
    other = Engine(max_wasm_stack_bytes=1 << 19)
    cache = CodeCache(other, tmp_path)
    await cache.load("a", Store())
    assert cache.compilations == 1
    del cache
    gc.collect()
    other.close()


async def test_a_folder_that_cannot_be_written_only_costs_time(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = CodeCache(engine, tmp_path / "file")
    assert (await cache.load("a", Store())).type.exported_functions["identity"]


async def test_what_cannot_be_compiled_is_refused_each_time(engine: Engine, tmp_path: Path) -> None:
    cache = CodeCache(engine, tmp_path)
    broken = Store(WASM[:8] + bytes([1, 4]) + b"junk")  # a core module section that holds none
    for _ in range(2):
        with pytest.raises(InvalidComponent, match="cannot be compiled"):
            await cache.load("a", broken)
    assert (await cache.load("a", Store())).wasm_hash == "a"


async def test_asynchronous_components_are_refused_with_advice(engine: Engine, tmp_path: Path) -> None:
    wasm = binary('(component (import "s" (func (param "a" (stream u8)))))')
    with pytest.raises(InvalidComponent, match="build it for WASI"):
        await CodeCache(engine, tmp_path).load("a", Store(wasm))


async def test_a_caller_that_gives_up_does_not_stop_the_others(engine: Engine, tmp_path: Path) -> None:
    cache, store = CodeCache(engine, tmp_path), Store()
    impatient = asyncio.create_task(cache.load("a", store))
    patient = asyncio.create_task(cache.load("a", store))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).wasm_hash == "a"
    assert store.asked == 1


async def test_progress_is_logged(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_cache, "_PROGRESS_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        await CodeCache(engine, tmp_path).load("abc", Store())
    lines = [record.message for record in caplog.records]
    assert lines[0] == f"compiling component abc ({len(WASM) / 1024:.1f} KiB)"
    assert lines[1].startswith("still compiling component abc (")
    assert lines[-1].startswith("component abc compiled in ")
