"""Webhooks as they are and as they should be: pure judgements, and what would put them right.

Ours is one that leads to the same host and path as the config's URL, whatever its scheme, its
query, a trailing slash or the case of the host. All others are somebody else's.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import quote, urlsplit

from mcsync.check.extensions import Extension, find_extension, find_route
from mcsync.check.findings import Finding, Trouble
from mcsync.model import BatchWebhook, Webhook
from mcsync.text import secret_in

EVENTS: Mapping[str, bool] = {
    "subscribe": True,
    "unsubscribe": True,
    "profile": True,
    "cleaned": True,
    "upemail": True,
    "campaign": False,
}
SOURCES: Mapping[str, bool] = {"user": True, "admin": True, "api": False}
FIX = "mcsync check --fix"
_END_URL = 'add "?secret=" and a long random text to the URL in the config'
_LEAST_SECRET = 20  # characters
_USUAL_PORTS = (None, 80, 443)

Hook = Webhook | BatchWebhook


@dataclass(frozen=True, slots=True)
class WantedHook:
    """Where Mailchimp is to send to; any of the secrets is right in the URL.

    `is_signed`: the config has signing secrets, so that a URL may do without a secret.
    """

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    is_signed: bool = False

    @property
    def is_valid(self) -> bool:
        """Whether it is an address at all; a copy in `accounts` is checked by nobody."""
        try:
            parts = urlsplit(self.url)
            return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return False

    @property
    def shown(self) -> str:
        """The address without what is secret in it."""
        return show_url(self.url)

    @property
    def target(self) -> str:
        """The URL to be registered: the config's, with a secret."""
        if secret_in(self.url) or not self.secrets:
            return self.url
        sign = "&" if "?" in self.url else "?"
        return f"{self.url}{sign}secret={quote(self.secrets[0], safe='')}"

    @property
    def is_open(self) -> bool:
        """Whether nothing would tell Mailchimp from anybody else."""
        return not (self.is_signed or secret_in(self.target))

    def is_ours(self, url: str) -> bool:
        """Whether a webhook's URL leads to the same place."""
        return _place(url) == _place(self.url)

    def knows_secret_of(self, url: str) -> bool:
        """Whether the secret in a webhook's URL is one that we take."""
        return secret_in(url) in {*self.secrets, secret_in(self.target)}


