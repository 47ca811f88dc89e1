"""Component text of guests that ask the host for single things: the environment, the time, a sleep, a promise."""

_LIBC = """
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))"""

_MEMORY = '(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))'

ENVIRONMENT = f"""(component
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))
    (export "initial-cwd" (func (result (option string))))))
  {_LIBC}
  (core func $variables (canon lower (func $environment "get-environment") {_MEMORY}))
  (core func $arguments (canon lower (func $environment "get-arguments") {_MEMORY}))
  (core module $module
    (import "h" "variables" (func $variables (param i32)))
    (import "h" "arguments" (func $arguments (param i32)))
    (func (export "variables") (result i32) (call $variables (i32.const 16)) (i32.const 16))
    (func (export "arguments") (result i32) (call $arguments (i32.const 16)) (i32.const 16)))
  (core instance $i (instantiate $module
    (with "h" (instance (export "variables" (func $variables)) (export "arguments" (func $arguments))))))
  (func (export "variables") (result (list (tuple string string)))
    (canon lift (core func $i "variables") {_MEMORY}))
  (func (export "arguments") (result (list string)) (canon lift (core func $i "arguments") {_MEMORY})))
"""
"""`variables` and `arguments` give what the host says."""

SLEEP = f"""(component
  (import "wasi:io/poll@0.2.3" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))
    (export "now" (func (result u64)))))
  (import "wasi:clocks/wall-clock@0.2.3" (instance $wall
    (type $fields (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $fields)))
    (export "now" (func (result $datetime)))))
  {_LIBC}
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $now (canon lower (func $clock "now")))
  (core func $wall-now (canon lower (func $wall "now") {_MEMORY}))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $poll (canon lower (func $poll "poll") {_MEMORY}))
  (core func $drop (canon resource.drop $pollable))
  (core module $module
    (import "h" "memory" (memory 1))
    (import "h" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "h" "now" (func $now (result i64)))
    (import "h" "wall-now" (func $wall-now (param i32)))
    (import "h" "block" (func $block (param i32)))
    (import "h" "poll" (func $poll (param i32 i32 i32)))
    (import "h" "drop" (func $drop (param i32)))
    (func (export "sleep") (param i64) (result i64) (local $before i64) (local $handle i32)
      (local.set $before (call $now))
      (local.set $handle (call $subscribe (local.get 0)))
      (call $block (local.get $handle))
      (call $drop (local.get $handle))
      (i64.sub (call $now) (local.get $before)))
    (func (export "first-of") (param i64 i64) (result i32) (local $first i32) (local $second i32)
      (local.set $first (call $subscribe (local.get 0)))
      (local.set $second (call $subscribe (local.get 1)))
      (i32.store (i32.const 64) (local.get $first))
      (i32.store (i32.const 68) (local.get $second))
      (call $poll (i32.const 64) (i32.const 2) (i32.const 16))
      (call $drop (local.get $first))
      (call $drop (local.get $second))
      (i32.load (i32.load (i32.const 16))))
    (func (export "seconds") (result i64) (call $wall-now (i32.const 16)) (i64.load (i32.const 16))))
  (core instance $i (instantiate $module (with "h" (instance
    (export "memory" (memory $libc "memory"))
    (export "subscribe" (func $subscribe)) (export "now" (func $now)) (export "wall-now" (func $wall-now))
    (export "block" (func $block)) (export "poll" (func $poll)) (export "drop" (func $drop))))))
  (func (export "sleep") (param "duration" u64) (result u64) (canon lift (core func $i "sleep")))
  (func (export "first-of") (param "first" u64) (param "second" u64) (result u32)
    (canon lift (core func $i "first-of")))
  (func (export "seconds") (result u64) (canon lift (core func $i "seconds"))))
"""
"""`sleep` gives the nanoseconds that it took, `first-of` which of two sleeps ended first, `seconds` the time."""


def promise_guest(version: str, worker_id: str, worker_name: str) -> str:
    """A guest whose `create` makes a promise and gives its index, with the names of one version of golem:api."""
    return f"""(component
  (import "golem:api/host@{version}" (instance $host
    (type $uuid-fields (record (field "high-bits" u64) (field "low-bits" u64)))
    (export "uuid" (type $uuid (eq $uuid-fields)))
    (type $component-fields (record (field "uuid" $uuid)))
    (export "component-id" (type $component-id (eq $component-fields)))
    (type $worker-fields (record (field "component-id" $component-id) (field "{worker_name}" string)))
    (export "{worker_id}" (type $worker-id (eq $worker-fields)))
    (type $promise-fields (record (field "{worker_id}" $worker-id) (field "oplog-idx" u64)))
    (export "promise-id" (type $promise-id (eq $promise-fields)))
    (export "create-promise" (func (result $promise-id)))
    (export "complete-promise" (func (param "promise-id" $promise-id) (param "data" (list u8)) (result bool)))))
  {_LIBC}
  (core func $create (canon lower (func $host "create-promise") {_MEMORY}))
  (core func $complete (canon lower (func $host "complete-promise") {_MEMORY}))
  (core module $module
    (import "h" "memory" (memory 1))
    (import "h" "create" (func $create (param i32)))
    (import "h" "complete" (func $complete (param i64 i64 i32 i32 i64 i32 i32) (result i32)))
    (func $new (export "create") (result i64)
      (call $create (i32.const 16))
      (i64.load (i32.const 40)))
    (func (export "complete") (result i32)
      (drop (call $new))
      (i32.store8 (i32.const 64) (i32.const 7))
      (call $complete
        (i64.load (i32.const 16)) (i64.load (i32.const 24))
        (i32.load (i32.const 32)) (i32.load (i32.const 36))
        (i64.load (i32.const 40)) (i32.const 64) (i32.const 1))))
  (core instance $i (instantiate $module (with "h" (instance
    (export "memory" (memory $libc "memory"))
    (export "create" (func $create)) (export "complete" (func $complete))))))
  (func (export "create") (result u64) (canon lift (core func $i "create")))
  (func (export "complete") (result bool) (canon lift (core func $i "complete"))))
"""
