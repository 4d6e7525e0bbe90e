"""Guards: is so much of one kind allowed, or must a human look first?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mcsync.model import Decision, GroupStatus, MemberStatus, Person, PlannedChange, Reason

NEVER_BELOW = 10  # people; a guard never trips below this


class Kind(StrEnum):
    """What a guard counts. A decision may be of several kinds; each person counts once in each."""

    UNSUBSCRIBES = "unsubscribes"
    MUTES = "mutes"
    REMOVALS = "removals"
    ADDITIONS = "additions"
    JOINS = "joins"
    INTERESTS = "interests"
    NEW_CONTACTS = "new-contacts"
    ADDRESSES = "address-changes"
    UNSEEN = "contacts-not-seen"


# Who leaves by themselves has said so; all else that takes somebody from the group is inferred.
_INFERRED = frozenset(
    (
        Reason.MAILCHIMP_STAFF,
        Reason.MAILCHIMP_CLEANED,
        Reason.MAILCHIMP_VANISHED,
        Reason.MAILCHIMP_ARCHIVED,
        Reason.TRUST_MAILCHIMP,
        Reason.TRUST_CIVICRM,
    )
)

PlanSize = Counter[Kind]


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


STRICT = Ceiling(10, is_percent=True)  # for a plan that a changed config has brought about


@dataclass(frozen=True, slots=True)
class Ceilings:
    """One ceiling for each kind of change.

    `unsubscribes` holds for both kinds: for staff's removals, and because people may not be
    mailed.
    """

    unsubscribes: Ceiling
    removals: Ceiling
    additions: Ceiling
    new_contacts: Ceiling
    address_changes: Ceiling = field(default_factory=Ceiling)

    def of(self, kind: Kind) -> Ceiling:
        """The ceiling for a kind."""
        return {
            Kind.UNSUBSCRIBES: self.unsubscribes,
            Kind.MUTES: self.unsubscribes,
            Kind.REMOVALS: self.removals,
            Kind.UNSEEN: self.removals,
            Kind.ADDITIONS: self.additions,
            Kind.NEW_CONTACTS: self.new_contacts,
            Kind.ADDRESSES: self.address_changes,
        }.get(kind, _NO_CEILING)


_NO_CEILING = Ceiling()


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What the guards need to know of an audience at this moment.

    `is_first`: no sync has been completed yet, so that additions are what is meant. `is_strict`:
    the rules have just been changed, and whatever that would change at large waits.
    """

    ceilings: Ceilings
    is_first: bool = False
    is_strict: bool = False

    def ceiling(self, kind: Kind) -> Ceiling:
        """The ceiling that holds now."""
        ceiling = self.ceilings.of(kind)
        if self.is_strict:
            is_stricter = ceiling.number is None or not ceiling.is_percent or ceiling.number > 10
            return STRICT if is_stricter else ceiling
        if self.is_first and kind in (Kind.ADDITIONS, Kind.NEW_CONTACTS):
            return _NO_CEILING
        return ceiling


def measure(decision: Decision, person: Person | None = None) -> frozenset[Kind]:
    """What one person's decision counts for."""
    return frozenset(_find_kinds(decision, person))


def _find_kinds(decision: Decision, person: Person | None) -> Iterator[Kind]:
    if person is not None and person.contact is not None and person.contact.is_unseen:
        yield Kind.UNSEEN
    for planned in decision.changes:
        yield from _kinds_of_change(planned)
    for write in decision.group_writes:
        if write.reason is Reason.INTEREST:
            yield Kind.INTERESTS
        elif write.status is GroupStatus.ADDED:
            yield Kind.JOINS
        elif write.reason in _INFERRED:
            yield Kind.REMOVALS
    if decision.new_contact is not None:
        yield Kind.NEW_CONTACTS
    if decision.email_writes:
        yield Kind.ADDRESSES


def _kinds_of_change(planned: PlannedChange) -> Iterator[Kind]:
    change = planned.change
    if change.is_leaving and planned.reason is not Reason.MAILCHIMP_LEFT:
        yield Kind.MUTES if planned.is_gate else Kind.UNSUBSCRIBES
    is_asked = change.status is MemberStatus.PENDING and planned.reason is not Reason.COMPLIANCE
    if change.status is MemberStatus.SUBSCRIBED or is_asked:
        yield Kind.ADDITIONS
    if change.new_email is not None:
        yield Kind.ADDRESSES
    if change.interests:
        yield Kind.INTERESTS


# What somebody did themselves, and whose webhook told at once, is done at once.
_OWN_DOING = frozenset((Kind.ADDITIONS, Kind.JOINS, Kind.NEW_CONTACTS, Kind.ADDRESSES))


def may_be_done_alone(decision: Decision, ceilings: Ceilings) -> bool:
    """Whether a decision may be carried out one by one, without a look at all the others."""
    kinds = measure(decision) - _OWN_DOING
    return all(ceilings.of(kind).number is None for kind in kinds)


_WORDS: Mapping[Kind, str] = {
    Kind.UNSUBSCRIBES: "unsubscribe {count} of {of} subscribed members",
    Kind.MUTES: "unsubscribe {count} of {of} members because they may not be mailed",
    Kind.REMOVALS: "remove {count} of {of} contacts from the group",
    Kind.ADDITIONS: "subscribe {people} in addition to {of}",
    Kind.JOINS: "add {people} to the group of {of}",
    Kind.INTERESTS: "change the interests of {count} of {of} subscribed members",
    Kind.NEW_CONTACTS: "create contacts in CiviCRM for {people}, with {of} in the group",
    Kind.ADDRESSES: "change the addresses of {count} of {of} subscribed members",
}
_OF_GROUP = frozenset((Kind.REMOVALS, Kind.JOINS, Kind.NEW_CONTACTS, Kind.UNSEEN))


def find_excesses(
    size: PlanSize, rulebook: Rulebook, subscribed: int, in_group: int
) -> dict[Kind, str]:
    """A phrase with numbers for every kind of which the plan has too much."""
    found: dict[Kind, str] = {}
    for kind in Kind:
        count, of = size[kind], in_group if kind in _OF_GROUP else subscribed
        ceiling = rulebook.ceiling(kind)
        if kind is Kind.UNSEEN:
            if count:
                found[kind] = f"CiviCRM no longer shows {count:,} of its contacts"
        elif not ceiling.allows(count, of):
            people = f"{count:,} {'person' if count == 1 else 'people'}"
            what = _WORDS[kind].format(count=f"{count:,}", people=people, of=f"{of:,}")
            found[kind] = f"would {what} (limit: {ceiling})"
    return found


def has_grown(sizes: Mapping[str, int], told: Mapping[str, int]) -> bool:
    """Whether a plan has grown by more than a tenth in any kind since it was told.

    Of contacts that are no longer seen it was told, whatever follows from that.
    """
    unseen = told.get(Kind.UNSEEN, 0)
    return any(count > max(told.get(kind, 0), unseen) * 1.1 for kind, count in sizes.items())


def sum_up(kinds: Iterable[frozenset[Kind]]) -> PlanSize:
    """How many decisions are of each kind."""
    size: PlanSize = Counter()
    for each in kinds:
        size.update(each)
    return size
