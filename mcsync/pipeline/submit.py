"""Submit: queued updates to Mailchimp, up to 1,000 a batch, one audience a batch.

Record, act, record: updates are claimed for a batch before it is posted, and its id is stored
after. What happens in between is found out by `batches`.
"""

import logging

from mcsync.cache.outbox import (
    claim,
    count_queued,
    find_unbatchable,
    get_cache_uid,
    has_queued,
    make_operation_id,
    note_sent,
    release,
)
from mcsync.errors import RemoteRefused, RemoteUnavailable
from mcsync.model import Operation
from mcsync.pipeline.direct import send_directly
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.run import Run, Task
from mcsync.text import count_of

log = logging.getLogger("mcsync.submit")

BATCH_SIZE = 1000  # Mailchimp's own guide uses it; the documents: "batches of up to 1,000"
_DIRECT_SIZE = 50  # direct calls that are claimed together; after a crash so many members are read


def submit(run: Run) -> None:
    """Send what is queued, for each audience; a dry run leaves it queued."""
    if run.is_dry_run:
        return
    know_accounts(run)
    for task in run.healthy_tasks():
        with run.isolated(task):
            submit_audience(run, task)


def submit_audience(run: Run, task: Task) -> None:
    """Send what is queued for one audience."""
    alone = find_unbatchable(run.store, task.list_id)
    for start in range(0, len(alone), _DIRECT_SIZE):
        send_directly(run, task, alone[start : start + _DIRECT_SIZE])
        run.check_time()
    submit_batches(run, task)


def submit_batches(run: Run, task: Task, of_run: str | None = None) -> None:
    """Send what is queued for one audience, or what one run has queued, in batches."""
    while has_queued(run.store, task.list_id, of_run) and _submit_batch(run, task, of_run):
        run.check_time()


def _submit_batch(run: Run, task: Task, of_run: str | None) -> bool:
    """Send one batch; False when nothing was queued."""
    with run.store.atomic():
        uid = get_cache_uid(run.store)
    claimed_at = task.mailchimp.fetch_now()
    whose = (task.list_id, task.account)
    claimed = claim(run.store, *whose, run.clock(), claimed_at, limit=BATCH_SIZE, of_run=of_run)
    if claimed is None:
        return False
    batch, updates = claimed
    operations = [
        Operation(make_operation_id(uid, u.update_id), task.list_id, u.change) for u in updates
    ]
    try:
        sent = task.mailchimp.submit_batch(operations)
    except RemoteRefused:
        release(run.store, batch.row_id)  # an answer, and it says no: nothing is under way
        raise
    except RemoteUnavailable as error:
        if not error.may_have_arrived:
            release(run.store, batch.row_id)
        raise
    note_sent(run.store, batch.row_id, sent)
    report = run.report(task)
    report.batches_submitted += 1
    report.count_sent(update.change for update in updates)
    sent_so_far, left = report.operations_submitted, count_queued(run.store, task.list_id)
    run.progress(task.name, "operations sent", sent_so_far, sent_so_far + left)
    log.info("%s: batch of %s submitted", task.name, count_of(len(operations), "operation"))
    return True
