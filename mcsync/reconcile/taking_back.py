"""Taking back: what a run did to one person, and what of it undo puts back.

Nothing is put back over what somebody has said since, nobody is made to get a mail for it, and
nobody is subscribed who may not be mailed. Whatever is left has a reason, which people are told.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mcsync.decision import (
    ADDRESS,
    BULK,
    NAMES,
    ContactView,
    Decision,
    GroupWrite,
    MemberView,
    NameWrite,
    Person,
    PlannedChange,
    Policy,
    Reason,
    RowVerdict,
    RowView,
    SyncStatus,
    Undone,
    make_group_topic,
    make_member_topic,
)
from mcsync.model import (
    IN,
    LONG_AGO,
    SUBSCRIPTION,
    BulkMove,
    GroupStatus,
    MemberChange,
    MemberStatus,
    Side,
    email_key,
)
from mcsync.name_tags import TAG_OF_NAME, WHOLE_NAME_TAG
from mcsync.reconcile.gate import find_closed_gate
from mcsync.reconcile.left_alone import (
    find_group,
    find_newest_word,
    find_place,
    find_word_times,
    print_of,
)
from mcsync.reconcile.names import join_names


class Left(StrEnum):
    """Why something is not put back; `LEFT` has a sentence for each."""

    SPOKE = "spoke-since"
    CONFIRM = "would-be-mailed"
    BARRED = "may-not-be-mailed"
    UNDER_WAY = "under-way"
    GONE = "erased"
    CREATED = "contact-created"
    ADDED = "address-added"
    KEPT = "cannot-be-put-back"
    BACK = "already-back"
    REFUSED = "refused"


LEFT: Mapping[Left, str] = {  # each may follow "because"
    Left.SPOKE: "it was changed again since, by them, by staff or by a later run",
    Left.CONFIRM: "Mailchimp would mail them to confirm",
    Left.BARRED: "they may not be mailed, or no longer have the address",
    Left.UNDER_WAY: "it was sent and has no result yet; undo goes on with it when it has",
    Left.GONE: "the member or the contact is no longer there",
    Left.CREATED: "the run created the contact, which is not deleted",
    Left.ADDED: "the run added the address to the contact, who keeps it",
    Left.KEPT: "this cannot be put back, or only by hand",
    Left.BACK: "it is already as it was before",
    Left.REFUSED: "Mailchimp refused it",
}


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that a run did: what was there before its first change of it, and after its last.

    As the history has it; `caused_at` is the time of the word that caused it, `at` our own time
    when it was known to be done. `group_id`: in which group a place was changed, None where that
    is not known. `is_queued`: it was never sent, so that only to have it stay so
    is left to do; `is_under_way`: nobody knows yet whether it was done.
    """

    side: Side
    field: str
    before: str | None
    after: str | None
    at: datetime
    caused_at: datetime | None = None
    row_id: int | None = None
    contact_id: int | None = None
    email: str | None = None
    group_id: int | None = None
    is_queued: bool = False
    is_under_way: bool = False


class Taken(NamedTuple):
    """What is done about one person: `back` with what each becomes, `left` with the reasons."""

    decision: Decision
    back: tuple[tuple[Done, str | None], ...]
    left: tuple[tuple[Done, Left], ...]


@dataclass(frozen=True, slots=True)
class Undoing:
    """The run that puts back, and when by our own clock; `is_resumed`: an earlier one was cut.

    `heard_at` is the time of the newest word that the run followed which is undone.
    """

    run: str
    at: datetime
    is_resumed: bool = False
    heard_at: datetime = LONG_AGO


_NAME_FIELDS = tuple(TAG_OF_NAME)


def take_back(person: Person, dones: Sequence[Done], policy: Policy, undoing: Undoing) -> Taken:
    """What is written, and marked, to put back what a run did to one person."""
    work = _Work(person, policy, undoing)
    has_made = any(d.side is Side.CIVICRM and d.field == "contact" for d in dones)
    work.let_in = {done.row_id for done in dones if _lets_in(done)}
    for done in sorted(_add_flags(dones), key=lambda each: each.field != SUBSCRIPTION):
        if has_made and done.side is Side.CIVICRM:
            work.left.append((done, Left.CREATED))
        elif not work.goes_with_member(done):
            work.put_back(done)
    return Taken(work.decide(), tuple(work.back), tuple(work.left))


