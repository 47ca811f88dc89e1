"""One connection to a MySQL or MariaDB database of a guest: aiomysql connects, statements run prepared.

aiomysql itself sends parameters as text in the statement and gets rows as text, which loses types and digits. Here
every statement is prepared by the server: parameters and rows cross in binary form, and a cursor of the server holds
the rows of a stream.

Transactions need a table of ours, `golem_transactions`, because MySQL does not remember them: a row is written before
the transaction begins and marked as committed inside of it, so that the mark is there if and only if it was committed.
Whoever asks for it waits for the row's lock, that is, until the transaction is over.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from aiomysql.connection import Connection  # pyright: ignore[reportMissingTypeStubs]
from pymysql.constants import CLIENT  # pyright: ignore[reportMissingTypeStubs, reportMissingModuleSource]
from pymysql.err import MySQLError  # pyright: ignore[reportMissingTypeStubs, reportMissingModuleSource]
from pymysql.protocol import (  # pyright: ignore[reportMissingTypeStubs, reportMissingModuleSource]
    FieldDescriptorPacket,
    MysqlPacket,
)

from golem_server.durable.signals import TransientFailure
from golem_server.durable.transactions import Outcome
from golem_server.host.rdbms_address import DatabaseAddress
from golem_server.host.rdbms_database import QueryResult, RdbmsSettings
from golem_server.host.rdbms_errors import CONNECTION_FAILURE, EXECUTION_FAILURE, OTHER, RdbmsError
from golem_server.host.rdbms_mysql_values import Column, RowReader, column, encode
from golem_server.host.rdbms_statements import leaves_state
from golem_server.model.types import Value

_PREPARE, _EXECUTE, _CLOSE, _FETCH, _QUERY = 0x16, 0x17, 0x19, 0x1C, 0x03
_READ_ONLY_CURSOR = 1
_CURSOR_EXISTS, _LAST_ROW_SENT, _MORE_RESULTS, _IN_TRANSACTION = 0x40, 0x80, 0x08, 0x01
_NOT_PREPARABLE, _LOCK_TIMEOUT, _DEADLOCK, _NO_TABLE = 1295, 1205, 1213, 1146
_REFUSED = (1044, 1045, 1049, 1698)
_VALUE_OVERHEAD = 64

_SETTINGS = (
    "SET NAMES utf8mb4, time_zone = '+00:00', "
    "sql_mode = (SELECT CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION'))"
)
_TABLE = (
    "CREATE TABLE IF NOT EXISTS golem_transactions (id varchar(50) NOT NULL, status varchar(25) NOT NULL, "
    "created_on timestamp NOT NULL DEFAULT NOW(), PRIMARY KEY (id)) ENGINE=InnoDB"
)


class _Failure(Exception):
    """An error that the server sent."""

    def __init__(self, number: int, state: str, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = f"error returned from database: {number} ({state}): {text}"


def _raise(data: bytes) -> None:
    (number,) = struct.unpack_from("<H", data, 1)
    state, text = ("HY000", data[3:]) if data[3:4] != b"#" else (data[4:9].decode(), data[9:])
    raise _Failure(number, state, text.decode(errors="replace"))


_PacketBase: Any = MysqlPacket
_FieldBase: Any = FieldDescriptorPacket


class _Packet(_PacketBase):
    def raise_for_error(self) -> None:
        """Called by aiomysql for a packet that is an error."""
        _raise(self.get_all_data())


class _Field(_FieldBase):
    def raise_for_error(self) -> None:
        """Called by aiomysql for a packet that is an error."""
        _raise(self.get_all_data())


class MysqlDriver:
    """Makes sessions, and remembers which servers have no TLS."""

    def __init__(self) -> None:
        self._without_tls: set[tuple[str, int]] = set()

    async def __call__(self, address: DatabaseAddress, hosts: list[str], settings: RdbmsSettings) -> MysqlSession:
        """Connect to one of the hosts. Raises RdbmsError."""
        contexts: list[ssl.SSLContext | None] = [address.tls_context]
        if address.tls == "prefer":
            known = (address.host, address.port) in self._without_tls
            contexts = [None] if known else [address.tls_context, None]
        problem = ""
        for host in hosts:
            for context in contexts:
                raw: Any = Connection(
                    host=host,
                    port=address.port,
                    user=address.user,
                    password=address.password,
                    db=address.database or None,
                    charset="utf8mb4",
                    ssl=context,
                    connect_timeout=settings.connect_timeout,
                    client_flag=CLIENT.FOUND_ROWS,
                    autocommit=True,
                    init_command=_SETTINGS,
                )
                try:
                    async with asyncio.timeout(settings.connect_timeout):
                        await raw._connect()
                except MySQLError as error:
                    number, text = (*error.args, "")[:2] if error.args else (0, "")
                    if number in _REFUSED:
                        told = f"error returned from database: {number}: {text}"
                        raise RdbmsError(CONNECTION_FAILURE, told, happened=False) from None
                    problem = str(text or error)
                    continue
                except (OSError, EOFError, TimeoutError, struct.error, IndexError) as error:
                    raw.close()
                    problem = str(error) or type(error).__name__
                    continue
                if context is not None and not raw._secure and address.tls != "prefer":
                    raw.close()
                    raise RdbmsError(CONNECTION_FAILURE, "the server has no TLS", happened=False)
                if not raw._secure and len(self._without_tls) < 1000:
                    self._without_tls.add((address.host, address.port))
                return MysqlSession(raw, settings)
        raise RdbmsError.unreachable(f"cannot connect to {address.host}:{address.port}: {problem}")


class _Result:
    """What an execution answered: the columns of rows, or a count."""

    def __init__(self, columns: list[Column], count: int, status: int) -> None:
        self.columns = columns
        self.count = count
        self.status = status


class MysqlSession:
    """Implements `rdbms_database.Session`."""

    keeps_books = True

    def __init__(self, raw: Any, settings: RdbmsSettings) -> None:
        self._raw = raw
        self._settings = settings
        self._changed = False
        self._status = 0
        self._transaction: str | None = None
        self._rolled_back = False

    @property
    def batch(self) -> int:
        """How many rows a stream gives at a time."""
        return self._settings.rows

    @property
    def clean(self) -> bool:
        """Whether somebody else can use it now."""
        return not (self._changed or self._raw.closed or self._status & _IN_TRANSACTION)

    async def query(self, statement: str, parameters: list[Value]) -> QueryResult:
        """All rows of a statement."""
        with self._translated():
            number = await self._prepare(statement, parameters)
            result = await self._execute(statement, number, parameters)
            rows = await self._rows(result) if result.columns else []
            self._forget(number)
        return QueryResult(described(result.columns), rows)

    async def execute(self, statement: str, parameters: list[Value]) -> int:
        """The number of rows that a statement concerned."""
        with self._translated():
            number = await self._prepare(statement, parameters)
            result = await self._execute(statement, number, parameters)
            count = len(await self._rows(result)) if result.columns else result.count
            self._forget(number)
        return count

    async def stream(self, statement: str, parameters: list[Value]) -> MysqlRows:
        """The rows of a statement one after the other."""
        with self._translated():
            number = await self._prepare(statement, parameters)
            result = await self._execute(statement, number, parameters, _READ_ONLY_CURSOR)
            if result.status & _CURSOR_EXISTS and number is not None:
                return MysqlRows(self, result.columns, number, [])
            rows = await self._rows(result) if result.columns else []
            self._forget(number)
        return MysqlRows(self, result.columns, None, rows)

    async def fetch(self, number: int, columns: list[Column]) -> tuple[list[list[Value]], bool]:
        """Some more rows of a cursor, and whether they are the last."""
        with self._translated():
            await self._raw._execute_command(_FETCH, struct.pack("<II", number, self._settings.rows))
            rows = await self._rows(_Result(columns, 0, 0))
            return rows, bool(self._status & _LAST_ROW_SENT)

    async def finish(self, number: int) -> None:
        """Close a cursor."""
        with self._translated():
            self._forget(number)

    async def begin(self) -> str:
        """Begin a transaction; its id is that of a row in `golem_transactions`."""
        number = str(uuid.uuid4())
        try:
            await self._plain(_TABLE)
        except RdbmsError as error:
            if error.transient:
                raise
            text = f"transactions need the table 'golem_transactions', which cannot be created: {error.text}"
            raise RdbmsError(OTHER, text, happened=False) from None
        await self._plain(f"INSERT INTO golem_transactions (id, status) VALUES ('{number}', 'InProgress')")
        await self._plain("BEGIN")
        self._transaction, self._rolled_back = number, False
        return number

    async def prepare_commit(self) -> None:
        """Mark the row inside the transaction."""
        if self._rolled_back:
            raise _deadlocked()
        mark = f"UPDATE golem_transactions SET status = 'Committed' WHERE id = '{self._transaction}'"
        if await self.execute(mark, []) != 1:
            raise RdbmsError(OTHER, "the transaction is not in 'golem_transactions' any more", happened=False)

    async def commit(self) -> None:
        """Commit."""
        if self._rolled_back:
            raise _deadlocked()
        await self._plain("COMMIT")
        self._transaction = None

    async def rollback(self) -> None:
        """Roll back."""
        self._transaction = None
        await self._plain("ROLLBACK")

    async def outcome(self, transaction_id: str) -> Outcome:
        """What became of a transaction: waits for the lock of its row."""
        number = uuid.UUID(transaction_id)
        ask = f"SELECT status FROM golem_transactions WHERE id = '{number}' FOR UPDATE"
        try:
            result = await self.query(ask, [])
        except RdbmsError as error:
            if error.transient:
                raise TransientFailure(error.text) from error
            return Outcome.UNKNOWN
        if not result.rows:
            return Outcome.UNKNOWN
        return Outcome.COMMITTED if result.rows[0][0][1] == "Committed" else Outcome.NOT_COMMITTED

    async def forget(self, transaction_id: str) -> None:
        """Remove the row."""
        await self._plain(f"DELETE FROM golem_transactions WHERE id = '{uuid.UUID(transaction_id)}'")

    def close(self) -> None:
        """Close the connection at once."""
        self._raw.close()

    # --- The protocol

    async def _plain(self, statement: str) -> None:
        with self._translated():
            await self._execute(statement, None, [])

    async def _prepare(self, statement: str, parameters: list[Value]) -> int | None:
        """Prepare a statement: its number, None for one that cannot be prepared."""
        if self._rolled_back:
            raise _deadlocked()
        if leaves_state(statement):
            self._changed = True
        try:
            await self._raw._execute_command(_PREPARE, statement.encode())
            data = (await self._packet()).get_all_data()
        except _Failure as failure:
            if failure.number == _NOT_PREPARABLE and not parameters:
                return None
            raise
        number, columns, expected = struct.unpack_from("<IHH", data, 1)
        for count in (expected, columns):
            for _ in range(count + 1 if count else 0):
                await self._packet()
        if expected != len(parameters):
            self._forget(number)
            text = f"the statement has {expected} parameters, {len(parameters)} were given"
            raise RdbmsError(EXECUTION_FAILURE, text, happened=False)
        return number

    async def _execute(self, statement: str, number: int | None, parameters: list[Value], cursor: int = 0) -> _Result:
        if number is None:
            await self._raw._execute_command(_QUERY, statement.encode())
        else:
            content = encode(parameters) if parameters else b""
            await self._raw._execute_command(_EXECUTE, struct.pack("<IBI", number, cursor, 1) + content)
        return await self._head(binary=number is not None)

    async def _head(self, binary: bool) -> _Result:
        data = (await self._packet()).get_all_data()
        reader = RowReader(data)
        first = reader.length()
        if first == 0:
            count = reader.length()
            reader.length()
            self._status = int.from_bytes(data[reader.position : reader.position + 2], "little")
            if self._status & _MORE_RESULTS:
                await self._head(binary)
            return _Result([], count, self._status)
        fields = [await self._raw._read_packet(_Field) for _ in range(first)]
        await self._end_packet()
        columns: list[Column] = []
        problem: RdbmsError | None = None
        for field in fields:
            try:
                columns.append(column(field.name, field.type_code, field.flags, field.charsetnr, field.length))
            except RdbmsError as error:
                problem = problem or error
        if problem is not None or not binary:
            if not self._status & _CURSOR_EXISTS:
                await self._skip_rows()
            raise problem or RdbmsError.response("the rows of this statement cannot be read")
        return _Result(columns, 0, self._status)

    async def _rows(self, result: _Result) -> list[list[Value]]:
        rows: list[list[Value]] = []
        left = self._settings.result_bytes
        problem: RdbmsError | None = None
        while (data := await self._row_packet()) is not None:
            left -= len(data) + _VALUE_OVERHEAD * len(result.columns)
            if left < 0:
                # The rest may be endless.
                self.close()
                raise RdbmsError.response(f"the result is larger than {self._settings.result_bytes} bytes")
            if problem is None:
                try:
                    rows.append(RowReader(data).row(result.columns))
                except RdbmsError as error:
                    problem = error
        if self._status & _MORE_RESULTS:
            more = await self._head(binary=True)
            if more.columns:
                await self._skip_rows()
        if problem is not None:
            raise problem
        return rows

    async def _skip_rows(self) -> None:
        while await self._row_packet() is not None:
            pass

    async def _row_packet(self) -> bytes | None:
        packet = await self._packet()
        data: bytes = packet.get_all_data()
        if packet.is_eof_packet():
            self._status = int.from_bytes(data[3:5], "little")
            return None
        return data

    async def _end_packet(self) -> None:
        data: bytes = (await self._packet()).get_all_data()
        self._status = int.from_bytes(data[3:5], "little")

    async def _packet(self) -> Any:
        return await self._raw._read_packet(_Packet)

    def _forget(self, number: int | None) -> None:
        if number is not None:
            # The server does not answer.
            self._raw._write_bytes(struct.pack("<iBI", 5, _CLOSE, number))

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except RdbmsError:
            raise
        except _Failure as failure:
            if failure.number == _DEADLOCK and self._transaction is not None:
                self._rolled_back = True
            transient = failure.number in (_DEADLOCK, _LOCK_TIMEOUT)
            raise RdbmsError(EXECUTION_FAILURE, failure.text, transient=transient, happened=False) from None
        except (MySQLError, OSError, EOFError, TimeoutError, struct.error, IndexError, KeyError) as error:
            self.close()
            text = str(error) or type(error).__name__
            raise RdbmsError(EXECUTION_FAILURE, f"the connection was lost: {text}", transient=True) from None


class MysqlRows:
    """The rows of a stream: those of a cursor of the server, or all that there are."""

    def __init__(
        self, session: MysqlSession, columns: list[Column], number: int | None, rows: list[list[Value]]
    ) -> None:
        self.columns = described(columns)
        self._session = session
        self._columns = columns
        self._number = number
        self._rows = rows
        self._last = False

    async def next(self) -> list[list[Value]] | None:
        """The next rows, None at the end."""
        if self._number is None:
            count = self._session.batch
            rows, self._rows = self._rows[:count], self._rows[count:]
            return rows or None
        if self._last:
            return None
        rows, self._last = await self._session.fetch(self._number, self._columns)
        return rows or None

    async def close(self) -> None:
        """Give the rest up."""
        number, self._number = self._number, None
        if number is not None:
            await self._session.finish(number)


def described(columns: list[Column]) -> list[Value]:
    """The columns as the interface has them."""
    return [
        {"ordinal": ordinal, "name": found.name, "db-type": (found.case, None), "db-type-name": found.shown}
        for ordinal, found in enumerate(columns)
    ]


def _deadlocked() -> RdbmsError:
    return RdbmsError(EXECUTION_FAILURE, "the transaction was rolled back because of a deadlock", happened=False)
