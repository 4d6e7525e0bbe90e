"""Looks: whatever is learned about members at Mailchimp comes into the cache here.

A page of a fetch, a batch's result, the answer to a direct call, what a webhook made us read
again, and that somebody is not there: all are looks at rows. One pure rule
(`reconcile.observe.observe`) tells what each teaches, one statement (`rows.save_looks`) keeps it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from mcsync.cache import rows
from mcsync.cache.forgotten import leave_out_members
from mcsync.cache.outbox import StoredCause, decode_update
from mcsync.cache.store import Store, json_list
from mcsync.cache.times import to_text, to_texts
from mcsync.model import LONG_AGO, Member, MemberChange, MemberStatus, MergeValue, email_key
from mcsync.name_tags import NAME_TAGS, TAG_OF_NAME, WHOLE_NAME_TAG, read_names
from mcsync.reconcile.observe import (
    TELLING,
    Data,
    Look,
    Value,
    Written,
    note_first_status,
    observe,
)

_decode = msgspec.json.Decoder(dict[str, str | bool | None]).decode
_encode = msgspec.json.Encoder().encode


class _Known(NamedTuple):
    """What a row knows of its member, before a look."""

    row_id: int
    key: str | None
    member_id: str | None
    email: str | None
    updated: str | None
    data: str | None
    unique_contact: str | None
    seen_fetch: int


_KNOWN = (
    "id, email_key, mailchimp_member_id, mailchimp_email, mailchimp_updated, mailchimp_data,"
    " unique_contact, seen_fetch"
)


@dataclass(frozen=True, slots=True)
class LookCount:
    """How many members a page had, and about how many of them it told anything new."""

    fetched: int
    changed: int


class Reader:
    """Reads what is kept of members: status, names, and the interests that are mapped."""

    def __init__(self, interest_ids: Iterable[str]) -> None:
        self._wanted = [(each, f"interest-{each}", f"interest-{each}@") for each in interest_ids]

    def read(self, member: Member) -> dict[str, Value]:
        """What was seen of a member, under the names of `mailchimp_data`."""
        first, last = read_names(member.merge_fields)
        seen: dict[str, Value] = {
            "status": str(member.status),
            "first_name": first,
            "last_name": last,
        }
        for interest_id, name, _ in self._wanted:
            value = member.interests.get(interest_id)
            if value is not None:
                seen[name] = value
        return seen

    def read_first(self, member: Member, status: str, at: str) -> Data:
        """The data of a member met for the first time: what `observe` makes of a first look.

        At once, in two thirds of the time, for a first fetch does it a million times.
        """
        first, last = read_names(member.merge_fields)
        interests = member.interests
        data: Data = {
            "status": status,
            "status@": at,
            "first_name": first,
            "first_name@": at,
            "last_name": last,
            "last_name@": at,
        }
        for interest_id, name, said_at in self._wanted:
            value = interests.get(interest_id)
            if value is not None:
                data[name] = value
                data[said_at] = at
        if member.has_left or status in TELLING:
            note_first_status(data, has_left=member.has_left)
        return data


# --- a page ---------------------------------------------------------------------------------------


def take_page(
    store: Store,
    list_id: str,
    members: Sequence[Member],
    reader: Reader,
    fetch_no: int,
    empty_at: datetime | None = None,
) -> LookCount:
    """Take in some members, in one transaction.

    Rows are found by the address and, for somebody who moved, by Mailchimp's contact id. Members
    are marked as seen by the fetch `fetch_no`. `empty_at` is when a fetch began that found no
    member of the audience in the cache: whoever was not touched since then is new, and nobody is
    looked up. Of odd members it is only noted that they are there; nothing of forgotten ones.
    """
    added = 0
    with store.atomic():
        members = leave_out_members(store, members)
        odd = [member for member in members if member.oddity]
        usual = [member for member in members if not member.oddity] if odd else members
        by_key = {email_key(member.email): member for member in _keep_newest(usual)}
        if odd:
            whom = [(email_key(m.email), m.unique_contact) for m in odd]
            rows.note_still_there(store, list_id, whom, fetch_no)
        are_new = empty_at is not None and all(m.last_changed < empty_at for m in members)
        if are_new:
            added = rows.add_strangers(store, _new_rows(list_id, by_key, reader, fetch_no))
            if added == len(by_key):
                return LookCount(len(members), added)
        known = _load_known(store, list_id, by_key)
        if _move(store, list_id, by_key, known):
            known = _load_known(store, list_id, by_key)
        changed = _take(store, list_id, by_key, known, reader, fetch_no)
    return LookCount(len(members), added + changed)


def _take(
    store: Store,
    list_id: str,
    by_key: Mapping[str, Member],
    known: Mapping[str, _Known],
    reader: Reader,
    fetch_no: int,
) -> int:
    """Take in members by their addresses; about how many there was anything new."""
    under_way = load_under_way(store, [row.row_id for row in known.values()])
    strangers: dict[str, Member] = {}
    learned: list[rows.LookRow] = []
    seen: list[tuple[str, int, int]] = []
    for key, member in by_key.items():
        row = known.get(key)
        if row is None:
            strangers[key] = member
            continue
        at = to_text(member.last_changed)
        look = Look(reader.read(member), at, member.has_left, under_way.get(row.row_id, ()))
        text, is_news = _learn(row, look)
        if text != row.data or member.member_id != row.member_id or is_news:
            learned.append(_row(row, list_id, key, member, at, text, fetch_no, is_news))
        elif fetch_no > row.seen_fetch or at != row.updated:
            seen.append((at, fetch_no, row.row_id))
    rows.save_looks(store, learned)
    rows.note_seen(store, seen)
    new_rows = _new_rows(list_id, strangers, reader, fetch_no)
    return len(learned) + rows.add_strangers(store, new_rows)


def _learn(row: _Known, look: Look) -> tuple[str, bool]:
    """The row's data after a look, and whether there are news."""
    data, is_news = observe(_decode(row.data) if row.data else None, row.updated, look)
    return _encode(data).decode(), is_news


