"""The worker's table of host resources: what the handles of a guest stand for."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from golem_server.durable.signals import GuestError

ResourceT = TypeVar("ResourceT")

MAX_RESOURCES = 10_000
"""Handles that a worker may hold at one time (reference: reliability, section 3)."""


@runtime_checkable
class Droppable(Protocol):
    """A resource that has something to do when the guest drops its handle. Called synchronously."""

    def dropped(self) -> None: ...


class Closable(Protocol):
    """Something that holds things outside."""

    def close(self) -> None: ...


class ResourceTable:
    """Numbers for host objects, unique over all types of one worker and never used twice.

    Numbers depend only on the order of the guest's calls, so that replay gives the same ones.
    """

    def __init__(self) -> None:
        self._objects: dict[int, object] = {}
        self._next = 1
        self._held: list[Closable] = []

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, resource: object) -> int:
        """Keep the object and return its number. Raises GuestError when the table is full."""
        if len(self._objects) >= MAX_RESOURCES:
            raise GuestError(f"the worker holds more than {MAX_RESOURCES} handles")
        number = self._next
        self._next = number + 1
        self._objects[number] = resource
        return number

    def get(self, number: int, kind: type[ResourceT]) -> ResourceT:
        """The object with this number. Raises GuestError if there is none or it is of another kind."""
        found = self._objects.get(number)
        if not isinstance(found, kind):
            raise GuestError(f"handle {number} is not a live {kind.__name__}")
        return found

    def take(self, number: int, kind: type[ResourceT]) -> ResourceT:
        """Like `get`, and the number is free: for parameters that the guest gives away (`own`)."""
        found = self.get(number, kind)
        del self._objects[number]
        return found

    def drop(self, number: int) -> None:
        """The guest dropped its handle. Nothing happens for a number that was taken before."""
        found = self._objects.pop(number, None)
        if isinstance(found, Droppable):
            found.dropped()

    def hold(self, opened: Closable) -> None:
        """Keep what a live effect has opened, until its result is recorded and it gets a number (see `release`)."""
        self._held.append(opened)

    def release(self) -> Closable | None:
        """What is held, if anything is: nothing is in replay."""
        return self._held.pop() if self._held else None

    def close(self) -> None:
        """Forget everything, for an instance that is given up: `dropped` is not called, the guest did nothing.

        Objects with live things outside (`close()`) are told.
        """
        objects = [*self._objects.values(), *self._held]
        self._objects.clear()
        self._held.clear()
        for found in objects:
            close = getattr(found, "close", None)
            if callable(close):
                close()
