"""What is told of troubles now: a pure judgement on what was known, what was met, and the clock.

What is new or has changed is told at once, what stays as it is once a day, and its end once. What
stops no more than an interest is not told again. A service that is down is told only when the
audience was not synced for a while. What comes and goes is told once a day, and so is its end;
where its end was told and it is back, it is told again only once it has stayed for a while.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from mcsync.cache.audience_status import HELD, AudienceStatus, KnownTrouble
from mcsync.cache.times import to_text
from mcsync.errors import McsyncError, RemoteUnavailable
from mcsync.pipeline.run import is_over
from mcsync.reconcile.guards import has_grown
from mcsync.text import one_line

_A_DAY = timedelta(days=1)
# Counts, times and the ids that services give to their errors differ from run to run, and the
# trouble is the same; a group's id says which it is about. CiviCRM's ids may have no digit.
_VARIES = re.compile(r"\bError ID: [\w-]+|(?<!group )\b(?=[\w.,:-]*[0-9])[\w.,:-]+")
_STAGES = frozenset(("fetch", "reconcile", "submit", "process-batches"))
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
    """The troubles that are there, those over within a day, and what is told now of which."""

    troubles: list[KnownTrouble]
    past: list[KnownTrouble]
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
    past = {e.key: replace(e) for e in status.past_troubles if not is_over(e.over_at, _A_DAY, now)}
    last_end = max(filter(None, (status.ended_at, status.synced_at)), default=None)
    may_wait = not is_over(last_end, quiet, now)
    found = Weighed([], [], [])
    for each in met:
        before = known.pop(each.key, None) or _come_back(past.pop(each.key, None), now)
        trouble = _meet(each, before, command, now)
        if _is_due(trouble, each, status, now, quiet, may_wait=may_wait):
            found.news.append((Turn.AGAIN if trouble.told_at else Turn.NEW, trouble))
            trouble.told_at, trouble.sizes = to_text(now), dict(each.sizes or {})
        found.troubles.append(trouble)
    for before in known.values():
        trouble = replace(before, passed=_pass(before, command)) if is_whole else before
        if not _is_gone(trouble, status, met, command, is_whole=is_whole):
            found.troubles.append(trouble)
        elif trouble.told_at:
            past[trouble.key] = replace(trouble, over_at=to_text(now))
            if is_whole or trouble.key == HELD:
                _tell_end(past[trouble.key], found, now)
    for trouble in past.values():
        if is_whole and trouble.end_told_at:  # back and over within a day: that is told late
            _tell_end(trouble, found, now)
    found.past.extend(past.values())
    return found


def _meet(met: Met, before: KnownTrouble | None, command: str, now: datetime) -> KnownTrouble:
    """The trouble as it is now; a clock that was ahead may have noted when it began."""
    if before is None:
        before = KnownTrouble(met.key, met.kind, "", "", since=to_text(now), command=command)
    return replace(
        before,
        kind=met.kind,
        message=one_line(met.message),
        hint=one_line(met.hint),
        stops=met.stops,
        passed=[],
        since=min(before.since, to_text(now)),
    )


def _come_back(before: KnownTrouble | None, now: datetime) -> KnownTrouble | None:
    return replace(before, over_at="", back_at=to_text(now)) if before else None


def _was_told_over(trouble: KnownTrouble) -> bool:
    """Whether the last that was told of it is that it is over."""
    return bool(trouble.end_told_at) and trouble.end_told_at >= trouble.told_at


def _tell_end(trouble: KnownTrouble, found: Weighed, now: datetime) -> None:
    """Tell that it is over, at most once a day, and only whoever was told that it is there."""
    if not _was_told_over(trouble) and is_over(trouble.end_told_at, _A_DAY, now):
        trouble.end_told_at = to_text(now)
        found.news.append((Turn.OVER, trouble))


def _is_due(
    trouble: KnownTrouble,
    met: Met,
    status: AudienceStatus,
    now: datetime,
    quiet: timedelta,
    *,
    may_wait: bool,
) -> bool:
    if not trouble.told_at:
        return not (met.is_outage and may_wait)
    held = status.held_plan if met.sizes is not None else None
    if held and has_grown(met.sizes or {}, trouble.sizes or held.told):
        return True
    is_old = is_over(trouble.told_at, _A_DAY, now)
    if _was_told_over(trouble):
        return is_old or is_over(trouble.back_at, quiet, now)
    return is_old and (met.stops or held is not None)


def _pass(trouble: KnownTrouble, command: str) -> list[str]:
    return sorted({*trouble.passed, command})


def _is_gone(
    trouble: KnownTrouble,
    status: AudienceStatus,
    met: Sequence[Met],
    command: str,
    *,
    is_whole: bool,
) -> bool:
    """Whether a trouble that was not met is over: its command went to the end, or all have.

    Where a service is down nobody knows; another trouble that stops the audience takes its place.
    Of a held plan the status knows, whoever let it go.
    """
    if trouble.key == HELD:
        return status.held_plan is None
    if is_whole:
        return command in ("sync", trouble.command) or _STAGES.issubset(trouble.passed)
    return trouble.stops and any(each.stops and not each.is_outage for each in met)
