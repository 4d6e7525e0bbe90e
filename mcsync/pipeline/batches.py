"""The batch result handler, by polling: what became of what we sent.

Each outcome is applied once, by the same rules as a fetch, in the transaction that completes
its update. Whatever a batch leaves open is settled by reading the member.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from mcsync.cache.outbox import (
    DIRECT,
    LOST,
    QueuedUpdate,
    StoredBatch,
    get_cache_uid,
    load_batch_updates,
    load_known_batch_ids,
    load_open_batches,
    note_batch,
    note_processed,
    note_sent,
    read_operation_id,
    release,
)
from mcsync.errors import ProtocolError, RemoteUnavailable
from mcsync.model import Batch, Outcome, Refusal
from mcsync.pipeline.results import apply_outcome, settle_by_reading
from mcsync.pipeline.run import Run, Task

log = logging.getLogger("mcsync.batches")

_CHUNK = 200  # outcomes applied in one transaction
_FIRST_POLL_S, _LAST_POLL_S = 5.0, 60.0  # Mailchimp's own advice (facts, section 6)
# A POST that timed out may run on for Mailchimp's 120 s; after that it is there or it is not.
_UNDECIDED_FOR = timedelta(seconds=150)
_CLOCK_SKEW = timedelta(minutes=5)
_WITHOUT_URL_FOR = timedelta(minutes=10)


def process_batches(run: Run) -> int:
    """Take in the results of all finished batches; returns how many batches are still running."""
    running = 0
    for task in run.healthy_tasks():
        with run.isolated(task):
            for batch in load_open_batches(run.store, [task.list_id]):
                running += not _process_batch(run, task, batch)
    return running


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


def _process_batch(run: Run, task: Task, stored: StoredBatch) -> bool:
    """Take in one batch; False while it is still running."""
    if stored.status == DIRECT:
        _settle_rest(run, task, stored)
        note_processed(run.store, stored.row_id)
        return True
    if stored.batch_id is None:
        return _adopt(run, task, stored)
    batch = task.mailchimp.fetch_batch(stored.batch_id)
    if batch is None:
        log.warning(
            "%s: Mailchimp no longer knows batch %s; reading its members instead",
            task.name,
            stored.batch_id,
        )
        _settle_rest(run, task, stored)
        note_processed(run.store, stored.row_id)
        return True
    if not batch.is_finished or _lacks_results(run, batch):
        note_batch(run.store, stored.row_id, batch, 0)
        return False
    note_batch(run.store, stored.row_id, batch, 1)
    _take_in_results(run, task, stored, batch)
    _settle_rest(run, task, stored)
    note_processed(run.store, stored.row_id)
    run.report(task).batches_processed += 1
    return True


def _lacks_results(run: Run, batch: Batch) -> bool:
    """Whether the results are not there yet although the batch has finished."""
    if batch.results_url:
        return False
    return batch.completed_at is None or run.clock() < batch.completed_at + _WITHOUT_URL_FOR


def _take_in_results(run: Run, task: Task, stored: StoredBatch, batch: Batch) -> None:
    if not batch.results_url:
        return
    uid = get_cache_uid(run.store)
    updates = load_batch_updates(run.store, stored.row_id)
    for outcomes in _in_chunks(_read_outcomes(task, batch)):
        with run.store.atomic():
            for outcome in outcomes:
                update_id = read_operation_id(uid, outcome.operation_id)
                update = updates.pop(update_id, None) if update_id is not None else None
                if update is None or outcome.refusal is Refusal.NOT_FOUND:
                    continue  # foreign, or doubled; whether somebody is gone tells only a look
                apply_outcome(run, task, update, outcome)


def _read_outcomes(task: Task, batch: Batch) -> Iterator[Outcome]:
    """The outcomes that can be read; what an archive lost is settled afterwards."""
    try:
        yield from task.mailchimp.fetch_outcomes(batch)
    except (ProtocolError, RemoteUnavailable) as error:
        log.warning("%s: results of batch %s: %s", task.name, batch.batch_id, error.message)


def _in_chunks(outcomes: Iterator[Outcome]) -> Iterator[Sequence[Outcome]]:
    chunk: list[Outcome] = []
    for outcome in outcomes:
        chunk.append(outcome)
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _settle_rest(run: Run, task: Task, stored: StoredBatch) -> None:
    """Find out what became of operations that have no result, one member at a time."""
    for update in load_batch_updates(run.store, stored.row_id).values():
        settle_by_reading(run, task, update)


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


# --- a batch whose id we never learned --------------------------------------------------------


def _adopt(run: Run, task: Task, stored: StoredBatch) -> bool:
    """Find a claimed batch at Mailchimp; False while it may still exist but cannot be told.

    A batch that may be ours, but whose results tell nothing, is settled by reading: what it did
    is never done twice. Only when there is nothing that could be ours is everything sent again.
    """
    updates = load_batch_updates(run.store, stored.row_id)
    is_unclear = False
    for batch in _find_candidates(run, task, stored):
        verdict = _recognise(run, task, batch, updates) if batch.is_finished else None
        if verdict:
            log.info("%s: found batch %s again", task.name, batch.batch_id)
            note_sent(run.store, stored.row_id, batch)
            return _process_batch(run, task, replace(stored, batch_id=batch.batch_id))
        if not batch.is_finished:
            return False
        is_unclear |= verdict is None
    if run.clock() < stored.submitted_at + _UNDECIDED_FOR:
        return False
    if is_unclear:
        _settle_rest(run, task, stored)
        note_processed(run.store, stored.row_id, LOST)
    else:
        log.info("%s: a batch never reached Mailchimp; sending it again", task.name)
        release(run.store, stored.row_id)
    return True


def _recognise(
    run: Run, task: Task, batch: Batch, updates: Mapping[int, QueuedUpdate]
) -> bool | None:
    """Whether a finished batch is the one with these updates; None when it does not tell."""
    uid = get_cache_uid(run.store)
    verdict = None
    for outcome in _read_outcomes(task, batch):
        if read_operation_id(uid, outcome.operation_id) in updates:
            return True
        verdict = False
    return verdict


def _find_candidates(run: Run, task: Task, stored: StoredBatch) -> list[Batch]:
    known = load_known_batch_ids(run.store)
    return [
        batch
        for batch in task.mailchimp.fetch_batches()
        if batch.batch_id not in known
        and batch.submitted_at >= stored.submitted_at - _CLOCK_SKEW
        and batch.total_operations in (0, stored.total_operations)
    ]
