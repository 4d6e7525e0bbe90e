"""Where log lines go: stderr, for people or for the journal. There are no log files of our own."""

import logging
import os
import sys
import textwrap
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

_COLOURS = {logging.DEBUG: 2, logging.WARNING: 33, logging.ERROR: 31}  # dim, yellow, red
_WIDTH = 80  # of a terminal that does not say


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


class _TerminalFormatter(logging.Formatter):
    """`06:00:00 WARNING message` in local time, wrapped at words, and the level in its colour.

    Nothing that could be copied is cut: no word, and no further line of a message.
    """

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<7}"
        begin = f"{self.formatTime(record, '%H:%M:%S')} {level} "
        first, *rest = safe_lines(super().format(record))
        wrapped = wrap(begin + first, " " * len(begin))
        if record.levelno in _COLOURS and may_style():
            wrapped = wrapped.replace(level, f"\x1b[{_COLOURS[record.levelno]}m{level}\x1b[0m", 1)
        return "\n".join([wrapped, *rest])


def wrap(line: str, indent: str) -> str:
    """A line as several that fit the terminal that stderr is, but for words that are too long."""
    return textwrap.fill(
        line,
        _find_width(),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def may_style() -> bool:
    """Whether colours and bold type are wanted, where there is a terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _find_width() -> int:
    """The columns of the terminal that stderr is."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH
    except (OSError, ValueError, AttributeError):
        return _WIDTH


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
    handler.setFormatter(_choose_format(environ))
    logger = logging.getLogger("mcsync")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def _choose_format(environ: Mapping[str, str]) -> logging.Formatter:
    if is_journal(environ):
        return _JournalFormatter()
    return _TerminalFormatter() if is_terminal() else _PlainFormatter()


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
