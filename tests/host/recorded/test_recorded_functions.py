"""Every recorded function answers in replay as it did live, with everything outside out of its reach."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from golem_server.durable.host_function import HostFunctions
from golem_server.host.catalog import ALL
from tests.host.recorded import (
    agent_rows,
    clock_rows,
    database_rows,
    filesystem_rows,
    golem_rows,
    network_rows,
    store_rows,
    worker_rows,
)
from tests.host.recorded.world import Means, Row, check

ROWS = [
    *clock_rows.ROWS,
    *golem_rows.ROWS,
    *agent_rows.ROWS,
    *worker_rows.ROWS,
    *filesystem_rows.ROWS,
    *network_rows.ROWS,
    *database_rows.ROWS,
    *store_rows.ROWS,
]


@pytest.fixture
def means(tmp_path: Path, request: pytest.FixtureRequest, row: Row) -> Means:
    """What the row's world is made of; a fixture costs only those rows that name it."""
    return Means(tmp_path, {name: request.getfixturevalue(name) for name in row.fixtures})


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_replay_gives_what_the_live_call_gave(means: Means, row: Row) -> None:
    await check(row, means)


def test_every_recorded_function_has_its_row() -> None:
    functions = HostFunctions(ALL).all()
    recorded = {(function.interface, function.name) for function in functions if function.category is not None}
    in_rows = {(row.interface, row.name) for row in ROWS if row not in network_rows.HTTP_ROWS}
    assert recorded - in_rows == set()
    assert in_rows - {(function.interface, function.name) for function in functions} == set()


def test_no_row_is_there_twice() -> None:
    assert [name for name, count in Counter(map(str, ROWS)).items() if count > 1] == []
