"""What scripts compute: operators, indices, loops, matches and texts, above all where they surprise (section 2.4)."""

import asyncio
import math

import pytest

from golem_server.gateway.rib import RibRuntimeError, compile_script
from golem_server.model.types import OptionType, Primitive, RecordType, Value
from tests.gateway.rib.workers import evaluate

LIST = "let xs: list<u8> = [2, 5, 4, 6]; "


@pytest.mark.parametrize(
    ("script", "value"),
    [
        # Everything groups to the right.
        ("2 * 3 + 4", 14),
        ("10 - 3 - 2", 9),
        ("100 / 10 / 2", 20),
        # Integers.
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("200u8 + 55", 255),
        ("18446744073709551614u64 + 1", 18446744073709551615),
        # Floats.
        ("0.1 + 0.2", 0.1 + 0.2),
        ("1.0 / 0.0", math.inf),
        ("-1.0 / 0.0", -math.inf),
        ("0.1: f32 + 0.2", 0.30000001192092896),
        ("16777216: f32 + 1", 16777216.0),
        ("3: f64 / 2", 1.5),
        # Logic.
        ("!true", False),
        ("true || [1][5] == 1", True),
        ("false && [1][5] == 1", False),
        # Comparisons: across types of numbers, by name, part by part.
        ("1u8 < 2.5", True),
        ("-1 < 1u64", True),
        ("3000000000u64 > -5", True),
        ('"a" < "b"', True),
        ("true == true", True),
        ("false < true", True),
        ('"a": char == "a"', True),
        ("x < y", True),
        ("x == z", False),
        ("cash == cash", True),
        ('card("1") == card("2")', False),
        ('card("1") < card("2")', True),
        ('card("1") == cash', False),
        ('let w = {read, write}; w == {write, read}', True),
        # Indices and slices.
        (LIST + "xs[0]", 2),
        (LIST + "let i: s64 = 3; xs[i]", 6),
        ('let t = (1, "b"); t[1]', "b"),
        (LIST + "xs[1..3]", b"\x05\x04"),
        (LIST + "xs[1..=3]", b"\x05\x04\x06"),
        (LIST + "xs[0..]", b"\x02\x05\x04"),
        (LIST + "xs[3..]", b""),
        (LIST + "xs[3..1]", b""),
        (LIST + "xs[4..4]", b""),
        ("let xs: list<u8> = []; xs[0..]", b""),
        ("let r = 1..3; [1, 2, 3][r]", [2, 3]),
        # Ranges.
        ("let r = 1..=3; r.to", 3),
        ("for i in 5..1 { yield i; }", []),
        ("for i in 1u8..3 { yield i; }", b"\x01\x02"),
        # Loops.
        ("for i in [1, 2] { let j = i * 10; j + 1; yield j; }", [10, 20]),
        ("for i in [[1], [2, 3]] { yield for j in i { yield j + 1; }; }", [[2], [3, 4]]),
        ("reduce a, i in [1, 2, 3] from 100 { yield a - i; }", 94),
        ('reduce a, i in []: list<string> from "none" { yield i; }', "none"),
        # Blocks and shadowing.
        ("let q = 1; let p = { let q = 2; q + 1 }; q + p", 4),
        ("let q = 1; let q = q + 1; q", 2),
        ('let q = 1; match some(5) { some(q) => q, none => 0 } + q', 6),
        # Matches.
        ("match 3 { 1 => 10, q => q + 1 }", 4),
        ('match "b" { "a" => 1, "b" => 2, _ => 3 }', 2),
        ("match (1, some(2)) { (1, some(p)) => p, _ => 0 }", 2),
        ("match {a: 1, b: 2} { {b: 2} => 20, _ => 0 }", 20),
        ("match {a1: 1} { {a1: p} => p }", 1),
        ("match [1, 2, 3] { [p, q] => p + q, _ => 0 }", 3),
        ("match [1] { [] => 1, _ => 2 }", 2),
        ("match some(3) { some(1) => 10, some(p) => p, none => 0 }", 3),
        ("let o: option<s32> = none; match o { some(1) => 10, none => 20, some(_) => 30 }", 20),
        ("match ok(1) { w @ ok(_) => w, err(_) => err(true) }", ("ok", 1)),
        ("match z { x => 1, y => 2, other => 3 }", 3),
        ('match card("12") { card(n) => n, points(_) => "p", cash => "c" }', "12"),
        ("match some(some(none: option<u8>)) "
         "{ some(some(some(p))) => p, some(some(none)) => 7, some(none) => 8, none => 9 }",
         7),
        ("let o: option<option<u8>> = some(none); match o { some(some(_)) => 1, some(none) => 2, none => 3 }", 2),
        # Values of nested options and flags.
        ("let o: option<option<u8>> = some(none); o", (None,)),
        ("let o: option<option<u8>> = some(some(1)); o", (1,)),
        ("let o: option<option<u8>> = none; o", None),
        ("{b, a, b}", ["b", "a"]),
        # Texts.
        ('"${1} ${2.50} ${true} ${"x"} ${"c": char}"', "1 2.5 true x c"),
        ('"${1.0} ${16777217.0} ${0.1: f32} ${1.0 / 0.0}"', "1 16777217 0.1 inf"),
        ('"${[1, 2]} ${(1, "a")} ${some("x")} ${none: option<u8>}"', '[1, 2] (1, "a") some("x") none'),
        ('"${ok(1)} ${x} ${cash} ${card("y")} ${{r, w}}"', 'ok(1) x cash card("y") {r, w}'),
        ('"${["a\\b", "tab\t"]} ${["q": char]}"', '["a\\\\b", "tab\\t"] [\'q\']'),
        ('"${if true then {a: 1, b: 2} else {c: 3}}"', "{a: 1, b: 2}"),
        ('let r = {a: 1}; "${r.a}-${let y = 5; y}"', "1-5"),
        # Nothing.
        ("let q = 1", None),
    ],
)  # fmt: skip
def test_values(script: str, value: Value) -> None:
    found = evaluate(script)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("200u8 + 100", "cast error from 300 to u8"),
        ("3u8 - 5u8", "arithmetic error: overflow in unsigned operation between 3 and 5"),
        ("100: s8 + 100", "cast error from 200 to s8"),
        ("9223372036854775807: s64 + 1", "arithmetic error: overflow in signed operation"),
        ("1 / 0", "arithmetic error: division by zero"),
        ("-128: s8 / -1", "cast error from 128 to s8"),
        ("{a: 1} == {a: 1}", "Invalid comparison: failed to compared values"),
        ("[1] == [1]", "Invalid comparison"),
        ("(1, 2) < (1, 3)", "Invalid comparison"),
        ("some(1) == some(1)", "Invalid comparison"),
        ("{a} < {b}", "Invalid comparison"),
        (LIST + "xs[4]", "index out of bound: 4 (size: 4)"),
        (LIST + "xs[-1]", "index out of bound: -1 (size: 4)"),
        (LIST + "xs[2..9]", "index out of bound: 9 (size: 4)"),
        (LIST + "xs[-2..1]", "index out of bound: -2 (size: 4)"),
        ("match [1] { [1, 2] => 1, _ => 2 }", "index out of bound: 1 (size: 1)"),
        ("match 3 { 1 => 1, 2 => 2 }", "error: No match found"),
        ("match z { x => 1, y => 2 }", "error: No match found"),
        ("let r = if false then {a: 1} else {b: 2}; r.a", "field not found: a"),
        ("for i in 1.. { yield i; }", "infinite computation detected: an infinite range is being iterated"),
        ("for i in 1..4000000000 { yield i; }", "the script takes more than 100000 steps"),
        ("for i in 1..1000 { yield for j in 1..1000 { yield j; }; }", "the script takes more than 100000 steps"),
        ('reduce a, i in 1..100 from "x" { yield "${a}${a}"; }', "a text is longer than"),
        (
            'let q = for i in 1..99 { yield "x"; }; reduce a, i in 1..90 from "x" { yield "${a}${q}${q}${a}"; }',
            "a text",
        ),
    ],
)
def test_failures(script: str, message: str) -> None:
    with pytest.raises(RibRuntimeError) as caught:
        evaluate(script)
    assert caught.value.message.startswith(message)


