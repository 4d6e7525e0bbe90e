"""The ground of a random world: two audiences over one site, and what must hold there.

`Ground` keeps the town, the model of `words.py`, the story so far, and the complaints: whatever
mcsync does, or leaves undone, that the model cannot explain.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path

from mcsync.sandbox.mailchimp.holds import HeldBatch
from mcsync.sandbox.mailchimp.troubles import Refusal
from mcsync.sandbox.town import Town
from tests.scenario.aftermath import find_unsettled
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.words import SUBSCRIPTION, Belief, Contact, Member, Model, Shown

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
OTHER, OTHER_GROUP = "bbbbbbbbbb", 444
LISTS = (LIST, OTHER)
THINGS = {LIST: {SUBSCRIPTION: GROUP, VOLUNTEERING: VOLUNTEERS}, OTHER: {SUBSCRIPTION: OTHER_GROUP}}
PEARL = "pearl@example.org"
MOST_TRIES = 4  # then what may pass is given up; more is for good


@dataclass(frozen=True, slots=True)
class Options:
    """How a world is: how far both services' clocks are from ours, and how they behave."""

    ahead: timedelta = timedelta()
    apart: timedelta = timedelta()  # Mailchimp's clock from CiviCRM's; a second at most
    is_final: bool = False  # an unsubscribe by the API counts as the person's own
    removal: str = "unsubscribe"
    reconfirm: str = "pending"


@dataclass(slots=True)
class Flight:
    """An operation of ours that is under way; `before` is what was believed when it was done."""

    batch_id: str | None
    address: str
    list_id: str
    keys: dict[str, Shown]
    is_done: bool = False
    is_served: bool = False
    before: dict[str, set[Belief]] = field(default_factory=dict)


