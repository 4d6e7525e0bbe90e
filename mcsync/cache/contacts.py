"""CiviCRM's contacts and their addresses, as far as they concern us.

Contacts that changed are marked dirty until `linking` has told every audience, as places are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from mcsync.cache.forgotten import leave_out_contacts, text_of_created
from mcsync.cache.mirror import load_mirror_state
from mcsync.cache.rows import lose_strangers, mark_addresses
from mcsync.cache.store import Store, json_list
from mcsync.cache.times import to_text
from mcsync.decision import NameWrite
from mcsync.model import Contact, ContactPage, Email, email_key

LAST_ID = 2**62  # above all ids

GATE_FLAGS = (
    "is_deceased",
    "is_opt_out",
    "do_not_email",
)  # as `reconcile.gate` has them
_CONTACT_COLUMNS = (  # those by which two contacts are compared
    f"contact_id, first_name, last_name, is_deleted, {', '.join(GATE_FLAGS)}, is_person"
)
_EMAIL_COLUMNS = "email_id, contact_id, email, email_key, is_primary, is_bulkmail, on_hold"

# The address at which a contact is to be mailed best (reconcile.gate), though it be on hold.
BEST_ADDRESS = """
(SELECT e.email FROM civicrm_mailchimpsync_email e WHERE e.contact_id = {contact}
    ORDER BY e.on_hold, e.is_bulkmail DESC, e.is_primary DESC, e.email_id LIMIT 1)
"""
_KEEP_EMAIL = f"""
INSERT INTO civicrm_mailchimpsync_email ({_EMAIL_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (email_id) DO UPDATE SET contact_id = excluded.contact_id, email = excluded.email,
    email_key = excluded.email_key, is_primary = excluded.is_primary,
    is_bulkmail = excluded.is_bulkmail, on_hold = excluded.on_hold
"""
# Since when the gate has been closed is remembered: no later than CiviCRM's last change.
_KEEP_CONTACT = f"""
INSERT INTO civicrm_mailchimpsync_contact ({_CONTACT_COLUMNS},
    created_at, gate_closed_at, modified_at, first_name_at, last_name_at, is_dirty)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), ?, ?, ?, ?)
ON CONFLICT (contact_id) DO UPDATE SET
    first_name = excluded.first_name, last_name = excluded.last_name,
    {", ".join(f"{flag} = excluded.{flag}" for flag in ("is_deleted", *GATE_FLAGS, "is_person"))},
    modified_at = excluded.modified_at, created_at = excluded.created_at, is_dirty = 1,
    first_name_at = CASE WHEN excluded.first_name = first_name
        THEN first_name_at ELSE excluded.modified_at END,
    last_name_at = CASE WHEN excluded.last_name = last_name
        THEN last_name_at ELSE excluded.modified_at END,
    merged_to = CASE WHEN excluded.is_deleted THEN merged_to END,
    gate_closed_at = CASE
        WHEN excluded.gate_closed_at IS NULL THEN NULL
        WHEN {" OR ".join(f"excluded.{flag} > {flag}" for flag in GATE_FLAGS)}
            THEN excluded.gate_closed_at
        ELSE coalesce(gate_closed_at, excluded.gate_closed_at) END
