"""Guards: is a plan of this size allowed, or must a human look first?"""

from collections.abc import Iterable
from dataclasses import dataclass

from mcsync.model import Decision, GroupStatus, MemberStatus

NEVER_BELOW = 10  # people; design: a guard never trips below this


@dataclass(frozen=True, slots=True)
class PlanSize:
    """How many people a plan would unsubscribe, take from the group, add and create."""

    unsubscribes: int = 0
    removals: int = 0
    additions: int = 0
    new_contacts: int = 0

    @property
    def is_never_held(self) -> bool:
        """Whether no ceiling can hold a plan as small as this."""
        most = max(self.unsubscribes, self.removals, self.additions, self.new_contacts)
        return most < NEVER_BELOW

    def plus(self, other: "PlanSize") -> "PlanSize":
        """Both together."""
        return PlanSize(
            self.unsubscribes + other.unsubscribes,
            self.removals + other.removals,
            self.additions + other.additions,
            self.new_contacts + other.new_contacts,
        )


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a plan may do of one kind; None allows everything.

    A share is of those who are there now: the subscribed members, or the group's contacts.
    """

    number: float | None = None
    is_percent: bool = False

    def allows(self, count: int, of: int) -> bool:
        """Whether `count` people, out of `of`, are few enough."""
        if self.number is None or count < NEVER_BELOW:
            return True
        return count <= (of * self.number / 100 if self.is_percent else self.number)

    def __str__(self) -> str:
        number = "any number" if self.number is None else f"{self.number:g}"
        return f"{number}%" if self.is_percent else number


@dataclass(frozen=True, slots=True)
class Ceilings:
    """One ceiling for each kind of change."""

    unsubscribes: Ceiling
    removals: Ceiling
    additions: Ceiling
    new_contacts: Ceiling


def is_guarded(size: PlanSize, ceilings: Ceilings) -> bool:
    """Whether there is anything of a kind that has a ceiling, however few people it concerns."""
    counted = (
        (size.unsubscribes, ceilings.unsubscribes),
        (size.removals, ceilings.removals),
        (size.additions, ceilings.additions),
        (size.new_contacts, ceilings.new_contacts),
    )
    return any(count and ceiling.number is not None for count, ceiling in counted)


def measure(decision: Decision) -> PlanSize:
    """What one person's decision counts for."""
    statuses = [planned.change for planned in decision.changes]
    return PlanSize(
        unsubscribes=sum(
            change.is_archiving or change.status is MemberStatus.UNSUBSCRIBED for change in statuses
        ),
        removals=sum(
            write.is_inferred and write.status is GroupStatus.REMOVED
            for write in decision.group_writes
        ),
        additions=sum(change.status is MemberStatus.SUBSCRIBED for change in statuses),
        new_contacts=int(decision.new_contact is not None),
    )


def find_excesses(
    size: PlanSize, ceilings: Ceilings, subscribed: int, in_group: int
) -> Iterable[str]:
    """A phrase with numbers for every ceiling that the plan exceeds; none: it may go ahead."""
    checks = (
        ("unsubscribe", size.unsubscribes, "subscribed members", subscribed, ceilings.unsubscribes),
        ("remove from the group", size.removals, "contacts in it", in_group, ceilings.removals),
        ("subscribe", size.additions, "subscribed now", subscribed, ceilings.additions),
        ("create in CiviCRM", size.new_contacts, "in the group", in_group, ceilings.new_contacts),
    )
    for verb, count, whom, of, ceiling in checks:
        if not ceiling.allows(count, of):
            yield f"would {verb} {count:,} ({of:,} {whom}; allowed: {ceiling})"
