"""The worked examples of the language, one test for each (reference gateway, section 2.6)."""

import asyncio
from pathlib import Path

import pytest

from golem_server.gateway.rib import RibRuntimeError, compile_script
from golem_server.model.types import (
    ComponentType,
    FunctionType,
    ListType,
    Parameter,
    RecordType,
    ResultType,
    Value,
    WitType,
)
from tests.gateway.rib.scripts import SCRIPTS
from tests.gateway.rib.workers import BOOL, S32, STRING, U8, U32, U64, Workers, called, compiled, evaluate, record

INFINITE = "infinite computation detected: an infinite range is being iterated"


@pytest.mark.parametrize(
    ("number", "type_", "value"),
    [
        (0, S32, 3),
        (1, record(bar=U64, baz=record(foo=U64)), {"bar": 3, "baz": {"foo": 1}}),
        (2, STRING, 'foo-bar-{foo: "baz"}-42'),
        (3, U8, 3),
        (4, U8, 0),
        (5, STRING, "foo, bar"),
        (6, STRING, "foo, bar"),
        (7, ListType(STRING), ["foo", "bar"]),
        (8, U64, 0),
        (9, STRING, "1 foo bar"),
        (10, ResultType(S32, STRING), ("ok", 1)),
        (11, ResultType(S32, STRING), ("ok", 1)),
        (13, U8, 5),
        (15, ListType(U8), bytes([2, 5, 4])),
        (16, ListType(U8), bytes([2, 5])),
        (17, ListType(U8), bytes([2, 5])),
        (18, record(**{"from": S32, "inclusive": BOOL}), {"from": 1, "inclusive": False}),
        (
            19,
            record(**{"from": S32, "to": S32, "inclusive": BOOL}),
            {"from": 1, "to": 11, "inclusive": False},
        ),
        (20, ListType(S32), [1, 2, 3, 4, 5]),
        (22, U8, 10),
    ],
)
def test_examples_without_workers(number: int, type_: WitType, value: Value) -> None:
    assert compiled(SCRIPTS[number]).output == type_
    assert evaluate(SCRIPTS[number]) == value


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (14, "index out of bound: 10 (size: 5)"),
        (21, INFINITE),
    ],
)
def test_examples_that_fail(number: int, message: str) -> None:
    with pytest.raises(RibRuntimeError) as caught:
        evaluate(SCRIPTS[number])
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("result", "value"),
    [(("ok", 1), {"body": 1, "status": 200}), (("err", "bad"), {"status": 400, "body": 400})],
)
def test_the_numbers_of_one_field_unify_with_the_payload_of_a_result(result: Value, value: Value) -> None:
    assert compiled(SCRIPTS[12]).output == record(body=U64, status=S32)
    assert evaluate(SCRIPTS[12], {"get": result}) == value


def test_values_of_the_request() -> None:
    script = compiled(SCRIPTS[23])
    assert script.inputs == {"request": record(headers=record(age=U32, name=STRING), path=record(user_id=U32))}
    request = {"path": {"user-id": 1}, "headers": {"name": "foo", "age": 20}}
    assert evaluate(SCRIPTS[23], request=request) == "21-foo"


def test_a_call_gets_the_types_of_its_parameters() -> None:
    value, calls = called(SCRIPTS[24], {"pass-through": "done"})
    assert value == "done"
    assert calls == [("my-worker", "golem:it/api@1.0.0.{pass-through}", [42, 43], 0)]


def test_calls_in_a_loop() -> None:
    value, calls = called(SCRIPTS[25])
    assert value == [1, 2, 3]
    assert calls == [("my-worker", "golem:it/api@1.0.0.{foo}", [text], at) for at, text in enumerate("123")]


def test_a_resource() -> None:
    contents = [{"product-id": "p1", "name": "n1", "price": 1.0, "quantity": 1}]
    results = {"[constructor]cart": 5, "[method]cart.get-cart-contents": contents}
    value, calls = called(SCRIPTS[26], results)
    assert value == contents
    assert [(name.partition("{")[2], values) for _, name, values, _ in calls] == [
        ("[constructor]cart}", ["bar"]),
        ("[method]cart.add-item}", [5, *contents]),
        ("[method]cart.remove-item}", [5, "p1"]),
        ("[method]cart.get-cart-contents}", [5]),
        ("[drop]cart}", [5]),
    ]
    assert isinstance(calls[1][2][1]["price"], float)
    assert {worker for worker, *_ in calls} == {"my-worker"}


def test_variables_may_be_named_like_cases() -> None:
    value, calls = called(SCRIPTS[27], {"add-enum": "x"}, names=["made-up"])
    assert value == "x"
    assert calls == [("made-up", "golem:it/api@1.0.0.{add-enum}", ["x", "x"], 0)]


def test_a_workers_name_of_a_number() -> None:
    assert compiled(SCRIPTS[28]).inputs == {"request": record(path=record(user_id=U64))}
    value, calls = called(SCRIPTS[28], {"get-cart-contents": "all"}, request={"path": {"user-id": 1}})
    assert value == "all"
    assert calls[0][0] == "shopping-cart-1"


@pytest.mark.parametrize(("user", "worker"), [("john", "shopping-cart-1"), ("jane", "shopping-cart-0")])
def test_a_workers_name_that_depends(user: str, worker: str) -> None:
    _, calls = called(SCRIPTS[29], {"get-cart-contents": "all"}, request={"path": {"user-id": user}})
    assert calls[0][0] == worker


@pytest.mark.parametrize(
    ("result", "value"),
    [
        (("ok", "USD"), {"status": 200, "body": "USD", "headers": {"user": "john"}}),
        (("err", "none"), {"status": 400, "body": "Failed to get currency: none"}),
    ],
)
def test_a_response_with_headers(result: Value, value: Value) -> None:
    found = evaluate(SCRIPTS[30], {"currency": result})
    assert found == value
    # The records of the two arms differ; the type has the fields of both, that of a value only those that it has.
    script = compiled(SCRIPTS[30])
    assert script.output == record(status=S32, body=STRING, headers=record(user=STRING))
    narrowed = script.output_of(found)
    assert isinstance(narrowed, RecordType)
    assert [field.name for field in narrowed.fields] == list(found)


def test_the_example_of_the_documentation() -> None:
    lines = (Path(__file__).parents[3] / "docs" / "rib.md").read_text().splitlines()
    text = "\n".join(line for line in lines if line.startswith("    "))
    add_item = FunctionType((Parameter("item", record(name=STRING)),), ResultType(U64, STRING))
    shop = ComponentType({}, {}, {}, {"add-item": add_item})
    script = compile_script(text, shop)
    assert script.inputs == {"request": record(body=record(name=STRING), path=record(user_id=U64))}
    workers = Workers({"add-item": ("err", "sold out")})
    request = {"body": {"name": "shoe"}, "path": {"user-id": 7}}
    value = asyncio.run(script.evaluate({"request": request}, workers))
    assert value == {"status": 400, "body": "refused: sold out"}
    assert workers.calls == [("cart-7", "add-item", [{"name": "shoe"}], 0)]
