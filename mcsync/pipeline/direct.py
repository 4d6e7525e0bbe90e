"""Some people at once, by direct calls and with the rules of every run.

For `sync-contact` and for what webhooks tell. Needs an audience that was fetched completely
before: who somebody is, and what was said before, is known from there.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from mcsync.cache.audience_status import load_status
from mcsync.cache.looks import Reader, move_member, take_look, take_page
from mcsync.cache.mirror import load_mirror_state
from mcsync.cache.outbox import (
    QueuedUpdate,
    claim,
    find_newest_update,
    get_cache_uid,
    make_operation_id,
    note_processed,
)
from mcsync.cache.persons import load_persons_of
from mcsync.cache.plans import find_plan_end
from mcsync.cache.row_facts import KnownMember, find_rows, load_known_members
from mcsync.decision import Decision
from mcsync.model import Member, Operation, Refusal, email_key
from mcsync.pipeline.carry_out import carry_out
from mcsync.pipeline.judge import plan_people
from mcsync.pipeline.reconcile import adapt_rules
from mcsync.pipeline.results import apply_outcome, settle_by_reading, warn_of_refused_data
from mcsync.pipeline.run import Run, Task

log = logging.getLogger("mcsync")

_ROUNDS = 3  # subscribing, another address where that was refused, and asking to confirm


def is_known(run: Run, task: Task) -> bool:
    """Whether all that the rules ask of an audience was fetched and mirrored before."""
    status = load_status(run.store, task.list_id)
    has_interests = set(task.policy.interests) <= set(status.interest_ids)
    is_mirrored = load_mirror_state(run.store).has_compared(task.group_ids)
    return status.is_fetched and has_interests and is_mirrored


def find_able(run: Run) -> list[Task]:
    """The audiences whose people can be judged one by one, and that no trouble has stopped."""
    return [task for task in run.healthy_tasks() if is_known(run, task)]


def take_in_members(
    run: Run, task: Task, addresses: Sequence[str], moves: Iterable[tuple[str, str]] = ()
) -> None:
    """These members as Mailchimp has them now; those that are gone are out.

    Whom we know is asked for by the id that Mailchimp gave. Somebody who is no longer where we
    know them may have moved: they are asked for by Mailchimp's contact id before they are given
    up. `moves` are (old address, new address) as a webhook told, which is believed where the old
    member is gone and the new one there.
    """
    known = load_known_members(run.store, task.list_id, addresses)
    asked = {email_key(address): address for address in addresses}
    asked |= {key: member.member_id for key, member in known.items() if key in asked}
    answers = task.mailchimp.fetch_each(task.list_id, list(asked.values()))
    found = {key: answers[whom] for key, whom in asked.items()}
    if None in found.values():
        # A list that is not to be seen answers just as one that has no such member.
        task.mailchimp.fetch_audience(task.list_id)
    moved, gone = _find_moved(task, known, found)
    for old, new in moves:
        if found.get(email_key(old)) is None and found.get(email_key(new)) is not None:
            move_member(run.store, task.list_id, old, new)
            gone.discard(known[email_key(old)].row_id if email_key(old) in known else 0)
    there = [member for member in (*moved, *found.values()) if member is not None]
    fetch_no = load_status(run.store, task.list_id).fetch_no
    reader, now = Reader(task.policy.interests), task.mailchimp.fetch_now()
    count = take_page(run.store, task.list_id, there, reader, fetch_no)
    run.report(task).members_fetched += count.fetched
    run.report(task).members_changed += count.changed
    contacts = {member.unique_contact for member in moved}
    moved_rows = {member.row_id for member in known.values() if member.unique_contact in contacts}
    with run.store.atomic():
        for row_id in sorted(gone - moved_rows):
            take_look(run.store, row_id, None, reader, now)


def _find_moved(
    task: Task,
    known: Mapping[str, KnownMember],
    found: Mapping[str, Member | None],
) -> tuple[list[Member], set[int]]:
    """Members of ours who have another address now, and the rows of those who are nowhere."""
    strays = {
        ours.unique_contact: ours.row_id
        for key, ours in known.items()
        if ours.unique_contact
        and ((m := found[key]) is None or m.unique_contact not in ("", ours.unique_contact))
    }
    there = task.mailchimp.fetch_each_contact(task.list_id, list(strays))
    gone = {m.row_id for key, m in known.items() if not m.unique_contact and not found[key]}
    gone |= {row_id for contact, row_id in strays.items() if there[contact] is None}
    return [member for member in there.values() if member is not None], gone


def settle(
    run: Run,
    task: Task,
    addresses: Sequence[str],
    contact_ids: Sequence[int] = (),
    may_do: Callable[[Decision], bool] | None = None,
) -> None:
    """Judge the persons with these addresses, or these contacts, and do what is needed.

    What `may_do` refuses is left to the next sync. A plan that a guard holds stays as it is.
    """
    task = adapt_rules(run, task)
    for _ in range(_ROUNDS):
        row_ids = find_rows(run.store, task.list_id, addresses, contact_ids)
        people = load_persons_of(run.store, task.policy, row_ids, run.clock(), contact_ids)
        if any(person.is_under_way for person in people):
            log.info("%s: an earlier change for this person is still under way", task.name)
        begin = find_plan_end(run.store)
        run.newest_update = find_newest_update(run.store)
        plan_people(run, task, people, may_do, has_asked_plugins=False)
        carry_out(run, task, begin)
        judged = {row.row_id for p in people for row in (*p.rows, *p.shared)}
        judged |= set(find_rows(run.store, task.list_id, addresses, contact_ids))
        is_over = not send_directly(run, task, sorted(judged))
        warn_of_refused_data(run, task)
        if is_over:
            return


def send_directly(run: Run, task: Task, row_ids: Sequence[int]) -> bool:
    """Send what is queued for these rows by direct calls; False when nothing was.

    Claimed like a batch, so that after a crash the members are read to find out what was done.
    """
    with run.store.atomic():
        uid = get_cache_uid(run.store)
    claimed_at = task.mailchimp.fetch_now()
    claimed = claim(run.store, task.list_id, task.account, run.clock(), claimed_at, direct=row_ids)
    if claimed is None:
        return False
    batch, updates = claimed
    for update in updates:
        _send_one(run, task, update, make_operation_id(uid, update.update_id))
        run.report(task).count_sent([update.change])
    note_processed(run.store, batch.row_id)
    return True


def _send_one(run: Run, task: Task, update: QueuedUpdate, operation_id: str) -> None:
    outcome = task.mailchimp.change_member(Operation(operation_id, task.list_id, update.change))
    if outcome.refusal is Refusal.NOT_FOUND:  # whether somebody is gone tells only a look
        settle_by_reading(run, task, update, task.mailchimp.fetch_now())
        return
    with run.store.atomic():
        apply_outcome(run, task, update, outcome)
