"""What every test of the project starts from: none of the desk's own settings reaches a test."""

import os

import pytest

pytest_plugins = ["tests.postgres", "tests.mariadb"]


@pytest.fixture(autouse=True)
def no_settings_from_the_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away `GOLEM_*` variables of the developer's shell."""
    for name in list(os.environ):
        if name.startswith("GOLEM_"):
            monkeypatch.delenv(name)
