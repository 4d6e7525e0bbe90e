"""Another audience for a config that is there: `mcsync init --add` shows what to paste into it."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mcsync.cli.account import KEY_VARIABLE, find_written, raw_accounts
from mcsync.cli.init.draft import AudienceChoice, draft_account_audience, draft_list, find_clash
from mcsync.cli.init.given import Wishes, match_audiences, match_interests
from mcsync.cli.init.services import OpenAccount, Site, open_account, open_site
from mcsync.cli.init.steps import Options, is_somebody_there, set_up_words
from mcsync.cli.state import State
from mcsync.cli.tables import show_fields, show_gap, show_heading, show_line, write_lines
from mcsync.config import Config, find_config, load_config
from mcsync.errors import ConfigError, UsageError
from mcsync.model import Group

Blob = dict[str, object]


class Addition(NamedTuple):
    """What a config gets: audiences of one account, and how the config calls that.

    `name` stands for the account's key in `accounts`; `is_hidden`: it is not what stands there,
    because that is the key itself. `copies` is whether the account has audiences there already,
    None where it has no entry.
    """

    name: str
    is_hidden: bool
    copies: bool | None
    audiences: tuple[AudienceChoice, ...]

    def lists(self) -> Blob:
        """For `lists`."""
        return {each.list_id: draft_list(each, self.name) for each in self.audiences}

    def audience_copies(self) -> Blob:
        """For `audiences` of the account."""
        return {each.list_id: draft_account_audience(each) for each in self.audiences}


def add_audience(state: State, options: Options) -> None:
    """Ask, or take from the options, what is to be added, and show the pieces; nothing is written.

    Raises: UsageError, ConfigError; what both services raise.
    """
    set_up_words(state)
    _refuse_unheeded(options)
    path = find_config(state.config, os.environ, Path.cwd())
    config = state.settings = load_config(path, os.environ)
    state.stop_hint = "nothing was written"
    key, site_key = config.civicrm.api_key, config.civicrm.site_key

    def open_it() -> Site:
        return open_site(config.civicrm.url, key.reveal(), site_key.reveal() if site_key else None)

    account_key, account = _choose_account(config, options.audiences)
    if options.audiences or options.no_input or state.wants_json or not is_somebody_there():
        chosen = _take(options, account, open_it().groups)
    else:
        from mcsync.cli.init.conversation import ask_audiences

        taken = {each.group_id for each in config.audiences}

        def look() -> Sequence[Group]:
            return [each for each in open_it().groups if each.group_id not in taken]

        wishes = Wishes(given={}, offered={}, interests=options.interests)
        chosen = ask_audiences(wishes, account, look, "Audiences that are not in the config yet")
    clash = find_clash([*_configured(config), *chosen])
    if clash is not None:
        raise UsageError(clash, hint="give each its own group")
    _show_addition(state, path, _find_place(config, account_key, chosen))


def _refuse_unheeded(options: Options) -> None:
    """Refuse options that say what the config that is there says already. Raises: UsageError"""
    unheeded = {
        "--from": options.origin,
        "--civicrm-url": options.civicrm_url,
        "--civicrm-key-env": options.civicrm_key_env,
        "--site-key-env": options.site_key_env,
        "--mailchimp-key-env": options.mailchimp_key_env,
        "--mailchimp-url": options.mailchimp_url,
        "--read-keys": options.read_keys or None,
        "--webhook-url": options.webhook_url,
        "--civicrm-hook": options.civicrm_hook or None,
        "--keys": options.keys,
    }
    given = [name for name, value in unheeded.items() if value is not None]
    if given:
        raise UsageError(
            f"init --add does not take {', '.join(given)}",
            hint="addresses, keys and webhooks stay as the config says; to change these, edit it",
        )


def _choose_account(config: Config, wanted: Sequence[str]) -> tuple[str, OpenAccount]:
    """The first account with an audience that is not in the config, and is wanted if any is."""
    known = {each.list_id for each in config.audiences}
    names = {text.rpartition("=")[0].strip().casefold() for text in wanted}
    found: list[tuple[str, OpenAccount]] = []
    for key, each in config.accounts.items():
        account = open_account(each.key.reveal(), each.api_url)
        others = tuple(a for a in account.audiences if a.list_id not in known)
        if others:
            found.append((key, replace(account, audiences=others)))
        if any(names & {a.list_id.casefold(), a.name.casefold()} for a in others):
            return found[-1]
    if not found:
        raise ConfigError(
            "all audiences of the config's accounts are in it already",
            hint="create another one at Mailchimp (Audience), then start again",
        )
    return found[0]


def _take(
    options: Options, account: OpenAccount, groups: Sequence[Group]
) -> tuple[AudienceChoice, ...]:
    if not options.audiences:
        names = ", ".join(f"{each.name} ({each.list_id})" for each in account.audiences)
        raise UsageError(
            "nobody can be asked which audience to add",
            hint=f"--audience AUDIENCE=GROUP; not in the config yet: {names}",
        )
    audiences = match_audiences(options.audiences, account, groups)
    return match_interests(options.interests, audiences, groups)


def _configured(config: Config) -> Iterator[AudienceChoice]:
    for each in config.audiences:
        group = Group(each.group_id, "the group", True, False, True)
        yield AudienceChoice(each.list_id, each.name, group)


def _find_place(config: Config, key: str, chosen: tuple[AudienceChoice, ...]) -> Addition:
    name, *_ = find_written(config.path, config, key)
    raw: Mapping[str, object] = dict(raw_accounts(config.path))
    there = raw.get(name)
    is_hidden = name == KEY_VARIABLE and name not in raw
    if is_hidden and len(raw) == 1:
        (there,) = raw.values()
    copies = bool(there.get("audiences")) if isinstance(there, dict) else None
    return Addition(name, is_hidden, copies, chosen)


# --- what to paste --------------------------------------------------------------------------------


def _show_addition(state: State, path: Path, addition: Addition) -> None:
    lists, copies = addition.lists(), addition.audience_copies()
    state.answer = {
        "config": str(path),
        "lists": lists,
        "accounts": {addition.name: {"audiences": copies}},
    }
    if state.wants_json:
        return
    show_gap()
    show_heading(f"To paste into {path}")
    show_line('After "lists": {', hanging=0)
    _show_piece(lists, 4)
    if addition.is_hidden:
        show_line(f"In place of {addition.name} write the key as it stands there now.", hanging=0)
    show_gap()
    if addition.copies:
        show_line('After "audiences": { of the account, so that it has a name here:', hanging=0)
        _show_piece(copies, 8)
    elif addition.copies is not None:
        show_line("At the beginning of the account, so that it has a name here:", hanging=0)
        _show_piece({"audiences": copies}, 6)
    only = "".join(f" --list {each.list_id}" for each in addition.audiences)
    if addition.copies is not None:
        show_gap()
    show_heading("Then")
    show_fields(
        [
            ("mcsync check", "says whether all is right"),
            (f"mcsync sync --dry-run{only}", "shows what a sync would change, and why"),
            (f"mcsync sync --wait{only}", "does it; --trust as for any first sync"),
        ]
    )


def _show_piece(piece: Blob, indent: int) -> None:
    """A piece of JSON without its braces, with a comma after it, for something follows there."""
    lines = json.dumps(piece, indent=2, ensure_ascii=False).splitlines()[1:-1]
    shown = [" " * (indent - 2) + line for line in lines]
    write_lines([*shown[:-1], f"{shown[-1]},"])
