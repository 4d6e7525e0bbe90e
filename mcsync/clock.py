"""Our own clock, good for schedules only."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time, aware UTC."""
    return datetime.now(UTC)
