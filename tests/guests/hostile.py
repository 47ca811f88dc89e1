"""A guest that breaks the rules of streams, polls and handles: golem:it/hostile.

poll-many: func(n: u32)         polls a list of n times the same pollable, which is ready
forge: func(handle: u32)        blocks on a pollable of which it was given no handle
reuse: func()                   blocks on a pollable that it has dropped
drop-twice: func()
confuse: func()                 writes to a pollable
hoard: func(n: u32) -> u32      makes n fields and keeps them
give: func(n: u32)              writes n bytes to stdout in one call
take: func()                    asks for 2^64 - 1 random bytes
inject: func() -> u32           appends a field whose value begins a new line; the header error: 0 invalid-syntax
wait-for-nothing: func()        polls an empty list
out-of-memory-list: func()      gives a list that reaches beyond its memory
garble: func()                  gives text that is not UTF-8
fine: func() -> u32             breaks none; 42
"""

from __future__ import annotations

from tests.guests.component_text import Guest

_HOSTILE = """
  (data (i32.const 1024) "x-a")
  (data (i32.const 1032) "b\\0d\\0aevil: 1")
  (data (i32.const 1048) "\\ff\\fe")

  (func $timer (result i32) (call $monotonic-clock.subscribe-duration (i64.const 0)))

  (func (export "poll-many") (param $n i32) (local $handle i32) (local $at i32)
    (local.set $handle (call $timer))
    (drop (memory.grow (i32.const 16)))
    (local.set $at (i32.const 131072))
    (loop $more
      (i32.store (local.get $at) (local.get $handle))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $more (i32.lt_u (local.get $at)
        (i32.add (i32.const 131072) (i32.shl (local.get $n) (i32.const 2))))))
    (call $poll.poll (i32.const 131072) (local.get $n) (i32.const 16))
    (call $pollable.drop (local.get $handle))
    (call $free-all))

  (func (export "forge") (param $handle i32) (call $pollable.block (local.get $handle)))

  (func (export "reuse") (local $handle i32)
    (local.set $handle (call $timer))
    (call $pollable.drop (local.get $handle))
    (call $pollable.block (local.get $handle)))

  (func (export "drop-twice") (local $handle i32)
    (local.set $handle (call $timer))
    (call $pollable.drop (local.get $handle))
    (call $pollable.drop (local.get $handle)))

  (func (export "confuse")
    (call $output-stream.write (call $timer) (i32.const 1024) (i32.const 3) (i32.const 16)))

  (func (export "hoard") (param $n i32) (result i32) (local $left i32)
    (local.set $left (local.get $n))
    (loop $more
      (drop (call $fields.new))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left)))
    (local.get $n))

  (func (export "give") (param $n i32)
    (drop (memory.grow (i32.const 4000)))
    (call $output-stream.write (call $stdout.get-stdout) (i32.const 0) (local.get $n) (i32.const 16)))

  (func (export "take") (call $random.get-random-bytes (i64.const -1) (i32.const 16)))

  (func (export "inject") (result i32)
    (call $fields.append
      (call $fields.new) (i32.const 1024) (i32.const 3) (i32.const 1032) (i32.const 10) (i32.const 16))
    (if (i32.eqz (i32.load8_u (i32.const 16))) (then unreachable))
    (i32.load8_u (i32.const 17)))

  (func (export "wait-for-nothing") (call $poll.poll (i32.const 0) (i32.const 0) (i32.const 16)))

  (func (export "out-of-memory-list")
    (call $output-stream.write (call $stdout.get-stdout) (i32.const 131000) (i32.const 1000) (i32.const 16)))

  (func (export "garble")
    (call $fields.append
      (call $fields.new) (i32.const 1048) (i32.const 2) (i32.const 1032) (i32.const 1) (i32.const 16)))

  (func (export "fine") (result i32) (i32.const 42))
"""

HOSTILE = Guest(
    "golem:it/hostile",
    {
        "poll-many": '(param "n" u32)',
        "forge": '(param "handle" u32)',
        "reuse": "",
        "drop-twice": "",
        "confuse": "",
        "hoard": '(param "n" u32) (result u32)',
        "give": '(param "n" u32)',
        "take": "",
        "inject": "(result u32)",
        "wait-for-nothing": "",
        "out-of-memory-list": "",
        "garble": "",
        "fine": "(result u32)",
    },
    _HOSTILE,
).text()
"""The component as text."""
