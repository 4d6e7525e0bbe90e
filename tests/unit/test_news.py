"""What is told of an audience's troubles, and when: the judgement by itself."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from mcsync.cache.audience_status import HELD, AudienceStatus, HeldPlan, KnownTrouble
from mcsync.cache.times import to_text
from mcsync.errors import ConfigError, GuardTripped, McsyncError, ProtocolError, RemoteUnavailable
from mcsync.pipeline.news import Met, Turn, as_met, weigh

NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)
DISABLED = as_met(GuardTripped('Choir: group 333 "Choir" is disabled', hint="enable the group"))
DOWN = as_met(RemoteUnavailable("Mailchimp at us1.example.org closed the connection"))
INTEREST = Met("no interest i1", "interest-gone", "Choir: no interest i1", stops=False)


def held(count: int) -> Met:
    return Met(HELD, "guard-tripped", "Choir: held", stops=False, sizes={"unsubscribes": count})


class Audience:
    """An audience's status from run to run; `told` are the turns and kinds of the last one."""

    def __init__(self, **values: object) -> None:
        self.status = AudienceStatus(**values)  # type: ignore[arg-type]
        self.now = NOON

    def run(self, *met: Met, command: str = "sync", whole: bool | None = None) -> list[str]:
        """One run, which came to its end unless something stopped it; five minutes pass."""
        is_whole = not any(each.stops for each in met) if whole is None else whole
        weighed = weigh(self.status, met, self.now, command=command, is_whole=is_whole)
        self.status.troubles, self.status.past_troubles = weighed.troubles, weighed.past
        for turn, trouble in weighed.news:
            if trouble.key == HELD and turn is not Turn.OVER and self.status.held_plan:
                self.status.held_plan.told = self.status.held_plan.sizes
        if is_whole:
            self.status.ended_at = to_text(self.now)
        self.now += timedelta(minutes=5)
        return [f"{turn.value} {trouble.kind}" for turn, trouble in weighed.news]

    def run_for(self, length: timedelta, *met: Met) -> dict[str, list[str]]:
        """Runs for so long; what is told, by how long it has gone on."""
        begun, found = self.now, {}
        while self.now < begun + length:
            at = self.now
            told = self.run(*met)
            if told:
                found[str(at - begun)] = told
        return found

    @property
    def keys(self) -> list[str]:
        return [each.key for each in self.status.troubles]


@pytest.fixture
def audience() -> Audience:
    """In order until five minutes ago."""
    return Audience(ended_at=to_text(NOON - timedelta(minutes=5)))


def test_a_trouble_is_told_at_once_then_once_a_day_and_its_end_once(audience: Audience):
    told = audience.run_for(timedelta(hours=49), DISABLED)
    assert told == {
        "0:00:00": ["new guard-tripped"],
        "1 day, 0:00:00": ["again guard-tripped"],
        "2 days, 0:00:00": ["again guard-tripped"],
    }
    (trouble,) = audience.status.troubles
    assert (trouble.since, trouble.hint) == ("2026-06-12T12:00:00Z", "enable the group")
    assert audience.run() == ["over guard-tripped"]
    assert audience.run() == []
    assert audience.status.troubles == []


def flap(audience: Audience, hours: int, *turns: Sequence[Met]) -> list[str]:
    """Runs that meet now this, now that; what all of them tell."""
    runs = hours * 12
    return [told for n in range(runs) for told in audience.run(*turns[n % len(turns)])]


def test_a_trouble_that_comes_and_goes_is_told_once_a_day_and_so_is_its_end(audience: Audience):
    start = ["new guard-tripped", "over guard-tripped"]
    again = ["again guard-tripped", "over guard-tripped"]
    assert flap(audience, 24, (DISABLED,), ()) == start
    assert flap(audience, 24, (DISABLED,), ()) == again
    assert audience.status.troubles == []


def test_two_troubles_that_take_turns_are_told_once_a_day(audience: Audience):
    refused = as_met(ConfigError("Choir: no field X"))
    first = ["new guard-tripped", "new config-error"]
    assert flap(audience, 24, (DISABLED,), (refused,)) == first
    again = ["again guard-tripped", "again config-error"]
    assert flap(audience, 24, (DISABLED,), (refused,)) == again
    assert audience.keys == [refused.key], "what is over is not among what is there"
    assert audience.run() == ["over config-error"]


def test_a_held_plan_that_comes_and_goes_is_told_once_a_day(audience: Audience):
    told = []
    for n in range(24 * 12):
        audience.status.held_plan = HeldPlan("why", "s", {"unsubscribes": 30}) if n % 2 else None
        told += audience.run(*([held(30)] if n % 2 else []))
    assert told == ["new guard-tripped", "over guard-tripped"]


