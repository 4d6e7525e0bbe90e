"""What was said, or agreed, stands until somebody says something newer.

No full compare, no lost cache, no narrower look and no gap in CiviCRM's history makes anybody's
word disappear, or an older one come back to life.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from mcsync.model import Side
from mcsync.pipeline.fetch import Window
from mcsync.sandbox.server import Fault, Response
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.cron import IN, JUNE, MAY, OUT, Cron, Stand, mail
from tests.scenario.postal import Post

NEWSLETTER, READERS = "bbbbbbbbbb", 333
NINE = [f"gazoo{number}" for number in range(9)]


def add_newsletter(bedrock: Bedrock) -> None:
    """A second audience, with a group of its own."""
    bedrock.town.add_audience(NEWSLETTER, "Newsletter", READERS, {})


def a_day_later(cron: Cron) -> None:
    cron.bedrock.pass_time(hours=25)
    assert cron.run().writes == 0


def fetch_everything(cron: Cron) -> None:
    assert cron.run(window=Window()).writes == 0


def sync_another_audience(cron: Cron) -> None:
    assert cron.run(NEWSLETTER).writes == 0
    assert cron.run().writes == 0


def edit_everybody(cron: Cron) -> None:
    """Staff edit everybody's contact, so that all are judged again."""
    for contact in cron.bedrock.town.civicrm.contacts():
        cron.bedrock.town.civicrm.update_contact(contact.id, last_name="Slate")
    cron.bedrock.pass_time(minutes=1)
    assert cron.run().writes == 0


def sync_everybody_by_contact(cron: Cron) -> None:
    for name in NINE:
        assert cron.sync_contact(contact=cron.contact(name)) == 0
    assert cron.run().writes == 0


LATER: dict[str, Callable[[Cron], None]] = {
    "a-day-later": a_day_later,
    "since-ever": fetch_everything,
    "after-another-audience": sync_another_audience,
    "everybody-edited": edit_everybody,
    "sync-contact": sync_everybody_by_contact,
}
later = pytest.mark.parametrize("look_again", LATER.values(), ids=LATER)


# --- a trusted side -------------------------------------------------------------------------------


@later
def test_whom_a_trusted_mailchimp_put_back_stay_a4(cron: Cron, look_again: Callable[[Cron], None]):
    """Nine were Removed in June by mistake; `sync --trust mailchimp` puts them right."""
    add_newsletter(cron.bedrock)
    for name in NINE:
        cron.add(name, group=None)
        civicrm = cron.bedrock.town.civicrm
        civicrm.add_to_group(cron.contact(name), GROUP, at=MAY - timedelta(days=1))
        civicrm.remove_from_group(cron.contact(name), GROUP, at=JUNE)
    cron.add("pam")
    ran = cron.run(trust={"subscription": Side.MAILCHIMP})
    assert (ran.exit_code, ran.report.added_to_group, ran.report.updates_queued) == (0, 9, 0)
    cron.settle()
    look_again(cron)
    cron.stay_quiet()
    assert [cron.stand(name) for name in (*NINE, "pam")] == [IN] * 10
    cron.remove(NINE[0])
    cron.leave(NINE[1])
    cron.stay_quiet()
    assert [cron.stand(name) for name in NINE[:3]] == [OUT, OUT, IN]
    assert cron.mails == []


@later
def test_whom_a_trusted_civicrm_took_out_stay_out_a4(
    cron: Cron, look_again: Callable[[Cron], None]
):
    """Nine were Removed in May and imported again in June; `sync --trust civicrm`."""
    add_newsletter(cron.bedrock)
    for name in NINE:
        cron.add(name, group="Removed", at=MAY)
        cron.bedrock.town.mailchimp.edit_profile(LIST, mail(name), "Gazoo")
    cron.add("pam")
    ran = cron.run(trust={"subscription": Side.CIVICRM})
    assert (ran.exit_code, ran.report.updates_queued) == (0, 9)
    cron.settle()
    look_again(cron)
    cron.stay_quiet()
    assert [cron.stand(name) for name in NINE] == [OUT] * 9
    assert cron.stand("pam") == IN
    cron.join(NINE[0])
    cron.stay_quiet()
    assert cron.stand(NINE[0]) == IN
    assert cron.mails == []


@later
def test_a_trusted_interest_stands_a4(cron: Cron, look_again: Callable[[Cron], None]):
    """Nine volunteer at Mailchimp only, later staff took them out; that interest is trusted."""
    add_newsletter(cron.bedrock)
    for name in NINE:
        contact = cron.add(name, None)
        cron.bedrock.add_member(mail(name), interests=[VOLUNTEERING], last_changed=MAY)
        cron.bedrock.town.civicrm.remove_from_group(contact, VOLUNTEERS, at=JUNE)
    ran = cron.run(trust={VOLUNTEERING: Side.MAILCHIMP})
    assert ran.exit_code == 0
    cron.settle()
    look_again(cron)
    cron.stay_quiet()
    assert [cron.is_volunteer(name) for name in NINE] == [(True, True)] * 9
    cron.remove(NINE[0], VOLUNTEERS)
    cron.stay_quiet()
    assert cron.is_volunteer(NINE[0]) == (False, False)
    assert cron.is_volunteer(NINE[1]) == (True, True)


