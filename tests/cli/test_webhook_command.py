"""`mcsync webhook`: one payload from a file or stdin, and as a CGI script."""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from click.testing import CliRunner

from mcsync.cli.main import app
from mcsync.lock import hold_lock
from mcsync.sandbox.mailchimp.webhooks import sign
from mcsync.sandbox.server import Fault
from mcsync.webhooks.payload import MAX_BODY
from tests.cli.conftest import GIVE_UP_S, LIST, SCRIPT, Office, Said
from tests.cli.deliveries import (
    BATCH,
    BATCH_SECRET,
    SECRET,
    UNKNOWN_LIST,
    WHO,
    is_removed,
    open_shop,
    payload,
    settle,
    stored,
    waiting,
)

shop = pytest.fixture(open_shop)


@pytest.fixture
def synced(shop: Office) -> Office:
    assert shop.run("sync", "--wait").code == 0
    return shop


def give(office: Office, body: bytes, *args: str) -> Said:
    """Run the command with a payload on stdin."""
    settings = {"MCSYNC_CONFIG": str(office.config)}
    found = CliRunner().invoke(app, ["webhook", *args], input=body, env=settings)
    assert "Traceback" not in found.stderr
    return Said(found.exit_code, found.stdout, found.stderr)


def answer_of(said: Said) -> tuple[object, object, object]:
    document = said.document
    assert document["command"] == "webhook"
    assert document["exit_code"] == said.code == 0
    return document["stored"], document["kind"], document["handled"]


def test_a_payload_is_stored_and_handled_at_once(synced: Office):
    synced.town.mailchimp.leave(LIST, WHO)
    said = give(synced, payload("unsubscribe"), "--json")
    assert answer_of(said) == (True, "unsubscribe", 1)
    assert is_removed(synced, WHO)
    assert waiting(synced) == 0
    assert said.err == ""


def test_a_run_at_work_finds_it_later(synced: Office):
    synced.town.mailchimp.leave(LIST, WHO)
    with hold_lock(synced.cache):
        said = give(synced, payload("unsubscribe"), "--json")
        assert answer_of(said) == (True, "unsubscribe", 0)
        assert stored(synced.cache) == [WHO]
    assert synced.run("sync", "--wait") == Said(0, "", "")
    assert is_removed(synced, WHO)
    assert waiting(synced) == 0


def test_it_is_stored_before_the_first_run_ever(shop: Office):
    said = give(shop, payload(), "--json")
    assert answer_of(said) == (True, "cleaned", 0)
    assert said.document["why"] == "the audience has never been fetched: run mcsync fetch"
    assert stored(shop.cache) == [WHO]
    assert shop.cache.stat().st_mode & 0o777 == 0o600


def test_a_file_does_as_well(synced: Office):
    file = synced.folder / "payload"
    file.write_bytes(BATCH)
    said = give(synced, b"", "--file", str(file), "--batch", "--json")
    assert answer_of(said)[:2] == (True, "batch_operation_completed")


def test_a_minus_is_stdin(synced: Office):
    assert answer_of(give(synced, BATCH, "--file", "-", "--json"))[:2] == (
        True,
        "batch_operation_completed",
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_it_says_that_it_waits(shop: Office):
    import pexpect

    child = pexpect.spawn(
        SCRIPT, ["webhook"], encoding="utf-8", timeout=GIVE_UP_S, env=shop.environ()
    )
    child.expect("Waiting for a payload on stdin; end it with Ctrl-D")
    child.sendeof()
    child.expect("not a webhook's payload")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2


def test_in_words(synced: Office):
    with hold_lock(synced.cache):
        why = "another run is at work; that run or the next sync handles it"
        assert give(synced, payload()) == Said(0, f"stored: cleaned; 0 handled: {why}\n", "")
    assert give(synced, payload("campaign")) == Said(0, "ignored: campaign; 0 handled\n", "")
    why = f"audience {UNKNOWN_LIST} is not in the config"
    said = give(synced, payload(list_id=UNKNOWN_LIST))
    assert said.out == f"ignored: cleaned; 0 handled: {why}\n"
    assert give(synced, b"type=%1b[2J").out == "ignored: an unknown kind; 0 handled\n"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (payload("campaign"), "campaign"),
        (payload("sms_subscribe"), "sms_subscribe"),
        (payload(list_id=UNKNOWN_LIST), "cleaned"),
        (payload(email="nobody"), "cleaned"),
        (b"type=a%20b", None),
    ],
)
def test_nothing_for_us_is_a_success_that_stores_nothing(
    shop: Office, body: bytes, kind: str | None
):
    assert answer_of(give(shop, body, "--json")) == (False, kind, 0)
    assert not shop.cache.exists()


