"""The manual tells everything there is: commands, options, keys, exit codes, variables, reasons."""

import re
from pathlib import Path

from mcsync.docs import read_topic
from mcsync.errors import ExitCode
from tests.write_docs import draw_page, find_commands

ROOT = Path(__file__).parents[2]
SOURCES = [path.read_text(encoding="utf-8") for path in (ROOT / "mcsync").rglob("*.py")]
KEY = "bbbb-us11"
ENVIRON = {"MCSYNC_CIVICRM_API_KEY": "civi-secret", "MAILCHIMP_API_KEY": KEY}


def rows(topic: str, heading: str = "") -> list[list[str]]:
    """The rows of all tables of a page, or of one of its sections, as cells."""
    text = read_topic(topic)
    if heading:
        text = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return read_rows(text)


def read_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(cell: str) -> list[str]:
    """What stands in `code` in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def first_cells(topic: str, heading: str = "") -> list[str]:
    return [code for row in rows(topic, heading) for code in codes(row[0])]


# --- commands -------------------------------------------------------------------------------------


def test_the_page_of_commands_is_what_the_commands_say():
    page = read_topic("commands")
    assert draw_page(page) == page, "run: python -m tests.write_docs"


def test_the_page_of_commands_has_every_command_and_every_option():
    page = read_topic("commands")
    shared = page.split("\n## The commands\n")[1].split("\n### ")[0]
    for name, command in find_commands().items():
        section = page.split(f"\n### mcsync {name}\n")[1].split("\n### ")[0]
        for param in command.params:
            for option in (*param.opts, *param.secondary_opts):
                if option.startswith("-"):
                    assert f"`{option}" in shared + section, f"{option} of {name}"


def test_every_help_has_an_example():
    without = [
        name for name, command in find_commands().items() if "Example" not in (command.help or "")
    ]
    assert without == []


def test_every_exit_code_has_a_row():
    told = [int(n) for row in rows("commands", "Exit codes") for n in re.findall(r"\d+", row[0])]
    assert sorted(told) == sorted(ExitCode)


def test_completion_is_told():
    assert "_MCSYNC_COMPLETE=bash_source mcsync" in read_topic("commands")
