"""Small guests, each for one thing, written as component text. Each is one exported interface.

counter: no imports.
    increment: func() -> u64; add: func(n: u64) -> u64; get: func() -> u64
clock-loop: for measuring recorded host calls and their replay.
    run: func(n: u64) -> u64        calls wall-clock now n times; exclusive or of all seconds and nanoseconds
sleeper:
    sleep: func(nanoseconds: u64) -> u64        by subscribe-duration and block; what the monotonic clock says it took
promiser: golem:api/host@1.5.0.
    create: func() -> tuple<u64, u64, string, u64>      high, low bits of the component's uuid, worker name, oplog index
    complete: func(data: list<u8>) -> bool              the promise made last
    await: func() -> list<u8>                           the promise made last, by get-promise and poll
trapper: every way to fail. Each function counts the call first, so that `get` shows what is left of the state.
    unreachable: func(); spin: func(); overflow: func()
    memory-bomb: func() -> u32                          grows until refused; how many pages it got
    exit: func(code: u8)                                0 and 1 by exit, others by exit-with-code
    complain: func(text: string)                        prints to stderr, then traps
    get: func() -> u64                                  the calls so far, with this one
atomic: the authority is host:port of a server for POST /effect, see `core_text.POST`.
    pair: func(url-authority: string, n: u64) -> u64    a region around the POSTs n and n + 1; gives the sum of the
                                                        statuses, but traps within when the first is not 2xx
    jump: func() -> tuple<u64, u64>                     asks for the oplog index, draws a random number and sets the
                                                        index back when it is odd; gives the index and the number
carts: a resource.
    resource cart { constructor(owner: string); add: func(price: u64) -> u64; owner: func() -> string;
                    merge: static func(a: cart, b: cart) -> cart }
    live: func() -> u32                                 carts that were not dropped
keys:
    generate: func() -> tuple<u64, u64>                 generate-idempotency-key: high and low bits
    count: func() -> u64                                how many were generated
persistence:
    quiet-clock: func(n: u64) -> u64                    n times wall-clock now with persist-nothing, then smart again
    level: func() -> u32                                0 persist-nothing, 1 persist-remote-side-effects, 2 smart
    set-level: func(level: u32)
    set-idempotence: func(on: bool) -> bool             gives the mode as read back
echo: one function for each of several types; see also echo.py, for any type.
    text: func(v: string) -> string; bytes: func(v: list<u8>) -> list<u8>; number: func(v: f64) -> f64;
    signed: func(v: s64) -> s64; letter: func(v: char) -> char; maybe: func(v: option<u64>) -> option<u64>;
    outcome: func(v: result<string, u32>) -> result<string, u32>; product: func(v: item) -> item
    record item { name: string, price: f64, tags: list<string> }
"""

from __future__ import annotations

from tests.guests.component_text import Guest
from tests.guests.core_text import POST, WRITING

COUNTER = """
  (global $count (mut i64) (i64.const 0))
  (func $add (export "add") (param $n i64) (result i64)
    (global.set $count (i64.add (global.get $count) (local.get $n)))
    (global.get $count))
  (func (export "increment") (result i64) (call $add (i64.const 1)))
  (func (export "get") (result i64) (global.get $count))
"""

CLOCK_LOOP = """
  (func (export "run") (param $n i64) (result i64) (local $all i64)
    (block $done
      (loop $again
        (br_if $done (i64.eqz (local.get $n)))
        (call $wall-clock.now (i32.const 16))
        (local.set $all (i64.xor (local.get $all)
          (i64.xor (i64.load (i32.const 16)) (i64.load32_u (i32.const 24)))))
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br $again)))
    (local.get $all))
"""

SLEEPER = """
  (func (export "sleep") (param $nanoseconds i64) (result i64) (local $began i64) (local $pollable i32)
    (local.set $began (call $monotonic-clock.now))
    (local.set $pollable (call $monotonic-clock.subscribe-duration (local.get $nanoseconds)))
    (call $pollable.block (local.get $pollable))
    (call $pollable.drop (local.get $pollable))
    (i64.sub (call $monotonic-clock.now) (local.get $began)))
"""

