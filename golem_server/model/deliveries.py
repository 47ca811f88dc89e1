"""What is known of the delivery of a worker's oplog to an oplog processor (reference: durability, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from golem_server.model.ids import ComponentId, WorkerNumber
from golem_server.model.json_types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How far a processor has been told an oplog.

    `confirmed` is the last entry that has arrived, `sending` the last one of a batch that is under way and must be sent
    again as it was, `until` the last one that it is to be told (None: all that come). `processor` is the JSON of the
    installation.
    """

    plugin: UUID
    confirmed: int
    processor: Json
    sending: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A worker with entries that were not delivered."""

    number: WorkerNumber
    component_id: ComponentId
    name: str
