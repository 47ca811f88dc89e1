"""A private MariaDB for tests, where its programs are installed: one server a run, one database a test.

mariadb        the address of the server, without a database; skips the test where there is no server
mariadb_url    the address of an empty database of the test's own
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest

_numbers = itertools.count(1)
_GUEST = "golem@'127.0.0.1'"


def _program(*names: str) -> str | None:
    for name in names:
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if found is not None:
            return found
    return None


def _ask(socket_file: Path, statement: str) -> None:
    client = _program("mariadb", "mysql")
    assert client is not None
    subprocess.run(
        [client, "--no-defaults", "-uroot", f"--socket={socket_file}", "-e", statement], check=True, capture_output=True
    )


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, Path]]:
    """The address of the server, and its socket."""
    server, install = _program("mariadbd"), _program("mariadb-install-db")
    if server is None or install is None or _program("mariadb", "mysql") is None:
        pytest.skip("MariaDB is not installed")
    folder: Path = tmp_path_factory.mktemp("mariadb")
    data, socket_file = folder / "data", folder / "socket"
    user = pwd.getpwuid(os.getuid()).pw_name
    subprocess.run(
        [install, "--no-defaults", f"--datadir={data}", f"--user={user}", "--auth-root-authentication-method=normal"],
        check=True,
        capture_output=True,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(server, "--no-defaults", f"--datadir={data}", f"--user={user}", f"--socket={socket_file}"),
            *(
                f"--log-error={folder / 'log'}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
            ),
            *("--innodb-flush-log-at-trx-commit=0", f"--pid-file={folder / 'pid'}", "--innodb-buffer-pool-size=32M"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                _ask(
                    socket_file,
                    "CREATE USER golem@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO golem@'127.0.0.1'",
                )
                break
            except subprocess.CalledProcessError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield f"mysql://golem:secret@127.0.0.1:{port}", socket_file
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def mariadb_url(mariadb: tuple[str, Path]) -> Generator[str]:
    """The address of an empty database."""
    address, socket_file = mariadb
    name = f"test_{next(_numbers)}"
    _ask(socket_file, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield f"{address}/{name}"
    _ask(socket_file, f"DROP DATABASE {name}")
