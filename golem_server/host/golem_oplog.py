"""golem:api/oplog: a guest reads and searches oplogs of other workers, or its own, page by page.

What is read is not recorded, it would grow with each reading: only where the oplog ended when the guest asked for it.
Oplogs only grow, so that replay reads the same entries again.
"""

from __future__ import annotations

from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.oplog_reading import OplogPart
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.signals import GuestError
from golem_server.host.golem_records import worker_id_of
from golem_server.host.oplog_records import Generation, PublicEntries
from golem_server.host.raw_oplog_reading import read_raw_entry
from golem_server.host.rpc_calls import caller_of
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.errors import GolemError, InvalidInput, NotFound
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Category
from golem_server.model.oplog_query import Query, parse_query
from golem_server.model.principals import uuid_of
from golem_server.model.types import FunctionType, ListType, OptionType, TupleType, Value, VariantType, WitType

oplog = HostInterface("golem:api/oplog")

INTERFACES = [oplog]

PAGE_ENTRIES = 100

# What comes of payloads that are not ours; the types of the values in them are not known before.
_NOT_AN_ENTRY = (GolemError, GuestError, TypeError, ValueError, LookupError, AttributeError, RecursionError)


class OplogReader:
    """The resources `get-oplog` and `search-oplog`: how far the guest has read, and where it ends."""

    def __init__(self, worker_id: WorkerId, first: int, last: int, query: Query | None) -> None:
        self.worker_id = worker_id
        self.last = last
        self._next: int | None = max(first, 1)
        self._query = query

    async def page(self, context: WorkerContext, generation: Generation) -> list[tuple[int, Value]] | None:
        """The next entries with their indexes, None at the end."""
        while self._next is not None and self._next <= self.last:
            part = await _part(context, self.worker_id, self._next, PAGE_ENTRIES, self._query, self.last)
            self._next = part.next
            if part.entries:
                component = await _component(context, self.worker_id)
                functions, agents = (None, None) if component is None else (component.functions, component.agents)
                writer = PublicEntries(generation, self.worker_id, functions, agents)
                return [(index, writer.entry(entry)) for index, entry in part.entries]
        return None


async def _part(
    context: WorkerContext, worker_id: WorkerId, first: int, count: int, query: Query | None, last: int | None
) -> OplogPart:
    try:
        return await context.workers.oplog(worker_id, first, count, query=query, last=last)
    except NotFound as error:
        raise GuestError(error.message) from error


async def _component(context: WorkerContext, worker_id: WorkerId) -> WorkerComponent | None:
    try:
        return await context.workers.component_of(worker_id)
    except NotFound:
        return None


async def _end(context: WorkerContext, worker: Value) -> Value:
    """Where the oplog ends now, for the record."""
    worker_id = worker_id_of(worker)
    if worker_id == context.worker_id:
        await context.oplog.commit()
    return {"last_index": (await _part(context, worker_id, 1, 1, None, None)).last_index}


def _asked_for(_context: WorkerContext, worker: Value, wanted: Value) -> Value:
    worker_id = worker_id_of(worker)
    return {"component_id": str(worker_id.component_id), "agent_id": worker_id.name, "wanted": wanted}


@oplog.recorded("[constructor]get-oplog", Category.READ_REMOTE, "golem::api::oplog::get_oplog::new", request=_asked_for)
async def new_get_oplog(context: WorkerContext, worker: Value, _start: int) -> Value:
    """A reader of an oplog from an index on."""
    return await _end(context, worker)


@new_get_oplog.finish
def _(context: WorkerContext, response: Value, worker: Value, start: int) -> Value:
    reader = OplogReader(worker_id_of(worker), start, response["last_index"], None)
    return context.resources.add(reader)


@oplog.recorded(
    "[constructor]search-oplog", Category.READ_REMOTE, "golem::api::oplog::search_oplog::new", request=_asked_for
)
async def new_search_oplog(context: WorkerContext, worker: Value, text: str) -> Value:
    """A search of an oplog."""
    _query(text)
    return await _end(context, worker)


@new_search_oplog.finish
def _(context: WorkerContext, response: Value, worker: Value, text: str) -> Value:
    reader = OplogReader(worker_id_of(worker), 1, response["last_index"], _query(text))
    return context.resources.add(reader)


@oplog.unrecorded("enrich-oplog-entries")
async def enrich_oplog_entries(
    context: WorkerContext, environment_id: Value, agent_id: Value, entries: list[Value], component_revision: int
) -> Value:
    """`result<list<public-oplog-entry>, string>` of raw entries, with what is known of the component's revision."""
    worker_id = worker_id_of(agent_id)
    try:
        component = await context.workers.calls.component_at(
            caller_of(context), worker_id.component_id, component_revision
        )
    except NotFound as error:
        return ("err", error.message)
    if component.environment_id != uuid_of(environment_id["uuid"]):
        return ("err", f"Component {worker_id.component_id} not found in this environment")
    writer = PublicEntries("1.5", worker_id, component.functions, component.agents)
    return enriched(writer, entries, component.agents)


def enriched(writer: PublicEntries, entries: list[Value], agents: ComponentAgents | None) -> Value:
    """`result<list<public-oplog-entry>, string>` of raw entries with their indexes."""
    public: list[Value] = []
    for index, raw in entries:
        try:
            read = read_raw_entry(raw, agents)
            if read.invocation is not None:
                writer.begin(read.invocation)
            public.append(writer.entry(read.entry))
        except _NOT_AN_ENTRY as error:
            return ("err", f"entry {index} cannot be read: {error}")
    return ("ok", public)


def _query(text: str) -> Query:
    try:
        return parse_query(text)
    except InvalidInput as error:
        raise GuestError(f"Invalid query: {error.message}") from error


def _declare(generation: Generation) -> None:
    def accepts(type: FunctionType) -> bool:
        return generation_of(type) == generation

    @oplog.unrecorded("[method]get-oplog.get-next", accepts=accepts)
    async def _get_next(context: WorkerContext, handle: int) -> Value:
        page = await context.resources.get(handle, OplogReader).page(context, generation)
        return None if page is None else [entry for _, entry in page]

    @oplog.unrecorded("[method]search-oplog.get-next", accepts=accepts)
    async def _search_next(context: WorkerContext, handle: int) -> Value:
        return await context.resources.get(handle, OplogReader).page(context, generation)


def generation_of(type: FunctionType) -> Generation:
    """Which generation's cases the entries have that a function returns."""
    found: WitType | Any = type.result
    while isinstance(found, OptionType | ListType | TupleType):
        if isinstance(found, OptionType):
            found = found.inner
        else:
            found = found.element if isinstance(found, ListType) else found.items[-1]
    names = {case.name for case in found.cases} if isinstance(found, VariantType) else {"host-call"}
    if "host-call" in names:
        return "1.5"
    return "1.3" if "pending-agent-invocation" in names else "1.1"


for _generation in ("1.5", "1.3", "1.1"):
    _declare(_generation)
