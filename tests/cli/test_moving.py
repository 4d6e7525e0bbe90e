"""mcsync init --from: the extension's config blob becomes one of mcsync's own."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mcsync.cli.init import services
from mcsync.config import load_config
from mcsync.config.environment_file import parse_environment
from mcsync.sandbox.server import LoopbackServer
from mcsync.sandbox.town import API_KEY, OTHER_API_KEY, Town
from tests.cli.conftest import GROUP, INTEREST, LIST, OTHER_GROUP, OTHER_LIST, Office, Said
from tests.cli.test_init import KEY, NOBODY, Terminal, needs_terminals
from tests.door import Door

BLOB = (Path(__file__).parents[1] / "unit" / "documents_blob.json.txt").read_text(encoding="utf-8")
ITS_KEY = re.search(r"b{32}-us11", BLOB)
ITS_GROUP = 22222  # of the interest, in the documents' blob
CIVICRM_KEY = "MCSYNC_CIVICRM_API_KEY"


@pytest.fixture
def bedrock(town: Town, tmp_path: Path) -> Office:
    """What the documents' blob tells of is there, and no config anywhere."""
    office = Office(town, tmp_path / "home", tmp_path / "home")
    town.add_audience(LIST, "Main audience", GROUP, {INTEREST: (ITS_GROUP, "Volunteering")})
    return office


def save_blob(office: Office, blob: object = None) -> Path:
    """The extension's config as its settings page shows it, with the key of the simulator."""
    assert ITS_KEY is not None
    text = BLOB.replace(ITS_KEY.group(), API_KEY) if blob is None else json.dumps(blob)
    path = office.folder / "extension.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def make_blob(office: Office, **changes: Any) -> dict[str, Any]:
    """A blob without slips, of the town's audiences; `changes` go to each of its lists."""
    config: Any = office.town.make_config()
    site = office.town.civicrm_server.url
    for account in config["accounts"].values():
        account["webhookUrl"] = f"{site}/civicrm/mailchimpsync/webhook?secret=redacted"
        account["audiences"] |= {"never": []}
    lists = {key: {**each, **changes} for key, each in config["lists"].items()}
    return {"lists": lists, "accounts": config["accounts"]}


def init_from(office: Office, path: Path, *more: str, **env: str | None) -> Said:
    """`mcsync init --from` off a terminal, with CiviCRM's key in the environment."""
    keys = {CIVICRM_KEY: office.town.civicrm.api_key}
    args = ("init", "--from", str(path), *more)
    return office.run(*args, env={"MCSYNC_CONFIG": str(office.config), **keys, **env})


def by_options(office: Office, path: Path, *more: str, **env: str | None) -> Said:
    """The same for the documents' blob, which tells of other addresses than the simulator's."""
    town = office.town
    urls = ("--civicrm-url", town.civicrm_server.url, "--mailchimp-url", town.api_url)
    return init_from(office, path, *urls, *more, **env)


def load_with_keys(office: Office, name: str = "keys.env") -> Any:
    return load_config(office.config, parse_environment((office.folder / name).read_text()))


# --- the documents' blob --------------------------------------------------------------------------


def test_the_documents_blob_becomes_a_config_as_it_is(bedrock: Office) -> None:
    path = save_blob(bedrock)
    before = path.read_bytes()
    said = by_options(bedrock, path)
    assert said.code == 0, said
    config = load_config(bedrock.config, {})
    (audience,) = config.audiences
    assert (audience.list_id, audience.group_id) == (LIST, GROUP)
    assert dict(audience.interests) == {INTEREST: ITS_GROUP}
    assert path.read_bytes() == before
    assert bedrock.run("fetch") == Said(0, "", "")


def test_its_slips_are_told_with_line_and_column_and_mended(bedrock: Office) -> None:
    said = by_options(bedrock, save_blob(bedrock))
    told = " ".join(said.out.split()).split("extension.json, ")[1:]
    assert [each.partition(";")[0] for each in told] == [
        "line 11, column 13: an extra quote at the end of a string",
        'line 11, column 25: a comma before the closing "}"',
        "line 49, column 23: the string that starts here has no closing quote",
    ]
    assert "read as if it were right, and the file is left as it is" in told[0]


