"""Enforce: from what was agreed about one person to what is written where.

`decide` is the whole verdict about one person: pure, deterministic, and empty when both sides
are already as they should be.
"""

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from mcsync.decision import (
    Agreement,
    ContactView,
    Decision,
    GroupWrite,
    MemberView,
    Person,
    Place,
    PlannedChange,
    Policy,
    Reason,
    Refused,
    RowVerdict,
    RowView,
    Statement,
    SyncStatus,
)
from mcsync.model import (
    LONG_AGO,
    SUBSCRIPTION,
    GroupStatus,
    MemberChange,
    MemberStatus,
    NewContact,
    email_key,
)
from mcsync.reconcile.addresses import add_address_changes
from mcsync.reconcile.agree import Heard, Word, hear_interest, hear_subscription, stands_for
from mcsync.reconcile.gate import find_closed_gate, rank_email
from mcsync.reconcile.interests import decide_interests
from mcsync.reconcile.left_alone import find_newest_word, is_left_alone, tell_undone
from mcsync.reconcile.names import add_names
from mcsync.reconcile.refused_before import SUBSCRIBE, leave_out_refused


def decide(person: Person, policy: Policy) -> Decision:
    """The verdict about one person in one audience.

    While something of theirs may be carried out at Mailchimp at any moment, nothing more is sent
    there; what CiviCRM needs is done at once, and they stay in the queue.
    """
    decision = decide_all(person, policy)
    if person.is_under_way:
        return _wait(decision)
    return leave_out_refused(decision, person)


def decide_all(person: Person, policy: Policy) -> Decision:
    """The same, whatever is under way or was refused."""
    decision = _decide_membership(person, policy)
    if person.contact is not None:
        if policy.syncs_names:
            decision = add_names(decision, person, policy)
        decision = add_address_changes(decision, person, policy)
    return decision


def _wait(decision: Decision) -> Decision:
    verdicts = tuple(replace(v, sync_status=SyncStatus.TODO) for v in decision.verdicts)
    return replace(decision, changes=(), verdicts=verdicts)


def _decide_membership(person: Person, policy: Policy) -> Decision:
    decision = _follow_rules(person, policy)
    if is_left_alone(person, policy, SUBSCRIPTION) and _concerns_subscription(decision, policy):
        return _leave_alone(person, policy)
    return tell_undone(decision) if _has_interest_undone(person, policy) else decision


def _follow_rules(person: Person, policy: Policy) -> Decision:
    if person.rivals:
        return Decision(_mark(person, SyncStatus.FAIL, Reason.AMBIGUOUS))
    if person.contact is None:
        return _decide_without_contact(person, policy)
    heard = hear_subscription(person, policy)
    if heard.right is None:
        return Decision(_mark(person, SyncStatus.OK, heard.reason))
    if heard.right.value:
        decision = _decide_in(person, person.contact, policy, heard, heard.right)
    else:
        decision = _decide_out(person, person.contact, policy, heard, heard.right)
    if heard.remembered is None:
        return decision
    return replace(decision, agreements=(heard.remembered, *decision.agreements))


def _has_interest_undone(person: Person, policy: Policy) -> bool:
    """Whether an interest of somebody who is in is not as it should be, for undo put it back."""
    members = [member for member in person.members if member.is_in]
    if not person.undone or not members:
        return False
    for interest_id, interest in policy.interests.items():
        right = hear_interest(person, policy, interest_id).right
        if right is None or not is_left_alone(person, policy, interest_id):
            continue
        place = person.contact.place(interest.group_id) if person.contact else Place()
        stands = {member.has_interest(interest_id) for member in members}
        stands |= set() if interest.is_push_only else {place.is_added}
        if stands != {right.value}:
            return True
    return False


def _concerns_subscription(decision: Decision, policy: Policy) -> bool:
    """Whether anything is to be done about it, now or later."""
    return (
        decision.new_contact is not None
        or any(write.group_id == policy.group_id for write in decision.group_writes)
        or any(c.change.is_archiving or c.change.status is not None for c in decision.changes)
        or any(verdict.sync_status is SyncStatus.TODO for verdict in decision.verdicts)
    )


def _leave_alone(person: Person, policy: Policy) -> Decision:
    """The subscription stays as undo put it back, at both ends.

    Nobody is mailed against the gate for that; and interests go on for those who are in.
    """
    contact = person.contact
    if contact is None:
        return Decision(_mark(person, SyncStatus.OK, Reason.UNDONE))
    closed = find_closed_gate(contact)
    subscribed = [member for member in person.members if member.is_in]
    muted = [m for m in subscribed if closed and not _stays_for(person, policy, m)]
    mailed = [member for member in subscribed if member not in muted]
    writes, changes, agreements = decide_interests(person, policy, mailed) if mailed else _NOTHING
    verdicts = _mark(person, SyncStatus.OK, Reason.UNDONE, changes)
    decision = Decision(verdicts, writes, changes, agreements=agreements)
    said_at = find_newest_word(person, policy, SUBSCRIPTION)
    return _mute(contact, policy, Statement(True, said_at), muted, decision)


