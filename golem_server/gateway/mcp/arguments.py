"""The arguments of a tool and the segments of a resource's URI as data values of constructors and methods.

A text is `{"data", "languageCode"?}`, bytes are `{"data", "mimeType"}` with the data in base64; the parts of a
multimodal value are a list of `{"name", "value"}` (reference: gateway, section 3.8).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast
from urllib.parse import unquote_to_bytes

import msgspec

from golem_server.gateway.code_first.text_values import ReadText, text_reader
from golem_server.model.data_elements import ElementSchema
from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import MAX_FAULTS, Fault, ValueErrors, compile_decoder, kind_of
from golem_server.model.json_types import Json
from golem_server.model.types import OptionType, Value
from golem_server.model.wit_values import FREE_HANDLES

_Read: TypeAlias = Callable[[Json], Value]
ReadArguments: TypeAlias = Callable[[Mapping[str, Json]], Value]
"""The data value of a tool's arguments. Raises InvalidInput that says all that is wrong."""

ReadSegments: TypeAlias = Callable[[Sequence[str]], Value]
"""The data value of the encoded segments of a URI. Raises InvalidInput that says all that is wrong."""


def arguments_reader(schema: DataSchema, parts: str) -> ReadArguments:
    """What reads the elements of a schema from arguments; `parts` is the argument that has multimodal ones."""
    readers = {element.name: _reader(element) for element in schema.elements}
    optional = {element.name for element in schema.elements if isinstance(element.type, OptionType)}

    def read(arguments: Mapping[str, Json]) -> Value:
        values: list[tuple[str, Value]] = []
        faults: list[Fault] = []
        for name, read_element in readers.items():
            try:
                if name not in arguments and name not in optional:
                    raise ValueErrors([("", "is missing")])
                values.append((name, read_element(arguments.get(name))))
            except ValueErrors as errors:
                faults += errors.at(name)
        return _data_value(schema, values, faults)

    def read_parts(arguments: Mapping[str, Json]) -> Value:
        given = arguments.get(parts)
        if not isinstance(given, list):
            raise InvalidInput(f"{parts}: expected a list, got {kind_of(given)}")
        values: list[tuple[str, Value]] = []
        faults: list[Fault] = []
        for at, item in enumerate(cast("list[Json]", given)):
            try:
                values.append(_part(readers, item))
            except ValueErrors as errors:
                faults += errors.at(f"{parts}[{at}]")
        return _data_value(schema, values, faults)

    return read_parts if schema.multimodal else read


def segments_reader(schema: DataSchema) -> ReadSegments | None:
    """What reads the elements of a schema from segments of a URI, None where they cannot stand in one."""
    if schema.multimodal:
        return None
    readers: list[tuple[str, ReadText]] = []
    for element in schema.elements:
        read_text = _segment_reader(element)
        if read_text is None:
            return None
        readers.append((element.name, read_text))

    def read(segments: Sequence[str]) -> Value:
        values: list[tuple[str, Value]] = []
        faults: list[Fault] = []
        for (name, read_segment), segment in zip(readers, segments, strict=True):
            try:
                values.append((name, read_segment(unquote_to_bytes(segment).decode())))
            except UnicodeDecodeError:
                faults.append((name, "expected UTF-8"))
            except ValueErrors as errors:
                faults += errors.at(name)
            except ValueError as error:
                faults.append((name, str(error)))
        return _data_value(schema, values, faults)

    return read


def _data_value(schema: DataSchema, values: list[tuple[str, Value]], faults: list[Fault]) -> Value:
    if faults:
        details = [f"{place}: {text}" for place, text in faults[:MAX_FAULTS]]
        raise InvalidInput(", ".join(details), details=details)
    value = schema.from_values(values)
    # The languages and MIME types that the schema allows.
    schema.check(value)
    return value


def _part(readers: Mapping[str, _Read], item: Json) -> tuple[str, Value]:
    part = cast("dict[str, Json]", item) if isinstance(item, dict) else {}
    if not {"name", "value"} <= part.keys():
        raise ValueErrors([("", "expected a record with name and value")])
    name = part["name"]
    if not isinstance(name, str) or name not in readers:
        raise ValueErrors([(".name", f"expected one of {', '.join(readers)}")])
    try:
        return name, readers[name](part["value"])
    except ValueErrors as errors:
        raise ValueErrors(errors.at(".value")) from None


def _reader(element: ElementSchema) -> _Read:
    if element.type is not None:
        return compile_decoder(element.type, FREE_HANDLES, collapsed=True)
    return _text if element.kind == "unstructured-text" else _binary


def _segment_reader(element: ElementSchema) -> ReadText | None:
    """Plain types are read as in paths of HTTP, structured ones from their JSON, which is percent-encoded."""
    if element.kind == "unstructured-text":
        return lambda text: ("inline", {"data": text, "text-type": None})
    if element.type is None:
        return None
    if (read := text_reader(element.type)) is not None:
        return read
    decode = compile_decoder(element.type, FREE_HANDLES, collapsed=True)

    def from_json(text: str) -> Value:
        try:
            json = msgspec.json.decode(text)
        except (msgspec.MsgspecError, RecursionError):
            raise ValueErrors([("", "expected JSON")]) from None
        return decode(json)

    return from_json


def _text(json: Json) -> Value:
    data = _string(json, "data")
    language = None if json.get("languageCode") is None else {"language-code": _string(json, "languageCode")}
    return "inline", {"data": data, "text-type": language}


def _binary(json: Json) -> Value:
    try:
        data = base64.b64decode(_string(json, "data"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueErrors([(".data", "expected base64")]) from None
    return "inline", {"data": data, "binary-type": {"mime-type": _string(json, "mimeType")}}


def _string(json: Json, key: str) -> str:
    if not isinstance(json, dict):
        raise ValueErrors([("", f"expected record, got {kind_of(json)}")])
    value = cast("dict[str, Json]", json).get(key)
    if not isinstance(value, str):
        raise ValueErrors([(f".{key}", f"expected string, got {kind_of(value)}")])
    return value
