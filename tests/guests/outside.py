"""Guests that keep things outside of themselves: in a bucket, and behind a websocket.

interface golem:it/store {
    step: func(n: u64) -> u64       sets `key` to the digits of n, adds 1 to the number `count`, gives the sum
    value: func() -> list<u8>       of `key`; traps if there is none
    carry: func(pieces: u64) -> u64 writes so many pieces of 32 KiB to `key` through a stream, the first byte of each
                                    its number, reads them back through a stream, gives a sum over what came
}

interface golem:it/socket {
    say: func(url: string, text: string) -> list<u8>    the answer to a text, on a connection that is made once
}

All of them trap on whatever should not fail.
"""

from tests.guests.component_text import Guest
from tests.guests.core_text import WRITING

STORE = Guest(
    interface="golem:it/store",
    functions={
        "step": '(param "n" u64) (result u64)',
        "value": "(result (list u8))",
        "carry": '(param "pieces" u64) (result u64)',
    },
    core=WRITING
    + """
  ;; 16 results, 512 digits, 1024 constants, 2048 a piece
  (data (i32.const 1024) "bucketkeycount")

  (func $bucket (result i32)
    (call $bucket.open-bucket (i32.const 1024) (i32.const 6) (i32.const 16))
    (call $expect-ok)
    (i32.load (i32.const 20)))

  (func (export "step") (param $n i64) (result i64) (local $bucket i32) (local $value i32) (local $sum i64)
    (local.set $bucket (call $bucket))
    (local.set $value (call $outgoing-value.new-outgoing-value))
    (call $outgoing-value.outgoing-value-write-body-sync (local.get $value)
      (i32.const 512) (i32.sub (call $decimal (local.get $n) (i32.const 512)) (i32.const 512)) (i32.const 16))
    (call $expect-ok)
    (call $eventual.set (local.get $bucket) (i32.const 1030) (i32.const 3) (local.get $value) (i32.const 16))
    (call $expect-ok)
    (call $outgoing-value.drop (local.get $value))
    (call $atomic.increment (local.get $bucket) (i32.const 1033) (i32.const 5) (i64.const 1) (i32.const 16))
    (call $expect-ok)
    (local.set $sum (i64.load (i32.const 24)))
    (call $bucket.drop (local.get $bucket))
    (call $free-all)
    (local.get $sum))

  (func (export "carry") (param $pieces i64) (result i64)
    (local $bucket i32) (local $value i32) (local $stream i32) (local $piece i64) (local $sum i64)
    (local.set $bucket (call $bucket))
    (local.set $value (call $outgoing-value.new-outgoing-value))
    (call $outgoing-value.outgoing-value-write-body-async (local.get $value) (i32.const 16))
    (call $expect-ok)
    (local.set $stream (i32.load (i32.const 20)))
    (loop $write
      (i64.store8 (i32.const 2048) (local.get $piece))
      (call $output-stream.write (local.get $stream) (i32.const 2048) (i32.const 32768) (i32.const 16))
      (call $expect-ok)
      (local.set $piece (i64.add (local.get $piece) (i64.const 1)))
      (br_if $write (i64.lt_u (local.get $piece) (local.get $pieces))))
    (call $output-stream.drop (local.get $stream))
    (call $eventual.set (local.get $bucket) (i32.const 1030) (i32.const 3) (local.get $value) (i32.const 16))
    (call $expect-ok)
    (call $outgoing-value.drop (local.get $value))
    (call $eventual.get (local.get $bucket) (i32.const 1030) (i32.const 3) (i32.const 16))
    (call $expect-ok)
    (local.set $value (i32.load (i32.const 24)))
    (call $incoming-value.incoming-value-consume-async (local.get $value) (i32.const 16))
    (call $expect-ok)
    (local.set $stream (i32.load (i32.const 20)))
    ;; Each piece counts for its first byte and its length.
    (loop $read
      (call $free-all)
      (call $input-stream.blocking-read (local.get $stream) (i64.const 32768) (i32.const 16))
      (if (i32.eqz (i32.load8_u (i32.const 16)))
        (then
          (local.set $sum (i64.add (local.get $sum)
            (i64.add (i64.load32_u (i32.const 24)) (i64.load8_u (i32.load (i32.const 20))))))
          (br $read))))
    (call $input-stream.drop (local.get $stream))
    (call $incoming-value.drop (local.get $value))
    (call $bucket.drop (local.get $bucket))
    (call $free-all)
    (local.get $sum))

  (func (export "value") (result i32) (local $bucket i32) (local $value i32)
    (local.set $bucket (call $bucket))
    (call $eventual.get (local.get $bucket) (i32.const 1030) (i32.const 3) (i32.const 16))
    (call $expect-ok)
    (if (i32.eqz (i32.load8_u (i32.const 20))) (then unreachable))
    (local.set $value (i32.load (i32.const 24)))
    (call $incoming-value.incoming-value-consume-sync (local.get $value) (i32.const 16))
    (call $expect-ok)
    (call $incoming-value.drop (local.get $value))
    (call $bucket.drop (local.get $bucket))
    (call $free-all)
    (i32.const 20))
""",
)

SOCKET = Guest(
    interface="golem:it/socket",
    functions={"say": '(param "url" string) (param "text" string) (result (list u8))'},
    core=WRITING
    + """
  (global $connection (mut i32) (i32.const 0))

  (func (export "say") (param $url i32) (param $url-length i32) (param $text i32) (param $text-length i32) (result i32)
    (if (i32.eqz (global.get $connection))
      (then
        (call $websocket-connection.connect
          (local.get $url) (local.get $url-length) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16))
        (call $expect-ok)
        (global.set $connection (i32.load (i32.const 20)))))
    (call $websocket-connection.send
      (global.get $connection) (i32.const 0) (local.get $text) (local.get $text-length) (i32.const 16))
    (call $expect-ok)
    (call $websocket-connection.receive (global.get $connection) (i32.const 16))
    (call $expect-ok)
    (call $free-all)
    ;; Behind the tags of the result and of the message lies its text.
    (i32.const 24))
""",
)

OUTSIDE = {"store": STORE, "socket": SOCKET}
