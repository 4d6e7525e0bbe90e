"""Some people at once, by direct calls and with the rules of every run.

For `sync-contact` and for what webhooks tell. Needs an audience that was fetched completely
before: who somebody is, and what was said before, is known from there.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from mcsync.cache.audiences import load_status
from mcsync.cache.members import merge_members, move_member
from mcsync.cache.mirror import load_mirror_state
from mcsync.cache.outbox import claim_direct, get_cache_uid, make_operation_id, note_processed
from mcsync.cache.people import load_persons_of
from mcsync.cache.plans import find_plan_end
from mcsync.cache.rows import find_rows, load_member_row, load_unique_contacts, lose_member
from mcsync.cache.times import to_text
from mcsync.model import Decision, Member, Operation, email_key
from mcsync.pipeline.carry_out import carry_out
from mcsync.pipeline.fetch import make_observer
from mcsync.pipeline.reconcile import adapt_rules, plan_people
from mcsync.pipeline.results import apply_outcome
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.observe import observe_vanished

log = logging.getLogger("mcsync")

_ROUNDS = 2  # subscribing, and asking to confirm where that was refused


def is_known(run: Run, task: Task) -> bool:
    """Whether all that the rules ask of an audience was fetched and mirrored before."""
    status = load_status(run.store, task.list_id)
    mirrored = load_mirror_state(run.store).group_ids
    has_interests = set(task.policy.interests) <= set(status.interest_ids)
    return status.is_fetched and has_interests and set(task.group_ids) <= set(mirrored)


def take_in_members(
    run: Run, task: Task, addresses: Sequence[str], moves: Iterable[tuple[str, str]] = ()
) -> None:
    """These members as Mailchimp has them now; those that are gone are out.

    Somebody who is no longer where we know them may have moved: they are asked for by
    Mailchimp's own id of them before they are given up. `moves` are (old address, new address)
    as a webhook told, which is believed where the old member is gone and the new one there.
    """
    found = {
        email_key(address): member
        for address, member in task.mailchimp.fetch_each(task.list_id, addresses).items()
    }
    if None in found.values():
        # A list that is not to be seen answers just as one that has no such member.
        task.mailchimp.fetch_audience(task.list_id)
    moved = _fetch_moved(run, task, found)
    for old, new in moves:
        if found.get(email_key(old)) is None and found.get(email_key(new)) is not None:
            move_member(run.store, task.list_id, old, new)
    there = [member for member in (*moved, *found.values()) if member is not None]
    count = merge_members(run.store, task.list_id, there, make_observer(task.policy), 0)
    run.report(task).members_fetched += count.fetched
    run.report(task).members_changed += count.changed
    for address, member in found.items():
        if member is None:
            _lose(run, task, address)


def _fetch_moved(run: Run, task: Task, found: Mapping[str, Member | None]) -> list[Member]:
    """Members of ours who have another address now, where theirs is gone or somebody else's."""
    known = load_unique_contacts(run.store, task.list_id, list(found))
    strays = [
        unique_contact
        for key, unique_contact in known.items()
        if (member := found[key]) is None or member.unique_contact not in ("", unique_contact)
    ]
    there = task.mailchimp.fetch_each_contact(task.list_id, strays)
    for key, unique_contact in known.items():
        if unique_contact in there and there[unique_contact] is None:
            _lose(run, task, key)
    return [member for member in there.values() if member is not None]


def _lose(run: Run, task: Task, address: str) -> None:
    row = load_member_row(run.store, task.list_id, address)
    if row is None:
        return
    row_id, data = row
    with run.store.atomic():
        lose_member(run.store, row_id, observe_vanished(data, to_text(run.clock())))


def settle(
    run: Run,
    task: Task,
    addresses: Sequence[str],
    contact_id: int | None = None,
    may_do: Callable[[Decision], bool] | None = None,
) -> None:
    """Judge the persons with these addresses, or with this contact, and do what is needed.

    What `may_do` refuses is left to the next sync. A plan that a guard holds stays as it is.
    """
    task = adapt_rules(run, task)
    for _ in range(_ROUNDS):
        row_ids = find_rows(run.store, task.list_id, addresses, contact_id)
        chunk = load_persons_of(run.store, task.policy, row_ids)
        if chunk.waiting:
            log.info("%s: an earlier change of this person is still under way", task.name)
        begin = find_plan_end(run.store)
        plan_people(run, task, chunk.people, may_do, has_asked_plugins=False)
        carry_out(run, task, begin)
        judged = {row.row_id for person in chunk.people for row in person.rows}
        judged |= set(find_rows(run.store, task.list_id, addresses, contact_id))
        if not _send(run, task, sorted(judged - set(chunk.waiting))):
            return


def _send(run: Run, task: Task, row_ids: Sequence[int]) -> bool:
    """Send what is queued for these rows by direct calls; False when nothing was.

    Claimed like a batch, so that after a crash the members are read to find out what was done.
    """
    with run.store.atomic():
        uid = get_cache_uid(run.store)
    claimed = claim_direct(run.store, task.list_id, task.account, row_ids, run.clock())
    if claimed is None:
        return False
    batch, updates = claimed
    for update in updates:
        operation = Operation(make_operation_id(uid, update.update_id), task.list_id, update.change)
        outcome = task.mailchimp.change_member(operation)
        with run.store.atomic():
            apply_outcome(run, task, update, outcome)
        run.report(task).operations_submitted += 1
    note_processed(run.store, batch.row_id)
    return True
