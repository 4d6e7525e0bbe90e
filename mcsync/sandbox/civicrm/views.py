"""What a test may look at: frozen pictures of rows, times in aware UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mcsync.sandbox.civicrm.schema import CONTACT, EMAIL
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.tables import Row


@dataclass(frozen=True, slots=True)
class EmailView:
    """An email row; `hold_date` is CiviCRM's local text."""

    id: int
    contact_id: int
    email: str | None
    is_primary: bool
    is_bulkmail: bool
    on_hold: int
    hold_date: str | None
    reset_date: str | None


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact with its addresses, primary first."""

    id: int
    contact_type: str
    first_name: str | None
    last_name: str | None
    display_name: str | None
    source: str | None
    external_identifier: str | None
    is_deleted: bool
    is_deceased: bool
    is_opt_out: bool
    do_not_email: bool
    created_at: datetime
    modified_at: datetime
    emails: tuple[EmailView, ...]

    @property
    def email(self) -> str | None:
        """The primary address."""
        return self.emails[0].email if self.emails else None


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A row of the subscription history."""

    id: int
    contact_id: int
    group_id: int
    at: datetime
    status: str
    method: str | None
    tracking: str | None


def view_email(store: Store, row: Row) -> EmailView:
    """A picture of an email row."""
    names = (
        "id", "contact_id", "email", "is_primary", "is_bulkmail", "on_hold",
        "hold_date", "reset_date",
    )  # fmt: skip
    return EmailView(**{name: store.read(EMAIL, row, name) for name in names})  # type: ignore[arg-type]


def view_contact(store: Store, row: Row) -> ContactView:
    """A picture of a contact."""
    names = (
        "id", "contact_type", "first_name", "last_name", "display_name", "source",
        "external_identifier", "is_deleted", "is_deceased", "is_opt_out", "do_not_email",
    )  # fmt: skip
    emails = [view_email(store, e) for e in store.emails.matching("contact_id", row["id"])]
    return ContactView(
        **{name: store.read(CONTACT, row, name) for name in names},  # type: ignore[arg-type]
        created_at=datetime.fromtimestamp(row["created_date"] or 0, UTC),
        modified_at=datetime.fromtimestamp(row["modified_date"], UTC),
        emails=tuple(sorted(emails, key=lambda e: (not e.is_primary, e.id))),
    )


def view_history(row: Row) -> HistoryView:
    """A picture of a history row."""
    return HistoryView(
        id=row["id"],
        contact_id=row["contact_id"],
        group_id=row["group_id"],
        at=datetime.fromtimestamp(row["date"], UTC),
        status=row.get("status") or "",
        method=row.get("method"),
        tracking=row.get("tracking"),
    )
