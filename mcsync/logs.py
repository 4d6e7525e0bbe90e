"""Where log lines go: stderr, for people or for the journal. There are no log files of our own."""

import logging
import os
import sys
import time
from collections.abc import Mapping

_PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class _JournalFormatter(logging.Formatter):
    """`<priority>message`, which the journal reads; it adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\n", " | ")
        return f"<{_PRIORITIES.get(record.levelno, 6)}>{text}"


class _PlainFormatter(logging.Formatter):
    """`2026-11-22T06:00:00Z WARNING message`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime


def choose_level(quiet: bool, verbose: int, is_terminal: bool) -> int:
    """Warnings off a terminal, news on one; -q, -v and -vv win over both."""
    if quiet:
        return logging.ERROR
    if verbose:
        return logging.DEBUG if verbose > 1 else logging.INFO
    return logging.INFO if is_terminal else logging.WARNING


def is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the journal: systemd tells its device and inode in JOURNAL_STREAM."""
    stream = environ.get("JOURNAL_STREAM", "")
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{stat.st_dev}:{stat.st_ino}"


def set_up(level: int, environ: Mapping[str, str]) -> None:
    """Send log lines of `level` and above to stderr, in place of any earlier set-up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JournalFormatter() if is_journal(environ) else _PlainFormatter())
    logger = logging.getLogger("mcsync")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
