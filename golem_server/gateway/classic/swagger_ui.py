"""The swagger-ui binding: a page that shows the API that it is part of; everything that it needs is on this server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

import msgspec

from golem_server.gateway.classic.request_inputs import RequestFacts
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.api_definitions import StoredDefinition
from golem_server.model.openapi_export import openapi_of

ASSETS = {"swagger-ui.css": "text/css; charset=utf-8", "swagger-ui-bundle.js": "text/javascript; charset=utf-8"}
"""The files of the page, which are found below it, with their content types."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{base}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{base}/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({{spec: {document}, dom_id: "#swagger-ui", deepLinking: true}});
</script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class SwaggerUiEndpoint:
    """Answers with the page."""

    stored: StoredDefinition

    async def answer(self, facts: RequestFacts) -> GatewayResponse:
        """The page, with the document in it."""
        request = facts.request
        document = openapi_of(self.stored, f"{request.scheme}://{request.host}")
        # Within a script nothing may look like its end.
        text = msgspec.json.encode(document).decode().replace("<", "\\u003c")
        key = self.stored.definition.key
        page = _PAGE.format(
            title=escape(f"{key.id} {key.version}"), base=escape(request.path.rstrip("/")), document=text
        )
        return GatewayResponse(200, [("content-type", "text/html; charset=utf-8")], page.encode())


@dataclass(frozen=True, slots=True)
class AssetEndpoint:
    """Answers with a file of the page."""

    name: str

    async def answer(self, facts: RequestFacts) -> GatewayResponse:
        """The file, which stays the same."""
        headers = [("content-type", ASSETS[self.name]), ("cache-control", "public, max-age=86400")]
        return GatewayResponse(200, headers, _content(self.name))


@cache
def _content(name: str) -> bytes:
    # The package has one folder, named after the version.
    (folder,) = (files("swagger_ui_bundle") / "vendor").iterdir()
    return (folder / name).read_bytes()
