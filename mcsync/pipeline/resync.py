"""Resync: include given people, or all in `fail`, in the next sync. Asks and tells nobody."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mcsync.cache.persons import load_persons_of
from mcsync.cache.row_facts import find_failed
from mcsync.cache.rows import mark_for_resync
from mcsync.cache.store import Store
from mcsync.decision import Policy
from mcsync.text import count_of

log = logging.getLogger("mcsync")


@dataclass(frozen=True, slots=True)
class Included:
    """How many rows of an audience, and of how many people, the next sync judges anew."""

    policy: Policy
    name: str
    rows: int
    people: int

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "list_id": self.policy.list_id,
            "name": self.name,
            "group_id": self.policy.group_id,
            "rows_included": self.rows,
            "people_included": self.people,
        }


def resync_failed(store: Store, policy: Policy, name: str) -> Included:
    """Include everybody who is in `fail`."""
    return resync_rows(store, policy, name, find_failed(store, policy.list_id))


def resync_rows(store: Store, policy: Policy, name: str, row_ids: Sequence[int]) -> Included:
    """Include all rows of the people to whom these belong."""
    people = load_persons_of(store, policy, row_ids)
    with_rows = [person for person in people if person.rows]
    everyone = [row.row_id for person in with_rows for row in person.rows]
    with store.atomic():
        mark_for_resync(store, everyone)
    if everyone:
        log.info(
            "%s: %s in the next sync",
            name,
            count_of(len(with_rows), "person is checked again", "people are checked again"),
        )
    return Included(policy, name, len(everyone), len(with_rows))
