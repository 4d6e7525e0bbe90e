"""mcsync submit."""

import click

from mcsync.cli.options import State, global_options
from mcsync.cli.session import open_run


@click.command(name="submit")
@click.option("--lock-wait", default=0.0, metavar="S", help="Wait for another run to end.")
@global_options
def command(state: State, lock_wait: float) -> None:
    """Send queued updates to Mailchimp, in batches of up to 1,000.

    \b
    Example:
      mcsync submit --list aaaaaaaaaa
    """
    with open_run(state, lock_wait_s=lock_wait) as run:
        from mcsync.pipeline.submit import submit

        submit(run)
