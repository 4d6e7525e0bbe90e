"""Observe: what a look at a member says, and that nothing we wrote is ever taken for a word.

Times are hours, as in `mailchimp_data`: `at(9)` is "2026-11-22T09:00:00Z". Whole histories of one
member, held against a model, are in test_observe_histories.py.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.reconcile.observe import (
    LONG_AGO,
    Data,
    Look,
    Seen,
    Value,
    Written,
    is_said_in,
    observe,
)
from tests.fuzz import law

BY_US: Data = {"status~": True}
OURS = Written({"status": "unsubscribed"}, {"status": "2026-11-22T10:00:00Z"})


def at(hour: int) -> str:
    return f"2026-11-22T{hour:02}:00:00Z"


def data(status: object = "subscribed", hour: int = 9, **more: object) -> Data:
    return {"status": status, "status@": at(hour), **more}


def wrote(value: str, hour: int, name: str = "status", *, is_gate: bool = False) -> Written:
    """An update of ours, caused by a human act at `hour`."""
    return Written({name: value}, {name: at(hour)}, is_gate)


def see(
    known: Data | None,
    seen: dict[str, Value] | str,
    hour: int,
    *under_way: Written,
    left: bool = False,
) -> Data:
    """The data after a look at the member, which is the newest so far."""
    shown = {"status": seen} if isinstance(seen, str) else seen
    return observe(known, known and at(0), Look(shown, at(hour), left, under_way)).data


def hear_result(known: Data, known_hour: int, hour: int, done: Written, *later: Written) -> Seen:
    """What is known after the result of an update that was carried out at `hour`."""
    shown = {**{n: v for n, v in known.items() if n in ("status", "interest-c")}, **done.values}
    return observe(known, at(known_hour), Look(shown, at(hour), False, later, done))


def lose(known: Data, hour: int, known_hour: int = 0) -> Data:
    return observe(known, at(known_hour), Look(None, at(hour))).data


# --- the first look -------------------------------------------------------------------------------


def test_at_first_sight_everything_was_said_when_the_record_last_changed():
    assert see(None, {"status": "subscribed", "first_name": "Wilma", "interest-c": False}, 9) == {
        "status": "subscribed",
        "status@": at(9),
        "first_name": "Wilma",
        "first_name@": at(9),
        "interest-c": False,
        "interest-c@": at(9),
    }


FIRST = [
    pytest.param("subscribed", False, data("subscribed", 9), id="subscribed"),
    pytest.param("unsubscribed", True, data("unsubscribed", 9, left=True), id="left by herself"),
    pytest.param(
        "unsubscribed", False, data("unsubscribed", 9, met=True), id="by an administrator"
    ),
    pytest.param("archived", False, data("archived", 9, met=True), id="archived"),
    pytest.param("cleaned", False, data("cleaned", 9), id="cleaned"),
    pytest.param("transactional", False, {"status": "transactional"}, id="a shop's customer"),
]


@pytest.mark.parametrize(("status", "left", "expected"), FIRST)
def test_the_first_look(status: str, left: bool, expected: Data):
    assert see(None, status, 9, left=left) == expected


def test_who_becomes_a_member_by_our_doing_has_said_nothing_of_what_we_left_blank():
    ours = Written({"status": "subscribed", "first_name": "Wilma"}, {"status": at(8)})
    seen = {"status": "subscribed", "first_name": "Wilma", "last_name": "", "interest-c": False}
    assert see(None, seen, 9, ours) == {
        "status": "subscribed",
        "status@": at(8),
        "status~": True,
        "first_name": "Wilma",
        "first_name@": LONG_AGO,
        "last_name": "",
        "last_name@": LONG_AGO,
        "interest-c": False,
        "interest-c@": LONG_AGO,
    }


# --- words ----------------------------------------------------------------------------------------


def test_an_at_moves_only_when_that_value_changed():
    known = data("subscribed", 9, **{"first_name": "Wilma", "first_name@": at(8)})
    after = see(known, {"status": "subscribed", "first_name": "Wilhelmina"}, 12)
    assert after == data("subscribed", 9, **{"first_name": "Wilhelmina", "first_name@": at(12)})


def test_a_field_seen_for_the_first_time_is_said_at_last_changed():
    after = see(data(), {"status": "subscribed", "interest-c": True}, 12)
    assert after == data(**{"interest-c": True, "interest-c@": at(12)})


def test_a_field_that_is_not_shown_stays_known():
    known = data(**{"interest-c": True, "interest-c@": at(8)})
    assert see(known, "subscribed", 12) == known


def test_what_we_wrote_carries_the_time_of_the_human_who_caused_it():
    assert see(data(), "unsubscribed", 12, OURS) == data("unsubscribed", 10, **BY_US)


def test_what_is_neither_known_nor_written_is_a_new_word():
    assert see(data("unsubscribed", 9), "cleaned", 12, wrote("subscribed", 10)) == data(
        "cleaned", 12
    )


def test_an_administrators_unsubscribe_that_was_met_is_one_no_more_once_anything_changed():
    met = see(None, "unsubscribed", 9)
    assert see(met, "subscribed", 12) == data("subscribed", 12)
    assert see(met, "unsubscribed", 12) == met
    assert see(met, "unsubscribed", 12, left=True) == data("unsubscribed", 12, left=True)
    after = see(met, "subscribed", 12, wrote("subscribed", 10))
    assert after == data("subscribed", 10, **BY_US)


def test_a_shop_order_is_no_word_and_takes_none_away():
    shopper = see(None, "transactional", 9)
    assert see(shopper, "subscribed", 12) == data("subscribed", 12)
    assert see(data("subscribed", 9), "transactional", 12) == data(
        "transactional", 9, **{"status!": True}
    )
    assert see(data("unsubscribed", 9), "transactional", 12) == data("transactional", 9)


def test_an_older_look_tells_nothing():
    """A page that was served before what is known from elsewhere, by a server that lags behind."""
    known = data("unsubscribed", 12)
    late = Look({"status": "subscribed"}, at(11))
    assert observe(known, at(12), late) == Seen(known, False)
    assert observe(known, at(12), Look(None, at(11))) == Seen(known, False)


def test_who_was_not_there_and_is_seen_after_all_is_there():
    gone = lose(data("subscribed", 9), 12)
    found = observe(gone, at(12), Look({"status": "subscribed"}, at(9)))
    assert found == Seen(data("subscribed", 12), True)


# --- the gate -------------------------------------------------------------------------------------

MUTED = data("unsubscribed", 9, **{"status!": True})


def test_an_unsubscribe_for_the_gate_leaves_the_members_own_word_alone():
    after = see(data("subscribed", 9), "unsubscribed", 12, wrote("unsubscribed", 10, is_gate=True))
    assert after == MUTED
    assert is_said_in(after)


def test_the_gate_opening_leaves_no_trace_of_the_gate():
    assert see(MUTED, "subscribed", 14, wrote("subscribed", 9)) == data("subscribed", 9)


@pytest.mark.parametrize("status", ["cleaned", "archived", "subscribed"])
def test_a_word_spoken_behind_the_gate_counts(status: str):
    assert see(MUTED, status, 14) == data(status, 14)


def test_muted_by_us_who_then_unsubscribes_by_an_old_mail_has_left_by_herself():
    """The status stays what it was: Mailchimp's reason is what changes."""
    seen = observe(MUTED, at(12), Look({"status": "unsubscribed"}, at(14), has_left=True))
    assert seen == Seen(data("unsubscribed", 14, left=True), True)


