"""Undo: put back what a run did, to people for whom nobody has said anything newer since.

First both services are looked at, as by every run, and what the run has only queued is withdrawn
with the rest. The plan is carried out like any other: chunk by chunk, CiviCRM first; what is put
back is marked in the transaction that records it, and left alone from then on
(`reconcile.left_alone`). An undo that was cut off is gone on with by the next one, as the same run.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mcsync.cache.bounds import Bounds
from mcsync.cache.looks import read_written
from mcsync.cache.mirror import only_push_smart_groups
from mcsync.cache.outbox import close_queued, find_newest_update
from mcsync.cache.persons import load_persons_of
from mcsync.cache.plans import add_to_plan, forget_plan
from mcsync.cache.row_facts import load_row_facts
from mcsync.cache.rows import load_refusals, mark_due
from mcsync.cache.store import Store
from mcsync.cache.times import from_text_or_none
from mcsync.cache.trail import Asked, find_changes
from mcsync.cache.undos import (
    begin_undo,
    end_undo,
    find_cut_undo,
    find_last_run,
    find_queued_rows,
    find_undo,
    has_run,
    load_open_updates,
    load_refused_updates,
)
from mcsync.decision import REASONS, Decision, Policy, Reason
from mcsync.errors import GuardTripped, UsageError
from mcsync.model import LONG_AGO, SUBSCRIPTION, Side
from mcsync.name_tags import TAG_OF_NAME
from mcsync.pipeline.batches import process_batches, wait_for_batches
from mcsync.pipeline.carry_out import carry_out
from mcsync.pipeline.changes import Line
from mcsync.pipeline.direct import send_directly
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.reconcile import adapt_rules
from mcsync.pipeline.results import show_field_value
from mcsync.pipeline.run import Run, Task
from mcsync.pipeline.submit import submit_batches
from mcsync.reconcile.guards import measure, sum_up
from mcsync.reconcile.taking_back import LEFT, Done, Left, Taken, Undoing, take_back
from mcsync.safety import Safety

log = logging.getLogger("mcsync.undo")

CHUNK = 500  # people planned at once
FEW = 15  # operations; under about so many, direct calls are faster than a batch


@dataclass(frozen=True, slots=True)
class Target:
    """Which run is undone, by which, and of whom only: rows by audience, None for everybody's."""

    undone_run: str
    undoing: Undoing
    rows: Mapping[str, Sequence[int]] | None = None


@dataclass(slots=True, eq=False)
class Offer:
    """What undo would do about one audience, or has done; lines are of one change each.

    `back_rows` are the rows of the members that `back` tells of, None for contacts. `held` has a
    phrase for each kind of which it is more than allowed.
    """

    list_id: str
    name: str
    back: list[Line] = field(default_factory=list)
    back_rows: list[int | None] = field(default_factory=list)
    left: list[Line] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


# --- which run ------------------------------------------------------------------------------------


def find_target(
    store: Store,
    list_ids: Sequence[str],
    run_id: str,
    now: datetime,
    wanted: str | None,
    rows: Mapping[str, Sequence[int]] | None,
) -> Target:
    """The run that is meant: the one that was named, else the last that changed anything.

    An undo that was cut off is no run to be undone by itself: it is gone on with. One that came to
    its end has to be named: whoever runs the command once more, to be sure, does not want the
    accident back. `run_id` is that of the run that undoes. Raises: UsageError when there is no
    such run.
    """
    meant = wanted or find_last_run(store, list_ids)
    if meant is None:
        raise UsageError("there is no run to undo", hint='see "mcsync history"')
    if not has_run(store, list_ids, meant):
        raise UsageError(
            f'the history knows no run "{meant}"', hint='"mcsync history" lists the runs'
        )
    last = find_undo(store, meant)
    if wanted is None and last is not None:
        if last.is_ended:
            raise UsageError(
                f"the last run, {meant}, was itself an undo, of run {last.undone_run}",
                hint=f'"mcsync undo --run {meant}" would do again what that run did',
            )
        meant = last.undone_run
    cut = find_cut_undo(store, meant)
    if cut is None:
        return Target(meant, Undoing(run_id, now), rows)
    if rows is None and wanted is None and cut.row_ids is not None:
        rows = dict.fromkeys(list_ids, cut.row_ids)
    if cut.row_ids != (None if rows is None else _flatten(rows)):  # of others, or of more
        return Target(meant, Undoing(run_id, now), rows)
    return Target(meant, Undoing(cut.run, now, is_resumed=True), rows)


