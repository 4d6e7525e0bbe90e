"""What answers where webhook URLs lead, and elsewhere."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from mcsync.sandbox.server import Request, Response


@dataclass
class Door:
    """Answers every request with one status, unless its path has one of its own, and keeps it."""

    status: int = 200
    statuses: dict[str, int] = field(default_factory=dict)
    body: bytes = b""
    seen: list[Request] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(self.statuses.get(request.path, self.status), self.body)

    def date_header(self) -> str:
        return "Sun, 22 Nov 2026 12:00:00 GMT"


@contextmanager
def dripping() -> Iterator[str]:
    """A host that answers with one header after the other, for as long as it is listened to."""
    is_over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(10_000)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n")
                    while not is_over.wait(0.05):
                        connection.sendall(b"X: y\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            is_over.set()