def _new_rows(
    list_id: str, by_key: Mapping[str, Member], reader: Reader, fetch_no: int
) -> Iterator[rows.NewRow]:
    times = to_texts([member.last_changed for member in by_key.values()])
    for (key, member), at in zip(by_key.items(), times, strict=True):
        status = str(member.status)
        yield (
            list_id,
            key,
            member.member_id,
            member.email,
            status,
            at,
            _encode(reader.read_first(member, status, at)).decode(),
            member.unique_contact or None,
            fetch_no,
            1,
        )


def _row(
    row: _Known,
    list_id: str,
    key: str | None,
    member: Member,
    at: str,
    data: str,
    fetch_no: int,
    is_news: bool,
) -> rows.LookRow:
    return (
        list_id,
        key,
        member.member_id,
        member.email,
        str(member.status),
        max(at, row.updated or ""),
        data,
        member.unique_contact or row.unique_contact,
        fetch_no,
        int(is_news),
        row.row_id,
    )


def has_members(store: Store, list_id: str) -> bool:
    """Whether the cache knows, or expects, any member of the audience."""
    found = store.number(
        f"SELECT 1 FROM {rows.TABLE} WHERE mailchimp_list_id = ? AND email_key IS NOT NULL LIMIT 1",
        (list_id,),
    )
    return bool(found)


def _load_known(store: Store, list_id: str, keys: Iterable[str]) -> dict[str, _Known]:
    found = store.query(
        f"SELECT {_KNOWN} FROM {rows.TABLE}"
        " WHERE mailchimp_list_id = ? AND email_key IN (SELECT value FROM json_each(?))",
        (list_id, json_list(keys)),
    )
    return {row[1]: _Known(*row) for row in found}


def _keep_newest(members: Sequence[Member]) -> Sequence[Member]:
    """The members without what somebody was who changed address while the page was made."""
    if len({member.unique_contact for member in members}) == len(members):
        return members
    newest: dict[str, datetime] = defaultdict(lambda: LONG_AGO)
    for member in members:
        newest[member.unique_contact] = max(newest[member.unique_contact], member.last_changed)
    return [
        m for m in members if not m.unique_contact or m.last_changed == newest[m.unique_contact]
    ]


# --- addresses that change ------------------------------------------------------------------------


