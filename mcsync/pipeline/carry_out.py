"""Carrying out a plan, chunk by chunk: CiviCRM first, then the updates are queued.

After each call to CiviCRM what it did is recorded; a crash in between costs a repetition that
finds everything as it should be.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mcsync.cache.audiences import mark_rows
from mcsync.cache.mirror import (
    load_places,
    note_names,
    note_places,
    note_words,
    save_contacts,
)
from mcsync.cache.outbox import close_queued, queue_update
from mcsync.cache.plans import drop_from_plan, load_plan
from mcsync.cache.rows import add_row, find_not_failing, link_rows, prepare_address
from mcsync.cache.trail import Change, note_changes
from mcsync.model import (
    SUBSCRIPTION,
    Contact,
    Decision,
    GroupStatus,
    GroupWrite,
    NameWrite,
    NewContact,
    PlannedChange,
    Reason,
    RowVerdict,
    Side,
    SyncStatus,
    WriteResult,
    email_key,
)
from mcsync.pipeline.mirror import take_in_owners
from mcsync.pipeline.run import Run, Task

log = logging.getLogger("mcsync.reconcile")

Planned = Sequence[tuple[int, Decision]]


def carry_out(run: Run, task: Task, after: int = 0) -> None:
    """Write the audience's plan, or what came into it `after` an id: contacts, groups, outbox."""
    for chunk in load_plan(run.store, task.list_id, after):
        decisions = [decision for _, decision in chunk]
        created = _create_contacts(run, task, decisions)
        writes = [write for decision in decisions for write in decision.group_writes]
        joins = [write for writes_of_one in created.values() for write in writes_of_one]
        refused = _write_groups(run, task, [*writes, *joins])
        refused |= write_names(run, task, [w for d in decisions for w in d.name_writes])
        refused |= _write_emails(run, task, decisions)
        _record(run, task, chunk, created, refused)
        run.check_time()


# --- createNewContactsFromMailchimp -------------------------------------------------------------


def _create_contacts(
    run: Run, task: Task, decisions: Iterable[Decision]
) -> dict[int, list[GroupWrite]]:
    """Create contacts for members nobody owns; by row id, the groups that they are to join."""
    wanted = [d.new_contact for d in decisions if d.new_contact is not None]
    if not wanted:
        return {}
    # Somebody may have been entered in CiviCRM since we looked: never make a second one.
    owned = take_in_owners(run, [new.email for new in wanted])
    by_row = {new.row_id: new for new in wanted if email_key(new.email) not in owned}
    joins: dict[int, list[GroupWrite]] = {}
    for result in run.civicrm.create_contacts(list(by_row.values()), task.contact_source):
        _read_back(run, list(result.done.values()))
        with run.store.atomic():
            link_rows(run.store, result.done)
            _note_created(run, task, [by_row[row_id] for row_id in result.done])
            _note_refused(run, task, result.failed)
        for row_id, contact_id in result.done.items():
            joins[row_id] = [
                GroupWrite(contact_id, group_id, GroupStatus.ADDED, Reason.NEW_CONTACT)
                for group_id in by_row[row_id].group_ids
            ]
        run.report(task).contacts_created += len(result.done)
    return joins


def _read_back(run: Run, contact_ids: list[int]) -> None:
    """Mirror what CiviCRM made of the new contacts, so that later steps know them."""
    if contact_ids:
        for page in run.civicrm.fetch_contacts(contact_ids):
            save_contacts(run.store, page)


def _note_created(run: Run, task: Task, created: Iterable[NewContact]) -> None:
    changes = [
        Change(
            list_id=task.list_id,
            side=Side.CIVICRM,
            field="contact",
            before=None,
            after="created",
            reason=Reason.NEW_CONTACT,
            row_id=new.row_id,
            email=new.email,
        )
        for new in created
    ]
    note_changes(run.store, changes, run.run_id, run.clock())


def _note_refused(run: Run, task: Task, failed: Mapping[int, str]) -> None:
    """A write that was refused is tried again by every run, and is news only the first time."""
    for row_id, words in failed.items():
        log.info("%s: CiviCRM refused a new contact (row %d): %s", task.name, row_id, words)
    run.report(task).failed += len(find_not_failing(run.store, list(failed)))
    verdicts = [RowVerdict(i, SyncStatus.FAIL, Reason.CIVICRM_REFUSED) for i in failed]
    mark_rows(run.store, verdicts)


# --- groups -------------------------------------------------------------------------------------


def _write_groups(run: Run, task: Task, writes: Sequence[GroupWrite]) -> set[int]:
    """Make contacts Added and Removed; returns the contacts that CiviCRM refused."""
    refused: set[int] = set()
    grouped: dict[tuple[int, GroupStatus], dict[int, GroupWrite]] = defaultdict(dict)
    for write in writes:
        grouped[write.group_id, write.status][write.contact_id] = write
    for (group_id, status), by_contact in sorted(grouped.items()):
        for result in run.civicrm.save_group_contacts(
            group_id, status, sorted(by_contact), run.tracking
        ):
            done = [by_contact[contact_id] for contact_id in result.done]
            with run.store.atomic():
                before = load_places(run.store, group_id, list(result.done))
                note_places(run.store, group_id, status, result.done)
                _note_written(run, task, done, before)
            refused |= _note_contacts_refused(run, task, result)
    return refused


