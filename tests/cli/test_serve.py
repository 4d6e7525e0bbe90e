"""Webhooks over HTTP: what is answered, what is stored, and that nothing stored is lost."""

import http.client
import io
import json
import logging
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.cache.store import Store
from mcsync.cache.webhooks import note_attempts, save_events
from mcsync.cli.serve import _warn_of_strangers, make_application
from mcsync.cli.session import open_intake
from mcsync.cli.state import State
from mcsync.errors import CacheError, ConfigError
from mcsync.lock import hold_lock
from mcsync.model import EventKind, WebhookEvent
from mcsync.sandbox.mailchimp.state import Webhook
from mcsync.sandbox.mailchimp.webhooks import sign
from mcsync.sandbox.server import Fault, Response
from mcsync.sandbox.town import API_KEY
from mcsync.webhooks.app import WebhookApp
from mcsync.webhooks.auth import AccountKeys, Gate
from mcsync.webhooks.inbox import Inbox, _Ticket
from mcsync.webhooks.listening import Address, listen
from mcsync.webhooks.payload import MAX_BODY
from mcsync.webhooks.queue import Intake
from mcsync.webhooks.receiver import Desk, open_desk
from mcsync.webhooks.server import WebServer
from mcsync.webhooks.worker import Worker
from tests.cli.conftest import GIVE_UP_S, LIST, Office, Said
from tests.cli.deliveries import (
    BATCH,
    BATCH_PATH,
    BATCH_SECRET,
    PATH,
    SECRET,
    UNKNOWN_LIST,
    WHO,
    is_removed,
    open_shop,
    payload,
    stored,
    waiting,
)

EVENT = WebhookEvent(EventKind.CLEANED, LIST, WHO, fired_at="2026-11-22 06:00:00")


def now() -> datetime:
    return datetime.now(UTC)


def wait_for(condition: Callable[[], bool], seconds: float = GIVE_UP_S) -> bool:
    """Look until it is so; False when that takes too long."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


# --- the application by itself --------------------------------------------------------------------


class Client:
    """Asks the application as a WSGI server would; `events` is what it stored."""

    def __init__(self, **settings: Any) -> None:
        self.events: list[WebhookEvent] = []
        self.is_able = True
        keys = AccountKeys(
            frozenset({LIST}), secrets=(SECRET,), batch_secrets=(BATCH_SECRET,), **settings
        )
        other = AccountKeys(frozenset({"bbbbbbbbbb"}), secrets=("other",))
        self.gate = Gate([keys, other])
        self.app = WebhookApp(self.gate, self.store, {LIST}, ["/somewhere/b%C3%BC"], now)

    def store(self, event: WebhookEvent) -> bool:
        if self.is_able:
            self.events.append(event)
        return self.is_able

    def ask(
        self,
        body: bytes = b"",
        method: str = "POST",
        path: str = "/webhook",
        query: str = f"secret={SECRET}",
        **extra: Any,
    ) -> int:
        """Send a request; returns the status. Extras replace parts of the environ."""
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        environ |= extra
        answers: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            answers.append((status, headers))
            return lambda _data: None

        result = validator(self.app)(environ, start_response)
        self.text = b"".join(result)
        result.close()  # type: ignore[attr-defined]
        ((status, headers),) = answers
        self.headers = dict(headers)
        return int(status.split()[0])


@pytest.fixture
def client() -> Client:
    return Client()


def test_a_payload_is_stored_and_answered_200(client: Client):
    assert client.ask(payload()) == 200
    assert client.events == [EVENT]
    assert client.text == b""


def test_a_batch_is_stored_with_its_own_secret(client: Client):
    assert client.ask(BATCH, path="/batch-webhook", query=f"secret={BATCH_SECRET}") == 200
    assert client.ask(BATCH, path="/batch-webhook") == 401
    assert client.events == [WebhookEvent(EventKind.BATCH_COMPLETED, batch_id="1234ab56cd")]


WRONG = {
    "no query": "",
    "an empty secret": "secret=",
    "a wrong secret": "secret=wrong",
    "the secret with more": f"secret={SECRET}x",
    "half of it": f"secret={SECRET[:-1]}",
    "another name": f"Secret={SECRET}",
    "the batches' secret": f"secret={BATCH_SECRET}",
    "the other account's": "secret=other",
    "broken escapes": "secret=%zz%",
    "no UTF-8": "secret=%ff",
    "the right one after a wrong one": f"secret=x&secret={SECRET}",
}


@pytest.mark.parametrize("query", WRONG.values(), ids=WRONG)
def test_a_wrong_secret_is_401_without_a_word(
    client: Client, query: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG, "mcsync"):
        assert client.ask(payload(), query=query) == 401
    assert client.text == b""
    assert client.events == []
    assert WHO not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff" * 99, payload("campaign"), payload(email="")],
    ids=["empty", "no text", "campaign", "no address"],
)
def test_401_comes_before_anything_about_the_body_is_told(client: Client, body: bytes):
    assert client.ask(body, query="secret=wrong") == 401


def test_a_signature_is_checked_where_it_is_configured():
    client = Client(signing_secrets=("signing",))
    good = sign("signing", payload(), int(time.time()))
    assert client.ask(payload(), HTTP_X_MAILCHIMP_SIGNATURE=good) == 200
    bad = sign("forged", payload(), int(time.time()))
    old = sign("signing", payload(), int(time.time()) - 400)
    for header in (bad, old, "", "t=1"):
        assert client.ask(payload(), HTTP_X_MAILCHIMP_SIGNATURE=header) == 401
    assert client.ask(payload()) == 401
    assert client.ask(payload(), query="", HTTP_X_MAILCHIMP_SIGNATURE=good) == 401
    assert len(client.events) == 1


NOTHING = {
    "a campaign": payload("campaign"),
    "a kind of later": payload("sms_subscribe"),
    "no address": payload(email=""),
    "an address that is none": payload(email="\xff\x00"),
    "a list of the account that is not ours": payload(list_id=UNKNOWN_LIST),
    "no list": payload(list_id=""),
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=NOTHING)
def test_nothing_for_us_is_204(client: Client, body: bytes):
    assert client.ask(body) == 204
    assert client.text == b""
    assert client.events == []


BODIES = {
    "empty": b"",
    "JSON": b'{"type": "subscribe"}',
    "no text": bytes(range(256)),
    "UTF-16": payload().decode().encode("utf-16"),
    "endless fields": b"type=subscribe" + b"&a" * 9999,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_no_payload_is_400(client: Client, body: bytes):
    assert client.ask(body) == 400
    assert client.events == []


class Endless(io.RawIOBase):
    """A body without an end; it counts what was read of it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "all of it was asked for"
        self.taken += size
        return b"a" * size