def _move(
    store: Store, list_id: str, by_key: Mapping[str, Member], known: Mapping[str, _Known]
) -> bool:
    """Give the rows of members who changed address their new one; whether there were any.

    Mailchimp's contact id tells who they are. First all of them lose their old address, for two
    may have swapped; so do those whose address is somebody else's now, although nobody knows
    yet where they are: `load_strays` has them. A row that only waits for a member at an address
    gives way to one that moves there.
    """
    taken = {
        key: row.row_id
        for key, row in known.items()
        if row.unique_contact and by_key[key].unique_contact not in ("", row.unique_contact)
    }
    free = {key for key, row in known.items() if not (row.member_id or row.unique_contact)}
    strangers = {
        member.unique_contact: key
        for key, member in by_key.items()
        if (key not in known or key in taken or key in free) and member.unique_contact
    }
    if not strangers:
        return False
    found = store.query(
        f"SELECT id, unique_contact FROM {rows.TABLE}"
        " WHERE unique_contact IN (SELECT value FROM json_each(?)) AND +mailchimp_list_id = ?"
        " ORDER BY mailchimp_updated",  # +: never by the list, which is everybody
        (json_list(strangers), list_id),
    ).fetchall()
    newest = {unique_contact: row_id for row_id, unique_contact in found}
    moving = {row_id: strangers[unique_contact] for unique_contact, row_id in newest.items()}
    left = {known[key].row_id for key in moving.values() if key in free}
    rows.take_addresses(store, {*moving, *taken.values(), *left})
    rows.give_addresses(store, moving)
    return bool(moving or taken)


def move_member(store: Store, list_id: str, old: str, new: str) -> None:
    """Give the row of a member who changed address the new one, where no row has that yet."""
    row_id = find_row(store, list_id, old)
    if row_id is None or email_key(old) == email_key(new):
        return
    if find_row(store, list_id, new) is None:
        with store.atomic():
            rows.take_addresses(store, [row_id])
            rows.give_addresses(store, {row_id: email_key(new)})


def find_row(store: Store, list_id: str, address: str) -> int | None:
    """The row that has this address, if one has."""
    row_id: int | None = store.value(
        f"SELECT id FROM {rows.TABLE} WHERE mailchimp_list_id = ? AND email_key = ?",
        (list_id, email_key(address)),
    )
    return row_id


def load_strays(store: Store, list_id: str) -> dict[int, str]:
    """Members whose address is somebody else's now: by row id, how Mailchimp knows them.

    That is Mailchimp's contact id, which stays when the address changes.
    """
    found = store.query(
        f"SELECT id, unique_contact FROM {rows.TABLE} INDEXED BY cache_stray"
        " WHERE mailchimp_list_id = ? AND email_key IS NULL AND mailchimp_member_id IS NOT NULL",
        (list_id,),
    )
    return {row[0]: row[1] or "" for row in found}


# --- single looks ---------------------------------------------------------------------------------


def take_look(
    store: Store,
    row_id: int,
    member: Member | None,
    reader: Reader,
    noticed_at: datetime,
    *,
    done: Written | None = None,
    in_doubt: Written | None = None,
    fetch_no: int = 0,
) -> Data:
    """Take in one member as they are now, or that they are not there; the row's data afterwards.

    `noticed_at` counts for an absence only, by Mailchimp's clock. `done` is our update whose
    result this is, `in_doubt` one that may or may not have been carried out before somebody
    changed the member.
    """
    row = _load_row(store, row_id)
    if row is None:
        return {}
    known, list_id = row
    if member is None:
        return _take_absence(store, list_id, known, noticed_at)
    if member.oddity:
        return _decode(known.data) if known.data else {}
    at = to_text(member.last_changed)
    under_way = load_under_way(store, [row_id]).get(row_id, ())
    look = Look(reader.read(member), at, member.has_left, under_way, done, in_doubt)
    data, is_news = observe(_decode(known.data) if known.data else None, known.updated, look)
    key = _settle_key(store, list_id, known, member)
    text = _encode(data).decode()
    is_older = known.updated is not None and at < known.updated
    if is_older:
        rows.save_looks(store, [_keep(known, list_id, data, is_news=is_news)])
    else:
        believed = member._replace(status=MemberStatus(str(data["status"])))
        rows.save_looks(store, [_row(known, list_id, key, believed, at, text, fetch_no, is_news)])
    return data


def _settle_key(store: Store, list_id: str, known: _Known, member: Member) -> str | None:
    """The address that the row may have: another row may have the member's already."""
    key = email_key(member.email)
    if key == known.key:
        return key
    other = find_row(store, list_id, member.email)
    return key if other is None or other == known.row_id else known.key


def _keep(known: _Known, list_id: str, data: Data, *, is_news: bool) -> rows.LookRow:
    """The row as it is, with this data."""
    status = data.get("status")
    return (
        list_id,
        known.key,
        known.member_id,
        known.email,
        str(status) if status else None,
        known.updated,
        _encode(data).decode(),
        known.unique_contact,
        0,
        int(is_news),
        known.row_id,
    )


