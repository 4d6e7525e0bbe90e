"""Agree: what each side said about one thing, which rule decides, and what is right.

`hear_subscription` and `hear_interest` are the one answer to that: the judge enforces it, and
`explain` puts it into words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from mcsync.decision import (
    Agreed,
    Agreement,
    MemberView,
    Person,
    Place,
    Policy,
    Reason,
    Statement,
    make_topic,
)
from mcsync.model import LONG_AGO, SUBSCRIPTION, MemberStatus, Side
from mcsync.reconcile.gate import find_closed_gate
from mcsync.reconcile.left_alone import is_as_undone

Word = Statement[bool]


class Rule(StrEnum):
    """Which rule decided about one thing."""

    NOBODY = "nobody-spoke"
    ONLY_MAILCHIMP = "only-mailchimp-spoke"
    ONLY_CIVICRM = "only-civicrm-spoke"
    SAME = "both-say-the-same"
    MAILCHIMP_LATER = "mailchimp-spoke-later"
    CIVICRM_LATER = "civicrm-spoke-later"
    TIE = "both-spoke-at-once"
    BEFORE = "agreed-before"
    TRUST_MAILCHIMP = "mailchimp-is-trusted"
    TRUST_CIVICRM = "civicrm-is-trusted"
    PUSH_ONLY = "civicrm-always"
    BEFORE_MOVE = "before-the-move"

    @property
    def side(self) -> Side | None:
        """Whose word it was; None for both, nobody, and what was agreed before."""
        return _SIDES.get(self)


_SIDES = {
    Rule.ONLY_MAILCHIMP: Side.MAILCHIMP,
    Rule.MAILCHIMP_LATER: Side.MAILCHIMP,
    Rule.TRUST_MAILCHIMP: Side.MAILCHIMP,
    Rule.ONLY_CIVICRM: Side.CIVICRM,
    Rule.CIVICRM_LATER: Side.CIVICRM,
    Rule.TIE: Side.CIVICRM,
    Rule.TRUST_CIVICRM: Side.CIVICRM,
    Rule.PUSH_ONLY: Side.CIVICRM,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What both sides said about one thing, and what is right: None when nobody ever spoke.

    `remembered` is what is to be kept in mind of it, None when the words themselves will always
    tell it.
    """

    thing: str
    mailchimp: Word | None
    civicrm: Word | None
    right: Word | None
    rule: Rule
    reason: Reason
    before: Agreed | None = None
    remembered: Agreement | None = None


def agree(
    member: Word | None, contact: Word | None, before: Agreed | None = None
) -> tuple[Word | None, Rule]:
    """Say which side's statement about one thing is right, and by which rule.

    The later one; CiviCRM on a tie; the only one if one side has none. A word older than what
    was agreed `before` counts no more. Times are aware UTC. Never raises.
    """
    if before is not None:
        member = member if member is not None and member.at >= before.at else None
        contact = contact if contact is not None and contact.at >= before.at else None
        if member is None and contact is None:
            return Statement(before.value, before.at), Rule.BEFORE
    if member is None or contact is None:
        if member is None and contact is None:
            return None, Rule.NOBODY
        return member or contact, Rule.ONLY_CIVICRM if member is None else Rule.ONLY_MAILCHIMP
    right = member if member.at > contact.at else contact
    if member.value == contact.value:
        return right, Rule.SAME
    if member.at == contact.at:
        return right, Rule.TIE
    return right, Rule.MAILCHIMP_LATER if right is member else Rule.CIVICRM_LATER


def agree_within(statements: Iterable[Word | None]) -> Word | None:
    """What several members of one contact say together.

    In, if any of them says in, at the latest of these; else out, at the latest; None if none
    of them says anything.
    """
    said = [statement for statement in statements if statement is not None]
    if not said:
        return None
    voices = [statement for statement in said if statement.value] or said
    return max(voices, key=lambda statement: statement.at)


# --- the subscription -----------------------------------------------------------------------------


def hear_subscription(person: Person, policy: Policy) -> Heard:
    """What both sides said about a contact's subscription, and what is right."""
    voices = person.voices
    member = _hear_members(voices, person, policy)
    place = person.contact.place(policy.group_id) if person.contact else None
    contact = place.said if place else None
    before = person.agreed.get(make_topic(SUBSCRIPTION, policy.group_id))
    right, rule = agree(member, contact, before)
    if _is_of_another(person, policy, right, rule):
        reason = Reason.BEFORE_MOVE
        return Heard(SUBSCRIPTION, member, contact, None, Rule.BEFORE_MOVE, reason, before)
    if SUBSCRIPTION in policy.trust:
        stands = (_stand_at_mailchimp(person, before, policy), _stand_in_civicrm(place))
        right, rule = _trust(SUBSCRIPTION, stands, policy, right, rule, (member, contact))
    reason = _find_reason(voices, right, rule, before)
    values = [*(m.subscription for m in voices), contact]
    heard = Heard(SUBSCRIPTION, member, contact, right, rule, reason, before)
    has_ours = any(_is_ours(m, person, policy) for m in voices)
    unheard = [m.subscription for m in voices if has_ours]
    return _remember(heard, policy.group_id, values, unheard)


