"""Writes Python values as wasmtime's component values: one function per WIT type, made once.

Every function takes the word index of a value that owns no memory, and leaves a whole value there. While it works the
value is at every moment one that wasmtime could free: an error in the middle (ValueMismatch, with the path to the wrong
place) leaves nothing behind that is not reachable, so whoever owns the outermost value frees it as always.

Memory that wasmtime will own comes from wasmtime's constructors. Records would need one for each field name, so a
record or tuple is a clone of a template, with names and nested records in place and holes for the rest: one call.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

from golem_server.model.types import (
    EnumType,
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
from golem_server.wasm.errors import ValueMismatch
from golem_server.wasm.lifting import BULK, BULK_CODES, Handles
from golem_server.wasm.native import (
    BYTES,
    EMPTY_VALUE,
    WORDS,
    Cell,
    bindings,
    flags_new_uninit,
    list_new_uninit,
    name_new,
    record_new_uninit,
    tuple_new_uninit,
    val_clone,
    val_delete,
    val_new,
    view,
)

Lower: TypeAlias = Callable[[Value, int, Handles], None]

_BOOL, _CHAR, _STRING = (
    bindings.WASMTIME_COMPONENT_BOOL.value,
    bindings.WASMTIME_COMPONENT_CHAR.value,
    bindings.WASMTIME_COMPONENT_STRING.value,
)
_U8: int = bindings.WASMTIME_COMPONENT_U8.value
_F32_KIND: int = bindings.WASMTIME_COMPONENT_F32.value
_F64_KIND: int = bindings.WASMTIME_COMPONENT_F64.value
_LIST: int = bindings.WASMTIME_COMPONENT_LIST.value
_RECORD: int = bindings.WASMTIME_COMPONENT_RECORD.value
_TUPLE: int = bindings.WASMTIME_COMPONENT_TUPLE.value
_VARIANT: int = bindings.WASMTIME_COMPONENT_VARIANT.value
_ENUM: int = bindings.WASMTIME_COMPONENT_ENUM.value
_OPTION: int = bindings.WASMTIME_COMPONENT_OPTION.value
_RESULT: int = bindings.WASMTIME_COMPONENT_RESULT.value
_FLAGS: int = bindings.WASMTIME_COMPONENT_FLAGS.value
_RESOURCE: int = bindings.WASMTIME_COMPONENT_RESOURCE.value

_F64, _F32, _S64 = view("d"), view("f"), view("q")

_INTEGERS: dict[Primitive, tuple[int, int, int]] = {
    Primitive.U8: (_U8, 0, 2**8 - 1),
    Primitive.U16: (bindings.WASMTIME_COMPONENT_U16.value, 0, 2**16 - 1),
    Primitive.U32: (bindings.WASMTIME_COMPONENT_U32.value, 0, 2**32 - 1),
    Primitive.U64: (bindings.WASMTIME_COMPONENT_U64.value, 0, 2**64 - 1),
    Primitive.S8: (bindings.WASMTIME_COMPONENT_S8.value, -(2**7), 2**7 - 1),
    Primitive.S16: (bindings.WASMTIME_COMPONENT_S16.value, -(2**15), 2**15 - 1),
    Primitive.S32: (bindings.WASMTIME_COMPONENT_S32.value, -(2**31), 2**31 - 1),
    Primitive.S64: (bindings.WASMTIME_COMPONENT_S64.value, -(2**63), 2**63 - 1),
}

_BYTES_CHUNK = 2048  # values at a time, see lifting
_BYTES_TEMPLATE = (bytes([_U8]) + bytes(31)) * _BYTES_CHUNK

_SEQUENCES = (list, tuple)
_MISSING: Any = object()


class _Template(Cell):
    """A value that is cloned to make others. The functions that clone it hold it, so it lives as long as they do."""

    def __init__(self) -> None:
        super().__init__(4)

    def __del__(self) -> None:
        val_delete(self.address)


class Lowering:
    """How values of one type are written.

    `lower` writes a whole value. `fill` writes into what `template` (None if there is none) has been cloned to; for
    types without template the two are the same.
    """

    __slots__ = ("fill", "lower", "template")

    def __init__(self, lower: Lower, fill: Lower | None = None, template: _Template | None = None) -> None:
        self.lower = lower
        self.fill = lower if fill is None else fill
        self.template = template


def describe(value: object) -> str:
    """What a value is, in the words of an error message."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return f"integer {value}" if -(2**70) < value < 2**70 else "a huge integer"
        case float():
            return "number"
        case str():
            return "string"
        case bytes() | bytearray() | memoryview():
            return "bytes"
        case list() | tuple():
            return f"a list of {len(cast('list[Any]', value))}"
        case Mapping():
            return "record"
        case _:
            return type(value).__name__


