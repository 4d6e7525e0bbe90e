"""mcsync init: from nothing to a config that works, by options and by talking on a terminal."""

import itertools
import json
import os
import re
import shlex
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mcsync.cli.init import services
from mcsync.cli.init.file import is_written, keeping_keys, rewrite_config, write_config
from mcsync.cli.signals import Stopped
from mcsync.config import load_config
from mcsync.config.environment_file import parse_environment
from mcsync.errors import ConfigError, RemoteUnavailable
from mcsync.sandbox.mailchimp.state import Webhook
from mcsync.sandbox.server import Fault, LoopbackServer, Request, Response
from mcsync.sandbox.town import API_KEY, Town
from tests.cli.conftest import (
    GIVE_UP_S,
    GROUP,
    INTEREST,
    INTEREST_GROUP,
    LIST,
    OTHER_GROUP,
    OTHER_LIST,
    SCRIPT,
    Office,
    Said,
)
from tests.door import Door, dripping

if os.name != "nt":
    import pexpect

needs_terminals = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
KEY = "\nAPI key"  # the question, not what is said about it
NOBODY = "http://127.0.0.1:9"  # the discard port; a check asks there
SECRET = re.compile(r"secret=([0-9a-f]{40})\b")


@pytest.fixture
def bedrock(town: Town, tmp_path: Path) -> Office:
    """Two audiences, the groups for them, some other groups; no config anywhere."""
    office = Office(town, tmp_path / "home", tmp_path / "home")
    town.add_audience(LIST, "Main audience", GROUP, {INTEREST: (INTEREST_GROUP, "Volunteering")})
    town.add_audience(OTHER_LIST, "Other audience", OTHER_GROUP, {})
    town.civicrm.add_group("Everybody", 444, smart_where=[["id", ">", 0]])
    town.civicrm.add_group("Old friends", 445)
    town.civicrm.disable_group(445)
    town.civicrm.add_group("Staff", 446)
    town.civicrm.update_group(446, group_type=["1", "2"])
    office.add_both("wilma@bedrock.example")
    return office


def by_options(office: Office, *more: str, **env: str | None) -> Said:
    """`mcsync init` off a terminal, with both keys in the environment."""
    town = office.town
    args = ("--civicrm-url", town.civicrm_server.url, "--mailchimp-url", town.api_url)
    keys = {"MCSYNC_CIVICRM_API_KEY": town.civicrm.api_key, "MAILCHIMP_API_KEY": API_KEY}
    return office.run("init", *args, *more, env={"MCSYNC_CONFIG": None, **keys, **env})


MAIN = ("--audience", f"{LIST}={GROUP}")


@pytest.fixture
def door(bedrock: Office) -> Iterator[str]:
    """An address that answers, as of a web server that has found its way to mcsync already."""
    bedrock.town.mailchimp.settings.validate_webhooks = True
    with LoopbackServer(Door()) as server:
        yield f"{server.url}/mcsync"


def webhooks_of(office: Office) -> list[Any]:
    """Those of the account and of its first audience, as Mailchimp has them."""
    mailchimp = office.town.mailchimp
    return [
        *mailchimp.accounts[API_KEY].batch_webhooks.values(),
        *mailchimp.audiences[LIST].webhooks.values(),
    ]


KEYS_SET = {"MAILCHIMP_API_KEY": API_KEY}


# --- by options -----------------------------------------------------------------------------------


def test_options_make_a_config_that_works(bedrock: Office):
    said = by_options(bedrock, *MAIN, "--interest", f"{INTEREST}={INTEREST_GROUP}")
    assert said.code == 0, said
    assert said.err == ""
    assert f"Wrote {bedrock.config};" in said.out
    assert "mcsync fetch" in said.out
    assert bedrock.config.stat().st_mode & 0o777 == 0o600
    keys = {"MCSYNC_CIVICRM_API_KEY": bedrock.town.civicrm.api_key, "MAILCHIMP_API_KEY": API_KEY}
    config = load_config(bedrock.config, keys)
    (audience,) = config.audiences
    assert (audience.name, audience.group_id) == ("Main audience", GROUP)
    assert dict(audience.interests) == {INTEREST: INTEREST_GROUP}
    assert bedrock.run("fetch", env=dict(keys)) == Said(0, "", "")


def test_the_closing_words_tell_of_backup_trust_and_cron(bedrock: Office, tmp_path: Path):
    said = by_options(bedrock, *MAIN, "--config", str(tmp_path / "50% off.json"))
    assert said.code == 0
    words = " ".join(said.out.split("Next steps")[1].split())
    assert "a backup of both" in words
    assert "--trust mailchimp or --trust civicrm" in words
    (line,) = [line for line in said.out.splitlines() if line.startswith("*/5 * * * *")]
    assert line.endswith(f" sync --config '{tmp_path}/50\\% off.json'")
    assert f"in the crontab of {bedrock.folder.owner()} (crontab -e, or as root" in words
    assert "\nMAILTO=" in said.out
    assert "Cron knows none of your shell's variables" in words
    assert 'Or use systemd: "mcsync help running"' in words


def test_names_do_as_well_as_ids_and_the_order_is_ours(bedrock: Office):
    said = by_options(
        bedrock,
        *("--audience", "other AUDIENCE=Other audience subscribers"),
        *("--audience", "Main audience=Main audience subscribers"),
        *("--interest", "Topics: Volunteering=Everybody"),
        "--json",
    )
    assert said.code == 0, said
    fields = ("list_id", "name", "group_id", "interests")
    told = [{key: each[key] for key in fields} for each in said.document["audiences"]]
    assert told == [
        {"list_id": OTHER_LIST, "name": "Other audience", "group_id": OTHER_GROUP, "interests": {}},
        {
            "list_id": LIST,
            "name": "Main audience",
            "group_id": GROUP,
            "interests": {INTEREST: 444},
        },
    ]


def test_keys_stay_in_the_environment_unless_the_file_is_wanted(bedrock: Office):
    assert by_options(bedrock, *MAIN).code == 0
    text = bedrock.config.read_text()
    assert "${MAILCHIMP_API_KEY}" in text
    assert "${MCSYNC_CIVICRM_API_KEY}" in text
    assert API_KEY not in text
    bedrock.config.unlink()
    assert by_options(bedrock, *MAIN, "--keys", "file").code == 0
    assert API_KEY in bedrock.config.read_text()
    assert bedrock.run("fetch") == Said(0, "", "")


