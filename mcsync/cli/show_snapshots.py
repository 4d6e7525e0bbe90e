"""What `mcsync snapshot` says: the files, and how many people are in each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcsync.cli.tables import write_lines
from mcsync.text import count_of, one_line

if TYPE_CHECKING:
    from mcsync.answers.keeping import Kept
    from mcsync.cli.state import State


def answer_snapshots(state: "State", kept: "Sequence[Kept]") -> None:
    """Name the files that were written."""
    state.answer = {
        "snapshots": [
            {
                "list_id": each.watched.list_id,
                "name": each.watched.name,
                "side": snapshot.side.value,
                "path": str(snapshot.path),
                "people": snapshot.people,
            }
            for each in kept
            for snapshot in each.snapshots
        ]
    }
    if state.wants_json:
        return
    write_lines(
        f"{one_line(snapshot.path)}: {count_of(snapshot.people, 'person', 'people')}"
        for each in kept
        for snapshot in each.snapshots
    )
