"""Which contact belongs to which member: the documents' steps between fetching and judging.

All of it is set-based SQL on one audience. `mark_changed` tells the rows of every audience that
something changed in CiviCRM, and `forget_changes` is its end, once all audiences were told.
"""

from collections.abc import Mapping, Sequence

import msgspec

from mcsync.cache.store import Store

# A person's rows: linked to the contact, or with an address that the contact owns.
_MARK_CHANGED = """
UPDATE civicrm_mailchimpsync_cache SET sync_status = 'todo', is_data_due = 1
WHERE (sync_status <> 'todo' OR is_data_due = 0) AND id IN (
    SELECT c.id FROM changed d
    CROSS JOIN civicrm_mailchimpsync_cache c ON c.civicrm_contact_id = d.contact_id
    UNION
    SELECT c.id FROM changed d
    CROSS JOIN civicrm_mailchimpsync_email e ON e.contact_id = d.contact_id
    CROSS JOIN civicrm_mailchimpsync_cache c ON c.email_key = e.email_key
)
"""


def mark_changed(store: Store) -> int:
    """Make `todo` the rows of everyone who changed in CiviCRM; how many people changed."""
    store.query("DROP TABLE IF EXISTS temp.changed")
    store.query(
        "CREATE TEMP TABLE changed AS"
        " SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_dirty = 1"
        " UNION SELECT contact_id FROM civicrm_mailchimpsync_group_contact WHERE is_dirty = 1"
    )
    store.query(_MARK_CHANGED)
    return int(store.query("SELECT count(*) FROM changed").fetchone()[0])


def wake_failed(store: Store, list_id: str) -> None:
    """Rows whose update was given up, or whose write CiviCRM refused, are judged again."""
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET sync_status = 'todo'"
        " WHERE mailchimp_list_id = ? AND sync_reason IN ('aborted', 'refused-by-civicrm')"
        " AND sync_status = 'fail'",
        (list_id,),
    )


def forget_changes(store: Store) -> None:
    """Everyone concerned has been told."""
    store.query("UPDATE civicrm_mailchimpsync_contact SET is_dirty = 0 WHERE is_dirty = 1")
    store.query("UPDATE civicrm_mailchimpsync_group_contact SET is_dirty = 0 WHERE is_dirty = 1")
    store.query("DROP TABLE IF EXISTS temp.changed")


_FOLLOW_MERGE = """
UPDATE civicrm_mailchimpsync_cache SET sync_status = 'todo', civicrm_contact_id = (
    SELECT merged_to FROM civicrm_mailchimpsync_contact
    WHERE contact_id = civicrm_mailchimpsync_cache.civicrm_contact_id)
WHERE mailchimp_list_id = ? AND civicrm_contact_id IN (
    SELECT contact_id FROM civicrm_mailchimpsync_contact
    WHERE is_deleted = 1 AND merged_to IS NOT NULL)
"""
_LOSE_CONTACT = """
UPDATE civicrm_mailchimpsync_cache SET lost_contact_id = civicrm_contact_id,
    civicrm_contact_id = NULL, civicrm_groups = NULL, civicrm_data = NULL, sync_status = 'todo'
WHERE mailchimp_list_id = ? AND civicrm_contact_id IN (
    SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_deleted = 1)
"""
_DROP_EMPTY = """
DELETE FROM civicrm_mailchimpsync_cache
WHERE mailchimp_list_id = ? AND sync_status = 'todo' AND civicrm_contact_id IS NULL
  AND mailchimp_member_id IS NULL
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
      WHERE u.mailchimpsync_cache_id = civicrm_mailchimpsync_cache.id AND u.completed = 0)
"""


def remove_invalid_contact_ids(store: Store, list_id: str) -> None:
    """removeInvalidContactIds: trashed and purged contacts lose their rows' CiviCRM half.

    Rows of merged contacts move to the survivor. Rows with neither half go.
    """
    store.query(_FOLLOW_MERGE, (list_id,))
    store.query(_LOSE_CONTACT, (list_id,))
    store.query(_DROP_EMPTY, (list_id,))


