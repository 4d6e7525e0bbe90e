"""Duplicates that are merged in CiviCRM, as we advise: from then on they are as anybody."""

import pytest

from tests.scenario.aftermath import assert_at_peace, assert_in_sync, load_rows, row_status
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock

TWINS = "twins@example.org"
NEW = "twins@example.net"


@pytest.fixture
def data(data: Bedrock) -> Bedrock:
    """Bedrock with names on, and somebody beside the twins."""
    data.add_both("fred@example.org")
    return data


def add_twins(bedrock: Bedrock, *, group: bool = True) -> tuple[int, int]:
    """Two contacts with the address of one member, whose name is neither's."""
    bedrock.add_member(TWINS, first_name="Tw.", last_name="Flintstone")
    twins = []
    for first in ("Castor", "Pollux"):
        contact = bedrock.town.civicrm.add_contact(first, "Flintstone", [TWINS])
        if group:
            bedrock.town.civicrm.add_to_group(contact, GROUP)
        twins.append(contact)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    return twins[0], twins[1]


def merge(bedrock: Bedrock, winner: int, loser: int) -> None:
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.merge(winner, loser)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()


def name_at_mailchimp(bedrock: Bedrock, email: str = TWINS) -> str:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    fields = member["merge_fields"]
    assert isinstance(fields, dict)
    return str(fields["FNAME"])


def name_in_civicrm(bedrock: Bedrock, contact: int) -> str | None:
    found = bedrock.town.civicrm.contact(contact)
    assert found is not None
    return found.first_name


def assert_as_anybody(bedrock: Bedrock, survivor: int) -> None:
    """Names and addresses go both ways, and so do places and interests."""
    civicrm, mailchimp = bedrock.town.civicrm, bedrock.town.mailchimp
    assert [row[:2] for row in load_rows(bedrock) if row[0] == TWINS] == [(TWINS, survivor)]
    civicrm.update_contact(survivor, first_name="Castor")
    bedrock.pass_time(minutes=1)
    civicrm.update_contact(survivor, first_name="Gemini")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert name_at_mailchimp(bedrock) == "Gemini"
    mailchimp.edit_profile(LIST, TWINS, first_name="Dioscuri", interests={VOLUNTEERING: True})
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert name_in_civicrm(bedrock, survivor) == "Dioscuri"
    assert bedrock.group_status(survivor, VOLUNTEERS) == "Added"
    mailchimp.change_address(LIST, TWINS, NEW)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    [email] = [e for e in civicrm.emails(survivor) if e.email == NEW]
    assert email.is_bulkmail
    civicrm.update_email(email.id, email="gemini@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("gemini@example.org") == "subscribed"
    assert bedrock.member_status(NEW) is None
    assert_at_peace(bedrock)
    mailchimp.leave(LIST, "gemini@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert_in_sync(bedrock)
    assert bedrock.group_status(survivor) == "Removed"
    assert_at_peace(bedrock)


@pytest.mark.parametrize("winner", ["the linked one", "the other one"])
def test_two_in_the_group_that_are_merged_are_as_anybody_b3(data: Bedrock, winner: str):
    first, second = add_twins(data)
    assert name_in_civicrm(data, first) == "Castor"
    survivor, loser = (first, second) if winner == "the linked one" else (second, first)
    merge(data, survivor, loser)
    assert row_status(data, TWINS)[0] == "ok"
    assert data.group_status(survivor) == "Added"
    assert data.member_status(TWINS) == "subscribed"
    assert_as_anybody(data, survivor)


@pytest.mark.parametrize("winner", ["the linked one", "the other one"])
def test_two_that_are_chosen_by_lowest_id_and_merged_are_as_anybody_b3(data: Bedrock, winner: str):
    """The brother: neither was in the group before the first sync."""
    first, second = add_twins(data, group=False)
    assert data.group_status(first) == "Added"
    survivor, loser = (first, second) if winner == "the linked one" else (second, first)
    merge(data, survivor, loser)
    assert data.group_status(survivor) == "Added"
    assert_as_anybody(data, survivor)


@pytest.mark.parametrize("winner", [0, 1])
def test_two_that_were_skipped_and_are_merged_are_as_anybody_b3(data: Bedrock, winner: int):
    """The brother: nobody could be chosen, which `status` tells with our advice."""
    data.options["duplicates"] = "skip"
    twins = add_twins(data, group=False)
    assert row_status(data, TWINS) == ("fail", "ambiguous-contact")
    merge(data, twins[winner], twins[1 - winner])
    assert data.group_status(twins[winner]) == "Added"
    assert row_status(data, TWINS)[0] == "ok"
    assert_as_anybody(data, twins[winner])


@pytest.mark.parametrize("end", ["trash", "purge"])
def test_a_duplicate_that_is_deleted_instead_leaves_the_other_as_anybody_b3(
    data: Bedrock, end: str
):
    """The brother: the one who is not linked goes."""
    first, second = add_twins(data)
    data.pass_time(hours=1)
    getattr(data.town.civicrm, end)(second)
    data.pass_time(hours=25)
    data.sync_until_quiet()
    assert data.group_status(first) == "Added"
    assert_as_anybody(data, first)


def test_a_duplicate_that_gives_up_the_address_leaves_the_other_as_anybody_b3(data: Bedrock):
    """The brother: its address is corrected, and it gets a member of its own."""
    first, second = add_twins(data)
    data.pass_time(hours=1)
    [email] = data.town.civicrm.emails(second)
    data.town.civicrm.update_email(email.id, email="pollux@example.org")
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert data.member_status("pollux@example.org") == "subscribed"
    assert name_at_mailchimp(data, "pollux@example.org") == "Pollux"
    assert data.group_status(second) == "Added"
    assert_as_anybody(data, first)
