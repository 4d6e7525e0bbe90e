"""The outbox: updates queued for Mailchimp, claimed for a batch, sent, and what became of them.

An update is open (`completed` 0) until its fate is known. Open and without a batch: queued.
Open and with one: claimed or sent, and never to be sent again while it may still be there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from mcsync.cache.store import Store, make_uid
from mcsync.cache.times import from_text, to_text
from mcsync.model import Batch, MemberChange, PlannedChange

CLAIMED = "claimed"  # our own word for a batch whose id we do not know yet
DIRECT = "direct"  # and for updates that are sent one by one, outside any batch
LOST = "lost"  # for a batch that may have been there, and was settled by reading
ABORTED = "aborted"  # the documents' word for a batch that was stopped by hand


class StoredCause(msgspec.Struct, omit_defaults=True):
    """Why an update was queued: the rule, and when a human caused each field (times as text).

    `metadata` is what plugins of the data step keep when it has succeeded, by their names.
    """

    reason: str
    at: dict[str, str] = {}
    is_gate: bool = False
    metadata: dict[str, dict[str, object]] = {}


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
    """One batch row; `batch_id` is None while only claimed."""

    row_id: int
    list_id: str
    account: str
    batch_id: str | None
    status: str
    submitted_at: datetime
    response_processed: int
    total_operations: int = 0


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


def queue_update(store: Store, row_id: int, planned: PlannedChange, now: datetime) -> int:
    """Queue one planned change; call inside a transaction, after `close_queued` for its row.

    Its tags are an update of their own, sent when the change has succeeded. Returns how many
    updates were queued.
    """
    change, tags = planned.change, planned.tags
    asked = [change] if not tags or _asks_for_something(change) else []
    if tags:
        asked.append(MemberChange(email=change.email, member_id=change.member_id, tags=tags))
    for each in asked:
        cause = StoredCause(
            reason=planned.reason.value,
            at={name: to_text(at) for name, at in planned.caused_at.items()},
            is_gate=planned.is_gate,
        )
        if each is asked[-1]:
            cause.metadata = {name: dict(kept) for name, kept in planned.metadata.items()}
        add_update(store, row_id, each, cause, now)
    return len(asked)


def _asks_for_something(change: MemberChange) -> bool:
    return change != MemberChange(email=change.email, member_id=change.member_id)


def add_update(
    store: Store, row_id: int, change: MemberChange, cause: StoredCause, now: datetime
) -> None:
    """Queue one update; call inside a transaction."""
    store.query(
        "INSERT INTO civicrm_mailchimpsync_update"
        " (mailchimpsync_cache_id, data, cause, created_at) VALUES (?, ?, ?, ?)",
        (row_id, _encode(change).decode(), _encode(cause).decode(), to_text(now)),
    )


def queue_again(
    store: Store, update: QueuedUpdate, change: MemberChange, reason: str, now: datetime
) -> None:
    """Queue an update once more, before those of its row that wait; call inside a transaction."""
    waiting = store.query(
        "SELECT id, data, cause FROM civicrm_mailchimpsync_update WHERE completed = 0"
        " AND mailchimpsync_cache_id = ? AND mailchimpsync_batch_id IS NULL ORDER BY id",
        (update.row_id,),
    ).fetchall()
    cause = StoredCause(reason, update.cause.at, update.cause.is_gate, update.cause.metadata)
    add_update(store, update.row_id, change, cause, now)
    for update_id, data, why in waiting:
        add_update(store, update.row_id, *decode_update(data, why), now)
        # Its id was never told to anybody: it is the same update, in its place behind the other.
        store.query("DELETE FROM civicrm_mailchimpsync_update WHERE id = ?", (update_id,))


def has_open(store: Store, row_id: int) -> bool:
    """Whether an update of this row is queued or under way."""
    row = store.query(
        "SELECT 1 FROM civicrm_mailchimpsync_update WHERE mailchimpsync_cache_id = ?"
        " AND completed = 0 LIMIT 1",
        (row_id,),
    ).fetchone()
    return row is not None


def close_queued(store: Store, row_ids: Iterable[int], why: str, now: datetime) -> None:
    """Close updates of these rows that were not sent yet; call inside a transaction."""
    store.run_many(
        "UPDATE civicrm_mailchimpsync_update SET completed = 1, error_response = ?,"
        " completed_at = ? WHERE mailchimpsync_cache_id = ? AND completed = 0"
        " AND mailchimpsync_batch_id IS NULL",
        [(why, to_text(now), row_id) for row_id in row_ids],
    )


def close_all_queued(store: Store, list_id: str, why: str, now: datetime) -> int:
    """Give up whatever of the audience was not sent yet; how many updates that was."""
    with store.atomic():
        rows = store.conn.execute(_LOAD_ALL_QUEUED, {"list": list_id}).fetchall()
        close_queued(store, [row[0] for row in rows], why, now)
        store.run_many(
            "UPDATE civicrm_mailchimpsync_cache SET sync_status = 'fail', sync_reason = 'aborted'"
            " WHERE id = ?",
            rows,
        )
    return len(rows)


_LOAD_ALL_QUEUED = """
SELECT c.id FROM civicrm_mailchimpsync_update u
JOIN civicrm_mailchimpsync_cache c ON c.id = u.mailchimpsync_cache_id
WHERE u.completed = 0 AND u.mailchimpsync_batch_id IS NULL AND c.mailchimp_list_id = :list
"""


def count_queued(store: Store, list_id: str) -> int:
    """Updates of the audience that wait to be sent."""
    row = store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_update u"
        " JOIN civicrm_mailchimpsync_cache c ON c.id = u.mailchimpsync_cache_id"
        " WHERE u.completed = 0 AND u.mailchimpsync_batch_id IS NULL AND c.mailchimp_list_id = ?",
        (list_id,),
    ).fetchone()
    return int(row[0])


# A member has one operation in flight at a time: batches promise no order.
_LOAD_QUEUED = """
SELECT u.id, c.id, c.mailchimp_list_id, u.data, u.cause
FROM civicrm_mailchimpsync_update u
JOIN civicrm_mailchimpsync_cache c ON c.id = u.mailchimpsync_cache_id
WHERE u.completed = 0 AND u.mailchimpsync_batch_id IS NULL AND c.mailchimp_list_id = :list
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update other
      WHERE other.mailchimpsync_cache_id = c.id AND other.completed = 0
        AND (other.mailchimpsync_batch_id IS NOT NULL OR other.id < u.id))
