"""What a command says at its end: one JSON document, or words on stderr, never both."""

import errno
import json
import logging
import os
import sys
from contextlib import suppress
from typing import NamedTuple

import click

from mcsync.cli.signals import Stopped
from mcsync.cli.state import State
from mcsync.errors import AnswerLost, ExitCode, McsyncError, Part, UsageError
from mcsync.logs import is_terminal, write_error
from mcsync.text import one_line

SCHEMA = 1
_PART = 1 << 16  # characters of a long list written at once
_NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())  # of Click 8.2
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EPIPE)


class Trouble(NamedTuple):
    """Why a command did not end well; `lines` is how that is told on stderr."""

    kind: str
    message: str
    hint: str | None
    lines: tuple[str, ...]
    problems: tuple[tuple[str, str], ...] = ()
    is_news: bool = True

    def in_one_line(self) -> str:
        """The sentence and the hint."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def as_dict(self) -> dict[str, object]:
        """The `error` of the document."""
        found: dict[str, object] = {"kind": self.kind, "message": self.message, "hint": self.hint}
        if self.problems:
            found["problems"] = [{"path": path, "problem": text} for path, text in self.problems]
        return found


# --- what an exception means ----------------------------------------------------------------------


def explain(state: State, error: BaseException) -> tuple[Trouble | None, int]:
    """What to tell about an exception, and the exit code."""
    if isinstance(error, McsyncError):
        tells_all = state.verbose > 0 or is_terminal()
        return _explain_foreseen(error, tells_all=tells_all), error.exit_code
    if isinstance(error, click.exceptions.Exit):
        return None, error.exit_code
    if isinstance(error, click.ClickException):
        return _explain_usage(state, error), ExitCode.USAGE
    if isinstance(error, Stopped) and error.signal.name == "SIGTERM":
        return _explain_stop(state, "terminated", "by SIGTERM"), ExitCode.TERMINATED
    if isinstance(error, Stopped) and error.signal.name == "SIGHUP":
        return _explain_stop(state, "terminated", "by SIGHUP"), ExitCode.HUNG_UP
    if isinstance(error, click.Abort):  # of a question: no, or the end of the input
        return _explain_stop(state, "interrupted", "at a question"), ExitCode.INTERRUPTED
    if isinstance(error, Stopped | KeyboardInterrupt):
        return _explain_stop(state, "interrupted", "by SIGINT"), ExitCode.INTERRUPTED
    if isinstance(error, SystemExit):
        return None, ExitCode.OK  # rich's word for a reader of stdout who has seen enough
    if isinstance(error, OSError) and error.errno in _DISK:
        lost = AnswerLost(f"cannot write: {error.strerror}", hint="check the disk")
        return _explain_foreseen(lost), lost.exit_code
    return _explain_bug(state, error), ExitCode.BUG


def _explain_foreseen(error: McsyncError, *, tells_all: bool = False) -> Trouble:
    """Off a terminal troubles that were told before are not told again: cron would mail them."""
    parts = [part for part in error.parts if part.is_news or tells_all]
    if len(parts) > 1:
        lines = [line for part in parts for line in _tell_part(part)][:-1]
    else:
        told = parts[0] if parts else error
        lines = [f"error: {one_line(told.message)}"]
        lines += [one_line(f"  {path}: {text}") for path, text in error.problems]
        lines += ["", f"hint: {told.hint}"] if told.hint else []
    is_news = error.is_news or tells_all
    return Trouble(error.kind, error.message, error.hint, tuple(lines), error.problems, is_news)


def _tell_part(part: Part) -> list[str]:
    """One of several troubles, with its own next step below it."""
    hint = [f"hint: {one_line(part.hint)}"] if part.hint else []
    return [f"error: {one_line(part.message)}", *hint, ""]


def _explain_usage(state: State, error: click.ClickException) -> Trouble:
    """Wrong options: Click's facts in our form."""
    context = getattr(error, "ctx", None)
    if context is not None and context.parent is not None:
        state.command = context.info_name or ""
    hint = f"{context.command_path if context else 'mcsync'} --help"
    if isinstance(error, _NO_ARGUMENTS):
        lines = tuple(error.format_message().splitlines())
        return Trouble("usage-error", "no command", hint, lines)
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    return _explain_foreseen(UsageError(message, hint=hint))


