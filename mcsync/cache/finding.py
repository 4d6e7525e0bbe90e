"""Finding people in the cache: by address, by contact id, by row id; and what happened to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from mcsync.cache.outbox import StoredCause, decode_update
from mcsync.cache.store import Store
from mcsync.cache.times import from_text, to_text
from mcsync.cache.trail import Change, read_change
from mcsync.model import MemberChange, email_key


def find_rows_by_email(store: Store, list_id: str, email: str) -> list[int]:
    """Rows with this address, and rows linked to a contact that owns it."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?1 AND email_key = ?2"
        " UNION SELECT r.id FROM civicrm_mailchimpsync_email e"
        "  JOIN civicrm_mailchimpsync_cache r"
        "   ON r.civicrm_contact_id = e.contact_id AND r.mailchimp_list_id = ?1"
        "  WHERE e.email_key = ?2 ORDER BY 1",
        (list_id, email_key(email)),
    )
    return [row[0] for row in rows]


def find_rows_by_contact(store: Store, list_id: str, contact_id: int) -> list[int]:
    """Rows linked to this contact, or that were before it was deleted; else by its addresses."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ?1 AND (civicrm_contact_id = ?2 OR lost_contact_id = ?2)"
        " UNION SELECT r.id FROM civicrm_mailchimpsync_email e"
        "  JOIN civicrm_mailchimpsync_cache r"
        "   ON r.email_key = e.email_key AND r.mailchimp_list_id = ?1"
        "  WHERE e.contact_id = ?2 ORDER BY 1",
        (list_id, contact_id),
    )
    return [row[0] for row in rows]


def find_row(store: Store, list_id: str, row_id: int) -> list[int]:
    """This row, if it is one of the audience's."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE id = ? AND mailchimp_list_id = ?",
        (row_id, list_id),
    )
    return [row[0] for row in rows]


def find_contacts(store: Store, email: str | None, contact_id: int | None) -> list[int]:
    """Contacts that the mirror knows: those that own the address, or this one; no trashed ones."""
    rows = store.query(
        "SELECT c.contact_id FROM civicrm_mailchimpsync_contact c WHERE c.is_deleted = 0"
        " AND (c.contact_id = ?1 OR c.contact_id IN (SELECT e.contact_id"
        "  FROM civicrm_mailchimpsync_email e WHERE e.email_key = ?2)) ORDER BY 1",
        (contact_id, None if email is None else email_key(email)),
    )
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What a row says of itself, beyond what the rules need."""

    row_id: int
    email: str | None
    contact_id: int | None
    member_status: str | None
    sync_status: str
    reason: str | None
    updated: str | None


def load_row_facts(store: Store, row_ids: Sequence[int]) -> dict[int, RowFacts]:
    """These rows, by id."""
    rows = store.query(
        "SELECT id, mailchimp_email, civicrm_contact_id, mailchimp_status, sync_status,"
        " sync_reason, mailchimp_updated FROM civicrm_mailchimpsync_cache"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (_json(row_ids),),
    )
    return {row[0]: RowFacts(*row) for row in rows}


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """One update and what became of it; `error` is in Mailchimp's words once it was sent."""

    update_id: int
    row_id: int
    change: MemberChange
    cause: StoredCause
    created_at: datetime
    batch_id: str | None
    is_sent: bool
    sent_at: datetime | None
    is_completed: bool
    completed_at: datetime | None
    error: str | None


def load_updates(store: Store, row_ids: Sequence[int], most: int) -> list[UpdateFacts]:
    """The last updates of these rows, newest first."""
    rows = store.query(
        "SELECT u.id, u.mailchimpsync_cache_id, u.data, u.cause, u.created_at,"
        " b.mailchimp_batch_id, b.id IS NOT NULL, b.submitted_at, u.completed, u.completed_at,"
        " u.error_response FROM civicrm_mailchimpsync_update u"
        " LEFT JOIN civicrm_mailchimpsync_batch b ON b.id = u.mailchimpsync_batch_id"
        " WHERE u.mailchimpsync_cache_id IN (SELECT value FROM json_each(?))"
        " ORDER BY u.id DESC LIMIT ?",
        (_json(row_ids), most),
    )
    return [
        UpdateFacts(
            row[0],
            row[1],
            *decode_update(row[2], row[3]),
            created_at=from_text(row[4]),
            batch_id=row[5],
            is_sent=bool(row[6]),
            sent_at=_time(row[7]),
            is_completed=bool(row[8]),
            completed_at=_time(row[9]),
            error=row[10],
        )
        for row in rows
    ]


def _time(text: str | None) -> datetime | None:
    return from_text(text) if text else None


def _json(values: Sequence[int]) -> str:
    return msgspec.json.encode(list(values)).decode()


# --- the trail ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """Which changes are wanted; what is None or empty does not count. `most`: the newest ones.

    Of a person: those of any of the rows, of any of the contacts, or with any of the addresses.
    """

    list_ids: Sequence[str] = ()
    row_ids: Sequence[int] = ()
    contact_ids: Sequence[int] = ()
    emails: Sequence[str] = ()
    is_of_person: bool = False
    run: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    most: int | None = None


_CHANGES = """
SELECT list_id, side, field, before, after, reason, cache_id, contact_id, email, at, run
FROM civicrm_mailchimpsync_change
WHERE list_id IN (SELECT value FROM json_each(:lists))
    AND (:run IS NULL OR run = :run)
    AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
    AND (NOT :is_of_person
        OR cache_id IN (SELECT value FROM json_each(:rows))
        OR contact_id IN (SELECT value FROM json_each(:contacts))
        OR email_key(email) IN (SELECT value FROM json_each(:emails)))
ORDER BY id {order}
"""


def find_changes(store: Store, asked: Asked) -> Iterator[Change]:
    """The changes asked for, oldest first."""
    store.conn.create_function("email_key", 1, lambda text: text and email_key(text))
    where = {
        "lists": msgspec.json.encode(list(asked.list_ids)).decode(),
        "rows": _json(asked.row_ids),
        "contacts": _json(asked.contact_ids),
        "emails": msgspec.json.encode([email_key(email) for email in asked.emails]).decode(),
        "is_of_person": asked.is_of_person,
        "run": asked.run,
        "since": to_text(asked.since) if asked.since else None,
        "until": to_text(asked.until) if asked.until else None,
        "most": asked.most,
    }
    if asked.most is None:
        rows = store.conn.execute(_CHANGES.format(order="ASC"), where)
        yield from map(read_change, rows)
        return
    newest = store.conn.execute(_CHANGES.format(order="DESC LIMIT :most"), where).fetchall()
    yield from map(read_change, reversed(newest))
