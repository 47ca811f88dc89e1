"""A guest to update, revert and copy: a hash of random numbers that it can save and load.

interface golem:it/changing {
    step: func() -> u64        draws a random number into the hash, and gives the hash
    state: func() -> u64       the hash
    version: func() -> u32     the revision's number
}
"""

from __future__ import annotations

import wasmtime


def changing_guest(revision: int, *, steps: bool = True, version: str = "u32") -> bytes:
    """The component's binary; all revisions agree in everything but their number.

    Without `steps` it has no function `step`; `version` is another type of what the function of that name gives.
    """
    step = '(export "step" (func $step))' if steps else ""
    return bytes(
        wasmtime.wat2wasm(
            f"""(component
      (import "wasi:random/random@0.2.3" (instance $random (export "get-random-u64" (func (result u64)))))
      (core func $draw (canon lower (func $random "get-random-u64")))
      (core module $module
        (import "host" "draw" (func $draw (result i64)))
        (memory (export "memory") 1)
        (global $hash (mut i64) (i64.const 0xcbf29ce4))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "step") (result i64)
          (global.set $hash (i64.mul (i64.xor (global.get $hash) (call $draw)) (i64.const 0x100000001b3)))
          (global.get $hash))
        (func (export "state") (result i64) (global.get $hash))
        (func (export "version") (result i32) (i32.const {revision}))
        (func (export "save") (result i32)
          (i64.store (i32.const 16) (global.get $hash))
          (i32.store (i32.const 32) (i32.const 16))
          (i32.store (i32.const 36) (i32.const 8))
          (i32.const 32))
        (func (export "load") (param $at i32) (param $length i32) (result i32)
          (global.set $hash (i64.load (local.get $at)))
          (i32.store8 (i32.const 48) (i32.const 0))
          (i32.const 48)))
      (core instance $host (export "draw" (func $draw)))
      (core instance $i (instantiate $module (with "host" (instance $host))))
      (alias core export $i "memory" (core memory $memory))
      (alias core export $i "realloc" (core func $realloc))
      (func $step (result u64) (canon lift (core func $i "step")))
      (func $state (result u64) (canon lift (core func $i "state")))
      (func $version (result {version}) (canon lift (core func $i "version")))
      (instance $changing
        {step} (export "state" (func $state)) (export "version" (func $version)))
      (export "golem:it/changing" (instance $changing))
      (func $save (result (list u8)) (canon lift (core func $i "save") (memory (core memory $memory))))
      (func $load (param "bytes" (list u8)) (result (result (error string)))
        (canon lift (core func $i "load") (memory (core memory $memory)) (realloc (core func $realloc))))
      (instance $saving (export "save" (func $save)))
      (instance $loading (export "load" (func $load)))
      (export "golem:api/save-snapshot@1.1.0" (instance $saving))
      (export "golem:api/load-snapshot@1.1.0" (instance $loading)))"""
        )
    )
