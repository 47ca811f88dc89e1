"""golem:api/host: how a guest steers its own durability, in all versions of the interface.

Each function serves every version that has it; promises are in `golem_promises.py`.
"""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError
from golem_server.host.golem_records import (
    persistence_level_of,
    persistence_level_variant,
    uuid_record,
    worker_id_record,
)
from golem_server.model.errors import InvalidWorkerRequest
from golem_server.model.oplog import Category, RetryPolicy
from golem_server.model.types import Value

_NANOSECONDS = 1_000_000
_RETRY_POLICY = "golem:api/host retry-policy"

host = HostInterface("golem:api/host")

INTERFACES = [host]


# --- The oplog


@host.special("get-oplog-index")
async def get_oplog_index(context: WorkerContext) -> Value:
    """An index to go back to."""
    return await context.oplog_index()


@host.special("set-oplog-index")
async def set_oplog_index(context: WorkerContext, oplog_index: int) -> Value:
    """Goes back to the state at an index."""
    await context.set_oplog_index(oplog_index)


@host.special("oplog-commit")
async def oplog_commit(context: WorkerContext, _replicas: int) -> Value:
    """Returns when everything so far is durable: a committed entry is on all replicas that the database has."""
    if await context.settle_replay():
        await context.oplog.commit()


@host.special("mark-begin-operation")
async def mark_begin_operation(context: WorkerContext) -> Value:
    """Opens an atomic region."""
    return await context.begin_atomic_region()


@host.special("mark-end-operation")
async def mark_end_operation(context: WorkerContext, begin: int) -> Value:
    """Closes the atomic region that began there."""
    try:
        await context.end_atomic_region(begin)
    except InvalidWorkerRequest as error:
        raise GuestError(error.details) from error


@host.special("trap")
def trap(_context: WorkerContext, reason: str) -> Value:
    """Always traps (golem:api 1.5)."""
    raise GuestError(f"guest-requested trap: {reason}")


# --- How it is recorded and tried again


@host.unrecorded("get-oplog-persistence-level")
def get_oplog_persistence_level(context: WorkerContext) -> Value:
    """How much is recorded."""
    return persistence_level_variant(context.persistence_level)


@host.special("set-oplog-persistence-level")
async def set_oplog_persistence_level(context: WorkerContext, new_persistence_level: Value) -> Value:
    """Chooses how much is recorded."""
    await context.set_persistence_level(persistence_level_of(new_persistence_level))


@host.unrecorded("get-idempotence-mode")
def get_idempotence_mode(context: WorkerContext) -> Value:
    """Whether remote writes may be repeated when it is not known whether they happened."""
    return context.assume_idempotence


@host.unrecorded("set-idempotence-mode")
def set_idempotence_mode(context: WorkerContext, idempotent: bool) -> Value:
    """Chooses whether remote writes may be repeated."""
    context.assume_idempotence = idempotent


@host.unrecorded("get-retry-policy")
def get_retry_policy(context: WorkerContext) -> Value:
    """The policy that this guest set last, or the server's (golem:api up to 1.3). Delays in nanoseconds.

    Not the policy of the status record: in replay that is already the one which the guest is going to set later.
    """
    policy: RetryPolicy = context.local.get(_RETRY_POLICY, context.settings.retry_policy)
    return {
        "max-attempts": policy.max_attempts,
        "min-delay": policy.min_delay * _NANOSECONDS,
        "max-delay": policy.max_delay * _NANOSECONDS,
        "multiplier": policy.multiplier,
        "max-jitter-factor": policy.max_jitter_factor,
    }


@host.special("set-retry-policy")
async def set_retry_policy(context: WorkerContext, new_retry_policy: Value) -> Value:
    """Chooses the worker's retry policy (golem:api up to 1.3)."""
    policy = RetryPolicy(
        max_attempts=new_retry_policy["max-attempts"],
        min_delay=_milliseconds(new_retry_policy["min-delay"]),
        max_delay=_milliseconds(new_retry_policy["max-delay"]),
        multiplier=new_retry_policy["multiplier"],
        max_jitter_factor=new_retry_policy.get("max-jitter-factor"),
    )
    await context.retries.change(policy)
    context.local[_RETRY_POLICY] = policy


def _milliseconds(nanoseconds: int) -> int:
    return -(-nanoseconds // _NANOSECONDS)


@host.recorded("generate-idempotency-key", Category.WRITE_REMOTE, "golem::api::generate_idempotency-key")
def generate_idempotency_key(context: WorkerContext) -> Value:
    """A key for an effect of the guest: the same each time that this place is reached again."""
    return uuid_record(context.derive_idempotency_key())


# --- About itself


@host.recorded("get-self-metadata", Category.READ_LOCAL, "golem::api::get_self_metadata")
def get_self_metadata(context: WorkerContext) -> Value:
    """What is known of this worker."""
    return {
        "agent-id": worker_id_record(context.worker_id),
        "args": list(context.arguments),
        "env": [(key, value) for key, value in context.environment.items()],
        "config": list(context.config.items()),
        "status": "running",
        "component-revision": context.component_revision,
        "retry-count": context.oplog.status.retry_count,
        "environment-id": {"uuid": uuid_record(context.environment_id)},
    }


@get_self_metadata.finish
def _(_context: WorkerContext, response: Value) -> Value:
    return {
        **response,
        "worker-id": response["agent-id"],
        "component-version": response["component-revision"],
        "wasi-config-vars": response["config"],
        "config-vars": response["config"],
    }
