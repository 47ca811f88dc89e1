"""Accounts, tokens, environments and components as the registry keeps them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import pytest_asyncio

from golem_server.model.ids import AccountId, ApplicationId, ComponentId, EnvironmentId, Revision, TokenId
from golem_server.model.registry import (
    Account,
    Application,
    Component,
    ComponentRevision,
    Environment,
    OwnedEnvironment,
    StoredComponent,
    Token,
)
from golem_server.storage.database import Database
from golem_server.storage.registry_store import PostgresRegistryStore

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ACCOUNT = Account(id=AccountId(uuid4()), name="A", email="a@b", role="admin", created_at=NOW)
APPLICATION = Application(id=ApplicationId(uuid4()), account_id=ACCOUNT.id, name="app", created_at=NOW)
ENVIRONMENT = Environment(id=EnvironmentId(uuid4()), application_id=APPLICATION.id, name="env", created_at=NOW)


@pytest_asyncio.fixture
async def registry(database: Database) -> PostgresRegistryStore:
    """A store that knows the three things above."""
    store = PostgresRegistryStore(database)
    await store.add_account(ACCOUNT)
    await store.add_application(APPLICATION)
    await store.add_environment(ENVIRONMENT)
    return store


def component(name: str) -> StoredComponent:
    """A component to write, at revision 0."""
    component_id = ComponentId(uuid4())
    return StoredComponent(
        Component(id=component_id, environment_id=ENVIRONMENT.id, name=name, created_at=NOW),
        ComponentRevision(
            component_id=component_id,
            revision=Revision(0),
            wasm_hash="00ff",
            size_bytes=1 << 40,
            metadata=b"\0metadata",
            environment={"A": "\0b"},
            created_at=NOW,
            created_by=ACCOUNT.id,
        ),
    )


def at(stored: StoredComponent, revision: int) -> StoredComponent:
    """The component at another revision."""
    return StoredComponent(stored.component, replace(stored.revision, revision=Revision(revision), wasm_hash="11"))


async def test_accounts_and_environments_come_back_and_may_be_added_again(registry: PostgresRegistryStore) -> None:
    await asyncio.gather(*(registry.add_account(ACCOUNT) for _ in range(4)))
    await registry.add_application(replace(APPLICATION, name="other"))
    await registry.add_environment(ENVIRONMENT)
    assert await registry.find_account(ACCOUNT.id) == ACCOUNT
    assert await registry.find_account(AccountId(uuid4())) is None
    assert await registry.find_environment(ENVIRONMENT.id) == OwnedEnvironment(ENVIRONMENT, APPLICATION)
    assert await registry.find_environment(EnvironmentId(uuid4())) is None


async def test_tokens_are_found_by_their_hash(registry: PostgresRegistryStore) -> None:
    token = Token(id=TokenId(uuid4()), account_id=ACCOUNT.id, secret_hash=b"h" * 32, created_at=NOW, expires_at=None)
    await registry.add_token(token)
    await registry.add_token(replace(token, id=TokenId(uuid4())))
    assert await registry.find_token(b"h" * 32) == token
    assert await registry.find_token(b"x" * 32) is None
    await registry.delete_token(token.id)
    await registry.delete_token(token.id)
    assert await registry.find_token(b"h" * 32) is None


async def test_component_is_found_by_id_name_and_revision(registry: PostgresRegistryStore) -> None:
    stored = component("cart")
    assert await registry.add_component(*stored)
    later = at(stored, 1)
    assert await registry.add_revision(later.revision)
    assert await registry.find_component(stored.component.id) == later
    assert await registry.find_component_by_name(ENVIRONMENT.id, "cart") == later
    assert await registry.find_revision(stored.component.id, Revision(0)) == stored
    assert await registry.find_revision(stored.component.id, Revision(2)) is None
    assert await registry.find_component_by_name(ENVIRONMENT.id, "Cart") is None


async def test_name_belongs_to_one_component_until_it_is_deleted(registry: PostgresRegistryStore) -> None:
    first, second = component("cart"), component("cart")
    outcomes = await asyncio.gather(registry.add_component(*first), registry.add_component(*second))
    assert sorted(outcomes) == [False, True]
    if outcomes[1]:
        first, second = second, first
    assert await registry.find_component(second.component.id) is None
    assert await registry.delete_component(first.component.id, None, NOW)
    assert not await registry.delete_component(first.component.id, None, NOW)
    assert await registry.find_component(first.component.id) is None
    assert await registry.find_revision(first.component.id, Revision(0)) == first
    assert not await registry.add_revision(at(first, 1).revision)
    assert await registry.add_component(*second)


async def test_revisions_have_no_gaps_and_one_winner_each(registry: PostgresRegistryStore) -> None:
    stored = component("busy")
    assert await registry.add_component(*stored)
    for revision in range(1, 4):
        outcomes = await asyncio.gather(*(registry.add_revision(at(stored, revision).revision) for _ in range(5)))
        assert outcomes.count(True) == 1
    assert not await registry.add_revision(at(stored, 5).revision)
    assert not await registry.delete_component(stored.component.id, Revision(2), NOW)
    assert await registry.delete_component(stored.component.id, Revision(3), NOW)


async def test_components_are_listed_by_name_bytewise(registry: PostgresRegistryStore) -> None:
    names = ["b", "a", "B", "ä", "a:b", "a-b"]
    for name in names:
        assert await registry.add_component(*component(name))
    listed = await registry.list_components(ENVIRONMENT.id)
    assert [stored.component.name for stored in listed] == sorted(names, key=str.encode)
    assert await registry.list_components(EnvironmentId(uuid4())) == []


async def test_component_of_an_unknown_environment_is_an_error(registry: PostgresRegistryStore) -> None:
    stored = component("lost")
    lost = replace(stored.component, environment_id=EnvironmentId(uuid4()))
    with pytest.raises(Exception, match="components_environment_id_fkey"):
        await registry.add_component(lost, stored.revision)
