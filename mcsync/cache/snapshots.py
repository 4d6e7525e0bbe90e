"""Snapshots: both sides of an audience as CSV files, to restore from by hand or by an import.

Beside the cache, in `mcsync.db.snapshots`, lie those that a run made before its first change of an
audience: `Newsletter-aaaaaaaaaa-mailchimp-2026-11-26T0600Z.csv`, and the same for `civicrm`.

A cell that a spreadsheet would take for a formula is written as in every CSV of ours, with an
apostrophe; what steers terminals is gone from it. Whoever restores needs it as it was: where a
cell was altered, the last column has it in JSON, in which all that could be a formula is escaped.
An address for Mailchimp's import is left out rather than altered: it would be somebody else's.
"""

import csv
import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from mcsync.cache.both_sides import ADDRESS, Table
from mcsync.errors import SnapshotError
from mcsync.model import Side
from mcsync.ownership import find_fault, find_folder_fault
from mcsync.text import BEGIN_FORMULAS, make_harmless

_STAMP = "%Y-%m-%dT%H%MZ"
_SHAPE = re.compile(
    r"[A-Za-z0-9._-]+-(?:mailchimp|civicrm)-(\d{4}-\d\d-\d\dT\d{4}Z)\.csv(?:\.part)?"
)
_LONGEST = 60  # characters of a name; most file systems take 255 bytes for all of it
_NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)
EXACT = "As It Was"  # the last column: cells as they were before they were altered, in JSON
# None of these in the cells of many rows, joined by commas: all of them are harmless.
_SUSPECT = (*(f",{sign}" for sign in BEGIN_FORMULAS), ", ", ";", "|")
_AT_ONCE = 100  # rows
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Snapshot(NamedTuple):
    """One side of an audience that was written: where, and how many people that were."""

    side: Side
    path: Path
    people: int


def snapshot_folder(cache: Path) -> Path:
    """Where the snapshots lie that runs make by themselves."""
    return cache.with_name(f"{cache.name}.snapshots")


def make_own_folder(cache: Path) -> Path:
    """That folder, made if need be; one that somebody else made, or may write, is refused.

    Raises: SnapshotError
    """
    folder = snapshot_folder(cache)
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise _explain(folder, error) from error
    if stat.S_ISLNK(found.st_mode):
        raise SnapshotError(
            f"{folder} is a link, but mcsync never creates links", hint=f'run "rm {folder}"'
        )
    fault = find_fault(folder, found)
    if fault is not None:
        raise SnapshotError(f"the folder {folder} {fault.what}", hint=fault.mend)
    return folder


def list_snapshots(folder: Path) -> list[Path]:
    """All files in a folder that mcsync made as snapshots, half ones of a killed run included.

    Raises: OSError, but for a folder that is not there
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if _SHAPE.fullmatch(name)]


def write_snapshot(
    folder: Path, list_id: str, name: str, tables: Iterable[Table], now: datetime
) -> list[Snapshot]:
    """Write an audience's sides into a folder, which is made; all of them, or none.

    The rows are written as they come: memory does not grow with them.
    Raises: SnapshotError
    """
    prefix = "-".join(filter(None, (_make_slug(name), _make_slug(list_id))))
    written: list[Snapshot] = []
    try:
        _make_folder(folder)
        for table in tables:
            path = folder / f"{prefix}-{table.side}-{now.astimezone(UTC):{_STAMP}}.csv"
            written.append(Snapshot(table.side, path, 0))
            written[-1] = Snapshot(table.side, path, _write(_part_of(path), table))
        for snapshot in written:
            os.replace(_part_of(snapshot.path), snapshot.path)
    except OSError as error:
        raise _explain(folder, error) from error
    finally:
        for snapshot in written:
            with suppress(OSError):
                _part_of(snapshot.path).unlink(missing_ok=True)
    return written


def forget_snapshots(cache: Path, before: datetime) -> int:
    """Delete the snapshots that runs made before a time; how many that were. Raises: OSError"""
    limit = f"{before.astimezone(UTC):{_STAMP}}"
    old = [path for path in list_snapshots(snapshot_folder(cache)) if _stamp_of(path) < limit]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def time_of(path: Path) -> datetime | None:
    """When a snapshot was made, to the minute, by its name."""
    try:
        return datetime.strptime(_stamp_of(path), _STAMP).replace(tzinfo=UTC)
    except ValueError:  # a day that there is not
        return None


def _stamp_of(path: Path) -> str:
    match = _SHAPE.fullmatch(path.name)
    return match[1] if match else ""


# --- files ----------------------------------------------------------------------------------------


def _make_slug(name: str) -> str:
    """What of a name any file system and shell takes: accents go, all else becomes a hyphen."""
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:_LONGEST].rstrip("-")


def _make_folder(folder: Path) -> None:
    """Make the folder, for nobody else to look into. Raises: OSError; SnapshotError"""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    fault = find_folder_fault(folder)
    if fault is not None:
        raise SnapshotError(f"the folder {folder} {fault.what}", hint=fault.mend)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _write(part: Path, table: Table) -> int:
    """Write a table, and have it on the disk; how many rows that were."""
    with suppress(FileNotFoundError):
        part.unlink()  # of a run that was killed
    number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOT_A_LINK, 0o600)
    count = 0
    with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*map(make_harmless, table.columns), EXACT])
        for rows in _make_rows(table):
            writer.writerows(rows)
            count += len(rows)
        file.flush()
        os.fsync(file.fileno())
    return count


def _explain(folder: Path, error: OSError) -> SnapshotError:
    todo = "check the disk"
    if error.errno in _NO_ROOM:
        todo = f"free some space in {folder}"
    elif isinstance(error, FileExistsError | NotADirectoryError):
        todo = "name a folder, or a new one"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        todo = f"let the user that runs mcsync write to {folder.parent}"
    words = error.strerror or str(error)
    return SnapshotError(f"cannot write a snapshot to {folder}: {words}", hint=todo)


# --- cells ----------------------------------------------------------------------------------------


def _make_rows(table: Table) -> Iterator[list[Sequence[object]]]:
    """Rows as they are written, some at once; not those of the columns."""
    rows = iter(table.rows)
    while some := list(islice(rows, _AT_ONCE)):
        text = ",".join([cell for row in some for cell in row if isinstance(cell, str)])
        if text.isprintable() and not any(map(f",{text}".__contains__, _SUSPECT)):
            yield [(*row, "") for row in some]
        else:
            yield [_keep_exact(table.columns, row) for row in some]


def _keep_exact(columns: Sequence[str], row: Sequence[object]) -> list[object]:
    """A row made harmless, and what that altered."""
    cells = [make_harmless(cell) for cell in row]
    pairs = zip(columns, row, cells, strict=True)
    altered = {name: was for name, was, cell in pairs if was != cell}
    if not altered:
        return [*cells, ""]
    if ADDRESS in altered:
        cells[columns.index(ADDRESS)] = ""
    text = json.dumps(altered)
    for sign in "=+-@":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return [*cells, text]
