"""Services, configs and terminals that are odd in ways nobody means: told, and never a bug."""

import io
import json
import threading
import time
from typing import Any

import pytest

from mcsync.cli.session import show_progress
from mcsync.cli.state import State
from mcsync.errors import ExitCode
from mcsync.sandbox.server import Fault, Request, Response
from tests.cli.conftest import COMMANDS, GIVE_UP_S, LIST, Office

NAMES = (
    "Friends [/members]",
    "[bold]Friends",
    "[link=https://example.org]x",
    "Fri\x1b[31mends\a",
    "Fri\nends\rerror: forged",
    "Łódź 🙂",
)
ODD_DATES = (
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Sat, 01 Jan 8999 00:00:00 GMT",
    "Sun, 99 Foo 2026",
    "\xff\xfe",
)


@pytest.mark.parametrize("date", ODD_DATES)
def test_an_absurd_date_is_no_bug_d14(office: Office, date: str, no_pauses: list[float]) -> None:
    for server in (office.town.mailchimp_server, office.town.civicrm_server):
        server.service.date_header = lambda: date  # type: ignore[method-assign]
    for command in (("sync", "--dry-run"), ("sync",), ("check",), ("status",), ("sync",)):
        said = office.run(*command)
        assert said.code not in (1, ExitCode.BUG), said


@pytest.mark.parametrize(
    "value", [*ODD_DATES, "0", "-1", "1e9", "9" * 400, "²", "٣", "1" * 5000, ""]
)
def test_an_absurd_retry_after_is_no_bug_d14(
    office: Office, value: str, no_pauses: list[float]
) -> None:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        value = value.encode().decode("latin-1")
    answer = Response(429, b"{}", {"Retry-After": value, "Content-Type": "application/json"})
    office.town.mailchimp_server.faults.append(Fault(answer=answer, times=None))
    said = office.run("fetch")
    assert said.code == ExitCode.UNAVAILABLE
    assert "asks mcsync to slow down" in said.err
    assert all(0 <= pause <= 120 for pause in no_pauses)


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59+00:00",
        "1969-12-31T23:59:59+00:00",
        "2026-99-99",
        "",
    ],
)
def test_a_time_that_makes_no_sense_is_an_unknown_one_d14(office: Office, at: str) -> None:
    def rewrite(_request: Request, response: Response) -> Response:
        body = json.loads(response.body)
        for member in body.get("members", []):
            member["last_changed"] = at
        return Response(response.status, json.dumps(body).encode(), response.headers)

    path = f"/lists/{LIST}/members"
    office.town.mailchimp_server.faults.append(Fault(path=path, rewrite=rewrite, times=None))
    before = office.statuses()
    for _ in range(2):
        said = office.run("sync", "--wait")
        assert said.code == ExitCode.OK, said
    assert {email: office.statuses()[email] for email in before} == before


BROKEN_URLS = ("https://[::1/", "https://[/", "https://]/", "http://[::1]:x/", "https://\x7f/")


@pytest.mark.parametrize("url", BROKEN_URLS)
@pytest.mark.parametrize("key", ["civicrm", "apiUrl", "webhookUrl", "batchWebhook", "copy"])
def test_an_address_that_is_none_is_told_d14(office: Office, key: str, url: str) -> None:
    blob: dict[str, Any] = json.loads(office.config.read_text())
    account = next(iter(blob["accounts"].values()))
    if key == "civicrm":
        blob["civicrm"]["url"] = url
    elif key == "copy":
        account["audiences"] = {LIST: {"name": "x", "webhook": url}}
    else:
        account[key] = url
    office.config.write_text(json.dumps(blob))
    for command in (*COMMANDS, "check", "serve", "status"):
        if key == "copy" and command == "serve":
            continue  # it would serve
        said = office.run(command, *(["--bind", "127.0.0.1:0"] if command == "serve" else []))
        assert said.code not in (1, ExitCode.BUG), said
        if key != "copy":
            assert said.code == ExitCode.CONFIG, said


