"""What was told is remembered for a day, and not for ever."""

from datetime import timedelta

from mcsync.cache.audience_status import AudienceStatus
from mcsync.pipeline.telling import note_told
from tests.hours import at


def test_what_was_told_is_told_again_after_a_day_or_of_more_people():
    status = AudienceStatus()
    assert note_told(status, "NICK", 2, at(8))
    assert not note_told(status, "NICK", 2, at(9))
    assert note_told(status, "NICK", 3, at(9))
    assert not note_told(status, "NICK", 3, at(10))
    assert note_told(status, "NICK", 3, at(9) + timedelta(days=1))


def test_what_was_told_before_that_is_remembered_no_longer():
    status = AudienceStatus()
    for day in range(400):
        assert note_told(status, f"{day} are left out", 1, at(8) + timedelta(days=day))
    assert list(status.left_out) == ["399 are left out"]
