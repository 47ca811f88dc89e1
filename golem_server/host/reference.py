"""Writes the reference of the host functions from their declarations: docs/host-functions.md.

`python -m golem_server.host.reference` writes it anew; a test fails until that is done after a change.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from golem_server.durable.host_function import HostFunction, HostFunctions
from golem_server.host.catalog import ALL
from golem_server.model.oplog import Category

PAGE_FILE = Path("docs/host-functions.md")

_HEAD = """\
# Host functions

What guests can import, in whatever version of the interface, and what becomes of a call.

- *again*: nothing is recorded; replay does the call again, since its effect is the worker's own.
- *read local*, *write local*, *read remote*, *write remote*: the call has its effect once, and an entry of that
  category and name tells the oplog; replay takes the response from there. What led to a remote write is durable before
  it happens, and its entry is durable before the guest goes on.
- *special*: the function deals with the oplog itself: it writes entries of their own kinds, or belongs to an effect of
  several calls, such as an outgoing request.

A function that is not listed traps with its name when it is called; a component that never calls it runs.

This page is written by `python -m golem_server.host.reference` from the declarations in `golem_server/host/`.
"""

_CATEGORIES = {
    Category.READ_LOCAL: "read local",
    Category.WRITE_LOCAL: "write local",
    Category.READ_REMOTE: "read remote",
    Category.WRITE_REMOTE: "write remote",
    Category.WRITE_REMOTE_BATCHED: "write remote, batched",
    Category.WRITE_REMOTE_TRANSACTION: "write remote, in a transaction",
}


def page_markdown() -> str:
    """The page docs/host-functions.md."""
    parts = [_HEAD]
    for interface, functions in groupby(HostFunctions(ALL).all(), lambda function: function.interface):
        parts.append(f"\n## {interface}\n\n| function | call | recorded as |\n| --- | --- | --- |\n")
        # Shapes of several versions that are recorded alike are one line.
        parts += dict.fromkeys(_row(function) for function in functions)
    return "".join(parts)


def _row(function: HostFunction) -> str:
    if function.category is None:
        return f"| `{function.name}` | {'special' if function.special else 'again'} | |\n"
    return f"| `{function.name}` | {_CATEGORIES[function.category]} | `{function.record}` |\n"


def main() -> None:
    """Write the page into the checkout that is the current folder."""
    PAGE_FILE.write_text(page_markdown())


if __name__ == "__main__":
    main()
