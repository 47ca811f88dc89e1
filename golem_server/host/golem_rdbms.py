"""golem:rdbms: PostgreSQL and MySQL for guests, in all versions of the interface (reference: host-interfaces, 4.9).

Both databases have the same resources, which one class declares. What a statement answered is recorded; in replay no
database is asked, and none is connected to before the first call that is live.

- Whether a connection could be opened is recorded, so that replay does not depend on the database.
- The rows of a stream belong to one remote write, which ends when the guest drops the stream.
- Transactions follow `durable/transactions.py`, failures `rdbms_resources.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import PermanentFailure, TransientFailure
from golem_server.durable.transactions import COMMIT, ROLLBACK, End, Outcome, RemoteDatabase, begin_transaction
from golem_server.host.rdbms_address import MYSQL, POSTGRES, parse_address
from golem_server.host.rdbms_database import Databases, OpenTransaction, QueryResult, RowSource
from golem_server.host.rdbms_errors import CONNECTION_FAILURE, RdbmsError, unsupported_column
from golem_server.host.rdbms_lazy import (
    LazyColumnType,
    LazyValue,
    made_inline,
    released,
    type_made_inline,
    type_with_handles,
    with_handles,
)
from golem_server.host.rdbms_resources import (
    Connection,
    ResultStream,
    Transaction,
    attempted,
    attempted_within,
    closed,
    properties_of,
)
from golem_server.model.oplog import Category
from golem_server.model.types import (
    FunctionType,
    ListType,
    OptionType,
    RecordType,
    ResultType,
    Value,
    VariantType,
    WitType,
)

_OK: Value = ("ok", None)

_LATER_CASES = ("vector", "halfvec", "sparsevec")
"""Types that the interface has since 1.5."""


class Rdbms:
    """The functions of one kind of database, declared in `interface`.

    A guest of an older version gets an error for a column of a type that its version does not have: functions whose
    types have the later cases are declared apart.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.interface = HostInterface(f"golem:rdbms/{kind}")
        opened = self.interface.recorded(
            "[static]db-connection.open",
            Category.READ_REMOTE,
            self._record("db-connection", "open"),
            request=self._open_request,
        )(self.open)
        opened.finish(self.opened)
        self.interface.special("[method]db-connection.begin-transaction")(self.begin)
        self.interface.special("[method]db-transaction.commit")(self.commit)
        self.interface.special("[method]db-transaction.rollback")(self.rollback)
        self.interface.special("[method]db-result-stream.get-columns")(self.get_columns)
        self.interface.special("[method]db-result-stream.get-next")(self.get_next)
        if kind == POSTGRES:
            self._declare_statements(later_cases=True)
        self._declare_statements(later_cases=False)

    def _declare_statements(self, later_cases: bool) -> None:
        statements = _Statements(self.kind, later_cases or self.kind != POSTGRES)
        accepts = _has_later_cases if later_cases else None
        for name, live in (("query", statements.query), ("execute", statements.execute)):
            recorded = self.interface.recorded(
                f"[method]db-connection.{name}",
                Category.WRITE_REMOTE,
                self._record("db-connection", name),
                request=statements.request,
                accepts=accepts,
            )(live)
            recorded.finish(statements.finish)
        for name, function in (
            ("[method]db-connection.query-stream", statements.query_stream),
            ("[method]db-transaction.query", statements.query_within),
            ("[method]db-transaction.execute", statements.execute_within),
            ("[method]db-transaction.query-stream", statements.query_stream_within),
        ):
            self.interface.special(name, accepts=accepts)(function)

    def _record(self, resource: str, name: str) -> str:
        return f"rdbms::{self.kind}::{resource}::{name}"

    # --- db-connection

    def _open_request(self, _context: WorkerContext, address: str) -> Value:
        try:
            return {"address": parse_address(self.kind, address).masked}
        except RdbmsError:
            return {}

    async def open(self, context: WorkerContext, address: str) -> Value:
        """See that there is such a database and that it lets the guest in."""
        try:
            await context.service(Databases).database(self.kind, address).ping()
        except RdbmsError as error:
            return ("err", error.value)
        return _OK

    def opened(self, context: WorkerContext, response: Value, address: str) -> Value:
        """A connection."""
        if response[0] == "err":
            return response
        return ("ok", context.resources.add(Connection(self.kind, address)))

    async def begin(self, context: WorkerContext, handle: int) -> Value:
        """Begin a transaction."""
        connection = context.resources.get(handle, Connection)
        opened: list[OpenTransaction] = []

        async def start() -> Value:
            async def once() -> Value:
                opened.append(await connection.database(context).begin())
                return opened[0].id

            return await attempted(context, connection, "begin-transaction", once)

        async def outcome(transaction_id: str) -> Outcome:
            try:
                return await connection.database(context).outcome(transaction_id)
            except RdbmsError as error:
                raise TransientFailure(error.text, properties_of(connection, "begin-transaction")) from error

        request = {"pool_key": connection.masked}
        database = RemoteDatabase(self._record("db-connection", "begin-transaction"), request, start, outcome)
        try:
            remote, value = await begin_transaction(context, database)
        except BaseException:
            for transaction in opened:
                transaction.abandon()
            raise
        if remote is None:
            return value
        return ("ok", context.resources.add(Transaction(connection, remote, opened[0] if opened else None)))

    # --- db-transaction

    async def commit(self, context: WorkerContext, handle: int) -> Value:
        """Commit."""
        return await self._end(context, handle, COMMIT, "commit")

    async def rollback(self, context: WorkerContext, handle: int) -> Value:
        """Roll back."""
        return await self._end(context, handle, ROLLBACK, "rollback")

    async def _end(self, context: WorkerContext, handle: int, how: End, name: str) -> Value:
        transaction = context.resources.get(handle, Transaction)
        remote = transaction.remote
        if remote.ended is not None:
            return _OK if remote.ended is how else ("err", closed().value)

        async def prepare() -> Value:
            if how is COMMIT:
                return await attempted_within(context, transaction, name, transaction.live().session.prepare_commit)
            return _OK

        async def perform() -> Value:
            try:
                await (transaction.live().commit() if how is COMMIT else transaction.live().rollback())
            except RdbmsError as error:
                # Only the database knows whether it committed; or it did not, and may do so in another attempt.
                if error.transient and (error.happened or remote.repeatable):
                    raise TransientFailure(error.text, properties_of(transaction.connection, name)) from error
                return ("err", error.value)
            return _OK

        value = await remote.end(how, self._record("db-transaction", name), prepare, perform)
        if remote.ended is not None and transaction.opened is not None:
            transaction.opened.recorded()
        return value

    # --- db-result-stream

    async def get_columns(self, context: WorkerContext, handle: int) -> Value:
        """The columns of a stream."""

        async def live(rows: RowSource) -> Value:
            return rows.columns

        columns = await self._of_stream(context, handle, "get-columns", live)
        return [_column(context, column) for column in columns]

    async def get_next(self, context: WorkerContext, handle: int) -> Value:
        """The next rows of a stream, none at its end."""
        rows = await self._of_stream(context, handle, "get-next", lambda rows: rows.next())
        return None if rows is None else [_row(context, row) for row in rows]

    async def _of_stream(
        self, context: WorkerContext, handle: int, name: str, live: Callable[[RowSource], Awaitable[Value]]
    ) -> Value:
        """A recorded call of a stream. The interface has no error here: what fails stops the guest."""
        stream = context.resources.get(handle, ResultStream)
        record = self._record("db-result-stream", name)

        async def effect() -> Value:
            try:
                return await live(stream.live())
            except RdbmsError as error:
                repeatable = stream.within is None or stream.within.remote.repeatable
                failure = TransientFailure if error.transient and repeatable else PermanentFailure
                raise failure(f"{error.case}: {error.text}") from error

        if stream.within is not None:
            return await stream.within.remote.call(record, {}, effect)
        return await context.durable(Category.WRITE_REMOTE_BATCHED, record, {}, effect, stream.begin)


