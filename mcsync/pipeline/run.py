"""One run: what the stages work on, what they count, and whose trouble stops whom."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, cast

from mcsync.cache.audience_status import KnownTrouble
from mcsync.cache.store import Store, make_uid
from mcsync.cache.times import from_text
from mcsync.cache.trail import find_newest_change
from mcsync.decision import Policy
from mcsync.errors import (
    CacheError,
    ConfigError,
    GuardTripped,
    McsyncError,
    Part,
    PartialFailure,
    ProtocolError,
    RemoteRefused,
    RemoteUnavailable,
    SnapshotError,
    UsageError,
)
from mcsync.model import MemberChange, MemberStatus, Side
from mcsync.pipeline.ports import CivicrmPort, DataPluginsPort, MailchimpPort
from mcsync.safety import Safety

log = logging.getLogger("mcsync")

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Task:
    """One audience to be worked on: its rules, its account, its limits.

    `account` names the account without telling its key, `key_print` is a fingerprint of the key.
    `trust_override` is the config's. `common_groups` are those of this audience that another one
    of the config is about too.
    """

    policy: Policy
    name: str
    account: str
    mailchimp: MailchimpPort
    safety: Safety
    contact_source: str = "mailchimpsync"
    key_print: str = ""
    trust_override: Mapping[str, Side] = field(default_factory=dict)
    common_groups: frozenset[int] = frozenset()

    @property
    def list_id(self) -> str:
        """The audience's id at Mailchimp."""
        return self.policy.list_id

    @property
    def group_ids(self) -> list[int]:
        """All CiviCRM groups that this audience is about, the subscription's first."""
        return self.policy.group_ids


