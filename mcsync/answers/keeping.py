"""Keeping: both sides of audiences, from the cache into files of their own."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mcsync.answers.status import Watched
from mcsync.cache.audience_status import load_status
from mcsync.cache.both_sides import read_both_sides
from mcsync.cache.snapshots import Snapshot, write_snapshot
from mcsync.cache.store import Store
from mcsync.errors import PartialFailure

log = logging.getLogger("mcsync")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was written of one audience."""

    watched: Watched
    snapshots: Sequence[Snapshot]


def keep_snapshots(
    store: Store | None, audiences: Sequence[Watched], folder: Path, now: datetime
) -> list[Kept]:
    """Write the audiences' sides into a folder; those that were never fetched are told and left.

    Half a list would look like all of it.
    Raises: PartialFailure where none was ever fetched; SnapshotError
    """
    kept = []
    for watched in audiences:
        status = load_status(store, watched.list_id) if store is not None else None
        if store is None or status is None or status.fetched_at is None:
            log.warning(
                "%s: no snapshot, because it has never been fetched completely", watched.name
            )
            continue
        tables = read_both_sides(store, watched.policy, status.interest_names)
        written = write_snapshot(folder, watched.list_id, watched.name, tables, now)
        kept.append(Kept(watched, written))
    if not kept:
        raise PartialFailure(
            "there is nothing to write: no audience has been fetched completely",
            hint='run "mcsync fetch" first',
        )
    return kept
