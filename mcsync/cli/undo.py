"""mcsync undo."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mcsync.cli.options import (
    dry_run_option,
    full_option,
    global_options,
    lock_wait_option,
    wait_option,
)
from mcsync.cli.session import end_progress, is_watched, open_look, open_run
from mcsync.cli.state import State

if TYPE_CHECKING:
    from mcsync.cache.store import Store
    from mcsync.pipeline.undo import Offer, Target


@click.command(name="undo")
@click.argument("people", nargs=-1, metavar="[EMAIL|ID]...")
@click.option("--run", "wanted", metavar="RUN", help="The run to undo. Default: the last one.")
@dry_run_option
@full_option
@click.option("--force", "may_exceed", is_flag=True, help="Do it though a limit would be exceeded.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask on a terminal.")
@wait_option
@lock_wait_option
@global_options
def command(
    state: State,
    people: tuple[str, ...],
    wanted: str | None,
    is_dry_run: bool,
    in_full: bool,
    may_exceed: bool,
    is_agreed: bool,
    wait_s: float | None,
    lock_wait_s: float,
) -> None:
    """Take back what a run did, at both services.

    For everybody, or for the people named, about whom nobody has said anything newer since. Nobody
    is mailed for it. Who was put back is left alone until either side says something newer, or
    "mcsync resync". A dry run uses what was fetched last, and needs no keys.

    \b
    Examples:
      mcsync undo --dry-run
      mcsync undo
      mcsync undo --run 3f9c21aa --list aaaaaaaaaa
      mcsync undo --run 3f9c21aa wilma@example.org contact:123
    """
    if is_dry_run:
        _look(state, people, wanted, in_full=in_full)
        return
    with open_run(state, lock_wait_s=lock_wait_s) as run:
        from mcsync.cli.show_undo import keep_undo, show_refused, show_undo
        from mcsync.pipeline.undo import undo

        is_asked = not is_agreed and is_watched(state) and _has_terminal()
        told: dict[str, int] = {}  # how many of those who are left, by audience

        def approve(target: "Target", offers: "Sequence[Offer]") -> bool:
            told.update({offer.list_id: len(offer.left) for offer in offers})
            if not is_asked:
                return True
            end_progress(state)
            show_undo(run.store, target, offers, in_full=in_full)
            if not any(offer.back for offer in offers):
                return True
            if not may_exceed and all(offer.held for offer in offers if offer.back):
                return True
            return click.confirm("Put this back?", default=False)

        rows = _find_rows(run.store, [task.list_id for task in run.tasks], people)
        target, offers = undo(
            run, wanted, rows, may_exceed=may_exceed, approve=approve, wait_s=wait_s
        )
        end_progress(state)
        if state.wants_json:
            keep_undo(state, target, offers)
        elif is_asked:
            show_refused(run.store, offers, told)
        elif not state.quiet:
            show_undo(run.store, target, offers, in_full=in_full, is_done=True)


def _has_terminal() -> bool:
    """Whether somebody can answer."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except (OSError, ValueError):
        return False


def _find_rows(
    store: "Store", list_ids: Sequence[str], people: Sequence[str]
) -> Mapping[str, Sequence[int]] | None:
    """The rows of the people who were named, None for everybody's."""
    from mcsync.answers.asked import find_everybody, read_who

    if not people:
        return None
    return find_everybody(store, list_ids, [read_who(text) for text in people])


def _look(state: State, people: Sequence[str], wanted: str | None, *, in_full: bool) -> None:
    """The same from what the cache knows: nothing is fetched, nothing is written."""
    state.is_dry_run = True
    with open_look(state) as look:
        from mcsync.cli.show_undo import keep_undo, show_undo
        from mcsync.errors import UsageError
        from mcsync.pipeline.undo import find_target, foresee

        if look.store is None:
            raise UsageError("there is no run to undo", hint="nothing was ever fetched or synced")
        list_ids = [watched.list_id for watched in look.audiences]
        rows = _find_rows(look.store, list_ids, people)
        target = find_target(look.store, list_ids, "", look.now, wanted, rows)
        offers = [
            foresee(look.store, each.policy, each.name, each.safety, target, look.now)
            for each in look.audiences
        ]
        if state.wants_json:
            keep_undo(state, target, offers)
        else:
            show_undo(look.store, target, offers, in_full=in_full, is_dry_run=True)
