"""Applying one outcome: the member as Mailchimp shows it now, and what is known of the update."""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from mcsync.cache.audience_status import load_status
from mcsync.cache.looks import Reader, read_written, take_answer, take_look, take_page
from mcsync.cache.outbox import (
    QueuedUpdate,
    RowState,
    close_queued,
    complete,
    load_row_state,
)
from mcsync.cache.rows import (
    StoredRefusal,
    is_refused_by_civicrm,
    load_refusals,
    mark_data_wanted,
    mark_due,
    mark_given_up,
    mark_settled,
    mark_shared_due,
    note_asked,
    save_refusals,
)
from mcsync.cache.times import from_text_or_none, to_text
from mcsync.cache.trail import Change, note_changes
from mcsync.cache.wanted_data import Sent, load_sent, note_sent
from mcsync.decision import Reason, SyncStatus
from mcsync.model import (
    SUBSCRIPTION,
    Member,
    MemberChange,
    MemberStatus,
    MergeValue,
    Outcome,
    Refusal,
    Side,
    email_key,
    show_value,
)
from mcsync.name_tags import NAME_TAGS
from mcsync.pipeline.run import Run, Task
from mcsync.reconcile.observe import Data, Written
from mcsync.reconcile.refused_before import PAUSES, find_prints, find_times
from mcsync.text import count_of, without_addresses

log = logging.getLogger("mcsync.batches")

_REASONS = {
    Refusal.COMPLIANCE: Reason.COMPLIANCE,
    Refusal.FORGOTTEN: Reason.FORGOTTEN,
    Refusal.CLEANED: Reason.CLEANED,
}
_NEVER_AGAIN = frozenset((*_REASONS, Refusal.FAKE, Refusal.MERGE_FIELDS))


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
        _apply_refusal(run, task, update, outcome, row)


# --- it worked --------------------------------------------------------------------------------


def _apply_success(
    run: Run, task: Task, update: QueuedUpdate, outcome: Outcome, row: RowState
) -> None:
    written = read_written(update.change, update.cause)
    if outcome.member is None:
        take_answer(run.store, row.row_id, written, run.clock())
    else:
        reader = Reader(task.policy.interests)
        now = run.clock()  # of no account: somebody is there
        take_look(run.store, row.row_id, outcome.member, reader, now, done=written)
    if "status" in written.values:
        mark_shared_due(run.store, row.row_id)  # those who share the member are concerned, too
    changes = describe_changes(run, task, update, row, written)
    note_sent(run.store, row.row_id, update.change, update.cause.metadata)
    _forget_refusals(run, update)
    note_changes(run.store, changes, run.run_id, run.clock())
    status = SyncStatus.FAIL if update.cause.is_gate else SyncStatus.OK
    reason = Reason(update.cause.reason)
    if is_refused_by_civicrm(run.store, row.row_id):
        status, reason = SyncStatus.FAIL, Reason.CIVICRM_REFUSED
    mark_settled(run.store, row.row_id, status, reason)


def _forget_refusals(run: Run, update: QueuedUpdate) -> None:
    """What was done after all is refused no longer; what is left of it is judged again."""
    refusals = load_refusals(run.store, update.row_id)
    done = {
        *find_times(update.change, update.cause.at),
        *find_prints(update.change, update.change.tags),
    }
    email = email_key(update.change.email)
    rest = [r for r in refusals if r.email != email or done.isdisjoint(r.parts)]
    if rest != refusals:
        save_refusals(run.store, update.row_id, rest)
    if any(refusal.email == email for refusal in rest):
        mark_due(run.store, [update.row_id])


def describe_changes(
    run: Run, task: Task, update: QueuedUpdate, row: RowState, written: Written
) -> list[Change]:
    """What an update changes at Mailchimp, field by field, for the audit trail.

    Call it before what was sent is noted.
    """
    before = _find_before(run, update, row, written)
    values: Data = dict(written.values)
    if update.change.new_email is not None:
        before = {**before, "email": update.change.email}
        values["email"] = update.change.new_email
    fields = update.change.merge_fields
    values |= {k: show_value(v) for k, v in fields.items() if k not in NAME_TAGS}
    values |= {f"tag {name}": is_on for name, is_on in update.change.tags.items()}
    return [
        Change(
            list_id=task.list_id,
            side=Side.MAILCHIMP,
            field=SUBSCRIPTION if name == "status" else name.removeprefix("interest-"),
            before=show_field_value(before.get(name)),
            after=show_field_value(value),
            reason=Reason(update.cause.reason),
            row_id=row.row_id,
            contact_id=row.contact_id,
            email=update.change.email,
            caused_at=from_text_or_none(update.cause.at.get(name)),
            run=update.cause.run,
        )
        for name, value in values.items()
    ]


