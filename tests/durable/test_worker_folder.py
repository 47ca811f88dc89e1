"""A worker's folder is made anew, and never by two at a time."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from golem_server.durable.worker_folder import lay_out


async def test_a_folder_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    await lay_out(folder, (folder / "first").touch)
    await lay_out(folder, (folder / "second").touch)
    assert [path.name for path in folder.iterdir()] == ["second"]


async def test_what_cannot_be_filled_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await lay_out(tmp_path / "a", (tmp_path / "elsewhere" / "x").touch)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("fails", [False, True])
async def test_who_is_cancelled_waits_for_the_thread(tmp_path: Path, times: int, fails: bool) -> None:
    filling, go_on = threading.Event(), threading.Event()

    def fill() -> None:
        filling.set()
        assert go_on.wait(20)
        (tmp_path / ("elsewhere/x" if fails else "folder/x")).touch()

    task = asyncio.create_task(lay_out(tmp_path / "folder", fill))
    assert await asyncio.to_thread(filling.wait, 20)
    for _ in range(times):
        task.cancel()
        # Long enough for a cancellation to go through all that waits.
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "folder" / "x").exists() is not fails
