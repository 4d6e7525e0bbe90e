"""One loopback HTTP server for both simulated services, with troubles on demand.

A service is anything with `handle(Request) -> Response`. The server speaks HTTP/1.1 with
keep-alive, remembers every request, and applies the faults it was given: an adapter under
test meets the same sockets, status lines and dropped connections as in the field.
"""

import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names are lower-case, `query` is the raw query string."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `headers` are added to Date and Content-Length, which the server sets."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Service(Protocol):
    """A simulated service."""

    def handle(self, request: Request) -> Response:
        """Answer one request; called from several threads."""
        ...

    def date_header(self) -> str:
        """The service's own clock as an HTTP `Date`."""
        ...


@dataclass(slots=True)
class Fault:
    """One kind of trouble for the requests it matches.

    `drop` is "before" (connection closed, nothing done) or "after" (done, then closed);
    `answer` replaces the service's own answer without any effect; `rewrite` changes it;
    `delay_s` comes before everything; `act` is what somebody does just before the service
    answers: with nothing else it is no trouble, but the moment between two requests. `skip`
    lets that many matching requests pass first, `times` is how many are then hit (None: all).
    """

    method: str = ".*"
    path: str = ".*"
    body: str = ""
    drop: str | None = None
    answer: Response | None = None
    rewrite: Callable[[Request, Response], Response] | None = None
    delay_s: float = 0.0
    skip: int = 0
    times: int | None = 1
    act: Callable[[], object] | None = None

    def matches(self, request: Request) -> bool:
        """Whether this request is to be hit; counts it if its kind fits."""
        if not (
            re.fullmatch(self.method, request.method)
            and re.search(self.path, f"{request.path}?{request.query}")
            and (not self.body or re.search(self.body, request.body.decode("utf-8", "replace")))
        ):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the status it was answered with (None: the connection was dropped)."""

    request: Request
    status: int | None


class LoopbackServer:
    """Serves one simulated service on 127.0.0.1; a context manager.

    `requests` lists what came, oldest first; `faults` may be changed at any time;
    `before_request` and `after_request`, if set, are called around each handled request.
    """

    def __init__(self, service: Service, port: int = 0) -> None:
        self.service = service
        self.faults: list[Fault] = []
        self.requests: list[Exchange] = []
        self.before_request: Callable[[Request], None] | None = None
        self.after_request: Callable[[Request, Response], None] | None = None
        self._lock = threading.Lock()
        self._httpd = _Httpd(("127.0.0.1", port), _handler_for(self))
        self._thread = threading.Thread(target=self._httpd.serve_until_over, daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._httpd.server_address[1])

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_serving(self) -> bool:
        """Whether it was started, and is not stopped yet."""
        return self._thread.is_alive()

    def start(self) -> "LoopbackServer":
        """Begin to serve in a thread of its own."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._httpd.is_over.set()
        while self._thread.is_alive():
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            self._thread.join(timeout=1)
        self._httpd.server_close()

    def __enter__(self) -> "LoopbackServer":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def answer(self, request: Request) -> Response | None:
        """The answer for one request, faults applied; None to drop the connection."""
        with self._lock:
            fault = next((f for f in self.faults if f.matches(request)), None)
        if self.before_request is not None:
            self.before_request(request)
        response = self._respond(request, fault)
        with self._lock:
            self.requests.append(Exchange(request, response.status if response else None))
        if response is not None and self.after_request is not None:
            self.after_request(request, response)
        return response

    def _respond(self, request: Request, fault: Fault | None) -> Response | None:
        if fault is None:
            return self.service.handle(request)
        if fault.delay_s:
            time.sleep(fault.delay_s)  # the latency that was asked for
        if fault.act is not None:
            fault.act()
        if fault.drop == "before":
            return None
        if fault.answer is not None:
            return fault.answer
        response = self.service.handle(request)
        if fault.drop == "after":
            return None
        return fault.rewrite(request, response) if fault.rewrite else response


class _Httpd(ThreadingHTTPServer):
    """Waits for connections without looking up: whoever ends it makes one, which is not answered.

    A server that looks every so often whether it is to end takes as long to do so.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.is_over = threading.Event()

    def serve_until_over(self) -> None:
        while not self.is_over.is_set():
            self.handle_request()

    def verify_request(self, request: object, client_address: object) -> bool:
        return not self.is_over.is_set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away in mid-sentence: it was killed, or hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_for(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else b""
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, parts.query, headers, body)
            response = server.answer(request)
            if response is None:
                self.close_connection = True
                return
            head = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}"]
            head += [f"Date: {server.service.date_header()}"]
            head += [f"{name}: {value}" for name, value in response.headers.items()]
            if response.status != 204:
                head += [f"Content-Length: {len(response.body)}"]
            data = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"
            self.wfile.write(data + response.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing; `requests` remembers."""

    return Handler