class _Statements:
    """The functions that run statements, for guests that know all column types or only the earlier ones."""

    def __init__(self, kind: str, all_types: bool) -> None:
        self._kind = kind
        self._all_types = all_types

    def request(self, context: WorkerContext, handle: int, statement: str, parameters: list[Value]) -> Value:
        """What the oplog keeps of a call of a connection."""
        connection = context.resources.get(handle, Connection)
        return self._request(context, connection, statement, parameters, None)

    def _request(
        self,
        context: WorkerContext,
        connection: Connection,
        statement: str,
        parameters: list[Value],
        transaction: OpenTransaction | None,
    ) -> Value:
        return {
            "pool_key": connection.masked,
            "statement": statement,
            "params": _inline(context, parameters),
            "transaction_id": None if transaction is None else transaction.id,
        }

    async def query(self, context: WorkerContext, handle: int, statement: str, parameters: list[Value]) -> Value:
        """All rows of a statement."""
        connection = context.resources.get(handle, Connection)
        values = _inline(context, parameters)

        async def work() -> Value:
            return self._recorded(await connection.database(context).query(statement, values))

        return await attempted(context, connection, "query", work, recorded=True)

    async def execute(self, context: WorkerContext, handle: int, statement: str, parameters: list[Value]) -> Value:
        """The number of rows that a statement concerned."""
        connection = context.resources.get(handle, Connection)
        values = _inline(context, parameters)

        async def work() -> Value:
            return await connection.database(context).execute(statement, values)

        return await attempted(context, connection, "execute", work, recorded=True)

    def finish(
        self, context: WorkerContext, response: Value, _handle: int, _statement: str, parameters: list[Value]
    ) -> Value:
        """The guest's result of `query` and `execute`."""
        for value in parameters:
            released(context, value)
        return _result(context, response)

    async def query_stream(self, context: WorkerContext, handle: int, statement: str, parameters: list[Value]) -> Value:
        """The rows of a statement one after the other."""
        connection = context.resources.get(handle, Connection)
        request = self.request(context, handle, statement, parameters)
        rows: list[RowSource] = []

        async def once() -> Value:
            rows.append(await connection.database(context).stream(statement, request["params"]))
            self._check(rows[0].columns)

        begin = await context.begin_remote_write()
        response = await context.durable(
            Category.WRITE_REMOTE_BATCHED,
            f"rdbms::{self._kind}::db-connection::query-stream",
            request,
            lambda: attempted(context, connection, "query-stream", once),
            begin,
        )
        for value in parameters:
            released(context, value)
        stream = ResultStream(context, begin, rows[0] if rows else None, None)
        if response[0] == "err":
            stream.close()
            await context.end_remote_write(begin)
            return response
        return ("ok", context.resources.add(stream))

    async def query_within(self, context: WorkerContext, handle: int, statement: str, parameters: list[Value]) -> Value:
        """All rows of a statement in a transaction."""

        async def work(opened: OpenTransaction, values: list[Value]) -> Value:
            return self._recorded(await opened.session.query(statement, values))

        return _result(context, await self._within(context, handle, "query", statement, parameters, work))

    async def execute_within(
        self, context: WorkerContext, handle: int, statement: str, parameters: list[Value]
    ) -> Value:
        """The number of rows that a statement in a transaction concerned."""

        async def work(opened: OpenTransaction, values: list[Value]) -> Value:
            return await opened.session.execute(statement, values)

        return await self._within(context, handle, "execute", statement, parameters, work)

    async def query_stream_within(
        self, context: WorkerContext, handle: int, statement: str, parameters: list[Value]
    ) -> Value:
        """The rows of a statement in a transaction one after the other."""
        transaction = context.resources.get(handle, Transaction)
        rows: list[RowSource] = []

        async def work(opened: OpenTransaction, values: list[Value]) -> Value:
            rows.append(await opened.session.stream(statement, values))
            self._check(rows[0].columns)

        response = await self._within(context, handle, "query-stream", statement, parameters, work)
        if response[0] == "err":
            return response
        stream = ResultStream(context, transaction.remote.begin, rows[0] if rows else None, transaction)
        return ("ok", context.resources.add(stream))

    async def _within(
        self,
        context: WorkerContext,
        handle: int,
        name: str,
        statement: str,
        parameters: list[Value],
        work: Callable[[OpenTransaction, list[Value]], Awaitable[Value]],
    ) -> Value:
        transaction = context.resources.get(handle, Transaction)
        request = self._request(context, transaction.connection, statement, parameters, transaction.opened)
        for value in parameters:
            released(context, value)
        if transaction.remote.ended is not None:
            return ("err", closed().value)

        async def once() -> Value:
            return await work(transaction.live(), request["params"])

        return await transaction.remote.call(
            f"rdbms::{self._kind}::db-transaction::{name}",
            request,
            lambda: attempted_within(context, transaction, name, once),
        )

    def _recorded(self, result: QueryResult) -> Value:
        self._check(result.columns)
        return {"columns": result.columns, "rows": result.rows}

    def _check(self, columns: list[Value]) -> None:
        if not self._all_types:
            for column in columns:
                if _is_later(column["db-type"]):
                    raise unsupported_column(column["db-type-name"])


