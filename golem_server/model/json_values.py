"""WIT values as the JSON of the REST API, plain and annotated with their type.

The form is that of the reference (rest-api, section 3), with these decisions of our own, because JSON -> value ->
guest -> value -> JSON must be exact:

- NaN and the infinities are the strings "NaN", "Infinity", "-Infinity", in and out.
- Where the inner type of an option is an option itself, some(x) is `{"some": <JSON of x>}`, so that some(none),
  `{"some":null}`, differs from none, `null`. On input some(x) may also be written as x alone, as the reference has
  it; an object whose only key is `some` is always read as the first form. Other options are `null` or the inner value.
- An integer may be written with a point (`1.0`, `1e3`) if that is exact (up to 2**53), except for u64, which the
  reference refuses; a fraction is refused rather than cut off. `true` is never a number.
- A number too large for f64 (`1e400`) is refused rather than read as infinity; f32 is rounded to the nearest.
- A variant must have exactly one key. Of a result with both `ok` and `err`, `ok` counts.
- An unpaired surrogate is no character and is refused within strings.

Errors name the wrong place and say what was expected: "expected X, got Y" with the WIT type and the kind of the JSON
(null, boolean, number, string, list, record). A closure for each type is compiled once; types without handles share
theirs over all workers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from golem_server.model.errors import InvalidInput
from golem_server.model.ids import WorkerId
from golem_server.model.json_decoding import Decoder, Fault, ValueErrors, compile_decoder
from golem_server.model.json_encoding import Encoder, compile_encoder
from golem_server.model.json_types import Json, type_from_json, type_to_json
from golem_server.model.types import (
    FunctionType,
    HandleType,
    ListType,
    OptionType,
    Parameter,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)

__all__ = [
    "Decoder",
    "Encoder",
    "Json",
    "SignatureJson",
    "ValueErrors",
    "WorkerHandles",
    "annotated_from_json",
    "annotated_to_json",
    "contains_handles",
    "value_decoder",
    "value_encoder",
]

_URN = "urn:worker:"
_MAX_HANDLE = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class WorkerHandles:
    """Handles of one worker as JSON: `"urn:worker:<componentId>/<workerName>/3"`."""

    worker_id: WorkerId

    def encode(self, number: int) -> str:
        """The JSON of the handle with this number in the worker's table."""
        return f"{_URN}{self.worker_id}/{number}"

    def decode(self, text: str) -> int:
        """The number in the worker's table. Raises ValueError, with the reason, for a text that is no handle of it."""
        worker, slash, number = text.rpartition("/")
        if not slash or not worker.startswith(_URN):
            raise ValueError("expected handle, represented by a worker-url/resource-id string, got another string")
        if not (number.isascii() and number.isdigit()) or len(number) > 20 or int(number) > _MAX_HANDLE:
            raise ValueError(f"Failed to parse resource-id section of the handle value: {number[:40]}")
        if worker.removeprefix(_URN) != str(self.worker_id):
            raise ValueError("the handle belongs to another worker")
        return int(number)


def contains_handles(type_: WitType) -> bool:
    """Whether values of the type can contain a handle, so that their JSON depends on the worker."""
    match type_:
        case HandleType():
            return True
        case ListType(part) | OptionType(part):
            return contains_handles(part)
        case TupleType(items):
            return any(map(contains_handles, items))
        case RecordType(fields):
            return any(contains_handles(field.type) for field in fields)
        case VariantType(cases):
            return any(case.type is not None and contains_handles(case.type) for case in cases)
        case ResultType(ok, err):
            return any(arm is not None and contains_handles(arm) for arm in (ok, err))
        case _:
            return False


@lru_cache(maxsize=4096)
def value_encoder(type_: WitType, handles: WorkerHandles | None = None) -> Encoder:
    """The closure that gives the plain JSON of the type's values.

    `handles` is needed only for types that contain handles (ValueError without it). The JSON may share parts with the
    value. Looking a closure up costs the hash of the whole type: keep it where it is used often.
    """
    return compile_encoder(type_, handles)


@lru_cache(maxsize=4096)
def value_decoder(type_: WitType, handles: WorkerHandles | None = None) -> Decoder:
    """The closure that reads the type's values from plain JSON, raising ValueErrors for all that does not fit.

    Without `handles` any handle in the JSON is refused. The same note on the cost as for `value_encoder` holds.
    """
    return compile_decoder(type_, handles)


