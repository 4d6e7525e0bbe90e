"""Single cache rows: added, linked, and prepared for a member who is about to exist."""

from collections.abc import Mapping, Sequence

import msgspec

from mcsync.cache.store import Store
from mcsync.model import Reason, email_key


def add_row(store: Store, list_id: str, contact_id: int | None) -> int:
    """A new row for a contact that needs one of its own; call inside a transaction."""
    cursor = store.query(
        "INSERT INTO civicrm_mailchimpsync_cache"
        " (mailchimp_list_id, civicrm_contact_id, sync_status) VALUES (?, ?, 'live')",
        (list_id, contact_id),
    )
    return int(cursor.lastrowid or 0)


def link_rows(store: Store, contacts: Mapping[int, int]) -> None:
    """Link rows to the contacts that were created for them; call inside a transaction."""
    store.run_many(
        "UPDATE civicrm_mailchimpsync_cache SET civicrm_contact_id = ?, lost_contact_id = NULL"
        " WHERE id = ?",
        [(contact_id, row_id) for row_id, contact_id in contacts.items()],
    )


def prepare_address(store: Store, row_id: int, email: str) -> None:
    """Tell a row the address its member is going to have, so that a fetch finds the row.

    The member's id stays unset until the member exists. Call inside a transaction.
    """
    store.query(
        "UPDATE OR IGNORE civicrm_mailchimpsync_cache SET mailchimp_email = ?, email_key = ?"
        " WHERE id = ?",
        (email, email_key(email), row_id),
    )


def note_refused(store: Store, row_id: int, decided_at: str | None, reason: Reason) -> None:
    """Mailchimp refused to subscribe this row for a decision; call inside a transaction."""
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET refused_at = ?, refusal = ? WHERE id = ?",
        (decided_at, reason.value, row_id),
    )


def note_reconfirmed(store: Store, row_id: int, decided_at: str | None) -> None:
    """A confirmation mail is asked for, for a decision; call inside a transaction."""
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET reconfirmed_at = ? WHERE id = ?",
        (decided_at, row_id),
    )


def lose_member(store: Store, row_id: int, data: Mapping[str, str | bool | None]) -> None:
    """The row's member is no longer in the audience; call inside a transaction.

    By Mailchimp's contact id, which is kept, they are known again under whatever address.
    """
    store.query(
        "UPDATE civicrm_mailchimpsync_cache SET mailchimp_member_id = NULL,"
        " mailchimp_status = NULL, mailchimp_data = ?,"
        " civicrm_data = NULL, sync_status = 'todo' WHERE id = ?",
        (msgspec.json.encode(data).decode(), row_id),
    )


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


def load_member_row(
    store: Store, list_id: str, address: str
) -> tuple[int, dict[str, str | bool | None]] | None:
    """(row id, data) of the member with this address, or None if the cache knows none."""
    row = store.query(
        "SELECT id, mailchimp_data FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?"
        " AND email_key = ? AND mailchimp_member_id IS NOT NULL",
        (list_id, email_key(address)),
    ).fetchone()
    if row is None:
        return None
    return row[0], msgspec.json.decode(row[1], type=dict[str, str | bool | None])


def load_member_times(store: Store, list_id: str, addresses: Sequence[str]) -> dict[str, str]:
    """Lower-cased address -> when its member was last changed, as far as the cache has seen."""
    return _load_of_members(store, "mailchimp_updated", list_id, addresses)


def load_member_statuses(store: Store, list_id: str, addresses: Sequence[str]) -> dict[str, str]:
    """Lower-cased address -> the status of its member."""
    return _load_of_members(store, "mailchimp_status", list_id, addresses)


def load_unique_contacts(store: Store, list_id: str, addresses: Sequence[str]) -> dict[str, str]:
    """Lower-cased address -> Mailchimp's contact id of its member, where it is known."""
    found = _load_of_members(store, "unique_contact", list_id, addresses)
    return {key: unique_contact for key, unique_contact in found.items() if unique_contact}


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
