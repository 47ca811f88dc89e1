"""Who is logged in: found by what the browser has, once for each login, and no longer than it lasts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest_asyncio

from golem_server.clock import SystemClock
from golem_server.gateway.openid.attempts import Attempts
from golem_server.gateway.openid.login import Logins
from golem_server.gateway.openid.provider import Providers
from golem_server.gateway.openid.provider_client import ProviderClient
from golem_server.host.http_client import PolicyResolver
from golem_server.host.network_policy import NetworkPolicy
from golem_server.model.logins import AuthorizationCode, LoginSession
from golem_server.storage.database import Database
from golem_server.storage.login_store import PostgresLoginStore
from golem_server.storage.registry_store import PostgresRegistryStore
from golem_server.storage.security_scheme_store import PostgresSecuritySchemeStore
from tests.gateway.code_first.declared_agents import security_scheme
from tests.storage.test_registry_store import ACCOUNT, APPLICATION, ENVIRONMENT

NOW = 1_800_000_000_000
SCHEME = replace(security_scheme("s"), environment_id=ENVIRONMENT.id)


class WatchedStore(PostgresLoginStore):
    """Says when it has purged."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.purged = asyncio.Event()

    async def purge(self, now: int) -> None:
        """Forget, and say so."""
        await super().purge(now)
        self.purged.set()


@pytest_asyncio.fixture
async def store(database: Database) -> WatchedStore:
    """A store whose database knows the scheme."""
    registry = PostgresRegistryStore(database)
    await registry.add_account(ACCOUNT)
    await registry.add_application(APPLICATION)
    await registry.add_environment(ENVIRONMENT)
    assert await PostgresSecuritySchemeStore(database).add_scheme(SCHEME)
    return WatchedStore(database)


def session(session_id: str, expires_at: int = NOW) -> LoginSession:
    """Somebody who is logged in."""
    return LoginSession(session_id, SCHEME.id, b"hash", {"sub": "ann"}, expires_at)


async def test_a_session_is_found_until_it_expires(store: WatchedStore) -> None:
    """By its id alone."""
    assert await store.add_session(session("one"))
    assert await store.find_session("one", NOW) == session("one")
    assert await store.find_session("one", NOW + 1) is None
    assert await store.find_session("two", NOW) is None


async def test_a_state_leads_to_one_session(store: WatchedStore) -> None:
    """Sessions that were not begun by a login are in nobody's way."""
    assert await store.add_session(session("one"), "state")
    assert not await store.add_session(session("two"), "state")
    assert await store.find_session("two", NOW) is None
    assert await store.add_session(session("three"), "another")
    assert await store.add_session(session("four"))
    assert await store.add_session(session("five"))


async def test_a_code_is_taken_once_until_it_expires(store: WatchedStore) -> None:
    """Also an expired one is gone when somebody has shown it."""
    code = AuthorizationCode(b"one", SCHEME.id, b"content", NOW)
    assert await store.add_code(code)
    assert await store.take_code(b"two", NOW) is None
    assert await store.take_code(b"one", NOW) == code
    assert await store.take_code(b"one", NOW) is None
    assert await store.add_code(code)
    assert await store.take_code(b"one", NOW + 1) is None
    assert await store.take_code(b"one", NOW) is None
    assert not await store.add_code(replace(code, scheme=ENVIRONMENT.id))


async def test_what_has_expired_is_forgotten_by_itself(store: WatchedStore, database: Database) -> None:
    """Also where nobody logs in any more."""
    clock, policy = SystemClock(), NetworkPolicy()
    now = clock.now_ns() // 1_000_000
    assert await store.add_session(session("old", now - 1))
    assert await store.add_session(session("new", now + 60_000))
    assert await store.add_code(AuthorizationCode(b"old", SCHEME.id, b"content", now - 1))
    assert await store.add_code(AuthorizationCode(b"new", SCHEME.id, b"content", now + 60_000))
    providers = Providers(ProviderClient(policy, PolicyResolver(policy)), clock)
    purging = asyncio.create_task(Logins(store, providers, Attempts(bytes(32)), clock).purge())
    await store.purged.wait()
    purging.cancel()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM login_sessions") == 1
        assert await connection.fetchval("SELECT count(*) FROM authorization_codes") == 1
    assert await store.find_session("new", now) is not None
