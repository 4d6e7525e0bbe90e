"""How `mcsync history` looks: a table, lines of JSON, CSV, or the one document."""

import json
from collections.abc import Mapping, Sequence
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
from mcsync.decision import REASONS
from mcsync.text import SIDES, count_of, text_of_change, text_of_time

if TYPE_CHECKING:
    from mcsync.answers.history import History
    from mcsync.answers.labels import Labels
    from mcsync.answers.status import Watched
    from mcsync.cache.trail import Change
    from mcsync.cli.state import State

_COLUMNS = ("Who", "At", "What", "Why")
COLUMNS = (  # of `describe_change`
    *("at", "run", "list_id", "email", "contact_id", "row_id"),
    *("side", "field", "before", "after", "reason", "sentence"),
)


def answer_history(
    state: "State", form: str | None, history: "History", audiences: "Sequence[Watched]"
) -> None:
    """Show the changes, oldest first."""
    told = map(describe_change, history.changes)
    if state.wants_json:
        state.answer = {"changes": list(told), "undone": dict(history.undone)}
    elif form == "jsonl":
        write_lines(map(json.dumps, told))
    elif form == "csv":
        show_csv(COLUMNS, (change.values() for change in told))
    else:
        _show(history, {watched.list_id: watched.name for watched in audiences})


def _show(history: "History", names: "Mapping[str, str]") -> None:
    changes = list(history.changes)
    if not changes:
        show_line("No changes.")
        return
    if is_terminal():
        _show_runs(changes, history, names)
    else:
        rows = [(show_time(each.at), each.run, *_row(each, history.labels)) for each in changes]
        show_table(("Time", "Run", *_COLUMNS), rows)
        runs = dict.fromkeys(each.run for each in changes)
        told = [f"Run {run} {said}." for run in runs if (said := _say_undo(run, history))]
        if told:
            show_gap()
        for line in told:
            show_line(line)
    if history.count is not None and len(changes) < history.count:
        show_gap()
        show_line(
            f"The newest {len(changes):,} of {count_of(history.count, 'change')};"
            " --all shows every one."
        )


def _say_undo(run: str, history: "History") -> str:
    """Which run a run undid, and by which it was undone."""
    told = [f"undid run {each}" for each, runs in history.undone.items() if run in runs]
    by = [each for each in history.undone.get(run, ()) if each != run]
    told += [f"was undone by run {' and '.join(by)}"] if by else []
    return " and ".join(told)


def _show_runs(changes: "list[Change]", history: "History", names: "Mapping[str, str]") -> None:
    """For a terminal: what the changes of a run have in common stands above them."""
    runs = groupby(changes, lambda change: (change.run, change.list_id))
    for number, ((run, list_id), group) in enumerate(runs):
        of_run = list(group)
        if number:
            show_gap()
        at = f"{text_of_time(of_run[0].at)}, " if of_run[0].at else ""
        undo = f", which {said}" if (said := _say_undo(run, history)) else ""
        show_heading(f"{at}{names.get(list_id, list_id)}, run {run}{undo}")
        show_table(_COLUMNS, [_row(change, history.labels) for change in of_run])


def _row(change: "Change", labels: "Labels") -> tuple[str, ...]:
    """The same words as those of a dry run."""
    who = change.email or (
        f"contact {change.contact_id}" if change.contact_id else f"row {change.row_id}"
    )
    what = text_of_change(labels.field(change.field), change.before, change.after)
    return who, SIDES[change.side], what, REASONS[change.reason]