PROMISER = """
  ;; The promise made last: 256 high, 264 low bits, 272 address and 276 length of the name (kept at 1024), 280 index.
  (func (export "create") (result i32) (local $length i32)
    (call $host.create-promise (i32.const 256))
    (local.set $length (i32.load (i32.const 276)))
    (if (i32.gt_u (local.get $length) (i32.const 4096)) (then unreachable))
    (memory.copy (i32.const 1024) (i32.load (i32.const 272)) (local.get $length))
    (i32.store (i32.const 272) (i32.const 1024))
    (call $free-all)
    (i32.const 256))
  (func (export "complete") (param $at i32) (param $length i32) (result i32)
    (call $host.complete-promise
      (i64.load (i32.const 256)) (i64.load (i32.const 264)) (i32.load (i32.const 272)) (i32.load (i32.const 276))
      (i64.load (i32.const 280)) (local.get $at) (local.get $length))
    (call $free-all))
  (func (export "await") (result i32) (local $promise i32) (local $pollable i32)
    (local.set $promise (call $host.get-promise
      (i64.load (i32.const 256)) (i64.load (i32.const 264)) (i32.load (i32.const 272)) (i32.load (i32.const 276))
      (i64.load (i32.const 280))))
    (local.set $pollable (call $get-promise-result.subscribe (local.get $promise)))
    (i32.store (i32.const 96) (local.get $pollable))
    (call $poll.poll (i32.const 96) (i32.const 1) (i32.const 16))
    (call $pollable.drop (local.get $pollable))
    (call $get-promise-result.get (local.get $promise) (i32.const 16))
    (call $get-promise-result.drop (local.get $promise))
    (if (i32.eqz (i32.load8_u (i32.const 16))) (then unreachable))
    (call $free-all)
    (i32.const 20))
"""

TRAPPER = (
    WRITING
    + """
  (global $count (mut i64) (i64.const 0))
  (func $count (global.set $count (i64.add (global.get $count) (i64.const 1))))
  (func (export "unreachable") (call $count) unreachable)
  (func (export "spin") (call $count) (loop $again (br $again)))
  (func (export "overflow") (call $count) (drop (call $deeper (i64.const 0))))
  (func $deeper (param $depth i64) (result i64)
    (i64.add (call $deeper (i64.add (local.get $depth) (i64.const 1))) (local.get $depth)))
  (func (export "memory-bomb") (result i32) (local $pages i32)
    (call $count)
    (loop $again
      (if (i32.ne (memory.grow (i32.const 16)) (i32.const -1))
        (then
          (local.set $pages (i32.add (local.get $pages) (i32.const 16)))
          (br $again))))
    (local.get $pages))
  (func (export "exit") (param $code i32)
    (call $count)
    (if (i32.gt_u (local.get $code) (i32.const 1)) (then (call $exit.exit-with-code (local.get $code))))
    (call $exit.exit (local.get $code)))
  (func (export "complain") (param $at i32) (param $length i32)
    (call $count)
    (call $write-and-drop (call $stderr.get-stderr) (local.get $at) (local.get $length))
    unreachable)
  (func (export "get") (result i64) (call $count) (global.get $count))
"""
)

ATOMIC = (
    WRITING
    + POST
    + """
  (func $effect (param $authority i32) (param $length i32) (param $n i64) (result i64)
    (i64.extend_i32_u (call $post
      (local.get $authority) (local.get $length)
      (i32.const 512) (i32.sub (call $decimal (local.get $n) (i32.const 512)) (i32.const 512))
      (i32.const 0))))
  (func (export "pair") (param $authority i32) (param $length i32) (param $n i64) (result i64)
    (local $begin i64) (local $statuses i64)
    (local.set $begin (call $host.mark-begin-operation))
    (local.set $statuses (call $effect (local.get $authority) (local.get $length) (local.get $n)))
    (if (i64.ne (i64.div_u (local.get $statuses) (i64.const 100)) (i64.const 2)) (then unreachable))
    (local.set $statuses (i64.add (local.get $statuses)
      (call $effect (local.get $authority) (local.get $length) (i64.add (local.get $n) (i64.const 1)))))
    (call $host.mark-end-operation (local.get $begin))
    (call $free-all)
    (local.get $statuses))
  (func (export "jump") (result i32)
    (i64.store (i32.const 256) (call $host.get-oplog-index))
    (i64.store (i32.const 264) (call $random.get-random-u64))
    (if (i32.wrap_i64 (i64.and (i64.load (i32.const 264)) (i64.const 1)))
      (then (call $host.set-oplog-index (i64.load (i32.const 256)))))
    (i32.const 256))
"""
)

