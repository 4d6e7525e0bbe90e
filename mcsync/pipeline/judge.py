"""The judge: what is right for each person in the queue becomes a plan, or a mark.

Only here are rows taken out of the queue.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from mcsync.cache.mirror import only_push_smart_groups
from mcsync.cache.outbox import close_queued
from mcsync.cache.persons import load_people, load_persons_of
from mcsync.cache.plain_people import Shape, load_alike
from mcsync.cache.plans import add_to_plan
from mcsync.cache.row_facts import load_data_due
from mcsync.cache.rows import (
    forget_refused_data,
    mark_data_wanted,
    mark_judged,
    mark_plain,
    note_agreed,
    note_data_done,
)
from mcsync.decision import Decision, Person, Policy, RowVerdict, SyncStatus
from mcsync.pipeline.data_step import add_data
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.enforce import decide, decide_all
from mcsync.reconcile.guards import PlanSize, measure, sum_up
from mcsync.reconcile.refused_before import (
    find_prints,
    find_refused_data,
    keep_refused,
    leave_out_refused,
)

log = logging.getLogger("mcsync.reconcile")


def make_plan(run: Run, task: Task) -> PlanSize:
    """Judge all that is due: rows that are right are marked, the rest becomes the plan."""
    kinds: PlanSize = sum_up(())
    judged = _judge_plain(run, task)
    for people in load_people(run.store, task.policy, run.clock()):
        kinds += plan_people(run, task, people)
        judged += len(people)
        run.report(task).postponed += sum(person.is_under_way for person in people)
        run.progress(task.name, "people checked", judged, run.report(task).todo)
    return kinds


def _judge_plain(run: Run, task: Task) -> int:
    """Judge people of one shape by one of them, where nothing is to be written for them.

    Returns how many were judged; everybody else is still due.
    """
    policy, judged = task.policy, 0
    asks_plugins = policy.syncs_names and run.plugins is not None
    verdicts: dict[Shape, RowVerdict | None] = {}
    for chunk in load_alike(run.store, policy, asks_plugins=asks_plugins):
        for alike in chunk:
            if alike.shape not in verdicts:
                verdicts[alike.shape] = _judge_one(run, policy, alike.row_ids[0])
        with run.store.atomic():
            for alike in chunk:
                verdict = verdicts[alike.shape]
                if verdict is not None:
                    with_data = policy.syncs_names
                    mark_plain(run.store, alike.row_ids, alike.due, verdict, with_data=with_data)
                    judged += len(alike.row_ids)
        run.progress(task.name, "people checked", judged, run.report(task).todo)
    return judged


def _judge_one(run: Run, policy: Policy, row_id: int) -> RowVerdict | None:
    """The verdict about a row's person, if it is one of one row for whom nothing is written."""
    people = load_persons_of(run.store, policy, [row_id], run.clock())
    if len(people) != 1:
        return None
    decision = decide(people[0], policy)
    is_quiet = decision.is_empty and not decision.agreements and len(decision.verdicts) == 1
    is_settled = is_quiet and decision.verdicts[0].sync_status is not SyncStatus.TODO
    return decision.verdicts[0] if is_settled else None


def plan_people(
    run: Run,
    task: Task,
    people: Sequence[Person],
    may_do: Callable[[Decision], bool] | None = None,
    *,
    has_asked_plugins: bool = True,
) -> PlanSize:
    """Judge some people, in one transaction; returns the size of what they add to the plan.

    What `may_do` refuses is not planned: it waits for the next sync, and so does what plugins
    want, where they were not asked. What was queued before an earlier decision is overtaken.
    """
    decisions = [decide(person, task.policy) for person in people]
    if task.policy.syncs_names and run.plugins is not None:
        decisions = add_data(run, people, decisions)
        decisions = [leave_out_refused(d, p) for d, p in zip(decisions, people, strict=True)]
    has_data = task.policy.syncs_names and (has_asked_plugins or run.plugins is None)
    if has_data:
        _forget_unwished(run, task, people)
    else:
        decisions = _keep_refused_data(run, people, decisions)
    kinds = [measure(d, p) for d, p in zip(decisions, people, strict=True)]
    judged = list(zip(people, decisions, kinds, strict=True))
    allowed = [may_do is None or may_do(decision) for decision in decisions]  # each asked once
    refused = [d for d, is_allowed in zip(decisions, allowed, strict=True) if not is_allowed]
    planned = [each for each, is_allowed in zip(judged, allowed, strict=True) if is_allowed]
    right = [(p, d) for p, d, _ in planned if d.is_empty]
    wanting = [(p, d, k) for p, d, k in planned if not d.is_empty]
    with run.store.atomic():
        if has_data:
            note_data_done(run.store, [v for _, d, _ in planned for v in d.verdicts])
        postponed = [replace(v, sync_status=SyncStatus.TODO) for d in refused for v in d.verdicts]
        close_overtaken(run, postponed)
        mark_judged(run.store, postponed)
        _note_right(run, right)
        add_to_plan(run.store, task.list_id, ((d, k) for _, d, k in wanting))
    return sum_up(k for _, _, k in wanting)


