"""Any run, then undo with nobody acting between: both sides are as before, or it is told why not.

Hypothesis plays small worlds: a few people, two of whom share an address, who stand anyhow at both
sides; then things happen to some of them, one run carries that out, and undo takes it back. They
are always the same worlds; with MCSYNC_FUZZ=long there are many more, and others each time.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import given as given_some
from hypothesis import strategies as st

from mcsync.model import Side
from mcsync.pipeline.changes import Line
from mcsync.pipeline.undo import undo
from mcsync.sandbox.town import Town
from tests.fuzz import IS_LONG, how_many
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.faults import START
from tests.scenario.wire import Mortal, direct_wire

HOME = "home@example.org"
PEOPLE = {
    "wilma": ("wilma@example.org",),
    "barney": ("barney@example.org", "barney2@example.org"),
    "mia": (HOME,),
    "ned": ("ned@example.org", HOME),
}
ADDRESSES = sorted({address for addresses in PEOPLE.values() for address in addresses})
NAMES = {"FNAME": "first_name", "LNAME": "last_name"}
NO_MEMBER = ("archived", None)  # nobody can be made never to have been one
Key = tuple[Side, str, str]  # whose field: an address, or a contact's number
State = dict[Key, str | None]


class World:
    """The town, and what may happen in it; what cannot be done now is left out."""

    def __init__(self, bedrock: Bedrock) -> None:
        self.bedrock = bedrock
        self.civicrm, self.mailchimp = bedrock.town.civicrm, bedrock.town.mailchimp
        self.contacts = {
            name: self.civicrm.add_contact(name.title(), "Rubble", list(addresses))
            for name, addresses in PEOPLE.items()
        }

    def look(self) -> State:
        """All that undo may put back."""
        return dict((*self._members(), *self._contacts()))

    def _members(self) -> Iterator[tuple[Key, str | None]]:
        for email, member in self.mailchimp.members(LIST).items():
            yield (Side.MAILCHIMP, email, "subscription"), str(member["status"])
            for tag, value in dict(member["merge_fields"]).items():  # type: ignore[call-overload]
                yield (Side.MAILCHIMP, email, NAMES.get(tag, tag)), value or None
            for key, is_on in dict(member["interests"]).items():  # type: ignore[call-overload]
                yield (Side.MAILCHIMP, email, key), "yes" if is_on else None

    def _contacts(self) -> Iterator[tuple[Key, str | None]]:
        for contact in self.civicrm.contacts():
            whose = str(contact.id)
            yield (Side.CIVICRM, whose, "first_name"), contact.first_name
            yield (Side.CIVICRM, whose, "last_name"), contact.last_name
            for group, topic in {GROUP: "subscription", VOLUNTEERS: VOLUNTEERING}.items():
                is_added = self.civicrm.group_status(contact.id, group) == "Added"
                yield (Side.CIVICRM, whose, topic), "Added" if is_added else None

    def status(self, address: str) -> str | None:
        return self.bedrock.member_status(address)

    # --- what people and staff do -----------------------------------------------------------------

    def add(self, name: str, _address: str) -> None:
        self.civicrm.add_to_group(self.contacts[name], GROUP)

    def remove(self, name: str, _address: str) -> None:
        if self.civicrm.group_status(self.contacts[name], GROUP) == "Added":
            self.civicrm.remove_from_group(self.contacts[name], GROUP)

    def volunteer(self, name: str, _address: str) -> None:
        self.civicrm.add_to_group(self.contacts[name], VOLUNTEERS)

    def stop_volunteering(self, name: str, _address: str) -> None:
        if self.civicrm.group_status(self.contacts[name], VOLUNTEERS) == "Added":
            self.civicrm.remove_from_group(self.contacts[name], VOLUNTEERS)

    def rename(self, name: str, _address: str) -> None:
        self.civicrm.update_contact(self.contacts[name], first_name="Slate")

    def opt_out(self, name: str, _address: str) -> None:
        self.civicrm.update_contact(self.contacts[name], is_opt_out=True)

    def opt_in(self, name: str, _address: str) -> None:
        self.civicrm.update_contact(self.contacts[name], is_opt_out=False)

    def trash(self, name: str, _address: str) -> None:
        self.civicrm.trash(self.contacts[name])

    def sign_up(self, _name: str, address: str) -> None:
        if self.status(address) not in ("cleaned",):
            self.mailchimp.sign_up(LIST, address, "Pebbles", "Slate")

    def leave(self, _name: str, address: str) -> None:
        if self.status(address) == "subscribed":
            self.mailchimp.leave(LIST, address)

    def staff_unsubscribe(self, _name: str, address: str) -> None:
        if self.status(address) == "subscribed":
            self.mailchimp.staff_unsubscribe(LIST, address)

    def staff_archive(self, _name: str, address: str) -> None:
        if self.status(address) in ("subscribed", "unsubscribed"):
            self.mailchimp.staff_archive(LIST, address)

    def bounce(self, _name: str, address: str) -> None:
        if self.status(address) == "subscribed":
            self.mailchimp.bounce(LIST, address)

    def want(self, _name: str, address: str) -> None:
        if self.status(address) == "subscribed":
            self.mailchimp.edit_profile(LIST, address, interests={VOLUNTEERING: True})

    def rename_at_mailchimp(self, _name: str, address: str) -> None:
        if self.status(address) == "subscribed":
            self.mailchimp.edit_profile(LIST, address, "Gazoo", "Great")


ACTS: dict[str, Callable[[World, str, str], None]] = {
    act.__name__: act
    for act in (
        *(World.add, World.remove, World.volunteer, World.stop_volunteering, World.rename),
        *(World.opt_out, World.opt_in, World.trash, World.sign_up, World.leave),
        *(World.staff_unsubscribe, World.staff_archive, World.bounce, World.want),
        World.rename_at_mailchimp,
    )
}
BEGINNINGS = st.sampled_from(("both", "contact", "member", "nowhere", "out"))
SOMETHING = st.tuples(
    st.sampled_from(sorted(ACTS)), st.sampled_from(sorted(PEOPLE)), st.sampled_from(ADDRESSES)
)
TRUST = st.sampled_from((None, None, None, Side.MAILCHIMP, Side.CIVICRM))


def begin(world: World, beginnings: tuple[str, ...]) -> None:
    """Everybody as they stand at first; two runs bring both sides together."""
    for (name, addresses), how in zip(PEOPLE.items(), beginnings, strict=True):
        if how in ("both", "contact", "out"):
            world.add(name, "")
        if how in ("both", "member") and world.status(addresses[0]) is None:
            world.bedrock.add_member(addresses[0], first_name=name.title(), last_name="Rubble")
        if how == "out":
            world.remove(name, "")
    world.bedrock.sync_until_quiet(8)
    world.bedrock.pass_time(minutes=1)


def find_changed(before: State, after: State) -> set[Key]:
    """Whatever is not as before."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def only(keys: set[Key], state: State) -> State:
    """The part of a state."""
    return {key: value for key, value in state.items() if key in keys}


