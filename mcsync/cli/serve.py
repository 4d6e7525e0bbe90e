"""mcsync serve, and the same application for any other WSGI server."""

import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from mcsync.cli.options import global_options
from mcsync.cli.output import print_document
from mcsync.cli.session import open_intake
from mcsync.cli.state import State
from mcsync.webhooks.listening import Address, listen, read_address
from mcsync.webhooks.queue import prepare_cache
from mcsync.webhooks.receiver import Desk, gather_keys, open_desk, require_keys

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("mcsync")

_ANSWER_S = 9.0  # whoever waits for an answer at the end gets it; Mailchimp waits 10 s


@click.command(name="serve")
@click.option(
    "--bind",
    type=read_address,
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Where to listen; port 0 takes any free port.",
)
@global_options
def command(state: State, bind: Address) -> None:
    """Receive Mailchimp's webhooks and CiviCRM's hook.

    Put a web server with TLS in front of it. Whatever comes is stored before it is answered, and
    handled as soon as no run is at work; the next sync handles the rest. SIGTERM or Ctrl-C ends
    it; nothing that was answered is lost.

    \b
    Examples:
      mcsync serve
      mcsync serve -v --bind 127.0.0.1:9000
    """
    intake = open_intake(state)
    state.stop_hint = "the next sync handles what was stored"
    desk = open_desk(intake)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(bind))
        _warn_of_strangers(listener)
        prepare_cache(intake.cache)
        from mcsync.webhooks.server import WebServer

        stack.callback(desk.stop)
        desk.start()
        server = WebServer(desk.app, listener)
        stack.callback(server.stop, _ANSWER_S)
        server.start()
        address = Address(bind.host, listener.getsockname()[1])
        _show_start(state, address, desk.paths, is_news=bind.port == 0)
        server.wait()


def make_application() -> "WSGIApplication":
    """The application for another WSGI server: `gunicorn "mcsync.cli.serve:make_application()"`.

    The config is found as commands find it, by $MCSYNC_CONFIG above all, and read once.
    Raises: ConfigError, CacheError
    """
    intake = open_intake(State())
    require_keys(intake, gather_keys(intake.config))
    prepare_cache(intake.cache)
    desks: dict[int, Desk] = {}
    opening = threading.Lock()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # Servers fork after they have called us, and no thread survives that.
        with opening:
            desk = desks.get(os.getpid())
            if desk is None:
                desk = desks[os.getpid()] = open_desk(intake)
                desk.start()
        return desk.app(environ, start_response)

    return application


def _warn_of_strangers(listener: socket.socket) -> None:
    """Say so when others than this machine can come straight to us."""
    host = str(listener.getsockname()[0]).partition("%")[0]
    if not ipaddress.ip_address(host).is_loopback:
        log.warning(
            "other machines can reach %s without TLS, so secrets and addresses can be read on the"
            " way; bind to 127.0.0.1 and put a web server with TLS in front of it",
            host,
        )


def _show_start(state: State, address: Address, paths: tuple[str, ...], *, is_news: bool) -> None:
    """Now, and not at the end: whoever started the server wants to know where it is.

    `is_news`: the port was not known before, so it is told however quiet we are to be.
    """
    url = f"http://{address.shown()}"
    told = f"receiving webhooks at {' and '.join(f'{url}{path}' for path in paths or ('',))}"
    if is_news and not state.wants_json and not log.isEnabledFor(logging.INFO):
        click.echo(told, err=True)
    log.info("%s", told)
    if state.wants_json:
        state.answer = {"url": url, "paths": list(paths)}
        print_document(state)
