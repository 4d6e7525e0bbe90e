"""mcsync sync."""

import click

from mcsync.cli.options import State, global_options
from mcsync.cli.session import open_run, parse_since, trust_of
from mcsync.cli.waiting import wait_option


@click.command(name="sync")
@wait_option
@click.option("--since", metavar="WHEN", help='Changes since an ISO date or time, or "ever".')
@click.option(
    "--trust",
    multiple=True,
    metavar="SIDE",
    help="mailchimp or civicrm is right; or subscription=SIDE, INTEREST=SIDE. Repeatable.",
)
@click.option(
    "--with-data/--no-data",
    "with_data",
    default=None,
    help="Names and other data too, or not; else as the config says.",
)
@click.option("--force", is_flag=True, help="Carry out a plan that a guard holds, this once.")
@click.option(
    "--max-time",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Stop after about S seconds where it is safe; the next run goes on from there.",
)
@click.option("--lock-wait", default=0.0, metavar="S", help="Wait for another run to end.")
@global_options
def command(
    state: State,
    wait: float | None,
    since: str | None,
    trust: tuple[str, ...],
    with_data: bool | None,
    force: bool,
    max_time: float | None,
    lock_wait: float,
) -> None:
    """Do it all: results, fetch, reconcile, submit, for every audience.

    \b
    Examples:
      */5 * * * *  mcsync sync
      mcsync sync --wait
      mcsync sync --list aaaaaaaaaa --trust mailchimp
    """
    window = parse_since(since)
    with open_run(
        state, lock_wait_s=lock_wait, is_forced=force, with_data=with_data, max_time_s=max_time
    ) as run:
        from mcsync.pipeline.sync import sync

        sync(run, window, trust_of(run, trust), wait)
