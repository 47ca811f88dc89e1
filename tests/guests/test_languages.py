"""Programs in real languages run, with the clock, the random numbers and the output that the host gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golem_server.model.types import Value
from tests.guests import languages
from tests.guests.conftest import Start
from tests.guests.plain_host import PlainHost

pytestmark = pytest.mark.timeout(900)
"""The first run fetches and runs compilers."""


@pytest.mark.parametrize(
    ("language", "printed", "logged"),
    [("javascript", "", [("info", "script.js", "grüße")]), ("python", "grüße\n", None)],
)
async def test_a_script_counts_looks_at_the_clock_and_speaks(
    start: Start, language: str, printed: str, logged: list[tuple[str, str, str]] | None
) -> None:
    host = PlainHost()
    script = await start(languages.build(language), host)

    async def call(function: str, *arguments: Value) -> Any:
        return await script.call("golem:it/script", function, arguments)

    assert [await call("increment"), await call("increment")] == [1, 2]
    sights = [await call("look"), await call("look")]
    assert [sight["count"] for sight in sights] == [2, 2]
    assert [int(sight["milliseconds"]) for sight in sights] == [
        (host.seconds - 1) * 1000,
        host.seconds * 1000,
    ]
    assert 0 <= sights[0]["random"] < 1
    assert sights[0]["random"] != sights[1]["random"]
    await call("say", "grüße")
    assert (host.stdout.decode(), host.logged) == (printed, logged or [])
    assert await call("increment") == 3


def test_a_build_that_fails_says_what_was_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(languages, "CACHE", tmp_path)
    for name in ("npm_config_offline", "npm_config_prefer_offline"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "empty"))
    with pytest.raises(languages.BuildFailed, match="npm registry and needs the network"):
        languages.build("javascript")
