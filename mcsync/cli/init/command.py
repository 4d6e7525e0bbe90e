"""mcsync init."""

from pathlib import Path
from typing import Any

import click

from mcsync.cli.options import OneOf, global_options
from mcsync.cli.state import State

_KEY_HELP = "Take {}'s API key from $NAME. Default: ${}."


@click.command(name="init")
@click.option(
    "--from",
    "origin",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take audiences, interests and Mailchimp's keys from the config of mailchimpsync; keys go"
    " into keys.env unless --keys says otherwise.",
)
@click.option("--civicrm-url", metavar="URL", help="The address of the CiviCRM site.")
@click.option(
    "--civicrm-key-env",
    metavar="NAME",
    help=_KEY_HELP.format("CiviCRM", "MCSYNC_CIVICRM_API_KEY"),
)
@click.option(
    "--site-key-env",
    metavar="NAME",
    help="Take CiviCRM's site key from $NAME. Default: $MCSYNC_CIVICRM_SITE_KEY, or none.",
)
@click.option(
    "--mailchimp-key-env",
    metavar="NAME",
    help=_KEY_HELP.format("Mailchimp", "MAILCHIMP_API_KEY"),
)
@click.option(
    "--mailchimp-url",
    metavar="URL",
    help="The address of Mailchimp's API, if the key does not name its data centre.",
)
@click.option(
    "--read-keys", is_flag=True, help="Read both API keys from stdin: CiviCRM's, then Mailchimp's."
)
@click.option(
    "--audience",
    "audiences",
    multiple=True,
    metavar="AUDIENCE=GROUP",
    help="Sync this audience with this group, by id or name; repeatable.",
)
@click.option(
    "--interest",
    "interests",
    multiple=True,
    metavar="INTEREST=GROUP",
    help="Map this interest to this group, by id or name; repeatable.",
)
@click.option(
    "--webhook-url",
    metavar="URL",
    help='The public address of mcsync serve; "" for no webhooks. If it answers already, the'
    " webhooks are created at Mailchimp too.",
)
@click.option(
    "--civicrm-hook",
    is_flag=True,
    help="Have CiviCRM report its changes to mcsync serve, too: make a secret for it, and show the"
    " address for CiviCRM.",
)
@click.option(
    "--keys",
    type=OneOf(["file", "environment", "keys.env"]),
    help="Write the keys into the file, have it name environment variables, or write these into a"
    " keys.env beside it.",
)
@click.option(
    "--add",
    "is_added",
    is_flag=True,
    help="Write nothing: show what to paste into the config that is there, for another audience.",
)
@click.option("--no-input", "--yes", "no_input", is_flag=True, help="Ask nothing; write at once.")
@global_options
def command(state: State, is_added: bool, **options: Any) -> None:
    """Write a new config and check it.

    On a terminal it asks for whatever the options do not say, and tries each answer at once. The
    file goes to --config, else to $MCSYNC_CONFIG, else to ./config.json; a file that exists is
    never changed. For another audience, --add shows what to paste into it.

    \b
    Examples:
      mcsync init
      mcsync init --config /etc/mcsync/config.json
      mcsync init --no-input --civicrm-url https://crm.example.org \\
          --audience "Main audience=Newsletter" --interest "Topics: Events=Events"
      mcsync init --from mailchimpsync.json
      mcsync init --add
    """
    from mcsync.cli.init.steps import (
        Options,
        choose_place,
        complete,
        gather_choices,
        show_result,
        write_choices,
    )

    if is_added:
        from mcsync.cli.init.adding import add_audience

        add_audience(state, Options(**options))
        return
    wanted = complete(state, Options(**options))
    path = choose_place(state, Path.cwd(), wanted.keys)
    choices = gather_choices(state, wanted, path)
    show_result(state, choices, write_choices(state, choices, path))