def show_url(url: str) -> str:
    """An address without user, query and fragment, which may hold secrets.

    Of the query only an extension's route is shown, where it stands there.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid address"
    route = find_route(url)
    query = f"?{route.shown}" if route and route.shown else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def _place(url: str) -> tuple[str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = None if parts.port in _USUAL_PORTS else parts.port
    except ValueError:
        return url, None, ""
    return (parts.hostname or "").lower(), port, parts.path.rstrip("/")


def _is_form_of(url: str, wanted: WantedHook) -> bool:
    """Whether scheme and path are the wanted ones to the letter."""
    here, there = urlsplit(url), urlsplit(wanted.url)
    return (here.scheme.lower(), here.path) == (there.scheme.lower(), there.path)


# --- what is wrong --------------------------------------------------------------------------------


def judge_wanted(where: str, wanted: WantedHook | None, list_id: str = "") -> Iterator[Finding]:
    """Does the config say where webhooks go, and with a secret?"""
    if wanted is None:
        yield Finding(
            "webhook-unset",
            where,
            "no webhook is configured, so changes at Mailchimp are seen by the next sync",
            'nothing to do; to see changes at once, see "mcsync help webhooks"',
            list_id,
        )
    elif not wanted.is_valid:
        yield Finding(
            "webhook-url",
            where,
            "the configured webhook URL is not an address",
            'correct "webhook" of the audience in the account, or remove it: webhookUrl is enough',
            list_id,
        )
    elif wanted.is_open:
        yield _find_open(where, wanted, list_id)
    else:
        yield from _judge_proofs(where, wanted, list_id)


def _judge_proofs(where: str, wanted: WantedHook, list_id: str) -> Iterator[Finding]:
    """Is what tells Mailchimp from anybody else hard to guess, and hard to copy?"""
    shortest = min(map(len, filter(None, [*wanted.secrets, secret_in(wanted.target)])), default=0)
    if 0 < shortest < _LEAST_SECRET:
        yield Finding(
            "webhook-secret-short",
            where,
            f"the webhook's secret has {shortest} characters; one of under {_LEAST_SECRET} can"
            " be guessed",
            f"put a new one into the config, made by openssl rand -hex 20; then run {FIX}",
            list_id,
        )
    if not wanted.is_signed:
        yield Finding(
            "webhook-no-signature",
            where,
            "webhooks are not signed, so anybody who sees their URL in a log can send false ones",
            f"run {FIX}, which creates a webhook and shows what to put into signingSecrets; if"
            " Mailchimp has the webhook already, delete it there first",
            list_id,
        )


def _find_open(where: str, wanted: WantedHook, list_id: str = "") -> Finding:
    return Finding(
        "webhook-no-secret",
        where,
        f"the URL {wanted.shown} has no secret, so anybody could send to it",
        _END_URL,
        list_id,
    )


def judge_webhooks(
    where: str, wanted: WantedHook, found: Sequence[Hook], list_id: str = ""
) -> Iterator[Finding]:
    """Is our webhook there, once, and set exactly? Without a list id it is a batch webhook."""
    ours, kind = _sort_ours(found, wanted), "webhook" if list_id else "batch-webhook"
    name = kind.replace("-", " ")
    faults = {f"{kind}-missing": f"Mailchimp has no {name} to {wanted.shown}"}
    if ours:
        faults = find_faults(ours[0], wanted)
    if len(ours) > 1:
        faults[f"{kind}-duplicated"] = f"Mailchimp has {len(ours)} {name}s to {wanted.shown}"
    # Without a secret nothing is registered, so that comes first.
    hint = f"first {_END_URL}, then run {FIX}" if wanted.is_open else FIX
    for code, message in faults.items():
        yield Finding(code, where, message, hint, list_id)
    extensions = find_extension_hooks(found, wanted)
    foreign = len(found) - len(ours) - len(extensions)
    if foreign:
        message = f"{foreign:,} other webhooks, which lead elsewhere, are left alone"
        if foreign == 1:
            message = "another webhook, which leads elsewhere, is left alone"
        yield Finding(f"{kind}-foreign", where, message, "nothing to do", list_id)


def judge_batch_webhooks(
    where: str, wanted: WantedHook | None, found: Sequence[BatchWebhook]
) -> Iterator[Finding]:
    """Is a batch webhook of an account wanted, with a secret, and there?"""
    if wanted is None:
        yield Finding(
            "batch-webhook-unset",
            where,
            "no batch webhook is configured, so the next sync asks for results",
            "nothing to do; with batchWebhook in the account Mailchimp reports results at once",
        )
        return
    if wanted.is_open:
        yield _find_open(where, wanted)
    yield from judge_webhooks(where, wanted, found)


def find_faults(hook: Hook, wanted: WantedHook) -> dict[str, str]:
    """What is wrong with a webhook of ours, by code."""
    if isinstance(hook, BatchWebhook):
        faults = _find_url_faults(hook.url, wanted, "batch-webhook")
        if not hook.is_enabled:
            faults["batch-webhook-disabled"] = "the batch webhook is disabled"
        return faults
    faults = _find_url_faults(hook.url, wanted, "webhook")
    off = [name for name, is_on in EVENTS.items() if is_on and not hook.events.get(name)]
    on = [name for name, is_on in hook.events.items() if is_on and not EVENTS.get(name)]
    if off or on:
        faults["webhook-events"] = f"the webhook {_text_of_switches(off, on)}"
    off = [name for name, is_on in SOURCES.items() if is_on and not hook.sources.get(name)]
    if off:
        faults["webhook-sources"] = f"the webhook does not send changes by {_join(off)}"
    if hook.sources.get("api"):
        faults["webhook-loop"] = "the webhook sends our own changes (source api): a loop"
    return faults


def _find_url_faults(url: str, wanted: WantedHook, prefix: str) -> dict[str, str]:
    faults = {}
    if not wanted.is_open and not wanted.knows_secret_of(url):
        which = "a different secret than the config" if secret_in(url) else "no secret"
        faults[f"{prefix}-secret"] = f"the URL of the {prefix.replace('-', ' ')} has {which}"
    if not _is_form_of(url, wanted):
        faults[f"{prefix}-url"] = f"it leads to {show_url(url)}, but the config has {wanted.shown}"
    return faults


def _text_of_switches(off: Collection[str], on: Collection[str]) -> str:
    parts = []
    if off:
        parts.append(f"does not send {_join(off)}")
    if on:
        parts.append(f"sends {_join(on)}, which mcsync does not use")
    return ", and ".join(parts)


def _join(names: Collection[str]) -> str:
    """As a sentence has them: "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _sort_ours(found: Sequence[Hook], wanted: WantedHook) -> list[Hook]:
    """Those that are ours, the best first."""
    ours = [each for each in found if wanted.is_ours(each.url)]
    return sorted(ours, key=lambda each: (len(find_faults(each, wanted)), each.webhook_id))


