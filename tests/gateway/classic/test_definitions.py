"""Definitions and deployments over REST: their life from draft to final and back, and everything that is refused."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.api.guest import API, guest
from tests.api.server import Client, ServerThread
from tests.gateway.classic.conftest import route
from tests.guests import build

DEFINITIONS = "/v1/api/definitions"
DEPLOYMENTS = "/v1/api/deployments"
OK = "{status: 200}"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def component(client: Client) -> str:
    """The name of a component to bind to."""
    return client.create()["componentName"]


class Drafts:
    """Makes definitions with ids of their own."""

    def __init__(self, client: Client, component: str) -> None:
        self.client = client
        self.component = component

    def body(self, *paths: str, id_: str | None = None, version: str = "1", draft: bool = True) -> dict[str, Any]:
        """A definition whose routes answer GET."""
        routes = [route("Get", path, OK, component=self.component, workerName='"w"') for path in paths]
        return {"id": id_ or f"draft-{next(_numbers)}", "version": version, "draft": draft, "routes": routes}

    def create(self, *paths: str, **said: Any) -> Any:
        """Write one."""
        return self.client.post(DEFINITIONS, self.body(*paths, **said)).ok()

    def deploy(self, host: str, *definitions: Any) -> Any:
        """Deploy some."""
        listed = [{"id": each["id"], "version": each["version"]} for each in definitions]
        return self.client.post(f"{DEPLOYMENTS}/deploy", {"apiDefinitions": listed, "site": {"host": host}})

    def put(self, definition: Any, body: Any = None) -> Any:
        """Replace one."""
        path = f"{DEFINITIONS}/{definition['id']}/{definition['version']}"
        content = json.dumps(definition if body is None else body).encode()
        return self.client.send("PUT", path, content, {"content-type": "application/json"})


@pytest.fixture(scope="module")
def drafts(client: Client, component: str) -> Drafts:
    """Makes definitions."""
    return Drafts(client, component)


def test_a_definition_lives(client: Client, drafts: Drafts) -> None:
    """Written, found, replaced while it is a draft, deleted."""
    written = drafts.create("/a")
    path = f"{DEFINITIONS}/{written['id']}/1"
    assert client.get(path).ok() == written
    assert client.get(f"{DEFINITIONS}?api-definition-id={written['id']}").ok() == [written]
    assert written in client.get(DEFINITIONS).ok()
    assert client.get(f"{DEFINITIONS}?api-definition-id=none").ok() == []
    replaced = drafts.put(written, drafts.body("/b", id_=written["id"])).ok()
    assert [each["path"] for each in replaced["routes"]] == ["/b"]
    assert replaced["createdAt"] == written["createdAt"]
    assert client.send("DELETE", path).ok() == "API definition deleted"
    client.get(path).refused(404, f"Can't find api definition with id {written['id']}, and version 1")
    client.send("DELETE", path).refused(404)


def test_yaml_is_read_like_json(client: Client, component: str) -> None:
    """By the content type; what JSON cannot say is refused."""
    text = f"""
id: yaml-api
version: "0.1"
draft: true
routes:
- method: get
  path: /y/{{x}}
  binding:
    type: default
    component: {{name: {component}}}
    workerName: '"w"'
    response: '{{status: 200, body: request.path.x}}'
