"""Persons: the units of decision, put together from the cache.

A chunk of rows is widened by set-based SQL to the contacts they concern, to these contacts' own
rows and to whoever shares an address with them, then split into persons by a pure rule.

The cache has no statistics, and SQLite takes a condition on the list or the group for a good
place to begin. CROSS JOIN keeps it from that: it begins with the chunk, or each chunk would
cost a look at the whole audience.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from mcsync.cache.rows import DUE_IDS, TABLE, decode_refusals
from mcsync.cache.store import Store, column_or_null, json_list
from mcsync.cache.times import LONG_AGO_TEXT, from_text, from_text_or_none, to_text
from mcsync.decision import (
    Agreed,
    ContactView,
    MemberView,
    Person,
    Place,
    Policy,
    Reason,
    Refused,
    RowView,
    Statement,
    Undone,
)
from mcsync.model import LONG_AGO, SUBSCRIPTION, Contact, Email, MemberStatus
from mcsync.reconcile.people import split

CHUNK = 1000  # rows judged at once

_STATUSES = {status.value: status for status in MemberStatus}
_decode = msgspec.json.Decoder(dict[str, str | bool | None]).decode
_decode_undone = msgspec.json.Decoder(dict[str, tuple[str, str, str, str]]).decode
_decode_agreed = msgspec.json.Decoder(dict[str, tuple[bool, str, str]]).decode


# Rows without a contact concern whoever owns their address.
_OWNERS_OF_LATER_ROWS = f"""
SELECT DISTINCT p.contact_id FROM person_contact p
CROSS JOIN civicrm_mailchimpsync_email e ON e.contact_id = p.contact_id
CROSS JOIN {TABLE} r ON r.email_key = e.email_key AND r.mailchimp_list_id = :list
WHERE p.hop = 0 AND r.id > :after AND r.civicrm_contact_id IS NULL
"""


def load_people(store: Store, policy: Policy, now: datetime) -> Iterator[list[Person]]:
    """All persons whom a due row concerns, chunk by chunk; rows may change between two chunks.

    `now` is our own time: what was refused for a while may be tried again when that is over.
    """
    judged: set[int] = set()
    due = f"{DUE_IDS} AND id > :after ORDER BY id LIMIT :limit"
    for page in store.pages(due, CHUNK, list=policy.list_id):
        row_ids = [row[0] for row in page]
        people = [p for p in load_persons_of(store, policy, row_ids, now) if _id(p) not in judged]
        # A contact may concern rows beyond this chunk: never judge anybody twice in one run.
        own = set(row_ids)
        judged |= {_id(p) for p in people if not {row.row_id for row in p.rows} <= own}
        judged |= {_id(p) for p in people if p.shared or p.sharers}
        where = {"list": policy.list_id, "after": row_ids[-1]}
        judged |= {-owner for owner in store.column(_OWNERS_OF_LATER_ROWS, where)}
        yield people


def _id(person: Person) -> int:
    """One number for each person: contacts are negative, their ids and rows' ids overlap."""
    return -person.contact.contact_id if person.contact else person.rows[0].row_id


def load_persons_of(
    store: Store,
    policy: Policy,
    row_ids: Sequence[int],
    now: datetime = LONG_AGO,
    contact_ids: Sequence[int] = (),
) -> list[Person]:
    """The persons whom these rows, or these contacts, concern, whatever their marks.

    These are the contacts that the rows are linked to or whose address they have, and rows
    without a contact.
    """
    with store.scratch():
        _widen(store, policy, row_ids, contact_ids)
    concerned = set(store.column("SELECT contact_id FROM person_contact WHERE hop = 0"))
    rows, contacts = _load_rows(store, policy, now), _load_contacts(store, policy)
    rivals = _load_rivals(store) if policy.skips_duplicates else {}
    wanted = set(row_ids)
    found = []
    for person in split(rows.values(), contacts.values(), policy.group_id, rivals):
        if person.contact is not None:
            if person.contact.contact_id in concerned:
                found.append(person)
        elif person.rows[0].row_id in wanted and person.rows[0].contact_id is None:
            found.append(person)
    known = {p.contact.contact_id for p in found if p.contact}
    strangers = [i for i in contact_ids if i in contacts and i not in known]
    return found + [Person((), contacts[i]) for i in strangers]


