"""One life of a worker's instance: built from the oplog by replay, used for calls, dropped for whatever reason.

Nothing of it outlives a trap, a suspension or an unloading; the next one is built from the oplog again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from golem_server.durable import snapshots
from golem_server.durable.agents import agent_failure, invocations_left_behind
from golem_server.durable.context import WorkerContext
from golem_server.durable.identities import identities_of
from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.replay import History, ReplayCursor
from golem_server.durable.runtime import Runtime
from golem_server.durable.snapshots import SavedState
from golem_server.durable.worker_folder import lay_out
from golem_server.durable.worker_services import WorkerServices
from golem_server.model.errors import FailedToResumeWorker, UnexpectedOplogEntry
from golem_server.model.function_names import IndexedResource, Operation, ResolvedFunction
from golem_server.model.oplog import (
    CreateResource,
    DropResource,
    Invocation,
    InvocationFinished,
    InvocationStarted,
    Restart,
)
from golem_server.model.types import HandleType, Value
from golem_server.model.workers import NewWorker
from golem_server.wasm.instance import ExportedFunction, Instance

BACKGROUND_COMMIT_SECONDS = 0.1
"""How often a guest that goes on running has its entries made durable."""


class _Bound:
    """A function name as the running instance calls it; `exported` is None for a drop."""

    __slots__ = ("creates_handle", "exported", "resolved")

    def __init__(self, resolved: ResolvedFunction, exported: ExportedFunction | None) -> None:
        self.resolved = resolved
        self.exported = exported
        result = resolved.type.result
        self.creates_handle = isinstance(result, HandleType) and not result.host


class Incarnation:
    """An instance with its context. Made by `load`, given up by `close`."""

    def __init__(self, context: WorkerContext, component: WorkerComponent, runtime: Runtime) -> None:
        self.context = context
        self.component = component
        self._oplog: WorkerOplog = context.oplog
        self._runtime = runtime
        self._instance: Instance | None = None
        self._functions: dict[str, _Bound] = {}
        self._indexed: dict[tuple[str, tuple[str, ...]], int] = {}
        self._commit_timer: asyncio.TimerHandle | None = None
        self.starts_over = False
        """Whether earlier invocations were left out: then its next one is preceded by an entry that says so."""

    async def instantiate(self) -> None:
        """Build the instance. Its start functions replay or record like any other code.

        Raises Trap and whatever host functions raise.
        """
        linked = await self._runtime.link(self.component)
        context, initial = self.context, self._runtime.initial_files
        folder, files = context.files, context.initial_files
        await lay_out(folder, lambda: initial.lay_down(folder, files))
        context.exchange_files = partial(initial.exchange, folder)
        self._instance = await Instance.create(linked, self.context, self._runtime.limits)
        self._runtime.metrics.worker_loaded()

    async def replay(self, finished: Callable[[str, int, Value], None]) -> None:
        """Run the recorded invocations; the last one goes on live where its record ends.

        `finished` is then told its key, the index of its InvocationFinished entry and its result, durable. Raises
        FailedToResumeWorker where what the code does is not what the oplog says.
        """
        context = self.context
        try:
            while not await context.settle_replay():
                entry = await context.take(InvocationStarted)
                outcome = await self._run(entry.invocation, entry.timestamp, None)
                if outcome is not None:
                    finished(entry.invocation.idempotency_key, *outcome)
        except UnexpectedOplogEntry as error:
            if context.current_key:
                raise
            raise FailedToResumeWorker(context.worker_id, error.message) from error

    async def save_state(self) -> SavedState:
        """What the guest's save function gives. Raises SnapshotFailed, Trap and the like."""
        assert self._instance is not None
        return await snapshots.save(self._instance, self.context)

    async def instantiate_from(self, state: SavedState) -> None:
        """Build the instance and let it load a snapshot. Raises SnapshotFailed, Trap and the like."""
        with self.context.unrecorded():
            await self.instantiate()
        assert self._instance is not None
        await snapshots.load(self._instance, self.context, state)

    async def execute(self, invocation: Invocation, begun: Callable[[], None]) -> tuple[int, Value]:
        """Run an invocation live: its entry's index and its result, durable. `begun` is called with its first entry.

        Raises InvalidInput, with nothing written, if the function or its arguments are wrong.
        """
        context = self.context
        if context.agent is not None:
            context.agent.check(invocation)
        if self.starts_over:
            context.append(Restart(timestamp=context.now_ms()))
            self.starts_over = False

        started = context.now_ms()

        def entering() -> None:
            context.append(InvocationStarted(timestamp=started, invocation=invocation))
            begun()

        outcome = await self._run(invocation, started, entering)
        assert outcome is not None
        return outcome

    def close(self) -> None:
        """Give the instance up, in whatever state it is. Nothing is written."""
        self._stop_commits()
        self.context.close()
        if self._instance is not None:
            self._instance.close()
            self._instance = None
            self._runtime.metrics.worker_unloaded()

    async def _run(
        self, invocation: Invocation, started: int, entering: Callable[[], None] | None
    ) -> tuple[int, Value] | None:
        """Call the guest, live or in replay or from the one into the other, and record or compare the result."""
        context = self.context
        bound = self._bind(invocation.function)
        context.invocation_began(invocation, started)
        began = context.host_calls
        self._commit_later(self._runtime.settings.first_commit_after)
        try:
            result = await self._call(bound, invocation.parameters, entering)
            await context.deferred.run()
        finally:
            self._stop_commits()
        self._runtime.metrics.host_calls(context.host_calls - began, replay=not context.is_live)
        if context.agent is not None and (failure := agent_failure(bound.resolved, result)) is not None:
            await context.settle_replay()
            raise failure
        if not await context.settle_replay():
            context.invocation_ended()

            def check(entry: InvocationFinished) -> None:
                if not same_value(entry.result, result):
                    raise UnexpectedOplogEntry("InvocationFinished with the recorded result", "another result")

            await context.take(InvocationFinished, check)
            return None
        if bound.creates_handle:
            self._resource_created(bound.resolved, result)
        index = context.append(
            InvocationFinished(timestamp=context.now_ms(), result=result, component_revision=self.component.revision)
        )
        await self._oplog.commit()
        context.invocation_ended()
        return index, result

    async def _call(self, bound: _Bound, parameters: Sequence[Value], entering: Callable[[], None] | None) -> Value:
        instance = self._instance
        assert instance is not None
        resolved = bound.resolved
        indexed = resolved.indexed
        if bound.exported is not None and resolved.behind is not None:
            return await self._call_virtual(instance, bound.exported, resolved, parameters, entering)
        if bound.exported is not None and indexed is None:
            return await instance.call_prepared(bound.exported, parameters, entering)
        if entering is not None:
            entering()
        if indexed is not None:
            handle = await self._indexed_handle(instance, resolved, indexed)
            if resolved.operation is Operation.CONSTRUCT:
                return handle
            takes_handle = resolved.operation is Operation.DROP or resolved.function.startswith("[method]")
            parameters = [handle, *parameters] if takes_handle else parameters
        if bound.exported is not None:
            return await instance.call_prepared(bound.exported, parameters)
        await instance.drop_resource(parameters[0])
        if indexed is not None:
            self._indexed.pop((indexed.resource, indexed.arguments), None)
        if self.context.is_live:
            self._oplog.append(
                DropResource(
                    timestamp=self.context.now_ms(),
                    id=parameters[0],
                    name=_resource_name(resolved.function),
                    owner=resolved.interface or "",
                )
            )
        return None

    async def _call_virtual(
        self,
        instance: Instance,
        exported: ExportedFunction,
        resolved: ResolvedFunction,
        parameters: Sequence[Value],
        entering: Callable[[], None] | None,
    ) -> Value:
        arguments, result = self._runtime.virtual_functions[resolved.export_name](self.context, parameters)
        await instance.call_prepared(exported, arguments, entering)
        return result()

    async def _indexed_handle(self, instance: Instance, resolved: ResolvedFunction, indexed: IndexedResource) -> int:
        """The instance of an indexed resource: constructed on first use, then kept."""
        identity = (indexed.resource, indexed.arguments)
        handle = self._indexed.get(identity)
        if handle is None:
            handle = await instance.call(resolved.interface, indexed.constructor, indexed.values)
            self._indexed[identity] = handle
            if await self.context.settle_replay():
                self._resource_created(resolved, handle)
        return handle

    def _resource_created(self, resolved: ResolvedFunction, handle: int) -> None:
        self._oplog.append(
            CreateResource(
                timestamp=self.context.now_ms(),
                id=handle,
                name=_resource_name(resolved.function),
                owner=resolved.interface or "",
            )
        )

    def _bind(self, function: str) -> _Bound:
        bound = self._functions.get(function)
        if bound is None:
            instance = self._instance
            assert instance is not None
            resolved = self.component.functions.resolve(function)
            drops = resolved.operation is Operation.DROP
            exported = None if drops else instance.prepare(resolved.exported_interface, resolved.function)
            bound = self._functions[function] = _Bound(resolved, exported)
        return bound

    def _commit_later(self, seconds: float) -> None:
        self._commit_timer = asyncio.get_running_loop().call_later(seconds, self._commit_while_running)

    def _commit_while_running(self) -> None:
        if self.context.is_live:
            self._oplog.commit_soon()
        self._commit_later(BACKGROUND_COMMIT_SECONDS)

    def _stop_commits(self) -> None:
        if self._commit_timer is not None:
            self._commit_timer.cancel()
            self._commit_timer = None