@dataclass(slots=True)
class Report:
    """What a run did for one audience; every number is of this run. Names are those of `--json`.

    `known` are its troubles as they stand after the run, once that is known.
    """

    list_id: str
    name: str
    group_id: int
    members_fetched: int = 0
    members_changed: int = 0
    contacts_matched: int = 0
    contacts_created: int = 0
    civicrm_only_added: int = 0
    todo: int = 0
    added_to_group: int = 0
    removed_from_group: int = 0
    names_updated: int = 0
    updates_queued: int = 0
    operations_submitted: int = 0
    batches_submitted: int = 0
    batches_processed: int = 0
    operations_ok: int = 0
    operations_failed: int = 0
    asked_to_confirm: int = 0
    failed: int = 0
    given_up: int = 0
    in_sync: bool = False
    postponed: int = 0
    would_be_held: str | None = None
    held: GuardTripped | None = None
    error: McsyncError | None = None
    known: list[KnownTrouble] | None = None

    @property
    def trouble(self) -> McsyncError | None:
        """What went wrong, or is held."""
        return self.error or self.held

    @property
    def troubles(self) -> list[McsyncError]:
        """What is held, and what went wrong: in one run it may be both."""
        return [each for each in (self.held, self.error) if each is not None]

    def count_sent(self, changes: Iterable[MemberChange]) -> None:
        """These changes were sent; who is to become pending gets a mail from Mailchimp."""
        for change in changes:
            self.operations_submitted += 1
            self.asked_to_confirm += change.status is MemberStatus.PENDING

    def as_dict(self) -> dict[str, object]:
        """The numbers for `--json`, and the error's kind and message if there was one."""
        data: dict[str, object] = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ("error", "held", "known")
        }
        if self.trouble is not None:
            data["error"] = {"kind": self.trouble.kind, "message": self.trouble.message}
        data["troubles"] = [
            each.as_dict()
            if isinstance(each, KnownTrouble)
            else {"kind": each.kind, "message": each.message, "hint": each.hint}
            for each in (self.troubles if self.known is None else self.known)
        ]
        return data

    def sum_up(self) -> dict[str, int]:
        """The counts alone."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {k: v for k, v in values.items() if type(v) is int and k != "group_id"}


class OutOfTime(Exception):
    """The time given to this run is over; everything done so far is kept, the next goes on."""


class Progress(Protocol):
    """Is told how many are done: of an audience, or of CiviCRM, in the course of one work."""

    def __call__(self, audience: str, what: str, count: int, of: int = 0, /) -> None:
        """`of` is how many there are in all, 0 where nobody knows."""


def _no_progress(_audience: str, _what: str, _count: int, _of: int = 0) -> None:
    """Nobody watches."""


@dataclass(slots=True)
class Run:
    """One run over some audiences. Its CiviCRM is shared by all of them.

    With data, the data step of an audience is done at most every `data_every_hours`; `plugins`
    are those asked in it. `clock` is our own time, good for schedules only; `site_now` was
    CiviCRM's when the run began. `doubted_groups` are not believed in this run;
    `stopped_interests`, by list id, are left alone, each with the reason.
    `newest_update` is the newest one there was when the audience at hand began to be judged,
    `newest_change` the newest in the trail when the run began;
    `trying` are the webhooks, by id in the queue, that are being handled; `refused_data`: by list
    id, of how many people Mailchimp did not take which merge field.
    `has_read_everybody`: every contact of the site that concerns us is in the mirror.
    `unknown_fields` are those that CiviCRM does not show, by all that were asked for; `answers`,
    by question, what is asked once in a run.
    """

    store: Store
    civicrm: CivicrmPort
    tasks: tuple[Task, ...]
    clock: Callable[[], datetime]
    full_compare_hours: float = 24
    full_fetch_days: float = 7
    backups: int = 0
    history_days: int = 365
    quiet_minutes: float = 60
    progress: Progress = _no_progress
    is_forced: bool = False
    with_data: bool = False
    plugins: DataPluginsPort | None = None
    data_every_hours: float | None = None
    is_dry_run: bool = False
    deadline: float | None = None
    is_cut: bool = False
    site_now: datetime | None = None
    knows_accounts: bool = False
    newest_update: int | None = None
    newest_change: int = 0
    refused_data: dict[str, Counter[str]] = field(default_factory=dict)
    trying: list[int] = field(default_factory=list)
    doubted_groups: set[int] = field(default_factory=set)
    stopped_interests: dict[str, dict[str, str]] = field(default_factory=dict)
    has_read_everybody: bool = False
    unknown_fields: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    webhooks_given_up: int = 0
    answers: dict[Hashable, Any] = field(default_factory=dict)
    run_id: str = field(default_factory=make_uid)
    reports: dict[str, Report] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.newest_change = find_newest_change(self.store)
        for task in self.tasks:
            self.reports[task.list_id] = Report(task.list_id, task.name, task.policy.group_id)

    def check_time(self) -> None:
        """Raise OutOfTime when the run's time is over; called where it may safely stop.

        `deadline` is a time of `time.monotonic`.
        """
        if self.is_late:
            self.is_cut = True
            raise OutOfTime

    @property
    def is_late(self) -> bool:
        """Whether the run's time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def ask_once(self, question: Hashable, ask: Callable[[], A]) -> A:
        """The answer to a question, from earlier in this run if it was asked before."""
        if question not in self.answers:
            self.answers[question] = ask()
        return cast(A, self.answers[question])

    def earliest_now(self) -> datetime:
        """The time, by whichever clock is behind: what is deleted for its age is surely as old."""
        clocks = [self.clock(), *([self.site_now] if self.site_now else [])]
        return min(clocks)

    @property
    def tracking(self) -> str:
        """What our rows in CiviCRM's subscription history carry, so that we know them again."""
        return f"mcsync {self.run_id}"

    def report(self, task: Task) -> Report:
        """The report of an audience."""
        return self.reports[task.list_id]

    def healthy_tasks(self) -> Iterator[Task]:
        """Audiences that no trouble has stopped in this run."""
        for task in self.tasks:
            if self.report(task).error is None:
                yield task

    @contextmanager
    def isolated(self, task: Task) -> Iterator[None]:
        """Keep an audience's trouble to this audience; `raise_troubles` tells it at the end.

        Trouble with the cache is trouble with the run.
        """
        try:
            yield
        except CacheError:
            raise
        except McsyncError as error:
            log.info("%s is skipped: %s", task.name, error.message.removeprefix(f"{task.name}: "))
            self.report(task).error = error

    def blame(self, error: McsyncError) -> None:
        """Trouble that ended the whole run is that of every audience that has none of its own.

        Trouble with the cache, or with what was asked for, is nobody's: it is raised again.
        """
        if isinstance(error, CacheError | UsageError):
            raise error
        for task in self.healthy_tasks():
            self.report(task).error = error

    def raise_troubles(self) -> None:
        """Raise what went wrong with audiences, once all of them had their turn.

        When nothing but one kind of trouble befell every audience, it is that trouble; when
        guards held what they held, it is the guard; anything else is a partial failure. In any
        case each trouble is told, with its own next step.
        """
        worst = [each.trouble for each in self.reports.values() if each.trouble is not None]
        if not worst:
            return
        parts = _tell_apart(list(self.reports.values()))
        all_failed = len(worst) == len(self.reports)
        kind = _find_kind(worst)
        if not all_failed and kind is not GuardTripped:
            kind = PartialFailure
        error = worst[0] if len(parts) == 1 and isinstance(worst[0], kind) else None
        if error is None:
            message = "; ".join(part.message for part in parts)
            if kind is PartialFailure:
                message = f"{len(worst)} of {len(self.reports)} audiences failed: {message}"
            hints = dict.fromkeys(part.hint for part in parts if part.hint)
            error = kind(message, hint="; ".join(hints) or None)
        error.parts = parts
        error.is_news = any(part.is_news for part in parts)
        raise error


