"""From the config to what the stages work on: adapters, rules, limits."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcsync.clock import utc_now
from mcsync.config import (
    AccountConfig,
    AudienceConfig,
    Config,
    Duplicates,
    Reconfirm,
    Removal,
    Secret,
)
from mcsync.decision import InterestPolicy, Policy
from mcsync.errors import CacheError, McsyncError
from mcsync.lock import check_writable, resolve_cache
from mcsync.name_tags import NAME_FIELDS
from mcsync.text import find_hook_url

if TYPE_CHECKING:
    from mcsync.cache.store import Store
    from mcsync.check.findings import Trouble
    from mcsync.check.look import AccountToCheck, Check, CivicrmSide, Known
    from mcsync.check.webhook_findings import WantedDoor, WantedHook
    from mcsync.civicrm.site_setup import CivicrmSetup
    from mcsync.mailchimp.account_setup import MailchimpSetup
    from mcsync.model import MergeField
    from mcsync.pipeline.ports import MailchimpPort
    from mcsync.pipeline.run import Progress, Run, Task
    from mcsync.plugins.manager import DataPlugins

# Who only looks at the cache comes here for the rules: what reaches a network is imported late.


def build_run(
    config: Config,
    audiences: Sequence[AudienceConfig],
    store: "Store",
    *,
    clock: Callable[[], datetime] = utc_now,
    progress: "Progress | None" = None,
    is_forced: bool = False,
    with_data: bool | None = None,
    is_dry_run: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    deadline: float | None = None,
    warn: Callable[[str], None] | None = None,
) -> "Run":
    """One run over these audiences; audiences of one account share its connections.

    `with_data` None is what the config says, True is now, whenever it was done last. In a dry
    run both services are read and never written. `sleep` is how retries wait; `deadline`, a time
    of `time.monotonic`, is when the run's time is over; `warn` is told what is odd about the
    services, the log if None.
    """
    from mcsync.cache.request_limits import load_request_limits
    from mcsync.civicrm.site import CivicrmClient
    from mcsync.mailchimp.client import MailchimpClient
    from mcsync.pipeline.dry import DryCivicrm, DryMailchimp
    from mcsync.pipeline.run import Run

    clients: dict[str, MailchimpPort] = {}
    for key in {audience.account_key for audience in audiences}:
        account = config.accounts[key]
        client = MailchimpClient(
            account.key.reveal(), account.api_url, sleep=sleep, ends_at=deadline
        )
        clients[key] = DryMailchimp(client) if is_dry_run else client
    site_key = config.civicrm.site_key
    civicrm = CivicrmClient(
        config.civicrm.url,
        config.civicrm.api_key.reveal(),
        site_key.reveal() if site_key else None,
        sleep=sleep,
        ends_at=deadline,
        warn=warn,
        connections=config.civicrm.connections,
        limits=load_request_limits(store, clock()),
    )
    wants_data = config.data.sync if with_data is None else with_data
    run = Run(
        store=store,
        civicrm=DryCivicrm(civicrm) if is_dry_run else civicrm,
        tasks=tuple(_build_task(a, clients[a.account_key], config) for a in audiences),
        clock=clock,
        deadline=deadline,
        full_compare_hours=config.full_compare_hours,
        full_fetch_days=config.full_fetch_days,
        backups=config.backups,
        history_days=config.history_days,
        quiet_minutes=config.notify.quiet_minutes,
        is_forced=is_forced,
        is_dry_run=is_dry_run,
        with_data=wants_data,
        plugins=_load_plugins(config) if wants_data else None,
        data_every_hours=config.data.every_hours if with_data is None else None,
    )
    if progress is not None:
        run.progress = progress
    return run


def knock(url: str, service: str, ends_at: float) -> None:
    """Make sure that somebody is there, whatever they say; given up at a time of `time.monotonic`.

    Raises: RemoteUnavailable; ProtocolError when what answers is no HTTP.
    """
    from mcsync.mailchimp.account_setup import probe_url

    probe_url(url, service=service, ends_at=ends_at)


def build_mailchimp_setup(
    api_key: str,
    api_url: str,
    *,
    ends_at: float | None = None,
    least_s: float | None = None,
) -> "MailchimpSetup":
    """A Mailchimp account to be looked at and set up; `api_url` includes the path.

    After `ends_at`, a time of `time.monotonic`, nothing is tried again; each call may take
    `least_s` in any case.
    """
    from mcsync.mailchimp.account_setup import MailchimpSetup

    return MailchimpSetup(api_key, api_url, ends_at=ends_at, least_s=least_s)


def build_civicrm_setup(
    url: str,
    api_key: str,
    site_key: str | None = None,
    *,
    ends_at: float | None = None,
    least_s: float | None = None,
) -> "CivicrmSetup":
    """A CiviCRM site to be looked at; `url` is its base address or its APIv4 endpoint.

    After `ends_at`, a time of `time.monotonic`, nothing is tried again; each call may take
    `least_s` in any case.
    """
    from mcsync.civicrm.site_setup import CivicrmSetup

    return CivicrmSetup(url, api_key, site_key, ends_at=ends_at, least_s=least_s)


def build_check(config: Config, audiences: Sequence[AudienceConfig], cache: Path) -> "Check":
    """These audiences, their accounts, the site and the cache, to be looked at.

    Plugins are loaded.
    """
    from mcsync.check.look import Check
    from mcsync.check.webhook_findings import show_url
    from mcsync.mailchimp.account_setup import is_mcsync, probe_url
    from mcsync.plugins.fields import find_problem, name_sources

    site, plugins = config.civicrm, _load_plugins(config)
    keys = dict.fromkeys(audience.account_key for audience in audiences)
    site_key = site.site_key.reveal() if site.site_key else None
    civicrm = build_civicrm_setup(site.url, site.api_key.reveal(), site_key)
    return Check(
        accounts=tuple(_gather_account(config, key, audiences) for key in keys),
        civicrm=civicrm,
        place=show_url(site.url),
        fields=config.data.fields,
        group_tags=config.data.group_tags,
        sources={tag: name_sources([name]) for tag, name in config.data.fields.items()},
        filled={a.list_id: _name_filled_tags(config, a) for a in audiences},
        find_problem=find_problem,
        count_misfits=partial(_count_misfits, config, cache, civicrm),
        plugins=tuple(plugins.describe()),
        left_out=dict(plugins.left_out),
        warnings=config.warnings,
        cache_trouble=_find_cache_trouble(cache),
        known=_load_known(cache, audiences),
        syncs_data=config.data.sync,
        batch_ids=_load_batch_ids(cache),
        probe=probe_url,
        is_mcsync=lru_cache(is_mcsync),
        probe_door=partial(probe_url, method="POST"),
        door=_want_door(config),
    )


def _find_cache_trouble(cache: Path) -> "Trouble | None":
    """Why the cache could not be made or written by us, or is damaged, if so."""
    from mcsync.cache.store import check_whole
    from mcsync.check.findings import Trouble

    try:
        path = resolve_cache(cache)
        check_writable(path)
        check_whole(path)
    except CacheError as error:
        return Trouble("unusable", error.message, error.hint or "")
    return None


def _load_known(cache: Path, audiences: Iterable[AudienceConfig]) -> "Mapping[str, Known]":
    """What the cache knows of each audience; what cannot be read is told apart."""
    from mcsync.cache.store import open_to_look

    try:
        store = open_to_look(resolve_cache(cache))
        if store is None:
            return {}
        with closing(store), store.explaining():
            return {a.list_id: _know(store, a) for a in audiences}
    except McsyncError:
        return {}


def _know(store: "Store", audience: AudienceConfig) -> "Known":
    from mcsync.cache.audience_status import load_status
    from mcsync.cache.counts import count_first_sync
    from mcsync.check.look import Known

    status = load_status(store, audience.list_id)
    is_first = status.is_fetched and not (status.synced_at or status.ended_at)
    return Known(
        troubles=tuple(status.troubles),
        first=count_first_sync(store, audience.list_id, audience.group_id) if is_first else None,
    )


def _load_batch_ids(cache: Path) -> frozenset[str]:
    """Mailchimp's ids of the batches that the cache knows; what cannot be read is told apart."""
    from mcsync.cache.outbox import load_known_batch_ids
    from mcsync.cache.store import open_to_look

    try:
        store = open_to_look(resolve_cache(cache))
        if store is None:
            return frozenset()
        with closing(store), store.explaining():
            return frozenset(load_known_batch_ids(store))
    except McsyncError:
        return frozenset()