class Ground:
    """The town, the model, and all that is known of what goes on between them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._folder = tempfile.TemporaryDirectory(dir=_fast_folder())
        self.town = Town(START)
        self.town.mailchimp_clock.ahead = options.ahead + options.apart
        self.town.civicrm_clock.ahead = options.ahead
        self.mailchimp, self.civicrm = self.town.mailchimp, self.town.civicrm
        self.mailchimp.settings.batch_delay_polls = 0
        self.mailchimp.settings.api_unsubscribe_is_final = options.is_final
        self.bedrock = Bedrock(self.town, Path(self._folder.name))
        self.town.add_audience(OTHER, "Second audience", OTHER_GROUP, {})
        for list_id in LISTS:
            more = {"removal": options.removal, "reconfirm": options.reconfirm}
            self.town.lists[list_id].update(more)
        self.model = Model(THINGS)
        self.story: list[str] = []
        self.complaints: list[str] = []
        self.flights: list[Flight] = []
        self.holds: list[HeldBatch] = []
        self.refusals: list[tuple[str, str, Refusal]] = []
        self.given_up: dict[str, int] = {}
        self.wishes: dict[object, datetime] = {}  # by contact id, or (list, address)
        self.asked: dict[tuple[str, str], datetime] = {}
        self.claimed: dict[tuple[str, str], datetime] = {}  # asked, or meant to be
        self.born: dict[int, datetime] = {}  # contacts that staff made, or that we made, and when
        self.window: dict[tuple[int, str, str], set[bool]] = {}
        self.run_began: datetime | None = None
        self.kept_in: set[tuple[str, str]] = set()  # whose removal Mailchimp refused
        self.is_lossy = False
        self.pearl = 0
        self._pearl: object = None
        self.has_purged = False

    def close(self) -> None:
        """Stop; the town was never started, as nobody comes by socket."""
        self.town.mailchimp_server._httpd.server_close()
        self.town.civicrm_server._httpd.server_close()
        self._folder.cleanup()

    @property
    def now(self) -> datetime:
        """Our own time."""
        return self.town.clock()

    def pass_time(self, **length: float) -> None:
        """Let time pass; after a week Mailchimp no longer tells of old batches."""
        self.bedrock.pass_time(**length)
        if timedelta(**length) >= timedelta(days=6):
            self.lose_flights()

    def tell(self, line: str) -> None:
        """One more line of the story."""
        self.story.append(f"{self.now:%d %H:%M:%S} {line}")

    def complain(self, line: str) -> None:
        """Something happened that must not."""
        self.tell(f"!!! {line}")
        self.complaints.append(line)

    def has_wish(
        self, list_id: str, address: str, asked_at: Mapping[tuple[str, str], datetime]
    ) -> bool:
        """Whether somebody wished that they be in after they were asked last."""
        member = self.model.member(list_id, address)
        people = self.model.people_of(member)
        wishes = [self.wishes.get(c.contact_id) for c in people]
        wishes.append(self.wishes.get((list_id, address)))
        asked = asked_at.get((list_id, address))
        return any(wish is not None and (asked is None or wish > asked) for wish in wishes)

    def _is_under_way(self, member: Member) -> bool:
        return any(
            (flight.list_id, flight.address) == (member.list_id, member.address)
            for flight in self.flights
            if not flight.is_served
        )

    def _was_in(self, list_id: str, address: str) -> bool:
        member = self.model.member(list_id, address)
        seen = {belief.seen for belief in member.hearings[SUBSCRIPTION].beliefs}
        return member.is_in or bool({("subscribed", False), ("pending", False)} & seen)

    @property
    def has_vanished(self) -> bool:
        """Whether somebody may be known to mcsync who is no longer at Mailchimp."""
        return any(
            member.status is None and member.was_there for member in self.model.members.values()
        )

    def _civicrm_now(self) -> datetime:
        return self.town.civicrm_clock().replace(microsecond=0)

    def lose_flights(self) -> None:
        """Results that were not served by now never will be."""
        for flight in self.flights:
            member = self.model.member(flight.list_id, flight.address)
            for thing, before in flight.before.items():
                member.hearings[thing].beliefs |= before
            flight.is_done = flight.is_served = True

    # --- what must hold -----------------------------------------------------------------------

    def _values(self, contact: Contact, list_id: str, thing: str) -> set[bool]:
        found = self.window.get((contact.contact_id, list_id, thing), set())
        return found | self.model.values(contact, list_id, thing)

    def _check_status(self, list_id: str, address: str, status: str) -> None:
        member = self.model.member(list_id, address)
        people = self.model.known_people_of(member)
        if status in ("subscribed", "pending"):
            if not any(
                True in self._values(contact, list_id, SUBSCRIPTION)
                and True in contact.may_be_mailed
                for contact in people
            ):
                self.complain(f"{address} is sent {status} in {list_id[:1]}, and nobody wants it")
            return
        may_be_out = any(
            False in self._values(contact, list_id, SUBSCRIPTION)
            or self.model.may_be_muted(member, contact)
            for contact in people
        )
        stands = [contact for contact in people if self._surely_stands(contact, member)]
        if not may_be_out or stands:
            self.complain(f"{address} is sent {status} in {list_id[:1]}, and nobody wants it")

    def _surely_stands(self, contact: Contact, member: Member) -> bool:
        """Whether nobody can want the member out who knows of this contact."""
        others = [
            other
            for other in self.model.members_of(contact, member.list_id)
            if other is not member and other.is_in
        ]
        return (
            not contact.is_deleted
            and self._values(contact, member.list_id, SUBSCRIPTION) == {True}
            and contact.may_be_mailed == {True}
            and not others
        )

    def _check_place(self, contact: Contact, group: int, status: str) -> None:
        if contact.is_deleted or self.born[contact.contact_id] >= (self.run_began or self.now):
            return
        for list_id, things in THINGS.items():
            for thing, group_id in things.items():
                if group_id != group:
                    continue
                values = self._values(contact, list_id, thing)
                if (status == "Added") not in values:
                    self.complain(f"contact {contact.contact_id} is {status} in {group}: {values}")

    def note_window(self) -> None:
        """What may be right at this moment counts as right until the run has ended."""
        for contact in self.model.contacts.values():
            if contact.is_known_deleted:
                continue
            for list_id, things in THINGS.items():
                for thing in things:
                    key = (contact.contact_id, list_id, thing)
                    found = self.model.values(contact, list_id, thing)
                    self.window.setdefault(key, set()).update(found)

    def check_soon(self) -> None:
        """Minutes after everybody stopped acting, what is surely right is done.

        Unless Mailchimp refused something about the person, which may take longer; but who is to
        be out is out, if just that was not refused. What leaves no trace may take longer, too.
        """
        places = [p for contact in self.model.contacts.values() for p in contact.places.values()]
        if self.has_purged or any(place.is_unexplained for place in places):
            return
        for contact in self.model.contacts.values():
            members = [m for list_id in LISTS for m in self.model.members_of(contact, list_id)]
            addresses = {*contact.addresses, *(member.address for member in members)}
            if not contact.is_deleted and addresses.isdisjoint(self.given_up):
                for list_id in LISTS:
                    self._check_contact(contact, list_id)
        for member in self.model.members.values():
            if member.is_in and (member.list_id, member.address) not in self.kept_in:
                self._check_member(member)

    def check_end(self) -> None:
        """Everything is as the model says."""
        for contact in self.model.contacts.values():
            if not contact.is_deleted:
                for list_id in LISTS:
                    self._check_contact(contact, list_id)
        for member in self.model.members.values():
            if member.is_in:
                self._check_member(member)
        if self._look_at_pearl() != self._pearl:
            self.complain("Pearl was touched")
        self._check_rows()

    def _look_at_pearl(self) -> object:
        contact = self.civicrm.contact(self.pearl)
        members = [self.mailchimp.member(list_id, PEARL) for list_id in LISTS]
        return contact, members, len(self.civicrm.history(self.pearl))

    def _check_contact(self, contact: Contact, list_id: str) -> None:
        group = THINGS[list_id][SUBSCRIPTION]
        is_added = contact.places[group].status == "Added"
        values = self.model.values(contact, list_id, SUBSCRIPTION)
        members = self.model.members_of(contact, list_id)
        is_any_in = any(member.is_in for member in members)
        who = f"contact {contact.contact_id} {sorted(contact.addresses)} in {list_id[:1]}"
        state = f"{contact.places[group].status}; {[(m.address, m.status) for m in members]}"
        if is_added not in values and not (is_added and is_any_in):
            self.complain(f"{who}: {state}, right is {values}: {self._reasons(contact, list_id)}")
        elif is_added and True in values and contact.is_open and not is_any_in:
            if not self._is_impossible(contact, list_id):
                self.complain(f"{who}: {state}, and could be subscribed")
        elif is_added and list_id == LIST and contact.is_open:
            self._check_interest(contact, members, who)

    def _check_interest(self, contact: Contact, members: list[Member], who: str) -> None:
        if len(members) != 1 or not members[0].is_in or members[0].links != {contact.contact_id}:
            return  # whose mark it is cannot be told
        [member] = members
        if len(self.model.people_of(member)) > 1 or member.address in self.given_up:
            return
        mark = bool(member.hearings[VOLUNTEERING].shown)
        place = contact.places[VOLUNTEERS].status == "Added"
        values = self.model.values(contact, LIST, VOLUNTEERING)
        if mark != place or place not in values:
            self.complain(
                f"{who}: volunteers {mark} at Mailchimp, {place} in the group, right is {values}: "
                f"{self.model.mailchimp_words(contact, LIST, VOLUNTEERING)}, "
                f"{contact.places[VOLUNTEERS].words}, {contact.agreed[LIST, VOLUNTEERING]}"
            )

    def _reasons(self, contact: Contact, list_id: str) -> str:
        group = THINGS[list_id][SUBSCRIPTION]
        return (
            f"Mailchimp {self.model.mailchimp_words(contact, list_id, SUBSCRIPTION)}, "
            f"CiviCRM {contact.places[group].words}, "
            f"agreed {contact.agreed[list_id, SUBSCRIPTION]}"
        )

    def _is_impossible(self, contact: Contact, list_id: str) -> bool:
        """Whether none of the contact's addresses can be subscribed."""
        audience = self.mailchimp.audiences[list_id]
        has_own = any(  # so nobody makes a second one
            member.status is not None and contact.contact_id in member.links
            for member in self.model.members_of(contact, list_id)
        )
        for address in contact.addresses - contact.held:
            record = audience.by_address(address)
            if has_own and record is None:
                continue
            key = md5(address.encode(), usedforsecurity=False).hexdigest()
            barred = record.barred if record else audience.barred.get(key, "")
            is_asked = not self.has_wish(list_id, address, self.claimed)
            is_asked |= self.options.reconfirm == "never"
            if not (
                barred == "bounced"
                or (record is not None and record.status == "cleaned")
                or key in audience.forgotten
                or self.given_up.get(address, 0) >= MOST_TRIES
                or (barred == "left" and is_asked)
            ):
                return False
        return True

    def _check_member(self, member: Member) -> None:
        key = (member.list_id, member.address)
        people = self.model.people_of(member)
        group = THINGS[member.list_id][SUBSCRIPTION]
        for contact in people:
            is_added = contact.places[group].status == "Added"
            if is_added and self.model.may_stay_in(member, contact):
                return
        if self.given_up.get(member.address, 0) >= MOST_TRIES and key in self.kept_in:
            return
        state = [(c.contact_id, c.places[group].status, c.is_open) for c in people]
        self.complain(
            f"{member.address} is {member.status} in {member.list_id[:1]}, "
            f"and nobody stands for it: {state}"
        )

    def _check_rows(self) -> None:
        for row in find_unsettled(self.bedrock):
            self.complain(f"a row waits for ever: {row}")


def _fast_folder() -> str | None:
    """Memory instead of a disk, where there is such a folder: caches are written a lot."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
