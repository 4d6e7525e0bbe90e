"""Couples: two contacts with one address, one contact with two, and what each of them says."""

import pytest

from tests.scenario.aftermath import assert_at_peace, load_rows, row_status
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock

HOME, MIA, NED = "home@example.org", "mia@example.org", "ned@example.org"


def add_contact(bedrock: Bedrock, name: str, *emails: str, group: bool = True) -> int:
    """A contact with these addresses, the first primary."""
    contact = bedrock.town.civicrm.add_contact(name, "Flintstone", list(emails))
    if group:
        bedrock.town.civicrm.add_to_group(contact, GROUP)
    return contact


def remove(bedrock: Bedrock, contact: int) -> None:
    """Staff remove somebody from the group, a minute before the next run."""
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=1)


def add(bedrock: Bedrock, contact: int) -> None:
    """Staff add somebody to the group."""
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.pass_time(minutes=1)


def statuses(bedrock: Bedrock, *emails: str) -> list[str | None]:
    return [bedrock.member_status(email) for email in emails]


def places(bedrock: Bedrock, *contacts: int) -> list[str | None]:
    return [bedrock.group_status(contact) for contact in contacts]


# --- she has home@; he has ned@ and, second, home@ ------------------------------------------------


def add_couple(bedrock: Bedrock) -> tuple[int, int]:
    """Mia has home@, Ned has ned@ and, second, home@; both are in, with both members."""
    mia = add_contact(bedrock, "Mia", HOME)
    ned = add_contact(bedrock, "Ned", NED, HOME)
    bedrock.add_member(HOME, first_name="Mia", last_name="Flintstone")
    bedrock.add_member(NED, first_name="Ned", last_name="Flintstone")
    bedrock.sync_until_quiet()
    assert places(bedrock, mia, ned) == ["Added", "Added"]
    return mia, ned


def test_he_is_removed_and_leaves_with_his_own_address_f3(bedrock: Bedrock):
    mia, ned = add_couple(bedrock)
    remove(bedrock, ned)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["subscribed", "unsubscribed"]
    assert places(bedrock, mia, ned) == ["Added", "Removed"]
    assert row_status(bedrock, NED)[0] == row_status(bedrock, HOME)[0] == "ok"
    assert_at_peace(bedrock)


def test_she_is_removed_and_home_stays_for_him_f3(bedrock: Bedrock):
    """The brother: home@ is hers, but he shares it and is agreed in."""
    mia, ned = add_couple(bedrock)
    remove(bedrock, mia)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["subscribed", "subscribed"]
    assert places(bedrock, mia, ned) == ["Removed", "Added"]
    assert_at_peace(bedrock)


def test_both_are_removed_and_both_addresses_leave_f3(bedrock: Bedrock):
    """The brother: nobody is left to stand for home@."""
    mia, ned = add_couple(bedrock)
    bedrock.town.civicrm.remove_from_group(mia, GROUP)
    remove(bedrock, ned)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["unsubscribed", "unsubscribed"]
    assert places(bedrock, mia, ned) == ["Removed", "Removed"]
    assert_at_peace(bedrock)


@pytest.mark.parametrize("first", ["he", "she"])
def test_one_after_the_other_is_removed_and_both_addresses_leave_f3(bedrock: Bedrock, first: str):
    """The brother: on two days."""
    mia, ned = add_couple(bedrock)
    remove(bedrock, ned if first == "he" else mia)
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=24)
    remove(bedrock, mia if first == "he" else ned)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["unsubscribed", "unsubscribed"]
    assert places(bedrock, mia, ned) == ["Removed", "Removed"]
    assert_at_peace(bedrock)


def test_he_opts_out_and_his_address_is_muted_hers_is_not_f3(bedrock: Bedrock):
    """The brother: not removed but closed to mail."""
    mia, ned = add_couple(bedrock)
    bedrock.town.civicrm.update_contact(ned, is_opt_out=True)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["subscribed", "unsubscribed"]
    assert places(bedrock, mia, ned) == ["Added", "Added"]
    assert_at_peace(bedrock)
    bedrock.town.civicrm.update_contact(ned, is_opt_out=False)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert places(bedrock, mia, ned) == ["Added", "Added"]
    assert bedrock.confirmation_mails == []
    assert_at_peace(bedrock)


# --- somebody else with the second address was removed before -------------------------------------


def test_who_shares_an_address_with_somebody_removed_stays_in_f4(bedrock: Bedrock):
    sam = add_contact(bedrock, "Sam", HOME)
    bedrock.sync_until_quiet()
    remove(bedrock, sam)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME) == ["unsubscribed"]
    bedrock.pass_time(days=30)
    ned = add_contact(bedrock, "Ned", NED, HOME, group=False)
    bedrock.town.mailchimp.sign_up(LIST, NED, "Ned", "Flintstone")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert places(bedrock, sam, ned) == ["Removed", "Added"]
    assert statuses(bedrock, HOME, NED) == ["unsubscribed", "subscribed"]
    assert_at_peace(bedrock)


