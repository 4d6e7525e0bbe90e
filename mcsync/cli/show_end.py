"""How a run ends for a person who watches: a sentence for each audience, in numbers."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mcsync.cache.audience_status import count_todo
from mcsync.cache.counts import load_waiting_batches
from mcsync.cache.outbox import count_queued
from mcsync.logs import wrap, write_error
from mcsync.text import one_line

if TYPE_CHECKING:
    from mcsync.cache.store import Store
    from mcsync.pipeline.run import Report, Run


def show_end(run: "Run") -> None:
    """Say on stderr what was done for each audience, and what is left of it."""
    for report in run.reports.values():
        done = [*_find_done(report), *_find_left(run.store, report)]
        if report.in_sync and done:
            done[-1] += "; in sync"
        if done or report.trouble is None:
            nothing = "in sync; nothing to do" if report.in_sync else "nothing to do"
            sentence = one_line(f"{report.name}: {', '.join(done) or nothing}")
            write_error([wrap(sentence, "  ")], os.environ)


def _find_done(report: "Report") -> Iterator[str]:
    parts = [
        (report.contacts_created, "created in CiviCRM"),
        (report.added_to_group, "added to the group"),
        (report.removed_from_group, "removed from the group"),
        (report.names_updated, "renamed in CiviCRM"),
        (report.operations_submitted, "sent to Mailchimp"),
        (report.operations_ok, "done there"),
        (report.operations_failed, "refused there"),
        (report.failed, "refused by CiviCRM"),
        (report.asked_to_confirm, "asked to confirm"),
    ]
    yield from (f"{count:,} {what}" for count, what in parts if count)


def _find_left(store: "Store", report: "Report") -> Iterator[str]:
    """What is not done yet: sent without a result, only queued, or to be judged again.

    Those who are held are told of with what holds them.
    """
    waiting = sum(b.total_operations for b in load_waiting_batches(store, report.list_id))
    parts = [
        (waiting, "waiting for Mailchimp's results"),
        (count_queued(store, report.list_id), 'to be sent by "mcsync submit"'),
        (0 if report.held else count_todo(store, report.list_id), "left to the next sync"),
    ]
    yield from (f"{count:,} {what}" for count, what in parts if count)
