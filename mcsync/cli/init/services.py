"""Both services as `mcsync init` finds them: is the address right, the key, and what is there."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcsync.config import derive_api_url, is_header_safe
from mcsync.errors import ConfigError, ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.model import Account, Audience, Group, Permission
from mcsync.pipeline.ports import MailchimpPort

_WORDS = {
    "set civicrm.siteKey in the config": "give the site key with --site-key-env",
    "check civicrm.url in the config": "check the address of CiviCRM",
    "check apiUrl in the config": "check the address of Mailchimp's API",
}
_UNREACHABLE = "nothing was written; check the address and the network, then start again"
_END = "the address of Mailchimp's API ends in /3.0"
_OF_MAILCHIMP = re.compile(r"[0-9a-f]{32}-[a-z]+[0-9]+")
PATIENCE_S = 10.0
_NO_KEY = "not-a-key"  # CiviCRM answers 401 to it, and nothing else does so but a CiviCRM


@dataclass(frozen=True, slots=True)
class Site:
    """A CiviCRM site that let us in; `url` is the address that works.

    `missing` are permissions that our user lacks and a sync needs.
    """

    url: str
    groups: tuple[Group, ...]
    missing: tuple[Permission, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """A Mailchimp account that let us in; `mailchimp` tells more about its audiences."""

    account: Account
    audiences: tuple[Audience, ...]
    mailchimp: MailchimpPort = field(repr=False)

    def fetch_interests(self, list_id: str) -> Mapping[str, str]:
        """Interest id to "Category: Interest"."""
        return self.mailchimp.fetch_interests(list_id)


def find_anybody(url: str, service: str, ends_at: float | None = None) -> None:
    """Make sure that somebody answers, however.

    Raises: RemoteUnavailable at `ends_at`, a time of `time.monotonic`, or after PATIENCE_S.
    """
    from mcsync.assemble import knock

    try:
        knock(url, service, _soon() if ends_at is None else ends_at)
    except RemoteUnavailable as error:
        error.hint = _UNREACHABLE
        raise


def find_site(url: str) -> None:
    """Make sure, within PATIENCE_S, that CiviCRM is there, before anybody types a key.

    Raises: ProtocolError when something else is, RemoteUnavailable when nothing is.
    """
    from mcsync.assemble import build_civicrm_setup

    ends_at = _soon()
    find_anybody(url, "CiviCRM", ends_at)
    try:
        build_civicrm_setup(url, _NO_KEY, ends_at=ends_at, least_s=0).fetch_groups()
    except RemoteRefused:
        return
    except RemoteUnavailable as error:
        error.hint = _UNREACHABLE
        raise
    except ProtocolError as error:
        error.hint = _reword(error.hint)
        raise


def open_site(url: str, api_key: str, site_key: str | None) -> Site:
    """Log in to CiviCRM and see its groups; each call may take PATIENCE_S.

    Raises: RemoteRefused for a wrong key or a missing permission; RemoteUnavailable,
    ProtocolError.
    """
    from mcsync.assemble import build_civicrm_setup

    _refuse_odd(api_key, "CiviCRM")
    if _OF_MAILCHIMP.fullmatch(api_key):
        raise RemoteRefused(
            "this is an API key of Mailchimp; it was sent nowhere",
            hint="give the API key of CiviCRM's API user",
        )
    if site_key is not None:
        _refuse_odd(site_key, "CiviCRM")
    civicrm = build_civicrm_setup(url, api_key, site_key, ends_at=_soon(), least_s=PATIENCE_S)
    missing: tuple[Permission, ...] = ()
    try:
        _, missing = civicrm.fetch_sight()
        groups = civicrm.fetch_groups()
    except RemoteUnavailable as error:
        error.hint = _UNREACHABLE
        raise
    except (RemoteRefused, ProtocolError) as error:
        error.hint = text_of_missing(missing) or _reword(error.hint)
        raise
    return Site(civicrm.found_url or url, groups, missing)


def text_of_missing(missing: Sequence[Permission]) -> str | None:
    """What to do about all that is missing at once; None when nothing is."""
    if len(missing) < 2:
        return missing[0].hint if missing else None
    names = ", ".join(f'"{name}"' for name in missing)
    return f"give the API user's role the permissions {names}"


def open_account(api_key: str, api_url: str | None) -> OpenAccount:
    """Log in to Mailchimp and see the account's audiences, within PATIENCE_S.

    Raises: RemoteRefused for a wrong key, or one without data centre where `api_url` is None;
    RemoteUnavailable, ProtocolError; ConfigError when there is no audience.
    """
    from mcsync.assemble import build_mailchimp_setup

    _refuse_odd(api_key, "Mailchimp")
    address = api_url or derive_api_url(api_key)
    if address is None:
        raise RemoteRefused(
            "this key does not end in a data centre, such as -us11",
            hint="copy the whole key; for a proxy, give its address with --mailchimp-url",
        )
    ends_at = _soon()
    mailchimp = build_mailchimp_setup(api_key, address, ends_at=ends_at, least_s=0)
    find_anybody(address, "Mailchimp", ends_at)
    try:
        account = mailchimp.fetch_account()
        audiences = mailchimp.fetch_audiences()
    except RemoteUnavailable as error:
        error.hint = _UNREACHABLE
        raise
    except ProtocolError as error:
        is_whole = api_url is None or api_url.endswith("/3.0")
        error.hint = _reword(error.hint) if is_whole else f"{_END}, such as {api_url}/3.0"
        raise
    if not audiences:
        raise ConfigError(
            f'the Mailchimp account "{account.name}" has no audience',
            hint="create one at Mailchimp (Audience), then start again",
        )
    # What is asked of it later has time of its own.
    later = build_mailchimp_setup(api_key, address, ends_at=ends_at, least_s=PATIENCE_S)
    return OpenAccount(account, audiences, later)


def _soon() -> float:
    """When to stop trying again, on the clock of `time.monotonic`: somebody waits for it."""
    return time.monotonic() + PATIENCE_S


def _reword(hint: str | None) -> str | None:
    """The same advice to somebody who has no config yet."""
    for before, after in _WORDS.items():
        hint = hint and hint.replace(before, after)
    return hint


def _refuse_odd(api_key: str, service: str) -> None:
    """A key that cannot travel in a header is none; saying so here keeps it out of tracebacks."""
    if not is_header_safe(api_key):
        raise RemoteRefused(
            f"this is not an API key of {service}: a key has only letters, digits and signs",
            hint="copy the key without spaces or line breaks",
        )
