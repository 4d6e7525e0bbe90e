"""Addresses, contacts and families that change, over several runs."""

import pytest

from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock


def test_an_address_changed_at_mailchimp_becomes_a_bulk_address_of_the_same_contact(
    bedrock: Bedrock,
):
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.change_address(LIST, "wilma@example.org", "wilma@example.com")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    addresses = {email.email: email for email in bedrock.town.civicrm.emails(wilma)}
    assert set(addresses) == {"wilma@example.org", "wilma@example.com"}
    assert addresses["wilma@example.com"].is_bulkmail
    assert not addresses["wilma@example.org"].on_hold
    assert set(bedrock.town.mailchimp.members(LIST)) == {"wilma@example.com"}
    assert len(bedrock.town.civicrm.contacts_by_email("wilma@example.com")) == 1
    assert bedrock.group_status(wilma) == "Added"
    store = bedrock.open_store()
    assert store.query("SELECT count(*) FROM civicrm_mailchimpsync_cache").fetchone() == (1,)
    store.close()


def test_an_address_corrected_in_civicrm_moves_the_member(bedrock: Bedrock):
    wilma = bedrock.add_both("wilma@exampel.org")
    bedrock.sync()
    [email] = bedrock.town.civicrm.emails(wilma)
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.update_email(email.id, email="wilma@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "subscribed"
    assert bedrock.member_status("wilma@exampel.org") is None
    assert bedrock.group_status(wilma) == "Added"
    assert bedrock.confirmation_mails == []
    assert len(bedrock.town.mailchimp.members(LIST)) == 1


def test_a_new_bulk_address_in_civicrm_moves_the_member(bedrock: Bedrock):
    fred = bedrock.add_both("fred@example.org")
    bedrock.sync()
    bedrock.town.civicrm.add_email(fred, "news@example.org", is_bulkmail=True)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert set(bedrock.town.mailchimp.members(LIST)) == {"news@example.org"}


def test_with_pushing_off_the_member_stays_where_it_is(bedrock: Bedrock):
    bedrock.options["pushEmailChanges"] = False
    fred = bedrock.add_both("fred@example.org")
    bedrock.sync()
    bedrock.town.civicrm.add_email(fred, "news@example.org", is_bulkmail=True)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert set(bedrock.town.mailchimp.members(LIST)) == {"fred@example.org"}


def test_a_family_sharing_an_address_is_one_person_until_all_have_left(bedrock: Bedrock):
    bedrock.add_member("flintstones@example.org")
    wilma = bedrock.add_contact("flintstones@example.org")
    fred = bedrock.add_contact("flintstones@example.org")
    bedrock.sync_until_quiet()
    assert len(bedrock.town.mailchimp.members(LIST)) == 1
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.remove_from_group(fred, GROUP)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert bedrock.group_status(wilma) == "Added"
    assert bedrock.group_status(fred) == "Removed"
    bedrock.town.mailchimp.leave(LIST, "flintstones@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Removed"
    assert bedrock.group_status(fred) == "Removed"


@pytest.mark.fact("civicrm: Groups", "merge: rows move with their old ids")
def test_a_merged_contacts_row_moves_to_the_survivor_without_any_write(bedrock: Bedrock):
    loser = bedrock.add_both("betty@example.org")
    winner = bedrock.add_contact("betty.rubble@example.org", group=False)
    bedrock.sync()
    bedrock.town.civicrm.merge(winner, loser)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert bedrock.sync() == 0
    assert bedrock.group_status(winner) == "Added"
    assert bedrock.member_status("betty@example.org") == "subscribed"
    store = bedrock.open_store()
    rows = store.query("SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache").fetchall()
    store.close()
    assert rows == [(winner,)]


def test_a_trashed_contact_of_a_subscribed_member_is_created_again(bedrock: Bedrock):
    dino = bedrock.add_both("dino@example.org")
    bedrock.sync()
    bedrock.town.civicrm.trash(dino)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    contacts = bedrock.town.civicrm.contacts_by_email("dino@example.org")
    living = [c for c in contacts if not c.is_deleted]
    assert len(living) == 1
    assert bedrock.group_status(living[0].id) == "Added"


def test_a_trashed_contact_may_mean_to_unsubscribe(bedrock: Bedrock):
    bedrock.options["deletedContacts"] = "unsubscribe"
    dino = bedrock.add_both("dino@example.org")
    bedrock.sync()
    bedrock.town.civicrm.trash(dino)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("dino@example.org") == "unsubscribed"


def test_a_trashed_contact_may_mean_to_hold(bedrock: Bedrock):
    bedrock.options["deletedContacts"] = "hold"
    dino = bedrock.add_both("dino@example.org")
    bedrock.sync()
    bedrock.town.civicrm.trash(dino)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert bedrock.member_status("dino@example.org") == "subscribed"
    bedrock.town.civicrm.untrash(dino)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    store = bedrock.open_store()
    rows = store.query("SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache").fetchall()
    store.close()
    assert rows == [(dino,)]


@pytest.mark.fact("civicrm: Groups", "a deletion for good leaves no trace")
def test_a_purged_contact_is_noticed_by_the_daily_compare(bedrock: Bedrock):
    dino = bedrock.add_both("dino@example.org")
    bedrock.sync()
    bedrock.town.civicrm.purge(dino)
    bedrock.pass_time(hours=25)
    bedrock.sync_until_quiet()
    [living] = bedrock.town.civicrm.contacts_by_email("dino@example.org")
    assert living.id != dino
    assert bedrock.group_status(living.id) == "Added"


def test_a_titanic_is_left_alone_when_duplicates_are_skipped(bedrock: Bedrock):
    bedrock.options["duplicates"] = "skip"
    bedrock.add_member("twins@example.org")
    one = bedrock.add_contact("twins@example.org", group=False)
    two = bedrock.add_contact("twins@example.org", group=False)
    assert bedrock.sync() == 0
    assert bedrock.sync() == 0
    assert bedrock.group_status(one) is None
    assert bedrock.group_status(two) is None
    assert bedrock.member_status("twins@example.org") == "subscribed"
    store = bedrock.open_store()
    rows = store.query(
        "SELECT sync_status, sync_reason FROM civicrm_mailchimpsync_cache"
    ).fetchall()
    store.close()
    assert rows == [("fail", "ambiguous-contact")]


@pytest.mark.fact("mailchimp: Members", "permanently deleted contacts never appear")
def test_a_member_deleted_for_good_is_noticed_by_a_full_fetch(bedrock: Bedrock):
    from mcsync.pipeline.fetch import Window

    wilma = bedrock.add_both("wilma@example.org")
    for number in range(12):
        bedrock.add_both(f"pebbles{number}@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.staff_delete_permanently(LIST, "wilma@example.org")
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    bedrock.sync(window=Window(None))
    assert bedrock.group_status(wilma) == "Removed"
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.add_to_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") is None  # forgotten: only a form helps
    assert bedrock.group_status(wilma) == "Added"


def test_a_smart_group_is_pushed_and_never_written(bedrock: Bedrock):
    bedrock.town.civicrm.update_group(VOLUNTEERS, title="Old volunteers")
    smart = bedrock.town.civicrm.add_group(
        "All Flintstones", smart_where=[["last_name", "=", "Flintstone"]]
    )
    bedrock.options["interests"] = {"cccccccccc": str(smart)}
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync_until_quiet()
    assert bedrock.has_interest("wilma@example.org")
    bedrock.town.mailchimp.edit_profile(LIST, "wilma@example.org", interests={"cccccccccc": False})
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.has_interest("wilma@example.org")
    assert bedrock.group_status(wilma, smart) is None
    bedrock.town.civicrm.update_contact(wilma, last_name="Slaghoople")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert not bedrock.has_interest("wilma@example.org")


@pytest.mark.parametrize("status", ["subscribed", "unsubscribed"])
def test_who_is_erased_and_imported_anew_gets_no_blank_address(bedrock: Bedrock, status: str):
    """The address is the new member's, so that the old one has none left."""
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync_until_quiet()
    addresses = [email.email for email in bedrock.town.civicrm.emails(contact)]
    bedrock.town.mailchimp.staff_delete_permanently(LIST, "wilma@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.add_member("wilma@example.org", status)
    bedrock.sync_until_quiet()
    assert [email.email for email in bedrock.town.civicrm.emails(contact)] == addresses
