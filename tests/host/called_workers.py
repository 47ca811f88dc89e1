"""Workers that host functions can call in tests without an executor.

called = CalledWorkers(parse_type("..."))
called.answers["add"] = lambda a, b: a + b
called.calls            # what a context's `workers.calls` is to be
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from golem_server.durable.ports import WorkerComponent
from golem_server.durable.rpc import WorkerCalls
from golem_server.durable.schedule import Schedule
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.dynamic_links import NO_LINKS, DynamicLinks
from golem_server.model.errors import NotFound, TooManyPending, WorkerNotFound
from golem_server.model.function_names import FunctionResolver
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.ids import AccountId, ComponentId, EnvironmentId, WorkerId, WorkerNumber
from golem_server.model.initial_files import InitialFile
from golem_server.model.oplog import Invocation
from golem_server.model.plugins import InstalledPlugin
from golem_server.model.scheduled import ScheduledInvocation
from golem_server.model.types import ComponentType, Value
from golem_server.model.workers import WorkerCreation

TARGET = WorkerId(ComponentId(UUID(int=0x7A46E7)), "target-1")
TARGET_NAME = "a:b"
OTHER_ACCOUNT = ComponentId(UUID(int=0x0DDACC))
"""A component that another account owns."""

ENVIRONMENT = EnvironmentId(UUID(int=0xE1))
ACCOUNT = AccountId(UUID(int=0xAC))
EMPTY = ComponentType({}, {}, {}, {})


@dataclass(frozen=True)
class CalledComponent:
    """A revision that is never run."""

    component_id: ComponentId
    account_id: AccountId
    functions: FunctionResolver
    environment_id: EnvironmentId = ENVIRONMENT
    created_by: AccountId = ACCOUNT
    revision: int = 0
    wasm_hash: str = ""
    size_bytes: int = 0
    initial_memory_bytes: int = 0
    environment: dict[str, str] = field(default_factory=dict[str, str])
    links: DynamicLinks = NO_LINKS
    agents: ComponentAgents | None = None
    ephemeral: bool = False
    golem_variables: GolemVariables = GolemVariables.GOLEM_1_4

    def installed_plugins(self, agent_type: str) -> tuple[InstalledPlugin, ...]:
        """None."""
        return ()

    def initial_files(self, agent_type: str) -> tuple[InitialFile, ...]:
        """None."""
        return ()

    @property
    def fetch(self) -> Callable[[], Awaitable[bytes]]:
        """There is none."""
        raise NotImplementedError


class MemorySchedule:
    """The rows of a schedule."""

    def __init__(self) -> None:
        self.rows: dict[UUID, ScheduledInvocation] = {}

    async def put(self, scheduled: ScheduledInvocation) -> None:
        """Keep it."""
        self.rows[scheduled.id] = scheduled

    async def delete(self, schedule_id: UUID) -> None:
        """Forget it."""
        self.rows.pop(schedule_id, None)

    async def due(self, before: int, count: int, after: tuple[int, int] | None = None) -> list[ScheduledInvocation]:
        """Nothing is ever due."""
        return []

    async def next_due(self, after: int) -> int | None:
        """Nothing is ever due."""
        return None


class CalledWorkers:
    """Targets whose functions are Python functions; they run once for each idempotency key, as real ones do.

    `full` is how often from now on a call finds the target's queue full.
    `answers` are by function name as called. A call of a function in `held` waits until the test sets its event.
    """

    def __init__(self, type_: ComponentType = EMPTY) -> None:
        self.type = type_
        self.agents: ComponentAgents | None = None
        self.answers: dict[str, Callable[..., Value]] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.created: dict[WorkerId, dict[str, str]] = {}
        self.runs: list[Invocation] = []
        self.sent: list[Invocation] = []
        self.cancelled: list[str] = []
        self.full = 0
        self.results: dict[tuple[WorkerId, str], Value] = {}
        self.schedule = MemorySchedule()
        self.calls = WorkerCalls(self, self, Schedule(self.schedule, self._enqueue, lambda _due: None))

    async def _enqueue(self, worker_id: WorkerId, number: WorkerNumber, invocation: Invocation) -> None:
        raise NotImplementedError

    async def latest(self, component_id: ComponentId) -> WorkerComponent:
        """Every component exists but one."""
        if component_id == ComponentId(UUID(int=0)):
            raise NotFound(f"Component for id {component_id} not found")
        account = AccountId(UUID(int=0xBAD)) if component_id == OTHER_ACCOUNT else ACCOUNT
        return CalledComponent(component_id, account, FunctionResolver(self.type), agents=self.agents)

    async def by_name(self, environment_id: EnvironmentId, name: str) -> WorkerComponent:
        """There is one component with a name."""
        if name != TARGET_NAME:
            raise NotFound(f"Component for name {name} not found in environment")
        return await self.latest(TARGET.component_id)

    async def revision(self, component_id: ComponentId, revision: int) -> WorkerComponent:
        """There is one revision."""
        return await self.latest(component_id)

    async def component_of(self, worker_id: WorkerId) -> WorkerComponent:
        """The same for all workers."""
        return await self.latest(worker_id.component_id)

    async def component_that_answered(self, worker_id: WorkerId, key: str) -> WorkerComponent | None:
        """None was ever updated."""
        return None

    async def ensure(self, worker_id: WorkerId, creation: WorkerCreation) -> WorkerNumber:
        """Note that it was created."""
        self.created.setdefault(worker_id, creation.environment)
        return WorkerNumber(7)

    async def invoke_and_await(self, worker_id: WorkerId, invocation: Invocation, creation: WorkerCreation) -> Value:
        """Run the Python function, once for the key."""
        self._accept()
        known = (worker_id, invocation.idempotency_key)
        if known not in self.results:
            self.runs.append(invocation)
            if invocation.function in self.held:
                await self.held[invocation.function].wait()
            self.results[known] = self.answers[invocation.function](*invocation.parameters)
        return self.results[known]

    async def invoke(self, worker_id: WorkerId, invocation: Invocation, creation: WorkerCreation) -> None:
        """Note that it was sent."""
        self._accept()
        self.sent.append(invocation)

    def _accept(self) -> None:
        if self.full:
            self.full -= 1
            raise TooManyPending("the queue is full")

    async def has_answer(self, worker_id: WorkerId, key: str) -> bool:
        """Whether it has run."""
        if worker_id not in self.created:
            raise WorkerNotFound(worker_id)
        return (worker_id, key) in self.results

    async def cancel_pending(self, worker_id: WorkerId, key: str) -> bool:
        """Note that it was asked."""
        self.cancelled.append(key)
        return False
