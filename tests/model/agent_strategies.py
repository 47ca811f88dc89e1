"""Agent types of real guests, and random schemas and data values, for tests."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from golem_server.model.data_values import DataSchema
from golem_server.model.types import OptionType, RecordType, Value, WitType
from golem_server.model.wit_types import type_to_nodes
from tests.model.wit_strategies import CHARACTERS, values_of, wit_types

TYPESCRIPT = Path(__file__).parents[1] / "guests" / "sources" / "ts"

# The cases of variants that carry something, in the records of agent types.
_CASES = {
    *("tuple", "multimodal", "component-model", "unstructured-text", "unstructured-binary", "literal"),
    *("system-variable", "path-variable", "remaining-path-variable", "custom", "enabled", "periodic"),
    *("every-n-invocation", "record-type", "variant-type", "enum-type", "flags-type", "tuple-type", "list-type"),
    *("option-type", "result-type", "handle-type"),
}
# The fields whose value is a variant, which is a bare name where its case carries nothing.
_VARIANTS = {"type", "http-method", "snapshotting", "enabled"}


def discovered(agent: str) -> list[dict[str, Any]]:
    """The records that `discover-agent-types` of a TypeScript agent returned (`counter` or `shop`)."""
    return _record(json.loads((TYPESCRIPT / agent / "agent-types.json").read_text()))


def _record(part: Any, key: str = "") -> Any:
    if isinstance(part, list):
        return [_record(item) for item in cast("list[Any]", part)]
    if isinstance(part, dict):
        items = [(name, _record(value, name)) for name, value in cast("dict[str, Any]", part).items()]
        return items[0] if len(items) == 1 and items[0][0] in _CASES else dict(items)
    return (part, None) if key in _VARIANTS and isinstance(part, str) else part


def with_lists(part: Any) -> Any:
    """The value with lists in the place of tuples, as MessagePack gives it back."""
    if isinstance(part, list | tuple):
        return [with_lists(item) for item in cast("list[Any]", part)]
    if isinstance(part, dict):
        return {name: with_lists(value) for name, value in cast("dict[str, Any]", part).items()}
    return part


TEXTS = st.text(CHARACTERS, max_size=8)
LANGUAGES = st.sampled_from(["en", "de", "pt-BR"])
MIME_TYPES = st.sampled_from(["image/png", "text/plain;charset=utf-8"])


def _restrictions(key: str, allowed: st.SearchStrategy[str]) -> st.SearchStrategy[Value]:
    several = st.lists(allowed, min_size=1, max_size=2, unique=True)
    lists = several.map(lambda found: [{key: item} for item in found])
    return st.fixed_dictionaries({"restrictions": st.none() | lists})


@cache
def _elements(max_leaves: int) -> st.SearchStrategy[Value]:
    return st.one_of(
        wit_types(max_leaves=max_leaves).map(lambda type_: ("component-model", type_to_nodes(type_))),
        st.tuples(st.just("unstructured-text"), _restrictions("language-code", LANGUAGES)),
        st.tuples(st.just("unstructured-binary"), _restrictions("mime-type", MIME_TYPES)),
    )


@st.composite
def schemas(draw: st.DrawFn, *, max_leaves: int = 8) -> DataSchema:
    """Schemas of both kinds with elements of every kind."""
    names = draw(st.lists(TEXTS, max_size=4, unique=True))
    case = draw(st.sampled_from(["tuple", "multimodal"]))
    return DataSchema.from_guest((case, [(name, draw(_elements(max_leaves))) for name in names]))


@st.composite
def element_values(draw: st.DrawFn, schema: DataSchema, at: int) -> Value:
    """What `DataSchema.values` gives for the element: a value of its type, or a reference that it allows."""
    element = schema.elements[at]
    if element.type is not None:
        return draw(values_of(element.type))
    if draw(st.booleans()):
        return "url", draw(TEXTS)
    if element.kind == "unstructured-text":
        language = draw(st.none() | (st.sampled_from(element.restrictions) if element.restrictions else LANGUAGES))
        return "inline", {
            "data": draw(TEXTS),
            "text-type": None if language is None else {"language-code": language},
        }
    mime_type = draw(st.sampled_from(element.restrictions) if element.restrictions else MIME_TYPES)
    return "inline", {"data": draw(st.binary(max_size=8)), "binary-type": {"mime-type": mime_type}}


@st.composite
def data_values(draw: st.DrawFn, *, max_leaves: int = 8) -> tuple[DataSchema, Value]:
    """A schema and a data value of it."""
    schema = draw(schemas(max_leaves=max_leaves))
    count = len(schema.elements)
    chosen = draw(st.lists(st.integers(0, count - 1), max_size=4)) if schema.multimodal and count else range(count)
    if schema.multimodal and not count:
        chosen = []
    return schema, schema.from_values([(schema.elements[at].name, draw(element_values(schema, at))) for at in chosen])


def has_nested_option(type_: WitType) -> bool:
    """Whether an option is directly within another one somewhere in the type."""
    match type_:
        case OptionType(inner) if isinstance(inner, OptionType):
            return True
        case RecordType(fields):
            return any(has_nested_option(field.type) for field in fields)
        case _:
            parts = [getattr(type_, name) for name in ("element", "inner", "ok", "err") if hasattr(type_, name)]
            parts += getattr(type_, "items", ())
            parts += [case.type for case in getattr(type_, "cases", ())]
            return any(has_nested_option(part) for part in parts if part is not None)
