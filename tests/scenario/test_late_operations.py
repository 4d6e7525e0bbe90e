"""Operations that Mailchimp carries out late: what was said meanwhile stands."""

from collections.abc import Callable

import pytest

from mcsync.sandbox.mailchimp.holds import HeldBatch
from tests.scenario.aftermath import assert_at_peace, row_status
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock

RITA = "rita@example.org"


def wait_with_subscribe(bedrock: Bedrock) -> tuple[int, HeldBatch]:
    """Staff added somebody whom Mailchimp does not know; our operation waits there."""
    bedrock.add_both("fred@example.org")
    bedrock.sync()
    held = bedrock.town.mailchimp.hold_next_batch(email=RITA)
    contact = bedrock.add_contact(RITA)
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    assert held.is_posted
    return contact, held


def wait_with_resubscribe(bedrock: Bedrock) -> tuple[int, HeldBatch]:
    """Staff removed somebody and added her again; our second operation waits at Mailchimp."""
    bedrock.add_both("fred@example.org")
    contact = bedrock.add_both(RITA)
    bedrock.sync()
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status(RITA) == "unsubscribed"
    held = bedrock.town.mailchimp.hold_next_batch(email=RITA)
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    assert held.is_posted
    return contact, held


def run_after(bedrock: Bedrock, act: Callable[[str, str], None]) -> None:
    """Somebody acts at Mailchimp, and a run sees it."""
    bedrock.pass_time(minutes=1)
    act(LIST, RITA)
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)


def finish(bedrock: Bedrock, held: HeldBatch) -> None:
    """The batch is carried out at last."""
    bedrock.pass_time(minutes=1)
    held.finish()
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()


def assert_out(bedrock: Bedrock, contact: int, status: str = "unsubscribed") -> None:
    assert bedrock.member_status(RITA) == status
    assert bedrock.group_status(contact) == "Removed"
    assert bedrock.confirmation_mails == []
    assert row_status(bedrock, RITA)[0] == "ok"
    assert_at_peace(bedrock)


# --- refused, because she has left meanwhile ------------------------------------------------------


@pytest.mark.parametrize("sees_sign_up", [True, False])
def test_who_signed_up_and_left_while_our_subscribe_waited_is_out_unasked_f1(
    bedrock: Bedrock, sees_sign_up: bool
):
    rita, held = wait_with_subscribe(bedrock)
    bedrock.town.mailchimp.sign_up(LIST, RITA)
    if sees_sign_up:
        bedrock.pass_time(minutes=1)
        bedrock.sync(waits=False)
    run_after(bedrock, bedrock.town.mailchimp.leave)
    assert bedrock.group_status(rita) == "Removed"  # at once, whatever hangs
    finish(bedrock, held)
    assert_out(bedrock, rita)


@pytest.mark.parametrize("act", ["leave", "complain"])
def test_who_left_by_an_old_mail_while_our_subscribe_waited_is_out_unasked_f1(
    bedrock: Bedrock, act: str
):
    """The brother: we had unsubscribed her, and her own reason comes before our second word."""
    rita, held = wait_with_resubscribe(bedrock)
    run_after(bedrock, getattr(bedrock.town.mailchimp, act))
    finish(bedrock, held)
    assert_out(bedrock, rita)


def test_who_left_before_any_run_saw_it_is_out_unasked_f1(bedrock: Bedrock):
    """The brother: the refusal is the first that we hear of her leaving."""
    rita, held = wait_with_resubscribe(bedrock)
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.leave(LIST, RITA)
    finish(bedrock, held)
    assert_out(bedrock, rita)


def test_who_bounced_while_our_subscribe_waited_is_out_unasked_f1(bedrock: Bedrock):
    """The brother: cleaned meanwhile."""
    rita, held = wait_with_subscribe(bedrock)
    bedrock.town.mailchimp.sign_up(LIST, RITA)
    run_after(bedrock, bedrock.town.mailchimp.bounce)
    finish(bedrock, held)
    assert_out(bedrock, rita, "cleaned")


