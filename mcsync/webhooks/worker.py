"""The thread that has the queue handled as soon as something is in it."""

import logging
import threading
from collections.abc import Callable

from mcsync.errors import LockHeld, McsyncError

log = logging.getLogger("mcsync")

_TURN_S = 0.2  # between two chunks: a run that waits for the lock looks every 50 ms
_LOCK_PAUSES_S = (0.2, 5.0)  # the first and the longest
_TROUBLE_PAUSES_S = (5.0, 300.0)


class Worker:
    """Calls `handle` when there is news, until it returns 0.

    `handle` works on one chunk and returns how many events it handled; LockHeld from it means
    that a run is at work, any other McsyncError that nothing can be done just now. Both are
    tried again in growing pauses; what is never handled here the next sync handles.
    """

    def __init__(self, handle: Callable[[], int]) -> None:
        self._handle = handle
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._pause_s = 0.0
        self._last_trouble = ""
        self._thread = threading.Thread(target=self._work, name="mcsync-worker", daemon=True)

    def start(self) -> None:
        """Begin with what is in the queue already."""
        self._news.set()
        self._thread.start()

    def wake(self) -> None:
        """Say that something came into the queue."""
        self._news.set()

    def stop(self, timeout_s: float) -> bool:
        """End after the chunk in hand, or leave it behind after so many seconds: False then."""
        self._stopping.set()
        self._news.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            self._news.wait()
            if self._stopping.is_set():
                return
            self._news.clear()
            again_s = self._try()
            if again_s is not None:
                self._stopping.wait(again_s)
                self._news.set()

    def _try(self) -> float | None:
        """One chunk; in how many seconds to go on, None for at the next news."""
        try:
            handled = self._handle()
        except LockHeld:
            return self._lengthen(*_LOCK_PAUSES_S)
        except McsyncError as error:
            return self._warn(error.message)
        except Exception as error:  # a bug of ours must not end the server: it still stores
            return self._warn(f"unexpected failure, {type(error).__name__}; please report it")
        self._pause_s, self._last_trouble = 0.0, ""
        return _TURN_S if handled else None

    def _warn(self, trouble: str) -> float:
        """Log why it does not work: loud for the first time."""
        level = logging.INFO if trouble == self._last_trouble else logging.WARNING
        log.log(level, "webhooks are waiting: %s", trouble)
        self._last_trouble = trouble
        return self._lengthen(*_TROUBLE_PAUSES_S)

    def _lengthen(self, first_s: float, longest_s: float) -> float:
        self._pause_s = min(max(first_s, self._pause_s * 2), longest_s)
        return self._pause_s
