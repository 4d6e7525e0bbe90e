"""The config: found, read, checked as a whole, and never telling a key."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mcsync.config as config_module
from mcsync.config import (
    AccountConfig,
    CivicrmConfig,
    Config,
    DeletedContacts,
    Duplicates,
    JsonSlip,
    Reconfirm,
    Removal,
    Secret,
    find_config,
    load_config,
    parse_json,
    select_audiences,
)
from mcsync.config.json_mistakes import MOST_MENDED, mend_json
from mcsync.errors import ConfigError, ExitCode, UsageError
from mcsync.model import Side
from mcsync.safety import NO_LIMIT, Limit, Safety

HERE = Path(__file__).parent
BLOB = (HERE / "documents_blob.json.txt").read_text(encoding="utf-8")
EXAMPLE = HERE.parents[1] / "config.example.json"
KEY = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-us11"
ENVIRON = {"MCSYNC_CIVICRM_URL": "https://crm.example.org", "MCSYNC_CIVICRM_API_KEY": "civi-secret"}


def config_file(folder: Path, content: object) -> Path:
    """Write a config that others cannot read; a text as it stands, all else as JSON."""
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(0o600)
    return path


def load(folder: Path, content: object, environ: Mapping[str, str] = ENVIRON) -> Config:
    return load_config(config_file(folder, content), environ)


def refusal(folder: Path, content: object, environ: Mapping[str, str] = ENVIRON) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, content, environ)
    return caught.value


def as_shown(error: ConfigError) -> str:
    """Lay an error out as the operator sees it."""
    problems = [f"  {path}: {text}" for path, text in error.problems]
    return "\n".join([f"error: {error.message}", *problems, "", f"hint: {error.hint}"])


SITE = {"url": "https://crm.example.org", "apiKey": "key"}


def basic(**more: object) -> dict[str, object]:
    """Return the smallest config, with more keys in its only list."""
    return {"lists": {"aaaaaaaaaa": {"subscriptionGroup": "111", "apiKey": KEY, **more}}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the current one, so that messages name the file shortly."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- the documents' blob ---------------------------------------------------------------------


def mend_as_told(text: str, hint: str) -> str:
    """Do to the text exactly what a hint says, and nothing else."""
    lines = text.splitlines()
    if match := re.fullmatch(r"remove the (quote|comma) at line (\d+), column (\d+)", hint):
        mark, line, column = match[1], int(match[2]) - 1, int(match[3]) - 1
        assert lines[line][column] == {"quote": '"', "comma": ","}[mark]
        lines[line] = lines[line][:column] + lines[line][column + 1 :]
    else:
        match = re.fullmatch(r"put a quote before the comma at the end of line (\d+)", hint)
        assert match, hint
        line = int(match[1]) - 1
        assert lines[line].endswith(",")
        lines[line] = lines[line][:-1] + '",'
    return "\n".join(lines)


BLOB_SLIPS = [
    (
        "config.json, line 11, column 13: an extra quote at the end of a string",
        "remove the quote at line 11, column 13",
    ),
    (
        'config.json, line 11, column 24: a comma before the closing "}"',
        "remove the comma at line 11, column 24",
    ),
    (
        "config.json, line 49, column 23: the string that starts here has no closing quote",
        "put a quote before the comma at the end of line 49",
    ),
]


def mended_blob(folder: Path) -> str:
    text = BLOB
    for _ in BLOB_SLIPS:
        text = mend_as_told(text, str(refusal(folder, text).hint))
    return text


def test_the_documents_blob_is_mended_slip_by_slip(here: Path) -> None:
    text, found = BLOB, []
    for _ in BLOB_SLIPS:
        error = refusal(here, text)
        found.append((error.message, error.hint))
        text = mend_as_told(text, str(error.hint))
    assert found == BLOB_SLIPS
    load(here, text)


def test_the_documents_blob_is_mended_as_it_is_read() -> None:
    """Slips are told where they stand in the text as it was, also the second one of a line."""
    value, slips = mend_json(BLOB)
    assert [(each.line, each.column) for each in slips] == [(11, 13), (11, 25), (49, 23)]
    assert isinstance(value, dict)
    assert list(value) == ["lists", "accounts"]
    assert mend_json(json.dumps(value)) == (value, ())


def test_only_slips_beyond_doubt_are_mended() -> None:
    with pytest.raises(JsonSlip, match="line 2, column 4: a colon is missing"):
        mend_json('{"a": [1,],\n"b" 1}')
    with pytest.raises(JsonSlip, match="a comma before the closing"):
        mend_json(f"[{'[1,], ' * (MOST_MENDED + 1)} 1]")


def test_the_documents_blob_loads_once_mended(here: Path) -> None:
    config = load(here, mended_blob(here))
    (audience,) = config.audiences
    assert (audience.list_id, audience.name, audience.group_id) == (
        "aaaaaaaaaa",
        "Main audience",
        111,
    )
    assert config.accounts[audience.account_key].key == Secret(KEY)
    assert dict(audience.interests) == {"cccccccccc": 22222}
    assert dict(audience.trust_override) == {
        "subscription": Side.MAILCHIMP,
        "cccccccccc": Side.CIVICRM,
    }
    hook = "https://example.org/civicrm/mailchimpsync/{}webhook?secret=redacted"
    assert config.accounts[audience.account_key] == AccountConfig(
        key=Secret(KEY),
        api_url="https://us11.api.mailchimp.com/3.0",
        name="Example Org",
        webhook_url=Secret(hook.format("")),
        webhook_secrets=(Secret("redacted"),),
        batch_webhook_url=Secret(hook.format("batch-")),
        batch_webhook_secrets=(Secret("redacted"),),
    )
    assert audience.webhook_url == Secret(hook.format(""))
    assert config.civicrm == CivicrmConfig("https://crm.example.org", Secret("civi-secret"))
    assert config.path == here / "config.json"
    assert config.cache == here / "mcsync.db"
    assert config.warnings == ()


def test_the_example_loads() -> None:
    environ = {"MCSYNC_CIVICRM_API_KEY": "civi", "MAILCHIMP_API_KEY": KEY, "WEBHOOK_SECRET": "hush"}
    config = load_config(EXAMPLE, environ)
    audience = config.audiences[0]
    assert audience.name == "Main audience"
    assert audience.push_only_interests == {"cccccccccc"}
    assert audience.safety == Safety(additions=Limit(500, is_percent=False))
    account = config.accounts[KEY]
    assert account.api_url == "https://us11.api.mailchimp.com/3.0"
    assert account.webhook_secrets == account.batch_webhook_secrets == (Secret("hush"),)
    assert config.warnings == (), "the example holds no literal key"


def test_the_example_says_the_defaults() -> None:
    environ = {"MCSYNC_CIVICRM_API_KEY": "civi", "MAILCHIMP_API_KEY": KEY, "WEBHOOK_SECRET": "hush"}
    with_defaults = load_config(EXAMPLE, environ).audiences[0]
    keys = ("duplicates", "reconfirm", "removal", "deleted_contacts", "push_email_changes")
    for key in (*keys, "confirm_new", "contact_source"):
        field = type(with_defaults).__dataclass_fields__[key]
        assert getattr(with_defaults, key) == field.default


@pytest.mark.parametrize("text", ["2026-11-26 10:00:00+01:00", "2026-11-26T09:00:00Z"])
def test_when_mcsync_took_over_is_a_moment(here: Path, text: str) -> None:
    blob = {**json.loads(EXAMPLE.read_text()), "environmentFile": None}
    blob["lists"]["aaaaaaaaaa"]["movedAt"] = text
    environ = {"MCSYNC_CIVICRM_API_KEY": "civi", "MAILCHIMP_API_KEY": KEY, "WEBHOOK_SECRET": "hush"}
    config = load_config(config_file(here, blob), environ)
    assert config.audiences[0].moved_at == datetime(2026, 11, 26, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-26", "2026-11-26T09:00:00", "yesterday", "0001-01-01T00:00:00+09:00"]
)
def test_a_moment_without_a_zone_is_none(here: Path, text: str) -> None:
    blob = {**json.loads(EXAMPLE.read_text()), "defaults": {"movedAt": text}}
    with pytest.raises(ConfigError) as caught:
        load_config(config_file(here, blob), {})
    problems = dict(caught.value.problems)
    assert "expected a time with its zone" in problems["defaults.movedAt"]


# --- typing slips ----------------------------------------------------------------------------

SLIPS = {
    "empty": ("", 1, 1, "the file is empty"),
    "trailing comma in an array": ('{"a": [1,\n2,\n]}', 2, 2, 'before the closing "]"'),
    "second comma": ('{"a": 1,, "b": 2}', 1, 9, "a second comma"),
    "comma first": ('{, "a": 1}', 1, 2, "a key is missing"),
    "missing comma": ('{"a": 1\n"b": 2}', 1, 8, "a comma is missing"),
    "missing comma after a text": ('{"a": "x"\n"b": 2}', 1, 10, "a comma is missing"),
    "texts side by side": ('["a" ","]', 1, 5, "a comma is missing"),
    "adjacent texts": ('["a""b"]', 1, 5, "a comma is missing"),
    "semicolon": ('{"a": 1; "b": 2}', 1, 8, '";" between two items'),
    "missing colon": ('{"a" 1}', 1, 5, "a colon is missing"),
    "equals": ('{"a" = 1}', 1, 6, '"=" between key and value'),
    "missing value": ('{"a": }', 1, 7, "a value is missing"),
    "key without quotes": ("{a: 1}", 1, 2, "a key without double quotes"),
    "text without quotes": ('{"a": lowest}', 1, 7, "a text without double quotes"),
    "single quotes": ("{'a': 1}", 1, 2, "single quotes"),
    "single quotes around a value": ("{\"a\": 'x'}", 1, 7, "single quotes"),
    "typographic quotes": ('{"a": “x”}', 1, 7, "typographic quotes"),
    "line comment": ('{"a": 1, // why\n"b": 2}', 1, 10, "JSON has no comments"),
    "block comment": ('{/* why */ "a": 1}', 1, 2, "JSON has no comments"),
    "hash comment": ('# why\n{"a": 1}', 1, 1, "JSON has no comments"),
    "Python's True": ('{"a": True}', 1, 7, "a word that JSON does not have"),
    "None": ('{"a": None}', 1, 7, "a word that JSON does not have"),
    "NaN": ('{"a": NaN}', 1, 7, "a word that JSON does not have"),
    "Infinity": ('{"a": Infinity}', 1, 7, "a text without double quotes"),
    "leading zero": ('{"a": 0123}', 1, 7, "a number that JSON does not allow"),
    "number too long": ('{"a": ' + "9" * 5000 + "}", 1, 7, "a number that JSON does not allow"),
    "list id without quotes": ('{"a": 12ab}', 1, 7, "a number that JSON does not allow"),
    "variable without quotes": ('{"a": ${KEY}}', 1, 7, "a variable without double quotes"),
    "backslash": ('{"a": "C:\\temp\\x"}', 1, 15, "a backslash that JSON does not allow"),
    "tab in a text": ('{"a": "x\ty"}', 1, 9, "a control character inside a string"),
    "unterminated value": ('{\n"a": "x,\n"b": 2}', 2, 6, "no closing quote"),
    "unterminated value, same line": ('{"a": "x, "b": 2}', 1, 7, "no closing quote"),
    "unterminated at the end": ('{"a": "x', 1, 7, "no closing quote"),
    "unterminated key": ('{"a: "x"}', 1, 2, "no closing quote"),
    "unterminated key, then a number": ('{"a: 1,\n"b": 2}', 1, 2, "no closing quote"),
    "doubled quote at the start": ('{""a": 1}', 1, 2, "an extra quote at the start"),
    "doubled quote after a value": ('{"a": "x"",\n"b": 1}', 1, 10, "an extra quote at the end"),
    "brace never closed": ('{"a": {"b": 1}', 1, 1, 'this "{" is never closed'),
    "wrong bracket": ('{"a": [1}', 1, 9, '"}" where "]" is expected'),
    "brace too many": ('{"a": 1}}', 1, 9, "the JSON ended before this"),
    "list twice": ('{"a": 1,\n "b": 2,\n "a": 3}', 3, 2, '"a" appears twice in one object'),
    "too deep": ("[" * 200 + "]" * 200, 1, 66, "more than 64 levels"),
    "far too deep": ("[" * 100_000, 1, 66, "more than 64 levels"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_slip_is_found_where_it_is(name: str) -> None:
    text, line, column, what = SLIPS[name]
    with pytest.raises(JsonSlip) as caught:
        parse_json(text)
    assert what in caught.value.what
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.mend
    assert "{" not in caught.value.mend or '"' in caught.value.mend, "no placeholder is left"


MENDS = {
    "value before a comma": (
        '{"a": "x,\n"b": 2}',
        "put a quote before the comma at the end of line 1",
    ),
    "value at a line's end": ('{"a": "x\n}', "put a quote at the end of line 1"),
    "value before a bracket": ('{"a": "x}', "put a quote in line 1, before the closing bracket"),
    "value before a text": (
        '{"a": "x, "b": 2}',
        "put a quote before the comma that follows the text at line 1, column 7",
    ),
    "key before a number": ('{"a: 1,\n"b": 2}', "put a quote before the colon in line 1"),
    "key before a text": (
        '{"a: "x"}',
        "put a quote before the colon that follows the text at line 1, column 2",
    ),
    "missing comma": ("[1\n2]", "put a comma at line 1, column 3"),
    "missing colon": ('{"a" 1}', "put a colon at line 1, column 5"),
    "single quotes": (
        "['x']",
        'put double quotes (") in place of those around the text at line 1, column 2',
    ),
    "True": ("[True]", "write true at line 1, column 2"),
    "variable": (
        "[${KEY}]",
        'put double quotes around the variable at line 1, column 2: "${NAME}"',
    ),
    "never closed": ("[1", 'the file ends before its "]"; put one where it belongs'),
    "empty": (" ", 'delete it, then run "mcsync init"'),
}


@pytest.mark.parametrize("name", MENDS)
def test_slip_is_told_with_how_to_mend_it(name: str) -> None:
    text, mend = MENDS[name]
    with pytest.raises(JsonSlip) as caught:
        parse_json(text)
    assert caught.value.mend == mend


VALID = {
    "bare": "{}",
    "white space": ' \r\n\t{ "a" : [ ] }\n',
    "escapes": '{"a": "\\u00e9\\/\\\\\\" \\n"}',
    "numbers": '[0, -1, 1.5e3, 12E-2, -0.0, "", null, true, false]',
    "what looks like a comment": '{"a": "https://x/#y /* z */"}',
    "same key in two objects": '[{"a": 1}, {"a": 2}]',
    "deep enough": "[" * 64 + "]" * 64,
}


@pytest.mark.parametrize("name", VALID)
def test_valid_json_is_read(name: str) -> None:
    assert parse_json(VALID[name]) == json.loads(VALID[name])


def slip_in(text: str) -> JsonSlip | None:
    """Return the slip in a text; None if it is JSON."""
    try:
        value = parse_json(text)
    except JsonSlip as slip:
        return slip
    assert value == json.loads(text)
    return None


@given(st.text(alphabet='{}[]:,"\\ \n/ab$1.-é', max_size=30))
def test_any_text_is_json_or_a_slip(text: str) -> None:
    if slip := slip_in(text):
        lines = text.split("\n")
        assert 1 <= slip.line <= len(lines)
        assert 1 <= slip.column <= len(lines[slip.line - 1]) + 1
        assert slip.what != "this is not JSON", "every slip has words of its own"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(JSON_VALUES, st.data())
def test_a_cut_or_doubled_character_is_found(value: object, data: st.DataObject) -> None:
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text) - 1))
    for mistyped in (text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]):
        slip = slip_in(mistyped)
        assert slip is None or slip.what != "this is not JSON"


@pytest.mark.parametrize("key", [KEY, "proxykey"])
def test_an_account_twice_does_not_show_its_key(key: str, here: Path) -> None:
    error = refusal(here, f'{{"lists": {{}},\n"accounts": {{"{key}": {{}},\n"{key}": {{}}}}}}')
    assert as_shown(error) == (
        "error: config.json, line 3, column 1: an account appears twice in one object, "
        "first in line 2\n\nhint: keep one of them"
    )


# --- files -----------------------------------------------------------------------------------


def test_missing_file(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"^config\.json: no such file$") as caught:
        load_config(here / "config.json", ENVIRON)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert caught.value.hint == 'write one with "mcsync init", or name one with --config'


def test_directory(here: Path) -> None:
    (here / "etc").mkdir()
    with pytest.raises(ConfigError, match=r"^etc is a directory$"):
        load_config(here / "etc", ENVIRON)


def test_unreadable_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = config_file(here, basic())
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ConfigError, match=r"^cannot read config\.json: Permission denied$"):
        load_config(path, ENVIRON)


def test_a_file_elsewhere_is_named_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "config.json", ENVIRON)
    assert caught.value.message == f"{tmp_path}/config.json: no such file"


def test_not_utf8(here: Path) -> None:
    (here / "config.json").write_bytes(b'{"lists":\n "caf\xe9"}')
    with pytest.raises(ConfigError, match=r"^config\.json, line 2, column 6: not UTF-8$") as caught:
        load_config(here / "config.json", ENVIRON)
    assert caught.value.hint == "save the file in UTF-8"


def test_byte_order_mark_is_no_slip(here: Path) -> None:
    assert load(here, "\ufeff" + json.dumps(basic())).audiences


@pytest.mark.parametrize("value", [[], '"x"', 1, None], ids=repr)
def test_top_level_must_be_an_object(here: Path, value: object) -> None:
    assert refusal(here, value).message == "config.json is not a JSON object"


def test_the_file_is_left_as_it_was(here: Path) -> None:
    path = config_file(here, basic())
    before = (path.read_bytes(), path.stat().st_mtime_ns, os.listdir(here))
    load_config(path, ENVIRON)
    assert (path.read_bytes(), path.stat().st_mtime_ns, os.listdir(here)) == before


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Write a config in every place where one is looked for."""
    monkeypatch.setattr(sys, "platform", "linux")
    places = {
        "explicit": tmp_path / "named.json",
        "variable": tmp_path / "variable.json",
        "current folder": tmp_path / "cwd" / "config.json",
        "user": tmp_path / "home" / ".config" / "mcsync" / "config.json",
        "system": tmp_path / "etc" / "config.json",
    }
    for place in places.values():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("{}")
    monkeypatch.setattr(config_module, "SYSTEM_CONFIG", places["system"])
    return places


