"""Carrying out a plan, chunk by chunk: CiviCRM first, then the updates are queued.

After each call to CiviCRM what it did is recorded; a crash in between costs a repetition that
finds everything as it should be. Several calls are under way at once, but the cache is written
here alone.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from mcsync.cache.audience_status import load_status
from mcsync.cache.contacts import load_bulk_addresses, load_names, note_names
from mcsync.cache.creations import find_creations, note_creations, settle_creations
from mcsync.cache.looks import find_row
from mcsync.cache.mirror import load_places, note_places, note_words
from mcsync.cache.outbox import queue_update
from mcsync.cache.plans import count_plan, drop_from_plan, load_plan
from mcsync.cache.request_limits import keep_request_limits
from mcsync.cache.row_facts import find_not_failing, load_unseen_members
from mcsync.cache.rows import (
    add_row,
    forget_civicrm_refused,
    link_rows,
    load_refused_by_civicrm,
    mark_due,
    mark_judged,
    mark_names_due,
    mark_settled,
    note_agreed,
    note_civicrm_refused,
    note_undone,
    prepare_address,
)
from mcsync.cache.times import to_text
from mcsync.cache.trail import Change, note_changes
from mcsync.decision import (
    Decision,
    GroupWrite,
    NameWrite,
    PlannedChange,
    Reason,
    RowVerdict,
    SyncStatus,
)
from mcsync.errors import ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.model import (
    SUBSCRIPTION,
    BulkMove,
    Contact,
    EmailWrite,
    GroupStatus,
    NewContact,
    Side,
    WriteResult,
    email_key,
)
from mcsync.pipeline.fetch import take_looks
from mcsync.pipeline.fetch_civicrm import take_contacts, take_in_owners
from mcsync.pipeline.first_snapshot import keep_first_snapshot
from mcsync.pipeline.judge import close_overtaken
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.guards import Kind
from mcsync.reconcile.refused_before import PAUSES
from mcsync.text import count_of, without_addresses

log = logging.getLogger("mcsync.reconcile")

Planned = Sequence[tuple[int, Decision]]
Refusals = dict[int, str]  # CiviCRM's words by contact id
_REMOTE_TROUBLES = (RemoteUnavailable, RemoteRefused, ProtocolError)
_LOOKED_UP_AT_ONCE = 200  # the longer ago, the likelier staff have entered somebody meanwhile


def carry_out(
    run: Run, task: Task, after: int = 0, held: frozenset[Kind] = frozenset()
) -> list[int]:
    """Write the audience's plan, or what came into it `after` an id: contacts, groups, outbox.

    What is of a kind that is `held` stays in the plan. Returns the rows of people who were not
    created because somebody owns their address after all.
    """
    owned: list[int] = []
    done, planned = 0, count_plan(run.store, task.list_id, after)
    for chunk in load_plan(run.store, task.list_id, after, frozenset(map(str, held))):
        try:
            owned += _carry_out_chunk(run, task, chunk)
        finally:
            keep_request_limits(run.store, run.civicrm.find_limits(), run.clock())
        done += len(chunk)
        run.progress(task.name, "people done", done, planned)
        run.check_time()
    return owned


def _carry_out_chunk(run: Run, task: Task, chunk: Planned) -> list[int]:
    """Write one chunk and record it; the rows whose address is owned after all."""
    waiting = _find_waiting(run, chunk)
    decisions = [decision for plan_id, decision in chunk if plan_id not in waiting]
    if not all(decision.is_empty for decision in decisions):
        keep_first_snapshot(run, task)
    _note_undone(run, [decision for decision in decisions if decision.undone])
    created, owned, failed = _create_contacts(run, task, decisions)
    writes = [write for decision in decisions for write in decision.group_writes]
    joins = [write for writes_of_one in created.values() for write in writes_of_one]
    refused = _write_groups(run, task, [*writes, *joins])
    refused |= write_names(run, task, [w for d in decisions for w in d.name_writes])
    refused |= _write_emails(run, task, decisions)
    refused |= _move_bulk_mail(run, task, decisions)
    sorted_out = _sort_out(chunk, waiting, created, failed, refused)
    _record(run, task, [plan_id for plan_id, _ in chunk], sorted_out)
    return owned


def _find_waiting(run: Run, chunk: Planned) -> set[int]:
    """Those of a chunk whose very writes CiviCRM has refused: not to be tried again by now."""
    row_ids = [v.row_id for _, decision in chunk for v in decision.verdicts]
    refused = load_refused_by_civicrm(run.store, row_ids, to_text(run.clock()))
    if not refused:
        return set()
    wishes = {plan_id: {refused.get(v.row_id) for v in d.verdicts} for plan_id, d in chunk}
    return {plan_id for plan_id, d in chunk if _print_writes(d) in wishes[plan_id]}


def civicrm_change(
    task: Task,
    field: str,
    after: str | None,
    reason: Reason,
    contact_id: int | None = None,
    *,
    before: str | None = None,
    row_id: int | None = None,
    email: str | None = None,
    group_id: int | None = None,
    caused_at: datetime | None = None,
) -> Change:
    """A change that was made in CiviCRM for an audience, for the audit trail."""
    what = (field, before, after, reason)
    whose = (row_id, contact_id, email, group_id)
    return Change(task.list_id, Side.CIVICRM, *what, *whose, caused_at)


# --- createNewContactsFromMailchimp -------------------------------------------------------------


def _create_contacts(
    run: Run, task: Task, decisions: Iterable[Decision]
) -> tuple[dict[int, list[GroupWrite]], list[int], set[int]]:
    """Create contacts for members nobody owns.

    Returns by row id the groups that they are to join; the rows whose address is owned after all:
    somebody may have been entered in CiviCRM since we looked; and those that CiviCRM refused.
    """
    newcomers = _Newcomers(run, task, decisions)
    created: dict[int, int] = {}
    failed: set[int] = set()
    try:
        for result in run.civicrm.create_contacts(iter(newcomers), task.contact_source):
            created |= result.done
            failed |= result.failed.keys()
            _note_creation(run, task, newcomers.by_row, result)
    except _REMOTE_TROUBLES:
        newcomers.settle()
        with suppress(*_REMOTE_TROUBLES):  # who is linked is to be known, too
            _read_back(run, list(created.values()))
        raise
    newcomers.settle()
    _read_back(run, list(created.values()))
    joins = {
        row_id: [
            GroupWrite(contact_id, group_id, GroupStatus.ADDED, Reason.NEW_CONTACT)
            for group_id in newcomers.by_row[row_id].group_ids
        ]
        for row_id, contact_id in created.items()
    }
    return joins, newcomers.owned, failed


def _note_creation(
    run: Run, task: Task, by_row: Mapping[int, NewContact], result: WriteResult
) -> None:
    with run.store.atomic():
        link_rows(run.store, result.done)
        settle_creations(run.store, [by_row[row_id].email for row_id in result.done])
        _note_created(run, task, [by_row[row_id] for row_id in result.done])
        _note_refused(run, task, {by_row[i]: words for i, words in result.failed.items()})
    run.report(task).contacts_created += len(result.done)
    run.progress(task.name, "contacts created", run.report(task).contacts_created)


class _Newcomers:
    """Members whom nobody owns, looked up a few at a time, shortly before they are created.

    `by_row` are those handed out so far, `owned` the rows whose address is owned after all. When
    the run's time is over no more are handed out: they are still in the queue. So are those whom
    a request of an earlier run may still be creating.
    """

    def __init__(self, run: Run, task: Task, decisions: Iterable[Decision]) -> None:
        self._run = run
        self._task = task
        self._wanted = [d.new_contact for d in decisions if d.new_contact is not None]
        self.by_row: dict[int, NewContact] = {}
        self.owned: list[int] = []

    def __iter__(self) -> Iterator[NewContact]:
        wanted = iter(self._wanted)
        while part := list(islice(wanted, _LOOKED_UP_AT_ONCE)):
            if self.by_row and self._run.is_late:
                return
            there = _leave_out_gone(self._run, self._task, part)
            emails = [new.email for new in there]
            coming = find_creations(self._run.store, emails, self._run.clock())
            owned = take_in_owners(self._run, emails) if there else set()
            self.owned += [new.row_id for new in there if email_key(new.email) in owned]
            free = [new for new in there if email_key(new.email) not in owned | coming]
            self._tell_waiting(len(coming - owned))
            with self._run.store.atomic():
                settle_creations(self._run.store, owned)
                note_creations(self._run.store, [new.email for new in free], self._run.clock())
            self.by_row |= {new.row_id: new for new in free}
            yield from free

    def _tell_waiting(self, people: int) -> None:
        if people:
            log.info(
                "%s: CiviCRM may still be creating %s for an earlier run; left for a few minutes",
                self._task.name,
                count_of(people, "contact"),
            )

    def settle(self) -> None:
        """Once nothing is under way any more, but for what was not answered."""
        if not self.by_row:
            return
        doubtful = set(self._run.civicrm.find_doubtful())
        emails = {email_key(new.email) for new in self.by_row.values()}
        with self._run.store.atomic():
            settle_creations(self._run.store, emails)
            note_creations(self._run.store, emails & doubtful, self._run.clock())


def _leave_out_gone(run: Run, task: Task, wanted: list[NewContact]) -> list[NewContact]:
    """Without members who are no longer at Mailchimp: nobody is made from memory.

    Whom the last fetch has shown is there; all others are read.
    """
    fetch_no = load_status(run.store, task.list_id).fetch_no
    unseen = load_unseen_members(run.store, [new.row_id for new in wanted], fetch_no)
    if not unseen:
        return wanted
    found = task.mailchimp.fetch_each(task.list_id, sorted(set(unseen.values())))
    members = {row_id: found[member_id] for row_id, member_id in unseen.items()}
    take_looks(run, task, members, fetch_no)
    gone = {i for i, member in members.items() if member is None or not member.status.is_in}
    return [new for new in wanted if new.row_id not in gone]


def _read_back(run: Run, contact_ids: list[int]) -> None:
    """Mirror what CiviCRM made of the new contacts, so that later steps know them."""
    if contact_ids:
        take_contacts(run, contact_ids)


def _note_created(run: Run, task: Task, created: Iterable[NewContact]) -> None:
    changes = [
        civicrm_change(
            task, "contact", "created", Reason.NEW_CONTACT, row_id=new.row_id, email=new.email
        )
        for new in created
    ]
    note_changes(run.store, changes, run.run_id, run.clock())


def _note_refused(run: Run, task: Task, failed: Mapping[NewContact, str]) -> None:
    run.report(task).failed += len(find_not_failing(run.store, [new.row_id for new in failed]))
    for new, words in failed.items():
        wish = _print_writes(Decision((), new_contact=new))
        _note_refused_row(run, task, new.row_id, words, wish)


def _note_refused_row(run: Run, task: Task, row_id: int, words: str, wish: str) -> None:
    """What was refused is tried again after ever longer pauses; that it is given up, is told."""
    pauses = [to_text(run.clock() + pause) for pause in PAUSES]
    is_given_up = note_civicrm_refused(run.store, row_id, wish, pauses)
    run.report(task).given_up += is_given_up
    level = logging.WARNING if is_given_up else logging.INFO
    words = without_addresses(words)
    log.log(level, "%s: CiviCRM refused what row %d needs: %s", task.name, row_id, words)


# --- groups -------------------------------------------------------------------------------------


def _write_groups(run: Run, task: Task, writes: Sequence[GroupWrite]) -> Refusals:
    """Make contacts Added and Removed; returns what CiviCRM says of those that it refused."""
    refused: Refusals = {}
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
                if group_id in task.common_groups:
                    note_words(run.store, [w for w in done if w.reason is not Reason.UNDONE])
                _note_written(run, task, done, before)
            written = run.report(task).added_to_group + run.report(task).removed_from_group
            run.progress(task.name, "group contacts written", written)
            refused |= result.failed
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
        field = SUBSCRIPTION if is_subscription else interests[write.group_id]
        was = before.get(write.contact_id)
        changes.append(
            civicrm_change(
                task,
                field,
                write.status.value,
                write.reason,
                write.contact_id,
                before=was,
                group_id=write.group_id,
                caused_at=write.caused_at,
            )
        )
    note_changes(run.store, changes, run.run_id, run.clock())


# --- names and addresses ----------------------------------------------------------------------


def write_names(run: Run, task: Task, names: Iterable[NameWrite]) -> Refusals:
    """Write names into CiviCRM; returns what it says of the contacts that it refused."""
    writes = {write.contact_id: write for write in names}
    contacts = [
        Contact(w.contact_id, w.first_name or "", w.last_name or "") for w in writes.values()
    ]
    if contacts:
        keep_first_snapshot(run, task)
    refused: Refusals = {}
    for result in run.civicrm.save_names(contacts) if contacts else ():
        done = [writes[contact_id] for contact_id in result.done]
        with run.store.atomic():
            before = load_names(run.store, list(result.done))
            changes = [
                change
                for write in done
                for change in _describe_names(task, write, before.get(write.contact_id, {}))
            ]
            note_changes(run.store, changes, run.run_id, run.clock())
            note_names(run.store, done)
            mark_names_due(run.store, task.list_id, result.done)
        run.report(task).names_updated += len(done)
        run.progress(task.name, "names written", run.report(task).names_updated)
        refused |= result.failed
    return refused


def _describe_names(task: Task, write: NameWrite, before: Mapping[str, str]) -> list[Change]:
    names = {
        "first_name": (write.first_name, write.first_name_at),
        "last_name": (write.last_name, write.last_name_at),
    }
    return [
        civicrm_change(
            task,
            field,
            name,
            write.reason,
            write.contact_id,
            before=before.get(field) or None,
            caused_at=write.caused_at or at,
        )
        for field, (name, at) in names.items()
        if name is not None
    ]


def _write_emails(run: Run, task: Task, decisions: Sequence[Decision]) -> Refusals:
    """Give contacts the addresses that their members moved to; returns who was refused, and why."""
    writes = {w.contact_id: w for decision in decisions for w in decision.email_writes}
    results = run.civicrm.add_emails(list(writes.values())) if writes else ()

    def describe(contact_ids: list[int]) -> list[Change]:
        bulk = load_bulk_addresses(run.store, contact_ids)
        return [c for i in contact_ids for c in _describe_email(task, writes[i], bulk.get(i))]

    return _take_addresses(run, results, describe)


def _take_addresses(
    run: Run, results: Iterable[WriteResult], describe: Callable[[list[int]], list[Change]]
) -> Refusals:
    """Note what was written to contacts' addresses, and read them back; returns who was refused."""
    refused: Refusals = {}
    written: list[int] = []
    for result in results:
        changes = describe(list(result.done))
        with run.store.atomic():
            note_changes(run.store, changes, run.run_id, run.clock())
        written += result.done
        refused |= result.failed
    _read_back(run, written)
    return refused


