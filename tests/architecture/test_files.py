"""Each file says what it is for, has a name that says it too, and stays small enough to be read in one go."""

import ast
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FOLDERS = ("golem_server", "tests", "benchmarks", "migrations")
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
LONGEST = 600


def files() -> list[Path]:
    """Every Python file of the project."""
    return [file for folder in FOLDERS for file in sorted((PROJECT / folder).rglob("*.py"))]


def shown(file: Path) -> str:
    return str(file.relative_to(PROJECT))


def test_every_file_says_in_its_first_docstring_what_it_is_for() -> None:
    silent = [shown(file) for file in files() if not ast.get_docstring(ast.parse(file.read_text()))]
    assert silent == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [shown(file) for file in files() if file.stem in NAMES_THAT_SAY_NOTHING] == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    assert [shown(file) for file in files() if len(file.read_text().splitlines()) > LONGEST] == []