def find_extension_hooks(found: Sequence[Hook], wanted: WantedHook | None) -> list[Hook]:
    """Those that lead to an extension, and not to where ours are `wanted`."""
    others = [each for each in found if wanted is None or not wanted.is_ours(each.url)]
    return [each for each in others if find_extension(each.url) is not None]


def judge_address(where: str, wanted: WantedHook, status: int | Trouble) -> Iterator[Finding]:
    """Does our own URL answer as Mailchimp will want it to? `status` is the HTTP status."""
    if status == 200:
        return
    if isinstance(status, Trouble):
        said = f"does not answer ({status.message})"
    else:
        said = f"answers a GET with HTTP {status}; Mailchimp accepts only 200"
    yield Finding(
        "webhook-silent",
        where,
        f"{wanted.shown} {said}",
        'run "mcsync serve" there, and let the web server pass the path on to it',
    )


# --- CiviCRM's changes ----------------------------------------------------------------------------

_OF_CIVICRM = "civicrm.hookSecret"


@dataclass(frozen=True, slots=True)
class WantedDoor:
    """Where CiviCRM is to tell its changes; `url` is None where nobody knows our own address."""

    secret: str = field(repr=False)
    url: str | None = None

    @property
    def target(self) -> str | None:
        """The address with its secret."""
        return self.url and f"{self.url}?secret={quote(self.secret, safe='')}"


def judge_door(wanted: WantedDoor) -> Iterator[Finding]:
    """Is the secret hard to guess, and is there an address to try?"""
    if len(wanted.secret) < _LEAST_SECRET:
        yield Finding(
            "webhook-secret-short",
            _OF_CIVICRM,
            f"the secret has {len(wanted.secret)} characters; one of under {_LEAST_SECRET} can be"
            " guessed",
            "put a new one into the config, made by openssl rand -hex 20, and into CiviCRM",
        )
    if wanted.url is None:
        yield Finding(
            "civicrm-hook-untried",
            _OF_CIVICRM,
            "the address to which CiviCRM sends its changes was not tried: the config does not say"
            " where mcsync serve can be reached",
            "nothing to do; if webhookUrl ends in /webhook, the address beside it is tried",
        )


def judge_door_answer(wanted: WantedDoor, status: int | Trouble) -> Iterator[Finding]:
    """Is a POST that tells of nobody understood? `status` is the HTTP status."""
    if wanted.url is None or status == 400:
        return
    if status == 401:
        yield Finding(
            "civicrm-hook-secret",
            _OF_CIVICRM,
            f"{wanted.url} refuses the secret of the config, so CiviCRM's changes are refused",
            'restart "mcsync serve": it reads the config when it starts',
        )
        return
    said = f"answers with HTTP {status}"
    if isinstance(status, Trouble):
        said = f"does not answer ({status.message})"
    yield Finding(
        "civicrm-hook-silent",
        _OF_CIVICRM,
        f"{wanted.url} {said}, so changes in CiviCRM are seen by the next sync",
        'restart "mcsync serve", and let the web server pass the path on to it; if CiviCRM uses a'
        " different address, there is nothing to do",
    )


# --- what would put it right ----------------------------------------------------------------------


