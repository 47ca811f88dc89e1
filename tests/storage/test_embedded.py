"""The private PostgreSQL: made, stopped, killed, taken over, refused to a second server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from golem_server.model.errors import Conflict, Unavailable
from golem_server.storage.embedded import EmbeddedPostgres, running_url
from tests.postgres import FAST, copy_cluster, execute

SERVER = """
import os, sys
from pathlib import Path
from golem_server.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
server.start_blocking()
print(server.url, flush=True)
sys.stdin.read()
"""
"""A server in a process of its own, which runs until it is killed."""


def server_process(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A process that keeps a cluster running, and the cluster's URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    return process, process.stdout.readline().decode().strip()


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and the pipes closed."""
    process.kill()
    process.communicate()


def postmaster(folder: Path) -> int:
    """The process of the cluster's postmaster."""
    return int((folder / "cluster" / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0])


def users(pid: int) -> list[str]:
    """The real, effective and other user ids of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))


def exists(path: str) -> bool:
    """Whether there is something at the path."""
    return Path(path).exists()


async def value(url: str, query: str) -> object:
    """The result of a query on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def server(cluster: Path, tmp_path: Path) -> AsyncGenerator[EmbeddedPostgres]:
    """A cluster in `tmp_path`, not started; stopped at the end."""
    copy_cluster(cluster, tmp_path)
    created = EmbeddedPostgres(tmp_path, settings=FAST)
    yield created
    await created.stop()


async def test_data_survives_stop_and_start(server: EmbeddedPostgres, tmp_path: Path) -> None:
    url = await server.start()
    assert await server.start() == url
    assert running_url(tmp_path) == url
    await execute(url, "CREATE TABLE kept (x int)", "INSERT INTO kept VALUES (7)")
    await server.stop()
    await server.stop()
    assert running_url(tmp_path) is None
    assert await value(await server.start(), "SELECT x FROM kept") == 7


async def test_cluster_is_durable_local_and_the_same_everywhere(cluster: Path, tmp_path: Path) -> None:
    copy_cluster(cluster, tmp_path)
    server = EmbeddedPostgres(tmp_path)
    try:
        url = await server.start()
        for name, expected in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "max_connections": "100",
        }.items():
            assert await value(url, f"SHOW {name}") == expected, name
        assert await value(url, "SELECT datcollate FROM pg_database WHERE datname = current_database()") == "C"
        assert (tmp_path / "socket").stat().st_mode & 0o077 == 0
        assert (tmp_path / "cluster").stat().st_mode & 0o077 == 0
    finally:
        await server.stop()


async def test_start_after_the_server_was_killed_takes_over(server: EmbeddedPostgres, tmp_path: Path) -> None:
    process, url = await asyncio.to_thread(server_process, tmp_path)
    await execute(url, "CREATE TABLE kept (x int)", "INSERT INTO kept VALUES (7)")
    orphan = postmaster(tmp_path)
    await asyncio.to_thread(kill, process)
    started = time.monotonic()
    assert await value(await server.start(), "SELECT x FROM kept") == 7
    assert time.monotonic() - started < 10
    assert postmaster(tmp_path) != orphan


async def test_start_after_everything_was_killed_recovers(server: EmbeddedPostgres, tmp_path: Path) -> None:
    process, url = await asyncio.to_thread(server_process, tmp_path)
    await execute(url, "CREATE TABLE kept (x int)", "INSERT INTO kept VALUES (7)")
    await asyncio.to_thread(kill, process)
    os.kill(postmaster(tmp_path), signal.SIGKILL)
    assert await value(await server.start(), "SELECT x FROM kept") == 7


async def test_stale_lock_file_with_the_number_of_another_process_is_harmless(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    await server.start()
    pid_file = tmp_path / "cluster" / "postmaster.pid"
    lines = pid_file.read_text(encoding="utf-8").splitlines()
    await server.stop()
    stale = "\n".join([str(os.getppid()), *lines[1:]]) + "\n"
    pid_file.write_text(stale, encoding="utf-8")
    (tmp_path / "socket" / ".s.PGSQL.5432.lock").write_text(stale, encoding="utf-8")
    assert await value(await server.start(), "SELECT 1") == 1


async def test_second_server_on_the_folder_is_refused(server: EmbeddedPostgres, tmp_path: Path) -> None:
    url = await server.start()
    second = EmbeddedPostgres(tmp_path)
    with pytest.raises(Conflict, match=f"in use by another server \\(process {os.getpid()}\\)"):
        await second.start()
    await second.stop()
    assert await value(url, "SELECT 1") == 1


async def test_unfinished_cluster_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "cluster.unfinished"
    (unfinished / "base").mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n", encoding="ascii")
    server = EmbeddedPostgres(tmp_path, settings=FAST)
    try:
        assert await value(await server.start(), "SELECT 1") == 1
        assert not unfinished.exists()
    finally:
        await server.stop()


async def test_long_paths_get_a_socket_elsewhere(cluster: Path, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    copy_cluster(cluster, folder)
    server = EmbeddedPostgres(folder, settings=FAST)
    try:
        url = await server.start()
        assert str(folder) not in url
        assert running_url(folder) == url
        assert await value(url, "SELECT 1") == 1
    finally:
        await server.stop()
    assert not exists(url.partition("?host=")[2].partition("&")[0])


async def test_postgres_that_dies_is_started_again(server: EmbeddedPostgres, tmp_path: Path) -> None:
    url = await server.start()
    await execute(url, "CREATE TABLE kept (x int)", "INSERT INTO kept VALUES (7)")
    watch = asyncio.create_task(server.keep_running())
    os.kill(postmaster(tmp_path), signal.SIGKILL)
    async with asyncio.timeout(20):
        while True:
            try:
                assert await value(url, "SELECT x FROM kept") == 7
                break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)
    watch.cancel()


async def test_damaged_cluster_is_reported_with_its_log(server: EmbeddedPostgres, tmp_path: Path) -> None:
    await server.start()
    await server.stop()
    (tmp_path / "cluster" / "global" / "pg_control").unlink()
    with pytest.raises(Unavailable, match="pg_control"):
        await server.start()
    # The folder is free again.
    with pytest.raises(Unavailable, match="pg_control"):
        await EmbeddedPostgres(tmp_path).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_root_can_use_a_folder_that_is_closed_to_others(cluster: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    copy_cluster(cluster, closed / "postgres")
    server = EmbeddedPostgres(closed / "postgres", settings=FAST)
    try:
        url = await server.start()
        assert await value(url, "SELECT 1") == 1
        assert closed.stat().st_mode & 0o777 == 0o700
        assert "0" not in users(postmaster(closed / "postgres"))
    finally:
        await server.stop()
