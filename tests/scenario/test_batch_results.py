"""The results of batches in all their odd forms: each is applied once, and nothing gets stuck.

The town, its people and the verdict are those of the fault matrix; only the results are odd.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache, partial

import pytest

from mcsync.cache.times import to_text
from mcsync.errors import McsyncError
from mcsync.pipeline.batches import process_batches
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.submit import submit
from mcsync.pipeline.sync import sync
from mcsync.sandbox.mailchimp.batches import Oddities
from mcsync.sandbox.mailchimp.wire import Problem
from mcsync.sandbox.server import Fault, Request
from mcsync.sandbox.town import API_KEY
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock
from tests.scenario.faults import (
    SIGKILL,
    Helper,
    Play,
    Story,
    Undisturbed,
    compare,
    play_undisturbed,
    playing,
    recover,
)
from tests.scenario.matrix_child import run_once

PLAIN = Story("later", 2, knows=True, wait_s=None)
ARCHIVING = replace(PLAIN, name="archiving", options=(("removal", "archive"),))
BETTY = "betty@example.org"

ALL = 1000
NOT_FOUND = Problem(404, "Resource Not Found", "The requested resource could not be found.")
ODD = {
    "some-without-id": partial(Oddities, null_ids=3),
    "all-without-id": partial(Oddities, null_ids=ALL),
    "some-foreign": partial(Oddities, foreign_ids=3),
    "some-missing": partial(Oddities, missing=3),
    "all-missing": partial(Oddities, missing=ALL),
    "some-doubled": partial(Oddities, doubled=3),
    "all-doubled": partial(Oddities, doubled=ALL),
    "of-everything": partial(Oddities, null_ids=1, foreign_ids=1, missing=1, doubled=2),
    "cut": partial(Oddities, cut_archive=True),
    "not-ready-for-a-run": partial(Oddities, unready_polls=2),
    "never-ready": partial(Oddities, unready_polls=ALL),
    "all-failed-by-an-incident": partial(Oddities, all_fail=NOT_FOUND),
}
odd = pytest.mark.parametrize("make_oddities", ODD.values(), ids=ODD)

Load = Callable[[Story], Undisturbed]


@pytest.fixture(scope="module")
def load(helper: Helper) -> Load:
    """How a story ends with plain results."""
    return cache(lambda story: play_undisturbed(story, helper))


def run_again(play: Play, runs: int = 1) -> None:
    """What cron does."""
    for _ in range(runs):
        with suppress(McsyncError):
            run_once(play.job())
        play.pass_time()


def wait_for_the_unreadable(play: Play) -> None:
    """Results that cannot be read are asked for again for an hour, then members are read."""
    run_again(play)
    play.town.clock.advance(hours=2)


def ask(play: Play, sql: str) -> list[tuple[object, ...]]:
    """What the cache says."""
    with closing(play.open_store()) as store:
        return list(store.query(sql).fetchall())


def find_problems(play: Play, undisturbed: Undisturbed) -> list[str]:
    """Healthy runs until quiet, and what is then not as with plain results."""
    return recover(play) + compare(play, undisturbed)


# --- odd forms ----------------------------------------------------------------------------------


@odd
def test_odd_results_end_as_plain_ones(make_oddities: Callable[[], Oddities], load: Load):
    with playing(PLAIN) as play:
        play.town.mailchimp.oddities = make_oddities()
        run_again(play, 3)  # the first batches, and those that ask for confirmation
        wait_for_the_unreadable(play)
        play.town.mailchimp.oddities = Oddities()
        problems = find_problems(play, load(PLAIN))
    assert not problems, "\n".join(problems)


@odd
def test_odd_results_of_archiving_end_as_plain_ones(
    make_oddities: Callable[[], Oddities], load: Load
):
    """Archiving is answered 204 without a body, and 405 when it is done already."""
    with playing(ARCHIVING) as play:
        play.town.mailchimp.oddities = make_oddities()
        run_again(play, 3)
        wait_for_the_unreadable(play)
        play.town.mailchimp.oddities = Oddities()
        problems = find_problems(play, load(ARCHIVING))
        done = [o for o in play.town.mailchimp.operations if o.method == "DELETE"]
        assert 204 in {operation.status for operation in done}
        member = play.town.mailchimp.member(LIST, "unsubscribed0@example.org")
        assert member is not None
        assert member["status"] == "archived"
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", ["some-doubled", "all-doubled", "of-everything", "cut"])
def test_each_result_is_applied_once(name: str):
    with playing(PLAIN) as play:
        play.town.mailchimp.oddities = ODD[name]()
        run_again(play, 2)
        wait_for_the_unreadable(play)
        run_again(play, 2)
        told = Counter(
            ask(
                play,
                "SELECT email, field, after FROM civicrm_mailchimpsync_change"
                " WHERE side = 'mailchimp'",
            )
        )
    assert ("back0@example.org", "subscription", "subscribed") in told
    assert [change for change, count in told.items() if count > 1] == []


# --- when the results are gone --------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Batches", "response_body_url: ten minutes, fresh each time")
def test_an_address_of_results_that_expires_is_asked_for_again(load: Load):
    with playing(PLAIN) as play:
        run_again(play)
        asked: list[str] = []

        def expire(request: Request) -> None:
            if request.path.startswith("/batch-results/"):
                asked.append(request.query)
                if len(asked) == 1:
                    play.town.clock.advance(minutes=11)

        play.town.mailchimp_server.before_request = expire
        run_once(play.job())
        play.town.mailchimp_server.before_request = None
        play.pass_time()
        assert len(asked) >= 2
        assert asked[0] != asked[1]
        rows = ask(play, "SELECT DISTINCT response_processed FROM civicrm_mailchimpsync_batch"
                         " WHERE id <= 2")  # fmt: skip
        assert rows == [(2,)]
        problems = find_problems(play, load(PLAIN))
    assert not problems, "\n".join(problems)


@pytest.mark.fact("mailchimp: Batches", "DELETE /batches")
@pytest.mark.parametrize("has_run", [True, False], ids=["after-it-ran", "before-it-ran"])
@pytest.mark.parametrize("story", [PLAIN, ARCHIVING], ids=lambda story: story.name)
def test_a_batch_deleted_at_mailchimp_is_settled_by_reading(
    story: Story, has_run: bool, load: Load
):
    with playing(story) as play:
        settings = play.town.mailchimp.settings
        settings.batch_delay_polls = 0 if has_run else None
        run_again(play)
        play.town.mailchimp.accounts[API_KEY].batches.clear()
        settings.batch_delay_polls = 0
        problems = find_problems(play, load(story))
    assert not problems, "\n".join(problems)


@pytest.mark.fact("mailchimp: Batches", "GET /batches: seven days, paged")
def test_a_batch_older_than_seven_days_is_settled_by_reading(load: Load):
    with playing(PLAIN) as play:
        run_again(play)
        play.town.clock.advance(days=8)
        problems = find_problems(play, load(PLAIN))
    assert not problems, "\n".join(problems)


# --- batches whose id was never learned -----------------------------------------------------------


@pytest.mark.fact("mailchimp: Batches", "no idempotency")
@pytest.mark.parametrize(
    "name",
    [
        "some-without-id",
        "all-without-id",
        "all-missing",
        "some-doubled",
        "cut",
        "not-ready-for-a-run",
        "never-ready",
    ],
)
def test_a_lost_batch_with_odd_results_is_not_sent_again(name: str, load: Load):
    with playing(PLAIN) as play:
        mailchimp = play.town.mailchimp
        mailchimp.oddities = ODD[name]()
        play.town.mailchimp_server.faults.append(
            Fault(method="POST", path="/batches", drop="after")
        )
        run_again(play, 2)
        wait_for_the_unreadable(play)
        mailchimp.oddities = Oddities()
        problems = find_problems(play, load(PLAIN))
    assert not problems, "\n".join(problems)


def test_a_foreign_batch_of_the_same_size_is_not_taken_for_a_lost_one(load: Load):
    with playing(PLAIN) as play:
        mailchimp = play.town.mailchimp
        post = Fault(method="POST", path="/batches", drop="before")
        play.town.mailchimp_server.faults.append(post)
        run_again(play)
        [[size]] = ask(
            play, "SELECT total_operations FROM civicrm_mailchimpsync_batch WHERE status='claimed'"
        )
        ids = [f"other-{number}" for number in range(int(str(size)))]
        _post_batch(play, [{"method": "GET", "path": "/", "operation_id": key} for key in ids])
        problems = find_problems(play, load(PLAIN))
        assert len(mailchimp.accounts[API_KEY].batches) >= 4
    assert not problems, "\n".join(problems)


def _post_batch(play: Play, operations: list[dict[str, str]]) -> None:
    """Another program of the same account starts a batch."""
    key = base64.b64encode(f"other:{API_KEY}".encode()).decode()
    request = Request(
        "POST",
        "/3.0/batches",
        "",
        {"authorization": f"Basic {key}", "host": play.town.api_url.split("/")[2]},
        json.dumps({"operations": operations}).encode(),
    )
    assert play.town.mailchimp.handle(request).status == 200


# --- killed in the middle of the results ----------------------------------------------------------


def test_results_half_applied_when_killed_are_taken_up_again(load: Load, helper: Helper):
    undisturbed = load(PLAIN)
    die_at = undisturbed.points[1].index("after commit batches._take_in_results") + 1
    with playing(PLAIN) as play:
        run_again(play)
        assert helper.run(play.job(die_at=die_at)) == {"signal": SIGKILL}
        [row] = ask(play, "SELECT response_processed, status FROM civicrm_mailchimpsync_batch"
                          " ORDER BY id LIMIT 1")  # fmt: skip
        assert row == (1, "finished")
        [[done, everything]] = ask(
            play,
            "SELECT sum(completed), count(*) FROM civicrm_mailchimpsync_update"
            " WHERE mailchimpsync_batch_id = 1",
        )
        assert isinstance(done, int)
        assert isinstance(everything, int)
        assert 0 < done < everything
        play.pass_time()
        problems = find_problems(play, undisturbed)
        told = Counter(
            ask(
                play,
                "SELECT email, field, after FROM civicrm_mailchimpsync_change"
                " WHERE side = 'mailchimp'",
            )
        )
    assert not problems, "\n".join(problems)
    assert set(told.values()) == {1}


# --- the batch row, as the table reference has it ---------------------------------------------


def _batch_row(play: Play) -> tuple[object, ...]:
    [row] = ask(
        play,
        "SELECT status, response_processed, submitted_at, completed_at, total_operations,"
        " finished_operations, errored_operations, mailchimp_list_id"
        " FROM civicrm_mailchimpsync_batch ORDER BY id LIMIT 1",
    )
    return row


def test_the_batch_row_follows_the_batch():
    with playing(PLAIN) as play:
        play.town.mailchimp.settings.batch_delay_polls = 3
        submitted_at = to_text(play.town.clock())
        run_again(play)
        size = _batch_row(play)[4]
        assert isinstance(size, int)
        assert size > 2
        row = ("pending", 0, submitted_at, None, size, 0, 0, LIST)
        assert _batch_row(play) == row
        seen = []
        for _ in range(2):
            run_again(play)
            status, processed, _, completed_at, total, finished, errored, _ = _batch_row(play)
            assert (processed, completed_at, total) == (0, None, size)
            assert isinstance(finished, int)
            assert isinstance(errored, int)
            assert finished >= errored
            seen.append((status, finished))
        assert [status for status, _ in seen] == ["started", "finalizing"]
        assert seen[-1][1] == size
        finished_at = to_text(play.town.clock())
        run_again(play)
        status, processed, begun, completed_at, total, finished, errored, _ = _batch_row(play)
    assert (status, processed, begun, completed_at) == ("finished", 2, submitted_at, finished_at)
    assert (total, finished) == (size, size)  # finished ones include those that failed
    assert isinstance(errored, int)
    assert errored < size


def test_the_batch_row_counts_failures():
    with playing(PLAIN) as play:
        run_again(play, 2)
        [[errored]] = ask(
            play, "SELECT sum(errored_operations) FROM civicrm_mailchimpsync_batch WHERE id <= 2"
        )
        [[refused]] = ask(
            play, "SELECT count(*) FROM civicrm_mailchimpsync_update"
            " WHERE error_response LIKE 'Member In Compliance State%'",
        )  # fmt: skip
    assert errored == refused == PLAIN.of_each


def test_a_batch_that_stays_in_its_queue_is_waited_for():
    with playing(PLAIN) as play:
        play.town.mailchimp.settings.batch_delay_polls = None
        run_again(play, 3)
        assert len(play.town.mailchimp.accounts[API_KEY].batches) == 2
        assert {o.batch_id for o in play.town.mailchimp.operations} == set()


# --- humans act while a result is lost ------------------------------------------------------------


def _ask_betty_to_confirm(bedrock: Bedrock, oddities: Oddities) -> None:
    """Betty left, staff added her, and Mailchimp mails her; that result is odd."""
    bedrock.add_member(BETTY, "unsubscribed", left=True)
    betty = bedrock.add_contact(BETTY, group=False)
    bedrock.sync()
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.add_to_group(betty, GROUP)
    bedrock.pass_time(minutes=1)
    _run_stages(bedrock, "sync")
    assert bedrock.confirmation_mails == []
    bedrock.town.mailchimp.oddities = oddities
    _run_stages(bedrock, "sync")
    bedrock.town.mailchimp.oddities = Oddities()
    assert bedrock.confirmation_mails == [BETTY]


def _run_stages(bedrock: Bedrock, *stages: str) -> None:
    """Single stages, as cron or a script runs them; then a minute passes."""
    works = {
        "sync": sync,
        "process": process_batches,
        "fetch": fetch,
        "reconcile": reconcile,
        "submit": submit,
    }
    with closing(bedrock.open_store()) as store:
        for stage in stages:
            works[stage](bedrock.make_run(store))
    bedrock.pass_time(minutes=1)


@pytest.mark.parametrize("stages", [("sync",), ("process", "submit")], ids="-".join)
@pytest.mark.parametrize("name", ["all-missing", "all-without-id", "cut"])
def test_who_confirmed_while_the_result_was_lost_is_not_mailed_again(
    bedrock: Bedrock, name: str, stages: tuple[str, ...]
):
    _ask_betty_to_confirm(bedrock, ODD[name]())
    bedrock.town.mailchimp.confirm(LIST, BETTY)
    bedrock.pass_time(minutes=1)
    _run_stages(bedrock, *stages)
    bedrock.sync_until_quiet()
    assert bedrock.member_status(BETTY) == "subscribed"
    assert bedrock.confirmation_mails == [BETTY]


@pytest.mark.parametrize("stages", [("sync",), ("process", "submit")], ids="-".join)
def test_who_left_while_the_result_was_lost_is_not_signed_up_again(
    bedrock: Bedrock, stages: tuple[str, ...]
):
    wilma = bedrock.add_contact("wilma@example.org")
    bedrock.town.mailchimp.oddities = Oddities(missing=ALL)
    _run_stages(bedrock, "sync")
    bedrock.town.mailchimp.oddities = Oddities()
    assert bedrock.member_status("wilma@example.org") == "subscribed"
    bedrock.town.mailchimp.leave(LIST, "wilma@example.org")
    bedrock.pass_time(minutes=1)
    _run_stages(bedrock, *stages)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    assert bedrock.group_status(wilma) == "Removed"
    assert bedrock.confirmation_mails == []


@pytest.mark.fact("mailchimp: Batches", "a bulk incident is no data")
def test_an_incident_that_answers_404_to_everything_removes_nobody(bedrock: Bedrock):
    """March 2016: all batched writes were answered 404 although the members were there."""
    contacts = [bedrock.add_both(f"pebbles{number}@example.org") for number in range(5)]
    bedrock.sync()
    bedrock.pass_time(hours=1)
    for contact in contacts:
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.oddities = Oddities(all_fail=NOT_FOUND)
    for _ in range(3):
        _run_stages(bedrock, "sync")
    assert [bedrock.group_status(contact) for contact in contacts] == ["Added"] * 5
    bedrock.town.mailchimp.oddities = Oddities()
    bedrock.sync_until_quiet()
    assert [bedrock.group_status(contact) for contact in contacts] == ["Added"] * 5
    assert all(bedrock.has_interest(f"pebbles{number}@example.org") for number in range(5))


# --- decisions taken back before they were sent ---------------------------------------------------


@pytest.mark.parametrize("is_in", [True, False], ids=["removed-and-added", "added-and-removed"])
def test_an_update_that_was_not_sent_is_closed_when_its_cause_is_taken_back(
    bedrock: Bedrock, is_in: bool
):
    """The run died, or was cut, between reconcile and submit; then staff think better of it."""
    if is_in:
        wilma = bedrock.add_both("wilma@example.org")
    else:
        wilma = bedrock.add_contact("wilma@example.org", group=False)
        bedrock.add_member("wilma@example.org", "unsubscribed", left=True)
    bedrock.sync()
    bedrock.pass_time(hours=1)
    change = (bedrock.town.civicrm.remove_from_group, bedrock.town.civicrm.add_to_group)
    change[not is_in](wilma, GROUP)
    bedrock.pass_time(minutes=1)
    _run_stages(bedrock, "fetch", "reconcile")
    change[is_in](wilma, GROUP)
    bedrock.pass_time(minutes=1)
    _run_stages(bedrock, "sync")
    assert bedrock.town.mailchimp.operations == []
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == ("subscribed" if is_in else "unsubscribed")
    assert bedrock.confirmation_mails == []
    with closing(bedrock.open_store()) as store:
        [closed] = store.query(
            "SELECT completed, mailchimpsync_batch_id, error_response"
            " FROM civicrm_mailchimpsync_update"
        )
    assert closed == (1, None, "superseded by a newer decision")


def test_a_confirmation_still_to_be_asked_for_survives_other_news(bedrock: Bedrock):
    """Refused as subscribed, queued as pending, not sent yet; then Betty edits her name."""
    bedrock.add_member(BETTY, "unsubscribed", left=True)
    betty = bedrock.add_contact(BETTY, group=False)
    bedrock.sync()
    bedrock.pass_time(hours=1)
    bedrock.town.civicrm.add_to_group(betty, GROUP)
    bedrock.pass_time(minutes=1)
    _run_stages(bedrock, "sync")
    _run_stages(bedrock, "process")  # refused; the question is queued
    bedrock.town.mailchimp.edit_profile(LIST, BETTY, first_name="Betty")
    bedrock.pass_time(minutes=1)
    _run_stages(bedrock, "fetch", "reconcile")
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == [BETTY]
    assert bedrock.member_status(BETTY) == "pending"
