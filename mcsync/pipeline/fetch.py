"""Fetch: both services into the cache, in the documents' steps.

mergeMailchimpData, removeInvalidContactIds, populateMissingContactIDs, cleanupDuplicatesInCache,
addCiviOnly, identifyGroupContactChanges. Nothing is written to either service.
"""

import logging
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from mcsync.cache import linking, rows
from mcsync.cache.audience_status import (
    AudienceStatus,
    CutFetch,
    count_todo,
    demand_full_scan,
    load_status,
    save_status,
)
from mcsync.cache.looks import (
    Reader,
    count_members,
    has_members,
    load_strays,
    take_absences,
    take_look,
    take_page,
)
from mcsync.cache.times import from_text, from_text_or_none, to_text, to_text_or_none
from mcsync.cache.told_contacts import load_told
from mcsync.errors import GuardTripped
from mcsync.model import LONG_AGO, Member, MemberPage, MemberStatus
from mcsync.pipeline.ahead import Ahead, Wish, asking_ahead
from mcsync.pipeline.fetch_civicrm import (
    look_up_owners,
    read_site,
    take_in_civicrm,
    take_told,
)
from mcsync.pipeline.identity import follow_rules, has_new_rules, know_accounts
from mcsync.pipeline.run import OutOfTime, Run, Task, is_over
from mcsync.pipeline.telling import note_told
from mcsync.safety import NEVER_BELOW
from mcsync.text import count_of

log = logging.getLogger("mcsync.fetch")

# How far the next window begins before the newest change seen, and at the latest before the
# moment Mailchimp began to answer: its pages are not read at one instant (mailchimp: Members).
_OVERLAP = timedelta(seconds=60)
_STEP = timedelta(seconds=1)  # many members share a second; Mailchimp's lower bound excludes it
_CLOCK_OVERLAP = timedelta(minutes=10)
_LATE = timedelta(days=1)  # a full fetch that is due waits for others, but not longer


_R = TypeVar("_R")
# It yields the audience of which it is going to take a page, and goes on when that is there.
_Turns = Generator[str, None, _R]


@dataclass(frozen=True, slots=True)
class Window:
    """What to ask for: changes since a time, or everything when `since` is None."""

    since: datetime | None = None


def fetch(run: Run, window: Window | None = None, *, in_full: bool = False) -> None:
    """Fetch what changed since last time, since `window`, or everything with `in_full`."""
    know_accounts(run)
    told = load_told(run.store)  # before CiviCRM is read: what is told later stays in the queue
    plans = _make_plans(run, window, in_full=in_full)
    with _asking_ahead(run, plans) as ahead:
        site = read_site(run)  # meanwhile Mailchimp is asked
        wanted = _make_plans(run, window, in_full=in_full)
        fetched = _fetch_audiences(run, ahead, plans, wanted)
    is_whole = in_full or (window is not None and window.since is None)
    # Only now: members may take hours, and what staff do meanwhile counts when people are judged.
    take_in_civicrm(run, site, window.since if window else None, is_whole=is_whole)
    take_told(run, told)
    for task in run.healthy_tasks():
        with run.isolated(task):
            look_up_owners(run, task)
    link(run, fetched)


def _choose_for_full_fetch(run: Run) -> set[str]:
    """Audiences whose turn it is to be fetched in full: the one that waits longest, and late ones.

    What no increment tells is found out that way: who was archived while we read, was deleted,
    or has never confirmed.
    """
    length = timedelta(days=run.full_fetch_days)
    due: list[tuple[str, str]] = []
    for task in run.healthy_tasks():
        at = load_status(run.store, task.list_id).full_fetched_at
        if at and is_over(at, length, run.clock()):
            due.append((at, task.list_id))
    due.sort()
    late = {key for at, key in due if is_over(at, length + _LATE, run.clock())}
    return late | {key for _, key in due[:1]}


