"""Component text of a guest that computes, waits, traps, recurses and grows: what a fiber must cope with."""

BUSY = """(component
  (import "host" (instance $host
    (export "add" (func (param "a" u32) (param "b" u32) (result u32)))
    (export "slow" (func (param "a" u32) (result u32)))
    (export "nobody" (func))))
  (core module $module
    (import "h" "add" (func $add (param i32 i32) (result i32)))
    (import "h" "slow" (func $slow (param i32) (result i32)))
    (import "h" "nobody" (func $nobody))
    (memory 1)
    (global $zero (mut i32) (i32.const 0))
    (table 1 funcref)
    (type $signature (func (result i32)))
    (func $identity (export "identity") (param i64) (result i64) (local.get 0))
    (func (export "sum") (param i32) (result i32) (local $i i32) (local $total i32)
      (loop $again
        (local.set $total (call $add (local.get $total) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (local.get 0))))
      (local.get $total))
    (func (export "wait") (param i32) (result i32) (call $slow (local.get 0)))
    (func $spin (export "spin") (param i32) (result i32) (local $i i32)
      (loop $again
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.ne (local.get $i) (local.get 0))))
      (local.get $i))
    (func (export "spin-for-ever") (loop $again (br $again)))
    (func (export "spin-then-wait") (param i32) (result i32) (call $slow (call $spin (local.get 0))))
    (func (export "spin-then-add") (param i32) (result i32)
      (call $add (call $spin (local.get 0)) (i32.const 1)))
    (func (export "ask-nobody") (call $nobody))
    (func (export "unreachable") unreachable)
    (func $recurse (export "recurse") (result i32) (i32.add (call $recurse) (i32.const 1)))
    (func (export "divide") (result i32) (i32.div_s (i32.const 1) (global.get $zero)))
    (func (export "overflow") (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))
    (func (export "convert") (result i32) (i32.trunc_f64_s (f64.const nan)))
    (func (export "out-of-bounds") (result i32) (i32.load (i32.const 0x7fffffff)))
    (func (export "indirect") (result i32) (call_indirect (type $signature) (i32.const 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
  (core func $add (canon lower (func $host "add")))
  (core func $slow (canon lower (func $host "slow")))
  (core func $nobody (canon lower (func $host "nobody")))
  (core instance $i (instantiate $module
    (with "h" (instance (export "add" (func $add)) (export "slow" (func $slow)) (export "nobody" (func $nobody))))))
  (func (export "identity") (param "n" u64) (result u64) (canon lift (core func $i "identity")))
  (func (export "sum") (param "n" u32) (result u32) (canon lift (core func $i "sum")))
  (func (export "wait") (param "n" u32) (result u32) (canon lift (core func $i "wait")))
  (func (export "spin") (param "n" u32) (result u32) (canon lift (core func $i "spin")))
  (func (export "spin-for-ever") (canon lift (core func $i "spin-for-ever")))
  (func (export "spin-then-wait") (param "n" u32) (result u32) (canon lift (core func $i "spin-then-wait")))
  (func (export "spin-then-add") (param "n" u32) (result u32) (canon lift (core func $i "spin-then-add")))
  (func (export "ask-nobody") (canon lift (core func $i "ask-nobody")))
  (func (export "unreachable") (canon lift (core func $i "unreachable")))
  (func (export "recurse") (result s32) (canon lift (core func $i "recurse")))
  (func (export "divide") (result s32) (canon lift (core func $i "divide")))
  (func (export "overflow") (result s32) (canon lift (core func $i "overflow")))
  (func (export "convert") (result s32) (canon lift (core func $i "convert")))
  (func (export "out-of-bounds") (result s32) (canon lift (core func $i "out-of-bounds")))
  (func (export "indirect") (result s32) (canon lift (core func $i "indirect")))
  (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow"))))
"""
"""A guest of `host` functions `add`, `slow` and `nobody`; the exports are named after what they do."""

NEEDS_MEMORY = """(component
  (core module $module (memory 100))
  (core instance $i (instantiate $module)))
"""
"""Cannot be instantiated with less than 100 pages."""

STARTS_WITH_A_CALL = """(component
  (import "slow" (func $slow (param "a" u32) (result u32)))
  (core func $slow (canon lower (func $slow)))
  (core module $module
    (import "h" "slow" (func $slow (param i32) (result i32)))
    (global $found (mut i32) (i32.const 0))
    (func $start (global.set $found (call $slow (i32.const 20))))
    (start $start)
    (func (export "found") (result i32) (global.get $found)))
  (core instance $i (instantiate $module (with "h" (instance (export "slow" (func $slow))))))
  (func (export "found") (result u32) (canon lift (core func $i "found"))))
"""
"""Calls the imported function `slow` of the world while it is being instantiated."""
