"""What every worker of a server shares: stores, the engine's linker, the clock, settings. Built once by app.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from golem_server.clock import Clock
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.initial_files import InitialFiles
from golem_server.durable.plugin_delivery import DeliverySettings, ProcessorCaller
from golem_server.durable.ports import (
    ComponentSource,
    DeliveryStore,
    OplogStore,
    PromiseStore,
    ScheduleStore,
    WorkerComponent,
)
from golem_server.durable.virtual_functions import VirtualFunction
from golem_server.model.trace import RandomIds
from golem_server.telemetry import Metrics
from golem_server.wasm.instance import Limits
from golem_server.wasm.linking import LinkedComponent


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Limits of the executor. Sizes in bytes, durations in seconds.

    `memory_budget`: resident memory of the process above which idle workers are unloaded. `first_commit_after`: how
    long an invocation may run before what it did so far is made durable. `recovery_parallelism`: workers that are
    replayed at the same time after a start. `store_retry`: pause between attempts to recover workers that lost the
    store. `keep_ephemeral_ms`: milliseconds for which an ephemeral worker's oplog can be read when it has ended.
    """

    memory_budget: int = 4 << 30
    first_commit_after: float = 0.005
    max_pending_invocations: int = 1000
    recovery_parallelism: int = 4
    scheduler_interval: float = 2.0
    store_retry: float = 1.0
    keep_ephemeral_ms: int = 24 * 3_600_000
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    guest: GuestSettings = field(default_factory=GuestSettings)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The executor's surroundings.

    `link` gives a component's compiled and linked form, cached; `virtual_functions` are the functions that the server
    adds to components, by their names. Without `deliveries` and `processor_caller` no oplogs are told to plugins.
    """

    store: OplogStore
    promises: PromiseStore
    schedule: ScheduleStore
    components: ComponentSource
    link: Callable[[WorkerComponent], Awaitable[LinkedComponent]]
    clock: Clock
    files: Path
    services: Mapping[type[Any], Any]
    limits: Limits
    settings: ExecutorSettings
    metrics: Metrics
    initial_files: InitialFiles
    deliveries: DeliveryStore | None = None
    processor_caller: ProcessorCaller | None = None
    ids: RandomIds = field(default_factory=RandomIds)
    virtual_functions: Mapping[str, VirtualFunction] = field(default_factory=dict[str, VirtualFunction])
