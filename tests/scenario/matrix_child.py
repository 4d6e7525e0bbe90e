"""What the fault matrix runs: one sync, and a helper process that has it die at a chosen point.

The helper is started once (`python -m tests.scenario.matrix_child`), imports everything, and
forks a child for each job that it reads from stdin, one JSON document a line. A child wraps
sending and committing with points, counts them, and at the chosen one kills itself with
SIGKILL. For each job the helper writes one line: how the child ended, and the points it passed.
"""

import faulthandler
import json
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import requests

from mcsync.assemble import build_run
from mcsync.cache import persons, plans
from mcsync.cache.store import Store
from mcsync.civicrm import pace, reading
from mcsync.cli.signals import Stopped, catch_signals
from mcsync.config import load_config
from mcsync.errors import McsyncError
from mcsync.lock import hold_lock
from mcsync.mailchimp import members
from mcsync.pipeline import ahead, batches, carry_out, submit
from mcsync.pipeline.run import Run
from mcsync.pipeline.sync import sync

CRASHED, FAILED = 70, 69


@dataclass(frozen=True, slots=True)
class Job:
    """One run: its config, the time that stands still during it, and where it is to die.

    `wait_s` is that of `sync --wait`; `die_at` counts points from 1, None lives on, and `die_by` is
    the signal; `trace` is where the points passed are noted when it does. `chunk` is the size of
    batches and of transactions, so that a small town has several of each. `at_once` is how many
    read an account, None as in the field; `few`: pages and requests are small, too, so that a small
    town has several under way. After `limit_s` the run is ended by SIGALRM: it hangs.
    """

    config: str
    now: str
    wait_s: float | None = None
    die_at: int | None = None
    die_by: int = signal.SIGKILL
    trace: str | None = None
    chunk: int = 200
    at_once: int | None = None
    few: int | None = None
    limit_s: int = 0


def run_once(job: Job, *, raises: bool = True) -> Run:
    """One `mcsync sync` under the lock, as cron would start it; retries do not sleep.

    Raises: McsyncError, also for what befell single audiences or people when `raises`.
    """
    now = datetime.fromisoformat(job.now)
    config = load_config(Path(job.config), {})
    cache = config.cache.absolute()
    with hold_lock(cache), _in_chunks_of(job.chunk), _side_by_side(job.at_once, job.few):
        store = Store(cache)
        try:
            run = build_run(
                config, config.audiences, store, clock=lambda: now, sleep=lambda _seconds: None
            )
            sync(run, wait_s=job.wait_s)
            if raises:
                run.raise_troubles()
        finally:
            store.close()
    return run


