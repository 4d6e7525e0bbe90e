"""What a run would do, or did, for people: a table, CSV, JSON, or a line for each change."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcsync.cli.state import ChangesAsked, State
from mcsync.cli.tables import (
    show_csv,
    show_gap,
    show_heading,
    show_line,
    show_table,
    write_lines,
)
from mcsync.pipeline.changes import (
    Forecast,
    Line,
    count_kinds,
    forecast,
    load_done,
    load_plan_lines,
)
from mcsync.text import SIDES, one_line, text_of_change

if TYPE_CHECKING:
    from mcsync.pipeline.run import Run


def show_changes(state: State, run: "Run", tells: ChangesAsked) -> bool:
    """Print what was asked for: the plan of a dry run, or the changes of a real one.

    Returns whether there are any; they are looked up only when somebody wants to know.
    """
    if tells.is_dry_run:
        lines = load_plan_lines(run)
        sizes = forecast(run, lines)
        state.answer["plan"] = [line._asdict() for line in lines]
        state.answer["forecast"] = [size._asdict() for size in sizes]
        if not state.wants_json:
            _show_csv(lines) if tells.as_csv else _show_plan(run, lines, sizes)
        return bool(lines)
    if not (tells.print_changes or tells.exit_code):
        return False
    lines = load_done(run)
    if tells.print_changes:
        state.answer["changes"] = [line._asdict() for line in lines]
        if not state.wants_json:
            write_lines(one_line(_text_of_line(line)) for line in lines)
    return bool(lines)


def _text_of_line(line: Line) -> str:
    """One change as one line."""
    what = text_of_change(line.field, line.before, line.after)
    return f"{SIDES[line.side]}: {_text_of_who(line)}: {what} ({line.why})"


def _text_of_who(line: Line) -> str:
    return line.email or f"contact {line.contact_id}"


def _show_csv(lines: Sequence[Line]) -> None:
    show_csv(Line._fields, lines)


def _show_plan(run: "Run", lines: Sequence[Line], sizes: Sequence[Forecast]) -> None:
    if not lines:
        show_line("Nothing would change.")
    else:
        show_table(
            ("Who", "At", "What", "Why"),
            [
                (_text_of_who(x), SIDES[x.side], text_of_change(x.field, x.before, x.after), x.why)
                for x in lines
            ],
        )
        show_gap()
        show_heading("In total")
        for (side, field, before, after), count in sorted(count_kinds(lines).items()):
            what = text_of_change(field, before or None, after or None)
            show_line(f"{count:,} at {SIDES[side]}: {what}", 2)
    show_gap()
    for size in sizes:
        held = run.reports[size.list_id].would_be_held
        now = _text_of_size(size.subscribed_now, size.pending_now)
        then = _text_of_size(size.subscribed_then, size.pending_then)
        show_line(f"{size.name}: {now} now, {then} then")
        if held:
            show_line(f"{size.name}: a guard would hold this plan: {held}")


def _text_of_size(number: int, pending: int) -> str:
    """How many members there are; those who have yet to confirm are counted apart."""
    subscribed = f"{number - pending:,} subscribed"
    return f"{subscribed} and {pending:,} pending" if pending else subscribed
