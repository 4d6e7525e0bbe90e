"""A config's values, read key by key: `${NAME}` filled in, and what is wrong noted.

It is noted, not raised, so that all of it is told at once. Any part of a config may be a key (API
key), so nothing is quoted from it before `Notes.masked` has looked at it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeGuard, TypeVar

from mcsync.config.json_mistakes import KEY_SHAPE
from mcsync.config.sources import SOURCE, NotThere, Sources

_Choice = TypeVar("_Choice", bound=StrEnum)


class ConfigUse(StrEnum):
    """What a config is read for: to work, to look at the cache, or to name its audiences.

    Who looks needs no key and no address, who names needs nothing but the ids. What is not needed
    may be missing, and no program is run for it.
    """

    RUN = "run"
    LOOK = "look"
    NAME = "name"


# Stands for a text whose variable is missing; that is noted already, or does not matter.
BROKEN: Final = object()
HIDDEN = "***"

_SECRET_NAME = re.compile(r"key|secret|password|pingUrl", re.IGNORECASE)
_FOR_RUNS = re.compile(
    r"(civicrm|accounts|data|notify|plugins|lists\.[^.]+\.apiKey"
    r"|(defaults|lists\.[^.]+)\.contactSource)([.\[]|\Z)"
)
_PLAIN_SEGMENT = re.compile(r"[\w$-]+")
MAX_NUMBER = 10**9
_MAX_ID = 2**32 - 1  # CiviCRM's ids are INT UNSIGNED


class Notes:
    """What is wrong with a config, or may be, as (JSON path, text); never with a key in it."""

    def __init__(
        self,
        environ: Mapping[str, str],
        folder: Path | None = None,
        use: ConfigUse = ConfigUse.RUN,
    ) -> None:
        self.use = use
        self.problems: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.unset: list[str] = []  # variables that are wanted and missing, once per problem
        self.environ = environ
        self.folder = folder or Path()
        self.sources = Sources(environ, folder)
        self.no_variables: str | None = None  # why the file of variables could not be used
        self._hidden: set[str] = set()

    @property
    def needs_keys(self) -> bool:
        """Whether the services are to be reached."""
        return self.use is ConfigUse.RUN

    def add(self, path: str, text: str) -> None:
        self.problems.append((path, text))

    def add_variables(self, found: Mapping[str, str]) -> None:
        """Add variables to the environment, which wins."""
        self.environ = {**found, **self.environ}
        self.sources = Sources(self.environ, self.folder)

    def hide(self, text: str) -> None:
        """Keep a text out of every message from now on."""
        self._hidden.add(text)

    def hide_secrets(self, value: object, name: str = "") -> None:
        """Find, before anything is said, what may never be shown: keys, and all variables."""
        if isinstance(value, dict):
            for key, child in value.items():
                self.hide_secrets(child, key)
                self.hide_secrets(key, "accountKey" if name == "accounts" else "")
        elif isinstance(value, list):
            for child in value:
                self.hide_secrets(child, name)
        elif isinstance(value, str):
            if _SECRET_NAME.search(name) and "${" not in value:
                self.hide(value)
            for source in SOURCE.finditer(value) if self.needs_keys else ():
                with suppress(NotThere):  # told when it is wanted
                    self.hide(self.sources.find(source))

    def masked(self, text: str) -> str:
        """Return a text from the config as a message may show it: in one piece, or not at all."""
        is_hidden = any(text == key or (len(key) > 3 and key in text) for key in self._hidden)
        return HIDDEN if text and (is_hidden or KEY_SHAPE.search(text)) else text

    def unhidden(self, texts: Iterable[str]) -> list[str]:
        """Return the texts that a message may show."""
        return [text for text in texts if self.masked(text) == text]

    def segment(self, key: str) -> str:
        """Return one step of a JSON path, quoted where it could be misread."""
        shown = self.masked(key)
        return shown if shown == HIDDEN or _PLAIN_SEGMENT.fullmatch(shown) else json.dumps(shown)

    def shown(self, value: object) -> str:
        """Return what was found: a short value itself, else its kind."""
        if isinstance(value, dict | list):
            return "an array" if isinstance(value, list) else "an object"
        if isinstance(value, str):
            value = self.masked(value)
        is_plain = isinstance(value, str) and value.isprintable()
        text = json.dumps(value, ensure_ascii=not is_plain)
        return text if len(text) <= 40 else f"{text[:36]}…"

    def expand(self, value: object, path: str) -> object:
        """Return the value with every `${NAME}` filled in; BROKEN for a text that lacks one."""
        if isinstance(value, str):
            return self._expand_text(value, path)
        if isinstance(value, list):
            return [self.expand(child, f"{path}[{i}]") for i, child in enumerate(value)]
        if isinstance(value, dict):
            steps = {key: join(path, self.segment(key)) for key in value}
            return {key: self.expand(child, steps[key]) for key, child in value.items()}
        return value

    def _needs(self, path: str) -> bool:
        """Whether what stands at a path is needed."""
        if self.use is ConfigUse.LOOK:
            return _FOR_RUNS.match(path) is None
        return self.needs_keys

    def _expand_text(self, text: str, path: str) -> object:
        if "${" in text and not self._needs(path):
            return BROKEN
        missing: dict[str, str | None] = {}
        for source in SOURCE.finditer(text):
            try:
                self.hide(self.sources.find(source))
            except NotThere as error:
                missing[str(error)] = source[3]
        for why, variable in missing.items():
            self.add(path, why)
            self.unset += [variable] if variable else []
        if "${" in SOURCE.sub("", text):
            self.add(path, 'expected a variable such as "${NAME}", with letters, digits and "_"')
            return BROKEN
        return BROKEN if missing else SOURCE.sub(self.sources.find, text)


def join(path: str, segment: str) -> str:
    """Return a JSON path one step longer; the path of the whole file is ""."""
    return f"{path}.{segment}" if path else segment


def parse_id(value: object) -> int | None:
    """Return a CiviCRM id given as number or digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_ID:
        return value
    return None


