"""Reading scripts: the grammar's rules, above all those that surprise, and what is said about other text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golem_server.gateway.rib.errors import Position, RibSyntaxError
from golem_server.gateway.rib.parser import MAX_NESTING, MAX_SCRIPT, parse_script
from golem_server.gateway.rib.printer import print_script
from golem_server.gateway.rib.syntax import (
    AliasPattern,
    Annotated,
    Binary,
    Block,
    Boolean,
    Call,
    ConstructorPattern,
    Expression,
    Flags,
    For,
    If,
    Interpolation,
    Let,
    ListLiteral,
    ListPattern,
    LiteralPattern,
    Match,
    MethodCall,
    Name,
    Not,
    Number,
    Operator,
    OptionLiteral,
    Range,
    Record,
    RecordPattern,
    Reduce,
    ResultLiteral,
    SelectField,
    SelectIndex,
    Text,
    Tuple,
    TuplePattern,
    Wildcard,
)
from golem_server.model.types import ListType, OptionType, Primitive, ResultType, TupleType
from tests.gateway.rib.scripts import SCRIPTS

AT = Position(1, 1)
"""Any place: trees are compared without places."""

X, Y, Z = (Name(AT, name) for name in "xyz")
ONE, TWO, THREE = (Number(AT, digit) for digit in "123")


def binary(left: Expression, operator: str, right: Expression) -> Binary:
    return Binary(AT, Operator(operator), left, right)


READ: list[tuple[str, Expression]] = [
    # Names may hold minus signs, so a subtraction needs a blank at its left.
    ("a-b", Name(AT, "a-b")),
    ("x - y", binary(X, "-", Y)),
    ("x -1", binary(X, "-", ONE)),
    ("1-2", binary(ONE, "-", TWO)),
    ("-1", Number(AT, "-1")),
    # No precedence: everything groups to the right.
    ("2 * 3 + 1", binary(TWO, "*", binary(THREE, "+", ONE))),
    ("3 - 2 - 1", binary(THREE, "-", binary(TWO, "-", ONE))),
    ("x == y && z", binary(X, "==", binary(Y, "&&", Z))),
    ("!x == y", Not(AT, binary(X, "==", Y))),
    # Parentheses do not group.
    ("(x)", Tuple(AT, (X,))),
    ("(1) + 2", binary(Tuple(AT, (ONE,)), "+", TWO)),
    ("()", Tuple(AT, ())),
    # The four meanings of braces, and a fifth in texts.
    ("{}", Flags(AT, ())),
    ("{x}", Flags(AT, ("x",))),
    ("{x, 2-way_}", Flags(AT, ("x", "2-way_"))),
    ("{x: 1}", Record(AT, (("x", ONE),))),
    ("{x: string}", Record(AT, (("x", Name(AT, "string")),))),
    ("{x; y}", Block(AT, (X, Y))),
    ("{x: u8; y}", Block(AT, (Annotated(AT, X, Primitive.U8), Y))),
    ('"${{x: 1}}"', Interpolation(AT, (Record(AT, (("x", ONE),)),))),
    # Texts have no escapes; a text in a text is that text.
    ('"a\\b\n"', Text(AT, "a\\b\n")),
    ('"${"x"}"', Text(AT, "x")),
    ('"a${"b"}c"', Text(AT, "abc")),
    ('""', Text(AT, "")),
    ('" ${ x } // no comment"', Interpolation(AT, (Text(AT, " "), X, Text(AT, " // no comment")))),
    ('"${let x = 1; x}"', Interpolation(AT, (Block(AT, (Let(AT, "x", None, ONE), X)),))),
    # Numbers and annotations.
    ("1u64", Annotated(AT, ONE, Primitive.U64)),
    ("1:u64", Annotated(AT, ONE, Primitive.U64)),
    ("1: u8 + 2", binary(Annotated(AT, ONE, Primitive.U8), "+", TWO)),
    ("1: u8-2", binary(Annotated(AT, ONE, Primitive.U8), "-", TWO)),
    ("6.022e-23", Number(AT, "6.022e-23")),
    ("x string", Annotated(AT, X, Primitive.STRING)),
    ("string", Name(AT, "string")),
    ("let x: result<_, list<option<u8>>> = y", Let(AT, "x", ResultType(None, ListType(OptionType(Primitive.U8))), Y)),
    ("x: result", Annotated(AT, X, ResultType(None, None))),
    ("x: result<u8>", Annotated(AT, X, ResultType(Primitive.U8, None))),
    ("x: tuple<u8, char>", Annotated(AT, X, TupleType((Primitive.U8, Primitive.CHAR)))),
    ("let list: list<u8> = x", Let(AT, "list", ListType(Primitive.U8), X)),
    # Selections, indices and ranges.
    ("x.y.z", SelectField(AT, SelectField(AT, X, "y"), "z")),
    ("x.y: u8", Annotated(AT, SelectField(AT, X, "y"), Primitive.U8)),
    ("x[1].y[2]", SelectIndex(AT, SelectField(AT, SelectIndex(AT, X, ONE), "y"), TWO)),
    ("x[1..]", SelectIndex(AT, X, Range(AT, ONE, None, False))),
    ("1..=2", Range(AT, ONE, TWO, True)),
    ("x..y", Range(AT, X, Y, False)),
    ("1.. == 2", binary(Range(AT, ONE, None, False), "==", TWO)),
    # Calls.
    ("f(1, x)", Call(AT, "f", None, (ONE, X))),
    ("golem:it/api.{f}(1)", Call(AT, "golem:it/api.{f}", None, (ONE,))),
    ("api@1.2.3.{cart.new}()", Call(AT, "api@1.2.3.{cart.new}", None, ())),
    ("instance[golem:it/api]()", Call(AT, "instance", "golem:it/api", ())),
    ('x.f[api]("a")', MethodCall(AT, X, "f", "api", (Text(AT, "a"),))),
    ("x.f(1).y", SelectField(AT, MethodCall(AT, X, "f", None, (ONE,)), "y")),
    ("x_y", Name(AT, "x_y")),
    # Words that begin like keywords are names.
    ("iffy", Name(AT, "iffy")),
    ("let-me", Name(AT, "let-me")),
    ("none_", Name(AT, "none_")),
    ("trueish", Name(AT, "trueish")),
    ("true", Boolean(AT, True)),
    # Constructs.
    ("if x then 1 else if y then 2 else 3", If(AT, X, ONE, If(AT, Y, TWO, THREE))),
    ("let x = 1; x", Block(AT, (Let(AT, "x", None, ONE), X))),
    ("some(ok(1))", OptionLiteral(AT, ResultLiteral(AT, True, ONE))),
    ("none", OptionLiteral(AT, None)),
    ("[1, 2]", ListLiteral(AT, (ONE, TWO))),
    ("for z in x { yield z; }", For(AT, "z", X, (Z,))),
    ("for z in 1.. { y; yield z; }", For(AT, "z", Range(AT, ONE, None, False), (Y, Z))),
    ("reduce y, z in x from 1 { yield z; }", Reduce(AT, "y", "z", X, ONE, (Z,))),
    (
        "match x { some(_) => 1, none => 2, y @ z => 3, }",
        Match(
            AT,
            X,
            (
                (ConstructorPattern(AT, "some", (Wildcard(AT),)), ONE),
                (ConstructorPattern(AT, "none", ()), TWO),
                (AliasPattern(AT, "y", LiteralPattern(AT, Z)), THREE),
            ),
        ),
    ),
    (
        "match x { (1, y) => 1, [z] => 2, {a-b: _} => 3 }",
        Match(
            AT,
            X,
            (
                (TuplePattern(AT, (LiteralPattern(AT, ONE), LiteralPattern(AT, Y))), ONE),
                (ListPattern(AT, (LiteralPattern(AT, Z),)), TWO),
                (RecordPattern(AT, (("a-b", Wildcard(AT)),)), THREE),
            ),
        ),
    ),
    # Comments and the old form.
    ("// one\nx /* two */ + /// three\n /** four */ y", binary(X, "+", Y)),
    ("  ${ x }  ", X),
    ("${x; y}", Block(AT, (X, Y))),
]


@pytest.mark.parametrize(("text", "tree"), READ)
def test_scripts_read_as_the_grammar_says(text: str, tree: Expression) -> None:
    assert parse_script(text) == tree


@pytest.mark.parametrize("text", [*(text for text, _ in READ), *SCRIPTS])
def test_a_printed_script_reads_as_the_same_tree(text: str) -> None:
    tree = parse_script(text)
    assert parse_script(print_script(tree)) == tree


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("let x=1;let y:u8=x+2 ;y", "let x = 1;\nlet y: u8 = x + 2;\ny"),
        ('"a${ x }"', '"a${x}"'),
        ("${1u8}", "1: u8"),
        ("match x{some( y )=>y,none=>0,}", "match x { some(y) => y, none => 0 }"),
        ("for i in x{yield i ;}", "for i in x {\nyield i;\n}"),
    ],
)
def test_the_printed_form(text: str, printed: str) -> None:
    assert print_script(parse_script(text)) == printed


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ("let x = 1;\nlet = 2", 2, 5, "a name for a variable"),
        ("let for = 2", 1, 5, "a name for a variable"),
        ("let instance = 2; 1", 1, 5, "a name for a variable"),
        ("if x then 1", 1, 12, "`else`"),
        ("{x: }", 1, 5, "an expression"),
        ("[1, 2", 1, 6, "`]`"),
        ('"a$b"', 1, 3, '`"`'),
        ("x % 2", 1, 3, "an operator"),
        ("x != y", 1, 3, "an operator"),
        ("match x { 1 -> 2 }", 1, 14, "an expression"),
        ("for i in x { i; }", 1, 17, "`yield`"),
        ("", 1, 1, "an expression"),
        ("let x: flugs = 1", 1, 8, "a type"),
        ("1..=", 1, 5, "an expression"),
        ("/* x", 1, 1, "an expression"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, line: int, column: int, expected: str) -> None:
    with pytest.raises(RibSyntaxError) as caught:
        parse_script(text)
    assert caught.value.position == Position(line, column)
    assert expected in caught.value.expected
    assert caught.value.message.startswith(f"Parse error at line: {line}, column: {column}: expected ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("let x = 1; x;  ", "unexpected `;` at the end of rib expression"),
        ("{a: 1, b: 2, a: 3}", "duplicate keys found in record: a"),
        ("1" * 500, "a number is longer"),
        ("x" * (MAX_SCRIPT + 1), "the script is longer"),
        ("[" * (MAX_NESTING + 1), "nests more than"),
        ("1 + " * (MAX_NESTING + 1) + "1", "nests more than"),
        ("x: " + "list<" * 100 + "u8" + ">" * 100, "a type nests more than"),
        ("golem:it/api.{a.b.c}()", "within the braces"),
    ],
)
def test_other_errors(text: str, reason: str) -> None:
    with pytest.raises(RibSyntaxError, match=reason):
        parse_script(text)


NESTED = ["({})", "[{}]", "{{a: {}}}", "{{ 1; {} }}", "f({})", '"${{{}}}"', "!{}", "some({})", "if x then {} else 1"]


@pytest.mark.parametrize("form", [*NESTED, "match x {{ 1 => {} }}", "for i in x {{ yield {}; }}", "1 + {}"])
def test_the_deepest_script_is_read_and_printed(form: str) -> None:
    text = "x"
    for _ in range(MAX_NESTING - 2):
        text = form.format(text)
    tree = parse_script(text)
    assert parse_script(print_script(tree)) == tree


def quickly_read(text: str) -> None:
    """Read the text: a tree that survives printing, or a clean error; processor time is bounded by the length."""
    began = time.process_time()
    try:
        tree = parse_script(text)
    except RibSyntaxError as error:
        place = error.position
    else:
        place = tree.position
        assert parse_script(print_script(tree)) == tree
    assert place >= Position(1, 1)
    assert time.process_time() - began < 0.5 + len(text) / 2000


WORDS = [
    "let",
    "if",
    "then",
    "else",
    "match",
    "for",
    "in",
    "yield",
    "some(",
    "none",
    "ok(",
    "err(",
    "x",
    "y-1",
    "1",
    "2.5",
    "u8",
    "list<",
    "result<",
    "reduce",
    "from",
    "instance(",
    "true",
    "golem:it/api.{f}",
    "string",
    "${",
    "..",
    "=>",
    "//",
    "/*",
    "é",
]

PIECES = st.sampled_from([*WORDS, *(f" {word} " for word in WORDS), *"{}()[];:,.=<>!&|+-*/@_$ \n", '"'])


@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=100))
@settings(deadline=None)
def test_random_text_gives_a_tree_or_a_clean_error(text: str) -> None:
    quickly_read(text)


@given(st.sampled_from(SCRIPTS), st.data())
@settings(deadline=None)
def test_mutated_scripts_give_a_tree_or_a_clean_error(script: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(script)))
        end = min(len(script), at + data.draw(st.integers(0, 6)))
        script = script[:at] + data.draw(PIECES | st.just("")) + script[end:]
    quickly_read(script)


@pytest.mark.parametrize(
    "piece", ["{", "{a:", "({", "match x { {", "if {", '"${', "[(", "f(", "x[", "{{a: 1", "1 + {x, ", "for i in {"]
)
def test_repeated_openings_take_no_exponential_time(piece: str) -> None:
    quickly_read(piece * 60)
    quickly_read(piece * 1000)


@pytest.mark.parametrize(
    "script", ["x; " * 3000 + "x", "[" + "1, " * 3000 + "1]", "{" + "x, " * 3000 + "x}", "/*/*" * 3000]
)
def test_long_scripts_are_read_quickly(script: str) -> None:
    quickly_read(script)
