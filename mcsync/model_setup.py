"""What surrounds the sync, as values: accounts, webhooks, the events they tell, and groups.

Frozen, and pure like `mcsync.model`: the standard library only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Account:
    """A Mailchimp account as its key shows it; `served_at` is Mailchimp's clock, aware UTC."""

    account_id: str
    name: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    role: str = ""
    served_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """An audience's webhook; `events` and `sources` say which are on, by Mailchimp's names.

    `signing_secret` comes once, with the answer that created it.
    """

    webhook_id: str
    url: str = field(repr=False)  # it may carry a secret
    events: Mapping[str, bool]
    sources: Mapping[str, bool]
    signing_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BatchWebhook:
    """A webhook of an account, for finished batches."""

    webhook_id: str
    url: str = field(repr=False)
    is_enabled: bool
    signing_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class GroupChoice:
    """A group of CiviCRM as a human would choose it.

    `is_access_control`: whoever is in it may do more than others in CiviCRM or the CMS.
    """

    group_id: int
    title: str
    is_active: bool
    is_mailing: bool
    is_smart: bool
    is_access_control: bool = False


class EventKind(StrEnum):
    """What a webhook may tell, by Mailchimp's names; any other is nothing to us."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    PROFILE = "profile"
    CLEANED = "cleaned"
    UPEMAIL = "upemail"
    BATCH_COMPLETED = "batch_operation_completed"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One delivery, reduced to what is needed to look for oneself: a payload is but a hint.

    `email` is the new address of an `upemail`; `reason` is that of a `cleaned` ("hard" or
    "abuse"); a batch has neither audience nor address. `fired_at` is the payload's text.
    """

    kind: EventKind
    list_id: str = ""
    email: str = ""
    old_email: str = ""
    reason: str = ""
    batch_id: str = ""
    fired_at: str = ""
