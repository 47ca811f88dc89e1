"""Garbage in cycles is found, however old it is, and the collector is left as it was."""

from __future__ import annotations

import gc
import weakref

import pytest

from golem_server import garbage
from golem_server.garbage import unhurried_collection


class Node:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_outlived_a_collection_is_not_walked_again() -> None:
    with unhurried_collection():
        kept = [[number] for number in range(1000)]
        gc.collect()
        # Counting would count what the servers of other tests give up meanwhile.
        walked = {id(each) for each in gc.get_objects()}
        assert not any(id(each) in walked for each in kept)


def test_a_cycle_that_died_after_it_was_put_away_is_found_when_there_is_twice_as_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "_LEAST_FROZEN", 0)
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
        assert kept


def test_afterwards_everything_is_as_before() -> None:
    # Other servers may run in this process meanwhile.
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.set_threshold(123, *thresholds[1:])
    with unhurried_collection():
        assert gc.get_threshold()[0] > 123
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == 123
    assert gc.get_freeze_count() == 0
    assert gc.callbacks == callbacks
    gc.set_threshold(*thresholds)
