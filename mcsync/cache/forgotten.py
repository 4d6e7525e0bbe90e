"""Who was forgotten: of them only keyed hashes stay, so that nobody makes them again.

Whoever comes in, a page of members or of contacts, comes past here. A member or contact whose
address or id has such a hash is left out; a member who is in and has changed since has signed up
themselves, and then the hashes of all that is theirs go. The key is random and kept in the cache:
without it nobody finds out whose hashes these are by trying addresses.
"""

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mcsync.cache.store import Store, has_table, json_list, make_uid
from mcsync.cache.times import to_text
from mcsync.model import LONG_AGO, Contact, ContactPage, Member, email_key

_KEY = "forgotten_key"
_UNCLEAN = "forgotten_unclean"  # set until no file has bytes of what was erased
_HEX_DIGITS = 32  # of a hash: 128 bits


class Kind(StrEnum):
    """What was hashed."""

    EMAIL = "email"
    MEMBER = "member"  # Mailchimp's contact id, which stays when the address changes
    CONTACT = "contact"  # CiviCRM's, with when it was created: ids are given again


class _Hashed(NamedTuple):
    person: str
    at: str
    batch_id: int | None


# --- hashes ---------------------------------------------------------------------------------------


def _load_key(store: Store) -> bytes | None:
    """The key, None while nobody is forgotten: then nothing needs a hash."""
    text = store.value(
        "SELECT value FROM civicrm_mailchimpsync_state WHERE key = ?"
        " AND EXISTS (SELECT 1 FROM civicrm_mailchimpsync_forgotten WHERE hash > '')",
        (_KEY,),
    )
    return None if text is None else bytes.fromhex(text)


def _make_key(store: Store) -> bytes:
    text = store.get_state(_KEY)
    if text is None:
        text = secrets.token_hex(32)
        store.set_state(_KEY, text)
    return bytes.fromhex(text)


def _hash(key: bytes, kind: Kind, what: str) -> str:
    return hmac.digest(key, f"{kind}:{what}".encode(), "sha256").hex()[:_HEX_DIGITS]


def name_contact(contact_id: int, created_at: str) -> str:
    """What of a contact is hashed; `created_at` is empty where that is not known."""
    return f"{contact_id} {created_at}"


def text_of_created(contact: Contact) -> str:
    """When a contact was created, as the cache keeps it; empty where CiviCRM does not know."""
    return "" if contact.created_at == LONG_AGO else to_text(contact.created_at)


def _load(store: Store, hashes: Iterable[str]) -> dict[str, _Hashed]:
    rows = store.query(
        "SELECT hash, person, at, batch_id FROM civicrm_mailchimpsync_forgotten"
        " WHERE hash IN (SELECT value FROM json_each(?))",
        (json_list(hashes),),
    )
    return {row[0]: _Hashed(*row[1:]) for row in rows}


# --- the ways in ----------------------------------------------------------------------------------


def leave_out_members(store: Store, members: Sequence[Member]) -> Sequence[Member]:
    """The members without those who were forgotten and have not signed up again.

    Call inside a transaction: of those who have, nothing is forgotten any more.
    """
    key = _load_key(store)
    if key is None:
        return members
    hashes = [
        (
            _hash(key, Kind.EMAIL, email_key(member.email)),
            _hash(key, Kind.MEMBER, member.unique_contact) if member.unique_contact else "",
        )
        for member in members
    ]
    found = _load(store, {each for pair in hashes for each in pair})
    if not found:
        return members
    kept = []
    for member, pair in zip(members, hashes, strict=True):
        theirs = [found[each] for each in pair if each in found]
        if not theirs or _has_signed_up(store, member, theirs):
            kept.append(member)
            _remember(store, {hashed.person for hashed in theirs})
    return kept


def _has_signed_up(store: Store, member: Member, theirs: Sequence[_Hashed]) -> bool:
    """Whether a member is in by what they did themselves since they were forgotten."""
    if member.oddity or not member.status.is_in:
        return False
    at = to_text(member.last_changed)
    return all(at > _settle(store, hashed, at) for hashed in theirs)


def _settle(store: Store, hashed: _Hashed, seen_at: str) -> str:
    """Since when a change of the member is their own.

    What of ours was under way when they were forgotten changes them later: until its batch is
    taken in nothing counts, and then what Mailchimp did up to its end does not. Where that is not
    told it is what is seen first.
    """
    if hashed.batch_id is None:
        return hashed.at
    batch = store.query(
        "SELECT response_processed, completed_at FROM civicrm_mailchimpsync_batch WHERE id = ?",
        (hashed.batch_id,),
    ).fetchone()
    if batch is not None and batch[0] < 2:
        return seen_at
    at = max(hashed.at, (batch[1] if batch is not None else None) or seen_at)
    store.query(
        "UPDATE civicrm_mailchimpsync_forgotten SET at = ?, batch_id = NULL WHERE person = ?",
        (at, hashed.person),
    )
    return at


