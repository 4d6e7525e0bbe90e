"""What a run would do, or did: each change as one line, with totals and a forecast.

A dry run leaves its decisions where every run leaves them, in its copy of the cache: what it
would have written to CiviCRM in the audit trail, what it would send to Mailchimp in the outbox.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mcsync.cache.counts import count_rows
from mcsync.cache.looks import read_written
from mcsync.cache.outbox import load_queued, load_row_state
from mcsync.cache.trail import Change, load_changes
from mcsync.decision import REASONS
from mcsync.model import IN, SUBSCRIPTION, MemberStatus, Side
from mcsync.pipeline.results import describe_changes
from mcsync.pipeline.run import Run, Task

_PENDING = MemberStatus.PENDING.value


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


class Forecast(NamedTuple):
    """How many members are subscribed or pending now, and how many would be after the plan.

    `pending_now` and `pending_then` are those of them who have been asked and get no mail yet.
    """

    list_id: str
    name: str
    subscribed_now: int
    subscribed_then: int
    pending_now: int
    pending_then: int


def load_done(run: Run) -> list[Line]:
    """What this run wrote, and what became known of what earlier ones sent."""
    return [_line(change) for change in load_changes(run.store, run.run_id)]


def load_plan_lines(run: Run) -> list[Line]:
    """What a dry run would write to CiviCRM, and what is queued for Mailchimp."""
    lines = [_line(c) for c in load_changes(run.store, run.run_id) if c.side is Side.CIVICRM]
    for task in run.tasks:
        lines += [_line(change) for change in _load_queued_changes(run, task)]
    return lines


def _load_queued_changes(run: Run, task: Task) -> Iterator[Change]:
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


def count_kinds(lines: Iterable[Line]) -> Counter[tuple[str, str, str, str]]:
    """How many changes there are of each kind: side, field, before, after."""
    return Counter((x.side, x.field, x.before or "", x.after or "") for x in lines)


def forecast(run: Run, lines: Sequence[Line]) -> list[Forecast]:
    """The audiences' sizes now and after the plan."""
    sizes = []
    for task in run.tasks:
        counts = count_rows(run.store, task.list_id)
        now = sum(each.count for each in counts if each.member_status in IN)
        asked = sum(each.count for each in counts if each.member_status == _PENDING)
        mine = [
            line
            for line in lines
            if line.list_id == task.list_id
            and line.side == Side.MAILCHIMP.value
            and line.field == SUBSCRIPTION
        ]
        more = sum(x.after in IN and x.before not in IN for x in mine)
        less = sum(x.after not in IN and x.before in IN for x in mine)
        asked_then = asked + sum((x.after == _PENDING) - (x.before == _PENDING) for x in mine)
        then = now + more - less
        sizes.append(Forecast(task.list_id, task.name, now, then, asked, asked_then))
    return sizes
