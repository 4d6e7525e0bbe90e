"""What Mailchimp said: pages of members merged into the cache, and who has vanished."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from mcsync.cache.outbox import StoredCause, decode_update
from mcsync.cache.store import Store
from mcsync.cache.times import to_text
from mcsync.model import Member, MemberChange, MemberStatus, email_key, read_names

Value = str | bool | None
Data = dict[str, Value]
Observe = Callable[[Data | None, Member, str, "OpenUpdate | None"], Data]

# row id, data, when changed, member id, seen by which full fetch, Mailchimp's contact id
Known = tuple[int, str | None, str | None, str | None, int, str | None]

_decode = msgspec.json.Decoder(dict[str, str | bool | None]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class OpenUpdate:
    """What the updates of a row that are sent, but whose results are not in, write.

    `values` and `caused_at` by field, times as text; `is_gate` as in the cause.
    """

    values: Mapping[str, Value]
    caused_at: Mapping[str, str]
    is_gate: bool


@dataclass(frozen=True, slots=True)
class MergeCount:
    """How many members a page had, and how many of them told anything new.

    `detached` are members of ours whose address is somebody else's now, and theirs not known.
    """

    fetched: int
    changed: int
    detached: int = 0


def merge_members(
    store: Store,
    list_id: str,
    members: Sequence[Member],
    observe: Observe,
    fetch_no: int,
    empty_at: datetime | None = None,
) -> MergeCount:
    """Merge one page in one transaction; rows whose data changed become `todo`.

    `observe` turns what is known and what was seen into the new data. With `fetch_no` above 0
    every member of the page is marked as seen by that full fetch. `empty_at` is when a fetch began
    that found no member of the audience in the cache: whoever was not touched since then is new,
    and nobody is looked up.
    """
    by_key = {email_key(member.email): member for member in _keep_newest(members)}
    detached = 0
    with store.atomic():
        are_new = empty_at is not None and all(m.last_changed < empty_at for m in members)
        added = _add_members(store, list_id, by_key, observe, fetch_no) if are_new else 0
        if are_new and added == len(by_key):
            return MergeCount(len(members), added)
        known = _load_known(store, list_id, by_key)
        moving, leaving = _find_moves(store, list_id, by_key, known)
        if leaving:
            _move(store, moving, leaving)
            detached = len(leaving) - len(moving)
            known = _load_known(store, list_id, by_key)
        written = load_open_updates(store, [row[0] for row in known.values()]) if known else {}
        new, changed, quiet, seen = [], [], [], []
        for key, member in by_key.items():
            row = known.get(key)
            if row is None:
                new.append(_new_row(list_id, key, member, observe, fetch_no))
                continue
            last_changed = to_text(member.last_changed)
            row_id, old, updated, member_id, seen_fetch, _ = row
            data = observe(_decode(old) if old else None, member, last_changed, written.get(row_id))
            text = _encode(data).decode()
            if text != old or member_id != member.member_id:
                changed.append(_row(list_id, key, member, last_changed, text, fetch_no))
            elif updated != last_changed:
                quiet.append((last_changed, fetch_no or seen_fetch, row_id))
            elif fetch_no:
                seen.append((fetch_no, row_id))
        store.run_many(_INSERT, new)
        store.run_many(_UPSERT, changed)
        store.run_many(_TOUCH, quiet)
        store.run_many(_SEE, seen)
    return MergeCount(len(members), added + len(new) + len(changed), detached)


def _add_members(
    store: Store, list_id: str, by_key: Mapping[str, Member], observe: Observe, fetch_no: int
) -> int:
    """Add members who cannot be known; how many were added, the others have a row after all.

    That may be: audiences from before 2015 may have an address twice (facts, section 4).
    """
    rows = [_new_row(list_id, key, m, observe, fetch_no) for key, m in by_key.items()]
    before = store.conn.total_changes
    store.run_many(f"{_INSERT} ON CONFLICT DO NOTHING", rows)
    return store.conn.total_changes - before


def has_members(store: Store, list_id: str) -> bool:
    """Whether the cache knows, or expects, any member of the audience."""
    row = store.query(
        "SELECT 1 FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND email_key IS NOT NULL LIMIT 1",
        (list_id,),
    ).fetchone()
    return row is not None


_INSERT = """
INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key, mailchimp_member_id,
    mailchimp_email, mailchimp_status, mailchimp_updated, mailchimp_data, unique_contact,
    seen_fetch, sync_status)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'todo')
