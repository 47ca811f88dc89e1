;; A counter, written as component text so that it needs no compiler. In WIT:
;;
;;   package example:counter;
;;   interface api {
;;     increment: func() -> u64;                     adds one and gives the count
;;     get: func() -> u64;                           gives the count
;;     count-slowly: func(seconds: u32) -> u64;      adds one each second, then gives the count
;;   }
;;
;; `make examples` turns it into examples/counter.wasm.
(component $counter
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer $counter $pollable (type $p))
    (export "pollable" (type $pollable (eq $p)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))

  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))

  (core module $module
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (global $count (mut i64) (i64.const 0))

    (func $get (export "get") (result i64)
      (global.get $count))

    (func $increment (export "increment") (result i64)
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (call $get))

    (func (export "count-slowly") (param $seconds i32) (result i64) (local $second i32)
      (block $done
        (loop $again
          (br_if $done (i32.eqz (local.get $seconds)))
          (local.set $second (call $subscribe (i64.const 1000000000)))
          (call $block (local.get $second))
          (call $drop (local.get $second))
          (drop (call $increment))
          (local.set $seconds (i32.sub (local.get $seconds) (i32.const 1)))
          (br $again)))
      (call $get)))

  (core instance $host
    (export "block" (func $block)) (export "drop" (func $drop)) (export "subscribe" (func $subscribe)))
  (core instance $instance (instantiate $module (with "host" (instance $host))))

  (func $increment (result u64) (canon lift (core func $instance "increment")))
  (func $get (result u64) (canon lift (core func $instance "get")))
  (func $count-slowly (param "seconds" u32) (result u64) (canon lift (core func $instance "count-slowly")))
  (instance $api
    (export "increment" (func $increment))
    (export "get" (func $get))
    (export "count-slowly" (func $count-slowly)))
  (export "example:counter/api" (instance $api)))