_NEW_OWNERS = """
CREATE TEMP TABLE owner (
    row_id INTEGER, contact_id INTEGER, PRIMARY KEY (row_id, contact_id)) WITHOUT ROWID
"""
_FIND_OWNERS = """
INSERT OR IGNORE INTO owner
SELECT r.id, e.contact_id
FROM civicrm_mailchimpsync_cache r
CROSS JOIN civicrm_mailchimpsync_email e ON e.email_key = r.email_key
CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 0
WHERE r.mailchimp_list_id = ? AND r.sync_status = 'todo' AND r.civicrm_contact_id IS NULL
  AND r.mailchimp_member_id IS NOT NULL
"""
# The documents' steps, one after the other; each looks only at rows still without a contact.
# With each: whether the contact is one of several owners, chosen by something else than a name.
_OWNER_IN_GROUP = (
    "SELECT row_id, min(o.contact_id) AS contact_id FROM owner o"
    " JOIN civicrm_mailchimpsync_group_contact g"
    " ON g.contact_id = o.contact_id AND g.group_id = :group_id {status} GROUP BY row_id"
)
_STEPS = (
    # the address is owned by a single contact
    (
        "SELECT row_id, min(contact_id) AS contact_id FROM owner GROUP BY row_id"
        " HAVING count(*) = 1",
        False,
    ),
    # the lowest id among those Added to the audience's group
    (_OWNER_IN_GROUP.format(status="AND g.status = 'Added'"), True),
    # the lowest id with any history of that group
    (_OWNER_IN_GROUP.format(status=""), True),
    # the only one whose first and last name match
    (
        "SELECT row_id, min(o.contact_id) AS contact_id FROM owner o"
        " JOIN civicrm_mailchimpsync_cache r ON r.id = o.row_id"
        " JOIN civicrm_mailchimpsync_contact c ON c.contact_id = o.contact_id"
        " WHERE lower(c.first_name) = lower(json_extract(r.mailchimp_data, '$.first_name'))"
        " AND lower(c.last_name) = lower(json_extract(r.mailchimp_data, '$.last_name'))"
        " AND c.first_name || c.last_name <> '' GROUP BY row_id HAVING count(*) = 1",
        False,
    ),
)
_LOWEST_ID = ("SELECT row_id, min(contact_id) AS contact_id FROM owner GROUP BY row_id", True)


def populate_missing_contact_ids(
    store: Store, list_id: str, group_id: int, *, skips_duplicates: bool
) -> int:
    """populateMissingContactIDs: find the contact of each member that has none; how many found."""
    store.query("DROP TABLE IF EXISTS temp.owner")
    store.query(_NEW_OWNERS)
    store.query(_FIND_OWNERS, (list_id,))
    found = 0
    for select, is_shared in (*_STEPS, *(() if skips_duplicates else (_LOWEST_ID,))):
        cursor = store.conn.execute(
            "UPDATE civicrm_mailchimpsync_cache SET civicrm_contact_id = m.contact_id,"
            f" is_shared = :is_shared, lost_contact_id = NULL FROM ({select}) AS m"
            " WHERE civicrm_mailchimpsync_cache.id = m.row_id",
            {"group_id": group_id, "is_shared": is_shared},
        )
        found += cursor.rowcount
        store.query(
            "DELETE FROM owner WHERE row_id IN (SELECT id FROM civicrm_mailchimpsync_cache"
            " WHERE id IN (SELECT row_id FROM owner) AND civicrm_contact_id IS NOT NULL)"
        )
    store.query("DROP TABLE temp.owner")
    return found


_DROP_DUPLICATES = """
DELETE FROM civicrm_mailchimpsync_cache
WHERE mailchimp_list_id = :list_id AND mailchimp_member_id IS NULL AND mailchimp_data IS NULL
  AND civicrm_contact_id IN (
    SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache
    WHERE mailchimp_list_id = :list_id AND sync_status = 'todo'
      AND civicrm_contact_id IS NOT NULL)
  AND EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache other
      WHERE other.mailchimp_list_id = :list_id
        AND other.civicrm_contact_id = civicrm_mailchimpsync_cache.civicrm_contact_id
        AND other.id <> civicrm_mailchimpsync_cache.id
        AND (other.mailchimp_member_id IS NOT NULL
             OR other.id < civicrm_mailchimpsync_cache.id))
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
      WHERE u.mailchimpsync_cache_id = civicrm_mailchimpsync_cache.id AND u.completed = 0)
"""


def cleanup_duplicates(store: Store, list_id: str) -> None:
    """cleanupDuplicatesInCache: a contact whose member has a row needs none of its own."""
    store.conn.execute(_DROP_DUPLICATES, {"list_id": list_id})


