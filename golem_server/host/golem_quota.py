"""golem:quota/types (1.5): tokens by which a guest reserves what its environment has a limited amount of.

The account is in one place for all workers (`quota_ledger.py`), first come, first served; the credit of a token is
carried along for its other readers and decides nothing. A reservation has the key of the call that made it: after a
crash the same call finds it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError, PermanentFailure, SuspendWorker
from golem_server.host.golem_records import datetime_record, uuid_of, uuid_record
from golem_server.host.quota_ledger import QuotaLedger
from golem_server.model.oplog import Category
from golem_server.model.quota import QuotaAnswer
from golem_server.model.types import Value

quota = HostInterface("golem:quota/types")

INTERFACES = [quota]

MAX_NAME_CHARACTERS = 255
UNKNOWN_WAIT_SECONDS = 2.0
"""How soon a throttled worker asks again where nobody knows when there will be enough."""

_MAX_S64 = (1 << 63) - 1
_MAX_U64 = (1 << 64) - 1


@dataclass(slots=True)
class QuotaToken:
    """The resource `quota-token`. `credit_at` in milliseconds."""

    resource_name: str
    expected_use: int
    credit: int
    credit_at: int


class Reservation:
    """The resource `reservation`; dropping it gives everything back."""

    def __init__(self, context: WorkerContext, key: UUID) -> None:
        self.key = key
        self._context = context

    def dropped(self) -> None:
        """The guest used nothing of it."""
        self._context.service(QuotaLedger).release_soon(self.key, self._context.now_ms())


@quota.recorded("[constructor]quota-token", Category.WRITE_LOCAL, "golem::quota::quota-token::[constructor]quota-token")
def new_quota_token(context: WorkerContext, resource_name: str, expected_use: int) -> Value:
    """A token for a resource of the worker's environment."""
    _check_name(resource_name)
    return {"credit_at_ms": context.now_ms()}


@new_quota_token.finish
def _(context: WorkerContext, response: Value, resource_name: str, expected_use: int) -> Value:
    return context.resources.add(QuotaToken(resource_name, expected_use, 0, response["credit_at_ms"]))


def _reserve_request(context: WorkerContext, handle: int, amount: int) -> Value:
    return {"resource_name": context.resources.get(handle, QuotaToken).resource_name, "amount": amount}


@quota.recorded(
    "[method]quota-token.reserve",
    Category.WRITE_REMOTE,
    "golem::quota::quota-token::reserve",
    request=_reserve_request,
)
async def reserve(context: WorkerContext, handle: int, amount: int) -> Value:
    """Reserves an amount; where there is too little, the resource says what becomes of the guest."""
    token = context.resources.get(handle, QuotaToken)
    key = context.derive_idempotency_key()
    store, waited = context.service(QuotaLedger).store, 0.0
    while True:
        answer = await store.reserve(
            context.environment_id, token.resource_name, key, context.oplog.number, amount, context.now_ms()
        )
        if answer.granted:
            return {"result": ("ok", str(key)), **_credit(token)}
        if answer.enforcement == "reject":
            return {"result": ("err", answer.wait_ns), **_credit(token)}
        if answer.enforcement == "terminate":
            raise PermanentFailure(f"Agent terminated by quota: the resource {token.resource_name} is exhausted")
        waited += await _throttled(context, answer, waited)


async def _throttled(context: WorkerContext, answer: QuotaAnswer, waited: float) -> float:
    """Wait for more: in memory for a while, then outside of it. Gives the seconds that were waited."""
    seconds = UNKNOWN_WAIT_SECONDS if answer.wait_ns is None else answer.wait_ns / 1e9
    # A write that may not be repeated must not be left in the middle.
    if context.assume_idempotence and waited + seconds > context.settings.suspend_after:
        raise SuspendWorker(context.now_ms() + max(round(seconds * 1000), 1))
    seconds = min(max(seconds, 0.001), context.settings.suspend_after)
    await context.pause(seconds)
    return seconds