def test_a_slip_that_may_mean_anything_is_only_told(bedrock: Office) -> None:
    path = save_blob(bedrock)
    path.write_text(path.read_text().replace('"subscriptionGroup": ', '"subscriptionGroup" '))
    said = by_options(bedrock, path)
    assert said.code == 78
    assert "extension.json, line 4, column 20: a colon is missing after a key" in said.err
    assert "put a colon at line 4, column 20" in said.err
    assert not bedrock.config.exists()
    assert bedrock.town.requests == 0


def test_its_keys_go_into_a_file_of_their_own(bedrock: Office) -> None:
    said = by_options(bedrock, save_blob(bedrock))
    keys = bedrock.folder / "keys.env"
    assert parse_environment(keys.read_text()) == {
        CIVICRM_KEY: bedrock.town.civicrm.api_key,
        "MAILCHIMP_API_KEY": API_KEY,
    }
    assert [p.stat().st_mode & 0o777 for p in (keys, bedrock.config)] == [0o600, 0o600]
    assert API_KEY not in bedrock.config.read_text() + said.out + said.err
    assert '"apiKey": "${MAILCHIMP_API_KEY}"' in bedrock.config.read_text()


@pytest.mark.parametrize("keys", ["file", "environment"])
def test_its_keys_may_go_elsewhere(bedrock: Office, keys: str) -> None:
    said = by_options(bedrock, save_blob(bedrock), "--keys", keys)
    assert said.code == 0, said
    assert (API_KEY in bedrock.config.read_text()) is (keys == "file")
    assert not (bedrock.folder / "keys.env").exists()


def test_its_webhooks_stay_behind(bedrock: Office) -> None:
    said = by_options(bedrock, save_blob(bedrock))
    text = bedrock.config.read_text()
    assert "mailchimpsync" not in text
    assert "redacted" not in text + said.out
    assert "The addresses of its webhooks are left out" in said.out


def test_the_closing_words_have_the_order_of_the_move(bedrock: Office) -> None:
    said = by_options(bedrock, save_blob(bedrock))
    words = " ".join(said.out.split("Next steps")[1].split())
    steps = (
        *(
            "if the extension's scheduled job is still on, disable it",
            "under way",
            "mcsync sync --dry-run",
        ),
        *("a backup", "mcsync check --fix --replace-extension", "mcsync sync --wait"),
        "mcsync help moving",
    )
    places = [words.index(step) for step in steps]
    assert places == sorted(places)


def test_an_override_stays_behind(bedrock: Office) -> None:
    """It was for one sync of the extension's; the first of ours would trust a side about all."""
    said = by_options(bedrock, save_blob(bedrock))
    assert f"Left out: lists.{LIST}.trustOverride. It would have the first sync trust" in said.out
    assert "trustOverride" not in bedrock.config.read_text()


def test_the_document_tells_what_was_taken(bedrock: Office) -> None:
    path = save_blob(bedrock)
    document = by_options(bedrock, path, "--json").document
    assert document["from"] == str(path)
    assert [(each["line"], each["column"]) for each in document["mended"]] == [
        (11, 13),
        (11, 25),
        (49, 23),
    ]
    assert document["left_out"] == [f"lists.{LIST}.trustOverride"]
    moved_at = datetime.fromisoformat(document["moved_at"])
    assert abs(datetime.now(UTC) - moved_at) < timedelta(minutes=5)
    assert load_with_keys(bedrock).audiences[0].moved_at == moved_at
    assert document["environment_file"] == "keys.env"
    assert document["audiences"][0]["interests"] == {INTEREST: ITS_GROUP}


# --- what is missing, and what is there -----------------------------------------------------------