# --- Mailchimp ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of an audience is to be fetched: changes since a time, everything when it is None.

    `cut` is the fetch that ran out of time, where this goes on with it.
    """

    since: datetime | None
    cut: CutFetch | None = None

    @property
    def reached(self) -> datetime | None:
        """The last change that was taken in before."""
        return from_text_or_none(self.cut.reached) if self.cut else None

    @property
    def begin(self) -> datetime | None:
        """After which time members are asked for."""
        return self.since if self.reached is None else self.reached - _STEP


_Sources = dict[str, tuple[_Plan, Iterator[MemberPage]]]


def _make_plans(run: Run, window: Window | None, *, in_full: bool) -> dict[str, _Plan]:
    """What of each audience is to be fetched, of those that no trouble has stopped."""
    in_turn = _choose_for_full_fetch(run)
    return {
        task.list_id: _make_plan(run, task, window, in_full=in_full or task.list_id in in_turn)
        for task in run.healthy_tasks()
    }


@contextmanager
def _asking_ahead(run: Run, plans: Mapping[str, _Plan]) -> Iterator[Ahead[MemberPage]]:
    """Those that were in trouble may be so still, and are asked about once that is known."""
    wishes = []
    for task in run.healthy_tasks():
        read = partial(task.mailchimp.fetch_members, task.list_id, plans[task.list_id].begin)
        is_unsure = bool(load_status(run.store, task.list_id).troubles)
        wishes.append(Wish(task.list_id, task.key_print, read, _count_members, is_unsure))
    with asking_ahead(wishes) as ahead:
        yield ahead


def _count_members(page: MemberPage) -> int:
    return len(page.members)


def _fetch_audiences(
    run: Run, ahead: Ahead[MemberPage], asked: Mapping[str, _Plan], wanted: Mapping[str, _Plan]
) -> dict[str, AudienceStatus]:
    """All audiences, those of an account one after the other while the next ones are asked for.

    Where CiviCRM has stopped one that was to be fetched in full, it is another's turn: what was
    `asked` about that one beforehand is not what is `wanted` of it now.
    """
    sources: _Sources = {}
    for task in run.healthy_tasks():
        plan, pages = wanted[task.list_id], ahead.take(task.list_id)
        if plan != asked[task.list_id]:
            pages = task.mailchimp.fetch_members(task.list_id, plan.begin)
        sources[task.list_id] = plan, pages
    fetched: dict[str, AudienceStatus] = {}
    accounts = dict.fromkeys(task.key_print for task in run.healthy_tasks())
    _take_turns(ahead, [_fetch_account(run, key, sources, fetched) for key in accounts])
    return fetched


def _take_turns(ahead: Ahead[MemberPage], accounts: Iterable[_Turns[None]]) -> None:
    """Let each account go on when a page of it is there; the time is over for all of them."""
    waiting = {list_id: turns for turns in accounts if (list_id := next(turns, None))}
    try:
        while waiting:
            turns = waiting.pop(str(ahead.wait_for_any(waiting)))
            if list_id := next(turns, None):
                waiting[list_id] = turns
    except OutOfTime:
        for turns in waiting.values():
            with suppress(OutOfTime):
                turns.throw(OutOfTime())
        raise


def _fetch_account(
    run: Run,
    key_print: str,
    sources: _Sources,
    fetched: dict[str, AudienceStatus],
) -> _Turns[None]:
    """The audiences of an account; `fetched` gets the statuses of those that went well."""
    for task in run.healthy_tasks():
        if task.key_print == key_print:
            with run.isolated(task):
                yield task.list_id
                plan, pages = sources[task.list_id]
                fetched[task.list_id] = yield from _fetch_members(run, task, plan, pages)


def _make_plan(run: Run, task: Task, window: Window | None, *, in_full: bool) -> _Plan:
    status = load_status(run.store, task.list_id)
    cut = status.cut
    wanted = _choose_since(status, task, window, in_full or has_new_rules(task, status))
    if cut is not None and (cut.since is None or wanted is not None):
        return _Plan(from_text_or_none(cut.since), cut)  # go on with the one that ran out of time
    return _Plan(wanted)


def _fetch_members(
    run: Run, task: Task, plan: _Plan, pages: Iterable[MemberPage]
) -> _Turns[AudienceStatus]:
    """mergeMailchimpData: pages into the cache; returns the status to keep when all is done."""
    status, since = load_status(run.store, task.list_id), plan.since
    follow_rules(run, task, status)
    if plan.cut is None:
        status.fetch_no += 1
    status.is_fetched = False
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
    newest, served_at = yield from _take_in_pages(run, task, status, plan, pages)
    if since is None:
        _take_in_absence(run, task, status.fetch_no, served_at or task.mailchimp.fetch_now())
        status.full_fetched_at = to_text(run.clock())
        status.needs_full_fetch = False
        status.interest_ids = sorted(task.policy.interests)
    _find_strays(run, task, status.fetch_no)
    status.cut = None
    status.fetched_at = to_text(run.clock())
    status.served_at = to_text_or_none(served_at)
    _move_window(status, since, newest, served_at)
    with run.store.atomic():  # whatever is cut short from here on, this is not read again
        save_status(run.store, task.list_id, status)
    return status


def _take_in_pages(
    run: Run, task: Task, status: AudienceStatus, plan: _Plan, pages: Iterable[MemberPage]
) -> _Turns[tuple[datetime | None, datetime | None]]:
    """Merge all pages; returns the newest change seen and when Mailchimp began to answer.

    Pages come in the order of changes, archived members before all others. Where a fetch is
    cut, the next one goes on from the last change that it took in.
    """
    report, reader = run.report(task), Reader(task.policy.interests)
    since, begin, reached = plan.since, plan.begin, plan.reached
    newest, served_at = since, from_text_or_none(plan.cut.served_at if plan.cut else None)
    is_empty = begin is None and not has_members(run.store, task.list_id)
    oddities: Counter[str] = Counter()
    for page in pages:
        served_at = served_at or page.served_at
        empty_at = served_at - _CLOCK_OVERLAP if is_empty and served_at else None
        count = take_page(run.store, task.list_id, page.members, reader, status.fetch_no, empty_at)
        report.members_fetched += count.fetched
        report.members_changed += count.changed
        run.progress(task.name, "members fetched", report.members_fetched, page.total)
        oddities.update(member.oddity for member in page.members if member.oddity)
        newest = _latest(newest, page.members)
        reached = _latest(
            reached, [m for m in page.members if m.status is not MemberStatus.ARCHIVED]
        )
        cut = None
        if reached is not None and (begin is None or reached > begin + _STEP):
            cut = CutFetch(*map(to_text_or_none, (since, served_at, reached)))
        with _keeping(run, task, status, cut):
            if cut is not None:
                run.check_time()  # never before something was gained
            yield task.list_id
    _warn_of_oddities(run, task, status, oddities)
    return newest, served_at


def _warn_of_oddities(
    run: Run, task: Task, status: AudienceStatus, oddities: Mapping[str, int]
) -> None:
    """Warn of members that cannot be understood: by what is odd, and not all day long."""
    for oddity, count in sorted(oddities.items()):
        if not note_told(status, f"members with {oddity}", count, run.clock()):
            continue
        log.warning(
            "%s: %s with %s %s left alone; a newer version of mcsync may understand this",
            task.name,
            count_of(count, "member"),
            oddity,
            "is" if count == 1 else "are",
        )


@contextmanager
def _keeping(run: Run, task: Task, status: AudienceStatus, cut: CutFetch | None) -> Iterator[None]:
    """Remember how far a fetch came when it is cut in here."""
    try:
        yield
    except OutOfTime:
        if cut is not None:
            status.cut = cut
            with run.store.atomic():
                save_status(run.store, task.list_id, status)
        raise


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
    """Where the next fetch begins: at the newest change seen, by Mailchimp's own clock.

    Never later than when it began to answer, for whoever was archived or changed while we read
    may have been missed. A fetch that began after the window's end leaves a gap: stay.
    """
    if since is not None and status.since is not None and since > from_text(status.since):
        return
    starts = [newest - _OVERLAP] if newest and newest > LONG_AGO else []
    starts += [served_at - _CLOCK_OVERLAP] if served_at else []
    if starts:
        start = max(starts)
        status.since = to_text(min(start, served_at - _OVERLAP) if served_at else start)


def _take_in_absence(run: Run, task: Task, fetch_no: int, noticed_at: datetime) -> None:
    """Members whom a full fetch no longer returned are out; an empty answer is not believed."""
    is_empty = run.report(task).members_fetched == 0
    known = count_members(run.store, task.list_id) if is_empty else 0
    if known >= NEVER_BELOW and not run.is_forced:
        raise GuardTripped(
            f"{task.name}: Mailchimp returned no members at all, but the cache knows {known:,}",
            hint='look at the audience at Mailchimp; if it is right, run "mcsync sync --force"',
        )
    gone = take_absences(run.store, task.list_id, fetch_no, noticed_at)
    if gone:
        log.info("%s: %s no longer in the audience", task.name, count_of(gone, "member"))


def _find_strays(run: Run, task: Task, fetch_no: int) -> None:
    """Members whose address is somebody else's now: they have moved, or are no longer there."""
    strays = load_strays(run.store, task.list_id)
    if not strays:
        return
    asked = [contact for contact in strays.values() if contact]
    there = task.mailchimp.fetch_each_contact(task.list_id, asked)
    take_looks(run, task, {i: there.get(contact) for i, contact in strays.items()}, fetch_no)