def test_places_are_looked_at_in_order(places: dict[str, Path]) -> None:
    cwd = places["current folder"].parent
    home = {"HOME": str(places["user"].parents[2])}
    named = {**home, "MCSYNC_CONFIG": str(places["variable"])}
    assert find_config(places["explicit"], named, cwd) == places["explicit"]
    assert find_config(None, named, cwd) == places["variable"]
    assert find_config(None, {**home, "MCSYNC_CONFIG": ""}, cwd) == places["current folder"]
    places["current folder"].unlink()
    places["current folder"].mkdir()  # a directory of that name is no config
    assert find_config(None, home, cwd) == places["user"]
    places["user"].unlink()
    assert find_config(None, home, cwd) == places["system"]
    places["system"].unlink()
    with pytest.raises(ConfigError) as caught:
        find_config(None, home, cwd)
    looked = [places[name] for name in ("current folder", "user", "system")]
    assert caught.value.message == f"no config found; looked for {', '.join(map(str, looked))}"
    assert caught.value.hint == (
        'write one with "mcsync init", or name one with --config or $MCSYNC_CONFIG'
    )


def test_relative_names_start_at_the_current_folder(tmp_path: Path) -> None:
    assert find_config(Path("x.json"), {}, tmp_path) == tmp_path / "x.json"
    assert find_config(None, {"MCSYNC_CONFIG": "y.json"}, tmp_path) == tmp_path / "y.json"


