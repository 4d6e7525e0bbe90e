"""Members change while we read them; nobody falls between two pages, or two fetches."""

from collections.abc import Callable

import pytest

from mcsync.pipeline.fetch import Window
from mcsync.sandbox.server import Fault
from tests.scenario.bedrock import LIST
from tests.scenario.cron import IN, MAY, OUT, Cron, mail

CROWD = 3500


@pytest.fixture
def crowd(cron: Cron) -> Cron:
    """3,500 members without contacts of their own story, and Pam, Quinn and Rita."""
    mailchimp, civicrm = cron.bedrock.town.mailchimp, cron.bedrock.town.civicrm
    for number in range(CROWD):
        mailchimp.import_member(LIST, mail(f"gazoo{number}"), last_changed=MAY)
        contact = civicrm.add_contact("", "", [mail(f"gazoo{number}")])
        civicrm.add_to_group(contact, 111, at=MAY)
    for name in ("pam", "quinn", "rita"):
        cron.add(name)
    return cron


def meanwhile(cron: Cron, act: Callable[[], object], *, after_pages: int) -> None:
    """Something happens while the members who are not archived are read."""
    cron.bedrock.town.mailchimp_server.faults.append(
        Fault(method="GET", path=r"/members\?(?!.*status=archived)", act=act, skip=after_pages)
    )


@pytest.mark.parametrize("is_first", [True, False], ids=["first-fetch", "full-fetch"])
@pytest.mark.parametrize("pages", [0, 2])
def test_who_is_archived_while_we_read_is_noticed_next_a8(crowd: Cron, is_first: bool, pages: int):
    """Quinn is archived after the archived were read; Rita changes a minute later."""
    mailchimp = crowd.bedrock.town.mailchimp
    if not is_first:
        assert crowd.run().exit_code == 0
        crowd.bedrock.pass_time(hours=1)

    def act() -> None:
        mailchimp.staff_archive(LIST, mail("quinn"))
        crowd.bedrock.pass_time(minutes=1)
        mailchimp.edit_profile(LIST, mail("rita"), "Margarita")

    meanwhile(crowd, act, after_pages=pages)
    assert crowd.run(window=None if is_first else Window()).exit_code == 0
    assert crowd.run().exit_code == 0
    assert crowd.stand("quinn")[:2] == ("archived", "Removed")
    crowd.settle()
    assert crowd.stand("quinn").row == "ok"
    assert crowd.stand("rita") == IN
    assert crowd.stand("pam") == IN


def test_who_is_archived_while_a_few_changes_are_read_a8(cron: Cron):
    """The same in an increment: the archived are read, then Quinn is archived."""
    cron.add_some("pam", "quinn", "rita")
    mailchimp = cron.bedrock.town.mailchimp
    mailchimp.edit_profile(LIST, mail("pam"), "Pamela")
    cron.bedrock.pass_time(minutes=1)

    def act() -> None:
        mailchimp.staff_archive(LIST, mail("quinn"))
        cron.bedrock.pass_time(minutes=1)
        mailchimp.edit_profile(LIST, mail("rita"), "Margarita")

    meanwhile(cron, act, after_pages=0)
    cron.run()
    cron.run()
    assert cron.stand("quinn")[:2] == ("archived", "Removed")
    cron.stay_quiet()


@pytest.mark.parametrize("act", ["leave", "sign-up", "back-from-the-archive"])
@pytest.mark.parametrize("pages", [0, 1, 3])
def test_who_acts_while_we_read_is_noticed_next_a8(crowd: Cron, act: str, pages: int):
    """Between two pages Quinn leaves, Nora signs up, or Tess comes back from the archive."""
    mailchimp = crowd.bedrock.town.mailchimp
    crowd.add("tess", "archived", "Removed")

    def happen() -> None:
        if act == "leave":
            mailchimp.leave(LIST, mail("quinn"))
        else:
            mailchimp.sign_up(LIST, mail("nora" if act == "sign-up" else "tess"))
        crowd.bedrock.pass_time(minutes=1)
        mailchimp.edit_profile(LIST, mail("rita"), "Margarita")

    meanwhile(crowd, happen, after_pages=pages)
    assert crowd.run().exit_code == 0
    assert crowd.run().exit_code == 0
    if act == "leave":
        assert crowd.stand("quinn")[:2] == OUT[:2]
    else:
        assert crowd.stand("nora" if act == "sign-up" else "tess")[:2] == IN[:2]
    crowd.settle()


def test_a_slow_mailchimp_overlooks_nobody_a8(crowd: Cron):
    """Every page takes four minutes; Quinn is archived, and others change all the time."""
    mailchimp = crowd.bedrock.town.mailchimp
    acts: list[Callable[[], object]] = [
        lambda: mailchimp.edit_profile(LIST, mail("gazoo1"), "One"),
        lambda: mailchimp.staff_archive(LIST, mail("quinn")),
        lambda: mailchimp.edit_profile(LIST, mail("gazoo2"), "Two"),
        lambda: mailchimp.edit_profile(LIST, mail("rita"), "Margarita"),
    ]

    def page() -> None:
        crowd.bedrock.pass_time(minutes=4)
        if acts:
            acts.pop(0)()

    server = crowd.bedrock.town.mailchimp_server
    server.faults.append(Fault(method="GET", path="/members", act=page, times=None))
    assert crowd.run().exit_code == 0
    server.faults.clear()
    assert not acts
    assert crowd.run().exit_code == 0
    assert crowd.stand("quinn")[:2] == ("archived", "Removed")
    crowd.settle()
