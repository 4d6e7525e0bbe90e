"""Our clock is wrong for one run: nothing is lost by it, nothing comes late, and it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from mcsync.cache.copy_names import find_copies
from mcsync.cache.trail import load_changes
from mcsync.pipeline.fetch import Window
from mcsync.sandbox.mailchimp.problems import PROBLEMS
from tests.scenario.aftermath import assert_at_peace, assert_in_sync, row_status
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.postal import Post
from tests.scenario.telling import CommandLine

EVERYTHING = Window(None)
PAM, QUINN = "pam@example.org", "quinn@example.org"


@contextmanager
def wrong_clock(bedrock: Bedrock, days: float) -> Iterator[None]:
    """Our clock is so many days ahead, or behind; the services' clocks are right all the while."""
    clocks = (bedrock.town.mailchimp_clock, bedrock.town.civicrm_clock)
    bedrock.town.clock.advance(days=days)
    for clock in clocks:
        clock.ahead -= timedelta(days=days)
    yield
    bedrock.town.clock.advance(days=-days)
    for clock in clocks:
        clock.ahead += timedelta(days=days)


@pytest.fixture(params=[1, 400, -1, -400], ids=lambda days: f"{days} days")
def days(request: pytest.FixtureRequest) -> float:
    """How far our clock is ahead."""
    return float(request.param)


def test_one_run_with_a_wrong_clock_changes_nothing_and_says_so_b5(
    crowd: Bedrock, mcsync: CommandLine, days: float
):
    with wrong_clock(crowd, days):
        told = mcsync("sync")
    assert told.code == 0
    assert "clock" in told.err
    assert_at_peace(crowd)


@pytest.mark.parametrize("window", [None, EVERYTHING], ids=["plain", "everything"])
def test_what_happens_around_such_a_run_arrives_in_the_next_b5(
    crowd: Bedrock, days: float, window: Window | None
):
    """Each side tells something before it, in the run itself, and after it."""
    contacts = [c.id for c in crowd.town.civicrm.contacts(last_name="Flintstone")]

    def act(number: int) -> None:
        crowd.town.mailchimp.leave(LIST, f"gazoo{number}@example.org")
        crowd.town.civicrm.remove_from_group(contacts[number + 1], GROUP)
        crowd.town.mailchimp.sign_up(LIST, f"dino{number}@example.org")
        crowd.add_contact(f"betty{number}@example.org")
        crowd.pass_time(minutes=1)

    act(0)
    with wrong_clock(crowd, days):
        crowd.sync(window=window)
        act(2)
        crowd.sync(window=window)
    act(4)
    crowd.sync()
    assert_in_sync(crowd)
    for number in (0, 2, 4):
        assert crowd.group_status(contacts[number]) == "Removed"
        assert crowd.member_status(f"gazoo{number + 1}@example.org") == "unsubscribed"
        [dino] = crowd.town.civicrm.contacts_by_email(f"dino{number}@example.org")
        assert crowd.group_status(dino.id) == "Added"
        assert crowd.member_status(f"betty{number}@example.org") == "subscribed"
    assert crowd.confirmation_mails == []
    assert_at_peace(crowd)


def test_the_daily_compare_is_not_put_off_b5(crowd: Bedrock, days: float):
    """Somebody is purged, of which only a compare tells, a day after such a run."""
    with wrong_clock(crowd, days):
        crowd.sync(window=EVERYTHING)
    [gone] = crowd.town.civicrm.contacts_by_email("gazoo0@example.org")
    crowd.town.civicrm.purge(gone.id)
    crowd.pass_time(hours=25)
    crowd.sync_until_quiet()
    [again] = crowd.town.civicrm.contacts_by_email("gazoo0@example.org")
    assert crowd.group_status(again.id) == "Added"
    assert_at_peace(crowd)


