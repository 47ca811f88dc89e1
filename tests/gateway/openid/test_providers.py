"""What is taken from a provider, and how often it is asked: by whoever comes along, so that both have bounds."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from golem_server.gateway.openid.id_tokens import InvalidToken, checked_claims
from golem_server.gateway.openid.provider import ProviderMetadata, Providers, read_metadata
from golem_server.gateway.openid.provider_client import ProviderClient, ProviderFailed
from golem_server.gateway.openid.remembered import READS_A_MINUTE
from golem_server.host.http_client import PolicyResolver
from golem_server.host.network_policy import NetworkPolicy
from golem_server.model.security_schemes import PROVIDER_ISSUERS
from golem_server.network_rules import NetworkAccess, parse_network_rule
from tests.gateway.openid.provider import CLIENT_ID, LocalProvider

DISCOVERY = "/.well-known/openid-configuration"
TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now_ns(self) -> int:
        return time.time_ns()

    def now(self) -> datetime:
        return datetime.now(UTC)


@asynccontextmanager
async def asking(clock: MovedClock | None = None, policy: NetworkPolicy | None = None) -> AsyncGenerator[Providers]:
    """Providers as the server has them."""
    policy = policy or NetworkPolicy()
    client = ProviderClient(policy, PolicyResolver(policy))
    try:
        yield Providers(client, clock or MovedClock())
    finally:
        await client.close()
        policy.close()


async def claims(providers: Providers, metadata: ProviderMetadata, token: str) -> Mapping[str, Any]:
    """What a token says, if it is believed."""
    return await checked_claims(providers, metadata, token, CLIENT_ID, None, time.time())


def with_header(token: str, header: bytes) -> str:
    """A token with another header."""
    return ".".join((base64.urlsafe_b64encode(header).rstrip(b"=").decode(), *token.split(".")[1:]))


async def test_keys_are_read_again_at_a_bounded_pace(provider: LocalProvider) -> None:
    """However many tokens name keys that nobody knows, and however they come."""
    clock = MovedClock()
    async with asking(clock) as providers:
        metadata = await providers.metadata(provider.issuer)
        unknown = with_header(provider.token("n"), b'{"alg":"RS256","kid":"unknown"}')
        for _ in range(2):
            for _ in range(3 * READS_A_MINUTE):
                clock.seconds += 0.1
                with pytest.raises(InvalidToken):
                    await claims(providers, metadata, unknown)
            assert provider.asked["/keys"] == READS_A_MINUTE
            # Those that are known go on meanwhile.
            assert (await claims(providers, metadata, provider.token("n")))["sub"] == "ann"
            clock.seconds += 60
            provider.asked.clear()
        provider.rotate()
        assert (await claims(providers, metadata, provider.token("n")))["sub"] == "ann"


async def test_those_who_come_together_ask_once(provider: LocalProvider) -> None:
    """Also a provider that does not answer."""
    async with asking() as providers:
        await asyncio.gather(*(providers.metadata(provider.issuer) for _ in range(20)))
        assert provider.asked[DISCOVERY] == 1
    provider.status = 500
    async with asking() as providers:
        answers = await asyncio.gather(
            *(providers.metadata(provider.issuer) for _ in range(20)), return_exceptions=True
        )
        assert [str(each) for each in answers] == ["it answers with status 500"] * 20
        assert provider.asked[DISCOVERY] == 2


async def test_a_provider_that_is_down_is_asked_at_a_bounded_pace(provider: LocalProvider) -> None:
    """For each request to a protected route would ask it otherwise."""
    clock = MovedClock()
    provider.status = 500
    async with asking(clock) as providers:
        for _ in range(3 * READS_A_MINUTE):
            clock.seconds += 0.1
            with pytest.raises(ProviderFailed):
                await providers.metadata(provider.issuer)
        assert provider.asked[DISCOVERY] == READS_A_MINUTE
        provider.status = 200
        with pytest.raises(ProviderFailed, match="too often"):
            await providers.metadata(provider.issuer)
        clock.seconds += 60
        assert (await providers.metadata(provider.issuer)).issuer == provider.issuer


async def test_keys_that_could_harm_are_left_out(provider: LocalProvider) -> None:
    """And leave the others alone."""
    huge = base64.urlsafe_b64encode(b"\xff" * 2_048).rstrip(b"=").decode()
    provider.more_keys = [
        {"kty": "RSA", "kid": "huge", "n": huge, "e": "AQAB"},
        {"kty": "RSA", "kid": "slow", "n": huge[:683], "e": huge[:683]},
        RSAKey.generate_key(2_048, {"kid": "private"}).as_dict(private=True),
        RSAKey.generate_key(2_048, {"kid": "enc", "use": "enc"}).as_dict(private=False),
        OctKey.generate_key(256, {"kid": "shared"}).as_dict(private=True),
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "EC", "kid": "off", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
        {"kty": "none", "kid": 5},
        "no key",
    ]
    async with asking() as providers:
        metadata = await providers.metadata(provider.issuer)
        keys = await providers.keys(metadata, None)
        assert [key.kid for key in keys.keys] == ["private", provider.rsa.kid, provider.ec.kid]
        assert not any(key.is_private for key in keys.keys)
        assert (await claims(providers, metadata, provider.token("n")))["sub"] == "ann"


async def test_a_set_of_too_many_keys_is_refused(provider: LocalProvider) -> None:
    """As is what is no set."""
    provider.more_keys = [{"kty": "RSA"}] * 100
    async with asking() as providers:
        metadata = await providers.metadata(provider.issuer)
        with pytest.raises(ProviderFailed, match="more than 100 keys"):
            await providers.keys(metadata, None)


HEADERS = [
    b'"alg"',
    b'["alg"]',
    b"{}",
    b'{"alg":["RS256"]}',
    b'{"alg":"none"}',
    b'{"alg":"HS256","kid":5}',
    b"\xff",
    b"[",
]


@pytest.mark.parametrize("header", HEADERS)
async def test_a_token_that_cannot_be_read_is_no_error_of_the_server(provider: LocalProvider, header: bytes) -> None:
    """It is refused like any other that is wrong."""
    async with asking() as providers:
        metadata = await providers.metadata(provider.issuer)
        with pytest.raises(InvalidToken):
            await claims(providers, metadata, with_header(provider.token("n"), header))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 10**400, True, "9", -1, None])
async def test_what_is_no_time_ends_no_login_later(provider: LocalProvider, wrong: object) -> None:
    """It is refused, wherever a time must stand."""
    async with asking() as providers:
        metadata = await providers.metadata(provider.issuer)
        for name in ("exp", "iat", "nbf"):
            provider.claims = {name: wrong}
            with pytest.raises(InvalidToken, match=f"its {name} is no time"):
                await claims(providers, metadata, provider.token("n"))


def of_microsoft(provider: LocalProvider) -> ProviderMetadata:
    """The metadata of Microsoft for all organisations, with the keys of a local provider."""
    return read_metadata(
        {
            "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
            "authorization_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
            "token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "jwks_uri": f"{provider.issuer}/keys",
        },
        PROVIDER_ISSUERS["microsoft"],
    )


@pytest.mark.parametrize(
    ("issuer", "tenant", "good"),
    [
        (TENANT, TENANT, True),
        (TENANT, "00000000-0000-0000-0000-000000000000", False),
        (TENANT, None, False),
        (TENANT, 5, False),
        ("{tenantid}", "{tenantid}", False),
        ("evil", "evil", False),
        (f"x/{TENANT}", f"x/{TENANT}", False),
    ],
)
async def test_a_token_of_microsoft_names_its_tenant(
    provider: LocalProvider, issuer: str, tenant: object, good: bool
) -> None:
    """And its issuer is that tenant's."""
    provider.claims = {"iss": f"https://login.microsoftonline.com/{issuer}/v2.0", "tid": tenant}
    async with asking() as providers:
        metadata = of_microsoft(provider)
        if good:
            assert (await claims(providers, metadata, provider.token("n")))["tid"] == tenant
        else:
            with pytest.raises(InvalidToken, match="another provider"):
                await claims(providers, metadata, provider.token("n"))


