"""Data values, what agents take and give, and their JSON.

A *data value* is the WIT `data-value` as the converters have it: `("tuple", [element, ...])` or `("multimodal",
[(name, element), ...])`, where an element is `("component-model", wit-value)`, `("unstructured-text", reference)` or
`("unstructured-binary", reference)`. It goes to guests, from guests and into oplogs as it is; lists in the place of
tuples are accepted, since MessagePack gives these back.

`DataSchema` says what elements there are and turns data values into JSON and back, with closures that are compiled
once. The JSON is that of cli-1.5, section 5.2:

- `{"type":"Tuple","elements":[E, ...]}` or `{"type":"Multimodal","elements":[{"name","value":E}, ...]}`, E being
  `{"type":"ComponentModel","value":V}`, or `{"type":"UnstructuredText"|"UnstructuredBinary","value":R}` with a
  reference R `{"type":"Url","value"}` or `{"type":"Inline","data","textType"|"binaryType"}`, bytes as numbers.
- V is as `model/json_values.py` has it, except that an option within an option is `null` or the inner value alone: the
  official clients know no other form. Handles are texts `<uri>/<number>` and may be those of any worker.
- An element of a multimodal value is found in the schema by its name, and by its position if no element has that name,
  which is how the reference does it.
- A text or bytes of a language or MIME type that the schema does not allow are refused.

The form that oplogs show says the types as well: `DataSchema.typed_json`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from golem_server.model.data_elements import ElementCodec, ElementSchema, element_codec, member
from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import MAX_FAULTS, Fault, ValueErrors, kind_of
from golem_server.model.json_types import Json
from golem_server.model.types import Value

__all__ = ["UNIT", "DataSchema", "DataValueErrors", "ElementSchema"]

UNIT: Value = ("tuple", [])
"""The data value of a method without result."""

_MAX_ELEMENTS = 1000

_Decode: TypeAlias = Callable[[Json], Value]


class DataValueErrors(ValueErrors):
    """JSON does not fit the schema; `details` name each wrong place."""

    code = "TYPE_CHECKER_ERROR"


@dataclass(frozen=True, slots=True)
class DataSchema:
    """What an agent's constructor or method takes or gives.

    A tuple of named elements, or, if `multimodal`, kinds of elements of which a value has any number in any order.
    Conversions are compiled when the first of them is needed.
    """

    multimodal: bool
    elements: tuple[ElementSchema, ...]
    _compiled: list[ElementCodec] = field(init=False, default_factory=list[ElementCodec], repr=False, compare=False)
    _by_name: dict[str, ElementCodec] = field(
        init=False, default_factory=dict[str, ElementCodec], repr=False, compare=False
    )

    @classmethod
    def from_guest(cls, record: Value) -> DataSchema:
        """From the WIT form `("tuple" | "multimodal", [(name, element-schema), ...])`.

        Raises InvalidInput for types of elements that cannot be.
        """
        case, elements = record
        return cls(case == "multimodal", tuple(ElementSchema.from_guest(name, element) for name, element in elements))

    @classmethod
    def from_json(cls, json: Json, path: str = "schema") -> DataSchema:
        """From the JSON form. Raises InvalidInput with the path to the wrong place."""
        kind = member(json, "type", str, path)
        if kind not in ("Tuple", "Multimodal"):
            raise InvalidInput(f'{path}.type: expected "Tuple" or "Multimodal"')
        elements = member(json, "elements", list, path)
        if len(elements) > _MAX_ELEMENTS:
            raise InvalidInput(f"{path}.elements: there are more than {_MAX_ELEMENTS}")
        return cls(
            kind == "Multimodal",
            tuple(ElementSchema.from_json(element, f"{path}.elements[{at}]") for at, element in enumerate(elements)),
        )

    def to_guest(self) -> Value:
        """The WIT form."""
        elements = [(element.name, element.record) for element in self.elements]
        return "multimodal" if self.multimodal else "tuple", elements

    def to_json(self) -> dict[str, Json]:
        """The JSON form."""
        return {
            "type": "Multimodal" if self.multimodal else "Tuple",
            "elements": [{"name": element.name, "schema": element.to_json()} for element in self.elements],
        }

    @property
    def is_unit(self) -> bool:
        """Whether there is nothing to give."""
        return not self.elements

    def _codecs(self) -> list[ElementCodec]:
        compiled = self._compiled
        if len(compiled) != len(self.elements):
            compiled[:] = [element_codec(element) for element in self.elements]
            self._by_name.update((codec.schema.name, codec) for codec in compiled)
        return compiled

    def decode(self, json: Json, root: str = "value") -> Value:
        """The data value that the JSON is. Raises DataValueErrors; paths in it begin with `root`."""
        try:
            return self._decode(json)
        except ValueErrors as errors:
            raise DataValueErrors(errors.faults, root) from None

    def _decode(self, json: Json) -> Value:
        kind = "Multimodal" if self.multimodal else "Tuple"
        if json.__class__ is not dict:
            raise ValueErrors([("", f"expected a data value of type {kind}, got {kind_of(json)}")])
        if json.get("type") != kind:
            raise ValueErrors([(".type", f'expected "{kind}"')])
        parts = json.get("elements")
        if parts.__class__ is not list:
            raise ValueErrors([(".elements", f"expected list, got {kind_of(parts)}")])
        codecs = self._codecs()
        if self.multimodal:
            return "multimodal", _decoded([self._named(at, part) for at, part in enumerate(parts)])
        if len(parts) != len(codecs):
            raise ValueErrors([(".elements", f"expected {len(codecs)}, got {len(parts)} elements")])
        return "tuple", _decoded([(None, codec.decode, part) for codec, part in zip(codecs, parts, strict=True)])

    def _named(self, at: int, part: Json) -> tuple[str | None, _Decode, Json]:
        """The name, decoder and JSON of an element of a multimodal value."""
        if part.__class__ is not dict or "name" not in part or "value" not in part:
            return None, _fail(f"expected a record with name and value, got {kind_of(part)}"), part
        name = part["name"]
        codec = self._by_name.get(name) if isinstance(name, str) else None
        if codec is None:
            codecs = self._codecs()
            if at >= len(codecs):
                names = ", ".join(self._by_name)
                return None, _fail(f"expected an element that is named one of {names}"), part
            codec = codecs[at]
        return codec.schema.name, codec.decode, part["value"]

    def encode(self, value: Value) -> dict[str, Json]:
        """The JSON of a data value. Raises InvalidInput where it does not fit the schema, being a guest's."""
        if self.multimodal:
            parts = [
                {"name": name, "value": codec.encode(element)} for name, codec, element in self._named_elements(value)
            ]
            return {"type": "Multimodal", "elements": parts}
        return {"type": "Tuple", "elements": [codec.encode(element) for codec, element in self._tuple_elements(value)]}

    def typed_json(self, value: Value) -> dict[str, Json]:
        """The JSON with types that oplogs show. Raises InvalidInput where the value does not fit the schema."""
        if not self.multimodal:
            parts = [codec.typed_json(element) for codec, element in self._tuple_elements(value)]
            return {"type": "Tuple", "elements": parts}
        codecs = self._codecs()
        return {
            "type": "Multimodal",
            "elements": [
                {"name": name, "value": codec.typed_json(element), "schemaIndex": codecs.index(codec)}
                for name, codec, element in self._named_elements(value)
            ],
        }

    def check(self, value: Value) -> None:
        """Raise InvalidInput where a data value, which a guest has made, does not fit the schema."""
        self.values(value)

    def values(self, value: Value) -> list[tuple[str, Value]]:
        """The elements by name: component-model ones as values, others as their references in WIT form.

        Raises InvalidInput where the data value does not fit the schema.
        """
        if self.multimodal:
            return [(name, codec.read(element)) for name, codec, element in self._named_elements(value)]
        return [(codec.schema.name, codec.read(element)) for codec, element in self._tuple_elements(value)]

    def from_values(self, values: list[tuple[str, Value]]) -> Value:
        """The data value of what `values` gives; the names of a tuple's elements are not looked at."""
        codecs = self._codecs()
        if self.multimodal:
            return "multimodal", [(name, self._by_name[name].write(part)) for name, part in values]
        return "tuple", [codec.write(part) for codec, (_, part) in zip(codecs, values, strict=True)]

    def _tuple_elements(self, value: Value) -> list[tuple[ElementCodec, Value]]:
        case, elements = value
        codecs = self._codecs()
        if case != "tuple":
            raise InvalidInput("expected a tuple, got a multimodal data value")
        if len(elements) != len(codecs):
            raise InvalidInput(f"expected {len(codecs)}, got {len(elements)} elements")
        return list(zip(codecs, elements, strict=True))

    def _named_elements(self, value: Value) -> list[tuple[str, ElementCodec, Value]]:
        case, elements = value
        codecs = self._codecs()
        if case != "multimodal":
            raise InvalidInput("expected a multimodal data value, got a tuple")
        found: list[tuple[str, ElementCodec, Value]] = []
        for at, (name, element) in enumerate(elements):
            codec = self._by_name.get(name) or (codecs[at] if at < len(codecs) else None)
            if codec is None:
                raise InvalidInput(f"the schema has no element {name}")
            found.append((codec.schema.name, codec, element))
        return found


def _decoded(parts: list[tuple[str | None, _Decode, Json]]) -> list[Value]:
    """The elements, with their names if they have any; all faults are told at once."""
    values: list[Value] = []
    faults: list[Fault] = []
    for at, (name, decode, part) in enumerate(parts):
        try:
            element = decode(part)
            values.append(element if name is None else (name, element))
        except ValueErrors as errors:
            faults += errors.at(f".elements[{at}]" if name is None else f".elements[{at}].value")
    if faults:
        raise ValueErrors(faults[:MAX_FAULTS])
    return values


def _fail(text: str) -> _Decode:
    def fail(_: Json) -> Value:
        raise ValueErrors([("", text)])

    return fail
