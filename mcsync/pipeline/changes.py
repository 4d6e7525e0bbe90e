"""What a run would do, or did: each change as one line, what they have in common, a forecast.

A dry run leaves its decisions where every run leaves them, in its copy of the cache: what it
would have written to CiviCRM in the audit trail, what it would send to Mailchimp in the outbox.
Lines are read one by one, as often as they are asked for: there may be a hundred thousand.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mcsync.cache.counts import count_rows
from mcsync.cache.looks import read_written
from mcsync.cache.outbox import load_queued, load_row_state
from mcsync.cache.trail import Asked, Change, find_changes
from mcsync.decision import REASONS
from mcsync.model import IN, SUBSCRIPTION, GroupStatus, MemberStatus, Side
from mcsync.pipeline.results import describe_changes
from mcsync.pipeline.run import Run, Task

_SHOWN = 3  # people of one kind who are named
_COMMON_VALUES = frozenset(("yes", "no", "created", *MemberStatus, *GroupStatus))
# Mailchimp's support on how contacts are billed: subscribed, unsubscribed and non-subscribed ones
# count, archived ones do not. Guess: nor do cleaned and pending ones, which it does not name.
_BILLED = (MemberStatus.SUBSCRIBED, MemberStatus.UNSUBSCRIBED, MemberStatus.TRANSACTIONAL)


class Line(NamedTuple):
    """One change for people: who, at which end, what, and why (a code and a sentence).

    The names are those of JSON and CSV.
    """

    list_id: str
    side: str
    field: str
    before: str | None
    after: str | None
    email: str | None
    contact_id: int | None
    reason: str
    why: str

    @property
    def who(self) -> str:
        """The person, as they are named to people."""
        return self.email or f"contact {self.contact_id}"


class ChangeKind(NamedTuple):
    """What changes have in common; `before` and `after` are None where everybody has their own."""

    list_id: str
    side: str
    field: str
    before: str | None
    after: str | None
    why: str


@dataclass(slots=True)
class Affected:
    """How many changes there are of one kind, and the first few people."""

    count: int = 0
    first: list[str] = field(default_factory=list)


class Forecast(NamedTuple):
    """How many members are subscribed or pending now, and how many would be after the plan.

    `pending_now` and `pending_then` are those of them who have been asked and get no mail yet.
    `billed_now` and `billed_then` are those who count for what Mailchimp charges.
    """

    list_id: str
    name: str
    subscribed_now: int
    subscribed_then: int
    pending_now: int
    pending_then: int
    billed_now: int
    billed_then: int


def find_done(run: Run) -> Iterator[Line]:
    """What this run wrote, and what became known of what earlier ones sent."""
    return map(_line, _find_written(run))


def find_planned(run: Run) -> Iterator[Line]:
    """What a dry run would write to CiviCRM, and what is queued for Mailchimp."""
    yield from (_line(change) for change in _find_written(run) if change.side is Side.CIVICRM)
    for task in run.tasks:
        yield from map(_line, _find_queued(run, task))


def _find_written(run: Run) -> Iterator[Change]:
    asked = Asked(list_ids=[task.list_id for task in run.tasks], after=run.newest_change)
    return find_changes(run.store, asked)


def _find_queued(run: Run, task: Task) -> Iterator[Change]:
    for update in load_queued(run.store, task.list_id):
        row = load_row_state(run.store, update.row_id)
        if row is not None:
            written = read_written(update.change, update.cause)
            yield from describe_changes(run, task, update, row, written)


def _line(change: Change) -> Line:
    return Line(
        list_id=change.list_id,
        side=change.side.value,
        field=change.field,
        before=change.before,
        after=change.after,
        email=change.email,
        contact_id=change.contact_id,
        reason=change.reason.value,
        why=REASONS[change.reason],
    )


def sum_up(lines: Iterable[Line]) -> dict[ChangeKind, Affected]:
    """The kinds of changes, the same change of most people first: few, however many lines."""
    found: dict[ChangeKind, Affected] = {}
    totals: Counter[tuple[str | None, ...]] = Counter()
    for line in lines:
        before = line.before if line.before in _COMMON_VALUES else None
        after = line.after if line.after in _COMMON_VALUES else None
        kind = ChangeKind(line.list_id, line.side, line.field, before, after, line.why)
        affected = found.setdefault(kind, Affected())
        affected.count += 1
        totals[kind[:-1]] += 1
        if len(affected.first) < _SHOWN:
            affected.first.append(line.who)
    order = {same: place for place, (same, _) in enumerate(totals.most_common())}
    return dict(sorted(found.items(), key=lambda item: (order[item[0][:-1]], -item[1].count)))


def forecast(run: Run, kinds: Mapping[ChangeKind, Affected]) -> list[Forecast]:
    """The audiences' sizes now and after the plan."""
    sizes = []
    rows = count_rows(run.store, [task.list_id for task in run.tasks])
    for task in run.tasks:
        now: Counter[str | None] = Counter()
        for each in rows[task.list_id]:
            now[each.member_status] += each.count
        then = now.copy()
        for kind, affected in kinds.items():
            of_members = (task.list_id, Side.MAILCHIMP.value, SUBSCRIPTION)
            if (kind.list_id, kind.side, kind.field) == of_members:
                then[kind.before] -= affected.count
                then[kind.after] += affected.count
        counts = [
            sum(at[status] for status in statuses)
            for statuses in (IN, (MemberStatus.PENDING,), _BILLED)
            for at in (now, then)
        ]
        sizes.append(Forecast(task.list_id, task.name, *counts))
    return sizes
