"""Interests: the groups of CiviCRM that stand for Mailchimp's interests, while somebody is in."""

from collections.abc import Sequence
from datetime import datetime

from mcsync.decision import (
    Agreement,
    GroupWrite,
    InterestPolicy,
    MemberView,
    Person,
    PlannedChange,
    Policy,
    Reason,
    Statement,
)
from mcsync.model import GroupStatus, MemberChange
from mcsync.reconcile.agree import hear_interest, stands_for
from mcsync.reconcile.left_alone import is_left_alone

Wishes = dict[str, Statement[bool]]


def decide_interests(
    person: Person, policy: Policy, members: Sequence[MemberView]
) -> tuple[tuple[GroupWrite, ...], tuple[PlannedChange, ...], tuple[Agreement, ...]]:
    """What is written so that both sides have the same interests of these members.

    `members` are the person's own who are in, or are being subscribed now. A member that lacks an
    interest altogether has none yet; then only a wish to be in is sent.
    """
    writes: list[GroupWrite] = []
    agreements: list[Agreement] = []
    wishes: Wishes = {}
    for interest_id, interest in policy.interests.items():
        heard = hear_interest(person, policy, interest_id)
        if heard.right is None or is_left_alone(person, policy, interest_id):
            continue
        wishes[interest_id] = heard.right
        if not interest.is_push_only:
            writes += _write_group(person, interest, heard.right)
        if heard.remembered is not None:
            agreements.append(heard.remembered)
    others = _hear_sharers(wishes, person, policy)
    changes = [_change_member(member, wishes, others) for member in members]
    return tuple(writes), tuple(c for c in changes if c is not None), tuple(agreements)


def _hear_sharers(own: Wishes, person: Person, policy: Policy) -> Wishes:
    """What contacts wish besides who share the person's members, and have none of their own."""
    wishes: Wishes = {}
    for sharer in person.sharers:
        if sharer.members or not stands_for(sharer, policy):
            continue
        for interest_id in policy.interests:
            right = hear_interest(sharer, policy, interest_id).right
            is_own = interest_id in own and own[interest_id].value
            if right is not None and right.value and not is_own:
                wishes[interest_id] = right
    return wishes


def _write_group(
    person: Person, interest: InterestPolicy, agreed: Statement[bool]
) -> list[GroupWrite]:
    contact = person.contact
    if contact is None or contact.place(interest.group_id).is_added == agreed.value:
        return []
    status = GroupStatus.ADDED if agreed.value else GroupStatus.REMOVED
    return [GroupWrite(contact.contact_id, interest.group_id, status, Reason.INTEREST, agreed.at)]


def _change_member(member: MemberView, own: Wishes, others: Wishes) -> PlannedChange | None:
    different: dict[str, bool] = {}
    caused_at: dict[str, datetime] = {}
    for interest_id, wish in {**own, **others}.items():
        if wish.value != member.has_interest(interest_id):
            different[interest_id] = wish.value
            caused_at[f"interest-{interest_id}"] = wish.at
    if not different:
        return None
    change = MemberChange(email=member.email, member_id=member.member_id, interests=different)
    for_others = tuple(f"interest-{key}" for key in different if key in others)
    return PlannedChange(
        member.row_id, None, change, Reason.INTEREST, caused_at, for_others=for_others
    )
