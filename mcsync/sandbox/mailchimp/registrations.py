"""The API's calls that register webhooks, of audiences and for batches."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from mcsync.sandbox.mailchimp.render import render_batch_webhook, render_webhook
from mcsync.sandbox.mailchimp.state import Audience, Webhook
from mcsync.sandbox.mailchimp.wire import (
    NO_CONTENT,
    Call,
    JsonObject,
    Reply,
    invalid,
    not_found,
    not_validated,
    page_of,
    project,
)
from mcsync.sandbox.mailchimp.world import World

EVENTS = ("subscribe", "unsubscribe", "profile", "cleaned", "upemail", "campaign")
NEWER_EVENTS = (
    "sms_subscribe",
    "sms_unsubscribe",
    "upsms",
    "sms_campaign",
)  # since specification 3.0.91
SOURCES = ("user", "admin", "api")
MAX_BATCH_WEBHOOKS = 20  # Mailchimp's guide


def _audience(world: World, call: Call) -> Audience:
    return world.audience_for(call.api_key, call.parts[0], call.now)


def _shown_webhook(world: World, webhook: Webhook) -> JsonObject:
    parent = f"/lists/{webhook.list_id}/webhooks"
    return world.linked(
        render_webhook(webhook),
        lambda links: links.pair(f"{parent}/{webhook.id}", parent, "Lists/Webhooks"),
    )


def list_webhooks(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/webhooks; it knows no paging parameters."""
    audience = _audience(world, call)
    items = [_shown_webhook(world, webhook) for webhook in audience.webhooks.values()]
    payload: JsonObject = {"webhooks": items, "list_id": audience.id, "total_items": len(items)}
    path = f"/lists/{audience.id}/webhooks"
    world.linked(payload, lambda links: links.pair(path, f"/lists/{audience.id}", "Lists/Webhooks"))
    return Reply(200, payload, "Lists/Webhooks/Collection")


def read_url(call: Call) -> str:
    """The `url` of a webhook's body, "" if it is absent. Raises Problem if it is none."""
    url = call.json_object().get("url")
    if url is None and call.method == "PATCH":
        return ""
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise not_validated(("url", "Please enter a valid URL."))
    return str(url)


def post_webhook(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}/webhooks; the secret is shown here and never again."""
    audience = _audience(world, call)
    url = read_url(call)
    _refuse_duplicate(audience.webhooks, url)
    body = call.json_object()
    webhook = Webhook(world.new_id(), url, audience.id)
    # Guess: events and sources that are not sent are off; the default is undocumented
    webhook.events = _switches(body, "events", dict.fromkeys(EVENTS, False))
    webhook.sources = _switches(body, "sources", dict.fromkeys(SOURCES, False))
    if world.settings.sign_webhooks:
        webhook.secret = f"whsec_{world.random.getrandbits(128):032x}"
    audience.webhooks[webhook.id] = webhook
    payload = _shown_webhook(world, webhook) | _signing(webhook)
    return Reply(200, payload, "Lists/Webhooks/Instance")


def _signing(webhook: Webhook) -> JsonObject:
    signing: JsonObject = {"signing_enabled": bool(webhook.secret)}
    return signing | ({"signing_secret": webhook.secret} if webhook.secret else {})


def _switches(body: JsonObject, name: str, old: dict[str, bool]) -> dict[str, bool]:
    given = body.get(name)
    if given is None:
        return old
    if not isinstance(given, dict) or not all(isinstance(v, bool) for v in given.values()):
        raise not_validated((name, "Schema describes boolean, string found instead"))
    allowed = (*EVENTS, *NEWER_EVENTS) if name == "events" else SOURCES
    return old | {key: value for key, value in given.items() if key in allowed}


def _refuse_duplicate(webhooks: Mapping[str, Webhook], url: str, but: str = "") -> None:
    """URLs that differ only in the query string count as the same (reported)."""
    plain = urlsplit(url)._replace(query="", fragment="").geturl()
    for webhook in webhooks.values():
        known = urlsplit(webhook.url)._replace(query="", fragment="").geturl()
        if known == plain and webhook.id != but:
            # Guess: only the refusal is known, not its wording
            raise not_validated(("url", "Sorry, you can't set up multiple WebHooks for one URL"))


def _webhook(webhooks: Mapping[str, Webhook], key: str) -> Webhook:
    if key not in webhooks:
        raise not_found()
    return webhooks[key]


def get_webhook(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/webhooks/{webhook_id}."""
    webhook = _webhook(_audience(world, call).webhooks, call.parts[1])
    return Reply(200, _shown_webhook(world, webhook), "Lists/Webhooks/Instance")


