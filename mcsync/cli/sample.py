"""mcsync sample."""

import click

from mcsync.cli.options import global_options
from mcsync.cli.state import State
from mcsync.config import did_you_mean
from mcsync.errors import UsageError


@click.command(name="sample")
@click.argument("name", required=False)
@global_options
def command(state: State, name: str | None) -> None:
    """Print a sample file: config, cron, systemd, nginx, …

    Without NAME, list them. There are units for systemd; files for nginx, Apache, CGI, cron and
    Docker; and a config with its JSON Schema.

    \b
    Examples:
      mcsync sample
      mcsync sample nginx
      mcsync sample mcsync.timer > /etc/systemd/system/mcsync.timer
    """
    from mcsync.cli.show_docs import show_list, show_text
    from mcsync.docs import SAMPLES, find_sample, name_samples, read_sample

    if name is None:
        show_list(state, "samples", SAMPLES, '"mcsync sample NAME" prints one.')
        return
    found = find_sample(name)
    if found is None:
        raise UsageError(
            f'there is no sample "{name}"{did_you_mean(name, name_samples())}', hint="mcsync sample"
        )
    text = read_sample(found)
    show_text(state, {"name": found, "text": text}, text)
