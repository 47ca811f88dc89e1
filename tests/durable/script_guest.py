"""A guest that does what the test says: its argument is a script of host calls, and its state a hash of their answers.

    result = await world.call(worker, RUN, script("now", "random", ("effect", 3), "key"))

Each step is a name or a pair of name and argument (0..255). Whatever a step learns from the host is mixed into a
hash that stays in linear memory over all invocations; `run` returns it. So two lives of a worker agree in one number
exactly if they agree in everything that they were told.

Steps that reach outside go to `Outside`, which the test holds: it counts effects, opens gates, plans failures.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache

import wasmtime

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.model.oplog import Category
from tests.guests.core_text import WRITING
from tests.guests.echo import MEMORY
from tests.guests.imports import (
    CORE_TYPES,
    ERROR,
    EXIT,
    FILESYSTEM,
    GOLEM_HOST,
    MONOTONIC_CLOCK,
    POLL,
    PREOPENS,
    RANDOM,
    STDERR,
    STDOUT,
    STREAMS,
    WALL_CLOCK,
    Interface,
)

RUN = "golem:it/script.{run}"
HASH = "golem:it/script.{hash}"
VERSION = "golem:it/script.{version}"

STEPS = [
    "now",
    "random",
    "print",
    "warn",
    "effect",
    "gate",
    "answer",
    "begin",
    "end",
    "mark",
    "jump",
    "nothing",
    "smart",
    "repeatable",
    "once",
    "key",
    "trap",
    "exit",
    "sleep",
    "promise",
    "await",
    "spin",
    "retry",
    "file",
    "variable",
    "fork",
    "copy",
    "update",
    "save",
    "revert",
]
"""What a script can do, in the order of the numbers that the guest knows them by.

- `now`, `random`, `key` (generate-idempotency-key), `variable` (one that Golem gives): something to learn;
- `print n`, `warn n`: a line on standard output or error; `file n`: a line at the end of a file, its size is learnt;
- `effect n`: a remote write; `gate n`: a remote read that waits until the gate is open; `answer n`: a remote read that
  gives, or raises, what the test planned;
- `begin`, `end`: an atomic region; `mark`: remember the oplog index; `jump n`: go back there if `answer n` is not 0;
- `nothing`, `smart`: the persistence level; `repeatable`, `once`: the idempotence mode;
- `sleep n`: n tenths of a second; `promise`: create one; `await`: wait for it and learn its data;
- `fork`: copy itself, and learn which of the two it is and the copy's id; `copy n`: the same under the name `copy-n`,
  as golem:api 1.1 has it; after `promise`, which tells it who it is: `update n` and `save n`, itself to revision n,
  automatically and by snapshot; `revert n`: its own last n invocations;
