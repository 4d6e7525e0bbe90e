"""Reading CiviCRM into the mirror: everything once, then what changed, checked by counts."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from mcsync.cache.linking import (
    load_addresses_to_look_up,
    load_linked_to_deleted,
    load_unknown_contacts,
    note_looked_up,
    note_merged,
)
from mcsync.cache.mirror import (
    MirrorState,
    apply_history,
    begin_compare,
    count_places,
    finish_compare,
    load_mirror_state,
    load_mirrored_contacts,
    load_unmirrored_contacts,
    mark_purged,
    save_contacts,
    save_mirror_state,
    see_group_contacts,
    see_history,
    see_smart_group,
)
from mcsync.cache.times import from_text, to_text
from mcsync.errors import ConfigError, GuardTripped
from mcsync.model import Group, SiteSnapshot, email_key
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.guards import NEVER_BELOW

log = logging.getLogger("mcsync.fetch")

# Ids are given out before rows are committed, and dates likewise: look a little behind.
_HISTORY_OVERLAP = 200  # ids
_MODIFIED_OVERLAP = timedelta(minutes=5)
_CONTACTS_AT_ONCE = 20_000  # remembered together; the adapter asks for fewer at a time
_OWNERS_AT_ONCE = 5000  # addresses remembered together; the adapter asks for fewer at a time


def read_site(run: Run) -> SiteSnapshot:
    """Ask CiviCRM who we are and what there is; stop audiences whose groups are not in order."""
    group_ids = sorted({group_id for task in run.tasks for group_id in task.group_ids})
    state = load_mirror_state(run.store)
    after = max(0, state.history_id - _HISTORY_OVERLAP)
    site = run.civicrm.fetch_snapshot(group_ids, after)
    known = count_places(run.store, group_ids)
    for task in run.tasks:
        with run.isolated(task):
            _check_groups(run, task, site, known)
    return site


def _check_groups(
    run: Run, task: Task, site: SiteSnapshot, known: Mapping[tuple[int, str], int]
) -> None:
    for group_id in task.group_ids:
        group = site.groups.get(group_id)
        if group is None:
            raise ConfigError(
                f"{task.name}: CiviCRM shows no group {group_id}",
                hint='check the id in the config, and that the API user may see the group; "mcsync'
                ' sync" goes on when it is there again',
            )
        if not group.is_active:
            raise GuardTripped(
                f'{task.name}: group {group_id} "{group.title}" is disabled in CiviCRM',
                hint="enable the group, or take it out of the config",
            )
        if group_id == task.policy.group_id and group.is_smart:
            raise ConfigError(
                f'{task.name}: group {group_id} "{group.title}" is a smart group; nobody can be'
                " added to it or removed from it",
                hint="choose a normal group as subscriptionGroup; smart groups may stand for"
                " interests",
            )
        _check_emptiness(run, task, group, site, known)


def _check_emptiness(
    run: Run,
    task: Task,
    group: Group,
    site: SiteSnapshot,
    known: Mapping[tuple[int, str], int],
) -> None:
    """A group that lost even its Removed contacts was not emptied by hand, but from our sight."""
    before = sum(count for (group_id, _), count in known.items() if group_id == group.group_id)
    now = sum(count for (group_id, _), count in site.counts.items() if group_id == group.group_id)
    if before >= NEVER_BELOW and not now and not group.is_smart and not run.is_forced:
        raise GuardTripped(
            f'{task.name}: group {group.group_id} "{group.title}" is suddenly empty in CiviCRM;'
            f" the cache knows {before:,} contacts of it",
            hint="check the permissions of the API user and the group; "
            '"mcsync sync --force" takes it as true',
        )


def take_in_civicrm(
    run: Run, site: SiteSnapshot, since: datetime | None, *, is_whole: bool
) -> None:
    """Bring the mirror up to date: by increments, or as a whole when these do not suffice."""
    state = load_mirror_state(run.store)
    group_ids = sorted(site.groups)
    is_new = not set(group_ids) <= set(state.group_ids)
    if is_whole or is_new or _is_compare_due(run, state) or not _take_increment(run, site, state):
        _compare_everything(run, site, group_ids)
    else:
        _take_smart_groups(run, site)
        _take_changed_contacts(run, site, since or from_text(state.modified_at))
    _take_new_contacts(run)
    _follow_merges(run)
    state = load_mirror_state(run.store)
    state.modified_at = to_text(site.now - _MODIFIED_OVERLAP)
    state.smart_group_ids = [key for key, group in site.groups.items() if group.is_smart]
    with run.store.atomic():
        save_mirror_state(run.store, state)


def take_in_news(run: Run, site: SiteSnapshot) -> bool:
    """Bring the mirror of the groups that were mirrored before up to date, by increments only.

    Returns False when these do not tell everything, or there is no mirror yet.
    """
    state = load_mirror_state(run.store)
    is_mirrored = bool(state.compared_at and state.modified_at)
    if not is_mirrored or not set(site.groups) <= set(state.group_ids):
        return False
    if not _take_increment(run, site, state):
        return False
    _take_smart_groups(run, site)
    _take_changed_contacts(run, site, from_text(state.modified_at))
    _take_new_contacts(run)
    _follow_merges(run)
    return True


def _is_compare_due(run: Run, state: MirrorState) -> bool:
    if not (state.compared_at and state.modified_at):
        return True  # the first compare was cut short
    due = from_text(state.compared_at) + timedelta(hours=run.full_compare_hours)
    return run.clock() >= due


def _take_increment(run: Run, site: SiteSnapshot, state: MirrorState) -> bool:
    """Apply new history; False when the counts show that history does not tell everything."""
    pages = [site.history]
    with run.store.atomic():
        apply_history(run.store, site.history)
    if site.has_more_history:
        after = site.history[-1].history_id
        for page in run.civicrm.fetch_history(sorted(site.groups), after):
            with run.store.atomic():
                apply_history(run.store, page)
            pages.append(page)
    newest = max((row.history_id for page in pages for row in page), default=0)
    state.history_id = max(state.history_id, newest)
    with run.store.atomic():
        save_mirror_state(run.store, state)
    static = [group_id for group_id, group in site.groups.items() if not group.is_smart]
    told = {key: count for key, count in site.counts.items() if key[0] in static and count}
    known = count_places(run.store, static)
    if told == known or site.has_more_history:
        return True
    log.info("CiviCRM's groups changed without history; comparing everything")
    return False


def _take_changed_contacts(run: Run, site: SiteSnapshot, since: datetime) -> None:
    for page in run.civicrm.fetch_changed_contacts(since):
        save_contacts(run.store, page, only_known=True)


def _take_smart_groups(run: Run, site: SiteSnapshot) -> None:
    smart = [group_id for group_id, group in site.groups.items() if group.is_smart]
    if not smart:
        return
    begin_compare(run.store)
    _see_smart_groups(run, smart)
    with run.store.atomic():
        finish_compare(run.store, smart, run.clock())


def _see_smart_groups(run: Run, group_ids: list[int]) -> None:
    for group_id in group_ids:
        for page in run.civicrm.fetch_smart_group(group_id):
            see_smart_group(run.store, group_id, page)


def _compare_everything(run: Run, site: SiteSnapshot, group_ids: list[int]) -> None:
    """Read all history and all group contacts of these groups, and all their contacts.

    History first: what changes between the two readings is then told again by the next one.
    """
    smart = [group_id for group_id, group in site.groups.items() if group.is_smart]
    static = [group_id for group_id in group_ids if group_id not in smart]
    begin_compare(run.store)
    newest, count = 0, 0
    for rows in run.civicrm.fetch_history(static, 0):
        see_history(run.store, rows)
        newest = max(newest, rows[-1].history_id) if rows else newest
    for places in run.civicrm.fetch_group_contacts(static):
        see_group_contacts(run.store, places)
        count += len(places)
        run.progress("CiviCRM", "group contacts fetched", count)
    _see_smart_groups(run, smart)
    with run.store.atomic():
        finish_compare(run.store, group_ids, run.clock())
        state = load_mirror_state(run.store)
        state.group_ids, state.history_id = group_ids, newest
        save_mirror_state(run.store, state)
    _compare_contacts(run)
    with run.store.atomic():
        state = load_mirror_state(run.store)
        state.compared_at = to_text(run.clock())
        save_mirror_state(run.store, state)


def _compare_contacts(run: Run) -> None:
    after, count = 0, 0
    while contact_ids := load_mirrored_contacts(run.store, after, _CONTACTS_AT_ONCE):
        after = contact_ids[-1]
        found = take_contacts(run, contact_ids)
        mark_purged(run.store, contact_ids, found)
        count += len(contact_ids)
        run.progress("CiviCRM", "contacts fetched", count)


def take_contacts(run: Run, contact_ids: list[int]) -> list[int]:
    found: list[int] = []
    for page in run.civicrm.fetch_contacts(contact_ids):
        save_contacts(run.store, page)
        found += [contact.contact_id for contact in page.contacts]
    return found


def _take_new_contacts(run: Run) -> None:
    """Contacts who came into a group are read once; from then on their changes tell."""
    after = 0
    while contact_ids := load_unmirrored_contacts(run.store, after, _CONTACTS_AT_ONCE):
        after = contact_ids[-1]
        take_contacts(run, contact_ids)


def _follow_merges(run: Run) -> None:
    deleted = load_linked_to_deleted(run.store)
    if not deleted:
        return
    merged_to = run.civicrm.fetch_merged_to(deleted)
    unknown = load_unknown_contacts(run.store, sorted(set(merged_to.values())))
    if unknown:
        take_contacts(run, unknown)
    with run.store.atomic():
        note_merged(run.store, merged_to)


def look_up_owners(run: Run, task: Task) -> None:
    """Ask CiviCRM who owns the addresses of members that have no contact yet; each once."""
    after = 0
    while rows := load_addresses_to_look_up(run.store, task.list_id, after, _OWNERS_AT_ONCE):
        after = rows[-1][0]
        take_in_owners(run, [address for _, address in rows])
        with run.store.atomic():
            note_looked_up(run.store, [row_id for row_id, _ in rows])
        run.check_time()


def take_in_owners(run: Run, addresses: list[str]) -> set[str]:
    """Mirror the contacts that own these addresses; returns the lower-cased addresses owned."""
    owners: set[int] = set()
    owned: set[str] = set()
    for emails in run.civicrm.fetch_owners(addresses):
        owners |= {email.contact_id for email in emails}
        owned |= {email_key(email.email) for email in emails}
    unknown = load_unknown_contacts(run.store, sorted(owners))
    if unknown:
        take_contacts(run, unknown)
    return owned
