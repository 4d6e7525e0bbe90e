"""History: what was changed at either end, when, in which run, for whom and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mcsync.answers.asked import Who, find_who
from mcsync.answers.labels import Labels, load_labels
from mcsync.answers.status import Watched
from mcsync.cache.row_facts import load_row_facts
from mcsync.cache.store import Store
from mcsync.cache.trail import Asked, Change, count_changes, find_changes
from mcsync.cache.undos import load_undone


@dataclass(frozen=True, slots=True)
class History:
    """The changes asked for, oldest first; `count` is how many there are, the newest
    of which are shown; None where all are. `undone` has the runs that undid a run.
    """

    changes: Iterator[Change]
    count: int | None
    labels: Labels
    undone: Mapping[str, Sequence[str]] = field(default_factory=dict)


def load_history(
    store: Store | None,
    audiences: Sequence[Watched],
    who: Who | None,
    asked: Asked,
) -> History:
    """The changes asked for in these audiences, of `who` if somebody is meant."""
    if store is None:
        return History(iter(()), None, Labels())
    rows, contacts, emails = _find_person(store, audiences, who) if who else ([], [], [])
    of_these = replace(
        asked,
        list_ids=[watched.list_id for watched in audiences],
        row_ids=rows,
        contact_ids=contacts,
        emails=emails,
        is_of_person=who is not None,
    )
    labels = load_labels(store, of_these.list_ids)
    count = None if asked.most is None else count_changes(store, of_these)
    return History(find_changes(store, of_these), count, labels, load_undone(store))


def _find_person(
    store: Store, audiences: Sequence[Watched], who: Who
) -> tuple[list[int], list[int], list[str]]:
    """(rows, contacts, addresses) of whoever is meant; who left the cache is in the trail yet."""
    rows = [] if who.row_id is None else [who.row_id]
    contacts = [] if who.contact_id is None else [who.contact_id]
    if who.email is None:
        return rows, contacts, []
    for watched in audiences:
        found = find_who(store, watched.list_id, who)
        rows += [row_id for each in found for row_id in each.row_ids]
    facts = load_row_facts(store, rows).values()
    contacts += [row.contact_id for row in facts if row.contact_id is not None]
    return rows, contacts, [who.email]
