"""mcsync submit."""

from typing import Any

import click

from mcsync.cli.options import (
    csv_option,
    dry_run_option,
    full_option,
    global_options,
    lock_wait_option,
)
from mcsync.cli.session import open_run
from mcsync.cli.state import State


@click.command(name="submit")
@dry_run_option
@full_option
@csv_option
@lock_wait_option
@global_options
def command(state: State, **asked: Any) -> None:
    """Send queued changes to Mailchimp, in batches.

    A batch holds up to 1,000 operations.

    \b
    Example:
      mcsync submit --list aaaaaaaaaa
    """
    with open_run(state, **asked) as run:
        from mcsync.pipeline.submit import submit

        submit(run)
