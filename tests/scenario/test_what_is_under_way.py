"""Nobody's word is lost, and nobody is mailed for nothing, while something of theirs is under way.

Batches take minutes, or hours, or never come to an end; people and staff do not wait for them.
"""

from datetime import timedelta

import pytest

from mcsync.sandbox.mailchimp import PROBLEMS, subscriber_hash
from mcsync.sandbox.mailchimp.holds import HeldBatch
from mcsync.sandbox.server import Fault
from mcsync.sandbox.town import API_KEY
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS
from tests.scenario.cron import IN, OUT, Cron, Stand, mail
from tests.scenario.postal import Post


def refuse(cron: Cron, name: str, problem: str, times: int | None = 1) -> None:
    cron.bedrock.town.mailchimp.refuse(
        mail(name), PROBLEMS[problem](mail(name)), times=times, method="POST|PUT|PATCH|DELETE"
    )


def count_asked(cron: Cron, status: str, email: str) -> int:
    """How many operations asked Mailchimp to give somebody this status."""
    operations = cron.bedrock.town.mailchimp.operations
    return sum(
        isinstance(o.body, dict)
        and o.body.get("status") == status
        and (o.body.get("email_address") == email or o.path.endswith(subscriber_hash(email)))
        for o in operations
    )


# --- removed while something else is refused ------------------------------------------------------


@pytest.mark.parametrize("problem", ["bad-request", "internal-server-error", "merge-fields"])
def test_who_is_removed_while_an_interest_is_refused_is_unsubscribed_next_a1(
    cron: Cron, problem: str
):
    """Pam is removed while her interest is on its way, which Mailchimp then refuses."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    assert cron.run(minutes=2).writes == 1
    cron.remove("pam")
    waiting = cron.run(minutes=2)
    assert (waiting.exit_code, waiting.writes) == (0, 0)
    assert not waiting.report.in_sync
    assert cron.stand("pam") == Stand("subscribed", "Removed", "todo")
    refuse(cron, "pam", problem)
    held.finish()
    ran = cron.run()
    assert ran.exit_code == 0
    assert cron.bedrock.member_status(mail("pam")) == "unsubscribed"
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.stand("quinn") == IN
    assert cron.mails == []


@pytest.mark.parametrize("problem", ["bad-request", "internal-server-error"])
def test_who_opts_out_while_an_interest_is_refused_is_unsubscribed_next_a1(
    cron: Cron, problem: str
):
    """Pam opts out in CiviCRM while her interest is on its way, which Mailchimp then refuses."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=2)
    cron.opt_out("pam")
    assert cron.run(minutes=2).writes == 0
    refuse(cron, "pam", problem)
    held.finish()
    assert cron.run().exit_code == 0
    assert cron.bedrock.member_status(mail("pam")) == "unsubscribed"
    cron.stay_quiet()
    assert cron.stand("pam") == Stand("unsubscribed", "Added", "fail")
    assert cron.row("pam") == ("fail", "opt-out")
    cron.opt_out("pam", is_out=False)
    cron.settle()
    assert cron.stand("pam") == IN
    assert cron.mails == []


def test_who_is_removed_while_an_interest_is_refused_is_archived_next_a1(cron: Cron):
    """Pam is removed while her interest is refused, where removing means archiving."""
    cron.bedrock.options["removal"] = "archive"
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=2)
    cron.remove("pam")
    cron.run(minutes=2)
    refuse(cron, "pam", "bad-request")
    held.finish()
    cron.run()
    assert cron.stand("pam")[:2] == ("archived", "Removed")
    cron.stay_quiet()
    assert cron.stand("pam").row == "ok"


def test_who_leaves_while_an_interest_is_refused_is_removed_at_once_a1(cron: Cron):
    """Pam leaves at Mailchimp while her interest is on its way: CiviCRM waits for nothing."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=2)
    cron.leave("pam")
    cron.run(minutes=2)
    assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    refuse(cron, "pam", "internal-server-error")
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.mails == []


def test_who_is_removed_by_way_of_sync_contact_while_a_batch_is_refused_a1(cron: Cron):
    """Pam's removal is told by sync-contact while her interest is on its way."""
    pam = cron.add_some("pam", "quinn")["pam"]
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=2)
    cron.remove("pam")
    assert cron.sync_contact(contact=pam) == 0
    refuse(cron, "pam", "bad-request")
    held.finish()
    cron.run()
    assert cron.bedrock.member_status(mail("pam")) == "unsubscribed"
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


