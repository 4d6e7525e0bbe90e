"""From the config to what `mcsync check` looks at, without anything that could reach a network."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from mcsync.check.findings import AudienceToCheck
from mcsync.check.look import AccountToCheck, MailchimpSide
from mcsync.check.webhook_findings import WantedHook
from mcsync.config import AccountConfig, AudienceConfig, Config, Secret

_CENTRE = re.compile(r"-([a-z]{2,}[0-9]{1,3})\Z")


def gather_keys(audiences: Iterable[AudienceConfig]) -> list[str]:
    """The accounts of these audiences, each once, by their keys in the config."""
    return list(dict.fromkeys(audience.account_key for audience in audiences))


def gather_account(
    config: Config, key: str, audiences: Sequence[AudienceConfig], mailchimp: MailchimpSide
) -> AccountToCheck:
    """An account with those of its audiences that are to be looked at."""
    account = config.accounts[key]
    own = [audience for audience in audiences if audience.account_key == key]
    return AccountToCheck(
        label=label_account(account),
        place=urlsplit(account.api_url).netloc,
        mailchimp=mailchimp,
        audiences=tuple(
            AudienceToCheck(
                a.list_id,
                a.name,
                a.group_id,
                a.interests,
                a.push_only_interests,
                a.name_fields,
            )
            for a in own
        ),
        hooks={a.list_id: want_hook(a.webhook_url, account) for a in own if a.webhook_url},
        batch_hook=want_batch_hook(account),
    )


def label_account(account: AccountConfig) -> str:
    """What to call an account before Mailchimp has told its name; never its key."""
    centre = _CENTRE.search(account.key.reveal())
    return account.name or (centre[1] if centre else urlsplit(account.api_url).netloc)


def want_hook(url: Secret, account: AccountConfig) -> WantedHook:
    """Where the webhook of an audience goes."""
    return WantedHook(url.reveal(), _reveal(account.webhook_secrets), bool(account.signing_secrets))


def want_batch_hook(account: AccountConfig) -> WantedHook | None:
    """Where the batch webhook of an account goes, if there is to be one."""
    url, secrets = account.batch_webhook_url, _reveal(account.batch_webhook_secrets)
    return WantedHook(url.reveal(), secrets, bool(account.signing_secrets)) if url else None


def _reveal(secrets: Iterable[Secret]) -> tuple[str, ...]:
    return tuple(secret.reveal() for secret in secrets)


def name_filled_tags(config: Config, audience: AudienceConfig) -> frozenset[str]:
    """The merge tags that a sync fills when it adds somebody: none without the data step."""
    if not config.data.sync:
        return frozenset()
    names = {tag for tag in audience.name_fields.values() if tag}
    return frozenset(names | {tag.upper() for tag in config.data.fields})
