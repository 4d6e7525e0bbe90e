"""mcsync fetch."""

from typing import Any

import click

from mcsync.cli.options import (
    global_options,
    lock_wait_option,
    max_time_option,
    parse_since,
    since_option,
)
from mcsync.cli.session import open_run
from mcsync.cli.state import State


@click.command(name="fetch")
@since_option
@max_time_option
@lock_wait_option
@global_options
def command(state: State, since: str | None, **asked: Any) -> None:
    """Read both services into the cache.

    Changes nothing at either of them.

    \b
    Examples:
      mcsync fetch
      mcsync fetch --since 2026-11-01 --list aaaaaaaaaa
      mcsync fetch --since ever
    """
    window = parse_since(since)
    with open_run(state, **asked) as run:
        from mcsync.pipeline.fetch import fetch

        fetch(run, window and window.as_window())