def test_addresses_that_services_tell_may_be_none_d14(office: Office) -> None:
    webhooks = [{"id": "1", "url": url, "events": {}, "sources": {}} for url in BROKEN_URLS]
    body = json.dumps({"webhooks": webhooks, "total_items": len(webhooks)}).encode()
    answer = Response(200, body, {"Content-Type": "application/json"})
    office.town.mailchimp_server.faults.append(Fault(path="webhooks", answer=answer, times=None))
    assert office.run("check").code not in (1, ExitCode.BUG)
    office.town.mailchimp_server.faults.clear()

    def rewrite(_request: Request, response: Response) -> Response:
        found = {**json.loads(response.body), "response_body_url": "https://[::1/"}
        return Response(response.status, json.dumps(found).encode(), response.headers)

    office.town.mailchimp_server.faults.append(
        Fault(method="GET", path=r"/batches/\w+", rewrite=rewrite, times=None)
    )
    for _ in range(2):
        assert office.run("sync").code not in (1, ExitCode.BUG)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_an_audience_is_called_d14(office: Office, name: str) -> None:
    blob: dict[str, Any] = json.loads(office.config.read_text())
    account = next(iter(blob["accounts"].values()))
    account["audiences"] = {LIST: {"name": name}}
    office.town.mailchimp.audiences[LIST].name = name
    office.config.write_text(json.dumps(blob))
    for command in (["sync", "-v"], ["sync", "--dry-run"], ["status"], ["check"], ["history"]):
        said = office.run(*command)
        assert said.code in (0, ExitCode.PARTIAL), said
        assert "\x1b" not in said.out + said.err
        assert "\a" not in said.out + said.err
        assert "\nerror: forged" not in said.out + said.err


def test_a_terminal_that_writes_few_letters_d14(office: Office) -> None:
    office.town.mailchimp.audiences[LIST].name = NAMES[-1]
    blob: dict[str, Any] = json.loads(office.config.read_text())
    next(iter(blob["accounts"].values()))["audiences"] = {LIST: {"name": NAMES[-1]}}
    office.config.write_text(json.dumps(blob))
    office.add_both("łukasz@bedrock.example")
    for encoding, args in (
        ("latin-1", ["sync", "--dry-run"]),
        ("ascii", ["sync", "--dry-run", "--csv"]),
        ("ascii", ["sync", "-v", "--print-changes"]),
        ("ascii", ["status"]),
        ("ascii", ["check"]),
        ("ascii", ["check", "--account", "main"]),
        ("latin-1", ["explain", "łukasz@bedrock.example"]),
        ("ascii", ["history"]),
    ):
        environ = {"PYTHONIOENCODING": encoding}
        said = office.run_process(*args, env=environ, encoding=encoding)
        assert said.code not in (1, ExitCode.BUG), said


def test_on_a_terminal_a_name_that_looks_like_markup_is_shown_as_it_stands_d14() -> None:
    progress_of = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcsync.cli.session.is_terminal", lambda: True)
        patch.setattr("sys.stderr", progress_of)
        with show_progress(State()) as progress:
            assert progress is not None
            for name in NAMES:
                progress(name, "members", 3)


@pytest.mark.parametrize("server", ["mailchimp_server", "civicrm_server"])
def test_max_time_ends_a_wait_for_an_answer_d4(
    office: Office, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcsync.http.LEAST_S", 0.3)
    over = threading.Event()
    waits = Fault(act=lambda: over.wait(GIVE_UP_S), times=None)
    getattr(office.town, server).faults.append(waits)
    begun = time.monotonic()
    try:
        said = office.run("sync", "--max-time", "0.5")
    finally:
        over.set()
    assert said.code == ExitCode.UNAVAILABLE, said
    assert "did not answer within" in said.err
    assert time.monotonic() - begun < GIVE_UP_S / 2
