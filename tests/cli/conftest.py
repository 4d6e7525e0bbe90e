"""The command line over a simulated town: what a run says, and what it changed anywhere."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from socketserver import BaseServer
from typing import Any

import pytest
from click.testing import CliRunner

from mcsync.cache.store import Store
from mcsync.cli.main import app
from mcsync.cli.signals import catch_signals
from mcsync.http import HttpClient
from mcsync.lock import hold_lock
from mcsync.sandbox.server import Fault, Request, Response
from mcsync.sandbox.town import API_KEY, Town
from tests.said import Said

LIST = "aaaaaaaaaa"
GROUP = 111
INTEREST = "cccccccccc"
INTEREST_GROUP = 222
OTHER_LIST = "bbbbbbbbbb"
OTHER_GROUP = 333
SCRIPT = str(Path(sys.executable).with_name("mcsync"))
GIVE_UP_S = 30  # a process that takes longer hangs
COMMANDS = ("fetch", "reconcile", "submit", "process-batches", "sync")
PAGE = Response(
    200, b"<html><body>Welcome to our site</body></html>", {"Content-Type": "text/html"}
)


@dataclass
class Office:
    """Where mcsync is run: a folder with a config, and the town it is about.

    `home` is where commands are started; there is nothing in it.
    """

    town: Town
    folder: Path
    home: Path
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The config file."""
        return self.folder / "config.json"

    @property
    def cache(self) -> Path:
        """The cache file."""
        return self.folder / "mcsync.db"

    def write_config(self, **changes: Any) -> None:
        """Write the config of the town; `changes` replace its top-level keys."""
        self.options |= changes
        blob = {**deepcopy(self.town.make_config()), **self.options}
        self.config.write_text(json.dumps(blob), encoding="utf-8")
        self.config.chmod(0o600)

    # --- running ----------------------------------------------------------------------------------

    def run(self, *args: str, env: dict[str, str | None] | None = None, bug: bool = False) -> Said:
        """Run a command in this process; whatever else escapes than an exit is the test's to see.

        Only with `bug` a traceback may be said.
        """
        settings = {"MCSYNC_CONFIG": str(self.config)} | (env or {})
        found = CliRunner().invoke(app, list(args), env=settings, prog_name="mcsync")
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise AssertionError(f"{args} let an exception out") from found.exception
        assert bug or "Traceback" not in found.stdout + found.stderr, found.stderr
        return Said(found.exit_code, found.stdout, found.stderr)

    def start(self, *args: str, **extra: Any) -> "subprocess.Popen[str]":
        """Start the console script as cron does: hardly any environment, no terminal."""
        settings: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "cwd": self.home,
            **extra,
        }
        settings["env"] = self.environ() | settings.get("env", {})
        return subprocess.Popen([SCRIPT, *args], text=True, **settings)  # noqa: S603

    def environ(self) -> dict[str, str]:
        """What cron gives to a job, and which config to take."""
        return {
            "HOME": str(self.home),
            "LOGNAME": "root",
            "SHELL": "/bin/sh",
            "PATH": "/usr/bin:/bin",
            "MCSYNC_CONFIG": str(self.config),
        }

    def run_process(self, *args: str, **extra: Any) -> Said:
        """Run the console script to its end."""
        with self.start(*args, **extra) as process:
            try:
                out, err = process.communicate(timeout=GIVE_UP_S)
            finally:
                process.kill()
        assert "Traceback" not in (out or "") + (err or ""), err
        return Said(process.returncode, out or "", err or "")

    # --- looking ----------------------------------------------------------------------------------

    def everything(self) -> dict[str, Any]:
        """All that both services hold, to the last field; what was written, and the mails."""
        return {
            "writes": (self.town.mailchimp.writes, self.town.civicrm.writes),
            "operations": len(self.town.mailchimp.operations),
            "mails": len(self.town.mailchimp.confirmation_mails),
            "mailchimp": {
                list_id: deepcopy(self.town.mailchimp.members(list_id))
                for list_id in self.town.mailchimp.audiences
            },
            "civicrm": {
                name: deepcopy(table.rows) for name, table in self.town.civicrm.store.tables.items()
            },
        }

    def files(self) -> dict[str, bytes]:
        """Every file beside the config and where commands are run, with its bytes."""
        found = {}
        for folder in (self.folder, self.home):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.endswith(".lock"):
                    found[str(path)] = path.read_bytes()
        return found

    def addresses(self) -> set[str]:
        """Every address that either service knows, lower-case."""
        found = {
            str(row["email"]).lower()
            for row in self.town.civicrm.store.tables["Email"].rows.values()
        }
        for list_id in self.town.mailchimp.audiences:
            found |= {email.lower() for email in self.town.mailchimp.members(list_id)}
        return found

    def secrets(self) -> tuple[str, str]:
        """Both services' keys."""
        return API_KEY, self.town.civicrm.api_key

    def cached(self) -> dict[str, list[tuple[object, ...]]]:
        """What the cache knows of people, and what it has queued and sent."""
        names = ("cache", "update", "batch", "contact", "email", "group_contact", "change")
        with closing(sqlite3.connect(self.cache)) as db:
            return {
                name: db.execute(f"SELECT * FROM civicrm_mailchimpsync_{name}").fetchall()  # noqa: S608
                for name in names
            }

    # --- people -----------------------------------------------------------------------------------

    def add_contact(self, email: str, group: int | None = GROUP, **flags: Any) -> int:
        """A contact named after their address, in a group."""
        first = email.partition("@")[0].title()
        contact: int = self.town.civicrm.add_contact(first, "Flintstone", [email], **flags)
        if group is not None:
            self.town.civicrm.add_to_group(contact, group)
        return contact

    def add_both(self, email: str, list_id: str = LIST, group: int = GROUP) -> int:
        """Somebody who is subscribed and in the group."""
        first = email.partition("@")[0].title()
        self.town.mailchimp.import_member(list_id, email, first_name=first, last_name="Flintstone")
        return self.add_contact(email, group)

    def add_other_audience(self) -> None:
        """A second audience, with its own group and one member whom CiviCRM does not know."""
        self.town.add_audience(OTHER_LIST, "Other audience", OTHER_GROUP, {})
        self.town.mailchimp.import_member(OTHER_LIST, "slate@quarry.example")
        self.write_config()

    def close_gates(self, count: int, of: int) -> list[str]:
        """Sync `of` more people, then let `count` of them opt out; their addresses."""
        addresses = [f"worker{number}@quarry.example" for number in range(of)]
        contacts = [self.add_both(address) for address in addresses]
        assert self.run("sync", "--wait") == Said(0, "", "")
        for contact in contacts[:count]:
            self.town.civicrm.update_contact(contact, is_opt_out=True)
        return addresses[:count]

    def statuses(self, list_id: str = LIST) -> dict[str, str]:
        """The status of every member of an audience."""
        members = self.town.mailchimp.members(list_id)
        return {email: str(member["status"]) for email, member in members.items()}


