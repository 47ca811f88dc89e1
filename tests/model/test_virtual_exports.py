"""Functions that the server adds to components: when they are there, how they are found and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model.errors import InvalidInput
from golem_server.model.function_names import FunctionResolver
from golem_server.model.http_messages import HANDLE_TYPE, METHODS, HttpBody, HttpResponse, IncomingHttpRequest
from golem_server.model.metadata import exports_to_json
from golem_server.model.types import ComponentType, FunctionType, InterfaceType
from golem_server.model.virtual_exports import HANDLE_HTTP, INCOMING_HANDLER

HANDLER = {"handle": FunctionType((), None)}


def component(*names: str) -> ComponentType:
    """A component that exports these interfaces, each with a function `handle`."""
    return ComponentType({}, {}, {name: InterfaceType(name, HANDLER, {}) for name in names}, {})


@pytest.mark.parametrize("version", ["0.2.0", "0.2.1", "0.2.2", "0.2.3"])
def test_a_component_that_handles_http_has_one_function_more(version: str) -> None:
    wasi = f"wasi:http/incoming-handler@{version}"
    resolved = FunctionResolver(component(wasi)).resolve(HANDLE_HTTP)
    assert (resolved.interface, resolved.function, resolved.type) == (INCOMING_HANDLER, "handle", HANDLE_TYPE)
    assert resolved.exported_interface == wasi
    assert resolved.export_name == HANDLE_HTTP
    exports = exports_to_json(component(wasi))
    assert [export["name"] for export in exports] == [wasi, INCOMING_HANDLER]
    (function,) = exports[1]["functions"]
    assert [parameter["name"] for parameter in function["parameters"]] == ["request"]
    request, response = function["parameters"][0]["typ"], function["result"]["typ"]
    assert [field["name"] for field in request["fields"]] == [
        "method",
        "scheme",
        "authority",
        "path-and-query",
        "headers",
        "body-and-trailers",
    ]
    assert [case["name"] for case in request["fields"][0]["typ"]["cases"]] == [*METHODS, "custom"]
    assert [field["name"] for field in response["fields"]] == ["status", "headers", "body-and-trailers"]


@pytest.mark.parametrize("names", [(), ("wasi:http/incoming-handler@0.3.0",), ("wasi:http/incoming-handler",)])
def test_others_have_not(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="Can't find"):
        FunctionResolver(component(*names)).resolve(HANDLE_HTTP)
    assert len(exports_to_json(component(*names))) == len(names)


def test_a_component_that_has_such_a_function_keeps_its_own() -> None:
    both = component("wasi:http/incoming-handler@0.2.0", INCOMING_HANDLER)
    resolved = FunctionResolver(both).resolve(HANDLE_HTTP)
    assert (resolved.behind, resolved.type) == (None, HANDLER["handle"])
    assert len(exports_to_json(both)) == 2


@pytest.mark.parametrize("name", ["{other}", "{handle.new}", "{handle.drop}", '{handle("x").new}'])
def test_it_has_no_other_functions(name: str) -> None:
    with pytest.raises(InvalidInput):
        FunctionResolver(component("wasi:http/incoming-handler@0.2.0")).resolve(f"{INCOMING_HANDLER}.{name}")


_fields = st.lists(st.tuples(st.text(), st.binary())).map(tuple)
_bodies = st.none() | st.builds(HttpBody, st.binary(), st.none() | _fields)


@given(
    st.builds(
        IncomingHttpRequest,
        st.sampled_from([*METHODS, "PURGE"]),
        st.sampled_from(["http", "https", "ws"]),
        st.text(),
        st.text(),
        _fields,
        _bodies,
    )
)
def test_requests_are_read_as_they_were_written(request: IncomingHttpRequest) -> None:
    assert IncomingHttpRequest.from_value(request.value()) == request


@given(st.builds(HttpResponse, st.integers(100, 999), _fields, _bodies))
def test_responses_are_read_as_they_were_written(response: HttpResponse) -> None:
    assert HttpResponse.from_value(response.value()) == response