class FixKind(StrEnum):
    """What a fix does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"  # delete an extension's, ours being there, or not wanted


_WHAT_IS_SENT = (
    f"{_join([name for name, is_on in EVENTS.items() if is_on])}"
    f" by {_join([name for name, is_on in SOURCES.items() if is_on])}"
)
# By kind, and whether it is a webhook of an audience or a batch webhook.
_TO_DO = {
    (FixKind.CREATE, True): "create a webhook to {url}, sending {what}",
    (FixKind.CREATE, False): "create a batch webhook to {url}",
    (FixKind.UPDATE, True): "change webhook {id}, which then sends {what} to {url}",
    (FixKind.UPDATE, False): "enable batch webhook {id} and point it to {url}",
    (FixKind.DELETE, True): "delete the duplicate webhook {id} to {url}",
    (FixKind.DELETE, False): "delete the duplicate batch webhook {id} to {url}",
    (FixKind.REPLACE, True): "delete webhook {id} of {extension}, to {url}",
    (FixKind.REPLACE, False): "delete batch webhook {id} of {extension}, to {url}",
}
_DONE = {
    (FixKind.CREATE, True): "created a webhook to {url}, sending {what}",
    (FixKind.CREATE, False): "created a batch webhook to {url}",
    (FixKind.UPDATE, True): "changed webhook {id}, which now sends {what} to {url}",
    (FixKind.UPDATE, False): "enabled batch webhook {id} and pointed it to {url}",
    (FixKind.DELETE, True): "deleted the duplicate webhook {id} to {url}",
    (FixKind.DELETE, False): "deleted the duplicate batch webhook {id} to {url}",
    (FixKind.REPLACE, True): "deleted webhook {id} of {extension}, to {url}",
    (FixKind.REPLACE, False): "deleted batch webhook {id} of {extension}, to {url}",
}


@dataclass(frozen=True, slots=True)
class Fix:
    """One change to a webhook at Mailchimp; without a list id to a batch webhook."""

    kind: FixKind
    where: str
    wanted: WantedHook
    list_id: str = ""
    webhook_id: str = ""
    faults: tuple[str, ...] = ()
    events: Mapping[str, bool] = field(default_factory=lambda: EVENTS)

    @property
    def is_unsigned(self) -> bool:
        """Whether it needs a signing secret, if none comes with it: the config demands one."""
        return self.kind is FixKind.CREATE and self.wanted.is_signed

    @property
    def sentence(self) -> str:
        """What it does, to go on after "would"."""
        return self._fill(_TO_DO)

    @property
    def deed(self) -> str:
        """What it did."""
        return self._fill(_DONE)

    def _fill(self, sentences: Mapping[tuple[FixKind, bool], str]) -> str:
        sentence = sentences[self.kind, bool(self.list_id)]
        return sentence.format(
            id=self.webhook_id,
            url=self.wanted.shown,
            what=_WHAT_IS_SENT,
            extension=self.extension,
        )

    @property
    def extension(self) -> Extension | None:
        """Whose webhook it takes away, if it is an extension's."""
        return find_extension(self.wanted.url) if self.kind is FixKind.REPLACE else None

    def as_dict(self) -> dict[str, object]:
        """The fix as `--json` has it."""
        return {
            "kind": self.kind.value,
            "where": self.where,
            "list_id": self.list_id or None,
            "webhook_id": self.webhook_id or None,
            "extension": self.extension,
            "url": self.wanted.shown,
            "faults": list(self.faults),
            "sentence": self.sentence,
        }


def plan_fixes(
    where: str, wanted: WantedHook, found: Sequence[Hook], list_id: str = ""
) -> tuple[Fix, ...]:
    """What would put our webhook right; nothing without a secret.

    Duplicates go first: Mailchimp takes no URL that another one has but for its query.
    """
    if wanted.is_open:
        return ()
    ours = _sort_ours(found, wanted)
    if not ours:
        return (Fix(FixKind.CREATE, where, wanted, list_id),)
    best, *others = ours
    fixes = [Fix(FixKind.DELETE, where, wanted, list_id, each.webhook_id) for each in others]
    faults = tuple(find_faults(best, wanted))
    if faults:
        known = best.events if isinstance(best, Webhook) else ()
        events = {**dict.fromkeys(known, False), **EVENTS}  # those that came later, off
        fixes.append(Fix(FixKind.UPDATE, where, wanted, list_id, best.webhook_id, faults, events))
    return tuple(fixes)


def plan_replacements(where: str, found: Sequence[Hook], list_id: str = "") -> tuple[Fix, ...]:
    """What takes extensions' webhooks away; `found` are these only.

    They go after ours have come, so that nothing which happens in between is told to nobody.
    """
    return tuple(
        Fix(FixKind.REPLACE, where, WantedHook(each.url), list_id, each.webhook_id)
        for each in found
    )


def find_where_secrets_go(findings: Sequence[Finding]) -> list[Finding]:
    """The findings once new webhooks' signing secrets were told: there is nothing to be deleted."""
    hint = "put the signing secrets shown above into signingSecrets of the account"
    return [replace(f, hint=hint) if f.code == "webhook-no-signature" else f for f in findings]


def find_unsigned(fix: Fix) -> Finding:
    """A new webhook whose signing secret did not come, or was lost with the answer."""
    return Finding(
        "webhook-unsigned",
        fix.where,
        f"the new webhook to {fix.wanted.shown} came without a signing secret, but the config"
        " demands signatures, so what it sends is refused",
        f"delete it at Mailchimp and run {FIX} again, or remove signingSecrets from the account",
        fix.list_id,
    )