def test_an_interest_taken_back_while_a_subscription_is_refused_a1(cron: Cron):
    """Nora is added and volunteers; while that is refused for a moment, the interest is taken
    back: she is subscribed without it."""
    cron.add_some("pam", "quinn")
    nora = cron.bedrock.add_contact(mail("nora"))
    cron.bedrock.town.civicrm.add_to_group(nora, VOLUNTEERS)
    cron.bedrock.pass_time(minutes=2)
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=2)
    cron.remove("nora", VOLUNTEERS)
    cron.run(minutes=2)
    refuse(cron, "nora", "internal-server-error")
    held.finish()
    for _ in range(3):
        cron.run()
    cron.stay_quiet()
    assert cron.stand("nora") == IN
    assert cron.is_volunteer("nora") == (False, False)


# --- removed again before the refusal arrives -----------------------------------------------------


def rita_is_being_subscribed(cron: Cron) -> tuple[int, HeldBatch]:
    """Rita had left by herself; staff have added her, and the batch hangs."""
    rita = cron.add("rita", "unsubscribed", "Removed", left=True)
    cron.add_some("pam", "quinn")
    cron.join("rita")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    assert cron.run(minutes=2).writes == 1
    return rita, held


@pytest.mark.parametrize("sees", [True, False], ids=["seen-before", "seen-with-the-refusal"])
def test_who_is_removed_before_the_compliance_refusal_is_not_mailed_a2(cron: Cron, sees: bool):
    """Rita left, staff add her and remove her again; then Mailchimp refuses to subscribe her."""
    _, held = rita_is_being_subscribed(cron)
    cron.remove("rita")
    if sees:
        assert cron.run(minutes=2).writes == 0
    held.finish()
    ran = cron.run()
    assert (ran.exit_code, ran.report.updates_queued) == (0, 0)
    cron.stay_quiet()
    assert cron.stand("rita") == OUT
    assert cron.mails == []


def test_who_opts_out_before_the_compliance_refusal_is_not_mailed_a2(cron: Cron):
    """Rita is added, and opts out before Mailchimp refuses; asked once when that is lifted."""
    _, held = rita_is_being_subscribed(cron)
    cron.opt_out("rita")
    cron.run(minutes=2)
    held.finish()
    cron.stay_quiet()
    assert cron.stand("rita") == Stand("unsubscribed", "Added", "fail")
    assert cron.mails == []
    cron.opt_out("rita", is_out=False)
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.bedrock.member_status(mail("rita")) == "pending"


def test_who_is_removed_by_sync_contact_before_the_refusal_is_not_mailed_a2(cron: Cron):
    """Rita is removed, which sync-contact is told, before Mailchimp refuses."""
    rita, held = rita_is_being_subscribed(cron)
    cron.remove("rita")
    assert cron.sync_contact(contact=rita) == 0
    held.finish()
    cron.stay_quiet()
    assert cron.stand("rita") == OUT
    assert cron.mails == []


def test_who_is_removed_while_the_confirmation_waits_is_not_mailed_a2(cron: Cron):
    """The confirmation is queued but could not be sent yet when staff remove Rita."""
    _, held = rita_is_being_subscribed(cron)
    held.finish()
    cron.bedrock.town.mailchimp.refuse_batches(None)
    assert cron.run().exit_code == 69
    cron.remove("rita")
    cron.bedrock.town.mailchimp.refuse_batches(0)
    cron.stay_quiet()
    assert cron.stand("rita") == OUT
    assert cron.mails == []


def test_who_is_removed_and_added_once_more_is_mailed_once_a2(cron: Cron):
    """Staff add Rita, remove her, and add her once more before Mailchimp refuses."""
    _, held = rita_is_being_subscribed(cron)
    cron.remove("rita")
    cron.run(minutes=2)
    cron.join("rita")
    cron.run(minutes=2)
    held.finish()
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita")[:2] == ("pending", "Added")


# --- batches whose fate is not known --------------------------------------------------------------


def lose_the_answer(cron: Cron, *, skip: int = 0) -> None:
    """The answer to POST /batches gets lost; the batch is there."""
    cron.bedrock.town.mailchimp_server.faults.append(
        Fault(method="POST", path="/batches", drop="after", skip=skip)
    )


def count_batches(cron: Cron) -> int:
    posts = cron.bedrock.town.mailchimp_server.requests
    return sum(e.request.method == "POST" and e.request.path.endswith("/batches") for e in posts)


