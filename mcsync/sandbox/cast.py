"""The people of the demo: every combination of what the two sides can say about somebody.

Each of the cast is one combination of a state at Mailchimp, a state in CiviCRM and the order in
which these came about. Most people are in agreement, as in any audience.
"""

from dataclasses import dataclass, replace
from itertools import product

from mcsync.sandbox.town import Town

LIST = "aaaaaaaaaa"
AUDIENCE = "Main audience"
GROUP = 111
INTEREST = "cccccccccc"
INTEREST_GROUP = 222

# What Mailchimp has: nobody, or a member with this status. "left" went by themselves.
MEMBER_STATES = ("none", "subscribed", "pending", "left", "unsubscribed", "cleaned", "archived")
# What CiviCRM has: nobody, a contact outside the group, or in it by import, by hand ...
CONTACT_STATES = (
    "none",
    "outside",
    "imported",
    "added",
    "removed",
    "pending",
    "opted-out",
    "do-not-email",
    "deceased",
    "on-hold",
)
_DATED = ("added", "removed", "pending", "opted-out", "do-not-email", "deceased", "on-hold")
_IN_GROUP = ("added", "opted-out", "do-not-email", "deceased", "on-hold")
_FLAGS = {
    "opted-out": {"is_opt_out": True},
    "do-not-email": {"do_not_email": True},
    "deceased": {"is_deceased": True},
}
_EARLIER_DAYS, _LATER_DAYS = 20, 10  # before the demo begins
IN_AGREEMENT = 160

_FIRST = (
    "Wilma", "Fred", "Barney", "Betty", "Pebbles", "Dino", "Bambam", "Pearl", "Gazoo", "Mister",
    "Tex", "Rocky", "Sandy", "Clay", "Flint", "Coral", "Amber", "Jasper", "Opal", "Ruby",
)  # fmt: skip
_LAST = ("Flintstone", "Rubble", "Slate", "Slaghoople", "Hatrock", "Boulder", "Granite", "Gravel")


@dataclass(frozen=True, slots=True)
class Somebody:
    """One of the cast: a name, an address, what each side has, and who spoke last.

    `contact_id` is None while CiviCRM has nobody.
    """

    first_name: str
    last_name: str
    email: str
    member: str
    contact: str
    is_member_later: bool
    contact_id: int | None = None


def _combinations() -> list[tuple[str, str, bool]]:
    chosen = []
    for member, contact in product(MEMBER_STATES, CONTACT_STATES):
        if member == contact == "none":
            continue
        chosen.append((member, contact, True))
        if member != "none" and contact in _DATED:
            chosen.append((member, contact, False))
    return chosen


def settle(town: Town) -> list[Somebody]:
    """Put the audience, its group and everybody into the town; the clock ends at today."""
    town.add_audience(LIST, AUDIENCE, GROUP, {INTEREST: (INTEREST_GROUP, "Volunteering")})
    combinations = [*_combinations(), *[("subscribed", "added", True)] * IN_AGREEMENT]
    cast = [
        Somebody(*_name(number), member, contact, is_member_later)
        for number, (member, contact, is_member_later) in enumerate(combinations)
    ]
    town.clock.advance(days=-_EARLIER_DAYS)
    for is_later_now in (False, True):
        for number, somebody in enumerate(cast):
            if somebody.is_member_later == is_later_now:
                _add_member(town, somebody)
            else:
                cast[number] = replace(somebody, contact_id=_add_contact(town, somebody))
        town.clock.advance(days=_EARLIER_DAYS - _LATER_DAYS)
    return cast


def _name(number: int) -> tuple[str, str, str]:
    first = _FIRST[number % len(_FIRST)]
    last = _LAST[number // len(_FIRST) % len(_LAST)]
    rest = number // (len(_FIRST) * len(_LAST))
    suffix = str(rest + 1) if rest else ""
    return first, last, f"{first}.{last}{suffix}@example.org".lower()


def _add_member(town: Town, somebody: Somebody) -> None:
    if somebody.member == "none":
        return
    has_left = somebody.member == "left"
    town.mailchimp.import_member(
        LIST,
        somebody.email,
        status="unsubscribed" if has_left else somebody.member,
        first_name=somebody.first_name,
        last_name=somebody.last_name,
        left=has_left,
    )


def _add_contact(town: Town, somebody: Somebody) -> int | None:
    state, civicrm = somebody.contact, town.civicrm
    if state == "none":
        return None
    address = (somebody.email, {"on_hold": int(state == "on-hold")})
    contact_id = civicrm.add_contact(
        somebody.first_name, somebody.last_name, [address], **_FLAGS.get(state, {})
    )
    if state == "imported":
        civicrm.sql_set_membership(contact_id, GROUP, "Added")
    elif state == "pending":
        civicrm.pend_in_group(contact_id, GROUP)
    elif state in (*_IN_GROUP, "removed"):
        civicrm.add_to_group(contact_id, GROUP)
        if state == "removed":
            civicrm.remove_from_group(contact_id, GROUP)
    return contact_id


def stir(town: Town, cast: list[Somebody]) -> list[str]:
    """Let people and staff act at both sides; returns what they did, in words."""
    agreed = [p for p in cast if (p.member, p.contact) == ("subscribed", "added")][-8:]
    leaver, removed, volunteer, helper, editor, bouncer, optout, _ = agreed
    lifted = next(
        p for p in cast if (p.member, p.contact, p.is_member_later) == ("none", "opted-out", True)
    )
    mailchimp, civicrm = town.mailchimp, town.civicrm
    civicrm.add_to_group(_id(helper), INTEREST_GROUP)
    town.clock.advance(minutes=7)
    mailchimp.leave(LIST, leaver.email)
    civicrm.remove_from_group(_id(removed), GROUP)
    mailchimp.sign_up(LIST, "hoppy.hopparoo@example.org", "Hoppy", "Hopparoo")
    mailchimp.edit_profile(LIST, volunteer.email, interests={INTEREST: True})
    mailchimp.edit_profile(LIST, editor.email, first_name="Fredericka")
    mailchimp.bounce(LIST, bouncer.email)
    civicrm.update_contact(_id(optout), is_opt_out=True)
    civicrm.update_contact(_id(lifted), is_opt_out=False)
    town.clock.advance(minutes=7)
    return [
        f"{leaver.email} unsubscribed with the link in a mail",
        f"{removed.email} was removed from the group in CiviCRM",
        "hoppy.hopparoo@example.org signed up with a form",
        f"{volunteer.email} ticked Volunteering at Mailchimp",
        f"{helper.email} was added to Volunteering in CiviCRM",
        f"{editor.email} changed their name at Mailchimp",
        f"{bouncer.email} bounced",
        f"{optout.email} opted out of bulk mail in CiviCRM",
        f"{lifted.email} no longer opts out in CiviCRM",
    ]


def _id(somebody: Somebody) -> int:
    if somebody.contact_id is None:
        raise ValueError(f"{somebody.email} has no contact")
    return somebody.contact_id
