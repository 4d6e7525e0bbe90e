"""The cache that a run works on: the file itself, or for a dry run a copy that is thrown away.

The copy holds what the cache holds, so it lies where that does, for nobody else to read; and who
dies before it is thrown away leaves it to whoever takes the lock next.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from mcsync.cache.store import Store, explain_trouble
from mcsync.errors import CacheError
from mcsync.lock import dry_copy_path, lock_path, remove_dry_copy

_TRIES = 20


@contextmanager
def open_cache(path: Path, *, is_dry_run: bool) -> Iterator[Store]:
    """The cache at `path`, or a temporary copy of it; closed at the end."""
    if not is_dry_run:
        with closing(Store(path)) as store:
            yield store
        return
    copy = dry_copy_path(path)
    try:
        _prepare(path, copy)
        with closing(Store(copy)) as store:
            yield store
    finally:
        with suppress(OSError):  # a disk that is gone; the next one tries again
            remove_dry_copy(path)
    if not path.exists():
        # Nobody has ever worked here: the lock file would be all that is left of this run.
        lock_path(path).unlink(missing_ok=True)


def _prepare(path: Path, copy: Path) -> None:
    """Make the copy, if there is anything to copy. Raises: CacheError"""
    try:
        if path.exists():
            _copy(path, copy)
    except OSError as error:
        raise explain_trouble(path, error) from error


def _copy(path: Path, copy: Path) -> None:
    """Copy the file as it lies there, until nobody wrote while we did.

    We hold the lock of a run, but webhooks are stored without it.
    """
    log = path.with_name(f"{path.name}-wal")
    for _ in range(_TRIES):
        before = _look(path), _look(log)
        _copy_file(path, copy)
        copied_log = copy.with_name(f"{copy.name}-wal")
        try:  # what is committed, and not yet moved into the file
            _copy_file(log, copied_log)
        except FileNotFoundError:
            copied_log.unlink(missing_ok=True)
        if before == (_look(path), _look(log)):
            return
    raise CacheError(
        f"{path} is written to all the time, so that no copy could be made of it",
        hint="try again when fewer webhooks come in",
    )


def _copy_file(path: Path, copy: Path) -> None:
    """Copy one file, for nobody but us to read."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    shutil.copyfile(path, copy)


def _look(path: Path) -> tuple[int, int] | None:
    """Size and time of the last write (ns), None if there is no such file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