def _mismatch(expected: str, value: Any) -> ValueMismatch:
    return ValueMismatch("", f"expected {expected}, got {describe(value)}")


def compile_lowering(type: WitType) -> Lowering:
    """How values of this type are written."""
    match type:
        case Primitive():
            return Lowering(_primitive(type))
        case ListType():
            return Lowering(_list(type))
        case RecordType():
            return _record(type)
        case TupleType():
            return _tuple(type)
        case VariantType():
            return Lowering(_variant(type))
        case EnumType():
            return Lowering(_enum(type))
        case FlagsType():
            return Lowering(_flags(type))
        case OptionType():
            return Lowering(_option(type))
        case ResultType():
            return Lowering(_result(type))
        case HandleType():
            return Lowering(_handle(type))


def _primitive(primitive: Primitive) -> Lower:
    match primitive:
        case Primitive.BOOL:
            return _lower_bool
        case Primitive.F32 | Primitive.F64:
            return _float(primitive)
        case Primitive.CHAR:
            return _lower_char
        case Primitive.STRING:
            return _lower_string
        case _:
            return _integer(primitive)


def _integer(primitive: Primitive) -> Lower:
    kind, lowest, highest = _INTEGERS[primitive]
    words = WORDS if lowest == 0 else _S64
    name = primitive.value

    def lower(value: Value, word: int, handles: Handles) -> None:
        if type(value) is not int:
            if not isinstance(value, int) or isinstance(value, bool):
                raise _mismatch(name, value)
            value = int(value)
        if not lowest <= value <= highest:
            raise ValueMismatch("", f"expected {name}, got {describe(value)}, which is out of range")
        WORDS[word] = kind
        words[word + 1] = value

    return lower


def _float(primitive: Primitive) -> Lower:
    kind, shift, items = (_F64_KIND, 0, _F64) if primitive is Primitive.F64 else (_F32_KIND, 1, _F32)
    name = primitive.value

    def lower(value: Value, word: int, handles: Handles) -> None:
        if type(value) is not float:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise _mismatch(name, value)
            try:
                value = float(value)
            except OverflowError:
                raise ValueMismatch("", f"expected {name}, got {describe(value)}, which is out of range") from None
        WORDS[word] = kind
        items[(word + 1) << shift] = cast(Any, value)

    return lower


def _lower_bool(value: Value, word: int, handles: Handles) -> None:
    if value is not True and value is not False:
        raise _mismatch("bool", value)
    WORDS[word] = _BOOL
    WORDS[word + 1] = value


def _lower_char(value: Value, word: int, handles: Handles) -> None:
    if not isinstance(value, str) or len(value) != 1 or "\ud800" <= value <= "\udfff":
        raise ValueMismatch("", f"expected char (a string of one Unicode scalar value), got {describe(value)}")
    WORDS[word] = _CHAR
    WORDS[word + 1] = ord(value)


def _lower_string(value: Value, word: int, handles: Handles) -> None:
    if not isinstance(value, str):
        raise _mismatch("string", value)
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise ValueMismatch("", "expected string, got one with a lone surrogate") from None
    name_new((word + 1) << 3, len(data), data)
    WORDS[word] = _STRING


def _lower_bytes(value: Value, word: int, handles: Handles) -> None:
    if not isinstance(value, bytes):
        value = _to_bytes(value)
    size = len(value)
    if size > BULK:
        handles.bulk = True
    list_new_uninit((word + 1) << 3, size)
    data = WORDS[word + 2]
    values = bytearray(_BYTES_TEMPLATE[: 32 * size])
    for start in range(0, size, _BYTES_CHUNK):
        chunk = value[start : start + _BYTES_CHUNK]
        count = len(chunk)
        if 32 * count < len(values):
            del values[32 * count :]
        values[8::32] = chunk
        at = data + 32 * start
        BYTES[at : at + 32 * count] = values
    WORDS[word] = _LIST


def _to_bytes(value: Value) -> bytes:
    if isinstance(value, bytearray | memoryview):
        return bytes(cast("bytearray", value))
    if not isinstance(value, _SEQUENCES):
        raise _mismatch("list<u8>", value)
    items = cast("list[Any]", value)
    for index, item in enumerate(items):
        if type(item) is not int or not 0 <= item <= 255:
            raise _mismatch("u8", item).within(f"[{index}]")
    return bytes(items)


def _new_list(word: int, count: int, handles: Handles) -> int:
    """Make the value a list of empty values; gives the word index of its first."""
    if count > BULK:
        handles.bulk = True
    list_new_uninit((word + 1) << 3, count)
    data = WORDS[word + 2]
    if count:
        BYTES[data : data + 32 * count] = bytes(32 * count)
    WORDS[word] = _LIST
    return data >> 3


