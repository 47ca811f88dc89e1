"""Recorded functions of golem:api (promises, metadata, oplog, retry), golem:quota and golem:durability."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from golem_server.host import (
    golem_api_host,
    golem_durability,
    golem_oplog,
    golem_promises,
    golem_quota,
    golem_retry,
    wasi_clocks,
    wasi_io,
)
from golem_server.host.golem_records import worker_id_record
from golem_server.host.quota_ledger import QuotaLedger
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host.host_worker import WORKER_ID, HostWorker
from tests.host.recorded.world import Means, Row, Use, World, calling, plain_world
from tests.host.test_golem_durability import text_value
from tests.host.test_golem_quota import MemoryAccount

HOST, OPLOG, RETRY = "golem:api/host", "golem:api/oplog", "golem:api/retry"
QUOTA, DURABILITY, POLL = "golem:quota/types", "golem:durability/durability", "wasi:io/poll"
READ, WRITE = Category.READ_REMOTE, Category.WRITE_REMOTE
READ_HERE, WRITE_HERE = Category.READ_LOCAL, Category.WRITE_LOCAL
HERE = worker_id_record(WORKER_ID)


# --- Promises, and what a worker asks about itself


@asynccontextmanager
async def promises_world(means: Means) -> AsyncGenerator[World]:
    """A worker with promises, which are forgotten before the replay."""
    interfaces = [
        *golem_api_host.INTERFACES,
        *golem_promises.INTERFACES,
        *wasi_io.INTERFACES,
        *wasi_clocks.INTERFACES,
    ]
    worker = await HostWorker.create(means.folder, interfaces)
    workers = worker.workers

    def forget() -> None:
        for promise in list(workers.data):
            workers.missing.add(promise)
        workers.data.clear()

    yield World(worker, effects=lambda: sorted(map(str, workers.missing | workers.data.keys())), disable=forget)
    worker.context.close()


async def create_promise(world: World) -> Value:
    return await world.call(HOST, "create-promise")


async def complete_promise(world: World) -> Value:
    promise = await create_promise(world)
    return [await world.call(HOST, "complete-promise", promise, content) for content in (b"first", b"second")]


async def delete_promise(world: World) -> Value:
    return await world.call(HOST, "delete-promise", await create_promise(world))


async def poll_promise(world: World) -> Value:
    promise = await create_promise(world)
    before = await world.call(HOST, "poll-promise", promise)
    await world.call(HOST, "complete-promise", promise, b"done")
    return [before, await world.call(HOST, "poll-promise", promise)]


async def get_promise_result(world: World) -> Value:
    promise = await create_promise(world)
    handle = await world.call(HOST, "get-promise", promise)
    before = await world.call(HOST, "[method]get-promise-result.get", handle)
    await world.call(HOST, "complete-promise", promise, b"done")
    return [before, await world.call(HOST, "[method]get-promise-result.get", handle)]


def waiting(name: str) -> Use:
    """What a pollable of a timer says before and after its time, or when it is waited for."""

    async def use(world: World) -> Value:
        timer = await world.call("wasi:clocks/monotonic-clock", "subscribe-duration", 1_000_000_000)
        if name == "poll":
            return await world.call(POLL, "poll", [timer])
        if name == "[method]pollable.block":
            await world.call(POLL, name, timer)
            return await world.call(POLL, "[method]pollable.ready", timer)
        before = await world.call(POLL, name, timer)
        await world.call(POLL, "poll", [timer])
        return [before, await world.call(POLL, name, timer)]

    return use


def about_promises(name: str, category: Category, use: Use, record: str | None = None) -> Row:
    return Row(HOST, name, f"golem::api::{record or name.replace('-', '_')}", category, use, promises_world)


PROMISE_ROWS = [
    about_promises("create-promise", WRITE_HERE, create_promise),
    about_promises("complete-promise", WRITE_HERE, complete_promise),
    about_promises("delete-promise", WRITE_HERE, delete_promise),
    about_promises("poll-promise", READ, poll_promise),
    about_promises("[method]get-promise-result.get", READ, get_promise_result, "get_promise_result"),
    about_promises(
        "generate-idempotency-key",
        WRITE,
        calling(HOST, "generate-idempotency-key"),
        "generate_idempotency-key",
    ),
    about_promises("get-self-metadata", READ_HERE, calling(HOST, "get-self-metadata")),
    Row(POLL, "poll", "io::poll::poll", READ_HERE, waiting("poll"), promises_world),
    Row(
        POLL,
        "[method]pollable.block",
        "io::poll::poll",
        READ_HERE,
        waiting("[method]pollable.block"),
        promises_world,
    ),
    Row(
        POLL,
        "[method]pollable.ready",
        "io::poll::pollable::ready",
        READ_HERE,
        waiting("[method]pollable.ready"),
        promises_world,
    ),
]


# --- Oplogs and retry policies


async def read_oplog(world: World) -> Value:
    handle = await world.call(OPLOG, "[constructor]get-oplog", HERE, 1)
    return await world.call(OPLOG, "[method]get-oplog.get-next", handle)


async def search_oplog(world: World) -> Value:
    handle = await world.call(OPLOG, "[constructor]search-oplog", HERE, "run")
    return await world.call(OPLOG, "[method]search-oplog.get-next", handle)


def about_retries(name: str, *arguments: Value) -> Row:
    record = f"golem::api::retry::{name.replace('-', '_')}"
    return Row(RETRY, name, record, READ, calling(RETRY, name, *arguments), plain_world(golem_retry.INTERFACES))


def about_oplogs(name: str, use: Use) -> Row:
    record = f"golem::api::oplog::{name.replace('-', '_')}::new"
    return Row(OPLOG, f"[constructor]{name}", record, READ, use, plain_world(golem_oplog.INTERFACES))


OPLOG_ROWS = [about_oplogs("get-oplog", read_oplog), about_oplogs("search-oplog", search_oplog)]
RETRY_ROWS = [
    about_retries("get-retry-policies"),
    about_retries("get-retry-policy-by-name", "default"),
    about_retries("resolve-retry-policy", "get", "http://a/b", []),
]


# --- Quotas


@asynccontextmanager
async def quota_world(means: Means) -> AsyncGenerator[World]:
    """A worker of an environment with ten tokens; whoever asks for more is turned away."""
    account = MemoryAccount()
    account.answer = account.answer.__class__(False, "reject", 5)
    services = {QuotaLedger: QuotaLedger(account)}
    worker = await HostWorker.create(means.folder, golem_quota.INTERFACES, services=services)

    def effects() -> Value:
        return [account.asked, sorted(account.held.values()), account.committed]

    yield World(worker, effects)
    worker.context.close()


async def token(world: World) -> int:
    return await world.call(QUOTA, "[constructor]quota-token", "tokens", 5)


async def new_token(world: World) -> Value:
    return await world.call(QUOTA, "[method]quota-token.to-record", await token(world))


async def reserve(world: World) -> Value:
    handle = await token(world)
    return [await world.call(QUOTA, "[method]quota-token.reserve", handle, amount) for amount in (7, 7)]


async def commit(world: World) -> Value:
    _, reservation = await world.call(QUOTA, "[method]quota-token.reserve", await token(world), 7)
    return await world.call(QUOTA, "[static]reservation.commit", reservation, 4)


QUOTA_ROWS = [
    Row(
        QUOTA,
        "[constructor]quota-token",
        "golem::quota::quota-token::[constructor]quota-token",
        WRITE_HERE,
        new_token,
        quota_world,
    ),
    Row(QUOTA, "[method]quota-token.reserve", "golem::quota::quota-token::reserve", WRITE, reserve, quota_world),
    Row(QUOTA, "[static]reservation.commit", "golem::quota::reservation::commit", WRITE, commit, quota_world),
]


# --- Functions that a guest makes durable itself


async def own_function(world: World) -> Value:
    kind: Value = ("read-remote", None)
    begin = await world.call(DURABILITY, "begin-durable-function", kind)
    if (await world.call(DURABILITY, "current-durable-execution-state"))["is-live"]:
        response = text_value(str(world.worker.clock.nanoseconds))
        await world.call(
            DURABILITY, "persist-durable-function-invocation", "own::now", text_value("in"), response, kind
        )
    else:
        persisted = await world.call(DURABILITY, "read-persisted-durable-function-invocation")
        response = persisted["response"]
    await world.call(DURABILITY, "end-durable-function", kind, begin, False)
    return response


ROWS = [
    *PROMISE_ROWS,
    *OPLOG_ROWS,
    *RETRY_ROWS,
    *QUOTA_ROWS,
    Row(
        DURABILITY,
        "persist-durable-function-invocation",
        "own::now",
        READ,
        own_function,
        plain_world(golem_durability.INTERFACES),
    ),
]