def _count_misfits(
    config: Config,
    cache: Path,
    civicrm: "CivicrmSide",
    list_id: str,
    merge_fields: Sequence["MergeField"],
) -> "Mapping[tuple[str, str], int]":
    """How many values of `data.fields` the audience's merge fields would not take.

    By merge tag and reason, of the people that the cache knows; what they have that is not in it
    is asked for. What cannot be read is told of elsewhere.
    """
    from mcsync.cache.store import open_to_look
    from mcsync.pipeline.field_values import read_values
    from mcsync.plugins.fields import count_misfits, name_sources

    fields = config.data.fields
    try:
        store = open_to_look(resolve_cache(cache)) if fields else None
        if store is None:
            return {}
        with closing(store):
            unknown = set(civicrm.find_unknown_fields(name_sources(fields.values())))
            shown = {t: s for t, s in fields.items() if unknown.isdisjoint(name_sources([s]))}
            names = sorted(set(name_sources(fields.values())) - unknown)
            values = read_values(store, civicrm, list_id, names)
            return count_misfits(shown, merge_fields, values)
    except McsyncError:
        return {}


def _load_plugins(config: Config) -> "DataPlugins":
    """The plugins of the data step; without it none of this is imported."""
    from mcsync.plugins.manager import load_plugins

    data = config.data
    return load_plugins(data.fields, data.plugins, data.slow_plugin_s, data.group_tags)


