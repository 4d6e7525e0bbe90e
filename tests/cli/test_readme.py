"""README.md tells everything there is: commands, options, keys, exit codes, variables."""

import re
from pathlib import Path

import click

from mcsync.cli.main import COMMANDS, app
from mcsync.config import builder as config
from mcsync.errors import ExitCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of all tables of a section, as cells, from its heading to the next of its kind."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(cell: str) -> set[str]:
    """What stands in `code` in a cell."""
    return set(re.findall(r"`([^`]+)`", cell))


def first_cells(heading: str) -> set[str]:
    return {code for row in rows(heading) for code in codes(row[0])}


def commands() -> dict[str, click.Command]:
    context = click.Context(app)
    found = {name: app.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}


def test_every_command_has_a_row():
    told = {code.partition(" [")[0] for code in first_cells("Commands")}
    assert [name for name in commands() if f"mcsync {name}" not in told] == []


def test_every_command_in_a_row_exists():
    told = {code.split()[1] for code in first_cells("Commands") if "mcsync " in code}
    assert told <= set(commands())


def test_every_option_has_a_row_that_names_its_command():
    told: dict[str, str] = {}
    for row in rows("Commands"):
        if len(row) == 3:
            for code in codes(row[0]):
                name = code.split()[0]
                told[name] = f"{told.get(name, '')}, {row[1]}"
    missing = []
    for name, command in commands().items():
        for param in command.params:
            for option in (*param.opts, *param.secondary_opts):
                of = told.get(option, "")
                if option.startswith("--") and not is_told(name, of):
                    missing.append(f"{option} of {name}")
    assert missing == []


def is_told(command: str, of: str) -> bool:
    """Whether a row's second cell means this command."""
    return command in re.split(r"[,\s]+", of) or re.search(r"\ball\b", of) is not None


def test_every_help_has_an_example():
    without = [
        name for name, command in commands().items() if "Example" not in (command.help or "")
    ]
    assert without == []


def test_every_config_key_has_a_row():
    told = first_cells("Config")
    wanted = {f"lists.ID.{key}" for key in config._LIST_KEYS}
    wanted |= {f"safety.{key}" for key in config._SAFETY_KEYS}
    wanted |= {f"civicrm.{key}" for key in config.CIVICRM_VARIABLES}
    branches = {"civicrm", "safety", "lists", "accounts", "data"}
    wanted |= set(config._TOP_KEYS) - branches
    wanted |= {"data.sync", "data.everyHours", "data.fields", "data.groupTags"}
    wanted |= {"accounts.KEY.apiKey", "accounts.KEY.apiUrl"}
    assert sorted(wanted - told) == []


def test_every_exit_code_has_a_row():
    told = {int(number) for row in rows("Exit codes") for number in re.findall(r"\d+", row[0])}
    assert sorted(set(ExitCode) - told) == []
    assert sorted(told - set(ExitCode)) == []


def test_every_environment_variable_has_a_row():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "mcsync").rglob("*.py")]
    used = {name for text in sources for name in re.findall(r"\bMCSYNC_[A-Z_]+[A-Z]\b", text)}
    asked = re.compile(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"")
    used |= {name for text in sources for name in asked.findall(text)}
    used -= {"_MCSYNC_COMPLETE"}  # Click's, told under "Shell completion"
    used -= {"HOME", "APPDATA", "XDG_CONFIG_HOME"}  # "the user's config folder"
    assert "MCSYNC_CONFIG" in used
    told = {code.split("=")[0] for code in first_cells("Config")}
    assert sorted(used - told) == []


def test_the_code_blocks_to_see_it_work_and_to_test_it_are_there():
    blocks = re.findall(r"^```(sh[^\n]*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert [text for kind, text in blocks if kind == "sh" and text.rstrip().endswith("mcsync demo")]
    (test,) = [text for kind, text in blocks if kind == "sh test"]
    assert "pytest" in test
    assert (ROOT / ".ci" / "run").exists()


def test_cron_systemd_completion_and_monitoring_are_told():
    section = README.split("\n## Cron, systemd, monitoring\n", 1)[1].split("\n## ", 1)[0]
    for words in ("*/5 * * * *", "mcsync sample mcsync.service", "mcsync.timer", "journalctl"):
        assert words in section
    assert "mcsync status --max-age 1h" in section
    assert "_MCSYNC_COMPLETE=bash_source mcsync" in README
