"""Who else is told: a program that gets a document, and an address that is pinged."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mcsync import notify
from mcsync.docs import read_sample
from mcsync.lock import hold_lock
from mcsync.sandbox.server import Fault, LoopbackServer, Request, Response
from tests.cli.conftest import CALAMITIES, GROUP, LIST, Office, Said
from tests.door import dripping

SAY = "import sys; sys.stdin.read(); print('out'); sys.exit({code})"


@dataclass
class Monitor:
    """What is pinged; it answers with `status`."""

    status: int = 200
    requests: list[Request] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(self.status, headers={"Location": "https://example.org/"})

    def date_header(self) -> str:
        return "Fri, 12 Jun 2026 06:00:00 GMT"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


@pytest.fixture
def monitor(office: Office) -> Iterator[Monitor]:
    found = Monitor()
    server = LoopbackServer(found)
    server.start()
    office.write_config(notify={"pingUrl": f"{server.url}/ping/0123-abcd"})
    yield found
    server.stop()


def keep(office: Office, path: Path, **more: object) -> None:
    """Have a program write what it is told into a file."""
    code = f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read() + '\\n')"
    office.write_config(notify={"command": [sys.executable, "-c", code], **more})


# --- pinging --------------------------------------------------------------------------------------


def test_a_run_is_pinged_when_it_begins_and_when_it_ends_well(office: Office, monitor: Monitor):
    assert office.run("sync", "--wait") == Said(0, "", "")
    assert monitor.paths == ["/ping/0123-abcd/start", "/ping/0123-abcd"]
    start, end = monitor.requests
    assert start.body == b""
    numbers = json.loads(end.body)
    assert (numbers["exit_code"], numbers["audiences"], numbers["held"]) == (0, 1, 0)
    assert numbers["operations_ok"] > 0
    assert all(isinstance(number, int) for number in numbers.values())


@pytest.mark.parametrize("name", ["no answer", "a bug", "too many unsubscribes", "a refused key"])
def test_a_run_that_fails_is_pinged_with_its_exit_code(
    office: Office,
    monitor: Monitor,
    name: str,
    request: pytest.FixtureRequest,
    no_pauses: list[float],
):
    calamity = CALAMITIES[name]
    calamity.prepare(office, request)
    monitor.requests.clear()
    assert office.run("sync", bug=name == "a bug").code == calamity.code
    assert monitor.paths == ["/ping/0123-abcd/start", "/ping/0123-abcd/fail"]
    assert json.loads(monitor.requests[1].body)["exit_code"] == calamity.code


def test_who_finds_the_lock_held_pings_nothing(office: Office, monitor: Monitor):
    with hold_lock(office.cache):
        assert office.run("sync").code == 75
    assert monitor.paths == []


def test_neither_a_dry_run_nor_a_stage_that_is_not_the_last_pings(office: Office, monitor: Monitor):
    for args in (("sync", "--dry-run"), ("fetch",), ("reconcile",), ("submit",), ("status",)):
        assert office.run(*args).code == 0
    assert monitor.paths == []
    assert office.run("process-batches", "--wait").code == 0
    assert len(monitor.paths) == 2


@pytest.mark.parametrize(("status", "words"), [(404, "HTTP 404"), (500, "500"), (302, "redirects")])
def test_a_ping_that_fails_is_a_warning_without_the_secret(
    office: Office, monitor: Monitor, no_pauses: list[float], status: int, words: str
):
    monitor.status = status
    said = office.run("sync", "-vv")
    assert said.code == 0
    (line,) = [line for line in said.err.splitlines() if " WARNING " in line]
    assert words in line
    assert "0123-abcd" not in said.err
    assert len(monitor.paths) == 2, "not tried again"
    assert no_pauses == []
    assert office.run("sync") == Said(0, "", "")


def test_nobody_at_the_address_is_no_service_that_is_down(office: Office, no_pauses: list[float]):
    office.write_config(notify={"pingUrl": "http://127.0.0.1:9/x"})
    said = office.run("sync", "--json")
    assert (said.code, said.document["error"]) == (0, None)
    assert said.document["audiences"][0]["troubles"] == []
    assert "notify.pingUrl at 127.0.0.1:9" in said.err
    assert no_pauses == []


def test_an_answer_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notify, "_PING_S", 0.5)
    begun = time.monotonic()
    with dripping() as url:
        assert "had not finished its answer" in notify.ping(url, "", b"")
    assert time.monotonic() - begun < 5


# --- the program ----------------------------------------------------------------------------------


def test_the_program_is_told_nothing_while_all_is_well(office: Office, tmp_path: Path):
    keep(office, tmp_path / "told")
    assert office.run("sync", "--wait") == Said(0, "", "")
    assert not (tmp_path / "told").exists()


def test_the_program_is_told_of_a_bug_as_cron_is(
    office: Office, tmp_path: Path, request: pytest.FixtureRequest
):
    keep(office, tmp_path / "told")
    CALAMITIES["a bug"].prepare(office, request)
    assert office.run("sync", bug=True).code == 70
    document = json.loads((tmp_path / "told").read_text())
    assert document["news"][0]["message"] == "unexpected failure: ZeroDivisionError"


def test_who_is_told_hears_of_a_cache_that_cannot_be_opened(
    office: Office, tmp_path: Path, monitor: Monitor
):
    """In every run: where it would be kept what was told is what is broken."""
    notify = json.loads(office.config.read_text())["notify"]
    keep(office, tmp_path / "told")
    command = json.loads(office.config.read_text())["notify"]["command"]
    office.write_config(notify={**notify, "command": command})
    office.cache.write_bytes(b"no cache at all" * 1000)
    assert office.run("sync", "--dry-run").code == 74
    assert office.run("status").code == 74
    assert not (tmp_path / "told").exists()
    for _ in range(2):
        assert office.run("sync").code == 74
    first, second = (json.loads(line) for line in (tmp_path / "told").read_text().splitlines())
    assert first["news"] == second["news"]
    assert (first["exit_code"], first["news"][0]["kind"]) == (74, "cache-error")
    assert monitor.paths == ["/ping/0123-abcd/fail"] * 2
    assert json.loads(monitor.requests[0].body) == {"exit_code": 74}


def test_no_secret_and_no_address_reach_the_program(
    office: Office, tmp_path: Path, no_pauses: list[float]
):
    keep(office, tmp_path / "told")
    words = f"nobody@example.org may not, with {office.secrets()[0]}"
    body = json.dumps({"title": "No", "status": 403, "detail": words}).encode()
    answer = Response(403, body, {"Content-Type": "application/problem+json"})
    office.town.mailchimp_server.faults.append(Fault(answer=answer, times=None))
    assert office.run("sync").code == 77
    told = (tmp_path / "told").read_text()
    assert "refused the API key" in told
    assert "@" not in told
    assert not [secret for secret in office.secrets() if secret in told]


def test_what_others_wrote_steers_no_terminal_of_who_is_told(office: Office, tmp_path: Path):
    keep(office, tmp_path / "told")
    town = office.town
    town.mailchimp.audiences[LIST].name = "Odd\x1b[31m\n"
    town.civicrm.store.tables["Group"].rows[GROUP]["title"] = "Group\x07\r\n"
    town.civicrm.disable_group(GROUP)
    assert office.run("sync").code == 4
    document = json.loads((tmp_path / "told").read_text())
    (news,) = document["news"]
    message, hint = document["text"].split("\n  ")
    assert (message, hint) == (news["message"], news["hint"])
    assert (message + hint).isprintable()
    with sqlite3.connect(office.cache) as db:
        ((words,),) = db.execute("SELECT troubles FROM audiences").fetchall()
    assert words.isprintable()
    assert office.run("sync").err == "", "told once, and known again"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([sys.executable, "-c", SAY.format(code=3)], "failed with exit code 3"),
        ([sys.executable, "-c", "import sys; sys.exit('no mail today')"], "1: no mail today"),
        (["/no/such/program"], "cannot be run: No such file"),
    ],
)
def test_a_program_that_fails_is_a_warning(office: Office, command: list[str], words: str):
    office.write_config(notify={"command": command})
    office.town.civicrm.disable_group(GROUP)
    said = office.run("sync")
    assert (said.code, said.out) == (4, "")
    (line,) = [line for line in said.err.splitlines() if " WARNING " in line]
    assert f"notify.command {command[0]}" in line
    assert words in line
    assert "is disabled" in said.err


def test_a_program_that_hangs_is_killed_with_what_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(notify, "COMMAND_S", 0.5)
    number = tmp_path / "pid"
    script = f"echo $$ > {number}; sleep 60 & cat; sleep 60"
    assert "was killed" in notify.tell_program(["/bin/sh", "-c", script], b"{}")
    # Whoever is left of its session; the dead may wait to be buried.
    listing = ["ps", "-o", "stat=", "--no-headers", "-g", number.read_text().strip()]
    state = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    assert [each for each in state if not each.startswith("Z")] == []


def test_a_program_need_not_read_what_it_is_told():
    assert notify.tell_program(["/bin/sh", "-c", "exec true"], b"x" * 10_000_000) == ""


@pytest.mark.parametrize(("code", "left"), [(0, ""), (3, ": no mail today")])
def test_what_a_program_leaves_running_is_not_waited_for(tmp_path: Path, code: int, left: str):
    number = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {number}; echo no mail today >&2; exit {code}"
    begun = time.monotonic()
    try:
        said = notify.tell_program(["/bin/sh", "-c", script], b"x" * 1_000_000)
        assert time.monotonic() - begun < 15
        assert said == (
            f"notify.command /bin/sh failed with exit code {code}{left}" if code else ""
        )
        os.kill(int(number.read_text()), 0)  # raises if it was killed
    finally:
        os.kill(int(number.read_text()), signal.SIGKILL)


def test_a_loud_program_takes_no_memory():
    script = "echo no mail today >&2; head -c 50000000 /dev/zero >&2; exit 3"
    tracemalloc.start()
    try:
        said = notify.tell_program(["/bin/sh", "-c", script], b"{}")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert said == "notify.command /bin/sh failed with exit code 3: no mail today"


# --- check --notify -------------------------------------------------------------------------------


def test_check_tries_both_and_says_what_came_of_it(
    office: Office, monitor: Monitor, tmp_path: Path
):
    keep(office, tmp_path / "told", pingUrl=office.options["notify"]["pingUrl"])
    said = office.run("check", "--notify")
    assert said == Said(0, "notify.command: told.\nnotify.pingUrl: told.\n", "")
    assert monitor.paths == ["/ping/0123-abcd"]
    document = json.loads((tmp_path / "told").read_text())
    assert document["news"][0]["kind"] == "test"
    monitor.status = 404
    said = office.run("check", "--notify")
    assert (said.code, said.out) == (3, "notify.command: told.\n")
    assert "notify.pingUrl at 127.0.0.1 answered HTTP 404" in said.err
    document = office.run("check", "--notify", "--json").document
    assert document["notify"]["notify.command"] == {"is_done": True, "trouble": None}
    assert document["notify"]["notify.pingUrl"]["is_done"] is False


def test_check_with_nobody_to_notify_says_what_to_configure(office: Office):
    said = office.run("check", "--notify")
    assert said.code == 2
    assert "the config names nobody to notify" in said.err
    assert office.run("check", "--notify", "--fix").code == 2


# --- the config -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notify_config", "words"),
    [
        ({"command": "mail"}, "notify.command: expected an array"),
        ({"command": [7]}, "notify.command: expected a program"),
        ({"command": ["", "x"]}, "notify.command: expected a program"),
        ({"pingUrl": "ping.example.org/secret-word"}, "notify.pingUrl: expected an address"),
        ({"quietMinutes": -1}, "notify.quietMinutes: expected a number of minutes"),
        ({"pingURL": "https://ping.example.org/secret-word"}, "notify.pingURL: unknown key"),
    ],
)
def test_a_wrong_notify_is_told(office: Office, notify_config: dict[str, object], words: str):
    office.write_config(notify=notify_config)
    said = office.run("sync")
    assert said.code == 78
    assert words in said.err
    assert "secret-word" not in said.err


# --- the sample -----------------------------------------------------------------------------------


def test_the_sample_mails_what_it_is_told(office: Office, tmp_path: Path):
    """With a `mail` that keeps what it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    mail = folder / "mail"
    mail.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/to\ncat > {tmp_path}/text\n')
    mail.chmod(0o755)
    program = folder / "mcsync-mail"
    program.write_text(read_sample("notify-mail"))
    program.chmod(0o755)
    office.write_config(notify={"command": [str(program), "office@example.org"]})
    office.town.civicrm.disable_group(GROUP)
    said = office.run("sync", env={"PATH": f"{folder}:{os.environ['PATH']}"})
    assert "notify.command" not in said.err
    to = (tmp_path / "to").read_text()
    assert to.startswith("-s mcsync: Main audience: group 111")
    assert to.endswith(" office@example.org\n")
    text = (tmp_path / "text").read_text()
    assert text.endswith("\n  enable the group, or remove it from the config\n")


# --- on a terminal --------------------------------------------------------------------------------


def test_on_a_terminal_everything_is_told_in_every_run(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    office.town.civicrm.disable_group(GROUP)
    first = office.run("sync")
    assert "is disabled" in first.err
    assert office.run("sync") == Said(4, "", "")
    monkeypatch.setattr("mcsync.cli.output.is_terminal", lambda: True)
    assert office.run("sync").err == first.err


def test_check_has_what_the_last_sync_reported(office: Office):
    office.close_gates(12, of=30)
    assert office.run("sync").code == 4
    said = office.run("check", "--json")
    assert said.code == 3
    (held,) = [f for f in said.document["findings"] if f["code"] == "plan-held"]
    assert "would unsubscribe 12 of" in held["message"]
    assert "--force" in held["hint"]
