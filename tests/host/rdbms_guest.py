"""What tests of golem:rdbms share: a way to the test's database over TCP, and a guest's view of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from golem_server.host import golem_rdbms
from golem_server.host.network_policy import NetworkPolicy
from golem_server.host.rdbms_database import Databases, RdbmsSettings
from golem_server.host.rdbms_drivers import drivers
from golem_server.model.oplog import Entry
from golem_server.model.types import Case, FunctionType, ListType, Parameter, Value, VariantType
from tests.host.host_worker import HostWorker

LATEST = FunctionType((Parameter("params", ListType(VariantType((Case("vector", None),)))),), None)
"""Stands for the types of a guest that knows all cases."""


class Relay:
    """Passes TCP connections on to a unix socket.

    `connections` counts them; while `refuse` is set there are none. `cut` breaks all that are open.
    """

    def __init__(self, target: str) -> None:
        self.connections = 0
        self.refuse = False
        self.port = 0
        self._target = target
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        """Listen on a free port of loopback."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        """Break all connections at once."""
        for task in self._open:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with suppress(OSError, asyncio.CancelledError):
            if not self.refuse:
                self.connections += 1
                await self._pass_on(reader, writer)
        self._open.discard(task)
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(self._target)
        try:
            ways = [asyncio.ensure_future(_copy(reader, requests)), asyncio.ensure_future(_copy(answers, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            requests.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


class Guest:
    """A worker that uses one kind of database."""

    def __init__(self, worker: HostWorker, kind: str, address: str, databases: Databases) -> None:
        self.worker = worker
        self.address = address
        self.databases = databases
        self._interface = f"golem:rdbms/{kind}"

    async def call(self, name: str, *arguments: Value, type: FunctionType | None = None) -> Value:
        """Call a function of the interface."""
        if type is None:
            return await self.worker.call(self._interface, name, *arguments)
        function = self.worker.functions.function(self._interface, name, type)
        assert function is not None
        result = function(self.worker.context, *arguments)
        return await result if asyncio.iscoroutine(result) else result

    async def ok(self, name: str, *arguments: Value) -> Any:
        """Call a function that must succeed."""
        tag, value = await self.call(name, *arguments, type=LATEST)
        assert tag == "ok", value
        return value

    async def error(self, name: str, *arguments: Value) -> tuple[str, str]:
        """Call a function that must fail."""
        tag, value = await self.call(name, *arguments, type=LATEST)
        assert tag == "err", value
        case, text = value
        return case, text

    async def open(self) -> int:
        """A connection."""
        return await self.ok("[static]db-connection.open", self.address)

    async def rows(self, connection: int, statement: str, *parameters: Value, on: str = "db-connection") -> list[Any]:
        """The rows of a query, without handles."""
        result = await self.ok(f"[method]{on}.query", connection, statement, await self.handles(list(parameters)))
        for column in result["columns"]:
            await self.inline_type(column["db-type"])
        return [[await self.inline(value) for value in row["values"]] for row in result["rows"]]

    async def run(self, connection: int, statement: str, *parameters: Value, on: str = "db-connection") -> int:
        """The number of rows that a statement concerned."""
        return await self.ok(f"[method]{on}.execute", connection, statement, await self.handles(list(parameters)))

    async def begin(self, connection: int) -> int:
        """A transaction."""
        return await self.ok("[method]db-connection.begin-transaction", connection)

    async def handles(self, values: list[Value]) -> list[Value]:
        """Values with handles where they contain others."""

        async def lazy(value: Value) -> int:
            return await self.call("[constructor]lazy-db-value", (await self.handles([value]))[0])

        return [await _replaced(value, lazy) for value in values]

    async def inline(self, value: Value) -> Value:
        """A value without handles, which are used up."""

        async def contained(handle: int) -> Value:
            inner = await self.call("[method]lazy-db-value.get", handle)
            self.worker.context.resource_dropped(handle)
            return await self.inline(inner)

        return await _replaced(value, contained)

    async def inline_type(self, type: Value) -> Value:
        """A column's type without handles, which are used up."""

        async def contained(handle: int) -> Value:
            inner = await self.call("[method]lazy-db-column-type.get", handle)
            self.worker.context.resource_dropped(handle)
            return await self.inline_type(inner)

        case, payload = type
        match case:
            case "array":
                return (case, await contained(payload))
            case "composite":
                attributes = [(name, await contained(handle)) for name, handle in payload["attributes"]]
                return (case, {"name": payload["name"], "attributes": attributes})
            case "domain" | "range":
                return (case, {"name": payload["name"], "base-type": await contained(payload["base-type"])})
            case _:
                return (case, payload)

    async def entry_names(self) -> list[str]:
        """The oplog behind the start of the invocation, as names of entries and calls."""
        return [_name(entry) for entry in (await self.worker.entries())[2:]]


def _name(entry: Entry) -> str:
    return getattr(entry, "function", type(entry).__name__)


async def _replaced(value: Value, replace: Any) -> Value:
    case, payload = value
    match case:
        case "array":
            return (case, [await replace(item) for item in payload])
        case "composite":
            return (case, {"name": payload["name"], "values": [await replace(item) for item in payload["values"]]})
        case "domain":
            return (case, {"name": payload["name"], "value": await replace(payload["value"])})
        case "range":
            bounds = {
                side: (bound, None if inner is None else await replace(inner))
                for side, (bound, inner) in payload["value"].items()
            }
            return (case, {"name": payload["name"], "value": bounds})
        case _:
            return (str(case), payload)


@asynccontextmanager
async def relay_to(database_url: str) -> AsyncGenerator[tuple[Relay, str]]:
    """A relay to a database of the test's cluster, and the address for guests."""
    parts = urlsplit(database_url)
    options = parse_qs(parts.query)
    relay = Relay(f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}")
    server = await relay.start()
    try:
        yield relay, f"postgres://{parts.username}:secret@127.0.0.1:{relay.port}{parts.path}"
    finally:
        server.close()
        relay.cut()
        await server.wait_closed()


@asynccontextmanager
async def guest_of(
    files: Path, kind: str, address: str, settings: RdbmsSettings | None = None, policy: NetworkPolicy | None = None
) -> AsyncGenerator[Guest]:
    """A new worker that can use databases."""
    databases = Databases(drivers(), policy or NetworkPolicy(), settings)
    worker = await HostWorker.create(files, golem_rdbms.INTERFACES, services={Databases: databases})
    yield Guest(worker, kind, address, databases)
    worker.context.close()
    await databases.settled()
    databases.close()