def _remember(store: Store, people: Iterable[str]) -> None:
    """These may be known again."""
    store.run_many(
        "DELETE FROM civicrm_mailchimpsync_forgotten WHERE person = ?",
        [(person,) for person in people],
    )


def leave_out_contacts(store: Store, page: ContactPage) -> ContactPage:
    """Contacts and addresses without those that were forgotten.

    A contact goes by their id, or when all addresses they have are forgotten ones; whoever is in
    the mirror is somebody else, who came to such an address, and only loses that.
    """
    key = _load_key(store)
    if key is None:
        return page
    emails = {e.email_id: _hash(key, Kind.EMAIL, email_key(e.email)) for e in page.emails}
    contacts = {
        c.contact_id: {
            _hash(key, Kind.CONTACT, name_contact(c.contact_id, created))
            for created in (text_of_created(c), "")
        }
        for c in page.contacts
    }
    found = _load(store, {*emails.values(), *(h for hashes in contacts.values() for h in hashes)})
    if not found:
        return page
    rest = [email for email in page.emails if emails[email.email_id] not in found]
    left = {e.contact_id for e in page.emails} - {e.contact_id for e in rest}
    left -= _find_mirrored(store, left)
    left |= {contact_id for contact_id, hashes in contacts.items() if hashes & found.keys()}
    return ContactPage(
        tuple(contact for contact in page.contacts if contact.contact_id not in left),
        tuple(email for email in rest if email.contact_id not in left),
    )


def _find_mirrored(store: Store, contact_ids: Iterable[int]) -> set[int]:
    return set(
        store.column(
            "SELECT contact_id FROM civicrm_mailchimpsync_contact"
            " WHERE contact_id IN (SELECT value FROM json_each(?))",
            (json_list(contact_ids),),
        )
    )


# --- forgetting -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToHash:
    """What of a person is hashed; of contacts when they were created, empty if not known."""

    emails: frozenset[str] = frozenset()
    unique_contacts: frozenset[str] = frozenset()
    contacts: frozenset[tuple[int, str]] = frozenset()

    def hashes(self, key: bytes) -> dict[str, Kind]:
        """All of it, hashed, and what each is."""
        parts = {
            Kind.EMAIL: self.emails,
            Kind.MEMBER: self.unique_contacts,
            Kind.CONTACT: (name_contact(*contact) for contact in self.contacts),
        }
        return {_hash(key, kind, each): kind for kind, part in parts.items() for each in part}


class KeptHash(NamedTuple):
    """A hash that is kept: of what, since when, and how many there are of the same person."""

    kind: Kind
    at: str
    of: int


def find_hashes(store: Store, what: ToHash) -> list[KeptHash]:
    """The hashes that are kept of something; none in a cache that is older than they are."""
    if not has_table(store, "civicrm_mailchimpsync_forgotten"):
        return []
    key = _load_key(store)
    if key is None:
        return []
    hashes = what.hashes(key)
    sql = "SELECT count(*) FROM civicrm_mailchimpsync_forgotten WHERE person = ?"
    return [
        KeptHash(hashes[each], hashed.at, store.number(sql, (hashed.person,)))
        for each, hashed in sorted(_load(store, hashes).items())
    ]


def keep_hashes(store: Store, what: ToHash, at: str, batch_id: int | None) -> None:
    """Have a person not be made again; call inside a transaction.

    `at`: what changes later they did themselves. `batch_id`: the row of the newest batch in which
    something of theirs is under way.
    """
    hashes = what.hashes(_make_key(store))
    known = sorted({hashed.person for hashed in _load(store, hashes).values()})
    person = known[0] if known else make_uid()
    store.insert_many(
        "INSERT INTO civicrm_mailchimpsync_forgotten (hash, person, at, batch_id)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET person = excluded.person,"
        " at = max(at, excluded.at), batch_id = coalesce(excluded.batch_id, batch_id)",
        [(each, person, at, batch_id) for each in sorted(hashes)],
    )


def is_forgotten(store: Store, what: ToHash) -> bool:
    """Whether any of it was forgotten before."""
    key = _load_key(store)
    return key is not None and bool(_load(store, what.hashes(key)))


def mark_unclean(store: Store, is_unclean: bool) -> None:
    """Keep whether files may still have bytes of what was erased; call inside a transaction."""
    store.set_state(_UNCLEAN, "yes" if is_unclean else "")


def is_unclean(store: Store) -> bool:
    """Whether an earlier forgetting did not come to its end."""
    return bool(store.get_state(_UNCLEAN))


def note_forgetting(
    store: Store, run: str, now: datetime, people: int, *, is_at_mailchimp: bool
) -> None:
    """Keep that people were forgotten, and not who; call inside a transaction."""
    store.query(
        "INSERT INTO civicrm_mailchimpsync_forgetting (at, run, people, is_at_mailchimp)"
        " VALUES (?, ?, ?, ?)",
        (to_text(now), run, people, int(is_at_mailchimp)),
    )
