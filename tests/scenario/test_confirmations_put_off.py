"""Confirmations that are queued and then stopped: asked by the next sync after all, and once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mcsync.pipeline.abort import abort
from mcsync.pipeline.batches import process_batches
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.run import Run
from mcsync.sandbox.mailchimp.holds import HeldBatch
from tests.scenario.aftermath import assert_at_peace, row_status
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import CommandLine

RITA = "rita@example.org"


@contextmanager
def running(bedrock: Bedrock) -> Iterator[Run]:
    """One run, whose stages the test chooses; then a minute passes."""
    store = bedrock.open_store()
    try:
        run = bedrock.make_run(store)
        yield run
        run.raise_troubles()
    finally:
        store.close()
    bedrock.pass_time(minutes=1)


def add_again(bedrock: Bedrock) -> int:
    """Rita left by herself, and staff have just added her again: a subscribe is refused."""
    rita = bedrock.add_both(RITA)
    bedrock.add_both("fred@example.org")
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.leave(LIST, RITA)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.add_to_group(rita, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    assert bedrock.confirmation_mails == []
    return rita


def queue_confirmation(bedrock: Bedrock) -> int:
    """The refusal is in, and the confirmation queued, not sent."""
    rita = add_again(bedrock)
    with running(bedrock) as run:
        process_batches(run)
        fetch(run)
        reconcile(run)
    assert row_status(bedrock, RITA)[0] == "redo"
    assert bedrock.confirmation_mails == []
    return rita


def send_confirmation(bedrock: Bedrock) -> tuple[int, HeldBatch]:
    """The confirmation is in a batch that Mailchimp does not begin with."""
    rita = add_again(bedrock)
    held = bedrock.town.mailchimp.hold_next_batch(email=RITA)
    bedrock.sync(waits=False)
    assert held.is_posted
    assert bedrock.confirmation_mails == []
    return rita, held


def opt_out(bedrock: Bedrock, rita: int, *, is_out: bool) -> None:
    bedrock.town.civicrm.update_contact(rita, is_opt_out=is_out)
    bedrock.pass_time(minutes=1)


def assert_asked_once(bedrock: Bedrock, rita: int) -> None:
    assert bedrock.confirmation_mails == [RITA]
    assert bedrock.member_status(RITA) == "pending"
    assert bedrock.group_status(rita) == "Added"
    assert row_status(bedrock, RITA)[0] == "ok"
    assert_at_peace(bedrock)
    assert bedrock.confirmation_mails == [RITA]


def abort_all(bedrock: Bedrock) -> None:
    with running(bedrock) as run:
        abort(run)


def test_a_queued_confirmation_that_is_aborted_is_asked_by_the_next_sync_b2(bedrock: Bedrock):
    rita = queue_confirmation(bedrock)
    abort_all(bedrock)
    assert row_status(bedrock, RITA) == ("fail", "aborted")
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)


def test_a_sent_confirmation_that_is_aborted_in_time_is_asked_by_the_next_sync_b2(
    bedrock: Bedrock,
):
    """The brother: Mailchimp has the batch, and has done nothing of it."""
    rita, _ = send_confirmation(bedrock)
    abort_all(bedrock)
    assert bedrock.confirmation_mails == []
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)


def test_a_sent_confirmation_that_is_aborted_too_late_is_not_asked_again_b2(bedrock: Bedrock):
    """The brother: the mail was on its way."""
    rita, held = send_confirmation(bedrock)
    held.run_operations()
    assert bedrock.confirmation_mails == [RITA]
    abort_all(bedrock)
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)


def test_who_left_again_after_it_was_asked_is_not_asked_again_by_an_abort_b2(bedrock: Bedrock):
    """The brother: asked, confirmed, left, all before the abort."""
    rita, held = send_confirmation(bedrock)
    held.run_operations()
    bedrock.pass_time(seconds=30)
    bedrock.town.mailchimp.confirm(LIST, RITA)
    bedrock.pass_time(seconds=30)
    bedrock.town.mailchimp.leave(LIST, RITA)
    bedrock.pass_time(minutes=1)
    abort_all(bedrock)
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == [RITA]
    assert bedrock.member_status(RITA) == "unsubscribed"
    assert bedrock.group_status(rita) == "Removed"
    assert_at_peace(bedrock)


def test_resync_after_an_abort_asks_once_b2(bedrock: Bedrock, mcsync: CommandLine):
    rita = queue_confirmation(bedrock)
    abort_all(bedrock)
    assert mcsync("resync", RITA).code == 0
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)
    assert mcsync("resync", RITA).code == 0
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)


@pytest.mark.parametrize("sees", [True, False], ids=["a run sees it", "no run sees it"])
def test_an_opt_out_of_ten_minutes_while_it_is_queued_has_her_asked_after_it_b2(
    bedrock: Bedrock, sees: bool
):
    rita = queue_confirmation(bedrock)
    opt_out(bedrock, rita, is_out=True)
    if sees:
        bedrock.sync()
        assert bedrock.confirmation_mails == []
        assert row_status(bedrock, RITA) == ("fail", "opt-out")
    bedrock.pass_time(minutes=10)
    opt_out(bedrock, rita, is_out=False)
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)


def test_an_opt_out_before_the_refusal_has_her_asked_after_it_b2(bedrock: Bedrock):
    """The brother: the subscribe is refused while she is opted out."""
    rita = add_again(bedrock)
    opt_out(bedrock, rita, is_out=True)
    bedrock.sync()
    assert bedrock.confirmation_mails == []
    bedrock.pass_time(minutes=10)
    opt_out(bedrock, rita, is_out=False)
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)


def test_an_opt_out_after_she_was_asked_has_her_asked_no_second_time_b2(bedrock: Bedrock):
    """The brother: the mail went out, she is muted for ten minutes."""
    rita = add_again(bedrock)
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == [RITA]
    opt_out(bedrock, rita, is_out=True)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=10)
    opt_out(bedrock, rita, is_out=False)
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == [RITA]
    assert bedrock.group_status(rita) == "Added"
    assert_at_peace(bedrock)


def test_who_is_removed_while_it_is_queued_is_not_asked_b2(bedrock: Bedrock):
    """The brother: the wish is taken back, and comes again a day later: asked once."""
    rita = queue_confirmation(bedrock)
    bedrock.town.civicrm.remove_from_group(rita, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == []
    assert bedrock.member_status(RITA) == "unsubscribed"
    assert_at_peace(bedrock)
    bedrock.town.civicrm.add_to_group(rita, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert_asked_once(bedrock, rita)


def test_two_addresses_and_an_abort_in_between_ask_once_b2(bedrock: Bedrock):
    """The brother: both have left, and one of them is asked."""
    rita = bedrock.town.civicrm.add_contact("Rita", "Flintstone", [RITA, "home@example.org"])
    bedrock.town.civicrm.add_to_group(rita, GROUP)
    for email in (RITA, "home@example.org"):
        bedrock.add_member(email)
    bedrock.sync_until_quiet()
    for email in (RITA, "home@example.org"):
        bedrock.town.mailchimp.leave(LIST, email)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.add_to_group(rita, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync(waits=False)
    abort_all(bedrock)
    bedrock.sync_until_quiet()
    assert len(bedrock.confirmation_mails) == 1
    assert bedrock.group_status(rita) == "Added"
    assert_at_peace(bedrock)
