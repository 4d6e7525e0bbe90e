"""How many records go into one request: pure, without any clock."""

import pytest

from mcsync.civicrm.pace import CONTACTS, GROUP_CONTACTS, SIZES, Pace, Sent, make_paces


def after(pace: Pace, *sent: Sent) -> int:
    """The next size once these have come back."""
    for each in sent:
        pace.learn(each)
    return pace.size


@pytest.mark.parametrize(
    ("took_s", "size"),
    [(0.0, 100), (0.5, 100), (2.5, 100), (4.0, 62), (4.99, 50), (5.0, 50), (15.0, 50), (15.1, 25)],
)
def test_what_is_quick_grows_until_it_takes_five_seconds(took_s: float, size: int):
    assert after(Pace(50, 1000), Sent(50, took_s)) == size


def test_it_grows_to_its_bound_and_no_further():
    pace = Pace(50, 180)
    assert [after(pace, Sent(pace.size, 0.1)) for _ in range(4)] == [100, 180, 180, 180]


def test_a_part_smaller_than_the_next_says_nothing():
    assert after(Pace(50, 1000), Sent(7, 0.1)) == 50
    pace = Pace(50, 1000)
    assert after(pace, *[Sent(50, 0.1)] * 4) == 100, "four of one generation are one step"


def test_what_was_too_much_is_halved_and_not_tried_again():
    pace = Pace(50, 1000)
    assert after(pace, *[Sent(50, 30.0, is_too_much=True)] * 4) == 25, "one step, too"
    assert after(pace, Sent(25, 0.1)) == 25
    assert after(pace, Sent(25, 30.0, is_too_much=True)) == 12


def test_it_never_becomes_less_than_one():
    pace = Pace(50, 100)
    for _ in range(9):
        pace.learn(Sent(pace.size, 30.0, is_too_much=True))
    assert pace.size == pace.most == 1


@pytest.mark.parametrize(
    ("size", "left", "cut"),
    [(200, None, 200), (200, 90, 200), (500, 1000, 250), (500, 9000, 500), (500, 300, 200)],
)
def test_no_lane_stays_empty_for_the_size_of_requests(size: int, left: int | None, cut: int):
    assert Pace(200, 500, size).cut(left, lanes=4) == cut


def test_a_limit_of_an_earlier_run_is_begun_with():
    paces = make_paces({CONTACTS: 6})
    assert (paces[CONTACTS].size, paces[CONTACTS].most) == (6, 6)
    assert paces[CONTACTS].is_limited
    untouched = paces[GROUP_CONTACTS]
    assert (untouched.size, untouched.most) == SIZES[GROUP_CONTACTS]
    assert not untouched.is_limited
    assert make_paces({CONTACTS: 80})[CONTACTS].size == 50


def silent(size: int, took_s: float) -> Sent:
    return Sent(size, took_s, is_too_much=True, is_silent=True)


def test_what_took_long_and_was_not_answered_limits_later_runs():
    pace = Pace(50, 100)
    assert after(pace, silent(50, 60.0), silent(25, 60.0), Sent(12, 4.0)) == 12
    assert pace.is_limited
    assert pace.limit == 12


def test_a_gateway_with_nobody_behind_it_limits_no_later_run():
    """As while PHP is restarted: a 502 comes at once, whatever the size."""
    pace = Pace(50, 100)
    assert after(pace, silent(50, 0.1), silent(25, 0.1), Sent(12, 1.0)) == 12
    assert not pace.is_limited


def test_a_site_that_is_silent_whatever_the_size_limits_no_later_run():
    pace = Pace(50, 100)
    for _ in range(7):
        pace.learn(silent(pace.size, 130.0))
    assert pace.size == 1
    assert not pace.is_limited


def test_what_an_earlier_run_found_out_outlasts_a_site_that_is_down():
    pace = Pace(50, 12)
    for _ in range(5):
        pace.learn(silent(pace.size, 130.0))
    assert pace.limit == 12


def test_a_request_that_was_refused_for_its_size_limits_later_runs_however_soon():
    pace = Pace(50, 100)
    pace.learn(Sent(50, 0.1, is_too_much=True))
    assert pace.limit == 25
