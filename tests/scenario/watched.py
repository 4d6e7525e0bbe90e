"""What mcsync does at both services, as a random world sees it, and tells the model."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from mcsync.sandbox.mailchimp.people import NO_REASON_GIVEN
from mcsync.sandbox.mailchimp.state import Member as Record
from mcsync.sandbox.mailchimp.state import Operation
from mcsync.sandbox.mailchimp.troubles import Refusal
from mcsync.sandbox.mailchimp.world import LoggedOperation
from mcsync.sandbox.server import Request, Response
from mcsync.sandbox.town import API_KEY
from tests.scenario.ground import LISTS, MOST_TRIES, THINGS, Flight, Ground, Options
from tests.scenario.words import SUBSCRIPTION, Contact, Member, Shown, Word, status_says

# Not tried again until something human changes; anything else is, with ever longer pauses.
FOR_GOOD = ("fake", "forgotten", "no-address")


class Watched(Ground):
    """Ground where every operation, record and history line that mcsync writes is looked at."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._system = set(self.civicrm.store.contacts.rows)
        self._history = 0
        self._batches: set[str] = set()
        self._served: set[str | None] = set()  # the batches whose results were given out
        self._operations = 0
        self._mails = 0
        self._addresses: dict[tuple[str, str], str] = {}  # (list, contact id at Mailchimp)
        self._hashes: dict[str, str] = {}
        self._hits: dict[Refusal, int] = {}
        self.town.mailchimp_server.after_request = self._note_served

    def catch_up(self) -> None:
        """Take note of all that mcsync did at both services since last time."""
        self._note_batches()
        self._note_operations()
        self.refresh(by_us=True)
        self._note_mails()
        self.mirror()
        self._note_history()
        self._note_refusals()

    def refresh(self, *, by_us: bool) -> None:
        """See what the records show now; what no human is known to have changed, we did."""
        records = self._read_records()
        self._rename(records)
        for key in {*records, *self.model.members}:
            member, record = self.model.member(*key), records.get(key)
            if record is not None:
                member.was_there = True
                member.changed_at = datetime.fromtimestamp(record.last_changed, UTC)
            for thing, shown in show(record, member.list_id).items():
                if member.hearings[thing].shown == shown:
                    continue
                if by_us:
                    member.hearings[thing].write(shown)
                else:
                    at = self.town.mailchimp_clock().replace(microsecond=0)
                    member.hearings[thing].hear(shown, at)

    def _read_records(self) -> dict[tuple[str, str], Record]:
        return {
            (list_id, record.email.lower()): record
            for list_id in LISTS
            for record in self.mailchimp.audience(list_id).members.values()
        }

    def _rename(self, records: Mapping[tuple[str, str], Record]) -> None:
        """Follow members who have another address now."""
        for (list_id, address), record in records.items():
            self._hashes[record.id] = address
            key = (list_id, record.contact_id)
            old = self._addresses.get(key)
            if old not in (None, address):
                member = self.model.members.pop((list_id, str(old)), None)
                if member is not None:
                    member.address = address
                    self.model.members[list_id, address] = member
                self.wishes[list_id, address] = self.now
            self._addresses[key] = address

    def _note_batches(self) -> None:
        for batch in list(self.mailchimp.accounts[API_KEY].batches.values()):
            if batch.id not in self._batches:
                self._batches.add(batch.id)
                for operation in batch.operations:
                    self._take_off(operation, batch.id)

    def _take_off(self, operation: Operation, batch_id: str | None) -> Flight | None:
        """An operation of ours was posted: is it right, as far as anybody can know?"""
        body = _body_of(operation.body)
        parts = operation.path.strip("/").split("/")
        if parts[0] != "lists" or len(parts) < 4 or operation.method == "GET":
            return None
        address = str(body.get("email_address") or "").lower()
        address = self._hashes.get(parts[3]) or address or parts[3]
        status = "archived" if operation.method == "DELETE" else body.get("status")
        keys: dict[str, Shown] = {}
        if status:
            keys[SUBSCRIPTION] = (str(status), False)
            self._check_status(parts[1], address, str(status))
            if status == "pending":  # counts as asked from now on, whatever becomes of it
                self.claimed[parts[1], address] = self.run_began or self.now
        interests = body.get("interests")
        if isinstance(interests, dict):
            keys |= {interest: bool(wants) for interest, wants in interests.items()}
        flight = Flight(batch_id, address, parts[1], keys, is_served=batch_id in self._served)
        if batch_id is not None:
            self.tell(f"posted in {batch_id}: {parts[1][:1]} {address} {keys}")
        self.flights.append(flight)
        return flight

    def _note_operations(self) -> None:
        operations = self.mailchimp.operations
        for logged in operations[self._operations :]:
            flight = self._find_flight(logged)
            if flight is not None:
                is_refused = logged.status >= 300
                if is_refused and status_says(flight.keys.get(SUBSCRIPTION, ("pending",))) is False:
                    self.kept_in.add((flight.list_id, flight.address))
                if logged.status < 300:
                    self._land(flight)
                elif logged.batch_id is None:
                    flight.is_served = True
            self.tell(_describe(logged, flight))
        self._operations = len(operations)

    def _find_flight(self, logged: LoggedOperation) -> Flight | None:
        if logged.batch_id is None:
            operation = Operation(logged.method, logged.path, None, {}, logged.body)
            return self._take_off(operation, None)
        operation = Operation(logged.method, logged.path, None, {}, logged.body)
        parts = logged.path.strip("/").split("/")
        for flight in self.flights:
            if flight.batch_id == logged.batch_id and not flight.is_done:
                body = _body_of(logged.body)
                address = str(body.get("email_address") or "").lower()
                if flight.address in (self._hashes.get(parts[3]), address, parts[3]):
                    return flight
        return None

    def _land(self, flight: Flight) -> None:
        flight.is_done = True
        member = self.model.member(flight.list_id, flight.address)
        is_new = member.status is None
        flight.before = {thing: set(h.beliefs) for thing, h in member.hearings.items()}
        for thing, hearing in member.hearings.items():
            if thing in flight.keys:
                hearing.note_done(flight.keys[thing], is_certain=not self.is_lossy)
            elif is_new and thing != SUBSCRIPTION:
                hearing.note_done(False, is_certain=not self.is_lossy)
        if is_new:
            group = THINGS[member.list_id][SUBSCRIPTION]
            people = self.model.known_people_of(member)
            added = [c for c in people if c.places[group].status == "Added"]
            member.links |= {contact.contact_id for contact in added or people}
        if SUBSCRIPTION in flight.keys:
            self._note_cause(member, is_in=bool(status_says(flight.keys[SUBSCRIPTION])))

    def _note_cause(self, member: Member, *, is_in: bool) -> None:
        people = self.model.known_people_of(member)
        words: set[Word | None] = set()
        for contact in people:
            if contact.contact_id in member.links or not member.links:
                words |= contact.agreed[member.list_id, SUBSCRIPTION]
                words |= self.model.allowed(contact, member.list_id, SUBSCRIPTION)
        causes = {word for word in words if word is not None and word.is_in == is_in}
        is_gate = not is_in and any(False in contact.may_be_mailed for contact in people)
        is_alone = len(people) == 1
        member.hearings[SUBSCRIPTION].take_cause(causes, is_certain=is_alone and not is_gate)

    def _note_served(self, request: Request, response: Response) -> None:
        if not request.path.startswith("/batch-results/"):
            return
        batch_id = request.path.rpartition("/")[2][:10]
        batch = self.mailchimp.accounts[API_KEY].batches.get(batch_id)
        if batch is not None and response.body == batch.archive:
            self._served.add(batch_id)
            for flight in self.flights:
                flight.is_served |= flight.batch_id == batch_id

    def _note_mails(self) -> None:
        mails = self.mailchimp.confirmation_mails
        for mail in mails[self._mails :]:
            key = (mail.list_id, mail.email.lower())
            self.tell(f"{mail.email} is asked to confirm ({mail.list_id[:1]})")
            if not self.has_wish(*key, self.asked):
                self.complain(f"{mail.email} was asked twice for one wish")
            self.asked[key] = self.run_began or self.now
        self._mails = len(mails)

    def _note_refusals(self) -> None:
        for address, kind, refusal in self.refusals:
            news = refusal.hits - self._hits.get(refusal, 0)
            if news > 0:
                self._hits[refusal] = refusal.hits
                count = MOST_TRIES if kind in FOR_GOOD else news
                self.given_up[address] = self.given_up.get(address, 0) + count

    def mirror(self) -> None:
        """See the contacts as they are; one that nobody made was made by mcsync."""
        for contact_id in sorted(set(self.civicrm.store.contacts.rows) - self._system):
            if contact_id not in self.born:
                self._note_born(contact_id)
            self._mirror_contact(self.model.contact(contact_id))
        for contact_id, contact in self.model.contacts.items():
            if contact_id not in self.civicrm.store.contacts.rows:
                contact.is_deleted = True

    def _mirror_contact(self, contact: Contact) -> None:
        view = self.civicrm.contact(contact.contact_id)
        assert view is not None
        contact.addresses = {e.email.lower() for e in view.emails if e.email}
        contact.known_addresses |= contact.addresses
        contact.held = {e.email.lower() for e in view.emails if e.email and e.on_hold}
        contact.is_deleted, contact.is_dead = view.is_deleted, view.is_deceased
        contact.is_open = bool(contact.addresses - contact.held) and not (
            view.is_deceased or view.is_opt_out or view.do_not_email
        )
        contact.may_be_mailed.add(contact.is_open)
        for group, place in contact.places.items():
            status = self.civicrm.group_status(contact.contact_id, group)
            if status != place.status:
                place.status = status

    def _note_born(self, contact_id: int) -> None:
        """A contact of ours: nobody else may have had its address, and it is in."""
        self.born[contact_id] = self.now
        contact = self.model.contact(contact_id)
        self._mirror_contact(contact)
        self.tell(f"mcsync makes contact {contact_id} of {', '.join(contact.addresses)}")
        for address in contact.addresses:
            for other in self.model.owners(address):
                if other is not contact and self.born[other.contact_id] < (
                    self.run_began or self.now
                ):
                    self.complain(f"{address} has contact {other.contact_id} already")
            for list_id in LISTS:
                member = self.model.member(list_id, address)
                others = [self.model.contacts[link] for link in member.links]
                if member.status is not None and all(other.is_deleted for other in others):
                    member.links = {contact_id}
                    both = {True} if self._was_in(list_id, address) else {True, False}
                    found = {Word(self._civicrm_now(), is_in) for is_in in both}
                    contact.agreed[list_id, SUBSCRIPTION] |= found
                    self.wishes[contact_id] = self.now
                    for thing in set(THINGS[list_id]) - {SUBSCRIPTION}:  # as the member shows
                        mark = bool(member.hearings[thing].shown)
                        contact.agreed[list_id, thing] |= {Word(self._civicrm_now(), mark)}
        if not any(
            self.model.member(list_id, address).came_at or self._was_in(list_id, address)
            for address in contact.addresses
            for list_id in LISTS
        ):
            self.complain(f"contact {contact_id} is nobody's who is in")

    def _note_history(self) -> None:
        rows = [row for row in self.civicrm.history() if row.id > self._history]
        for row in rows:
            self._history = max(self._history, row.id)
            if not (row.tracking or "").startswith("mcsync"):
                continue
            self.tell(f"mcsync: contact {row.contact_id} {row.status} in {row.group_id}")
            contact = self.model.contact(row.contact_id)
            place = contact.places[row.group_id]
            place.known.add(row.status)
            if place.is_unexplained:
                place.latest |= {Word(self._civicrm_now(), row.status == "Added")}
                place.words |= place.latest
                place.is_unexplained = False
            self._check_place(contact, row.group_id, row.status)


def show(record: Record | None, list_id: str) -> dict[str, Shown]:
    """What a record shows about each thing; None where there is none."""
    if record is None:
        return dict.fromkeys(THINGS[list_id])
    is_own = record.status == "unsubscribed" and record.unsubscribe_reason == NO_REASON_GIVEN
    shown: dict[str, Shown] = {SUBSCRIPTION: (record.status, is_own)}
    return shown | {
        thing: thing in record.interests for thing in THINGS[list_id] if thing != SUBSCRIPTION
    }


def _body_of(body: object) -> dict[str, object]:
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return {}
    return body if isinstance(body, dict) else {}


def _describe(logged: LoggedOperation, flight: Flight | None) -> str:
    whom = flight.address if flight else logged.path
    body = _body_of(logged.body)
    told = {name: body[name] for name in ("status", "interests", "email_address") if name in body}
    return f"mcsync: {logged.method} {whom} {told}: {logged.status} {logged.title}"
