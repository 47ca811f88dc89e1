"""The errors of wasi:filesystem: their codes, and which code an error of the operating system becomes.

Operations on a worker's files are executed again in replay, so that a guest may only be told of errors that its own
operations cause each time. An error of the machine (a full or broken disk, too many open files in the server) is
none of these: the attempt fails and is tried again.
"""

from __future__ import annotations

import errno

from golem_server.durable.signals import TransientFailure

ERROR_CODES = frozenset(
    [
        "access",
        "would-block",
        "already",
        "bad-descriptor",
        "busy",
        "deadlock",
        "quota",
        "exist",
        "file-too-large",
        "illegal-byte-sequence",
        "in-progress",
        "interrupted",
        "invalid",
        "io",
        "is-directory",
        "loop",
        "too-many-links",
        "message-size",
        "name-too-long",
        "no-device",
        "no-entry",
        "no-lock",
        "insufficient-memory",
        "insufficient-space",
        "not-directory",
        "not-empty",
        "not-recoverable",
        "unsupported",
        "no-tty",
        "no-such-device",
        "overflow",
        "not-permitted",
        "pipe",
        "read-only",
        "invalid-seek",
        "text-file-busy",
        "cross-device",
    ]
)
"""The cases of the enum `error-code`, the same in all versions of the interface."""

_CODES = {
    errno.EACCES: "access",
    errno.EBADF: "bad-descriptor",
    errno.EBUSY: "busy",
    errno.EEXIST: "exist",
    errno.EFBIG: "file-too-large",
    errno.EILSEQ: "illegal-byte-sequence",
    errno.EINVAL: "invalid",
    errno.EISDIR: "is-directory",
    errno.ELOOP: "loop",
    errno.EMLINK: "too-many-links",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ENOENT: "no-entry",
    errno.ENOTDIR: "not-directory",
    errno.ENOTEMPTY: "not-empty",
    errno.ENOTSUP: "unsupported",
    errno.EOVERFLOW: "overflow",
    errno.EPERM: "not-permitted",
    errno.ETXTBSY: "text-file-busy",
    errno.EXDEV: "cross-device",
}


class FilesystemError(Exception):
    """An operation failed in a way that the guest is told of; `code` is a case of the enum `error-code`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def error_code(error: OSError | FilesystemError) -> str:
    """The code that the guest gets. Raises TransientFailure for errors of the machine."""
    if isinstance(error, FilesystemError):
        return error.code
    code = _CODES.get(error.errno or 0)
    if code is None:
        # The text of the system names no path of the server's, `str(error)` would.
        raise TransientFailure(f"the worker's files cannot be used: {error.strerror}") from error
    return code
