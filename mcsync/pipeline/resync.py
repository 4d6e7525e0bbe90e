"""Resync: include given people, or all in `fail`, in the next sync. Asks and tells nobody."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mcsync.answers.asked import Who, find_who, unknown
from mcsync.answers.status import Watched
from mcsync.cache.persons import load_persons_of
from mcsync.cache.resync import find_failed
from mcsync.cache.rows import mark_for_resync
from mcsync.cache.store import Store

log = logging.getLogger("mcsync")


@dataclass(frozen=True, slots=True)
class Included:
    """How many rows of an audience, and of how many people, the next sync judges anew."""

    watched: Watched
    rows: int
    people: int

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "list_id": self.watched.list_id,
            "name": self.watched.name,
            "group_id": self.watched.policy.group_id,
            "rows_included": self.rows,
            "people_included": self.people,
        }


def resync_people(
    store: Store, audiences: Sequence[Watched], wanted: Sequence[Who]
) -> list[Included]:
    """Include all rows of these people, each once, however often somebody is named.

    Raises: UsageError, before anything is marked.
    """
    meant: dict[str, dict[int, None]] = {watched.list_id: {} for watched in audiences}
    for who in wanted:
        found = {w.list_id: find_who(store, w.list_id, who) for w in audiences}
        if not any(each.row_ids for finds in found.values() for each in finds):
            raise unknown(who, list(meant))
        for list_id, finds in found.items():
            meant[list_id] |= {row_id: None for each in finds for row_id in each.row_ids}
    return [_include(store, watched, list(meant[watched.list_id])) for watched in audiences]


def resync_failed(store: Store, audiences: Sequence[Watched]) -> list[Included]:
    """Include everybody who is in `fail`."""
    return [_include(store, w, find_failed(store, w.list_id)) for w in audiences]


def _include(store: Store, watched: Watched, row_ids: Sequence[int]) -> Included:
    people = load_persons_of(store, watched.policy, row_ids)
    with_rows = [person for person in people if person.rows]
    everyone = [row.row_id for person in with_rows for row in person.rows]
    with store.atomic():
        mark_for_resync(store, everyone)
    if everyone:
        log.info(
            "%s: %d %s in the next sync",
            watched.name,
            len(with_rows),
            "person is judged anew" if len(with_rows) == 1 else "people are judged anew",
        )
    return Included(watched, len(everyone), len(with_rows))
