"""Commands that only look at the cache answer wherever the keys are not."""

import json

import pytest

from tests.cli.conftest import API_KEY, LIST, Office, Said

KEYS = {"MAILCHIMP_API_KEY": API_KEY}
LOOKING = (
    *("status", "report", "explain wilma@bedrock.example", "history"),
    *("resync wilma@bedrock.example", "snapshot DIR", "undo --dry-run"),
)


def split(office: Office, command: str) -> list[str]:
    """The words of a command; DIR is a folder of the office's."""
    return command.replace("DIR", str(office.folder / "kept")).split()


@pytest.fixture
def keyless(office: Office) -> Office:
    """A config without a key in it, and a cache from a sync that had them."""
    account = office.town.make_config()["accounts"][API_KEY]
    civicrm = {"url": "${CIVICRM_URL}", "apiKey": f"${{command:cat {office.folder}/civi.key}}"}
    lists = {LIST: {**office.town.lists[LIST], "apiKey": "${MAILCHIMP_API_KEY}"}}
    accounts = {"${MAILCHIMP_API_KEY}": {**account, "apiKey": "${MAILCHIMP_API_KEY}"}}
    office.write_config(civicrm=civicrm, lists=lists, accounts=accounts)
    (office.folder / "civi.key").write_text(office.town.civicrm.api_key)
    environ = {**KEYS, "CIVICRM_URL": office.town.civicrm_server.url}
    assert office.run("sync", "--wait", env=environ) == Said(0, "", "")
    (office.folder / "civi.key").unlink()
    return office


@pytest.mark.parametrize("command", LOOKING)
def test_they_answer_b14(keyless: Office, command: str) -> None:
    asked = keyless.town.requests
    said = keyless.run_process(*split(keyless, command), "--json")
    assert (said.code, said.err) == (0, "")
    assert said.document["error"] is None
    assert keyless.town.requests == asked


def test_status_knows_the_names_b14(keyless: Office) -> None:
    (audience,) = keyless.run("status", "--json").document["audiences"]
    assert (audience["name"], audience["state"]) == ("Main audience", "in sync")


@pytest.mark.parametrize("command", ["sync", "fetch", "check", "serve", "webhook"])
def test_others_say_what_they_miss_b14(keyless: Office, command: str) -> None:
    said = keyless.run(command, "--json")
    assert said.code == 78
    problems = json.dumps(said.document["error"]["problems"])
    assert "${MAILCHIMP_API_KEY} is not set in the environment" in problems
    assert "${command:cat} ended with exit code 1" in problems


def test_who_looks_asks_no_program_for_the_source_of_contacts(office: Office) -> None:
    assert office.run("sync", "--wait").code == 0
    marker = office.folder / "was-run"
    source = f"${{command:touch {marker}}}"
    lists = {LIST: {**office.town.lists[LIST], "contactSource": source}}
    for changes in ({"defaults": {"contactSource": source}}, {"lists": lists}):
        office.write_config(**changes)
        for command in LOOKING:
            assert office.run(*split(office, command)).code == 0, command
        assert not marker.exists()


def test_completing_a_list_runs_nothing_b14(office: Office) -> None:
    marker = office.folder / "was-run"
    office.write_config(
        civicrm={"url": "${U}", "apiKey": f"${{command:touch {marker}}}"},
        cache=f"${{command:touch {marker}}}",
    )
    complete = {"_MCSYNC_COMPLETE": "bash_complete", "COMP_WORDS": "mcsync status --list "}
    said = office.run_process(env={**complete, "COMP_CWORD": "3"})
    assert said.out == f"plain,{LIST}\n"
    assert not marker.exists()


def test_a_file_of_variables_is_read_by_every_command(keyless: Office) -> None:
    (keyless.folder / "civi.key").write_text(keyless.town.civicrm.api_key)
    (keyless.folder / "civi.key").chmod(0o600)
    url = keyless.town.civicrm_server.url
    keyless.write_config(environmentFile="keys.env")
    (keyless.folder / "keys.env").write_text(
        f"# keys\nMAILCHIMP_API_KEY='{API_KEY}'\nCIVICRM_URL={url}\n"
    )
    (keyless.folder / "keys.env").chmod(0o600)
    for command in ("sync --wait", "check --json", "check --account ${MAILCHIMP_API_KEY}"):
        said = keyless.run_process(*command.split())
        assert (said.code, said.err) == (0, ""), command
    assert '"apiKey": "${MAILCHIMP_API_KEY}"' in said.out
    assert API_KEY not in said.out
