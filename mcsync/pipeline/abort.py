"""Abort: stop what is under way at Mailchimp, as the documents' abortsync does.

Batches are deleted there, which keeps what was carried out already; so each member concerned
is read, and what was not done is given up. Rows given up are `fail`, and are judged again by
the next sync.
"""

import logging

from mcsync.cache.outbox import (
    ABORTED,
    DIRECT,
    StoredBatch,
    close_all_queued,
    load_batch_updates,
    load_open_batches,
    note_processed,
)
from mcsync.pipeline.identity import know_accounts
from mcsync.pipeline.results import settle_by_reading
from mcsync.pipeline.run import Run, Task
from mcsync.text import count_of

log = logging.getLogger("mcsync")


def abort(run: Run) -> None:
    """Give up everything queued or under way, for each audience."""
    know_accounts(run)
    for task in run.healthy_tasks():
        with run.isolated(task):
            given_up = close_all_queued(run.store, task.list_id, "aborted", run.clock())
            for batch in load_open_batches(run.store, [task.list_id]):
                given_up += _abort_batch(run, task, batch)
            run.report(task).operations_failed += given_up
            log.info("%s: %s dropped", task.name, count_of(given_up, "update"))


def _abort_batch(run: Run, task: Task, stored: StoredBatch) -> int:
    """Stop one batch; returns how many of its updates were given up.

    A batch that was claimed but never answered cannot be told from one that does not exist; it
    stays claimed until `process-batches` finds out.
    """
    if stored.batch_id is None and stored.status != DIRECT:
        log.warning(
            "%s: a batch may or may not have reached Mailchimp; run "
            '"mcsync process-batches" in a few minutes',
            task.name,
        )
        return 0
    if stored.batch_id is not None:
        task.mailchimp.delete_batch(stored.batch_id)
    claimed_at = stored.claimed_at or stored.submitted_at
    given_up = 0
    for update in load_batch_updates(run.store, stored.row_id).values():
        given_up += settle_by_reading(run, task, update, claimed_at, gives_up=True)
    note_processed(run.store, stored.row_id, ABORTED)
    return given_up