"""

_Address = tuple[int, int, str, str, int, int, int]  # by _EMAIL_COLUMNS


class _Known(NamedTuple):
    """A contact as the mirror has it."""

    row: tuple[object, ...]  # by _CONTACT_COLUMNS
    created_at: str
    is_unseen: int
    addresses: list[_Address]


def _row(contact: Contact) -> tuple[object, ...]:
    """By _CONTACT_COLUMNS."""
    return (
        contact.contact_id,
        contact.first_name,
        contact.last_name,
        int(contact.is_deleted),
        int(contact.is_deceased),
        int(contact.is_opt_out),
        int(contact.do_not_email),
        int(contact.is_person),
    )


def _to_columns(
    contact: Contact, addresses: Iterable[_Address], is_dirty: int
) -> tuple[object, ...]:
    """The values of _KEEP_CONTACT; the mail gate is that of `reconcile.gate`."""
    row, at = _row(contact), to_text(contact.modified_at)
    usable = [email for _, _, email, _, _, _, is_held in addresses if email and not is_held]
    is_closed = not usable or 1 in row[4:7]  # GATE_FLAGS
    return (*row, text_of_created(contact), at if is_closed else "", at, at, at, is_dirty)


def save_contacts(
    store: Store, page: ContactPage, now: datetime, *, only_known: bool = False
) -> list[int]:
    """Take in contacts with all their addresses, in one transaction.

    With `only_known`, contacts that are not in the mirror, stand in none of our groups and own no
    address of a cache row are left out: a site has more contacts than audiences have members. So
    are those who were forgotten. Returns the ids that mean other people now; what we knew of them
    is gone. `now` is CiviCRM's time.
    """
    with store.atomic():
        page = leave_out_contacts(store, page)
        told, addresses = {c.contact_id: c for c in page.contacts}, _read_addresses(page)
        known = _load_known(store, told)
        if only_known:
            unknown = {key: addresses[key] for key in told if key not in known}
            for key in unknown.keys() - _find_ours(store, unknown):
                del told[key]
        strangers = [key for key, before in known.items() if _is_another(before, told[key])]
        if strangers:
            _forget_contacts(store, strangers, now)
            for key in strangers:
                del known[key]
        changed = [
            key
            for key, contact in told.items()
            if key not in known or _differ(known[key], contact, addresses[key])
        ]
        # An address that leaves a contact concerns whoever has it at Mailchimp.
        were_known = [key for key in changed if key in known]
        mark_addresses(store, were_known)
        _drop_addresses(store, were_known)
        store.insert_many(_KEEP_EMAIL, [row for key in changed for row in addresses[key]])
        is_dirty = int(not load_mirror_state(store).is_untold)
        columns = (_to_columns(told[key], addresses[key], is_dirty) for key in changed)
        store.insert_many(_KEEP_CONTACT, columns)
        _note_met(store, known, told)
    return strangers


def _read_addresses(page: ContactPage) -> dict[int, list[_Address]]:
    addresses: dict[int, list[_Address]] = {contact.contact_id: [] for contact in page.contacts}
    for email in sorted(page.emails, key=attrgetter("email_id")):
        addresses[email.contact_id].append(_email_row(email))
    return addresses


_LOAD_CONTACTS = f"""
SELECT {_CONTACT_COLUMNS}, created_at, is_unseen FROM civicrm_mailchimpsync_contact
WHERE contact_id IN (SELECT value FROM json_each(?))
"""
_LOAD_ADDRESSES = f"""
SELECT {_EMAIL_COLUMNS} FROM civicrm_mailchimpsync_email
WHERE contact_id IN (SELECT value FROM json_each(?)) ORDER BY email_id
"""


def _load_known(store: Store, contact_ids: Iterable[int]) -> dict[int, _Known]:
    found = store.query(_LOAD_CONTACTS, (json_list(contact_ids),))
    known = {row[0]: _Known(row[:-2], row[-2], row[-1], []) for row in found}
    for row in store.query(_LOAD_ADDRESSES, (json_list(known),)):
        known[row[1]].addresses.append(row)
    return known


def _find_ours(store: Store, unknown: Mapping[int, Sequence[_Address]]) -> set[int]:
    """Those of these contacts who stand in one of our groups, or own an address of a cache row."""
    ours = set(
        store.column(
            "SELECT value FROM json_each(?) WHERE EXISTS"
            " (SELECT 1 FROM civicrm_mailchimpsync_group_contact WHERE contact_id = value)",
            (json_list(unknown),),
        )
    )
    owners: dict[str, list[int]] = {}
    for key in unknown.keys() - ours:
        for address in unknown[key]:
            owners.setdefault(address[3], []).append(key)
    if owners:
        found = store.column(
            "SELECT DISTINCT email_key FROM civicrm_mailchimpsync_cache"
            " WHERE email_key IN (SELECT value FROM json_each(?))",
            (json_list(owners),),
        )
        ours.update(key for address in found for key in owners[address])
    return ours


def _is_another(known: _Known, told: Contact) -> bool:
    """Whether a contact id with another date of creation is another person's now."""
    dates = {known.created_at, text_of_created(told)}
    return "" not in dates and len(dates) > 1


def _differ(known: _Known, told: Contact, addresses: Sequence[_Address]) -> bool:
    """Whether anything but dates is other than it was."""
    return known.row != _row(told) or known.addresses != addresses


def _drop_addresses(store: Store, contact_ids: Sequence[int]) -> None:
    store.query(
        "DELETE FROM civicrm_mailchimpsync_email"
        " WHERE contact_id IN (SELECT value FROM json_each(?))",
        (json_list(contact_ids),),
    )


def _note_met(store: Store, known: Mapping[int, _Known], told: Mapping[int, Contact]) -> None:
    """Contacts that were out of our sight are not any more; some tell now when they were made."""
    store.query(
        "UPDATE civicrm_mailchimpsync_contact SET is_unseen = 0, is_dirty = 1"
        " WHERE contact_id IN (SELECT value FROM json_each(?))",
        (json_list(key for key, before in known.items() if before.is_unseen),),
    )
    store.run_many(
        "UPDATE civicrm_mailchimpsync_contact SET created_at = ? WHERE contact_id = ?",
        [
            (created_at, key)
            for key, before in known.items()
            if not before.created_at and (created_at := text_of_created(told[key]))
        ],
    )


