"""Log lines: where they go, what they look like, and whom they never name."""

import os
import re
from pathlib import Path

import pytest

from mcsync.sandbox.server import Fault, Response
from tests.cli.conftest import COMMANDS, LIST, PAGE, Office, Said, on_terminal

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (DEBUG|INFO|WARNING|ERROR) \S.*")


def test_a_line_begins_with_utc_time_and_level(office: Office):
    said = office.run("sync", "-vv")
    assert said.err
    for line in said.err.splitlines():
        assert LINE.fullmatch(line), line


@pytest.mark.parametrize(
    ("args", "levels"),
    [
        ([], {"WARNING"}),
        (["-v"], {"WARNING", "INFO"}),
        (["-vv"], {"WARNING", "INFO", "DEBUG"}),
        (["-q"], set()),
    ],
    ids=["", "-v", "-vv", "-q"],
)
def test_levels(office: Office, args: list[str], levels: set[str]):
    office.town.mailchimp.remove_interest(LIST, "cccccccccc")
    said = office.run("sync", *args)
    assert {line.split()[1] for line in said.err.splitlines()} == levels


# --- on a terminal --------------------------------------------------------------------------------


def test_on_a_terminal_a_line_does_not_run_into_the_progress(office: Office):
    shown = on_terminal(office, "sync", "-v")
    told = [line for line in shown.splitlines() if " INFO " in line]
    assert told
    for line in told:
        assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    \S.*", line), shown


def test_on_a_terminal_times_are_local_and_lines_are_wrapped_at_words(office: Office):
    office.config.chmod(0o644)
    hours = {on_terminal(office, "fetch", env={"TZ": zone})[:2] for zone in ("UTC", "XXX-5")}
    assert len(hours) == 2
    shown = on_terminal(office, "fetch", columns=60).splitlines()
    begin = shown.index(next(line for line in shown if "WARNING" in line))
    first, second = shown[begin : begin + 2]
    assert len(first) <= 60
    assert second.startswith(" " * 17)
    assert second[17] != " "
    assert f"chmod 600 {office.config}" in " ".join(line.strip() for line in shown[begin:])


