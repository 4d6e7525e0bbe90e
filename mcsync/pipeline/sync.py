"""Sync: all stages, one after the other, for every audience."""

import logging
from collections.abc import Mapping

from mcsync.cache.audience_status import (
    count_unsettled,
    load_status,
    save_status,
)
from mcsync.cache.copies import keep_copies
from mcsync.cache.outbox import count_queued
from mcsync.cache.times import to_text
from mcsync.errors import McsyncError
from mcsync.model import Side
from mcsync.pipeline.batches import process_batches, wait_for_batches
from mcsync.pipeline.fetch import Window, fetch
from mcsync.pipeline.forget_old import forget_old
from mcsync.pipeline.handle_webhooks import handle_leftovers
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.run import Run, Task
from mcsync.pipeline.submit import submit

log = logging.getLogger("mcsync")


def sync(
    run: Run,
    window: Window | None = None,
    trust: Mapping[str, Mapping[str, Side]] | None = None,
    wait_s: float | None = None,
) -> None:
    """Take in results, fetch, judge, write, send; with `wait_s` also wait for the results."""
    windows = {t.list_id: load_status(run.store, t.list_id).since for t in run.tasks}
    try:
        _sync(run, window, choose_trust(run, trust or {}), wait_s)
    except McsyncError:
        _put_back_windows(run, windows)
        raise
    failed = {key: at for key, at in windows.items() if run.reports[key].error is not None}
    _put_back_windows(run, failed)


def _sync(
    run: Run,
    window: Window | None,
    trust: Mapping[str, Mapping[str, Side]],
    wait_s: float | None,
) -> None:
    know_accounts(run)
    process_batches(run)
    fetch(run, window, in_full=bool(trust))
    _keep_copies(run)
    handle_leftovers(run)
    reconcile(run, trust)
    if run.is_dry_run:
        return
    submit(run)
    if wait_s is not None:
        wait_for_batches(run, wait_s)
    for task in run.healthy_tasks():
        if run.report(task).held is None:
            _note_synced(run, task)
    forget_old(run)


def _keep_copies(run: Run) -> None:
    """Today's copy of the cache, before anything is decided by it.

    A first run has nothing to lose; and where the cache was refused, as that of another account,
    a copy of it must not push out those of the right one.
    """
    statuses = (load_status(run.store, task.list_id) for task in run.healthy_tasks())
    if not run.is_dry_run and any(each.ended_at or each.synced_at for each in statuses):
        keep_copies(run.store, run.clock(), run.backups)


def _put_back_windows(run: Run, windows: Mapping[str, str | None]) -> None:
    """A failed run does not move the window: the next one looks at the same changes again."""
    with run.store.atomic():
        for list_id, since in windows.items():
            status = load_status(run.store, list_id)
            if since is not None and status.since is not None:
                status.since = min(since, status.since)
                save_status(run.store, list_id, status)


def reconcile_alone(
    run: Run, trust: Mapping[str, Mapping[str, Side]], *, fetches: bool = True
) -> None:
    """The stage by itself. Trusting a side means judging everybody, so everything is fetched."""
    chosen = choose_trust(run, trust)
    if chosen and fetches:
        fetch(run, in_full=True)
    reconcile(run, chosen)
    for task in run.healthy_tasks():
        if run.report(task).held is None:
            _spend_trust(run, task)


def choose_trust(run: Run, asked: Mapping[str, Mapping[str, Side]]) -> dict[str, dict[str, Side]]:
    """Whom to trust in this run, per audience: what was asked, else an unspent override."""
    chosen = {}
    for task in run.tasks:
        spent = load_status(run.store, task.list_id).spent_trust
        unspent = {
            key: side for key, side in task.trust_override.items() if spent.get(key) != side.value
        }
        trust = {**unspent, **asked.get(task.list_id, {})}
        if trust:
            chosen[task.list_id] = trust
    return chosen


def _note_synced(run: Run, task: Task) -> None:
    """A sync of the audience has come to its end; say whether both sides agree now."""
    waiting = count_unsettled(run.store, task.list_id)
    status = load_status(run.store, task.list_id)
    status.synced_at = to_text(run.clock())
    status.is_in_sync = not waiting and not count_queued(run.store, task.list_id)
    run.report(task).in_sync = status.is_in_sync
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
    _spend_trust(run, task)


def _spend_trust(run: Run, task: Task) -> None:
    """The config's override has acted; not yet, while somebody could not be judged by it."""
    if run.report(task).postponed:
        return
    status = load_status(run.store, task.list_id)
    status.spent_trust = {key: side.value for key, side in task.trust_override.items()}
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
