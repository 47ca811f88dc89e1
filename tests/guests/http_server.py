"""A guest that answers HTTP requests: it exports wasi:http/incoming-handler@0.2.3.

It counts the requests that it was given. The answer's status is 200 and the count; its body is the request's body,
written piece by piece while it is read. Before that it sleeps for 50 ms. A request without a body is left without a
response.
"""

from __future__ import annotations

from tests.guests.component_text import Guest

_HANDLE = """
  (global $count (mut i32) (i32.const 0))
  (func $expect-ok (if (i32.load8_u (i32.const 16)) (then unreachable)))
  (func (export "handle") (param $request i32) (param $outparam i32)
    (local $response i32) (local $in i32) (local $out i32) (local $incoming i32) (local $outgoing i32)
    (local $empty i32) (local $pollable i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (local.set $response (call $outgoing-response.new (call $fields.new)))
    (if (call $outgoing-response.set-status-code
          (local.get $response) (i32.add (i32.const 200) (global.get $count)))
      (then unreachable))
    (call $outgoing-response.body (local.get $response) (i32.const 16))
    (call $expect-ok)
    (local.set $outgoing (i32.load (i32.const 20)))
    (call $outgoing-body.write (local.get $outgoing) (i32.const 16))
    (call $expect-ok)
    (local.set $out (i32.load (i32.const 20)))
    (call $incoming-request.consume (local.get $request) (i32.const 16))
    (call $expect-ok)
    (local.set $incoming (i32.load (i32.const 20)))
    (call $incoming-body.stream (local.get $incoming) (i32.const 16))
    (call $expect-ok)
    (local.set $in (i32.load (i32.const 20)))
    (local.set $empty (i32.const 1))
    (local.set $pollable (call $monotonic-clock.subscribe-duration (i64.const 50000000)))
    (call $pollable.block (local.get $pollable))
    (call $pollable.drop (local.get $pollable))
    (block $end
      (loop $more
        (call $input-stream.blocking-read (local.get $in) (i64.const 65536) (i32.const 16))
        (br_if $end (i32.load8_u (i32.const 16)))
        (local.set $empty (i32.const 0))
        (call $output-stream.write
          (local.get $out) (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i32.const 16))
        (call $expect-ok)
        (call $free-all)
        (br $more)))
    (call $input-stream.drop (local.get $in))
    (call $output-stream.drop (local.get $out))
    (call $future-trailers.drop (call $incoming-body.finish (local.get $incoming)))
    (call $incoming-request.drop (local.get $request))
    (call $outgoing-body.finish (local.get $outgoing) (i32.const 0) (i32.const 0) (i32.const 16))
    (call $expect-ok)
    (if (local.get $empty)
      (then
        (call $outgoing-response.drop (local.get $response))
        (call $response-outparam.drop (local.get $outparam)))
      (else
        (call $response-outparam.set (local.get $outparam) (i32.const 0) (local.get $response)
          (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
    (call $free-all))
"""

HTTP_SERVER = Guest(
    "wasi:http/incoming-handler@0.2.3",
    {
        "handle": '(param "request" (own $http-types.incoming-request)) '
        '(param "response-out" (own $http-types.response-outparam))'
    },
    _HANDLE,
).text()
"""The component as text."""
