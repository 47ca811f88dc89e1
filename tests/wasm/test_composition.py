"""Two components become one: what fits is wired, the rest is imported with its types, and what does not fit says so."""

from __future__ import annotations

import pytest

from golem_server.model.errors import InvalidInput
from golem_server.wasm.binary import sections
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.composition import compose
from golem_server.wasm.inspection import ComponentReader
from tests.wasm.conftest import binary

TYPES = """
    (type $point (record (field "x" u32) (field "y" (option float64))))
    (export "point" (type $named-point (eq $point)))
    (type $kind (variant (case "none") (case "one" $named-point) (case "many" (list $named-point))))
    (export "kind" (type $named-kind (eq $kind)))
    (type $marks (flags "a" "b"))
    (export "marks" (type $named-marks (eq $marks)))
    (type $colour (enum "red" "green"))
    (export "colour" (type $named-colour (eq $colour)))"""
SIGNATURE = """(param "k" $named-kind) (param "t" (tuple char $named-marks s8)) (result $named-colour)"""
ERRORS = '(import "wasi:io/error@0.2.3" (instance $errors (export "error" (type (sub resource)))))'
STREAMS = """
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $error (type $outer))
    (export "error" (type $failure (eq $outer)))
    (type $cases (variant (case "last-operation-failed" (own $failure)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $cases)))
    (export "[method]output-stream.flush" (func
      (param "self" (borrow $stream)) (result (result (error $stream-error)))))))"""

PLUG = f"""(component
  {ERRORS}{STREAMS}
  (import "it:only/plug" (instance (export "f" (func (param "x" (result u8 (error string))) (result (list u8))))))
  (core module $code
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "paint") (param i32 i32 i32 f64 i32 i32 i32) (result i32) (i32.const 1)))
  (core instance $main (instantiate $code))
  (type $point (record (field "x" u32) (field "y" (option float64))))
  (type $kind (variant (case "none") (case "one" $point) (case "many" (list $point))))
  (type $marks (flags "a" "b"))
  (type $colour (enum "red" "green"))
  (func $paint (param "k" $kind) (param "t" (tuple char $marks s8)) (result $colour)
    (canon lift (core func $main "paint") (memory (core memory $main "memory"))
      (realloc (core func $main "realloc"))))
  (component $shapes
    (import "point" (type $p (eq $point)))
    (type $kind-of (variant (case "none") (case "one" $p) (case "many" (list $p))))
    (import "kind" (type $k (eq $kind-of)))
    (import "marks" (type $m (eq $marks)))
    (import "colour" (type $c (eq $colour)))
    (import "paint" (func $paint (param "k" $k) (param "t" (tuple char $m s8)) (result $c)))
    (export $point-out "point" (type $p))
    (type $kind-out-of (variant (case "none") (case "one" $point-out) (case "many" (list $point-out))))
    (export $kind-out "kind" (type $kind-out-of))
    (export $marks-out "marks" (type $m))
    (export $colour-out "colour" (type $c))
    (export "paint" (func $paint) (func (param "k" $kind-out) (param "t" (tuple char $marks-out s8))
      (result $colour-out))))
  (instance $exported (instantiate $shapes (with "point" (type $point)) (with "kind" (type $kind))
    (with "marks" (type $marks)) (with "colour" (type $colour)) (with "paint" (func $paint))))
  (export "it:shapes/shapes@0.3.1" (instance $exported)))"""

SOCKET = f"""(component
  (import "run" (func (param "x" u32)))
  {ERRORS}
  (import "it:shapes/shapes@0.3.0" (instance $shapes {TYPES}
    (export "paint" (func {SIGNATURE}))))
  {STREAMS}
  (import "wasi:random/random@0.2.3" (instance (export "get-random-u64" (func (result u64)))))
  (core module $code (func (export "go") (result i32) (i32.const 7)))
  (core instance $main (instantiate $code))
  (func $go (result u32) (canon lift (core func $main "go")))
  (instance $exported (export "go" (func $go)))
  (export "it:app/app" (instance $exported))
  (export "go" (func $go)))"""


@pytest.fixture(scope="module")
def reader(code_cache: CodeCache) -> ComponentReader:
    """What the server inspects uploads with."""
    return ComponentReader(code_cache)


