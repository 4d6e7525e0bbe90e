"""How `mcsync history` looks: a table, lines of JSON, CSV, or the one document."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from mcsync.answers.describe import describe_change
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
    described = (describe_change(change) for change in changes)
    if state.wants_json:
        state.answer = {"changes": list(described)}
    elif form == "jsonl":
        write_lines(json.dumps(change) for change in described)
    elif form == "csv":
        show_csv(COLUMNS, (change.values() for change in described))
    else:
        _show(list(described))


def _show(changes: list[dict[str, object]]) -> None:
    if not changes:
        show_line("No changes.")
        return
    if not is_terminal():
        columns = ("time", "run", "who", "side", "what", "change", "why")
        show_table(columns, [_row(change) for change in changes])
        return
    for number, ((run, list_id), group) in enumerate(groupby(changes, _run_of)):
        of_run = list(group)
        if number:
            show_gap()
        show_heading(f"Run {run}, {of_run[0]['at']}, audience {list_id}")
        show_table(("who", "change", "why"), [_short_row(change) for change in of_run])


def _run_of(change: dict[str, object]) -> tuple[object, object]:
    return change["run"], change["list_id"]


def _row(change: dict[str, object]) -> tuple[object, ...]:
    return (
        *(change["at"], change["run"], _who(change), change["side"], change["field"]),
        *(_moved(change), change["reason"]),
    )


def _short_row(change: dict[str, object]) -> tuple[object, ...]:
    """The same for a terminal, where the run stands above."""
    field = "" if change["field"] == SUBSCRIPTION else f"{change['field']} "
    return _who(change), f"{change['side']}: {field}{_moved(change)}", change["reason"]


def _who(change: dict[str, object]) -> object:
    contact, row = change["contact_id"], change["row_id"]
    return change["email"] or (f"contact {contact}" if contact else f"row {row}")


def _moved(change: dict[str, object]) -> str:
    return text_of_move(str(change["field"]), _text(change["before"]), _text(change["after"]))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
