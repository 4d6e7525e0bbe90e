"""Persons: the members and contacts that belong together, put together from the cache.

Belonging together: a row links a member to a contact, or a contact with a place in the
audience's group owns a member's address. A chunk of rows is widened to whole persons by
set-based SQL, then split into persons by following these links.

The cache has no statistics, and SQLite takes a condition on the list or the group for a good
place to begin. CROSS JOIN keeps it from that: it begins with the chunk, or each chunk would
cost a look at the whole audience.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from mcsync.cache.store import Store
from mcsync.cache.times import LONG_AGO_TEXT, from_text
from mcsync.model import (
    Contact,
    ContactView,
    Email,
    MemberStatus,
    MemberView,
    Person,
    Place,
    Policy,
    Reason,
    RowView,
    Statement,
)

CHUNK = 1000  # rows judged at once

_STATUSES = {status.value: status for status in MemberStatus}
_decode = msgspec.json.Decoder(dict[str, str | bool | None]).decode


@dataclass(frozen=True, slots=True)
class PeopleChunk:
    """Persons of one chunk, and where the next one begins.

    `waiting` are rows whose person has an update under way: they are judged when it is known
    what became of it.
    """

    people: tuple[Person, ...]
    waiting: tuple[int, ...]
    last_row_id: int


def load_people(store: Store, policy: Policy) -> Iterator[PeopleChunk]:
    """All persons with a row to do, chunk by chunk; rows may change between two chunks."""
    after = 0
    judged: set[int] = set()
    while True:
        row_ids = _load_todo(store, policy.list_id, after)
        if not row_ids:
            return
        after = row_ids[-1]
        chunk = _load_chunk(store, policy, [i for i in row_ids if i not in judged])
        # A person may have rows beyond this chunk: never judge anybody twice in one run.
        judged |= {row.row_id for p in chunk.people for row in p.rows if row.row_id > after}
        yield chunk


def _load_todo(store: Store, list_id: str, after: int) -> list[int]:
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?"
        " AND sync_status = 'todo' AND id > ? ORDER BY id LIMIT ?",
        (list_id, after, CHUNK),
    )
    return [row[0] for row in rows]


def load_persons_of(store: Store, policy: Policy, row_ids: Sequence[int]) -> PeopleChunk:
    """The persons that these rows belong to, whatever their status."""
    return _load_chunk(store, policy, row_ids)


def load_everybody(
    store: Store, policy: Policy, row_ids: Sequence[int], contact_ids: Sequence[int]
) -> list[tuple[Person, bool]]:
    """The persons of these rows, and of contacts without a row, to be looked at.

    With each: whether an update of theirs is under way, so that they cannot be judged yet.
    """
    with store.atomic():  # temporary tables only
        _widen(store, policy, row_ids)
        store.run_many(
            "INSERT OR IGNORE INTO person_contact VALUES (?)",
            [(contact_id,) for contact_id in contact_ids],
        )
    rows, contacts = _load_rows(store, policy), _load_contacts(store, policy)
    rivals = _load_rivals(store) if policy.skips_duplicates else {}
    waiting = _load_waiting(store)
    found = []
    alone = dict(contacts)
    for person_rows, person_contacts in _split(store, policy, rows, contacts):
        rivalry = rivals.get(person_rows[0].row_id, ()) if not person_contacts else ()
        person = Person(tuple(person_rows), tuple(person_contacts), rivalry)
        found.append((person, any(row.row_id in waiting for row in person_rows)))
        for contact in person_contacts:
            del alone[contact.contact_id]
    return found + [(Person((), (contact,)), False) for contact in alone.values()]


_WIDEN_CONTACTS = """
INSERT OR IGNORE INTO person_contact
SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache
WHERE id IN (SELECT row_id FROM person_row) AND civicrm_contact_id IS NOT NULL
UNION
SELECT e.contact_id
FROM person_row p
CROSS JOIN civicrm_mailchimpsync_cache r
    ON r.id = p.row_id AND r.mailchimp_member_id IS NOT NULL
CROSS JOIN civicrm_mailchimpsync_email e ON e.email_key = r.email_key
CROSS JOIN civicrm_mailchimpsync_group_contact g
    ON g.contact_id = e.contact_id AND g.group_id = :group
CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 0
"""
_WIDEN_ROWS = """
INSERT OR IGNORE INTO person_row
SELECT r.id FROM person_contact p
CROSS JOIN civicrm_mailchimpsync_cache r
    ON r.civicrm_contact_id = p.contact_id AND r.mailchimp_list_id = :list
UNION
SELECT r.id FROM person_contact p
CROSS JOIN civicrm_mailchimpsync_group_contact g
    ON g.contact_id = p.contact_id AND g.group_id = :group
CROSS JOIN civicrm_mailchimpsync_email e ON e.contact_id = p.contact_id
CROSS JOIN civicrm_mailchimpsync_cache r
    ON r.email_key = e.email_key AND r.mailchimp_list_id = :list
    AND r.mailchimp_member_id IS NOT NULL
