"""Recorded functions of golem:api/oplog, retry, quota and durability: live, and in replay without an effect.

A recorded function that is added to the server needs such a row, here or in another module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from golem_server.durable.host_function import HostFunctions
from golem_server.host import golem_durability, golem_oplog, golem_quota, golem_retry
from golem_server.host.catalog import ALL
from golem_server.host.golem_records import worker_id_record
from golem_server.host.quota_ledger import QuotaLedger
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host import (
    test_golem_agent,
    test_golem_agent_rpc,
    test_recorded_functions,
    test_recorded_stores,
    test_rpc,
)
from tests.host.host_worker import WORKER_ID, HostWorker
from tests.host.test_golem_durability import text_value
from tests.host.test_golem_quota import MemoryAccount
from tests.model.agent_strategies import with_lists

OPLOG, RETRY, QUOTA = "golem:api/oplog", "golem:api/retry", "golem:quota/types"
DURABILITY = "golem:durability/durability"
INTERFACES = [
    *golem_oplog.INTERFACES,
    *golem_retry.INTERFACES,
    *golem_quota.INTERFACES,
    *golem_durability.INTERFACES,
]
HERE = worker_id_record(WORKER_ID)


class Row(NamedTuple):
    """A function, what a guest does with it (giving what it learned), and the entry that is expected."""

    interface: str
    name: str
    use: Callable[[HostWorker], Awaitable[Value]]
    category: Category
    record: str


def calling(interface: str, name: str, *arguments: Value) -> Callable[[HostWorker], Awaitable[Value]]:
    """One call."""

    async def use(worker: HostWorker) -> Value:
        return await worker.call(interface, name, *arguments)

    return use


async def token(worker: HostWorker) -> int:
    return await worker.call(QUOTA, "[constructor]quota-token", "tokens", 5)


async def new_token(worker: HostWorker) -> Value:
    return await worker.call(QUOTA, "[method]quota-token.to-record", await token(worker))


async def reserve(worker: HostWorker) -> Value:
    handle = await token(worker)
    return [await worker.call(QUOTA, "[method]quota-token.reserve", handle, amount) for amount in (7, 7)]


async def commit(worker: HostWorker) -> Value:
    _, reservation = await worker.call(QUOTA, "[method]quota-token.reserve", await token(worker), 7)
    return await worker.call(QUOTA, "[static]reservation.commit", reservation, 4)


async def read_oplog(worker: HostWorker) -> Value:
    handle = await worker.call(OPLOG, "[constructor]get-oplog", HERE, 1)
    return await worker.call(OPLOG, "[method]get-oplog.get-next", handle)


async def search_oplog(worker: HostWorker) -> Value:
    handle = await worker.call(OPLOG, "[constructor]search-oplog", HERE, "run")
    return await worker.call(OPLOG, "[method]search-oplog.get-next", handle)


async def own_function(worker: HostWorker) -> Value:
    kind: Value = ("read-remote", None)
    begin = await worker.call(DURABILITY, "begin-durable-function", kind)
    if (await worker.call(DURABILITY, "current-durable-execution-state"))["is-live"]:
        response = text_value(str(worker.clock.nanoseconds))
        await worker.call(
            DURABILITY, "persist-durable-function-invocation", "own::now", text_value("in"), response, kind
        )
    else:
        persisted = await worker.call(DURABILITY, "read-persisted-durable-function-invocation")
        response = persisted["response"]
    await worker.call(DURABILITY, "end-durable-function", kind, begin, False)
    return response


READ, WRITE = Category.READ_REMOTE, Category.WRITE_REMOTE
ROWS = [
    Row(OPLOG, "[constructor]get-oplog", read_oplog, READ, "golem::api::oplog::get_oplog::new"),
    Row(OPLOG, "[constructor]search-oplog", search_oplog, READ, "golem::api::oplog::search_oplog::new"),
    Row(
        RETRY, "get-retry-policies", calling(RETRY, "get-retry-policies"), READ, "golem::api::retry::get_retry_policies"
    ),
    Row(
        RETRY,
        "get-retry-policy-by-name",
        calling(RETRY, "get-retry-policy-by-name", "default"),
        READ,
        "golem::api::retry::get_retry_policy_by_name",
    ),
    Row(
        RETRY,
        "resolve-retry-policy",
        calling(RETRY, "resolve-retry-policy", "get", "http://a/b", []),
        READ,
        "golem::api::retry::resolve_retry_policy",
    ),
    Row(
        QUOTA,
        "[constructor]quota-token",
        new_token,
        Category.WRITE_LOCAL,
        "golem::quota::quota-token::[constructor]quota-token",
    ),
    Row(QUOTA, "[method]quota-token.reserve", reserve, WRITE, "golem::quota::quota-token::reserve"),
    Row(QUOTA, "[static]reservation.commit", commit, WRITE, "golem::quota::reservation::commit"),
    Row(DURABILITY, "persist-durable-function-invocation", own_function, READ, "own::now"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_replay_gives_what_the_live_call_gave(tmp_path: Path, row: Row) -> None:
    account = MemoryAccount()
    account.answer = account.answer.__class__(False, "reject", 5)
    ledger = QuotaLedger(account)
    worker = await HostWorker.create(tmp_path, INTERFACES, services={QuotaLedger: ledger})
    first = with_lists(await row.use(worker))
    calls = await worker.host_calls()
    assert (row.record, row.category) in [(call.function, call.category) for call in calls]
    seen = (account.asked, dict(account.held), list(account.committed))
    worker.clock.advance(100)
    await worker.replay()
    assert not worker.context.is_live
    assert with_lists(await row.use(worker)) == first
    assert worker.context.is_live
    assert await worker.host_calls() == calls
    assert (account.asked, dict(account.held), list(account.committed)) == seen


ROWS_BY_NAME: set[tuple[str, str]] = {
    *((row[0], row[1]) for row in (*ROWS, *test_recorded_stores.ROWS)),
    *((row[0], row[1]) for row in (*test_recorded_functions.RECORDED, *test_golem_agent.RECORDED)),
    *((test_golem_agent.HOST, f"[method]wasm-rpc.{row[0]}") for row in test_golem_agent_rpc.RECORDED),
    *((test_rpc.TYPES, row[0]) for row in test_rpc.RECORDED),
}
"""What the tables of all modules have."""

IN_TESTS_OF_THEIR_OWN: set[tuple[str, str]] = {
    ("golem:api/host", "[method]get-agents.get-next"),
    ("golem:api/host", "[method]get-workers.get-next"),
    ("golem:agent/host", "[method]cancellation-token.cancel"),
    ("golem:agent/host", "[method]future-invoke-result.cancel"),
    ("golem:agent/host", "[method]future-invoke-result.get"),
    ("golem:api/host", "complete-promise"),
    ("golem:api/host", "create-promise"),
    ("golem:api/host", "delete-promise"),
    ("golem:api/host", "generate-idempotency-key"),
    ("golem:api/host", "get-self-metadata"),
    ("golem:api/host", "poll-promise"),
    ("golem:rdbms/mysql", "[method]db-connection.execute"),
    ("golem:rdbms/mysql", "[method]db-connection.query"),
    ("golem:rdbms/mysql", "[static]db-connection.open"),
    ("golem:rdbms/postgres", "[method]db-connection.execute"),
    ("golem:rdbms/postgres", "[method]db-connection.query"),
    ("golem:rdbms/postgres", "[static]db-connection.open"),
    ("golem:rpc/types", "[method]cancellation-token.cancel"),
    ("golem:rpc/types", "[method]future-invoke-result.get"),
    ("golem:websocket/client", "[method]websocket-connection.close"),
    ("golem:websocket/client", "[method]websocket-connection.receive"),
    ("golem:websocket/client", "[method]websocket-connection.receive-with-timeout"),
    ("golem:websocket/client", "[method]websocket-connection.send"),
    ("golem:websocket/client", "[static]websocket-connection.connect"),
    ("wasi:filesystem/types", "[method]descriptor.metadata-hash"),
    ("wasi:filesystem/types", "[method]descriptor.metadata-hash-at"),
    ("wasi:filesystem/types", "[method]descriptor.stat"),
    ("wasi:filesystem/types", "[method]descriptor.stat-at"),
    ("wasi:io/poll", "[method]pollable.block"),
    ("wasi:io/poll", "[method]pollable.ready"),
    ("wasi:io/poll", "poll"),
    ("wasi:sockets/ip-name-lookup", "resolve-addresses"),
}
"""What needs more of a world than a row has: the tests of its interface have that, and replay."""

NOT_REPLAYED_ALONE: set[tuple[str, str]] = {
    ("golem:api/host", "fork"),
    ("golem:api/host", "fork-agent"),
    ("golem:api/host", "fork-worker"),
    ("golem:api/host", "get-agent-metadata"),
    ("golem:api/host", "get-worker-metadata"),
    ("golem:api/host", "revert-agent"),
    ("golem:api/host", "revert-worker"),
    ("golem:api/host", "update-agent"),
    ("golem:api/host", "update-worker"),
    ("golem:agent/host", "create-webhook"),
    ("golem:api/host", "[method]get-promise-result.get"),
}
"""What is only used together with a whole server, or under another name of the same function. Not to grow."""


def test_no_recorded_function_is_new_without_a_row() -> None:
    recorded = {
        (function.interface, function.name) for function in HostFunctions(ALL).all() if function.category is not None
    }
    assert recorded - ROWS_BY_NAME == IN_TESTS_OF_THEIR_OWN | NOT_REPLAYED_ALONE
