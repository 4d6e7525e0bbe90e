"""Persons and decisions, as the pure room sees them: who somebody is, what was said, what to do.

Frozen, and pure: the standard library and `mcsync.model` only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from mcsync.model import (
    LONG_AGO,
    BulkMove,
    Contact,
    Email,
    EmailWrite,
    GroupStatus,
    MemberChange,
    MemberStatus,
    NewContact,
    Side,
    email_key,
)

V = TypeVar("V", bool, str)


class SyncStatus(StrEnum):
    """How a cache row stands, as in the documents' table reference."""

    OK = "ok"
    TODO = "todo"
    LIVE = "live"
    REDO = "redo"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Statement(Generic[V]):
    """What a human last said at one side about one thing, and when.

    For a subscription or an interest `value` is whether they are in; for a name it is the name.
    """

    value: V
    at: datetime


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed last about one thing: whether they are in, by the word of which time, why.

    A word older than `at` counts no more, at either side: so one that was overruled never comes
    back to life.
    """

    value: bool
    at: datetime
    reason: "Reason"


@dataclass(frozen=True, slots=True)
class Undone:
    """That undo put something back, which is left alone until somebody says something newer.

    `at` is the time of the newest word about it that was known then; `run` the one that put it
    back, `done_at` when, by our own clock. `value` is what tells where words do not: a
    fingerprint of the address from which the member was taken back, or of the names that were
    written into CiviCRM; or whether the contact was in a group that only CiviCRM decides about.
    """

    at: datetime
    run: str
    done_at: datetime
    value: str = ""


NAMES, ADDRESS, BULK = "names", "address", "bulk"  # of what may be undone; else it is a group


def make_group_topic(group_id: int) -> str:
    """What undo put back about a subscription or an interest, by the group it stands for."""
    return f"{_GROUP}{group_id}"


def make_member_topic(group_id: int) -> str:
    """The same where it was put back at Mailchimp: it holds for all who share the member."""
    return f"{_MEMBER}{group_id}"


_GROUP, _MEMBER = "group/", "member/"


# --- a person in an audience, as the pure room sees it -----------------------------------------


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member of a person, from the cache: what is there, and what was said.

    `status` is None when a full fetch no longer returned the member. `subscription` is what a
    human last said, None if nobody did (a shop's customer); a status that we wrote because of the
    mail gate, or that an operation of ours wrote over a later word, does not change it.
    `interests` are words likewise; `has` what the member has where that differs. `has_left`:
    Mailchimp gives a reason of the member's own. `is_stranger`: out by an administrator or the API
    when the cache met them, and nothing was seen to change since. `written` are the things of
    which the word is one of CiviCRM's about the own contact, that we wrote. The names are those
    that the member has; `said_names` what was said, where an operation of ours has overwritten it.
    """

    row_id: int
    email: str
    member_id: str | None
    status: MemberStatus | None
    subscription: Statement[bool] | None
    interests: Mapping[str, Statement[bool]] = field(default_factory=dict)
    has: Mapping[str, bool] = field(default_factory=dict)
    has_left: bool = False
    is_stranger: bool = False
    written: frozenset[str] = frozenset()
    first_name: str = ""
    last_name: str = ""
    first_name_at: datetime = LONG_AGO
    last_name_at: datetime = LONG_AGO
    said_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_in(self) -> bool:
        """Whether the member gets mail now, as far as we know."""
        return self.status is not None and self.status.is_in

    @property
    def is_muted(self) -> bool:
        """Whether the member is out only because we wrote it, and wants to be in."""
        return not self.is_in and self.subscription is not None and self.subscription.value

    def has_interest(self, interest_id: str) -> bool:
        """Whether the member has an interest now."""
        if interest_id in self.has:
            return self.has[interest_id]
        said = self.interests.get(interest_id)
        return said is not None and said.value


