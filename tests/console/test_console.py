"""The console in a real browser: everything a person does there, against a real server with real agents."""

from __future__ import annotations

import itertools
import json

import pytest

from golem_server.registry.tokens import LOCAL_TOKEN
from tests.api.guest import guest
from tests.api.server import Client, ServerThread
from tests.console.browser import Browser
from tests.console.conftest import COUNTER

_names = itertools.count(1)


def open_agent(console: Browser) -> str:
    """A new counting agent, made with the console's form; its name."""
    parameter = f"agent-{next(_names)}"
    console.click("a", COUNTER)
    console.click("button", "Open an agent")
    console.fill("dialog textarea", parameter)
    console.click("dialog button.main")
    name = f'CounterAgent("{parameter}")'
    console.wait_text(name, "h1")
    console.wait_text("constructor", ".entries")
    return name


def invoke(console: Browser, method: str, *values: str) -> None:
    """Call a method with the form that is made of its types."""
    console.click("[role=tab]", "Invoke")
    console.wait(
        f"""(select => {{
            const at = [...select.options].findIndex(each => each.text.startsWith({json.dumps(method + "(")}));
            select.selectedIndex = at;
            select.dispatchEvent(new Event("change"));
            return at >= 0;
        }})(document.querySelector("#invoke select"))"""
    )
    for number, value in enumerate(values):
        console.wait(f"document.querySelectorAll('#invoke .field input, #invoke .field textarea').length > {number}")
        console.run(
            f"""(field => {{ field.value = {json.dumps(value)}; field.dispatchEvent(new Event("input")); }})(
                document.querySelectorAll("#invoke .field textarea, #invoke .field input")[{number}])"""
        )
    console.click("#invoke button.main")
    console.wait_text("nswer", "[aria-label=Answer] h2")
    console.wait("!document.querySelector('#invoke button.main').disabled")


def test_the_token_is_asked_once(browser: Browser, server: ServerThread) -> None:
    """A wrong one is refused with the server's words; the right one stays in the tab, and nowhere else."""
    url = f"http://127.0.0.1:{server.port}/console"
    browser.open(url)
    browser.fill("#token", "wrong-wrong-wrong-wrong")
    browser.press("Enter")
    browser.wait("document.querySelector('.signin .problem').textContent.length > 5")
    browser.fill("#token", LOCAL_TOKEN)
    browser.press("Enter")
    browser.wait_text(COUNTER)
    browser.open(url)
    browser.wait_text(COUNTER)
    assert browser.run("JSON.stringify(localStorage)") == "{}"
    assert browser.run("document.cookie") == ""
    browser.click("#leave")
    browser.wait_text("Sign in")


def test_an_agent_is_called_with_a_form(console: Browser) -> None:
    """The form follows from the method's types, and so does what the answer looks like."""
    open_agent(console)
    invoke(console, "add", "2.5")
    console.wait_text("2.5", "[aria-label=Answer] pre")
    console.wait_text("f64", "[aria-label=Answer] .type")
    invoke(console, "add", "no number")
    console.wait_text("n: expected a number", "#invoke .problem")


def test_integers_of_64_bits_are_exact(console: Browser, client: Client) -> None:
    """Neither the form nor the page rounds them; a range is checked before anything is sent."""
    console.click("a", "tests:guest")
    console.click("button", "Create a worker")
    console.fill("dialog input", "numbers")
    console.click("dialog button.main")
    console.wait_text("numbers", "h1")
    invoke(console, "golem:it/api.{echo-u64}", "18446744073709551615")
    console.wait_text("18446744073709551615", "[aria-label=Answer] pre")
    invoke(console, "golem:it/api.{echo-u64}", "18446744073709551616")
    console.wait_text("expected 0 to 18446744073709551615", "#invoke .problem")
    console.click("[role=tab]", "Timeline")
    console.click(".entries li", "golem:it/api.{echo-u64}")
    console.wait_text("18446744073709551615", "[aria-label=Details] pre")


def test_the_timeline_shows_what_went_in_and_out(console: Browser) -> None:
    """Requests and responses with their types, and a drawing of it all."""
    open_agent(console)
    invoke(console, "increment")
    console.click("[role=tab]", "Timeline")
    console.click(".entries li", "wall_clock::now")
    console.wait_text("record { seconds: u64, nanoseconds: u64 }", "[aria-label=Details]")
    console.wait_text("ReadLocal", "[aria-label=Details]")
    assert console.run("document.querySelectorAll('.overview .mark').length") >= 5
    console.click(".entries li[data-type=AgentInvocationFinished]", "finished after")
    console.wait_text("Response", "[aria-label=Details]")
    console.fill("#search", "increment")
    console.press("Enter")
    console.wait("[...document.querySelectorAll('.entries li')].every(e => !e.textContent.includes('wall_clock'))")


def test_events_are_live(console: Browser, client: Client) -> None:
    """What a worker says while somebody else calls it, at once and with its colour."""
    name = open_agent(console)
    console.click("[role=tab]", "Live")
    parameter = name.split('"')[1]

    def element(text: str) -> dict[str, object]:
        return {"type": "Tuple", "elements": [{"type": "ComponentModel", "value": text}]}

    call = {
        "appName": "default",
        "envName": "default",
        "agentTypeName": "CounterAgent",
        "parameters": element(parameter),
        "methodName": "log",
        "methodParameters": element("from outside"),
    }
    client.post("/v1/agents/invoke-agent", call).ok()
    console.wait_text("out: from outside", ".live .StdOut")
    console.wait_text("err: from outside", ".live .StdErr")
    console.wait_text("from outside", ".live .Warn")
    console.click("[role=tab]", "Timeline")
    console.wait_text("stdout:", ".entries")