"""


def _widen(store: Store, policy: Policy, row_ids: Sequence[int]) -> None:
    store.query("CREATE TEMP TABLE IF NOT EXISTS person_row (row_id INTEGER PRIMARY KEY)")
    store.query("CREATE TEMP TABLE IF NOT EXISTS person_contact (contact_id INTEGER PRIMARY KEY)")
    store.query("DELETE FROM person_row")
    store.query("DELETE FROM person_contact")
    store.run_many("INSERT INTO person_row VALUES (?)", ((row_id,) for row_id in row_ids))
    where = {"list": policy.list_id, "group": policy.group_id}
    while True:
        contacts = store.conn.execute(_WIDEN_CONTACTS, where).rowcount
        if contacts <= 0:
            return
        if store.conn.execute(_WIDEN_ROWS, where).rowcount <= 0:
            return


def _load_chunk(store: Store, policy: Policy, row_ids: Sequence[int]) -> PeopleChunk:
    with store.atomic():  # temporary tables only
        _widen(store, policy, row_ids)
    rows = _load_rows(store, policy)
    contacts = _load_contacts(store, policy)
    rivals = _load_rivals(store) if policy.skips_duplicates else {}
    waiting = _load_waiting(store)
    people, postponed = [], []
    for person_rows, person_contacts in _split(store, policy, rows, contacts):
        if any(row.row_id in waiting for row in person_rows):
            postponed += [row.row_id for row in person_rows]
            continue
        rivalry = rivals.get(person_rows[0].row_id, ()) if not person_contacts else ()
        people.append(Person(tuple(person_rows), tuple(person_contacts), rivalry))
    return PeopleChunk(tuple(people), tuple(postponed), max(row_ids, default=0))


def _load_waiting(store: Store) -> set[int]:
    rows = store.query(
        "SELECT DISTINCT mailchimpsync_cache_id FROM civicrm_mailchimpsync_update"
        " WHERE completed = 0 AND mailchimpsync_batch_id IS NOT NULL"
        " AND mailchimpsync_cache_id IN (SELECT row_id FROM person_row)"
    )
    return {row[0] for row in rows}


def _load_rivals(store: Store) -> dict[int, tuple[int, ...]]:
    rows = store.query(
        "SELECT DISTINCT r.id, e.contact_id FROM person_row p"
        " JOIN civicrm_mailchimpsync_cache r ON r.id = p.row_id"
        "  AND r.civicrm_contact_id IS NULL AND r.mailchimp_member_id IS NOT NULL"
        " JOIN civicrm_mailchimpsync_email e ON e.email_key = r.email_key"
        " JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id"
        "  AND c.is_deleted = 0 ORDER BY 1, 2"
    )
    found: dict[int, tuple[int, ...]] = defaultdict(tuple)
    for row_id, contact_id in rows:
        found[row_id] += (contact_id,)
    return found


# --- views ----------------------------------------------------------------------------------------


def _time(text: str | None) -> datetime | None:
    return from_text(text) if text else None


def _load_rows(store: Store, policy: Policy) -> dict[int, RowView]:
    rows = store.query(
        "SELECT id, civicrm_contact_id, mailchimp_member_id, mailchimp_email, mailchimp_status,"
        " mailchimp_data, refused_at, refusal, reconfirmed_at, lost_contact_id, is_shared,"
        " moved_from, owned_by"
        " FROM civicrm_mailchimpsync_cache WHERE id IN (SELECT row_id FROM person_row)"
    )
    asking = _load_asking(store)
    views = {}
    for row in rows:
        member = _read_member(row, policy) if row[5] else None
        views[row[0]] = RowView(
            row_id=row[0],
            contact_id=row[1],
            member=member,
            refused_at=_time(row[6]),
            refusal=Reason(row[7]) if row[7] else None,
            reconfirmed_at=_time(row[8]),
            lost_contact=row[9] is not None,
            is_shared=bool(row[10]),
            moved_from=row[11],
            owned_by=row[12],
            email=row[3],
            is_asking=row[0] in asking,
        )
    return views


def _load_asking(store: Store) -> set[int]:
    """Rows for which a request to confirm waits to be sent."""
    rows = store.query(
        "SELECT mailchimpsync_cache_id FROM civicrm_mailchimpsync_update"
        " WHERE completed = 0 AND mailchimpsync_batch_id IS NULL"
        " AND json_extract(data, '$.status') = 'pending'"
        " AND mailchimpsync_cache_id IN (SELECT row_id FROM person_row)"
    )
    return {row[0] for row in rows}


def _read_member(row: Sequence[object], policy: Policy) -> MemberView:
    data = _decode(str(row[5]))
    status = _STATUSES.get(str(row[4]))
    is_in = bool(data.get("gated")) or (status is not None and status.is_in)
    interests = {}
    for interest_id in policy.interests:
        at = data.get(f"interest-{interest_id}@")
        if at:
            value = bool(data.get(f"interest-{interest_id}"))
            interests[interest_id] = Statement(value, from_text(str(at)))
    return MemberView(
        row_id=int(str(row[0])),
        email=str(row[3]),
        member_id=str(row[2]) if row[2] else None,
        status=status,
        subscription=Statement(is_in, from_text(str(data["status@"]))),
        interests=interests,
        first_name=str(data.get("first_name") or ""),
        last_name=str(data.get("last_name") or ""),
        first_name_at=from_text(str(data.get("first_name@") or LONG_AGO_TEXT)),
        last_name_at=from_text(str(data.get("last_name@") or LONG_AGO_TEXT)),
    )


def _load_contacts(store: Store, policy: Policy) -> dict[int, ContactView]:
    emails: dict[int, list[Email]] = defaultdict(list)
    for row in store.query(
        "SELECT email_id, contact_id, email, is_primary, is_bulkmail, on_hold"
        " FROM civicrm_mailchimpsync_email"
        " WHERE contact_id IN (SELECT contact_id FROM person_contact) ORDER BY email_id"
    ):
        flags = [bool(flag) for flag in row[3:]]
        emails[row[1]].append(Email(row[0], row[1], row[2], flags[0], flags[1], flags[2]))
    places: dict[int, dict[int, Place]] = defaultdict(dict)
    groups = [policy.group_id, *(i.group_id for i in policy.interests.values())]
    for group_id, contact_id, status, says_in, said_at in store.query(
        "SELECT group_id, contact_id, status, says_in, said_at"
        " FROM civicrm_mailchimpsync_group_contact"
        " WHERE contact_id IN (SELECT contact_id FROM person_contact)"
        " AND group_id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(groups).decode(),),
    ):
        said = None if says_in is None else Statement(bool(says_in), from_text(said_at))
        places[contact_id][group_id] = Place(status == "Added", said)
    views = {}
    for row in store.query(
        "SELECT contact_id, first_name, last_name, is_deleted, is_deceased, is_opt_out,"
        " do_not_email, modified_at, gate_closed_at, first_name_at, last_name_at"
        " FROM civicrm_mailchimpsync_contact"
        " WHERE contact_id IN (SELECT contact_id FROM person_contact) AND is_deleted = 0"
    ):
        flags = [bool(flag) for flag in row[3:7]]
        contact = Contact(
            contact_id=row[0],
            first_name=row[1],
            last_name=row[2],
            is_deceased=flags[1],
            is_opt_out=flags[2],
            do_not_email=flags[3],
            modified_at=from_text(row[7]),
        )
        views[row[0]] = ContactView(
            contact=contact,
            emails=tuple(emails[row[0]]),
            places=places[row[0]],
            gate_closed_at=_time(row[8]),
            first_name_at=from_text(row[9]),
            last_name_at=from_text(row[10]),
        )
    return views


# --- splitting ------------------------------------------------------------------------------------


class _Sets:
    """Disjoint sets of nodes. Contacts are negative nodes, rows positive: their ids overlap."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, node: int) -> int:
        """The node that stands for the set of this one."""
        path = []
        while (parent := self._parent.setdefault(node, node)) != node:
            path.append(node)
            node = parent
        for passed in path:
            self._parent[passed] = node
        return node

    def join(self, one: int, other: int) -> None:
        """Put two sets together."""
        self._parent[self.find(one)] = self.find(other)


