"""Undo and the words of those who have spoken since, at any address and beside anybody."""

from contextlib import closing

import pytest

from mcsync.model import Side
from mcsync.pipeline import undo as undoing
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.reconcile.taking_back import Left
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.test_undo import (
    SUBSCRIBED,
    UNSUBSCRIBED,
    last_run,
    reasons,
    settle,
    slip,
    stay_quiet,
    take_back,
)
from tests.scenario.wire import Death


def test_who_signed_up_with_another_address_since_gets_no_second_one(bedrock: Bedrock):
    people = settle(bedrock, 2)
    bedrock.town.civicrm.add_email(people["p0@example.org"], "second@example.org")
    bedrock.sync_until_quiet()
    run = slip(bedrock, people)
    bedrock.town.mailchimp.sign_up(LIST, "second@example.org", "P0", "Flintstone")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(people["p0@example.org"]) == "Added"
    offer = take_back(bedrock, run)
    assert reasons(offer) == {"p0@example.org": Left.SPOKE}
    assert bedrock.member_status("p0@example.org") == UNSUBSCRIBED
    assert bedrock.member_status("p1@example.org") == SUBSCRIBED


def test_who_was_added_since_beside_another_keeps_the_member_they_share(bedrock: Bedrock):
    home = "home@example.org"
    ned = bedrock.add_contact(home, group=False)
    mia = bedrock.town.civicrm.add_contact("Mia", "Rubble", [home])
    bedrock.add_member(home, "unsubscribed")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.add_to_group(ned, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    assert bedrock.member_status(home) in (SUBSCRIBED, "pending")
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.add_to_group(mia, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    status = bedrock.member_status(home)
    offer = take_back(bedrock, run)
    assert bedrock.member_status(home) == status
    assert reasons(offer) == {home: Left.SPOKE}


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


def test_what_another_run_queued_is_not_sent_along(bedrock: Bedrock):
    people = settle(bedrock, 21)
    (last, contact), *_ = list(people.items())[20:]
    del people[last]
    run = slip(bedrock, people)
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    with closing(bedrock.open_store()) as store:
        queueing = bedrock.make_run(store)
        fetch(queueing)
        reconcile(queueing)
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    operations = bedrock.town.mailchimp.operations
    sent = len(operations)
    take_back(bedrock, run)
    assert not [o for o in operations[sent:] if last in str(o)], operations[sent:]
    assert bedrock.member_status(last) == SUBSCRIBED
    assert {bedrock.member_status(email) for email in people} == {SUBSCRIBED}


def test_what_a_cut_undo_has_queued_is_decided_anew(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    people = settle(bedrock, 3)
    slip(bedrock, people)

    def die(*_: object) -> None:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(undoing, "send_directly", die)
        with pytest.raises(Death):
            take_back(bedrock)
    bedrock.pass_time(minutes=1)
    spoke, *others = people
    bedrock.town.civicrm.add_to_group(people[spoke], GROUP)
    bedrock.town.civicrm.remove_from_group(people[spoke], GROUP)
    bedrock.pass_time(minutes=1)
    sent = len(bedrock.town.mailchimp.operations)
    offer = take_back(bedrock)
    assert reasons(offer) == {spoke: Left.SPOKE}
    assert bedrock.member_status(spoke) == UNSUBSCRIBED
    assert spoke not in str(bedrock.town.mailchimp.operations[sent:])
    assert {bedrock.member_status(email) for email in others} == {SUBSCRIBED}
    stay_quiet(bedrock, 3)
    assert bedrock.member_status(spoke) == UNSUBSCRIBED


def test_what_was_done_in_another_group_is_not_done_to_this_one(bedrock: Bedrock):
    """The config named a wrong group for a while, and everybody came into it."""
    wrong = 333
    bedrock.town.civicrm.add_group("Wrong", group_id=wrong)
    people = settle(bedrock, 3)
    bedrock.options["subscriptionGroup"] = str(wrong)
    bedrock.sync()
    run = last_run(bedrock)
    assert {bedrock.group_status(each, wrong) for each in people.values()} == {"Added"}
    bedrock.options["subscriptionGroup"] = str(GROUP)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    offer = take_back(bedrock, run)
    assert {line.reason for line in offer.left} == {Left.KEPT}
    assert {bedrock.group_status(each) for each in people.values()} == {"Added"}
    stay_quiet(bedrock, 3)
    assert {bedrock.member_status(email) for email in people} == {SUBSCRIBED}


def test_an_address_that_is_right_later_is_followed(bedrock: Bedrock):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync_until_quiet()
    (email,) = bedrock.town.civicrm.emails(contact)
    bedrock.town.civicrm.update_email(email.id, email="wrong@example.com")
    bedrock.sync_until_quiet()
    take_back(bedrock)
    assert bedrock.member_status("wilma@example.org") == SUBSCRIBED
    bedrock.town.civicrm.update_email(email.id, email="wilma@example.org")
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=30)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.update_email(email.id, email="wrong@example.com")
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wrong@example.com") == SUBSCRIBED


def test_an_address_undo_took_back_stays_so_beside_another_member(bedrock: Bedrock):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.add_member("second@example.org")
    bedrock.town.civicrm.add_email(contact, "second@example.org")
    bedrock.sync_until_quiet()
    email = bedrock.town.civicrm.emails(contact)[0]
    bedrock.town.civicrm.update_email(email.id, email="wrong@example.com")
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wrong@example.com") == SUBSCRIBED
    take_back(bedrock)
    for name in ("Slate", "Rubble"):
        bedrock.town.civicrm.update_contact(contact, last_name=name)  # she is judged
        bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == SUBSCRIBED
