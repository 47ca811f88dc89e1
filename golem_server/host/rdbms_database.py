"""Databases that workers use: one pool of connections for each address, shared by all workers of the server.

A driver gives sessions, which are single connections; here they are kept, bounded, lent and closed. A session whose
state a guest has changed (settings, temporary tables, a transaction of its own) is not lent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from golem_server.durable.transactions import Outcome
from golem_server.host.network_policy import NetworkPolicy
from golem_server.host.rdbms_address import DatabaseAddress, parse_address
from golem_server.host.rdbms_errors import RdbmsError
from golem_server.model.types import Value


@dataclass(frozen=True, slots=True)
class RdbmsSettings:
    """How workers may use databases. Times in seconds; the defaults are Golem's where it has any.

    `connections` bounds each pool and what an address may ask for, `all_connections` all pools together. `rows` is how
    many rows a stream gives at a time, `result_bytes` how large one result, or one piece of a stream, may be.
    """

    connections: int = 20
    all_connections: int = 200
    idle_timeout: float = 600.0
    acquire_timeout: float = 3.0
    connect_timeout: float = 10.0
    rows: int = 50
    result_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Columns (WIT records `db-column`, types inline) and rows (WIT values `db-value`, inline)."""

    columns: list[Value]
    rows: list[list[Value]]


class RowSource(Protocol):
    """The rows of a running statement, one piece after the other."""

    @property
    def columns(self) -> list[Value]:
        """The columns, as in QueryResult."""
        ...

    async def next(self) -> list[list[Value]] | None:
        """The next rows, None at the end. Raises RdbmsError."""
        ...


class RowStream(RowSource, Protocol):
    """What a session gives."""

    async def close(self) -> None:
        """Give the rest up; effects of the statement stay. Raises RdbmsError."""
        ...


class Session(Protocol):
    """One connection. All methods raise RdbmsError."""

    @property
    def clean(self) -> bool:
        """Whether somebody else can use it now."""
        ...

    @property
    def keeps_books(self) -> bool:
        """Whether `prepare_commit` leaves something behind that `forget` removes."""
        ...

    async def query(self, statement: str, parameters: list[Value]) -> QueryResult:
        """All rows of a statement."""
        ...

    async def execute(self, statement: str, parameters: list[Value]) -> int:
        """The number of rows that a statement concerned."""
        ...

    async def stream(self, statement: str, parameters: list[Value]) -> RowStream:
        """The rows of a statement one after the other."""
        ...

    async def begin(self) -> str:
        """Begin a transaction; gives an id under which the database knows it later."""
        ...

    async def prepare_commit(self) -> None:
        """What must be done inside the transaction for `outcome` to be exact."""
        ...

    async def commit(self) -> None:
        """Commit. An error that is not transient says that the transaction was rolled back."""
        ...

    async def rollback(self) -> None:
        """Roll back."""
        ...

    async def outcome(self, transaction_id: str) -> Outcome:
        """What became of a transaction of a connection that is gone; waits for one that is still under way."""
        ...

    async def forget(self, transaction_id: str) -> None:
        """Nobody will ask for the outcome any more: remove what `prepare_commit` left behind."""
        ...

    def close(self) -> None:
        """Close the connection at once; what it was doing is given up."""
        ...


class Driver(Protocol):
    """How sessions of one kind of database are made."""

    async def __call__(self, address: DatabaseAddress, hosts: list[str], settings: RdbmsSettings) -> Session:
        """Connect to one of these IP addresses. Raises RdbmsError."""
        ...


