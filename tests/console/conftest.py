"""A server with agents in it, and a browser that has signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from golem_server.registry.tokens import LOCAL_TOKEN
from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.chromium import CHROMIUM
from tests.console.browser import Browser
from tests.guests import typescript
from tests.guests.languages import share_code
from tests.postgres import execute, url_of

COUNTER = "agents:counter"


@pytest.fixture(scope="session")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """The server, on a database of its own, with the counting agent and the API tests' guest."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    asyncio.run(execute(postgres.url, "CREATE DATABASE console TEMPLATE template_migrated"))
    data = tmp_path_factory.mktemp("data")
    share_code(data)
    settings = Settings(port=0, data_directory=data, database_url=SecretStr(url_of(postgres.url, "console")))
    with ServerThread(settings) as thread:
        client = Client(thread.port)
        client.create(typescript.build("counter"), COUNTER)
        client.create(name="tests:guest")
        yield thread


@pytest.fixture(scope="session")
def client(server: ServerThread) -> Client:
    """A caller of the API, beside the browser."""
    return Client(server.port)


@pytest.fixture
def browser(server: ServerThread, tmp_path: Path) -> Iterator[Browser]:
    """A browser that nobody has used; whatever goes wrong in its page fails the test."""
    with Browser(tmp_path) as browser:
        yield browser
        assert browser.errors == []


@pytest.fixture
def console(browser: Browser, server: ServerThread) -> Browser:
    """The browser, signed in."""
    browser.open(f"http://127.0.0.1:{server.port}/console")
    browser.fill("#token", LOCAL_TOKEN)
    browser.press("Enter")
    browser.wait_text(COUNTER)
    return browser
