"""Telling others of a run: a program that gets one JSON document, and an address that is pinged.

What is told is what cron would mail. Neither has a say in how the run ends, or in its exit code.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

import click

from mcsync.cache.times import to_text
from mcsync.cli.output import SCHEMA, known_secrets
from mcsync.cli.signals import Stopped
from mcsync.cli.state import State
from mcsync.clock import utc_now
from mcsync.config import NotifyConfig
from mcsync.errors import ExitCode, McsyncError, UsageError
from mcsync.logs import is_terminal, scrub
from mcsync.notify import ping, tell_program
from mcsync.pipeline.news import Turn
from mcsync.pipeline.run import is_over
from mcsync.pipeline.tell_troubles import News
from mcsync.text import one_line

if TYPE_CHECKING:
    from mcsync.cache.store import Store
    from mcsync.pipeline.run import Run

log = logging.getLogger("mcsync.notify")

_TOLD = "told-{}"  # when, and what, if that matters
KEEPING_TROUBLES = ("sync", "fetch", "reconcile", "submit", "process-batches")
# A stage by itself, when it ends well, does not mean that all is well: nobody is to be told so.
_PINGING = ("sync", "process-batches")


class Notice:
    """What is to be told of one run. Nothing is, of a dry run or before the run has begun."""

    def __init__(self, state: State, config: NotifyConfig) -> None:
        self._state = state
        self._config = config
        self._run: Run | None = None
        self.news: Sequence[News] = ()

    def begin(self, run: "Run") -> None:
        """The run begins now."""
        if run.is_dry_run or self._state.command not in KEEPING_TROUBLES:
            return
        self._run = run
        self._ping("/start", b"")

    def end(self, error: BaseException | None) -> None:
        """The run has ended, by this error if any."""
        run = self._run
        if run is None:
            return
        code = _find_code(error)
        if not self.news and _is_unforeseen(error):
            self.news = (_tell_unforeseen(cast(Exception, error)),)
        self._tell(to_text(run.clock()), code)
        numbers = sum_up(run, code)
        self._ping("" if code in (ExitCode.OK, ExitCode.DIFFERENT) else "/fail", numbers)

    def end_unopened(self, error: McsyncError) -> None:
        """There is no run, as the cache cannot be opened; so nobody knows what was told before."""
        if self._state.is_dry_run or self._state.command not in KEEPING_TROUBLES:
            return
        self.news = (_tell_unforeseen(error),)
        self._tell(to_text(utc_now()), error.exit_code)
        self._ping("/fail", json.dumps({"exit_code": int(error.exit_code)}).encode())

    def _tell(self, at: str, code: int) -> None:
        if not self.news or not self._config.command:
            return
        document = make_document(self._state, at, code, self.news)
        trouble = tell_program(self._config.command, document, known_secrets(self._state))
        if trouble:
            log.warning("%s", trouble)

    def _ping(self, ending: str, body: bytes) -> None:
        url = self._config.ping_url
        if url is None or self._state.command not in _PINGING:
            return
        trouble = ping(url.reveal(), ending, body)
        run = self._run
        if trouble and (run is None or _is_news(run.store, "ping", run.clock())):
            log.warning("%s", trouble)


@contextmanager
def notifying(
    state: State, config: NotifyConfig, opening: AbstractContextManager["Store"]
) -> Iterator[tuple["Store", Notice]]:
    """Open the cache, and tell of the run in here, however it ends."""
    notice = Notice(state, config)
    with ExitStack() as stack:
        try:
            store = stack.enter_context(opening)
        except McsyncError as error:
            notice.end_unopened(error)
            raise
        try:
            yield store, notice
        except BaseException as error:
            notice.end(error)
            raise
        notice.end(None)


def warn_once_a_day(store: "Store", about: str, warnings: Sequence[str], now: datetime) -> None:
    """Tell what a run is warned of when it is new, and once a day; else only with `-v`.

    On a terminal it is a warning in every run.
    """
    if not warnings:
        return
    is_told = is_terminal() or _is_news(store, about, now, "\n".join(warnings))
    level = logging.WARNING if is_told else logging.INFO
    for warning in warnings:
        log.log(level, "%s", warning)


def _is_news(store: "Store", about: str, now: datetime, words: str = "") -> bool:
    """Whether these words, about this, were not told for a day. Then they count as told."""
    key = _TOLD.format(about)
    try:
        with store.explaining():
            at, _, told = (store.get_state(key) or "").partition("\n")
            if told == words and not is_over(at, timedelta(days=1), now):
                return False
            with store.atomic():
                store.set_state(key, f"{to_text(now)}\n{words}".strip())
    except McsyncError:  # which is what the run has ended by, or will, and is told itself
        return False
    return True


def _find_code(error: BaseException | None) -> int:
    """The exit code that this ending will have."""
    if error is None:
        return ExitCode.OK
    if isinstance(error, McsyncError | click.exceptions.Exit):
        return int(error.exit_code)
    if isinstance(error, Stopped):
        return 128 + error.signal
    return ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.BUG


def _is_unforeseen(error: BaseException | None) -> bool:
    """Whether this is no trouble of an audience, and none of whoever typed the command."""
    is_exit = isinstance(error, UsageError | click.exceptions.Exit | click.ClickException)
    has_told = isinstance(error, McsyncError) and bool(error.parts)
    return isinstance(error, Exception) and not is_exit and not has_told


def _tell_unforeseen(error: Exception) -> News:
    if isinstance(error, McsyncError):
        return News(Turn.NEW, error.kind, one_line(error.message), one_line(error.hint or ""))
    message = f"unexpected failure: {type(error).__name__}"
    return News(Turn.NEW, "bug", message, "please report it with the lines on stderr")


# --- what is told ---------------------------------------------------------------------------------


def make_document(state: State, at: str, code: int, news: Sequence[News]) -> bytes:
    """What `notify.command` gets; no keys and no addresses are in it.

    `title` and `text` are there to be mailed as they are.
    """
    told = [each.as_dict() for each in news]
    lines = [f"{each.message}\n  {each.hint}" if each.hint else each.message for each in news]
    first = one_line(news[0].message) if len(news) == 1 else f"{len(news)} things to know"
    document = {
        "schema": SCHEMA,
        "command": state.command,
        "at": at,
        "exit_code": int(code),
        "title": f"mcsync: {first}",
        "text": "\n\n".join(lines),
        "news": told,
        "audiences": state.audiences,
    }
    return json.dumps(_clean(document, known_secrets(state))).encode()


def _clean(value: object, secrets: Sequence[str]) -> object:
    """The same without secrets and addresses in any text; the keys of objects are our own words."""
    if isinstance(value, dict):
        return {key: _clean(each, secrets) for key, each in value.items()}
    if isinstance(value, list):
        return [_clean(each, secrets) for each in value]
    return scrub(value, secrets) if isinstance(value, str) else value


def sum_up(run: "Run", code: int) -> bytes:
    """What is pinged: the exit code, and numbers; no names."""
    reports = run.reports.values()
    numbers = {
        "exit_code": int(code),
        "audiences": len(run.reports),
        "in_trouble": sum(1 for report in reports if report.troubles),
        "held": sum(1 for report in reports if report.held is not None),
    }
    for report in reports:
        for name, number in report.sum_up().items():
            numbers[name] = numbers.get(name, 0) + number
    return json.dumps(numbers).encode()


def send_test(state: State, config: NotifyConfig) -> dict[str, str]:
    """Tell whoever is to be told that this is a test; by its key in the config, what is wrong."""
    outcomes: dict[str, str] = {}
    if config.command:
        news = News(Turn.NEW, "test", "this is a test; nothing is wrong", audiences=())
        document = make_document(state, to_text(utc_now()), ExitCode.OK, [news])
        secrets = known_secrets(state)
        outcomes["notify.command"] = tell_program(config.command, document, secrets)
    if config.ping_url is not None:
        body = json.dumps({"exit_code": 0, "test": True}).encode()
        outcomes["notify.pingUrl"] = ping(config.ping_url.reveal(), "", body)
    return outcomes