_CONTRADICTED = (Rule.MAILCHIMP_LATER, Rule.CIVICRM_LATER, Rule.TIE)


def _is_of_another(person: Person, policy: Policy, right: Word | None, rule: Rule) -> bool:
    """Whether the later of two words may be a write of the extension that mcsync took over from.

    Had it been a human's, the extension would have seen to it. Of those about whom both sides
    differed by then neither side is believed, unless they had left, or bounced, or may not be
    mailed: then nobody but themselves, or the gate, can have the last say.
    """
    if policy.moved_at is None or right is None or rule not in _CONTRADICTED:
        return False
    if right.at >= policy.moved_at or SUBSCRIPTION in policy.trust:
        return False
    if person.contact is None or find_closed_gate(person.contact) is not None:
        return False
    is_out = rule is Rule.MAILCHIMP_LATER and not right.value
    return not (is_out and any(_is_gone(m) for m in person.voices if m.subscription == right))


def _is_gone(member: MemberView) -> bool:
    """Whether a member is out for a reason that no extension writes."""
    return member.has_left or member.status is MemberStatus.CLEANED


def _hear_members(voices: Iterable[MemberView], person: Person, policy: Policy) -> Word | None:
    """What a contact's members say together.

    Of whom we muted in another life it is not known what they said: to be in, most likely, so
    that another who is out does not speak for the contact.
    """
    word = agree_within(_speak(m, person, policy) for m in voices)
    if word is not None and not word.value and any(_is_ours(m, person, policy) for m in voices):
        return None
    return word


def _speak(member: MemberView, person: Person, policy: Policy) -> Word | None:
    """What a member says; what we wrote in another life, or for another contact, is no word."""
    is_unsaid = _is_ours(member, person, policy) or _is_of_others(member, person, SUBSCRIPTION)
    return None if is_unsaid else member.subscription


def _is_of_others(member: MemberView, person: Person, thing: str) -> bool:
    """Whether a shared member's word is one of CiviCRM's about the contact whose own it is."""
    return thing in member.written and not person.members


def _is_ours(member: MemberView, person: Person, policy: Policy) -> bool:
    """Whether a member was muted by us, as far as can be seen, before the cache was made.

    Somebody whom an administrator, or the API, had unsubscribed before we ever saw them, and
    whose contact may not be mailed, was muted by us in another life. The same for somebody
    archived, where that is how we remove people.
    """
    mutes = MemberStatus.ARCHIVED if policy.removes_by_archiving else MemberStatus.UNSUBSCRIBED
    return (
        member.is_stranger
        and member.status in (mutes, MemberStatus.UNSUBSCRIBED)
        and person.contact is not None
        and find_closed_gate(person.contact) is not None
    )


def _stand_at_mailchimp(person: Person, before: Agreed | None, policy: Policy) -> bool | None:
    """How a contact stands at Mailchimp: subscribed, pending or muted by us; None if unknown.

    Who was muted by us, and has been agreed to be out since, is out.
    """
    heard = [m for m in person.voices if not _is_ours(m, person, policy)]
    known = [m for m in heard if _is_known(m)]
    if not known:
        return None
    is_undone = is_as_undone(person, policy, SUBSCRIPTION)  # then undo took them out
    return any(
        m.is_in or (m.is_muted and not is_undone and not _is_overruled(m, before)) for m in known
    )


def _is_known(member: MemberView) -> bool:
    """Whether Mailchimp knows a member for the newsletter's sake: a shop order says nothing."""
    return member.subscription is not None or member.is_in


def _is_overruled(member: MemberView, before: Agreed | None) -> bool:
    """Whether the member's wish to be in was decided against."""
    said = member.subscription
    return before is not None and not before.value and said is not None and said.at <= before.at


def _stand_in_civicrm(place: Place | None) -> bool | None:
    """How a contact stands in a group: Added or not; None when it never was there."""
    if place is None:
        return None
    is_known = place.is_added or place.said is not None or place.is_known
    return place.is_added if is_known else None


def _trust(
    thing: str,
    stands: tuple[bool | None, bool | None],
    policy: Policy,
    right: Word | None,
    rule: Rule,
    words: tuple[Word | None, Word | None],
) -> tuple[Word | None, Rule]:
    """What is right where a side is trusted, if both know the person.

    The trusted side speaks by how it stands; where the words say so anyway, they count. What is
    trusted stands as of the run, and newer than all that was said before. `stands` and `words`:
    at Mailchimp and in CiviCRM.
    """
    if None in stands:
        return right, rule
    side = policy.trust[thing]
    value = bool(stands[0] if side is Side.MAILCHIMP else stands[1])
    if right is not None and right.value == value:
        return right, rule
    trusted = Rule.TRUST_MAILCHIMP if side is Side.MAILCHIMP else Rule.TRUST_CIVICRM
    spoken = [word.at + _MOMENT for word in words if word is not None]
    return Statement(value, max([policy.trusted_at, *spoken])), trusted


