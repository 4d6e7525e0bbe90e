"""mcsync sandbox."""

import errno
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcsync.cli.options import global_options
from mcsync.cli.output import print_document, write_answer
from mcsync.cli.signals import Stopped
from mcsync.cli.state import State
from mcsync.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from mcsync.sandbox.town import Town

PORT = 8001  # of the simulated Mailchimp, where "act" finds the sandbox
_LOOK_S = 0.5


@click.command(name="sandbox")
@click.option("--mailchimp-port", default=PORT, show_default=True, help="0 takes any free port.")
@click.option("--civicrm-port", default=8002, show_default=True, help="0 takes any free port.")
@click.option(
    "--write-config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the config to this file; one that exists is never overwritten.",
)
@click.argument("words", nargs=-1, metavar="[act [ACTION [PERSON [NEW]]]]")
@global_options
def command(
    state: State,
    mailchimp_port: int,
    civicrm_port: int,
    write_config: Path | None,
    words: tuple[str, ...],
) -> None:
    """Run both simulated services, to try commands on.

    Prints a config for them, which listen on loopback only. Ctrl-C ends them, and they forget
    everything. Webhooks are tested and delivered as by Mailchimp itself, so "mcsync check --fix"
    needs "mcsync serve" running.

    "mcsync sandbox act", in another terminal, has people and staff of the running sandbox do
    things: sign-up, leave, bounce, change-name, change-address, add, remove, opt-out, merge. It
    picks a person where you name none, and offers a menu on a terminal where you name no action.

    \b
    Examples:
      mcsync sandbox --write-config /tmp/sandbox.json &
      mcsync sync --config /tmp/sandbox.json --wait
      mcsync sandbox act leave
      mcsync sandbox act change-address wilma@example.org wilma@example.com
    """
    if words:
        from mcsync.cli.sandbox_act import act

        act(state, mailchimp_port, words)
    else:
        _serve(state, mailchimp_port, civicrm_port, write_config)


def _serve(state: State, mailchimp_port: int, civicrm_port: int, write_config: Path | None) -> None:
    from mcsync.sandbox.acting import Actor, Door
    from mcsync.sandbox.cast import settle
    from mcsync.sandbox.town import Town

    if write_config is not None and write_config.exists():
        raise ConfigError(f"{write_config} exists already", hint="name a new file")
    try:
        with Town(
            mailchimp_port=mailchimp_port, civicrm_port=civicrm_port, deliver_webhooks=True
        ) as town:
            settle(town)
            config = None if write_config is None else str(write_config.resolve())
            town.mailchimp_server.service = Door(town.mailchimp, Actor(town, config))
            _show_config(state, town.make_config(), write_config)
            _show_what_to_try(town)
            while True:  # a signal that another thread was given is seen when we wake
                threading.Event().wait(_LOOK_S)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise UsageError(
            f"port {mailchimp_port} or port {civicrm_port} cannot be used: {error.strerror}",
            hint="use any free ports: --mailchimp-port 0 --civicrm-port 0",
        ) from None
    except Stopped as end:
        if end.signal.name != "SIGINT":
            raise


def _show_what_to_try(town: "Town") -> None:
    """On stderr: stdout has the config alone."""
    from mcsync.sandbox.town import API_KEY

    port = town.mailchimp_server.port
    option = "" if port == PORT else f" --mailchimp-port {port}"
    click.echo(
        f"""Both services are running; Ctrl-C ends them.

To try the wizard on them, in another terminal:
  export MCSYNC_CIVICRM_API_KEY={town.civicrm.api_key}
  export MAILCHIMP_API_KEY={API_KEY}
  mcsync init --civicrm-url {town.civicrm_server.url} --mailchimp-url {town.api_url}

To have people and staff do things, such as leave or sign up, and see what a sync makes of it:
  mcsync sandbox{option} act""",
        err=True,
    )


def _show_config(state: State, config: dict[str, object], file: Path | None) -> None:
    """Now, and not at the end: whoever starts the sandbox needs the config to go on."""
    text = json.dumps(config, indent=2)
    if file is not None:
        try:
            file.write_text(text, encoding="utf-8")
            file.chmod(0o600)
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}") from None
    if state.wants_json:
        state.answer = {"config": config}
        print_document(state)
    else:
        write_answer(text)
