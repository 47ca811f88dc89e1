"""A worker's folder, laid out anew for each of its instances."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path


async def lay_out(folder: Path, fill: Callable[[], None]) -> None:
    """Make the folder, without anything that it held, and have `fill` put files into it, in a thread.

    Who is cancelled meanwhile, once or more often (a worker that is being updated may be interrupted too), waits for
    the thread all the same: the next instance must not meet it in the same folder. Raises what `fill` raises.
    """
    made = asyncio.ensure_future(asyncio.to_thread(_make, folder, fill))
    cancelled = False
    while not made.done():
        try:
            await asyncio.wait({made})
        except asyncio.CancelledError:
            cancelled = True
    failure = made.exception()
    if cancelled:
        raise asyncio.CancelledError
    if failure is not None:
        raise failure


def _make(folder: Path, fill: Callable[[], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fill()
