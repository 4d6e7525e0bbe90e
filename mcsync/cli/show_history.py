"""How `mcsync history` looks: a table, lines of JSON, CSV, or the one document."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from mcsync.answers.describe import describe_change
from mcsync.answers.explain import show_time
from mcsync.cli.tables import (
    is_terminal,
    show_csv,
    show_gap,
    show_heading,
    show_line,
    show_table,
    write_lines,
)
from mcsync.model import SUBSCRIPTION
from mcsync.text import text_of_move

if TYPE_CHECKING:
    from mcsync.cache.trail import Change
    from mcsync.cli.state import State

COLUMNS = (  # of `describe_change`
    *("at", "run", "list_id", "email", "contact_id", "row_id"),
    *("side", "field", "before", "after", "reason", "sentence"),
)


def answer_history(state: "State", form: str | None, changes: "Iterable[Change]") -> None:
    """Show the changes, oldest first."""
    if state.wants_json:
        state.answer = {"changes": [describe_change(change) for change in changes]}
    elif form == "jsonl":
        write_lines(json.dumps(describe_change(change)) for change in changes)
    elif form == "csv":
        show_csv(COLUMNS, (describe_change(change).values() for change in changes))
    else:
        _show(list(changes))


def _show(changes: "list[Change]") -> None:
    if not changes:
        show_line("No changes.")
        return
    if not is_terminal():
        columns = ("time", "run", "who", "side", "what", "change", "why")
        show_table(columns, [_row(change) for change in changes])
        return
    runs = groupby(changes, lambda change: (change.run, change.list_id))
    for number, ((run, list_id), group) in enumerate(runs):
        of_run = list(group)
        if number:
            show_gap()
        show_heading(f"Run {run}, {show_time(of_run[0].at)}, audience {list_id}")
        show_table(("who", "change", "why"), [_short_row(change) for change in of_run])


def _row(change: "Change") -> tuple[object, ...]:
    return (
        *(show_time(change.at), change.run, _who(change), change.side, change.field),
        *(text_of_move(change.field, change.before, change.after), change.reason),
    )


def _short_row(change: "Change") -> tuple[object, ...]:
    """The same for a terminal, where the run stands above."""
    field = "" if change.field == SUBSCRIPTION else f"{change.field} "
    moved = text_of_move(change.field, change.before, change.after)
    return _who(change), f"{change.side}: {field}{moved}", change.reason


def _who(change: "Change") -> str:
    someone = f"contact {change.contact_id}" if change.contact_id else f"row {change.row_id}"
    return change.email or someone
