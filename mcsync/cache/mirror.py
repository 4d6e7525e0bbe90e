"""What CiviCRM said: contacts, addresses and places in groups, as far as they concern us.

Rows that changed are marked dirty until `linking` has told every audience. A place keeps both
what is there now (`status`) and what a human last said (`says_in`, `said_at`), for which the
history rows that we wrote ourselves never count.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from mcsync.cache.forgotten import leave_out_contacts, text_of_created
from mcsync.cache.rows import lose_strangers, mark_addresses
from mcsync.cache.store import Store, json_list
from mcsync.cache.times import LONG_AGO_TEXT, to_text
from mcsync.decision import GroupWrite, NameWrite, Policy
from mcsync.model import (
    ContactPage,
    Email,
    GroupContact,
    GroupStatus,
    HistoryRow,
    email_key,
)

LAST_ID = 2**62  # above all ids


class GroupState(msgspec.Struct, rename="camel", omit_defaults=True):
    """How far the mirror of one group reaches: its history, and when all of it was compared.

    `title` is as CiviCRM last told it.
    """

    history_id: int = 0
    compared_at: str = ""
    is_smart: bool = False
    title: str = ""


class MirrorState(msgspec.Struct, rename="camel"):
    """How far the mirror reaches, group by group, and up to when contacts were read."""

    groups: dict[int, GroupState] = {}
    modified_at: str = ""

    @property
    def smart_group_ids(self) -> set[int]:
        """The mirrored groups that CiviCRM computes."""
        return {group_id for group_id, group in self.groups.items() if group.is_smart}

    def has_compared(self, group_ids: Iterable[int]) -> bool:
        """Whether all of these groups were mirrored as a whole before."""
        known = {group_id for group_id, group in self.groups.items() if group.compared_at}
        return set(group_ids) <= known and bool(self.modified_at)


def load_mirror_state(store: Store) -> MirrorState:
    """Where the last fetch of CiviCRM ended."""
    return store.load_state("mirror", MirrorState)


def only_push_smart_groups(store: Store, policy: Policy) -> Policy:
    """The rules with every smart group push-only: nobody can be added to a computed group."""
    smart = load_mirror_state(store).smart_group_ids
    interests = {
        interest_id: replace(interest, is_push_only=True)
        if interest.group_id in smart
        else interest
        for interest_id, interest in policy.interests.items()
    }
    return replace(policy, interests=interests)


def save_mirror_state(store: Store, state: MirrorState) -> None:
    """Remember where a fetch of CiviCRM ended."""
    store.save_state("mirror", state)


# --- contacts and addresses -----------------------------------------------------------------------

GATE_FLAGS = (
    "is_deceased",
    "is_opt_out",
    "do_not_email",
)  # as `reconcile.gate` has them
_CONTACT_COLUMNS = (
    f"contact_id, first_name, last_name, is_deleted, {', '.join(GATE_FLAGS)}, is_person"
)
_EMAIL_COLUMNS = "email_id, contact_id, email, email_key, is_primary, is_bulkmail, on_hold"

_NEW_CONTACT = f"""
CREATE TEMP TABLE IF NOT EXISTS new_contact AS
    SELECT {_CONTACT_COLUMNS}, modified_at, created_at FROM civicrm_mailchimpsync_contact LIMIT 0
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
# The address at which a contact is to be mailed best (reconcile.gate), though it be on hold.
BEST_ADDRESS = """
(SELECT e.email FROM civicrm_mailchimpsync_email e WHERE e.contact_id = {contact}
    ORDER BY e.on_hold, e.is_bulkmail DESC, e.is_primary DESC, e.email_id LIMIT 1)
"""
# The gate (reconcile.gate) as SQL, only to remember since when it has been closed: no later
# than CiviCRM's last change of the contact.
_KEEP_CONTACTS = f"""
INSERT INTO civicrm_mailchimpsync_contact
    ({_CONTACT_COLUMNS}, modified_at, created_at, first_name_at, last_name_at, gate_closed_at,
    is_dirty)
SELECT {_CONTACT_COLUMNS}, modified_at, created_at, modified_at, modified_at,
    CASE WHEN {" OR ".join(GATE_FLAGS)} OR NOT EXISTS (
        SELECT 1 FROM civicrm_mailchimpsync_email e
        WHERE e.contact_id = new_contact.contact_id AND e.email <> '' AND NOT e.on_hold
    ) THEN modified_at END,
    1
FROM new_contact WHERE contact_id IN (SELECT contact_id FROM new_dirty)
ON CONFLICT (contact_id) DO UPDATE SET
    first_name = excluded.first_name, last_name = excluded.last_name,
    {", ".join(f"{flag} = excluded.{flag}" for flag in ("is_deleted", *GATE_FLAGS, "is_person"))},
    modified_at = excluded.modified_at, created_at = excluded.created_at, is_dirty = 1,
    first_name_at = CASE WHEN excluded.first_name = first_name
        THEN first_name_at ELSE excluded.modified_at END,
    last_name_at = CASE WHEN excluded.last_name = last_name
        THEN last_name_at ELSE excluded.modified_at END,
    merged_to = CASE WHEN excluded.is_deleted THEN merged_to END,
    gate_closed_at = CASE
        WHEN excluded.gate_closed_at IS NULL THEN NULL
        WHEN {" OR ".join(f"excluded.{flag} > {flag}" for flag in GATE_FLAGS)}
            THEN excluded.gate_closed_at
        ELSE coalesce(gate_closed_at, excluded.gate_closed_at) END
"""


