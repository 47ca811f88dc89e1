"""What goes wrong while a request is answered, each with its status and a plain text for the caller.

Nothing of the server's inside is told (reference: gateway, section 1.14).
"""

from __future__ import annotations

from golem_server.gateway.responses import GatewayResponse, text_response


class RequestFailed(Exception):
    """The request gets this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def response(self) -> GatewayResponse:
        """The failure as it is sent."""
        return text_response(self.status, self.text)
