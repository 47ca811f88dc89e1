"""Uploads that are wrong in all the ways they can be: refused with the reason, and nothing is left behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.api.conftest import BODY_LIMIT, UPLOAD_LIMIT
from tests.api.guest import guest
from tests.api.server import COMPONENTS, FORM_TYPE, Client, ServerThread, form_body

NAMED = {"name": "never-created"}


@pytest.fixture(autouse=True)
def nothing_left(client: Client, server: ServerThread) -> object:
    """After each test no component and no file of the upload is there."""
    yield
    client.get(f"{COMPONENTS}/never-created").refused(404)
    uploads: Path = server.application.framework.state.services.uploads
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("wasm", "text"),
    [
        (b"", "Invalid component"),
        (b"hello, I am a text", "Invalid component"),
        (bytes(wat2wasm("(module)")), "Invalid component"),
        (guest()[:100], "Invalid component"),
        (guest()[:-1], "Invalid component"),
        (guest()[:8], "Invalid component"),
        (b"\0asm" + b"\xff" * 100, "Invalid component"),
    ],
    ids=["empty", "text", "core module", "cut early", "cut late", "header only", "garbage"],
)
def test_what_is_no_component_is_refused_with_the_reason(client: Client, wasm: bytes, text: str) -> None:
    answer = client.form("POST", COMPONENTS, {**NAMED, "component": wasm})
    if wasm == guest()[:8]:
        # The header alone is a component, if an empty one.
        assert answer.status in (200, 400)
        if answer.status == 200:
            client.send("DELETE", f"/v1/components/{answer.json['id']}").ok()
        return
    answer.refused(400, text, "COMPONENT_PROCESSING_ERROR")


@pytest.mark.parametrize("name", ["", "a/b", "x" * 300, "a\0b"])
def test_a_wrong_name_is_refused(client: Client, name: str) -> None:
    client.form("POST", COMPONENTS, {"name": name, "component": guest()}).refused(400, "Invalid component name")


def test_too_large_a_file_is_refused_before_it_has_been_read(client: Client) -> None:
    wasm = guest() + b"x" * UPLOAD_LIMIT
    client.form("POST", COMPONENTS, {**NAMED, "component": wasm}).refused(413, code="REQUEST_PAYLOAD_TOO_LARGE")
    huge = {"content-type": FORM_TYPE, "content-length": str(1 << 40)}
    client.send("POST", COMPONENTS, b"--frontier", huge).refused(413)


def test_too_large_a_field_is_refused(client: Client) -> None:
    client.form("POST", COMPONENTS, {"name": "x" * (BODY_LIMIT + 1), "component": guest()}).refused(413)


@pytest.mark.parametrize("parts", [{}, NAMED, {"component": guest()}, {"name": "x", "componentWasm": guest()}])
def test_a_missing_part_is_named(client: Client, parts: dict[str, bytes | str]) -> None:
    client.form("POST", COMPONENTS, parts).refused(400, "parse multipart error: ")


def test_a_body_that_is_no_form_is_refused(client: Client) -> None:
    body = form_body({**NAMED, "component": guest()})
    client.send("POST", COMPONENTS, body, {"content-type": "application/json"}).refused(415)
    client.send("POST", COMPONENTS, body).refused(415)
    client.send("POST", COMPONENTS, body, {"content-type": "multipart/form-data"}).refused(400, "boundary")
    client.send("POST", COMPONENTS, body, {"content-type": "multipart/form-data; boundary=" + "x" * 300}).refused(400)
    client.send("POST", COMPONENTS, body, {"content-type": FORM_TYPE, "content-encoding": "gzip"}).refused(415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        form_body({**NAMED, "component": guest()})[:-5],
        form_body({**NAMED, "component": guest()})[:-300],
        b"--frontier\r\nContent-Disposition: form-data\r\n\r\nx\r\n--frontier--\r\n",
        b"--frontier\r\n: x\r\n\r\nx\r\n--frontier--\r\n",
        form_body({f"part-{n}": "x" for n in range(100)}),
        form_body(NAMED)[:-14] + form_body(NAMED),
    ],
    ids=["empty", "text", "no end", "cut in the file", "no name", "no header name", "many parts", "twice"],
)
def test_a_malformed_form_is_refused(client: Client, body: bytes) -> None:
    client.send("POST", COMPONENTS, body, {"content-type": FORM_TYPE}).refused(400, "parse multipart error: ")


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(client: Client, server: ServerThread) -> None:
    body = form_body({**NAMED, "component": guest()})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST {COMPONENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {client.token}\r\n"
        head += f"content-type: {FORM_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:-300])
    # The next answer comes after the server has noticed: it reads connections in the order of their news.
    for _ in range(1000):
        client.get("/healthcheck").ok()
        if not list(server.application.framework.state.services.uploads.iterdir()):
            assert b'golem_errors_total{kind="request"}' not in client.get("/metrics").body
            return
    raise AssertionError("the upload's file is still there")


def test_a_form_in_small_pieces_is_put_together(client: Client, server: ServerThread) -> None:
    body = form_body({"name": "in-pieces", "component": guest("pieces")})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST {COMPONENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {client.token}\r\n"
        head += f"content-type: {FORM_TYPE}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode())
        for start in range(0, len(body), 7):
            piece = body[start : start + 7]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")
    component = client.get(f"{COMPONENTS}/in-pieces").ok()
    assert client.get(f"/v1/components/{component['id']}/revisions/0/wasm").body == guest("pieces")
