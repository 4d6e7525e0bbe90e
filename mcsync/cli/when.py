"""Options that are a length of time (90s, 15m, 1h, 2d), or a point in time."""

import re
from datetime import UTC, datetime, timedelta

import click

_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_S = 100 * 366 * 86400  # a century: longer ago than anything the cache tells of


class Length(click.ParamType):  # type: ignore[type-arg]  # generic in new Clicks only
    """A length of time, in seconds."""

    name = "length"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds; a usage error for anything else."""
        seconds = parse_length(str(value))
        if seconds is None:
            self.fail(f'"{value}" is no length of time; write 90s, 15m, 1h or 2d', param, ctx)
        return seconds


class When(click.ParamType):  # type: ignore[type-arg]  # generic in new Clicks only
    """An ISO date or time, UTC unless it says otherwise, or how long ago."""

    name = "when"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time, aware UTC; a usage error for anything else."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        ago = parse_length(text)
        if ago is not None:
            return datetime.now(UTC) - timedelta(seconds=ago)
        try:
            at = datetime.fromisoformat(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            words = "write it as 2026-11-22, as 2026-11-22T06:00, or as 2d for two days ago"
            self.fail(f'"{value}" is no date; {words}', param, ctx)


def parse_length(text: str) -> float | None:
    """The seconds of a length such as 90s, 15m, 1h or 2d; None if it is none."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        return None
    seconds = float(match[1]) * _UNITS[match[2].lower()]
    return seconds if seconds <= _MAX_S else None