async def load(
    worker: NewWorker,
    component: WorkerComponent,
    oplog: WorkerOplog,
    runtime: Runtime,
    services: WorkerServices,
    snapshot: int,
    caught_up: Callable[[History, int], None],
) -> Incarnation:
    """A new incarnation with its instance built and its oplog ready to be replayed (see `Incarnation.replay`).

    The instance begins with the snapshot in the entry at `snapshot`, unless that is 0. `caught_up` is called once, when
    replay has consumed the oplog and the worker is live, with the index of the last entry consumed: at once for a new
    worker, else while its last invocation goes on.
    """
    status = oplog.status
    passed_over = invocations_left_behind(status, oplog.committed_index)
    cursor = ReplayCursor(
        runtime.store,
        oplog.number,
        first=2,
        target=oplog.committed_index,
        skipped=status.skipped_regions,
        snapshot=snapshot,
        passed_over=passed_over,
    )
    agent = None if component.agents is None or not status.agent_type else component.agents.agent(worker.worker_id.name)
    began = runtime.clock.monotonic()
    identities = await identities_of(worker, status, component, runtime.components)
    await runtime.initial_files.fetch(file for identity in identities for file in identity.files)
    await cursor.load()
    context = WorkerContext(
        worker_id=worker.worker_id,
        component_revision=component.revision,
        environment_id=worker.environment_id,
        account_id=worker.created_by,
        arguments=worker.arguments,
        environment=identities[0].environment,
        config=worker.config,
        agent=agent,
        agent_config={} if agent is None else agent.config(worker.agent_config),
        clock=runtime.clock,
        oplog=oplog,
        cursor=cursor,
        files=runtime.files / str(oplog.number),
        workers=services,
        services=runtime.services,
        settings=runtime.settings.guest,
        identities=identities,
    )
    incarnation = Incarnation(context, component, runtime)
    incarnation.starts_over = passed_over is not None and status.current_idempotency_key is None

    def live() -> None:
        runtime.metrics.replayed(cursor.position, runtime.clock.monotonic() - began)
        caught_up(cursor.history, context.position)

    try:
        was_live = context.is_live
        if not was_live:
            context.on_live = live
        if snapshot:
            await incarnation.instantiate_from(await snapshots.stored_state(runtime.store, oplog.number, snapshot))
        else:
            await incarnation.instantiate()
        if was_live:
            live()
    except BaseException:
        incarnation.close()
        raise
    return incarnation


def same_value(recorded: Value, result: Value) -> bool:
    """Whether a result of replay is the recorded one.

    What was read back has lists where tuples were, and NaN counts as equal to NaN.
    """
    if isinstance(recorded, list | tuple) and isinstance(result, list | tuple):
        left, right = cast(Sequence[Value], recorded), cast(Sequence[Value], result)
        return len(left) == len(right) and all(map(same_value, left, right))
    if isinstance(recorded, dict) and isinstance(result, dict):
        fields, others = cast(dict[str, Value], recorded), cast(dict[str, Value], result)
        return fields.keys() == others.keys() and all(same_value(fields[name], others[name]) for name in fields)
    return recorded == result or (recorded != recorded and result != result)


def _resource_name(function: str) -> str:
    return function.rpartition("]")[2].partition(".")[0]
