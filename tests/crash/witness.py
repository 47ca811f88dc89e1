"""A server outside the process under test that sees the effects of guests, and forgets nothing."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

from aiohttp import web


class Witness:
    """Takes `POST /effect`; an effect is an idempotency key, and the body it came with."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}
        self.without_key = 0
        self.authority = ""
        application = web.Application()
        application.router.add_post("/effect", self._effect)
        self._runner = web.AppRunner(application)

    async def __aenter__(self) -> Witness:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.authority = f"{host}:{port}"
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _effect(self, request: web.Request) -> web.Response:
        key = request.headers.get("idempotency-key")
        body = await request.read()
        if key is None:
            self.without_key += 1
        else:
            self.requests[key] += 1
            self.bodies.setdefault(key, set()).add(body)
        return web.Response(status=201, text="seen")
