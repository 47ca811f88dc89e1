"""Points in time as the API writes them: RFC 3339, UTC, milliseconds (reference: rest-api, section 0)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(moment: datetime) -> str:
    """An aware point in time, for example `2026-01-31T12:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def timestamp_of_milliseconds(milliseconds: int) -> str:
    """A point in time that is given in milliseconds since the epoch."""
    return timestamp(_EPOCH + timedelta(milliseconds=milliseconds))
