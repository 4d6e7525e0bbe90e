"""From the parsed JSON to a Config; every problem goes to the notes, with its JSON path."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mcsync.config.accounts import account_sections, audience_copies, read_account, read_address
from mcsync.config.section import (
    BROKEN,
    MAX_NUMBER,
    Notes,
    Section,
    did_you_mean,
    is_number,
    parse_id,
)
from mcsync.config.values import (
    AccountConfig,
    AudienceConfig,
    CivicrmConfig,
    Config,
    DataConfig,
    DeletedContacts,
    Duplicates,
    NotifyConfig,
    Reconfirm,
    Removal,
    Secret,
)
from mcsync.name_tags import FIRST_NAME_TAG, NAME_FIELDS, NAME_TAGS
from mcsync.safety import NO_LIMIT, Limit, Safety

if TYPE_CHECKING:
    from mcsync.model import Side

_TOP_KEYS = (
    *("civicrm", "cache", "safety", "lists", "accounts", "defaults", "data", "plugins"),
    *("notify", "fullCompareHours", "fullFetchDays", "historyDays", "backups"),
    *("environmentFile", "$schema"),
)
_OPTION_KEYS = (
    *("duplicates", "reconfirm", "removal", "deletedContacts", "pushEmailChanges"),
    *("confirmNew", "contactSource", "pushOnlyInterests", "nameFields", "movedAt"),
)
_LIST_KEYS = ("subscriptionGroup", "apiKey", "interests", "trustOverride", "safety", *_OPTION_KEYS)
_BLOB_KEYS = ("lists", "accounts")  # the documents' "Config settings JSON blob"
_SAFETY_KEYS = {  # and the fields of Safety
    "maxUnsubscribes": "unsubscribes",
    "maxRemovals": "removals",
    "maxAdditions": "additions",
    "maxNewContacts": "new_contacts",
    "maxAddressChanges": "address_changes",
}
_NOTIFY_KEYS = ("command", "pingUrl", "quietMinutes")
_DATA_KEYS = ("sync", "everyHours", "fields", "groupTags", "slowPluginSeconds")
CIVICRM_VARIABLES = {
    "url": "MCSYNC_CIVICRM_URL",
    "apiKey": "MCSYNC_CIVICRM_API_KEY",
    "siteKey": "MCSYNC_CIVICRM_SITE_KEY",
}
_CIVICRM_KEYS = (*CIVICRM_VARIABLES, "hookSecret", "connections")
# The documents' config is config.json. Of all other names only this one would share its cache.
_CACHE, _TWINS = "mcsync.db", {"config.json": "mcsync.json", "mcsync.json": "config.json"}
_MAX_TAG = 100  # Mailchimp's limit
_TAG_PREFIX = "civicrm: "  # of the tags that the data step makes of CiviCRM's
MOST_CONNECTIONS = 8  # of CiviCRM's site, which has visitors besides
_MAX_SOURCE = 255  # characters of civicrm_contact.source
_LIMIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(%?)")
_MAILCHIMP_ID = re.compile(r"[0-9A-Za-z_-]+")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_MERGE_TAG = re.compile(r"[A-Z0-9_]+")
_CIVICRM_FIELD = re.compile(r"[A-Za-z_]\w*([.:]\w+)*", re.ASCII)
# The data step keeps names by rules of its own; nothing but a person changes an address.
_OWN_MERGE_TAGS = NAME_TAGS | {"EMAIL"}


class Builder:
    """Makes a Config of parsed JSON; what is wrong goes to the notes, with a stand-in here."""

    def __init__(self, raw: Mapping[str, object], notes: Notes) -> None:
        self.notes = notes
        self.account_sections = dict(account_sections(raw.get("accounts"), notes))
        others = {key: value for key, value in raw.items() if key != "accounts"}
        self.top = Section(notes.expand(others, ""), "", notes)
        self.accounts = {
            key: read_account(key, section, section.path)
            for key, section in self.account_sections.items()
        }
        self.hooks = dict(audience_copies(self.account_sections.values()))

    def build(self, path: Path) -> Config:
        folder = Path(os.path.abspath(path)).parent
        safety = _safety(self.top.section("safety"), Safety())
        civicrm = _civicrm(self.top)
        cache = Path(os.path.normpath(folder / _cache(self.top, folder, path.name)))
        audiences = tuple(self.audiences(safety))
        _check_groups(audiences, self.notes)
        data = _data(self.top)
        _check_data_fields(audiences, data.fields, self.notes)
        backups = _whole(self.top, "backups", "copies", minimum=0)
        config = Config(
            path=folder / path.name,
            civicrm=civicrm,
            cache=cache,
            accounts=MappingProxyType(self.accounts),
            audiences=audiences,
            data=data,
            notify=_notify(self.top.section("notify")),
            full_compare_hours=_whole(self.top, "fullCompareHours", "hours") or 24,
            full_fetch_days=_full_fetch_days(self.top) or 7,
            history_days=_whole(self.top, "historyDays", "days") or 365,
            backups=2 if backups is None else backups,
            environ=self.notes.environ,
        )
        self.top.text("$schema")  # for editors
        self.top.refuse_unknown(_TOP_KEYS)
        return config

    def audiences(self, safety: Safety) -> Iterator[AudienceConfig]:
        defaults = self.top.section("defaults")
        unset = AudienceConfig(
            list_id="", name="", group_id=0, account_key="", interests={}, trust_override={}
        )
        base = _with_options(replace(unset, safety=safety), defaults)
        defaults.refuse_unknown(_OPTION_KEYS)
        lists = self.top.section("lists")
        if self.top.is_missing("lists"):
            self.top.note("lists", "missing")
        elif not lists.values and not lists.is_wrong:
            self.top.note("lists", "empty; add at least one audience")
        mapped: set[str] = set()
        for list_id in lists.values:
            section = lists.section(list_id)
            if not _MAILCHIMP_ID.fullmatch(list_id):
                self.notes.add(section.path, "expected a Mailchimp list id")
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
        self.accounts[text] = read_account(text, empty, section.path_of("apiKey"))
        return text, self.accounts[text]


def keep_known(blob: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """The documents' blob without what mcsync does not know, and the JSON paths of that."""
    left_out = [key for key in blob if key not in _BLOB_KEYS]
    kept = {key: blob[key] for key in _BLOB_KEYS if key in blob}
    lists = kept.get("lists")
    if isinstance(lists, dict):
        kept["lists"] = {key: _without_unknown(key, each, left_out) for key, each in lists.items()}
    return kept, tuple(left_out)


