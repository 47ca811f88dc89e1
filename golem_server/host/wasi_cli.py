"""wasi:cli: the environment of a worker, its exit, and its standard streams.

A worker has no terminal and no input. What it prints goes to its oplog as log entries.
"""

from __future__ import annotations

from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError, GuestExit
from golem_server.host.log_lines import write_log
from golem_server.host.resources import InputStream, OutputStream
from golem_server.model.golem_variables import RESERVED_VARIABLES, golem_variables
from golem_server.model.oplog import LogLevel
from golem_server.model.types import Value

environment = HostInterface("wasi:cli/environment")
exit_interface = HostInterface("wasi:cli/exit")
stdin = HostInterface("wasi:cli/stdin")
stdout = HostInterface("wasi:cli/stdout")
stderr = HostInterface("wasi:cli/stderr")
terminal_stdin = HostInterface("wasi:cli/terminal-stdin")
terminal_stdout = HostInterface("wasi:cli/terminal-stdout")
terminal_stderr = HostInterface("wasi:cli/terminal-stderr")

INTERFACES = [
    environment,
    exit_interface,
    stdin,
    stdout,
    stderr,
    terminal_stdin,
    terminal_stdout,
    terminal_stderr,
]


class StandardInput(InputStream):
    """The input that no worker has: a guest that reads it traps."""

    def read(self, context: WorkerContext, length: int) -> Any:
        """Raises GuestError."""
        raise GuestError("standard input is disabled")

    def blocking_read(self, context: WorkerContext, length: int) -> Any:
        """Raises GuestError."""
        raise GuestError("standard input is disabled")


class StandardOutput(OutputStream):
    """Standard output or standard error: each write is a log entry."""

    def __init__(self, level: LogLevel) -> None:
        self._level = level

    def write(self, context: WorkerContext, content: bytes) -> Any:
        """Logs the content, and waits while the oplog cannot keep up."""
        write_log(context, self._level, "", content)
        return _after_back_pressure(context) if context.oplog.full else ("ok", None)


async def _after_back_pressure(context: WorkerContext) -> Value:
    await context.back_pressure()
    return ("ok", None)


@environment.unrecorded("get-environment")
def get_environment(context: WorkerContext) -> Value:
    """The worker's variables, then Golem's own (reference: host-interfaces, section 3.1)."""
    agent_type = None if context.agent is None else context.agent.type.name
    return [
        *((key, value) for key, value in context.environment.items() if key not in RESERVED_VARIABLES),
        *golem_variables(
            context.golem_variables, context.worker_id, context.name, context.component_revision, agent_type
        ),
    ]


@environment.unrecorded("get-arguments")
def get_arguments(context: WorkerContext) -> Value:
    """The arguments that the worker was created with."""
    return list(context.arguments)


@environment.unrecorded("initial-cwd")
def initial_cwd(_context: WorkerContext) -> Value:
    """None: paths are those of the preopened folders."""
    return None


@exit_interface.special("exit")
def exit_with_status(_context: WorkerContext, status: Value) -> Value:
    """Ends the worker for good; raises GuestExit."""
    raise GuestExit(0 if status[0] == "ok" else 1)


@exit_interface.special("exit-with-code")
def exit_with_code(_context: WorkerContext, status_code: int) -> Value:
    """Ends the worker for good; raises GuestExit."""
    raise GuestExit(status_code)


@stdin.unrecorded("get-stdin")
def get_stdin(context: WorkerContext) -> Value:
    """A stream that must not be read."""
    return context.resources.add(StandardInput())


@stdout.unrecorded("get-stdout")
def get_stdout(context: WorkerContext) -> Value:
    """The stream for output."""
    return context.resources.add(StandardOutput(LogLevel.STDOUT))


@stderr.unrecorded("get-stderr")
def get_stderr(context: WorkerContext) -> Value:
    """The stream for errors."""
    return context.resources.add(StandardOutput(LogLevel.STDERR))


@terminal_stdin.unrecorded("get-terminal-stdin")
@terminal_stdout.unrecorded("get-terminal-stdout")
@terminal_stderr.unrecorded("get-terminal-stderr")
def get_terminal(_context: WorkerContext) -> Value:
    """None: there is no terminal."""
    return None
