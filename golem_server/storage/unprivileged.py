"""Run a program as another user, in a process of its own: `python unprivileged.py UID GID PROGRAM ARGUMENT...`

PostgreSQL refuses to run as root, but containers and fresh machines often have nothing but root. This file is started
by path, as a program, before anything else is imported: it gives up root for good and becomes the program.

The one capability that it keeps (Linux, where allowed) is to pass over file permissions, because a data folder or an
installation under `/root` is closed to every other user, and opening `/root` to everybody would be worse.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def become(uid: int, gid: int) -> None:
    """Change to the user and group for good, keeping the right to reach files if the kernel lets us."""
    libc = ctypes.CDLL(None)
    keeps = sys.platform == "linux" and libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keeps:
        mask = 1 << _CAP_DAC_OVERRIDE
        header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
        sets = ctypes.create_string_buffer(struct.pack("=6I", mask, mask, mask, 0, 0, 0))
        # Where either is refused, the program runs without it and says itself which folder it cannot reach.
        if libc.capset(header, sets) == 0:
            libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
