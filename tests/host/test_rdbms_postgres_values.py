"""Every type of PostgreSQL that golem:rdbms has, as a parameter and as a column, against PostgreSQL's own texts."""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from golem_server.host.rdbms_calendar import days_in_month
from golem_server.host.rdbms_errors import RdbmsError
from golem_server.host.rdbms_postgres_types import BY_CASE, decode, encode
from golem_server.host.rdbms_postgres_values import SCALARS, decode_vector, encode_vector
from golem_server.model.types import Value
from tests.host.rdbms_guest import Guest, guest_of, relay_to


def date(year: int, month: int, day: int) -> Value:
    return {"year": year, "month": month, "day": day}


def time(hour: int, minute: int, second: int, nanosecond: int = 0) -> Value:
    return {"hour": hour, "minute": minute, "second": second, "nanosecond": nanosecond}


def timestamp(*parts: int) -> Value:
    return {"date": date(*parts[:3]), "time": time(*parts[3:])}


def utc(*parts: int) -> Value:
    return {"timestamp": timestamp(*parts), "offset": 0}


def bounds(start: Value, end: Value) -> Value:
    return {"start": start, "end": end}


UNBOUNDED: Value = ("unbounded", None)
UUID_TEXT = "12345678-9abc-def0-1122-334455667788"
UUID_VALUE: Value = {"high-bits": 0x123456789ABCDEF0, "low-bits": 0x1122334455667788}

VALUES: list[tuple[str, Value, str]] = [
    ("character", 65, "A"),
    ("int2", -32768, "-32768"),
    ("int4", 2147483647, "2147483647"),
    ("int8", -9223372036854775808, "-9223372036854775808"),
    ("float4", 0.125, "0.125"),
    ("float4", math.inf, "Infinity"),
    ("float8", 0.1, "0.1"),
    ("float8", -1.7976931348623157e308, "-1.7976931348623157e+308"),
    ("numeric", "12345678901234567890.1234567890", "12345678901234567890.1234567890"),
    ("numeric", "-0.00001", "-0.00001"),
    ("numeric", "100000000", "100000000"),
    ("numeric", "NaN", "NaN"),
    ("numeric", "-Infinity", "-Infinity"),
    ("boolean", True, "true"),
    ("boolean", False, "false"),
    ("text", "Zoë 🦀 '\"\\", "Zoë 🦀 '\"\\"),
    ("text", "", ""),
    ("varchar", "abc", "abc"),
    ("bpchar", "abc", "abc"),
    ("timestamp", timestamp(2024, 2, 29, 23, 59, 59, 123456000), "2024-02-29 23:59:59.123456"),
    ("timestamp", timestamp(12024, 1, 1, 0, 0, 0), "12024-01-01 00:00:00"),
    ("timestamp", timestamp(0, 12, 31, 1, 2, 3), "0001-12-31 01:02:03 BC"),
    ("timestamptz", utc(1999, 12, 31, 23, 0, 0), "1999-12-31 23:00:00+00"),
    ("date", date(1970, 1, 1), "1970-01-01"),
    ("date", date(-4000, 3, 1), "4001-03-01 BC"),
    ("time", time(0, 0, 0, 1000), "00:00:00.000001"),
    ("time", time(24, 0, 0), "24:00:00"),
    ("timetz", {"time": time(1, 2, 3), "offset": 5 * 3600 + 1800}, "01:02:03+05:30"),
    ("timetz", {"time": time(1, 2, 3), "offset": -3600}, "01:02:03-01"),
    ("interval", {"months": 14, "days": -3, "microseconds": 3_723_000_001}, "1 year 2 mons -3 days +01:02:03.000001"),
    ("bytea", b"\0\xff\\", "\\x00ff5c"),
    ("json", '{"b" : [1, 1e400]}', '{"b" : [1, 1e400]}'),
    ("jsonb", '{"a": 12345678901234567890}', '{"a": 12345678901234567890}'),
    ("jsonpath", '$."a"[*]', '$."a"[*]'),
    ("uuid", UUID_VALUE, UUID_TEXT),
    ("inet", ("ipv4", (192, 168, 0, 1)), "192.168.0.1/32"),
    ("inet", ("ipv6", (0x2001, 0xDB8, 0, 0, 0, 0, 0, 1)), "2001:db8::1/128"),
    ("cidr", ("ipv4", (10, 0, 0, 1)), "10.0.0.1/32"),
    ("cidr", ("ipv6", (0xFE80, 0, 0, 0, 0, 0, 0, 9)), "fe80::9/128"),
    ("macaddr", {"octets": (8, 0, 43, 1, 2, 255)}, "08:00:2b:01:02:ff"),
    ("bit", [True, False, True], "101"),
    ("varbit", [True] * 9 + [False], "1111111110"),
    ("varbit", [], ""),
    ("int4range", bounds(("included", -5), ("excluded", 7)), "[-5,7)"),
    ("int4range", bounds(UNBOUNDED, UNBOUNDED), "(,)"),
    ("int4range", bounds(("excluded", 0), ("excluded", 0)), "empty"),
    ("int8range", bounds(("included", 1), UNBOUNDED), "[1,)"),
    ("numrange", bounds(("excluded", "0.5"), ("included", "1.50")), "(0.5,1.50]"),
    (
        "tsrange",
        bounds(("included", timestamp(2020, 1, 1, 0, 0, 0)), ("excluded", timestamp(2020, 1, 2, 0, 0, 0))),
        '["2020-01-01 00:00:00","2020-01-02 00:00:00")',
    ),
    (
        "tstzrange",
        bounds(UNBOUNDED, ("excluded", utc(2020, 1, 2, 0, 0, 0))),
        '(,"2020-01-02 00:00:00+00")',
    ),
    ("daterange", bounds(("included", date(2020, 1, 1)), UNBOUNDED), "[2020-01-01,)"),
    ("money", -12345, "-$123.45"),
    ("oid", 4294967295, "4294967295"),
]
"""Values and the texts that PostgreSQL has for them."""

