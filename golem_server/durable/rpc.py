"""Calls from one worker to another of this server. They go to the target's queue directly, never over HTTP.

The caller names each call by an idempotency key that is the same when the call is repeated: a caller that was killed
after the target had finished, and before its own commit, gets the same result and the target runs once. A caller that
is stopped leaves the target alone (reference: durability, section 9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from golem_server.durable.ports import ComponentSource, WorkerComponent
from golem_server.durable.retry_policies import Attempts, RetryPolicies
from golem_server.durable.schedule import Schedule
from golem_server.model.agent_ids import agent_type_name
from golem_server.model.errors import (
    Forbidden,
    GolemError,
    InvalidInput,
    InvalidWorkerRequest,
    TooManyPending,
    Unavailable,
    WorkerNotFound,
)
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import ConfigEntry, Invocation
from golem_server.model.principals import agent_principal
from golem_server.model.retry_policy import failure_properties
from golem_server.model.retry_predicate import PropertyValue
from golem_server.model.scheduled import ScheduledInvocation
from golem_server.model.types import Value
from golem_server.model.workers import WorkerCreation

T = TypeVar("T")

_NOTHING: Mapping[str, PropertyValue] = {}

UNAVAILABLE_RETRY_SECONDS = 0.5
"""Pause before a call is tried again that found the store, or a server that is stopping, not at work."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `environment` are the variables that a worker gets which is created by the call.

    `retries` are the caller's policies, and `pause` waits for some seconds between attempts.
    """

    worker_id: WorkerId
    component_revision: int
    environment: Mapping[str, str]
    retries: RetryPolicies
    pause: Callable[[float], Awaitable[None]]
    agent_config: tuple[ConfigEntry, ...] = ()

    @property
    def creation(self) -> WorkerCreation:
        """What a worker gets that is created by the call."""
        return WorkerCreation(
            environment=dict(self.environment),
            agent_config=list(self.agent_config),
            principal=agent_principal(self.worker_id),
            parent=str(self.worker_id),
        )


class Targets(Protocol):
    """The workers that can be called: what the executor offers."""

    async def ensure(self, worker_id: WorkerId, creation: WorkerCreation) -> WorkerNumber:
        """The number of the worker, which is created if there is none."""
        ...

    async def component_of(self, worker_id: WorkerId) -> WorkerComponent:
        """The revision that the worker runs or would run. Raises NotFound."""
        ...

    async def component_that_answered(self, worker_id: WorkerId, key: str) -> WorkerComponent | None:
        """The revision that answered an invocation with this key, where an update came after it; else None."""
        ...

    async def invoke_and_await(self, worker_id: WorkerId, invocation: Invocation, creation: WorkerCreation) -> Value:
        """Run an invocation once for its key and return its result."""
        ...

    async def invoke(self, worker_id: WorkerId, invocation: Invocation, creation: WorkerCreation) -> None:
        """Queue an invocation durably, once for its key."""
        ...

    async def has_answer(self, worker_id: WorkerId, key: str) -> bool:
        """Whether `invoke_and_await` with this key would have its answer at once. Raises WorkerNotFound."""
        ...

    async def cancel_pending(self, worker_id: WorkerId, key: str) -> bool:
        """Take an invocation out of the queue; False if it is not there. Raises WorkerNotFound."""
        ...


class WorkerCalls:
    """What a worker can do with others."""

    def __init__(self, components: ComponentSource, targets: Targets, schedule: Schedule) -> None:
        self._components = components
        self._targets = targets
        self._schedule = schedule
        self._under_way: set[asyncio.Task[Value]] = set()

    def in_background(self, call: Coroutine[Any, Any, Value]) -> asyncio.Task[Value]:
        """Let a call go on beside its guest, also when nobody waits for its outcome any more."""
        task = asyncio.create_task(call)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def stop(self) -> None:
        """Stop waiting for answers. Callers that were recovered ask again."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def component_of(self, caller: Caller, target: WorkerId) -> WorkerComponent:
        """The component that the target runs. Raises NotFound, and Forbidden if the caller may not know it."""
        return await self._patiently(caller, lambda: self._component_of(caller, target))

    async def _component_of(self, caller: Caller, target: WorkerId) -> WorkerComponent:
        component = await self._components.latest(target.component_id)
        own = await self._components.revision(caller.worker_id.component_id, caller.component_revision)
        if component.account_id != own.account_id:
            raise Forbidden(f"Component {target.component_id} belongs to another account")
        return await self._targets.component_of(await self._canonical(target))

    async def component_that_answered(self, target: WorkerId, key: str) -> WorkerComponent | None:
        """The revision of the target that answered an earlier try of a call, if an update came after it."""
        return await self._targets.component_that_answered(await self._canonical(target), key)

    async def _canonical(self, target: WorkerId) -> WorkerId:
        """The target by the name that it has: guests may spell an agent's in other ways. Raises NotFound."""
        component = await self._components.latest(target.component_id)
        if component.agents is None:
            return target
        try:
            name = component.agents.agent(target.name).name
        except InvalidInput:
            # It may be an older revision's; where it is nobody's, its creation says so.
            return target
        return target if name == target.name else WorkerId(target.component_id, name)

    async def component_named(self, caller: Caller, name: str) -> WorkerComponent:
        """The component of that name in the caller's environment, at its newest revision. Raises NotFound."""

        async def find() -> WorkerComponent:
            own = await self._components.revision(caller.worker_id.component_id, caller.component_revision)
            return await self._components.by_name(own.environment_id, name)

        return await self._patiently(caller, find)

    async def component_at(self, caller: Caller, component_id: ComponentId, revision: int) -> WorkerComponent:
        """A component's revision, whoever owns it. Raises NotFound."""
        return await self._patiently(caller, lambda: self._components.revision(component_id, revision))

    async def connect(self, caller: Caller, target: WorkerId) -> None:
        """Make sure that the target exists. Raises what `component_of` does, and WorkerCreationFailed."""

        async def ensure() -> None:
            await self._component_of(caller, target)
            await self._targets.ensure(await self._canonical(target), caller.creation)

        await self._patiently(caller, ensure)

    async def call(self, caller: Caller, target: WorkerId, invocation: Invocation, function: str) -> Value:
        """Have the target run an invocation and return its result. `function` is its name for the retry policies.

        Raises InvalidWorkerRequest where a worker calls itself, and whatever ends the invocation.
        """

        async def work() -> Value:
            named = await self._canonical(target)
            _refuse_own(caller, named)
            return await self._targets.invoke_and_await(named, invocation, caller.creation)

        return await self._patiently(caller, work, _properties("invoke-and-await", target, function))

    async def send(self, caller: Caller, target: WorkerId, invocation: Invocation, function: str) -> None:
        """Put an invocation into the target's queue, durably. Raises as `call`."""

        async def work() -> None:
            named = await self._canonical(target)
            _refuse_own(caller, named)
            await self._targets.invoke(named, invocation, caller.creation)

        await self._patiently(caller, work, _properties("invoke", target, function))

    async def has_answer(self, target: WorkerId, key: str) -> bool:
        """Whether a call that was sent earlier would have its answer at once."""
        try:
            return await self._targets.has_answer(await self._canonical(target), key)
        except WorkerNotFound:
            return False
        except GolemError:
            return True

    async def cancel(self, target: WorkerId, key: str) -> bool:
        """Take a call back that has not begun. Best effort: one that runs goes on."""
        try:
            return await self._targets.cancel_pending(await self._canonical(target), key)
        except GolemError:
            return False

    async def schedule(
        self, caller: Caller, target: WorkerId, due_at: int, invocation: Invocation, schedule_id: UUID
    ) -> None:
        """Have the target run an invocation at a time (milliseconds since the epoch), not waiting for it.

        Done again under the same id it takes the place of the first.
        """

        async def put() -> None:
            named = await self._canonical(target)
            number = await self._targets.ensure(named, caller.creation)
            await self._schedule.put(
                ScheduledInvocation(
                    id=schedule_id, due_at=due_at, worker_id=named, number=number, invocation=invocation
                )
            )

        await self._patiently(caller, put)

    async def cancel_scheduled(self, caller: Caller, schedule_id: UUID) -> None:
        """Take a scheduled invocation back. Nothing happens if its time has come."""
        await self._patiently(caller, lambda: self._schedule.cancel(schedule_id))

    async def _patiently(
        self, caller: Caller, work: Callable[[], Awaitable[T]], asked: Mapping[str, PropertyValue] = _NOTHING
    ) -> T:
        """Do it, again and again while the store is away, by the caller's policies while the target's queue is full.

        `asked` are the properties of a call that they decide by.

        Whatever else the target answers is final: the same key would give the same answer.
        """
        attempts = Attempts(caller.retries)
        while True:
            try:
                return await work()
            except Unavailable:
                await asyncio.sleep(UNAVAILABLE_RETRY_SECONDS)
            except TooManyPending:
                delay = attempts.next_delay(caller.retries.properties({**asked, "error-type": "transient"}))
                if delay is None:
                    raise
                await caller.pause(delay)


def _properties(verb: str, target: WorkerId, function: str) -> dict[str, PropertyValue]:
    """What retry policies can ask of a call."""
    properties = failure_properties(verb, f"worker://{target}")
    properties |= {"function": function, "target-component-id": str(target.component_id)}
    with suppress(InvalidInput):
        properties["target-agent-type"] = agent_type_name(target.name)
    return properties


def _refuse_own(caller: Caller, target: WorkerId) -> None:
    if target == caller.worker_id:
        raise InvalidWorkerRequest("RPC calls to the same agent are not supported")
