"""The outbox: updates queued for Mailchimp, claimed for a batch, sent, and what became of them.

An update is open (`completed` 0) until its fate is known. Open and without a batch: queued.
Open and with one: claimed or sent, and never to be sent again while it may still be there.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from mcsync.cache.rows import mark_given_up, note_asked
from mcsync.cache.store import Store, json_list, make_uid
from mcsync.cache.times import from_text, from_text_or_none, to_text, to_text_or_none
from mcsync.decision import PlannedChange
from mcsync.model import Batch, MemberChange, MemberStatus
from mcsync.name_tags import NAME_TAGS

CLAIMED = "claimed"  # our own word for a batch whose id we do not know yet
DIRECT = "direct"  # and for updates that are sent one by one, outside any batch
LOST = "lost"  # for a batch that may have been there, and was settled by reading
ABORTED = "aborted"  # the documents' word for a batch that was stopped by hand


class StoredCause(msgspec.Struct, omit_defaults=True):
    """Why an update was queued: the rule, and when a human caused each field (times as text).

    `for_others` are fields written for a contact who shares the member. `metadata` is what
    plugins of the data step keep when it has succeeded, by their names. `before` is what the cache
    knew of the fields when it was queued: once it was sent, a fetch may see what it wrote. `run`
    queued it; another one may send it, and a third learn that it was done.
    """

    reason: str
    at: dict[str, str] = {}
    is_gate: bool = False
    for_others: list[str] = []
    metadata: dict[str, dict[str, object]] = {}
    before: dict[str, str | bool | None] = {}
    run: str = ""


@dataclass(frozen=True, slots=True)
class QueuedUpdate:
    """One update with its row; `member_id` is the row's, as known now."""

    update_id: int
    row_id: int
    list_id: str
    change: MemberChange
    cause: StoredCause


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """One batch row; `batch_id` is None while only claimed.

    `submitted_at` is our own time of the claim, `claimed_at` Mailchimp's. `all_done_at` is since
    when every operation is finished although the batch is not, `unreadable_since` since when its
    results cannot be read. Nobody waits for one that `is_overdue`.
    """

    row_id: int
    list_id: str
    account: str
    batch_id: str | None
    status: str
    submitted_at: datetime
    total_operations: int = 0
    claimed_at: datetime | None = None
    all_done_at: datetime | None = None
    is_overdue: bool = False
    unreadable_since: datetime | None = None


def get_cache_uid(store: Store) -> str:
    """The random id of this cache, part of every operation id; made on first use."""
    uid = store.get_state("cache_uid")
    if uid is None:
        uid = make_uid()
        store.set_state("cache_uid", uid)
    return uid


def make_operation_id(cache_uid: str, update_id: int) -> str:
    """Our key inside a batch. Letters, digits and a hyphen: one library broke on underscores."""
    return f"{cache_uid}-{update_id}"


def read_operation_id(cache_uid: str, operation_id: str) -> int | None:
    """The update's id, or None when the operation is not of this cache."""
    prefix, _, number = operation_id.partition("-")
    return int(number) if prefix == cache_uid and number.isdigit() else None


_encode = msgspec.json.encode


def queue_update(
    store: Store, row_id: int, planned: PlannedChange, now: datetime, run: str = ""
) -> int:
    """Queue one planned change, after `close_queued` for its row.

    Its tags are an update of their own, sent when the change has succeeded. Returns how many
    updates were queued.
    """
    change, tags = planned.change, planned.tags
    asked = [change] if not tags or not change.is_empty else []
    if tags:
        asked.append(MemberChange(email=change.email, member_id=change.member_id, tags=tags))
    for each in asked:
        cause = StoredCause(
            reason=planned.reason.value,
            at={name: to_text(at) for name, at in planned.caused_at.items()},
            is_gate=planned.is_gate,
            for_others=list(planned.for_others),
            before=_find_before(store, row_id, each),
            run=run,
        )
        if each is asked[-1]:
            cause.metadata = {name: dict(kept) for name, kept in planned.metadata.items()}
        add_update(store, row_id, each, cause, now)
    return len(asked)


