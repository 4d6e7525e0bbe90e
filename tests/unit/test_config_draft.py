"""The config that `mcsync init` makes of what was chosen: the documents' blob, which loads."""

import json
import os
from pathlib import Path

import pytest

from mcsync.cli.init.draft import (
    AudienceChoice,
    Choices,
    KeysIn,
    Setting,
    draft_config,
    find_clash,
    find_variables,
    has_typed_keys,
    place_keys,
    read_address,
    read_hook_address,
)
from mcsync.cli.init.file import refuse_existing, write_config
from mcsync.config import Config, load_config
from mcsync.errors import ConfigError
from mcsync.model import Account, Group

KEY = "0123456789abcdef0123456789abcdef-us11"
NEWSLETTER = Group(111, "Newsletter", is_active=True, is_mailing=True, is_smart=False)
EVENTS = Group(222, "Events", is_active=True, is_mailing=False, is_smart=False)
ACCOUNT = Account("acc", "Bedrock Gazette", "owner@example.org", "Wilma", "Flintstone", "wilma")
MAIN = AudienceChoice(
    "aaaaaaaaaa",
    "Main audience",
    NEWSLETTER,
    {"cccccccccc": EVENTS},
    {"cccccccccc": "Topics: Events", "dddddddddd": "Topics: Jobs"},
)


def choices(**changes: object) -> Choices:
    found: dict[str, object] = {
        "civicrm_url": Setting("https://crm.example.org"),
        "civicrm_key": Setting("civi-key"),
        "mailchimp_key": Setting(KEY),
        "account": ACCOUNT,
        "audiences": (MAIN,),
    }
    return Choices(**(found | changes))  # type: ignore[arg-type]


def load(folder: Path, chosen: Choices, environ: dict[str, str] | None = None) -> Config:
    return write_config(folder / "config.json", draft_config(chosen), environ or {})


# --- the blob -------------------------------------------------------------------------------------


def test_it_is_the_documents_blob():
    assert draft_config(choices()) == {
        "civicrm": {"url": "https://crm.example.org", "apiKey": "civi-key"},
        "cache": None,
        "lists": {
            "aaaaaaaaaa": {
                "subscriptionGroup": "111",
                "apiKey": KEY,
                "interests": {"cccccccccc": "222"},
            }
        },
        "accounts": {
            KEY: {
                "apiKey": KEY,
                "account_name": "Bedrock Gazette",
                "email": "owner@example.org",
                "first_name": "Wilma",
                "last_name": "Flintstone",
                "username": "wilma",
                "audiences": {
                    "aaaaaaaaaa": {
                        "name": "Main audience",
                        "interests": {"cccccccccc": "Topics: Events", "dddddddddd": "Topics: Jobs"},
                    }
                },
            }
        },
    }


def test_it_loads_as_it_was_chosen(tmp_path: Path):
    config = load(tmp_path, choices(api_url="http://127.0.0.1:8001/3.0"))
    (audience,) = config.audiences
    assert (audience.list_id, audience.name, audience.group_id) == (
        "aaaaaaaaaa",
        "Main audience",
        111,
    )
    assert dict(audience.interests) == {"cccccccccc": 222}
    assert config.accounts[audience.account_key].key.reveal() == KEY
    account = config.accounts[audience.account_key]
    assert account.api_url == "http://127.0.0.1:8001/3.0"
    assert account.name == "Bedrock Gazette"
    assert config.civicrm.api_key.reveal() == "civi-key"
    assert config.civicrm.site_key is None
    assert config.cache == tmp_path / "mcsync.db"
    assert config.warnings == ()


def test_without_an_address_the_key_tells_it(tmp_path: Path):
    config = load(tmp_path, choices())
    assert config.accounts[KEY].api_url == "https://us11.api.mailchimp.com/3.0"