def _flatten(rows: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    return tuple(sorted({row_id for each in rows.values() for row_id in each}))


# --- what it did ----------------------------------------------------------------------------------


def load_dones(store: Store, list_id: str, target: Target) -> list[Done]:
    """What a run did for an audience, each thing once: before its first change and after its last.

    And what it has queued, or sent without a result.
    """
    found: dict[tuple[object, ...], Done] = {}
    for change in find_changes(store, Asked(list_ids=[list_id], run=target.undone_run)):
        whose = change.row_id if change.side is Side.MAILCHIMP else change.contact_id
        key = (change.side, whose or -(change.row_id or 0), change.field)
        first = found.get(key)
        found[key] = Done(
            side=change.side,
            field=change.field,
            before=change.before if first is None else first.before,
            after=change.after,
            at=change.at or LONG_AGO,
            caused_at=change.caused_at,
            row_id=change.row_id,
            contact_id=change.contact_id,
            email=change.email,
            group_id=change.group_id,
        )
    for done in _load_open(store, list_id, target.undone_run):
        key = (done.side, done.row_id or 0, done.field)
        first = found.get(key)
        found[key] = done if first is None else replace(done, before=first.before)
    return _leave_out_others(store, list_id, list(found.values()), target)


def _load_open(store: Store, list_id: str, run: str) -> Iterator[Done]:
    for update in load_open_updates(store, list_id, run):
        written = read_written(update.change, update.cause)
        values, before = dict(written.values), dict(update.cause.before)
        if update.change.new_email is not None:
            values["email"], before["email"] = update.change.new_email, update.change.email
        for name, value in values.items():
            yield Done(
                side=Side.MAILCHIMP,
                field=SUBSCRIPTION if name == "status" else name.removeprefix("interest-"),
                before=show_field_value(before.get(name)),
                after=show_field_value(value),
                at=update.created_at,
                caused_at=from_text_or_none(update.cause.at.get(name)),
                row_id=update.row_id,
                contact_id=update.contact_id,
                email=update.change.email,
                is_queued=not update.is_sent,
                is_under_way=update.is_sent,
            )


def _leave_out_others(store: Store, list_id: str, dones: list[Done], target: Target) -> list[Done]:
    """Only what was done to those who are meant."""
    if target.rows is None:
        return dones
    rows = set(target.rows.get(list_id, ()))
    facts = load_row_facts(store, sorted(rows)).values()
    contacts = {row.contact_id for row in facts if row.contact_id is not None}
    return [d for d in dones if d.row_id in rows or d.contact_id in contacts]


# --- the plan -------------------------------------------------------------------------------------


def plan_back(
    store: Store, policy: Policy, dones: Sequence[Done], target: Target, now: datetime
) -> Iterator[list[Taken]]:
    """What is put back, person by person, in chunks; what nobody is found for is left."""
    heard_at = max((d.caused_at for d in dones if d.caused_at is not None), default=LONG_AGO)
    target = replace(target, undoing=replace(target.undoing, heard_at=heard_at))
    by_whom: dict[tuple[str, int], list[Done]] = defaultdict(list)
    for done in dones:
        key = ("contact", done.contact_id) if done.contact_id else ("row", done.row_id or 0)
        by_whom[key].append(done)
    whom = list(by_whom)
    for start in range(0, len(whom), CHUNK):
        some = [done for key in whom[start : start + CHUNK] for done in by_whom[key]]
        yield list(_take_some(store, policy, some, target, now))


def _take_some(
    store: Store, policy: Policy, dones: Sequence[Done], target: Target, now: datetime
) -> Iterator[Taken]:
    rows = sorted({done.row_id for done in dones if done.row_id})
    contacts = sorted({done.contact_id for done in dones if done.contact_id})
    by_row: dict[int, list[Done]] = defaultdict(list)
    by_contact: dict[int, list[Done]] = defaultdict(list)
    for done in dones:
        if done.row_id:
            by_row[done.row_id].append(done)
        else:
            by_contact[done.contact_id or 0].append(done)
    for person in load_persons_of(store, policy, rows, now, contacts):
        own = [done for row in person.rows for done in by_row.pop(row.row_id, ())]
        if person.contact is not None:
            own += by_contact.pop(person.contact.contact_id, ())
        if own:
            yield take_back(person, own, policy, target.undoing)
    for lost in (*by_row.values(), *by_contact.values()):
        yield Taken(Decision(()), (), tuple((done, Left.GONE) for done in lost))


def tell(offer: Offer, taken: Iterable[Taken]) -> None:
    """Add what is done about some people to what is told."""
    for each in taken:
        for done, becomes in each.back:
            now = done.before if done.is_queued else done.after
            offer.back.append(_line(offer, done, now, becomes))
            offer.back_rows.append(done.row_id if done.side is Side.MAILCHIMP else None)
        offer.left += [_left_line(offer, done, why) for done, why in each.left]


def _line(offer: Offer, done: Done, before: str | None, after: str | None) -> Line:
    who = (done.email, done.contact_id)
    reason = Reason.UNDONE
    what = (done.side.value, done.field, before, after)
    return Line(offer.list_id, *what, *who, reason.value, REASONS[reason])


def _left_line(offer: Offer, done: Done, why: Left) -> Line:
    what = (done.side.value, done.field, done.before, done.after)
    return Line(offer.list_id, *what, done.email, done.contact_id, why.value, LEFT[why])


# --- only looking ---------------------------------------------------------------------------------


def foresee(
    store: Store, policy: Policy, name: str, safety: Safety, target: Target, now: datetime
) -> Offer:
    """What undo would do about an audience, by what the cache knows; nothing is written."""
    tags = policy.name_tags or frozenset(TAG_OF_NAME.values())
    policy = only_push_smart_groups(store, replace(policy, name_tags=tags))
    offer, size = Offer(policy.list_id, name), sum_up(())
    dones = load_dones(store, policy.list_id, target)
    for taken in plan_back(store, policy, dones, target, now):
        tell(offer, taken)
        size += sum_up(measure(each.decision) for each in taken)
    offer.held = list(Bounds(store, policy, safety).find_excesses(size).values())
    return offer


# --- doing it -------------------------------------------------------------------------------------


def undo(
    run: Run,
    wanted: str | None,
    rows: Mapping[str, Sequence[int]] | None,
    *,
    may_exceed: bool,
    approve: Callable[[Target, Sequence[Offer]], bool],
    wait_s: float | None = None,
) -> tuple[Target, list[Offer]]:
    """Put back what a run did; `approve` is shown all of it before anything is written.

    Returns what was put back and what was left, by audience; nothing where it was not approved.
    """
    know_accounts(run)
    target = find_target(
        run.store, [t.list_id for t in run.tasks], run.run_id, run.clock(), wanted, rows
    )
    run.run_id = target.undoing.run
    process_batches(run)
    fetch(run)
    offers, tasks = [], {}
    for task in run.healthy_tasks():
        with run.isolated(task):
            offer, tasks[task.list_id] = _plan_audience(run, task, target)
            offers.append(offer)
    if not approve(target, offers):
        return target, []
    held = [offer for offer in offers if offer.held and not may_exceed]
    _hold(run, held, target)
    if len(held) < len(offers):
        _begin(run, target)
    for offer in offers:
        if offer not in held:
            with run.isolated(tasks[offer.list_id]):
                _carry_out(run, tasks[offer.list_id], offer)
    if wait_s is not None:
        wait_for_batches(run, wait_s)
        for offer in offers:
            _tell_refused(run, offer)
    waits = any(line.reason == Left.UNDER_WAY for offer in offers for line in offer.left)
    if not waits and not any(report.trouble for report in run.reports.values()):
        with run.store.atomic():  # the very last: whoever is cut off before that is gone on with
            end_undo(run.store, target.undoing.run, run.clock())
    return target, offers


def _plan_audience(run: Run, task: Task, target: Target) -> tuple[Offer, Task]:
    dones = load_dones(run.store, task.list_id, target)
    task = adapt_rules(run, task, with_names=any(d.field.endswith("_name") for d in dones))
    offer, size = Offer(task.list_id, task.name), sum_up(())
    forget_plan(run.store, task.list_id)
    if target.undoing.is_resumed:
        _withdraw(run, task)
    for taken in plan_back(run.store, task.policy, dones, target, run.clock()):
        tell(offer, taken)
        planned = [each.decision for each in taken if each.decision.undone]
        kinds = [measure(decision) for decision in planned]
        size += sum_up(kinds)
        rows = [v.row_id for decision in planned for v in decision.verdicts]
        with run.store.atomic():
            add_to_plan(run.store, task.list_id, zip(planned, kinds, strict=True))
            # What another run has queued for them is decided anew, after this.
            mark_due(run.store, find_queued_rows(run.store, rows, target.undone_run))
        run.progress(task.name, "changes looked at", len(offer.back) + len(offer.left), len(dones))
    offer.held = list(Bounds(run.store, task.policy, task.safety).find_excesses(size).values())
    return offer, task


def _withdraw(run: Run, task: Task) -> None:
    """What an undo has queued and not sent is decided anew: somebody may have spoken since."""
    opened = load_open_updates(run.store, task.list_id, run.run_id)
    row_ids = sorted({update.row_id for update in opened if not update.is_sent})
    with run.store.atomic():
        close_queued(run.store, row_ids, "undo was cut off", run.clock())
        mark_due(run.store, row_ids)


def _hold(run: Run, offers: Iterable[Offer], target: Target) -> None:
    """Refuse what would be too much; nothing of it is written."""
    for offer in offers:
        forget_plan(run.store, offer.list_id)
        offer.back, offer.back_rows = [], []
        run.reports[offer.list_id].held = GuardTripped(
            f"{offer.name}: to undo run {target.undone_run} {'; '.join(offer.held)}; nothing of"
            " that was done",
            hint=f'if this is intended, run "mcsync undo --run {target.undone_run} --list'
            f' {offer.list_id} --force"',
        )


def _begin(run: Run, target: Target) -> None:
    row_ids = None if target.rows is None else _flatten(target.rows)
    with run.store.atomic():
        begin_undo(run.store, target.undoing.run, target.undone_run, row_ids, run.clock())


def _carry_out(run: Run, task: Task, offer: Offer) -> None:
    """Write the plan, send what it has queued, and tell whom Mailchimp would not take."""
    run.newest_update = find_newest_update(run.store)
    carry_out(run, task)
    queued = {u.row_id for u in load_open_updates(run.store, task.list_id, run.run_id)}
    if len(queued) <= FEW:
        send_directly(run, task, sorted(queued))
        _tell_refused(run, offer)
    else:
        submit_batches(run, task, run.run_id)  # another's was perhaps decided before a newer word


def _tell_refused(run: Run, offer: Offer) -> None:
    """What Mailchimp would not do is left: nobody is asked to confirm for undo's sake."""
    refused = load_refused_updates(run.store, offer.list_id, run.run_id)
    lines = list(zip(offer.back, offer.back_rows, strict=True))
    offer.back = [line for line, row_id in lines if row_id not in refused]
    offer.back_rows = [row_id for _, row_id in lines if row_id not in refused]
    for line, row_id in lines:
        if row_id is not None and row_id in refused:
            reasons = {each.reason for each in load_refusals(run.store, row_id)}
            why = Left.CONFIRM if Reason.COMPLIANCE in reasons else Left.REFUSED
            what = (line.side, line.field, line.before, line.after, line.email, line.contact_id)
            offer.left.append(Line(offer.list_id, *what, why.value, LEFT[why]))
