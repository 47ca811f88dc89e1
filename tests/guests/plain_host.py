"""The host functions that guests import, at their plainest, so that a guest can be tested without a server.

Nothing is recorded. Time moves by a second with every look at it, random numbers count up, files are in memory, a
request is answered at once but for one round of polling. `live` are the resources that the guest has not given back.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from golem_server.model.types import FunctionType, Value


class Exited(Exception):
    """The guest ended its process with this code."""


@dataclass
class Request:
    """An outgoing request as the guest has made it."""

    method: str = "get"
    scheme: str = ""
    authority: str = ""
    path: str = ""
    body: bytes = b""
    handed_over: bool = False
    body_finished: bool = False
    polled: bool = False


@dataclass
class PlainHost:
    """Resolver and context of an instance in one."""

    status: int = 200
    answer: bytes = b"thank you"
    seconds: int = 1_700_000_000
    randoms: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    stdout: bytes = b""
    stderr: bytes = b""
    logged: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    requests: list[Request] = field(default_factory=list[Request])
    promises: dict[int, bytes | None] = field(default_factory=dict[int, "bytes | None"])
    live: dict[int, Any] = field(default_factory=dict[int, Any])
    calls: list[str] = field(default_factory=list[str])
    """The golem:api/host functions called, with their arguments."""
    waited: int = 0
    """Nanoseconds."""
    level: Value = ("smart", None)
    _reps: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def function(self, interface: str, name: str, type: FunctionType) -> Callable[..., Any] | None:
        """The method named after the last parts of the interface and the function."""
        path = interface.partition("@")[0].rpartition("/")[2]
        plain = name.rpartition("]")[2] if name.startswith("[") else f"{path} {name}"
        method = plain.replace("-", "_").replace(".", "_").replace(" ", "_")
        if name.startswith("[constructor]"):
            method = f"new_{method}"
        return getattr(PlainHost, method, None)

    def resource_dropped(self, rep: int) -> None:
        """The guest has dropped a resource."""
        del self.live[rep]

    def own(self, thing: Any) -> int:
        """A new resource."""
        rep = next(self._reps)
        self.live[rep] = thing
        return rep

    # wasi:clocks, wasi:random

    def wall_clock_now(self) -> Value:
        self.seconds += 1
        return {"seconds": self.seconds, "nanoseconds": 5}

    def insecure_seed_insecure_seed(self) -> Value:
        return (next(self.randoms), next(self.randoms))

    def monotonic_clock_now(self) -> int:
        return self.waited

    def monotonic_clock_subscribe_duration(self, nanoseconds: int) -> int:
        return self.own(("sleep", nanoseconds))

    def random_get_random_u64(self) -> int:
        return next(self.randoms)

    def random_get_random_bytes(self, length: int) -> bytes:
        return next(self.randoms).to_bytes(length, "little")

    # wasi:io

    def pollable_ready(self, pollable: int) -> bool:
        return True

    async def pollable_block(self, pollable: int) -> None:
        await self.poll_poll([pollable])

    async def poll_poll(self, pollables: list[int]) -> list[int]:
        await asyncio.sleep(0)
        for pollable in pollables:
            match self.live[pollable]:
                case ("sleep", int(nanoseconds)):
                    self.waited += nanoseconds
                case Request() as request:
                    request.polled = True
                case ("promise", int(index)):
                    self.promises[index] = b"kept"
                case other:
                    raise AssertionError(f"cannot wait for {other}")
        return list(range(len(pollables)))

    def input_stream_blocking_read(self, stream: int, length: int) -> Value:
        content: bytearray = self.live[stream]
        if not content:
            return ("err", ("closed", None))
        part = bytes(content[:length])
        del content[:length]
        return ("ok", part)

    def output_stream_blocking_write_and_flush(self, stream: int, contents: bytes) -> Value:
        self.live[stream](contents)
        return ("ok", None)

    def output_stream_check_write(self, stream: int) -> Value:
        return ("ok", 4096)

    def output_stream_write(self, stream: int, contents: bytes) -> Value:
        self.live[stream](contents)
        return ("ok", None)

    def output_stream_blocking_flush(self, stream: int) -> Value:
        return ("ok", None)

    # wasi:cli

    def environment_get_environment(self) -> Value:
        return []

    def environment_get_arguments(self) -> Value:
        return []

    def stdout_get_stdout(self) -> int:
        def write(contents: bytes) -> None:
            self.stdout += contents

        return self.own(write)

    def stderr_get_stderr(self) -> int:
        def write(contents: bytes) -> None:
            self.stderr += contents

        return self.own(write)

    def exit_exit(self, status: Value) -> None:
        raise Exited(0 if status[0] == "ok" else 1)

    def exit_exit_with_code(self, code: int) -> None:
        raise Exited(code)

    # wasi:logging

    def logging_log(self, level: str, context: str, message: str) -> None:
        self.logged.append((level, context, message))

    # wasi:filesystem

    def preopens_get_directories(self) -> Value:
        return [(self.own("/"), "/"), (self.own("."), ".")]

    def descriptor_open_at(self, parent: int, symlinks: Value, path: str, how: list[str], flags: list[str]) -> Value:
        assert (self.live[parent], symlinks, how, flags) == ("/", [], ["create"], ["read", "write"])
        self.files.setdefault(path, b"")
        return ("ok", self.own(path))

    def descriptor_append_via_stream(self, descriptor: int) -> Value:
        path: str = self.live[descriptor]

        def write(contents: bytes) -> None:
            self.files[path] += contents

        return ("ok", self.own(write))

    def descriptor_stat_at(self, parent: int, symlinks: Value, path: str) -> Value:
        if path not in self.files:
            return ("err", "no-entry")
        return ("ok", {"type": "regular-file", "link-count": 1, "size": len(self.files[path])} | dict(_NO_TIMES))

    # wasi:http

    def new_fields(self) -> int:
        return self.own("fields")

    def new_outgoing_request(self, headers: int) -> int:
        assert self.live.pop(headers) == "fields"
        return self.own(Request())

    def outgoing_request_set_method(self, request: int, method: Value) -> Value:
        self.live[request].method = method[0]
        return ("ok", None)

    def outgoing_request_set_scheme(self, request: int, scheme: Value) -> Value:
        self.live[request].scheme = scheme[0]
        return ("ok", None)

    def outgoing_request_set_authority(self, request: int, authority: str) -> Value:
        self.live[request].authority = authority
        return ("ok", None)

    def outgoing_request_set_path_with_query(self, request: int, path: str) -> Value:
        self.live[request].path = path
        return ("ok", None)

    def outgoing_request_body(self, request: int) -> Value:
        return ("ok", self.own(self.live[request]))

    def outgoing_body_write(self, body: int) -> Value:
        request: Request = self.live[body]

        def write(contents: bytes) -> None:
            request.body += contents

        return ("ok", self.own(write))

    def outgoing_body_finish(self, body: int, trailers: Value) -> Value:
        self.live.pop(body).body_finished = True
        return ("ok", None)

    def outgoing_handler_handle(self, request: int, options: Value) -> Value:
        sent: Request = self.live.pop(request)
        sent.handed_over = True
        self.requests.append(sent)
        return ("ok", self.own(sent))

    def future_incoming_response_subscribe(self, future: int) -> int:
        return self.own(self.live[future])

    def future_incoming_response_get(self, future: int) -> Value:
        request: Request = self.live[future]
        if not request.polled:
            return None
        assert request.body_finished
        return ("ok", ("ok", self.own(bytearray(self.answer))))

    def incoming_response_status(self, response: int) -> int:
        return self.status

    def incoming_response_consume(self, response: int) -> Value:
        return ("ok", self.own(self.live[response]))

    def incoming_body_stream(self, body: int) -> Value:
        return ("ok", self.own(self.live[body]))

    def incoming_body_finish(self, body: int) -> int:
        assert self.live.pop(body) == b""
        return self.own("trailers")

    # golem:api/host

    def host_create_promise(self) -> Value:
        index = len(self.promises) + 100
        self.promises[index] = None
        return {"agent-id": {"component-id": {"uuid": _UUID}, "agent-id": "w"}, "oplog-idx": index}

    def host_get_promise(self, promise: Value) -> int:
        assert promise["agent-id"] == {"component-id": {"uuid": _UUID}, "agent-id": "w"}
        return self.own(("promise", promise["oplog-idx"]))

    def host_complete_promise(self, promise: Value, data: bytes) -> bool:
        self.promises[promise["oplog-idx"]] = data
        return True

    def get_promise_result_subscribe(self, result: int) -> int:
        return self.own(self.live[result])

    def get_promise_result_get(self, result: int) -> bytes | None:
        return self.promises[self.live[result][1]]

    def host_get_oplog_index(self) -> int:
        self.calls.append("get-oplog-index")
        return 41

    def host_set_oplog_index(self, index: int) -> None:
        self.calls.append(f"set-oplog-index {index}")

    def host_mark_begin_operation(self) -> int:
        self.calls.append("mark-begin-operation")
        return 42

    def host_mark_end_operation(self, begin: int) -> None:
        self.calls.append(f"mark-end-operation {begin}")

    def host_get_oplog_persistence_level(self) -> Value:
        return self.level

    def host_set_oplog_persistence_level(self, level: Value) -> None:
        self.level = level
        self.calls.append(f"set-oplog-persistence-level {level[0]}")

    def host_get_idempotence_mode(self) -> bool:
        return True

    def host_set_idempotence_mode(self, idempotent: bool) -> None:
        self.calls.append(f"set-idempotence-mode {idempotent}")

    def host_generate_idempotency_key(self) -> Value:
        return _UUID | {"low-bits": next(self.randoms)}


_UUID: dict[str, int] = {"high-bits": 2**64 - 1, "low-bits": 7}
_NO_TIMES: dict[str, None] = dict.fromkeys(
    ("data-access-timestamp", "data-modification-timestamp", "status-change-timestamp")
)