@pytest.mark.parametrize(
    ("env", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["colour", "NO_COLOR", "dumb"],
)
def test_on_a_terminal_a_warning_has_a_colour_if_one_is_wanted(
    office: Office, env: dict[str, str], is_coloured: bool
):
    office.config.chmod(0o644)
    shown = on_terminal(office, "fetch", "-v", env=env, with_codes=True)
    assert "WARNING" in shown
    assert ("\x1b[33mWARNING" in shown) == is_coloured


# --- the journal ----------------------------------------------------------------------------------


def run_into_a_file(office: Office, path: Path, *args: str, stream: str | None = None) -> str:
    """Run with stderr going to a file that JOURNAL_STREAM calls the journal; what is in it."""
    with path.open("w") as file:
        stat = os.fstat(file.fileno())
        journal = stream or f"{stat.st_dev}:{stat.st_ino}"
        said = office.run_process(*args, stderr=file, env={"JOURNAL_STREAM": journal})
    assert said.out == ""
    return path.read_text()


def test_in_the_journal_lines_carry_a_priority_and_no_time(office: Office, tmp_path: Path):
    text = run_into_a_file(office, tmp_path / "journal", "sync", "-vv")
    lines = text.splitlines()
    assert any(line.startswith("<6>Main audience: ") for line in lines)
    assert any(line.startswith("<7>POST ") for line in lines)
    for line in lines:
        assert re.match(r"<[67]>[^<\d]", line), line


def test_in_the_journal_a_warning_is_4(office: Office, tmp_path: Path):
    office.config.chmod(0o644)
    text = run_into_a_file(office, tmp_path / "journal", "sync")
    assert re.fullmatch(r"<4>\S.*others can read it.*\n", text)


def test_in_the_journal_an_error_is_3_with_its_hint(office: Office, tmp_path: Path):
    office.config.unlink()
    text = run_into_a_file(office, tmp_path / "journal", "sync")
    assert "no such file" in text
    assert "mcsync init" in text
    for line in text.splitlines():
        assert line.startswith("<3>"), line


def test_a_stream_that_is_not_the_journal_is_none(office: Office, tmp_path: Path):
    text = run_into_a_file(office, tmp_path / "journal", "sync", "-v", stream="1:1")
    assert all(LINE.fullmatch(line) for line in text.splitlines())


# --- whom they never name -------------------------------------------------------------------------


def check_names_nobody(office: Office, said: Said) -> None:
    """No address that either service knows, and neither key, in any spelling."""
    text = (said.out + said.err).lower()
    for address in office.addresses():
        assert address not in text
        assert address.replace("@", "%40") not in text
    for key in office.secrets():
        assert key.lower() not in text
    assert "bearer" not in text
    assert "authorization" not in text


def test_no_line_names_an_address_or_a_key(office: Office):
    town = office.town
    town.mailchimp.settings.fake_addresses.add("hoppy@bedrock.example")
    office.add_contact("hoppy@bedrock.example")
    office.add_contact("slate@bedrock.example")
    town.mailchimp.import_member(LIST, "slate@bedrock.example", status="cleaned")
    town.mailchimp.import_member(LIST, "left@bedrock.example", status="unsubscribed", left=True)
    town.clock.advance(minutes=1)
    office.add_contact("left@bedrock.example")
    gazoo = office.add_contact("gazoo@bedrock.example", group=None)
    town.mailchimp.import_member(LIST, "gazoo@bedrock.example")
    town.civicrm.bad_contacts.add(gazoo)
    for _ in range(2):
        for args in (("sync", "--wait"), *((command,) for command in COMMANDS)):
            said = office.run(*args, "-vv")
            assert args[0] not in ("sync", "fetch") or " DEBUG " in said.err
            check_names_nobody(office, said)
        check_names_nobody(office, office.run("sync", "-vv", "--json", "--trust", "civicrm"))
        town.clock.advance(minutes=5)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(answer=PAGE, times=3),
        Fault(drop="before", times=3),
        Fault(drop="after", skip=2, times=3),
        Fault(
            path="Email|members",
            times=None,
            answer=Response(
                400,
                b'{"title": "wilma@bedrock.example", "detail": "no wilma@bedrock.example",'
                b' "error_message": "DB Error: Duplicate entry wilma@bedrock.example"}',
                {"Content-Type": "application/json"},
            ),
        ),
    ],
    ids=["pages", "dropped before", "dropped after", "words with addresses"],
)
@pytest.mark.parametrize("service", ["mailchimp", "civicrm"])
def test_no_trouble_names_an_address_or_a_key(
    office: Office, no_pauses: list[float], service: str, fault: Fault
):
    server = getattr(office.town, f"{service}_server")
    server.faults.append(Fault(**{name: getattr(fault, name) for name in fault.__slots__}))
    check_names_nobody(office, office.run("sync", "--wait", "-vv"))
    server.faults.append(Fault(**{name: getattr(fault, name) for name in fault.__slots__}))
    check_names_nobody(office, office.run("sync", "--wait", "-vv", "--json"))


def test_a_bug_tells_no_key_and_no_address(office: Office, monkeypatch: pytest.MonkeyPatch):
    """An exception's own words may quote what it stumbled over; its place is enough."""
    key, address = office.secrets()[0], min(office.addresses())

    def stumble(*_args: object) -> None:
        raise ValueError(f"bad header {key} of {address}")

    monkeypatch.setattr("mcsync.pipeline.sync.process_batches", stumble)
    said = office.run("sync", bug=True)
    assert said.code == 70
    assert "ValueError" in said.err
    check_names_nobody(office, said)


def test_keys_are_in_no_file_but_the_config_and_no_process_list(office: Office):
    assert office.run("sync", "--wait").code == 0
    for path, content in office.files().items():
        if path != str(office.config):
            for key in office.secrets():
                assert key.encode() not in content
    assert office.cache.stat().st_mode & 0o777 == 0o600