async def test_all_that_is_not_wired_is_imported_with_its_types(reader: ComponentReader) -> None:
    (plugged, _), (socketed, _) = await reader.inspect(binary(PLUG)), await reader.inspect(binary(SOCKET))
    joined, _ = await reader.inspect(await reader.compose(binary(SOCKET), binary(PLUG)))
    assert joined.exports.keys() == socketed.exports.keys()
    assert joined.exported_functions == socketed.exported_functions
    assert joined.imported_functions == socketed.imported_functions
    own = {"wasi:io/error@0.2.3", "wasi:io/streams@0.2.3", "wasi:random/random@0.2.3"}
    plugs = {"it:only/plug": "it:only/plug"} | {f"{name}+plug1": name for name in own if "random" not in name}
    assert joined.imports.keys() == own | plugs.keys()
    for name in own:
        assert joined.imports[name].functions.keys() == socketed.imports[name].functions.keys()
    for shown, name in plugs.items():
        assert joined.imports[shown].functions.keys() == plugged.imports[name].functions.keys()
    assert joined.imports["it:only/plug"].functions == plugged.imports["it:only/plug"].functions


async def test_what_was_joined_can_be_joined_again(reader: ComponentReader) -> None:
    once = await reader.compose(binary(SOCKET), binary(PLUG))
    drawing = f"""(component {ERRORS}
      (core module $code (func (export "get") (result i64) (i64.const 4)))
      (core instance $main (instantiate $code))
      (func $get (result u64) (canon lift (core func $main "get")))
      (instance $exported (export "get-random-u64" (func $get)))
      (export "wasi:random/random@0.2.9" (instance $exported)))"""
    twice, _ = await reader.inspect(await reader.compose(once, binary(drawing)))
    assert sorted(twice.imports) == [
        "it:only/plug",
        "wasi:io/error@0.2.3",
        "wasi:io/error@0.2.3+plug1",
        "wasi:io/error@0.2.3+plug2",
        "wasi:io/streams@0.2.3",
        "wasi:io/streams@0.2.3+plug1",
    ]


async def test_an_export_that_speaks_of_the_plugs_types_shows_them(reader: ComponentReader) -> None:
    resources = """(component
      (type $own (resource (rep i32)))
      (core func $new (canon resource.new $own))
      (core module $code (import "m" "new" (func $new (param i32) (result i32)))
        (func (export "make") (result i32) (call $new (i32.const 5))))
      (core instance $main (instantiate $code (with "m" (instance (export "new" (func $new))))))
      (func $make (result (own $own)) (canon lift (core func $main "make")))
      (component $things
        (import "thing" (type $t (sub resource)))
        (import "make" (func $make (result (own $t))))
        (export $out "thing" (type $t))
        (export "make" (func $make) (func (result (own $out)))))
      (instance $exported (instantiate $things (with "thing" (type $own)) (with "make" (func $make))))
      (export "it:things/things" (instance $exported)))"""
    app = """(component
      (import "it:things/things" (instance $things (export "thing" (type $t (sub resource)))
        (export "make" (func (result (own $t))))))
      (alias export $things "make" (func $make))
      (instance $exported (export "again" (func $make)))
      (export "it:app/app" (instance $exported)))"""
    joined, _ = await reader.inspect(await reader.compose(binary(app), binary(resources)))
    assert joined.exports.keys() == {"it:app/app", "it:things/things"}


@pytest.mark.parametrize(
    ("socket", "plug", "reason"),
    [
        (SOCKET, SOCKET, "nothing in common"),
        (PLUG, PLUG, "nothing in common"),
        (SOCKET, PLUG.replace("shapes@0.3.1", "shapes@0.4.0"), "nothing in common"),
        (SOCKET, PLUG.replace('"green"', '"blue"'), "cannot be compiled"),
        (
            SOCKET.replace('(import "run"', '(import "it:only/plug" (instance))(import "run"'),
            PLUG,
            "both import it:only/plug, which has no version",
        ),
        (
            SOCKET,
            PLUG.replace("(component\n", '(component (import "f" (func $f)) (core func (canon lower (func $f)))\n', 1),
            "code before its imports",
        ),
    ],
)
async def test_what_cannot_be_joined_says_why(reader: ComponentReader, socket: str, plug: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        await reader.compose(binary(socket), binary(plug))


def test_damaged_declarations_are_refused() -> None:
    socket, plug = binary(SOCKET), binary(PLUG)
    refused = 0
    begins = sum(len(contents) for _, contents in list(sections(memoryview(socket)))[:6])
    for at in range(9, begins):
        broken = bytearray(socket)
        broken[at] ^= 0xFF
        try:
            compose(bytes(broken), plug)
        except InvalidInput:
            refused += 1
    assert refused > begins // 2


def test_both_parts_are_nested_as_they_are() -> None:
    socket, plug = binary(SOCKET), binary(PLUG)
    nested = [bytes(contents) for section, contents in sections(memoryview(compose(socket, plug))) if section == 4]
    assert nested == [plug, socket]
