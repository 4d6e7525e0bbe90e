"""Text and dates as MySQL and PHP see them: collation, zones that are none, odd date words."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: CiviCRM's dates have no zone


def fold(text: str) -> str:
    """The key under which utf8mb4_unicode_ci compares: no case, accents or trailing spaces."""
    if text.isascii():
        return text.lower().rstrip(" ")
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).rstrip(" ")


def ellipsify(text: str, width: int) -> str:
    """Cut an over-long text as CiviCRM does: its end becomes `...`."""
    return text if len(text) <= width else text[: width - 3] + "..."


def variable_name(title: str) -> str:
    """A title as a machine name: each run of other characters is one underscore."""
    return re.sub(r"[^\w]+", "_", title, flags=re.ASCII).strip("_")


def as_number(value: object) -> int:
    """An integer as MySQL reads it: the digits at the start of a text, else 0."""
    if isinstance(value, bool | int | float):
        return int(value)
    found = re.match(r"\s*-?\d+", value) if isinstance(value, str) else None
    return int(found.group()) if found else 0


def as_bool(value: object) -> bool:
    """A boolean from JSON or from PHP's textual forms."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "off")
    return bool(value)


def like_pattern(text: str) -> Callable[[str], bool]:
    """A test for MySQL's LIKE on folded text: `%` any run, `_` one character."""
    parts = [{"%": ".*", "_": "."}.get(c, re.escape(c)) for c in fold(text)]
    pattern = re.compile("".join(parts), re.DOTALL)
    return lambda folded: pattern.fullmatch(folded) is not None


class SiteClock:
    """The site's clock: now in UTC, and today's offset, which CiviCRM uses for every date.

    TIMESTAMP columns are kept as Unix seconds and shown with the *current* offset, whatever the
    season of the date; DATETIME columns are kept as the local text that was written.
    """

    def __init__(self, now: Callable[[], datetime], offset_minutes: int, zone: str | None) -> None:
        self._now = now
        self._zone_name = zone
        self.offset_minutes = offset_minutes
        self.format = lru_cache(maxsize=65536)(self._format)

    def set_offset(self, minutes: int) -> None:
        """Move the whole site to another UTC offset, as a DST switch does."""
        self.offset_minutes = minutes
        self.format.cache_clear()

    @property
    def zone_name(self) -> str:
        """The IANA name of the site's zone; empty for a site with a mere offset."""
        if self._zone_name is not None:
            return self._zone_name
        return {60: "Europe/Paris", 120: "Europe/Paris", 0: "UTC"}.get(self.offset_minutes, "")

    def utc(self) -> datetime:
        """Now, aware UTC."""
        return self._now().astimezone(UTC)

    def seconds(self) -> int:
        """Now in whole Unix seconds."""
        return int(self.utc().timestamp())

    def local(self) -> datetime:
        """Now in the site's zone, naive."""
        return _EPOCH + timedelta(seconds=self.seconds() + self.offset_minutes * 60)

    def local_text(self) -> str:
        """Now as a DATETIME column stores it."""
        return self.local().isoformat(" ")

    def _format(self, seconds: int) -> str:
        return (_EPOCH + timedelta(seconds=seconds + self.offset_minutes * 60)).isoformat(" ")

    def to_seconds(self, local: datetime) -> int:
        """Unix seconds of a naive local time, by the current offset."""
        return int((local - _EPOCH).total_seconds()) - self.offset_minutes * 60

    def parse(self, value: object) -> datetime:
        """A date from a `where` or from values, as naive local time; garbage is 1970."""
        text = str(value).strip()
        local = _plain_date(text)
        if local is None:
            local = self._zoned(text)
        if local is None:
            local = self._words(text)
        return local if local is not None else _EPOCH + timedelta(minutes=self.offset_minutes)

    def _zoned(self, text: str) -> datetime | None:
        if re.fullmatch(r"@-?\d+", text):
            return self._by_zone_rule(datetime.fromtimestamp(int(text[1:]), UTC))
        if not re.search(r"(Z|[+-]\d\d:?\d\d)$", text):
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return self._by_zone_rule(moment) if moment.tzinfo else None

    def _by_zone_rule(self, moment: datetime) -> datetime:
        """PHP converts with the summer time of that very date, MySQL with today's offset."""
        try:
            zone: ZoneInfo | timezone = ZoneInfo(self.zone_name or "-")
        except (ZoneInfoNotFoundError, ValueError):
            zone = timezone(timedelta(minutes=self.offset_minutes))
        return moment.astimezone(zone).replace(tzinfo=None)

    def _words(self, text: str) -> datetime | None:
        now = self.local()
        midnight = now.replace(hour=0, minute=0, second=0)
        if re.fullmatch(r"([01]\d|2[0-3])[0-5]\d", text):
            return midnight.replace(hour=int(text[:2]), minute=int(text[2:]))
        found = re.fullmatch(r"(now|today|yesterday|tomorrow)?((?:\s*[+-]\s*\d+\s*[a-z]+)*)", text)
        if not text or found is None:
            return None
        days = {"yesterday": -1, "tomorrow": 1}.get(found[1] or "now", 0)
        base = now if found[1] in (None, "now") else midnight + timedelta(days=days)
        for sign, count, unit in re.findall(r"([+-])\s*(\d+)\s*([a-z]+)", found[2]):
            step = _UNITS.get(unit.rstrip("s"))
            if step is None:
                return None
            base += step * (int(count) if sign == "+" else -int(count))
        return base


_UNITS = {
    "sec": timedelta(seconds=1),
    "second": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}

_FORMATS = {7: "%Y-%m", 14: "%Y%m%d%H%M%S"}


def _plain_date(text: str) -> datetime | None:
    """A date without a zone in one of the usual forms."""
    try:
        if len(text) in _FORMATS:
            return datetime.strptime(text, _FORMATS[len(text)])  # noqa: DTZ007 - naive on purpose
        if len(text) < 8:
            return None
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo else found.replace(microsecond=0)