def _list(type: ListType) -> Lower:
    if type.element is Primitive.U8:
        return _lower_bytes
    each = _list_of_any(type)
    bulk = BULK_CODES.get(type.element)
    return each if bulk is None else _numbers(cast(Primitive, type.element), *bulk, each)


def _list_of_any(type: ListType) -> Lower:
    lower_element = compile_lowering(type.element).lower

    def lower(value: Value, word: int, handles: Handles) -> None:
        if not isinstance(value, _SEQUENCES):
            raise _mismatch("list", value)
        items = cast("list[Any]", value)
        at = _new_list(word, len(items), handles)
        index = 0
        try:
            for item in items:
                lower_element(item, at, handles)
                at += 4
                index += 1
        except ValueMismatch as wrong:
            raise wrong.within(f"[{index}]") from None

    return lower


def _numbers(element: Primitive, code: str, size: int, each: Lower) -> Lower:
    items, step = cast(Any, view(code)), 32 // size
    floats = element in (Primitive.F32, Primitive.F64)
    accepted = {int, float} if floats else {int}
    new_array = cast("Callable[[str, list[Any]], array[Any]]", array)
    kind = (_F64_KIND if element is Primitive.F64 else _F32_KIND) if floats else _INTEGERS[element][0]

    def lower(value: Value, word: int, handles: Handles) -> None:
        if isinstance(value, _SEQUENCES) and len(cast("list[Any]", value)) > 3:
            values = cast("list[Any]", value)
            if accepted.issuperset(map(type, values)):
                try:
                    numbers = new_array(code, values)
                except OverflowError:
                    pass  # the slow path finds which
                else:
                    count = len(numbers)
                    first = _new_list(word, count, handles)
                    WORDS[first : first + 4 * (count - 1) + 1 : 4] = memoryview(new_array("Q", [kind]) * count)
                    at = (first + 1) * 8 // size
                    items[at : at + (count - 1) * step + 1 : step] = memoryview(numbers)
                    return
        each(value, word, handles)

    return lower


def _record(record: RecordType) -> Lowering:
    parts = [(field, compile_lowering(field.type), 6 * index + 2) for index, field in enumerate(record.fields)]
    template = _Template()
    record_new_uninit(template.address + 8, len(parts))
    base = WORDS[template.word + 2] >> 3
    for field, lowering, offset in parts:
        name = field.name.encode()
        name_new((base + offset - 2) << 3, len(name), name)
        _place(lowering, base + offset)
    WORDS[template.word] = _RECORD
    fills = [
        (field.name, lowering.fill, offset, isinstance(field.type, OptionType)) for field, lowering, offset in parts
    ]

    def fill(value: Value, word: int, handles: Handles) -> None:
        if type(value) is not dict and not isinstance(value, Mapping):  # the first is quick and nearly always true
            raise _mismatch("record", value)
        values = cast("Mapping[str, Any]", value)
        base = WORDS[word + 2] >> 3
        name = ""
        try:
            for name, fill_field, offset, optional in fills:
                item = values.get(name, _MISSING)
                if item is _MISSING:
                    if not optional:
                        raise ValueMismatch("", "is missing")
                    item = None
                fill_field(item, base + offset, handles)
        except ValueMismatch as wrong:
            raise wrong.within(f".{name}") from None

    def lower(value: Value, word: int, handles: Handles) -> None:
        val_clone(template.address, word << 3)
        fill(value, word, handles)

    return Lowering(lower, fill, template)


def _tuple(type: TupleType) -> Lowering:
    parts = [(compile_lowering(item), 4 * index) for index, item in enumerate(type.items)]
    template = _Template()
    tuple_new_uninit(template.address + 8, len(parts))
    base = WORDS[template.word + 2] >> 3
    for lowering, offset in parts:
        _place(lowering, base + offset)
    WORDS[template.word] = _TUPLE
    fills = [(lowering.fill, offset) for lowering, offset in parts]
    count = len(parts)

    def fill(value: Value, word: int, handles: Handles) -> None:
        if not isinstance(value, _SEQUENCES) or len(cast("list[Any]", value)) != count:
            raise _mismatch(f"a tuple of {count}", value)
        base = WORDS[word + 2] >> 3
        index = 0
        try:
            for item in cast("list[Any]", value):
                fill_item, offset = fills[index]
                fill_item(item, base + offset, handles)
                index += 1
        except ValueMismatch as wrong:
            raise wrong.within(f"[{index}]") from None

    def lower(value: Value, word: int, handles: Handles) -> None:
        val_clone(template.address, word << 3)
        fill(value, word, handles)

    return Lowering(lower, fill, template)


