"""Both simulated services together, on loopback, with one clock that can be set forward."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.mailchimp import MailchimpSimulator
from mcsync.sandbox.server import LoopbackServer

# They open nothing but the simulated Mailchimp.
API_KEY = "0123456789abcdef0123456789abcdef-us1"
OTHER_API_KEY = "fedcba9876543210fedcba9876543210-us2"  # for an account of somebody else's


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


class ServiceClock:
    """A service's own clock: the town's, but `ahead` of it, or behind where that is negative."""

    def __init__(self, clock: TownClock) -> None:
        self._clock = clock
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return self._clock() + self.ahead


class Town:
    """A simulated Mailchimp account and a simulated CiviCRM site; a context manager.

    `clock` is the time where mcsync runs; what the services say and write has their own.
    """

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
        self.mailchimp_clock = ServiceClock(self.clock)
        self.civicrm_clock = ServiceClock(self.clock)
        self.mailchimp = MailchimpSimulator(self.mailchimp_clock, deliver_webhooks=deliver_webhooks)
        self.mailchimp.settings.validate_webhooks = deliver_webhooks
        self.mailchimp.add_account(API_KEY)
        self.civicrm = CivicrmSimulator(self.civicrm_clock, utc_offset_minutes)
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
        self,
        list_id: str,
        name: str,
        group_id: int,
        interests: dict[str, tuple[int, str]],
        *,
        api_key: str = API_KEY,
    ) -> None:
        """An audience with its group; `interests`: interest id to (group id, name).

        With another key it is another account's, which is opened if it is not there.
        """
        self.mailchimp.add_audience(list_id, name, api_key)
        self.civicrm.add_group(f"{name} subscribers", group_id)
        for interest_id, (interest_group, title) in interests.items():
            self.mailchimp.add_interest(list_id, "Topics", interest_id, title)
            self.civicrm.add_group(title, interest_group)
        self.lists[list_id] = {
            "subscriptionGroup": str(group_id),
            "apiKey": api_key,
            "interests": {key: str(group) for key, (group, _) in interests.items()},
        }

    def make_config(self) -> dict[str, object]:
        """A config for these services, as it stands in a file."""
        keys = dict.fromkeys([API_KEY, *(str(found["apiKey"]) for found in self.lists.values())])
        return {
            "civicrm": {"url": self.civicrm_server.url, "apiKey": self.civicrm.api_key},
            "cache": "mcsync.db",
            "lists": self.lists,
            "accounts": {key: self._account(key) for key in keys},
        }

    def _account(self, key: str) -> dict[str, object]:
        names = {
            list_id: {"name": self._name(list_id)}
            for list_id, found in self.lists.items()
            if found["apiKey"] == key
        }
        return {"apiKey": key, "apiUrl": self.api_url, "audiences": names}

    def _name(self, list_id: str) -> str:
        return str(self.mailchimp.audiences[list_id].name)

    def write_config(self, folder: Path) -> Path:
        """Write the config into a folder and return its path."""
        path = folder / "config.json"
        path.write_text(json.dumps(self.make_config(), indent=2), encoding="utf-8")
        path.chmod(0o600)
        return path
