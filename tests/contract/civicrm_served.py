"""A simulated CiviCRM site for tests of the simulator, and a client that asks it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.server import LoopbackServer

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Site:
    """A simulator with a movable clock, served, and a client that asks as the sync's user."""

    sim: CivicrmSimulator
    server: LoopbackServer
    clock: list[datetime]
    http: requests.Session = field(default_factory=requests.Session)

    def wait(self, **duration: float) -> None:
        self.clock[0] += timedelta(**duration)

    def post(
        self, path: str, key: str | None = None, headers: dict[str, str] | None = None, **form: Any
    ) -> requests.Response:
        head = {"X-Civi-Auth": f"Bearer {key or self.sim.api_key}", **(headers or {})}
        data = {k: v if isinstance(v, str) else json.dumps(v) for k, v in form.items()}
        return self.http.post(
            self.server.url + path, data=data, headers=head, timeout=10, allow_redirects=False
        )

    def ask(
        self, entity: str, action: str = "get", key: str | None = None, **params: Any
    ) -> requests.Response:
        return self.post(f"/civicrm/ajax/api4/{entity}/{action}", key, params=params)

    def call(
        self, entity: str, action: str = "get", key: str | None = None, **params: Any
    ) -> dict[str, Any]:
        answer = self.ask(entity, action, key, **params)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def values(
        self, entity: str, action: str = "get", key: str | None = None, **params: Any
    ) -> Any:
        return self.call(entity, action, key, **params)["values"]

    def refusal(self, entity: str, action: str = "get", **params: Any) -> tuple[int, str]:
        """Status and true message of a call that must fail."""
        answer = self.ask(entity, action, self.sim.admin_api_key, **params)
        return answer.status_code, answer.json()["error_message"]


def serve(**options: Any) -> Iterator[Site]:
    """A site of its own for one test; for `pytest.fixture(serve)`."""
    clock = [NOON]
    sim = CivicrmSimulator(lambda: clock[0], **options)
    with LoopbackServer(sim) as server:
        site = Site(sim, server, clock)
        yield site
        site.http.close()
