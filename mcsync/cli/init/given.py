"""What the options and the environment of `mcsync init` say, and choices made of them alone."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TypeVar

from mcsync.cli.init.draft import (
    CIVICRM_KEY,
    CIVICRM_URL,
    MAILCHIMP_KEY,
    SITE_KEY,
    AccountChoice,
    AudienceChoice,
    Choices,
    KeysIn,
    Setting,
    find_clash,
    is_like_key,
    name_group,
    place_keys,
    read_address,
)
from mcsync.cli.init.moving import take_accounts
from mcsync.cli.init.services import OpenAccount, find_anybody, open_account, open_site
from mcsync.config import ForeignConfig, did_you_mean
from mcsync.errors import McsyncError, UsageError
from mcsync.model import Audience, Group
from mcsync.text import count_of

T = TypeVar("T")
_HELP = 'see "mcsync init --help"; on a terminal, init asks for what is missing'
_MISSING = {
    CIVICRM_URL: (f"--civicrm-url URL, or ${CIVICRM_URL}", "CiviCRM's address"),
    CIVICRM_KEY: (f"--civicrm-key-env NAME, or ${CIVICRM_KEY}", "CiviCRM's API key"),
    MAILCHIMP_KEY: (f"--mailchimp-key-env NAME, or ${MAILCHIMP_KEY}", "Mailchimp's API key"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is known before anybody is asked.

    `given` was told by an option, `offered` stands in the environment, both by the name of the
    usual variable. `audiences` and `interests` are "LEFT=RIGHT"; `webhook_url` is "" for none.
    `origin` is the extension's config, which has the audiences and the keys of Mailchimp.
    """

    given: Mapping[str, Setting]
    offered: Mapping[str, Setting]
    api_url: str | None = None
    audiences: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    webhook_url: str | None = None
    civicrm_hook: bool = False
    keys: KeysIn | None = None
    cache: str | None = None
    origin: ForeignConfig | None = None

    def find(self, name: str) -> Setting | None:
        """What is known, however it is."""
        return self.given.get(name) or self.offered.get(name)


# --- from options and environment -----------------------------------------------------------------


def find_offered(environ: Mapping[str, str]) -> dict[str, Setting]:
    """The settings that stand in the environment under their usual names."""
    names = (CIVICRM_URL, CIVICRM_KEY, SITE_KEY, MAILCHIMP_KEY)
    found = {name: Setting(environ[name], name) for name in names if environ.get(name)}
    if CIVICRM_URL in found:
        text = found[CIVICRM_URL].text
        whole = check_address(f"${CIVICRM_URL}", text)
        if whole != text.rstrip("/"):  # the config would not take it as it stands there
            found[CIVICRM_URL] = Setting(whole)
    return found


def find_given(
    civicrm_url: str | None, variables: Mapping[str, str | None], environ: Mapping[str, str]
) -> dict[str, Setting]:
    """The settings that options tell; `variables` has the names of variables by usual name."""
    found = {}
    if civicrm_url is not None:
        found[CIVICRM_URL] = Setting(check_address("--civicrm-url", civicrm_url))
    for usual, name in variables.items():
        if name is not None:
            if not environ.get(name):
                told = (
                    "what was given as the name of a variable" if is_like_key(name) else f"${name}"
                )
                raise UsageError(f"{told} is not set in the environment", hint=_HELP)
            found[usual] = Setting(environ[name], name)
    return found


def read_keys(least: int = 2) -> dict[str, Setting]:
    """Both keys from stdin, a line each: CiviCRM's, then Mailchimp's; `least` 1 is without that."""
    lines = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
    if len(lines) == least == 1:
        return {CIVICRM_KEY: Setting(lines[0])}
    if len(lines) != 2:
        raise UsageError(
            f"--read-keys: expected 2 lines on stdin, got {len(lines)}",
            hint="CiviCRM's API key on the first line, Mailchimp's on the second",
        )
    return {CIVICRM_KEY: Setting(lines[0]), MAILCHIMP_KEY: Setting(lines[1])}


