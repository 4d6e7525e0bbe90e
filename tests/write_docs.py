"""What is made from the rest: `python -m tests.write_docs` writes it.

That is the part of the manual that is made from the commands, and the JSON Schema of the config.
In `commands.md` what stands before `## The commands` is by hand; the rest comes from here.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from mcsync.cli.main import COMMANDS, app
from tests.draw_schema import draw_schema

DOCS = Path(__file__).parents[1] / "mcsync" / "docs"
PAGE = DOCS / "commands.md"
SCHEMA = DOCS / "samples" / "schema.json"
_BEGINNING = "\n## The commands\n"
_WIDTH = 100


def find_commands() -> dict[str, click.Command]:
    """Every command, by its name, in the order of the work."""
    context = click.Context(app)
    found = {name: app.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}


def draw_page(page: str) -> str:
    """The page with its own beginning, and everything after it made anew."""
    return page.partition(_BEGINNING)[0] + "".join(_draw(find_commands()))


def _draw(commands: dict[str, click.Command]) -> Iterator[str]:
    shared = [p for p in app.params if all(_has(command, p) for command in commands.values())]
    common = {option for param in shared for option in _spellings(param)}
    yield f"{_BEGINNING}\n| command | does |\n|---|---|\n"
    for name, command in commands.items():
        summary = _paragraphs(command)[0].partition(". ")[0].removesuffix(".")
        yield f"| `mcsync {name}` | {_cell(summary)} |\n"
    yield "\n`mcsync --version` shows the version. Every command takes these:\n\n"
    yield from _table(shared)
    for name, command in commands.items():
        yield f"\n### mcsync {name}\n\n```\n{_usage(name, command)}\n```\n"
        for paragraph in _paragraphs(command):
            lines = textwrap.wrap(paragraph, _WIDTH, break_on_hyphens=False, break_long_words=False)
            yield "\n" + "\n".join(lines) + "\n"
        own = [p for p in command.params if not common.issuperset(_spellings(p))]
        yield from _options(own)
        yield f"\n```sh\n{_examples(command)}\n```\n"


def _options(params: list[click.Parameter]) -> Iterator[str]:
    if any(isinstance(param, click.Option) for param in params):
        yield "\n"
        yield from _table(params)


def _table(params: list[click.Parameter]) -> Iterator[str]:
    yield "| option | meaning |\n|---|---|\n"
    for param in params:
        if isinstance(param, click.Option):
            value = _value(param)
            shown = [f"`{option}{value}`" for option in _spellings(param)]
            default = f" Default: {param.default}." if param.show_default else ""
            yield f"| {_cell(', '.join(shown))} | {_cell((param.help or '') + default)} |\n"


def _has(command: click.Command, option: click.Parameter) -> bool:
    return any(param.opts == option.opts for param in command.params)


def _spellings(param: click.Parameter) -> list[str]:
    return [*param.opts, *param.secondary_opts]


def _value(option: click.Option) -> str:
    """What follows an option, with a space before it; nothing where it takes no value."""
    if option.is_flag or option.count:
        return ""
    if option.metavar:
        return f" {option.metavar}"
    if isinstance(option.type, click.Choice):
        return f" {'|'.join(option.type.choices)}"
    kind = "FILE" if option.type.name == "path" else "N"
    return f" {kind}"


def _usage(name: str, command: click.Command) -> str:
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    shown = [param.metavar or f"[{str(param.name).upper()}]" for param in arguments]
    return " ".join((f"mcsync {name}", "[OPTIONS]", *shown))


def _paragraphs(command: click.Command) -> list[str]:
    """A command's help before its examples, a line each."""
    text = (command.help or "").partition("\b")[0]
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", text) if each.strip()]


def _examples(command: click.Command) -> str:
    text = (command.help or "").partition("\b")[2].strip("\n").partition("\n")[2]
    return textwrap.dedent(text).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page and the schema."""
    SCHEMA.write_text(draw_schema(), encoding="utf-8")
    PAGE.write_text(draw_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
