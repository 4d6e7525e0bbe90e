"""The desk where webhooks come in: the application, the threads behind it, and whom it believes."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from mcsync.clock import utc_now
from mcsync.config import Config, Secret
from mcsync.errors import ConfigError
from mcsync.text import HOOK_ENDING, find_hook_url
from mcsync.webhooks.app import WebhookApp
from mcsync.webhooks.auth import AccountKeys, Gate
from mcsync.webhooks.inbox import Inbox
from mcsync.webhooks.queue import Intake, QueueHandler
from mcsync.webhooks.worker import Worker

log = logging.getLogger("mcsync")

_CHUNK_S = 10.0  # to let the queue's chunk in hand come to a safe point


class Desk(NamedTuple):
    """Where webhooks come in: the application, and the threads behind it."""

    app: WebhookApp
    inbox: Inbox
    worker: Worker
    handler: QueueHandler
    paths: tuple[str, ...]

    def start(self) -> None:
        """Begin to store, and to handle what is in the queue already."""
        self.inbox.start()
        self.worker.start()

    def stop(self) -> None:
        """Write down what has come; leave what is not handled to the next sync."""
        self.inbox.stop()
        self.handler.hurry()
        if not self.worker.stop(_CHUNK_S):
            self.handler.take_back()


def open_desk(intake: Intake) -> Desk:
    """Everything but the web server; nothing is started yet.

    Raises: ConfigError when nothing could tell Mailchimp from anybody else.
    """
    keys = gather_keys(intake.config)
    require_keys(intake, keys)
    gate = make_gate(intake.config)
    handler = QueueHandler(intake)
    worker = Worker(handler.handle_chunk)
    inbox = Inbox(intake.cache, utc_now, on_stored=worker.wake)
    paths = _find_paths(intake.config)
    app = WebhookApp(gate, inbox.store, intake.list_ids, paths, utc_now)
    return Desk(app, inbox, worker, handler, paths)


def make_gate(config: Config) -> Gate:
    """Whom the config has us believe."""
    secret = config.civicrm.hook_secret
    return Gate(gather_keys(config), _reveal([secret] if secret else []))


def gather_keys(config: Config) -> tuple[AccountKeys, ...]:
    """The secrets of every account, with the audiences that they are for."""
    return tuple(
        AccountKeys(
            list_ids=frozenset(a.list_id for a in config.audiences if a.account_key == key),
            secrets=_reveal(account.webhook_secrets),
            batch_secrets=_reveal(account.batch_webhook_secrets),
            signing_secrets=_reveal(account.signing_secrets),
        )
        for key, account in config.accounts.items()
    )


def _reveal(secrets: Iterable[Secret]) -> tuple[str, ...]:
    return tuple(secret.reveal() for secret in secrets)


def require_keys(intake: Intake, keys: tuple[AccountKeys, ...]) -> None:
    """Refuse to listen to everybody; warn of audiences whose webhooks would all be refused."""
    if all(account.is_empty for account in keys):
        if intake.config.civicrm.hook_secret:
            return  # CiviCRM's changes are all that is wanted
        raise ConfigError(
            "no secret is set, so anybody could send webhooks",
            hint='set accounts.KEY.webhookUrl to "https://…/webhook?secret=…", and batchWebhook'
            ' likewise; then run "mcsync check --fix"',
        )
    silent = {list_id for account in keys if account.is_empty for list_id in account.list_ids}
    for audience in intake.audiences:
        if audience.list_id in silent:
            log.warning(
                "%s: its account has no webhook secret, so its webhooks are refused; set"
                ' webhookUrl, then run "mcsync check --fix"',
                audience.name,
            )


def _find_paths(config: Config) -> tuple[str, ...]:
    """The paths of all webhook URLs in the config, and those for CiviCRM, each once."""
    accounts = config.accounts.values()
    urls = [url for account in accounts for url in (account.webhook_url, account.batch_webhook_url)]
    urls += [audience.webhook_url for audience in config.audiences]
    paths = []
    for url in urls:
        with suppress(ValueError):  # a copy in `accounts` is checked by nobody
            paths.append(urlsplit(url.reveal()).path if url else "")
    if config.civicrm.hook_secret:
        beside = (find_hook_url(url.reveal()) for url in urls if url)
        paths += [urlsplit(url).path for url in beside if url] or [HOOK_ENDING]
    return tuple(sorted({path for path in paths if path}))
