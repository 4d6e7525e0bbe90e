"""What CiviCRM said: contacts, addresses and places in groups, as far as they concern us.

Rows that changed are marked dirty until `linking` has told every audience. A place keeps both
what is there now (`status`) and what a human last said (`says_in`, `said_at`), for which the
history rows that we wrote ourselves never count.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from mcsync.cache.store import Store
from mcsync.cache.times import LONG_AGO_TEXT, to_text
from mcsync.model import (
    ContactPage,
    Email,
    GroupContact,
    GroupStatus,
    HistoryRow,
    NameWrite,
    TrustedWord,
    email_key,
)


class MirrorState(msgspec.Struct, rename="camel"):
    """How far the mirror reaches: which groups are in it, and up to where it was read."""

    group_ids: list[int] = []
    smart_group_ids: list[int] = []
    history_id: int = 0
    modified_at: str = ""
    compared_at: str = ""


def load_mirror_state(store: Store) -> MirrorState:
    """Where the last fetch of CiviCRM ended."""
    text = store.get_state("mirror")
    return msgspec.json.decode(text, type=MirrorState) if text else MirrorState()


def save_mirror_state(store: Store, state: MirrorState) -> None:
    """Remember where a fetch of CiviCRM ended; call inside a transaction."""
    store.set_state("mirror", msgspec.json.encode(state).decode())


# --- contacts and addresses -----------------------------------------------------------------------

_CONTACT_COLUMNS = (
    "contact_id, first_name, last_name, is_deleted, is_deceased, is_opt_out, do_not_email"
)
_EMAIL_COLUMNS = "email_id, contact_id, email, email_key, is_primary, is_bulkmail, on_hold"

_NEW_CONTACT = f"""
CREATE TEMP TABLE IF NOT EXISTS new_contact AS
    SELECT {_CONTACT_COLUMNS}, modified_at FROM civicrm_mailchimpsync_contact LIMIT 0
"""
_NEW_EMAIL = f"""
CREATE TEMP TABLE IF NOT EXISTS new_email AS
    SELECT {_EMAIL_COLUMNS} FROM civicrm_mailchimpsync_email LIMIT 0
"""
_NEW_DIRTY = "CREATE TEMP TABLE IF NOT EXISTS new_dirty (contact_id INTEGER PRIMARY KEY)"

_FIND_DIRTY = f"""
INSERT INTO new_dirty
SELECT contact_id FROM (
    SELECT {_CONTACT_COLUMNS} FROM new_contact
    EXCEPT
    SELECT {_CONTACT_COLUMNS} FROM civicrm_mailchimpsync_contact
        WHERE contact_id IN (SELECT contact_id FROM new_contact)
)
UNION
SELECT contact_id FROM (
    SELECT {_EMAIL_COLUMNS} FROM new_email
    EXCEPT
    SELECT {_EMAIL_COLUMNS} FROM civicrm_mailchimpsync_email
        WHERE contact_id IN (SELECT contact_id FROM new_contact)
)
UNION
SELECT contact_id FROM (
    SELECT {_EMAIL_COLUMNS} FROM civicrm_mailchimpsync_email
        WHERE contact_id IN (SELECT contact_id FROM new_contact)
    EXCEPT
    SELECT {_EMAIL_COLUMNS} FROM new_email
)
"""
# An address that leaves a contact concerns whoever has it at Mailchimp.
_WAKE_LOST_ADDRESSES = """
UPDATE civicrm_mailchimpsync_cache SET sync_status = 'todo' WHERE email_key IN (
    SELECT email_key FROM civicrm_mailchimpsync_email
    WHERE contact_id IN (SELECT contact_id FROM new_dirty)
)
"""
_DROP_EMAILS = """
DELETE FROM civicrm_mailchimpsync_email
WHERE contact_id IN (SELECT contact_id FROM new_dirty)
   OR email_id IN (SELECT email_id FROM new_email
                   WHERE contact_id IN (SELECT contact_id FROM new_dirty))
"""
_KEEP_EMAILS = f"""
INSERT INTO civicrm_mailchimpsync_email ({_EMAIL_COLUMNS})
SELECT {_EMAIL_COLUMNS} FROM new_email WHERE contact_id IN (SELECT contact_id FROM new_dirty)
"""
# The gate (reconcile.gate) as SQL, only to remember since when it has been closed: no later
# than CiviCRM's last change of the contact.
_KEEP_CONTACTS = f"""
INSERT INTO civicrm_mailchimpsync_contact
    ({_CONTACT_COLUMNS}, modified_at, first_name_at, last_name_at, gate_closed_at, is_dirty)
