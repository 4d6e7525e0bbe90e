"""How `mcsync forget` talks: whom it found, whether to erase them, and what others still have."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mcsync.answers.asked import read_who
from mcsync.cache.traces import AskedFor
from mcsync.cli.tables import show_line
from mcsync.text import count_of

if TYPE_CHECKING:
    from mcsync.cache.traces import Traces
    from mcsync.cli.state import State

Names = Mapping[str, str]  # of audiences, by their ids


def read_whom(people: Sequence[str]) -> list[AskedFor]:
    """Who is meant; a bare number is a contact's. Raises: UsageError"""
    whom = map(read_who, people)
    return [
        AskedFor(w.text, w.email, w.contact_id, w.row_id if w.contact_id is None else None)
        for w in whom
    ]


def show_found(state: "State", people: "Sequence[Traces]", names: Names) -> None:
    """What there is of each, before anything is erased."""
    if state.wants_json:
        state.answer = {"people": [_describe(person, names) for person in people]}
        return
    for person in people:
        parts = (
            count_of(len(person.rows), "row of the cache", "rows of the cache"),
            count_of(len(person.contacts), "contact"),
            count_of(len(person.emails), "address", "addresses"),
        )
        show_line(f"Found {', '.join(parts)}.")
        for line in _tell_rest(person, names):
            show_line(line, indent=2)


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask_whether(count: int, *, at_mailchimp: bool) -> bool:
    """Whether to go on; on stderr, where no answer is read from."""
    whom = count_of(count, "person", "people")
    question = f"Erase {whom} from everything mcsync keeps?"
    if at_mailchimp:
        question = f"Delete {whom} at Mailchimp for good, and erase them here?"
    if click.confirm(question, default=False, err=True):
        return True
    show_line("Nothing was changed.")
    return False


def show_erased(state: "State", people: "Sequence[Traces]", names: Names) -> None:
    """That it is done, and what others still have."""
    if state.wants_json:
        state.answer = {"people": [_describe(person, names) for person in people]}
        return
    show_line(f"{count_of(len(people), 'person', 'people')} erased.")
    for person in people:
        for line in _tell_rest(person, names):
            show_line(line, indent=2)


def _tell_rest(person: "Traces", names: Names) -> Iterator[str]:
    """What CiviCRM and Mailchimp have of a person, and what cannot be erased."""
    for contact_id in sorted(person.contacts):
        if contact_id in person.in_trash:
            yield f"Contact {contact_id} was deleted in CiviCRM; empty the trash there."
        else:
            yield f"CiviCRM still has contact {contact_id}; erase it there."
    for list_id in sorted(person.living_in):
        yield (
            f"Mailchimp still has a member in {names.get(list_id, list_id)}; delete them there for"
            " good, or add --at-mailchimp."
        )
    for owners in person.shared.values():
        whose = ", ".join(f"contact {contact_id}" for contact_id in sorted(owners))
        yield f"One address stays, with what Mailchimp has of it: it is also that of {whose}."


def _describe(person: "Traces", names: Names) -> dict[str, object]:
    """For `--json`; no address is in it."""
    return {
        "rows": len(person.rows),
        "addresses": len(person.emails),
        "contacts": sorted(person.contacts.keys() - person.in_trash),
        "deleted_contacts": sorted(person.in_trash),
        "still_at_mailchimp": [
            {"list_id": list_id, "name": names.get(list_id, list_id)}
            for list_id in sorted(person.living_in)
        ],
        "shared_with_contacts": sorted(
            {contact_id for owners in person.shared.values() for contact_id in owners}
        ),
    }
