"""A day of changes by people and staff, told by webhooks of which some get lost, some come twice
and many come late, with runs of cron in between: at its end both sides agree.
"""

import random
from dataclasses import dataclass, field

import pytest

from mcsync.model import EventKind, WebhookEvent
from tests.fuzz import how_many
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, Bedrock
from tests.scenario.postal import Post

NAMES = ("wilma", "fred", "barney", "betty", "pebbles", "bamm", "dino", "gazoo")
ACTS = 24


@dataclass
class Neighbour:
    """Somebody with the address they have now, all they ever had, and what was said of them last.

    Mailchimp tells only what is there now: of two acts there between two runs the first may leave
    no trace, so `has_acted` until the next run.
    """

    address: str
    addresses: set[str] = field(default_factory=set)
    contact: int | None = None
    is_in: bool = False
    has_bounced: bool = False
    has_acted: bool = False


class Day:
    """One day, played by chance; the seed tells which."""

    def __init__(self, bedrock: Bedrock, seed: int) -> None:
        self.bedrock = bedrock
        self.random = random.Random(seed)
        self.people = []
        for place, name in enumerate(NAMES):
            who = Neighbour(f"{name}@example.org", {f"{name}@example.org"})
            if place < 5:
                who.contact, who.is_in = bedrock.add_both(who.address), True
            elif place < 7:
                who.contact = bedrock.add_contact(who.address, group=False)
            self.people.append(who)
        self.post = Post(bedrock)
        self.on_the_way: list[WebhookEvent] = []
        bedrock.sync_until_quiet()
        self.post.collect()

    def play(self) -> None:
        for _ in range(ACTS):
            self.bedrock.pass_time(minutes=self.random.randrange(1, 30))
            self.act(self.random.choice(self.people))
            self.bedrock.pass_time(seconds=2)
            self.carry()
            if self.random.random() < 0.3:
                self.run()
        self.post.bring(self.on_the_way)
        self.bedrock.sync_until_quiet()

    def run(self) -> None:
        self.bedrock.sync()
        for who in self.people:
            who.has_acted = False

    def carry(self) -> None:
        """Some deliveries get lost, some come twice, some later than others sent after them."""
        for event in self.post.collect():
            copies = self.random.choice((0, 1, 1, 1, 2))
            if event.kind is EventKind.CLEANED:
                copies = max(copies, 1)  # whether the address is on hold is told by nothing else
            self.on_the_way += [event] * copies
        self.random.shuffle(self.on_the_way)
        some = self.random.randrange(len(self.on_the_way) + 1)
        arriving, self.on_the_way = self.on_the_way[:some], self.on_the_way[some:]
        if self.random.random() < 0.7:
            self.post.bring(arriving)
        else:
            self.post.store(arriving)

    # --- acting -----------------------------------------------------------------------------------

    def act(self, who: Neighbour) -> None:
        if who.has_bounced:
            return
        acts = [self.add, self.remove] if who.contact is not None else []
        if not who.has_acted:
            acts += [self.sign_up]
            status = self.bedrock.member_status(who.address)
            if status == "subscribed":
                acts += [self.leave, self.move, self.rename, self.bounce, self.archive, self.want]
        self.random.choice(acts or [lambda _: None])(who)

    def sign_up(self, who: Neighbour) -> None:
        if self.bedrock.member_status(who.address) not in ("subscribed", "pending"):
            self.bedrock.town.mailchimp.sign_up(LIST, who.address, "Some", "Body")
            who.is_in = who.has_acted = True

    def leave(self, who: Neighbour) -> None:
        self.bedrock.town.mailchimp.leave(LIST, who.address)
        who.is_in, who.has_acted = False, True

    def archive(self, who: Neighbour) -> None:
        self.bedrock.town.mailchimp.staff_archive(LIST, who.address)
        who.is_in, who.has_acted = False, True

    def bounce(self, who: Neighbour) -> None:
        self.bedrock.town.mailchimp.bounce(LIST, who.address)
        who.is_in, who.has_bounced = False, True

    def rename(self, who: Neighbour) -> None:
        name = f"Name{self.random.randrange(1000)}"
        self.bedrock.town.mailchimp.edit_profile(LIST, who.address, name)

    def want(self, who: Neighbour) -> None:
        self.bedrock.town.mailchimp.edit_profile(LIST, who.address, interests={VOLUNTEERING: True})

    def move(self, who: Neighbour) -> None:
        new = f"{len(who.addresses)}.{min(who.addresses, key=len)}"
        self.bedrock.town.mailchimp.change_address(LIST, who.address, new)
        who.address, who.has_acted = new, True
        who.addresses.add(new)

    def add(self, who: Neighbour) -> None:
        assert who.contact is not None
        if self.bedrock.group_status(who.contact) != "Added":
            self.bedrock.town.civicrm.add_to_group(who.contact, GROUP)
            who.is_in = True

    def remove(self, who: Neighbour) -> None:
        assert who.contact is not None
        if self.bedrock.group_status(who.contact) == "Added":
            self.bedrock.town.civicrm.remove_from_group(who.contact, GROUP)
            who.is_in = False


@pytest.mark.parametrize("seed", range(how_many(12)))
def test_after_a_day_both_sides_agree_with_one_contact_each(bedrock: Bedrock, seed: int):
    day = Day(bedrock, seed)
    day.play()
    assert day.post.waiting() == 0
    for who in day.people:
        contacts = {
            contact.id
            for address in who.addresses
            for contact in bedrock.town.civicrm.contacts_by_email(address)
        }
        assert len(contacts) <= 1, who
        assert who.contact is None or contacts == {who.contact}, who
        statuses = {bedrock.member_status(address) for address in who.addresses}
        is_member = bool(statuses & {"subscribed", "pending"})
        is_added = any(bedrock.group_status(contact) == "Added" for contact in contacts)
        assert (is_member, is_added) == (who.is_in, who.is_in), who
        if who.has_bounced:
            [contact] = contacts
            held = {e.email: e.on_hold for e in bedrock.town.civicrm.emails(contact)}
            assert held[who.address], who
    mails = bedrock.confirmation_mails
    assert bedrock.sync() == 0
    assert bedrock.confirmation_mails == mails
