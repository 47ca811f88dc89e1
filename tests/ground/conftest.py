"""What the tests of the ground share."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def root_logger_put_back() -> Iterator[None]:
    """Undo what a test configured about logging for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
