"""The config: found, read, checked as a whole, and frozen.

One JSON file, the blob of the documents ("Config settings JSON blob") plus mcsync's own keys.
Every problem is noted with its JSON path and all are raised at once, before anything touches the
network. The file is never written. No key (API key) shows in a message or a repr.
"""

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qs, urlsplit

from mcsync.config_json import (
    BROKEN,
    HIDDEN,
    MAX_NUMBER,
    JsonSlip,
    Notes,
    Section,
    did_you_mean,
    is_header_safe,
    is_number,
    parse_json,
)
from mcsync.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from mcsync.model import Side

SYSTEM_CONFIG = Path("/etc/mcsync/config.json")
HINT = 'compare with config.example.json, then run "mcsync check"'

_TOP_KEYS = (
    *("civicrm", "cache", "safety", "lists", "accounts", "defaults", "data", "plugins"),
    *("fullCompareHours", "historyDays"),
)
_OPTION_KEYS = (
    *("duplicates", "reconfirm", "removal", "deletedContacts", "pushEmailChanges"),
    *("contactSource", "pushOnlyInterests"),
)
_LIST_KEYS = ("subscriptionGroup", "apiKey", "interests", "trustOverride", "safety", *_OPTION_KEYS)
_SAFETY_KEYS = ("maxUnsubscribes", "maxRemovals", "maxAdditions", "maxNewContacts")
_CIVICRM_VARIABLES = {
    "url": "MCSYNC_CIVICRM_URL",
    "apiKey": "MCSYNC_CIVICRM_API_KEY",
    "siteKey": "MCSYNC_CIVICRM_SITE_KEY",
}
_MAX_SOURCE = 255  # characters of civicrm_contact.source
_LIMIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(%?)")
_MAILCHIMP_ID = re.compile(r"[0-9A-Za-z_-]+")
_ACCOUNT_NAME = re.compile(r"[A-Za-z_-]{1,20}")  # an old key may stand there: keys have digits
_DATA_CENTRE = re.compile(r".+-([a-z]+[0-9]+)", re.DOTALL)
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_MERGE_TAG = re.compile(r"[A-Z0-9_]+")
_CIVICRM_FIELD = re.compile(r"[A-Za-z_]\w*([.:]\w+)*", re.ASCII)
# The data step keeps names by rules of its own; nothing but a person changes an address.
_OWN_MERGE_TAGS = ("EMAIL", "FNAME", "LNAME", "NAME")


class Secret:
    """A text that shows only when asked to: `reveal()`. str, repr and format give `***`."""

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
class Limit:
    """The most that one plan may do: a count, or a percentage (10 means 10 %)."""

    number: float
    is_percent: bool


@dataclass(frozen=True, slots=True)
class Safety:
    """The guards of one audience; None is no limit."""

    max_unsubscribes: Limit | None = Limit(10, True)
    max_removals: Limit | None = Limit(10, True)
    max_additions: Limit | None = None
    max_new_contacts: Limit | None = None


@dataclass(frozen=True, slots=True)
class CivicrmConfig:
    """How to reach CiviCRM; `url` is a base URL or an APIv4 endpoint, without a last slash."""

    url: str
    api_key: Secret
    site_key: Secret | None = None


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

    A call of a plugin that takes longer than `slow_plugin_s` seconds is reported.
    """

    sync: bool = False
    every_hours: float | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    plugins: tuple[str, ...] = ()
    slow_plugin_s: float = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceConfig:
    """One entry of `lists`, its options filled up from `defaults`.

    `account_key` is its `apiKey` as written, the key into `Config.accounts`; `trust_override` has
    interest ids and "subscription" as keys; `interests` is interest id -> group id.
    """

    list_id: str
    name: str
    group_id: int
    api_key: Secret
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
    contact_source: str = "mailchimpsync"
    safety: Safety = Safety()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole, checked config. Paths are absolute; `accounts` has keys (API keys) as keys."""

    path: Path
    civicrm: CivicrmConfig
    cache: Path
    accounts: Mapping[str, AccountConfig] = field(repr=False)
    audiences: tuple[AudienceConfig, ...]
    safety: Safety = Safety()
    data: DataConfig = DataConfig()
    full_compare_hours: int = 24
    history_days: int = 365
    warnings: tuple[str, ...] = ()