_MOST_NAMES = 5
_KINDS = (
    *(GuardTripped, ConfigError, RemoteRefused, ProtocolError, RemoteUnavailable),
    SnapshotError,
)


def _find_kind(errors: Sequence[McsyncError]) -> type[McsyncError]:
    """What all errors are; a partial failure if they are not of one kind."""
    common = (kind for kind in _KINDS if all(isinstance(error, kind) for error in errors))
    return next(common, PartialFailure)


def _tell_apart(reports: Sequence[Report]) -> tuple[Part, ...]:
    """Each trouble once; which audiences it befell is said, unless it befell all.

    Two audiences may have one name: then what is to be done tells their troubles apart.
    """
    found: dict[tuple[str, str | None], tuple[list[Report], list[McsyncError]]] = {}
    for report in reports:
        for error in report.troubles:
            befallen, errors = found.setdefault((error.message, error.hint), ([], []))
            befallen.append(report)
            errors.append(error)
    return tuple(
        Part(
            with_names(message, [r.name for r in befallen], len(reports)),
            hint,
            any(error.is_news for error in errors),
        )
        for (message, hint), (befallen, errors) in found.items()
    )


def with_names(message: str, names: Sequence[str], of: int) -> str:
    """A message that says which of so many audiences it is about; not if it is about all."""
    is_named = message.startswith(f"{names[0]}:")  # who is called Mailchimp begins many a message
    return message if is_named or len(names) == of else f"{list_names(names)}: {message}"


def list_names(names: Sequence[str]) -> str:
    """The names of some audiences, the first few of many."""
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {more:,} more" if more > 0 else shown


def with_trust(task: Task, trust: Mapping[str, Side], trusted_at: datetime) -> Task:
    """The same audience, with a side to be trusted as it was at a time."""
    policy = replace(task.policy, trust=dict(trust), trusted_at=trusted_at)
    return replace(task, policy=policy)


def is_over(since: str | None, length: timedelta, now: datetime) -> bool:
    """Whether something stored at a time is as old as that; a time in the future was a mistake."""
    if not since:
        return True
    begun = from_text(since)
    return now >= begun + length or begun > now + _SKEW


_SKEW = timedelta(minutes=5)  # two clocks that are right may differ by so much
