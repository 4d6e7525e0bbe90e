"""The `mcsync` command: its subcommands, and the one place where failures become words."""

import importlib
import io
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from mcsync import __version__
from mcsync.cli.options import give_answer, global_options
from mcsync.cli.output import explain, finish, flush_streams
from mcsync.cli.signals import WATCHER, catch_signals, release_signals
from mcsync.cli.state import State
from mcsync.errors import UsageError

GROUPS = {
    "Set up": ("init", "check"),
    "Sync": ("sync", "fetch", "reconcile", "submit", "process-batches", "sync-contact"),
    "Look": ("status", "report", "explain", "history", "snapshot"),
    "Mend": ("resync", "undo", "abort", "forget"),
    "Webhooks": ("serve", "webhook"),
    "Try it": ("demo", "sandbox"),
    "Manual": ("help", "sample"),
}
COMMANDS = {
    name: "init.command" if name == "init" else name.replace("-", "_")
    for names in GROUPS.values()
    for name in names
}


class ErrorBoundary(click.Group):
    """Finds commands when they are called for, and turns every ending into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is wanted."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mcsync.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with. Raises: UsageError, naming a similar one."""
        if args[0] not in COMMANDS and args[0][:1].isalnum() and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(args[0].lower(), COMMANDS, n=1)
            hint = f"did you mean mcsync {near[0]}?" if near else "mcsync --help"
            raise UsageError(f'there is no command "{args[0]}"', hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in their groups, all summaries in one column."""
        width = max(map(len, COMMANDS))
        for title, names in GROUPS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (name.ljust(width), each.get_short_help_str(formatter.width - width - 6))
                        for name, each in found
                        if each is not None
                    ]
                )

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str = "mcsync",
        *,
        leave: Callable[[int], NoReturn] = sys.exit,
        **extra: Any,
    ) -> NoReturn:
        """Run, report, and `leave` with the exit code; the only place that does.

        Not by Click's own `main`, which has words and exit codes of its own for what escapes.
        """
        if os.environ.get("_MCSYNC_COMPLETE"):  # shell completion
            super().main(args, prog_name, **extra)
        arguments = list(sys.argv[1:] if args is None else args)
        state = State(wants_json="--json" in arguments)
        try:
            with self.make_context(prog_name, arguments, obj=state) as context:
                self.invoke(context)
        except BaseException as error:
            release_signals()
            # To leave from here keeps the exception, and with it whatever waits for an answer.
            leave(finish(state, *explain(state, error)))
        release_signals()
        leave(finish(state, None, 0))


def _show_version(context: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        give_answer(context, {"version": __version__}, f"mcsync {__version__}")


@click.group(
    cls=ErrorBoundary,
    epilog='"mcsync COMMAND --help" has the details. No account yet? Try "mcsync demo".',
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@global_options
def app() -> None:
    """Keep Mailchimp audiences and CiviCRM groups in agreement, both ways."""


def main() -> None:
    """Entry point of the console script."""
    _open_streams()
    catch_signals()
    app.main(leave=_leave)


def _open_streams() -> None:
    """Make sure of stdin, stdout and stderr: else the next file to be opened would become one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # of which some can only write latin-1, or ASCII
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _leave(code: int) -> NoReturn:
    """End the process; requests whose answers nobody wants any more are not waited for."""
    flush_streams()
    if {thread.name for thread in threading.enumerate()} - {"MainThread", WATCHER}:
        os._exit(code)
    sys.exit(code)
