"""What a command says at its end: one JSON document, or words on stderr, never both."""

import json
import logging
import sys

import click

from mcsync.cli.options import State
from mcsync.errors import ConfigError, ExitCode, LockHeld, McsyncError

SCHEMA = 1


def finish(state: State, error: McsyncError | None, code: int) -> int:
    """Report how it ended, and return the exit code."""
    if state.wants_json:
        _print_document(state, _describe(error), code)
    elif error is not None:
        _report_failure(error)
    return int(code)


def report_usage(state: State, error: click.UsageError) -> int:
    """Wrong options, in Click's words."""
    if not state.wants_json:
        error.show()
    else:
        message: dict[str, object] = {
            "kind": "usage-error",
            "message": error.format_message(),
            "hint": None,
        }
        _print_document(state, message, ExitCode.USAGE)
    return int(ExitCode.USAGE)


def _describe(error: McsyncError | None) -> dict[str, object] | None:
    if error is None:
        return None
    description: dict[str, object] = {
        "kind": error.kind,
        "message": error.message,
        "hint": error.hint,
    }
    if isinstance(error, ConfigError) and error.problems:
        description["problems"] = [
            {"path": path, "problem": problem} for path, problem in error.problems
        ]
    return description


def _print_document(state: State, error: dict[str, object] | None, code: int) -> None:
    document = {
        "schema": SCHEMA,
        "command": state.command,
        "exit_code": int(code),
        "dry_run": state.is_dry_run,
        "audiences": state.audiences,
        **state.answer,
        "error": error,
    }
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _report_failure(error: McsyncError) -> None:
    if isinstance(error, LockHeld):
        # A young run is no news; cron would mail it every five minutes.
        logger = logging.getLogger("mcsync")
        (logger.warning if error.hint else logger.info)("%s", error.message)
        return
    lines = [f"error: {error.message}"]
    if isinstance(error, ConfigError):
        lines += [f"  {path}: {problem}" for path, problem in error.problems]
    if error.hint:
        lines += ["", f"hint: {error.hint}"]
    click.echo("\n".join(lines), err=True)
