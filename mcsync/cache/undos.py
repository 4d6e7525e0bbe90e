"""Which run undid which, and what a run did: for undo, and for whoever is told of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from mcsync.cache.contacts import LAST_ID
from mcsync.cache.outbox import StoredCause, decode_update
from mcsync.cache.store import Store, has_table, json_list
from mcsync.cache.times import from_text, to_text
from mcsync.model import MemberChange


@dataclass(frozen=True, slots=True)
class Undo:
    """A run that undid another; `row_ids`: of these rows only, None for everybody's."""

    run: str
    undone_run: str
    row_ids: tuple[int, ...] | None
    is_ended: bool


_COLUMNS = "run, undone_run, row_ids, ended_at IS NOT NULL"


def begin_undo(
    store: Store, run: str, undone_run: str, row_ids: Sequence[int] | None, now: datetime
) -> None:
    """Remember that a run undoes another; one that goes on with it is remembered already."""
    store.query(
        "INSERT OR IGNORE INTO civicrm_mailchimpsync_undo"
        " (run, undone_run, row_ids, began_at) VALUES (?, ?, ?, ?)",
        (run, undone_run, None if row_ids is None else json_list(sorted(row_ids)), to_text(now)),
    )


def end_undo(store: Store, run: str, now: datetime) -> None:
    """All that it could put back it has put back, or queued."""
    store.query(
        "UPDATE civicrm_mailchimpsync_undo SET ended_at = ? WHERE run = ?", (to_text(now), run)
    )


def forget_undos(store: Store, before: datetime) -> None:
    """Drop what began before a time: of what was undone the history tells nothing any more."""
    with store.atomic():
        store.query("DELETE FROM civicrm_mailchimpsync_undo WHERE began_at < ?", (to_text(before),))


def find_undo(store: Store, run: str) -> Undo | None:
    """What a run undid, None for one that undid nothing."""
    if not has_table(store, "civicrm_mailchimpsync_undo"):
        return None
    row = store.query(
        f"SELECT {_COLUMNS} FROM civicrm_mailchimpsync_undo WHERE run = ?", (run,)
    ).fetchone()
    return None if row is None else _read_undo(row)


def find_cut_undo(store: Store, undone_run: str) -> Undo | None:
    """The newest undo of a run that was cut off, or left something held."""
    if not has_table(store, "civicrm_mailchimpsync_undo"):
        return None
    row = store.query(
        f"SELECT {_COLUMNS} FROM civicrm_mailchimpsync_undo"
        " WHERE undone_run = ? AND ended_at IS NULL ORDER BY began_at DESC LIMIT 1",
        (undone_run,),
    ).fetchone()
    return None if row is None else _read_undo(row)


def _read_undo(row: tuple[str, str, str | None, int]) -> Undo:
    row_ids = None if row[2] is None else msgspec.json.decode(row[2], type=tuple[int, ...])
    return Undo(row[0], row[1], row_ids, bool(row[3]))


def load_undone(store: Store) -> Mapping[str, list[str]]:
    """By run, the runs that undid it, in order."""
    found: dict[str, list[str]] = {}
    if not has_table(store, "civicrm_mailchimpsync_undo"):
        return found
    for run, undone_run in store.query(
        "SELECT run, undone_run FROM civicrm_mailchimpsync_undo ORDER BY began_at, rowid"
    ):
        found.setdefault(undone_run, []).append(run)
    return found


# --- what a run did, and does ---------------------------------------------------------------------

_OPEN = """
FROM civicrm_mailchimpsync_update u
JOIN civicrm_mailchimpsync_cache c ON c.id = u.mailchimpsync_cache_id
WHERE u.completed = 0 AND c.mailchimp_list_id IN (SELECT value FROM json_each(:lists))
"""


