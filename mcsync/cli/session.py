"""What the working commands share: the config, the lock, the cache, the run, and its end."""

import gc
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcsync.cli.output import tell_beside
from mcsync.cli.state import ChangesAsked, State
from mcsync.clock import utc_now
from mcsync.config import (
    AudienceConfig,
    Config,
    ConfigUse,
    find_config,
    load_config,
    select_audiences,
)
from mcsync.errors import AnswerLost, ExitCode, McsyncError
from mcsync.lock import check_place, hold_lock, resolve_cache
from mcsync.logs import choose_level, is_terminal, set_up
from mcsync.text import one_line

if TYPE_CHECKING:
    from mcsync.answers.status import Watched
    from mcsync.cache.store import Store
    from mcsync.pipeline.run import Progress, Run
    from mcsync.webhooks.queue import Intake
from mcsync.cli.options import parse_trust

# Only what finding the lock held needs is imported above: that happens every five minutes.
# The rest is imported where it is used.

log = logging.getLogger("mcsync")


# Values by the million live shortly and hardly ever in circles: to look for these after every 700
# of them, as Python does by itself, takes a fifth of a first fetch's time.
_RARELY = (50_000, 20, 100)

_TELL_ALL = ("fetch", "abort", "forget")  # in lines of their own


def load(
    state: State, use: ConfigUse = ConfigUse.RUN, *, warns: bool = True
) -> tuple[Config, tuple[AudienceConfig, ...]]:
    """The config, and the audiences asked for; log lines go where they should from here on.

    `warns`: of what is odd in the config, in every run.
    """
    set_up(choose_level(state.quiet, state.verbose, is_terminal()), os.environ)
    path = find_config(state.config, os.environ, Path.cwd())
    if state.config is None and not os.environ.get("MCSYNC_CONFIG") and path.parent == Path.cwd():
        log.info("using the config %s, found in the current folder", path)
    config = load_config(path, os.environ, use)
    state.settings = config
    audiences = select_audiences(config, state.lists)
    for warning in config.warnings if warns else ():
        log.warning("%s", warning)
    return config, audiences


@contextmanager
def open_run(
    state: State,
    *,
    lock_wait_s: float = 0,
    is_forced: bool = False,
    with_data: bool | None = None,
    max_time_s: float | None = None,
    trust: tuple[str, ...] = (),
    is_dry_run: bool = False,
    as_csv: bool = False,
    in_full: bool = False,
    print_changes: bool = False,
    exit_code: bool = False,
) -> Iterator["Run"]:
    """A run over the audiences asked for, under the lock; its troubles are raised at the end.

    After `max_time_s` it stops where it safely can; that is no failure. What `--trust` says is
    in `state.trust` then. The last five say what to print of its changes; a dry run makes none.
    """
    state.is_dry_run = is_dry_run
    gc.set_threshold(*_RARELY)
    deadline = None if max_time_s is None else time.monotonic() + max_time_s
    config, audiences = load(state, warns=False)
    if trust:
        state.trust = parse_trust(trust, {a.list_id: list(a.interests) for a in audiences})
    cache = resolve_cache(state.cache or config.cache)
    with hold_lock(cache, lock_wait_s):
        from mcsync.assemble import build_run
        from mcsync.cache.store import open_cache
        from mcsync.cli.notifying import KEEPING_TROUBLES, notifying, warn_once_a_day
        from mcsync.cli.show_changes import show_changes
        from mcsync.pipeline.reconcile import refuse_blunt_force
        from mcsync.pipeline.run import OutOfTime
        from mcsync.pipeline.tell_troubles import note_troubles

        warnings: list[str] = []  # of the services
        opening = open_cache(cache, is_dry_run=is_dry_run)
        with notifying(state, config.notify, opening) as (store, notice):
            warn_once_a_day(store, "config", config.warnings, utc_now())
            with store.explaining(), show_progress(state) as progress:
                run = build_run(
                    config,
                    audiences,
                    store,
                    progress=progress,
                    is_forced=is_forced,
                    with_data=with_data,
                    is_dry_run=is_dry_run,
                    deadline=deadline,
                    warn=warnings.append,
                )
                if is_forced and not state.lists:
                    refuse_blunt_force(run)
                notice.begin(run)
                try:
                    yield run
                except OutOfTime:
                    log.info(
                        "stopped after %g s as asked; the next run continues from here", max_time_s
                    )
                    state.answer["is_cut"] = True
                except McsyncError as error:
                    run.blame(error)
                finally:
                    state.audiences = [report.as_dict() for report in run.reports.values()]
                warn_once_a_day(store, "service", warnings, run.clock())
                if state.command in KEEPING_TROUBLES:
                    notice.news = note_troubles(run, state.command, is_whole=not run.is_cut)
                    state.audiences = [report.as_dict() for report in run.reports.values()]
            asked = ChangesAsked(is_dry_run, as_csv, in_full, print_changes, exit_code)
            with _raising_troubles(state, run), store.explaining():
                is_different = show_changes(state, run, asked)
                if is_watched(state) and not is_dry_run and state.command not in _TELL_ALL:
                    from mcsync.cli.show_end import show_end

                    show_end(run)
            if exit_code and is_different:
                click.get_current_context().exit(ExitCode.DIFFERENT)