@dataclass(frozen=True, slots=True)
class Refused:
    """That Mailchimp refused a change of the member with an address, part by part.

    `email` is the address as it is compared. `times` tells the time of each wish, `prints` the
    fingerprints of the parts that no human act with a time has caused (`reconcile.refused_before`).
    `is_paused`: it may be tried again later, and it is not later yet. `lacks_field`: all that was
    wrong is that the member has no value for a required merge field.
    """

    email: str
    reason: "Reason"
    times: Mapping[str, datetime] = field(default_factory=dict)
    prints: Mapping[str, str] = field(default_factory=dict)
    is_paused: bool = False
    lacks_field: bool = False


@dataclass(frozen=True, slots=True)
class RowView:
    """One cache row of a person: a member, a contact, or a member linked to a contact.

    `refusals` tells what Mailchimp refused. `reconfirmed_at` is the time
    of the human word for which Mailchimp was asked to mail for confirmation. `email` is the
    address that the row has, or was tried with. `lost_at`: since when the row's contact is known
    to be trashed or purged. `is_shared`: the contact is one of several owners of the address, and
    was chosen by something else than their name. `moved_from` is the address that the member had
    before they changed it at Mailchimp; `owned_by` the contact that was last seen to own the
    member's address. `agreed` is what was agreed last, by `make_topic`. `due`: the mark in the
    queue, 0 when nothing is to be judged. `is_under_way`: an operation may be carried out at
    Mailchimp at any moment. `undone` is what undo put back, by what it is about.
    """

    row_id: int
    contact_id: int | None = None
    member: MemberView | None = None
    refusals: tuple[Refused, ...] = ()
    reconfirmed_at: datetime | None = None
    lost_at: datetime | None = None
    email: str | None = None
    is_shared: bool = False
    moved_from: str | None = None
    owned_by: int | None = None
    agreed: Mapping[str, Agreed] = field(default_factory=dict)
    due: int = 0
    is_under_way: bool = False
    undone: Mapping[str, Undone] = field(default_factory=dict)


def make_topic(thing: str, group_id: int) -> str:
    """What an agreement is about: a subscription or an interest, and the group it stands for.

    With another group it is another topic: what was agreed about the old one does not bind.
    """
    return f"{thing}/{group_id}"


@dataclass(frozen=True, slots=True)
class Place:
    """A contact's place in one group: what is there now, and what a human last said.

    `is_known`: the group has, or had, a row for the contact.
    """

    is_added: bool = False
    said: Statement[bool] | None = None
    is_known: bool = False


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class ContactView:
    """One contact of a person, from the cache; `places` by group id.

    `gate_closed_at`: since when, at the latest, the contact may not be mailed. The names' times
    are when CiviCRM last touched the contact as the name changed. `is_unseen`: CiviCRM no longer
    shows the contact, together with so many others that nobody believes it.
    """

    contact: Contact
    emails: tuple[Email, ...] = ()
    places: Mapping[int, Place] = field(default_factory=dict)
    gate_closed_at: datetime | None = None
    first_name_at: datetime = LONG_AGO
    last_name_at: datetime = LONG_AGO
    is_unseen: bool = False

    @property
    def contact_id(self) -> int:
        """CiviCRM's id of the contact."""
        return self.contact.contact_id

    @property
    def keys(self) -> frozenset[str]:
        """The contact's addresses in the form in which they are compared."""
        return frozenset(email_key(email.email) for email in self.emails if email.email)

    def place(self, group_id: int) -> Place:
        """Where the contact stands in a group."""
        return self.places.get(group_id, NOWHERE)


