"""Where log lines go: stderr, for people or for the journal. There are no log files of our own."""

import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TextIO

from mcsync.text import safe_lines, without_addresses, without_keys

_PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class _JournalFormatter(logging.Formatter):
    """`<priority>message`, which the journal reads, line by line; it adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 6)
        return _with_priority(priority, safe_lines(super().format(record)))


class _PlainFormatter(logging.Formatter):
    """`2026-11-22T06:00:00Z WARNING message`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(safe_lines(super().format(record)))


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at the time: rich takes its place while it shows a progress line.

    Lines then come above that line instead of into it.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def choose_level(quiet: bool, verbose: int, is_terminal: bool) -> int:
    """Warnings off a terminal, news on one; -q, -v and -vv win over both."""
    if quiet:
        return logging.ERROR
    if verbose:
        return logging.DEBUG if verbose > 1 else logging.INFO
    return logging.INFO if is_terminal else logging.WARNING


def is_terminal() -> bool:
    """Whether a person watches stderr."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (OSError, ValueError):
        return False


def is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the journal: systemd tells its device and inode in JOURNAL_STREAM."""
    stream = environ.get("JOURNAL_STREAM", "")
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # closed, not a file, or none at all
        return False
    return stream == f"{stat.st_dev}:{stat.st_ino}"


def set_up(level: int, environ: Mapping[str, str]) -> None:
    """Send log lines of `level` and above to stderr, in place of any earlier set-up."""
    # Without a stderr lines go nowhere; a stream that is full or gone stops no run either.
    logging.raiseExceptions = False
    handler = logging.NullHandler() if sys.stderr is None else _StderrHandler()
    handler.setFormatter(_JournalFormatter() if is_journal(environ) else _PlainFormatter())
    logger = logging.getLogger("mcsync")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def write_error(lines: Iterable[str], environ: Mapping[str, str]) -> None:
    """Put the lines of an error on stderr; in the journal with their priority."""
    if sys.stderr is None:
        return
    lines = [part for line in lines for part in safe_lines(line)]
    text = _with_priority(3, lines) if is_journal(environ) else "\n".join(lines)
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody can be told


def _with_priority(priority: int, lines: Iterable[str]) -> str:
    return "\n".join(f"<{priority}>{line}" for line in lines if line.strip())


def scrub(text: str, secrets: Iterable[str]) -> str:
    """`text` without these secrets, and without what looks like an address or a Mailchimp key.

    Its lines are cut: what a service sent may stand in one.
    """
    secrets = list(secrets)
    return "\n".join(without_addresses(without_keys(line, secrets)) for line in text.split("\n"))
