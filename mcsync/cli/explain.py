"""mcsync explain."""

import click

from mcsync.cli.options import global_options
from mcsync.cli.session import open_look
from mcsync.cli.state import State


@click.command(name="explain")
@click.argument("who", metavar="EMAIL|NAME|CONTACT-ID|ROW-ID")
@global_options
def command(state: State, who: str) -> None:
    """Show why one person is subscribed, or is not.

    The first line is the answer; then come what each side says, which side decides and why, what
    the next sync would do, what would get them subscribed, what was written, and what Mailchimp
    refused. What says nothing is left out. Where several people have the part of a name or an
    address that you give, they are listed. A number can be a contact id or a row id;
    write contact:12 or row:12 to say which.

    \b
    Examples:
      mcsync explain wilma@example.org
      mcsync explain flintstone
      mcsync explain contact:123 --list aaaaaaaaaa
    """
    with open_look(state) as look:
        from mcsync.answers.asked import Matches, find_meant
        from mcsync.answers.explain import explain
        from mcsync.cli.show_explain import answer_explained, answer_matches

        meant = find_meant(look.store, [each.list_id for each in look.audiences], who)
        if isinstance(meant, Matches):
            answer_matches(state, look.audiences, meant)
        else:
            answer_explained(state, explain(look.store, look.audiences, meant, look.now))