def test_the_first_sync_of_such_two_keeps_him_in_f4(bedrock: Bedrock):
    """The brother: all of it lies before the first sync."""
    sam = add_contact(bedrock, "Sam", HOME)
    bedrock.pass_time(minutes=1)
    remove(bedrock, sam)
    bedrock.pass_time(days=30)
    ned = add_contact(bedrock, "Ned", NED, HOME, group=False)
    bedrock.add_member(NED)
    bedrock.sync_until_quiet()
    assert places(bedrock, sam, ned) == ["Removed", "Added"]
    assert statuses(bedrock, HOME, NED) == [None, "subscribed"]
    assert_at_peace(bedrock)


def test_who_was_removed_himself_before_he_signed_up_stays_in_f4(bedrock: Bedrock):
    """The brother: his own old removal is older than his sign-up, too."""
    sam = add_contact(bedrock, "Sam", HOME)
    ned = add_contact(bedrock, "Ned", NED, HOME)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.remove_from_group(sam, GROUP)
    remove(bedrock, ned)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["unsubscribed", "unsubscribed"]
    bedrock.pass_time(days=30)
    bedrock.town.mailchimp.sign_up(LIST, NED)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert places(bedrock, sam, ned) == ["Removed", "Added"]
    assert statuses(bedrock, HOME, NED) == ["unsubscribed", "subscribed"]
    assert_at_peace(bedrock)


# --- a cleaned address, and a good one ------------------------------------------------------------


@pytest.mark.parametrize("order", ["first", "second"])
def test_of_two_who_share_a_cleaned_address_the_one_with_a_good_one_gets_it_f7(
    bedrock: Bedrock, order: str
):
    bedrock.add_member(HOME, status="cleaned", last_changed=bedrock.town.clock())
    bedrock.pass_time(days=1)
    if order == "first":
        ned = add_contact(bedrock, "Ned", HOME, NED)
        mia = add_contact(bedrock, "Mia", HOME)
    else:
        mia = add_contact(bedrock, "Mia", HOME)
        ned = add_contact(bedrock, "Ned", HOME, NED)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["cleaned", "subscribed"]
    assert places(bedrock, mia, ned) == ["Added", "Added"]
    assert bedrock.confirmation_mails == []
    assert_at_peace(bedrock)


def test_of_two_whose_address_bounces_later_the_one_with_a_good_one_gets_it_f7(bedrock: Bedrock):
    """The brother: both were in; the bounce says out; staff add both again."""
    mia, ned = add_contact(bedrock, "Mia", HOME), add_contact(bedrock, "Ned", HOME, NED)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME) == ["subscribed"]
    bedrock.town.mailchimp.bounce(LIST, HOME)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.add_to_group(mia, GROUP)
    add(bedrock, ned)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == ["cleaned", "subscribed"]
    assert places(bedrock, mia, ned) == ["Added", "Added"]
    assert_at_peace(bedrock)


def test_of_two_who_share_a_forgotten_address_the_one_with_a_good_one_gets_it_f7(
    bedrock: Bedrock,
):
    """The brother: permanently deleted instead of cleaned."""
    bedrock.add_member(HOME)
    bedrock.town.mailchimp.staff_delete_permanently(LIST, HOME)
    mia, ned = add_contact(bedrock, "Mia", HOME), add_contact(bedrock, "Ned", HOME, NED)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME, NED) == [None, "subscribed"]
    assert places(bedrock, mia, ned) == ["Added", "Added"]
    assert_at_peace(bedrock)


# --- names of two who share an address ------------------------------------------------------------


def name_of(bedrock: Bedrock, email: str) -> tuple[str, str]:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    fields = member["merge_fields"]
    assert isinstance(fields, dict)
    return fields["FNAME"], fields["LNAME"]


def contact_name(bedrock: Bedrock, contact: int) -> tuple[str, str]:
    found = bedrock.town.civicrm.contact(contact)
    assert found is not None
    return found.first_name or "", found.last_name or ""


def test_names_follow_the_linked_one_who_has_the_members_very_name_f10(bedrock: Bedrock):
    bedrock.with_data = True
    bedrock.add_member(HOME, first_name="Mia", last_name="Flintstone")
    mia, ned = add_contact(bedrock, "Mia", HOME), add_contact(bedrock, "Ned", HOME)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.update_contact(mia, first_name="Miriam")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert name_of(bedrock, HOME) == ("Miriam", "Flintstone")
    bedrock.town.mailchimp.edit_profile(LIST, HOME, last_name="Rubble")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert contact_name(bedrock, mia) == ("Miriam", "Rubble")
    assert contact_name(bedrock, ned) == ("Ned", "Flintstone")
    assert_at_peace(bedrock)


