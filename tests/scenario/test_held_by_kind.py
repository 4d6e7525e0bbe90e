"""Only what is too much of one kind is held; everybody else's changes go through."""

import pytest

from tests.scenario.aftermath import count_subscribed
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS
from tests.scenario.cron import IN, OUT, Cron, Stand, mail
from tests.scenario.postal import Post

SIXTY = [f"gazoo{number}" for number in range(60)]
OTHERS = [f"hoppy{number}" for number in range(143)]
NEWSLETTER, READERS = "bbbbbbbbbb", 333


@pytest.fixture
def friday(cron: Cron) -> Cron:
    """Of 203 people in sync staff have removed sixty; that is held."""
    cron.bedrock.safety = {}
    cron.add_some(*SIXTY, *OTHERS)
    for name in SIXTY:
        cron.bedrock.town.civicrm.remove_from_group(cron.contact(name), GROUP)
    cron.bedrock.pass_time(minutes=2)
    ran = cron.run()
    assert (ran.exit_code, ran.writes) == (4, 0)
    assert "would unsubscribe 60" in str(ran.held)
    cron.bedrock.pass_time(hours=12)
    return cron


def release(cron: Cron, *, gone: int = 60) -> None:
    """An admin looks, and forces what is held; afterwards all is quiet."""
    ran = cron.run(is_forced=True)
    assert (ran.exit_code, ran.writes) == (0, gone)
    cron.stay_quiet()
    assert [cron.stand(name) for name in SIXTY[-gone:]] == [OUT] * gone


def test_people_of_another_kind_are_done_while_sixty_are_held_a13(friday: Cron):
    """Friday staff remove sixty; Saturday Pam opts out, and Quinn leaves at Mailchimp."""
    pam, quinn = OTHERS[:2]
    friday.opt_out(pam)
    friday.leave(quinn)
    ran = friday.run()
    assert ran.exit_code == 4
    assert "would unsubscribe 60" in str(ran.held)
    assert ran.writes == 2
    ran = friday.run()
    assert (ran.exit_code, ran.writes) == (4, 0)
    assert friday.stand(pam) == Stand("unsubscribed", "Added", "fail")
    assert friday.stand(quinn) == OUT
    assert count_subscribed(friday.bedrock) == 201
    assert [friday.stand(n) for n in SIXTY] == [Stand("subscribed", "Removed", "todo")] * 60
    release(friday)
    assert friday.mails == []


def test_everything_else_goes_on_while_sixty_are_held_a13(friday: Cron):
    """Meanwhile one signs up, one is added, one volunteers at either side, one moves."""
    friday.sign_up("nora")
    friday.bedrock.add_contact(mail("olga"))
    friday.volunteer(OTHERS[0])
    mailchimp = friday.bedrock.town.mailchimp
    mailchimp.edit_profile(LIST, mail(OTHERS[1]), interests={VOLUNTEERING: True})
    mailchimp.change_address(LIST, mail(OTHERS[2]), "moved@example.org")
    moved = friday.contact(OTHERS[2])
    friday.bedrock.pass_time(minutes=2)
    for _ in range(2):
        assert friday.run().exit_code == 4
    assert friday.stand("nora") == IN
    assert friday.stand("olga") == IN
    assert friday.is_volunteer(OTHERS[0]) == (True, True)
    assert friday.is_volunteer(OTHERS[1]) == (True, True)
    emails = {email.email for email in friday.bedrock.town.civicrm.emails(moved)}
    assert "moved@example.org" in emails
    assert count_subscribed(friday.bedrock) == 205
    release(friday)