_MOMENT = timedelta(seconds=1)


def _remember(
    heard: Heard,
    group_id: int,
    words: Iterable[Word | None],
    unheard: Iterable[Word | None] = (),
) -> Heard:
    """With what is to be kept in mind: what overruled somebody, or changed what was kept.

    What is `unheard` now, because it was no word, shall be none later on either.
    """
    right, before = heard.right, heard.before
    if right is None or heard.rule in (Rule.BEFORE, Rule.PUSH_ONLY):
        return heard
    is_overruling = any(word is not None and word.value != right.value for word in words)
    if not is_overruling and before is None:
        return heard
    at = max([right.at, *(word.at + _MOMENT for word in unheard if word is not None)])
    if before is not None and (before.value, before.at) == (right.value, at):
        return heard
    agreed = Agreed(right.value, at, heard.reason)
    remembered = Agreement(make_topic(heard.thing, group_id), agreed)
    return replace(heard, remembered=remembered)


def _find_reason(
    voices: Iterable[MemberView], right: Word | None, rule: Rule, before: Agreed | None
) -> Reason:
    if right is None or rule is Rule.SAME:
        return Reason.IN_AGREEMENT
    if rule is Rule.BEFORE and before is not None:
        return before.reason
    if rule is Rule.TRUST_MAILCHIMP:
        return Reason.TRUST_MAILCHIMP
    if rule is Rule.TRUST_CIVICRM:
        return Reason.TRUST_CIVICRM
    if rule.side is Side.MAILCHIMP:
        return _reason_of_mailchimp(voices, right)
    return Reason.CIVICRM_ADDED if right.value else Reason.CIVICRM_REMOVED


def _reason_of_mailchimp(voices: Iterable[MemberView], right: Word) -> Reason:
    if right.value:
        return Reason.MAILCHIMP_SUBSCRIBED
    voice = next(m for m in voices if m.subscription == right)
    if voice.status is None:
        return Reason.MAILCHIMP_VANISHED
    if voice.status is MemberStatus.CLEANED:
        return Reason.MAILCHIMP_CLEANED
    if voice.status is MemberStatus.ARCHIVED:
        return Reason.MAILCHIMP_ARCHIVED
    return Reason.MAILCHIMP_LEFT if voice.has_left else Reason.MAILCHIMP_STAFF


# --- interests ------------------------------------------------------------------------------------


def hear_interest(person: Person, policy: Policy, interest_id: str) -> Heard:
    """What both sides said about one interest of a contact, and what is right.

    Of members who are out nothing is heard, unless nobody is in: an interest is one of somebody
    who gets mail.
    """
    interest = policy.interests[interest_id]
    voices = [m for m in person.voices if m.is_in or m.is_muted] or person.voices
    heard = [m for m in voices if not _is_of_others(m, person, interest_id)]
    member = agree_within(m.interests.get(interest_id) for m in heard)
    place = person.contact.place(interest.group_id) if person.contact else None
    said = place.said if place else None
    if interest.is_push_only:
        is_added = place is not None and place.is_added
        right = Statement(is_added, said.at if said else LONG_AGO)
        reason = Reason.INTEREST
        return Heard(interest_id, member, said, right, Rule.PUSH_ONLY, reason)
    before = person.agreed.get(make_topic(interest_id, interest.group_id))
    agreed, rule = agree(member, said, before)
    if interest_id in policy.trust:
        known = [m for m in voices if _is_known(m)] if member is not None else []
        shown = any(m.has_interest(interest_id) for m in known) if known else None
        stands = (shown, _stand_in_civicrm(place))
        agreed, rule = _trust(interest_id, stands, policy, agreed, rule, (member, said))
    words = [*(m.interests.get(interest_id) for m in voices), said]
    return _remember(
        Heard(interest_id, member, said, agreed, rule, Reason.INTEREST, before),
        interest.group_id,
        words,
    )


# --- who stands for whom --------------------------------------------------------------------------


def stands_for(sharer: Person, policy: Policy) -> bool:
    """Whether a contact who shares a member keeps it in: agreed in, and may be mailed."""
    if sharer.contact is None or find_closed_gate(sharer.contact) is not None:
        return False
    heard = hear_subscription(sharer, policy)
    if heard.rule is Rule.BEFORE_MOVE:  # they are left as they are
        return sharer.contact.place(policy.group_id).is_added
    return heard.right is not None and heard.right.value
