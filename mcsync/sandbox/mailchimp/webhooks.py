"""Deliveries of webhooks: form-encoded, signed, at least once."""

import hashlib
import hmac
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

from mcsync.sandbox.mailchimp.state import Webhook
from mcsync.sandbox.mailchimp.wire import JsonObject
from mcsync.sandbox.mailchimp.world import Event, World

Deliver = Callable[[str, bytes, dict[str, str]], int]

RETRY_S = 75 * 60  # Mailchimp's guide to webhooks, like the next two
TIMEOUT_S = 10.0
GONE = 410  # disables the webhook at once and for good
BATCH_EVENT = "batch_operation_completed"
VALIDATOR = "MailChimp.com WebHook Validator"


@dataclass(slots=True)
class Delivery:
    """One payload for one webhook. `status` is the last answer: 0 none yet, None nobody was asked.

    `list_id` is "" for batch webhooks; `at` is aware UTC.
    """

    url: str
    body: bytes
    headers: dict[str, str]
    type: str
    list_id: str
    at: datetime
    status: int | None = None
    webhook: Webhook | None = field(default=None, repr=False)

    @property
    def fields(self) -> dict[str, str]:
        """The payload, decoded."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def failed(self) -> bool:
        """Whether it was tried and not taken."""
        return self.status is not None and not 200 <= self.status < 300


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Really POST a payload; returns the status, 0 if there was no answer."""
    return _ask(urllib.request.Request(url, body, headers, method="POST"))  # noqa: S310


def validate(url: str) -> int:
    """GET a URL as the validator does; returns the status, 0 if there was no answer."""
    return _ask(urllib.request.Request(url, headers={"User-Agent": VALIDATOR}))  # noqa: S310


def _ask(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Courier:
    """Brings payloads to webhooks and remembers them all in `deliveries`.

    `deliver` is called for each, outside the lock; without it they are only remembered, or,
    with `really`, POSTed by a thread of its own.
    """

    def __init__(self, world: World, deliver: Deliver | None, really: bool) -> None:
        self.world = world
        self.deliver = deliver
        self.really = really
        self.deliveries: list[Delivery] = []
        self._queue: queue.Queue[Delivery] = queue.Queue()
        self._worker: threading.Thread | None = None

    def event(self, webhooks: Mapping[str, Webhook], event: Event, now: int) -> None:
        """Send an event to those webhooks that asked for it; `campaign` ignores sources."""
        for webhook in webhooks.values():
            asked = webhook.events.get(event.type) and (
                not event.origin or webhook.sources.get(event.origin)
            )
            if asked and webhook.enabled:
                self._send(webhook, event.type, list(event.fields), now)

    def batch_finished(self, webhook: Webhook, batch: JsonObject, now: int) -> None:
        """Tell one batch webhook about a finished batch."""
        if webhook.enabled:
            self._send(webhook, BATCH_EVENT, flatten(batch), now)

    def undelivered_batch_events(self) -> int:
        """How many batch webhook events nobody has taken yet."""
        return sum(found.failed and found.type == BATCH_EVENT for found in self.deliveries)

    def retry(self) -> int:
        """Deliver again what was not taken in the last 75 minutes; returns how many."""
        now = self.world.clock()
        todo = [
            delivery
            for delivery in list(self.deliveries)
            if delivery.failed and (now - delivery.at).total_seconds() <= RETRY_S
        ]
        for delivery in todo:
            self._bring(delivery)
        return len(todo)

    def flush(self) -> None:
        """Wait until the thread has brought everything."""
        self._queue.join()

    def _send(self, webhook: Webhook, kind: str, fields: list[tuple[str, str]], now: int) -> None:
        at = datetime.fromtimestamp(now, UTC)
        head = [("type", kind), ("fired_at", at.strftime("%Y-%m-%d %H:%M:%S"))]
        body = urlencode(head + [(f"data{name}", text) for name, text in fields]).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "MailChimp.com",
        }
        if webhook.secret:
            headers["X-Mailchimp-Signature"] = sign(webhook.secret, body, now)
        delivery = Delivery(webhook.url, body, headers, kind, webhook.list_id, at, webhook=webhook)
        self.deliveries.append(delivery)
        self.world.post_after(lambda: self._bring(delivery))

    def _bring(self, delivery: Delivery) -> None:
        if delivery.webhook is not None and not delivery.webhook.enabled:
            return
        if self.deliver is not None:
            self._note(delivery, self.deliver(delivery.url, delivery.body, delivery.headers))
        elif self.really:
            delivery.status = 0
            self._queue.put(delivery)
            self._start()

    def _start(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while True:
            delivery = self._queue.get()
            self._note(delivery, post(delivery.url, delivery.body, delivery.headers))
            self._queue.task_done()

    def _note(self, delivery: Delivery, status: int) -> None:
        delivery.status = status
        if status == GONE and delivery.webhook is not None:
            delivery.webhook.enabled = False


def sign(secret: str, body: bytes, now: int) -> str:
    """`t=<unix>,v1=<hex>`: HMAC-SHA256 over `<t>.<raw body>`."""
    digest = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256)
    return f"t={now},v1={digest.hexdigest()}"


def flatten(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """A JSON object as bracketed form fields: `[_links][0][rel]`."""
    if isinstance(value, dict):
        pairs = [(f"{prefix}[{name}]", inner) for name, inner in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{prefix}[{place}]", inner) for place, inner in enumerate(value)]
    else:
        return [(prefix, "" if value is None else str(value))]
    return [field for name, inner in pairs for field in flatten(inner, name)]