def test_one_of_the_sixty_may_still_leave_come_back_or_change_a13(friday: Cron):
    """Of the sixty one leaves by himself, one is added again, one volunteers, one signs up."""
    leaving, back, volunteer, keen = SIXTY[:4]
    friday.leave(leaving)
    friday.join(back)
    friday.volunteer(volunteer)
    friday.bedrock.town.mailchimp.staff_unsubscribe(LIST, mail(keen))
    friday.bedrock.pass_time(minutes=2)
    assert friday.run().exit_code == 4
    friday.sign_up(keen)
    for _ in range(2):
        ran = friday.run()
        assert ran.exit_code == 4
    assert "would unsubscribe 57" in str(ran.held)
    assert friday.stand(leaving) == OUT
    assert friday.stand(back) == IN
    assert friday.stand(keen) == IN
    ran = friday.run(is_forced=True)
    assert (ran.exit_code, ran.writes) == (0, 57)
    friday.stay_quiet()
    assert [friday.stand(name) for name in (volunteer, *SIXTY[4:])] == [OUT] * 57
    assert [friday.stand(name) for name in (leaving, back, keen)] == [OUT, IN, IN]


def test_a_sixty_first_is_held_with_the_others_a13(friday: Cron):
    """On Saturday staff remove one more: of the same kind, so held too."""
    friday.remove(OTHERS[0])
    ran = friday.run()
    assert (ran.exit_code, ran.writes) == (4, 0)
    assert "would unsubscribe 61" in str(ran.held)
    assert friday.stand(OTHERS[0])[:2] == ("subscribed", "Removed")
    assert friday.run(is_forced=True).exit_code == 0
    friday.stay_quiet()
    assert friday.stand(OTHERS[0]) == OUT


def test_a_webhook_about_somebody_else_is_handled_at_once_a13(friday: Cron):
    """Quinn leaves, Nora signs up: their webhooks do not wait for Monday."""
    post = Post(friday.bedrock)
    friday.leave(OTHERS[0])
    friday.sign_up("nora")
    post.store()
    while post.handle():
        pass
    assert friday.stand(OTHERS[0])[:2] == ("unsubscribed", "Removed")
    assert friday.stand("nora")[:2] == ("subscribed", "Added")
    assert friday.run().exit_code == 4
    release(friday)


def test_sync_contact_about_somebody_else_works_meanwhile_a13(friday: Cron):
    """Staff remove Quinn and sync her at once, which an admin asks for by name."""
    friday.opt_out(OTHERS[0])
    assert friday.sync_contact(contact=friday.contact(OTHERS[0])) == 0
    assert friday.stand(OTHERS[0])[:2] == ("unsubscribed", "Added")
    assert count_subscribed(friday.bedrock) == 202
    release(friday)


def test_put_back_before_monday_all_is_as_before_a13(friday: Cron):
    """It was a slip: staff add the sixty again."""
    for name in SIXTY:
        friday.bedrock.town.civicrm.add_to_group(friday.contact(name), GROUP)
    friday.bedrock.pass_time(minutes=2)
    ran = friday.run()
    assert (ran.exit_code, ran.writes, ran.held) == (0, 0, None)
    friday.stay_quiet()
    assert count_subscribed(friday.bedrock) == 203
    assert [friday.stand(name) for name in SIXTY] == [IN] * 60


def test_the_other_audience_is_not_held_a13(cron: Cron):
    """Sixty are removed from one of two groups; in the other one is."""
    cron.bedrock.safety = {}
    cron.bedrock.town.add_audience(NEWSLETTER, "Newsletter", READERS, {})
    civicrm = cron.bedrock.town.civicrm
    for name in (*SIXTY, *OTHERS[:40]):
        cron.add(name)
    for name in OTHERS[:20]:
        civicrm.add_to_group(cron.contact(name), READERS)
    cron.start()
    for name in SIXTY:
        civicrm.remove_from_group(cron.contact(name), GROUP)
    cron.remove(OTHERS[0], READERS)
    ran = cron.run()
    assert ran.exit_code == 4
    assert ran.held is not None
    assert ran.reports[NEWSLETTER].held is None
    cron.run()
    assert cron.stand(OTHERS[0], NEWSLETTER, READERS) == OUT
    assert cron.stand(OTHERS[0]) == IN
    assert count_subscribed(cron.bedrock) == 100