IDS = [f"{case} {text[:20]}" for case, _, text in VALUES]


@pytest_asyncio.fixture
async def guest(tmp_path: Path, empty_database_url: str) -> AsyncGenerator[Guest]:
    """A guest of a database."""
    async with relay_to(empty_database_url) as (_, address):
        options = "options=-c%20TimeZone%3DUTC%20-c%20lc_monetary%3DC"
        async with guest_of(tmp_path / "worker", "postgres", f"{address}?{options}") as found:
            yield found


def test_the_values_cover_all_types() -> None:
    assert {case for case, *_ in VALUES} == set(BY_CASE) - {"xml"}


async def test_scalars_and_ranges(guest: Guest) -> None:
    connection = await guest.open()
    for case, value, text in VALUES:
        sql = BY_CASE[case].sql
        money = "money" if case == "money" else "text"
        ((as_text, as_type, column, items),) = await guest.rows(
            connection,
            f"SELECT $1::text, $1, $2::text::{sql}, ARRAY[$1, NULL, $2::text::{sql}]",
            (case, value),
            ("text", text),
        )
        if money == "text":
            assert as_text == ("text", text), case
        assert as_type == column == (case, value), case
        assert items == ("array", [(case, value), ("null", None), (case, value)]), case


async def test_columns_are_described(guest: Guest) -> None:
    connection = await guest.open()
    names = sorted(BY_CASE)
    selected = ", ".join(
        f'NULL::{BY_CASE[name].sql} AS "{name}", NULL::{BY_CASE[name].sql}[] AS "{name}s"' for name in names
    )
    result = await guest.ok("[method]db-connection.query", connection, f"SELECT {selected}", [])
    columns = [{**column, "db-type": await guest.inline_type(column["db-type"])} for column in result["columns"]]
    shown = {"character": '"CHAR"', "bpchar": "CHAR", "boolean": "BOOL"}
    for index, name in enumerate(names):
        type_name = shown.get(name, name.upper())
        own, array = columns[2 * index], columns[2 * index + 1]
        assert own == {"ordinal": 2 * index, "name": name, "db-type": (name, None), "db-type-name": type_name}
        assert (array["db-type"], array["db-type-name"]) == (("array", (name, None)), f"{type_name}[]")
    assert [value for row in result["rows"] for value in row["values"]] == [("null", None)] * len(columns)


