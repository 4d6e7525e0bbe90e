"""The file that a report is written to: whole or not there, and never over anything else."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from mcsync.errors import AnswerLost, UsageError

MARK = '<meta name="generator" content="mcsync'  # in every report, so that it may be replaced
_LOOK_AT = 2000  # bytes at the beginning of a file, in which the mark is


def refuse_others(path: Path) -> None:
    """Refuse a place where no report can be written, or where something else is.

    Raises: UsageError
    """
    if path.is_dir():
        raise UsageError(
            f"--html: {path} is a directory", hint=f"name a file in it: --html {path}/report.html"
        )
    if not path.parent.is_dir():
        raise UsageError(
            f"--html: there is no folder {path.parent}", hint="create it, or name another file"
        )
    try:
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode) and _is_ours(path):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            f"--html: cannot read {path}: {error.strerror}", hint="name another file"
        ) from None
    raise UsageError(
        f"--html: {path} is not a report of mcsync, so it is left as it is",
        hint="name another file, or move it away; --html - writes to stdout",
    )


def _is_ours(path: Path) -> bool:
    """Whether a file is empty, or a report that was written before."""
    with open(path, "rb") as file:
        begin = file.read(_LOOK_AT)
    return not begin or MARK.encode() in begin


def write_report(path: Path, text: str, *, has_people: bool) -> None:
    """Write a report in the place of an earlier one; for its owner only when it names people.

    Raises: UsageError when something else is there, AnswerLost when the disk has trouble.
    """
    refuse_others(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    mode = 0o600 if has_people else 0o644  # of which the umask takes off what it will
    try:
        number = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        finally:
            with suppress(OSError):
                os.unlink(draft)
    except OSError as error:
        raise AnswerLost(
            f"cannot write {path}: {error.strerror}", hint="check the disk, or name another file"
        ) from None
