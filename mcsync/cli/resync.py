"""mcsync resync."""

import click

from mcsync.cli.options import global_options, lock_wait_option
from mcsync.cli.session import open_to_mark
from mcsync.cli.state import State
from mcsync.errors import UsageError


@click.command(name="resync")
@click.argument("people", nargs=-1, metavar="[EMAIL|ID]...")
@click.option("--failed", is_flag=True, help="Everybody whose sync_status is fail.")
@lock_wait_option
@global_options
def command(state: State, people: tuple[str, ...], failed: bool, lock_wait_s: float) -> None:
    """Include people in the next sync.

    Tries again what Mailchimp refused for them before, and no longer leaves alone what "mcsync
    undo" put back. Nobody is asked to confirm the same decision twice.

    \b
    Examples:
      mcsync resync wilma@example.org contact:123
      mcsync resync --failed --list aaaaaaaaaa
    """
    if failed == bool(people):
        raise UsageError(
            "name people or give --failed, but not both", hint="for example: mcsync resync --failed"
        )
    with open_to_mark(state, lock_wait_s) as (store, audiences):
        from mcsync.answers.asked import find_everybody, read_who
        from mcsync.pipeline.resync import resync_failed, resync_rows

        wanted = [read_who(text) for text in people]
        rows = find_everybody(store, [a.list_id for a in audiences], wanted)
        included = [
            resync_failed(store, a.policy, a.name)
            if failed
            else resync_rows(store, a.policy, a.name, rows[a.list_id])
            for a in audiences
        ]
        state.audiences = [each.as_dict() for each in included]
