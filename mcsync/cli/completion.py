"""What the shell completes beyond Click's own: the audiences of the config, after `--list`."""

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem


def complete_list(
    context: click.Context, _option: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The ids of the config's audiences, with their names; nothing where there is no config."""
    from mcsync.config import find_config, load_config
    from mcsync.errors import McsyncError

    named = context.params.get("config")
    if named is None and context.parent is not None:
        named = context.parent.params.get("config")
    try:
        path = find_config(Path(named) if named else None, os.environ, Path.cwd())
        audiences = load_config(path, os.environ).audiences
    except (McsyncError, OSError):
        return []
    return [
        CompletionItem(audience.list_id, help=audience.name)
        for audience in audiences
        if audience.list_id.startswith(begun)
    ]
