"""A component that cannot tell its agent types is refused with the reason, in bounded time, whatever it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from blake3 import blake3
from wasmtime import wat2wasm

from golem_server.clock import SystemClock
from golem_server.durable.discovery import AgentDiscovery
from golem_server.durable.host_function import HostFunctions
from golem_server.host.catalog import ALL
from golem_server.host.filesystem_sandbox import FilesystemLimits
from golem_server.model.errors import InvalidInput
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.instance import Limits

GUEST = "golem:agent/guest"


def component(body: str, imports: str = "", core_imports: str = "", given: str = "") -> bytes:
    """A component whose `discover-agent-types` runs `body`, which leaves an address of its result.

    An error is at 16, `invalid-input("no shop")`, an empty list at 32.
    """
    text = f"""(component
      {imports}
      (core module $code
        {core_imports}
        (memory (export "memory") 1)
        (data (i32.const 16) "\\01\\00\\00\\00\\00\\00\\00\\00\\40\\00\\00\\00\\07\\00\\00\\00")
        (data (i32.const 64) "no shop")
        (func (export "discover") (result i32) {body}))
      (core instance $main (instantiate $code {given}))
      (type $error (variant (case "invalid-input" string) (case "invalid-method" string)))
      (export $named "e" (type $error))
      (func $discover (result (result (list u8) (error $named)))
        (canon lift (core func $main "discover") (memory (core memory $main "memory"))))
      (component $guest
        (import "error" (type $e (eq $error)))
        (import "discover" (func $f (result (result (list u8) (error $e)))))
        (export $x "agent-error" (type $e))
        (export "discover-agent-types" (func $f)))
      (instance $exported (instantiate $guest (with "error" (type $named)) (with "discover" (func $discover))))
      (export "{GUEST}" (instance $exported)))"""
    return bytes(wat2wasm(text))


CALLING = {
    "imports": '(import "golem:api/host@1.5.0" (instance $host (export "get-oplog-index" (func (result u64)))))'
    '(core func $index (canon lower (func $host "get-oplog-index")))',
    "core_imports": '(import "host" "index" (func $index (result i64)))',
    "given": '(with "host" (instance (export "index" (func $index))))',
}


ONE_BYTE = "(i32.store (i32.const 48) (i32.const 64)) (i32.store (i32.const 52) (i32.const 1)) (i32.const 44)"
"""Returns a list with a byte in it, where agent types should be."""


@pytest.fixture
async def discovery(tmp_path: Path) -> AsyncIterator[AgentDiscovery]:
    """Asks components, and does not wait long."""
    engine = Engine()
    code = CodeCache(engine, tmp_path)
    services = {FilesystemLimits: FilesystemLimits()}
    yield AgentDiscovery(engine, code, HostFunctions(ALL), SystemClock(), Limits(), services=services, seconds=0.5)
    code.close()
    engine.close()


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (component("(i32.const 16)"), "Invalid input: no shop"),
        (component("unreachable"), "unreachable"),
        (component("(loop $ever (br $ever)) (i32.const 16)"), "longer than 0.5 s"),
        (component("(drop (call $index)) (i32.const 16)", **CALLING), "get-oplog-index} cannot be called"),
        (component("(memory.grow (i32.const 60000)) (drop) (i32.const 16)"), "no shop"),
        (component(ONE_BYTE), "agent types are not those of golem:agent/guest"),
    ],
    ids=["error", "trap", "loop", "host call", "memory", "other types"],
)
async def test_the_reason_is_told(discovery: AgentDiscovery, wasm: bytes, reason: str) -> None:
    async def fetch() -> bytes:
        return wasm

    with pytest.raises(InvalidInput) as refused:
        await discovery.discover(blake3(wasm).hexdigest(), GUEST, fetch)
    assert reason in refused.value.message


async def test_a_component_may_have_no_agent_types(discovery: AgentDiscovery) -> None:
    wasm = component("(i32.const 32)")

    async def fetch() -> bytes:
        return wasm

    assert await discovery.discover(blake3(wasm).hexdigest(), GUEST, fetch) == []