def test_that_she_left_by_herself_outlives_an_operation_that_overwrites_it():
    left = data("unsubscribed", 12, left=True)
    done = Look({"status": "subscribed"}, at(13), done=wrote("subscribed", 10))
    overwritten = observe(left, at(12), done)
    assert overwritten == Seen(data("subscribed", 12, left=True, **{"status!": False}), True)
    back = Look({"status": "subscribed"}, at(15))
    assert observe(overwritten.data, at(13), back).data == overwritten.data
    ours = Look({"status": "unsubscribed"}, at(14), done=wrote("unsubscribed", 12))
    assert observe(overwritten.data, at(13), ours).data["status"] == "unsubscribed"
    again = observe(overwritten.data, at(13), Look({"status": "pending"}, at(15)))
    assert again.data == data("pending", 15)


def test_who_leaves_just_before_we_would_have_muted_her_has_left_by_herself():
    gate = wrote("unsubscribed", 10, is_gate=True)
    left = see(data("subscribed", 9), "unsubscribed", 12, gate, left=True)
    assert left == data("unsubscribed", 12, left=True)
    again = observe(left, at(12), Look({"status": "unsubscribed"}, at(12), True, (), gate))
    assert again == Seen(left, False)


# --- what is under way ----------------------------------------------------------------------------


