"""Interests: the groups of CiviCRM that stand for Mailchimp's interests, while somebody is in."""

from collections.abc import Sequence
from datetime import datetime

from mcsync.model import (
    LONG_AGO,
    ContactView,
    GroupStatus,
    GroupWrite,
    InterestPolicy,
    MemberChange,
    MemberView,
    Person,
    PlannedChange,
    Policy,
    Reason,
    Side,
    Statement,
    TrustedWord,
)
from mcsync.reconcile.agree import agree, agree_within

Wishes = dict[str, Statement[bool]]


def decide_interests(
    person: Person, policy: Policy, members: Sequence[MemberView]
) -> tuple[tuple[GroupWrite, ...], tuple[PlannedChange, ...], tuple[TrustedWord, ...]]:
    """What is written so that both sides have the same interests of these members.

    Also the words that stand from now on where Mailchimp was trusted against CiviCRM.
    `members` are those of the person who are in, or are being subscribed now. A member that
    lacks an interest altogether has none yet; then only a wish to be in is sent.
    """
    writes: list[GroupWrite] = []
    words: list[TrustedWord] = []
    wishes: Wishes = {}
    for interest_id, interest in policy.interests.items():
        agreed = _agree_interest(person, policy, interest_id, members)
        if agreed is None:
            continue
        wishes[interest_id] = agreed
        if not interest.is_push_only:
            writes += _write_group(person, interest, agreed)
            if policy.trust.get(interest_id) is Side.MAILCHIMP:
                words += overrule(person.contacts, interest.group_id, agreed)
    changes = [_change_member(member, wishes) for member in members]
    return tuple(writes), tuple(c for c in changes if c is not None), tuple(words)


def overrule(
    contacts: Sequence[ContactView], group_id: int, agreed: Statement[bool]
) -> tuple[TrustedWord, ...]:
    """What is to stand in place of what CiviCRM said otherwise about these contacts."""
    return tuple(
        TrustedWord(contact.contact_id, group_id, agreed)
        for contact in contacts
        if (said := contact.place(group_id).said) is not None and said.value != agreed.value
    )


def _agree_interest(
    person: Person, policy: Policy, interest_id: str, members: Sequence[MemberView]
) -> Statement[bool] | None:
    interest = policy.interests[interest_id]
    places = [contact.place(interest.group_id) for contact in person.contacts]
    if interest.is_push_only:
        said = agree_within(place.said for place in places)
        at = said.at if said else LONG_AGO
        return Statement(any(place.is_added for place in places), at)
    return agree(
        agree_within(member.interests.get(interest_id) for member in members),
        agree_within(place.said for place in places),
        policy.trust.get(interest_id),
    )


def _write_group(
    person: Person, interest: InterestPolicy, agreed: Statement[bool]
) -> list[GroupWrite]:
    group_id = interest.group_id
    added = [c for c in person.contacts if c.place(group_id).is_added]
    if not agreed.value:
        return [
            GroupWrite(contact.contact_id, group_id, GroupStatus.REMOVED, Reason.INTEREST)
            for contact in added
        ]
    if added:
        return []
    linked = {row.contact_id for row in person.rows if row.member is not None}
    contact = min(person.contacts, key=lambda c: (c.contact_id not in linked, c.contact_id))
    return [GroupWrite(contact.contact_id, group_id, GroupStatus.ADDED, Reason.INTEREST)]


def _change_member(member: MemberView, wishes: Wishes) -> PlannedChange | None:
    different: dict[str, bool] = {}
    caused_at: dict[str, datetime] = {}
    for interest_id, wish in wishes.items():
        now = member.interests.get(interest_id)
        if wish.value != (now is not None and now.value):
            different[interest_id] = wish.value
            caused_at[f"interest-{interest_id}"] = wish.at
    if not different:
        return None
    change = MemberChange(email=member.email, member_id=member.member_id, interests=different)
    return PlannedChange(member.row_id, None, change, Reason.INTEREST, caused_at)
