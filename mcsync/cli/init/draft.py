"""A new config, made of what was chosen; no questions, no files, no network.

`mcsync init` gathers the choices, by asking or from its options; here they become the documents'
blob ("Config settings JSON blob") with mcsync's own keys beside it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import urlsplit

from mcsync.config import ForeignConfig
from mcsync.model import Account, Group
from mcsync.text import HOOK_ENDING

CIVICRM_URL = "MCSYNC_CIVICRM_URL"
CIVICRM_KEY = "MCSYNC_CIVICRM_API_KEY"
SITE_KEY = "MCSYNC_CIVICRM_SITE_KEY"
MAILCHIMP_KEY = "MAILCHIMP_API_KEY"


class KeysIn(StrEnum):
    """Where the config has its keys (API keys) from: they stand in it, or `${NAME}` does.

    The variables come from wherever mcsync runs, or from a file beside the config.
    """

    FILE = "file"
    ENVIRONMENT = "environment"
    KEYS_ENV = "keys.env"


@dataclass(frozen=True, slots=True)
class Setting:
    """An address or a key, and the environment variable that holds it; "" for none."""

    text: str = field(repr=False)
    variable: str = ""

    @property
    def written(self) -> str:
        """How it stands in the file."""
        return f"${{{self.variable}}}" if self.variable else self.text


@dataclass(frozen=True, slots=True)
class AudienceChoice:
    """An audience and its group; `interests` has the groups of the mapped ones, by interest id.

    `interest_names` has every interest of the audience, as "Category: Interest". `options` are
    further keys of its entry in `lists`.
    """

    list_id: str
    name: str
    group: Group
    interests: Mapping[str, Group] = field(default_factory=dict)
    interest_names: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        interests = {key: group.group_id for key, group in self.interests.items()}
        return {
            "list_id": self.list_id,
            "name": self.name,
            "group_id": self.group.group_id,
            "interests": interests,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChoice:
    """A Mailchimp account and its audiences; `api_url` is None where the key tells the address."""

    key: Setting
    account: Account
    audiences: tuple[AudienceChoice, ...] = ()
    api_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """All that a new config says.

    `api_url` is None where the key tells the address. `webhook_url` is the address that leads to
    `mcsync serve`, without a last slash, None for no webhooks; `webhook_secret` goes with it, and
    `signing_secrets` are what Mailchimp told when it made them. `hook_secret` is for CiviCRM's
    changes, "" where it is not to report them. `environment_file` is the name of
    the file beside the config that has the variables, None for no such file. `others` are further
    accounts; `origin` is the extension's config that all this comes from, None for a new start, and
    `moved_at` the time from which on mcsync takes over from it.
    """

    civicrm_url: Setting
    civicrm_key: Setting
    site_key: Setting | None = None
    mailchimp_key: Setting
    api_url: str | None = None
    account: Account
    audiences: tuple[AudienceChoice, ...]
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)
    hook_secret: str = field(default="", repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)
    cache: str | None = None
    environment_file: str | None = None
    others: tuple[AccountChoice, ...] = ()
    origin: ForeignConfig | None = None
    moved_at: str | None = None

    @property
    def accounts(self) -> tuple[AccountChoice, ...]:
        """All of them."""
        first = AccountChoice(
            key=self.mailchimp_key,
            account=self.account,
            audiences=self.audiences,
            api_url=self.api_url,
        )
        return (first, *self.others)

    @property
    def every_audience(self) -> tuple[AudienceChoice, ...]:
        """Those of all accounts."""
        return tuple(audience for each in self.accounts for audience in each.audiences)

    @property
    def hook_url(self) -> str | None:
        """Where CiviCRM is to report its changes, without the secret; None for nowhere."""
        return f"{self.webhook_url}{HOOK_ENDING}" if self.webhook_url and self.hook_secret else None


def draft_config(choices: Choices) -> dict[str, object]:
    """The config as it stands in its file."""
    civicrm = {"url": choices.civicrm_url.written, "apiKey": choices.civicrm_key.written}
    if choices.site_key is not None:
        civicrm["siteKey"] = choices.site_key.written
    if choices.hook_url is not None:
        civicrm["hookSecret"] = choices.hook_secret
    file = choices.environment_file
    return {
        **({} if file is None else {"environmentFile": file}),
        "civicrm": civicrm,
        "cache": choices.cache,
        **({"defaults": {"movedAt": choices.moved_at}} if choices.moved_at else {}),
        "lists": {
            each.list_id: draft_list(each, account.key.written)
            for account in choices.accounts
            for each in account.audiences
        },
        "accounts": {each.key.written: _account(choices, each) for each in choices.accounts},
    }


def draft_list(audience: AudienceChoice, key: str) -> dict[str, object]:
    """An entry of `lists`; ids are texts, as in the documents."""
    return {
        "subscriptionGroup": str(audience.group.group_id),
        "apiKey": key,
        "interests": {key: str(group.group_id) for key, group in audience.interests.items()},
        **audience.options,
    }


def draft_account_audience(audience: AudienceChoice) -> dict[str, object]:
    """An entry of an account's `audiences`: names, for people."""
    names = audience.interest_names.items()
    interests = {key: _quoted(name) for key, name in names}
    return {"name": _quoted(audience.name), "interests": interests}


