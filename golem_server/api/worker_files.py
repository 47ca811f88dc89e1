"""The files of workers: what is in their folders, and the contents (reference: rest-api, section 6).

Neither is in the contract; Golem's client asks for both. They are read between two invocations, so that no file is
half written by one, and a worker that is not there yet is created.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.json_bodies import json_response
from golem_server.api.paths import WorkerPath, decode_segment
from golem_server.api.services import services_of
from golem_server.durable.worker_files import copy_content, list_path
from golem_server.model.errors import InvalidInput
from golem_server.model.initial_files import file_path
from golem_server.model.principals import user_principal
from golem_server.model.workers import WorkerCreation

router = APIRouter(tags=["Worker"], dependencies=[Depends(authenticated)])

_WORKER = "/v1/components/{component_id}/workers/{agent_name}"
_READ_BYTES = 1 << 18
_IN_MEMORY_BYTES = 1 << 20


@router.get(f"{_WORKER}/files", operation_id="getRootFiles")
@router.get(f"{_WORKER}/files/{{file_name:path}}", operation_id="getFiles")
async def files(request: Request, worker: WorkerPath, caller: Caller, file_name: str = "") -> Response:
    """What is in a directory of the worker's folder, or one file."""
    path = _path(file_name)
    executor = services_of(request).executor
    creation = WorkerCreation(principal=user_principal(caller.account_id))
    entries = await executor.visit(worker, lambda folder: list_path(folder, path), creation)
    nodes = [
        {
            "name": entry.name,
            "lastModified": entry.modified,
            "kind": entry.kind,
            "permissions": entry.permissions,
            "size": entry.size,
        }
        for entry in entries
    ]
    return json_response({"nodes": nodes})


@router.get(f"{_WORKER}/file-contents/{{file_name:path}}", operation_id="getFileContent")
async def file_contents(request: Request, worker: WorkerPath, caller: Caller, file_name: str) -> Response:
    """The bytes of a file, as they were between two invocations."""
    path, services = _path(file_name), services_of(request)
    creation = WorkerCreation(principal=user_principal(caller.account_id))
    # A copy: whoever reads slowly must not hold up the worker, nor see what it does meanwhile.
    with ExitStack() as stack:
        content = stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(services.uploads)))

        def copied(folder: Path) -> int:
            size = copy_content(folder, path, content)
            content.seek(0)
            return size

        size = await services.executor.visit(worker, copied, creation)
        kept = stack.pop_all()
    return StreamingResponse(
        _parts(content, kept),
        media_type="application/octet-stream",
        headers={"content-length": str(size)},
    )


async def _parts(file: IO[bytes], kept: ExitStack) -> AsyncIterator[bytes]:
    with kept:
        while part := await asyncio.to_thread(file.read, _READ_BYTES):
            yield part


def _path(segment: str) -> str:
    """The path that a segment of the URL means; empty is the folder itself. Raises InvalidInput."""
    text = decode_segment("file_name", segment)
    if not any(name not in ("", ".") for name in text.split("/")):
        return "/"
    try:
        return file_path(text)
    except InvalidInput as error:
        raise InvalidInput(f"Invalid file name: {error.message}", code="INVALID_FILE_PATH") from None
