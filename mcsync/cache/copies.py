"""A copy of the cache a day, beside it: `mcsync.db.2026-11-26.copy`.

The cache knows what the services do not tell: which words were ours, who was asked to confirm.
Whoever loses it makes a first run; a copy of yesterday makes that one day. Days are those of UTC.
"""

import errno
import logging
import os
import re
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from pathlib import Path

from mcsync.cache.copy_names import list_copies, place_of, text_of_restoring
from mcsync.cache.store import Store
from mcsync.errors import CacheError
from mcsync.ownership import beside

log = logging.getLogger("mcsync")

_PAGES = 4096  # copied in one step, mostly 16 MiB; between two of them signals are heard
_WARNED = "copy-warned"  # the day when somebody was last told that there is no copy
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LEAVE = (errno.EACCES, errno.EPERM, errno.EROFS)


class _Damaged(Exception):
    """What was copied is not whole."""


def keep_copies(store: Store, now: datetime, most: int) -> None:
    """Make today's copy, if it is not there, and delete the oldest beyond `most`; 0 makes none.

    For a run that holds the lock. The cache is only read, as it is when the copy begins, so that
    webhooks are stored meanwhile. Trouble stops nothing: it is a warning, once a day. Copies of
    days to come are left alone, and count for nothing: a clock was wrong, then or now.
    """
    today = now.astimezone(UTC).date()
    copy = place_of(store.path, today)
    try:
        if copy.is_file():
            return
        _remove_leftovers(store.path)
        if most > 0:
            _check_room(store)
            _make(store.path, copy)
    except (OSError, sqlite3.Error, CacheError, _Damaged) as error:
        _warn(store, today, _text_of_trouble(store.path, error))
        return
    _delete_oldest(store, today, most)


def replace_copies(store: Store, now: datetime, most: int) -> int:
    """Have no copy but one of the cache as it is now, where there were any; how many there were.

    For what must not be in them any more: they go even where a new one cannot be made, which is a
    warning. `most` 0 makes none.
    Raises: CacheError for one that cannot be deleted.
    """
    old = [copy for _, copy in list_copies(store.path)]
    today = now.astimezone(UTC).date()
    fresh = place_of(store.path, today)
    try:
        _remove_leftovers(store.path)
        if most > 0 and old:
            _check_room(store)
            _make(store.path, fresh)
            old.append(fresh)
    except (OSError, sqlite3.Error, CacheError, _Damaged) as error:
        _warn(store, today, _text_of_trouble(store.path, error))
        fresh = store.path
    for copy in {*old} - {fresh}:
        try:
            _delete(copy)
        except OSError as error:
            raise CacheError(
                f"cannot delete the copy {copy}: {error.strerror}", hint="delete it yourself"
            ) from error
    return len({*old} - {fresh})


# --- making and deleting --------------------------------------------------------------------------


def _remove_leftovers(path: Path) -> None:
    """Remove what a run left that was killed while it copied."""
    shape = re.compile(re.escape(path.name) + r"\.[0-9-]{10}\.copy\.part(-journal|-wal|-shm)?")
    for name in os.listdir(path.parent):
        if shape.fullmatch(name):
            path.with_name(name).unlink(missing_ok=True)


def _make(path: Path, copy: Path) -> None:
    """Make the copy under another name, and give it its own when it is whole and on the disk."""
    part = copy.with_name(f"{copy.name}.part")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _copy(path, part)
        _check_whole(part)
        os.replace(part, copy)
    except BaseException:
        with suppress(OSError):
            _delete(part)
        raise


def _check_room(store: Store) -> None:
    """A disk that is nearly full is not filled to find out: others need it, too."""
    pages, size = (store.value(f"PRAGMA page_{what}") for what in ("count", "size"))
    if shutil.disk_usage(store.path.parent).free < pages * size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _copy(path: Path, part: Path) -> None:
    """Copy the cache as it is now, by a connection that cannot write.

    SQLite's backup begins anew whenever another process has written, and would never end while
    webhooks come in; a reading transaction around it keeps what it reads as it is.
    """
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    with closing(source), closing(sqlite3.connect(part)) as target:
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master").fetchone()
        target.execute("PRAGMA journal_mode = MEMORY")  # what fails is deleted
        source.backup(target, pages=_PAGES, progress=_notice_signals)


def _notice_signals(_status: int, _remaining: int, _total: int) -> None:
    """Do nothing: Python hears Ctrl-C whenever a function of Python's is called."""


def _check_whole(part: Path) -> None:
    """A copy of a damaged cache is damaged, and must not push a good one out.

    It takes about a second for each gigabyte.
    """
    # Immutable: nothing is put beside it.
    uri = f"{part.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as copy:
        found = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise _Damaged(str(found[0]).splitlines()[-1])


def _delete_oldest(store: Store, today: date, most: int) -> None:
    if most <= 0:
        return
    try:
        dated = sorted((pair for pair in list_copies(store.path) if pair[0] <= today), reverse=True)
    except OSError as error:
        _warn(store, today, _text_of_trouble(store.path, error))
        return
    for _, copy in dated[most:]:
        try:
            _delete(copy)
        except OSError as error:
            _warn(
                store,
                today,
                f"cannot delete the old copy {copy}: {error.strerror}; delete it yourself,"
                " and let the user that runs mcsync write to its folder",
            )
            return


def _delete(copy: Path) -> None:
    for path in (copy, *beside(copy)):
        path.unlink(missing_ok=True)


# --- telling --------------------------------------------------------------------------------------


def _text_of_trouble(path: Path, error: Exception) -> str:
    words = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if isinstance(error, _Damaged) or "malformed" in words or "not a database" in words:
        todo = text_of_restoring(path) or "there is no earlier copy"
        return f"the cache {path} is damaged ({words}), so it was not copied; {todo}"
    number = error.errno if isinstance(error, OSError) else None
    if number in _NO_ROOM or "disk is full" in words:
        todo = f"free some space in {path.parent}"
    elif number in _NO_LEAVE or "readonly" in words or "unable to open" in words:
        todo = f"let the user that runs mcsync write to {path.parent}"
    else:
        todo = "check the disk"
    return (
        f'the cache could not be copied today: {words}; {todo}, or set "backups" to 0 in the config'
    )


def _warn(store: Store, today: date, text: str) -> None:
    """Tell it once a day, however many runs there are; in the others it is news for `-v`."""
    is_told = False
    with suppress(CacheError):  # the same trouble again, surely
        is_told = store.get_state(_WARNED) == today.isoformat()
        if not is_told:
            with store.atomic():
                store.set_state(_WARNED, today.isoformat())
    log.log(logging.INFO if is_told else logging.WARNING, "%s", text)
