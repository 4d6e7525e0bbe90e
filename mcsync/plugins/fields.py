"""Fields: merge fields filled from fields of the contact, as the config maps them.

The value is written as the merge field's type wants it. An empty one takes back what was sent
before; what the member gave themselves is never overwritten with nothing.
"""

import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date

from mcsync.model import DataAudience, DataRow, DataSite, DataUpdate, MergeField
from mcsync.plugins.hookspec import hookimpl

log = logging.getLogger("mcsync.plugins")

_MOST_BYTES = 255  # Mailchimp refuses longer texts
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


class Fields:
    """The plugin; `fields` maps a merge tag to an APIv4 field of Contact, joins included."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {tag.upper(): name for tag, name in fields.items()}
        self._warned: set[tuple[str, str]] = set()
        self._site: DataSite | None = None
        self._usable: dict[str, MergeField] = {}
        self._as = ""

    @hookimpl
    def pre(self, audience: DataAudience, site: DataSite) -> Collection[int]:
        """Bring the mirror of the fields up to date, as far as the audience takes them."""
        self._site = site
        self._usable = self._find_usable(audience)
        formats = [(tag, self._fields[tag], f.type) for tag, f in sorted(self._usable.items())]
        self._as = json.dumps(formats)
        if not self._usable:
            return ()
        return site.follow_fields(sorted(set(self._fields.values())), self._as)

    @hookimpl
    def check_chunk(self, rows: Sequence[DataRow]) -> Iterator[DataUpdate]:
        """Send what differs from what was sent."""
        if self._site is None or not self._usable:
            return
        mirrored = self._site.load_fields([row.contact_id for row in rows])
        for row in rows:
            values = mirrored.get(row.contact_id)
            if values is not None:
                update = self._compare(row, values)
                if update is not None:
                    yield update

    def _compare(self, row: DataRow, values: Mapping[str, object]) -> DataUpdate | None:
        kept = row.metadata.get("sent")
        sent = kept if isinstance(kept, dict) else {}
        wanted = {
            tag: format_value(values.get(self._fields[tag]), merge_field)
            for tag, merge_field in self._usable.items()
        }
        changed = {tag: text for tag, text in wanted.items() if text != sent.get(tag, "")}
        told: dict[str, object] = {
            "seen": dict(values),
            "as": self._as,
            "sent": {tag: text for tag, text in wanted.items() if text},
        }
        metadata = told if values else {}
        if not changed and metadata == row.metadata:
            return None
        return DataUpdate(row.row_id, merge_fields=changed, metadata=metadata)

    def _find_usable(self, audience: DataAudience) -> dict[str, MergeField]:
        known = {merge_field.tag.upper(): merge_field for merge_field in audience.merge_fields}
        usable = {}
        for tag in self._fields:
            problem = find_problem(tag, known)
            if problem is None:
                usable[tag] = known[tag]
            elif (audience.list_id, tag) not in self._warned:
                self._warned.add((audience.list_id, tag))
                log.warning("%s: data.fields.%s is skipped: %s", audience.name, tag, problem)
        return usable


def find_problem(tag: str, known: Mapping[str, MergeField]) -> str | None:
    """Why a merge field cannot be filled, or None; `known` are the audience's, by tag."""
    if tag not in known:
        return "the audience has no such merge field"
    if known[tag].type == "address":
        return "merge fields of the type address are not supported"
    return None


# --- formats --------------------------------------------------------------------------------------


def format_value(value: object, merge_field: MergeField) -> str:
    """A value as a merge field of this type takes it; empty for none, or one that does not fit."""
    text = _to_text(value)
    return _FORMATS.get(merge_field.type, _cut)(text) if text else ""


def _to_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(_to_text(item) for item in value)
    return str(value).strip()


def _cut(text: str) -> str:
    return text.encode()[:_MOST_BYTES].decode(errors="ignore")


def _date(text: str) -> str:
    found = _DATE.match(text)
    try:
        return date(*map(int, found.groups())).isoformat() if found else ""
    except ValueError:
        return ""


def _birthday(text: str) -> str:
    day = _date(text)
    return f"{day[5:7]}/{day[8:10]}" if day else ""


def _number(text: str) -> str:
    try:
        float(text)
    except ValueError:
        return ""
    return text if re.fullmatch(r"[+-]?\d*\.?\d+", text) else ""


def _zip(text: str) -> str:
    return text if re.fullmatch(r"\d{5}(-\d{4})?", text) else ""


def _url(text: str) -> str:
    return text if re.fullmatch(r"https?://\S+", text) else ""


_FORMATS: Mapping[str, Callable[[str], str]] = {
    "date": _date,
    "birthday": _birthday,
    "number": _number,
    "zip": _zip,
    "url": _url,
    "imageurl": _url,
}
