"""mcsync sandbox act: people and staff of a running sandbox do something, and a sync follows."""

import json
import os
import shlex
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from mcsync.sandbox.acting import ACTS, Actor, Door
from mcsync.sandbox.cast import settle
from mcsync.sandbox.server import LoopbackServer, Request, Response
from mcsync.sandbox.town import Town
from tests.cli.conftest import SCRIPT, Office
from tests.cli.test_check import Door as Silent

if os.name != "nt":
    import pexpect


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A sandbox, whose config is written and whose two sides agree."""
    folder = tmp_path_factory.mktemp("sandbox")
    with Town() as town:
        settle(town)
        town.mailchimp.settings.batch_delay_polls = 0
        office = Office(town, folder, folder)
        town.mailchimp_server.service = Door(town.mailchimp, Actor(town, str(office.config)))
        office.write_config()
        assert office.run("sync", "--wait").code == 0
        yield office


def act(desk: Office, *words: str) -> list[str]:
    """The lines of the answer."""
    port = str(desk.town.mailchimp_server.port)
    said = desk.run("sandbox", "act", *words, "--mailchimp-port", port)
    assert (said.code, said.err) == (0, "")
    return said.out.splitlines()


# What a sync says when it follows, about whoever acted.
FOLLOWS = {
    "sign-up": "CiviCRM: {}: new: Added",
    "leave": "CiviCRM: {}: Added → Removed (they unsubscribed themselves",
    "bounce": "CiviCRM: {}: Added → Removed (the address bounced",
    "change-name": " → Fredericka (names or other data were changed)",
    "change-address": "CiviCRM: {0}: email: {0} → ",
    "add": "Mailchimp: {}: new: subscribed",
    "remove": "Mailchimp: {}: subscribed → unsubscribed",
    "opt-out": "Mailchimp: {}: subscribed → unsubscribed (the contact has opted out",
}


@pytest.mark.parametrize("name", FOLLOWS)
def test_somebody_acts_and_the_sync_that_is_proposed_follows(desk: Office, name: str):
    desk.town.clock.advance(minutes=2)
    happened, sync, explain = act(desk, name)
    assert f"The next sync {ACTS[name].expected}:" in happened
    who = shlex.split(explain)[2]
    said = desk.run(*shlex.split(sync)[1:])
    assert said.code == 0, said
    assert FOLLOWS[name].format(who) in said.out
    assert who in desk.run(*shlex.split(explain)[1:]).out


def test_merged_contacts_are_one_person(desk: Office):
    desk.town.clock.advance(minutes=2)
    happened, sync, explain = act(desk, "merge")
    assert desk.run(*shlex.split(sync)[1:]).out == ""
    (loser,) = [word for word in happened.split() if "@" in word][:1]
    assert loser in desk.run(*shlex.split(explain)[1:]).out


def test_who_and_what_may_be_said(desk: Office):
    who, new = "gazoo.granite@example.org", "gazoo@example.com"
    act(desk, "sign-up", who)
    assert act(desk, "change-address", who, new)[0].startswith(
        f"{who} changed their address to {new}"
    )
    assert desk.town.mailchimp.member("aaaaaaaaaa", new) is not None
    assert act(desk, "add", "never.seen@example.org")[0].startswith("Staff added never.seen@")
    both = act(desk, "merge", "never.seen@example.org", desk.town.civicrm.contacts()[9].email or "")
    assert both[0].startswith("Staff merged the contact of ")


def test_the_document_tells_the_same(desk: Office):
    port = str(desk.town.mailchimp_server.port)
    document = desk.run("sandbox", "act", "leave", "--json", "--mailchimp-port", port).document
    assert document["happened"].startswith(document["who"])
    assert document["expected"] == ACTS["leave"].expected
    assert len(document["commands"]) == 2


REFUSED = {
    "no such action": (("dance",), "the actions are sign-up, leave"),
    "no action off a terminal": ((), "no action is named"),
    "too much": (("leave", "a@example.org", "b", "c"), 'cannot do "act leave'),
    "nobody of that address": (("leave", "nobody@example.org"), "nobody at Mailchimp has the"),
    "no contact": (("remove", "nobody@example.org"), "no contact in CiviCRM has the address"),
}


@pytest.mark.parametrize(("words", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_said(desk: Office, words: tuple[str, ...], says: str):
    port = str(desk.town.mailchimp_server.port)
    said = desk.run("sandbox", "act", *words, "--mailchimp-port", port)
    assert said.code == 2
    assert says in said.err


def test_an_address_that_is_taken(desk: Office):
    members = desk.town.mailchimp.members("aaaaaaaaaa")
    one, other = list(members)[:2]
    port = str(desk.town.mailchimp_server.port)
    args = ("sandbox", "act", "change-address", one, other, "--mailchimp-port", port)
    assert f"{other} is already a member" in desk.run(*args).err


def test_without_a_sandbox_it_says_how_to_start_one(desk: Office):
    with LoopbackServer(Silent()) as other:
        for port in ("9", str(other.port)):
            said = desk.run("sandbox", "act", "leave", "--mailchimp-port", port)
            assert said.code == 69
            assert f"no sandbox answers at port {port}" in said.err
            assert "mcsync sandbox --write-config" in said.err


# --- who may ask, and who answers -----------------------------------------------------------------

JSON = "application/json"
LEAVE = b'{"act": "leave", "who": "", "more": ""}'
ASKED = {
    "as we do": ("127.0.0.1:8001", JSON, LEAVE, 200),
    "by name": ("localhost", "application/json; charset=utf-8", LEAVE, 200),
    "a form of another site": ("127.0.0.1:8001", "text/plain", LEAVE, 403),
    "a form without a type": ("127.0.0.1:8001", "", LEAVE, 403),
    "a name that was made to lead here": ("evil.example.org:8001", JSON, LEAVE, 403),
    "a name that begins like ours": ("localhost.example.org", JSON, LEAVE, 403),
    "a host that is none": ("127.0.0.1:80@evil.example.org", JSON, LEAVE, 403),
    "nothing": ("127.0.0.1", JSON, b"", 400),
    "a number for a name": ("127.0.0.1", JSON, b'{"act": 1, "who": "", "more": ""}', 400),
    "no UTF-8": ("127.0.0.1", JSON, b'{"act": "\xff", "who": "", "more": ""}', 400),
    "a deep nest": ("127.0.0.1", JSON, b'{"act": ' + b"[" * 100_000, 400),
    "a deep nest beside": ("127.0.0.1", JSON, b'{"x": ' + b"[" * 100_000, 400),
}


def subscribed(desk: Office) -> int:
    members = desk.town.mailchimp.members("aaaaaaaaaa").values()
    return sum(1 for member in members if member["status"] == "subscribed")


@pytest.mark.parametrize(("host", "kind", "body", "status"), ASKED.values(), ids=ASKED)
def test_no_page_in_a_browser_opens_the_door(
    desk: Office, host: str, kind: str, body: bytes, status: int
):
    before = subscribed(desk)
    connection = HTTPConnection("127.0.0.1", desk.town.mailchimp_server.port, timeout=10)
    headers = {"Host": host, **({"Content-Type": kind} if kind else {})}
    connection.request("POST", "/sandbox/act", body, headers)
    answer = connection.getresponse()
    assert answer.status == status
    assert ("problem" in json.loads(answer.read())) == (status != 200)
    connection.close()
    assert before - subscribed(desk) == (1 if status == 200 else 0)


class Mimic:
    """Says whatever it was given."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = Response(status, body)

    def handle(self, _request: Request) -> Response:
        return self.answer

    def date_header(self) -> str:
        return "Fri, 12 Jun 2026 06:00:00 GMT"


