"""mcsync snapshot."""

from pathlib import Path

import click

from mcsync.cli.options import global_options, path
from mcsync.cli.session import open_look
from mcsync.cli.state import State


@click.command(name="snapshot")
@click.argument("folder", metavar="DIR", type=path)
@global_options
def command(state: State, folder: Path) -> None:
    """Write both sides of each audience as CSV files.

    Writes all people as the cache knows them into DIR, which is created: a file for Mailchimp and
    one for CiviCRM. Asks neither service, and works while a run is going on.

    \b
    Examples:
      mcsync snapshot before-the-campaign
      mcsync snapshot --list aaaaaaaaaa /var/backups/mcsync
    """
    with open_look(state) as look:
        from mcsync.answers.keeping import keep_snapshots
        from mcsync.cli.show_snapshots import answer_snapshots

        answer_snapshots(state, keep_snapshots(look.store, look.audiences, folder, look.now))