async def test_no_other_provider_serves_tenants(provider: LocalProvider) -> None:
    """It could speak for all of Microsoft's otherwise, or for anybody."""
    for issuer in ("https://login.microsoftonline.com/{tenantid}/v2.0", provider.issuer + "/{tenantid}"):
        provider.metadata = {"issuer": issuer}
        async with asking() as providers:
            with pytest.raises(ProviderFailed, match="another issuer"):
                await providers.metadata(provider.issuer)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "url", ["http://example.com/x", "http://10.0.0.1/x", "ftp://127.0.0.1/x", "https://a@example.com/", "/x", 5, None]
)
async def test_where_a_provider_sends_the_server_is_encrypted_or_local(
    provider: LocalProvider, name: str, url: object
) -> None:
    """By the same rule as its own URL."""
    provider.metadata = {name: url}
    async with asking() as providers:
        with pytest.raises(ProviderFailed, match=name):
            await providers.metadata(provider.issuer)


async def test_the_network_policy_holds_for_providers(provider: LocalProvider) -> None:
    """Whoever may write a security scheme could look into networks otherwise that guests are kept out of."""
    async with asking(policy=NetworkPolicy(NetworkAccess.PUBLIC)) as providers:
        for issuer in (provider.issuer, provider.issuer.replace("127.0.0.1", "localhost"), "https://169.254.169.254"):
            with pytest.raises(ProviderFailed, match=r"may not ask .*network\.providers"):
                await providers.metadata(issuer)
    assert not provider.asked
    allowed = parse_network_rule(provider.issuer.removeprefix("http://"))
    # What it names is not asked either unless it may be.
    provider.metadata = {"jwks_uri": "http://localhost:1/keys"}
    async with asking(policy=NetworkPolicy(NetworkAccess.PUBLIC, allow=[allowed])) as providers:
        metadata = await providers.metadata(provider.issuer)
        with pytest.raises(ProviderFailed, match="may not ask localhost"):
            await providers.keys(metadata, None)
