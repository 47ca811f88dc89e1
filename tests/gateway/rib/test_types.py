"""The types of scripts: what is inferred, from both ends, and what is refused with which words."""

import time
from itertools import pairwise

import pytest

from golem_server.gateway.rib import Position, RibTypeError, compile_script
from golem_server.model.types import (
    EnumType,
    FlagsType,
    ListType,
    OptionType,
    Primitive,
    ResultType,
    TupleType,
    WitType,
)
from tests.gateway.rib.workers import BOOL, F32, ITEM, PAYMENT, S32, STRING, U8, U32, U64, compiled, record

W = 'let w = instance("w"); '


@pytest.mark.parametrize(
    ("script", "type_"),
    [
        ("1", S32),
        ("1.5", Primitive.F64),
        ("5000000000", Primitive.S64),
        ("18446744073709551615", U64),
        ('"x"', STRING),
        ('"x": char', Primitive.CHAR),
        ("1: f32", F32),
        ("1 + 2u8", U8),
        ("let x = 1; let y = x; y + 2u8; x", U8),
        ("let x: list<u8> = [1]; x[0]", U8),
        ("1 < 2u8", BOOL),
        ("[]: list<u8>", ListType(U8)),
        ("[[], [1]]", ListType(ListType(S32))),
        ("(1, true)", TupleType((S32, BOOL))),
        ("(1, true)[1]", BOOL),
        ("some(none: option<u8>)", OptionType(OptionType(U8))),
        ("ok(1)", ResultType(S32, None)),
        ('if true then ok(1u8) else err("x")', ResultType(U8, STRING)),
        ("if true then {a: 1, b: 2} else {c: 3, a: 4u8}", record(a=U8, b=S32, c=S32)),
        ("{read, fly}", FlagsType(("read", "fly"))),
        ("{}", FlagsType(())),
        ("x", EnumType(("x", "y", "z"))),
        ('card("1")', PAYMENT),
        ("cash", PAYMENT),
        ("let x = 1", None),
        ("!true", BOOL),
        ("1..=2u8", record(**{"from": U8, "to": U8, "inclusive": BOOL})),
        ("for i in 1..3 { yield {a: i}; }", ListType(record(a=S32))),
        ("match some(1u8) { some(x) => x, none => 0 }", U8),
        (W + "w.pay(points(1))", PAYMENT),
        (W + "w.wrap({a: {b: 1}}, none)", OptionType(OptionType(U8))),
        (W + "w.pair()[0]", U8),
        (W + "w.done()", None),
        ('"${1; 2}"', STRING),
        ("run(1)", U8),
    ],
)
def test_types_are_inferred(script: str, type_: WitType | None) -> None:
    assert compiled(script).output == type_


@pytest.mark.parametrize(
    ("script", "fields"),
    [
        ("request.path.id", {"path": record(id=STRING)}),
        ("let x: u64 = request.path.id; x", {"path": record(id=U64)}),
        ("request.path.id + 1", {"path": record(id=S32)}),
        ("request.query.a == 1u8", {"query": record(a=U8)}),
        ('if request.headers.a == "x" then request.header.b else "c"',
         {"header": record(b=STRING), "headers": record(a=STRING)}),
        ("let x: string = request.body; x", {"body": STRING}),
        ("let x: bool = request.query.x; x", {"query": record(x=BOOL)}),
        (W + "w.add-item(request.body)", {"body": ITEM}),
        (W + "w.add-item({product-id: request.path.id, name: request.body.name, price: request.body.b.p, quantity: 1})",
         {"body": record(b=record(p=F32), name=STRING), "path": record(id=STRING)}),
        (W + "for i in request.body { w.add-item(i); yield i.name; }", {"body": ListType(ITEM)}),
        ("let x: u8 = request.body.a[0].b; x", {"body": record(a=ListType(record(b=U8)))}),
        ("request.request_id.value", {"request_id": None}),
        ('request.body == "x"', {"body": STRING}),
        ("match request.body.x { some(a) => a, none => 1u8 }", {"body": record(x=OptionType(U8))}),
        ("let x = request; let y: u8 = x.body.z; y", {"body": record(z=U8)}),
    ],
)  # fmt: skip
def test_the_request_has_the_fields_that_are_used(script: str, fields: dict[str, WitType]) -> None:
    found = compiled(script).inputs["request"].fields
    assert [field.name for field in found] == list(fields)
    assert all(fields[field.name] in (field.type, None) for field in found)