BAD: dict[str, tuple[bytes, tuple[str, ...], str]] = {
    "empty": (b"", (), "not a webhook's payload"),
    "JSON": (b'{"type": "subscribe"}', (), "not a webhook's payload"),
    "binary": (bytes(range(256)), (), "not a webhook's payload"),
    "too big": (payload() + b"&" + b"a" * MAX_BODY, (), "larger than 1 MiB"),
    "no batch": (payload(), ("--batch",), "not a batch webhook's payload"),
    "no file": (b"", ("--file", "/nowhere/at/all"), "cannot read /nowhere/at/all"),
    "a folder": (b"", ("--file", "/"), "cannot read"),
}


@pytest.mark.parametrize(("body", "args", "says"), BAD.values(), ids=BAD)
def test_what_is_no_payload_is_a_usage_error(
    shop: Office, body: bytes, args: tuple[str, ...], says: str
):
    said = give(shop, body, *args)
    assert said.code == 2
    assert said.err.startswith("error: ")
    assert says in said.err
    assert WHO not in said.err
    document = give(shop, body, "--json", *args).document
    assert (document["exit_code"], document["error"]["kind"]) == (2, "usage-error")
    assert not shop.cache.exists()


def test_a_wrong_config_is_78(shop: Office):
    shop.write_config(lists={LIST: {"subscriptionGroup": "newsletter"}})
    assert give(shop, payload()).code == 78


def test_a_cache_that_cannot_be_used_is_74(shop: Office):
    shop.cache.write_text("Dear diary, " * 99)
    assert give(shop, payload()).code == 74


def test_a_service_that_is_down_leaves_it_stored(synced: Office, no_pauses: list[float]):
    synced.town.mailchimp_server.faults.append(Fault(drop="before", times=None))
    said = give(synced, payload(), "--json")
    assert answer_of(said) == (True, "cleaned", 0)
    assert "the webhook is stored" in said.err
    assert WHO not in said.err
    assert waiting(synced) == 1


# --- as a CGI script ------------------------------------------------------------------------------


def request(
    office: Office, body: bytes, query: str = f"secret={SECRET}", method: str = "POST", **extra: str
) -> tuple[int, str]:
    """Run it as a web server runs a CGI script; the status, and all that it answered."""
    environ = office.environ() | {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "/cgi-bin/mcsync",
        "PATH_INFO": "",
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
    }
    done = subprocess.run(  # noqa: S603
        [SCRIPT, "webhook"],
        env=environ | extra,
        input=body,
        capture_output=True,
        timeout=GIVE_UP_S,
    )
    assert done.returncode == 0, done
    assert done.stderr == b""
    head, _, _ = done.stdout.partition(b"\r\n\r\n")
    first = head.split(b"\r\n")[0]
    assert first.startswith(b"Status: ")
    return int(first.split()[1]), done.stdout.decode()


def test_a_web_server_gets_its_answer_and_the_person_is_synced(synced: Office):
    synced.town.mailchimp.leave(LIST, WHO)
    assert request(synced, payload("unsubscribe"))[0] == 200
    assert is_removed(synced, WHO)
    assert waiting(synced) == 0


def test_a_script_is_no_open_door(synced: Office):
    with hold_lock(synced.cache):
        for query in ("", "secret=", "secret=wrong", f"secret={BATCH_SECRET}", f"Secret={SECRET}"):
            status, text = request(synced, payload(), query)
            assert status == 401
            assert text.endswith("\r\n\r\n")
        assert request(synced, BATCH, f"secret={BATCH_SECRET}")[0] == 200
        assert waiting(synced) == 1