def test_what_is_back_for_good_is_told_after_the_quiet_time(audience: Audience):
    assert audience.run(DISABLED) == ["new guard-tripped"]
    assert audience.run() == ["over guard-tripped"]
    assert audience.run_for(timedelta(hours=2), DISABLED) == {"1:00:00": ["again guard-tripped"]}
    (trouble,) = audience.status.troubles
    assert trouble.since == to_text(NOON)
    told = audience.run_for(timedelta(hours=26))
    assert told == {"21:55:00": ["over guard-tripped"]}, "its end is told in time, too"
    assert audience.status.past_troubles == []


def test_a_day_after_its_end_a_trouble_is_a_new_one(audience: Audience):
    audience.run(DISABLED)
    audience.run()
    audience.run_for(timedelta(hours=24))
    assert audience.run(DISABLED) == ["new guard-tripped"]
    assert audience.status.troubles[0].since == to_text(NOON + timedelta(hours=24, minutes=10))


def test_a_trouble_since_tomorrow_by_a_clock_that_was_ahead_is_there_since_now(
    audience: Audience,
):
    audience.run(DISABLED)
    audience.status.troubles[0].since = to_text(NOON + timedelta(days=400))
    at = audience.now
    audience.run(DISABLED)
    assert audience.status.troubles[0].since == to_text(at)


def test_another_trouble_in_its_place_is_news_and_the_first_is_forgotten(audience: Audience):
    audience.run(DISABLED)
    assert audience.run(as_met(ConfigError("Choir: no group 333"))) == ["new config-error"]
    assert len(audience.keys) == 1
    assert audience.run() == ["over config-error"]


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("received 99 of 100 members", "received 1,099 of 1,100 members", True),
        ("Choir: CiviCRM shows no group 3", "Choir: CiviCRM shows no group 4", False),
        ('group 3 "A" is empty; it had 40', 'group 3 "A" is empty; it had 41', True),
        ("an answer is odd", "an answer is too large", False),
        ("failed (Error ID: 4VXR-M2bt-AXtA)", "failed (Error ID: kQxR-bMtZ-AXtA)", True),
        ("no table; see e3b0c44298fc", "no table; see 9f86d081884c", True),
        ("look up 6d0e-11ec:a.1 there", "look up ff31-11ec:b.2 there", True),
        ('group 3 "Choir 1" is disabled', 'group 4 "Choir 1" is disabled', False),
        ("no field Field_A, Field_B", "no field Field_A, Field_C", False),
    ],
)  # fmt: skip
def test_what_varies_makes_no_other_trouble(first: str, second: str, is_same: bool):
    keys = {as_met(ProtocolError(words)).key for words in (first, second)}
    assert (len(keys) == 1) is is_same


def test_what_differs_in_kind_differs():
    assert as_met(ProtocolError("x")).key != as_met(ConfigError("x")).key


@pytest.mark.parametrize(
    ("words", "is_same"),
    [
        ("Mailchimp at us1.example.org did not answer within 130 s", True),
        ("CiviCRM at crm.example.org closed the connection", False),
    ],
)
def test_a_service_that_is_down_is_down_however_it_shows(words: str, is_same: bool):
    assert (as_met(RemoteUnavailable(words)).key == DOWN.key) is is_same


def test_a_service_that_is_down_is_told_after_an_hour_without_a_sync(audience: Audience):
    told = audience.run_for(timedelta(hours=25), DOWN)
    assert told == {
        "0:55:00": ["new remote-unavailable"],
        "1 day, 0:55:00": ["again remote-unavailable"],
    }
    assert audience.run() == ["over remote-unavailable"]


def test_an_outage_that_nobody_was_told_of_ends_without_a_word(audience: Audience):
    assert audience.run_for(timedelta(minutes=50), DOWN) == {}
    assert audience.run() == []
    assert audience.status.troubles == []


def test_where_nothing_was_ever_synced_an_outage_is_told_at_once():
    assert Audience().run(DOWN) == ["new remote-unavailable"]


def test_an_older_cache_knows_of_the_last_sync_only():
    audience = Audience(synced_at=to_text(NOON - timedelta(minutes=30)))
    assert audience.run(DOWN) == []


def test_a_last_sync_in_the_future_was_a_mistake_and_hides_no_outage():
    audience = Audience(ended_at=to_text(NOON + timedelta(days=400)))
    assert audience.run(DOWN) == ["new remote-unavailable"]


def test_what_was_told_in_the_future_is_told_again(audience: Audience):
    audience.run(DISABLED)
    audience.status.troubles[0].told_at = to_text(NOON + timedelta(days=400))
    assert audience.run(DISABLED) == ["again guard-tripped"]
    assert audience.run(DISABLED) == []


