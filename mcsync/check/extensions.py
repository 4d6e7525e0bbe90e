"""Extensions of CiviCRM that do mcsync's work: how they are known by their webhooks.

The addresses are those of the documents' config blob (mailchimpsync) and of the older extension's
webhook. Where a site has no clean URLs, the route stands in the query: `q=`, or Joomla's `task=`
(civicrm: Endpoint).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from mcsync.check.findings import Finding
from mcsync.model import Batch, BatchWebhook, Webhook
from mcsync.text import count_of

REPLACE = "mcsync check --fix --replace-extension"
_ROUTE_KEYS = ("q", "task")


class Extension(StrEnum):
    """The extensions, as CiviCRM lists them."""

    MAILCHIMPSYNC = "mailchimpsync"
    VEDACONSULTING = "uk.co.vedaconsulting.mailchimp"


_ROUTES: Mapping[str, Extension] = {
    "civicrm/mailchimpsync/webhook": Extension.MAILCHIMPSYNC,
    "civicrm/mailchimpsync/batch-webhook": Extension.MAILCHIMPSYNC,
    "civicrm/mailchimp/webhook": Extension.VEDACONSULTING,
}
# What has to stop before anything else, by extension.
_FIRST = {
    Extension.MAILCHIMPSYNC: "let its scheduled job run once more and disable it, in CiviCRM",
    Extension.VEDACONSULTING: (
        "let its scheduled jobs run once more and disable them, in CiviCRM, and then the extension"
        " itself, which also writes to Mailchimp whenever somebody is added to a group or removed"
    ),
}


class Route(NamedTuple):
    """Where an extension's webhook leads; `shown` is `q=ROUTE` where that stands in the query."""

    extension: Extension
    base: str
    shown: str


def find_route(url: str) -> Route | None:
    """The extension that a webhook's URL leads to; None for any other URL.

    `base` is the address of the site, as far as the URL tells it.
    """
    try:
        parts = urlsplit(url)
        query = [(k, v.strip("/")) for k, v in parse_qsl(parts.query) if k in _ROUTE_KEYS]
    except ValueError:
        return None
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    path = parts.path.rstrip("/")
    for route, extension in _ROUTES.items():
        if path.endswith(f"/{route}"):
            return Route(extension, root + path.removesuffix(f"/{route}"), "")
        for key, value in query:
            if value == route:
                return Route(extension, root + path.rpartition("/")[0], f"{key}={route}")
    return None


def find_extension(url: str) -> Extension | None:
    """Whose webhook it is; None when it leads to no extension."""
    route = find_route(url)
    return route.extension if route else None


def find_host(url: str) -> str:
    """Where an address leads, as sites are told apart; with "www." it is the same one."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


# --- what is wrong --------------------------------------------------------------------------------


def judge_own_address(where: str, url: str, shown: str, list_id: str = "") -> Iterator[Finding]:
    """The address in the config is an extension's, and it is not mcsync that answers there."""
    extension = find_extension(url)
    if extension is not None:
        yield Finding(
            "webhook-of-extension",
            where,
            f"the config's address {shown} is the extension {extension}'s own, so Mailchimp tells"
            " the extension and not mcsync",
            "put the address of mcsync serve in its place, or remove it from the config; then run"
            f" {REPLACE}",
            list_id,
        )


def judge_extension_webhooks(
    where: str, found: Sequence[tuple[Webhook | BatchWebhook, str]], list_id: str = ""
) -> Iterator[Finding]:
    """Who is told of changes besides mcsync? `found`: extensions' webhooks, and how they show."""
    kind = "webhook" if list_id else "batch webhook"
    for webhook, shown in found:
        yield Finding(
            "extension-webhook" if list_id else "extension-batch-webhook",
            where,
            f"the extension {find_extension(webhook.url)} still gets a {kind}, at {shown}",
            f'{REPLACE}, when its turn comes: see "switching over" in this list',
            list_id,
        )


def judge_elsewhere(
    where: str, found: Sequence[tuple[Webhook | BatchWebhook, str]]
) -> Iterator[Finding]:
    """Which extensions of other sites use the account, too? `found` as above."""
    for webhook, shown in found:
        yield Finding(
            "extension-elsewhere",
            where,
            f"the extension {find_extension(webhook.url)} of another site,"
            f" {find_host(webhook.url)}, gets a batch webhook, at {shown}; it is left alone",
            "nothing to do; if that site is no longer there, delete the webhook at Mailchimp",
        )


def judge_switching(extensions: Collection[Extension]) -> Iterator[Finding]:
    """In which order is an extension to be replaced?"""
    for extension in sorted(extensions):
        yield Finding(
            "extension-at-work",
            f"switching over from {extension}",
            "the extension and mcsync must not both sync: each would take what the other writes"
            " for what people said",
            f"first {_FIRST[extension]}; put the time of that into movedAt in the config; wait"
            " until no batch is under way; look at mcsync sync --dry-run; then run"
            f" {REPLACE}, and at once mcsync sync --wait. See mcsync help moving",
        )


def judge_batches(where: str, batches: Sequence[Batch], ours: Collection[str]) -> Iterator[Finding]:
    """Is anything under way that mcsync did not send? Asked only while an extension is seen."""
    others = [b for b in batches if not b.is_finished and b.batch_id not in ours]
    if others:
        since: datetime = min(each.submitted_at for each in others)
        is_are = count_of(len(others), "batch is", "batches are")
        yield Finding(
            "batches-under-way",
            where,
            f"{is_are} under way at Mailchimp that mcsync did not send, since"
            f" {since:%Y-%m-%d %H:%M} UTC",
            "wait until Mailchimp has finished before mcsync's first sync, so that it does not take"
            " what they write for what people said",
        )
