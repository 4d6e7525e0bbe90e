"""Both sides of an audience as the cache knows them, row by row, to be kept outside of it.

The first columns of Mailchimp's side have the names that Mailchimp's own import knows; so has
"Tags", where a tag with a comma stands in quotes (Mailchimp's help, "Format guidelines for your
import file"). Times are UTC.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from mcsync.cache.store import Store, json_list
from mcsync.decision import Policy
from mcsync.model import Side

ADDRESS = "Email Address"
MEMBER_ID = "Member ID"
CONTACT_ID = "Contact ID"
CONTACT_OF_MEMBER = "Contact ID in CiviCRM"


class Table(NamedTuple):
    """One side of an audience: what its columns are called, and its rows, read as they are used."""

    side: Side
    columns: Sequence[str]
    rows: Iterable[Sequence[object]]


def read_both_sides(store: Store, policy: Policy, names: Mapping[str, str]) -> tuple[Table, Table]:
    """Mailchimp's side and CiviCRM's; `names` are those of the interests, by id, where known.

    The cache must not be written to by the same connection while the rows are read.
    """
    topics = {key: f"{names[key]} ({key})" if key in names else key for key in policy.interests}
    return _read_mailchimp(store, policy, topics), _read_civicrm(store, policy, topics)


def _yes_or_no(is_so: object) -> str:
    return "yes" if is_so else "no"


# --- Mailchimp ------------------------------------------------------------------------------------


class _Kept(msgspec.Struct):
    """Of what plugins keep with a row, the tags that were put on (True) or taken off."""

    tags: dict[str, bool] = {}


class _CivicrmData(msgspec.Struct):
    mcsync: _Kept = msgspec.field(default_factory=_Kept)


_decode_member = msgspec.json.Decoder(dict[str, str | bool | None]).decode
_decode_kept = msgspec.json.Decoder(_CivicrmData).decode

_MEMBERS = """
SELECT mailchimp_email, mailchimp_status, mailchimp_updated, mailchimp_member_id,
    civicrm_contact_id, mailchimp_data, civicrm_data
FROM civicrm_mailchimpsync_cache
WHERE mailchimp_list_id = ? AND mailchimp_status IS NOT NULL ORDER BY id
"""


def _read_mailchimp(store: Store, policy: Policy, topics: Mapping[str, str]) -> Table:
    begin = (ADDRESS, "First Name", "Last Name")
    end = ("Tags", "Status", "Last Changed", MEMBER_ID, CONTACT_OF_MEMBER)
    columns = (*begin, *(f"Interest {topic}" for topic in topics.values()), *end)
    return Table(Side.MAILCHIMP, columns, _list_members(store, policy))


def _list_members(store: Store, policy: Policy) -> Iterator[Sequence[object]]:
    interests = [f"interest-{key}" for key in policy.interests]
    for email, status, updated, member_id, contact_id, data, kept in store.query(
        _MEMBERS, (policy.list_id,)
    ):
        known = _decode_member(data) if data else {}
        yield (
            *(email, known.get("first_name"), known.get("last_name")),
            *(_yes_or_no(known[key]) if key in known else "" for key in interests),
            *(_join_tags(kept) if kept else "", status, updated, member_id, contact_id),
        )


def _join_tags(kept: str) -> str:
    """The tags that are on as far as we know: those we put on."""
    tags = _decode_kept(kept).mcsync.tags
    return ", ".join(f'"{tag}"' if "," in tag else tag for tag, is_on in tags.items() if is_on)


# --- CiviCRM --------------------------------------------------------------------------------------

# Each in the order of contacts, by an index: four times as fast as to look up each contact's.
_CONTACTS = """
SELECT contact_id, first_name, last_name, is_opt_out, do_not_email, is_deceased, is_deleted
FROM civicrm_mailchimpsync_contact ORDER BY contact_id
"""
_LINKED = """
SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache INDEXED BY cache_contact
WHERE civicrm_contact_id IS NOT NULL AND mailchimp_list_id = :list_id ORDER BY civicrm_contact_id
"""
_EMAILS = """
SELECT contact_id, email, is_primary, is_bulkmail, on_hold
FROM civicrm_mailchimpsync_email ORDER BY contact_id, email_id
"""
_PLACES = """
SELECT contact_id, group_id, coalesce(status, 'Deleted'), said_at
FROM civicrm_mailchimpsync_group_contact
WHERE +group_id IN (SELECT value FROM json_each(:groups)) ORDER BY contact_id
"""
_FLAGS = ("Opted Out", "Do Not Email", "Deceased", "In Trash")
_ADDRESSES = ("Primary Address", "Bulk Address", "Other Addresses", "On Hold")


def _read_civicrm(store: Store, policy: Policy, topics: Mapping[str, str]) -> Table:
    groups = {policy.group_id: "subscription"}
    for key, interest in policy.interests.items():
        groups.setdefault(interest.group_id, topics[key])
    places = [
        f"Group {group_id} {what}: {topic}"
        for group_id, topic in groups.items()
        for what in ("Status", "Since")
    ]
    columns = (CONTACT_ID, "First Name", "Last Name", *_ADDRESSES, *_FLAGS, *places)
    return Table(Side.CIVICRM, columns, _list_contacts(store, policy.list_id, list(groups)))


def _list_contacts(
    store: Store, list_id: str, group_ids: Sequence[int]
) -> Iterator[Sequence[object]]:
    """Whoever stands in one of the groups, however, and the contacts of the audience's members.

    Since when they stand there is since when somebody's word has them there; not known of all.
    """
    where = {"list_id": list_id, "groups": json_list(group_ids)}
    linked, emails, places = (
        _Following(store.query(sql, where)) for sql in (_LINKED, _EMAILS, _PLACES)
    )
    nowhere = ("", "")
    for contact_id, first, last, *flags in store.query(_CONTACTS):
        is_linked, addresses = linked.take(contact_id), emails.take(contact_id)
        found = {group_id: stands for _, group_id, *stands in places.take(contact_id)}
        if not (is_linked or found):
            continue
        yield (
            *(contact_id, first, last),
            *_sort_addresses(addresses),
            *map(_yes_or_no, flags),
            *(cell for group_id in group_ids for cell in found.get(group_id, nowhere)),
        )


class _Following:
    """Rows in the order of their first column, of which some are asked for in that order."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def take(self, contact_id: int) -> list[tuple[Any, ...]]:
        """All rows of a contact; those of contacts before it are passed over."""
        found = []
        row = self._next
        while row is not None and row[0] <= contact_id:
            if row[0] == contact_id:
                found.append(row)
            row = next(self._rows, None)
        self._next = row
        return found


def _sort_addresses(emails: Sequence[tuple[Any, ...]]) -> tuple[str, str, str, str]:
    """The primary address, the one for bulk mail, others, and those of all that are on hold."""
    if len(emails) == 1 and not emails[0][4]:  # as with nearly everybody
        _, email, is_primary, is_bulk, _ = emails[0]
        return email * is_primary, email * is_bulk, email * (not (is_primary or is_bulk)), ""
    primary = [email for _, email, is_primary, _, _ in emails if is_primary]
    bulk = [email for _, email, _, is_bulk, _ in emails if is_bulk]
    others = [email for _, email, is_primary, is_bulk, _ in emails if not (is_primary or is_bulk)]
    held = [email for _, email, _, _, on_hold in emails if on_hold]
    return ", ".join(primary), ", ".join(bulk), ", ".join(others), ", ".join(held)