def _is_later(type: Value) -> bool:
    case, payload = type
    if case == "array":
        return _is_later(payload)
    if case == "composite":
        return any(_is_later(inner) for _, inner in payload["attributes"])
    if case in ("domain", "range"):
        return _is_later(payload["base-type"])
    return case in _LATER_CASES


def _inline(context: WorkerContext, parameters: list[Value]) -> list[Value]:
    return [made_inline(context, value) for value in parameters]


def _result(context: WorkerContext, response: Value) -> Value:
    """The guest's result of a recorded one."""
    tag, result = response
    if tag == "err" or isinstance(result, int):
        return (tag, result)
    columns = [_column(context, column) for column in result["columns"]]
    return (tag, {"columns": columns, "rows": [_row(context, row) for row in result["rows"]]})


def _column(context: WorkerContext, column: Value) -> Value:
    return {**column, "db-type": type_with_handles(context, column["db-type"])}


def _row(context: WorkerContext, row: list[Value]) -> Value:
    return {"values": [with_handles(context, value) for value in row]}


def _has_later_cases(type: FunctionType) -> bool:
    """Whether an imported function knows the column types that came with 1.5."""
    return any(_mentions(part, "vector") for part in [*(p.type for p in type.parameters), type.result])


def _mentions(type: WitType | None, case: str) -> bool:
    inner: Sequence[WitType | None]
    match type:
        case ListType():
            inner = [type.element]
        case OptionType():
            inner = [type.inner]
        case ResultType():
            inner = [type.ok, type.err]
        case RecordType():
            inner = [field.type for field in type.fields]
        case VariantType():
            if any(found.name == case for found in type.cases):
                return True
            inner = [found.type for found in type.cases]
        case _:
            return False
    return any(_mentions(part, case) for part in inner)


