"""Reconcile: judge every row that is to do, then carry the plan out.

createNewContactsFromMailchimp and reconcileQueue. The whole plan of an audience exists before
its first write; what CiviCRM needs is written at once, what Mailchimp needs is queued.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mcsync.cache.alike import Shape, load_alike, mark_alike
from mcsync.cache.audiences import (
    count_subscribed,
    count_todo,
    load_status,
    mark_data_due,
    mark_everyone,
    mark_rows,
    note_data_done,
    save_status,
)
from mcsync.cache.mirror import count_places, load_mirror_state
from mcsync.cache.people import load_people, load_persons_of
from mcsync.cache.plans import add_to_plan, forget_plan
from mcsync.cache.times import to_text
from mcsync.errors import GuardTripped, PartialFailure
from mcsync.model import (
    Decision,
    MergeField,
    Person,
    Policy,
    RowVerdict,
    Side,
    SyncStatus,
)
from mcsync.pipeline.carry_out import carry_out, close_overtaken
from mcsync.pipeline.data import (
    add_data,
    check_for_data_updates,
    is_data_due,
    note_data_synced,
)
from mcsync.pipeline.run import Run, Task, with_trust
from mcsync.reconcile.enforce import decide
from mcsync.reconcile.guards import PlanSize, find_excesses, measure
from mcsync.reconcile.names import NAME_TAGS

log = logging.getLogger("mcsync.reconcile")


def reconcile(run: Run, trust: Mapping[str, Mapping[str, Side]] | None = None) -> None:
    """Judge and carry out, for each audience; `trust` by list id makes every row be judged."""
    for task in run.healthy_tasks():
        with run.isolated(task):
            _reconcile_audience(run, with_trust(task, (trust or {}).get(task.list_id, {})))


def _reconcile_audience(run: Run, task: Task) -> None:
    if not load_status(run.store, task.list_id).is_fetched:
        raise PartialFailure(
            f"{task.name} has no complete fetch to judge by", hint='run "mcsync fetch" first'
        )
    if task.policy.trust:
        mark_everyone(run.store, task.list_id)
    with_data = is_data_due(run, task)
    merge_fields = task.mailchimp.fetch_merge_fields(task.list_id) if with_data else ()
    if with_data:
        mark_data_due(run.store, task.list_id)
        check_for_data_updates(run, task, merge_fields)
    run.report(task).todo = count_todo(run.store, task.list_id)
    forget_plan(run.store, task.list_id)
    if run.report(task).todo:
        task = _adapt_rules(run, task, merge_fields if with_data else None)
        size = _make_plan(run, task)
        _guard(run, task, size)
        carry_out(run, task)
    if with_data:
        note_data_synced(run, task)


def adapt_rules(run: Run, task: Task) -> Task:
    """The audience with its rules as the two services are now."""
    fields = task.mailchimp.fetch_merge_fields(task.list_id) if run.with_data else None
    return _adapt_rules(run, task, fields)


def _adapt_rules(run: Run, task: Task, merge_fields: Sequence[MergeField] | None) -> Task:
    """`merge_fields` are the audience's when names are synced, else None."""
    policy = _leave_out_unknown_interests(task)
    policy = _only_push_smart_groups(run, policy)
    if merge_fields is not None:
        tags = frozenset(field.tag for field in merge_fields)
        policy = replace(policy, syncs_names=True, name_tags=tags & frozenset(NAME_TAGS))
    return replace(task, policy=policy)


def _leave_out_unknown_interests(task: Task) -> Policy:
    """The rules without interests that are gone at Mailchimp: they are skipped for everybody."""
    policy = task.policy
    if not policy.interests:
        return policy
    known = task.mailchimp.fetch_interests(task.list_id)
    gone = sorted(set(policy.interests) - set(known))
    for interest_id in gone:
        log.warning(
            "%s: Mailchimp has no interest %s; it is skipped. Take it out of the config",
            task.name,
            interest_id,
        )
    kept = {key: value for key, value in policy.interests.items() if key not in gone}
    return replace(policy, interests=kept)


