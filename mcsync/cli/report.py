"""mcsync report."""

from pathlib import Path

import click

from mcsync.cli.options import global_options, path
from mcsync.cli.session import open_look
from mcsync.cli.state import State
from mcsync.errors import UsageError


@click.command(name="report")
@click.option(
    "--html", type=path, metavar="FILE", help="Write one HTML page; - writes it to stdout."
)
@click.option("--people", is_flag=True, help="Name the people who cannot be mailed.")
@global_options
def command(state: State, html: Path | None, people: bool) -> None:
    """Show how each audience stands, in numbers that add up.

    Shows what needs you, how everybody in the group stands, whom mcsync added and removed in the
    last 30 days, and how much may change before it is held. With --html it is a page for people
    who look rather than read: it opens from disk, prints, and loads nothing. Reads only the cache.

    \b
    Examples:
      mcsync report
      mcsync report --html report.html
      mcsync report --html people.html --people --list aaaaaaaaaa
    """
    if html == Path("-") and state.wants_json:
        raise UsageError("--json and --html - cannot be combined", hint="name a file with --html")
    with open_look(state) as look:
        from mcsync.cli.show_report import answer_report, make_report

        answer_report(state, make_report(state, look, with_people=people), html)
