"""Words: numbers and lengths put into them, and others' made fit for logs and terminals."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit, urlunsplit

SIDES = {"mailchimp": "Mailchimp", "civicrm": "CiviCRM"}  # as people write them
GREETING = b"mcsync takes Mailchimp's webhooks here.\n"  # to a GET; `check` knows us by it
MOST_WORDS = 2000  # characters of a service's words; Mailchimp's longest have some hundred
_LONGEST_SECRET = 400

# Possessive, and begun only where a word begins: whatever comes is looked at once.
_IN_WORD = r"[^\s\"'<>(),;:=]"
_ADDRESS = re.compile(rf"(?<!{_IN_WORD})(?:(?!@|%40){_IN_WORD})*+(?:@|%40){_IN_WORD}++")
# Mailchimp quotes half of an address that it does not take.
_PORTION = re.compile(r"(portion (?:before|after) the @: )[^\s)]++")
_KEY = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{16,}+-[a-z]{2,}+[0-9]+")  # Mailchimp's form
_MEMBER_ID = re.compile(r"(?<![0-9a-fA-F])([0-9a-fA-F]{3})[0-9a-fA-F]{29}(?![0-9a-fA-F])")


def cut(words: str) -> str:
    """As much of a service's words as anybody looks at."""
    return words if len(words) <= MOST_WORDS else f"{words[:MOST_WORDS]}…"


def without_addresses(words: str) -> str:
    """A service's words without the e-mail addresses in them, fit for logs."""
    return _clean(words, _hide_addresses)


def fit(words: str, secrets: Iterable[str] = ()) -> str:
    """A service's words as they may be told: without addresses, without secrets, and cut."""
    return _clean(words, lambda text: _hide_addresses(without_keys(text, secrets)))


def fit_to_keep(words: str) -> str:
    """A service's words as the cache may keep them: without what looks like a key, and cut."""
    return _clean(words, without_keys)


def _clean(words: str, clean: Callable[[str], str]) -> str:
    """Words cleaned and cut: half a key, at the end of what was looked at, is left out, too."""
    looked_at = words[: MOST_WORDS + _LONGEST_SECRET]
    cleaned = clean(looked_at)
    if len(looked_at) < len(words):
        cleaned = cleaned[:-_LONGEST_SECRET]
        return f"{cleaned[:MOST_WORDS]}…"
    return cut(cleaned)


def _hide_addresses(words: str) -> str:
    return _ADDRESS.sub("(address)", _PORTION.sub(r"\1…", words))


def without_keys(words: str, secrets: Iterable[str] = ()) -> str:
    """Words without these secrets, and without what looks like a Mailchimp key."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            words = words.replace(secret, "***")
    return _KEY.sub("***", words)


def shorten_ids(words: str) -> str:
    """Words in which of a member's id, the MD5 of an address, too little is left to guess by."""
    return _MEMBER_ID.sub(r"\1…", words)


def one_line(value: object) -> str:
    """A value as one printable line: what others wrote must not steer a terminal or a log."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def secret_in(url: str) -> str:
    """The `secret` in a webhook's URL; empty if it has none."""
    try:
        return parse_qs(urlsplit(url).query).get("secret", [""])[0]
    except ValueError:
        return ""


HOOK_ENDING = "/civicrm-hook"  # of the address to which CiviCRM tells whom it changed
_ENDINGS = ("/batch-webhook", "/webhook")


def find_hook_url(webhook_url: str) -> str | None:
    """The address for CiviCRM beside that of a webhook, without a secret.

    None where the webhook's path is not one of ours: then nobody knows what leads to mcsync.
    """
    try:
        parts = urlsplit(webhook_url)
    except ValueError:
        return None
    path = parts.path.rstrip("/")
    for ending in _ENDINGS:
        if path.endswith(ending):
            before = path.removesuffix(ending)
            return urlunsplit((parts.scheme, parts.netloc, before + HOOK_ENDING, "", ""))
    return None


def safe_lines(text: str) -> list[str]:
    """A text as printable lines; all but the first are indented, so that none looks like a new
    message.
    """
    lines = [one_line(line) for line in re.split(r"\r\n|[\r\n]", text)]
    return [lines[0], *(line if line.startswith("  ") else f"  {line}" for line in lines[1:])]


# --- cells of spreadsheets ------------------------------------------------------------------------

BEGIN_FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_IN_CELL = re.compile(r"""([;|]["'\s]*+)(?=[=+\-@＝＋－＠])""")


def make_harmless(cell: object) -> object:
    """A cell that steers no terminal, and is no formula: nor when what steers terminals is gone
    from it, nor where ";" separates cells, as in much of Europe.
    """
    if not isinstance(cell, str):
        return cell
    text = one_line(cell)
    # Spreadsheets pass over blanks, and take the wide forms of some signs for the sign.
    is_formula = text.lstrip()[:1] in BEGIN_FORMULAS or cell[:1] in ("\t", "\r", "\n")
    if ";" in text or "|" in text:
        text = _IN_CELL.sub(r"\1'", text)
    return f"'{text}" if is_formula and cell else text


# --- numbers in words -----------------------------------------------------------------------------

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


def count_of(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 member", "1,200 members", "3 people"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def text_of_change(field: str, before: str | None, after: str | None) -> str:
    """A change as one phrase: "Added → Removed", "first_name: set to Fred", "contact created"."""
    if field == "contact":
        return "contact created"
    is_subscription = field == "subscription"
    if before:
        move = f"{before} → {after or 'empty'}"
    else:
        move = f"new: {after}" if is_subscription else f"set to {after or 'empty'}"
    return move if is_subscription else f"{field}: {move}"


def text_of_day(at: datetime) -> str:
    """A day as people say it: "3 May 2026"; the days are UTC's."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y}"


def text_of_time(at: datetime) -> str:
    """A time as people say it: "3 May 2026, 17:08 UTC"."""
    return f"{text_of_day(at)}, {at.astimezone(UTC):%H:%M} UTC"


def show_length(seconds: float) -> str:
    """A length of time in words, cut down to its one unit that tells enough."""
    for name, size in _UNITS:
        if seconds >= 2 * size or seconds == size:
            return count_of(int(seconds // size), name)
    return count_of(int(seconds), "second")
