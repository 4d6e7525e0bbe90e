"""mcsync check."""

import click

from mcsync.cli.options import global_options
from mcsync.cli.state import State
from mcsync.errors import UsageError


@click.command(name="check")
@click.option("--fix", is_flag=True, help="Create or correct our webhooks at Mailchimp.")
@click.option("--dry-run", is_flag=True, help="With --fix: tell what it would do, and do nothing.")
@click.option(
    "--account",
    metavar="NAME",
    help='Print an account as "accounts" has it: by name or ${NAME}; - reads a key from stdin.',
)
@global_options
def command(state: State, fix: bool, dry_run: bool, account: str | None) -> None:
    """Hold the config against both services, and tell all that is wrong with either.

    Ends with 3 when there is a problem; warnings and notes do not change that. Writes nothing but,
    with --fix, our webhooks at Mailchimp, and needs no lock.

    \b
    Examples:
      mcsync check
      mcsync check --fix --dry-run
      mcsync check --json
      mcsync check --account '${MAILCHIMP_API_KEY}'
    """
    from mcsync.cli import checking

    if dry_run and not fix:
        raise UsageError("--dry-run goes with --fix", hint="mcsync check --fix --dry-run")
    if account is not None and fix:
        raise UsageError("--account fixes nothing", hint="mcsync check --fix")
    if account is not None:
        checking.print_account(state, account)
    else:
        checking.check(state, fixes=fix, is_dry_run=dry_run)