def test_keys_may_go_into_a_file_of_their_own(bedrock: Office):
    """No variable is set afterwards; every command reads the file."""
    said = by_options(bedrock, *MAIN, "--keys", "keys.env")
    assert said.code == 0, said
    keys = bedrock.config.parent / "keys.env"
    assert f"Wrote {bedrock.config}, and keys.env beside it; only you can read them." in said.out
    assert "Before you run mcsync, set" not in said.out
    assert "Cron knows none" not in said.out
    assert keys.stat().st_mode & 0o777 == 0o600
    assert API_KEY not in bedrock.config.read_text() + said.out
    assert f"MAILCHIMP_API_KEY={API_KEY}\n" in keys.read_text()
    assert bedrock.run("fetch") == Said(0, "", "")


def test_an_existing_file_of_keys_is_left_as_it_is(bedrock: Office):
    keys = bedrock.config.parent / "keys.env"
    keys.write_text("MINE=1\n")
    said = by_options(bedrock, *MAIN, "--keys", "keys.env")
    assert said.code == 78
    assert f"{keys} exists already; it is left as it is" in said.err
    assert keys.read_text() == "MINE=1\n"
    assert not bedrock.config.exists()


def test_an_existing_file_of_keys_is_told_before_anything_is_asked(bedrock: Office):
    (bedrock.config.parent / "keys.env").symlink_to("nowhere")
    said = bedrock.run("init", "--keys", "keys.env", "--no-input")
    assert said.code == 78
    assert "keys.env exists already; it is left as it is" in said.err
    assert "choose another place for the keys with --keys" in said.err
    assert bedrock.town.requests == 0


def test_a_file_of_keys_is_read_as_it_was_meant(tmp_path: Path):
    variables = {"A": "it's", "B": 'a "b" $c \\ #', "C": API_KEY}
    with keeping_keys(tmp_path / "keys.env", variables, lambda: False):
        assert parse_environment((tmp_path / "keys.env").read_text()) == variables


def test_without_a_config_no_file_of_keys_is_left(tmp_path: Path):
    keys = tmp_path / "new" / "keys.env"
    config = tmp_path / "new" / "config.json"
    is_needed = partial(is_written, config, {})
    with pytest.raises(ConfigError), keeping_keys(keys, {"A": "it's"}, is_needed):
        write_config(config, {}, {})
    assert list((tmp_path / "new").iterdir()) == []
    config.write_text("of somebody else")
    with pytest.raises(ConfigError), keeping_keys(keys, {"A": "it's"}, is_needed):
        write_config(config, {}, {})
    assert list((tmp_path / "new").iterdir()) == [config]


def test_with_a_config_the_file_of_its_keys_stays(bedrock: Office, monkeypatch: pytest.MonkeyPatch):
    """Whatever comes after it has its name: without the keys it would be of no use."""

    def stop(*_args: object) -> None:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr("mcsync.cli.init.file.load_config", stop)
    monkeypatch.setattr("mcsync.cli.init.file._try_out", lambda *_args: None)
    assert by_options(bedrock, *MAIN, "--keys", "keys.env").code == 128 + signal.SIGTERM
    assert bedrock.config.exists()
    assert API_KEY in (bedrock.config.parent / "keys.env").read_text()


def test_keys_may_stand_in_any_variables(bedrock: Office):
    said = by_options(
        bedrock,
        *MAIN,
        *("--civicrm-key-env", "CIVI", "--mailchimp-key-env", "MC", "--json"),
        CIVI=bedrock.town.civicrm.api_key,
        MC=API_KEY,
        MCSYNC_CIVICRM_API_KEY=None,
        MAILCHIMP_API_KEY=None,
    )
    assert said.code == 0, said
    assert said.document["variables"] == ["CIVI", "MC"]
    assert '"${CIVI}"' in bedrock.config.read_text()


def test_keys_may_come_by_stdin(bedrock: Office):
    town = bedrock.town
    options = ("--civicrm-url", town.civicrm_server.url, "--mailchimp-url", town.api_url)
    with bedrock.start(
        *("init", "--read-keys", *options, *MAIN),
        stdin=-1,
        env={"MCSYNC_CONFIG": str(bedrock.config)},
    ) as process:
        out, err = process.communicate(f"{town.civicrm.api_key}\n{API_KEY}\n", timeout=GIVE_UP_S)
    assert (process.returncode, err) == (0, "")
    assert API_KEY not in out
    assert API_KEY in bedrock.config.read_text()
    assert bedrock.run("fetch") == Said(0, "", "")


def test_stdin_with_one_key_is_not_enough(bedrock: Office):
    with bedrock.start(
        *("init", "--read-keys", *MAIN), stdin=-1, env={"MCSYNC_CONFIG": str(bedrock.config)}
    ) as process:
        _, err = process.communicate("one-key\n", timeout=GIVE_UP_S)
    assert process.returncode == 2
    assert "expected 2 lines on stdin, got 1" in err


def test_the_document_tells_all_but_keys_and_secrets(bedrock: Office):
    said = by_options(bedrock, *MAIN, "--webhook-url", f"{NOBODY}/mc/", "--json")
    assert said.code == 0, said
    document = said.document
    text = bedrock.config.read_text()
    secret = SECRET.findall(text)[0]
    assert f'"{NOBODY}/mc/webhook?secret={secret}"' in text
    assert f'"{NOBODY}/mc/batch-webhook?secret={secret}"' in text
    assert document["config"] == str(bedrock.config)
    assert document["account"] == "Bedrock Gazette"
    assert document["webhook_url"] == f"{NOBODY}/mc"
    assert document["webhook_secret_at"] == "accounts.*.webhookSecret"
    assert document["error"] is None
    assert isinstance(document["findings"], list)
    for hidden in (secret, API_KEY, bedrock.town.civicrm.api_key):
        assert hidden not in said.out + said.err


def test_a_hook_for_civicrm_is_prepared_and_its_address_shown(bedrock: Office):
    options = (*MAIN, "--webhook-url", f"{NOBODY}/mc", "--civicrm-hook")
    said = by_options(bedrock, *options)
    assert said.code == 0, said
    civicrm = json.loads(bedrock.config.read_text())["civicrm"]
    assert re.fullmatch(r"[0-9a-f]{40}", civicrm["hookSecret"])
    assert f"\n{NOBODY}/mc/civicrm-hook?secret={civicrm['hookSecret']}\n" in said.out
    bedrock.config.unlink()
    said = by_options(bedrock, *options, "--json")
    secret = json.loads(bedrock.config.read_text())["civicrm"]["hookSecret"]
    assert secret != civicrm["hookSecret"]
    assert said.document["civicrm_hook_url"] == f"{NOBODY}/mc/civicrm-hook"
    assert said.document["civicrm_hook_secret_at"] == "civicrm.hookSecret"
    assert secret not in said.out + said.err


