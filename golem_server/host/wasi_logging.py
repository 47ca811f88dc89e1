"""wasi:logging: what a guest logs goes to its oplog."""

from __future__ import annotations

from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.host.log_lines import write_log
from golem_server.model.oplog import LogLevel

logging = HostInterface("wasi:logging/logging")

INTERFACES = [logging]


@logging.unrecorded("log")
def log(context: WorkerContext, level: str, log_context: str, message: str) -> Any:
    """Logs a message at a level (`trace` .. `critical`), and waits while the oplog cannot keep up."""
    write_log(context, LogLevel[level.upper()], log_context, message.encode())
    return context.back_pressure() if context.oplog.full else None