REFUSED = [
    ("let x: u8 = 1; x + 2u16", 1, 20, "type mismatch. expected u8, found u16"),
    ("1: u8 + true", 1, 9, "type mismatch. expected u8, found bool"),
    ("let x: string = 1; x", 1, 17, "type mismatch. expected string, found s32"),
    ('if 1 then "a" else "b"', 1, 4, "type mismatch. expected bool, found s32"),
    ('if true then "a" else 1', 1, 23, "type mismatch. expected string, found s32"),
    ("1 == 2 && true", 1, 6, "type mismatch. expected bool, found s32"),
    ("let a = 1;\nlet b = a + 1u8;\nlet c: u16 = b; c", 3, 14, "type mismatch. expected u16, found u8"),
    ('match 1 { 1 => {foo: "bar"}, 2 => {foo: 1} }', 1, 35,
     "type mismatch at path: `foo`. expected string, found s32"),
    ("300: u8", 1, 1, "cast error from 300 to u8"),
    ("-1: u8", 1, 1, "cast error from -1 to u8"),
    ("1.5: u8", 1, 1, "type mismatch. expected u8, found f64"),
    ('"ab": char', 1, 1, "type mismatch. expected char, found string"),
    ("unknown", 1, 1, "Unsupported input in Rib script: Expected: request, found: unknown"),
    ("{ let q = 1; q }; q", 1, 19, None),
    ("let z = match some(1) { some(q) => q, none => 0 }; q", 1, 52,
     "Unsupported input in Rib script: Expected: request, found: q"),
    ("none", 1, 1, "cannot determine the type"),
    ("let x = []; 1", 1, 9, "cannot determine the type"),
    ("request.body", 1, 1, "cannot determine the type"),
    ("request.body.a", 1, 1, "cannot determine the type"),
    ("request.path", 1, 1, "request.path can only be used by its fields"),
    ("request.cookies.a", 1, 1, "invalid rib script with unknown input: request.cookies"),
    ("let x: list<u8> = request.path.a; x", 1, 19, "request.path.a cannot be of type list<u8>"),
    ("{a: 1}.b", 1, 1, "the record has no field `b`: record { a: s32, b: _ }"),
    ("let x = 1; x.foo", 1, 12, "type mismatch. expected record { foo: _ }, found s32"),
    ("(1, 2)[2]", 1, 1, "index out of bound: 2 (size: 2)"),
    ("[1][true]", 1, 5, "type mismatch. expected s32, found bool"),
    ("[1][1.5]", 1, 5, "type mismatch. expected an integer as index, found a fraction"),
    ("1.5..2.5", 1, 1, "type mismatch. expected integers as bounds of a range, found fractions"),
    ("for i in 5 { yield i; }", 1, 10, "type mismatch. expected list<_>, found s32"),
    ("reduce a, i in [1] from 0 { yield [a]; }", 1, 35, "type mismatch. expected s32, found list<s32>"),
    ("let x: list<u8> = [1]; reduce a, i in x from a { yield a; }", 1, 46, None),
    ("points(1)", 1, 1, None),
    (W + "w.pay(walk)", 1, 30, None),
    ("let x: option<u8> = none; match x { some(y) => y }", 1, 27,
     "non-exhaustive pattern match: the following patterns are not covered: `none`"),
    ("match ok(1) { ok(x) => x }", 1, 1, "non-exhaustive pattern match: the following patterns are not covered: `err`"),
    ("let x: option<option<u8>> = none; match x { some(some(y)) => y, none => 0 }", 1, 35,
     "non-exhaustive pattern match: the following patterns are not covered: `some(none)`"),
    ("match cash { card(_) => 1, cash => 2 }", 1, 1,
     "non-exhaustive pattern match: the following patterns are not covered: `points`"),
    ("match some(1) { x => 1, none => 2 }", 1, 1,
     "dead code detected, pattern `none` is unreachable due to the existence of the pattern `x` prior to it"),
    ("match some(1) { some(_) => 1, some(2) => 3, none => 2 }", 1, 1,
     "dead code detected, pattern `2` is unreachable due to the existence of the pattern `_` prior to it"),
    ("match 1 { some(x) => 1 }", 1, 11, "invalid pattern match: cannot match to constructor `some`"),
    ("match some(1) { some() => 1, none => 2 }", 1, 17,
     "invalid pattern match: missing arguments in constructor `some`. expected 1 arguments, found 0"),
    ("match 1 { foo(x) => 1 }", 1, 11, "invalid pattern match: cannot match to constructor `foo`"),
    ("match cash { cash(1) => 1, _ => 2 }", 1, 14, None),
    ("instance(1: u32)", 1, 10, "type mismatch. expected string, found u32"),
    ("let w = instance(1, 2); w", 1, 9, "invalid argument size for function `instance`. expected 1 arguments, found 2"),
    ("instance[golem:nothing]()", 1, 1, "failed to create instance: package `golem:nothing` not found"),
    ("instance[nothing]()", 1, 1, "failed to create instance: interface `nothing` not found"),
    ("instance[golem:it/no]()", 1, 1, "failed to create instance: `golem:it/no` not found"),
    ('instance().foo("x")', 1, 1, "inline invocation of functions on a worker instance is currently not supported"),
    (W + 'w.cart("x").get-cart-contents()', 1, 24,
     "inline invocation of methods on resource constructor instance is currently not supported"),
    (W + "w.add-items(1)", 1, 24, "invalid function call `add-items`"),
    (W + "w.shared()", 1, 24, "invalid function call `shared`"),
    (W + 'w.foo[golem:it/other]("x")', 1, 24, "invalid function call `foo`"),
    (W + 'let c = w.cart("x"); c.fly()', 1, 45, "invalid function call `fly`"),
    (W + "w.pass-through(1)", 1, 24,
     "invalid argument size for function `pass-through`. expected 2 arguments, found 1"),
    (W + 'w.pass-through(1, "2")', 1, 42, "type mismatch. expected u32, found string"),
    (W + "let z: u8 = 1 + 2; w.pass-through(z, 1)", 1, 58, "type mismatch. expected u64, found u8"),
    (W + 'w.add-item({name: "x", price: 1})', 1, 35,
     "invalid argument to the function `add-item`.  missing field(s) in record: `product-id, quantity`"),
    (W + "w.wrap({a: {c: 1}}, none)", 1, 31,
     "invalid argument to the function `wrap`.  missing field(s) in record: `a.b`"),
    (W + "w.wrap({a: {b: true}}, none)", 1, 31, "type mismatch at path: `a.b`. expected u64, found bool"),
    (W + "w.wrap({a: {b: 1, c: 2}}, none)", 1, 31, None),
    (W + "w", 1, 24, "cannot determine the type"),
    ("nothing(1)", 1, 1, "invalid function call `nothing`"),
    ("golem:it/api.{fly}()", 1, 1, "invalid function call `golem:it/api.{fly}`"),
    ("let x = 1; x.foo(2)", 1, 12, "invalid resource method call: `foo`"),
    ('"${let y = 1}"', 1, 4, "type mismatch. expected a value, found unit"),
    ("instance", 1, 1, "Unsupported input in Rib script: Expected: request, found: instance"),
    ("let x = {a: 1, b: 2}; let y = if true then x else {a: 1}; " + W + "w.add-item(y)", 1, 93, None),
]  # fmt: skip


