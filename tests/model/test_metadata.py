"""What is kept and told of a component."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from golem_server.model.metadata import BinaryMetadata, metadata_to_json
from golem_server.model.type_codec import (
    binary_metadata_from_data,
    binary_metadata_to_data,
    component_type_from_data,
    component_type_to_data,
)
from golem_server.model.types import (
    ComponentType,
    FunctionType,
    HandleType,
    InterfaceType,
    ListType,
    Parameter,
    Primitive,
    TupleType,
    WitType,
)
from tests.model.wit_strategies import NAMES, wit_types

FUNCTIONS = st.dictionaries(
    NAMES,
    st.builds(
        FunctionType,
        st.lists(st.builds(Parameter, NAMES, wit_types(handles=True)), max_size=3).map(tuple),
        st.none() | wit_types(handles=True),
    ),
    max_size=3,
)
INTERFACES = st.lists(
    st.builds(InterfaceType, NAMES, FUNCTIONS, st.dictionaries(NAMES, st.integers(0, 9), max_size=2)), max_size=2
).map(lambda interfaces: {interface.name: interface for interface in interfaces})


@given(st.builds(ComponentType, INTERFACES, FUNCTIONS, INTERFACES, FUNCTIONS))
@settings(max_examples=50)
def test_component_type_survives_json_and_messagepack(component: ComponentType) -> None:
    data = component_type_to_data(component)
    assert component_type_from_data(json.loads(json.dumps(data))) == component
    assert component_type_from_data(msgspec.msgpack.decode(msgspec.msgpack.encode(data))) == component


def test_shared_types_are_written_once_and_shared_again() -> None:
    type_: WitType = Primitive.U8
    for _ in range(60):
        # As a tree it would have 2**60 leaves.
        type_ = TupleType((type_, type_))
    component = ComponentType({}, {}, {}, {"f": FunctionType((Parameter("a", type_),), type_)})
    data = component_type_to_data(component)
    assert len(data["types"]) == 60
    function = component_type_from_data(data).exported_functions["f"]
    assert function.parameters[0].type is function.result


def test_equal_types_are_written_once_and_unequal_ones_apart() -> None:
    numbers = [HandleType(1, True, False), HandleType(1, False, True), HandleType(1, True, False)]
    parameters = tuple(Parameter(f"p{at}", ListType(handle)) for at, handle in enumerate(numbers))
    component = ComponentType({}, {}, {}, {"f": FunctionType(parameters, None)})
    data = component_type_to_data(component)
    assert len(data["types"]) == 4
    assert component_type_from_data(data) == component


BINARY = BinaryMetadata(
    producers=({"language": [("Rust", "")], "processed-by": [("rustc", "1.80"), ("wit-component", "0.2")]}, {}),
    memories=((1114112, None), (65536, 131072)),
    root_package_name="shop:cart",
    root_package_version=None,
    binary_wit=b"\0asm",
)


def test_binary_metadata_survives_messagepack() -> None:
    stored: Any = msgspec.msgpack.decode(msgspec.msgpack.encode(binary_metadata_to_data(BINARY)))
    assert binary_metadata_from_data(stored) == BINARY
    assert BINARY.initial_memory_bytes == 1179648


def test_metadata_object_is_the_contracts() -> None:
    item = Parameter("item", Primitive.STRING)
    api = InterfaceType("shop:cart/api", {"add-item": FunctionType((item,), Primitive.U64)}, {})
    snapshot = InterfaceType("golem:api/save-snapshot@1.1.0", {}, {})
    component = ComponentType({}, {}, {api.name: api, snapshot.name: snapshot}, {"run": FunctionType((), None)})
    parameters = [{"name": "item", "typ": {"type": "Str"}}]
    u64 = {"type": "U64"}
    assert metadata_to_json(component, BINARY) == {
        "exports": [
            {
                "type": "Instance",
                "name": "shop:cart/api",
                "functions": [
                    {
                        "name": "add-item",
                        "parameters": parameters,
                        "result": {"typ": u64},
                        "results": [{"name": None, "typ": u64}],
                    }
                ],
            },
            {"type": "Instance", "name": "golem:api/save-snapshot@1.1.0", "functions": []},
            {"type": "Function", "name": "run", "parameters": [], "result": None, "results": []},
        ],
        "producers": [
            {
                "fields": [
                    {"name": "language", "values": [{"name": "Rust", "version": ""}]},
                    {
                        "name": "processed-by",
                        "values": [{"name": "rustc", "version": "1.80"}, {"name": "wit-component", "version": "0.2"}],
                    },
                ]
            },
            {"fields": []},
        ],
        "memories": [{"initial": 1114112, "maximum": None}, {"initial": 65536, "maximum": 131072}],
        "binaryWit": "AGFzbQ==",
        "rootPackageName": "shop:cart",
        "rootPackageVersion": None,
        "dynamicLinking": {},
        "knownExports": {
            "agentGuestInterface": None,
            "saveSnapshotInterface": "golem:api/save-snapshot@1.1.0",
            "loadSnapshotInterface": None,
            "oplogProcessorInterface": None,
        },
        "agentTypes": [],
        "agentTypeProvisionConfigs": {},
    }