@dataclass(frozen=True, slots=True)
class Person:
    """A contact in an audience with the members that are its own, or a member without a contact.

    `rows` are those linked to the contact. `shared` are rows of others, whose address the contact
    owns, too; `sharers` other contacts of the group who own the address of one of `rows`, each
    as a person without sharers. `rivals` are contacts that own the address when nobody could be
    chosen among them.
    """

    rows: tuple[RowView, ...]
    contact: ContactView | None = None
    shared: tuple[RowView, ...] = ()
    sharers: tuple["Person", ...] = ()
    rivals: tuple[int, ...] = ()

    @property
    def members(self) -> tuple[MemberView, ...]:
        """The person's own members."""
        return tuple(row.member for row in self.rows if row.member is not None)

    @property
    def shared_members(self) -> tuple[MemberView, ...]:
        """The members whose address the contact owns, too."""
        return tuple(row.member for row in self.shared if row.member is not None)

    @property
    def voices(self) -> tuple[MemberView, ...]:
        """The members that speak for the person: their own, else those they share."""
        return self.members or self.shared_members

    @property
    def is_under_way(self) -> bool:
        """Whether something of theirs may be carried out at Mailchimp at any moment.

        What is sent for a contact who shares a member goes with the row of that member.
        """
        return any(row.is_under_way for row in (*self.rows, *self.shared))

    @property
    def agreed(self) -> Mapping[str, Agreed]:
        """What was agreed last about each topic."""
        found: dict[str, Agreed] = {}
        for row in self.rows:
            for topic, agreed in row.agreed.items():
                if topic not in found or agreed.at > found[topic].at:
                    found[topic] = agreed
        return found

    @property
    def undone(self) -> Mapping[str, Undone]:
        """What undo put back last, by what it is about; of members they share, only these."""
        marks = [mark for row in self.rows for mark in row.undone.items()]
        marks += [
            (topic.replace(_MEMBER, _GROUP), undone)
            for row in self.shared
            for topic, undone in row.undone.items()
            if topic.startswith(_MEMBER)
        ]
        found: dict[str, Undone] = {}
        for topic, undone in marks:
            if topic not in found or undone.done_at > found[topic].done_at:
                found[topic] = undone
        return found


# --- decisions --------------------------------------------------------------------------------


class Reason(StrEnum):
    """The rule that decided about a person; `REASONS` has a sentence for each."""

    IN_AGREEMENT = "in-agreement"
    CIVICRM_ADDED = "added-in-civicrm"
    CIVICRM_REMOVED = "removed-in-civicrm"
    MAILCHIMP_SUBSCRIBED = "subscribed-at-mailchimp"
    MAILCHIMP_LEFT = "left-at-mailchimp"
    MAILCHIMP_STAFF = "unsubscribed-at-mailchimp"
    MAILCHIMP_CLEANED = "cleaned-at-mailchimp"
    MAILCHIMP_ARCHIVED = "archived-at-mailchimp"
    MAILCHIMP_VANISHED = "vanished-from-mailchimp"
    TRUST_MAILCHIMP = "trust-mailchimp"
    TRUST_CIVICRM = "trust-civicrm"
    GATE_OPENED = "may-be-mailed-again"
    ADDRESS = "address-changed"
    INTEREST = "interest-changed"
    DATA = "data-changed"
    NEW_CONTACT = "new-contact"
    DECEASED = "deceased"
    OPT_OUT = "opt-out"
    DO_NOT_EMAIL = "do-not-email"
    NO_EMAIL = "no-usable-address"
    SIGNED_UP_AFTER_GATE = "signed-up-despite-opt-out"
    OTHER_ADDRESS = "other-address-subscribed"
    AMBIGUOUS = "ambiguous-contact"
    UNKNOWN_AND_OUT = "unknown-and-not-subscribed"
    CONTACT_DELETED = "contact-deleted"
    BEFORE_MOVE = "differed-before-the-move"
    COMPLIANCE = "compliance-state"
    FORGOTTEN = "forgotten-email"
    CLEANED = "cleaned-address"
    REFUSED = "refused-by-mailchimp"
    CIVICRM_REFUSED = "refused-by-civicrm"
    ABORTED = "aborted"
    UNDONE = "undone"


