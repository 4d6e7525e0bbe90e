"""The conversation of `mcsync init`: what it says and asks, step by step."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import click

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
    find_variables,
    has_typed_keys,
    name_group,
    place_keys,
    read_address,
    read_hook_address,
)
from mcsync.cli.init.given import Wishes, make_secret, match_audiences, match_interests
from mcsync.cli.init.moving import show_origin, take_accounts
from mcsync.cli.init.questions import (
    ask,
    ask_hidden,
    ask_yes,
    choose_one,
    choose_several,
    show_step,
    try_to,
    trying,
)
from mcsync.cli.init.services import (
    OpenAccount,
    Site,
    find_site,
    open_account,
    open_site,
    text_of_missing,
)
from mcsync.cli.tables import show_fields, show_line
from mcsync.config import derive_api_url
from mcsync.errors import RemoteRefused
from mcsync.model import Audience, Group
from mcsync.text import count_of

Look = Callable[[], Sequence[Group]]


class Declined(click.Abort):
    """The last question was answered with no."""


def converse(wishes: Wishes, path: Path) -> Choices:
    """Ask for everything that the wishes do not tell, and show what will be written.

    Raises: Stopped or click.Abort when the person leaves; Declined when they do not want it
    written; after three tries in vain what the services raise.
    """
    show_line(
        "This writes a config for mcsync. It asks a few questions and writes nothing before the "
        "end; Ctrl-C quits at any time.",
        hanging=0,
    )
    login = _ask_civicrm(wishes)
    first, *others = _ask_accounts(wishes, login.look)
    webhook_url = _ask_webhooks(wishes)
    choices = Choices(
        civicrm_url=login.url,
        civicrm_key=login.key,
        site_key=login.site_key,
        mailchimp_key=first.key,
        api_url=first.api_url,
        account=first.account,
        audiences=first.audiences,
        others=tuple(others),
        origin=wishes.origin,
        webhook_url=webhook_url,
        webhook_secret=make_secret(),
        hook_secret=make_secret() if _ask_hook(wishes, webhook_url) else "",
        cache=wishes.cache,
    )
    choices = _ask_where_keys_go(wishes, choices, path)
    show_choices(choices, path)
    if choices.origin is not None:
        show_origin(choices.origin)
    if not ask_yes("Write it?"):
        raise Declined
    return choices


def _ask_accounts(wishes: Wishes, look: Look) -> list[AccountChoice]:
    """The account with the audiences that are wanted; or those of the extension's config."""
    if wishes.origin is None:
        key, api_url, account = _ask_mailchimp(wishes)
        audiences = ask_audiences(wishes, account, look)
        return [
            AccountChoice(key=key, account=account.account, audiences=audiences, api_url=api_url)
        ]

    def open_it(key: Setting, api_url: str | None) -> tuple[Setting, str | None, OpenAccount]:
        given = {**wishes.given, MAILCHIMP_KEY: key}
        return _ask_mailchimp(replace(wishes, given=given, api_url=api_url))

    return take_accounts(
        wishes.origin, wishes.given, wishes.offered, wishes.api_url, look(), open_it
    )


# --- CiviCRM --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Login:
    """CiviCRM's address and keys as far as they are known; `key` "" is none yet."""

    url: Setting
    key: Setting = field(default_factory=lambda: Setting(""))
    site_key: Setting | None = None
    wants_site_key: bool = False

    def open(self) -> Site:
        """Log in; remembers whether CiviCRM asks for a site key."""
        site_key = self.site_key.text if self.site_key else None
        try:
            return open_site(self.url.text, self.key.text, site_key)
        except RemoteRefused as error:
            # "Must satisfy guard (site_key, perm)" are CiviCRM's own words (civicrm: Address).
            self.wants_site_key = "site_key" in error.message
            raise

    def look(self) -> Sequence[Group]:
        """The groups as they are now."""
        return self.open().groups