def check_address(option: str, text: str, read: Callable[[str], str] = read_address) -> str:
    """An address, made whole; UsageError with the option's name when it is none."""
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint=_HELP) from None


# --- without asking -------------------------------------------------------------------------------


def take_choices(wishes: Wishes) -> Choices:
    """The choices, made of the wishes alone.

    Raises: UsageError naming all that is missing, or what does not fit; what both services
    raise.
    """
    names = _MISSING if wishes.origin is None else (CIVICRM_URL, CIVICRM_KEY)
    missing = [_MISSING[name] for name in names if wishes.find(name) is None]
    if wishes.civicrm_hook and wishes.webhook_url is None:
        missing.append(("--webhook-url URL", "the public address of mcsync serve"))
    if not wishes.audiences and wishes.origin is None:
        missing.append(("--audience AUDIENCE=GROUP", "which audience belongs to which group"))
    url, key = wishes.find(CIVICRM_URL), wishes.find(CIVICRM_KEY)
    if missing or url is None or key is None:
        lacking = count_of(len(missing), "option is", "options are")
        raise UsageError(
            f"nobody can be asked, and {lacking} missing",
            hint=f"{_HELP}{_text_of_audiences(wishes)}",
            problems=tuple(missing),
        )
    site_key = wishes.find(SITE_KEY)
    find_anybody(url.text, "CiviCRM")
    site = open_site(url.text, key.text, site_key.text if site_key else None)
    first, *others = _take_accounts(wishes, site.groups)
    choices = Choices(
        civicrm_url=url if site.url == url.text.rstrip("/") else Setting(site.url),
        civicrm_key=key,
        site_key=site_key,
        mailchimp_key=first.key,
        api_url=first.api_url,
        account=first.account,
        audiences=first.audiences,
        others=tuple(others),
        origin=wishes.origin,
        webhook_url=wishes.webhook_url or None,
        webhook_secret=make_secret(),
        hook_secret=make_secret() if wishes.civicrm_hook else "",
        cache=wishes.cache,
    )
    return choices if wishes.keys is None else place_keys(choices, wishes.keys)


def _take_accounts(wishes: Wishes, groups: Sequence[Group]) -> list[AccountChoice]:
    """The accounts with their audiences: the one that the key opens, or those of the blob."""
    if wishes.origin is not None:
        return take_accounts(wishes.origin, wishes.given, wishes.offered, wishes.api_url, groups)
    key = wishes.find(MAILCHIMP_KEY) or Setting("")
    account = open_account(key.text, wishes.api_url)
    audiences = match_audiences(wishes.audiences, account, groups)
    audiences = match_interests(wishes.interests, audiences, groups)
    return [
        AccountChoice(key=key, account=account.account, audiences=audiences, api_url=wishes.api_url)
    ]


def _text_of_audiences(wishes: Wishes) -> str:
    """The account's audiences for a hint, if none is chosen yet and the key opens it; else ""."""
    key = wishes.find(MAILCHIMP_KEY)
    if wishes.audiences or wishes.origin is not None or key is None:
        return ""
    try:
        audiences = open_account(key.text, wishes.api_url).audiences
    except McsyncError:
        return ""
    names = ", ".join(f"{each.name} ({each.list_id})" for each in audiences)
    return f"; the account has these audiences: {names}"


def make_secret() -> str:
    """A secret that nobody guesses, of letters and digits."""
    return token_hex(20)


# --- by id or by name -----------------------------------------------------------------------------


def match_audiences(
    wanted: Sequence[str], account: OpenAccount, groups: Sequence[Group]
) -> tuple[AudienceChoice, ...]:
    """The audiences that `--audience` names, with all their interests and none of them mapped.

    Raises: UsageError for what is not there, is no group for people, or is named twice.
    """
    found: dict[str, AudienceChoice] = {}
    for text in wanted:
        left, right = _halves("--audience", text)
        audience = _find_audience(left, account.audiences)
        if audience.list_id in found:
            raise UsageError(f'--audience: "{audience.name}" is given twice', hint=_HELP)
        group = _find_group("--audience", right, groups)
        if group.is_smart:
            raise UsageError(
                f"--audience: {name_group(group)} is a smart group, so nobody can be added to it",
                hint="choose an ordinary group",
            )
        names = account.fetch_interests(audience.list_id)
        found[audience.list_id] = AudienceChoice(
            audience.list_id, audience.name, group, interest_names=names
        )
    return _without_clash(tuple(found.values()))


