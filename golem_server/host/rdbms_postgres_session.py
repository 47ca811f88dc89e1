"""One connection to a PostgreSQL database of a guest, over asyncpg."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from golem_server.durable.signals import TransientFailure
from golem_server.durable.transactions import Outcome
from golem_server.host.rdbms_address import DatabaseAddress
from golem_server.host.rdbms_database import QueryResult, RdbmsSettings
from golem_server.host.rdbms_errors import CONNECTION_FAILURE, EXECUTION_FAILURE, RdbmsError
from golem_server.host.rdbms_postgres_catalog import TypeCatalog
from golem_server.host.rdbms_postgres_types import BY_OID, RAW_ARRAYS, Kind, PostgresType, decode, encode, key_of
from golem_server.host.rdbms_statements import copies, leaves_state, only_reads, with_types
from golem_server.model.types import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from asyncpg.cursor import Cursor
    from asyncpg.prepared_stmt import PreparedStatement
    from asyncpg.transaction import Transaction

    Statement: TypeAlias = PreparedStatement[asyncpg.Record]
    RecordCursor: TypeAlias = Cursor[asyncpg.Record]

_KEPT_STATEMENTS = 64
_REMEMBERED_SERVERS = 1000
_ROWS_AT_A_TIME = 500
"""Rows that are decoded before others get their turn."""
_VALUE_OVERHEAD = 64
"""Bytes that a value takes besides its own."""

_OUTCOME_SECONDS = 10.0
_OUTCOME_INTERVAL = 0.05

_LOST = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError, TimeoutError)
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)


class _TooLarge(Exception):
    """A result is larger than it may be."""


class _Budget:
    """What a result may still take, in bytes; told of each value before it is kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size

    def renew(self) -> None:
        """A new result begins."""
        self._left = self._size

    def keep(self, data: bytes) -> bytes:
        """asyncpg's decoder for every scalar: the bytes as they are."""
        self._left -= len(data) + _VALUE_OVERHEAD
        if self._left < 0:
            raise _TooLarge
        return data


class _Prepared:
    """A statement with its types; without columns where nobody wants its rows."""

    def __init__(self, statement: Statement, columns: list[PostgresType], parameters: list[PostgresType]) -> None:
        self.statement = statement
        self.columns = columns
        self.parameters = parameters
        self.described: list[Value] = [
            {"ordinal": ordinal, "name": attribute.name, "db-type": type.described, "db-type-name": type.shown}
            for ordinal, (attribute, type) in enumerate(zip(statement.get_attributes(), columns, strict=False))
        ]


class RawConnection(asyncpg.Connection):
    """A connection that leaves the decoding of types to others."""

    def take_raw(self, oid: int, name: str, keep: Callable[[bytes], bytes]) -> None:
        """Let values of this type go as bytes, and come as what `keep` makes of their bytes.

        `set_type_codec` does the same, but asks the database about each type and refuses arrays.
        """
        settings = cast("Any", self)._protocol.get_settings()
        settings.add_python_codec(oid, name, "pg_catalog", [], "scalar", bytes, keep, "binary")


class PostgresDriver:
    """Makes sessions, and remembers which servers have no TLS, so that they are not asked each time."""

    def __init__(self) -> None:
        self._without_tls: set[tuple[str, int]] = set()

    async def __call__(self, address: DatabaseAddress, hosts: list[str], settings: RdbmsSettings) -> PostgresSession:
        """Connect to one of the hosts. Raises RdbmsError."""
        problem: BaseException | None = None
        for host in hosts:
            for context in self._contexts(address):
                try:
                    connection = await _connect(address, host, context, settings)
                except asyncpg.PostgresError as error:
                    # It answers, so that there is no use in asking another one.
                    refused = (error.sqlstate or "")[:2] in ("28", "3D")
                    text = f"error returned from database: {error.message or error}"
                    raise RdbmsError(CONNECTION_FAILURE, text, transient=not refused, happened=False) from None
                except (*_LOST, ValueError) as error:
                    problem = error
                    continue
                if context is None and address.tls == "prefer" and len(self._without_tls) < _REMEMBERED_SERVERS:
                    self._without_tls.add((address.host, address.port))
                return PostgresSession.create(connection, settings)
        raise RdbmsError.unreachable(f"cannot connect to {address.host}:{address.port}: {_told(problem)}")

    def _contexts(self, address: DatabaseAddress) -> list[ssl.SSLContext | None]:
        if address.tls != "prefer":
            return [address.tls_context]
        if (address.host, address.port) in self._without_tls:
            return [None]
        return [address.tls_context, None]


