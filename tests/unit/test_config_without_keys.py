"""A config that is only looked at: what stands for its keys need not be there, and is not run."""

from pathlib import Path

import pytest

from mcsync.config import Config, ConfigUse, load_config
from mcsync.errors import ConfigError
from tests.unit.test_config import KEY, config_file

LIST = "aaaaaaaaaa"
SOURCES = (
    "${MAILCHIMP_API_KEY}",
    "${file:keys/mailchimp}",
    "${credential:mailchimp}",
    "${command:pass show mailchimp}",
)


def blob(source: str, **changes: object) -> dict[str, object]:
    """A config with the source wherever a key, an address or a webhook may stand."""
    hook = f"https://hooks.example.org/webhook?secret={source}"
    return {
        "civicrm": {"url": source, "apiKey": source, "siteKey": source},
        "cache": "society.db",
        "lists": {LIST: {"subscriptionGroup": 111, "apiKey": source}},
        "accounts": {
            source: {
                "apiKey": source,
                "apiUrl": source,
                "webhookUrl": hook,
                "webhookSecret": source,
                "batchWebhook": hook,
                "batchWebhookSecret": source,
                "signingSecrets": [source],
                "audiences": {LIST: {"name": "Main audience", "webhook": hook}},
            }
        },
        **changes,
    }


def look(folder: Path, content: object, use: ConfigUse = ConfigUse.LOOK) -> Config:
    return load_config(config_file(folder, content), {}, use)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("use", [ConfigUse.LOOK, ConfigUse.NAME])
def test_no_key_is_needed_b14(tmp_path: Path, source: str, use: ConfigUse) -> None:
    config = look(tmp_path, blob(source), use)
    (audience,) = config.audiences
    assert (audience.list_id, audience.name, audience.group_id) == (LIST, "Main audience", 111)
    assert config.cache == tmp_path / "society.db"
    assert config.warnings == ()


@pytest.mark.parametrize("source", SOURCES)
def test_a_run_needs_them_all_b14(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError) as caught:
        look(tmp_path, blob(source), ConfigUse.RUN)
    assert "civicrm.apiKey" in dict(caught.value.problems)
    assert f"lists.{LIST}.apiKey" in dict(caught.value.problems)


def test_the_environment_may_be_all_that_says_where_civicrm_is_b14(tmp_path: Path) -> None:
    content = {"lists": {LIST: {"subscriptionGroup": 111, "apiKey": KEY}}}
    assert look(tmp_path, content).audiences[0].group_id == 111
    with pytest.raises(ConfigError, match="2 problems"):
        look(tmp_path, content, ConfigUse.RUN)


@pytest.mark.parametrize("use", [ConfigUse.LOOK, ConfigUse.NAME])
def test_no_program_is_run_for_a_key_b14(tmp_path: Path, use: ConfigUse) -> None:
    marker = tmp_path / "was-run"
    look(tmp_path, blob(f"${{command:touch {marker}}}"), use)
    assert not marker.exists()


def test_an_account_that_is_named_by_its_key_s_variable_b14(tmp_path: Path) -> None:
    content = blob("${A}", lists={LIST: {"subscriptionGroup": 111, "apiKey": "main"}})
    content["accounts"] = {"${B}": {"apiKey": "${A}", "audiences": {LIST: {"name": "All"}}}}
    assert look(tmp_path, content).audiences[0].name == "All"


def test_what_an_answer_needs_is_missed_b14(tmp_path: Path) -> None:
    content = blob("${A}", cache="${STATE}/mcsync.db")
    content["lists"] = {LIST: {"subscriptionGroup": "${GROUP}", "apiKey": "${A}"}}
    with pytest.raises(ConfigError) as caught:
        look(tmp_path, content)
    assert [path for path, _ in caught.value.problems] == [
        "cache",
        f"lists.{LIST}.subscriptionGroup",
    ]
    assert "A" not in str(caught.value.hint).split()
    assert look(tmp_path, content, ConfigUse.NAME).audiences[0].list_id == LIST


def test_what_is_wrong_all_the_same_is_told_b14(tmp_path: Path) -> None:
    content = blob("${A}", fullFetchDays="often")
    content["civicrm"] = {"url": 5, "apiKey": "${A}", "kye": 1}
    with pytest.raises(ConfigError) as caught:
        look(tmp_path, content)
    assert sorted(path for path, _ in caught.value.problems) == [
        "civicrm.kye",
        "civicrm.url",
        "fullFetchDays",
    ]


def test_a_readable_file_with_a_literal_key_is_told_b14(tmp_path: Path) -> None:
    path = config_file(tmp_path, {**blob("${A}"), "civicrm": {"apiKey": "civi-secret"}})
    path.chmod(0o644)
    (warning,) = load_config(path, {}, ConfigUse.LOOK).warnings
    assert "chmod 600" in warning
