"""mcsync sandbox."""

import json
import sys
import threading
from pathlib import Path

import click

from mcsync.cli.options import State, global_options


@click.command(name="sandbox")
@click.option("--mailchimp-port", default=8001, show_default=True, help="0 takes any free one.")
@click.option("--civicrm-port", default=8002, show_default=True, help="0 takes any free one.")
@click.option(
    "--write-config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the config there; an existing file is never overwritten.",
)
@global_options
def command(
    state: State, mailchimp_port: int, civicrm_port: int, write_config: Path | None
) -> None:
    """Keep both simulated services running on loopback, to try the real commands by hand.

    Prints a config for them. Ends with Ctrl-C; everything in it is then forgotten.

    \b
    Example:
      mcsync sandbox --write-config /tmp/sandbox.json &
      mcsync sync --config /tmp/sandbox.json --wait
    """
    from mcsync.errors import ConfigError
    from mcsync.sandbox.cast import settle
    from mcsync.sandbox.town import Town

    if write_config is not None and write_config.exists():
        raise ConfigError(
            f"{write_config} exists already", hint="name a file that does not exist yet"
        )
    with Town(mailchimp_port=mailchimp_port, civicrm_port=civicrm_port) as town:
        settle(town)
        config = town.make_config()
        if write_config is not None:
            write_config.write_text(json.dumps(config, indent=2), encoding="utf-8")
            write_config.chmod(0o600)
        if state.wants_json:
            config = {"config": config}
        print(json.dumps(config, indent=None if state.wants_json else 2), flush=True)  # noqa: T201
        click.echo("Both services are running; Ctrl-C ends them.", err=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stderr.write("\n")
