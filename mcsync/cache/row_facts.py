"""Questions about single rows: whose they are, and what their members are like. Only reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from mcsync.cache.outbox import StoredCause, decode_update
from mcsync.cache.store import Store, json_list
from mcsync.cache.times import from_text, from_text_or_none
from mcsync.model import MemberChange, email_key


def find_addresses(store: Store, list_id: str, contact_ids: Iterable[int]) -> list[str]:
    """Addresses under which contacts may be members: their own, and those of linked rows."""
    return store.column(
        "SELECT email_key FROM civicrm_mailchimpsync_email"
        "  WHERE contact_id IN (SELECT value FROM json_each(?1)) AND email <> ''"
        " UNION SELECT email_key FROM civicrm_mailchimpsync_cache"
        "  WHERE civicrm_contact_id IN (SELECT value FROM json_each(?1))"
        "  AND mailchimp_list_id = ?2 AND email_key IS NOT NULL",
        (json_list(contact_ids), list_id),
    )


def find_rows(
    store: Store, list_id: str, addresses: Sequence[str], contact_ids: Iterable[int] = ()
) -> list[int]:
    """Rows of an audience with one of these addresses, or linked to one of these contacts."""
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?1"
        " AND email_key IN (SELECT value FROM json_each(?2))"
        " UNION SELECT id FROM civicrm_mailchimpsync_cache"
        "  WHERE civicrm_contact_id IN (SELECT value FROM json_each(?3))"
        "  AND mailchimp_list_id = ?1",
        (list_id, json_list(map(email_key, addresses)), json_list(contact_ids)),
    )


class KnownMember(NamedTuple):
    """A member as the cache has seen them; `unique_contact`: Mailchimp's contact id, or ""."""

    row_id: int
    member_id: str
    unique_contact: str
    status: str | None
    updated: str


def load_known_members(
    store: Store, list_id: str, addresses: Iterable[str]
) -> dict[str, KnownMember]:
    """The members with these addresses, by their address in lower case."""
    rows = store.query(
        "SELECT email_key, id, mailchimp_member_id, coalesce(unique_contact, ''),"
        " mailchimp_status, coalesce(mailchimp_updated, '') FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND mailchimp_member_id IS NOT NULL"
        " AND email_key IN (SELECT value FROM json_each(?))",
        (list_id, json_list(map(email_key, addresses))),
    )
    return {row[0]: KnownMember(*row[1:]) for row in rows}


def find_not_failing(store: Store, row_ids: Sequence[int]) -> list[int]:
    """Those of these rows whose last verdict was not that CiviCRM refused them."""
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE id IN (SELECT value FROM json_each(?))"
        " AND sync_reason IS NOT 'refused-by-civicrm'",
        (json_list(row_ids),),
    )


def load_unseen_members(store: Store, row_ids: Sequence[int], fetch_no: int) -> dict[int, str]:
    """By row id, the ids of those members whom this fetch has not shown."""
    rows = store.query(
        "SELECT id, mailchimp_member_id FROM civicrm_mailchimpsync_cache"
        " WHERE id IN (SELECT value FROM json_each(?)) AND seen_fetch < ?"
        " AND mailchimp_member_id IS NOT NULL",
        (json_list(row_ids), fetch_no),
    )
    return dict(rows.fetchall())


def load_data_due(store: Store, row_ids: Sequence[int]) -> set[int]:
    """Those of these rows that are to be judged with data."""
    found = store.column(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE is_data_due = 1"
        " AND id IN (SELECT value FROM json_each(?))",
        (json_list(row_ids),),
    )
    return set(found)


# --- finding people -------------------------------------------------------------------------------


def find_rows_by_email(store: Store, list_id: str, email: str) -> list[int]:
    """Rows with this address, and rows linked to a contact that owns it."""
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?1 AND email_key = ?2"
        " UNION SELECT r.id FROM civicrm_mailchimpsync_email e"
        "  JOIN civicrm_mailchimpsync_cache r"
        "   ON r.civicrm_contact_id = e.contact_id AND r.mailchimp_list_id = ?1"
        "  WHERE e.email_key = ?2 ORDER BY 1",
        (list_id, email_key(email)),
    )


def find_rows_by_contact(store: Store, list_id: str, contact_id: int) -> list[int]:
    """Rows linked to this contact, or that were before it was deleted; else by its addresses."""
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ?1 AND (civicrm_contact_id = ?2 OR lost_contact_id = ?2)"
        " UNION SELECT r.id FROM civicrm_mailchimpsync_email e"
        "  JOIN civicrm_mailchimpsync_cache r"
        "   ON r.email_key = e.email_key AND r.mailchimp_list_id = ?1"
        "  WHERE e.contact_id = ?2 ORDER BY 1",
        (list_id, contact_id),
    )


def find_row(store: Store, list_id: str, row_id: int) -> list[int]:
    """This row, if it is one of the audience's."""
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE id = ? AND mailchimp_list_id = ?",
        (row_id, list_id),
    )


def find_contacts(store: Store, email: str | None, contact_id: int | None) -> list[int]:
    """Contacts that the mirror knows: those that own the address, or this one; no trashed ones."""
    return store.column(
        "SELECT c.contact_id FROM civicrm_mailchimpsync_contact c WHERE c.is_deleted = 0"
        " AND (c.contact_id = ?1 OR c.contact_id IN (SELECT e.contact_id"
        "  FROM civicrm_mailchimpsync_email e WHERE e.email_key = ?2)) ORDER BY 1",
        (contact_id, None if email is None else email_key(email)),
    )