@pytest.mark.parametrize("minutes", [-10, 0, 10, 60], ids="{}-minutes".format)
def test_a_lost_confirmation_is_found_by_mailchimps_time_a5(cron: Cron, minutes: int):
    """The answer to the batch that asks Rita to confirm is lost, and our clock is wrong."""
    cron.bedrock.town.mailchimp_clock.ahead = timedelta(minutes=-minutes)
    cron.bedrock.town.civicrm_clock.ahead = timedelta(minutes=-minutes)
    _, held = rita_is_being_subscribed(cron)
    held.finish()
    lose_the_answer(cron)
    assert cron.run().exit_code == 69
    batches = count_batches(cron)
    cron.stay_quiet()
    assert count_batches(cron) == batches
    assert count_asked(cron, "pending", mail("rita")) == 1
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == Stand("pending", "Added", "ok")


def test_a_lost_batch_that_hangs_is_waited_for_a5(cron: Cron):
    """The answer is lost, and the batch is slow: nobody is asked twice meanwhile."""
    _, held = rita_is_being_subscribed(cron)
    held.finish()
    lose_the_answer(cron)
    slow = cron.bedrock.town.mailchimp.hold_next_batch()
    assert cron.run().exit_code == 69
    for _ in range(4):
        assert cron.run().exit_code == 0
    slow.finish()
    cron.stay_quiet()
    assert count_asked(cron, "pending", mail("rita")) == 1
    assert cron.mails == ["rita"]


def test_a_lost_confirmation_after_eight_days_is_settled_by_reading_a5(cron: Cron):
    """The answer is lost, and then nothing runs for eight days: Mailchimp tells of it no more."""
    _, held = rita_is_being_subscribed(cron)
    held.finish()
    lose_the_answer(cron)
    assert cron.run().exit_code == 69
    cron.bedrock.pass_time(days=8)
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == Stand("pending", "Added", "ok")


@pytest.mark.parametrize("days", [0, 8], ids=["next-run", "after-eight-days"])
def test_a_confirmation_that_never_reached_mailchimp_a5(cron: Cron, days: int):
    """The connection breaks before the batch is there: found out while Mailchimp can tell, it is
    sent again; later by Rita herself, to whom nothing has happened since."""
    _, held = rita_is_being_subscribed(cron)
    held.finish()
    cron.bedrock.town.mailchimp_server.faults.append(
        Fault(method="POST", path="/batches", drop="before")
    )
    assert cron.run().exit_code == 69
    cron.bedrock.pass_time(days=days)
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == Stand("pending", "Added", "ok")


@pytest.mark.parametrize("days", [0, 8], ids=["next-run", "after-eight-days"])
def test_a_lost_unsubscribe_of_ours_is_not_taken_for_a_humans_word_a5(cron: Cron, days: int):
    """Staff remove Pam, the answer is lost; staff add her again before the batch runs."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    lose_the_answer(cron)
    slow = cron.bedrock.town.mailchimp.hold_next_batch()
    assert cron.run(minutes=1).exit_code == 69
    cron.join("pam")
    slow.finish()
    cron.bedrock.pass_time(days=days)
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


def test_who_left_while_our_batch_was_lost_has_left_a5(cron: Cron):
    """Nora is being subscribed, the answer is lost; she is, and leaves; eight days later."""
    cron.add_some("pam", "quinn")
    cron.bedrock.add_contact(mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    lose_the_answer(cron)
    assert cron.run().exit_code == 69
    cron.leave("nora")
    cron.bedrock.pass_time(days=8)
    cron.stay_quiet()
    assert cron.stand("nora") == OUT
    assert cron.mails == []


def test_what_was_surely_not_accepted_is_sent_again_at_once_a5(cron: Cron):
    """The POST is answered 429 for a whole run, and another program's batch hangs."""
    mailchimp = cron.bedrock.town.mailchimp
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    mailchimp.refuse_batches(None)
    assert cron.run(minutes=0).exit_code == 69
    mailchimp.refuse_batches(0)
    hanging = mailchimp.hold_next_batch()
    mailchimp.post_batch(API_KEY, [{"method": "GET", "path": "/", "operation_id": "other"}])
    cron.bedrock.pass_time(minutes=5)
    assert cron.run().exit_code == 0
    assert cron.bedrock.member_status(mail("pam")) == "unsubscribed"
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert hanging.is_posted


def test_a_lost_batch_that_never_arrived_beside_a_foreign_one_is_sent_again_a5(cron: Cron):
    """The POST never arrives; another program's batch, posted a while later, hangs for ever."""
    mailchimp = cron.bedrock.town.mailchimp
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    cron.bedrock.town.mailchimp_server.faults.append(
        Fault(method="POST", path="/batches", drop="before")
    )
    assert cron.run().exit_code == 69
    mailchimp.hold_next_batch()
    mailchimp.post_batch(API_KEY, [{"method": "GET", "path": "/", "operation_id": "other"}])
    cron.run()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


