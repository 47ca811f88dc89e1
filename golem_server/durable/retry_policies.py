"""Retry policies of one worker: which are in force, what they say about a failure, and attempts inside of a call.

The guest sets and removes named policies, which are recorded; the status record holds what came of it. Policies of the
same name override each other in the order: the server's default, the environment's, the guest's (reference: durability,
section 6).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from golem_server.durable.signals import TransientFailure
from golem_server.model.oplog import (
    Category,
    ChangeRetryPolicy,
    Error,
    ErrorKind,
    RemoveRetryPolicy,
    RetryPolicy,
    SetRetryPolicy,
)
from golem_server.model.retry_policy import (
    DEFAULT_NAME,
    InvalidState,
    NamedRetryPolicy,
    PolicyTree,
    RetryState,
    advanced,
    effective_policies,
    exhausted,
    initial_state,
    named_default,
    resolve,
    resolve_leniently,
    step,
)
from golem_server.model.retry_predicate import Properties, PropertyValue, RetryEvaluationError, mentions

if TYPE_CHECKING:
    from golem_server.durable.context import WorkerContext

MAX_DELAY_INSIDE_CALL = 20.0
"""Seconds for which a host call waits for its next attempt; after a longer delay the worker is retried as a whole."""

STATUS_CODE = "status-code"

_ELIGIBLE = (Category.READ_LOCAL, Category.WRITE_LOCAL, Category.READ_REMOTE, Category.WRITE_REMOTE)
_AGENT_TYPE = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\(")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether another attempt follows: after `delay` seconds, or None to give up; and the state to be kept."""

    delay: float | None
    state: RetryState | None


class Attempts:
    """Attempts that are counted in memory alone, by the policies that are in force."""

    def __init__(self, policies: RetryPolicies) -> None:
        self._policies = policies
        self._state: RetryState | None = None

    def next_delay(self, properties: Properties) -> float | None:
        """Seconds before the next attempt, None to give up."""
        return self._taken(self._policies.in_force(), properties)

    def next_delay_for_status(self, properties: Properties) -> float | None:
        """The same for an answer that came: only policies that speak of its status code are for that."""
        policies = [policy for policy in self._policies.in_force() if mentions(policy.predicate, STATUS_CODE)]
        return self._taken(policies, properties)

    def _taken(self, policies: list[NamedRetryPolicy], properties: Properties) -> float | None:
        try:
            named = resolve(policies, properties)
            if named is None:
                return None
            self._state, delay = _next(named.policy, self._state, 0, 0, properties)
        except RetryEvaluationError:
            return None
        return None if delay is None else delay / 1e9


class RetryPolicies:
    """Those of the worker that a context is for."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context

    # --- Setting

    async def change(self, policy: RetryPolicy) -> None:
        """Let the policy take the place of the default."""
        context = self._context
        live = await context.settle_replay()
        await context.recorded_entry(
            ChangeRetryPolicy, lambda: ChangeRetryPolicy(timestamp=context.now_ms(), policy=policy)
        )
        if live:
            await context.oplog.commit()

    async def set(self, policy: NamedRetryPolicy) -> None:
        """Add or replace a named policy."""
        context = self._context
        live = await context.settle_replay()
        await context.recorded_entry(SetRetryPolicy, lambda: SetRetryPolicy(timestamp=context.now_ms(), policy=policy))
        if live:
            await context.oplog.commit()

    async def remove(self, name: str) -> None:
        """Take a policy of that name out of force, whoever set it."""
        context = self._context
        live = await context.settle_replay()
        await context.recorded_entry(
            RemoveRetryPolicy, lambda: RemoveRetryPolicy(timestamp=context.now_ms(), name=name)
        )
        if live:
            await context.oplog.commit()

    # --- Asking

    def in_force(self) -> list[NamedRetryPolicy]:
        """All policies that count, the highest priority first."""
        context = self._context
        status = context.oplog.status
        default = named_default(status.retry_policy or context.settings.retry_policy)
        return effective_policies({DEFAULT_NAME: default}, status.named_policies)

    def properties(self, own: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
        """The properties of a failure, with those that the worker adds."""
        context = self._context
        properties = {**own, "is-idempotent": context.assume_idempotence}
        agent = _AGENT_TYPE.match(context.worker_id.name)
        if agent is not None:
            properties["agent-type"] = agent[1]
        return properties

    def verdict(self, properties: Properties, *, strict: bool) -> Verdict:
        """What the policies say about a failure at the place where the worker stands.

        With `strict`, as inside of a call, a predicate that cannot be decided means giving up; else it does not match.
        """
        context = self._context
        status, point = context.oplog.status, context.retry_point
        state = status.retry_states.get(point)
        elapsed = (context.now_ms() - status.retry_since.get(point, context.now_ms())) * 1_000_000
        policies = self.in_force()
        try:
            named = resolve(policies, properties) if strict else resolve_leniently(policies, properties)
            if named is None:
                return Verdict(None, exhausted(state))
            failures = status.retry_counts.get(point, 0)
            state, delay = _next(named.policy, state, failures, max(elapsed, 0), properties)
        except RetryEvaluationError:
            return Verdict(None, exhausted(state))
        return Verdict(None, exhausted(state)) if delay is None else Verdict(delay / 1e9, state)

    async def wait_in_call(self, category: Category, failure: TransientFailure) -> bool:
        """Wait until a call that failed may be tried again, without giving the instance up.

        False when the attempts are used up and the guest is to be told the failure's result. Raises the failure where
        the worker has to be retried as a whole, or not at all.
        """
        context = self._context
        repeatable = category in _ELIGIBLE and (category != Category.WRITE_REMOTE or context.assume_idempotence)
        if not repeatable or context.inside_atomic_region:
            raise failure
        verdict = self.verdict(self.properties(failure.properties), strict=True)
        if verdict.delay is None:
            if not failure.has_result:
                raise failure
            return False
        if verdict.delay > MAX_DELAY_INSIDE_CALL:
            raise failure
        context.append(
            Error(
                timestamp=context.now_ms(),
                error_kind=ErrorKind.TRANSIENT,
                message="in-function retry",
                retry_from=context.retry_point,
                retriable=True,
                retry_policy_state=verdict.state,
            )
        )
        await context.oplog.commit()
        await context.pause(verdict.delay)
        return True


def _next(
    policy: PolicyTree, state: RetryState | None, failures: int, elapsed: int, properties: Properties
) -> tuple[RetryState, int | None]:
    """One step from a state; from the beginning where there is none, or where it is another policy's."""
    if state is None and failures:
        state = advanced(policy, failures, properties)
    if state is not None:
        try:
            return step(policy, state, elapsed, properties, random.random)
        except InvalidState:
            pass
    return step(policy, initial_state(policy), elapsed, properties, random.random)
