"""How `mcsync explain` tells what is kept of somebody: all of it in JSON, else in short."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mcsync.answers.access import Kept
from mcsync.answers.asked import Who
from mcsync.cache.retention import COPIES, SNAPSHOTS, TABLES, Retention
from mcsync.cache.times import from_text
from mcsync.cli.tables import show_fields, show_gap, show_heading, show_line
from mcsync.text import count_of, text_of_day

if TYPE_CHECKING:
    from mcsync.cli.state import State


def read_retention(state: "State") -> Retention:
    """How long things are kept here, by the config."""
    if state.settings is None:
        return Retention()
    return Retention(state.settings.history_days, state.settings.backups)


def answer_kept(state: "State", who: Who, kept: Sequence[Kept], *, is_known: bool) -> None:
    """Tell what is kept of these people; `is_known`: more was told of them already."""
    state.answer["kept"] = [each.as_dict() for each in kept]
    if state.wants_json:
        return
    if not is_known:
        show_line(f"Nobody known as {who.text} is in an audience or a group.")
    for each in kept:
        show_gap()
        show_heading("What is kept of them (all of it with --json):")
        show_fields(_sum_up(each))


def _sum_up(kept: Kept) -> Iterator[tuple[str, str]]:
    for table, keeping in TABLES.items():
        count = len(kept.entries.get(table, ()))
        if count:
            yield table, f"{count_of(count, 'row')}; kept: {kept.rule_of(keeping)}"
    for found in kept.hashes[:1]:
        day = text_of_day(from_text(found.at))
        yield (
            "forgotten",
            f"hashes of an address or id like that, since somebody was forgotten on {day};"
            f" kept: {kept.rule_of(TABLES['forgotten'])}",
        )
    for each in kept.snapshots:
        there = "it cannot be read" if each.rows is None else count_of(len(each.rows), "row")
        yield "snapshot", f"{each.path}: {there}; kept: {kept.rule_of(SNAPSHOTS)}"
    for copy in kept.copies:
        yield "copy", f"{copy}; kept: {kept.rule_of(COPIES)}"
