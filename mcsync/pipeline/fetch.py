"""Fetch: both services into the cache, in the documents' steps.

mergeMailchimpData, removeInvalidContactIds, populateMissingContactIDs, cleanupDuplicatesInCache,
addCiviOnly, identifyGroupContactChanges. Nothing is written to either service.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from mcsync.cache.audiences import (
    AudienceStatus,
    CutFetch,
    count_todo,
    demand_full_scan,
    load_status,
    save_status,
)
from mcsync.cache.linking import (
    add_civi_only,
    cleanup_duplicates,
    forget_changes,
    identify_group_contact_changes,
    mark_changed,
    populate_missing_contact_ids,
    remove_invalid_contact_ids,
    wake_failed,
)
from mcsync.cache.members import (
    Data,
    Observe,
    OpenUpdate,
    count_members,
    has_members,
    mark_vanished,
    merge_members,
)
from mcsync.cache.times import from_text, to_text
from mcsync.errors import GuardTripped
from mcsync.model import Member, MemberStatus, Policy, read_names
from mcsync.pipeline.mirror import look_up_owners, read_site, take_in_civicrm
from mcsync.pipeline.run import OutOfTime, Run, Task, count_of
from mcsync.reconcile.guards import NEVER_BELOW
from mcsync.reconcile.observe import (
    STATUS,
    Value,
    Written,
    observe,
    observe_first,
    observe_vanished,
)

log = logging.getLogger("mcsync.fetch")

# How far the next window begins before the newest change seen, and at the latest before the
# moment Mailchimp began to answer: its pages are not read at one instant (facts, section 3).
_OVERLAP = timedelta(seconds=60)
_STEP = timedelta(seconds=1)  # many members share a second; Mailchimp's lower bound excludes it
_CLOCK_OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Window:
    """What to ask for: changes since a time, or everything when `since` is None."""

    since: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether it has no beginning."""
        return self.since is None


def fetch(run: Run, window: Window | None = None, *, in_full: bool = False) -> None:
    """Fetch what changed since last time, since `window`, or everything with `in_full`."""
    site = read_site(run)
    fetched: dict[str, AudienceStatus] = {}
    for task in run.healthy_tasks():
        with run.isolated(task):
            fetched[task.list_id] = _fetch_members(run, task, window, in_full)
    is_whole = in_full or (window is not None and window.is_everything)
    take_in_civicrm(run, site, window.since if window else None, is_whole=is_whole)
    for task in run.healthy_tasks():
        with run.isolated(task):
            look_up_owners(run, task)
    link(run, fetched)


# --- Mailchimp ------------------------------------------------------------------------------------


def _fetch_members(run: Run, task: Task, window: Window | None, in_full: bool) -> AudienceStatus:
    """mergeMailchimpData: pages into the cache; returns the status to keep when all is done."""
    status = load_status(run.store, task.list_id)
    cut = status.cut
    wanted = _choose_since(status, task, window, in_full)
    if cut is not None and (cut.since is None or wanted is not None):
        since = _time(cut.since)  # go on with the fetch that ran out of time
    else:
        cut, since = None, wanted
        status.fetch_no += since is None
    status.is_fetched = False
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
    newest, served_at = _take_in_pages(run, task, status, since, cut)
    if since is None:
        _take_in_absence(run, task, status.fetch_no)
        status.full_fetched_at = to_text(run.clock())
        status.needs_full_fetch = False
        status.interest_ids = sorted(task.policy.interests)
    status.cut = None
    status.fetched_at = to_text(run.clock())
    _move_window(status, since, newest, served_at)
    return status


def _take_in_pages(
    run: Run, task: Task, status: AudienceStatus, since: datetime | None, cut: CutFetch | None
) -> tuple[datetime | None, datetime | None]:
    """Merge all pages; returns the newest change seen and when Mailchimp began to answer.

    Pages come in the order of changes, archived members before all others. Where a fetch is
    cut, the next one goes on from the last change that it took in.
    """
    report, observe_member = run.report(task), make_observer(task.policy)
    fetch_no = status.fetch_no if since is None else 0
    newest, served_at, reached = since, _time(cut.served_at if cut else None), None
    begin = (_time(cut.reached) if cut else None) or since
    if begin is not None and begin is not since:
        reached, begin = begin, begin - _STEP
    is_empty = begin is None and not has_members(run.store, task.list_id)
    for page in task.mailchimp.fetch_members(task.list_id, begin):
        served_at = served_at or page.served_at
        empty_at = served_at - _CLOCK_OVERLAP if is_empty and served_at else None
        count = merge_members(
            run.store, task.list_id, page.members, observe_member, fetch_no, empty_at
        )
        report.members_fetched += count.fetched
        report.members_changed += count.changed
        status.needs_full_fetch |= count.detached > 0  # it will tell where they are
        run.progress(task.name, "members fetched", report.members_fetched)
        newest = _latest(newest, page.members)
        reached = _latest(
            reached, [m for m in page.members if m.status is not MemberStatus.ARCHIVED]
        )
        if reached is not None and (begin is None or reached > begin + _STEP):
            with _keeping_place(run, task, status, since, served_at, reached):
                run.check_time()  # never before something was gained
    return newest, served_at