class Databases:
    """All databases that workers use now."""

    def __init__(
        self, drivers: dict[str, Driver], policy: NetworkPolicy, settings: RdbmsSettings | None = None
    ) -> None:
        self.settings = settings or RdbmsSettings()
        self._drivers = drivers
        self._policy = policy
        self._pools: dict[DatabaseAddress, Database] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = False

    def database(self, kind: str, address: str) -> Database:
        """The database at an address; connects to nothing. Raises RdbmsError."""
        parsed = parse_address(kind, address)
        found = self._pools.get(parsed)
        if found is None:
            found = self._pools[parsed] = Database(parsed, self)
        return found

    def close(self) -> None:
        """Close all connections; those that are lent when they come back."""
        self.closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for pool in self._pools.values():
            pool.close_idle(0)
        self._pools.clear()

    async def connect(self, address: DatabaseAddress) -> Session:
        """A new session. Raises RdbmsError."""
        # The new one counts already.
        if self._open > self.settings.all_connections:
            for pool in self._pools.values():
                pool.close_idle(0)
        if self._open > self.settings.all_connections:
            raise RdbmsError.unreachable("the server has too many connections to databases")
        try:
            hosts = await self._policy.check_host(address.host, address.port)
        except OSError as error:
            # Prohibited, or no such host.
            text = error.strerror or "the network policy forbids to connect there"
            raise RdbmsError.unreachable(f"{address.host}: {text}") from None
        return await self._drivers[address.kind](address, hosts, self.settings)

    @property
    def _open(self) -> int:
        return sum(pool.open for pool in self._pools.values())

    def in_background(self, work: Awaitable[None]) -> None:
        """Let work go on that nobody waits for; its errors are those of a session that is closed anyway."""

        async def run() -> None:
            with suppress(RdbmsError):
                await work

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait for what goes on in the background."""
        await asyncio.gather(*self._tasks)

    def session_returned(self) -> None:
        """Connections lie idle: have them looked after."""
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self.settings.idle_timeout / 4, self._close_idle)

    def _close_idle(self) -> None:
        self._sweep = None
        for address, pool in list(self._pools.items()):
            pool.close_idle(self.settings.idle_timeout)
            if pool.open == 0:
                del self._pools[address]
        if self._pools:
            self.session_returned()


class Database:
    """One address with its connections. All methods raise RdbmsError."""

    def __init__(self, address: DatabaseAddress, owner: Databases) -> None:
        self.address = address
        size = min(address.pool_size or owner.settings.connections, owner.settings.connections)
        self._owner = owner
        self._places = asyncio.Semaphore(size)
        self._lent = 0
        self._idle: list[tuple[Session, float]] = []

    @property
    def open(self) -> int:
        """How many connections there are, with those that are being made."""
        return self._lent + len(self._idle)

    async def acquire(self) -> Session:
        """A session of one's own, until it is released."""
        try:
            async with asyncio.timeout(self._owner.settings.acquire_timeout):
                await self._places.acquire()
        except TimeoutError:
            raise RdbmsError.unreachable("pool timed out while waiting for an open connection") from None
        while self._idle:
            session, _ = self._idle.pop()
            if session.clean:
                self._lent += 1
                return session
            session.close()
        self._lent += 1
        try:
            return await self._owner.connect(self.address)
        except BaseException:
            self._lent -= 1
            self._places.release()
            raise

    def release(self, session: Session) -> None:
        """Give a session back, or close it if nobody else could use it."""
        self._lent -= 1
        self._places.release()
        if session.clean and not self._owner.closed:
            self._idle.append((session, asyncio.get_running_loop().time()))
            self._owner.session_returned()
        else:
            session.close()

    def discard(self, session: Session) -> None:
        """Give a session back closed, whatever it was doing."""
        session.close()
        self.release(session)

    def close_idle(self, seconds: float) -> None:
        """Close connections that were idle for so long."""
        if self._idle:
            latest = self._idle[-1][1] if seconds == 0 else asyncio.get_running_loop().time() - seconds
            for session, since in self._idle:
                if since <= latest:
                    session.close()
            self._idle = [(session, since) for session, since in self._idle if since > latest]

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session]:
        """A session for a while."""
        session = await self.acquire()
        try:
            yield session
        except BaseException as error:
            self._failed(session, error)
            raise
        self.release(session)

    def later(self, work: Awaitable[None]) -> None:
        """Let something be done that nobody waits for."""
        self._owner.in_background(work)

    async def ping(self) -> None:
        """See that there is a connection."""
        async with self.session():
            return

    async def query(self, statement: str, parameters: list[Value]) -> QueryResult:
        """All rows of a statement."""
        async with self.session() as session:
            return await session.query(statement, parameters)

    async def execute(self, statement: str, parameters: list[Value]) -> int:
        """The number of rows that a statement concerned."""
        async with self.session() as session:
            return await session.execute(statement, parameters)

    async def stream(self, statement: str, parameters: list[Value]) -> OwnStream:
        """The rows of a statement, on a connection that is returned with the stream's end."""
        session = await self.acquire()
        try:
            return OwnStream(self, session, await session.stream(statement, parameters))
        except BaseException as error:
            self._failed(session, error)
            raise

    async def begin(self) -> OpenTransaction:
        """Begin a transaction, on a connection that is returned with its end."""
        session = await self.acquire()
        try:
            return OpenTransaction(self, session, await session.begin())
        except BaseException as error:
            self._failed(session, error)
            raise

    def _failed(self, session: Session, error: BaseException) -> None:
        if isinstance(error, RdbmsError):
            self.release(session)
        else:
            # Cancelled in the middle of something.
            self.discard(session)

    async def outcome(self, transaction_id: str) -> Outcome:
        """What became of a transaction."""
        async with self.session() as session:
            return await session.outcome(transaction_id)

    async def forget(self, transaction_id: str) -> None:
        """Nobody will ask for the outcome any more."""
        async with self.session() as session:
            await session.forget(transaction_id)