def _account(choices: Choices, chosen: AccountChoice) -> dict[str, object]:
    account, url, secret = chosen.account, choices.webhook_url, choices.webhook_secret
    found: dict[str, object] = {"apiKey": chosen.key.written}
    if chosen.api_url is not None:
        found["apiUrl"] = chosen.api_url
    found |= {
        "account_name": _quoted(account.name),
        "email": _quoted(account.email),
        "first_name": _quoted(account.first_name),
        "last_name": _quoted(account.last_name),
        "username": _quoted(account.username),
        "audiences": {each.list_id: draft_account_audience(each) for each in chosen.audiences},
    }
    if url is not None:
        found |= {
            "webhookUrl": f"{url}/webhook?secret={secret}",
            "webhookSecret": secret,
            "batchWebhook": f"{url}/batch-webhook?secret={secret}",
            "batchWebhookSecret": secret,
        }
    if choices.signing_secrets:
        found["signingSecrets"] = list(choices.signing_secrets)
    return found


def _quoted(name: str) -> str:
    """A name from Mailchimp, so that the config takes no part of it for a variable."""
    return name.replace("${", "$ {")


def can_be_written(secret: str) -> bool:
    """Whether the config takes a text from Mailchimp as it stands: no variable, nothing odd."""
    return secret.isprintable() and " " not in secret and "${" not in secret


# --- keys -----------------------------------------------------------------------------------------


def place_keys(choices: Choices, keys: KeysIn) -> Choices:
    """The choices with every key in the one place; a variable that has no name yet gets one."""
    if keys is KeysIn.FILE:
        return replace(
            choices,
            civicrm_url=Setting(choices.civicrm_url.text),
            civicrm_key=Setting(choices.civicrm_key.text),
            site_key=choices.site_key and Setting(choices.site_key.text),
            mailchimp_key=Setting(choices.mailchimp_key.text),
            others=tuple(replace(each, key=Setting(each.key.text)) for each in choices.others),
        )
    others = enumerate(choices.others, 2)
    return replace(
        choices,
        civicrm_key=_named(choices.civicrm_key, CIVICRM_KEY),
        site_key=choices.site_key and _named(choices.site_key, SITE_KEY),
        mailchimp_key=_named(choices.mailchimp_key, MAILCHIMP_KEY),
        others=tuple(
            replace(each, key=_named(each.key, f"{MAILCHIMP_KEY}_{number}"))
            for number, each in others
        ),
        environment_file=keys.value if keys is KeysIn.KEYS_ENV else None,
    )


def _named(setting: Setting, variable: str) -> Setting:
    return setting if setting.variable else replace(setting, variable=variable)


def has_typed_keys(choices: Choices) -> bool:
    """Whether some key has no variable, and would stand in the file."""
    keys = (choices.civicrm_key, choices.site_key, *(each.key for each in choices.accounts))
    return any(key is not None and not key.variable for key in keys)


def find_variables(choices: Choices) -> dict[str, str]:
    """The variables that the config needs, and what they are to hold."""
    settings = (
        choices.civicrm_url,
        choices.civicrm_key,
        choices.site_key,
        *(each.key for each in choices.accounts),
    )
    return {each.variable: each.text for each in settings if each is not None and each.variable}


# --- what does not go together --------------------------------------------------------------------


def find_clash(audiences: Iterable[AudienceChoice]) -> str | None:
    """The first group that is to stand for two things, as a sentence; None when all is well."""
    subscriptions: dict[int, str] = {}
    for audience in audiences:
        group, name = audience.group, audience.name
        if group.group_id in subscriptions:
            both = f'"{subscriptions[group.group_id]}" and "{name}"'
            return f"{name_group(group)} cannot be used for two audiences, {both}"
        subscriptions[group.group_id] = name
        taken = {group.group_id: f'the audience "{name}"'}
        for key, interest_group in audience.interests.items():
            what = f'the interest "{audience.interest_names.get(key, key)}"'
            if interest_group.group_id in taken:
                both = f"{taken[interest_group.group_id]} and for {what}"
                return f"{name_group(interest_group)} cannot be used for {both}"
            taken[interest_group.group_id] = what
    return None


def name_group(group: Group) -> str:
    """A group, as a human and CiviCRM know it."""
    return f"{group.title} (group {group.group_id})"


# --- addresses ------------------------------------------------------------------------------------


def is_like_key(text: str) -> bool:
    """Whether a text may be a key: long, of letters and digits, without the dots of a host."""
    return _LIKE_KEY.fullmatch(text.strip()) is not None


_LIKE_KEY = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w+=-]{16,}", re.ASCII)


def read_address(text: str) -> str:
    """An address as typed, made whole: with https:// in front, without a last slash.

    Raises: ValueError with a sentence that tells what is wrong.
    """
    text = text.strip()
    if is_like_key(text):
        raise ValueError("this looks like a key; an address is like https://www.example.org")
    whole = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(whole)
        is_odd = not parts.hostname or parts.port == 0 or parts.scheme not in ("http", "https")
    except ValueError:
        is_odd = True
    if is_odd or not whole.isprintable() or " " in whole or "${" in whole:
        raise ValueError(f'"{text}" is not an address; write it like https://www.example.org')
    if "@" in parts.netloc:
        raise ValueError("an address may not contain a user or a password")
    return whole.rstrip("/")


def read_hook_address(text: str) -> str:
    """The address that leads to `mcsync serve`, as `read_address`, without a path of ours.

    Raises: ValueError with a sentence that tells what is wrong.
    """
    whole = read_address(text)
    parts = urlsplit(whole)
    host = parts.hostname or ""
    if not ("." in host or ":" in host or host == "localhost"):
        raise ValueError(
            f'"{host}" is not a public host; write it like https://crm.example.org/mailchimp'
        )
    if parts.query or parts.fragment:
        raise ValueError("leave out the question mark and what follows; a secret is added for you")
    for ending in ("/batch-webhook", "/webhook", HOOK_ENDING):
        whole = whole.removesuffix(ending)
    return whole.rstrip("/")
