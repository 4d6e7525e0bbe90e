"""Addresses that change, at either end, without a second member or a second contact."""

from dataclasses import replace

from mcsync.decision import (
    ADDRESS,
    BULK,
    ContactView,
    Decision,
    Person,
    PlannedChange,
    Policy,
    Reason,
    RowView,
)
from mcsync.model import EmailWrite, MemberChange, MemberStatus, email_key
from mcsync.reconcile.gate import find_best_email, rank_email
from mcsync.reconcile.left_alone import print_of, tell_undone


def add_address_changes(decision: Decision, person: Person, policy: Policy) -> Decision:
    """The decision with what changed addresses need.

    A member who moved at Mailchimp gets the new address as a bulk one on the contact. A contact
    who no longer has the member's address, or prefers another for bulk mail, has the member
    moved there, unless the contact merely shares the address.
    """
    contact = person.contact
    if contact is None:
        return decision
    has_moved = False
    for row in person.rows:
        if row.member is None:
            continue
        if row.moved_from is not None:
            decision = _follow_member(decision, row.moved_from, row.member.email, contact)
        elif policy.pushes_email_changes and not row.is_shared and not has_moved:
            changed = _follow_contact(decision, person, row, contact)
            has_moved = len(changed.changes) > 0 and changed is not decision
            decision = changed
    return _end_undone(decision, person, contact)


def _end_undone(decision: Decision, person: Person, contact: ContactView) -> Decision:
    """Once nobody is wanted where undo took them back from, a later wish for it is a newer one."""
    if person.is_under_way or not person.undone:
        return decision
    wanted = [
        (email_key(email), email_key(row.member.email))
        for row in person.rows
        if row.member is not None
        and (email := _choose_address(contact, row, row.member.email)) is not None
    ]
    still = {
        ADDRESS: {print_of(email) for email, _ in wanted},
        BULK: {print_of(*email_and_now) for email_and_now in wanted},
    }
    ended = dict(decision.undone)
    for topic, prints in still.items():
        marks = [row.undone[topic] for row in person.rows if topic in row.undone]
        marks = [mark for mark in marks if mark.value]
        if marks and not {mark.value for mark in marks} & prints:
            ended[topic] = replace(max(marks, key=lambda mark: mark.done_at), value="")
    return replace(decision, undone=ended)


def _follow_member(
    decision: Decision, old_email: str, email: str, contact: ContactView
) -> Decision:
    if not email or email_key(email) in contact.keys:  # no address: erased, and another has it now
        return decision
    write = EmailWrite(contact.contact_id, email, old_email)
    return replace(decision, email_writes=(*decision.email_writes, write))


def _follow_contact(
    decision: Decision, person: Person, row: RowView, contact: ContactView
) -> Decision:
    member = row.member
    # Mailchimp changes the address of subscribed members only.
    if member is None or member.status is not MemberStatus.SUBSCRIBED:
        return decision
    planned = decision.find_change(row.row_id)
    if planned is not None and (planned.change.status or planned.change.is_archiving):
        return decision
    wanted = _choose_address(contact, row, member.email)
    undone = row.undone.get(ADDRESS)
    if wanted is not None and undone is not None and undone.value == print_of(email_key(wanted)):
        return tell_undone(decision)  # it took the member back from there
    key = email_key(member.email)
    if wanted is not None and _is_given_back(row, contact, email_key(wanted), key):
        return tell_undone(decision)
    if any(sharer.contact is not None and key in sharer.contact.keys for sharer in person.sharers):
        return decision  # it is another one's, too
    taken = {email_key(other.email) for other in (*person.members, *person.shared_members)}
    if wanted is None or email_key(wanted) in taken:
        return decision
    if planned is None:
        empty = MemberChange(email=member.email, member_id=member.member_id)
        planned = PlannedChange(row.row_id, contact.contact_id, empty, Reason.ADDRESS)
    return decision.with_change(replace(planned, change=replace(planned.change, new_email=wanted)))


def _is_given_back(row: RowView, contact: ContactView, wanted: str, now: str) -> bool:
    """Whether undo gave an address the bulk mail again: nobody is moved there for that.

    Until the contact gives up the address that the member has, or the member moves.
    """
    undone = row.undone.get(BULK)
    return undone is not None and now in contact.keys and undone.value == print_of(wanted, now)


def _choose_address(contact: ContactView, row: RowView, now: str) -> str | None:
    """Where the contact wants their mail instead of `now`; None if `now` will do.

    An address that the contact never had was not taken from it: contacts that were merged keep
    their own addresses, and nobody is moved for that.
    """
    if email_key(now) not in contact.keys:
        if row.owned_by != contact.contact_id:
            return None
        best = find_best_email(contact)
        return best.email if best else None
    bulk = [email for email in contact.emails if email.is_bulkmail and not email.on_hold]
    if not bulk or any(email_key(email.email) == email_key(now) for email in bulk):
        return None
    return min(bulk, key=rank_email).email
