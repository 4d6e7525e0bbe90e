"""An account as the documents' blob has it in `accounts`, fetched from Mailchimp.

It may be shown and stored, so it holds no key and no secret: where the config says `${NAME}`
that stands there, else KEY_VARIABLE for the key and SECRET_VARIABLE for the secret in a URL of
ours. The query of somebody else's webhook is nobody's business here.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click

from mcsync.assemble import build_mailchimp_setup, want_batch_hook, want_hook
from mcsync.check.look import MailchimpSide
from mcsync.check.webhook_findings import (
    WantedHook,
    find_faults,
    show_url,
)
from mcsync.cli.state import State
from mcsync.config import (
    KEY_SHAPE,
    AccountConfig,
    Config,
    JsonSlip,
    Secret,
    derive_api_url,
    find_config,
    is_header_safe,
    load_config,
    parse_json,
)
from mcsync.errors import ConfigError, UsageError
from mcsync.logs import choose_level, is_terminal, set_up
from mcsync.text import secret_in

log = logging.getLogger("mcsync")

KEY_VARIABLE = "${MAILCHIMP_API_KEY}"
SECRET_VARIABLE = "${WEBHOOK_SECRET}"  # noqa: S105  # the name of one
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_WHOLE_KEY = re.compile(r"[0-9A-Za-z]{16,}-[a-z]{2,}[0-9]+")
_LONGEST_KEY = 200  # characters

Blob = dict[str, object]


class Meant(NamedTuple):
    """The account that is meant; `name` is its key in `accounts` as it may be shown.

    `key`, `secret` and `batch_secret` are what stands for its API key and in its URLs. `hooks` are
    where webhooks of its audiences go, by list id, "" for any other; none without a config.
    """

    name: str
    key: str
    secret: str
    batch_secret: str
    account: AccountConfig
    hooks: Mapping[str, WantedHook]


def draw_account(state: State, named: str) -> Blob:
    """The one account, by its name or a variable, as `accounts` has it.

    Raises: UsageError when no account is meant; RemoteRefused, RemoteUnavailable, ProtocolError.
    """
    set_up(choose_level(state.quiet, state.verbose, is_terminal()), os.environ)
    if _WHOLE_KEY.search(named):
        raise UsageError(
            "--account takes no key: everybody on this machine can see a command's options",
            hint="give the account's name, ${NAME} in quotes, or the key on stdin: --account -",
        )
    text = _read_key() if named == "-" else named
    meant = _find_in_config(state, text) or _take_for_key(text)
    account = meant.account
    mailchimp = build_mailchimp_setup(account.key.reveal(), account.api_url)
    blob = _draw(meant, mailchimp)
    _show_secret_hint(meant, blob)
    return {meant.name: blob}


def _read_key() -> str:
    """A key from stdin; on a terminal it is asked for and does not show. Raises: UsageError"""
    if sys.stdin.isatty():
        text = click.prompt("API key", default="", show_default=False, hide_input=True, err=True)
    else:
        text = sys.stdin.readline(_LONGEST_KEY)
    if not text.strip():
        raise UsageError("there is no key on stdin", hint="write: mcsync check --account - < FILE")
    return str(text).strip()


def _show_secret_hint(meant: Meant, blob: Blob) -> None:
    """Say that a variable stands where the config has a secret, and may not be set."""
    account = meant.account
    known = {
        secret.reveal() for secret in (*account.webhook_secrets, *account.batch_webhook_secrets)
    }
    is_shown = SECRET_VARIABLE in json.dumps(blob)
    if is_shown and os.environ.get(SECRET_VARIABLE[2:-1]) not in known:
        log.warning(
            "%s stands for the webhooks' secret: set that variable to the secret, or put the secret"
            " of the old config back",
            SECRET_VARIABLE,
        )


# --- which account --------------------------------------------------------------------------------


def _find_in_config(state: State, text: str) -> Meant | None:
    """The account of the config; None when there is no config, or it has no such account.

    A config that cannot be read is no hindrance for somebody who gives a whole key.
    """
    try:
        path = find_config(state.config, os.environ, Path.cwd())
        config = load_config(path, os.environ)
    except ConfigError:
        if derive_api_url(_expand(text)) is None or state.config is not None:
            raise
        return None
    state.settings = config
    wanted = _expand(text, config.environ)
    for key, account in config.accounts.items():
        if wanted in (key, account.key.reveal(), account.name):
            hooks = _gather_hooks(config, key, account)
            return Meant(*find_written(path, config, key), account, hooks)
    return None


def _expand(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """A text with the variables that are set filled in."""
    return _VARIABLE.sub(lambda found: environ.get(found[1], found[0]), text)


def _gather_hooks(config: Config, key: str, account: AccountConfig) -> dict[str, WantedHook]:
    urls = {a.list_id: a.webhook_url for a in config.audiences if a.account_key == key}
    hooks = {
        list_id: want_hook(url, account)
        for list_id, url in {**urls, "": account.webhook_url}.items()
        if url is not None
    }
    return {list_id: hook for list_id, hook in hooks.items() if hook.is_valid}


def find_written(path: Path, config: Config, key: str) -> tuple[str, str, str, str]:
    """The account's key in `accounts`, its API key and its secrets, as they may be shown."""
    account = config.accounts[key]
    for raw_name, raw in raw_accounts(path):
        if _expand(raw_name, config.environ) == key and isinstance(raw, dict):
            shown_key = _pick_variable(KEY_VARIABLE, raw.get("apiKey"), raw_name)
            is_name = key != account.key.reveal() and not KEY_SHAPE.search(raw_name)
            name = raw_name if is_name else shown_key
            secret = _pick_secret(raw, "webhookSecret", "webhookUrl", SECRET_VARIABLE)
            batch_secret = _pick_secret(raw, "batchWebhookSecret", "batchWebhook", secret)
            return name, shown_key, secret, batch_secret
    return KEY_VARIABLE, KEY_VARIABLE, SECRET_VARIABLE, SECRET_VARIABLE


