"""mcsync status."""

import click

from mcsync.cli.options import global_options, length
from mcsync.cli.session import open_look
from mcsync.cli.state import State
from mcsync.errors import UsageError


@click.command(name="status")
@click.option("--reason", metavar="CODE", help="List the people with this reason.")
@click.option(
    "--max-age",
    type=length,
    metavar="AGE",
    help="Exit with 5 if any audience's last complete sync is older: 90s, 15m, 1h, 2d.",
)
@click.option("--prometheus", is_flag=True, help="Print numbers for Prometheus' node exporter.")
@global_options
def command(state: State, reason: str | None, max_age: float | None, prometheus: bool) -> None:
    """Show how far each audience is in sync.

    Reads only the cache, and works while a run is going on.

    \b
    Examples:
      mcsync status
      mcsync status --reason opt-out
      mcsync status --max-age 1h --json
      mcsync status --prometheus > mcsync.new && mv mcsync.new mcsync.prom
    """
    if prometheus and (state.wants_json or reason is not None):
        other = "--json" if state.wants_json else "--reason"
        raise UsageError(f"--prometheus and {other} cannot be combined", hint="give one of them")
    with open_look(state) as look:
        from mcsync.answers.status import check_age, check_reason, load_standings
        from mcsync.cli.show_status import answer_people, answer_status

        code = check_reason(reason) if reason is not None else None
        standings = load_standings(
            look.store, look.audiences, look.now, with_stands=not prometheus and code is None
        )
        if prometheus:
            from mcsync.cli.show_metrics import answer_metrics

            answer_metrics(look, standings)
        elif code is None:
            answer_status(state, look, standings)
        else:
            answer_people(state, look, code)
    if max_age is not None:
        check_age(standings, max_age)