def _without_unknown(list_id: str, audience: object, left_out: list[str]) -> object:
    if not isinstance(audience, dict):
        return audience
    left_out += [f"lists.{list_id}.{key}" for key in audience if key not in _LIST_KEYS]
    return {key: value for key, value in audience.items() if key in _LIST_KEYS}


def _civicrm(top: Section) -> CivicrmConfig:
    """Return how to reach CiviCRM; the environment fills in what the file leaves out."""
    section = top.section("civicrm")
    for key, variable in CIVICRM_VARIABLES.items():
        if section.is_missing(key) and (value := top.notes.environ.get(variable)):
            section.values = {**section.values, key: value}
            section.names[key] = f"${variable}"
    for key in ("url", "apiKey"):
        is_wanted = top.notes.needs_keys and not section.is_wrong
        if is_wanted and section.is_missing(key):
            section.note(key, f"missing; set it here or as ${CIVICRM_VARIABLES[key]}")
    section.refuse_unknown(_CIVICRM_KEYS)
    site_key, hook_secret = section.secret("siteKey"), section.secret("hookSecret")
    return CivicrmConfig(
        url=read_address(section, "url") or "",
        api_key=Secret(section.secret("apiKey") or ""),
        site_key=Secret(site_key) if site_key else None,
        hook_secret=Secret(hook_secret) if hook_secret else None,
        connections=_connections(section) or 4,
    )


def _connections(section: Section) -> int | None:
    """Return how many requests may be under way at once; None if that is not set."""
    what = f"a whole number from 1 to {MOST_CONNECTIONS}"
    number = section.number("connections", 1, what)
    if number is not None and (number != int(number) or number > MOST_CONNECTIONS):
        section.expected("connections", what)
        return None
    return None if number is None else int(number)


def _cache(top: Section, folder: Path, config_name: str) -> str:
    """Return where the cache is; left out, no two configs of one folder have the same."""
    cache = top.text("cache")
    if cache is not None:
        if cache.startswith("~"):
            top.note("cache", '"~" has no meaning here; use "${HOME}"')
        return cache
    twin = _TWINS.get(config_name)
    if twin is None:
        return name_cache(config_name)
    if top.is_missing("cache") and os.path.exists(folder / twin):
        what = f'missing; {twin} is in the same folder, so both would use the cache "{_CACHE}"'
        top.note("cache", what)
    return _CACHE


