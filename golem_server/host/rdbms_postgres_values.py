"""Values of PostgreSQL's own types, between golem:rdbms/postgres and PostgreSQL's binary form.

The binary form is exact and does not depend on settings of the connection. Each type is one row of the table at the
end; user-defined types, arrays and ranges are made of these (`rdbms_postgres_types.py`).
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from golem_server.host.rdbms_calendar import (
    DAY_MICROSECONDS,
    date_of_days,
    days_of_date,
    microseconds_of_time,
    microseconds_of_timestamp,
    time_of_microseconds,
    timestamp_of_microseconds,
)
from golem_server.host.rdbms_errors import RdbmsError
from golem_server.model.types import Value

Encode: TypeAlias = Callable[[Value], bytes]
Decode: TypeAlias = Callable[[bytes], Value]

_EPOCH_DAYS = 10_957
"""From 1970-01-01 to 2000-01-01, where PostgreSQL starts to count."""
_EPOCH_MICROSECONDS = _EPOCH_DAYS * DAY_MICROSECONDS

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?", re.ASCII)
_SPECIAL_NUMBERS = {"nan": 0xC000, "infinity": 0xD000, "inf": 0xD000, "-infinity": 0xF000, "-inf": 0xF000}
_NUMBER_SIGNS = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_MAX_INTEGER_DIGITS, _MAX_SCALE = 131_072, 16_383


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type of PostgreSQL: `case` in the interface, `name` and `oid` in the catalogue, `shown` as db-type-name."""

    case: str
    name: str
    oid: int
    encode: Encode
    decode: Decode
    shown: str = ""

    @property
    def type_name(self) -> str:
        """The db-type-name."""
        return self.shown or self.name.upper()


def _packed(format: str) -> tuple[Encode, Decode]:
    packing = struct.Struct(format)

    def decode(data: bytes) -> Value:
        return packing.unpack(data)[0]

    return packing.pack, decode


def _encode_text(value: str) -> bytes:
    return value.encode()


def _decode_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RdbmsError.response("a text is not UTF-8") from None


def _same(value: bytes) -> bytes:
    return bytes(value)


def _encode_json(value: str) -> bytes:
    data = value.encode()
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise RdbmsError.parameter(f"not JSON: {error}") from None
    return data


def _versioned(encode: Encode) -> tuple[Encode, Decode]:
    """A text behind a byte that says 1."""

    def with_version(value: Value) -> bytes:
        return b"\1" + encode(value)

    def without_version(data: bytes) -> Value:
        return _decode_text(data[1:])

    return with_version, without_version


# --- numeric