SELECT {_CONTACT_COLUMNS}, modified_at, modified_at, modified_at,
    CASE WHEN is_deceased OR is_opt_out OR do_not_email OR NOT EXISTS (
        SELECT 1 FROM civicrm_mailchimpsync_email e
        WHERE e.contact_id = new_contact.contact_id AND e.email <> '' AND NOT e.on_hold
    ) THEN modified_at END,
    1
FROM new_contact WHERE contact_id IN (SELECT contact_id FROM new_dirty)
ON CONFLICT (contact_id) DO UPDATE SET
    first_name = excluded.first_name, last_name = excluded.last_name,
    is_deleted = excluded.is_deleted, is_deceased = excluded.is_deceased,
    is_opt_out = excluded.is_opt_out, do_not_email = excluded.do_not_email,
    modified_at = excluded.modified_at, is_dirty = 1,
    first_name_at = CASE WHEN excluded.first_name = first_name
        THEN first_name_at ELSE excluded.modified_at END,
    last_name_at = CASE WHEN excluded.last_name = last_name
        THEN last_name_at ELSE excluded.modified_at END,
    merged_to = CASE WHEN excluded.is_deleted THEN merged_to END,
    gate_closed_at = CASE
        WHEN excluded.gate_closed_at IS NULL THEN NULL
        WHEN excluded.is_deceased > is_deceased OR excluded.is_opt_out > is_opt_out
            OR excluded.do_not_email > do_not_email THEN excluded.gate_closed_at
        ELSE coalesce(gate_closed_at, excluded.gate_closed_at) END
"""


def save_contacts(store: Store, page: ContactPage, *, only_known: bool = False) -> int:
    """Take in contacts with all their addresses, in one transaction; how many had changed.

    With `only_known`, contacts that are neither in the mirror nor own an address of a cache row
    are left out: a site has more contacts than audiences have members.
    """
    with store.atomic():
        for sql in (_NEW_CONTACT, _NEW_EMAIL, _NEW_DIRTY):
            store.query(sql)
        for table in ("new_contact", "new_email", "new_dirty"):
            store.query(f"DELETE FROM temp.{table}")
        store.run_many(
            "INSERT INTO new_contact VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    contact.contact_id,
                    contact.first_name,
                    contact.last_name,
                    contact.is_deleted,
                    contact.is_deceased,
                    contact.is_opt_out,
                    contact.do_not_email,
                    to_text(contact.modified_at),
                )
                for contact in page.contacts
            ),
        )
        store.run_many(
            "INSERT INTO new_email VALUES (?, ?, ?, ?, ?, ?, ?)", map(_email_row, page.emails)
        )
        if only_known:
            store.query(_FORGET_STRANGERS)
            store.query(
                "DELETE FROM new_email WHERE contact_id NOT IN (SELECT contact_id FROM new_contact)"
            )
        store.query(_FIND_DIRTY)
        store.query(_WAKE_LOST_ADDRESSES)
        store.query(_DROP_EMAILS)
        store.query(_KEEP_EMAILS)
        store.query(_KEEP_CONTACTS)
        row = store.query("SELECT count(*) FROM new_dirty").fetchone()
    return int(row[0])


_FORGET_STRANGERS = """
DELETE FROM new_contact
WHERE NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_contact k
    WHERE k.contact_id = new_contact.contact_id)
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_group_contact g
    WHERE g.contact_id = new_contact.contact_id)
  AND contact_id NOT IN (
    SELECT n.contact_id FROM new_email n
    CROSS JOIN civicrm_mailchimpsync_cache c ON c.email_key = n.email_key)
