"""What people and staff do every day, over several runs: the last human word holds."""

from tests.scenario.bedrock import Bedrock


def test_removed_in_civicrm_then_name_edited_at_mailchimp_is_unsubscribed(bedrock: Bedrock):
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.remove_from_group(wilma, 111)
    bedrock.pass_time(hours=2)
    bedrock.town.mailchimp.edit_profile("aaaaaaaaaa", "wilma@example.org", first_name="Wilhelmina")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    assert bedrock.group_status(wilma) == "Removed"
    assert bedrock.sync() == 0


def test_who_left_by_herself_and_is_added_by_staff_is_asked_once_to_confirm(bedrock: Bedrock):
    betty = bedrock.add_both("betty@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.leave("aaaaaaaaaa", "betty@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.group_status(betty) == "Removed"
    bedrock.town.civicrm.add_to_group(betty, 111)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("betty@example.org") == "pending"
    assert bedrock.confirmation_mails == ["betty@example.org"]
    assert bedrock.group_status(betty) == "Added"


def test_two_addresses_one_leaves_and_nothing_happens_until_the_other_leaves_too(
    bedrock: Bedrock,
):
    barney = bedrock.town.civicrm.add_contact(
        "Barney", "Rubble", ["barney@example.org", "rubble@example.org"]
    )
    bedrock.town.civicrm.add_to_group(barney, 111)
    bedrock.add_member("barney@example.org")
    bedrock.add_member("rubble@example.org")
    bedrock.sync()
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.leave("aaaaaaaaaa", "rubble@example.org")
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert bedrock.group_status(barney) == "Added"
    bedrock.town.mailchimp.leave("aaaaaaaaaa", "barney@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.group_status(barney) == "Removed"
    assert bedrock.sync() == 0


def test_opt_out_unsubscribes_and_lifting_it_subscribes_again_while_the_group_stands(
    bedrock: Bedrock,
):
    fred = bedrock.add_both("fred@example.org")
    bedrock.sync()
    bedrock.pass_time(days=1)
    bedrock.town.civicrm.update_contact(fred, is_opt_out=True)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("fred@example.org") == "unsubscribed"
    assert bedrock.group_status(fred) == "Added"
    assert bedrock.sync() == 0
    bedrock.pass_time(days=1)
    bedrock.town.civicrm.update_contact(fred, is_opt_out=False)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("fred@example.org") == "subscribed"
    assert bedrock.group_status(fred) == "Added"
    assert bedrock.confirmation_mails == []
    assert bedrock.sync() == 0


def test_removed_by_mistake_and_added_again_while_the_batch_ran_stays_in(bedrock: Bedrock):
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.remove_from_group(wilma, 111)
    bedrock.pass_time(minutes=1)

    def staff_adds_her_again(_operation: object) -> None:
        bedrock.pass_time(seconds=20)
        bedrock.town.civicrm.add_to_group(wilma, 111)
        bedrock.pass_time(seconds=20)
        bedrock.town.mailchimp.before_operation = None

    bedrock.town.mailchimp.before_operation = staff_adds_her_again
    bedrock.sync()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "subscribed"
    assert bedrock.group_status(wilma) == "Added"


def test_who_left_two_seconds_before_our_write_is_not_signed_up_again(bedrock: Bedrock):
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.town.civicrm.add_to_group(wilma, 222)
    bedrock.pass_time(minutes=1)

    def she_leaves(_operation: object) -> None:
        bedrock.town.mailchimp.before_operation = None
        bedrock.town.mailchimp.leave("aaaaaaaaaa", "wilma@example.org")
        bedrock.pass_time(seconds=2)

    bedrock.town.mailchimp.before_operation = she_leaves
    bedrock.sync()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Removed"
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
