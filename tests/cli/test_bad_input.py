"""Bad input: one clear sentence and a hint, its own exit code, and nothing changed anywhere."""

import errno
import os
import re
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mcsync.errors import CacheError
from mcsync.lock import check_place
from mcsync.sandbox.server import Fault, Response
from mcsync.sandbox.town import API_KEY
from tests.cli.conftest import INTEREST, LIST, OTHER_LIST, PAGE, Office, Said

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a path of Linux")


def check_words(said: Said, *words: str) -> None:
    """One error with one hint on stderr, in Click's form or in ours, with these words."""
    assert said.out == ""
    assert (said.err.count("error: ") == 1 and said.err.count("\n\nhint: ") == 1) or (
        said.err.startswith("Usage: mcsync ") and said.err.count("\nError: ") == 1
    ), said.err
    assert "Errno" not in said.err
    for word in words:
        assert word in said.err


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["fetch", "--since", "tomorrow"], ['"tomorrow" is not a date', "2026-11-22"]),
        (["fetch", "--since", ""], ["is not a date"]),
        (["fetch", "--since", "2026-02-30"], ['"2026-02-30" is not a date']),
        (["fetch", "--since", "22.11.2026"], ['"22.11.2026" is not a date']),
        (["fetch", "--since", "1763791200"], ['"1763791200" is not a date']),
        (["fetch", "--since", "9999-12-31T23:59-05:00"], ["--since"]),
        (["fetch", "--since", "0001-01-01T00:00+14:00"], ["--since"]),
        (["sync", "--since", "never"], ['"never" is not a date', '"ever"']),
        (["sync", "--trust", "both"], ['"both" is neither mailchimp nor', "mailchimp or civicrm"]),
        (["sync", "--trust", ""], ["is neither mailchimp nor civicrm"]),
        (["sync", "--trust", "subscription=me"], ["is neither mailchimp nor civicrm"]),
        (["reconcile", "--trust", "nobody=civicrm"], ['"nobody" is neither', INTEREST]),
        (["reconcile", "--trust", "=civicrm"], ["--trust"]),
        (["sync", "--list", OTHER_LIST], [f'no audience "{OTHER_LIST}"', LIST]),
        (["sync", "--list", ""], ['no audience ""']),
        (["submit", "--list", "aaaaaaaaab"], ["did you mean", LIST]),
        (["sync", "--wait", "abc"], ["--wait", "'abc'"]),
        (["process-batches", "--wait", "1h"], ["--wait", "'1h'"]),
        (["sync", "--wait", "-5"], ["-5"]),
        (["sync", "--wait=-5"], ["-5"]),
        (["process-batches", "--wait", "nan"], ["--wait"]),
        (["sync", "--lock-wait", "abc"], ["--lock-wait", "'abc'"]),
        (["sync", "--lock-wait", "nan"], ["--lock-wait"]),
        (["fetch", "--lock-wait", "-1"], ["--lock-wait"]),
        (["submit", "--lock-wait=-0.5"], ["--lock-wait"]),
        (["sync", "--force=yes"], ["--force"]),
        (["submit", "--since", "2026-11-22"], ["--since"]),
        (["sync", "please"], ["please"]),
        (["sink"], ["sink"]),
        (["sync", "--config"], ["--config"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0] in
    ("fetch", "sync", "submit", "reconcile", "process-batches", "sink") else "",
)  # fmt: skip
def test_a_wrong_option_is_refused_before_anything_is_touched(
    office: Office, args: list[str], words: list[str]
):
    before, files, requests = office.everything(), office.files(), office.town.requests
    said = office.run(*args)
    assert said.code == 2
    check_words(said, *words)
    assert office.everything() == before
    assert office.town.requests == requests
    assert office.files() == files, "not even a cache is made"


@pytest.mark.parametrize("option", ["--wait", "--lock-wait"])
def test_a_number_that_is_none_is_told_without_words_of_programmers(office: Office, option: str):
    said = office.run("sync", option, "abc")
    assert said.code == 2
    assert "float" not in said.err
    assert "seconds" in said.err


