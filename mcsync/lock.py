"""One writing run at a time: an OS lock beside the cache, freed by the kernel however we die."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from mcsync.errors import CacheError, LockHeld

LONG_S = 3600  # a run this old is worth a look


class LockHeldLong(LockHeld):
    """Another run has been at work for hours."""


def lock_path(cache: Path) -> Path:
    """Where the lock of a cache is."""
    return cache.with_name(cache.name + ".lock")


def _holder_path(cache: Path) -> Path:
    return cache.with_name(cache.name + ".run")


@contextmanager
def hold_lock(cache: Path, wait_s: float = 0) -> Iterator[None]:
    """Hold the cache's lock; LockHeld when another run has it, after waiting `wait_s` seconds.

    Who holds it is written beside it, for people; it counts for nothing.
    """
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path(cache), timeout=wait_s, mode=0o600)
        lock.acquire()
    except Timeout:
        raise _describe_holder(cache) from None
    except OSError as error:
        raise CacheError(
            f"cannot lock {lock_path(cache)}: {error.strerror or error}",
            hint="check that the folder exists and may be written",
        ) from error
    try:
        holder = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        with suppress(OSError):
            _holder_path(cache).write_text(json.dumps(holder), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            _holder_path(cache).unlink(missing_ok=True)
        lock.release()


def read_holder(cache: Path) -> dict[str, object]:
    """What the holder of the lock wrote about itself; empty when that is not known."""
    try:
        holder = json.loads(_holder_path(cache).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _describe_holder(cache: Path) -> LockHeld:
    holder = read_holder(cache)
    try:
        age_s = (datetime.now(UTC) - datetime.fromisoformat(str(holder["since"]))).total_seconds()
    except (KeyError, ValueError):
        return LockHeld(f"another run holds {lock_path(cache).name}")
    message = f"another run (process {holder['pid']}) has been at work for {_show_length(age_s)}"
    if age_s < LONG_S:
        return LockHeld(message)
    return LockHeldLong(message, hint="look at that process; stop it if it hangs")


def _show_length(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes >= 120:
        return f"{minutes // 60} hours"
    return f"{minutes} minutes" if minutes >= 2 else f"{int(seconds)} seconds"
