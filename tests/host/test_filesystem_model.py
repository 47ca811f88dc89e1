"""Random programs: the folder answers as a model of dictionaries does, and replay answers the same."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from golem_server.host.filesystem_sandbox import FilesystemLimits
from golem_server.model.types import Value
from tests.host.filesystem_guest import FilesystemGuest
from tests.host.filesystem_model import FolderModel, Refused

TOTAL_BYTES = 24
NAMES = 6

Step: TypeAlias = tuple[str, tuple[Value, ...]]

names = st.sampled_from("abc")
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("put"), st.tuples(paths, st.integers(0, 12), st.binary(max_size=8))),
    st.tuples(st.just("set_size"), st.tuples(paths, st.integers(0, 30))),
    st.tuples(st.sampled_from(["link", "rename", "rename"]), st.tuples(paths, paths)),
    st.tuples(
        st.sampled_from(["create_directory", "create_directory", "remove_directory", "unlink", "read", "names"]),
        st.tuples(paths),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=30))
def test_the_folder_answers_as_the_model_does(program: list[Step]) -> None:
    asyncio.run(compare(program))


async def compare(program: list[Step]) -> None:
    """Run the program on both, then once more in replay."""
    model = FolderModel(TOTAL_BYTES, NAMES)
    with tempfile.TemporaryDirectory() as folder:
        guest = await FilesystemGuest.create(Path(folder), FilesystemLimits(total_bytes=TOTAL_BYTES, names=NAMES))
        live: list[Value] = []
        for step in program:
            expected = answer_of_model(model, step)
            live.append(await answer_of_guest(guest, step))
            assert live[-1] == expected, step
            assert (guest.sandbox.total_bytes, guest.sandbox.names) == model.usage(), step
        for _, name in await guest.names(guest.root):
            live.append(await guest.get("stat-at", guest.root, [], name))
        await guest.replay()
        again = [await answer_of_guest(guest, step) for step in program]
        for _, name in await guest.names(guest.root):
            again.append(await guest.get("stat-at", guest.root, [], name))
        assert again == live
        guest.worker.context.close()


def answer_of_model(model: FolderModel, step: Step) -> Value:
    """The result that is to be expected."""
    name, arguments = step
    try:
        return ("ok", getattr(model, name)(*arguments))
    except Refused as refused:
        return ("err", str(refused))


async def answer_of_guest(guest: FilesystemGuest, step: Step) -> Value:
    """The result of the real functions."""
    name, arguments = step
    root = guest.root
    if name in ("put", "set_size", "read", "names"):
        return await answer_of_open(guest, name, *arguments)
    if name == "link":
        return await guest.do("link-at", root, [], arguments[0], root, arguments[1])
    if name == "rename":
        return await guest.do("rename-at", root, arguments[0], root, arguments[1])
    method = {"create_directory": "create-directory-at", "remove_directory": "remove-directory-at"}
    return await guest.do(method.get(name, "unlink-file-at"), root, *arguments)


async def answer_of_open(guest: FilesystemGuest, name: str, path: str, *arguments: Value) -> Value:
    """Steps that open something first."""
    open_flags = {"put": ["create"], "names": ["directory"]}.get(name, [])
    flags = ["read"] if name == "names" else ["read", "write"]
    tag, opened = await guest.do("open-at", guest.root, [], path, open_flags, flags)
    if tag == "err":
        return (tag, opened)
    try:
        if name == "put":
            return await guest.do("write", opened, arguments[1], arguments[0])
        if name == "set_size":
            return await guest.do("set-size", opened, *arguments)
        if name == "read":
            return ("ok", (await guest.get("read", opened, 100, 0))[0])
        return ("ok", await guest.names(opened))
    finally:
        guest.drop(opened)
