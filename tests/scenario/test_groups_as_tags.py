"""Groups as tags: whoever is in a group in CiviCRM has its tag at Mailchimp."""

import logging

import pytest

from tests.scenario.bedrock import GROUP, Bedrock
from tests.scenario.test_data_sync import give_tag, tags_of

BOARD, BOWLERS = 31, 32
FRED = "fred@example.org"


@pytest.fixture
def data(data: Bedrock) -> Bedrock:
    """Bedrock with data on, and two groups that become tags."""
    data.town.civicrm.add_group("Board", BOARD)
    data.town.civicrm.add_group("Bowling", BOWLERS)
    map_groups(data, {BOARD: "Board", BOWLERS: "Bowler"})
    return data


def map_groups(data: Bedrock, tags: dict[int, str]) -> None:
    data.settings["data"] = {"groupTags": {str(group): tag for group, tag in tags.items()}}


def put_on(data: Bedrock, *names: str, group: int = BOARD) -> list[int]:
    contacts = [data.add_both(f"{name}@example.org") for name in names]
    for contact in contacts:
        data.town.civicrm.add_to_group(contact, group)
    return contacts


def test_whoever_is_added_has_the_tag_and_loses_it_with_the_group(data: Bedrock):
    [fred] = put_on(data, "fred")
    give_tag(data, fred, "Donor")
    data.sync_until_quiet()
    assert tags_of(data, FRED) == {"Board", "CiviCRM: Donor"}
    data.town.civicrm.add_to_group(fred, BOWLERS)
    data.town.civicrm.remove_from_group(fred, BOARD)
    data.sync_until_quiet()
    assert tags_of(data, FRED) == {"Bowler", "CiviCRM: Donor"}
    assert data.group_status(fred) == "Added"
    assert data.sync() == 0


def test_somebody_new_gets_the_tag_and_nobody_else_loses_one(data: Bedrock):
    data.add_member("wilma@example.org", tags=["Board", "Bowler"])
    data.add_contact("wilma@example.org")
    fred = data.add_contact(FRED)
    data.town.civicrm.add_to_group(fred, BOARD)
    data.sync_until_quiet()
    assert tags_of(data, FRED) == {"Board"}
    assert tags_of(data, "wilma@example.org") == {"Board", "Bowler"}


def test_a_tag_at_mailchimp_changes_no_group(data: Bedrock):
    data.add_member(FRED, tags=["Board"])
    fred = data.add_contact(FRED)
    data.sync_until_quiet()
    assert data.group_status(fred, BOARD) is None
    assert data.group_status(fred, GROUP) == "Added"


def test_another_tag_or_a_group_that_is_not_mapped_any_more_is_taken_off(data: Bedrock):
    [fred] = put_on(data, "fred")
    data.town.civicrm.add_to_group(fred, BOWLERS)
    data.sync_until_quiet()
    assert tags_of(data, FRED) == {"Board", "Bowler"}
    map_groups(data, {BOARD: "Trustee"})
    data.sync_until_quiet()
    assert tags_of(data, FRED) == {"Trustee"}
    map_groups(data, {BOARD: "TRUSTEE"})
    data.sync_until_quiet()
    assert tags_of(data, FRED) == {"Trustee"}


def test_two_groups_may_have_one_tag(data: Bedrock):
    map_groups(data, {BOARD: "Friend", BOWLERS: "friend"})
    [fred] = put_on(data, "fred")
    data.town.civicrm.add_to_group(fred, BOWLERS)
    data.sync_until_quiet()
    data.town.civicrm.remove_from_group(fred, BOARD)
    data.sync_until_quiet()
    assert {tag.lower() for tag in tags_of(data, FRED)} == {"friend"}


def test_a_computed_group_is_followed(data: Bedrock):
    miners = data.town.civicrm.add_group("Miners", 33, smart_where=[["job_title", "=", "Miner"]])
    map_groups(data, {miners: "Miner"})
    fred = data.add_both(FRED)
    data.town.civicrm.update_contact(fred, job_title="Miner")
    data.sync_until_quiet()
    assert tags_of(data, FRED) == {"Miner"}
    data.town.civicrm.update_contact(fred, job_title="Manager")
    data.sync_until_quiet()
    assert tags_of(data, FRED) == set()


@pytest.mark.parametrize("what", ["deleted", "disabled", "empty"])
def test_a_group_that_is_not_believed_takes_no_tag_off(
    data: Bedrock, what: str, caplog: pytest.LogCaptureFixture
):
    people = [f"p{number}" for number in range(10)]
    contacts = put_on(data, *people)
    data.town.civicrm.add_to_group(contacts[0], BOWLERS)
    data.sync_until_quiet()
    if what == "empty":
        for contact in contacts:
            data.town.civicrm.remove_from_group(contact, BOARD)
    elif what == "deleted":
        data.town.civicrm.delete_group(BOARD)
    else:
        data.town.civicrm.disable_group(BOARD)
    data.town.civicrm.remove_from_group(contacts[0], BOWLERS)
    data.sync_until_quiet()
    assert tags_of(data, "p0@example.org") == {"Board"}
    data.pass_time(hours=25)
    data.sync_until_quiet()
    assert tags_of(data, "p9@example.org") == {"Board"}
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [t.partition(":")[0] for t in told] == ["data.groupTags.31 is left as it is"]


def test_a_quiet_run_reads_no_group(data: Bedrock):
    put_on(data, "fred", "wilma")
    data.sync_until_quiet()
    before = len(data.town.civicrm_server.requests)
    assert data.sync() == 0
    asked = [r.request.body.decode() for r in data.town.civicrm_server.requests[before:]]
    assert not [text for text in asked if "contact_id" in text and str(BOARD) in text]