def on_terminal(
    office: Office,
    *args: str,
    columns: int = 80,
    env: Mapping[str, str] | None = None,
    with_codes: bool = False,
) -> str:
    """What a person sees at the end who runs a command in a terminal of so many columns.

    What was drawn over is left out, and so are colours, unless they are asked for.
    """
    if os.name == "nt":
        pytest.skip("Windows has no pseudo-terminals")
    import pexpect

    settings = {**office.environ(), "TERM": "xterm", "LANG": "C.UTF-8", **(env or {})}
    shown: str = pexpect.run(
        f"{SCRIPT} {' '.join(args)}",
        timeout=GIVE_UP_S,
        encoding="utf-8",
        env=settings,
        dimensions=(24, columns),
    )
    if with_codes:
        return shown
    lines = [re.split(r"\x1b\[2K|\r", line.rstrip("\r"))[-1] for line in shown.split("\n")]
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", "\n".join(lines))


@pytest.fixture(autouse=True)
def plain_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings of whoever runs the tests, quick servers, and signals as they were."""
    for name in [name for name in os.environ if name.startswith("MCSYNC_")]:
        monkeypatch.delenv(name)
    for name in ("JOURNAL_STREAM", "NO_COLOR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    # Clients that are killed go away in mid-sentence; the servers need not tell stderr.
    monkeypatch.setattr(BaseServer, "handle_error", lambda *_: None)
    # A server looks only every so often whether it is to stop; by default twice a second.
    monkeypatch.setattr(BaseServer.serve_forever, "__defaults__", (0.01,))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries without their pauses; the list tells how long each would have been, in seconds."""
    pauses: list[float] = []
    set_up = HttpClient.__init__

    def set_up_without_pauses(client: HttpClient, **settings: Any) -> None:
        set_up(client, **(settings | {"sleep": pauses.append}))

    monkeypatch.setattr(HttpClient, "__init__", set_up_without_pauses)
    return pauses