def _describe_email(task: Task, write: EmailWrite, bulk: str | None) -> list[Change]:
    """An address that was added; the one that was for bulk mail before, if any, is so no more."""
    moves = {"email": write.old_email}
    if bulk is not None and email_key(bulk) != email_key(write.email):
        moves["bulk_email"] = bulk
    return [
        civicrm_change(task, field, write.email, Reason.ADDRESS, write.contact_id, before=before)
        for field, before in moves.items()
    ]


def _move_bulk_mail(run: Run, task: Task, decisions: Sequence[Decision]) -> Refusals:
    """Have contacts' other addresses get the bulk mail again; returns who was refused, and why."""
    moves = {move.contact_id: move for decision in decisions for move in decision.bulk_moves}
    results = run.civicrm.move_bulk_mail(list(moves.values())) if moves else ()
    return _take_addresses(run, results, lambda ids: [_describe_move(task, moves[i]) for i in ids])


def _describe_move(task: Task, move: BulkMove) -> Change:
    return civicrm_change(
        task,
        "bulk_email",
        move.email,
        Reason.UNDONE,
        move.contact_id,
        before=move.old_email,
    )


# --- the outbox, and the end of a chunk -----------------------------------------------------------


class _SortedOut(NamedTuple):
    """A chunk after CiviCRM was written: what was done, what was refused, and what waits for that.

    `refused` has CiviCRM's words by row; those who were not created are told of already.
    """

    done: list[Decision]
    refused: dict[int, tuple[Decision, str]]
    waiting: list[Decision]


