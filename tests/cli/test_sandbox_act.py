"""mcsync sandbox act: people and staff of a running sandbox do something, and a sync follows."""

import os
import shlex
from collections.abc import Iterator

import pytest

from mcsync.sandbox.acting import ACTS, Actor, Door
from mcsync.sandbox.cast import settle
from mcsync.sandbox.server import LoopbackServer
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
