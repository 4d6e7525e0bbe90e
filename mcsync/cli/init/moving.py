"""Moving over from the extension: what `mcsync init --from` takes of its config blob.

Lists, interests and accounts stay as they are; what is wrong with them the check at the end says.
The addresses of its webhooks stay behind: they lead to the extension. So does `trustOverride`,
which was meant for one sync of the extension's, and would have our first one overrule people.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from mcsync.check.extensions import find_route
from mcsync.cli.init.draft import (
    CIVICRM_URL,
    MAILCHIMP_KEY,
    AccountChoice,
    AudienceChoice,
    Setting,
    read_address,
)
from mcsync.cli.init.services import OpenAccount, open_account
from mcsync.cli.tables import show_gap, show_line
from mcsync.config import AccountConfig, AudienceConfig, ForeignConfig, derive_api_url
from mcsync.errors import UsageError
from mcsync.model import Account, Group

# Logs in to an account by its key and address; the key and the address that worked.
Open = Callable[[Setting, str | None], tuple[Setting, str | None, OpenAccount]]

_TRUST = "trustOverride"
_OWN_KEYS = ("subscriptionGroup", "apiKey", "interests", _TRUST)
_NOT_THERE = "not found in CiviCRM"


def find_site_of(origin: ForeignConfig) -> Setting | None:
    """CiviCRM's address, as far as the extension's own webhooks tell it."""
    for url in _gather_urls(origin):
        route = find_route(url)
        if route is not None:
            try:
                return Setting(read_address(route.base))
            except ValueError:
                continue
    return None


def _gather_urls(origin: ForeignConfig) -> Iterator[str]:
    for account in origin.config.accounts.values():
        for url in (account.webhook_url, account.batch_webhook_url):
            if url is not None:
                yield url.reveal()
    for audience in origin.config.audiences:
        if audience.webhook_url is not None:
            yield audience.webhook_url.reveal()


# --- accounts and audiences -----------------------------------------------------------------------


def take_accounts(
    origin: ForeignConfig,
    given: Mapping[str, Setting],
    offered: Mapping[str, Setting],
    api_url: str | None,
    groups: Sequence[Group],
    open_it: Open | None = None,
) -> list[AccountChoice]:
    """The blob's accounts with their audiences, those that no list uses last.

    `given` may have another key than the blob, and `api_url` another address, where one account is
    used. Raises: UsageError for one where several are; what `open_it` raises, which may ask.
    """
    used = dict.fromkeys(audience.account_key for audience in origin.config.audiences)
    if len(used) > 1 and (MAILCHIMP_KEY in given or api_url is not None):
        raise UsageError(
            f"{origin.config.path.name} has {len(used)} accounts, but one key or address was given",
            hint="leave it out: keys and addresses are taken from the file",
        )
    known = offered.get(MAILCHIMP_KEY) if len(origin.config.accounts) < 2 else None
    found = []
    for key in used:
        configured = origin.config.accounts.get(key)
        setting = given.get(MAILCHIMP_KEY) or _find_setting(configured, key, known)
        address = api_url or _find_address(configured)
        setting, address, opened = (open_it or _open)(setting, address)
        own = [each for each in origin.config.audiences if each.account_key == key]
        audiences = tuple(_take_audience(origin, each, opened, groups) for each in own)
        found.append(
            AccountChoice(key=setting, account=opened.account, audiences=audiences, api_url=address)
        )
    others = [(k, a) for k, a in origin.config.accounts.items() if k not in used]
    return [*found, *(_take_unused(origin, key, account) for key, account in others)]


def _open(key: Setting, api_url: str | None) -> tuple[Setting, str | None, OpenAccount]:
    return key, api_url, open_account(key.text, api_url)


def _find_setting(account: AccountConfig | None, key: str, known: Setting | None) -> Setting:
    """The blob's key, by the variable that has it already, if one does."""
    text = account.key.reveal() if account else key
    return known if known is not None and known.text == text else Setting(text)


def _find_address(account: AccountConfig | None) -> str | None:
    """The account's address, where its key does not tell it."""
    if account is None or account.api_url == derive_api_url(account.key.reveal()):
        return None
    return account.api_url or None


