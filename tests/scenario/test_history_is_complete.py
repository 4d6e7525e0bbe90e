"""Whatever mcsync changes at either end is in the trail: what was there before, why, and by whom.

Both services are looked at before and after; what is different then must be in the trail.
"""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from mcsync.cache.trail import Change, load_changes
from mcsync.model import Side
from mcsync.pipeline.sync_contact import sync_contact
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.postal import Post
from tests.scenario.test_data_sync import give_tag, map_fields, tag_id

WILMA, NEW = "wilma@example.org", "wilma@example.com"
CIVICRM, MAILCHIMP = Side.CIVICRM, Side.MAILCHIMP
TOPICS = {GROUP: "subscription", VOLUNTEERS: VOLUNTEERING}
NAMES = {"FNAME": "first_name", "LNAME": "last_name"}
NOTHING = ("", "no", None)
Key = tuple[Side, object, str]  # whose field
Move = tuple[Side, str, str | None, str | None]


class World:
    """Bedrock with Wilma in agreement, data on, and what a test does to her."""

    def __init__(self, bedrock: Bedrock) -> None:
        self.bedrock = bedrock
        self.civicrm, self.mailchimp = bedrock.town.civicrm, bedrock.town.mailchimp
        bedrock.with_data = True
        self.mailchimp.add_merge_field(LIST, "JOB", "Job")
        map_fields(bedrock, JOB="job_title")
        self.wilma = self.civicrm.add_contact("Wilma", "Flintstone", [WILMA], job_title="Baker")
        self.civicrm.add_to_group(self.wilma, GROUP)
        bedrock.add_member(WILMA, first_name="Wilma", last_name="Flintstone")
        give_tag(bedrock, self.wilma, "Donor")
        bedrock.sync_until_quiet()
        bedrock.pass_time(minutes=1)
        self.post = Post(bedrock)

    def look(self) -> dict[Key, str]:
        """All that mcsync may change at either end, by whose it is and what the trail calls it."""
        both = (*self._members(), *self._contacts())
        return {key: value for key, value in both if value not in NOTHING}

    def _members(self) -> Iterator[tuple[Key, str]]:
        for email, member in self.mailchimp.members(LIST).items():
            who = member["contact_id"]
            yield (MAILCHIMP, who, "subscription"), str(member["status"])
            yield (MAILCHIMP, who, "email"), email
            for tag, value in dict(member["merge_fields"]).items():  # type: ignore[call-overload]
                yield (MAILCHIMP, who, NAMES.get(tag, tag)), value
            for key, value in dict(member["interests"]).items():  # type: ignore[call-overload]
                yield (MAILCHIMP, who, key), "yes" if value else "no"
            for tag in member["tags"]:  # type: ignore[attr-defined]
                yield (MAILCHIMP, who, f"tag {tag['name']}"), "yes"

    def _contacts(self) -> Iterator[tuple[Key, str]]:
        for contact in self.civicrm.contacts():
            yield (CIVICRM, contact.id, "contact"), "created"
            yield (CIVICRM, contact.id, "first_name"), contact.first_name
            yield (CIVICRM, contact.id, "last_name"), contact.last_name
            for group_id, topic in TOPICS.items():
                place = self.civicrm.group_status(contact.id, group_id)
                yield (CIVICRM, contact.id, topic), place or ""
            for email in self.civicrm.emails(contact.id):
                held = "yes" if email.on_hold else "no"
                yield (CIVICRM, (contact.id, email.email), "on_hold"), held
                yield (CIVICRM, (contact.id, email.email), "email"), email.email
                if email.is_bulkmail:
                    yield (CIVICRM, contact.id, "bulk_email"), email.email


