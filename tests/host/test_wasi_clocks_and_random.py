"""wasi:clocks and wasi:random: how times and random bytes are given, and that time never goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from golem_server.host import wasi_clocks, wasi_random
from tests.host.host_worker import START_NS, HostWorker

INTERFACES = [*wasi_clocks.INTERFACES, *wasi_random.INTERFACES]


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
