"""The reading end of one worker's oplog: gives replay the entries that the guest's calls must meet, in order.

Hints and entries inside skipped regions are left out (reference: durability, sections 2 and 3). Entries are read in
chunks; within a chunk everything is at hand without waiting, which is what makes replay of synchronous calls fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from golem_server.durable.ports import OplogStore
from golem_server.model.errors import InternalBug, UnexpectedOplogEntry
from golem_server.model.ids import WorkerNumber
from golem_server.model.oplog import (
    ENTRY_TYPES,
    BeginAtomicRegion,
    BeginRemoteTransaction,
    BeginRemoteWrite,
    CancelPendingInvocation,
    Category,
    ChangePersistenceLevel,
    CommittedRemoteTransaction,
    EndAtomicRegion,
    EndRemoteWrite,
    Entry,
    FinishSpan,
    HostCall,
    Invocation,
    InvocationFinished,
    InvocationStarted,
    Log,
    PendingInvocation,
    PersistenceLevel,
    PreCommitRemoteTransaction,
    PreRollbackRemoteTransaction,
    Region,
    RolledBackRemoteTransaction,
    SetSpanAttribute,
    StartSpan,
    decode_entry,
)
from golem_server.model.status import StatusRecord, fold_next
from golem_server.model.workers import StoredEntry

CHUNK_ENTRIES = 4096
CHUNK_BYTES = 1 << 20
"""What is read of an oplog at a time: so many entries, or until they have so many bytes."""

LOOK_AHEAD_BYTES = 2 * CHUNK_BYTES
"""What is kept of entries that are only looked at; behind that they are looked at and read again when their turn
comes."""

EntryT = TypeVar("EntryT", bound=Entry)

_Matcher: TypeAlias = Callable[[Entry], bool]

_HINTS = frozenset(kind for kind, entry in ENTRY_TYPES.items() if entry.hint)
OF_INVOCATIONS = frozenset(
    {PendingInvocation.kind, CancelPendingInvocation.kind, InvocationStarted.kind, InvocationFinished.kind}
)
_REMOTE_WRITES = frozenset({4, 5, 6})


@dataclass(slots=True)
class History:
    """What an oplog says about its invocations: those that still wait, and where the results are, by key."""

    pending: dict[str, Invocation] = field(default_factory=dict[str, Invocation])
    results: dict[str, int] = field(default_factory=dict[str, int])
    current: str | None = None

    def add(self, index: int, entry: Entry, dropped: bool) -> None:
        """Take one more entry into account; `dropped` ones lie in a region that no longer counts."""
        if isinstance(entry, PendingInvocation):
            self.pending[entry.invocation.idempotency_key] = entry.invocation
        elif isinstance(entry, CancelPendingInvocation):
            self.pending.pop(entry.idempotency_key, None)
        elif isinstance(entry, InvocationStarted):
            self.pending.pop(entry.invocation.idempotency_key, None)
            if not dropped:
                self.current = entry.invocation.idempotency_key
        elif isinstance(entry, InvocationFinished) and not dropped and self.current is not None:
            self.results[self.current] = index
            self.current = None


_STEPS = (
    PreCommitRemoteTransaction,
    PreRollbackRemoteTransaction,
    CommittedRemoteTransaction,
    RolledBackRemoteTransaction,
)
_OF_INDEXES = (HostCall, EndRemoteWrite, EndAtomicRegion, *_STEPS)
_OWNED = frozenset(kind.kind for kind in (*_OF_INDEXES, FinishSpan, SetSpanAttribute))


def _owner(entry: Entry) -> int | str | None:
    """What an entry belongs to that another entry began: the index of a write or a region, or the id of a span."""
    if isinstance(entry, _OF_INDEXES):
        return entry.begin_index
    return entry.span_id if isinstance(entry, FinishSpan | SetSpanAttribute) else None


class _Begun:
    """What some entries begin: `left` is what they do not end, by index or span id."""

    def __init__(self) -> None:
        self.left: set[int | str] = set()

    def add(self, index: int, entry: Entry) -> None:
        """Take one more entry into account."""
        if isinstance(entry, BeginRemoteWrite | BeginAtomicRegion):
            self.left.add(index)
        elif isinstance(entry, BeginRemoteTransaction):
            self.left.add(entry.original_begin_index or index)
        elif isinstance(entry, StartSpan):
            self.left.add(entry.span_id)
        elif isinstance(
            entry, EndRemoteWrite | EndAtomicRegion | CommittedRemoteTransaction | RolledBackRemoteTransaction
        ):
            self.left.discard(entry.begin_index)


class ReplayCursor:
    """Walks over the entries `first`..`target` that replay consumes.

    With a `snapshot`, the index of the entry that holds one, it consumes only what follows; the entries before are read
    for the history of invocations alone, as are those that are `passed_over`: invocations of an ephemeral agent leave
    nothing behind. `position` is the index of the entry consumed last. `finished` is exact whenever no chunk has to be
    read, and `load` reads the next one.
    """

    def __init__(
        self,
        store: OplogStore,
        number: WorkerNumber,
        *,
        first: int,
        target: int,
        skipped: Sequence[Region],
        snapshot: int = 0,
        passed_over: Region | None = None,
    ) -> None:
        self._store = store
        self._number = number
        self._target = target
        self._skipped = [region for region in skipped if region.end >= first]
        self._passed_over = passed_over
        self._read_up_to = first - 1
        self._entries: list[StoredEntry] = []
        self._next = 0
        self._bytes = 0
        self._left_out: set[int | str] = set()
        self._snapshot = snapshot
        self.position = max(first - 1, snapshot)
        self._trailing_logs: Counter[tuple[int, str, str]] = Counter()
        self.history = History()

    @property
    def ready(self) -> bool:
        """Whether the next entry is in memory."""
        return self._next < len(self._entries)

    @property
    def finished(self) -> bool:
        """Whether replay has consumed everything. Only meaningful when `exhausted` is not set."""
        return self._next >= len(self._entries) and self._read_up_to >= self._target

    @property
    def exhausted(self) -> bool:
        """Whether the next chunk must be read before anything can be said."""
        return self._next >= len(self._entries) and self._read_up_to < self._target

    async def load(self) -> None:
        """Read chunks until an entry is at hand or the end is reached."""
        while self.exhausted:
            if self._next:
                self._entries = []
                self._next = self._bytes = 0
            await self._read_chunk()

    def take(self) -> Entry:
        """Consume the next entry, which must be `ready`."""
        stored = self._entries[self._next]
        self._next += 1
        self.position = stored.index
        return decode_entry(stored.kind, stored.data)

    async def peek(self) -> Entry | None:
        """The next entry, which stays the next one; None at the end."""
        await self.load()
        if not self.ready:
            return None
        stored = self._entries[self._next]
        return decode_entry(stored.kind, stored.data)

    async def next(self) -> Entry | None:
        """Consume the next entry, reading if need be; None at the end."""
        if not self.ready:
            await self.load()
            if not self.ready:
                return None
        return self.take()

    async def expect(self, kind: type[EntryT]) -> EntryT:
        """Consume the next entry, which must be of this kind. Raises UnexpectedOplogEntry."""
        entry = await self.next()
        if not isinstance(entry, kind):
            raise UnexpectedOplogEntry(kind.__name__, describe(entry))
        return entry

    async def ends_remote_write(self, begin: int) -> bool:
        """Whether the remote write that began at `begin` has its end ahead."""
        return await self._find(lambda entry: isinstance(entry, EndRemoteWrite) and entry.begin_index == begin)

    async def ends_atomic_region(self, begin: int) -> bool:
        """Whether the atomic region that began at `begin` has its end ahead, or its invocation has."""
        return await self._find(
            lambda entry: (
                isinstance(entry, InvocationFinished)
                or (isinstance(entry, EndAtomicRegion) and entry.begin_index == begin)
            )
        )

    async def ends_unrecorded_zone(self) -> bool:
        """Whether the zone without persistence in which replay stands is closed ahead."""
        return await self._find(
            lambda entry: (
                isinstance(entry, InvocationFinished)
                or (
                    isinstance(entry, ChangePersistenceLevel)
                    and entry.persistence_level != PersistenceLevel.PERSIST_NOTHING
                )
            )
        )

    async def foreign_write_after(self, begin: int) -> bool:
        """Whether anything ahead happened outside and does not belong to the remote write that began at `begin`.

        Then that write cannot simply be done again (reference: durability, section 3).
        """

        unrecorded = False

        def foreign(entry: Entry) -> bool:
            # Nothing counts in a zone without persistence.
            nonlocal unrecorded
            if isinstance(entry, ChangePersistenceLevel):
                unrecorded = entry.persistence_level == PersistenceLevel.PERSIST_NOTHING
            if unrecorded and not isinstance(entry, InvocationFinished):
                return False
            if isinstance(entry, HostCall):
                # A guest's own batched call names no beginning: it is that of the batch which is open.
                own = {begin, None} if entry.category != Category.WRITE_REMOTE else {begin}
                return entry.category in _REMOTE_WRITES and entry.begin_index not in own
            return isinstance(entry, InvocationFinished | BeginRemoteWrite)

        return await self._find(foreign)

    @property
    def next_index(self) -> int:
        """The index of the next entry, which must be `ready`."""
        return self._entries[self._next].index

    def opens_unrecorded_zone(self) -> bool:
        """Whether the next entry, which must be `ready`, opens a zone without persistence."""
        stored = self._entries[self._next]
        if stored.kind != ChangePersistenceLevel.kind:
            return False
        entry = decode_entry(stored.kind, stored.data)
        return isinstance(entry, ChangePersistenceLevel) and entry.persistence_level == PersistenceLevel.PERSIST_NOTHING

    async def skip_unrecorded_zone(self) -> bool:
        """Leave out the zone that the next entry opens, for a guest that does not go through it in replay.

        What was begun in the zone and goes on behind it is left out too. False if the zone has no end, or if nothing
        follows it: then all is as before.
        """
        begun = _Begun()
        position = self._next + 1
        while True:
            if position == len(self._entries):
                if self._read_up_to >= self._target:
                    return False
                await self._read_chunk()
                continue
            stored = self._entries[position]
            entry = decode_entry(stored.kind, stored.data)
            if isinstance(entry, InvocationFinished):
                break
            position += 1
            if isinstance(entry, ChangePersistenceLevel):
                break
            begun.add(stored.index, entry)
        while position == len(self._entries) and self._read_up_to < self._target:
            await self._read_chunk()
        if position == len(self._entries):
            return False
        self._left_out.update(begun.left)
        self._entries = [stored for stored in self._entries[position:] if not self._belongs_to_left_out(stored)]
        self._next = 0
        return True

    async def anything_left(self) -> bool:
        """Whether entries are left that nobody has consumed."""
        await self.load()
        return self.ready

    def trailing_logs(self) -> Counter[tuple[int, str, str]]:
        """Log lines after the last entry that replay consumes: the guest will print them again."""
        return self._trailing_logs

    async def _find(self, matches: _Matcher) -> bool:
        return await self.find(matches) is not None

    async def find(self, matches: _Matcher) -> Entry | None:
        """The first entry ahead that matches."""
        position = self._next
        while True:
            while position < len(self._entries):
                stored = self._entries[position]
                entry = decode_entry(stored.kind, stored.data)
                if matches(entry):
                    return entry
                position += 1
            if self._read_up_to >= self._target:
                return None
            if self._bytes >= LOOK_AHEAD_BYTES:
                return await self._find_beyond(matches)
            await self._read_chunk()

    async def _find_beyond(self, matches: _Matcher) -> Entry | None:
        """Look for an entry behind those that are in memory, and keep none."""
        position, skipped = self._read_up_to, list(self._skipped)
        while position < self._target:
            chunk = await self._chunk_after(position)
            position = chunk[-1].index
            for stored in chunk:
                if stored.kind in _HINTS or _is_within(skipped, stored.index) or self._belongs_to_left_out(stored):
                    continue
                entry = decode_entry(stored.kind, stored.data)
                if matches(entry):
                    return entry
        return None

    async def _chunk_after(self, index: int) -> list[StoredEntry]:
        count = min(CHUNK_ENTRIES, self._target - index)
        chunk = await self._store.read(self._number, index + 1, count, CHUNK_BYTES)
        if not chunk or chunk[-1].index != index + len(chunk):
            raise InternalBug(f"oplog of worker {self._number} has a gap after index {index}")
        return chunk

    async def _read_chunk(self) -> None:
        chunk = await self._chunk_after(self._read_up_to)
        self._read_up_to = chunk[-1].index
        for stored in chunk:
            dropped = bool(self._skipped) and _is_within(self._skipped, stored.index)
            dropped = dropped or (bool(self._left_out) and self._belongs_to_left_out(stored))
            if stored.kind in OF_INVOCATIONS:
                self.history.add(stored.index, decode_entry(stored.kind, stored.data), dropped)
            passed_over = self._passed_over
            if stored.index <= self._snapshot or (
                passed_over is not None and passed_over.start <= stored.index <= passed_over.end
            ):
                continue
            if stored.kind in _HINTS:
                if stored.kind == Log.kind:
                    self._remember_log(stored)
            elif not dropped:
                self._entries.append(stored)
                self._bytes += len(stored.data)
                self._trailing_logs.clear()

    def _belongs_to_left_out(self, stored: StoredEntry) -> bool:
        owner = _owner(decode_entry(stored.kind, stored.data)) if stored.kind in _OWNED else None
        return owner is not None and owner in self._left_out

    def _remember_log(self, stored: StoredEntry) -> None:
        entry = decode_entry(stored.kind, stored.data)
        if isinstance(entry, Log):
            self._trailing_logs[entry.level, entry.context, entry.message] += 1


def _is_within(regions: list[Region], index: int) -> bool:
    """Whether the index lies in one of the regions; those before it are taken away."""
    while regions and regions[0].end < index:
        regions.pop(0)
    return bool(regions) and regions[0].start <= index


async def entries_up_to(store: OplogStore, number: WorkerNumber, target: int) -> AsyncGenerator[list[StoredEntry]]:
    """All entries from index 1 to `target`, in chunks."""
    last = 0
    while last < target:
        chunk = await store.read(number, last + 1, min(CHUNK_ENTRIES, target - last), CHUNK_BYTES)
        if not chunk:
            raise InternalBug(f"oplog of worker {number} ends before index {target}")
        yield chunk
        last = chunk[-1].index


async def fold_oplog(
    store: OplogStore, number: WorkerNumber, target: int, skipped: Sequence[Region], deleted: Sequence[Region]
) -> StatusRecord:
    """The status record, computed from entry 1 to `target`: for when a region has changed what counts."""
    record = StatusRecord()
    async for chunk in entries_up_to(store, number, target):
        for stored in chunk:
            fold_next(record, stored.index, decode_entry(stored.kind, stored.data), skipped, deleted)
    return record


def describe(entry: Entry | None) -> str:
    """An entry for an error text."""
    if entry is None:
        return "the end of the oplog"
    if isinstance(entry, HostCall):
        return f"HostCall({entry.function})"
    return type(entry).__name__
