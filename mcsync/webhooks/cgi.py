"""One webhook by a process of its own: stored at once, and answered as a CGI script."""

import logging
import os
import sys
from collections.abc import Callable
from typing import BinaryIO

from mcsync.clock import utc_now
from mcsync.errors import CacheError
from mcsync.model import WebhookEvent
from mcsync.webhooks.app import WebhookApp
from mcsync.webhooks.auth import Gate
from mcsync.webhooks.inbox import store_at_once
from mcsync.webhooks.queue import Intake, prepare_cache
from mcsync.webhooks.receiver import gather_keys

log = logging.getLogger("mcsync")


def put_event(intake: Intake, event: WebhookEvent) -> None:
    """Put it into the queue, without the lock of a run. Raises: CacheError"""
    if not intake.cache.exists():
        prepare_cache(intake.cache)
    store_at_once(intake.cache, event, utc_now())


def answer_web_server(intake: Intake) -> bool:
    """Be the CGI script that Mailchimp's request came to; whether something was stored.

    The answer goes out before anything is handled: Mailchimp waits for 10 s.
    """
    stored: list[WebhookEvent] = []

    def store(event: WebhookEvent) -> bool:
        try:
            put_event(intake, event)
        except CacheError as error:
            log.error("a webhook cannot be stored: %s", error.message)
            return False
        stored.append(event)
        return True

    # The web server chose this script by its path already, so any path is right.
    gate = Gate(gather_keys(intake.config))
    # A process each cannot keep count of what was refused in the last hour; the web server logs it.
    app = WebhookApp(gate, store, intake.list_ids, None, utc_now, warns=False)
    _run_as_script(app, sys.stdin.buffer, sys.stdout.buffer)
    _close(sys.stdout.buffer)
    return bool(stored)


def refuse_web_server() -> None:
    """Tell the web server, and nobody why, that nothing could be stored: Mailchimp tries again."""
    head = "Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 0"
    sys.stdout.buffer.write(f"{head}\r\n\r\n".encode("ascii"))
    _close(sys.stdout.buffer)


def _run_as_script(app: WebhookApp, request: BinaryIO, answer: BinaryIO) -> None:
    """One request by the rules of CGI (RFC 3875)."""
    environ: dict[str, object] = {
        name: os.fsencode(text).decode("latin-1") for name, text in os.environ.items()
    }
    environ["wsgi.input"] = request
    head: list[str] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], *_: object
    ) -> Callable[[bytes], object]:
        head.append(f"Status: {status}")
        head.extend(f"{name}: {text}" for name, text in headers)
        return answer.write

    body = b"".join(app(environ, start_response))
    answer.write("\r\n".join([*head, "", ""]).encode("latin-1") + body)


def _close(stream: BinaryIO) -> None:
    """Have the web server see that the answer is complete; our own stdout leads nowhere then."""
    stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
