"""The file-server binding: a script says which file of a worker, and the file is the response.

A file that its worker may only read is the component's, and comes from there without the worker; any other one is read
between two invocations of the worker (reference: gateway, section 1.10). Files are sent in parts, never held whole.
"""

from __future__ import annotations

import asyncio
import mimetypes
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from golem_server.durable.worker_files import copy_content
from golem_server.gateway.classic.endpoints import Target, evaluate
from golem_server.gateway.classic.request_inputs import RequestFacts
from golem_server.gateway.classic.response_mapping import headers_of, status_of
from golem_server.gateway.classic.scripts import Script
from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.responses import GatewayResponse
from golem_server.gateway.rib import RibRuntimeError
from golem_server.model.agent_ids import agent_type_name
from golem_server.model.errors import WorkerNotFound
from golem_server.model.ids import WorkerId
from golem_server.model.types import Primitive, RecordType, ResultType, Value, WitType
from golem_server.registry.components import Components, RegisteredComponent

_PART_BYTES = 256 << 10
_SPOOL_BYTES = 1 << 20
_UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    status: int = 200
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class FileServerEndpoint:
    """Serves files of workers."""

    target: Target
    response: Script
    components: Components

    async def answer(self, facts: RequestFacts) -> GatewayResponse:
        """The file that the script names. Raises RequestFailed, and NotFound or InvalidInput about the file."""
        invoker = await self.target.invoker(facts)
        value = await evaluate(self.response, self.target, facts, invoker)
        try:
            type_ = self.response.compiled.output_of(value)
        except RibRuntimeError as error:
            raise RequestFailed(500, error.message) from None
        wanted = _file(type_, value)
        worker_id = invoker.worker(await self.target.worker_name(facts))
        content = await self._content(worker_id, wanted.path)
        kind = wanted.content_type or mimetypes.guess_type(wanted.path)[0] or _UNKNOWN_TYPE
        return GatewayResponse(wanted.status, [("content-type", kind)], content)

    async def _content(self, worker_id: WorkerId, path: str) -> AsyncIterator[bytes]:
        executor = self.target.executor
        component = await self._component(worker_id)
        agent_type = "" if component.agents is None else agent_type_name(worker_id.name)
        wanted = "/" + path.strip("/")
        for file in component.initial_files(agent_type):
            if file.path == wanted and file.permissions == "read-only":
                return self.components.file_contents(file.content_hash)
        with ExitStack() as stack:
            spool = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))
            await executor.visit(worker_id, lambda folder: _copied(folder, path, spool))
            # From here on it is closed when the response has been sent.
            stack.pop_all()
            return _parts(spool)

    async def _component(self, worker_id: WorkerId) -> RegisteredComponent:
        """The revision that the worker runs, or the latest."""
        try:
            revision = (await self.target.executor.find(worker_id)).columns.component_revision
        except WorkerNotFound:
            return await self.components.latest(worker_id.component_id)
        return await self.components.revision(worker_id.component_id, revision)


def _copied(folder: Path, path: str, spool: IO[bytes]) -> None:
    copy_content(folder, path, spool)
    spool.seek(0)


async def _parts(spool: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while part := await asyncio.to_thread(spool.read, _PART_BYTES):
            yield part
    finally:
        spool.close()


def _file(type_: WitType | None, value: Value) -> _File:
    """Which file a script's value names: a path, a record with `file-path`, or a result of either."""
    if isinstance(type_, ResultType):
        case, payload = value
        if case != "ok":
            raise _wrong(f"the script gives an error: {payload}")
        return _file(type_.ok, payload)
    if type_ is Primitive.STRING:
        return _File(value)
    types = {} if not isinstance(type_, RecordType) else {part.name: part.type for part in type_.fields}
    if types.get("file-path") is not Primitive.STRING:
        raise _wrong("expected a path, or a record with a `file-path`")
    headers = headers_of(types["headers"], value["headers"]) if "headers" in types else []
    return _File(
        path=value["file-path"],
        status=status_of(types["status"], value["status"]) if "status" in types else 200,
        content_type=next((text for name, text in headers if name.lower() == "content-type"), None),
    )


def _wrong(reason: str) -> RequestFailed:
    return RequestFailed(400, f"Error while processing rib result: {reason}")
