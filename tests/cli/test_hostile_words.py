"""What strangers wrote steers no terminal, forges no line, is no formula, and tells no key."""

import csv
import io
import json
import subprocess

import pytest

from mcsync.errors import ExitCode
from mcsync.sandbox.server import Fault, Response
from mcsync.text import make_harmless
from tests.cli.conftest import LIST, SCRIPT, Office

EVIL = (
    '=HYPERLINK("http://evil.example","x")',
    "+1",
    "@SUM(A1)",
    " =1",
    "＝1",
    "\t=1",
    "\x1b[31mRed\x1b[0m\a",
    "Fred\nerror: forged\r2026-01-01T00:00:00Z ERROR forged",
    "\u202ederF",
)


@pytest.fixture
def evil_office(office: Office) -> Office:
    """Somebody new with each of the evil names, at Mailchimp."""
    for number, name in enumerate(EVIL):
        office.town.mailchimp.import_member(
            LIST, f"evil{number}@bedrock.example", first_name=name, last_name="Slate"
        )
    return office


def is_clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


COMMANDS = (
    ["sync", "--dry-run", "--with-data"],
    ["sync", "--dry-run", "--with-data", "--csv"],
    ["sync", "--with-data", "--print-changes", "-vv"],
    ["history"],
    ["history", "--csv"],
    ["history", "--json"],
    ["status", "-v"],
    ["report", "--people"],
    ["report", "--people", "--html", "-"],
    ["explain", "evil6@bedrock.example"],
)


def test_names_steer_nothing_d7(evil_office: Office) -> None:
    for args in COMMANDS:
        said = evil_office.run(*args)
        assert said.code == 0, said
        assert is_clean(said.out), args
        assert is_clean(said.err), args
        assert "\nerror: forged" not in said.out + said.err


def test_no_cell_is_a_formula_b15(evil_office: Office) -> None:
    planned = evil_office.run("sync", "--dry-run", "--csv").out
    evil_office.run("sync", "--with-data")
    for text in (planned, evil_office.run("history", "--csv").out):
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) > len(EVIL)
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell.strip()[:1] in tuple("=+@＝")]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("  =1+1", "'  =1+1"),
        ("\u200b=1+1", "' =1+1"),  # a blank, once nothing in it steers a terminal
        ("\x1b@SUM(1)", "' @SUM(1)"),
        ("\ufeff-1", "' -1"),
        ("\t1", "' 1"),
        ("x;=1+1", "x;'=1+1"),
        ('x; "+1', "x; \"'+1"),
        ("x|\u200b=1", "x| '=1"),
        ("1;2;@3", "1;2;'@3"),
        ("", ""),
        ("Wilma; Fred - both", "Wilma; Fred - both"),
        (7, 7),
        (None, None),
    ],
)
def test_a_cell_is_no_formula_however_it_is_read_b15(cell: object, written: object) -> None:
    assert make_harmless(cell) == written


def test_a_reader_who_has_seen_enough_is_no_trouble_b15(office: Office) -> None:
    for number in range(1500):
        office.town.mailchimp.import_member(LIST, f"worker{number}@quarry.example")
    for args in (["--csv"], [], ["--json"]):
        process = subprocess.Popen(  # noqa: S603
            [SCRIPT, "sync", "--dry-run", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=office.environ(),
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline() if not args or args == ["--csv"] else process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == ""
        process.stderr.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("words", ["Odd\nerror: forged", "\x1b]0;title\a", "x" * 60_000])
def test_the_words_of_an_error_steer_nothing_d7(
    office: Office, words: str, no_pauses: list[float]
) -> None:
    problem = json.dumps({"title": words, "detail": words, "status": 422}).encode()
    mailchimp = Response(422, problem, {"Content-Type": "application/problem+json"})
    civicrm = Response(
        500, json.dumps({"error_message": words}).encode(), {"Content-Type": "application/json"}
    )
    for server, answer in (
        (office.town.mailchimp_server, mailchimp),
        (office.town.civicrm_server, civicrm),
    ):
        server.faults.append(Fault(answer=answer, times=None))
        for args in (["sync", "-vv"], ["check"], ["sync", "--json"]):
            said = office.run(*args)
            assert said.code not in (0, 1, ExitCode.BUG), said
            assert is_clean(said.out)
            assert is_clean(said.err)
            assert "\nerror: forged" not in said.err
            assert len(said.err) < 10_000
        server.faults.clear()


def test_a_key_that_a_service_echoes_is_masked_d15(office: Office, no_pauses: list[float]) -> None:
    for key in office.secrets():
        for status in (400, 401, 403, 422, 500):
            body = {"title": f"Bad {key}", "detail": f"({key})", "error_message": f"no {key}!"}
            answer = Response(
                status, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            for server in (office.town.mailchimp_server, office.town.civicrm_server):
                server.faults.append(Fault(answer=answer, times=None))
                for args in (["sync", "-vv"], ["check"], ["sync", "--json"]):
                    said = office.run(*args)
                    assert said.code not in (0, 1, ExitCode.BUG), said
                    if server is not office.town.mailchimp_server or "-us" in key:
                        assert key not in said.out + said.err, (status, args)
                server.faults.clear()


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/html"])
@pytest.mark.parametrize("before", [170, 190, 1_970, 1_990])
def test_a_key_that_is_cut_in_two_is_masked_d15(
    office: Office, no_pauses: list[float], kind: str, before: int
) -> None:
    for key in office.secrets():
        words = "x " * (before // 2) + key
        body = f'<div class="crm-error-message">{words}</div>'
        if kind == "application/json":
            body = json.dumps({"title": words, "error_message": words, "error_id": "abc"})
        elif kind == "text/plain":
            body = words
        answer = Response(500, body.encode(), {"Content-Type": kind})
        office.town.civicrm_server.faults.append(Fault(answer=answer, times=None))
        office.town.mailchimp_server.faults.append(Fault(answer=answer, times=None))
        said = office.run("check")
        assert key[:8] not in said.out + said.err
        office.town.civicrm_server.faults.clear()
        office.town.mailchimp_server.faults.clear()


def test_vv_tells_nothing_from_which_an_address_can_be_computed_d15(office: Office) -> None:
    said = office.run("sync", "--wait", "-vv")
    said_again = office.run("sync-contact", "--email", "Barney@bedrock.example", "-vv")
    ids = {str(m["id"]) for m in office.town.mailchimp.members(LIST).values()}
    assert ids
    told = (said.err + said_again.err).lower()
    assert "/members/" in told
    assert not [each for each in ids if each[:6] in told]
    assert not [address for address in office.addresses() if address in told]