class Match(NamedTuple):
    """Somebody whose name or address has what was looked for: a row, or a contact without one."""

    contact_id: int | None
    row_id: int | None
    list_id: str | None
    mailchimp_status: str | None
    first_name: str
    last_name: str
    email: str

    @property
    def number(self) -> str:
        """How to ask for just this person."""
        return f"row:{self.row_id}" if self.contact_id is None else f"contact:{self.contact_id}"


_LIKE_SIGNS = {ord(sign): f"^{sign}" for sign in "%_^"}  # escaped
_HAS_WORD = """
SELECT contact_id FROM civicrm_mailchimpsync_contact
WHERE is_deleted = 0 AND (first_name || ' ' || last_name) {has}
UNION SELECT contact_id FROM civicrm_mailchimpsync_email WHERE email {has}
"""
_ROW_HAS_WORD = f"""
(civicrm_contact_id IN ({_HAS_WORD}) OR mailchimp_email {{has}}
    OR (civicrm_contact_id IS NULL AND (json_extract(mailchimp_data, '$.first_name') {{has}}
        OR json_extract(mailchimp_data, '$.last_name') {{has}})))
"""
_OURS = "mailchimp_list_id IN (SELECT value FROM json_each(:lists))"
_MATCHES = f"""
SELECT civicrm_contact_id, id FROM civicrm_mailchimpsync_cache WHERE {_OURS} AND {{rows}}
UNION ALL
SELECT c.contact_id, NULL FROM civicrm_mailchimpsync_contact c
WHERE {{contacts}} AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache
    WHERE civicrm_contact_id = c.contact_id AND {_OURS})
ORDER BY 2 DESC NULLS LAST, 1 DESC
"""
_MATCH = """
SELECT c.contact_id, r.id, r.mailchimp_list_id, r.mailchimp_status,
    coalesce(c.first_name, json_extract(r.mailchimp_data, '$.first_name'), ''),
    coalesce(c.last_name, json_extract(r.mailchimp_data, '$.last_name'), ''),
    coalesce(r.mailchimp_email, (SELECT group_concat(e.email, ' ')
        FROM civicrm_mailchimpsync_email e WHERE e.contact_id = c.contact_id), '')
FROM (SELECT 1) LEFT JOIN civicrm_mailchimpsync_cache r ON r.id = ?2
LEFT JOIN civicrm_mailchimpsync_contact c ON c.contact_id = ?1
"""


def find_matches(
    store: Store, list_ids: Sequence[str], text: str, most: int
) -> tuple[list[Match], int]:
    """Whose name and addresses have every word of a text in them: the newest, and how many."""
    where: dict[str, object] = {"lists": json_list(list_ids)}
    wanted = []
    for number, word in enumerate(text.casefold().split()):
        # SQLite's LIKE knows both cases of ASCII letters only; where it does, it is much faster.
        is_simple = word.isascii()
        where[f"w{number}"] = f"%{word.translate(_LIKE_SIGNS)}%" if is_simple else word
        wanted.append(f"LIKE :w{number} ESCAPE '^'" if is_simple else f"REGEXP :w{number}")
    store.conn.create_function("regexp", 2, lambda word, whole: word in (whole or "").casefold())
    rows = " AND ".join(_ROW_HAS_WORD.format(has=has) for has in wanted)
    contacts = " AND ".join(f"c.contact_id IN ({_HAS_WORD.format(has=has)})" for has in wanted)
    found = store.conn.execute(_MATCHES.format(rows=rows, contacts=contacts), where)
    newest = list(islice(found, most))
    count = len(newest) + sum(1 for _ in found)
    return [Match(*store.conn.execute(_MATCH, ids).fetchone()) for ids in newest], count


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
        (json_list(row_ids),),
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
    sent_at: datetime | None
    is_completed: bool
    completed_at: datetime | None
    error: str | None


def load_updates(store: Store, row_ids: Sequence[int], most: int) -> list[UpdateFacts]:
    """The last updates of these rows, newest first."""
    rows = store.query(
        "SELECT u.id, u.mailchimpsync_cache_id, u.data, u.cause, u.created_at,"
        " b.mailchimp_batch_id, b.submitted_at, u.completed, u.completed_at, u.error_response"
        " FROM civicrm_mailchimpsync_update u"
        " LEFT JOIN civicrm_mailchimpsync_batch b ON b.id = u.mailchimpsync_batch_id"
        " WHERE u.mailchimpsync_cache_id IN (SELECT value FROM json_each(?))"
        " ORDER BY u.id DESC LIMIT ?",
        (json_list(row_ids), most),
    )
    return [
        UpdateFacts(
            row[0],
            row[1],
            *decode_update(row[2], row[3]),
            created_at=from_text(row[4]),
            batch_id=row[5],
            sent_at=from_text_or_none(row[6]),
            is_completed=bool(row[7]),
            completed_at=from_text_or_none(row[8]),
            error=row[9],
        )
        for row in rows
    ]


def find_failed(store: Store, list_id: str) -> list[int]:
    """Rows of the audience that are in `fail`."""
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND sync_status = 'fail' ORDER BY id",
        (list_id,),
    )
