"""Guards: is so much of one kind allowed, or must a human look first?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mcsync.decision import Decision, Person, PlannedChange, Reason
from mcsync.model import GroupStatus, MemberStatus
from mcsync.safety import NO_LIMIT, Limit, Safety


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
        Reason.UNDONE,
    )
)

PlanSize = Counter[Kind]


STRICT = Limit(10, is_percent=True)  # for a plan that a changed config has brought about


def find_limit(safety: Safety, kind: Kind) -> Limit:
    """The limit for a kind of change."""
    return {
        Kind.UNSUBSCRIBES: safety.unsubscribes,
        Kind.MUTES: safety.unsubscribes,
        Kind.REMOVALS: safety.removals,
        Kind.UNSEEN: safety.removals,
        Kind.ADDITIONS: safety.additions,
        Kind.NEW_CONTACTS: safety.new_contacts,
        Kind.ADDRESSES: safety.address_changes,
    }.get(kind, NO_LIMIT)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What the guards need to know of an audience at this moment.

    `is_first`: no sync has been completed yet, so that additions are what is meant. `is_strict`:
    the rules have just been changed, and whatever that would change at large waits.
    """

    safety: Safety
    is_first: bool = False
    is_strict: bool = False

    def limit(self, kind: Kind) -> Limit:
        """The limit that holds now."""
        limit = find_limit(self.safety, kind)
        if self.is_strict:
            is_stricter = limit.number is None or not limit.is_percent or limit.number > 10
            return STRICT if is_stricter else limit
        if self.is_first and kind in (Kind.ADDITIONS, Kind.NEW_CONTACTS):
            return NO_LIMIT
        return limit


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
    if decision.email_writes or decision.bulk_moves:
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


def may_be_done_alone(decision: Decision, safety: Safety) -> bool:
    """Whether a decision may be carried out one by one, without a look at all the others."""
    kinds = measure(decision) - _OWN_DOING
    return all(find_limit(safety, kind).number is None for kind in kinds)


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


def find_base(kind: Kind, subscribed: int, in_group: int) -> int:
    """How many people there are, of whom a plan may change so many of this kind."""
    return in_group if kind in _OF_GROUP else subscribed


def find_excesses(
    size: PlanSize, rulebook: Rulebook, subscribed: int, in_group: int
) -> dict[Kind, str]:
    """A phrase with numbers for every kind of which the plan has too much."""
    found: dict[Kind, str] = {}
    for kind in Kind:
        count, of = size[kind], find_base(kind, subscribed, in_group)
        limit = rulebook.limit(kind)
        if kind is Kind.UNSEEN:
            if count:
                found[kind] = f"CiviCRM no longer shows {count:,} of its contacts"
        elif not limit.allows(count, of):
            people = f"{count:,} {'person' if count == 1 else 'people'}"
            what = _WORDS[kind].format(count=f"{count:,}", people=people, of=f"{of:,}")
            found[kind] = f"would {what} (limit: {limit})"
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