@pytest.mark.parametrize(("script", "line", "column", "cause"), REFUSED)
def test_what_cannot_work_is_refused(script: str, line: int, column: int, cause: str | None) -> None:
    with pytest.raises(RibTypeError) as caught:
        compiled(script)
    assert caught.value.position == Position(line, column)
    assert cause in (caught.value.cause, None)


def test_the_form_of_an_error() -> None:
    with pytest.raises(RibTypeError) as caught:
        compiled("let x = 1;\n  match ok(x) { ok(y)=>y }")
    assert caught.value.message.splitlines() == [
        "error in the following rib found at line 2, column 3",
        "`match ok(x) { ok(y) => y }`",
        "cause: non-exhaustive pattern match: the following patterns are not covered: `err`",
        "help: to ensure a complete match, add missing patterns or use wildcard (`_`)",
    ]


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        ("shared()", "multiple interfaces contain function 'shared'. "
         "specify an interface name as type parameter from: other, third"),
        ("get()", "function 'get' exists in multiple packages. "
         "specify a package name as type parameter from: far:away, golem:it"),
        ("fly()", "function 'fly' not found"),
        ("pass-through(true, 1)", "invalid argument to the function `pass-through`"),
    ],
)  # fmt: skip
def test_details_of_errors_of_calls(call: str, detail: str) -> None:
    with pytest.raises(RibTypeError) as caught:
        compiled(W + "w." + call)
    assert caught.value.message.splitlines()[-1] == detail


