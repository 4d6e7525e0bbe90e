"""The decision table: what is decided about one person, case by case, in plain words.

A row names the case, the person (contacts and members, with hours for times), perhaps a policy,
and what is expected: what is written in CiviCRM, what is sent to Mailchimp, and how the rows are
marked (`status reason`, one for all rows, or one per row after semicolons; the reason may be
left out). To add a case, add a `case(...)`. Below the table stand the laws that hold for anybody.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcsync.model import (
    LONG_AGO,
    NOWHERE,
    REASONS,
    SUBSCRIPTION,
    Contact,
    ContactView,
    Decision,
    Email,
    GroupStatus,
    InterestPolicy,
    MemberStatus,
    MemberView,
    Person,
    Place,
    PlannedChange,
    Policy,
    Reason,
    RowView,
    Side,
    Statement,
    SyncStatus,
    email_key,
)
from mcsync.reconcile.agree import agree, agree_within
from mcsync.reconcile.enforce import decide

GROUP, VOLUNTEERS = 111, 222
VOLUNTEERING = "cccccccccc"
IDS = {"Fred": 1, "Wilma": 2, "Barney": 3, "Betty": 4, "Pebbles": 5, "Bamm-Bamm": 6}
NAMES = {number: name for name, number in IDS.items()}

PLAIN = Policy("aaaaaaaaaa", GROUP)
BOTH_WAYS = replace(PLAIN, interests={VOLUNTEERING: InterestPolicy(VOLUNTEERS)})
PUSH_ONLY = replace(PLAIN, interests={VOLUNTEERING: InterestPolicy(VOLUNTEERS, is_push_only=True)})
ARCHIVING = replace(PLAIN, removes_by_archiving=True)
SKIPPING = replace(PLAIN, skips_duplicates=True)
NO_RECONFIRMING = replace(PLAIN, may_reconfirm=False)
TRUST_MAILCHIMP = replace(PLAIN, trust={SUBSCRIPTION: Side.MAILCHIMP})
TRUST_CIVICRM = replace(PLAIN, trust={SUBSCRIPTION: Side.CIVICRM})
HOLD_DELETED = replace(PLAIN, deleted_contacts="hold")
UNSUBSCRIBE_DELETED = replace(PLAIN, deleted_contacts="unsubscribe")


# --- people, in few words -------------------------------------------------------------------------


def at(hour: int) -> datetime:
    """An hour of the day on which everything happens; 0 is long before anything."""
    return LONG_AGO if hour == 0 else datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)


def full(address: str) -> str:
    """`fred@` in full."""
    return address + "example.org" if address.endswith("@") else address


def contact(
    name: str,
    *emails: str,
    added: int | None = None,
    removed: int | None = None,
    is_added: bool | None = None,
    volunteer: int | None = None,
    no_volunteer: int | None = None,
    is_volunteer: bool | None = None,
    closed: int | None = None,
    **flags: bool,
) -> ContactView:
    """A contact; `added` and `removed` are human acts, `is_added` what is there in spite of them.

    An address is `fred@`, with `bulk`, `primary` or `held` behind it. The gate closed at `closed`.
    """
    contact_id = IDS[name]
    owned = tuple(
        Email(
            email_id=contact_id * 10 + number,
            contact_id=contact_id,
            email=full(text.split()[0]),
            is_primary="primary" in text,
            is_bulkmail="bulk" in text,
            on_hold="held" in text,
        )
        for number, text in enumerate(emails)
    )
    places = {
        GROUP: _place(added, removed, is_added),
        VOLUNTEERS: _place(volunteer, no_volunteer, is_volunteer),
    }
    return ContactView(
        contact=Contact(contact_id, name, "Flintstone", **flags),
        emails=owned,
        places={group: place for group, place in places.items() if place != NOWHERE},
        gate_closed_at=None if closed is None else at(closed),
    )


def _place(added: int | None, removed: int | None, is_added: bool | None) -> Place:
    if added is not None:
        return Place(is_added is not False, Statement(value=True, at=at(added)))
    if removed is not None:
        return Place(is_added is True, Statement(value=False, at=at(removed)))
    return Place(is_added is True, None)


def member(
    address: str,
    status: str,
    hour: int,
    *,
    of: str | None = None,
    gated: bool = False,
    volunteer: int | None = None,
    no_volunteer: int | None = None,
    names: tuple[str, str] = ("", ""),
    refused: tuple[int, Reason] | None = None,
    reconfirmed: int | None = None,
    lost: bool = False,
    shared: bool = False,
    moved_from: str | None = None,
    had_address: bool = False,
) -> RowView:
    """A row with a member whose status was last said at `hour`; `gated`: we wrote it for the gate.

    Linked to the contact `of`; without it, to the one named like the address, if there is one.
    `had_address`: the contact was seen with this address before.
    """
    found = None if status == "vanished" else MemberStatus(status)
    interests = {}
    if volunteer is not None:
        interests[VOLUNTEERING] = Statement(value=True, at=at(volunteer))
    if no_volunteer is not None:
        interests[VOLUNTEERING] = Statement(value=False, at=at(no_volunteer))
    is_in = gated or (found is not None and found.is_in)
    view = MemberView(
        row_id=0,
        email=full(address),
        member_id=None if found is None else f"id of {full(address).lower()}",
        status=found,
        subscription=Statement(value=is_in, at=at(hour)),
        interests=interests,
        first_name=names[0],
        last_name=names[1],
    )
    name = of or address.partition("@")[0].title()
    row = _refused(RowView(0, member=view), refused, reconfirmed)
    row = replace(row, contact_id=IDS.get(name), lost_contact=lost, is_shared=shared)
    row = replace(row, owned_by=row.contact_id if had_address else None)
    return replace(row, moved_from=moved_from and full(moved_from))


def alone(
    name: str, refused: tuple[int, Reason] | None = None, reconfirmed: int | None = None
) -> RowView:
    """The row of a contact whom Mailchimp does not know."""
    return _refused(RowView(0, contact_id=IDS[name]), refused, reconfirmed)


def _refused(row: RowView, refused: tuple[int, Reason] | None, reconfirmed: int | None) -> RowView:
    if refused is not None:
        row = replace(row, refused_at=at(refused[0]), refusal=refused[1])
    if reconfirmed is not None:
        row = replace(row, reconfirmed_at=at(reconfirmed))
    return row


def person(*parts: ContactView | RowView, rivals: tuple[int, ...] = ()) -> Person:
    """Contacts and rows that belong together, numbered; who is Added has a row in any case."""
    contacts = tuple(part for part in parts if isinstance(part, ContactView))
    rows = [part for part in parts if isinstance(part, RowView)]
    known = {c.contact_id for c in contacts}
    rows = [row if row.contact_id in known else replace(row, contact_id=None) for row in rows]
    linked = {row.contact_id for row in rows}
    rows += [
        RowView(0, contact_id=c.contact_id)
        for c in contacts
        if c.place(GROUP).is_added and c.contact_id not in linked
    ]
    return Person(tuple(_number(row, n + 1) for n, row in enumerate(rows)), contacts, rivals)


def _number(row: RowView, row_id: int) -> RowView:
    view = None if row.member is None else replace(row.member, row_id=row_id)
    return replace(row, row_id=row_id, member=view)


# --- decisions, in few words ----------------------------------------------------------------------


def tell_civicrm(decision: Decision) -> set[str]:
    lines = {
        f"{NAMES[write.contact_id]} {write.status}"
        + (" Volunteers" if write.group_id == VOLUNTEERS else "")
        for write in decision.group_writes
    }
    lines |= {
        f"{NAMES[write.contact_id]} gets {short(write.email)}" for write in decision.email_writes
    }
    new = decision.new_contact
    if new is not None:
        groups = " and ".join(str(group_id) for group_id in new.group_ids)
        lines.add(f"create {new.first_name} {new.last_name} {short(new.email)} in {groups}")
    return lines


def tell_mailchimp(decision: Decision) -> set[str]:
    return {tell_change(planned) for planned in decision.changes}


def tell_change(planned: PlannedChange) -> str:
    change = planned.change
    words = []
    if change.is_archiving:
        words.append("archive")
    elif change.status is MemberStatus.UNSUBSCRIBED:
        words.append("unsubscribe")
    elif change.status is not None:
        words.append("subscribe" if change.member_id else "add")
    words.append(short(change.email))
    if change.new_email is not None:
        words.append(f"moves to {short(change.new_email)}")
    words += ["volunteering" if on else "not volunteering" for on in change.interests.values()]
    if planned.is_gate:
        words.append("for the gate")
    return " ".join(words)


def short(address: str) -> str:
    return address.removesuffix("example.org")


def listed(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def case(
    words: str,
    someone: Person,
    policy: Policy = PLAIN,
    *,
    civicrm: str = "",
    mailchimp: str = "",
    rows: str,
):
    return pytest.param(someone, policy, civicrm, mailchimp, rows, id=words)


# --- the table ------------------------------------------------------------------------------------

THE_LATER_WORD = [
    case(
        "both sides say in: nothing to do",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "subscribed", 9)),
        rows="ok in-agreement",
    ),
    case(
        "a contact added to the group and unknown to Mailchimp is subscribed",
        person(contact("Wilma", "wilma@", added=10)),
        mailchimp="add wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "removed in CiviCRM at 10, name edited at Mailchimp at 12: unsubscribed",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9)),
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "unsubscribed at Mailchimp later than added: Removed from the group",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "unsubscribed", 12)),
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "cleaned at Mailchimp: Removed from the group",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "cleaned", 12)),
        civicrm="Wilma Removed",
        rows="ok cleaned-at-mailchimp",
    ),
    case(
        "archived at Mailchimp: Removed from the group",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "archived", 12)),
        civicrm="Wilma Removed",
        rows="ok archived-at-mailchimp",
    ),
    case(
        "made transactional at Mailchimp says out",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "transactional", 12)),
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "vanished from Mailchimp says out",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "vanished", 12)),
        civicrm="Wilma Removed",
        rows="ok vanished-from-mailchimp",
    ),
    case(
        "subscribed at Mailchimp later than Removed: Added to the group again",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 12)),
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "pending at Mailchimp says in",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "pending", 12)),
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "both at the same second: CiviCRM is right, in",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "unsubscribed", 10)),
        mailchimp="subscribe wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "both at the same second: CiviCRM is right, out",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 10)),
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "both sides say out: nothing to do",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "unsubscribed", 12)),
        rows="ok in-agreement",
    ),
    case(
        "in the group without any history is older than anything Mailchimp says",
        person(contact("Wilma", "wilma@", added=0), member("wilma@", "unsubscribed", 1)),
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "in the group without any history and unknown to Mailchimp: subscribed",
        person(contact("Wilma", "wilma@", added=0)),
        mailchimp="add wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "a contact never in the group whose address is subscribed is Added",
        person(contact("Wilma", "wilma@"), member("wilma@", "subscribed", 9)),
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "a contact never in the group whose address is unsubscribed stays out",
        person(contact("Wilma", "wilma@"), member("wilma@", "unsubscribed", 9)),
        rows="ok",
    ),
    case(
        "that we added the contact ourselves says nothing: who leaves is Removed",
        person(contact("Wilma", "wilma@", is_added=True), member("wilma@", "unsubscribed", 9)),
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "what a human said before we removed the contact still stands, but is older",
        person(
            contact("Wilma", "wilma@", added=8, is_added=False),
            member("wilma@", "unsubscribed", 9),
        ),
        rows="ok left-at-mailchimp",
    ),
    case(
        "Removed and unknown to Mailchimp: nothing to do",
        person(contact("Wilma", "wilma@", removed=10), alone("Wilma")),
        rows="ok",
    ),
    case(
        "left by herself, then staff add her: subscribed is tried",
        person(contact("Betty", "betty@", added=10), member("betty@", "unsubscribed", 9)),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "archived, then staff add her: subscribed again",
        person(contact("Betty", "betty@", added=10), member("betty@", "archived", 9)),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "vanished, then staff add her: a new member",
        person(contact("Betty", "betty@", added=10), member("betty@", "vanished", 9)),
        mailchimp="add betty@",
        rows="live added-in-civicrm",
    ),
]

REMOVING = [
    case(
        "a pending member who is removed in CiviCRM is unsubscribed",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "pending", 9)),
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "removal by archiving archives instead of unsubscribing",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9)),
        ARCHIVING,
        mailchimp="archive wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "removal by archiving cannot archive a pending member, who is unsubscribed",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "pending", 9)),
        ARCHIVING,
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "removal by archiving leaves those alone who are unsubscribed already",
        person(contact("Wilma", "wilma@", removed=12), member("wilma@", "unsubscribed", 10)),
        ARCHIVING,
        rows="ok",
    ),
    case(
        "removal by archiving archives behind a closed gate, too",
        person(
            contact("Wilma", "wilma@", added=8, is_opt_out=True, closed=10),
            member("wilma@", "subscribed", 9),
        ),
        ARCHIVING,
        mailchimp="archive wilma@ for the gate",
        rows="live opt-out",
    ),
    case(
        "who was archived for the gate is subscribed when it opens",
        person(contact("Wilma", "wilma@", added=8), member("wilma@", "archived", 9, gated=True)),
        ARCHIVING,
        mailchimp="subscribe wilma@",
        rows="live may-be-mailed-again",
    ),
]

THE_MAIL_GATE = [
    case(
        "opted out: unsubscribed, but Added all the while",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out",
    ),
    case(
        "do not email: unsubscribed, but Added all the while",
        person(
            contact("Fred", "fred@", added=8, do_not_email=True, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live do-not-email",
    ),
    case(
        "deceased: unsubscribed",
        person(
            contact("Fred", "fred@", added=8, is_deceased=True, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live deceased",
    ),
    case(
        "every address on hold: unsubscribed",
        person(
            contact("Fred", "fred@ held", "rocks@ held", added=8, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live no-usable-address",
    ),
    case(
        "no address at all: cannot be subscribed",
        person(contact("Fred", added=8, closed=8)),
        rows="fail no-usable-address",
    ),
    case(
        "one of two addresses on hold closes no gate",
        person(contact("Fred", "fred@", "rocks@ held", added=8), member("fred@", "subscribed", 9)),
        rows="ok in-agreement",
    ),
    case(
        "opted out and unknown to Mailchimp: not subscribed",
        person(contact("Fred", "fred@", added=8, is_opt_out=True, closed=7)),
        rows="fail opt-out",
    ),
    case(
        "opted out and unsubscribed because of it: nothing more to do",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "unsubscribed", 9, gated=True),
        ),
        rows="fail opt-out",
    ),
    case(
        "opt-out lifted: subscribed again",
        person(contact("Fred", "fred@", added=8), member("fred@", "unsubscribed", 9, gated=True)),
        mailchimp="subscribe fred@",
        rows="live may-be-mailed-again",
    ),
    case(
        "opt-out lifted, but removed from the group meanwhile: stays out",
        person(
            contact("Fred", "fred@", removed=12), member("fred@", "unsubscribed", 9, gated=True)
        ),
        rows="ok removed-in-civicrm",
    ),
    case(
        "left by himself while opted out: Removed, since he said so",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "unsubscribed", 12),
        ),
        civicrm="Fred Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "signed up at Mailchimp after the opt-out: left alone and reported",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 12),
        ),
        rows="ok signed-up-despite-opt-out",
    ),
    case(
        "signed up at Mailchimp after the opt-out and not in the group: Added",
        person(
            contact("Fred", "fred@", removed=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 12),
        ),
        civicrm="Fred Added",
        rows="ok signed-up-despite-opt-out",
    ),
    case(
        "signed up in the very second of the opt-out: not after it",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 10),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out",
    ),
    case(
        "signed up before an opt-out of unknown time: unsubscribed",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True), member("fred@", "subscribed", 12)
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out",
    ),
    case(
        "the deceased do not sign up",
        person(
            contact("Fred", "fred@", added=8, is_deceased=True, closed=10),
            member("fred@", "subscribed", 12),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live deceased",
    ),
    case(
        "a deceased contact whom staff add to the group is not subscribed",
        person(contact("Fred", "fred@", added=12, is_deceased=True, closed=10)),
        rows="fail deceased",
    ),
    case(
        "a shared address is mailed as long as one of its owners may be mailed",
        person(
            contact("Fred", "home@", added=8, is_opt_out=True, closed=10),
            contact("Wilma", "home@", added=8),
            member("home@", "subscribed", 9, of="Fred"),
        ),
        rows="ok in-agreement",
    ),
    case(
        "an opted-out contact's own address is unsubscribed though his wife may be mailed",
        person(
            contact("Fred", "fred@ primary", "home@", added=8, is_opt_out=True, closed=10),
            contact("Wilma", "home@ primary", added=8),
            member("fred@", "subscribed", 9),
            member("home@", "subscribed", 9, of="Wilma"),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out; ok in-agreement",
    ),
    case(
        "a deceased contact's own address is unsubscribed though his wife may be mailed",
        person(
            contact("Fred", "fred@ primary", "home@", added=8, is_deceased=True, closed=10),
            contact("Wilma", "home@ primary", added=8),
            member("fred@", "subscribed", 9),
            member("home@", "subscribed", 9, of="Wilma"),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live deceased; ok in-agreement",
    ),
]

WHOM_TO_SUBSCRIBE = [
    case(
        "the address marked bulk comes first",
        person(contact("Barney", "barney@ primary", "rubble@ bulk", "b@", added=10)),
        mailchimp="add rubble@",
        rows="live added-in-civicrm",
    ),
    case(
        "the primary address comes second",
        person(contact("Barney", "b@", "barney@ primary", "rubble@ bulk held", added=10)),
        mailchimp="add barney@",
        rows="live added-in-civicrm",
    ),
    case(
        "any other address comes third",
        person(contact("Barney", "barney@ primary held", "b@", added=10)),
        mailchimp="add b@",
        rows="live added-in-civicrm",
    ),
    case(
        "an address that is in satisfies the contact, though another one is better",
        person(
            contact("Barney", "barney@", "rubble@ primary", added=10),
            member("barney@", "subscribed", 9),
        ),
        rows="ok in-agreement",
    ),
    case(
        "no second member for someone who has one",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=10),
            member("barney@", "unsubscribed", 9),
        ),
        mailchimp="subscribe barney@",
        rows="live added-in-civicrm",
    ),
    case(
        "of two addresses, one that can be had without a confirmation mail",
        person(
            contact("Barney", "barney@ primary", "rubble@", added=10),
            member("barney@", "unsubscribed", 9),
            member("rubble@", "archived", 8, of="Barney"),
        ),
        mailchimp="subscribe rubble@",
        rows="ok; live added-in-civicrm",
    ),
    case(
        "of two addresses that both left, the best one",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=10),
            member("barney@", "unsubscribed", 9),
            member("rubble@", "unsubscribed", 9, of="Barney"),
        ),
        mailchimp="subscribe rubble@",
        rows="ok; live added-in-civicrm",
    ),
    case(
        "when the gate opens, the address that was in, not one that left",
        person(
            contact("Barney", "barney@ primary", "rubble@", added=10),
            member("barney@", "unsubscribed", 9),
            member("rubble@", "unsubscribed", 8, of="Barney", gated=True),
        ),
        mailchimp="subscribe rubble@",
        rows="ok; live may-be-mailed-again",
    ),
    case(
        "a cleaned address can never be subscribed again",
        person(contact("Barney", "barney@", added=10), member("barney@", "cleaned", 9)),
        rows="fail cleaned-address",
    ),
    case(
        "a cleaned address on hold gives way to another one",
        person(
            contact("Barney", "barney@ primary held", "rubble@", added=10),
            member("barney@", "cleaned", 9),
        ),
        mailchimp="add rubble@",
        rows="ok",
    ),
    case(
        "a held address is refused",
        person(
            contact("Barney", "barney@ held", added=10, closed=9),
            member("barney@", "unsubscribed", 9),
        ),
        rows="fail no-usable-address",
    ),
    case(
        "an address that the contact no longer has is not subscribed again",
        person(
            contact("Barney", "barney@", added=10),
            member("old@", "unsubscribed", 9, of="Barney"),
        ),
        mailchimp="add barney@",
        rows="ok",
    ),
    case(
        "addresses compare without regard to case",
        person(contact("Barney", "BARNEY@", added=10), member("barney@", "unsubscribed", 9)),
        mailchimp="subscribe barney@",
        rows="live added-in-civicrm",
    ),
]

ADDRESSES_THAT_CHANGE = [
    case(
        "the member's address is no longer the contact's: the member moves",
        person(
            contact("Barney", "rubble@", added=8),
            member("barney@", "subscribed", 8, had_address=True),
        ),
        mailchimp="barney@ moves to rubble@",
        rows="live",
    ),
    case(
        "the contact never had the member's address (they were merged): nobody moves",
        person(contact("Barney", "rubble@", added=8), member("barney@", "subscribed", 8)),
        rows="ok in-agreement",
    ),
    case(
        "the contact marks another address bulk: the member moves",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "subscribed", 8),
        ),
        mailchimp="barney@ moves to rubble@",
        rows="live",
    ),
    case(
        "a bulk address on hold is no reason to move",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk held", added=8),
            member("barney@", "subscribed", 8),
        ),
        rows="ok in-agreement",
    ),
    case(
        "pushEmailChanges false: nobody moves",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "subscribed", 8),
        ),
        replace(PLAIN, pushes_email_changes=False),
        rows="ok in-agreement",
    ),
    case(
        "the new address is a member already: nobody moves",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=10),
            member("barney@", "subscribed", 9),
            member("rubble@", "unsubscribed", 9, of="Barney"),
        ),
        rows="ok in-agreement",
    ),
    case(
        "only a subscribed member moves, not a pending one",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "pending", 8),
        ),
        rows="ok in-agreement",
    ),
    case(
        "who is unsubscribed does not move as well",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", removed=10),
            member("barney@", "subscribed", 8),
        ),
        mailchimp="unsubscribe barney@",
        rows="live removed-in-civicrm",
    ),
    case(
        "a contact found only by a shared address moves nobody",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "subscribed", 8, shared=True),
        ),
        rows="ok in-agreement",
    ),
    case(
        "a member who moved at Mailchimp: the contact gets the new address, too",
        person(
            contact("Barney", "barney@ primary", added=8),
            member("rubble@", "subscribed", 8, of="Barney", moved_from="barney@"),
        ),
        civicrm="Barney gets rubble@",
        rows="ok",
    ),
    case(
        "a member who moved to an address that the contact has: nothing",
        person(
            contact("Barney", "barney@ primary", "rubble@", added=8),
            member("rubble@", "subscribed", 8, of="Barney", moved_from="barney@"),
        ),
        rows="ok in-agreement",
    ),
]

REFUSED_BEFORE = [
    case(
        "compliance state, and nobody is to be asked to confirm: fail, not tried again",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "unsubscribed", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        NO_RECONFIRMING,
        rows="fail compliance-state",
    ),
    case(
        "asked to confirm for this decision: never asked twice",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "unsubscribed", 9, reconfirmed=10),
        ),
        rows="redo|fail compliance-state",
    ),
    case(
        "forgotten at Mailchimp: not tried again",
        person(contact("Betty", "betty@", added=10), alone("Betty", (10, Reason.FORGOTTEN))),
        rows="fail forgotten-email",
    ),
    case(
        "refused for another reason: not tried again",
        person(contact("Betty", "betty@", added=10), alone("Betty", (10, Reason.REFUSED))),
        rows="fail refused-by-mailchimp",
    ),
    case(
        "refused, but staff add her once more: tried again",
        person(
            contact("Betty", "betty@", added=12),
            member("betty@", "unsubscribed", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "asked to confirm, but staff add her once more: tried again",
        person(
            contact("Betty", "betty@", added=12),
            member("betty@", "unsubscribed", 9, reconfirmed=10),
        ),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "refused, and then she signs up herself: in",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "subscribed", 12, refused=(10, Reason.COMPLIANCE)),
        ),
        rows="ok in-agreement",
    ),
    case(
        "refused, and then removed: nothing to do",
        person(
            contact("Betty", "betty@", removed=12),
            member("betty@", "unsubscribed", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        rows="ok",
    ),
    case(
        "refused before, in now, and removed: unsubscribed",
        person(
            contact("Betty", "betty@", removed=14),
            member("betty@", "subscribed", 12, refused=(10, Reason.COMPLIANCE)),
        ),
        mailchimp="unsubscribe betty@",
        rows="live removed-in-civicrm",
    ),
]

INTERESTS = [
    case(
        "interest chosen at Mailchimp later than the group says: Added",
        person(
            contact("Wilma", "wilma@", added=8, no_volunteer=9),
            member("wilma@", "subscribed", 8, volunteer=12),
        ),
        BOTH_WAYS,
        civicrm="Wilma Added Volunteers",
        rows="ok",
    ),
    case(
        "interest dropped at Mailchimp later than the group says: Removed",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed Volunteers",
        rows="ok",
    ),
    case(
        "added to the interest's group later: the interest is set",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=12),
            member("wilma@", "subscribed", 8, no_volunteer=9),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live interest-changed",
    ),
    case(
        "removed from the interest's group later: the interest is taken away",
        person(
            contact("Wilma", "wilma@", added=8, no_volunteer=12),
            member("wilma@", "subscribed", 8, volunteer=9),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ not volunteering",
        rows="live",
    ),
    case(
        "interest and group at the same second: CiviCRM is right",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=10),
            member("wilma@", "subscribed", 8, no_volunteer=10),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "never in the interest's group: Mailchimp's word counts",
        person(contact("Wilma", "wilma@", added=8), member("wilma@", "subscribed", 8, volunteer=9)),
        BOTH_WAYS,
        civicrm="Wilma Added Volunteers",
        rows="ok",
    ),
    case(
        "in the interest's group without history is older than anything Mailchimp says",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=0),
            member("wilma@", "subscribed", 8, no_volunteer=1),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed Volunteers",
        rows="ok",
    ),
    case(
        "an interest that the member does not show yet is set",
        person(contact("Wilma", "wilma@", added=8, volunteer=9), member("wilma@", "subscribed", 8)),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "an interest that the member does not show yet need not be taken away",
        person(
            contact("Wilma", "wilma@", added=8, no_volunteer=9), member("wilma@", "subscribed", 8)
        ),
        BOTH_WAYS,
        rows="ok in-agreement",
    ),
    case(
        "a pending member has interests, too",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "pending", 8, no_volunteer=8),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "interests only while the person is in: out, so nothing is pushed",
        person(
            contact("Wilma", "wilma@", removed=12, volunteer=12),
            member("wilma@", "unsubscribed", 10, no_volunteer=8),
        ),
        BOTH_WAYS,
        rows="ok",
    ),
    case(
        "interests only while the person is in: out, so nothing is pulled",
        person(
            contact("Wilma", "wilma@", removed=12, no_volunteer=8),
            member("wilma@", "unsubscribed", 10, volunteer=12),
        ),
        BOTH_WAYS,
        rows="ok",
    ),
    case(
        "who leaves keeps the places in the interests' groups",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "unsubscribed", 12, volunteer=9),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "behind a closed gate no interest is pushed",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9, is_opt_out=True, closed=7),
            alone("Wilma"),
        ),
        BOTH_WAYS,
        rows="fail opt-out",
    ),
    case(
        "who is subscribed gets the interests in the same operation",
        person(contact("Wilma", "wilma@", added=10, volunteer=10)),
        BOTH_WAYS,
        mailchimp="add wilma@ volunteering",
        rows="live added-in-civicrm",
    ),
    case(
        "who is subscribed again gets what changed meanwhile in the same operation",
        person(
            contact("Wilma", "wilma@", added=10, no_volunteer=10),
            member("wilma@", "unsubscribed", 9, volunteer=8),
        ),
        BOTH_WAYS,
        mailchimp="subscribe wilma@ not volunteering",
        rows="live added-in-civicrm",
    ),
    case(
        "of two addresses, the interest is set for both if one has it",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "subscribed", 8, volunteer=9),
            member("rubble@", "subscribed", 8, of="Barney", no_volunteer=12),
        ),
        BOTH_WAYS,
        civicrm="Barney Added Volunteers",
        mailchimp="rubble@ volunteering",
        rows="ok; live",
    ),
    case(
        "push-only: what Mailchimp says is put right, and CiviCRM never changed",
        person(
            contact("Wilma", "wilma@", added=8), member("wilma@", "subscribed", 8, volunteer=12)
        ),
        PUSH_ONLY,
        mailchimp="wilma@ not volunteering",
        rows="live",
    ),
    case(
        "push-only: dropped at Mailchimp is set again",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        PUSH_ONLY,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "push-only: a smart group has no history, only contacts",
        person(
            contact("Wilma", "wilma@", added=8, is_volunteer=True),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        PUSH_ONLY,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "push-only: not even trust in Mailchimp changes CiviCRM",
        person(
            contact("Wilma", "wilma@", added=8), member("wilma@", "subscribed", 8, volunteer=12)
        ),
        replace(PUSH_ONLY, trust={VOLUNTEERING: Side.MAILCHIMP}),
        mailchimp="wilma@ not volunteering",
        rows="live",
    ),
    case(
        "trust in CiviCRM for one interest",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        replace(BOTH_WAYS, trust={VOLUNTEERING: Side.CIVICRM}),
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "trust in Mailchimp for one interest",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=12),
            member("wilma@", "subscribed", 8, no_volunteer=9),
        ),
        replace(BOTH_WAYS, trust={VOLUNTEERING: Side.MAILCHIMP}),
        civicrm="Wilma Removed Volunteers",
        rows="ok",
    ),
    case(
        "trust for the subscription says nothing about interests",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=12),
            member("wilma@", "subscribed", 8, no_volunteer=9),
        ),
        replace(BOTH_WAYS, trust={SUBSCRIPTION: Side.MAILCHIMP}),
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
]

TRUST = [
    case(
        "trust in Mailchimp outdoes a later removal",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9)),
        TRUST_MAILCHIMP,
        civicrm="Wilma Added",
        rows="ok trust-mailchimp",
    ),
    case(
        "trust in Mailchimp outdoes a later adding",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "unsubscribed", 9)),
        TRUST_MAILCHIMP,
        civicrm="Wilma Removed",
        rows="ok trust-mailchimp",
    ),
    case(
        "trust in CiviCRM outdoes a later unsubscribe",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "unsubscribed", 12)),
        TRUST_CIVICRM,
        mailchimp="subscribe wilma@",
        rows="live trust-civicrm",
    ),
    case(
        "trust in CiviCRM outdoes a later subscribe",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 12)),
        TRUST_CIVICRM,
        mailchimp="unsubscribe wilma@",
        rows="live trust-civicrm",
    ),
    case(
        "trust in Mailchimp never removes people of whom Mailchimp has never heard",
        person(contact("Wilma", "wilma@", added=10)),
        TRUST_MAILCHIMP,
        mailchimp="add wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "trust in CiviCRM never unsubscribes people who were never in the group",
        person(contact("Wilma", "wilma@"), member("wilma@", "subscribed", 9)),
        TRUST_CIVICRM,
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "trust in Mailchimp opens no gate",
        person(
            contact("Wilma", "wilma@", removed=10, is_opt_out=True, closed=12),
            member("wilma@", "subscribed", 9),
        ),
        TRUST_MAILCHIMP,
        civicrm="Wilma Added",
        mailchimp="unsubscribe wilma@ for the gate",
        rows="live opt-out",
    ),
    case(
        "trust in CiviCRM is no reason to try again what was refused",
        person(
            contact("Wilma", "wilma@", added=10),
            member("wilma@", "unsubscribed", 12, refused=(10, Reason.COMPLIANCE)),
        ),
        TRUST_CIVICRM,
        rows="fail compliance-state",
    ),
    case(
        "trust in CiviCRM unsubscribes nobody who may be anybody",
        person(member("dino@", "subscribed", 9), rivals=(3, 4)),
        replace(SKIPPING, trust=TRUST_CIVICRM.trust),
        rows="fail ambiguous-contact",
    ),
]

SEVERAL = [
    case(
        "two addresses, one leaves: nothing, and the refusal is told",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "subscribed", 8),
            member("rubble@", "unsubscribed", 12, of="Barney"),
        ),
        rows="ok in-agreement; fail other-address-subscribed",
    ),
    case(
        "two addresses, the other leaves too: Removed",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "unsubscribed", 13),
            member("rubble@", "unsubscribed", 12, of="Barney"),
        ),
        civicrm="Barney Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "two addresses, one cleaned: nothing",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "subscribed", 8),
            member("rubble@", "cleaned", 12, of="Barney"),
        ),
        rows="ok in-agreement; fail other-address-subscribed",
    ),
    case(
        "two addresses in, removed in CiviCRM: both are unsubscribed",
        person(
            contact("Barney", "barney@", "rubble@", removed=12),
            member("barney@", "subscribed", 8),
            member("rubble@", "pending", 9, of="Barney"),
        ),
        mailchimp="unsubscribe barney@, unsubscribe rubble@",
        rows="live removed-in-civicrm",
    ),
    case(
        "two addresses, opted out: both are unsubscribed",
        person(
            contact("Barney", "barney@", "rubble@", added=8, is_opt_out=True, closed=10),
            member("barney@", "subscribed", 8),
            member("rubble@", "subscribed", 9, of="Barney"),
        ),
        mailchimp="unsubscribe barney@ for the gate, unsubscribe rubble@ for the gate",
        rows="live opt-out",
    ),
    case(
        "an address that left long before staff added her is no refusal",
        person(
            contact("Barney", "barney@", "rubble@", added=10),
            member("barney@", "subscribed", 11),
            member("rubble@", "unsubscribed", 9, of="Barney"),
        ),
        rows="ok in-agreement",
    ),
    case(
        "a family sharing one address leaves: all of them are Removed",
        person(
            contact("Fred", "home@", added=8),
            contact("Wilma", "home@", added=9),
            member("home@", "unsubscribed", 12, of="Fred"),
        ),
        civicrm="Fred Removed, Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "one of a family is removed, the other stays: nothing",
        person(
            contact("Fred", "home@", removed=12),
            contact("Wilma", "home@", added=9),
            member("home@", "subscribed", 8, of="Fred"),
        ),
        rows="ok in-agreement",
    ),
    case(
        "the whole family is removed: unsubscribed",
        person(
            contact("Fred", "home@", removed=12),
            contact("Wilma", "home@", removed=11),
            member("home@", "subscribed", 8, of="Fred"),
        ),
        mailchimp="unsubscribe home@",
        rows="live removed-in-civicrm",
    ),
    case(
        "a family's address signs up again: only the linked contact is Added",
        person(
            contact("Fred", "home@", removed=8),
            contact("Wilma", "home@", removed=8),
            member("home@", "subscribed", 12, of="Wilma"),
        ),
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "a family without a member is subscribed once",
        person(
            contact("Fred", "home@", added=8),
            contact("Wilma", "home@", added=9),
            member("home@", "unsubscribed", 7, of="Fred"),
        ),
        mailchimp="subscribe home@",
        rows="live added-in-civicrm; ok",
    ),
]

NOBODY_IN_CIVICRM = [
    case(
        "subscribed and owned by nobody: a new contact, then the group",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"))),
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "pending and owned by nobody: a new contact",
        person(member("dino@", "pending", 9, names=("Dino", "Saur"))),
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "a new contact joins the groups of the interests",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), volunteer=9)),
        BOTH_WAYS,
        civicrm="create Dino Saur dino@ in 111 and 222",
        rows="ok new-contact",
    ),
    case(
        "a new contact does not join the group of an interest not chosen",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), no_volunteer=9)),
        BOTH_WAYS,
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "a new contact does not join the group of a push-only interest",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), volunteer=9)),
        PUSH_ONLY,
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    *(
        case(
            f"{status} and owned by nobody: no contact",
            person(member("dino@", status, 9)),
            rows="ok unknown-and-not-subscribed",
        )
        for status in ("unsubscribed", "cleaned", "archived", "transactional", "vanished")
    ),
    case(
        "the contact was deleted, setting recreate: a new contact",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), lost=True)),
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "the contact was deleted, setting unsubscribe: unsubscribed",
        person(member("dino@", "subscribed", 9, lost=True)),
        UNSUBSCRIBE_DELETED,
        mailchimp="unsubscribe dino@",
        rows="live contact-deleted",
    ),
    case(
        "the contact was deleted, setting unsubscribe, removal by archiving: archived",
        person(member("dino@", "subscribed", 9, lost=True)),
        replace(UNSUBSCRIBE_DELETED, removes_by_archiving=True),
        mailchimp="archive dino@",
        rows="live contact-deleted",
    ),
    case(
        "the contact was deleted, setting hold: left alone",
        person(member("dino@", "subscribed", 9, lost=True)),
        HOLD_DELETED,
        rows="ok contact-deleted",
    ),
    case(
        "never had a contact, setting unsubscribe: a new contact all the same",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"))),
        UNSUBSCRIBE_DELETED,
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "the contact was deleted and the member left: nothing, whatever the setting",
        person(member("dino@", "unsubscribed", 9, lost=True)),
        UNSUBSCRIBE_DELETED,
        rows="ok",
    ),
    case(
        "Titanics: several contacts own the address: nobody is created or changed",
        person(member("dino@", "subscribed", 9), rivals=(3, 4)),
        SKIPPING,
        rows="fail ambiguous-contact",
    ),
    case(
        "Titanics: several contacts own an address that left: nobody is changed",
        person(member("dino@", "unsubscribed", 9), rivals=(3, 4)),
        SKIPPING,
        rows="fail ambiguous-contact",
    ),
    case(
        "Titanics: several contacts own the address of a deleted one: nobody is unsubscribed",
        person(member("dino@", "subscribed", 9, lost=True), rivals=(3, 4)),
        replace(SKIPPING, deleted_contacts="unsubscribe"),
        rows="fail ambiguous-contact",
    ),
]

TABLE = [
    *THE_LATER_WORD,
    *REMOVING,
    *THE_MAIL_GATE,
    *WHOM_TO_SUBSCRIBE,
    *ADDRESSES_THAT_CHANGE,
    *REFUSED_BEFORE,
    *INTERESTS,
    *TRUST,
    *SEVERAL,
    *NOBODY_IN_CIVICRM,
]


@pytest.mark.parametrize(("someone", "policy", "civicrm", "mailchimp", "rows"), TABLE)
def test_decision(someone: Person, policy: Policy, civicrm: str, mailchimp: str, rows: str):
    decision = decide(someone, policy)
    assert tell_civicrm(decision) == listed(civicrm)
    assert tell_mailchimp(decision) == listed(mailchimp)
    expected = [part.split() for part in rows.split(";")]
    if len(expected) == 1:
        expected *= len(someone.rows)
    told = {verdict.row_id: verdict for verdict in decision.verdicts}
    for row, (status, *reason) in zip(someone.rows, expected, strict=True):
        assert told[row.row_id].sync_status in status.split("|")
        assert not reason or told[row.row_id].reason == reason[0]


@pytest.mark.parametrize(("someone", "policy", "civicrm", "mailchimp", "rows"), TABLE)
def test_after_the_decision_there_is_nothing_left_to_decide(
    someone: Person, policy: Policy, civicrm: str, mailchimp: str, rows: str
):
    assert decide(settle(someone, policy), policy).is_empty


def test_no_two_cases_have_the_same_name():
    names = [param.id for param in TABLE]
    assert len(set(names)) == len(names)


# --- details of single decisions ------------------------------------------------------------------


def test_what_is_written_carries_the_time_of_the_human_who_caused_it():
    wilma = person(
        contact("Wilma", "wilma@", added=10, volunteer=12),
        member("wilma@", "unsubscribed", 9, no_volunteer=8),
    )
    (planned,) = decide(wilma, BOTH_WAYS).changes
    assert planned.caused_at == {"status": at(10), f"interest-{VOLUNTEERING}": at(12)}


def test_an_operation_without_a_status_to_change_carries_none():
    wilma = person(
        contact("Wilma", "wilma@", added=10, volunteer=12),
        member("wilma@", "subscribed", 9, no_volunteer=8),
    )
    (planned,) = decide(wilma, BOTH_WAYS).changes
    assert planned.change.status is None
    assert set(planned.caused_at) == {f"interest-{VOLUNTEERING}"}


@pytest.mark.parametrize(
    ("status", "is_inferred"),
    [("unsubscribed", False), ("archived", True), ("vanished", True)],
)
def test_a_removal_that_nobody_explicitly_asked_for_is_inferred(status: str, is_inferred: bool):
    wilma = person(contact("Wilma", "wilma@", added=10), member("wilma@", status, 12))
    (write,) = decide(wilma, PLAIN).group_writes
    assert (write.status, write.is_inferred) == (GroupStatus.REMOVED, is_inferred)


def test_a_member_is_changed_under_the_id_that_mailchimp_gave():
    wilma = person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9))
    (planned,) = decide(wilma, PLAIN).changes
    assert planned.change.member_id == "id of wilma@example.org"


def test_a_contact_without_a_row_gets_one():
    wilma = person(contact("Wilma", "wilma@", added=10))
    someone = replace(wilma, rows=(member("gone@", "cleaned", 3),))
    (planned,) = decide(someone, PLAIN).changes
    assert (planned.row_id, planned.contact_id) == (None, IDS["Wilma"])


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("member_hour", [9, 11])
@pytest.mark.parametrize("status", ["subscribed", "unsubscribed"])
def test_what_trust_has_settled_is_not_undone_by_the_next_run_without_it(
    side: Side, member_hour: int, status: str
):
    other = {"removed": 10} if status == "subscribed" else {"added": 10}
    wilma = person(contact("Wilma", "wilma@", **other), member("wilma@", status, member_hour))
    trusting = replace(PLAIN, trust={SUBSCRIPTION: side})
    settled = apply(wilma, decide(wilma, trusting), trusting)
    assert decide(settled, PLAIN).is_empty


def test_every_reason_has_a_sentence_of_its_own():
    assert set(REASONS) == set(Reason)
    assert len(set(REASONS.values())) == len(REASONS)
    for sentence in REASONS.values():
        assert len(sentence.split()) >= 3
        assert not sentence.endswith(".")


# --- what the world looks like afterwards ---------------------------------------------------------


def apply(someone: Person, decision: Decision, policy: Policy) -> Person:
    """The person once a decision was carried out at both ends: what is there, and who said it.

    What we write says nothing. In the cache it carries the time of the human who caused it.
    """
    contacts = {c.contact_id: c for c in someone.contacts}
    for write in decision.group_writes:
        view = contacts[write.contact_id]
        place = replace(view.place(write.group_id), is_added=write.status is GroupStatus.ADDED)
        places = {**view.places, write.group_id: place}
        contacts[write.contact_id] = replace(view, places=places)
    for word in decision.words:
        view = contacts[word.contact_id]
        place = replace(view.place(word.group_id), said=word.statement)
        contacts[word.contact_id] = replace(view, places={**view.places, word.group_id: place})
    for moved in decision.email_writes:
        view = contacts[moved.contact_id]
        email = Email(900 + len(view.emails), view.contact_id, moved.email, is_bulkmail=True)
        contacts[view.contact_id] = replace(view, emails=(*view.emails, email))
    rows = {row.row_id: replace(row, moved_from=None) for row in someone.rows}
    for planned in decision.changes:
        row_id = planned.row_id or max(rows, default=0) + 1
        row = rows.get(row_id) or RowView(row_id, contact_id=planned.contact_id)
        rows[row_id] = replace(row, member=_apply_change(row, planned, policy))
    new = decision.new_contact
    if new is not None:
        contacts[99] = ContactView(
            Contact(99, new.first_name, new.last_name),
            (Email(990, 99, new.email, is_primary=True),),
            {group_id: Place(is_added=True) for group_id in new.group_ids},
        )
        rows[new.row_id] = replace(rows[new.row_id], contact_id=99, lost_contact=False)
    return Person(tuple(rows.values()), tuple(contacts.values()), someone.rivals)


def settle(someone: Person, policy: Policy, runs: int = 3) -> Person:
    """The person after a few runs: a new contact, or a moved address, may take a second one."""
    for _ in range(runs):
        decision = decide(someone, policy)
        if decision.is_empty:
            break
        someone = apply(someone, decision, policy)
    return someone


def _apply_change(row: RowView, planned: PlannedChange, policy: Policy) -> MemberView:
    change, caused_at = planned.change, planned.caused_at
    status = MemberStatus.ARCHIVED if change.is_archiving else change.status
    view = row.member
    if view is None or view.status is None:  # created: Mailchimp shows all its interests
        assert status is not None
        nothing = Statement(value=False, at=caused_at["status"])
        view = MemberView(
            row_id=row.row_id,
            email=change.email,
            member_id="new",
            status=status,
            subscription=Statement(value=status.is_in, at=caused_at["status"]),
            interests=dict.fromkeys(policy.interests, nothing),
        )
    elif status is not None:
        said = Statement(value=status.is_in, at=caused_at["status"])
        said = view.subscription if planned.is_gate else said
        view = replace(view, status=status, subscription=said)
    view = replace(view, email=change.new_email or view.email)
    interests = {
        key: Statement(value=value, at=caused_at[f"interest-{key}"])
        for key, value in change.interests.items()
    }
    return replace(view, interests={**view.interests, **interests})


# --- laws, for anybody ----------------------------------------------------------------------------

law = settings(derandomize=True, max_examples=200, deadline=None)
hours = st.integers(0, 12)
maybe = st.none() | hours
POOL = ("fred@", "wilma@", "home@", "rocks@")
STATUSES = (*(status.value for status in MemberStatus), "vanished")


@st.composite
def contact_views(draw: st.DrawFn, name: str) -> ContactView:
    said = draw(maybe)
    is_added = draw(st.booleans())
    says_in = said is not None and draw(st.booleans())
    addresses = draw(st.lists(st.sampled_from(POOL), unique=True, max_size=3))
    marks = st.sampled_from(("", " primary", " bulk", " held", " bulk held"))
    volunteer = draw(maybe)
    return contact(
        name,
        *(address + draw(marks) for address in addresses),
        added=said if says_in else None,
        removed=None if says_in else said,
        is_added=is_added,
        volunteer=volunteer,
        no_volunteer=draw(maybe) if volunteer is None else None,
        is_volunteer=draw(st.booleans()),
        closed=draw(maybe),
        do_not_email=draw(st.sampled_from((False, False, False, True))),
        is_opt_out=draw(st.sampled_from((False, False, True))),
        is_deceased=draw(st.sampled_from((False, False, False, True))),
    )


@st.composite
def member_rows(draw: st.DrawFn, address: str, owners: tuple[str, ...]) -> RowView:
    status = draw(st.sampled_from(STATUSES))
    can_be_gated = status in ("unsubscribed", "archived")
    refused = draw(maybe)
    volunteer = draw(maybe)
    return member(
        address,
        status,
        draw(hours),
        of=draw(st.sampled_from(owners)) if owners else "Nobody",
        gated=can_be_gated and draw(st.booleans()),
        volunteer=volunteer,
        no_volunteer=draw(maybe) if volunteer is None else None,
        refused=None if refused is None else (refused, Reason.FORGOTTEN),
        reconfirmed=draw(maybe),
        lost=not owners and draw(st.booleans()),
    )


@st.composite
def people(draw: st.DrawFn) -> Person:
    """Anybody the cache may put together: without a contact there is one member, no more."""
    names = draw(st.sampled_from(((), ("Wilma",), ("Wilma",), ("Fred", "Wilma"))))
    most = 3 if names else 1
    addresses = draw(
        st.lists(st.sampled_from(POOL), unique=True, min_size=len(names) != 1, max_size=most)
    )
    without = [alone(name) for name in names] if not addresses else []
    return person(
        *(draw(contact_views(name)) for name in names),
        *(draw(member_rows(address, names)) for address in addresses),
        *without,
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    interest = draw(st.none() | st.booleans())
    sides = st.sampled_from((None, None, *Side))
    trust = {SUBSCRIPTION: draw(sides), VOLUNTEERING: draw(sides)}
    return replace(
        PLAIN,
        interests={} if interest is None else {VOLUNTEERING: InterestPolicy(VOLUNTEERS, interest)},
        trust={key: side for key, side in trust.items() if side is not None},
        removes_by_archiving=draw(st.booleans()),
        may_reconfirm=draw(st.booleans()),
        pushes_email_changes=draw(st.booleans()),
        deleted_contacts=draw(st.sampled_from(("recreate", "unsubscribe", "hold"))),
    )


def agreed_in(someone: Person, policy: Policy) -> bool:
    """What both sides agree upon, told by the smaller rules."""
    said = agree(
        agree_within(m.subscription for m in someone.members),
        agree_within(c.place(GROUP).said for c in someone.contacts),
        policy.trust.get(SUBSCRIPTION),
    )
    return said is not None and said.value


def may_be_mailed(view: ContactView) -> bool:
    one = view.contact
    return not (one.is_deceased or one.is_opt_out or one.do_not_email)


def usable_addresses(views: Iterable[ContactView]) -> set[str]:
    return {email_key(e.email) for view in views for e in view.emails if not e.on_hold}


def members_by_address(someone: Person) -> dict[str, MemberView]:
    return {email_key(m.email): m for m in someone.members}


def essence(decision: Decision) -> tuple[object, ...]:
    """A decision without regard to the order of its parts."""
    return (
        {verdict.row_id: verdict for verdict in decision.verdicts},
        {(w.contact_id, w.group_id): w for w in decision.group_writes},
        {planned.change.email: planned for planned in decision.changes},
        decision.new_contact,
    )


@law
@given(people(), policies())
def test_applying_a_decision_leaves_nothing_to_decide(someone: Person, policy: Policy):
    assert decide(settle(someone, policy), policy).is_empty


@law
@given(people(), policies(), st.randoms(use_true_random=False))
def test_the_order_of_rows_contacts_and_addresses_does_not_matter(someone, policy, random):
    def shuffled(items):
        return tuple(random.sample(items, len(items)))

    other = Person(
        shuffled(someone.rows),
        shuffled([replace(c, emails=shuffled(c.emails)) for c in someone.contacts]),
        someone.rivals,
    )
    assert essence(decide(other, policy)) == essence(decide(someone, policy))


@law
@given(people(), policies())
def test_every_row_gets_one_verdict_and_at_most_one_change(someone: Person, policy: Policy):
    decision = decide(someone, policy)
    assert sorted(v.row_id for v in decision.verdicts) == sorted(r.row_id for r in someone.rows)
    changed = [planned.row_id for planned in decision.changes]
    assert len(set(changed)) == len(changed)
    live = {v.row_id for v in decision.verdicts if v.sync_status is SyncStatus.LIVE}
    assert live == set(changed) - {None}


@law
@given(people(), policies())
def test_no_place_is_written_twice_or_as_it_is(someone: Person, policy: Policy):
    writes = decide(someone, policy).group_writes
    assert len({(w.contact_id, w.group_id) for w in writes}) == len(writes)
    by_id = {c.contact_id: c for c in someone.contacts}
    for write in writes:
        was_added = by_id[write.contact_id].place(write.group_id).is_added
        assert was_added is not (write.status is GroupStatus.ADDED)


@law
@given(people(), policies())
def test_no_operation_carries_a_status_that_the_member_has(someone: Person, policy: Policy):
    known = members_by_address(someone)
    for planned in decide(someone, policy).changes:
        change = planned.change
        before = known.get(email_key(change.email))
        assert change.status is None or before is None or before.status is not change.status
        assert change.status or change.is_archiving or change.interests or change.new_email
        assert not change.is_archiving or (change.status is None and not change.interests)


@law
@given(people(), policies())
def test_no_run_takes_back_what_the_run_before_did(someone: Person, policy: Policy):
    statuses: dict[int, list[object]] = {}
    places: dict[tuple[int, int], list[object]] = {}
    for _ in range(3):
        decision = decide(someone, policy)
        for planned in decision.changes:
            if planned.change.status or planned.change.is_archiving:
                statuses.setdefault(planned.row_id or 0, []).append(planned.change.status)
        for write in decision.group_writes:
            places.setdefault((write.contact_id, write.group_id), []).append(write.status)
        someone = apply(someone, decision, policy)
    assert all(len(sent) == 1 for sent in (*statuses.values(), *places.values()))


@law
@given(people(), policies())
def test_nobody_is_asked_to_confirm_without_a_refusal(someone: Person, policy: Policy):
    changes = decide(someone, policy).changes
    assert MemberStatus.PENDING not in {planned.change.status for planned in changes}


@law
@given(people(), policies())
def test_only_a_usable_address_of_someone_who_may_be_mailed_is_subscribed(
    someone: Person, policy: Policy
):
    usable = usable_addresses(c for c in someone.contacts if may_be_mailed(c))
    known = members_by_address(someone)
    for planned in decide(someone, policy).changes:
        if planned.change.status is MemberStatus.SUBSCRIBED:
            key = email_key(planned.change.email)
            assert key in usable
            assert key not in known or known[key].status is not MemberStatus.CLEANED


@law
@given(people(), policies())
def test_nobody_is_removed_who_is_agreed_to_be_in_nor_added_who_is_out(
    someone: Person, policy: Policy
):
    decision = decide(someone, policy)
    written = {w.status for w in decision.group_writes if w.group_id == GROUP}
    sent = {planned.change.status for planned in decision.changes}
    if agreed_in(someone, policy):
        assert GroupStatus.REMOVED not in written
    elif someone.contacts:
        assert GroupStatus.ADDED not in written
        assert MemberStatus.SUBSCRIBED not in sent


@law
@given(people(), policies())
def test_nobody_is_unsubscribed_but_who_is_out_or_may_not_be_mailed(
    someone: Person, policy: Policy
):
    for planned in decide(someone, policy).changes:
        leaves = planned.change.is_archiving or (planned.change.status is MemberStatus.UNSUBSCRIBED)
        if leaves and someone.contacts:
            assert planned.is_gate is agreed_in(someone, policy)


@law
@given(people(), policies())
def test_who_was_in_is_in_at_one_address_at_most_more_than_before(someone, policy):
    subscribed = [
        planned
        for planned in decide(someone, policy).changes
        if planned.change.status is MemberStatus.SUBSCRIBED
    ]
    assert len(subscribed) <= 1
    assert not subscribed or not any(m.is_in for m in someone.members)


@law
@given(people(), policies())
def test_the_group_of_a_push_only_interest_is_never_written(someone: Person, policy: Policy):
    decision = decide(someone, policy)
    interest = policy.interests.get(VOLUNTEERING)
    if interest is None or interest.is_push_only:
        assert VOLUNTEERS not in {write.group_id for write in decision.group_writes}
        new = decision.new_contact
        assert new is None or VOLUNTEERS not in new.group_ids


@law
@given(people(), policies())
def test_a_contact_is_made_only_for_who_is_in_and_has_none(someone: Person, policy: Policy):
    new = decide(someone, policy).new_contact
    if new is not None:
        assert not someone.contacts
        assert any(m.is_in for m in someone.members if m.row_id == new.row_id)


@law
@given(people(), policies())
def test_titanics_are_left_alone(someone: Person, policy: Policy):
    decision = decide(replace(someone, contacts=(), rivals=(3, 4)), policy)
    assert decision.is_empty
    assert {v.reason for v in decision.verdicts} <= {Reason.AMBIGUOUS}


@law
@given(people(), policies(), st.sampled_from(Side))
def test_what_a_run_settled_under_trust_the_next_run_does_not_undo(someone, policy, side):
    policy = replace(policy, trust={SUBSCRIPTION: side, VOLUNTEERING: side})
    settled = settle(someone, policy)
    verdicts = decide(settled, policy).verdicts
    if SyncStatus.FAIL not in {verdict.sync_status for verdict in verdicts}:
        assert decide(settled, replace(policy, trust={})).is_empty
