"""The queue of what webhooks told: stored by whoever receives them, without the lock of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

from mcsync.cache.store import Store, json_list
from mcsync.cache.times import to_text
from mcsync.model import EventKind, WebhookEvent

# In the order of the fields of an event.
_COLUMNS = "kind, list_id, email, old_email, reason, batch_id, fired_at"


# An event in whose handling we died so often is given up; one more, and somebody was told of it.
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in the queue, and in how many attempts to handle it somebody died or failed."""

    event_id: int
    event: WebhookEvent
    attempts: int


def save_events(store: Store, events: Iterable[WebhookEvent], now: datetime) -> None:
    """Put events into the queue, all in one transaction."""
    received_at = to_text(now)
    rows = [(received_at, *astuple(event)) for event in events]
    with store.atomic():
        store.insert_many(
            f"INSERT INTO civicrm_mailchimpsync_webhook (received_at, {_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def load_events(store: Store, list_ids: Sequence[str], limit: int) -> list[StoredEvent]:
    """The oldest events of these audiences, and of batches, at most `limit`.

    Where somebody failed over some events, these come last and one by one, so that the one to
    blame is found; that one is given up after some attempts.
    """
    rows = store.query(
        f"SELECT id, attempts, {_COLUMNS} FROM civicrm_mailchimpsync_webhook"
        " WHERE attempts < ? AND (list_id = '' OR list_id IN (SELECT value FROM json_each(?)))"
        " ORDER BY attempts, id LIMIT ?",
        (MOST_ATTEMPTS, json_list(list_ids), limit),
    )
    found = [
        StoredEvent(event_id, WebhookEvent(EventKind(kind), *texts), attempts)
        for event_id, attempts, kind, *texts in rows
    ]
    return [each for each in found if not each.attempts] or found[:1]


def has_events(store: Store) -> bool:
    """Whether anything waits."""
    sql = "SELECT 1 FROM civicrm_mailchimpsync_webhook WHERE attempts < ? LIMIT 1"
    return bool(store.number(sql, (MOST_ATTEMPTS,)))


def drop_events(store: Store, event_ids: Sequence[int]) -> None:
    """Take handled events out of the queue."""
    with store.atomic():
        store.run_many(
            "DELETE FROM civicrm_mailchimpsync_webhook WHERE id = ?",
            [(event_id,) for event_id in event_ids],
        )


def give_up_events(store: Store, before: datetime) -> None:
    """Give up events received before a time, as those of audiences no longer in the config."""
    with store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_webhook SET attempts = ? WHERE received_at < ?"
            " AND attempts < ?",
            (MOST_ATTEMPTS, to_text(before), MOST_ATTEMPTS),
        )


def drop_given_up(store: Store, before: datetime) -> int:
    """Drop events given up that were received before a time; how many there were."""
    with store.atomic():
        return store.query(
            "DELETE FROM civicrm_mailchimpsync_webhook WHERE received_at < ? AND attempts >= ?",
            (to_text(before), MOST_ATTEMPTS),
        ).rowcount


def count_news_of_given_up(store: Store) -> int:
    """How many events were given up since this was last asked; call it to tell them."""
    with store.atomic():
        return store.query(
            "UPDATE civicrm_mailchimpsync_webhook SET attempts = ? WHERE attempts = ?",
            (MOST_ATTEMPTS + 1, MOST_ATTEMPTS),
        ).rowcount


def retry_given_up(store: Store, now: datetime) -> int:
    """Put events that were given up into the queue again, as if received now; how many."""
    with store.atomic():
        found = store.query(
            f"INSERT INTO civicrm_mailchimpsync_webhook (received_at, {_COLUMNS})"
            f" SELECT ?, {_COLUMNS} FROM civicrm_mailchimpsync_webhook WHERE attempts >= ?"
            " ORDER BY id",
            (to_text(now), MOST_ATTEMPTS),
        ).rowcount
        store.query(
            "DELETE FROM civicrm_mailchimpsync_webhook WHERE attempts >= ?", (MOST_ATTEMPTS,)
        )
    return found


def note_attempts(store: Store, event_ids: Sequence[int], step: int) -> None:
    """One attempt more (`step` 1) to handle these events, or one less: it was not their fault."""
    with store.atomic():
        store.run_many(
            "UPDATE civicrm_mailchimpsync_webhook SET attempts = max(attempts + ?, 0) WHERE id = ?",
            [(step, event_id) for event_id in event_ids],
        )
