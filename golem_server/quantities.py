"""Durations and sizes as people write them in settings: "100ms", "10s", "512MiB".

Settings hold `timedelta` and `ByteSize`, so that no room ever guesses a unit; this file turns text into them and
back. A plain number is seconds, or bytes.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, ByteSize

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*")
_BINARY_UNITS = ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)


def parse_duration(value: object) -> timedelta:
    """The duration that a setting names: a `timedelta`, a number of seconds, or text such as "100ms" or "1.5s".

    Raises ValueError for anything else, negative durations included.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        duration = timedelta(seconds=value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        duration = float(match[1]) * _UNITS[match[2] or "s"]
    else:
        raise ValueError("expected a duration such as 10s, 100ms, 5m, 1h, or a number of seconds")
    if duration < timedelta(0):
        raise ValueError("a duration cannot be negative")
    return duration


def render_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same duration (to the millisecond)."""
    milliseconds = duration // timedelta(milliseconds=1)
    for unit in ("d", "h", "m", "s"):
        size = _UNITS[unit] // timedelta(milliseconds=1)
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def render_size(size: int) -> str:
    """The number of bytes with the largest binary unit that leaves no fraction: "64KiB", "512MiB", "1000B"."""
    for unit, factor in _BINARY_UNITS:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A `timedelta` that settings write as "10s"."""

Size = ByteSize
"""A number of bytes that settings write as "512MiB"."""
