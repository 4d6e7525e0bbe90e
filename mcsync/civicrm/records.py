"""CiviCRM's rows to our values; nothing here goes to the network.

What comes by the million is made by `tuple.__new__`, in two thirds of the time the class takes.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from mcsync.errors import ProtocolError
from mcsync.model import LONG_AGO, Contact, Email, Group, GroupContact, HistoryRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
END_OF_TIMESTAMPS = datetime(2107, 1, 1, tzinfo=UTC)  # MariaDB's since 11.5; before it was 2038

OURS = "mcsync"  # our own history rows are known by the beginning of their `tracking`

_BODIES = ("Organization", "Household")
_ADDRESS = re.compile(r"\S+@\S+")


class WireId(msgspec.Struct):
    """A row of which only the id was asked for; every other one has it, too."""

    id: int


class WireOwned(WireId):
    """A row that was written: a contact's own, or one that belongs to `contact_id`."""

    contact_id: int | None = None


class WireSeen(WireId):
    """A contact that is there, with the site's clock."""

    server_now: str
    created_date: str | None = None


class WireHighest(msgspec.Struct):
    """The highest id of a table; null when it is empty."""

    max_id: int | None = None


class WireCount(msgspec.Struct):
    """How many group contacts a group has in one status; by SQL there may be some without."""

    group_id: int
    status: str | None
    n: int


class WireGroup(WireId):
    """A group; a smart one has a saved search."""

    title: str | None = None
    is_active: bool | None = None
    saved_search_id: int | None = None
    group_type: list[str] | None = msgspec.field(name="group_type:name", default=None)


class WireGroupContact(WireId):
    """A contact's place in a group; bad statuses are stored as they came."""

    group_id: int
    contact_id: int
    status: str | None = None


class WireHistory(WireId):
    """A row of the subscription history."""

    group_id: int
    contact_id: int
    status: str | None = None
    date: str | None = None
    tracking: str | None = None


class WireContact(WireId):
    """A contact."""

    first_name: str | None = None
    last_name: str | None = None
    is_deleted: bool | None = None
    is_deceased: bool | None = None
    is_opt_out: bool | None = None
    do_not_email: bool | None = None
    modified_date: str | None = None
    created_date: str | None = None
    contact_type: str | None = None
    display_name: str | None = None


class WireCreated(WireId):
    """A contact that we created, or may have."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = msgspec.field(name="email_primary.email", default=None)


class WireEmail(WireId):
    """An address; `on_hold` is 0 (no), 1 (bounced) or 2 (opted out)."""

    contact_id: int | None = None
    email: str | None = None
    is_primary: bool | None = None
    is_bulkmail: bool | None = None
    on_hold: int | None = None


def parse_naive(value: str) -> datetime:
    """CiviCRM's `YYYY-MM-DD HH:MM:SS`, which has no zone, as a naive time.

    Raises: ProtocolError.
    """
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ProtocolError(f"CiviCRM gave {value!r} instead of a date") from None


def read_time(value: str | None, offset: timedelta) -> datetime:
    """A TIMESTAMP in aware UTC; LONG_AGO for none, and for what no TIMESTAMP can hold.

    `offset` is the site's offset of this moment: CiviCRM shows every TIMESTAMP with it, those of
    the other half of the year too (civicrm: Time), so a zone's rule would be an hour wrong. One
    odd row must not stop all others, nor may a year 9999 be later than what anybody says.
    """
    try:
        at = datetime.fromisoformat(f"{value}Z") - offset  # `replace` takes five times as long
    except (ValueError, OverflowError):
        return LONG_AGO
    return at if EPOCH <= at < END_OF_TIMESTAMPS else LONG_AGO


def write_time(at: datetime, offset: timedelta) -> str:
    """A UTC time as a naive local one in the site's present offset, the only exact form.

    A time that no TIMESTAMP can hold becomes the nearest that one can.
    """
    held = min(max(at, EPOCH + ONE_DAY), END_OF_TIMESTAMPS - ONE_DAY)
    return f"{held.astimezone(UTC) + offset:%Y-%m-%d %H:%M:%S}"


def measure_offset(server_now: str, served_at: datetime) -> timedelta:
    """The site's offset east of UTC, to the quarter of an hour: its clock less UTC."""
    ahead = parse_naive(server_now).replace(tzinfo=UTC) - served_at
    return timedelta(minutes=15 * round(ahead / timedelta(minutes=15)))


def read_highest(rows: Sequence[WireHighest]) -> int:
    """The highest id that was asked for; 0 in an empty table."""
    return (rows[0].max_id or 0) if rows else 0


def read_group(row: WireGroup) -> Group:
    """One group."""
    return Group(
        group_id=row.id,
        title=row.title or "",
        is_active=bool(row.is_active),
        is_smart=row.saved_search_id is not None,
        is_mailing="Mailing List" in (row.group_type or ()),
        is_access_control="Access Control" in (row.group_type or ()),
    )


def read_group_contact(row: WireGroupContact) -> GroupContact:
    """One contact's place in one group."""
    return tuple.__new__(GroupContact, (row.group_id, row.contact_id, row.status or ""))


def read_history(row: WireHistory, offset: timedelta) -> HistoryRow:
    """One row of the subscription history."""
    is_ours = (row.tracking or "").startswith(OURS)
    at = read_time(row.date, offset)
    values = (row.id, row.group_id, row.contact_id, row.status or "", at, is_ours)
    return tuple.__new__(HistoryRow, values)


def read_contact(row: WireContact, offset: timedelta) -> Contact:
    """One contact; an organisation or household has its display name as its name."""
    is_person = row.contact_type not in _BODIES
    first, last = (row.first_name, row.last_name) if is_person else (_display_name(row), "")
    values = (
        row.id,
        (first or "").replace("\0", ""),
        (last or "").replace("\0", ""),
        row.is_deleted or False,
        row.is_deceased or False,
        row.is_opt_out or False,
        row.do_not_email or False,
        read_time(row.modified_date, offset),
        read_time(row.created_date, offset),
        is_person,
    )
    return tuple.__new__(Contact, values)


def _display_name(row: WireContact) -> str:
    """How a contact is shown; one without a name has its address there, which is none."""
    name = row.display_name or ""
    return "" if _ADDRESS.fullmatch(name) else name


def read_email(row: WireEmail) -> Email | None:
    """One address, trimmed; None for a row without one, or without a contact.

    CiviCRM keeps the blanks that somebody typed, and rows without a contact. An address with a
    NUL byte is none: nothing can be sent there.
    """
    text = (row.email or "").strip()
    if not text or row.contact_id is None or "\0" in text:
        return None
    flags = (row.is_primary or False, row.is_bulkmail or False, bool(row.on_hold))
    return tuple.__new__(Email, (row.id, row.contact_id, text, *flags))
