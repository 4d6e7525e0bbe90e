"""Rules and groups that change under us: judged anew at once, and held when that is a lot."""

import pytest

from mcsync.errors import GuardTripped
from mcsync.sandbox.server import Fault, Response
from tests.scenario.aftermath import (
    assert_at_peace,
    assert_in_sync,
    look_at_both,
    row_status,
    settle,
)
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.telling import CommandLine, Told

OTHER, OTHER_GROUP = "bbbbbbbbbb", 333
NEW_GROUP = 555
JSON = {"Content-Type": "application/json"}


def assert_held(bedrock: Bedrock, mcsync: CommandLine, *words: str) -> None:
    """The run holds what has become so much, says so with exit 4, and wrote nothing."""
    before = look_at_both(bedrock)
    told = mcsync("sync")
    assert told.code == 4, told
    assert all(each in told.err for each in words), told
    assert "--force" in told.err
    assert look_at_both(bedrock) == before


# --- another subscription group -------------------------------------------------------------------


def change_group(bedrock: Bedrock) -> None:
    bedrock.town.civicrm.add_group("New subscribers", NEW_GROUP)
    bedrock.options["subscriptionGroup"] = str(NEW_GROUP)


def test_a_changed_subscription_group_judges_everybody_at_once_b1(bedrock: Bedrock):
    contacts = settle(bedrock, 5)
    change_group(bedrock)
    betty = bedrock.add_contact("betty@example.org", group=False)
    bedrock.town.civicrm.add_to_group(betty, NEW_GROUP)
    barney = bedrock.add_contact("barney@example.org")  # in the former group only
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert_in_sync(bedrock)
    assert [bedrock.group_status(contact, NEW_GROUP) for contact in contacts] == ["Added"] * 5
    assert bedrock.member_status("betty@example.org") == "subscribed"
    assert bedrock.member_status("barney@example.org") is None
    assert bedrock.group_status(barney) == "Added"
    assert_at_peace(bedrock)


def test_who_was_removed_from_the_new_group_later_is_out_b1(bedrock: Bedrock):
    """The brother: the new group has words of its own."""
    contacts = settle(bedrock, 3)
    bedrock.town.civicrm.add_group("New subscribers", NEW_GROUP)
    bedrock.town.civicrm.add_to_group(contacts[0], NEW_GROUP)
    bedrock.town.civicrm.remove_from_group(contacts[0], NEW_GROUP)
    bedrock.options["subscriptionGroup"] = str(NEW_GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("gazoo0@example.org") == "unsubscribed"
    assert [bedrock.group_status(c, NEW_GROUP) for c in contacts] == ["Removed", "Added", "Added"]
    assert_at_peace(bedrock)


def test_a_changed_subscription_group_of_many_is_held_until_forced_b1(
    bedrock: Bedrock, mcsync: CommandLine
):
    contacts = settle(bedrock, 40)
    change_group(bedrock)
    for contact in contacts[:20]:
        bedrock.town.civicrm.add_to_group(contact, NEW_GROUP)
    strangers = [
        bedrock.add_contact(f"stranger{number}@example.org", group=False) for number in range(20)
    ]
    for contact in strangers:
        bedrock.town.civicrm.add_to_group(contact, NEW_GROUP)
    bedrock.pass_time(minutes=1)
    assert_held(bedrock, mcsync, "would subscribe 20", "would add 20 people")
    before = look_at_both(bedrock)
    assert mcsync("sync") == Told(4, "", "")  # told once
    bedrock.pass_time(hours=25)
    assert mcsync("sync").code == 4
    assert look_at_both(bedrock) == before
    told = mcsync("sync", "--wait", "--force", "--list", LIST)
    assert told.code == 0, told
    assert bedrock.town.civicrm.group_members(NEW_GROUP) == {*contacts, *strangers}
    assert bedrock.member_status("stranger0@example.org") == "subscribed"
    assert bedrock.confirmation_mails == []
    assert_at_peace(bedrock)


def test_a_change_that_is_taken_back_leaves_no_trace_b1(bedrock: Bedrock, mcsync: CommandLine):
    """The brother: a slip, seen in the mail and put right."""
    settle(bedrock, 40)
    change_group(bedrock)
    assert_held(bedrock, mcsync, "add 40 people")
    before = look_at_both(bedrock)
    bedrock.options["subscriptionGroup"] = str(GROUP)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    assert look_at_both(bedrock) == before
    assert_at_peace(bedrock)


def test_the_groups_of_two_audiences_swapped_are_held_b1(bedrock: Bedrock, mcsync: CommandLine):
    bedrock.town.add_audience(OTHER, "Choir", OTHER_GROUP, {})
    settle(bedrock, 20)
    for number in range(20):
        email = f"singer{number}@example.org"
        bedrock.town.mailchimp.import_member(OTHER, email)
        contact = bedrock.add_contact(email, group=False)
        bedrock.town.civicrm.add_to_group(contact, OTHER_GROUP)
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=1)
    bedrock.options["subscriptionGroup"] = str(OTHER_GROUP)
    bedrock.town.lists[OTHER]["subscriptionGroup"] = str(GROUP)
    assert_held(bedrock, mcsync, "Main audience")
    bedrock.options["subscriptionGroup"] = str(GROUP)
    bedrock.town.lists[OTHER]["subscriptionGroup"] = str(OTHER_GROUP)
    before = look_at_both(bedrock)
    assert mcsync("sync").code == 0
    assert look_at_both(bedrock) == before
    assert_at_peace(bedrock)


