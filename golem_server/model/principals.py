"""Who calls an agent, as the agent sees it: the WIT variant `principal`, and the records that it consists of."""

from __future__ import annotations

from uuid import UUID

from golem_server.model.ids import AccountId, WorkerId
from golem_server.model.types import Value

ANONYMOUS: Value = ("anonymous", None)
"""Nobody knows who."""

_LOW_BITS = (1 << 64) - 1


def user_principal(account_id: AccountId) -> Value:
    """Somebody with an account."""
    return ("golem-user", {"account-id": {"uuid": uuid_record(account_id)}})


def agent_principal(worker_id: WorkerId) -> Value:
    """Another agent."""
    component_id = {"uuid": uuid_record(worker_id.component_id)}
    return ("agent", {"agent-id": {"component-id": component_id, "agent-id": worker_id.name}})


def uuid_record(uuid: UUID) -> Value:
    """`uuid`."""
    return {"high-bits": uuid.int >> 64, "low-bits": uuid.int & _LOW_BITS}


def uuid_of(record: Value) -> UUID:
    """What `uuid_record` made."""
    return UUID(int=record["high-bits"] << 64 | record["low-bits"])
