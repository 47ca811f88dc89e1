"""The worker's table of host resources: what the handles of a guest stand for."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from golem_server.durable.signals import GuestError

ResourceT = TypeVar("ResourceT")

MAX_RESOURCES = 10_000
"""Handles that a worker may hold at one time (reference: reliability, section 3)."""

MAX_VALUES = 1_000_000
"""Handles that stand for mere values, such as the items of an array in a row of a database."""


@runtime_checkable
class Droppable(Protocol):
    """A resource that has something to do when the guest drops its handle. Called synchronously."""

    def dropped(self) -> None: ...


class Closable(Protocol):
    """Something that holds things outside."""

    def close(self) -> None: ...


class ValueResource:
    """A resource that is nothing but a value: it holds nothing outside, and there may be many."""

    __slots__ = ()


class ResourceTable:
    """Numbers for host objects, unique over all types of one worker and never used twice.

    Numbers depend only on the order of the guest's calls, so that replay gives the same ones.
    """

    def __init__(self) -> None:
        self._objects: dict[int, object] = {}
        self._values = 0
        self._next = 1
        self._held: list[Closable] = []

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, resource: object) -> int:
        """Keep the object and return its number. Raises GuestError when the table is full."""
        if len(self._objects) - self._values >= MAX_RESOURCES:
            raise GuestError(f"the worker holds more than {MAX_RESOURCES} handles")
        return self._keep(resource)

    def add_value(self, value: ValueResource) -> int:
        """Like `add` for a mere value, of which there may be many more."""
        if self._values >= MAX_VALUES:
            raise GuestError(f"the worker holds more than {MAX_VALUES} handles of values")
        self._values += 1
        return self._keep(value)

    def _keep(self, resource: object) -> int:
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
        self._values -= isinstance(found, ValueResource)
        return found

    def drop(self, number: int) -> None:
        """The guest dropped its handle. Nothing happens for a number that was taken before."""
        found = self._objects.pop(number, None)
        self._values -= isinstance(found, ValueResource)
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
        self._values = 0
        for found in objects:
            close = getattr(found, "close", None)
            if callable(close):
                close()
