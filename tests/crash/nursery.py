"""Starts real server processes quickly: a process that has imported the server forks one for each command.

It reads lines of JSON, `{"settings": {...}, "kill": {"point": "before-commit", "commit": 3}}`, forks a server for each,
and answers with its process id; when a server ends it writes `{"ended": pid, "status": ...}`. A server is killed by its
own SIGKILL at the commit that `kill` names, counted from its start, or by anybody's from outside.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from types import FrameType
from typing import Any

import uvloop

from golem_server import app
from golem_server.durable.ports import OplogStore
from golem_server.serving import serve_application
from golem_server.settings import Settings
from golem_server.telemetry import Metrics, configure_logging
from tests.crash.killing_store import KillingStore, KillPlan


async def serve(settings: Settings, plan: KillPlan | None) -> None:
    """What `golem-server run` does, with a store that may end the process."""

    def observe(store: OplogStore) -> OplogStore:
        return store if plan is None else KillingStore(store, plan)

    server = app.bind(settings, Metrics(), observe)
    await serve_application(server.edge, settings, *server.listeners)


def child(command: dict[str, Any]) -> None:
    """The life of a forked server."""
    settings = Settings.model_validate(command["settings"])
    configure_logging(settings.log_level, settings.log_format)
    kill = command.get("kill")
    uvloop.run(serve(settings, None if kill is None else KillPlan(**kill)))


def main() -> None:
    """Fork and reap until the input ends; then kill what is left.

    No event loop here: a child would share its epoll object with the parent.
    """
    children: set[int] = set()

    def say(**message: object) -> None:
        os.write(1, json.dumps(message).encode() + b"\n")

    def reap(_signal: int, _frame: FrameType | None) -> None:
        for pid in list(children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                children.discard(pid)
                say(ended=pid, status=os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin.buffer:
        command = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            child(command)
            os._exit(0)
        children.add(pid)
        say(started=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