@pytest.mark.parametrize("url", [(), ("--webhook-url", "")])
def test_a_hook_needs_an_address(bedrock: Office, url: tuple[str, ...]):
    said = by_options(bedrock, *MAIN, "--civicrm-hook", *url)
    assert said.code == 2
    assert "--webhook-url" in said.err
    assert not bedrock.config.exists()


def test_nobody_gets_a_hook_who_did_not_ask(bedrock: Office):
    said = by_options(bedrock, *MAIN, "--webhook-url", f"{NOBODY}/mc", "--json")
    assert said.document["civicrm_hook_url"] is None
    assert "hookSecret" not in json.loads(bedrock.config.read_text())["civicrm"]


# --- webhooks -------------------------------------------------------------------------------------


def test_webhooks_are_made_and_signed_where_the_address_answers(bedrock: Office, door: str):
    said = by_options(bedrock, *MAIN, "--webhook-url", door)
    assert said.code == 0, said
    assert f"created a webhook to {door}/webhook, sending subscribe" in said.out
    assert "check --fix" not in said.out
    assert "All is well" in said.out
    made = webhooks_of(bedrock)
    assert [each.url.partition("?")[0] for each in made] == [
        f"{door}/batch-webhook",
        f"{door}/webhook",
    ]
    secrets = [each.secret for each in made]
    text = bedrock.config.read_text()
    assert json.loads(text)["accounts"]["${MAILCHIMP_API_KEY}"]["signingSecrets"] == secrets
    assert bedrock.config.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in bedrock.config.parent.iterdir()] == [bedrock.config.name]
    for secret in [*secrets, *SECRET.findall(text)]:
        assert secret not in said.out + said.err
    env = {**KEYS_SET, "MCSYNC_CIVICRM_API_KEY": bedrock.town.civicrm.api_key}
    assert "No webhook needed a change." in bedrock.run("check", "--fix", env=env).out


def test_the_document_tells_what_became_of_the_webhooks(bedrock: Office, door: str):
    said = by_options(bedrock, *MAIN, "--webhook-url", door, "--json")
    document = said.document
    assert [(fix["kind"], fix["is_done"]) for fix in document["fixes"]] == [("create", True)] * 2
    assert document["signing_secrets"] == []
    assert document["signing_secrets_at"] == "accounts.*.signingSecrets"
    assert not [each for each in document["findings"] if "webhook" in each["code"]]


def test_where_mailchimp_does_not_sign_none_is_demanded(bedrock: Office, door: str):
    bedrock.town.mailchimp.settings.sign_webhooks = False
    said = by_options(bedrock, *MAIN, "--webhook-url", door)
    assert said.code == 0, said
    assert len(webhooks_of(bedrock)) == 2
    assert "signingSecrets" not in bedrock.config.read_text()
    assert "webhook-no-signature" in said.out


def test_where_the_address_is_silent_the_closing_words_tell_what_to_do(bedrock: Office):
    said = by_options(bedrock, *MAIN, "--webhook-url", NOBODY)
    assert said.code == 0, said
    assert webhooks_of(bedrock) == []
    assert "mcsync check --fix" in said.out
    assert "put these into signingSecrets of the account" in said.out


def test_a_webhook_that_is_there_already_is_left_to_who_runs_check(bedrock: Office, door: str):
    (audience,) = [bedrock.town.mailchimp.audiences[LIST]]
    before = Webhook("0123456789", f"{door}/webhook?secret=another", LIST)
    audience.webhooks[before.id] = before
    said = by_options(bedrock, *MAIN, "--webhook-url", door)
    assert said.code == 0, said
    assert webhooks_of(bedrock) == [before]
    assert "webhook-secret" in said.out


def test_one_webhook_that_cannot_be_made_does_not_keep_the_other(bedrock: Office, door: str):
    server = bedrock.town.mailchimp_server
    full = Response(400, b'{"title": "Too many", "status": 400, "detail": "20 are there"}')
    server.faults.append(Fault(method="POST", path="/batch-webhooks", answer=full, times=None))
    said = by_options(bedrock, *MAIN, "--webhook-url", door)
    assert said.code == 0, said
    (made,) = webhooks_of(bedrock)
    assert made.secret in bedrock.config.read_text()
    assert "fix-failed" in said.out
    assert "batch-webhook-missing" in said.out


@pytest.mark.parametrize("secret", ["${MAILCHIMP_API_KEY}", "a b", "\x1b[2J", "\n"])
def test_a_signing_secret_that_is_none_is_not_put_into_the_config(
    bedrock: Office, door: str, secret: str
):
    def forge(_request: Request, answer: Response) -> Response:
        body = json.loads(answer.body) | {"signing_secret": secret}
        return Response(answer.status, json.dumps(body).encode(), answer.headers)

    server = bedrock.town.mailchimp_server
    server.faults.append(Fault(method="POST", rewrite=forge, times=None))
    said = by_options(bedrock, *MAIN, "--webhook-url", door)
    assert said.code == 0, said
    assert "signingSecrets" not in bedrock.config.read_text()
    assert "add it to signingSecrets of the account" in said.out
    assert "\x1b" not in said.out
    assert API_KEY not in said.out + said.err


def test_a_config_that_somebody_was_at_meanwhile_is_left_alone(tmp_path: Path):
    blob: dict[str, object] = {
        "civicrm": {"url": "https://crm.example.org", "apiKey": "hush"},
        "lists": {LIST: {"subscriptionGroup": "1", "apiKey": "bbbb-us11"}},
    }
    path = tmp_path / "new" / "config.json"
    write_config(path, blob, {})
    text = path.read_text()
    path.write_text(text + " ")
    assert rewrite_config(path, blob, {**blob, "cache": "other.db"}, {}) is None
    assert path.read_text() == text + " "
    path.write_text(text)
    assert rewrite_config(path, blob, {**blob, "cash": "other.db"}, {}) is None
    assert path.read_text() == text
    changed = rewrite_config(path, blob, {**blob, "cache": "other.db"}, {})
    assert changed is not None
    assert changed.cache.name == "other.db"
    assert list(path.parent.iterdir()) == [path]


def test_the_config_goes_where_it_is_wanted(bedrock: Office, tmp_path: Path):
    named = tmp_path / "new" / "named.json"
    assert by_options(bedrock, *MAIN, "--config", str(named)).code == 0
    assert named.stat().st_mode & 0o777 == 0o600
    assert named.parent.stat().st_mode & 0o777 == 0o700
    meant = tmp_path / "meant.json"
    assert by_options(bedrock, *MAIN, MCSYNC_CONFIG=str(meant)).code == 0
    assert meant.exists()
    assert not bedrock.config.exists()


