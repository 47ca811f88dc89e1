"""Pieces of core module text that several guests share: numbers as text, writing to streams, an outgoing POST.

They use the memory from 16 to 96 for what host functions give back, and trap on whatever should not have failed.
"""

WRITING = """
  ;; The value in decimal digits at an address; gives the address behind the last one.
  (func $decimal (param $value i64) (param $at i32) (result i32) (local $rest i64) (local $end i32) (local $to i32)
    (local.set $rest (local.get $value))
    (local.set $end (local.get $at))
    (loop $count
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (local.set $rest (i64.div_u (local.get $rest) (i64.const 10)))
      (br_if $count (i64.ne (local.get $rest) (i64.const 0))))
    (local.set $to (local.get $end))
    (loop $digit
      (local.set $to (i32.sub (local.get $to) (i32.const 1)))
      (i64.store8 (local.get $to) (i64.add (i64.const 48) (i64.rem_u (local.get $value) (i64.const 10))))
      (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
      (br_if $digit (i32.gt_u (local.get $to) (local.get $at))))
    (local.get $end))

  ;; Trap unless the result at 16 is ok.
  (func $expect-ok (if (i32.load8_u (i32.const 16)) (then unreachable)))

  ;; Write bytes (at most 4096) to a stream and drop it.
  (func $write-and-drop (param $stream i32) (param $at i32) (param $length i32)
    (call $output-stream.blocking-write-and-flush
      (local.get $stream) (local.get $at) (local.get $length) (i32.const 16))
    (call $expect-ok)
    (call $output-stream.drop (local.get $stream)))
"""
"""Needs no more than a guest that calls `$write-and-drop`."""

POST = """
  (data (i32.const 1024) "/effect")

  ;; POST bytes to http://AUTHORITY/effect, read the whole answer, give its status. The body is written before the
  ;; request is handed over if `early`, else afterwards.
  (func $post (param $authority i32) (param $authority-length i32) (param $body i32) (param $length i32)
    (param $early i32) (result i32)
    (local $request i32) (local $outgoing i32) (local $future i32) (local $response i32) (local $status i32)
    (local.set $request (call $outgoing-request.new (call $fields.new)))
    (drop (call $outgoing-request.set-method
      (local.get $request) (i32.const 2) (i32.const 0) (i32.const 0)))
    (drop (call $outgoing-request.set-scheme
      (local.get $request) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
    (if (call $outgoing-request.set-authority
          (local.get $request) (i32.const 1) (local.get $authority) (local.get $authority-length))
      (then unreachable))
    (drop (call $outgoing-request.set-path-with-query
      (local.get $request) (i32.const 1) (i32.const 1024) (i32.const 7)))
    (call $outgoing-request.body (local.get $request) (i32.const 16))
    (call $expect-ok)
    (local.set $outgoing (i32.load (i32.const 20)))
    (if (local.get $early)
      (then (call $send-body (local.get $outgoing) (local.get $body) (local.get $length))))
    (call $outgoing-handler.handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 16))
    (call $expect-ok)
    (local.set $future (i32.load (i32.const 24)))
    (if (i32.eqz (local.get $early))
      (then (call $send-body (local.get $outgoing) (local.get $body) (local.get $length))))
    (local.set $response (call $await-response (local.get $future)))
    (local.set $status (call $incoming-response.status (local.get $response)))
    (call $discard-body (local.get $response))
    (call $incoming-response.drop (local.get $response))
    (call $future-incoming-response.drop (local.get $future))
    (local.get $status))

  (func $send-body (param $outgoing i32) (param $at i32) (param $length i32)
    (call $outgoing-body.write (local.get $outgoing) (i32.const 16))
    (call $expect-ok)
    (call $write-and-drop (i32.load (i32.const 20)) (local.get $at) (local.get $length))
    (call $outgoing-body.finish (local.get $outgoing) (i32.const 0) (i32.const 0) (i32.const 16))
    (call $expect-ok))

  ;; option<result<result<response, error-code>>>: the three tags lie at 16, 24 and 32, the handle at 40.
  (func $await-response (param $future i32) (result i32) (local $pollable i32)
    (loop $again
      (call $future-incoming-response.get (local.get $future) (i32.const 16))
      (if (i32.eqz (i32.load8_u (i32.const 16)))
        (then
          (local.set $pollable (call $future-incoming-response.subscribe (local.get $future)))
          (i32.store (i32.const 96) (local.get $pollable))
          (call $poll.poll (i32.const 96) (i32.const 1) (i32.const 16))
          (call $pollable.drop (local.get $pollable))
          (br $again))))
    (if (i32.or (i32.load8_u (i32.const 24)) (i32.load8_u (i32.const 32))) (then unreachable))
    (i32.load (i32.const 40)))

  (func $discard-body (param $response i32) (local $body i32) (local $stream i32)
    (call $incoming-response.consume (local.get $response) (i32.const 16))
    (call $expect-ok)
    (local.set $body (i32.load (i32.const 20)))
    (call $incoming-body.stream (local.get $body) (i32.const 16))
    (call $expect-ok)
    (local.set $stream (i32.load (i32.const 20)))
    (loop $more
      (call $input-stream.blocking-read (local.get $stream) (i64.const 4096) (i32.const 16))
      (br_if $more (i32.eqz (i32.load8_u (i32.const 16)))))
    ;; The error must be `closed`, not a failure.
    (if (i32.eqz (i32.load8_u (i32.const 20))) (then unreachable))
    (call $input-stream.drop (local.get $stream))
    (call $future-trailers.drop (call $incoming-body.finish (local.get $body))))
"""
"""Outgoing HTTP, with `WRITING`."""

ROOT = """
  ;; The first preopened directory; the others are dropped. An entry: handle, path address, path length.
  (func $root (result i32) (local $entry i32) (local $end i32) (local $root i32)
    (call $preopens.get-directories (i32.const 16))
    (local.set $entry (i32.load (i32.const 16)))
    (local.set $end (i32.add (local.get $entry) (i32.mul (i32.load (i32.const 20)) (i32.const 12))))
    (local.set $root (i32.load (local.get $entry)))
    (loop $next
      (local.set $entry (i32.add (local.get $entry) (i32.const 12)))
      (if (i32.lt_u (local.get $entry) (local.get $end))
        (then
          (call $descriptor.drop (i32.load (local.get $entry)))
          (br $next))))
    (local.get $root))
"""
"""The worker's folder: `$root` gives its descriptor, which the caller drops."""
