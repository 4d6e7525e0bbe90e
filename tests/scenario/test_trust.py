"""Whom to trust, for one run: what is settled then stays settled."""

import time

import pytest

from mcsync.cache.audience_status import load_status
from mcsync.errors import PartialFailure
from mcsync.model import Side
from mcsync.pipeline.run import OutOfTime
from mcsync.pipeline.sync import sync
from tests.scenario.aftermath import assert_at_peace, look_at_both, row_status
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock

BOTH = [Side.CIVICRM, Side.MAILCHIMP]
PAM = "pam@example.org"


def disagree(bedrock: Bedrock) -> tuple[int, int]:
    """Wilma: Mailchimp says in, CiviCRM later out. Fred: Mailchimp later out, CiviCRM in."""
    bedrock.add_member("wilma@example.org")
    fred = bedrock.add_contact("fred@example.org")
    bedrock.pass_time(hours=1)
    wilma = bedrock.add_contact("wilma@example.org")
    bedrock.town.civicrm.remove_from_group(wilma, GROUP)
    bedrock.add_member("fred@example.org", status="unsubscribed")
    bedrock.pass_time(hours=1)
    return wilma, fred


def spent(bedrock: Bedrock) -> dict[str, str]:
    store = bedrock.open_store()
    try:
        return load_status(store, LIST).spent_trust
    finally:
        store.close()


def test_without_trust_the_later_word_wins(bedrock: Bedrock):
    wilma, fred = disagree(bedrock)
    bedrock.sync_until_quiet()
    assert (bedrock.group_status(wilma), bedrock.group_status(fred)) == ("Removed", "Removed")


def test_trusting_mailchimp_makes_the_group_what_it_says_for_good(bedrock: Bedrock):
    wilma, fred = disagree(bedrock)
    bedrock.sync(trust={"subscription": Side.MAILCHIMP})
    assert (bedrock.group_status(wilma), bedrock.group_status(fred)) == ("Added", "Removed")
    bedrock.town.civicrm.update_contact(wilma, first_name="Wilhelmina")  # judged again
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "subscribed"
    bedrock.pass_time(hours=25)  # a full compare
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Added"
    assert bedrock.member_status("wilma@example.org") == "subscribed"


def test_trusting_civicrm_makes_mailchimp_what_it_says_for_good(bedrock: Bedrock):
    wilma, fred = disagree(bedrock)
    bedrock.sync(trust={"subscription": Side.CIVICRM})
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    assert bedrock.member_status("fred@example.org") == "subscribed"
    bedrock.town.civicrm.update_contact(fred, first_name="Frederick")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(fred) == "Added"
    assert bedrock.group_status(wilma) == "Removed"


def test_trusting_mailchimp_never_empties_the_group_of_people_it_never_heard_of(
    bedrock: Bedrock,
):
    pebbles = bedrock.add_contact("pebbles@example.org")
    bedrock.sync(trust={"subscription": Side.MAILCHIMP})
    assert bedrock.group_status(pebbles) == "Added"
    assert bedrock.member_status("pebbles@example.org") == "subscribed"


