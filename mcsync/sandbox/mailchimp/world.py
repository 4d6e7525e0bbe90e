"""The ground all parts of the simulator stand on: clock, lock, chance, settings, outbox."""

import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple

from mcsync.sandbox.mailchimp.render import Links
from mcsync.sandbox.mailchimp.state import Account, Audience, Member, scrambled_order
from mcsync.sandbox.mailchimp.wire import JsonObject, not_found


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


class ConfirmationMail(NamedTuple):
    """A mail that asks somebody to confirm; `at` is aware UTC."""

    list_id: str
    email: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LoggedOperation:
    """One executed API write, or one operation of a batch (whose reads are logged too).

    `body` is parsed JSON; `batch_id` is None for a direct call; `title` is the problem's.
    """

    at: datetime
    method: str
    path: str
    body: object
    status: int
    title: str = ""
    batch_id: str | None = None
    operation_id: str | None = None


@dataclass(slots=True)
class Settings:
    """What may be changed at any time to make the simulated Mailchimp behave otherwise.

    batch_delay_polls: GETs of a batch until it is finished; 0: it is run as soon as it was
        submitted; None: only `run_batches()` runs it.
    api_unsubscribe_is_final: an unsubscribe by API counts as the person's own (reported).
    demands_fields_always: required merge fields are demanded of members that exist, too (unknown).
    unstable_order: pages of an unsorted listing do not fit together.
    drop_429_body: 429 comes without JSON.
    fake_addresses, busy_addresses: lower-case addresses that are refused.
    with_links: answers have `_links`, most of their size.
    latency_s: time every request takes while it counts as in flight.
    validate_webhooks: a new webhook's URL must answer a GET with 200.
    sign_webhooks: new webhooks get a signing secret and signed deliveries.
    public_url: what the service calls itself; by default the `Host` it was last asked by.
    """

    max_connections: int = 10
    batch_delay_polls: int | None = 1
    api_unsubscribe_is_final: bool = False
    demands_fields_always: bool = False
    unstable_order: bool = True
    drop_429_body: bool = False
    fake_addresses: set[str] = field(default_factory=set)
    busy_addresses: set[str] = field(default_factory=set)
    with_links: bool = True
    latency_s: float = 0.0
    validate_webhooks: bool = False
    sign_webhooks: bool = True
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something a webhook may tell; `fields` are the parts of `data[...]`, in order."""

    type: str
    list_id: str
    origin: str
    fields: tuple[tuple[str, str], ...]


class World:
    """State and services shared by all parts; every use of the state is inside `working()`."""

    def __init__(self, clock: Callable[[], datetime], seed: int) -> None:
        self.clock = clock
        self.settings = Settings()
        self.random = random.Random(seed)
        self.accounts: dict[str, Account] = {}  # by their first key
        self.more_keys: dict[str, str] = {}  # each to the first key of the account it opens
        self.revoked_keys: set[str] = set()
        self.audiences: dict[str, Audience] = {}
        self.confirmation_mails: list[ConfirmationMail] = []
        self.operations: list[LoggedOperation] = []
        self.writes = 0
        self.host_url = "http://127.0.0.1"
        self._outbox: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self._depth = 0
        self._members_made = 0

    @contextmanager
    def working(self) -> Iterator[int]:
        """Hold the state; yields the time as epoch seconds. Mail goes out when all is done."""
        mail: list[Callable[[], None]] = []
        try:
            with self._lock:
                self._depth += 1
                try:
                    yield int(self.clock().timestamp())
                finally:
                    self._depth -= 1
                    if not self._depth:
                        mail, self._outbox = self._outbox, mail
        finally:
            for send in mail:
                send()

    def date_header(self) -> str:
        """The simulated time as an HTTP `Date`."""
        return format_datetime(self.clock().astimezone(UTC), usegmt=True)

    @property
    def base_url(self) -> str:
        """The service's own address, without `/3.0`."""
        return (self.settings.public_url or self.host_url).rstrip("/")

    def linked(self, payload: JsonObject, links: Callable[[Links], object]) -> JsonObject:
        """The payload with its `_links`, unless they are switched off."""
        if self.settings.with_links:
            payload["_links"] = links(Links(self.base_url))
        return payload

    def post_after(self, send: Callable[[], None]) -> None:
        """Have something done once the state is released."""
        self._outbox.append(send)

    def next_order(self) -> int:
        """A fresh `order` for a member."""
        self._members_made += 1
        return scrambled_order(self._members_made)

    def new_id(self) -> str:
        """A fresh id of 10 hex digits."""
        return f"{self.random.getrandbits(40):010x}"

    def request_id(self) -> str:
        """A fresh request id."""
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def audience(self, list_id: str) -> Audience:
        """The audience, for people and tests, who see those of all accounts."""
        audience = self.audiences[list_id]
        audience.expire(int(self.clock().timestamp()))
        return audience

    def audience_for(self, api_key: str, list_id: str, now: int) -> Audience:
        """The account's audience of that id. Raises Problem 404, also for another account's."""
        audience = self.audiences.get(list_id)
        if audience is None or audience.api_key != api_key:
            raise not_found()
        audience.expire(now)
        return audience

    def send_confirmation(self, audience: Audience, member: Member, now: int) -> None:
        """Mail somebody a request to confirm."""
        at = datetime.fromtimestamp(now, UTC)
        self.confirmation_mails.append(ConfirmationMail(audience.id, member.email, at))

    def emit(self, event: Event, now: int) -> None:
        """Tell the webhooks; the simulator proper does."""

    def log(self, operation: LoggedOperation) -> None:
        """Note an executed operation and count it if it was a write that succeeded."""
        self.operations.append(operation)
        if operation.method != "GET" and operation.status < 300:
            self.writes += 1

    def account_of(self, api_key: str) -> Account | None:
        """The account that a key opens, if any."""
        if api_key in self.revoked_keys:
            return None
        return self.accounts.get(self.more_keys.get(api_key, api_key))

    def accounts_of(self, api_key: str) -> Mapping[str, Audience]:
        """The audiences of one account."""
        return {k: a for k, a in self.audiences.items() if a.api_key == api_key}
