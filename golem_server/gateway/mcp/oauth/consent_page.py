"""The page on which a person lets a client in, or not; and the page that says why nothing can come of it.

Everything on them that a client has said is text. They load nothing, run no scripts, and stand in no frame.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape

from golem_server.gateway.mcp.oauth.domains import AUTHORIZE
from golem_server.gateway.responses import GatewayResponse

ALLOW, REFUSE = "allow", "refuse"
MAX_AGENTS = 20

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1.5rem; color: #1d1d1f; }
h1 { font-size: 1.4rem; }
dt { color: #6e6e73; font-size: .85rem; }
dd { margin: 0 0 .75rem; font-weight: 600; overflow-wrap: anywhere; }
button { font: inherit; padding: .5rem 1.4rem; margin: .5rem .75rem 0 0; border: 1px solid #6e6e73; border-radius: 6px;
  background: #fff; color: #1d1d1f; cursor: pointer; }
button.allow { background: #0b57d0; border-color: #0b57d0; color: #fff; }
@media (prefers-color-scheme: dark) { body { background: #1d1d1f; color: #f5f5f7; } dt { color: #a1a1a6; } }
"""
_HEADERS = [
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        # No form-action: browsers hold the redirections that follow a form to it too, and these lead to the provider,
        # wherever that sends a person on to, and to the client.
        f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
        "base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
]


def consent_page(
    client: str, host: str, domain: str, provider: str, agents: Iterable[str], request: str
) -> GatewayResponse:
    """Ask a person whether a client may act for him.

    `client` is what it calls itself, `host` where it gets its answer, `request` what comes back with the form.
    """
    names = list(agents)
    more = f" and {len(names) - MAX_AGENTS} more" if len(names) > MAX_AGENTS else ""
    facts = (
        ("The application calls itself", client or "(it gives no name)"),
        ("Its answer goes to", host),
        ("It wants to use the agents", ", ".join(names[:MAX_AGENTS]) + more),
        ("at", domain),
    )
    listed = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in facts)
    return _page(
        200,
        "Let an application in?",
        f"<dl>{listed}</dl>"
        f"<p>If you allow it, you log in at {escape(provider)}, and the application can use these agents in your name "
        "until that login expires. Refuse it if you have not just asked an application to connect.</p>"
        f'<form method="post" action="{AUTHORIZE}">'
        f'<input type="hidden" name="request" value="{escape(request)}">'
        f'<button class="allow" name="decision" value="{ALLOW}">Allow</button>'
        f'<button name="decision" value="{REFUSE}">Refuse</button></form>',
    )


def problem_page(status: int, text: str) -> GatewayResponse:
    """Tell a person that nothing comes of it, and why."""
    return _page(status, "This did not work", f"<p>{escape(text)}</p>")


def _page(status: int, title: str, body: str) -> GatewayResponse:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return GatewayResponse(status, list(_HEADERS), html.encode())