def test_a_case_of_several_types_is_told_apart_by_its_use() -> None:
    assert compiled(W + "w.pay(points(1))").output == PAYMENT
    assert compiled(W + 'w.travel(points("1"))').called_functions == {"golem:it/api@1.0.0.{travel}"}
    assert compiled("let x = points(1); match x { points(y) => y, card(_) => 0, cash => 1 }").output == U32
    with pytest.raises(RibTypeError) as caught:
        compiled("points(1)")
    assert caught.value.cause.startswith("ambiguous types: `variant { card(string), points(u32), cash }`, `variant {")


@pytest.mark.parametrize("script", ["instance()", "run(1)", W + "w.done()", "golem:it/api.{done}()"])
def test_a_pure_script_calls_no_worker(script: str) -> None:
    with pytest.raises(RibTypeError, match="no worker can be called in this script"):
        compiled(script, pure=True)


def test_without_a_component_there_are_no_functions_and_no_cases() -> None:
    assert compile_script('"a-${request.path.x}"').output == STRING
    for script in ("run(1)", "cash", "card(1)", "let w = instance(); w.run(1)", "instance[a:b]()"):
        with pytest.raises(RibTypeError):
            compile_script(script)


@pytest.mark.parametrize(
    "line", ["let {1} = ({0}, {0});", "let {1} = {{a: {0}, b: {0}}};", "let {1} = [some({0})]; let {1} = ({1}, {1});"]
)
def test_types_that_double_with_each_line_take_no_exponential_time(line: str) -> None:
    names = [f"x{number}" for number in range(200)]
    script = "let x0 = 1; " + " ".join(line.format(*pair) for pair in pairwise(names))
    with pytest.raises(RibTypeError):
        compile_script(f"{script} let y = if true then x199 else x198; x199 == x198")


def test_the_called_functions() -> None:
    script = compiled(W + 'let c = w.cart("x"); c.merge(c); if true then run(1) else w.shared[other]()')
    assert script.called_functions == {
        "golem:it/api@1.0.0.{[constructor]cart}",
        "golem:it/api@1.0.0.{[method]cart.merge}",
        "run",
        "golem:it/other.{shared}",
    }


def test_a_long_script_is_compiled_quickly() -> None:
    lines = (f"let a{at + 1} = a{at} + {at % 7};" for at in range(1500))
    began = time.process_time()
    script = compiled(f"let a0 = 1; {' '.join(lines)} a1500 + 1u16")
    assert script.output is Primitive.U16
    assert time.process_time() - began < 5