# --- muted, then left -----------------------------------------------------------------------------


def mute(cron: Cron, how: str, *, is_muted: bool) -> None:
    """Pam may not be mailed, or may again."""
    civicrm, pam = cron.bedrock.town.civicrm, cron.contact("pam")
    if how == "on-hold":
        [email] = civicrm.emails(pam)
        civicrm.update_email(email.id, on_hold=1 if is_muted else 0)
    else:
        field = {"opt-out": "is_opt_out", "do-not-email": "do_not_email"}[how]
        civicrm.update_contact(pam, **{field: is_muted})
    cron.bedrock.pass_time(minutes=2)


muting = pytest.mark.parametrize("how", ["opt-out", "do-not-email", "on-hold"])


@muting
@pytest.mark.parametrize("sees", [True, False], ids=["seen", "seen-with-the-end-of-it"])
def test_who_leaves_while_muted_has_left_by_themselves_a6(cron: Cron, how: str, sees: bool):
    """Pam is muted, then clicks unsubscribe in an old mail; later she may be mailed again."""
    cron.add_some("pam", "quinn")
    mute(cron, how, is_muted=True)
    cron.settle()
    assert cron.stand("pam")[:2] == ("unsubscribed", "Added")
    cron.leave("pam")
    if sees:
        cron.settle()
        assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    mute(cron, how, is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.mails == []


@muting
def test_who_did_nothing_while_muted_comes_back_without_a_mail_a6(cron: Cron, how: str):
    """Pam is muted for a week, and then not any more."""
    cron.add_some("pam", "quinn")
    mute(cron, how, is_muted=True)
    cron.stay_quiet()
    assert cron.stand("pam") == Stand("unsubscribed", "Added", "fail")
    mute(cron, how, is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


def test_who_left_while_muted_and_is_added_by_staff_is_asked_once_a6(cron: Cron):
    """Pam left while muted; later the opt-out is lifted, and staff add her on her wish."""
    cron.add_some("pam", "quinn")
    mute(cron, "opt-out", is_muted=True)
    cron.settle()
    cron.leave("pam")
    cron.settle()
    mute(cron, "opt-out", is_muted=False)
    cron.join("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == Stand("pending", "Added", "ok")
    assert cron.mails == ["pam"]


def test_who_left_while_muted_in_a_run_that_lifts_it_by_sync_contact_a6(cron: Cron):
    """Pam left while muted; sync-contact hears of it together with the end of the opt-out."""
    pam = cron.add_some("pam", "quinn")["pam"]
    mute(cron, "opt-out", is_muted=True)
    cron.settle()
    cron.leave("pam")
    mute(cron, "opt-out", is_muted=False)
    assert cron.sync_contact(contact=pam) == 0
    assert cron.stand("pam") == OUT
    cron.stay_quiet()
    assert cron.mails == []


# --- a narrower look ------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-5, 600], ids=["after-the-opt-out", "in-the-future"])
@pytest.mark.parametrize("act", ["opts-out", "leaves", "removed", "volunteers", "renamed"])
def test_what_an_admins_narrower_look_left_out_is_seen_next_a9(cron: Cron, minutes: int, act: str):
    """Something happens at 10:40; at 11:00 an admin runs `sync --since 10:55`, or a later one."""
    cron.bedrock.with_data = True
    pam = cron.add_some("pam", "quinn")["pam"]
    town = cron.bedrock.town
    if act == "opts-out":
        cron.opt_out("pam")
    elif act == "leaves":
        cron.leave("pam")
    elif act == "removed":
        cron.remove("pam")
    elif act == "volunteers":
        town.mailchimp.edit_profile(LIST, mail("pam"), interests={VOLUNTEERING: True})
    else:
        town.mailchimp.edit_profile(LIST, mail("pam"), "Pamela")
    cron.bedrock.pass_time(minutes=18)
    ran = cron.run(window=Window(town.clock() + timedelta(minutes=minutes)))
    assert ran.exit_code == 0
    cron.run()
    cron.run()
    expected = {
        "opts-out": Stand("unsubscribed", "Added", "fail"),
        "leaves": OUT,
        "removed": OUT,
        "volunteers": IN,
        "renamed": IN,
    }
    assert cron.stand("pam") == expected[act]
    assert cron.is_volunteer("pam")[1] == (act == "volunteers")
    contact = town.civicrm.contact(pam)
    assert contact is not None
    assert contact.first_name == ("Pamela" if act == "renamed" else "Pam")
    cron.stay_quiet()
    assert cron.stand("quinn") == IN


def test_what_another_audiences_run_read_is_not_lost_a9(cron: Cron):
    """Pam, of the newsletter only, opts out; a narrower look at the other audience comes first."""
    add_newsletter(cron.bedrock)
    pam = cron.bedrock.add_contact(mail("pam"), group=False)
    cron.bedrock.town.civicrm.add_to_group(pam, READERS)
    cron.add("quinn")
    cron.start()
    cron.opt_out("pam")
    cron.bedrock.pass_time(minutes=18)
    cron.run(LIST, window=Window(cron.bedrock.town.clock() - timedelta(minutes=5)))
    cron.run(NEWSLETTER)
    assert cron.bedrock.town.mailchimp.member(NEWSLETTER, mail("pam"))["status"] == "unsubscribed"  # type: ignore[index]
    cron.stay_quiet()


@pytest.mark.parametrize("additions", [3, 250, 450])
def test_one_audiences_run_hides_nothing_from_the_other_a10(cron: Cron, additions: int):
    """In B one is removed and one added; 250 are added in A, and only A is synced first."""
    add_newsletter(cron.bedrock)
    civicrm, mailchimp = cron.bedrock.town.civicrm, cron.bedrock.town.mailchimp
    contacts = {}
    for name in ("pam", "quinn", "rita"):
        contacts[name] = cron.bedrock.add_contact(mail(name), group=False)
    for name in ("pam", "quinn"):
        civicrm.add_to_group(contacts[name], READERS)
        mailchimp.import_member(NEWSLETTER, mail(name))
    cron.start()
    civicrm.remove_from_group(contacts["pam"], READERS)
    civicrm.add_to_group(contacts["rita"], READERS)
    cron.bedrock.pass_time(minutes=1)
    for number in range(additions):
        cron.bedrock.add_contact(mail(f"new{number}"))
    cron.bedrock.pass_time(minutes=1)
    assert cron.run(LIST).report.updates_queued == additions
    cron.run(LIST)
    ran = cron.run(NEWSLETTER)
    assert (ran.exit_code, ran.reports[NEWSLETTER].updates_queued) == (0, 2)
    cron.settle()
    assert cron.stand("pam", NEWSLETTER, READERS) == OUT
    assert cron.stand("rita", NEWSLETTER, READERS) == IN
    cron.stay_quiet()


def test_a_sync_contact_hides_nothing_from_another_audience_a10(cron: Cron):
    """Pam is removed from B's group; sync-contact about Quinn, then a run over A, come first."""
    add_newsletter(cron.bedrock)
    pam = cron.bedrock.add_contact(mail("pam"), group=False)
    cron.bedrock.town.civicrm.add_to_group(pam, READERS)
    quinn = cron.add("quinn")
    cron.start()
    cron.remove("pam", READERS)
    assert cron.sync_contact(contact=quinn) == 0
    cron.run(LIST)
    cron.run()
    cron.settle()
    assert cron.stand("pam", NEWSLETTER, READERS) == OUT
    cron.stay_quiet()


# --- gaps in CiviCRM's history --------------------------------------------------------------------


def delete_row(cron: Cron, name: str, how: str, group: int = GROUP) -> None:
    """Take somebody from a group, leaving no Removed behind."""
    civicrm, contact = cron.bedrock.town.civicrm, cron.contact(name)
    if how == "with-history":
        civicrm.delete_from_group(contact, group)
    elif how == "without-history":
        civicrm.sql_set_membership(contact, group, None)
    else:
        civicrm.sql_set_membership(contact, group, "Removed")
    cron.bedrock.pass_time(minutes=2)


deleting = pytest.mark.parametrize("how", ["with-history", "without-history", "set-by-sql"])


@deleting
def test_a_deleted_place_in_the_group_is_out_a11(cron: Cron, how: str):
    """Pam's group contact is deleted, or set to Removed by SQL: she is not put back."""
    cron.add_some("pam", "quinn")
    delete_row(cron, "pam", how)
    assert cron.run().exit_code == 0
    assert cron.bedrock.member_status(mail("pam")) == "unsubscribed"
    cron.stay_quiet()
    assert cron.stand("pam").member == "unsubscribed"
    assert cron.stand("pam").group in (None, "Removed")
    assert cron.stand("pam").row == "ok"
    assert cron.stand("quinn") == IN
    assert len(cron.bedrock.town.civicrm.history(cron.contact("pam"), GROUP)) <= 2


@deleting
def test_a_deleted_place_is_out_as_of_the_run_that_notices_it_a11(cron: Cron, how: str):
    """Pam's group contact is deleted; before any run she signs up again: that is older."""
    cron.add_some("pam", "quinn")
    delete_row(cron, "pam", how)
    cron.settle()
    cron.sign_up("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


@deleting
def test_a_deleted_place_that_is_given_back_is_in_a11(cron: Cron, how: str):
    """Pam's group contact is deleted, and staff add her again a day later."""
    cron.add_some("pam", "quinn")
    delete_row(cron, "pam", how)
    cron.settle()
    cron.bedrock.pass_time(days=1)
    cron.join("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


@deleting
def test_a_deleted_place_in_an_interests_group_switches_it_off_a11(cron: Cron, how: str):
    """Pam's place among the volunteers is deleted."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam", "quinn")
    cron.settle()
    delete_row(cron, "pam", how, VOLUNTEERS)
    cron.stay_quiet()
    assert cron.is_volunteer("pam") == (False, False)
    assert cron.is_volunteer("quinn") == (True, True)
    assert cron.stand("pam") == IN


@deleting
def test_many_deleted_places_are_held_a11(cron: Cron, how: str):
    """Thirty of sixty group contacts are deleted at once."""
    cron.bedrock.safety = {}
    names = [f"gazoo{number}" for number in range(60)]
    cron.add_some(*names)
    for name in names[:30]:
        delete_row(cron, name, how)
    ran = cron.run()
    assert ran.exit_code == 4
    assert "30" in str(ran.held)
    assert [cron.bedrock.member_status(mail(n)) for n in names] == ["subscribed"] * 60
    cron.bedrock.pass_time(days=2)
    assert cron.run().exit_code == 4
    assert [cron.bedrock.member_status(mail(n)) for n in names] == ["subscribed"] * 60
    assert cron.run(is_forced=True).exit_code == 0
    cron.stay_quiet()
    expected = ["unsubscribed"] * 30 + ["subscribed"] * 30
    assert [cron.bedrock.member_status(mail(n)) for n in names] == expected


def test_somebody_added_by_sql_is_in_but_older_than_any_word_a11(cron: Cron):
    """Nora is added by SQL, without history; Rita, who left, is added so as well."""
    cron.add_some("pam", "quinn")
    nora = cron.bedrock.add_contact(mail("nora"), group=False)
    rita = cron.bedrock.add_contact(mail("rita"), group=False)
    cron.bedrock.add_member(mail("rita"), "unsubscribed", left=True)
    cron.settle()
    for contact in (nora, rita):
        cron.bedrock.town.civicrm.sql_set_membership(contact, GROUP, "Added")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.stand("nora") == IN
    assert cron.stand("rita") == OUT
    assert cron.mails == []


# --- the cache is lost ----------------------------------------------------------------------------


def lose_the_cache(cron: Cron) -> None:
    for path in cron.bedrock.folder.glob("mcsync*.db*"):
        if path.is_file():
            path.unlink()


@pytest.mark.parametrize("removal", ["unsubscribe", "archive"])
def test_muted_people_stay_in_the_group_when_the_cache_is_lost_a17(cron: Cron, removal: str):
    """Of 120, eighty were unsubscribed by us: opted out, or on hold. The cache is deleted."""
    cron.bedrock.safety = {}
    cron.bedrock.options["removal"] = removal
    civicrm = cron.bedrock.town.civicrm
    names = [f"gazoo{number}" for number in range(120)]
    for name in names:
        cron.add(name)
    cron.start()
    for number, name in enumerate(names[:80]):
        if number % 2:
            civicrm.update_contact(cron.contact(name), is_opt_out=True)
        else:
            civicrm.update_email(civicrm.emails(cron.contact(name))[0].id, on_hold=1)
    cron.bedrock.pass_time(minutes=2)
    assert cron.run(is_forced=True).exit_code == 0
    cron.settle()
    muted = "archived" if removal == "archive" else "unsubscribed"
    assert [cron.stand(name)[:2] for name in names[:80]] == [(muted, "Added")] * 80
    cron.bedrock.pass_time(days=3)
    lose_the_cache(cron)
    cron.stay_quiet()
    assert [cron.stand(name) for name in names[:80]] == [Stand(muted, "Added", "fail")] * 80
    assert [cron.stand(name) for name in names[80:]] == [IN] * 40
    civicrm.update_contact(cron.contact("gazoo1"), is_opt_out=False)
    civicrm.update_email(civicrm.emails(cron.contact("gazoo2"))[0].id, on_hold=0)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert [cron.stand(f"gazoo{number}") for number in (1, 2)] == [IN, IN]
    assert cron.mails == []


@pytest.mark.parametrize("is_left", [True, False], ids=["left", "unsubscribed-by-staff"])
def test_who_left_in_june_and_is_met_opted_out_a17(cron: Cron, is_left: bool):
    """Pam, in since May, was unsubscribed in June before any cache; she may not be mailed now.

    If she left by herself, that is her word; else it may have been us, and she stays.
    """
    pam = cron.add("pam", None, is_opt_out=True)
    cron.bedrock.add_member(mail("pam"), "unsubscribed", last_changed=JUNE, left=is_left)
    cron.add("quinn")
    cron.stay_quiet()
    assert cron.bedrock.group_status(pam) == ("Removed" if is_left else "Added")
    cron.opt_out("pam", is_out=False)
    cron.stay_quiet()
    assert cron.stand("pam") == (OUT if is_left else IN)
    assert cron.mails == []


def test_who_leaves_after_the_cache_was_lost_has_left_a17(cron: Cron):
    """Pam was muted by us, the cache is lost; then she leaves by the link in an old mail."""
    cron.add_some("pam", "quinn")
    cron.opt_out("pam")
    cron.settle()
    lose_the_cache(cron)
    cron.stay_quiet()
    assert cron.stand("pam") == Stand("unsubscribed", "Added", "fail")
    cron.leave("pam")
    cron.settle()
    cron.opt_out("pam", is_out=False)
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.mails == []


def test_one_address_left_and_one_muted_when_the_cache_is_lost_a17(cron: Cron):
    """Pam left with an old address, the other was muted by us: Added, as with the cache."""
    cron.add_some("pam", "quinn")
    cron.bedrock.town.civicrm.add_email(cron.contact("pam"), mail("pam.old"))
    cron.bedrock.add_member(mail("pam.old"), "subscribed")
    cron.settle()
    cron.leave("pam.old")
    cron.settle()
    cron.opt_out("pam")
    cron.settle()
    assert cron.stand("pam")[:2] == ("unsubscribed", "Added")
    lose_the_cache(cron)
    cron.stay_quiet()
    assert cron.stand("pam")[:2] == ("unsubscribed", "Added")
    cron.opt_out("pam", is_out=False)
    cron.stay_quiet()
    assert cron.stand("pam")[:2] == ("subscribed", "Added")
    assert cron.bedrock.member_status(mail("pam.old")) == "unsubscribed"
    assert cron.mails == []


def test_whoever_was_removed_stays_removed_when_the_cache_is_lost_a17(cron: Cron):
    """Pam was removed by staff, Quinn left by himself, Rita was added again; cache deleted."""
    cron.add_some("pam", "quinn", "rita", "sue")
    cron.remove("pam")
    cron.leave("quinn")
    cron.remove("rita")
    cron.settle()
    cron.join("rita")
    cron.settle()
    cron.bedrock.pass_time(days=3)
    before = {name: cron.stand(name) for name in ("pam", "quinn", "rita", "sue")}
    assert before == {"pam": OUT, "quinn": OUT, "rita": IN, "sue": IN}
    lose_the_cache(cron)
    cron.stay_quiet()
    assert {name: cron.stand(name) for name in before} == before
    assert cron.mails == []


# --- a shop's customers ---------------------------------------------------------------------------


@pytest.mark.parametrize("has_paper", [True, False], ids=["added-on-paper", "imported"])
def test_a_shop_customer_who_was_added_on_paper_is_subscribed_a20(cron: Cron, has_paper: bool):
    """Pam was Added on paper in May and bought something in June: the order is no word."""
    if has_paper:
        cron.add("pam", None, at=MAY)
    else:
        cron.bedrock.town.civicrm.add_to_group(
            cron.bedrock.add_contact(mail("pam"), group=False), GROUP, history=False
        )
    cron.bedrock.add_member(mail("pam"), "transactional", last_changed=JUNE)
    cron.add("quinn")
    assert cron.run().exit_code == 0
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


def test_a_shop_customer_who_was_removed_stays_a_customer_a20(cron: Cron):
    """Pam was Removed in May and bought in June; Rita bought and is in no group."""
    cron.add("pam", "transactional", "Removed", at=MAY)
    rita = cron.bedrock.add_contact(mail("rita"), group=False)
    cron.bedrock.add_member(mail("rita"), "transactional", last_changed=JUNE)
    cron.add("quinn")
    cron.stay_quiet()
    assert cron.stand("pam")[:2] == ("transactional", "Removed")
    assert cron.stand("rita")[:2] == ("transactional", None)
    cron.bedrock.town.civicrm.add_to_group(rita, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.stand("rita") == IN


def test_a_shop_customer_whom_nobody_knows_becomes_no_contact_a20(cron: Cron):
    """A stranger buys in the shop; later she signs up."""
    cron.add_some("pam")
    cron.bedrock.town.mailchimp.buy(LIST, mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.town.civicrm.contacts_by_email(mail("nora")) == []
    cron.sign_up("nora")
    cron.stay_quiet()
    assert cron.stand("nora") == IN


def test_a_customer_who_is_removed_after_signing_up_a20(cron: Cron):
    """Pam bought, signed up, and staff remove her; the order is older than all that."""
    cron.add_some("quinn")
    cron.bedrock.add_contact(mail("pam"), group=False)
    cron.bedrock.town.mailchimp.buy(LIST, mail("pam"))
    cron.bedrock.pass_time(minutes=2)
    cron.settle()
    cron.sign_up("pam")
    cron.settle()
    assert cron.stand("pam") == IN
    cron.remove("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


# --- and their brothers ---------------------------------------------------------------------------


def test_an_override_in_the_config_stands_a4(cron: Cron):
    """The config's trustOverride puts nine people right, for one sync; then it stands."""
    for name in NINE:
        cron.add(name, group=None)
        civicrm = cron.bedrock.town.civicrm
        civicrm.add_to_group(cron.contact(name), GROUP, at=MAY - timedelta(days=1))
        civicrm.remove_from_group(cron.contact(name), GROUP, at=JUNE)
    cron.bedrock.options["trustOverride"] = {"subscription": "Mailchimp"}
    assert cron.run().report.added_to_group == 9
    cron.stay_quiet()
    del cron.bedrock.town.lists[LIST]["trustOverride"]
    del cron.bedrock.options["trustOverride"]
    cron.stay_quiet()
    assert [cron.stand(name) for name in NINE] == [IN] * 9
    cron.remove(NINE[0])
    cron.stay_quiet()
    assert cron.stand(NINE[0]) == OUT


@pytest.mark.parametrize("side", [Side.MAILCHIMP, Side.CIVICRM])
def test_trusting_a_side_with_which_all_agree_changes_nothing_a4(cron: Cron, side: Side):
    """People in and out, muted, pending, a customer: all in agreement; then a side is trusted."""
    cron.add("pam")
    cron.add("quinn", "unsubscribed", "Removed", left=True)
    cron.add("rita", "cleaned", "Removed")
    cron.add("sue", "archived", "Removed")
    cron.add("tess")
    cron.add("uma", "pending")
    cron.add("vera", "transactional", None)
    cron.start()
    cron.opt_out("tess")
    cron.leave("pam")
    cron.settle()
    names = ("pam", "quinn", "rita", "sue", "tess", "uma", "vera")
    before = [cron.stand(name) for name in names]
    ran = cron.run(trust={"subscription": side})
    assert (ran.exit_code, ran.writes) == (0, 0)
    cron.stay_quiet()
    assert [cron.stand(name) for name in names] == before
    cron.opt_out("tess", is_out=False)
    cron.stay_quiet()
    assert cron.stand("tess") == IN
    assert cron.mails == []


def test_trust_one_way_and_then_the_other_a4(cron: Cron):
    """An admin trusts Mailchimp, and a day later CiviCRM: the later one stands."""
    cron.add("pam", group="Removed", at=JUNE)
    cron.add("quinn")
    cron.start()
    assert cron.stand("pam") == OUT
    cron.bedrock.town.mailchimp.sign_up(LIST, mail("pam"))
    cron.bedrock.pass_time(minutes=2)
    cron.settle()
    cron.remove("pam")
    cron.run(trust={"subscription": Side.MAILCHIMP})
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    cron.bedrock.pass_time(days=1)
    ran = cron.run(trust={"subscription": Side.CIVICRM})
    assert ran.writes == 0, "both sides stand alike by now"
    cron.stay_quiet()
    assert cron.stand("pam") == IN


def test_a_trusted_word_is_older_than_what_is_said_while_we_fetch_a4(cron: Cron):
    """While the trusted run fetches, staff remove Pam: their word is newer."""
    cron.add("pam", group=None)
    civicrm = cron.bedrock.town.civicrm
    civicrm.add_to_group(cron.contact("pam"), GROUP, at=MAY - timedelta(days=1))
    civicrm.remove_from_group(cron.contact("pam"), GROUP, at=JUNE)
    cron.add("quinn")

    def act() -> None:
        cron.bedrock.pass_time(minutes=1)
        civicrm.remove_from_group(cron.contact("pam"), GROUP)
        cron.bedrock.pass_time(minutes=1)

    cron.bedrock.town.civicrm_server.faults.append(Fault(path="api4", act=act, skip=2))
    cron.run(trust={"subscription": Side.MAILCHIMP})
    cron.stay_quiet()
    assert cron.stand("pam").group == "Removed"
    assert cron.stand("pam").member == "unsubscribed"


@pytest.mark.parametrize("how", ["opt-out", "do-not-email"])
def test_who_is_muted_by_archiving_and_comes_back_a6(cron: Cron, how: str):
    """Where removing means archiving, Pam is muted that way; later she may be mailed again."""
    cron.bedrock.options["removal"] = "archive"
    cron.add_some("pam", "quinn")
    mute(cron, how, is_muted=True)
    cron.stay_quiet()
    assert cron.stand("pam") == Stand("archived", "Added", "fail")
    mute(cron, how, is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


@muting
def test_who_signs_up_while_muted_is_left_alone_a6(cron: Cron, how: str):
    """Pam is muted, and signs up herself after that: reported, and left alone."""
    cron.add_some("pam", "quinn")
    mute(cron, how, is_muted=True)
    cron.settle()
    cron.sign_up("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == Stand("subscribed", "Added", "ok")
    assert cron.row("pam")[1] == "signed-up-despite-opt-out"
    mute(cron, how, is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == IN


def test_who_signs_up_and_leaves_while_muted_has_left_a6(cron: Cron):
    """Pam is muted, signs up, leaves; then the opt-out is lifted."""
    cron.add_some("pam", "quinn")
    mute(cron, "opt-out", is_muted=True)
    cron.settle()
    cron.sign_up("pam")
    cron.settle()
    cron.leave("pam")
    cron.settle()
    mute(cron, "opt-out", is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.mails == []


def test_who_is_removed_while_muted_stays_out_a6(cron: Cron):
    """Staff remove Pam while she is muted; the opt-out is lifted."""
    cron.add_some("pam", "quinn")
    mute(cron, "opt-out", is_muted=True)
    cron.settle()
    cron.remove("pam")
    cron.settle()
    mute(cron, "opt-out", is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


def test_an_interest_of_somebody_muted_is_written_when_they_come_back_a6(cron: Cron):
    """Staff have Pam volunteer while she is muted."""
    cron.add_some("pam", "quinn")
    mute(cron, "opt-out", is_muted=True)
    cron.settle()
    cron.volunteer("pam")
    cron.settle()
    mute(cron, "opt-out", is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.is_volunteer("pam") == (True, True)


def test_muted_in_two_audiences_left_in_one_a6(cron: Cron):
    """Pam is muted in two audiences and leaves one of them by an old mail."""
    add_newsletter(cron.bedrock)
    town = cron.bedrock.town
    pam = cron.add("pam")
    town.civicrm.add_to_group(pam, READERS)
    town.mailchimp.import_member(NEWSLETTER, mail("pam"))
    cron.add("quinn")
    cron.start()
    mute(cron, "opt-out", is_muted=True)
    cron.settle()
    cron.leave("pam")
    cron.settle()
    mute(cron, "opt-out", is_muted=False)
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.stand("pam", NEWSLETTER, READERS) == IN


@pytest.mark.parametrize("act", ["removed", "leaves", "opts-out"])
def test_narrower_looks_for_a_whole_day_lose_nothing_a9(cron: Cron, act: str):
    """An admin's cron line has `--since` of ten minutes ago, and each run comes too late."""
    cron.add_some("pam", "quinn")
    if act == "removed":
        cron.remove("pam")
    elif act == "leaves":
        cron.leave("pam")
    else:
        cron.opt_out("pam")
    for _ in range(6):
        cron.bedrock.pass_time(minutes=55)
        cron.run(window=Window(cron.bedrock.town.clock() - timedelta(minutes=10)))
    cron.run()
    cron.run()
    expected = "Added" if act == "opts-out" else "Removed"
    assert cron.stand("pam")[:2] == ("unsubscribed", expected)
    cron.stay_quiet()


def test_a_longer_look_changes_nothing_a9(cron: Cron):
    """`--since` a month ago, by somebody who is in doubt."""
    cron.add_some("pam", "quinn", "rita")
    cron.leave("pam")
    cron.remove("quinn")
    cron.settle()
    ran = cron.run(window=Window(cron.bedrock.town.clock() - timedelta(days=30)))
    assert (ran.exit_code, ran.writes) == (0, 0)
    cron.stay_quiet()


def test_an_audience_that_was_in_trouble_for_a_while_misses_nothing_a10(cron: Cron):
    """B's list answers 500 for some runs, while A has 250 additions and B a removal."""
    add_newsletter(cron.bedrock)
    town = cron.bedrock.town
    pam = cron.bedrock.add_contact(mail("pam"), group=False)
    town.civicrm.add_to_group(pam, READERS)
    cron.start()
    cron.remove("pam", READERS)
    for number in range(250):
        cron.bedrock.add_contact(mail(f"new{number}"))
    cron.bedrock.pass_time(minutes=1)
    broken = Fault(path=f"/lists/{NEWSLETTER}/", answer=Response(500, b"{}"), times=None)
    town.mailchimp_server.faults.append(broken)
    assert cron.run().exit_code == 3
    assert cron.run().exit_code == 3
    town.mailchimp_server.faults.clear()
    cron.run()
    cron.run()
    assert cron.stand("pam", NEWSLETTER, READERS) == OUT
    assert cron.stand("new249") == IN
    cron.stay_quiet()


@deleting
@pytest.mark.parametrize("way", ["sync-contact", "webhook"])
def test_a_deleted_place_noticed_on_another_way_a11(cron: Cron, how: str, way: str):
    """Pam's place is deleted; sync-contact about her, or a webhook about Quinn, comes first."""
    pam = cron.add_some("pam", "quinn")["pam"]
    post = Post(cron.bedrock)
    delete_row(cron, "pam", how)
    if way == "sync-contact":
        assert cron.sync_contact(contact=pam) == 0
    else:
        cron.bedrock.town.mailchimp.edit_profile(LIST, mail("quinn"), "Quincy")
        post.store()
        post.handle()
    cron.settle()
    assert cron.stand("pam").member == "unsubscribed"
    assert cron.stand("pam").group in (None, "Removed")
    cron.stay_quiet()
    assert cron.stand("quinn") == IN


def test_a_deleted_place_of_somebody_who_left_means_nothing_new_a11(cron: Cron):
    """Pam left and was Removed; staff tidy her row away; she signs up again."""
    cron.add_some("pam", "quinn")
    cron.leave("pam")
    cron.settle()
    delete_row(cron, "pam", "without-history")
    cron.settle()
    cron.sign_up("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == IN


def test_a_deleted_place_of_somebody_muted_a11(cron: Cron):
    """Pam is opted out, and her place in the group is deleted; the opt-out is lifted."""
    cron.add_some("pam", "quinn")
    cron.opt_out("pam")
    cron.settle()
    delete_row(cron, "pam", "without-history")
    cron.settle()
    cron.opt_out("pam", is_out=False)
    cron.stay_quiet()
    assert cron.stand("pam").member == "unsubscribed"
    assert cron.stand("pam").group is None


def test_trust_after_the_cache_was_lost_leaves_muted_people_alone_a17(cron: Cron):
    """Pam was muted by us; the cache is lost, and the next run trusts Mailchimp."""
    cron.add_some("pam", "quinn")
    cron.opt_out("pam")
    cron.settle()
    lose_the_cache(cron)
    ran = cron.run(trust={"subscription": Side.MAILCHIMP})
    assert (ran.exit_code, ran.writes) == (0, 0)
    cron.stay_quiet()
    cron.opt_out("pam", is_out=False)
    cron.stay_quiet()
    assert cron.stand("pam") == IN


def test_what_was_under_way_when_the_cache_was_lost_a17(cron: Cron):
    """A batch is under way when the cache is lost: an unsubscribe, and a subscription."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    cron.bedrock.add_contact(mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    lose_the_cache(cron)
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.stand("nora") == IN
    assert cron.mails == []


def test_a_customer_who_leaves_a20(cron: Cron):
    """Pam, a customer in the group, is subscribed by us, and leaves."""
    cron.add("pam", None, at=MAY)
    cron.bedrock.add_member(mail("pam"), "transactional", last_changed=JUNE)
    cron.add("quinn")
    cron.start()
    assert cron.stand("pam") == IN
    cron.leave("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


@pytest.mark.parametrize("side", [Side.MAILCHIMP, Side.CIVICRM])
def test_trust_says_nothing_of_a_customer_a20(cron: Cron, side: Side):
    """Pam is a customer and Added on paper; a side is trusted: Mailchimp does not know her."""
    cron.add("pam", None, at=MAY)
    cron.bedrock.add_member(mail("pam"), "transactional", last_changed=JUNE)
    cron.add("quinn")
    assert cron.run(trust={"subscription": side}).exit_code == 0
    cron.stay_quiet()
    assert cron.stand("pam") == IN


def test_a_customer_by_sync_contact_a20(cron: Cron):
    """Pam buys, and staff add her on paper; sync-contact subscribes her at once."""
    cron.add_some("quinn")
    cron.bedrock.town.mailchimp.buy(LIST, mail("pam"))
    cron.bedrock.pass_time(minutes=2)
    pam = cron.bedrock.add_contact(mail("pam"))
    cron.bedrock.pass_time(minutes=2)
    assert cron.sync_contact(contact=pam) == 0
    assert cron.stand("pam") == IN
    cron.stay_quiet()


def test_who_becomes_a_customer_after_leaving_a20(cron: Cron):
    """Pam's member is gone for good; she buys: transactional. The group says Removed."""
    cron.add_some("pam", "quinn")
    cron.leave("pam")
    cron.settle()
    member = cron.bedrock.town.mailchimp.audiences[LIST]
    member.remove(next(m for m in member.members.values() if m.email == mail("pam")))
    cron.bedrock.pass_time(days=9)
    cron.settle()
    cron.bedrock.town.mailchimp.buy(LIST, mail("pam"))
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.stand("pam")[:2] == ("transactional", "Removed")