# --- the config -----------------------------------------------------------------------------------


def _remove(office: Office) -> None:
    office.config.unlink()


def _lock_up(office: Office) -> None:
    office.config.chmod(0o000)


def _folder(office: Office) -> None:
    office.config.unlink()
    office.config.mkdir()


def _text(text: str) -> Callable[[Office], None]:
    return lambda office: office.config.write_text(text) and None


def _config(**changes: Any) -> Callable[[Office], None]:
    return lambda office: office.write_config(**changes)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(_remove, ["no such file", "--config"], id="missing"),
        pytest.param(
            _lock_up,
            ["cannot read", "let the user"],
            id="unreadable",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything"),
        ),
        pytest.param(_folder, ["is a directory", "name a file"], id="a folder"),
        pytest.param(_text(""), ["empty"], id="empty"),
        pytest.param(_text('{"lists": {},}'), ["line 1, column 13"], id="a comma too many"),
        pytest.param(_text('{\n "lists": {\n'), ["line "], id="cut off"),
        pytest.param(_text("mailchimp = 1\n"), ["line 1, column 1"], id="not JSON"),
        pytest.param(_text("[1, 2]"), ["not a JSON object"], id="an array"),
        pytest.param(_config(lists={}), ["lists", "at least one audience"], id="no lists"),
        pytest.param(_config(listz={}), ['listz: unknown key; did you mean "lists"?'], id="listz"),
        pytest.param(_config(civicrm={}), ["civicrm.url", "civicrm.apiKey"], id="no CiviCRM"),
        pytest.param(
            _config(civicrm={"url": "crm.example.org", "apiKey": "k"}),
            ["civicrm.url", "https://"],
            id="no scheme",
        ),
        pytest.param(
            _config(civicrm={"url": "${NO_SUCH_NAME}", "apiKey": "k"}), ["NO_SUCH_NAME"], id="${}"
        ),
        pytest.param(_config(cache=7), ["cache"], id="a number as cache"),
    ],
)  # fmt: skip
def test_a_bad_config_is_told_with_its_place_and_a_hint(
    office: Office, spoil: Callable[[Office], None], words: list[str]
):
    spoil(office)
    before, files, requests = office.everything(), office.files(), office.town.requests
    said = office.run("sync")
    assert said.code == 78
    check_words(said, *words, str(office.config))
    assert API_KEY not in said.err
    assert office.everything() == before
    assert office.town.requests == requests
    assert office.files() == files


@linux
def test_a_config_that_nobody_can_read(office: Office):
    said = office.run("sync", "--config", "/proc/self/mem")
    assert said.code == 78
    check_words(said, "cannot read /proc/self/mem")


