"""Random WIT types, values of them, and random JSON, for property tests."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

from hypothesis import strategies as st

from golem_server.model.errors import InvalidInput
from golem_server.model.types import (
    Case,
    EnumType,
    Field,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)

RANGES = {
    Primitive.S8: (-(1 << 7), (1 << 7) - 1),
    Primitive.U8: (0, (1 << 8) - 1),
    Primitive.S16: (-(1 << 15), (1 << 15) - 1),
    Primitive.U16: (0, (1 << 16) - 1),
    Primitive.S32: (-(1 << 31), (1 << 31) - 1),
    Primitive.U32: (0, (1 << 32) - 1),
    Primitive.S64: (-(1 << 63), (1 << 63) - 1),
    Primitive.U64: (0, (1 << 64) - 1),
}

# "some", "ok" and "err" are among the names because the JSON of options and results uses them.
NAMES = st.one_of(
    st.sampled_from(["some", "ok", "err", "value", "typ"]),
    st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z]{1,3})?", fullmatch=True),
)


def _distinct(minimum: int, maximum: int) -> st.SearchStrategy[list[str]]:
    return st.lists(NAMES, min_size=minimum, max_size=maximum, unique=True)


@st.composite
def _records(draw: st.DrawFn, part: st.SearchStrategy[WitType]) -> WitType:
    return RecordType(tuple(Field(name, draw(part)) for name in draw(_distinct(1, 4))))


@st.composite
def _variants(draw: st.DrawFn, part: st.SearchStrategy[WitType]) -> WitType:
    return VariantType(tuple(Case(name, draw(st.none() | part)) for name in draw(_distinct(1, 4))))


def _composites(part: st.SearchStrategy[WitType]) -> st.SearchStrategy[WitType]:
    arm = st.none() | part
    return st.one_of(
        part.map(ListType),
        part.map(OptionType),
        st.lists(part, min_size=1, max_size=4).map(lambda items: TupleType(tuple(items))),
        st.builds(ResultType, arm, arm),
        _records(part),
        _variants(part),
    )


def wit_types(*, handles: bool = False, max_leaves: int = 8) -> st.SearchStrategy[WitType]:
    """Types of every kind; handles (of resources of the guest) only where asked for."""
    leaves: st.SearchStrategy[WitType] = st.one_of(
        st.sampled_from(Primitive),
        _distinct(1, 5).map(lambda names: EnumType(tuple(names))),
        _distinct(1, 40).map(lambda names: FlagsType(tuple(names))),
    )
    if handles:
        leaves |= st.builds(HandleType, st.integers(0, 3), st.booleans(), st.just(False))
    return st.recursive(leaves, _composites, max_leaves=max_leaves)


CHARACTERS = st.characters(exclude_categories=("Cs",))


def _primitive_values(type_: Primitive) -> st.SearchStrategy[Value]:
    if type_ in RANGES:
        return st.integers(*RANGES[type_])
    match type_:
        case Primitive.BOOL:
            return st.booleans()
        case Primitive.CHAR:
            return CHARACTERS
        case Primitive.STRING:
            return st.text(CHARACTERS, max_size=12)
        case _:
            return st.floats(width=32 if type_ is Primitive.F32 else 64)


def values_of(type_: WitType) -> st.SearchStrategy[Value]:
    """Values of the type in the representation of `golem_server/model/types.py`."""
    match type_:
        case Primitive():
            return _primitive_values(type_)
        case ListType(element):
            return st.binary(max_size=8) if element is Primitive.U8 else st.lists(values_of(element), max_size=4)
        case TupleType(items):
            return st.tuples(*map(values_of, items))
        case RecordType(fields):
            names = [field.name for field in fields]
            parts = st.tuples(*(values_of(field.type) for field in fields))
            return parts.map(lambda values: dict(zip(names, values, strict=True)))
        case VariantType(cases):
            return st.one_of([_tagged(case.name, case.type) for case in cases])
        case ResultType(ok, err):
            return _tagged("ok", ok) | _tagged("err", err)
        case EnumType(names):
            return st.sampled_from(names)
        case FlagsType(names):
            return st.sets(st.sampled_from(names)).map(lambda chosen: [name for name in names if name in chosen])
        case OptionType(inner):
            some = values_of(inner)
            return st.none() | (st.tuples(some) if isinstance(inner, OptionType) else some)
        case HandleType():
            return st.integers(0, 1 << 40)


def _tagged(name: str, payload: WitType | None) -> st.SearchStrategy[Value]:
    return st.tuples(st.just(name), st.none() if payload is None else values_of(payload))


@st.composite
def typed_values(draw: st.DrawFn, *, handles: bool = False) -> tuple[WitType, Value]:
    """A type and a value of it."""
    type_ = draw(wit_types(handles=handles))
    return type_, draw(values_of(type_))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**1000, -(10**400), float("inf"), float("nan"), 1e308, 255.0, -0.5, "\ud800", "NaN"])
    | st.floats()
    | st.text(max_size=6)
    | NAMES,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), part, max_size=4),
    max_leaves=12,
)
"""Whatever a parser of JSON can give, and some that only a lenient one gives."""


def same_value(left: Any, right: Any) -> bool:
    """Whether two values are the same to the bit; unlike `==`, true for NaN and false for 0.0 and -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (left != left and right != right) or struct.pack("<d", left) == struct.pack("<d", right)
    if isinstance(left, dict):
        return same_value(list(cast(Any, left).items()), list(right.items()))
    if isinstance(left, list | tuple):
        return len(cast(Any, left)) == len(right) and all(map(same_value, cast(Any, left), right))
    return left == right


def details_of(expected: type[InvalidInput], action: Callable[[], object]) -> tuple[str, ...]:
    """The texts of the error that the action raises; none when it succeeds. Any other exception passes."""
    try:
        action()
    except expected as error:
        return error.details
    return ()