def _ask_civicrm(wishes: Wishes) -> _Login:
    show_step("CiviCRM")
    login = _Login(_ask_address(wishes), site_key=wishes.find(SITE_KEY))
    given = [wishes.given[CIVICRM_KEY]] if CIVICRM_KEY in wishes.given else []
    if not given:
        show_line(
            'The API key of the user that mcsync acts as; "mcsync help setting-up" lists the '
            "permissions that user needs. What you type is not shown.",
            hanging=0,
        )

    def attempt() -> Site:
        if login.wants_site_key and login.site_key is None:
            login.site_key = _ask_site_key()
        else:
            offered = wishes.offered.get(CIVICRM_KEY)
            login.key = given.pop() if given else _ask_key("API key", offered, login.key)
        return login.open()

    site = try_to(attempt, "Check the address, and that the site is up, then try again")
    if site.url != login.url.text:
        login.url = Setting(site.url)
    show_line(f"Logged in to CiviCRM; it has {count_of(len(site.groups), 'group')}.", indent=2)
    if site.missing:
        show_line(f"Before the first sync, {text_of_missing(site.missing)}.", indent=2, hanging=0)
    return login


def _ask_address(wishes: Wishes) -> Setting:
    given = [wishes.given[CIVICRM_URL]] if CIVICRM_URL in wishes.given else []
    offered = wishes.offered.get(CIVICRM_URL)
    if not given:
        show_line("The address of your site, such as https://www.example.org", hanging=0)
    if not given and offered:
        origin = f"${offered.variable}" if offered.variable else "the extension's webhooks"
        show_line(f"Press Enter for {offered.text}, from {origin}.", hanging=0)

    def attempt() -> Setting:
        found = given.pop() if given else _read_setting("Address of CiviCRM", offered)
        with trying(urlsplit(found.text).netloc):
            find_site(found.text)
        return found

    return try_to(
        attempt,
        "Type the address as your browser shows it, up to the first single slash; if CiviCRM "
        "is in a subfolder, up to the slash before “civicrm”",
    )


def _read_setting(question: str, offered: Setting | None) -> Setting:
    """Ask until it is an address; Enter takes what is offered, if anything is."""
    while True:
        answer = ask(question)
        if not answer and offered:
            return offered
        if answer:
            try:
                return Setting(read_address(answer))
            except ValueError as error:
                show_line(f"That did not work: {error}.", indent=2)


def _ask_key(question: str, offered: Setting | None, last: Setting) -> Setting:
    """Ask for a key that does not show; Enter takes the last one again, or the offered one."""
    default = last if last.text else offered
    if last.text:
        question += " (Enter: the same one again)"
    elif offered:
        question += f" (Enter: the one in ${offered.variable})"
    while True:
        answer = ask_hidden(question)
        if answer:
            return Setting(answer)
        if default:
            return default


def _ask_site_key() -> Setting | None:
    show_line(
        "This user cannot log in with an API key alone. Either give its role the permission "
        "“authenticate with api key”, or type the site key (CIVICRM_SITE_KEY in "
        "civicrm.settings.php).",
        indent=2,
        hanging=0,
    )
    typed = ask_hidden("Site key (Enter: none, try again)")
    return Setting(typed) if typed else None


# --- Mailchimp ------------------------------------------------------------------------------------


def _ask_mailchimp(wishes: Wishes) -> tuple[Setting, str | None, OpenAccount]:
    """The key, the address where the key does not tell it, and what they open."""
    show_step("Mailchimp")
    given = [wishes.given[MAILCHIMP_KEY]] if MAILCHIMP_KEY in wishes.given else []
    last = Setting("")
    if not given:
        show_line(
            "The API key of your account, found at Mailchimp under Account > Extras > API keys. "
            "It ends in a data centre, such as -us11. What you type is not shown.",
            hanging=0,
        )

    def attempt() -> tuple[Setting, str | None, OpenAccount]:
        nonlocal last
        offered = wishes.offered.get(MAILCHIMP_KEY)
        last = given.pop() if given else _ask_key("API key", offered, last)
        api_url = wishes.api_url
        if api_url is None and derive_api_url(last.text) is None:
            api_url = _ask_api_url()
        with trying("Mailchimp"):
            return last, api_url, open_account(last.text, api_url)

    advice = "Check the end of the key, which names the data centre, such as -us11"
    if wishes.api_url is not None:
        advice = "Check the address given with --mailchimp-url; it must end in /3.0"
    found = try_to(attempt, advice)
    account = found[2].account
    whose = f" ({account.email})" if account.email else ""
    show_line(f"Logged in to Mailchimp: {account.name}{whose}.", indent=2)
    return found


