"""The cache that a run works on: the file itself, or for a dry run a copy that is thrown away."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mcsync.cache.store import Store
from mcsync.lock import lock_path


@contextmanager
def open_cache(path: Path, *, is_dry_run: bool) -> Iterator[Store]:
    """The cache at `path`, or a temporary copy of it; closed at the end."""
    if not is_dry_run:
        with closing(Store(path)) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="mcsync-") as folder:
        copy = Path(folder) / path.name
        if path.exists():
            _copy(path, copy)
        with closing(Store(copy)) as store:
            yield store
    if not path.exists():
        # Nobody has ever worked here: the lock file would be all that is left of this run.
        lock_path(path).unlink(missing_ok=True)


def _copy(path: Path, copy: Path) -> None:
    """Copy the file as it lies there; we hold the lock, so nobody writes it meanwhile."""
    shutil.copyfile(path, copy)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():  # what a run that died had committed, and not yet moved into the file
        shutil.copyfile(log, copy.with_name(f"{copy.name}-wal"))
