"""Members are asked for and changed by the id that Mailchimp gave, whatever it is the hash of."""

import pytest

from mcsync.sandbox.mailchimp import subscriber_hash, typed_hash
from tests.scenario.bedrock import LIST, VOLUNTEERING, VOLUNTEERS
from tests.scenario.cron import IN, MAY, OUT, Cron, Stand
from tests.scenario.postal import Post

TYPED = "Pam@Example.org"
IDS = {
    "as-once-typed": typed_hash(TYPED),
    "of-no-spelling": "0123456789abcdef0123456789abcdef",
}


@pytest.fixture(params=IDS.values(), ids=IDS)
def pam(request: pytest.FixtureRequest, cron: Cron) -> int:
    """Pam's member id is not the hash of her address in lower case; she is in sync since May."""
    cron.bedrock.add_member(TYPED, last_changed=MAY, subscriber_id=request.param)
    contact = cron.add("pam", None)
    cron.add("quinn")
    cron.start()
    assert request.param != subscriber_hash(TYPED)
    assert cron.stand("pam") == IN
    return contact


def test_sync_contact_finds_her_a21(cron: Cron, pam: int):
    """sync-contact, by contact and by address, finds nothing wrong."""
    for asked in ({"contact": pam}, {"name": "pam"}, {"name": TYPED}):
        assert cron.sync_contact(**asked) == 0  # type: ignore[arg-type]
    assert cron.stand("pam") == IN
    cron.stay_quiet()


def test_staff_remove_her_a21(cron: Cron, pam: int):
    """Staff remove her, and add her again."""
    cron.remove("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    cron.join("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


def test_staff_remove_her_and_sync_her_at_once_a21(cron: Cron, pam: int):
    """The same by sync-contact."""
    cron.remove("pam")
    assert cron.sync_contact(contact=pam) == 0
    assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    cron.join("pam")
    assert cron.sync_contact(contact=pam) == 0
    assert cron.stand("pam") == IN
    cron.stay_quiet()
    assert cron.mails == []


def test_her_removal_archives_her_a21(cron: Cron, pam: int):
    """Where removing means archiving."""
    cron.bedrock.options["removal"] = "archive"
    cron.remove("pam")
    assert cron.sync_contact(contact=pam) == 0
    cron.stay_quiet()
    assert cron.stand("pam") == Stand("archived", "Removed", "ok")


def test_a_webhook_tells_that_she_left_a21(cron: Cron, pam: int):
    """She leaves, and a webhook tells; staff add her: one mail."""
    post = Post(cron.bedrock)
    cron.leave(TYPED)
    post.bring()
    assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    cron.join("pam")
    cron.stay_quiet()
    assert cron.mails == ["Pam"]
    assert cron.stand("pam")[:2] == ("pending", "Added")


def test_a_webhook_about_her_profile_a21(cron: Cron, pam: int):
    """She volunteers at Mailchimp, and a webhook tells."""
    post = Post(cron.bedrock)
    cron.bedrock.town.mailchimp.edit_profile(LIST, TYPED, interests={VOLUNTEERING: True})
    post.bring()
    assert cron.is_volunteer("pam") == (True, True)
    assert cron.stand("pam") == IN
    cron.stay_quiet()


def test_her_interest_is_written_a21(cron: Cron, pam: int):
    """Staff add her to the volunteers."""
    cron.volunteer("pam")
    cron.stay_quiet()
    assert cron.is_volunteer("pam") == (True, True)
    cron.remove("pam", VOLUNTEERS)
    assert cron.sync_contact(contact=pam) == 0
    assert cron.is_volunteer("pam") == (False, False)
    cron.stay_quiet()


@pytest.mark.parametrize("directly", [True, False], ids=["sync-contact", "batch"])
def test_her_address_changes_in_civicrm_a21(cron: Cron, pam: int, directly: bool):
    """Staff change her address: the member moves, and no second one is made."""
    [email] = cron.bedrock.town.civicrm.emails(pam)
    cron.bedrock.town.civicrm.update_email(email.id, email="pamela@example.org")
    cron.bedrock.pass_time(minutes=2)
    if directly:
        assert cron.sync_contact(contact=pam) == 0
    cron.stay_quiet()
    assert cron.stand("pamela") == IN
    assert cron.bedrock.member_status(TYPED) is None
    assert len(cron.bedrock.town.mailchimp.members(LIST)) == 2


def test_her_lost_batch_is_settled_by_reading_a21(cron: Cron, pam: int):
    """The results of her unsubscribe are gone: she is read by her own id."""
    cron.remove("pam")
    cron.run()
    for account in cron.bedrock.town.mailchimp.accounts.values():
        account.batches.clear()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
