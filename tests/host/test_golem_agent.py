"""golem:agent/host, golem:core/types and the resolving functions: what agents can ask about others and themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from golem_server.durable.directory import ComponentDirectory
from golem_server.durable.signals import GuestError, PermanentFailure
from golem_server.durable.webhooks import WebhookDirectory
from golem_server.host import golem_agent, golem_core, golem_resolve, wasi_cli, wasi_clocks, wasi_io
from golem_server.host.golem_records import uuid_of
from golem_server.model.agent_provisions import config_entries
from golem_server.model.agent_types import agent_types_from_guest
from golem_server.model.component_agents import ComponentAgents, ImplementedAgentType
from golem_server.model.ids import ComponentId, EnvironmentId, OplogIndex, PromiseId, WorkerId
from golem_server.model.principals import uuid_record
from golem_server.model.status import StatusRecord
from golem_server.model.types import OptionType, Primitive, Value, WitType
from golem_server.model.wit_values import type_to_nodes, value_to_nodes
from tests.host.host_worker import ENVIRONMENT_ID, WORKER_ID, HostWorker, MemoryWorkers
from tests.model.agent_strategies import discovered, with_lists

HOST = "golem:agent/host"
API = "golem:api/host"
CORE = "golem:core/types"
SHOP_COMPONENT = ComponentId(UUID(int=0x5409))
PHANTOM = UUID("0192f2a1-6c5e-7b3a-9d2e-0f1e2d3c4b5a")

SHOP = ComponentAgents("golem:agent/guest@1.5.0", agent_types_from_guest(discovered("shop")), {}, takes_principal=True)
INTERFACES = [
    *golem_agent.INTERFACES,
    *golem_core.INTERFACES,
    *golem_resolve.INTERFACES,
    *wasi_cli.INTERFACES,
    *wasi_clocks.INTERFACES,
    *wasi_io.INTERFACES,
]


class Directory:
    """One environment, with the shop in it as long as it is `deployed`."""

    def __init__(self) -> None:
        self.deployed = True

    async def agent_types(self, environment_id: EnvironmentId) -> list[ImplementedAgentType]:
        """The shop's types."""
        assert environment_id == ENVIRONMENT_ID
        return [ImplementedAgentType(type_, SHOP_COMPONENT) for type_ in SHOP.types.values() if self.deployed]

    async def agent_type(self, environment_id: EnvironmentId, name: str) -> ImplementedAgentType | None:
        """One of them."""
        return next((found for found in await self.agent_types(environment_id) if found.type.name == name), None)

    async def component_named(self, environment_id: EnvironmentId, name: str) -> ComponentId | None:
        """The shop."""
        assert environment_id == ENVIRONMENT_ID
        return SHOP_COMPONENT if self.deployed and name == "shop" else None


class OneWorker(MemoryWorkers):
    """One worker exists."""

    async def worker_status(self, worker_id: WorkerId) -> StatusRecord | None:
        """A status for that one."""
        return StatusRecord() if worker_id == WorkerId(SHOP_COMPONENT, "there") else None


async def new_worker(
    tmp_path: Path,
    directory: Directory | None = None,
    agent: str | None = 'TillAgent("books")',
    addresses: Addresses | None = None,
    **facts: Any,
) -> HostWorker:
    """An agent of the shop, or with `agent` None a worker that is none, in an environment that has the directory."""
    services: dict[type[Any], Any] = {
        ComponentDirectory: ComponentDirectory(directory or Directory()),
        WebhookDirectory: WebhookDirectory(addresses or Addresses(None)),
    }
    itself = None if agent is None else SHOP.agent(agent)
    worker = await HostWorker.create(tmp_path, INTERFACES, services=services, agent=itself, **facts)
    worker.workers = worker.context.workers = OneWorker(worker.store)
    return worker


def strings(*values: str) -> Value:
    """A data value of strings."""
    return ("tuple", [("component-model", value_to_nodes(value, Primitive.STRING)) for value in values])


