"""What a client is told when a request comes to nothing: JSON-RPC errors without anything of the server's inside.

The client is told what is wrong with its arguments, and what an agent itself gave as its error; of one that crashed it
learns only that it did (reference: gateway, section 3.8).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from mcp import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS

from golem_server.model.component_agents import agent_error_text
from golem_server.model.errors import (
    GolemError,
    InvalidInput,
    InvocationFailed,
    PreviousInvocationFailed,
    TooManyPending,
    Unavailable,
    WorkerError,
)

RESOURCE_NOT_FOUND = -32002
"""The code of MCP for a resource that is not there."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def told_to_client(count_error: Callable[[str], None]) -> AsyncGenerator[None]:
    """Turn every error into one of JSON-RPC; those that nobody foresaw are logged and counted."""
    try:
        yield
    except MCPError:
        raise
    except GolemError as error:
        raise _error_of(error) from error
    except Exception as error:
        count_error("mcp")
        _log.error("a request of an MCP client failed", exc_info=error)
        raise MCPError(INTERNAL_ERROR, "Internal error") from error


def _error_of(error: GolemError) -> MCPError:
    match error:
        case InvalidInput():
            return MCPError(INVALID_PARAMS, error.message)
        case InvocationFailed() | PreviousInvocationFailed() if error.agent_error is not None:
            return MCPError(INTERNAL_ERROR, f"{error.message}: {agent_error_text(error.agent_error)}")
        case WorkerError() | Unavailable() | TooManyPending():
            return MCPError(INTERNAL_ERROR, error.message)
        case _:
            return MCPError(INTERNAL_ERROR, "The deployment at this domain cannot be served")