def test_the_cache_goes_where_it_is_wanted(bedrock: Office, tmp_path: Path):
    said = by_options(bedrock, *MAIN, "--cache", str(tmp_path / "x.db"), "--json")
    assert said.document["cache"] == str(tmp_path / "x.db")


def test_a_site_without_clean_urls_is_written_as_it_works(bedrock: Office):
    bedrock.town.civicrm.clean_urls = False
    said = by_options(bedrock, *MAIN)
    assert (said.code, said.err) == (0, "")
    url = f"{bedrock.town.civicrm_server.url}/?civiwp=CiviCRM&q=civicrm/ajax/api4"
    assert json.loads(bedrock.config.read_text())["civicrm"]["url"] == url


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"{}", b"", b"\xff\x00 not mine to judge"])
def test_an_existing_file_is_left_byte_for_byte(bedrock: Office, content: bytes):
    bedrock.config.write_bytes(content)
    before = bedrock.config.stat()
    requests = bedrock.town.requests
    said = by_options(bedrock, *MAIN)
    assert said.code == 78
    assert "exists already" in said.err
    assert bedrock.config.read_bytes() == content
    assert bedrock.config.stat().st_mtime_ns == before.st_mtime_ns
    assert bedrock.town.requests == requests


def test_all_that_is_missing_is_told_at_once(bedrock: Office):
    said = bedrock.run("init", "--json", env={"MCSYNC_CONFIG": None})
    assert said.code == 2
    error = said.document["error"]
    assert error["message"] == "nobody can be asked, and 4 options are missing"
    message = json.dumps(error["problems"])
    for option in ("--civicrm-url", "--civicrm-key-env", "--mailchimp-key-env", "--audience"):
        assert option in message
    for variable in ("$MCSYNC_CIVICRM_URL", "$MCSYNC_CIVICRM_API_KEY", "$MAILCHIMP_API_KEY"):
        assert variable in message
    assert bedrock.town.requests == 0


def test_what_is_missing_has_a_line_each_and_audiences_their_ids(bedrock: Office):
    said = by_options(bedrock, MCSYNC_CIVICRM_API_KEY=None)
    assert said.code == 2
    lines = said.err.splitlines()
    assert lines[0] == "error: nobody can be asked, and 2 options are missing"
    assert lines[1].startswith("  --civicrm-key-env NAME")
    assert lines[2].startswith("  --audience AUDIENCE=GROUP: ")
    assert f"Main audience ({LIST}), Other audience ({OTHER_LIST})" in lines[-1]


def test_a_directory_is_no_config(bedrock: Office, tmp_path: Path):
    said = by_options(bedrock, *MAIN, "--config", str(tmp_path))
    assert said.code == 78
    assert f"{tmp_path} is a directory" in said.err
    assert f"--config {tmp_path}/config.json" in said.err


def test_an_address_of_mailchimp_without_its_path(bedrock: Office):
    url = bedrock.town.mailchimp_server.url
    said = by_options(bedrock, *MAIN, "--mailchimp-url", url)
    assert said.code == 76
    assert f"the address of Mailchimp's API ends in /3.0, such as {url}/3.0" in said.err


def test_a_path_of_ours_is_taken_off_the_webhook_address(bedrock: Office):
    said = by_options(bedrock, *MAIN, "--webhook-url", f"{NOBODY}/mc/webhook", "--json")
    assert said.document["webhook_url"] == f"{NOBODY}/mc"


MISFITS = {
    "no equals sign": (("--audience", "Main audience"), '"=" between them'),
    "nothing after it": (("--audience", "Main audience="), '"=" between them'),
    "no such audience": (("--audience", "Mian audience=111"), 'did you mean "Main audience"'),
    "no such group": (("--audience", "Main audience=999"), 'no group "999" in CiviCRM'),
    "a smart group": (("--audience", "Main audience=Everybody"), "is a smart group"),
    "a group for access control": (
        ("--audience", "Main audience=Staff"),
        "anybody who signs up at Mailchimp would get its permissions",
    ),
    "an interest for access control": (
        (*MAIN, "--interest", f"{INTEREST}=Staff"),
        "Staff (group 446) is for access control",
    ),
    "a host that is not public": (
        (*MAIN, "--webhook-url", "https://crm/mailchimp"),
        "is not a public host; write it like https://crm.example.org/mailchimp",
    ),
    "a disabled group": (("--audience", "Main audience=Old friends"), "is disabled"),
    "an audience twice": ((*MAIN, "--audience", f"{LIST}={OTHER_GROUP}"), "is given twice"),
    "a group twice": (
        (*MAIN, "--audience", f"{OTHER_LIST}={GROUP}"),
        "cannot be used for two audiences",
    ),
    "no such interest": ((*MAIN, "--interest", "zzz=222"), 'no interest "zzz"'),
    "an interest of another audience": (
        ("--audience", f"{OTHER_LIST}={OTHER_GROUP}", "--interest", f"{INTEREST}=222"),
        "no interest",
    ),
    "an interest twice": (
        (*MAIN, "--interest", f"{INTEREST}=222", "--interest", "volunteering=333"),
        "is given twice",
    ),
    "the group of the audience": (
        (*MAIN, "--interest", f"{INTEREST}={GROUP}"),
        "cannot be used for the audience",
    ),
    "no address": ((*MAIN, "--webhook-url", "http://"), "--webhook-url"),
    "a query": ((*MAIN, "--webhook-url", "https://example.org/?a=b"), "--webhook-url"),
    "a variable that is not set": ((*MAIN, "--site-key-env", "NOPE"), "$NOPE is not set"),
    "keys elsewhere": ((*MAIN, "--keys", "vault"), "--keys"),
    "--list": ((*MAIN, "--list", LIST), "--audience"),
}


@pytest.mark.parametrize(("args", "says"), MISFITS.values(), ids=MISFITS.keys())
def test_what_does_not_fit_is_refused(bedrock: Office, args: tuple[str, ...], says: str):
    said = by_options(bedrock, *args)
    assert said.code == 2
    assert says in said.err
    assert not bedrock.config.exists()


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("MCSYNC_CIVICRM_API_KEY", "CiviCRM at"),
        ("MAILCHIMP_API_KEY", "Mailchimp at"),
    ],
)
def test_a_refused_key_is_told_and_ends_with_77(bedrock: Office, variable: str, says: str):
    said = by_options(bedrock, *MAIN, **{variable: "0123456789abcdef-us1"})
    assert said.code == 77
    assert says in said.err
    assert "refused the API key" in said.err
    assert "hint: " in said.err
    assert "civicrm.siteKey" not in said.err
    assert not bedrock.config.exists()


