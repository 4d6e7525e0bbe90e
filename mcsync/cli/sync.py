"""mcsync sync."""

import click

from mcsync.cli.options import (
    csv_option,
    dry_run_option,
    exit_code_option,
    global_options,
    lock_wait_option,
    max_time_option,
    parse_since,
    print_changes_option,
    wait_option,
)
from mcsync.cli.session import open_run
from mcsync.cli.state import ChangesAsked, State


@click.command(name="sync")
@wait_option
@click.option("--since", metavar="WHEN", help='Fetch changes since an ISO date or time, or "ever".')
@click.option(
    "--trust",
    multiple=True,
    metavar="SIDE",
    help="Let mailchimp or civicrm decide; or subscription=SIDE, INTEREST=SIDE. Repeatable.",
)
@click.option(
    "--with-data/--no-data",
    "with_data",
    default=None,
    help="Sync names and other data too, or not. Default: as the config says.",
)
@dry_run_option
@csv_option
@print_changes_option
@exit_code_option
@click.option("--force", is_flag=True, help="Carry out a held plan, this once.")
@max_time_option
@lock_wait_option
@global_options
def command(
    state: State,
    wait: float | None,
    since: str | None,
    trust: tuple[str, ...],
    with_data: bool | None,
    dry_run: bool,
    as_csv: bool,
    print_changes: bool,
    exit_code: bool,
    force: bool,
    max_time: float | None,
    lock_wait: float,
) -> None:
    """Sync every audience: fetch, reconcile, submit.

    First takes in the results of batches that were sent before.

    \b
    Examples:
      */5 * * * *  mcsync sync
      mcsync sync --wait
      mcsync sync --list aaaaaaaaaa --trust mailchimp
      mcsync sync --dry-run
    """
    window = parse_since(since)
    with open_run(
        state,
        lock_wait_s=lock_wait,
        is_forced=force,
        with_data=with_data,
        max_time_s=max_time,
        trust=trust,
        tells=ChangesAsked(dry_run, as_csv, print_changes, exit_code),
    ) as run:
        from mcsync.pipeline.sync import sync

        sync(run, window and window.as_window(), state.trust, wait)