def test_a_script_answers_as_the_server_does(shop: Office):
    assert request(shop, b"", "", "GET")[0] == 200
    assert request(shop, b"", "", "HEAD")[1].endswith("\r\n\r\n")
    assert request(shop, payload(), method="PUT")[0] == 405
    assert request(shop, payload("campaign"))[0] == 204
    assert request(shop, b"nothing")[0] == 400
    assert request(shop, payload(), CONTENT_LENGTH="9999999")[0] == 413
    assert request(shop, payload(), CONTENT_LENGTH="abc")[0] == 400
    assert not shop.cache.exists()


def test_a_script_checks_the_signature_too(office: Office):
    settle(office, signingSecrets=["signing"])
    good = sign("signing", payload(), int(time.time()))
    assert request(office, payload())[0] == 401
    assert request(office, payload(), HTTP_X_MAILCHIMP_SIGNATURE=good + "0")[0] == 401
    assert not office.cache.exists()
    assert request(office, payload(), HTTP_X_MAILCHIMP_SIGNATURE=good)[0] == 200


def test_a_script_without_secrets_admits_nobody(office: Office):
    assert request(office, payload(), "secret=")[0] == 401


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (lambda office: office.config.write_text("{"), 78, b"config.json"),
        (lambda office: office.write_config(cache="a-loop/mcsync.db"), 74, b"is not a usable path"),
    ],
    ids=["config", "cache"],
)
def test_a_web_server_gets_an_answer_when_nothing_works(
    shop: Office, spoil: Callable[[Office], object], code: int, says: bytes
):
    (shop.folder / "a-loop").symlink_to("a-loop")
    spoil(shop)
    done = subprocess.run(  # noqa: S603
        [SCRIPT, "webhook"],
        env=shop.environ() | {"REQUEST_METHOD": "POST"},
        input=payload(),
        capture_output=True,
        timeout=GIVE_UP_S,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout == (
        b"Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
    )
    assert done.stderr.startswith(b"error: ")
    assert says in done.stderr


@pytest.mark.parametrize(
    ("extra", "answer"),
    [
        ({"MCSYNC_CONFIG": "nowhere.json"}, b"Status: 503 "),
        ({"REQUEST_METHOD": "PUT"}, b"Status: 405 "),
        ({}, b"Status: 413 "),
    ],
    ids=["no config", "method", "too long"],
)
def test_a_script_reads_the_whole_body_before_it_answers(
    shop: Office, extra: dict[str, str], answer: bytes
):
    """Else Apache, which sends all of it first, sees a broken pipe and drops the answer."""
    body = b"a" * (MAX_BODY + 1)
    known = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body))}
    with subprocess.Popen(  # noqa: S603
        [SCRIPT, "webhook"],
        env=shop.environ() | known | extra,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as script:
        assert script.stdin is not None
        assert script.stdout is not None
        script.stdin.write(body)
        script.stdin.flush()  # the pipe stays open, as RFC 3875 allows
        assert script.stdout.read().startswith(answer)
        script.wait(GIVE_UP_S)


def test_a_web_server_that_wants_json_is_told_how(shop: Office):
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST"}
    for args in (("--json",), ("--batch",), ("--file", "x")):
        said = shop.run("webhook", *args, env=environ)
        assert said.code == 2
        assert "env -u REQUEST_METHOD" in said.out + said.err


def test_the_answer_is_complete_before_anything_is_handled(synced: Office):
    """Whoever waits for the end of the answer waits no longer than it takes to store."""
    synced.town.mailchimp_server.faults.append(Fault(delay_s=3, times=None))
    environ = synced.environ() | {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": f"secret={SECRET}",
        "CONTENT_LENGTH": str(len(payload())),
    }
    source = synced.folder / "body"
    source.write_bytes(payload())
    reading, writing = os.pipe()
    with source.open("rb") as body, os.fdopen(reading, "rb") as answer:
        process = subprocess.Popen(  # noqa: S603
            [SCRIPT, "webhook"],
            env=environ,
            stdin=body,
            stdout=writing,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with closing(answer):
            text = answer.read()
        assert text.startswith(b"Status: 200 OK\r\n")
        assert process.poll() is None  # it is still handling
        process.kill()
        process.wait(GIVE_UP_S)
    assert waiting(synced) == 1
