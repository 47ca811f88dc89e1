"""A component made by hand, workers that answer as a test says, and a short way to evaluate a script against them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from golem_server.gateway.rib import AgentConstructor, CompiledScript, compile_script
from golem_server.model.errors import GolemError
from golem_server.model.types import (
    Case,
    ComponentType,
    EnumType,
    Field,
    FlagsType,
    FunctionType,
    HandleType,
    InterfaceType,
    ListType,
    OptionType,
    Parameter,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)

STRING, BOOL, U8, U32, U64, S32, F32 = (
    Primitive.STRING,
    Primitive.BOOL,
    Primitive.U8,
    Primitive.U32,
    Primitive.U64,
    Primitive.S32,
    Primitive.F32,
)


def record(**fields: WitType) -> RecordType:
    """A record; underscores in the names stand for minus signs."""
    return RecordType(tuple(Field(name.replace("_", "-"), type_) for name, type_ in fields.items()))


def function(*parameters: WitType, result: WitType | None = None) -> FunctionType:
    return FunctionType(tuple(Parameter(f"p{at}", type_) for at, type_ in enumerate(parameters)), result)


ITEM = record(product_id=STRING, name=STRING, price=F32, quantity=U32)
LETTERS = EnumType(("x", "y", "z"))
PAYMENT = VariantType((Case("card", STRING), Case("points", U32), Case("cash", None)))
TRANSPORT = VariantType((Case("car", STRING), Case("points", STRING), Case("walk", None)))
RIGHTS = FlagsType(("read", "write", "run"))
CART = HandleType(7, owned=True, host=False, name="cart")
SELF = HandleType(7, owned=False, host=False, name="cart")

SHOP = ComponentType(
    imports={},
    imported_functions={},
    exports={
        "golem:it/api@1.0.0": InterfaceType(
            "golem:it/api@1.0.0",
            {
                "add-item": function(ITEM),
                "pass-through": function(U64, U32, result=STRING),
                "foo": function(STRING, result=STRING),
                "get": function(result=ResultType(U64, STRING)),
                "currency": function(result=ResultType(STRING, STRING)),
                "get-cart-contents": function(STRING, STRING, result=STRING),
                "add-enum": function(LETTERS, LETTERS, result=LETTERS),
                "pay": function(PAYMENT, result=PAYMENT),
                "travel": function(TRANSPORT, result=TRANSPORT),
                "grant": function(RIGHTS, result=RIGHTS),
                "wrap": function(record(a=record(b=U64)), OptionType(STRING), result=OptionType(OptionType(U8))),
                "pair": function(result=TupleType((U8, STRING))),
                "done": function(),
                "initial": function(Primitive.CHAR, result=Primitive.CHAR),
                "bytes": function(ListType(U8), result=ListType(U8)),
                "bare": function(result=ResultType(None, None)),
                "[constructor]cart": FunctionType((Parameter("user", STRING),), CART),
                "[method]cart.add-item": FunctionType((Parameter("self", SELF), Parameter("item", ITEM)), None),
                "[method]cart.remove-item": FunctionType((Parameter("self", SELF), Parameter("id", STRING)), None),
                "[method]cart.get-cart-contents": FunctionType((Parameter("self", SELF),), ListType(ITEM)),
                "[method]cart.merge": FunctionType((Parameter("self", SELF), Parameter("other", SELF)), None),
                "[static]cart.create": FunctionType((Parameter("user", STRING),), CART),
            },
            {"cart": 7},
        ),
        "golem:it/other": InterfaceType("golem:it/other", {"shared": function(result=U8)}, {}),
        "golem:it/third": InterfaceType("golem:it/third", {"shared": function(result=STRING)}, {}),
        "far:away/api": InterfaceType("far:away/api", {"get": function(result=U8)}, {}),
        "golem:it/weather-agent": InterfaceType("golem:it/weather-agent", {"ask": function(STRING, result=STRING)}, {}),
    },
    exported_functions={"run": function(U8, result=U8)},
)

AGENTS = (AgentConstructor("weather-agent", (Parameter("city", STRING), Parameter("days", U32))),)

Call = tuple[str | None, str, list[Value], int]


@dataclass
class Workers:
    """Answers calls from a table by the last part of their function, and keeps what was called."""

    results: Mapping[str, Value] = field(default_factory=dict[str, Value])
    names: Sequence[str] = ()
    calls: list[Call] = field(default_factory=list[Call])

    async def invoke(
        self, worker_name: str | None, function: str, parameters: Sequence[Value], call_number: int
    ) -> Value:
        await asyncio.sleep(0)
        self.calls.append((worker_name, function, list(parameters), call_number))
        result = self.results.get(function.partition(".{")[2].rstrip("}") or function)
        if isinstance(result, GolemError):
            raise result
        return result

    def ephemeral_worker(self, number: int) -> str | None:
        return self.names[number] if number < len(self.names) else None


def compiled(script: str, *, pure: bool = False) -> CompiledScript:
    """The script, checked against the shop."""
    return compile_script(script, SHOP, agents=AGENTS, pure=pure)


def evaluate(
    script: str,
    results: Mapping[str, Value] | None = None,
    *,
    request: Value = None,
    worker_name: str | None = None,
) -> Value:
    """The value of a script."""
    return called(script, results, request=request, worker_name=worker_name)[0]


def called(
    script: str,
    results: Mapping[str, Value] | None = None,
    *,
    request: Value = None,
    worker_name: str | None = None,
    names: Sequence[str] = (),
) -> tuple[Value, list[Call]]:
    """The value of a script, and the calls that it made."""
    workers = Workers(results or {}, names)
    value = asyncio.run(compiled(script).evaluate({"request": request}, workers, worker_name))
    return value, workers.calls
