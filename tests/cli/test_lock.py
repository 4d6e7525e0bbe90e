"""Two runs at once, and runs that are ended from outside."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from mcsync.lock import hold_lock
from mcsync.sandbox.server import LoopbackServer, Request, Response
from tests.cli.conftest import COMMANDS, GIVE_UP_S, Office, Said

SILENCE = Said(75, "", "")


@dataclass
class Bridge:
    """Holds every request that matches until the test lets them pass."""

    path: str
    arrived: threading.Event = field(default_factory=threading.Event)
    may_pass: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def note_done(self, request: Request, _response: Response) -> None:
        """Called when a request has been carried out."""
        if self.path in request.path:
            self.done.set()

    def __call__(self, request: Request) -> None:
        if self.path in request.path:
            self.arrived.set()
            self.may_pass.wait(GIVE_UP_S)


@contextmanager
def held_at(
    office: Office, server: LoopbackServer, path: str, *args: str
) -> Iterator[tuple["subprocess.Popen[str]", Bridge]]:
    """A real process in the middle of a request that is not answered yet."""
    bridge = Bridge(path)
    server.before_request, server.after_request = bridge, bridge.note_done
    process = office.start(*args)
    try:
        assert bridge.arrived.wait(GIVE_UP_S), "it never asked"
        yield process, bridge
    finally:
        server.before_request = None
        bridge.may_pass.set()
        process.kill()
        process.communicate()
        assert bridge.done.wait(GIVE_UP_S)
        server.after_request = None


# --- two at once ----------------------------------------------------------------------------------


def test_of_two_runs_one_works_and_the_other_makes_no_request(office: Office):
    members = "/lists/aaaaaaaaaa/members"
    with held_at(office, office.town.mailchimp_server, members, "sync", "--wait") as (
        first,
        bridge,
    ):
        requests = office.town.requests
        assert office.run_process("sync") == SILENCE
        assert office.town.requests == requests
        bridge.may_pass.set()
        assert first.communicate(timeout=GIVE_UP_S) == ("", "")
        assert first.returncode == 0
    assert office.statuses()["betty@bedrock.example"] == "subscribed"
    assert office.run("sync").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_stage_takes_the_lock(office: Office, command: str):
    before = office.everything()
    with hold_lock(office.cache):
        assert office.run(command) == SILENCE
    assert office.town.requests == 0
    assert office.everything() == before
    assert not office.cache.exists()
    assert office.run("fetch").code == 0


def test_a_young_run_is_no_news_but_may_be_asked_for(office: Office):
    with hold_lock(office.cache):
        said = office.run("sync", "-v")
        assert said.code == 75
        assert " INFO another run (process " in said.err
        document = office.run("sync", "--json").document
    assert document["exit_code"] == 75
    assert document["error"]["kind"] == "lock-held"
    assert document["audiences"] == []


def test_a_run_of_hours_is_a_warning_that_says_what_to_do(office: Office):
    with hold_lock(office.cache):
        since = datetime.now(UTC) - timedelta(hours=5)
        office.cache.with_name("mcsync.db.run").write_text(
            json.dumps({"pid": 4711, "since": since.isoformat()})
        )
        said = office.run("sync")
        assert said.code == 75
        assert said.out == ""
        assert " WARNING " in said.err
        assert "process 4711" in said.err
        assert "5 hours" in said.err
        assert "look at that process" in said.err
        assert office.run("sync", "-q") == SILENCE


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        "{}",
        "half a no",
        '{"pid": 1, "since": "yesterday"}',
        '{"pid": 1, "since": null}',
        '{"pid": 1, "since": "2026-11-22T06:00:00"}',
        '{"since": "2026-11-22T06:00:00+00:00"}',
        '{"pid": 1, "since": "2999-01-01T00:00:00+00:00"}',
        b"\xff\xfe\x00",
    ],
    ids=repr,
)
def test_whatever_the_holder_noted_of_itself_the_code_is_75(office: Office, note: str | bytes):
    with hold_lock(office.cache):
        path = office.cache.with_name("mcsync.db.run")
        path.write_bytes(note if isinstance(note, bytes) else note.encode())
        said = office.run("sync", "-v")
    assert said.code == 75
    assert "another run" in said.err
    assert "-" not in said.err.partition("another run")[2].replace("mcsync.db.lock", "")


def test_one_file_has_one_lock_by_whatever_name_it_is_called(office: Office):
    assert office.run("sync").code == 0
    link = office.home / "link.db"
    link.symlink_to(office.cache)
    with hold_lock(office.cache):
        requests = office.town.requests
        assert office.run("sync", "--cache", str(link)).code == 75
        assert office.town.requests == requests


def test_runs_with_other_caches_do_not_disturb_each_other(office: Office):
    with hold_lock(office.cache):
        other = str(office.folder / "other.db")
        assert office.run("fetch", "--cache", other) == Said(0, "", "")


def test_lock_wait_waits_as_long_as_it_was_told_and_no_longer(office: Office):
    with hold_lock(office.cache):
        begun = time.monotonic()
        assert office.run("sync", "--lock-wait", "0.3") == SILENCE
        assert 0.3 <= time.monotonic() - begun < 5


def test_lock_wait_goes_on_when_the_other_has_ended(office: Office):
    members = "/lists/aaaaaaaaaa/members"
    with held_at(office, office.town.mailchimp_server, members, "sync", "--wait") as (
        first,
        bridge,
    ):
        second = office.start("sync", "--lock-wait", "20", "--json")
        bridge.may_pass.set()
        assert first.wait(GIVE_UP_S) == 0
        out, err = second.communicate(timeout=GIVE_UP_S)
    assert (second.returncode, err) == (0, "")
    assert json.loads(out)["exit_code"] == 0


def test_no_lock_is_ever_stale(office: Office):
    members = "/lists/aaaaaaaaaa/members"
    with held_at(office, office.town.mailchimp_server, members, "sync") as (first, _):
        assert office.run("sync").code == 75
        first.kill()
        first.wait(GIVE_UP_S)
        office.town.mailchimp_server.before_request = None
        assert office.run("sync") == Said(0, "", "")


# --- ended from outside ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("mailchimp", "/lists/aaaaaaaaaa/members"),
        ("mailchimp", "/batches"),
        ("civicrm", "/civicrm/authx/id"),
        ("civicrm", "/civicrm/ajax/api4"),
        ("civicrm", "/civicrm/ajax/api4/Email/get"),  # asked for by a thread of its own
    ],
)
def test_a_signal_ends_a_run_at_once_and_the_next_one_goes_on(
    office: Office, service: str, path: str, number: signal.Signals, code: int
):
    server = getattr(office.town, f"{service}_server")
    with held_at(office, server, path, "sync", "--json") as (process, _):
        process.send_signal(number)
        out, err = process.communicate(timeout=GIVE_UP_S)  # the answer is held for longer
        assert process.returncode == code
        assert "Traceback" not in err
        assert json.loads(out)["exit_code"] == code
        with hold_lock(office.cache):
            pass
        assert not office.cache.with_name("mcsync.db.run").exists()
    # What was under way has been carried out by now, and its answer is lost.
    for _ in range(2):
        said = office.run("sync", "--json")
        assert said.code == 0
    assert office.statuses()["betty@bedrock.example"] == "subscribed"
    assert said.document["audiences"][0]["in_sync"] is True


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice, as `timeout` does"])
def test_sigterm_is_told_in_one_line(office: Office, times: int):
    members = "/lists/aaaaaaaaaa/members"
    with held_at(office, office.town.mailchimp_server, members, "sync") as (process, _):
        for _time in range(times):
            process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=GIVE_UP_S)
    assert err == "stopped by SIGTERM; the next run continues from here\n"
    assert process.returncode == 143


def test_signals_are_as_they_were_after_a_command_in_this_process(office: Office):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert office.run("sync").code == 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_finding_the_lock_held_imports_nothing_that_is_not_needed(office: Office):
    """The budget of 150 ms, without a clock: what is slow to import is not imported."""
    script = (
        "import sys\nfrom mcsync.cli.main import app\n"
        "try:\n    app.main(['sync', '--since', '2026-11-22'])\nexcept SystemExit as end:\n"
        "    print(end.code, *sorted(sys.modules))"
    )
    with hold_lock(office.cache):
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", script],
            env=office.environ(),
            cwd=office.home,
            capture_output=True,
            text=True,
            check=True,
        )
    code, *modules = done.stdout.split()
    assert code == "75"
    slow = {"requests", "sqlite3", "sqlite_utils", "rich", "msgspec", "tenacity", "mcsync.model"}
    assert slow & set(modules) == set()


def test_a_signal_just_before_a_wait_ends_the_wait():
    """As if it had come between the last look for signals and the wait: another thread got it."""
    script = (
        "import os, signal, socket, threading\n"
        "from mcsync.cli.signals import Stopped, catch_signals\n"
        "catch_signals()\n"
        "def get():\n"
        "    os.read(begin, 1)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n"
        "begin, go = os.pipe()\n"
        "threading.Thread(target=get, daemon=True).start()\n"
        "ours, theirs = socket.socketpair()\n"
        "try:\n"
        "    os.write(go, b'1')\n"
        "    ours.recv(1)\n"
        "except Stopped as end:\n"
        "    print(end.signal.name)\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=GIVE_UP_S
    )
    assert (done.stdout, done.stderr) == ("SIGTERM\n", "")
