"""What the durable room must know of a function that the server adds to components (model.virtual_exports)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from golem_server.durable.context import WorkerContext
from golem_server.model.types import Value


class VirtualFunction(Protocol):
    """How such a function is carried out around the exported one. Nothing of it is recorded but its invocation."""

    def __call__(
        self, context: WorkerContext, parameters: Sequence[Value]
    ) -> tuple[Sequence[Value], Callable[[], Value]]:
        """The arguments of the exported function, and what gives the result after it has returned.

        Raises InvalidInput, with nothing done, if the parameters are wrong.
        """
        ...