def test_webhooks_have_their_addresses_and_the_secret(tmp_path: Path):
    chosen = choices(webhook_url="https://hooks.example.org/mc", webhook_secret="5ec4e7")
    account = load(tmp_path, chosen).accounts[KEY]
    assert account.webhook_url is not None
    assert account.batch_webhook_url is not None
    assert account.webhook_url.reveal() == "https://hooks.example.org/mc/webhook?secret=5ec4e7"
    assert (
        account.batch_webhook_url.reveal()
        == "https://hooks.example.org/mc/batch-webhook?secret=5ec4e7"
    )
    assert [each.reveal() for each in account.webhook_secrets] == ["5ec4e7"]
    assert [each.reveal() for each in account.batch_webhook_secrets] == ["5ec4e7"]


def test_a_name_from_mailchimp_is_never_taken_for_a_variable(tmp_path: Path):
    odd = AudienceChoice("aaaaaaaaaa", "Win ${PRIZE}", NEWSLETTER, {}, {"e": "A: ${B"})
    chosen = choices(audiences=(odd,), account=Account("acc", "${HOME} sweet"))
    assert load(tmp_path, chosen).audiences[0].name == "Win $ {PRIZE}"


# --- keys -----------------------------------------------------------------------------------------


def test_keys_from_the_environment_stay_there(tmp_path: Path):
    chosen = choices(
        civicrm_url=Setting("https://crm.example.org", "MCSYNC_CIVICRM_URL"),
        civicrm_key=Setting("civi-key", "CIVI"),
        site_key=Setting("site-key", "SITE"),
        mailchimp_key=Setting(KEY, "MC"),
    )
    assert not has_typed_keys(chosen)
    variables = find_variables(chosen)
    assert sorted(variables) == ["CIVI", "MC", "MCSYNC_CIVICRM_URL", "SITE"]
    config = load(tmp_path, chosen, variables)
    text = config.path.read_text()
    assert KEY not in text
    assert "civi-key" not in text
    assert "site-key" not in text
    assert config.accounts[config.audiences[0].account_key].key.reveal() == KEY
    assert config.civicrm.site_key is not None


def test_keys_can_be_put_into_the_environment_or_into_the_file():
    typed = choices(site_key=Setting("site-key"), civicrm_key=Setting("civi-key", "CIVI"))
    assert has_typed_keys(typed)
    outside = place_keys(typed, KeysIn.ENVIRONMENT)
    assert find_variables(outside) == {
        "CIVI": "civi-key",
        "MCSYNC_CIVICRM_SITE_KEY": "site-key",
        "MAILCHIMP_API_KEY": KEY,
    }
    inside = place_keys(outside, KeysIn.FILE)
    assert find_variables(inside) == {}
    assert inside.mailchimp_key.written == KEY


def test_nothing_shows_a_key_or_the_secret():
    shown = repr(choices(webhook_secret="5ec4e7", site_key=Setting("site-key")))
    for secret in (KEY, "civi-key", "site-key", "5ec4e7"):
        assert secret not in shown


# --- what does not go together --------------------------------------------------------------------


def test_one_group_cannot_stand_for_two_audiences():
    other = AudienceChoice("bbbbbbbbbb", "Other audience", NEWSLETTER)
    assert find_clash([MAIN, other]) == (
        'Newsletter (group 111) cannot be used for two audiences, "Main audience" and '
        '"Other audience"'
    )


@pytest.mark.parametrize(
    ("interests", "what"),
    [
        ({"cccccccccc": NEWSLETTER}, 'the audience "Main audience" and for the interest'),
        ({"cccccccccc": EVENTS, "dddddddddd": EVENTS}, '"Topics: Events" and for the interest'),
    ],
    ids=["the audience's", "another interest's"],
)
def test_an_interest_cannot_have_a_group_that_is_taken(interests, what):
    audience = AudienceChoice("aaaaaaaaaa", "Main audience", NEWSLETTER, interests)
    named = AudienceChoice(
        audience.list_id, audience.name, audience.group, interests, MAIN.interest_names
    )
    assert what in str(find_clash([named]))


