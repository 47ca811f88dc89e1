"""Calls of workers: which worker, which function, with which values, in which order (section 2.5)."""

import asyncio
from collections.abc import Sequence

import pytest

from golem_server.gateway.rib import RibRuntimeError
from golem_server.model.errors import GolemError
from golem_server.model.types import Value
from tests.gateway.rib.workers import Workers, called, compiled, evaluate

API = "golem:it/api@1.0.0"
W = 'let w = instance("w"); '


@pytest.mark.parametrize(
    ("script", "worker", "function", "values"),
    [
        (W + 'w.foo("x")', "w", f"{API}.{{foo}}", ["x"]),
        (W + "w.shared[other]()", "w", "golem:it/other.{shared}", []),
        (W + "w.shared[golem:it/third]()", "w", "golem:it/third.{shared}", []),
        (W + "w.get[far:away]()", "w", "far:away/api.{get}", []),
        (W + "w.get[golem:it/api@1.0.0]()", "w", f"{API}.{{get}}", []),
        ('let w = instance[third]("w"); w.shared()', "w", "golem:it/third.{shared}", []),
        ('let w = instance[golem:it]("w"); w.get()', "w", f"{API}.{{get}}", []),
        (W + "w.run(1)", "w", "run", [1]),
        ("run(1)", "bound", "run", [1]),
        ('golem:it/api.{foo}("x")', "bound", f"{API}.{{foo}}", ["x"]),
        ('let w = instance(); w.foo("x")', "bound", f"{API}.{{foo}}", ["x"]),
        (W + 'let a = 1; w.foo("${a}")', "w", f"{API}.{{foo}}", ["1"]),
        (W + "w.pay(points(1))", "w", f"{API}.{{pay}}", [("points", 1)]),
        (W + "w.pay(cash)", "w", f"{API}.{{pay}}", [("cash", None)]),
        (W + "w.grant({run, read})", "w", f"{API}.{{grant}}", [["read", "run"]]),
        (W + 'w.initial("é")', "w", f"{API}.{{initial}}", ["é"]),
        (W + "w.bytes([1, 2])", "w", f"{API}.{{bytes}}", [b"\x01\x02"]),
        (W + 'w.wrap({a: {b: 1}}, some("x"))', "w", f"{API}.{{wrap}}", [{"a": {"b": 1}}, "x"]),
        (W + 'let c = w.cart.create("u"); c', "w", f"{API}.{{[static]cart.create}}", ["u"]),
        (W + 'let c = w.cart.new("u"); c', "w", f"{API}.{{[constructor]cart}}", ["u"]),
        ('let a = weather-agent("Oslo \\ x", 2); a.ask("x")', 'weather-agent("Oslo \\\\ x",2)',
         "golem:it/weather-agent.{ask}", ["x"]),
    ],
)  # fmt: skip
def test_a_call(script: str, worker: str, function: str, values: list[Value]) -> None:
    assert called(script, worker_name="bound")[1] == [(worker, function, values, 0)]


def test_each_instance_without_a_name_gets_one_of_its_own() -> None:
    script = 'let a = instance(); let b = instance(); a.foo("1"); b.foo("2"); a.foo("3")'
    calls = called(script, names=["n0", "n1"])[1]
    assert [(worker, values, number) for worker, _, values, number in calls] == [
        ("n0", ["1"], 0),
        ("n1", ["2"], 1),
        ("n0", ["3"], 2),
    ]
    assert [worker for worker, *_ in called(script)[1]] == [None, None, None]


def test_arguments_and_calls_go_from_left_to_right() -> None:
    script = W + 'w.add-enum(w.add-enum(x, y), w.add-enum(y, z)); w.foo("${w.foo("a")}${w.foo("b")}")'
    calls = called(script, {"add-enum": "z", "foo": "r"})[1]
    assert [values for _, _, values, _ in calls] == [["x", "y"], ["y", "z"], ["z", "z"], ["a"], ["b"], ["rr"]]
    assert [number for *_, number in calls] == list(range(6))


def test_a_branch_that_is_not_taken_calls_nothing() -> None:
    script = W + 'if false then w.foo("a") else w.foo("b")'
    assert [values for _, _, values, _ in called(script)[1]] == [["b"]]
    assert called(W + 'false && w.foo("a") == "x"')[1] == []


def test_resources_are_given_by_their_handles() -> None:
    script = W + 'let a = w.cart("a"); let b = w.cart("b"); a.merge(b); {one: a, all: [a, b]}'
    value, calls = called(script, {"[constructor]cart": 4})
    assert calls[2][1:3] == (f"{API}.{{[method]cart.merge}}", [4, 4])
    assert value == {"one": 4, "all": [4, 4]}


def test_results_without_a_value() -> None:
    assert evaluate(W + "w.done()") is None
    assert evaluate(W + "match w.bare() { ok(_) => 1, err(_) => 2 }", {"bare": ("err", None)}) == 2
    assert evaluate(W + 'match w.get[golem:it]() { ok(n) => "${n}", err(e) => e }', {"get": ("err", "no")}) == "no"


def test_a_failed_invocation_fails_the_script() -> None:
    with pytest.raises(RibRuntimeError) as caught:
        evaluate(W + 'w.foo("a"); w.foo("b")', {"foo": GolemError("it trapped")})
    assert caught.value.message == f"failed to invoke function {API}.{{foo}}: it trapped"
    assert caught.value.position.column == 24


def test_a_script_that_calls_needs_somebody_who_does() -> None:
    with pytest.raises(RibRuntimeError, match="there is no worker"):
        asyncio.run(compiled("run(1)").evaluate({}))


def test_what_is_no_error_of_the_platform_passes_through() -> None:
    class Broken(Workers):
        async def invoke(
            self, worker_name: str | None, function: str, parameters: Sequence[Value], call_number: int
        ) -> Value:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(compiled("run(1)").evaluate({}, Broken()))


def test_many_calls_are_bounded() -> None:
    with pytest.raises(RibRuntimeError, match="steps"):
        evaluate(W + 'for i in 1..90000 { w.foo("x"); yield i; }')
