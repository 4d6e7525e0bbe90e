"""The JSON Schema of the config: what editors say of a config is what the loader says."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from mcsync.config import load_config
from mcsync.docs import read_sample
from mcsync.errors import ConfigError
from mcsync.sandbox.town import Town
from tests.cli.test_manual import COPIES, KEYS, WRONG, place
from tests.draw_schema import draw_schema
from tests.unit.test_config import (
    ANYTHING,
    ENVIRON,
    EXAMPLE,
    KEY,
    LIMITS,
    PROBLEMS,
    SECRET,
    WHOLE,
    basic,
    config_file,
    mended_blob,
    places_in,
    put,
)

SCHEMA = Draft7Validator(json.loads(read_sample("schema.json")))


def is_valid(content: object) -> bool:
    return not list(SCHEMA.iter_errors(content))


def test_it_is_what_the_manual_says():
    assert draw_schema() == read_sample("schema.json"), "run: python -m tests.write_docs"


def test_it_is_a_schema():
    Draft7Validator.check_schema(SCHEMA.schema)


# --- good ones ------------------------------------------------------------------------------------


def test_the_example_and_the_documents_blob_are_valid(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_valid(json.loads(EXAMPLE.read_text(encoding="utf-8")))
    assert is_valid(json.loads(mended_blob(tmp_path)))


def test_the_sandbox_s_config_is_valid():
    with Town() as town:
        town.add_audience("aaaaaaaaaa", "Main", 111, {"cccccccccc": (222, "Volunteering")})
        assert is_valid(town.make_config())


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_valid(name: str):
    assert is_valid({**basic(), "safety": {"maxUnsubscribes": LIMITS[name][0]}})


@pytest.mark.parametrize("row", [row for row in KEYS if "`" in row[2]], ids=lambda row: row[0])
def test_a_default_is_valid(row: list[str]):
    default = row[2].strip("`")
    assert is_valid(place(row[0], KEY if default == "KEY" else json.loads(default)))


def test_it_may_be_named_in_the_config(tmp_path: Path):
    content = {**basic(), "$schema": "schema.json"}
    assert load_config(config_file(tmp_path, content), ENVIRON).audiences
    assert is_valid(content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_the_loader_takes_is_valid(tmp_path: Path, data: st.DataObject):
    content: object = WHOLE
    for _ in range(data.draw(st.integers(1, 2))):
        where = data.draw(st.sampled_from(places_in(content)[1:] or [()]))
        content = put(content, where, data.draw(ANYTHING))
    try:
        load_config(config_file(tmp_path, content), {**ENVIRON, "KEY": SECRET + "-us1"})
    except ConfigError:
        return
    assert is_valid(content)


# --- bad ones -------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [r for r in KEYS if r[0] not in COPIES], ids=lambda row: row[0])
def test_a_value_of_another_type_is_not_valid(row: list[str]):
    assert is_valid(place("lists.ID.subscriptionGroup", 111))
    assert not is_valid(place(row[0], WRONG[row[1]]))


UNKNOWN = ("kee", "civicrm.kee", "lists.ID.kee", "lists.ID.safety.kee", "data.kee", "safety.kee")


@pytest.mark.parametrize("path", [*UNKNOWN, "defaults.kee", "defaults.nameFields.kee"])
def test_an_unknown_key_is_not_valid(path: str):
    assert not is_valid(place(path, None))


def test_an_unknown_key_of_an_account_is_a_copy_of_mailchimp_s():
    assert is_valid(place("accounts.KEY.kee", {"any": ["thing"]}))


# What one value alone does not show: keys that are equal, unmapped, twice there.
@pytest.mark.parametrize(
    "name",
    [
        name
        for name, (_, told) in PROBLEMS.items()
        if any("unknown key" in text or "missing" in text.split() for text in told)
    ],
)
def test_what_is_unknown_or_missing_is_not_valid(name: str):
    assert not is_valid(PROBLEMS[name][0])