def test_a_worker_is_forked_and_reverted(console: Browser) -> None:
    """From an entry that was chosen."""
    original = open_agent(console)
    for _ in range(2):
        invoke(console, "increment")
    console.click("[role=tab]", "Timeline")
    console.wait("document.querySelectorAll('.entries li[data-type=AgentInvocationFinished]').length == 3")
    console.run("document.querySelectorAll('.entries li[data-type=AgentInvocationFinished]')[1].click()")
    console.click("[data-action=revert]")
    console.click("dialog button.main")
    console.wait_text("reverted", ".entries")
    assert console.run("document.querySelectorAll('.entries li.dropped').length") > 2
    invoke(console, "increment")
    console.wait_text("2", "[aria-label=Answer] pre")
    console.click("[role=tab]", "Timeline")
    console.click(".entries li", "constructor")
    console.run("document.querySelectorAll('.entries li[data-type=AgentInvocationFinished]')[1].click()")
    console.click("[data-action=fork]")
    console.click("dialog button.main")
    console.wait_text(f"{original}[", "h1")
    invoke(console, "increment")
    console.wait_text("2", "[aria-label=Answer] pre")


def test_a_worker_is_interrupted_resumed_updated_and_deleted(console: Browser, client: Client) -> None:
    """With the buttons, which are only there to be pressed where it makes sense."""
    console.click("a", "tests:guest")
    console.click("button", "Create a worker")
    console.fill("dialog input", "busy")
    console.click("dialog button.main")
    console.wait_text("Idle", ".chip")
    path = console.run("location.hash").split("/")[2]
    client.invoke(f"/v1/components/{path}/workers/busy/invoke", "spin").ok()
    console.click("button", "Refresh")
    console.wait_text("Running", ".chip")
    console.click("button", "Interrupt")
    console.wait_text("Interrupted", ".chip")
    console.click("button", "Resume")
    console.wait_text("Resumed", "#toasts")
    console.click("button", "Interrupt")
    console.wait_text("Interrupted", ".chip")
    client.form("PATCH", f"/v1/components/{path}", {"component": guest("a new revision")}).ok()
    console.click("button", "Update")
    console.click("dialog button.main", "Update")
    console.wait_text("The update is queued", "#toasts")
    console.wait_text("update to revision 1", ".entries")
    console.click("button", "Delete")
    console.click("dialog button.main", "Delete")
    console.wait_text("Create a worker")
    client.get(f"/v1/components/{path}/workers/busy").refused(404)


def test_workers_are_found(console: Browser, client: Client) -> None:
    """By name, status and filter; a filter that is none is told in the server's words."""
    component = client.component()
    for number in range(55):
        client.post(f"{component}/workers", {"name": f"many-{number}"}).ok()
    console.run(f"location.hash = '#/components/{component.rpartition('/')[2]}'")
    console.wait("document.querySelectorAll('tbody tr').length == 50")
    console.click("button", "Load more")
    console.wait("document.querySelectorAll('tbody tr').length == 55")
    console.fill("input[type=search]", "many-1")
    console.press("Enter")
    console.wait("document.querySelectorAll('tbody tr').length == 11")
    console.fill("[aria-label=Filter]", "nonsense")
    console.press("Enter")
    console.wait("document.querySelector('#toasts .bad').textContent.length > 5")
    console.click("[role=tab]", "Functions")
    console.wait_text("golem:it/api.{echo-u64}(v: u64) → u64")
    console.click("[role=tab]", "Revisions")
    console.wait("document.querySelectorAll('tbody tr').length == 1")


def test_everything_works_by_keyboard(console: Browser) -> None:
    """From the list of components to the details of an entry, without a mouse."""
    name = open_agent(console)
    console.press("g")
    console.wait_text("Upload a component")
    console.run("[...document.querySelectorAll('td a')].find(e => e.textContent == 'agents:counter').focus()")
    console.press("Enter")
    console.wait_text(name)
    console.run(f"[...document.querySelectorAll('td a')].find(e => e.textContent == {json.dumps(name)}).focus()")
    console.press("Enter")
    console.wait_text("constructor", ".entries")
    console.press("j")
    console.wait("document.activeElement.classList.contains('entries')")
    for _ in range(2):
        console.press("ArrowDown")
    console.wait("document.querySelector('.entries [aria-selected=true]').dataset.index == '2'")
    console.wait_text("queued: constructor", "[aria-label=Details]")
    console.press("f")
    console.wait("document.querySelector('dialog')")
    console.press("Escape")
    console.wait("!document.querySelector('dialog')")
    console.press("3")
    console.wait_text("Idempotency key")
    console.press("ArrowRight")
    console.wait_text("Environment")
    console.press("?", shift=True)
    console.wait_text("all components", "dialog")
    console.press("Escape")
    console.press("u")
    console.wait_text("Open an agent")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(console: Browser, scheme: str) -> None:
    """As the system has it, until somebody chooses."""
    console.prefer(scheme)
    light = "rgb(246, 248, 250)"
    dark = "rgb(13, 17, 23)"
    background = "getComputedStyle(document.body).backgroundColor"
    assert console.run(background) == (light if scheme == "light" else dark)
    console.press("t")
    assert console.run(background) == light
    console.press("t")
    assert console.run(background) == dark
    console.press("t")
    assert console.run(background) == (light if scheme == "light" else dark)
