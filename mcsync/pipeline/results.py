"""Applying one outcome: the member as Mailchimp shows it now, and what the row is from here on."""

import logging
from dataclasses import replace

from mcsync.cache.audiences import mark_rows
from mcsync.cache.data import note_sent
from mcsync.cache.members import read_update, store_result
from mcsync.cache.outbox import (
    QueuedUpdate,
    RowState,
    close_queued,
    complete,
    has_open,
    load_row_state,
    queue_again,
)
from mcsync.cache.rows import lose_member, note_reconfirmed, note_refused
from mcsync.cache.times import to_text
from mcsync.cache.trail import Change, note_changes
from mcsync.model import (
    SUBSCRIPTION,
    Member,
    MemberStatus,
    Outcome,
    Reason,
    Refusal,
    RowVerdict,
    Side,
    SyncStatus,
    email_key,
)
from mcsync.pipeline.fetch import as_written, read_seen
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.names import NAME_TAGS
from mcsync.reconcile.observe import Data, Written, observe, observe_overtaken, observe_vanished

log = logging.getLogger("mcsync.batches")

_REASONS = {
    Refusal.COMPLIANCE: Reason.COMPLIANCE,
    Refusal.FORGOTTEN: Reason.FORGOTTEN,
    Refusal.CLEANED: Reason.CLEANED,
}


def apply_outcome(run: Run, task: Task, update: QueuedUpdate, outcome: Outcome) -> None:
    """Apply what became of one operation; call inside a transaction."""
    row = load_row_state(run.store, update.row_id)
    error = None if outcome.is_success else outcome.error or f"HTTP {outcome.http_status}"
    complete(run.store, update.update_id, error, run.clock())
    report = run.report(task)
    if outcome.is_success:
        report.operations_ok += 1
        if row is not None:
            _apply_success(run, task, update, outcome, row)
        return
    report.operations_failed += 1
    if row is not None:
        _apply_failure(run, task, update, outcome, row)


# --- it worked --------------------------------------------------------------------------------


def _apply_success(
    run: Run, task: Task, update: QueuedUpdate, outcome: Outcome, row: RowState
) -> None:
    written = as_written(read_update(update.change, update.cause), outcome.member)
    data = _observe_result(run, task, outcome, row, written)
    store_result(run.store, row.row_id, outcome.member, data, row.list_id)
    note_sent(run.store, row.row_id, update.change, update.cause.metadata)
    note_changes(run.store, tell_changes(task, update, row, written), run.run_id, run.clock())
    if _is_surprising(data, row, written):
        status = SyncStatus.TODO  # a human was there in between
    elif row.sync_status == SyncStatus.TODO:
        return  # something else happened meanwhile and is still to be judged
    elif update.cause.is_gate:
        status = SyncStatus.FAIL
    else:  # its tags may still wait
        status = SyncStatus.LIVE if has_open(run.store, row.row_id) else SyncStatus.OK
    mark_rows(run.store, [RowVerdict(row.row_id, status, Reason(update.cause.reason))])


def _observe_result(
    run: Run, task: Task, outcome: Outcome, row: RowState, written: Written
) -> Data:
    if outcome.member is not None:
        return _observe_member(task, outcome.member, row, written)
    return observe(row.data or {}, written.values, row.updated or to_text(run.clock()), written)


def _observe_member(task: Task, member: Member, row: RowState, written: Written) -> Data:
    last_changed = to_text(member.last_changed)
    if row.updated is not None and last_changed < row.updated:
        return observe_overtaken(row.data or {}, row.updated, written)
    return observe(row.data or {}, read_seen(member, task.policy), last_changed, written)


def _is_surprising(data: Data, row: RowState, written: Written) -> bool:
    """Whether the member has values that are neither those known nor those we wrote."""
    expected = {**(row.data or {}), **written.values}
    return any(
        data.get(name) != value for name, value in expected.items() if not name.endswith("@")
    )


def tell_changes(task: Task, update: QueuedUpdate, row: RowState, written: Written) -> list[Change]:
    """What an update changes at Mailchimp, field by field, for the audit trail."""
    before = row.data or {}
    values = dict(written.values)
    if update.change.new_email is not None:
        before = {**before, "email": update.change.email}
        values["email"] = update.change.new_email
    values |= {k: v for k, v in update.change.merge_fields.items() if k not in NAME_TAGS}
    values |= {f"tag {name}": is_on for name, is_on in update.change.tags.items()}
    return [
        Change(
            list_id=task.list_id,
            side=Side.MAILCHIMP,
            field=SUBSCRIPTION if name == "status" else name.removeprefix("interest-"),
            before=_show(before.get(name)),
            after=_show(value),
            reason=Reason(update.cause.reason),
            row_id=row.row_id,
            contact_id=row.contact_id,
            email=update.change.email,
        )
        for name, value in values.items()
    ]


def _show(value: str | bool | None) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


# --- it did not work --------------------------------------------------------------------------


