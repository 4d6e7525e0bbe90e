"""One run: what the stages work on, what they count, and whose trouble stops whom."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from mcsync.cache.store import Store, make_uid
from mcsync.errors import CacheError, GuardTripped, McsyncError, PartialFailure
from mcsync.model import Policy, Side
from mcsync.pipeline.ports import CivicrmPort, DataPluginsPort, MailchimpPort
from mcsync.reconcile.guards import Ceilings

log = logging.getLogger("mcsync")


@dataclass(frozen=True, slots=True)
class Task:
    """One audience to be worked on: its rules, its account, its limits.

    `account` names the account without telling its key. `trust_override` is the config's.
    """

    policy: Policy
    name: str
    account: str
    mailchimp: MailchimpPort
    ceilings: Ceilings
    contact_source: str = "mailchimpsync"
    trust_override: Mapping[str, Side] = field(default_factory=dict)

    @property
    def list_id(self) -> str:
        """The audience's id at Mailchimp."""
        return self.policy.list_id

    @property
    def group_ids(self) -> list[int]:
        """All CiviCRM groups that this audience is about, the subscription's first."""
        return [self.policy.group_id, *(i.group_id for i in self.policy.interests.values())]


@dataclass(slots=True)
class Report:
    """What a run did for one audience; every number is of this run. Names are those of `--json`."""

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
    failed: int = 0
    in_sync: bool = False
    postponed: int = 0
    would_be_held: str | None = None
    error: McsyncError | None = None

    def as_dict(self) -> dict[str, object]:
        """The numbers for `--json`, and the error's kind and message if there was one."""
        data: dict[str, object] = {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "error"
        }
        if self.error is not None:
            data["error"] = {"kind": self.error.kind, "message": self.error.message}
        return data


class OutOfTime(Exception):
    """The time given to this run is over; everything done so far is kept, the next goes on."""


Progress = Callable[[str, str, int], None]


def _no_progress(_audience: str, _what: str, _count: int) -> None:
    """Nobody watches."""


@dataclass(slots=True)
class Run:
    """One run over some audiences. Its CiviCRM is shared by all of them.

    With data, the data step of an audience is done at most every `data_every_hours`; `plugins`
    are those asked in it.
    """

    store: Store
    civicrm: CivicrmPort
    tasks: tuple[Task, ...]
    clock: Callable[[], datetime]
    full_compare_hours: float = 24
    history_days: int = 365
    progress: Progress = _no_progress
    is_forced: bool = False
    with_data: bool = False
    plugins: DataPluginsPort | None = None
    data_every_hours: float | None = None
    is_dry_run: bool = False
    deadline: float | None = None
    is_cut: bool = False
    run_id: str = field(default_factory=make_uid)
    reports: dict[str, Report] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for task in self.tasks:
            self.reports[task.list_id] = Report(task.list_id, task.name, task.policy.group_id)

    def check_time(self) -> None:
        """Raise OutOfTime when the run's time is over; called where it may safely stop.

        `deadline` is a time of `time.monotonic`.
        """
        if self.deadline is not None and time.monotonic() >= self.deadline:
            self.is_cut = True
            raise OutOfTime

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
            log.info("%s is stopped: %s", task.name, error.message)
            self.report(task).error = error

    def raise_troubles(self) -> None:
        """Raise what went wrong with audiences, once all of them had their turn.

        When nothing but one kind of trouble befell every audience, it is that trouble; when
        guards held what they held, it is the guard; anything else is a partial failure.
        """
        errors = [report.error for report in self.reports.values() if report.error is not None]
        if not errors:
            self._raise_failed_people()
            return
        kinds = {type(error) for error in errors}
        if kinds == {GuardTripped} or (len(kinds) == 1 and len(errors) == len(self.reports)):
            raise errors[0]
        raise PartialFailure(
            f"{len(errors)} of {len(self.reports)} audiences failed: "
            + "; ".join(error.message for error in errors),
            hint=next((error.hint for error in errors if error.hint), None),
        )

    def _raise_failed_people(self) -> None:
        failed = sum(report.failed for report in self.reports.values())
        if failed:
            raise PartialFailure(
                f"CiviCRM refused what {failed} {'person needs' if failed == 1 else 'people need'}",
                hint="mcsync status --reason refused-by-civicrm",
            )


def with_trust(task: Task, trust: Mapping[str, Side]) -> Task:
    """The same audience, with one side to be trusted."""
    return replace(task, policy=replace(task.policy, trust=dict(trust)))


def count_of(number: int, noun: str) -> str:
    """A number with its noun: "1 member", "1,200 members"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
