"""golem:api/retry: named policies set by a guest, asked for, and what they do to calls that fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.host_function import HostInterface
from golem_server.durable.retry import Failure, verdict_on
from golem_server.durable.signals import GuestError, TransientFailure
from golem_server.host import golem_api_host, golem_retry
from golem_server.host.retry_records import (
    named_policy_of,
    named_policy_record,
    policy_of,
    policy_record,
    predicate_of,
    predicate_record,
    state_record,
)
from golem_server.model import retry_policy as policies
from golem_server.model.oplog import (
    Category,
    Error,
    ErrorKind,
    HostCall,
    RemoveRetryPolicy,
    RetryPolicy,
    SetRetryPolicy,
)
from golem_server.model.retry_policy import NamedRetryPolicy, exhausted, initial_state
from golem_server.model.retry_predicate import Compare, Constant, TextTest
from golem_server.model.types import Value
from tests.host.host_worker import START_NS, HostWorker
from tests.model.test_retry_policy import POLICIES, PREDICATES

RETRY = "golem:api/retry"
SECOND = 10**9


class Outside:
    """Fails as often as it is told."""

    def __init__(self) -> None:
        self.failures = 0
        self.asked = 0
        self.result: Value = "unset"

    def ask(self) -> int:
        """Fail or count."""
        self.asked += 1
        if self.failures:
            self.failures -= 1
            properties = {"verb": "ask", "noun-uri": "test://outside"}
            if self.result == "unset":
                raise TransientFailure("outside is busy", properties)
            raise TransientFailure("outside is busy", properties, self.result)
        return self.asked


outside = HostInterface("test:it/outside")


@outside.recorded("read", Category.READ_REMOTE, "outside::read")
async def read(context: Any) -> Value:
    """A call that waits."""
    return context.service(Outside).ask()


@outside.recorded("read-at-once", Category.READ_LOCAL, "outside::read_at_once")
def read_at_once(context: Any) -> Value:
    """A call that answers at once."""
    return context.service(Outside).ask()


@outside.recorded("write", Category.WRITE_REMOTE, "outside::write")
async def write(context: Any) -> Value:
    """An effect."""
    return context.service(Outside).ask()


INTERFACES = [*golem_retry.INTERFACES, *golem_api_host.INTERFACES, outside]
QUICK = GuestSettings(retry_policy=RetryPolicy(3, 100, 1000, 3.0, None))


async def new_worker(tmp_path: Path, **facts: Any) -> tuple[HostWorker, Outside]:
    service = Outside()
    worker = await HostWorker.create(tmp_path, INTERFACES, services={Outside: service}, settings=QUICK, **facts)
    return worker, service


def record(name: str, priority: int, predicate: Any, policy: Any) -> Value:
    """A policy as a guest gives it."""
    return named_policy_record(NamedRetryPolicy(name, priority, predicate, policy))


EVERYTHING = Constant(True)


async def errors(worker: HostWorker) -> list[Error]:
    return [entry for entry in await worker.entries() if isinstance(entry, Error)]


@given(POLICIES, PREDICATES)
def test_lists_of_nodes_are_the_tree(tree: Any, predicate: Any) -> None:
    assert policy_of(policy_record(tree)) == tree
    assert predicate_of(predicate_record(predicate)) == predicate
    assert state_record(initial_state(tree))["nodes"]


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [("and-then", (0, 0))],
        [("jitter", {"factor": 1.0, "inner": 7})],
        [("jitter", {"factor": 1.0, "inner": -1})],
        [("policy-union", (1, 1))] + [("policy-union", (number + 2, number + 2)) for number in range(40)],
    ],
    ids=["empty", "to itself", "nowhere", "negative", "doubling"],
)
def test_lists_that_are_no_tree_are_the_guests_error(nodes: list[Value]) -> None:
    with pytest.raises(GuestError, match="retry policy"):
        named_policy_of({"name": "n", "priority": 1, "predicate": {"nodes": [("pred-true", None)]},
                         "policy": {"nodes": nodes}})  # fmt: skip


async def test_policies_are_set_asked_for_and_removed_and_replay_says_the_same(tmp_path: Path) -> None:
    worker, _ = await new_worker(tmp_path)
    mine = record("mine", 5, TextTest("starts-with", "verb", "G"), policies.Never())

    async def guest() -> list[Value]:
        seen = [await worker.call(RETRY, "get-retry-policies")]
        await worker.call(RETRY, "set-retry-policy", mine)
        seen.append(await worker.call(RETRY, "get-retry-policies"))
        seen.append(await worker.call(RETRY, "get-retry-policy-by-name", "mine"))
        seen.append(await worker.call(RETRY, "get-retry-policy-by-name", "none"))
        seen.append(await worker.call(RETRY, "resolve-retry-policy", "GET", "http://x/", [("k", ("integer", 5))]))
        seen.append(await worker.call(RETRY, "resolve-retry-policy", "PUT", "http://x/", []))
        await worker.call(RETRY, "remove-retry-policy", "mine")
        await worker.call(RETRY, "remove-retry-policy", "default")
        seen.append(await worker.call(RETRY, "get-retry-policies"))
        seen.append(await worker.call(RETRY, "resolve-retry-policy", "GET", "http://x/", []))
        return seen

    first = await guest()
    assert [named["name"] for named in first[0]] == ["default"]
    assert [named["name"] for named in first[1]] == ["mine", "default"]
    assert first[2] == mine
    assert first[3] is None
    assert first[4] == {"nodes": [("never", None)]}
    assert [case for case, _ in first[5]["nodes"]] == ["count-box", "clamp-delay", "exponential"]
    assert first[6:] == [[], None]
    entries = await worker.entries()
    assert [type(entry) for entry in entries if not isinstance(entry, HostCall)][2:] == [
        SetRetryPolicy,
        RemoveRetryPolicy,
        RemoveRetryPolicy,
    ]
    assert {entry.category for entry in await worker.host_calls()} == {Category.READ_REMOTE}
    await worker.replay()
    again = await guest()
    assert _plain(again) == _plain(first)
    assert await worker.entries() == entries


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


@pytest.mark.parametrize("name", ["read", "read-at-once", "write"])
async def test_a_failure_that_passes_is_tried_again_inside_of_the_call(tmp_path: Path, name: str) -> None:
    worker, service = await new_worker(tmp_path)
    service.failures = 2
    assert await worker.call("test:it/outside", name) == 3
    assert worker.clock.nanoseconds == START_NS + 400_000_000
    found = await errors(worker)
    assert [(error.message, error.retriable, error.error_kind) for error in found] == [
        ("in-function retry", True, ErrorKind.TRANSIENT)
    ] * 2
    assert found[1].retry_policy_state is not None
    assert policies.retry_count(found[1].retry_policy_state) == 2
    await worker.replay()
    assert await worker.call("test:it/outside", name) == 3
    assert service.asked == 3


async def test_attempts_go_on_counting_after_a_restart(tmp_path: Path) -> None:
    worker, service = await new_worker(tmp_path)
    service.failures = 2
    await worker.call("test:it/outside", "read")
    worker.store.cut(worker.number, len(await worker.entries()) - 1)
    await worker.replay(keep_buffered=False)
    service.failures = 2
    with pytest.raises(TransientFailure):
        await worker.call("test:it/outside", "read")
    assert len(await errors(worker)) == 3


async def test_when_attempts_are_used_up_the_guest_is_told(tmp_path: Path) -> None:
    worker, service = await new_worker(tmp_path)
    service.failures, service.result = 9, ("err", "busy")
    assert await worker.call("test:it/outside", "read") == ("err", "busy")
    assert service.asked == 4
    await worker.replay()
    assert await worker.call("test:it/outside", "read") == ["err", "busy"]
    assert service.asked == 4


async def test_what_must_not_be_repeated_inside_of_the_call_is_not(tmp_path: Path) -> None:
    worker, service = await new_worker(tmp_path)
    service.failures = 9
    worker.context.assume_idempotence = False
    with pytest.raises(TransientFailure):
        await worker.call("test:it/outside", "write")
    worker.context.assume_idempotence = True
    await worker.context.begin_atomic_region()
    with pytest.raises(TransientFailure):
        await worker.call("test:it/outside", "read")
    assert service.asked == 2
    assert await errors(worker) == []


async def test_a_long_delay_leaves_the_call_with_the_same_verdict(tmp_path: Path) -> None:
    worker, service = await new_worker(tmp_path)
    slow = record("slow", 5, Compare("eq", "verb", "ask"), policies.CountBox(1, policies.Periodic(30 * SECOND)))
    await worker.call(RETRY, "set-retry-policy", slow)
    service.failures = 9
    with pytest.raises(TransientFailure) as failure:
        await worker.call("test:it/outside", "read")
    assert service.asked == 1
    classified = Failure(ErrorKind.TRANSIENT, "busy")
    verdict = verdict_on(worker.context, classified, failure.value)
    assert verdict.delay == 30
    assert verdict.state == policies.CountBoxState(1, policies.Counter(1))


async def test_the_properties_of_a_trap_choose_the_policy(tmp_path: Path) -> None:
    worker, _ = await new_worker(tmp_path)
    trap = TextTest("matches", "noun-uri", "wasm://ru*")
    await worker.call(RETRY, "set-retry-policy", record("t", 9, trap, policies.Periodic(7 * SECOND)))
    needs_status = Compare("gt", "status-code", 500)
    await worker.call(RETRY, "set-retry-policy", record("s", 99, needs_status, policies.Never()))
    unknown = Failure(ErrorKind.UNKNOWN, "text")
    assert verdict_on(worker.context, unknown, RuntimeError()).delay == 7
    odd = Compare("eq", "trap-type", "deterministic-trap")
    await worker.call(RETRY, "set-retry-policy", record("t", 9, odd, policies.Never()))
    assert verdict_on(worker.context, unknown, RuntimeError()).delay == 0.1
    assert verdict_on(worker.context, Failure(ErrorKind.PERMANENT, ""), RuntimeError()).delay is None


async def test_a_state_of_another_policy_begins_anew(tmp_path: Path) -> None:
    worker, service = await new_worker(tmp_path)
    service.failures = 9
    with pytest.raises(TransientFailure):
        await worker.call("test:it/outside", "read")
    (*_, last) = await errors(worker)
    assert last.retry_policy_state is not None
    await worker.call(RETRY, "set-retry-policy", record("p", 9, EVERYTHING, policies.Periodic(SECOND)))
    point = worker.context.retry_point
    worker.context.oplog.status.retry_states[point] = exhausted(last.retry_policy_state)
    assert verdict_on(worker.context, Failure(ErrorKind.TRANSIENT, ""), RuntimeError()).delay == 1


async def test_a_time_box_looks_at_the_clock(tmp_path: Path) -> None:
    worker, service = await new_worker(tmp_path)
    box = policies.TimeBox(5 * SECOND, policies.Periodic(2 * SECOND))
    await worker.call(RETRY, "set-retry-policy", record("t", 9, EVERYTHING, box))
    service.failures = 99
    with pytest.raises(TransientFailure):
        await worker.call("test:it/outside", "read")
    assert service.asked == 4


async def test_the_old_call_sets_the_default(tmp_path: Path) -> None:
    worker, _ = await new_worker(tmp_path)
    old = {"max-attempts": 1, "min-delay": 10, "max-delay": 20, "multiplier": 1.0, "max-jitter-factor": None}
    await worker.call("golem:api/host", "set-retry-policy", old)
    (default,) = worker.context.retries.in_force()
    assert (default.name, default.priority) == ("default", 0)
    assert isinstance(default.policy, policies.CountBox)
    assert default.policy.max_retries == 1