"""
    yaml = {"content-type": "application/x-yaml"}
    assert client.send("POST", DEFINITIONS, text.encode(), yaml).ok()["routes"][0]["method"] == "Get"
    for bad in (
        b"a: &a [1]\nb: *a",
        b"[" * 100 + b"]" * 100,
        b"a: [",
        b"\xff\xfe",
        b"--- !!python/object:os.system {}",
    ):
        assert client.send("POST", DEFINITIONS, bad, yaml).status == 400


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"id": "no spaces"}, "Invalid name 'no spaces'. Names must start"),
    ({"id": ""}, "id: expected 1 to 255 characters"),
    ({"version": None}, "version: expected string, got null"),
    ({"draft": "yes"}, "draft: expected bool"),
    ({"routes": {}}, "routes: expected list"),
    ({"routes": [{"method": "Fetch", "path": "/", "binding": {}}]}, "routes[0].method: expected one of Get"),
    ({"routes": [{"method": "Get", "binding": {}}]}, "routes[0].path: expected string"),
    ({"routes": [{"method": "Get", "path": "/", "binding": {"bindingType": "x"}}]}, "bindingType: expected one of"),
    ({"routes": [{"method": "Get", "path": "/", "binding": {"response": OK}}]}, "Missing component field"),
    ({"security": "x"}, "security: expected list"),
]


@pytest.mark.parametrize(("change", "reason"), WRONG)
def test_what_is_wrong_is_named(client: Client, drafts: Drafts, change: dict[str, Any], reason: str) -> None:
    """The error says which field."""
    client.post(DEFINITIONS, {**drafts.body("/a"), **change}).refused(400, reason)


@pytest.mark.parametrize(
    ("path", "response", "binding", "reason"),
    [
        ("/a-{x}", OK, {}, "Error in endpoint GET /a-{x}: Failed to parse path"),
        ("/a", None, {}, "Error in endpoint GET /a: Missing response field in binding"),
        ("/a", "{status: ", {}, "response: Invalid rib syntax: Parse error at line: 1, column: 9"),
        ("/a", "let x: u8 = 1;\nlet y: string = x;\ny", {}, "found at line 2, column 17"),
        ("/a", "foo", {}, "foo"),
        ("/a", OK, {"workerName": "golem:it/api.{increment}()"}, "workerName: Rib compilation error"),
        ("/a", OK, {"component": "none"}, "Did not find component for name none"),
        ("/a", "request.path.x", {}, "Following request.path lookups in response mapping rib script is not present"),
        ("/a/{x}", "request.query.x", {}, "Following request.query lookups in response mapping rib script"),
        ("/a", "let s: string = request.auth.sub; s", {}, "request.auth is there only on routes"),
        ("/foo/{user  -  id}", "request.path.user-id", {}, "Following request.path lookups"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    client: Client, component: str, path: str, response: str | None, binding: dict[str, str], reason: str
) -> None:
    """The error names the route, the script and the line and column in it."""
    routes = [route("Get", path, response, **{"component": component, "workerName": '"w"', **binding})]
    client.post(DEFINITIONS, {"id": "wrong", "version": "1", "routes": routes}).refused(400, reason)


def test_blanks_at_the_ends_of_a_variable_do_not_count(client: Client, component: str) -> None:
    """As they do not in the request either."""
    response = "{body: request.path.user-id}"
    routes = [route("Get", "/foo/{ user-id   }", response, component=component, workerName='"w"')]
    client.post(DEFINITIONS, {"id": "blanks", "version": "1", "routes": routes}).ok()


def test_routes_of_one_shape_conflict(client: Client, drafts: Drafts) -> None:
    """Whatever the names of their variables and queries."""
    client.post(DEFINITIONS, drafts.body("/a/{x}?{q}", "/b", "/a/{y}")).refused(
        400, "RouteValidationError: method: GET, path: /a/{x}?{q}, detail: Duplicate route with path: /a/{y}"
    )


def test_a_version_exists_once(client: Client, drafts: Drafts) -> None:
    """Draft or not; another version is another definition."""
    first = drafts.create("/a")
    client.post(DEFINITIONS, drafts.body("/a", id_=first["id"])).refused(
        409, f"API definition {first['id']} already exists with the same version: 1"
    )
    drafts.create("/a", id_=first["id"], version="2")
    listed = client.get(f"{DEFINITIONS}?api-definition-id={first['id']}").ok()
    assert [each["version"] for each in listed] == ["1", "2"]


def test_only_drafts_change(drafts: Drafts) -> None:
    """And the body must name what the path names, or nothing."""
    final = drafts.create("/a", draft=False)
    assert drafts.put(final).refused(400, f"API definition is not draft: {final['id']}")
    draft = drafts.create("/a")
    drafts.put(draft, {**draft, "id": "other"}).refused(400, "Unmatched url and body ids.")
    drafts.put(draft, {**draft, "version": "9"}).refused(400, "Unmatched url and body versions.")
    unnamed = {key: value for key, value in drafts.body("/c").items() if key not in ("id", "version")}
    drafts.put(draft, {**unnamed, "draft": False}).ok()
    drafts.put(draft, unnamed).refused(400, "is not draft")
    drafts.put({"id": "never", "version": "1", "routes": []}).refused(404, "API definition not found: never")


def test_deployed_is_final_until_it_is_nowhere(client: Client, drafts: Drafts) -> None:
    """Deploying ends a draft, and undeploying from the last site makes it one again."""
    made = drafts.create("/a")
    path = f"{DEFINITIONS}/{made['id']}/1"
    for host in ("one.example.com", "two.example.com"):
        deployed = drafts.deploy(host, made).ok()
        assert deployed["apiDefinitions"] == [{"id": made["id"], "version": "1"}]
        assert deployed["site"] == {"host": host}
    assert drafts.deploy("two.example.com", made).ok() == deployed
    assert client.get(path).ok()["draft"] is False
    client.send("DELETE", path).refused(400, "API definition deployed: one.example.com, two.example.com")
    assert client.send("DELETE", f"{DEPLOYMENTS}/one.example.com").ok() == "API deployment deleted"
    assert client.get(path).ok()["draft"] is False
    gone = client.send("DELETE", f"{DEPLOYMENTS}/two.example.com/{made['id']}/1")
    assert gone.ok() == "API definition undeployed from site"
    assert client.get(path).ok()["draft"] is True
    client.get(f"{DEPLOYMENTS}/two.example.com").refused(404, "Api deployment not found")
    client.send("DELETE", f"{DEPLOYMENTS}/two.example.com").refused(404, "Unknown authority or domain: two.example.com")
    client.send("DELETE", f"{DEPLOYMENTS}/two.example.com/{made['id']}/1").refused(404, "Site not found")


def test_sites_grow(client: Client, drafts: Drafts, server: ServerThread) -> None:
    """Deploying adds; what conflicts is refused as a whole, and the contract's own form is taken too."""
    first, second, third = drafts.create("/a"), drafts.create("/b"), drafts.create("/c", "/a")
    site = {"host": "example.com:9006", "subdomain": "grow"}
    body = {"apiDefinitionId": first["id"], "version": "1", "site": site}
    assert client.post(DEPLOYMENTS, body).ok()["site"] == site
    host = "grow.example.com:9006"
    drafts.deploy(host, second).ok()
    drafts.deploy(host, third).refused(400, "API deployment definitions conflict error: /a")
    assert client.get(f"{DEFINITIONS}/{third['id']}/1").ok()["draft"] is True
    encoded = host.replace(":", "%3A")
    shown = client.get(f"{DEPLOYMENTS}/{encoded}").ok()
    assert {each["id"] for each in shown["apiDefinitions"]} == {first["id"], second["id"]}
    filtered = client.get(f"{DEPLOYMENTS}?api-definition-id={second['id']}").ok()
    assert [each["apiDefinitions"] for each in filtered] == [[{"id": second["id"], "version": "1"}]]
    deployed = Client(server.deployed_port, None)
    for path, status in (("/a", 200), ("/b", 200), ("/c", 404)):
        assert deployed.send("GET", path, headers={"host": host}).status == status
    client.send("DELETE", f"{DEPLOYMENTS}/{encoded}/{second['id']}/1").ok()
    assert deployed.send("GET", "/b", headers={"host": host}).status == 404
    assert deployed.send("GET", "/a", headers={"host": host.upper()}).status == 404
    drafts.deploy(host, {"id": "none", "version": "1"}).refused(404, "Unknown API none/1")


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a:0", "a:70000", "-:x", "a..b", "x" * 300, "a\r\nb"])
def test_a_site_is_a_host(client: Client, drafts: Drafts, host: str) -> None:
    """With a port perhaps."""
    made = drafts.create("/a")
    drafts.deploy(host, made).refused(400, "site: ")


