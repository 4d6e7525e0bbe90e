"""Who is in the groups that become tags: read again only when something there has changed."""

import json
import logging
from collections.abc import Sequence
from datetime import timedelta

from mcsync.cache.tags_and_fields import (
    GroupsState,
    add_group_members,
    begin_group_members,
    count_group_members,
    finish_group_members,
    keep_group_members,
)
from mcsync.cache.times import to_text
from mcsync.model import GroupSizes, GroupStatus
from mcsync.pipeline.run import Run, is_over
from mcsync.safety import NEVER_BELOW

log = logging.getLogger("mcsync.data")


def mirror_groups(run: Run, kind: str, group_ids: Sequence[int]) -> None:
    """Who is Added to these groups, or in them where CiviCRM computes them.

    Nobody leaves a group that is gone or disabled, or that suddenly has nobody: that is told.
    """
    state = run.store.load_state(kind, GroupsState)
    sizes = run.civicrm.fetch_group_sizes(group_ids)
    doubted = _find_doubted(run, kind, group_ids, sizes)
    smart = {i for i in group_ids if i not in doubted and sizes.groups[i].is_smart}
    new = GroupsState(
        groups=sorted(group_ids),
        counts=dict(sizes.added),
        history_id=sizes.newest_history,
        doubted=sorted(doubted),
        compared_at=state.compared_at,
    )
    is_old = is_over(state.compared_at, timedelta(hours=run.full_compare_hours), run.clock())
    if new == state and not is_old and not smart:
        return
    new.compared_at = to_text(run.clock())
    begin_group_members(run.store)
    keep_group_members(run.store, kind, sorted(doubted))
    _read(run, sorted(set(group_ids) - doubted - smart), sorted(smart))
    with run.store.atomic():
        finish_group_members(run.store, kind)
        run.store.save_state(kind, new)


def _read(run: Run, plain: Sequence[int], smart: Sequence[int]) -> None:
    for page in run.civicrm.fetch_group_contacts(plain) if plain else ():
        added = [(r.contact_id, r.group_id) for r in page if r.status == GroupStatus.ADDED.value]
        add_group_members(run.store, added)
    for group_id in smart:
        for contact_ids in run.civicrm.fetch_smart_group(group_id):
            add_group_members(run.store, [(contact_id, group_id) for contact_id in contact_ids])


def _find_doubted(run: Run, kind: str, group_ids: Sequence[int], sizes: GroupSizes) -> set[int]:
    """Groups that are not believed, each told once, until it is believed again."""
    why = {}
    for group_id in group_ids:
        group = sizes.groups.get(group_id)
        if group is None:
            why[group_id] = "CiviCRM has no such group"
        elif not group.is_active:
            why[group_id] = "the group is disabled"
        elif not group.is_smart and not sizes.added.get(group_id):
            known = count_group_members(run.store, kind, group_id)
            if known >= NEVER_BELOW:
                why[group_id] = f"the group is suddenly empty; it had {known:,} contacts"
    key = f"doubted {kind}"
    told = json.loads(run.store.get_state(key) or "[]")
    for group_id in sorted(why.keys() - set(told)):
        log.warning("data.groupTags.%d is left as it is: %s", group_id, why[group_id])
    if told != sorted(why):
        with run.store.atomic():
            run.store.set_state(key, json.dumps(sorted(why)))
    return set(why)