CARTS = """
  ;; A cart is 80 bytes, the representation its address, from 4096 on and never reused: 0 sum, 8 length of the owner's
  ;; name, 16 the name, at most 64 bytes.
  (global $next (mut i32) (i32.const 4096))
  (global $live (mut i32) (i32.const 0))
  (func $make (result i32)
    (if (i32.gt_u (global.get $next) (i32.const 65000)) (then unreachable))
    (global.set $next (i32.add (global.get $next) (i32.const 80)))
    (global.set $live (i32.add (global.get $live) (i32.const 1)))
    (i32.sub (global.get $next) (i32.const 80)))
  (func (export "[constructor]cart") (param $at i32) (param $length i32) (result i32) (local $cart i32)
    (local.set $cart (call $make))
    (if (i32.gt_u (local.get $length) (i32.const 64)) (then unreachable))
    (i32.store offset=8 (local.get $cart) (local.get $length))
    (memory.copy (i32.add (local.get $cart) (i32.const 16)) (local.get $at) (local.get $length))
    (call $free-all)
    (call $cart.new (local.get $cart)))
  (func (export "[method]cart.add") (param $cart i32) (param $price i64) (result i64)
    (i64.store (local.get $cart) (i64.add (i64.load (local.get $cart)) (local.get $price)))
    (i64.load (local.get $cart)))
  (func (export "[method]cart.owner") (param $cart i32) (result i32)
    (i32.store (i32.const 256) (i32.add (local.get $cart) (i32.const 16)))
    (i32.store (i32.const 260) (i32.load offset=8 (local.get $cart)))
    (i32.const 256))
  ;; Own handles arrive as handles: the carts they stand for are asked for, and both are dropped in the end.
  (func (export "[static]cart.merge") (param $a i32) (param $b i32) (result i32) (local $cart i32)
    (local.set $cart (call $make))
    (memory.copy (local.get $cart) (call $cart.rep (local.get $a)) (i32.const 80))
    (i64.store (local.get $cart)
      (i64.add (i64.load (local.get $cart)) (i64.load (call $cart.rep (local.get $b)))))
    (call $cart.drop (local.get $a))
    (call $cart.drop (local.get $b))
    (call $cart.new (local.get $cart)))
  (func (export "cart.drop") (param $cart i32)
    (global.set $live (i32.sub (global.get $live) (i32.const 1))))
  (func (export "live") (result i32) (global.get $live))
"""

KEYS = """
  (global $count (mut i64) (i64.const 0))
  (func (export "generate") (result i32)
    (call $host.generate-idempotency-key (i32.const 256))
    (global.set $count (i64.add (global.get $count) (i64.const 1)))
    (i32.const 256))
  (func (export "count") (result i64) (global.get $count))
"""

PERSISTENCE = """
  (func (export "quiet-clock") (param $n i64) (result i64) (local $all i64)
    (call $host.set-oplog-persistence-level (i32.const 0))
    (block $done
      (loop $again
        (br_if $done (i64.eqz (local.get $n)))
        (call $wall-clock.now (i32.const 16))
        (local.set $all (i64.xor (local.get $all)
          (i64.xor (i64.load (i32.const 16)) (i64.load32_u (i32.const 24)))))
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br $again)))
    (call $host.set-oplog-persistence-level (i32.const 2))
    (local.get $all))
  (func (export "level") (result i32) (call $host.get-oplog-persistence-level))
  (func (export "set-level") (param $level i32) (call $host.set-oplog-persistence-level (local.get $level)))
  (func (export "set-idempotence") (param $on i32) (result i32)
    (call $host.set-idempotence-mode (local.get $on))
    (call $host.get-idempotence-mode))
"""

