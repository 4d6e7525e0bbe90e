"""mcsync demo."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcsync.cli.options import global_options
from mcsync.cli.state import State

if TYPE_CHECKING:
    from mcsync.sandbox.demo import Deed, Sync
    from mcsync.sandbox.town import Town


@click.command(name="demo")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the demo's config and cache in this folder.",
)
@global_options
def command(state: State, keep: Path | None) -> None:
    """Show a sync between two simulated services.

    Needs no account, no CiviCRM and no config.

    \b
    Examples:
      mcsync demo
      mcsync demo --keep /tmp/mcsync-demo
      mcsync demo --json | python -m json.tool
    """
    from rich.console import Console

    from mcsync.sandbox.demo import count_outcome, describe, play, show_outcome, show_scene
    from mcsync.sandbox.town import Town

    console = Console(file=sys.stdout, highlight=False, quiet=state.wants_json)
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        town = stack.enter_context(Town())
        sync = _make_sync(town, folder, stack)
        scenes = play(town, sync, lambda scene: show_scene(console, scene))
        outcome = count_outcome(town)
    show_outcome(console, outcome)
    state.answer = {"runs": describe(scenes), "outcome": outcome}


def _make_sync(town: "Town", folder: Path, stack: ExitStack) -> "Sync":
    """`mcsync sync --wait` on the town, telling what it changed."""
    from mcsync.assemble import build_run
    from mcsync.cache.store import Store
    from mcsync.cache.trail import load_changes
    from mcsync.config import load_config
    from mcsync.decision import REASONS
    from mcsync.lock import hold_lock
    from mcsync.pipeline.sync import sync
    from mcsync.sandbox.demo import Deed

    town.mailchimp.settings.batch_delay_polls = 0
    cache = folder / "mcsync.db"
    stack.enter_context(hold_lock(cache))
    store = Store(cache)
    stack.callback(store.close)

    def run_once() -> Sequence["Deed"]:
        config = load_config(town.write_config(folder), {})
        run = build_run(config, config.audiences, store, clock=town.clock)
        sync(run, wait_s=60)
        run.raise_troubles()
        return [
            Deed(c.side.value, c.field, c.before, c.after, c.email or "", REASONS[c.reason])
            for c in load_changes(store, run.newest_change)
        ]

    return run_once