@contextmanager
def _in_chunks_of(size: int) -> Iterator[None]:
    with (
        patch.object(persons, "CHUNK", size),
        patch.object(plans, "CHUNK", size),
        patch.object(submit, "BATCH_SIZE", size),
        patch.object(batches, "_CHUNK", max(1, size // 2)),
    ):
        yield


@contextmanager
def _side_by_side(at_once: int | None, few: int | None) -> Iterator[None]:
    with ExitStack() as stack:
        if at_once is not None:
            stack.enter_context(patch.object(ahead, "AT_ONCE", at_once))
        if few is not None:
            page, sizes = 10 * few, dict.fromkeys(pace.SIZES, (few, 2 * few))
            stack.enter_context(patch.object(members, "PAGE_SIZE", page))
            stack.enter_context(patch.object(members, "MIN_PAGE_SIZE", page - few))
            stack.enter_context(patch.object(reading, "PAGE_SIZE", page))
            stack.enter_context(patch.object(pace, "SIZES", sizes))
            stack.enter_context(patch.object(carry_out, "_LOOKED_UP_AT_ONCE", 2 * few))
        yield


# --- points -------------------------------------------------------------------------------------


class Points:
    """Counts the places where a process may die, and dies at one of them."""

    def __init__(self, die_at: int | None, die_by: int = signal.SIGKILL) -> None:
        self.passed: list[str] = []
        self._die_at = die_at
        self._die_by = die_by
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        """One more point; the signal comes if it is the chosen one."""
        with self._lock:
            self.passed.append(name)
            if len(self.passed) == self._die_at:
                os.kill(os.getpid(), self._die_by)


def instrument(points: Points) -> None:
    """Put points before and after every request and every commit of this process."""
    send = requests.Session.send

    def watched_send(session: requests.Session, request: requests.PreparedRequest, **how: object):
        name = name_request(request)
        points.reach(f"before {name}")
        response = send(session, request, **how)  # type: ignore[arg-type]
        points.reach(f"after {name}")
        return response

    requests.Session.send = watched_send  # type: ignore[method-assign,assignment]

    class Connection(sqlite3.Connection):
        """A connection with points before and after whatever ends a transaction."""

        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:
            return self._watched(sql, partial(super().execute, sql, *more))  # type: ignore[arg-type]

        def executemany(self, sql: str, *more: object) -> sqlite3.Cursor:
            return self._watched(sql, partial(super().executemany, sql, *more))  # type: ignore[arg-type]

        def _watched(self, sql: str, run: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
            if not is_committing(sql, self.in_transaction):
                return run()
            name = _name_commit()
            points.reach(f"before commit {name}")
            cursor = run()
            points.reach(f"after commit {name}")
            return cursor

    connect = sqlite3.connect

    def watched_connect(path: str, *more: object, **how: object) -> sqlite3.Connection:
        if path != ":memory:":
            how.setdefault("factory", Connection)
        return connect(path, *more, **how)  # type: ignore[call-overload,no-any-return]

    sqlite3.connect = watched_connect  # type: ignore[assignment]


def is_committing(sql: str, in_transaction: bool) -> bool:
    """Whether a statement ends a transaction, or writes outside of any."""
    words = sql.split(None, 2)
    verb = words[0].upper().rstrip(";")
    if in_transaction:
        return verb == "COMMIT"
    if verb == "CREATE" and words[1].upper() in ("TEMP", "TEMPORARY"):
        return False
    return verb in ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER")


def _name_commit() -> str:
    """The function of mcsync that has something committed."""
    frame = sys._getframe(3)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("mcsync.") and module != "mcsync.cache.store":
            return f"{module.rpartition('.')[2]}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "store"


def name_request(request: requests.PreparedRequest) -> str:
    """What a request is for, without anything that differs from run to run."""
    body = request.body or b""
    text = body.decode() if isinstance(body, bytes) else str(body)
    return describe(request.method or "", urlsplit(request.url or "").path, text)


def describe(method: str, path: str, body: str) -> str:
    """A service and what is asked of it: "mailchimp POST /batches", "civicrm Contact.get"."""
    if path.startswith("/batch-results/"):
        return "mailchimp GET results"
    if path.startswith("/3.0"):
        parts = path.removeprefix("/3.0").split("/")
        parts = [part if not _is_id(part) else "ID" for part in parts]
        return f"mailchimp {method} {'/'.join(parts)}"
    calls = dict(parse_qsl(body)).get("calls")
    if calls:
        asked = [f"{call[0]}.{call[1]}" for call in json.loads(calls)]
        return f"civicrm {'+'.join(dict.fromkeys(asked))}"
    return f"civicrm {'.'.join(path.split('/')[-2:])}"


def _is_id(part: str) -> bool:
    return len(part) >= 10 and all(letter in "0123456789abcdef" for letter in part)


# --- the helper ---------------------------------------------------------------------------------


def be_child(job: Job) -> int:
    """Run the job in this process and return its exit code; does not return when it is to die."""
    faulthandler.enable()
    points = Points(job.die_at, job.die_by)
    instrument(points)
    signal.alarm(job.limit_s)
    if job.die_by != signal.SIGKILL:
        catch_signals()
    try:
        run_once(job)
        code = 0
    except McsyncError as error:
        sys.stderr.write(f"{type(error).__name__}: {error.message}\n")
        code = FAILED
    except Stopped as stopped:
        code = 128 + stopped.signal
    except Exception:  # a bug; the parent knows it by the code, who reads by the trace
        traceback.print_exc()
        code = CRASHED
    if job.trace is not None:
        Path(job.trace).write_text(json.dumps(points.passed), encoding="utf-8")
    return code


def fork(job: Job) -> dict[str, int]:
    """Run a job in a child; how it ended: `exit` or `signal`. This process has no threads."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = CRASHED
        try:
            code = be_child(job)
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"exit": os.WEXITSTATUS(status)}


def encode(job: Job) -> str:
    """A job as one line."""
    return json.dumps(asdict(job))


def main() -> None:
    """Serve jobs from stdin until it ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(fork(Job(**json.loads(line)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
