"""JSON text to values; what was mistyped is told in plain words.

Python's own parser does the reading. Only when it gives up is the text walked a second time, to
say what was mistyped, where, and how to mend it. Any part of a config may be a key (API key), so
nothing is quoted from it.
"""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

MOST_MENDED = 20  # slips; a text with more was never JSON
MAX_DEPTH = 64  # the documents' blob is 7 deep; the walks below recurse

# What looks like a Mailchimp API key, wherever it stands: letters and digits, then a data centre.
KEY_SHAPE = re.compile(r"[0-9A-Za-z]{4,}-[a-z]{2,}[0-9]{1,3}\b")

# Patterns of slips are compiled when there is one: that keeps the start quick.
_SPACE = r"[ \t\r\n]*"
_STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+'  # no last quote
_NUMBER = r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.+-])"
_LITERAL = r"(?:true|false|null)(?!\w)"
_WORD = r"[\w.+-]*"
_COMMENTS = ("//", "/*", "#")
_CURLY_QUOTES = "“”„‟‘’‚‛«»"
_SMALL = {"true": "true", "false": "false", "null": "null"}
_SMALL |= {"none": "null", "nil": "null", "undefined": "null", "nan": "null"}


class JsonSlip(Exception):
    """What was mistyped at `line` and `column` (from 1, in characters), and how to mend it.

    `edit` does so where it is beyond doubt: what stands between two positions is replaced.
    """

    def __init__(
        self,
        text: str,
        position: int,
        what: str,
        mend: str,
        edit: tuple[int, int, str] | None = None,
    ) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        self.what = what
        self.edit = edit
        self._position, self._mend = position, mend
        place = f"line {self.line}, column {self.column}"
        self.mend = mend.replace("{place}", place).replace("{line}", str(self.line))
        super().__init__(f"line {self.line}, column {self.column}: {what}")

    def moved(self, text: str, by: int) -> "JsonSlip":
        """The slip as it stands in another text, so many characters further on."""
        return JsonSlip(text, self._position + by, self.what, self._mend)


def mend_json(text: str) -> tuple[object, tuple[JsonSlip, ...]]:
    """Return the value of a JSON text that is mended as it is read, and the slips in it.

    Raises: JsonSlip at the first one of which it is in doubt how it was meant.
    """
    slips: list[JsonSlip] = []
    mended, grown = text, 0
    while True:
        try:
            return parse_json(mended), tuple(slips)
        except JsonSlip as slip:
            edit, told = slip.edit, slip.moved(text, -grown)
        if edit is None or len(slips) == MOST_MENDED:
            raise told
        start, end, new = edit
        mended = mended[:start] + new + mended[end:]
        grown += len(new) - (end - start)
        slips.append(told)


def parse_json(text: str) -> object:
    """Return the value of a JSON text, refusing what RFC 8259 leaves open.

    Refused: a key twice in one object, NaN and Infinity, more than MAX_DEPTH levels.
    Raises: JsonSlip at the first slip.
    """
    position = 0
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        if not _is_too_deep(value):
            return value
    except json.JSONDecodeError as error:
        position = error.pos
    except (ValueError, RecursionError):
        pass
    # Outside the except blocks: JSONDecodeError carries the whole text, keys included.
    _Walker(text).walk()
    raise JsonSlip(text, position, "this is not JSON", "check the text around {place}")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError
    return values


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


