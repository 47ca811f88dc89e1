"""Asks a component which agent types it has, when it is uploaded and before there is any worker of it.

The component is instantiated once, outside of workers: its environment, clocks, files, streams and random numbers are
real, whatever else it calls is an error, and nothing of what it does is kept. Time and memory are bounded (reference:
host-interfaces, section 5).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from golem_server.clock import Clock
from golem_server.durable.context import WorkerContext
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.host_function import HostFunctions
from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.ports import OplogStore
from golem_server.durable.signals import GuestError, HostFailure, Signal
from golem_server.durable.worker_services import WorkerServices
from golem_server.model.agent_types import AgentType, agent_types_from_guest
from golem_server.model.component_agents import DISCOVER, agent_error_text
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import Entry, Log
from golem_server.model.status import StatusRecord, stderr_text
from golem_server.model.types import FunctionType, Value
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.errors import Trap, UnknownImport
from golem_server.wasm.instance import Instance, Limits
from golem_server.wasm.linking import HostImport, LinkedComponent

REAL_PACKAGES = frozenset({"wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random"})
"""What a component may use while it is asked."""

MAX_STDERR = 16 << 10
"""Characters of the component's error output that are told when it fails."""

_AT_ONCE = 2
_ENVIRONMENT = {"RUST_BACKTRACE": "1"}


class AgentDiscovery:
    """Asks components for their agent types. `seconds` is how long one may take for its answer."""

    def __init__(
        self,
        engine: Engine,
        code: CodeCache,
        functions: HostFunctions,
        clock: Clock,
        limits: Limits,
        *,
        services: Mapping[type[Any], Any],
        seconds: float,
    ) -> None:
        self._engine = engine
        self._code = code
        self._imports = _RealImports(functions)
        self._clock = clock
        self._limits = limits
        self._services = services
        self._seconds = seconds
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def discover(self, wasm_hash: str, interface: str, fetch: Callable[[], Awaitable[bytes]]) -> list[AgentType]:
        """The agent types of the component with this hash, which exports the guest interface of agents under a name.

        Raises InvalidInput with the component's own reason, or with what went wrong.
        """
        compiled = await self._code.load(wasm_hash, fetch)
        async with self._turn:
            linked = LinkedComponent(self._engine, compiled, self._imports)
            folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="golem-discovery-")
            try:
                result = await self._ask(linked, interface, Path(folder.name))
            finally:
                await asyncio.to_thread(folder.cleanup)
        case, answer = result
        if case == "err":
            raise InvalidInput(f"The component cannot tell its agent types: {agent_error_text(answer)}")
        try:
            return agent_types_from_guest(answer)
        except (AttributeError, LookupError, TypeError, ValueError):
            # The types of the answer are what the component says that they are. What fits is read as it should be;
            # names and numbers are checked where they are read.
            raise InvalidInput("The component's agent types are not those of golem:agent/guest") from None

    async def _ask(self, linked: LinkedComponent, interface: str, folder: Path) -> Value:
        oplog = _ForgottenOplog()
        context = WorkerContext(
            worker_id=WorkerId(ComponentId(UUID(int=0)), "discovery"),
            component_revision=0,
            environment_id=UUID(int=0),
            account_id=UUID(int=0),
            arguments=[],
            environment=_ENVIRONMENT,
            config={},
            clock=self._clock,
            oplog=oplog,
            cursor=None,
            files=folder,
            # None of the functions that can be called here knows other workers.
            workers=cast(WorkerServices, None),
            services=self._services,
            settings=GuestSettings(suspend_after=self._seconds),
        )
        instance: Instance | None = None
        try:
            async with asyncio.timeout(self._seconds):
                instance = await Instance.create(linked, context, self._limits)
                return await instance.call(interface, DISCOVER, ())
        except TimeoutError:
            reason = f"it took longer than {self._seconds:g} s"
        except (Trap, HostFailure, UnknownImport) as error:
            reason = str(error)
        except Signal as signal:
            reason = f"it ended instead of answering ({signal})"
        finally:
            context.close()
            if instance is not None:
                instance.close()
        raise InvalidInput(f"The component cannot tell its agent types: {reason}{oplog.stderr_after_reason}")


class _ForgottenOplog(WorkerOplog):
    """Keeps nothing but the end of the component's error output."""

    def __init__(self) -> None:
        super().__init__(cast(OplogStore, None), WorkerNumber(0), StatusRecord())
        self._stderr = ""

    @property
    def stderr_after_reason(self) -> str:
        """What the component wrote to its error output, to be appended to a text."""
        return f"\n\n{self._stderr}" if self._stderr else ""

    @property
    def full(self) -> bool:
        """Never: nothing is kept."""
        return False

    def append(self, entry: Entry) -> int:
        """Count the entry."""
        if isinstance(entry, Log):
            self._stderr = (self._stderr + (stderr_text(entry) or ""))[-MAX_STDERR:]
        self.status.last_index += 1
        return self.status.last_index

    async def commit(self) -> None:
        """Nothing is written."""

    def commit_soon(self) -> None:
        """Nothing is written."""


class _RealImports:
    """Gives a component what `REAL_PACKAGES` name, and errors in place of everything else."""

    def __init__(self, functions: HostFunctions) -> None:
        self._functions = functions

    def function(self, interface: str, name: str, type: FunctionType) -> HostImport | None:
        """The function for an import."""
        if interface.partition("/")[0] in REAL_PACKAGES:
            return self._functions.function(interface, name, type)

        def refuse(_context: WorkerContext, *_arguments: Value) -> Value:
            raise GuestError(f"{interface}.{{{name}}} cannot be called while the agent types are asked for")

        return refuse
