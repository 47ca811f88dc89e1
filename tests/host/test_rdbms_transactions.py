"""Transactions in a remote database, killed at every point: each happens exactly once, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from golem_server.durable.context import NOT_REPEATABLE
from golem_server.durable.signals import PermanentFailure, TransientFailure
from golem_server.durable.transactions import OVERLAPPED, UNDECIDED, Outcome
from golem_server.host.rdbms_errors import EXECUTION_FAILURE, RdbmsError
from golem_server.host.rdbms_postgres_session import PostgresSession
from golem_server.model.oplog import (
    BeginRemoteTransaction,
    CommittedRemoteTransaction,
    Entry,
    HostCall,
    PreCommitRemoteTransaction,
    PreRollbackRemoteTransaction,
    RolledBackRemoteTransaction,
)
from golem_server.model.workers import OplogBatch
from tests.host.rdbms_guest import Guest, Relay, guest_of, relay_to

Scenario = Callable[[Guest], Awaitable[Any]]


class Killed(BaseException):
    """The server is gone."""


class KillAt:
    """Kills the server once, before or after a commit writes an entry of a kind."""

    def __init__(self, guest: Guest, kind: type[Entry], *, after: bool, skip: int = 0) -> None:
        self.done = False
        self._append = guest.worker.store.append
        self._kind = kind.kind
        self._after = after
        self._skip = skip
        guest.worker.store.append = self._instead  # type: ignore[method-assign]

    async def _instead(self, batch: OplogBatch) -> None:
        concerned = not self.done and any(entry.kind == self._kind for entry in batch.entries)
        if concerned and self._skip:
            self._skip -= 1
            concerned = False
        self.done = self.done or concerned
        if concerned and not self._after:
            raise Killed
        await self._append(batch)
        if concerned:
            raise Killed


@pytest_asyncio.fixture
async def relay(empty_database_url: str) -> AsyncGenerator[tuple[Relay, str]]:
    """A way to the database, and its address."""
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("CREATE TABLE t (id int)")
    await connection.close()
    async with relay_to(empty_database_url) as found:
        yield found


@pytest_asyncio.fixture
async def guest(tmp_path: Path, relay: tuple[Relay, str]) -> AsyncGenerator[Guest]:
    """A guest of a database with a table."""
    async with guest_of(tmp_path / "worker", "postgres", relay[1]) as found:
        yield found


async def rows_of(url: str) -> list[int]:
    """What is in the table."""
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch("SELECT id FROM t ORDER BY 1")]
    finally:
        await connection.close()


async def emptied(url: str) -> None:
    """Take everything out of the table."""
    connection = await asyncpg.connect(url)
    await connection.execute("TRUNCATE t")
    await connection.close()


async def until_done(guest: Guest, scenario: Scenario) -> Any:
    """Run a guest's code as a server does that is started again whenever it was killed."""
    while True:
        try:
            return await scenario(guest)
        except Killed:
            await guest.worker.replay(keep_buffered=False)
        except TransientFailure:
            await guest.worker.replay()


async def replayed(guest: Guest, scenario: Scenario, relay: Relay) -> Any:
    """Run it once more, all of it in replay."""
    names = await guest.entry_names()
    relay.refuse = True
    relay.cut()
    await guest.worker.replay()
    result = await scenario(guest)
    assert guest.worker.context.is_live
    assert await guest.entry_names() == names
    return result


def ending(end: str | None) -> Scenario:
    """Two inserts in a transaction that ends so; None for a handle that is dropped."""

    async def scenario(guest: Guest) -> Any:
        connection = await guest.open()
        transaction = await guest.begin(connection)
        for number in (1, 2):
            parameter = ("int4", number)
            await guest.run(transaction, "INSERT INTO t VALUES ($1)", parameter, on="db-transaction")
        seen = await guest.rows(transaction, "SELECT count(*) FROM t", on="db-transaction")
        if end is not None:
            await guest.ok(f"[method]db-transaction.{end}", transaction)
        guest.worker.context.resource_dropped(transaction)
        return seen, await guest.rows(connection, "SELECT count(*) FROM t")

    return scenario


