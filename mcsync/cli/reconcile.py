"""mcsync reconcile."""

import click

from mcsync.cli.options import State, global_options
from mcsync.cli.session import open_run, trust_of


@click.command(name="reconcile")
@click.option(
    "--trust",
    multiple=True,
    metavar="SIDE",
    help="mailchimp or civicrm is right; or subscription=SIDE, INTEREST=SIDE. Repeatable.",
)
@click.option("--no-fetch", is_flag=True, help="With --trust: judge by what was fetched last.")
@click.option(
    "--with-data/--no-data",
    "with_data",
    default=None,
    help="Names and other data too, or not; else as the config says.",
)
@click.option("--force", is_flag=True, help="Carry out a plan that a guard holds, this once.")
@click.option("--lock-wait", default=0.0, metavar="S", help="Wait for another run to end.")
@global_options
def command(
    state: State,
    trust: tuple[str, ...],
    no_fetch: bool,
    with_data: bool | None,
    force: bool,
    lock_wait: float,
) -> None:
    """Decide who is right, write to CiviCRM, queue what Mailchimp needs.

    \b
    Examples:
      mcsync reconcile
      mcsync reconcile --trust mailchimp
      mcsync reconcile --trust subscription=civicrm --no-fetch
    """
    with open_run(state, lock_wait_s=lock_wait, is_forced=force, with_data=with_data) as run:
        from mcsync.pipeline.sync import reconcile_alone

        reconcile_alone(run, trust_of(run, trust), fetches=not no_fetch)