def test_the_weekly_fetch_is_not_put_off_b5(crowd: Bedrock, days: float):
    """The brother: somebody is erased at Mailchimp, of which only a full fetch tells."""
    with wrong_clock(crowd, days):
        crowd.sync(window=EVERYTHING)
    [gazoo] = crowd.town.civicrm.contacts_by_email("gazoo0@example.org")
    crowd.town.mailchimp.staff_delete_permanently(LIST, "gazoo0@example.org")
    for _ in range(9):
        crowd.pass_time(hours=24)
        crowd.sync()
    assert crowd.group_status(gazoo.id) == "Removed"
    assert_at_peace(crowd)


def test_who_vanished_in_such_a_run_does_not_outvote_staff_b5(crowd: Bedrock, days: float):
    crowd.town.mailchimp.import_member(LIST, PAM, status="subscribed")
    pam = crowd.add_contact(PAM)
    crowd.sync_until_quiet()
    crowd.town.mailchimp.staff_delete_permanently(LIST, PAM)
    crowd.pass_time(minutes=1)
    with wrong_clock(crowd, days):
        crowd.sync(window=EVERYTHING)
    assert crowd.group_status(pam) == "Removed"
    crowd.pass_time(hours=1)
    crowd.town.civicrm.add_to_group(pam, GROUP)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    assert crowd.group_status(pam) == "Added"  # though her address can never be had again
    assert row_status(crowd, PAM)[1] == "forgotten-email"
    assert_at_peace(crowd)


def test_what_a_compare_notices_in_such_a_run_does_not_outvote_her_b5(crowd: Bedrock, days: float):
    """The brother: a removal without history, noticed then; she signs up an hour later."""
    pam = crowd.add_both(PAM)
    crowd.sync_until_quiet()
    crowd.town.civicrm.sql_set_membership(pam, GROUP, "Removed")
    crowd.pass_time(minutes=1)
    with wrong_clock(crowd, days):
        crowd.sync(window=EVERYTHING)
    assert crowd.member_status(PAM) == "unsubscribed"
    crowd.pass_time(hours=1)
    crowd.town.mailchimp.sign_up(LIST, PAM)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    assert crowd.group_status(pam) == "Added"
    assert crowd.member_status(PAM) == "subscribed"
    assert_at_peace(crowd)


def test_the_trail_is_not_erased_b5(crowd: Bedrock, days: float):
    crowd.add_contact(PAM)
    crowd.pass_time(minutes=1)
    crowd.sync()

    def count() -> int:
        store = crowd.open_store()
        try:
            return len(load_changes(store))
        finally:
            store.close()

    before = count()
    assert before > 0
    with wrong_clock(crowd, days):
        crowd.sync()
    assert count() == before
    crowd.sync()
    assert count() == before


@pytest.mark.parametrize("ahead", [1, 400, -1])
def test_the_trail_of_such_a_run_is_kept_b5(crowd: Bedrock, mcsync: CommandLine, ahead: float):
    """The brother: what was changed then is told by `history` afterwards."""
    crowd.add_contact(PAM)
    crowd.pass_time(minutes=1)
    with wrong_clock(crowd, ahead):
        crowd.sync()
    crowd.sync()
    assert crowd.member_status(PAM) == "subscribed"
    assert PAM in mcsync("history").out


@pytest.mark.parametrize("stored", ["before", "then"])
def test_waiting_webhooks_are_not_dropped_b5(crowd: Bedrock, days: float, stored: str):
    """A bounce, which puts the address on hold, is told by webhook only."""
    post = Post(crowd)
    [gazoo] = crowd.town.civicrm.contacts_by_email("gazoo0@example.org")
    crowd.town.mailchimp.bounce(LIST, "gazoo0@example.org")
    if stored == "before":
        post.store()
    with wrong_clock(crowd, days):
        if stored == "then":
            post.store()
        crowd.sync()
    crowd.sync()
    assert post.waiting() == 0
    [email] = crowd.town.civicrm.emails(gazoo.id)
    assert email.on_hold
    assert crowd.group_status(gazoo.id) == "Removed"
    assert_at_peace(crowd)


