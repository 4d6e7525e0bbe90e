"""What is told once, then once a day: cron runs every five minutes, and mails what is told."""

from datetime import datetime, timedelta

from mcsync.cache.audience_status import AudienceStatus, LeftOut
from mcsync.cache.times import to_text
from mcsync.pipeline.run import is_over

_A_DAY = timedelta(days=1)


def note_told(status: AudienceStatus, what: str, count: int, now: datetime) -> bool:
    """Whether to tell this: not again within a day, unless it concerns more people.

    If so, `status` has it as told now; to be saved by the caller.
    """
    before = status.left_out.get(what)
    if before and count <= before.count and not is_over(before.told_at, _A_DAY, now):
        return False
    # What was told longer ago would be told anew anyway.
    fresh = {
        k: told for k, told in status.left_out.items() if not is_over(told.told_at, _A_DAY, now)
    }
    status.left_out = {**fresh, what: LeftOut(to_text(now), count)}
    return True
