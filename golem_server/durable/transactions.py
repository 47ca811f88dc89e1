"""Transactions in remote databases: what the oplog keeps of them and what becomes of one that was cut off.

Five kinds of entries frame a transaction: it begins under an id that the database knows, is about to be committed
or rolled back, and is committed or rolled back. Its statements are recorded calls that name its beginning. In replay
nothing reaches the database: the calls answer from the oplog (reference: durability, section 3).

A transaction whose end is not in the oplog was cut off, and the database may have taken its statements back or not:

| found behind the beginning | what is done |
| --- | --- |
| the end | replay it |
| only that it was about to be committed | ask the database: committed, so go on; not committed, so begin again |
| only that it was about to be rolled back | go on: nobody ever asked to commit it |
| nothing | begin again |

To begin again is to drop the first attempt, its beginning included, and to open a new transaction that names the
original beginning. It is refused while effects may not be repeated, and where something else happened outside
meanwhile, which would happen twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from golem_server.durable.context import NOT_REPEATABLE, WorkerContext
from golem_server.durable.replay import ReplayCursor
from golem_server.durable.signals import PermanentFailure
from golem_server.model.errors import UnexpectedOplogEntry
from golem_server.model.oplog import (
    BeginRemoteTransaction,
    Category,
    CommittedRemoteTransaction,
    Entry,
    HostCall,
    PreCommitRemoteTransaction,
    PreRollbackRemoteTransaction,
    RolledBackRemoteTransaction,
)
from golem_server.model.types import Value

OVERLAPPED = "Transaction overlapped with other side effects was not completed, cannot retry"
UNDECIDED = "The database no longer knows whether the transaction was committed, cannot retry"

Step: TypeAlias = Callable[[], Awaitable[Value]]
"""A step in the database: `("ok", value)`, or `("err", error)` for what the guest is to be told."""


class Outcome(Enum):
    """What a database says of a transaction that nobody works on any more."""

    COMMITTED = "committed"
    NOT_COMMITTED = "not committed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RemoteDatabase:
    """What the rules here need of a database.

    `function` and `request` record a beginning that the database refused. `begin` opens a transaction and gives its
    id. `outcome` says what became of one; it is exact, waits for what is still under way, and raises
    TransientFailure where the database does not answer.
    """

    function: str
    request: Value
    begin: Step
    outcome: Callable[[str], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class End:
    """The two entries of one way to end a transaction."""

    before: type[PreCommitRemoteTransaction] | type[PreRollbackRemoteTransaction]
    after: type[CommittedRemoteTransaction] | type[RolledBackRemoteTransaction]


COMMIT = End(PreCommitRemoteTransaction, CommittedRemoteTransaction)
ROLLBACK = End(PreRollbackRemoteTransaction, RolledBackRemoteTransaction)

_OK: Value = ("ok", None)


class RemoteTransaction:
    """One transaction of the guest. `begin` is the index of its original beginning, `ended` how it ended."""

    def __init__(self, context: WorkerContext, begin: int) -> None:
        self.begin = begin
        self.ended: End | None = None
        self._context = context
        self._remote_calls = context.oplog.remote_calls
        self._own_calls = 0
        context.open_writes.append(begin)

    @property
    def repeatable(self) -> bool:
        """Whether a failure here can be cured by beginning again: nothing else happened outside since."""
        others = self._context.oplog.remote_calls - self._remote_calls - self._own_calls
        return self._context.assume_idempotence and others == 0

    async def call(self, function: str, request: Value, live: Callable[[], Any]) -> Value:
        """A recorded call inside the transaction."""
        before = self._context.oplog.remote_calls
        response = await self._context.durable(Category.WRITE_REMOTE_TRANSACTION, function, request, live, self.begin)
        self._own_calls += self._context.oplog.remote_calls - before
        return response

    async def end(self, how: End, function: str, prepare: Step, perform: Step) -> Value:
        """Commit or roll back; gives the guest's result, which is an error where the database took it all back.

        `prepare` is done before the intention is recorded; if it fails, the transaction stays open. `perform` must
        raise TransientFailure where it cannot tell what happened: recovery asks the database then.
        """
        context = self._context
        if not await context.settle_replay():
            if isinstance(await _next_entry(context), HostCall):
                return await self.call(function, {}, _never)
            await context.take(how.before, self._check)
            return await self._replay_end(how, function)
        response = await prepare()
        if response[0] == "err":
            return await self.call(function, {}, lambda: response)
        context.append(how.before(timestamp=context.now_ms(), begin_index=self.begin))
        await context.oplog.commit()
        response = await perform()
        if response[0] == "err":
            await self.call(function, {}, lambda: response)
            await self._finish(ROLLBACK)
            return response
        await self._finish(how)
        return _OK

    async def _replay_end(self, how: End, function: str) -> Value:
        context = self._context
        entry = await _next_entry(context)
        if entry is None:
            # Replay was only allowed to come here because the database confirmed it.
            await self._finish(how)
            return _OK
        if isinstance(entry, HostCall):
            response = await self.call(function, {}, _never)
            how = ROLLBACK
        else:
            response = _OK
        await context.take(how.after, self._check)
        self._close(how)
        return response

    async def _finish(self, how: End) -> None:
        self._context.append(how.after(timestamp=self._context.now_ms(), begin_index=self.begin))
        self._close(how)
        await self._context.oplog.commit()

    def abandoned(self) -> bool:
        """The guest dropped its handle, which rolls an open transaction back: True if there is one to roll back.

        Both entries are written at once: whatever becomes of the database's side, nobody will ever commit it.
        """
        if self.ended is not None:
            return False
        context = self._context
        live = context.is_live
        for kind in (ROLLBACK.before, ROLLBACK.after):
            entry = kind(timestamp=context.now_ms(), begin_index=self.begin)
            context.note(entry, lambda recorded: recorded.begin_index == self.begin)
        self._close(ROLLBACK)
        if live:
            context.oplog.commit_soon()
        return live

    def _close(self, how: End) -> None:
        self.ended = how
        self._context.open_writes.remove(self.begin)

    def _check(self, entry: Any) -> None:
        if entry.begin_index != self.begin:
            raise UnexpectedOplogEntry(
                f"{type(entry).__name__}({self.begin})", f"{type(entry).__name__}({entry.begin_index})"
            )


async def begin_transaction(context: WorkerContext, database: RemoteDatabase) -> tuple[RemoteTransaction | None, Value]:
    """Begin a transaction, or take up the recorded one. Without a transaction the value is the guest's error.

    Raises PermanentFailure where one was cut off that can neither be confirmed nor done again.
    """
    original: int | None = None
    if not await context.settle_replay():
        if isinstance(await _next_entry(context), HostCall):
            return None, await context.durable(Category.READ_REMOTE, database.function, database.request, _never)
        recorded = await context.take(BeginRemoteTransaction)
        current = context.position
        original = recorded.original_begin_index or current
        if not await _must_begin_again(context, database, original, recorded.transaction_id):
            return RemoteTransaction(context, original), _OK
        if context.is_live:
            await context.oplog.jump(current, context.now_ms())
        else:
            await context.go_live_skipping_after(current - 1)
    await context.deferred.run()
    response = await database.begin()
    if response[0] == "err":
        error = response
        return None, await context.durable(Category.READ_REMOTE, database.function, database.request, lambda: error)
    begin = context.append(
        BeginRemoteTransaction(timestamp=context.now_ms(), transaction_id=response[1], original_begin_index=original)
    )
    await context.oplog.commit()
    return RemoteTransaction(context, begin if original is None else original), _OK


async def _must_begin_again(context: WorkerContext, database: RemoteDatabase, begin: int, transaction_id: str) -> bool:
    """Apply the table above to a recorded transaction whose beginning was just consumed."""

    def ended(entry: Entry) -> bool:
        return isinstance(entry, CommittedRemoteTransaction | RolledBackRemoteTransaction) and (
            entry.begin_index == begin
        )

    def ending(entry: Entry) -> bool:
        return isinstance(entry, PreCommitRemoteTransaction | PreRollbackRemoteTransaction) and (
            entry.begin_index == begin
        )

    ahead = await _ahead(context)
    if ahead is not None and await ahead.find(ended) is not None:
        return False
    intention = None if ahead is None else await ahead.find(ending)
    if isinstance(intention, PreRollbackRemoteTransaction):
        return False
    outcome = Outcome.NOT_COMMITTED
    if intention is not None:
        outcome = await database.outcome(transaction_id)
        if outcome is Outcome.COMMITTED:
            return False
    problem = None
    if not context.assume_idempotence:
        problem = NOT_REPEATABLE
    elif ahead is not None and await ahead.foreign_write_after(begin):
        problem = OVERLAPPED
    elif outcome is Outcome.UNKNOWN:
        problem = UNDECIDED
    if problem is not None:
        context.go_live()
        raise PermanentFailure(problem)
    return True


async def _ahead(context: WorkerContext) -> ReplayCursor | None:
    """The reading end of the oplog; None in live mode."""
    return None if await context.settle_replay() else context.cursor


async def _next_entry(context: WorkerContext) -> Entry | None:
    """The entry that replay meets next; None in live mode."""
    cursor = await _ahead(context)
    return None if cursor is None else await cursor.peek()


def _never() -> Value:
    raise AssertionError("a recorded call has no effect in replay")