def take_answer(store: Store, row_id: int, done: Written, at: datetime) -> Data:
    """Take in that an update of ours was carried out, where the answer showed no member."""
    row = _load_row(store, row_id)
    if row is None:
        return {}
    known, list_id = row
    when = known.updated or to_text(at)
    look = Look(done.values, when, under_way=(), done=done)
    data, is_news = observe(_decode(known.data) if known.data else {}, known.updated, look)
    rows.save_looks(store, [_keep(known, list_id, data, is_news=is_news)])
    return data


def _take_absence(store: Store, list_id: str, known: _Known, noticed_at: datetime) -> Data:
    """A row that never had a member learns nothing from that.

    Whatever was known of them was so before.
    """
    if known.data is None:
        return {}
    look = Look(None, max(to_text(noticed_at), known.updated or ""))
    data, is_news = observe(_decode(known.data), known.updated, look)
    # Where the address is somebody else's now, it is no longer the row's.
    gone = known._replace(member_id=None, email=known.email if known.key else None)
    rows.save_looks(store, [_keep(gone, list_id, data, is_news=is_news)])
    return data


def _load_row(store: Store, row_id: int) -> tuple[_Known, str] | None:
    row = store.query(
        f"SELECT {_KNOWN}, mailchimp_list_id FROM {rows.TABLE} WHERE id = ?", (row_id,)
    ).fetchone()
    return None if row is None else (_Known(*row[:-1]), row[-1])


# --- who is no longer there -----------------------------------------------------------------------

_AT_ONCE = 1000  # absences taken in in one transaction


def take_absences(store: Store, list_id: str, fetch_no: int, noticed_at: datetime) -> int:
    """Members known to the cache that a whole full fetch did not return; how many there were.

    `noticed_at` is when the fetch began: who is known to have changed later was there then.
    """
    count = 0
    unseen = (
        f"SELECT {_KNOWN} FROM {rows.TABLE} WHERE mailchimp_list_id = :list"
        " AND mailchimp_member_id IS NOT NULL AND seen_fetch < :fetch AND id > :after"
        " AND coalesce(mailchimp_updated, '') <= :began ORDER BY id LIMIT :limit"
    )
    began = to_text(noticed_at)
    for found in store.pages(unseen, _AT_ONCE, list=list_id, fetch=fetch_no, began=began):
        with store.atomic():
            for row in found:
                _take_absence(store, list_id, _Known(*row), noticed_at)
        count += len(found)
    return count


def count_members(store: Store, list_id: str) -> int:
    """How many members of the audience the cache knows."""
    return store.number(
        f"SELECT count(*) FROM {rows.TABLE}"
        " WHERE mailchimp_list_id = ? AND mailchimp_member_id IS NOT NULL",
        (list_id,),
    )


# --- what is under way ----------------------------------------------------------------------------


def load_under_way(store: Store, row_ids: Sequence[int]) -> dict[int, list[Written]]:
    """What was sent for these rows, or is just being sent, and has no result yet; oldest first."""
    found: dict[int, list[Written]] = defaultdict(list)
    if not row_ids:
        return found
    for row_id, data, cause in store.query(
        "SELECT mailchimpsync_cache_id, data, cause FROM civicrm_mailchimpsync_update"
        " WHERE completed = 0 AND mailchimpsync_batch_id IS NOT NULL"
        " AND mailchimpsync_cache_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json_list(row_ids),),
    ):
        found[row_id].append(read_written(*decode_update(data, cause)))
    return found


def _written_names(values: Mapping[str, MergeValue]) -> Data:
    """The names that an update writes, as a look at the member will show them."""
    merge_fields = {tag: value for tag, value in values.items() if isinstance(value, str)}
    if merge_fields.keys() & NAME_TAGS == {WHOLE_NAME_TAG}:
        first, last = read_names(merge_fields)
        return {"first_name": first, "last_name": last}
    return {name: merge_fields[tag] for name, tag in TAG_OF_NAME.items() if tag in merge_fields}


def read_written(change: MemberChange, cause: StoredCause) -> Written:
    """The fields that an update writes, under the names of `mailchimp_data`, and who caused it."""
    values: Data = {f"interest-{key}": value for key, value in change.interests.items()}
    values |= _written_names(change.merge_fields)
    if change.is_archiving:
        values["status"] = MemberStatus.ARCHIVED.value
    elif change.status is not None:
        values["status"] = change.status.value
    return Written(values, cause.at, cause.is_gate, tuple(cause.for_others))