async def test_a_table_of_all_types(guest: Guest) -> None:
    connection = await guest.open()
    chosen = {case: value for case, value, _ in VALUES if case != "bit"}
    columns = ", ".join(f'"c_{case}" {BY_CASE[case].sql}, "a_{case}" {BY_CASE[case].sql}[]' for case in chosen)
    await guest.run(connection, f"CREATE TABLE everything (id int, {columns})")
    parameters: list[Value] = []
    for case, value in chosen.items():
        parameters += [(case, value), ("array", [(case, value), ("null", None)])]
    places = ", ".join(f"${number + 2}" for number in range(len(parameters)))
    insert = f"INSERT INTO everything VALUES ($1, {places})"
    assert await guest.run(connection, insert, ("int4", 1), *parameters) == 1
    assert await guest.run(connection, insert, ("int4", 2), *[("null", None)] * len(parameters)) == 1
    assert await guest.run(connection, insert, ("int4", 3), *[("null", None), ("array", [])] * len(chosen)) == 1
    first, second, third = await guest.rows(connection, "SELECT * FROM everything ORDER BY id")
    assert first[1:] == parameters
    assert second[1:] == [("null", None)] * len(parameters)
    assert third[1:] == [("null", None), ("array", [])] * len(chosen)


async def test_user_defined_types(guest: Guest) -> None:
    connection = await guest.open()
    for statement in (
        "CREATE SCHEMA shop",
        "CREATE TYPE shop.size AS ENUM ('small', 'it''s large')",
        "CREATE DOMAIN positive AS int4 CHECK (VALUE > 0)",
        "CREATE TYPE floatrange AS RANGE (subtype = float8)",
        "CREATE TYPE item AS (id uuid, name text, count positive, size shop.size, tags text[], span floatrange)",
        "CREATE DOMAIN items AS item[]",
        "CREATE TABLE stock (size shop.size, count positive, span floatrange, item item, items item[], "
        "counts positive[], sizes shop.size[], spans floatrange[], all_items items)",
    ):
        await guest.run(connection, statement)
    size: Value = ("enumeration", {"name": "shop.size", "value": "it's large"})
    count: Value = ("domain", {"name": "positive", "value": ("int4", 7)})
    span: Value = (
        "range",
        {"name": "floatrange", "value": bounds(("included", ("float8", 1.5)), ("excluded", ("float8", 2.5)))},
    )
    tags: Value = ("array", [("text", 'a "b", {c}'), ("null", None)])
    item: Value = (
        "composite",
        {"name": "item", "values": [("uuid", UUID_VALUE), ("text", "x, (y)"), count, size, tags, span]},
    )
    nothing: Value = ("composite", {"name": "item", "values": [("null", None)] * 6})
    items: Value = ("array", [item, nothing])
    all_items: Value = ("domain", {"name": "items", "value": items})
    parameters = [size, count, span, item, items, ("array", [count]), ("array", [size]), ("array", [span]), all_items]
    places = ", ".join(f"${number + 1}" for number in range(len(parameters)))
    assert await guest.run(connection, f"INSERT INTO stock VALUES ({places})", *parameters) == 1

    result = await guest.ok("[method]db-connection.query", connection, "SELECT * FROM stock", [])
    found = [await guest.inline(value) for value in result["rows"][0]["values"]]
    # Types are named as the catalogue does, and a domain that is a column of its own comes as its base.
    size[1]["name"] = "size"
    assert found == [
        size,
        ("int4", 7),
        span,
        item,
        items,
        ("array", [count]),
        ("array", [size]),
        ("array", [span]),
        items,
    ]

    columns = [{**column, "db-type": await guest.inline_type(column["db-type"])} for column in result["columns"]]
    item_type: Value = (
        "composite",
        {
            "name": "item",
            "attributes": [
                ("id", ("uuid", None)),
                ("name", ("text", None)),
                ("count", ("domain", {"name": "positive", "base-type": ("int4", None)})),
                ("size", ("enumeration", {"name": "size"})),
                ("tags", ("array", ("text", None))),
                ("span", ("range", {"name": "floatrange", "base-type": ("float8", None)})),
            ],
        },
    )
    assert [(column["db-type"], column["db-type-name"]) for column in columns] == [
        (("enumeration", {"name": "size"}), "size"),
        (("int4", None), "INT4"),
        (("range", {"name": "floatrange", "base-type": ("float8", None)}), "floatrange"),
        (item_type, "item"),
        (("array", item_type), "item[]"),
        (("array", ("domain", {"name": "positive", "base-type": ("int4", None)})), "positive[]"),
        (("array", ("enumeration", {"name": "size"})), "size[]"),
        (("array", ("range", {"name": "floatrange", "base-type": ("float8", None)})), "floatrange[]"),
        (("array", item_type), "item[]"),
    ]
    text = await guest.rows(connection, "SELECT item::text, span::text FROM stock")
    assert text[0][1] == ("text", "[1.5,2.5)")
    assert text[0][0][1].startswith(f'({UUID_TEXT},"x, (y)",7,"it\'s large",')