"""
_UPSERT = f"""{_INSERT}
ON CONFLICT (mailchimp_list_id, email_key) DO UPDATE SET
    mailchimp_member_id = excluded.mailchimp_member_id,
    mailchimp_email = excluded.mailchimp_email,
    mailchimp_status = excluded.mailchimp_status,
    mailchimp_updated = excluded.mailchimp_updated,
    mailchimp_data = excluded.mailchimp_data,
    unique_contact = excluded.unique_contact,
    seen_fetch = max(seen_fetch, excluded.seen_fetch),
    is_data_due = 1,
    sync_status = 'todo'
"""
_TOUCH = "UPDATE civicrm_mailchimpsync_cache SET mailchimp_updated = ?, seen_fetch = ? WHERE id = ?"
_SEE = "UPDATE civicrm_mailchimpsync_cache SET seen_fetch = ? WHERE id = ?"


def _new_row(
    list_id: str, key: str, member: Member, observe: Observe, fetch_no: int
) -> tuple[object, ...]:
    last_changed = to_text(member.last_changed)
    text = _encode(observe(None, member, last_changed, None)).decode()
    return _row(list_id, key, member, last_changed, text, fetch_no)


def _row(
    list_id: str, key: str, member: Member, last_changed: str, data: str, fetch_no: int
) -> tuple[object, ...]:
    return (
        list_id,
        key,
        member.member_id,
        member.email,
        str(member.status),
        last_changed,
        data,
        member.unique_contact or None,
        fetch_no,
    )


def _load_known(store: Store, list_id: str, keys: Iterable[str]) -> dict[str, Known]:
    rows = store.query(
        "SELECT email_key, id, mailchimp_data, mailchimp_updated, mailchimp_member_id, seen_fetch,"
        " unique_contact FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND email_key IN (SELECT value FROM json_each(?))",
        (list_id, _encode(list(keys)).decode()),
    )
    return {row[0]: row[1:] for row in rows}


def _keep_newest(members: Sequence[Member]) -> Sequence[Member]:
    """The members without what somebody was who changed address while the page was made."""
    newest = {member.unique_contact: member.last_changed for member in members}
    if len(newest) == len(members):
        return members
    for member in members:
        newest[member.unique_contact] = max(newest[member.unique_contact], member.last_changed)
    return [
        m for m in members if not m.unique_contact or m.last_changed == newest[m.unique_contact]
    ]


def _find_moves(
    store: Store, list_id: str, by_key: Mapping[str, Member], known: Mapping[str, Known]
) -> tuple[dict[int, str], set[int]]:
    """Rows of members who changed address, as Mailchimp's contact id tells: (moving, leaving).

    `moving` has row id -> new address; `leaving` all rows that lose theirs, also those whose
    address is somebody else's now while nobody knows yet where they are.
    """
    taken = {
        key: row[0]
        for key, row in known.items()
        if row[5] and by_key[key].unique_contact not in ("", row[5])
    }
    strangers = {
        member.unique_contact: key
        for key, member in by_key.items()
        if (key not in known or key in taken) and member.unique_contact
    }
    if not strangers:
        return {}, set()
    rows = store.query(
        "SELECT id, unique_contact FROM civicrm_mailchimpsync_cache"
        " WHERE unique_contact IN (SELECT value FROM json_each(?)) AND +mailchimp_list_id = ?"
        " ORDER BY mailchimp_updated",  # +: never by the list, which is everybody
        (_encode(list(strangers)).decode(), list_id),
    ).fetchall()
    newest = {unique_contact: row_id for row_id, unique_contact in rows}
    moving = {row_id: strangers[unique_contact] for unique_contact, row_id in newest.items()}
    return moving, {*moving, *taken.values()}


def _move(store: Store, moving: Mapping[int, str], leaving: Iterable[int]) -> None:
    """Give rows their new addresses; first all lose their old ones, for two may have swapped."""
    store.run_many(
        "UPDATE civicrm_mailchimpsync_cache SET moved_from = coalesce(moved_from, email_key),"
        " email_key = NULL, is_looked_up = 0, sync_status = 'todo' WHERE id = ?",
        [(row_id,) for row_id in leaving],
    )
    store.run_many(
        "UPDATE OR IGNORE civicrm_mailchimpsync_cache SET email_key = ? WHERE id = ?",
        [(key, row_id) for row_id, key in moving.items()],
    )


def load_open_updates(store: Store, row_ids: Sequence[int]) -> dict[int, OpenUpdate]:
    """What was sent for these rows, or is just being sent, and has no result yet."""
    rows = store.query(
        "SELECT mailchimpsync_cache_id, data, cause FROM civicrm_mailchimpsync_update"
        " WHERE completed = 0 AND mailchimpsync_batch_id IS NOT NULL"
        " AND mailchimpsync_cache_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (_encode(list(row_ids)).decode(),),
    )
    found: dict[int, OpenUpdate] = {}
    for row_id, data, cause in rows:
        update = read_update(*decode_update(data, cause))
        earlier = found.get(row_id)
        if earlier is not None:
            update = OpenUpdate(
                {**earlier.values, **update.values},
                {**earlier.caused_at, **update.caused_at},
                update.is_gate,
            )
        found[row_id] = update
    return found


def move_member(store: Store, list_id: str, old: str, new: str) -> None:
    """Give the row of a member who changed address the new one, where no row has that yet."""
    with store.atomic():
        store.query(
            "UPDATE OR IGNORE civicrm_mailchimpsync_cache SET"
            " moved_from = coalesce(moved_from, email_key), email_key = ?1, is_looked_up = 0,"
            " sync_status = 'todo' WHERE mailchimp_list_id = ?2 AND email_key = ?3"
            " AND mailchimp_data IS NOT NULL AND ?1 <> ?3",
            (email_key(new), list_id, email_key(old)),
        )


_MERGE_NAMES = {"FNAME": "first_name", "LNAME": "last_name"}


def _written_names(merge_fields: Mapping[str, str]) -> Data:
    """The names that an update writes, as a look at the member will show them."""
    if "NAME" in merge_fields and not merge_fields.keys() & _MERGE_NAMES.keys():
        first, last = read_names(merge_fields)
        return {"first_name": first, "last_name": last}
    return {_MERGE_NAMES[tag]: v for tag, v in merge_fields.items() if tag in _MERGE_NAMES}


def read_update(change: MemberChange, cause: StoredCause) -> OpenUpdate:
    """The fields that an update writes, under the names of `mailchimp_data`."""
    values: Data = {f"interest-{key}": value for key, value in change.interests.items()}
    values |= _written_names(change.merge_fields)
    if change.is_archiving:
        values["status"] = MemberStatus.ARCHIVED.value
    elif change.status is not None:
        values["status"] = change.status.value
    return OpenUpdate(values, cause.at, cause.is_gate)


def mark_vanished(
    store: Store,
    list_id: str,
    fetch_no: int,
    noticed_at: datetime,
    vanish: Callable[[Data, str], Data],
) -> int:
    """Members known to the cache that a whole full fetch did not return; how many there were."""
    rows = store.query(
        "SELECT id, mailchimp_data FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?"
        " AND mailchimp_member_id IS NOT NULL AND seen_fetch < ?",
        (list_id, fetch_no),
    ).fetchall()
    at = to_text(noticed_at)
    with store.atomic():
        store.run_many(
            "UPDATE civicrm_mailchimpsync_cache SET mailchimp_member_id = NULL,"
            " mailchimp_status = NULL, mailchimp_data = ?,"
            " civicrm_data = NULL, sync_status = 'todo' WHERE id = ?",
            [(_encode(vanish(_decode(data), at)).decode(), row_id) for row_id, data in rows],
        )
    return len(rows)


def count_members(store: Store, list_id: str) -> int:
    """How many members of the audience the cache knows."""
    row = store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND mailchimp_member_id IS NOT NULL",
        (list_id,),
    ).fetchone()
    return int(row[0])


def store_result(
    store: Store, row_id: int, member: Member | None, data: Data, list_id: str
) -> None:
    """Keep what a result showed of one member; call inside a transaction.

    Without `member` (an answer without a body) only the data and the status it tells change.
    """
    text = _encode(data).decode()
    if member is None:
        store.query(
            "UPDATE civicrm_mailchimpsync_cache SET mailchimp_data = ?, mailchimp_status = ?"
            " WHERE id = ?",
            (text, data.get("status"), row_id),
        )
        return
    key = email_key(member.email)
    store.query(
        "UPDATE OR IGNORE civicrm_mailchimpsync_cache SET email_key = ? WHERE id = ?",
        (key, row_id),
    )
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET mailchimp_member_id = ?, mailchimp_email = ?,"
        " mailchimp_status = ?, mailchimp_updated = max(coalesce(mailchimp_updated, ''), ?),"
        " mailchimp_data = ?, unique_contact = ?"
        " WHERE mailchimp_list_id = ? AND email_key = ?",
        (
            member.member_id,
            member.email,
            data.get("status"),
            to_text(member.last_changed),
            text,
            member.unique_contact or None,
            list_id,
            key,
        ),
    )
