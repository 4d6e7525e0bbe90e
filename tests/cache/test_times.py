"""Times in the cache: in UTC and whole seconds, as long as each other, however they came."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from mcsync.cache.times import LONG_AGO_TEXT, to_text, to_texts
from mcsync.model import LONG_AGO

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SUMMER = timezone(timedelta(hours=2))
KEPT = {
    NOON: "2026-07-01T12:00:00Z",
    datetime(2026, 7, 1, 14, 30, tzinfo=SUMMER): "2026-07-01T12:30:00Z",
    NOON.replace(microsecond=999_999): "2026-07-01T12:00:00Z",
    LONG_AGO: LONG_AGO_TEXT,
}


@pytest.mark.parametrize("at", KEPT, ids=str)
def test_a_time_is_kept_in_utc_and_whole_seconds(at: datetime):
    assert to_text(at) == KEPT[at]


@pytest.mark.parametrize("times", list(product(KEPT, repeat=2)), ids=str)
def test_many_times_are_kept_as_each_is(times: tuple[datetime, ...]):
    assert to_texts(list(times)) == [KEPT[at] for at in times]


def test_of_no_times_there_is_no_text():
    assert to_texts([]) == []
