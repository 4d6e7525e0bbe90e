"""One CiviCRM group may stand for something in two audiences: what is said in one holds in both."""

import pytest

from mcsync.model import Side
from mcsync.sandbox.town import API_KEY
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS
from tests.scenario.cron import IN, Cron, mail

NEWSLETTER, READERS, THEIRS = "bbbbbbbbbb", 333, "dddddddddd"


def add_newsletter(cron: Cron, interest_group: int) -> None:
    """A second audience, an interest of which stands for a group that the first one knows."""
    town = cron.bedrock.town
    town.mailchimp.add_audience(NEWSLETTER, "Newsletter", API_KEY)
    town.mailchimp.add_interest(NEWSLETTER, "Topics", THEIRS, "Volunteering")
    town.civicrm.add_group("Newsletter subscribers", READERS)
    town.lists[NEWSLETTER] = {
        "subscriptionGroup": str(READERS),
        "apiKey": API_KEY,
        "interests": {THEIRS: str(interest_group)},
    }


def has_theirs(cron: Cron, name: str) -> bool:
    """Whether somebody has the newsletter's interest."""
    member = cron.bedrock.town.mailchimp.member(NEWSLETTER, mail(name))
    assert member is not None
    interests = member["interests"]
    assert isinstance(interests, dict)
    return bool(interests[THEIRS])


@pytest.fixture
def pam(cron: Cron) -> int:
    """Pam is in both audiences and a volunteer, which is an interest in both."""
    add_newsletter(cron, VOLUNTEERS)
    contact = cron.bedrock.add_contact(mail("pam"))
    cron.bedrock.town.civicrm.add_to_group(contact, READERS)
    cron.start()
    cron.volunteer("pam")
    cron.settle()
    assert (cron.is_volunteer("pam"), has_theirs(cron, "pam")) == ((True, True), True)
    cron.bedrock.pass_time(hours=1)
    return contact


def judge_again(cron: Cron, contact: int) -> None:
    """Staff edit the contact, so that it is judged anew: nothing is to be written."""
    for number in range(2):
        cron.bedrock.town.civicrm.update_contact(contact, last_name=f"Slate{number}")
        cron.bedrock.pass_time(minutes=2)
        cron.stay_quiet()


def test_staff_end_it_in_civicrm_a10(cron: Cron, pam: int):
    """Staff take Pam out of the volunteers: both audiences hear it."""
    cron.remove("pam", VOLUNTEERS)
    cron.stay_quiet()
    judge_again(cron, pam)
    assert (cron.is_volunteer("pam"), has_theirs(cron, "pam")) == ((False, False), False)


def test_she_ends_it_in_one_audience_a10(cron: Cron, pam: int):
    """Pam switches it off in one audience; no run may switch the group on and off again."""
    cron.bedrock.town.mailchimp.edit_profile(LIST, mail("pam"), interests={VOLUNTEERING: False})
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    judge_again(cron, pam)
    assert cron.is_volunteer("pam") == (False, False)
    assert not has_theirs(cron, "pam")


def test_who_leaves_the_audience_whose_group_is_an_interest_of_another_a10(cron: Cron):
    """The first audience's own group is an interest of the newsletter; Pam leaves the first."""
    add_newsletter(cron, GROUP)
    contact = cron.bedrock.add_contact(mail("pam"))
    cron.bedrock.town.civicrm.add_to_group(contact, READERS)
    cron.start()
    assert has_theirs(cron, "pam")
    cron.leave("pam")
    cron.stay_quiet()
    judge_again(cron, contact)
    assert cron.bedrock.member_status(mail("pam")) == "unsubscribed"
    assert cron.bedrock.group_status(contact) == "Removed"
    assert not has_theirs(cron, "pam")
    assert cron.stand("pam", NEWSLETTER, READERS) == IN
    assert cron.mails == []


def test_who_wishes_for_an_interest_joins_the_audience_whose_group_it_is_a10(cron: Cron):
    """Pam reads the newsletter only, and ticks there what stands for the first audience."""
    add_newsletter(cron, GROUP)
    contact = cron.bedrock.add_contact(mail("pam"), group=False)
    cron.bedrock.town.civicrm.add_to_group(contact, READERS)
    cron.start()
    assert cron.bedrock.member_status(mail("pam")) is None
    cron.bedrock.town.mailchimp.edit_profile(NEWSLETTER, mail("pam"), interests={THEIRS: True})
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    judge_again(cron, contact)
    assert cron.stand("pam") == IN
    assert has_theirs(cron, "pam")


@pytest.mark.parametrize("trusted", [LIST, NEWSLETTER])
def test_a_trusted_audience_is_heard_by_the_other_a10(cron: Cron, pam: int, trusted: str):
    """Staff take Pam out by mistake, and have it put right by trusting what Mailchimp has."""
    cron.remove("pam", VOLUNTEERS)
    interest = VOLUNTEERING if trusted == LIST else THEIRS
    cron.run(trusted, trust={interest: Side.MAILCHIMP})
    cron.stay_quiet()
    judge_again(cron, pam)
    assert (cron.is_volunteer("pam"), has_theirs(cron, "pam")) == ((True, True), True)
