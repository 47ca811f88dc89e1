"""A headless Chromium and one page in it, driven over the DevTools protocol.

Whatever a test waits for is waited for in the page, frame by frame: there is nothing to sleep for.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import connect

from tests.chromium import chromium

SECONDS = 20

_KEYS = {"Enter": ("\r", 13), "Tab": ("", 9), "Escape": ("", 27), "ArrowDown": ("", 40), "ArrowRight": ("", 39)}


class Browser:
    """The browser with its page; `with` starts and ends it."""

    def __init__(self, folder: Path, width: int = 1360, height: int = 860) -> None:
        self._folder = folder
        self._size = (width, height)
        self._numbers = itertools.count(1)
        self.errors: list[str] = []

    def __enter__(self) -> Browser:
        width, height = self._size
        options = ["--remote-debugging-port=0", "--no-first-run", "--force-color-profile=srgb"]
        options += [f"--window-size={width},{height}", "about:blank"]
        with ExitStack() as stack:
            self._process = stack.enter_context(chromium(self._folder, *options))
            self._connection = stack.enter_context(connect(self._page(), max_size=None, open_timeout=SECONDS))
            for domain in ("Page", "Runtime", "Log"):
                self._send(f"{domain}.enable")
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            self._send("Emulation.setDeviceMetricsOverride", **metrics)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _page(self) -> str:
        """The address of the page, in the protocol."""
        port = self._port()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as answer:
            pages = json.load(answer)
        return next(each["webSocketDebuggerUrl"] for each in pages if each["type"] == "page")

    def _port(self) -> int:
        """The port of the protocol, which the browser says in its own words."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "DevTools listening on ws://" in line:
                return int(line.rpartition("127.0.0.1:")[2].partition("/")[0])
        raise AssertionError("Chromium ended before it could be reached")

    def _send(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        deadline = time.monotonic() + SECONDS
        while True:
            message = json.loads(self._connection.recv(timeout=max(0.1, deadline - time.monotonic())))
            self._notice(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _notice(self, message: dict[str, Any]) -> None:
        """Remember what went wrong in the page."""
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))

    def open(self, url: str) -> None:
        """Go to a page."""
        self._send("Page.navigate", url=url)

    def run(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        result = self._send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Wait until an expression is true, and return its value. Fails with what the page shows."""
        watch = f"""new Promise(done => {{
            const end = performance.now() + {SECONDS * 500};
            const look = () => {{
                let value = null;
                try {{ value = ({condition}); }} catch {{ /* not yet */ }}
                if (value) done(value === Object(value) ? true : value);
                else if (performance.now() > end) done(null);
                else setTimeout(look, 20);
            }};
            look();
        }})"""
        value = self.run(watch)
        assert value, (condition, self.run("document.body.innerText"), self.errors)
        return value

    def wait_text(self, text: str, within: str = "body") -> None:
        """Wait until a text is to be seen."""
        self.wait(f"document.querySelector({json.dumps(within)}).innerText.includes({json.dumps(text)})")

    def click(self, selector: str, text: str = "") -> None:
        """Wait for an element, with a text in it, and click it."""
        fits = f"e => e.textContent.includes({json.dumps(text)}) && !e.disabled"
        found = f"[...document.querySelectorAll({json.dumps(selector)})].find({fits})"
        self.wait(f"(e => e && (e.click(), true))({found})")

    def fill(self, selector: str, text: str) -> None:
        """Wait for a field, and write into it as a person does."""
        self.wait(f"(e => e && (e.focus(), e.select?.(), true))(document.querySelector({json.dumps(selector)}))")
        self.type(text)

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self._send("Input.insertText", text=text)

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key."""
        text, code = _KEYS.get(key, (key, ord(key.upper()[0])))
        event = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        if text:
            event["text"] = text
        self._send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        self._send("Input.dispatchKeyEvent", type="keyUp", **{**event, "text": ""})

    def prefer(self, scheme: str) -> None:
        """Prefer `light` or `dark`, as the system's setting does."""
        self._send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path) -> None:
        """Write what is to be seen into a PNG file."""
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"]))