def test_a_huge_body_is_413_and_not_read(client: Client):
    stream = Endless()
    length = str(MAX_BODY + 1)
    assert client.ask(CONTENT_LENGTH=length, **{"wsgi.input": stream}) == 413
    assert stream.taken == 0
    assert client.ask(payload() + b"&x=" + b"a" * (MAX_BODY - len(payload()) - 3)) == 200


def test_a_body_without_a_length_is_read_only_where_its_end_is_marked(client: Client):
    stream = Endless()
    marked = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    assert client.ask(**marked, **{"wsgi.input": stream}) == 413
    assert stream.taken <= MAX_BODY + 1
    assert client.ask(payload(), **marked) == 200
    assert client.ask(payload(), CONTENT_LENGTH="") == 400
    assert len(client.events) == 1


@pytest.mark.parametrize("length", ["-1", "abc", "1.5", "0x10", "1 2", "²", "+7", "9" * 5000])
def test_a_length_that_is_none_is_refused(client: Client, length: str):
    environ = {"CONTENT_LENGTH": length}
    answers: list[str] = []
    environ |= {"REQUEST_METHOD": "POST", "PATH_INFO": "/webhook", "wsgi.input": io.BytesIO()}
    list(client.app(environ, lambda status, *_: answers.append(status)))
    assert answers[0][:3] == ("413" if length.startswith("9") else "400")


def test_a_body_shorter_than_its_length_is_400(client: Client):
    assert client.ask(payload(), CONTENT_LENGTH=str(len(payload()) + 1)) == 400
    assert client.events == []


