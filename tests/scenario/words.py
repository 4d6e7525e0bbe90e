"""What is right, by the rules alone: a model of who said what, that shares no code with mcsync.

The rules, in plain words:

*Who speaks.* A contact in an audience has the members that are linked to it; those are its own.
Other contacts that have a member's address only share the member. At Mailchimp a contact says
what its own members say: in, if any of them says in, as of the latest; else out, as of the latest;
where they say nothing, what the members say that it shares. In CiviCRM it says what the newest line
of the group's history says that mcsync did not write; a place without any history says in, longer
ago than anything; a place that changed without a history line says so as of the run that notices.
Who was never in the group says nothing.

*What counts as said.* At Mailchimp something was said when a look shows what was neither seen
before nor written by mcsync. Subscribed and pending say in; unsubscribed, cleaned and archived say
out; transactional says nothing; vanished says out, as of the full fetch that misses the member.
It was said when the record changed last. Whoever was unsubscribed by others and then leaves by
the link has spoken: the reason is theirs. Nothing that mcsync writes is said by anybody, however
late it is carried out, and it takes back nothing that was said; a member whom it subscribed or
unsubscribed stands there since the word that caused it.

*Who is right.* The later word; CiviCRM's, if both are of the same second; the only one, if one
side has none. What was agreed is remembered with the time of the word that decided, and older
words count no more, at either side. A side that is trusted in a run is right, as it stands, where
both sides know the person, as of that run.

*What follows.* In: the contact is Added, and if it may be mailed, one of its addresses is in at
Mailchimp, unless all of them are impossible: bounced, erased, on hold, refused for good, or asked
once to confirm for this very wish. Out: the contact is Removed (not while another address of it is
in), and its own members are out, unless a contact that shares one stands for it. Who may not be
mailed is out at Mailchimp and keeps their place; who signs up there afterwards is left alone,
unless they are dead. Interests count only while the person is in.

*What cannot be known.* Where nothing at either service tells two stories apart, both ends are
right. So the model keeps sets: of what mcsync may have seen and heard, and of what may be agreed.
They hold more than one only

- after a run that was disturbed, or during which somebody acted: who can say what it has seen;
- when somebody acted at Mailchimp between two looks, and ended where they had begun;
- when somebody did what an operation of ours under way was to do;
- when the record changed again after somebody had spoken: it tells only when it changed last;
- when an operation's result was lost, and the member was read instead;
- for a member who was out before, and vanishes: whether that says it once more;
- for a contact that takes over another's members, or another's place, by a merge or a deletion;
- for a contact that is Added without a history line, where there never was one: imported long
  ago, or just now;
- for one who vanished at Mailchimp, in a run that trusts a side: known there, or not;
- for the status Pending in CiviCRM, of which nobody says what it means.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, combinations, product

LONG_AGO = datetime.min.replace(tzinfo=UTC)
SUBSCRIPTION = "subscription"
IN = ("subscribed", "pending")

Shown = object  # what a record shows about one thing; None: there is no record
UNSEEN = "never seen"


@dataclass(frozen=True, slots=True)
class Word:
    """Somebody said in or out, at a service's own time."""

    at: datetime
    is_in: bool


@dataclass(frozen=True, slots=True)
class Belief:
    """What mcsync may hold of a member: what it saw or wrote last, and what was said last.

    `cause` is the word that caused what mcsync wrote last: it counts for the contact whose own
    member it is, and is no word of the member's to anybody else.
    """

    seen: Shown
    word: Word | None
    cause: Word | None = None

    def says(self, *, as_own: bool) -> Word | None:
        """What the member says to the contact whose own it is, or to one that only shares it."""
        if not as_own or self.cause is None or (self.word and self.word.at >= self.cause.at):
            return self.word
        return self.cause


def status_says(shown: Shown) -> bool | None:
    """What a status says, given as (status, whether an unsubscribe is the person's own)."""
    if shown is None:
        return False
    assert isinstance(shown, tuple)
    return None if shown[0] == "transactional" else shown[0] in IN


def interest_says(shown: Shown) -> bool | None:
    """What the mark for an interest says."""
    return bool(shown)


# --- Mailchimp's side -----------------------------------------------------------------------------