def _build_task(audience: AudienceConfig, client: "MailchimpPort", config: Config) -> "Task":
    from mcsync.pipeline.name_fields import NamedFields
    from mcsync.pipeline.run import Task

    account = config.accounts[audience.account_key]
    policy = build_policy(audience)
    if policy.name_fields:
        client = NamedFields(client, policy.name_fields)
    return Task(
        policy=policy,
        name=audience.name,
        account=account.api_url,
        mailchimp=client,
        safety=audience.safety,
        contact_source=audience.contact_source,
        key_print=_print_key(account.key.reveal()),
        trust_override=audience.trust_override,
        common_groups=_find_common_groups(audience, config),
    )


def _find_common_groups(audience: AudienceConfig, config: Config) -> frozenset[int]:
    """The groups of an audience that another audience is about too."""
    others = (other for other in config.audiences if other.list_id != audience.list_id)
    return _groups_of(audience) & frozenset().union(*map(_groups_of, others))


def _groups_of(audience: AudienceConfig) -> frozenset[int]:
    return frozenset((audience.group_id, *audience.interests.values()))


def _print_key(key: str) -> str:
    """A fingerprint of a key, by which the cache knows it again; nobody gets the key from it."""
    return sha256(f"mcsync:{key}".encode()).hexdigest()[:16]


# --- the rules ------------------------------------------------------------------------------------


