"""What a worker does, told live to those who watch it: output, log lines, beginnings and ends of invocations.

Events come out of committed oplog entries and of nothing else, so that nobody is told of what a crash could undo, and
nobody twice: each event has the index of its entry. Those of the past are read again from the oplog. A worker that
nobody watches pays for one look at a dictionary with each commit (reference: rest-api, section 6).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from golem_server.durable.ports import OplogStore
from golem_server.durable.stopping import refuse_if_ended
from golem_server.model.errors import WorkerInterrupted, WorkerNotFound
from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import (
    EncodedEntry,
    Entry,
    Error,
    Exited,
    Invocation,
    InvocationFinished,
    InvocationStarted,
    Log,
    decode_entry,
)
from golem_server.model.status import StatusRecord, decode_status
from golem_server.model.workers import StoredEntry, WorkerStatus

HISTORY_EVENTS = 128
"""Events of the past that a new watcher is told."""

HISTORY_ENTRIES = 4096
"""Entries at the oplog's end in which they are looked for."""

BEGINNING_READS = 8
"""How many times as many, before those, are looked through for the beginning of an invocation that ends in them."""

BACKLOG_EVENTS = 1024
BACKLOG_BYTES = 16 << 20
"""Events, and bytes of their entries, that may wait for a watcher; one that falls further behind misses some."""

TOLD_BYTES = 1 << 20
"""Bytes of entries that a watcher is told at a time, besides those that wait."""

_KINDS = frozenset(kind.kind for kind in (Log, InvocationStarted, InvocationFinished, Error, Exited))
_ENDS = frozenset(kind.kind for kind in (InvocationFinished, Error, Exited))


class WorkerEvent:
    """Something that happened: `entry` at `index`, within `invocation` (None if none is known). `size` is in bytes.

    `rendered` is a place for whoever shows events: made once for all watchers.
    """

    __slots__ = ("entry", "index", "invocation", "rendered", "size")

    def __init__(self, index: int, entry: Entry, size: int, invocation: Invocation | None) -> None:
        self.index = index
        self.entry = entry
        self.size = size
        self.invocation = invocation
        self.rendered: str | None = None


class _Reader:
    """Makes events of entries, which must come in order; remembers which invocation runs."""

    def __init__(self) -> None:
        self.running: Invocation | None = None

    def event(self, index: int, kind: int, data: bytes) -> WorkerEvent | None:
        """The event of an entry, if it makes one."""
        if kind not in _KINDS:
            return None
        entry = decode_entry(kind, data)
        if isinstance(entry, InvocationStarted):
            self.running = entry.invocation
        elif isinstance(entry, Error) and entry.retriable:
            return None
        event = WorkerEvent(index, entry, len(data), self.running)
        if not isinstance(entry, InvocationStarted | Log):
            self.running = None
        return event


class Watcher:
    """One who watches a worker; made by `WorkerEvents.watch`."""

    def __init__(self) -> None:
        self._events: deque[WorkerEvent] = deque()
        self._bytes = 0
        self._missed = 0
        self._ended: str | None = None
        self._changed = asyncio.Event()

    def tell(self, event: WorkerEvent) -> None:
        """Let the watcher know, or count what it misses."""
        # What follows on a missed event is missed as well, until all before it is told: so its place is known.
        if not self._missed and len(self._events) < BACKLOG_EVENTS and self._bytes < BACKLOG_BYTES:
            self._events.append(event)
            self._bytes += event.size
        else:
            self._missed += 1
        self._changed.set()

    def tell_past(self, events: deque[WorkerEvent]) -> None:
        """Let the watcher know first what was before everything else."""
        self._events.extendleft(reversed(events))
        self._bytes += sum(event.size for event in events)
        self._changed.set()

    def end(self, reason: str) -> None:
        """There will be no more events."""
        self._ended = reason
        self._changed.set()

    @property
    def end_reason(self) -> str | None:
        """Why there are no more events, or None as long as there may be some."""
        return self._ended

    async def next(self) -> tuple[Sequence[WorkerEvent], int]:
        """What has happened since the last call, at least something, and how many events right after it were missed.

        Nothing at all says that it is over.
        """
        while not self._events and self._ended is None:
            self._changed.clear()
            await self._changed.wait()
        told: list[WorkerEvent] = []
        left = TOLD_BYTES
        while self._events and left > 0:
            event = self._events.popleft()
            told.append(event)
            left -= event.size
        self._bytes -= TOLD_BYTES - left
        if self._events:
            return told, 0
        missed, self._missed = self._missed, 0
        return told, missed


class _Channel:
    """The watchers of one worker. `upto` is the index of the last entry that was made known to them."""

    def __init__(self) -> None:
        self.watchers: set[Watcher] = set()
        self.reader = _Reader()
        self.upto: int | None = None
        self.early: list[tuple[int, list[EncodedEntry]]] = []
        self.lock = asyncio.Lock()

    def begin(self, upto: int) -> None:
        """The past up to this index is known; go on with what came while it was read."""
        self.upto = upto
        early, self.early = self.early, []
        for first_index, entries in early:
            self.committed(first_index, entries)

    def committed(self, first_index: int, entries: list[EncodedEntry]) -> None:
        """Tell the watchers of new entries, or keep them until the past has been read."""
        if self.upto is None:
            self.early.append((first_index, entries))
            return
        for index, entry in enumerate(entries, first_index):
            if index <= self.upto:
                continue
            self.upto = index
            event = self.reader.event(index, entry.kind, entry.data)
            if event is not None:
                for watcher in self.watchers:
                    watcher.tell(event)


