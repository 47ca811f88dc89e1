"""Values of MySQL and MariaDB, between golem:rdbms/mysql and the binary protocol of prepared statements."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import msgspec

from golem_server.host.rdbms_calendar import days_in_month, days_of_date, microseconds_of_timestamp
from golem_server.host.rdbms_errors import RdbmsError, unsupported_column
from golem_server.model.types import Value

NULL: Value = ("null", None)

UNSIGNED, BINARY_CHARSET = 32, 63
_ENUM, _SET = 256, 2048

_INTEGERS = {1: ("tinyint", "b"), 2: ("smallint", "h"), 9: ("mediumint", "i"), 3: ("int", "i"), 8: ("bigint", "q")}
_PLAIN = {
    4: ("float", "FLOAT"),
    5: ("double", "DOUBLE"),
    0: ("decimal", "DECIMAL"),
    246: ("decimal", "DECIMAL"),
    10: ("date", "DATE"),
    12: ("datetime", "DATETIME"),
    7: ("timestamp", "TIMESTAMP"),
    11: ("time", "TIME"),
    13: ("year", "YEAR"),
    16: ("bit", "BIT"),
    245: ("json", "JSON"),
    247: ("enumeration", "ENUM"),
    248: ("set", "SET"),
}
_CHARACTERS = {254: ("fixchar", "CHAR"), 253: ("varchar", "VARCHAR"), 15: ("varchar", "VARCHAR")}
_BYTES = {254: ("binary", "BINARY"), 253: ("varbinary", "VARBINARY"), 15: ("varbinary", "VARBINARY")}
_BLOBS = (249, 250, 251, 252)
_STRINGS = frozenset(
    {"fixchar", "varchar", "tinytext", "text", "mediumtext", "longtext", "enumeration", "set", "decimal", "json"}
)
_BINARIES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result: its number of a type in the protocol, its case in the interface and its db-type-name."""

    name: str
    type: int
    case: str
    shown: str
    unsigned: bool
    length: int


def column(name: str, type: int, flags: int, charset: int, length: int) -> Column:
    """The column that the server describes so. Raises RdbmsError for a type that the interface does not have."""
    unsigned = bool(flags & UNSIGNED)
    case, shown = _case_of(type, flags, charset, length, unsigned)
    return Column(name, type, case, shown, unsigned, length)


def _case_of(type: int, flags: int, charset: int, length: int, unsigned: bool) -> tuple[str, str]:
    if type == 1 and length == 1 and not unsigned:
        return "boolean", "BOOLEAN"
    if type in _INTEGERS:
        case = _INTEGERS[type][0]
        return (f"{case}-unsigned", f"{case.upper()} UNSIGNED") if unsigned else (case, case.upper())
    if flags & _ENUM:
        return _PLAIN[247]
    if flags & _SET:
        return _PLAIN[248]
    if type in _PLAIN:
        return _PLAIN[type]
    if type in _BLOBS:
        return ("blob", "BLOB") if charset == BINARY_CHARSET else ("text", "TEXT")
    if type in _CHARACTERS:
        return _BYTES[type] if charset == BINARY_CHARSET else _CHARACTERS[type]
    if type == 6:
        # An expression that is nothing but null.
        return "text", "NULL"
    raise unsupported_column({255: "GEOMETRY"}.get(type, str(type)))


# --- From the database