def _find_before(store: Store, row_id: int, change: MemberChange) -> dict[str, str | bool | None]:
    """What the row's member has in the fields that a change writes, as far as it is known."""
    names = [f"interest-{interest_id}" for interest_id in change.interests]
    if change.status is not None or change.is_archiving:
        names.append("status")
    if not change.merge_fields.keys().isdisjoint(NAME_TAGS):
        names += ["first_name", "last_name"]
    row = load_row_state(store, row_id) if names else None
    data = row.data if row is not None and row.data is not None else {}
    return {name: data[name] for name in names if name in data}


def add_update(
    store: Store, row_id: int, change: MemberChange, cause: StoredCause, now: datetime
) -> None:
    """Queue one update."""
    store.query(
        "INSERT INTO civicrm_mailchimpsync_update"
        " (mailchimpsync_cache_id, data, cause, created_at) VALUES (?, ?, ?, ?)",
        (row_id, _encode(change).decode(), _encode(cause).decode(), to_text(now)),
    )


def close_queued(
    store: Store, row_ids: Iterable[int], why: str, now: datetime, newest: int | None = None
) -> None:
    """Close updates of these rows that were not sent yet.

    Only those up to the id `newest`, if it is given.
    """
    store.run_many(
        "UPDATE civicrm_mailchimpsync_update SET completed = 1, error_response = ?,"
        " completed_at = ? WHERE mailchimpsync_cache_id = ? AND completed = 0"
        " AND mailchimpsync_batch_id IS NULL AND id <= ?",
        [(why, to_text(now), row_id, 2**62 if newest is None else newest) for row_id in row_ids],
    )


def find_newest_update(store: Store) -> int:
    """The id of the newest update, 0 if there is none."""
    return store.number("SELECT max(id) FROM civicrm_mailchimpsync_update")


def close_all_queued(store: Store, list_id: str, why: str, now: datetime) -> int:
    """Give up whatever of the audience was not sent yet; how many updates that was."""
    with store.atomic():
        row_ids = store.column(f"SELECT c.id {_QUEUED}", {"list": list_id})
        close_queued(store, row_ids, why, now)
        mark_given_up(store, row_ids)
    return len(row_ids)


_QUEUED = """
FROM civicrm_mailchimpsync_update u
JOIN civicrm_mailchimpsync_cache c ON c.id = u.mailchimpsync_cache_id
WHERE u.completed = 0 AND u.mailchimpsync_batch_id IS NULL AND c.mailchimp_list_id = :list
"""


def count_queued(store: Store, list_id: str) -> int:
    """Updates of the audience that wait to be sent."""
    return store.number(f"SELECT count(*) {_QUEUED}", {"list": list_id})


# A member has one operation in flight at a time: batches promise no order. One in a batch that
# hangs for too long is not waited for.
_LOAD_QUEUED = f"""
SELECT u.id, c.id, c.mailchimp_list_id, u.data, u.cause {_QUEUED}
  AND (:of_run IS NULL OR json_extract(u.cause, '$.run') = :of_run)
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update other
      LEFT JOIN civicrm_mailchimpsync_batch b ON b.id = other.mailchimpsync_batch_id
      WHERE other.mailchimpsync_cache_id = c.id AND other.completed = 0
        AND (iif(b.id IS NULL, other.id < u.id, NOT b.is_overdue)))
ORDER BY u.id LIMIT :limit
"""


