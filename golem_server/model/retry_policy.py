"""Named retry policies: which failures they are for, and when the next attempt follows.

A policy is a tree. Evaluating it takes the state that the last evaluation left, and gives the next state and a delay,
or says to give up. The state is kept with each failure, so that a restart goes on counting. Delays are in nanoseconds
(reference: durability, section 6).

Trees come from guests and clients: `check_size` bounds them before anything walks over them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from golem_server.model.retry_predicate import (
    Constant,
    Node,
    Predicate,
    Properties,
    PropertyValue,
    RetryEvaluationError,
    applies,
    matches,
)

MAX_NODES = 512
MAX_DEPTH = 48
MAX_DELAY = (1 << 64) - 1

DEFAULT_NAME = "default"

MAX_UNCOUNTED = 1000


class RetryPolicy(msgspec.Struct, array_like=True, frozen=True):
    """How often and when a failed invocation is tried again, as golem:api up to 1.3 has it. Delays in milliseconds."""

    max_attempts: int = 3
    min_delay: int = 100
    max_delay: int = 1000
    multiplier: float = 3.0
    max_jitter_factor: float | None = 0.15


class InvalidState(Exception):
    """The state does not belong to this policy."""


# --- Policies


class Periodic(Node, tag="periodic", frozen=True):
    """Always the same delay."""

    delay: int


class Exponential(Node, tag="exponential", frozen=True):
    """The delay grows by a factor each time."""

    base_delay: int
    factor: float


class Fibonacci(Node, tag="fibonacci", frozen=True):
    """Each delay is the sum of the two before."""

    first: int
    second: int


class Immediate(Node, tag="immediate", frozen=True):
    """No delay."""


class Never(Node, tag="never", frozen=True):
    """Gives up at once."""


class CountBox(Node, tag="count-box", frozen=True):
    """Gives up after so many attempts."""

    max_retries: int
    inner: PolicyTree


class TimeBox(Node, tag="time-box", frozen=True):
    """Gives up when so much time has passed since the first failure."""

    limit: int
    inner: PolicyTree


class Clamp(Node, tag="clamp", frozen=True):
    """Keeps the delay between two bounds."""

    min_delay: int
    max_delay: int
    inner: PolicyTree


class AddDelay(Node, tag="add-delay", frozen=True):
    """Adds to the delay."""

    delay: int
    inner: PolicyTree


class Jitter(Node, tag="jitter", frozen=True):
    """Adds a random share of the delay, up to the factor."""

    factor: float
    inner: PolicyTree


class FilteredOn(Node, tag="filtered-on", frozen=True):
    """Gives up where the predicate does not hold."""

    predicate: Predicate
    inner: PolicyTree


class AndThen(Node, tag="and-then", frozen=True):
    """The second, once the first has given up."""

    first: PolicyTree
    second: PolicyTree


class Union(Node, tag="union", frozen=True):
    """Goes on while either does, after the shorter delay."""

    first: PolicyTree
    second: PolicyTree


class Intersect(Node, tag="intersect", frozen=True):
    """Goes on while both do, after the longer delay."""

    first: PolicyTree
    second: PolicyTree


Wrapping: TypeAlias = TimeBox | Clamp | AddDelay | Jitter | FilteredOn
PolicyTree: TypeAlias = (
    Periodic
    | Exponential
    | Fibonacci
    | Immediate
    | Never
    | CountBox
    | TimeBox
    | Clamp
    | AddDelay
    | Jitter
    | FilteredOn
    | AndThen
    | Union
    | Intersect
)


class NamedRetryPolicy(msgspec.Struct, array_like=True, frozen=True):
    """A policy and what it is for. Of several that match, the one of the highest priority counts."""

    name: str
    priority: int
    predicate: Predicate
    policy: PolicyTree


def check_size(tree: Node) -> None:
    """Raises ValueError for a tree that is too deep or too large to be kept and walked over."""
    count, level = 0, [tree]
    for _ in range(MAX_DEPTH):
        count += len(level)
        if count > MAX_NODES:
            break
        level = [child for node in level for child in node.children()]
        if not level:
            return
    raise ValueError(f"a retry policy has more than {MAX_NODES} nodes or is deeper than {MAX_DEPTH}")


# --- States


class Counter(Node, tag="counter", frozen=True):
    """Attempts of a policy that only counts."""

    count: int


class Terminal(Node, tag="terminal", frozen=True):
    """Nothing follows."""


class Wrapper(Node, tag="wrapper", frozen=True):
    """The state of the policy inside."""

    inner: RetryState


class CountBoxState(Node, tag="count-box", frozen=True):
    """Attempts so far, and the state of the policy inside."""

    attempts: int
    inner: RetryState


class AndThenState(Node, tag="and-then", frozen=True):
    """The states of both, and whether the first has given up."""

    left: RetryState
    right: RetryState
    on_right: bool


class Pair(Node, tag="pair", frozen=True):
    """The states of both."""

    first: RetryState
    second: RetryState


RetryState: TypeAlias = Counter | Terminal | Wrapper | CountBoxState | AndThenState | Pair


def initial_state(policy: PolicyTree) -> RetryState:
    """The state before the first failure."""
    match policy:
        case Never():
            return Terminal()
        case CountBox():
            return CountBoxState(0, initial_state(policy.inner))
        case TimeBox() | Clamp() | AddDelay() | Jitter() | FilteredOn():
            return Wrapper(initial_state(policy.inner))
        case AndThen():
            return AndThenState(initial_state(policy.first), initial_state(policy.second), False)
        case Union() | Intersect():
            return Pair(initial_state(policy.first), initial_state(policy.second))
        case _:
            return Counter(0)


def step(
    policy: PolicyTree, state: RetryState, elapsed: int, properties: Properties, random: Callable[[], float]
) -> tuple[RetryState, int | None]:
    """The next state and the delay before the next attempt, or None to give up.

    `elapsed` is the time since the first failure, `random()` a number in 0..1. Raises InvalidState, and
    RetryEvaluationError where a filter cannot be decided.
    """

    def inside(inner: PolicyTree, state: RetryState) -> tuple[RetryState, int | None]:
        return step(inner, state, elapsed, properties, random)

    match policy, state:
        case ((Periodic() | Exponential() | Fibonacci() | Immediate()), Counter()):
            return Counter(min(state.count + 1, 0xFFFFFFFF)), _leaf_delay(policy, state.count)
        case Never(), Terminal():
            return state, None
        case CountBox(), CountBoxState():
            if state.attempts >= policy.max_retries:
                return state, None
            inner, delay = inside(policy.inner, state.inner)
            return CountBoxState(state.attempts + 1, inner), delay
        case ((TimeBox() | Clamp() | AddDelay() | Jitter() | FilteredOn()), Wrapper()):
            if not _open(policy, elapsed, properties):
                return state, None
            inner, delay = inside(policy.inner, state.inner)
            return Wrapper(inner), None if delay is None else _wrapped_delay(policy, delay, random)
        case AndThen(), AndThenState():
            left = state.left
            if not state.on_right:
                left, delay = inside(policy.first, left)
                if delay is not None:
                    return AndThenState(left, state.right, False), delay
            right, delay = inside(policy.second, state.right)
            return AndThenState(left, right, True), delay
        case ((Union() | Intersect()), Pair()):
            first, one = inside(policy.first, state.first)
            second, other = inside(policy.second, state.second)
            return Pair(first, second), _both(policy, one, other)
        case _:
            raise InvalidState


def _leaf_delay(policy: Periodic | Exponential | Fibonacci | Immediate, count: int) -> int:
    match policy:
        case Periodic():
            return policy.delay
        case Exponential():
            try:
                return _scaled(policy.base_delay, policy.factor**count)
            except OverflowError:
                return MAX_DELAY if policy.base_delay and policy.factor > 0 else 0
        case Fibonacci():
            # After a hundred steps every sequence that grows has passed the largest delay.
            left, right = policy.first, policy.second
            for _ in range(min(count, 200)):
                left, right = right, min(left + right, MAX_DELAY)
            return left
        case Immediate():
            return 0


def _open(policy: Wrapping, elapsed: int, properties: Properties) -> bool:
    if isinstance(policy, TimeBox):
        return elapsed < policy.limit
    return not isinstance(policy, FilteredOn) or matches(policy.predicate, properties)


def _wrapped_delay(policy: Wrapping, delay: int, random: Callable[[], float]) -> int:
    match policy:
        case Clamp():
            return max(policy.min_delay, min(delay, policy.max_delay))
        case AddDelay():
            return min(delay + policy.delay, MAX_DELAY)
        case Jitter() if policy.factor > 0:
            return min(delay + _scaled(delay, policy.factor * random()), MAX_DELAY)
        case _:
            return delay


def _both(policy: Union | Intersect, one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return None if isinstance(policy, Intersect) or one is other else other if one is None else one
    return max(one, other) if isinstance(policy, Intersect) else min(one, other)


def _scaled(delay: int, factor: float) -> int:
    if math.isnan(factor) or factor <= 0 or factor == math.inf:
        return 0
    scaled = delay * factor
    return MAX_DELAY if scaled >= MAX_DELAY else round(scaled)


def retry_count(state: RetryState) -> int:
    """The attempts that a state has counted."""
    match state:
        case Counter():
            return state.count
        case Terminal():
            return 0
        case Wrapper():
            return retry_count(state.inner)
        case CountBoxState():
            return state.attempts
        case AndThenState():
            return retry_count(state.left) + (retry_count(state.right) if state.on_right else 0)
        case Pair():
            return max(retry_count(state.first), retry_count(state.second))


def exhausted(state: RetryState | None) -> RetryState:
    """The state that is kept when nothing follows; it still tells how many attempts there were."""
    if state is None or not retry_count(state):
        return Terminal()
    return AndThenState(state, Terminal(), True)


def advanced(policy: PolicyTree, failures: int, properties: Properties) -> RetryState:
    """The state after so many failures that were not counted with one."""
    state = initial_state(policy)
    for _ in range(min(failures, MAX_UNCOUNTED)):
        state, _ = step(policy, state, 0, properties, lambda: 0.0)
    return state


# --- Choosing


def named_default(policy: RetryPolicy) -> NamedRetryPolicy:
    """A policy of the settings, or of golem:api up to 1.3, as the named one that is there for everything."""
    minimum, maximum = policy.min_delay * 1_000_000, policy.max_delay * 1_000_000
    tree: PolicyTree = Clamp(minimum, maximum, Exponential(minimum, policy.multiplier))
    if policy.max_jitter_factor is not None:
        tree = Jitter(policy.max_jitter_factor, tree)
    return NamedRetryPolicy(DEFAULT_NAME, 0, Constant(True), CountBox(policy.max_attempts, tree))


def effective_policies(*tiers: Mapping[str, NamedRetryPolicy | None]) -> list[NamedRetryPolicy]:
    """The policies of all tiers, the highest priority first, then by name.

    Later tiers override policies of the same name; None hides it.
    """
    chosen: dict[str, NamedRetryPolicy | None] = {}
    for tier in tiers:
        chosen.update(tier)
    return sorted(
        (policy for policy in chosen.values() if policy is not None), key=lambda policy: (-policy.priority, policy.name)
    )


def resolve(policies: Iterable[NamedRetryPolicy], properties: Properties) -> NamedRetryPolicy | None:
    """The first policy that matches. Raises RetryEvaluationError where a predicate before it cannot be decided."""
    return next((policy for policy in policies if matches(policy.predicate, properties)), None)


def resolve_leniently(policies: Iterable[NamedRetryPolicy], properties: Properties) -> NamedRetryPolicy | None:
    """The first policy that is for such a failure; what cannot be decided is not."""
    for policy in policies:
        try:
            if applies(policy.predicate, properties) and _is_for(policy.policy, properties):
                return policy
        except RetryEvaluationError:
            continue
    return None


def _is_for(policy: PolicyTree, properties: Properties) -> bool:
    """Whether the filters inside of a policy leave anything of it."""
    match policy:
        case FilteredOn():
            return applies(policy.predicate, properties) and _is_for(policy.inner, properties)
        case CountBox() | TimeBox() | Clamp() | AddDelay() | Jitter():
            return _is_for(policy.inner, properties)
        case AndThen() | Union():
            return _is_for(policy.first, properties) or _is_for(policy.second, properties)
        case Intersect():
            return _is_for(policy.first, properties) and _is_for(policy.second, properties)
        case _:
            return True


def failure_properties(verb: str, noun_uri: str) -> dict[str, PropertyValue]:
    """The properties that every failure has: what was done, to what, and the parts of its URI."""
    properties: dict[str, PropertyValue] = {"verb": verb, "noun-uri": noun_uri}
    try:
        parts = urlsplit(noun_uri)
        port = parts.port
    except ValueError:
        return properties
    if parts.scheme:
        properties["uri-scheme"] = parts.scheme
        properties["uri-path"] = parts.path
        if parts.hostname:
            properties["uri-host"] = parts.hostname
        if port is not None:
            properties["uri-port"] = port
    return properties
