"""The real PostgreSQL for tests: one cluster a run, one database a test, copied from a migrated template.

database_url         a migrated database of the test's own
shared_database_url  one that the tests of a file share, for those that keep apart by themselves
empty_database_url   one without tables
database             the first, opened as `Database`
postgres             the cluster, for what those do not give
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from golem_server.storage.database import Database
from golem_server.storage.embedded import EmbeddedPostgres
from golem_server.storage.migrate import migrate

_TEMPLATE = "template_migrated"
_numbers = itertools.count(1)

FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
"""Settings of a cluster that need not survive the machine; it still survives its own processes."""


def url_of(cluster_url: str, name: str) -> str:
    """The URL of another database of the cluster."""
    return cluster_url.replace("/postgres?", f"/{name}?")


async def execute(url: str, *statements: str) -> None:
    """Run statements on a connection of their own."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cluster that was made and stopped; see `copy_cluster`."""
    folder: Path = tmp_path_factory.mktemp("cluster")
    server = EmbeddedPostgres(folder, settings=FAST)
    server.start_blocking()
    server.stop_blocking()
    return folder


def copy_cluster(cluster: Path, folder: Path) -> None:
    """Put a copy into the folder of a server that was not started yet: quicker than to make one."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(cluster / "cluster"), str(folder / "cluster")], check=True)


@pytest.fixture(scope="session")
def postgres(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedPostgres]:
    """The cluster of this run, with a migrated template."""
    folder: Path = tmp_path_factory.mktemp("postgres")
    copy_cluster(cluster, folder)
    server = EmbeddedPostgres(folder, shared_buffers_mib=32, settings=FAST)
    server.start_blocking()

    async def prepare() -> None:
        await execute(server.url, f"CREATE DATABASE {_TEMPLATE}")
        await migrate(url_of(server.url, _TEMPLATE))

    asyncio.run(prepare())
    yield server
    server.stop_blocking()


def _copy(postgres: EmbeddedPostgres, template: str) -> Generator[str]:
    name = f"test_{next(_numbers)}"
    asyncio.run(execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield url_of(postgres.url, name)
    asyncio.run(execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Generator[str]:
    """A migrated database of the test's own."""
    yield from _copy(postgres, _TEMPLATE)


@pytest.fixture(scope="module")
def shared_database_url(postgres: EmbeddedPostgres) -> Generator[str]:
    """A migrated database that the tests of a file share."""
    yield from _copy(postgres, _TEMPLATE)


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Generator[str]:
    """A database of the test's own without tables."""
    yield from _copy(postgres, "template0")


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """The test's database, opened."""
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()
