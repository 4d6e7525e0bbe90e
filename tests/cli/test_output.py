"""stdout is the answer, stderr the story: silence under cron, and one JSON document with --json."""

import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest

from mcsync import __version__
from mcsync.cache.store import Store
from mcsync.sandbox.server import Fault, Response
from tests.cli.conftest import (
    COMMANDS,
    GROUP,
    LIST,
    SCRIPT,
    Calamity,
    Office,
    Said,
    on_terminal,
)

SILENCE = Said(0, "", "")
COUNTERS = {  # design, section 3
    *("members_fetched", "members_changed", "contacts_matched", "contacts_created"),
    *("civicrm_only_added", "todo", "added_to_group", "removed_from_group", "names_updated"),
    *("updates_queued", "operations_submitted", "batches_submitted", "batches_processed"),
    *("operations_ok", "operations_failed", "asked_to_confirm", "failed", "in_sync"),
}


# --- silence --------------------------------------------------------------------------------------


def test_cron_hears_nothing_when_all_is_well_the_first_time_and_later(office: Office):
    wilma = office.town.civicrm.contacts_by_email("wilma@bedrock.example")[0].id
    assert office.run("sync") == SILENCE
    assert office.run("sync") == SILENCE
    office.town.clock.advance(minutes=1)
    office.town.civicrm.remove_from_group(wilma, GROUP)
    assert office.run("sync") == SILENCE
    assert office.run("sync") == SILENCE
    assert office.statuses()["wilma@bedrock.example"] == "unsubscribed"


