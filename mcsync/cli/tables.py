"""Answers on stdout: tables of rich on a terminal, plain lines of aligned text off it."""

import csv
import io
import sys
import textwrap
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Literal

import click

from mcsync.cli.output import write_answer
from mcsync.logs import may_style
from mcsync.text import make_harmless, one_line

NO_COLOURS: Mapping[str, str] = {}
_LINES = 1000  # written at once
_GAP = 3  # between two columns of a terminal's table


def is_terminal() -> bool:
    """Whether a person watches stdout."""
    try:
        return sys.stdout is not None and sys.stdout.isatty()
    except (OSError, ValueError):
        return False


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    numbers: Iterable[int] = (),
    colours: Mapping[str, str] = NO_COLOURS,
) -> None:
    """A table; `numbers` are the places of the columns that are aligned to the right.

    `colours` are those of cells with these words, on a terminal that has any.
    """
    texts = [["" if cell is None else one_line(cell) for cell in row] for row in rows]
    right = set(numbers)
    if is_terminal():
        _show_rich(columns, texts, right, colours)
        return
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    write_lines(_align(row, widths, right) for row in (columns, *texts))


def _align(row: Sequence[str], widths: Sequence[int], right: Container[int]) -> str:
    cells = (
        text.rjust(width) if place in right else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def write_lines(lines: Iterable[str]) -> None:
    """Lines on stdout, many at a time; what its encoding lacks is shown as an escape."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    whole = iter(lines)
    while some := list(islice(whole, _LINES)):
        text = "\n".join(some)
        write_answer(text.encode(encoding, "backslashreplace").decode(encoding))


def _show_rich(
    columns: Sequence[str],
    texts: Sequence[Sequence[str]],
    right: Container[int],
    colours: Mapping[str, str],
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    console = Console(file=sys.stdout, highlight=False)
    cells = list(zip(columns, *texts, strict=True))
    longest = [
        max(len(word) for cell in column for word in (*cell.split(), "")) for column in cells
    ]
    has_room = sum(longest) + _GAP * len(columns) <= console.width
    for place, column in enumerate(columns):
        # Sentences give way to addresses, which nobody can read in two halves.
        is_whole = has_room and not any(" " in cell for cell in cells[place])
        justify: Literal["left", "right"] = "right" if place in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=is_whole)
    for row in texts:
        table.add_row(*(Text(cell, colours.get(cell, "")) for cell in row))
    console.print(table)


def show_csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Rows as CSV, made for spreadsheets: no cell steers a terminal, none is a formula there."""
    write_lines(_csv_lines(chain([columns], rows)))


def _csv_lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="")
    for row in rows:
        writer.writerow(map(make_harmless, row))
        yield file.getvalue()
        file.seek(0)
        file.truncate()


def show_heading(text: str) -> None:
    """A line above what belongs together; on a terminal it is wrapped."""
    lines = _wrap(one_line(text), "")
    write_lines([click.style(line, bold=True) for line in lines] if _has_style() else lines)


def show_gap() -> None:
    """An empty line between what does not."""
    write_lines([""])


def show_line(text: str, indent: int = 0, hanging: int = 2) -> None:
    """A sentence; on a terminal it is wrapped, and goes on `hanging` further in."""
    write_lines(_wrap(" " * indent + one_line(text), " " * (indent + hanging)))


def _wrap(line: str, gap: str) -> list[str]:
    if not is_terminal():
        return [line]
    from rich.console import Console

    width = Console(file=sys.stdout).width
    return textwrap.wrap(line, width, subsequent_indent=gap, break_on_hyphens=False) or [line]


def show_fields(fields: Iterable[tuple[str, str]], indent: int = 2) -> None:
    """Names and what they are, one below the other; long ones go on in their own column."""
    shown = list(fields)
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        show_line(f"{name.ljust(width)}  {text}", indent, hanging=width + 2)


def _has_style() -> bool:
    return is_terminal() and may_style()
