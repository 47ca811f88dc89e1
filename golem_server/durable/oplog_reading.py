"""Reading an oplog for those who look at it from outside: pages, and searches over all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from golem_server.durable.ports import OplogStore
from golem_server.model.errors import UnexpectedOplogEntry, WorkerNotFound
from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import Entry, InvocationFinished, decode_entry
from golem_server.model.oplog_query import Query
from golem_server.model.oplog_search import SearchableEntry
from golem_server.model.types import Value

MAX_OPLOG_PAGE = 100
"""Entries in one page of an oplog (reference: durability, section 2)."""

MAX_OPLOG_PAGE_BYTES = 8 << 20
"""The page ends earlier where its entries are large."""

CHUNK_ENTRIES = 500
MAX_SEARCHED = 100_000
"""Entries that one search looks at. Where it ends without a hit it says where to go on."""


@dataclass(frozen=True, slots=True)
class OplogPart:
    """Entries with their indexes. `next` is where the following ones begin, None where there are none."""

    entries: Sequence[tuple[int, Entry]]
    next: int | None
    last_index: int


async def read_oplog(
    store: OplogStore, worker_id: WorkerId, first: int, count: int, query: Query | None, last: int | None
) -> OplogPart:
    """Entries from index `first` on that match the query, at most 100, none behind `last`. Raises WorkerNotFound."""
    stored = await store.find_worker(worker_id)
    if stored is None:
        raise WorkerNotFound(worker_id)
    end = stored.columns.last_index if last is None else last
    first, count = max(first, 1), min(count, MAX_OPLOG_PAGE)
    if query is None:
        return await read_part(store, stored.number, first, count, end)
    return await search_part(store, stored.number, first, count, end, query)


async def read_part(store: OplogStore, number: WorkerNumber, first: int, count: int, last: int) -> OplogPart:
    """Up to `count` entries from `first` on, up to index `last`."""
    stored = await store.read(number, first, min(count, max(last - first + 1, 0)), MAX_OPLOG_PAGE_BYTES)
    entries = [(entry.index, decode_entry(entry.kind, entry.data)) for entry in stored]
    following = entries[-1][0] + 1 if entries else None
    return OplogPart(entries, following, last)


async def recorded_result(store: OplogStore, number: WorkerNumber, index: int) -> Value:
    """The result in the InvocationFinished entry at an index. Raises UnexpectedOplogEntry for another entry."""
    (stored,) = await store.read(number, index, 1)
    entry = decode_entry(stored.kind, stored.data)
    if not isinstance(entry, InvocationFinished):
        raise UnexpectedOplogEntry("InvocationFinished", type(entry).__name__)
    return entry.result


async def search_part(
    store: OplogStore, number: WorkerNumber, first: int, count: int, last: int, query: Query
) -> OplogPart:
    """The next `count` entries that match, from `first` on, up to index `last`. Others can work meanwhile."""
    hits: list[tuple[int, Entry]] = []
    position, end = first, min(last, first + MAX_SEARCHED - 1)
    while position <= end:
        part = await read_part(store, number, position, CHUNK_ENTRIES, end)
        for index, entry in part.entries:
            if query.matches(SearchableEntry(entry), None):
                hits.append((index, entry))
                if len(hits) == count:
                    return OplogPart(hits, index + 1, last)
        if part.next is None:
            break
        position = part.next
        await asyncio.sleep(0)
    following = position if hits or position <= last else None
    return OplogPart(hits, following, last)