_NOTHING: tuple[tuple[GroupWrite, ...], tuple[PlannedChange, ...], tuple[Agreement, ...]] = (
    (),
    (),
    (),
)


def _mark(
    person: Person, status: SyncStatus, reason: Reason, changes: tuple[PlannedChange, ...] = ()
) -> tuple[RowVerdict, ...]:
    """Rows with an update wait for its result; the others are as is told."""
    live = {change.row_id: change for change in changes}
    return tuple(
        RowVerdict(row.row_id, live[row.row_id].sync_status, live[row.row_id].reason, row.due)
        if row.row_id in live
        else RowVerdict(row.row_id, status, reason, row.due)
        for row in person.rows
    )


# --- nobody in CiviCRM --------------------------------------------------------------------------


def _decide_without_contact(person: Person, policy: Policy) -> Decision:
    member = next((m for m in person.members if m.is_in), None)
    if member is None:
        return Decision(_mark(person, SyncStatus.OK, Reason.UNKNOWN_AND_OUT))
    lost_at = _find_loss(person, member)
    if lost_at is not None and policy.deleted_contacts == "hold":
        return Decision(_mark(person, SyncStatus.OK, Reason.CONTACT_DELETED))
    if lost_at is not None and policy.deleted_contacts == "unsubscribe":
        leave = _leave(member, policy, Reason.CONTACT_DELETED, lost_at)
        verdicts = _mark(person, SyncStatus.OK, Reason.CONTACT_DELETED, (leave,))
        return Decision(verdicts, changes=(leave,))
    said = member.subscription
    if said is not None and not said.value:  # an operation of ours has overwritten their word
        leave = _leave(member, policy, Reason.MAILCHIMP_LEFT, said.at)
        verdicts = _mark(person, SyncStatus.OK, leave.reason, (leave,))
        return Decision(verdicts, changes=(leave,))
    wanted = [
        interest.group_id
        for interest_id, interest in policy.interests.items()
        if not interest.is_push_only and member.has_interest(interest_id)
    ]
    new = NewContact(
        row_id=member.row_id,
        email=member.email,
        first_name=member.first_name,
        last_name=member.last_name,
        group_ids=(policy.group_id, *sorted(wanted)),
    )
    return Decision(_mark(person, SyncStatus.OK, Reason.NEW_CONTACT), new_contact=new)


def _find_loss(person: Person, member: MemberView) -> datetime | None:
    """When the contact was lost, unless they have said since that they want to be in."""
    lost_at = next((row.lost_at for row in person.rows if row.lost_at is not None), None)
    said = member.subscription
    if lost_at is None or (said is not None and said.value and said.at > lost_at):
        return None
    return lost_at


# --- agreed: out ----------------------------------------------------------------------------------


def _decide_out(
    person: Person, contact: ContactView, policy: Policy, heard: Heard, right: Word
) -> Decision:
    """The contact is Removed and its own members leave, but those whom somebody stands for.

    The documents refuse to remove a contact another address of whose is subscribed.
    """
    staying = {member.row_id for member in person.members if _stays_for(person, policy, member)}
    changes = tuple(
        _leave(member, policy, heard.reason, right.at)
        for member in person.members
        if member.is_in and member.row_id not in staying
    )
    if not contact.place(policy.group_id).is_added:
        return Decision(_mark(person, SyncStatus.OK, heard.reason, changes), changes=changes)
    if staying or any(member.is_in for member in person.shared_members):
        verdicts = _mark(person, SyncStatus.FAIL, Reason.OTHER_ADDRESS, changes)
        return Decision(verdicts, changes=changes)
    write = _write_group(contact, policy, GroupStatus.REMOVED, heard, right)
    verdicts = _mark(person, SyncStatus.OK, heard.reason, changes)
    return Decision(verdicts, (write,), changes)


def _write_group(
    contact: ContactView, policy: Policy, status: GroupStatus, heard: Heard, right: Word
) -> GroupWrite:
    return GroupWrite(contact.contact_id, policy.group_id, status, heard.reason, right.at)