async def test_vectors(guest: Guest) -> None:
    connection = await guest.open()
    await guest.run(connection, "CREATE EXTENSION vector")
    await guest.run(connection, "CREATE TABLE v (a vector(3), b halfvec(3), c sparsevec(5), d vector[])")
    sparse: Value = ("sparsevec", {"dim": 5, "indices": [1, 4], "values": [0.5, -2.0]})
    values: list[Value] = [("vector", [1.0, 0.1, -3.5]), ("halfvec", [1.0, 0.5, 0.25]), sparse]
    rounded = struct.unpack("f", struct.pack("f", 0.1))[0]
    await guest.run(connection, "INSERT INTO v VALUES ($1, $2, $3, $4)", *values, ("array", [values[0]]))
    ((a, *others, d),) = await guest.rows(connection, "SELECT * FROM v")
    single = struct.unpack("f", struct.pack("f", a[1][1]))[0]
    assert (a[0], a[1][0], single, a[1][2]) == ("vector", 1.0, rounded, -3.5)
    assert others == values[1:]
    assert d == ("array", [a])
    result = await guest.ok("[method]db-connection.query", connection, "SELECT a, b, c, d FROM v", [])
    assert [column["db-type-name"] for column in result["columns"]] == ["VECTOR", "HALFVEC", "SPARSEVEC", "VECTOR[]"]

    # A guest of the first version has no case for them.
    assert await guest.call("[method]db-connection.query", connection, "SELECT c FROM v", []) == (
        "err",
        ("query-response-failure", "Column type 'SPARSEVEC' is not supported"),
    )


async def test_more_dimensions_are_arrays_in_arrays(guest: Guest) -> None:
    connection = await guest.open()
    row = [("int4", 1), ("int4", 2)]
    square: Value = ("array", [("array", row), ("array", row)])
    assert await guest.rows(connection, "SELECT '{{1,2},{1,2}}'::int4[], $1, $1::text", square) == [
        [square, square, ("text", "{{1,2},{1,2}}")]
    ]


async def test_what_the_interface_cannot_express_is_an_error(guest: Guest) -> None:
    connection = await guest.open()
    for expression, text in (
        ("'infinity'::date", "an infinite date cannot be expressed"),
        ("'-infinity'::timestamptz", "an infinite timestamp cannot be expressed"),
        ("'10.0.0.0/8'::cidr", "the network 10.0.0.0/8 is more than one address, which cannot be expressed"),
        ("'a'::tsvector", "Column type 'TSVECTOR' is not supported"),
        ("point '(1,2)'", "Column type 'POINT' is not supported"),
        ("ARRAY[point '(1,2)']", "Column type 'POINT[]' is not supported"),
        ("'{[1,2]}'::int4multirange", "Column type 'INT4MULTIRANGE' is not supported"),
        ("row(1, 2)", "Column type 'RECORD' is not supported"),
    ):
        error = await guest.error("[method]db-connection.query", connection, f"SELECT {expression}", [])
        assert error == ("query-response-failure", text)
    assert await guest.rows(connection, "SELECT typname FROM pg_type WHERE oid = 23") == [[("text", "int4")]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (("json", "{"), "not JSON"),
        (("numeric", "12a"), "not a number"),
        (("numeric", ""), "not a number"),
        (("numeric", "1e131073"), "too many digits"),
        (("date", date(2023, 2, 29)), "there is no date 2023-2-29"),
        (("date", date(2**31 - 1, 1, 1)), "a date is out of range"),
        (("time", time(24, 0, 1)), "there is no time"),
        (("timestamp", timestamp(300_000_000, 1, 1, 0, 0, 0)), "a timestamp is out of range"),
    ],
    ids=str,
)
def test_wrong_parameters(value: Value, text: str) -> None:
    with pytest.raises(RdbmsError, match=text) as caught:
        encode(BY_CASE[value[0]], value)
    assert (caught.value.case, caught.value.transient) == ("query-parameter-failure", False)