def test_a_failure_says_where() -> None:
    with pytest.raises(RibRuntimeError) as caught:
        evaluate("let q = 1;\nlet p = [q][q];\np")
    assert (caught.value.position.line, caught.value.position.column) == (2, 9)


def test_a_value_that_shares_its_parts_does_not_grow_without_bound() -> None:
    lines = " ".join(f"let x{at + 1} = [x{at}[0], x{at}[0]];" for at in range(3))
    assert evaluate(f"let x0 = [1]; {lines} x3") == [1, 1]
    doubled = "reduce a, i in 1..40000 from [1] { yield [1]; }"
    assert evaluate(doubled) == [1]
    big = 'let t = for i in 1..20000 { yield "x"; }; for j in 1..60 { yield t; }'
    with pytest.raises(RibRuntimeError, match="a value has more than"):
        evaluate(big)


def test_long_evaluations_let_others_run() -> None:
    script = compile_script("reduce a, i in 1..50000 from 0u64 { yield a + i; }")

    async def scenario() -> tuple[Value, int]:
        turns = 0
        task = asyncio.ensure_future(script.evaluate({}))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return task.result(), turns

    value, turns = asyncio.run(scenario())
    assert value == sum(range(50000))
    assert turns > 10


def test_one_script_is_evaluated_many_times_at_once() -> None:
    script = compile_script("let n: u64 = request.path.n; reduce a, i in 0..n from 0u64 { yield a + 1; }")

    async def scenario() -> list[Value]:
        inputs = [{"request": {"path": {"n": n}}} for n in range(1500, 1520)]
        return list(await asyncio.gather(*map(script.evaluate, inputs)))

    assert asyncio.run(scenario()) == list(range(1500, 1520))


def test_a_missing_input_is_an_error() -> None:
    with pytest.raises(RibRuntimeError, match="input not found: request"):
        asyncio.run(compile_script("request.path.x").evaluate({}))


def test_the_type_of_one_value() -> None:
    script = compile_script("if request.path.x == 1 then some({a: 1}) else some({b: [{c: 1}, {d: true}]})")
    first = asyncio.run(script.evaluate({"request": {"path": {"x": 1}}}))
    narrowed = script.output_of(first)
    assert isinstance(narrowed, OptionType)
    assert isinstance(narrowed.inner, RecordType)
    assert [(field.name, field.type) for field in narrowed.inner.fields] == [("a", Primitive.S32)]
    second = asyncio.run(script.evaluate({"request": {"path": {"x": 2}}}))
    with pytest.raises(RibRuntimeError, match="differ in their fields"):
        script.output_of(second)
