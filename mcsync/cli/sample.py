"""mcsync sample."""

import click

from mcsync.cli.options import global_options
from mcsync.cli.state import State
from mcsync.errors import UsageError


@click.command(name="sample")
@click.argument("name", required=False)
@global_options
def command(state: State, name: str | None) -> None:
    """Print a sample file: config, cron, systemd, nginx, …

    Without NAME, list them. There are units for systemd; files for nginx, Apache, cron and
    Docker; and a config.

    \b
    Examples:
      mcsync sample
      mcsync sample nginx
      mcsync sample mcsync.timer > /etc/systemd/system/mcsync.timer
    """
    from mcsync.cli.output import write_answer
    from mcsync.docs import SAMPLES, find_sample, name_samples, read_sample

    if name is None:
        from mcsync.cli.show_docs import show_list

        show_list(state, "samples", SAMPLES, '"mcsync sample NAME" prints one.')
        return
    found = find_sample(name)
    if found is None:
        from mcsync.config import did_you_mean

        raise UsageError(
            f'there is no sample "{name}"{did_you_mean(name, name_samples())}', hint="mcsync sample"
        )
    text = read_sample(found)
    state.answer = {"name": found, "text": text}
    if not state.wants_json:
        write_answer(text.removesuffix("\n"))
