"""A guest that calls other workers by golem:rpc 0.2.2. Whatever a call answers but ok traps.

interface golem:it/caller {
    target: func(high: u64, low: u64, name: string, function: string)   whom and what the others call: the halves of the
                                                                        component's uuid, the worker, its function
    call: func(n: u64) -> u64                   the target's function with n, and waits
    many: func(n: u64, times: u64) -> u64       the same again and again on one connection; what the last call gave
    send: func(n: u64)                          the same as `call` without waiting
    both: func(n: u64) -> u64                   two calls with n at the same time; the sum of what they give
    later: func(n: u64, seconds: u64)           the call at a time
    never: func(n: u64, seconds: u64)           the same, and taken back at once
    again: func()                               the target's function without parameters or result, and waits
    calls: func() -> u64                        how many calls were answered
}
"""

from tests.guests.component_text import Guest

CALLER = Guest(
    interface="golem:it/caller",
    functions={
        "target": '(param "high" u64) (param "low" u64) (param "name" string) (param "function" string)',
        "call": '(param "n" u64) (result u64)',
        "many": '(param "n" u64) (param "times" u64) (result u64)',
        "send": '(param "n" u64)',
        "both": '(param "n" u64) (result u64)',
        "later": '(param "n" u64) (param "seconds" u64)',
        "never": '(param "n" u64) (param "seconds" u64)',
        "again": "",
        "calls": "(result u64)",
    },
    core="""
  ;; 16 results, 48 pollables, 64 what poll gives, 512 a list of one value, 520 its node, 2048 name, 4096 function
  (global $high (mut i64) (i64.const 0))
  (global $low (mut i64) (i64.const 0))
  (global $name (mut i32) (i32.const 0))
  (global $function (mut i32) (i32.const 0))
  (global $calls (mut i64) (i64.const 0))

  (func (export "target") (param $high i64) (param $low i64)
    (param $name i32) (param $name-length i32) (param $function i32) (param $function-length i32)
    (global.set $high (local.get $high))
    (global.set $low (local.get $low))
    (memory.copy (i32.const 2048) (local.get $name) (local.get $name-length))
    (global.set $name (local.get $name-length))
    (memory.copy (i32.const 4096) (local.get $function) (local.get $function-length))
    (global.set $function (local.get $function-length))
    (call $free-all))

  (func $connect (result i32)
    (call $wasm-rpc.new (global.get $high) (global.get $low) (i32.const 2048) (global.get $name)))

  ;; The list of one prim-u64 at 512.
  (func $parameter (param $n i64)
    (i32.store (i32.const 512) (i32.const 520))
    (i32.store (i32.const 516) (i32.const 1))
    (i32.store8 (i32.const 520) (i32.const 11))
    (i64.store (i32.const 528) (local.get $n)))

  ;; The number in a tuple of one, whose nodes are at an address.
  (func $number (param $nodes i32) (result i64)
    (if (i32.ne (i32.load8_u (local.get $nodes)) (i32.const 4)) (then unreachable))
    (if (i32.ne (i32.load8_u offset=24 (local.get $nodes)) (i32.const 11)) (then unreachable))
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (i64.load offset=32 (local.get $nodes)))

  (func (export "call") (param $n i64) (result i64) (local $rpc i32) (local $result i64)
    (local.set $rpc (call $connect))
    (call $parameter (local.get $n))
    (call $wasm-rpc.invoke-and-await
      (local.get $rpc) (i32.const 4096) (global.get $function) (i32.const 512) (i32.const 1) (i32.const 16))
    (if (i32.load8_u (i32.const 16)) (then unreachable))
    (local.set $result (call $number (i32.load (i32.const 20))))
    (call $wasm-rpc.drop (local.get $rpc))
    (call $free-all)
    (local.get $result))

  (func (export "many") (param $n i64) (param $times i64) (result i64) (local $rpc i32) (local $result i64)
    (local.set $rpc (call $connect))
    (loop $more
      (call $parameter (local.get $n))
      (call $wasm-rpc.invoke-and-await
        (local.get $rpc) (i32.const 4096) (global.get $function) (i32.const 512) (i32.const 1) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (local.set $result (call $number (i32.load (i32.const 20))))
      (call $free-all)
      (local.set $times (i64.sub (local.get $times) (i64.const 1)))
      (br_if $more (i64.ne (local.get $times) (i64.const 0))))
    (call $wasm-rpc.drop (local.get $rpc))
    (local.get $result))

  (func (export "again") (local $rpc i32)
    (local.set $rpc (call $connect))
    (call $wasm-rpc.invoke-and-await
      (local.get $rpc) (i32.const 4096) (global.get $function) (i32.const 512) (i32.const 0) (i32.const 16))
    (if (i32.load8_u (i32.const 16)) (then unreachable))
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (call $wasm-rpc.drop (local.get $rpc))
    (call $free-all))

  (func (export "send") (param $n i64) (local $rpc i32)
    (local.set $rpc (call $connect))
    (call $parameter (local.get $n))
    (call $wasm-rpc.invoke
      (local.get $rpc) (i32.const 4096) (global.get $function) (i32.const 512) (i32.const 1) (i32.const 16))
    (if (i32.load8_u (i32.const 16)) (then unreachable))
    (call $wasm-rpc.drop (local.get $rpc))
    (call $free-all))

  (func $begin (param $rpc i32) (result i32)
    (call $wasm-rpc.async-invoke-and-await
      (local.get $rpc) (i32.const 4096) (global.get $function) (i32.const 512) (i32.const 1)))

  ;; Wait for a future by its pollable, which is ready only once there is a result; drop both.
  (func $finish (param $future i32) (param $pollable i32) (result i64)
    (call $pollable.block (local.get $pollable))
    (call $pollable.drop (local.get $pollable))
    (call $future-invoke-result.get (local.get $future) (i32.const 16))
    (if (i32.eqz (i32.load8_u (i32.const 16))) (then unreachable))
    (if (i32.load8_u (i32.const 20)) (then unreachable))
    (call $future-invoke-result.drop (local.get $future))
    (call $number (i32.load (i32.const 24))))

  (func (export "both") (param $n i64) (result i64)
    (local $rpc i32) (local $one i32) (local $two i32) (local $sum i64)
    (local.set $rpc (call $connect))
    (call $parameter (local.get $n))
    (local.set $one (call $begin (local.get $rpc)))
    (local.set $two (call $begin (local.get $rpc)))
    (i32.store (i32.const 48) (call $future-invoke-result.subscribe (local.get $one)))
    (i32.store (i32.const 52) (call $future-invoke-result.subscribe (local.get $two)))
    (call $poll.poll (i32.const 48) (i32.const 2) (i32.const 64))
    (local.set $sum (i64.add
      (call $finish (local.get $one) (i32.load (i32.const 48)))
      (call $finish (local.get $two) (i32.load (i32.const 52)))))
    (call $wasm-rpc.drop (local.get $rpc))
    (call $free-all)
    (local.get $sum))

  (func $schedule (param $n i64) (param $seconds i64) (result i32) (local $rpc i32) (local $token i32)
    (local.set $rpc (call $connect))
    (call $parameter (local.get $n))
    (local.set $token (call $wasm-rpc.schedule-cancelable-invocation
      (local.get $rpc) (local.get $seconds) (i32.const 0)
      (i32.const 4096) (global.get $function) (i32.const 512) (i32.const 1)))
    (call $wasm-rpc.drop (local.get $rpc))
    (local.get $token))

  (func (export "later") (param $n i64) (param $seconds i64)
    (call $cancellation-token.drop (call $schedule (local.get $n) (local.get $seconds)))
    (call $free-all))

  (func (export "never") (param $n i64) (param $seconds i64) (local $token i32)
    (local.set $token (call $schedule (local.get $n) (local.get $seconds)))
    (call $cancellation-token.cancel (local.get $token))
    (call $cancellation-token.drop (local.get $token))
    (call $free-all))

  (func (export "calls") (result i64) (global.get $calls))
""",
)
