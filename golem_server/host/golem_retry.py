"""golem:api/retry (1.5): named retry policies of the worker, which the guest asks for, sets and removes."""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError
from golem_server.host.retry_records import named_policy_of, named_policy_record, policy_record, value_of
from golem_server.model.oplog import Category
from golem_server.model.retry_policy import failure_properties, resolve
from golem_server.model.retry_predicate import RetryEvaluationError
from golem_server.model.types import Value

retry = HostInterface("golem:api/retry")

INTERFACES = [retry]

MAX_PROPERTIES = 256


@retry.recorded("get-retry-policies", Category.READ_REMOTE, "golem::api::retry::get_retry_policies")
def get_retry_policies(context: WorkerContext) -> Value:
    """All policies in force, the highest priority first."""
    return [named_policy_record(named) for named in context.retries.in_force()]


@retry.recorded("get-retry-policy-by-name", Category.READ_REMOTE, "golem::api::retry::get_retry_policy_by_name")
def get_retry_policy_by_name(context: WorkerContext, name: str) -> Value:
    """The policy of a name, none where there is none in force."""
    found = next((named for named in context.retries.in_force() if named.name == name), None)
    return None if found is None else named_policy_record(found)


@retry.recorded("resolve-retry-policy", Category.READ_REMOTE, "golem::api::retry::resolve_retry_policy")
def resolve_retry_policy(context: WorkerContext, verb: str, noun_uri: str, properties: Value) -> Value:
    """The policy that would be chosen for such a failure."""
    if len(properties) > MAX_PROPERTIES:
        raise GuestError(f"a failure has more than {MAX_PROPERTIES} properties")
    known = failure_properties(verb, noun_uri)
    known.update({name: value_of(value) for name, value in properties})
    try:
        found = resolve(context.retries.in_force(), known)
    except RetryEvaluationError as error:
        raise GuestError(f"Retry policy resolution error: {error}") from error
    return None if found is None else policy_record(found.policy)


@retry.special("set-retry-policy")
async def set_retry_policy(context: WorkerContext, policy: Value) -> Value:
    """Adds a policy, or replaces that of the same name."""
    await context.retries.set(named_policy_of(policy))


@retry.special("remove-retry-policy")
async def remove_retry_policy(context: WorkerContext, name: str) -> Value:
    """Takes the policy of a name out of force, the default one too."""
    await context.retries.remove(name)
