"""Where the copies of a cache lie, and how one is put back."""

import os
import re
import shlex
from contextlib import suppress
from datetime import date
from pathlib import Path

from mcsync.clock import utc_now
from mcsync.ownership import find_fault


def find_copies(path: Path) -> list[Path]:
    """The copies of the cache at `path`, the newest day first; empty if they cannot be listed."""
    try:
        dated = list_copies(path)
    except OSError:
        return []
    return [copy for _, copy in sorted(dated, reverse=True)]


def find_newest_copy(path: Path) -> Path | None:
    """The newest copy of the cache at `path`, None if there is none.

    One of a day that is still to come is taken only where there is no other.
    """
    copies, today = find_copies(path), place_of(path, utc_now().date())
    past = [copy for copy in copies if copy.name <= today.name]
    return next(iter(past or copies), None)


def text_of_restoring(path: Path) -> str | None:
    """What restoring the newest copy means, and the command that does it; None without a copy.

    A log of the broken file would be read into the restored one, so it goes first.
    """
    copy = find_newest_copy(path)
    if copy is None:
        return None
    cache, wal, shm = (shlex.quote(f"{path}{suffix}") for suffix in ("", "-wal", "-shm"))
    return (
        f"there is a copy, {copy}; after you restore it, the next run fetches again what has"
        " changed since. While no mcsync is running:"
        f" rm -f {wal} {shm} && cp -p {shlex.quote(os.fspath(copy))} {cache}"
    )


def place_of(path: Path, day: date) -> Path:
    return path.with_name(f"{path.name}.{day.isoformat()}.copy")


def list_copies(path: Path) -> list[tuple[date, Path]]:
    shape = re.compile(re.escape(path.name) + r"\.([0-9]{4}-[0-9]{2}-[0-9]{2})\.copy")
    found = []
    with os.scandir(path.parent) as entries:
        for entry in entries:
            match = shape.fullmatch(entry.name)
            with suppress(ValueError):  # a day that there is not
                if match is not None and _is_ours(entry):
                    found.append((date.fromisoformat(match[1]), path.with_name(entry.name)))
    return found


def _is_ours(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a file that nobody else can write: another one is neither used nor deleted."""
    if not entry.is_file(follow_symlinks=False):
        return False
    return find_fault(Path(entry.path), entry.stat(follow_symlinks=False)) is None
