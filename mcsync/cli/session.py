"""What the working commands share: the config, the lock, the cache, the run, and its end."""

import gc
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from mcsync.cli.state import ChangesAsked, State
from mcsync.config import AudienceConfig, Config, find_config, load_config, select_audiences
from mcsync.errors import ExitCode, UsageError
from mcsync.lock import hold_lock, resolve_cache
from mcsync.logs import choose_level, is_terminal, set_up

if TYPE_CHECKING:
    from mcsync.model import Side
    from mcsync.pipeline.fetch import Window
    from mcsync.pipeline.run import Run
    from mcsync.webhooks.queue import Intake

# Only what finding the lock held needs is imported above: that happens every five minutes.
# The rest is imported where it is used.

log = logging.getLogger("mcsync")


# Values by the million live shortly and hardly ever in circles: to look for these after every 700
# of them, as Python does by itself, takes a fifth of a first fetch's time.
_RARELY = (50_000, 20, 100)
_YEARS = range(1970, 3000)  # which leave room for the overlaps that a fetch takes off


def load(state: State) -> tuple[Config, tuple[AudienceConfig, ...]]:
    """The config, and the audiences asked for; log lines go where they should from here on."""
    set_up(choose_level(state.quiet, state.verbose, is_terminal()), os.environ)
    path = find_config(state.config, os.environ, Path.cwd())
    if state.config is None and not os.environ.get("MCSYNC_CONFIG") and path.parent == Path.cwd():
        log.info("the config is %s, found in the current folder", path)
    config = load_config(path, os.environ)
    state.settings = config
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
    trust: tuple[str, ...] = (),
    tells: ChangesAsked = ChangesAsked(),  # noqa: B008 (it never changes)
) -> Iterator["Run"]:
    """A run over the audiences asked for, under the lock; its troubles are raised at the end.

    After `max_time_s` it stops where it safely can; that is no failure. What `--trust` says is
    in `state.trust` then. `tells` is what to print of its changes; a dry run makes none.
    """
    state.is_dry_run = tells.is_dry_run
    gc.set_threshold(*_RARELY)
    deadline = None if max_time_s is None else time.monotonic() + max_time_s
    config, audiences = load(state)
    if trust:
        state.trust = parse_trust(trust, {a.list_id: list(a.interests) for a in audiences})
    cache = resolve_cache(state.cache or config.cache)
    with hold_lock(cache, lock_wait_s):
        from mcsync.assemble import build_run
        from mcsync.cli.copying import open_cache
        from mcsync.cli.progress import show_progress
        from mcsync.cli.show_changes import tell_changes
        from mcsync.pipeline.reconcile import refuse_blunt_force
        from mcsync.pipeline.run import OutOfTime

        with open_cache(cache, is_dry_run=tells.is_dry_run) as store:
            with store.explaining(), show_progress(state) as progress:
                run = build_run(
                    config,
                    audiences,
                    store,
                    progress=progress,
                    is_forced=is_forced,
                    with_data=with_data,
                    is_dry_run=tells.is_dry_run,
                    deadline=deadline,
                )
                if is_forced and not state.lists:
                    refuse_blunt_force(run)
                try:
                    yield run
                except OutOfTime:
                    log.info("the time given is over; the next run goes on from here")
                    state.answer["is_cut"] = True
                finally:
                    state.audiences = [report.as_dict() for report in run.reports.values()]
            is_different = tell_changes(state, run, tells)
            run.raise_troubles()
            if tells.exit_code and is_different:
                click.get_current_context().exit(ExitCode.DIFFERENT)


def open_intake(state: State) -> "Intake":
    """What receiving webhooks needs of the config; nothing is opened yet."""
    from mcsync.webhooks.queue import Intake

    config, audiences = load(state)
    return Intake(config, audiences, resolve_cache(state.cache or config.cache))


class Since(NamedTuple):
    """What `--since` says: a time, aware UTC, or None for ever."""

    at: datetime | None

    def as_window(self) -> "Window":
        """The window for a fetch."""
        from mcsync.pipeline.fetch import Window

        return Window(self.at)


def parse_since(text: str | None) -> Since | None:
    """`--since`: an ISO date or date-time (UTC unless it says otherwise), or "ever"."""
    if text is None:
        return None
    if text.strip().lower() == "ever":
        return Since(None)
    try:
        at = datetime.fromisoformat(text.strip())
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f'--since: "{text}" is no date',
            hint='write it as 2026-11-22, as 2026-11-22T06:00, or "ever"',
        ) from None
    if at.year not in _YEARS:
        raise UsageError(
            f"--since: the year {at.year} is no time for this", hint='for everything write "ever"'
        )
    return Since(at)


def parse_trust(
    values: tuple[str, ...], audiences: Mapping[str, "list[str]"]
) -> "dict[str, dict[str, Side]]":
    """`--trust`, as trust per audience; `audiences` maps a list id to its interest ids.

    Forms: `mailchimp`, `subscription=mailchimp`, `INTEREST=civicrm`, whatever the case.
    """
    from mcsync.model import SUBSCRIPTION

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


def _parse_side(value: str, name: str) -> "Side":
    from mcsync.model import Side

    try:
        return Side(name.strip().lower())
    except ValueError:
        raise UsageError(
            f'--trust: "{value}" names neither side',
            hint="write mailchimp or civicrm, or for one thing subscription=mailchimp",
        ) from None