async def _connect(
    address: DatabaseAddress, host: str, context: ssl.SSLContext | None, settings: RdbmsSettings
) -> RawConnection:
    server_settings = {"application_name": address.option("application_name") or "golem-server"}
    options = address.option("options")
    if options:
        server_settings["options"] = options
    connection: Any = await asyncpg.connect(
        host=host,
        port=address.port,
        user=address.user,
        # None would be looked up in the server's own environment and files.
        password=address.password,
        database=address.database,
        ssl=context or False,
        timeout=settings.connect_timeout,
        server_settings=server_settings,
        statement_cache_size=0,
        target_session_attrs=SessionAttribute.any,
        connection_class=RawConnection,
    )
    return connection


def _told(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return str(error) or type(error).__name__


class PostgresSession:
    """Implements `rdbms_database.Session`."""

    keeps_books = False

    def __init__(self, connection: RawConnection, settings: RdbmsSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._budget = _Budget(settings.result_bytes)
        self._catalog = TypeCatalog(self._ask)
        self._statements: dict[str, _Prepared] = {}
        self._extensions_known = False
        self._changed = False
        self._failed = False
        self._transaction: Transaction | None = None

    @classmethod
    def create(cls, connection: RawConnection, settings: RdbmsSettings) -> PostgresSession:
        """A session on a new connection."""
        session = cls(connection, settings)
        for type in BY_OID.values():
            if type.kind is Kind.SCALAR:
                session._take_raw(type.oid, type.name)
        for oid, name in RAW_ARRAYS.items():
            session._take_raw(oid, name)
        return session

    def _take_raw(self, oid: int, name: str) -> None:
        """Let values of this type come and go as bytes."""
        self._connection.take_raw(oid, name, self._budget.keep)

    @property
    def clean(self) -> bool:
        """Whether somebody else can use it now."""
        return not (self._changed or self._connection.is_closed() or self._connection.is_in_transaction())

    async def query(self, statement: str, parameters: list[Value]) -> QueryResult:
        """All rows of a statement."""
        prepared, records = await self._run(statement, parameters)
        rows: list[list[Value]] = []
        for start in range(0, len(records), _ROWS_AT_A_TIME):
            if start:
                await asyncio.sleep(0)
            rows += decoded_rows(prepared.columns, records[start : start + _ROWS_AT_A_TIME])
        return QueryResult(prepared.described, rows)

    async def execute(self, statement: str, parameters: list[Value]) -> int:
        """The number of rows that a statement concerned."""
        prepared, _ = await self._run(statement, parameters, describe=False)
        count = (prepared.statement.get_statusmsg() or "").rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def stream(self, statement: str, parameters: list[Value]) -> Rows:
        """The rows of a statement one after the other."""
        if not only_reads(statement):
            result = await self.query(statement, parameters)
            return CompleteRows(result, self._settings.rows)
        self._note(statement)
        with self._translated():
            own = None
            if self._transaction is None:
                own = self._connection.transaction()
                await own.start()
            prepared = await self._prepared(statement, parameters)
            arguments = _arguments(prepared, parameters)
            self._budget.renew()
            cursor = await prepared.statement.cursor(*arguments)
            return CursorRows(self, prepared, cursor, own)

    async def fetch(self, cursor: RecordCursor) -> list[asyncpg.Record]:
        """Some more rows of a cursor."""
        with self._translated():
            self._budget.renew()
            return await cursor.fetch(self._settings.rows)

    async def finish(self, transaction: Transaction) -> None:
        """End the transaction that only a cursor needed."""
        with self._translated():
            await transaction.commit()

    async def begin(self) -> str:
        """Begin a transaction; its id is PostgreSQL's own."""
        with self._translated():
            self._failed = False
            transaction = self._connection.transaction()
            await transaction.start()
            self._transaction = transaction
        return await self._ask("SELECT txid_current()::text")

    async def prepare_commit(self) -> None:
        """PostgreSQL remembers by itself."""

    async def commit(self) -> None:
        """Commit. An error that is not transient says that the transaction was rolled back."""
        if self._failed:
            # A failed statement dooms the transaction, unless the guest went back to a savepoint. COMMIT would roll
            # it back and say nothing.
            try:
                await self._ask("SELECT '1'::text")
            except RdbmsError as error:
                await self.rollback()
                raise RdbmsError(EXECUTION_FAILURE, error.text, transient=error.transient, happened=False) from None
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        if self._connection.is_in_transaction():
            with self._translated():
                await transaction.commit()

    async def rollback(self) -> None:
        """Roll back."""
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        if self._connection.is_in_transaction():
            with self._translated():
                await transaction.rollback()

    async def outcome(self, transaction_id: str) -> Outcome:
        """What became of a transaction of a connection that is gone.

        One that is still under way belongs to a connection whose end the database has not noticed: it is ended.
        """
        number = int(transaction_id)
        deadline = asyncio.get_running_loop().time() + _OUTCOME_SECONDS
        while True:
            try:
                status = await self._ask(f"SELECT coalesce(txid_status({number}), 'forgotten')::text")
            except RdbmsError as error:
                if not error.transient:
                    return Outcome.UNKNOWN
                raise TransientFailure(error.text) from error
            if status != "in progress":
                return {"committed": Outcome.COMMITTED, "aborted": Outcome.NOT_COMMITTED}.get(status, Outcome.UNKNOWN)
            if asyncio.get_running_loop().time() > deadline:
                raise TransientFailure("the database has not ended the transaction of a lost connection yet")
            await self._ask(
                "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity "
                f"WHERE backend_xid = '{number % (1 << 32)}'::xid AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(_OUTCOME_INTERVAL)

    async def forget(self, transaction_id: str) -> None:
        """Nothing was left behind."""

    def close(self) -> None:
        """Close the connection at once."""
        self._connection.terminate()

    # --- Running statements

    async def _run(
        self, statement: str, parameters: list[Value], describe: bool = True
    ) -> tuple[_Prepared, list[asyncpg.Record]]:
        self._note(statement)
        with self._translated():
            while True:
                prepared = await self._prepared(statement, parameters, describe)
                arguments = _arguments(prepared, parameters)
                self._budget.renew()
                try:
                    return prepared, await prepared.statement.fetch(*arguments)
                except _OUTDATED:
                    # Somebody altered a table or a type since it was prepared. Nothing has happened.
                    self._statements.clear()
                    self._catalog.forget()
                    self._extensions_known = False
                    if self._transaction is not None:
                        raise
                    await self._connection.reload_schema_state()

    def _note(self, statement: str) -> None:
        if copies(statement):
            raise RdbmsError(EXECUTION_FAILURE, "COPY from and to the client is not supported", happened=False)
        if leaves_state(statement):
            self._changed = True

    async def _prepared(self, statement: str, parameters: list[Value], describe: bool = True) -> _Prepared:
        keys = [key_of(value) for value in parameters]
        named = [None if key is None else await self._catalog.by_key(key) for key in keys]
        text = with_types(statement, [None if type is None else type.sql for type in named])
        key = f"{describe} {text}"
        prepared = self._statements.pop(key, None)
        if prepared is None:
            made = await self._prepare(text)
            columns = made.get_attributes() if describe else ()
            prepared = _Prepared(
                made,
                [await self._catalog.by_oid(attribute.type.oid) for attribute in columns],
                [await self._catalog.by_oid(parameter.oid) for parameter in made.get_parameters()],
            )
            if len(self._statements) >= _KEPT_STATEMENTS:
                del self._statements[next(iter(self._statements))]
        self._statements[key] = prepared
        return prepared

    async def _prepare(self, statement: str) -> Statement:
        try:
            return await self._connection.prepare(statement)
        except asyncpg.InterfaceError:
            # asyncpg does not know what to do with a type of an extension.
            if self._connection.is_closed() or self._extensions_known:
                raise
        self._extensions_known = True
        for oid, name in await self._catalog.of_extensions():
            self._take_raw(oid, name)
        return await self._connection.prepare(statement)

    async def _ask(self, statement: str) -> str:
        with self._translated():
            self._budget.renew()
            return cast("bytes", await self._connection.fetchval(statement)).decode()

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except RdbmsError:
            raise
        except _TooLarge:
            size = self._settings.result_bytes
            self._failed = True
            raise RdbmsError.response(f"the result is larger than {size} bytes") from None
        except asyncpg.PostgresError as error:
            self._failed = True
            raise self._translate(error) from None
        except _LOST as error:
            if not self._connection.is_closed() and isinstance(error, asyncpg.InterfaceError):
                # A wrong number of arguments and the like.
                raise RdbmsError(EXECUTION_FAILURE, str(error), happened=False) from None
            self.close()
            raise RdbmsError(EXECUTION_FAILURE, f"the connection was lost: {_told(error)}", transient=True) from None

    def _translate(self, error: asyncpg.PostgresError) -> RdbmsError:
        state = error.sqlstate or ""
        text = f"error returned from database: {error.message or error}"
        if self._connection.is_closed() or state[:2] == "08" or state[:3] == "57P":
            # It ended the connection, or the connection ended: what was under way may have happened.
            self.close()
            return RdbmsError(EXECUTION_FAILURE, text, transient=True)
        # Deadlocks and conflicts, missing resources.
        transient = state in ("40001", "40P01", "55P03") or state[:2] == "53"
        return RdbmsError(EXECUTION_FAILURE, text, transient=transient, happened=False)


class CursorRows:
    """The rows of a cursor; outside of a transaction in one of its own, which the end commits."""

    def __init__(
        self, session: PostgresSession, prepared: _Prepared, cursor: RecordCursor, own: Transaction | None
    ) -> None:
        self.columns = prepared.described
        self._session = session
        self._types = prepared.columns
        self._cursor = cursor
        self._own = own

    async def next(self) -> list[list[Value]] | None:
        """The next rows, None at the end."""
        records = await self._session.fetch(self._cursor)
        return decoded_rows(self._types, records) if records else None

    async def close(self) -> None:
        """Give the rest up."""
        own, self._own = self._own, None
        if own is not None:
            await self._session.finish(own)


class CompleteRows:
    """The rows of a statement that has to be completed first."""

    def __init__(self, result: QueryResult, count: int) -> None:
        self.columns = result.columns
        self._rows = result.rows
        self._count = count

    async def next(self) -> list[list[Value]] | None:
        """The next rows, None at the end."""
        rows, self._rows = self._rows[: self._count], self._rows[self._count :]
        return rows or None

    async def close(self) -> None:
        """Nothing is open."""


Rows: TypeAlias = CursorRows | CompleteRows


def decoded_rows(types: list[PostgresType], records: list[asyncpg.Record]) -> list[list[Value]]:
    """Rows as values. Raises RdbmsError."""
    return [[decode(type, raw) for type, raw in zip(types, record.values(), strict=True)] for record in records]


def _arguments(prepared: _Prepared, parameters: list[Value]) -> list[Any]:
    if len(parameters) != len(prepared.parameters):
        text = f"the statement has {len(prepared.parameters)} parameters, {len(parameters)} were given"
        raise RdbmsError(EXECUTION_FAILURE, text, happened=False)
    return [encode(type, value) for type, value in zip(prepared.parameters, parameters, strict=True)]