def test_one_429_is_waited_for_in_the_same_run_a5(cron: Cron):
    """POST /batches is answered 429 once."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    cron.bedrock.town.mailchimp.refuse_batches(1, retry_after="1")
    assert cron.run().exit_code == 0
    cron.settle()
    assert cron.stand("pam") == OUT


# --- a batch that never ends ----------------------------------------------------------------------


def four_volunteer(cron: Cron) -> None:
    cron.add_some("pam", "quinn", "rita", "sue", "bystander")
    cron.volunteer("pam", "quinn", "rita", "sue")


def test_a_batch_that_stays_finalizing_delays_nobody_for_long_a12(
    cron: Cron, caplog: pytest.LogCaptureFixture
):
    """All is carried out, but the batch is finalizing for seven hours; meanwhile Pam and Quinn
    leave at Mailchimp, and staff remove Rita."""
    four_volunteer(cron)
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    held.run_operations()
    held.show("finalizing")
    cron.bedrock.pass_time(minutes=1)
    cron.leave("pam")
    cron.leave("quinn")
    cron.remove("rita")
    assert cron.run().exit_code == 0
    for name in ("pam", "quinn"):
        assert cron.bedrock.group_status(cron.contact(name)) == "Removed", name
    for _ in range(12):
        assert cron.run().exit_code == 0
    assert cron.bedrock.member_status(mail("rita")) == "unsubscribed"
    for _ in range(72):
        assert cron.run().exit_code == 0
    told = [r for r in caplog.records if "has not finished since" in r.message]
    assert len(told) == 1
    held.finish()
    cron.stay_quiet()
    assert [cron.stand(name) for name in ("pam", "quinn", "rita")] == [OUT] * 3
    assert cron.stand("sue") == IN
    assert cron.is_volunteer("sue") == (True, True)
    assert cron.mails == []


def test_who_leaves_in_the_very_second_of_our_operation_has_left_a12(cron: Cron):
    """Pam's interest is carried out and she leaves, in one second; her leaving is seen first."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    held.run_operations()
    cron.leave("pam")
    cron.run()
    assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    changes = cron.bedrock.town.civicrm.history(cron.contact("pam"), GROUP)
    assert [row.status for row in changes] == ["Added", "Removed"]


def test_a_batch_that_never_begins_delays_nobody_for_long_a12(
    cron: Cron, caplog: pytest.LogCaptureFixture
):
    """The batch hangs as pending for days; meanwhile Pam leaves, and staff remove Rita."""
    four_volunteer(cron)
    cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    cron.leave("pam")
    cron.remove("rita")
    assert cron.run().exit_code == 0
    assert cron.bedrock.group_status(cron.contact("pam")) == "Removed"
    for _ in range(13):
        assert cron.run().exit_code == 0
    assert cron.bedrock.member_status(mail("rita")) == "unsubscribed"
    for _ in range(24):
        cron.bedrock.pass_time(hours=8)
        assert cron.run().exit_code == 0
    assert len([r for r in caplog.records if "has not finished since" in r.message]) == 1
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.stand("rita") == OUT
    assert cron.is_volunteer("sue") == (True, True)
    assert cron.is_volunteer("quinn") == (True, True)


