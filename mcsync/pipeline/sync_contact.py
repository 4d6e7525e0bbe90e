"""One person at once: fetch, find, judge and write by direct calls, with the rules of every run.

Needs an audience that was fetched completely before: who somebody is, and what was said
before, is known from there.
"""

import logging
from collections.abc import Sequence

from mcsync.cache.audiences import load_status
from mcsync.cache.linking import load_unknown_contacts
from mcsync.cache.members import merge_members
from mcsync.cache.outbox import (
    claim_direct,
    get_cache_uid,
    make_operation_id,
    note_processed,
)
from mcsync.cache.people import load_persons_of
from mcsync.cache.plans import forget_plan
from mcsync.cache.rows import find_addresses, find_rows, load_member_row, lose_member
from mcsync.cache.times import to_text
from mcsync.errors import PartialFailure, UsageError
from mcsync.model import Operation
from mcsync.pipeline.carry_out import carry_out
from mcsync.pipeline.fetch import link, make_observer
from mcsync.pipeline.mirror import look_up_owners, read_site, take_contacts, take_in_civicrm
from mcsync.pipeline.reconcile import adapt_rules, plan_people
from mcsync.pipeline.results import apply_outcome
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.observe import observe_vanished

log = logging.getLogger("mcsync")

_ROUNDS = 2  # subscribing, and asking to confirm where that was refused


def sync_contact(run: Run, *, email: str | None = None, contact_id: int | None = None) -> None:
    """Bring one person into agreement in every audience, told by address or by contact id."""
    for task in run.tasks:
        with run.isolated(task):
            _require_fetch(run, task)
    site = read_site(run)
    take_in_civicrm(run, site, None, is_whole=False)
    if contact_id is not None:
        _take_in_contact(run, contact_id)
    statuses = {}
    for task in run.healthy_tasks():
        with run.isolated(task):
            for address in _addresses(run, task, email, contact_id):
                _take_in_member(run, task, address)
            look_up_owners(run, task)
            statuses[task.list_id] = load_status(run.store, task.list_id)
    link(run, statuses)
    for task in run.healthy_tasks():
        with run.isolated(task):
            _settle(run, task, _addresses(run, task, email, contact_id), contact_id)


def _require_fetch(run: Run, task: Task) -> None:
    if not load_status(run.store, task.list_id).is_fetched:
        raise PartialFailure(
            f"{task.name} has no complete fetch to judge by", hint='run "mcsync fetch" first'
        )


def _take_in_contact(run: Run, contact_id: int) -> None:
    if not load_unknown_contacts(run.store, [contact_id]):
        return
    if not take_contacts(run, [contact_id]):
        raise UsageError(
            f"CiviCRM has no contact {contact_id}", hint="look the contact up in CiviCRM"
        )


def _addresses(run: Run, task: Task, email: str | None, contact_id: int | None) -> list[str]:
    known = find_addresses(run.store, task.list_id, contact_id) if contact_id is not None else []
    return [*([email] if email else []), *known]


def _take_in_member(run: Run, task: Task, address: str) -> None:
    """The member as Mailchimp has it now; one that is gone is out."""
    member = task.mailchimp.fetch_member(task.list_id, address)
    if member is not None:
        count = merge_members(run.store, task.list_id, [member], make_observer(task.policy), 0)
        run.report(task).members_fetched += count.fetched
        run.report(task).members_changed += count.changed
        return
    row = load_member_row(run.store, task.list_id, address)
    if row is not None:
        row_id, data = row
        with run.store.atomic():
            lose_member(run.store, row_id, observe_vanished(data, to_text(run.clock())))


def _settle(run: Run, task: Task, addresses: Sequence[str], contact_id: int | None) -> None:
    task = adapt_rules(run, task)
    for _ in range(_ROUNDS):
        row_ids = find_rows(run.store, task.list_id, addresses, contact_id)
        chunk = load_persons_of(run.store, task.policy, row_ids)
        if chunk.waiting:
            log.info("%s: an earlier change of this person is still under way", task.name)
        forget_plan(run.store, task.list_id)
        plan_people(run, task, chunk.people)
        carry_out(run, task)
        everyone = [row.row_id for person in chunk.people for row in person.rows]
        everyone += find_rows(run.store, task.list_id, addresses, contact_id)
        if not _send(run, task, everyone):
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
