"""A random world: what people say in it, what mcsync can see of that, and how runs go.

`World` plays runs of mcsync and keeps the model of `words.py` informed of what humans did and of
what mcsync can have seen.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from mcsync.cache.store import Store
from mcsync.cache.webhooks import save_events
from mcsync.cli.session import watch
from mcsync.errors import McsyncError
from mcsync.model import Side, WebhookEvent
from mcsync.pipeline.abort import abort
from mcsync.pipeline.fetch import Window
from mcsync.pipeline.handle_webhooks import handle_webhooks
from mcsync.pipeline.resync import resync_failed
from mcsync.pipeline.run import Run
from mcsync.pipeline.sync import sync
from mcsync.pipeline.sync_contact import sync_contact
from mcsync.sandbox.mailchimp.batches import Oddities
from mcsync.sandbox.mailchimp.holds import HeldBatch
from mcsync.sandbox.mailchimp.problems import PROBLEMS
from mcsync.sandbox.mailchimp.state import Operation
from mcsync.sandbox.town import API_KEY
from tests.scenario.faults import DEATH, FAULTS
from tests.scenario.ground import LISTS, PEARL, START, THINGS, Options
from tests.scenario.postal import Post
from tests.scenario.watched import Watched, show
from tests.scenario.wire import Death, Mortal, direct_wire
from tests.scenario.words import SUBSCRIPTION, Look, Member, Word

SUBSCRIBED_BY = frozenset(things[SUBSCRIPTION] for things in THINGS.values())
ONLY_SUBSCRIBES = ("fake", "forgotten", "no-address", "compliance-state")
LONG_BEFORE = START - timedelta(days=400)
Acts = Sequence[Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls a run at its `at`-th request, or place to die at: DEATH, or one of FAULTS."""

    kind: str
    at: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What goes on during a run.

    One of `acts` comes before each request from number `after` on; one of `between` before each
    operation of our batches.
    """

    acts: Acts = ()
    after: int = 0
    between: Acts = ()
    trouble: Trouble | None = None

    @property
    def is_anything(self) -> bool:
        """Whether anything does."""
        return bool(self.acts or self.between or self.trouble)


UNDISTURBED = Meanwhile()


@dataclass(frozen=True, slots=True)
class How:
    """What kind of run it is."""

    lists: tuple[str, ...] = LISTS
    window: timedelta | None = None  # --since so long before now
    is_full: bool = False  # --since ever
    trust: tuple[tuple[str, str], ...] = ()  # thing and side
    waits: bool = True

    @property
    def told(self) -> str:
        """For the story."""
        told = ["sync"]
        if self.lists != LISTS:
            told.append(f"--list {self.lists[0][:1]}")
        if self.is_full or self.window is not None:
            told.append(f"--since {'ever' if self.is_full else self.window}")
        told += [f"--trust {thing}={side}" for thing, side in self.trust]
        return " ".join(told)


class World(Watched):
    """The town, mcsync, and the model that watches them."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.post = Post(self.bedrock, LISTS)
        self._compared_at = LONG_BEFORE
        self._trusted: Mapping[str, str] = {}  # what the run that goes on trusts, and whom
        self.has_synced = False

    def add_contact(self, name: str, *addresses: str) -> int:
        """A contact that staff make."""
        contact_id = self.civicrm.add_contact(name.title(), "Flintstone", addresses)
        self.born[contact_id] = self.now
        self.model.contact(contact_id)
        self.mirror()
        self.tell(f"{name} ({', '.join(addresses)}) is contact {contact_id}")
        return contact_id

    def import_member(self, list_id: str, address: str, status: str, *, left: bool = False) -> None:
        """A member who was there before."""
        self.mailchimp.import_member(list_id, address, status, left=left)
        self.tell(f"{address} is {status}{' (left)' if left else ''} in {list_id[:1]}")
        self.heard(list_id, address, SUBSCRIPTION)

    def add_pearl(self) -> None:
        """The bystander, in everywhere, of whom nobody talks."""
        self.pearl = self.add_contact("pearl", PEARL)
        for list_id in LISTS:
            self.import_member(list_id, PEARL, "subscribed")
            self.bedrock.pass_time(seconds=2)
            self.staff_say(self.pearl, THINGS[list_id][SUBSCRIPTION], "Added")
            self.bedrock.pass_time(seconds=2)
        self._pearl = self._look_at_pearl()

    def heard(self, list_id: str, address: str, thing: str | None) -> None:
        """A human has just acted at Mailchimp, about a thing (None: about the record itself)."""
        at = self.town.mailchimp_clock().replace(microsecond=0)
        records = self._read_records()
        self._rename(records)
        member = self.model.member(list_id, address)
        shown = show(records.get((list_id, address)), list_id)
        was_in = member.is_in
        for each, hearing in member.hearings.items():
            if each == thing or hearing.shown != shown[each]:
                hearing.hear(shown[each], at)
        if member.is_in and not was_in:
            member.came_at = self.now
            self.wishes[list_id, address] = self.now
        self.something_changed(address)
        self.refresh(by_us=False)

    def staff_say(self, contact_id: int, group: int, status: str) -> None:
        """Staff add, remove or pend a contact, and the history tells."""
        acts: dict[str, Callable[[int, int], object]] = {
            "Added": self.civicrm.add_to_group,
            "Removed": self.civicrm.remove_from_group,
            "Pending": self.civicrm.pend_in_group,
            "Deleted": self.civicrm.delete_from_group,
        }
        acts[status](contact_id, group)
        place = self.model.contact(contact_id).places[group]
        word = Word(self._civicrm_now(), status == "Added")
        if status == "Pending":
            place.hear_pending(word.at)
        else:
            place.hear(word)
        if status == "Added":
            self.wishes[contact_id] = self.now
        self._touched(contact_id, group)

    def sql_says(self, contact_id: int, group: int, status: str | None) -> None:
        """A place changes without a history line."""
        self.civicrm.sql_set_membership(contact_id, group, status)
        self.model.contact(contact_id).places[group].is_unexplained = True
        if status == "Added":
            self.wishes[contact_id] = self.now
        self._touched(contact_id, group)

    def lose_contact(self, contact_id: int, *, is_purged: bool = False) -> None:
        """A contact is gone: its members stand alone, or become another's."""
        contact = self.model.contacts[contact_id]
        contact.is_deleted = True
        self.has_purged |= is_purged
        left = [m.address for m in self.model.members.values() if contact_id in m.links]
        for address in {*contact.addresses, *left}:
            self.something_changed(address)
            for heir in self.model.owners(address):
                self.doubt(heir.contact_id)
        self.mirror()

    def merge_contacts(self, winner: int, loser: int) -> None:
        """Members, places and what was said go over to the winner, nobody can say which word."""
        kept, lost = self.model.contacts[winner], self.model.contacts[loser]
        for member in self.model.members.values():
            if loser in member.links:
                member.links = (member.links - {loser}) | {winner}
        for group, place in kept.places.items():
            place.words |= lost.places[group].words
            place.latest |= lost.places[group].latest
            place.is_unexplained = True
        for key, agreed in kept.agreed.items():
            agreed |= lost.agreed[key]
        self.doubt(winner)
        self.lose_contact(loser)

    def take_address(self, contact_id: int, address: str) -> None:
        """A contact has one more address, which may be somebody's in an audience."""
        for list_id in LISTS:
            self.wishes[list_id, address] = self.now
        self._touched(contact_id)

    def doubt(self, contact_id: int) -> None:
        """From now on both in and out may be right for a contact, until a human says more."""
        contact = self.model.contacts[contact_id]
        at = self._civicrm_now()
        for agreed in contact.agreed.values():
            agreed |= {Word(at, True), Word(at, False)}
        self.wishes[contact_id] = self.now

    def _touched(self, contact_id: int, group: int | None = None) -> None:
        """Something about a contact changed, or just their place in a group.

        To volunteer, too, is no new wish to subscribe whoever is not in.
        """
        contact = self.model.contact(contact_id)
        is_about_all = group is None or group in SUBSCRIBED_BY
        members = [m for list_id in LISTS for m in self.model.members_of(contact, list_id)]
        for address in contact.addresses:
            if is_about_all or any(m.is_in for m in members if m.address == address):
                self.something_changed(address)
        self.mirror()

    def something_changed(self, address: str) -> None:
        """Something human changed: what was refused for good may be tried again."""
        self.given_up.pop(address, None)
        for list_id in LISTS:
            self.kept_in.discard((list_id, address))

    # --- what mcsync can know -----------------------------------------------------------------

    def look(
        self, lists: Collection[str], *, is_certain: bool, is_full: bool, is_compare: bool
    ) -> None:
        """mcsync looks at everybody of these audiences, or may."""
        now = self.town.mailchimp_clock().replace(microsecond=0)
        site_now = self._civicrm_now()
        for contact in self.model.contacts.values():
            for list_id in lists:
                for group in THINGS[list_id].values():
                    contact.places[group].look(
                        site_now, is_certain=is_certain, is_compare=is_compare
                    )
        for member in list(self.model.members.values()):
            if member.list_id in lists:
                self._look_at(member, now, is_certain=is_certain, is_full=is_full)
        if is_certain:
            self.model.note_gates(self.now)

    def look_at_one(self, address: str) -> None:
        """mcsync surely looks at the members with an address."""
        now = self.town.mailchimp_clock().replace(microsecond=0)
        for list_id in LISTS:
            if (list_id, address) in self.model.members:
                member = self.model.member(list_id, address)
                self._look_at(member, now, is_certain=True, is_full=True)

    def _look_at(self, member: Member, now: datetime, *, is_certain: bool, is_full: bool) -> None:
        self.model.link(member, is_certain=is_certain)
        people = self.model.people_of(member)
        is_others = member.hearings[SUBSCRIPTION].shown == ("unsubscribed", False)
        # With `removal: "archive"` nobody can tell whom we archived from whom staff did.
        is_archived = self.options.removal == "archive" and member.status == "archived"
        gates = [True in contact.may_be_mailed for contact in people]
        shut = [False in contact.may_be_mailed for contact in people]
        for thing, hearing in member.hearings.items():
            is_status = thing == SUBSCRIPTION and (is_others or is_archived) and bool(people)
            under_way = {
                flight.keys[thing]
                for flight in self.flights
                if not flight.is_done
                and (flight.list_id, flight.address) == (member.list_id, member.address)
                and thing in flight.keys
            }
            look = Look(
                now,
                member.changed_at,
                frozenset(under_way),
                is_ours=is_status and is_others and not any(gates),
                may_be_ours=is_status and any(shut),
            )
            is_missed = member.status is None and not is_full
            hearing.look(look, is_certain=is_certain and not is_missed)

    def judge(
        self,
        lists: Collection[str],
        *,
        is_certain: bool,
        trust: Mapping[str, str] | None = None,
        only: Collection[int] | None = None,
    ) -> None:
        """mcsync judges everybody, or may; what is right then is remembered."""
        now = max(self._civicrm_now(), self.town.mailchimp_clock().replace(microsecond=0))
        now += timedelta(seconds=1)  # after all that this run notices
        for contact in self.model.contacts.values():
            is_meant = only is None or contact.contact_id in only
            for list_id in lists:
                waits = any(
                    self._is_under_way(member) for member in self.model.members_of(contact, list_id)
                )
                for thing in THINGS[list_id]:
                    is_sure = is_certain and is_meant and not waits
                    side = (trust or {}).get(thing)
                    if side is not None:
                        found = self.model.trust(contact, list_id, thing, side, now)
                        agreed = contact.agreed[list_id, thing]
                        contact.agreed[list_id, thing] = found if is_sure else agreed | found
                        self.wishes[contact.contact_id] = self.now
                    else:
                        self.model.settle(contact, list_id, thing, is_certain=is_sure)
        self.note_window()

    # --- running ------------------------------------------------------------------------------

    def running(
        self, what: str, do: Callable[[Store], None], meanwhile: Meanwhile, *, is_certain: bool
    ) -> None:
        """A run, or part of one: the cache is open, the wire too, and people act meanwhile."""
        is_disturbed = self._is_disturbed(meanwhile)
        trouble = meanwhile.trouble
        self.run_began = self.now
        self.tell(f"--- {what}{f', {trouble}' if trouble else ''}")
        try:
            with self._while(meanwhile), closing(self.bedrock.open_store()) as store:
                do(store)
        except Death:
            self.tell("it dies")
        except McsyncError as error:
            self.tell(f"it fails: {type(error).__name__}: {error.message}")
            # A purge is noticed by the next full compare; until then CiviCRM refuses.
            if not is_disturbed and not self.has_purged:
                self.complain(f"an undisturbed run failed: {error.message}")
        self.catch_up()
        if is_disturbed or not is_certain:
            self.maybe(LISTS)
        self.window = {}
        self.flights = [f for f in self.flights if not (f.is_done and f.is_served)]
        if is_certain:
            self.flights = [f for f in self.flights if not f.is_served]
        self.run_began = None
        self.has_synced = self.has_synced and not is_disturbed
        self.bedrock.pass_time(minutes=1)

    def _is_disturbed(self, meanwhile: Meanwhile) -> bool:
        return meanwhile.is_anything or self.mailchimp._troubles.batches_refused != 0

    @contextmanager
    def _while(self, meanwhile: Meanwhile) -> Iterator[None]:
        """The wire, with all that comes over it meanwhile."""
        trouble, waiting, passed = meanwhile.trouble, list(meanwhile.acts), count()
        is_death = trouble is not None and trouble.kind == DEATH

        def before_request() -> None:
            if next(passed) >= meanwhile.after and waiting:
                waiting.pop(0)()

        servers = (self.town.mailchimp_server, self.town.civicrm_server)
        if trouble is not None and not is_death:  # one for both, which counts what both are asked
            fault = replace(FAULTS[trouble.kind], skip=trouble.at)
            for server in servers:
                server.faults.append(fault)
        mortal = Mortal(trouble.at if trouble and is_death else None)
        try:
            with (
                direct_wire(self.town, mortal, before_request),
                self.acting_between(meanwhile.between),
            ):
                yield
        finally:
            for server in servers:
                server.faults.clear()

    @contextmanager
    def acting_between(self, acts: Acts) -> Iterator[None]:
        """One of these acts comes before each operation that Mailchimp carries out."""
        waiting = list(acts)

        def before_operation(_operation: Operation) -> None:
            if waiting:
                waiting.pop(0)()

        self.mailchimp.before_operation = before_operation
        try:
            yield
        finally:
            self.mailchimp.before_operation = None

    def maybe(self, lists: Collection[str]) -> None:
        """mcsync may have looked and judged by now."""
        self.look(lists, is_certain=False, is_full=False, is_compare=False)
        self.judge(lists, is_certain=False)
        if self._trusted:
            self.judge(lists, is_certain=False, trust=self._trusted)

    def make_run(self, store: Store, lists: Collection[str]) -> Run:
        """A run over some audiences."""
        run = self.bedrock.make_run(store, *lists)
        for task in run.tasks:  # Mailchimp's time is not to depend on how long we take
            task.mailchimp._monotonic = float  # type: ignore[attr-defined]
        return run

    def sync(self, how: How = How(), meanwhile: Meanwhile = UNDISTURBED) -> int:
        """One `mcsync sync`; how much it wrote, or tried to."""
        self.catch_up()
        sees_all = how.window is None and set(how.lists) == set(LISTS)
        is_certain = sees_all and not self._is_disturbed(meanwhile)
        is_compare = self.now - self._compared_at >= timedelta(hours=24)
        trust = dict(how.trust)
        self.window = {}
        self.look(
            how.lists,
            is_certain=is_certain,
            is_full=how.is_full or bool(trust),
            is_compare=is_compare,
        )
        self.judge(how.lists, is_certain=is_certain, trust=trust)
        if not is_certain:
            self.maybe(LISTS)
        before, self._trusted = self._tried, trust
        self.running(
            how.told, lambda store: self._sync(store, how), meanwhile, is_certain=is_certain
        )
        self._trusted = {}
        if is_certain:
            self.has_purged = self.has_purged and not is_compare
            self._compared_at = self.now
            self.has_synced = True
        return self._tried - before

    @property
    def _tried(self) -> int:
        return self.civicrm.writes + len(self.mailchimp.operations)

    def _sync(self, store: Store, how: How) -> None:
        run = self.make_run(store, how.lists)
        window = Window(None) if how.is_full else None
        if how.window is not None:
            window = Window(self.town.mailchimp_clock() - how.window)
        trust = {
            list_id: {t: Side(side) for t, side in how.trust if t in THINGS[list_id]}
            for list_id in how.lists
        }
        chosen = {list_id: found for list_id, found in trust.items() if found}
        sync(run, window, chosen or None, wait_s=0 if how.waits else None)
        run.raise_troubles()

    def part(
        self, what: str, do: Callable[[Run], object], meanwhile: Meanwhile = UNDISTURBED
    ) -> None:
        """Another command than sync: what it has seen and judged, nobody can say."""
        self.catch_up()
        self.window = {}
        self.maybe(LISTS)

        def do_it(store: Store) -> None:
            run = self.make_run(store, LISTS)
            do(run)
            run.raise_troubles()

        self.running(what, do_it, meanwhile, is_certain=False)

    def sync_contact(self, contact_id: int, meanwhile: Meanwhile = UNDISTURBED) -> None:
        """`mcsync sync-contact`; if nobody acts meanwhile it surely sees this one person."""
        self.catch_up()
        if not meanwhile.is_anything:
            for address in sorted(self.model.contacts[contact_id].addresses):
                self.look_at_one(address)
        self.part(
            f"sync-contact {contact_id}",
            lambda run: sync_contact(run, contact_id=contact_id),
            meanwhile,
        )

    def abort(self) -> None:
        """`mcsync abort`: results that did not come are not waited for."""
        self.part("abort", abort)
        self.lose_flights()

    def resync(self) -> None:
        """`mcsync resync --failed`."""
        self.tell("resync --failed")
        with closing(self.bedrock.open_store()) as store:
            for each in watch(self.bedrock.load_config().audiences):
                resync_failed(store, each.policy, each.name)

    def bring_post(self, fate: str) -> None:
        """What becomes of the webhooks that came since last time; "late" leaves them for later."""
        if fate == "late":
            return
        events = self.post.collect()
        if fate == "lost" or not events:
            return
        self.part(
            f"webhooks, {fate}: {[(e.kind.value, e.email) for e in events]}",
            lambda run: self._handle(run, events * (2 if fate == "twice" else 1)),
        )

    def _handle(self, run: Run, events: Sequence[WebhookEvent]) -> None:
        save_events(run.store, events, self.now)
        handle_webhooks(run)

    # --- troubles -----------------------------------------------------------------------------

    def refuse(self, list_id: str, address: str, kind: str, times: int) -> None:
        """Have Mailchimp refuse what we ask about somebody."""
        body = r'"status": "(subscribed|pending)"' if kind in ONLY_SUBSCRIBES else ""
        if kind == "compliance-state":
            body = r'"status": "subscribed"'
        refusal = self.mailchimp.refuse(
            address, PROBLEMS[kind](address), times=times, list_id=list_id, body=body
        )
        self.refusals.append((address, kind, refusal))
        self.tell(f"Mailchimp will refuse {address} in {list_id[:1]}: {kind}, {times} times")

    def lose_results(self, oddities: Oddities) -> None:
        """Have results of batches lost or garbled from now on."""
        self.is_lossy = True
        self.mailchimp.oddities = oddities
        self.tell(f"results come with {oddities}")

    def calm_down(self) -> None:
        """All troubles are over, and batches go on."""
        self.mailchimp.refuse_batches(0)
        self.mailchimp.oddities = Oddities()
        self.mailchimp._troubles.damages.clear()
        for _, _, refusal in self.refusals:
            refusal.stop()
        self.finish_batches()

    def hold_next_batch(self, status: str) -> None:
        """Have the next batch hang; two at most do."""
        if len(self.holds) < 2:
            self.holds.append(self.mailchimp.hold_next_batch(status))
            self.tell(f"the next batch will hang as {status}")

    def is_hanging(self, held: HeldBatch) -> bool:
        """Whether a batch that was to hang was posted, and is still there."""
        return held.is_posted and held.batch_id in self.mailchimp.accounts[API_KEY].batches

    def finish_batches(self) -> None:
        """Let batches that hang go on to their end, and hold none that comes."""
        for held in self.holds:
            held.finish()
        self.holds.clear()
        self.tell("batches go on")
        self.catch_up()