"""


def _email_row(email: Email) -> tuple[object, ...]:
    return (
        email.email_id,
        email.contact_id,
        email.email,
        email_key(email.email),
        email.is_primary,
        email.is_bulkmail,
        email.on_hold,
    )


def mark_purged(store: Store, asked: Sequence[int], found: Iterable[int]) -> None:
    """Treat contacts that CiviCRM no longer has at all like trashed ones."""
    gone = set(asked) - set(found)
    with store.atomic():
        store.run_many(
            "UPDATE civicrm_mailchimpsync_contact SET is_deleted = 1, is_dirty = 1"
            " WHERE contact_id = ? AND is_deleted = 0",
            [(contact_id,) for contact_id in gone],
        )


def load_mirrored_contacts(store: Store, after: int, limit: int) -> list[int]:
    """Ids of contacts that concern us, in id order: in a mapped group, linked, or known before."""
    rows = store.query(
        "SELECT contact_id FROM (SELECT contact_id FROM civicrm_mailchimpsync_contact"
        "  WHERE contact_id > ?1 ORDER BY contact_id LIMIT ?2)"
        " UNION SELECT contact_id FROM (SELECT DISTINCT contact_id"
        "  FROM civicrm_mailchimpsync_group_contact"
        "  WHERE contact_id > ?1 ORDER BY contact_id LIMIT ?2)"
        " ORDER BY contact_id LIMIT ?2",
        (after, limit),
    )
    return [row[0] for row in rows]


def load_unmirrored_contacts(store: Store, after: int, limit: int) -> list[int]:
    """Ids of contacts in a mapped group that the mirror knows nothing of yet."""
    rows = store.query(
        "SELECT DISTINCT contact_id"
        " FROM civicrm_mailchimpsync_group_contact g INDEXED BY group_contact_dirty"
        " WHERE is_dirty = 1 AND contact_id > ? AND NOT EXISTS ("
        "  SELECT 1 FROM civicrm_mailchimpsync_contact c WHERE c.contact_id = g.contact_id)"
        " ORDER BY contact_id LIMIT ?",
        (after, limit),
    )
    return [row[0] for row in rows]


# --- places in groups -----------------------------------------------------------------------------

_APPLY_HISTORY = """
INSERT INTO civicrm_mailchimpsync_group_contact
    (group_id, contact_id, status, history_id, says_in, said_at, said_id, is_dirty)
