"""The options that are a number of seconds: `--wait [S]`, `--lock-wait S`, `--max-time S`."""

import math

import click

DEFAULT_WAIT_S = 3600.0


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic in new Clicks only
    """A number of seconds, not negative, with an end."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; a usage error for anything else."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds) or seconds < 0:
            self.fail(f"'{value}' is no number of seconds", param, ctx)
        return seconds


wait_option = click.option(
    "--wait",
    is_flag=False,
    flag_value=DEFAULT_WAIT_S,
    type=Seconds(),
    default=None,
    metavar="[S]",
    help="Wait until Mailchimp has finished, at most S seconds (an hour).",
)
lock_wait_option = click.option(
    "--lock-wait",
    type=Seconds(),
    default=0.0,
    metavar="S",
    help="Wait up to S seconds for another run to end.",
)
max_time_option = click.option(
    "--max-time",
    type=Seconds(),
    default=None,
    metavar="S",
    help="Stop after about S seconds where it is safe; the next run goes on from there.",
)

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would be done; write nothing, leave no trace."
)
csv_option = click.option("--csv", "as_csv", is_flag=True, help="With --dry-run: as CSV.")
exit_code_option = click.option(
    "--exit-code", is_flag=True, help="End with 10 when something differs, or was changed."
)
print_changes_option = click.option(
    "--print-changes", is_flag=True, help="Print one line for each change that was made."
)
