"""One webhook by a process of its own: stored at once, and answered as a CGI script."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import BinaryIO

from mcsync.clock import utc_now
from mcsync.errors import CacheError
from mcsync.model import Delivery
from mcsync.webhooks.app import WebhookApp
from mcsync.webhooks.inbox import store_at_once
from mcsync.webhooks.queue import Intake, prepare_cache
from mcsync.webhooks.receiver import make_gate

log = logging.getLogger("mcsync")

_MOST_DRAINED = 16 << 20  # what announces more is no webhook, and may do without an answer


def put_delivery(intake: Intake, delivery: Delivery) -> None:
    """Put it into its queue, without the lock of a run. Raises: CacheError"""
    if not intake.cache.exists():
        prepare_cache(intake.cache)
    store_at_once(intake.cache, delivery, utc_now())


def answer_web_server(intake: Intake) -> bool:
    """Be the CGI script that Mailchimp's request came to; whether something was stored.

    The answer goes out before anything is handled: Mailchimp waits for 10 s.
    """
    stored: list[Delivery] = []

    def store(delivery: Delivery) -> bool:
        try:
            put_delivery(intake, delivery)
        except CacheError as error:
            log.error("a webhook cannot be stored: %s", error.message)
            return False
        stored.append(delivery)
        return True

    # The web server chose this script by its path already, so any path is right.
    gate = make_gate(intake.config)
    # A process each cannot keep count of what was refused in the last hour; the web server logs it.
    app = WebhookApp(gate, store, intake.list_ids, None, utc_now, warns=False)
    _run_as_script(app, sys.stdin.buffer, sys.stdout.buffer)
    _close(sys.stdout.buffer)
    return bool(stored)


def refuse_web_server() -> None:
    """Tell the web server, and nobody why, that nothing could be stored: Mailchimp tries again."""
    if sys.stdin is not None:
        _Body(sys.stdin.buffer, os.environ).drain()
    head = "Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 0"
    sys.stdout.buffer.write(f"{head}\r\n\r\n".encode("ascii"))
    _close(sys.stdout.buffer)


class _Body:
    """The body of the web server's request, and how much of it is still to be read.

    Apache sends all of it before it looks for an answer. Where the script has ended by then, the
    answer is cut short or lost, and Mailchimp sees a broken connection (measured with mod_cgid of
    2.4.71).
    """

    def __init__(self, stream: BinaryIO, request: Mapping[str, str]) -> None:
        self._stream = stream
        told = request.get("CONTENT_LENGTH", "").strip()
        is_number = told.isascii() and told.isdecimal() and len(told) <= 18
        self._left = min(int(told), _MOST_DRAINED) if is_number else 0

    def read(self, size: int) -> bytes:
        """Read so many bytes, fewer only at the end."""
        part = self._stream.read(size)
        self._left -= len(part)
        return part

    def drain(self) -> None:
        """Read what is left, and no more than was announced: no end may follow it."""
        with suppress(OSError):
            while self._left > 0 and self.read(min(self._left, 1 << 16)):
                pass


def _run_as_script(app: WebhookApp, request: BinaryIO, answer: BinaryIO) -> None:
    """One request by the rules of CGI (RFC 3875)."""
    environ: dict[str, object] = {
        name: os.fsencode(text).decode("latin-1") for name, text in os.environ.items()
    }
    environ["wsgi.input"] = body = _Body(request, os.environ)
    head: list[str] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], *_: object
    ) -> Callable[[bytes], object]:
        head.append(f"Status: {status}")
        head.extend(f"{name}: {text}" for name, text in headers)
        return answer.write

    text = b"".join(app(environ, start_response))
    body.drain()
    answer.write("\r\n".join([*head, "", ""]).encode("latin-1") + text)


def _close(stream: BinaryIO) -> None:
    """Have the web server see that the answer is complete; our own stdout leads nowhere then."""
    stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
