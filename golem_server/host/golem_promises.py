"""Promises, the part of golem:api/host that lets a worker wait for somebody else.

A promise belongs to the worker that created it; its number is the oplog index of the call that did. Its data lives
outside the oplog, is written once and stays as long as the worker, so that a replay finds what the guest saw.
"""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError, SuspendWorker
from golem_server.host.golem_records import promise_id_of, promise_id_record
from golem_server.host.resources import Pollable
from golem_server.model.errors import NotFound
from golem_server.model.ids import OplogIndex, PromiseId
from golem_server.model.oplog import Category
from golem_server.model.types import Value

host = HostInterface("golem:api/host")

INTERFACES = [host]


class PromiseResult:
    """The resource `get-promise-result`."""

    def __init__(self, promise: PromiseId) -> None:
        self.promise = promise


class PromisePollable(Pollable):
    """Ready once the promise is complete.

    Only the worker's own promises can wake it from outside of memory; for somebody else's it waits in memory.
    """

    def __init__(self, context: WorkerContext, promise: PromiseId) -> None:
        self.promise = promise if promise.worker_id == context.worker_id else None
        self._context = context
        self._promise = promise
        self._complete = False

    def ready(self) -> bool:
        """Whether it was complete when last looked up."""
        return self._complete

    async def look_up(self) -> None:
        """Ask for the promise."""
        self._complete = self._complete or await promise_data(self._context, self._promise) is not None

    async def wait(self) -> None:
        """Wait for the promise."""
        await self._context.workers.wait_for_promise(self._promise)
        self._complete = True


@host.recorded("create-promise", Category.WRITE_LOCAL, "golem::api::create_promise")
def create_promise(context: WorkerContext) -> Value:
    """A new promise. Its index is that of the entry which records this very call, the next one.

    All of the id is recorded, because a copy of this oplog under another name must give the same one.
    """
    promise = PromiseId(context.worker_id, OplogIndex(context.oplog.last_index + 1))
    return promise_id_record(promise)


@host.unrecorded("get-promise")
def get_promise(context: WorkerContext, promise_id: Value) -> Value:
    """A handle to wait for a promise and to get its data."""
    return context.resources.add(PromiseResult(promise_id_of(promise_id)))


@host.unrecorded("[method]get-promise-result.subscribe")
def subscribe(context: WorkerContext, handle: int) -> Value:
    """A pollable that is ready once the promise is complete."""
    promise = context.resources.get(handle, PromiseResult).promise
    return context.resources.add(PromisePollable(context, promise))


def _no_request(_context: WorkerContext, _handle: int) -> Value:
    return {}


@host.recorded(
    "[method]get-promise-result.get",
    Category.READ_REMOTE,
    "golem::api::get_promise_result",
    request=_no_request,
)
async def get_promise_result(context: WorkerContext, handle: int) -> Value:
    """The data of a completed promise of this worker, none while it is open."""
    promise = context.resources.get(handle, PromiseResult).promise
    if promise.worker_id != context.worker_id:
        raise GuestError(f"the promise {promise} was created by another worker")
    return await promise_data(context, promise)


def _completed_promise(_context: WorkerContext, promise_id: Value, _data: bytes) -> Value:
    return {"promise_id": promise_id}


@host.recorded("complete-promise", Category.WRITE_LOCAL, "golem::api::complete_promise", request=_completed_promise)
async def complete_promise(context: WorkerContext, promise_id: Value, data: bytes) -> Value:
    """Completes a promise of whatever worker. False where it was complete before: the first data stays."""
    # Others see the promise from here on, so what led to it must not be lost.
    await context.oplog.commit()
    try:
        return await context.workers.complete_promise(promise_id_of(promise_id), data)
    except NotFound as error:
        raise GuestError(error.message) from error


@host.special("await-promise")
async def await_promise(context: WorkerContext, promise_id: Value) -> Value:
    """The data of a promise, waiting for it outside of memory (golem:api up to 1.1)."""
    promise = promise_id_of(promise_id)
    data = await promise_data(context, promise)
    if data is None:
        if promise.worker_id == context.worker_id:
            raise SuspendWorker(promises=[promise])
        await context.workers.wait_for_promise(promise)
        data = await promise_data(context, promise)
    return data


@host.recorded("poll-promise", Category.READ_REMOTE, "golem::api::poll_promise")
async def poll_promise(context: WorkerContext, promise_id: Value) -> Value:
    """The data of a promise, none while it is open (golem:api up to 1.1)."""
    return await promise_data(context, promise_id_of(promise_id))


@host.recorded("delete-promise", Category.WRITE_LOCAL, "golem::api::delete_promise")
def delete_promise(_context: WorkerContext, promise_id: Value) -> Value:
    """The guest needs the promise no more (golem:api up to 1.1). Its data stays: replay may ask for it again."""
    return None


async def promise_data(context: WorkerContext, promise: PromiseId) -> bytes | None:
    """The data of a promise, None while it is open. Raises GuestError where there is no such promise."""
    if promise.worker_id == context.worker_id and promise.oplog_index > context.oplog.committed_index:
        await context.oplog.commit()
    try:
        return await context.workers.promise_data(promise)
    except NotFound as error:
        raise GuestError(error.message) from error
