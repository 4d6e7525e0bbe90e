"""The hours of the day on which everything happens."""

from datetime import UTC, datetime, timedelta


def at(hour: int) -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)


def text(hour: int) -> str:
    """The same, as the cache writes it."""
    return f"2026-11-22T{hour:02}:00:00Z"