def test_our_unsubscribe_is_under_way_and_she_leaves_by_the_link_that_is_her_own_word():
    left = see(data("subscribed", 9), "unsubscribed", 12, OURS, left=True)
    assert left == data("unsubscribed", 12, left=True)
    for hour in (11, 13):
        done = Look({"status": "unsubscribed"}, at(hour), True, (), OURS)
        assert observe(left, at(12), done).data == left


def test_our_subscribe_waits_she_signs_up_herself_and_leaves_by_the_link_her_word_is_out():
    ours = wrote("subscribed", 10)
    known = data("unsubscribed", 9, left=True)
    signed_up = see(known, "subscribed", 11, ours)
    left = see(signed_up, "unsubscribed", 12, ours, left=True)
    assert left == data("unsubscribed", 12, left=True)


@pytest.mark.parametrize("status", ["archived", "unsubscribed"])
def test_our_subscribe_runs_late_and_overwrites_what_staff_did_since_that_stands(status: str):
    ours = wrote("subscribed", 10)
    known = data("cleaned", 9)
    after_staff = see(known, status, 12, ours)
    assert after_staff == data(status, 12)
    result = observe(after_staff, at(12), Look({"status": "subscribed"}, at(13), done=ours))
    assert result == Seen(data("subscribed", 12, **{"status!": False}), True)
    assert not is_said_in(result.data)


def test_a_later_word_is_put_right_again_and_then_nothing_is_left_of_it():
    overwritten = data("subscribed", 12, **{"status!": False})
    assert see(overwritten, "unsubscribed", 14, wrote("unsubscribed", 12)) == data(
        "unsubscribed", 12
    )


def test_our_unsubscribe_ran_and_she_signed_up_again_before_the_result_came_in():
    """A page showed her as she had been: only the result tells that she was out in between."""
    known = data("subscribed", 9)
    fetched = see(known, "subscribed", 13, OURS)
    assert fetched == known
    assert hear_result(fetched, 13, 12, OURS) == Seen(data("subscribed", 13), True)


def test_a_result_overtaken_by_a_look_that_shows_something_else():
    """Our write of 10 was in place when she left at 12: she did so after it, not before."""
    known = data("unsubscribed", 9)
    assert hear_result(known, 12, 10, wrote("subscribed", 8)) == Seen(
        data("unsubscribed", 12), True
    )


def test_a_result_overtaken_by_a_word_that_is_known_already_tells_nothing():
    known = data("cleaned", 13)
    assert hear_result(known, 15, 12, OURS) == Seen(known, False)


def test_a_result_overtaken_by_a_look_that_shows_what_we_wrote():
    known = data(**{"interest-c": True, "interest-c@": at(8)})
    written = Written({"interest-c": True}, {"interest-c": at(8)})
    assert hear_result(known, 12, 11, written) == Seen(known, False)


def test_a_result_overtaken_by_a_look_that_left_the_field_out():
    written = Written({"interest-c": True}, {"interest-c": at(8)})
    after = hear_result(data("subscribed", 9), 12, 11, written)
    interest = {"interest-c": True, "interest-c@": at(8), "interest-c~": True}
    assert after == Seen(data("subscribed", 9, **interest), False)