def test_the_address_follows_the_linked_one_f10(bedrock: Bedrock):
    """The brothers: the address changes at Mailchimp, then in CiviCRM."""
    bedrock.add_member(HOME, first_name="Mia", last_name="Flintstone")
    mia, ned = add_contact(bedrock, "Mia", HOME), add_contact(bedrock, "Ned", HOME)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.change_address(LIST, HOME, MIA)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert {e.email for e in bedrock.town.civicrm.emails(mia)} == {HOME, MIA}
    assert {e.email for e in bedrock.town.civicrm.emails(ned)} == {HOME}
    assert statuses(bedrock, HOME) == ["subscribed"]  # his, who has no other
    [email] = [e for e in bedrock.town.civicrm.emails(mia) if e.email == MIA]
    bedrock.town.civicrm.update_email(email.id, email="miriam@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, MIA, "miriam@example.org") == [None, "subscribed"]
    assert_at_peace(bedrock)


def test_of_two_entered_the_other_way_round_nobody_is_renamed_f10(bedrock: Bedrock):
    """The brother: the linked one is he, who merely shares her address."""
    bedrock.with_data = True
    bedrock.add_member(HOME, first_name="Mia", last_name="Flintstone")
    ned, mia = add_contact(bedrock, "Ned", HOME), add_contact(bedrock, "Mia", HOME)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.update_contact(ned, first_name="Edward")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert name_of(bedrock, HOME) == ("Mia", "Flintstone")
    bedrock.town.mailchimp.edit_profile(LIST, HOME, first_name="Miriam")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert contact_name(bedrock, ned) == ("Edward", "Flintstone")
    assert contact_name(bedrock, mia) == ("Mia", "Flintstone")
    assert_at_peace(bedrock)


def test_names_follow_nobody_where_neither_has_the_members_name_f10(bedrock: Bedrock):
    """The brother: nobody knows whose name it is, so nobody's is touched."""
    bedrock.with_data = True
    bedrock.add_member(HOME, first_name="Dino", last_name="Dog")
    mia, ned = add_contact(bedrock, "Mia", HOME), add_contact(bedrock, "Ned", HOME)
    bedrock.sync_until_quiet()
    assert contact_name(bedrock, mia) == ("Mia", "Flintstone")
    assert contact_name(bedrock, ned) == ("Ned", "Flintstone")
    assert name_of(bedrock, HOME) == ("Dino", "Dog")
    assert_at_peace(bedrock)


# --- one contact, two addresses -------------------------------------------------------------------


def add_both_addresses(bedrock: Bedrock) -> int:
    """One contact, two members, both in."""
    contact = add_contact(bedrock, "Mia", MIA, HOME)
    bedrock.add_member(MIA)
    bedrock.add_member(HOME)
    bedrock.sync_until_quiet()
    return contact


def test_of_two_members_the_one_that_left_is_no_failure_f11(bedrock: Bedrock):
    mia = add_both_addresses(bedrock)
    bedrock.town.mailchimp.leave(LIST, HOME)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert row_status(bedrock, HOME) == ("ok", "other-address-subscribed")
    assert row_status(bedrock, MIA)[0] == "ok"
    assert places(bedrock, mia) == ["Added"]
    assert_at_peace(bedrock)


@pytest.mark.parametrize("status", ["unsubscribed", "archived", "cleaned"])
def test_of_two_members_the_one_that_was_out_from_the_start_is_no_failure_f11(
    bedrock: Bedrock, status: str
):
    """The brother: so it was when we met them."""
    mia = add_contact(bedrock, "Mia", MIA, HOME)
    bedrock.add_member(MIA)
    bedrock.add_member(HOME, status=status)
    bedrock.sync_until_quiet()
    assert row_status(bedrock, HOME)[0] == row_status(bedrock, MIA)[0] == "ok"
    assert places(bedrock, mia) == ["Added"]
    assert_at_peace(bedrock)


def test_two_addresses_left_and_one_is_asked_to_confirm_f14(bedrock: Bedrock):
    mia = add_both_addresses(bedrock)
    for email in (MIA, HOME):
        bedrock.town.mailchimp.leave(LIST, email)
        bedrock.pass_time(minutes=1)
        bedrock.sync_until_quiet()
    assert places(bedrock, mia) == ["Removed"]
    add(bedrock, mia)
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == [MIA]
    assert statuses(bedrock, MIA, HOME) == ["pending", "unsubscribed"]
    assert places(bedrock, mia) == ["Added"]
    assert {row[2] for row in load_rows(bedrock)} <= {"ok", "fail"}
    assert_at_peace(bedrock)
    bedrock.town.mailchimp.confirm(LIST, MIA)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, MIA, HOME) == ["subscribed", "unsubscribed"]
    assert bedrock.confirmation_mails == [MIA]
    assert_at_peace(bedrock)


