"""Options that every command has, and what one invocation carries along."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mcsync.config import Config
    from mcsync.model import Side

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class State:
    """One invocation: its global options, and its answer as far as it got.

    `audiences` and `answer` are what `--json` prints, whatever happens afterwards; `is_told`,
    once it is printed. `settings` is the config as soon as it is read. `stop_hint` is what is
    said when a signal, or the end of the input at a question, ends it.
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
    is_told: bool = False
    settings: "Config | None" = None
    stop_hint: str | None = None
    trust: "Mapping[str, Mapping[str, Side]]" = field(default_factory=dict)


class FileName(click.ParamType):  # type: ignore[type-arg]  # generic in new Clicks only
    """The name of a file, as a Path; an empty one is a slip, as by a variable that is not set."""

    name = "path"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """The path; a usage error for the empty name, which would mean the folder we are in."""
        if not str(value).strip():
            self.fail("a file name is missing", param, ctx)
        return Path(str(value))


def _show_help(context: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        give_answer(context, {"help": context.get_help()}, context.get_help())


def give_answer(context: click.Context, answer: dict[str, object], text: str) -> None:
    """Answer with a text, or with the document's `answer`, and end."""
    from mcsync.cli.output import write_answer

    state = context.find_object(State)
    if state is None or not state.wants_json:
        write_answer(text)
    else:
        state.answer = answer
        state.command = "" if context.parent is None else context.info_name or ""
    context.exit()


def _complete_list(
    context: click.Context, option: click.Parameter, begun: str
) -> "list[CompletionItem]":
    from mcsync.cli.completion import complete_list

    return complete_list(context, option, begun)


_OPTIONS = (
    click.option(
        "--config",
        type=FileName(),
        help="Config file. Default: $MCSYNC_CONFIG, ./config.json, the user's, /etc/mcsync.",
    ),
    click.option("--cache", type=FileName(), help="Cache file, if not the config's."),
    click.option(
        "--list",
        "lists",
        multiple=True,
        metavar="ID",
        help="Only this audience; repeatable.",
        shell_complete=_complete_list,
    ),
    click.option("--json", "wants_json", is_flag=True, help="Print one JSON document on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="Only errors."),
    click.option("-v", "--verbose", count=True, help="More; -vv for every request."),
    click.option(
        "-h",
        "--help",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_help,
        help="Show this message and exit.",
    ),
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
        state.config = config or state.config
        state.cache = cache or state.cache
        state.lists = (*state.lists, *lists)
        state.wants_json = wants_json or state.wants_json
        state.quiet = quiet or state.quiet
        state.verbose = max(verbose, state.verbose)
        if context.parent is None:
            return function(*args, **kwargs)
        state.command = context.info_name or ""
        return function(state, *args, **kwargs)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]