def _forget_contacts(store: Store, contact_ids: Sequence[int], now: datetime) -> None:
    """These ids mean other people now: what we knew of them, and who was linked to them, goes."""
    lose_strangers(store, contact_ids, to_text(now))
    mark_addresses(store, contact_ids)
    _delete_contacts(store, contact_ids)


def _delete_contacts(store: Store, contact_ids: Sequence[int]) -> None:
    ids = json_list(contact_ids)
    for table in ("contact", "email", "group_contact", "contact_data", "entity_tag"):
        store.query(
            f"DELETE FROM civicrm_mailchimpsync_{table}"
            " WHERE contact_id IN (SELECT value FROM json_each(?))",
            (ids,),
        )
    # Nor is the history of the one before that of the other.
    store.query(
        "UPDATE civicrm_mailchimpsync_change SET contact_id = NULL"
        " WHERE contact_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )


def _email_row(email: Email) -> _Address:
    return (
        email.email_id,
        email.contact_id,
        email.email,
        email_key(email.email),
        int(email.is_primary),
        int(email.is_bulkmail),
        int(email.on_hold),
    )


def mark_purged(store: Store, contact_ids: Iterable[int]) -> None:
    """Treat contacts that CiviCRM no longer has at all like trashed ones."""
    with store.atomic():
        store.run_many(
            "UPDATE civicrm_mailchimpsync_contact SET is_deleted = 1, is_unseen = 0, is_dirty = 1"
            " WHERE contact_id = ? AND is_deleted = 0",
            [(contact_id,) for contact_id in contact_ids],
        )


# Whom nothing leads to any more: nobody was linked to them, and they stand in no group.
_FORGOTTEN_BY_ALL = """
SELECT contact_id FROM civicrm_mailchimpsync_contact
WHERE contact_id IN (SELECT value FROM json_each(:ids))
    AND is_deleted = 1 AND is_dirty = 0 AND modified_at < :before
    AND contact_id NOT IN (SELECT contact_id FROM civicrm_mailchimpsync_group_contact
        WHERE status IS NOT NULL AND contact_id IN (SELECT value FROM json_each(:ids)))
    AND contact_id NOT IN (SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache
        WHERE civicrm_contact_id IN (SELECT value FROM json_each(:ids)))
    AND contact_id NOT IN (SELECT lost_contact_id FROM civicrm_mailchimpsync_cache
        WHERE lost_contact_id IS NOT NULL)
"""


def forget_purged(store: Store, contact_ids: Sequence[int], before: datetime) -> int:
    """Drop contacts that CiviCRM no longer has at all, not in its trash either; how many.

    Only those that were last changed before a time, and that nothing leads to any more.
    """
    if not contact_ids:
        return 0
    where = {"ids": json_list(contact_ids), "before": to_text(before)}
    found = store.column(_FORGOTTEN_BY_ALL, where)
    with store.atomic():
        _delete_contacts(store, found)
    return len(found)


def load_not_deleted(store: Store, contact_ids: Iterable[int]) -> list[int]:
    """Those of these contacts whom the mirror has, and not as deleted."""
    return store.column(
        "SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_deleted = 0"
        " AND contact_id IN (SELECT value FROM json_each(?)) ORDER BY contact_id",
        (json_list(contact_ids),),
    )


def mark_unseen(store: Store, contact_ids: Iterable[int]) -> None:
    """CiviCRM shows these no longer, and they are too many to be believed."""
    with store.atomic():
        store.run_many(
            "UPDATE civicrm_mailchimpsync_contact SET is_unseen = 1"
            " WHERE contact_id = ? AND is_deleted = 0",
            [(contact_id,) for contact_id in contact_ids],
        )


def load_unseen(store: Store) -> list[int]:
    """Contacts that CiviCRM shows no longer, and of which nobody believes it yet."""
    return store.column(
        "SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_unseen = 1"
        " AND is_deleted = 0 ORDER BY contact_id"
    )


def count_unseen(store: Store, group_id: int) -> int:
    """How many of a group's contacts CiviCRM shows no longer."""
    return store.number(
        "SELECT count(*) FROM civicrm_mailchimpsync_contact c"
        " CROSS JOIN civicrm_mailchimpsync_group_contact g"
        "  ON g.contact_id = c.contact_id AND g.group_id = ?"
        " WHERE c.is_unseen = 1 AND c.is_deleted = 0",
        (group_id,),
    )


_SAMPLE = 50  # contacts asked for in each run, to know the site again


def load_sample(store: Store) -> dict[int, str]:
    """Some contacts, from all over the mirror, and when each was created, as text."""
    first, last = (  # two questions: one for both would read the whole table
        store.value(f"SELECT {end}(contact_id) FROM civicrm_mailchimpsync_contact")
        for end in ("min", "max")
    )
    if first is None:
        return {}
    step = max(1, (last - first) // _SAMPLE)
    found = {}
    for start in range(first, last + 1, step):
        contact_id, created_at, is_deleted = store.query(
            "SELECT contact_id, created_at, is_deleted FROM civicrm_mailchimpsync_contact"
            " WHERE contact_id >= ? ORDER BY contact_id LIMIT 1",
            (start,),
        ).fetchone()
        if created_at and not is_deleted:
            found[contact_id] = created_at
    return found


def load_mirrored_contacts(
    store: Store, after: int, *, last: int = LAST_ID, limit: int = -1
) -> list[int]:
    """Ids of contacts that concern us, in id order: in a mapped group, linked, or known before.

    Those above `after` up to `last`, and at most `limit`.
    """
    return store.column(
        "SELECT contact_id FROM (SELECT contact_id FROM civicrm_mailchimpsync_contact"
        "  WHERE contact_id > ?1 AND contact_id <= ?2 ORDER BY contact_id LIMIT ?3)"
        " UNION SELECT contact_id FROM (SELECT DISTINCT contact_id"
        "  FROM civicrm_mailchimpsync_group_contact"
        "  WHERE contact_id > ?1 AND contact_id <= ?2 ORDER BY contact_id LIMIT ?3)"
        " ORDER BY contact_id LIMIT ?3",
        (after, last, limit),
    )


def _unmirrored(store: Store) -> str:
    """Places that nobody was told of and whose contacts the mirror does not have, as SQL."""
    is_dirty = "INDEXED BY group_contact_dirty WHERE is_dirty = 1"
    return (
        "FROM civicrm_mailchimpsync_group_contact g"
        f" {'WHERE true' if load_mirror_state(store).is_untold else is_dirty}"
        " AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_contact c"
        "  WHERE c.contact_id = g.contact_id)"
    )


def count_unmirrored_contacts(store: Store) -> int:
    """How many contacts in mapped groups the mirror knows nothing of yet."""
    return store.number(f"SELECT count(DISTINCT contact_id) {_unmirrored(store)}")


def count_mirrored_contacts(store: Store) -> int:
    """How many contacts the mirror knows."""
    return store.number("SELECT count(*) FROM civicrm_mailchimpsync_contact")


def load_unmirrored_contacts(store: Store, size: int) -> Iterator[list[int]]:
    """Ids of contacts in a mapped group that the mirror knows nothing of yet, so many at once."""
    sql = (
        f"SELECT DISTINCT contact_id {_unmirrored(store)}"
        " AND contact_id > :after ORDER BY contact_id LIMIT :limit"
    )
    return store.id_pages(sql, size)


def load_names(store: Store, contact_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """The first and last names of these contacts, as the mirror has them, by their columns."""
    rows = store.query(
        "SELECT contact_id, first_name, last_name FROM civicrm_mailchimpsync_contact"
        " WHERE contact_id IN (SELECT value FROM json_each(?))",
        (json_list(contact_ids),),
    )
    return {row[0]: {"first_name": row[1], "last_name": row[2]} for row in rows}


def load_bulk_addresses(store: Store, contact_ids: Sequence[int]) -> dict[int, str]:
    """The addresses of these contacts that are marked for bulk mail, as the mirror has them."""
    rows = store.query(
        "SELECT contact_id, email FROM civicrm_mailchimpsync_email"
        " WHERE is_bulkmail AND contact_id IN (SELECT value FROM json_each(?))",
        (json_list(contact_ids),),
    )
    return dict(rows.fetchall())


def note_names(store: Store, writes: Iterable[NameWrite]) -> None:
    """Remember names that we wrote ourselves, with the time of the human who caused them."""
    store.run_many(
        "UPDATE civicrm_mailchimpsync_contact SET first_name = coalesce(?1, first_name),"
        " first_name_at = CASE WHEN ?1 IS NULL THEN first_name_at ELSE ?2 END,"
        " last_name = coalesce(?3, last_name),"
        " last_name_at = CASE WHEN ?3 IS NULL THEN last_name_at ELSE ?4 END"
        " WHERE contact_id = ?5",
        [
            (
                write.first_name,
                to_text(write.first_name_at),
                write.last_name,
                to_text(write.last_name_at),
                write.contact_id,
            )
            for write in writes
        ],
    )
