"""A CiviCRM site for tests of the adapter: the simulator, served, and the adapter before it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs

from mcsync.civicrm.site import CivicrmClient
from mcsync.http import HttpClient
from mcsync.model import (
    Contact,
    ContactPage,
    GroupStatus,
    SiteSnapshot,
    WriteResult,
)
from mcsync.pipeline.ports import CivicrmPort
from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.server import LoopbackServer, Request

KEY = "simulated-sync-key"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
TRACKING = "mcsync sync"
API = "civicrm/ajax/api4"


@dataclass
class Site:
    """The simulator behind a server, the adapter before it, and what the adapter waited."""

    server: LoopbackServer
    now: datetime = NOW
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sim = CivicrmSimulator(lambda: self.now)
        self.server.service = self.sim
        self.server.faults.clear()
        self.server.requests.clear()
        self.server.before_request = self.server.after_request = None
        self.port: CivicrmPort = self.client()
        self.group = self.sim.add_group("Newsletter")

    def client(
        self,
        path: str = "",
        key: str = KEY,
        site_key: str | None = None,
        connections: int = 4,
        limits: Mapping[str, int] | None = None,
    ) -> CivicrmClient:
        http = HttpClient(max_connections=connections, sleep=self.waits.append)
        url = f"{self.server.url}{path}"
        return CivicrmClient(url, key, site_key, http=http, connections=connections, limits=limits)

    def add(self, name: str, *emails: str, **flags: object) -> int:
        """A contact with an address of that name, unless others are given."""
        addresses = emails or (f"{name.lower()}@example.org",)
        return self.sim.add_contact(name, "Flintstone", list(addresses), **flags)

    def add_many(self, count: int) -> list[int]:
        return [self.add(f"Pebbles{number}") for number in range(count)]

    def snapshot(self, after: int = 0) -> SiteSnapshot:
        return self.port.fetch_snapshot([self.group], after)

    def save(self, ids: list[int], status: GroupStatus = GroupStatus.ADDED) -> list[WriteResult]:
        return list(self.port.save_group_contacts(self.group, status, ids, TRACKING))

    def calls(self, path: str) -> list[dict[str, object]]:
        """The parameters of the calls that came for a path ending so."""
        sent = [exchange.request for exchange in self.server.requests]
        return [params_of(request) for request in sent if request.path.endswith(path)]


def params_of(request: Request) -> dict[str, object]:
    """The decoded `params` of a call; that of several calls under "calls"."""
    form = parse_qs(request.body.decode())
    if "calls" in form:
        return {"calls": json.loads(form["calls"][0])}
    decoded: dict[str, object] = json.loads(form["params"][0]) if "params" in form else {}
    return decoded


def contacts_of(pages: Iterator[ContactPage]) -> dict[int, Contact]:
    return {contact.contact_id: contact for page in pages for contact in page.contacts}


def merged(results: Iterator[WriteResult] | list[WriteResult]) -> WriteResult:
    """All results as one."""
    done: dict[int, int] = {}
    failed: dict[int, str] = {}
    for result in results:
        assert not done.keys() & result.done.keys()
        done |= result.done
        failed |= result.failed
    return WriteResult(done, failed)


READS: dict[str, Callable[[Site], object]] = {
    "snapshot": lambda site: site.port.fetch_snapshot([site.group], 0),
    "history": lambda site: list(site.port.fetch_history([site.group], 0)),
    "group-contacts": lambda site: list(site.port.fetch_group_contacts([site.group])),
    "smart-group": lambda site: list(site.port.fetch_smart_group(site.group)),
    "contacts": lambda site: list(site.port.fetch_contacts([1])),
    "changed": lambda site: list(site.port.fetch_changed_contacts(NOW)),
    "owners": lambda site: list(site.port.fetch_owners(["fred@example.org"])),
    "merged": lambda site: site.port.fetch_merged_to([1]),
}
