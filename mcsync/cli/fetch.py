"""mcsync fetch."""

import click

from mcsync.cli.options import State, global_options
from mcsync.cli.session import open_run, parse_since


@click.command(name="fetch")
@click.option("--since", metavar="WHEN", help='Changes since an ISO date or time, or "ever".')
@click.option(
    "--max-time",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Stop after about S seconds where it is safe; the next run goes on from there.",
)
@click.option("--lock-wait", default=0.0, metavar="S", help="Wait for another run to end.")
@global_options
def command(state: State, since: str | None, max_time: float | None, lock_wait: float) -> None:
    """Read both services into the cache. Writes nothing anywhere else.

    \b
    Examples:
      mcsync fetch
      mcsync fetch --since 2026-11-01 --list aaaaaaaaaa
      mcsync fetch --since ever
    """
    window = parse_since(since)
    with open_run(state, lock_wait_s=lock_wait, max_time_s=max_time) as run:
        from mcsync.pipeline.fetch import fetch

        fetch(run, window)
