"""Retry policies as guests have them: trees as lists of nodes that name their children by index, the root first.

Lists of guests are bounded and may not lead back to where they came from; what is wrong with them is a GuestError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from golem_server.durable.signals import GuestError
from golem_server.model import retry_policy as policies
from golem_server.model import retry_predicate as predicates
from golem_server.model.retry_policy import MAX_DEPTH, MAX_NODES, NamedRetryPolicy, PolicyTree, RetryState, check_size
from golem_server.model.retry_predicate import Predicate, PropertyValue
from golem_server.model.types import Value

MAX_TEXT = 1024

_TEXT_TESTS = {"prop-matches": "matches", "prop-starts-with": "starts-with", "prop-contains": "contains"}
_CASES = {test: case for case, test in _TEXT_TESTS.items()}
_COMPARISONS = ("prop-eq", "prop-neq", "prop-gt", "prop-gte", "prop-lt", "prop-lte")


def named_policy_of(record: Value) -> NamedRetryPolicy:
    """The tree of a `named-retry-policy`. Raises GuestError."""
    named = NamedRetryPolicy(
        _short(record["name"]), record["priority"], predicate_of(record["predicate"]), policy_of(record["policy"])
    )
    try:
        check_size(named.predicate)
        check_size(named.policy)
    except ValueError as error:
        raise GuestError(str(error)) from error
    return named


def named_policy_record(named: NamedRetryPolicy) -> Value:
    """`named-retry-policy`."""
    return {
        "name": named.name,
        "priority": named.priority,
        "predicate": predicate_record(named.predicate),
        "policy": policy_record(named.policy),
    }


# --- Reading


def predicate_of(record: Value) -> Predicate:
    """The tree of a `retry-predicate`. Raises GuestError."""
    return _Nodes(record, _predicate).tree(0, 1)


def policy_of(record: Value) -> PolicyTree:
    """The tree of a `retry-policy`. Raises GuestError."""
    return _Nodes(record, _policy).tree(0, 1)


def state_of(record: Value) -> RetryState:
    """The state of a `retry-policy-state`. Raises GuestError."""
    return _Nodes(record, _state).tree(0, 1)


class _Nodes:
    """Reads a list of nodes; the number of visits is bounded, as lists of guests may share or repeat nodes."""

    def __init__(self, record: Value, read: Callable[[_Nodes, Value, int], Any]) -> None:
        self._nodes: list[Value] = record["nodes"]
        self._read = read
        self._visits = 0

    def tree(self, index: int, depth: int) -> Any:
        """The tree below a node."""
        self._visits += 1
        if self._visits > MAX_NODES or depth > MAX_DEPTH:
            raise GuestError(f"a retry policy has more than {MAX_NODES} nodes or is deeper than {MAX_DEPTH}")
        if not 0 <= index < len(self._nodes):
            raise GuestError(f"a retry policy has no node {index}")
        return self._read(self, self._nodes[index], depth + 1)


def _predicate(nodes: _Nodes, node: Value, depth: int) -> Predicate:
    case, content = node
    if case in _COMPARISONS:
        value = value_of(content["value"])
        return predicates.Compare(case.removeprefix("prop-"), _short(content["property-name"]), value)
    if case in _TEXT_TESTS:
        name, pattern = _short(content["property-name"]), _short(content["pattern"])
        return predicates.TextTest(_TEXT_TESTS[case], name, pattern)
    match case:
        case "prop-exists":
            return predicates.Exists(_short(content))
        case "prop-in":
            if len(content["values"]) > MAX_NODES:
                raise GuestError(f"a retry predicate lists more than {MAX_NODES} values")
            values = [value_of(value) for value in content["values"]]
            return predicates.OneOf(_short(content["property-name"]), values)
        case "pred-and":
            return predicates.And(nodes.tree(content[0], depth), nodes.tree(content[1], depth))
        case "pred-or":
            return predicates.Or(nodes.tree(content[0], depth), nodes.tree(content[1], depth))
        case "pred-not":
            return predicates.Not(nodes.tree(content, depth))
        case _:
            return predicates.Constant(case == "pred-true")


def _policy(nodes: _Nodes, node: Value, depth: int) -> PolicyTree:
    case, content = node

    def inner() -> PolicyTree:
        return nodes.tree(content["inner"], depth)

    def pair() -> list[PolicyTree]:
        return [nodes.tree(index, depth) for index in content]

    readers: dict[str, Callable[[], PolicyTree]] = {
        "periodic": lambda: policies.Periodic(content),
        "exponential": lambda: policies.Exponential(content["base-delay"], content["factor"]),
        "fibonacci": lambda: policies.Fibonacci(content["first"], content["second"]),
        "immediate": policies.Immediate,
        "never": policies.Never,
        "count-box": lambda: policies.CountBox(content["max-retries"], inner()),
        "time-box": lambda: policies.TimeBox(content["limit"], inner()),
        "clamp-delay": lambda: policies.Clamp(content["min-delay"], content["max-delay"], inner()),
        "add-delay": lambda: policies.AddDelay(content["delay"], inner()),
        "jitter": lambda: policies.Jitter(content["factor"], inner()),
        "filtered-on": lambda: policies.FilteredOn(predicate_of(content["predicate"]), inner()),
        "and-then": lambda: policies.AndThen(*pair()),
        "policy-union": lambda: policies.Union(*pair()),
        "policy-intersect": lambda: policies.Intersect(*pair()),
    }
    return readers[case]()


def _state(nodes: _Nodes, node: Value, depth: int) -> RetryState:
    case, content = node
    match case:
        case "counter":
            return policies.Counter(content)
        case "wrapper":
            return policies.Wrapper(nodes.tree(content, depth))
        case "count-box":
            return policies.CountBoxState(content["attempts"], nodes.tree(content["inner"], depth))
        case "and-then":
            left, right = nodes.tree(content["left"], depth), nodes.tree(content["right"], depth)
            return policies.AndThenState(left, right, content["on-right"])
        case "pair":
            return policies.Pair(nodes.tree(content["left"], depth), nodes.tree(content["right"], depth))
        case _:
            return policies.Terminal()


def value_of(variant: Value) -> PropertyValue:
    """The value of a `predicate-value`."""
    case, value = variant
    return _short(value) if case == "text" else value


def _short(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise GuestError(f"a text of a retry policy has more than {MAX_TEXT} characters")
    return text


# --- Writing


def predicate_record(predicate: Predicate) -> Value:
    """`retry-predicate`."""
    nodes: list[Value] = []
    _add_predicate(nodes, predicate)
    return {"nodes": nodes}


def policy_record(policy: PolicyTree) -> Value:
    """`retry-policy`."""
    nodes: list[Value] = []
    _add_policy(nodes, policy)
    return {"nodes": nodes}


def state_record(state: RetryState) -> Value:
    """`retry-policy-state`."""
    nodes: list[Value] = []
    _add_state(nodes, state)
    return {"nodes": nodes}


def _add_predicate(nodes: list[Value], predicate: Predicate) -> int:
    at = len(nodes)
    nodes.append(None)
    match predicate:
        case predicates.Compare():
            content = {"property-name": predicate.property, "value": value_record(predicate.value)}
            nodes[at] = (f"prop-{predicate.operator}", content)
        case predicates.Exists():
            nodes[at] = ("prop-exists", predicate.property)
        case predicates.OneOf():
            values = [value_record(value) for value in predicate.values]
            nodes[at] = ("prop-in", {"property-name": predicate.property, "values": values})
        case predicates.TextTest():
            content = {"property-name": predicate.property, "pattern": predicate.text}
            nodes[at] = (_CASES[predicate.test], content)
        case predicates.And() | predicates.Or():
            left = _add_predicate(nodes, predicate.left)
            pair = (left, _add_predicate(nodes, predicate.right))
            nodes[at] = ("pred-and" if isinstance(predicate, predicates.And) else "pred-or", pair)
        case predicates.Not():
            nodes[at] = ("pred-not", _add_predicate(nodes, predicate.predicate))
        case predicates.Constant():
            nodes[at] = ("pred-true" if predicate.value else "pred-false", None)
    return at


_POLICY_CASES: dict[type[PolicyTree], str] = {
    policies.Periodic: "periodic",
    policies.Exponential: "exponential",
    policies.Fibonacci: "fibonacci",
    policies.Immediate: "immediate",
    policies.Never: "never",
    policies.CountBox: "count-box",
    policies.TimeBox: "time-box",
    policies.Clamp: "clamp-delay",
    policies.AddDelay: "add-delay",
    policies.Jitter: "jitter",
    policies.FilteredOn: "filtered-on",
    policies.AndThen: "and-then",
    policies.Union: "policy-union",
    policies.Intersect: "policy-intersect",
}


def _add_policy(nodes: list[Value], policy: PolicyTree) -> int:
    at = len(nodes)
    nodes.append(None)
    content: Value
    match policy:
        case policies.Periodic():
            content = policy.delay
        case policies.Immediate() | policies.Never():
            content = None
        case policies.AndThen() | policies.Union() | policies.Intersect():
            first = _add_policy(nodes, policy.first)
            content = (first, _add_policy(nodes, policy.second))
        case _:
            content = {name.replace("_", "-"): getattr(policy, name) for name in policy.__struct_fields__}
            if isinstance(policy, policies.FilteredOn):
                content["predicate"] = predicate_record(policy.predicate)
            if "inner" in content:
                content["inner"] = _add_policy(nodes, content["inner"])
    nodes[at] = (_POLICY_CASES[type(policy)], content)
    return at


def _add_state(nodes: list[Value], state: RetryState) -> int:
    at = len(nodes)
    nodes.append(None)
    match state:
        case policies.Counter():
            nodes[at] = ("counter", state.count)
        case policies.Terminal():
            nodes[at] = ("terminal", None)
        case policies.Wrapper():
            nodes[at] = ("wrapper", _add_state(nodes, state.inner))
        case policies.CountBoxState():
            nodes[at] = ("count-box", {"attempts": state.attempts, "inner": _add_state(nodes, state.inner)})
        case policies.AndThenState():
            left = _add_state(nodes, state.left)
            content = {"left": left, "right": _add_state(nodes, state.right), "on-right": state.on_right}
            nodes[at] = ("and-then", content)
        case policies.Pair():
            left = _add_state(nodes, state.first)
            nodes[at] = ("pair", {"left": left, "right": _add_state(nodes, state.second)})
    return at


def value_record(value: PropertyValue) -> Value:
    """`predicate-value`."""
    return ("boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "text", value)
