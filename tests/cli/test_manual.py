"""The manual tells everything there is: commands, options, keys, exit codes, variables, reasons."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mcsync.config import Config, load_config
from mcsync.config import builder as config
from mcsync.decision import Reason
from mcsync.docs import read_topic
from mcsync.errors import ConfigError, ExitCode
from mcsync.model import Permission
from mcsync.sandbox.civicrm import users
from tests.draw_schema import codes, read_keys, read_rows
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


def test_cron_systemd_and_monitoring_are_told():
    page = read_topic("running")
    for words in (
        "MAILTO=",
        "*/5 * * * *",
        "mcsync sample mcsync.service",
        "mcsync.timer",
        "journalctl",
    ):
        assert words in page
    assert "mcsync status --max-age 1h" in page


# --- CiviCRM's permissions ------------------------------------------------------------------------


def test_every_permission_that_is_needed_has_a_row_and_no_other():
    told = [row[0].strip("*") for row in rows("setting-up", "In CiviCRM: a user for mcsync")[2:]]
    assert told == list(Permission)


def test_the_short_instructions_name_the_same_permissions():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    step = text.split("In CiviCRM, make an API user")[1].split(" 2. At Mailchimp")[0]
    assert re.findall(r"\*([^*]+)\*", step) == list(Permission)


def test_a_simulated_site_asks_for_what_the_manual_says():
    """The simulated user may make groups too, which mcsync never does."""
    assert {*Permission, users.EDIT_GROUPS} == {*users.SYNC_PERMISSIONS, users.CUSTOM}


# --- the config -----------------------------------------------------------------------------------

BRANCHES = {"notify", "civicrm", "safety", "lists", "accounts", "data"}
# What a value of the type is not.
WRONG: dict[str, object] = {
    "text": 5,
    "number": "often",
    "whole number": 1.5,
    "true or false": "yes",
    "object": "x",
    "array": "x",
    "group id": "newsletter",
    "limit": "many",
    "choice": "other",
}
RIGHT: dict[str, type] = {
    **dict.fromkeys(("text", "choice", "limit"), str),
    **dict.fromkeys(("number", "whole number"), int),
    "true or false": bool,
    "object": dict,
    "array": list,
}


KEYS = list(read_keys())
# Copies of what Mailchimp said; whatever else stands there is no mistake.
COPIES = {"accounts.KEY.account_name", "accounts.KEY.audiences.ID.name"}
COPIES |= {"accounts.KEY.audiences.ID.webhook"}


def place(path: str, value: object) -> dict[str, Any]:
    """The smallest config with one key more, at a path such as `lists.ID.removal`."""
    blob: dict[str, Any] = {
        "civicrm": {"url": "https://crm.example.org", "apiKey": "civi-secret"},
        "lists": {"aaaaaaaaaa": {"subscriptionGroup": 111, "apiKey": KEY}},
    }
    *steps, last = path.replace("ID", "aaaaaaaaaa").replace("KEY", KEY).split(".")
    inner = blob
    for step in steps:
        inner = inner.setdefault(step, {})
    inner[last] = value
    return blob


def load(folder: Path, blob: object) -> Config:
    path = folder / "config.json"
    path.write_text(json.dumps(blob), encoding="utf-8")
    path.chmod(0o600)
    return load_config(path, ENVIRON)


def test_every_config_key_has_a_row():
    wanted = {f"lists.ID.{key}" for key in config._LIST_KEYS}
    wanted |= {f"safety.{key}" for key in config._SAFETY_KEYS}
    wanted |= {f"civicrm.{key}" for key in config._CIVICRM_KEYS}
    wanted |= {f"data.{key}" for key in config._DATA_KEYS}
    wanted |= {f"notify.{key}" for key in config._NOTIFY_KEYS}
    wanted |= set(config._TOP_KEYS) - BRANCHES
    told = [row[0] for row in KEYS if not row[0].startswith("accounts.")]
    assert sorted(told) == sorted(wanted)


def test_every_key_of_an_account_has_a_row():
    source = (ROOT / "mcsync" / "config" / "accounts.py").read_text(encoding="utf-8")
    read = set(re.findall(r"section\.(?:secret|values\.get|items)\(\"(\w+)\"\)", source))
    pairs = re.findall(r"_hook\(section, \"(\w+)\", \"(\w+)\"\)", source)
    read |= {name for pair in pairs for name in pair}
    read |= set(re.findall(r"read_address\(section, \"(\w+)\"\)", source))
    assert {"apiKey", "apiUrl", "webhookUrl", "signingSecrets"} <= read
    told = {row[0].split(".")[2] for row in KEYS if row[0].startswith("accounts.")}
    assert sorted(read - told - {"batchWebhooks"}) == []


@pytest.mark.parametrize("row", [r for r in KEYS if "`" in r[2]], ids=lambda row: row[0])
def test_a_default_is_what_holds_without_the_key(row: list[str], tmp_path: Path):
    path, (default,) = row[0], codes(row[2])
    value = KEY if default == "KEY" else json.loads(default)
    blank = place("lists.ID.subscriptionGroup", 111)
    if path.startswith("accounts."):
        blank["accounts"] = {KEY: {}}
    assert load(tmp_path, place(path, value)) == load(tmp_path, blank)
    assert value is None or isinstance(value, RIGHT[row[1]])


@pytest.mark.parametrize("row", [r for r in KEYS if r[0] not in COPIES], ids=lambda row: row[0])
def test_a_value_of_another_type_is_a_problem(row: list[str], tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, place(row[0], WRONG[row[1]]))
    (found,) = [where for where, _ in caught.value.problems]
    assert found.split(".")[-1] == row[0].split(".")[-1]


@pytest.mark.parametrize("row", [r for r in KEYS if r[1] == "choice"], ids=lambda row: row[0])
def test_every_choice_is_told(row: list[str], tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, place(row[0], "other"))
    ((_, text),) = caught.value.problems
    known = text.removeprefix("expected ").partition(", got")[0].split(" or ")
    assert sorted(known) == sorted(json.loads(word) for word in set(codes(row[3])) if '"' in word)


def test_the_whole_config_of_the_page_is_one(tmp_path: Path):
    (blob,) = re.findall(r"```json\n(.*?)```", read_topic("config"), re.DOTALL)
    assert load(tmp_path, json.loads(blob)).audiences


def test_every_environment_variable_has_a_row():
    used = {name for text in SOURCES for name in re.findall(r"\bMCSYNC_[A-Z_]+[A-Z]\b", text)}
    asked = re.compile(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"")
    used |= {name for text in SOURCES for name in asked.findall(text)}
    used -= {"_MCSYNC_COMPLETE"}  # Click's, told under "Shell completion"
    used -= {"HOME", "APPDATA", "XDG_CONFIG_HOME"}  # "the user's config folder"
    assert "MCSYNC_CONFIG" in used
    told = {code.split("=")[0] for code in first_cells("config", "Environment variables")}
    assert sorted(used - told) == []


# --- what it quotes -------------------------------------------------------------------------------


def test_every_reason_has_a_row():
    assert sorted(first_cells("troubleshooting", "Reasons")) == sorted(Reason)


def test_messages_are_those_of_the_program():
    """With what differs from case to case between them left out."""
    said = " ".join(re.sub(r'"\s*\n\s*f?"', "", text) for text in SOURCES)
    told = [row[0] for row in rows("troubleshooting", "Messages")[2:]]
    pieces = [p for each in told for p in re.split(r"\d+\)?|\d+ minutes", each)]
    assert len(told) > 15
    assert [piece for piece in pieces if len(piece) > 9 and piece.strip() not in said] == []
