"""All that the cache has of a person: found, and erased.

A person is what belongs together: contacts, their addresses, the rows of members at these, what
was sent for them and what was noted. An address that somebody else owns too is theirs as well: it
stays, and the row of its member only leaves the contact who is erased.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from mcsync.cache.forgotten import ToHash
from mcsync.cache.rows import (
    TABLE,
    decode_refusals,
    erase_rows,
    forget_addresses,
    leave_rows_to_others,
)
from mcsync.cache.store import Store, json_list
from mcsync.decision import Decision
from mcsync.model import email_key

_decode_decision = msgspec.json.Decoder(Decision).decode
_IN = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class AskedFor:
    """Whom somebody means: an address, a contact or a row; `text` is what they wrote."""

    text: str
    email: str | None = None
    contact_id: int | None = None
    row_id: int | None = None


@dataclass(slots=True)
class Traces:
    """What the cache has of one person.

    `contacts`: when each was created, "" if not known; `in_trash`: those that CiviCRM has in its
    trash, or no longer. `members`: (list id, member id, Mailchimp's contact id or "") of whom the
    audience has or had; `living_in` the audiences that have them still. `shared`: addresses that
    stay, with the ids of contacts who own them too; `shared_rows` are the rows of these.
    `changed_at`: when any member was last seen to change.
    """

    emails: set[str] = field(default_factory=set)
    contacts: dict[int, str] = field(default_factory=dict)
    in_trash: set[int] = field(default_factory=set)
    rows: set[int] = field(default_factory=set)
    members: set[tuple[str, str, str]] = field(default_factory=set)
    living_in: set[str] = field(default_factory=set)
    shared: dict[str, set[int]] = field(default_factory=dict)
    shared_rows: set[int] = field(default_factory=set)
    changed_at: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found but what was asked for."""
        return not (self.contacts or self.rows)

    @property
    def to_hash(self) -> ToHash:
        """What is kept as hashes."""
        return ToHash(
            frozenset(self.emails),
            frozenset(unique for _, _, unique in self.members if unique),
            frozenset(self.contacts.items()),
        )

    def meets(self, other: "Traces") -> bool:
        """Whether both are the same person: two contacts may share an address and its row."""
        if self.contacts and other.contacts:
            return bool(self.contacts.keys() & other.contacts.keys())
        return bool(self.rows & other.rows or self.emails & other.emails)

    def join(self, other: "Traces") -> None:
        """Take in what was found of the same person by another name."""
        for name in ("emails", "in_trash", "rows", "members", "living_in", "shared_rows"):
            getattr(self, name).update(getattr(other, name))
        self.contacts.update(other.contacts)
        self.shared.update(other.shared)
        self.changed_at = max(self.changed_at, other.changed_at)


# --- finding --------------------------------------------------------------------------------------


def find_owners(store: Store, email: str) -> list[int]:
    """Contacts that own an address and are not deleted."""
    return store.column(
        "SELECT DISTINCT c.contact_id FROM civicrm_mailchimpsync_email e"
        " CROSS JOIN civicrm_mailchimpsync_contact c"
        "  ON c.contact_id = e.contact_id AND c.is_deleted = 0"
        " WHERE e.email_key = ? ORDER BY 1",
        (email_key(email),),
    )


def find_traces(store: Store, asked: AskedFor, with_others: Iterable[int] = ()) -> Traces:
    """All that belongs to a person; `with_others` are contacts that are to be erased as well.

    Whoever asks for an address that several contacts own gets all of them as one person.
    """
    found, others = Traces(), set(with_others)
    emails: set[str] = set()
    contacts, rows = _find_known(store, asked)
    if asked.email is not None:
        emails = {email_key(asked.email)}
        contacts |= set(find_owners(store, asked.email))
    while (emails, contacts, rows) != (found.emails, set(found.contacts), found.rows):
        found.emails, found.rows = set(emails), set(rows)
        found.contacts = dict.fromkeys(contacts, "")
        rows |= _find_rows(store, contacts, emails)
        contacts |= _find_contacts(store, rows, contacts, emails)
        for email in _find_emails(store, rows, contacts) - emails:
            elsewhere = set(find_owners(store, email)) - contacts - others
            if elsewhere:
                found.shared[email] = elsewhere
            else:
                emails.add(email)
        rows -= _part_with_shared(store, found, rows)
    _fill_in(store, found)
    return found


def _find_known(store: Store, asked: AskedFor) -> tuple[set[int], set[int]]:
    """The contact and the row that were asked for by their ids, if there are such."""
    contacts = store.column(
        "SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE contact_id = ?1"
        f" UNION SELECT ?1 FROM {TABLE} WHERE civicrm_contact_id = ?1 OR lost_contact_id = ?1",
        (asked.contact_id,),
    )
    rows = store.column(f"SELECT id FROM {TABLE} WHERE id = ?", (asked.row_id,))
    return set(contacts), set(rows)


def _part_with_shared(store: Store, found: Traces, rows: Iterable[int]) -> set[int]:
    """Those of the rows whose address is somebody else's too."""
    shared = store.column(
        f"SELECT id FROM {TABLE} WHERE id {_IN} AND email_key {_IN}",
        (json_list(rows), json_list(found.shared)),
    )
    found.shared_rows |= set(shared)
    return set(shared)


# A row that has left an address is found by it only where nobody has come to it since.
_FIND_ROWS = f"""
SELECT id FROM {TABLE} WHERE civicrm_contact_id IN (SELECT value FROM json_each(:contacts))
UNION SELECT id FROM {TABLE} WHERE lost_contact_id IN (SELECT value FROM json_each(:contacts))
UNION SELECT id FROM {TABLE} WHERE email_key IN (SELECT value FROM json_each(:emails))
UNION SELECT id FROM {TABLE} r WHERE moved_from IN (SELECT value FROM json_each(:emails))
    AND NOT EXISTS (SELECT 1 FROM {TABLE} o
        WHERE o.email_key = r.moved_from AND o.mailchimp_list_id = r.mailchimp_list_id)
UNION SELECT r.id FROM {TABLE} r, json_each(r.refusals) f WHERE r.refusals IS NOT NULL
    AND f.value ->> 'email' IN (SELECT value FROM json_each(:emails))
    AND NOT EXISTS (SELECT 1 FROM {TABLE} o
        WHERE o.email_key = f.value ->> 'email' AND o.mailchimp_list_id = r.mailchimp_list_id)
"""


def _find_rows(store: Store, contacts: Iterable[int], emails: Iterable[str]) -> set[int]:
    where = {"contacts": json_list(contacts), "emails": json_list(emails)}
    return set(store.column(_FIND_ROWS, where))


# A row may still be linked to somebody who no longer has its address: that is another person where
# somebody else has it now.
_FIND_CONTACTS = f"""
SELECT civicrm_contact_id FROM {TABLE} r WHERE id IN (SELECT value FROM json_each(:rows))
    AND civicrm_contact_id IS NOT NULL
    AND (NOT EXISTS (SELECT 1 FROM {{owners}})
        OR EXISTS (SELECT 1 FROM {{owners}} AND c.contact_id = r.civicrm_contact_id))
UNION SELECT lost_contact_id FROM {TABLE} WHERE id IN (SELECT value FROM json_each(:rows))
    AND lost_contact_id IS NOT NULL
UNION SELECT contact_id FROM civicrm_mailchimpsync_contact
    WHERE is_deleted = 1 AND merged_to IN (SELECT value FROM json_each(:contacts))
UNION SELECT c.contact_id FROM civicrm_mailchimpsync_email e
    CROSS JOIN civicrm_mailchimpsync_contact c ON c.contact_id = e.contact_id AND c.is_deleted = 1
    WHERE e.email_key IN (SELECT value FROM json_each(:emails))
""".format(
    owners="civicrm_mailchimpsync_email e CROSS JOIN civicrm_mailchimpsync_contact c"
    " ON c.contact_id = e.contact_id AND c.is_deleted = 0 WHERE e.email_key = r.email_key"
)


def _find_contacts(
    store: Store, rows: Iterable[int], contacts: Iterable[int], emails: Iterable[str]
) -> set[int]:
    """Contacts of rows, those merged into known ones, and deleted ones that own an address."""
    where = {
        "rows": json_list(rows),
        "contacts": json_list(contacts),
        "emails": json_list(emails),
    }
    return set(store.column(_FIND_CONTACTS, where))


def _find_emails(store: Store, rows: Iterable[int], contacts: Iterable[int]) -> set[str]:
    """Addresses of contacts and rows; one that a row had before only where nobody has it now."""
    found: set[str] = set(
        store.column(
            f"SELECT email_key FROM civicrm_mailchimpsync_email WHERE contact_id {_IN}",
            (json_list(contacts),),
        )
    )
    before: set[str] = set()
    for key, *addresses, refusals in store.query(
        f"SELECT email_key, mailchimp_email, moved_from, refusals FROM {TABLE} WHERE id {_IN}",
        (json_list(rows),),
    ):
        found |= {key} if key else set()
        before |= {email_key(address) for address in addresses if address}
        before |= {refusal.email for refusal in decode_refusals(refusals)} if refusals else set()
    taken = store.column(
        f"SELECT email_key FROM {TABLE} WHERE email_key {_IN}", (json_list(before),)
    )
    return (found | before - set(taken)) - {""}


def _fill_in(store: Store, found: Traces) -> None:
    for contact_id, created_at, is_deleted in store.query(
        "SELECT contact_id, created_at, is_deleted FROM civicrm_mailchimpsync_contact"
        f" WHERE contact_id {_IN}",
        (json_list(found.contacts),),
    ):
        found.contacts[contact_id] = created_at
        if is_deleted:
            found.in_trash.add(contact_id)
    for list_id, member_id, unique_contact, updated in store.query(
        "SELECT mailchimp_list_id, mailchimp_member_id, unique_contact, mailchimp_updated"
        f" FROM {TABLE} WHERE id {_IN}",
        (json_list(found.rows),),
    ):
        found.changed_at = max(found.changed_at, updated or "")
        if member_id or unique_contact:
            found.members.add((list_id, member_id or "", unique_contact or ""))
        if member_id:
            found.living_in.add(list_id)


def is_noted(store: Store, email: str) -> bool:
    """Whether what was sent or changed, or a webhook that waits, is about the address."""
    keys = frozenset((email_key(email),))
    return any(find(store, keys) for find in (_find_changes, _find_updates, _find_webhooks))


def _find_changes(store: Store, emails: frozenset[str]) -> list[int]:
    """Of the trail, what is about an address, or tells of one that was changed."""
    _teach(store, emails)
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_change WHERE is_theirs(email)"
        " OR (field IN ('email', 'bulk_email') AND (is_theirs(before) OR is_theirs(after)))"
    )