def _find_before(
    run: Run, update: QueuedUpdate, row: RowState, written: Written
) -> Mapping[str, str | bool | None]:
    """What was there, as far as we know; of tags and fields we know only what we sent.

    Where the row has what was written a fetch has seen that already, so that what was there when
    the update was queued is older and right.
    """
    now = row.data or {}
    seen = {name for name, value in written.values.items() if now.get(name) == value}
    before = {**now, **{k: v for k, v in update.cause.before.items() if k in seen}}
    if update.change.tags or update.change.merge_fields.keys() - NAME_TAGS:
        sent = load_sent(run.store, [row.row_id]).get(row.row_id, Sent())
        before |= {tag: show_value(value) for tag, value in sent.merge_fields.items()}
        before |= {f"tag {name}": is_on for name, is_on in sent.tags.items()}
    return before


def show_field_value(value: str | bool | None) -> str | None:
    """What a member's field has, in the words of the history."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


# --- it did not work --------------------------------------------------------------------------


def _apply_refusal(
    run: Run, task: Task, update: QueuedUpdate, outcome: Outcome, row: RowState
) -> None:
    """Keep what was refused; what is to be done about it is for the judge to say."""
    refusal = outcome.refusal or Refusal.INVALID
    close_queued(run.store, [row.row_id], "an earlier change of this member failed", run.clock())
    reason = _REASONS.get(refusal, Reason.REFUSED)
    is_pending = update.change.status is MemberStatus.PENDING
    if is_pending and _is_surely_not_done(outcome.http_status) and reason is not Reason.COMPLIANCE:
        note_asked(run.store, [(row.row_id, None)])  # nobody was mailed
    is_given_up = _note_refusal(run, task, update, outcome, reason)
    run.report(task).given_up += is_given_up
    mark_settled(run.store, row.row_id, SyncStatus.FAIL, reason)
    mark_due(run.store, [row.row_id])
    level = logging.WARNING if is_given_up else logging.INFO
    words = without_addresses(outcome.error) or f"HTTP {outcome.http_status}"
    log.log(
        level,
        "%s: Mailchimp refused a change (row %d, %s): %s",
        task.name,
        row.row_id,
        refusal.value,
        words,
    )


def _is_surely_not_done(http_status: int) -> bool:
    """Whether Mailchimp's answer says that an operation was not carried out."""
    return 400 <= http_status < 500 and http_status != 408  # that one: a time-out


def _note_refusal(
    run: Run, task: Task, update: QueuedUpdate, outcome: Outcome, reason: Reason
) -> bool:
    """Remember a refusal for the wish that it concerns; whether a person has to be told of it."""
    change, refusal = update.change, outcome.refusal or Refusal.INVALID
    new = _read_refused(update, outcome, reason)
    refusals = load_refusals(run.store, update.row_id)
    new.count += max((r.count for r in refusals if _is_repeated(r, new)), default=0)
    if refusal not in _NEVER_AGAIN and new.count <= len(PAUSES):
        new.retry_at = to_text(run.clock() + PAUSES[new.count - 1])
    rest = [r for r in refusals if not _is_replaced(r, new)]
    save_refusals(run.store, update.row_id, [*rest, new])
    if change.merge_fields or change.tags:
        mark_data_wanted(run.store, [update.row_id])
    if refusal is Refusal.MERGE_FIELDS and not new.times:
        tags = [part.removeprefix("field ") for part in new.prints]
        run.refused_data.setdefault(task.list_id, Counter()).update(tags)
        return False
    return not (new.retry_at or new.lacks_field or refusal is Refusal.COMPLIANCE)


def warn_of_refused_data(run: Run, task: Task) -> None:
    """Tell of how many people Mailchimp did not take a value, field by field."""
    for tag, count in sorted(run.refused_data.pop(task.list_id, Counter()).items()):
        log.warning(
            "%s: Mailchimp does not accept %s for merge field %s; everything else was sent",
            task.name,
            count_of(count, "value"),
            tag,
        )


def _read_refused(update: QueuedUpdate, outcome: Outcome, reason: Reason) -> StoredRefusal:
    """What of a change was refused: only the optional data, if it is these that are wrong.

    Or may be, where Mailchimp's words tell nothing: then all else goes again without them. Where a
    required field has no value, all of it goes again, and that field may be missing.
    """
    change = update.change
    new = StoredRefusal(
        email=email_key(change.email),
        reason=reason.value,
        times=find_times(change, update.cause.at),
        prints=find_prints(change, change.tags),
    )
    sent = {tag: value for tag, value in change.merge_fields.items() if value}
    if outcome.refusal is Refusal.INVALID and sent and new.times:
        return _refuse_data(new, sent)
    if outcome.refusal is not Refusal.MERGE_FIELDS:
        return new
    wrong = {tag: value for tag, value in sent.items() if tag in outcome.merge_tags}
    if not wrong and not outcome.merge_tags:  # it does not say which
        wrong = sent
    if wrong:
        return _refuse_data(new, wrong)
    new.lacks_field = not change.skips_validation
    return new


