"""What a browser does in a login: follow redirections, send forms, keep cookies for each host."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit


@dataclass
class Page:
    """Where a browser ended up."""

    url: str
    status: int
    body: bytes
    cookies_set: list[str] = field(default_factory=list[str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class CookieBrowser:
    """Keeps cookies by host and port."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}

    def get(self, url: str, *, follow: bool = True, mode: str = "navigate", until: str | None = None) -> Page:
        """A page, after following where it leads; `mode` as in Sec-Fetch-Mode.

        With `until` nothing is asked for that begins so: it is where the browser ends up.
        """
        return self._ask("GET", url, "", follow, mode, until)

    def post(self, url: str, form: Mapping[str, str], *, follow: bool = True, until: str | None = None) -> Page:
        """What a form leads to."""
        return self._ask("POST", url, urlencode(form), follow, "navigate", until)

    def _ask(self, method: str, url: str, form: str, follow: bool, mode: str, until: str | None) -> Page:
        for _ in range(10):
            parts = urlsplit(url)
            jar = self.cookies.setdefault(parts.netloc, {})
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
            try:
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                cookie = "; ".join(f"{name}={value}" for name, value in jar.items())
                headers = {"host": parts.netloc, "cookie": cookie, "sec-fetch-mode": mode}
                if method == "POST":
                    headers["content-type"] = "application/x-www-form-urlencoded"
                connection.request(method, path, form or None, headers)
                response = connection.getresponse()
                body = response.read()
            finally:
                connection.close()
            given = response.headers.get_all("set-cookie") or []
            for each in given:
                name, _, value = each.partition(";")[0].partition("=")
                jar[name] = value
                if "; Max-Age=0" in each:
                    del jar[name]
            location = response.headers["location"]
            if response.status != 302 or not follow:
                return Page(location or url, response.status, body, given, dict(response.headers))
            url = location if "://" in location else f"{parts.scheme}://{parts.netloc}{location}"
            if until is not None and url.startswith(until):
                return Page(url, response.status, body, given, dict(response.headers))
            method, form = "GET", ""
        raise AssertionError("it leads nowhere")