def _ask_api_url() -> str | None:
    show_line(
        "This key does not end in a data centre, such as -us11. Did you copy all of it? If your "
        "Mailchimp has its own address, type that; otherwise press Enter.",
        indent=2,
        hanging=0,
    )
    while answer := ask("Address of Mailchimp's API (Enter: type the key again)"):
        try:
            return read_address(answer)
        except ValueError as error:
            show_line(f"That did not work: {error}.", indent=2)
    return None


# --- audiences, groups, interests -----------------------------------------------------------------


def ask_audiences(
    wishes: Wishes, account: OpenAccount, look: Look, title: str = "Audiences"
) -> tuple[AudienceChoice, ...]:
    """Those of the account's audiences that are wanted, each with its group and its interests."""
    given = match_audiences(wishes.audiences, account, look()) if wishes.audiences else ()
    found = list(given)
    for audience in [] if given else _ask_which(account.audiences, title):
        group = _ask_group(audience.name, look, {each.group.group_id for each in found})
        names = account.fetch_interests(audience.list_id)
        choice = AudienceChoice(audience.list_id, audience.name, group, {}, names)
        found.append(choice if wishes.interests else _ask_interests(choice, look))
    if wishes.interests:
        return match_interests(wishes.interests, found, look())
    return tuple(_ask_interests(each, look) for each in given) or tuple(found)


def _ask_which(audiences: Sequence[Audience], title: str) -> list[Audience]:
    show_step(title)
    labels = _label_audiences(audiences)
    if len(labels) == 1:
        show_line(f"There is one: {labels[0]}.", hanging=0)
        return list(audiences)
    show_line("Which audiences do you want to sync with CiviCRM?", hanging=0)
    everything = range(len(labels))
    places = choose_several("Numbers, such as 1, 2 (Enter: all)", labels, everything)
    return [audiences[place] for place in places]


def _label_audiences(audiences: Sequence[Audience]) -> list[str]:
    """Names and sizes; ids only where names are not enough."""
    names = [each.name for each in audiences]
    return [
        f"{each.name}, {count_of(each.member_count, 'member')}"
        + (f", id {each.list_id}" if names.count(each.name) > 1 else "")
        for each in audiences
    ]


def _ask_group(name: str, look: Look, taken: set[int]) -> Group:
    """The subscription group: one that people can be added to, a mailing group, not taken yet."""
    show_step(f'The group for "{name}"')
    show_line(
        "Which CiviCRM group belongs to this audience? Everybody in the group will be "
        "subscribed, and everybody subscribed will be in the group. The list has enabled mailing "
        "groups only; no smart groups, and no groups for access control, because anybody can "
        "sign up at Mailchimp.",
        hanging=0,
    )
    while True:
        groups = [
            each
            for each in look()
            if each.is_active
            and each.is_mailing
            and not each.is_smart
            and not each.is_access_control
            and each.group_id not in taken
        ]
        if not groups:
            show_line(
                "There is none. Create one in CiviCRM: Contacts, Manage Groups, Add Group, with "
                "the type “Mailing List”.",
                indent=2,
                hanging=0,
            )
        question = "Number, or part of a name (Enter: refresh)"
        labels = [name_group(each) for each in groups]
        place = choose_one(question, labels, [each.title for each in groups])
        if place is not None:
            return groups[place]


def _ask_interests(audience: AudienceChoice, look: Look) -> AudienceChoice:
    """The audience with those of its interests that follow a group."""
    if not audience.interest_names:
        return audience
    show_step(f'The interests of "{audience.name}"')
    show_line(
        "An interest can have a CiviCRM group too: everybody with the interest will be in the "
        "group. Groups for access control are not listed, because members choose interests "
        "themselves. Which of these should have a group?",
        hanging=0,
    )
    ids = list(audience.interest_names)
    labels = [audience.interest_names[key] for key in ids]
    mapped: dict[str, Group] = {}
    for place in choose_several("Numbers, such as 1, 2 (Enter: none)", labels, ()):
        group = _ask_interest_group(labels[place], look, audience.group, mapped)
        if group is not None:
            mapped[ids[place]] = group
    return replace(audience, interests=mapped)