def name_cache(config_name: str) -> str:
    """How the cache of a config file is called where the config does not say."""
    name = Path(config_name)
    if name.name in _TWINS:
        return _CACHE
    return f"{name.stem}.db" if name.suffix == ".json" else f"{name}.cache"


def _whole(top: Section, key: str, unit: str, minimum: int = 1) -> int | None:
    """Return a whole number of units, `minimum` or more; None if none is set."""
    what = f"a whole number of {unit}, {minimum} or more"
    number = top.number(key, minimum, what)
    if number is not None and number != int(number):
        top.expected(key, what)
    return None if number is None else int(number)


def _full_fetch_days(top: Section) -> float | None:
    what = "a number of days, more than 0"
    days = top.number("fullFetchDays", 0, what)
    if days == 0:
        top.expected("fullFetchDays", what)
    return days


def _data(top: Section) -> DataConfig:
    section = top.section("data")
    every_hours = section.number("everyHours", 0, "a number of hours or null")
    slow = section.number("slowPluginSeconds", 0, "a number of seconds")
    section.refuse_unknown(_DATA_KEYS)
    plugins = []
    for item in top.items("plugins"):
        if isinstance(item, str) and _MODULE.fullmatch(item):
            plugins.append(item)
        else:
            found = top.notes.shown(item)
            top.note("plugins", f'expected Python modules such as "package.module", got {found}')
    return DataConfig(
        sync=section.flag("sync") or False,
        every_hours=every_hours,
        fields=MappingProxyType(dict(_fields(section.section("fields")))),
        plugins=tuple(plugins),
        slow_plugin_s=60 if slow is None else slow,
        group_tags=MappingProxyType(dict(_group_tags(section.section("groupTags")))),
    )


def _notify(section: Section) -> NotifyConfig:
    section.refuse_unknown(_NOTIFY_KEYS)
    command = section.items("command")
    words = tuple(word for word in command if isinstance(word, str) and "\0" not in word)
    if len(words) < len(command) or (words and not words[0].strip()):
        section.note("command", 'expected a program and its arguments, as ["/usr/bin/tell", "me"]')
    ping_url = section.secret("pingUrl") and read_address(section, "pingUrl")
    quiet = section.number("quietMinutes", 0, "a number of minutes")
    return NotifyConfig(
        words, Secret(ping_url) if ping_url else None, 60 if quiet is None else quiet
    )


def _group_tags(section: Section) -> Iterator[tuple[int, str]]:
    """Yield group id and tag; null is a group that is not mapped."""
    for key in section.values:
        group_id, tag = parse_id(key), section.text(key)
        if group_id is None:
            section.note(key, "expected a group id")
        elif tag is not None and len(tag) > _MAX_TAG:
            section.note(key, f"longer than {_MAX_TAG} characters, the limit of a tag")
        elif tag is not None and tag.lower().startswith(_TAG_PREFIX):
            section.note(key, "tags that begin like this are CiviCRM's own; choose another")
        elif tag is not None:
            yield group_id, tag


def _fields(section: Section) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for key in section.values:
        tag, civicrm_field = key.upper(), section.text(key)
        if tag in _OWN_MERGE_TAGS:
            section.note(key, "names and addresses have their own rules; remove it")
        elif tag in seen or not _MERGE_TAG.fullmatch(tag):
            section.note(key, "expected a merge tag that is not used twice")
        elif civicrm_field is None or not _CIVICRM_FIELD.fullmatch(civicrm_field):
            section.note(key, 'expected a CiviCRM contact field, such as "job_title"')
        else:
            yield tag, civicrm_field
        seen.add(tag)


def _safety(section: Section, base: Safety) -> Safety:
    """Return the limits of a section; a key that is absent is `base`'s, null is no limit."""
    section.refuse_unknown(tuple(_SAFETY_KEYS))
    limits = {name: _limit(section, key, getattr(base, name)) for key, name in _SAFETY_KEYS.items()}
    return Safety(**limits)


def _limit(section: Section, key: str, base: Limit) -> Limit:
    if key not in section.values:
        return base
    value = section.values[key]
    if value is None or value is BROKEN:
        return NO_LIMIT
    match = _LIMIT.fullmatch(value) if isinstance(value, str) else None
    if match:
        return Limit(float(match[1]), is_percent=match[2] == "%")
    if is_number(value) and 0 <= value <= MAX_NUMBER:
        return Limit(float(value), is_percent=False)
    section.expected(key, 'a number, a percentage such as "10%", or null for no limit')
    return NO_LIMIT