def _stays_for(person: Person, policy: Policy, member: MemberView) -> bool:
    """Whether somebody who shares this member, agreed in and mailable, still stands for it."""
    key = email_key(member.email)
    return member.is_in and any(
        sharer.contact is not None and key in sharer.contact.keys and stands_for(sharer, policy)
        for sharer in person.sharers
    )


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


def _decide_in(
    person: Person, contact: ContactView, policy: Policy, heard: Heard, right: Word
) -> Decision:
    writes: tuple[GroupWrite, ...] = ()
    if not contact.place(policy.group_id).is_added:
        writes = (_write_group(contact, policy, GroupStatus.ADDED, heard, right),)
    closed = find_closed_gate(contact)
    subscribed = [member for member in person.members if member.is_in]
    muted = [m for m in subscribed if closed and not _stays_for(person, policy, m)]
    mailed = [member for member in subscribed if member not in muted]
    if mailed or any(member.is_in for member in person.shared_members):
        decision = _keep_in(person, contact, policy, heard, mailed)
    elif closed is None:
        decision = _subscribe(person, contact, policy, heard, right)
    else:
        decision = Decision(_mark(person, SyncStatus.FAIL, closed))
    decision = replace(decision, group_writes=(*writes, *decision.group_writes))
    return _mute(contact, policy, right, muted, decision)


def _mute(
    contact: ContactView,
    policy: Policy,
    right: Word,
    muted: list[MemberView],
    decision: Decision,
) -> Decision:
    """Unsubscribe members who may not be mailed; who signed up after that is left alone."""
    reason = find_closed_gate(contact) or Reason.NO_EMAIL
    for member in muted:
        if _has_signed_up_since(member, contact) and reason is not Reason.DECEASED:
            decision = decision.with_verdict(
                member.row_id, SyncStatus.OK, Reason.SIGNED_UP_AFTER_GATE
            )
            continue
        leave = _leave(member, policy, reason, right.at, is_gate=True)
        decision = decision.with_verdict(member.row_id, SyncStatus.LIVE, reason)
        decision = decision.with_change(leave)
    return decision


def _has_signed_up_since(member: MemberView, contact: ContactView) -> bool:
    """Whether somebody signed up at Mailchimp after the contact's gate was closed.

    What we wrote there, for another contact who has the address, is no sign-up.
    """
    closed_at, said = contact.gate_closed_at, member.subscription
    if closed_at is None or said is None or SUBSCRIPTION in member.written:
        return False
    return said.at > closed_at


def _keep_in(
    person: Person,
    contact: ContactView,
    policy: Policy,
    heard: Heard,
    members: list[MemberView],
) -> Decision:
    """Somebody who gets mail: only their interests may differ."""
    writes, changes, agreements = decide_interests(person, policy, members)
    closed = find_closed_gate(contact)
    verdicts = _mark(person, SyncStatus.OK, heard.reason, changes)
    if not members and closed is not None:  # the one who is in is another's
        verdicts = _mark(person, SyncStatus.FAIL, closed)
    decision = Decision(verdicts, writes, changes, agreements=agreements)
    for member in person.members:
        said = member.subscription
        if not member.is_in and said is not None and not said.value and members:
            decision = decision.with_verdict(member.row_id, SyncStatus.OK, Reason.OTHER_ADDRESS)
    return decision


# --- subscribing ----------------------------------------------------------------------------------


class _Target(NamedTuple):
    """One address at which a contact could be subscribed, and what came of it before.

    `row` is the one that the operation belongs to, None for a new one; `member` is None for an
    address that is no member yet. That a required field is missing is no refusal here: it may be.
    """

    row: RowView | None
    member: MemberView | None
    email: str
    refused: Refused | None

    @property
    def is_hopeless(self) -> bool:
        """Whether only a newer human act could make this worth trying."""
        if self.refused is None or self.refused.is_paused:
            return False
        return self.refused.reason is not Reason.COMPLIANCE

    @property
    def is_new(self) -> bool:
        """Whether Mailchimp has nobody with this address."""
        return self.member is None or self.member.status is None

    def may_be_asked(self, decided_at: datetime, policy: Policy) -> bool:
        """Whether a confirmation mail may help, and was not asked for by this very wish."""
        if self.refused is None or self.refused.reason is not Reason.COMPLIANCE:
            return False
        return policy.may_reconfirm and not self.was_asked(decided_at)

    def was_asked(self, decided_at: datetime) -> bool:
        """Whether a confirmation mail was asked for by this very wish."""
        asked_at = self.row.reconfirmed_at if self.row is not None else None
        return asked_at is not None and decided_at <= asked_at


