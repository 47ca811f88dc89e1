"""How much memory this process has come to hold while something ran."""

from __future__ import annotations

import gc
from pathlib import Path
from types import TracebackType


class PeakMemory:
    """Within its block the kernel notes the most that was resident. `growth` is that, less what was there, in bytes."""

    def __enter__(self) -> PeakMemory:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        self._before = _status("VmRSS")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.growth = _status("VmHWM") - self._before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) << 10
