"""A file of variables, as systemd's EnvironmentFile= has them: NAME=value, a line each.

Source: systemd.exec(5). Unlike systemd, which passes over what it does not understand, we say so:
a key that is silently missing is looked for in the wrong place. `export` before a name, as shells
want it, is taken off.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from mcsync.config.section import ConfigUse, Notes, Section
from mcsync.config.sources import NotThere, read_trusted

_KEY = "environmentFile"
_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*")
_PART = r"""'[^']*'|"(?:\\.|[^"\\])*\""""
_LINE = re.compile(
    rf"""
    [ \t\r]* (?:
        [\#;] (?:\\(?:.|\Z)|[^\\\n])*
      | (?P<name>[^\n=\#; \t\r][^\n=]*) = (?P<parts>(?:[ \t\r]*(?:{_PART}))*)
        [ \t\r]* (?P<plain>(?:\\(?:.|\Z)|[^\\\n])*)
    )? (?:\n|\Z)
    """,
    re.DOTALL | re.VERBOSE,
)


class Misread(Exception):
    """A line is not NAME=value; the text says which, and holds nothing of it."""


def take_environment_file(raw: Mapping[str, object], notes: Notes) -> None:
    """Add what the file that a config names says to the environment that fills in its variables.

    What the real environment says wins. Who only looks at the cache can do without the file: why
    it is not there is then told by `note_trouble`.
    """
    if raw.get(_KEY) in (None, "") or notes.use is ConfigUse.NAME:
        return
    section = Section({_KEY: notes.expand(raw[_KEY], _KEY)}, "", notes)
    name = section.text(_KEY)
    if name is None:
        return
    path = Path(os.path.normpath(notes.folder / name))
    try:
        content, mode = read_trusted(path, str(path))
        found = parse_environment(content.decode("utf-8-sig"))
    except NotThere as error:
        notes.no_variables = str(error)
    except UnicodeDecodeError:
        notes.no_variables = f"{path}: not UTF-8"
    except Misread as error:
        notes.no_variables = f"{path}, {error}"
    else:
        if mode & (stat.S_IRGRP | stat.S_IROTH) and os.name != "nt":
            what = f"holds keys, but others can read it (mode {stat.S_IMODE(mode):04o})"
            notes.warnings.append(f'{path} {what}; run "chmod 600 {path}"')
        notes.add_variables(found)


def note_trouble(notes: Notes) -> None:
    """Note why the file could not be used, if that matters."""
    if notes.no_variables is not None and (notes.needs_keys or notes.unset):
        notes.problems.insert(0, (_KEY, notes.no_variables))


def parse_environment(text: str) -> dict[str, str]:
    """The variables of such a file. Raises: Misread"""
    found: dict[str, str] = {}
    text = text.removeprefix("\ufeff")  # Windows editors put a mark in front
    at = 0
    while at < len(text):
        line = _LINE.match(text, at)
        name = line and line["name"] and _NAME.fullmatch(line["name"])
        if line is None or (line["name"] and not name):
            raise Misread(f"line {_number(text, at)}: expected NAME=value")
        if name:
            if line["plain"][:1] in ("'", '"'):
                raise Misread(f"line {_number(text, at)}: a quote is not closed")
            found[name[1]] = _unquote(line["parts"]) + _unescape(line["plain"])
        at = line.end()
    return found


def _number(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _unquote(parts: str) -> str:
    """The texts in quotes, one after the other; blanks between them do not count."""
    pieces = [
        part[1:-1] if part[0] == "'" else _without_escapes(part[1:-1])
        for part in re.findall(_PART, parts, re.DOTALL)
    ]
    return "".join(pieces)


def _without_escapes(text: str) -> str:
    """What a text in double quotes says: there a backslash takes away the meaning of five."""
    return re.sub(r'\\(["\\`$])|\\\n', lambda found: found[1] or "", text)


def _unescape(plain: str) -> str:
    """What a text without quotes says; blanks at its end do not count, unless after a backslash."""
    kept = plain.rstrip(" \t\r")
    ends_in_escape = (len(kept) - len(kept.rstrip("\\"))) % 2 == 1
    kept = plain[: len(kept) + ends_in_escape]
    return re.sub(
        r"\\(.)", lambda found: "" if found[1] == "\n" else found[1], kept, flags=re.DOTALL
    )
