"""Observe: what a look at a member says, and that nothing we wrote is ever taken for a word.

Times are hours, as in `mailchimp_data`: `at(9)` is "2026-11-22T09:00:00Z".
"""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcsync.reconcile.observe import (
    Data,
    Written,
    is_said_in,
    observe,
    observe_first,
    observe_overtaken,
    observe_vanished,
)


def at(hour: int) -> str:
    return f"2026-11-22T{hour:02}:00:00Z"


def data(status: object = "subscribed", hour: int = 9, **more: object) -> Data:
    return {"status": status, "status@": at(hour), **more}


def test_at_first_sight_everything_was_said_when_the_record_last_changed():
    seen = {"status": "subscribed", "first_name": "Wilma", "interest-c": False}
    assert observe_first(seen, at(9)) == {
        "status": "subscribed",
        "status@": at(9),
        "first_name": "Wilma",
        "first_name@": at(9),
        "interest-c": False,
        "interest-c@": at(9),
    }


def test_an_at_moves_only_when_that_value_changed():
    known = data("subscribed", 9, **{"first_name": "Wilma", "first_name@": at(8)})
    after = observe(known, {"status": "subscribed", "first_name": "Wilhelmina"}, at(12))
    assert after == data("subscribed", 9, **{"first_name": "Wilhelmina", "first_name@": at(12)})


def test_a_field_seen_for_the_first_time_is_said_at_last_changed():
    after = observe(data(), {"status": "subscribed", "interest-c": True}, at(12))
    assert after == data(**{"interest-c": True, "interest-c@": at(12)})


def test_a_field_that_is_not_shown_stays_known():
    known = data(**{"interest-c": True, "interest-c@": at(8)})
    assert observe(known, {"status": "subscribed"}, at(12)) == known


def test_what_we_wrote_carries_the_time_of_the_human_who_caused_it():
    written = Written({"status": "unsubscribed"}, {"status": at(10)})
    assert observe(data(), {"status": "unsubscribed"}, at(12), written) == data("unsubscribed", 10)


def test_what_is_neither_known_nor_written_is_a_new_word():
    written = Written({"status": "subscribed"}, {"status": at(10)})
    known = data("unsubscribed", 9)
    assert observe(known, {"status": "cleaned"}, at(12), written) == data("cleaned", 12)


def test_an_unsubscribe_for_the_gate_leaves_the_members_own_word_alone():
    gate = Written({"status": "unsubscribed"}, {"status": at(10)}, is_gate=True)
    after = observe(data("subscribed", 9), {"status": "unsubscribed"}, at(12), gate)
    assert after["status"] == "unsubscribed"
    assert after["status@"] == at(9)
    assert is_said_in(after)


def test_the_gate_opening_leaves_no_trace_of_the_gate():
    gate = Written({"status": "unsubscribed"}, {"status": at(10)}, is_gate=True)
    closed = observe(data("subscribed", 9), {"status": "unsubscribed"}, at(12), gate)
    opened = Written({"status": "subscribed"}, {"status": at(9)})
    assert observe(closed, {"status": "subscribed"}, at(14), opened) == data("subscribed", 9)


@pytest.mark.parametrize("status", ["cleaned", "archived", "subscribed"])
def test_a_word_spoken_behind_the_gate_counts(status: str):
    gate = Written({"status": "unsubscribed"}, {"status": at(10)}, is_gate=True)
    closed = observe(data("subscribed", 9), {"status": "unsubscribed"}, at(12), gate)
    assert observe(closed, {"status": status}, at(14)) == data(status, 14)


def test_a_result_overtaken_by_a_look_that_shows_something_else():
    """Our write of 10 was in place when she left at 12: she did so after it, not before."""
    written = Written({"status": "subscribed"}, {"status": at(8)})
    seen_meanwhile = data("unsubscribed", 9)
    assert observe_overtaken(seen_meanwhile, at(12), written) == data("unsubscribed", 12)


def test_a_result_overtaken_by_a_look_that_shows_what_we_wrote():
    written = Written({"interest-c": True}, {"interest-c": at(8)})
    known = data(**{"interest-c": True, "interest-c@": at(12)})
    after = observe_overtaken(known, at(12), written)
    assert after == data(**{"interest-c": True, "interest-c@": at(8)})


VANISHED = [
    pytest.param(data("subscribed", 9), 12, id="who was in said out when it was noticed"),
    pytest.param(data("pending", 9), 12, id="who was pending said out when it was noticed"),
    pytest.param(data("unsubscribed", 9), 9, id="who was out said so before"),
    pytest.param(data("cleaned", 9), 9, id="who was cleaned was out before"),
    pytest.param(data("unsubscribed", 9, gated=True), 12, id="who was in but for the gate"),
]


@pytest.mark.parametrize(("known", "hour"), VANISHED)
def test_vanished(known: Data, hour: int):
    assert observe_vanished(known, at(12)) == data(None, hour)


