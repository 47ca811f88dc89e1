"""The command line as a user meets it: a real process, its output, its exit status."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from golem_server import __version__
from golem_server.cli import main

COMMAND = [sys.executable, "-m", "golem_server"]
READY = re.compile(r"ready.*?(http://[^\s\"]+)")


@contextmanager
def server(folder: Path, *flags: str) -> Generator[tuple[subprocess.Popen[str], str], None, None]:
    """A server of its own in this folder, up and answering, with its address."""
    process = subprocess.Popen(
        [*COMMAND, "run", "--port", "0", *flags], cwd=folder, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stderr is not None
    try:
        yield process, ready_address(process.stderr)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def environment() -> dict[str, str]:
    """This process's environment, with the checkout importable from any folder."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "default"}


def ready_address(log: IO[str]) -> str:
    """The address in the server's own line that it is ready."""
    seen: list[str] = []
    for line in log:
        if found := READY.search(line):
            return found[1]
        seen.append(line)
    raise AssertionError("the server ended before it was ready:\n" + "".join(seen))


def get(address: str) -> tuple[int, str]:
    """The status and body of a GET."""
    with urllib.request.urlopen(address) as response:
        return response.status, response.read().decode()


def test_a_server_answers_and_ends_with_status_zero_on_sigterm(tmp_path: Path) -> None:
    with server(tmp_path, "--log-format", "json") as (process, address):
        assert get(f"{address}/healthcheck") == (200, "{}")
        assert json.loads(get(f"{address}/version")[1]) == {"version": __version__}
        assert "golem_loaded_workers 0.0" in get(f"{address}/metrics")[1]
        assert get(f"{address}/docs")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr]
        assert process.wait() == 0
        assert lines[-1]["message"] == "stopped"


def test_a_second_server_on_the_same_port_ends_with_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["run", "--config", str(tmp_path), "--data-directory", str(tmp_path), "--port", port]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("the port is in use")
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_are_named_without_their_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--config", str(tmp_path), "--port", "77777", "--set", "token=short", "--set", "limits.worker.memmory=1"]
    assert main(["run", *flags]) == 2
    message = capsys.readouterr().err
    assert all(name in message for name in ("port", "token", "limits.worker.memmory"))
    assert "short" not in message


@pytest.mark.parametrize("assignment", ["x", "=1", "port.inner=1"])
def test_a_malformed_assignment_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], assignment: str) -> None:
    assert main(["token", "--config", str(tmp_path), "--port", "1", "--set", assignment]) == 2
    assert "--set" in capsys.readouterr().err
