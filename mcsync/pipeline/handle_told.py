"""Contacts of which CiviCRM told that they changed, synced at once by the rules of every run.

Which contacts is all that is told, and it is only a hint: CiviCRM is read. Those who have news are
judged and written as `sync-contact` does it; who has none, as after our own writes, costs nothing
more. Once CiviCRM was read the news are in the cache, so that the next sync does what is left.
"""

import logging
from collections.abc import Sequence

from mcsync.cache.audience_status import load_status, save_status
from mcsync.cache.bounds import Bounds
from mcsync.cache.row_facts import find_addresses
from mcsync.cache.told_contacts import find_with_news, forget_told, load_told
from mcsync.decision import Decision
from mcsync.pipeline.batches import settle_direct
from mcsync.pipeline.direct import find_able, settle, take_in_members
from mcsync.pipeline.fetch import link
from mcsync.pipeline.fetch_civicrm import look_up_owners, read_site, read_told, take_in_news
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.guards import Kind, PlanSize, measure
from mcsync.text import count_of

log = logging.getLogger("mcsync.webhooks")

MOST = 100  # contacts; where more are waiting the next sync takes them, all together


def handle_told(run: Run) -> int:
    """Handle the contacts in the queue, unless there are too many; how many left the queue.

    They stay in it while no audience can be judged person by person, and while CiviCRM's groups
    changed in a way that only a sync can find out.
    """
    told = load_told(run.store, MOST + 1)
    if not told or len(told) > MOST:
        return 0
    know_accounts(run)
    settle_direct(run)
    is_up_to_date = take_in_news(run, read_site(run))
    if not is_up_to_date or not find_able(run):
        return 0
    read_told(run, told)
    changed = find_with_news(run.store, told)
    with run.store.atomic():
        forget_told(run.store, told)
    log.info(
        "%s that CiviCRM told of looked at; %s news",
        count_of(len(told), "contact"),
        "none has" if not changed else f"{len(changed):,} {'has' if len(changed) == 1 else 'have'}",
    )
    if changed:
        _sync(run, changed)
    return len(told)


def _sync(run: Run, contact_ids: Sequence[int]) -> None:
    """What `sync-contact` does about one contact, about several."""
    for task in find_able(run):
        with run.isolated(task):
            take_in_members(run, task, find_addresses(run.store, task.list_id, contact_ids))
            look_up_owners(run, task)
    able = find_able(run)
    link(run, {task.list_id: load_status(run.store, task.list_id) for task in able})
    for task in able:
        addresses = find_addresses(run.store, task.list_id, contact_ids)
        allowance = _Allowance(run, task)
        try:
            with run.isolated(task):
                settle(run, task, addresses, contact_ids, allowance.permits)
        finally:
            allowance.save()


class _Allowance:
    """What may be done at once, as far as the guards allow it from one plan to the next.

    A guard looks at a plan as a whole. Changes that come one by one would never be too many, so
    those done since the last plan that no guard held count together: what is more, and what is
    held already, is left to the next sync.
    """

    def __init__(self, run: Run, task: Task) -> None:
        self._store, self._task = run.store, task
        status = load_status(run.store, task.list_id)
        self._done: PlanSize = PlanSize({Kind(k): n for k, n in status.done_alone.items()})
        self._held = {Kind(kind) for kind in status.held_plan.sizes} if status.held_plan else set()
        self._bounds = Bounds(run.store, task.policy, task.safety)

    def permits(self, decision: Decision) -> bool:
        """Whether a decision may be carried out now; it counts from then on."""
        kinds = measure(decision)
        if kinds & self._held:
            return False
        size = self._done + PlanSize(kinds)
        if kinds & self._bounds.find_excesses(size).keys():
            return False
        self._done = size
        return True

    def save(self) -> None:
        """Remember what was done."""
        with self._store.atomic():
            status = load_status(self._store, self._task.list_id)
            status.done_alone = {kind.value: n for kind, n in self._done.items()}
            save_status(self._store, self._task.list_id, status)