def test_one_interest_may_be_trusted_alone(bedrock: Bedrock):
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.add_to_group(wilma, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync(trust={VOLUNTEERING: Side.MAILCHIMP})
    assert bedrock.group_status(wilma, VOLUNTEERS) == "Removed"
    assert bedrock.sync() == 0


@pytest.mark.parametrize("side", ["Mailchimp", "CiviCRM"])
def test_an_override_in_the_config_acts_for_one_complete_sync(bedrock: Bedrock, side: str):
    bedrock.options["trustOverride"] = {"subscription": side}
    wilma, _ = disagree(bedrock)
    bedrock.sync()
    assert bedrock.group_status(wilma) == ("Added" if side == "Mailchimp" else "Removed")
    assert spent(bedrock) == {"subscription": side.lower()}
    # Acting no more: CiviCRM's later word counts, whichever side was trusted.
    bedrock.town.civicrm.add_to_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.remove_from_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Removed"


def test_an_override_acts_again_when_it_changes(bedrock: Bedrock):
    bedrock.options["trustOverride"] = {"subscription": "CiviCRM"}
    wilma, _ = disagree(bedrock)
    bedrock.sync()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    bedrock.town.mailchimp.sign_up(LIST, "wilma@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.add_to_group(wilma, GROUP)
    bedrock.town.civicrm.remove_from_group(wilma, GROUP)
    bedrock.options["trustOverride"] = {"subscription": "Mailchimp"}
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.group_status(wilma) == "Added"


def test_an_override_that_a_time_limit_cut_off_is_not_spent(bedrock: Bedrock):
    bedrock.options["trustOverride"] = {"subscription": "Mailchimp"}
    wilma, _ = disagree(bedrock)
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    run.deadline = time.monotonic()  # over at the first safe point
    with pytest.raises(OutOfTime):
        sync(run)
    store.close()
    assert spent(bedrock) == {}
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Added"
    assert spent(bedrock) == {"subscription": "mailchimp"}


def test_an_override_stays_while_somebody_waits_for_a_batch(bedrock: Bedrock):
    bedrock.town.mailchimp.settings.batch_delay_polls = None
    contact = bedrock.add_contact("betty@example.org")
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    sync(run)
    bedrock.options["trustOverride"] = {"subscription": "Mailchimp"}
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    sync(bedrock.make_run(store))
    store.close()
    assert spent(bedrock) == {}
    bedrock.town.mailchimp.settings.batch_delay_polls = 0
    bedrock.town.mailchimp.run_batches()
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert spent(bedrock) == {"subscription": "mailchimp"}


def test_a_run_cut_again_and_again_comes_to_its_end(bedrock: Bedrock):
    people = [bedrock.add_contact(f"pebbles{number}@example.org") for number in range(3)]
    for number in range(1200):
        bedrock.add_member(f"gazoo{number}@example.org", status="unsubscribed")
        if number % 100 == 0:
            bedrock.pass_time(seconds=1)
    for _ in range(12):
        store = bedrock.open_store()
        run = bedrock.make_run(store)
        run.deadline = time.monotonic()
        try:
            sync(run)
        except (OutOfTime, PartialFailure):
            bedrock.pass_time(minutes=1)
        else:
            store.close()
            break
        store.close()
    else:
        raise AssertionError("never came to an end")
    bedrock.sync_until_quiet()
    assert all(bedrock.group_status(contact) == "Added" for contact in people)
    store = bedrock.open_store()
    assert store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_cache WHERE mailchimp_member_id IS NOT NULL"
    ).fetchone() == (1203,)
    store.close()


# --- trusting a side with which all agree changes nothing -----------------------------------------


def trust_and_compare(bedrock: Bedrock, side: Side) -> None:
    """A run that trusts a side about everything changes nothing, nor does any after it."""
    assert_at_peace(bedrock)
    before = look_at_both(bedrock)
    assert bedrock.sync(trust={"subscription": side, VOLUNTEERING: side}) == 0
    assert look_at_both(bedrock) == before
    assert row_status(bedrock, PAM)[0] in ("ok", "fail")
    assert_at_peace(bedrock)


@pytest.mark.parametrize("side", BOTH)
def test_who_was_removed_once_and_came_back_herself_stays_f13(bedrock: Bedrock, side: Side):
    pam = bedrock.add_both(PAM)
    bedrock.sync()
    bedrock.town.civicrm.remove_from_group(pam, GROUP)
    bedrock.pass_time(days=30)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.sign_up(LIST, PAM)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert (bedrock.group_status(pam), bedrock.member_status(PAM)) == ("Added", "subscribed")
    trust_and_compare(bedrock, side)
    assert bedrock.confirmation_mails == []


@pytest.mark.parametrize("side", BOTH)
def test_who_came_back_before_the_first_sync_stays_f13(bedrock: Bedrock, side: Side):
    """The brother: the cache knows of the removal only from the history."""
    pam = bedrock.add_contact(PAM)
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.remove_from_group(pam, GROUP)
    bedrock.pass_time(days=30)
    bedrock.add_member(PAM)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(pam) == "Added"
    trust_and_compare(bedrock, side)


@pytest.mark.parametrize("side", BOTH)
def test_an_interest_given_up_once_and_taken_again_stays_f13(bedrock: Bedrock, side: Side):
    """The brother: the same about an interest."""
    pam = bedrock.add_both(PAM)
    bedrock.town.civicrm.add_to_group(pam, VOLUNTEERS)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.remove_from_group(pam, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.edit_profile(LIST, PAM, interests={VOLUNTEERING: True})
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(pam, VOLUNTEERS) == "Added"
    trust_and_compare(bedrock, side)


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("act", ["leave", "complain", "bounce", "staff_archive"])
def test_who_left_after_staff_had_added_her_stays_out_f18(bedrock: Bedrock, side: Side, act: str):
    pam = bedrock.add_contact(PAM)
    bedrock.sync_until_quiet()
    bedrock.pass_time(days=30)
    getattr(bedrock.town.mailchimp, act)(LIST, PAM)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(pam) == "Removed"
    trust_and_compare(bedrock, side)
    assert bedrock.confirmation_mails == []


@pytest.mark.parametrize("side", BOTH)
def test_who_left_before_the_first_sync_stays_out_f18(bedrock: Bedrock, side: Side):
    """The brother: the first run has taken her out, and is the only one before."""
    pam = bedrock.add_contact(PAM)
    bedrock.pass_time(days=30)
    bedrock.add_member(PAM, status="unsubscribed", left=True)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(pam) == "Removed"
    trust_and_compare(bedrock, side)
    assert bedrock.confirmation_mails == []


@pytest.mark.parametrize("side", BOTH)
def test_who_may_not_be_mailed_stays_added_and_muted_f18(bedrock: Bedrock, side: Side):
    """The brother: that she is unsubscribed is our own doing."""
    pam = bedrock.add_both(PAM)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.update_contact(pam, is_opt_out=True)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert (bedrock.group_status(pam), bedrock.member_status(PAM)) == ("Added", "unsubscribed")
    trust_and_compare(bedrock, side)
    bedrock.town.civicrm.update_contact(pam, is_opt_out=False)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert (bedrock.group_status(pam), bedrock.member_status(PAM)) == ("Added", "subscribed")
    assert bedrock.confirmation_mails == []


@pytest.mark.parametrize("side", BOTH)
def test_a_word_after_the_trusting_run_counts_as_ever_f18(bedrock: Bedrock, side: Side):
    """The brother: nothing that was trusted outlives what is said next."""
    pam = bedrock.add_contact(PAM)
    bedrock.sync_until_quiet()
    bedrock.pass_time(days=30)
    bedrock.town.mailchimp.leave(LIST, PAM)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.sync(trust={"subscription": side})
    bedrock.town.civicrm.add_to_group(pam, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == [PAM]
    assert (bedrock.group_status(pam), bedrock.member_status(PAM)) == ("Added", "pending")
    bedrock.town.mailchimp.confirm(LIST, PAM)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    trust_and_compare(bedrock, side)
    assert bedrock.member_status(PAM) == "subscribed"