def claim(
    store: Store,
    list_id: str,
    account: str,
    now: datetime,
    claimed_at: datetime,
    *,
    limit: int = -1,
    direct: Collection[int] | None = None,
    of_run: str | None = None,
) -> tuple[StoredBatch, tuple[QueuedUpdate, ...]] | None:
    """Claim queued updates of one audience for one batch, or None when there are none.

    Of the rows `direct` only, if they are given, to be sent by direct calls; and of what one run
    has queued, if that is given. One transaction:
    afterwards these updates belong to the batch, whatever happens to us. A confirmation counts as
    asked from now on. `claimed_at` is Mailchimp's time: by it the batch is found again.
    """
    status = CLAIMED if direct is None else DIRECT
    with store.atomic():
        where = {"list": list_id, "limit": limit, "of_run": of_run}
        rows = store.query(_LOAD_QUEUED, where).fetchall()
        updates = tuple(_read_queued(r) for r in rows if direct is None or r[1] in direct)
        if not updates:
            return None
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_batch (mailchimp_list_id, account, status,"
            " submitted_at, claimed_at, total_operations) VALUES (?, ?, ?, ?, ?, ?)",
            (list_id, account, status, to_text(now), to_text(claimed_at), len(updates)),
        )
        batch_row = int(cursor.lastrowid or 0)
        store.run_many(
            "UPDATE civicrm_mailchimpsync_update SET mailchimpsync_batch_id = ? WHERE id = ?",
            [(batch_row, update.update_id) for update in updates],
        )
        asking = [u for u in updates if u.change.status is MemberStatus.PENDING]
        note_asked(store, [(u.row_id, u.cause.at.get("status")) for u in asking])
    batch = StoredBatch(batch_row, list_id, account, None, status, now, len(updates), claimed_at)
    return batch, updates


def find_unbatchable(store: Store, list_id: str) -> list[int]:
    """Rows with a queued update that can only be sent by a direct call."""
    return store.column(
        f"SELECT DISTINCT c.id {_QUEUED}"
        " AND json_extract(u.data, '$.skips_validation') ORDER BY c.id",
        {"list": list_id},
    )


def has_queued(store: Store, list_id: str, of_run: str | None = None) -> bool:
    """Whether anything of the audience could be sent now, or of what one run has queued for it."""
    where = {"list": list_id, "limit": 1, "of_run": of_run}
    return bool(store.query(_LOAD_QUEUED, where).fetchall())


def load_queued(store: Store, list_id: str) -> Iterator[QueuedUpdate]:
    """What would be sent next, in order; read while it is asked for."""
    return map(
        _read_queued, store.query(_LOAD_QUEUED, {"list": list_id, "limit": -1, "of_run": None})
    )


def _read_queued(row: tuple[Any, ...]) -> QueuedUpdate:
    return QueuedUpdate(row[0], row[1], row[2], *decode_update(row[3], row[4]))


def decode_update(data: str, cause: str) -> tuple[MemberChange, StoredCause]:
    """An update as its row stores it: what is asked, and why."""
    return (
        msgspec.json.decode(data, type=MemberChange),
        msgspec.json.decode(cause, type=StoredCause),
    )


def note_sent(store: Store, batch_row: int, batch: Batch) -> None:
    """The claimed batch exists at Mailchimp under this id."""
    with store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_batch SET mailchimp_batch_id = ?, status = ?"
            " WHERE id = ?",
            (batch.batch_id, batch.status, batch_row),
        )


def release(store: Store, batch_row: int) -> None:
    """The claimed batch surely never came to be: its updates are queued again, nobody was asked."""
    with store.atomic():
        updates = load_batch_updates(store, batch_row).values()
        asking = [u.row_id for u in updates if u.change.status is MemberStatus.PENDING]
        note_asked(store, [(row_id, None) for row_id in asking])
        store.query(
            "UPDATE civicrm_mailchimpsync_update SET mailchimpsync_batch_id = NULL"
            " WHERE mailchimpsync_batch_id = ? AND completed = 0",
            (batch_row,),
        )
        store.query("DELETE FROM civicrm_mailchimpsync_batch WHERE id = ?", (batch_row,))