@dataclass(slots=True)
class _Work:
    """One person while it is found out what is put back."""

    person: Person
    policy: Policy
    undoing: Undoing
    changes: dict[int, PlannedChange] = field(default_factory=dict)
    groups: dict[int, GroupWrite] = field(default_factory=dict)
    bulk_moves: tuple[BulkMove, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    undone: dict[str, Undone] = field(default_factory=dict)
    back: list[tuple[Done, str | None]] = field(default_factory=list)
    left: list[tuple[Done, Left]] = field(default_factory=list)
    let_in: Collection[int | None] = ()

    def goes_with_member(self, done: Done) -> bool:
        """Whether the run let a member in who is out again: what it gave them goes with them."""
        row = self._find_row(done)
        if done.side is not Side.MAILCHIMP or row is None or done.field == SUBSCRIPTION:
            return False
        planned = self.changes.get(row.row_id)
        is_leaving = planned is not None and planned.change.is_leaving
        is_out = is_leaving or row.member is None or not row.member.is_in
        return row.row_id in self.let_in and is_out

    def put_back(self, done: Done) -> None:
        """Plan it, or keep the reason why not."""
        why = self._find_obstacle(done)
        if why is Left.BACK and self.undoing.is_resumed:  # by the one that was cut, most likely
            self._mark(done)
        elif why is None and done.is_queued:
            self._mark(done)
            self.back.append((done, done.before))
            return
        elif why is None:
            why = self._put_member(done) if done.side is Side.MAILCHIMP else self._put_contact(done)
        if why is None:
            self._mark(done)
        else:
            self.left.append((done, why))

    # --- what stands in the way -------------------------------------------------------------------

    def _find_obstacle(self, done: Done) -> Left | None:
        """Why it is not put back, as far as that does not depend on what it is."""
        if done.is_under_way:
            return Left.UNDER_WAY
        if self._find_thing(done) is None or not self.person.rows:
            return Left.KEPT
        if done.side is Side.MAILCHIMP:
            return self._find_obstacle_at_mailchimp(done)
        contact = self.person.contact
        if contact is None or contact.contact_id != done.contact_id:
            return Left.GONE
        if contact.contact.created_at > done.at:  # the id means somebody else now
            return Left.GONE
        if done.field == "email":
            return Left.ADDED if email_key(done.after or "") in contact.keys else Left.SPOKE
        if done.field not in (*_NAME_FIELDS, "bulk_email") and not self._is_of_group(done):
            return Left.KEPT
        return self._compare(done, self._stands_in_civicrm(done, contact), self.person.voices)

    def _is_of_group(self, done: Done) -> bool:
        """Whether it was in the group that stands for the thing now: the config may have changed.

        What a run did in another group says nothing about this one.
        """
        return done.group_id in (None, find_group(self.policy, done.field))

    def _find_obstacle_at_mailchimp(self, done: Done) -> Left | None:
        row = self._find_row(done)
        member = row.member if row is not None else None
        if row is None or (done.contact_id is not None and self.person.contact is None):
            return Left.GONE
        if row.is_under_way:
            return Left.UNDER_WAY
        if done.is_queued:
            members = [] if member is None else [member]
            return Left.SPOKE if self._has_spoken(done, members) else None
        if member is None or member.status is None:
            return Left.GONE
        return self._compare(done, self._stands_at_mailchimp(done, member), [member])

    def _compare(self, done: Done, now: str, members: Sequence[MemberView]) -> Left | None:
        if self._has_spoken(done, members):
            is_back = self.undoing.is_resumed and self._find_thing(done) == NAMES
            return Left.BACK if is_back and now == (done.before or "") else Left.SPOKE
        if now == (done.before or ""):
            return Left.BACK
        return None if now == (done.after or "") else Left.SPOKE

    def _has_spoken(self, done: Done, members: Iterable[MemberView]) -> bool:
        """Whether anybody said something newer than what the run did it for.

        Of an address, and of the history of older versions, that is not known.
        """
        thing = self._find_thing(done)
        if thing in _UNTIMED:
            return False
        since = done.at if done.caused_at is None else done.caused_at
        if thing != NAMES:  # who is in with another address has said so for this one, too
            members = [*members, *self.person.members]
        times = find_word_times(self.person, self.policy, thing, members)
        return any(at > since for at in times) or self._is_needed(done, thing, since)

    def _is_needed(self, done: Done, thing: str, since: datetime) -> bool:
        """Whether somebody who shares the member has said since to be in.

        What was said before the newest word that the run followed, it may have known.
        """
        if thing != SUBSCRIPTION or done.side is not Side.MAILCHIMP or done.before in IN:
            return False
        since = max(since, self.undoing.heard_at)
        said = [
            sharer.contact.place(self.policy.group_id).said
            for sharer in self.person.sharers
            if sharer.contact is not None
        ]
        said += [m.subscription for sharer in self.person.sharers for m in sharer.members]
        return any(word is not None and word.value and word.at > since for word in said)

    def _find_thing(self, done: Done) -> str | None:
        """What it is about, for `left_alone`; None for what undo does not put back."""
        if done.field in _NAME_FIELDS:
            return NAMES
        if done.field in ("email", "bulk_email"):
            return ADDRESS if done.field == "email" else BULK
        is_known = done.field == SUBSCRIPTION or done.field in self.policy.interests
        return done.field if is_known else None

    def _find_row(self, done: Done) -> RowView | None:
        return next((row for row in self.person.rows if row.row_id == done.row_id), None)

    def _stands_at_mailchimp(self, done: Done, member: MemberView) -> str:
        """What is there now, in the words of the history."""
        if done.field == SUBSCRIPTION:
            return "" if member.status is None else member.status.value
        if done.field == "email":
            key = email_key(member.email)
            return next((e for e in (done.after, done.before) if e and email_key(e) == key), key)
        if done.field in _NAME_FIELDS:
            return member.first_name if done.field == "first_name" else member.last_name
        return "yes" if member.has_interest(done.field) else _as_no(done)

    def _stands_in_civicrm(self, done: Done, contact: ContactView) -> str:
        if done.field in _NAME_FIELDS:
            whole = contact.contact
            return whole.first_name if done.field == "first_name" else whole.last_name
        if done.field == "bulk_email":
            return self._find_bulk_mail(done, contact)
        place = contact.place(find_group(self.policy, done.field))
        if place.is_added:
            return GroupStatus.ADDED.value
        if not place.is_known and done.after == GroupStatus.REMOVED:
            return _NOWHERE  # taken out altogether, or never in: the id may mean somebody else
        outs = [each for each in (done.after, done.before) if each != GroupStatus.ADDED.value]
        return outs[0] or "" if outs else ""

    def _find_bulk_mail(self, done: Done, contact: ContactView) -> str:
        """Where the contact's bulk mail goes now, in the words of the history; "" if nowhere."""
        flagged = {email_key(email.email) for email in contact.emails if email.is_bulkmail}
        before, after = email_key(done.before or ""), email_key(done.after or "")
        if after in flagged and flagged <= {before, after}:  # some sites flag several
            return done.after or ""
        if not flagged and before and after and self.undoing.is_resumed:
            return done.after or ""  # it was cut off after half of it
        if not flagged:
            return ""
        return done.before or "" if flagged == {before} else _ELSEWHERE

    # --- at Mailchimp -----------------------------------------------------------------------------

    def _put_member(self, done: Done) -> Left | None:
        row = self._find_row(done)
        if row is None or row.member is None:
            return Left.GONE
        if done.field == SUBSCRIPTION:
            return self._put_status(done, row, row.member)
        if done.field == "email":
            return self._put_address(done, row, row.member)
        return self._put_data(done, row, row.member)

    def _put_status(self, done: Done, row: RowView, member: MemberView) -> Left | None:
        before = done.before
        if before == MemberStatus.SUBSCRIBED:
            why = self._find_bar(member)
            if why is None:
                self._change(row, member, done, status=MemberStatus.SUBSCRIBED)
            return why
        if before == MemberStatus.PENDING:
            return Left.CONFIRM
        if before == MemberStatus.UNSUBSCRIBED:
            self._change(row, member, done, status=MemberStatus.UNSUBSCRIBED)
            return None
        is_archivable = member.status is MemberStatus.SUBSCRIBED
        if before in (None, MemberStatus.ARCHIVED) and is_archivable:
            # Nobody can be made never to have been a member; archived ones are not billed.
            self._change(row, member, done, MemberStatus.ARCHIVED.value, is_archiving=True)
            return None
        return Left.KEPT

    def _find_bar(self, member: MemberView) -> Left | None:
        """Why somebody is not subscribed again, if so."""
        if member.status is MemberStatus.CLEANED or member.has_left:
            return Left.CONFIRM
        contact = self.person.contact
        if contact is None:
            return None
        usable = {email_key(e.email) for e in contact.emails if e.email and not e.on_hold}
        is_usable = email_key(member.email) in usable
        return None if is_usable and find_closed_gate(contact) is None else Left.BARRED

    def _put_address(self, done: Done, row: RowView, member: MemberView) -> Left | None:
        contact = self.person.contact
        held = contact.emails if contact is not None else ()
        key = email_key(done.before or "")
        if not done.before or member.status is not MemberStatus.SUBSCRIBED:
            return Left.KEPT
        if any(email.on_hold and email_key(email.email) == key for email in held):
            return Left.BARRED
        self._change(row, member, done, new_email=done.before)
        return None

    def _put_data(self, done: Done, row: RowView, member: MemberView) -> Left | None:
        planned = self.changes.get(row.row_id)
        status = planned.change.status if planned is not None else None
        if not (member.is_in if status is None else status.is_in):
            return Left.KEPT
        if done.field in self.policy.interests:
            self._change(row, member, done, interests={done.field: done.before == "yes"})
            return None
        tags = self.policy.name_tags
        tag = TAG_OF_NAME[done.field]
        if tag in tags:
            self._change(row, member, done, merge_fields={tag: done.before or ""})
            return None
        if WHOLE_NAME_TAG not in tags or tags & set(TAG_OF_NAME.values()):
            return Left.KEPT
        planned = self.changes.get(row.row_id)
        now = {"first_name": member.first_name, "last_name": member.last_name}
        now |= {
            d.field: d.before or ""
            for d, _ in self.back
            if d.row_id == row.row_id and d.side is Side.MAILCHIMP and d.field in _NAME_FIELDS
        }
        now[done.field] = done.before or ""
        self._change(row, member, done, merge_fields={WHOLE_NAME_TAG: join_names(**_as_names(now))})
        return None

    def _change(
        self,
        row: RowView,
        member: MemberView,
        done: Done,
        becomes: str | None = None,
        *,
        status: MemberStatus | None = None,
        new_email: str | None = None,
        is_archiving: bool = False,
        interests: Mapping[str, bool] | None = None,
        merge_fields: Mapping[str, str] | None = None,
    ) -> None:
        """Add it to the one update of the row, which puts no word into anybody's mouth."""
        planned = self.changes.get(row.row_id) or PlannedChange(
            row.row_id,
            None,
            MemberChange(email=member.email, member_id=member.member_id),
            Reason.UNDONE,
        )
        change = planned.change
        change = replace(
            change,
            status=status or change.status,
            new_email=new_email or change.new_email,
            is_archiving=is_archiving or change.is_archiving,
            interests={**change.interests, **(interests or {})},
            merge_fields={**change.merge_fields, **(merge_fields or {})},
        )
        names = _name_written(done)
        at = dict.fromkeys(names, self._find_newest(done))
        self.changes[row.row_id] = replace(
            planned,
            change=change,
            caused_at={**planned.caused_at, **at},
            for_others=tuple(dict.fromkeys((*planned.for_others, *names))),
        )
        self.back.append((done, becomes or done.before))

    # --- in CiviCRM -------------------------------------------------------------------------------

    def _put_contact(self, done: Done) -> Left | None:
        contact = self.person.contact
        if contact is None:
            return Left.GONE
        if done.field in _NAME_FIELDS:
            if not done.before:  # CiviCRM's names are never emptied
                return Left.KEPT
            self.names[done.field] = done.before
            self.back.append((done, done.before))
            return None
        if done.field == "bulk_email":
            return self._put_bulk_mail(done, contact)
        if done.before not in (GroupStatus.ADDED, GroupStatus.REMOVED, None):
            return Left.KEPT
        group_id = find_group(self.policy, done.field)
        status = GroupStatus(done.before or GroupStatus.REMOVED)
        self.groups[group_id] = GroupWrite(
            contact.contact_id, group_id, status, Reason.UNDONE, self._find_newest(done)
        )
        self.back.append((done, status.value))
        return None

    def _put_bulk_mail(self, done: Done, contact: ContactView) -> Left | None:
        """The address that had it before gets it again, if it is still there; else none does."""
        keys = {email_key(each) for each in (done.before, done.after) if each}
        if not any(email_key(member.email) in keys for member in self.person.members):
            return Left.SPOKE  # the member has moved on
        there = [e for e in contact.emails if email_key(e.email) == email_key(done.before or "")]
        if done.before and not there:
            return Left.SPOKE
        if done.before and all(email.on_hold for email in there):
            return Left.BARRED
        self.bulk_moves = (BulkMove(contact.contact_id, done.before, done.after),)
        self.back.append((done, done.before))
        return None

    # --- all of it --------------------------------------------------------------------------------

    def _find_newest(self, done: Done) -> datetime:
        thing = self._find_thing(done)
        if thing in _UNTIMED:
            return LONG_AGO
        people = [self.person]
        if thing != NAMES and done.side is Side.MAILCHIMP:
            people += self.person.sharers
        return max(find_newest_word(person, self.policy, thing) for person in people)

    def _mark(self, done: Done) -> None:
        """Have it left alone from now on."""
        thing = self._find_thing(done)
        if thing is None:
            return
        at, run, now = self._find_newest(done), self.undoing.run, self.undoing.at
        if thing == ADDRESS:
            self.undone[ADDRESS] = Undone(at, run, now, print_of(email_key(done.after or "")))
        elif thing == BULK:
            keys = (email_key(each or "") for each in (done.before, done.after))
            self.undone[BULK] = Undone(at, run, now, print_of(*keys) if done.before else "")
        elif thing == NAMES:
            self.undone[NAMES] = Undone(at, run, now)
        else:
            value = find_place(self.person, self.policy, thing)
            group_id = find_group(self.policy, thing)
            self.undone[make_group_topic(group_id)] = Undone(at, run, now, value)
            if done.side is Side.MAILCHIMP and self.person.sharers:
                self.undone[make_member_topic(group_id)] = Undone(at, run, now)

    def decide(self) -> Decision:
        """All that is put back, as a decision.

        A row that is to be judged stays so: nothing was learned about what is due.
        """
        names: tuple[NameWrite, ...] = ()
        if self.names and self.person.contact is not None:
            first, last = (self.names.get(name) for name in _NAME_FIELDS)
            at = find_newest_word(self.person, self.policy, NAMES)
            contact_id = self.person.contact.contact_id
            names = (NameWrite(contact_id, first, last, LONG_AGO, LONG_AGO, Reason.UNDONE, at),)
            now = self.person.contact.contact
            written = print_of(first or now.first_name, last or now.last_name)
            self.undone[NAMES] = replace(self.undone[NAMES], value=written)
        return Decision(
            verdicts=tuple(self._mark_row(row) for row in self.person.rows),
            group_writes=tuple(self.groups.values()),
            changes=tuple(self.changes.values()),
            name_writes=names,
            bulk_moves=self.bulk_moves,
            undone=self.undone,
        )

    def _mark_row(self, row: RowView) -> RowVerdict:
        status = SyncStatus.LIVE if row.row_id in self.changes else SyncStatus.TODO
        return RowVerdict(row.row_id, status, Reason.UNDONE, _NEVER)


_NOWHERE, _ELSEWHERE = "nowhere", "elsewhere"
_UNTIMED = (None, ADDRESS, BULK)  # of which nobody knows when a word about it was said
_NEVER = -1  # a mark that no row has in the queue, so that none leaves it


def _lets_in(done: Done) -> bool:
    """Whether it subscribed somebody, or asked them to confirm, who was out before."""
    is_of_member = done.side is Side.MAILCHIMP and done.field == SUBSCRIPTION
    return is_of_member and done.after in IN and done.before not in IN


def _add_flags(dones: Iterable[Done]) -> Iterator[Done]:
    """Each thing; an address that was added was made the one for bulk mail, too.

    The history tells that only where another one was it before.
    """
    dones = list(dones)
    is_told = any(done.field == "bulk_email" for done in dones)
    for done in dones:
        yield done
        if done.side is Side.CIVICRM and done.field == "email" and not is_told:
            yield replace(done, field="bulk_email", before=None)


def _as_no(done: Done) -> str:
    """That somebody has no interest, as the history said it before or after."""
    return next((each or "" for each in (done.after, done.before) if each != "yes"), "no")


def _as_names(names: Mapping[str, str]) -> dict[str, str]:
    return {"first": names["first_name"], "last": names["last_name"]}


def _name_written(done: Done) -> tuple[str, ...]:
    """The fields of the member's data that it writes."""
    if done.field == SUBSCRIPTION:
        return ("status",)
    if done.field == "email":
        return ()
    return (done.field,) if done.field in _NAME_FIELDS else (f"interest-{done.field}",)
