"""What tests of the cache put into it."""

from mcsync.cache.mirror import apply_history
from mcsync.cache.store import Store
from mcsync.model import HistoryRow
from tests.hours import at

GROUP = 111


def place(store: Store, contact_id: int, status: str = "Added", group: int = GROUP) -> None:
    """A human gave somebody that status in a group, at eight."""
    (last,) = store.query(
        "SELECT coalesce(max(history_id), 0) FROM civicrm_mailchimpsync_group_contact"
    ).fetchone()
    with store.atomic():
        apply_history(
            store, [HistoryRow(last + 1, group, contact_id, status, at(8), is_ours=False)]
        )
