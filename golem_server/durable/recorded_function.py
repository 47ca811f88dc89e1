"""What the durable context knows of a host function whose calls are recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from golem_server.model.oplog import Category
from golem_server.model.types import Value


@dataclass(frozen=True, slots=True)
class RecordedFunction:
    """A host function whose calls are recorded, under `name`.

    `live(context, *arguments)` has the effect and gives the response, or a coroutine of it.
    `request(context, *arguments)` gives what the oplog keeps of the arguments, for observers.
    """

    category: Category
    name: str
    request: Callable[..., Value]
    live: Callable[..., Any]