def _explain_stop(state: State, kind: str, where: str) -> Trouble:
    hint = None if state.settings is None else "the next run continues from here"
    trouble = Trouble(kind, f"stopped {where}", state.stop_hint or hint, ())
    return trouble._replace(lines=(trouble.in_one_line(),))


def _explain_bug(state: State, error: BaseException) -> Trouble:
    """Something of ours is wrong; where is told on stderr in either form, whom it was about never.

    The operator is asked to send these lines away, so keys and addresses are taken out.
    """
    from traceback import format_exception

    from mcsync.logs import scrub

    lines = scrub("".join(format_exception(error)), known_secrets(state)).rstrip("\n")
    logging.getLogger("mcsync").error(
        "unexpected failure; please report it with the lines below\n%s", lines
    )
    message = f"unexpected failure: {type(error).__name__}"
    return Trouble("bug", message, "please report it with the lines on stderr", ())


def known_secrets(state: State) -> list[str]:
    """Every secret of the config, if it was read, plain and as HTTP carries it."""
    from base64 import b64encode

    found = [os.environ.get(f"MCSYNC_CIVICRM_{name}_KEY", "") for name in ("API", "SITE")]
    if state.settings is not None:
        accounts = state.settings.accounts.values()
        urls = [url for a in accounts for url in (a.webhook_url, a.batch_webhook_url) if url]
        found += [secret.reveal() for secret in (*state.settings.secrets(), *urls)]
    return found + [b64encode(f"mcsync:{text}".encode()).decode() for text in found if text]


# --- telling it -----------------------------------------------------------------------------------


def finish(state: State, trouble: Trouble | None, code: int) -> int:
    """Report how it ended, and return the exit code."""
    if not state.wants_json:
        _report(trouble, code)
        return int(code)
    try:
        print_document(state, trouble, code)
    except AnswerLost as lost:
        told = _explain_foreseen(lost)
        write_error(told.lines, os.environ)
        return int(code or lost.exit_code)
    return int(code)


def tell_beside(state: State, error: McsyncError) -> None:
    """Tell an error on stderr where the command ends by another; the document has it anyway."""
    if not state.wants_json:
        _report(*explain(state, error))


def _report(trouble: Trouble | None, code: int) -> None:
    if trouble is not None and code == ExitCode.LOCKED:
        # A young run is no news: cron would mail it each time.
        level = logging.WARNING if trouble.hint else logging.INFO
        logging.getLogger("mcsync").log(level, "%s", trouble.in_one_line())
    elif trouble is not None and trouble.lines and trouble.is_news:
        write_error(trouble.lines, os.environ)


def print_document(state: State, trouble: Trouble | None = None, code: int = 0) -> None:
    """Print the one document of this invocation, unless it has been printed."""
    if state.is_told:
        return
    state.is_told = True
    document = {
        "schema": SCHEMA,
        "command": state.command,
        "exit_code": int(code),
        "dry_run": state.is_dry_run,
        "audiences": state.audiences,
        **state.answer,
        "error": None if trouble is None else trouble.as_dict(),
    }
    begin = json.dumps(document)
    for name, file in state.long_lists.items():
        write_answer(f'{begin[:-1]}, "{name}": ', end="")
        begin = "}"
        while part := file.read(_PART):
            write_answer(part, end="")
        file.close()
    write_answer(begin)


def write_answer(text: str, end: str = "\n") -> None:
    """Write to stdout, if there is one. A reader who has seen enough is no trouble.

    Raises: AnswerLost when it cannot be written.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up(sys.stdout)
    except OSError as error:
        _give_up(sys.stdout)
        raise AnswerLost(
            f"cannot write the answer to stdout: {error.strerror}",
            hint="check the disk that stdout goes to",
        ) from None


def flush_streams() -> None:
    """Write out what waits for it; what cannot be written is dropped, not told by Python."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                _give_up(stream)


def _give_up(stream: object) -> None:
    """Let what the stream still holds go nowhere, instead of failing again at the exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
