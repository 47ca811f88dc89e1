"""A small OpenID provider that logs everybody in at once, and that can be told to do it wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT_ID, CLIENT_SECRET = "the-client", "the-secret"


class LocalProvider:
    """The provider; `with` starts and ends it. What it does next follows from its attributes."""

    def __init__(self) -> None:
        self.algorithm = "RS256"
        self.claims: dict[str, Any] = {}
        self.left_out: tuple[str, ...] = ()
        self.unsigned = False
        self.shown_keys = True
        self.status = 200
        self.metadata: dict[str, Any] = {}
        self.more_keys: list[Any] = []
        self.answer: dict[str, Any] = {}
        self.keeps_codes = False
        self.asked: Counter[str] = Counter()
        self.rotate()
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> LocalProvider:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def rotate(self) -> None:
        """Take new keys; nobody is told."""
        self.rsa = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)})
        self.ec = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4)})

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        self.asked[parts.path] += 1
        if parts.path == "/.well-known/openid-configuration":
            content = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "code_challenge_methods_supported": ["S256"],
                **self.metadata,
            }
            _answer(request, {name: value for name, value in content.items() if value is not None}, self.status)
        elif parts.path == "/keys":
            keys = KeySet([self.rsa, self.ec] if self.shown_keys else []).as_dict(private=False)["keys"]
            _answer(request, {"keys": [*self.more_keys, *keys]})
        else:
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            assert asked["client_id"] == CLIENT_ID
            assert "openid" in asked["scope"].split()
            code = secrets.token_urlsafe(8)
            self._codes[code] = asked
            request.send_response(302)
            back = urlencode({"code": code, "state": asked["state"]})
            request.send_header("location", f"{asked['redirect_uri']}?{back}")
            request.send_header("content-length", "0")
            request.end_headers()

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        form = parse_qs(request.rfile.read(int(request.headers["content-length"])).decode())
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self._codes.get(form["code"][0])
        if not self.keeps_codes:
            self._codes.pop(form["code"][0], None)
        if asked is None or request.headers["authorization"] != f"Basic {basic}":
            _answer(request, {"error": "invalid_grant"}, 400)
            return
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert form["redirect_uri"][0] == asked["redirect_uri"]
        tokens = {"access_token": "an-access-token", "id_token": self.token(asked["nonce"])}
        _answer(request, {**tokens, **self.answer})

    def token(self, nonce: str) -> str:
        """An ID token, as the attributes want it."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "ann",
            "email": "ann@example.com",
            "nonce": nonce,
            "iat": now,
            "exp": now + 300,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if name not in self.left_out}
        if self.unsigned:
            header, body = (
                base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
                for part in ({"alg": "none"}, claims)
            )
            return f"{header}.{body}."
        key = self.ec if self.algorithm.startswith("ES") else self.rsa
        return jwt.encode({"alg": self.algorithm, "kid": key.kid}, claims, key, algorithms=[self.algorithm])


def _answer(request: BaseHTTPRequestHandler, content: Any, status: int = 200) -> None:
    body = json.dumps(content).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