def test_groups_that_differ_go_together():
    other = AudienceChoice("bbbbbbbbbb", "Other audience", EVENTS)
    assert find_clash([MAIN, other]) is None


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("crm.example.org", "https://crm.example.org"),
        (" https://crm.example.org/ ", "https://crm.example.org"),
        ("http://127.0.0.1:8002", "http://127.0.0.1:8002"),
        ("https://example.org/crm/", "https://example.org/crm"),
        (
            "https://example.org/?civiwp=CiviCRM&q=civicrm/ajax/api4",
            "https://example.org/?civiwp=CiviCRM&q=civicrm/ajax/api4",
        ),
    ],
)
def test_an_address_is_made_whole(typed: str, whole: str):
    assert read_address(typed) == whole


@pytest.mark.parametrize(
    "typed",
    [
        *("", "https://", "ftp://example.org", "my site", "https://example.org:port"),
        *("https://fred:yabba@example.org", "https://example.org/${HOME}", "https://[::1"),
    ],
)
def test_what_is_no_address_is_refused(typed: str):
    with pytest.raises(ValueError, match=r"address|password"):
        read_address(typed)


def test_a_bare_address_has_no_query():
    with pytest.raises(ValueError, match="secret is added"):
        read_hook_address("https://example.org/?secret=me")


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("crm.example.org/mailchimp/", "https://crm.example.org/mailchimp"),
        ("https://crm.example.org/mc/webhook", "https://crm.example.org/mc"),
        ("https://crm.example.org/batch-webhook/", "https://crm.example.org"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080/mc", "http://[::1]:8080/mc"),
        ("http://192.0.2.1/mc", "http://192.0.2.1/mc"),
    ],
)
def test_the_address_of_webhooks(typed: str, whole: str):
    assert read_hook_address(typed) == whole


def test_the_address_of_webhooks_is_a_public_one():
    with pytest.raises(ValueError, match="not a public host"):
        read_hook_address("yes")


# --- the file -------------------------------------------------------------------------------------


def test_the_file_is_the_owners_alone_and_nothing_else_is_left(tmp_path: Path):
    config = load(tmp_path / "new" / "folder", choices())
    folder = config.path.parent
    assert os.listdir(folder) == ["config.json"]
    assert config.path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert config.path.stat().st_nlink == 1
    assert json.loads(config.path.read_text()) == draft_config(choices())


@pytest.mark.parametrize("has_links", [True, False], ids=["links", "a disk without links"])
def test_a_file_that_is_there_is_never_touched(tmp_path: Path, monkeypatch, has_links: bool):
    _without_links(monkeypatch, has_links)
    path = tmp_path / "config.json"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        refuse_existing(path)
    with pytest.raises(ConfigError, match="somebody else has created"):
        load(tmp_path, choices())
    assert path.read_text() == "mine"
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_link_that_leads_nowhere_is_there_too(tmp_path: Path):
    path = tmp_path / "config.json"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="exists already"):
        refuse_existing(path)
    with pytest.raises(ConfigError, match="somebody else has created"):
        load(tmp_path, choices())
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_disk_without_links_gets_it_as_well(tmp_path: Path, monkeypatch):
    _without_links(monkeypatch, False)
    config = load(tmp_path, choices())
    assert config.path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["config.json"]


def _without_links(monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(95, "Operation not supported")

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)


def test_what_our_loader_refuses_is_never_written(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, choices(cache="~/mcsync.db"))
    assert [path for path, _ in caught.value.problems] == ["cache"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("has_links", "nth"),
    [(True, 1), (False, 1), (False, 2)],
    ids=["links", "a disk without links", "the same, at the second writing"],
)
def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch, has_links: bool, nth: int):
    _without_links(monkeypatch, has_links)
    calls = []
    sync = os.fsync

    def stop(number: int) -> None:
        calls.append(number)
        if len(calls) == nth:
            raise KeyboardInterrupt
        sync(number)

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, choices())
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch):
    def fail(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match="No space left"):
        load(tmp_path, choices())
    assert os.listdir(tmp_path) == []


def test_a_place_where_nothing_can_be_is_refused_at_once(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        refuse_existing(tmp_path / "file" / "config.json")


def test_a_new_place_is_fine(tmp_path: Path):
    refuse_existing(tmp_path / "a" / "b" / "config.json")
    assert os.listdir(tmp_path) == []
    with pytest.raises(ConfigError):
        load_config(tmp_path / "a" / "b" / "config.json", {})
