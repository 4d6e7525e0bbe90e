"""What would have to change to get somebody subscribed: one sentence for each reason."""

from collections.abc import Mapping

from mcsync.decision import Decision, Person, Reason
from mcsync.model import MemberStatus
from mcsync.reconcile.gate import find_closed_gate

_ADD = "add the contact to {group} in CiviCRM, or have them sign up at Mailchimp"
_ADD_AGAIN = "add the contact to {group} again, or have them sign up at Mailchimp again"
_NOTHING = "nothing: the next sync takes care of it"

ADVICE: Mapping[Reason, str] = {
    Reason.IN_AGREEMENT: _ADD,
    Reason.CIVICRM_ADDED: _NOTHING,
    Reason.CIVICRM_REMOVED: _ADD_AGAIN,
    Reason.MAILCHIMP_SUBSCRIBED: _NOTHING,
    Reason.MAILCHIMP_LEFT: "they sign up again themselves; or, if they ask you to, add the contact"
    " to {group} again: Mailchimp then asks them to confirm",
    Reason.MAILCHIMP_STAFF: _ADD_AGAIN,
    Reason.MAILCHIMP_CLEANED: "give the contact another address and add them to {group}"
    " again: this address bounced, and Mailchimp never takes it back",
    Reason.MAILCHIMP_ARCHIVED: _ADD_AGAIN,
    Reason.MAILCHIMP_VANISHED: _ADD_AGAIN,
    Reason.TRUST_MAILCHIMP: _ADD_AGAIN,
    Reason.TRUST_CIVICRM: _ADD_AGAIN,
    Reason.GATE_OPENED: _NOTHING,
    Reason.ADDRESS: _NOTHING,
    Reason.INTEREST: _NOTHING,
    Reason.DATA: _NOTHING,
    Reason.NEW_CONTACT: _NOTHING,
    Reason.DECEASED: "if that is a mistake, clear the deceased mark of the contact",
    Reason.OPT_OUT: 'if they ask for it, clear "no bulk emails (user opt out)" of the contact',
    Reason.DO_NOT_EMAIL: 'if they ask for it, clear "do not email" of the contact',
    Reason.NO_EMAIL: "give the contact an address that is not on hold, or release the hold",
    Reason.SIGNED_UP_AFTER_GATE: "nothing: they are subscribed, because they signed up after"
    " opting out in CiviCRM; if they now want all mail, clear the opt-out there",
    Reason.OTHER_ADDRESS: "nothing: they get mail at another address; to get it at this one too,"
    " they sign up again themselves",
    Reason.AMBIGUOUS: "merge the contacts that have the address, or remove it from all but one; or"
    ' set "duplicates" to "lowest-id"',
    Reason.UNKNOWN_AND_OUT: "they sign up at Mailchimp, or somebody creates a contact with a usable"
    " address in CiviCRM and adds them to {group}",
    Reason.CONTACT_DELETED: "restore the contact in CiviCRM, or create a new one with the address"
    " and add them to {group}",
    Reason.BEFORE_MOVE: "say it anew: add the contact to {group}, after removing them if they are"
    " in it, or have them sign up at Mailchimp",
    Reason.COMPLIANCE: "they unsubscribed themselves, so only they can come back: by the"
    " confirmation mail, if they were sent one, or by a Mailchimp sign-up form",
    Reason.FORGOTTEN: "they were permanently deleted at Mailchimp, so only they can come back: by a"
    " Mailchimp sign-up form; or give the contact another address",
    Reason.CLEANED: "give the contact another address: this one bounced, and Mailchimp never takes"
    " it back",
    Reason.REFUSED: 'correct what Mailchimp complains about below, then run "mcsync resync" for'
    " them",
    Reason.CIVICRM_REFUSED: "find out in CiviCRM why the contact cannot be saved, then run"
    ' "mcsync resync" for them',
    Reason.ABORTED: _NOTHING,
    Reason.UNDONE: "add the contact to {group} in CiviCRM, or have them sign up at Mailchimp; or"
    ' run "mcsync resync" for them, so that the rules hold again',
}
PENDING = "they confirm the mail that Mailchimp sent them"
UNDER_WAY = "nothing yet: an update for them is on its way to Mailchimp"
SUBSCRIBED = "nothing: they are subscribed"
LEAVING = "they are subscribed, and the next sync unsubscribes them; to keep them, "


def advise(person: Person, decision: Decision, group: str) -> str:
    """What would have to change to get the person subscribed; `group` in words."""
    statuses = [member.status for member in person.members]
    wishes = [planned.change for planned in decision.changes]
    is_leaving = any(w.is_archiving or w.status is MemberStatus.UNSUBSCRIBED for w in wishes)
    reason = _find_reason(person, decision)
    text = _text_of_advice(person, reason).format(group=group)
    if person.is_under_way:
        return UNDER_WAY
    if reason is Reason.SIGNED_UP_AFTER_GATE:
        return text
    if MemberStatus.SUBSCRIBED in statuses:
        return LEAVING + text if is_leaving else SUBSCRIBED
    if any(wish.status is MemberStatus.SUBSCRIBED for wish in wishes):
        return _NOTHING
    if MemberStatus.PENDING in statuses and not is_leaving:
        return PENDING
    return text


_NOBODY_WANTS = frozenset(
    (Reason.IN_AGREEMENT, Reason.CIVICRM_REMOVED, Reason.TRUST_MAILCHIMP, Reason.TRUST_CIVICRM)
)


def _find_reason(person: Person, decision: Decision) -> Reason:
    """The reason that stands in the way.

    One that a rule gave comes before both being content to have them out. Where nobody wants
    them in, it matters how the member left: Mailchimp does not take everybody back.
    """
    reasons = [verdict.reason for verdict in decision.verdicts]
    reason = next((r for r in reasons if r is not Reason.IN_AGREEMENT), Reason.IN_AGREEMENT)
    statuses = {member.status for member in person.members}
    if reason not in _NOBODY_WANTS or any(member.is_in for member in person.members):
        return reason
    if statuses and statuses <= {MemberStatus.CLEANED}:
        return Reason.MAILCHIMP_CLEANED
    if any(m.status is MemberStatus.UNSUBSCRIBED and not m.is_muted for m in person.members):
        return Reason.MAILCHIMP_LEFT
    return reason


def _text_of_advice(person: Person, reason: Reason) -> str:
    """The advice for a reason, and what would stand in the way after it was followed."""
    closed = find_closed_gate(person.contact) if person.contact else None
    if closed is None or closed is reason or reason is Reason.SIGNED_UP_AFTER_GATE:
        return ADVICE[reason]
    return f"{ADVICE[reason]}; and then: {ADVICE[closed]}"