def test_the_real_script_under_cron_hears_nothing_either(office: Office):
    assert office.run_process("sync") == SILENCE
    assert office.run_process("sync", "--wait") == SILENCE
    assert office.statuses()["betty@bedrock.example"] == "subscribed"
    assert sorted(os.listdir(office.home)) == []
    files = {name for name in os.listdir(office.folder) if not name.endswith(".copy")}
    assert files <= {"config.json", "mcsync.db", "mcsync.db.lock", "mcsync.db.snapshots"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_stage_is_silent(office: Office, command: str):
    office.run("sync", "--wait")
    assert office.run(command) == SILENCE


@pytest.mark.parametrize("args", [("-v", "sync"), ("sync", "-v"), ("sync", "--verbose")])
def test_v_tells_what_was_done(office: Office, args: tuple[str, ...]):
    said = office.run(*args)
    assert (said.code, said.out) == (0, "")
    assert " INFO Main audience: " in said.err
    assert "submitted" in said.err
    assert "DEBUG" not in said.err


def test_one_is_told_in_good_english(office: Office):
    office.run("sync", "--wait")
    office.town.clock.advance(minutes=1)
    office.town.mailchimp.edit_profile(LIST, "wilma@bedrock.example", "Wilhelmina")
    office.town.civicrm.update_contact(office.add_contact("hoppy@bedrock.example"))
    said = office.run("sync", "-v")
    assert "submitted" in said.err
    assert "batch of 1 operations" not in said.err
    assert " 1 members" not in said.err


def test_vv_tells_every_request(office: Office):
    said = office.run("-vv", "sync")
    assert said.err.count(" DEBUG ") >= office.town.requests > 0


def test_q_says_only_errors(office: Office):
    office.config.chmod(0o644)
    assert "others can read it" in office.run("sync").err
    assert office.run("sync", "-q") == SILENCE
    office.config.unlink()
    said = office.run("sync", "-q")
    assert said.code == 78
    assert said.err.startswith("error: ")
    assert "\nhint: " in said.err


def test_q_wins_over_v_and_the_options_may_be_divided(office: Office):
    assert office.run("-v", "sync", "-q") == SILENCE


def test_what_is_odd_is_warned_of_once_a_day_and_always_in_check(office: Office):
    """Not in every mail of cron's; whoever asks with -v is told each time."""
    office.config.chmod(0o644)
    no = Response(404, b"<html>no</html>", {"Content-Type": "text/html"})
    office.town.civicrm_server.faults.append(Fault(path=r"^/civicrm/", answer=no, times=None))

    def told(*args: str) -> list[bool]:
        err = office.run(*args).err
        return [words in err for words in ("others can read it", "does not answer at clean URLs")]

    assert told("sync", "--wait") == [True, True]
    assert told("sync") == [False, False]
    assert told("sync", "-v") == [True, True]
    found = office.run("check").out
    assert "others can read it" in found
    assert "does not answer at clean URLs" in found
    with closing(Store(office.cache)) as store, store.atomic():
        for about in ("config", "service"):
            at, words = (store.get_state(f"told-{about}") or "").split("\n")
            store.set_state(f"told-{about}", f"2026-01-01T00:00:00Z\n{words}")
            assert at > "2026-01-01"
    assert told("sync") == [True, True]


def test_a_config_that_others_can_read_earns_one_line(office: Office):
    office.config.chmod(0o644)
    said = office.run("sync")
    assert said.code == 0
    assert said.err.count("\n") == 1
    assert " WARNING " in said.err
    assert f"chmod 600 {office.config}" in said.err


# --- a person watches -----------------------------------------------------------------------------


def last_line(shown: str) -> str:
    return shown.rstrip().splitlines()[-1]


def test_on_a_terminal_a_sync_ends_with_a_sentence_an_audience(office: Office):
    shown = on_terminal(office, "sync", "--wait", columns=200)
    assert last_line(shown) == (
        "Main audience: 1 created in CiviCRM, 1 added to the group, 1 removed from the group,"
        " 1 sent to Mailchimp, 1 done there; in sync"
    )
    office.add_other_audience()
    shown = on_terminal(office, "sync", "--wait", columns=200)
    assert shown.rstrip().splitlines()[-2:] == [
        "Main audience: in sync; nothing to do",
        "Other audience: 1 created in CiviCRM, 1 added to the group; in sync",
    ]


def test_on_a_terminal_a_stage_says_what_it_did_and_what_is_left(office: Office):
    office.town.mailchimp.import_member(
        LIST, "left@bedrock.example", status="unsubscribed", left=True
    )
    office.town.clock.advance(minutes=1)
    office.add_contact("left@bedrock.example")
    office.town.mailchimp.settings.batch_delay_polls = None
    assert office.run("fetch") == SILENCE
    ends = {name: last_line(on_terminal(office, name, columns=200)) for name in COMMANDS[1:4]}
    assert ends == {
        "reconcile": "Main audience: 1 created in CiviCRM, 1 added to the group,"
        ' 1 removed from the group, 2 to be sent by "mcsync submit"',
        "submit": "Main audience: 2 sent to Mailchimp, 2 waiting for Mailchimp's results",
        "process-batches": "Main audience: 2 waiting for Mailchimp's results",
    }
    office.town.mailchimp.settings.batch_delay_polls = 0
    assert last_line(on_terminal(office, "sync", "--wait", columns=200)) == (
        "Main audience: 1 sent to Mailchimp, 2 done there, 1 refused there, 1 asked to confirm;"
        " in sync"
    )


def test_a_dry_run_shows_each_audience_by_itself(office: Office):
    office.add_other_audience()
    shown = office.run("sync", "--dry-run").out.splitlines()
    assert [line.partition(":")[0] for line in shown[:3]] == ["Main audience", "Other audience", ""]
    headings = [line for line in shown if line in ("Main audience", "Other audience")]
    assert headings == ["Main audience", "Other audience"]
    assert shown.index("Other audience") > shown.index("Main audience") + 5


def test_on_a_terminal_nothing_more_is_said_where_nobody_wants_it(office: Office):
    assert on_terminal(office, "sync", "--wait", "-q") == ""
    assert json.loads(last_line(on_terminal(office, "sync", "--json", columns=2000)))
    assert "nothing to do" not in on_terminal(office, "sync", "--dry-run")


def test_on_a_terminal_what_is_held_is_told_once(office: Office):
    office.close_gates(count=12, of=12)
    shown = on_terminal(office, "sync")
    assert shown.count("held") == 1
    assert "nothing to do" not in shown


# --- where options may stand ----------------------------------------------------------------------


def test_global_options_stand_before_or_after_the_command(office: Office, tmp_path):
    other = str(tmp_path / "other.db")
    unset = {"MCSYNC_CONFIG": None}
    options = ["--config", str(office.config), "--cache", other, "--list", LIST, "--json"]
    before = office.run(*options, "fetch", env=unset)
    after = office.run("fetch", *options, env=unset)
    assert before.code == after.code == 0
    assert before.document["command"] == after.document["command"] == "fetch"
    assert [a["list_id"] for a in after.document["audiences"]] == [LIST]
    assert not office.cache.exists()


def test_an_option_after_the_command_wins(office: Office, tmp_path):
    wrong = str(tmp_path / "no-such.json")
    unset = {"MCSYNC_CONFIG": None}
    found = office.run("--config", wrong, "fetch", "--config", str(office.config), env=unset)
    assert found == SILENCE
    assert office.run("--config", str(office.config), "fetch", "--config", wrong).code == 78


def test_version_and_help_need_no_config(office: Office):
    office.config.unlink()
    assert office.run_process("--version") == Said(0, f"mcsync {__version__}\n", "")
    for command in COMMANDS:
        said = office.run(command, "--help")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"Usage: mcsync {command} [OPTIONS]")
        assert "Example" in said.out


