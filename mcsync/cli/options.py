"""Options that every command has, and what one invocation carries along."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class State:
    """One invocation: its global options, and its answer as far as it got.

    `audiences` and `answer` are what `--json` prints, whatever happens afterwards.
    """

    wants_json: bool = False
    command: str = ""
    config: Path | None = None
    cache: Path | None = None
    lists: tuple[str, ...] = ()
    quiet: bool = False
    verbose: int = 0
    is_dry_run: bool = False
    audiences: list[dict[str, object]] = field(default_factory=list)
    answer: dict[str, object] = field(default_factory=dict)


_OPTIONS = (
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Config file. Default: $MCSYNC_CONFIG, ./config.json, the user's, /etc/mcsync.",
    ),
    click.option(
        "--cache", type=click.Path(path_type=Path), help="Cache file, if not the config's."
    ),
    click.option(
        "--list", "lists", multiple=True, metavar="ID", help="Only this audience; repeatable."
    ),
    click.option("--json", "wants_json", is_flag=True, help="Print one JSON document on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="Only errors."),
    click.option("-v", "--verbose", count=True, help="More; -vv for every request."),
)


def global_options(function: F) -> F:
    """Give a command the global options; given after the command they win over those before."""

    @wraps(function)
    def wrapper(
        *args: Any,
        config: Path | None,
        cache: Path | None,
        lists: tuple[str, ...],
        wants_json: bool,
        quiet: bool,
        verbose: int,
        **kwargs: Any,
    ) -> Any:
        context = click.get_current_context()
        state = context.find_object(State)
        if state is None:
            raise RuntimeError("no invocation to carry options for")
        state.command = context.info_name or ""
        state.config = config or state.config
        state.cache = cache or state.cache
        state.lists = (*state.lists, *lists)
        state.wants_json = wants_json or state.wants_json
        state.quiet = quiet or state.quiet
        state.verbose = max(verbose, state.verbose)
        if context.parent is None:
            return function(*args, **kwargs)
        return function(state, *args, **kwargs)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]