@dataclass(slots=True)
class Hearing:
    """All that may have been heard from one member about one thing.

    `shown` is what the record shows now, `is_ours` whether mcsync wrote that, `said` what a human
    said last since the last certain look.
    """

    says: Callable[[Shown], bool | None]
    shown: Shown = None
    is_ours: bool = False
    said: Word | None = None
    beliefs: set[Belief] = field(default_factory=lambda: {Belief(UNSEEN, None)})

    def words(self, *, as_own: bool) -> set[Word | None]:
        """What mcsync may take for the last word."""
        return {belief.says(as_own=as_own) for belief in self.beliefs}

    def hear(self, shown: Shown, at: datetime) -> None:
        """A human changed the record, or tried to say again what it shows already."""
        self.shown, self.is_ours = shown, False
        says = self.says(shown)
        self.said = self.said if says is None else Word(at, says)

    def write(self, shown: Shown) -> None:
        """An operation of ours changed the record."""
        self.shown, self.is_ours = shown, True

    def note_done(self, wrote: Shown, *, is_certain: bool) -> None:
        """An operation of ours was carried out, whether or not it changed anything."""
        known = {replace(belief, seen=wrote) for belief in self.beliefs}
        self.beliefs = known if is_certain else self.beliefs | known

    def take_cause(self, causes: set[Word], *, is_certain: bool) -> None:
        """What an operation of ours wrote carries the time of the word that caused it.

        A word is replaced only by a newer one. Without `is_certain` there may be another cause,
        which is no word of this member's: somebody who shares it, or the mail gate.
        """
        caused = {replace(belief, cause=cause) for belief in self.beliefs for cause in causes}
        self.beliefs = caused if is_certain and caused else self.beliefs | caused

    def look(self, look: "Look", *, is_certain: bool) -> None:
        """The record is looked at, or may be."""
        after = {new for belief in self.beliefs for new in self._learn(belief, look)}
        if is_certain:
            self.beliefs, self.said = after, None
        else:
            self.beliefs |= after

    def _learn(self, belief: Belief, look: "Look") -> Iterator[Belief]:
        if belief.seen == self.shown or self.is_ours:
            yield replace(belief, seen=self.shown)
            if self.said is not None:  # between two looks, and ended where it began
                yield replace(belief, seen=self.shown, word=self.said)
        elif self.shown is None:
            yield from self._miss(belief, look)
        else:
            yield from self._notice(belief, look)

    def _miss(self, belief: Belief, look: "Look") -> Iterator[Belief]:
        if belief.seen == UNSEEN:
            yield belief
        else:
            yield Belief(None, Word(look.now, False))
            said = belief.says(as_own=True)
            if said is not None and not said.is_in:
                yield replace(belief, seen=None)

    def _notice(self, belief: Belief, look: "Look") -> Iterator[Belief]:
        says = self.says(self.shown)
        if says is None:
            yield replace(belief, seen=self.shown)
            return
        if self.shown in look.under_way or (look.may_be_ours and belief.seen == UNSEEN):
            yield replace(belief, seen=self.shown)
        if self.shown in look.under_way or not (look.is_ours and belief.seen == UNSEEN):
            times = {look.changed_at} | ({self.said.at} if self.said else set())
            yield from (Belief(self.shown, Word(at, says)) for at in times)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a member: the service's time, when the record changed last, and our part in it.

    `under_way` is what operations of ours, not yet known to be done, are to write. `is_ours`: an
    unsubscribe that others made before mcsync ever saw the member is surely ours, as its contact
    may not be mailed; `may_be_ours`: perhaps.
    """

    now: datetime
    changed_at: datetime
    under_way: frozenset[Shown] = frozenset()
    is_ours: bool = False
    may_be_ours: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """One address in one audience, through all that becomes of it.

    `links` are the contacts it may be linked to, none while it stands alone. `came_at` is when
    its owner last came in by their own doing.
    """

    list_id: str
    address: str
    hearings: dict[str, Hearing]
    links: set[int] = field(default_factory=set)
    is_linked: bool = False  # surely
    came_at: datetime | None = None
    changed_at: datetime = LONG_AGO
    was_there: bool = False

    @property
    def status(self) -> str | None:
        """The status now, None when there is no record."""
        shown = self.hearings[SUBSCRIPTION].shown
        return shown[0] if isinstance(shown, tuple) else None

    @property
    def is_in(self) -> bool:
        """Whether the member is subscribed or pending now."""
        return self.status in IN


# --- CiviCRM's side -------------------------------------------------------------------------------


@dataclass(slots=True)
class Place:
    """What may have been heard from CiviCRM about a contact in a group.

    `status` is what the group shows now; `known` what mcsync may think it shows; it changed
    without a history line while `is_unexplained`.
    """

    status: str | None = None
    words: set[Word | None] = field(default_factory=lambda: {None})
    latest: set[Word | None] = field(default_factory=lambda: {None})
    known: set[str | None] = field(default_factory=lambda: {None})
    is_unexplained: bool = False
    has_history: bool = False

    def hear(self, word: Word) -> None:
        """Staff spoke, and the history tells; whether mcsync knows yet is open."""
        self.latest = {word}
        self.words.add(word)
        self.is_unexplained, self.has_history = False, True

    def hear_pending(self, at: datetime) -> None:
        """Staff set the status Pending: nobody says what that means."""
        self.latest = {*self.latest, Word(at, False)}
        self.words |= self.latest
        self.is_unexplained, self.has_history = False, True

    def look(self, now: datetime, *, is_certain: bool, is_compare: bool) -> None:
        """The history is read, or may be; with `is_compare` every place is looked at."""
        if is_certain and not self.is_unexplained:
            self.words = set(self.latest)
            self.known = {self.status}
            return
        if self.is_unexplained:
            noticed = Word(now, self.status == "Added")
            if is_certain and is_compare and self.status not in self.known:
                self.latest = {noticed}
                if self.status == "Added" and not self.has_history:
                    self.latest.add(Word(LONG_AGO, True))  # by an import, long ago or just now
                self.words = set(self.latest)
            else:
                self.words.add(noticed)
                self.latest.add(noticed)
            if is_certain and is_compare:
                self.known, self.is_unexplained = {self.status}, False
                return
        self.known.add(self.status)


@dataclass(slots=True, eq=False)
class Contact:
    """A contact: its addresses (those on hold too), its places, what was agreed about it.

    `may_be_mailed` is a set of what mcsync may think. `open_seen_at`: when a certain look last
    found that it may be mailed; `closed_seen_at`: when one first found that it may not any more.
    """

    contact_id: int
    places: dict[int, Place]
    agreed: dict[tuple[str, str], set[Word | None]]
    addresses: set[str] = field(default_factory=set)
    known_addresses: set[str] = field(default_factory=set)  # that mcsync may think it has
    held: set[str] = field(default_factory=set)
    is_deleted: bool = False
    is_known_deleted: bool = False  # for sure
    is_dead: bool = False
    is_open: bool = True
    may_be_mailed: set[bool] = field(default_factory=lambda: {True, False})
    open_seen_at: datetime = LONG_AGO
    closed_seen_at: datetime | None = None


# --- both -----------------------------------------------------------------------------------------


def agree(mailchimp: Word | None, civicrm: Word | None, agreed: Word | None) -> Word | None:
    """Which word is right: the later one, CiviCRM's on a tie; older ones than agreed are spent."""
    fresh = [w for w in (civicrm, mailchimp) if w and not (agreed and w.at < agreed.at)]
    return max(fresh, key=lambda word: word.at) if fresh else agreed