@pytest.mark.parametrize("request_for", ["--help", "--version"])
def test_help_and_version_with_json_are_still_one_thing_on_stdout(office: Office, request_for: str):
    said = office.run(request_for, "--json")
    assert said.code == 0
    plain = office.run(request_for)
    assert said.out == plain.out or isinstance(json.loads(said.out), dict)


# --- --json ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_json_of_a_success(office: Office, command: str):
    office.run("sync", "--wait")
    said = office.run(command, "--json")
    assert (said.code, said.err) == (0, "")
    document = said.document
    assert document | {"audiences": []} == document | {
        "schema": 1,
        "command": command,
        "exit_code": 0,
        "dry_run": False,
        "audiences": [],
        "error": None,
    }
    (audience,) = document["audiences"]
    assert audience.keys() >= {"list_id", "name", "group_id", *COUNTERS}
    assert (audience["list_id"], audience["name"], audience["group_id"]) == (
        LIST,
        "Main audience",
        GROUP,
    )


def test_json_counts_what_was_done(office: Office):
    (audience,) = office.run("sync", "--wait", "--json").document["audiences"]
    assert audience == audience | {
        "list_id": LIST,
        "name": "Main audience",
        "group_id": GROUP,
        "members_fetched": 5,
        "members_changed": 5,
        "contacts_matched": 4,  # all but Barney
        "contacts_created": 1,  # Barney
        "civicrm_only_added": 1,  # Betty
        "todo": 6,
        "added_to_group": 1,  # Barney
        "removed_from_group": 1,  # Dino
        "names_updated": 0,
        "updates_queued": 1,  # Betty
        "operations_submitted": 1,
        "batches_submitted": 1,
        "batches_processed": 1,
        "operations_ok": 1,
        "operations_failed": 0,
        "asked_to_confirm": 0,
        "failed": 0,
        "in_sync": True,
    }
    (audience,) = office.run("sync", "--json").document["audiences"]
    # Those whom the first run wrote are seen once more, and found right.
    done = COUNTERS - {"members_fetched", "todo", "in_sync"}
    assert {name: audience[name] for name in done} == dict.fromkeys(done, 0)


def test_json_is_one_document_in_every_outcome(office: Office, calamity: Calamity):
    said = office.run("sync", "--json", *calamity.args, bug=calamity.kind == "bug")
    assert said.code == calamity.code
    assert said.out.count("\n") == 1
    document = said.document
    assert document.keys() >= {"schema", "command", "exit_code", "dry_run", "audiences", "error"}
    assert (document["schema"], document["exit_code"]) == (1, calamity.code)
    assert (document["command"], document["dry_run"]) == ("sync", False)
    error = document["error"]
    assert error is not None, "a script that reads `error` takes null for a success"
    assert error.keys() >= {"kind", "message", "hint"}
    assert calamity.says in error["message"]
    assert calamity.hint in (error["hint"] or "")
    assert "\n" not in error["message"]
    if calamity.code not in (70, 130, 143):  # design and style name no kind for these
        assert error["kind"] == calamity.kind
    assert error["kind"] == error["kind"].lower().replace("_", "-")
    for key in office.secrets():
        assert key not in said.out + said.err


def test_json_says_nothing_of_the_error_on_stderr(office: Office, calamity: Calamity):
    """What is in the document is not told a second time, as cron would mail it."""
    said = office.run("sync", "--json", *calamity.args, bug=calamity.kind == "bug")
    assert "error: " not in said.err
    assert "hint: " not in said.err


def test_json_of_no_command_and_of_an_unknown_one(office: Office):
    for args in (("--json",), ("--json", "sink")):
        said = office.run(*args)
        assert said.code == 2
        assert said.err == ""
        assert said.document["error"]["kind"] == "usage-error"


def test_json_of_a_name_in_any_script_on_a_terminal_of_any_encoding(office: Office):
    office.town.mailchimp.audiences[LIST].name = "Nachrichten für Łódź ☃"
    office.write_config()
    said = office.run_process("fetch", "--json", env={"PYTHONIOENCODING": "ascii"})
    assert said.code == 0
    assert said.document["audiences"][0]["name"] == "Nachrichten für Łódź ☃"


