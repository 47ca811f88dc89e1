"""A guest that reads and writes its files.

interface golem:it/files {
    read: func(path: string) -> result<string, u8>              the first 32 KiB of a file, or the error code's number
    append: func(path: string, text: string) -> result<_, u8>   to a file, which is created if there is none
    edition: func() -> u32                                      which of the guests it is, by default 1
}
"""

from tests.guests.component_text import Guest
from tests.guests.core_text import ROOT, WRITING


def files_guest(edition: int = 1) -> Guest:
    """The guest; editions differ in nothing but their number."""
    return Guest(
        interface="golem:it/files",
        functions={
            "read": '(param "path" string) (result (result string (error u8)))',
            "append": '(param "path" string) (param "text" string) (result (result (error u8)))',
            "edition": "(result u32)",
        },
        core=WRITING
        + ROOT
        + f"""
  ;; 16 results, 256 what is given back, 8192 the content that was read
  (func (export "edition") (result i32) (i32.const {edition}))

  ;; Open a file; whether that failed, with the handle or the error at 20.
  (func $open (param $path i32) (param $length i32) (param $how i32) (param $flags i32) (result i32) (local $root i32)
    (local.set $root (call $root))
    (call $descriptor.open-at
      (local.get $root) (i32.const 0) (local.get $path) (local.get $length) (local.get $how) (local.get $flags)
      (i32.const 16))
    (call $descriptor.drop (local.get $root))
    (i32.load8_u (i32.const 16)))

  (func $failed (result i32)
    (i32.store8 (i32.const 256) (i32.const 1))
    (i32.store8 (i32.const 260) (i32.load8_u (i32.const 20)))
    (call $free-all)
    (i32.const 256))

  (func (export "read") (param $path i32) (param $length i32) (result i32) (local $file i32) (local $stream i32)
    (if (call $open (local.get $path) (local.get $length) (i32.const 0) (i32.const 1)) (then (return (call $failed))))
    (local.set $file (i32.load (i32.const 20)))
    (call $descriptor.read-via-stream (local.get $file) (i64.const 0) (i32.const 16))
    (call $expect-ok)
    (local.set $stream (i32.load (i32.const 20)))
    (i32.store8 (i32.const 256) (i32.const 0))
    (i32.store (i32.const 260) (i32.const 8192))
    (i32.store (i32.const 264) (i32.const 0))
    (call $input-stream.blocking-read (local.get $stream) (i64.const 32768) (i32.const 16))
    (if (i32.eqz (i32.load8_u (i32.const 16)))
      (then
        (i32.store (i32.const 264) (i32.load (i32.const 24)))
        (memory.copy (i32.const 8192) (i32.load (i32.const 20)) (i32.load (i32.const 24)))))
    (call $input-stream.drop (local.get $stream))
    (call $descriptor.drop (local.get $file))
    (call $free-all)
    (i32.const 256))

  (func (export "append") (param $path i32) (param $length i32) (param $text i32) (param $text-length i32) (result i32)
    (local $file i32) (local $failed i32)
    ;; a file that is there is opened, another one made
    (if (call $open (local.get $path) (local.get $length) (i32.const 0) (i32.const 3))
      (then
        (if (call $open (local.get $path) (local.get $length) (i32.const 1) (i32.const 3))
          (then (call $failed) (drop) (return (call $pair))))))
    (local.set $file (i32.load (i32.const 20)))
    (call $descriptor.append-via-stream (local.get $file) (i32.const 16))
    (local.set $failed (i32.load8_u (i32.const 16)))
    (if (local.get $failed)
      (then (i32.store8 (i32.const 257) (i32.load8_u (i32.const 20))))
      (else (call $write-and-drop (i32.load (i32.const 20)) (local.get $text) (local.get $text-length))))
    (i32.store8 (i32.const 256) (local.get $failed))
    (call $descriptor.drop (local.get $file))
    (call $free-all)
    (i32.const 256))

  ;; The error of `$failed` where a result without a value has it.
  (func $pair (result i32)
    (i32.store8 (i32.const 257) (i32.load8_u (i32.const 260)))
    (i32.const 256))
""",
    )


FILES = files_guest()
