"""The guest of the API's tests: a counter that can also echo, fail, go on for ever, and fall silent."""

from __future__ import annotations

from functools import cache

from wasmtime import wat2wasm

from tests.guests.echo import MEMORY

API = "golem:it/api"

_FUNCTIONS = {
    "increment": "(result u64)",
    "echo-u64": '(param "v" u64) (result u64)',
    "echo-s64": '(param "v" s64) (result s64)',
    "echo-f64": '(param "v" f64) (result f64)',
    "echo-text": '(param "v" string) (result string)',
    "total": '(param "items" (list (tuple u32 f64))) (result u32)',
    "nothing": "",
    "fail": "",
    "spin": "",
}
_IN_MEMORY = "(memory $mem) (realloc $realloc)"
_OPTIONS = {"echo-text": _IN_MEMORY, "total": _IN_MEMORY}

_CORE = """
  (core module $code
    (import "m" "memory" (memory 1))
    (global $count (mut i64) (i64.const 0))
    (func (export "increment") (result i64)
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (global.get $count))
    (func (export "echo-u64") (param i64) (result i64) (local.get 0))
    (func (export "echo-s64") (param i64) (result i64) (local.get 0))
    (func (export "echo-f64") (param f64) (result f64) (local.get 0))
    (func (export "echo-text") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0))
      (i32.store (i32.const 12) (local.get 1))
      (i32.const 8))
    (func (export "total") (param i32 i32) (result i32) (local.get 1))
    (func (export "nothing"))
    (func (export "fail") unreachable)
    (func (export "spin") (loop $for_ever (br $for_ever))))
  (core instance $main (instantiate $code (with "m" (instance $m))))
"""


def function(name: str) -> str:
    """The name by which a function of the guest is invoked."""
    return f"{API}.{{{name}}}"


def guest_text(note: str = "") -> str:
    """The component's text; a different `note` makes a different binary."""
    lifted = "\n".join(
        f'  (func ${name} {signature} (canon lift (core func $main "{name}") {_OPTIONS.get(name, "")}))'
        for name, signature in _FUNCTIONS.items()
    )
    imports = "\n".join(f'    (import "{name}" (func $f-{name} {signature}))' for name, signature in _FUNCTIONS.items())
    exports = "\n".join(f'    (export "{name}" (func $f-{name}))' for name in _FUNCTIONS)
    arguments = " ".join(f'(with "{name}" (func ${name}))' for name in _FUNCTIONS)
    return f"""(component{MEMORY}{_CORE}{lifted}
  (component $api
{imports}
{exports})
  (instance $api_instance (instantiate $api {arguments}))
  (export "{API}" (instance $api_instance))
  (core module $note (data "{note}")))
"""


@cache
def guest(note: str = "") -> bytes:
    """The component."""
    return bytes(wat2wasm(guest_text(note)))
