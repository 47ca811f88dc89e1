"""Tokens: who a secret stands for, how long, and what is kept of it."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import pytest

from golem_server.model.errors import Unauthorized
from golem_server.model.ids import AccountId, TokenId
from golem_server.model.registry import Account, Token
from golem_server.registry.access import AccountContext
from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID
from golem_server.registry.tokens import LOCAL_TOKEN, Tokens
from tests.registry.conftest import Registry


async def test_created_token_stands_for_its_account(registry: Registry) -> None:
    user = Account(
        id=AccountId(uuid4()), name="User", email="user@example", role="user", created_at=registry.clock.now()
    )
    await registry.store.add_account(user)
    token, secret = await registry.tokens.create(user.id)
    assert len(secret) >= 43
    assert secret.encode() not in token.secret_hash
    assert await registry.tokens.authenticate(secret) == AccountContext(user.id, is_admin=False)


async def test_authenticating_again_asks_the_store_nothing(registry: Registry) -> None:
    _, secret = await registry.tokens.create(DEFAULT_ACCOUNT_ID)
    await registry.tokens.authenticate(secret)
    registry.store.asked.clear()
    for token in (secret, LOCAL_TOKEN, secret):
        assert (await registry.tokens.authenticate(token)).is_admin
    assert registry.store.asked == []


@pytest.mark.parametrize("secret", [None, "", "short", "with blank in it, long", "\u00e4" * 20, "x" * 2000])
async def test_missing_or_malformed_secret_is_refused_without_a_question(
    registry: Registry, secret: str | None
) -> None:
    registry.store.asked.clear()
    with pytest.raises(Unauthorized, match=r"^authorization error$"):
        await registry.tokens.authenticate(secret)
    assert registry.store.asked == []


async def test_unknown_secret_is_refused(registry: Registry) -> None:
    with pytest.raises(Unauthorized, match=r"^Could not authenticate user using token$"):
        await registry.tokens.authenticate("x" * 40)


async def test_token_ends_at_its_expiry_even_while_it_is_remembered(registry: Registry) -> None:
    _, secret = await registry.tokens.create(DEFAULT_ACCOUNT_ID, registry.clock.now() + timedelta(seconds=3))
    registry.clock.advance(timedelta(seconds=2))
    assert await registry.tokens.authenticate(secret)
    registry.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthorized):
        await registry.tokens.authenticate(secret)


async def test_revoked_token_is_refused_at_once_here_and_soon_elsewhere(registry: Registry) -> None:
    elsewhere = Tokens(registry.store, registry.clock, allow_local_token=False)
    token, secret = await registry.tokens.create(DEFAULT_ACCOUNT_ID)
    await registry.tokens.authenticate(secret)
    await elsewhere.authenticate(secret)
    await registry.tokens.revoke(token.id)
    with pytest.raises(Unauthorized):
        await registry.tokens.authenticate(secret)
    registry.clock.advance(timedelta(seconds=10))
    with pytest.raises(Unauthorized):
        await elsewhere.authenticate(secret)


async def test_local_token_works_only_where_it_is_allowed(registry: Registry) -> None:
    assert await registry.tokens.authenticate(LOCAL_TOKEN) == AccountContext(DEFAULT_ACCOUNT_ID, is_admin=True)
    forbidden = Tokens(registry.store, registry.clock, allow_local_token=False)
    with pytest.raises(Unauthorized):
        await forbidden.authenticate(LOCAL_TOKEN)


async def test_local_token_does_not_work_through_the_table_either(registry: Registry) -> None:
    await registry.store.add_token(
        Token(
            id=TokenId(uuid4()),
            account_id=DEFAULT_ACCOUNT_ID,
            secret_hash=sha256(LOCAL_TOKEN.encode()).digest(),
            created_at=registry.clock.now(),
            expires_at=None,
        )
    )
    with pytest.raises(Unauthorized):
        await Tokens(registry.store, registry.clock, allow_local_token=False).authenticate(LOCAL_TOKEN)


async def test_token_of_the_settings_stands_for_the_default_account(registry: Registry) -> None:
    tokens = Tokens(registry.store, registry.clock, allow_local_token=False, configured_token="a-token-of-the-settings")
    assert (await tokens.authenticate("a-token-of-the-settings")).account_id == DEFAULT_ACCOUNT_ID