def _place(lowering: Lowering, word: int) -> None:
    """Put the part's template, or an empty value, into a template that is being made."""
    if lowering.template is None:
        WORDS[word] = 0
        WORDS[word + 1] = 0
    else:
        val_clone(lowering.template.address, word << 3)


def _variant(type: VariantType) -> Lower:
    cases: dict[Any, tuple[bytes, Lowering | None]] = {
        case.name: (case.name.encode(), None if case.type is None else compile_lowering(case.type))
        for case in type.cases
    }

    def lower(value: Value, word: int, handles: Handles) -> None:
        if not isinstance(value, _SEQUENCES) or len(cast("list[Any]", value)) != 2:
            raise _mismatch("variant (case name and payload)", value)
        name, payload = cast("tuple[Any, Any]", value)
        case = cases.get(name) if isinstance(name, str) else None
        if case is None:
            raise ValueMismatch("", f"expected a case of {', '.join(cases)}, got {name!r}")
        encoded, lowering = case
        name_new((word + 1) << 3, len(encoded), encoded)
        WORDS[word + 3] = 0
        WORDS[word] = _VARIANT
        _lower_payload(lowering, payload, word + 3, handles, f".{name}")

    return lower


def _lower_payload(lowering: Lowering | None, payload: Value, word: int, handles: Handles, path: str) -> None:
    """Put a payload into a box of its own, whose address is written to the word."""
    if lowering is None:
        if payload is not None:
            raise ValueMismatch(path, f"expected no payload, got {describe(payload)}")
        return
    box = val_new(EMPTY_VALUE)
    WORDS[word] = box
    try:
        lowering.lower(payload, box >> 3, handles)
    except ValueMismatch as wrong:
        raise wrong.within(path) from None


def _enum(type: EnumType) -> Lower:
    names: dict[Any, bytes] = {name: name.encode() for name in type.names}

    def lower(value: Value, word: int, handles: Handles) -> None:
        encoded = names.get(value) if isinstance(value, str) else None
        if encoded is None:
            got = repr(value) if isinstance(value, str) else describe(value)
            raise ValueMismatch("", f"expected one of {', '.join(names)}, got {got}")
        name_new((word + 1) << 3, len(encoded), encoded)
        WORDS[word] = _ENUM

    return lower


def _flags(type: FlagsType) -> Lower:
    names = {name: name.encode() for name in type.names}

    def lower(value: Value, word: int, handles: Handles) -> None:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise _mismatch("a list of flags", value)
        given = list(cast("Iterable[Any]", value))
        for index, name in enumerate(given):
            if not isinstance(name, str) or name not in names:
                raise ValueMismatch(f"[{index}]", f"expected one of {', '.join(names)}, got {name!r}")
        chosen = set(given)
        flags_new_uninit((word + 1) << 3, len(chosen))
        at = WORDS[word + 2]
        for name, encoded in names.items():
            if name in chosen:
                name_new(at, len(encoded), encoded)
                at += 16
        WORDS[word] = _FLAGS

    return lower


def _option(type: OptionType) -> Lower:
    inner = compile_lowering(type.inner)
    nested = isinstance(type.inner, OptionType)

    def lower(value: Value, word: int, handles: Handles) -> None:
        WORDS[word + 1] = 0
        WORDS[word] = _OPTION
        if value is None:
            return
        if nested:
            if not isinstance(value, _SEQUENCES) or len(cast("list[Any]", value)) != 1:
                raise _mismatch("null or a list of one (some)", value)
            value = cast("list[Any]", value)[0]
        box = val_new(EMPTY_VALUE)
        WORDS[word + 1] = box
        inner.lower(value, box >> 3, handles)

    return lower


def _result(type: ResultType) -> Lower:
    ok = None if type.ok is None else compile_lowering(type.ok)
    err = None if type.err is None else compile_lowering(type.err)

    def lower(value: Value, word: int, handles: Handles) -> None:
        if not isinstance(value, _SEQUENCES) or len(cast("list[Any]", value)) != 2:
            raise _mismatch("result (ok or err, and payload)", value)
        arm, payload = cast("tuple[Any, Any]", value)
        if arm not in ("ok", "err"):
            raise ValueMismatch("", f"expected ok or err, got {arm!r}")
        is_ok = arm == "ok"
        WORDS[word + 1] = is_ok
        WORDS[word + 2] = 0
        WORDS[word] = _RESULT
        _lower_payload(ok if is_ok else err, payload, word + 2, handles, f".{arm}")

    return lower


def _handle(type: HandleType) -> Lower:
    def lower(value: Value, word: int, handles: Handles) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _mismatch("a resource handle", value)
        WORDS[word + 1] = handles.lower_handle(value, type)
        WORDS[word] = _RESOURCE

    return lower
