"""mcsync reconcile."""

import click

from mcsync.cli.options import (
    csv_option,
    dry_run_option,
    exit_code_option,
    global_options,
    lock_wait_option,
    print_changes_option,
)
from mcsync.cli.session import open_run
from mcsync.cli.state import ChangesAsked, State


@click.command(name="reconcile")
@click.option(
    "--trust",
    multiple=True,
    metavar="SIDE",
    help="Let mailchimp or civicrm decide; or subscription=SIDE, INTEREST=SIDE. Repeatable.",
)
@click.option("--no-fetch", is_flag=True, help="With --trust: use what was fetched last.")
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
@lock_wait_option
@global_options
def command(
    state: State,
    trust: tuple[str, ...],
    no_fetch: bool,
    with_data: bool | None,
    dry_run: bool,
    as_csv: bool,
    print_changes: bool,
    exit_code: bool,
    force: bool,
    lock_wait: float,
) -> None:
    """Decide what to change, and write it to CiviCRM.

    What Mailchimp needs is queued; "mcsync submit" sends it.

    \b
    Examples:
      mcsync reconcile
      mcsync reconcile --trust mailchimp --dry-run
      mcsync reconcile --trust mailchimp
      mcsync reconcile --trust subscription=civicrm --no-fetch
    """
    with open_run(
        state,
        lock_wait_s=lock_wait,
        is_forced=force,
        with_data=with_data,
        trust=trust,
        tells=ChangesAsked(dry_run, as_csv, print_changes, exit_code),
    ) as run:
        from mcsync.pipeline.sync import reconcile_alone

        reconcile_alone(run, state.trust, fetches=not no_fetch)
