"""mcsync explain."""

import click

from mcsync.cli.options import global_options
from mcsync.cli.session import open_look
from mcsync.cli.state import State


@click.command(name="explain")
@click.argument("who", metavar="EMAIL|CONTACT-ID|ROW-ID")
@global_options
def command(state: State, who: str) -> None:
    """Show why one person is subscribed, or is not.

    The first line is the answer; then come what each side says, which side decides and why, what
    the next sync would do, what would get them subscribed, what was written, and what Mailchimp
    refused. What says nothing is left out. A number can be a contact id or a row id;
    write contact:12 or row:12 to say which.

    \b
    Examples:
      mcsync explain wilma@example.org
      mcsync explain contact:123 --list aaaaaaaaaa
    """
    with open_look(state) as look:
        from mcsync.answers.asked import read_who
        from mcsync.answers.explain import explain
        from mcsync.cli.show_explain import answer_explained

        answer_explained(state, explain(look.store, look.audiences, read_who(who), look.now))
