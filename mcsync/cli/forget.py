"""mcsync forget."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mcsync.cli.options import global_options, lock_wait_option
from mcsync.cli.session import open_look, open_run, open_to_mark
from mcsync.cli.state import State
from mcsync.clock import utc_now
from mcsync.errors import UsageError

if TYPE_CHECKING:
    from mcsync.cache.traces import AskedFor


@click.command(name="forget")
@click.argument("people", nargs=-1, required=True, metavar="EMAIL|ID...")
@click.option("--at-mailchimp", is_flag=True, help="First delete them for good at Mailchimp, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what there is of them.")
@lock_wait_option
@global_options
def command(
    state: State,
    people: tuple[str, ...],
    at_mailchimp: bool,
    yes: bool,
    dry_run: bool,
    lock_wait_s: float,
) -> None:
    """Erase people from everything mcsync keeps.

    Nothing stays of them in the cache and its copies but keyed hashes, by which no sync and no
    webhook brings them back until they sign up themselves. Shows what CiviCRM and Mailchimp still
    have of them. A number is a contact id; write row:12 for a row.

    With --at-mailchimp, members are first deleted there for good, in every audience: they cannot be
    imported again, only sign up themselves. Should Mailchimp refuse, nothing is erased here.

    \b
    Examples:
      mcsync forget wilma@example.org --dry-run
      mcsync forget contact:123 --at-mailchimp
      mcsync forget wilma@example.org --yes
    """
    if state.lists:
        raise UsageError("--list cannot be given: people are forgotten everywhere")
    state.is_dry_run = dry_run
    from mcsync.cli.show_forget import ask_whether, can_ask, read_whom

    wanted = read_whom(people)
    if dry_run or not yes:
        if not dry_run and (state.wants_json or not can_ask()):
            raise UsageError("nobody can be asked here", hint="add --yes, or --dry-run to look")
        count = _look(state, wanted)
        if dry_run or not ask_whether(count, at_mailchimp=at_mailchimp):
            return
    if at_mailchimp:
        _forget_at_both(state, wanted, lock_wait_s)
    else:
        _forget_here(state, wanted, lock_wait_s)


def _look(state: State, wanted: "Sequence[AskedFor]") -> int:
    """Show what there is of these people; how many they are."""
    with open_look(state) as look:
        from mcsync.cli.show_forget import show_found
        from mcsync.pipeline.forget import find_people, nobody

        if look.store is None:
            raise nobody(wanted[0])
        found = find_people(look.store, wanted)
        show_found(state, found, {a.list_id: a.name for a in look.audiences})
        return len(found)


def _forget_at_both(state: State, wanted: "Sequence[AskedFor]", lock_wait_s: float) -> None:
    with open_run(state, lock_wait_s=lock_wait_s) as run:
        from mcsync.cli.show_forget import show_erased
        from mcsync.pipeline.forget import delete_at_mailchimp, find_people, forget

        found = find_people(run.store, wanted)
        if delete_at_mailchimp(run, found):
            forget(run.store, found, run.run_id, run.clock(), run.backups, with_mailchimp=True)
            show_erased(state, found, {task.list_id: task.name for task in run.tasks})


def _forget_here(state: State, wanted: "Sequence[AskedFor]", lock_wait_s: float) -> None:
    with open_to_mark(state, lock_wait_s) as (store, audiences):
        from mcsync.cache.store import make_uid
        from mcsync.cli.show_forget import show_erased
        from mcsync.pipeline.forget import find_people, forget

        found = find_people(store, wanted)
        backups = state.settings.backups if state.settings else 0
        forget(store, found, make_uid(), utc_now(), backups, with_mailchimp=False)
        show_erased(state, found, {a.list_id: a.name for a in audiences})