def load_open_batches(store: Store, list_ids: Sequence[str]) -> list[StoredBatch]:
    """Batches of these audiences whose results are not all applied, oldest first."""
    rows = store.query(
        "SELECT id, mailchimp_list_id, account, mailchimp_batch_id, status, submitted_at,"
        " total_operations, claimed_at, all_done_at, is_overdue, unreadable_since"
        " FROM civicrm_mailchimpsync_batch INDEXED BY batch_open"
        " WHERE response_processed < 2"
        " AND mailchimp_list_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json_list(list_ids),),
    )
    return [
        StoredBatch(
            row_id=row[0],
            list_id=row[1],
            account=row[2],
            batch_id=row[3],
            status=row[4],
            submitted_at=from_text(row[5]),
            total_operations=row[6],
            claimed_at=from_text_or_none(row[7]),
            all_done_at=from_text_or_none(row[8]),
            is_overdue=bool(row[9]),
            unreadable_since=from_text_or_none(row[10]),
        )
        for row in rows
    ]


def load_known_batch_ids(store: Store) -> set[str]:
    """Mailchimp's ids of all batches that are ours already."""
    found = store.column(
        "SELECT mailchimp_batch_id FROM civicrm_mailchimpsync_batch"
        " WHERE mailchimp_batch_id IS NOT NULL"
    )
    return set(found)


def note_batch(store: Store, batch_row: int, batch: Batch, processed: int) -> None:
    """Keep what Mailchimp reports of a batch, and how far its results are processed."""
    with store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_batch SET status = ?, completed_at = ?,"
            " finished_operations = ?, errored_operations = ?,"
            " total_operations = max(total_operations, ?), response_processed = ? WHERE id = ?",
            (
                batch.status,
                to_text_or_none(batch.completed_at),
                batch.finished_operations,
                batch.errored_operations,
                batch.total_operations,
                processed,
                batch_row,
            ),
        )


def note_waiting(
    store: Store,
    batch_row: int,
    *,
    all_done_at: datetime | None = None,
    is_overdue: bool = False,
    unreadable_since: datetime | None = None,
) -> None:
    """Keep for how long a batch has kept us waiting, by our own clock; what is None stays."""
    with store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_batch SET all_done_at = coalesce(all_done_at, ?),"
            " is_overdue = is_overdue OR ?, unreadable_since = coalesce(unreadable_since, ?)"
            " WHERE id = ?",
            (
                to_text_or_none(all_done_at),
                is_overdue,
                to_text_or_none(unreadable_since),
                batch_row,
            ),
        )


def load_overdue_rows(store: Store, list_id: str) -> list[int]:
    """Due rows that wait for nothing but batches which hang for too long."""
    return store.column(
        "SELECT DISTINCT c.id FROM civicrm_mailchimpsync_update u"
        " JOIN civicrm_mailchimpsync_batch b ON b.id = u.mailchimpsync_batch_id AND b.is_overdue"
        " CROSS JOIN civicrm_mailchimpsync_cache c"  # never from all who are due
        "  ON c.id = u.mailchimpsync_cache_id AND c.due > 0"
        " WHERE u.completed = 0 AND c.mailchimp_list_id = ? AND NOT EXISTS ("
        "  SELECT 1 FROM civicrm_mailchimpsync_update o"
        "  JOIN civicrm_mailchimpsync_batch n ON n.id = o.mailchimpsync_batch_id"
        "  WHERE o.mailchimpsync_cache_id = c.id AND o.completed = 0 AND NOT n.is_overdue)"
        " ORDER BY c.id",
        (list_id,),
    )


def note_processed(store: Store, batch_row: int, status: str | None = None) -> None:
    """Everything that a batch did is known and applied."""
    with store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_batch SET response_processed = 2,"
            " status = coalesce(?, status) WHERE id = ?",
            (status, batch_row),
        )