@contextmanager
def _raising_troubles(state: State, run: "Run") -> Iterator[None]:
    """Raise a run's troubles after its answer; they are told, too, if that cannot be given.

    They count as told already, and the next run would say nothing. A failure stays what it was
    though its answer is lost.
    """
    try:
        yield
    except BaseException as error:
        try:
            run.raise_troubles()
        except McsyncError as trouble:
            if isinstance(error, AnswerLost):
                tell_beside(state, error)
                raise
            tell_beside(state, trouble)
        raise
    run.raise_troubles()


def open_intake(state: State) -> "Intake":
    """What receiving webhooks needs of the config; nothing is opened yet."""
    from mcsync.webhooks.queue import Intake

    config, audiences = load(state)
    return Intake(config, audiences, resolve_cache(state.cache or config.cache))


# --- only looking ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """The cache as it is now, None when there is none yet, and the audiences asked for."""

    cache: Path
    store: "Store | None"
    audiences: "tuple[Watched, ...]"
    now: datetime


@contextmanager
def open_look(state: State) -> Iterator[Look]:
    """Look at the cache, whatever a run does meanwhile; nothing is written, nothing is asked.

    Raises: CacheError when there can be no cache at that place.
    """
    config, audiences = load(state, ConfigUse.LOOK)
    cache = resolve_cache(state.cache or config.cache)
    check_place(cache)
    from mcsync.cache.store import open_to_look

    store = open_to_look(cache)
    with ExitStack() as stack:
        if store is not None:
            stack.callback(store.close)
            stack.enter_context(store.explaining())
        yield Look(cache, store, watch(audiences), utc_now())


@contextmanager
def open_to_mark(state: State, lock_wait_s: float) -> "Iterator[tuple[Store, tuple[Watched, ...]]]":
    """The cache under the lock, to mark rows in it; nothing else is asked or told."""
    config, audiences = load(state, ConfigUse.LOOK)
    cache = resolve_cache(state.cache or config.cache)
    with hold_lock(cache, lock_wait_s):
        from mcsync.cache.store import Store

        with closing(Store(cache)) as store, store.explaining():
            yield store, watch(audiences)


def watch(audiences: Sequence[AudienceConfig]) -> "tuple[Watched, ...]":
    """The audiences of the config, with their rules, to be looked at."""
    from mcsync.answers.status import Watched
    from mcsync.assemble import build_policy

    return tuple(Watched(build_policy(a), a.name, a.trust_override, a.safety) for a in audiences)


# --- progress -------------------------------------------------------------------------------------


def is_watched(state: State) -> bool:
    """Whether a person watches, and wants to be told more than what goes wrong."""
    return is_terminal() and not state.wants_json and not state.quiet


@contextmanager
def show_progress(state: State) -> Iterator["Progress | None"]:
    """What to tell progress to; None when nobody watches or wants it."""
    if not is_watched(state) or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    with console.status("starting") as status:
        state.spinner = status

        def progress(audience: str, what: str, count: int, of: int = 0) -> None:
            # As it stands: a name may look like rich's markup.
            status.update(Text(text_of_progress(audience, what, count, of)))

        yield progress


def end_progress(state: State) -> None:
    """Tell no more of it: what is printed, or asked, from now on has the terminal for itself."""
    if state.spinner is not None:
        state.spinner.stop()


def text_of_progress(audience: str, what: str, count: int, of: int) -> str:
    """How far a piece of work is, in one line; `of` is only believed where it is enough."""
    done = f"{count:,} of {of:,}" if of >= count else f"{count:,}"
    return one_line(f"{audience}: {done} {what}")
