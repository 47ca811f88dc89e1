"""The written reference of the host functions agrees with their declarations."""

from __future__ import annotations

from pathlib import Path

from golem_server.durable.host_function import HostFunctions
from golem_server.host.catalog import ALL
from golem_server.host.reference import PAGE_FILE, page_markdown

PROJECT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    assert (PROJECT / PAGE_FILE).read_text() == page_markdown(), "run python -m golem_server.host.reference"


def test_every_function_has_a_line() -> None:
    lines = page_markdown().splitlines()
    for function in HostFunctions(ALL).all():
        row = f"| `{function.name}` |"
        assert any(line.startswith(row) and (function.record or "") in line for line in lines), function


def test_names_in_the_oplog_belong_to_one_category() -> None:
    categories: dict[str, object] = {}
    for function in HostFunctions(ALL).all():
        if function.record is not None:
            assert categories.setdefault(function.record, function.category) == function.category, function
