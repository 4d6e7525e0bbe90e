"""What one invocation carries along."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.status import Status

    from mcsync.config import Config
    from mcsync.model import Side

_IN_MEMORY = 1 << 20


@dataclass(slots=True)
class State:
    """One invocation: its global options, and its answer as far as it got.

    `audiences` and `answer` are what `--json` prints, whatever happens afterwards; `is_told`,
    once it is printed. `settings` is the config as soon as it is read. `stop_hint` is what is
    said when a signal, or the end of the input at a question, ends it. `long_lists` are parts of
    the answer that may be too long for memory, each as JSON. `spinner` turns while a person
    watches.
    """

    wants_json: bool = False
    command: str = ""
    config: Path | None = None
    cache: Path | None = None
    lists: tuple[str, ...] = ()
    quiet: bool = False
    verbose: int = 0
    is_dry_run: bool = False
    audiences: list[dict[str, object]] = field(default_factory=list)
    answer: dict[str, object] = field(default_factory=dict)
    long_lists: "dict[str, SpooledTemporaryFile[str]]" = field(default_factory=dict)
    is_told: bool = False
    settings: "Config | None" = None
    stop_hint: str | None = None
    spinner: "Status | None" = None
    trust: "Mapping[str, Mapping[str, Side]]" = field(default_factory=dict)

    def keep(self, name: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Keep a long list for the document until its end is known; how long it is.

        What is longer than a megabyte waits in a file that has no name.
        """
        file = SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115
        count = 0
        for count, row in enumerate(rows, 1):
            file.write(("[" if count == 1 else ", ") + json.dumps(row))
        file.write("]" if count else "[]")
        file.seek(0)
        self.long_lists[name] = file
        return count


class ChangesAsked(NamedTuple):
    """What a run is asked to print of its changes."""

    is_dry_run: bool = False
    as_csv: bool = False
    in_full: bool = False
    print_changes: bool = False
    exit_code: bool = False
