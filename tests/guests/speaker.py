"""A guest that logs and prints: what those hear who watch a worker."""

from __future__ import annotations

from functools import cache

from wasmtime import wat2wasm

SAY = "golem:it/speaker"

TEXT = f"""(component
  (import "wasi:logging/logging" (instance $logging
    (type $cases (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $cases)))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $error (type $outer))
    (export "error" (type $failure (eq $outer)))
    (type $cases (variant (case "last-operation-failed" (own $failure)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $cases)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $outer))
    (export "output-stream" (type $output (eq $outer)))
    (export "get-stdout" (func (result (own $output))))))
  (core module $memory-module (memory (export "memory") 1)
    (data (i32.const 64) "context") (data (i32.const 80) "message") (data (i32.const 96) "h\\c3\\a9\\0a"))
  (core instance $memory (instantiate $memory-module))
  (core func $log (canon lower (func $logging "log") (memory (core memory $memory "memory"))))
  (core func $stdout-of (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory (core memory $memory "memory"))))
  (core module $code
    (import "h" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "h" "stdout" (func $stdout (result i32)))
    (import "h" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "say") (param i32 i32)
      (block $done (loop $again
        (br_if $done (i32.eqz (local.get 1)))
        (call $log (local.get 0) (i32.const 64) (i32.const 7) (i32.const 80) (i32.const 7))
        (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
        (br $again))))
    (func (export "shout") (param i32)
      (block $done (loop $again
        (br_if $done (i32.eqz (local.get 0)))
        (call $log (i32.const 2) (i32.const 64) (i32.const 7) (i32.const 1024) (i32.const 32768))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br $again))))
    (func (export "print") (call $write (call $stdout) (i32.const 96) (i32.const 4) (i32.const 16)))
    (func (export "fail") unreachable))
  (core instance $main (instantiate $code (with "h" (instance
    (export "log" (func $log)) (export "stdout" (func $stdout-of)) (export "write" (func $write))))))
  (func $say (param "level" u32) (param "times" u32) (canon lift (core func $main "say")))
  (func $shout (param "times" u32) (canon lift (core func $main "shout")))
  (func $print (canon lift (core func $main "print")))
  (func $fail (canon lift (core func $main "fail")))
  (component $speaker
    (import "say" (func $say (param "level" u32) (param "times" u32)))
    (import "shout" (func $shout (param "times" u32)))
    (import "print" (func $print))
    (import "fail" (func $fail))
    (export "say" (func $say)) (export "shout" (func $shout)) (export "print" (func $print))
    (export "fail" (func $fail)))
  (instance $exported (instantiate $speaker
    (with "say" (func $say)) (with "shout" (func $shout)) (with "print" (func $print)) (with "fail" (func $fail))))
  (export "{SAY}" (instance $exported)))
"""
"""`say(level, times)` logs the text `message`, `shout(times)` 32 KiB of zeros, `print` writes to standard output,
`fail` traps."""


@cache
def speaker() -> bytes:
    """The component."""
    return bytes(wat2wasm(TEXT))
