"""Questions on a terminal: a text, a key that does not show, one or several of a list.

Ctrl-C raises Stopped, the end of the input click.Abort; both end the command.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click

from mcsync.cli.init.draft import is_like_key
from mcsync.cli.tables import show_gap, show_heading, show_line
from mcsync.errors import McsyncError, ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.text import one_line

T = TypeVar("T")
TRIES = 3
_SHOWN = 15  # of a long list; the rest is found by typing


def try_to(attempt: Callable[[], T], advice: str = "") -> T:
    """Ask and try, up to TRIES times: why it failed is told each time, and raised the last time.

    `advice` is given where the error has none for somebody who is being asked.
    """
    for _ in range(TRIES - 1):
        try:
            return attempt()
        except (RemoteRefused, RemoteUnavailable, ProtocolError) as error:
            show_trouble(error, advice)
    return attempt()


def show_trouble(error: McsyncError, advice: str = "") -> None:
    """One sentence, and what to do about it."""
    show_line(f"That did not work: {error.message}.", indent=2)
    hint = error.hint if isinstance(error, RemoteRefused) else advice
    if hint:
        show_line(f"{hint[0].upper()}{hint[1:]}.", indent=2)


def show_step(title: str, *lines: str) -> None:
    """A heading for the questions to come, and what is to be known for them."""
    show_gap()
    show_heading(title)
    for line in lines:
        show_line(line, hanging=0)


def ask(question: str, default: str = "", names: Sequence[str] = ()) -> str:
    """A line of text, stripped; only Enter gives the default, which is told elsewhere.

    What looks like a key is taken off the screen, and asked for again: it belongs elsewhere. Not so
    a part of one of the `names` that may be typed.
    """
    while True:
        prompt = one_line(question)
        answer = str(click.prompt(prompt, default=default, show_default=False)).strip()
        if not is_like_key(answer) or any(_is_in(answer, name) for name in names):
            return answer
        _wipe(f"{prompt}: {answer}")
        show_line(
            "That looked like a key, and is forgotten. Keys are asked for where what you type is"
            " not shown.",
            indent=2,
            hanging=0,
        )


def _wipe(typed: str) -> None:
    """Take what was typed off the screen, where that can be done."""
    if os.environ.get("TERM", "dumb") != "dumb":
        lines = (len(typed) - 1) // shutil.get_terminal_size().columns + 1
        click.echo(f"\x1b[{lines}A\x1b[J", nl=False)


@contextmanager
def trying(place: str) -> Iterator[None]:
    """Say that somebody is waited for, and then whether they answered."""
    click.echo(f"  Trying {one_line(place)}, for 10 s at most ... ", nl=False)
    try:
        yield
    except McsyncError as error:
        click.echo("no answer." if isinstance(error, RemoteUnavailable) else "")
        raise
    click.echo("it answers.")


def ask_hidden(question: str, default: str = "") -> str:
    """What is typed does not show."""
    answer = click.prompt(one_line(question), default=default, show_default=False, hide_input=True)
    return str(answer).strip()


def ask_yes(question: str, *, default: bool = True) -> bool:
    """Yes or no."""
    return click.confirm(one_line(question), default=default)


def choose_one(question: str, labels: Sequence[str], names: Sequence[str] = ()) -> int | None:
    """Let one be chosen by its number, or by a part of its name; None for only Enter.

    A long list shows its beginning, and what is typed shortens it. `names` are what is looked
    through, the labels if there are none; a number that is not shown chooses nothing.
    """
    shown = list(range(len(labels)))
    while True:
        _show_numbered(labels, shown)
        found: list[int] = []
        while not found:
            answer = ask(question, names=names or labels)
            if not answer:
                return None
            place = _read_number(answer, min(len(shown), _SHOWN))
            if place is not None:
                return shown[place]
            found = [at for at, name in enumerate(names or labels) if _is_in(answer, name)]
            same = [at for at in found if len(answer) == len((names or labels)[at])]
            found = same if len(same) == 1 else found
            if not found:
                show_line(f'"{answer}" matches no number and no name here.', indent=2)
        if len(found) == 1 and not answer.isdecimal():
            show_line(labels[found[0]], indent=2)
            return found[0]
        shown = found


def choose_several(question: str, labels: Sequence[str], default: Sequence[int]) -> list[int]:
    """Let several be chosen by their numbers; their places, in order."""
    _show_numbered(labels, range(len(labels)), most=len(labels))
    while True:
        answer = ask(question, names=labels)
        if not answer:
            return list(default)
        words = [word for word in re.split(r"[\s,;]+", answer) if word]
        places = [_read_number(word, len(labels)) for word in words]
        if None not in places:
            return sorted({place for place in places if place is not None})
        numbers = f"numbers from 1 to {len(labels)}, such as 1, 2" if len(labels) > 1 else "1"
        show_line(f'"{answer}" is none of these; type {numbers}.', indent=2)


def _show_numbered(labels: Sequence[str], places: Sequence[int], most: int = _SHOWN) -> None:
    shown = places[:most]
    width = len(str(len(shown)))
    for number, place in enumerate(shown, 1):
        show_line(f"{number:>{width}}  {labels[place]}", indent=2, hanging=width + 2)
    if len(places) > most:
        show_line(f"… and {len(places) - most} more; type part of a name to find them", indent=2)


def _read_number(answer: str, most: int) -> int | None:
    """The place (from 0) that a number (from 1) means; None when it is no number of the list."""
    is_number = answer.isascii() and answer.isdecimal() and len(answer) < 10
    return int(answer) - 1 if is_number and 0 < int(answer) <= most else None


def _is_in(part: str, label: str) -> bool:
    return part.casefold() in label.casefold()