def _subscribe(
    person: Person, contact: ContactView, policy: Policy, heard: Heard, right: Word
) -> Decision:
    """Subscribe the contact at the best address that Mailchimp has not refused for this wish."""
    targets = _list_targets(person, contact, right.at)
    for target in targets:
        if target.refused is None:
            is_asking = policy.confirms_new and target.is_new
            if is_asking and target.was_asked(right.at):
                return Decision(_mark(person, SyncStatus.FAIL, Reason.COMPLIANCE))
            return _plan(person, contact, policy, heard, right, target, is_asking=is_asking)
        if target.refused.is_paused:
            return Decision(_mark(person, SyncStatus.TODO, target.refused.reason))
    for target in targets:
        if target.may_be_asked(right.at, policy):
            return _plan(person, contact, policy, heard, right, target, is_asking=True)
    refusals = [target.refused.reason for target in targets if target.refused is not None]
    reason = refusals[0] if refusals else Reason.CLEANED
    return Decision(_mark(person, SyncStatus.FAIL, reason))


def _list_targets(person: Person, contact: ContactView, decided_at: datetime) -> list[_Target]:
    """The addresses to be tried, in this order.

    Only one that the contact still owns, and that is not on hold, comes into question; among
    these first members that need no confirmation mail, then the one to be mailed best. There is
    no second member for somebody who has one, unless Mailchimp will never take that one.
    """
    usable = {email_key(e.email): e for e in contact.emails if e.email and not e.on_hold}
    rows = (*person.rows, *person.shared)

    def find_refusal(email: str) -> Refused | None:
        """What stands in the way most: only of a compliance state a confirmation mail helps out."""
        refusals = [r for row in rows for r in row.refusals if r.email == email_key(email)]
        found = (r for r in refusals if decided_at <= r.times.get(SUBSCRIBE, LONG_AGO))
        in_the_way = [r for r in found if not r.lacks_field]
        return min(in_the_way, key=lambda r: r.reason is Reason.COMPLIANCE, default=None)

    def order(row: RowView, member: MemberView) -> tuple[object, ...]:
        is_others = row.contact_id != contact.contact_id
        rank = rank_email(usable[email_key(member.email)])
        return (_needs_confirmation(member), is_others, *rank)

    members = [(r, r.member) for r in rows if r.member and email_key(r.member.email) in usable]
    fit = [(r, m) for r, m in members if m.status is not MemberStatus.CLEANED]
    targets = [
        _Target(row, member, member.email, find_refusal(member.email))
        for row, member in sorted(fit, key=lambda each: order(*each))
    ]
    if any(not target.is_hopeless for target in targets):
        return targets
    taken = {email_key(row.member.email) for row in rows if row.member is not None}
    free = sorted((e for key, e in usable.items() if key not in taken), key=rank_email)
    empty = next((row for row in person.rows if row.member is None), None)
    tried = {email_key(row.email): row for row in person.shared if not row.member and row.email}
    return targets + [
        _Target(tried.get(email_key(e.email), empty), None, e.email, find_refusal(e.email))
        for e in free
    ]


def _needs_confirmation(member: MemberView) -> bool:
    """Whether Mailchimp will probably want a confirmation: it does of those who left."""
    return member.status is MemberStatus.UNSUBSCRIBED and not member.is_muted


def _plan(
    person: Person,
    contact: ContactView,
    policy: Policy,
    heard: Heard,
    right: Word,
    target: _Target,
    *,
    is_asking: bool = False,
) -> Decision:
    member = target.member or _NOBODY
    writes, interests, agreements = decide_interests(person, policy, [member])
    interest = interests[0] if interests else _NO_CHANGE
    change = MemberChange(
        email=target.email,
        member_id=member.member_id,
        status=MemberStatus.PENDING if is_asking else MemberStatus.SUBSCRIBED,
        interests=interest.change.interests,
    )
    reason = Reason.GATE_OPENED if member.is_muted else heard.reason
    if is_asking and target.refused is not None:
        reason = Reason.COMPLIANCE
    caused_at = {"status": right.at, **interest.caused_at}
    is_shared = target.row is not None and target.row.contact_id not in (None, contact.contact_id)
    planned = PlannedChange(
        row_id=target.row.row_id if target.row else None,
        contact_id=contact.contact_id,
        change=change,
        reason=reason,
        caused_at=caused_at,
        for_others=tuple(caused_at) if is_shared else interest.for_others,
    )
    verdicts = _mark(person, SyncStatus.OK, planned.reason, (planned,))
    return Decision(verdicts, writes, (planned,), agreements=agreements)


_NOBODY = MemberView(0, "", None, None, None)
_NO_CHANGE = PlannedChange(None, None, MemberChange(""), Reason.INTEREST)
