"""What host functions are told about a worker and its surroundings, before anything of its oplog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar
from uuid import UUID

from golem_server.clock import Clock
from golem_server.durable.resources import ResourceTable
from golem_server.durable.worker_services import WorkerServices
from golem_server.model.agent_provisions import ConfigPath
from golem_server.model.component_agents import Agent
from golem_server.model.errors import InternalBug
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.ids import WorkerId
from golem_server.model.initial_files import InitialFile
from golem_server.model.oplog import ConfigEntry, RetryPolicy

ServiceT = TypeVar("ServiceT")


@dataclass(frozen=True, slots=True)
class GuestSettings:
    """How guests are treated. Durations in seconds.

    `longest_ephemeral_wait`: how long an ephemeral agent, which never leaves memory in the middle of an invocation,
    may wait for timers and promises. `golem_variables`: what new workers find in their environment.
    """

    suspend_after: float = 10.0
    longest_ephemeral_wait: float = 60.0
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    golem_variables: GolemVariables = GolemVariables.BY_COMPONENT


class Facts(TypedDict):
    """The arguments of `GuestFacts`."""

    worker_id: WorkerId
    component_revision: int
    environment_id: UUID
    account_id: UUID
    arguments: list[str]
    environment: dict[str, str]
    config: dict[str, str]
    clock: Clock
    files: Path
    workers: WorkerServices
    services: Mapping[type[Any], Any]
    settings: GuestSettings
    golem_variables: NotRequired[GolemVariables]
    agent: NotRequired[Agent | None]
    agent_config: NotRequired[Mapping[ConfigPath, ConfigEntry]]


class GuestFacts:
    """The part of a worker's context that replay does not concern.

    - `worker_id`, `environment_id`, `account_id`, `arguments`, `config`: facts about the worker; `config` holds its
      configuration variables;
    - `name`, `component_revision`, `environment`, `golem_variables`: what the guest may see of itself, in replay as
      it was then; `environment` holds the guest's variables as given at creation and by the component, without Golem's
      own, and `golem_variables` says which are those;
    - `agent`, `agent_config`: for an agent, what its name says and its type, and its configuration by path;
    - `clock`: the only time;
    - `resources`: what the guest's handles stand for;
    - `files`: the worker's folder, with no more than `initial_files` at each start (replay writes it again);
      `exchange_files` puts others in their place, once there is a folder, and `on_files_changed` are told;
    - `workers`: promises and other workers;
    - `local`: state of host modules, by a key of theirs, gone with the instance.
    """

    def __init__(
        self,
        *,
        worker_id: WorkerId,
        component_revision: int,
        environment_id: UUID,
        account_id: UUID,
        arguments: list[str],
        environment: dict[str, str],
        config: dict[str, str],
        clock: Clock,
        files: Path,
        workers: WorkerServices,
        services: Mapping[type[Any], Any],
        settings: GuestSettings,
        golem_variables: GolemVariables = GolemVariables.GOLEM_1_4,
        agent: Agent | None = None,
        agent_config: Mapping[ConfigPath, ConfigEntry] | None = None,
    ) -> None:
        self.worker_id = worker_id
        self.name = worker_id.name
        self.component_revision = component_revision
        self.environment_id = environment_id
        self.account_id = account_id
        self.arguments = arguments
        self.environment = environment
        self.golem_variables = golem_variables
        self.config = config
        self.clock = clock
        self.files = files
        self.workers = workers
        self.settings = settings
        self.agent = agent
        self.agent_config = agent_config or {}
        self.resources = ResourceTable()
        self.local: dict[Any, Any] = {}
        self.initial_files: tuple[InitialFile, ...] = ()
        self.exchange_files: Callable[[Sequence[InitialFile], Sequence[InitialFile]], None] | None = None
        self.on_files_changed: list[Callable[[], None]] = []
        self._services = services

    def service(self, kind: type[ServiceT]) -> ServiceT:
        """A service that app.py gave to all workers, by its class."""
        found = self._services.get(kind)
        if not isinstance(found, kind):
            raise InternalBug(f"no service {kind.__name__} was given to the workers")
        return found

    def files_changed(self, before: Sequence[InitialFile], after: Sequence[InitialFile]) -> None:
        """The worker goes over to another revision, whose initial files it has from here on."""
        if self.exchange_files is not None:
            self.exchange_files(before, after)
            for changed in self.on_files_changed:
                changed()

    def resource_dropped(self, number: int) -> None:
        """The guest dropped the handle of a host resource (called by the wasm room)."""
        self.resources.drop(number)

    def now_ms(self) -> int:
        """The time for an oplog entry."""
        return self.clock.now_ns() // 1_000_000

    def close(self) -> None:
        """Give up whatever the instance holds outside, because the instance is given up."""
        self.resources.close()
