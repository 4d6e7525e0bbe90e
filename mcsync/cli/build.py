"""From the config to what the stages work on: adapters, rules, limits."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from mcsync.cache.store import Store
from mcsync.civicrm.client import CivicrmClient
from mcsync.cli.rules import build_policy
from mcsync.config import AudienceConfig, Config, Limit
from mcsync.errors import CacheError, McsyncError
from mcsync.lock import check_writable, resolve_cache
from mcsync.mailchimp.client import MailchimpClient
from mcsync.pipeline.dry import DryCivicrm, DryMailchimp
from mcsync.pipeline.name_fields import NamedFields
from mcsync.pipeline.ports import MailchimpPort
from mcsync.pipeline.run import Progress, Run, Task
from mcsync.reconcile.guards import Ceiling, Ceilings

if TYPE_CHECKING:
    from mcsync.civicrm.setup import CivicrmSetup
    from mcsync.mailchimp.setup import MailchimpSetup
    from mcsync.model import MergeField
    from mcsync.pipeline.check import Check, CivicrmSide
    from mcsync.pipeline.findings import Trouble
    from mcsync.plugins.manager import DataPlugins


def utc_now() -> datetime:
    """The time, aware UTC."""
    return datetime.now(UTC)


def build_run(
    config: Config,
    audiences: Sequence[AudienceConfig],
    store: Store,
    *,
    clock: Callable[[], datetime] = utc_now,
    progress: Progress | None = None,
    is_forced: bool = False,
    with_data: bool | None = None,
    is_dry_run: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    deadline: float | None = None,
) -> Run:
    """One run over these audiences; audiences of one account share its connections.

    `with_data` None is what the config says, True is now, whenever it was done last. In a dry
    run both services are read and never written. `sleep` is how retries wait; `deadline`, a time
    of `time.monotonic`, is when the run's time is over.
    """
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
        is_forced=is_forced,
        is_dry_run=is_dry_run,
        with_data=wants_data,
        plugins=_load_plugins(config) if wants_data else None,
        data_every_hours=config.data.every_hours if with_data is None else None,
    )
    if progress is not None:
        run.progress = progress
    return run


def build_mailchimp_setup(
    api_key: str, api_url: str, *, sleep: Callable[[float], None] = time.sleep
) -> "MailchimpSetup":
    """A Mailchimp account to be looked at and set up; `api_url` includes the path."""
    from mcsync.mailchimp.setup import MailchimpSetup

    return MailchimpSetup(api_key, api_url, sleep=sleep)


def build_civicrm_setup(
    url: str,
    api_key: str,
    site_key: str | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> "CivicrmSetup":
    """A CiviCRM site to be looked at; `url` is its base address or its APIv4 endpoint."""
    from mcsync.civicrm.setup import CivicrmSetup

    return CivicrmSetup(url, api_key, site_key, sleep=sleep)


def build_check(
    config: Config,
    audiences: Sequence[AudienceConfig],
    cache: Path,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> "Check":
    """These audiences, their accounts, the site and the cache, to be looked at.

    Plugins are loaded.
    """
    from mcsync.cli.to_check import gather_account, gather_keys, name_filled_tags
    from mcsync.mailchimp.setup import probe_url
    from mcsync.pipeline.check import Check, PluginSeen
    from mcsync.pipeline.hook_findings import show_url
    from mcsync.plugins.fields import find_problem, name_sources

    site, plugins = config.civicrm, _load_plugins(config)
    site_key = site.site_key.reveal() if site.site_key else None
    civicrm = build_civicrm_setup(site.url, site.api_key.reveal(), site_key, sleep=sleep)
    return Check(
        accounts=tuple(
            gather_account(
                config,
                key,
                audiences,
                build_mailchimp_setup(
                    config.accounts[key].key.reveal(), config.accounts[key].api_url, sleep=sleep
                ),
            )
            for key in gather_keys(audiences)
        ),
        civicrm=civicrm,
        place=show_url(site.url),
        fields=config.data.fields,
        group_tags=config.data.group_tags,
        sources={tag: name_sources([name]) for tag, name in config.data.fields.items()},
        filled={a.list_id: name_filled_tags(config, a) for a in audiences},
        find_problem=find_problem,
        count_misfits=partial(_count_misfits, config, cache, civicrm),
        plugins=tuple(PluginSeen(i.name, i.version, i.source) for i in plugins.describe()),
        left_out=dict(plugins.left_out),
        warnings=config.warnings,
        cache_trouble=_find_cache_trouble(cache),
        probe=probe_url,
        clock=clock,
    )


def _find_cache_trouble(cache: Path) -> "Trouble | None":
    """Why the cache could not be made or written by us, if so; it is not opened."""
    from mcsync.pipeline.findings import Trouble

    try:
        check_writable(resolve_cache(cache))
    except CacheError as error:
        return Trouble("unusable", error.message, error.hint or "")
    return None


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
    from mcsync.cache.reading import open_to_look
    from mcsync.pipeline.values import read_values
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


def _build_task(audience: AudienceConfig, client: MailchimpPort, config: Config) -> Task:
    account = config.accounts[audience.account_key]
    safety = audience.safety
    policy = build_policy(audience)
    if policy.name_fields:
        client = NamedFields(client, policy.name_fields)
    return Task(
        policy=policy,
        name=audience.name,
        account=account.api_url,
        mailchimp=client,
        ceilings=Ceilings(
            unsubscribes=_ceiling(safety.max_unsubscribes),
            removals=_ceiling(safety.max_removals),
            additions=_ceiling(safety.max_additions),
            new_contacts=_ceiling(safety.max_new_contacts),
            address_changes=_ceiling(safety.max_address_changes),
        ),
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


def _ceiling(limit: Limit | None) -> Ceiling:
    return Ceiling() if limit is None else Ceiling(limit.number, limit.is_percent)