@pytest.fixture
def town(plain_world: None) -> Iterator[Town]:
    """Both services, their clock standing still at the real now, as commands take the real one."""
    with Town(datetime.now(UTC).replace(microsecond=0)) as found:
        found.mailchimp.settings.batch_delay_polls = 0
        yield found


@pytest.fixture
def empty_office(town: Town, tmp_path: Path) -> Office:
    """One audience without people."""
    folder = tmp_path / "office"
    folder.mkdir()
    town.clock.advance(days=-2)
    town.add_audience(LIST, "Main audience", GROUP, {INTEREST: (INTEREST_GROUP, "Volunteering")})
    town.clock.advance(days=2)
    office = Office(town, folder, tmp_path / "home")
    office.write_config()
    return office


@pytest.fixture
def office(empty_office: Office) -> Office:
    """One audience; some people are at both sides, one only at each, one has left."""
    town = empty_office.town
    town.clock.advance(days=-1)
    for name in ("wilma", "fred", "pebbles"):
        empty_office.add_both(f"{name}@bedrock.example")
    town.mailchimp.import_member(LIST, "Barney@bedrock.example", first_name="Barney")
    empty_office.add_contact("betty@bedrock.example")
    empty_office.add_both("dino@bedrock.example")
    town.clock.advance(hours=12)
    town.mailchimp.leave(LIST, "dino@bedrock.example")
    town.clock.advance(hours=12)
    return empty_office


# --- everything that can go wrong, once each ------------------------------------------------------


Prepare = Callable[[Office, pytest.FixtureRequest], None]


@dataclass(frozen=True)
class Calamity:
    """One way for `mcsync sync` to fail: its exit code, its kind, and what the operator reads.

    `says` is (part of) the sentence, `hint` of the hint; an empty one is not looked at.
    """

    code: int
    kind: str
    prepare: Prepare
    says: str
    hint: str
    args: tuple[str, ...] = ()


def _nothing(_office: Office, _request: pytest.FixtureRequest) -> None:
    """The options are wrong enough."""


def _lose_a_list(office: Office, _request: pytest.FixtureRequest) -> None:
    office.add_other_audience()
    del office.town.mailchimp.audiences[OTHER_LIST]


def _exceed_the_guard(office: Office, _request: pytest.FixtureRequest) -> None:
    office.close_gates(12, of=30)


def _be_unreachable(office: Office, _request: pytest.FixtureRequest) -> None:
    office.town.civicrm_server.faults.append(Fault(drop="before", times=None))


def _have_a_bug(_office: Office, request: pytest.FixtureRequest) -> None:
    def stumble(*_args: object, **_extra: object) -> None:
        raise ZeroDivisionError("seven by nothing")

    request.getfixturevalue("monkeypatch").setattr("mcsync.pipeline.sync.sync", stumble)