def _with_options(base: AudienceConfig, section: Section) -> AudienceConfig:
    """Return the audience with what the section says of its options."""
    pushes, confirms = section.flag("pushEmailChanges"), section.flag("confirmNew")
    deleted = section.choice("deletedContacts", DeletedContacts)
    push_only = base.push_only_interests
    if section.get("pushOnlyInterests") is not None:
        push_only = frozenset(_interest_ids(section))
    source = section.text("contactSource") or base.contact_source
    if len(source) > _MAX_SOURCE:
        section.note("contactSource", f"longer than {_MAX_SOURCE} characters, CiviCRM's limit")
    return replace(
        base,
        duplicates=section.choice("duplicates", Duplicates) or base.duplicates,
        reconfirm=section.choice("reconfirm", Reconfirm) or base.reconfirm,
        removal=section.choice("removal", Removal) or base.removal,
        deleted_contacts=deleted or base.deleted_contacts,
        push_email_changes=base.push_email_changes if pushes is None else pushes,
        confirm_new=base.confirm_new if confirms is None else confirms,
        moved_at=_moment(section, "movedAt") or base.moved_at,
        contact_source=source,
        push_only_interests=push_only,
        name_fields=_name_fields(section.section("nameFields"), base.name_fields),
    )


def _moment(section: Section, key: str) -> datetime | None:
    """Return a time, aware UTC; one without a zone is refused, for nobody knows when it is."""
    text = section.text(key)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    section.expected(key, 'a time with its zone, such as "2026-11-26T09:00:00Z"')
    return None


def _name_fields(section: Section, base: Mapping[str, str]) -> Mapping[str, str]:
    """Return the merge tags of names; a key that is absent is `base`'s, null is no field."""
    section.refuse_unknown(tuple(NAME_FIELDS))
    found = dict(base)
    for key in NAME_FIELDS.keys() & section.values.keys():
        tag = (section.text(key) or "").upper()
        if tag == "EMAIL" or (tag and not _MERGE_TAG.fullmatch(tag)):
            section.expected(key, f'a merge tag, such as "{FIRST_NAME_TAG}"')
        else:
            found[key] = tag
    used = [tag for tag in found.values() if tag]
    for key in sorted(NAME_FIELDS.keys() & section.values.keys()):
        if used.count(found[key]) > 1:
            section.note(key, f"{found[key]} is used twice; each name needs its own field")
    return MappingProxyType(found)


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
        what = f"interest {section.notes.shown(interest)} is not mapped"
        section.note("pushOnlyInterests", what + did_you_mean(interest, known))


def _interests(section: Section) -> Iterator[tuple[str, int]]:
    """Yield interest id and group id; null is an interest that is not mapped."""
    for interest, value in section.values.items():
        if not _MAILCHIMP_ID.fullmatch(interest):
            section.note(interest, "expected a Mailchimp interest id")
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
            trust.note(key, "this interest is not mapped in this list" + did_you_mean(key, known))
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
            what = f"group {group} is already the subscription group of {subscriptions[group]}"
            notes.add(f"{path}.subscriptionGroup", what)
        elif group:
            subscriptions[group] = path
        _check_interests(audience, path, notes)
        for interest in audience.interests:
            if interest in interests:
                what = f"this interest is already mapped in {interests[interest]}"
                notes.add(f"{path}.interests.{notes.segment(interest)}", what)
            interests.setdefault(interest, path)


def _check_data_fields(
    audiences: Iterable[AudienceConfig], fields: Iterable[str], notes: Notes
) -> None:
    """Note each merge field that is to hold a name and something else."""
    names = {tag for audience in audiences for tag in audience.name_fields.values()}
    for tag in sorted(names & set(fields)):
        notes.add(f"data.fields.{tag}", "nameFields uses it for a name; remove it")


def _check_interests(audience: AudienceConfig, path: str, notes: Notes) -> None:
    taken = {audience.group_id: "the subscription group of this list"}
    for interest, group in audience.interests.items():
        segment = notes.segment(interest)
        if group in taken:
            notes.add(f"{path}.interests.{segment}", f"group {group} is already {taken[group]}")
        taken.setdefault(group, f"mapped to interest {segment}")
