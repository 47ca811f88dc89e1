"""What guests print and log, as lines of a bounded size."""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.model.oplog import LogLevel

MAX_LINE_BYTES = 64 * 1024
"""Bytes of a guest that go into one log entry (reference: reliability, section 3)."""


def write_log(context: WorkerContext, level: LogLevel, log_context: str, content: bytes) -> None:
    """Log what a guest gave: longer content as several entries, bytes that are no UTF-8 as replacement characters.

    Content is divided between characters. Nothing is written for nothing.
    """
    start = 0
    while start < len(content):
        end = min(start + MAX_LINE_BYTES, len(content))
        if end < len(content):
            end = _before_character(content, end)
        context.log(level, log_context, content[start:end].decode("utf-8", "replace"))
        start = end


def _before_character(content: bytes, end: int) -> int:
    """The last position up to `end` where a character begins; `end` itself where the bytes are no UTF-8."""
    for position in range(end, end - 4, -1):
        if content[position] & 0xC0 != 0x80:
            return position
    return end
