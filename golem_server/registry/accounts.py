"""Accounts, their applications and environments, and those that exist from the first start."""

from __future__ import annotations

from uuid import UUID

from golem_server.clock import Clock
from golem_server.model.errors import NotFound
from golem_server.model.ids import AccountId, ApplicationId, EnvironmentId
from golem_server.model.registry import Account, Application, Environment, OwnedEnvironment
from golem_server.registry.access import ADMIN
from golem_server.registry.ports import AccountStore

DEFAULT_ACCOUNT_ID = AccountId(UUID("51de7d7d-f286-49aa-b79a-96022f7e2df9"))
"""The admin account of a local Golem; clients' local profiles know it (reference: rest-api, section 1)."""

DEFAULT_APPLICATION_ID = ApplicationId(UUID("91c70e27-90a4-4fb9-a0cc-9c50fe2a3cb2"))
DEFAULT_ENVIRONMENT_ID = EnvironmentId(UUID("784fc8da-0283-4042-baba-f0b13bb101d2"))
"""Fixed, so that the same commands work on every new server."""

DEFAULT_NAME = "default"
"""Of the default application, and of its environment."""


class Accounts:
    """The accounts of this server and what they own."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create_defaults(self) -> None:
        """Create the default account, application and environment where they are missing.

        May be called at every start, and by several servers at a time.
        """
        now = self._clock.now()
        await self._store.add_account(
            Account(id=DEFAULT_ACCOUNT_ID, name="Initial User", email="initial@user", role=ADMIN, created_at=now)
        )
        await self._store.add_application(
            Application(id=DEFAULT_APPLICATION_ID, account_id=DEFAULT_ACCOUNT_ID, name=DEFAULT_NAME, created_at=now)
        )
        await self._store.add_environment(
            Environment(
                id=DEFAULT_ENVIRONMENT_ID, application_id=DEFAULT_APPLICATION_ID, name=DEFAULT_NAME, created_at=now
            )
        )

    async def account(self, account_id: AccountId) -> Account:
        """The account. Raises NotFound."""
        account = await self._store.find_account(account_id)
        if account is None:
            raise NotFound(f"Account {account_id} not found", code="ACCOUNT_NOT_FOUND")
        return account

    async def account_of(self, email: str) -> Account:
        """The account with that address. Raises NotFound."""
        account = await self._store.find_account_by_email(email)
        if account is None:
            raise NotFound(f"Account {email} not found", code="ACCOUNT_NOT_FOUND")
        return account

    async def environment_named(self, owner: AccountId, application: str, environment: str) -> OwnedEnvironment:
        """An account's environment by its name and that of its application. Raises NotFound."""
        owned = await self._store.find_environment_by_name(owner, application, environment)
        if owned is None:
            raise NotFound(f"Environment not found: {application}/{environment}", code="ENVIRONMENT_NOT_FOUND")
        return owned

    async def environment(self, environment_id: EnvironmentId) -> OwnedEnvironment:
        """The environment and its application. Raises NotFound."""
        owned = await self._store.find_environment(environment_id)
        if owned is None:
            raise NotFound(f"Environment not found: {environment_id}", code="ENVIRONMENT_NOT_FOUND")
        return owned