def test_no_config_at_all_names_the_places_that_were_tried(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    # This machine may have a config there.
    monkeypatch.setattr("mcsync.config.SYSTEM_CONFIG", office.folder / "etc/mcsync/config.json")
    said = office.run("sync", env={"MCSYNC_CONFIG": None})
    assert said.code == 78
    check_words(said, "no config found", "/etc/mcsync/config.json", "$MCSYNC_CONFIG")
    assert office.run("sync", env={"MCSYNC_CONFIG": ""}) == said


def test_all_problems_of_a_config_come_at_once(office: Office):
    office.write_config(
        lists={LIST: {"subscriptionGroup": "newsletter", "intrests": {}}}, fullCompareHours="often"
    )
    said = office.run("sync")
    assert said.code == 78
    check_words(
        said,
        "has 4 problems",
        'subscriptionGroup: expected a group id, got "newsletter"',
        'intrests: unknown key; did you mean "interests"?',
        f"lists.{LIST}.apiKey: missing",
        "fullCompareHours",
    )


# --- services that refuse, or are not what they should be -----------------------------------------


@dataclass(frozen=True)
class Trouble:
    """A config that is well-formed and wrong; what the services say makes the exit code."""

    code: int
    spoil: Callable[[Office], None]
    words: tuple[str, ...]


def _mailchimp(office: Office, **changes: Any) -> None:
    account = {"apiKey": API_KEY, "apiUrl": office.town.api_url, **changes}
    office.write_config(accounts={API_KEY: account})


def _civicrm(office: Office, **changes: Any) -> None:
    office.write_config(
        civicrm={
            "url": office.town.civicrm_server.url,
            "apiKey": office.town.civicrm.api_key,
            **changes,
        }
    )


def _answer(
    status: int, body: bytes, media_type: str = "text/html", **headers: str
) -> Callable[[Office], None]:
    def spoil(office: Office) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = Response(status, body, {"Content-Type": media_type, **named})
        office.town.civicrm_server.faults.append(Fault(answer=answer, times=None))

    return spoil


def _closed_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


TROUBLES = {
    "a key that Mailchimp refuses": Trouble(
        77, lambda o: _mailchimp(o, apiKey="yesterdays-key-us1"),
        ("refused the API key", "API Key Invalid", "check the key and its role at Mailchimp"),
    ),
    "a key that CiviCRM refuses": Trouble(
        77, lambda o: _civicrm(o, apiKey="yesterdays-key"),
        ("refused the API key", "check the API key"),
    ),
    "a CiviCRM user without permissions": Trouble(
        77, lambda o: o.town.civicrm.revoke("view all contacts")
        or o.town.civicrm.revoke("edit all contacts"),
        ("view all contacts",),
    ),
    "a CiviCRM URL that answers HTML": Trouble(
        76, _answer(200, PAGE.body), ("there is no CiviCRM at", "check civicrm.url"),
    ),
    "a site that wants a password of its own": Trouble(
        77, _answer(401, PAGE.body, WWW_Authenticate='Basic realm="staging"'),
        ("CiviCRM at 127.0.0.1", "was not reached", "HTTP Basic Auth", "pass requests to CiviCRM"),
    ),
    "a firewall before CiviCRM": Trouble(
        77, _answer(403, PAGE.body),
        ("CiviCRM at 127.0.0.1", "was not reached", "firewall", "HTTP 403 and a page"),
    ),
    "a CiviCRM URL that answers 404 and HTML": Trouble(
        76, _answer(404, PAGE.body), ("there is no CiviCRM at", "check civicrm.url"),
    ),
    "a CiviCRM URL that redirects": Trouble(
        76, _answer(301, b""), ("redirect", "check civicrm.url"),
    ),
    "a wrong path to CiviCRM": Trouble(
        76, lambda o: _civicrm(o, url=o.town.civicrm_server.url + "/shop"),
        ("there is no CiviCRM at", "check civicrm.url"),
    ),
    "a wrong port of CiviCRM": Trouble(
        69, lambda o: _civicrm(o, url=f"http://127.0.0.1:{_closed_port()}"),
        ("cannot be reached", "civicrm.url"),
    ),
    "a wrong host of CiviCRM": Trouble(
        69, lambda o: _civicrm(o, url="https://crm.invalid"),
        ("crm.invalid cannot be reached", "civicrm.url"),
    ),
    "a wrong port of Mailchimp": Trouble(
        69, lambda o: _mailchimp(o, apiUrl=f"http://127.0.0.1:{_closed_port()}/3.0"),
        ("cannot be reached", "apiUrl"),
    ),
    "another service in the place of Mailchimp": Trouble(
        76, lambda o: _mailchimp(o, apiUrl=o.town.civicrm_server.url),
        ("apiUrl",),
    ),
    "a list that is not there": Trouble(
        77, lambda o: o.town.mailchimp.remove_audience(LIST),
        (f"has no audience {LIST}", "check the list id"),
    ),
    "a group that is not there": Trouble(
        78, lambda o: o.town.civicrm.delete_group(111),
        ("CiviCRM shows no group 111", "check the id in the config"),
    ),
    "a group that is switched off": Trouble(
        4, lambda o: o.town.civicrm.disable_group(111),
        ('group 111 "Main audience subscribers" is disabled', "enable the group"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("is_first_run", [True, False], ids=["first run", "later run"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_service_that_says_no_is_told_clearly_and_nothing_is_written(
    office: Office, no_pauses: list[float], trouble: Trouble, is_first_run: bool
):
    if not is_first_run:
        assert office.run("sync", "--wait").code == 0
        office.town.clock.advance(minutes=1)
        office.add_contact("hoppy@bedrock.example")
    trouble.spoil(office)
    before, config = office.everything(), office.config.read_bytes()
    cached = None if is_first_run else office.cached()
    for command in (("fetch",), ("sync", "--wait")):
        said = office.run(*command, "-v")  # the second would be told tomorrow
        assert said.code == trouble.code
        check_words(said, *trouble.words)
        for secret in (*office.secrets(), "yesterdays-key"):
            assert secret not in said.err
    after = office.everything()
    assert after == before
    assert office.config.read_bytes() == config
    if cached is not None:
        now = office.cached()
        for name in ("update", "batch", "change"):
            assert now[name] == cached[name]


def test_when_the_trouble_is_over_the_next_run_goes_on(office: Office, no_pauses: list[float]):
    assert office.run("sync", "--wait").code == 0
    office.town.clock.advance(minutes=1)
    hoppy = office.add_contact("hoppy@bedrock.example")
    good = office.town.make_config()
    for trouble in ("a key that Mailchimp refuses", "a key that CiviCRM refuses",
                    "a wrong port of Mailchimp", "a wrong path to CiviCRM"):  # fmt: skip
        TROUBLES[trouble].spoil(office)
        assert office.run("sync").code == TROUBLES[trouble].code
        office.write_config(**good)
    well = office.run("sync", "--wait")
    assert (well.code, well.out) == (0, "")
    assert "Main audience: in order again; " in well.err
    assert office.run("sync", "--wait") == Said(0, "", "")
    assert office.statuses()["hoppy@bedrock.example"] == "subscribed"
    assert office.town.civicrm.group_status(hoppy, 111) == "Added"


# --- the cache ------------------------------------------------------------------------------------


def _not_sqlite(office: Office) -> None:
    office.cache.write_bytes(b"Dear diary, nothing was synchronized today. " * 200)


def _newer(office: Office) -> None:
    assert office.run("sync").code == 0
    with closing(sqlite3.connect(office.cache)) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('mcsync', 'm999_from_the_future', '2036-01-01T00:00:00Z')"
        )


def _of_somebody_else(office: Office) -> None:
    with closing(sqlite3.connect(office.cache)) as db, db:
        db.execute("CREATE TABLE songs (title TEXT)")
        db.execute("INSERT INTO songs VALUES ('Yabba dabba doo')")


def _damaged(office: Office) -> None:
    """The tables are there, and nothing in them can be read."""
    assert office.run("sync").code == 0
    content = bytearray(office.cache.read_bytes())
    with closing(sqlite3.connect(office.cache)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        pages = db.execute("SELECT pageno FROM dbstat WHERE name != 'sqlite_schema'").fetchall()
    for (number,) in pages:
        content[(number - 1) * size : number * size] = b"\xff" * size
    office.cache.write_bytes(content)


@pytest.mark.parametrize("command", ["submit", "sync"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(_not_sqlite, ["is not an mcsync cache", "--cache"], id="not SQLite"),
        pytest.param(_newer, ["newer mcsync", "m999", "upgrade mcsync"], id="newer"),
        pytest.param(_of_somebody_else, ["another program", "--cache"], id="foreign"),
    ],
)
def test_a_wrong_cache_is_refused_and_left_as_it_is(
    office: Office, spoil: Callable[[Office], None], words: list[str], command: str
):
    spoil(office)
    before, files, requests = office.everything(), office.files(), office.town.requests
    said = office.run_process(command)
    assert said.code == 74
    check_words(said, *words, str(office.cache))
    assert office.everything() == before
    assert office.town.requests == requests
    assert office.files() == files


def test_even_a_file_of_one_letter_is_not_overwritten(office: Office):
    office.cache.write_bytes(b"x")
    said = office.run("sync")
    assert said.code == 74
    check_words(said, "is not an mcsync cache", "--cache")
    assert office.cache.read_bytes() == b"x"


def test_a_damaged_cache_is_no_bug_of_ours(office: Office):
    try:
        _damaged(office)
    except sqlite3.OperationalError:
        pytest.skip("this SQLite cannot tell its pages")
    before = office.everything()
    said = office.run("sync")
    assert said.code == 74
    check_words(said, str(office.cache))
    assert office.everything() == before


def test_a_folder_in_the_place_of_the_cache_is_named_as_one(office: Office):
    office.cache.mkdir()
    said = office.run("sync")
    assert said.code == 74
    check_words(said, str(office.cache), "directory")


def test_a_cache_in_a_folder_that_is_not_there_is_no_reason_to_make_folders(office: Office):
    """A share that is not mounted, or a slip of the finger: a new cache there is a first run."""
    missing = office.folder / "mnt" / "data"
    said = office.run("sync", "--cache", str(missing / "mcsync.db"))
    assert said.code == 74
    check_words(said, str(missing))
    assert not missing.exists()
    assert office.town.requests == 0


@linux
def test_a_cache_in_a_folder_that_cannot_be_written(office: Office):
    said = office.run("sync", "--cache", "/sys/mcsync.db")
    assert said.code == 74
    check_words(said, "/sys/mcsync.db", "folder")
    assert office.town.requests == 0


@linux
def test_a_file_in_the_place_of_the_folder_is_told_as_that(office: Office):
    path = office.config / "mcsync.db"
    said = office.run("sync", "--cache", str(path))
    assert said.code == 74
    check_words(said, str(path))
    assert "File exists" not in said.err


def test_an_empty_name_of_a_cache_leaves_nothing_behind(office: Office):
    """As by `--cache "$CACHE"` in a script that forgot to set it."""
    said = office.run("sync", "--cache", "")
    assert said.code in (2, 74)
    check_words(said, "--cache")
    assert not office.home.with_name(office.home.name + ".lock").exists()


def test_a_cache_that_breaks_in_the_middle_of_a_run_is_told_as_that(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    def stumble(*_args: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr("mcsync.pipeline.sync.process_batches", stumble)
    said = office.run("sync")
    assert said.code == 74
    check_words(said, str(office.cache), "malformed", "move the file away")


@pytest.mark.parametrize(("service", "key"), [("Mailchimp", "apiUrl"), ("CiviCRM", "civicrm.url")])
def test_who_cannot_be_reached_is_named_with_port_and_config_key(
    office: Office, no_pauses: list[float], service: str, key: str
):
    TROUBLES[f"a wrong port of {service}"].spoil(office)
    said = office.run("sync")
    assert re.search(rf"{service} at 127\.0\.0\.1:\d+ cannot be reached", said.err)
    check_words(said, f"check {key}")
    assert sum(no_pauses) < 10


@pytest.mark.parametrize("service", ["Mailchimp", "CiviCRM"])
def test_whose_key_is_refused_is_told(office: Office, service: str):
    TROUBLES[f"a key that {service} refuses"].spoil(office)
    check_words(office.run("sync"), f"{service} at 127.0.0.1:", "refused the API key")


@pytest.mark.parametrize("command", ["status", "report", "explain", "history"])
def test_who_looks_at_a_cache_in_a_folder_that_is_not_there_is_told(office: Office, command: str):
    who = ("wilma@bedrock.example",) if command == "explain" else ()
    said = office.run(command, *who, "--cache", "/nodir/x.db")
    assert (said.code, said.out) == (74, "")
    assert said.err.startswith("error: /nodir, the folder of the cache, does not exist\n")
    assert not Path("/nodir").exists()


def test_a_folder_that_cannot_be_entered_is_called_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os.path, "isdir", lambda _path: False)
        patch.setattr(os.path, "exists", lambda _path: False)
        patch.setattr(os, "stat", refuse)
        with pytest.raises(CacheError) as caught:
            check_place(office.cache)
    assert "cannot enter" in caught.value.message