def load_batch_updates(store: Store, batch_row: int) -> dict[int, QueuedUpdate]:
    """The updates of a batch whose fate is not known yet, by update id."""
    rows = store.query(
        "SELECT u.id, c.id, c.mailchimp_list_id, u.data, u.cause"
        " FROM civicrm_mailchimpsync_update u"
        " JOIN civicrm_mailchimpsync_cache c ON c.id = u.mailchimpsync_cache_id"
        " WHERE u.mailchimpsync_batch_id = ? AND u.completed = 0",
        (batch_row,),
    )
    return {row[0]: _read_queued(row) for row in rows}


def complete(store: Store, update_id: int, error: str | None, now: datetime) -> None:
    """The fate of an update is known; call inside the transaction that applies it."""
    store.query(
        "UPDATE civicrm_mailchimpsync_update SET completed = 1, error_response = ?,"
        " completed_at = ? WHERE id = ?",
        (error, to_text(now), update_id),
    )


@dataclass(frozen=True, slots=True)
class RowState:
    """What the result handler needs of a cache row."""

    row_id: int
    list_id: str
    data: Mapping[str, str | bool | None] | None
    updated: str | None
    member_id: str | None
    contact_id: int | None
    unique_contact: str | None


def load_row_state(store: Store, row_id: int) -> RowState | None:
    """A row as it is now, or None when it is gone."""
    row = store.query(
        "SELECT id, mailchimp_list_id, mailchimp_data, mailchimp_updated, mailchimp_member_id,"
        " civicrm_contact_id, unique_contact"
        " FROM civicrm_mailchimpsync_cache WHERE id = ?",
        (row_id,),
    ).fetchone()
    if row is None:
        return None
    data = msgspec.json.decode(row[2], type=dict[str, str | bool | None]) if row[2] else None
    return RowState(row[0], row[1], data, row[3], row[4], row[5], row[6])


# --- what is long done ----------------------------------------------------------------------------

_AT_ONCE = 10_000  # rows in one transaction: webhooks wait to be stored meanwhile
_LONG_DONE = "completed = 1 AND coalesce(completed_at, created_at) < :before AND id < :newest"
# An id stands in an operation, and must not come to mean another: the newest row stays, emptied.
_EMPTY_NEWEST = """
UPDATE civicrm_mailchimpsync_update SET mailchimpsync_cache_id = 0, data = '{"email":""}',
    cause = '{"reason":""}', error_response = NULL
WHERE id = :newest AND completed = 1 AND coalesce(completed_at, created_at) < :before
    AND mailchimpsync_cache_id <> 0
"""
_DROP_BATCHES = """
DELETE FROM civicrm_mailchimpsync_batch
WHERE response_processed = 2 AND coalesce(completed_at, submitted_at) < :before
    AND id < (SELECT max(id) FROM civicrm_mailchimpsync_batch)
    AND id NOT IN (SELECT mailchimpsync_batch_id FROM civicrm_mailchimpsync_update
        WHERE mailchimpsync_batch_id IS NOT NULL)
    AND id NOT IN (SELECT batch_id FROM civicrm_mailchimpsync_forgotten
        WHERE batch_id IS NOT NULL)
"""


def forget_sent(store: Store, before: datetime) -> int:
    """Drop updates that were done before a time, and the batches of these; how many updates.

    It reads all updates: once a day is enough. Batches by which forgotten people are known to have
    signed up stay.
    """
    where: dict[str, object] = {"before": to_text(before), "newest": find_newest_update(store)}
    done = f"SELECT id FROM civicrm_mailchimpsync_update WHERE {_LONG_DONE}"
    count = 0
    for after, last in store.ranges(done, _AT_ONCE, **where):
        with store.atomic():
            count += store.query(
                "DELETE FROM civicrm_mailchimpsync_update"
                f" WHERE id > :after AND id <= :last AND {_LONG_DONE}",
                {**where, "after": after, "last": last},
            ).rowcount
    with store.atomic():
        store.query(_EMPTY_NEWEST, where)
        store.query(_DROP_BATCHES, where)
    return count