def _sort_out(
    chunk: Planned,
    waiting: Container[int],
    created: Mapping[int, Sequence[GroupWrite]],
    failed: Container[int],
    refused: Refusals,
) -> _SortedOut:
    found = _SortedOut([], {}, [])
    for plan_id, decision in chunk:
        new = decision.new_contact
        if plan_id in waiting or (new is not None and new.row_id in failed):
            found.waiting.append(decision)
            continue
        if new is not None and new.row_id not in created:
            continue  # gone, or owned by somebody after all: still in the queue
        joins = created[new.row_id] if new is not None else ()
        words = _find_refusal(decision, joins, refused)
        if words is None:
            found.done.append(decision)
        else:
            found.refused.update({v.row_id: (decision, words) for v in decision.verdicts[:1]})
    return found


def _record(run: Run, task: Task, plan_ids: Sequence[int], found: _SortedOut) -> None:
    """Queue the updates and mark the rows of a chunk, in one transaction."""
    run.report(task).failed += len(find_not_failing(run.store, list(found.refused)))
    failing = [*(decision for decision, _ in found.refused.values()), *found.waiting]
    verdicts = [v for decision in found.done for v in decision.verdicts]
    verdicts += [v for decision in failing for v in _fail(decision)]
    with run.store.atomic():
        for row_id, (decision, words) in found.refused.items():
            _note_refused_row(run, task, row_id, words, _print_writes(decision))
        forget_civicrm_refused(run.store, [v.row_id for d in found.done for v in d.verdicts])
        drop_from_plan(run.store, plan_ids)
        close_overtaken(run, verdicts)
        mark_judged(run.store, verdicts)
        note_agreed(run.store, (([v.row_id for v in d.verdicts], d.agreements) for d in found.done))
        sent = [planned for d in (*found.done, *failing) for planned in d.changes]
        queued = sum(_queue(run, task, planned) for planned in sent)
    run.report(task).updates_queued += queued


