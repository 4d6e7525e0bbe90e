"""The cache that a run works on: the file itself, or for a dry run a copy that is thrown away."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from mcsync.cache.store import Store
from mcsync.errors import CacheError
from mcsync.lock import lock_path

_TRIES = 20


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
    """Copy the file as it lies there, until nobody wrote while we did.

    We hold the lock of a run, but webhooks are stored without it.
    """
    log = path.with_name(f"{path.name}-wal")
    for _ in range(_TRIES):
        before = _look(path), _look(log)
        shutil.copyfile(path, copy)
        copied_log = copy.with_name(f"{copy.name}-wal")
        copied_log.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # what is committed, and not yet moved into the file
            shutil.copyfile(log, copied_log)
        if before == (_look(path), _look(log)):
            return
    raise CacheError(
        f"{path} is written to all the time, so that no copy could be made of it",
        hint="try again when fewer webhooks come in",
    )


def _look(path: Path) -> tuple[int, int] | None:
    """Size and time of the last write (ns), None if there is no such file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