def build_policy(audience: AudienceConfig) -> Policy:
    """What the rules need to know of the audience's configuration."""
    return Policy(
        list_id=audience.list_id,
        group_id=audience.group_id,
        interests={
            interest_id: InterestPolicy(group_id, interest_id in audience.push_only_interests)
            for interest_id, group_id in audience.interests.items()
        },
        skips_duplicates=audience.duplicates is Duplicates.SKIP,
        may_reconfirm=audience.reconfirm is not Reconfirm.NEVER,
        removes_by_archiving=audience.removal is Removal.ARCHIVE,
        deleted_contacts=audience.deleted_contacts.value,
        pushes_email_changes=audience.push_email_changes,
        confirms_new=audience.confirm_new,
        moved_at=audience.moved_at,
        name_fields={
            tag: audience.name_fields[key]
            for key, tag in NAME_FIELDS.items()
            if audience.name_fields[key] != tag
        },
    )


# --- what is to be checked ------------------------------------------------------------------------

_CENTRE = re.compile(r"-([a-z]{2,}[0-9]{1,3})\Z")


def _gather_account(
    config: Config, key: str, audiences: Sequence[AudienceConfig]
) -> "AccountToCheck":
    """An account with those of its audiences that are to be looked at."""
    from mcsync.check.findings import AudienceToCheck
    from mcsync.check.look import AccountToCheck

    account = config.accounts[key]
    own = [audience for audience in audiences if audience.account_key == key]
    return AccountToCheck(
        label=_label_account(account),
        place=urlsplit(account.api_url).netloc,
        mailchimp=build_mailchimp_setup(account.key.reveal(), account.api_url),
        audiences=tuple(
            AudienceToCheck(
                list_id=a.list_id,
                name=a.name,
                group_id=a.group_id,
                interests=a.interests,
                push_only=a.push_only_interests,
                name_fields=a.name_fields,
                limits_additions=a.safety.additions.number is not None,
                asks_first=a.confirm_new,
                moved_at=a.moved_at,
            )
            for a in own
        ),
        hooks={a.list_id: want_hook(a.webhook_url, account) for a in own if a.webhook_url},
        batch_hook=want_batch_hook(account),
    )


def _label_account(account: AccountConfig) -> str:
    """What to call an account before Mailchimp has told its name; never its key."""
    centre = _CENTRE.search(account.key.reveal())
    return account.name or (centre[1] if centre else urlsplit(account.api_url).netloc)


def want_hook(url: Secret, account: AccountConfig) -> "WantedHook":
    """Where the webhook of an audience goes."""
    return _want(url, account.webhook_secrets, account)


def want_batch_hook(account: AccountConfig) -> "WantedHook | None":
    """Where the batch webhook of an account goes, if there is to be one."""
    url = account.batch_webhook_url
    return _want(url, account.batch_webhook_secrets, account) if url else None


def _want(url: Secret, secrets: Iterable[Secret], account: AccountConfig) -> "WantedHook":
    from mcsync.check.webhook_findings import WantedHook

    known = tuple(secret.reveal() for secret in secrets)
    return WantedHook(url.reveal(), known, bool(account.signing_secrets))


def _want_door(config: Config) -> "WantedDoor | None":
    """Where CiviCRM is to tell its changes, if anywhere: beside the first webhook of ours."""
    from mcsync.check.webhook_findings import WantedDoor, WantedHook

    secret = config.civicrm.hook_secret
    if secret is None:
        return None
    urls = [account.webhook_url for account in config.accounts.values()]
    urls += [audience.webhook_url for audience in config.audiences]
    known = [url.reveal() for url in urls if url]
    found = (find_hook_url(url) for url in known if WantedHook(url).is_valid)
    return WantedDoor(secret.reveal(), next((url for url in found if url), None))


def _name_filled_tags(config: Config, audience: AudienceConfig) -> frozenset[str]:
    """The merge tags that a sync fills when it adds somebody: none without the data step."""
    if not config.data.sync:
        return frozenset()
    names = {tag for tag in audience.name_fields.values() if tag}
    return frozenset(names | {tag.upper() for tag in config.data.fields})