class WorkerEvents:
    """Who watches which worker of this server, and who waits for one to be created."""

    def __init__(self, store: OplogStore) -> None:
        self._store = store
        self._channels: dict[WorkerId, _Channel] = {}
        self._awaited: dict[WorkerId, list[asyncio.Future[None]]] = {}

    # --- From the executor

    def committed(self, worker_id: WorkerId, first_index: int, entries: list[EncodedEntry]) -> None:
        """These entries of the worker are durable."""
        channel = self._channels.get(worker_id)
        if channel is not None:
            channel.committed(first_index, entries)

    def created(self, worker_id: WorkerId) -> None:
        """The worker exists now."""
        for waiting in self._awaited.pop(worker_id, ()):
            if not waiting.done():
                waiting.set_result(None)

    def deleted(self, worker_id: WorkerId) -> None:
        """The worker is no more: its watchers are told so."""
        channel = self._channels.pop(worker_id, None)
        if channel is not None:
            for watcher in channel.watchers:
                watcher.end("the worker was deleted")

    def close(self) -> None:
        """The server stops: all watchers are told so."""
        for channel in self._channels.values():
            for watcher in channel.watchers:
                watcher.end("the server is stopping")
        self._channels.clear()

    # --- From those who watch

    async def creation(self, worker_id: WorkerId, seconds: float, exists: Callable[[], Awaitable[bool]]) -> bool:
        """Wait for the worker to be created, so long at most; whether it exists then."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(worker_id, []).append(waiting)
        try:
            if await exists():
                return True
            async with asyncio.timeout(seconds):
                await waiting
            return True
        except TimeoutError:
            return False
        finally:
            others = self._awaited.get(worker_id)
            if others is not None and waiting in others:
                others.remove(waiting)
                if not others:
                    del self._awaited[worker_id]

    async def watch(self, worker_id: WorkerId) -> Watcher:
        """Watch a worker, without starting it. The last events of the past are told first, then all that come.

        Raises WorkerNotFound; and for a worker that does nothing of its own any more WorkerInterrupted,
        PreviousInvocationFailed or PreviousInvocationExited.
        """
        channel = self._channels.get(worker_id)
        if channel is None:
            channel = self._channels[worker_id] = _Channel()
        watcher = Watcher()
        # Entered before anything is read: what is committed while the row is read would be missed otherwise.
        channel.watchers.add(watcher)
        try:
            async with channel.lock:
                stored = await self._store.find_worker(worker_id)
                if stored is None:
                    raise WorkerNotFound(worker_id)
                status = decode_status(stored.columns.record)
                refuse_if_ended(status)
                if status.status is WorkerStatus.INTERRUPTED:
                    raise WorkerInterrupted
                if channel.upto is None:
                    channel.reader.running = await self._running(stored.number, status)
                    watcher.tell_past(await self._past(channel.reader, stored.number, status.last_index))
                    channel.begin(status.last_index)
                else:
                    watcher.tell_past(await self._past(_Reader(), stored.number, channel.upto))
        except BaseException:
            self.leave(worker_id, watcher)
            raise
        return watcher

    def leave(self, worker_id: WorkerId, watcher: Watcher) -> None:
        """Watch no more."""
        channel = self._channels.get(worker_id)
        if channel is not None:
            channel.watchers.discard(watcher)
            if not channel.watchers:
                del self._channels[worker_id]

    async def _running(self, number: WorkerNumber, status: StatusRecord) -> Invocation | None:
        """The invocation that runs, where it began before the entries that are read anyway."""
        begun = status.current_started_index
        if status.current_idempotency_key is None or begun > status.last_index - HISTORY_ENTRIES:
            return None
        found = await self._store.read(number, begun, 1)
        entry = decode_entry(found[0].kind, found[0].data) if found else None
        return entry.invocation if isinstance(entry, InvocationStarted) else None

    async def _past(self, reader: _Reader, number: WorkerNumber, last_index: int) -> deque[WorkerEvent]:
        events: deque[WorkerEvent] = deque(maxlen=HISTORY_EVENTS)
        first = max(1, last_index - HISTORY_ENTRIES + 1)
        entries = await self._store.read(number, first, last_index - first + 1)
        if reader.running is None and _begins_within_an_invocation(entries):
            reader.running = await self._begun_before(number, first)
        for stored in entries:
            event = reader.event(stored.index, stored.kind, stored.data)
            if event is not None:
                events.append(event)
        return events

    async def _begun_before(self, number: WorkerNumber, end: int) -> Invocation | None:
        """The last invocation that began before an index, None if that is too far back."""
        for _ in range(BEGINNING_READS):
            first = max(1, end - HISTORY_ENTRIES)
            for stored in reversed(await self._store.read(number, first, end - first)):
                if stored.kind == InvocationStarted.kind:
                    entry = decode_entry(stored.kind, stored.data)
                    return entry.invocation if isinstance(entry, InvocationStarted) else None
            if first == 1:
                break
            end = first
        return None


def _begins_within_an_invocation(entries: Sequence[StoredEntry]) -> bool:
    """Whether an end comes before any beginning."""
    for stored in entries:
        if stored.kind == InvocationStarted.kind:
            return False
        if stored.kind in _ENDS:
            return True
    return False
