"""What a config says, as values: frozen, whole, and without a key (API key) in any repr."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mcsync.config.json_mistakes import JsonSlip
from mcsync.config.section import HIDDEN
from mcsync.name_tags import NAME_FIELDS
from mcsync.safety import USUAL_SAFETY, Safety

if TYPE_CHECKING:
    from mcsync.model import Side


class Secret:
    """A text that shows only when asked to: `reveal()`. str, repr and format give `***`.

    No dataclass: those are written out whole by whatever makes JSON of them.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        return Secret, (self._text,)


class Duplicates(StrEnum):
    """Whom to take when several contacts own an address and no other rule decides."""

    LOWEST_ID = "lowest-id"
    SKIP = "skip"


class Reconfirm(StrEnum):
    """What to do about a member in compliance state: ask by confirmation mail, or nothing."""

    PENDING = "pending"
    NEVER = "never"


class Removal(StrEnum):
    """How a member is removed at Mailchimp."""

    UNSUBSCRIBE = "unsubscribe"
    ARCHIVE = "archive"


class DeletedContacts(StrEnum):
    """What becomes of the member whose contact was deleted in CiviCRM."""

    RECREATE = "recreate"
    UNSUBSCRIBE = "unsubscribe"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class CivicrmConfig:
    """How to reach CiviCRM; `url` is a base URL or an APIv4 endpoint, without a last slash.

    `hook_secret` is what CiviCRM's own requests to us have in their address.
    `connections`: how many requests may be under way at once.
    """

    url: str
    api_key: Secret
    site_key: Secret | None = None
    hook_secret: Secret | None = None
    connections: int = 4


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """How to reach one Mailchimp account; `api_url` has its path and no last slash.

    URLs of webhooks carry a secret, so they are Secrets; the secrets of several sources are
    gathered: any of them is right. Signing secrets check X-Mailchimp-Signature.
    """

    key: Secret
    api_url: str
    name: str | None = None
    webhook_url: Secret | None = None
    webhook_secrets: tuple[Secret, ...] = ()
    batch_webhook_url: Secret | None = None
    batch_webhook_secrets: tuple[Secret, ...] = ()
    signing_secrets: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class DataConfig:
    """The data step: `every_hours` None is every sync; `fields` is merge tag -> CiviCRM field.

    `group_tags` is group id -> tag.
    A call of a plugin that takes longer than `slow_plugin_s` seconds is reported.
    """

    sync: bool
    every_hours: float | None
    fields: Mapping[str, str]
    plugins: tuple[str, ...]
    slow_plugin_s: float
    group_tags: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """Whom to tell of a run: a program, as its words, and an address that is pinged.

    The address is as secret as a key: who has it can say that all is well. A service that is down
    is told only when an audience's last complete sync is `quiet_minutes` old.
    """

    command: tuple[str, ...]
    ping_url: Secret | None
    quiet_minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceConfig:
    """One entry of `lists`, its options filled up from `defaults`.

    `account_key` is its `apiKey` as written, the key into `Config.accounts`; `trust_override` has
    interest ids and "subscription" as keys; `interests` is interest id -> group id. `name_fields`
    has the merge tags of "first", "last" and "whole" name, "" where there is none. `moved_at` is
    when mcsync took over from an extension, aware UTC.
    """

    list_id: str
    name: str
    group_id: int
    account_key: str = field(repr=False)
    interests: Mapping[str, int]
    trust_override: "Mapping[str, Side]"
    webhook_url: Secret | None = None
    push_only_interests: frozenset[str] = frozenset()
    duplicates: Duplicates = Duplicates.LOWEST_ID
    reconfirm: Reconfirm = Reconfirm.PENDING
    removal: Removal = Removal.UNSUBSCRIBE
    deleted_contacts: DeletedContacts = DeletedContacts.RECREATE
    push_email_changes: bool = True
    confirm_new: bool = False
    moved_at: datetime | None = None
    contact_source: str = "mailchimpsync"
    name_fields: Mapping[str, str] = field(default_factory=lambda: NAME_FIELDS)
    safety: Safety = USUAL_SAFETY


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole, checked config. Paths are absolute; `accounts` has keys (API keys) as keys.

    `full_fetch_days`: how often Mailchimp is read in full, where increments would do.
    `backups`: how many daily copies of the cache are kept beside it; 0 is none.
    `environ`: what filled in its variables.
    """

    path: Path
    civicrm: CivicrmConfig
    cache: Path
    accounts: Mapping[str, AccountConfig] = field(repr=False)
    audiences: tuple[AudienceConfig, ...]
    data: DataConfig
    notify: NotifyConfig
    full_compare_hours: int
    full_fetch_days: float
    history_days: int
    backups: int
    warnings: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def secrets(self) -> Iterator[Secret]:
        """Every key and secret by itself, not the URLs of webhooks that have one in them."""
        yield self.civicrm.api_key
        if self.civicrm.site_key:
            yield self.civicrm.site_key
        if self.civicrm.hook_secret:
            yield self.civicrm.hook_secret
        for account in self.accounts.values():
            yield account.key
            yield from account.webhook_secrets
            yield from account.batch_webhook_secrets
            yield from account.signing_secrets
        if self.notify.ping_url:
            yield self.notify.ping_url


@dataclass(frozen=True, slots=True)
class ForeignConfig:
    """The extension's config blob: what it says, and as it stands there; CiviCRM is not in it.

    `slips` were mended as it was read; `left_out` are the JSON paths of what mcsync has no use for.
    """

    config: Config
    blob: Mapping[str, object] = field(repr=False)
    slips: tuple[JsonSlip, ...] = ()
    left_out: tuple[str, ...] = ()