def _pick_secret(raw: Mapping[str, object], key: str, url_key: str, default: str) -> str:
    url = raw.get(url_key)
    return _pick_variable(default, raw.get(key), secret_in(url) if isinstance(url, str) else None)


def _pick_variable(default: str, *texts: object) -> str:
    """The first of these texts that is nothing but a variable."""
    return next((t for t in texts if isinstance(t, str) and _VARIABLE.fullmatch(t)), default)


def raw_accounts(path: Path) -> Iterator[tuple[str, object]]:
    """The `accounts` of the file as they stand there; it has been loaded before."""
    try:
        blob = parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, JsonSlip):
        return
    accounts = blob.get("accounts") if isinstance(blob, dict) else None
    if isinstance(accounts, dict):
        yield from accounts.items()


def _take_for_key(text: str) -> Meant:
    """An account that no config knows, by its key. Raises: UsageError when this is no key."""
    key = _expand(text)
    api_url = derive_api_url(key) if is_header_safe(key) else None
    if api_url is None:
        raise UsageError(
            "--account is neither an account of the config nor an API key with a data centre",
            hint='give a name or ${NAME} as in "accounts", or a key on stdin: --account -',
        )
    shown = _pick_variable(KEY_VARIABLE, text)
    account = AccountConfig(Secret(key), api_url)
    return Meant(shown, shown, SECRET_VARIABLE, SECRET_VARIABLE, account, {})


# --- what it holds --------------------------------------------------------------------------------


def _draw(meant: Meant, mailchimp: MailchimpSide) -> Blob:
    found = mailchimp.fetch_account()
    configured, batch_hook = meant.account, want_batch_hook(meant.account)
    blob: Blob = {"apiKey": meant.key}
    if configured.api_url != derive_api_url(configured.key.reveal()):
        blob["apiUrl"] = configured.api_url
    blob |= {
        "account_name": found.name,
        "email": found.email,
        "first_name": found.first_name,
        "last_name": found.last_name,
        "username": found.username,
        "audiences": {
            audience.list_id: _draw_audience(meant, mailchimp, audience.list_id, audience.name)
            for audience in mailchimp.fetch_audiences()
        },
    }
    hook = meant.hooks.get("")
    if hook is not None:
        blob["webhookUrl"] = _hide(hook.target, hook, meant.secret)
    if batch_hook is not None:
        blob["batchWebhook"] = _hide(batch_hook.target, batch_hook, meant.batch_secret)
    hooks = mailchimp.fetch_batch_webhooks()
    blob["batchWebhooks"] = [
        {
            "id": each.webhook_id,
            "url": _hide(each.url, batch_hook, meant.batch_secret),
            "enabled": each.is_enabled,
        }
        for each in hooks
    ]
    blob["batchWebhookFound"] = batch_hook is not None and any(
        batch_hook.is_ours(each.url) and not find_faults(each, batch_hook) for each in hooks
    )
    return blob


def _draw_audience(meant: Meant, mailchimp: MailchimpSide, list_id: str, name: str) -> Blob:
    hook = meant.hooks.get(list_id, meant.hooks.get(""))
    hooks = mailchimp.fetch_webhooks(list_id)
    blob: Blob = {"name": name, "interests": dict(mailchimp.fetch_interests(list_id))}
    if hook is not None:
        blob["webhook"] = _hide(hook.target, hook, meant.secret)
    blob["webhooks"] = [
        {
            "id": each.webhook_id,
            "url": _hide(each.url, hook, meant.secret),
            "events": dict(each.events),
            "sources": dict(each.sources),
        }
        for each in hooks
    ]
    blob["webhookFound"] = hook is not None and any(
        hook.is_ours(each.url) and not find_faults(each, hook) for each in hooks
    )
    return blob


def _hide(url: str, hook: WantedHook | None, secret: str) -> str:
    """A webhook's URL without what is secret in it; one of ours with the variable for it."""
    shown = show_url(url)
    if hook is None or not hook.is_ours(url):
        return f"{shown}?***" if "?" in url else shown
    return f"{shown}?secret={secret}" if "?" in url else shown
