"""mcsync sync-contact."""

import click

from mcsync.cli.options import global_options, lock_wait_option
from mcsync.cli.session import open_run
from mcsync.cli.state import State
from mcsync.errors import UsageError


@click.command(name="sync-contact")
@click.option("--email", metavar="E", help="The person's address, at either service.")
@click.option(
    "--contact-id", type=click.IntRange(min=1), metavar="N", help="The person's CiviCRM id."
)
@lock_wait_option
@global_options
def command(state: State, email: str | None, contact_id: int | None, lock_wait_s: float) -> None:
    """Sync one person now.

    Calls Mailchimp directly, without a batch.

    \b
    Examples:
      mcsync sync-contact --email wilma@example.org
      mcsync sync-contact --contact-id 123 --lock-wait 30
    """
    if (email is None) == (contact_id is None):
        raise UsageError(
            "name one person, by --email or by --contact-id",
            hint="for example: mcsync sync-contact --contact-id 123",
        )
    with open_run(state, lock_wait_s=lock_wait_s) as run:
        from mcsync.pipeline.sync_contact import sync_contact

        sync_contact(run, email=email, contact_id=contact_id)