def test_what_the_blob_does_not_say_is_asked_for(bedrock: Office) -> None:
    said = init_from(bedrock, save_blob(bedrock), **{CIVICRM_KEY: None})
    assert said.code == 2
    assert "1 option is missing" in said.err
    assert "--civicrm-key-env NAME" in said.err
    assert "--audience" not in said.err
    assert "--mailchimp-key-env" not in said.err
    assert list(bedrock.folder.iterdir()) == [bedrock.folder / "extension.json"]


def test_its_webhooks_tell_where_civicrm_is(bedrock: Office) -> None:
    said = init_from(bedrock, save_blob(bedrock, make_blob(bedrock)))
    assert said.code == 0, said
    assert load_with_keys(bedrock).civicrm.url == bedrock.town.civicrm_server.url


def test_civicrms_key_may_come_by_stdin(bedrock: Office) -> None:
    path = save_blob(bedrock, make_blob(bedrock))
    with bedrock.start("init", "--from", str(path), "--read-keys", stdin=-1) as process:
        _, err = process.communicate(f"{bedrock.town.civicrm.api_key}\n", timeout=30)
    assert (process.returncode, err) == (0, "")
    assert bedrock.run("fetch") == Said(0, "", "")


def test_another_key_may_be_given_in_place_of_its(bedrock: Office) -> None:
    """As where the blob was handed on without it."""
    blob = json.loads(json.dumps(make_blob(bedrock)).replace(API_KEY, "redacted"))
    path = save_blob(bedrock, blob)
    assert init_from(bedrock, path).code == 77
    said = init_from(bedrock, path, "--mailchimp-key-env", "MC", MC=API_KEY)
    assert said.code == 0, said
    assert parse_environment((bedrock.folder / "keys.env").read_text())["MC"] == API_KEY


def test_an_existing_config_is_left_as_it_is(bedrock: Office) -> None:
    path = save_blob(bedrock)
    bedrock.config.write_text("mine")
    assert by_options(bedrock, path).code == 78
    assert bedrock.config.read_text() == "mine"
    bedrock.config.unlink()
    (bedrock.folder / "keys.env").write_text("MINE=1\n")
    said = by_options(bedrock, path)
    assert said.code == 78
    assert "keys.env exists already" in said.err
    assert (bedrock.folder / "keys.env").read_text() == "MINE=1\n"
    assert not bedrock.config.exists()
    assert bedrock.town.requests == 0
    assert "init --from" not in by_options(bedrock, path, "--config", str(path)).out
    assert "exists already" in by_options(bedrock, path, "--config", str(path)).err


def test_all_its_accounts_are_taken(bedrock: Office) -> None:
    town = bedrock.town
    town.add_audience(OTHER_LIST, "Other audience", OTHER_GROUP, {}, api_key=OTHER_API_KEY)
    blob = make_blob(bedrock)
    unused = "00000000000000000000000000000000-us9"
    blob["accounts"][unused] = {"apiKey": unused, "account_name": "The old one"}
    said = init_from(bedrock, save_blob(bedrock, blob), MAILCHIMP_API_KEY=OTHER_API_KEY)
    assert said.code == 0, said
    config = load_with_keys(bedrock)
    keys = [account.key.reveal() for account in config.accounts.values()]
    assert keys == [API_KEY, OTHER_API_KEY, unused]
    assert list(config.accounts.values())[2].name == "The old one"
    accounts = [config.accounts[each.account_key].key.reveal() for each in config.audiences]
    assert accounts == [API_KEY, OTHER_API_KEY]
    text = bedrock.config.read_text()
    assert not any(key in text for key in keys)
    bedrock.config.unlink()
    (bedrock.folder / "keys.env").unlink()
    path = bedrock.folder / "extension.json"
    said = init_from(bedrock, path, "--mailchimp-key-env", "MC", MC=API_KEY)
    assert said.code == 2
    assert "extension.json has 2 accounts, but one key or address was given" in said.err


