"""Blanks around an address, or other case, make nobody new, at either side."""

import pytest

from tests.scenario.aftermath import assert_at_peace, assert_in_sync
from tests.scenario.bedrock import GROUP, LIST, Bedrock

PAM = "pam@example.org"
TYPED = [
    pytest.param("pam@example.org ", id="behind"),
    pytest.param(" pam@example.org", id="before"),
    pytest.param(" Pam@Example.org ", id="around, in capitals"),
    pytest.param("  pam@example.org", id="two before"),
    pytest.param("\tpam@example.org", id="a tabulator before"),
    pytest.param("pam@example.org\t", id="a tabulator"),
]


def contacts_of_pam(bedrock: Bedrock) -> list[str]:
    found = [
        e.email for c in bedrock.town.civicrm.contacts() for e in bedrock.town.civicrm.emails(c.id)
    ]
    return [email for email in found if email.strip().lower() == PAM]


@pytest.mark.parametrize("typed", TYPED)
def test_who_was_typed_in_with_blanks_is_subscribed_c3(bedrock: Bedrock, typed: str):
    pam = bedrock.add_contact(typed)
    bedrock.sync_until_quiet()
    assert bedrock.member_status(PAM) == "subscribed"
    assert bedrock.group_status(pam) == "Added"
    assert_in_sync(bedrock)
    assert_at_peace(bedrock)


@pytest.mark.parametrize("in_group", [True, False])
@pytest.mark.parametrize("typed", TYPED[:5])
def test_who_signs_up_is_the_contact_that_was_typed_in_with_blanks_c3(
    bedrock: Bedrock, typed: str, in_group: bool
):
    pam = bedrock.add_contact(typed, group=in_group)
    bedrock.add_member(PAM)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(pam) == "Added"
    assert len(contacts_of_pam(bedrock)) == 1
    assert_at_peace(bedrock)


def test_who_stands_at_mailchimp_with_blanks_is_nobody_new_c3(bedrock: Bedrock):
    pam = bedrock.add_contact(PAM, group=False)
    bedrock.town.mailchimp.import_member(LIST, " Pam@example.org ")
    bedrock.sync_until_quiet()
    assert bedrock.group_status(pam) == "Added"
    assert len(contacts_of_pam(bedrock)) == 1
    bedrock.town.civicrm.remove_from_group(pam, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    members = bedrock.town.mailchimp.members(LIST)
    assert [member["status"] for member in members.values()] == ["unsubscribed"]
    assert_at_peace(bedrock)


def test_blanks_that_somebody_takes_away_change_nothing_c3(bedrock: Bedrock):
    pam = bedrock.add_contact("pam@example.org ")
    bedrock.sync_until_quiet()
    [email] = bedrock.town.civicrm.emails(pam)
    bedrock.town.civicrm.update_email(email.id, email=PAM)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert bedrock.member_status(PAM) == "subscribed"
    assert_at_peace(bedrock)


@pytest.mark.parametrize("spelled", ["Pam@Example.ORG", " pam@example.org ", "PAM@example.org\t"])
def test_another_spelling_of_an_address_moves_nobody_c3(bedrock: Bedrock, spelled: str):
    """Typed over, or added as the one for mailings; and as Mailchimp shows it."""
    pam = bedrock.add_both(PAM)
    bedrock.sync_until_quiet()
    [email] = bedrock.town.civicrm.emails(pam)
    bedrock.town.civicrm.update_email(email.id, email=spelled)
    bedrock.town.civicrm.add_email(pam, spelled, is_bulkmail=True)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    audience = bedrock.town.mailchimp.audiences[LIST]
    member = audience.by_address(PAM)
    assert member is not None
    member.email = spelled
    audience.move(member, at=int(bedrock.town.clock().timestamp()))
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert_at_peace(bedrock)
    bedrock.town.civicrm.remove_from_group(pam, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert [m["status"] for m in bedrock.town.mailchimp.members(LIST).values()] == ["unsubscribed"]