# Contacts that the rows are linked to, or that own their addresses and have rows of their own or
# a place in the group, now or before.
_WIDEN_CONTACTS = f"""
INSERT OR IGNORE INTO person_contact
SELECT civicrm_contact_id, :hop FROM {TABLE}
WHERE id IN (SELECT row_id FROM person_row WHERE hop = :hop) AND civicrm_contact_id IS NOT NULL
    AND :hop = 0
UNION
SELECT e.contact_id, :hop
FROM person_row p
CROSS JOIN {TABLE} r ON r.id = p.row_id AND r.email_key IS NOT NULL
CROSS JOIN civicrm_mailchimpsync_email e ON e.email_key = r.email_key
CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 0
WHERE p.hop = :hop AND (
    EXISTS (SELECT 1 FROM civicrm_mailchimpsync_group_contact g
        WHERE g.group_id = :group AND g.contact_id = e.contact_id)
    OR EXISTS (SELECT 1 FROM {TABLE} o
        WHERE o.civicrm_contact_id = e.contact_id AND o.mailchimp_list_id = :list))
"""
# Their own rows, and those whose address they share.
_WIDEN_ROWS = f"""
INSERT OR IGNORE INTO person_row
SELECT r.id, 1 FROM person_contact p
CROSS JOIN {TABLE} r ON r.civicrm_contact_id = p.contact_id AND r.mailchimp_list_id = :list
WHERE p.hop = :hop
UNION
SELECT r.id, 2 FROM person_contact p
CROSS JOIN civicrm_mailchimpsync_email e ON e.contact_id = p.contact_id
CROSS JOIN {TABLE} r ON r.email_key = e.email_key AND r.mailchimp_list_id = :list
WHERE p.hop = :hop
"""


def _widen(
    store: Store, policy: Policy, row_ids: Sequence[int], contact_ids: Sequence[int]
) -> None:
    """Rows of hop 0 are those asked for; contacts of hop 0 those to be judged.

    Contacts of hop 1 share an address with an own row (hop 0 or 1) of these. Nobody goes further.
    """
    store.query("CREATE TEMP TABLE IF NOT EXISTS person_row (row_id INTEGER PRIMARY KEY, hop)")
    store.query(
        "CREATE TEMP TABLE IF NOT EXISTS person_contact (contact_id INTEGER PRIMARY KEY, hop)"
    )
    store.query("DELETE FROM person_row")
    store.query("DELETE FROM person_contact")
    store.insert_many("INSERT INTO person_row VALUES (?, 0)", ((i,) for i in row_ids))
    store.insert_many(
        "INSERT OR IGNORE INTO person_contact VALUES (?, 0)", ((i,) for i in contact_ids)
    )
    where = {"list": policy.list_id, "group": policy.group_id}
    for hop in (0, 1):
        store.query(_WIDEN_CONTACTS, {**where, "hop": hop})
        store.query(_WIDEN_ROWS, {**where, "hop": hop})