ORDER BY u.id LIMIT :limit
"""


def claim(
    store: Store, list_id: str, account: str, limit: int, now: datetime
) -> tuple[StoredBatch, tuple[QueuedUpdate, ...]] | None:
    """Claim queued updates of one audience for one batch, or None when there are none.

    One transaction: afterwards these updates belong to the batch, whatever happens to us.
    """
    with store.atomic():
        rows = store.conn.execute(_LOAD_QUEUED, {"list": list_id, "limit": limit}).fetchall()
        return _claim_rows(store, list_id, account, rows, CLAIMED, now)


def load_queued(store: Store, list_id: str) -> list[QueuedUpdate]:
    """What would be sent next, in order."""
    rows = store.conn.execute(_LOAD_QUEUED, {"list": list_id, "limit": -1}).fetchall()
    return [_read_queued(row) for row in rows]


def claim_direct(
    store: Store, list_id: str, account: str, row_ids: Sequence[int], now: datetime
) -> tuple[StoredBatch, tuple[QueuedUpdate, ...]] | None:
    """Claim what is queued for these rows, to be sent by direct calls, or None."""
    with store.atomic():
        rows = store.conn.execute(_LOAD_QUEUED, {"list": list_id, "limit": -1}).fetchall()
        wanted = [row for row in rows if row[1] in set(row_ids)]
        return _claim_rows(store, list_id, account, wanted, DIRECT, now)


def _claim_rows(
    store: Store,
    list_id: str,
    account: str,
    rows: Sequence[Sequence[object]],
    status: str,
    now: datetime,
) -> tuple[StoredBatch, tuple[QueuedUpdate, ...]] | None:
    if not rows:
        return None
    cursor = store.query(
        "INSERT INTO civicrm_mailchimpsync_batch (mailchimp_list_id, account, status,"
        " submitted_at, total_operations) VALUES (?, ?, ?, ?, ?)",
        (list_id, account, status, to_text(now), len(rows)),
    )
    batch_row = int(cursor.lastrowid or 0)
    store.run_many(
        "UPDATE civicrm_mailchimpsync_update SET mailchimpsync_batch_id = ? WHERE id = ?",
        [(batch_row, row[0]) for row in rows],
    )
    batch = StoredBatch(batch_row, list_id, account, None, status, now, 0, len(rows))
    return batch, tuple(_read_queued(row) for row in rows)


def _read_queued(row: Sequence[object]) -> QueuedUpdate:
    change, cause = decode_update(str(row[3]), str(row[4]))
    return QueuedUpdate(int(str(row[0])), int(str(row[1])), str(row[2]), change, cause)


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
    """The claimed batch never reached Mailchimp: its updates are queued again."""
    with store.atomic():
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
        " response_processed, total_operations"
        " FROM civicrm_mailchimpsync_batch INDEXED BY batch_open WHERE response_processed < 2"
        " AND mailchimp_list_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (_encode(list(list_ids)).decode(),),
    )
    return [
        StoredBatch(row[0], row[1], row[2], row[3], row[4], from_text(row[5]), row[6], row[7])
        for row in rows
    ]


def load_known_batch_ids(store: Store) -> set[str]:
    """Mailchimp's ids of all batches that are ours already."""
    rows = store.query(
        "SELECT mailchimp_batch_id FROM civicrm_mailchimpsync_batch"
        " WHERE mailchimp_batch_id IS NOT NULL"
    )
    return {row[0] for row in rows}


def note_batch(store: Store, batch_row: int, batch: Batch, processed: int) -> None:
    """Keep what Mailchimp reports of a batch, and how far its results are processed."""
    with store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_batch SET status = ?, completed_at = ?,"
            " finished_operations = ?, errored_operations = ?,"
            " total_operations = max(total_operations, ?), response_processed = ? WHERE id = ?",
            (
                batch.status,
                to_text(batch.completed_at) if batch.completed_at else None,
                batch.finished_operations,
                batch.errored_operations,
                batch.total_operations,
                processed,
                batch_row,
            ),
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
    ).fetchall()
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
    sync_status: str
    contact_id: int | None


def load_row_state(store: Store, row_id: int) -> RowState | None:
    """A row as it is now, or None when it is gone."""
    row = store.query(
        "SELECT id, mailchimp_list_id, mailchimp_data, mailchimp_updated, sync_status,"
        " civicrm_contact_id"
        " FROM civicrm_mailchimpsync_cache WHERE id = ?",
        (row_id,),
    ).fetchone()
    if row is None:
        return None
    data = msgspec.json.decode(row[2], type=dict[str, str | bool | None]) if row[2] else None
    return RowState(row[0], row[1], data, row[3], row[4], row[5])
