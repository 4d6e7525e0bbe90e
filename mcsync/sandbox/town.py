"""Both simulated services together, on loopback, with one clock that can be set forward."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.mailchimp import MailchimpSimulator
from mcsync.sandbox.server import LoopbackServer

API_KEY = "0123456789abcdef0123456789abcdef-us1"  # opens nothing but the simulated Mailchimp


class TownClock:
    """Aware UTC. Either the real time, moved by what was passed, or standing still."""

    def __init__(self, start: datetime | None = None) -> None:
        """With `start` the clock stands still there; without, it runs."""
        self._start = start
        self._passed = timedelta()
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            return (self._start or datetime.now(UTC)) + self._passed

    def advance(self, **length: float) -> datetime:
        """Let time pass, in the words of `timedelta`; returns the new time."""
        with self._lock:
            self._passed += timedelta(**length)
        return self()


class Town:
    """A simulated Mailchimp account and a simulated CiviCRM site; a context manager."""

    def __init__(
        self,
        start: datetime | None = None,
        *,
        mailchimp_port: int = 0,
        civicrm_port: int = 0,
        utc_offset_minutes: int = 60,
        deliver_webhooks: bool = False,
    ) -> None:
        """With `deliver_webhooks` the URLs of webhooks are tried, and really sent to."""
        self.clock = TownClock(start)
        self.mailchimp = MailchimpSimulator(self.clock, deliver_webhooks=deliver_webhooks)
        self.mailchimp.settings.validate_webhooks = deliver_webhooks
        self.mailchimp.add_account(API_KEY)
        self.civicrm = CivicrmSimulator(self.clock, utc_offset_minutes)
        self.mailchimp_server = LoopbackServer(self.mailchimp, mailchimp_port)
        self.civicrm_server = LoopbackServer(self.civicrm, civicrm_port)
        self.lists: dict[str, dict[str, object]] = {}

    def __enter__(self) -> "Town":
        self.mailchimp_server.start()
        self.civicrm_server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.mailchimp_server.stop()
        self.civicrm_server.stop()

    @property
    def api_url(self) -> str:
        """The simulated Mailchimp's address, path included."""
        return f"{self.mailchimp_server.url}/3.0"

    @property
    def requests(self) -> int:
        """How many requests both services got so far."""
        return len(self.mailchimp_server.requests) + len(self.civicrm_server.requests)

    @property
    def writes(self) -> int:
        """How many records were written by API calls at both services so far."""
        return self.mailchimp.writes + self.civicrm.writes

    def add_audience(
        self, list_id: str, name: str, group_id: int, interests: dict[str, tuple[int, str]]
    ) -> None:
        """An audience with its group; `interests`: interest id to (group id, name)."""
        self.mailchimp.add_audience(list_id, name, API_KEY)
        self.civicrm.add_group(f"{name} subscribers", group_id)
        for interest_id, (interest_group, title) in interests.items():
            self.mailchimp.add_interest(list_id, "Topics", interest_id, title)
            self.civicrm.add_group(title, interest_group)
        self.lists[list_id] = {
            "subscriptionGroup": str(group_id),
            "apiKey": API_KEY,
            "interests": {key: str(group) for key, (group, _) in interests.items()},
        }

    def make_config(self) -> dict[str, object]:
        """A config for these services, as it stands in a file."""
        names = {list_id: {"name": self._name(list_id)} for list_id in self.lists}
        return {
            "civicrm": {"url": self.civicrm_server.url, "apiKey": self.civicrm.api_key},
            "cache": "mcsync.db",
            "lists": self.lists,
            "accounts": {API_KEY: {"apiKey": API_KEY, "apiUrl": self.api_url, "audiences": names}},
        }

    def _name(self, list_id: str) -> str:
        return str(self.mailchimp.audiences[list_id].name)

    def write_config(self, folder: Path) -> Path:
        """Write the config into a folder and return its path."""
        path = folder / "config.json"
        path.write_text(json.dumps(self.make_config(), indent=2), encoding="utf-8")
        path.chmod(0o600)
        return path
