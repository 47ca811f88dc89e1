"""The bodies of wasi:http as its functions see them, whichever side of an exchange they belong to."""

from __future__ import annotations

from abc import ABC, abstractmethod

from golem_server.durable.context import WorkerContext
from golem_server.host.http_fields import Fields
from golem_server.host.resources import InputStream, OutputStream
from golem_server.model.types import Value


class IncomingBody(ABC):
    """The resource `incoming-body`."""

    @abstractmethod
    def stream(self) -> InputStream | None:
        """Its stream; None the second time."""

    @abstractmethod
    def finish(self) -> FutureTrailers:
        """The guest wants no more of the body."""


class OutgoingBody(ABC):
    """The resource `outgoing-body`."""

    @abstractmethod
    def stream(self) -> OutputStream | None:
        """Its stream; None the second time."""

    @abstractmethod
    def finish(self, trailers: Fields | None) -> Value:
        """`result<_, error-code>`: the body is complete."""


class FutureTrailers:
    """The resource `future-trailers`, of trailers that are known from the start. There is nothing to record."""

    def __init__(self, trailers: Fields | None = None) -> None:
        self._trailers = trailers
        self._delivered = False

    def get(self, context: WorkerContext) -> Value:
        """The trailers, if there are any; an error of the interface the second time."""
        if self._delivered:
            return ("err", None)
        self._delivered = True
        return ("ok", ("ok", None if self._trailers is None else context.resources.add(self._trailers)))