# --- streams that are not there -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "redirect"),
    [
        ("sync", ">&-"),
        ("sync", "2>&-"),
        ("sync", "<&- >&- 2>&-"),
        ("sync --json", ">&-"),
        ("sync --json", "2>&-"),
        ("sync --json", ">/dev/full"),
    ],
)
def test_a_closed_or_full_stream_never_stops_the_sync(office: Office, redirect: str, args: str):
    command = f"{SCRIPT} {args} {redirect}"
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", command],
        env=office.environ(),
        cwd=office.home,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert office.statuses()["betty@bedrock.example"] == "subscribed"
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode != 1, "1 is never ours"
    if args == "sync":
        assert done.returncode == 0


@pytest.mark.parametrize("config_is_there", [True, False])
def test_a_reader_who_has_seen_enough_gets_no_traceback(office: Office, config_is_there: bool):
    if not config_is_there:
        office.config.unlink()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        said = office.run_process("sync", "--json", stdout=writing)
    finally:
        os.close(writing)
    assert said.code != 1, "1 is never ours"
    assert said.err == ""


@pytest.mark.parametrize("redirect", [">/dev/full", "2>/dev/full", "2>&-", ">/dev/full 2>&-"])
def test_a_code_is_kept_unless_the_answer_is_lost(office: Office, redirect: str):
    """A success whose document nobody got is none; a failure stays what it was."""

    def code(args: str) -> int:
        return subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", f"{SCRIPT} {args} {redirect}"],
            env=office.environ(),
            cwd=office.home,
            capture_output=True,
            timeout=30,
            check=False,
        ).returncode

    loses_it = redirect.startswith(">")
    assert code("fetch --json") == (74 if loses_it else 0)
    assert code("--version") == (74 if loses_it else 0)
    office.config.unlink()
    assert code("fetch") == 78
    assert code("fetch --json") == 78


def test_a_trouble_is_told_though_the_answer_is_lost(office: Office):
    """The next run would not tell it again."""
    office.close_gates(12, of=30)
    office.town.civicrm.add_to_group(office.add_contact("fresh@quarry.example"), GROUP)
    with open("/dev/full", "w") as full:
        said = office.run_process("sync", "--wait", "--print-changes", stdout=full)
    assert said.code == 4, "a failure stays what it was"
    assert "cannot write the answer to stdout" in said.err
    assert "would unsubscribe 12 of" in said.err


def test_damage_met_by_the_answer_is_the_caches_and_what_the_run_met_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    def stumble(_store: object, _asked: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    office.close_gates(12, of=30)
    monkeypatch.setattr("mcsync.pipeline.changes.find_changes", stumble)
    said = office.run("sync", "--print-changes")
    assert said.code == 74
    assert "cache" in said.err
    assert "would unsubscribe 12 of" in said.err
    error = office.run("sync", "--print-changes", "--json").document["error"]
    assert error["kind"] == "cache-error"


def test_the_document_of_an_end_that_nobody_foresaw_has_a_kind(office: Office, calamity: Calamity):
    error = office.run("sync", "--json", *calamity.args, bug=True).document["error"]
    assert error["kind"] == calamity.kind
    if calamity.code in (130, 143):
        name = "SIGINT" if calamity.code == 130 else "SIGTERM"
        assert (error["message"], error["hint"]) == (
            f"stopped by {name}",
            "the next run continues from here",
        )


def test_help_and_version_are_in_the_document(office: Office):
    assert office.run("--version", "--json").document["version"] == __version__
    document = office.run("sync", "--json", "-h").document
    assert document["command"] == "sync"
    assert document["help"].startswith("Usage: mcsync sync [OPTIONS]")


def test_the_sandbox_tries_the_address_of_a_webhook_as_mailchimp_does(office: Office):
    """Without `mcsync serve` there it takes none."""
    args = ("sandbox", "--json", "--mailchimp-port", "0", "--civicrm-port", "0")
    with office.start(*args) as process:
        try:
            assert process.stdout is not None
            config = json.loads(process.stdout.readline())["config"]
            (account,) = config["accounts"].values()
            account["webhookUrl"] = "http://127.0.0.1:9/webhook?secret=yabba"
            office.config.write_text(json.dumps(config))
            said = office.run("check", "--fix")
        finally:
            process.kill()
    assert said.code == 3
    assert "couldn't verify the URL is working" in said.out


def test_the_sandbox_gives_its_config_at_once_and_nothing_after_it(office: Office):
    args = ("sandbox", "--json", "--mailchimp-port", "0", "--civicrm-port", "0")
    with office.start(*args) as process:
        try:
            assert process.stdout is not None
            document = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert document["config"]["civicrm"]["url"].startswith("http://127.0.0.1:")
    assert (process.returncode, out) == (0, "")
