"""What a browser does in a login: follow redirections, keep cookies for each host."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Page:
    """Where a browser ended up."""

    url: str
    status: int
    body: bytes
    cookies_set: list[str] = field(default_factory=list[str])


class CookieBrowser:
    """Keeps cookies by host and port."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}

    def get(self, url: str, *, follow: bool = True, mode: str = "navigate") -> Page:
        """A page, after following where it leads; `mode` as in Sec-Fetch-Mode."""
        for _ in range(10):
            parts = urlsplit(url)
            jar = self.cookies.setdefault(parts.netloc, {})
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
            try:
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                cookie = "; ".join(f"{name}={value}" for name, value in jar.items())
                headers = {"host": parts.netloc, "cookie": cookie, "sec-fetch-mode": mode}
                connection.request("GET", path, headers=headers)
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
                return Page(location or url, response.status, body, given)
            url = location if "://" in location else f"{parts.scheme}://{parts.netloc}{location}"
        raise AssertionError("it leads nowhere")