def _apply_failure(
    run: Run, task: Task, update: QueuedUpdate, outcome: Outcome, row: RowState
) -> None:
    refusal = outcome.refusal or Refusal.INVALID
    if refusal is Refusal.COMPLIANCE and _ask_to_confirm(run, task, update):
        return
    if refusal is Refusal.TEMPORARY:
        _queue_again(run, update)
        mark_rows(run.store, [_verdict(update, SyncStatus.LIVE)])
        return
    _close_followers(run, update)
    reason = _REASONS.get(refusal, Reason.REFUSED)
    note_refused(run.store, row.row_id, update.cause.at.get("status"), reason)
    mark_rows(run.store, [RowVerdict(row.row_id, SyncStatus.FAIL, reason)])
    log.warning("%s: Mailchimp refused a change (row %d, %s)", task.name, row.row_id, refusal.value)


def _queue_again(run: Run, update: QueuedUpdate) -> None:
    queue_again(run.store, update, update.change, update.cause.reason, run.clock())


def _close_followers(run: Run, update: QueuedUpdate) -> None:
    """What waits for an update that failed is not sent: it was meant for what did not happen."""
    why = "an earlier change of this member failed"
    close_queued(run.store, [update.row_id], why, run.clock())


def _verdict(update: QueuedUpdate, status: SyncStatus) -> RowVerdict:
    return RowVerdict(update.row_id, status, Reason(update.cause.reason))


def _ask_to_confirm(run: Run, task: Task, update: QueuedUpdate) -> bool:
    """Try again as pending, once per decision; False when that is not wanted, or was it already.

    Pending makes Mailchimp write to a human. It is queued in the very transaction that notes
    for which decision, so that nobody is ever asked twice for one.
    """
    at = update.cause.at.get("status")
    if not task.policy.may_reconfirm or update.change.status is not MemberStatus.SUBSCRIBED:
        return False
    change = replace(update.change, status=MemberStatus.PENDING)
    queue_again(run.store, update, change, Reason.COMPLIANCE.value, run.clock())
    note_reconfirmed(run.store, update.row_id, at)
    mark_rows(run.store, [RowVerdict(update.row_id, SyncStatus.REDO, Reason.COMPLIANCE)])
    return True


def _member_is_gone(run: Run, row: RowState) -> None:
    """The member is no longer in the audience: out, as of now, and to be judged again."""
    data = observe_vanished(dict(row.data or {}), to_text(run.clock()))
    lose_member(run.store, row.row_id, data)


# --- nobody told what happened ----------------------------------------------------------------


def settle_by_reading(
    run: Run, task: Task, update: QueuedUpdate, *, gives_up: bool = False
) -> bool:
    """Find out from the member itself what became of an update without a result.

    If it shows what we asked for, it was done. If nothing happened to the member since we last
    looked, it was not done, and is queued again, or given up for this time when `gives_up`. If
    something else happened, a human was there: they are judged anew and nothing is repeated, or
    somebody who confirmed and then left would be asked once more. Returns whether it was given
    up.
    """
    member = _read_member(task, update)
    with run.store.atomic():
        if member is not None and _shows(task, member, update):
            outcome = Outcome("", is_success=True, http_status=200, member=member)
            apply_outcome(run, task, update, outcome)
            return False
        row = load_row_state(run.store, update.row_id)
        why = "aborted" if gives_up else "no result; not done"
        complete(run.store, update.update_id, why, run.clock())
        if row is None:
            return gives_up
        needs_member = update.change.member_id is not None or bool(update.change.tags)
        if member is None and needs_member:
            _close_followers(run, update)
            _member_is_gone(run, row)
        elif member is not None and _was_touched(member, row) and not update.change.tags:
            _close_followers(run, update)
            written = as_written(read_update(update.change, update.cause), member)
            data = _observe_member(task, member, row, written)
            store_result(run.store, row.row_id, member, data, row.list_id)
            mark_rows(run.store, [_verdict(update, SyncStatus.TODO)])
        elif gives_up:
            _close_followers(run, update)
            mark_rows(run.store, [RowVerdict(update.row_id, SyncStatus.FAIL, Reason.ABORTED)])
        else:
            _queue_again(run, update)
    return gives_up


def _was_touched(member: Member, row: RowState) -> bool:
    """Whether the member changed since the cache last saw it."""
    return row.updated is None or to_text(member.last_changed) > row.updated


def _read_member(task: Task, update: QueuedUpdate) -> Member | None:
    """The member under the address that the update gave it, else under the one it had."""
    change = update.change
    if change.new_email is not None:
        moved = task.mailchimp.fetch_member(task.list_id, change.new_email)
        if moved is not None:
            return moved
    return task.mailchimp.fetch_member(task.list_id, change.email)


def _shows(task: Task, member: Member, update: QueuedUpdate) -> bool:
    """Whether the member is as the update asked for. Tags are not shown: they are sent again."""
    if update.change.tags:
        return False
    fields = {k: v for k, v in update.change.merge_fields.items() if k not in NAME_TAGS}
    values = read_update(update.change, update.cause).values
    seen = read_seen(member, task.policy)
    is_there = update.change.new_email is None or (
        email_key(member.email) == email_key(update.change.new_email)
    )
    return (
        is_there
        and all(seen.get(name) == value for name, value in values.items())
        and all(member.merge_fields.get(tag, "") == value for tag, value in fields.items())
    )
