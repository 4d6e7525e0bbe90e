"""mcsync sync."""

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
    max_time_option,
    parse_since,
    print_changes_option,
    since_option,
    trust_option,
    wait_option,
    with_data_option,
)
from mcsync.cli.session import open_run
from mcsync.cli.state import State


@click.command(name="sync")
@wait_option
@since_option
@trust_option
@with_data_option
@dry_run_option
@full_option
@csv_option
@print_changes_option
@exit_code_option
@force_option
@max_time_option
@lock_wait_option
@global_options
def command(state: State, wait_s: float | None, since: str | None, **asked: Any) -> None:
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
    with open_run(state, **asked) as run:
        from mcsync.pipeline.sync import sync

        sync(run, window and window.as_window(), state.trust, wait_s)
