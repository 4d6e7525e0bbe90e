"""Left alone: what undo has put back stays as it is until either side says something newer.

The two sides may differ for good then: that is what undo is for. A word is newer when it is newer
than all that were known when it was put back. What was written by us is no word, so that neither
undo itself nor a full compare ends it. Trusting a side does: it is a human's own, newer decision.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from mcsync.decision import (
    NAMES,
    ContactView,
    Decision,
    MemberView,
    Person,
    Place,
    Policy,
    Reason,
    Statement,
    SyncStatus,
    make_group_topic,
    make_topic,
)
from mcsync.model import LONG_AGO, SUBSCRIPTION


def is_left_alone(person: Person, policy: Policy, thing: str) -> bool:
    """Whether a subscription, an interest or the names stay as undo put them back.

    `thing` is "subscription", an interest's id or "names".
    """
    return thing not in policy.trust and is_as_undone(person, policy, thing)


def is_as_undone(person: Person, policy: Policy, thing: str) -> bool:
    """Whether undo put it back, and nobody has said anything newer since; whoever is trusted."""
    if not person.undone:
        return False
    undone = person.undone.get(NAMES if thing == NAMES else name_topic(policy, thing))
    if undone is None:
        return False
    if (
        thing == NAMES
        and person.contact is not None
        and undone.value == print_names(person.contact)
    ):
        # CiviCRM says what undo wrote there: that we did, though we may not have lived to note it.
        person = replace(person, contact=None)
    if find_newest_word(person, policy, thing) > undone.at:
        return False
    return thing == NAMES or not undone.value or undone.value == find_place(person, policy, thing)


def print_names(contact: ContactView) -> str:
    """A fingerprint of a contact's names, which undo may have written."""
    return print_of(contact.contact.first_name, contact.contact.last_name)


def print_of(*values: str) -> str:
    """A fingerprint of an address or of names: whoever reads the marks need not read these."""
    return sha256("\n".join(values).encode()).hexdigest()[:16]


def tell_undone(decision: Decision) -> Decision:
    """The decision where something was left alone: whoever is fine is told to be undone."""
    fine = [v.row_id for v in decision.verdicts if v.sync_status is SyncStatus.OK]
    for row_id in fine:
        decision = decision.with_verdict(row_id, SyncStatus.OK, Reason.UNDONE)
    return decision


def name_topic(policy: Policy, thing: str) -> str:
    """What undo calls a subscription or an interest: with another group it is another one."""
    return make_group_topic(find_group(policy, thing))


def find_group(policy: Policy, thing: str) -> int:
    """The group that stands for a subscription or an interest."""
    return policy.group_id if thing == SUBSCRIPTION else policy.interests[thing].group_id


def find_place(person: Person, policy: Policy, thing: str) -> str:
    """For an interest that CiviCRM alone decides: whether the contact is in its group; else ""."""
    if thing not in policy.interests or not policy.interests[thing].is_push_only:
        return ""
    is_added = person.contact is not None and _find_place(person, policy, thing).is_added
    return "in" if is_added else "out"


def find_newest_word(person: Person, policy: Policy, thing: str) -> datetime:
    """When either side said something last about a thing, or both were made to agree by trust."""
    times = list(find_word_times(person, policy, thing, person.voices))
    if thing != NAMES:
        agreed = person.agreed.get(make_topic(thing, find_group(policy, thing)))
        times += [agreed.at] if agreed is not None else []
        # Whoever deletes the contact has said something, too.
        times += [row.lost_at for row in person.rows if row.lost_at is not None]
    return max(times, default=LONG_AGO)


def find_word_times(
    person: Person, policy: Policy, thing: str, members: Iterable[MemberView]
) -> Iterator[datetime]:
    """When these members, and the contact, said what stands of them about a thing."""
    if thing == NAMES:
        for member in members:
            yield from (member.first_name_at, member.last_name_at)
        if person.contact is not None:
            yield from (person.contact.first_name_at, person.contact.last_name_at)
        return
    said = _find_place(person, policy, thing).said
    words: list[Statement[bool] | None] = [said]
    if not (thing in policy.interests and policy.interests[thing].is_push_only):
        words += [
            m.subscription if thing == SUBSCRIPTION else m.interests.get(thing) for m in members
        ]
    yield from (word.at for word in words if word is not None)


def _find_place(person: Person, policy: Policy, thing: str) -> Place:
    contact = person.contact
    return Place() if contact is None else contact.place(find_group(policy, thing))