def find_moves(before: dict[Key, str], after: dict[Key, str]) -> set[Move]:
    """What is different, as the trail should have it."""
    return {
        (key[0], key[2], before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }


def load_moves(changes: list[Change]) -> set[Move]:
    return {(c.side, c.field, something(c.before), something(c.after)) for c in changes}


def something(value: str | None) -> str | None:
    return None if value in NOTHING else value


def by_cron(world: World) -> None:
    world.bedrock.sync_until_quiet(9)


def at_once(world: World) -> None:
    with closing(world.bedrock.open_store()) as store:
        sync_contact(world.bedrock.make_run(store), contact_id=world.wilma)


def by_webhook(world: World) -> None:
    world.post.bring()


# --- what people and staff do ---------------------------------------------------------------------


def leave_the_group(world: World) -> None:
    world.civicrm.remove_from_group(world.wilma, GROUP)


def leave_and_be_archived(world: World) -> None:
    world.bedrock.options["removal"] = "archive"
    world.bedrock.sync_until_quiet()
    leave_the_group(world)


def leave_at_mailchimp(world: World) -> None:
    world.mailchimp.leave(LIST, WILMA)


def leave_and_be_added_again(world: World) -> None:
    leave_at_mailchimp(world)
    world.bedrock.sync_until_quiet()
    world.bedrock.pass_time(minutes=1)
    world.civicrm.add_to_group(world.wilma, GROUP)


def opt_out(world: World) -> None:
    world.civicrm.update_contact(world.wilma, is_opt_out=True)


def opt_in_again(world: World) -> None:
    opt_out(world)
    world.bedrock.sync_until_quiet()
    world.bedrock.pass_time(minutes=1)
    world.civicrm.update_contact(world.wilma, is_opt_out=False)


def volunteer(world: World) -> None:
    world.civicrm.add_to_group(world.wilma, VOLUNTEERS)


def volunteer_at_mailchimp(world: World) -> None:
    world.mailchimp.edit_profile(LIST, WILMA, interests={VOLUNTEERING: True})


def take_a_name(world: World) -> None:
    world.civicrm.update_contact(world.wilma, first_name="Wilhelmina", last_name="Slaghoople")


def take_a_name_at_mailchimp(world: World) -> None:
    world.mailchimp.edit_profile(LIST, WILMA, "Wilhelmina", "Slaghoople")


def move(world: World) -> None:
    (email,) = world.civicrm.emails(world.wilma)
    world.civicrm.update_email(email.id, email=NEW)


def move_at_mailchimp(world: World) -> None:
    world.mailchimp.change_address(LIST, WILMA, NEW)


def move_beside_a_bulk_address(world: World) -> None:
    world.civicrm.add_email(world.wilma, "flintstones@example.org", is_bulkmail=True)
    world.bedrock.sync_until_quiet()
    world.bedrock.pass_time(minutes=1)
    (now,) = world.mailchimp.members(LIST)
    world.mailchimp.change_address(LIST, now, NEW)


def take_a_job(world: World) -> None:
    world.civicrm.update_contact(world.wilma, job_title="Butcher")


def lose_the_job(world: World) -> None:
    world.civicrm.update_contact(world.wilma, job_title="")


def give_nothing_more(world: World) -> None:
    world.civicrm.untag(world.wilma, tag_id(world.bedrock, "Donor"))


def be_a_member_too(world: World) -> None:
    give_tag(world.bedrock, world.wilma, "Member")


def be_entered(world: World) -> None:
    betty = world.civicrm.add_contact(
        "Betty", "Rubble", ["betty@example.org"], job_title="Reporter"
    )
    world.civicrm.add_to_group(betty, GROUP)
    world.civicrm.add_to_group(betty, VOLUNTEERS)
    give_tag(world.bedrock, betty, "Donor")


def sign_up(world: World) -> None:
    world.mailchimp.sign_up(LIST, "barney@example.org", "Barney", "Rubble")


def bounce(world: World) -> None:
    world.mailchimp.bounce(LIST, WILMA)


ACTS = (
    *(leave_the_group, leave_and_be_archived, leave_at_mailchimp, leave_and_be_added_again),
    *(opt_out, opt_in_again, volunteer, volunteer_at_mailchimp, take_a_name),
    *(take_a_name_at_mailchimp, move, move_at_mailchimp, move_beside_a_bulk_address),
    *(take_a_job, lose_the_job, give_nothing_more, be_a_member_too, be_entered, sign_up, bounce),
)
# Wilma's own, and without what only the data step of a sync follows.
AT_ONCE = [
    act
    for act in ACTS
    if act not in (be_entered, sign_up)
    and act not in (take_a_job, lose_the_job, give_nothing_more, be_a_member_too)
]
WAYS = [
    *((act, by_cron) for act in ACTS),
    *((act, at_once) for act in AT_ONCE),
    *(
        (act, by_webhook)
        for act in (
            *(leave_at_mailchimp, volunteer_at_mailchimp, take_a_name_at_mailchimp),
            *(move_at_mailchimp, sign_up, bounce),
        )
    ),
]


@pytest.mark.parametrize(
    ("act", "run"), WAYS, ids=[f"{act.__name__}-{run.__name__}" for act, run in WAYS]
)
def test_every_effect_is_in_the_trail(
    bedrock: Bedrock, act: Callable[[World], None], run: Callable[[World], None]
):
    world = World(bedrock)
    act(world)
    with closing(bedrock.open_store()) as store:
        known = len(load_changes(store))
    before = world.look()
    run(world)
    found = find_moves(before, world.look())
    assert found
    with closing(bedrock.open_store()) as store:
        changes = load_changes(store)[known:]
    assert find_lacking(found, load_moves(changes)) == set()
    assert all(change.run and change.reason and change.at for change in changes)
    assert all(change.contact_id or change.row_id for change in changes)


def find_lacking(found: set[Move], told: set[Move]) -> set[Move]:
    """What was changed, and is not told.

    An address that a contact was given, for bulk mail, is told with the one that the member had; a
    new member's address, and a new contact's address and name, with all that is told of them.
    """
    given = {(field, now) for _, field, _, now in told}
    given |= {("bulk_email", now) for field, now in given if field == "email"}
    is_new = (CIVICRM, "contact", None, "created") in told
    lacking = set()
    for side, field, was, now in found - told:
        is_given = was is None and (field, now) in given
        is_members = side is MAILCHIMP and field == "email" and was is None
        is_contacts = is_new and side is CIVICRM and was is None
        if not (is_given or is_members or is_contacts):
            lacking.add((side, field, was, now))
    return lacking


def test_the_run_is_that_which_decided_not_that_which_heard_of_it(bedrock: Bedrock):
    bedrock.town.mailchimp.settings.batch_delay_polls = 1
    contact = bedrock.add_both(WILMA)
    bedrock.sync()
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.sync(waits=False)
    assert bedrock.last_run is not None
    decided, told = bedrock.last_run.run_id, len(bedrock.changes)
    while not bedrock.changes:
        bedrock.sync(waits=False)
    assert told == 0
    assert bedrock.last_run.run_id != decided
    (change,) = bedrock.changes
    assert (change.run, change.after) == (decided, "unsubscribed")
