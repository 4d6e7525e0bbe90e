"""Every error mcsync foresees, and every exit code it can end with.

An error carries facts and one next step; `cli` words it for people and scripts in one place.
The numbers from 69 to 78 are those of sysexits.h, those from 129 up 128 and the signal that ended
the run; a code never changes its meaning.
"""

from enum import IntEnum
from typing import ClassVar, NamedTuple


class ExitCode(IntEnum):
    """What the process tells the shell; "mcsync help commands" says what to do about each."""

    OK = 0
    USAGE = 2
    PARTIAL = 3
    GUARDED = 4
    STALE = 5
    DIFFERENT = 10
    UNAVAILABLE = 69
    BUG = 70
    CACHE = 74
    LOCKED = 75
    PROTOCOL = 76
    REFUSED = 77
    CONFIG = 78
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class Part(NamedTuple):
    """One of the troubles that an error stands for, as it is told, with its own next step."""

    message: str
    hint: str | None
    is_news: bool


class McsyncError(Exception):
    """A failure we foresaw: one sentence for the operator and, if any, what to try next.

    `problems` lists what is wrong, if several things may be, as (JSON path or option, what).
    """

    kind: ClassVar[str]
    exit_code: ClassVar[ExitCode]
    is_news = True  # False: the same was reported before, and cron need not mail it again
    parts: tuple[Part, ...] = ()

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        problems: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = problems


class PartialFailure(McsyncError):
    """The run went to its end, but an audience, or something that no rule refused, failed."""

    kind = "partial-failure"
    exit_code = ExitCode.PARTIAL


class GuardTripped(McsyncError):
    """Some kinds of change were more than their limits; these are held, all else was written."""

    kind = "guard-tripped"
    exit_code = ExitCode.GUARDED


class StaleSync(McsyncError):
    """The last complete sync of an audience is longer ago than was asked for."""

    kind = "stale-sync"
    exit_code = ExitCode.STALE


class RemoteUnavailable(McsyncError):
    """A remote did not answer, after all retries; the next run tries again.

    `may_have_arrived` is False only when what was asked for was surely not done.
    """

    kind = "remote-unavailable"
    exit_code = ExitCode.UNAVAILABLE
    may_have_arrived: bool = True


class ProtocolError(McsyncError):
    """A remote answered something we do not understand, so we believe none of it."""

    kind = "protocol-error"
    exit_code = ExitCode.PROTOCOL


class RemoteRefused(McsyncError):
    """A remote refused our key, or the key lacks a permission; repeating it would not help."""

    kind = "remote-refused"
    exit_code = ExitCode.REFUSED


class CacheError(McsyncError):
    """The cache file cannot be opened, read or migrated."""

    kind = "cache-error"
    exit_code = ExitCode.CACHE


class AnswerLost(McsyncError):
    """The answer could not be written to stdout."""

    kind = "answer-lost"
    exit_code = ExitCode.CACHE  # EX_IOERR: a disk wants to be looked at


class SnapshotError(McsyncError):
    """A snapshot cannot be written: trouble with one audience, unlike that with the cache."""

    kind = "snapshot-failed"
    exit_code = ExitCode.CACHE


class LockHeld(McsyncError):
    """Another run is at work on the same cache."""

    kind = "lock-held"
    exit_code = ExitCode.LOCKED


class ConfigError(McsyncError):
    """The config is wrong; `problems` has all that is."""

    kind = "config-error"
    exit_code = ExitCode.CONFIG


class UsageError(McsyncError):
    """The options cannot be followed, for a reason that Click itself cannot see."""

    kind = "usage-error"
    exit_code = ExitCode.USAGE
