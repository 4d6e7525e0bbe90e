"""What was kept long enough goes: the trail, what was sent, snapshots, webhooks given up."""

import logging
from datetime import timedelta

from mcsync.cache.creations import forget_creations
from mcsync.cache.outbox import forget_sent
from mcsync.cache.retention import GIVEN_UP_FOR
from mcsync.cache.trail import forget_history
from mcsync.cache.undos import forget_undos
from mcsync.cache.webhooks import drop_given_up
from mcsync.pipeline.first_snapshot import forget_old_snapshots
from mcsync.pipeline.run import Run
from mcsync.text import count_of

log = logging.getLogger("mcsync")

_DONE_ON = "forgot-old-on"  # the day when all that was sent was last looked through


def forget_old(run: Run) -> None:
    """Drop what is older than `historyDays`, or was given up long ago; call it where a run ends.

    A dry run drops nothing.
    """
    if run.is_dry_run:
        return
    before = run.earliest_now() - timedelta(days=run.history_days)
    forget_history(run.store, before)
    forget_undos(run.store, before)
    forget_creations(run.store, run.clock())
    today = run.clock().date().isoformat()
    if run.store.get_state(_DONE_ON) != today:
        count = forget_sent(run.store, before)
        with run.store.atomic():
            run.store.set_state(_DONE_ON, today)
        if count:
            log.info("dropped %s older than the history", count_of(count, "finished update"))
    forget_old_snapshots(run)
    dropped = drop_given_up(run.store, run.earliest_now() - GIVEN_UP_FOR)
    if dropped:
        log.warning("dropped %s given up over a month ago", count_of(dropped, "webhook"))