- `trap`, `exit`; `spin`: compute for ever; `retry n`: set a retry policy of n attempts and 1 ms.
"""


def script(*steps: str | tuple[str, int]) -> bytes:
    """The argument of `run`."""
    written = bytearray()
    for step in steps:
        name, argument = (step, 0) if isinstance(step, str) else step
        written += bytes((STEPS.index(name), argument))
    return bytes(written)


@dataclass
class Outside:
    """The world outside of the server, which no crash touches."""

    effects: Counter[int] = field(default_factory=Counter[int])
    """How often each effect happened."""
    keys: dict[int, list[str]] = field(default_factory=lambda: defaultdict[int, list[str]](list))
    """The idempotency keys that came with each effect."""
    silent: set[int] = field(default_factory=set[int])
    """Effects whose answer never arrives."""
    answers: dict[int, list[int | Exception]] = field(default_factory=dict[int, "list[int | Exception]"])
    """What `answer n` gives, one after the other; the last stays, and nothing planned is 0."""
    asked: Counter[int] = field(default_factory=Counter[int])
    _gates: dict[int, asyncio.Event] = field(default_factory=lambda: defaultdict[int, asyncio.Event](asyncio.Event))
    _reached: asyncio.Condition = field(default_factory=asyncio.Condition)
    _at: Counter[str] = field(default_factory=Counter[str])

    def open(self, gate: int) -> None:
        """Let everybody pass who waits at the gate or comes later."""
        self._gates[gate].set()

    async def until(self, place: str, times: int = 1) -> None:
        """Wait until a guest has come to a place, `gate 1` or `effect 2`, so many times in all."""
        async with asyncio.timeout(20), self._reached:
            await self._reached.wait_for(lambda: self._at[place] >= times)

    async def reached(self, place: str) -> None:
        """A guest is here."""
        self._at[place] += 1
        async with self._reached:
            self._reached.notify_all()

    async def gate(self, gate: int) -> int:
        """Wait at a gate."""
        await self.reached(f"gate {gate}")
        await self._gates[gate].wait()
        return gate


outside = HostInterface("test:world/outside")


@outside.recorded("effect", Category.WRITE_REMOTE, "test::effect")
async def effect(context: WorkerContext, number: int) -> int:
    """Something happens that cannot be undone."""
    world = context.service(Outside)
    world.effects[number] += 1
    world.keys[number].append(str(context.derive_idempotency_key()))
    await world.reached(f"effect {number}")
    if number in world.silent:
        await asyncio.Event().wait()
    return number


@outside.recorded("gate", Category.READ_REMOTE, "test::gate")
async def gate(context: WorkerContext, number: int) -> int:
    """A long answer."""
    return await context.service(Outside).gate(number)


@outside.recorded("answer", Category.READ_REMOTE, "test::answer")
def answer(context: WorkerContext, number: int) -> int:
    """What the test planned."""
    world = context.service(Outside)
    planned = world.answers.get(number, [0])
    told = planned.pop(0) if len(planned) > 1 else planned[0]
    world.asked[number] += 1
    if isinstance(told, Exception):
        raise told
    return told


_OUTSIDE = Interface(
    "outside",
    "test:world/outside",
    "",
    {},
    dict.fromkeys(("effect", "gate", "answer"), ('(param "number" u32) (result u32)', "(param i32) (result i32)")),
)
_OLD_HOST = Interface(
    "old-host",
    "golem:api/host",
    "1.1.6",
    {
        "retry-policy": '(record (field "max-attempts" u32) (field "min-delay" u64) (field "max-delay" u64) '
        '(field "multiplier" f64) (field "max-jitter-factor" (option f64)))',
        "fork-result": '(enum "original" "forked")',
    },
    {
        "set-retry-policy": ('(param "new-retry-policy" $retry-policy)', "(param i32 i64 i64 f64 i32 f64)"),
        "fork": ('(param "new-name" string) (result $fork-result)', "(param i32 i32) (result i32)"),
    },
)
_ENVIRONMENT = Interface(
    "environment",
    "wasi:cli/environment",
    "0.2.3",
    {},
    {"get-environment": ("(result (list (tuple string string)))", "(param i32)")},
)

_CALLS: tuple[tuple[Interface, str], ...] = (
    (ERROR, ""),
    (POLL, "[method]pollable.block"),
    (STREAMS, "[method]output-stream.blocking-write-and-flush"),
    (STDOUT, "get-stdout"),
    (STDERR, "get-stderr"),
    (EXIT, "exit"),
    (WALL_CLOCK, "now"),
    (MONOTONIC_CLOCK, "subscribe-duration"),
    (RANDOM, "get-random-u64"),
    (FILESYSTEM, "[method]descriptor.append-via-stream [method]descriptor.stat-at [method]descriptor.open-at"),
    (PREOPENS, "get-directories"),
    (_ENVIRONMENT, "get-environment"),
    (CORE_TYPES, ""),
    (
        GOLEM_HOST,
        "create-promise get-promise [method]get-promise-result.subscribe [method]get-promise-result.get "
        "get-oplog-index set-oplog-index mark-begin-operation mark-end-operation set-oplog-persistence-level "
        "set-idempotence-mode generate-idempotency-key update-agent revert-agent fork",
    ),
    (_OLD_HOST, "set-retry-policy fork"),
    (_OUTSIDE, "effect gate answer"),
)
_DROPS = ("pollable", "output-stream", "descriptor", "get-promise-result")

_ITSELF = "(i64.load (i32.const 4000)) (i64.load (i32.const 4008)) (i32.const 4096) (i32.load (i32.const 4020))"
"""The worker's id, which `promise` keeps."""

