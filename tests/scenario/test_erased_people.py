"""People who are erased, here, there or at both ends: gone is gone, and who comes back is new."""

from collections.abc import Callable

import pytest

from mcsync.model import Side
from mcsync.pipeline.fetch import Window
from tests.scenario.aftermath import assert_at_peace, load_rows, row_status
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import CommandLine

EVERYTHING = Window(None)
PEBBLES = "pebbles@example.org"


def contacts_of(bedrock: Bedrock, email: str) -> list[int]:
    """The living contacts that own the address."""
    found = bedrock.town.civicrm.contacts_by_email(email)
    return [contact.id for contact in found if not contact.is_deleted]


# --- erased at Mailchimp, and back ----------------------------------------------------------------


def leave_unknown(bedrock: Bedrock) -> None:
    """She left long ago, and CiviCRM never knew her."""
    bedrock.add_member(PEBBLES, status="unsubscribed", left=True)
    bedrock.sync()


def trash_contact(bedrock: Bedrock) -> None:
    """She left, and her contact was put into the trash."""
    contact = bedrock.add_both(PEBBLES)
    bedrock.sync()
    bedrock.town.mailchimp.leave(LIST, PEBBLES)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.civicrm.trash(contact)
    bedrock.pass_time(minutes=1)
    bedrock.sync()


def purge_contact(bedrock: Bedrock) -> None:
    """She was archived, and her contact deleted for good."""
    contact = bedrock.add_both(PEBBLES)
    bedrock.sync()
    bedrock.town.mailchimp.staff_archive(LIST, PEBBLES)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.civicrm.purge(contact)
    bedrock.pass_time(hours=25)
    bedrock.sync()


Past = Callable[[Bedrock], None]
PASTS = [
    pytest.param(leave_unknown, id="unknown to CiviCRM"),
    pytest.param(trash_contact, id="contact trashed"),
    pytest.param(purge_contact, id="contact purged"),
]


