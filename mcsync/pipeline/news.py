"""What is told of troubles now: a pure judgement on what was known, what was met, and the clock.

What is new or has changed is told at once, what stays as it is once a day, and its end once. What
stops no more than an interest is not told again. A service that is down is told only when the
audience was not synced for a while.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mcsync.cache.audience_status import AudienceStatus, KnownTrouble
from mcsync.cache.times import to_text
from mcsync.errors import McsyncError, RemoteUnavailable
from mcsync.pipeline.run import is_over
from mcsync.reconcile.guards import has_grown

_A_DAY = timedelta(days=1)
# Counts, times and the ids that services give to their errors differ from run to run, and the
# trouble is the same; a group's id says which it is about. CiviCRM's ids may have no digit.
_VARIES = re.compile(r"\bError ID: [\w-]+|(?<!group )\b(?=[\w.,:-]*[0-9])[\w.,:-]+")
_SERVICE = re.compile(r"(Mailchimp|CiviCRM) at ")


class Turn(StrEnum):
    """What is told of a trouble: that it is there, that it is still there, that it is over."""

    NEW = "new"
    AGAIN = "again"
    OVER = "over"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Met:
    """A trouble that a run met. `stops`: nothing of the audience is synced until it is over.

    `is_outage`: a service does not answer, which is told later, as most of that is over soon.
    `sizes`: of a held plan, how many people of each kind.
    """

    key: str
    kind: str
    message: str
    hint: str = ""
    stops: bool = True
    is_outage: bool = False
    sizes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Weighed:
    """The troubles to keep in mind, and what is told now, as (turn, trouble)."""

    troubles: list[KnownTrouble]
    news: list[tuple[Turn, KnownTrouble]]


def as_met(error: McsyncError) -> Met:
    """An audience's error; what makes it the same error in another run is its key."""
    is_outage = isinstance(error, RemoteUnavailable)
    service = _SERVICE.search(error.message)
    words = (service[1] if service else "") if is_outage else _VARIES.sub("#", error.message)
    key = f"{error.kind}: {words}"
    return Met(key, error.kind, error.message, error.hint or "", is_outage=is_outage)


def weigh(
    status: AudienceStatus,
    met: Sequence[Met],
    now: datetime,
    *,
    command: str = "sync",
    is_whole: bool = True,
    quiet: timedelta = timedelta(hours=1),
) -> Weighed:
    """Say what of an audience's troubles is told now.

    `is_whole`: the `command` did all that it does for this audience. `now` is our own clock's
    time; a stored time in the future counts as due.
    """
    known = {each.key: each for each in status.troubles}
    last_end = max(filter(None, (status.ended_at, status.synced_at)), default=None)
    may_wait = not is_over(last_end, quiet, now)
    troubles, news = [], []
    for each in met:
        before = known.pop(each.key, None)
        trouble = KnownTrouble(
            each.key,
            each.kind,
            each.message,
            each.hint,
            since=before.since if before else to_text(now),
            told_at=before.told_at if before else "",
            command=before.command if before else command,
            stops=each.stops,
        )
        if _is_due(trouble, each, status, now, may_wait=may_wait):
            news.append((Turn.AGAIN if trouble.told_at else Turn.NEW, trouble))
            trouble.told_at = to_text(now)
        troubles.append(trouble)
    for trouble in known.values():
        if not _is_gone(trouble, met, command, is_whole=is_whole):
            troubles.append(trouble)
        elif is_whole and trouble.told_at:
            news.append((Turn.OVER, trouble))
    return Weighed(troubles, news)


def _is_due(
    trouble: KnownTrouble, met: Met, status: AudienceStatus, now: datetime, *, may_wait: bool
) -> bool:
    if not trouble.told_at:
        return not (met.is_outage and may_wait)
    if met.sizes is not None and status.held_plan is not None:
        if has_grown(met.sizes, status.held_plan.told):
            return True
    elif not met.stops:
        return False
    return is_over(trouble.told_at, _A_DAY, now)


def _is_gone(trouble: KnownTrouble, met: Sequence[Met], command: str, *, is_whole: bool) -> bool:
    """Whether a trouble that was not met is over: its command went to the end, or further.

    Where a service is down nobody knows; another trouble that stops the audience takes its place.
    """
    if is_whole:
        return command in ("sync", trouble.command)
    return trouble.stops and any(each.stops and not each.is_outage for each in met)
