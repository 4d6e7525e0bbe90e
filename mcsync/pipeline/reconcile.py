"""Reconcile: judge every row that is due, then carry the plan out.

createNewContactsFromMailchimp and reconcileQueue. The whole plan of an audience exists before
its first write; what CiviCRM needs is written at once, what Mailchimp needs is queued.
"""

import logging
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mcsync.cache.audience_status import (
    HeldPlan,
    count_todo,
    load_status,
    save_status,
)
from mcsync.cache.bounds import Bounds
from mcsync.cache.contacts import count_unseen
from mcsync.cache.linking import due_chunks, populate_missing_contact_ids
from mcsync.cache.mirror import only_push_smart_groups
from mcsync.cache.outbox import find_newest_update
from mcsync.cache.persons import load_persons_of
from mcsync.cache.plans import find_plan_end, forget_plan
from mcsync.cache.rows import mark_data_due, mark_everyone
from mcsync.cache.times import from_text, to_text
from mcsync.decision import Policy
from mcsync.errors import GuardTripped, UsageError
from mcsync.model import LONG_AGO, MergeField, Side
from mcsync.name_tags import NAME_TAGS
from mcsync.pipeline.ahead import Ahead, Wish, asking_ahead, wish_for
from mcsync.pipeline.batches import read_overdue
from mcsync.pipeline.carry_out import carry_out
from mcsync.pipeline.data_step import (
    check_for_data_updates,
    is_data_due,
    note_data_synced,
)
from mcsync.pipeline.identity import not_fetched
from mcsync.pipeline.judge import make_plan, plan_people
from mcsync.pipeline.run import Run, Task, with_trust
from mcsync.reconcile.guards import Kind, PlanSize, has_grown

log = logging.getLogger("mcsync.reconcile")

_FIELDS, _INTERESTS = "merge fields", "interests"  # questions, each with the list id
HELD_WORDS = "; this is held, everything else was done"


def reconcile(run: Run, trust: Mapping[str, Mapping[str, Side]] | None = None) -> None:
    """Judge and carry out, for each audience; `trust` by list id makes every row be judged."""
    trust = trust or {}
    with asking_ahead(_wish_for_rules(run, trust)) as ahead:
        for task in run.healthy_tasks():
            with run.isolated(task):
                _reconcile_audience(run, task, trust.get(task.list_id, {}), ahead)


def _wish_for_rules(run: Run, trusted: Container[str]) -> Iterator[Wish[Any]]:
    """What will surely be asked of Mailchimp about audiences before people are judged."""
    for task in run.healthy_tasks():
        list_id, mailchimp = task.list_id, task.mailchimp
        if not load_status(run.store, list_id).is_fetched:
            continue
        wanted: dict[Hashable, Callable[[], Any]] = {}
        if is_data_due(run, task):
            wanted[_FIELDS, list_id] = partial(mailchimp.fetch_merge_fields, list_id)
        if task.policy.interests and (list_id in trusted or _is_anything_due(run, task)):
            wanted[_INTERESTS, list_id] = partial(mailchimp.fetch_interests, list_id)
        for question, ask in wanted.items():
            if question not in run.answers:
                yield wish_for(question, task.key_print, ask)


def _is_anything_due(run: Run, task: Task) -> bool:
    """Whether somebody is to be judged."""
    return bool(
        count_todo(run.store, task.list_id) or count_unseen(run.store, task.policy.group_id)
    )


def _reconcile_audience(run: Run, task: Task, trust: Mapping[str, Side], ahead: Ahead[Any]) -> None:
    status = load_status(run.store, task.list_id)
    if not status.is_fetched:
        raise not_fetched(task)
    if trust:
        # Words that were said while we fetched are newer than what is trusted.
        task = with_trust(
            task, trust, from_text(status.served_at) if status.served_at else LONG_AGO
        )
        mark_everyone(run.store, task.list_id)
    _note_stopped(run, task)
    with_data = is_data_due(run, task)
    merge_fields = merge_fields_of(run, task, ahead) if with_data else ()
    if with_data:
        mark_data_due(run.store, task.list_id)
        check_for_data_updates(run, task, merge_fields)
    run.report(task).todo = count_todo(run.store, task.list_id)
    forget_plan(run.store, task.list_id)
    held: frozenset[Kind] = frozenset()
    if _is_anything_due(run, task):
        task = _adapt_rules(run, task, merge_fields if with_data else None, ahead)
        read_overdue(run, task)
        run.newest_update = find_newest_update(run.store)
        size = make_plan(run, task)
        held = _guard(run, task, size)
        _carry_out(run, task, held)
    else:
        _note_held(run, task, {}, {})
    if with_data:
        note_data_synced(run, task)


def _carry_out(run: Run, task: Task, held: frozenset[Kind]) -> None:
    """Write the plan; people who were entered in CiviCRM meanwhile are judged once more."""
    again = carry_out(run, task, held=held)
    if not again:
        return
    begin = find_plan_end(run.store)  # ids of what was carried out are given again
    for chunk in due_chunks(run.store, task.list_id):
        with run.store.atomic():
            found = populate_missing_contact_ids(run.store, task.policy, chunk)
        run.report(task).contacts_matched += found
    people = load_persons_of(run.store, task.policy, again, run.clock())
    plan_people(run, task, [p for p in people if p.contact is not None])
    carry_out(run, task, begin, held=held)


def adapt_rules(run: Run, task: Task, *, with_names: bool | None = None) -> Task:
    """The audience with its rules as the two services are now; names, too, or as the run has it."""
    with_names = run.with_data if with_names is None else with_names
    return _adapt_rules(run, task, merge_fields_of(run, task) if with_names else None)