def _find_updates(store: Store, emails: frozenset[str]) -> list[int]:
    _teach(store, emails)
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_update"
        " WHERE is_theirs(data ->> 'email') OR is_theirs(data ->> 'new_email')"
    )


def _find_webhooks(store: Store, emails: frozenset[str]) -> list[int]:
    _teach(store, emails)
    return store.column(
        "SELECT id FROM civicrm_mailchimpsync_webhook"
        " WHERE is_theirs(email) OR is_theirs(old_email)"
    )


def _teach(store: Store, emails: frozenset[str]) -> None:
    """Have SQLite compare addresses as we do, which is more than ASCII's letters."""
    store.conn.create_function("is_theirs", 1, partial(_is_among, emails))


def _is_among(emails: frozenset[str], text: object) -> bool:
    return isinstance(text, str) and email_key(text) in emails


# Which rows of each table are a person's: those that are erased with them.
_THEIRS = "IN (SELECT value FROM json_each(:{}))"
_BY_CONTACT = f"contact_id {_THEIRS.format('contacts')}"
PARTS: Mapping[str, str] = {
    "cache": f"id {_THEIRS.format('rows')}",
    "contact": _BY_CONTACT,
    "email": f"{_BY_CONTACT} OR email_key {_THEIRS.format('emails')}",
    "group_contact": _BY_CONTACT,
    "contact_data": _BY_CONTACT,
    "entity_tag": _BY_CONTACT,
    "update": (
        f"id {_THEIRS.format('updates')} OR mailchimpsync_cache_id {_THEIRS.format('rows')}"
    ),
    "plan": f"id {_THEIRS.format('plans')}",
    "change": (
        f"id {_THEIRS.format('changes')} OR cache_id {_THEIRS.format('rows')} OR {_BY_CONTACT}"
    ),
    "webhook": f"id {_THEIRS.format('webhooks')}",
    "told_contact": _BY_CONTACT,
    "creation": f"email_key {_THEIRS.format('emails')}",
}


