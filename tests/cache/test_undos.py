"""Which run was the last, and which undo is gone on with."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcsync.cache.outbox import StoredCause, add_update, claim, complete
from mcsync.cache.persons import load_persons_of
from mcsync.cache.rows import add_row
from mcsync.cache.store import Store
from mcsync.cache.trail import Asked, Change, find_changes, note_changes
from mcsync.cache.undos import (
    begin_undo,
    end_undo,
    find_cut_undo,
    find_last_run,
    find_undo,
    forget_undos,
    has_run,
    load_undone,
)
from mcsync.decision import Policy, Reason
from mcsync.model import MemberChange, MemberStatus, Side

LIST, OTHER = "aaaaaaaaaa", "bbbbbbbbbb"
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "mcsync.db")
    yield opened
    opened.close()


def change(store: Store, run: str, minutes: int, list_id: str = LIST) -> None:
    done = Change(list_id, Side.CIVICRM, "subscription", None, "Added", Reason.CIVICRM_ADDED, 1, 1)
    with store.atomic():
        note_changes(store, [done], run, NOW + timedelta(minutes=minutes))


def queue(store: Store, run: str, minutes: int, *, is_done: bool = False) -> None:
    asked = MemberChange("wilma@example.org", status=MemberStatus.UNSUBSCRIBED)
    with store.atomic():
        row_id = add_row(store, LIST, 1)
        cause = StoredCause("removed-in-civicrm", run=run)
        add_update(store, row_id, asked, cause, NOW + timedelta(minutes=minutes))
        if is_done:
            update_id = store.number("SELECT max(id) FROM civicrm_mailchimpsync_update")
            complete(store, update_id, None, NOW)


def test_there_is_none_at_first(store: Store):
    assert find_last_run(store, [LIST]) is None
    assert not has_run(store, [LIST], "one")


def test_the_last_one_that_changed_something_in_these_audiences(store: Store):
    change(store, "one", 0)
    change(store, "two", 5)
    change(store, "other", 9, OTHER)
    assert find_last_run(store, [LIST]) == "two"
    assert find_last_run(store, [LIST, OTHER]) == "other"
    assert has_run(store, [LIST], "one")
    assert not has_run(store, [OTHER], "one")


def test_of_two_in_one_second_the_newer(store: Store):
    for run in ("b", "a", "c"):
        change(store, run, 0)
    assert find_last_run(store, [LIST]) == "c"


def test_one_whose_results_come_later_is_not_later(store: Store):
    queue(store, "one", 0, is_done=True)
    change(store, "two", 5)
    change(store, "one", 10)  # the result of what it had sent
    assert find_last_run(store, [LIST]) == "two"


@pytest.mark.parametrize("is_sent", [False, True])
def test_one_that_has_only_queued_or_sent_something_so_far(store: Store, is_sent: bool):
    change(store, "one", 0)
    queue(store, "two", 5)
    if is_sent:
        claim(store, LIST, "account", NOW, NOW)
    assert find_last_run(store, [LIST]) == "two"
    assert has_run(store, [LIST], "two")


def test_an_undo_is_gone_on_with_until_it_has_ended(store: Store):
    with store.atomic():
        begin_undo(store, "undo", "one", [7, 3], NOW)
        begin_undo(store, "undo", "one", None, NOW)  # the same, once more
    found = find_cut_undo(store, "one")
    assert found is not None
    assert (found.run, found.row_ids, found.is_ended) == ("undo", (3, 7), False)
    with store.atomic():
        end_undo(store, "undo", NOW)
    assert find_cut_undo(store, "one") is None
    ended = find_undo(store, "undo")
    assert ended is not None
    assert ended.is_ended
    assert find_undo(store, "one") is None
    assert load_undone(store) == {"one": ["undo"]}


def test_what_is_older_than_the_history_goes(store: Store):
    with store.atomic():
        begin_undo(store, "old", "one", None, NOW)
        begin_undo(store, "new", "two", None, NOW + timedelta(days=1))
    forget_undos(store, NOW + timedelta(hours=1))
    assert load_undone(store) == {"two": ["new"]}


def test_a_cache_of_before_can_be_looked_at(store: Store):
    """One that no run has opened since mcsync was upgraded."""
    change(store, "one", 0)
    with store.atomic():
        store.conn.execute("DROP TABLE civicrm_mailchimpsync_undo")
        for name in ("group_id", "caused_at"):
            store.conn.execute(f"ALTER TABLE civicrm_mailchimpsync_change DROP COLUMN {name}")
        store.conn.execute("ALTER TABLE civicrm_mailchimpsync_cache DROP COLUMN undone")
        add_row(store, LIST, 1)
    assert load_undone(store) == {}
    assert find_undo(store, "one") is None
    assert find_cut_undo(store, "one") is None
    (found,) = find_changes(store, Asked(list_ids=[LIST]))
    assert (found.group_id, found.caused_at) == (None, None)
    load_persons_of(store, Policy(LIST, 111), [1])
