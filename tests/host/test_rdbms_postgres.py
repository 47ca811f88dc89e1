"""golem:rdbms/postgres: what is recorded, replayed and refused, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio

from golem_server.durable.signals import GuestError, PermanentFailure, TransientFailure
from golem_server.host.network_policy import NetworkPolicy
from golem_server.host.rdbms_address import parse_address
from golem_server.host.rdbms_database import RdbmsSettings
from golem_server.host.rdbms_errors import RdbmsError
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from golem_server.network_rules import NetworkAccess
from tests.host.rdbms_guest import Guest, Relay, guest_of, relay_to

CALL = "rdbms::postgres::"


@pytest_asyncio.fixture
async def relay(empty_database_url: str) -> AsyncGenerator[tuple[Relay, str]]:
    """A way to the database, and its address."""
    async with relay_to(empty_database_url) as found:
        yield found


@pytest_asyncio.fixture
async def guest(tmp_path: Path, relay: tuple[Relay, str]) -> AsyncGenerator[Guest]:
    """A guest of a database with a table."""
    async with guest_of(tmp_path / "worker", "postgres", relay[1]) as found:
        yield found


async def rows_of(url: str, table: str = "t") -> list[int]:
    """What is in a table of numbers."""
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")]
    finally:
        await connection.close()


async def everything(guest: Guest) -> list[Any]:
    """Call every function of the interface that is recorded."""
    seen: list[Any] = []
    connection = await guest.open()
    seen.append(await guest.run(connection, "CREATE TABLE t (id int PRIMARY KEY)"))
    seen.append(await guest.run(connection, "INSERT INTO t SELECT generate_series(1, 120)"))
    seen.append(await guest.rows(connection, "SELECT id, $1 FROM t WHERE id <= 2", ("array", [("text", "a")])))
    seen.append(await guest.error("[method]db-connection.query", connection, "SELECT 1/0", []))
    for on in ("db-connection", "db-transaction"):
        handle = connection if on == "db-connection" else await guest.begin(connection)
        stream = await guest.ok(f"[method]{on}.query-stream", handle, "SELECT id, NULL::int4[] AS n FROM t", [])
        columns = await guest.call("[method]db-result-stream.get-columns", stream)
        seen.append([await guest.inline_type(column["db-type"]) for column in columns])
        while (piece := await guest.call("[method]db-result-stream.get-next", stream)) is not None:
            seen.append([row["values"][0] for row in piece])
        guest.worker.context.resource_dropped(stream)
        seen.append(await guest.error(f"[method]{on}.query-stream", handle, "SELECT * FROM nowhere", []))
        if on == "db-transaction":
            seen.append(await guest.error("[method]db-transaction.commit", handle))
    transaction = await guest.begin(connection)
    seen.append(await guest.run(transaction, "DELETE FROM t WHERE id > $1", ("int4", 3), on="db-transaction"))
    seen.append(await guest.rows(transaction, "SELECT count(*) FROM t", on="db-transaction"))
    seen.append(await guest.ok("[method]db-transaction.rollback", transaction))
    seen.append(await guest.error("[method]db-transaction.query", transaction, "SELECT 1", []))
    guest.worker.context.resource_dropped(transaction)
    committed = await guest.begin(connection)
    seen.append(await guest.run(committed, "DELETE FROM t WHERE id > 3", on="db-transaction"))
    seen.append(await guest.ok("[method]db-transaction.commit", committed))
    dropped = await guest.begin(connection)
    seen.append(await guest.run(dropped, "DELETE FROM t", on="db-transaction"))
    guest.worker.context.resource_dropped(dropped)
    seen.append(await guest.rows(connection, "SELECT id FROM t"))
    return seen


async def test_replay_answers_without_the_database(guest: Guest, relay: tuple[Relay, str]) -> None:
    first = await everything(guest)
    lists = [cast("list[Any]", piece) for piece in first if isinstance(piece, list)]
    pieces = [len(piece) for piece in lists if piece[0][0] == "int4" and piece[0][1]]
    assert pieces == [50, 50, 20] * 2
    assert first[-1] == [[("int4", 1)], [("int4", 2)], [("int4", 3)]]
    names = await guest.entry_names()
    opened = relay[0].connections

    relay[0].refuse = True
    relay[0].cut()
    guest.databases.close()
    await guest.worker.replay()
    assert not guest.worker.context.is_live
    assert plain(await everything(guest)) == plain(first)
    assert guest.worker.context.is_live
    assert await guest.entry_names() == names
    assert relay[0].connections == opened


def plain(value: Any) -> Any:
    """Tuples come back from the oplog as lists."""
    return [plain(item) for item in cast("list[Any]", value)] if isinstance(value, list | tuple) else value


async def test_calls_are_recorded_with_their_categories(guest: Guest) -> None:
    await everything(guest)
    names = await guest.entry_names()
    assert names[:3] == [f"{CALL}db-connection::open", f"{CALL}db-connection::execute", f"{CALL}db-connection::execute"]
    stream = ["BeginRemoteWrite", f"{CALL}db-connection::query-stream", f"{CALL}db-result-stream::get-columns"]
    assert names[5:13] == [*stream, *[f"{CALL}db-result-stream::get-next"] * 4, "EndRemoteWrite"]
    assert names[-9:] == [
        "BeginRemoteTransaction",
        f"{CALL}db-transaction::execute",
        "PreCommitRemoteTransaction",
        "CommittedRemoteTransaction",
        "BeginRemoteTransaction",
        f"{CALL}db-transaction::execute",
        "PreRollbackRemoteTransaction",
        "RolledBackRemoteTransaction",
        f"{CALL}db-connection::query",
    ]
    calls = await guest.worker.host_calls()
    categories = {(call.function.removeprefix(CALL), Category(call.category)) for call in calls}
    assert ("db-connection::open", Category.READ_REMOTE) in categories
    assert ("db-connection::query", Category.WRITE_REMOTE) in categories
    assert ("db-result-stream::get-next", Category.WRITE_REMOTE_BATCHED) in categories
    assert ("db-transaction::execute", Category.WRITE_REMOTE_TRANSACTION) in categories
    query = next(call for call in calls if call.function == f"{CALL}db-connection::query")
    assert "secret" not in str(query.request)
    assert query.request["statement"] == "SELECT id, $1 FROM t WHERE id <= 2"
    assert plain(query.request["params"]) == plain([("array", [("text", "a")])])


async def test_addresses(guest: Guest, relay: tuple[Relay, str]) -> None:
    port = relay[0].port

    async def refused(address: str) -> str:
        case, text = await guest.error("[static]db-connection.open", address)
        assert case == "connection-failure"
        return text

    assert await refused("pg://user:password@localhost:3506") == "scheme 'pg' in url is invalid"
    assert await refused("") == "the address has no scheme"
    assert await refused("postgres://h:99999/") == "Port out of range 0-65535"
    assert "unix socket" in await refused("postgres:///db?host=/var/run/postgresql")
    assert "a file of the server" in await refused(f"postgres://127.0.0.1:{port}/?sslrootcert=/etc/passwd")
    assert "unknown mode of TLS" in await refused(f"postgres://127.0.0.1:{port}/?sslmode=maybe")
    assert "rejected SSL upgrade" in await refused(f"{relay[1]}?sslmode=require")
    assert "does not exist" in await refused(f"postgres://postgres@127.0.0.1:{port}/nowhere")
    assert "Connect call failed" in await refused("postgres://127.0.0.1:1/")
    before = guest.worker.clock.nanoseconds
    assert await guest.ok("[static]db-connection.open", relay[1].replace("postgres://", "postgresql://"))
    assert guest.worker.clock.nanoseconds == before


async def test_the_network_policy_is_obeyed(tmp_path: Path, relay: tuple[Relay, str]) -> None:
    policy = NetworkPolicy(NetworkAccess.PUBLIC)
    async with guest_of(tmp_path / "worker", "postgres", relay[1], policy=policy) as guest:
        error = await guest.error("[static]db-connection.open", relay[1])
    assert error == ("connection-failure", "127.0.0.1: the network policy forbids to connect there")
    assert relay[0].connections == 0


async def test_the_server_s_own_settings_are_not_the_guest_s(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    passwords = tmp_path / "pgpass"
    passwords.write_text("*:*:*:*:servers-own")
    passwords.chmod(0o600)
    for name, value in (("PGPASSFILE", str(passwords)), ("PGPASSWORD", "x"), ("PGUSER", "nobody"), ("PGDATABASE", "n")):
        monkeypatch.setenv(name, value)
    address, _, database = guest.address.rpartition("/")
    # What nobody named has its defaults.
    for shorter, text in (
        (address, 'database "golem" does not exist'),
        (f"{address.replace('golem:secret@', '')}/{database}", 'role "postgres" does not exist'),
    ):
        error = await guest.error("[static]db-connection.open", shorter)
        assert error == ("connection-failure", f"error returned from database: {text}")
    await guest.ok("[static]db-connection.open", guest.address.replace(":secret", ""))


async def test_pools_are_shared_and_bounded(tmp_path: Path, relay: tuple[Relay, str]) -> None:
    settings = RdbmsSettings(connections=2, acquire_timeout=0.2, idle_timeout=0.2)
    async with guest_of(tmp_path / "worker", "postgres", relay[1], settings) as guest:
        connection, other = await guest.open(), await guest.open()
        for handle in (connection, other, connection):
            assert await guest.rows(handle, "SELECT 1") == [[("int4", 1)]]
        database = guest.databases.database("postgres", relay[1])
        assert database.open == 1
        first, second = await guest.begin(connection), await guest.begin(other)
        assert database.open == 2
        error = await guest.error("[method]db-connection.query", connection, "SELECT 1", [])
        assert error == ("connection-failure", "pool timed out while waiting for an open connection")
        for handle in (first, second):
            await guest.ok("[method]db-transaction.rollback", handle)
        assert await guest.rows(connection, "SELECT 1") == [[("int4", 1)]]
        assert database.open == 2
        guest.databases.database("postgres", relay[1] + "?pool_size=1")
        database.close_idle(0)
        assert database.open == 0


async def test_all_connections_together_are_bounded(tmp_path: Path, relay: tuple[Relay, str]) -> None:
    settings = RdbmsSettings(all_connections=1)
    async with guest_of(tmp_path / "worker", "postgres", relay[1], settings) as guest:
        connection = await guest.open()
        # An idle connection gives way.
        other = await guest.ok("[static]db-connection.open", relay[1] + "?pool_size=3")
        await guest.begin(other)
        error = await guest.error("[method]db-connection.query", connection, "SELECT 1", [])
        assert error == ("connection-failure", "the server has too many connections to databases")


async def test_what_a_guest_leaves_on_a_connection_is_not_lent(guest: Guest) -> None:
    connection = await guest.open()
    ask = "SELECT current_setting('search_path'), to_regclass('mine')::text, pg_backend_pid()"
    seen: list[Value] = []
    for statement in ("SET search_path TO nowhere", "CREATE TEMP TABLE mine (id int)", "BEGIN", "SELECT 1"):
        await guest.run(connection, statement)
        ((path, mine, process),) = await guest.rows(connection, ask)
        assert (path, mine) == (("text", '"$user", public'), ("null", None))
        seen.append(process)
    assert len({process for _, process in seen}) == 3
    assert seen[2] == seen[3]


async def test_results_have_a_size(tmp_path: Path, relay: tuple[Relay, str]) -> None:
    settings = RdbmsSettings(result_bytes=100_000)
    async with guest_of(tmp_path / "worker", "postgres", relay[1], settings) as guest:
        connection = await guest.open()
        many, long = "SELECT generate_series(1, 2000)", "SELECT repeat('x', 100000)"
        for select in (many, long, "SELECT array_fill('x'::text, '{20000}')"):
            error = await guest.error("[method]db-connection.query", connection, select, [])
            assert error == ("query-response-failure", "the result is larger than 100000 bytes")
        stream = await guest.ok("[method]db-connection.query-stream", connection, many, [])
        count = 0
        while (rows := await guest.call("[method]db-result-stream.get-next", stream)) is not None:
            assert len(rows) <= 50
            count += len(rows)
        assert count == 2000
        huge = await guest.ok("[method]db-connection.query-stream", connection, long, [])
        with pytest.raises(PermanentFailure, match="the result is larger"):
            await guest.call("[method]db-result-stream.get-next", huge)


async def test_streams_of_statements_with_effects_complete_them(guest: Guest, empty_database_url: str) -> None:
    connection = await guest.open()
    await guest.run(connection, "CREATE TABLE t (id int)")
    insert = "INSERT INTO t SELECT generate_series(1, 70) RETURNING id"
    stream = await guest.ok("[method]db-connection.query-stream", connection, insert, [])
    assert len(await guest.call("[method]db-result-stream.get-next", stream)) == 50
    guest.worker.context.resource_dropped(stream)
    assert len(await rows_of(empty_database_url)) == 70


async def test_a_stream_that_was_cut_off_is_read_again(guest: Guest, relay: tuple[Relay, str]) -> None:
    async def scenario() -> list[int]:
        connection = await guest.open()
        select = "SELECT generate_series(1, 120)"
        stream = await guest.ok("[method]db-connection.query-stream", connection, select, [])
        found: list[int] = []
        while (rows := await guest.call("[method]db-result-stream.get-next", stream)) is not None:
            found += [row["values"][0][1] for row in rows]
            if not lost and len(found) == 100:
                lost.append(True)
                relay[0].cut()
        guest.worker.context.resource_dropped(stream)
        return found

    lost: list[bool] = []
    with pytest.raises(TransientFailure):
        await scenario()
    await guest.worker.replay()
    assert await scenario() == list(range(1, 121))
    names = await guest.entry_names()
    assert names.count("Jump") == 1
    relay[0].refuse = True
    await guest.worker.replay()
    assert await scenario() == list(range(1, 121))
    assert await guest.entry_names() == names


async def test_a_lost_connection_is_replaced(guest: Guest, relay: tuple[Relay, str]) -> None:
    connection = await guest.open()
    pid = "SELECT pg_terminate_backend(pg_backend_pid())"
    case, text = await guest.error("[method]db-connection.query", connection, pid, [])
    assert (case, text.partition(":")[0]) == ("query-execution-failure", "error returned from database")
    assert await guest.rows(connection, "SELECT 1") == [[("int4", 1)]]
    relay[0].cut()
    assert await guest.rows(connection, "SELECT 1") == [[("int4", 1)]]


async def test_what_may_not_be_repeated_is_not(guest: Guest, relay: tuple[Relay, str], empty_database_url: str) -> None:
    connection = await guest.open()
    await guest.run(connection, "CREATE TABLE t (id serial)")
    effect = "WITH i AS (INSERT INTO t DEFAULT VALUES) SELECT pg_terminate_backend(pg_backend_pid())"
    guest.worker.context.assume_idempotence = False
    opened = relay[0].connections
    await guest.error("[method]db-connection.query", connection, effect, [])
    assert relay[0].connections == opened
    guest.worker.context.assume_idempotence = True
    await guest.error("[method]db-connection.query", connection, effect, [])
    assert relay[0].connections > opened
    assert await rows_of(empty_database_url) == []


async def test_deadlocks_and_conflicts_are_tried_again(guest: Guest) -> None:
    connection = await guest.open()
    await guest.run(connection, "CREATE SEQUENCE attempts MINVALUE -99 START 1")
    body = "BEGIN IF nextval('attempts') < 3 THEN RAISE 'again' USING ERRCODE = '40001'; END IF; RETURN 7; END"
    await guest.run(connection, f"CREATE FUNCTION third() RETURNS int LANGUAGE plpgsql AS $$ {body} $$")
    guest.worker.context.assume_idempotence = False
    assert await guest.rows(connection, "SELECT third()") == [[("int4", 7)]]
    await guest.run(connection, "ALTER SEQUENCE attempts RESTART WITH -9")
    error = await guest.error("[method]db-connection.query", connection, "SELECT third()", [])
    assert error == ("query-execution-failure", "error returned from database: again")
    ((attempts,),) = await guest.rows(connection, "SELECT last_value FROM attempts")
    assert attempts == ("int8", -9 + guest.worker.context.retry_policy.max_attempts)


async def test_altered_tables_and_types_are_noticed(guest: Guest) -> None:
    connection = await guest.open()
    for statement in (
        "CREATE TYPE pair AS (a int)",
        "CREATE TABLE t (id int, p pair)",
        "INSERT INTO t VALUES (1, ROW(2))",
    ):
        await guest.run(connection, statement)
    assert await guest.rows(connection, "SELECT * FROM t") == [
        [("int4", 1), ("composite", {"name": "pair", "values": [("int4", 2)]})]
    ]
    await guest.run(connection, "ALTER TABLE t ALTER id TYPE text")
    await guest.run(connection, "ALTER TYPE pair ADD ATTRIBUTE b text")
    assert await guest.rows(connection, "SELECT * FROM t") == [
        [("text", "1"), ("composite", {"name": "pair", "values": [("int4", 2), ("null", None)]})]
    ]


async def test_wrong_numbers_of_parameters_and_statements(guest: Guest) -> None:
    connection = await guest.open()
    for statement, parameters in (
        ("SELECT $1, $2", [("int4", 1)]),
        ("SELECT 1", [("int4", 1)]),
        ("SELECT 1; SELECT 2", []),
        ("COPY pg_class TO STDOUT", []),
        ("SELEC", []),
    ):
        case, _ = await guest.error("[method]db-connection.query", connection, statement, parameters)
        assert case == "query-execution-failure"
    assert await guest.run(connection, "") == 0
    assert await guest.run(connection, "SELECT generate_series(1, 3)") == 3


async def test_lazy_values_are_bounded_and_freed(guest: Guest) -> None:
    connection = await guest.open()
    resources = guest.worker.context.resources
    before = len(resources)
    for _ in range(3):
        await guest.rows(connection, "SELECT 1", *[])
        await guest.rows(connection, "SELECT $1", ("array", [("text", "a"), ("text", "b")]))
    assert len(resources) == before
    value: Value = ("int4", 1)
    for _ in range(31):
        value = ("array", [await guest.call("[constructor]lazy-db-value", value)])
    deep = await guest.call("[constructor]lazy-db-value", value)
    with pytest.raises(GuestError, match="too many parts"):
        await guest.call("[constructor]lazy-db-value", ("array", [deep]))
    wide = await guest.call("[constructor]lazy-db-value", ("int4", 1))
    for _ in range(18):
        copies = [(await guest.call("[method]lazy-db-value.get", wide)) for _ in range(2)]
        handles = [await guest.call("[constructor]lazy-db-value", copy) for copy in copies]
        wide = await guest.call("[constructor]lazy-db-value", ("array", handles))
    widest = [await guest.call("[method]lazy-db-value.get", wide) for _ in range(4)]
    parts = [await guest.call("[constructor]lazy-db-value", copy) for copy in widest]
    with pytest.raises(GuestError, match="too many parts"):
        await guest.call("[constructor]lazy-db-value", ("array", parts))
    column = await guest.call("[constructor]lazy-db-column-type", ("int4", None))
    outer = await guest.call("[constructor]lazy-db-column-type", ("array", column))
    inner = await guest.inline_type(await guest.call("[method]lazy-db-column-type.get", outer))
    assert inner == ("array", ("int4", None))


async def test_ignite_has_no_driver(guest: Guest) -> None:
    answer = await guest.worker.call("golem:rdbms/ignite2", "[static]db-connection.open", "ignite://localhost")
    assert answer == ("err", ("connection-failure", "This server does not connect to Apache Ignite"))


def test_the_oplog_keeps_no_password() -> None:
    address = parse_address("postgres", "postgres://u%40x:p%40ss@h/db?pool_size=3&sslmode=disable")
    assert (address.user, address.password, address.pool_size, address.tls) == ("u@x", "p@ss", 3, "disable")
    assert address.masked == "postgres://u%40x:*****@h:5432/db"
    assert "p@ss" not in repr(address)
    with pytest.raises(RdbmsError):
        parse_address("postgres", "postgres://h/?pool_size=0")