_BODIES = {
    "now": "(call $wall-clock.now (i32.const 16)) (call $mix (i64.load (i32.const 16))) "
    "(call $mix (i64.load32_u (i32.const 24)))",
    "random": "(call $mix (call $random.get-random-u64))",
    "print": "(call $line (call $stdout.get-stdout) (local.get $x))",
    "warn": "(call $line (call $stderr.get-stderr) (local.get $x))",
    "effect": "(call $mix (i64.extend_i32_u (call $outside.effect (local.get $x))))",
    "gate": "(call $mix (i64.extend_i32_u (call $outside.gate (local.get $x))))",
    "answer": "(call $mix (i64.extend_i32_u (call $outside.answer (local.get $x))))",
    "begin": "(i64.store (global.get $region) (call $host.mark-begin-operation)) "
    "(global.set $region (i32.add (global.get $region) (i32.const 8)))",
    "end": "(global.set $region (i32.sub (global.get $region) (i32.const 8))) "
    "(call $host.mark-end-operation (i64.load (global.get $region)))",
    "mark": "(global.set $mark (call $host.get-oplog-index))",
    "jump": "(if (call $outside.answer (local.get $x)) (then (call $host.set-oplog-index (global.get $mark))))",
    "nothing": "(call $host.set-oplog-persistence-level (i32.const 0))",
    "smart": "(call $host.set-oplog-persistence-level (i32.const 2))",
    "repeatable": "(call $host.set-idempotence-mode (i32.const 1))",
    "once": "(call $host.set-idempotence-mode (i32.const 0))",
    "key": "(call $host.generate-idempotency-key (i32.const 16)) "
    "(call $mix (i64.load (i32.const 16))) (call $mix (i64.load (i32.const 24)))",
    "trap": "unreachable",
    "exit": "(call $exit.exit (i32.const 0))",
    "sleep": """(local.set $handle (call $monotonic-clock.subscribe-duration
          (i64.mul (i64.extend_i32_u (local.get $x)) (i64.const 100000000))))
        (call $pollable.block (local.get $handle)) (call $pollable.drop (local.get $handle))""",
    # The name's address is given again by `await`, where the name of the worker has been kept.
    "promise": """(call $host.create-promise (i32.const 16))
        (memory.copy (i32.const 4096) (i32.load (i32.const 32)) (i32.load (i32.const 36)))
        (memory.copy (i32.const 4000) (i32.const 16) (i32.const 40))
        (call $mix (i64.load (i32.const 40)))""",
    "await": """(local.set $result (call $host.get-promise
          (i64.load (i32.const 4000)) (i64.load (i32.const 4008)) (i32.const 4096) (i32.load (i32.const 4020))
          (i64.load (i32.const 4024))))
        (local.set $handle (call $get-promise-result.subscribe (local.get $result)))
        (call $pollable.block (local.get $handle)) (call $pollable.drop (local.get $handle))
        (call $get-promise-result.get (local.get $result) (i32.const 16))
        (call $get-promise-result.drop (local.get $result))
        (if (i32.eqz (i32.load8_u (i32.const 16))) (then unreachable))
        (call $mix-bytes (i32.load (i32.const 20)) (i32.load (i32.const 24)))""",
    "spin": "(loop $for-ever (br $for-ever))",
    "retry": "(call $old-host.set-retry-policy (local.get $x) (i64.const 1000000) (i64.const 1000000) (f64.const 1) "
    "(i32.const 0) (f64.const 0))",
    "file": "(call $append (local.get $x))",
    "fork": """(call $host.fork (i32.const 16)) (call $mix (i64.load8_u (i32.const 16)))
        (call $mix (i64.load (i32.const 24))) (call $mix (i64.load (i32.const 32)))""",
    "copy": """(i32.store8 (i32.const 1077) (i32.add (local.get $x) (i32.const 48)))
        (call $mix (i64.extend_i32_u (call $old-host.fork (i32.const 1072) (i32.const 6))))""",
    "update": f"(call $host.update-agent {_ITSELF} (i64.extend_i32_u (local.get $x)) (i32.const 0))",
    "save": f"(call $host.update-agent {_ITSELF} (i64.extend_i32_u (local.get $x)) (i32.const 1))",
    "revert": f"(call $host.revert-agent {_ITSELF} (i32.const 1) (i64.extend_i32_u (local.get $x)))",
    "variable": "(call $environment.get-environment (i32.const 16)) (call $mix-pairs)",
}