_ADD_CIVI_ONLY = """
INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, civicrm_contact_id, sync_status)
SELECT :list_id, g.contact_id, 'todo'
FROM civicrm_mailchimpsync_group_contact g
JOIN civicrm_mailchimpsync_contact c ON c.contact_id = g.contact_id AND c.is_deleted = 0
WHERE g.group_id = :group_id AND g.status = 'Added' {among}
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache r
      WHERE r.civicrm_contact_id = g.contact_id AND r.mailchimp_list_id = :list_id)
"""
_AMONG_CHANGED = "AND g.contact_id IN (SELECT contact_id FROM changed)"


def add_civi_only(store: Store, list_id: str, group_id: int, *, everything: bool) -> int:
    """addCiviOnly: contacts Added to the group whom Mailchimp does not know; how many.

    Looks only at those whom `mark_changed` found, unless `everything` is asked for.
    """
    sql = _ADD_CIVI_ONLY.format(among="" if everything else _AMONG_CHANGED)
    return store.conn.execute(sql, {"list_id": list_id, "group_id": group_id}).rowcount


_IDENTIFY = """
UPDATE civicrm_mailchimpsync_cache SET civicrm_groups = (
    SELECT json_group_object(g.group_id, json_object(
        'status', coalesce(g.status, 'Deleted'), 'date', g.said_at))
    FROM civicrm_mailchimpsync_group_contact g
    WHERE g.contact_id = civicrm_mailchimpsync_cache.civicrm_contact_id
      AND g.group_id IN (SELECT value FROM json_each(:groups)))
WHERE mailchimp_list_id = :list_id AND sync_status = 'todo' AND civicrm_contact_id IS NOT NULL
"""


def identify_group_contact_changes(store: Store, list_id: str, group_ids: Sequence[int]) -> None:
    """identifyGroupContactChanges: the rows' own copy of where their contact stands."""
    groups = msgspec.json.encode(list(group_ids)).decode()
    store.conn.execute(_IDENTIFY, {"list_id": list_id, "groups": groups})


# --- whose address is it --------------------------------------------------------------------------


def load_addresses_to_look_up(
    store: Store, list_id: str, after: int, limit: int
) -> list[tuple[int, str]]:
    """(row id, address) of members without a contact whose owners were not asked for yet.

    In row id order, those above `after`.
    """
    rows = store.query(
        "SELECT id, email_key FROM civicrm_mailchimpsync_cache INDEXED BY cache_todo"
        " WHERE mailchimp_list_id = ? AND sync_status = 'todo' AND civicrm_contact_id IS NULL"
        " AND is_looked_up = 0 AND mailchimp_member_id IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
        (list_id, after, limit),
    )
    return [(row[0], row[1]) for row in rows]


def note_looked_up(store: Store, row_ids: Sequence[int]) -> None:
    """The owners of these rows' addresses are in the mirror now; call inside a transaction."""
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET is_looked_up = 1"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(row_ids).decode(),),
    )


def load_unknown_contacts(store: Store, contact_ids: Sequence[int]) -> list[int]:
    """Those of these contacts that are not in the mirror yet."""
    rows = store.query(
        "SELECT value FROM json_each(?) WHERE value NOT IN"
        " (SELECT contact_id FROM civicrm_mailchimpsync_contact)",
        (msgspec.json.encode(list(contact_ids)).decode(),),
    )
    return [row[0] for row in rows]


def load_linked_to_deleted(store: Store) -> list[int]:
    """Trashed contacts that rows are still linked to and whose survivor is not known."""
    rows = store.query(
        "SELECT DISTINCT c.contact_id FROM civicrm_mailchimpsync_contact c"
        " JOIN civicrm_mailchimpsync_cache r ON r.civicrm_contact_id = c.contact_id"
        " WHERE c.is_deleted = 1 AND c.merged_to IS NULL"
    )
    return [row[0] for row in rows]


def note_merged(store: Store, merged_to: Mapping[int, int]) -> None:
    """Remember who survived a merge; call inside a transaction."""
    store.run_many(
        "UPDATE civicrm_mailchimpsync_contact SET merged_to = ? WHERE contact_id = ?",
        [(winner, loser) for loser, winner in merged_to.items()],
    )
