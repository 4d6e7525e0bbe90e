"""The steps of `mcsync init`: where to, what, write it, check it, tell."""

import logging
import os
import shlex
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcsync.cli.init.draft import (
    CIVICRM_KEY,
    MAILCHIMP_KEY,
    SITE_KEY,
    Choices,
    KeysIn,
    draft_config,
    find_variables,
    read_hook_address,
)
from mcsync.cli.init.file import (
    is_written,
    keeping_keys,
    refuse_existing,
    refuse_existing_keys,
    rewrite_config,
    write_config,
)
from mcsync.cli.init.given import (
    Wishes,
    check_address,
    find_given,
    find_offered,
    read_keys,
    take_choices,
)
from mcsync.cli.init.moving import describe_origin, offer_site, show_origin
from mcsync.cli.signals import Stopped
from mcsync.cli.state import State
from mcsync.cli.tables import show_fields, show_gap, show_heading, show_line, write_lines
from mcsync.clock import utc_now
from mcsync.config import Config, find_config, load_foreign
from mcsync.config.builder import name_cache
from mcsync.errors import ConfigError, UsageError
from mcsync.logs import choose_level, set_up
from mcsync.ownership import name_ourselves

if TYPE_CHECKING:
    from mcsync.check.look import Report

_NEXT = (
    ("mcsync fetch", "reads both services and changes nothing at either"),
    ("mcsync sync --dry-run", "shows what a sync would change, and why"),
    (
        "a backup of both",
        "at Mailchimp: Audience, Manage contacts, Export; in CiviCRM: a dump of its database. An"
        " unsubscribe can be final",
    ),
    (
        "mcsync sync --wait",
        "the first sync. If one side is better maintained, add --trust mailchimp or --trust"
        ' civicrm; "mcsync help first-sync" explains it',
    ),
)
_NEXT_WEBHOOKS = (
    ("mcsync serve", "receives webhooks; keep it running"),
    (
        "mcsync check --fix",
        "then has Mailchimp send webhooks there, and shows their signing secrets: put these into"
        " signingSecrets of the account",
    ),
)
_NEXT_SERVE = (("mcsync serve", "receives webhooks; keep it running from now on"),)
_NEXT_MOVING = (
    (
        "in CiviCRM",
        "if the extension's scheduled job is still on, disable it now (Administer, System Settings,"
        " Scheduled Jobs), and put the time of that into movedAt in the config",
    ),
    ("mcsync check", "says what the extension still does, and whether batches are under way"),
    _NEXT[1],
    _NEXT[2],
    (
        "mcsync check --fix --replace-extension",
        "deletes the extension's webhooks; mcsync's own, if you want them, are there by then",
    ),
    ("mcsync sync --wait", 'the first sync; "mcsync help moving" has all steps, and the way back'),
)
_NEXT_REGISTERED = (
    ("mcsync serve", "receives webhooks; restart it if it runs, and keep it running"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `mcsync init`, as Click has them."""

    origin: Path | None
    civicrm_url: str | None
    civicrm_key_env: str | None
    site_key_env: str | None
    mailchimp_key_env: str | None
    mailchimp_url: str | None
    read_keys: bool
    audiences: tuple[str, ...]
    interests: tuple[str, ...]
    webhook_url: str | None
    civicrm_hook: bool
    keys: str | None
    no_input: bool


def complete(state: State, options: Options) -> Options:
    """The options, with where keys go when nobody is asked: the extension's are in its file.

    Raises: UsageError for what an extension's config says already.
    """
    if options.origin is None:
        return options
    if options.audiences or options.interests:
        raise UsageError(
            "init --from takes no --audience and no --interest",
            hint="audiences and interests are taken from the file; change them in the new config",
        )
    if options.keys is None and not _can_ask(state, options):
        return replace(options, keys=KeysIn.KEYS_ENV.value)
    return options


def choose_place(state: State, cwd: Path, keys: str | None) -> Path:
    """Where the config goes; ConfigError when something is there, before anything is asked.

    `keys` is what --keys says: where they go into a file, that is not to be there either.
    """
    set_up_words(state)
    named = state.config or os.environ.get("MCSYNC_CONFIG") or "config.json"
    path = Path(os.path.abspath(cwd / named))
    refuse_existing(path)
    if keys == KeysIn.KEYS_ENV:
        refuse_existing_keys(path.parent / keys)
    state.stop_hint = "nothing was written"
    return path


def set_up_words(state: State) -> None:
    """What is logged: why a service refuses is told as an answer, and twice would be once too many.

    Raises: UsageError when audiences were chosen as in other commands.
    """
    level = choose_level(state.quiet, state.verbose, is_terminal=False)
    set_up(level if state.verbose else logging.ERROR, os.environ)
    if state.lists:
        raise UsageError("init does not take --list", hint="choose audiences with --audience")


def gather_choices(state: State, options: Options, path: Path) -> Choices:
    """The choices: by asking where somebody can be asked, else of the options alone."""
    wishes = _make_wishes(state, options)
    if not _can_ask(state, options):
        choices = _date(take_choices(wishes))
        if choices.origin is not None and not state.wants_json:
            show_origin(choices.origin)
        return choices
    from mcsync.cli.init.conversation import Declined, converse

    try:
        return _date(converse(wishes, path))
    except Declined:
        click.echo()
        state.stop_hint = "not written, as you asked"
        raise
    except (Stopped, click.Abort):
        click.echo()  # the question has no line of its own yet
        raise


def _date(choices: Choices) -> Choices:
    """The choices; where an extension is moved over from, that is done as of now."""
    if choices.origin is None:
        return choices
    return replace(choices, moved_at=f"{utc_now():%Y-%m-%dT%H:%M:%SZ}")


def _can_ask(state: State, options: Options) -> bool:
    is_off = options.no_input or options.read_keys or state.wants_json
    return not is_off and is_somebody_there()


def is_somebody_there() -> bool:
    """Whether questions can be read, and answered."""
    try:
        return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    except (OSError, ValueError, AttributeError):
        return False


def _make_wishes(state: State, options: Options) -> Wishes:
    variables = {
        CIVICRM_KEY: options.civicrm_key_env,
        SITE_KEY: options.site_key_env,
        MAILCHIMP_KEY: options.mailchimp_key_env,
    }
    origin = None if options.origin is None else load_foreign(options.origin, os.environ)
    given = find_given(options.civicrm_url, variables, os.environ)
    if options.read_keys:
        given |= read_keys(least=2 if origin is None else 1)
    api_url, hooks = options.mailchimp_url, options.webhook_url
    if options.civicrm_hook and hooks == "":
        raise UsageError(
            "--civicrm-hook needs the address of mcsync serve", hint="give it with --webhook-url"
        )
    return Wishes(
        given=given,
        offered=offer_site(origin, find_offered(os.environ)),
        origin=origin,
        api_url=api_url and check_address("--mailchimp-url", api_url),
        audiences=options.audiences,
        interests=options.interests,
        webhook_url=hooks and check_address("--webhook-url", hooks, read_hook_address),
        civicrm_hook=options.civicrm_hook,
        keys=KeysIn(options.keys) if options.keys else None,
        cache=None if state.cache is None else os.path.abspath(state.cache),
    )


def write_choices(state: State, choices: Choices, path: Path) -> Config:
    """Write the config, and return it as it loads with the variables that it names set."""
    name = choices.environment_file
    blob, variables = _draft(choices, path), find_variables(choices)
    is_needed = partial(is_written, path, blob)
    with keeping_keys(path.parent / name, variables, is_needed) if name else nullcontext():
        config = write_config(path, blob, _environ(choices))
    state.stop_hint = f"{path} has been written"
    state.settings = config
    return config


def _environ(choices: Choices) -> dict[str, str]:
    return {**os.environ, **find_variables(choices)}


def _draft(choices: Choices, path: Path) -> dict[str, object]:
    return draft_config(replace(choices, cache=choices.cache or name_cache(path.name)))


def show_result(state: State, choices: Choices, config: Config) -> None:
    """What was made, what a check finds, and what comes next.

    What is found does not change how this ends: the config is written, and can be mended.
    """
    from mcsync.assemble import build_check
    from mcsync.check.look import look
    from mcsync.cli.check import answer_report
    from mcsync.cli.init.registering import can_register

    variables = find_variables(choices)
    unset = [name for name, text in variables.items() if os.environ.get(name) != text]
    if choices.environment_file is not None:
        unset = []
    state.answer = {
        "config": str(config.path),
        "cache": str(config.cache),
        "account": choices.account.name,
        "variables": list(variables),
        "unset_variables": unset,
        "environment_file": choices.environment_file,
        "webhook_url": choices.webhook_url,
        "webhook_secret_at": choices.webhook_url and "accounts.*.webhookSecret",
        "civicrm_hook_url": choices.hook_url,
        "civicrm_hook_secret_at": choices.hook_url and "civicrm.hookSecret",
    }
    if choices.origin is not None:
        state.answer |= {**describe_origin(choices.origin), "moved_at": choices.moved_at}
    chosen = state.audiences = [each.as_dict() for each in choices.every_audience]
    if not state.wants_json:
        _show_written(config, choices.environment_file, unset)
    wanted = build_check(config, config.audiences, config.cache)
    report = look(wanted)
    # Before the extension is off, nothing is to reach mcsync.
    is_registered = choices.origin is None and can_register(report)
    if is_registered:
        config, report = _register(state, choices, config, report)
    if not state.wants_json:
        _show_check(choices, is_registered)
    answer_report(state, wanted, report, config.audiences)
    state.audiences = [a | b for a, b in zip(chosen, state.audiences, strict=True)]
    if not state.wants_json:
        _show_next(choices, config, is_registered)


def _register(
    state: State, choices: Choices, config: Config, report: "Report"
) -> tuple[Config, "Report"]:
    """Have Mailchimp send its webhooks; the config as it is then, and what a check finds."""
    from mcsync.assemble import build_check
    from mcsync.check.look import look
    from mcsync.cli.init.registering import register

    def keep(secrets: tuple[str, ...]) -> Config | None:
        new = _draft(replace(choices, signing_secrets=secrets), config.path)
        return rewrite_config(config.path, _draft(choices, config.path), new, _environ(choices))

    if not state.wants_json:
        show_gap()
        show_heading("Webhooks")
    made = register(state, report, keep)
    config = state.settings = made.config or config
    return config, made.amend(look(build_check(config, config.audiences, config.cache)))


def _show_written(config: Config, keys: str | None, unset: list[str]) -> None:
    show_gap()
    both = f"Wrote {config.path}, and {keys} beside it; only you can read them."
    show_line(both if keys else f"Wrote {config.path}; only you can read it.", hanging=0)
    if unset:
        show_line(
            f"Before you run mcsync, set {', '.join(unset)} in its environment: by export in the "
            'shell, or in a file that the config names as "environmentFile".',
            hanging=0,
        )


def _show_check(choices: Choices, is_registered: bool) -> None:
    """What the findings are."""
    show_gap()
    show_heading("Result of mcsync check")
    if choices.webhook_url is not None and not is_registered:
        show_line(
            "Webhooks are still missing, as expected: they come last, as described below.",
            hanging=0,
        )


def _show_next(choices: Choices, config: Config, is_registered: bool) -> None:
    """The next commands, each with the option it needs to find this config, and cron's line."""
    find = "" if _is_found(config.path) else f" --config {shlex.quote(str(config.path))}"
    webhooks = _NEXT_REGISTERED if is_registered else _NEXT_WEBHOOKS
    steps = [*_NEXT, *(webhooks if choices.webhook_url else ())]
    if choices.origin is not None:
        steps = [*(_NEXT_SERVE if choices.webhook_url else ()), *_NEXT_MOVING]
    show_gap()
    show_heading("Next steps")
    if find:
        show_line(f"Add{find} to each command, or set MCSYNC_CONFIG.", hanging=0)
    show_fields(steps)
    show_gap()
    if choices.hook_url is not None:
        show_line(
            'CiviCRM reports its changes to this address, by the hook in "mcsync help webhooks".'
            " Keep it secret:",
            hanging=0,
        )
        write_lines([f"{choices.hook_url}?secret={choices.hook_secret}"])
        show_gap()
    me = name_ourselves()
    show_line(
        f"Then let cron repeat it, with these lines in the crontab of {me} (crontab -e, or as root"
        f" crontab -e -u {me}); MAILTO says who gets its mails:",
        hanging=0,
    )
    write_lines(["MAILTO=you@example.org", _make_crontab_line(config.path)])
    if find_variables(choices) and choices.environment_file is None:
        show_line(
            "Cron knows none of your shell's variables: put them into a file that the config names "
            'as "environmentFile".',
            hanging=0,
        )
    show_line('Or use systemd: "mcsync help running" has the units and how to watch it.', hanging=0)


def _make_crontab_line(path: Path) -> str:
    """What cron is to run; it has a PATH of its own, and takes a percent sign for a line break."""
    program = Path(sys.argv[0])
    named = os.path.abspath(program) if program.name == "mcsync" else "mcsync"
    line = f"{shlex.quote(named)} sync --config {shlex.quote(str(path))}"
    return "*/5 * * * *  " + line.replace("%", "\\%")


def _is_found(path: Path) -> bool:
    """Whether commands find this config by themselves, started from here."""
    try:
        return find_config(None, os.environ, Path.cwd()).samefile(path)
    except (ConfigError, OSError):
        return False
