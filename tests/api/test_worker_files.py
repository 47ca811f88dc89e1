"""Initial files over HTTP: uploaded with a component in all forms, changed by revisions, listed and read."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from tests.api.server import COMPONENTS, Answer, Client
from tests.guests import build

FILES = "golem:it/files"


def zipped(**files: str | bytes) -> bytes:
    """An archive; two underscores in a name stand for a slash, one for a dot."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name.replace("__", "/").replace("_", "."), content)
    return archive.getvalue()


def upload(client: Client, name: str, archive: bytes, permissions: dict[str, str] | None = None) -> Any:
    """A component in the contract's form."""
    values = [{"path": path, "permissions": text} for path, text in (permissions or {}).items()]
    parts: dict[str, bytes | str] = {
        "name": name,
        "component": build("files"),
        "files": archive,
        "filesPermissions": json.dumps({"values": values}),
    }
    return client.form("POST", COMPONENTS, parts).ok()


def shown(component: Any) -> dict[str, tuple[str, int]]:
    """Permissions and sizes by path."""
    assert component["files"] == component["originalFiles"]
    return {file["path"]: (file["permissions"], file["size"]) for file in component["files"]}


def call(client: Client, worker: str, name: str, *params: object) -> Answer:
    return client.invoke(f"{worker}/invoke-and-await", name, *params, interface=FILES)


def value(answer: Answer) -> Any:
    return answer.ok()["result"]["value"]


def test_files_of_the_contracts_form(client: Client) -> None:
    archive = zipped(data__a_txt="fixed", own_txt="own")
    component = upload(client, "files-1", archive, {"/own.txt": "read-write"})
    assert shown(component) == {"/data/a.txt": ("read-only", 5), "/own.txt": ("read-write", 3)}
    worker = f"/v1/components/{component['componentId']}/workers/w"
    assert value(call(client, worker, "read", {"value": "data/a.txt"})) == {"ok": "fixed"}
    assert "err" in value(call(client, worker, "append", {"value": "data/a.txt"}, {"value": "!"}))
    call(client, worker, "append", {"value": "own.txt"}, {"value": "!"}).ok()

    root = client.get(f"{worker}/files/").ok()["nodes"]
    assert [(node["name"], node["kind"], node["permissions"], node["size"]) for node in root] == [
        ("data", "directory", None, None),
        ("own.txt", "file", "read-write", 4),
    ]
    assert isinstance(root[0]["lastModified"], int)
    (node,) = client.get(f"{worker}/files/data").ok()["nodes"]
    assert (node["name"], node["permissions"], node["size"]) == ("a.txt", "read-only", 5)
    content = client.get(f"{worker}/file-contents/data%2Fa.txt")
    assert (content.status, content.body) == (200, b"fixed")
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-length"] == "5"
    assert client.get(f"{worker}/file-contents/own.txt").body == b"own!"
    client.get(f"{worker}/file-contents/none").refused(404, "File not found: /none", "FILE_NOT_FOUND")
    client.get(f"{worker}/file-contents/data").refused(400, "Bad file type: /data", "BAD_FILE_TYPE")
    client.get(f"{worker}/file-contents/..%2F..%2Fetc%2Fpasswd").refused(400, "Invalid file name")


def test_a_revision_keeps_or_replaces_the_files(client: Client) -> None:
    component = upload(client, "files-2", zipped(a="one", b="two"))
    path = f"/v1/components/{component['componentId']}"
    same = client.form("PATCH", path, {"component": build("files")}).ok()
    assert shown(same) == shown(component)
    replaced = client.form("PATCH", path, {"component": build("files"), "files": zipped(c="three")}).ok()
    assert shown(replaced) == {"/c": ("read-only", 5)}
    assert shown(client.get(f"{path}/revisions/0").ok()) == shown(component)
    assert replaced["hash"] != same["hash"]


def test_the_form_with_metadata_adds_and_removes(client: Client) -> None:
    metadata = {"componentName": "it:files-3", "fileOptions": {"/b": {"permissions": "read-write"}}}
    parts = {"metadata": json.dumps(metadata), "componentWasm": build("files"), "files": zipped(a="one", b="two")}
    component = client.form("POST", COMPONENTS, parts).ok()
    assert shown(component) == {"/a": ("read-only", 3), "/b": ("read-write", 3)}
    path = f"/v1/components/{component['componentId']}"
    changes = {
        "currentRevision": 0,
        "removedFiles": ["/a"],
        "newFileOptions": {"/b": {"permissions": "read-only"}, "/c": {"permissions": "read-write"}},
    }
    changed = client.form("PATCH", path, {"metadata": json.dumps(changes), "newFiles": zipped(c="three")}).ok()
    assert shown(changed) == {"/b": ("read-only", 3), "/c": ("read-write", 5)}
    missing = {"currentRevision": 1, "removedFiles": ["/none"]}
    client.form("PATCH", path, {"metadata": json.dumps(missing)}).refused(400, "no file /none")


@pytest.mark.parametrize(
    ("archive", "permissions", "reason"),
    [
        (b"no zip", {}, "Malformed component archive"),
        (zipped(a="1"), {"/b": "read-write"}, "no file /b"),
        (zipped(a="1"), {"/../a": "read-write"}, "Invalid file path"),
        (zipped(a="1"), {"/a": "execute"}, "read-only or read-write"),
        (zipped(a="1", a__b="2"), {}, "lies below /a"),
    ],
)
def test_what_is_wrong_is_said(client: Client, archive: bytes, permissions: dict[str, str], reason: str) -> None:
    values = [{"path": path, "permissions": text} for path, text in permissions.items()]
    parts: dict[str, bytes | str] = {
        "name": "files-wrong",
        "component": build("files"),
        "files": archive,
        "filesPermissions": json.dumps({"values": values}),
    }
    client.form("POST", COMPONENTS, parts).refused(400, reason)


def test_an_archive_may_hold_what_a_worker_may(client: Client) -> None:
    parts = {"name": "files-bomb", "component": build("files"), "files": zipped(bomb=bytes(65 << 20))}
    client.form("POST", COMPONENTS, parts).refused(413, "bytes together")