def _note_written(
    run: Run, task: Task, done: Sequence[GroupWrite], before: Mapping[int, str]
) -> None:
    interests = {i.group_id: key for key, i in task.policy.interests.items()}
    report = run.report(task)
    changes = []
    for write in done:
        is_subscription = write.group_id == task.policy.group_id
        is_added = write.status is GroupStatus.ADDED
        if is_subscription:
            report.added_to_group += is_added
            report.removed_from_group += not is_added
        changes.append(
            Change(
                list_id=task.list_id,
                side=Side.CIVICRM,
                field=SUBSCRIPTION if is_subscription else interests[write.group_id],
                before=before.get(write.contact_id),
                after=write.status.value,
                reason=write.reason,
                contact_id=write.contact_id,
            )
        )
    note_changes(run.store, changes, run.run_id, run.clock())


# --- names and addresses ----------------------------------------------------------------------


def write_names(run: Run, task: Task, names: Iterable[NameWrite]) -> set[int]:
    """Write names into CiviCRM; returns the contacts that it refused."""
    writes = {write.contact_id: write for write in names}
    contacts = [
        Contact(w.contact_id, w.first_name or "", w.last_name or "") for w in writes.values()
    ]
    refused: set[int] = set()
    for result in run.civicrm.save_names(contacts) if contacts else ():
        done = [writes[contact_id] for contact_id in result.done]
        with run.store.atomic():
            changes = [c for write in done for c in _tell_names(task, write)]
            note_changes(run.store, changes, run.run_id, run.clock())
            note_names(run.store, done)
        run.report(task).names_updated += len(done)
        refused |= _note_contacts_refused(run, task, result)
    return refused


def _tell_names(task: Task, write: NameWrite) -> list[Change]:
    names = {"first_name": write.first_name, "last_name": write.last_name}
    return [
        Change(
            list_id=task.list_id,
            side=Side.CIVICRM,
            field=field,
            before=None,
            after=name,
            reason=Reason.DATA,
            contact_id=write.contact_id,
        )
        for field, name in names.items()
        if name is not None
    ]


def _write_emails(run: Run, task: Task, decisions: Sequence[Decision]) -> set[int]:
    """Give contacts the addresses that their members moved to; returns the refused ones."""
    writes = {w.contact_id: w for decision in decisions for w in decision.email_writes}
    refused: set[int] = set()
    for result in run.civicrm.add_emails(list(writes.values())) if writes else ():
        _read_back(run, list(result.done))
        changes = [
            Change(
                list_id=task.list_id,
                side=Side.CIVICRM,
                field="email",
                before=None,
                after=writes[contact_id].email,
                reason=Reason.ADDRESS,
                contact_id=contact_id,
            )
            for contact_id in result.done
        ]
        with run.store.atomic():
            note_changes(run.store, changes, run.run_id, run.clock())
        refused |= _note_contacts_refused(run, task, result)
    return refused


def _note_contacts_refused(run: Run, task: Task, result: WriteResult) -> set[int]:
    for contact_id, words in result.failed.items():
        log.info("%s: CiviCRM refused contact %d: %s", task.name, contact_id, words)
    return set(result.failed)


# --- the outbox, and the end of a chunk -----------------------------------------------------------


def _record(
    run: Run,
    task: Task,
    chunk: Planned,
    created: Mapping[int, Sequence[GroupWrite]],
    refused: set[int],
) -> None:
    """Queue the updates and mark the rows of a chunk, in one transaction."""
    verdicts: list[RowVerdict] = []
    failing: list[int] = []
    changes: list[PlannedChange] = []
    for _, decision in chunk:
        new = decision.new_contact
        if new is not None and new.row_id not in created:
            continue  # refused, or owned by somebody after all: the next run finds out
        joins = created[new.row_id] if new is not None else ()
        if refused & _concerned(decision, joins):
            verdicts += [
                replace(v, sync_status=SyncStatus.FAIL, reason=Reason.CIVICRM_REFUSED)
                for v in decision.verdicts
            ]
            failing.append(decision.verdicts[0].row_id)
            continue
        verdicts += decision.verdicts
        changes += decision.changes
    run.report(task).failed += len(find_not_failing(run.store, failing))
    with run.store.atomic():
        drop_from_plan(run.store, [plan_id for plan_id, _ in chunk])
        mark_rows(run.store, verdicts)
        close_overtaken(run, verdicts)
        note_words(run.store, [word for _, d in chunk for word in d.words])
        queued = sum(_queue(run, task, planned) for planned in changes)
    run.report(task).updates_queued += queued


def _concerned(decision: Decision, joins: Sequence[GroupWrite]) -> set[int]:
    """The contacts that a decision writes to."""
    return (
        {write.contact_id for write in (*decision.group_writes, *joins)}
        | {write.contact_id for write in decision.name_writes}
        | {write.contact_id for write in decision.email_writes}
    )


def close_overtaken(run: Run, verdicts: Iterable[RowVerdict]) -> None:
    """Close what is queued for these rows and no longer wanted; call inside a transaction.

    A request to confirm stays queued while nothing else was decided: it is asked for only once.
    """
    row_ids = [v.row_id for v in verdicts if v.reason is not Reason.COMPLIANCE]
    close_queued(run.store, row_ids, "superseded by a newer decision", run.clock())


def _queue(run: Run, task: Task, planned: PlannedChange) -> int:
    row_id = planned.row_id
    if row_id is None:
        row_id = add_row(run.store, task.list_id, planned.contact_id)
    if planned.change.member_id is None:
        prepare_address(run.store, row_id, planned.change.email)
    return queue_update(run.store, row_id, planned, run.clock())
