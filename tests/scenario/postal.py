"""The post between Mailchimp and us: webhooks as the simulated Mailchimp fires them."""

from collections.abc import Iterable, Sequence

from mcsync.cache.webhooks import save_events
from mcsync.model import WebhookEvent
from mcsync.pipeline.handle_webhooks import handle_webhooks
from mcsync.sandbox.mailchimp.state import Webhook
from mcsync.sandbox.town import API_KEY
from mcsync.webhooks.payload import parse_payload
from tests.scenario.bedrock import LIST, Bedrock

URL = "https://crm.example.org/mailchimp/webhook?secret=yabbadabbadoo"
EVENTS = ("subscribe", "unsubscribe", "profile", "cleaned", "upemail")


class Post:
    """Collects what Mailchimp fires; a test decides what becomes of it."""

    def __init__(self, bedrock: Bedrock, lists: Sequence[str] = (LIST,)) -> None:
        self.bedrock = bedrock
        self.bag: list[WebhookEvent] = []
        mailchimp = bedrock.town.mailchimp
        sources = {"user": True, "admin": True, "api": False}
        for list_id in lists:
            webhook = Webhook("hook", URL, list_id, sources=sources)
            webhook.events = dict.fromkeys(EVENTS, True)
            mailchimp.audiences[list_id].webhooks["hook"] = webhook
        batches = Webhook("batches", URL.replace("webhook", "batch-webhook"))
        mailchimp.accounts[API_KEY].batch_webhooks["batches"] = batches
        mailchimp.deliver = self._receive

    def _receive(self, _url: str, body: bytes, _headers: dict[str, str]) -> int:
        event = parse_payload(body).event
        if event is not None:
            self.bag.append(event)
        return 200

    def collect(self) -> list[WebhookEvent]:
        """What came since last time."""
        bag, self.bag = self.bag, []
        return bag

    def store(self, events: Iterable[WebhookEvent] | None = None) -> None:
        """Put events, or all that came, into the queue; nobody handles them."""
        store = self.bedrock.open_store()
        try:
            events = self.collect() if events is None else events
            save_events(store, events, self.bedrock.town.clock())
        finally:
            store.close()

    def handle(self, *, raises: bool = True) -> int:
        """Handle what is in the queue, as the server does; how many events that were."""
        store = self.bedrock.open_store()
        try:
            run = self.bedrock.make_run(store)
            handled = handle_webhooks(run)
            if raises:
                run.raise_troubles()
        finally:
            store.close()
        self.bedrock.pass_time(seconds=1)
        return handled

    def bring(self, events: Iterable[WebhookEvent] | None = None) -> None:
        """Store and handle events, or all that came."""
        self.store(events)
        while self.handle():
            pass

    def waiting(self) -> int:
        """How many events are in the queue."""
        store = self.bedrock.open_store()
        try:
            row = store.query("SELECT count(*) FROM civicrm_mailchimpsync_webhook").fetchone()
        finally:
            store.close()
        return int(row[0])