def match_interests(
    wanted: Sequence[str], audiences: Sequence[AudienceChoice], groups: Sequence[Group]
) -> tuple[AudienceChoice, ...]:
    """The audiences, with the interests mapped that `--interest` names.

    Raises: UsageError as `match_audiences`.
    """
    mapped: dict[str, Group] = {}
    for text in wanted:
        left, right = _halves("--interest", text)
        interest_id = _find_interest(left, audiences)
        if interest_id in mapped:
            raise UsageError(f'--interest: "{left}" is given twice', hint=_HELP)
        mapped[interest_id] = _find_group("--interest", right, groups)
    return _without_clash(
        tuple(
            AudienceChoice(
                each.list_id,
                each.name,
                each.group,
                {key: mapped[key] for key in each.interest_names if key in mapped},
                each.interest_names,
            )
            for each in audiences
        )
    )


def _without_clash(audiences: tuple[AudienceChoice, ...]) -> tuple[AudienceChoice, ...]:
    clash = find_clash(audiences)
    if clash is not None:
        raise UsageError(clash, hint="give each its own group")
    return audiences


def _halves(option: str, text: str) -> tuple[str, str]:
    left, equals, right = (half.strip() for half in text.rpartition("="))
    if not equals or not left or not right:
        raise UsageError(
            f'{option}: expected two names or ids with "=" between them, got "{text}"', hint=_HELP
        )
    return left, right


def _find_audience(wanted: str, audiences: Sequence[Audience]) -> Audience:
    for audience in audiences:
        if audience.list_id == wanted:
            return audience
    named = [each for each in audiences if each.name.strip().casefold() == wanted.casefold()]
    what = f'--audience: {{}} audience "{wanted}" in this account'
    return _only(what, wanted, named, {each.list_id: each.name for each in audiences})


def _find_group(option: str, wanted: str, groups: Sequence[Group]) -> Group:
    named = [each for each in groups if str(each.group_id) == wanted] or [
        each for each in groups if each.title.strip().casefold() == wanted.casefold()
    ]
    names = {str(each.group_id): each.title for each in groups if each.is_active}
    group = _only(f'{option}: {{}} group "{wanted}" in CiviCRM', wanted, named, names)
    if not group.is_active:
        raise UsageError(
            f"{option}: {name_group(group)} is disabled",
            hint="enable it in CiviCRM and try again",
        )
    if group.is_access_control:
        raise UsageError(
            f"{option}: {name_group(group)} is for access control, so anybody who signs up at"
            " Mailchimp would get its permissions",
            hint='choose another group, or untick "Access Control" in CiviCRM',
        )
    return group


def _find_interest(wanted: str, audiences: Sequence[AudienceChoice]) -> str:
    names = {key: name for each in audiences for key, name in each.interest_names.items()}
    if wanted in names:
        return wanted
    same = wanted.casefold()
    named = [
        key
        for key, name in names.items()
        if same in (name.casefold(), name.partition(": ")[2].casefold())
    ]
    return _only(
        f'--interest: {{}} interest "{wanted}" in the chosen audiences', wanted, named, names
    )


def _only(what: str, wanted: str, found: Sequence[T], names: Mapping[str, str]) -> T:
    """The only one found; UsageError for none or several. `names` has all names by id."""
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(what.format(f"{len(found)} times"), hint="give its id")
    shown = [f"{name} ({key})" for key, name in list(names.items())[:10]]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    raise UsageError(
        what.format("no") + did_you_mean(wanted, [*names, *names.values()]),
        hint=f"choose from: {', '.join(shown) or 'none'}{more}",
    )