TOLD = {"happened": "x", "who": "y", "expected": "z", "commands": ["a"]}
MIMICRY = {
    "a wrong type": json.dumps({**TOLD, "happened": 3}),
    "no commands": json.dumps({**TOLD, "commands": "mcsync sync"}),
    "a list": "[1]",
    "a deep nest": '{"x": ' + "[" * 30_000,
    "more than we read": json.dumps({**TOLD, "who": "y" * 100_000}),
}


@pytest.mark.parametrize("status", [200, 409])
@pytest.mark.parametrize("body", MIMICRY.values(), ids=MIMICRY)
def test_whoever_else_answers_is_no_sandbox(desk: Office, body: str, status: int):
    with LoopbackServer(Mimic(status, body.encode())) as other:
        said = desk.run("sandbox", "act", "leave", "--mailchimp-port", str(other.port))
    assert (said.code, said.out) == (69, "")
    assert f"no sandbox answers at port {other.port}" in said.err


def test_what_is_said_cannot_steer_the_terminal(desk: Office):
    loud = dict.fromkeys(("happened", "who", "expected"), "\x1b[31m\nmcsync")
    body = json.dumps({**loud, "commands": ["\x1b]0;x\x07\nrm"]}).encode()
    with LoopbackServer(Mimic(200, body)) as other:
        said = desk.run("sandbox", "act", "leave", "--mailchimp-port", str(other.port))
    assert said.code == 0
    assert len(said.out.splitlines()) == 2
    assert said.out.replace("\n", "").isprintable()
    problem = json.dumps({"problem": "no\x1b[31m\nmcsync: all is well"}).encode()
    with LoopbackServer(Mimic(409, problem)) as other:
        said = desk.run("sandbox", "act", "leave", "--mailchimp-port", str(other.port))
    assert said.code == 2
    assert said.err.replace("\n", "").isprintable()
    assert not [line for line in said.err.splitlines() if line.startswith("mcsync: all")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_there_is_a_menu(desk: Office):
    port = str(desk.town.mailchimp_server.port)
    env = {**desk.environ(), "TERM": "xterm", "LANG": "C.UTF-8"}
    child = pexpect.spawn(
        SCRIPT,
        ["sandbox", "act", "--mailchimp-port", port],
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 80),
        env=env,
    )
    for question, answer in (
        ("Enter: quit", "sign"),
        ("Enter: anybody suitable", "menu@example.org"),
        ("menu@example.org signed up", ""),
        ("Enter: quit", "merge"),
        ("Enter: anybody suitable", "menu@example.org"),
        ("Enter: any", ""),
        ("Nothing was done: no contact", None),
        ("Enter: quit", ""),
    ):
        child.expect(question)
        if answer is not None and "signed up" not in question:
            child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert desk.town.mailchimp.member("aaaaaaaaaa", "menu@example.org") is not None
