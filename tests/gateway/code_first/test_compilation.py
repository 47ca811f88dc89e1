"""What agent types declare becomes routes, or is refused with everything that is wrong about it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from golem_server.gateway.code_first.compilation import compile_api, compile_apis
from golem_server.gateway.code_first.deployed import DeployedHttpApi
from golem_server.gateway.code_first.parameters import JsonBody, WholeBody
from golem_server.gateway.code_first.path_segments import printed, request_segments
from golem_server.gateway.code_first.routes import AgentRoute, LoginRoute, PreflightRoute, WebhookRoute
from golem_server.model.agent_types import AgentType, agent_types_from_guest
from golem_server.model.errors import InvalidInput
from golem_server.model.http_api_deployments import NamedSecurityScheme, TestSessionHeader
from tests.gateway.code_first.declared_agents import (
    BYTES,
    DOMAIN,
    STRING,
    TEXT,
    U32,
    agent_type,
    deployed_api,
    endpoint,
    list_of,
    method,
    option,
    security_scheme,
)
from tests.model.agent_strategies import discovered

RECORD: Any = {"type": "Record", "fields": [{"name": "n", "typ": U32}]}


def shop(*methods: Any, **more: Any) -> AgentType:
    """A shop with these methods."""
    return agent_type("ShopAgent", "/shops/{shop}", {"shop": STRING}, list(methods), **more)


def route_of(type_: AgentType, security: Any = None) -> AgentRoute:
    """The one route of an agent type."""
    (route,) = compile_api(deployed_api({type_.name: security}, type_)).agent_routes
    return route


def reasons(api: DeployedHttpApi) -> list[str]:
    """What is wrong with an API, without the domain."""
    with pytest.raises(InvalidInput) as refused:
        compile_api(api)
    prefix = f"Http api for domain {api.deployment.domain}: "
    assert all(reason.startswith(prefix) for reason in refused.value.details)
    return [reason.removeprefix(prefix) for reason in refused.value.details]


def reason(type_: AgentType, security: Any = None, **more: Any) -> str:
    """The one thing that is wrong with an agent type."""
    (found,) = reasons(deployed_api({type_.name: security}, type_, **more))
    return found


def test_parameters_keep_their_order_wherever_they_are_found() -> None:
    route = route_of(
        shop(
            method(
                "find",
                {"body1": RECORD, "id": U32, "body2": option(STRING), "q": list_of(U32), "trace": option(STRING)},
                endpoint("POST", "/items/{id}", query={"query": "q", "id": "id"}, headers={"X-Trace": "trace"}),
            )
        )
    )
    assert printed(route.path) == "/shops/{shop}/items/{id}"
    assert [(each.element.name, each.source) for each in route.arguments] == [
        ("body1", "body"),
        ("id", "path"),
        ("body2", "body"),
        ("q", "query"),
        ("trace", "header"),
    ]
    assert isinstance(route.body, JsonBody)
    assert [field.name for field in route.body.type.fields] == ["body1", "body2"]


@pytest.mark.parametrize("kind", [TEXT, BYTES])
def test_one_text_or_binary_that_is_left_is_the_whole_body(kind: str) -> None:
    route = route_of(shop(method("put", {"key": STRING, "file": kind}, endpoint("PUT", "/files/{key}"))))
    assert isinstance(route.body, WholeBody)
    more = shop(method("put", {"key": STRING, "file": kind}, endpoint("PUT", "/files")))
    assert "several parameters of which not all are JSON: key, file" in reason(more)


def test_system_variables_are_literals() -> None:
    get = method("list", {}, endpoint("GET", "/items/{agent-version}"))
    assert printed(route_of(agent_type("ShopAgent", "/{agent-type}", {}, [get])).path) == "/shop-agent/items/7"


def test_endpoints_override_the_authentication_of_the_mount_and_add_origins_to_its() -> None:
    header = TestSessionHeader("X-Test")
    closed = method("a", {}, endpoint("GET", "/a", cors=("https://b.example", "https://a.example")))
    route = route_of(shop(closed, auth=True, cors=("https://b.example",)), header)
    assert route.security is header
    assert route.cors == ("https://a.example", "https://b.example")
    assert route_of(shop(method("a", {}, endpoint("GET", "/a", auth=False)), auth=True), header).security is None
    assert route_of(shop(method("a", {}, endpoint("GET", "/a", auth=True)), auth=False), header).security is header
    assert route_of(shop(method("a", {}, endpoint("GET", "/a"))), header).security is None


def test_agents_are_phantoms_where_the_mount_says_so_or_they_are_ephemeral() -> None:
    get = method("a", {}, endpoint("GET", "/a"))
    assert not route_of(shop(get)).phantom
    assert route_of(shop(get, phantom=True)).phantom
    assert route_of(shop(get, mode="Ephemeral")).phantom


def test_methods_of_ones_own_are_matched_in_capitals() -> None:
    assert route_of(shop(method("a", {}, endpoint("purge", "/a")))).http_method == "PURGE"
    assert "cannot be an HTTP method" in reason(shop(method("a", {}, endpoint("P URGE", "/a"))))


def test_a_domain_has_webhooks_documents_and_preflights_beside_the_endpoints() -> None:
    types = [
        shop(method("a", {}, endpoint("GET", "/a", cors=("*",)), endpoint("PUT", "/a"))),
        agent_type("Till", "/till/{till}", {"till": U32}, [], webhook="/cash/{agent-version}"),
    ]
    api = compile_api(deployed_api({"ShopAgent": None, "Till": None}, *types, webhooks="/hooks/", openapi="/docs/"))

    def target(http_method: str, *path: str) -> Any:
        match = api.router.match(http_method, path)
        return None if match is None else match.route

    assert target("POST", "hooks", "shop-agent", "x") == WebhookRoute("ShopAgent")
    assert target("POST", "hooks", "cash", "7", "x") == WebhookRoute("Till")
    assert target("GET", "docs", "openapi.json").format == "json"
    assert target("GET", "docs", "openapi.yaml").format == "yaml"
    assert target("GET", "openapi.json") is None
    assert isinstance(target("OPTIONS", "shops", "s", "a"), PreflightRoute)
    assert isinstance(target("GET", "shops", "s", "a"), AgentRoute)
    assert target("HEAD", "shops", "s", "a") is None


def test_routes_behind_a_scheme_that_does_not_exist_are_left_out() -> None:
    type_ = shop(method("a", {}, endpoint("GET", "/a", auth=True)), method("b", {}, endpoint("GET", "/b")))
    api = deployed_api({"ShopAgent": NamedSecurityScheme("google")}, type_)
    assert [route.method.name for route in compile_api(api, {}).agent_routes] == ["b"]
    with_login = compile_api(api, {"google": security_scheme("google")})
    assert [route.method.name for route in with_login.agent_routes] == ["a", "b"]
    match = with_login.router.match("GET", ["auth", "callback"])
    assert match is not None
    assert match.route == LoginRoute("google")


@pytest.mark.parametrize(
    ("mount", "path", "redirect"),
    [
        ("/", "/{+rest}", "/auth/callback"),
        ("/", "/{a}/{b}", "/auth/callback"),
        ("/", "/auth/callback", "/auth/callback"),
        ("/", "/{+rest}", "/a%20b/c%C3%A4/"),
    ],
)
def test_a_caller_who_comes_back_from_a_provider_meets_no_other_route(mount: str, path: str, redirect: str) -> None:
    """Which would send him away again, and not even one that takes exactly this path takes the domain down."""
    a = method("a", named(path), endpoint("GET", path, auth=True))
    type_ = agent_type("Shop", mount, {}, [a, method("b", {}, endpoint("GET", "/b"))])
    schemes = {
        "google": security_scheme("google", f"https://{DOMAIN}{redirect}"),
        "elsewhere": security_scheme("elsewhere", f"https://elsewhere.example{redirect}"),
    }
    other = agent_type("Other", "/other", {}, [method("c", {}, endpoint("GET", "/c", auth=True))])
    secured = {"Shop": NamedSecurityScheme("google"), "Other": NamedSecurityScheme("elsewhere")}
    router = compile_api(deployed_api(secured, type_, other), schemes).router
    match = router.match("GET", request_segments(redirect))
    assert match is not None
    assert match.route == LoginRoute("google")
    assert router.match("GET", ["b"]) is not None


def named(path: str) -> dict[str, Any]:
    """The parameters of a method that takes all variables of a path."""
    return {name.lstrip("+"): STRING for name in re.findall(r"\{([^}]+)\}", path)}


@pytest.mark.parametrize(
    ("type_", "complaint"),
    [
        (
            agent_type("A", "/a", {"x": STRING}, []),
            "agent type A: Constructor parameter 'x' must bind to a path variable of the mount",
        ),
        (
            agent_type("A", "/a/{x}", {}, []),
            "agent type A: the mount's path has the variable 'x', which is no parameter",
        ),
        (agent_type("A", "/a/{x}/{x}", {"x": STRING}, []), "agent type A: the path has the variable 'x' twice"),
        (
            agent_type("A", "/a/{x}", {"x": RECORD}, []),
            "Constructor parameter 'x' has a type that cannot stand in a path",
        ),
        (agent_type("A", None, {}, []), "agent type A has no HTTP mount"),
        (agent_type("A", "/a", {}, [], webhook="/x/{y}"), "agent type A: the path of webhooks cannot have variables"),
        (shop(method("m", {}, endpoint("GET", "/{x}"))), "method m of agent type ShopAgent: the path binds 'x'"),
        (
            shop(method("m", {}, endpoint("GET", "/{shop}"))),
            "the path binds 'shop', which is no parameter of the method",
        ),
        (shop(method("m", {}, endpoint("GET", "/", query={"q": "x"}))), "the query binds 'x'"),
        (shop(method("m", {}, endpoint("GET", "/", headers={"h": "x"}))), "the header binds 'x'"),
        (shop(method("m", {"x": U32}, endpoint("GET", "/{+x}"))), "parameter 'x' has a type that cannot stand"),
        (shop(method("m", {"x": option(U32)}, endpoint("GET", "/{x}"))), "parameter 'x' has a type that cannot stand"),
        (shop(method("m", {"x": RECORD}, endpoint("GET", "/", query={"q": "x"}))), "parameter 'x' has a type"),
        (shop(method("m", {"x": STRING}, endpoint("GET", "/{+x}/a"))), "must be the last segment"),
        (shop(method("m", {}, endpoint("GET", "/a"), result={"a": U32, "b": U32})), "more than one result"),
        (shop(method("m", {}, endpoint("GET", "/a", auth=True))), "the deployment names no security for the agent"),
    ],
)
def test_what_is_wrong_is_told(type_: AgentType, complaint: str) -> None:
    assert complaint in reason(type_)


def test_test_headers_need_an_environment_that_allows_them() -> None:
    type_ = shop(method("m", {}, endpoint("GET", "/a", auth=True)))
    assert "without security overrides" in reason(type_, TestSessionHeader("X-T"), test_headers_allowed=False)
    assert "cannot be the name of a header" in reason(type_, TestSessionHeader("X T"))


def test_a_route_must_be_the_only_one_of_its_pattern_at_the_domain() -> None:
    get = method("get", {"x": STRING}, endpoint("GET", "/{x}"))
    again = method("again", {"y": STRING}, endpoint("GET", "/{y}"))
    assert reason(shop(get, again)) == "there are multiple routes for pattern GET /shops/{shop}/{y}"
    other = agent_type(
        "Other", "/shops/{key}/{other}", {"key": STRING, "other": STRING}, [method("m", {}, endpoint("GET", ""))]
    )
    assert reasons(deployed_api({"ShopAgent": None, "Other": None}, shop(get), other)) == [
        "there are multiple routes for pattern GET /shops/{key}/{other}"
    ]
    document = agent_type("Doc", "/", {}, [method("m", {}, endpoint("GET", "/openapi.json"))])
    assert reason(document) == "there are multiple routes for pattern GET /openapi.json"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    wrong = shop(method("m", {}, endpoint("GET", "/{x}")), method("n", {}, endpoint("GET", "/", query={"q": "y"})))
    told = reasons(deployed_api({"ShopAgent": None, "Gone": None}, wrong))
    assert len(told) == 3
    assert told[0] == "agent type Gone is not part of the deployment"


def test_an_agent_type_is_at_one_domain_only() -> None:
    type_ = shop(method("m", {}, endpoint("GET", "/a")))
    apis = [deployed_api({"ShopAgent": None}, type_, domain=domain) for domain in (DOMAIN, "other.localhost")]
    assert len(compile_apis(apis[:1])) == 1
    with pytest.raises(InvalidInput, match=f"ShopAgent is deployed at {DOMAIN} and at other.localhost"):
        compile_apis(apis)


def test_the_agents_of_the_sdk_can_be_deployed() -> None:
    types = [*agent_types_from_guest(discovered("shop")), *agent_types_from_guest(discovered("counter"))]
    (api,) = compile_apis([deployed_api({type_.name: None for type_ in types}, *types)])
    assert len(api.agent_routes) == 26