def find_parts(store: Store, found: Traces) -> dict[str, str]:
    """Everything of a person, as parameters for `PARTS`."""
    emails = frozenset(found.emails)
    ids = {
        "rows": found.rows,
        "contacts": found.contacts,
        "emails": emails,
        "updates": _find_updates(store, emails),
        "plans": _find_plans(store, found),
        "changes": _find_changes(store, emails),
        "webhooks": _find_webhooks(store, emails),
    }
    return {name: json_list(values) for name, values in ids.items()}


def _find_plans(store: Store, found: Traces) -> list[int]:
    """What is decided about the person: who else it was about is judged again anyway."""
    plans = store.query("SELECT id, decision FROM civicrm_mailchimpsync_plan")
    return [row[0] for row in plans if _is_about(_decode_decision(row[1]), found)]


def _is_about(decision: Decision, found: Traces) -> bool:
    rows = {verdict.row_id for verdict in decision.verdicts}
    contacts = {
        *(write.contact_id for write in decision.group_writes),
        *(write.contact_id for write in decision.name_writes),
        *(write.contact_id for write in decision.email_writes),
        *(move.contact_id for move in decision.bulk_moves),
    }
    emails = {write.email for write in decision.email_writes}
    emails |= {each or "" for move in decision.bulk_moves for each in (move.email, move.old_email)}
    for planned in decision.changes:
        rows |= {planned.row_id or 0}
        contacts |= {planned.contact_id or 0}
        emails |= {planned.change.email, planned.change.new_email or ""}
    if decision.new_contact is not None:
        rows.add(decision.new_contact.row_id)
        emails.add(decision.new_contact.email)
    return bool(
        rows & (found.rows | found.shared_rows)
        or contacts & found.contacts.keys()
        or {email_key(email) for email in emails} & found.emails
    )