_CORE = """
  (data (i32.const 1024) "lines")
  (data (i32.const 1072) "copy-0")
  (global $hash (mut i64) (i64.const {seed}))
  (global $mark (mut i64) (i64.const 0))
  (global $region (mut i32) (i32.const 2048))

  (func $mix (param $value i64)
    (global.set $hash (i64.mul (i64.xor (global.get $hash) (local.get $value)) (i64.const 0x100000001b3))))
  (func $mix-bytes (param $at i32) (param $length i32)
    (call $mix (i64.extend_i32_u (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $length)))
        (call $mix (i64.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $next))))
  (func $mix-pairs (local $at i32) (local $left i32)
    (local.set $at (i32.load (i32.const 16)))
    (local.set $left (i32.load (i32.const 20)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $mix-bytes (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
        (call $mix-bytes (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))))
  (func $line (param $stream i32) (param $x i32) (local $end i32)
    (local.set $end (call $decimal (i64.extend_i32_u (local.get $x)) (i32.const 512)))
    (i32.store8 (local.get $end) (i32.const 10))
    (call $write-and-drop (local.get $stream) (i32.const 512) (i32.sub (local.get $end) (i32.const 511))))
  (func $append (param $x i32) (local $root i32) (local $file i32) (local $end i32)
    (call $preopens.get-directories (i32.const 16))
    (local.set $root (i32.load (i32.load (i32.const 16))))
    (if (i32.gt_u (i32.load (i32.const 20)) (i32.const 1))
      (then (call $descriptor.drop (i32.load offset=12 (i32.load (i32.const 16))))))
    (call $descriptor.open-at
      (local.get $root) (i32.const 0) (i32.const 1024) (i32.const 5) (i32.const 1) (i32.const 3) (i32.const 16))
    (call $expect-ok)
    (local.set $file (i32.load (i32.const 20)))
    (call $descriptor.append-via-stream (local.get $file) (i32.const 16))
    (call $expect-ok)
    (call $line (i32.load (i32.const 20)) (local.get $x))
    (call $descriptor.stat-at (local.get $root) (i32.const 0) (i32.const 1024) (i32.const 5) (i32.const 16))
    (call $expect-ok)
    (call $mix (i64.load (i32.const 40)))
    (call $descriptor.drop (local.get $file))
    (call $descriptor.drop (local.get $root)))

  (func (export "hash") (result i64) (global.get $hash))
  (func (export "run") (param $at i32) (param $length i32) (result i64)
    (local $end i32) (local $step i32) (local $x i32) (local $handle i32) (local $result i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $step (i32.load8_u (local.get $at)))
        (local.set $x (i32.load8_u offset=1 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (call $mix (i64.extend_i32_u (local.get $step)))
        {steps}
        (br $next)))
    (call $free-all)
    (global.get $hash))
"""


@dataclass(frozen=True)
class Revision:
    """How a revision of the guest differs. Its state is the hash, and that is what a snapshot holds.

    `seed` not 0 makes everything come out differently. `saves` and `loads` are the shape of the exports, `bytes` or
    `record`, with `trap` or `refuse` behind it where they fail. Saving learns something random and prints.
    """

    number: int = 0
    seed: int = 0
    has_hash: bool = True
    saves: str | None = None
    loads: str | None = None


_OPTIONS = "(memory (core memory $mem)) (realloc (core func $realloc))"


