"""The option `--wait [SECONDS]`."""

import click

DEFAULT_WAIT_S = 3600.0

wait_option = click.option(
    "--wait",
    is_flag=False,
    flag_value=DEFAULT_WAIT_S,
    type=float,
    default=None,
    metavar="[S]",
    help="Wait until Mailchimp has finished, at most S seconds (an hour).",
)
