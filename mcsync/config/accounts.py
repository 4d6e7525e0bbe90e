"""The config's `accounts`: keys, addresses and webhooks of Mailchimp accounts."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from mcsync.config.section import BROKEN, HIDDEN, Notes, Section, is_header_safe
from mcsync.config.values import AccountConfig, Secret
from mcsync.text import one_line, secret_in

_ACCOUNT_NAME = re.compile(r"[A-Za-z_-]{1,20}")  # an old key may stand there: keys have digits
_DATA_CENTRE = re.compile(r".+-([a-z]+[0-9]+)", re.DOTALL)


def account_sections(value: object, notes: Notes) -> Iterator[tuple[str, Section]]:
    """Yield each account's key, filled in, and its section, whose path does not show the key."""
    raw = Section(value, "accounts", notes).values
    labels: dict[str, str] = {}
    for raw_key, account in raw.items():
        path = f"accounts.{_account_label(raw_key, account)}"
        if path in labels.values():
            path += f"#{len(labels) + 1}"
        key = notes.expand(raw_key, path)
        if not isinstance(key, str):
            if notes.needs_keys:
                continue
            key = raw_key  # who only looks wants the names of its audiences
        if key in labels:
            notes.add(path, f"is the same account as {labels[key]}")
        labels[key] = path
        yield key, Section(notes.expand(account, path), path, notes)


def _account_label(raw_key: str, account: object) -> str:
    """Return what to call an account in messages: never its key (API key)."""
    own_key = account.get("apiKey") if isinstance(account, dict) else None
    is_name = isinstance(own_key, str) and raw_key not in own_key
    if re.fullmatch(r"\$\{\w+\}", raw_key) or (is_name and _ACCOUNT_NAME.fullmatch(raw_key)):
        return raw_key
    centre = re.search(r"-[a-z]{2}[0-9]{1,2}\Z", raw_key)
    return HIDDEN + (centre.group() if centre else "")


def read_account(key: str, section: Section, path: str) -> AccountConfig:
    """Return one account; `path` is where its key (API key) stands."""
    text = section.secret("apiKey") or key
    centre = _DATA_CENTRE.fullmatch(text)
    if not section.notes.needs_keys:
        pass  # it may be what stands for the key in the file
    elif not is_header_safe(text):
        section.notes.add(path, "a key consists of ASCII letters, digits and signs, without spaces")
    elif not centre and section.is_missing("apiUrl") and section.values.get("apiKey") is not BROKEN:
        problem = 'the key does not end in a data centre, such as "-us11", and there is no apiUrl'
        section.notes.add(path, problem)
    hook, hook_secrets = _hook(section, "webhookUrl", "webhookSecret")
    batch_hook, batch_secrets = _hook(section, "batchWebhook", "batchWebhookSecret")
    own_hooks = [copy.get("webhook") for _, copy in _copies(section)]
    more = [secret_in(url) for url in own_hooks if isinstance(url, str)]
    return AccountConfig(
        key=Secret(text),
        api_url=read_address(section, "apiUrl") or derive_api_url(text) or "",
        name=_read_name(section.values.get("account_name")),
        webhook_url=hook,
        webhook_secrets=_secrets([*hook_secrets, *more]),
        batch_webhook_url=batch_hook,
        batch_webhook_secrets=_secrets(batch_secrets),
        signing_secrets=_secrets(_signing_secrets(section)),
    )


def derive_api_url(key: str) -> str | None:
    """Return the address that a key's data centre tells, None for a key without one."""
    centre = _DATA_CENTRE.fullmatch(key)
    return f"https://{centre[1]}.api.mailchimp.com/3.0" if centre else None


def _hook(section: Section, url_key: str, secret_key: str) -> tuple[Secret | None, list[str]]:
    """Return where Mailchimp is to send webhooks, and the secrets it may send with them."""
    url, secret = section.get(url_key), section.secret(secret_key) or ""
    if url is None:
        return None, [secret]
    ending = "batch-webhook" if url_key == "batchWebhook" else "webhook"
    shape = f"expected an address such as https://…/{ending}?secret=…"  # the URL holds a secret
    if not isinstance(url, str) or not is_header_safe(url):
        section.note(url_key, shape)
    elif read_address(section, url_key, shape) is not None:
        return Secret(url), [secret, secret_in(url)]
    return None, [secret]


def _signing_secrets(section: Section) -> Iterator[str]:
    """Yield the configured signing secrets, and those in copies of what Mailchimp answered."""
    for item in section.items("signingSecrets"):
        if isinstance(item, str) and is_header_safe(item):
            yield item
        else:
            section.note("signingSecrets", "expected an array of strings without spaces")
    hooks_of_audiences = [copy.get("webhooks") for _, copy in _copies(section)]
    for hooks in [section.values.get("batchWebhooks"), *hooks_of_audiences]:
        for hook in hooks if isinstance(hooks, list) else []:
            secret = hook.get("signing_secret") if isinstance(hook, dict) else None
            if isinstance(secret, str):
                yield secret


def _secrets(texts: Iterable[str]) -> tuple[Secret, ...]:
    return tuple(Secret(text) for text in dict.fromkeys(texts) if text)


def _copies(section: Section) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield list id and object of each audience of which an account has a copy."""
    audiences = section.values.get("audiences")
    for key, copy in audiences.items() if isinstance(audiences, dict) else []:
        if isinstance(copy, dict):
            yield key, copy


def audience_copies(
    sections: Iterable[Section],
) -> Iterator[tuple[str, tuple[str | None, Secret | None]]]:
    """Yield list id, name and webhook URL of every audience that an account knows of."""
    for section in sections:
        for list_id, copy in _copies(section):
            url = copy.get("webhook")
            hook = Secret(url) if isinstance(url, str) and url else None
            yield list_id, (_read_name(copy.get("name")), hook)


def _read_name(value: object) -> str | None:
    """Return a name from Mailchimp as a log line may have it; None if it is no text."""
    return (" ".join(one_line(value).split()) or None) if isinstance(value, str) else None


def read_address(
    section: Section, key: str, expected: str = "expected an address that starts with https://"
) -> str | None:
    """Return an http(s) URL without a last slash; plain http earns a warning off loopback."""
    text = section.text(key)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_whole = parts.port != 0 and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in ("http", "https"):
        section.note(key, expected)
        return None
    if "@" in parts.netloc:
        section.note(key, "an address may not contain a user or password")
        return None
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        path = section.path_of(key)
        section.notes.warnings.append(
            f"{path}: others can read the keys over plain http; use https"
        )
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    is_ipv4 = re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None
    return is_ipv4 or host in ("localhost", "::1") or host.endswith(".localhost")