class _Walker:
    """Walks a text as JSON, keeping only its place; raises JsonSlip at the first slip."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.end = 0  # where the last token ended
        self.last_string: tuple[int, str] | None = None  # its start and content, if it was one
        self.opened: list[int] = []  # brackets not closed yet
        self.keys: list[str] = []  # the path

    def walk(self) -> None:
        self.value()
        if self.peek():
            self.refuse_quotes()
            mend = "remove what follows, or check the brackets before it"
            self.slip(self.at, "the JSON ended before this", mend)

    def match(self, pattern: str) -> re.Match[str] | None:
        return re.compile(pattern).match(self.text, self.at)

    def slip(
        self, position: int, what: str, mend: str, edit: tuple[int, int, str] | None = None
    ) -> NoReturn:
        raise JsonSlip(self.text, position, what, mend, edit)

    def peek(self) -> str:
        """Skip white space and return the next character, "" at the end of the text."""
        space = self.match(_SPACE)
        self.at = space.end() if space else self.at
        if self.text.startswith(_COMMENTS, self.at):
            self.slip(self.at, "JSON has no comments", "remove the comment at {place}")
        return self.text[self.at : self.at + 1]

    def token(self, end: int) -> None:
        self.at = self.end = end
        self.last_string = None

    def value(self) -> None:
        char = self.peek()
        if len(self.opened) > MAX_DEPTH:
            self.slip(self.at, f"more than {MAX_DEPTH} levels of brackets", "check the brackets")
        if char == "{":
            self.object()
        elif char == "[":
            for _ in self.items("]"):
                self.value()
        elif char == '"':
            self.string(is_key=False)
        elif match := self.match(_NUMBER) or self.match(_LITERAL):
            self.token(match.end())
        else:
            self.no_value(char)

    def object(self) -> None:
        lines: dict[str, int] = {}
        for _ in self.items("}"):
            if (char := self.peek()) != '"':
                self.no_key(char)
            start = self.at
            key = self.string(is_key=True)
            if key in lines:
                self.twice(start, key, lines[key])
            lines[key] = self.text.count("\n", 0, start) + 1
            self.colon()
            self.keys.append(key)
            self.value()
            self.keys.pop()

    def items(self, close: str) -> Iterator[None]:
        """Yield at the start of each item between this bracket and its closing one."""
        self.opened.append(self.at)
        self.token(self.at + 1)
        if self.peek() != close:
            yield
            while self.has_more(close):
                yield
        self.opened.pop()
        self.token(self.at + 1)

    def has_more(self, close: str) -> bool:
        char = self.peek()
        if char == close:
            return False
        if char != ",":
            self.no_comma(char, close)
        comma = self.at
        self.token(comma + 1)
        following = self.peek()
        if following == close:
            mend = "remove the comma at {place}"
            self.slip(comma, f'a comma before the closing "{close}"', mend, (comma, comma + 1, ""))
        if following == ",":
            self.slip(self.at, "a second comma", "remove the comma at {place}")
        return True

    def no_key(self, char: str) -> NoReturn:
        if not char:
            self.unclosed()
        self.refuse_wrong_quotes(char)
        if char in ",]":
            self.slip(self.at, f'a key is missing before "{char}"', "remove what is at {place}")
        mend = "put double quotes around the key at {place}"
        self.slip(self.at, "a key without double quotes", mend)

    def string(self, *, is_key: bool) -> str:
        start = self.at
        match = self.match(_STRING)
        end = match.end() if match else start
        if self.text[end : end + 1] != '"':
            self.bad_string(start, end, is_key=is_key)
        following = self.text[end + 1 : end + 2]
        if end == start + 1 and following and following not in ' \t\r\n,:}]"/#':
            mend = "remove the quote at {place}"
            self.slip(start, "an extra quote at the start of a string", mend)
        self.token(end + 1)
        content = str(json.loads(self.text[start : end + 1]))
        self.last_string = (start, content)
        return content

    def bad_string(self, start: int, end: int, *, is_key: bool) -> NoReturn:
        char = self.text[end : end + 1]
        if char == "\\":
            mend = "write two backslashes at {place}"
            self.slip(end, "a backslash that JSON does not allow", mend)
        if char not in ("", "\n", "\r"):
            mend = "remove the character at {place}; a tab is written \\t"
            self.slip(end, "a control character inside a string", mend)
        rest, edit = self.text[start:end].rstrip(), None
        if is_key and ":" in rest:
            mend = "put a quote before the colon in line {line}"
        elif rest.endswith(","):
            mend = "put a quote before the comma at the end of line {line}"
            comma = start + len(rest) - 1
            edit = (comma, comma, '"')
        elif rest.endswith(("}", "]")):
            mend = "put a quote in line {line}, before the closing bracket"
        else:
            mend = "put a quote at the end of line {line}"
        self.slip(start, "the string that starts here has no closing quote", mend, edit)

    def colon(self) -> None:
        char = self.peek()
        if char == ":":
            self.token(self.at + 1)
            return
        self.refuse_quotes()
        if char == "=":
            mend = "put a colon in place of what is at {place}"
            self.slip(self.at, '"=" between key and value', mend)
        self.slip(self.end, "a colon is missing after a key", "put a colon at {place}")

    def no_comma(self, char: str, close: str) -> NoReturn:
        if not char:
            self.unclosed()
        self.refuse_quotes()
        if char in "}]":
            mend = f'put a "{close}" at {{place}}, or check the brackets before it'
            self.slip(self.at, f'"{char}" where "{close}" is expected', mend)
        if char in ";:":
            mend = "put a comma in place of what is at {place}"
            self.slip(self.at, f'"{char}" between two items', mend)
        self.slip(self.end, "a comma is missing between two items", "put a comma at {place}")

    def no_value(self, char: str) -> NoReturn:
        if not char and not self.opened:
            self.slip(self.at, "the file is empty", 'delete it, then run "mcsync init"')
        if not char:
            self.unclosed()
        self.refuse_wrong_quotes(char)
        if char == "$":
            mend = 'put double quotes around the variable at {place}: "${NAME}"'
            self.slip(self.at, "a variable without double quotes", mend)
        if char in ",:}]":
            self.slip(self.at, "a value is missing", 'write it at {place}; null or "" for none')
        match = self.match(_WORD)
        word = match.group() if match else ""
        if word.lower() in _SMALL:
            mend = f"write {_SMALL[word.lower()]} at {{place}}"
            self.slip(self.at, "a word that JSON does not have", mend)
        mend = "put double quotes around the text at {place}"
        if word[:1].isdecimal() or char in "+-.":
            self.slip(self.at, "a number that JSON does not allow", mend)
        self.slip(self.at, "a text without double quotes", mend)

    def refuse_wrong_quotes(self, char: str) -> None:
        mend = 'put double quotes (") in place of those around the text at {place}'
        if char in ("'", "`"):
            self.slip(self.at, "single quotes", mend)
        if char in _CURLY_QUOTES:
            self.slip(self.at, "typographic quotes", mend)

    def refuse_quotes(self) -> None:
        """Raise the slip if the last string has a quote too many or too few at its end."""
        if self.last_string is None:
            return
        start, content = self.last_string
        char = self.text[self.at : self.at + 1]
        following = self.text[self.at + 1 :].lstrip(" \t")[:1]
        if char == '"' and self.at == self.end and following in ("", *":,}]\r\n"):
            mend = "remove the quote at {place}"
            edit = (self.at, self.at + 1, "")
            self.slip(self.at, "an extra quote at the end of a string", mend, edit)
        last = content.rstrip()[-1:]
        if char not in ('"', "}", "]") and last in (":", ","):
            mark = "colon" if last == ":" else "comma"
            mend = f"put a quote before the {mark} that follows the text at {{place}}"
            self.slip(start, "the string that starts here has no closing quote", mend)

    def twice(self, start: int, key: str, first_line: int) -> NoReturn:
        is_secret = self.keys == ["accounts"] or KEY_SHAPE.search(key) or len(key) > 40
        name = "an account" if is_secret else json.dumps(key)
        what = f"{name} appears twice in one object, first in line {first_line}"
        self.slip(start, what, "keep one of them")

    def unclosed(self) -> NoReturn:
        bracket = self.text[self.opened[-1]]
        close = "}" if bracket == "{" else "]"
        mend = f'the file ends before its "{close}"; put one where it belongs'
        self.slip(self.opened[-1], f'this "{bracket}" is never closed', mend)
