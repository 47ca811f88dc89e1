"""`getOplog`: a worker's oplog in pages (reference: rest-api, section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Query as QueryParameter

from golem_server.api.authentication import authenticated
from golem_server.api.dialects import CliDialect
from golem_server.api.json_bodies import json_response
from golem_server.api.oplog_json import OplogJson
from golem_server.api.paths import WorkerPath
from golem_server.api.services import services_of
from golem_server.api.workers import MAX_INT64
from golem_server.durable.executor import Executor
from golem_server.durable.oplog_reading import MAX_OPLOG_PAGE
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Entry, Invocation, InvocationFinished, InvocationStarted
from golem_server.model.oplog_query import Query, parse_query

_WRONG = "INVALID_OPLOG_QUERY_PARAMS"

router = APIRouter(tags=["Worker"], dependencies=[Depends(authenticated)])


@router.get("/v1/components/{component_id}/workers/{agent_name}/oplog", operation_id="getOplog")
async def worker_oplog(
    request: Request,
    worker_id: WorkerPath,
    cli: CliDialect,
    first: Annotated[int, QueryParameter(alias="from", ge=0, le=MAX_INT64)] = 1,
    count: Annotated[int, QueryParameter(ge=1, le=MAX_INT64)] = MAX_OPLOG_PAGE,
    cursor: Annotated[str | None, QueryParameter()] = None,
    query: Annotated[str | None, QueryParameter()] = None,
) -> Response:
    """Up to 100 entries from an index or a cursor on, or those that a query finds.

    `next` is missing only when the page is empty; a search that looked at many entries in vain says where to go on.
    """
    parsed = None
    if query is not None:
        if "from" in request.query_params:
            raise InvalidInput("The parameters `from` and `query` exclude each other", code=_WRONG)
        parsed = _parse_query(query)
    if cursor is not None:
        first = _parse_cursor(cursor)
    first = max(first, 1)
    executor = services_of(request).executor
    part = await executor.oplog(worker_id, first, count, query=parsed)
    entries = part.entries
    revision = (await executor.find(worker_id)).columns.component_revision
    component = await executor.component_of(worker_id)
    writer = OplogJson(worker_id, component.functions, cli)
    if component.agents is not None:
        with suppress(InvalidInput):
            writer.agent = component.agents.agent(worker_id.name)
    before = await _invocation_before(executor, worker_id, entries) if parsed is None else None
    if before is not None:
        writer.begin(before)
    following = None
    if part.next is not None:
        following = {
            "nextOplogIndex": part.next,
            "currentComponentVersion": revision,
            "currentComponentRevision": revision,
        }
    return json_response(
        {
            "entries": [
                {"oplogIndex": index, "entry": writer.entry(entry, apart=parsed is not None)}
                for index, entry in entries
            ],
            "next": following,
            "firstIndexInChunk": entries[0][0] if entries else first,
            "lastIndex": part.last_index,
        }
    )


async def _invocation_before(
    executor: Executor, worker_id: WorkerId, entries: Sequence[tuple[int, Entry]]
) -> Invocation | None:
    """The invocation whose result the page begins with the rest of, if the page before it says so."""
    for index, entry in entries:
        if isinstance(entry, InvocationStarted):
            return None
        if isinstance(entry, InvocationFinished):
            before = max(1, entries[0][0] - MAX_OPLOG_PAGE)
            earlier = await executor.oplog(worker_id, before, index - before)
            started = [item.invocation for _, item in earlier.entries if isinstance(item, InvocationStarted)]
            return started[-1] if started else None
    return None


def _parse_query(text: str) -> Query:
    try:
        return parse_query(text)
    except InvalidInput as error:
        raise InvalidInput(f"Invalid query: {error.message}", code=_WRONG) from error


def _parse_cursor(text: str) -> int:
    index, dash, version = text.partition("-")
    if not dash or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in (index, version)):
        raise InvalidInput("Invalid cursor, must have 'nextOplogIndex-componentVersion' format", code=_WRONG)
    return int(index)
