"""People found in snapshots, and taken out of them.

Their columns tell what a cell is: addresses, of which there may be several in one, ids of contacts
and of members, and cells as they were, in JSON, where they had to be altered.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mcsync.cache.both_sides import CONTACT_ID, CONTACT_OF_MEMBER, MEMBER_ID
from mcsync.cache.snapshots import EXACT
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
        found = [row for row in rows if sought.is_in(columns, row)]
    return [dict(zip(columns, row, strict=False)) for row in found]


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
    for row in rows:
        if sought.is_in(columns, row):
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

    def is_in(self, columns: Sequence[str], row: Sequence[str]) -> bool:
        """Whether a row is about any of them."""
        return any(map(self._is_theirs, columns, row))

    def _is_theirs(self, column: str, cell: str) -> bool:
        if column in (CONTACT_ID, CONTACT_OF_MEMBER):
            return cell in self.contacts
        if column == MEMBER_ID:
            return cell in self.members
        if column == EXACT and cell:
            return any(self._has_email(str(exact)) for exact in json.loads(cell).values())
        return "@" in cell and self._has_email(cell)

    def _has_email(self, cell: str) -> bool:
        return any(email_key(each) in self.emails for each in (cell, *cell.split(",")))