@pytest.mark.parametrize("removal", ["unsubscribe", "archive"])
def test_who_was_removed_while_a_batch_hung_stays_out_when_it_runs_at_last_a12(
    cron: Cron, removal: str
):
    """Nora's subscription hangs for three hours, staff remove her; then it is carried out."""
    cron.bedrock.options["removal"] = removal
    cron.add_some("pam", "quinn")
    cron.bedrock.add_contact(mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    cron.remove("nora")
    for _ in range(36):
        assert cron.run().exit_code == 0
    held.finish()
    cron.stay_quiet()
    assert cron.stand("nora")[1:] == ("Removed", "ok")
    assert cron.bedrock.member_status(mail("nora")) in ("unsubscribed", "archived")


def test_two_audiences_do_not_wait_for_each_others_batch_a12(cron: Cron):
    """The batch of one audience hangs; what happens in the other goes on."""
    cron.bedrock.town.add_audience("bbbbbbbbbb", "Newsletter", 333, {})
    contacts = cron.add_some("pam", "quinn")
    civicrm = cron.bedrock.town.civicrm
    civicrm.add_to_group(contacts["pam"], 333)
    cron.bedrock.pass_time(minutes=2)
    cron.settle()
    held = cron.bedrock.town.mailchimp.hold_next_batch(list_id=LIST)
    cron.volunteer("pam")
    cron.run()
    cron.remove("pam", 333)
    ran = cron.run()
    assert ran.exit_code == 0
    cron.run()
    assert cron.stand("pam", "bbbbbbbbbb", 333) == OUT
    assert cron.stand("pam")[:2] == ("subscribed", "Added")
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.is_volunteer("pam") == (True, True)


# --- whose unsubscribe was it ---------------------------------------------------------------------


@pytest.mark.parametrize("ran", ["before", "after"])
@pytest.mark.parametrize("sees", [True, False], ids=["a-run-between", "no-run-between"])
def test_who_leaves_while_our_unsubscribe_is_under_way_has_left_a14(
    cron: Cron, ran: str, sees: bool
):
    """Staff remove Pam and add her again while our unsubscribe is under way; then she leaves by
    the link in an old mail."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    assert cron.run(minutes=1).writes == 1
    cron.join("pam")
    if ran == "before":
        held.run_operations()
    cron.bedrock.pass_time(seconds=30)
    cron.leave("pam")
    if sees:
        assert cron.run(minutes=1).exit_code == 0
        assert cron.bedrock.group_status(cron.contact("pam")) == "Removed"
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.mails == []


def test_who_left_before_staff_added_them_again_is_asked_once_a14(cron: Cron):
    """Our unsubscribe is under way, Pam leaves by the link, and staff add her after that."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=1)
    cron.leave("pam")
    cron.join("pam")
    cron.run(minutes=1)
    held.finish()
    cron.stay_quiet()
    assert cron.mails == ["pam"]
    assert cron.stand("pam") == Stand("pending", "Added", "ok")


def test_who_leaves_while_muted_for_an_opt_out_under_way_has_left_a14(cron: Cron):
    """Our unsubscribe for Pam's opt-out is under way; she leaves by the link, then the opt-out
    is lifted."""
    cron.add_some("pam", "quinn")
    cron.opt_out("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=1)
    cron.leave("pam")
    cron.run(minutes=1)
    held.finish()
    cron.opt_out("pam", is_out=False)
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.mails == []


def test_who_is_added_again_while_our_unsubscribe_is_under_way_is_subscribed_a14(cron: Cron):
    """Nobody but we unsubscribed Pam: she comes back without a mail."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=1)
    cron.join("pam")
    cron.run(minutes=1)
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


# --- the answer to a direct call is lost ----------------------------------------------------------


@pytest.fixture
def rita(cron: Cron) -> int:
    """Rita has left by herself, and staff have just added her again."""
    contact = cron.add("rita", "unsubscribed", "Removed", left=True)
    cron.add_some("pam", "quinn")
    cron.join("rita")
    return contact


def lose_direct(cron: Cron, when: str, body: str, times: int = 1) -> None:
    cron.bedrock.town.mailchimp_server.faults.append(
        Fault(method="PUT|PATCH|POST", path="/members", body=body, drop=when, times=times)
    )


def test_a_confirmation_whose_answer_is_lost_is_asked_for_once_a15(cron: Cron, rita: int):
    """sync-contact asks Rita to confirm, and the answer is lost after the effect."""
    lose_direct(cron, "after", "pending")
    assert cron.sync_contact(contact=rita) == 69
    assert cron.mails == ["rita"]
    cron.stay_quiet()
    assert cron.stand("rita") == Stand("pending", "Added", "ok")
    assert count_asked(cron, "pending", mail("rita")) == 1
    assert cron.mails == ["rita"]


def test_a_confirmation_whose_answer_is_lost_is_not_asked_by_sync_contact_again_a15(
    cron: Cron, rita: int
):
    """sync-contact is tried once more after the lost answer."""
    lose_direct(cron, "after", "pending")
    assert cron.sync_contact(contact=rita) == 69
    assert cron.sync_contact(contact=rita) == 0
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == Stand("pending", "Added", "ok")


def test_who_has_confirmed_and_left_when_the_answer_was_lost_has_left_a15(cron: Cron, rita: int):
    """Rita confirms and leaves again before the next run looks."""
    lose_direct(cron, "after", "pending")
    cron.sync_contact(contact=rita)
    cron.bedrock.town.mailchimp.confirm(LIST, mail("rita"))
    cron.bedrock.pass_time(minutes=2)
    cron.leave("rita")
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == OUT


def test_a_confirmation_that_never_arrived_is_asked_for_at_most_once_a15(cron: Cron, rita: int):
    """The connection breaks before Mailchimp gets what sync-contact asks."""
    lose_direct(cron, "before", "pending")
    cron.sync_contact(contact=rita)
    cron.stay_quiet()
    assert len(cron.mails) <= 1
    assert cron.bedrock.group_status(rita) == "Added"


def test_a_direct_unsubscribe_whose_answer_is_lost_is_ours_a15(cron: Cron):
    """sync-contact unsubscribes Pam, all answers are lost; staff add her again: no mail."""
    pam = cron.add_some("pam", "quinn")["pam"]
    cron.remove("pam")
    lose_direct(cron, "after", "unsubscribed", times=20)
    assert cron.sync_contact(contact=pam) == 69
    cron.bedrock.town.mailchimp_server.faults.clear()
    cron.join("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


# --- damaged results ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "empty", "not-gzip"])
def test_who_signs_up_after_our_unsubscribe_stays_though_the_results_are_damaged_a16(
    cron: Cron, how: str
):
    """Our unsubscribe ran, Pam signs up again; the results arrive damaged once."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    assert cron.run().writes == 1
    assert cron.bedrock.member_status(mail("pam")) == "unsubscribed"
    cron.sign_up("pam")
    cron.bedrock.town.mailchimp.damage_archives(1, how)  # type: ignore[arg-type]
    assert cron.run().exit_code == 0
    assert cron.bedrock.member_status(mail("pam")) == "subscribed"
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert count_asked(cron, "unsubscribed", mail("pam")) == 1
    assert cron.mails == []


def test_results_that_stay_damaged_are_settled_by_reading_a16(cron: Cron):
    """The results of our unsubscribe arrive damaged for two days; Pam had signed up again."""
    cron.add_some("pam", "quinn", "rita")
    cron.remove("pam")
    cron.remove("rita")
    cron.run()
    cron.sign_up("pam")
    cron.bedrock.town.mailchimp.damage_archives(None)
    for _ in range(12):
        cron.bedrock.pass_time(hours=4)
        assert cron.run().exit_code == 0
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.stand("rita") == OUT
    assert count_asked(cron, "unsubscribed", mail("pam")) == 1


def test_damaged_results_of_an_interest_lose_no_word_a16(cron: Cron):
    """Our interest was written, Pam takes it back at Mailchimp; the results arrive damaged."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    cron.run()
    cron.bedrock.town.mailchimp.edit_profile(LIST, mail("pam"), interests={VOLUNTEERING: False})
    cron.bedrock.pass_time(minutes=2)
    cron.bedrock.town.mailchimp.damage_archives(1)
    cron.run()
    cron.stay_quiet()
    assert cron.is_volunteer("pam") == (False, False)
    assert cron.stand("pam") == IN


# --- and their brothers ---------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["bad-request", "internal-server-error", "forbidden"])
def test_an_unsubscribe_that_is_always_refused_is_given_up_and_tried_for_a_newer_word_a1(
    cron: Cron, problem: str
):
    """Mailchimp refuses to unsubscribe Pam for days; staff add and remove her again."""
    cron.add_some("pam", "quinn")
    mailchimp = cron.bedrock.town.mailchimp
    refusal = mailchimp.refuse(
        mail("pam"), PROBLEMS[problem](mail("pam")), times=None, body="unsubscribed"
    )
    cron.remove("pam")
    for _ in range(20):
        cron.bedrock.pass_time(hours=6)
        assert cron.run().exit_code == 0
    assert refusal.hits <= 6
    assert cron.stand("pam") == Stand("subscribed", "Removed", "fail")
    refusal.stop()
    cron.join("pam")
    cron.settle()
    assert cron.stand("pam") == IN
    cron.remove("pam")
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


def test_who_leaves_as_a_webhook_tells_while_an_interest_is_refused_a1(cron: Cron):
    """Pam leaves, a webhook tells, while her interest is on its way, which is then refused."""
    cron.add_some("pam", "quinn")
    post = Post(cron.bedrock)
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=2)
    post.collect()
    cron.leave("pam")
    post.bring()
    assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    refuse(cron, "pam", "internal-server-error")
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


def test_who_is_removed_before_the_refusal_in_one_audience_only_a2(cron: Cron):
    """Rita is added in two audiences and removed in one before Mailchimp refuses both."""
    town = cron.bedrock.town
    town.add_audience("bbbbbbbbbb", "Newsletter", 333, {})
    rita = cron.add("rita", "unsubscribed", "Removed", left=True)
    town.mailchimp.import_member("bbbbbbbbbb", mail("rita"), status="unsubscribed", left=True)
    cron.add_some("pam", "quinn")
    town.civicrm.add_to_group(rita, GROUP)
    town.civicrm.add_to_group(rita, 333)
    cron.bedrock.pass_time(minutes=2)
    held = [town.mailchimp.hold_next_batch(list_id=key) for key in (LIST, "bbbbbbbbbb")]
    cron.run(minutes=2)
    cron.remove("rita")
    cron.run(minutes=2)
    for batch in held:
        batch.finish()
    cron.stay_quiet()
    assert cron.stand("rita") == OUT
    assert cron.stand("rita", "bbbbbbbbbb", 333) == Stand("pending", "Added", "ok")
    assert [each.list_id for each in town.mailchimp.confirmation_mails] == ["bbbbbbbbbb"]


@pytest.mark.parametrize("hours", [0, 3], ids=["soon", "overdue"])
@pytest.mark.parametrize("then", ["leaves", "stays"])
def test_who_signs_up_while_our_subscription_waits_a12(cron: Cron, hours: int, then: str):
    """Rita, who had left, is added; our subscription waits in a slow batch. She signs up
    herself, and leaves again; then the batch runs, and is refused."""
    _, held = rita_is_being_subscribed(cron)
    for _ in range(hours):
        cron.bedrock.pass_time(hours=1)
        assert cron.run().exit_code == 0
    cron.sign_up("rita")
    assert cron.run().exit_code == 0
    if then == "leaves":
        cron.leave("rita")
        assert cron.run().exit_code == 0
        assert cron.stand("rita")[:2] == ("unsubscribed", "Removed")
    held.finish()
    cron.stay_quiet()
    assert cron.stand("rita") == (OUT if then == "leaves" else IN)
    assert cron.mails == []


@pytest.mark.parametrize("hours", [0, 3], ids=["soon", "overdue"])
@pytest.mark.parametrize("act", ["archive", "unsubscribe"])
def test_whom_staff_take_out_at_mailchimp_while_our_subscription_waits_a12(
    cron: Cron, hours: int, act: str
):
    """Nora signs up while our own subscription of hers waits; staff at Mailchimp take her out,
    which a run sees; then the batch runs, and overwrites it."""
    cron.add_some("pam", "quinn")
    cron.bedrock.add_contact(mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    for _ in range(hours):
        cron.bedrock.pass_time(hours=1)
        cron.run()
    cron.sign_up("nora")
    cron.run()
    mailchimp = cron.bedrock.town.mailchimp
    take_out = mailchimp.staff_archive if act == "archive" else mailchimp.staff_unsubscribe
    take_out(LIST, mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    cron.run()
    assert cron.bedrock.group_status(cron.contact("nora")) == "Removed"
    held.finish()
    cron.stay_quiet()
    assert cron.stand("nora") == OUT


@pytest.mark.parametrize("hours", [0, 3], ids=["soon", "overdue"])
def test_an_interest_that_both_sides_change_while_a_batch_waits_a12(cron: Cron, hours: int):
    """Staff have Pam volunteer, the batch waits; she switches it on and off at Mailchimp."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    for _ in range(hours):
        cron.bedrock.pass_time(hours=1)
        cron.run()
    for wish in (True, False):
        cron.bedrock.town.mailchimp.edit_profile(LIST, mail("pam"), interests={VOLUNTEERING: wish})
        cron.bedrock.pass_time(minutes=2)
        cron.run()
    held.finish()
    cron.stay_quiet()
    assert cron.is_volunteer("pam") == (False, False)
    assert cron.stand("pam") == IN


def test_who_was_removed_and_added_again_while_a_batch_hung_a12(cron: Cron):
    """Our unsubscribe hangs; staff add Pam again after two hours; then it runs."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    cron.bedrock.pass_time(hours=2)
    cron.run()
    cron.join("pam")
    for _ in range(3):
        cron.run()
    assert cron.stand("pam")[:2] == ("subscribed", "Added")
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


def test_a_confirmation_in_a_batch_that_hangs_is_asked_for_once_a12(cron: Cron):
    """Rita's confirmation hangs for days; staff edit her, a full compare comes; then it runs."""
    rita, held = rita_is_being_subscribed(cron)
    held.finish()
    slow = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    for _ in range(8):
        cron.bedrock.pass_time(hours=6)
        cron.bedrock.town.civicrm.update_contact(rita, last_name=f"Slate{_}")
        assert cron.run().exit_code == 0
    slow.finish()
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == Stand("pending", "Added", "ok")


def test_who_is_removed_while_a_confirmation_hangs_a12(cron: Cron):
    """Rita's confirmation hangs for three hours, staff remove her meanwhile; then it runs."""
    _, held = rita_is_being_subscribed(cron)
    held.finish()
    slow = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    for _ in range(3):
        cron.bedrock.pass_time(hours=1)
        cron.run()
    cron.remove("rita")
    cron.run()
    slow.finish()
    cron.stay_quiet()
    assert cron.stand("rita") == OUT


@pytest.mark.parametrize("removal", ["unsubscribe", "archive"])
def test_who_signs_up_again_while_our_removal_is_under_way_stays_a14(cron: Cron, removal: str):
    """Our removal of Pam is under way; it is carried out, and she signs up again at once."""
    cron.bedrock.options["removal"] = removal
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=1)
    held.run_operations()
    cron.bedrock.pass_time(minutes=1)
    cron.sign_up("pam")
    cron.run(minutes=1)
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == IN
    assert cron.mails == []


def test_a_webhook_tells_that_somebody_left_while_our_unsubscribe_is_under_way_a14(cron: Cron):
    """Staff remove Pam and add her again; our unsubscribe waits; she leaves, a webhook tells."""
    cron.add_some("pam", "quinn")
    post = Post(cron.bedrock)
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=1)
    cron.join("pam")
    cron.leave("pam")
    post.bring()
    assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    held.finish()
    post.bring()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.mails == []


