"""The outbox: queued, claimed, sent, and settled, each update once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.cache.forgotten import ToHash, keep_hashes
from mcsync.cache.outbox import (
    CLAIMED,
    DIRECT,
    QueuedUpdate,
    StoredBatch,
    claim,
    close_all_queued,
    close_queued,
    complete,
    count_queued,
    find_newest_update,
    forget_sent,
    get_cache_uid,
    has_queued,
    load_batch_updates,
    load_known_batch_ids,
    load_open_batches,
    load_overdue_rows,
    load_queued,
    load_row_state,
    make_operation_id,
    note_batch,
    note_processed,
    note_sent,
    note_waiting,
    queue_update,
    read_operation_id,
    release,
)
from mcsync.cache.rows import mark_due, mark_failed_again
from mcsync.cache.store import Store
from mcsync.decision import PlannedChange, Reason
from mcsync.model import Batch, MemberChange, MemberStatus
from mcsync.pipeline.batches import process_batches
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.submit import submit
from mcsync.sandbox.town import Town
from tests.scenario.bedrock import GROUP, Bedrock
from tests.scenario.bedrock import LIST as TOWN_LIST

LIST = "aaaaaaaaaa"


def at(minute: int) -> datetime:
    return datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(minutes=minute)


def add_row(store: Store, name: str, audience: str = LIST) -> int:
    with store.atomic():
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key, mark, due)"
            " VALUES (?, ?, 'ok', 0)",
            (audience, f"{name}@example.org"),
        )
    return int(cursor.lastrowid or 0)


def queue(store: Store, row_id: int, name: str = "wilma", **asked: object) -> None:
    asked = asked or {"status": MemberStatus.SUBSCRIBED}
    change = MemberChange(f"{name}@example.org", member_id=f"id of {name}", **asked)
    planned = PlannedChange(row_id, 7, change, Reason.CIVICRM_ADDED, {"status": at(0)}, True)
    with store.atomic():
        queue_update(store, row_id, planned, at(1))


def take(store: Store, limit: int = 10, audience: str = LIST) -> tuple[QueuedUpdate, ...]:
    claimed = claim(store, audience, "us11", at(2), at(3), limit=limit)
    return claimed[1] if claimed else ()


def batch(batch_id: str = "b1", status: str = "pending", total: int = 1) -> Batch:
    return Batch(batch_id, status, total, 0, 0, at(2))


def updates(store: Store) -> list[tuple[object, ...]]:
    return store.query(
        "SELECT id, completed, mailchimpsync_batch_id, error_response"
        " FROM civicrm_mailchimpsync_update ORDER BY id"
    ).fetchall()


# --- claiming -------------------------------------------------------------------------------------


def test_a_claimed_update_is_what_was_queued(store: Store):
    row = add_row(store, "wilma")
    queue(store, row, interests={"cccccccccc": True}, status=MemberStatus.SUBSCRIBED)
    (update,) = take(store)
    assert (update.row_id, update.list_id) == (row, LIST)
    assert update.change == MemberChange(
        "wilma@example.org",
        member_id="id of wilma",
        status=MemberStatus.SUBSCRIBED,
        interests={"cccccccccc": True},
    )
    assert update.cause.reason == "added-in-civicrm"
    assert update.cause.at == {"status": "2026-11-22T09:00:00Z"}
    assert update.cause.is_gate


def test_nothing_queued_is_nothing_to_claim(store: Store):
    assert claim(store, LIST, "us11", at(2), at(3), limit=10) is None
    assert claim(store, LIST, "us11", at(2), at(3), direct=[1]) is None
    assert not has_queued(store, LIST)
    assert load_open_batches(store, [LIST]) == []


def test_what_is_claimed_is_not_claimed_again(store: Store):
    queue(store, add_row(store, "wilma"))
    assert len(take(store)) == 1
    assert take(store) == ()
    assert count_queued(store, LIST) == 0


@pytest.mark.fact("mailchimp: Limits", "a thousand operations in a batch")
def test_a_batch_takes_no_more_than_its_limit_the_oldest_first(store: Store):
    rows = [add_row(store, name) for name in ("wilma", "betty", "fred")]
    for row in rows:
        queue(store, row)
    assert [update.row_id for update in take(store, limit=2)] == rows[:2]
    assert [update.row_id for update in take(store, limit=2)] == rows[2:]


def test_a_batch_holds_one_audience_only(store: Store):
    queue(store, add_row(store, "wilma"))
    other = add_row(store, "wilma", "bbbbbbbbbb")
    queue(store, other)
    assert [update.row_id for update in take(store, audience="bbbbbbbbbb")] == [other]
    assert count_queued(store, LIST) == 1


@pytest.mark.fact("mailchimp: Batches", "no order within a batch or between batches")
def test_never_two_operations_of_one_member_in_one_batch(store: Store):
    row = add_row(store, "wilma")
    queue(store, row)
    queue(store, row, tags={"CiviCRM: Bowling": True})
    (first,) = take(store)
    assert first.change.status is MemberStatus.SUBSCRIBED


@pytest.mark.fact("mailchimp: Batches", "no order within a batch or between batches")
def test_never_two_operations_of_one_member_under_way(store: Store):
    row = add_row(store, "wilma")
    queue(store, row)
    queue(store, row, tags={"CiviCRM: Bowling": True})
    (first,) = take(store)
    assert take(store) == ()
    with store.atomic():
        complete(store, first.update_id, None, at(3))
    (second,) = take(store)
    assert second.change.tags == {"CiviCRM: Bowling": True}


def test_what_is_claimed_survives_a_crash(store: Store):
    queue(store, add_row(store, "wilma"))
    (update,) = take(store)
    store.close()
    again = Store(store.path)
    (found,) = load_open_batches(again, [LIST])
    assert (found.batch_id, found.status, found.total_operations) == (None, CLAIMED, 1)
    assert (found.account, found.submitted_at, found.claimed_at) == ("us11", at(2), at(3))
    assert list(load_batch_updates(again, found.row_id)) == [update.update_id]
    assert take(again) == ()
    again.close()


def test_what_would_be_sent_next_can_be_looked_at(store: Store):
    row, other = add_row(store, "wilma"), add_row(store, "betty")
    queue(store, row)
    queue(store, row, tags={"CiviCRM: Bowling": True})
    queue(store, other)
    assert has_queued(store, LIST)
    assert [update.row_id for update in load_queued(store, LIST)] == [row, other]
    assert count_queued(store, LIST) == 3


def test_only_what_is_asked_for_is_claimed_to_be_sent_directly(store: Store):
    row, other = add_row(store, "wilma"), add_row(store, "betty")
    queue(store, row)
    queue(store, other)
    claimed = claim(store, LIST, "us11", at(2), at(3), direct=[other])
    assert claimed is not None
    batch_row, updates_claimed = claimed
    assert (batch_row.status, batch_row.total_operations) == (DIRECT, 1)
    assert [update.row_id for update in updates_claimed] == [other]
    assert [update.row_id for update in load_queued(store, LIST)] == [row]


def test_tags_are_an_update_of_their_own_behind_the_change(store: Store):
    row = add_row(store, "wilma")
    planned = PlannedChange(
        row,
        7,
        MemberChange("wilma@example.org", status=MemberStatus.SUBSCRIBED),
        Reason.CIVICRM_ADDED,
        {"status": at(0)},
        tags={"CiviCRM: Bowling": True},
        metadata={"tags": {"seen": ["Bowling"]}},
    )
    with store.atomic():
        assert queue_update(store, row, planned, at(1)) == 2
    (first,) = take(store)
    assert (first.change.status, first.change.tags) == (MemberStatus.SUBSCRIBED, {})
    assert first.cause.metadata == {}
    with store.atomic():
        complete(store, first.update_id, None, at(3))
    (second,) = take(store)
    assert (second.change.status, second.change.tags) == (None, {"CiviCRM: Bowling": True})
    assert second.cause.metadata == {"tags": {"seen": ["Bowling"]}}


def test_tags_alone_are_one_update(store: Store):
    row = add_row(store, "wilma")
    change = MemberChange("wilma@example.org", member_id="id of wilma")
    planned = PlannedChange(row, 7, change, Reason.DATA, tags={"CiviCRM: Bowling": True})
    with store.atomic():
        assert queue_update(store, row, planned, at(1)) == 1
    (only,) = take(store)
    assert only.change.tags == {"CiviCRM: Bowling": True}


# --- asking for a confirmation --------------------------------------------------------------------


def asked_for(store: Store, row_id: int) -> object:
    """For the wish of which time a confirmation mail was asked of Mailchimp."""
    row = store.query(
        "SELECT reconfirmed_at FROM civicrm_mailchimpsync_cache WHERE id = ?", [row_id]
    )
    return row.fetchone()[0]


def test_a_confirmation_counts_as_asked_when_it_is_claimed_and_not_before(store: Store):
    row, other = add_row(store, "wilma"), add_row(store, "betty")
    queue(store, row, status=MemberStatus.PENDING)
    queue(store, other, status=MemberStatus.SUBSCRIBED)
    assert asked_for(store, row) is None
    take(store)
    assert (asked_for(store, row), asked_for(store, other)) == ("2026-11-22T09:00:00Z", None)


def test_a_confirmation_counts_as_asked_when_it_is_sent_directly(store: Store):
    row = add_row(store, "wilma")
    queue(store, row, status=MemberStatus.PENDING)
    claim(store, LIST, "us11", at(2), at(3), direct=[row])
    assert asked_for(store, row) == "2026-11-22T09:00:00Z"


def test_nobody_was_asked_by_a_batch_that_never_arrived(store: Store):
    row = add_row(store, "wilma")
    queue(store, row, status=MemberStatus.PENDING)
    take(store)
    release(store, load_open_batches(store, [LIST])[0].row_id)
    assert asked_for(store, row) is None


# --- a batch that hangs ---------------------------------------------------------------------------


def only_batch(store: Store) -> StoredBatch:
    (found,) = load_open_batches(store, [LIST])
    return found


def test_since_when_a_batch_keeps_us_waiting_is_kept(store: Store):
    queue(store, add_row(store, "wilma"))
    take(store)
    before = only_batch(store)
    assert (before.all_done_at, before.is_overdue, before.unreadable_since) == (None, False, None)
    note_waiting(store, before.row_id, all_done_at=at(5), unreadable_since=at(6))
    note_waiting(store, before.row_id, all_done_at=at(7), unreadable_since=at(8), is_overdue=True)
    note_waiting(store, before.row_id)
    after = only_batch(store)
    assert (after.all_done_at, after.is_overdue, after.unreadable_since) == (at(5), True, at(6))


def test_nobody_waits_for_a_batch_that_hangs(store: Store):
    row = add_row(store, "wilma")
    queue(store, row)
    take(store)
    queue(store, row, status=MemberStatus.UNSUBSCRIBED)
    assert not has_queued(store, LIST)
    note_waiting(store, only_batch(store).row_id, is_overdue=True)
    (second,) = take(store)
    assert second.change.status is MemberStatus.UNSUBSCRIBED


def test_due_rows_of_batches_that_hang_are_read(store: Store):
    waiting, quiet, both = (add_row(store, name) for name in ("wilma", "betty", "fred"))
    for row in (waiting, quiet, both):
        queue(store, row)
    take(store)
    note_waiting(store, only_batch(store).row_id, is_overdue=True)
    queue(store, both, status=MemberStatus.UNSUBSCRIBED)
    take(store)
    with store.atomic():
        mark_due(store, [waiting, both])
    assert load_overdue_rows(store, LIST) == [waiting]
    assert load_overdue_rows(store, "bbbbbbbbbb") == []


# --- what becomes of a claim ----------------------------------------------------------------------


def test_a_batch_that_never_arrived_is_queued_again(store: Store):
    queue(store, add_row(store, "wilma"))
    (before,) = take(store)
    release(store, load_open_batches(store, [LIST])[0].row_id)
    assert load_open_batches(store, [LIST]) == []
    (after,) = take(store)
    assert after == before


def test_what_is_completed_is_not_released(store: Store):
    for name in ("wilma", "betty"):
        queue(store, add_row(store, name), name)
    first, second = take(store)
    with store.atomic():
        complete(store, first.update_id, None, at(3))
    release(store, load_open_batches(store, [LIST])[0].row_id)
    assert take(store) == (second,)


def test_a_sent_batch_is_known_by_its_id(store: Store):
    queue(store, add_row(store, "wilma"))
    take(store)
    (claimed,) = load_open_batches(store, [LIST])
    assert load_known_batch_ids(store) == set()
    note_sent(store, claimed.row_id, batch("b1"))
    (sent,) = load_open_batches(store, [LIST])
    assert (sent.batch_id, sent.status) == ("b1", "pending")
    assert load_known_batch_ids(store) == {"b1"}


def test_a_batch_is_open_until_its_response_is_processed(store: Store):
    queue(store, add_row(store, "wilma"))
    take(store)
    row = load_open_batches(store, [LIST])[0].row_id
    note_sent(store, row, batch())
    note_batch(store, row, batch(status="finished"), 1)
    assert [batch.status for batch in load_open_batches(store, [LIST])] == ["finished"]
    note_processed(store, row)
    assert load_open_batches(store, [LIST]) == []
    assert load_known_batch_ids(store) == {"b1"}


def test_batches_of_other_audiences_are_left_alone(store: Store):
    queue(store, add_row(store, "wilma"))
    take(store)
    assert load_open_batches(store, ["bbbbbbbbbb"]) == []


def test_each_result_is_applied_once(store: Store):
    queue(store, add_row(store, "wilma"))
    (update,) = take(store)
    row = load_open_batches(store, [LIST])[0].row_id
    with store.atomic():
        complete(store, update.update_id, "compliance", at(3))
    assert load_batch_updates(store, row) == {}
    assert updates(store) == [(update.update_id, 1, row, "compliance")]


# --- superseding ----------------------------------------------------------------------------------


def test_a_newer_decision_closes_what_was_not_sent(store: Store):
    row, other = add_row(store, "wilma"), add_row(store, "betty")
    queue(store, row)
    queue(store, other)
    with store.atomic():
        close_queued(store, [row], "superseded", at(3))
    queue(store, row, status=MemberStatus.UNSUBSCRIBED)
    statuses = {update.row_id: update.change.status for update in take(store)}
    assert statuses == {row: MemberStatus.UNSUBSCRIBED, other: MemberStatus.SUBSCRIBED}
    assert updates(store)[0][1:] == (1, None, "superseded")


def test_what_was_sent_is_not_closed_by_a_newer_decision(store: Store):
    row = add_row(store, "wilma")
    queue(store, row)
    (update,) = take(store)
    with store.atomic():
        close_queued(store, [row], "superseded", at(3))
    (batch_row,) = load_open_batches(store, [LIST])
    assert list(load_batch_updates(store, batch_row.row_id)) == [update.update_id]


def test_what_was_queued_while_we_judged_is_not_overtaken(store: Store):
    row = add_row(store, "wilma")
    assert find_newest_update(store) == 0
    queue(store, row)
    newest = find_newest_update(store)
    queue(store, row, tags={"CiviCRM: Bowling": True})
    with store.atomic():
        close_queued(store, [row], "superseded", at(3), newest)
    assert [update.change.tags for update in load_queued(store, LIST)] == [
        {"CiviCRM: Bowling": True}
    ]


def test_what_is_given_up_by_hand_fails_and_is_tried_again_by_the_next_fetch(store: Store):
    row, other = add_row(store, "wilma"), add_row(store, "betty", "bbbbbbbbbb")
    sent = add_row(store, "fred")
    queue(store, sent)
    take(store)
    queue(store, row)
    queue(store, other)
    assert close_all_queued(store, LIST, "aborted", at(3)) == 1
    rows = store.query(
        "SELECT id, mark, sync_reason FROM civicrm_mailchimpsync_cache ORDER BY id"
    ).fetchall()
    assert rows == [(row, "fail", "aborted"), (other, "ok", None), (sent, "ok", None)]
    assert not has_queued(store, LIST)
    assert has_queued(store, "bbbbbbbbbb")
    assert list(load_batch_updates(store, only_batch(store).row_id)) != []
    with store.atomic():
        mark_failed_again(store, LIST, "2026-11-22T09:00:00Z")
    due = store.query("SELECT id FROM civicrm_mailchimpsync_cache WHERE due > 0").fetchall()
    assert due == [(row,)]


def test_a_row_that_is_gone_has_no_state(store: Store):
    row = add_row(store, "wilma")
    state = load_row_state(store, row)
    assert state is not None
    assert (state.row_id, state.list_id, state.data, state.member_id) == (row, LIST, None, None)
    assert load_row_state(store, 77) is None


def run_until_queued(bedrock: Bedrock) -> None:
    """Fetch and reconcile, as when Mailchimp does not take batches; a minute passes."""
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    run.raise_troubles()
    store.close()
    bedrock.pass_time(minutes=1)


def send_what_is_queued(bedrock: Bedrock) -> None:
    store = bedrock.open_store()
    submit(bedrock.make_run(store))
    store.close()
    bedrock.sync()


def test_a_subscribe_not_yet_sent_is_closed_when_staff_take_it_back(town: Town, tmp_path: Path):
    bedrock = Bedrock(town, tmp_path)
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    town.civicrm.remove_from_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    town.civicrm.add_to_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    run_until_queued(bedrock)
    town.civicrm.remove_from_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    run_until_queued(bedrock)
    send_what_is_queued(bedrock)
    assert bedrock.group_status(wilma) == "Removed"
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"


def test_an_unsubscribe_not_yet_sent_is_closed_when_staff_take_it_back(town: Town, tmp_path: Path):
    bedrock = Bedrock(town, tmp_path)
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    town.civicrm.remove_from_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    run_until_queued(bedrock)
    town.civicrm.add_to_group(wilma, GROUP)
    bedrock.pass_time(minutes=1)
    run_until_queued(bedrock)
    written: list[object] = []
    town.mailchimp.before_operation = written.append
    send_what_is_queued(bedrock)
    assert bedrock.member_status("wilma@example.org") == "subscribed"
    assert written == []


def test_a_subscribe_taken_back_before_it_is_sent_becomes_no_confirmation_mail(
    town: Town, tmp_path: Path
):
    bedrock = Bedrock(town, tmp_path)
    betty = bedrock.add_both("betty@example.org")
    bedrock.sync()
    town.mailchimp.leave(TOWN_LIST, "betty@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    town.civicrm.add_to_group(betty, GROUP)
    bedrock.pass_time(minutes=1)
    run_until_queued(bedrock)
    town.civicrm.remove_from_group(betty, GROUP)
    bedrock.pass_time(minutes=1)
    run_until_queued(bedrock)
    send_what_is_queued(bedrock)
    bedrock.sync()
    assert bedrock.confirmation_mails == []
    assert bedrock.member_status("betty@example.org") == "unsubscribed"


# --- results that were lost -----------------------------------------------------------------------


def ask_betty_to_confirm(bedrock: Bedrock) -> None:
    """She left, staff added her again, and the batch that asks her to confirm has run."""
    betty = bedrock.add_both("betty@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.leave(TOWN_LIST, "betty@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.civicrm.add_to_group(betty, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync()  # refused: she left by herself
    run_until_queued(bedrock)
    store = bedrock.open_store()
    submit(bedrock.make_run(store))
    store.close()
    bedrock.town.mailchimp.run_batches()
    bedrock.pass_time(minutes=1)
    assert bedrock.confirmation_mails == ["betty@example.org"]


def lose_the_batch(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mailchimp no longer knows the batch; everything after that is as usual."""
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    monkeypatch.setattr(run.tasks[0].mailchimp, "fetch_batch", lambda _batch_id: None)
    process_batches(run)
    submit(run)
    store.close()
    bedrock.pass_time(minutes=1)
    for _ in range(3):
        bedrock.sync()