USER_FOLDERS = {
    "home": ("linux", {"HOME": "/h"}, "/h/.config/mcsync"),
    "XDG": ("linux", {"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/mcsync"),
    "relative XDG is ignored": (
        "linux",
        {"HOME": "/h", "XDG_CONFIG_HOME": "x"},
        "/h/.config/mcsync",
    ),
    "macOS": ("darwin", {"HOME": "/h"}, "/h/Library/Application Support/mcsync"),
    "Windows": ("win32", {"HOME": "/h", "APPDATA": "/a"}, "/a/mcsync"),
}


@pytest.mark.parametrize("name", USER_FOLDERS)
def test_user_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, environ, expected = USER_FOLDERS[name]
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(config_module, "SYSTEM_CONFIG", tmp_path / "none.json")
    with pytest.raises(ConfigError, match=re.escape(f" {expected}/config.json,")):
        find_config(None, environ, tmp_path)


# --- all problems at once --------------------------------------------------------------------


def test_problems_come_at_once_as_the_operator_sees_them(here: Path) -> None:
    lists = {
        "aaaaaaaaaa": {"subscriptionGroup": "newsletter", "apiKey": KEY, "intrests": {}},
        "dddddddddd": {"subscriptionGroup": 112},
    }
    assert as_shown(refusal(here, {"lists": lists})) == (
        "error: config.json has 3 problems\n"
        '  lists.aaaaaaaaaa.subscriptionGroup: expected a group id, got "newsletter"\n'
        '  lists.aaaaaaaaaa.intrests: unknown key; did you mean "interests"?\n'
        "  lists.dddddddddd.apiKey: missing\n"
        "\n"
        'hint: compare with config.example.json, then run "mcsync check"'
    )


def test_one_problem_is_one_problem(here: Path) -> None:
    assert refusal(here, {}).message == "config.json has 1 problem"


LIST = "lists.aaaaaaaaaa"
NO_CENTRE = 'the key does not end in a data centre, such as "-us11", and there is no apiUrl'
IDS = {"interests": {"cccccccccc": 5, "dddddddddd": 6}}

# name: (config, the problems)
PROBLEMS: dict[str, tuple[object, list[str]]] = {
    "no lists": ({}, ["lists: missing"]),
    "lists null": ({"lists": None}, ["lists: missing"]),
    "lists empty": ({"lists": {}}, ["lists: empty; add at least one audience"]),
    "lists empty, as PHP writes it": (
        {"lists": []},
        ["lists: empty; add at least one audience"],
    ),
    "lists no object": ({"lists": "x"}, ["lists: expected an object, got a single value"]),
    "list no object": (
        {"lists": {"aaaaaaaaaa": [1]}},
        [f"{LIST}: expected an object, got an array"],
    ),
    "list id": (
        {"lists": {"a/b": {"subscriptionGroup": 1, "apiKey": KEY}}},
        ['lists."a/b": expected a Mailchimp list id'],
    ),
    "group missing": ({"lists": {"a": {"apiKey": KEY}}}, ["lists.a.subscriptionGroup: missing"]),
    "group zero": (
        basic(subscriptionGroup=0),
        [f"{LIST}.subscriptionGroup: expected a group id, got 0"],
    ),
    "group true": (
        basic(subscriptionGroup=True),
        [f"{LIST}.subscriptionGroup: expected a group id, got true"],
    ),
    "group too large": (
        basic(subscriptionGroup=2**32),
        [f"{LIST}.subscriptionGroup: expected a group id, got 4294967296"],
    ),
    "group with other digits": (
        basic(subscriptionGroup="١١"),
        [f'{LIST}.subscriptionGroup: expected a group id, got "١١"'],
    ),
    "group that cannot be printed": (
        basic(subscriptionGroup="\ud800"),
        [f'{LIST}.subscriptionGroup: expected a group id, got "\\ud800"'],
    ),
    "group that looks like a key": (
        basic(subscriptionGroup="0123456789abcdef-us2"),
        [f'{LIST}.subscriptionGroup: expected a group id, got "***"'],
    ),
    "group by a variable": (
        basic(subscriptionGroup="${WHO}"),
        [f'{LIST}.subscriptionGroup: expected a group id, got "***"'],
    ),
    "group an object": (
        basic(subscriptionGroup={"id": 1}),
        [f"{LIST}.subscriptionGroup: expected a group id, got an object"],
    ),
    "key empty": (basic(apiKey=""), [f"{LIST}.apiKey: missing"]),
    "key no text": (
        basic(apiKey=123456),
        [f"{LIST}.apiKey: expected a string of ASCII letters, digits and signs, without spaces"],
    ),
    "key with a line end": (
        basic(apiKey="bbbb\n-us11"),
        [f"{LIST}.apiKey: expected a string of ASCII letters, digits and signs, without spaces"],
    ),
    "key without data centre": (
        basic(apiKey="bbbb"),
        [f"{LIST}.apiKey: {NO_CENTRE}"],
    ),
    "key with a data centre that is another host": (
        basic(apiKey="bbbb-evil.example/us1"),
        [f"{LIST}.apiKey: {NO_CENTRE}"],
    ),
    "account without data centre": (
        {**basic(apiKey="main"), "accounts": {"main": {"apiKey": "zzzz"}}},
        [f"accounts.main: {NO_CENTRE}"],
    ),
    "one account twice": (
        {
            **basic(),
            "accounts": {KEY: {}, "${SAME}": {}},
        },
        ["accounts.${SAME}: is the same account as accounts.***-us11"],
    ),
    "api url": (
        {**basic(), "accounts": {KEY: {"apiUrl": "ftp://x/3.0"}}},
        ["accounts.***-us11.apiUrl: expected an address that starts with https://"],
    ),
    "api url of no host": (
        {**basic(), "accounts": {KEY: {"apiUrl": "https:///3.0"}}},
        ["accounts.***-us11.apiUrl: expected an address that starts with https://"],
    ),
    "api url of a strange port": (
        {**basic(), "accounts": {KEY: {"apiUrl": "https://x:99999/3.0"}}},
        ["accounts.***-us11.apiUrl: expected an address that starts with https://"],
    ),
    "two accounts look alike": (
        {
            **basic(),
            "accounts": {KEY: {}, "cccc-us11": {"apiUrl": 5}},
        },
        ["accounts.***-us11#2.apiUrl: expected a string without control characters"],
    ),
    "one group for two subscriptions": (
        {
            "lists": {
                "a": {"subscriptionGroup": "7", "apiKey": KEY},
                "b": {"subscriptionGroup": 7, "apiKey": KEY},
            }
        },
        ["lists.b.subscriptionGroup: group 7 is already the subscription group of lists.a"],
    ),
    "one interest mapped twice": (
        {
            "lists": {
                "a": {"subscriptionGroup": 1, "apiKey": KEY, "interests": {"cccccccccc": 5}},
                "b": {"subscriptionGroup": 2, "apiKey": KEY, "interests": {"cccccccccc": 6}},
            }
        },
        ["lists.b.interests.cccccccccc: this interest is already mapped in lists.a"],
    ),
    "one group for subscription and interest": (
        basic(interests={"cccccccccc": 111}),
        [f"{LIST}.interests.cccccccccc: group 111 is already the subscription group of this list"],
    ),
    "one group for two interests": (
        basic(interests={"cccccccccc": 5, "dddddddddd": "5"}),
        [f"{LIST}.interests.dddddddddd: group 5 is already mapped to interest cccccccccc"],
    ),
    "interest group": (
        basic(interests={"cccccccccc": ""}),
        [f'{LIST}.interests.cccccccccc: expected a group id, got ""'],
    ),
    "interest id": (
        basic(interests={"a b": 5}),
        [f'{LIST}.interests."a b": expected a Mailchimp interest id'],
    ),
    "interests no object": (
        basic(interests=[5]),
        [f"{LIST}.interests: expected an object, got an array"],
    ),
    "trust in an unmapped interest": (
        basic(**IDS, trustOverride={"cccccccccd": "CiviCRM"}),
        [
            f"{LIST}.trustOverride.cccccccccd: this interest is not mapped in this list; "
            'did you mean "cccccccccc"?'
        ],
    ),
    "trust in neither": (
        basic(trustOverride={"subscription": "both"}),
        [f'{LIST}.trustOverride.subscription: expected Mailchimp or CiviCRM, got "both"'],
    ),
    "trust in nobody": (
        basic(trustOverride={"subscription": ""}),
        [f'{LIST}.trustOverride.subscription: expected Mailchimp or CiviCRM, got ""'],
    ),
    "push-only interest unmapped": (
        basic(**IDS, pushOnlyInterests=["eeee"]),
        [f'{LIST}.pushOnlyInterests: interest "eeee" is not mapped'],
    ),
    "push-only interests no array": (
        basic(**IDS, pushOnlyInterests="cccccccccc"),
        [f"{LIST}.pushOnlyInterests: expected an array"],
    ),
    "push-only interest no id": (
        basic(**IDS, pushOnlyInterests=[True]),
        [f"{LIST}.pushOnlyInterests: expected interest ids, got true"],
    ),
    "default push-only interest unmapped": (
        {**basic(**IDS), "defaults": {"pushOnlyInterests": ["eeee"]}},
        ['defaults.pushOnlyInterests: interest "eeee" is not mapped'],
    ),
    "choice": (
        basic(duplicates="first"),
        [f'{LIST}.duplicates: expected lowest-id or skip, got "first"'],
    ),
    "choice of the wrong kind": (
        basic(deletedContacts=["hold"]),
        [f"{LIST}.deletedContacts: expected recreate or unsubscribe or hold, got an array"],
    ),
    "default choice": (
        {**basic(), "defaults": {"removal": "purge"}},
        ['defaults.removal: expected unsubscribe or archive, got "purge"'],
    ),
    "flag": (
        basic(pushEmailChanges="yes"),
        [f'{LIST}.pushEmailChanges: expected true or false, got "yes"'],
    ),
    "contact source too long": (
        basic(contactSource="x" * 256),
        [f"{LIST}.contactSource: longer than 255 characters, CiviCRM's limit"],
    ),
    "limit": (
        {**basic(), "safety": {"maxRemovals": "ten"}},
        [
            'safety.maxRemovals: expected a number, a percentage such as "10%", '
            'or null for no limit, got "ten"'
        ],
    ),
    "limit below zero": (
        basic(safety={"maxRemovals": -1}),
        [
            f'{LIST}.safety.maxRemovals: expected a number, a percentage such as "10%", '
            "or null for no limit, got -1"
        ],
    ),
    "unknown limit": (
        {**basic(), "safety": {"maxRemoval": 5}},
        ['safety.maxRemoval: unknown key; did you mean "maxRemovals"?'],
    ),
    "unknown at the top": (
        {**basic(), "Account": {}},
        ['Account: unknown key; did you mean "accounts"?'],
    ),
    "unknown and like nothing": ({**basic(), "zzz": {}}, ["zzz: unknown key"]),
    "unknown in civicrm": (
        {**basic(), "civicrm": {"api_key": "x"}},
        ['civicrm.api_key: unknown key; did you mean "apiKey"?'],
    ),
    "unknown in defaults": (
        {**basic(), "defaults": {"subscriptionGroup": 5}},
        ["defaults.subscriptionGroup: unknown key"],
    ),
    "unknown in data": (
        {**basic(), "data": {"everyhours": 1}},
        ['data.everyhours: unknown key; did you mean "everyHours"?'],
    ),
    "civicrm no object": (
        {**basic(), "civicrm": "https://crm.example.org"},
        ["civicrm: expected an object, got a single value"],
    ),
    "civicrm url": (
        {**basic(), "civicrm": {"url": "crm.example.org"}},
        ["civicrm.url: expected an address that starts with https://"],
    ),
    "civicrm url with a password": (
        {**basic(), "civicrm": {"url": "https://me:pass@crm.example.org"}},
        ["civicrm.url: an address may not contain a user or password"],
    ),
    "cache": (
        {**basic(), "cache": "~/mcsync.db"},
        ['cache: "~" has no meaning here; use "${HOME}"'],
    ),
    "cache no text": (
        {**basic(), "cache": 5},
        ["cache: expected a string without control characters"],
    ),
    "cache with a null byte": (
        {**basic(), "cache": "a\0b"},
        ["cache: expected a string without control characters"],
    ),
    "hours": (
        {**basic(), "fullCompareHours": 1.5},
        ["fullCompareHours: expected a whole number of hours, 1 or more, got 1.5"],
    ),
    "hours zero": (
        {**basic(), "fullCompareHours": 0},
        ["fullCompareHours: expected a whole number of hours, 1 or more, got 0"],
    ),
    "days half": (
        {**basic(), "historyDays": 1.5},
        ["historyDays: expected a whole number of days, 1 or more, got 1.5"],
    ),
    "days zero": (
        {**basic(), "historyDays": 0},
        ["historyDays: expected a whole number of days, 1 or more, got 0"],
    ),
    "full fetch never": (
        {**basic(), "fullFetchDays": 0},
        ["fullFetchDays: expected a number of days, more than 0, got 0"],
    ),
    "full fetch no number": (
        {**basic(), "fullFetchDays": "weekly"},
        ['fullFetchDays: expected a number of days, more than 0, got "weekly"'],
    ),
    "half a copy": (
        {**basic(), "backups": 0.5},
        ["backups: expected a whole number of copies, 0 or more, got 0.5"],
    ),
    "fewer copies than none": (
        {**basic(), "backups": -1},
        ["backups: expected a whole number of copies, 0 or more, got -1"],
    ),
    "no connection": (
        {**basic(), "civicrm": {**SITE, "connections": 0}},
        ["civicrm.connections: expected a whole number from 1 to 8, got 0"],
    ),
    "too many connections": (
        {**basic(), "civicrm": {**SITE, "connections": 9}},
        ["civicrm.connections: expected a whole number from 1 to 8, got 9"],
    ),
    "half a connection": (
        {**basic(), "civicrm": {**SITE, "connections": 1.5}},
        ["civicrm.connections: expected a whole number from 1 to 8, got 1.5"],
    ),
    "data hours": (
        {**basic(), "data": {"everyHours": "daily"}},
        ['data.everyHours: expected a number of hours or null, got "daily"'],
    ),
    "field of the names": (
        {**basic(), "data": {"fields": {"fname": "first_name"}}},
        ["data.fields.fname: names and addresses have their own rules; remove it"],
    ),
    "field twice": (
        {**basic(), "data": {"fields": {"JOB": "job_title", "job": "job_title"}}},
        ["data.fields.job: expected a merge tag that is not used twice"],
    ),
    "CiviCRM contact field": (
        {**basic(), "data": {"fields": {"JOB": "job title"}}},
        ['data.fields.JOB: expected a CiviCRM contact field, such as "job_title"'],
    ),
    "plugin": (
        {**basic(), "plugins": ["my-plugin"]},
        ['plugins: expected Python modules such as "package.module", got "my-plugin"'],
    ),
    "signing secret": (
        {**basic(), "accounts": {KEY: {"signingSecrets": "hush"}}},
        ["accounts.***-us11.signingSecrets: expected an array"],
    ),
    "webhook": (
        {**basic(), "accounts": {KEY: {"webhookUrl": "not a url", "batchWebhook": "x.org/hush"}}},
        [
            "accounts.***-us11.webhookUrl: expected an address such as https://…/webhook?secret=…",
            "accounts.***-us11.batchWebhook: expected an address"
            " such as https://…/batch-webhook?secret=…",
        ],
    ),
    "missing variable": (
        {**basic(apiKey="${NO_KEY}"), "accounts": {"${NO_KEY}": {"apiKey": "${NO_KEY}"}}},
        [
            "accounts.${NO_KEY}: ${NO_KEY} is not set in the environment",
            f"{LIST}.apiKey: ${{NO_KEY}} is not set in the environment",
        ],
    ),
    "missing variable in an account's key": (
        {**basic(apiKey="main"), "accounts": {"main": {"apiKey": "${NO_KEY}"}}},
        ["accounts.main.apiKey: ${NO_KEY} is not set in the environment"],
    ),
    "missing variable in an ignored place": (
        {**basic(), "accounts": {KEY: {"email": ["x", "${NO_MAIL}"]}}},
        ["accounts.***-us11.email[1]: ${NO_MAIL} is not set in the environment"],
    ),
    "two missing variables in one text": (
        basic(contactSource="${NO_A} ${NO_B} ${NO_A}"),
        [
            f"{LIST}.contactSource: ${{NO_A}} is not set in the environment",
            f"{LIST}.contactSource: ${{NO_B}} is not set in the environment",
        ],
    ),
    "variable of no name": (
        basic(contactSource="${NO-NAME}"),
        [
            f'{LIST}.contactSource: expected a variable such as "${{NAME}}",'
            ' with letters, digits and "_"'
        ],
    ),
    "a long value is cut": (
        basic(subscriptionGroup="x " * 50),
        [f'{LIST}.subscriptionGroup: expected a group id, got "{("x " * 50)[:35]}…'],
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problem_is_told(name: str, here: Path) -> None:
    content, expected = PROBLEMS[name]
    error = refusal(here, content, {**ENVIRON, "SAME": KEY, "WHO": "somebody"})
    assert [f"{path}: {text}" for path, text in error.problems] == expected


def test_missing_civicrm_names_both_ways_to_give_it(here: Path) -> None:
    error = refusal(here, basic(), {})
    assert error.problems == (
        ("civicrm.url", "missing; set it here or as $MCSYNC_CIVICRM_URL"),
        ("civicrm.apiKey", "missing; set it here or as $MCSYNC_CIVICRM_API_KEY"),
    )


def test_a_wrong_variable_is_named(here: Path) -> None:
    error = refusal(here, basic(), {**ENVIRON, "MCSYNC_CIVICRM_URL": "crm"})
    assert error.problems == (
        ("$MCSYNC_CIVICRM_URL", "expected an address that starts with https://"),
    )


# --- what is read ----------------------------------------------------------------------------


def test_options_fall_back_to_defaults(here: Path) -> None:
    lists = {
        "a": {"subscriptionGroup": 1, "apiKey": KEY, "removal": "UNSUBSCRIBE"},
        "b": {"subscriptionGroup": 2, "apiKey": KEY, "pushEmailChanges": True, "duplicates": None},
    }
    defaults = {
        "duplicates": "skip",
        "reconfirm": "never",
        "removal": "archive",
        "deletedContacts": "hold",
        "pushEmailChanges": False,
        "contactSource": "newsletter form",
    }
    first, second = load(here, {"lists": lists, "defaults": defaults}).audiences
    assert (first.duplicates, first.reconfirm) == (Duplicates.SKIP, Reconfirm.NEVER)
    assert (first.removal, second.removal) == (Removal.UNSUBSCRIBE, Removal.ARCHIVE)
    assert first.deleted_contacts is DeletedContacts.HOLD
    assert (first.push_email_changes, second.push_email_changes) == (False, True)
    assert first.contact_source == "newsletter form"
    assert second.duplicates is Duplicates.SKIP, "null is as if absent"


def test_options_without_defaults(here: Path) -> None:
    (audience,) = load(here, basic()).audiences
    assert audience.duplicates is Duplicates.LOWEST_ID
    assert audience.reconfirm is Reconfirm.PENDING
    assert audience.removal is Removal.UNSUBSCRIBE
    assert audience.deleted_contacts is DeletedContacts.RECREATE
    assert audience.push_email_changes is True
    assert audience.contact_source == "mailchimpsync"
    assert audience.push_only_interests == frozenset()
    assert audience.name == "aaaaaaaaaa"


def test_name_fields_are_filled_up_key_by_key(here: Path) -> None:
    lists = {
        "a": {"subscriptionGroup": 1, "apiKey": KEY},
        "b": {"subscriptionGroup": 2, "apiKey": KEY, "nameFields": {"whole": "fullname"}},
    }
    defaults = {"nameFields": {"first": "VORNAME", "last": None}}
    first, second = load(here, {"lists": lists, "defaults": defaults}).audiences
    assert first.name_fields == {"first": "VORNAME", "last": "", "whole": "NAME"}
    assert second.name_fields == {"first": "VORNAME", "last": "", "whole": "FULLNAME"}
    (plain,) = load(here, basic()).audiences
    assert plain.name_fields == {"first": "FNAME", "last": "LNAME", "whole": "NAME"}


@pytest.mark.parametrize(
    ("given", "path", "text"),
    [
        ({"frist": "VORNAME"}, ".frist", 'unknown key; did you mean "first"?'),
        (
            {"first": "two words"},
            ".first",
            'expected a merge tag, such as "FNAME", got "two words"',
        ),
        ({"first": "EMAIL"}, ".first", 'expected a merge tag, such as "FNAME", got "EMAIL"'),
        ({"first": "LNAME"}, ".first", "LNAME is used twice; each name needs its own field"),
        ("VORNAME", "", "expected an object, got a single value"),
    ],
)
def test_what_is_wrong_with_name_fields(here: Path, given: object, path: str, text: str) -> None:
    lists = {"a": {"subscriptionGroup": 1, "apiKey": KEY, "nameFields": given}}
    error = refusal(here, {"lists": lists})
    assert error.problems == ((f"lists.a.nameFields{path}", text),)


def test_groups_as_tags(here: Path) -> None:
    lists = {"a": {"subscriptionGroup": 1, "apiKey": KEY}}
    tags = {"123": " Volunteers ", "124": None}
    config = load(here, {"lists": lists, "data": {"groupTags": tags}})
    assert config.data.group_tags == {123: "Volunteers"}


@pytest.mark.parametrize(
    ("key", "tag", "text"),
    [
        ("volunteers", "Volunteers", "expected a group id"),
        ("123", 7, "expected a string without control characters"),
        ("123", "x" * 101, "longer than 100 characters, the limit of a tag"),
        ("123", "civicrm: VIP", "tags that begin like this are CiviCRM's own; choose another"),
    ],
)
def test_what_is_wrong_with_groups_as_tags(here: Path, key: str, tag: object, text: str) -> None:
    lists = {"a": {"subscriptionGroup": 1, "apiKey": KEY}}
    error = refusal(here, {"lists": lists, "data": {"groupTags": {key: tag}}})
    assert error.problems == ((f"data.groupTags.{key}", text),)


def test_a_field_of_a_name_takes_nothing_else(here: Path) -> None:
    config = {
        "lists": {"a": {"subscriptionGroup": 1, "apiKey": KEY, "nameFields": {"first": "VORNAME"}}},
        "data": {"fields": {"VORNAME": "nick_name"}},
    }
    error = refusal(here, config)
    assert error.problems == (("data.fields.VORNAME", "nameFields uses it for a name; remove it"),)


def test_default_push_only_interests_act_where_they_are_mapped(here: Path) -> None:
    lists = {
        "a": {"subscriptionGroup": 1, "apiKey": KEY, "interests": {"cc": 5, "dd": 6}},
        "b": {"subscriptionGroup": 2, "apiKey": KEY},
        "c": {
            "subscriptionGroup": 3,
            "apiKey": KEY,
            "interests": {"12": 7},
            "pushOnlyInterests": [12],
        },
    }
    config = load(here, {"lists": lists, "defaults": {"pushOnlyInterests": ["cc"]}})
    assert [audience.push_only_interests for audience in config.audiences] == [
        {"cc"},
        frozenset(),
        {"12"},
    ]


LIMITS = {
    "percent": ("10%", Limit(10, True)),
    "percent with a point": ("2.5 %", Limit(2.5, True)),
    "number": (10, Limit(10, False)),
    "digits": ("25", Limit(25, False)),
    "none at all": (0, Limit(0, False)),
    "no limit": (None, NO_LIMIT),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limit(name: str, here: Path) -> None:
    value, expected = LIMITS[name]
    config = load(here, {**basic(), "safety": {"maxUnsubscribes": value}})
    assert config.audiences[0].safety.unsubscribes == expected


def test_safety_defaults_and_a_list_of_its_own(here: Path) -> None:
    content = {**basic(safety={"maxRemovals": None}), "safety": {"maxAdditions": 7}}
    config = load(here, content)
    ten, half, seven = Limit(10, True), Limit(50, True), Limit(7, False)
    assert config.audiences[0].safety == Safety(ten, NO_LIMIT, seven, half, ten)


def test_no_kind_of_change_is_without_a_limit_unless_null_says_so(here: Path) -> None:
    kinds = ("maxUnsubscribes", "maxRemovals", "maxAdditions", "maxNewContacts")
    of_list = {"maxAddressChanges": 3}
    content = {**basic(safety=of_list), "safety": dict.fromkeys((*kinds, "maxAddressChanges"))}
    config = load(here, content)
    assert config.audiences[0].safety == Safety(
        NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, Limit(3, False)
    )


def test_data_and_plugins(here: Path) -> None:
    fields = {"job": "job_title", "CITY": "address_primary.city"}
    data = {"sync": True, "everyHours": 0.5, "fields": fields}
    content = {**basic(), "data": data, "plugins": ["a.b"], "fullCompareHours": 12}
    config = load(here, content)
    assert (config.data.sync, config.data.every_hours) == (True, 0.5)
    assert dict(config.data.fields) == {"JOB": "job_title", "CITY": "address_primary.city"}
    assert config.data.plugins == ("a.b",)
    assert config.full_compare_hours == 12


def test_data_is_off_by_default(here: Path) -> None:
    config = load(here, basic())
    assert (config.data.sync, config.data.every_hours) == (False, None)
    assert config.full_compare_hours == 24


@pytest.mark.parametrize(("more", "days"), [({}, 365), ({"historyDays": 30}, 30)])
def test_how_long_the_history_is_kept(here: Path, more: dict[str, object], days: int) -> None:
    assert load(here, {**basic(), **more}).history_days == days


@pytest.mark.parametrize(("value", "days"), [(None, 7), (7, 7), (0.5, 0.5), (30, 30)])
def test_how_often_mailchimp_is_read_in_full(here: Path, value: object, days: float) -> None:
    assert load(here, {**basic(), "fullFetchDays": value}).full_fetch_days == days


@pytest.mark.parametrize(("value", "most"), [(None, 2), (2, 2), (0, 0), (14, 14)])
def test_how_many_copies_of_the_cache_are_kept(here: Path, value: object, most: int) -> None:
    assert load(here, {**basic(), "backups": value}).backups == most


@pytest.mark.parametrize(("value", "most"), [(None, 4), (1, 1), (4, 4), (8, 8)])
def test_how_many_connections_to_civicrm(here: Path, value: object, most: int) -> None:
    content = {**basic(), "civicrm": {**SITE, "connections": value}}
    assert load(here, content).civicrm.connections == most


CACHES = {
    "default": (None, "mcsync.db"),
    "beside": ("x/y.db", "x/y.db"),
    "above": ("../y.db", "../y.db"),
    "absolute": ("/var/lib/mcsync/y.db", "/var/lib/mcsync/y.db"),
    "by variable": ("${STATE}/y.db", "/state/y.db"),
}


@pytest.mark.parametrize("name", CACHES)
def test_cache_is_relative_to_the_config(name: str, here: Path) -> None:
    value, expected = CACHES[name]
    (here / "etc").mkdir()
    config_file(here / "etc", {**basic(), "cache": value})
    config = load_config(Path("etc/config.json"), {**ENVIRON, "STATE": "/state"})
    assert config.cache == Path(os.path.normpath(here / "etc" / expected))


CACHES_BY_NAME = {
    "config.json": "mcsync.db",
    "trustees.json": "trustees.db",
    "north.2026.json": "north.2026.db",
    "north.json": "north.db",
    "north.conf": "north.conf.cache",
    "north": "north.cache",
    ".json": ".json.cache",
}


@pytest.mark.parametrize("name", CACHES_BY_NAME)
def test_a_cache_left_out_is_named_after_the_config(name: str, here: Path) -> None:
    config_file(here, basic()).rename(here / name)
    config = load_config(Path(name), ENVIRON)
    assert config.cache == here / CACHES_BY_NAME[name]


def test_no_two_configs_of_a_folder_share_a_cache() -> None:
    assert len(set(CACHES_BY_NAME.values())) == len(CACHES_BY_NAME)


@pytest.mark.parametrize(("name", "other"), [("config", "mcsync"), ("mcsync", "config")])
def test_the_two_names_that_lead_to_one_cache_must_name_theirs(
    name: str, other: str, here: Path
) -> None:
    path = config_file(here, basic()).rename(here / f"{name}.json")
    assert load_config(path, ENVIRON).cache == here / "mcsync.db"
    (here / f"{other}.json").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        load_config(path, ENVIRON)
    words = f'missing; {other}.json is in the same folder, so both would use the cache "mcsync.db"'
    assert caught.value.problems == (("cache", words),)
    config_file(here, {**basic(), "cache": "mine.db"}).rename(path)
    assert load_config(path, ENVIRON).cache == here / "mine.db"


def test_variables_are_filled_in_everywhere(here: Path) -> None:
    content = {
        "lists": {"a": {"subscriptionGroup": "${GROUP}", "apiKey": "${KEY}"}},
        "accounts": {"${KEY}": {"apiUrl": "${HOST}/3.0/", "account_name": "The ${WHO} Club"}},
        "civicrm": {"url": "https://x.org/?civiwp=CiviCRM&q=civicrm", "apiKey": "c${KEY}"},
    }
    environ = {"GROUP": "9", "KEY": "plain", "HOST": "http://[::1]:8001", "WHO": "${KEY}"}
    config = load(here, content, environ)
    assert config.audiences[0].group_id == 9
    assert config.accounts[config.audiences[0].account_key].key.reveal() == "plain"
    assert config.accounts["plain"].api_url == "http://[::1]:8001/3.0"
    assert config.accounts["plain"].name == "The ${KEY} Club", "a variable's text is not expanded"
    assert config.civicrm.api_key.reveal() == "cplain"
    assert config.civicrm.url == "https://x.org/?civiwp=CiviCRM&q=civicrm"


def test_the_file_goes_before_the_environment(here: Path) -> None:
    environ = {**ENVIRON, "MCSYNC_CIVICRM_SITE_KEY": "site"}
    civicrm = {"url": "https://other.example.org/", "siteKey": None}
    config = load(here, {**basic(), "civicrm": civicrm}, environ)
    expected = CivicrmConfig(
        "https://other.example.org", Secret("civi-secret"), site_key=Secret("site")
    )
    assert config.civicrm == expected


ACCOUNTS = {
    "absent": (KEY, {}, KEY, "https://us11.api.mailchimp.com/3.0"),
    "absent, as PHP writes it": (KEY, [], KEY, "https://us11.api.mailchimp.com/3.0"),
    "of another list": (
        KEY,
        {"cccc-us2": {"apiUrl": "https://x/3.0"}},
        KEY,
        "https://us11.api.mailchimp.com/3.0",
    ),
    "by its key": (KEY, {KEY: {"apiUrl": "https://x/3.0"}}, KEY, "https://x/3.0"),
    "by a name": ("main", {"main": {"apiKey": "cccc-us2"}}, "cccc-us2", None),
    "a key under a name": (
        KEY,
        {"main": {"apiKey": KEY, "apiUrl": "https://x/3.0"}},
        KEY,
        "https://x/3.0",
    ),
    "no data centre needed": ("k", {"k": {"apiUrl": "http://127.0.0.1:1/3.0"}}, "k", None),
}


@pytest.mark.fact(
    "mailchimp: Account", "base address by the key's suffix", "one host for every account; override"
)
@pytest.mark.parametrize("name", ACCOUNTS)
def test_account(name: str, here: Path) -> None:
    api_key, accounts, expected_key, expected_url = ACCOUNTS[name]
    config = load(here, {**basic(apiKey=api_key), "accounts": accounts})
    (audience,) = config.audiences
    account = config.accounts[audience.account_key]
    assert account.key.reveal() == expected_key
    if expected_url:
        assert account.api_url == expected_url


def test_unknown_keys_in_accounts_are_ignored(here: Path) -> None:
    accounts = {KEY: {"apiUri": 1, "audiences": {"aaaaaaaaaa": 5, "b": {"name": ["x"]}}}}
    config = load(here, {**basic(), "accounts": accounts})
    assert config.audiences[0].name == "aaaaaaaaaa"


def test_webhook_secrets_are_gathered(here: Path) -> None:
    account = {
        "webhookUrl": "https://x.org/hook?secret=one",
        "webhookSecret": "two",
        "batchWebhook": "https://x.org/batch?a=b",
        "signingSecrets": ["sign1"],
        "batchWebhooks": [{"signing_secret": "sign2"}, {"signing_secret": 3}, 4],
        "audiences": {
            "aaaaaaaaaa": {
                "name": " Main\naudience ",
                "webhook": "https://x.org/own?secret=three",
                "webhooks": [{"signing_secret": "sign3", "url": "https://y.org/?secret=theirs"}],
            }
        },
    }
    config = load(here, {**basic(), "accounts": {KEY: account}})
    found = config.accounts[KEY]
    assert [secret.reveal() for secret in found.webhook_secrets] == ["two", "one", "three"]
    assert found.batch_webhook_secrets == ()
    assert [secret.reveal() for secret in found.signing_secrets] == ["sign1", "sign2", "sign3"]
    assert config.audiences[0].webhook_url == Secret("https://x.org/own?secret=three")
    assert config.audiences[0].name == "Main audience"


# --- warnings and secrets --------------------------------------------------------------------

OPEN_FILES = {
    "group": (0o640, KEY, True),
    "all": (0o604, KEY, True),
    "owner": (0o600, KEY, False),
    "key by variable": (0o644, "${KEY}", False),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("name", OPEN_FILES)
def test_open_file_with_a_key_earns_a_warning(name: str, here: Path) -> None:
    mode, key, is_warned = OPEN_FILES[name]
    path = config_file(here, basic(apiKey=key))
    path.chmod(mode)
    warnings = load_config(path, {**ENVIRON, "KEY": KEY}).warnings
    told = (
        f"config.json holds a key, but others can read it (mode {mode:04o}); "
        'run "chmod 600 config.json", or replace the keys by ${NAME}'
    )
    assert warnings == ((told,) if is_warned else ())


HTTP = {
    "https": ("https://x.org/3.0", False),
    "http": ("http://x.org/3.0", True),
    "127.0.0.1": ("http://127.0.0.1:8001/3.0", False),
    "localhost": ("http://localhost:8001/3.0", False),
    "::1": ("http://[::1]:8001/3.0", False),
    "a name that begins so": ("http://127.0.0.1.example.org/3.0", True),
    "a name that ends so": ("http://notlocalhost/3.0", True),
}


@pytest.mark.fact("mailchimp: Account", "plain HTTP is 426")
@pytest.mark.parametrize("name", HTTP)
def test_plain_http_earns_a_warning(name: str, here: Path) -> None:
    url, is_warned = HTTP[name]
    warnings = load(here, {**basic(), "accounts": {KEY: {"apiUrl": url}}}).warnings
    told = "accounts.***-us11.apiUrl: others can read the keys over plain http; use https"
    assert warnings == ((told,) if is_warned else ())


def test_secret_shows_only_when_asked() -> None:
    secret = Secret("hush")
    assert {str(secret), repr(secret), f"{secret}", f"{secret!r}"} == {"***"}
    assert secret.reveal() == "hush"
    assert secret == Secret("hush")
    assert secret != Secret("hash")
    assert secret != "hush"
    assert len({secret, Secret("hush")}) == 1
    assert copy.deepcopy(secret) == secret == pickle.loads(pickle.dumps(secret))  # noqa: S301
    with pytest.raises(AttributeError):
        secret._text = "loud"  # type: ignore[misc]


def test_a_secret_is_not_written_out_with_what_has_it() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode({"key": Secret("hush")})
    with pytest.raises(TypeError):
        json.dumps({"key": Secret("hush")})


def test_config_is_frozen_and_its_repr_keeps_keys(here: Path) -> None:
    config = load(here, mended_blob(here))
    assert KEY not in repr(config) + repr(config.accounts[KEY]) + str(config.audiences[0])
    assert "secret=redacted" not in repr(config) + repr(config.accounts[KEY])
    assert "civi-secret" not in repr(config)
    with pytest.raises(AttributeError):
        config.cache = Path("x")  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.audiences[0].interests["x"] = 1  # type: ignore[index]


# Not of the shape of a Mailchimp key: nothing but its place says that it is one.
SECRET = "5ecretFromTheFileOrTheEnvironment"
WHOLE: dict[str, object] = {
    "civicrm": {"url": "https://crm.example.org", "apiKey": SECRET, "siteKey": SECRET},
    "cache": "mcsync.db",
    "safety": {"maxUnsubscribes": "10%", "maxAdditions": None},
    "defaults": {"duplicates": "skip", "pushOnlyInterests": ["cc"]},
    "data": {"sync": True, "everyHours": 5, "fields": {"JOB": "job_title"}},
    "plugins": ["a.b"],
    "fullCompareHours": 24,
    "historyDays": 365,
    "fullFetchDays": 7,
    "backups": 2,
    "lists": {
        "aa": {
            "subscriptionGroup": 1,
            "apiKey": SECRET,
            "interests": {"cc": 2},
            "trustOverride": {"cc": "CiviCRM"},
            "pushOnlyInterests": ["cc"],
            "safety": {"maxRemovals": 5},
        },
        "bb": {"subscriptionGroup": 2, "apiKey": "${KEY}"},
    },
    "accounts": {
        SECRET: {
            "apiKey": SECRET,
            "apiUrl": "http://x.org",
            "webhookUrl": f"https://x/?secret={SECRET}",
            "batchWebhookSecret": SECRET,
            "signingSecrets": [SECRET],
            "audiences": {"aa": {"name": "Main", "webhooks": [{"id": 1}]}},
        }
    },
}


def places_in(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every value inside another."""
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(place for key, child in items for place in places_in(child, (*path, key)))]


def put(value: object, path: tuple[str | int, ...], new: object) -> object:
    """Return a copy with another value at a path."""
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = put(changed[path[0]], path[1:], new)  # type: ignore[index]
    return changed


TEXTS = st.sampled_from(["", SECRET, "${KEY}", "${NONE}", f"x{SECRET}\n", "cc", "aa"]) | st.text(
    max_size=8
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=6,
)


def all_told(path: Path, environ: Mapping[str, str]) -> str:
    """Return everything that loading a config says, warnings or error."""
    try:
        return "".join(load_config(path, environ).warnings)
    except ConfigError as error:
        return "".join([str(error), repr(error), repr(error.__cause__), as_shown(error)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_anywhere_is_a_config_or_a_config_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    content: object = WHOLE
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places_in(content)[1:] or [()]))
        content = put(content, place, data.draw(ANYTHING))
    path = config_file(tmp_path, content)
    told = all_told(path, {**ENVIRON, "KEY": SECRET + "-us1"})
    told.encode()  # what is told can be printed
    assert SECRET not in told


@pytest.mark.parametrize("place", places_in(WHOLE)[1:], ids=str)
def test_a_key_in_the_wrong_place_is_not_told(place: tuple[str | int, ...], here: Path) -> None:
    for wrong in (SECRET, {SECRET: SECRET}, [SECRET], SECRET + "\n", {"x": {SECRET: 1}}):
        content = put(WHOLE, place, wrong)
        with_fault = put(content, ("fullCompareHours",), SECRET)
        error = refusal(here, with_fault, {**ENVIRON, "KEY": SECRET})
        assert SECRET not in as_shown(error)


def test_the_whole_config_loads(here: Path) -> None:
    environ = {**ENVIRON, "KEY": "zzzz-us1"}
    content = put(WHOLE, ("lists", "bb", "subscriptionGroup"), 3)
    assert len(load(here, content, environ).audiences) == 2


# --- choosing audiences ----------------------------------------------------------------------


@pytest.fixture
def three(here: Path) -> Config:
    """Return a config of three audiences, two of one name."""
    lists = {
        list_id: {"subscriptionGroup": group, "apiKey": KEY}
        for group, list_id in enumerate(("cccccccccc", "aaaaaaaaaa", "bbbbbbbbbb"), start=1)
    }
    names = {"cccccccccc": "News", "aaaaaaaaaa": "Donors", "bbbbbbbbbb": "News"}
    audiences = {list_id: {"name": name} for list_id, name in names.items()}
    return load(here, {"lists": lists, "accounts": {KEY: {"audiences": audiences}}})


CHOSEN = {
    "all": ([], ["cccccccccc", "aaaaaaaaaa", "bbbbbbbbbb"]),
    "in file order": (["bbbbbbbbbb", "cccccccccc"], ["cccccccccc", "bbbbbbbbbb"]),
    "by name": (["donors"], ["aaaaaaaaaa"]),
    "twice": (["Donors", "aaaaaaaaaa"], ["aaaaaaaaaa"]),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_audiences_are_chosen(name: str, three: Config) -> None:
    wanted, expected = CHOSEN[name]
    assert [audience.list_id for audience in select_audiences(three, wanted)] == expected


def test_a_missing_variable_is_told_with_where_to_set_it(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    civicrm_key = {"MCSYNC_CIVICRM_API_KEY": "hush"}
    for more, is_alone in (({}, True), ({"intrests": {}}, False)):
        path.write_text(json.dumps(basic(apiKey="${NO_KEY}", **more)))
        with pytest.raises(ConfigError) as caught:
            load_config(path, {"MCSYNC_CIVICRM_URL": "https://x.org", **civicrm_key})
        hint = caught.value.hint or ""
        assert hint.startswith("set NO_KEY where mcsync runs: ")
        assert "EnvironmentFile" in hint
        assert ("config.example.json" not in hint) is is_alone


def test_an_unknown_audience_is_refused(three: Config) -> None:
    with pytest.raises(UsageError) as caught:
        select_audiences(three, ["aaaaaaaaaa", "bbbbbbbbba"])
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.message == (
        'no audience "bbbbbbbbba" in config.json; did you mean "bbbbbbbbbb"?'
    )
    assert caught.value.hint == (
        "choose from: News (cccccccccc), Donors (aaaaaaaaaa), News (bbbbbbbbbb)"
    )


def test_a_name_of_two_audiences_is_refused(three: Config) -> None:
    with pytest.raises(UsageError, match=r'^2 audiences are named "News"$') as caught:
        select_audiences(three, ["News"])
    assert caught.value.hint == "choose by id: News (cccccccccc), News (bbbbbbbbbb)"


def test_an_id_goes_before_a_name(three: Config) -> None:
    first, *others = three.audiences
    renamed = replace(three, audiences=(replace(first, name="aaaaaaaaaa"), *others))
    assert select_audiences(renamed, ["aaaaaaaaaa"])[0].list_id == "aaaaaaaaaa"


def test_config_imports_nothing_heavy() -> None:
    """The start of every command pays for these imports."""
    code = "import sys, mcsync.config; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    loaded = set(answer.stdout.split())
    assert not loaded & {"click", "rich", "requests", "msgspec", "sqlite3", "difflib", "logging"}