async def test_agent_ids_are_made_of_the_constructors_parameters(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    assert await worker.call(HOST, "make-agent-id", "CartAgent", strings("a b", '"'), None) == (
        "ok",
        'CartAgent("a b","\\"")',
    )
    assert await worker.call(HOST, "make-agent-id", "CartAgent", strings("a", "b"), uuid_record(PHANTOM)) == (
        "ok",
        f'CartAgent("a","b")[{PHANTOM}]',
    )
    assert await worker.call(HOST, "make-agent-id", "NoAgent", strings(), None) == ("err", ("invalid-type", "NoAgent"))
    tag, (case, _) = await worker.call(HOST, "make-agent-id", "CartAgent", strings("a"), None)
    assert (tag, case) == ("err", "invalid-input")
    # What is recorded of the type is no more than the id needs.
    assert "methods" not in (await worker.host_calls())[0].response


async def test_agent_ids_of_the_own_component_can_be_read(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    tag, found = await worker.call(HOST, "parse-agent-id", f'CartAgent( "books", "ann" )[{PHANTOM}]')
    assert tag == "ok"
    assert with_lists(found) == with_lists(("CartAgent", strings("books", "ann"), uuid_record(PHANTOM)))
    for wrong in ('NoAgent("a")', "CartAgent(1,2)", "CartAgent", ""):
        tag, (case, _) = await worker.call(HOST, "parse-agent-id", wrong)
        assert (tag, case) == ("err", "invalid-agent-id")


class GivenValue:
    """A configuration value as a client gives it."""

    def __init__(self, path: str, value: object) -> None:
        self.path = [path]
        self.value = value


async def test_configuration_is_the_agents_own(tmp_path: Path) -> None:
    entries = config_entries(SHOP.types["TillAgent"], [GivenValue("greeting", "Moin")])
    worker = await new_worker(tmp_path, agent_config={tuple(entry.path): entry for entry in entries})

    async def config(path: str, type_: WitType) -> Value:
        return await worker.call(HOST, "get-config-value", [path], type_to_nodes(type_))

    optional = OptionType(Primitive.STRING)
    assert await config("greeting", optional) == value_to_nodes("Moin", optional)
    assert await config("approveUpToCents", OptionType(Primitive.F64)) == value_to_nodes(None, optional)
    assert await config("undeclared", optional) == value_to_nodes(None, optional)
    for path, type_ in [("greeting", Primitive.STRING), ("undeclared", Primitive.STRING)]:
        with pytest.raises(GuestError, match="declared"):
            await config(path, type_)
    assert await worker.host_calls() == []


class Addresses:
    """Where agents of one type are deployed; asks are counted."""

    def __init__(self, type_name: str | None) -> None:
        self._type_name = type_name
        self.asked: list[PromiseId] = []

    async def webhook_address(self, environment_id: EnvironmentId, type_name: str, promise: PromiseId) -> str | None:
        """An address for that type."""
        assert environment_id == ENVIRONMENT_ID
        self.asked.append(promise)
        return f"https://shop.example/webhooks/{promise.oplog_index}" if type_name == self._type_name else None


def promise_of(worker_id: WorkerId) -> Value:
    """A promise, as guests have it."""
    component = {"uuid": uuid_record(worker_id.component_id)}
    return {"agent-id": {"component-id": component, "agent-id": worker_id.name}, "oplog-idx": 3}


async def test_a_webhook_has_an_address_where_the_agent_is_deployed(tmp_path: Path) -> None:
    addresses = Addresses("TillAgent")
    worker = await new_worker(tmp_path, addresses=addresses)
    assert await worker.call(HOST, "create-webhook", promise_of(WORKER_ID)) == "https://shop.example/webhooks/3"
    assert addresses.asked == [PromiseId(WORKER_ID, OplogIndex(3))]
    (call,) = await worker.host_calls()
    assert (call.function, call.response) == ("golem::agent::create_webhook", "https://shop.example/webhooks/3")
    await worker.replay()
    assert await worker.call(HOST, "create-webhook", promise_of(WORKER_ID)) == "https://shop.example/webhooks/3"
    assert len(addresses.asked) == 1


async def test_a_webhook_needs_a_deployment(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    with pytest.raises(GuestError, match="TillAgent is not deployed"):
        await worker.call(HOST, "create-webhook", promise_of(WORKER_ID))
    with pytest.raises(GuestError, match="same component"):
        await worker.call(HOST, "create-webhook", promise_of(WorkerId(ComponentId(UUID(int=1)), "other")))
    assert await worker.host_calls() == []


async def test_uuids_are_read_and_written(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    assert await worker.call(CORE, "parse-uuid", str(PHANTOM)) == ("ok", uuid_record(PHANTOM))
    assert await worker.call(CORE, "uuid-to-string", uuid_record(PHANTOM)) == str(PHANTOM)
    for wrong in ("", "0192f2a1", "x" * 1000):
        assert (await worker.call(CORE, "parse-uuid", wrong))[0] == "err"


async def test_an_agent_knows_its_type_from_its_variables(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    variables = dict(await worker.call("wasi:cli/environment", "get-environment"))
    assert variables["GOLEM_AGENT_TYPE"] == "TillAgent"


async def test_an_ephemeral_agent_waits_in_memory_and_not_for_long(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path, agent='CourierAgent("books")')
    clocks, poll = "wasi:clocks/monotonic-clock", "wasi:io/poll"
    timer = await worker.call(clocks, "subscribe-duration", 30 * 10**9)
    assert await worker.call(poll, "poll", [timer]) == [0]
    timer = await worker.call(clocks, "subscribe-duration", 61 * 10**9)
    with pytest.raises(PermanentFailure, match="Ephemeral sleep too long"):
        await worker.call(poll, "poll", [timer])


async def test_an_agent_sees_its_own_component_as_it_was_built(tmp_path: Path) -> None:
    """Also where a newer revision, or none at all, is deployed in the environment."""
    directory = Directory()
    directory.deployed = False
    worker = await new_worker(tmp_path, directory)
    found = await worker.call(HOST, "get-agent-type", "CartAgent")
    assert uuid_of(found["implemented-by"]["uuid"]) == WORKER_ID.component_id
    tag, name = await worker.call(HOST, "make-agent-id", "CartAgent", strings("books", "ann"), None)
    assert (tag, name) == ("ok", 'CartAgent("books","ann")')
    assert await worker.call(HOST, "get-all-agent-types") == []
