"""Which generation of answers a request wants, where they cannot be given side by side (rest-api, section 10)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request


async def _speaks_cli(request: Request) -> bool:
    return "x-golem-cli-version" in request.headers


CliDialect = Annotated[bool, Depends(_speaks_cli)]
"""Whether the official command line asks (whatever its version); everybody else gets what the contract says."""
