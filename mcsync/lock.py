"""One writing run at a time: an OS lock beside the cache, freed by the kernel however we die."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from mcsync.clock import utc_now
from mcsync.errors import CacheError, LockHeld
from mcsync.ownership import (
    beside,
    find_fault,
    is_dangling,
    refuse_locked_out,
    refuse_shared_folder,
    refuse_strangers,
)
from mcsync.text import show_length

LONG_S = 3600  # a run this old is worth a look
_NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)
_MOST_OF_HOLDER = 1000  # bytes
_LET_WRITE = "let the user that runs mcsync write to the folder, or name another file with --cache"


def lock_path(cache: Path) -> Path:
    """Where the lock of a cache is."""
    return cache.with_name(cache.name + ".lock")


def _holder_path(cache: Path) -> Path:
    return cache.with_name(cache.name + ".run")


def resolve_cache(path: Path) -> Path:
    """The one true path of a cache: by whatever name it is called, it has one lock.

    Raises: CacheError for a path that cannot lead to a file.
    """
    if is_dangling(path):
        raise CacheError(
            f"the cache {path} is a broken link",
            hint="correct or remove the link, or name another file with --cache",
        )
    try:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.parent.resolve(strict=True)  # from Python 3.13 on none else tells of circles
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # circles of links; a zero byte
        raise CacheError(
            f"{path} is not a usable path", hint="name another file with --cache or in the config"
        ) from None


@contextmanager
def hold_lock(cache: Path, wait_s: float = 0) -> Iterator[None]:
    """Hold the cache's lock; LockHeld when another run has it, after waiting `wait_s` seconds.

    Who holds it is written beside it, for people; it counts for nothing. No folder is made.
    Raises: CacheError when there can be no cache at that place.
    """
    check_place(cache)
    refuse_locked_out(cache, lock_path(cache), *beside(cache))
    try:
        _make_lock_file(lock_path(cache))
        lock = FileLock(lock_path(cache), timeout=wait_s, mode=0o600)
        lock.acquire()
    except Timeout:
        raise _describe_holder(cache) from None
    except OSError as error:
        raise _explain(cache, error) from error
    try:
        _note_holder(_holder_path(cache))
        with suppress(OSError):
            remove_dry_copy(cache)
        yield
    finally:
        with suppress(OSError):
            _holder_path(cache).unlink(missing_ok=True)
        lock.release()


def check_place(cache: Path) -> None:
    """Refuse what can never become a cache, before a file is made anywhere.

    Raises: CacheError
    """
    folder = cache.parent
    refuse_shared_folder(folder)
    refuse_strangers(cache, lock_path(cache), *beside(cache))
    if os.path.isdir(cache):
        raise CacheError(
            f"the cache {cache} is a directory", hint=f"name a file in it: {cache / 'mcsync.db'}"
        )
    if os.path.isdir(folder):
        return
    if os.path.exists(folder):
        raise CacheError(
            f"the cache cannot be {cache}: {folder} is a file, not a folder",
            hint="name another file with --cache or in the config",
        )
    if _is_closed(folder):
        raise CacheError(f"cannot enter {folder}, the folder of the cache", hint=_LET_WRITE)
    raise CacheError(
        f"{folder}, the folder of the cache, does not exist",
        hint="create or mount it, or name another file with --cache or in the config",
    )


def dry_copy_path(cache: Path) -> Path:
    """Where a dry run works on a copy of a cache; whoever holds the lock next removes it."""
    return cache.with_name(cache.name + ".dry")


def remove_dry_copy(cache: Path) -> None:
    """Remove what a dry run left that was killed; for who holds the lock. Raises: OSError"""
    copy = dry_copy_path(cache)
    for path in (copy, *beside(copy)):
        path.unlink(missing_ok=True)


def _is_closed(folder: Path) -> bool:
    """Whether we may not even look if the folder is there."""
    try:
        os.stat(folder)
    except OSError as error:
        return error.errno == errno.EACCES
    return False


def check_writable(cache: Path) -> None:
    """Refuse what the current user could not make or write; nothing is made or opened.

    Raises: CacheError
    """
    check_place(cache)
    refuse_locked_out(cache, lock_path(cache), *beside(cache))
    if not os.access(cache.parent, os.W_OK | os.X_OK):
        raise CacheError(
            f"cannot write to {cache.parent}, the folder of the cache", hint=_LET_WRITE
        )
    for path in (cache, lock_path(cache), *beside(cache)):
        if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
            raise CacheError(
                f"cannot read and write {path}",
                hint=f"make the user that runs mcsync its owner: chown USER {path}",
            )


def _make_lock_file(path: Path) -> None:
    """Make the lock's file if need be: filelock takes some refusals for another run's lock."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | _NOT_A_LINK, 0o600))


def _explain(cache: Path, error: OSError) -> CacheError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return CacheError(
            f"cannot create a cache at {cache}: its folder is not writable",
            hint=_LET_WRITE,
        )
    return CacheError(
        f"cannot lock {lock_path(cache)}: {error.strerror or error}",
        hint="check the disk, and the permissions of the file and its folder",
    )


def _note_holder(path: Path) -> None:
    holder = {"pid": os.getpid(), "since": utc_now().isoformat(timespec="seconds")}
    with suppress(OSError):
        path.unlink(missing_ok=True)  # whatever it is, a link or a pipe, nothing is written to it
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(json.dumps(holder))


def read_holder(cache: Path) -> dict[str, object]:
    """What the holder of the lock wrote about itself; empty when that is not known."""
    path = _holder_path(cache)
    try:
        # A stranger's pipe must not have us wait, nor a file of theirs fill the memory.
        number = os.open(path, os.O_RDONLY | _NOT_A_LINK | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(number, "rb") as file:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or find_fault(path, found) is not None:
                return {}
            holder = json.loads(file.read(_MOST_OF_HOLDER))
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _describe_holder(cache: Path) -> LockHeld:
    holder = read_holder(cache)
    pid, age_s = holder.get("pid"), _read_age_s(holder)
    if not isinstance(pid, int) or age_s is None:
        return LockHeld(f"another run holds {lock_path(cache).name}")
    message = f"another run (process {pid}) has been at work for {show_length(age_s)}"
    hint = None if age_s < LONG_S else "look at that process; stop it if it hangs"
    return LockHeld(message, hint=hint)


def _read_age_s(holder: dict[str, object]) -> float | None:
    """How long it has been at work, in seconds; None when it did not say so sensibly."""
    try:
        since = datetime.fromisoformat(str(holder.get("since")))
        age_s = (utc_now() - since).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date; one without a zone
        return None
    return age_s if age_s >= 0 else None
