"""How much a plan for an audience may change: its limits, and how many people there are."""

from functools import cached_property

from mcsync.cache.audience_status import AudienceStatus, count_subscribed, load_status
from mcsync.cache.counts import count_added
from mcsync.cache.store import Store
from mcsync.decision import Policy
from mcsync.reconcile.guards import Kind, PlanSize, Rulebook, find_excesses
from mcsync.safety import Safety


def make_rulebook(status: AudienceStatus, safety: Safety) -> Rulebook:
    """The limits as they hold for an audience now: before its first sync, or after new rules."""
    return Rulebook(safety, is_first=status.synced_at is None, is_strict=status.is_strict)


class Bounds:
    """What every plan for an audience is held against, whoever makes it.

    People are counted once, and only where there is anything to be held against them.
    """

    def __init__(self, store: Store, policy: Policy, safety: Safety) -> None:
        self._store, self._policy = store, policy
        self._rulebook = make_rulebook(load_status(store, policy.list_id), safety)

    def find_excesses(self, size: PlanSize) -> dict[Kind, str]:
        """A phrase with numbers for every kind of which there is too much."""
        if not any(size.values()):
            return {}
        return find_excesses(size, self._rulebook, self._subscribed, self._in_group)

    @cached_property
    def _subscribed(self) -> int:
        return count_subscribed(self._store, self._policy.list_id)

    @cached_property
    def _in_group(self) -> int:
        return count_added(self._store, self._policy.group_id)
