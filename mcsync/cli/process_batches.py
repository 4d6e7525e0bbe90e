"""mcsync process-batches."""

import click

from mcsync.cli.options import global_options, lock_wait_option, wait_option
from mcsync.cli.session import open_run
from mcsync.cli.state import State


@click.command(name="process-batches")
@wait_option
@lock_wait_option
@global_options
def command(state: State, wait_s: float | None, lock_wait_s: float) -> None:
    """Get the results of the batches that were sent.

    \b
    Examples:
      mcsync process-batches
      mcsync process-batches --wait
      mcsync process-batches --wait 120
    """
    with open_run(state, lock_wait_s=lock_wait_s) as run:
        from mcsync.pipeline.batches import process_batches, wait_for_batches
        from mcsync.pipeline.forget_old import forget_old

        if wait_s is None:
            process_batches(run)
        else:
            wait_for_batches(run, wait_s)
        forget_old(run)
