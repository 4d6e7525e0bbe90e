"""Enforce: from what was agreed about one person to what is written where.

`decide` is the whole verdict about one person: pure, deterministic, and empty when both sides
are already as they should be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from mcsync.model import (
    LONG_AGO,
    SUBSCRIPTION,
    ContactView,
    Decision,
    GroupStatus,
    GroupWrite,
    MemberChange,
    MemberStatus,
    MemberView,
    NewContact,
    Person,
    PlannedChange,
    Policy,
    Reason,
    RowVerdict,
    RowView,
    Side,
    Statement,
    SyncStatus,
    TrustedWord,
    email_key,
)
from mcsync.reconcile.addresses import add_address_changes
from mcsync.reconcile.agree import agree, agree_within
from mcsync.reconcile.gate import find_closed_gate, rank_email
from mcsync.reconcile.interests import decide_interests, overrule
from mcsync.reconcile.names import add_names

_INFERRED = frozenset(
    (
        Reason.MAILCHIMP_VANISHED,
        Reason.MAILCHIMP_ARCHIVED,
        Reason.TRUST_MAILCHIMP,
        Reason.TRUST_CIVICRM,
    )
)


@dataclass(frozen=True, slots=True)
class _Agreed:
    """What was agreed about the subscription, which rule said so, and what CiviCRM said."""

    statement: Statement[bool]
    reason: Reason
    contact_said: Statement[bool] | None
    words: tuple[TrustedWord, ...] = ()


def decide(person: Person, policy: Policy) -> Decision:
    """The verdict about one person in one audience."""
    decision = _decide_membership(person, policy)
    if not person.contacts:
        return decision
    if policy.syncs_names:
        decision = add_names(decision, person, policy)
    return add_address_changes(decision, person, policy)


def _decide_membership(person: Person, policy: Policy) -> Decision:
    if person.rivals:
        return _mark(person, SyncStatus.FAIL, Reason.AMBIGUOUS)
    if not person.contacts:
        return _decide_without_contact(person, policy)
    agreed = _agree_subscription(person, policy)
    if agreed is None:
        return _mark(person, SyncStatus.OK, Reason.IN_AGREEMENT)
    decide_side = _decide_in if agreed.statement.value else _decide_out
    decision = decide_side(person, policy, agreed)
    return replace(decision, words=(*agreed.words, *decision.words))


def _mark(person: Person, status: SyncStatus, reason: Reason) -> Decision:
    return Decision(tuple(RowVerdict(row.row_id, status, reason) for row in person.rows))


# --- nobody in CiviCRM --------------------------------------------------------------------------


def _decide_without_contact(person: Person, policy: Policy) -> Decision:
    member = next((m for m in person.members if m.is_in), None)
    if member is None:
        return _mark(person, SyncStatus.OK, Reason.UNKNOWN_AND_OUT)
    is_lost = any(row.lost_contact for row in person.rows)
    if is_lost and policy.deleted_contacts == "hold":
        return _mark(person, SyncStatus.OK, Reason.CONTACT_DELETED)
    if is_lost and policy.deleted_contacts == "unsubscribe":
        reason, at = Reason.CONTACT_DELETED, member.subscription.at
        changes = tuple(_leave(m, policy, reason, at) for m in person.members if m.is_in)
        return Decision(_verdicts(person, changes, SyncStatus.OK, reason), changes=changes)
    wanted = [
        interest.group_id
        for interest_id, interest in policy.interests.items()
        if not interest.is_push_only and _is_interested(member, interest_id)
    ]
    new = NewContact(
        row_id=member.row_id,
        email=member.email,
        first_name=member.first_name,
        last_name=member.last_name,
        group_ids=(policy.group_id, *sorted(wanted)),
    )
    verdicts = _mark(person, SyncStatus.OK, Reason.NEW_CONTACT).verdicts
    return Decision(verdicts, new_contact=new)


def _is_interested(member: MemberView, interest_id: str) -> bool:
    statement = member.interests.get(interest_id)
    return statement is not None and statement.value


# --- agreeing about the subscription --------------------------------------------------------------


def _agree_subscription(person: Person, policy: Policy) -> _Agreed | None:
    member_said = agree_within(m.subscription for m in person.members)
    contact_said = agree_within(c.place(policy.group_id).said for c in person.contacts)
    trust = policy.trust.get(SUBSCRIPTION)
    statement = agree(member_said, contact_said, trust)
    if statement is None:
        return None
    is_mailchimps = statement is member_said
    if _is_overruled(member_said, contact_said, trust) and trust is not None:
        overruling = trust is Side.MAILCHIMP
        reason = Reason.TRUST_MAILCHIMP if overruling else Reason.TRUST_CIVICRM
    elif member_said and contact_said and member_said.value == contact_said.value:
        reason = Reason.IN_AGREEMENT
    elif is_mailchimps:
        reason = _say_why_mailchimp(person, statement)
    else:
        reason = Reason.CIVICRM_ADDED if statement.value else Reason.CIVICRM_REMOVED
    words: tuple[TrustedWord, ...] = ()
    if reason is Reason.TRUST_MAILCHIMP:
        words = overrule(person.contacts, policy.group_id, statement)
    return _Agreed(statement, reason, contact_said, words)


def _is_overruled(
    member: Statement[bool] | None, contact: Statement[bool] | None, trust: Side | None
) -> bool:
    """Whether it is the trust override, and not the times, that decides."""
    if member is None or contact is None or trust is None or member.value == contact.value:
        return False
    return agree(member, contact, trust) is not agree(member, contact, None)


def _say_why_mailchimp(person: Person, statement: Statement[bool]) -> Reason:
    if statement.value:
        return Reason.MAILCHIMP_SUBSCRIBED
    voice = next(m for m in person.members if m.subscription == statement)
    if voice.status is None:
        return Reason.MAILCHIMP_VANISHED
    if voice.status is MemberStatus.CLEANED:
        return Reason.MAILCHIMP_CLEANED
    if voice.status is MemberStatus.ARCHIVED:
        return Reason.MAILCHIMP_ARCHIVED
    return Reason.MAILCHIMP_LEFT


# --- agreed: out ----------------------------------------------------------------------------------


def _decide_out(person: Person, policy: Policy, agreed: _Agreed) -> Decision:
    writes = tuple(
        GroupWrite(
            contact.contact_id,
            policy.group_id,
            GroupStatus.REMOVED,
            agreed.reason,
            is_inferred=agreed.reason in _INFERRED,
        )
        for contact in person.contacts
        if contact.place(policy.group_id).is_added
    )
    changes = tuple(
        _leave(member, policy, agreed.reason, agreed.statement.at)
        for member in person.members
        if member.is_in
    )
    verdicts = _verdicts(person, changes, SyncStatus.OK, agreed.reason)
    return Decision(verdicts, writes, changes)


def _leave(
    member: MemberView, policy: Policy, reason: Reason, at: datetime, *, is_gate: bool = False
) -> PlannedChange:
    # Mailchimp refuses to archive pending members (405).
    is_archiving = policy.removes_by_archiving and member.status is MemberStatus.SUBSCRIBED
    change = MemberChange(
        email=member.email,
        member_id=member.member_id,
        status=None if is_archiving else MemberStatus.UNSUBSCRIBED,
        is_archiving=is_archiving,
    )
    return PlannedChange(member.row_id, None, change, reason, {"status": at}, is_gate)


# --- agreed: in -----------------------------------------------------------------------------------


def _decide_in(person: Person, policy: Policy, agreed: _Agreed) -> Decision:
    holders = _find_holders(person, policy)
    writes = tuple(
        GroupWrite(contact.contact_id, policy.group_id, GroupStatus.ADDED, agreed.reason)
        for contact in holders
        if not contact.place(policy.group_id).is_added
    )
    open_holders = [contact for contact in holders if find_closed_gate(contact) is None]
    subscribed = [member for member in person.members if member.is_in]
    muted = {m.row_id: by for m in subscribed if (by := _find_muting(person, holders, m))}
    if len(muted) < len(subscribed):
        heard = [member for member in subscribed if member.row_id not in muted]
        decision = _keep_in(person, policy, agreed, writes, heard)
        return _mute(person, policy, agreed, muted, decision)
    if open_holders and not muted:
        return _subscribe(person, policy, agreed, open_holders[0], writes)
    reason = find_closed_gate(holders[0]) or Reason.IN_AGREEMENT
    status = SyncStatus.OK if open_holders else SyncStatus.FAIL
    alone = Decision(_mark(person, status, reason).verdicts, writes)
    return _mute(person, policy, agreed, muted, alone)


def _find_muting(
    person: Person, holders: list[ContactView], member: MemberView
) -> ContactView | None:
    """The contact because of whom this member may not be mailed, if all who have it are muted.

    Whose the member is: the contacts that own its address or that its row is linked to; where
    these are nobody, those through whom the person is in the group.
    """
    linked = {row.contact_id for row in person.rows if row.row_id == member.row_id}
    key = email_key(member.email)
    own = [
        contact
        for contact in person.contacts
        if contact.contact_id in linked or any(email_key(e.email) == key for e in contact.emails)
    ]
    concerned = own or holders
    if any(find_closed_gate(contact) is None for contact in concerned):
        return None
    return min(concerned, key=lambda c: (c not in holders, c.contact_id))


def _mute(
    person: Person,
    policy: Policy,
    agreed: _Agreed,
    muted: Mapping[int, ContactView],
    decision: Decision,
) -> Decision:
    """Unsubscribe members who may not be mailed; who signed up after that is left alone."""
    for member in person.members:
        contact = muted.get(member.row_id)
        if contact is None:
            continue
        reason = find_closed_gate(contact) or Reason.NO_EMAIL
        closed_at = contact.gate_closed_at
        is_later = closed_at is not None and member.subscription.at > closed_at
        if is_later and reason is not Reason.DECEASED:
            decision = decision.with_verdict(
                RowVerdict(member.row_id, SyncStatus.OK, Reason.SIGNED_UP_AFTER_GATE)
            )
            continue
        leave = _leave(member, policy, reason, agreed.statement.at, is_gate=True)
        decision = decision.with_verdict(RowVerdict(member.row_id, SyncStatus.LIVE, reason))
        decision = decision.with_change(leave)
    return decision


def _find_holders(person: Person, policy: Policy) -> list[ContactView]:
    """The contacts through whom the person is in the group, or shall be: never a second one."""
    added = [c for c in person.contacts if c.place(policy.group_id).is_added]
    if added:
        return sorted(added, key=lambda c: c.contact_id)
    linked = [row.contact_id for row in person.rows if row.member and row.member.is_in]
    linked += [row.contact_id for row in person.rows]
    by_id = {contact.contact_id: contact for contact in person.contacts}
    chosen = next((by_id[i] for i in linked if i in by_id), person.contacts[0])
    return [chosen]


def _keep_in(
    person: Person,
    policy: Policy,
    agreed: _Agreed,
    writes: tuple[GroupWrite, ...],
    subscribed: list[MemberView],
) -> Decision:
    more_writes, changes, words = decide_interests(person, policy, subscribed)
    left = {
        member.row_id
        for member in person.members
        if not member.is_in and _is_later(member.subscription, agreed.contact_said)
    }
    verdicts = tuple(
        RowVerdict(verdict.row_id, SyncStatus.FAIL, Reason.OTHER_ADDRESS)
        if verdict.row_id in left
        else verdict
        for verdict in _verdicts(person, changes, SyncStatus.OK, agreed.reason)
    )
    return Decision(verdicts, (*writes, *more_writes), changes, words=words)


def _is_later(member: Statement[bool], contact: Statement[bool] | None) -> bool:
    return contact is None or member.at > contact.at


def _subscribe(
    person: Person,
    policy: Policy,
    agreed: _Agreed,
    holder: ContactView,
    writes: tuple[GroupWrite, ...],
) -> Decision:
    target, email = _choose_target(person, holder)
    if email is None:
        verdicts = _mark(person, SyncStatus.FAIL, Reason.CLEANED).verdicts
        return Decision(verdicts, writes)
    row = _find_row(person, holder, target)
    refusal = _find_refusal(row, agreed.statement.at, email)
    if refusal is not None:
        is_asking = row is not None and row.is_asking
        status = SyncStatus.REDO if is_asking else SyncStatus.FAIL
        return Decision(_mark(person, status, refusal).verdicts, writes)
    nobody = MemberView(0, "", None, None, Statement(value=False, at=LONG_AGO))
    more_writes, interests, words = decide_interests(person, policy, [target or nobody])
    change = MemberChange(
        email=email,
        member_id=target.member_id if target else None,
        status=MemberStatus.SUBSCRIBED,
        interests=interests[0].change.interests if interests else {},
    )
    is_muted_no_more = target is not None and target.subscription.value
    planned = PlannedChange(
        row_id=row.row_id if row else None,
        contact_id=holder.contact_id,
        change=change,
        reason=Reason.GATE_OPENED if is_muted_no_more else agreed.reason,
        caused_at={
            "status": agreed.statement.at,
            **(interests[0].caused_at if interests else {}),
        },
    )
    verdicts = _verdicts(person, (planned,), SyncStatus.OK, planned.reason)
    return Decision(verdicts, (*writes, *more_writes), (planned,), words=words)


def _choose_target(person: Person, holder: ContactView) -> tuple[MemberView | None, str | None]:
    """The member to subscribe again and its address; no member: a new one, with that address.

    Only an address that the contact still owns, and that is not on hold, comes into question;
    among these, first one that needs no confirmation mail, then the one to be mailed best. A
    cleaned member never does: (None, None) when there is nothing else.
    """
    usable = {email_key(e.email): e for e in holder.emails if e.email and not e.on_hold}
    mine = [member for member in person.members if email_key(member.email) in usable]
    fit = [member for member in mine if member.status is not MemberStatus.CLEANED]
    if fit:
        best = min(
            fit,
            key=lambda m: (_needs_confirmation(m), *rank_email(usable[email_key(m.email)])),
        )
        return best, best.email
    taken = {email_key(member.email) for member in person.members}
    free = [email for key, email in usable.items() if key not in taken]
    return None, min(free, key=rank_email).email if free else None


def _needs_confirmation(member: MemberView) -> bool:
    """Whether Mailchimp will probably want a confirmation: it does of those who left."""
    return member.status is MemberStatus.UNSUBSCRIBED and not member.subscription.value


def _find_row(person: Person, holder: ContactView, target: MemberView | None) -> RowView | None:
    if target is not None:
        return next(row for row in person.rows if row.row_id == target.row_id)
    free = [row for row in person.rows if row.member is None]
    return next((row for row in free if row.contact_id == holder.contact_id), None)


def _find_refusal(row: RowView | None, decided_at: datetime, email: str) -> Reason | None:
    """Why this very wish was refused before; only a newer human act makes it worth trying."""
    if row is None:
        return None
    is_same = row.email is None or email_key(row.email) == email_key(email)
    if row.refused_at is not None and decided_at <= row.refused_at and is_same:
        return row.refusal or Reason.REFUSED
    if row.reconfirmed_at is not None and decided_at <= row.reconfirmed_at:
        return Reason.COMPLIANCE
    return None


def _verdicts(
    person: Person, changes: tuple[PlannedChange, ...], status: SyncStatus, reason: Reason
) -> tuple[RowVerdict, ...]:
    """Rows with an update wait for its result; the others are as they should be."""
    live = {change.row_id: change.reason for change in changes}
    return tuple(
        RowVerdict(row.row_id, SyncStatus.LIVE, live[row.row_id])
        if row.row_id in live
        else RowVerdict(row.row_id, status, reason)
        for row in person.rows
    )