def test_who_confirmed_is_not_asked_again_because_a_result_was_lost(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bedrock = Bedrock(town, tmp_path)
    ask_betty_to_confirm(bedrock)
    town.mailchimp.confirm(TOWN_LIST, "betty@example.org")
    bedrock.pass_time(minutes=1)
    lose_the_batch(bedrock, monkeypatch)
    assert bedrock.confirmation_mails == ["betty@example.org"]
    assert bedrock.member_status("betty@example.org") == "subscribed"


def test_who_confirmed_and_left_is_not_asked_again_because_a_result_was_lost(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bedrock = Bedrock(town, tmp_path)
    ask_betty_to_confirm(bedrock)
    town.mailchimp.confirm(TOWN_LIST, "betty@example.org")
    bedrock.pass_time(minutes=1)
    town.mailchimp.leave(TOWN_LIST, "betty@example.org")
    bedrock.pass_time(minutes=1)
    lose_the_batch(bedrock, monkeypatch)
    assert bedrock.confirmation_mails == ["betty@example.org"]
    assert bedrock.member_status("betty@example.org") == "unsubscribed"


# --- operation ids --------------------------------------------------------------------------------


def test_the_uid_of_a_cache_stays(store: Store):
    with store.atomic():
        uid = get_cache_uid(store)
    store.close()
    again = Store(store.path)
    assert get_cache_uid(again) == uid
    again.close()


def test_two_caches_have_two_uids(store: Store, tmp_path: Path):
    other = Store(tmp_path / "other.db")
    with store.atomic(), other.atomic():
        assert get_cache_uid(store) != get_cache_uid(other)
    other.close()


@pytest.mark.fact("mailchimp: Batches", "results are unordered")
@given(st.integers(1, 10**9))
def test_an_operation_id_tells_its_update(update_id: int):
    operation_id = make_operation_id("c0ffee12", update_id)
    assert read_operation_id("c0ffee12", operation_id) == update_id
    assert read_operation_id("deadbeef", operation_id) is None


@pytest.mark.parametrize(
    "foreign", ["", "c0ffee12", "c0ffee12-", "c0ffee12-x", "c0ffee12--1", "c0ffee12_1", "7"]
)
def test_other_operation_ids_are_not_ours(foreign: str):
    assert read_operation_id("c0ffee12", foreign) is None


# --- what is long done ----------------------------------------------------------------------------


def test_what_was_done_long_ago_goes_and_what_is_under_way_stays(store: Store):
    rows = [add_row(store, name) for name in ("wilma", "betty", "fred")]
    for row in rows[:2]:
        queue(store, row)
    first, second = take(store)
    [sent] = load_open_batches(store, [LIST])
    with store.atomic():
        complete(store, first.update_id, None, at(10))
        complete(store, second.update_id, "refused", at(30))
    note_batch(store, sent.row_id, batch(), 2)
    queue(store, rows[2])
    [last] = take(store)
    assert forget_sent(store, at(20)) == 1
    assert [row[0] for row in updates(store)] == [second.update_id, last.update_id]
    assert store.number("SELECT count(*) FROM civicrm_mailchimpsync_batch") == 2, "it has one yet"
    assert forget_sent(store, at(40)) == 1
    assert [row[0] for row in updates(store)] == [last.update_id], "nobody knows what became of it"
    assert [each.row_id for each in load_open_batches(store, [LIST])] == [sent.row_id + 1]
    assert store.number("SELECT count(*) FROM civicrm_mailchimpsync_batch") == 1


def test_no_update_is_ever_given_the_id_of_another(store: Store):
    row = add_row(store, "wilma")
    queue(store, row)
    [update] = take(store)
    with store.atomic():
        complete(store, update.update_id, "refused", at(10))
    assert forget_sent(store, at(20)) == 0
    found = "SELECT id, data, error_response FROM civicrm_mailchimpsync_update"
    assert store.query(found).fetchall() == [(update.update_id, '{"email":""}', None)]
    queue(store, row)
    assert forget_sent(store, at(20)) == 1
    assert [each[0] for each in updates(store)] == [update.update_id + 1]


def test_a_batch_by_which_a_sign_up_is_known_stays(store: Store):
    row = add_row(store, "wilma")
    for _ in range(2):
        queue(store, row)
        [update] = take(store)
        [sent] = load_open_batches(store, [LIST])
        with store.atomic():
            complete(store, update.update_id, None, at(10))
        note_batch(store, sent.row_id, batch(f"b{sent.row_id}"), 2)
    with store.atomic():
        keep_hashes(store, ToHash(emails=frozenset(("w",))), "2026-11-22T09:00:00Z", 1)
    forget_sent(store, at(20))
    assert store.column("SELECT id FROM civicrm_mailchimpsync_batch ORDER BY id") == [1, 2]
    with store.atomic():
        store.query("DELETE FROM civicrm_mailchimpsync_forgotten")
    forget_sent(store, at(20))
    assert store.column("SELECT id FROM civicrm_mailchimpsync_batch ORDER BY id") == [2]