def _load_rivals(store: Store) -> dict[int, tuple[int, ...]]:
    rows = store.query(
        "SELECT DISTINCT r.id, e.contact_id FROM person_row p"
        f" JOIN {TABLE} r ON r.id = p.row_id"
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


def _load_rows(store: Store, policy: Policy, now: datetime) -> dict[int, RowView]:
    undone = column_or_null(store, TABLE, "undone")
    rows = store.query(
        "SELECT id, civicrm_contact_id, mailchimp_member_id, mailchimp_email, mailchimp_status,"
        " mailchimp_data, refusals, reconfirmed_at, lost_at, is_shared,"
        f" moved_from, owned_by, agreed, due, {undone}"
        f" FROM {TABLE} WHERE id IN (SELECT row_id FROM person_row)"
    )
    under_way = load_under_way_rows(store, "SELECT row_id FROM person_row")
    views = {}
    for row in rows:
        views[row[0]] = RowView(
            row_id=row[0],
            contact_id=row[1],
            member=_read_member(row, policy) if row[5] else None,
            refusals=tuple(_read_refusals(row[6], now)) if row[6] else (),
            reconfirmed_at=from_text_or_none(row[7]),
            lost_at=from_text_or_none(row[8]),
            is_shared=bool(row[9]),
            moved_from=row[10],
            owned_by=row[11],
            agreed=_read_agreed(row[12]) if row[12] else {},
            due=row[13],
            email=row[3],
            is_under_way=row[0] in under_way,
            undone=_read_undone(row[14]) if row[14] else {},
        )
    return views


def load_under_way_rows(store: Store, among: str) -> set[int]:
    """Rows (of a SELECT) of which something may be carried out at Mailchimp at any moment.

    A batch that hangs for too long does not count.
    """
    found = store.column(
        "SELECT DISTINCT u.mailchimpsync_cache_id FROM civicrm_mailchimpsync_update u"
        " JOIN civicrm_mailchimpsync_batch b ON b.id = u.mailchimpsync_batch_id"
        f" WHERE u.completed = 0 AND NOT b.is_overdue AND u.mailchimpsync_cache_id IN ({among})"
    )
    return set(found)


_LONGEST_PAUSE_S = 86_400


def load_refused(
    store: Store, row_ids: Iterable[int], now: datetime
) -> dict[int, tuple[Refused, ...]]:
    """What Mailchimp refused of these rows' members, as `RowView.refusals` tells it."""
    rows = store.query(
        f"SELECT id, email_key, refusals FROM {TABLE} WHERE refusals IS NOT NULL"
        " AND id IN (SELECT value FROM json_each(?))",
        (json_list(row_ids),),
    )
    return {
        row_id: tuple(each for each in _read_refusals(text, now) if each.email == key)
        for row_id, key, text in rows.fetchall()
    }


def _read_refusals(text: str, now: datetime) -> Iterator[Refused]:
    current = to_text(now)
    for refusal in decode_refusals(text):
        # A time too far in the future was written by a clock that was wrong: it counts as over.
        is_paused = bool(refusal.retry_at) and current < refusal.retry_at
        if is_paused:
            left = from_text(refusal.retry_at) - now
            is_paused = left.total_seconds() <= _LONGEST_PAUSE_S
        if refusal.retry_at and not is_paused:
            continue
        times = {part: from_text(at) for part, at in refusal.times.items()}
        reason = Reason(refusal.reason)
        yield Refused(refusal.email, reason, times, refusal.prints, is_paused, refusal.lacks_field)


def _read_agreed(text: str) -> dict[str, Agreed]:
    return {
        topic: Agreed(value, from_text(at), Reason(reason))
        for topic, (value, at, reason) in _decode_agreed(text).items()
    }


def _read_undone(text: str) -> dict[str, Undone]:
    return {
        topic: Undone(from_text(at), run, from_text(done_at), value)
        for topic, (at, run, done_at, value) in _decode_undone(text).items()
    }


def _read_member(row: Sequence[object], policy: Policy) -> MemberView:
    data = _decode(str(row[5]))
    status = _STATUSES.get(str(row[4]))
    said_at, said = data.get("status@"), data.get("status!")
    is_in = bool(said) if said is not None else status is not None and status.is_in
    interests, has = {}, {}
    written = {SUBSCRIPTION} if data.get("status~") else set()
    for interest_id in policy.interests:
        name = f"interest-{interest_id}"
        at, value = data.get(f"{name}@"), bool(data.get(name))
        if at:
            word = bool(data.get(f"{name}!", value))
            interests[interest_id] = Statement(word, from_text(str(at)))
            if word != value:
                has[interest_id] = value
            if data.get(f"{name}~"):
                written.add(interest_id)
    names = ("first_name", "last_name")
    return MemberView(
        row_id=int(str(row[0])),
        email=str(row[3] or ""),
        member_id=str(row[2]) if row[2] else None,
        status=status,
        subscription=Statement(is_in, from_text(str(said_at))) if said_at else None,
        interests=interests,
        has=has,
        has_left=bool(data.get("left")),
        is_stranger=bool(data.get("met")),
        written=frozenset(written),
        first_name=str(data.get("first_name") or ""),
        last_name=str(data.get("last_name") or ""),
        first_name_at=from_text(str(data.get("first_name@") or LONG_AGO_TEXT)),
        last_name_at=from_text(str(data.get("last_name@") or LONG_AGO_TEXT)),
        said_names={n: str(data[f"{n}!"] or "") for n in names if f"{n}!" in data},
    )


def _load_contacts(store: Store, policy: Policy) -> dict[int, ContactView]:
    emails: dict[int, list[Email]] = defaultdict(list)
    for row in store.query(
        "SELECT email_id, contact_id, email, is_primary, is_bulkmail, on_hold"
        " FROM civicrm_mailchimpsync_email"
        " WHERE contact_id IN (SELECT contact_id FROM person_contact) ORDER BY email_id"
    ):
        emails[row[1]].append(Email(*row[:3], *map(bool, row[3:])))
    places = _load_places(store, policy)
    views = {}
    for row in store.query(
        "SELECT contact_id, first_name, last_name, is_deceased, is_opt_out, do_not_email,"
        " modified_at, gate_closed_at, first_name_at, last_name_at, is_unseen, is_person,"
        " created_at"
        " FROM civicrm_mailchimpsync_contact"
        " WHERE contact_id IN (SELECT contact_id FROM person_contact) AND is_deleted = 0"
    ):
        contact = Contact(
            contact_id=row[0],
            first_name=row[1],
            last_name=row[2],
            is_deceased=bool(row[3]),
            is_opt_out=bool(row[4]),
            do_not_email=bool(row[5]),
            modified_at=from_text(row[6]),
            is_person=bool(row[11]),
            created_at=from_text(row[12]) if row[12] else LONG_AGO,
        )
        views[row[0]] = ContactView(
            contact=contact,
            emails=tuple(emails[row[0]]),
            places=places[row[0]],
            gate_closed_at=from_text_or_none(row[7]),
            first_name_at=from_text(row[8]),
            last_name_at=from_text(row[9]),
            is_unseen=bool(row[10]),
        )
    return views


def _load_places(store: Store, policy: Policy) -> Mapping[int, dict[int, Place]]:
    places: dict[int, dict[int, Place]] = defaultdict(dict)
    groups = [policy.group_id, *(i.group_id for i in policy.interests.values())]
    for group_id, contact_id, status, says_in, said_at in store.query(
        "SELECT group_id, contact_id, status, says_in, said_at"
        " FROM civicrm_mailchimpsync_group_contact"
        " WHERE contact_id IN (SELECT contact_id FROM person_contact)"
        " AND group_id IN (SELECT value FROM json_each(?))",
        (json_list(groups),),
    ):
        said = None if says_in is None else Statement(bool(says_in), from_text(said_at))
        places[contact_id][group_id] = Place(status == "Added", said, status is not None)
    return places
