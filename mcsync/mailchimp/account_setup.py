"""How a Mailchimp account is set up: what `pipeline.ports.MailchimpSetupPort` asks for, over HTTP.

URLs of webhooks carry a secret, which never comes into a message.
"""

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from mcsync.errors import ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.http import HttpClient, NoAnswer, Reply
from mcsync.mailchimp import wire
from mcsync.mailchimp.client import MailchimpClient
from mcsync.model import Account, Audience, BatchWebhook, Webhook
from mcsync.text import GREETING

PROBE_TIMEOUT_S = 10.0  # Mailchimp takes an answer within 10 s (mailchimp: Webhooks)
_AUDIENCE_FIELDS = "lists.id,lists.name,lists.double_optin,lists.stats.member_count"
_URL_HINT = (
    "Mailchimp tests the address with a GET, which must be answered with 200: run "
    '"mcsync serve" where the address leads, then try again'
)
_LEAST_SECRET = 3  # characters; to take out a shorter one would only garble the words


class MailchimpSetup(MailchimpClient):
    """One account; besides its set-up, everything that `MailchimpClient` does."""

    # --- the account --------------------------------------------------------------------------

    def fetch_account(self) -> Account:
        """The account that the key opens."""
        reply = self._checked(self._get("/", fields=wire.fields_of(wire.WireAccount)))
        found = reply.decode(wire.WireAccount)
        return Account(
            account_id=found.account_id,
            name=found.account_name,
            email=found.email,
            first_name=found.first_name,
            last_name=found.last_name,
            username=found.username,
            role=found.role,
            served_at=reply.date,
        )

    def fetch_audiences(self) -> tuple[Audience, ...]:
        """All audiences of the account."""
        return tuple(
            Audience(found.id, found.name, found.double_optin, found.stats.member_count)
            for found in self._collection("/lists", _AUDIENCE_FIELDS, lambda root: root.lists)
        )

    # --- webhooks of an audience --------------------------------------------------------------

    def fetch_webhooks(self, list_id: str) -> tuple[Webhook, ...]:
        """All webhooks of an audience, foreign ones too.

        This collection alone has no paging parameters, so what is missing cannot be asked for.
        Raises: ProtocolError when fewer came than Mailchimp counts.
        """
        reply = self._checked(self._get(f"/lists/{list_id}/webhooks"), list_id)
        found = reply.decode(wire.WireWebhooks)
        if len(found.webhooks) < found.total_items:
            counts = f"{len(found.webhooks)} of {found.total_items}"
            raise ProtocolError(f"received {counts} webhooks of list {list_id}")
        return tuple(map(_read_webhook, found.webhooks))

    def create_webhook(
        self, list_id: str, url: str, events: Mapping[str, bool], sources: Mapping[str, bool]
    ) -> Webhook:
        """Register a webhook; Mailchimp asks the URL first, and refuses one that is not there.

        When the answer is lost it is looked whether the webhook is there after all; the signing
        secret, which is told only once, is lost then. Raises: as the port says.
        """
        path = f"/lists/{list_id}/webhooks"
        body = {"url": url, "events": dict(events), "sources": dict(sources)}
        try:
            reply = self._register("POST", path, url, body, list_id)
        except RemoteUnavailable:
            for webhook in self.fetch_webhooks(list_id):
                if webhook.url == url:
                    return webhook
            raise
        return _read_webhook(reply.decode(wire.WireWebhook))

    def update_webhook(
        self,
        list_id: str,
        webhook_id: str,
        url: str,
        events: Mapping[str, bool],
        sources: Mapping[str, bool],
    ) -> None:
        """Change a webhook; RemoteRefused as for `create_webhook`, or when it is gone."""
        path = f"/lists/{list_id}/webhooks/{webhook_id}"
        body = {"url": url, "events": dict(events), "sources": dict(sources)}
        self._register("PATCH", path, url, body, list_id)

    def delete_webhook(self, list_id: str, webhook_id: str) -> None:
        """Take a webhook away; no error when it is gone already."""
        self._take_away(f"/lists/{list_id}/webhooks/{webhook_id}")

    # --- batch webhooks of the account --------------------------------------------------------

    def fetch_batch_webhooks(self) -> tuple[BatchWebhook, ...]:
        """All batch webhooks of the account."""
        fields = "webhooks.id,webhooks.url,webhooks.enabled"
        found = self._collection("/batch-webhooks", fields, lambda root: root.webhooks)
        return tuple(map(_read_batch_webhook, found))

    def create_batch_webhook(self, url: str) -> BatchWebhook:
        """Register a batch webhook; RemoteRefused, and a lost answer, as for `create_webhook`."""
        try:
            reply = self._register("POST", "/batch-webhooks", url, {"url": url, "enabled": True})
        except RemoteUnavailable:
            for webhook in self.fetch_batch_webhooks():
                if webhook.url == url:
                    return webhook
            raise
        return _read_batch_webhook(reply.decode(wire.WireBatchWebhook))

    def update_batch_webhook(self, webhook_id: str, url: str, *, is_enabled: bool) -> None:
        """Change a batch webhook; RemoteRefused as for `create_webhook`, or when it is gone."""
        body = {"url": url, "enabled": is_enabled}
        self._register("PATCH", f"/batch-webhooks/{webhook_id}", url, body)

    def delete_batch_webhook(self, webhook_id: str) -> None:
        """Take a batch webhook away; no error when it is gone already."""
        self._take_away(f"/batch-webhooks/{webhook_id}")

    # --- one request --------------------------------------------------------------------------

    def _register(
        self, method: str, path: str, url: str, body: object, list_id: str | None = None
    ) -> Reply:
        """Send a webhook's URL; what a PATCH sets may be set twice, a POST is not repeated."""
        encoded = msgspec.json.encode(body)
        reply = self._send(method, path, is_repeatable=method != "POST", body=encoded)
        if reply.status == 400:
            words = _without_secrets(self._text_of_reply(reply), url)
            raise RemoteRefused(f"{self._host} refused the webhook: {words}", hint=_URL_HINT)
        if reply.status == 404 and method == "PATCH":
            raise RemoteRefused(
                f"{self._host} no longer has the webhook that was to be changed",
                hint="somebody has deleted it; run the check again",
            )
        return self._checked(reply, list_id)

    def _take_away(self, path: str) -> None:
        reply = self._send("DELETE", path, is_repeatable=True)
        if reply.status != 404:
            self._checked(reply)


