"""Recorded functions of wasi:clocks and wasi:random."""

from __future__ import annotations

from golem_server.host import wasi_clocks, wasi_random
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host.recorded.world import Row, calling, plain_world

WORLD = plain_world([*wasi_clocks.INTERFACES, *wasi_random.INTERFACES])


def row(interface: str, name: str, arguments: tuple[Value, ...], record: str) -> Row:
    """A function that looks at the machine."""
    return Row(interface, name, record, Category.READ_LOCAL, calling(interface, name, *arguments), WORLD)


ROWS = [
    row("wasi:clocks/wall-clock", "now", (), "wall_clock::now"),
    row("wasi:clocks/wall-clock", "resolution", (), "wall_clock::resolution"),
    row("wasi:clocks/monotonic-clock", "now", (), "monotonic_clock::now"),
    row("wasi:clocks/monotonic-clock", "resolution", (), "monotonic_clock::resolution"),
    row("wasi:clocks/monotonic-clock", "subscribe-duration", (5,), "monotonic_clock::subscribe_duration"),
    row("wasi:random/random", "get-random-bytes", (33,), "random::get_random_bytes"),
    row("wasi:random/random", "get-random-u64", (), "random::get_random_u64"),
    row("wasi:random/insecure", "get-insecure-random-bytes", (7,), "random::insecure::get_insecure_random_bytes"),
    row("wasi:random/insecure", "get-insecure-random-u64", (), "random::insecure::get_insecure_random_u64"),
    row("wasi:random/insecure-seed", "insecure-seed", (), "random::insecure_seed::insecure_seed"),
]
