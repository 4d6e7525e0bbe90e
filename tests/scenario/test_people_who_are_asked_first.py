"""`confirmNew`: whom CiviCRM newly adds is asked to confirm by mail, once; nobody else is."""

import pytest

from tests.scenario.bedrock import LIST, VOLUNTEERS
from tests.scenario.cron import IN, Cron, Stand, mail

ASKED = Stand("pending", "Added", "ok")


@pytest.fixture
def asking(cron: Cron) -> Cron:
    """Fred is in; whoever is new is to be asked."""
    cron.bedrock.options["confirmNew"] = True
    cron.add_some("fred")
    return cron


def add_wilma(asking: Cron) -> int:
    """Staff enter Wilma as a volunteer who wants the newsletter."""
    wilma = asking.bedrock.add_contact(mail("wilma"))
    asking.bedrock.town.civicrm.add_to_group(wilma, VOLUNTEERS)
    asking.bedrock.pass_time(minutes=2)
    return wilma


def test_who_is_new_is_asked_once_and_is_in_when_she_confirms(asking: Cron):
    add_wilma(asking)
    asking.stay_quiet()
    assert asking.stand("wilma") == ASKED
    assert asking.mails == ["wilma"]
    asking.bedrock.town.mailchimp.confirm(LIST, mail("wilma"))
    asking.bedrock.pass_time(minutes=2)
    asking.stay_quiet()
    assert asking.stand("wilma") == IN
    assert asking.is_volunteer("wilma") == (True, True)
    assert asking.mails == ["wilma"]


def test_who_was_removed_before_she_confirmed_is_out(asking: Cron):
    add_wilma(asking)
    asking.settle()
    asking.remove("wilma")
    asking.stay_quiet()
    assert asking.stand("wilma").member == "unsubscribed"
    assert asking.mails == ["wilma"]


def test_who_signs_up_by_herself_is_not_asked_by_us(asking: Cron):
    asking.sign_up("betty")
    asking.stay_quiet()
    assert asking.stand("betty") == IN
    assert asking.mails == []


def test_whose_opt_out_is_lifted_is_not_asked(asking: Cron):
    """Fred was in before, and nobody took his word for out."""
    asking.opt_out("fred")
    asking.stay_quiet()
    asking.opt_out("fred", is_out=False)
    asking.stay_quiet()
    assert asking.stand("fred") == IN
    assert asking.mails == []


def test_who_is_asked_by_a_direct_call_is_asked_once(asking: Cron):
    add_wilma(asking)
    assert asking.sync_contact("wilma") == 0
    asking.stay_quiet()
    assert asking.stand("wilma") == ASKED
    assert asking.mails == ["wilma"]


def test_many_who_would_be_asked_at_once_are_held(asking: Cron):
    asking.bedrock.safety = {"maxAdditions": 10}
    for number in range(12):
        asking.bedrock.add_contact(mail(f"pebbles{number}"))
    asking.bedrock.pass_time(minutes=2)
    ran = asking.run()
    assert ran.exit_code == 4
    assert "would subscribe 12" in str(ran.held)
    assert asking.mails == []
