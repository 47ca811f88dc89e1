"""The line that says where figures come from."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path


def machine() -> str:
    """Processor, system and versions, in one line."""
    return (
        f"{_processor()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, wasmtime {importlib.metadata.version('wasmtime')}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
