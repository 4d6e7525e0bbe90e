"""Reading CiviCRM into the mirror: everything once, then what changed, checked by counts."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mcsync.cache.contacts import (
    count_mirrored_contacts,
    count_unmirrored_contacts,
    forget_purged,
    load_mirrored_contacts,
    load_not_deleted,
    load_sample,
    load_unmirrored_contacts,
    load_unseen,
    mark_purged,
    mark_unseen,
    save_contacts,
)
from mcsync.cache.linking import (
    count_addresses_to_look_up,
    load_addresses_to_look_up,
    load_linked_to_deleted,
    load_unknown_contacts,
    note_merged,
)
from mcsync.cache.mirror import (
    GroupState,
    MirrorState,
    apply_history,
    begin_compare,
    count_places,
    finish_compare,
    load_mirror_state,
    save_mirror_state,
    see_group_contacts,
    see_history,
    see_smart_group,
)
from mcsync.cache.rows import note_looked_up
from mcsync.cache.times import from_text, to_text
from mcsync.cache.told_contacts import find_mirrored, forget_told, mark_told
from mcsync.errors import ConfigError, GuardTripped, McsyncError
from mcsync.model import LONG_AGO, ContactPage, Group, HistoryRow, SiteSnapshot, email_key
from mcsync.pipeline.identity import check_site, warn_of_skew
from mcsync.pipeline.run import Run, Task, is_over
from mcsync.safety import NEVER_BELOW
from mcsync.text import count_of

log = logging.getLogger("mcsync.fetch")

# Ids are given out before rows are committed, and dates likewise: look a little behind.
_HISTORY_OVERLAP = 200  # ids
_MODIFIED_OVERLAP = timedelta(minutes=5)
_CONTACTS_AT_ONCE = 20_000  # remembered together; the adapter asks for fewer at a time
_MANY = 20_000  # contacts; fewer are asked for by their ids, however small the site is
_OWNERS_AT_ONCE = 5000  # addresses remembered together; the adapter asks for fewer at a time


def read_site(run: Run) -> SiteSnapshot:
    """Ask CiviCRM who we are and what there is; stop audiences whose groups are not in order.

    Groups that are not to be believed are left out: the mirror stays as it was about them.
    """
    group_ids = sorted({group_id for task in run.tasks for group_id in task.group_ids})
    state = load_mirror_state(run.store)
    after = max(0, _cursor(state, group_ids) - _HISTORY_OVERLAP)
    site = run.civicrm.fetch_snapshot(group_ids, after, sorted(load_sample(run.store)))
    check_site(run, site)
    warn_of_skew(run, site)
    run.site_now = site.now
    known = count_places(run.store, group_ids)
    for task in run.tasks:
        with run.isolated(task):
            _check_groups(run, task, site, known)
    believed = {key: group for key, group in site.groups.items() if key not in run.doubted_groups}
    return replace(site, groups=believed)


def _cursor(state: MirrorState, group_ids: Iterable[int]) -> int:
    """Up to where the history of all of these groups is known, as far as they were compared."""
    known = [state.groups[g].history_id for g in group_ids if g in state.groups]
    return min(known, default=0)


def _check_groups(
    run: Run, task: Task, site: SiteSnapshot, known: Mapping[tuple[int, str], int]
) -> None:
    for group_id in task.group_ids:
        group = site.groups.get(group_id)
        if group is None:
            raise ConfigError(
                f"{task.name}: CiviCRM shows no group {group_id}",
                hint='check the id in the config, and that the API user may see the group; "mcsync'
                ' sync" continues once the group is back',
            )
        if not group.is_active:
            raise GuardTripped(
                f'{task.name}: group {group_id} "{group.title}" is disabled in CiviCRM',
                hint="enable the group, or remove it from the config",
            )
        if group_id == task.policy.group_id and group.is_smart:
            raise ConfigError(
                f'{task.name}: group {group_id} "{group.title}" is a smart group, so nobody can'
                " be added to it or removed from it",
                hint="choose an ordinary group as subscriptionGroup; smart groups can only be used"
                " for interests",
            )
        _check_emptiness(run, task, group, site, known)


def _check_emptiness(
    run: Run,
    task: Task,
    group: Group,
    site: SiteSnapshot,
    known: Mapping[tuple[int, str], int],
) -> None:
    """A group that lost even its Removed contacts was not emptied by hand, but from our sight.

    The audience's own stops the audience, that of an interest only the interest. A computed group
    has no Removed contacts: it is looked at when it is read.
    """
    before = sum(count for (group_id, _), count in known.items() if group_id == group.group_id)
    now = sum(count for (group_id, _), count in site.counts.items() if group_id == group.group_id)
    if before < NEVER_BELOW or now or group.is_smart or run.is_forced:
        return
    run.doubted_groups.add(group.group_id)
    if group.group_id != task.policy.group_id:
        stop_interest(run, task, group.group_id, f"is suddenly empty; it had {before:,} contacts")
        return
    raise GuardTripped(
        f'{task.name}: group {group.group_id} "{group.title}" is suddenly empty in CiviCRM;'
        f" it had {before:,} contacts",
        hint="check the permissions of the API user and the group; if it is right, run "
        f'"mcsync sync --list {task.list_id} --force"',
    )


def stop_interest(run: Run, task: Task, group_id: int, why: str) -> None:
    """Leave an interest of the audience alone in this run."""
    stopped = run.stopped_interests.setdefault(task.list_id, {})
    for interest_id, interest in task.policy.interests.items():
        if interest.group_id == group_id:
            stopped.setdefault(interest_id, f"its group {group_id} {why}")


def take_in_civicrm(
    run: Run, site: SiteSnapshot, since: datetime | None, *, is_whole: bool
) -> None:
    """Bring the mirror up to date: by increments, or as a whole where these do not suffice.

    `since` looks at contacts changed after another time than where the last run ended; the place
    where the next one begins never moves past what was not read.
    """
    state = load_mirror_state(run.store)
    if not state.modified_at:
        state.is_untold = True
        with run.store.atomic():
            save_mirror_state(run.store, state)
    stale = _find_stale(run, site, state, is_whole=is_whole)
    fresh = sorted(set(site.groups) - stale)
    if fresh and not _take_increment(run, site, state, fresh):
        stale = set(site.groups)
    _take_smart_groups(run, site)
    strangers: list[int] = []
    cursor = from_text(state.modified_at) if state.modified_at else None
    if cursor is not None:
        begin = cursor if since is None else since
        strangers = _take_changed_contacts(run, site, begin)
    if stale or strangers:
        compared = set(site.groups) if strangers else stale
        _compare(run, site, sorted(compared))
    else:
        _look_for_unseen(run)
    _take_new_contacts(run)
    _follow_merges(run)
    state = load_mirror_state(run.store)
    if stale == set(site.groups) or strangers or cursor is None or since is None or since <= cursor:
        state.modified_at = to_text(site.now - _MODIFIED_OVERLAP)
    with run.store.atomic():
        save_mirror_state(run.store, state)


def _find_stale(run: Run, site: SiteSnapshot, state: MirrorState, *, is_whole: bool) -> set[int]:
    """Groups whose increments do not tell everything: new ones, and those not compared for long."""
    if is_whole or not state.modified_at or not _knows_its_place(site, state):
        return set(site.groups)
    length = timedelta(hours=run.full_compare_hours)
    return {
        group_id
        for group_id in site.groups
        if group_id not in state.groups
        or is_over(state.groups[group_id].compared_at, length, run.clock())
    }


def _knows_its_place(site: SiteSnapshot, state: MirrorState) -> bool:
    """Whether the history row at which we stopped is still there.

    In a site that was restored from a copy new rows get ids that we believe to know.
    """
    known = [g for g in site.groups if g in state.groups and state.groups[g].history_id]
    if not known:
        return True
    cursor = min(state.groups[g].history_id for g in known)
    return any(row.history_id >= cursor for row in site.history)


def take_in_news(run: Run, site: SiteSnapshot) -> bool:
    """Bring the mirror of the groups that were mirrored before up to date, by increments only.

    Returns False when these do not tell everything, or there is no mirror yet.
    """
    state = load_mirror_state(run.store)
    if not state.has_compared(site.groups) or not _knows_its_place(site, state):
        return False
    if not _take_increment(run, site, state, sorted(site.groups)):
        return False
    _take_smart_groups(run, site)
    if _take_changed_contacts(run, site, from_text(state.modified_at)):
        return False
    _take_new_contacts(run)
    _follow_merges(run)
    return True


def _take_increment(
    run: Run, site: SiteSnapshot, state: MirrorState, group_ids: Sequence[int]
) -> bool:
    """Apply new history; False when the counts show that history does not tell everything."""
    newest = _take_history(run, site.history, group_ids)
    if site.has_more_history:
        after = site.history[-1].history_id
        for page in run.civicrm.fetch_history(sorted(site.groups), after):
            newest = max(newest, _take_history(run, page, group_ids))
    for group_id in group_ids:
        group = state.groups.setdefault(group_id, GroupState())
        group.history_id = max(group.history_id, newest)
        _note_group(group, site.groups[group_id])
    with run.store.atomic():
        save_mirror_state(run.store, state)
    static = [group_id for group_id in group_ids if not site.groups[group_id].is_smart]
    told = {key: count for key, count in site.counts.items() if key[0] in static and count}
    if told == count_places(run.store, static) or site.has_more_history:
        return True
    log.info("CiviCRM's groups changed without history; comparing everything")
    return False


def _take_history(run: Run, rows: Sequence[HistoryRow], group_ids: Sequence[int]) -> int:
    """Apply one page; the id of its last row, whichever group that is of."""
    wanted = set(group_ids)
    with run.store.atomic():
        apply_history(run.store, [row for row in rows if row.group_id in wanted])
    return rows[-1].history_id if rows else 0


def _take_changed_contacts(run: Run, site: SiteSnapshot, since: datetime) -> list[int]:
    """Contacts changed since a time; those whose ids mean other people now."""
    strangers: list[int] = []
    for page in run.civicrm.fetch_changed_contacts(since):
        strangers += save_contacts(run.store, page, site.now, only_known=True)
    return strangers


def _take_smart_groups(run: Run, site: SiteSnapshot) -> None:
    """Read computed groups as CiviCRM resolves them, each by itself.

    One that cannot be read, or is suddenly empty, stops what it stands for, and nothing else.
    """
    for group_id in [key for key, group in site.groups.items() if group.is_smart]:
        try:
            contacts = [i for page in run.civicrm.fetch_smart_group(group_id) for i in page]
        except McsyncError as error:
            _blame(run, group_id, error)
            continue
        known = count_places(run.store, [group_id]).get((group_id, "Added"), 0)
        if known >= NEVER_BELOW and not contacts and not run.is_forced:
            for task in run.healthy_tasks():
                if group_id in task.group_ids:
                    why = f"is suddenly empty; it had {known:,} contacts"
                    stop_interest(run, task, group_id, why)
            continue
        begin_compare(run.store)
        see_smart_group(run.store, group_id, contacts)
        finish_compare(run.store, [group_id], site.now, are_smart=True)
        _note_compared(run, site, [group_id], 0)


def _blame(run: Run, group_id: int, error: McsyncError) -> None:
    """The audiences that a group belongs to are in trouble; the others are not."""
    for task in list(run.healthy_tasks()):
        if group_id in task.group_ids:
            message = f"{task.name}: group {group_id} cannot be read: {error.message}"
            with run.isolated(task):
                raise type(error)(message, hint=error.hint)


def _note_compared(run: Run, site: SiteSnapshot, group_ids: Iterable[int], newest: int) -> None:
    state = load_mirror_state(run.store)
    for group_id in group_ids:
        group = state.groups.setdefault(group_id, GroupState())
        _note_group(group, site.groups[group_id])
        group.history_id = max(group.history_id, newest) if group.is_smart else newest
        group.compared_at = to_text(run.clock())
    with run.store.atomic():
        save_mirror_state(run.store, state)


def _note_group(known: GroupState, group: Group) -> None:
    known.is_smart, known.title = group.is_smart, group.title


def _compare(run: Run, site: SiteSnapshot, group_ids: list[int]) -> None:
    """Read all history and all group contacts of these groups, and all contacts that we know.

    History first: what changes between the two readings is then told again by the next one.
    Contacts before the places are compared: one that is in the trash has not left its groups, and
    one that is somebody else now was never there.
    """
    static = [group_id for group_id in group_ids if not site.groups[group_id].is_smart]
    newest, told, count = 0, 0, 0
    begin_compare(run.store)
    for rows in run.civicrm.fetch_history(static, 0) if static else ():
        see_history(run.store, rows)
        told += len(rows)
        run.progress("CiviCRM", "history rows fetched", told)
        newest = max(newest, rows[-1].history_id) if rows else newest
    in_groups = sum(n for (group_id, _), n in site.counts.items() if group_id in static)
    for places in run.civicrm.fetch_group_contacts(static) if static else ():
        see_group_contacts(run.store, places)
        count += len(places)
        run.progress("CiviCRM", "group contacts fetched", count, in_groups)
    _compare_contacts(run, site)
    finish_compare(run.store, static, site.now)
    _note_compared(run, site, static, newest)


def _compare_contacts(run: Run, site: SiteSnapshot) -> None:
    """Read every contact that concerns us.

    Contacts that are not found were deleted for good; where they are too many for that, they are
    only out of our sight, and nothing is done about them until a human has looked.
    """
    count = 0
    gone: list[int] = []
    known = count_mirrored_contacts(run.store)
    take = _compare_with_everybody if _are_most(run, known) else _take_known_contacts
    for contact_ids, found in take(run):
        gone += sorted(set(contact_ids) - found)
        count += len(contact_ids)
        run.progress("CiviCRM", "contacts fetched", count, known)
    lost, gone = gone, load_not_deleted(run.store, gone)
    limits = [task.safety.removals for task in run.tasks]
    if run.is_forced or all(limit.allows(len(gone), count) for limit in limits):
        forget_purged(run.store, lost, run.earliest_now() - timedelta(days=run.history_days))
        mark_purged(run.store, gone)
    else:
        mark_unseen(run.store, gone)


def _take_known_contacts(run: Run) -> Iterator[tuple[list[int], set[int]]]:
    """Mirror the contacts that concern us; which were asked for, and which were found."""
    after = 0
    while contact_ids := load_mirrored_contacts(run.store, after, limit=_CONTACTS_AT_ONCE):
        after = contact_ids[-1]
        yield contact_ids, set(take_contacts(run, contact_ids))


def _compare_with_everybody(run: Run) -> Iterator[tuple[list[int], set[int]]]:
    """The same by reading all contacts of the site, which asks far less where most concern us."""
    after = 0
    for page in _take_everybody(run):
        last = page.contacts[-1].contact_id
        known = load_mirrored_contacts(run.store, after, last=last)
        yield known, {contact.contact_id for contact in page.contacts}
        after = last
    yield load_mirrored_contacts(run.store, after), set()


def _take_everybody(run: Run) -> Iterator[ContactPage]:
    """Read all contacts of the site; each page is mirrored once the caller has looked at it."""
    for page in run.civicrm.fetch_changed_contacts(LONG_AGO):
        yield page
        save_contacts(run.store, page, run.site_now or run.clock(), only_known=True)
    run.has_read_everybody = True


def _are_most(run: Run, wanted: int) -> bool:
    """Whether so many contacts are most of those that the site has."""
    return wanted >= _MANY and run.civicrm.fetch_newest_contact_id() <= 2 * wanted


def _look_for_unseen(run: Run) -> None:
    """Contacts that were out of our sight may be back; with `--force` the others are deleted."""
    unseen = load_unseen(run.store)
    if unseen:
        found = take_contacts(run, unseen)
        if run.is_forced:
            mark_purged(run.store, sorted(set(unseen) - set(found)))


def take_contacts(run: Run, contact_ids: list[int]) -> list[int]:
    """Mirror these contacts; the ids that were found."""
    found: list[int] = []
    for page in run.civicrm.fetch_contacts(contact_ids):
        save_contacts(run.store, page, run.site_now or run.clock())
        found += [contact.contact_id for contact in page.contacts]
    return found


def read_told(run: Run, contact_ids: Iterable[int]) -> None:
    """Read those of these contacts again whom we know, whatever dates and history say of them.

    Whoever is in none of our groups, and owns no member's address, is none of our business.
    """
    known = find_mirrored(run.store, contact_ids)
    if known:
        take_contacts(run, known)
        _follow_merges(run)


def take_told(run: Run, told: Mapping[int, int]) -> None:
    """Have everybody judged of whom CiviCRM told before this fetch began to read it."""
    if not told:
        return
    read_told(run, told)
    with run.store.atomic():
        mark_told(run.store, list(told))
        forget_told(run.store, told)
    log.info("%s that CiviCRM told of looked at", count_of(len(told), "contact"))


def _take_new_contacts(run: Run) -> None:
    """Contacts who came into a group are read once; from then on their changes tell.

    Where these, and those who own our members' addresses, are most of the site, all are read.
    """
    wanted = count_unmirrored_contacts(run.store) + sum(
        count_addresses_to_look_up(run.store, task.list_id) for task in run.healthy_tasks()
    )
    if not run.has_read_everybody and _are_most(run, wanted):
        count = 0
        for page in _take_everybody(run):
            count += len(page.contacts)
            run.progress("CiviCRM", "contacts fetched", count)
    count, wanted = 0, 0
    for contact_ids in load_unmirrored_contacts(run.store, _CONTACTS_AT_ONCE):
        wanted = wanted or count_unmirrored_contacts(run.store)
        take_contacts(run, contact_ids)
        count += len(contact_ids)
        run.progress("CiviCRM", "contacts fetched", count, wanted)


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
    if run.has_read_everybody:
        return
    count, wanted = 0, count_addresses_to_look_up(run.store, task.list_id)
    for rows in load_addresses_to_look_up(run.store, task.list_id, _OWNERS_AT_ONCE):
        take_in_owners(run, [address for _, address in rows])
        count += len(rows)
        run.progress(task.name, "addresses looked up", count, wanted)
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