COMMIT_KINDS = [HostCall, BeginRemoteTransaction, PreCommitRemoteTransaction, CommittedRemoteTransaction]
ROLLBACK_KINDS = [BeginRemoteTransaction, PreRollbackRemoteTransaction, RolledBackRemoteTransaction]
COMMIT_POINTS = [(kind, after, skip) for kind in COMMIT_KINDS for after in (False, True) for skip in (0, 1)]
ROLLBACK_POINTS = [(kind, after, 0) for kind in ROLLBACK_KINDS for after in (False, True)]


@pytest.mark.parametrize(
    ("end", "points"), [("commit", COMMIT_POINTS), ("rollback", ROLLBACK_POINTS), (None, ROLLBACK_POINTS)]
)
async def test_a_kill_changes_nothing(
    tmp_path: Path,
    relay: tuple[Relay, str],
    empty_database_url: str,
    end: str | None,
    points: list[tuple[type[Entry], bool, int]],
) -> None:
    scenario = ending(end)
    expected = [1, 2] if end == "commit" else []
    for number, (kind, after, skip) in enumerate(points):
        async with guest_of(tmp_path / str(number), "postgres", relay[1]) as guest:
            await guest.worker.context.oplog.commit()
            kill = KillAt(guest, kind, after=after, skip=skip)
            result = await until_done(guest, scenario)
            assert kill.done or skip
            assert await rows_of(empty_database_url) == expected, (kind, after, skip)
            assert result == ([[("int8", 2)]], [[("int8", len(expected))]])
            again = await replayed(guest, scenario, relay[0])
            assert again == ([[("int8", 2)]], [[("int8", len(expected))]])
        relay[0].refuse = False
        await emptied(empty_database_url)


async def test_a_repeated_transaction_names_its_first_beginning(guest: Guest) -> None:
    KillAt(guest, PreCommitRemoteTransaction, after=False)
    await until_done(guest, ending("commit"))
    KillAt(guest, CommittedRemoteTransaction, after=False)
    entries = await guest.worker.entries()
    begins = [(index, entry) for index, entry in enumerate(entries, 1) if isinstance(entry, BeginRemoteTransaction)]
    (first, original), (_, repeated) = begins
    assert original.original_begin_index is None
    assert repeated.original_begin_index == first
    assert repeated.transaction_id != original.transaction_id
    ends = [entry for entry in entries if isinstance(entry, PreCommitRemoteTransaction | CommittedRemoteTransaction)]
    assert [entry.begin_index for entry in ends] == [first, first]


@pytest.mark.parametrize("really", [True, False])
async def test_a_connection_lost_at_the_commit(
    guest: Guest, relay: tuple[Relay, str], empty_database_url: str, monkeypatch: pytest.MonkeyPatch, really: bool
) -> None:
    """Nobody but the database knows whether it committed."""
    commit = PostgresSession.commit
    lost: list[bool] = []

    async def losing(session: PostgresSession) -> None:
        if lost:
            return await commit(session)
        lost.append(True)
        if really:
            await commit(session)
        session.close()
        raise RdbmsError(EXECUTION_FAILURE, "the connection was lost", transient=True)

    monkeypatch.setattr(PostgresSession, "commit", losing)
    scenario = ending("commit")
    await until_done(guest, scenario)
    assert await rows_of(empty_database_url) == [1, 2]
    names = await guest.entry_names()
    assert names.count("Jump") == (0 if really else 1)
    assert names.count("CommittedRemoteTransaction") == 1
    await replayed(guest, scenario, relay[0])


async def test_a_connection_lost_inside_begins_again(
    guest: Guest, relay: tuple[Relay, str], empty_database_url: str
) -> None:
    cuts = [1, 2]

    async def scenario(guest: Guest) -> int:
        connection = await guest.open()
        transaction = await guest.begin(connection)
        for number in (1, 2):
            if number in cuts:
                cuts.remove(number)
                relay[0].cut()
            await guest.run(transaction, f"INSERT INTO t VALUES ({number})", on="db-transaction")
        return await guest.ok("[method]db-transaction.commit", transaction)

    await until_done(guest, scenario)
    assert await rows_of(empty_database_url) == [1, 2]
    assert (await guest.entry_names()).count("Jump") == 2
    await replayed(guest, scenario, relay[0])


