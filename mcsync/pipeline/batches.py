"""The batch result handler, by polling: what became of what we sent.

Each outcome is applied once, by the same rules as a fetch, in the transaction that completes
its update. Whatever a batch leaves open in the end is settled by reading the member. What is under
way delays little: nobody waits for a batch that hangs.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import islice

from mcsync.cache.outbox import (
    DIRECT,
    LOST,
    QueuedUpdate,
    StoredBatch,
    get_cache_uid,
    load_batch_updates,
    load_known_batch_ids,
    load_open_batches,
    load_overdue_rows,
    load_row_state,
    note_batch,
    note_processed,
    note_sent,
    note_waiting,
    read_operation_id,
    release,
)
from mcsync.cache.rows import mark_due
from mcsync.cache.times import to_text
from mcsync.errors import ProtocolError, RemoteUnavailable
from mcsync.model import Batch, MemberStatus, Outcome, Refusal
from mcsync.pipeline.ahead import Ahead, Wish, asking_ahead, begin_to_read, wish_for
from mcsync.pipeline.fetch import take_looks
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.judge import judge_quietly
from mcsync.pipeline.results import apply_outcome, settle_by_reading, warn_of_refused_data
from mcsync.pipeline.run import Run, Task, is_over
from mcsync.text import count_of

log = logging.getLogger("mcsync.batches")

_CHUNK = 200  # outcomes applied in one transaction
_FIRST_POLL_S, _LAST_POLL_S = 5.0, 60.0  # Mailchimp's own advice (mailchimp: Batches)
# A POST is tried for a minute, and one that timed out may run on for Mailchimp's 120 s; after that
# it is there or it is not.
_UNDECIDED_FOR = timedelta(seconds=210)
_CLOCK_STEP = timedelta(seconds=5)  # Mailchimp's clock is told in whole seconds, and by many hosts
_KEPT_FOR = timedelta(days=7)  # so long Mailchimp tells of a batch, and keeps its results
_WITHOUT_URL_FOR = timedelta(minutes=10)
_LONGEST_WAIT = timedelta(hours=1)  # for a batch that is not finished
_WAIT_WHEN_ALL_DONE = timedelta(minutes=2)
_UNREADABLE_FOR = timedelta(hours=1)  # results are asked for again before members are read


def process_batches(run: Run) -> int:
    """Take in the results of all finished batches; returns how many batches are still running."""
    know_accounts(run)
    running = 0
    with asking_ahead(_wish_for_batches(run)) as ahead:
        for task in run.healthy_tasks():
            with run.isolated(task):
                touched: set[int] = set()
                for stored in load_open_batches(run.store, [task.list_id]):
                    updates = load_batch_updates(run.store, stored.row_id)
                    if _process_batch(run, task, stored, ahead):
                        touched |= {update.row_id for update in updates.values()}
                    else:
                        running += 1
                warn_of_refused_data(run, task)
                judge_quietly(run, task, sorted(touched))
    return running


@dataclass(frozen=True, slots=True)
class _Found:
    """A batch as it stands, None if it is no longer known, and its results where there are any."""

    batch: Batch | None
    outcomes: Iterable[Outcome] = ()

    @property
    def size(self) -> int:
        """How many members the results are about, about."""
        return self.batch.total_operations if self.batch and self.batch.results_url else 0


def _wish_for_batches(run: Run) -> Iterator[Wish[_Found]]:
    for task in run.healthy_tasks():
        for stored in load_open_batches(run.store, [task.list_id]):
            if stored.batch_id is not None and stored.status != DIRECT:
                find = partial(_find, task, stored.batch_id)
                yield wish_for(stored.row_id, task.key_print, find, lambda found: found.size)


def _find(task: Task, batch_id: str) -> _Found:
    """Ask for a batch, and begin to read its results if it has finished."""
    batch = task.mailchimp.fetch_batch(batch_id)
    if batch is None or not (batch.is_finished and batch.results_url):
        return _Found(batch)
    return _Found(batch, begin_to_read(task.mailchimp.fetch_outcomes(batch)))


def settle_direct(run: Run) -> None:
    """Find out what became of direct calls in the midst of which an earlier run died."""
    for task in run.healthy_tasks():
        with run.isolated(task):
            for batch in load_open_batches(run.store, [task.list_id]):
                if batch.status == DIRECT:
                    _settle_rest(run, task, batch)


def wait_for_batches(
    run: Run, timeout_s: float, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Poll, politely, until no batch is running or the time is over; returns how many still are."""
    deadline = time.monotonic() + timeout_s
    pause = _FIRST_POLL_S
    running = process_batches(run)
    while running and time.monotonic() + pause <= deadline:
        sleep(pause)
        pause = min(pause * 2, _LAST_POLL_S)
        running = process_batches(run)
    return running


