"""mcsync explain."""

import click

from mcsync.cli.options import global_options
from mcsync.cli.session import open_look
from mcsync.cli.state import State


@click.command(name="explain")
@click.argument("who", metavar="EMAIL|CONTACT-ID|ROW-ID")
@global_options
def command(state: State, who: str) -> None:
    """Tell why one person is where they are.

    What each side said, who was right by which rule, what was written, what Mailchimp
    answered, and what would get them subscribed. A number may be a contact id and a row id:
    contact:12 and row:12 tell which is meant.

    \b
    Examples:
      mcsync explain wilma@example.org
      mcsync explain contact:123 --list aaaaaaaaaa
    """
    with open_look(state) as look:
        from mcsync.answers.asked import read_who
        from mcsync.answers.explain import explain
        from mcsync.cli.show_explain import answer_explained
        from mcsync.clock import utc_now

        answer_explained(state, explain(look.store, look.audiences, read_who(who), utc_now()))
