"""SIGTERM, SIGINT and SIGHUP: stop at once, with all that is open rolled back or released."""

import os
import signal
import threading
from typing import NoReturn

_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none


class Stopped(BaseException):
    """A signal ends this run; no `except Exception` on the way may keep it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


def catch_signals() -> None:
    """Let all raise Stopped; for a process of our own only, in its main thread.

    SIGINT stays ignored where it was, as by `mcsync sync &` in a script; so does SIGHUP, as by
    `nohup`.
    """
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is signal.SIG_DFL:
        signal.signal(_HANG_UP, _stop)
    _watch()


# A signal that comes just before the main thread begins to wait for an answer does not end that
# wait: Python's own handler has run by then, ours would run when the answer is there. So a thread
# hears of it, too, and sends it again until ours has run.
_AGAIN_S = 0.2
_lock = threading.Lock()
_has_run = threading.Event()
WATCHER = "mcsync-signals"


def _watch() -> None:
    if not hasattr(signal, "pthread_kill"):  # on Windows waits are short
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_repeat, args=(reader,), name=WATCHER, daemon=True).start()


def _repeat(reader: int) -> None:
    main = threading.main_thread().ident or 0
    number = os.read(reader, 1)[0]
    while not _has_run.wait(_AGAIN_S):
        with _lock:
            if not _has_run.is_set():
                signal.pthread_kill(main, number)


def release_signals() -> None:
    """What is under way is the end: SIGTERM changes nothing any more, Ctrl-C ends it hard.

    `timeout` sends SIGTERM twice, to the process and to its group; a person who presses Ctrl-C
    again means it.
    """
    for number, action in (
        (signal.SIGTERM, signal.SIG_IGN),
        (signal.SIGINT, signal.SIG_DFL),
        (_HANG_UP, signal.SIG_IGN),
    ):
        if number is not None and signal.getsignal(number) is _stop:
            signal.signal(number, action)


def _stop(number: int, _frame: object) -> NoReturn:
    with _lock:
        _has_run.set()
        release_signals()
    raise Stopped(number)
