"""From the config to what the stages work on: adapters, rules, limits."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mcsync.cache.store import Store
from mcsync.civicrm.client import CivicrmClient
from mcsync.config import AudienceConfig, Config, Duplicates, Limit, Reconfirm, Removal
from mcsync.mailchimp.client import MailchimpClient
from mcsync.model import InterestPolicy, Policy
from mcsync.pipeline.run import Progress, Run, Task
from mcsync.reconcile.guards import Ceiling, Ceilings


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
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """One run over these audiences; audiences of one account share its connections.

    `with_data` None is what the config says. `sleep` is how retries wait.
    """
    clients: dict[str, MailchimpClient] = {}
    for audience in audiences:
        account = config.accounts[audience.account_key]
        if audience.account_key not in clients:
            client = MailchimpClient(account.key.reveal(), account.api_url, sleep=sleep)
            clients[audience.account_key] = client
    site_key = config.civicrm.site_key
    civicrm = CivicrmClient(
        config.civicrm.url,
        config.civicrm.api_key.reveal(),
        site_key.reveal() if site_key else None,
        sleep=sleep,
    )
    run = Run(
        store=store,
        civicrm=civicrm,
        tasks=tuple(_build_task(a, clients[a.account_key], config) for a in audiences),
        clock=clock,
        full_compare_hours=config.full_compare_hours,
        is_forced=is_forced,
        with_data=config.data.sync if with_data is None else with_data,
    )
    if progress is not None:
        run.progress = progress
    return run


def _build_task(audience: AudienceConfig, client: MailchimpClient, config: Config) -> Task:
    account = config.accounts[audience.account_key]
    safety = audience.safety
    return Task(
        policy=Policy(
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
        ),
        name=audience.name,
        account=account.api_url,
        mailchimp=client,
        ceilings=Ceilings(
            unsubscribes=_ceiling(safety.max_unsubscribes),
            removals=_ceiling(safety.max_removals),
            additions=_ceiling(safety.max_additions),
            new_contacts=_ceiling(safety.max_new_contacts),
        ),
        contact_source=audience.contact_source,
        trust_override=audience.trust_override,
    )


def _ceiling(limit: Limit | None) -> Ceiling:
    return Ceiling() if limit is None else Ceiling(limit.number, limit.is_percent)
