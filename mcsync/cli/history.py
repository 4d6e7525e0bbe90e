"""mcsync history."""

from datetime import datetime

import click

from mcsync.cli.options import global_options, when
from mcsync.cli.session import open_look
from mcsync.cli.state import State
from mcsync.errors import UsageError

_MOST = 100  # in a table that nobody asked to be longer


@click.command(name="history")
@click.argument("who", metavar="[EMAIL|ID]", required=False)
@click.option("--run", metavar="RUN", help="The changes of this run.")
@click.option(
    "--since",
    type=when,
    metavar="WHEN",
    help="From this ISO date or time on, or 2d for two days ago.",
)
@click.option("--until", type=when, metavar="WHEN", help="Before an ISO date or time.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The newest N changes.")
@click.option("--all", "wants_all", is_flag=True, help="All changes, in the table too.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print one JSON object per line.")
@global_options
def command(
    state: State,
    who: str | None,
    run: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    wants_all: bool,
    form: str | None,
) -> None:
    """List what was changed, for whom and why.

    Lists the changes at both services, oldest first, with time, run, person, before and after.
    The table has the newest 100, unless --all or --limit says otherwise; JSON and CSV have all.

    \b
    Examples:
      mcsync history wilma@example.org
      mcsync history --since 2d
      mcsync history --since 2026-11-01 --until 2026-12-01 --csv
    """
    if form and state.wants_json:
        raise UsageError(f"--json and --{form} cannot be combined", hint="give one of them")
    if wants_all and limit is not None:
        raise UsageError("--all and --limit cannot be combined", hint="give one of them")
    if limit is None and not (wants_all or form or state.wants_json):
        limit = _MOST
    with open_look(state) as look:
        from mcsync.answers.asked import read_who
        from mcsync.answers.history import load_history
        from mcsync.cache.trail import Asked
        from mcsync.cli.show_history import answer_history

        meant = read_who(who) if who is not None else None
        asked = Asked(run=run, since=since, until=until, most=limit)
        history = load_history(look.store, look.audiences, meant, asked)
        answer_history(state, form, history, look.audiences)
