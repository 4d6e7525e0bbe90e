"""The `mcsync` command: its subcommands, and the one place where failures become words."""

import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from mcsync import __version__
from mcsync.cli.options import State, global_options
from mcsync.cli.output import finish, report_usage
from mcsync.errors import ExitCode, McsyncError

_COMMANDS = {
    "fetch": "fetch",
    "reconcile": "reconcile",
    "submit": "submit",
    "process-batches": "process_batches",
    "sync": "sync",
    "sync-contact": "sync_contact",
    "abort": "abort",
    "demo": "demo",
    "sandbox": "sandbox",
}


class Terminated(BaseException):
    """SIGTERM: stop at once, with everything that is open rolled back or released."""


class ErrorBoundary(click.Group):
    """Finds commands when they are called for, and turns every ending into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the work."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is wanted."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"mcsync.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run, report, exit; the only place that does."""
        arguments = list(sys.argv[1:] if args is None else args)
        state = State(wants_json="--json" in arguments)
        extra.update(standalone_mode=False, obj=state)
        sys.exit(_run(self, state, arguments, extra))


def _run(app: click.Group, state: State, arguments: list[str], extra: dict[str, Any]) -> int:
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = click.Group.main(app, arguments, **extra)
        return finish(state, None, code if isinstance(code, int) else 0)
    except McsyncError as error:
        return finish(state, error, error.exit_code)
    except click.UsageError as error:
        return report_usage(state, error)
    except (click.Abort, KeyboardInterrupt):
        return finish(state, None, ExitCode.INTERRUPTED)
    except Terminated:
        return finish(state, None, ExitCode.TERMINATED)
    except BrokenPipeError:
        # Whoever read our answer has seen enough; say nothing more to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception:
        logging.getLogger("mcsync").exception(
            "unexpected failure; please report it with the lines above"
        )
        return finish(state, None, ExitCode.BUG)


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise Terminated


@click.group(
    cls=ErrorBoundary,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='"mcsync COMMAND --help" tells more. Without an account: mcsync demo.',
)
@click.version_option(__version__, message="mcsync %(version)s")
@global_options
def app() -> None:
    """Keep Mailchimp audiences and CiviCRM groups in agreement, both ways."""


def main() -> None:
    """Entry point of the console script."""
    app.main(prog_name="mcsync")