def _encode_numeric(value: str) -> bytes:
    text = value.strip()
    special = _SPECIAL_NUMBERS.get(text.lower().removeprefix("+"))
    if special is not None:
        return struct.pack("!HhHH", 0, 0, special, 0)
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise RdbmsError.parameter(f"not a number: {value[:100]!r}")
    integer, fraction, exponent = match[2], match[3] or "", int((match[4] or "0")[:8])
    if len(integer) + exponent > _MAX_INTEGER_DIGITS or len(fraction) - exponent > _MAX_SCALE:
        raise RdbmsError.parameter("a number has too many digits")
    if exponent > 0:
        integer, fraction = integer + fraction[:exponent].ljust(exponent, "0"), fraction[exponent:]
    elif exponent < 0:
        integer, fraction = integer[:exponent], integer[exponent:].rjust(-exponent, "0") + fraction
    scale = len(fraction)
    # Digits of base 10,000, counted from the point in both directions.
    integer = integer.lstrip("0")
    integer = integer.rjust(-(-len(integer) // 4) * 4, "0")
    padded = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    digits = [int(piece) for piece in re.findall("....", integer + padded)]
    weight = len(integer) // 4 - 1
    while digits and digits[0] == 0:
        digits.pop(0)
        weight -= 1
    while digits and digits[-1] == 0:
        digits.pop()
    sign = 0x4000 if match[1] == "-" and digits else 0
    return struct.pack(f"!HhHH{len(digits)}H", len(digits), weight if digits else 0, sign, scale, *digits)


def _decode_numeric(data: bytes) -> str:
    count, weight, sign, scale = struct.unpack_from("!HhHH", data)
    if sign in _NUMBER_SIGNS:
        return _NUMBER_SIGNS[sign]
    digits = struct.unpack_from(f"!{count}H", data, 8)
    whole = max(weight + 1, 0)
    integer = "".join(f"{digit:04}" for digit in digits[:whole]).ljust(whole * 4, "0").lstrip("0")
    fraction = "0000" * max(-weight - 1, 0) + "".join(f"{digit:04}" for digit in digits[whole:])
    text = integer or "0"
    if scale:
        text += "." + fraction.ljust(scale, "0")[:scale]
    return "-" + text if sign else text


# --- Dates and times


def _encode_date(value: Value) -> bytes:
    return _in_range("!i", days_of_date(value) - _EPOCH_DAYS, "date")


def _decode_date(data: bytes) -> Value:
    (days,) = struct.unpack("!i", data)
    if days in (2**31 - 1, -(2**31)):
        raise RdbmsError.response("an infinite date cannot be expressed")
    return date_of_days(days + _EPOCH_DAYS)


def _encode_time(value: Value) -> bytes:
    return struct.pack("!q", microseconds_of_time(value))


def _decode_time(data: bytes) -> Value:
    return time_of_microseconds(struct.unpack("!q", data)[0])


def _encode_timetz(value: Value) -> bytes:
    return _in_range("!qi", microseconds_of_time(value["time"]), "time", -value["offset"])


def _decode_timetz(data: bytes) -> Value:
    microseconds, west = struct.unpack("!qi", data)
    return {"time": time_of_microseconds(microseconds), "offset": -west}


def _encode_timestamp(value: Value) -> bytes:
    return _in_range("!q", microseconds_of_timestamp(value) - _EPOCH_MICROSECONDS, "timestamp")


def _decode_timestamp(data: bytes) -> Value:
    (microseconds,) = struct.unpack("!q", data)
    if microseconds in (2**63 - 1, -(2**63)):
        raise RdbmsError.response("an infinite timestamp cannot be expressed")
    return timestamp_of_microseconds(microseconds + _EPOCH_MICROSECONDS)


def _encode_timestamptz(value: Value) -> bytes:
    local = microseconds_of_timestamp(value["timestamp"]) - _EPOCH_MICROSECONDS
    return _in_range("!q", local - value["offset"] * 1_000_000, "timestamp")


def _decode_timestamptz(data: bytes) -> Value:
    return {"timestamp": _decode_timestamp(data), "offset": 0}


def _in_range(format: str, number: int, what: str, *more: int) -> bytes:
    try:
        return struct.pack(format, number, *more)
    except struct.error:
        raise RdbmsError.parameter(f"a {what} is out of range") from None


def _encode_interval(value: Value) -> bytes:
    return struct.pack("!qii", value["microseconds"], value["days"], value["months"])


def _decode_interval(data: bytes) -> Value:
    microseconds, days, months = struct.unpack("!qii", data)
    return {"months": months, "days": days, "microseconds": microseconds}


# --- Addresses, identifiers, bits


def _encode_uuid(value: Value) -> bytes:
    return struct.pack("!QQ", value["high-bits"], value["low-bits"])


def _decode_uuid(data: bytes) -> Value:
    high, low = struct.unpack("!QQ", data)
    return {"high-bits": high, "low-bits": low}


def _address(is_network: bool) -> tuple[Encode, Decode]:
    def encode(value: Value) -> bytes:
        case, parts = value
        packed = bytes(parts) if case == "ipv4" else struct.pack("!8H", *parts)
        family = 2 if case == "ipv4" else 3
        return struct.pack("!BBBB", family, len(packed) * 8, is_network, len(packed)) + packed

    def decode(data: bytes) -> Value:
        _, bits, _, length = struct.unpack_from("!BBBB", data)
        packed = data[4:]
        if bits != length * 8:
            network = f"{ipaddress.ip_address(packed)}/{bits}"
            raise RdbmsError.response(f"the network {network} is more than one address, which cannot be expressed")
        return ("ipv4", tuple(packed)) if length == 4 else ("ipv6", struct.unpack("!8H", packed))

    return encode, decode


def _encode_mac(value: Value) -> bytes:
    return bytes(value["octets"])


def _decode_mac(data: bytes) -> Value:
    return {"octets": tuple(data)}


def _encode_bits(value: list[bool]) -> bytes:
    count = len(value)
    number = int("".join("1" if bit else "0" for bit in value).ljust(-(-count // 8) * 8, "0") or "0", 2)
    return struct.pack("!i", count) + number.to_bytes(-(-count // 8), "big")


def _decode_bits(data: bytes) -> list[bool]:
    (count,) = struct.unpack_from("!i", data)
    text = "".join(f"{byte:08b}" for byte in data[4:])[:count]
    return [bit == "1" for bit in text]


SCALARS: tuple[Scalar, ...] = (
    Scalar("character", "char", 18, *_packed("!b"), shown='"CHAR"'),
    Scalar("int2", "int2", 21, *_packed("!h")),
    Scalar("int4", "int4", 23, *_packed("!i")),
    Scalar("int8", "int8", 20, *_packed("!q")),
    Scalar("float4", "float4", 700, *_packed("!f")),
    Scalar("float8", "float8", 701, *_packed("!d")),
    Scalar("numeric", "numeric", 1700, _encode_numeric, _decode_numeric),
    Scalar("boolean", "bool", 16, *_packed("!?")),
    Scalar("text", "text", 25, _encode_text, _decode_text),
    Scalar("varchar", "varchar", 1043, _encode_text, _decode_text),
    Scalar("bpchar", "bpchar", 1042, _encode_text, _decode_text, shown="CHAR"),
    Scalar("timestamp", "timestamp", 1114, _encode_timestamp, _decode_timestamp),
    Scalar("timestamptz", "timestamptz", 1184, _encode_timestamptz, _decode_timestamptz),
    Scalar("date", "date", 1082, _encode_date, _decode_date),
    Scalar("time", "time", 1083, _encode_time, _decode_time),
    Scalar("timetz", "timetz", 1266, _encode_timetz, _decode_timetz),
    Scalar("interval", "interval", 1186, _encode_interval, _decode_interval),
    Scalar("bytea", "bytea", 17, _same, _same),
    Scalar("json", "json", 114, _encode_json, _decode_text),
    Scalar("jsonb", "jsonb", 3802, *_versioned(_encode_json)),
    Scalar("jsonpath", "jsonpath", 4072, *_versioned(_encode_text)),
    Scalar("xml", "xml", 142, _encode_text, _decode_text),
    Scalar("uuid", "uuid", 2950, _encode_uuid, _decode_uuid),
    Scalar("inet", "inet", 869, *_address(False)),
    Scalar("cidr", "cidr", 650, *_address(True)),
    Scalar("macaddr", "macaddr", 829, _encode_mac, _decode_mac),
    Scalar("bit", "bit", 1560, _encode_bits, _decode_bits),
    Scalar("varbit", "varbit", 1562, _encode_bits, _decode_bits),
    Scalar("money", "money", 790, *_packed("!q")),
    Scalar("oid", "oid", 26, *_packed("!I")),
)
"""The types with one representation of their own."""

NAME = Scalar("text", "name", 19, _encode_text, _decode_text)
"""Identifiers, as the system's own tables have them: the interface has no type for them but text."""

RANGES: dict[str, tuple[int, str]] = {
    "int4range": (3904, "int4"),
    "int8range": (3926, "int8"),
    "numrange": (3906, "numeric"),
    "tsrange": (3908, "timestamp"),
    "tstzrange": (3910, "timestamptz"),
    "daterange": (3912, "date"),
}
"""PostgreSQL's own ranges, the same names in the interface: oid, and the case of the bounds."""


# --- Vectors, which an extension brings


def encode_vector(case: str, value: Value) -> bytes:
    """The binary form of a vector, halfvec or sparsevec."""
    if case == "sparsevec":
        count = len(value["indices"])
        if count != len(value["values"]):
            raise RdbmsError.parameter("a sparse vector has as many indices as values")
        head = struct.pack("!iii", value["dim"], count, 0)
        return head + struct.pack(f"!{count}i{count}f", *value["indices"], *value["values"])
    try:
        return struct.pack(f"!HH{len(value)}{'f' if case == 'vector' else 'e'}", len(value), 0, *value)
    except (struct.error, OverflowError):
        raise RdbmsError.parameter(f"too many or too large numbers for a {case}") from None


def decode_vector(case: str, data: bytes) -> Value:
    """The value of such bytes."""
    if case == "sparsevec":
        dimensions, count, _ = struct.unpack_from("!iii", data)
        numbers = struct.unpack_from(f"!{count}i{count}f", data, 12)
        return {"dim": dimensions, "indices": list(numbers[:count]), "values": list(numbers[count:])}
    (count,) = struct.unpack_from("!H", data)
    return list(struct.unpack_from(f"!{count}{'f' if case == 'vector' else 'e'}", data, 4))