IN_OR_OUT = [
    (data("subscribed"), True),
    (data("pending"), True),
    (data("unsubscribed"), False),
    (data("cleaned"), False),
    (data("archived"), False),
    (data("transactional"), False),
    (data(None), False),
    ({}, False),
    (data("unsubscribed", gated=True), True),
]


@pytest.mark.parametrize(("known", "is_in"), IN_OR_OUT, ids=str)
def test_who_says_in(known: Data, is_in: bool):
    assert is_said_in(known) is is_in


# --- laws -----------------------------------------------------------------------------------------

law = settings(derandomize=True, max_examples=300, deadline=None)
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
values = {
    "status": st.sampled_from(STATUSES),
    "first_name": st.sampled_from(("", "Fred", "Wilma")),
    "interest-c": st.booleans(),
}
looks = st.fixed_dictionaries(values)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(("subscribed", "unsubscribed", "pending")),
        "first_name": st.sampled_from(("Fred", "Wilma")),
        "interest-c": st.booleans(),
    },
)
hours = st.integers(0, 9)


@st.composite
def known_data(draw: st.DrawFn) -> Data:
    """What is known of somebody, every word of it spoken before ten o'clock."""
    known: Data = {}
    for name, value in draw(looks).items():
        known |= {name: value, f"{name}@": at(draw(hours))}
    if known["status"] == "unsubscribed" and draw(st.booleans()):
        known["gated"] = True
    return known


@st.composite
def written_by_us(draw: st.DrawFn, known: Data) -> Written:
    """An update: only what is to change, as decisions have it, caused before it was sent."""
    wanted = {name: value for name, value in draw(wishes).items() if value != known.get(name)}
    is_gate = wanted.get("status") == "unsubscribed" and draw(st.booleans())
    return Written(wanted, {name: at(draw(hours)) for name in wanted}, is_gate)


def plain(known: Data) -> Data:
    return {name: value for name, value in known.items() if name in values}


def words(known: Data) -> Data:
    """Who said what, and when: without the status that we wrote for the gate."""
    return {name: value for name, value in known.items() if name.endswith("@")} | {
        "is in": is_said_in(known)
    }


@law
@given(known_data(), looks, st.data())
def test_to_look_twice_is_to_look_once(known: Data, seen: Data, more: st.DataObject):
    written = more.draw(written_by_us(known))
    once = observe(known, seen, at(12), written)
    assert observe(once, seen, at(12), written) == once
    assert observe(once, seen, at(13)) == once


@law
@given(known_data(), st.data())
def test_nothing_that_we_wrote_is_a_new_word_whoever_sees_it_first(known, more):
    """Our update runs at 12. A fetch may see the member before and after; so may the result."""
    written = more.draw(written_by_us(known))
    after = {**plain(known), **written.values}

    def fetched_before(found: Data) -> Data:
        return observe(found, plain(known), at(11), written)

    def fetched_after(found: Data) -> Data:
        return observe(found, after, at(12), written)

    result = fetched_after  # the same merge
    expected = result(known)
    for orders in itertools.product((True, False), repeat=2):
        found = known
        if orders[0]:
            found = fetched_before(found)
        if orders[1]:
            found = fetched_after(found)
        assert result(found) == expected
    assert at(12) not in expected.values()
    assert at(11) not in expected.values()


@law
@given(known_data(), st.data())
def test_a_result_overtaken_by_a_fetch_of_something_else_of_ours_says_the_same(known, more):
    """The record was touched again at 13 (an opened mail, a tag), before its result came in."""
    written = more.draw(written_by_us(known))
    after = {**plain(known), **written.values}
    fetched = observe(known, after, at(13), written)
    in_order = observe(known, after, at(12), written)
    assert words(observe_overtaken(fetched, at(13), written)) == words(in_order)


@law
@given(known_data(), looks, st.data())
def test_only_a_value_neither_known_nor_written_is_a_new_word(known, seen, more):
    written = more.draw(written_by_us(known))
    after = observe(known, seen, at(12), written)
    for name, value in seen.items():
        is_news = value not in (known[name], written.values.get(name, known[name]))
        assert (after[f"{name}@"] == at(12)) is is_news


@law
@given(known_data(), st.data())
def test_the_gate_never_changes_who_says_in_nor_when(known: Data, more: st.DataObject):
    if known["status"] not in ("subscribed", "pending"):
        return
    gate = Written({"status": "unsubscribed"}, {"status": at(more.draw(hours))}, is_gate=True)
    seen = {**plain(known), "status": "unsubscribed"}
    closed = observe(known, seen, at(12), gate)
    assert words(closed) == words(known)
    overtaken = observe_overtaken(observe(known, seen, at(13), gate), at(13), gate)
    assert words(overtaken) == words(known)
