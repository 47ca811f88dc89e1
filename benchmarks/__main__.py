"""All benchmarks, or those that are named: `python -m benchmarks [invocations replay ...]`, `make bench ARGS=...`."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.machine import machine

NAMES = (
    "invocations",
    "agents",
    "connect",
    "gateway",
    "replay",
    "host_calls",
    "memory",
    "oplog_store",
    "streams",
    "updates",
    "wasm_boundary",
    "worker_calls",
    "worker_search",
)


def main() -> int:
    """Run each in a process of its own, so that none inherits the memory of another."""
    chosen = sys.argv[1:] or list(NAMES)
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    failed = 0
    for name in chosen:
        print(f"\n{name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