@pytest.mark.parametrize(
    "body", [{}, {"site": {"host": "a"}}, {"site": {"host": "a"}, "version": "1"}, {"site": "a"}, [], {"site": {}}]
)
def test_a_deployment_names_something(client: Client, body: Any) -> None:
    """Whatever is missing is 400."""
    client.post(DEPLOYMENTS, body).refused(400)


def test_a_component_keeps_what_deployed_scripts_call(client: Client, drafts: Drafts) -> None:
    """An update without a called function is refused while its caller is deployed."""
    made = client.create(guest())
    path = f"/v1/components/{made['componentId']}"
    response = f"let n = {API}.{{increment}}(); {{body: n}}"
    routes = [route("Get", "/n", response, component=made["componentName"], workerName='"w"')]
    body = {"id": "constrained", "version": "1", "routes": routes}
    definition = client.post(DEFINITIONS, body).ok()
    client.form("PATCH", path, {"component": guest("same functions")}).ok()
    drafts.deploy("constrained.example.com", definition).ok()
    client.form("PATCH", path, {"component": guest("still the same")}).ok()
    client.form("PATCH", path, {"component": build("counter")}).refused(409, f"Missing Functions: {API}.{{increment}}")
    client.send("DELETE", f"{DEPLOYMENTS}/constrained.example.com").ok()
    client.form("PATCH", path, {"component": build("counter")}).ok()


def test_definitions_need_a_token(client: Client) -> None:
    """Like everything else."""
    assert Client(client.port, None).get(DEFINITIONS).status == 401
