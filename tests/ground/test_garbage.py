"""Garbage in cycles is found, however old it is, and the collector is left as it was.

Each test has a process of its own: the collector is one for all of a process, and servers of other tests use it too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

IMPORTS = """
import gc, weakref
from golem_server import garbage
from golem_server.garbage import unhurried_collection
"""

NOT_WALKED_AGAIN = """
with unhurried_collection():
    kept = [[number] for number in range(1000)]
    gc.collect()
    walked = {id(each) for each in gc.get_objects()}
    assert not any(id(each) in walked for each in kept)
"""

FOUND_WHEN_THERE_IS_TWICE_AS_MUCH = """
class Node:
    def __init__(self):
        self.itself = self

garbage._LEAST_FROZEN = 0
with unhurried_collection():
    node = Node()
    gone = weakref.ref(node)
    gc.collect()
    del node
    gc.collect()
    assert gone() is not None
    kept = [[number] for number in range(3 * gc.get_freeze_count())]
    gc.collect()
    gc.collect()
    assert gone() is None
"""

AS_BEFORE = """
before = gc.get_threshold(), list(gc.callbacks)
with unhurried_collection():
    assert gc.get_threshold()[0] > before[0][0]
    assert gc.get_freeze_count() > 0
assert (gc.get_threshold(), gc.callbacks) == before
assert gc.get_freeze_count() == 0
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(NOT_WALKED_AGAIN, id="what outlived a collection is not walked again"),
        pytest.param(FOUND_WHEN_THERE_IS_TWICE_AS_MUCH, id="what was put away is found when there is twice as much"),
        pytest.param(AS_BEFORE, id="afterwards all is as before"),
    ],
)
def test_garbage(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS + script], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