def take_looks(
    run: Run, task: Task, members: Mapping[int, Member | None], fetch_no: int = 0
) -> None:
    """Take in the members of these rows, each read by itself; None where they are gone."""
    if None in members.values():
        # A list that is not to be seen answers just as one that has no such member.
        task.mailchimp.fetch_audience(task.list_id)
    now, reader = task.mailchimp.fetch_now(), Reader(task.policy.interests)
    with run.store.atomic():
        for row_id, member in members.items():
            take_look(run.store, row_id, member, reader, now, fetch_no=fetch_no)


# --- bringing both together -----------------------------------------------------------------------


def link(run: Run, fetched: dict[str, AudienceStatus]) -> None:
    """The documents' steps from removeInvalidContactIds on, for all audiences at once.

    `fetched` has the statuses of those that may be linked; the others catch up afterwards. All of
    it in short transactions: webhooks are stored meanwhile. Where we die in between, what changed
    in CiviCRM is told again.
    """
    store = run.store
    linked = [task for task in run.healthy_tasks() if task.list_id in fetched]
    if linking.begin(store):
        with store.atomic():
            demand_full_scan(store, but=[task.list_id for task in linked])
    for task in linked:
        _link_audience(run, task, fetched[task.list_id])
    linking.finish(store)
    with store.atomic():
        for task in linked:
            status = fetched[task.list_id]
            status.is_fetched = True
            status.needs_full_scan = False
            save_status(store, task.list_id, status)


def _link_audience(run: Run, task: Task, status: AudienceStatus) -> None:
    store, policy, report = run.store, task.policy, run.report(task)
    with store.atomic():
        rows.mark_failed_again(store, policy.list_id, to_text(run.clock()))
    linking.remove_invalid_contact_ids(store, policy.list_id, run.site_now or run.clock())
    for chunk in linking.due_chunks(store, policy.list_id):
        with store.atomic():
            rows.identify_group_contact_changes(store, policy, chunk)
            report.contacts_matched += linking.populate_missing_contact_ids(store, policy, chunk)
            rows.cleanup_duplicates(store, policy.list_id, chunk)
            if run.has_read_everybody:
                rows.note_all_looked_up(store, policy.list_id, chunk)
    report.civicrm_only_added += linking.add_civi_only(
        store, policy, everybody=status.needs_full_scan
    )
    report.todo = count_todo(store, policy.list_id)
    log.info(
        "%s: %s fetched, %s changed; %s to check",
        task.name,
        count_of(report.members_fetched, "member"),
        f"{report.members_changed:,}",
        f"{report.todo:,}",
    )
