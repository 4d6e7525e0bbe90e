"""A line of progress on a terminal, and nothing anywhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mcsync.cli.state import State
from mcsync.logs import is_terminal
from mcsync.pipeline.run import Progress
from mcsync.text import one_line


@contextmanager
def show_progress(state: State) -> Iterator[Progress | None]:
    """What to tell progress to; None when nobody watches or wants it."""
    if state.wants_json or state.quiet or not is_terminal() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    with console.status("starting") as status:

        def progress(audience: str, what: str, count: int) -> None:
            # As it stands: a name may look like rich's markup.
            status.update(Text(one_line(f"{audience}: {count:,} {what}")))

        yield progress