def _keep_refused_data(
    run: Run, people: Sequence[Person], decisions: Sequence[Decision]
) -> list[Decision]:
    """Whose data were refused is told so until data are judged again, which is done soon."""
    refused = [find_refused_data(person) for person in people]
    with run.store.atomic():
        mark_data_wanted(run.store, sorted(set().union(*refused)))
    if not run.with_data:
        return list(decisions)
    return [keep_refused(d, rows) for d, rows in zip(decisions, refused, strict=True)]


def _forget_unwished(run: Run, task: Task, people: Sequence[Person]) -> None:
    """What nobody wishes any more is not refused any more, either."""
    refused = [p for p in people if find_refused_data(p) and not p.is_under_way]
    if not refused:
        return
    wishes = [decide_all(person, task.policy) for person in refused]
    if run.plugins is not None:
        wishes = add_data(run, refused, wishes)
    with run.store.atomic():
        for person, wish in zip(refused, wishes, strict=True):
            for row_id in find_refused_data(person):
                planned = wish.find_change(row_id)
                wished = find_prints(planned.change, planned.tags) if planned is not None else {}
                forget_refused_data(run.store, row_id, wished)


def _note_right(run: Run, right: Iterable[tuple[Person, Decision]]) -> None:
    """Mark people for whom nothing is to be written; call inside a transaction."""
    right = list(right)
    verdicts = [v for _, d in right for v in d.verdicts]
    close_overtaken(run, verdicts)
    mark_judged(run.store, verdicts)
    note_agreed(run.store, (([r.row_id for r in p.rows], d.agreements) for p, d in right))


def close_overtaken(run: Run, verdicts: Iterable[RowVerdict]) -> None:
    """Close what was queued before for these rows and is decided anew; inside a transaction."""
    row_ids = [verdict.row_id for verdict in verdicts]
    why = "superseded by a newer decision"
    close_queued(run.store, row_ids, why, run.clock(), run.newest_update)


def judge_quietly(run: Run, task: Task, row_ids: Sequence[int]) -> None:
    """Judge these people, whose results have just come in, where nothing is to be written.

    Everybody else stays in the queue: what is written is decided by a fetch. So do the rows by
    which somebody is in it who shares them.
    """
    if not row_ids:
        return
    policy = only_push_smart_groups(run.store, task.policy)
    people = load_persons_of(run.store, policy, row_ids, run.clock())
    judged = [(person, decide(person, policy)) for person in people]
    needed = {row.row_id for p, d in judged if _is_open(d) for row in p.shared}
    if run.with_data:  # of which nothing is known here
        needed |= load_data_due(run.store, row_ids)
        needed |= {row.row_id for p, _ in judged for row in p.rows if row.refusals}
    with run.store.atomic():
        _note_right(run, [(p, d) for p, d in judged if d.is_empty and _may_leave(p, needed)])


def _is_open(decision: Decision) -> bool:
    """Whether something is to be written, now or later."""
    waits = any(verdict.sync_status is SyncStatus.TODO for verdict in decision.verdicts)
    return waits or not decision.is_empty


def _may_leave(person: Person, needed: set[int]) -> bool:
    """Whether a person is in the queue, and nobody else is in it by their rows."""
    return any(row.due for row in person.rows) and not needed & {r.row_id for r in person.rows}