# The newest of those that changed anything on the last day on which anything was changed, or have
# queued or sent something since: by when each began, for results of an earlier one may come later.
_LAST_RUN = f"""
WITH recent AS (
    SELECT run, at, id FROM civicrm_mailchimpsync_change
    WHERE list_id IN (SELECT value FROM json_each(:lists)) AND at >= (
        SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(at), '-1 day')
        FROM civicrm_mailchimpsync_change
        WHERE list_id IN (SELECT value FROM json_each(:lists)))
), candidate AS (
    SELECT run, at, id FROM recent
    UNION ALL
    SELECT json_extract(u.cause, '$.run'), u.created_at, {LAST_ID} {_OPEN}
    UNION ALL
    SELECT json_extract(cause, '$.run'), created_at, 0 FROM civicrm_mailchimpsync_update
    WHERE json_extract(cause, '$.run') IN (SELECT run FROM recent)
)
SELECT run FROM candidate WHERE run <> '' GROUP BY run ORDER BY min(at) DESC, max(id) DESC LIMIT 1
"""


def find_last_run(store: Store, list_ids: Sequence[str]) -> str | None:
    """The run that changed something last, or is about to; None where there never was any.

    What was sent is known to be done only when the result is in: until then the history does not
    have it.
    """
    run: str | None = store.value(_LAST_RUN, {"lists": json_list(list_ids)})
    return run


@dataclass(frozen=True, slots=True)
class OpenUpdate:
    """An update of which nobody knows yet whether it was done; `is_sent`, or only queued."""

    row_id: int
    contact_id: int | None
    change: MemberChange
    cause: StoredCause
    is_sent: bool
    created_at: datetime


def load_open_updates(store: Store, list_id: str, run: str) -> Iterator[OpenUpdate]:
    """What a run has asked of Mailchimp for an audience and has no result yet."""
    rows = store.query(
        "SELECT c.id, c.civicrm_contact_id, u.data, u.cause, u.mailchimpsync_batch_id,"
        f" u.created_at {_OPEN} AND json_extract(u.cause, '$.run') = :run ORDER BY u.id",
        {"lists": json_list([list_id]), "run": run},
    ).fetchall()
    for row in rows:
        change, cause = decode_update(row[2], row[3])
        yield OpenUpdate(row[0], row[1], change, cause, row[4] is not None, from_text(row[5]))


def load_refused_updates(store: Store, list_id: str, run: str) -> dict[int, str]:
    """By row, why an update of a run was refused, as Mailchimp worded it."""
    rows = store.query(
        "SELECT c.id, u.error_response FROM civicrm_mailchimpsync_update u"
        " JOIN civicrm_mailchimpsync_cache c ON c.id = u.mailchimpsync_cache_id"
        " WHERE u.completed = 1 AND u.error_response IS NOT NULL"
        " AND u.mailchimpsync_batch_id IS NOT NULL AND c.mailchimp_list_id = ?"
        " AND json_extract(u.cause, '$.run') = ?",
        (list_id, run),
    )
    return {row[0]: str(row[1]) for row in rows}


def find_queued_rows(store: Store, row_ids: Sequence[int], but: str) -> list[int]:
    """Those of these rows for which another run has queued something that is not sent yet."""
    return store.column(
        "SELECT DISTINCT mailchimpsync_cache_id FROM civicrm_mailchimpsync_update"
        " WHERE completed = 0 AND mailchimpsync_batch_id IS NULL"
        " AND mailchimpsync_cache_id IN (SELECT value FROM json_each(?))"
        " AND coalesce(json_extract(cause, '$.run'), '') <> ?",
        (json_list(row_ids), but),
    )


def has_run(store: Store, list_ids: Sequence[str], run: str) -> bool:
    """Whether the history, or the outbox, knows of a run for these audiences."""
    where = {"lists": json_list(list_ids), "run": run}
    changed = store.value(
        "SELECT 1 FROM civicrm_mailchimpsync_change WHERE run = :run"
        " AND list_id IN (SELECT value FROM json_each(:lists)) LIMIT 1",
        where,
    )
    opened = store.value(
        f"SELECT 1 {_OPEN} AND json_extract(u.cause, '$.run') = :run LIMIT 1", where
    )
    return bool(changed or opened)
