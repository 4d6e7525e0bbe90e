"""What a run would do, or did, for people: a table, CSV, JSON, or a line for each change."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mcsync.answers.labels import Labels, load_labels
from mcsync.cli.state import ChangesAsked, State
from mcsync.cli.tables import show_csv, show_gap, show_heading, show_line, show_table, write_lines
from mcsync.model import SUBSCRIPTION, GroupStatus, MemberStatus
from mcsync.pipeline.changes import (
    Affected,
    ChangeKind,
    Forecast,
    Line,
    find_done,
    find_planned,
    forecast,
    sum_up,
)
from mcsync.text import SIDES, count_of, one_line, text_of_change

if TYPE_CHECKING:
    from mcsync.pipeline.run import Report, Run

Kinds = Mapping[ChangeKind, Affected]

# What is told first, in this order, of what happens to a subscription; all else is only counted.
_IN_WORDS = {
    ("mailchimp", SUBSCRIPTION, MemberStatus.UNSUBSCRIBED): "unsubscribed (may be final)",
    ("mailchimp", SUBSCRIPTION, MemberStatus.ARCHIVED): "archived",
    ("mailchimp", SUBSCRIPTION, MemberStatus.SUBSCRIBED): "subscribed",
    ("mailchimp", SUBSCRIPTION, MemberStatus.PENDING): "asked to confirm",
    ("civicrm", SUBSCRIPTION, GroupStatus.REMOVED): "removed from the group",
    ("civicrm", SUBSCRIPTION, GroupStatus.ADDED): "added to the group",
    ("civicrm", "contact", "created"): "created in CiviCRM",
}


def show_changes(state: State, run: "Run", tells: ChangesAsked) -> bool:
    """Print what was asked for: the plan of a dry run, or the changes of a real one.

    Returns whether there are any; they are looked up only when somebody wants to know.
    """
    if tells.is_dry_run:
        return _show_dry_run(state, run, tells)
    if tells.print_changes and state.wants_json:
        return state.keep("changes", (line._asdict() for line in find_done(run))) > 0
    if tells.print_changes:
        return _show_lines(find_done(run), _load_labels(run)) > 0
    return tells.exit_code and any(True for _ in find_done(run))


def _show_dry_run(state: State, run: "Run", tells: ChangesAsked) -> bool:
    kinds = sum_up(find_planned(run))
    sizes = forecast(run, kinds)
    if state.wants_json:
        state.answer["forecast"] = [size._asdict() for size in sizes]
        state.keep("plan", (line._asdict() for line in find_planned(run)))
    elif tells.as_csv:
        show_csv(Line._fields, find_planned(run))
    else:
        _show_plan(run, kinds, sizes)
        if tells.in_full and kinds:
            show_gap()
            _show_lines(find_planned(run), _load_labels(run))
    return bool(kinds)


def _load_labels(run: "Run") -> Labels:
    return load_labels(run.store, [task.list_id for task in run.tasks])


def _show_lines(lines: Iterable[Line], labels: Labels) -> int:
    """One change a line; how many there were."""
    count = 0

    def count_each() -> Iterator[str]:
        nonlocal count
        for line in lines:
            count += 1
            what = text_of_change(labels.field(line.field), line.before, line.after)
            yield one_line(f"{SIDES[line.side]}: {line.who}: {what} ({line.why})")

    write_lines(count_each())
    return count


# --- the plan of a dry run ------------------------------------------------------------------------


def _show_plan(run: "Run", kinds: Kinds, sizes: Iterable[Forecast]) -> None:
    """What would be done to how many, then kind by kind, then what would come of it."""
    labels = _load_labels(run)
    judged = [report for report in run.reports.values() if report.error is None]
    for report in judged:
        show_line(f"{report.name}: {_text_in_short(report, _of(report, kinds))}")
    for report in judged:
        mine = _of(report, kinds)
        if mine and len(judged) > 1:
            show_gap()
            show_heading(report.name)
        show_kinds(mine, labels)
    if judged:
        show_gap()
    for size in sizes:
        report = run.reports[size.list_id]
        if report.error is None:
            _show_forecast(size, is_held=report.would_be_held is not None)


def _of(report: "Report", kinds: Kinds) -> Kinds:
    return {kind: found for kind, found in kinds.items() if kind.list_id == report.list_id}


def _text_in_short(report: "Report", kinds: Kinds) -> str:
    """What would be done in numbers, and whether a guard would hold it."""
    if not kinds:
        return "nothing would change"
    counts = dict.fromkeys(_IN_WORDS.values(), 0)
    others = 0
    for kind, affected in kinds.items():
        words = _IN_WORDS.get((kind.side, kind.field, kind.after or ""))
        if words:
            counts[words] += affected.count
        else:
            others += affected.count
    parts = [f"{count:,} {words}" for words, count in counts.items() if count]
    if parts:
        parts[0] = parts[0].replace(" ", " would be ", 1)
    if others:
        parts.append(count_of(others, "change to other data", "changes to other data"))
    held = report.would_be_held
    guard = f"would be held: {held.replace('would ', '')}" if held else "nothing would be held"
    return f"{', '.join(parts)}; {guard}"


def show_kinds(kinds: Kinds, labels: Labels) -> None:
    """A table for each side; people of one kind share a row."""
    for side, at in SIDES.items():
        rows = [
            (
                _text_of_kind(kind, labels),
                f"{found.count:,}",
                f"{kind.why}: {_text_of_first(found)}",
            )
            for kind, found in kinds.items()
            if kind.side == side
        ]
        if rows:
            show_gap()
            show_table((f"At {at}", "People", "Why, and who"), rows, numbers=[1])


def _text_of_kind(kind: ChangeKind, labels: Labels) -> str:
    if kind.field == "contact" or kind.after:
        return text_of_change(labels.field(kind.field), kind.before, kind.after)
    return f"{labels.field(kind.field)}: changed"


def _text_of_first(found: Affected) -> str:
    more = found.count - len(found.first)
    return ", ".join(found.first) + (f" and {more:,} more" if more else "")


def _show_forecast(size: Forecast, *, is_held: bool) -> None:
    then_if = " if nothing is held" if is_held else ""
    now = _text_of_size(size.subscribed_now, size.pending_now)
    then = _text_of_size(size.subscribed_then, size.pending_then)
    show_line(f"{size.name}: {now} now, {then} then{then_if}")
    show_line(
        f"{size.name}: counted for Mailchimp's bill (subscribed, unsubscribed and non-subscribed):"
        f" {size.billed_now:,} now, {size.billed_then:,} then{then_if}"
    )


def _text_of_size(number: int, pending: int) -> str:
    """How many members there are; those who have yet to confirm are counted apart."""
    subscribed = f"{number - pending:,} subscribed"
    return f"{subscribed} and {pending:,} pending" if pending else subscribed
