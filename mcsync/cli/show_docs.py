"""The manual and the ready files on stdout: lists, and pages as Markdown."""

import sys
from collections.abc import Mapping

from mcsync.cli.state import State
from mcsync.cli.tables import is_terminal, show_gap, show_line, show_table, write_lines


def show_list(state: State, kind: str, found: Mapping[str, str], more: str) -> None:
    """Names with what they are, and where `more` is; `kind` is the document's word: "samples"."""
    state.answer = {kind: [{"name": name, "about": about} for name, about in found.items()]}
    if not state.wants_json:
        show_table(("name", "about"), list(found.items()))
        show_gap()
        show_line(more)


def show_page(state: State, topic: str, text: str) -> None:
    """A page: laid out on a terminal, as Markdown off it."""
    if state.wants_json or not is_terminal():
        show_text(state, {"topic": topic, "text": text}, text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(file=sys.stdout).print(Markdown(text))


def show_text(state: State, answer: dict[str, object], text: str) -> None:
    """A text as it is, or the document's `answer`."""
    state.answer = answer
    if not state.wants_json:
        write_lines(text.splitlines())
