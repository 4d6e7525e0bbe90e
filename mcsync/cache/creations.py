"""Contacts that CiviCRM may be creating at this moment, by address.

A request goes on over there when nobody waits for its answer any more: the run may have been
killed, the line be cut. Until it has surely ended nobody may ask again, and not even a look at the
site tells whether somebody is still to come.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from mcsync.cache.store import Store, json_list
from mcsync.cache.times import to_text
from mcsync.model import email_key

CREATION_TABLE = "civicrm_mailchimpsync_creation"
# No site was seen to work longer on one request; a slow host ends it after 30 s (civicrm: Writing).
MAY_TAKE = timedelta(minutes=5)


def find_creations(store: Store, emails: Iterable[str], now: datetime) -> set[str]:
    """Those of these addresses, as keys, whose contact an older request may still create."""
    return set(
        store.column(
            f"SELECT email_key FROM {CREATION_TABLE}"
            " WHERE began_at > ? AND email_key IN (SELECT value FROM json_each(?))",
            (to_text(now - MAY_TAKE), json_list({email_key(email) for email in emails})),
        )
    )


def note_creations(store: Store, emails: Iterable[str], now: datetime) -> None:
    """Note before a request begins, or once it went unanswered, whose contact it creates.

    What began at a time to come was noted by a clock that was wrong, and counts from now.
    """
    with store.atomic():
        store.query(
            f"UPDATE {CREATION_TABLE} SET began_at = ?1 WHERE began_at > ?1", (to_text(now),)
        )
        store.insert_many(
            f"INSERT OR REPLACE INTO {CREATION_TABLE} VALUES (?, ?)",
            [(email_key(email), to_text(now)) for email in emails],
        )


def settle_creations(store: Store, emails: Iterable[str]) -> None:
    """Nothing is under way for these; call inside a transaction."""
    store.run_many(
        f"DELETE FROM {CREATION_TABLE} WHERE email_key = ?",
        [(email_key(email),) for email in emails],
    )


def forget_creations(store: Store, now: datetime) -> None:
    """Whatever came of it is over by now."""
    with store.atomic():
        store.query(f"DELETE FROM {CREATION_TABLE} WHERE began_at <= ?", (to_text(now - MAY_TAKE),))
