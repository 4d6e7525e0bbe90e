"""mcsync fetch."""

import click

from mcsync.cli.options import global_options, lock_wait_option, max_time_option, parse_since
from mcsync.cli.session import open_run
from mcsync.cli.state import State


@click.command(name="fetch")
@click.option("--since", metavar="WHEN", help='Fetch changes since an ISO date or time, or "ever".')
@max_time_option
@lock_wait_option
@global_options
def command(state: State, since: str | None, max_time: float | None, lock_wait: float) -> None:
    """Read both services into the cache.

    Changes nothing at either of them.

    \b
    Examples:
      mcsync fetch
      mcsync fetch --since 2026-11-01 --list aaaaaaaaaa
      mcsync fetch --since ever
    """
    window = parse_since(since)
    with open_run(state, lock_wait_s=lock_wait, max_time_s=max_time) as run:
        from mcsync.pipeline.fetch import fetch

        fetch(run, window and window.as_window())
