"""Times as the cache keeps them: `YYYY-MM-DDTHH:MM:SSZ`, so that text order is time order."""

from datetime import UTC, datetime

import msgspec

LONG_AGO_TEXT = "0001-01-01T00:00:00Z"  # model.LONG_AGO: older than anything anybody said

_SECONDS = len("0001-01-01T00:00:00")

_to_builtins = msgspec.to_builtins


def to_text(at: datetime) -> str:
    """An aware time as the cache keeps it, in UTC and whole seconds."""
    text: str = _to_builtins(at)  # a sixth of the time that isoformat takes
    if len(text) == _SECONDS + 1:  # in UTC, and whole seconds
        return text
    return f"{_to_builtins(at.astimezone(UTC))[:_SECONDS]}Z"


def to_texts(times: list[datetime]) -> list[str]:
    """Some aware times as the cache keeps them; in a fifth of the time, where they are in UTC."""
    texts: list[str] = _to_builtins(times)
    if set(map(len, texts)) <= {_SECONDS + 1}:
        return texts
    return [to_text(at) for at in times]


def from_text(text: str) -> datetime:
    """An aware UTC time from the cache; ValueError if it is none."""
    return datetime.fromisoformat(text)


def to_text_or_none(at: datetime | None) -> str | None:
    """The same, where there may be no time."""
    return None if at is None else to_text(at)


def from_text_or_none(text: str | None) -> datetime | None:
    """The same, where there may be no time."""
    return from_text(text) if text else None