def _note_undone(run: Run, decisions: Sequence[Decision]) -> None:
    """What undo puts back is left alone: in CiviCRM for all audiences that know the contact.

    Noted before CiviCRM is written, so that no run takes it away if we do not live to record it.
    """
    if not decisions:
        return
    with run.store.atomic():
        for decision in decisions:
            contacts = {write.contact_id for write in decision.group_writes}
            contacts |= {write.contact_id for write in decision.name_writes}
            contacts |= {move.contact_id for move in decision.bulk_moves}
            rows = [verdict.row_id for verdict in decision.verdicts]
            note_undone(run.store, rows, contacts, decision.undone)


def _fail(decision: Decision) -> list[RowVerdict]:
    """Verdicts where CiviCRM has refused a write; Mailchimp's updates are sent all the same."""
    return [
        v
        if v.sync_status is SyncStatus.TODO or decision.find_change(v.row_id) is not None
        else replace(v, sync_status=SyncStatus.FAIL, reason=Reason.CIVICRM_REFUSED)
        for v in decision.verdicts
    ]


def _print_writes(decision: Decision) -> str:
    """A fingerprint of what a decision writes into CiviCRM: the same wish has the same."""
    wishes = [(w.contact_id, w.group_id, w.status, w.caused_at) for w in decision.group_writes]
    names = [(w.contact_id, w.first_name, w.last_name) for w in decision.name_writes]
    emails = [(w.contact_id, w.email) for w in decision.email_writes]
    emails += [(move.contact_id, move.email or "") for move in decision.bulk_moves]
    new = decision.new_contact
    contact = (new.email, new.first_name, new.last_name) if new is not None else None
    return sha256(repr((wishes, names, emails, contact)).encode()).hexdigest()[:16]


def _find_refusal(decision: Decision, joins: Sequence[GroupWrite], refused: Refusals) -> str | None:
    """What CiviCRM says of a contact that a decision writes to, if it refused one."""
    contacts = [write.contact_id for write in (*decision.group_writes, *joins)]
    contacts += [write.contact_id for write in decision.name_writes]
    contacts += [write.contact_id for write in decision.email_writes]
    contacts += [move.contact_id for move in decision.bulk_moves]
    return next((refused[contact] for contact in contacts if contact in refused), None)


def _queue(run: Run, task: Task, planned: PlannedChange) -> int:
    """Queue a change; how many updates that were. Of people who share an address only the first."""
    row_id, change = planned.row_id, planned.change
    if row_id is None:
        row_id = add_row(run.store, task.list_id, planned.contact_id)
    if change.member_id is None and not prepare_address(
        run.store, task.list_id, row_id, change.email
    ):
        mark_settled(run.store, row_id, SyncStatus.OK, planned.reason)
        taken_by = find_row(run.store, task.list_id, change.email)
        if taken_by is not None:  # judged again, together with what this one wishes
            mark_due(run.store, [taken_by])
        return 0
    return queue_update(run.store, row_id, planned, run.clock(), run.run_id)
