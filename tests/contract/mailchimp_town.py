"""Mailchimp for tests of the adapter: the simulator, served, and the adapter before it.

Every request is held against Mailchimp's own description.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import requests
from mailchimp_bedrock import KEY, LIST, VENDOR, Clock, specification
from openapi_core.contrib.requests import RequestsOpenAPIRequest

from mcsync.http import HttpClient
from mcsync.mailchimp.client import MailchimpClient
from mcsync.model import (
    Batch,
    Member,
    MemberChange,
    Operation,
    Outcome,
)
from mcsync.pipeline.ports import MailchimpPort
from mcsync.sandbox.mailchimp import MailchimpSimulator
from mcsync.sandbox.server import LoopbackServer, Request, Response

FRED, WILMA, BARNEY = "fred@example.org", "wilma@example.org", "barney@example.org"
START = datetime(2021, 11, 1, tzinfo=UTC)


@dataclass
class Town:
    """The simulator behind a server, the adapter before it, and what the adapter waited."""

    server: LoopbackServer
    clock: Clock = field(default_factory=Clock)
    waits: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sim = MailchimpSimulator(self.clock)
        self.sim.add_audience(LIST, "Bedrock", KEY)
        self.server.service = self.sim
        self.server.faults.clear()
        self.server.requests.clear()
        self.server.before_request = None
        self.server.after_request = self.check
        self.http = HttpClient(max_connections=6, sleep=self.waits.append)
        self.port: MailchimpPort = MailchimpClient(KEY, f"{self.server.url}/3.0", http=self.http)

    def check(self, request: Request, response: Response) -> None:
        """Hold a request against the description; what it says is raised at the end."""
        if request.path.startswith("/3.0"):
            address = f"{VENDOR}{request.path[4:]}?{request.query}"
            asked = requests.Request(
                request.method, address, headers=dict(request.headers), data=request.body
            )
            try:
                specification().validate_request(RequestsOpenAPIRequest(asked))
            except Exception as error:  # any complaint is told, whatever its kind
                self.complaints.append(f"{request.method} {request.path}: {error!r}")

    def populate(self, count: int, *, per_second: int = 3, status: str = "subscribed") -> None:
        """That many members, some of them in the same second."""
        for number in range(count):
            at = START + timedelta(seconds=number // per_second)
            self.sim.import_member(
                LIST, f"{status}{number}@example.org", status=status, last_changed=at
            )

    def fetch_all(self, since: datetime | None = None) -> list[Member]:
        pages = self.port.fetch_members(LIST, since)
        return [member for page in pages for member in page.members]

    def member(self, email: str) -> Member:
        member = self.port.fetch_member(LIST, email)
        assert member is not None
        return member

    def change(self, email: str, **how: object) -> Outcome:
        """Carry out one change directly."""
        change = MemberChange(email, **how)  # type: ignore[arg-type]
        return self.port.change_member(Operation("direct", LIST, change))

    def run(self, *changes: MemberChange) -> dict[str, Outcome]:
        """Carry out changes in a batch; their outcomes by operation id: op0, op1 ..."""
        operations = [Operation(f"op{n}", LIST, change) for n, change in enumerate(changes)]
        batch = self.port.submit_batch(operations)
        self.sim.run_batches()
        return {o.operation_id: o for o in self.port.fetch_outcomes(self.batch(batch.batch_id))}

    def batch(self, batch_id: str) -> Batch:
        batch = self.port.fetch_batch(batch_id)
        assert batch is not None
        return batch

    def calls(self, method: str, path: str) -> list[Request]:
        """The requests that came for a path ending so."""
        sent = [exchange.request for exchange in self.server.requests]
        return [r for r in sent if r.method == method and r.path.endswith(path)]


def serve(mailchimp_server: LoopbackServer) -> Iterator[Town]:
    """A town about which Mailchimp's description has no complaint; for `pytest.fixture(serve)`."""
    town = Town(mailchimp_server)
    yield town
    assert town.complaints == []