def patch_webhook(world: World, call: Call) -> Reply:
    """PATCH /lists/{list_id}/webhooks/{webhook_id}."""
    audience = _audience(world, call)
    webhook = _webhook(audience.webhooks, call.parts[1])
    body = call.json_object()
    url = read_url(call) or webhook.url
    _refuse_duplicate(audience.webhooks, url, webhook.id)
    events = _switches(body, "events", webhook.events)
    sources = _switches(body, "sources", webhook.sources)
    webhook.url, webhook.events, webhook.sources = url, events, sources
    return Reply(200, _shown_webhook(world, webhook), "Lists/Webhooks/Instance")


def delete_webhook(world: World, call: Call) -> Reply:
    """DELETE /lists/{list_id}/webhooks/{webhook_id}."""
    audience = _audience(world, call)
    del audience.webhooks[_webhook(audience.webhooks, call.parts[1]).id]
    return NO_CONTENT


# Batch webhooks --------------------------------------------------------------------------


def _shown_batch_webhook(world: World, webhook: Webhook) -> JsonObject:
    path = f"/batch-webhooks/{webhook.id}"
    return world.linked(
        render_batch_webhook(webhook),
        lambda links: links.pair(path, "/batch-webhooks", "BatchWebhooks"),
    )


def list_batch_webhooks(world: World, call: Call) -> Reply:
    """GET /batch-webhooks."""
    webhooks = world.accounts[call.api_key].batch_webhooks.values()
    items = [_shown_batch_webhook(world, webhook) for webhook in webhooks]
    extra = world.linked({}, lambda links: links.pair("/batch-webhooks", "/", "BatchWebhooks"))
    return Reply(200, page_of(items, "webhooks", call.query, extra), "BatchWebhooks/Collection")


def post_batch_webhook(world: World, call: Call) -> Reply:
    """POST /batch-webhooks."""
    webhooks = world.accounts[call.api_key].batch_webhooks
    url = read_url(call)
    _refuse_duplicate(webhooks, url)
    if len(webhooks) >= MAX_BATCH_WEBHOOKS:
        raise invalid(f"You can only have {MAX_BATCH_WEBHOOKS} batch webhooks.")
    webhook = Webhook(world.new_id(), url)
    webhook.enabled = call.json_object().get("enabled", True) is not False
    if world.settings.sign_webhooks:
        webhook.secret = f"whsec_{world.random.getrandbits(128):032x}"
    webhooks[webhook.id] = webhook
    payload = _shown_batch_webhook(world, webhook) | _signing(webhook)
    return Reply(200, payload, "BatchWebhooks/Instance")


def get_batch_webhook(world: World, call: Call) -> Reply:
    """GET /batch-webhooks/{batch_webhook_id}."""
    webhook = _webhook(world.accounts[call.api_key].batch_webhooks, call.parts[0])
    payload = project(_shown_batch_webhook(world, webhook), call.query)
    return Reply(200, payload, "BatchWebhooks/Instance")


def patch_batch_webhook(world: World, call: Call) -> Reply:
    """PATCH /batch-webhooks/{batch_webhook_id}."""
    webhooks = world.accounts[call.api_key].batch_webhooks
    webhook = _webhook(webhooks, call.parts[0])
    url = read_url(call) or webhook.url
    _refuse_duplicate(webhooks, url, webhook.id)
    webhook.url = url
    webhook.enabled = call.json_object().get("enabled", webhook.enabled) is not False
    return Reply(200, _shown_batch_webhook(world, webhook), "BatchWebhooks/Instance")


def delete_batch_webhook(world: World, call: Call) -> Reply:
    """DELETE /batch-webhooks/{batch_webhook_id}."""
    webhooks = world.accounts[call.api_key].batch_webhooks
    del webhooks[_webhook(webhooks, call.parts[0]).id]
    return NO_CONTENT
