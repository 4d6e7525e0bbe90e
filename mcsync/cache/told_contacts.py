"""Contacts of which CiviCRM told that they changed: stored without the lock of a run.

Each is in the queue once, however often it is told. It leaves the queue when somebody has looked,
unless it was told again meanwhile; what was seen is in the mirror by then.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mcsync.cache.counts import TOLD_TABLE
from mcsync.cache.store import Store, json_list
from mcsync.cache.times import to_text
from mcsync.cache.webhooks import save_events
from mcsync.model import ContactsTold, Delivery, WebhookEvent


def save_deliveries(store: Store, deliveries: Iterable[Delivery], now: datetime) -> None:
    """Put what came, from Mailchimp or CiviCRM, into its queue, all in one transaction."""
    events: list[WebhookEvent] = []
    contact_ids: list[int] = []
    for delivery in deliveries:
        if isinstance(delivery, ContactsTold):
            contact_ids += delivery.contact_ids
        else:
            events.append(delivery)
    with store.atomic():
        save_events(store, events, now)
        store.insert_many(
            f"INSERT INTO {TOLD_TABLE} VALUES (?, ?, 1)"
            " ON CONFLICT (contact_id) DO UPDATE SET times = times + 1",
            [(contact_id, to_text(now)) for contact_id in contact_ids],
        )


def load_told(store: Store, limit: int = -1) -> dict[int, int]:
    """The contacts in the queue, at most `limit`, and how often each was told of."""
    sql = f"SELECT contact_id, times FROM {TOLD_TABLE} ORDER BY contact_id LIMIT ?"
    return dict(store.query(sql, (limit,)).fetchall())


def forget_told(store: Store, told: Mapping[int, int]) -> None:
    """Take these out of the queue, but for those told of again; call inside a transaction."""
    store.run_many(f"DELETE FROM {TOLD_TABLE} WHERE contact_id = ? AND times = ?", told.items())


def find_mirrored(store: Store, contact_ids: Iterable[int]) -> list[int]:
    """Those of these contacts that the mirror has."""
    return store.column(
        "SELECT contact_id FROM civicrm_mailchimpsync_contact"
        " WHERE contact_id IN (SELECT value FROM json_each(?)) ORDER BY contact_id",
        (json_list(contact_ids),),
    )


_HAS_NEWS = """
SELECT t.value FROM json_each(?) t
WHERE NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_contact u
        WHERE u.contact_id = t.value AND u.is_unseen = 1)
    AND (EXISTS (SELECT 1 FROM civicrm_mailchimpsync_contact c
        WHERE c.contact_id = t.value AND c.is_dirty = 1)
    OR EXISTS (SELECT 1 FROM civicrm_mailchimpsync_group_contact g
        WHERE g.contact_id = t.value AND g.is_dirty = 1)
    OR EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache r
        WHERE r.civicrm_contact_id = t.value AND r.due > 0)
    OR EXISTS (SELECT 1 FROM civicrm_mailchimpsync_email e
        CROSS JOIN civicrm_mailchimpsync_cache r ON r.email_key = e.email_key AND r.due > 0
        WHERE e.contact_id = t.value))
ORDER BY t.value
"""


def find_with_news(store: Store, contact_ids: Iterable[int]) -> list[int]:
    """Those of these contacts who changed since they were judged, or whose rows are due.

    Those who are out of our sight are not to be judged.
    """
    return store.column(_HAS_NEWS, (json_list(contact_ids),))


def mark_told(store: Store, contact_ids: Sequence[int]) -> None:
    """Have everybody judged who belongs to these contacts; call inside a transaction."""
    store.query(
        "UPDATE civicrm_mailchimpsync_contact SET is_dirty = 1"
        " WHERE contact_id IN (SELECT value FROM json_each(?))",
        (json_list(contact_ids),),
    )