async def test_the_guest_sees_the_error_when_beginning_again_would_repeat_something(
    guest: Guest, relay: tuple[Relay, str]
) -> None:
    connection = await guest.open()
    transaction = await guest.begin(connection)
    await guest.run(transaction, "INSERT INTO t VALUES (1)", on="db-transaction")
    await guest.run(connection, "INSERT INTO t VALUES (9)")
    relay[0].cut()
    case, _ = await guest.error("[method]db-transaction.execute", transaction, "INSERT INTO t VALUES (2)", [])
    assert case == "query-execution-failure"


@pytest.mark.parametrize("idempotence", [True, False])
async def test_a_transaction_cut_off_that_cannot_be_repeated(
    guest: Guest, empty_database_url: str, idempotence: bool
) -> None:
    async def scenario(guest: Guest) -> None:
        guest.worker.context.assume_idempotence = idempotence
        connection = await guest.open()
        transaction = await guest.begin(connection)
        await guest.run(transaction, "INSERT INTO t VALUES (1)", on="db-transaction")
        if idempotence:
            await guest.run(connection, "INSERT INTO t VALUES (9)")
        await guest.ok("[method]db-transaction.commit", transaction)

    KillAt(guest, PreCommitRemoteTransaction, after=False)
    with pytest.raises(PermanentFailure, match=OVERLAPPED if idempotence else NOT_REPEATABLE):
        await until_done(guest, scenario)
    assert guest.worker.context.is_live
    assert await rows_of(empty_database_url) == ([9] if idempotence else [])


async def test_what_the_database_confirms_goes_on_in_any_case(
    guest: Guest, relay: tuple[Relay, str], empty_database_url: str
) -> None:
    async def scenario(guest: Guest) -> None:
        connection = await guest.open()
        transaction = await guest.begin(connection)
        await guest.run(transaction, "INSERT INTO t VALUES (1)", on="db-transaction")
        await guest.run(connection, "INSERT INTO t VALUES (9)")
        await guest.ok("[method]db-transaction.commit", transaction)

    KillAt(guest, CommittedRemoteTransaction, after=False)
    await until_done(guest, scenario)
    assert await rows_of(empty_database_url) == [1, 9]
    await replayed(guest, scenario, relay[0])


