"""Functions that are recorded answer in replay as they did live, and their effects do not happen again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golem_server.host import wasi_clocks, wasi_random
from golem_server.model.oplog import Category
from tests.host.host_worker import START_NS, HostWorker

INTERFACES = [*wasi_clocks.INTERFACES, *wasi_random.INTERFACES]

RECORDED: list[tuple[str, str, tuple[Any, ...], str]] = [
    ("wasi:clocks/wall-clock", "now", (), "wall_clock::now"),
    ("wasi:clocks/wall-clock", "resolution", (), "wall_clock::resolution"),
    ("wasi:clocks/monotonic-clock", "now", (), "monotonic_clock::now"),
    ("wasi:clocks/monotonic-clock", "resolution", (), "monotonic_clock::resolution"),
    ("wasi:clocks/monotonic-clock", "subscribe-duration", (5,), "monotonic_clock::subscribe_duration"),
    ("wasi:random/random", "get-random-bytes", (33,), "random::get_random_bytes"),
    ("wasi:random/random", "get-random-u64", (), "random::get_random_u64"),
    ("wasi:random/insecure", "get-insecure-random-bytes", (7,), "random::insecure::get_insecure_random_bytes"),
    ("wasi:random/insecure", "get-insecure-random-u64", (), "random::insecure::get_insecure_random_u64"),
    ("wasi:random/insecure-seed", "insecure-seed", (), "random::insecure_seed::insecure_seed"),
]


@pytest.mark.parametrize(("interface", "name", "arguments", "record"), RECORDED, ids=lambda value: str(value))
async def test_replay_gives_what_the_live_call_gave(
    tmp_path: Path, interface: str, name: str, arguments: tuple[Any, ...], record: str
) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    first = await worker.call(interface, name, *arguments)
    calls = await worker.host_calls()
    assert [(call.function, call.category) for call in calls] == [(record, Category.READ_LOCAL)]

    worker.clock.advance(100)
    await worker.replay()
    assert not worker.context.is_live
    again = await worker.call(interface, name, *arguments)
    assert again == first or again == list(first)
    assert worker.context.is_live
    assert await worker.host_calls() == calls


async def test_the_wall_clock_divides_the_time(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    worker.clock.nanoseconds = 12_345_678_901
    assert await worker.call("wasi:clocks/wall-clock", "now") == {"seconds": 12, "nanoseconds": 345_678_901}


async def test_instants_never_go_back_even_across_a_restart(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    assert await worker.call("wasi:clocks/monotonic-clock", "now") == START_NS
    worker.clock.advance(-50)
    assert await worker.call("wasi:clocks/monotonic-clock", "now") == START_NS
    await worker.replay()
    for _ in range(3):
        assert await worker.call("wasi:clocks/monotonic-clock", "now") == START_NS
    worker.clock.advance(51)
    assert await worker.call("wasi:clocks/monotonic-clock", "now") == START_NS + 1_000_000_000


async def test_random_bytes_are_bounded(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    most = await worker.call("wasi:random/random", "get-random-bytes", wasi_random.MAX_RANDOM_BYTES)
    assert len(most) == wasi_random.MAX_RANDOM_BYTES
    with pytest.raises(wasi_random.GuestError, match="random bytes"):
        await worker.call("wasi:random/random", "get-random-bytes", wasi_random.MAX_RANDOM_BYTES + 1)
    assert await worker.call("wasi:random/random", "get-random-bytes", 0) == b""


async def test_requests_keep_the_names_of_the_reference(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    await worker.call("wasi:random/random", "get-random-bytes", 3)
    await worker.call("wasi:clocks/monotonic-clock", "subscribe-duration", 9)
    requests = [call.request for call in await worker.host_calls()]
    assert requests == [{"length": 3}, {"duration_in_nanos": 9}]