REASONS: Mapping[Reason, str] = {  # each may follow "because"
    Reason.IN_AGREEMENT: "both sides agree",
    Reason.CIVICRM_ADDED: "they were added to the group after the last change at Mailchimp",
    Reason.CIVICRM_REMOVED: "they were removed from the group after the last change at Mailchimp",
    Reason.MAILCHIMP_SUBSCRIBED: "they subscribed after the last change in CiviCRM",
    Reason.MAILCHIMP_LEFT: "they unsubscribed themselves after the last change in CiviCRM",
    Reason.MAILCHIMP_STAFF: "an administrator or the API unsubscribed them at Mailchimp",
    Reason.MAILCHIMP_CLEANED: "the address bounced, so Mailchimp cleaned it",
    Reason.MAILCHIMP_ARCHIVED: "they were archived after the last change in CiviCRM",
    Reason.MAILCHIMP_VANISHED: "they are no longer in the audience at Mailchimp",
    Reason.TRUST_MAILCHIMP: "a trust override lets Mailchimp decide",
    Reason.TRUST_CIVICRM: "a trust override lets CiviCRM decide",
    Reason.GATE_OPENED: "the contact may be mailed again",
    Reason.ADDRESS: "the address was changed",
    Reason.INTEREST: "an interest or its group was changed",
    Reason.DATA: "names or other data were changed",
    Reason.NEW_CONTACT: "they are subscribed, and no contact has the address",
    Reason.DECEASED: "the contact is deceased",
    Reason.OPT_OUT: "the contact has opted out of bulk mail in CiviCRM",
    Reason.DO_NOT_EMAIL: "the contact is marked do-not-email in CiviCRM",
    Reason.NO_EMAIL: "the contact has no address, or all are on hold",
    Reason.SIGNED_UP_AFTER_GATE: "they signed up at Mailchimp after opting out in CiviCRM",
    Reason.OTHER_ADDRESS: "this address is out, but another of the contact's is subscribed",
    Reason.AMBIGUOUS: "several contacts have this address, and nothing shows which is meant",
    Reason.UNKNOWN_AND_OUT: "they are not subscribed at Mailchimp, and CiviCRM does not know them",
    Reason.CONTACT_DELETED: "the contact was deleted in CiviCRM",
    Reason.BEFORE_MOVE: "both sides differed before mcsync took over, and nobody has spoken since",
    Reason.COMPLIANCE: "they unsubscribed themselves before, so Mailchimp wants them to confirm",
    Reason.FORGOTTEN: "they were permanently deleted at Mailchimp; only they can sign up again",
    Reason.CLEANED: "the address bounced and was cleaned; Mailchimp never subscribes it again",
    Reason.REFUSED: "Mailchimp refused the change",
    Reason.CIVICRM_REFUSED: "CiviCRM refused the change",
    Reason.ABORTED: "the update was aborted by hand",
    Reason.UNDONE: "undo put it back, to stay until either side says something newer",
}


@dataclass(frozen=True, slots=True)
class InterestPolicy:
    """A mapped interest: its group, and whether Mailchimp may change that group."""

    group_id: int
    is_push_only: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What the rules need to know of one audience's configuration.

    A change of what is configured has everybody judged anew (`pipeline.identity`).

    `name_tags` are those of FNAME, LNAME and NAME that the audience has, known when names are
    synced. `name_fields` maps those of the three that the audience calls otherwise to its own
    tags, "" for one that it does not have. `trusted_at` is when the trusted side was read, by its
    own clock. `moved_at` is when mcsync took over from an extension, None if it did not.
    """

    list_id: str
    group_id: int
    interests: Mapping[str, InterestPolicy] = field(default_factory=dict)
    trust: Mapping[str, Side] = field(default_factory=dict)
    trusted_at: datetime = LONG_AGO
    skips_duplicates: bool = False
    may_reconfirm: bool = True
    removes_by_archiving: bool = False
    deleted_contacts: str = "recreate"
    pushes_email_changes: bool = True
    confirms_new: bool = False
    moved_at: datetime | None = None
    syncs_names: bool = False
    name_tags: frozenset[str] = frozenset()
    name_fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def group_ids(self) -> list[int]:
        """All CiviCRM groups that the audience is about, the subscription's first."""
        return [self.group_id, *(interest.group_id for interest in self.interests.values())]


