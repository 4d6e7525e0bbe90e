"""Deliveries into the cache's queue: answered only once they are on the disk.

Many threads hand events in, one thread writes them: whatever has come meanwhile is committed
together, so a burst costs a few commits and not one each. It needs no run's lock; while a run
writes, SQLite lets it wait its turn.
"""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mcsync.cache.store import Store
from mcsync.cache.told_contacts import save_deliveries
from mcsync.errors import CacheError
from mcsync.model import Delivery

log = logging.getLogger("mcsync")

PATIENCE_S = 8.0  # Mailchimp waits 10 s for an answer, then sends again
_RETRY_S = 0.2
# SQLite looks ever more seldom, at last ten times a second, whether another process has done
# writing; a run that writes without cease would hardly ever let us in. We look more often.
_BUSY_MS = 80
_BUSY_RETRY_S = 0.005
_BREATH_S = 0.005  # after a commit: a run that wants to write gets its chance, too
_IDLE_S = 2.0  # the file is then closed: people may move or delete it


@dataclass(slots=True)
class _Ticket:
    """A delivery that somebody waits for; a time of `time.monotonic` says until when."""

    delivery: Delivery
    deadline: float
    is_stored: bool = False
    is_done: threading.Event = field(default_factory=threading.Event)


class Inbox:
    """The queue's door for a server with many threads.

    `on_stored` is called by the writing thread after each commit.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime],
        *,
        on_stored: Callable[[], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._file = _CacheFile(path)
        self._clock = clock
        self._on_stored = on_stored
        self._patience_s = patience_s
        self._waiting: list[_Ticket] = []
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._pause = threading.Event()  # never set
        self._has_trouble = False
        self._writer = threading.Thread(target=self._work, name="mcsync-inbox", daemon=True)

    def start(self) -> None:
        """Begin; the file is opened when the first event comes."""
        self._writer.start()

    def store(self, delivery: Delivery) -> bool:
        """Put it into its queue; True once it is on the disk, False when that took too long.

        After a False it may still be stored: it then comes twice, which does no harm.
        """
        ticket = _Ticket(delivery, time.monotonic() + self._patience_s)
        with self._news:
            if self._stopping.is_set():
                return False
            self._waiting.append(ticket)
            self._news.notify()
        ticket.is_done.wait(self._patience_s)
        return ticket.is_stored

    def stop(self) -> None:
        """Take nothing more, write what waits, and end."""
        with self._news:
            self._stopping.set()
            self._news.notify()
        self._writer.join(self._patience_s + _RETRY_S)

    # --- the writing thread -----------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while tickets := self._take():
                try:
                    self._write(tickets)
                except Exception as error:  # a bug of ours; the thread must outlive it
                    log.error("a webhook could not be stored: %s", type(error).__name__)
                    _answer(tickets, is_stored=False)
        finally:
            self._file.close()

    def _take(self) -> list[_Ticket]:
        """Everything that waits, as soon as something does; empty when this is the end."""
        while True:
            with self._news:
                while not self._waiting and not self._stopping.is_set():
                    if not self._news.wait(_IDLE_S if self._file.is_open else None):
                        break
                taken, self._waiting = self._waiting, []
            now = time.monotonic()
            _answer([ticket for ticket in taken if ticket.deadline <= now], is_stored=False)
            if patient := [ticket for ticket in taken if ticket.deadline > now]:
                return patient
            if not taken and self._stopping.is_set():
                return []
            self._file.close()

    def _write(self, tickets: list[_Ticket]) -> None:
        """Commit, or have them wait with those who come meanwhile."""
        try:
            save_deliveries(
                self._file.open(), [ticket.delivery for ticket in tickets], self._clock()
            )
        except CacheError as error:
            with self._news:
                self._waiting[:0] = tickets
            if _is_passing(error):
                self._pause.wait(_BUSY_RETRY_S)
            else:
                self._warn(error)
                self._file.close()
                self._pause.wait(_RETRY_S)
            return
        self._has_trouble = False
        _answer(tickets, is_stored=True)
        self._on_stored()
        self._pause.wait(_BREATH_S)

    def _warn(self, error: CacheError) -> None:
        """Log trouble with the file once."""
        if not self._has_trouble:
            self._has_trouble = True
            log.error("webhooks cannot be stored: %s", error.message)


class _CacheFile:
    """The cache, open while it is needed; for one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: Store | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def is_open(self) -> bool:
        return self._store is not None

    def open(self) -> Store:
        """The cache that lies there now, which may be another one than a moment ago.

        Raises: CacheError
        """
        if self._store is not None and self._identity != _identify(self._path):
            self.close()
        if self._store is None:
            self._store = Store(self._path)
            self._store.query(f"PRAGMA busy_timeout = {_BUSY_MS}")
            self._identity = _identify(self._path)
        return self._store

    def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(sqlite3.Error):
                store.close()


def _identify(path: Path) -> tuple[int, int] | None:
    """Which file it is; None if there is none."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _answer(tickets: list[_Ticket], *, is_stored: bool) -> None:
    for ticket in tickets:
        ticket.is_stored = is_stored
        ticket.is_done.set()


def _is_passing(error: CacheError) -> bool:
    """Whether another process is at the file just now: it writes, or makes its tables."""
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None)
    is_busy = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return is_busy or isinstance(cause, sqlite3.IntegrityError) or "already exists" in str(cause)


def store_at_once(path: Path, delivery: Delivery, now: datetime) -> None:
    """Put one delivery into its queue, from a process of its own.

    Raises: CacheError when that does not succeed within the time.
    """
    deadline = time.monotonic() + PATIENCE_S
    pause, file = threading.Event(), _CacheFile(path)
    try:
        while True:
            try:
                return save_deliveries(file.open(), [delivery], now)
            except CacheError as error:
                if not _is_passing(error) or time.monotonic() >= deadline:
                    raise
            pause.wait(_BUSY_RETRY_S)
    finally:
        file.close()