def merge_fields_of(
    run: Run, task: Task, ahead: Ahead[Any] | None = None
) -> tuple[MergeField, ...]:
    """All merge fields of the audience; asked once in a run."""
    question = (_FIELDS, task.list_id)
    fetch = partial(task.mailchimp.fetch_merge_fields, task.list_id)
    return run.ask_once(question, lambda: ahead.answer(question, fetch) if ahead else fetch())


def _interests_of(run: Run, task: Task, ahead: Ahead[Any] | None) -> Mapping[str, str]:
    """All interests of the audience, with their names; asked once in a run."""
    question = (_INTERESTS, task.list_id)
    fetch = partial(task.mailchimp.fetch_interests, task.list_id)
    return run.ask_once(question, lambda: ahead.answer(question, fetch) if ahead else fetch())


def _adapt_rules(
    run: Run,
    task: Task,
    merge_fields: Sequence[MergeField] | None,
    ahead: Ahead[Any] | None = None,
) -> Task:
    """`merge_fields` are the audience's when names are synced, else None."""
    policy = _leave_out_unknown_interests(run, task, ahead)
    policy = only_push_smart_groups(run.store, policy)
    if merge_fields is not None:
        tags = frozenset(field.tag for field in merge_fields)
        policy = replace(policy, syncs_names=True, name_tags=NAME_TAGS & tags)
    return replace(task, policy=policy)


def _leave_out_unknown_interests(run: Run, task: Task, ahead: Ahead[Any] | None) -> Policy:
    """The rules without interests that are gone at Mailchimp: they are skipped for everybody.

    And without those that are left alone in this run.
    """
    policy = task.policy
    if not policy.interests:
        return policy
    known = _interests_of(run, task, ahead)
    gone = sorted(set(policy.interests) - set(known))
    status = load_status(run.store, task.list_id)
    names = {key: known[key] for key in policy.interests if key in known}
    names = status.interest_names | names
    if (status.gone_interests, status.interest_names) != (gone, names):
        is_back = bool(set(status.gone_interests) - set(gone))
        status.gone_interests, status.interest_names = gone, names
        with run.store.atomic():
            save_status(run.store, task.list_id, status)
            if is_back:
                mark_everyone(run.store, task.list_id)
    left_out = {*gone, *run.stopped_interests.get(task.list_id, ())}
    kept = {key: value for key, value in policy.interests.items() if key not in left_out}
    return replace(policy, interests=kept)


def _note_stopped(run: Run, task: Task) -> None:
    """Remember which interests are left alone, and judge everybody when they no longer are."""
    stopped = run.stopped_interests.get(task.list_id, {})
    status = load_status(run.store, task.list_id)
    before = set(status.stopped_interests)
    if before == set(stopped):
        return
    status.stopped_interests = sorted(stopped)
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
        if before - set(stopped):
            mark_everyone(run.store, task.list_id)


# --- guards ---------------------------------------------------------------------------------------


def _guard(run: Run, task: Task, size: PlanSize) -> frozenset[Kind]:
    """Hold what is more than allowed; a held plan is kept with the audience's status.

    Returns the kinds that are held; all else goes ahead.
    """
    store, policy = run.store, task.policy
    status = load_status(store, task.list_id)
    # What was done person by person since the last plan is part of what comes together here.
    size = size + PlanSize({kind: status.done_alone.get(kind.value, 0) for kind in size})
    size[Kind.UNSEEN] = count_unseen(store, policy.group_id)
    excesses = Bounds(store, policy, task.safety).find_excesses(size)
    if run.is_dry_run:
        run.report(task).would_be_held = "; ".join(excesses.values()) or None
        return frozenset()
    sizes = {kind.value: size[kind] for kind in excesses}
    if run.is_forced and _was_told(run, status.held_plan, sizes):
        excesses = {}
    _note_held(run, task, excesses, sizes)
    return frozenset(excesses)


def refuse_blunt_force(run: Run) -> None:
    """Refuse to force all of several audiences at once, where nobody said which is meant.

    Raises: UsageError, before anything is done.
    """
    plans = [(task, load_status(run.store, task.list_id).held_plan) for task in run.tasks]
    found = [(task.list_id, f"{task.name}: {plan.why}") for task, plan in plans if plan]
    if len(found) > 1:
        raise UsageError(
            f"--force: {len(found)} audiences are held",
            hint="look at each, then add --list with the one you mean",
            problems=tuple(found),
        )


def _was_told(run: Run, held: HeldPlan | None, sizes: Mapping[str, int]) -> bool:
    """Whether what is to be forced is what somebody was told of: that, and hardly more.

    Of an audience that was named alone everything is meant.
    """
    if held is None:
        return len(run.tasks) == 1
    return not has_grown(sizes, held.told or held.sizes)


def _note_held(
    run: Run, task: Task, excesses: Mapping[Kind, str], sizes: Mapping[str, int]
) -> None:
    """Remember what is held, and since when; the rules have been followed once nothing is."""
    status = load_status(run.store, task.list_id)
    before, status.held_plan = status.held_plan, None
    if excesses:
        why = "; ".join(excesses.values())
        since, told = (before.since, before.told) if before else (to_text(run.clock()), {})
        status.held_plan = HeldPlan(why, since, dict(sizes), told)
        run.report(task).held = GuardTripped(
            f"{task.name}: {why}{HELD_WORDS}",
            hint=f'if this is intended, run "mcsync sync --list {task.list_id} --force" once;'
            " otherwise correct it in CiviCRM or at Mailchimp",
        )
    else:
        status.is_strict = False
        status.done_alone = {}  # it was looked at together with this plan, and is not too much
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
