"""Whom somebody means: an address, a contact id, a row id; and whose rows these are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mcsync.cache.erase_snapshots import is_in_snapshots
from mcsync.cache.forgotten import find_hashes
from mcsync.cache.row_facts import (
    Match,
    find_contacts,
    find_matches,
    find_row,
    find_rows_by_contact,
    find_rows_by_email,
)
from mcsync.cache.store import Store
from mcsync.cache.traces import AskedFor, find_traces, is_noted
from mcsync.errors import UsageError
from mcsync.model import email_key

MOST_MATCHES = 20  # shown; whoever is looked for among more needs more of their name
_WORDS = re.compile(r"[^:]*[^\W\d_][^:]*")
_NUMBER = re.compile(r"(?:(row|contact):)?([0-9]{1,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Who:
    """What was asked for. A bare number may be a contact id and a row id: both are meant."""

    text: str
    email: str | None = None
    contact_id: int | None = None
    row_id: int | None = None


@dataclass(frozen=True, slots=True)
class Matches:
    """Several people who may be meant by a part of a name or an address: the newest of `count`."""

    text: str
    shown: tuple[Match, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one audience that were meant, and as what: "address", "contact 12" or "row 12"."""

    found_as: str
    row_ids: tuple[int, ...]
    contact_ids: tuple[int, ...] = ()


def read_who(text: str) -> Who:
    """What an argument means. Raises: UsageError for what is neither an address nor an id."""
    wanted = text.strip()
    match = _NUMBER.fullmatch(wanted)
    if match is not None:
        kind, number = (match[1] or "").lower(), int(match[2])
        return Who(
            wanted,
            contact_id=number if kind != "row" else None,
            row_id=number if kind != "contact" else None,
        )
    if "@" in wanted:
        return Who(wanted, email=wanted)
    raise UsageError(
        f'"{text}" is neither an address nor an id',
        hint="give an address, or a number: contact:12 or row:12",
    )


def find_meant(store: Store | None, list_ids: Sequence[str], text: str) -> Who | Matches:
    """Who is meant by an address, a number, or a part of an address or a name.

    An address may also be that of somebody of whom only something is noted, or who was forgotten.
    Raises: UsageError when nobody is known by such a name, or it cannot be one.
    """
    wanted = text.strip()
    if not _WORDS.fullmatch(wanted):
        return read_who(wanted)
    who = Who(wanted, email=wanted if "@" in wanted else None)
    if store is None:
        raise unknown(who, list_ids)
    if any(find_who(store, list_id, who) for list_id in list_ids):
        return who
    if who.email is not None and _is_kept(store, who.email):
        return who
    shown, count = find_matches(store, list_ids, wanted, MOST_MATCHES)
    numbers = {match.number for match in shown}
    if not numbers:
        raise unknown(who, list_ids)
    if len(numbers) == 1 and count == len(shown):
        return read_who(numbers.pop())
    return Matches(wanted, tuple(shown), count)


def _is_kept(store: Store, email: str) -> bool:
    """Whether anything is kept of an address, though nobody in an audience or a group has it."""
    traces = find_traces(store, AskedFor(email, email=email_key(email)))
    return (
        not traces.is_empty
        or bool(find_hashes(store, traces.to_hash))
        or is_noted(store, email)
        or is_in_snapshots(store.path, email)
    )


def find_who(store: Store, list_id: str, who: Who) -> list[Found]:
    """Whose rows are meant in an audience; with them contacts that only the mirror knows."""
    found = []
    if who.email is not None:
        rows = find_rows_by_email(store, list_id, who.email)
        contacts = find_contacts(store, who.email, None)
        found.append(Found("address", tuple(rows), tuple(contacts)))
    if who.contact_id is not None:
        rows = find_rows_by_contact(store, list_id, who.contact_id)
        contacts = find_contacts(store, None, who.contact_id)
        found.append(Found(f"contact {who.contact_id}", tuple(rows), tuple(contacts)))
    if who.row_id is not None:
        found.append(Found(f"row {who.row_id}", tuple(find_row(store, list_id, who.row_id))))
    return [each for each in found if each.row_ids or each.contact_ids]


def find_everybody(
    store: Store, list_ids: Sequence[str], wanted: Sequence[Who]
) -> dict[str, list[int]]:
    """By audience, the rows of all these people, each once, however often somebody is named.

    Raises: UsageError when nobody is known by one of these names.
    """
    meant: dict[str, dict[int, None]] = {list_id: {} for list_id in list_ids}
    for who in wanted:
        found = {list_id: find_who(store, list_id, who) for list_id in list_ids}
        if not any(each.row_ids for finds in found.values() for each in finds):
            raise unknown(who, list(meant))
        for list_id, finds in found.items():
            meant[list_id] |= {row_id: None for each in finds for row_id in each.row_ids}
    return {list_id: list(rows) for list_id, rows in meant.items()}


def unknown(who: Who, list_ids: Sequence[str]) -> UsageError:
    """Nobody like that is in the cache."""
    count = len(list_ids)
    where = f"audience {list_ids[0]} or its" if count == 1 else f"any of {count} audiences or their"
    return UsageError(
        f"nobody known as {who.text} in {where} groups",
        hint="the cache knows everybody who is or was in an audience or one of its groups; for"
        ' somebody new, run "mcsync fetch" first',
    )
