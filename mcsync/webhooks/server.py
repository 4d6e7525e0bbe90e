"""The web server of `mcsync serve`: waitress, with limits, without a word in the log, and an end.

waitress would turn an exception of a signal into a log line of its own, so it works in a thread
and the main thread waits; and it drops whoever waits for an answer when it ends, so here they
get theirs first.
"""

import logging
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import waitress.server  # type: ignore[import-untyped]
from waitress import wasyncore
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]

from mcsync.webhooks.payload import MAX_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("mcsync")

_THREADS = 32  # each waits for its commit, so they are how many share one
_CONNECTIONS = 200
_MAX_HEADER = 32 * 1024
# Then a connection is closed: one on which nothing, or half of a head, or half of a request has
# come; and one that is kept, on which nothing more comes. Web servers before us send all at once.
_HEAD_S = 10.0
_WHOLE_S = 20.0
_IDLE_S = 30
_FLUSH_S = 1.0
_LOOK_S = 0.5


class _Quiet(logging.Handler):
    """Tells that waitress has trouble, never with what: it would quote what somebody sent."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        log.warning("the web server had a problem%s", f": {kind.__name__}" if kind else "")


def _silence(name: str, level: int) -> None:
    logger = logging.getLogger(name)
    logger.handlers[:] = [_Quiet(level)]
    logger.setLevel(level)
    logger.propagate = False


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows since when a request is on its way; a byte now and then is no news.

    For waitress's own thread.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._begun = time.monotonic()
        self._since: float | None = self._begun  # the first one is due
        self._unread_since: float | None = None
        super().__init__(*args, **settings)

    def received(self, data: bytes) -> Any:
        if self._since is None:
            self._since = time.monotonic()
        done = super().received(data)
        if self.request is None and data.strip():  # blank lines before a request are none of it
            self._since = None
        return done

    def is_overdue(self, now: float) -> bool:
        """Whether the request on its way takes too long; `now` is a time of `time.monotonic`."""
        if self._since is None or self.requests:
            return False
        has_head = self.request is not None and self.request.headers_finished
        return bool(now - self._since > (_WHOLE_S if has_head else _HEAD_S))

    def has_had_its_turn(self, now: float) -> bool:
        """Whether it may go where others wait: it is not new, and asks for nothing just now."""
        return not self.requests and now - self._begun > _HEAD_S

    def is_stuck(self, now: float) -> bool:
        """Whether nobody takes what we send: neither an answer, however short, nor the end.

        waitress closes a connection only when it could write to it.
        """
        if not (self.total_outbufs_len or self.will_close):
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        return self._unread_since is not None and now - self._unread_since > _WHOLE_S

    def cut(self) -> None:
        """Close the connection at once, unless that was done meanwhile."""
        if self.connected:
            self.handle_close()


class WebServer:
    """Serves an application on a socket that listens already."""

    def __init__(self, app: "WSGIApplication", listener: socket.socket) -> None:
        _silence("waitress", logging.ERROR)
        _silence("waitress.queue", logging.CRITICAL)  # a burst is none of the operator's business
        self._server = waitress.server.create_server(
            app,
            sockets=[listener],
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_IDLE_S,
            cleanup_interval=1,
            max_request_header_size=_MAX_HEADER,
            max_request_body_size=MAX_BODY + 1,  # waitress refuses this size, too
            inbuf_overflow=2 * MAX_BODY,  # nobody's data in temporary files
            log_socket_errors=False,
            log_untrusted_proxy_headers=False,
            clear_untrusted_proxy_headers=True,
            expose_tracebacks=False,
            ident=None,
        )
        self._server.channel_class = _Channel
        self._server.maintenance = partial(_close_the_slow, self._server)
        self._thread = threading.Thread(target=self._server.run, name="mcsync-web", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> NoReturn:
        """Wait until the server ends, which it does not by itself."""
        while self._thread.is_alive():
            # The system may give a signal to any thread; its handler runs in ours, once we wake.
            self._thread.join(_LOOK_S)
        raise RuntimeError("the web server has ended")

    def stop(self, timeout_s: float) -> None:
        """Accept nothing more, answer what is being worked on, and close.

        What has not been begun is dropped: whoever sent it got no answer and sends it again.
        """
        server = self._server
        # waitress's things belong to its thread, which runs what the trigger is given.
        server.trigger.pull_trigger(lambda: wasyncore.dispatcher.close(server))
        server.task_dispatcher.shutdown(timeout=timeout_s)
        deadline = time.monotonic() + _FLUSH_S
        flushed = threading.Event()
        while time.monotonic() < deadline and not flushed.wait(0.02):
            server.trigger.pull_trigger(lambda: self._look_if_flushed(flushed))
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
        self._thread.join(_FLUSH_S)

    def _look_if_flushed(self, flushed: threading.Event) -> None:
        channels = self._server.active_channels.values()
        if not any(channel.total_outbufs_len for channel in channels):
            flushed.set()


def _close_the_slow(server: Any, now: float) -> None:
    """Close whoever has had their time; once a second, in waitress's thread."""
    type(server).maintenance(server, now)
    is_full = len(server._map) >= server.adj.connection_limit
    now = time.monotonic()
    for channel in list(server.active_channels.values()):
        if channel.is_overdue(now) or (is_full and channel.has_had_its_turn(now)):
            channel.will_close = True
        if channel.is_stuck(now):
            # Not here: waitress is about to wait for what it thinks is open.
            server.trigger.pull_trigger(channel.cut)
