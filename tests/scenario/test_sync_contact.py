"""`mcsync sync-contact`: one person at once, with the rules of every run."""

import pytest

from mcsync.errors import PartialFailure, UsageError
from mcsync.pipeline.sync_contact import sync_contact
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock


def sync_one(bedrock: Bedrock, *, email: str | None = None, contact: int | None = None) -> None:
    store = bedrock.open_store()
    try:
        run = bedrock.make_run(store)
        sync_contact(run, email=email, contact_id=contact)
        run.raise_troubles()
    finally:
        store.close()
    bedrock.pass_time(minutes=1)


@pytest.fixture
def quiet(bedrock: Bedrock) -> Bedrock:
    """A few people in agreement after a first run."""
    for name in ("wilma", "fred", "barney"):
        bedrock.add_both(f"{name}@example.org")
    bedrock.sync()
    assert bedrock.sync() == 0
    return bedrock


def test_somebody_added_in_civicrm_is_subscribed_at_once(quiet: Bedrock):
    betty = quiet.add_contact("betty@example.org")
    quiet.town.civicrm.add_to_group(betty, VOLUNTEERS)
    quiet.pass_time(minutes=1)
    sync_one(quiet, contact=betty)
    assert quiet.member_status("betty@example.org") == "subscribed"
    assert quiet.has_interest("betty@example.org")
    assert quiet.sync() == 0


def test_somebody_who_signed_up_becomes_a_contact_at_once(quiet: Bedrock):
    quiet.town.mailchimp.sign_up(LIST, "dino@example.org", "Dino", "Flintstone")
    quiet.pass_time(minutes=1)
    sync_one(quiet, email="dino@example.org")
    [dino] = quiet.town.civicrm.contacts_by_email("dino@example.org")
    assert quiet.group_status(dino.id) == "Added"
    assert quiet.sync() == 0


def test_somebody_who_left_and_is_added_again_is_asked_once(quiet: Bedrock):
    quiet.town.mailchimp.leave(LIST, "wilma@example.org")
    quiet.pass_time(minutes=1)
    sync_one(quiet, email="wilma@example.org")
    [wilma] = quiet.town.civicrm.contacts_by_email("wilma@example.org")
    assert quiet.group_status(wilma.id) == "Removed"
    quiet.town.civicrm.add_to_group(wilma.id, GROUP)
    quiet.pass_time(minutes=1)
    sync_one(quiet, contact=wilma.id)
    sync_one(quiet, contact=wilma.id)
    assert quiet.member_status("wilma@example.org") == "pending"
    assert quiet.confirmation_mails == ["wilma@example.org"]
    assert quiet.sync() == 0


def test_the_others_are_left_to_the_next_sync(quiet: Bedrock):
    [fred] = quiet.town.civicrm.contacts_by_email("fred@example.org")
    [barney] = quiet.town.civicrm.contacts_by_email("barney@example.org")
    for contact in (fred, barney):
        quiet.town.civicrm.remove_from_group(contact.id, GROUP)
    quiet.pass_time(minutes=1)
    sync_one(quiet, contact=fred.id)
    assert quiet.member_status("fred@example.org") == "unsubscribed"
    assert quiet.member_status("barney@example.org") == "subscribed"
    quiet.sync_until_quiet()
    assert quiet.member_status("barney@example.org") == "unsubscribed"


def test_a_contact_in_no_mapped_group_changes_nothing(quiet: Bedrock):
    gazoo = quiet.add_contact("gazoo@example.org", group=False)
    before = quiet.town.writes
    sync_one(quiet, contact=gazoo)
    assert quiet.town.writes == before


def test_an_address_that_nobody_has_changes_nothing(quiet: Bedrock):
    before = quiet.town.writes
    sync_one(quiet, email="nobody@example.org")
    assert quiet.town.writes == before


def test_a_contact_that_civicrm_does_not_have_is_told(quiet: Bedrock):
    with pytest.raises(UsageError, match="CiviCRM has no contact 999999"):
        sync_one(quiet, contact=999999)


def test_without_a_fetch_there_is_nothing_to_judge_by(bedrock: Bedrock):
    wilma = bedrock.add_contact("wilma@example.org")
    with pytest.raises(PartialFailure, match="has not been fetched completely"):
        sync_one(bedrock, contact=wilma)
    assert bedrock.member_status("wilma@example.org") is None