def test_both_audiences_whose_groups_were_swapped_are_told_b1(bedrock: Bedrock):
    """The brother: neither hides behind the other."""
    bedrock.town.add_audience(OTHER, "Choir", OTHER_GROUP, {})
    settle(bedrock, 20)
    for number in range(20):
        email = f"singer{number}@example.org"
        bedrock.town.mailchimp.import_member(OTHER, email)
        contact = bedrock.add_contact(email, group=False)
        bedrock.town.civicrm.add_to_group(contact, OTHER_GROUP)
    bedrock.sync_until_quiet()
    bedrock.options["subscriptionGroup"] = str(OTHER_GROUP)
    bedrock.town.lists[OTHER]["subscriptionGroup"] = str(GROUP)
    bedrock.sync(raises=False)
    assert bedrock.last_run is not None
    assert all(isinstance(r.held, GuardTripped) for r in bedrock.last_run.reports.values())


# --- interests ------------------------------------------------------------------------------------


def map_interest(bedrock: Bedrock, group: int | None) -> None:
    bedrock.options["interests"] = {} if group is None else {VOLUNTEERING: str(group)}


def test_an_interest_mapped_to_another_group_judges_everybody_at_once_b1(bedrock: Bedrock):
    contacts = settle(bedrock, 5)
    for contact in contacts:
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.add_group("New volunteers", NEW_GROUP)
    bedrock.town.civicrm.add_to_group(contacts[0], NEW_GROUP)
    bedrock.town.civicrm.remove_from_group(contacts[0], NEW_GROUP)
    map_interest(bedrock, NEW_GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert_in_sync(bedrock)
    assert not bedrock.has_interest("gazoo0@example.org")
    assert bedrock.group_status(contacts[0], NEW_GROUP) == "Removed"
    for number, contact in list(enumerate(contacts))[1:]:
        assert bedrock.has_interest(f"gazoo{number}@example.org")
        assert bedrock.group_status(contact, NEW_GROUP) == "Added"
        assert bedrock.group_status(contact, VOLUNTEERS) == "Added"
    assert_at_peace(bedrock)


def test_an_interest_of_many_mapped_to_another_group_is_held_b1(
    bedrock: Bedrock, mcsync: CommandLine
):
    contacts = settle(bedrock, 40)
    for contact in contacts:
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.add_group("New volunteers", NEW_GROUP)
    map_interest(bedrock, NEW_GROUP)
    bedrock.pass_time(minutes=1)
    assert_held(bedrock, mcsync, "change the interests of 40")
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 0
    assert bedrock.town.civicrm.group_members(NEW_GROUP) == set(contacts)
    assert_at_peace(bedrock)


def test_what_changed_while_an_interest_was_not_mapped_counts_at_once_b1(bedrock: Bedrock):
    wilma, fred, barney = settle(bedrock, 3)
    for contact in (wilma, fred):
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    map_interest(bedrock, None)
    assert bedrock.sync() == 0
    bedrock.pass_time(hours=1)
    bedrock.town.mailchimp.edit_profile(LIST, "gazoo0@example.org", interests={VOLUNTEERING: False})
    bedrock.town.civicrm.remove_from_group(fred, VOLUNTEERS)
    bedrock.town.civicrm.add_to_group(barney, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    bedrock.pass_time(days=2)
    assert bedrock.sync() == 0
    map_interest(bedrock, VOLUNTEERS)
    bedrock.sync()
    assert_in_sync(bedrock)
    interests = [bedrock.has_interest(f"gazoo{number}@example.org") for number in range(3)]
    assert interests == [False, False, True]
    places = [bedrock.group_status(contact, VOLUNTEERS) for contact in (wilma, fred, barney)]
    assert places == ["Removed", "Removed", "Added"]
    assert_at_peace(bedrock)


def test_many_changes_while_an_interest_was_not_mapped_are_held_b1(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: staff emptied the group in the meantime."""
    contacts = settle(bedrock, 40)
    for contact in contacts:
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    map_interest(bedrock, None)
    assert bedrock.sync() == 0
    for contact in contacts[:30]:
        bedrock.town.civicrm.remove_from_group(contact, VOLUNTEERS)
    bedrock.pass_time(hours=1)
    map_interest(bedrock, VOLUNTEERS)
    assert_held(bedrock, mcsync, "change the interests of 30")


# --- options --------------------------------------------------------------------------------------


def add_titanics(bedrock: Bedrock, pairs: int) -> list[int]:
    """Members whose address two contacts own, neither of them in the group; the first contacts."""
    bedrock.options["duplicates"] = "skip"
    first = []
    for number in range(pairs):
        email = f"twins{number}@example.org"
        bedrock.add_member(email)
        first.append(bedrock.add_contact(email, group=False))
        bedrock.add_contact(email, group=False)
    return first


def test_duplicates_no_longer_skipped_are_judged_at_once_b1(bedrock: Bedrock):
    first = add_titanics(bedrock, 5)
    settle(bedrock, 3)
    assert row_status(bedrock, "twins0@example.org") == ("fail", "ambiguous-contact")
    bedrock.options["duplicates"] = "lowest-id"
    bedrock.sync()
    assert_in_sync(bedrock)
    assert [bedrock.group_status(contact) for contact in first] == ["Added"] * 5
    assert row_status(bedrock, "twins0@example.org")[0] == "ok"
    assert_at_peace(bedrock)


def test_many_duplicates_no_longer_skipped_are_held_b1(bedrock: Bedrock, mcsync: CommandLine):
    first = add_titanics(bedrock, 15)
    settle(bedrock, 20)
    bedrock.options["duplicates"] = "lowest-id"
    assert_held(bedrock, mcsync, "add 15 people")
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 0
    assert [bedrock.group_status(contact) for contact in first] == ["Added"] * 15
    assert_at_peace(bedrock)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("removal", "archive"),
        ("reconfirm", "never"),
        ("deletedContacts", "hold"),
        ("pushEmailChanges", False),
        ("confirmNew", True),
        ("movedAt", "2026-11-26T09:00:00Z"),
        ("duplicates", "skip"),
    ],
)
def test_an_option_that_changes_nobody_changes_nobody_b1(
    bedrock: Bedrock, mcsync: CommandLine, option: str, value: object
):
    """The brother: everybody is judged anew, and all is as it should be."""
    settle(bedrock, 20)
    bedrock.options[option] = value
    before = look_at_both(bedrock)
    assert mcsync("sync").code == 0
    assert look_at_both(bedrock) == before
    assert_at_peace(bedrock)


# --- an interest's group is suddenly empty --------------------------------------------------------


def make_smart(bedrock: Bedrock, people: int) -> tuple[int, list[int]]:
    """An interest that stands for a computed group of people in agreement."""
    smart = bedrock.town.civicrm.add_group(
        "All Flintstones", smart_where=[["last_name", "=", "Flintstone"]]
    )
    map_interest(bedrock, smart)
    contacts = settle(bedrock, people)
    assert bedrock.has_interest("gazoo0@example.org")
    return smart, contacts


def change_search(bedrock: Bedrock, last_name: str) -> None:
    """Staff edit what the computed group looks for."""
    for search in bedrock.town.civicrm.store.tables["SavedSearch"].rows.values():
        search["api_params"] = {**search["api_params"], "where": [["last_name", "=", last_name]]}


def count_interested(bedrock: Bedrock) -> int:
    members = bedrock.town.mailchimp.members(LIST).values()
    return sum(bool(dict(m["interests"])[VOLUNTEERING]) for m in members)  # type: ignore[call-overload]


@pytest.mark.parametrize("hours", [0, 25], ids=["plain run", "daily compare"])
def test_a_computed_group_that_is_suddenly_empty_stops_its_interest_alone_b6(
    bedrock: Bedrock, mcsync: CommandLine, hours: int
):
    _, contacts = make_smart(bedrock, 40)
    change_search(bedrock, "Nobody")
    bedrock.town.civicrm.remove_from_group(contacts[0], GROUP)  # all else goes on
    bedrock.pass_time(hours=hours, minutes=1)
    told = mcsync("sync", "--wait")
    assert told.code == 0
    [words] = told.err.splitlines()
    assert VOLUNTEERING in words
    assert "suddenly empty" in words
    assert bedrock.member_status("gazoo0@example.org") == "unsubscribed"
    assert count_interested(bedrock) == 40
    assert mcsync("sync") == Told(0, "", "")  # told once
    change_search(bedrock, "Flintstone")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert count_interested(bedrock) == 40
    assert_at_peace(bedrock)


def test_a_computed_group_that_loses_half_is_believed_b6(bedrock: Bedrock):
    """The brother: that somebody is no longer in it is what such a group is for."""
    _, contacts = make_smart(bedrock, 12)
    for contact in contacts[:6]:
        bedrock.town.civicrm.update_contact(contact, last_name="Rubble")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert count_interested(bedrock) == 6
    assert_at_peace(bedrock)


def test_a_computed_group_of_few_that_is_empty_is_believed_b6(bedrock: Bedrock):
    """The brother: nine people are within what no guard looks at."""
    make_smart(bedrock, 9)
    change_search(bedrock, "Nobody")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert count_interested(bedrock) == 0
    assert_at_peace(bedrock)


def test_a_computed_group_that_is_empty_for_good_is_believed_when_forced_b6(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: somebody has looked."""
    make_smart(bedrock, 40)
    change_search(bedrock, "Nobody")
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 0
    assert count_interested(bedrock) == 0
    assert_at_peace(bedrock)


def lose_rows(bedrock: Bedrock, group: int) -> dict[int, str]:
    """All rows of a group are gone, as after a slip with SQL; who had which status."""
    rows = {
        contact: status
        for status in ("Added", "Removed")
        for contact in bedrock.town.civicrm.group_members(group, status)
    }
    for contact in rows:
        bedrock.town.civicrm.sql_set_membership(contact, group, None)
    return rows


def put_back(bedrock: Bedrock, group: int, rows: dict[int, str]) -> None:
    """They are there again, from a backup."""
    for contact, status in rows.items():
        bedrock.town.civicrm.sql_set_membership(contact, group, status)


def add_volunteers(bedrock: Bedrock, people: int) -> list[int]:
    """People in agreement, all of whom have the interest."""
    contacts = settle(bedrock, people)
    for contact in contacts:
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    return contacts


@pytest.mark.parametrize("hours", [0, 25], ids=["plain run", "daily compare"])
def test_a_plain_group_that_lost_all_its_rows_stops_its_interest_alone_b6(
    bedrock: Bedrock, mcsync: CommandLine, hours: int
):
    """The brother: a group of staff's own, whose rows are gone, Removed ones included."""
    contacts = add_volunteers(bedrock, 40)
    rows = lose_rows(bedrock, VOLUNTEERS)
    bedrock.town.mailchimp.leave(LIST, "gazoo0@example.org")
    bedrock.pass_time(hours=hours, minutes=1)
    told = mcsync("sync", "--wait")
    assert told.code == 0
    [words] = told.err.splitlines()
    assert "suddenly empty" in words
    assert bedrock.group_status(contacts[0]) == "Removed"
    assert count_interested(bedrock) == 40
    assert mcsync("sync") == Told(0, "", "")
    for day in range(1, 4):  # whoever else is judged meanwhile
        bedrock.town.civicrm.update_contact(contacts[day], is_opt_out=True)
        bedrock.town.mailchimp.edit_profile(
            LIST, f"gazoo{day + 3}@example.org", interests={VOLUNTEERING: False}
        )
        bedrock.pass_time(hours=25)
        assert mcsync("sync", "--wait") == Told(0, "", "")
    assert count_interested(bedrock) == 37
    put_back(bedrock, VOLUNTEERS, rows)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert count_interested(bedrock) == 37
    places = [bedrock.group_status(contact, VOLUNTEERS) for contact in contacts]
    assert places == ["Added"] * 4 + ["Removed"] * 3 + ["Added"] * 33
    assert_at_peace(bedrock)


def test_the_subscription_group_that_lost_all_its_rows_stops_the_audience_b6(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: with every limit off, nobody is unsubscribed, however many runs there are."""
    contacts = settle(bedrock, 40)
    rows = lose_rows(bedrock, GROUP)
    before = look_at_both(bedrock)
    for hours in (0, 1, 25, 1, 25):
        bedrock.pass_time(hours=hours, minutes=1)
        assert mcsync("sync").code == 4
        assert look_at_both(bedrock) == before
    bedrock.town.mailchimp.leave(LIST, "gazoo0@example.org")
    put_back(bedrock, GROUP, rows)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(contacts[0]) == "Removed"
    assert bedrock.member_status("gazoo1@example.org") == "subscribed"
    assert_at_peace(bedrock)


def test_the_subscription_group_is_believed_to_be_empty_when_forced_b6(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: somebody has looked, and means it."""
    settle(bedrock, 40)
    lose_rows(bedrock, GROUP)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync").code == 4
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 0
    statuses = {str(m["status"]) for m in bedrock.town.mailchimp.members(LIST).values()}
    assert statuses == {"unsubscribed"}
    assert_at_peace(bedrock)


# --- one group, or one row, that makes no sense ---------------------------------------------------


def add_choir(bedrock: Bedrock) -> int:
    """A second audience with Betty in it, in agreement."""
    bedrock.town.add_audience(OTHER, "Choir", OTHER_GROUP, {})
    betty = bedrock.add_contact("betty@example.org", group=False)
    bedrock.town.civicrm.add_to_group(betty, OTHER_GROUP)
    bedrock.town.mailchimp.import_member(OTHER, "betty@example.org")
    bedrock.sync_until_quiet()
    return betty


@pytest.mark.parametrize("what", ["refresh", "resolve"])
def test_a_computed_group_that_cannot_be_read_stops_its_audience_alone_b7(
    bedrock: Bedrock, mcsync: CommandLine, what: str
):
    smart, contacts = make_smart(bedrock, 12)
    betty = add_choir(bedrock)
    bedrock.town.civicrm.break_group(smart, what)  # type: ignore[arg-type]
    bedrock.town.mailchimp.leave(LIST, "gazoo0@example.org")
    bedrock.town.mailchimp.leave(OTHER, "betty@example.org")
    bedrock.pass_time(minutes=1)
    told = mcsync("sync")
    assert told.code == 3, told
    assert "Main audience" in told.err
    assert str(smart) in told.err
    assert bedrock.group_status(betty, OTHER_GROUP) == "Removed"
    assert count_interested(bedrock) == 12
    bedrock.town.civicrm.mend_group(smart)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    assert bedrock.group_status(contacts[0]) == "Removed"
    bedrock.sync_until_quiet()
    assert_at_peace(bedrock)


@pytest.mark.parametrize("hours", [0, 25], ids=["plain run", "daily compare"])
def test_a_group_contact_without_a_status_is_left_alone_b7(
    bedrock: Bedrock, mcsync: CommandLine, hours: int
):
    contacts = settle(bedrock, 12)
    betty = add_choir(bedrock)
    bedrock.town.civicrm.sql_clear_status(contacts[0], GROUP)
    bedrock.town.mailchimp.leave(LIST, "gazoo1@example.org")
    bedrock.town.mailchimp.leave(OTHER, "betty@example.org")
    bedrock.pass_time(hours=hours, minutes=1)
    told = mcsync("sync")
    assert told.code == 0, told
    assert bedrock.group_status(contacts[1]) == "Removed"
    assert bedrock.group_status(betty, OTHER_GROUP) == "Removed"
    assert bedrock.member_status("gazoo0@example.org") == "subscribed"
    assert bedrock.group_status(contacts[0]) == ""
    assert_at_peace(bedrock)


def test_an_interests_group_contact_without_a_status_is_left_alone_b7(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: in the group of an interest, of somebody who is new."""
    contacts = settle(bedrock, 12)
    bedrock.town.civicrm.sql_clear_status(contacts[0], VOLUNTEERS)
    bedrock.town.civicrm.add_to_group(contacts[1], VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait").code == 0
    assert bedrock.has_interest("gazoo1@example.org")
    assert not bedrock.has_interest("gazoo0@example.org")
    assert_at_peace(bedrock)


# --- an interest is gone at Mailchimp -------------------------------------------------------------


def test_a_mapped_interest_that_is_gone_is_warned_of_once_b8(bedrock: Bedrock, mcsync: CommandLine):
    contacts = settle(bedrock, 12)
    for contact in contacts[:3]:
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.remove_interest(LIST, VOLUNTEERING)
    bedrock.town.mailchimp.leave(LIST, "gazoo0@example.org")
    bedrock.pass_time(minutes=1)
    told = mcsync("sync", "--wait")
    assert told.code == 0
    [words] = told.err.splitlines()
    assert VOLUNTEERING in words
    assert bedrock.group_status(contacts[0]) == "Removed"
    places = [bedrock.group_status(contact, VOLUNTEERS) for contact in contacts[:3]]
    assert places == ["Added"] * 3
    for number in range(1, 4):  # each gives the next run somebody to judge
        bedrock.town.civicrm.add_to_group(contacts[number + 3], VOLUNTEERS)
        bedrock.town.mailchimp.leave(LIST, f"gazoo{number}@example.org")
        bedrock.pass_time(hours=number * 13)
        assert mcsync("sync", "--wait") == Told(0, "", "")
        assert bedrock.group_status(contacts[number]) == "Removed"
    assert_in_sync_by_mcsync(mcsync)


def assert_in_sync_by_mcsync(mcsync: CommandLine) -> None:
    told = mcsync("sync", "--json")
    assert told.code == 0
    assert all(audience["in_sync"] for audience in told.document["audiences"])


def test_a_mapped_interest_that_was_never_there_is_warned_of_once_b8(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: an id that nobody knows, from the first run on."""
    bedrock.options["interests"] = {"eeeeeeeeee": str(VOLUNTEERS)}
    wilma = bedrock.add_contact("wilma@example.org")
    bedrock.town.civicrm.add_to_group(wilma, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    told = mcsync("sync", "--wait")
    assert told.code == 0
    [words] = told.err.splitlines()
    assert "eeeeeeeeee" in words
    assert bedrock.member_status("wilma@example.org") == "subscribed"
    bedrock.add_contact("betty@example.org")
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert bedrock.group_status(wilma, VOLUNTEERS) == "Added"


def test_what_was_said_while_an_interest_was_gone_counts_when_it_is_back_b8(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: for one run Mailchimp does not name the interest among the audience's."""
    contacts = add_volunteers(bedrock, 12)
    nothing = Response(200, b'{"interests": [], "total_items": 0}', JSON)
    fault = Fault(method="GET", path=r"/interests\?", answer=nothing, times=None)
    bedrock.town.mailchimp_server.faults.append(fault)
    bedrock.town.mailchimp.edit_profile(LIST, "gazoo0@example.org", interests={VOLUNTEERING: False})
    bedrock.town.civicrm.remove_from_group(contacts[1], VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    told = mcsync("sync", "--wait")
    assert told.code == 0
    assert VOLUNTEERING in told.err
    bedrock.town.mailchimp_server.faults.remove(fault)
    bedrock.town.mailchimp.leave(LIST, "gazoo2@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(contacts[0], VOLUNTEERS) == "Removed"
    assert not bedrock.has_interest("gazoo1@example.org")
    assert bedrock.has_interest("gazoo3@example.org")
    assert_at_peace(bedrock)


def test_an_audience_whose_every_mapped_interest_is_gone_goes_on_b8(bedrock: Bedrock):
    """The brother: the whole category is deleted, and `interests` is no longer in the answers."""
    contacts = settle(bedrock, 12)
    bedrock.town.mailchimp.remove_interest(LIST, VOLUNTEERING)
    bedrock.town.civicrm.remove_from_group(contacts[0], GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("gazoo0@example.org") == "unsubscribed"
    assert_at_peace(bedrock)