def test_a_held_plan_is_told_again_when_it_has_grown_by_a_tenth(audience: Audience):
    def run(count: int) -> list[str]:
        told = audience.status.held_plan.told if audience.status.held_plan else {}
        audience.status.held_plan = HeldPlan("why", "since", {"unsubscribes": count}, told)
        return audience.run(held(count))

    assert run(30) == ["new guard-tripped"]
    assert [run(count) for count in (30, 33, 20)] == [[], [], []]
    assert run(34) == ["again guard-tripped"]
    assert run(34) == []
    audience.status.held_plan = None
    assert audience.run() == ["over guard-tripped"]


def test_what_is_held_stays_so_while_a_service_is_down_or_something_else_stops_it(
    audience: Audience,
):
    audience.status.held_plan = HeldPlan("why", "since", {"unsubscribes": 30})
    audience.run(held(30))
    for met in (DOWN, DISABLED):
        audience.run(met)
        assert HELD in audience.keys
    assert audience.run(held(30)) == ["over guard-tripped"]
    assert audience.keys == [HELD]


def test_what_stopped_an_audience_is_not_over_because_a_service_is_down(audience: Audience):
    audience.run(DISABLED)
    assert audience.run(DOWN) == []
    assert sorted(audience.keys) == sorted([DISABLED.key, DOWN.key])
    assert audience.run(DISABLED) == []
    assert audience.run() == ["over guard-tripped"]


def test_an_interest_left_alone_is_told_once_and_its_end_once(audience: Audience):
    assert audience.run_for(timedelta(hours=50), INTEREST) == {"0:00:00": ["new interest-gone"]}
    assert audience.run() == ["over interest-gone"]


def test_several_troubles_are_told_each(audience: Audience):
    audience.status.held_plan = HeldPlan("why", "since", {"unsubscribes": 30})
    told = audience.run(held(30), DISABLED, INTEREST)
    assert told == ["new guard-tripped", "new guard-tripped", "new interest-gone"]


@pytest.mark.parametrize(
    ("met_by", "then", "is_over"),
    [
        ("fetch", "fetch", True),
        ("fetch", "submit", False),
        ("fetch", "sync", True),
        ("sync", "fetch", False),
        ("sync", "sync", True),
    ],
)
def test_a_trouble_is_over_when_the_same_command_or_a_sync_gets_through(
    audience: Audience, met_by: str, then: str, is_over: bool
):
    audience.run(DISABLED, command=met_by)
    assert bool(audience.run(command=then)) is is_over
    assert bool(audience.keys) is not is_over


STAGES = ("fetch", "reconcile", "submit", "process-batches")


def test_a_trouble_that_a_sync_met_is_over_when_all_stages_have_come_to_their_end(
    audience: Audience,
):
    audience.run(DISABLED)
    audience.run(command="reconcile")
    audience.run(DISABLED, command="fetch")
    told = [audience.run(command=stage) for stage in (*STAGES[1:], "submit", "fetch")]
    assert told == [[], [], [], [], ["over guard-tripped"]]
    assert audience.keys == []


def test_a_held_plan_is_over_when_nothing_is_held_whatever_ran(audience: Audience):
    audience.status.held_plan = HeldPlan("why", "since", {"unsubscribes": 30})
    audience.run(held(30))
    assert [audience.run(command=stage) for stage in STAGES] == [[], [], [], []]
    assert audience.keys == [HELD]
    audience.status.held_plan = None
    assert audience.run(command="reconcile") == ["over guard-tripped"]


def test_a_run_that_was_cut_short_ends_no_trouble(audience: Audience):
    audience.run(DISABLED)
    assert audience.run(whole=False) == []
    assert audience.keys == [DISABLED.key]


def test_the_quiet_time_is_as_configured():
    status = AudienceStatus(ended_at=to_text(NOON - timedelta(minutes=10)))
    for minutes, is_told in ((0, True), (10, True), (11, False)):
        found = weigh(status, [DOWN], NOON, is_whole=False, quiet=timedelta(minutes=minutes))
        assert bool(found.news) is is_told


def test_nothing_that_was_known_is_changed_in_place():
    known = KnownTrouble("k", "x", "m", "", "2026-06-01T00:00:00Z", "2026-06-12T11:00:00Z")
    status = AudienceStatus(troubles=[known])
    weigh(status, [Met("k", "x", "m2")], NOON)
    assert status.troubles == [known]
    assert known.message == "m"


def test_what_a_service_writes_steers_no_terminal(audience: Audience):
    words = "CiviCRM says:\n\x1b[31mred\x07"
    audience.run(as_met(ProtocolError(words, hint=words)))
    (trouble,) = audience.status.troubles
    assert trouble.message == trouble.hint == "CiviCRM says:  [31mred "


def test_every_error_of_a_service_has_a_key():
    errors: Sequence[McsyncError] = [ProtocolError("a"), RemoteUnavailable("b"), ConfigError("c")]
    assert len({as_met(error).key for error in errors}) == 3