class RowReader:
    """Reads the values of one row of the binary protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def position(self) -> int:
        """How far it has read."""
        return self._position

    def row(self, columns: list[Column]) -> list[Value]:
        """All values. Raises RdbmsError."""
        nulls = self._data[1 : 1 + (len(columns) + 9) // 8]
        self._position = 1 + len(nulls)
        return [
            NULL if nulls[(index + 2) // 8] >> (index + 2) % 8 & 1 else (column.case, self._value(column))
            for index, column in enumerate(columns)
        ]

    def _value(self, column: Column) -> Value:
        case = column.case
        if case == "boolean":
            return bool(self._number("b"))
        if column.type in _INTEGERS:
            format = _INTEGERS[column.type][1]
            return self._number(format.upper() if column.unsigned else format)
        match case:
            case "year":
                return self._number("H")
            case "float":
                return self._number("f")
            case "double":
                return self._number("d")
            case "date" | "datetime" | "timestamp":
                return self._moment(case)
            case "time":
                return self._time()
            case "bit":
                number = int.from_bytes(self.text(), "big")
                return [bool(number >> bit & 1) for bit in reversed(range(column.length))]
            case _ if case in _BINARIES:
                return self.text()
            case _:
                try:
                    return self.text().decode()
                except UnicodeDecodeError:
                    raise RdbmsError.response("a text is not UTF-8") from None

    def _number(self, format: str) -> Value:
        (value,) = struct.unpack_from("<" + format, self._data, self._position)
        self._position += struct.calcsize("<" + format)
        return value

    def text(self) -> bytes:
        """Bytes behind their length."""
        length = self.length()
        start = self._position
        self._position = start + length
        return self._data[start : start + length]

    def length(self) -> int:
        """A length of one to nine bytes."""
        first = self._number("B")
        if first < 251:
            return first
        size = {252: 2, 253: 3, 254: 8}[first]
        start = self._position
        self._position = start + size
        return int.from_bytes(self._data[start : start + size], "little")

    def _moment(self, case: str) -> Value:
        data = self.text()
        year, month, day = struct.unpack_from("<HBB", data) if data else (0, 0, 0)
        if not (1 <= month <= 12 and 1 <= day <= days_in_month(year, month)):
            raise RdbmsError.response(f"the {case} {year:04}-{month:02}-{day:02} does not exist")
        date = {"year": year, "month": month, "day": day}
        if case == "date":
            return date
        hour, minute, second = struct.unpack_from("<BBB", data, 4) if len(data) > 4 else (0, 0, 0)
        (microsecond,) = struct.unpack_from("<I", data, 7) if len(data) > 7 else (0,)
        time = {"hour": hour, "minute": minute, "second": second, "nanosecond": microsecond * 1000}
        return {"date": date, "time": time}

    def _time(self) -> Value:
        data = self.text()
        negative, days, hour, minute, second = struct.unpack_from("<BIBBB", data) if data else (0, 0, 0, 0, 0)
        (microsecond,) = struct.unpack_from("<I", data, 8) if len(data) > 8 else (0,)
        hours = days * 24 + hour
        if negative or hours > 255:
            sign = "-" if negative else ""
            raise RdbmsError.response(f"the time {sign}{hours:02}:{minute:02}:{second:02} cannot be expressed")
        return {"hour": hours, "minute": minute, "second": second, "nanosecond": microsecond * 1000}


# --- To the database


def encode(values: list[Value]) -> bytes:
    """The parameters of an execution: which are null, their types, and the values. Raises RdbmsError."""
    nulls = bytearray((len(values) + 7) // 8)
    types, contents = bytearray(), bytearray()
    for index, (case, payload) in enumerate(values):
        if case == "null":
            nulls[index // 8] |= 1 << index % 8
            types += b"\x06\0"
            continue
        number, unsigned, content = _encoded(case, payload)
        types += bytes((number, 0x80 if unsigned else 0))
        contents += content
    return bytes(nulls) + b"\1" + bytes(types) + bytes(contents)


_NUMBERS = {
    **{f"{name}-unsigned": (number, format.upper()) for number, (name, format) in _INTEGERS.items()},
    **{name: (number, format) for number, (name, format) in _INTEGERS.items()},
    **{"mediumint": (3, "i"), "mediumint-unsigned": (3, "I"), "boolean": (1, "b"), "year": (2, "H")},
    **{"float": (4, "f"), "double": (5, "d")},
}
"""Number of the type and format of a parameter."""


def _encoded(case: str, payload: Value) -> tuple[int, bool, bytes]:
    if case in _NUMBERS:
        number, format = _NUMBERS[case]
        return number, format.isupper(), struct.pack("<" + format, payload)
    if case in _STRINGS:
        if case == "json":
            _check_json(payload)
        return 253, False, _with_length(payload.encode())
    if case in _BINARIES:
        return 252, False, _with_length(bytes(payload))
    match case:
        case "date":
            days_of_date(payload)
            return 10, False, b"\4" + _date(payload)
        case "datetime" | "timestamp":
            microseconds_of_timestamp(payload)
            time = payload["time"]
            clock = struct.pack("<BBBI", time["hour"], time["minute"], time["second"], time["nanosecond"] // 1000)
            return 12 if case == "datetime" else 7, False, b"\x0b" + _date(payload["date"]) + clock
        case "time":
            days, hour = divmod(payload["hour"], 24)
            parts = (0, days, hour, payload["minute"], payload["second"], payload["nanosecond"] // 1000)
            return 11, False, b"\x0c" + struct.pack("<BIBBBI", *parts)
        case "bit":
            if len(payload) > 64:
                raise RdbmsError.parameter("Bit vector is too large")
            number = int("".join("1" if bit else "0" for bit in payload) or "0", 2)
            return 8, True, struct.pack("<Q", number)
        case _:
            raise RdbmsError.parameter(f"'{case}' is no type of a parameter")


def _date(value: Value) -> bytes:
    if not 0 <= value["year"] <= 9999:
        raise RdbmsError.parameter(f"the year {value['year']} is out of range")
    return struct.pack("<HBB", value["year"], value["month"], value["day"])


def _check_json(text: str) -> None:
    try:
        msgspec.json.decode(text.encode(), type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise RdbmsError.parameter(f"not JSON: {error}") from None


def _with_length(content: bytes) -> bytes:
    size = len(content)
    if size < 251:
        return bytes((size,)) + content
    for mark, width in ((252, 2), (253, 3), (254, 8)):
        if size < 1 << 8 * width:
            return bytes((mark,)) + size.to_bytes(width, "little") + content
    raise RdbmsError.parameter("a value is too large")
