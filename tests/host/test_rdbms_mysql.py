"""golem:rdbms/mysql on a real MariaDB: every type both ways, streams, and transactions that happen once."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from golem_server.durable.transactions import Outcome
from golem_server.host.rdbms_database import RdbmsSettings
from golem_server.host.rdbms_errors import RdbmsError
from golem_server.host.rdbms_mysql_values import encode
from golem_server.model.oplog import (
    BeginRemoteTransaction,
    CommittedRemoteTransaction,
    Entry,
    HostCall,
    PreCommitRemoteTransaction,
    PreRollbackRemoteTransaction,
    RolledBackRemoteTransaction,
)
from golem_server.model.types import Value
from tests.host.rdbms_guest import Guest, guest_of
from tests.host.test_rdbms_transactions import KillAt, until_done


def date(year: int, month: int, day: int) -> Value:
    return {"year": year, "month": month, "day": day}


def time(hour: int, minute: int, second: int, nanosecond: int = 0) -> Value:
    return {"hour": hour, "minute": minute, "second": second, "nanosecond": nanosecond}


MOMENT: Value = {"date": date(2024, 2, 29), "time": time(23, 59, 58, 123456000)}
SINGLE = struct.unpack("f", struct.pack("f", 0.1234567))[0]

VALUES: list[tuple[str, Value, str, str]] = [
    ("BOOLEAN", ("boolean", True), "BOOLEAN", "1"),
    ("TINYINT", ("tinyint", -128), "TINYINT", "-128"),
    ("SMALLINT", ("smallint", -32768), "SMALLINT", "-32768"),
    ("MEDIUMINT", ("mediumint", -8388608), "MEDIUMINT", "-8388608"),
    ("INT", ("int", -2147483648), "INT", "-2147483648"),
    ("BIGINT", ("bigint", -9223372036854775808), "BIGINT", "-9223372036854775808"),
    ("TINYINT UNSIGNED", ("tinyint-unsigned", 255), "TINYINT UNSIGNED", "255"),
    ("SMALLINT UNSIGNED", ("smallint-unsigned", 65535), "SMALLINT UNSIGNED", "65535"),
    ("MEDIUMINT UNSIGNED", ("mediumint-unsigned", 16777215), "MEDIUMINT UNSIGNED", "16777215"),
    ("INT UNSIGNED", ("int-unsigned", 4294967295), "INT UNSIGNED", "4294967295"),
    ("BIGINT UNSIGNED", ("bigint-unsigned", 18446744073709551615), "BIGINT UNSIGNED", "18446744073709551615"),
    ("FLOAT", ("float", SINGLE), "FLOAT", "0.123457"),
    ("DOUBLE", ("double", 0.1), "DOUBLE", "0.1"),
    ("DECIMAL(30,10)", ("decimal", "12345678901234567890.1234567890"), "DECIMAL", "12345678901234567890.1234567890"),
    ("DATE", ("date", date(9999, 12, 31)), "DATE", "9999-12-31"),
    ("DATETIME(6)", ("datetime", MOMENT), "DATETIME", "2024-02-29 23:59:58.123456"),
    ("TIMESTAMP(6)", ("timestamp", MOMENT), "TIMESTAMP", "2024-02-29 23:59:58.123456"),
    ("TIME(6)", ("time", time(100, 1, 2, 1000)), "TIME", "100:01:02.000001"),
    ("YEAR", ("year", 2155), "YEAR", "2155"),
    ("CHAR(10)", ("fixchar", "Zoë 🦀"), "CHAR", "Zoë 🦀"),
    ("VARCHAR(99)", ("varchar", "a'b\\"), "VARCHAR", "a'b\\"),
    ("MEDIUMTEXT", ("text", "x" * 70_000), "TEXT", ""),
    ("BINARY(3)", ("binary", b"\0\xff'"), "BINARY", ""),
    ("VARBINARY(9)", ("varbinary", b""), "VARBINARY", ""),
    ("BLOB", ("blob", b"\0" * 300), "BLOB", ""),
    ("ENUM('a','b c')", ("enumeration", "b c"), "ENUM", "b c"),
    ("SET('a','b','c')", ("set", "a,c"), "SET", "a,c"),
    ("BIT(10)", ("bit", [False, True, False, False, False, False, False, False, True, True]), "BIT", ""),
]
"""SQL types, values, db-type-names, and the texts that the server has for them (none for some)."""


@pytest_asyncio.fixture
async def guest(tmp_path: Path, mariadb_url: str) -> AsyncGenerator[Guest]:
    """A guest of a database."""
    async with guest_of(tmp_path / "worker", "mysql", mariadb_url) as found:
        yield found


async def test_all_types(guest: Guest) -> None:
    connection = await guest.open()
    columns = ", ".join(f"c{number} {sql} NULL" for number, (sql, *_) in enumerate(VALUES))
    await guest.run(connection, f"CREATE TABLE t (id INT, {columns})")
    places = ", ".join("?" for _ in range(len(VALUES) + 1))
    values = [value for _, value, *_ in VALUES]
    text = [value if value[0] != "text" else ("longtext", value[1]) for value in values]
    assert await guest.run(connection, f"INSERT INTO t VALUES ({places})", ("int", 1), *text) == 1
    assert (
        await guest.run(connection, f"INSERT INTO t VALUES ({places})", ("int", 2), *[("null", None)] * len(values))
        == 1
    )
    first, second = await guest.rows(connection, "SELECT * FROM t ORDER BY id")
    assert first[1:] == values
    assert second[1:] == [("null", None)] * len(values)
    shown = [f"CAST(c{number} AS CHAR)" for number, (*_, text) in enumerate(VALUES) if text]
    (texts,) = await guest.rows(connection, f"SELECT {', '.join(shown)} FROM t WHERE id = 1")
    assert [value[1] for value in texts] == [text for *_, text in VALUES if text]

    result = await guest.ok("[method]db-connection.query", connection, "SELECT * FROM t", [])
    described = [(column["db-type"], column["db-type-name"]) for column in result["columns"][1:]]
    assert described == [((value[0], None), name) for _, value, name, _ in VALUES]
    assert [column["ordinal"] for column in result["columns"]] == list(range(len(VALUES) + 1))


async def test_json_and_other_blobs(guest: Guest) -> None:
    connection = await guest.open()
    await guest.run(connection, "CREATE TABLE t (j JSON, a TINYTEXT, b MEDIUMTEXT, c TINYBLOB, d LONGBLOB)")
    parameters = [("json", '{"id": 1}'), ("tinytext", "a"), ("mediumtext", "b"), ("tinyblob", b"c"), ("longblob", b"d")]
    await guest.run(connection, "INSERT INTO t VALUES (?, ?, ?, ?, ?)", *parameters)
    # As Golem has it: one case for all sizes. MariaDB's JSON is a text.
    texts = [("text", '{"id": 1}'), ("text", "a"), ("text", "b"), ("blob", b"c"), ("blob", b"d")]
    assert await guest.rows(connection, "SELECT * FROM t") == [texts]
    assert (await guest.error("[method]db-connection.execute", connection, "SELECT ?", [("json", "{")]))[0] == (
        "query-parameter-failure"
    )


async def test_what_the_interface_cannot_express_is_an_error(guest: Guest) -> None:
    connection = await guest.open()
    await guest.run(connection, "CREATE TABLE t (d DATE, t TIME)")
    await guest.run(connection, "INSERT IGNORE INTO t VALUES ('0000-00-00', '-01:02:03')")
    for select, text in (
        ("SELECT d FROM t", "the date 0000-00-00 does not exist"),
        ("SELECT t FROM t", "the time -01:02:03 cannot be expressed"),
        ("SELECT Point(56.7, 53.34)", "Column type 'GEOMETRY' is not supported"),
    ):
        error = await guest.error("[method]db-connection.query", connection, select, [])
        assert error == ("query-response-failure", text)
        assert await guest.rows(connection, "SELECT 1") == [[("int", 1)]]


@pytest.mark.parametrize(
    "value",
    [("date", date(2023, 2, 29)), ("date", date(10_000, 1, 1)), ("bit", [True] * 65), ("json", "["), ("what", 1)],
    ids=str,
)
def test_wrong_parameters(value: Value) -> None:
    with pytest.raises(RdbmsError) as caught:
        encode([value])
    assert caught.value.case == "query-parameter-failure"


async def test_errors(guest: Guest) -> None:
    connection = await guest.open()
    case, text = await guest.error("[method]db-connection.query", connection, "SELECT * FROM xxx", [])
    assert case == "query-execution-failure"
    assert text.startswith("error returned from database: 1146 (42S02): Table '")
    case, text = await guest.error("[method]db-connection.query", connection, "SELECT ?", [])
    assert (case, text) == ("query-execution-failure", "the statement has 1 parameters, 0 were given")
    wrong = guest.address.replace("secret", "wrong")
    case, text = await guest.error("[static]db-connection.open", wrong)
    assert (case, "Access denied" in text) == ("connection-failure", True)
    case, _ = await guest.error("[static]db-connection.open", "mysql://127.0.0.1:1/x")
    assert case == "connection-failure"
    error = await guest.error("[static]db-connection.open", "msql://user:password@localhost:3506")
    assert error == ("connection-failure", "scheme 'msql' in url is invalid")


async def test_streams(tmp_path: Path, mariadb_url: str) -> None:
    async with guest_of(tmp_path / "worker", "mysql", mariadb_url, RdbmsSettings(result_bytes=20_000)) as guest:
        connection = await guest.open()
        await guest.run(connection, "CREATE TABLE t (id INT)")
        await guest.run(connection, "INSERT INTO t SELECT seq FROM seq_1_to_1000")
        error = await guest.error("[method]db-connection.query", connection, "SELECT * FROM t", [])
        assert error == ("query-response-failure", "the result is larger than 20000 bytes")
        for on in ("db-connection", "db-transaction"):
            handle = connection if on == "db-connection" else await guest.begin(connection)
            stream = await guest.ok(f"[method]{on}.query-stream", handle, "SELECT id FROM t ORDER BY id", [])
            assert len(await guest.call("[method]db-result-stream.get-columns", stream)) == 1
            found: list[int] = []
            while (rows := await guest.call("[method]db-result-stream.get-next", stream)) is not None:
                assert len(rows) <= 50
                found += [row["values"][0][1] for row in rows]
                if on == "db-transaction" and len(found) == 100:
                    # Others go on between the rows.
                    assert await guest.run(handle, "INSERT INTO t VALUES (0)", on=on) == 1
            assert found == list(range(1, 1001))
            guest.worker.context.resource_dropped(stream)
        small = await guest.ok(
            "[method]db-connection.query-stream", connection, "INSERT INTO t VALUES (7) RETURNING id", []
        )
        assert len(await guest.call("[method]db-result-stream.get-next", small)) == 1


def ending(end: str | None) -> Any:
    """Two inserts in a transaction that ends so."""

    async def scenario(guest: Guest) -> Any:
        connection = await guest.open()
        transaction = await guest.begin(connection)
        for number in (1, 2):
            await guest.run(transaction, "INSERT INTO t VALUES (?)", ("int", number), on="db-transaction")
        if end is not None:
            await guest.ok(f"[method]db-transaction.{end}", transaction)
        guest.worker.context.resource_dropped(transaction)
        return await guest.rows(connection, "SELECT count(*) FROM t")

    return scenario


COMMIT_KINDS: list[type[Entry]] = [
    HostCall,
    BeginRemoteTransaction,
    PreCommitRemoteTransaction,
    CommittedRemoteTransaction,
]
ROLLBACK_KINDS: list[type[Entry]] = [PreRollbackRemoteTransaction, RolledBackRemoteTransaction]


@pytest.mark.parametrize(
    ("end", "kinds"), [("commit", COMMIT_KINDS), ("rollback", ROLLBACK_KINDS), (None, ROLLBACK_KINDS)]
)
async def test_a_kill_changes_nothing(
    tmp_path: Path, mariadb_url: str, end: str | None, kinds: list[type[Entry]]
) -> None:
    expected = 2 if end == "commit" else 0
    for number, (kind, after) in enumerate((kind, after) for kind in kinds for after in (False, True)):
        async with guest_of(tmp_path / str(number), "mysql", mariadb_url) as guest:
            database = guest.databases.database("mysql", mariadb_url)
            await database.execute("CREATE OR REPLACE TABLE t (id INT)", [])
            await guest.worker.context.oplog.commit()
            kill = KillAt(guest, kind, after=after)
            assert await until_done(guest, ending(end)) == [[("bigint", expected)]]
            assert kill.done
            names = await guest.entry_names()
            await guest.databases.settled()
            guest.databases.close()
            await guest.worker.replay()
            assert await ending(end)(guest) == [[("bigint", expected)]]
            assert await guest.entry_names() == names
            await guest.databases.settled()


async def test_outcomes(guest: Guest) -> None:
    await guest.open()
    database = guest.databases.database("mysql", guest.address)
    await database.execute("CREATE TABLE t (id INT)", [])
    for end, outcome in (("commit", Outcome.COMMITTED), ("rollback", Outcome.NOT_COMMITTED)):
        transaction = await database.begin()
        await transaction.session.execute("INSERT INTO t VALUES (1)", [])
        await transaction.session.prepare_commit()
        await (transaction.commit() if end == "commit" else transaction.rollback())
        assert await database.outcome(transaction.id) is outcome
        transaction.recorded()
    # A lost connection: the answer waits until the database has noticed.
    lost = await database.begin()
    await lost.session.prepare_commit()
    lost.abandon()
    assert await database.outcome(lost.id) is Outcome.NOT_COMMITTED
    await database.forget(lost.id)
    assert await database.outcome(lost.id) is Outcome.UNKNOWN
