"""The guest of the crash test: every invocation does one of everything that must survive a crash.

interface golem:it/crash {
    record outcome { count: u64, time-seconds: u64, random: u64, status: u16 }
    step: func(n: u64, url-authority: string) -> outcome
    count: func() -> u64        steps so far, from linear memory
    sum: func() -> u64          a hash over all times and random numbers so far
    file-size: func() -> u64    of /log.txt, 0 if there is none
}

A step reads the wall clock, draws a random number and 16 random bytes, appends the line `{n} {time-seconds} {random}`
to /log.txt, prints the same line, and POSTs `{n}` to http://{url-authority}/effect, without an idempotency key of its
own. The body of the request is written before it is handed over if n is even, afterwards if it is odd. Whatever fails
traps.
"""

from tests.guests.component_text import Guest
from tests.guests.core_text import POST, ROOT, WRITING

CRASH = Guest(
    interface="golem:it/crash",
    types={
        "outcome": '(record (field "count" u64) (field "time-seconds" u64) (field "random" u64) (field "status" u16))'
    },
    functions={
        "step": '(param "n" u64) (param "url-authority" string) (result $outcome)',
        "count": "(result u64)",
        "sum": "(result u64)",
        "file-size": "(result u64)",
    },
    core=WRITING
    + POST
    + ROOT
    + """
  ;; 16 results, 96 list of one pollable, 256 outcome, 512 line, 1024 constants
  (data (i32.const 1040) "log.txt")
  (global $count (mut i64) (i64.const 0))
  (global $sum (mut i64) (i64.const 0xcbf29ce484222325))

  (func $mix (param $value i64)
    (global.set $sum (i64.mul (i64.xor (global.get $sum) (local.get $value)) (i64.const 0x100000001b3))))

  (func (export "step") (param $n i64) (param $authority i32) (param $authority-length i32) (result i32)
    (local $random i64) (local $end i32)
    (call $wall-clock.now (i32.const 16))
    (i64.store (i32.const 264) (i64.load (i32.const 16)))
    (call $mix (i64.load (i32.const 16)))
    (call $mix (i64.load32_u (i32.const 24)))
    (local.set $random (call $random.get-random-u64))
    (i64.store (i32.const 272) (local.get $random))
    (call $mix (local.get $random))
    (call $random.get-random-bytes (i64.const 16) (i32.const 16))
    (if (i32.ne (i32.load (i32.const 20)) (i32.const 16)) (then unreachable))
    (call $mix (i64.load align=1 (i32.load (i32.const 16))))
    (call $mix (i64.load offset=8 align=1 (i32.load (i32.const 16))))
    (local.set $end (call $line (local.get $n) (i64.load (i32.const 264)) (local.get $random)))
    (call $append (i32.const 512) (i32.sub (local.get $end) (i32.const 512)))
    (call $write-and-drop (call $stdout.get-stdout) (i32.const 512) (i32.sub (local.get $end) (i32.const 512)))
    (i32.store16 (i32.const 280) (call $post
      (local.get $authority) (local.get $authority-length)
      (i32.const 512) (i32.sub (call $decimal (local.get $n) (i32.const 512)) (i32.const 512))
      (i64.eqz (i64.and (local.get $n) (i64.const 1)))))
    (global.set $count (i64.add (global.get $count) (i64.const 1)))
    (i64.store (i32.const 256) (global.get $count))
    (call $free-all)
    (i32.const 256))

  (func (export "count") (result i64) (global.get $count))
  (func (export "sum") (result i64) (global.get $sum))

  (func (export "file-size") (result i64) (local $root i32)
    (local.set $root (call $root))
    (call $descriptor.stat-at (local.get $root) (i32.const 0) (i32.const 1040) (i32.const 7) (i32.const 16))
    (call $descriptor.drop (local.get $root))
    (call $free-all)
    (if (result i64) (i32.load8_u (i32.const 16)) (then (i64.const 0)) (else (i64.load (i32.const 40)))))

  ;; "n seconds random" and a line feed at 512; gives the end.
  (func $line (param $n i64) (param $seconds i64) (param $random i64) (result i32) (local $end i32)
    (local.set $end (call $decimal (local.get $n) (i32.const 512)))
    (i32.store8 (local.get $end) (i32.const 32))
    (local.set $end (call $decimal (local.get $seconds) (i32.add (local.get $end) (i32.const 1))))
    (i32.store8 (local.get $end) (i32.const 32))
    (local.set $end (call $decimal (local.get $random) (i32.add (local.get $end) (i32.const 1))))
    (i32.store8 (local.get $end) (i32.const 10))
    (i32.add (local.get $end) (i32.const 1)))

  (func $append (param $at i32) (param $length i32) (local $root i32) (local $file i32)
    (local.set $root (call $root))
    ;; no symlinks; create; read and write
    (call $descriptor.open-at
      (local.get $root) (i32.const 0) (i32.const 1040) (i32.const 7) (i32.const 1) (i32.const 3) (i32.const 16))
    (call $expect-ok)
    (local.set $file (i32.load (i32.const 20)))
    (call $descriptor.append-via-stream (local.get $file) (i32.const 16))
    (call $expect-ok)
    (call $write-and-drop (i32.load (i32.const 20)) (local.get $at) (local.get $length))
    (call $descriptor.drop (local.get $file))
    (call $descriptor.drop (local.get $root)))
""",
)
