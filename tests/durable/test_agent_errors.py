"""An agent that answers with an error of its own has failed, and keeps the error for those that call it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from golem_server.model.agent_types import agent_types_from_guest
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.errors import InvocationFailed, PreviousInvocationFailed
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Error, Invocation, decode_entry, encode_entry
from golem_server.model.principals import ANONYMOUS
from golem_server.model.types import Value
from golem_server.model.workers import WorkerStatus
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.world import World
from tests.host.memory_store import MemoryOplogStore
from tests.model.agent_strategies import discovered

TYPE = discovered("counter")[0]
TYPE["constructor"]["input-schema"] = ("tuple", [])
AGENTS = ComponentAgents("golem:agent/guest", agent_types_from_guest([TYPE]), {}, takes_principal=False)
AGENT = AGENTS.agent("CounterAgent()")
OK, REFUSED, LARGE = 32, 16, 48


def guest(initialized: int, invoked: int) -> str:
    """A component whose constructor and method give what is at these addresses."""
    functions = "".join(
        f"""
      (func ${name} (param "name" string) (param "input" $data) (result (result (error $named)))
        (canon lift (core func $main "{name}") (memory (core memory $main "memory"))
          (realloc (core func $main "realloc"))))"""
        for name in ("initialize", "invoke")
    )
    type_ = '(param "name" string) (param "input" $v) (result (result (error $e)))'
    return f"""(component
      (core module $code
        (memory (export "memory") 4)
        (data (i32.const {REFUSED}) "\\01\\00\\00\\00\\00\\00\\00\\00\\40\\00\\00\\00\\07\\00\\00\\00")
        (data (i32.const {LARGE}) "\\01\\00\\00\\00\\00\\00\\00\\00\\40\\00\\00\\00\\00\\00\\02\\00")
        (data (i32.const 64) "too low")
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 196608))
        (func (export "initialize") (param i32 i32 i32 i32 i32) (result i32) (i32.const {initialized}))
        (func (export "invoke") (param i32 i32 i32 i32 i32) (result i32) (i32.const {invoked})))
      (core instance $main (instantiate $code))
      (type $value (variant (case "tuple" (list u8)) (case "multimodal" (list u8))))
      (type $error (variant (case "invalid-input" string) (case "invalid-method" string)))
      (export $named "e" (type $error))
      (export $data "d" (type $value))
      {functions}
      (component $guest
        (import "error" (type $e (eq $error)))
        (import "value" (type $v (eq $value)))
        (import "initialize" (func $f {type_}))
        (import "invoke" (func $g {type_}))
        (export $x "agent-error" (type $e))
        (export $y "data-value" (type $v))
        (export "initialize" (func $f))
        (export "invoke" (func $g)))
      (instance $exported (instantiate $guest (with "error" (type $named)) (with "value" (type $data))
        (with "initialize" (func $initialize)) (with "invoke" (func $invoke))))
      (export "golem:agent/guest" (instance $exported)))"""


@pytest.fixture
async def world(code: tuple[Engine, CodeCache], tmp_path: Path) -> AsyncIterator[World]:
    """A world in memory."""
    store = MemoryOplogStore()
    async with World(store, MemoryPromiseStore(store), tmp_path, code=code) as opened:
        yield opened


def increment(key: str) -> Invocation:
    return AGENT.call("increment", ("tuple", []), ANONYMOUS, key)


@pytest.mark.parametrize(("initialized", "invoked"), [(OK, REFUSED), (REFUSED, OK)], ids=["method", "constructor"])
async def test_callers_get_the_error_also_after_a_crash(world: World, initialized: int, invoked: int) -> None:
    component = await world.component(guest(initialized, invoked), agents=AGENTS)
    agent = WorkerId(component, AGENT.name)
    # The first caller of a failing constructor comes when it has failed.
    with pytest.raises((InvocationFailed, PreviousInvocationFailed)) as failed:
        await world.executor.invoke_and_await(agent, increment("k"))
    error: Value = ("invalid-input", "too low")
    assert (failed.value.cause, failed.value.agent_error) == ("Invalid input: too low", error)
    await world.until(agent, WorkerStatus.FAILED)
    assert [entry.agent_error for entry in await world.entries(agent) if isinstance(entry, Error)] == [list(error)]
    for key in ("k", "another"):
        with pytest.raises(PreviousInvocationFailed) as refused:
            await world.executor.invoke_and_await(agent, increment(key))
        assert tuple(refused.value.agent_error) == error
        await world.crash()
    assert await world.status(agent) is WorkerStatus.FAILED


async def test_of_a_large_error_the_text_is_kept(world: World) -> None:
    agent = WorkerId(await world.component(guest(OK, LARGE), agents=AGENTS), AGENT.name)
    with pytest.raises(InvocationFailed) as failed:
        await world.executor.invoke_and_await(agent, increment("k"))
    assert failed.value.cause.startswith("Invalid input: too low")
    assert failed.value.agent_error is None


def test_entries_from_before_errors_were_kept_are_read() -> None:
    entry = Error(timestamp=1, error_kind=6, message="no", retry_from=2, agent_error=("invalid-input", "no"))
    encoded = encode_entry(entry)
    fields = msgspec.msgpack.decode(encoded.data)
    assert fields[-2:] == [1, ["invalid-input", "no"]]
    older = msgspec.msgpack.encode(fields[:-1])
    assert decode_entry(encoded.kind, older) == msgspec.structs.replace(entry, agent_error=None)