def test_a_result_overtaken_by_another_update_of_ours_is_no_word():
    first, second = wrote("subscribed", 10), wrote("unsubscribed", 11)
    known = data("unsubscribed", 9)
    after = hear_result(known, 13, 12, first, second)
    assert after == Seen(data("unsubscribed", 11, **BY_US), False)


def test_of_two_updates_that_are_carried_out_in_the_wrong_order_the_later_cause_stands():
    first, second = wrote("subscribed", 10), wrote("unsubscribed", 11)
    known = see(data("unsubscribed", 9), "subscribed", 13, first, second)
    after = hear_result(known, 13, 12, second, first)
    assert after.data == data("subscribed", 11, **{"status!": False}, **BY_US)


def test_what_we_wrote_for_somebody_who_shares_the_member_is_no_word():
    known = data("unsubscribed", 9, **{"interest-c": False, "interest-c@": at(8)})
    caused_at = {"status": at(10), "interest-c": at(10)}
    ours = Written({"status": "subscribed", "interest-c": True}, caused_at, False, tuple(caused_at))
    after = see(known, {"status": "subscribed", "interest-c": True}, 12, ours)
    said = {"status!": False, "interest-c": True, "interest-c@": at(8), "interest-c!": False}
    assert after == data("subscribed", 9, **said)


def test_what_we_wrote_is_a_word_again_once_a_human_says_anything():
    written = see(data(), "unsubscribed", 12, OURS)
    assert see(written, "subscribed", 13) == data("subscribed", 13)
    assert see(written, "unsubscribed", 13, left=True) == data("unsubscribed", 13, left=True)
    assert lose(written, 13) == {"status": None, "status@": at(10)}


def test_an_update_that_is_lost_is_no_word_either():
    known = data("subscribed", 9)
    waiting = see(known, "subscribed", 12, OURS)
    assert see(waiting, "subscribed", 14) == known


# --- who is not there -----------------------------------------------------------------------------

VANISHED = [
    pytest.param(data("subscribed", 9), 12, id="who was in said out when it was noticed"),
    pytest.param(data("pending", 9), 12, id="who was pending said out when it was noticed"),
    pytest.param(data("unsubscribed", 9), 9, id="who was out said so before"),
    pytest.param(data("unsubscribed", 9, left=True), 9, id="who left said so before"),
    pytest.param(data("cleaned", 9), 9, id="who was cleaned was out before"),
    pytest.param(MUTED, 12, id="who was in but for the gate"),
    pytest.param({"status": "transactional"}, 12, id="who never said anything"),
    pytest.param(
        data("subscribed", 9, **{"status!": False}), 12, id="who was in by our doing only"
    ),
]


@pytest.mark.parametrize(("known", "hour"), VANISHED)
def test_vanished(known: Data, hour: int):
    assert lose(known, 12) == data(None, hour)


IN_OR_OUT = [
    (data("subscribed"), True),
    (data("pending"), True),
    (data("unsubscribed"), False),
    (data("cleaned"), False),
    (data("archived"), False),
    ({"status": "transactional"}, False),
    (data(None), False),
    ({}, False),
    (MUTED, True),
    (data("subscribed", **{"status!": False}), False),
]


@pytest.mark.parametrize(("known", "is_in"), IN_OR_OUT, ids=str)
def test_who_says_in(known: Data, is_in: bool):
    assert is_said_in(known) is is_in


# --- laws -----------------------------------------------------------------------------------------

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
    if known["status"] in ("unsubscribed", "transactional") and draw(st.booleans()):
        known["status!"] = True
    return known


@st.composite
def written_by_us(draw: st.DrawFn, known: Data) -> Written:
    """An update: only what is to change, caused by the newest word, before it was sent."""
    wanted = {name: value for name, value in draw(wishes).items() if value != known.get(name)}
    is_gate = wanted.get("status") == "unsubscribed" and draw(st.booleans())
    return Written(wanted, {name: at(draw(st.integers(9, 10))) for name in wanted}, is_gate)