def test_a_pause_that_began_then_ends_in_time_b5(crowd: Bedrock, days: float):
    """Somebody is refused for a while; what passes is tried again within a day."""
    crowd.town.mailchimp.refuse(PAM, PROBLEMS["too-many-lists"](PAM), times=1)
    crowd.add_contact(PAM)
    crowd.pass_time(minutes=1)
    with wrong_clock(crowd, days):
        crowd.sync()
    for _ in range(25):
        crowd.pass_time(hours=1)
        crowd.sync()
    assert crowd.member_status(PAM) == "subscribed"
    assert_at_peace(crowd)


def test_a_batch_that_was_sent_then_is_taken_in_b5(crowd: Bedrock, days: float):
    """The brother: it hangs, and is carried out when our clock is right again."""
    held = crowd.town.mailchimp.hold_next_batch(email=PAM)
    pam = crowd.add_contact(PAM)
    quinn = crowd.add_both(QUINN)
    crowd.pass_time(minutes=1)
    with wrong_clock(crowd, days):
        crowd.sync(waits=False)
    assert held.is_posted
    crowd.sync(waits=False)
    crowd.town.mailchimp.leave(LIST, QUINN)
    crowd.pass_time(minutes=1)
    crowd.sync(waits=False)
    assert crowd.group_status(quinn) == "Removed"
    held.finish()
    crowd.sync_until_quiet()
    assert crowd.member_status(PAM) == "subscribed"
    assert crowd.group_status(pam) == "Added"
    assert_at_peace(crowd)


def test_a_batch_that_hung_before_is_waited_for_no_longer_nor_shorter_b5(
    crowd: Bedrock, days: float
):
    """The brother: it was sent before, and she leaves in the run with the wrong clock."""
    held = crowd.town.mailchimp.hold_next_batch(email=PAM)
    pam = crowd.add_contact(PAM)
    crowd.pass_time(minutes=1)
    crowd.sync(waits=False)
    crowd.town.mailchimp.sign_up(LIST, PAM)
    crowd.pass_time(minutes=1)
    crowd.town.mailchimp.leave(LIST, PAM)
    crowd.pass_time(minutes=1)
    with wrong_clock(crowd, days):
        crowd.sync(waits=False)
    assert crowd.group_status(pam) == "Removed"
    held.finish()
    crowd.sync_until_quiet()
    assert crowd.member_status(PAM) == "unsubscribed"
    assert crowd.confirmation_mails == []
    assert_at_peace(crowd)


def test_data_that_are_seldom_sent_are_not_put_off_b5(crowd: Bedrock, days: float):
    """The brother: names go every six hours."""
    crowd.settings["data"] = {"sync": True, "everyHours": 6}
    crowd.with_data = None
    crowd.pass_time(hours=7)
    crowd.sync_until_quiet()
    crowd.pass_time(hours=7)
    with wrong_clock(crowd, days):
        crowd.sync()
    [gazoo] = crowd.town.civicrm.contacts_by_email("gazoo0@example.org")
    crowd.town.civicrm.update_contact(gazoo.id, first_name="Gazoo the Great")
    crowd.pass_time(hours=7)
    crowd.sync_until_quiet()
    member = crowd.town.mailchimp.member(LIST, "gazoo0@example.org")
    assert member is not None
    assert "Gazoo the Great" in str(member["merge_fields"])


def test_copies_of_the_cache_go_on_b5(crowd: Bedrock, days: float):
    """The brother: a copy a day, and the one from then does not stand in their way."""
    with wrong_clock(crowd, days):
        crowd.sync()
    for _ in range(3):
        crowd.pass_time(hours=25)
        crowd.sync()
    names = [copy.name for copy in find_copies(crowd.folder / "mcsync.db")]
    today = crowd.town.clock().date()
    for day in (today, today - timedelta(days=1)):
        assert f"mcsync.db.{day}.copy" in names