def _spoil_the_cache(office: Office, _request: pytest.FixtureRequest) -> None:
    office.cache.write_text("Dear diary, today nothing was synchronized at all. " * 100)


def _hold_the_lock(office: Office, request: pytest.FixtureRequest) -> None:
    stack = ExitStack()
    request.addfinalizer(stack.close)
    stack.enter_context(hold_lock(office.cache))


def _answer_with_pages(office: Office, _request: pytest.FixtureRequest) -> None:
    office.town.civicrm_server.faults.append(Fault(answer=PAGE, times=None))


def _change_the_key(office: Office, _request: pytest.FixtureRequest) -> None:
    office.write_config(
        civicrm={"url": office.town.civicrm_server.url, "apiKey": "a-key-of-yesterday"}
    )


def _mistype_the_config(office: Office, _request: pytest.FixtureRequest) -> None:
    office.write_config(lists={LIST: {"subscriptionGroup": "newsletter", "apiKey": API_KEY}})


def _send_signal(number: signal.Signals) -> Prepare:
    def prepare(office: Office, _request: pytest.FixtureRequest) -> None:
        catch_signals()  # as the console script does; `plain_world` takes it back

        def send(_request: Request) -> None:
            office.town.mailchimp_server.before_request = None
            os.kill(os.getpid(), number)

        office.town.mailchimp_server.before_request = send

    return prepare


CALAMITIES = {
    "an unknown option": Calamity(
        2, "usage-error", _nothing, "--bogus", "mcsync sync --help", ("--bogus",)
    ),
    "a date that is none": Calamity(
        2,
        "usage-error",
        _nothing,
        '"tomorrow" is not a date',
        "2026-11-22",
        ("--since", "tomorrow"),
    ),
    "an unknown list": Calamity(
        2, "usage-error", _nothing, 'no audience "zzzzzzzzzz"', LIST, ("--list", "zzzzzzzzzz")
    ),
    "a list that is gone": Calamity(
        3, "partial-failure", _lose_a_list, f"has no audience {OTHER_LIST}", "check the list id"
    ),
    "too many unsubscribes": Calamity(
        4, "guard-tripped", _exceed_the_guard, "would unsubscribe 12", "--force"
    ),
    "no answer": Calamity(
        69, "remote-unavailable", _be_unreachable, "closed the connection", "next run tries again"
    ),
    "a bug": Calamity(70, "bug", _have_a_bug, "unexpected failure", ""),
    "a cache that is none": Calamity(
        74, "cache-error", _spoil_the_cache, "is not an mcsync cache", "--cache"
    ),
    "another run": Calamity(75, "lock-held", _hold_the_lock, "", ""),
    "a page instead of data": Calamity(
        76, "protocol-error", _answer_with_pages, "there is no CiviCRM at", "civicrm.url"
    ),
    "a refused key": Calamity(
        77, "remote-refused", _change_the_key, "refused the API key", "check the API key"
    ),
    "a wrong config": Calamity(
        78, "config-error", _mistype_the_config, "has 1 problem", "config.example.json"
    ),
    "Ctrl-C": Calamity(130, "interrupted", _send_signal(signal.SIGINT), "", ""),
    "an end from outside": Calamity(143, "terminated", _send_signal(signal.SIGTERM), "", ""),
}


@pytest.fixture(params=CALAMITIES.values(), ids=CALAMITIES.keys())
def calamity(request: pytest.FixtureRequest, office: Office, no_pauses: list[float]) -> Calamity:
    """Each of them, prepared: the next `sync` with its `args` meets it."""
    found: Calamity = request.param
    found.prepare(office, request)
    return found


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A new cache, empty."""
    path = tmp_path / "mcsync.db"
    Store(path).close()
    return path
