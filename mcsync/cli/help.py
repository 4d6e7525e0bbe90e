"""mcsync help."""

import click

from mcsync.cli.options import global_options
from mcsync.cli.state import State
from mcsync.config import did_you_mean
from mcsync.errors import UsageError

_MORE = '"mcsync help NAME" shows a page or a command; "mcsync --help" lists the commands.'


@click.command(name="help")
@click.argument("topic", required=False)
@global_options
def command(state: State, topic: str | None) -> None:
    """Show a page of the manual or the help of a command.

    Without TOPIC, list the pages.

    \b
    Examples:
      mcsync help
      mcsync help security
      mcsync help sync
    """
    from mcsync.cli.show_docs import show_list, show_page, show_text
    from mcsync.docs import list_topics, read_topic

    topics = list_topics()
    if topic is None:
        show_list(state, "topics", topics, _MORE)
    elif topic.lower() in topics:
        show_page(state, topic.lower(), read_topic(topic.lower()))
    else:
        text = _help_of(topic, topics)
        show_text(state, {"help": text}, text)


def _help_of(name: str, topics: dict[str, str]) -> str:
    """What `mcsync NAME --help` shows. Raises: UsageError when there is no such command."""
    from mcsync.cli.main import app

    root = click.get_current_context().find_root()
    found = app.get_command(root, name)
    if found is None:
        near = did_you_mean(name, [*topics, *app.list_commands(root)])
        raise UsageError(f'there is no page and no command "{name}"{near}', hint="mcsync help")
    return found.get_help(click.Context(found, info_name=name, parent=root))
