"""Undo and the words of those who have spoken since, at any address and beside anybody."""

from mcsync.model import Side
from tests.scenario.bedrock import LIST, Bedrock
from tests.scenario.test_undo import (
    SUBSCRIBED,
    UNSUBSCRIBED,
    settle,
    slip,
    take_back,
)


def test_who_has_signed_up_since_and_is_muted_is_in_for_whoever_trusts_mailchimp(bedrock: Bedrock):
    people = settle(bedrock, 2)
    slip(bedrock, people)
    take_back(bedrock)
    again, _other = people
    civicrm, mailchimp = bedrock.town.civicrm, bedrock.town.mailchimp
    for say in (mailchimp.staff_unsubscribe, mailchimp.sign_up):
        say(LIST, again)
        bedrock.pass_time(minutes=1)
        bedrock.sync_until_quiet()
    assert bedrock.group_status(people[again]) == "Added"
    bedrock.pass_time(minutes=1)
    civicrm.update_contact(people[again], is_opt_out=True)
    bedrock.sync_until_quiet()
    assert bedrock.member_status(again) == UNSUBSCRIBED
    bedrock.sync(trust={"subscription": Side.MAILCHIMP})
    assert bedrock.group_status(people[again]) == "Added"
    civicrm.update_contact(people[again], is_opt_out=False)
    bedrock.sync_until_quiet()
    assert bedrock.member_status(again) == SUBSCRIBED
