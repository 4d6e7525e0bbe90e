"""Having people judged again because a human asks for it."""

from collections.abc import Sequence

import msgspec

from mcsync.cache.store import Store


def find_failed(store: Store, list_id: str) -> list[int]:
    """Rows of the audience that are in `fail`."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND sync_status = 'fail' ORDER BY id",
        (list_id,),
    )
    return [row[0] for row in rows]


def mark_for_resync(store: Store, row_ids: Sequence[int]) -> None:
    """Have these rows judged, as if Mailchimp had not refused them; call inside a transaction.

    For which decision a confirmation mail was asked stays: nobody is mailed twice for one.
    """
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET sync_status = 'todo', refused_at = NULL,"
        " refusal = NULL WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(list(row_ids)).decode(),),
    )
