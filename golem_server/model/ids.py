"""Identities: what names a component, an environment, a worker, a promise.

Ids are UUIDs in lower case text on the wire (reference: rest-api, section 0); revisions start at 0
and oplog indexes at 1.
"""

from __future__ import annotations

from typing import NamedTuple, NewType
from uuid import UUID, uuid5

AccountId = NewType("AccountId", UUID)
ApplicationId = NewType("ApplicationId", UUID)
EnvironmentId = NewType("EnvironmentId", UUID)
ComponentId = NewType("ComponentId", UUID)
TokenId = NewType("TokenId", UUID)

Revision = NewType("Revision", int)
"""The number of a component's revision: 0, 1, 2, ..."""

OplogIndex = NewType("OplogIndex", int)
"""A position in a worker's oplog: 1 is the Create entry, 0 means none."""

WorkerNumber = NewType("WorkerNumber", int)
"""The number that the store gave to one life of a worker. A worker that is deleted and created again gets a new one."""

IDEMPOTENCY_NAMESPACE = UUID("9c19b15a-c83d-46f7-9bc3-ead7923733f4")
"""Root of the derived idempotency keys (reference: durability, section 4)."""

MAX_WORKER_NAME_BYTES = 512


class WorkerId(NamedTuple):
    """A worker: one oplog, at most one live instance."""

    component_id: ComponentId
    name: str

    def __str__(self) -> str:
        return f"{self.component_id}/{self.name}"


def worker_id_from_text(text: str) -> WorkerId | None:
    """The worker that `str` made this text of; None for another text."""
    component_id, slash, name = text.partition("/")
    try:
        return WorkerId(ComponentId(UUID(component_id)), name) if slash else None
    except ValueError:
        return None


class PromiseId(NamedTuple):
    """A promise: the worker that created it and the oplog index of the call that did."""

    worker_id: WorkerId
    oplog_index: OplogIndex

    def __str__(self) -> str:
        return f"{self.worker_id}/{self.oplog_index}"


def worker_name_error(name: str) -> str | None:
    """Why `name` cannot name a worker of a component without agents, or None when it can.

    The rules and texts are those of reference rest-api, section 5.
    """
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_WORKER_NAME_BYTES:
        return f"Worker name must be between 1 and {MAX_WORKER_NAME_BYTES} characters"
    if any(character.isspace() for character in name):
        return "Worker name must not contain whitespaces"
    if "/" in name:
        return "Worker name must not contain '/'"
    if name.startswith("-"):
        return "Worker name must not start with '-'"
    if any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF for character in name):
        return "Worker name must not contain control characters"
    return None


def derived_idempotency_key(current: str, index: int) -> UUID:
    """The key of an effect that an invocation with key `current` has at oplog index `index`.

    The same in live mode and in replay, so that a repeated effect carries the key of the first
    (reference: durability, section 4).
    """
    try:
        namespace = UUID(current)
    except ValueError:
        namespace = uuid5(IDEMPOTENCY_NAMESPACE, current)
    return uuid5(namespace, f"oplog-index-{index}")
