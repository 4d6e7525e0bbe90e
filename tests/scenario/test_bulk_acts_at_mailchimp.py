"""An administrator at Mailchimp does something to everybody: held; what people do is not."""

import pytest

from mcsync.pipeline.fetch import Window
from tests.scenario.aftermath import assert_at_peace, look_at_both
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.postal import Post
from tests.scenario.telling import CommandLine, Told

PEOPLE = 100
TEN_PERCENT: dict[str, object] = {
    "maxUnsubscribes": "10%",
    "maxRemovals": "10%",
    "maxAdditions": "50%",
    "maxNewContacts": "50%",
    "maxAddressChanges": "10%",
}


def email_of(number: int) -> str:
    return f"gazoo{number}@example.org"


@pytest.fixture
def hundred(bedrock: Bedrock) -> list[int]:
    """A hundred people in agreement, under the limits that hold by default; their contacts."""
    contacts = [bedrock.add_both(email_of(number)) for number in range(PEOPLE)]
    bedrock.sync_until_quiet()
    bedrock.safety = dict(TEN_PERCENT)
    bedrock.sync()
    bedrock.pass_time(hours=1)
    return contacts


def do_to(bedrock: Bedrock, act: str, numbers: range) -> None:
    """One act at Mailchimp on each of these people; a minute passes."""
    for number in numbers:
        getattr(bedrock.town.mailchimp, act)(LIST, email_of(number))
    bedrock.pass_time(minutes=1)


def count_added(bedrock: Bedrock) -> int:
    return len(bedrock.town.civicrm.group_members(GROUP))


INFERRED = ["staff_unsubscribe", "bounce", "staff_archive"]


@pytest.mark.parametrize("act", INFERRED)
@pytest.mark.parametrize("people", [PEOPLE, 11])
def test_what_was_done_to_many_is_held_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int], act: str, people: int
):
    do_to(bedrock, act, range(people))
    before = look_at_both(bedrock)
    told = mcsync("sync", "--wait")
    assert told.code == 4
    assert f"would remove {people} " in told.err
    assert look_at_both(bedrock) == before
    assert mcsync("sync", "--wait") == Told(4, "", "")
    bedrock.pass_time(hours=25)
    assert mcsync("sync", "--wait").code == 4
    assert look_at_both(bedrock) == before
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 0
    assert count_added(bedrock) == PEOPLE - people
    assert bedrock.confirmation_mails == []
    assert_at_peace(bedrock)


def test_who_was_erased_in_large_numbers_is_held_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    """The brother: deleted permanently, which a full fetch tells."""
    do_to(bedrock, "staff_delete_permanently", range(20))
    before = look_at_both(bedrock)
    told = mcsync("sync", "--since", "ever", "--wait")
    assert told.code == 4
    assert "would remove 20 " in told.err
    assert look_at_both(bedrock) == before


@pytest.mark.parametrize("act", INFERRED)
def test_what_was_done_to_ten_is_done_d3(bedrock: Bedrock, hundred: list[int], act: str):
    do_to(bedrock, act, range(10))
    bedrock.sync_until_quiet()
    assert count_added(bedrock) == PEOPLE - 10
    assert_at_peace(bedrock)


@pytest.mark.parametrize("act", ["leave", "complain"])
def test_what_people_did_themselves_is_done_d3(bedrock: Bedrock, hundred: list[int], act: str):
    do_to(bedrock, act, range(80))
    bedrock.sync_until_quiet()
    assert count_added(bedrock) == PEOPLE - 80
    assert_at_peace(bedrock)


def test_who_left_themselves_leaves_while_a_bulk_act_is_held_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    do_to(bedrock, "staff_unsubscribe", range(50))
    do_to(bedrock, "leave", range(50, 70))
    bedrock.town.civicrm.remove_from_group(hundred[70], GROUP)
    bedrock.town.mailchimp.sign_up(LIST, "dino@example.org")
    bedrock.add_contact("betty@example.org")
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait").code == 4
    places = [bedrock.group_status(contact) for contact in hundred]
    assert places == ["Added"] * 50 + ["Removed"] * 21 + ["Added"] * 29
    assert bedrock.member_status(email_of(70)) == "unsubscribed"
    assert bedrock.member_status("betty@example.org") == "subscribed"
    [dino] = bedrock.town.civicrm.contacts_by_email("dino@example.org")
    assert bedrock.group_status(dino.id) == "Added"