def _only_push_smart_groups(run: Run, policy: Policy) -> Policy:
    """The rules with every smart group push-only: nobody can be added to a computed group."""
    smart = set(load_mirror_state(run.store).smart_group_ids)
    interests = {
        interest_id: replace(interest, is_push_only=True)
        if interest.group_id in smart
        else interest
        for interest_id, interest in policy.interests.items()
    }
    return replace(policy, interests=interests)


def _make_plan(run: Run, task: Task) -> PlanSize:
    """Judge all that is to do: rows that are right are marked, the rest becomes the plan."""
    size, judged = PlanSize(), _judge_alike(run, task)
    for chunk in load_people(run.store, task.policy):
        size = size.plus(plan_people(run, task, chunk.people))
        judged += len(chunk.people)
        run.report(task).postponed += len(chunk.waiting)
        run.progress(task.name, "people judged", judged)
    return size


def _judge_alike(run: Run, task: Task) -> int:
    """Judge people of one shape by one of them, where nothing is to be written for them.

    Returns how many were judged; everybody else is still to do.
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
                    mark_alike(run.store, alike.row_ids, verdict, with_data=policy.syncs_names)
                    judged += len(alike.row_ids)
        run.progress(task.name, "people judged", judged)
    return judged


def _judge_one(run: Run, policy: Policy, row_id: int) -> RowVerdict | None:
    """The verdict about a row's person, if it is one of one row for whom nothing is written."""
    people = load_persons_of(run.store, policy, [row_id]).people
    if len(people) != 1:
        return None
    decision = decide(people[0], policy)
    return decision.verdicts[0] if decision.is_empty and len(decision.verdicts) == 1 else None


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
    refused = [d for d in decisions if may_do is not None and not may_do(d)]
    decisions = [d for d in decisions if d not in refused]
    wanting = [decision for decision in decisions if not decision.is_empty]
    with run.store.atomic():
        if task.policy.syncs_names and (has_asked_plugins or run.plugins is None):
            note_data_done(run.store, [v for d in decisions for v in d.verdicts])
        postponed = [_postpone(v) for d in refused for v in d.verdicts]
        mark_rows(run.store, postponed)
        close_overtaken(run, postponed)
        right = [v for d in decisions if d.is_empty for v in d.verdicts]
        mark_rows(run.store, right)
        close_overtaken(run, right)
        add_to_plan(run.store, task.list_id, wanting)
    size = PlanSize()
    for decision in wanting:
        size = size.plus(measure(decision))
    return size


def _postpone(verdict: RowVerdict) -> RowVerdict:
    return replace(verdict, sync_status=SyncStatus.TODO)


def _guard(run: Run, task: Task, size: PlanSize) -> None:
    """Hold a plan that is larger than allowed; a held plan is kept with the audience's status."""
    store, policy = run.store, task.policy
    places = count_places(store, [policy.group_id])
    in_group = places.get((policy.group_id, "Added"), 0)
    subscribed = 0 if size.is_never_held else count_subscribed(store, task.list_id)
    excesses = list(find_excesses(size, task.ceilings, subscribed, in_group))
    if run.is_dry_run:
        run.report(task).would_be_held = "; ".join(excesses) or None
        return
    status = load_status(store, task.list_id)
    reported = status.held_plan.get("why")
    status.held_plan = {}
    if excesses and not run.is_forced:
        status.held_plan = {"why": "; ".join(excesses), "since": to_text(run.clock())}
    with store.atomic():
        save_status(store, task.list_id, status)
    if status.held_plan:
        error = GuardTripped(
            f"{task.name}: {'; '.join(excesses)}; nothing was written",
            hint='if this is meant, run "mcsync sync --force" once; else put it right in CiviCRM'
            " or at Mailchimp",
        )
        error.is_news = status.held_plan["why"] != reported
        raise error
