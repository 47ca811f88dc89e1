"""The durable context: all that host functions see of the worker they work for.

It carries the rule that makes a worker durable (reference: durability, section 3): a recorded call does its live
effect once and keeps the response; in replay the response comes from the oplog. Around it stand the begin and end of
remote writes, atomic regions, persistence levels, jumps and the switch from replay to live.

Calls of local or reading functions that answer at once take a path without a coroutine; everything that must wait
or write returns one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import CoroutineType
from typing import Any, TypeVar, Unpack
from uuid import UUID

from golem_server.durable.deferred import DeferredEffects
from golem_server.durable.guest_facts import Facts, GuestFacts
from golem_server.durable.identities import LIVE, Identity
from golem_server.durable.keys import EffectKeys
from golem_server.durable.oplog import UnwrittenOplog, WorkerOplog
from golem_server.durable.printed_lines import PrintedLines
from golem_server.durable.recorded_function import RecordedFunction
from golem_server.durable.replay import ReplayCursor, describe
from golem_server.durable.retry_policies import RetryPolicies
from golem_server.durable.signals import PermanentFailure, RestartWorker, TransientFailure
from golem_server.durable.spans import Spans
from golem_server.model.errors import InternalBug, InvalidWorkerRequest, UnexpectedOplogEntry
from golem_server.model.oplog import (
    BeginAtomicRegion,
    BeginRemoteWrite,
    Category,
    ChangePersistenceLevel,
    EndAtomicRegion,
    EndRemoteWrite,
    Entry,
    HostCall,
    Invocation,
    Log,
    LogLevel,
    NoOp,
    PersistenceLevel,
    RetryPolicy,
)
from golem_server.model.status import in_regions
from golem_server.model.types import Value

EntryT = TypeVar("EntryT", bound=Entry)

NOT_REPEATABLE = "Non-idempotent remote write operation was not completed, cannot retry"


class WorkerContext(GuestFacts):
    """The state of one loaded instance, as its host functions see and change it.

    Besides the facts (`GuestFacts`):

    - `spans`: the trace of the running invocation;
    - `retries`: what its retry policies say;
    - `keys`: idempotency keys; `deferred`: effects that are due before the next remote write.
    """

    def __init__(
        self,
        *,
        oplog: WorkerOplog,
        cursor: ReplayCursor | None,
        identities: Sequence[Identity] = (),
        **facts: Unpack[Facts],
    ) -> None:
        super().__init__(**facts)
        self.oplog = oplog
        self.keys = EffectKeys(self)
        self.deferred = DeferredEffects()
        self.assume_idempotence = True
        self.persistence_level = PersistenceLevel.SMART
        self.host_calls = 0
        self.on_log: Callable[[Log], None] | None = None
        self.on_live: Callable[[], None] | None = None
        self._cursor = cursor
        self._position: int = cursor.position if cursor is not None else oplog.last_index
        self._atomic_regions: list[int] = []
        self._lapsed_regions: set[int] = set()
        self._printed = PrintedLines()
        self.open_writes: list[int] = []
        self._noted: deque[tuple[Entry, Callable[[Any], bool]]] = deque()
        self.spans = Spans(self)
        self.retries = RetryPolicies(self)
        self._identities = deque(identities)
        self._become(self._position)
        if cursor is not None and cursor.finished:
            self.go_live()

    # --- What the worker and its host modules ask

    @property
    def is_live(self) -> bool:
        """Whether calls have their effects now. In replay it turns true with the last recorded entry."""
        return self._cursor is None

    @property
    def cursor(self) -> ReplayCursor | None:
        """Where replay reads, None while the worker is live; for the modules of this room."""
        return self._cursor

    @property
    def position(self) -> int:
        """The index of the last entry that replay consumes or the live run wrote: the place where the guest stands.

        The same live and in replay, whatever hints lie between.
        """
        return self._position

    @property
    def retry_point(self) -> int:
        """The index that groups failed attempts at this place."""
        if self._atomic_regions:
            return self._atomic_regions[-1]
        return self.open_writes[-1] if self.open_writes else self._position

    @property
    def inside_atomic_region(self) -> bool:
        """Whether an atomic region is open: then even a trap is tried again."""
        return bool(self._atomic_regions)

    @property
    def idempotency_key(self) -> str:
        """The key of the running invocation, empty outside of one."""
        return self.current_key

    current_key: str = ""

    @property
    def current_function(self) -> str:
        """The function of the running invocation, empty outside of one."""
        return "" if self.spans.invocation is None else self.spans.invocation.function

    def invocation_began(self, invocation: Invocation, started: int) -> None:
        """An invocation begins, live or in replay; `started` is the time of its entry."""
        self.current_key = invocation.idempotency_key
        self.spans.enter(invocation, started)

    def invocation_ended(self) -> None:
        """The invocation has its result, which was told or is about to be: no atomic region can undo it any more."""
        self.current_key = ""
        self.spans.leave()
        self._lapsed_regions.update(self._atomic_regions)
        self._atomic_regions.clear()

    # --- Recorded calls

    def recorded(self, function: RecordedFunction, arguments: tuple[Value, ...]) -> Any:
        """Do a call that is recorded: its response, or a coroutine of it.

        Raises UnexpectedOplogEntry where replay meets something else.
        """
        if self.deferred and function.category >= Category.WRITE_REMOTE:
            return self._recorded_after_deferred(function, arguments)
        self.host_calls += 1
        cursor = self._cursor
        if cursor is None:
            if function.category <= Category.READ_REMOTE:
                if self.oplog.full:
                    return self._recorded_after_commit(function, arguments)
                try:
                    response = function.live(self, *arguments)
                except TransientFailure as failure:
                    response = _raising(failure)
                if response.__class__ is CoroutineType:
                    return self._recorded_later(function, response, arguments)
                self._write_call(function.category, function.name, function.request(self, *arguments), response)
                return response
            return self._remote_write(function, arguments)
        if cursor.ready and (function.category != Category.WRITE_REMOTE or self.assume_idempotence):
            return self._replayed(cursor, function.name)
        return self._recorded_slowly(function, arguments)

    async def durable(
        self, category: Category, function: str, request: Value, live: Callable[[], Any], begin_index: int | None = None
    ) -> Value:
        """The same for special functions: `live()` gives the response or a coroutine of it.

        `begin_index` names the batched remote write that this call belongs to: such calls neither begin nor end one.
        """
        if begin_index is None:

            def request_of(_context: WorkerContext) -> Value:
                return request

            def effect(_context: WorkerContext) -> Any:
                return live()

            response = self.recorded(RecordedFunction(category, function, request_of, effect), ())
            return await response if response.__class__ is CoroutineType else response
        self.host_calls += 1
        cursor = await self._settled()
        if cursor is not None:
            return self._replayed(cursor, function)
        response = live()
        if response.__class__ is CoroutineType:
            response = await response
        self._write_call(category, function, request, response, begin_index)
        # Until the end of the remote write is durable, recovery repeats all of it, whatever else was kept: a commit
        # for each of its calls would protect nothing.
        if self.oplog.full:
            await self.oplog.commit()
        return response

    async def settle_replay(self) -> bool:
        """Make `is_live` exact and return it: whether the next recorded call has its effect."""
        return await self._settled() is None

    async def _settled(self) -> ReplayCursor | None:
        while self._cursor is not None and self._cursor.exhausted:
            await self._cursor.load()
            if self._cursor.finished:
                self.go_live()
            self._meet_noted()
        return self._cursor

    def append(self, entry: Entry) -> int:
        """Write an entry in live mode."""
        index = self.oplog.append(entry)
        if not entry.hint:
            self._position = index
        return index

    async def take(self, kind: type[EntryT], check: Callable[[EntryT], None] | None = None) -> EntryT:
        """Consume the next entry in replay, which must be of this kind.

        `check` raises UnexpectedOplogEntry if it is not the one that is wanted: before replay is said to be over.
        """
        cursor = await self._settled() if self._noted else self._cursor
        if cursor is None:
            raise InternalBug("there is no replay to take entries from")
        entry = await cursor.expect(kind)
        if check is not None:
            check(entry)
        self._consumed(cursor)
        return entry

    async def recorded_entry(self, kind: type[EntryT], make: Callable[[], EntryT]) -> EntryT:
        """The entry of a call that writes one of its own kind: made and written live, the recorded one in replay."""
        if await self._settled() is not None:
            return await self.take(kind)
        entry = make()
        self.append(entry)
        return entry

    def note(self, entry: EntryT, same: Callable[[EntryT], bool]) -> None:
        """The same for callers that cannot wait, and have no use for what was recorded; `same` compares it.

        In replay an entry that has not been read yet is met as soon as the next call reads on.
        """
        self._noted.append((entry, same))
        self._meet_noted()

    def _meet_noted(self) -> None:
        while self._noted:
            cursor = self._cursor
            if cursor is not None and not cursor.ready:
                return
            entry, same = self._noted.popleft()
            if cursor is None:
                self.append(entry)
                continue
            recorded = cursor.take()
            if type(recorded) is not type(entry) or not same(recorded):
                raise UnexpectedOplogEntry(describe(entry), describe(recorded))
            self._consumed(cursor)

    def _replayed(self, cursor: ReplayCursor, function: str) -> Value:
        entry = cursor.take()
        if not isinstance(entry, HostCall) or entry.function != function:
            raise UnexpectedOplogEntry(f"HostCall({function})", describe(entry))
        self._consumed(cursor)
        return entry.response

    def _consumed(self, cursor: ReplayCursor) -> None:
        self._position = cursor.position
        if self._identities and cursor.position >= self._identities[0].since:
            self._become(cursor.position)
        if cursor.finished:
            self.go_live()

    def _become(self, position: int) -> None:
        while self._identities and position >= self._identities[0].since:
            identity = self._identities.popleft()
            _, self.name, self.component_revision, self.environment, self.golem_variables, files = identity
            if files != self.initial_files:
                before, self.initial_files = self.initial_files, files
                self.files_changed(before, files)

    @contextmanager
    def unrecorded(self) -> Generator[None]:
        """While this is entered everything happens live, and nothing of it is written (for snapshots)."""
        kept = self.oplog, self._cursor, self._position, self.current_key
        self.oplog, self._cursor = UnwrittenOplog(self.oplog), None
        try:
            yield
        finally:
            self.oplog, self._cursor, self._position, self.current_key = kept

    def go_live(self) -> None:
        """End replay here, whatever is left."""
        if self._cursor is not None:
            self._printed = PrintedLines(self._cursor.trailing_logs())
            self._cursor = None
            self._become(LIVE)
            if self.on_live is not None:
                self.on_live()

    def _write_call(
        self, category: Category, function: str, request: Value, response: Value, begin_index: int | None = None
    ) -> None:
        self._position = self.oplog.append(
            HostCall(
                timestamp=self.clock.now_ns() // 1_000_000,
                function=function,
                request=request,
                response=response,
                category=category,
                begin_index=begin_index,
            )
        )

    async def _recorded_later(
        self, function: RecordedFunction, pending: CoroutineType[Any, Any, Any], arguments: tuple[Value, ...]
    ) -> Value:
        response = await self._effect(function, arguments, pending)
        self._write_call(function.category, function.name, function.request(self, *arguments), response)
        return response

    async def _recorded_after_deferred(self, function: RecordedFunction, arguments: tuple[Value, ...]) -> Value:
        await self.deferred.run()
        response = self.recorded(function, arguments)
        return await response if response.__class__ is CoroutineType else response

    async def _effect(self, function: RecordedFunction, arguments: tuple[Value, ...], pending: Any = None) -> Value:
        """What the live effect gives, after as many attempts inside of the call as the retry policies allow."""
        while True:
            try:
                response = function.live(self, *arguments) if pending is None else pending
                return await response if response.__class__ is CoroutineType else response
            except TransientFailure as failure:
                pending = None
                if not await self.retries.wait_in_call(function.category, failure):
                    return failure.result

    async def _recorded_after_commit(self, function: RecordedFunction, arguments: tuple[Value, ...]) -> Value:
        await self.oplog.commit()
        response = await self._effect(function, arguments)
        self._write_call(function.category, function.name, function.request(self, *arguments), response)
        return response

    async def _remote_write(self, function: RecordedFunction, arguments: tuple[Value, ...]) -> Value:
        begin: int | None = None
        if not self.assume_idempotence:
            begin = self.append(BeginRemoteWrite(timestamp=self.now_ms()))
        await self.oplog.commit()
        response = await self._effect(function, arguments)
        self._write_call(function.category, function.name, function.request(self, *arguments), response)
        if begin is not None:
            self.append(EndRemoteWrite(timestamp=self.now_ms(), begin_index=begin))
        await self.oplog.commit()
        return response

    async def _recorded_slowly(self, function: RecordedFunction, arguments: tuple[Value, ...]) -> Value:
        """A recorded call in replay that has to read first, or that comes between a begin and an end."""
        cursor = await self._settled()
        if cursor is None:
            self.host_calls -= 1
            response = self.recorded(function, arguments)
            return await response if response.__class__ is CoroutineType else response
        if function.category != Category.WRITE_REMOTE or self.assume_idempotence:
            return self._replayed(cursor, function.name)
        begin = await self._replay_begin(BeginRemoteWrite)
        cursor = await self._settled()
        if cursor is None or not await cursor.ends_remote_write(begin):
            self.go_live()
            raise PermanentFailure(NOT_REPEATABLE)
        response = self._replayed(cursor, function.name)
        await self._replay_end(EndRemoteWrite)
        return response

    async def _replay_begin(self, kind: type[Entry]) -> int:
        await self.take(kind)
        return self._position

    async def _replay_end(self, kind: type[Entry]) -> None:
        if await self._settled() is not None:
            await self.take(kind)

    # --- Remote writes of several calls

    async def begin_remote_write(self, *, resumable: bool = False) -> int:
        """Open a remote write that several calls belong to; returns its index.

        In replay of one that was not completed, the worker goes live here and the write is done again from its
        beginning. That is not allowed where other effects lie behind the beginning: then replay goes on if the
        caller is `resumable`, that is, if it can take the write up again where the recorded calls end. Else, and
        always while effects may not be repeated, PermanentFailure.
        """
        if await self._settled() is None:
            begin = self.append(BeginRemoteWrite(timestamp=self.now_ms()))
            await self.oplog.commit()
            self.open_writes.append(begin)
            return begin
        begin = await self._replay_begin(BeginRemoteWrite)
        cursor = await self._settled()
        if cursor is not None and not await cursor.ends_remote_write(begin):
            foreign = await cursor.foreign_write_after(begin)
            if not self.assume_idempotence or (foreign and not resumable):
                self.go_live()
                raise PermanentFailure(NOT_REPEATABLE)
            if not foreign:
                await self.go_live_skipping_after(begin)
        elif cursor is None and not self.assume_idempotence:
            raise PermanentFailure(NOT_REPEATABLE)
        self.open_writes.append(begin)
        return begin

    def is_open_write(self, begin: int) -> bool:
        """Whether a remote write began there and has not ended."""
        return begin in self.open_writes

    async def end_remote_write(self, begin: int) -> None:
        """Close the remote write that began at `begin`, durably."""
        await self._settled()
        self.end_remote_write_soon(begin)
        if self._cursor is None:
            await self.oplog.commit()

    def end_remote_write_soon(self, begin: int) -> None:
        """Close the remote write that began at `begin`, for callers that cannot wait, such as the drop of a handle.

        Live, the entry is written at once and becomes durable with the next commit, which is started.
        """
        if begin in self.open_writes:
            self.open_writes.remove(begin)
        end = EndRemoteWrite(timestamp=self.now_ms(), begin_index=begin)
        self.note(end, lambda entry: entry.begin_index == begin)
        if self._cursor is None:
            self.oplog.commit_soon()

    async def go_live_skipping_after(self, begin: int) -> None:
        """Go live and let later replays skip what was recorded after index `begin` by an attempt that was cut off."""
        if self._cursor is None:
            return
        left = await self._cursor.anything_left()
        self.go_live()
        self._printed = PrintedLines()
        if left:
            await self.oplog.jump(begin + 1, self.now_ms())

    # --- Atomic regions, jumps, persistence

    async def begin_atomic_region(self) -> int:
        """Open an atomic region: if it is not closed before a failure, all of it happens again. Returns its index."""
        if await self._settled() is None:
            begin = self.append(BeginAtomicRegion(timestamp=self.now_ms()))
        else:
            begin = await self._replay_begin(BeginAtomicRegion)
            cursor = await self._settled()
            if cursor is not None and not await cursor.ends_atomic_region(begin):
                await self.go_live_skipping_after(begin)
        if not self._atomic_regions:
            self.keys.region_began(begin)
        self._atomic_regions.append(begin)
        return begin

    async def end_atomic_region(self, begin: int) -> None:
        """Close the atomic region that `begin_atomic_region` gave this index to."""
        if begin in self._atomic_regions:
            self._atomic_regions.remove(begin)
        elif begin not in self._lapsed_regions:
            raise InvalidWorkerRequest(f"no atomic region began at index {begin}")
        if await self._settled() is not None:
            await self.take(EndAtomicRegion)
        else:
            self.append(EndAtomicRegion(timestamp=self.now_ms(), begin_index=begin))

    async def oplog_index(self) -> int:
        """An index that `set_oplog_index` can go back to."""
        if await self._settled() is not None:
            await self.take(NoOp)
            return self._position
        return self.append(NoOp(timestamp=self.now_ms()))

    async def set_oplog_index(self, index: int) -> None:
        """Go back to the state at `index`: raises RestartWorker in live mode; in replay nothing happens.

        Raises GuestError-like PermanentFailure for an index that lies ahead or in a region that was dropped.
        """
        if await self._settled() is not None:
            return
        if index > self.oplog.last_index:
            raise PermanentFailure(f"Attempted to jump forward in oplog to index {index}")
        if index < 1 or in_regions(self.oplog.status.replay_skips, index):
            raise PermanentFailure(f"Attempted to jump to a deleted region in oplog to index {index}")
        await self.oplog.jump(index + 1, self.now_ms())
        raise RestartWorker()

    async def set_persistence_level(self, level: PersistenceLevel) -> None:
        """Choose how much is recorded from here on. A zone without persistence that was not closed runs again."""
        if level == self.persistence_level:
            return
        cursor = await self._settled()
        self.persistence_level = level
        if cursor is None:
            self.append(ChangePersistenceLevel(timestamp=self.now_ms(), persistence_level=level))
            await self.oplog.commit()
            return
        begin = await self._replay_begin(ChangePersistenceLevel)
        if level != PersistenceLevel.PERSIST_NOTHING:
            return
        cursor = await self._settled()
        if cursor is not None and not await cursor.ends_unrecorded_zone():
            await self.go_live_skipping_after(begin)

    @property
    def retry_policy(self) -> RetryPolicy:
        """The default policy, for what counts its attempts itself."""
        return self.oplog.status.retry_policy or self.settings.retry_policy

    def derive_idempotency_key(self, index: int | None = None) -> UUID:
        """The key for an effect that is about to happen (see `EffectKeys.effect`)."""
        return self.keys.effect(index)

    @property
    def outermost_region(self) -> int | None:
        """Where the outermost atomic region began, if one is open."""
        return self._atomic_regions[0] if self._atomic_regions else None

    # --- Output

    def log(self, level: LogLevel, context: str, message: str) -> None:
        """The guest printed or logged something. Nothing happens in replay, and nothing twice after it."""
        if self._cursor is None:
            entry = Log(timestamp=self.now_ms(), level=level, context=context, message=message)
            if not self._printed.again(entry):
                self.oplog.append(entry)
                if self.on_log is not None:
                    self.on_log(entry)

    async def back_pressure(self) -> None:
        """Wait while more is buffered than should be; for functions that print or log."""
        if self.oplog.full:
            await self.oplog.commit()

    async def pause(self, seconds: float) -> None:
        """Wait in memory. An interrupt ends it."""
        await asyncio.sleep(seconds)


async def _raising(failure: TransientFailure) -> Value:
    raise failure
