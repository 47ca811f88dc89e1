"""Retry policies: evaluation against a naive reference, both JSON forms, bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model import retry_policy as policies
from golem_server.model import retry_predicate as predicates
from golem_server.model.errors import InvalidInput
from golem_server.model.retry_policy import (
    MAX_DELAY,
    MAX_DEPTH,
    MAX_NODES,
    NamedRetryPolicy,
    PolicyTree,
    check_size,
    effective_policies,
    exhausted,
    failure_properties,
    initial_state,
    resolve,
    resolve_leniently,
    retry_count,
    step,
)
from golem_server.model.retry_policy_json import (
    named_policy_to_tagged,
    policy_of_json,
    policy_to_json,
    predicate_of_json,
    predicate_to_json,
    state_to_tagged,
)
from golem_server.model.retry_predicate import (
    PropertyMissing,
    RetryEvaluationError,
    applies,
    glob_matches,
    matches,
    mentions,
)

NAMES = st.sampled_from(["a", "b", "verb"])
VALUES: st.SearchStrategy[Any] = st.integers(-3, 3) | st.booleans() | st.sampled_from(["", "1", "x", "-2"])
DELAYS = st.integers(0, 10**10)
SIDES = ("first", "second")
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.builds(predicates.Compare, st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]), NAMES, VALUES),
    st.builds(predicates.Exists, NAMES),
    st.builds(predicates.OneOf, NAMES, st.lists(VALUES, max_size=3)),
    st.builds(predicates.TextTest, st.sampled_from(["matches", "starts-with", "contains"]), NAMES, st.text("ax*1")),
    st.builds(predicates.Constant, st.booleans()),
)
PREDICATES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(predicates.And, inner, inner),
        st.builds(predicates.Or, inner, inner),
        st.builds(predicates.Not, inner),
    ),
    max_leaves=6,
)
POLICIES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.builds(policies.Periodic, DELAYS),
        st.builds(policies.Exponential, DELAYS, st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0])),
        st.builds(policies.Fibonacci, DELAYS, DELAYS),
        st.builds(policies.Immediate),
        st.builds(policies.Never),
    ),
    lambda inner: st.one_of(
        st.builds(policies.CountBox, st.integers(0, 4), inner),
        st.builds(policies.TimeBox, st.integers(0, 20), inner),
        st.builds(policies.Clamp, st.just(5), st.just(10**9), inner),
        st.builds(policies.AddDelay, DELAYS, inner),
        st.builds(policies.Jitter, st.sampled_from([0.0, 0.5]), inner),
        st.builds(policies.FilteredOn, LEAVES, inner),
        st.builds(policies.AndThen, inner, inner),
        st.builds(policies.Union, inner, inner),
        st.builds(policies.Intersect, inner, inner),
    ),
    max_leaves=6,
)
PROPERTIES = st.dictionaries(NAMES, VALUES, max_size=3)


class Naive:
    """A policy as an object that remembers, one failure after the other; half of the jitter is always taken."""

    def __init__(self, tree: PolicyTree) -> None:
        self.tree = tree
        self.failures = 0
        self.inside = [
            Naive(getattr(tree, name)) for name in ("inner", *SIDES) if _is_policy(getattr(tree, name, None))
        ]
        self.moved_on = False

    def fail(self, elapsed: int, properties: dict[str, Any]) -> int | None:
        """The delay after one more failure, None to give up."""
        tree: Any = self.tree
        kind = type(tree).__name__
        if kind == "CountBox":
            if self.failures >= tree.max_retries:
                return None
            self.failures += 1
            return self.inside[0].fail(elapsed, properties)
        if kind == "AndThen":
            if not self.moved_on:
                delay = self.inside[0].fail(elapsed, properties)
                if delay is not None:
                    return delay
                self.moved_on = True
            return self.inside[1].fail(elapsed, properties)
        if kind in ("Union", "Intersect"):
            both = [side.fail(elapsed, properties) for side in self.inside]
            given = [delay for delay in both if delay is not None]
            if kind == "Intersect":
                return max(given) if len(given) == 2 else None
            return min(given, default=None)
        if self.inside:
            return self._wrapping(kind, elapsed, properties)
        self.failures += 1
        return self._leaf(kind)

    def _wrapping(self, kind: str, elapsed: int, properties: dict[str, Any]) -> int | None:
        tree: Any = self.tree
        if kind == "TimeBox" and elapsed >= tree.limit:
            return None
        if kind == "FilteredOn" and not matches(tree.predicate, properties):
            return None
        delay = self.inside[0].fail(elapsed, properties)
        if delay is None:
            return None
        if kind == "Clamp":
            return min(max(delay, tree.min_delay), tree.max_delay)
        if kind == "AddDelay":
            return delay + tree.delay
        return round(delay + delay * tree.factor * 0.5) if kind == "Jitter" else delay

    def _leaf(self, kind: str) -> int | None:
        tree: Any = self.tree
        if kind == "Periodic":
            return tree.delay
        if kind == "Exponential":
            return (
                round(tree.base_delay * tree.factor ** (self.failures - 1))
                if tree.factor
                else (tree.base_delay if self.failures == 1 else 0)
            )
        if kind == "Fibonacci":
            sequence = [tree.first, tree.second]
            while len(sequence) < self.failures:
                sequence.append(sequence[-1] + sequence[-2])
            return sequence[self.failures - 1]
        return 0 if kind == "Immediate" else None


def _is_policy(value: object) -> bool:
    return isinstance(value, predicates.Node)


@given(POLICIES, PROPERTIES)
def test_evaluation_is_that_of_the_naive_reference(tree: Any, properties: dict[str, Any]) -> None:
    check_size(tree)
    naive, state = Naive(tree), initial_state(tree)
    for elapsed in range(0, 24, 4):
        try:
            expected = naive.fail(elapsed, properties)
        except RetryEvaluationError:
            with pytest.raises(RetryEvaluationError):
                step(tree, state, elapsed, properties, lambda: 0.5)
            return
        state, delay = step(tree, state, elapsed, properties, lambda: 0.5)
        assert (delay is None) is (expected is None)
        if delay is not None and expected is not None:
            assert abs(delay - expected) <= 2 + expected // 10**9
        # The state survives being stored.
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=policies.RetryState)
        assert state_to_tagged(state)["type"] in {"Counter", "Terminal", "Wrapper", "CountBox", "AndThen", "Pair"}
        assert retry_count(exhausted(state)) == retry_count(state)


@given(POLICIES, PREDICATES)
def test_what_is_written_is_read_back(tree: Any, predicate: Any) -> None:
    assert policy_of_json(policy_to_json(tree)) == tree
    assert predicate_of_json(predicate_to_json(predicate)) == predicate
    named = NamedRetryPolicy("n", 1, predicate, tree)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(named), type=NamedRetryPolicy) == named
    assert named_policy_to_tagged(named)["policy"]["type"] == type(tree).__name__


@given(PREDICATES, PROPERTIES)
def test_lenient_matching_agrees_where_nothing_is_missing(predicate: Any, properties: dict[str, Any]) -> None:
    full = {"a": 1, "b": "x", "verb": True, **properties}
    try:
        strict = matches(predicate, full)
    except RetryEvaluationError:
        return
    try:
        assert applies(predicate, full) is strict
    except RetryEvaluationError:
        # Only the lenient one looks at both sides.
        assert "And" in repr(predicate) or "Or" in repr(predicate)
    assert mentions(predicate, "no such property") is False


KEYS = st.sampled_from(["and", "not", "countBox", "jitter", "inner", "maxRetries", "factor", "propEq", "property"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("immediate"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_whatever_clients_send_is_a_policy_or_refused(json: Any) -> None:
    for read in (policy_of_json, predicate_of_json):
        try:
            check_size(read(json))
        except InvalidInput:
            continue


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("200ms", 200_000_000),
        ("1m 30s", 90_000_000_000),
        ({"secs": 1, "nanos": 5}, 1_000_000_005),
        ("2h", 7200 * 10**9),
    ],
)
def test_durations(text: Any, nanoseconds: int) -> None:
    assert policy_of_json({"periodic": text}) == policies.Periodic(nanoseconds)


@pytest.mark.parametrize("text", ["", "5", "ms", "5 parsecs", "-5s", {"secs": -1}, {"secs": True}, 5, "9" * 40 + "s"])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInput, match="duration"):
        policy_of_json({"periodic": text})


def test_trees_are_bounded() -> None:
    deep: Any = "immediate"
    for _ in range(MAX_DEPTH + 1):
        deep = {"addDelay": {"delay": "1ms", "inner": deep}}
    with pytest.raises(InvalidInput, match="deeper"):
        policy_of_json(deep)
    for _ in range(2000):
        deep = {"addDelay": {"delay": "1ms", "inner": deep}}
    with pytest.raises(InvalidInput, match="deeply"):
        policy_of_json(deep)
    wide: Any = "never"
    for _ in range(MAX_NODES.bit_length()):
        wide = {"union": [wide, wide]}
    with pytest.raises(InvalidInput, match="nodes"):
        policy_of_json(wide)


def test_delays_stay_finite() -> None:
    state: Any = policies.Counter(100_000)
    for tree in (policies.Exponential(1, 2.0), policies.Fibonacci(1, 1), policies.Exponential(1, 1e300)):
        assert step(tree, state, 0, {}, lambda: 1.0)[1] == MAX_DELAY


def test_priorities_names_and_tiers() -> None:
    def named(name: str, priority: int, predicate: Any = True) -> NamedRetryPolicy:
        return NamedRetryPolicy(name, priority, predicate_of_json(predicate), policies.Never())

    verb = {"propEq": {"property": "verb", "value": "GET"}}
    default, b, a, hidden = named("default", 0), named("b", 5, verb), named("a", 5, verb), named("hidden", 9)
    listed = effective_policies({"default": default, "hidden": hidden}, {"b": b, "a": a}, {"hidden": None})
    assert listed == [a, b, default]
    assert resolve(listed, {"verb": "GET"}) == a
    assert resolve(listed, {"verb": "PUT"}) == default
    with pytest.raises(PropertyMissing):
        resolve(listed, {})
    assert resolve_leniently(listed, {}) == default
    assert effective_policies({"default": default}, {"default": None}) == []


def test_a_policy_whose_filter_is_for_others_is_passed_over() -> None:
    filtered = policies.FilteredOn(predicates.Exists("status-code"), policies.Immediate())
    listed = [
        NamedRetryPolicy("first", 2, predicates.Constant(True), policies.CountBox(3, filtered)),
        NamedRetryPolicy("second", 1, predicates.Constant(True), policies.Immediate()),
    ]
    assert resolve_leniently(listed, {}) == listed[1]
    assert resolve_leniently(listed, {"status-code": 503}) == listed[0]


def test_the_parts_of_a_uri() -> None:
    assert failure_properties("GET", "https://api.example.com:8443/v1?x=1") == {
        "verb": "GET",
        "noun-uri": "https://api.example.com:8443/v1?x=1",
        "uri-scheme": "https",
        "uri-host": "api.example.com",
        "uri-port": 8443,
        "uri-path": "/v1",
    }
    assert failure_properties("x", "http://[bad") == {"verb": "x", "noun-uri": "http://[bad"}


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("https://api.x.com/v1/a", "https://*.x.com/v1/*", True),
        ("https://api.x.com/v1/a/b", "https://*.x.com/v1/*", False),
        ("https://a/b/c", "https://**", True),
        ("acd", "a{b,c}d", True),
        ("aed", "a{b,c}d", False),
        ("b", "[!a-c]", False),
        ("d", "[!a-c]", True),
        ("a*", "a\\*", True),
        ("ab", "a\\*", False),
        ("", "{,a}", True),
    ],
)
def test_globs(text: str, pattern: str, fits: bool) -> None:
    assert glob_matches(text, pattern) is fits


@given(st.text("ab/*?[]{},\\!-"), st.text("ab/"))
def test_every_pattern_is_decided(pattern: str, text: str) -> None:
    assert glob_matches(text, pattern) in (True, False)


def test_a_hostile_pattern_takes_no_time() -> None:
    assert glob_matches("a" * 2000, "*a" * 60 + "b") is False
    assert glob_matches("a" * 50, "{a,b}" * 200) is False
