"""What the handles of golem:rdbms stand for, and how failures that may pass are cured.

A failure of the network, a deadlock, a database that restarts: while the worker's retry policy allows it, a statement
is repeated, and a transaction begun again by a replay. Only then does the guest see the error. Whatever the database
says about a statement itself the guest sees at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from golem_server.durable.context import WorkerContext
from golem_server.durable.retry_policies import Attempts
from golem_server.durable.signals import TransientFailure
from golem_server.durable.transactions import RemoteTransaction
from golem_server.host.rdbms_address import parse_address
from golem_server.host.rdbms_database import Database, Databases, OpenTransaction, OwnStream, RowSource
from golem_server.host.rdbms_errors import OTHER, RdbmsError
from golem_server.model.retry_policy import failure_properties
from golem_server.model.retry_predicate import PropertyValue
from golem_server.model.types import Value


class Connection:
    """The resource `db-connection`: an address, whose pool is only used by live calls."""

    def __init__(self, kind: str, address: str) -> None:
        self.kind = kind
        self.address = address
        self.masked = parse_address(kind, address).masked

    def database(self, context: WorkerContext) -> Database:
        """The database."""
        return context.service(Databases).database(self.kind, self.address)


class Transaction:
    """The resource `db-transaction`. `opened` is None where the transaction is replayed."""

    def __init__(self, connection: Connection, remote: RemoteTransaction, opened: OpenTransaction | None) -> None:
        self.connection = connection
        self.remote = remote
        self.opened = opened

    def live(self) -> OpenTransaction:
        """The transaction in the database. Raises RdbmsError if there is none any more."""
        if self.opened is None:
            raise closed()
        return self.opened

    def dropped(self) -> None:
        """The guest left it open: it is rolled back."""
        if self.remote.abandoned() and self.opened is not None:
            self.opened.drop()
            self.opened.recorded()

    def close(self) -> None:
        """The instance is given up."""
        if self.opened is not None:
            self.opened.abandon()


class ResultStream:
    """The resource `db-result-stream`. `rows` are None where the stream is replayed."""

    def __init__(self, context: WorkerContext, begin: int, rows: RowSource | None, within: Transaction | None) -> None:
        self.begin = begin
        self.rows = rows
        self.within = within
        self._context = context

    def live(self) -> RowSource:
        """The rows. Raises RdbmsError if there are none any more."""
        if self.rows is None:
            raise closed()
        return self.rows

    def dropped(self) -> None:
        """The guest needs no more rows."""
        if isinstance(self.rows, OwnStream):
            self.rows.drop()
        if self.within is None:
            self._context.end_remote_write_soon(self.begin)

    def close(self) -> None:
        """The instance is given up."""
        if isinstance(self.rows, OwnStream):
            self.rows.abandon()


def closed() -> RdbmsError:
    """What is said of a transaction that is over."""
    return RdbmsError(OTHER, "Transaction is closed", happened=False)


def properties_of(connection: Connection, verb: str) -> Mapping[str, PropertyValue]:
    """What retry policies can choose by."""
    return {**failure_properties(verb, connection.masked), "db-type": connection.kind}


async def attempted(
    context: WorkerContext,
    connection: Connection,
    verb: str,
    work: Callable[[], Awaitable[Value]],
    *,
    recorded: bool = False,
) -> Value:
    """Do something outside of transactions: its result, or the error that the guest gets.

    For a `recorded` call the context makes the attempts, where it may: it counts them in the oplog.
    """
    attempts = Attempts(context.retries)
    properties = properties_of(connection, verb)
    while True:
        try:
            return ("ok", await work())
        except RdbmsError as error:
            result = ("err", error.value)
            if not error.transient or (error.happened and not context.assume_idempotence):
                return result
            if context.inside_atomic_region:
                _fail_while_possible(context, error, properties)
                return result
            if recorded and context.assume_idempotence:
                raise TransientFailure(error.text, properties, result) from error
            delay = attempts.next_delay(context.retries.properties({**properties, "error-type": "transient"}))
            if delay is None:
                return result
        await context.pause(delay)


async def attempted_within(
    context: WorkerContext, transaction: Transaction, verb: str, work: Callable[[], Awaitable[Value]]
) -> Value:
    """Do something inside a transaction: its result, or the error that the guest gets.

    What may be cured by beginning the transaction again raises TransientFailure.
    """
    try:
        return ("ok", await work())
    except RdbmsError as error:
        if error.transient and transaction.remote.repeatable:
            _fail_while_possible(context, error, properties_of(transaction.connection, verb))
        return ("err", error.value)


def _fail_while_possible(context: WorkerContext, error: RdbmsError, properties: Mapping[str, PropertyValue]) -> None:
    """Let the worker start again, as long as its policies allow another attempt at this place."""
    failure = TransientFailure(error.text, properties)
    if context.retries.verdict(context.retries.properties(failure.properties), strict=True).delay is not None:
        raise failure from error
