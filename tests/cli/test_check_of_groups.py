"""What mcsync check says before a first sync: of groups, of limits, and of whom it would change."""

from typing import Any

import pytest

from tests.cli.conftest import GROUP, INTEREST_GROUP, LIST, Office

OURS = ("group-nested", "additions-unlimited", "first-sync", "names-not-synced", "double-opt-in")


@pytest.fixture
def hall(empty_office: Office) -> Office:
    return empty_office


def find(office: Office) -> dict[str, dict[str, Any]]:
    """What is found of all this, by code; each code once."""
    said = office.run("check", "--json")
    found = [each for each in said.document["findings"] if each["code"] in OURS]
    assert len({each["code"] for each in found}) == len(found)
    return {each["code"]: each for each in found}


def fill_both(office: Office) -> None:
    """Somebody for each number, and some of whom there is nothing to do."""
    civicrm, mailchimp = office.town.civicrm, office.town.mailchimp
    for name in ("fred", "wilma"):
        office.add_both(f"{name}@example.org")
    for name in ("new", "newer", "newest"):  # contacts to be created
        mailchimp.import_member(LIST, f"{name}@example.org")
    mailchimp.import_member(LIST, "gone@example.org", status="unsubscribed")  # of nobody
    mailchimp.import_member(LIST, "known@example.org")  # to be added
    office.add_contact("known@example.org", group=None)
    for name in ("betty", "barney", "pebbles", "dino"):  # to be subscribed
        office.add_contact(f"{name}@example.org")
    office.add_contact("out@example.org", is_opt_out=True)  # may not be mailed, nor is
    office.add_both("late@example.org")  # may not be mailed, but is
    (late,) = civicrm.contacts_by_email("late@example.org")
    civicrm.update_contact(late.id, is_opt_out=True)
    office.add_both("left@example.org")  # the two sides differ
    office.add_both("removed@example.org")
    mailchimp.staff_unsubscribe(LIST, "left@example.org")
    (removed,) = civicrm.contacts_by_email("removed@example.org")
    civicrm.remove_from_group(removed.id, GROUP)


def test_before_the_first_sync_its_numbers_are_told_as_a_dry_run_has_them(hall: Office) -> None:
    fill_both(hall)
    assert "first-sync" not in find(hall)  # nothing was fetched yet
    assert hall.run("fetch").code == 0
    before = hall.cache.read_bytes()
    found = find(hall)["first-sync"]
    assert (found["severity"], found["list_id"]) == ("note", LIST)
    assert found["message"] == (
        "from what was fetched, the first sync would create 3 contacts, add 1 existing contact to"
        " the group and subscribe 4 people; the two sides disagree about 2 people, and 1 subscribed"
        " member may not be mailed according to CiviCRM"
    )
    assert hall.cache.read_bytes() == before
    planned = hall.run("reconcile", "--dry-run", "--json").document
    (told,) = planned["audiences"]
    assert (told["contacts_created"], told["added_to_group"]) == (3, 3 + 1)
    new = [e for e in planned["plan"] if e["after"] == "subscribed" and e["before"] is None]
    assert len(new) == 4


def test_a_row_that_two_contacts_may_own_is_no_contact_to_be_created(hall: Office) -> None:
    hall.options["defaults"] = {"duplicates": "skip"}
    hall.write_config()
    hall.town.mailchimp.import_member(LIST, "twins@example.org")
    for _ in range(2):
        hall.add_contact("twins@example.org", group=None)
    hall.add_contact("fred@example.org")
    assert hall.run("fetch").code == 0
    assert "would create 0 contacts, add 0 existing" in find(hall)["first-sync"]["message"]


def test_who_shares_a_members_address_is_not_told_as_to_be_subscribed(hall: Office) -> None:
    hall.add_both("couple@example.org")
    hall.add_contact("couple@example.org")
    assert hall.run("fetch").code == 0
    assert "subscribe 0 people" in find(hall)["first-sync"]["message"]


def test_once_something_is_decided_there_is_no_first_sync_to_come(hall: Office) -> None:
    fill_both(hall)
    assert hall.run("fetch").code == 0
    assert hall.run("reconcile").code == 0
    assert "first-sync" not in find(hall)
    assert hall.run("sync", "--wait").code == 0
    assert "first-sync" not in find(hall)


def test_an_empty_audience_before_a_full_group_without_a_limit(hall: Office) -> None:
    for number in range(10):
        hall.add_contact(f"worker{number}@quarry.example")
    assert "additions-unlimited" not in find(hall)
    hall.write_config(safety={"maxAdditions": None})
    found = find(hall)["additions-unlimited"]
    assert found["severity"] == "warning"
    assert found["message"] == (
        'the audience has 0 subscribed members and group 111, "Main audience subscribers",'
        " has 10 contacts; as maxAdditions is null, nothing holds a sync back from subscribing all"
        " of them"
    )
    hall.town.mailchimp.import_member(LIST, "slate@quarry.example")
    assert "additions-unlimited" not in find(hall)


def test_people_in_groups_inside_are_told_and_are_not_subscribed(hall: Office) -> None:
    civicrm = hall.town.civicrm
    inner = civicrm.add_group("Board")
    civicrm.nest_group(inner, GROUP)
    fred = hall.add_both("fred@example.org")
    civicrm.add_to_group(fred, inner)
    assert "group-nested" not in find(hall)
    hall.add_contact("wilma@example.org", group=inner)
    found = find(hall)["group-nested"]
    assert (found["severity"], found["where"]) == ("warning", "Main audience")
    assert found["message"] == (
        '1 person is only in groups inside group 111, "Main audience subscribers", and mcsync'
        " counts only who is in the group itself"
    )
    assert hall.run("sync", "--wait").code == 0
    assert hall.statuses() == {"fred@example.org": "subscribed"}


def test_people_inside_the_group_of_an_interest_are_told_with_its_name(hall: Office) -> None:
    civicrm = hall.town.civicrm
    inner = civicrm.add_group("Gardeners")
    civicrm.nest_group(inner, INTEREST_GROUP)
    hall.add_contact("wilma@example.org", group=inner)
    assert "Volunteering" in find(hall)["group-nested"]["where"]


def test_that_names_do_not_go_to_mailchimp_is_told_once(hall: Office) -> None:
    hall.add_other_audience()
    hall.add_contact("fred@example.org")
    assert find(hall)["names-not-synced"]["severity"] == "note"  # `find` wants it once
    assert hall.run("sync", "--wait").code == 0
    assert hall.town.mailchimp.members(LIST)["fred@example.org"]["merge_fields"]["FNAME"] == ""
    hall.write_config(data={"fields": {"JOB": "job_title"}, "groupTags": {"31": "Board"}})
    told = find(hall)["names-not-synced"]["message"]
    assert told.endswith("; nor is anything done with data.fields and data.groupTags")
    hall.write_config(data={"sync": True})
    assert "names-not-synced" not in find(hall)


def test_where_new_people_are_asked_double_opt_in_is_as_it_should_be(hall: Office) -> None:
    hall.town.mailchimp.audiences[LIST].double_optin = True
    assert "else set confirmNew" in find(hall)["double-opt-in"]["hint"]
    hall.write_config(defaults={"confirmNew": True})
    assert "double-opt-in" not in find(hall)


def test_after_a_sync_that_had_nothing_to_do_none_is_the_first(hall: Office) -> None:
    hall.add_both("fred@example.org")
    assert hall.run("fetch").code == 0
    assert "first-sync" in find(hall)
    assert hall.run("sync", "--wait").code == 0
    assert "first-sync" not in find(hall)