def _take_audience(
    origin: ForeignConfig, audience: AudienceConfig, opened: OpenAccount, groups: Sequence[Group]
) -> AudienceChoice:
    names = {each.list_id: each.name for each in opened.audiences}
    is_there = audience.list_id in names
    return AudienceChoice(
        audience.list_id,
        names.get(audience.list_id, audience.name),
        _find_group(audience.group_id, groups),
        {key: _find_group(group, groups) for key, group in audience.interests.items()},
        opened.fetch_interests(audience.list_id) if is_there else {},
        _find_options(origin, audience.list_id),
    )


def _find_options(origin: ForeignConfig, list_id: str) -> dict[str, object]:
    """What else the blob says of an audience that mcsync knows; nothing that is empty."""
    found = _find_list(origin, list_id).items()
    return {key: value for key, value in found if key not in _OWN_KEYS and value}


def _find_list(origin: ForeignConfig, list_id: str) -> Mapping[str, object]:
    lists = origin.blob.get("lists")
    raw = lists.get(list_id) if isinstance(lists, dict) else None
    return raw if isinstance(raw, dict) else {}


def _find_group(group_id: int, groups: Sequence[Group]) -> Group:
    unknown = Group(group_id, _NOT_THERE, is_active=False, is_smart=False, is_mailing=False)
    return next((each for each in groups if each.group_id == group_id), unknown)


def _take_unused(origin: ForeignConfig, key: str, account: AccountConfig) -> AccountChoice:
    """An account that no list uses, as the blob has it: nobody logs in to it."""
    accounts = origin.blob.get("accounts")
    raw = accounts.get(key) if isinstance(accounts, dict) else None
    names = raw if isinstance(raw, dict) else {}
    fields = ("account_name", "email", "first_name", "last_name", "username")
    texts = [value if isinstance(value := names.get(name), str) else "" for name in fields]
    name, email, first_name, last_name, username = texts
    return AccountChoice(
        key=Setting(account.key.reveal()),
        account=Account("", name, email, first_name, last_name, username),
        api_url=_find_address(account),
    )


# --- what is told ---------------------------------------------------------------------------------


def describe_origin(origin: ForeignConfig) -> dict[str, object]:
    """What was taken from where, for `--json`."""
    return {
        "from": str(origin.config.path),
        "mended": [
            {"line": each.line, "column": each.column, "what": each.what} for each in origin.slips
        ],
        "left_out": [*origin.left_out, *_find_overrides(origin)],
    }


def _find_overrides(origin: ForeignConfig) -> list[str]:
    ids = [each.list_id for each in origin.config.audiences]
    return [f"lists.{each}.{_TRUST}" for each in ids if _find_list(origin, each).get(_TRUST)]


def show_origin(origin: ForeignConfig) -> None:
    """What was mended and left out, as far as somebody might wonder."""
    path = origin.config.path.name
    show_gap()
    for slip in origin.slips:
        show_line(
            f"{path}, line {slip.line}, column {slip.column}: {slip.what}; read as if it were"
            " right, and the file is left as it is.",
            hanging=2,
        )
    if origin.left_out:
        show_line(
            f"Left out of the new config, which has no use for them: {', '.join(origin.left_out)}.",
            hanging=2,
        )
    if next(_gather_urls(origin), None) is not None:
        show_line(
            "The addresses of its webhooks are left out: they lead to the extension.", hanging=2
        )
    if overrides := _find_overrides(origin):
        show_line(
            f"Left out: {', '.join(overrides)}. It would have the first sync trust one side about"
            " everybody; if you want that, mcsync sync --trust does it.",
            hanging=2,
        )


def offer_site(
    origin: ForeignConfig | None, offered: Mapping[str, Setting]
) -> Mapping[str, Setting]:
    """What is offered, with CiviCRM's address of the blob where the environment has none."""
    site = find_site_of(origin) if origin is not None else None
    return offered if site is None or CIVICRM_URL in offered else {**offered, CIVICRM_URL: site}
