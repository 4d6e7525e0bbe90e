"""Which contact belongs to which member: the documents' steps between fetching and judging.

All of it is set-based SQL, in chunks: no transaction is long, for webhooks are stored meanwhile.
What `begin` finds changed in CiviCRM is told to the rows of every audience; `finish` is its end,
once all audiences were told.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from mcsync.cache import rows
from mcsync.cache.contacts import count_mirrored_contacts
from mcsync.cache.mirror import load_mirror_state, save_mirror_state
from mcsync.cache.rows import TABLE, Chunk
from mcsync.cache.store import Store, json_list
from mcsync.cache.times import to_text
from mcsync.decision import Policy

CHUNK = 5000  # rows, or contacts, in one transaction

_CHANGED = "SELECT contact_id AS id FROM temp.changed"


# --- what changed in CiviCRM ----------------------------------------------------------------------


def begin(store: Store) -> int:
    """Have the rows judged of everyone who changed in CiviCRM; how many people changed.

    Where the mirror is untold that is everybody.
    """
    with store.scratch():
        store.query("DROP TABLE IF EXISTS temp.changed")
        store.query("CREATE TEMP TABLE changed (contact_id INTEGER PRIMARY KEY)")
    for table in ("contact", "group_contact"):
        dirty = f"SELECT contact_id AS id FROM civicrm_mailchimpsync_{table} WHERE is_dirty = 1"
        for after, last in store.ranges(dirty, CHUNK):
            with store.atomic():
                store.query(
                    f"INSERT OR IGNORE INTO changed {dirty} AND contact_id > ? AND contact_id <= ?",
                    (after, last),
                )
    if load_mirror_state(store).is_untold:
        rows.mark_all_audiences(store)
        return count_mirrored_contacts(store)
    for after, last in store.ranges(_CHANGED, CHUNK):
        with store.atomic():
            rows.mark_concerned(store, after, last)
    return store.number("SELECT count(*) FROM changed")


def add_civi_only(store: Store, policy: Policy, *, everybody: bool) -> int:
    """addCiviOnly: contacts Added to the group whom Mailchimp does not know; how many.

    Looks only at those whom `begin` found, unless `everybody` is asked for, or has changed. Once
    all other rows have their contacts.
    """
    everybody |= load_mirror_state(store).is_untold
    among = _CHANGED
    if everybody:
        among = (
            "SELECT contact_id AS id FROM civicrm_mailchimpsync_group_contact"
            f" WHERE group_id = {int(policy.group_id)}"
        )
    found = 0
    for chunk in store.ranges(among, CHUNK):
        with store.atomic():
            found += rows.add_civi_only(store, policy, chunk, everybody=everybody)
    return found


def finish(store: Store) -> None:
    """Everyone concerned has been told."""
    for after, last in store.ranges(_CHANGED, CHUNK):
        with store.atomic():
            for table in ("contact", "group_contact"):
                store.query(
                    f"UPDATE civicrm_mailchimpsync_{table} SET is_dirty = 0 WHERE is_dirty = 1"
                    " AND contact_id > ? AND contact_id <= ?",
                    (after, last),
                )
    state = load_mirror_state(store)
    if state.is_untold:
        state.is_untold = False
        with store.atomic():
            save_mirror_state(store, state)
    with store.scratch():
        store.query("DROP TABLE IF EXISTS temp.changed")


# --- each audience --------------------------------------------------------------------------------


def due_chunks(store: Store, list_id: str) -> Iterator[Chunk]:
    """The rows to be judged, so many at once as one transaction is to have."""
    return store.ranges(rows.DUE_IDS, CHUNK, list=list_id)


def remove_invalid_contact_ids(store: Store, list_id: str, now: datetime) -> None:
    """removeInvalidContactIds: trashed and purged contacts lose their rows' CiviCRM half.

    Rows of merged contacts move to the survivor. `now` is CiviCRM's time.
    """
    with store.atomic():
        rows.lose_contacts(store, list_id, to_text(now))


_OWNERS = f"""
FROM {TABLE} r
CROSS JOIN civicrm_mailchimpsync_email e ON e.email_key = r.email_key
CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 0
WHERE r.mailchimp_list_id = :list AND r.due > 0 AND r.id > :after AND r.id <= :last
  AND r.civicrm_contact_id IS NULL AND r.mailchimp_member_id IS NOT NULL
"""
# The documents' first step: the address is owned by a single contact, as nearly all are.
_ONLY_OWNER = f"""
SELECT r.id AS row_id, e.contact_id, 0 AS is_shared {_OWNERS}
GROUP BY r.id HAVING min(e.contact_id) = max(e.contact_id)
"""
_NEW_OWNERS = """
CREATE TEMP TABLE IF NOT EXISTS owner (
    row_id INTEGER, contact_id INTEGER, PRIMARY KEY (row_id, contact_id)) WITHOUT ROWID