def _process_batch(
    run: Run, task: Task, stored: StoredBatch, ahead: Ahead[_Found] | None = None
) -> bool:
    """Take in one batch; False while it is still running."""
    if stored.status == DIRECT:
        return _settle_rest(run, task, stored)
    if stored.batch_id is None:
        return _adopt(run, task, stored)
    find = partial(_find, task, stored.batch_id)
    found = ahead.answer(stored.row_id, find) if ahead else find()
    batch = found.batch
    if batch is None:
        # Unless the whole list is out of our sight: then nothing is believed.
        task.mailchimp.fetch_audience(task.list_id)
        log.warning(
            "%s: Mailchimp no longer knows batch %s; reading its members instead",
            task.name,
            stored.batch_id,
        )
        return _settle_rest(run, task, stored)
    if not batch.is_finished or _lacks_results(task, batch):
        note_batch(run.store, stored.row_id, batch, 0)
        in_all = max(batch.total_operations, stored.total_operations)
        run.progress(task.name, "operations finished", batch.finished_operations, in_all)
        _note_waiting(run, task, stored, batch)
        return False
    note_batch(run.store, stored.row_id, batch, 1)
    if not _take_in_results(run, task, stored, batch, found.outcomes) and not _gives_up(
        run, stored
    ):
        _note_waiting(run, task, stored, batch)
        return False
    _settle_rest(run, task, stored)
    run.report(task).batches_processed += 1
    return True


def _lacks_results(task: Task, batch: Batch) -> bool:
    """Whether the results are not there yet although the batch has finished."""
    if batch.results_url:
        return False
    if batch.completed_at is None:
        return True
    return task.mailchimp.fetch_now() < batch.completed_at + _WITHOUT_URL_FOR


def _take_in_results(
    run: Run, task: Task, stored: StoredBatch, batch: Batch, found: Iterable[Outcome]
) -> bool:
    """Apply the results; False when they cannot be read to their end: they are asked for again."""
    uid = get_cache_uid(run.store)
    updates = load_batch_updates(run.store, stored.row_id)
    outcomes = _Outcomes(found)
    read, in_all = 0, max(batch.total_operations, stored.total_operations)
    results = outcomes.read()
    while chunk := list(islice(results, _CHUNK)):
        with run.store.atomic():
            for outcome in chunk:
                update_id = read_operation_id(uid, outcome.operation_id)
                update = updates.pop(update_id, None) if update_id is not None else None
                if update is None or outcome.refusal is Refusal.NOT_FOUND:
                    continue  # foreign, or doubled; whether somebody is gone tells only a look
                apply_outcome(run, task, update, outcome)
                _judge_anew(run, stored, update)
        read += len(chunk)
        run.progress(task.name, "results read", read, in_all)
    if outcomes.trouble is None:
        return True
    if stored.unreadable_since is None:
        log.warning(
            "%s: results of batch %s: %s; the next runs ask for them again",
            task.name,
            batch.batch_id,
            outcomes.trouble,
        )
    note_waiting(run.store, stored.row_id, unreadable_since=run.clock())
    return False


def _gives_up(run: Run, stored: StoredBatch) -> bool:
    """Whether results were unreadable for so long that the members are read instead."""
    since = stored.unreadable_since
    return since is not None and is_over(to_text(since), _UNREADABLE_FOR, run.clock())


class _Outcomes:
    """The outcomes of a batch as far as they can be read, and why no further."""

    def __init__(self, found: Iterable[Outcome]) -> None:
        self._found = found
        self.trouble: str | None = None

    def read(self) -> Iterator[Outcome]:
        """Each outcome; afterwards `trouble` is set if there may be more."""
        try:
            yield from self._found
        except (ProtocolError, RemoteUnavailable) as error:
            self.trouble = error.message


def _settle_rest(run: Run, task: Task, stored: StoredBatch, status: str | None = None) -> bool:
    """Find out what became of operations that have no result, one member at a time.

    False while a request to confirm may still be carried out: then nobody knows whether somebody
    was mailed.
    """
    claimed_at = stored.claimed_at or stored.submitted_at
    is_undecided = task.mailchimp.fetch_now() < claimed_at + _UNDECIDED_FOR
    may_still_be_done = stored.status == DIRECT and is_undecided
    is_settled = True
    for update in load_batch_updates(run.store, stored.row_id).values():
        if may_still_be_done and update.change.status is MemberStatus.PENDING:
            is_settled = False
            continue
        settle_by_reading(run, task, update, claimed_at)
        with run.store.atomic():
            _judge_anew(run, stored, update)
    if is_settled:
        note_processed(run.store, stored.row_id, status)
    return is_settled


def _judge_anew(run: Run, stored: StoredBatch, update: QueuedUpdate) -> None:
    """Judge again who was judged as if nothing were under way; call inside a transaction."""
    if stored.is_overdue:
        mark_due(run.store, [update.row_id])