def test_what_is_gone_is_kept_and_told_by_the_check(bedrock: Office) -> None:
    blob = make_blob(bedrock)
    blob["lists"]["zzzzzzzzzz"] = {"subscriptionGroup": "999", "apiKey": API_KEY}
    said = init_from(bedrock, save_blob(bedrock, blob), "--json")
    assert said.code == 0, said
    codes = {each["code"] for each in said.document["findings"]}
    assert {"list-gone", "group-gone"} <= codes
    assert len(load_with_keys(bedrock).audiences) == 2


def test_what_mcsync_has_no_use_for_is_left_out_and_told(bedrock: Office) -> None:
    blob = {**make_blob(bedrock, oddity=1), "version": 3}
    said = init_from(bedrock, save_blob(bedrock, blob))
    assert said.code == 0, said
    assert f"no use for them: version, lists.{LIST}.oddity" in " ".join(said.out.split())
    assert "oddity" not in bedrock.config.read_text()


def test_webhooks_wait_for_the_switching_over(bedrock: Office) -> None:
    """Their address answers: any other init would have them made at once."""
    with LoopbackServer(Door()) as server:
        path = save_blob(bedrock, make_blob(bedrock))
        said = init_from(bedrock, path, "--webhook-url", f"{server.url}/mcsync")
    assert said.code == 0, said
    assert bedrock.town.mailchimp.audiences[LIST].webhooks == {}
    assert f"{server.url}/mcsync/webhook?secret=" in bedrock.config.read_text()


def test_a_mailchimp_that_does_not_answer_leaves_nothing_behind(
    bedrock: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "PATIENCE_S", 0.2)
    said = by_options(bedrock, save_blob(bedrock), "--mailchimp-url", f"{NOBODY}/3.0")
    assert said.code == 69
    assert "nothing was written" in said.err
    assert list(bedrock.folder.iterdir()) == [bedrock.folder / "extension.json"]


# --- what does not go together --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--audience", "a=b"), "init --from takes no --audience and no --interest"),
        (("--interest", "a=b"), "init --from takes no --audience and no --interest"),
        (("--add",), "init --add does not take --from"),
    ],
    ids=["audience", "interest", "add"],
)
def test_options_that_the_blob_answers_are_refused(
    bedrock: Office, args: tuple[str, ...], told: str
) -> None:
    said = by_options(bedrock, save_blob(bedrock), *args)
    assert said.code == 2
    assert told in said.err


def test_a_config_of_mcsync_needs_no_init(bedrock: Office) -> None:
    said = init_from(bedrock, save_blob(bedrock, bedrock.town.make_config()))
    assert said.code == 78
    assert "is a config of mcsync already" in said.err


def test_a_blob_that_is_not_there(bedrock: Office) -> None:
    assert init_from(bedrock, bedrock.folder / "nowhere.json").code == 78


# --- on a terminal --------------------------------------------------------------------------------


@pytest.fixture
def terminal(bedrock: Office) -> Iterator[Terminal]:
    path = save_blob(bedrock, make_blob(bedrock, subscriptionGroup=OTHER_GROUP))
    found = Terminal(bedrock, "--from", str(path))
    yield found
    found.child.close(force=True)


@needs_terminals
def test_on_a_terminal_only_civicrm_is_asked_for(bedrock: Office, terminal: Terminal) -> None:
    terminal.sees("Press Enter for")
    terminal.sees("from the extension's webhooks")
    terminal.answers("Address of CiviCRM", "")
    terminal.answers(KEY, bedrock.town.civicrm.api_key)
    terminal.sees("Logged in to Mailchimp: Bedrock Gazette")
    terminal.answers("Enter: no webhooks", "")
    terminal.answers("Number (Enter: 1)", "3")
    terminal.sees(f"Main audience = not found in CiviCRM (group {OTHER_GROUP})")
    terminal.sees("Topics: Volunteering = Volunteering")
    terminal.sees("The addresses of its webhooks are left out")
    terminal.answers("Write it? [Y/n]", "y")
    assert terminal.ends() == 0, terminal.shown
    assert "group-gone" in terminal.shown
    assert API_KEY not in terminal.shown + bedrock.config.read_text()
    assert len(load_with_keys(bedrock).audiences) == 1
