"""The parameters of a constructor or method, and where in a request each of them is found.

A constructor's parameters come from the mounted path alone. A method's come from the endpoint's path, else from a query
value, else from a header, as the endpoint says; what is left is the body: one JSON object with a field for each, or
the whole body where the one that is left is a text or bytes (reference: gateway, section 3.3). They are always given
in the order in which the method declares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from golem_server.gateway.code_first.declarations import InvalidDeclaration
from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.code_first.path_segments import Remaining, Segment, Variable
from golem_server.gateway.code_first.text_values import read_text, text_reader, texts_reader
from golem_server.model.data_elements import ElementSchema
from golem_server.model.data_values import DataSchema
from golem_server.model.json_types import Json
from golem_server.model.types import Field, Primitive, RecordType, Value

Source: TypeAlias = Literal["path", "query", "header", "body"]


@dataclass(frozen=True, slots=True)
class RequestValues:
    """What a request has for parameters: captured parts of its path, query values and headers, the body's values.

    `header` gives all values of a header, whose name is in lower case.
    """

    captured: Sequence[str]
    query: Mapping[str, Sequence[str]]
    header: Callable[[str], Sequence[str]]
    body: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter, where it is found and under what name; `read` raises RequestFailure."""

    element: ElementSchema
    source: Source
    key: str
    read: Callable[[RequestValues], Value]


@dataclass(frozen=True, slots=True)
class JsonBody:
    """One JSON object with these fields."""

    type: RecordType


@dataclass(frozen=True, slots=True)
class WholeBody:
    """The body as it is, for a parameter that is a text or bytes."""

    element: ElementSchema


Body: TypeAlias = JsonBody | WholeBody | None


def constructor_parameters(schema: DataSchema, mount: Sequence[Segment]) -> tuple[Parameter, ...]:
    """The parameters of a constructor, in order. Raises InvalidDeclaration."""
    if schema.multimodal:
        raise InvalidDeclaration("a constructor with multimodal input cannot be called over HTTP")
    positions, reasons = _variables(mount, 0)
    names = {element.name for element in schema.elements}
    reasons += [
        f"the mount's path has the variable {name!r}, which is no parameter of the constructor"
        for name in sorted(positions.keys() - names)
    ]
    found: list[Parameter] = []
    for element in schema.elements:
        if element.name not in positions:
            reasons.append(f"Constructor parameter {element.name!r} must bind to a path variable of the mount")
        elif (parameter := _from_path(element, *positions[element.name])) is None:
            reasons.append(f"Constructor parameter {element.name!r} has a type that cannot stand in a path")
        else:
            found.append(parameter)
    if reasons:
        raise InvalidDeclaration(*reasons)
    return tuple(found)


def method_parameters(
    schema: DataSchema, endpoint: Json, suffix: Sequence[Segment], first: int
) -> tuple[tuple[Parameter, ...], Body]:
    """The parameters of a method at an endpoint, in order, and its body; `first` captured parts are the mount's.

    Raises InvalidDeclaration.
    """
    if schema.multimodal:
        raise InvalidDeclaration("a method with multimodal input cannot be called over HTTP")
    positions, reasons = _variables(suffix, first)
    queries, more = _named(endpoint["queryVars"], "queryParamName", "query value")
    headers, even_more = _named(endpoint["headerVars"], "headerName", "header")
    reasons += more + even_more
    names = {element.name for element in schema.elements}
    reasons += [
        f"the {place} binds {name!r}, which is no parameter of the method"
        for place, bound in (("path", positions), ("query", queries), ("header", headers))
        for name in bound
        if name not in names
    ]
    found: list[Parameter] = []
    left: list[ElementSchema] = []
    for element in schema.elements:
        parameter: Parameter | None
        if element.name in positions:
            parameter = _from_path(element, *positions[element.name])
        elif element.name in queries:
            parameter = _from_query(element, queries[element.name])
        elif element.name in headers:
            parameter = _from_header(element, headers[element.name])
        else:
            left.append(element)
            parameter = _from_body(element)
        if parameter is None:
            reasons.append(f"parameter {element.name!r} has a type that cannot stand where it is bound")
        else:
            found.append(parameter)
    body = _body(left, reasons)
    if reasons:
        raise InvalidDeclaration(*reasons)
    return tuple(found), body


_Positions: TypeAlias = dict[str, tuple[int, bool]]


def _variables(segments: Sequence[Segment], first: int) -> tuple[_Positions, list[str]]:
    """The positions of a path's variables among the captured parts, and whether each is the rest of the path."""
    positions: _Positions = {}
    reasons: list[str] = []
    for segment in segments:
        if isinstance(segment, Variable | Remaining):
            if segment.name in positions:
                reasons.append(f"the path has the variable {segment.name!r} twice")
            positions[segment.name] = first + len(positions), isinstance(segment, Remaining)
    return positions, reasons


def _named(bindings: Sequence[Json], key: str, what: str) -> tuple[dict[str, str], list[str]]:
    """The names of query values or headers by the parameters that they are bound to."""
    names: dict[str, str] = {}
    reasons: list[str] = []
    for binding in bindings:
        parameter, name = binding["variableName"], binding[key]
        if not name:
            reasons.append(f"a {what} without a name is bound to {parameter!r}")
        if parameter in names:
            reasons.append(f"more than one {what} is bound to {parameter!r}")
        names[parameter] = name
    return names, reasons


def _from_path(element: ElementSchema, position: int, is_rest: bool) -> Parameter | None:
    read = None if element.type is None else text_reader(element.type)
    if read is None or (is_rest and element.type is not Primitive.STRING):
        return None
    place = f"path variable {element.name}"
    return Parameter(element, "path", element.name, lambda values: read_text(read, values.captured[position], place))


def _from_query(element: ElementSchema, name: str) -> Parameter | None:
    read = None if element.type is None else texts_reader(element.type)
    if read is None:
        return None
    place = f"query value {name}"
    return Parameter(element, "query", name, lambda values: read(values.query.get(name, ()), place))


def _from_header(element: ElementSchema, name: str) -> Parameter | None:
    read = None if element.type is None else texts_reader(element.type)
    if read is None:
        return None
    lower, place = name.lower(), f"header {name}"

    def from_header(values: RequestValues) -> Value:
        texts = values.header(lower)
        if not all(map(str.isascii, texts)):
            raise RequestFailure(400, "REQUEST_HEADER_NOT_ASCII", f"{place} has characters that are not ASCII")
        return read(texts, place)

    return Parameter(element, "header", name, from_header)


def _from_body(element: ElementSchema) -> Parameter:
    name = element.name
    return Parameter(element, "body", name, lambda values: values.body[name])


def _body(left: Sequence[ElementSchema], reasons: list[str]) -> Body:
    """What the body is made of that gives the parameters which nothing is bound to."""
    if not left:
        return None
    fields = tuple(Field(element.name, element.type) for element in left if element.type is not None)
    if len(fields) == len(left):
        return JsonBody(RecordType(fields))
    if len(left) == 1:
        return WholeBody(left[0])
    names = ", ".join(element.name for element in left)
    reasons.append(f"the body would have to be several parameters of which not all are JSON: {names}")
    return None