def test_no_row_stays_undecided_where_nobody_may_be_asked_f14(bedrock: Bedrock):
    """The brother: confirmations are switched off, and both addresses are refused."""
    bedrock.options["reconfirm"] = "never"
    mia = add_both_addresses(bedrock)
    for email in (MIA, HOME):
        bedrock.town.mailchimp.leave(LIST, email)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    add(bedrock, mia)
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == []
    assert {row[2] for row in load_rows(bedrock)} == {"fail"}
    assert_at_peace(bedrock)


def test_the_address_that_was_not_asked_may_still_come_back_f14(bedrock: Bedrock):
    """The brother: while one is asked she signs up with the other."""
    mia = add_both_addresses(bedrock)
    for email in (MIA, HOME):
        bedrock.town.mailchimp.leave(LIST, email)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    add(bedrock, mia)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.sign_up(LIST, HOME)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, MIA, HOME) == ["pending", "subscribed"]
    assert places(bedrock, mia) == ["Added"]
    assert bedrock.confirmation_mails == [MIA]
    assert_at_peace(bedrock)


# --- an overruled word does not come back to life -------------------------------------------------


def overrule_an_old_removal(bedrock: Bedrock) -> int:
    """b@ in since the 14th, removed in CiviCRM on the 25th, a@ in since the 28th: agreed in."""
    contact = add_contact(bedrock, "Mia", MIA, HOME, group=False)
    bedrock.add_member(HOME)
    bedrock.pass_time(days=11)
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(days=3)
    bedrock.add_member(MIA)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, MIA, HOME) == ["subscribed", "subscribed"]
    assert places(bedrock, contact) == ["Added"]
    return contact


@pytest.mark.parametrize("act", ["leave", "staff_unsubscribe", "staff_archive", "bounce"])
def test_an_overruled_removal_stays_overruled_when_one_address_leaves_f16(
    bedrock: Bedrock, act: str
):
    mia = overrule_an_old_removal(bedrock)
    bedrock.pass_time(days=2)
    getattr(bedrock.town.mailchimp, act)(LIST, MIA)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, HOME) == ["subscribed"]
    assert places(bedrock, mia) == ["Added"]
    assert row_status(bedrock, HOME)[0] == row_status(bedrock, MIA)[0] == "ok"
    assert_at_peace(bedrock)


def test_when_the_other_address_leaves_too_she_is_out_f16(bedrock: Bedrock):
    """The brother: what is newer than the agreement counts."""
    mia = overrule_an_old_removal(bedrock)
    for email in (MIA, HOME):
        bedrock.pass_time(days=2)
        bedrock.town.mailchimp.leave(LIST, email)
        bedrock.pass_time(minutes=1)
        bedrock.sync_until_quiet()
    assert places(bedrock, mia) == ["Removed"]
    assert bedrock.confirmation_mails == []
    assert_at_peace(bedrock)


def test_an_overruled_interest_stays_overruled_when_one_address_leaves_f16(bedrock: Bedrock):
    mia = add_contact(bedrock, "Mia", MIA, HOME)
    bedrock.add_member(HOME, interests=[VOLUNTEERING])
    bedrock.pass_time(days=11)
    bedrock.town.civicrm.add_to_group(mia, VOLUNTEERS)
    bedrock.town.civicrm.remove_from_group(mia, VOLUNTEERS)
    bedrock.pass_time(days=3)
    bedrock.add_member(MIA, interests=[VOLUNTEERING])
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(mia, VOLUNTEERS) == "Added"
    bedrock.pass_time(days=2)
    bedrock.town.mailchimp.leave(LIST, MIA)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.has_interest(HOME)
    assert bedrock.group_status(mia, VOLUNTEERS) == "Added"
    assert places(bedrock, mia) == ["Added"]
    assert_at_peace(bedrock)


def test_an_overruled_sign_up_stays_overruled_when_the_other_address_changes_f16(
    bedrock: Bedrock,
):
    """The brother: staff's word was the later one; what the member said before is spent."""
    mia = add_contact(bedrock, "Mia", MIA, HOME, group=False)
    bedrock.add_member(HOME)
    bedrock.pass_time(days=3)
    bedrock.add_member(MIA)
    bedrock.pass_time(days=3)
    bedrock.town.civicrm.add_to_group(mia, GROUP)
    bedrock.town.civicrm.remove_from_group(mia, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, MIA, HOME) == ["unsubscribed", "unsubscribed"]
    bedrock.pass_time(days=2)
    bedrock.town.mailchimp.staff_archive(LIST, MIA)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert statuses(bedrock, MIA, HOME) == ["archived", "unsubscribed"]
    assert places(bedrock, mia) == ["Removed"]
    assert_at_peace(bedrock)