@pytest.mark.parametrize("past", PASTS)
def test_who_was_out_is_erased_and_signs_up_again_is_a_new_contact_f15(
    crowd: Bedrock, mcsync: CommandLine, past: Past
):
    past(crowd)
    crowd.town.mailchimp.staff_delete_permanently(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    crowd.town.mailchimp.sign_up(LIST, PEBBLES, "Pebbles", "Flintstone")
    crowd.pass_time(minutes=1)
    told = mcsync("sync")
    assert (told.code, told.out, told.err) == (0, "", "")
    [pebbles] = contacts_of(crowd, PEBBLES)
    assert crowd.group_status(pebbles) == "Added"
    assert crowd.member_status(PEBBLES) == "subscribed"
    assert crowd.confirmation_mails == []
    assert row_status(crowd, PEBBLES)[0] == "ok"
    assert_at_peace(crowd)


@pytest.mark.parametrize("past", PASTS)
def test_erased_and_back_within_five_minutes_f15(crowd: Bedrock, mcsync: CommandLine, past: Past):
    past(crowd)
    crowd.town.mailchimp.staff_delete_permanently(LIST, PEBBLES)
    crowd.town.mailchimp.sign_up(LIST, PEBBLES, "Pebbles", "Flintstone")
    crowd.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    [pebbles] = contacts_of(crowd, PEBBLES)
    assert crowd.group_status(pebbles) == "Added"
    assert [row[0] for row in load_rows(crowd)].count(PEBBLES) == 1
    assert_at_peace(crowd)


def test_erased_noticed_by_a_full_fetch_and_back_f15(crowd: Bedrock, mcsync: CommandLine):
    """Between being erased and coming back a full fetch has told that she is not there."""
    leave_unknown(crowd)
    crowd.town.mailchimp.staff_delete_permanently(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    crowd.sync(window=EVERYTHING)
    crowd.town.mailchimp.sign_up(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    [pebbles] = contacts_of(crowd, PEBBLES)
    assert crowd.group_status(pebbles) == "Added"
    assert_at_peace(crowd)


def test_a_member_whose_contact_is_known_is_erased_and_comes_back_f15(
    crowd: Bedrock, mcsync: CommandLine
):
    """The brother: her contact lives on; the sign-up is hers, under a new contact id."""
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    crowd.town.mailchimp.leave(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    crowd.sync()
    assert crowd.group_status(pebbles) == "Removed"
    crowd.town.mailchimp.staff_delete_permanently(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    crowd.sync()
    crowd.town.mailchimp.sign_up(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    assert contacts_of(crowd, PEBBLES) == [pebbles]
    assert crowd.group_status(pebbles) == "Added"
    assert_at_peace(crowd)


def test_somebody_elses_old_address_is_taken_over_by_a_newcomer_f15(
    crowd: Bedrock, mcsync: CommandLine
):
    """The brother: she moves to another address, and a stranger signs up with the one she had."""
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    crowd.town.mailchimp.change_address(LIST, PEBBLES, "pebbles@example.net")
    crowd.town.mailchimp.sign_up(LIST, PEBBLES, "Other", "Person")
    crowd.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    assert crowd.group_status(pebbles) == "Added"
    assert crowd.member_status("pebbles@example.net") == "subscribed"
    assert crowd.member_status(PEBBLES) == "subscribed"
    crowd.sync_until_quiet()
    assert_at_peace(crowd)


# --- erased at both ends --------------------------------------------------------------------------


def trash(bedrock: Bedrock, contact: int) -> None:
    bedrock.town.civicrm.trash(contact)
    bedrock.pass_time(minutes=1)


def purge(bedrock: Bedrock, contact: int) -> None:
    """Only the daily compare tells of it."""
    bedrock.town.civicrm.purge(contact)
    bedrock.pass_time(hours=25)


ENDS = [pytest.param(trash, id="trashed"), pytest.param(purge, id="purged")]


@pytest.mark.parametrize("option", ["recreate", "unsubscribe", "hold"])
@pytest.mark.parametrize("end", ENDS)
def test_who_is_erased_at_both_ends_is_not_made_again_d1(
    crowd: Bedrock, mcsync: CommandLine, end: Callable[[Bedrock, int], None], option: str
):
    crowd.options["deletedContacts"] = option
    crowd.sync()
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    crowd.town.mailchimp.staff_delete_permanently(LIST, PEBBLES)
    end(crowd, pebbles)
    told = mcsync("sync")
    assert (told.code, told.out, told.err) == (0, "", "")
    assert contacts_of(crowd, PEBBLES) == []
    assert crowd.member_status(PEBBLES) is None
    assert mcsync("sync").code == 0
    assert contacts_of(crowd, PEBBLES) == []
    assert_at_peace(crowd)
    assert PEBBLES not in [row[0] for row in load_rows(crowd)]


@pytest.mark.parametrize("act", ["staff_archive", "staff_unsubscribe", "leave", "bounce"])
def test_who_is_out_since_the_last_fetch_is_not_made_again_d1(crowd: Bedrock, act: str):
    """The brother: still there at Mailchimp, but out, while the contact is trashed."""
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    getattr(crowd.town.mailchimp, act)(LIST, PEBBLES)
    trash(crowd, pebbles)
    crowd.sync_until_quiet()
    assert contacts_of(crowd, PEBBLES) == []
    assert_at_peace(crowd)


def test_who_moved_meanwhile_is_made_with_the_new_address_d1(crowd: Bedrock):
    """The brother: the old hash answers 404, but she is there under another address."""
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    trash(crowd, pebbles)
    crowd.town.mailchimp.change_address(LIST, PEBBLES, "pebbles@example.net")
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    assert contacts_of(crowd, PEBBLES) == []
    assert len(contacts_of(crowd, "pebbles@example.net")) == 1
    assert_at_peace(crowd)


# --- the contact was erased, and she signs up herself ---------------------------------------------


@pytest.mark.parametrize("end", ENDS)
def test_a_sign_up_after_the_contact_was_deleted_is_a_newer_word_e3(
    crowd: Bedrock, end: Callable[[Bedrock, int], None]
):
    crowd.options["deletedContacts"] = "unsubscribe"
    crowd.sync()
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    end(crowd, pebbles)
    crowd.sync_until_quiet()
    assert crowd.member_status(PEBBLES) == "unsubscribed"
    crowd.pass_time(hours=1)
    crowd.town.mailchimp.sign_up(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    assert crowd.member_status(PEBBLES) == "subscribed"
    [again] = contacts_of(crowd, PEBBLES)
    assert crowd.group_status(again) == "Added"
    assert crowd.confirmation_mails == []
    assert_at_peace(crowd)


def test_a_sign_up_while_our_unsubscribe_waits_is_a_newer_word_e3(crowd: Bedrock):
    """The brother: our unsubscribe hangs in a slow batch, and runs over her sign-up."""
    crowd.options["deletedContacts"] = "unsubscribe"
    crowd.sync()
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    held = crowd.town.mailchimp.hold_next_batch(email=PEBBLES)
    trash(crowd, pebbles)
    crowd.sync(waits=False)
    crowd.town.mailchimp.leave(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    crowd.sync(waits=False)
    crowd.town.mailchimp.sign_up(LIST, PEBBLES)
    crowd.pass_time(minutes=1)
    crowd.sync(waits=False)
    held.finish()
    crowd.sync_until_quiet()
    assert crowd.member_status(PEBBLES) == "subscribed"
    [again] = contacts_of(crowd, PEBBLES)
    assert crowd.group_status(again) == "Added"
    assert crowd.confirmation_mails == []
    assert_at_peace(crowd)


def test_an_edited_profile_is_no_newer_word_e3(crowd: Bedrock):
    """The brother: she was subscribed all the while, and only edits her profile."""
    crowd.options["deletedContacts"] = "unsubscribe"
    crowd.sync()
    pebbles = crowd.add_both(PEBBLES)
    crowd.sync()
    crowd.town.mailchimp.edit_profile(LIST, PEBBLES, first_name="Pebbles")
    trash(crowd, pebbles)
    crowd.sync_until_quiet()
    assert crowd.member_status(PEBBLES) == "unsubscribed"
    assert contacts_of(crowd, PEBBLES) == []
    assert_at_peace(crowd)


# --- one of two addresses is erased ---------------------------------------------------------------

HOME, WORK = "home@example.org", "work@example.org"


def add_two_addresses(bedrock: Bedrock) -> int:
    """One contact, two members, both in."""
    contact = bedrock.town.civicrm.add_contact("Pebbles", "Flintstone", [HOME, WORK])
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.add_member(HOME)
    bedrock.add_member(WORK)
    bedrock.sync()
    assert bedrock.sync() == 0
    return contact


@pytest.mark.parametrize("erased", [HOME, WORK])
@pytest.mark.parametrize("is_noticed", [True, False], ids=["noticed", "not noticed"])
def test_of_two_addresses_the_one_that_is_not_erased_is_subscribed_f17(
    crowd: Bedrock, erased: str, is_noticed: bool
):
    pebbles = add_two_addresses(crowd)
    crowd.town.civicrm.remove_from_group(pebbles, GROUP)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    assert crowd.member_status(HOME) == crowd.member_status(WORK) == "unsubscribed"
    crowd.town.mailchimp.staff_delete_permanently(LIST, erased)
    crowd.pass_time(minutes=1)
    crowd.sync(window=EVERYTHING if is_noticed else None)
    crowd.town.civicrm.add_to_group(pebbles, GROUP)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    other = WORK if erased == HOME else HOME
    assert crowd.member_status(other) == "subscribed"
    assert crowd.member_status(erased) is None
    assert crowd.group_status(pebbles) == "Added"
    assert crowd.confirmation_mails == []
    assert row_status(crowd, other)[0] == "ok"
    assert_at_peace(crowd)


def test_with_the_other_address_cleaned_too_she_is_told_as_failed_f17(crowd: Bedrock):
    """The brother: nothing is left to try; that is no alarm, and repeated by no run."""
    pebbles = add_two_addresses(crowd)
    crowd.town.mailchimp.bounce(LIST, WORK)
    crowd.town.civicrm.remove_from_group(pebbles, GROUP)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    crowd.town.mailchimp.staff_delete_permanently(LIST, HOME)
    crowd.pass_time(minutes=1)
    crowd.sync(window=EVERYTHING)
    crowd.town.civicrm.add_to_group(pebbles, GROUP)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    assert crowd.member_status(WORK) == "cleaned"
    assert crowd.member_status(HOME) is None
    assert crowd.confirmation_mails == []
    assert "fail" in [row[2] for row in load_rows(crowd) if row[1] == pebbles]
    assert_at_peace(crowd)


def test_trusting_civicrm_subscribes_the_address_that_is_not_erased_f17(crowd: Bedrock):
    """The brother: no new word of staff's, but the group is trusted."""
    pebbles = add_two_addresses(crowd)
    crowd.town.mailchimp.staff_unsubscribe(LIST, WORK)
    crowd.town.mailchimp.staff_delete_permanently(LIST, HOME)
    crowd.pass_time(minutes=1)
    crowd.sync(window=EVERYTHING, trust={"subscription": Side.CIVICRM})
    crowd.sync_until_quiet()
    assert crowd.member_status(WORK) == "subscribed"
    assert crowd.member_status(HOME) is None
    assert crowd.group_status(pebbles) == "Added"
    assert_at_peace(crowd)