def annotated_to_json(type_: WitType, value: Value, handles: WorkerHandles | None = None) -> dict[str, Json]:
    """`{"typ": <type>, "value": <plain JSON>}`."""
    return {"typ": type_to_json(type_), "value": value_encoder(type_, handles)(value)}


def annotated_from_json(json: Json, handles: WorkerHandles | None = None) -> tuple[WitType, Value]:
    """The type and the value of the annotated form. Raises InvalidInput, ValueErrors where the value does not fit."""
    if not _is_wrapped(json) or "typ" not in json:
        raise InvalidInput('expected a value with its type: {"typ": ..., "value": ...}')
    # Not through the cache: the types are the caller's, and there may be any number of them.
    type_ = type_from_json(json["typ"])
    return type_, compile_decoder(type_, handles)(json["value"])


def _is_wrapped(json: Json) -> bool:
    """Whether a parameter is `{"value": V}` or `{"typ": T, "value": V}` rather than a bare value."""
    if json.__class__ is not dict or "value" not in json:
        return False
    if len(json) == 1:
        return True
    typ = json.get("typ")
    return len(json) == 2 and typ.__class__ is dict and "type" in typ


_MIXED = (
    "Some parameters have types specified, while others don't. "
    "Either all parameters must have types or none of them should."
)


@dataclass(slots=True)
class SignatureJson:
    """The JSON of one function's parameters and result, compiled once and kept with the function."""

    type: FunctionType
    _parameters: tuple[Parameter, ...] = field(init=False)
    _decoders: list[Decoder] | None = field(init=False, default=None)
    _encoder: Encoder | None = field(init=False, default=None)
    _result_json: dict[str, Json] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        parameters, result = self.type.parameters, self.type.result
        self._parameters = parameters
        if not any(contains_handles(parameter.type) for parameter in parameters):
            self._decoders = [value_decoder(parameter.type) for parameter in parameters]
        if result is not None:
            self._result_json = type_to_json(result)
            if not contains_handles(result):
                self._encoder = value_encoder(result)

    def decode_parameters(self, params: Json, worker_id: WorkerId) -> list[Value]:
        """The values of a request's `params`: each wrapped, wrapped with its type, or bare (rest-api, section 4).

        Raises InvalidInput for a wrong number of them or types at only some, ValueErrors with paths that begin with
        `params[<position>]` for wrong values. A `typ` must fit its own value; it is not compared with the function's.
        """
        if params.__class__ is not list:
            raise InvalidInput("params: expected a list")
        decoders = self._decoders
        if decoders is None:
            handles = WorkerHandles(worker_id)
            decoders = [compile_decoder(parameter.type, handles) for parameter in self._parameters]
        plain = _unwrapped(params, worker_id)
        if len(plain) != len(decoders):
            raise InvalidInput(f"expected {len(decoders)}, got {len(plain)} parameters")
        values: list[Value] = []
        faults: list[Fault] = []
        for at, (decode, json) in enumerate(zip(decoders, plain, strict=True)):
            try:
                values.append(decode(json))
            except ValueErrors as errors:
                faults.extend((f"[{at}]{place}", text) for place, text in errors.faults)
        if faults:
            raise ValueErrors(faults, "params")
        return values

    def encode_result(self, value: Value, worker_id: WorkerId) -> dict[str, Json] | None:
        """The result as the answer has it: annotated with its type, or None where the function returns nothing."""
        result = self.type.result
        if result is None:
            return None
        encode = self._encoder or compile_encoder(result, WorkerHandles(worker_id))
        return {"typ": self._result_json, "value": encode(value)}


def _unwrapped(params: list[Json], worker_id: WorkerId) -> list[Json]:
    """The plain JSON of each parameter; those with a type are checked against it."""
    plain: list[Json] = []
    faults: list[Fault] = []
    typed = 0
    for at, param in enumerate(params):
        if not _is_wrapped(param):
            plain.append(param)
            continue
        json = param["value"]
        plain.append(json)
        if len(param) == 2:
            typed += 1
            type_ = type_from_json(param["typ"], f"params[{at}].typ")
            try:
                compile_decoder(type_, WorkerHandles(worker_id))(json)
            except ValueErrors as errors:
                faults.extend((f"[{at}]{place}", text) for place, text in errors.faults)
    if 0 < typed < len(params):
        raise InvalidInput(_MIXED)
    if faults:
        raise ValueErrors(faults, "params")
    return plain