def test_who_takes_a_held_act_for_their_own_leaves_at_once_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    """The brother: unsubscribed by staff, then by the link in an old mail: the reason changes."""
    do_to(bedrock, "staff_unsubscribe", range(50))
    assert mcsync("sync", "--wait").code == 4
    do_to(bedrock, "leave", range(3))
    assert mcsync("sync", "--wait").code == 4
    assert [bedrock.group_status(contact) for contact in hundred[:4]] == ["Removed"] * 3 + ["Added"]


@pytest.mark.parametrize("act", ["staff_unsubscribe", "staff_archive"])
def test_a_slip_that_is_put_right_leaves_no_trace_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int], act: str
):
    """The brother: the administrator takes it back by an import."""
    do_to(bedrock, act, range(PEOPLE))
    assert mcsync("sync", "--wait").code == 4
    before = bedrock.town.civicrm.writes
    for number in range(PEOPLE):
        bedrock.town.mailchimp.sign_up(LIST, email_of(number))
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait").code == 0
    assert bedrock.town.civicrm.writes == before
    assert count_added(bedrock) == PEOPLE
    assert_at_peace(bedrock)


def test_staff_of_civicrm_who_disagree_are_not_overruled_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    """The brother: they add everybody again, later, while it is held."""
    do_to(bedrock, "staff_unsubscribe", range(PEOPLE))
    assert mcsync("sync", "--wait").code == 4
    for contact in hundred:
        bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    # What is to be forced now is another thing than what was told.
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 4
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 0
    bedrock.sync_until_quiet()
    statuses = [bedrock.member_status(email_of(number)) for number in range(PEOPLE)]
    assert statuses == ["subscribed"] * PEOPLE
    assert bedrock.confirmation_mails == []
    assert_at_peace(bedrock)


def test_webhooks_of_a_bulk_act_carry_nothing_past_the_guard_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    """The brother: Mailchimp fires one for each person."""
    post = Post(bedrock)
    do_to(bedrock, "staff_unsubscribe", range(90))
    post.bring()
    assert count_added(bedrock) == PEOPLE
    assert mcsync("sync", "--wait").code == 4
    assert count_added(bedrock) == PEOPLE
    do_to(bedrock, "leave", range(90, 93))
    post.bring()
    assert count_added(bedrock) == PEOPLE - 3


def test_sync_contact_carries_out_one_of_a_held_act_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    """The brother: somebody asks for this one person."""
    do_to(bedrock, "staff_unsubscribe", range(PEOPLE))
    assert mcsync("sync", "--wait").code == 4
    assert mcsync("sync-contact", "--email", email_of(0)).code == 0
    assert count_added(bedrock) == PEOPLE - 1
    assert mcsync("sync", "--wait").code == 4
    assert count_added(bedrock) == PEOPLE - 1


def test_a_first_sync_after_a_bulk_act_is_held_too_d3(bedrock: Bedrock, mcsync: CommandLine):
    """The brother: all of it lies before the first run."""
    bedrock.safety = dict(TEN_PERCENT)
    for number in range(40):
        bedrock.add_contact(email_of(number))
    bedrock.pass_time(days=1)
    for number in range(40):
        bedrock.add_member(email_of(number), status="unsubscribed")
    bedrock.pass_time(minutes=1)
    told = mcsync("sync", "--wait")
    assert told.code == 4
    assert "would remove 40 " in told.err
    assert count_added(bedrock) == 40


def test_an_interest_taken_from_everybody_at_mailchimp_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    """The brother: no limit is set on interests, and what people chose themselves goes through."""
    for contact in hundred:
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    for number in range(30):
        bedrock.town.mailchimp.edit_profile(LIST, email_of(number), interests={VOLUNTEERING: False})
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert len(bedrock.town.civicrm.group_members(VOLUNTEERS)) == PEOPLE - 30
    assert_at_peace(bedrock)


def test_the_held_act_is_listed_by_status_d3(
    bedrock: Bedrock, mcsync: CommandLine, hundred: list[int]
):
    do_to(bedrock, "staff_unsubscribe", range(PEOPLE))
    assert mcsync("sync", "--wait").code == 4
    bedrock.sync(window=Window(None), raises=False)
    told = mcsync("status")
    assert f"remove {PEOPLE} " in told.out
    document = mcsync("status", "--json").document
    assert f"remove {PEOPLE} " in str(document)