def _snapshot_core(revision: Revision) -> str:
    saves, loads = revision.saves or "", revision.loads or ""
    parameters = "(param i32 i32 i32 i32)" if loads.startswith("record") else "(param i32 i32)"
    return f"""
      (data (i32.const 1040) "application/hash")
      (data (i32.const 1060) "not this one")
      (func (export "version") (result i32) (i32.const {revision.number}))
      (func (export "save") (result i32)
        {"unreachable" if saves.endswith("trap") else ""}
        (drop (call $random.get-random-u64))
        (call $line (call $stdout.get-stdout) (i32.const 99))
        (i64.store (i32.const 3000) (global.get $hash))
        (i32.store (i32.const 3008) (i32.const 3000)) (i32.store (i32.const 3012) (i32.const 8))
        (i32.store (i32.const 3016) (i32.const 1040)) (i32.store (i32.const 3020) (i32.const 16))
        (call $free-all)
        (i32.const 3008))
      (func (export "load") {parameters} (result i32)
        {"unreachable" if loads.endswith("trap") else ""}
        (drop (call $random.get-random-u64))
        (global.set $hash (i64.load (local.get 0)))
        (i32.store8 (i32.const 3024) (i32.const {int(loads.endswith("refuse"))}))
        (i32.store (i32.const 3028) (i32.const 1060)) (i32.store (i32.const 3032) (i32.const 12))
        (call $free-all)
        (i32.const 3024))"""


def _snapshot_exports(revision: Revision) -> str:
    parts = ['(type $snapshot (record (field "payload" (list u8)) (field "mime-type" string)))']
    for direction, shape in (("save", revision.saves), ("load", revision.loads)):
        if shape is None:
            continue
        record = shape.startswith("record")
        type = "$snapshot" if record else "(list u8)"
        exported = '(export "snapshot" (type $snapshot)) ' if record else ""
        version = "1.5.0" if record else "1.1.0"
        signature = f"(result {type})" if direction == "save" else f'(param "state" {type}) (result $outcome)'
        parts.append(
            f"""(func ${direction} {signature} (canon lift (core func $i "{direction}") {_OPTIONS}))
            (instance ${direction}-snapshot {exported}(export "{direction}" (func ${direction})))
            (export "golem:api/{direction}-snapshot@{version}" (instance ${direction}-snapshot))"""
        )
    return "(type $outcome (result (error string)))\n" + "\n".join(parts)


@cache
def script_guest(revision: Revision = Revision()) -> bytes:
    """The component's binary."""
    declarations: list[str] = []
    lowered: list[str] = []
    names: dict[str, str] = {}
    for interface, functions in _CALLS:
        called = functions.split()
        declarations.append(interface.declaration(called))
        for function in called:
            label = function.rpartition("]")[2] if "]" in function else f"{interface.name}.{function}"
            names[label] = interface.functions[function][1]
            lowered.append(
                f'(core func ${label} (canon lower (func ${interface.name} "{function}") (memory (core memory $mem)) '
                "(realloc (core func $realloc))))"
            )
        for resource in _DROPS:
            if interface.types.get(resource) == "resource":
                names[f"{resource}.drop"] = "(param i32)"
                lowered.append(f"(core func ${resource}.drop (canon resource.drop ${interface.name}.{resource}))")
    imports = "\n".join(f'(import "host" "{name}" (func ${name} {core}))' for name, core in names.items())
    exports = " ".join(f'(export "{name}" (func ${name}))' for name in names)
    steps = "\n".join(
        f"(if (i32.eq (local.get $step) (i32.const {number})) (then {_BODIES[name]}))"
        for number, name in enumerate(STEPS)
    )
    text = f"""(component $guest
      {"".join(declarations)}
      {MEMORY}
      {"".join(lowered)}
      (core module $module
        {imports}
        (import "memory" "memory" (memory 2))
        (import "memory" "free-all" (func $free-all))
        {WRITING}
        {_CORE.replace("{steps}", steps).replace("{seed}", str(0xCBF29CE484222325 ^ revision.seed))}
        {_snapshot_core(revision)})
      (core instance $host {exports})
      (core instance $i (instantiate $module (with "host" (instance $host)) (with "memory" (instance $m))))
      (func $run (param "script" (list u8)) (result u64)
        (canon lift (core func $i "run") (memory (core memory $mem)) (realloc (core func $realloc))))
      (func $hash (result u64) (canon lift (core func $i "hash")))
      (func $version (result u32) (canon lift (core func $i "version")))
      (instance $exported
        (export "run" (func $run)) {'(export "hash" (func $hash))' if revision.has_hash else ""}
        (export "version" (func $version)))
      (export "golem:it/script" (instance $exported))
      {_snapshot_exports(revision)})"""
    return bytes(wasmtime.wat2wasm(text))