def test_many_who_may_not_be_mailed_are_held_alone_a13(cron: Cron):
    """Sixty are opted out by an import; staff remove Pam, and Quinn leaves."""
    cron.bedrock.safety = {}
    cron.add_some(*SIXTY, *OTHERS)
    for name in SIXTY:
        cron.bedrock.town.civicrm.update_contact(cron.contact(name), is_opt_out=True)
    pam, quinn = OTHERS[:2]
    cron.remove(pam)
    cron.leave(quinn)
    for _ in range(2):
        ran = cron.run()
        assert ran.exit_code == 4
        assert "60" in str(ran.held)
    assert cron.stand(pam) == OUT
    assert cron.stand(quinn) == OUT
    assert count_subscribed(cron.bedrock) == 201
    assert cron.run(is_forced=True).exit_code == 0
    cron.stay_quiet()
    assert [cron.stand(n) for n in SIXTY] == [Stand("unsubscribed", "Added", "fail")] * 60


def test_many_whom_an_administrator_unsubscribes_are_held_alone_a13(cron: Cron):
    """An administrator at Mailchimp unsubscribes sixty; Quinn leaves, staff remove Pam."""
    cron.bedrock.safety = {}
    cron.add_some(*SIXTY, *OTHERS)
    for name in SIXTY:
        cron.bedrock.town.mailchimp.staff_unsubscribe(LIST, mail(name))
    pam, quinn = OTHERS[:2]
    cron.remove(pam)
    cron.leave(quinn)
    for _ in range(2):
        ran = cron.run()
        assert ran.exit_code == 4
        assert "60" in str(ran.held)
    assert cron.stand(pam) == OUT
    assert cron.stand(quinn) == OUT
    places = [cron.bedrock.group_status(cron.contact(name)) for name in SIXTY]
    assert places == ["Added"] * 60
    assert cron.run(is_forced=True).exit_code == 0
    cron.stay_quiet()
    assert [cron.stand(name) for name in SIXTY] == [OUT] * 60


def test_an_interest_goes_on_while_sixty_are_held_a13(friday: Cron):
    """Fifty of the others volunteer on Saturday, which no guard counts."""
    friday.volunteer(*OTHERS[:50])
    for _ in range(2):
        assert friday.run().exit_code == 4
    assert [friday.is_volunteer(name) for name in OTHERS[:50]] == [(True, True)] * 50
    friday.remove(OTHERS[0], VOLUNTEERS)
    for _ in range(2):
        assert friday.run().exit_code == 4
    assert friday.is_volunteer(OTHERS[0]) == (False, False)
    release(friday)


@pytest.mark.parametrize("runs", [1, 3])
def test_couples_who_share_addresses_are_held_whole_a13(cron: Cron, runs: int):
    """An administrator at Mailchimp unsubscribes sixty addresses, each of two contacts."""
    cron.bedrock.safety = {}
    civicrm, couples = cron.bedrock.town.civicrm, []
    for name in SIXTY:
        cron.bedrock.add_member(mail(name))
        pair = [civicrm.add_contact(first, "Rubble", [mail(name)]) for first in ("Ann", "Ben")]
        for contact in pair:
            civicrm.add_to_group(contact, GROUP)
        couples += pair
    cron.start()
    for name in SIXTY:
        cron.bedrock.town.mailchimp.staff_unsubscribe(LIST, mail(name))
    cron.bedrock.pass_time(minutes=2)
    for _ in range(runs):
        ran = cron.run()
        assert (ran.exit_code, ran.writes) == (4, 0)
        assert "would remove 120 " in str(ran.held)
    assert [cron.bedrock.group_status(contact) for contact in couples] == ["Added"] * 120
    assert cron.run(is_forced=True).writes == 120
    cron.stay_quiet()
    assert [cron.bedrock.group_status(contact) for contact in couples] == ["Removed"] * 120