def is_number(value: object) -> TypeGuard[float]:
    """Whether a JSON value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Section:
    """One JSON object of the config; each reader notes what is wrong and returns None for it.

    A value that is absent, null or "" reads as None without a note. `names` replaces the JSON
    path in notes, for values that came from elsewhere.
    """

    def __init__(self, value: object, path: str, notes: Notes) -> None:
        # PHP writes an empty object as [], and the documents' blob was written by PHP.
        self.is_wrong = not isinstance(value, dict) and value not in (None, [], BROKEN)
        self.values: dict[str, object] = value if isinstance(value, dict) else {}
        self.path = path
        self.notes = notes
        self.names: dict[str, str] = {}
        if self.is_wrong:
            kind = "an array" if isinstance(value, list) else "a single value"
            notes.add(path, f"expected an object, got {kind}")

    def path_of(self, key: str) -> str:
        return self.names.get(key) or join(self.path, self.notes.segment(key))

    def get(self, key: str) -> object:
        value = self.values.get(key)
        return None if value is BROKEN or value == "" else value

    def is_missing(self, key: str) -> bool:
        return self.values.get(key) in (None, "")

    def note(self, key: str, text: str) -> None:
        self.notes.add(self.path_of(key), text)

    def expected(self, key: str, what: str) -> None:
        """Note that a value, which is no secret, is not what it should be."""
        self.note(key, f"expected {what}, got {self.notes.shown(self.values.get(key))}")

    def section(self, key: str) -> "Section":
        """Return the object under a key, an empty one where there is none."""
        return Section(self.values.get(key), self.path_of(key), self.notes)

    def refuse_unknown(self, known: Sequence[str]) -> None:
        for key in self.values:
            if key not in known:
                self.note(key, f"unknown key{did_you_mean(key, known)}")

    def items(self, key: str) -> list[object]:
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.note(key, "expected an array")
            return []
        return [item for item in value if item is not BROKEN]

    def text(self, key: str) -> str | None:
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, str) and value.isprintable():
            return value.strip() or None
        self.note(key, "expected a string without control characters")
        return None

    def secret(self, key: str) -> str | None:
        """Return a key as it goes into a header or URL; a problem with it never shows it."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not is_header_safe(value):
            self.note(key, "expected a string of ASCII letters, digits and signs, without spaces")
            return None
        return value

    def flag(self, key: str) -> bool | None:
        value = self.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.expected(key, "true or false")
        return None

    def number(self, key: str, minimum: float, what: str) -> float | None:
        value = self.get(key)
        if value is None:
            return None
        if is_number(value) and minimum <= value <= MAX_NUMBER:
            return value
        self.expected(key, what)
        return None

    def choice(self, key: str, options: type[_Choice], what: str = "") -> _Choice | None:
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, str) and value.lower() in list(options):
            return options(value.lower())
        self.expected(key, what or " or ".join(options))
        return None

    def group_id(self, key: str) -> int | None:
        """Return the CiviCRM group under a key; "" is a mistake here, not an absence."""
        value = self.values.get(key)
        group_id = parse_id(value)
        if group_id is None and value is not BROKEN:
            self.expected(key, "a group id")
        return group_id


def is_header_safe(text: str) -> bool:
    """Whether a text is of visible ASCII only, as HTTP headers want it."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return '; did you mean "…"?' for the known word nearest to one, "" if none is near."""
    from difflib import get_close_matches  # only for mistakes: keeps the start quick

    lowered = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), lowered, n=1)
    return f'; did you mean "{lowered[near[0]]}"?' if near else ""