def find_untold(before: State, after: State, left: list[Line]) -> list[str]:
    """What is not as before, and of which nobody is told."""
    told = {(line.side, line.field, line.email) for line in left}
    told |= {(line.side, line.field, str(line.contact_id)) for line in left}
    # Of a member who is new, or a contact, all that came with them stays with them.
    found = []
    for key in sorted(find_changed(before, after)):
        side, whose, topic = key
        was, now = before.get(key), after.get(key)
        is_new = not any(k[:2] == key[:2] for k in before)
        is_archived = after.get((side, whose, "subscription")) in NO_MEMBER
        is_created = ("civicrm", "contact", whose) in told or (side is Side.CIVICRM and is_new)
        is_gone = is_new and side is Side.MAILCHIMP and is_archived
        if not is_gone and not is_created and (side, topic, whose) not in told:
            found.append(f"{side} {whose} {topic}: {was} before, {now} now")
    return found


@given_some(
    beginnings=st.tuples(*[BEGINNINGS] * len(PEOPLE)),
    earlier=st.lists(SOMETHING, max_size=3),
    acts=st.lists(SOMETHING, min_size=1, max_size=5),
    removal=st.sampled_from(("unsubscribe", "archive")),
    trust=TRUST,
    has_data=st.booleans(),
)
@settings(
    max_examples=how_many(12),
    deadline=None,
    derandomize=not IS_LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_a_run_is_given_back(
    beginnings: tuple[str, ...],
    earlier: list[tuple[str, str, str]],
    acts: list[tuple[str, str, str]],
    removal: str,
    trust: Side | None,
    has_data: bool,
):
    with TemporaryDirectory() as folder, Town(start=START) as town:
        bedrock = Bedrock(town, Path(folder), with_data=has_data)
        bedrock.options["removal"] = removal
        town.mailchimp.settings.batch_delay_polls = 0
        with direct_wire(town, Mortal()):
            _play(World(bedrock), beginnings, earlier, acts, trust)


def _play(
    world: World,
    beginnings: tuple[str, ...],
    earlier: list[tuple[str, str, str]],
    acts: list[tuple[str, str, str]],
    trust: Side | None,
) -> None:
    bedrock = world.bedrock
    begin(world, beginnings)
    for act, name, address in earlier:
        ACTS[act](world, name, address)
        bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet(8)
    for act, name, address in acts:
        ACTS[act](world, name, address)
        bedrock.pass_time(minutes=1)
    before, mails = world.look(), len(bedrock.confirmation_mails)
    bedrock.sync(trust={"subscription": trust} if trust else None)
    mails = len(bedrock.confirmation_mails)
    assert bedrock.last_run is not None
    if not bedrock.changes:
        return
    done = find_changed(before, world.look())
    left = _undo(bedrock, bedrock.last_run.run_id)
    untold = find_untold(before, world.look(), left)
    assert untold == [], left
    for hours in (1, 25, 25 * 7):
        bedrock.sync_until_quiet(8) if hours == 1 else None
        bedrock.pass_time(hours=hours)
        assert bedrock.sync() == 0, f"after {hours} h"
    # What the run had not come to yet is a later run's business: nobody has taken that back.
    again = find_untold(only(done, before), only(done, world.look()), left)
    assert again == [], "a later run took it away again"
    assert len(bedrock.confirmation_mails) == mails


def _undo(bedrock: Bedrock, run_id: str) -> list[Line]:
    with closing(bedrock.open_store()) as store:
        run = bedrock.make_run(store)
        _, offers = undo(run, run_id, None, may_exceed=True, approve=lambda *_: True, wait_s=0)
        run.raise_troubles()
    bedrock.pass_time(minutes=1)
    return [line for offer in offers for line in offer.left]


def test_whoever_shares_a_member_leaves_it_alone_too():
    """It was subscribed for Mia, who shares the address with Ned, whose member it is."""
    with TemporaryDirectory() as folder, Town(start=START) as town:
        bedrock = Bedrock(town, Path(folder), with_data=False)
        town.mailchimp.settings.batch_delay_polls = 0
        with direct_wire(town, Mortal()):
            _play(
                World(bedrock),
                ("nowhere", "member", "member", "contact"),
                [("remove", "ned", HOME)],
                [("leave", "ned", "ned@example.org"), ("add", "mia", HOME)],
                None,
            )


def test_what_the_run_had_not_come_to_is_a_later_runs_business():
    """Ned bounced, but has Mia's address as well, until that is out; undo cannot put her in."""
    with TemporaryDirectory() as folder, Town(start=START) as town:
        bedrock = Bedrock(town, Path(folder), with_data=False)
        town.mailchimp.settings.batch_delay_polls = 0
        with direct_wire(town, Mortal()):
            world = World(bedrock)
            acts = [("bounce", "barney", "ned@example.org"), ("opt_out", "mia", HOME)]
            _play(world, ("both", "both", "both", "both"), [], acts, None)
            assert world.civicrm.group_status(world.contacts["ned"], GROUP) == "Removed"
