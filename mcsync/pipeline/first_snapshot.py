"""Both sides of an audience as they were before mcsync changed anything, kept once."""

import logging
from datetime import timedelta

from mcsync.cache.audience_status import load_status, save_status
from mcsync.cache.both_sides import read_both_sides
from mcsync.cache.snapshots import forget_snapshots, make_own_folder, write_snapshot
from mcsync.cache.times import to_text
from mcsync.errors import SnapshotError
from mcsync.pipeline.run import Run, Task
from mcsync.text import count_of

log = logging.getLogger("mcsync")


def keep_first_snapshot(run: Run, task: Task) -> None:
    """Keep both sides beside the cache, unless that was done; call it before whatever writes.

    What cannot be kept is not changed: the audience is left alone until it can. A dry run, which
    changes nothing, keeps nothing.
    Raises: SnapshotError
    """
    if run.is_dry_run:
        return
    status = load_status(run.store, task.list_id)
    if status.snapshot_at is not None:
        return
    # All that the config maps: the rules at hand may leave some out for this run.
    policy = next(each.policy for each in run.tasks if each.list_id == task.list_id)
    tables = read_both_sides(run.store, policy, status.interest_names)
    try:
        folder = make_own_folder(run.store.path)
        written = write_snapshot(folder, task.list_id, task.name, tables, run.clock())
    except SnapshotError as error:
        raise SnapshotError(
            f"{error.message}; nothing is changed before there is one", hint=error.hint
        ) from error
    status.snapshot_at = to_text(run.clock())
    with run.store.atomic():
        save_status(run.store, task.list_id, status)
    log.info(
        "%s: kept both sides as they were before the first change, in %s",
        task.name,
        " and ".join(str(snapshot.path) for snapshot in written),
    )


def forget_old_snapshots(run: Run) -> None:
    """They go with the trail that leads back to them; trouble with it can wait for another run."""
    before = run.earliest_now() - timedelta(days=run.history_days)
    try:
        count = forget_snapshots(run.store.path, before)
    except OSError as error:
        log.info("old snapshots could not be deleted: %s", error.strerror)
        return
    if count:
        log.info("deleted %s older than the history", count_of(count, "snapshot"))
