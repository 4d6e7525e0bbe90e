"""Several audiences over one CiviCRM: what one of them does concerns the others at once."""

import pytest

from mcsync.sandbox.town import API_KEY, OTHER_API_KEY
from tests.scenario.aftermath import assert_at_peace, assert_in_sync, find_unsettled, row_status
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.telling import CommandLine

OTHER, OTHER_GROUP = "bbbbbbbbbb", 333
SINGING, SINGERS = "dddddddddd", 444
DINO = "dino@example.org"


@pytest.fixture(params=[API_KEY, OTHER_API_KEY], ids=["one account", "two accounts"])
def twin(bedrock: Bedrock, request: pytest.FixtureRequest) -> Bedrock:
    """Bedrock with a second audience; Fred and Wilma are in both, in agreement."""
    bedrock.town.add_audience(
        OTHER, "Choir", OTHER_GROUP, {SINGING: (SINGERS, "Singing")}, api_key=request.param
    )
    for name in ("fred", "wilma"):
        contact = bedrock.add_both(f"{name}@example.org")
        bedrock.town.civicrm.add_to_group(contact, OTHER_GROUP)
        bedrock.town.mailchimp.import_member(OTHER, f"{name}@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    return bedrock


def status_in(bedrock: Bedrock, list_id: str, email: str) -> str | None:
    member = bedrock.town.mailchimp.member(list_id, email)
    return None if member is None else str(member["status"])


def sync_once(bedrock: Bedrock) -> None:
    """One run, after which nothing waits and every audience counts as in sync."""
    bedrock.sync()
    assert find_unsettled(bedrock) == []
    assert_in_sync(bedrock)


# --- somebody unknown at two audiences at once ----------------------------------------------------


def test_who_signs_up_at_two_audiences_is_in_both_groups_after_one_run_e7(
    twin: Bedrock, mcsync: CommandLine
):
    for list_id in (LIST, OTHER):
        twin.town.mailchimp.sign_up(list_id, DINO, "Dino", "Flintstone")
    twin.pass_time(minutes=1)
    told = mcsync("sync")
    assert (told.code, told.out, told.err) == (0, "", "")
    [dino] = twin.town.civicrm.contacts_by_email(DINO)
    assert twin.group_status(dino.id) == "Added"
    assert twin.group_status(dino.id, OTHER_GROUP) == "Added"
    assert find_unsettled(twin) == []
    assert_at_peace(twin)


def test_his_interests_at_both_audiences_arrive_in_one_run_e7(twin: Bedrock):
    """The brother: with an interest at each."""
    twin.town.mailchimp.sign_up(LIST, DINO, interests=[VOLUNTEERING])
    twin.town.mailchimp.sign_up(OTHER, DINO, interests=[SINGING])
    twin.pass_time(minutes=1)
    sync_once(twin)
    [dino] = twin.town.civicrm.contacts_by_email(DINO)
    for group in (GROUP, VOLUNTEERS, OTHER_GROUP, SINGERS):
        assert twin.group_status(dino.id, group) == "Added"
    assert_at_peace(twin)


def test_who_left_the_one_and_signs_up_at_the_other_is_in_that_group_only_e7(twin: Bedrock):
    """The brother: at the second audience he is out."""
    twin.town.mailchimp.import_member(OTHER, DINO, status="unsubscribed", left=True)
    twin.town.mailchimp.sign_up(LIST, DINO)
    twin.pass_time(minutes=1)
    twin.sync_until_quiet()
    [dino] = twin.town.civicrm.contacts_by_email(DINO)
    assert twin.group_status(dino.id) == "Added"
    assert twin.group_status(dino.id, OTHER_GROUP) != "Added"
    assert status_in(twin, OTHER, DINO) == "unsubscribed"
    assert_at_peace(twin)


def test_forty_sign_up_at_two_audiences_and_none_is_doubled_e7(twin: Bedrock):
    """The brother: many, in the other order."""
    emails = [f"pebbles{number}@example.org" for number in range(40)]
    for list_id in (OTHER, LIST):
        for email in emails:
            twin.town.mailchimp.sign_up(list_id, email)
    twin.pass_time(minutes=1)
    sync_once(twin)
    for email in emails:
        [contact] = twin.town.civicrm.contacts_by_email(email)
        assert twin.group_status(contact.id) == "Added"
        assert twin.group_status(contact.id, OTHER_GROUP) == "Added"
    assert_at_peace(twin)


def test_one_audience_after_the_other_makes_one_contact_e7(twin: Bedrock, mcsync: CommandLine):
    """The brother: two runs with --list."""
    for list_id in (LIST, OTHER):
        twin.town.mailchimp.sign_up(list_id, DINO)
    twin.pass_time(minutes=1)
    assert mcsync("sync", "--list", OTHER).code == 0
    assert mcsync("sync", "--list", LIST).code == 0
    [dino] = twin.town.civicrm.contacts_by_email(DINO)
    assert twin.group_status(dino.id) == "Added"
    assert twin.group_status(dino.id, OTHER_GROUP) == "Added"
    twin.sync_until_quiet()
    assert_at_peace(twin)


# --- one run is enough ----------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["is_opt_out", "do_not_email"])
def test_when_an_opt_out_is_lifted_one_run_ends_in_sync_f8(twin: Bedrock, flag: str):
    [fred] = twin.town.civicrm.contacts_by_email("fred@example.org")
    twin.town.civicrm.update_contact(fred.id, **{flag: True})
    twin.pass_time(minutes=1)
    sync_once(twin)
    assert row_status(twin, "fred@example.org")[0] == "fail"
    for list_id in (LIST, OTHER):
        assert status_in(twin, list_id, "fred@example.org") == "unsubscribed"
    twin.town.civicrm.update_contact(fred.id, **{flag: False})
    twin.pass_time(minutes=1)
    sync_once(twin)
    for list_id in (LIST, OTHER):
        assert status_in(twin, list_id, "fred@example.org") == "subscribed"
        assert row_status(twin, "fred@example.org", list_id)[0] == "ok"
    assert_at_peace(twin)


def test_when_a_hold_is_lifted_one_run_ends_in_sync_f8(twin: Bedrock):
    """The brother: the address was on hold."""
    [fred] = twin.town.civicrm.contacts_by_email("fred@example.org")
    [email] = twin.town.civicrm.emails(fred.id)
    for hold in (1, 0):
        twin.town.civicrm.update_email(email.id, on_hold=hold)
        twin.pass_time(minutes=1)
        sync_once(twin)
    for list_id in (LIST, OTHER):
        assert status_in(twin, list_id, "fred@example.org") == "subscribed"
    assert_at_peace(twin)


def test_what_one_audience_writes_about_a_contact_of_another_ends_in_sync_f8(twin: Bedrock):
    """Wilma leaves one audience, gets a name there and moves at the other, all in one run."""
    twin.with_data = True
    twin.sync_until_quiet()
    twin.town.mailchimp.leave(LIST, "wilma@example.org")
    twin.town.mailchimp.edit_profile(OTHER, "wilma@example.org", first_name="Wilhelmina")
    twin.town.mailchimp.edit_profile(LIST, "fred@example.org", first_name="Frederick")
    twin.pass_time(minutes=1)
    twin.sync_until_quiet()
    assert find_unsettled(twin) == []
    assert_in_sync(twin)
    [wilma] = twin.town.civicrm.contacts_by_email("wilma@example.org")
    assert twin.group_status(wilma.id) == "Removed"
    assert twin.group_status(wilma.id, OTHER_GROUP) == "Added"
    assert wilma.first_name == "Wilhelmina"
    assert_at_peace(twin)


@pytest.mark.parametrize("heard_at", [LIST, OTHER])
def test_a_name_that_changes_at_one_audience_changes_at_the_others(twin: Bedrock, heard_at: str):
    twin.with_data = True
    twin.sync_until_quiet()
    twin.town.mailchimp.edit_profile(heard_at, "fred@example.org", first_name="Frederick")
    twin.pass_time(minutes=1)
    twin.sync_until_quiet()
    [fred] = twin.town.civicrm.contacts_by_email("fred@example.org")
    assert fred.first_name == "Frederick"
    for list_id in (LIST, OTHER):
        member = twin.town.mailchimp.member(list_id, "fred@example.org")
        assert member is not None
        assert member["merge_fields"]["FNAME"] == "Frederick"
    assert_at_peace(twin)


def test_an_audience_counts_as_in_sync_only_when_its_names_are_those_of_the_others(twin: Bedrock):
    twin.with_data = True
    twin.sync_until_quiet()
    twin.town.mailchimp.edit_profile(OTHER, "fred@example.org", first_name="Frederick")
    twin.pass_time(minutes=1)
    twin.sync()
    assert twin.last_run is not None
    assert not twin.last_run.reports[LIST].in_sync, "it had its turn before"
    twin.sync_until_quiet()
    assert_in_sync(twin)


def test_an_address_that_moves_at_one_audience_ends_in_sync_f8(twin: Bedrock):
    """The brother: the new bulk address that we write in CiviCRM moves the other member, too."""
    twin.town.mailchimp.change_address(LIST, "wilma@example.org", "wilma@example.net")
    twin.pass_time(minutes=1)
    twin.sync_until_quiet()
    assert find_unsettled(twin) == []
    assert_in_sync(twin)
    assert status_in(twin, LIST, "wilma@example.net") == "subscribed"
    assert status_in(twin, OTHER, "wilma@example.net") == "subscribed"
    assert status_in(twin, OTHER, "wilma@example.org") is None
    assert len(twin.town.civicrm.contacts_by_email("wilma@example.net")) == 1
    assert_at_peace(twin)


def test_who_is_added_to_both_groups_is_in_after_one_run_f8(twin: Bedrock):
    """The brother: our own operations for both audiences, in one run."""
    barney = twin.add_contact("barney@example.org")
    twin.town.civicrm.add_to_group(barney, OTHER_GROUP)
    twin.pass_time(minutes=1)
    sync_once(twin)
    for list_id in (LIST, OTHER):
        assert status_in(twin, list_id, "barney@example.org") == "subscribed"
        assert row_status(twin, "barney@example.org", list_id)[0] == "ok"
    assert_at_peace(twin)


def test_force_asks_which_of_two_held_audiences_is_meant_b10(twin: Bedrock, mcsync: CommandLine):
    """The main audience is meant; the choir is a slip, and nobody in it may be lost by the way."""
    twin.safety = {}
    singers = [f"singer{number}@example.org" for number in range(30)]
    for email in singers:
        contact = twin.add_both(email)
        twin.town.civicrm.add_to_group(contact, OTHER_GROUP)
        twin.town.mailchimp.import_member(OTHER, email)
    twin.sync_until_quiet()
    for email in singers[:15]:
        [singer] = twin.town.civicrm.contacts_by_email(email)
        for group in (GROUP, OTHER_GROUP):
            twin.town.civicrm.remove_from_group(singer.id, group)
    twin.pass_time(minutes=1)
    held = mcsync("sync", "--wait")
    assert held.code == 4
    for list_id in (LIST, OTHER):
        assert f"mcsync sync --list {list_id} --force" in held.err
    before = twin.town.requests
    refused = mcsync("sync", "--wait", "--force")
    assert (refused.code, twin.town.requests) == (2, before)
    assert "--list" in refused.err
    assert mcsync("sync", "--wait", "--force", "--list", LIST).code == 0
    assert mcsync("sync", "--wait").code == 4
    assert [status_in(twin, LIST, email) for email in singers[:15]] == ["unsubscribed"] * 15
    assert [status_in(twin, OTHER, email) for email in singers] == ["subscribed"] * 30
    # Only the choir is held now: which is meant is clear.
    assert mcsync("sync", "--wait", "--force").code == 0
    assert [status_in(twin, OTHER, email) for email in singers[:15]] == ["unsubscribed"] * 15