def probe_url(
    url: str,
    http: HttpClient | None = None,
    *,
    service: str = "",
    ends_at: float | None = None,
    method: str = "GET",
) -> int:
    """GET an address, such as a webhook of ours, as Mailchimp does, and return the HTTP status.

    Without credentials, and not patiently: one that has to be asked twice is not there.
    It is given up at `ends_at`, a time of `time.monotonic`, after PROBE_TIMEOUT_S if that is None.
    Raises: RemoteUnavailable when nobody answers; `service` is what it calls who should have.
    """
    return _probe(url, http, service, ends_at, method).status


def is_mcsync(url: str) -> bool:
    """Whether it is mcsync that answers a GET at an address. Raises: as `probe_url`."""
    reply = _probe(url)
    return reply.is_success and reply.body == GREETING


def _probe(
    url: str,
    http: HttpClient | None = None,
    service: str = "",
    ends_at: float | None = None,
    method: str = "GET",
) -> Reply:
    if http is None:
        http = HttpClient(
            max_connections=1,
            sleep=_do_not_wait,
            service=service,
            ends_at=time.monotonic() + PROBE_TIMEOUT_S if ends_at is None else ends_at,
            least_s=0,
        )
    try:
        reply = http.send(
            method,
            url,
            is_repeatable=False,
            expects_json=False,
            timeout_s=PROBE_TIMEOUT_S,
            deadline_s=PROBE_TIMEOUT_S,
        )
    except NoAnswer as error:
        if error.reply is None:
            raise
        return error.reply
    return reply


def _do_not_wait(_seconds: float) -> None:
    """Try again at once."""


def _without_secrets(words: str, url: str) -> str:
    """Mailchimp's words without the query, and what stands in it, of a URL of ours."""
    query = urlsplit(url).query
    parts = {query, unquote(query)}
    parts |= {value for _, value in parse_qsl(query)}
    parts |= {part.partition("=")[2] for part in query.split("&")}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _LEAST_SECRET:
            words = words.replace(part, "***")
    return words


def _read_webhook(found: wire.WireWebhook) -> Webhook:
    return Webhook(found.id, found.url, found.events, found.sources, found.signing_secret or None)


def _read_batch_webhook(found: wire.WireBatchWebhook) -> BatchWebhook:
    return BatchWebhook(found.id, found.url, found.enabled, found.signing_secret or None)
