"""Whose cache is it: the accounts, the site and the rules that it was made by.

A key of another account, or another CiviCRM, is refused before anything is believed or written.
Rules that have changed have everything fetched and everybody judged anew.
"""

import logging
from dataclasses import fields
from datetime import timedelta

import msgspec

from mcsync.cache.audience_status import AudienceStatus, load_status, save_status
from mcsync.cache.contacts import load_sample
from mcsync.cache.rows import mark_everyone
from mcsync.cache.store import Store
from mcsync.cache.times import from_text, to_text
from mcsync.decision import Policy
from mcsync.errors import ConfigError, PartialFailure
from mcsync.model import LONG_AGO, SiteSnapshot
from mcsync.pipeline.ahead import Ahead, asking_ahead, wish_for
from mcsync.pipeline.run import Run, Task, is_over

log = logging.getLogger("mcsync")

_ACCOUNTS = "accounts"  # fingerprint of a key -> the account that it opens
_SAME_SHARE = 0.9  # of the sample; a restored site may have lost its newest contacts
_ROUNDING = timedelta(seconds=1)
_MOST_SKEW_S = 60
_TOLD_SKEW = "told-skew"
_OF_A_RUN = ("trust", "trusted_at", "syncs_names", "name_tags")  # of the policy; all else is config


def know_accounts(run: Run) -> None:
    """Ask once whose account a key opens; refuse one that opens another than before."""
    if run.knows_accounts:
        return
    run.knows_accounts = True
    known = _load_accounts(run.store)
    strange = {task.key_print: task for task in run.healthy_tasks() if task.key_print not in known}
    wishes = [wish_for(key, key, task.mailchimp.fetch_account_id) for key, task in strange.items()]
    with asking_ahead(wishes) as ahead:
        for task in run.healthy_tasks():
            with run.isolated(task):
                _know_account(run, task, ahead)


def _know_account(run: Run, task: Task, ahead: Ahead[str]) -> None:
    known = _load_accounts(run.store)
    account_id = known.get(task.key_print)
    status = load_status(run.store, task.list_id)
    if account_id is None:
        account_id = ahead.answer(task.key_print, task.mailchimp.fetch_account_id)
        with run.store.atomic():
            accounts = {**_load_accounts(run.store), task.key_print: account_id}
            run.store.set_state(_ACCOUNTS, msgspec.json.encode(accounts).decode())
    if status.account_id and status.account_id != account_id:
        raise ConfigError(
            f"{task.name}: the API key belongs to a different Mailchimp account than this cache",
            hint="put the right key into the config; for a different account use a different cache,"
            ' with "cache" in the config or --cache',
        )
    if not status.account_id:
        status.account_id = account_id
        with run.store.atomic():
            save_status(run.store, task.list_id, status)


def _load_accounts(store: Store) -> dict[str, str]:
    text = store.get_state(_ACCOUNTS)
    return msgspec.json.decode(text, type=dict[str, str]) if text else {}


def not_fetched(task: Task) -> PartialFailure:
    """What to raise where an audience must have been fetched completely, and was not."""
    return PartialFailure(
        f"{task.name}: it has not been fetched completely", hint='run "mcsync fetch" first'
    )


def check_site(run: Run, site: SiteSnapshot) -> None:
    """Refuse a CiviCRM whose contacts are not those of the cache.

    Contacts that are not shown at all prove nothing: they may have been deleted.
    """
    known = load_sample(run.store)
    shown = {i: at for i, at in site.created.items() if i in known and at != LONG_AGO}
    same = sum(abs(from_text(known[i]) - at) <= _ROUNDING for i, at in shown.items())
    if shown and same < _SAME_SHARE * len(shown):
        raise ConfigError(
            f"this cache belongs to a different CiviCRM: {len(shown) - same} of {len(shown)}"
            " contacts compared are other people there",
            hint="check civicrm.url in the config; for a different site use a different cache, with"
            ' "cache" in the config or --cache. If this site was restored from a much older'
            " backup, move the cache away: the next run reads everything again",
        )


def warn_of_skew(run: Run, site: SiteSnapshot) -> None:
    """Warn, once a day, where our clock and CiviCRM's are apart: schedules go by ours."""
    skew_s = (site.now - run.clock()).total_seconds()
    if abs(skew_s) <= _MOST_SKEW_S or run.is_dry_run:
        return
    if not is_over(run.store.get_state(_TOLD_SKEW), timedelta(days=1), run.clock()):
        return
    with run.store.atomic():
        run.store.set_state(_TOLD_SKEW, to_text(run.clock()))
    way = "behind" if skew_s > 0 else "ahead of"
    log.warning(
        "this machine's clock is %s s %s CiviCRM's; correct it, or retries and daily comparisons"
        " come too late",
        f"{abs(skew_s):,.0f}",
        way,
    )


def make_fingerprint(policy: Policy) -> str:
    """What of an audience's rules decides about people, as text that can be compared.

    An option counts once it is not as usual, so that a new one changes no cache's fingerprint.
    """
    usual = Policy(policy.list_id, policy.group_id)
    rules = {
        item.name: getattr(policy, item.name)
        for item in fields(policy)
        if item.name == "group_id" or getattr(policy, item.name) != getattr(usual, item.name)
    }
    for name in _OF_A_RUN:
        rules.pop(name, None)
    return msgspec.json.encode(rules, order="deterministic").decode()


def has_new_rules(task: Task, status: AudienceStatus) -> bool:
    """Whether the audience's rules have changed; not the first time, or if of an older form."""
    return status.rules.startswith("{") and status.rules != make_fingerprint(task.policy)


def follow_rules(run: Run, task: Task, status: AudienceStatus) -> None:
    """Where the audience's rules have changed, have everybody judged anew, with caution."""
    is_changed = has_new_rules(task, status)
    status.rules = make_fingerprint(task.policy)
    if not is_changed:
        return
    log.warning(
        "%s: its group, interests or options have changed; everybody is checked again", task.name
    )
    status.is_strict = True
    status.needs_full_scan = True
    mark_everyone(run.store, task.list_id)
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
