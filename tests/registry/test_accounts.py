"""What exists from the first start, and who may do what."""

from __future__ import annotations

from uuid import uuid4

import pytest

from golem_server.model.errors import Forbidden, NotFound
from golem_server.model.ids import AccountId, EnvironmentId
from golem_server.registry.access import AccountContext, EnvironmentAction
from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID, DEFAULT_APPLICATION_ID, DEFAULT_ENVIRONMENT_ID
from tests.registry.conftest import Registry


async def test_defaults_exist_and_creating_them_again_changes_nothing(registry: Registry) -> None:
    before = await registry.accounts.account(DEFAULT_ACCOUNT_ID)
    await registry.accounts.create_defaults()
    assert await registry.accounts.account(DEFAULT_ACCOUNT_ID) == before
    assert (before.name, before.email, before.role) == ("Initial User", "initial@user", "admin")
    assert before.created_at == registry.clock.now()
    environment, application = await registry.accounts.environment(DEFAULT_ENVIRONMENT_ID)
    assert (environment.name, application.name) == ("default", "default")
    assert (application.id, application.account_id) == (DEFAULT_APPLICATION_ID, DEFAULT_ACCOUNT_ID)


async def test_unknown_account_and_environment_are_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound) as account:
        await registry.accounts.account(AccountId(uuid4()))
    assert account.value.code == "ACCOUNT_NOT_FOUND"
    unknown = EnvironmentId(uuid4())
    with pytest.raises(NotFound, match=f"^Environment not found: {unknown}$"):
        await registry.accounts.environment(unknown)


def test_only_the_owner_and_admins_may_act() -> None:
    owner, other = AccountId(uuid4()), AccountId(uuid4())
    AccountContext(owner, is_admin=False).require(EnvironmentAction.VIEW_WORKER, owner)
    AccountContext(other, is_admin=True).require(EnvironmentAction.VIEW_WORKER, owner)
    with pytest.raises(Forbidden, match=r"^The environment action ViewWorker is not allowed$"):
        AccountContext(other, is_admin=False).require(EnvironmentAction.VIEW_WORKER, owner)
