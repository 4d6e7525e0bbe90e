"""What answers where webhook URLs lead."""

from dataclasses import dataclass, field

from mcsync.sandbox.server import Request, Response


@dataclass
class Door:
    """Answers every request with one status, and keeps it."""

    status: int = 200
    seen: list[Request] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(self.status)

    def date_header(self) -> str:
        return "Sun, 22 Nov 2026 12:00:00 GMT"