@reserve.finish
def _(context: WorkerContext, response: Value, _handle: int, _amount: int) -> Value:
    case, content = response["result"]
    if case == "ok":
        return ("ok", context.resources.add(Reservation(context, UUID(content))))
    return ("err", {"estimated-wait-nanos": content})


def _commit_request(_context: WorkerContext, _handle: int, used: int) -> Value:
    return {"used": used}


@quota.recorded(
    "[static]reservation.commit",
    Category.WRITE_REMOTE,
    "golem::quota::reservation::commit",
    request=_commit_request,
)
async def commit(context: WorkerContext, handle: int, used: int) -> Value:
    """Ends a reservation with what was used: the rest is given back, what was used beyond it is missed later."""
    reservation = context.resources.get(handle, Reservation)
    await context.service(QuotaLedger).store.commit(reservation.key, used, context.now_ms())
    return {"credit_after_at_ms": context.now_ms()}


@commit.finish
def _(context: WorkerContext, _response: Value, handle: int, _used: int) -> Value:
    context.resources.take(handle, Reservation)


@quota.unrecorded("[method]quota-token.split")
def split(context: WorkerContext, handle: int, child_expected_use: int) -> Value:
    """Another token with a part of this one's expected use and credit."""
    token = context.resources.get(handle, QuotaToken)
    if child_expected_use > token.expected_use:
        raise GuestError(
            f"cannot split {child_expected_use} units from a token with only {token.expected_use} expected-use"
        )
    # As in integers of C: towards zero.
    share = abs(token.credit) * child_expected_use // token.expected_use if token.expected_use else 0
    credit = share if token.credit >= 0 else -share
    child = QuotaToken(token.resource_name, child_expected_use, credit, token.credit_at)
    number = context.resources.add(child)
    token.expected_use -= child_expected_use
    token.credit -= credit
    return number


@quota.unrecorded("[method]quota-token.merge")
def merge(context: WorkerContext, handle: int, other: int) -> Value:
    """Takes in another token of the same resource."""
    token = context.resources.get(handle, QuotaToken)
    given = context.resources.get(other, QuotaToken)
    if token is given or token.resource_name != given.resource_name:
        raise GuestError(
            f"cannot merge tokens for different resources: `{token.resource_name}` vs `{given.resource_name}`"
        )
    context.resources.take(other, QuotaToken)
    token.expected_use = min(token.expected_use + given.expected_use, _MAX_U64)
    token.credit = max(-_MAX_S64 - 1, min(token.credit + given.credit, _MAX_S64))


@quota.unrecorded("[method]quota-token.to-record")
def to_record(context: WorkerContext, handle: int) -> Value:
    """The token as a value that can be sent to another worker."""
    token = context.resources.get(handle, QuotaToken)
    return {
        "environment-id": {"uuid": uuid_record(context.environment_id)},
        "resource-name": token.resource_name,
        "expected-use": token.expected_use,
        "last-credit": token.credit,
        "last-credit-at": datetime_record(token.credit_at),
    }


@quota.unrecorded("[static]quota-token.from-record")
def from_record(context: WorkerContext, serialized: Value) -> Value:
    """The token of such a value. Those of other environments are refused: records can be forged."""
    if uuid_of(serialized["environment-id"]["uuid"]) != context.environment_id:
        raise GuestError("a quota token of another environment cannot be used")
    _check_name(serialized["resource-name"])
    at = serialized["last-credit-at"]
    milliseconds = min(at["seconds"] * 1000 + at["nanoseconds"] // 1_000_000, _MAX_S64)
    token = QuotaToken(serialized["resource-name"], serialized["expected-use"], serialized["last-credit"], milliseconds)
    return context.resources.add(token)


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARACTERS or "\0" in name:
        raise GuestError(f"the name of a resource has no U+0000 and at most {MAX_NAME_CHARACTERS} characters")


def _credit(token: QuotaToken) -> dict[str, Any]:
    return {"credit_after": token.credit, "credit_after_at_ms": token.credit_at}
