"""Function names: what parses, and which export is found."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model.errors import InvalidInput
from golem_server.model.function_names import (
    FunctionName,
    FunctionResolver,
    IndexedResource,
    Operation,
    parse_function_name,
)
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.types import ComponentType, FunctionType, HandleType, InterfaceType, Parameter, Primitive
from tests.model.wit_strategies import details_of

OWN = HandleType(0, owned=True, host=False, name="cart")
SELF = Parameter("self", HandleType(0, owned=False, host=False, name="cart"))
ITEM = Parameter("item", Primitive.STRING)
CART = {
    "[constructor]cart": FunctionType((Parameter("user", Primitive.STRING), Parameter("limit", Primitive.U32)), OWN),
    "[method]cart.add": FunctionType((SELF, ITEM), None),
    "[static]cart.merge": FunctionType((Parameter("a", OWN), Parameter("b", OWN)), OWN),
    "checkout": FunctionType((), Primitive.U64),
}


def interface(name: str) -> InterfaceType:
    return InterfaceType(name, CART, {"cart": 0})


COMPONENT = ComponentType(
    imports={},
    imported_functions={},
    exports={
        name: interface(name)
        for name in ("shop:cart/api", "api", "wasi:cli/run@0.2.0", "a:b/twice@1.0.0", "a:b/twice@2.0.0-rc.1+build.5")
    },
    exported_functions={"run-example": FunctionType((ITEM,), None)},
)
WORKER = WorkerId(ComponentId(UUID(int=1)), "w")
RESOLVER = FunctionResolver(COMPONENT)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("run-example", FunctionName(None, ("run-example",))),
        ("golem:it/api.{add-item}", FunctionName("golem:it/api", ("add-item",))),
        ("wasi:cli/run@0.2.0.{run}", FunctionName("wasi:cli/run@0.2.0", ("run",))),
        ("a:b/c@1.0.0-rc.1+x.y.{f}", FunctionName("a:b/c@1.0.0-rc.1+x.y", ("f",))),
        ("api.{f}", FunctionName("api", ("f",))),
        ("a:b/c.{cart.new}", FunctionName("a:b/c", ("[constructor]cart",), Operation.CONSTRUCT, "cart")),
        ("a:b/c.{[constructor]cart}", FunctionName("a:b/c", ("[constructor]cart",), Operation.CONSTRUCT, "cart")),
        ("a:b/c.{cart.drop}", FunctionName("a:b/c", (), Operation.DROP, "cart")),
        ("a:b/c.{[drop]cart}", FunctionName("a:b/c", (), Operation.DROP, "cart")),
        ("a:b/c.{cart.add}", FunctionName("a:b/c", ("[method]cart.add", "[static]cart.add"), resource="cart")),
        ("a:b/c.{[method]cart.new}", FunctionName("a:b/c", ("[method]cart.new", "[static]cart.new"), resource="cart")),
        ("a:b/c.{[static]cart.add}", FunctionName("a:b/c", ("[static]cart.add",), resource="cart")),
        (
            'a:b/c.{cart("u.{1}", 2).add}',
            FunctionName(
                "a:b/c", ("[method]cart.add", "[static]cart.add"), resource="cart", arguments=('"u.{1}"', "2")
            ),
        ),
        ("a:b/c.{cart().new}", FunctionName("a:b/c", ("[constructor]cart",), Operation.CONSTRUCT, "cart", ())),
        ("a:b/c.{cart(1).drop}", FunctionName("a:b/c", (), Operation.DROP, "cart", ("1",))),
        ("a:b/c.{[static]cart(1).f}", FunctionName("a:b/c", ("[static]cart.f",), resource="cart", arguments=("1",))),
    ],
)
def test_grammar(text: str, parsed: FunctionName) -> None:
    assert parse_function_name(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "ns:p/i",
        "ns:p/i.f",
        "ns:p/i.{}",
        "ns:p/i.{f",
        "ns:p/i.{f}x",
        "ns:p/i@1.{f}",
        "ns:p/i@01.0.0.{f}",
        "ns:p.{f}",
        "ns:p/i.{a.b.c}",
        "ns:p/i.{[method]cart}",
        "ns:p/i.{[constructor]cart.new}",
        "ns:p/i.{[other]cart.add}",
        "ns:p/i.{cart(1)}",
        "ns:p/i.{cart(1.add}",
        "ns:p/i.{cart(1,,2).add}",
        'ns:p/i.{cart("a).add}',
        "f\u00fc",
        "x" * 20_000,
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^Invalid request: Invalid function name "):
        parse_function_name(text)


@given(st.text() | st.text("ab:/@.{}[]()\"', 1", max_size=30).map(lambda rest: f"a:b/c.{{{rest}}}"))
def test_any_text_is_a_function_of_the_component_or_invalid_input(text: str) -> None:
    details_of(InvalidInput, lambda: RESOLVER.resolve(text))


@pytest.mark.parametrize(
    ("text", "export"),
    [
        ("run-example", "run-example"),
        ("shop:cart/api.{checkout}", "shop:cart/api.{checkout}"),
        ("shop:cart/api.{cart.new}", "shop:cart/api.{[constructor]cart}"),
        ("shop:cart/api.{cart.add}", "shop:cart/api.{[method]cart.add}"),
        ("shop:cart/api.{cart.merge}", "shop:cart/api.{[static]cart.merge}"),
        ("api.{checkout}", "api.{checkout}"),
        ("wasi:cli/run.{checkout}", "wasi:cli/run@0.2.0.{checkout}"),
        ("a:b/twice@2.0.0-rc.1+build.5.{checkout}", "a:b/twice@2.0.0-rc.1+build.5.{checkout}"),
    ],
)
def test_export_is_found(text: str, export: str) -> None:
    assert RESOLVER.resolve(text).export_name == export
    assert RESOLVER.resolve(text) is RESOLVER.resolve(text)


@pytest.mark.parametrize(
    "text",
    [
        "other",
        "shop:cart/other.{f}",
        "shop:cart/api@1.0.0.{checkout}",
        "api.{cart.sub}",
        "api.{box.drop}",
        "api.{box(1).add}",
    ],
)
def test_missing_export_is_told_with_the_name(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        RESOLVER.resolve(text)
    assert caught.value.message == f"Invalid request: Can't find exported function in component ({text})"


def test_name_without_version_must_not_be_ambiguous() -> None:
    with pytest.raises(InvalidInput, match=r"a:b/twice@1.0.0, a:b/twice@2.0.0-rc.1\+build.5$"):
        RESOLVER.resolve("a:b/twice.{checkout}")


def test_drop_takes_the_handle() -> None:
    resolved = RESOLVER.resolve("shop:cart/api.{cart.drop}")
    assert resolved.operation is Operation.DROP
    assert resolved.type == FunctionType((Parameter("self", OWN),), None)


def test_indexed_resource_has_its_constructors_values_and_its_method_no_handle() -> None:
    resolved = RESOLVER.resolve('shop:cart/api.{cart("u1", 2).add}')
    assert resolved.function == "[method]cart.add"
    assert resolved.given_parameters == (ITEM,)
    assert resolved.indexed == IndexedResource("cart", ('"u1"', "2"), "[constructor]cart", ("u1", 2))
    assert resolved.json.decode_parameters(["milk"], WORKER) == ["milk"]
    assert RESOLVER.resolve('api.{cart("u1", 2).new}').given_parameters == ()
    assert RESOLVER.resolve('api.{cart("u1", 2).drop}').given_parameters == ()
    assert len(RESOLVER.resolve('api.{[static]cart("u1", 2).merge}').given_parameters) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('api.{cart("u1").add}', "Invalid request: cart is constructed with 2 parameters, got 1"),
        ('api.{cart("u1", x).add}', "Invalid request: parameter limit of cart cannot be read: expected u32"),
    ],
)
def test_wrong_arguments_of_an_indexed_resource_are_told(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        RESOLVER.resolve(text)
    assert caught.value.message.startswith(message)