def test_an_interest_switched_off_while_our_own_switching_off_is_under_way_a14(cron: Cron):
    """Staff take Pam's interest and give it again; while ours is under way she takes it herself."""
    cron.add_some("pam", "quinn")
    cron.volunteer("pam")
    cron.settle()
    cron.remove("pam", VOLUNTEERS)
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=1)
    held.run_operations()
    cron.volunteer("pam")
    cron.run(minutes=1)
    held.finish()
    cron.stay_quiet()
    assert cron.is_volunteer("pam") == (True, True)


def test_a_webhooks_confirmation_whose_answer_is_lost_is_asked_for_once_a15(cron: Cron):
    """Rita, who had left, was added by staff; a webhook about her profile has her synced at
    once, and the answer to her confirmation is lost."""
    cron.add("rita", "unsubscribed", "Removed", left=True)
    cron.add_some("pam", "quinn")
    post = Post(cron.bedrock)
    cron.join("rita")
    cron.bedrock.town.mailchimp.edit_profile(LIST, mail("rita"), "Margarita")
    post.store()
    lose_direct(cron, "after", "pending")
    post.handle(raises=False)
    cron.bedrock.pass_time(minutes=3)
    while post.handle(raises=False):
        pass
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == Stand("pending", "Added", "ok")


def test_damaged_results_of_a_subscription_lose_nobody_a16(cron: Cron):
    """Nora is subscribed, and leaves; the results arrive damaged once, then whole."""
    cron.add_some("pam", "quinn")
    cron.bedrock.add_contact(mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    cron.run()
    cron.leave("nora")
    cron.bedrock.town.mailchimp.damage_archives(1)
    cron.run()
    cron.stay_quiet()
    assert cron.stand("nora") == OUT
    assert cron.mails == []


def test_damaged_results_of_a_refusal_ask_once_a16(cron: Cron):
    """The results that tell of Rita's compliance state arrive damaged for a day."""
    _, held = rita_is_being_subscribed(cron)
    cron.bedrock.town.mailchimp.damage_archives(3)
    held.finish()
    for _ in range(4):
        cron.run()
    cron.stay_quiet()
    assert cron.mails == ["rita"]
    assert cron.stand("rita") == Stand("pending", "Added", "ok")


def test_an_address_changes_after_an_interest_was_refused_for_good_a1(cron: Cron):
    """Mailchimp never takes Pam's interest; days later staff change her address."""
    pam = cron.add_some("pam", "quinn")["pam"]
    cron.bedrock.town.mailchimp.refuse(
        mail("pam"), PROBLEMS["bad-request"](mail("pam")), times=None, body="interests"
    )
    cron.volunteer("pam")
    for _ in range(18):
        cron.bedrock.pass_time(hours=6)
        cron.run()
    assert cron.row("pam") == ("fail", "refused-by-mailchimp")
    [email] = cron.bedrock.town.civicrm.emails(pam)
    cron.bedrock.town.civicrm.update_email(email.id, email="pamela@example.org")
    cron.bedrock.pass_time(minutes=2)
    for _ in range(3):
        cron.run()
    assert cron.bedrock.member_status("pamela@example.org") == "subscribed"
    assert cron.bedrock.member_status(mail("pam")) is None