async def test_arrays_hold_one_type(guest: Guest) -> None:
    connection = await guest.open()
    mixed = await guest.handles([("array", [("text", "tag1"), ("int8", 0)])])
    assert await guest.error("[method]db-connection.query", connection, "SELECT 1", mixed) == (
        "query-parameter-failure",
        "Array element '0' with index 1 has different type than expected (value do not have 'text' type)",
    )
    missing = await guest.handles([("enumeration", {"name": "no'such", "value": "x"})])
    case, _ = await guest.error("[method]db-connection.query", connection, "SELECT $1", missing)
    assert case == "query-execution-failure"


async def test_parameters_have_the_types_that_the_guest_gave_them(guest: Guest) -> None:
    connection = await guest.open()
    assert await guest.rows(
        connection,
        "SELECT pg_typeof($1)::text, pg_typeof($2)::text, pg_typeof($3)::text, $4::uuid -- $1 '\n"
        ", '$1' /* $2 /* */ ' */",
        ("int2", 1),
        ("bpchar", "x"),
        ("array", [("date", date(2020, 1, 1))]),
        ("text", UUID_TEXT),
    ) == [
        [("text", "smallint"), ("text", "character"), ("text", "date[]"), ("uuid", UUID_VALUE), ("text", "$1")],
    ]


# --- The binary form by itself


def roundtrip(case: str, value: Value) -> Value:
    return decode(BY_CASE[case], encode(BY_CASE[case], (case, value)))[1]


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_digit(number: Decimal) -> None:
    text = format(number, "f")
    if len(text.partition(".")[2]) > 16_383 or len(text) > 100_000:
        return
    again = roundtrip("numeric", str(number))
    assert Decimal(again) == number
    assert again.partition(".")[2] == text.partition(".")[2]


DATES = st.tuples(st.integers(-4712, 290_000), st.integers(1, 12), st.integers(1, 31)).filter(
    lambda parts: parts[2] <= days_in_month(parts[0], parts[1])
)
TIMES = st.tuples(
    st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999_999).map(lambda n: n * 1000)
)


@given(DATES, TIMES, st.integers(-50_000, 50_000))
def test_dates_and_times_come_back(day: tuple[int, int, int], clock: tuple[int, ...], offset: int) -> None:
    moment = timestamp(*day, *clock)
    assert roundtrip("date", date(*day)) == date(*day)
    assert roundtrip("timestamp", moment) == moment
    assert roundtrip("timetz", {"time": time(*clock), "offset": offset}) == {"time": time(*clock), "offset": offset}
    shifted = roundtrip("timestamptz", {"timestamp": moment, "offset": offset})
    assert shifted["offset"] == 0
    assert roundtrip("timestamptz", shifted) == shifted


@given(st.lists(st.booleans()), st.binary(), st.text().filter(lambda text: "\0" not in text))
def test_bits_bytes_and_texts_come_back(bits: list[bool], content: bytes, text: str) -> None:
    assert roundtrip("varbit", bits) == bits
    assert roundtrip("bytea", content) == content
    for case in ("text", "varchar", "bpchar", "xml", "jsonpath"):
        assert roundtrip(case, text) == text


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_vectors_come_back(numbers: list[float]) -> None:
    assert decode_vector("vector", encode_vector("vector", numbers)) == numbers
    sparse = {"dim": len(numbers), "indices": list(range(len(numbers))), "values": numbers}
    assert decode_vector("sparsevec", encode_vector("sparsevec", sparse)) == sparse


def test_each_type_is_there_once() -> None:
    names: list[Any] = [(scalar.case, scalar.name, scalar.oid) for scalar in SCALARS]
    assert len({name for name, *_ in names}) == len(names) == len({oid for *_, oid in names})
