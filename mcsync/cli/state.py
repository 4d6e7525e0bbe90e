"""What one invocation carries along."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mcsync.config import Config
    from mcsync.model import Side


@dataclass(slots=True)
class State:
    """One invocation: its global options, and its answer as far as it got.

    `audiences` and `answer` are what `--json` prints, whatever happens afterwards; `is_told`,
    once it is printed. `settings` is the config as soon as it is read. `stop_hint` is what is
    said when a signal, or the end of the input at a question, ends it.
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
    is_told: bool = False
    settings: "Config | None" = None
    stop_hint: str | None = None
    trust: "Mapping[str, Mapping[str, Side]]" = field(default_factory=dict)


class ChangesAsked(NamedTuple):
    """What a run is asked to print of its changes."""

    is_dry_run: bool = False
    as_csv: bool = False
    print_changes: bool = False
    exit_code: bool = False