def _split(
    store: Store, policy: Policy, rows: Mapping[int, RowView], contacts: Mapping[int, ContactView]
) -> Iterator[tuple[list[RowView], list[ContactView]]]:
    """Group rows and contacts into persons: connected by a link or by an owned address."""
    links = [(row.row_id, row.contact_id) for row in rows.values()]
    links += _load_shared(store, policy)
    sets = _Sets()
    for row_id, contact_id in links:
        if row_id in rows and contact_id is not None and contact_id in contacts:
            sets.join(row_id, -contact_id)
    grouped: dict[int, tuple[list[RowView], list[ContactView]]] = defaultdict(lambda: ([], []))
    for row_id in sorted(rows):
        grouped[sets.find(row_id)][0].append(rows[row_id])
    for contact_id in sorted(contacts):
        root = sets.find(-contact_id)
        if root in grouped:
            grouped[root][1].append(contacts[contact_id])
    yield from grouped.values()


def _load_shared(store: Store, policy: Policy) -> list[tuple[int, int | None]]:
    """(row id, contact id) where a contact with a place in the group owns a member's address."""
    return store.query(
        "SELECT p.row_id, e.contact_id FROM person_row p"
        " CROSS JOIN civicrm_mailchimpsync_cache r ON r.id = p.row_id"
        "  AND r.mailchimp_member_id IS NOT NULL"
        " CROSS JOIN civicrm_mailchimpsync_email e ON e.email_key = r.email_key"
        " CROSS JOIN civicrm_mailchimpsync_group_contact g ON g.contact_id = e.contact_id"
        "  AND g.group_id = ?"
        " WHERE r.civicrm_contact_id IS NOT e.contact_id",
        (policy.group_id,),
    ).fetchall()