@pytest.mark.parametrize("key", ["0123456789abcdef", "two words-us1", "schlüssel-us1"])
def test_what_is_no_key_is_told_before_it_is_sent(bedrock: Office, key: str):
    said = bedrock.run(
        *("init", "--civicrm-url", bedrock.town.civicrm_server.url, *MAIN),
        env={
            "MCSYNC_CONFIG": None,
            "MCSYNC_CIVICRM_API_KEY": bedrock.town.civicrm.api_key,
            "MAILCHIMP_API_KEY": key,
        },
    )
    assert said.code == 77
    assert key not in said.out + said.err
    assert bedrock.town.mailchimp_server.requests == []


def test_a_wrong_address_ends_with_76(bedrock: Office):
    url = f"{bedrock.town.civicrm_server.url}/nowhere"
    said = by_options(bedrock, *MAIN, "--civicrm-url", url)
    assert said.code == 76
    assert "there is no CiviCRM at" in said.err
    assert not bedrock.config.exists()


def test_nobody_there_ends_with_69(bedrock: Office, no_pauses: list[float]):
    bedrock.town.civicrm_server.faults.append(Fault(drop="before", times=None))
    said = by_options(bedrock, *MAIN)
    assert said.code == 69
    assert "nothing was written; check the address" in said.err
    assert "next run" not in said.err
    assert "in the config" not in said.err
    assert not bedrock.config.exists()


def test_an_account_without_audiences_is_told(bedrock: Office):
    for list_id in (LIST, OTHER_LIST):
        bedrock.town.mailchimp.remove_audience(list_id)
    said = by_options(bedrock, *MAIN)
    assert said.code == 78
    assert '"Bedrock Gazette" has no audience' in said.err


# --- another audience -----------------------------------------------------------------------------


def paste(config: Path, said: str) -> None:
    """Do what is said: put each piece after the words that it is to stand after."""
    text = config.read_text()
    lines = said.splitlines()
    for at, line in enumerate(lines):
        if line.startswith("After ") and "{" in line:
            words = line.removeprefix("After ").partition("{")[0] + "{"
            piece = itertools.takewhile(lambda each: each.startswith("    "), lines[at + 1 :])
            assert text.count(words) == 1
            text = text.replace(words, f"{words}\n" + "\n".join(piece))
    config.write_text(text)


def test_another_audience_is_shown_as_it_is_to_be_pasted(bedrock: Office):
    assert by_options(bedrock, *MAIN).code == 0
    before = bedrock.config.read_bytes()
    keys = {"MCSYNC_CIVICRM_API_KEY": bedrock.town.civicrm.api_key, "MAILCHIMP_API_KEY": API_KEY}
    bedrock.town.mailchimp.add_interest(OTHER_LIST, "Topics", "dddddddddd", "Bowling")
    added = ("init", "--add", "--audience", f"Other audience={OTHER_GROUP}")
    said = bedrock.run(*added, "--interest", "Bowling=Everybody", env=dict(keys))
    assert (said.code, said.err) == (0, "")
    assert bedrock.config.read_bytes() == before
    assert API_KEY not in said.out
    assert f"mcsync sync --wait --list {OTHER_LIST}" in said.out
    paste(bedrock.config, said.out)
    config = load_config(bedrock.config, keys)
    assert [(each.name, each.group_id) for each in config.audiences] == [
        ("Other audience", OTHER_GROUP),
        ("Main audience", GROUP),
    ]
    assert dict(config.audiences[0].interests) == {"dddddddddd": 444}
    assert bedrock.run("check", env=dict(keys)).code == 0
    said = bedrock.run("init", "--add", env=dict(keys))
    assert said.code == 78
    assert "all audiences of the config's accounts are in it already" in said.err


def test_another_audience_as_a_document_and_no_key_in_it(bedrock: Office):
    """The config holds the keys themselves: a variable stands for Mailchimp's."""
    assert by_options(bedrock, *MAIN, "--keys", "file").code == 0
    added = ("init", "--add", "--audience", f"{OTHER_LIST}={OTHER_GROUP}")
    document = bedrock.run(*added, "--json").document
    assert document["lists"] == {
        OTHER_LIST: {
            "subscriptionGroup": str(OTHER_GROUP),
            "apiKey": "${MAILCHIMP_API_KEY}",
            "interests": {},
        }
    }
    said = bedrock.run(*added)
    assert "In place of ${MAILCHIMP_API_KEY} write the key as it stands there now." in said.out
    assert API_KEY not in said.out


ADDED_WRONGLY = {
    "a group that is taken": (("--audience", f"{OTHER_LIST}={GROUP}"), "for two audiences"),
    "an audience that is there": (("--audience", f"{LIST}={OTHER_GROUP}"), "no audience"),
    "none": ((), f"not in the config yet: Other audience ({OTHER_LIST})"),
}


@pytest.mark.parametrize(("args", "says"), ADDED_WRONGLY.values(), ids=ADDED_WRONGLY)
def test_what_cannot_be_added_is_refused(bedrock: Office, args: tuple[str, ...], says: str):
    assert by_options(bedrock, *MAIN, "--keys", "file").code == 0
    said = bedrock.run("init", "--add", *args)
    assert said.code == 2
    assert says in said.err


NOT_TO_ADD = {
    "--keys": "keys.env",
    "--webhook-url": "",
    "--civicrm-url": "https://crm.example.org",
    "--mailchimp-key-env": "OTHER_KEY",
}


@pytest.mark.parametrize("option", NOT_TO_ADD)
def test_what_an_addition_does_not_heed_is_refused(bedrock: Office, option: str):
    added = ("init", "--add", "--audience", f"{OTHER_LIST}={OTHER_GROUP}")
    said = bedrock.run(*added, option, NOT_TO_ADD[option])
    assert said.code == 2
    assert f"init --add does not take {option}" in said.err
    assert "as the config says" in said.err


# --- on a terminal --------------------------------------------------------------------------------