def plain(known: Data) -> Data:
    return {name: value for name, value in known.items() if name in values}


def words(known: Data) -> Data:
    """Who said what, and when: without the status that we wrote for the gate."""
    return {name: value for name, value in known.items() if name.endswith("@")} | {
        "is in": is_said_in(known)
    }


@law(100)
@given(known_data(), looks, st.data())
def test_to_look_twice_is_to_look_once(known: Data, seen: Data, more: st.DataObject):
    written = more.draw(written_by_us(known))
    once = see(known, seen, 12, written)
    twice = observe(once, at(12), Look(seen, at(12), False, (written,)))
    assert twice == Seen(once, False)
    assert observe(once, at(12), Look(seen, at(13))) == Seen(once, False)


@law(100)
@given(known_data(), st.data())
def test_nothing_that_we_wrote_is_a_new_word_whoever_sees_it_first(known, more):
    """Our update runs at 12. A fetch may see the member before and after; so may the result."""
    written = more.draw(written_by_us(known))
    after = {**plain(known), **written.values}
    before = Look(plain(known), at(11), False, (written,))
    fetched = Look(after, at(12), False, (written,))
    result = Look(after, at(12), False, (), written)
    expected = observe(known, at(9), result)
    assert not expected.is_news
    for is_seen_before, is_seen_after in itertools.product((True, False), repeat=2):
        found, found_at = known, at(9)
        for look in (before,) * is_seen_before + (fetched,) * is_seen_after:
            found, found_at = observe(found, found_at, look).data, look.at
        assert observe(found, found_at, result).data == expected.data
    assert at(12) not in expected.data.values()
    assert at(11) not in expected.data.values()


@law(100)
@given(known_data(), st.data())
def test_a_result_overtaken_by_a_fetch_of_something_else_of_ours_says_the_same(known, more):
    """The record was touched again at 13 (an opened mail, a tag), before its result came in."""
    written = more.draw(written_by_us(known))
    after = {**plain(known), **written.values}
    fetched = see(known, after, 13, written)
    in_order = see(known, after, 12, written)
    overtaken = observe(fetched, at(13), Look(after, at(12), False, (), written))
    assert words(overtaken.data) == words(in_order)


@law(100)
@given(known_data(), looks, st.data())
def test_only_a_value_neither_known_nor_written_is_a_new_word(known, seen, more):
    written = more.draw(written_by_us(known))
    found = observe(known, at(9), Look(seen, at(12), False, (written,)))
    is_news = False
    for name, value in seen.items():
        is_new = value not in (known[name], written.values.get(name, known[name]))
        says_nothing = name == "status" and value == "transactional"
        assert (found.data[f"{name}@"] == at(12)) is (is_new and not says_nothing)
        is_news |= is_new
    assert found.is_news is is_news


@law(100)
@given(known_data(), st.data())
def test_the_gate_never_changes_who_says_in_nor_when(known: Data, more: st.DataObject):
    if known["status"] not in ("subscribed", "pending"):
        return
    gate = Written({"status": "unsubscribed"}, {"status": at(more.draw(hours))}, is_gate=True)
    seen = {**plain(known), "status": "unsubscribed"}
    closed = see(known, seen, 12, gate)
    assert words(closed) == words(known)
    overtaken = observe(see(known, seen, 13, gate), at(13), Look(seen, at(12), False, (), gate))
    assert words(overtaken.data) == words(known)


@law(100)
@given(known_data(), looks, st.integers(10, 12), st.data())
def test_a_word_is_replaced_only_by_a_newer_one(known, seen, hour, more):
    """Whatever is looked at, and however late: no time of a word ever goes back."""
    written = more.draw(written_by_us(known))
    looks_at_it = (
        Look(seen, at(hour), False, (written,)),
        Look({**seen, **written.values}, at(hour), False, (), written),
        Look(None, at(hour)),
    )
    for look in looks_at_it:
        after = observe(known, at(11), look).data
        for name in values:
            assert after[f"{name}@"] >= known[f"{name}@"]
