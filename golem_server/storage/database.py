"""Connections to PostgreSQL: two pools on one URL, their loss and return, and the driver's errors in our words.

asyncpg itself serves the stores on the hot path; SQLAlchemy (Core) serves the registry, whose queries are many and
rare. Neither leaks its exceptions: whatever means that the database is away becomes `Unavailable`.

A connection that broke is replaced at its next use. `run` goes one step further for statements that may be repeated:
it tries again, on a new connection, until `patience` is over, so that a restart of the database is a delay
and no error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from golem_server.model.errors import Unavailable

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    OwnConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    # The driver's classes are generic for type checkers only.
    Connection = OwnConnection = Pool = Any

T = TypeVar("T")

_RETRY_SECONDS = 0.05

LOST: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.exceptions.ProtocolViolationError,
    OSError,
    TimeoutError,
)
"""The connection is gone or cannot be had. What was under way may or may not have happened."""

REFUSED: tuple[type[BaseException], ...] = (
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.InvalidAuthorizationSpecificationError,
    asyncpg.exceptions.InvalidCatalogNameError,
    asyncpg.exceptions.PostgresIOError,
)
"""The database says no for now: disk full, too many connections, standby, deadlock, password. Nothing happened."""


def plain_url(url: str) -> str:
    """The URL as asyncpg takes it: `postgresql://...`, also where a SQLAlchemy driver was named."""
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in ("postgresql", "postgres") or not rest:
        raise ValueError("a database URL starts with postgresql://")
    return f"postgresql://{rest}"


def unavailable(error: BaseException) -> Unavailable:
    """What the caller is told. The text holds neither URL nor password."""
    reason = str(error) or type(error).__name__
    return Unavailable(f"The database is not available: {reason}")


async def connect(
    url: str, *, patience: timedelta, application: str, settings: dict[str, str] | None = None
) -> OwnConnection:
    """A connection of one's own. Raises what `LOST` and `REFUSED` list."""
    return await asyncpg.connect(
        plain_url(url),
        timeout=patience.total_seconds(),
        server_settings={"application_name": application, **(settings or {})},
    )


class Database:
    """The pools. `open` before use, `close` at the end.

    `connections` bounds each of the two pools; `patience` is how long a call waits for a database that is away before
    it raises Unavailable; `timeout` bounds one statement.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 8,
        patience: timedelta = timedelta(seconds=5),
        timeout: timedelta = timedelta(seconds=60),
    ) -> None:
        self.url = plain_url(url)
        self.patience = patience
        self._connections = connections
        self._timeout = timeout
        self._pool: Pool | None = None
        self._engine: AsyncEngine | None = None

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine; use `begin`, which translates errors."""
        if self._engine is None:
            raise Unavailable("The database is closed")
        return self._engine

    async def open(self) -> None:
        """Make the pools and one connection, to see that the database answers. Raises Unavailable."""
        # No connection is opened ahead: a pool must also come to life while the database is away.
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=0,
            max_size=self._connections,
            command_timeout=self._timeout.total_seconds(),
            timeout=self.patience.total_seconds(),
            server_settings={"application_name": "golem-server"},
        )

        async def creator() -> OwnConnection:
            return await connect(self.url, patience=self.patience, application="golem-server registry")

        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=creator,
            pool_size=self._connections,
            max_overflow=0,
            pool_timeout=self.patience.total_seconds(),
            # One round trip a use, on a pool that is off the hot path; it makes a restarted database invisible.
            pool_pre_ping=True,
        )
        await self.run(lambda connection: connection.fetchval("SELECT 1"))

    async def close(self) -> None:
        """Close all connections; those in use are given a moment first."""
        pool, self._pool = self._pool, None
        engine, self._engine = self._engine, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), self.patience.total_seconds())
            except (TimeoutError, *LOST):
                pool.terminate()
        if engine is not None:
            await engine.dispose()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection of the pool, in no transaction. Raises Unavailable where the driver would raise its own."""
        if self._pool is None:
            raise Unavailable("The database is closed")
        try:
            async with self._pool.acquire(timeout=self.patience.total_seconds()) as connection:
                yield connection
        except (*LOST, *REFUSED) as error:
            raise unavailable(error) from error

    async def run(self, operation: Callable[[Connection], Awaitable[T]]) -> T:
        """What the operation gives, tried again on a new connection while the database is away.

        Only for operations that may happen twice: queries, deletions, insertions that ignore what is there.
        """

        async def attempt() -> T:
            async with self.connection() as connection:
                return await operation(connection)

        return await self._patiently(attempt)

    async def run_core(self, operation: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The same for SQLAlchemy: the operation is a transaction and may happen twice."""

        async def attempt() -> T:
            async with self.begin() as connection:
                return await operation(connection)

        return await self._patiently(attempt)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + self.patience.total_seconds()
        while True:
            try:
                return await attempt()
            except Unavailable:
                if self._pool is None or time.monotonic() + _RETRY_SECONDS > deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection]:
        """A SQLAlchemy connection in a transaction that is committed at the end. Constraint violations pass through."""
        try:
            async with self.engine.begin() as connection:
                yield connection
        except PoolTimeout as error:
            raise unavailable(error) from error
        except DBAPIError as error:
            cause = error.orig.__cause__ if error.orig is not None else None
            if (
                error.connection_invalidated
                or isinstance(error, InterfaceError)
                or isinstance(cause, (*LOST, *REFUSED))
            ):
                raise unavailable(cause or error) from error
            raise
        except (*LOST, *REFUSED) as error:
            raise unavailable(error) from error
