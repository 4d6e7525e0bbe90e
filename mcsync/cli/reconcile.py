"""mcsync reconcile."""

from typing import Any

import click

from mcsync.cli.options import (
    csv_option,
    dry_run_option,
    exit_code_option,
    force_option,
    full_option,
    global_options,
    lock_wait_option,
    print_changes_option,
    trust_option,
    with_data_option,
)
from mcsync.cli.session import open_run
from mcsync.cli.state import State


@click.command(name="reconcile")
@trust_option
@click.option("--no-fetch", is_flag=True, help="With --trust: use what was fetched last.")
@with_data_option
@dry_run_option
@full_option
@csv_option
@print_changes_option
@exit_code_option
@force_option
@lock_wait_option
@global_options
def command(state: State, no_fetch: bool, **asked: Any) -> None:
    """Decide what to change, and write it to CiviCRM.

    What Mailchimp needs is queued; "mcsync submit" sends it.

    \b
    Examples:
      mcsync reconcile
      mcsync reconcile --trust mailchimp --dry-run
      mcsync reconcile --trust mailchimp
      mcsync reconcile --trust subscription=civicrm --no-fetch
    """
    with open_run(state, **asked) as run:
        from mcsync.pipeline.sync import reconcile_alone

        reconcile_alone(run, state.trust, fetches=not no_fetch)
