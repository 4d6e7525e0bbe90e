"""CiviCRM's dates: naive, in the site's present offset, and sometimes impossible."""

from datetime import UTC, datetime, timedelta

import pytest

from mcsync.civicrm import records
from mcsync.model import LONG_AGO

PARIS = timedelta(hours=1)
NEWFOUNDLAND = -timedelta(hours=3, minutes=30)


@pytest.mark.parametrize("offset", [PARIS, NEWFOUNDLAND, timedelta()])
def test_a_date_is_read_and_written_with_the_present_offset(offset: timedelta) -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    text = records.write_time(noon, offset)
    assert text == f"{noon + offset:%Y-%m-%d %H:%M:%S}"
    assert records.read_time(text, offset) == noon


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0000-00-00 00:00:00",
        "0000-01-01 00:00:00",
        "0001-01-01 00:00:00",
        "1969-12-31 20:00:00",
        "2026-00-00 00:00:00",
        "2026-02-30 10:00:00",
        "9999-12-31 23:59:59",
        "10000-01-01 00:00:00",
        "null",
        "2026",
    ],
)
@pytest.mark.parametrize("offset", [PARIS, NEWFOUNDLAND])
def test_no_date_and_an_impossible_one_are_long_ago(text: str | None, offset: timedelta) -> None:
    assert records.read_time(text, offset) == LONG_AGO


@pytest.mark.parametrize("year", [1970, 2026, 2037, 2106])
def test_every_year_that_a_timestamp_can_hold_is_read(year: int) -> None:
    found = records.read_time(f"{year}-06-01 13:00:00", PARIS)
    assert found == datetime(year, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("at", [LONG_AGO, datetime.max.replace(tzinfo=UTC)])
@pytest.mark.parametrize("offset", [PARIS, NEWFOUNDLAND])
def test_a_time_out_of_range_is_written_as_the_nearest(at: datetime, offset: timedelta) -> None:
    written = datetime.fromisoformat(records.write_time(at, offset))
    assert written.year in (1970, 2106)
