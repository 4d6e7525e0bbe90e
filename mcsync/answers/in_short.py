"""The answer of `explain` in one sentence: how somebody stands in an audience, and why."""

from collections.abc import Mapping

from mcsync.answers.explain import Explained
from mcsync.decision import REASONS, Reason, Statement
from mcsync.model import LONG_AGO, MemberStatus, Side
from mcsync.text import text_of_day

# Where a day can be named, the sentence is about that day, and not about who came last.
_ON_A_DAY: Mapping[Reason, tuple[Side, str]] = {
    Reason.CIVICRM_REMOVED: (Side.CIVICRM, "they were removed from the group{on}"),
    Reason.MAILCHIMP_LEFT: (Side.MAILCHIMP, "they unsubscribed themselves{on}"),
    Reason.MAILCHIMP_STAFF: (
        Side.MAILCHIMP,
        "an administrator or the API unsubscribed them at Mailchimp{on}",
    ),
    Reason.MAILCHIMP_CLEANED: (
        Side.MAILCHIMP,
        "the address bounced, and Mailchimp cleaned it{on}",
    ),
    Reason.MAILCHIMP_ARCHIVED: (Side.MAILCHIMP, "they were archived at Mailchimp{on}"),
}


def answer_in_short(explained: Explained) -> str:
    """One sentence: "Wilma Flintstone is not subscribed to Newsletter, because …"."""
    who, audience = name_person(explained), explained.watched.name
    statuses = {member.status for member in explained.person.voices}
    is_in = MemberStatus.SUBSCRIBED in statuses
    stands = f"{who} is {'' if is_in else 'not '}subscribed to {audience}"
    if explained.person.is_under_way:
        return f"{stands}, and an update for them is on its way to Mailchimp"
    if explained.steps:
        return f"{stands}; {_text_of_plan(explained)}"
    if MemberStatus.PENDING in statuses and not is_in:
        return f"{stands} yet: Mailchimp has asked them to confirm, and they have not"
    reason = _find_reason(explained)
    why = "" if reason is Reason.IN_AGREEMENT else f", because {_text_of_why(explained, reason)}"
    if is_in and not _is_added(explained):
        return f"{stands}, but not in the group{why}"
    if is_in and reason is not Reason.SIGNED_UP_AFTER_GATE:
        return f"{who} is in sync with {audience}: subscribed at Mailchimp, Added in the group"
    return stands + (why or _text_of_agreement(explained))


def name_person(explained: Explained) -> str:
    """Their name, else an address or a number; with the number by which they were found."""
    person = explained.person
    named = [(member.first_name, member.last_name) for member in person.voices]
    if person.contact is not None:
        named.insert(0, (person.contact.contact.first_name, person.contact.contact.last_name))
    names = [" ".join(filter(None, name)) for name in named]
    addresses = [row.email for row in explained.rows]
    owned = person.contact.emails if person.contact else ()
    addresses += [each.email for each in owned]
    number = f"contact {person.contact.contact_id}" if person.contact else "somebody"
    name = next(text for text in (*names, *addresses, number) if text)
    found = [how for how in explained.found_as if how not in ("address", name)]
    return f"{name} ({', '.join(found)})" if found else name


def _is_added(explained: Explained) -> bool:
    contact = explained.person.contact
    return contact is not None and contact.place(explained.watched.policy.group_id).is_added


def _text_of_plan(explained: Explained) -> str:
    step = explained.steps[0]
    unless = ", unless a guard still holds it" if explained.held else ""
    return f"the next sync will {step.what}, because {REASONS[step.reason]}{unless}"


def _text_of_why(explained: Explained, reason: Reason) -> str:
    """Why they stand as they do, with the day if there is one."""
    undone = explained.undone
    if reason is Reason.UNDONE and undone is not None:
        return (
            f"undo put it back on {text_of_day(undone.done_at)} (run {undone.run}), to stay until"
            " either side says something newer"
        )
    if reason not in _ON_A_DAY:
        return REASONS[reason]
    side, text = _ON_A_DAY[reason]
    heard = explained.hearings[0]
    said = heard.mailchimp if side is Side.MAILCHIMP else heard.civicrm
    return text.format(on=_text_of_day(said))


def _find_reason(explained: Explained) -> Reason:
    """What decided: now, or, where nothing is left to decide, when it was last written."""
    reasons = [verdict.reason for verdict in explained.decision.verdicts]
    reasons += [Reason(r.reason) for r in explained.rows if r.reason and r.sync_status != "todo"]
    return next((r for r in reasons if r is not Reason.IN_AGREEMENT), Reason.IN_AGREEMENT)


def _text_of_agreement(explained: Explained) -> str:
    statuses = sorted({member.status for member in explained.person.voices if member.status})
    there = " and ".join(statuses) or "not a member"
    return f": {there} at Mailchimp, not in the group"


def _text_of_day(said: Statement[bool] | None) -> str:
    is_known = said is not None and not said.value and said.at != LONG_AGO
    return f" on {text_of_day(said.at)}" if said is not None and is_known else ""
