"""People found in snapshots, and taken out of them.

Their columns tell what a cell is: addresses, of which there may be several in one, ids of contacts
and of members, and cells as they were, in JSON, where they had to be altered.
"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mcsync.cache.both_sides import CONTACT_ID, CONTACT_OF_MEMBER, MEMBER_ID
from mcsync.cache.snapshots import EXACT, list_snapshots, snapshot_folder
from mcsync.cache.traces import Traces
from mcsync.model import email_key

_NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)


def erase_from_snapshot(path: Path, people: Iterable[Traces]) -> int:
    """Take the rows of these people out of a file; how many that were. Raises: OSError

    The file is written anew only when there are any. A half one, of a run that was killed, goes.
    """
    if path.suffix == ".part":
        path.unlink(missing_ok=True)
        return 0
    sought = _Sought(people)
    part = path.with_name(f"{path.name}.part")
    try:
        with _open(path) as source:
            part.unlink(missing_ok=True)
            number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOT_A_LINK, 0o600)
            with os.fdopen(number, "w", encoding="utf-8", newline="") as target:
                count = _copy_rest(source, target, sought)
                target.flush()
                os.fsync(target.fileno())
        if count:
            os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def find_in_snapshot(path: Path, people: Iterable[Traces]) -> list[dict[str, str]]:
    """The rows of these people in a file, by its columns. Raises: OSError; ValueError, csv.Error"""
    sought = _Sought(people)
    with _open(path) as source:
        rows = csv.reader(source)
        columns = next(rows, [])
        found = list(filter(sought.make_test(columns), rows))
    return [dict(zip(columns, row, strict=False)) for row in found]


def is_in_snapshots(cache: Path, email: str) -> bool:
    """Whether a snapshot beside the cache has an address, as far as they can be read.

    They go back further than the cache, which does not keep who is at neither side.
    """
    sought = [Traces(emails={email_key(email)})]
    with suppress(OSError):
        for path in list_snapshots(snapshot_folder(cache)):
            with suppress(OSError, ValueError, csv.Error):
                if find_in_snapshot(path, sought):
                    return True
    return False


def _open(path: Path) -> TextIO:
    number = os.open(path, os.O_RDONLY | _NOT_A_LINK)
    return os.fdopen(number, encoding="utf-8", newline="")


def _copy_rest(source: TextIO, target: TextIO, sought: "_Sought") -> int:
    """Copy all rows but those sought; how many these were."""
    rows = csv.reader(source)
    writer = csv.writer(target, lineterminator="\n")
    columns = next(rows, [])
    writer.writerow(columns)
    count = 0
    is_about_them = sought.make_test(columns)
    for row in rows:
        if is_about_them(row):
            count += 1
        else:
            writer.writerow(row)
    return count


class _Sought:
    """Whom the rows of a file are compared with."""

    def __init__(self, people: Iterable[Traces]) -> None:
        everybody = list(people)
        self.emails = {email for person in everybody for email in person.emails}
        self.contacts = {str(contact) for person in everybody for contact in person.contacts}
        self.members = {member[1] for person in everybody for member in person.members} - {""}

    def make_test(self, columns: Sequence[str]) -> Callable[[Sequence[str]], bool]:
        """What tells whether a row of these columns is about any of them."""
        ids = {
            number: self.members if column == MEMBER_ID else self.contacts
            for number, column in enumerate(columns)
            if column in (CONTACT_ID, CONTACT_OF_MEMBER, MEMBER_ID)
        }
        exact = columns.index(EXACT) if EXACT in columns else len(columns)

        def is_about_them(row: Sequence[str]) -> bool:
            cells = row[: len(columns)]
            if any(
                number < len(cells) and cells[number] in sought for number, sought in ids.items()
            ):
                return True
            return any(
                self._has_email(cell)
                for number, cell in enumerate(cells)
                if "@" in cell and number not in ids and number != exact
            ) or any(
                self._has_email(str(each))
                for cell in cells[exact : exact + 1]
                if cell
                for each in json.loads(cell).values()
            )

        return is_about_them

    def _has_email(self, cell: str) -> bool:
        if "," not in cell:
            return email_key(cell) in self.emails
        return any(email_key(each) in self.emails for each in (cell, *cell.split(",")))