@contextmanager
def _keeping_place(
    run: Run,
    task: Task,
    status: AudienceStatus,
    since: datetime | None,
    served_at: datetime | None,
    reached: datetime | None,
) -> Iterator[None]:
    """Remember how far a fetch came when it is cut."""
    try:
        yield
    except OutOfTime:
        status.cut = CutFetch(_text(since), _text(served_at), _text(reached))
        with run.store.atomic():
            save_status(run.store, task.list_id, status)
        raise


def _time(text: str | None) -> datetime | None:
    return from_text(text) if text else None


def _text(at: datetime | None) -> str | None:
    return to_text(at) if at else None


def _latest(so_far: datetime | None, members: Sequence[Member]) -> datetime | None:
    times = [member.last_changed for member in members]
    return max([*times, *([so_far] if so_far else [])], default=None)


def _choose_since(
    status: AudienceStatus, task: Task, window: Window | None, in_full: bool
) -> datetime | None:
    is_newly_mapped = not set(task.policy.interests) <= set(status.interest_ids)
    if in_full or status.since is None or status.needs_full_fetch or is_newly_mapped:
        return None
    return window.since if window is not None else from_text(status.since)


def _move_window(
    status: AudienceStatus,
    since: datetime | None,
    newest: datetime | None,
    served_at: datetime | None,
) -> None:
    """Where the next fetch begins. A fetch that began after the window's end leaves a gap: stay."""
    if since is not None and status.since is not None and since > from_text(status.since):
        return
    starts = [newest - _OVERLAP] if newest else []
    starts += [served_at - _CLOCK_OVERLAP] if served_at else []
    if starts:
        status.since = to_text(max(starts))


def _take_in_absence(run: Run, task: Task, fetch_no: int) -> None:
    """Members whom a full fetch no longer returned are out; an empty answer is not believed."""
    received = run.report(task).members_fetched
    known = count_members(run.store, task.list_id)
    if received == 0 and known >= NEVER_BELOW and not run.is_forced:
        raise GuardTripped(
            f"{task.name}: Mailchimp returned no members at all, but the cache knows {known:,}",
            hint='look at the audience at Mailchimp; "mcsync sync --force" takes it as true',
        )
    gone = mark_vanished(run.store, task.list_id, fetch_no, run.clock(), observe_vanished)
    if gone:
        log.info("%s: %s no longer in the audience", task.name, count_of(gone, "member"))


def read_seen(member: Member, policy: Policy) -> dict[str, Value]:
    """What a look at a member showed, under the names of `mailchimp_data`."""
    first, last = read_names(member.merge_fields)
    seen: dict[str, Value] = {
        "status": str(member.status),
        "first_name": first,
        "last_name": last,
    }
    for interest_id in policy.interests:
        value = member.interests.get(interest_id)
        if value is not None:
            seen[f"interest-{interest_id}"] = value
    return seen


def make_observer(policy: Policy) -> Observe:
    """A function for `merge_members`: what is known and seen of a member, to the new data."""

    def observe_member(
        known: Data | None, member: Member, last_changed: str, update: OpenUpdate | None
    ) -> Data:
        seen = read_seen(member, policy)
        if update is not None:
            return observe(known or {}, seen, last_changed, as_written(update, member))
        if known is None:
            return observe_first(seen, last_changed)
        return observe(known, seen, last_changed)

    return observe_member


def as_written(update: OpenUpdate, member: Member | None = None) -> Written:
    """An open update as the pure room knows it.

    A member who left by themselves just before we would have muted them was not unsubscribed
    by us: that is their own word, although the status is the one we asked for.
    """
    values = dict(update.values)
    if member is not None and member.has_left and update.is_gate:
        values.pop(STATUS, None)
    return Written(values, update.caused_at, update.is_gate)


# --- bringing both together -----------------------------------------------------------------------


def link(run: Run, fetched: dict[str, AudienceStatus]) -> None:
    """The documents' steps from removeInvalidContactIds on, for all audiences at once.

    `fetched` has the statuses of those that may be linked; the others catch up afterwards.
    """
    with run.store.atomic():
        changed = mark_changed(run.store)
        linked = [task for task in run.healthy_tasks() if task.list_id in fetched]
        for task in linked:
            status = fetched[task.list_id]
            _link_audience(run, task, status)
            status.is_fetched = True
            status.needs_full_scan = False
            save_status(run.store, task.list_id, status)
        if changed:
            demand_full_scan(run.store, but=[task.list_id for task in linked])
        forget_changes(run.store)


def _link_audience(run: Run, task: Task, status: AudienceStatus) -> None:
    store, policy, report = run.store, task.policy, run.report(task)
    wake_failed(store, policy.list_id)
    remove_invalid_contact_ids(store, policy.list_id)
    report.contacts_matched += populate_missing_contact_ids(
        store, policy.list_id, policy.group_id, skips_duplicates=policy.skips_duplicates
    )
    cleanup_duplicates(store, policy.list_id)
    report.civicrm_only_added += add_civi_only(
        store, policy.list_id, policy.group_id, everything=status.needs_full_scan
    )
    identify_group_contact_changes(store, policy.list_id, task.group_ids)
    report.todo = count_todo(store, policy.list_id)
    log.info(
        "%s: %s fetched, %d changed; %d to judge",
        task.name,
        count_of(report.members_fetched, "member"),
        report.members_changed,
        report.todo,
    )
