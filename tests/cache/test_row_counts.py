"""An audience's rows by how they stand."""

import re
from collections import Counter

import pytest

from mcsync.answers.status import LEFT_ALONE
from mcsync.cache.counts import APART, RowCount, count_rows
from mcsync.cache.report_counts import count_placed_rows
from mcsync.cache.store import Store

ROWS = (  # audience, status at Mailchimp, mark, due, reason, how many
    ("aaaaaaaaaa", "subscribed", "ok", 0, "in-agreement", 5),
    ("aaaaaaaaaa", "subscribed", "ok", 0, "added-in-civicrm", 2),
    ("aaaaaaaaaa", "subscribed", "ok", 0, None, 1),
    ("aaaaaaaaaa", "subscribed", "ok", 0, "signed-up-despite-opt-out", 3),
    ("aaaaaaaaaa", "subscribed", "ok", 1, "in-agreement", 4),
    ("aaaaaaaaaa", None, "fail", 0, "opt-out", 2),
    ("bbbbbbbbbb", "subscribed", "ok", 0, "in-agreement", 7),
    ("bbbbbbbbbb", "pending", "redo", 0, "compliance-state", 1),
)


@pytest.fixture
def filled(store: Store) -> Store:
    with store.atomic():
        for *row, count in ROWS:
            store.run_many(
                "INSERT INTO civicrm_mailchimpsync_cache"
                " (mailchimp_list_id, mailchimp_status, mark, due, sync_reason)"
                " VALUES (?, ?, ?, ?, ?)",
                [row] * count,
            )
    return store


def test_each_audience_has_its_own(filled: Store):
    found = count_rows(filled, ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"])
    assert set(found["bbbbbbbbbb"]) == {
        RowCount("ok", None, "subscribed", 7),
        RowCount("redo", "compliance-state", "pending", 1),
    }
    assert found["cccccccccc"] == []
    assert count_rows(filled, ["bbbbbbbbbb"])["bbbbbbbbbb"] == found["bbbbbbbbbb"]


@pytest.mark.parametrize("lists", [["aaaaaaaaaa"], ["aaaaaaaaaa", "bbbbbbbbbb"]])
def test_reasons_that_tell_something_are_told(filled: Store, lists: list[str]):
    counts = Counter[tuple[str, str | None, str | None]]()
    for each in count_rows(filled, lists)["aaaaaaaaaa"]:
        counts[each.sync_status, each.reason, each.member_status] += each.count
    assert counts == {
        ("ok", None, "subscribed"): 8,
        ("ok", "signed-up-despite-opt-out", "subscribed"): 3,
        ("todo", "in-agreement", "subscribed"): 4,
        ("fail", "opt-out", None): 2,
    }


def test_nobody_looks_at_those_who_stand_as_most_do(filled: Store, monkeypatch: pytest.MonkeyPatch):
    plans: list[str] = []
    query = filled.query

    def explain(sql: str, where: dict[str, str]) -> object:
        if "GROUP BY 1, 2, 3, 4" in sql:
            plans.append("; ".join(row[3] for row in query(f"EXPLAIN QUERY PLAN {sql}", where)))
        return query(sql, where)

    monkeypatch.setattr(filled, "query", explain)
    count_rows(filled, ["aaaaaaaaaa"])
    count_placed_rows(filled, {"aaaaaaaaaa": 111})
    ways = [re.findall(r"(?:SCAN r|cache) USING INDEX (\w+)", plan) for plan in plans]
    assert ways == [["cache_apart"], ["cache_due"]] * 2


def test_a_cache_that_lacks_the_index_is_counted_all_the_same(filled: Store):
    found = count_rows(filled, ["aaaaaaaaaa"])
    with filled.atomic():
        filled.query("DROP INDEX cache_apart")
    assert Counter(count_rows(filled, ["aaaaaaaaaa"])["aaaaaaaaaa"]) == Counter(found["aaaaaaaaaa"])


def test_the_reasons_that_tell_something_are_those_of_the_status():
    assert set(re.findall(r"sync_reason = '([a-z-]+)'", APART)) == LEFT_ALONE
