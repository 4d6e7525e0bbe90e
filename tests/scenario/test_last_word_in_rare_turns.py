"""Rare turns of events, which the random worlds of `test_last_word` came upon, told plainly."""

import pytest

from mcsync.model import Side
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock


def add_without_trace(bedrock: Bedrock, contact: int, status: str | None) -> None:
    """Somebody changes a place by SQL; a day passes, so that everything is compared."""
    bedrock.town.civicrm.sql_set_membership(contact, GROUP, status)
    bedrock.pass_time(hours=25)


def test_a_place_that_is_gone_and_comes_back_without_a_line_in_the_history(bedrock: Bedrock):
    wilma = bedrock.add_contact("wilma@example.org")
    bedrock.sync_until_quiet()
    add_without_trace(bedrock, wilma, None)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    add_without_trace(bedrock, wilma, "Added")
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Added"
    assert bedrock.member_status("wilma@example.org") == "subscribed"


def test_an_address_that_changes_right_after_its_member_was_made_is_followed(bedrock: Bedrock):
    bedrock.add_member("oscar@example.org", status="unsubscribed", left=True)
    oscar = bedrock.add_contact("oscar@example.org", group=False)
    bedrock.sync_until_quiet()
    [address] = bedrock.town.civicrm.emails(oscar)
    bedrock.town.civicrm.update_email(address.id, email="oscar@work.example.org")
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.add_to_group(oscar, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("oscar@work.example.org") == "subscribed"
    bedrock.town.civicrm.update_email(address.id, email="oscar@home.example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("oscar@home.example.org") == "subscribed"
    assert bedrock.member_status("oscar@work.example.org") is None


def test_trust_in_mailchimp_takes_no_interest_from_who_only_bought_there(bedrock: Bedrock):
    bedrock.add_member("barney@example.org", status="transactional")
    barney = bedrock.add_contact("barney@example.org")
    bedrock.town.civicrm.add_to_group(barney, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync(trust={VOLUNTEERING: Side.MAILCHIMP})
    bedrock.sync_until_quiet()
    assert bedrock.group_status(barney, VOLUNTEERS) == "Added"
    assert bedrock.member_status("barney@example.org") == "subscribed"
    assert bedrock.has_interest("barney@example.org")


def test_who_shares_a_member_is_judged_when_the_mail_gate_takes_that_member_out(bedrock: Bedrock):
    mia = bedrock.add_both("home@example.org")
    ned = bedrock.add_both("ned@example.org")
    bedrock.town.civicrm.add_email(ned, "home@example.org")
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.update_contact(mia, is_deceased=True)
    bedrock.town.mailchimp.leave(LIST, "ned@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("home@example.org") == "unsubscribed"
    assert bedrock.group_status(ned) == "Removed"


def test_what_was_written_for_a_contact_who_is_purged_is_no_sign_up_of_the_one_who_opted_out(
    bedrock: Bedrock,
):
    ned = bedrock.add_both("ned@example.org")
    bedrock.town.civicrm.add_email(ned, "home@example.org")
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.update_contact(ned, is_opt_out=True)
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=1)
    mia = bedrock.add_contact("home@example.org")
    bedrock.sync_until_quiet()
    assert bedrock.member_status("home@example.org") == "subscribed"
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.purge(mia)
    bedrock.pass_time(hours=25)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("home@example.org") == "unsubscribed"
    assert bedrock.member_status("ned@example.org") == "unsubscribed"
    assert bedrock.group_status(ned) == "Added"


@pytest.mark.parametrize("removal", ["unsubscribe", "archive"])
def test_who_moves_while_her_unsubscribe_is_on_its_way_is_unsubscribed_where_she_is(
    bedrock: Bedrock, removal: str
):
    bedrock.options["removal"] = removal
    mia = bedrock.add_both("mia@example.org")
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=1)
    bedrock.town.mailchimp.settings.batch_delay_polls = None
    bedrock.town.civicrm.update_contact(mia, do_not_email=True)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.mailchimp.change_address(LIST, "mia@example.org", "mia@new.example.org")
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.run_batches()
    bedrock.town.mailchimp.settings.batch_delay_polls = 0
    bedrock.sync_until_quiet()
    assert bedrock.member_status("mia@new.example.org") in ("unsubscribed", "archived")
    assert bedrock.group_status(mia) == "Added"
