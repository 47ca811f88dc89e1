"""A guest that moves long streams and keeps nothing of them: golem:it/streaming.

    download: func(url-authority: string) -> u64            GET /effect and read all of it; the number of bytes
    upload: func(url-authority: string, pieces: u64) -> u32 POST to /effect, written while it is sent; the status
    copy: func(pieces: u64) -> u64                          write a file and read it again; the number of bytes read

Pieces have 32 KiB: the number of the piece, and zeroes.
"""

from __future__ import annotations

from tests.guests.component_text import Guest
from tests.guests.core_text import POST, WRITING

PIECE = 32 << 10

_STREAMING = f"""
  {WRITING}
  {POST}
  (data (i32.const 1040) "content")

  (func (export "download") (param $authority i32) (param $length i32) (result i64)
    (local $request i32) (local $response i32) (local $body i32) (local $stream i32) (local $count i64)
    (local.set $request (call $outgoing-request.new (call $fields.new)))
    (call $aim (local.get $request) (local.get $authority) (local.get $length))
    (call $outgoing-handler.handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 16))
    (call $expect-ok)
    (local.set $response (call $await-response (i32.load (i32.const 24))))
    (call $incoming-response.consume (local.get $response) (i32.const 16))
    (call $expect-ok)
    (local.set $body (i32.load (i32.const 20)))
    (call $incoming-body.stream (local.get $body) (i32.const 16))
    (call $expect-ok)
    (local.set $stream (i32.load (i32.const 20)))
    (local.set $count (call $read-all (local.get $stream)))
    (call $future-trailers.drop (call $incoming-body.finish (local.get $body)))
    (call $incoming-response.drop (local.get $response))
    (local.get $count))

  (func (export "upload") (param $authority i32) (param $length i32) (param $pieces i64) (result i32)
    (local $request i32) (local $future i32) (local $body i32) (local $response i32) (local $status i32)
    (local.set $request (call $outgoing-request.new (call $fields.new)))
    (drop (call $outgoing-request.set-method
      (local.get $request) (i32.const 2) (i32.const 0) (i32.const 0)))
    (call $aim (local.get $request) (local.get $authority) (local.get $length))
    (call $outgoing-request.body (local.get $request) (i32.const 16))
    (call $expect-ok)
    (local.set $body (i32.load (i32.const 20)))
    (call $outgoing-handler.handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 16))
    (call $expect-ok)
    (local.set $future (i32.load (i32.const 24)))
    (call $outgoing-body.write (local.get $body) (i32.const 16))
    (call $expect-ok)
    (call $write-pieces (i32.load (i32.const 20)) (local.get $pieces))
    (call $outgoing-body.finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 16))
    (call $expect-ok)
    (local.set $response (call $await-response (local.get $future)))
    (local.set $status (call $incoming-response.status (local.get $response)))
    (call $discard-body (local.get $response))
    (call $incoming-response.drop (local.get $response))
    (call $future-incoming-response.drop (local.get $future))
    (call $free-all)
    (local.get $status))

  (func (export "copy") (param $pieces i64) (result i64) (local $root i32) (local $file i32) (local $count i64)
    (call $preopens.get-directories (i32.const 16))
    (local.set $root (i32.load (i32.load (i32.const 16))))
    ;; create and truncate; read and write
    (call $descriptor.open-at
      (local.get $root) (i32.const 0) (i32.const 1040) (i32.const 7) (i32.const 9) (i32.const 3) (i32.const 16))
    (call $expect-ok)
    (local.set $file (i32.load (i32.const 20)))
    (call $descriptor.write-via-stream (local.get $file) (i64.const 0) (i32.const 16))
    (call $expect-ok)
    (call $write-pieces (i32.load (i32.const 20)) (local.get $pieces))
    (call $descriptor.read-via-stream (local.get $file) (i64.const 0) (i32.const 16))
    (call $expect-ok)
    (local.set $count (call $read-all (i32.load (i32.const 20))))
    (call $descriptor.drop (local.get $file))
    (local.get $count))

  (func $aim (param $request i32) (param $authority i32) (param $length i32)
    (drop (call $outgoing-request.set-scheme
      (local.get $request) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
    (if (call $outgoing-request.set-authority
          (local.get $request) (i32.const 1) (local.get $authority) (local.get $length))
      (then unreachable))
    (drop (call $outgoing-request.set-path-with-query
      (local.get $request) (i32.const 1) (i32.const 1024) (i32.const 7))))

  ;; Read a stream to its end and drop it; gives the number of bytes.
  (func $read-all (param $stream i32) (result i64) (local $count i64)
    (block $end
      (loop $more
        (call $input-stream.blocking-read (local.get $stream) (i64.const 1048576) (i32.const 16))
        (br_if $end (i32.load8_u (i32.const 16)))
        (local.set $count (i64.add (local.get $count) (i64.load32_u (i32.const 24))))
        (call $free-all)
        (br $more)))
    ;; The error must be `closed`, not a failure.
    (if (i32.eqz (i32.load8_u (i32.const 20))) (then unreachable))
    (call $input-stream.drop (local.get $stream))
    (local.get $count))

  ;; Write pieces, as far as the stream permits each time, and drop the stream.
  (func $write-pieces (param $stream i32) (param $pieces i64)
    (local $left i32) (local $permit i32) (local $pollable i32)
    (block $end
      (loop $next
        (br_if $end (i64.eqz (local.get $pieces)))
        (i64.store (i32.const 4096) (local.get $pieces))
        (local.set $left (i32.const {PIECE}))
        (loop $more
          (call $output-stream.check-write (local.get $stream) (i32.const 16))
          (call $expect-ok)
          (local.set $permit (i32.load (i32.const 24)))
          (if (i32.eqz (local.get $permit))
            (then
              (local.set $pollable (call $output-stream.subscribe (local.get $stream)))
              (call $pollable.block (local.get $pollable))
              (call $pollable.drop (local.get $pollable))
              (br $more)))
          (if (i32.lt_u (local.get $left) (local.get $permit)) (then (local.set $permit (local.get $left))))
          (call $output-stream.write
            (local.get $stream)
            (i32.add (i32.const 4096) (i32.sub (i32.const {PIECE}) (local.get $left)))
            (local.get $permit)
            (i32.const 16))
          (call $expect-ok)
          (local.set $left (i32.sub (local.get $left) (local.get $permit)))
          (br_if $more (local.get $left)))
        (local.set $pieces (i64.sub (local.get $pieces) (i64.const 1)))
        (br $next)))
    (call $output-stream.drop (local.get $stream)))
"""

STREAMING = Guest(
    "golem:it/streaming",
    {
        "download": '(param "url-authority" string) (result u64)',
        "upload": '(param "url-authority" string) (param "pieces" u64) (result u32)',
        "copy": '(param "pieces" u64) (result u64)',
    },
    _STREAMING,
).text()
"""The component as text."""
