"""How `mcsync explain` looks: one block for each person and audience."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mcsync.answers.describe import describe
from mcsync.answers.explain import (
    RULES,
    Explained,
    show_time,
    text_of_member_change,
    text_of_outcome,
)
from mcsync.answers.status import text_of_reason
from mcsync.cli.tables import show_gap, show_heading, show_line
from mcsync.decision import REASONS, ContactView, Statement
from mcsync.model import SUBSCRIPTION, MemberStatus, Side
from mcsync.reconcile.agree import Heard
from mcsync.text import SIDES, text_of_change

if TYPE_CHECKING:
    from mcsync.cli.state import State


def answer_explained(state: "State", people: Sequence[Explained]) -> None:
    """Show everything about these people."""
    state.answer = {"people": [describe(explained) for explained in people]}
    if state.wants_json:
        return
    if len(people) > 1:
        show_line(f"{len(people)} answers, one for each person and audience:")
        show_gap()
    for number, explained in enumerate(people):
        if number:
            show_gap()
        _show(explained)


def _show(explained: Explained) -> None:
    show_heading(_title(explained))
    _section("Now", _text_of_place(explained))
    _section("What each side says", _text_of_hearings(explained))
    _section("What a sync would do now", _text_of_steps(explained))
    _section("To get them subscribed", [explained.advice])
    _section("What mcsync changed", _text_of_changes(explained))
    _section("Updates for Mailchimp, newest first", _text_of_updates(explained))


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> None:
    told = list(lines)
    if not told:
        return
    show_heading(f"  {title}")
    for line in told:
        show_line(line, indent=4)


def _title(explained: Explained) -> str:
    person = explained.person
    addresses = [row.email for row in explained.rows if row.email]
    contact = person.contact
    addresses += [e.email for e in contact.emails if e.email] if contact else []
    names = list(dict.fromkeys(addresses)) or ([f"contact {contact.contact_id}"] if contact else [])
    found = [how for how in explained.found_as if how != "address"]
    meant = f" [found as {', '.join(found)}]" if found else ""
    watched = explained.watched
    return f"{', '.join(names[:3])} in {watched.name} ({watched.list_id}){meant}"


def _text_of_place(explained: Explained) -> Iterator[str]:
    for row in explained.rows:
        linked = f"contact {row.contact_id}" if row.contact_id else "no contact"
        where = row.member_status or "not a member"
        when = ", to be checked in the next sync; last time" if row.sync_status == "todo" else ""
        why = f"{when}: {row.reason}, {text_of_reason(row.reason)}" if row.reason else ""
        if explained.person.members or row.email:
            yield f"Mailchimp: {row.email or 'no address yet'} is {where}"
        yield f"row {row.row_id}, {linked}: sync_status {row.sync_status}{why}"
    if explained.person.contact:
        yield from _text_of_contact(explained.person.contact, explained.watched.policy.group_id)
    if not explained.rows:
        yield "mcsync has no row for them: there is nothing to sync"
    if explained.person.rivals:
        yield f"contacts {', '.join(map(str, explained.person.rivals))} have the same address"


def _text_of_contact(contact: ContactView, group_id: int) -> Iterator[str]:
    person, place = contact.contact, contact.place(group_id)
    name = f"{person.first_name} {person.last_name}".strip() or "no name"
    where = "in" if place.is_added else "not in" if place.said is None else "removed from"
    marks = _join(
        ("deceased", person.is_deceased),
        ("opted out", person.is_opt_out),
        ("do not email", person.do_not_email),
    )
    group = f"{where} group {group_id}"
    yield f"CiviCRM: contact {contact.contact_id} ({name}) is {group}{marks and ', ' + marks}"
    for email in contact.emails:
        kinds = _join(
            ("primary", email.is_primary),
            ("bulk mail", email.is_bulkmail),
            ("on hold", email.on_hold),
        )
        yield f"  has {email.email or 'an empty address'}{kinds and f' ({kinds})'}"


def _join(*marks: tuple[str, bool]) -> str:
    return ", ".join(words for words, is_set in marks if is_set)


def _text_of_hearings(explained: Explained) -> Iterator[str]:
    for heard in explained.hearings:
        is_interest = heard.thing != SUBSCRIPTION
        of = f", interest {heard.thing}" if is_interest else ""
        about = f"Interest {heard.thing}: " if is_interest else ""
        yield f"Mailchimp{of}: {_text_of_mailchimp(heard, explained)}"
        yield f"CiviCRM{of}: {_said(heard.civicrm)}"
        verdict = _text_of_word(heard.right)
        yield f"{about}{RULES[heard.rule]}{verdict and ': ' + verdict}"


def _text_of_mailchimp(heard: Heard, explained: Explained) -> str:
    """What Mailchimp says, and whether it does so only because mcsync wrote it there."""
    said = heard.mailchimp
    if said is None or heard.thing != SUBSCRIPTION:
        return _said(said)
    members = explained.person.members
    if any(m.is_muted and m.status is MemberStatus.UNSUBSCRIBED for m in members):
        ours = _find_our_write(explained) or "unsubscribed by mcsync"
        return f"{_said(said)}, by their own choice; but {ours}"
    if all(SUBSCRIPTION in member.written for member in members):
        return _find_our_write(explained) or _said(said)
    return _said(said)


def _find_our_write(explained: Explained) -> str:
    """What mcsync wrote last of the subscription at Mailchimp, and why; "" if it is not known."""
    for change in reversed(explained.changes):
        if change.side is Side.MAILCHIMP and change.field == SUBSCRIPTION:
            at = f" on {show_time(change.at)}" if change.at else ""
            what = "asked to confirm" if change.after == MemberStatus.PENDING else change.after
            return f"{what} by mcsync{at}, because {REASONS[change.reason]}"
    return ""


def _said(said: Statement[bool] | None) -> str:
    if said is None:
        return "says nothing"
    at, word = show_time(said.at), _text_of_word(said)
    return f"{word}, since {at}" if at else f"{word}, for an unknown time"


def _text_of_word(said: Statement[bool] | None) -> str:
    return "" if said is None else "in the group" if said.value else "not in the group"


def _text_of_steps(explained: Explained) -> Iterator[str]:
    if explained.person.is_under_way:
        yield "wait for the result of an update that is on its way to Mailchimp"
        return
    for step in explained.steps:
        why = REASONS[step.reason]
        yield f"{SIDES[step.side]}: {step.what}, because {why} ({step.reason})"
    if explained.held and explained.steps:
        yield f"but the audience is held: {explained.held}"
    if explained.steps:
        return
    reasons = list(dict.fromkeys(verdict.reason for verdict in explained.decision.verdicts))
    why = "; ".join(f"{reason.value}: {REASONS[reason]}" for reason in reasons)
    yield f"nothing{f': {why}' if why else ''}"


def _text_of_changes(explained: Explained) -> Iterator[str]:
    for change in explained.changes:
        yield (
            f"{show_time(change.at)} {SIDES[change.side]}:"
            f" {text_of_change(change.field, change.before, change.after)}"
            f" ({change.reason.value}, run {change.run})"
        )


def _text_of_updates(explained: Explained) -> Iterator[str]:
    for update in explained.updates:
        yield (
            f"{show_time(update.created_at)} {text_of_member_change(update.change)}"
            f" ({update.cause.reason}): {text_of_outcome(update)[1]}"
        )
