"""Who is in `fail`, to be judged again because a human asks for it."""

from mcsync.cache.store import Store


def find_failed(store: Store, list_id: str) -> list[int]:
    """Rows of the audience that are in `fail`."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND sync_status = 'fail' ORDER BY id",
        (list_id,),
    )
    return [row[0] for row in rows]