async def test_a_database_that_does_not_know_any_more(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forgotten(_session: PostgresSession, _number: str) -> Outcome:
        return Outcome.UNKNOWN

    monkeypatch.setattr(PostgresSession, "outcome", forgotten)
    KillAt(guest, PreCommitRemoteTransaction, after=True)
    with pytest.raises(PermanentFailure, match=UNDECIDED):
        await until_done(guest, ending("commit"))


async def test_a_database_that_is_away_is_asked_again(guest: Guest, relay: tuple[Relay, str]) -> None:
    KillAt(guest, CommittedRemoteTransaction, after=False)
    with pytest.raises(Killed):
        await ending("commit")(guest)
    relay[0].refuse = True
    relay[0].cut()
    await guest.worker.replay(keep_buffered=False)
    with pytest.raises(TransientFailure):
        await ending("commit")(guest)
    relay[0].refuse = False
    await guest.worker.replay()
    await ending("commit")(guest)
    assert (await guest.entry_names()).count("Jump") == 0


async def test_outcomes(guest: Guest, empty_database_url: str) -> None:
    await guest.open()
    database = guest.databases.database("postgres", guest.address)
    numbers: dict[str, str] = {}
    for end in ("COMMIT", "ROLLBACK"):
        connection = await asyncpg.connect(empty_database_url)
        await connection.execute("BEGIN")
        numbers[end] = str(await connection.fetchval("SELECT txid_current()"))
        await connection.execute(end)
        await connection.close()
    assert await database.outcome(numbers["COMMIT"]) is Outcome.COMMITTED
    assert await database.outcome(numbers["ROLLBACK"]) is Outcome.NOT_COMMITTED
    assert await database.outcome(str(1 << 40)) is Outcome.UNKNOWN

    # A connection whose end the database did not notice is ended.
    lingering = await asyncpg.connect(empty_database_url)
    await lingering.execute("BEGIN; INSERT INTO t VALUES (1)")
    number = str(await lingering.fetchval("SELECT txid_current()"))
    assert await database.outcome(number) is Outcome.NOT_COMMITTED
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await lingering.execute("COMMIT")
    assert await rows_of(empty_database_url) == []


async def test_a_refused_commit_is_replayed_as_such(
    guest: Guest, relay: tuple[Relay, str], empty_database_url: str
) -> None:
    async def scenario(guest: Guest) -> list[Any]:
        connection = await guest.open()
        seen: list[Any] = []
        doomed = await guest.begin(connection)
        await guest.run(doomed, "INSERT INTO t VALUES (1)", on="db-transaction")
        seen.append(list(await guest.error("[method]db-transaction.query", doomed, "SELECT 1/0", [])))
        seen.append(list(await guest.error("[method]db-transaction.commit", doomed)))
        deferred = await guest.begin(connection)
        await guest.run(deferred, "CREATE TABLE u (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", on="db-transaction")
        await guest.run(deferred, "INSERT INTO u VALUES (1), (1)", on="db-transaction")
        seen.append(list(await guest.error("[method]db-transaction.commit", deferred)))
        seen.append(list(await guest.error("[method]db-transaction.commit", deferred)))
        saved = await guest.begin(connection)
        await guest.run(saved, "SAVEPOINT s", on="db-transaction")
        await guest.error("[method]db-transaction.query", saved, "SELECT 1/0", [])
        await guest.run(saved, "ROLLBACK TO SAVEPOINT s", on="db-transaction")
        await guest.run(saved, "INSERT INTO t VALUES (2)", on="db-transaction")
        await guest.ok("[method]db-transaction.commit", saved)
        await guest.ok("[method]db-transaction.commit", saved)
        return seen

    first = await scenario(guest)
    assert [case for case, _ in first] == ["query-execution-failure"] * 3 + ["other"]
    assert "duplicate key" in first[2][1]
    assert first[3][1] == "Transaction is closed"
    assert await rows_of(empty_database_url) == [2]
    assert await replayed(guest, scenario, relay[0]) == first


async def test_a_beginning_that_was_refused_is_replayed_as_such(guest: Guest, relay: tuple[Relay, str]) -> None:
    async def scenario(guest: Guest) -> list[str]:
        connection = await guest.open()
        if guest.worker.context.is_live:
            guest.databases.close()
            relay[0].refuse = True
            relay[0].cut()
        return list(await guest.error("[method]db-connection.begin-transaction", connection))

    first = await scenario(guest)
    assert first[0] == "connection-failure"
    assert await replayed(guest, scenario, relay[0]) == first


async def test_streams_and_statements_of_a_transaction_interleave(guest: Guest, empty_database_url: str) -> None:
    connection = await guest.open()
    transaction = await guest.begin(connection)
    streams = [
        await guest.ok("[method]db-transaction.query-stream", transaction, "SELECT generate_series(1, 120)", [])
        for _ in range(2)
    ]
    counts: list[int] = []
    for stream in [*streams, *streams]:
        rows = await guest.call("[method]db-result-stream.get-next", stream)
        counts.append(rows[0]["values"][0][1])
        await guest.run(transaction, f"INSERT INTO t VALUES ({len(counts)})", on="db-transaction")
    assert counts == [1, 1, 51, 51]
    await guest.ok("[method]db-transaction.commit", transaction)
    assert await rows_of(empty_database_url) == [1, 2, 3, 4]


async def test_a_worker_that_is_unloaded_rolls_back(guest: Guest, empty_database_url: str) -> None:
    connection = await guest.open()
    transaction = await guest.begin(connection)
    await guest.run(transaction, "LOCK TABLE t", on="db-transaction")
    guest.worker.context.close()
    async with asyncio.timeout(10):
        assert await rows_of(empty_database_url) == []