def summed(words: Iterable[Word | None]) -> Word | None:
    """What several members say as one: in, if any does, at its latest; else out, at the latest."""
    said = [word for word in words if word is not None]
    ins = [word for word in said if word.is_in]
    return max(ins or said, key=lambda word: word.at, default=None)


class Model:
    """Everybody in every audience; `things` are what is agreed about, and in which group.

    `things`: list id to thing to group id; a thing is SUBSCRIPTION or an interest.
    """

    def __init__(self, things: dict[str, dict[str, int]]) -> None:
        self.things = things
        self.members: dict[tuple[str, str], Member] = {}
        self.contacts: dict[int, Contact] = {}

    def member(self, list_id: str, address: str) -> Member:
        """The member with an address, who may never have been there."""
        key = (list_id, address)
        if key not in self.members:
            hearings = {
                thing: Hearing(status_says if thing == SUBSCRIPTION else interest_says)
                for thing in self.things[list_id]
            }
            self.members[key] = Member(list_id, address, hearings)
        return self.members[key]

    def contact(self, contact_id: int) -> Contact:
        """A contact, new ones included."""
        if contact_id not in self.contacts:
            groups = {group for things in self.things.values() for group in things.values()}
            agreed: dict[tuple[str, str], set[Word | None]] = {
                (list_id, thing): {None}
                for list_id, things in self.things.items()
                for thing in things
            }
            self.contacts[contact_id] = Contact(contact_id, {g: Place() for g in groups}, agreed)
        return self.contacts[contact_id]

    # Who belongs to whom

    def owners(self, address: str) -> list[Contact]:
        """The contacts, not those in the trash, that have an address; lowest id first."""
        found = [c for c in self.contacts.values() if address in c.addresses and not c.is_deleted]
        return sorted(found, key=lambda contact: contact.contact_id)

    def people_of(self, member: Member) -> list[Contact]:
        """The contacts that a member may be linked to, or is shared by."""
        return [
            contact
            for contact in self.contacts.values()
            if not contact.is_deleted
            and (contact.contact_id in member.links or member.address in contact.addresses)
        ]

    def known_people_of(self, member: Member) -> list[Contact]:
        """The same as mcsync may think, which need not know of the trash, or of new addresses."""
        return [
            contact
            for contact in self.contacts.values()
            if not contact.is_known_deleted
            and (contact.contact_id in member.links or member.address in contact.known_addresses)
        ]

    def members_of(self, contact: Contact, list_id: str) -> list[Member]:
        """The members of an audience that are linked to a contact, or may be, or shared."""
        return [
            member
            for member in self.members.values()
            if member.list_id == list_id
            and (contact.contact_id in member.links or member.address in contact.known_addresses)
        ]

    def link(self, member: Member, *, is_certain: bool) -> None:
        """Find the contact of a member that stands alone, as far as somebody has the address.

        The only owner; else the lowest id that is in the group; else the lowest that ever was.
        (Names: nobody here has the same.)
        """
        alive = {link for link in member.links if not self.contacts[link].is_deleted}
        if member.status is None or (alive and alive == member.links and member.is_linked):
            return
        owners = self.owners(member.address)
        group = self.things[member.list_id][SUBSCRIPTION]
        added = [c for c in owners if c.places[group].status == "Added"]
        known = [c for c in owners if c.places[group].words != {None}]
        best = (added or known or owners)[:1]
        found = {contact.contact_id for contact in best}
        member.links = alive | found
        member.is_linked = is_certain and bool(member.links)

    # What is right

    def mailchimp_words(self, contact: Contact, list_id: str, thing: str) -> set[Word | None]:
        """All that the contact may say at Mailchimp."""
        sure: list[Member] = []
        perhaps: list[Member] = []
        shared: list[Member] = []
        for member in self.members_of(contact, list_id):
            if member.links == {contact.contact_id}:
                # Whether the interests of somebody who is out say anything, nobody can tell.
                is_sure = thing == SUBSCRIPTION or member.is_in
                (sure if is_sure else perhaps).append(member)
            elif contact.contact_id in member.links:
                perhaps.append(member)
            else:
                shared.append(member)
        found: set[Word | None] = set()
        for more in chain.from_iterable(
            combinations(perhaps, count) for count in range(len(perhaps) + 1)
        ):
            others = [m for m in perhaps if m not in more]
            found |= self._words_of([*sure, *more], [*shared, *others], thing)
        return found

    def _words_of(self, own: list[Member], shared: list[Member], thing: str) -> set[Word | None]:
        found: set[Word | None] = set()
        for words in product(*(member.hearings[thing].words(as_own=True) for member in own)):
            said = summed(words)
            if said is not None or not shared:
                found.add(said)
                continue
            if own:  # it has a member of its own who says nothing; has it none, in that sense?
                found.add(None)
            for others in product(*(m.hearings[thing].words(as_own=False) for m in shared)):
                found.add(summed(others))
        return found

    def allowed(self, contact: Contact, list_id: str, thing: str) -> set[Word | None]:
        """All that may be right about a contact now; None: nobody has said anything."""
        place = contact.places[self.things[list_id][thing]]
        found = {
            agree(mailchimp, civicrm, agreed)
            for mailchimp in self.mailchimp_words(contact, list_id, thing)
            for civicrm in place.words
            for agreed in contact.agreed[list_id, thing]
        }
        takes_part = place.status is not None or place.words != {None}
        if not takes_part and not self._has_own(contact, list_id):
            found.add(None)  # who only has the address of a member need not be in the audience
        return found

    def _has_own(self, contact: Contact, list_id: str) -> bool:
        return any(
            contact.contact_id in member.links for member in self.members_of(contact, list_id)
        )

    def values(self, contact: Contact, list_id: str, thing: str) -> set[bool]:
        """Whether the contact may have to be in, and whether out."""
        return {word is not None and word.is_in for word in self.allowed(contact, list_id, thing)}

    def settle(self, contact: Contact, list_id: str, thing: str, *, is_certain: bool) -> None:
        """It was judged, or may have been: what is right now is remembered."""
        found = self.allowed(contact, list_id, thing)
        agreed = contact.agreed[list_id, thing]
        contact.agreed[list_id, thing] = found if is_certain else agreed | found

    # Trust

    def trust(
        self, contact: Contact, list_id: str, thing: str, side: str, now: datetime
    ) -> set[Word | None]:
        """All that may be right in a run that trusts a side."""
        members = [m for m in self.members_of(contact, list_id) if m.status is not None]
        known = [m for m in members if m.status != "transactional"]
        found = self.allowed(contact, list_id, thing)
        if not members:
            # One side does not know the person; whether it still does who vanished, nobody says.
            return found | self._trust_vanished(contact, list_id, thing, side, now)
        if side == "civicrm":
            place = contact.places[self.things[list_id][thing]]
            word = Word(now, place.status == "Added")
            is_known = place.status is not None or place.words != {None}
            return {word} if is_known else {word, *found}
        if not known:
            return found
        if thing != SUBSCRIPTION:
            return self._trust_interest(contact, known, thing, found, now)
        return self._trust_status(contact, known, found, now)

    def _trust_vanished(
        self, contact: Contact, list_id: str, thing: str, side: str, now: datetime
    ) -> set[Word | None]:
        if not any(member.was_there for member in self.members_of(contact, list_id)):
            return set()
        is_added = contact.places[self.things[list_id][thing]].status == "Added"
        return {Word(now, side == "civicrm" and is_added)}

    def _trust_status(
        self, contact: Contact, members: list[Member], found: set[Word | None], now: datetime
    ) -> set[Word | None]:
        own = [m for m in members if contact.contact_id in m.links]
        sure = [m for m in own if m.links == {contact.contact_id}]
        if any(member.is_in for member in sure or members):
            both = {True} if sure or all(m.is_in for m in members) else {True, False}
            return {Word(now, is_in) for is_in in both}
        muted = [m for m in members if m.hearings[SUBSCRIPTION].is_ours]
        if not muted:
            return {Word(now, False)}
        # One whom we took out stands for what was agreed when we did.
        agreed = contact.agreed[members[0].list_id, SUBSCRIPTION] | found
        return {Word(now, word is not None and word.is_in) for word in agreed}

    def _trust_interest(
        self,
        contact: Contact,
        members: list[Member],
        thing: str,
        found: set[Word | None],
        now: datetime,
    ) -> set[Word | None]:
        ins = [m for m in members if m.is_in and m.links == {contact.contact_id}]
        marks = {bool(member.hearings[thing].shown) for member in ins or members}
        trusted: set[Word | None] = {Word(now, mark) for mark in marks}
        return trusted if ins else trusted | found  # does the mark count of somebody who is out?

    # Who may be mailed

    def may_stay_in(self, member: Member, contact: Contact) -> bool:
        """Whether the member may be in at Mailchimp for the sake of this contact, who is in."""
        if contact.is_open:
            return True
        came_since = member.came_at is not None and member.came_at > contact.open_seen_at
        return came_since and not contact.is_dead

    def may_be_muted(self, member: Member, contact: Contact) -> bool:
        """Whether the member may be taken out because the contact may not be mailed."""
        if False not in contact.may_be_mailed:
            return False
        closed = contact.closed_seen_at
        is_later = closed is not None and member.came_at is not None and member.came_at > closed
        return contact.is_dead or not is_later

    def note_gates(self, now: datetime) -> None:
        """A certain look at who may be mailed."""
        for contact in self.contacts.values():
            contact.is_known_deleted = contact.is_deleted
            contact.known_addresses = set(contact.addresses)
            contact.may_be_mailed = {contact.is_open}
            if contact.is_open:
                contact.open_seen_at, contact.closed_seen_at = now, None
            elif contact.closed_seen_at is None:
                contact.closed_seen_at = now