def _ask_interest_group(
    name: str, look: Look, main: Group, mapped: Mapping[str, Group]
) -> Group | None:
    taken = {main.group_id, *(group.group_id for group in mapped.values())}
    groups = [
        each
        for each in look()
        if each.is_active and not each.is_access_control and each.group_id not in taken
    ]
    groups.sort(key=lambda each: not each.is_mailing)  # others are seldom meant
    labels = [
        name_group(each) + (", smart: to Mailchimp only" if each.is_smart else "")
        for each in groups
    ]
    show_line(f'Which group belongs to "{name}"?', hanging=0)
    names = [each.title for each in groups]
    place = choose_one("Number, or part of a name (Enter: none)", labels, names)
    return None if place is None else groups[place]


# --- webhooks, keys -------------------------------------------------------------------------------


def _ask_webhooks(wishes: Wishes) -> str | None:
    if wishes.webhook_url is not None:
        return wishes.webhook_url or None
    show_step("Webhooks")
    show_line(
        "With webhooks, mcsync learns at once when somebody subscribes, leaves or changes. "
        "They need “mcsync serve” running where Mailchimp can reach it. Without them, the next "
        "sync finds out.",
        hanging=0,
    )
    show_line(
        "The public address of mcsync serve, such as https://crm.example.org/mailchimp", hanging=0
    )
    while answer := ask("Address (Enter: no webhooks)"):
        try:
            return read_hook_address(answer)
        except ValueError as error:
            show_line(f"That did not work: {error}.", indent=2)
    return None


def _ask_hook(wishes: Wishes, webhook_url: str | None) -> bool:
    """Whether CiviCRM is to report its changes, too; not asked of who said all by options."""
    if webhook_url is None or wishes.civicrm_hook or wishes.webhook_url is not None:
        return wishes.civicrm_hook
    show_line(
        "CiviCRM can report its changes there, too, by a hook that you add to it. Without it, the "
        "next sync finds out.",
        hanging=0,
    )
    return ask_yes("Prepare for CiviCRM's hook?", default=False)


def _ask_where_keys_go(wishes: Wishes, choices: Choices, path: Path) -> Choices:
    if wishes.keys is not None:
        return place_keys(choices, wishes.keys)
    if not has_typed_keys(choices):
        return choices
    show_step("Where to keep the keys")
    labels = [
        "In the file. Only you can read it.",
        "In environment variables, which you set wherever mcsync runs.",
    ]
    if not os.path.lexists(path.parent / KeysIn.KEYS_ENV):
        labels.append("In keys.env beside the file. Only you can read either.")
    place = choose_one("Number (Enter: 1)", labels)
    return place_keys(choices, list(KeysIn)[place]) if place else choices


# --- what it comes to -----------------------------------------------------------------------------


def show_choices(choices: Choices, path: Path) -> None:
    """Everything that was chosen, before it is written; no key, no secret."""
    show_step("This will be written", f"{path}, readable by you only")
    rows = [("CiviCRM", choices.civicrm_url.text)]
    for account in choices.accounts:
        rows.append(("Mailchimp", account.account.name))
        for audience in account.audiences:
            rows.append(("audience", f"{audience.name} = {name_group(audience.group)}"))
            for key, group in audience.interests.items():
                name = audience.interest_names.get(key, f"interest {key}")
                rows.append(("interest", f"{name} = {name_group(group)}"))
    hooks = "none"
    if choices.webhook_url is not None:
        made = "created at Mailchimp if they answer"
        if choices.origin is not None:
            made = "to be created at Mailchimp when you switch over"
        hooks = f"{choices.webhook_url}/webhook and …/batch-webhook, with a secret; {made}"
    if choices.hook_url is not None:
        hooks += "; …/civicrm-hook for CiviCRM, with another"
    variables = ", ".join(f"${name}" for name in find_variables(choices))
    keys = ["in the file"] if has_typed_keys(choices) else []
    place = f"in {choices.environment_file} beside it, as " if choices.environment_file else "in "
    keys += [f"{place}{variables}"] if variables else []
    show_fields([*rows, ("webhooks", hooks), ("keys", " and ".join(keys))])