class Terminal:
    """A real terminal of 80 columns with `mcsync init` in it, and all that it showed."""

    def __init__(self, office: Office, *args: str, **env: str) -> None:
        self.shown = ""
        settings = {**office.environ(), "TERM": "xterm", "LANG": "C.UTF-8", **env}
        del settings["MCSYNC_CONFIG"]
        self.child = pexpect.spawn(
            SCRIPT,
            ["init", *args],
            encoding="utf-8",
            timeout=GIVE_UP_S,
            dimensions=(40, 80),
            env=settings,
            cwd=str(office.home),
        )
        self.child.logfile_read = self
        self.child.delaybeforesend = None

    def write(self, text: str) -> None:
        """What it shows."""
        self.shown += text

    def flush(self) -> None:
        """As files have it."""

    def sees(self, text: str) -> None:
        """Wait for a text, lines being broken anywhere: in long paths even within words."""
        begin = r"\n" if text.startswith("\n") else ""
        self.child.expect(begin + r"\s*".join(re.escape(each) for each in "".join(text.split())))

    def asks(self, question: str) -> None:
        """Wait for a question; for a hidden answer, until what is typed does not show."""
        self.sees(question)
        if question == KEY:
            self.child.expect(r"( \(Enter: [^)]*\))?: $")
            self.child.waitnoecho()

    def answers(self, question: str, *answers: str) -> None:
        """Wait for a question, and answer it; once more for each further answer."""
        for answer in answers:
            self.asks(question)
            self.child.sendline(answer)

    def ends(self) -> int:
        """Wait for its end; the exit code."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert "Traceback" not in self.shown, self.shown
        assert self.child.signalstatus is None
        return int(self.child.exitstatus)


@pytest.fixture
def terminals(bedrock: Office) -> Iterator[list[Terminal]]:
    """Terminals, closed in the end."""
    found: list[Terminal] = []
    yield found
    for terminal in found:
        terminal.child.close(force=True)


@needs_terminals
def test_the_whole_conversation(bedrock: Office, terminals: list[Terminal]):
    town = bedrock.town
    terminal = Terminal(bedrock, "--mailchimp-url", town.api_url)
    terminals.append(terminal)
    url = town.civicrm_server.url
    terminal.answers("Address of CiviCRM", "my site", f"{url}/nowhere", f"{url}/")
    terminal.answers(KEY, "wrong-civi-key", town.civicrm.api_key)
    terminal.sees("Logged in to CiviCRM")
    terminal.answers(KEY, "0123456789abcdef-us1", API_KEY)
    terminal.sees("Logged in to Mailchimp: Bedrock Gazette")
    terminal.sees("1 Main audience, 1 member")
    terminal.answers("Enter: all", "3", "1, 2")
    terminal.sees("1 Main audience subscribers (group 111)")
    terminal.answers("Enter: refresh", "7", "", "1")
    terminal.sees("1 Topics: Volunteering")
    terminal.answers("Enter: none", "1")
    terminal.answers("Enter: none", "volun")
    terminal.answers("Enter: refresh", "other")
    terminal.answers("Enter: no webhooks", "no address", NOBODY)
    terminal.answers("Prepare for CiviCRM's hook? [y/N]", "y")
    terminal.answers("Number (Enter: 1)", "")
    terminal.sees("This will be written")
    terminal.answers("Write it? [Y/n]", "y")
    terminal.sees(f"Wrote {bedrock.config};")
    assert terminal.ends() == 0, terminal.shown

    text = bedrock.config.read_text()
    secrets = {API_KEY, town.civicrm.api_key, "wrong-civi-key", "0123456789abcdef-us1"}
    for secret in secrets | set(SECRET.findall(text)):
        assert secret not in terminal.shown
    assert "Next steps" in terminal.shown
    assert "https://crm.example.org/mailchimp" in terminal.shown
    assert "Staff" not in terminal.shown
    assert bedrock.config.stat().st_mode & 0o777 == 0o600
    config = load_config(bedrock.config, {})
    assert [(each.list_id, each.group_id) for each in config.audiences] == [
        (LIST, GROUP),
        (OTHER_LIST, OTHER_GROUP),
    ]
    assert dict(config.audiences[0].interests) == {INTEREST: INTEREST_GROUP}
    (account,) = config.accounts.values()
    assert account.webhook_url is not None
    assert account.webhook_url.reveal().startswith(f"{NOBODY}/webhook?secret=")
    assert bedrock.run("fetch") == Said(0, "", "")
    said = bedrock.run("check", "--json")
    codes = {each["code"] for each in said.document["findings"] if each["severity"] == "problem"}
    assert codes == {"webhook-missing", "batch-webhook-missing", "webhook-silent"}


@needs_terminals
def test_the_sandbox_says_how_init_makes_a_config_for_it(
    bedrock: Office, terminals: list[Terminal]
):
    """Run as it stands there; then what init says comes next."""
    args = ("sandbox", "--mailchimp-port", "0", "--civicrm-port", "0")
    with bedrock.start(*args) as process:
        try:
            assert process.stderr is not None
            told = [process.stderr.readline().strip() for _ in range(6)]
            variables = dict(line.removeprefix("export ").split("=") for line in told[3:5])
            (command,) = [line for line in told if line.startswith("mcsync init ")]
            terminal = Terminal(bedrock, *shlex.split(command)[2:], **variables)
            terminals.append(terminal)
            terminal.answers(KEY, "", "")
            terminal.answers("Enter: refresh", "1")
            terminal.answers("Enter: none", "")
            terminal.answers("Enter: no webhooks", "")
            terminal.answers("Write it?", "")
            assert terminal.ends() == 0, terminal.shown
            for next_command in ("fetch", "sync --dry-run", "sync --wait"):
                assert f"mcsync {next_command}" in terminal.shown
                assert bedrock.run(*next_command.split(), env=dict(variables)).code == 0
        finally:
            process.kill()


@needs_terminals
def test_what_is_known_is_not_asked(bedrock: Office, terminals: list[Terminal]):
    town = bedrock.town
    terminal = Terminal(
        bedrock,
        *("--mailchimp-url", town.api_url, "--civicrm-key-env", "CIVI", *MAIN),
        *("--webhook-url", ""),
        CIVI=town.civicrm.api_key,
        MAILCHIMP_API_KEY=API_KEY,
        MCSYNC_CIVICRM_URL=town.civicrm_server.url,
    )
    terminals.append(terminal)
    terminal.answers("Address of CiviCRM", "")
    terminal.answers(KEY, "")
    terminal.answers("Enter: none", "")
    terminal.answers("Write it?", "")
    assert terminal.ends() == 0, terminal.shown
    blob = json.loads(bedrock.config.read_text())
    assert blob["civicrm"] == {"url": "${MCSYNC_CIVICRM_URL}", "apiKey": "${CIVI}"}
    assert list(blob["accounts"]) == ["${MAILCHIMP_API_KEY}"]


@needs_terminals
def test_a_key_without_data_centre_needs_an_address(bedrock: Office, terminals: list[Terminal]):
    town = bedrock.town
    options = ("--civicrm-url", town.civicrm_server.url, *MAIN)
    options += ("--interest", f"{INTEREST}={INTEREST_GROUP}", "--keys", "environment")
    terminal = Terminal(bedrock, *options, "--webhook-url", "")
    terminals.append(terminal)
    terminal.answers(KEY, town.civicrm.api_key)
    town.mailchimp.accounts["keyWithoutCentre"] = town.mailchimp.accounts[API_KEY]
    terminal.answers(KEY, "keyWithoutCentre")
    terminal.answers("Enter: type the key again", "")
    terminal.answers(KEY, API_KEY.partition("-")[0])
    terminal.answers("Enter: type the key again", town.api_url)
    terminal.sees("Mailchimp at 127.0.0.1")
    terminal.child.sendintr()
    assert terminal.ends() == 130
    assert not bedrock.config.exists()


@needs_terminals
@pytest.mark.parametrize("after", ["an address", "a key", "an audience", "the last question"])
@pytest.mark.parametrize("how", ["Ctrl-C", "Ctrl-D"])
def test_leaving_in_the_middle_writes_nothing(
    bedrock: Office, terminals: list[Terminal], after: str, how: str
):
    town = bedrock.town
    terminal = Terminal(bedrock, "--mailchimp-url", town.api_url)
    terminals.append(terminal)
    way = [
        ("an address", "Address of CiviCRM", town.civicrm_server.url),
        ("a key", KEY, town.civicrm.api_key),
        ("", KEY, API_KEY),
        ("an audience", "Enter: all", "1"),
        ("", "Enter: refresh", "1"),
        ("", "Enter: none", ""),
        ("", "Enter: no webhooks", ""),
        ("", "Number (Enter: 1)", ""),
        ("the last question", "Write it?", ""),
    ]
    for step, question, answer in way:
        if step == after:
            terminal.asks(question)
            terminal.child.sendintr() if how == "Ctrl-C" else terminal.child.sendeof()
            break
        terminal.answers(question, answer)
    assert terminal.ends() == 130
    where = "by SIGINT" if how == "Ctrl-C" else "at a question"
    assert f"\nstopped {where}; nothing was written" in terminal.shown.replace("\r", "")
    assert os.listdir(bedrock.home) == []


@needs_terminals
def test_a_key_in_the_wrong_place_is_not_shown_again(bedrock: Office, terminals: list[Terminal]):
    """What the terminal itself echoes is wiped at once; nothing that is said repeats it."""
    terminal = Terminal(bedrock, "--mailchimp-url", bedrock.town.api_url)
    terminals.append(terminal)
    terminal.answers("Address of CiviCRM", API_KEY)
    terminal.sees("looked like a key, and is forgotten")
    terminal.answers("Address of CiviCRM", bedrock.town.civicrm_server.url)
    terminal.sees("for 10 s at most ... it answers.")
    terminal.answers(KEY, API_KEY)
    terminal.sees("an API key of Mailchimp; it was sent nowhere")
    terminal.asks(KEY)
    assert terminal.shown.count(API_KEY) == 1
    assert f"{API_KEY}\r\n\x1b[1A\x1b[J" in terminal.shown
    sent = [each.request for each in bedrock.town.civicrm_server.requests]
    assert all(API_KEY not in str(request.headers) for request in sent)


@needs_terminals
def test_a_name_that_looks_like_a_key_can_be_typed(bedrock: Office, terminals: list[Terminal]):
    town = bedrock.town
    for name in ("Friends-of-the-Library-2026", "Friends-of-the-Library-2025"):
        town.civicrm.add_group(name)
    terminal = Terminal(
        bedrock, "--mailchimp-url", town.api_url, "--civicrm-url", town.civicrm_server.url
    )
    terminals.append(terminal)
    terminal.answers(KEY, town.civicrm.api_key)
    terminal.answers(KEY, API_KEY)
    terminal.answers("Enter: all", "Main_audience_since_2019")
    terminal.sees("looked like a key")
    terminal.answers("Enter: all", "1")
    terminal.answers("Enter: refresh", API_KEY)
    terminal.sees("looked like a key")
    terminal.answers("Enter: refresh", "friends-of-the-library-2026")
    terminal.sees("Friends-of-the-Library-2026 (group")
    terminal.asks("Enter: none")
    assert terminal.shown.count("looked like a key") == 2


def test_a_key_given_as_an_option_is_not_repeated(bedrock: Office):
    for option in ("--civicrm-url", "--civicrm-key-env", "--webhook-url", "--mailchimp-url"):
        said = by_options(bedrock, *MAIN, option, API_KEY)
        assert said.code == 2
        assert API_KEY not in said.out + said.err


def test_an_address_that_does_not_answer_is_given_up_and_not_tried_again(
    bedrock: Office, monkeypatch: pytest.MonkeyPatch
):
    """Whoever accepts a connection and says nothing gets 10 s; here one."""
    assert services.PATIENCE_S == 10
    monkeypatch.setattr(services, "PATIENCE_S", 1.0)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        begun = time.monotonic()
        said = by_options(
            bedrock, *MAIN, "--civicrm-url", f"http://127.0.0.1:{mute.getsockname()[1]}"
        )
        assert 0.9 < time.monotonic() - begun < 5
    assert said.code == 69
    assert "did not answer within 1 s" in said.err
    assert "nothing was written; check the address" in said.err


def test_an_address_that_never_finishes_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(services, "PATIENCE_S", 1.0)
    begun = time.monotonic()
    with dripping() as url:
        with pytest.raises(RemoteUnavailable, match="had not finished its answer after 1 s"):
            services.find_site(url)
        with pytest.raises(RemoteUnavailable, match="had not finished its answer after 1 s"):
            services.open_account(API_KEY, url)
    assert time.monotonic() - begun < 8


def test_what_is_asked_later_has_time_of_its_own(bedrock: Office, monkeypatch: pytest.MonkeyPatch):
    account = services.open_account(API_KEY, bedrock.town.api_url)
    http = vars(account.mailchimp)["_http"]
    monkeypatch.setattr(http, "_ends_at", time.monotonic() - 60)  # somebody had to think
    assert list(account.fetch_interests(LIST)) == [INTEREST]


@needs_terminals
def test_no_is_taken_for_an_answer(bedrock: Office, terminals: list[Terminal]):
    options = ("--mailchimp-url", bedrock.town.api_url, *MAIN, "--webhook-url", "")
    options += ("--civicrm-url", bedrock.town.civicrm_server.url)
    options += ("--interest", f"{INTEREST}={INTEREST_GROUP}", "--keys", "file")
    terminal = Terminal(bedrock, *options)
    terminals.append(terminal)
    terminal.answers(KEY, bedrock.town.civicrm.api_key)
    terminal.answers(KEY, API_KEY)
    terminal.answers("Write it?", "n")
    assert terminal.ends() == 130
    assert "not written, as you asked" in terminal.shown
    assert os.listdir(bedrock.home) == []


@needs_terminals
def test_a_key_that_stays_wrong_ends_it(bedrock: Office, terminals: list[Terminal]):
    terminal = Terminal(bedrock, "--civicrm-url", bedrock.town.civicrm_server.url)
    terminals.append(terminal)
    terminal.answers(KEY, "wrong-1", "wrong-2", "wrong-3")
    assert terminal.ends() == 77
    assert "error: " in terminal.shown
    assert "refused the API key" in terminal.shown
    assert not bedrock.config.exists()


@needs_terminals
def test_a_site_key_is_asked_for_where_it_is_wanted(bedrock: Office, terminals: list[Terminal]):
    town = bedrock.town
    town.civicrm.revoke("authenticate with api key")
    options = ("--mailchimp-url", town.api_url, "--civicrm-url", town.civicrm_server.url)
    options += ("--interest", f"{INTEREST}={INTEREST_GROUP}", "--webhook-url", "")
    terminal = Terminal(bedrock, *options, *MAIN)
    terminals.append(terminal)
    terminal.answers(KEY, town.civicrm.api_key)
    terminal.sees("not log in with an API key alone")
    terminal.asks("\nSite key (Enter: none, try again): ")
    terminal.child.waitnoecho()
    terminal.child.sendline(town.civicrm.site_key)
    terminal.answers(KEY, API_KEY)
    terminal.answers("Number (Enter: 1)", "2")
    terminal.answers("Write it?", "y")
    terminal.sees("set MCSYNC_CIVICRM_API_KEY, MCSYNC_CIVICRM_SITE_KEY, MAILCHIMP_API_KEY in its")
    assert terminal.ends() == 0, terminal.shown
    assert town.civicrm.site_key not in terminal.shown + bedrock.config.read_text()


@needs_terminals
def test_permissions_that_are_missing_are_named_together_e5(
    bedrock: Office, terminals: list[Terminal]
):
    civicrm = bedrock.town.civicrm
    names = ("view all contacts", "edit all contacts", "add contacts")
    for name in names:
        civicrm.revoke(name)
    terminal = Terminal(bedrock, "--civicrm-url", bedrock.town.civicrm_server.url)
    terminals.append(terminal)
    terminal.answers(KEY, civicrm.api_key)
    terminal.sees("does not show every contact")
    terminal.sees('the permissions "view all contacts", "edit all contacts", "add contacts".')
    civicrm.grant("view all contacts")
    civicrm.grant("add contacts")
    terminal.answers(KEY, "")
    terminal.sees("it has 7 groups.")
    terminal.sees("Before the first sync, give the API user's role the permission \"edit all")
    assert "There is none" not in terminal.shown


@needs_terminals
@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_of_keys_is_offered_where_there_is_none(
    bedrock: Office, terminals: list[Terminal], is_there: bool
):
    town = bedrock.town
    if is_there:
        (bedrock.home / "keys.env").write_text("")
    options = ("--mailchimp-url", town.api_url, "--civicrm-url", town.civicrm_server.url, *MAIN)
    terminal = Terminal(
        bedrock, *options, "--interest", f"{INTEREST}={INTEREST_GROUP}", "--webhook-url", ""
    )
    terminals.append(terminal)
    terminal.answers(KEY, town.civicrm.api_key)
    terminal.answers(KEY, API_KEY)
    terminal.answers("Number (Enter: 1)", "3")
    if is_there:
        terminal.sees('"3" matches no number')
        return
    terminal.sees("in keys.env beside it, as $MCSYNC_CIVICRM_API_KEY, $MAILCHIMP_API_KEY")
    terminal.answers("Write it?", "")
    assert terminal.ends() == 0, terminal.shown
    assert bedrock.run("fetch") == Said(0, "", "")


@needs_terminals
def test_with_no_input_a_terminal_is_asked_nothing(bedrock: Office, terminals: list[Terminal]):
    terminal = Terminal(bedrock, "--no-input")
    terminals.append(terminal)
    assert terminal.ends() == 2
    assert "--audience" in terminal.shown


@needs_terminals
def test_among_many_groups_one_is_found_by_its_name(bedrock: Office, terminals: list[Terminal]):
    for number in range(120):
        bedrock.town.civicrm.add_group(f"Chapter {number:03}")
    bedrock.town.mailchimp.remove_audience(OTHER_LIST)
    terminal = Terminal(bedrock, "--mailchimp-url", bedrock.town.api_url)
    terminals.append(terminal)
    terminal.answers("Address of CiviCRM", bedrock.town.civicrm_server.url)
    terminal.answers(KEY, bedrock.town.civicrm.api_key)
    terminal.answers(KEY, API_KEY)
    terminal.sees("There is one: Main audience, 1 member.")
    terminal.sees("more; type part of a name to find them")
    terminal.answers("Enter: refresh", "nothing like it")
    terminal.sees("matches no number and no name here")
    terminal.answers("Enter: refresh", "222")  # the id of a group, which is no number here
    terminal.sees("matches no number and no name here")
    terminal.answers("Enter: refresh", "119")
    terminal.sees("1 Chapter 119")  # a number may have been meant, so it chooses nothing
    terminal.answers("Enter: refresh", "CHAPTER 10")
    terminal.sees("10 Chapter 109")
    terminal.answers("Enter: refresh", "4")
    terminal.answers("Enter: none", "")
    terminal.answers("Enter: no webhooks", "")
    terminal.answers("Number (Enter: 1)", "1")
    terminal.sees("Main audience = Chapter 103")
    terminal.answers("Write it?", "y")
    assert terminal.ends() == 0, terminal.shown


@needs_terminals
def test_another_audience_is_asked_for_on_a_terminal(bedrock: Office, terminals: list[Terminal]):
    assert by_options(bedrock, *MAIN, "--keys", "file").code == 0
    terminal = Terminal(bedrock, "--add")
    terminals.append(terminal)
    terminal.sees("Audiences that are not in the config yet")
    terminal.sees("There is one: Other audience")
    terminal.sees("1 Other audience subscribers (group 333)")
    terminal.answers("Enter: refresh", "1")
    terminal.sees('After "lists": {')
    assert terminal.ends() == 0, terminal.shown
    assert "Main audience subscribers" not in terminal.shown
