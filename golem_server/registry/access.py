"""Who calls, and what the caller may do.

An admin may do everything; everybody else what concerns the own account. Actions have the names that the answers show
(reference: rest-api, section 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from golem_server.model.errors import Forbidden
from golem_server.model.ids import AccountId

ADMIN = "admin"


class EnvironmentAction(Enum):
    """What can be done to the things of an environment."""

    CREATE_COMPONENT = "CreateComponent"
    VIEW_COMPONENT = "ViewComponent"
    UPDATE_COMPONENT = "UpdateComponent"
    CREATE_WORKER = "CreateWorker"
    VIEW_WORKER = "ViewWorker"
    UPDATE_WORKER = "UpdateWorker"
    DELETE_WORKER = "DeleteWorker"


@dataclass(frozen=True, slots=True)
class AccountContext:
    """An authenticated caller."""

    account_id: AccountId
    is_admin: bool

    def may_act_for(self, owner: AccountId) -> bool:
        """Whether the caller may do what the owner of something may do."""
        return self.is_admin or self.account_id == owner

    def require(self, action: EnvironmentAction, owner: AccountId) -> None:
        """Raise Forbidden unless the caller may do the action in an environment of the owner."""
        if not self.may_act_for(owner):
            raise Forbidden(f"The environment action {action.value} is not allowed")
