"""The options that every command has, and those that several share."""

import math
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from mcsync.cli.output import write_answer
from mcsync.cli.state import State
from mcsync.clock import utc_now
from mcsync.config import ConfigUse, did_you_mean, find_config, load_config
from mcsync.errors import McsyncError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mcsync.model import Side
    from mcsync.pipeline.fetch import Window

F = TypeVar("F", bound=Callable[..., Any])


def path(text: str) -> Path:
    """The name of a file; an empty one is a slip, as by a variable that is not set."""
    if not text.strip():
        raise click.BadParameter("the file name is empty")
    return Path(text)


def _show_help(context: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        give_answer(context, {"help": context.get_help()}, context.get_help())


def give_answer(context: click.Context, answer: dict[str, object], text: str) -> None:
    """Answer with a text, or with the document's `answer`, and end."""
    state = context.ensure_object(State)
    if not state.wants_json:
        write_answer(text)
    else:
        state.answer = answer
        state.command = "" if context.parent is None else context.info_name or ""
    context.exit()


def _complete_list(
    context: click.Context, _option: click.Parameter, begun: str
) -> "list[CompletionItem]":
    """The ids of the config's audiences, with their names; nothing where there is no config."""
    from click.shell_completion import CompletionItem

    named = context.params.get("config")
    if named is None and context.parent is not None:
        named = context.parent.params.get("config")
    try:
        found = find_config(Path(named) if named else None, os.environ, Path.cwd())
        audiences = load_config(found, os.environ, ConfigUse.NAME).audiences
    except (McsyncError, OSError):
        return []
    return [
        CompletionItem(audience.list_id, help=audience.name)
        for audience in audiences
        if audience.list_id.startswith(begun)
    ]


_OPTIONS = (
    click.option(
        "--config",
        type=path,
        help="Config file. Default: $MCSYNC_CONFIG, ./config.json, the user's, /etc/mcsync.",
    ),
    click.option("--cache", type=path, help="Cache file, instead of the config's."),
    click.option(
        "--list",
        "lists",
        multiple=True,
        metavar="ID",
        help="Only this audience; repeatable.",
        shell_complete=_complete_list,
    ),
    click.option("--json", "wants_json", is_flag=True, help="Print one JSON document on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="Show errors only."),
    click.option("-v", "--verbose", count=True, help="Show more; -vv shows every request."),
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
        state = context.ensure_object(State)
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


# --- lengths of time, and points in it ------------------------------------------------------------

DEFAULT_WAIT_S = 3600.0


def seconds(text: str | float) -> float:
    """A number of seconds, not negative, with an end."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise click.BadParameter(f"'{text}' is not a number of seconds")
    return number


class OneOf(click.Choice):  # type: ignore[type-arg]  # generic in new Clicks only
    """One of a few words; what is nearly one of them earns a "did you mean"."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """The word; a usage error for anything else."""
        words = list(self.choices)
        if value not in words:
            near = did_you_mean(str(value), words)
            shown = " or ".join((", ".join(words[:-1]), words[-1]))
            self.fail(f'"{value}" is not {shown}{near}', param, ctx)
        return super().convert(value, param, ctx)


wait_option = click.option(
    "--wait",
    "wait_s",
    is_flag=False,
    flag_value=DEFAULT_WAIT_S,
    type=seconds,
    default=None,
    metavar="[S]",
    help="Wait for Mailchimp to finish, at most S seconds (default: an hour).",
)
since_option = click.option(
    "--since", metavar="WHEN", help='Fetch changes since an ISO date or time, or "ever".'
)

# Those that `session.open_run` takes, by the names that it has for them.
lock_wait_option = click.option(
    "--lock-wait",
    "lock_wait_s",
    type=seconds,
    default=0.0,
    metavar="S",
    help="Wait up to S seconds for another run to end.",
)
max_time_option = click.option(
    "--max-time",
    "max_time_s",
    type=seconds,
    default=None,
    metavar="S",
    help="Stop safely after about S seconds; the next run continues from there.",
)
trust_option = click.option(
    "--trust",
    multiple=True,
    metavar="SIDE",
    help="Let mailchimp or civicrm decide; or subscription=SIDE, INTEREST=SIDE. Repeatable.",
)
with_data_option = click.option(
    "--with-data/--no-data",
    "with_data",
    default=None,
    help="Sync names and other data too, or not. Default: as the config says.",
)
force_option = click.option(
    "--force", "is_forced", is_flag=True, help="Carry out a held plan, this once."
)
dry_run_option = click.option(
    "--dry-run", "is_dry_run", is_flag=True, help="Show what would change, and write nothing."
)
csv_option = click.option("--csv", "as_csv", is_flag=True, help="With --dry-run: print CSV.")
full_option = click.option(
    "--full", "in_full", is_flag=True, help="With --dry-run: list every person, too."
)
exit_code_option = click.option(
    "--exit-code", is_flag=True, help="Exit with 10 if anything differs or was changed."
)
print_changes_option = click.option(
    "--print-changes", is_flag=True, help="Print one line for each change made."
)

_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_S = 100 * 366 * 86400  # a century: longer ago than anything the cache tells of


def length(text: str) -> float:
    """A length of time, in seconds."""
    found = _parse_length(text)
    if found is None:
        raise click.BadParameter(f'"{text}" is not a length of time; write 90s, 15m, 1h or 2d')
    return found


def when(text: str) -> datetime:
    """An ISO date or time, UTC unless it says otherwise, or how long ago; aware UTC."""
    at = _parse_time(text)
    if at is None:
        raise click.BadParameter(f'"{text}" is not a date; {_TIME_FORMS}')
    return at


_TIME_FORMS = "write 2026-11-22, 2026-11-22T06:00, or 2d for two days ago"


def _parse_time(text: str) -> datetime | None:
    ago = _parse_length(text)
    if ago is not None:
        return utc_now() - timedelta(seconds=ago)
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _parse_length(text: str) -> float | None:
    """The seconds of a length such as 90s, 15m, 1h or 2d; None if it is none."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        return None
    seconds = float(match[1]) * _UNITS[match[2].lower()]
    return seconds if seconds <= _MAX_S else None


_YEARS = range(1970, 3000)  # which leave room for the overlaps that a fetch takes off


class Since(NamedTuple):
    """What `--since` says: a time, aware UTC, or None for ever.

    No window yet: whoever finds the lock held imports nothing of the pipeline.
    """

    at: datetime | None

    def as_window(self) -> "Window":
        """The window for a fetch."""
        from mcsync.pipeline.fetch import Window

        return Window(self.at)


def parse_since(text: str | None) -> Since | None:
    """`--since`: an ISO date or time (UTC unless it says otherwise), how long ago, or "ever"."""
    if text is None:
        return None
    if text.strip().lower() == "ever":
        return Since(None)
    at = _parse_time(text)
    if at is None:
        raise UsageError(f'--since: "{text}" is not a date', hint=f'{_TIME_FORMS}, or "ever"')
    if at.year not in _YEARS:
        raise UsageError(
            f"--since: the year {at.year} is out of range", hint='to fetch everything, write "ever"'
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
        side = _parse_side(name)
        if not equals:
            everything = side
        elif key.lower() in known:
            single[known[key.lower()]] = side
        else:
            raise UsageError(
                f'--trust: "{key}" is neither "subscription" nor a mapped interest'
                f"{did_you_mean(key, list(known.values()))}",
                hint="choose from: " + ", ".join(sorted(known.values())),
            )
    chosen = {}
    for list_id, interest_ids in audiences.items():
        keys = [SUBSCRIPTION, *interest_ids]
        trust = dict.fromkeys(keys, everything) if everything else {}
        chosen[list_id] = trust | {key: side for key, side in single.items() if key in keys}
    return {list_id: trust for list_id, trust in chosen.items() if trust}


def _parse_side(name: str) -> "Side":
    from mcsync.model import Side

    try:
        return Side(name.strip().lower())
    except ValueError:
        raise UsageError(
            f'--trust: "{name}" is neither mailchimp nor civicrm{did_you_mean(name, list(Side))}',
            hint="write mailchimp or civicrm; for one thing only, subscription=mailchimp",
        ) from None
