"""Answers what belongs to logins at an MCP domain.

    client                    person's browser                       provider
      register -> client_id
      authorize ----------->  consent page
                              allow ---------------------------->    login
                              callback <-------------------------    code of the provider
      <---------------------  code of ours
      token -> ID token

Nothing here believes a client more than that it is the one that began: a person has to let it in (consent_page.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from golem_server.asgi import BodyTooLarge
from golem_server.clock import Clock
from golem_server.gateway.mcp.oauth.authorization_requests import (
    AuthorizationRequest,
    BadParameters,
    ClientUnknown,
    RequestRefused,
    back_to_client,
    read_parameters,
    read_request,
    redirect_uri_of,
    state_of,
)
from golem_server.gateway.mcp.oauth.clients import Clients, InvalidMetadata, client_hash
from golem_server.gateway.mcp.oauth.codes import Codes, CodeStore, Grant
from golem_server.gateway.mcp.oauth.consent import Consents
from golem_server.gateway.mcp.oauth.consent_page import ALLOW, consent_page, problem_page
from golem_server.gateway.mcp.oauth.domains import (
    AUTHORIZATION_SERVER,
    AUTHORIZE,
    CALLBACK,
    PROTECTED_RESOURCE,
    REGISTER,
    RESOURCE_PATH,
    TOKEN,
    ProtectedDomain,
    challenge,
)
from golem_server.gateway.mcp.oauth.redirect_uris import shown_host
from golem_server.gateway.mcp.oauth.seals import Seals
from golem_server.gateway.openid.attempts import ATTEMPT_MS, MAX_TARGET
from golem_server.gateway.openid.login import Finished, LoginFailed, Logins, cookies_of
from golem_server.gateway.openid.provider_client import ProviderFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse, json_response
from golem_server.model.errors import NotFound
from golem_server.registry.security_schemes import SecuritySchemes

if TYPE_CHECKING:
    # It imports the library of the protocol, which the start does not wait for (late_endpoint.py).
    from golem_server.gateway.mcp.catalogue import Catalogue

MAX_BODY = 64 << 10
"""Bytes of a registration or a form."""

PAGES = frozenset((AUTHORIZE, CALLBACK))
"""What people see. Scripts of other sites have no business there."""

_PURPOSE = "login"
_NO_STORE = ("cache-control", "no-store")
_FORM = "application/x-www-form-urlencoded"

_Answer = Callable[[GatewayRequest, ProtectedDomain], Awaitable[GatewayResponse]]


class Authorization:
    """The authorization servers of all domains."""

    def __init__(self, schemes: SecuritySchemes, logins: Logins, codes: CodeStore, seals: Seals, clock: Clock) -> None:
        self._schemes = schemes
        self._logins = logins
        self._clients = Clients(seals)
        self._codes = Codes(codes, seals)
        self._consents = Consents(seals)
        self._seals = seals
        self._clock = clock
        self._answers: Mapping[str, Mapping[str, _Answer]] = {
            PROTECTED_RESOURCE: {"GET": self._resource_document},
            f"{PROTECTED_RESOURCE}{RESOURCE_PATH}": {"GET": self._resource_document},
            AUTHORIZATION_SERVER: {"GET": self._server_document},
            REGISTER: {"POST": self._register},
            AUTHORIZE: {"GET": self._ask, "POST": self._decided},
            CALLBACK: {"GET": self._take_back},
            TOKEN: {"POST": self._token},
        }

    def answers(self, path: str) -> bool:
        """Whether a path belongs to logins."""
        return path in self._answers

    async def answer(self, path: str, request: GatewayRequest, catalogue: Catalogue) -> GatewayResponse:
        """The response to a request to such a path. Raises Unavailable, ClientLeft."""
        domain = await self._domain(request, catalogue)
        if domain is None:
            return json_response(404, {"error": "The agents of this domain, if there are any, need no login"})
        methods = self._answers[path]
        answer = methods.get(request.method)
        if answer is None:
            response = json_response(405, {"error": f"Use {' or '.join(methods)}"})
            response.headers.append(("allow", ", ".join(methods)))
            return response
        try:
            return await answer(request, domain)
        except BodyTooLarge as error:
            return json_response(413, {"error": "invalid_request", "error_description": str(error)})

    async def challenge(self, request: GatewayRequest, catalogue: Catalogue) -> str:
        """What a caller without a token is told in WWW-Authenticate. Raises Unavailable."""
        domain = await self._domain(request, catalogue)
        return challenge(f"{request.scheme}://{catalogue.domain}" if domain is None else domain.origin)

    async def _domain(self, request: GatewayRequest, catalogue: Catalogue) -> ProtectedDomain | None:
        """The domain that a catalogue is of, if it has one security scheme that exists."""
        if catalogue.environment_id is None or len(catalogue.schemes) != 1:
            return None
        (name,) = catalogue.schemes
        try:
            scheme = await self._schemes.named(catalogue.environment_id, name)
        except NotFound:
            return None
        # A proxy may have taken the TLS off: where browsers come with it, the scheme's redirect URL has it too.
        protocol = "https" if scheme.redirect_url.startswith("https:") else request.scheme
        return ProtectedDomain(catalogue.domain, scheme, catalogue.agents, f"{protocol}://{catalogue.domain}")

    # --- Documents and registration

    async def _resource_document(self, _: GatewayRequest, domain: ProtectedDomain) -> GatewayResponse:
        return json_response(200, domain.resource_document())

    async def _server_document(self, _: GatewayRequest, domain: ProtectedDomain) -> GatewayResponse:
        return json_response(200, domain.server_document())

    async def _register(self, request: GatewayRequest, domain: ProtectedDomain) -> GatewayResponse:
        try:
            answer = self._clients.register(domain.domain, await request.body(), self._seconds)
        except InvalidMetadata as error:
            return _refusal(error.code, str(error))
        return _unstored(json_response(201, answer))

    # --- A person, who is asked and goes to the provider

    async def _ask(self, request: GatewayRequest, domain: ProtectedDomain) -> GatewayResponse:
        try:
            asked = read_parameters(request.query)
            client = self._clients.find(domain.domain, asked.get("client_id", ""))
            redirect_uri = redirect_uri_of(client, asked)
        except (BadParameters, ClientUnknown) as error:
            return problem_page(400, str(error))
        assert client is not None
        try:
            wanted = read_request(asked, redirect_uri, domain, self._seconds)
            if len(self._target(domain, wanted)) > MAX_TARGET:
                raise RequestRefused("invalid_request", "state and redirect_uri are too long together")
        except RequestRefused as error:
            told = {"error": error.code, "error_description": str(error)}
            return back_to_client(domain, redirect_uri, state_of(asked), told)
        form, cookie = self._consents.ask(domain, wanted, cookies_of(request))
        provider = urlsplit(domain.scheme.issuer_url).netloc
        page = consent_page(client.name, shown_host(redirect_uri), domain.domain, provider, domain.agents, form)
        page.headers.append(cookie)
        return page

    async def _decided(self, request: GatewayRequest, domain: ProtectedDomain) -> GatewayResponse:
        try:
            form = await _form(request)
        except BadParameters as error:
            return problem_page(400, str(error))
        wanted = self._consents.take(domain, form.get("request", ""), cookies_of(request), self._seconds)
        if wanted is None:
            return problem_page(
                400, "This browser was not asked, or too long ago. Let the application begin its login again."
            )
        if form.get("decision") != ALLOW:
            return wanted.answer(domain, {"error": "access_denied"})
        try:
            return await self._logins.begin(request, domain.scheme, self._target(domain, wanted))
        except (ProviderFailed, LoginFailed) as error:
            return wanted.answer(domain, {"error": "server_error", "error_description": _ascii(str(error))})

    # --- A person who comes back from the provider

    async def _take_back(self, request: GatewayRequest, domain: ProtectedDomain) -> GatewayResponse:
        try:
            finished = await self._logins.finish(request, domain.scheme, ATTEMPT_MS)
        except LoginFailed as failure:
            return self._failed(request, domain, failure)
        wanted = self._wanted(domain, finished.target)
        if wanted is None:
            return problem_page(400, "This login was not begun by an application of this domain")
        response = await self._hand_over(domain, wanted, finished)
        response.headers.append(finished.forget)
        return response

    def _failed(self, request: GatewayRequest, domain: ProtectedDomain, failure: LoginFailed) -> GatewayResponse:
        """Tell the client, if this browser has begun a login for one, else the person."""
        begun = self._logins.begun(request, domain.scheme)
        wanted = None if begun is None or failure.reason == "UNKNOWN_STATE" else self._wanted(domain, begun.target)
        if begun is None or wanted is None:
            return problem_page(400, str(failure))
        code = "access_denied" if failure.reason == "MALFORMED" else "server_error"
        response = wanted.answer(domain, {"error": code, "error_description": _ascii(str(failure))})
        response.headers.append(begun.forget)
        return response

    async def _hand_over(
        self, domain: ProtectedDomain, wanted: AuthorizationRequest, finished: Finished
    ) -> GatewayResponse:
        """Send a person who has logged in back to the client, with a code."""
        grant = Grant(
            domain=domain.domain,
            client=wanted.client,
            redirect_uri=wanted.redirect_uri,
            challenge=wanted.challenge,
            id_token=finished.id_token,
            expires_at=finished.session.claims["exp"],
        )
        code = await self._codes.issue(domain.scheme.id, grant, self._milliseconds)
        if code is None:
            return wanted.answer(domain, {"error": "server_error"})
        return wanted.answer(domain, {"code": code})

    # --- A client that fetches its token

    async def _token(self, request: GatewayRequest, domain: ProtectedDomain) -> GatewayResponse:
        try:
            form = await _form(request)
        except BadParameters as error:
            return _refusal("invalid_request", str(error))
        if form.get("grant_type", "") != "authorization_code":
            code = "unsupported_grant_type" if form.get("grant_type") else "invalid_request"
            return _refusal(code, "grant_type must be authorization_code")
        needed = ("code", "redirect_uri", "client_id", "code_verifier")
        missing = [name for name in needed if not form.get(name)]
        if missing:
            return _refusal("invalid_request", f"{', '.join(missing)} must be given")
        grant = await self._codes.redeem(domain.scheme.id, form["code"], self._milliseconds)
        client = client_hash(form["client_id"])
        if grant is None or not grant.belongs_to(domain.domain, client, form["redirect_uri"], form["code_verifier"]):
            return _refusal("invalid_grant", "the code is not known, used, older than a minute, or of another client")
        token = {
            "access_token": grant.id_token,
            "token_type": "Bearer",
            "expires_in": max(0, int(grant.expires_at - self._milliseconds / 1000)),
        }
        return _unstored(json_response(200, token))

    def _target(self, domain: ProtectedDomain, wanted: AuthorizationRequest) -> str:
        """What the browser keeps while its person is at the provider.

        It is sealed, for logins of other kinds keep there what callers have asked for.
        """
        return self._seals.seal(_PURPOSE, domain.domain, wanted)

    def _wanted(self, domain: ProtectedDomain, target: str) -> AuthorizationRequest | None:
        return self._seals.open(_PURPOSE, domain.domain, target, AuthorizationRequest)

    @property
    def _milliseconds(self) -> int:
        return self._clock.now_ns() // 1_000_000

    @property
    def _seconds(self) -> int:
        return self._clock.now_ns() // 1_000_000_000


async def _form(request: GatewayRequest) -> Mapping[str, str]:
    """The fields of a form. Raises BadParameters, BodyTooLarge, ClientLeft."""
    if (request.header("content-type") or "").partition(";")[0].strip().lower() != _FORM:
        raise BadParameters(f"The body must be a form, {_FORM}")
    return read_parameters((await request.body()).decode("latin-1"))


def _refusal(code: str, text: str) -> GatewayResponse:
    """A client is told what is wrong (RFC 6749, section 5.2; RFC 7591, section 3.2.2)."""
    return _unstored(json_response(400, {"error": code, "error_description": text}))


def _unstored(response: GatewayResponse) -> GatewayResponse:
    response.headers += [_NO_STORE, ("pragma", "no-cache")]
    return response


def _ascii(text: str) -> str:
    """A description as RFC 6749 allows it."""
    return "".join(each if " " <= each <= "~" and each not in '"\\' else "?" for each in text)[:300]