@pytest.mark.parametrize("path", ["/webhook", "/batch-webhook", "/x/y/webhook", "/somewhere/bü/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_validator_finds_us_without_a_secret(client: Client, path: str, method: str):
    assert client.ask(b"", method, path.encode().decode("latin-1"), "") == 200
    assert bool(client.text) == (method == "GET")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"])
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_other_methods_are_405(client: Client, method: str):
    assert client.ask(payload(), method) == 405
    assert client.headers["Allow"] == "GET, HEAD, POST"
    assert client.events == []


@pytest.mark.parametrize("path", ["/", "/webhooks", "/webhook/x", "/mywebhook", "/../etc/passwd"])
def test_other_paths_are_404(client: Client, path: str):
    for method in ("GET", "POST", "PUT"):
        assert client.ask(payload(), method, path) == 404
    assert client.events == []


def test_a_path_below_a_mount_is_found(client: Client):
    assert client.ask(b"", "GET", "", SCRIPT_NAME="/cgi/webhook") == 200
    assert client.ask(b"", "GET", "/bü".encode().decode("latin-1"), SCRIPT_NAME="/somewhere") == 200


def test_what_cannot_be_stored_is_503(client: Client):
    client.is_able = False
    assert client.ask(payload()) == 503


def test_a_bug_is_500_and_told_to_nobody(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def stumble(*_: object) -> bool:
        raise ZeroDivisionError(WHO)

    monkeypatch.setattr(client.gate, "admits", stumble)
    with caplog.at_level(logging.DEBUG, "mcsync"):
        assert client.ask(payload()) == 500
    assert client.text == b""
    assert "ZeroDivisionError" in caplog.text
    assert WHO not in caplog.text


def test_a_sender_who_goes_away_is_no_trouble(client: Client):
    class Gone(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise ConnectionResetError

    assert client.ask(payload(), **{"wsgi.input": Gone()}) == 400


@given(
    body=st.binary(max_size=200),
    query=st.text(st.characters(max_codepoint=255), max_size=40),
    length=st.one_of(st.none(), st.text(st.characters(max_codepoint=255), max_size=5)),
    signature=st.text(st.characters(max_codepoint=255), max_size=40),
)
def test_whatever_comes_the_answer_is_one_of_ours(
    body: bytes, query: str, length: str | None, signature: str
):
    client = Client()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/webhook",
        "QUERY_STRING": query,
        "HTTP_X_MAILCHIMP_SIGNATURE": signature,
        "wsgi.input": io.BytesIO(body),
    }
    environ["CONTENT_LENGTH"] = str(len(body)) if length is None else length
    answers: list[str] = []
    list(client.app(environ, lambda status, *_: answers.append(status)))
    assert answers[0][:3] in ("400", "401", "413")
    assert client.events == []


# --- the inbox ------------------------------------------------------------------------------------


@contextmanager
def open_inbox(cache: Path, **settings: Any) -> Iterator[Inbox]:
    inbox = Inbox(cache, now, **{"on_stored": lambda: None, **settings})
    inbox.start()
    try:
        yield inbox
    finally:
        inbox.stop()


def event_for(name: str) -> WebhookEvent:
    return WebhookEvent(EventKind.CLEANED, LIST, f"{name}@b.example")


def test_what_is_answered_is_on_the_disk(cache: Path):
    told = threading.Event()
    with open_inbox(cache, on_stored=told.set) as inbox:
        assert inbox.store(EVENT)
        assert stored(cache) == [WHO]
        assert told.wait(GIVE_UP_S)


def test_a_run_that_writes_is_waited_for(cache: Path):
    with open_inbox(cache) as inbox, closing(sqlite3.connect(cache)) as run:
        run.isolation_level = None
        run.execute("BEGIN IMMEDIATE")
        answers: list[bool] = []
        senders = [
            threading.Thread(
                target=lambda name: answers.append(inbox.store(event_for(name))), args=n
            )
            for n in "abcde"
        ]
        for sender in senders:
            sender.start()
        assert wait_for(lambda: bool(inbox._waiting) or inbox._file.is_open)
        assert answers == []
        run.execute("COMMIT")
        for sender in senders:
            sender.join(GIVE_UP_S)
        assert answers == [True] * 5
    assert sorted(stored(cache)) == [f"{name}@b.example" for name in "abcde"]


def test_a_run_that_writes_too_long_is_not_waited_for(
    cache: Path, caplog: pytest.LogCaptureFixture
):
    with closing(sqlite3.connect(cache)) as run:
        run.isolation_level = None
        run.execute("BEGIN IMMEDIATE")
        with open_inbox(cache, patience_s=0.2) as inbox:
            assert not inbox.store(EVENT)
            run.execute("ROLLBACK")
            inbox._patience_s = GIVE_UP_S
            assert inbox.store(event_for("later"))
    assert set(stored(cache)) <= {WHO, "later@b.example"}
    assert "later@b.example" in stored(cache)
    assert caplog.text == ""  # that a run is writing is no trouble


def test_a_file_that_cannot_be_written_is_told_once(cache: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise CacheError("cannot use the cache: disk I/O error")

    told: list[str] = []
    monkeypatch.setattr("mcsync.webhooks.inbox.log.error", lambda text, *a: told.append(text % a))
    inbox = Inbox(cache, now, on_stored=lambda: None)  # not started: no thread, no time that passes
    inbox._pause.set()
    ticket = _Ticket(EVENT, time.monotonic() + 60)
    with monkeypatch.context() as patched:
        patched.setattr(inbox._file, "open", fail)
        for _ in range(3):
            inbox._write([ticket])
    assert told == ["webhooks cannot be stored: cannot use the cache: disk I/O error"]
    assert not ticket.is_stored
    inbox._write([ticket])
    assert ticket.is_stored
    inbox._file.close()


def test_a_bug_while_storing_does_not_end_it(cache: Path, monkeypatch: pytest.MonkeyPatch):
    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    with open_inbox(cache) as inbox:
        with monkeypatch.context() as patched:
            patched.setattr("mcsync.webhooks.inbox.save_deliveries", stumble)
            assert not inbox.store(EVENT)
        assert inbox.store(EVENT)


def test_a_cache_that_was_deleted_is_made_anew(cache: Path):
    with open_inbox(cache) as inbox:
        assert inbox.store(event_for("one"))
        for path in cache.parent.glob(cache.name + "*"):
            path.unlink()
        assert inbox.store(event_for("two"))
        assert stored(cache) == ["two@b.example"]


def test_the_file_is_closed_when_nothing_comes(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mcsync.webhooks.inbox._IDLE_S", 0.05)
    with open_inbox(cache) as inbox:
        assert inbox.store(event_for("one"))
        assert wait_for(lambda: not inbox._file.is_open)
        assert inbox.store(event_for("two"))
    assert len(stored(cache)) == 2


def test_the_worker_at_the_same_file_takes_no_locks_away(cache: Path):
    """POSIX drops a process's locks on a file as soon as it closes any descriptor of it.

    Another process would then take itself for the last one, and remove the log we write to.
    """
    look = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
    look += " print(*db.execute('SELECT count(*) FROM civicrm_mailchimpsync_webhook').fetchone());"
    look += " db.close()"

    def count() -> str:
        args = [sys.executable, "-c", look, str(cache)]
        done = subprocess.run(args, capture_output=True, text=True, check=True)  # noqa: S603
        return done.stdout.strip()

    with open_inbox(cache) as inbox:
        assert inbox.store(event_for("one"))
        with closing(Store(cache)):
            assert count() == "1"
            assert inbox.store(event_for("two"))
            assert count() == "2"


def test_after_its_end_nothing_is_taken(cache: Path):
    with open_inbox(cache) as inbox:
        assert inbox.store(EVENT)
    assert not inbox.store(EVENT)
    assert stored(cache) == [WHO]


# --- the worker -----------------------------------------------------------------------------------


class Script:
    """A queue that does as it is told, step by step; then it is empty."""

    def __init__(self, *steps: int | Exception) -> None:
        self.steps = list(steps)
        self.is_over = threading.Event()

    def __call__(self) -> int:
        if not self.steps:
            self.is_over.set()
            return 0
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcsync.webhooks.worker._TURN_S", 0.001)
    monkeypatch.setattr("mcsync.webhooks.worker._LOCK_PAUSES_S", (0.001, 0.004))
    monkeypatch.setattr("mcsync.webhooks.worker._TROUBLE_PAUSES_S", (0.001, 0.004))
    monkeypatch.setattr(logging.getLogger("mcsync"), "propagate", True)


def test_the_worker_begins_with_what_is_left_and_outlives_every_trouble(
    quick: None, caplog: pytest.LogCaptureFixture
):
    from mcsync.errors import LockHeld, RemoteUnavailable

    down = RemoteUnavailable("Mailchimp does not answer")
    script = Script(200, 7, LockHeld("busy"), LockHeld("busy"), down, down, ZeroDivisionError(), 1)
    worker = Worker(script)
    with caplog.at_level(logging.WARNING, "mcsync"):
        worker.start()
        assert script.is_over.wait(GIVE_UP_S)
        script.is_over.clear()
        worker.wake()
        assert script.is_over.wait(GIVE_UP_S)
        worker.stop(GIVE_UP_S)
    assert caplog.text.count("does not answer") == 1
    assert caplog.text.count("ZeroDivisionError") == 1
    assert "busy" not in caplog.text
    assert "Traceback" not in caplog.text


def test_refusals_are_loud_once_an_hour(caplog: pytest.LogCaptureFixture):
    at = now()
    keys = AccountKeys(frozenset({LIST}), secrets=(SECRET,), signing_secrets=("signing",))
    client = Client()
    client.app = WebhookApp(Gate([keys]), client.store, {LIST}, None, lambda: at)
    with caplog.at_level(logging.INFO, "mcsync"):
        for query in ("secret=wrong", f"secret={SECRET}", "secret=wrong"):
            assert client.ask(payload(), query=query) == 401
        at += timedelta(hours=1)
        assert client.ask(payload(), query=f"secret={SECRET}") == 401
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in levels] == ["WARNING", "INFO", "INFO", "WARNING"]
    assert "its secret is wrong; if it came from Mailchimp" in levels[0][1]
    assert levels[1][1] == "a webhook was refused: its signature is wrong"
    assert "its signature is wrong (2 more were refused since the last warning" in levels[3][1]
    for hidden in (SECRET, "secret=", WHO):
        assert hidden not in caplog.text


# --- the real server ------------------------------------------------------------------------------


shop = pytest.fixture(open_shop)


class Served:
    """A running `mcsync serve`."""

    def __init__(self, office: Office, *args: str) -> None:
        self.office = office
        self.process = office.start("serve", "--bind", "127.0.0.1:0", "--json", *args)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        self.document: dict[str, Any] = json.loads(line)
        self.port = int(urlsplit(self.document["url"]).port or 0)
        self.said: Said | None = None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> Said:
        self.process.send_signal(number)
        return self.end()

    def end(self) -> Said:
        if self.said is None:
            out, err = self.process.communicate(timeout=GIVE_UP_S)
            self.said = Said(self.process.returncode, out, err)
        return self.said

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=GIVE_UP_S)

    def post(self, body: bytes, path: str = PATH, secret: str = SECRET, **headers: str) -> int:
        with closing(self.connect()) as connection:
            connection.request("POST", f"{path}?secret={secret}", body, headers)
            return connection.getresponse().status


@contextmanager
def serving(office: Office, *args: str) -> Iterator[Served]:
    served = Served(office, *args)
    try:
        yield served
    finally:
        if served.said is None:
            served.process.kill()
            served.process.communicate()


def test_the_server_tells_where_it_is_and_ends_by_signals(shop: Office):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with serving(shop, "-v") as served:
            assert served.document["paths"] == [BATCH_PATH, PATH]
            with closing(served.connect()) as connection:
                connection.request("GET", PATH)
                assert connection.getresponse().status == 200
            said = served.stop(number)
        assert said.code == code
        assert said.out == ""
        url = f"http://127.0.0.1:{served.port}"
        assert f"receiving webhooks at {url}{BATCH_PATH} and {url}{PATH}\n" in said.err
        assert not [word for word in (SECRET, BATCH_SECRET, API_KEY) if word in said.err]


def test_a_port_that_nobody_chose_is_always_told(shop: Office):
    with shop.start("serve", "--bind", "127.0.0.1:0", "-q") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("receiving webhooks at http://127.0.0.1:")
        try:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=GIVE_UP_S)
        finally:
            process.kill()
    assert err == "stopped by SIGTERM; the next sync handles what was stored\n"


def test_a_port_that_is_taken(shop: Office):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = shop.run("serve", "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
    assert said.code == 2
    assert "another mcsync serve may be running there" in said.err


def test_what_is_handled_is_counted(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    with serving(shop, "-v") as served:
        assert served.post(payload()) == 200
        assert wait_for(lambda: waiting(shop) == 0)
        said = served.stop()
    assert said.err.count("1 webhook handled") == 1


def test_wrong_and_broken_requests_leave_no_trace(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    with hold_lock(shop.cache, GIVE_UP_S), serving(shop, "-vv") as served:
        assert served.post(payload(), secret="wrong-secret") == 401
        assert served.post(b"\xff\xfe") == 400
        assert served.post(payload(list_id=UNKNOWN_LIST)) == 204
        assert served.post(payload("campaign")) == 204
        assert served.post(payload(), path="/elsewhere") == 404
        for raw in (
            b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
            b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nxxx",
            b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnope\r\n",
            b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"DELETE %b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        ):
            status = _speak(served.port, raw.replace(b"%b", PATH.encode()))
            fit = (b"400", b"404", b"405", b"413", b"431", b"501")
            assert status in fit or (not status and len(raw) > 10_000), raw[:60]
        assert waiting(shop) == 0
        said = served.stop()
    assert said.code == 143
    for word in ("Traceback", SECRET, "wrong-secret", WHO, UNKNOWN_LIST, "aaaa"):
        assert word not in said.err


def _speak(port: int, raw: bytes) -> bytes:
    """Say something over a bare socket; the status of the answer.

    It may answer and hang up while we still talk; of much that it did not read, the answer can be
    lost with it: then b"".
    """
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_S) as sock:
        with suppress(OSError):
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
        try:
            answer = sock.makefile("rb").readline().split()
        except ConnectionResetError:
            answer = []
        return answer[1] if answer else b""


def test_chunks_are_taken_and_bounded(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    with hold_lock(shop.cache, GIVE_UP_S), serving(shop) as served:
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload()), payload())
        head = f"POST {PATH}?secret={SECRET} HTTP/1.1\r\nHost: x\r\n".encode()
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        assert _speak(served.port, head + chunk) == b"200"
        assert waiting(shop) == 1
        with closing(served.connect()) as connection:
            parts = (b"x" * 65536 for _ in range(32))
            try:
                connection.request("POST", PATH, parts, encode_chunked=True)
                status = connection.getresponse().status
            except OSError:  # it hung up while we were still talking
                status = 413
            assert status == 413
        assert waiting(shop) == 1
        served.stop()


def test_a_person_who_leaves_is_out_of_the_group_at_once(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    town = shop.town
    with serving(shop) as served:
        register(shop, served.port)
        town.mailchimp.leave(LIST, WHO)
        town.mailchimp._courier.flush()
        assert wait_for(lambda: is_removed(shop, WHO))
        assert wait_for(lambda: waiting(shop) == 0)
        assert served.stop() == Said(143, "", served.end().err)


def register(office: Office, port: int) -> None:
    """Have the simulated Mailchimp deliver to a server on loopback, by itself."""
    mailchimp = office.town.mailchimp
    mailchimp._courier.really = True
    url = f"http://127.0.0.1:{port}{PATH}?secret={SECRET}"
    webhook = Webhook("hook", url, LIST, sources={"user": True, "admin": True, "api": False})
    webhook.events = dict.fromkeys(
        ("subscribe", "unsubscribe", "profile", "cleaned", "upemail"), True
    )
    mailchimp.audiences[LIST].webhooks["hook"] = webhook


def test_what_was_answered_outlives_the_server(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    with hold_lock(shop.cache):
        with serving(shop) as served:
            for number in range(20):
                assert served.post(payload(email=f"p{number}@b.example")) == 200
            assert served.stop().code == 143
        assert waiting(shop) == 20
        with serving(shop) as served:
            for number in range(20):
                assert served.post(payload(email=f"q{number}@b.example")) == 200
            served.process.kill()
            served.end()
        assert waiting(shop) == 40
    with serving(shop) as served:  # it begins with what is left
        assert wait_for(lambda: waiting(shop) == 0)
        assert served.stop().code == 143


def test_a_term_in_the_middle_of_a_burst_loses_nothing_that_was_answered(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    with hold_lock(shop.cache, GIVE_UP_S), serving(shop) as served:
        answered: list[str] = []

        def send(name: int) -> None:
            try:
                for number in range(1000):
                    email = f"p{name}.{number}@b.example"
                    if served.post(payload(email=email)) == 200:
                        answered.append(email)
            except (OSError, http.client.HTTPException):
                pass  # the end

        senders = [threading.Thread(target=send, args=(name,)) for name in range(4)]
        for sender in senders:
            sender.start()
        assert wait_for(lambda: len(answered) > 50)
        assert served.stop().code == 143
        for sender in senders:
            sender.join(GIVE_UP_S)
    assert set(answered) <= set(stored(shop.cache))
    assert len(answered) > 50


def test_services_that_are_down_stop_no_server(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    fault = Fault(answer=None, drop="before", times=None)
    shop.town.civicrm_server.faults.append(fault)
    shop.town.mailchimp_server.faults.append(fault)
    with serving(shop) as served:
        assert served.post(payload()) == 200
        assert wait_for(lambda: len(shop.town.mailchimp_server.requests) > 0)
        assert served.post(payload()) == 200
        said = served.stop()
    assert said.code == 143
    assert waiting(shop) == 2
    assert "Traceback" not in said.err


# --- the load of the issue ------------------------------------------------------------------------


def test_a_burst_while_a_sync_holds_the_lock(shop: Office):
    """2,000 payloads over 20 connections: all 200 within a second, none lost, all handled after."""
    assert shop.run("sync", "--wait").code == 0
    connections, each = 20, 100
    is_over = threading.Event()
    results: list[tuple[int, float]] = []
    with serving(shop) as served:
        with hold_lock(shop.cache, GIVE_UP_S):
            writer = threading.Thread(target=_write_now_and_then, args=(shop.cache, is_over))
            writer.start()
            senders = [
                threading.Thread(target=_burst, args=(served, name, each, results))
                for name in range(connections)
            ]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join(GIVE_UP_S * 2)
            is_over.set()
            writer.join(GIVE_UP_S)
            emails = stored(shop.cache)
        slowest = max(seconds for _, seconds in results)
        assert [status for status, _ in results] == [200] * connections * each
        assert slowest < 1, f"the slowest answer took {slowest:.2f} s"
        assert sorted(emails) == sorted(
            f"p{name}.{number}@b.example" for name, number in product(range(20), range(100))
        )
        assert wait_for(lambda: waiting(shop) == 0, 60)
        said = served.stop()
    assert said.code == 143
    assert said.err == ""


def test_a_sync_is_not_disturbed_by_what_comes_meanwhile(shop: Office):
    """Storing takes no lock, so it comes between any two statements of a run."""
    for number in range(40):
        shop.add_both(f"worker{number}@quarry.example")
    is_over = threading.Event()
    answers: list[bool] = []

    def store() -> None:
        number = 0
        while not is_over.is_set() and number < 400:  # more would be more work for a slow machine
            number += 1
            answers.append(inbox.store(event_for(f"p{number}")))
            is_over.wait(0.005)

    Store(shop.cache).close()
    with open_inbox(shop.cache) as inbox:
        sender = threading.Thread(target=store)
        sender.start()
        said = [shop.run_process("sync", "--wait") for _ in range(3)]
        is_over.set()
        sender.join(GIVE_UP_S)
    assert said == [Said(0, "", "")] * 3
    assert len(answers) > 20
    assert set(answers) == {True}


def _write_now_and_then(cache: Path, is_over: threading.Event) -> None:
    """As a sync does: short transactions, one after the other."""
    with closing(sqlite3.connect(cache, timeout=GIVE_UP_S, isolation_level=None)) as db:
        while not is_over.wait(0.02):
            db.execute("BEGIN IMMEDIATE")
            db.execute(
                "UPDATE civicrm_mailchimpsync_cache SET mailchimp_list_id = mailchimp_list_id"
            )
            is_over.wait(0.05)
            db.execute("COMMIT")


def _burst(served: Served, name: int, each: int, results: list[tuple[int, float]]) -> None:
    with closing(served.connect()) as connection:
        for number in range(each):
            body = payload(email=f"p{name}.{number}@b.example")
            begun = time.monotonic()
            connection.request("POST", f"{PATH}?secret={SECRET}", body)
            answer = connection.getresponse()
            answer.read()
            results.append((answer.status, time.monotonic() - begun))


# --- starting -------------------------------------------------------------------------------------


def test_without_any_secret_it_does_not_start(office: Office):
    said = office.run("serve")
    assert said.code == 78
    assert "no secret is set" in said.err
    assert "mcsync check --fix" in said.err
    assert office.run("serve", "--json").document["error"]["kind"] == "config-error"


@pytest.mark.parametrize(
    "bind",
    ["8080", ":8080", "localhost:", "localhost:x", "::1:8080", "[::1]", "a:65536", "[a]:1", "a:²"],
)
def test_an_address_that_is_none_is_a_usage_error(shop: Office, bind: str):
    said = shop.run("serve", "--bind", bind)
    assert said.code == 2
    assert "is not HOST:PORT" in said.err


def test_a_port_that_is_taken_is_one_sentence(shop: Office):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = shop.run("serve", "--bind", f"127.0.0.1:{port}")
    assert said.code == 2
    assert f"error: cannot listen on 127.0.0.1:{port}: Address already in use" in said.err
    assert "--bind 127.0.0.1:0" in said.err
    assert not shop.cache.exists()
    assert shop.run("serve", "--bind", "no-such-host.invalid:80").code == 2


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_listens_on_ipv6(shop: Office):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with serving(shop, "--bind", "[::1]:0") as served:
        assert served.document["url"].startswith("http://[::1]:")
        with socket.create_connection(("::1", served.port)) as sock:
            sock.sendall(b"GET /webhook HTTP/1.0\r\n\r\n")
            assert b"200" in sock.makefile("rb").readline()
        served.stop()


def test_a_cache_that_cannot_be_used_is_told_at_the_start(shop: Office):
    shop.cache.write_text("Dear diary, " * 99)
    assert shop.run("serve", "--bind", "127.0.0.1:0").code == 74


def test_an_account_without_secrets_is_warned_of(
    shop: Office, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    from mcsync.cli.session import open_intake
    from mcsync.cli.state import State

    options = shop.options["accounts"] | {"other": {"apiKey": "0" * 32 + "-us2"}}
    lists = {**shop.town.lists, "bbbbbbbbbb": {"subscriptionGroup": "9", "apiKey": "other"}}
    shop.write_config(accounts=options, lists=lists)
    intake = open_intake(State(config=shop.config))
    monkeypatch.setattr(logging.getLogger("mcsync"), "propagate", True)
    open_desk(intake)
    assert "bbbbbbbbbb: its account has no webhook secret" in caplog.text
    assert caplog.text.count("no webhook secret") == 1


def test_other_web_servers_can_host_it(shop: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MCSYNC_CONFIG", str(shop.config))
    client = Client()
    desks: list[Desk] = []

    def open_and_keep(intake: Intake) -> Desk:
        desks.append(open_desk(intake))
        return desks[-1]

    monkeypatch.setattr("mcsync.cli.serve.open_desk", open_and_keep)
    with hold_lock(shop.cache):
        client.app = make_application()  # type: ignore[assignment]
        assert client.ask(b"", "GET") == 200
        assert client.ask(payload(), query="secret=wrong") == 401
        assert client.ask(payload()) == 200
        assert stored(shop.cache) == [WHO]
        (desk,) = desks
        desk.stop()  # else its thread would go on, and log into other tests


def test_the_config_must_be_right_before_another_server_begins(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MCSYNC_CONFIG", str(office.config))
    with pytest.raises(ConfigError):
        make_application()


def test_neither_version_nor_a_run_imports_the_web_server(shop: Office):
    code = (
        "import sys\nfrom mcsync.cli.main import app\n"
        "import atexit; atexit.register(lambda: print([m for m in sys.modules"
        " if m.split('.')[0] == 'waitress' or m.startswith('mcsync.webhooks')]))\n"
        "app.main()"
    )
    for args in (["--version"], ["sync"]):
        with hold_lock(shop.cache):
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-c", code, *args],
                env=shop.environ(),
                capture_output=True,
                text=True,
                timeout=GIVE_UP_S,
            )
        assert done.stdout.splitlines()[-1] == "[]", done


# --- who is slow, and who stops -------------------------------------------------------------------


def answer_all(_: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def ask(connection: socket.socket) -> bytes:
    """One whole answer of `answer_all`, in however many pieces it comes."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"ok"):
        piece = connection.recv(1000)
        assert piece, "the connection was closed"
        answer += piece
    return answer


@pytest.mark.parametrize(
    "begin",
    [b"", b"P", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx"],
    ids=["nothing", "half a head", "half a body"],
)
def test_slow_clients_keep_nobody_out_d10(begin: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mcsync.webhooks.server._HEAD_S", 0.3)
    monkeypatch.setattr("mcsync.webhooks.server._WHOLE_S", 0.3)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    where = listener.getsockname()
    server = WebServer(answer_all, listener)
    server.start()
    with ExitStack() as slow:
        slow.callback(server.stop, 1.0)
        for _ in range(210):
            sock = slow.enter_context(socket.create_connection(where))
            sock.sendall(begin)
        with socket.create_connection(where, timeout=GIVE_UP_S) as good:
            assert b"200" in ask(good)
            # A connection that is kept is not among the slow.
            assert sock.recv(1) == b""
            assert b"200" in ask(good)


def test_who_does_not_read_the_answers_keeps_nobody_out_d10(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mcsync.webhooks.server._WHOLE_S", 0.3)
    monkeypatch.setattr("mcsync.webhooks.server._CONNECTIONS", 20)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    where = listener.getsockname()
    server = WebServer(answer_at_length, listener)
    server.start()
    with ExitStack() as slow:
        slow.callback(server.stop, 1.0)
        for _ in range(30):
            sock = slow.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(where)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        with socket.create_connection(where, timeout=GIVE_UP_S) as good:
            assert b"200" in ask(good)
            assert b"200" in ask(good)


@pytest.mark.parametrize("piece", [b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_who_always_has_something_to_say_keeps_nobody_out_d10(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mcsync.webhooks.server._HEAD_S", 0.3)
    monkeypatch.setattr("mcsync.webhooks.server._CONNECTIONS", 20)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    where = listener.getsockname()
    server = WebServer(answer_all, listener)
    server.start()
    is_over = threading.Event()

    def talk(sock: socket.socket) -> None:
        with suppress(OSError):
            while not is_over.wait(0.1):
                sock.sendall(piece)
                sock.recv(1000, socket.MSG_DONTWAIT) if b"GET" in piece else None

    with ExitStack() as slow:
        slow.callback(server.stop, 1.0)
        slow.callback(is_over.set)
        for _ in range(30):
            sock = slow.enter_context(socket.create_connection(where))
            threading.Thread(target=talk, args=(sock,), daemon=True).start()
        with socket.create_connection(where, timeout=GIVE_UP_S) as good:
            assert b"200" in ask(good)


def answer_at_length(_environ: object, start_response: Any) -> list[bytes]:
    """An answer of which a hundred fill what the kernel keeps for who does not read."""
    start_response("200 OK", [("Content-Length", "5002")])
    return [b"x" * 5000 + b"ok"]


def test_a_door_to_other_machines_is_warned_of_d10(caplog: pytest.LogCaptureFixture):
    for host, is_open in (("127.0.0.1", False), ("0.0.0.0", True)):  # noqa: S104  # nobody comes
        caplog.clear()
        with listen(Address(host, 0)) as listener:
            _warn_of_strangers(listener)
        assert ("other machines" in caplog.text) == is_open


def is_over(desk: Desk) -> bool:
    return not desk.worker._thread.is_alive()


def attempts(office: Office) -> list[int]:
    with closing(sqlite3.connect(office.cache, timeout=GIVE_UP_S)) as db:
        return [n for (n,) in db.execute("SELECT attempts FROM civicrm_mailchimpsync_webhook")]


def test_stops_while_mailchimp_hangs_count_for_nothing_d2(
    shop: Office, monkeypatch: pytest.MonkeyPatch
):
    """However often the server is restarted meanwhile, what it has answered is handled."""
    assert shop.run("sync", "--wait").code == 0
    monkeypatch.setattr("mcsync.webhooks.receiver._CHUNK_S", 0.2)
    hanging = threading.Event()
    members = Fault(
        path="/members",
        act=lambda: hanging.wait(GIVE_UP_S),
        answer=Response(503),
        times=None,
    )
    shop.town.mailchimp_server.faults.append(members)
    intake = open_intake(State(config=shop.config))
    stored_one = False
    for _ in range(4):
        desk = open_desk(intake)
        desk.start()
        try:
            if not stored_one:
                assert desk.inbox.store(event_for(WHO))
                stored_one = True
            assert wait_for(lambda: attempts(shop) == [1])
        finally:
            desk.stop()
        assert attempts(shop) == [0]
        hanging.set()  # the thread that was left behind, which would end with its process
        assert wait_for(partial(is_over, desk))
        hanging.clear()
    shop.town.mailchimp_server.faults.clear()
    said = shop.run("status", "--json")
    assert said.document["webhooks_given_up"] == 0


def test_given_up_webhooks_stand_in_status_and_can_be_tried_again_d2(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    with closing(Store(shop.cache)) as store:
        save_events(store, [event_for(WHO)], now())
        note_attempts(store, [1], 3)
    assert '1 webhook was given up; "mcsync webhook --retry" tries again' in shop.run("status").out
    assert shop.run("status", "--json").document["webhooks_waiting"] == 0
    said = shop.run("webhook", "--retry", "--json")
    assert (said.code, said.document["retried"], said.document["handled"]) == (0, 1, 1)
    assert waiting(shop) == 0
    assert shop.run("webhook", "--retry").out == "nothing to retry\n"
    assert shop.run("webhook", "--retry", "--batch").code == 2
