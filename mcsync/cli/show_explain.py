"""How `mcsync explain` looks: the answer, then why, then what would change it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mcsync.answers.asked import Matches
from mcsync.answers.describe import describe
from mcsync.answers.explain import RULES, Explained, text_of_member_change, text_of_outcome
from mcsync.answers.in_short import answer_in_short
from mcsync.answers.status import Watched
from mcsync.cli.tables import show_fields, show_gap, show_heading, show_line, show_table
from mcsync.decision import REASONS, ContactView, MemberView, Statement
from mcsync.model import LONG_AGO, SUBSCRIPTION, Email, MemberStatus, Side
from mcsync.reconcile.agree import Heard, Rule
from mcsync.text import SIDES, text_of_change, text_of_day, text_of_time

if TYPE_CHECKING:
    from mcsync.cli.state import State

Field = tuple[str, str]


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
        show_heading(f"{answer_in_short(explained)}.")
        show_fields(_name_once(_text_of_everything(explained)))


def answer_matches(state: "State", audiences: Sequence[Watched], matches: Matches) -> None:
    """List who may be meant, and say how to ask for one of them."""
    names = {watched.list_id: watched.name for watched in audiences}
    state.answer = {
        "people": [],
        "matches": [{**m._asdict(), "who": m.number} for m in matches.shown],
        "matches_count": matches.count,
    }
    if state.wants_json:
        return
    columns = ("Who", "Name", "Address", "At Mailchimp", "Audience")
    rows = [
        (
            *(m.number, f"{m.first_name} {m.last_name}".strip(), m.email),
            *(m.mailchimp_status or "not a member", names.get(m.list_id or "", "none")),
        )
        for m in matches.shown
    ]
    width = len(columns) if len(names) > 1 else len(columns) - 1  # one audience needs no name
    show_table(columns[:width], [row[:width] for row in rows])
    more = matches.count - len(matches.shown)
    if more:
        show_line(f"and {more:,} more; these are the newest")
    show_gap()
    show_line(f"Show one of them with: mcsync explain {matches.shown[0].number}")


def _name_once(fields: Iterator[Field]) -> Iterator[Field]:
    """Fields whose name stands before the first of several of the same name."""
    last = ""
    for name, text in fields:
        yield "" if name == last else name, text
        last = name


def _text_of_everything(explained: Explained) -> Iterator[Field]:
    for line in _text_of_mailchimp(explained):
        yield "Mailchimp", line
    for line in _text_of_civicrm(explained):
        yield "CiviCRM", line
    subscription, *interests = explained.hearings
    if subscription.rule is not Rule.SAME:
        yield "rule", _text_of_rule(subscription)
    for heard in interests:
        if _matters(heard):
            yield "interest", _text_of_interest(heard, explained)
    for step in explained.steps:
        yield "next sync", f"{SIDES[step.side]}: {step.what}, because {REASONS[step.reason]}"
    if explained.held and explained.steps:
        yield "held", explained.held
    if not explained.is_settled:
        yield "to subscribe", explained.advice
    yield from _text_of_past(explained)
    yield "known as", _text_of_numbers(explained)


def _text_of_past(explained: Explained) -> Iterator[Field]:
    """What was written, and what was asked of Mailchimp and is not, or not yet, done."""
    for change in explained.changes:
        field = explained.labels.field(change.field)
        what = text_of_change(field, change.before, change.after)
        at = f"{text_of_time(change.at)}, " if change.at else ""
        yield "changed", f"{at}{SIDES[change.side]}: {what} (run {change.run})"
    for update in explained.updates:
        outcome, sentence = text_of_outcome(update)
        if outcome != "done":
            what = text_of_member_change(update.change, explained.labels)
            yield (
                outcome.replace("-", " "),
                f"{text_of_time(update.created_at)}, {what}: {sentence}",
            )


# --- how they stand -------------------------------------------------------------------------------


def _text_of_mailchimp(explained: Explained) -> Iterator[str]:
    for member in explained.person.voices:
        yield f"{member.email}: {_text_of_member(member, explained)}"
    if not explained.person.voices:
        yield "not a member of the audience"


def _text_of_member(member: MemberView, explained: Explained) -> str:
    """How a member stands, whether that is so because mcsync wrote it, and since when."""
    if member.status is None:
        return f"no longer a member{_since(member.subscription)}"
    said = member.subscription
    if member.is_muted and member.status is MemberStatus.UNSUBSCRIBED:
        ours = _find_our_write(explained, Side.MAILCHIMP) or "unsubscribed by mcsync"
        return f"{ours}; their own choice is to be subscribed{_since(said)}"
    ours = _find_our_write(explained, Side.MAILCHIMP) if SUBSCRIPTION in member.written else ""
    is_said = said is not None and said.value == member.is_in
    return ours or f"{member.status}{_since(said) if is_said else ''}"


def _find_our_write(explained: Explained, side: Side) -> str:
    """What mcsync wrote last of the subscription at a side, and why; "" if it is not known."""
    for change in reversed(explained.changes):
        if change.side is side and change.field == SUBSCRIPTION:
            at = f" on {text_of_day(change.at)}" if change.at else ""
            what = "asked to confirm" if change.after == MemberStatus.PENDING else change.after
            return f"{what} by mcsync{at}, because {REASONS[change.reason]}"
    return ""


def _text_of_civicrm(explained: Explained) -> Iterator[str]:
    person = explained.person
    if person.contact is not None:
        yield f"contact {person.contact.contact_id}: {_text_of_place(person.contact, explained)}"
        if _have_news(person.contact.emails, explained):
            yield f"addresses: {'; '.join(map(_text_of_email, person.contact.emails)) or 'none'}"
    elif person.rivals:
        yield f"contacts {', '.join(map(str, person.rivals))} have the same address"
    else:
        yield "no contact"


def _text_of_place(contact: ContactView, explained: Explained) -> str:
    group_id = explained.watched.policy.group_id
    place, group = contact.place(group_id), explained.labels.group(group_id)
    known = contact.contact
    marks = [(known.is_deceased, "deceased"), (known.is_opt_out, "opted out of bulk mail")]
    marks += [(known.do_not_email, "do not email")]
    told = "".join(f", {words}" for is_set, words in marks if is_set)
    if place.is_added:
        is_said = place.said is not None and place.said.value
        return f"in {group}{_since(place.said) if is_said else ''}{told}"
    if place.said is None and not place.is_known:
        return f"never in {group}{told}"
    if place.said is None or place.said.value:
        ours = _find_our_write(explained, Side.CIVICRM)
        by = ours.removeprefix("Removed") if ours.startswith("Removed") else ""
        return f"removed from {group}{by}{told}"
    at = place.said.at
    on = f" on {text_of_time(at)}" if at != LONG_AGO else ""
    return f"removed from {group}{on}{told}"


def _have_news(emails: Sequence[Email], explained: Explained) -> bool:
    """Whether the addresses are more than the one that the member has, too."""
    shown = {member.email.lower() for member in explained.person.voices}
    return any(e.on_hold for e in emails) or {e.email.lower() for e in emails} != shown


def _text_of_email(email: Email) -> str:
    marks = [(email.is_primary, "primary"), (email.is_bulkmail, "bulk mail")]
    marks += [(email.on_hold, "on hold")]
    kinds = ", ".join(words for is_set, words in marks if is_set)
    return f"{email.email or 'an empty one'}{kinds and f' ({kinds})'}"


def _text_of_numbers(explained: Explained) -> str:
    """Ids and codes, for other commands, SQL, and whoever is asked for help."""
    rows = [f"row {r.row_id} ({_text_of_mark(r.sync_status, r.reason)})" for r in explained.rows]
    return ", ".join((*(rows or ["no row"]), f"audience {explained.watched.list_id}"))


def _text_of_mark(sync_status: str, reason: str | None) -> str:
    return f"{sync_status}, {reason}" if reason else sync_status


# --- what was said --------------------------------------------------------------------------------


def _text_of_rule(heard: Heard) -> str:
    word = "" if heard.right is None else f": {'in' if heard.right.value else 'not in'} the group"
    return f"{RULES[heard.rule]}{word}"


def _matters(heard: Heard) -> bool:
    """Whether an interest is on, or somebody says so."""
    said = (heard.right, heard.mailchimp, heard.civicrm)
    return any(word is not None and word.value for word in said)


def _text_of_interest(heard: Heard, explained: Explained) -> str:
    name = explained.labels.interests.get(heard.thing, heard.thing)
    if heard.rule is Rule.SAME:
        return f"{name}: {_text_of_word(heard.right)} at both sides"
    there, here = _text_of_word(heard.mailchimp), _text_of_word(heard.civicrm)
    right = "on" if heard.right is not None and heard.right.value else "off"
    return f"{name}: {right}; Mailchimp: {there}; CiviCRM: {here}; {RULES[heard.rule]}"


def _text_of_word(said: Statement[bool] | None) -> str:
    return "never set" if said is None else f"{'on' if said.value else 'off'}{_since(said)}"


def _since(said: Statement[bool] | None) -> str:
    return "" if said is None or said.at == LONG_AGO else f" since {text_of_time(said.at)}"