def take_in_batch(run: Run, task: Task, batch_id: str) -> bool:
    """Take in a batch that Mailchimp told us of; False when it is not ours, or still running.

    Ours is one that we know by its id, or whose results carry ids of what we claimed for a
    batch and never learned the fate of.
    """
    stored_batches = load_open_batches(run.store, [task.list_id])
    known = next((stored for stored in stored_batches if stored.batch_id == batch_id), None)
    if known is not None:
        return _process_batch(run, task, known)
    nameless = [s for s in stored_batches if s.batch_id is None and s.status != DIRECT]
    batch = task.mailchimp.fetch_batch(batch_id) if nameless else None
    if batch is None or not batch.is_finished:
        return False
    for stored in nameless:
        updates = load_batch_updates(run.store, stored.row_id)
        if _recognise(run, task, batch, updates):
            note_sent(run.store, stored.row_id, batch)
            return _process_batch(run, task, replace(stored, batch_id=batch_id))
    return False


# --- a batch that hangs -----------------------------------------------------------------------


def _note_waiting(run: Run, task: Task, stored: StoredBatch, batch: Batch | None) -> None:
    """Wait no longer for a batch that has done all and does not end, or takes too long."""
    now = run.clock()
    total = max(batch.total_operations, stored.total_operations) if batch else 0
    is_all_done = batch is not None and total > 0 and batch.finished_operations >= total
    all_done_at = stored.all_done_at or (now if is_all_done else None)
    is_overdue = is_over(to_text(stored.submitted_at), _LONGEST_WAIT, now) or (
        all_done_at is not None and is_over(to_text(all_done_at), _WAIT_WHEN_ALL_DONE, now)
    )
    if is_overdue and not stored.is_overdue:
        log.warning(
            "%s: %s has not finished since %s; people who change meanwhile are read directly",
            task.name,
            f"batch {stored.batch_id}" if stored.batch_id else "a batch that may not exist",
            to_text(stored.submitted_at),
        )
    note_waiting(run.store, stored.row_id, all_done_at=all_done_at, is_overdue=is_overdue)


def read_overdue(run: Run, task: Task) -> None:
    """Read the members who are to be judged and wait for nothing but a batch that hangs."""
    row_ids = load_overdue_rows(run.store, task.list_id)
    states = [state for i in row_ids if (state := load_row_state(run.store, i)) is not None]
    keys = {state.row_id: state.member_id for state in states if state.member_id}
    if not keys:
        return
    found = task.mailchimp.fetch_each(task.list_id, sorted(set(keys.values())))
    take_looks(run, task, {row_id: found[member_id] for row_id, member_id in keys.items()})
    log.info("%s: %s read directly", task.name, count_of(len(keys), "member"))


# --- a batch whose id we never learned --------------------------------------------------------


def _adopt(run: Run, task: Task, stored: StoredBatch) -> bool:
    """Find a claimed batch at Mailchimp; False while it may still exist but cannot be told.

    By Mailchimp's own time: one that was not submitted just then is foreign. A batch that may be
    ours, but whose results tell nothing, and one that is too old to be told of, is settled by
    reading: what it did is never done twice. Only when there is nothing that could be ours is
    everything sent again.
    """
    claimed_at = stored.claimed_at or stored.submitted_at
    if task.mailchimp.fetch_now() > claimed_at + _KEPT_FOR - _UNDECIDED_FOR:
        return _settle_rest(run, task, stored, LOST)
    updates = load_batch_updates(run.store, stored.row_id)
    is_unclear = False
    for batch in _find_candidates(task, stored, load_known_batch_ids(run.store)):
        verdict = _recognise(run, task, batch, updates) if batch.is_finished else None
        if verdict:
            log.info("%s: found batch %s again", task.name, batch.batch_id)
            note_sent(run.store, stored.row_id, batch)
            return _process_batch(run, task, replace(stored, batch_id=batch.batch_id))
        if not batch.is_finished:
            _note_waiting(run, task, stored, batch)
            return False
        is_unclear |= verdict is None
    if task.mailchimp.fetch_now() < claimed_at + _UNDECIDED_FOR:
        return False
    if is_unclear:
        return _settle_rest(run, task, stored, LOST)
    log.info("%s: a batch never reached Mailchimp; sending it again", task.name)
    release(run.store, stored.row_id)
    return True


def _recognise(
    run: Run, task: Task, batch: Batch, updates: Mapping[int, QueuedUpdate]
) -> bool | None:
    """Whether a finished batch is the one with these updates; None when it does not tell."""
    uid = get_cache_uid(run.store)
    verdict = None
    for outcome in _Outcomes(task.mailchimp.fetch_outcomes(batch)).read():
        if read_operation_id(uid, outcome.operation_id) in updates:
            return True
        verdict = False
    return verdict


def _find_candidates(task: Task, stored: StoredBatch, known: set[str]) -> list[Batch]:
    claimed_at = stored.claimed_at or stored.submitted_at
    begin, end = claimed_at - _CLOCK_STEP, claimed_at + _UNDECIDED_FOR
    return [
        batch
        for batch in task.mailchimp.fetch_batches()
        if batch.batch_id not in known
        and begin <= batch.submitted_at <= end
        and batch.total_operations in (0, stored.total_operations)
    ]