class OwnStream:
    """A stream outside of transactions."""

    def __init__(self, database: Database, session: Session, rows: RowStream) -> None:
        self._database = database
        self._session: Session | None = session
        self._rows = rows

    @property
    def columns(self) -> list[Value]:
        """The columns."""
        return self._rows.columns

    async def next(self) -> list[list[Value]] | None:
        """The next rows, None at the end. Raises RdbmsError, after which there are no more."""
        session = self._session
        if session is None:
            return None
        try:
            rows = await self._rows.next()
            if rows is None:
                await self._rows.close()
        except RdbmsError:
            self.abandon()
            raise
        if rows is None:
            self._session = None
            self._database.release(session)
        return rows

    def drop(self) -> None:
        """The guest needs no more rows."""
        session, self._session = self._session, None
        if session is not None:
            self._database.later(self._close(session))

    def abandon(self) -> None:
        """Break the statement off."""
        session, self._session = self._session, None
        if session is not None:
            self._database.discard(session)

    async def _close(self, session: Session) -> None:
        try:
            await self._rows.close()
        except RdbmsError:
            self._database.discard(session)
        else:
            self._database.release(session)


class OpenTransaction:
    """A transaction with its connection. `id` is what the database knows it by."""

    def __init__(self, database: Database, session: Session, number: str) -> None:
        self.id = number
        self._database = database
        self._session: Session | None = session
        self._keeps_books = session.keeps_books

    @property
    def session(self) -> Session:
        """Its connection. Raises RdbmsError when it is closed."""
        if self._session is None:
            raise RdbmsError("other", "Transaction is closed", happened=False)
        return self._session

    async def commit(self) -> None:
        """Commit. An error that is not transient says that the transaction was rolled back."""
        session = self.session
        try:
            await session.commit()
        except RdbmsError:
            self.abandon()
            raise
        self._give_back(session)

    async def rollback(self) -> None:
        """Roll back; a connection that is lost does that as well."""
        session = self.session
        try:
            await session.rollback()
        except RdbmsError:
            self.abandon()
        else:
            self._give_back(session)

    def drop(self) -> None:
        """Roll back what nobody waits for."""
        if self._session is not None:
            self._database.later(self.rollback())

    def abandon(self) -> None:
        """Close the connection: the database rolls back."""
        session, self._session = self._session, None
        if session is not None:
            self._database.discard(session)

    def recorded(self) -> None:
        """How it ended is in the oplog, durably: the database need not keep it."""
        if self._keeps_books:
            self._database.later(self._database.forget(self.id))

    def _give_back(self, session: Session) -> None:
        self._session = None
        self._database.release(session)