"""
_FIND_OWNERS = f"INSERT OR IGNORE INTO owner SELECT r.id, e.contact_id {_OWNERS}"


def _cut(name: str) -> str:
    """A member's name as CiviCRM keeps it (`reconcile.names.cut_as_civicrm`), as SQL."""
    return f"iif(length({name}) > 64, substr({name}, 1, 61) || '...', {name})"


_FIRST = _cut("json_extract(r.mailchimp_data, '$.first_name')")
_LAST = _cut("json_extract(r.mailchimp_data, '$.last_name')")
_SAME_NAME = f"""
EXISTS (SELECT 1 FROM {TABLE} r
    JOIN civicrm_mailchimpsync_contact c ON c.contact_id = o.contact_id
    WHERE r.id = o.row_id
      AND lower(c.first_name) = lower({_FIRST})
      AND lower(c.last_name) = lower({_LAST})
      AND c.first_name || c.last_name <> '')
"""
# The documents' next steps, one after the other; each looks only at rows still without a contact.
# Whether the contact is one of several owners, chosen by something else than a name, is told.
_CHOSEN = f"""
SELECT o.row_id, o.contact_id, NOT {_SAME_NAME} AS is_shared
FROM (SELECT row_id, min(o.contact_id) AS contact_id FROM owner o {{among}} GROUP BY row_id) o
"""
_IN_GROUP = (
    "JOIN civicrm_mailchimpsync_group_contact g ON g.contact_id = o.contact_id"
    " AND g.group_id = :group {status}"
)
_STEPS = (
    # the lowest id among those Added to the audience's group
    _CHOSEN.format(among=_IN_GROUP.format(status="AND g.status = 'Added'")),
    # the lowest id with any history of that group
    _CHOSEN.format(among=_IN_GROUP.format(status="")),
    # the only one whose first and last name match
    "SELECT row_id, min(contact_id) AS contact_id, 0 AS is_shared FROM owner o"
    f" WHERE {_SAME_NAME} GROUP BY row_id HAVING count(*) = 1",
)
_LOWEST_ID = _CHOSEN.format(among="")


def populate_missing_contact_ids(store: Store, policy: Policy, chunk: Chunk) -> int:
    """populateMissingContactIDs: find the contact of each member that has none; how many found.

    Call inside a transaction.
    """
    where = {"list": policy.list_id, "after": chunk[0], "last": chunk[1]}
    found = rows.link_found(store, _ONLY_OWNER, policy, where)
    store.query(_NEW_OWNERS)
    store.query("DELETE FROM owner")
    if not store.query(_FIND_OWNERS, where).rowcount:
        return found
    for select in (*_STEPS, *(() if policy.skips_duplicates else (_LOWEST_ID,))):
        found += rows.link_found(store, select, policy)
        store.query(
            f"DELETE FROM owner WHERE row_id IN (SELECT id FROM {TABLE}"
            " WHERE id IN (SELECT row_id FROM owner) AND civicrm_contact_id IS NOT NULL)"
        )
    return found


# --- whose address is it --------------------------------------------------------------------------


_TO_LOOK_UP = (
    f"{TABLE} INDEXED BY cache_due"
    " WHERE mailchimp_list_id = :list AND due > 0 AND civicrm_contact_id IS NULL"
    " AND is_looked_up = 0 AND mailchimp_member_id IS NOT NULL AND email_key IS NOT NULL"
)


def count_addresses_to_look_up(store: Store, list_id: str) -> int:
    """How many members have no contact, and their owners were not asked for yet."""
    return store.number(f"SELECT count(*) FROM {_TO_LOOK_UP}", {"list": list_id})


def load_addresses_to_look_up(
    store: Store, list_id: str, size: int
) -> Iterator[list[tuple[int, str]]]:
    """(row id, address) of members without a contact whose owners were not asked for yet.

    In row id order, so many at once.
    """
    sql = f"SELECT id, email_key FROM {_TO_LOOK_UP} AND id > :after ORDER BY id LIMIT :limit"
    yield from store.pages(sql, size, list=list_id)


def load_unknown_contacts(store: Store, contact_ids: Sequence[int]) -> list[int]:
    """Those of these contacts that are not in the mirror yet."""
    return store.column(
        "SELECT value FROM json_each(?) WHERE value NOT IN"
        " (SELECT contact_id FROM civicrm_mailchimpsync_contact)",
        (json_list(contact_ids),),
    )


def load_linked_to_deleted(store: Store) -> list[int]:
    """Trashed contacts that rows are still linked to and whose survivor is not known."""
    return store.column(
        "SELECT DISTINCT c.contact_id FROM civicrm_mailchimpsync_contact c"
        f" JOIN {TABLE} r ON r.civicrm_contact_id = c.contact_id"
        " WHERE c.is_deleted = 1 AND c.merged_to IS NULL"
    )


def note_merged(store: Store, merged_to: Mapping[int, int]) -> None:
    """Remember who survived a merge."""
    store.run_many(
        "UPDATE civicrm_mailchimpsync_contact SET merged_to = ? WHERE contact_id = ?",
        [(winner, loser) for loser, winner in merged_to.items()],
    )