def find_open_batch(store: Store, rows: Iterable[int]) -> int | None:
    """The row of the newest batch in which something of these rows is under way."""
    newest: int | None = store.value(
        "SELECT max(mailchimpsync_batch_id) FROM civicrm_mailchimpsync_update"
        f" WHERE completed = 0 AND mailchimpsync_cache_id {_IN}",
        (json_list(rows),),
    )
    return newest


# --- erasing --------------------------------------------------------------------------------------

# Nothing is left of what was sent but that it was: its id stands in an operation that may still be
# on its way, and must not come to mean another one.
_EMPTY_UPDATES = """
UPDATE civicrm_mailchimpsync_update SET mailchimpsync_cache_id = 0, data = '{"email":""}',
    cause = '{"reason":""}', completed = 1, error_response = NULL
WHERE mailchimpsync_batch_id IS NOT NULL
"""
_DELETIONS = (
    f"DELETE FROM civicrm_mailchimpsync_change WHERE {PARTS['change']}",
    f"DELETE FROM civicrm_mailchimpsync_webhook WHERE {PARTS['webhook']}",
    f"DELETE FROM civicrm_mailchimpsync_plan WHERE {PARTS['plan']}",
    f"DELETE FROM civicrm_mailchimpsync_contact WHERE {PARTS['contact']}",
    f"DELETE FROM civicrm_mailchimpsync_email WHERE {PARTS['email']}",
    f"DELETE FROM civicrm_mailchimpsync_group_contact WHERE {PARTS['group_contact']}",
    f"DELETE FROM civicrm_mailchimpsync_contact_data WHERE {PARTS['contact_data']}",
    f"DELETE FROM civicrm_mailchimpsync_entity_tag WHERE {PARTS['entity_tag']}",
    f"DELETE FROM civicrm_mailchimpsync_told_contact WHERE {PARTS['told_contact']}",
    f"DELETE FROM civicrm_mailchimpsync_creation WHERE {PARTS['creation']}",
)


def erase(store: Store, found: Traces) -> None:
    """Erase what was found, and all that was noted of it; call inside a transaction."""
    where = find_parts(store, found)
    theirs = PARTS["update"]
    store.query(f"{_EMPTY_UPDATES} AND ({theirs})", where)
    store.query(
        "DELETE FROM civicrm_mailchimpsync_update"
        f" WHERE mailchimpsync_batch_id IS NULL AND ({theirs})",
        where,
    )
    _drop_shared_updates(store, found.shared_rows)
    store.query(  # who is still linked to one of the rows, and is somebody else, gets another
        "UPDATE civicrm_mailchimpsync_contact SET is_dirty = 1 WHERE contact_id IN"
        f" (SELECT civicrm_contact_id FROM {TABLE} WHERE {PARTS['cache']})",
        where,
    )
    erase_rows(store, found.rows)
    leave_rows_to_others(store, found.shared_rows, found.contacts)
    forget_addresses(store, found.emails)
    for sql in _DELETIONS:
        store.query(sql, where)


def _drop_shared_updates(store: Store, row_ids: Iterable[int]) -> None:
    """What is queued for a member who is somebody else's too is decided anew, without them.

    What is under way is waited for.
    """
    store.query(
        "DELETE FROM civicrm_mailchimpsync_update WHERE mailchimpsync_batch_id IS NULL"
        f" AND mailchimpsync_cache_id {_IN}",
        (json_list(row_ids),),
    )
