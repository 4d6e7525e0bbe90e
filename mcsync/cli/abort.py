"""mcsync abort."""

import click

from mcsync.cli.options import global_options, lock_wait_option
from mcsync.cli.session import open_run
from mcsync.cli.state import State


@click.command(name="abort")
@lock_wait_option
@global_options
def command(state: State, lock_wait_s: float) -> None:
    """Stop batches at Mailchimp and drop what is queued.

    The next sync decides anew what to do.

    \b
    Example:
      mcsync abort --list aaaaaaaaaa
    """
    with open_run(state, lock_wait_s=lock_wait_s) as run:
        from mcsync.pipeline.abort import abort

        abort(run)
