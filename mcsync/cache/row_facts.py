"""Questions about single rows: whose they are, and what their members are like. Only reads."""

from collections.abc import Sequence

import msgspec

from mcsync.cache.rows import ids_of
from mcsync.cache.store import Store
from mcsync.model import email_key


def find_addresses(store: Store, list_id: str, contact_id: int) -> list[str]:
    """Addresses under which a contact may be a member: their own, and those of linked rows."""
    rows = store.query(
        "SELECT email_key FROM civicrm_mailchimpsync_email WHERE contact_id = ?1 AND email <> ''"
        " UNION SELECT email_key FROM civicrm_mailchimpsync_cache"
        "  WHERE civicrm_contact_id = ?1 AND mailchimp_list_id = ?2 AND email_key IS NOT NULL",
        (contact_id, list_id),
    )
    return [row[0] for row in rows]


def find_rows(
    store: Store, list_id: str, addresses: Sequence[str], contact_id: int | None
) -> list[int]:
    """Rows of an audience with one of these addresses, or linked to this contact."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?1"
        " AND email_key IN (SELECT value FROM json_each(?2))"
        " UNION SELECT id FROM civicrm_mailchimpsync_cache"
        "  WHERE civicrm_contact_id = ?3 AND mailchimp_list_id = ?1",
        (
            list_id,
            msgspec.json.encode([email_key(address) for address in addresses]).decode(),
            contact_id,
        ),
    )
    return [row[0] for row in rows]


def load_member_times(store: Store, list_id: str, addresses: Sequence[str]) -> dict[str, str]:
    """Lower-cased address -> when its member was last changed, as far as the cache has seen."""
    return _load_of_members(store, "mailchimp_updated", list_id, addresses)


def load_member_statuses(store: Store, list_id: str, addresses: Sequence[str]) -> dict[str, str]:
    """Lower-cased address -> the status of its member."""
    return _load_of_members(store, "mailchimp_status", list_id, addresses)


def _load_of_members(
    store: Store, column: str, list_id: str, addresses: Sequence[str]
) -> dict[str, str]:
    rows = store.query(
        f"SELECT email_key, {column} FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND mailchimp_member_id IS NOT NULL"
        " AND email_key IN (SELECT value FROM json_each(?))",
        (list_id, msgspec.json.encode([email_key(address) for address in addresses]).decode()),
    )
    return dict(rows.fetchall())


def find_not_failing(store: Store, row_ids: Sequence[int]) -> list[int]:
    """Those of these rows whose last verdict was not that CiviCRM refused them."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache"
        " WHERE id IN (SELECT value FROM json_each(?))"
        " AND sync_reason IS NOT 'refused-by-civicrm'",
        (msgspec.json.encode(row_ids).decode(),),
    )
    return [row[0] for row in rows]


def load_unseen_members(store: Store, row_ids: Sequence[int], fetch_no: int) -> dict[int, str]:
    """By row id, the ids of those members whom this fetch has not shown."""
    rows = store.query(
        "SELECT id, mailchimp_member_id FROM civicrm_mailchimpsync_cache"
        " WHERE id IN (SELECT value FROM json_each(?)) AND seen_fetch < ?"
        " AND mailchimp_member_id IS NOT NULL",
        (ids_of(row_ids), fetch_no),
    )
    return dict(rows.fetchall())


def load_known_members(
    store: Store, list_id: str, addresses: Sequence[str]
) -> dict[str, tuple[int, str, str]]:
    """Lower-cased address -> (row id, member id, Mailchimp's contact id or "") of its member."""
    rows = store.query(
        "SELECT email_key, id, mailchimp_member_id, coalesce(unique_contact, '')"
        " FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND mailchimp_member_id IS NOT NULL"
        " AND email_key IN (SELECT value FROM json_each(?))",
        (list_id, msgspec.json.encode([email_key(address) for address in addresses]).decode()),
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def load_data_due(store: Store, row_ids: Sequence[int]) -> set[int]:
    """Those of these rows that are to be judged with data."""
    rows = store.query(
        "SELECT id FROM civicrm_mailchimpsync_cache WHERE is_data_due = 1"
        " AND id IN (SELECT value FROM json_each(?))",
        (ids_of(row_ids),),
    )
    return {row[0] for row in rows}
