"""People in few words, for the tests of the pure room: contacts, members, decisions, a world after.

Times are hours of one day. `person(...)` puts contacts and rows together as the cache would, and
`decide_all` decides about each of those who are judged and puts the decisions together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mcsync.decision import (
    NOWHERE,
    Agreed,
    ContactView,
    Decision,
    InterestPolicy,
    MemberView,
    NameWrite,
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
    make_topic,
)
from mcsync.model import (
    LONG_AGO,
    SUBSCRIPTION,
    Contact,
    Email,
    GroupStatus,
    MemberStatus,
    Side,
    email_key,
)
from mcsync.name_tags import read_names
from mcsync.reconcile.enforce import decide
from mcsync.reconcile.people import split
from mcsync.reconcile.refused_before import SUBSCRIBE

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
HOLD_DELETED = replace(PLAIN, deleted_contacts="hold")
UNSUBSCRIBE_DELETED = replace(PLAIN, deleted_contacts="unsubscribe")
THIS_RUN = 20  # the hour in which a side is trusted, later than anything that was said


def trusting(side: Side, *things: str, policy: Policy = PLAIN) -> Policy:
    """The policy of a run that trusts this side, at the hour of this run."""
    trust = dict.fromkeys(things or (SUBSCRIPTION,), side)
    return replace(policy, trust=trust, trusted_at=at(THIS_RUN))


# --- people, in few words -------------------------------------------------------------------------


def at(hour: int) -> datetime:
    """An hour of the day on which everything happens; 0 is long before anything."""
    return LONG_AGO if hour == 0 else datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)


TRUST_MAILCHIMP = trusting(Side.MAILCHIMP)
TRUST_CIVICRM = trusting(Side.CIVICRM)


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
    is_known = added is not None or removed is not None or is_added is not None
    if added is not None:
        return Place(is_added is not False, Statement(value=True, at=at(added)), is_known)
    if removed is not None:
        return Place(is_added is True, Statement(value=False, at=at(removed)), is_known)
    return Place(is_added is True, None, is_known)


def member(
    address: str,
    status: str,
    hour: int | None,
    *,
    of: str | None = None,
    gated: bool = False,
    says: str | None = None,
    stranger: bool = False,
    volunteer: int | None = None,
    no_volunteer: int | None = None,
    has_volunteer: bool | None = None,
    names: tuple[str, str] = ("", ""),
    refused: tuple[int, Reason] | None = None,
    paused: bool = False,
    reconfirmed: int | None = None,
    lost: int | None = None,
    shared: bool = False,
    moved_from: str | None = None,
    had_address: bool = False,
    under_way: bool = False,
    agreed: Mapping[str, Agreed] | None = None,
) -> RowView:
    """A row with a member whose status was last said at `hour`; `gated`: we wrote it for the gate.

    Linked to the contact `of`; without it, to the one named like the address, if there is one.
    Status `left` is unsubscribed for a reason of their own, `unsubscribed` by an administrator or
    the API. `says` is the word (in or out) that an operation of ours has overwritten, and
    `has_volunteer` likewise what the member has. `stranger`: met so. `had_address`: the contact
    was seen with this address before.
    """
    has_left = status == "left"
    found = None if status == "vanished" else MemberStatus("unsubscribed" if has_left else status)
    is_in = gated or says == "in" or (says is None and found is not None and found.is_in)
    view = MemberView(
        row_id=0,
        email=full(address),
        member_id=None if found is None else f"id of {full(address).lower()}",
        status=found,
        subscription=None if hour is None else Statement(value=is_in, at=at(hour)),
        interests=_interests(volunteer, no_volunteer),
        has={} if has_volunteer is None else {VOLUNTEERING: has_volunteer},
        has_left=has_left,
        is_stranger=stranger,
        first_name=names[0],
        last_name=names[1],
    )
    name = of or address.partition("@")[0].title()
    row = _refused(RowView(0, member=view), full(address), refused, reconfirmed, paused=paused)
    row = replace(row, contact_id=IDS.get(name), is_shared=shared, is_under_way=under_way)
    row = replace(row, owned_by=row.contact_id if had_address else None, agreed=agreed or {})
    row = replace(row, lost_at=None if lost is None else at(lost))
    return replace(row, moved_from=moved_from and full(moved_from))


def _interests(volunteer: int | None, no_volunteer: int | None) -> dict[str, Statement[bool]]:
    if volunteer is not None:
        return {VOLUNTEERING: Statement(value=True, at=at(volunteer))}
    if no_volunteer is not None:
        return {VOLUNTEERING: Statement(value=False, at=at(no_volunteer))}
    return {}


def alone(
    name: str,
    address: str | None = None,
    *,
    refused: tuple[int, Reason] | None = None,
    paused: bool = False,
    reconfirmed: int | None = None,
    under_way: bool = False,
    agreed: Mapping[str, Agreed] | None = None,
) -> RowView:
    """The row of a contact whom Mailchimp does not know; it was tried with `address`."""
    email = full(address) if address else None
    row = RowView(0, contact_id=IDS[name], email=email, agreed=agreed or {})
    row = replace(row, is_under_way=under_way)
    return _refused(row, email or "", refused, reconfirmed, paused=paused)


def _refused(
    row: RowView,
    email: str,
    refused: tuple[int, Reason] | None,
    reconfirmed: int | None,
    *,
    paused: bool,
) -> RowView:
    if refused is not None:
        times = {SUBSCRIBE: at(refused[0])}
        told = Refused(email_key(email), refused[1], times, is_paused=paused)
        row = replace(row, refusals=(told,))
    if reconfirmed is not None:
        row = replace(row, reconfirmed_at=at(reconfirmed))
    return row


def agreed_before(value: str, hour: int, reason: Reason, thing: str = SUBSCRIPTION) -> dict:
    """What was agreed about the subscription, or about volunteering: `in` or `out`."""
    group_id = GROUP if thing == SUBSCRIPTION else VOLUNTEERS
    return {make_topic(thing, group_id): Agreed(value == "in", at(hour), reason)}


@dataclass(frozen=True)
class People:
    """Contacts and rows that may have to do with each other."""

    rows: tuple[RowView, ...]
    contacts: tuple[ContactView, ...] = ()
    rivals: tuple[int, ...] = ()

    def each(self) -> tuple[Person, ...]:
        """Those who are judged, one by one."""
        rivals = {row.row_id: self.rivals for row in self.rows if row.contact_id is None}
        return tuple(split(self.rows, self.contacts, GROUP, rivals if self.rivals else None))


def person(*parts: ContactView | RowView, rivals: tuple[int, ...] = ()) -> People:
    """Contacts and rows, numbered; who has a place in the group has a row in any case."""
    contacts = tuple(part for part in parts if isinstance(part, ContactView))
    rows = [part for part in parts if isinstance(part, RowView)]
    known = {c.contact_id for c in contacts}
    rows = [row if row.contact_id in known else replace(row, contact_id=None) for row in rows]
    linked = {row.contact_id for row in rows}
    rows += [
        RowView(0, contact_id=c.contact_id)
        for c in contacts
        if GROUP in c.places and c.contact_id not in linked
    ]
    return People(tuple(_number(row, n + 1) for n, row in enumerate(rows)), contacts, rivals)


def _number(row: RowView, row_id: int) -> RowView:
    view = None if row.member is None else replace(row.member, row_id=row_id)
    return replace(row, row_id=row_id, member=view, due=row_id * 10)


def one(people: People) -> Person:
    """The only one among them."""
    (someone,) = people.each()
    return someone


def decide_all(people: People, policy: Policy) -> Decision:
    """The decisions about each of them, put together: one operation an address.

    Where several contacts ask for the same one, it is that of the contact whose row it is, else
    that of the contact with the lowest id.
    """
    verdicts: dict[int, RowVerdict] = {}
    changes: dict[str, tuple[bool, PlannedChange]] = {}
    decisions = [(someone, decide(someone, policy)) for someone in people.each()]
    for someone, decision in decisions:
        verdicts |= {verdict.row_id: verdict for verdict in decision.verdicts}
        own = {row.row_id for row in someone.rows}
        for planned in decision.changes:
            key, is_own = email_key(planned.change.email), planned.row_id in own
            if key not in changes or (is_own and not changes[key][0]):
                changes[key] = (is_own, planned)
    every = [decision for _, decision in decisions]
    together = Decision(
        verdicts=tuple(verdicts.values()),
        group_writes=tuple(w for decision in every for w in decision.group_writes),
        changes=tuple(planned for _, planned in changes.values()),
        new_contact=next((d.new_contact for d in every if d.new_contact is not None), None),
        name_writes=tuple(w for decision in every for w in decision.name_writes),
        email_writes=tuple(w for decision in every for w in decision.email_writes),
    )
    for planned in together.changes:
        together = _mark_sent(together, planned)
    return together


def _mark_sent(decision: Decision, planned: PlannedChange) -> Decision:
    """A row is live while its operation is, whoever asked for it."""
    told = {verdict.row_id: verdict.sync_status for verdict in decision.verdicts}
    if told.get(planned.row_id) in (None, SyncStatus.LIVE, SyncStatus.REDO):
        return decision
    return decision.with_verdict(planned.row_id, SyncStatus.LIVE, planned.reason)


# --- decisions, in few words ----------------------------------------------------------------------


def tell_civicrm(decision: Decision) -> list[str]:
    lines = [
        f"{NAMES[write.contact_id]} {write.status}"
        + (" Volunteers" if write.group_id == VOLUNTEERS else "")
        for write in decision.group_writes
    ]
    lines += [
        f"{NAMES[write.contact_id]} gets {short(write.email)}" for write in decision.email_writes
    ]
    new = decision.new_contact
    if new is not None:
        groups = " and ".join(str(group_id) for group_id in new.group_ids)
        lines.append(f"create {new.first_name} {new.last_name} {short(new.email)} in {groups}")
    return sorted(lines)


def tell_mailchimp(decision: Decision) -> list[str]:
    return sorted(text_of_member_change(planned) for planned in decision.changes)


def text_of_member_change(planned: PlannedChange) -> str:
    change = planned.change
    words = []
    if change.is_archiving:
        words.append("archive")
    elif change.status is MemberStatus.UNSUBSCRIBED:
        words.append("unsubscribe")
    elif change.status is MemberStatus.PENDING:
        words.append("ask")
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


# --- what the world looks like afterwards ---------------------------------------------------------


def apply(people: People, policy: Policy) -> tuple[People, Decision]:
    """The people once what is decided about them was carried out at both ends, and what that was.

    What we write says nothing: in the cache it carries the time of the human who caused it. What
    was agreed is kept on the rows of the contact.
    """
    decision = decide_all(people, policy)
    contacts = {c.contact_id: c for c in people.contacts}
    for placed in decision.group_writes:
        view = contacts[placed.contact_id]
        is_added = placed.status is GroupStatus.ADDED
        place = replace(view.place(placed.group_id), is_added=is_added, is_known=True)
        contacts[placed.contact_id] = replace(view, places={**view.places, placed.group_id: place})
    for moved in decision.email_writes:
        view = contacts[moved.contact_id]
        email = Email(900 + len(view.emails), view.contact_id, moved.email, is_bulkmail=True)
        contacts[view.contact_id] = replace(view, emails=(*view.emails, email))
    for write in decision.name_writes:
        contacts[write.contact_id] = _rename(contacts[write.contact_id], write)
    rows = {row.row_id: replace(row, moved_from=None) for row in people.rows}
    for planned in decision.changes:
        row_id = planned.row_id or max(rows, default=0) + 1
        row = rows.get(row_id) or RowView(row_id, contact_id=planned.contact_id)
        rows[row_id] = _apply_change(row, planned, policy)
    for someone in people.each():
        agreements = decide(someone, policy).agreements
        news = {agreement.topic: agreement.agreed for agreement in agreements}
        for row in someone.rows:
            rows[row.row_id] = replace(rows[row.row_id], agreed={**row.agreed, **news})
    new = decision.new_contact
    if new is not None:
        contacts[99] = ContactView(
            Contact(99, new.first_name, new.last_name),
            (Email(990, 99, new.email, is_primary=True),),
            {group_id: Place(is_added=True, is_known=True) for group_id in new.group_ids},
        )
        rows[new.row_id] = replace(rows[new.row_id], contact_id=99, lost_at=None)
    return People(tuple(rows.values()), tuple(contacts.values()), people.rivals), decision


def settle(people: People, policy: Policy, runs: int = 4) -> People:
    """The people after a few runs: a new contact, or a moved address, may take a second one."""
    for _ in range(runs):
        people, decision = apply(people, policy)
        if decision.is_empty:
            break
    return people


def _rename(view: ContactView, write: NameWrite) -> ContactView:
    now = view.contact
    named = now._replace(
        first_name=now.first_name if write.first_name is None else write.first_name,
        last_name=now.last_name if write.last_name is None else write.last_name,
    )
    at = {"first_name_at": write.first_name_at, "last_name_at": write.last_name_at}
    return replace(view, contact=named, **at)


def _apply_change(row: RowView, planned: PlannedChange, policy: Policy) -> RowView:
    change, caused_at = planned.change, planned.caused_at
    status = MemberStatus.ARCHIVED if change.is_archiving else change.status
    view = row.member
    if view is None or view.status is None:  # created: Mailchimp shows all its interests
        assert status is not None
        nothing = Statement(value=False, at=LONG_AGO)
        view = MemberView(
            row_id=row.row_id,
            email=change.email,
            member_id="new",
            status=status,
            subscription=Statement(value=status.is_in, at=caused_at["status"]),
            interests=dict.fromkeys(policy.interests, nothing),
        )
    elif status is not None:
        word = Statement(value=status.is_in, at=caused_at["status"])
        said = view.subscription if planned.is_gate else _newer(view.subscription, word)
        view = replace(view, status=status, subscription=said, has_left=False, is_stranger=False)
    view = replace(view, email=change.new_email or view.email)
    for key, value in change.interests.items():
        word = Statement(value=value, at=caused_at[f"interest-{key}"])
        said = _newer(view.interests.get(key), word)
        has = {**view.has, key: value}
        view = replace(view, interests={**view.interests, key: said}, has=has)
    view = _rename_member(view, change.merge_fields, caused_at)
    if status is MemberStatus.PENDING:
        row = replace(row, reconfirmed_at=caused_at["status"])
    return replace(row, member=view, email=view.email)


def _rename_member(
    view: MemberView, fields: Mapping[str, str], caused_at: Mapping[str, datetime]
) -> MemberView:
    names = dict(zip(("first_name", "last_name"), read_names(fields), strict=True))
    for name, tag in (("first_name", "FNAME"), ("last_name", "LNAME")):
        if tag in fields or ("NAME" in fields and not {"FNAME", "LNAME"} & fields.keys()):
            view = replace(view, **{name: names[name], f"{name}_at": caused_at.get(name, LONG_AGO)})
    return view


def _newer(said: Statement[bool] | None, ours: Statement[bool]) -> Statement[bool]:
    """A word that is newer than the cause of our operation stands."""
    is_late = said is not None and said.value is not ours.value and said.at > ours.at
    return said if said is not None and is_late else ours