ECHO = """
  ;; What the host has put into memory stays until the next call, which begins with its own arguments.
  (func $pair (param $a i32) (param $b i32) (result i32)
    (i32.store (i32.const 256) (local.get $a))
    (i32.store (i32.const 260) (local.get $b))
    (call $free-all)
    (i32.const 256))
  (func (export "text") (param i32 i32) (result i32) (call $pair (local.get 0) (local.get 1)))
  (func (export "bytes") (param i32 i32) (result i32) (call $pair (local.get 0) (local.get 1)))
  (func (export "number") (param f64) (result f64) (local.get 0))
  (func (export "signed") (param i64) (result i64) (local.get 0))
  (func (export "letter") (param i32) (result i32) (local.get 0))
  (func (export "maybe") (param $some i32) (param $value i64) (result i32)
    (i32.store (i32.const 256) (local.get $some))
    (i64.store (i32.const 264) (local.get $value))
    (i32.const 256))
  (func (export "outcome") (param $err i32) (param $value i32) (param $length i32) (result i32)
    (i32.store (i32.const 256) (local.get $err))
    (i32.store (i32.const 260) (local.get $value))
    (i32.store (i32.const 264) (local.get $length))
    (call $free-all)
    (i32.const 256))
  (func (export "product") (param $name i32) (param $length i32) (param $price f64) (param $tags i32) (param $count i32)
    (result i32)
    (i32.store (i32.const 256) (local.get $name))
    (i32.store (i32.const 260) (local.get $length))
    (f64.store (i32.const 264) (local.get $price))
    (i32.store (i32.const 272) (local.get $tags))
    (i32.store (i32.const 276) (local.get $count))
    (call $free-all)
    (i32.const 256))
"""

_CART = '(param "self" (borrow $cart))'


def _echo(type: str) -> str:
    return f'(param "v" {type}) (result {type})'


SMALL: dict[str, Guest] = {
    "counter": Guest(
        "golem:it/counter",
        {"increment": "(result u64)", "add": '(param "n" u64) (result u64)', "get": "(result u64)"},
        COUNTER,
    ),
    "clock-loop": Guest("golem:it/clock-loop", {"run": '(param "n" u64) (result u64)'}, CLOCK_LOOP),
    "sleeper": Guest("golem:it/sleeper", {"sleep": '(param "nanoseconds" u64) (result u64)'}, SLEEPER),
    "promiser": Guest(
        "golem:it/promiser",
        {
            "create": "(result (tuple u64 u64 string u64))",
            "complete": '(param "data" (list u8)) (result bool)',
            "await": "(result (list u8))",
        },
        PROMISER,
    ),
    "trapper": Guest(
        "golem:it/trapper",
        {
            "unreachable": "",
            "spin": "",
            "overflow": "",
            "memory-bomb": "(result u32)",
            "exit": '(param "code" u8)',
            "complain": '(param "text" string)',
            "get": "(result u64)",
        },
        TRAPPER,
    ),
    "atomic": Guest(
        "golem:it/atomic",
        {
            "pair": '(param "url-authority" string) (param "n" u64) (result u64)',
            "jump": "(result (tuple u64 u64))",
        },
        ATOMIC,
    ),
    "carts": Guest(
        "golem:it/carts",
        {
            "[constructor]cart": '(param "owner" string) (result (own $cart))',
            "[method]cart.add": f'{_CART} (param "price" u64) (result u64)',
            "[method]cart.owner": f"{_CART} (result string)",
            "[static]cart.merge": '(param "a" (own $cart)) (param "b" (own $cart)) (result (own $cart))',
            "live": "(result u32)",
        },
        CARTS,
        resources=("cart",),
    ),
    "keys": Guest("golem:it/keys", {"generate": "(result (tuple u64 u64))", "count": "(result u64)"}, KEYS),
    "persistence": Guest(
        "golem:it/persistence",
        {
            "quiet-clock": '(param "n" u64) (result u64)',
            "level": "(result u32)",
            "set-level": '(param "level" u32)',
            "set-idempotence": '(param "on" bool) (result bool)',
        },
        PERSISTENCE,
    ),
    "echo": Guest(
        "golem:it/echo",
        {
            "text": _echo("string"),
            "bytes": _echo("(list u8)"),
            "number": _echo("f64"),
            "signed": _echo("s64"),
            "letter": _echo("char"),
            "maybe": _echo("(option u64)"),
            "outcome": _echo("(result string (error u32))"),
            "product": _echo("$item"),
        },
        ECHO,
        types={"item": '(record (field "name" string) (field "price" f64) (field "tags" (list string)))'},
    ),
}
"""The guests by name."""