def test_staff_who_add_her_once_more_after_that_have_her_asked_once_f1(bedrock: Bedrock):
    """The brother: the last word is in, so that the refusal is answered by one mail."""
    rita, held = wait_with_resubscribe(bedrock)
    run_after(bedrock, bedrock.town.mailchimp.leave)
    assert bedrock.group_status(rita) == "Removed"
    bedrock.town.civicrm.add_to_group(rita, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    finish(bedrock, held)
    assert bedrock.confirmation_mails == [RITA]
    assert bedrock.member_status(RITA) == "pending"
    assert bedrock.group_status(rita) == "Added"
    assert row_status(bedrock, RITA)[0] == "ok"
    assert_at_peace(bedrock)


# --- carried out, over a later word ---------------------------------------------------------------


def test_staff_who_archive_her_while_our_subscribe_waits_have_the_last_word_f2(bedrock: Bedrock):
    rita, held = wait_with_resubscribe(bedrock)
    run_after(bedrock, bedrock.town.mailchimp.staff_archive)
    assert bedrock.group_status(rita) == "Removed"
    finish(bedrock, held)
    assert_out(bedrock, rita)


@pytest.mark.parametrize("act", ["staff_archive", "staff_unsubscribe"])
@pytest.mark.parametrize("sees_sign_up", [True, False])
def test_staff_who_take_a_newcomer_out_while_our_subscribe_waits_have_the_last_word_f2(
    bedrock: Bedrock, act: str, sees_sign_up: bool
):
    rita, held = wait_with_subscribe(bedrock)
    bedrock.town.mailchimp.sign_up(LIST, RITA)
    if sees_sign_up:
        bedrock.pass_time(minutes=1)
        bedrock.sync(waits=False)
    run_after(bedrock, getattr(bedrock.town.mailchimp, act))
    finish(bedrock, held)
    assert_out(bedrock, rita)


@pytest.mark.parametrize("most", [0, 1])
def test_the_later_word_stands_although_the_batch_hangs_for_hours_f2(bedrock: Bedrock, most: int):
    """The brother: nobody waits for it any longer, and it is carried out in the end."""
    rita, held = wait_with_resubscribe(bedrock)
    run_after(bedrock, bedrock.town.mailchimp.staff_archive)
    held.run_operations(most=most)
    for _ in range(3):
        bedrock.pass_time(hours=1)
        bedrock.sync(waits=False)
    finish(bedrock, held)
    assert_out(bedrock, rita)


def test_the_later_word_stands_although_the_result_is_lost_f2(bedrock: Bedrock):
    """The brother: the batch is carried out, and its results can never be read."""
    rita, held = wait_with_resubscribe(bedrock)
    run_after(bedrock, bedrock.town.mailchimp.staff_archive)
    bedrock.town.mailchimp.damage_archives(None, batch_id=held.batch_id)
    bedrock.pass_time(minutes=1)
    held.finish()
    for _ in range(3):
        bedrock.pass_time(hours=13)
        bedrock.sync(waits=False)
    assert_out(bedrock, rita)


def test_an_interest_that_she_has_given_up_meanwhile_stays_given_up_f2(bedrock: Bedrock):
    """The brother: staff's wish for an interest is carried out after she has said no herself."""
    bedrock.add_both("fred@example.org")
    rita = bedrock.add_both(RITA)
    bedrock.sync()
    held = bedrock.town.mailchimp.hold_next_batch(email=RITA)
    bedrock.town.civicrm.add_to_group(rita, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    for wish in (True, False):
        bedrock.pass_time(minutes=1)
        bedrock.town.mailchimp.edit_profile(LIST, RITA, interests={VOLUNTEERING: wish})
        bedrock.pass_time(minutes=1)
        bedrock.sync(waits=False)
    assert bedrock.group_status(rita, VOLUNTEERS) == "Removed"
    finish(bedrock, held)
    assert not bedrock.has_interest(RITA)
    assert bedrock.group_status(rita, VOLUNTEERS) == "Removed"
    assert bedrock.group_status(rita) == "Added"
    assert_at_peace(bedrock)


def test_a_name_that_she_has_given_meanwhile_stays_f2(bedrock: Bedrock):
    """The brother: staff's name is carried out after she has told hers."""
    bedrock.with_data = True
    bedrock.add_both("fred@example.org")
    rita = bedrock.add_both(RITA)
    bedrock.sync_until_quiet()
    held = bedrock.town.mailchimp.hold_next_batch(email=RITA)
    bedrock.town.civicrm.update_contact(rita, first_name="Henrietta")
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    assert held.is_posted
    bedrock.town.mailchimp.edit_profile(LIST, RITA, first_name="Margarita")
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    finish(bedrock, held)
    member = bedrock.town.mailchimp.member(LIST, RITA)
    assert member is not None
    assert dict(member["merge_fields"])["FNAME"] == "Margarita"  # type: ignore[call-overload]
    contact = bedrock.town.civicrm.contact(rita)
    assert contact is not None
    assert contact.first_name == "Margarita"
    assert_at_peace(bedrock)
