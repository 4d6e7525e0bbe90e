"""What the working commands share: the config, the lock, the cache, the run, and its end."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mcsync.cli.options import State
from mcsync.config import AudienceConfig, Config, find_config, load_config, select_audiences
from mcsync.errors import UsageError
from mcsync.lock import hold_lock
from mcsync.logs import choose_level, set_up
from mcsync.model import SUBSCRIPTION, Side

if TYPE_CHECKING:
    from mcsync.pipeline.fetch import Window
    from mcsync.pipeline.run import Run


log = logging.getLogger("mcsync")


def is_terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()


def load(state: State) -> tuple[Config, tuple[AudienceConfig, ...]]:
    """The config, and the audiences asked for; log lines go where they should from here on."""
    set_up(choose_level(state.quiet, state.verbose, is_terminal()), os.environ)
    config = load_config(find_config(state.config, os.environ, Path.cwd()), os.environ)
    audiences = select_audiences(config, state.lists)
    for warning in config.warnings:
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
) -> Iterator["Run"]:
    """A run over the audiences asked for, under the lock; its troubles are raised at the end.

    After `max_time_s` it stops where it safely can; that is no failure.
    """
    deadline = None if max_time_s is None else time.monotonic() + max_time_s
    config, audiences = load(state)
    cache = (state.cache or config.cache).absolute()
    with hold_lock(cache, lock_wait_s):
        # Imported here, so that finding the lock held stays cheap.
        from mcsync.cache.store import Store
        from mcsync.cli.build import build_run
        from mcsync.cli.progress import show_progress
        from mcsync.pipeline.run import OutOfTime

        store = Store(cache)
        try:
            with show_progress(state) as progress:
                run = build_run(
                    config,
                    audiences,
                    store,
                    progress=progress,
                    is_forced=is_forced,
                    with_data=with_data,
                )
                run.deadline = deadline
                try:
                    yield run
                except OutOfTime:
                    log.info("the time given is over; the next run goes on from here")
                    state.answer["is_cut"] = True
                finally:
                    state.audiences = [report.as_dict() for report in run.reports.values()]
            run.raise_troubles()
        finally:
            store.close()


def parse_since(text: str | None) -> "Window | None":
    """`--since`: an ISO date or date-time (UTC unless it says otherwise), or "ever"."""
    from mcsync.pipeline.fetch import Window

    if text is None:
        return None
    if text.strip().lower() == "ever":
        return Window(None)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f'--since: "{text}" is no date',
            hint='write it as 2026-11-22, as 2026-11-22T06:00, or "ever"',
        ) from None
    return Window(at if at.tzinfo else at.replace(tzinfo=UTC))


def parse_trust(
    values: tuple[str, ...], audiences: Mapping[str, "list[str]"]
) -> dict[str, dict[str, Side]]:
    """`--trust`, as trust per audience; `audiences` maps a list id to its interest ids.

    Forms: `mailchimp`, `subscription=mailchimp`, `INTEREST=civicrm`, whatever the case.
    """
    everything: Side | None = None
    single: dict[str, Side] = {}
    known = {key.lower(): key for keys in audiences.values() for key in (SUBSCRIPTION, *keys)}
    for value in values:
        key, equals, name = value.rpartition("=")
        side = _parse_side(value, name)
        if not equals:
            everything = side
        elif key.lower() in known:
            single[known[key.lower()]] = side
        else:
            raise UsageError(
                f'--trust: "{key}" is neither "subscription" nor a mapped interest',
                hint="mapped are: " + ", ".join(sorted(known.values())),
            )
    chosen: dict[str, dict[str, Side]] = {}
    for list_id, interest_ids in audiences.items():
        keys = [SUBSCRIPTION, *interest_ids]
        trust = dict.fromkeys(keys, everything) if everything else {}
        trust |= {key: side for key, side in single.items() if key in keys}
        chosen[list_id] = {key: side for key, side in trust.items() if side is not None}
    return {list_id: trust for list_id, trust in chosen.items() if trust}


def _parse_side(value: str, name: str) -> Side:
    try:
        return Side(name.strip().lower())
    except ValueError:
        raise UsageError(
            f'--trust: "{value}" names neither side',
            hint="write mailchimp or civicrm, or for one thing subscription=mailchimp",
        ) from None


def trust_of(run: "Run", values: tuple[str, ...]) -> dict[str, dict[str, Side]]:
    """`--trust` for the audiences of a run."""
    return parse_trust(values, {t.list_id: list(t.policy.interests) for t in run.tasks})