postgres = Rdbms(POSTGRES).interface
mysql = Rdbms(MYSQL).interface
ignite = HostInterface("golem:rdbms/ignite2")

INTERFACES = [postgres, mysql, ignite]


@postgres.unrecorded("[constructor]lazy-db-value")
def new_lazy_value(context: WorkerContext, value: Value) -> Value:
    """A value that others can contain."""
    inline = made_inline(context, value)
    released(context, value)
    return context.resources.add_value(LazyValue(inline))


@postgres.unrecorded("[method]lazy-db-value.get")
def get_lazy_value(context: WorkerContext, handle: int) -> Value:
    """The value."""
    return with_handles(context, context.resources.get(handle, LazyValue).value)


@postgres.unrecorded("[constructor]lazy-db-column-type")
def new_lazy_column_type(context: WorkerContext, type: Value) -> Value:
    """A type that others can contain."""
    return context.resources.add_value(LazyColumnType(type_made_inline(context, type)))


@postgres.unrecorded("[method]lazy-db-column-type.get")
def get_lazy_column_type(context: WorkerContext, handle: int) -> Value:
    """The type."""
    return type_with_handles(context, context.resources.get(handle, LazyColumnType).type)


@ignite.unrecorded("[static]db-connection.open")
def open_ignite(_context: WorkerContext, _address: str) -> Value:
    """This server has no driver for Ignite, which the guest can tell from any other failure to connect."""
    return ("err", (CONNECTION_FAILURE, "This server does not connect to Apache Ignite"))