VALUES (?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (group_id, contact_id) DO UPDATE SET
    is_dirty = CASE WHEN excluded.said_id > said_id
            OR (excluded.history_id > history_id AND excluded.status IS NOT status)
        THEN 1 ELSE is_dirty END,
    status = CASE WHEN excluded.history_id > history_id THEN excluded.status ELSE status END,
    says_in = CASE WHEN excluded.said_id > said_id THEN excluded.says_in ELSE says_in END,
    said_at = CASE WHEN excluded.said_id > said_id THEN excluded.said_at ELSE said_at END,
    said_id = max(said_id, excluded.said_id),
    history_id = max(history_id, excluded.history_id)
WHERE excluded.history_id > history_id OR excluded.said_id > said_id
"""


def apply_history(store: Store, rows: Sequence[HistoryRow]) -> None:
    """Take in new history, oldest first; call inside a transaction. Repeating it is harmless."""
    store.run_many(_APPLY_HISTORY, map(_history_row, rows))


def _history_row(row: HistoryRow) -> tuple[object, ...]:
    is_there = row.status != GroupStatus.DELETED
    says_in = None if row.status == GroupStatus.PENDING else row.status == GroupStatus.ADDED
    is_said = not row.is_ours  # a human's Pending takes back what they said before
    return (
        row.group_id,
        row.contact_id,
        row.status if is_there else None,
        row.history_id,
        says_in if is_said else None,
        to_text(row.at) if is_said and says_in is not None else None,
        row.history_id if is_said else 0,
    )


def begin_compare(store: Store) -> None:
    """Make room for everything that CiviCRM has about the mapped groups."""
    store.query("DROP TABLE IF EXISTS temp.seen_place")
    store.query("DROP TABLE IF EXISTS temp.seen_history")
    store.query(
        "CREATE TEMP TABLE seen_place (group_id INTEGER, contact_id INTEGER, status TEXT,"
        " is_smart INTEGER, PRIMARY KEY (group_id, contact_id)) WITHOUT ROWID"
    )
    store.query(
        "CREATE TEMP TABLE seen_history (group_id INTEGER, contact_id INTEGER, history_id INTEGER,"
        " status TEXT, said_id INTEGER, says_in INTEGER, said_at TEXT,"
        " PRIMARY KEY (group_id, contact_id)) WITHOUT ROWID"
    )


_SEE_HISTORY = """
INSERT INTO seen_history (group_id, contact_id, status, history_id, says_in, said_at, said_id)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (group_id, contact_id) DO UPDATE SET
    says_in = CASE WHEN excluded.said_id > 0 THEN excluded.says_in ELSE says_in END,
    said_at = CASE WHEN excluded.said_id > 0 THEN excluded.said_at ELSE said_at END,
    said_id = max(said_id, excluded.said_id),
    status = excluded.status,
    history_id = excluded.history_id
"""


def see_history(store: Store, rows: Sequence[HistoryRow]) -> None:
    """One page of the whole history, oldest first."""
    with store.atomic():
        store.run_many(_SEE_HISTORY, map(_history_row, rows))


def see_group_contacts(store: Store, rows: Sequence[GroupContact]) -> None:
    """One page of all group contacts."""
    with store.atomic():
        store.run_many(
            "INSERT OR REPLACE INTO seen_place VALUES (?, ?, ?, 0)",
            ((row.group_id, row.contact_id, row.status) for row in rows),
        )


def see_smart_group(store: Store, group_id: int, contact_ids: Sequence[int]) -> None:
    """One page of a smart group as CiviCRM resolved it."""
    with store.atomic():
        store.run_many(
            "INSERT OR REPLACE INTO seen_place VALUES (?, ?, 'Added', 1)",
            ((group_id, contact_id) for contact_id in contact_ids),
        )


# What is there is the truth; the history tells who said it, and when. Where the last history
# row does not lead to what is there (direct SQL, a merge, a lost history row), somebody changed
# it without leaving a trace: just now if we knew it differently, else with the last trace. What
# we know already, and what is as we wrote it ourselves, tells nothing new.
_LEADS_THERE = "h.history_id IS NOT NULL AND (h.status IS 'Added') = (p.status = 'Added')"
_IS_KNOWN = "m.status = p.status AND (h.history_id IS NULL OR m.history_id = h.history_id)"
_COMPARED = f"""
SELECT p.group_id AS group_id, p.contact_id AS contact_id, p.status AS status,
    coalesce(h.history_id, 0) AS history_id,
    CASE
        WHEN p.is_smart OR p.status = 'Pending' THEN NULL
        WHEN {_IS_KNOWN} THEN m.says_in
        WHEN {_LEADS_THERE} THEN h.says_in
        ELSE p.status = 'Added'
    END AS says_in,
    CASE
        WHEN p.is_smart OR p.status = 'Pending' THEN NULL
        WHEN {_IS_KNOWN} THEN m.said_at
        WHEN {_LEADS_THERE} THEN h.said_at
        WHEN m.status = p.status AND m.says_in = (p.status = 'Added') THEN m.said_at
        WHEN m.contact_id IS NOT NULL AND m.status IS NOT p.status THEN :now
        ELSE coalesce(h.said_at, :long_ago)
    END AS said_at,
    CASE WHEN {_LEADS_THERE} THEN max(h.said_id, coalesce(m.said_id, 0))
        ELSE coalesce(h.history_id, 0) END AS said_id
FROM seen_place p
LEFT JOIN seen_history h ON h.group_id = p.group_id AND h.contact_id = p.contact_id
LEFT JOIN civicrm_mailchimpsync_group_contact m
    ON m.group_id = p.group_id AND m.contact_id = p.contact_id
UNION ALL
SELECT h.group_id, h.contact_id, NULL, h.history_id, h.says_in, h.said_at, h.said_id
FROM seen_history h
LEFT JOIN seen_place p ON p.group_id = h.group_id AND p.contact_id = h.contact_id
WHERE p.contact_id IS NULL
"""
_TAKE_COMPARED = f"""
INSERT INTO civicrm_mailchimpsync_group_contact
    (group_id, contact_id, status, history_id, says_in, said_at, said_id, is_dirty)
SELECT group_id, contact_id, status, history_id, says_in, said_at, said_id, 1
FROM ({_COMPARED}) WHERE true
ON CONFLICT (group_id, contact_id) DO UPDATE SET
    status = excluded.status, history_id = excluded.history_id, says_in = excluded.says_in,
    said_at = excluded.said_at, said_id = excluded.said_id,
    is_dirty = is_dirty OR excluded.status IS NOT status OR excluded.says_in IS NOT says_in
        OR excluded.said_at IS NOT said_at
WHERE excluded.status IS NOT status OR excluded.says_in IS NOT says_in
    OR excluded.said_at IS NOT said_at OR excluded.history_id <> history_id
    OR excluded.said_id <> said_id
"""
_LEAVE_UNSEEN = """
UPDATE civicrm_mailchimpsync_group_contact SET status = NULL, is_dirty = 1,
    says_in = CASE WHEN says_in = 1 THEN 0 ELSE says_in END,
    said_at = CASE WHEN says_in = 1 THEN :now ELSE said_at END
WHERE status IS NOT NULL AND group_id IN (SELECT value FROM json_each(:groups))
  AND NOT EXISTS (SELECT 1 FROM seen_place p WHERE p.group_id =
      civicrm_mailchimpsync_group_contact.group_id AND p.contact_id =
      civicrm_mailchimpsync_group_contact.contact_id)
  AND NOT EXISTS (SELECT 1 FROM seen_history h WHERE h.group_id =
      civicrm_mailchimpsync_group_contact.group_id AND h.contact_id =
      civicrm_mailchimpsync_group_contact.contact_id)
"""


def finish_compare(store: Store, group_ids: Sequence[int], now: datetime) -> None:
    """Make the mirror what CiviCRM has about these groups; call inside a transaction."""
    parameters = {
        "now": to_text(now),
        "long_ago": LONG_AGO_TEXT,
        "groups": msgspec.json.encode(list(group_ids)).decode(),
    }
    store.conn.execute(_TAKE_COMPARED, parameters)
    store.conn.execute(_LEAVE_UNSEEN, parameters)
    store.query("DROP TABLE temp.seen_place")
    store.query("DROP TABLE temp.seen_history")


def count_places(store: Store, group_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """How many contacts stand where, per (group id, status), as the mirror has it."""
    rows = store.query(  # kept by triggers (migration m005)
        "SELECT group_id, status, n FROM civicrm_mailchimpsync_place_count"
        " WHERE n > 0 AND group_id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(list(group_ids)).decode(),),
    )
    return {(row[0], row[1]): row[2] for row in rows}


def load_places(store: Store, group_id: int, contact_ids: Sequence[int]) -> dict[int, str]:
    """What these contacts are in a group, as the mirror has it; absent who has no place."""
    rows = store.query(
        "SELECT contact_id, status FROM civicrm_mailchimpsync_group_contact WHERE group_id = ?"
        " AND status IS NOT NULL AND contact_id IN (SELECT value FROM json_each(?))",
        (group_id, msgspec.json.encode(contact_ids).decode()),
    )
    return dict(rows.fetchall())


def note_places(
    store: Store, group_id: int, status: GroupStatus, contact_ids: Iterable[int]
) -> None:
    """Remember what we just wrote ourselves; call inside a transaction. It says nothing."""
    store.run_many(
        "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status, is_dirty)"
        " VALUES (?, ?, ?, 0)"
        " ON CONFLICT (group_id, contact_id) DO UPDATE SET status = excluded.status",
        ((group_id, contact_id, status.value) for contact_id in contact_ids),
    )


def note_names(store: Store, writes: Iterable[NameWrite]) -> None:
    """Remember names that we wrote ourselves, with the time of the human who caused them.

    Call inside a transaction.
    """
    store.run_many(
        "UPDATE civicrm_mailchimpsync_contact SET first_name = coalesce(?1, first_name),"
        " first_name_at = CASE WHEN ?1 IS NULL THEN first_name_at ELSE ?2 END,"
        " last_name = coalesce(?3, last_name),"
        " last_name_at = CASE WHEN ?3 IS NULL THEN last_name_at ELSE ?4 END"
        " WHERE contact_id = ?5",
        [
            (
                write.first_name,
                to_text(write.first_name_at),
                write.last_name,
                to_text(write.last_name_at),
                write.contact_id,
            )
            for write in writes
        ],
    )


def note_words(store: Store, words: Iterable[TrustedWord]) -> None:
    """Let a word that was trusted stand in place of what CiviCRM said; inside a transaction.

    History that is read again does not bring back what was overruled.
    """
    store.run_many(
        "UPDATE civicrm_mailchimpsync_group_contact SET says_in = ?, said_at = ?,"
        " said_id = max(said_id, history_id) WHERE contact_id = ? AND group_id = ?",
        [
            (word.statement.value, to_text(word.statement.at), word.contact_id, word.group_id)
            for word in words
        ],
    )