# A contact id with another date of creation is another person.
_FIND_STRANGERS = """
SELECT n.contact_id FROM new_contact n
JOIN civicrm_mailchimpsync_contact k ON k.contact_id = n.contact_id
WHERE k.created_at <> '' AND n.created_at <> '' AND k.created_at <> n.created_at
"""
_NOTE_SEEN = """
UPDATE civicrm_mailchimpsync_contact SET is_unseen = 0, is_dirty = 1 WHERE is_unseen = 1
  AND contact_id IN (SELECT contact_id FROM new_contact)
"""
_NOTE_CREATED = """
UPDATE civicrm_mailchimpsync_contact SET created_at = n.created_at FROM new_contact n
WHERE n.contact_id = civicrm_mailchimpsync_contact.contact_id
  AND civicrm_mailchimpsync_contact.created_at = '' AND n.created_at <> ''
"""


def save_contacts(
    store: Store, page: ContactPage, now: datetime, *, only_known: bool = False
) -> list[int]:
    """Take in contacts with all their addresses, in one transaction.

    With `only_known`, contacts that are neither in the mirror nor own an address of a cache row
    are left out: a site has more contacts than audiences have members. So are those who were
    forgotten. Returns the ids that mean other people now; what we knew of them is gone. `now` is
    CiviCRM's time.
    """
    with store.atomic():
        page = leave_out_contacts(store, page)
        for sql in (_NEW_CONTACT, _NEW_EMAIL, _NEW_DIRTY):
            store.query(sql)
        for table in ("new_contact", "new_email", "new_dirty"):
            store.query(f"DELETE FROM temp.{table}")
        store.run_many(
            "INSERT INTO new_contact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    contact.contact_id,
                    contact.first_name,
                    contact.last_name,
                    contact.is_deleted,
                    contact.is_deceased,
                    contact.is_opt_out,
                    contact.do_not_email,
                    contact.is_person,
                    to_text(contact.modified_at),
                    text_of_created(contact),
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
        strangers = store.column(_FIND_STRANGERS)
        if strangers:
            _forget_contacts(store, strangers, now)
        store.query(_FIND_DIRTY)
        # An address that leaves a contact concerns whoever has it at Mailchimp.
        mark_addresses(store, "SELECT contact_id FROM new_dirty")
        store.query(_DROP_EMAILS)
        store.query(_KEEP_EMAILS)
        store.query(_KEEP_CONTACTS)
        store.query(_NOTE_SEEN)
        store.query(_NOTE_CREATED)
    return strangers


def _forget_contacts(store: Store, contact_ids: Sequence[int], now: datetime) -> None:
    """These ids mean other people now: what we knew of them, and who was linked to them, goes."""
    lose_strangers(store, contact_ids, to_text(now))
    ids = json_list(contact_ids)
    mark_addresses(store, f"SELECT value FROM json_each('{ids}')")
    _delete_contacts(store, contact_ids)


def _delete_contacts(store: Store, contact_ids: Sequence[int]) -> None:
    ids = json_list(contact_ids)
    for table in ("contact", "email", "group_contact", "contact_data", "entity_tag"):
        store.query(
            f"DELETE FROM civicrm_mailchimpsync_{table}"
            " WHERE contact_id IN (SELECT value FROM json_each(?))",
            (ids,),
        )
    # Nor is the history of the one before that of the other.
    store.query(
        "UPDATE civicrm_mailchimpsync_change SET contact_id = NULL"
        " WHERE contact_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )


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


def mark_purged(store: Store, contact_ids: Iterable[int]) -> None:
    """Treat contacts that CiviCRM no longer has at all like trashed ones."""
    with store.atomic():
        store.run_many(
            "UPDATE civicrm_mailchimpsync_contact SET is_deleted = 1, is_unseen = 0, is_dirty = 1"
            " WHERE contact_id = ? AND is_deleted = 0",
            [(contact_id,) for contact_id in contact_ids],
        )


# Whom nothing leads to any more: nobody was linked to them, and they stand in no group.
_FORGOTTEN_BY_ALL = """
SELECT contact_id FROM civicrm_mailchimpsync_contact
WHERE contact_id IN (SELECT value FROM json_each(:ids))
    AND is_deleted = 1 AND is_dirty = 0 AND modified_at < :before
    AND contact_id NOT IN (SELECT contact_id FROM civicrm_mailchimpsync_group_contact
        WHERE status IS NOT NULL AND contact_id IN (SELECT value FROM json_each(:ids)))
    AND contact_id NOT IN (SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache
        WHERE civicrm_contact_id IN (SELECT value FROM json_each(:ids)))
    AND contact_id NOT IN (SELECT lost_contact_id FROM civicrm_mailchimpsync_cache
        WHERE lost_contact_id IS NOT NULL)
"""


def forget_purged(store: Store, contact_ids: Sequence[int], before: datetime) -> int:
    """Drop contacts that CiviCRM no longer has at all, not in its trash either; how many.

    Only those that were last changed before a time, and that nothing leads to any more.
    """
    if not contact_ids:
        return 0
    where = {"ids": json_list(contact_ids), "before": to_text(before)}
    found = store.column(_FORGOTTEN_BY_ALL, where)
    with store.atomic():
        _delete_contacts(store, found)
    return len(found)


def load_not_deleted(store: Store, contact_ids: Iterable[int]) -> list[int]:
    """Those of these contacts whom the mirror has, and not as deleted."""
    return store.column(
        "SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_deleted = 0"
        " AND contact_id IN (SELECT value FROM json_each(?)) ORDER BY contact_id",
        (json_list(contact_ids),),
    )


def mark_unseen(store: Store, contact_ids: Iterable[int]) -> None:
    """CiviCRM shows these no longer, and they are too many to be believed."""
    with store.atomic():
        store.run_many(
            "UPDATE civicrm_mailchimpsync_contact SET is_unseen = 1"
            " WHERE contact_id = ? AND is_deleted = 0",
            [(contact_id,) for contact_id in contact_ids],
        )


def load_unseen(store: Store) -> list[int]:
    """Contacts that CiviCRM shows no longer, and of which nobody believes it yet."""
    return store.column(
        "SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_unseen = 1"
        " AND is_deleted = 0 ORDER BY contact_id"
    )


def count_unseen(store: Store, group_id: int) -> int:
    """How many of a group's contacts CiviCRM shows no longer."""
    return store.number(
        "SELECT count(*) FROM civicrm_mailchimpsync_contact c"
        " CROSS JOIN civicrm_mailchimpsync_group_contact g"
        "  ON g.contact_id = c.contact_id AND g.group_id = ?"
        " WHERE c.is_unseen = 1 AND c.is_deleted = 0",
        (group_id,),
    )


_SAMPLE = 50  # contacts asked for in each run, to know the site again


def load_sample(store: Store) -> dict[int, str]:
    """Some contacts, from all over the mirror, and when each was created, as text."""
    first, last = (  # two questions: one for both would read the whole table
        store.value(f"SELECT {end}(contact_id) FROM civicrm_mailchimpsync_contact")
        for end in ("min", "max")
    )
    if first is None:
        return {}
    step = max(1, (last - first) // _SAMPLE)
    found = {}
    for start in range(first, last + 1, step):
        contact_id, created_at, is_deleted = store.query(
            "SELECT contact_id, created_at, is_deleted FROM civicrm_mailchimpsync_contact"
            " WHERE contact_id >= ? ORDER BY contact_id LIMIT 1",
            (start,),
        ).fetchone()
        if created_at and not is_deleted:
            found[contact_id] = created_at
    return found


def load_mirrored_contacts(
    store: Store, after: int, *, last: int = LAST_ID, limit: int = -1
) -> list[int]:
    """Ids of contacts that concern us, in id order: in a mapped group, linked, or known before.

    Those above `after` up to `last`, and at most `limit`.
    """
    return store.column(
        "SELECT contact_id FROM (SELECT contact_id FROM civicrm_mailchimpsync_contact"
        "  WHERE contact_id > ?1 AND contact_id <= ?2 ORDER BY contact_id LIMIT ?3)"
        " UNION SELECT contact_id FROM (SELECT DISTINCT contact_id"
        "  FROM civicrm_mailchimpsync_group_contact"
        "  WHERE contact_id > ?1 AND contact_id <= ?2 ORDER BY contact_id LIMIT ?3)"
        " ORDER BY contact_id LIMIT ?3",
        (after, last, limit),
    )


_UNMIRRORED = """
FROM civicrm_mailchimpsync_group_contact g INDEXED BY group_contact_dirty
WHERE is_dirty = 1 AND NOT EXISTS (
    SELECT 1 FROM civicrm_mailchimpsync_contact c WHERE c.contact_id = g.contact_id)
"""


def count_unmirrored_contacts(store: Store) -> int:
    """How many contacts in mapped groups the mirror knows nothing of yet."""
    return store.number(f"SELECT count(DISTINCT contact_id) {_UNMIRRORED}")


def count_mirrored_contacts(store: Store) -> int:
    """How many contacts the mirror knows."""
    return store.number("SELECT count(*) FROM civicrm_mailchimpsync_contact")


def load_unmirrored_contacts(store: Store, size: int) -> Iterator[list[int]]:
    """Ids of contacts in a mapped group that the mirror knows nothing of yet, so many at once."""
    sql = (
        f"SELECT DISTINCT contact_id {_UNMIRRORED}"
        " AND contact_id > :after ORDER BY contact_id LIMIT :limit"
    )
    return store.id_pages(sql, size)


# --- places in groups -----------------------------------------------------------------------------

_APPLY_HISTORY = """
INSERT INTO civicrm_mailchimpsync_group_contact
    (group_id, contact_id, status, history_id, says_in, said_at, said_id, is_dirty)
VALUES (?, ?, nullif(?, 'Deleted'), ?, ?, ?, ?, 1)
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
    """Take in new history, oldest first. Repeating it is harmless."""
    store.run_many(_APPLY_HISTORY, [_history_row(row) for row in rows if row.status in _SAYING])


_SAYING = frozenset(GroupStatus)  # a row with an odd status says nothing


def _history_row(row: HistoryRow) -> tuple[object, ...]:
    says_in = None if row.status == GroupStatus.PENDING else row.status == GroupStatus.ADDED
    is_said = not row.is_ours  # a human's Pending takes back what they said before
    return (
        row.group_id,
        row.contact_id,
        row.status,
        row.history_id,
        says_in if is_said else None,
        to_text(row.at) if is_said and says_in is not None else None,
        row.history_id if is_said else 0,
    )


def begin_compare(store: Store) -> None:
    """Make room for everything that CiviCRM has about some groups."""
    store.query("DROP TABLE IF EXISTS temp.seen_place")
    store.query("DROP TABLE IF EXISTS temp.seen_history")
    store.query(
        "CREATE TEMP TABLE seen_place (group_id INTEGER, contact_id INTEGER, status TEXT,"
        " PRIMARY KEY (group_id, contact_id)) WITHOUT ROWID"
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
    with store.scratch():
        store.run_many(_SEE_HISTORY, [_history_row(row) for row in rows if row.status in _SAYING])


def see_group_contacts(store: Store, rows: Sequence[GroupContact]) -> None:
    """One page of all group contacts."""
    with store.scratch():
        store.run_many(
            "INSERT OR REPLACE INTO seen_place VALUES (?, ?, ?)",
            ((row.group_id, row.contact_id, row.status) for row in rows),
        )


def see_smart_group(store: Store, group_id: int, contact_ids: Sequence[int]) -> None:
    """One page of a smart group as CiviCRM resolved it."""
    with store.scratch():
        store.run_many(
            "INSERT OR REPLACE INTO seen_place VALUES (?, ?, 'Added')",
            ((group_id, contact_id) for contact_id in contact_ids),
        )


# What is there is the truth; the history tells who said it, and when. A word is replaced only by a
# newer one: by a history row that a human caused, or because the place is another than we knew and
# no history row leads there. Where nobody knows since when, a place that we meet says in, or out,
# as of the last trace. One that was never there, and one of which the history does not tell how it
# went before we ever saw it, says nothing. Neither does the place of a contact whom CiviCRM does
# not show itself: it is in the trash, or out of our sight. A test holds this against the same rule
# for one contact, in Python.
#
# `p` is what is there (no row: gone), `h` what the history tells, `m` what was known, `c` the
# contact, if it is not shown itself.
_LEADS_THERE = "(h.history_id IS NOT NULL AND (h.status IS 'Added') = (p.status IS 'Added'))"
_LEADS_ANEW = f"({_LEADS_THERE} AND h.history_id <> m.history_id)"
_IS_TOLD = "(h.history_id IS NOT NULL AND h.status IS 'Deleted')"
_IS_HEARD = "coalesce(h.said_id, 0) > m.said_id"
_LAST_ID = "max(coalesce(h.history_id, 0), coalesce(m.history_id, 0))"
# Which word stands: 'h' the history's, 'm' the one known, 'p' what is there now, '' none.
_WHOSE = f"""
CASE
    WHEN :is_smart OR p.status IS 'Pending' THEN ''
    WHEN p.contact_id IS NULL AND m.contact_id IS NULL THEN iif({_IS_TOLD}, 'h', '')
    WHEN p.contact_id IS NULL AND (m.status IS NULL OR {_IS_TOLD} OR c.contact_id IS NOT NULL
            OR iif({_IS_HEARD}, h.says_in, m.says_in) IS 0)
        THEN iif({_IS_HEARD}, 'h', 'm')
    WHEN p.contact_id IS NULL THEN 'p'
    WHEN m.contact_id IS NOT NULL AND (m.status IS p.status OR {_LEADS_ANEW})
        THEN iif({_IS_HEARD}, 'h', 'm')
    WHEN m.contact_id IS NULL AND {_LEADS_THERE} THEN 'h'
    ELSE 'p'
END
"""
_HERE = "group_id = :group AND contact_id > :after AND contact_id <= :last"
_COMPARED = f"""
SELECT contact_id, status, history_id,
    CASE whose WHEN 'h' THEN h_in WHEN 'm' THEN m_in WHEN 'p' THEN status IS 'Added' END AS says_in,
    CASE whose WHEN 'h' THEN h_at WHEN 'm' THEN m_at
        WHEN 'p' THEN iif(is_met, coalesce(h_at, :long_ago), :now) END AS said_at,
    CASE WHEN :is_smart THEN 0 WHEN whose = 'h' THEN h_id WHEN whose = 'm' THEN m_id
        WHEN status IS 'Pending' THEN max(h_id, m_id) ELSE history_id END AS said_id
FROM (
    SELECT k.contact_id AS contact_id, p.status AS status,
        {_WHOSE} AS whose, iif(:is_smart, 0, {_LAST_ID}) AS history_id,
        m.contact_id IS NULL AS is_met,
        h.says_in AS h_in, h.said_at AS h_at, coalesce(h.said_id, 0) AS h_id,
        m.says_in AS m_in, m.said_at AS m_at, coalesce(m.said_id, 0) AS m_id
    FROM (
        SELECT contact_id FROM seen_place WHERE {_HERE}
        UNION SELECT contact_id FROM seen_history WHERE {_HERE}
        UNION SELECT contact_id FROM civicrm_mailchimpsync_group_contact WHERE {_HERE}
            AND (status IS NOT NULL OR :is_smart)
        EXCEPT SELECT contact_id FROM seen_place WHERE {_HERE} AND status = ''
    ) k
    LEFT JOIN seen_place p ON p.group_id = :group AND p.contact_id = k.contact_id
    LEFT JOIN seen_history h ON h.group_id = :group AND h.contact_id = k.contact_id
    LEFT JOIN civicrm_mailchimpsync_group_contact m
        ON m.group_id = :group AND m.contact_id = k.contact_id
    LEFT JOIN civicrm_mailchimpsync_contact c
        ON c.contact_id = k.contact_id AND (c.is_deleted OR c.is_unseen)
)
"""
_TAKE_COMPARED = f"""
INSERT INTO civicrm_mailchimpsync_group_contact
    (group_id, contact_id, status, history_id, says_in, said_at, said_id, is_dirty)
SELECT :group, contact_id, status, history_id, says_in, said_at, said_id, 1
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


_CHUNK = 5000  # contacts of one group compared in one transaction
_FIND_END = """
SELECT max(contact_id) FROM (
    SELECT contact_id FROM (SELECT contact_id FROM seen_place
        WHERE group_id = :group AND contact_id > :after ORDER BY contact_id LIMIT :chunk)
    UNION SELECT contact_id FROM (SELECT contact_id FROM seen_history
        WHERE group_id = :group AND contact_id > :after ORDER BY contact_id LIMIT :chunk)
    UNION SELECT contact_id FROM (SELECT contact_id FROM civicrm_mailchimpsync_group_contact
        WHERE group_id = :group AND contact_id > :after ORDER BY contact_id LIMIT :chunk)
    ORDER BY contact_id LIMIT :chunk)
"""


def finish_compare(
    store: Store, group_ids: Iterable[int], now: datetime, *, are_smart: bool = False
) -> None:
    """Make the mirror what CiviCRM has about these groups; `now` is CiviCRM's time.

    In chunks, each a transaction: where we die in between, the next compare goes on.
    """
    where: dict[str, object] = {
        "now": to_text(now),
        "long_ago": LONG_AGO_TEXT,
        "is_smart": are_smart,
        "chunk": _CHUNK,
    }
    for group_id in group_ids:
        where |= {"group": group_id, "after": 0}
        while (last := store.value(_FIND_END, where)) is not None:
            with store.atomic():
                store.query(_TAKE_COMPARED, {**where, "last": last})
            where["after"] = last
    with store.scratch():
        store.query("DROP TABLE temp.seen_place")
        store.query("DROP TABLE temp.seen_history")


def count_places(store: Store, group_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """How many contacts stand where, per (group id, status), as the mirror has it."""
    rows = store.query(  # kept by triggers, see `migrations`
        "SELECT group_id, status, n FROM civicrm_mailchimpsync_place_count"
        " WHERE n > 0 AND group_id IN (SELECT value FROM json_each(?))",
        (json_list(group_ids),),
    )
    return {(row[0], row[1]): row[2] for row in rows}


def load_places(store: Store, group_id: int, contact_ids: Sequence[int]) -> dict[int, str]:
    """What these contacts are in a group, as the mirror has it; absent who has no place."""
    rows = store.query(
        "SELECT contact_id, status FROM civicrm_mailchimpsync_group_contact WHERE group_id = ?"
        " AND status IS NOT NULL AND contact_id IN (SELECT value FROM json_each(?))",
        (group_id, json_list(contact_ids)),
    )
    return dict(rows.fetchall())


def note_places(
    store: Store, group_id: int, status: GroupStatus, contact_ids: Iterable[int]
) -> None:
    """Remember what we just wrote ourselves. It says nothing."""
    store.run_many(
        "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status, is_dirty)"
        " VALUES (?, ?, ?, 0)"
        " ON CONFLICT (group_id, contact_id) DO UPDATE SET status = excluded.status",
        ((group_id, contact_id, status.value) for contact_id in contact_ids),
    )


def note_words(store: Store, writes: Iterable[GroupWrite]) -> None:
    """Have every audience hear whose word it was that we carried out.

    For a group that several audiences are about: what is said in one holds in the others.
    """
    store.run_many(
        "UPDATE civicrm_mailchimpsync_group_contact SET says_in = ?1, said_at = ?2, is_dirty = 1"
        " WHERE group_id = ?3 AND contact_id = ?4 AND (said_at IS NULL OR said_at < ?2)",
        (
            (
                write.status is GroupStatus.ADDED,
                to_text(write.caused_at),
                write.group_id,
                write.contact_id,
            )
            for write in writes
        ),
    )


def load_names(store: Store, contact_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """The first and last names of these contacts, as the mirror has them, by their columns."""
    rows = store.query(
        "SELECT contact_id, first_name, last_name FROM civicrm_mailchimpsync_contact"
        " WHERE contact_id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(contact_ids).decode(),),
    )
    return {row[0]: {"first_name": row[1], "last_name": row[2]} for row in rows}


def load_bulk_addresses(store: Store, contact_ids: Sequence[int]) -> dict[int, str]:
    """The addresses of these contacts that are marked for bulk mail, as the mirror has them."""
    rows = store.query(
        "SELECT contact_id, email FROM civicrm_mailchimpsync_email"
        " WHERE is_bulkmail AND contact_id IN (SELECT value FROM json_each(?))",
        (json_list(contact_ids),),
    )
    return dict(rows.fetchall())


def note_names(store: Store, writes: Iterable[NameWrite]) -> None:
    """Remember names that we wrote ourselves, with the time of the human who caused them."""
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
