"""Retry policies as JSON, in both forms (reference: durability, section 6).

*Plain*: what clients send and configurations hold. A node is an object with one key (`{"countBox": {...}}`), a unit is
its name (`"immediate"`, `true`), a pair an array; a duration is a text such as `"200ms"`, or `{"secs", "nanos"}`.

*Tagged*: what the oplog shows. A node is an object with its `type`; durations are numbers, in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from golem_server.model import retry_policy as policies
from golem_server.model import retry_predicate as predicates
from golem_server.model.errors import InvalidInput
from golem_server.model.retry_policy import NamedRetryPolicy, PolicyTree, RetryState, check_size
from golem_server.model.retry_predicate import Predicate, PropertyValue

Json = Any

_OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte")
_TEXT_TESTS = {
    "matches": ("Matches", "pattern"),
    "starts-with": ("StartsWith", "prefix"),
    "contains": ("Contains", "substring"),
}
_SPAN = re.compile(r"\s*(\d{1,18})\s*([a-zA-Zµ]+)")
_UNITS = {
    "ns": 1, "nsec": 1, "us": 10**3, "µs": 10**3, "usec": 10**3, "ms": 10**6, "msec": 10**6,
    "s": 10**9, "sec": 10**9, "secs": 10**9, "second": 10**9, "seconds": 10**9,
    "m": 60 * 10**9, "min": 60 * 10**9, "mins": 60 * 10**9, "minute": 60 * 10**9, "minutes": 60 * 10**9,
    "h": 3600 * 10**9, "hr": 3600 * 10**9, "hour": 3600 * 10**9, "hours": 3600 * 10**9,
    "d": 86400 * 10**9, "day": 86400 * 10**9, "days": 86400 * 10**9,
}  # fmt: skip
_MAX_TEXT = 1024
_MAX_LEVELS = 64


# --- Plain


def predicate_of_json(json: Json) -> Predicate:
    """The predicate of the plain form. Raises InvalidInput."""
    predicate = _predicate(json, 0)
    _check(predicate)
    return predicate


def policy_of_json(json: Json) -> PolicyTree:
    """The policy of the plain form. Raises InvalidInput."""
    policy = _policy(json, 0)
    _check(policy)
    return policy


def predicate_to_json(predicate: Predicate) -> Json:
    """The plain form of a predicate."""
    match predicate:
        case predicates.Constant():
            return predicate.value
        case predicates.Compare():
            key = f"prop{predicate.operator.capitalize()}"
            return {key: {"property": predicate.property, "value": predicate.value}}
        case predicates.Exists():
            return {"propExists": predicate.property}
        case predicates.OneOf():
            return {"propIn": {"property": predicate.property, "values": list(predicate.values)}}
        case predicates.TextTest():
            name, field = _TEXT_TESTS[predicate.test]
            return {f"prop{name}": {"property": predicate.property, field: predicate.text}}
        case predicates.And() | predicates.Or():
            pair = [predicate_to_json(predicate.left), predicate_to_json(predicate.right)]
            return {type(predicate).__name__.lower(): pair}
        case predicates.Not():
            return {"not": predicate_to_json(predicate.predicate)}


def policy_to_json(policy: PolicyTree) -> Json:
    """The plain form of a policy; durations as `{"secs", "nanos"}`."""
    name = type(policy).__name__
    key = name[0].lower() + name[1:]
    match policy:
        case policies.Immediate() | policies.Never():
            return key
        case policies.Periodic():
            return {key: _duration_json(policy.delay)}
        case policies.AndThen() | policies.Union() | policies.Intersect():
            return {key: [policy_to_json(policy.first), policy_to_json(policy.second)]}
        case _:
            return {key: {_camel(field): _plain_field(policy, field) for field in policy.__struct_fields__}}


def _plain_field(policy: PolicyTree, field: str) -> Json:
    value = getattr(policy, field)
    if field == "inner":
        return policy_to_json(value)
    if field == "predicate":
        return predicate_to_json(value)
    return value if field in ("factor", "max_retries") else _duration_json(value)


def _predicate(json: Json, level: int) -> Predicate:
    if isinstance(json, bool):
        return predicates.Constant(json)
    if json in ("true", "false"):
        return predicates.Constant(json == "true")
    kind, payload = _only_entry(json, "predicate", level)
    if kind in ("and", "or"):
        left, right = (_predicate(side, level + 1) for side in _pair(payload, kind))
        return predicates.And(left, right) if kind == "and" else predicates.Or(left, right)
    if kind == "not":
        return predicates.Not(_predicate(payload, level + 1))
    if kind == "propExists":
        return predicates.Exists(_text(payload["property"] if _has(payload, "property") else payload, kind))
    if kind == "propIn":
        values = _field(payload, "values", kind)
        if not isinstance(values, list):
            raise InvalidInput(f"Invalid {kind} payload: values must be an array")
        listed = [_value(value) for value in cast(list[Json], values)]
        return predicates.OneOf(_text(_field(payload, "property", kind), kind), listed)
    for operator in _OPERATORS:
        if kind == f"prop{operator.capitalize()}":
            name = _text(_field(payload, "property", kind), kind)
            return predicates.Compare(operator, name, _value(_field(payload, "value", kind)))
    for test, (name, field) in _TEXT_TESTS.items():
        if kind == f"prop{name}":
            text = _text(_field(payload, field, kind), kind)
            return predicates.TextTest(test, _text(_field(payload, "property", kind), kind), text)
    raise InvalidInput(f"Unsupported predicate variant '{kind}'")


def _policy(json: Json, level: int) -> PolicyTree:
    if json == "immediate":
        return policies.Immediate()
    if json == "never":
        return policies.Never()
    kind, payload = _only_entry(json, "retry policy", level)

    def duration(field: str) -> int:
        return _duration(_field(payload, field, kind), kind)

    def inner() -> PolicyTree:
        return _policy(_field(payload, "inner", kind), level + 1)

    def pair() -> list[PolicyTree]:
        return [_policy(side, level + 1) for side in _pair(payload, kind)]

    makers: dict[str, Callable[[], PolicyTree]] = {
        "periodic": lambda: policies.Periodic(_duration(payload, kind)),
        "exponential": lambda: policies.Exponential(duration("baseDelay"), _factor(payload, kind)),
        "fibonacci": lambda: policies.Fibonacci(duration("first"), duration("second")),
        "countBox": lambda: policies.CountBox(_count(_field(payload, "maxRetries", kind), kind), inner()),
        "timeBox": lambda: policies.TimeBox(duration("limit"), inner()),
        "clamp": lambda: policies.Clamp(duration("minDelay"), duration("maxDelay"), inner()),
        "addDelay": lambda: policies.AddDelay(duration("delay"), inner()),
        "jitter": lambda: policies.Jitter(_factor(payload, kind), inner()),
        "filteredOn": lambda: policies.FilteredOn(_predicate(_field(payload, "predicate", kind), level + 1), inner()),
        "andThen": lambda: policies.AndThen(*pair()),
        "union": lambda: policies.Union(*pair()),
        "intersect": lambda: policies.Intersect(*pair()),
    }
    if kind not in makers:
        raise InvalidInput(f"Unsupported retry policy variant '{kind}'")
    return makers[kind]()


def _only_entry(json: Json, what: str, level: int) -> tuple[str, Json]:
    if level > _MAX_LEVELS:
        raise InvalidInput(f"The {what} is nested too deeply")
    if isinstance(json, str):
        raise InvalidInput(f"Unknown {what} unit variant '{json[:_MAX_TEXT]}'")
    if not isinstance(json, dict) or len(cast(dict[str, Json], json)) != 1:
        raise InvalidInput(f"Invalid {what} encoding: expected an object with one key")
    return next(iter(cast(dict[str, Json], json).items()))


def _has(json: Json, field: str) -> bool:
    return isinstance(json, dict) and field in json


def _field(json: Json, field: str, kind: str) -> Json:
    for name in (field, re.sub("[A-Z]", lambda match: "_" + match[0].lower(), field)):
        if _has(json, name):
            return json[name]
    raise InvalidInput(f"Invalid {kind} payload: missing field `{field}`")


def _pair(json: Json, kind: str) -> list[Json]:
    if not isinstance(json, list) or len(cast(list[Json], json)) != 2:
        raise InvalidInput(f"Invalid {kind} payload: expected an array of two")
    return cast(list[Json], json)


def _text(json: Json, kind: str) -> str:
    if not isinstance(json, str) or len(json) > _MAX_TEXT:
        raise InvalidInput(f"Invalid {kind} payload: expected a text of at most {_MAX_TEXT} characters")
    return json


def _value(json: Json) -> PropertyValue:
    if isinstance(json, dict):
        kind, json = _only_entry(json, "predicate value", 0)
        if kind not in _VALUE_TYPES or type(json) is not _VALUE_TYPES[kind]:
            raise InvalidInput(f"Unsupported predicate value variant '{kind}'")
    if isinstance(json, str):
        return _text(json, "predicate value")
    if isinstance(json, bool) or (isinstance(json, int) and -(1 << 63) <= json < 1 << 63):
        return json
    raise InvalidInput("Predicate value must be a string, number, boolean, or typed object")


_VALUE_TYPES: dict[str, type[PropertyValue]] = {"text": str, "integer": int, "boolean": bool}


def _count(json: Json, kind: str) -> int:
    if not isinstance(json, int) or isinstance(json, bool) or not 0 <= json < 1 << 32:
        raise InvalidInput(f"Invalid {kind} payload: expected a number below 2^32")
    return json


def _factor(payload: Json, kind: str) -> float:
    json = _field(payload, "factor", kind)
    if not isinstance(json, int | float) or isinstance(json, bool) or not abs(json) < 1e308:
        raise InvalidInput(f"Invalid {kind} payload: factor must be a number")
    return float(json)


def _duration(json: Json, kind: str) -> int:
    total = None
    if isinstance(json, str) and len(json) <= _MAX_TEXT:
        spans = _SPAN.findall(json)
        if spans and not _SPAN.sub("", json).strip() and all(unit in _UNITS for _, unit in spans):
            total = sum(int(number) * _UNITS[unit] for number, unit in spans)
    elif isinstance(json, dict):
        parts = cast(dict[str, Json], json)
        seconds, nanoseconds = parts.get("secs"), parts.get("nanos", 0)
        if type(seconds) is int and type(nanoseconds) is int and min(seconds, nanoseconds) >= 0:
            total = seconds * 10**9 + nanoseconds
    if total is None or total > policies.MAX_DELAY:
        raise InvalidInput(f'Invalid {kind} payload: expected a duration such as "200ms"')
    return total


def _check(tree: predicates.Node) -> None:
    try:
        check_size(tree)
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def _duration_json(nanoseconds: int) -> Json:
    return {"secs": nanoseconds // 10**9, "nanos": nanoseconds % 10**9}


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(part.capitalize() for part in rest)


# --- Tagged


def named_policy_to_tagged(named: NamedRetryPolicy) -> Json:
    """The tagged form of a named policy."""
    return {
        "name": named.name,
        "priority": named.priority,
        "predicate": predicate_to_tagged(named.predicate),
        "policy": policy_to_tagged(named.policy),
    }


def predicate_to_tagged(predicate: Predicate) -> Json:
    """The tagged form of a predicate."""
    match predicate:
        case predicates.Constant():
            return {"type": "True" if predicate.value else "False"}
        case predicates.Compare():
            kind = f"Prop{predicate.operator.capitalize()}"
            return {"type": kind, "property": predicate.property, "value": _tagged_value(predicate.value)}
        case predicates.Exists():
            return {"type": "PropExists", "property": predicate.property}
        case predicates.OneOf():
            values = [_tagged_value(value) for value in predicate.values]
            return {"type": "PropIn", "property": predicate.property, "values": values}
        case predicates.TextTest():
            name, field = _TEXT_TESTS[predicate.test]
            return {"type": f"Prop{name}", "property": predicate.property, field: predicate.text}
        case predicates.And() | predicates.Or():
            left, right = predicate_to_tagged(predicate.left), predicate_to_tagged(predicate.right)
            return {"type": type(predicate).__name__, "left": left, "right": right}
        case predicates.Not():
            return {"type": "Not", "predicate": predicate_to_tagged(predicate.predicate)}


def policy_to_tagged(policy: PolicyTree) -> Json:
    """The tagged form of a policy."""
    fields = {
        _camel(field) + ("Ms" if _is_duration(field) else ""): _tagged_field(field, getattr(policy, field))
        for field in policy.__struct_fields__
    }
    if isinstance(policy, policies.AndThen | policies.Union | policies.Intersect):
        fields = {"first": policy_to_tagged(policy.first), "second": policy_to_tagged(policy.second)}
    elif isinstance(policy, policies.Fibonacci):
        fields = {"firstMs": policy.first // 10**6, "secondMs": policy.second // 10**6}
    return {"type": type(policy).__name__, **fields}


def state_to_tagged(state: RetryState) -> Json:
    """The tagged form of a state."""
    match state:
        case policies.Counter():
            return {"type": "Counter", "count": state.count}
        case policies.Terminal():
            return {"type": "Terminal"}
        case policies.Wrapper():
            return {"type": "Wrapper", "inner": state_to_tagged(state.inner)}
        case policies.CountBoxState():
            return {"type": "CountBox", "attempts": state.attempts, "inner": state_to_tagged(state.inner)}
        case policies.AndThenState():
            left, right = state_to_tagged(state.left), state_to_tagged(state.right)
            return {"type": "AndThen", "left": left, "right": right, "onRight": state.on_right}
        case policies.Pair():
            return {"type": "Pair", "first": state_to_tagged(state.first), "second": state_to_tagged(state.second)}


def _is_duration(field: str) -> bool:
    return field in ("delay", "base_delay", "limit", "min_delay", "max_delay")


def _tagged_field(field: str, value: Any) -> Json:
    if field == "inner":
        return policy_to_tagged(value)
    if field == "predicate":
        return predicate_to_tagged(value)
    return value // 10**6 if _is_duration(field) else value


def _tagged_value(value: PropertyValue) -> Json:
    kind = "Boolean" if isinstance(value, bool) else "Integer" if isinstance(value, int) else "Text"
    return {"type": kind, "value": value}
