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

    With --json "kept" has everything that is kept of them, in which table or file, since when, and
    until when or by what rule; -v sums it up. So it has of somebody who is in no audience any more.

    \b
    Examples:
      mcsync explain wilma@example.org
      mcsync explain wilma@example.org --json
      mcsync explain flintstone
      mcsync explain contact:123 --list aaaaaaaaaa
    """
    with open_look(state) as look:
        from mcsync.answers.access import find_kept
        from mcsync.answers.asked import Matches, find_meant, unknown
        from mcsync.answers.explain import explain
        from mcsync.cli.show_explain import answer_explained, answer_matches
        from mcsync.cli.show_kept import answer_kept, read_retention

        list_ids = [each.list_id for each in look.audiences]
        meant = find_meant(look.store, list_ids, who)
        if isinstance(meant, Matches):
            answer_matches(state, look.audiences, meant)
            return
        people = explain(look.store, look.audiences, meant, look.now)
        is_short = bool(people) and not state.wants_json and not state.verbose
        kept = [] if is_short else find_kept(look.store, meant, read_retention(state))
        if not people and not kept:
            raise unknown(meant, list_ids)
        answer_explained(state, people)
        if not is_short:
            answer_kept(state, meant, kept, is_known=bool(people))