def find_config(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """Return the config file to read: the one named, else the first that there is.

    Raises: ConfigError if none is named and none found; whether a named one can be read is for
    load_config to say.
    """
    named = environ.get("MCSYNC_CONFIG")
    if explicit is not None or named:
        return cwd / (explicit or str(named))
    folder = _user_folder(environ, sys.platform)
    places = [cwd / "config.json", folder / "config.json", SYSTEM_CONFIG]
    for place in places:
        if os.path.isfile(place):  # unlike Path.is_file, False where we may not look
            return place
    looked = ", ".join(_shown_path(place) for place in places)
    hint = 'write one with "mcsync init", or name one with --config or $MCSYNC_CONFIG'
    raise ConfigError(f"no config found; looked for {looked}", hint=hint)


def _user_folder(environ: Mapping[str, str], platform: str) -> Path:
    """Return where a user's config belongs, by the customs of the platform."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    if platform == "win32":
        return Path(environ.get("APPDATA") or home) / "mcsync"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "mcsync"
    folder = Path(environ.get("XDG_CONFIG_HOME") or "")
    # The XDG specification has relative paths ignored.
    return (folder if folder.is_absolute() else home / ".config") / "mcsync"


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read, check and freeze the config.

    Raises: ConfigError if the file cannot be read, at the first typing slip, or with all problems.
    """
    text, mode = _read(path)
    raw = _parse(path, text)
    notes = Notes(environ)
    notes.hide_secrets(raw)
    for name in _CIVICRM_VARIABLES.values():
        notes.hide(environ.get(name, ""))
    config = _Builder(raw, notes).build(path)
    if notes.problems:
        count = len(notes.problems)
        message = f"{_shown_path(path)} has {count} problem{'s' if count > 1 else ''}"
        raise ConfigError(message, hint=HINT, problems=tuple(notes.problems))
    return _with_warnings(config, text, mode, notes.warnings)


def select_audiences(config: Config, list_ids: Sequence[str]) -> tuple[AudienceConfig, ...]:
    """Return the audiences asked for by list id or name, in file order; all if none is named.

    Raises: UsageError for one that is not in the config, or a name that several audiences have.
    """
    if not list_ids:
        return config.audiences
    chosen = {_find_audience(config, wanted).list_id for wanted in list_ids}
    return tuple(audience for audience in config.audiences if audience.list_id in chosen)


def _find_audience(config: Config, wanted: str) -> AudienceConfig:
    for audience in config.audiences:
        if audience.list_id == wanted:
            return audience
    named = [found for found in config.audiences if found.name.lower() == wanted.lower()]
    if len(named) == 1:
        return named[0]
    ids = ", ".join(audience.list_id for audience in named or config.audiences)
    if named:
        raise UsageError(f'{len(named)} audiences are named "{wanted}"', hint=f"name one: {ids}")
    words = [word for audience in config.audiences for word in (audience.list_id, audience.name)]
    message = f'no audience "{wanted}" in {_shown_path(config.path)}'
    raise UsageError(message + did_you_mean(wanted, words), hint=f"its audiences: {ids}")


def _shown_path(path: Path) -> str:
    """Return a path as short as it is still clear."""
    absolute = os.path.abspath(path)
    return path.name if os.path.dirname(absolute) == os.getcwd() else absolute


def _read(path: Path) -> tuple[str, int]:
    """Return a file's text and mode bits."""
    shown = _shown_path(path)
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except FileNotFoundError:
        hint = 'write one with "mcsync init", or name one with --config'
        raise ConfigError(f"{shown}: no such file", hint=hint) from None
    except IsADirectoryError:
        hint = f"name the file in it: --config {shown}/config.json"
        raise ConfigError(f"{shown} is a directory", hint=hint) from None
    except OSError as error:
        hint = "let the user that runs mcsync read the file"
        raise ConfigError(f"{shown} cannot be read: {error.strerror}", hint=hint) from None
    try:
        return content.decode("utf-8-sig"), mode  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
    message = f"{shown}, line {line}, column {column}: not UTF-8"
    raise ConfigError(message, hint="save the file with the encoding UTF-8")


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        value = parse_json(text)
    except JsonSlip as slip:
        where = f"{_shown_path(path)}, line {slip.line}, column {slip.column}"
        raise ConfigError(f"{where}: {slip.what}", hint=slip.mend) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{_shown_path(path)} is not a JSON object", hint=HINT)
    return value


class _Builder:
    """Makes a Config of parsed JSON; what is wrong goes to the notes, with a stand-in here."""

    def __init__(self, raw: Mapping[str, object], notes: Notes) -> None:
        self.notes = notes
        self.account_sections = dict(_account_sections(raw.get("accounts"), notes))
        others = {key: value for key, value in raw.items() if key != "accounts"}
        self.top = Section(notes.expand(others, ""), "", notes)
        self.accounts = {
            key: _account(key, section, section.path)
            for key, section in self.account_sections.items()
        }
        self.hooks = dict(_audience_copies(self.account_sections.values()))

    def build(self, path: Path) -> Config:
        folder = Path(os.path.abspath(path)).parent
        safety = _safety(self.top.section("safety"), Safety())
        civicrm = _civicrm(self.top)
        cache = Path(os.path.normpath(folder / _cache(self.top)))
        audiences = tuple(self.audiences(safety))
        _check_groups(audiences, self.notes)
        config = Config(
            path=folder / path.name,
            civicrm=civicrm,
            cache=cache,
            accounts=MappingProxyType(self.accounts),
            audiences=audiences,
            safety=safety,
            data=_data(self.top),
            full_compare_hours=_whole(self.top, "fullCompareHours", "hours") or 24,
            history_days=_whole(self.top, "historyDays", "days") or 365,
        )
        self.top.refuse_unknown(_TOP_KEYS)
        return config

    def audiences(self, safety: Safety) -> Iterator[AudienceConfig]:
        defaults = self.top.section("defaults")
        base = _with_options(_blank_audience(safety), defaults)
        defaults.refuse_unknown(_OPTION_KEYS)
        lists = self.top.section("lists")
        if self.top.is_missing("lists"):
            self.top.note("lists", "missing")
        elif not lists.values and not lists.is_wrong:
            self.top.note("lists", "empty; name at least one audience")
        mapped: set[str] = set()
        for list_id in lists.values:
            section = lists.section(list_id)
            if not _MAILCHIMP_ID.fullmatch(list_id):
                self.notes.add(section.path, "expected a list id of Mailchimp")
            audience = self.audience(list_id, section, base)
            mapped.update(audience.interests)
            yield audience
        _check_push_only(base.push_only_interests, mapped, defaults)

    def audience(self, list_id: str, section: Section, base: AudienceConfig) -> AudienceConfig:
        name, webhook_url = self.hooks.get(list_id, (None, None))
        account_key, account = self.account_of(section)
        group_id = None
        if not section.is_wrong and section.is_missing("subscriptionGroup"):
            section.note("subscriptionGroup", "missing")
        elif not section.is_wrong:
            group_id = section.group_id("subscriptionGroup")
        mapped = section.section("interests")
        interests = dict(_interests(mapped))
        audience = replace(
            _with_options(base, section),
            list_id=list_id,
            name=name or list_id,
            group_id=group_id or 0,
            api_key=account.key,
            account_key=account_key,
            webhook_url=webhook_url or account.webhook_url,
            interests=MappingProxyType(interests),
            trust_override=MappingProxyType(dict(_trust(section, mapped.values))),
            safety=_safety(section.section("safety"), base.safety),
        )
        if section.get("pushOnlyInterests") is not None:
            _check_push_only(audience.push_only_interests, mapped.values, section)
        section.refuse_unknown(_LIST_KEYS)
        push_only = audience.push_only_interests & interests.keys()
        return replace(audience, push_only_interests=frozenset(push_only))

    def account_of(self, section: Section) -> tuple[str, AccountConfig]:
        """Return the account a list names by its `apiKey`, and its key in `accounts`."""
        if section.is_missing("apiKey") and not section.is_wrong:
            section.note("apiKey", "missing")
        text = section.secret("apiKey")
        if text is None:
            return "", AccountConfig(Secret(""), "")
        if text in self.accounts:
            return text, self.accounts[text]
        for key, account in self.accounts.items():
            if account.key == Secret(text):
                return key, account
        empty = Section({}, section.path, self.notes)
        self.accounts[text] = _account(text, empty, section.path_of("apiKey"))
        return text, self.accounts[text]


def _blank_audience(safety: Safety) -> AudienceConfig:
    """Return an audience of nothing but defaults, to be filled in."""
    return AudienceConfig(
        list_id="",
        name="",
        group_id=0,
        api_key=Secret(""),
        account_key="",
        interests={},
        trust_override={},
        safety=safety,
    )


def _account_sections(value: object, notes: Notes) -> Iterator[tuple[str, Section]]:
    """Yield each account's key, filled in, and its section, whose path does not show the key."""
    raw = Section(value, "accounts", notes).values
    labels: dict[str, str] = {}
    for raw_key, account in raw.items():
        path = f"accounts.{_account_label(raw_key, account)}"
        if path in labels.values():
            path += f"#{len(labels) + 1}"
        key = notes.expand(raw_key, path)
        if not isinstance(key, str):
            continue
        if key in labels:
            notes.add(path, f"is the same account as {labels[key]}")
        labels[key] = path
        yield key, Section(notes.expand(account, path), path, notes)


def _account_label(raw_key: str, account: object) -> str:
    """Return what to call an account in messages: never its key (API key)."""
    own_key = account.get("apiKey") if isinstance(account, dict) else None
    is_name = isinstance(own_key, str) and raw_key not in own_key
    if re.fullmatch(r"\$\{\w+\}", raw_key) or (is_name and _ACCOUNT_NAME.fullmatch(raw_key)):
        return raw_key
    centre = re.search(r"-[a-z]{2}[0-9]{1,2}\Z", raw_key)
    return HIDDEN + (centre.group() if centre else "")


def _account(key: str, section: Section, path: str) -> AccountConfig:
    """Return one account; `path` is where its key (API key) stands."""
    text = section.secret("apiKey") or key
    centre = _DATA_CENTRE.fullmatch(text)
    if not is_header_safe(text):
        section.notes.add(path, "a key has only ASCII letters, digits and signs, without spaces")
    elif not centre and section.is_missing("apiUrl") and section.values.get("apiKey") is not BROKEN:
        problem = 'the key has no data centre at its end (as "-us11") and there is no apiUrl'
        section.notes.add(path, problem)
    hook, hook_secrets = _hook(section, "webhookUrl", "webhookSecret")
    batch_hook, batch_secrets = _hook(section, "batchWebhook", "batchWebhookSecret")
    own_hooks = [copy.get("webhook") for _, copy in _copies(section.values.get("audiences"))]
    more = [_secret_in(url) for url in own_hooks if isinstance(url, str)]
    return AccountConfig(
        key=Secret(text),
        api_url=_address(section, "apiUrl") or derive_api_url(text) or "",
        name=_one_line(section.values.get("account_name")),
        webhook_url=hook,
        webhook_secrets=_secrets([*hook_secrets, *more]),
        batch_webhook_url=batch_hook,
        batch_webhook_secrets=_secrets(batch_secrets),
        signing_secrets=_secrets(_signing_secrets(section)),
    )


def derive_api_url(key: str) -> str | None:
    """Return the address that a key's data centre tells, None for a key without one."""
    centre = _DATA_CENTRE.fullmatch(key)
    return f"https://{centre[1]}.api.mailchimp.com/3.0" if centre else None


def _hook(section: Section, url_key: str, secret_key: str) -> tuple[Secret | None, list[str]]:
    """Return where Mailchimp is to send webhooks, and the secrets it may send with them."""
    url, secret = section.secret(url_key), section.secret(secret_key)
    if url and _address(section, url_key) is None:
        url = None
    secrets = [secret or "", _secret_in(url or "")]
    return (Secret(url) if url else None), secrets


def _secret_in(url: str) -> str:
    """Return the `secret` of a webhook's URL, "" if it has none."""
    try:
        query = urlsplit(url).query
    except ValueError:
        return ""
    return parse_qs(query).get("secret", [""])[0]


def _signing_secrets(section: Section) -> Iterator[str]:
    """Yield the configured signing secrets, and those in copies of what Mailchimp answered."""
    for item in section.items("signingSecrets"):
        if isinstance(item, str) and is_header_safe(item):
            yield item
        else:
            section.note("signingSecrets", "expected an array of texts without spaces")
    audiences = [copy for _, copy in _copies(section.values.get("audiences"))]
    for hooks in [
        section.values.get("batchWebhooks"),
        *(copy.get("webhooks") for copy in audiences),
    ]:
        for hook in hooks if isinstance(hooks, list) else []:
            secret = hook.get("signing_secret") if isinstance(hook, dict) else None
            if isinstance(secret, str):
                yield secret


def _secrets(texts: Iterable[str]) -> tuple[Secret, ...]:
    return tuple(Secret(text) for text in dict.fromkeys(texts) if text)


def _copies(value: object) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the objects in an object, as accounts have of their audiences."""
    for key, copy in value.items() if isinstance(value, dict) else []:
        if isinstance(copy, dict):
            yield key, copy


def _audience_copies(
    sections: Iterable[Section],
) -> Iterator[tuple[str, tuple[str | None, Secret | None]]]:
    """Yield list id, name and webhook URL of every audience that an account knows of."""
    for section in sections:
        for list_id, copy in _copies(section.values.get("audiences")):
            url = copy.get("webhook")
            hook = Secret(url) if isinstance(url, str) and url else None
            yield list_id, (_one_line(copy.get("name")), hook)


def _one_line(value: object) -> str | None:
    """Return a name from Mailchimp as a log line may have it; None if it is no text."""
    if not isinstance(value, str):
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in value).split()) or None


def _address(section: Section, key: str) -> str | None:
    """Return an http(s) URL without a last slash; plain http earns a warning off loopback."""
    text = section.text(key)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_whole = parts.port != 0 and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in ("http", "https"):
        section.note(key, "expected an address that starts with https://")
        return None
    if "@" in parts.netloc:
        section.note(key, "an address may not hold a user or password")
        return None
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        path = section.path_of(key)
        section.notes.warnings.append(f"{path}: plain http lets others read keys; use https")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    is_ipv4 = re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None
    return is_ipv4 or host in ("localhost", "::1") or host.endswith(".localhost")


def _civicrm(top: Section) -> CivicrmConfig:
    """Return how to reach CiviCRM; the environment fills in what the file leaves out."""
    section = top.section("civicrm")
    for key, variable in _CIVICRM_VARIABLES.items():
        if section.is_missing(key) and (value := top.notes.environ.get(variable)):
            section.values = {**section.values, key: value}
            section.names[key] = f"${variable}"
    for key in ("url", "apiKey"):
        if section.is_missing(key) and not section.is_wrong:
            section.note(key, f"missing; set it here or as ${_CIVICRM_VARIABLES[key]}")
    section.refuse_unknown(tuple(_CIVICRM_VARIABLES))
    site_key = section.secret("siteKey")
    return CivicrmConfig(
        url=_address(section, "url") or "",
        api_key=Secret(section.secret("apiKey") or ""),
        site_key=Secret(site_key) if site_key else None,
    )


def _cache(top: Section) -> str:
    cache = top.text("cache") or "mcsync.db"
    if cache.startswith("~"):
        top.note("cache", '"~" is not known here; use "${HOME}"')
    return cache


def _whole(top: Section, key: str, unit: str) -> int | None:
    """Return a length of time that is a whole number of units, 1 or more; None if none is set."""
    what = f"a whole number of {unit}, 1 or more"
    number = top.number(key, 1, what)
    if number is not None and number != int(number):
        top.expected(key, what)
    return None if number is None else int(number)


def _data(top: Section) -> DataConfig:
    section = top.section("data")
    every_hours = section.number("everyHours", 0, "a number of hours or null")
    slow = section.number("slowPluginSeconds", 0, "a number of seconds")
    section.refuse_unknown(("sync", "everyHours", "fields", "slowPluginSeconds"))
    plugins = []
    for item in top.items("plugins"):
        if isinstance(item, str) and _MODULE.fullmatch(item):
            plugins.append(item)
        else:
            found = top.notes.shown(item)
            top.note("plugins", f'expected Python modules as "package.module", got {found}')
    return DataConfig(
        sync=section.flag("sync") or False,
        every_hours=every_hours,
        fields=MappingProxyType(dict(_fields(section.section("fields")))),
        plugins=tuple(plugins),
        slow_plugin_s=60 if slow is None else slow,
    )


def _fields(section: Section) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for key in section.values:
        tag, civicrm_field = key.upper(), section.text(key)
        if tag in _OWN_MERGE_TAGS:
            section.note(key, "names and addresses have rules of their own; leave it out")
        elif tag in seen or not _MERGE_TAG.fullmatch(tag):
            section.note(key, "expected a merge tag, each once")
        elif civicrm_field is None or not _CIVICRM_FIELD.fullmatch(civicrm_field):
            section.note(key, 'expected a field of CiviCRM\'s contact, as "job_title"')
        else:
            yield tag, civicrm_field
        seen.add(tag)


def _safety(section: Section, base: Safety) -> Safety:
    """Return the limits of a section; a key that is absent is `base`'s, null is no limit."""
    section.refuse_unknown(_SAFETY_KEYS)
    return Safety(
        max_unsubscribes=_limit(section, "maxUnsubscribes", base.max_unsubscribes),
        max_removals=_limit(section, "maxRemovals", base.max_removals),
        max_additions=_limit(section, "maxAdditions", base.max_additions),
        max_new_contacts=_limit(section, "maxNewContacts", base.max_new_contacts),
    )


def _limit(section: Section, key: str, base: Limit | None) -> Limit | None:
    if key not in section.values:
        return base
    value = section.values[key]
    if value is None or value is BROKEN:
        return None
    match = _LIMIT.fullmatch(value) if isinstance(value, str) else None
    if match:
        return Limit(float(match[1]), is_percent=match[2] == "%")
    if is_number(value) and 0 <= value <= MAX_NUMBER:
        return Limit(float(value), is_percent=False)
    section.expected(key, 'a number, a percentage such as "10%", or null for no limit')
    return None


def _with_options(base: AudienceConfig, section: Section) -> AudienceConfig:
    """Return the audience with what the section says of its options."""
    pushes = section.flag("pushEmailChanges")
    deleted = section.choice("deletedContacts", DeletedContacts)
    push_only = base.push_only_interests
    if section.get("pushOnlyInterests") is not None:
        push_only = frozenset(_interest_ids(section))
    source = section.text("contactSource") or base.contact_source
    if len(source) > _MAX_SOURCE:
        section.note("contactSource", f"longer than the {_MAX_SOURCE} characters CiviCRM keeps")
    return replace(
        base,
        duplicates=section.choice("duplicates", Duplicates) or base.duplicates,
        reconfirm=section.choice("reconfirm", Reconfirm) or base.reconfirm,
        removal=section.choice("removal", Removal) or base.removal,
        deleted_contacts=deleted or base.deleted_contacts,
        push_email_changes=base.push_email_changes if pushes is None else pushes,
        contact_source=source,
        push_only_interests=push_only,
    )


def _interest_ids(section: Section) -> Iterator[str]:
    for item in section.items("pushOnlyInterests"):
        if isinstance(item, str | int) and not isinstance(item, bool):
            yield str(item)
        else:
            found = section.notes.shown(item)
            section.note("pushOnlyInterests", f"expected interest ids, got {found}")


def _check_push_only(ids: Iterable[str], mapped: Iterable[str], section: Section) -> None:
    known = section.notes.unhidden(mapped)
    for interest in sorted(set(ids) - set(mapped)):
        what = f"no interest {section.notes.shown(interest)} is mapped"
        section.note("pushOnlyInterests", what + did_you_mean(interest, known))


def _interests(section: Section) -> Iterator[tuple[str, int]]:
    """Yield interest id and group id; null is an interest that is not mapped."""
    for interest, value in section.values.items():
        if not _MAILCHIMP_ID.fullmatch(interest):
            section.note(interest, "expected an interest id of Mailchimp")
        elif value is not None and (group_id := section.group_id(interest)):
            yield interest, group_id


def _trust(section: Section, mapped: Mapping[str, object]) -> "Iterator[tuple[str, Side]]":
    trust = section.section("trustOverride")
    if not trust.values:
        return
    # Here, as few have it, and a run that finds the lock held should be over soon.
    from mcsync.model import SUBSCRIPTION, Side

    known = [SUBSCRIPTION, *section.notes.unhidden(mapped)]
    for key in trust.values:
        if key != SUBSCRIPTION and key not in mapped:
            trust.note(key, "no such interest is mapped in this list" + did_you_mean(key, known))
        elif trust.values[key] == "":
            trust.expected(key, "Mailchimp or CiviCRM")
        elif side := trust.choice(key, Side, "Mailchimp or CiviCRM"):
            yield key, side


def _check_groups(audiences: Iterable[AudienceConfig], notes: Notes) -> None:
    """Note each group and each interest that stands for two things at once."""
    subscriptions: dict[int, str] = {}
    interests: dict[str, str] = {}
    for audience in audiences:
        path = f"lists.{notes.segment(audience.list_id)}"
        group = audience.group_id
        if group in subscriptions:
            what = f"group {group} is the subscription group of {subscriptions[group]} already"
            notes.add(f"{path}.subscriptionGroup", what)
        elif group:
            subscriptions[group] = path
        _check_interests(audience, path, notes)
        for interest in audience.interests:
            if interest in interests:
                what = f"this interest is mapped in {interests[interest]} already"
                notes.add(f"{path}.interests.{notes.segment(interest)}", what)
            interests.setdefault(interest, path)


def _check_interests(audience: AudienceConfig, path: str, notes: Notes) -> None:
    taken = {audience.group_id: "the subscription group of this list"}
    for interest, group in audience.interests.items():
        segment = notes.segment(interest)
        if group in taken:
            notes.add(f"{path}.interests.{segment}", f"group {group} is {taken[group]} already")
        taken.setdefault(group, f"mapped to interest {segment}")


def _with_warnings(config: Config, text: str, mode: int, warnings: Iterable[str]) -> Config:
    """Return the config with its warnings, one of them if others can read keys in its file."""
    others_read = mode & (stat.S_IRGRP | stat.S_IROTH) and os.name != "nt"
    found = list(warnings)
    keys = "|".join(re.escape(secret.reveal()) for secret in _all_secrets(config))
    # A key stands alone in its quotes; a webhook's secret ends its URL, or a part of it.
    if others_read and re.search(f'["=]({keys})["&]', text):
        path = _shown_path(config.path)
        what = f"holds a key and others can read it (mode {stat.S_IMODE(mode):04o})"
        found.append(f'{path} {what}; run "chmod 600 {path}", or put keys in as ${{NAME}}')
    return replace(config, warnings=tuple(found))


def _all_secrets(config: Config) -> Iterator[Secret]:
    yield config.civicrm.api_key
    if config.civicrm.site_key:
        yield config.civicrm.site_key
    for account in config.accounts.values():
        yield account.key
        yield from account.webhook_secrets
        yield from account.batch_webhook_secrets
        yield from account.signing_secrets