@dataclass(frozen=True, slots=True)
class GroupWrite:
    """One group contact to be made Added or Removed; `caused_at` is the time of the word for it."""

    contact_id: int
    group_id: int
    status: GroupStatus
    reason: Reason
    caused_at: datetime = LONG_AGO


@dataclass(frozen=True, slots=True)
class Agreement:
    """What is to be remembered of a person: that this was agreed about a topic."""

    topic: str
    agreed: Agreed


@dataclass(frozen=True, slots=True)
class NameWrite:
    """A contact's names to be written; None leaves one as it is. Times: who caused them.

    `caused_at` is for the history where that is another time.
    """

    contact_id: int
    first_name: str | None
    last_name: str | None
    first_name_at: datetime
    last_name_at: datetime
    reason: Reason = Reason.DATA
    caused_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One update to be queued.

    `row_id` is the cache row it belongs to, or None when `contact_id` needs a row of its own.
    `caused_at` tells, for each field that is written ("status", "interest-ID", "first_name"),
    when a human caused it. `is_gate`: written because of the mail gate, so that the member's
    own statement stands; `for_others` are fields written for a contact who merely shares the
    member, with the same effect. Mailchimp takes `tags` in an operation of their own, which is
    queued behind `change`. `metadata` is what plugins keep, by their names, when all has
    succeeded.
    """

    row_id: int | None
    contact_id: int | None
    change: MemberChange
    reason: Reason
    caused_at: Mapping[str, datetime] = field(default_factory=dict)
    is_gate: bool = False
    for_others: tuple[str, ...] = ()
    tags: Mapping[str, bool] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def sync_status(self) -> SyncStatus:
        """How its row is marked until the result is in."""
        is_asking = self.change.status is MemberStatus.PENDING
        is_asking &= self.reason is Reason.COMPLIANCE
        return SyncStatus.REDO if is_asking else SyncStatus.LIVE


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """What one cache row is marked with when the decision has been carried out.

    `due` is the mark that the row had when it was judged: it leaves the queue only if nothing was
    learned since. With `TODO` it stays in the queue.
    """

    row_id: int
    sync_status: SyncStatus
    reason: Reason
    due: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict about one person: what is written where, and how their rows are marked.

    `undone` is what is left alone from then on, because undo puts it back.
    """

    verdicts: tuple[RowVerdict, ...]
    group_writes: tuple[GroupWrite, ...] = ()
    changes: tuple[PlannedChange, ...] = ()
    new_contact: NewContact | None = None
    name_writes: tuple[NameWrite, ...] = ()
    email_writes: tuple[EmailWrite, ...] = ()
    bulk_moves: tuple[BulkMove, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    undone: Mapping[str, Undone] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written at either side, or kept of what undo put back."""
        return not (
            self.group_writes
            or self.changes
            or self.new_contact
            or self.name_writes
            or self.email_writes
            or self.bulk_moves
            or self.undone
        )

    def with_verdict(self, row_id: int, sync_status: SyncStatus, reason: Reason) -> "Decision":
        """The decision with this verdict in place of the row's own."""
        return self._with_marks(row_id, sync_status=sync_status, reason=reason)

    def _with_marks(self, row_id: int | None, **marks: Any) -> "Decision":
        verdicts = (replace(v, **marks) if v.row_id == row_id else v for v in self.verdicts)
        return replace(self, verdicts=tuple(verdicts))

    def find_change(self, row_id: int | None) -> PlannedChange | None:
        """The one change planned for a row, if there is one."""
        return next((change for change in self.changes if change.row_id == row_id), None)

    def with_change(self, planned: PlannedChange) -> "Decision":
        """The decision with this change in place of the row's own; the row waits for its result."""
        others = tuple(change for change in self.changes if change.row_id != planned.row_id)
        marked = self._with_marks(planned.row_id, sync_status=planned.sync_status)
        return replace(marked, changes=(*others, planned))
