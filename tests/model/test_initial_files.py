"""Paths of initial files, and how a revision changes those of the one before."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model.errors import InvalidInput
from golem_server.model.initial_files import FileChanges, InitialFile, check_files, file_path, permissions_of

A = InitialFile("/a", "a" * 64, 1)
B = InitialFile("/b/c", "b" * 64, 2, "read-write")

names = st.text(st.sampled_from("ab.é "), min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))


@given(st.lists(st.one_of(names, st.sampled_from(["", "."])), min_size=1, max_size=8))
def test_a_path_has_one_form(parts: list[str]) -> None:
    text = "/".join(parts)
    if all(part in ("", ".") for part in parts):
        with pytest.raises(InvalidInput):
            file_path(text)
        return
    path = file_path(text)
    assert path == posixpath.normpath(f"/{text.lstrip('/')}")
    assert file_path(path) == path


@pytest.mark.parametrize(
    "text",
    ["", "/", "..", "/a/../b", "a/..", "a\0b", "a\nb", "x" * 256, "/".join(["d"] * 101), "é/" * 600, "\ud800"],
    ids=lambda text: repr(text[:10]),
)
def test_other_paths_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid file path"):
        file_path(text)


def test_permissions_have_spellings() -> None:
    assert permissions_of(None) == permissions_of("read-only") == permissions_of("ReadOnly") == "read-only"
    assert permissions_of("read-write") == permissions_of("rw") == "read-write"
    with pytest.raises(InvalidInput, match="read-only or read-write"):
        permissions_of("execute")


def test_changes_are_applied_to_what_was_there() -> None:
    changed = InitialFile("/a", "c" * 64, 3)
    assert FileChanges().applied([A, B]) == [A, B]
    assert FileChanges(added=[changed]).applied([A, B]) == [changed, B]
    assert FileChanges(removed=["/a"]).applied([A, B]) == [B]
    assert FileChanges(permissions={"/a": "read-write"}).applied([A]) == [InitialFile("/a", "a" * 64, 1, "read-write")]
    assert FileChanges(added=[B], replace=True).applied([A]) == [B]
    for wrong in (FileChanges(removed=["/x"]), FileChanges(permissions={"/x": "read-only"})):
        with pytest.raises(InvalidInput, match="no file /x"):
            wrong.applied([A])


def test_a_file_is_no_directory() -> None:
    with pytest.raises(InvalidInput, match="lies below /a"):
        check_files([A, InitialFile("/a/b", "b" * 64, 1)])


@given(st.builds(InitialFile, names.map(lambda name: f"/{name}"), st.just("0" * 64), st.integers(0)))
def test_json_is_the_file_again(file: InitialFile) -> None:
    assert InitialFile.from_json(file.to_json()) == file
