"""Many runs in bad weather end as the same runs do one by one, in good weather.

Latencies, dropped requests, answers that are wrong or say nothing, what is done after it was given
up, cut archives, an account that is down, and signals in the midst of it, while several requests
are under way to both services. One day of it runs always. Ten days, that is fifty such runs, with
several seeds, run by hand:

    python -m pytest tests/scenario/test_storm.py -m matrix -n auto
"""

import pytest

from tests.scenario.faults import Helper
from tests.scenario.stormy_town import compare, play_in_a_storm, play_one_by_one, town_in

SEEDS = range(1, 9)
DAYS = 10


def test_a_day_in_a_storm_ends_like_a_calm_one(helper: Helper):
    history = play_one_by_one(helper, 5, days=1)
    storm = play_in_a_storm(helper, 5, history)
    assert not storm.problems, str(storm)
    assert storm.met.total() > 20
    assert len(storm.met) > 5
    assert len(storm.ended) > 1


@pytest.mark.matrix
@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize("seed", SEEDS)
def test_fifty_runs_in_a_storm_end_like_calm_ones(seed: int, helper: Helper):
    history = play_one_by_one(helper, seed, DAYS)
    assert sum(len(acts) for day in history.days for acts in day) > 300
    storm = play_in_a_storm(helper, seed, history)
    assert not storm.problems, str(storm)


def test_the_verdict_tells_who_is_there_twice_and_who_is_not_as_they_should_be(helper: Helper):
    with town_in(helper, 5, connections=1) as stormy:
        before = stormy.look()
        town = stormy.town
        town.civicrm.add_contact("Person1", "Rubble", ["person1@example.org"])
        [list_id, *_] = [i for i in town.lists if town.mailchimp.members(i)]
        email = next(iter(town.mailchimp.members(list_id)))
        town.mailchimp.leave(list_id, email)
        told = " ".join(compare(before, stormy.look()))
    assert "contacts person1@example.org" in told
    assert f"member {email} of {list_id[-1]}" in told