def _refuse_data(whole: StoredRefusal, wrong: Mapping[str, MergeValue]) -> StoredRefusal:
    """A refusal of nothing but these merge fields."""
    data = MemberChange(whole.email, merge_fields=wrong)
    return StoredRefusal(whole.email, whole.reason, {}, find_prints(data, {}))


def _is_replaced(before: StoredRefusal, now: StoredRefusal) -> bool:
    """Whether a refusal says all that one before says."""
    return _is_alike(before, now) and before.parts.keys() <= now.parts.keys()


def _is_repeated(before: StoredRefusal, now: StoredRefusal) -> bool:
    """Whether a part of the same wish was refused before."""
    return _is_alike(before, now) and not before.parts.items().isdisjoint(now.parts.items())


def _is_alike(before: StoredRefusal, now: StoredRefusal) -> bool:
    """Whether two refusals concern one address, and the same helps against them.

    A confirmation mail helps out of a compliance state, a direct call where a field is missing:
    who needs both is refused for each in turn, and neither is to be forgotten for the other.
    """
    compliance = Reason.COMPLIANCE.value
    return (before.email, before.reason == compliance, before.lacks_field) == (
        now.email,
        now.reason == compliance,
        now.lacks_field,
    )


# --- nobody told what happened ----------------------------------------------------------------


def settle_by_reading(
    run: Run, task: Task, update: QueuedUpdate, claimed_at: datetime, *, gives_up: bool = False
) -> bool:
    """Find out from the member itself what became of an update without a result.

    If it shows what we asked for, it was done. Else the member is taken in as it is, and judged
    anew: where it was changed since the update was claimed, a human may have been there. Nothing
    is repeated as such. Returns whether the update was given up for this time.
    """
    row = load_row_state(run.store, update.row_id)
    member = _read_member(task, update, row)
    now, reader = task.mailchimp.fetch_now(), Reader(task.policy.interests)
    moved = None
    if member is None and row is not None and row.member_id is not None:
        task.mailchimp.fetch_audience(task.list_id)  # a list not to be seen answers the same
        moved = _find_moved(task, row)
    if moved is not None:  # not gone: there under another address, where the update did not arrive
        fetch_no = load_status(run.store, task.list_id).fetch_no
        take_page(run.store, task.list_id, [moved], reader, fetch_no)
    with run.store.atomic():
        if member is not None and _shows(task, member, update):
            outcome = Outcome("", is_success=True, http_status=200, member=member)
            apply_outcome(run, task, update, outcome)
            return False
        why = "aborted" if gives_up else "no result; not done"
        complete(run.store, update.update_id, why, run.clock())
        if row is None:
            return gives_up
        close_queued(run.store, [row.row_id], "an earlier change has no result", run.clock())
        written = read_written(update.change, update.cause)
        was_touched = member is not None and member.last_changed > claimed_at
        in_doubt = written if was_touched and not update.change.tags else None
        if update.change.status is MemberStatus.PENDING and not was_touched:
            note_asked(run.store, [(row.row_id, None)])  # surely nobody was mailed
        if moved is None:
            take_look(run.store, row.row_id, member, reader, now, in_doubt=in_doubt)
        if gives_up:
            mark_given_up(run.store, [row.row_id])
        else:
            mark_settled(run.store, row.row_id, SyncStatus.OK, Reason(update.cause.reason))
            mark_due(run.store, [row.row_id])
    return gives_up


def _read_member(task: Task, update: QueuedUpdate, row: RowState | None) -> Member | None:
    """The member under the address that the update gave it, else as the row knows it."""
    change = update.change
    if change.new_email is not None:
        moved = task.mailchimp.fetch_member(task.list_id, change.new_email)
        if moved is not None:
            return moved
    known = change.member_id or (row.member_id if row is not None else None)
    if known is not None:
        member = task.mailchimp.fetch_member(task.list_id, known)
        if member is not None:
            return member
    return task.mailchimp.fetch_member(task.list_id, change.email)


def _find_moved(task: Task, row: RowState) -> Member | None:
    """The member of a row, if they are there under another address now."""
    if not row.unique_contact:
        return None
    found = task.mailchimp.fetch_each_contact(task.list_id, [row.unique_contact])
    return found[row.unique_contact]


def _shows(task: Task, member: Member, update: QueuedUpdate) -> bool:
    """Whether the member is as the update asked for. Tags are not shown: they are sent again."""
    if update.change.tags:
        return False
    fields = {k: v for k, v in update.change.merge_fields.items() if k not in NAME_TAGS}
    values = read_written(update.change, update.cause).values
    seen = Reader(task.policy.interests).read(member)
    is_there = update.change.new_email is None or (
        email_key(member.email) == email_key(update.change.new_email)
    )
    return (
        is_there
        and all(seen.get(name) == value for name, value in values.items())
        and all(member.merge_fields.get(tag, "") == value for tag, value in fields.items())
    )
