"""What is retried and what is not, how long is waited, and what never leaves the house."""

import gzip
import io
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from mcsync.errors import ProtocolError, RemoteUnavailable
from mcsync.http import LONGEST_WAIT_S, RETRIES, HttpClient, NoAnswer, Reply
from mcsync.sandbox.server import Fault, LoopbackServer, Request, Response

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}
NOW = "Sun, 22 Nov 2026 12:00:00 GMT"


class Echo:
    """A service that answers every request alike."""

    def __init__(self) -> None:
        self.response = Response(200, b'{"ok": true}', JSON)

    def handle(self, request: Request) -> Response:
        return self.response

    def date_header(self) -> str:
        return NOW


@dataclass
class Line:
    """A server, a client for it, and what the client waited, in seconds."""

    server: LoopbackServer
    service: Echo
    waits: list[float] = field(default_factory=list)
    time: float = 0.0

    def __post_init__(self) -> None:
        self.http = HttpClient(max_connections=2, sleep=self.sleep, clock=lambda: self.time)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def fail(self, response: Response | None = None, times: int | None = 1, **how: str) -> None:
        self.server.faults.append(Fault(answer=response, times=times, drop=how.get("drop")))

    def send(self, method: str = "GET", *, is_repeatable: bool = True, **more: object) -> Reply:
        url = f"{self.server.url}/3.0/lists?secret=signature"
        return self.http.send(method, url, is_repeatable=is_repeatable, **more)  # type: ignore[arg-type]

    @property
    def calls(self) -> int:
        return len(self.server.requests)


class Broken:
    """A server that sends these bytes, one answer a connection, and hangs up each time."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"

    def __enter__(self) -> "Broken":
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def serve(self) -> None:
        with suppress(OSError):  # closed at the end of the test
            while True:
                connection, _ = self.socket.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(self.answers.pop(0))


@pytest.fixture(scope="module")
def shared_server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Echo()) as server:
        yield server


@pytest.fixture
def line(shared_server: LoopbackServer) -> Line:
    service = shared_server.service = Echo()
    shared_server.faults.clear()
    shared_server.requests.clear()
    shared_server.before_request = shared_server.after_request = None
    return Line(shared_server, service)


TROUBLES = {
    "429": Response(429, b"", HTML),
    "429-json": Response(429, b"{}", JSON),
    "500": Response(500, b"{}", JSON),
    "502": Response(502, b"<html>", HTML),
    "503": Response(503, b"<html>", HTML),
    "504": Response(504, b"<html>", HTML),
    "html-200": Response(200, b"<html>", HTML),
    "html-403": Response(403, b"<html>", HTML),
}


@pytest.mark.fact("mailchimp: Errors", "429 may come without JSON")
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_repeatable_call_is_tried_again(line: Line, trouble: Response) -> None:
    line.fail(trouble, times=2)
    assert line.send().body == b'{"ok": true}'
    assert line.calls == 3
    assert len(line.waits) == 2


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_call_that_may_not_be_repeated_is_sent_once(line: Line, trouble: Response) -> None:
    line.fail(trouble)
    with pytest.raises(NoAnswer) as caught:
        line.send("POST", is_repeatable=False)
    assert line.calls == 1
    assert line.waits == []
    assert caught.value.was_sent
    assert caught.value.reply is not None
    assert caught.value.reply.status == trouble.status


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_only_a_429_says_that_nothing_was_done(line: Line, trouble: Response) -> None:
    line.fail(trouble, times=None)
    with pytest.raises(NoAnswer) as caught:
        line.send("POST", is_repeatable=False)
    assert caught.value.may_have_arrived == (trouble.status != 429)


def test_what_arrived_once_stays_so_whatever_becomes_of_later_tries(line: Line) -> None:
    line.fail(drop="after")
    line.fail(TROUBLES["429"], times=None)
    with pytest.raises(NoAnswer, match="429") as caught:
        line.send("PUT")
    assert line.calls == RETRIES + 1
    assert caught.value.may_have_arrived


def test_a_429_is_waited_for_also_by_who_may_not_repeat(line: Line) -> None:
    for seconds in ("7", "3"):
        line.fail(Response(429, b"", {"Retry-After": seconds}))
    reply = line.send("POST", is_repeatable=False, waits_for_429=True)
    assert reply.status == 200
    assert line.waits == [7.0, 3.0]


@pytest.mark.parametrize("name", ["500", "502", "504", "html-200", "html-403"])
def test_after_a_429_the_rest_is_still_not_repeated(line: Line, name: str) -> None:
    line.fail(TROUBLES["429"])
    line.fail(TROUBLES[name])
    with pytest.raises(NoAnswer) as caught:
        line.send("POST", is_repeatable=False, waits_for_429=True)
    assert line.calls == 2
    assert caught.value.may_have_arrived


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_dropped_connection_is_retried_only_when_repeatable(line: Line, drop: str) -> None:
    line.fail(drop=drop)
    with pytest.raises(NoAnswer) as caught:
        line.send("POST", is_repeatable=False)
    assert caught.value.was_sent
    assert line.calls == 1
    line.fail(drop=drop)
    assert line.send("PUT").status == 200
    assert line.calls == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 414, 422])
def test_a_refusal_is_an_answer_and_not_repeated(line: Line, status: int) -> None:
    line.fail(Response(status, b'{"title": "no"}', JSON))
    assert line.send().status == status
    assert line.calls == 1


def test_a_page_is_an_answer_where_json_was_not_due(line: Line) -> None:
    line.fail(Response(200, b"<html>", HTML))
    assert not line.send(expects_json=False).is_json
    assert line.calls == 1


def test_an_empty_answer_without_content_is_no_trouble(line: Line) -> None:
    line.fail(Response(204, b"", HTML))
    assert line.send("DELETE").status == 204
    assert line.calls == 1


@pytest.mark.fact("mailchimp: Limits", "backoff with jitter, capped retries")
def test_after_five_retries_it_gives_up_and_names_the_host(line: Line) -> None:
    line.fail(Response(503, b"", HTML), times=None)
    with pytest.raises(RemoteUnavailable, match=r"127\.0\.0\.1.*503") as caught:
        line.send()
    assert line.calls == 6
    assert caught.value.hint is not None
    assert "next run" in caught.value.hint


@pytest.mark.fact("mailchimp: Limits", "backoff with jitter, capped retries")
def test_waits_grow_and_are_random(line: Line) -> None:
    line.fail(Response(503, b"", HTML), times=None)
    with pytest.raises(NoAnswer):
        line.send()
    assert len(line.waits) == 5
    for number, wait in enumerate(line.waits, 1):
        assert 2**number / 2 <= wait <= 2**number
    assert len(set(line.waits)) == 5


def test_retry_after_is_obeyed_three_times_to_the_second(line: Line) -> None:
    for value in ("7", "3", "Sun, 22 Nov 2026 12:00:40 GMT"):
        line.fail(Response(429, b"", {"Retry-After": value}))
    assert line.send().status == 200
    assert line.waits == [7.0, 3.0, 40.0]


@pytest.mark.fact("mailchimp: Limits", "Retry-After: honour it, never need it")
def test_an_unreadable_retry_after_is_ignored(line: Line) -> None:
    line.fail(Response(429, b"", {"Retry-After": "soon"}))
    assert line.send().status == 200
    assert 1 <= line.waits[0] <= 2


def test_a_retry_after_beyond_reason_ends_the_retries(line: Line) -> None:
    line.fail(Response(503, b"", {"Retry-After": str(int(LONGEST_WAIT_S) + 1)}))
    with pytest.raises(NoAnswer):
        line.send()
    assert line.calls == 1
    assert line.waits == []


def test_the_whole_call_has_a_deadline(line: Line) -> None:
    line.fail(Response(503, b"", {"Retry-After": "120"}), times=None)
    line.server.before_request = lambda request: line.sleep(130)  # each try is slow, too
    with pytest.raises(NoAnswer):
        line.send()
    assert line.calls == 3


@pytest.mark.fact("mailchimp: Limits", "a time-out may still run: not at once")
def test_a_time_out_comes_back_at_once_to_who_can_ask_for_less(line: Line) -> None:
    line.fail(Response(504, b"", HTML))
    with pytest.raises(NoAnswer) as caught:
        line.send(may_ask_for_less=True)
    assert caught.value.is_timeout
    assert line.calls == 1


def test_a_slow_server_times_out(line: Line) -> None:
    done = threading.Event()

    def dawdle(request: Request) -> None:
        done.wait(5)

    line.server.before_request = dawdle
    try:
        with pytest.raises(NoAnswer, match="within 0 s") as caught:
            line.send("POST", is_repeatable=False, timeout_s=0.05)
    finally:
        done.set()
    assert caught.value.is_timeout
    assert caught.value.was_sent


def test_a_refused_connection_surely_was_not_sent_and_is_retried() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    waits: list[float] = []
    http = HttpClient(max_connections=1, sleep=waits.append)
    with pytest.raises(NoAnswer) as caught:
        http.send("POST", url, is_repeatable=False, data=b"")
    assert not caught.value.was_sent
    assert not caught.value.may_have_arrived
    assert len(waits) == RETRIES
    assert sum(waits) < 10  # a mistyped address is told soon


def test_an_unknown_host_surely_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    waits: list[float] = []
    http = HttpClient(max_connections=1, sleep=waits.append)
    with pytest.raises(NoAnswer, match=r"crm\.example\.org cannot be reached") as caught:
        http.send("POST", "https://crm.example.org/", is_repeatable=False)
    assert not caught.value.was_sent
    assert len(waits) == RETRIES


def test_behind_a_proxy_that_is_not_there_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
    http = HttpClient(max_connections=1, sleep=lambda _s: None)
    with pytest.raises(NoAnswer, match="through the proxy") as caught:
        http.send("POST", "http://crm.example.org/", is_repeatable=False)
    assert not caught.value.may_have_arrived


def test_through_a_proxy_that_refuses_the_way_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Broken([b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"] * (RETRIES + 1)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        http = HttpClient(max_connections=1, sleep=lambda _s: None)
        with pytest.raises(NoAnswer, match="through the proxy") as caught:
            http.send("POST", "https://crm.example.org/", is_repeatable=False)
    assert not caught.value.may_have_arrived


@pytest.mark.parametrize("url", ["https://[oops/", "https:///x", "http://exa mple.org/"])
def test_what_is_no_address_surely_was_not_sent(url: str) -> None:
    http = HttpClient(max_connections=1, sleep=lambda _s: None)
    with pytest.raises(NoAnswer) as caught:
        http.send("POST", url, is_repeatable=False)
    assert not caught.value.may_have_arrived


@pytest.mark.fact("civicrm: Address", "redirects are not followed")
def test_redirects_are_not_followed(line: Line) -> None:
    line.fail(Response(302, b"", {"Location": f"{line.server.url}/elsewhere"}))
    assert line.send().status == 302
    assert line.calls == 1


def test_cookies_are_not_sent_back(line: Line) -> None:
    line.service.response = Response(200, b"{}", {**JSON, "Set-Cookie": "PHPSESSID=x; path=/"})
    line.send()
    line.send()
    assert ["cookie" in e.request.headers for e in line.server.requests] == [False, False]


def test_a_password_in_netrc_does_not_replace_our_key(
    line: Line, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login fred password rock\n")
    monkeypatch.setenv("NETRC", netrc)
    line.send(headers={"Authorization": "Bearer ours"})
    line.send()
    sent = [e.request.headers.get("authorization") for e in line.server.requests]
    assert sent == ["Bearer ours", None]


def test_gzip_is_asked_for_and_undone(line: Line) -> None:
    zipped = gzip.compress(b'{"n": 1}')
    line.service.response = Response(200, zipped, {**JSON, "Content-Encoding": "gzip"})
    assert line.send().decode(dict[str, int]) == {"n": 1}
    assert "gzip" in line.server.requests[0].request.headers["accept-encoding"]


@pytest.mark.fact("civicrm: Address", "cookies are ignored, connections are kept")
def test_connections_are_kept(line: Line) -> None:
    connections = set()
    line.server.before_request = lambda request: connections.add(threading.get_ident())
    for _ in range(5):
        line.send()
    assert len(connections) == 1  # the server has one thread per connection


@pytest.mark.fact("mailchimp: Limits", "ten connections per user")
def test_no_more_calls_at_once_than_allowed(line: Line) -> None:
    meeting = threading.Barrier(2, timeout=5)
    lock, now, most = threading.Lock(), 0, 0

    def enter(request: Request) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        meeting.wait()  # needs two at once to go on: fewer would time out

    def leave(request: Request, response: Response) -> None:
        nonlocal now
        with lock:
            now -= 1

    line.server.before_request, line.server.after_request = enter, leave
    threads = [threading.Thread(target=line.send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 2
    assert line.calls == 6


def test_json_of_another_shape_is_a_protocol_error_without_its_content(line: Line) -> None:
    line.service.response = Response(200, b'{"email": "fred@example.org"}', JSON)
    with pytest.raises(ProtocolError) as caught:
        line.send().decode(dict[str, int])
    assert "fred" not in caught.value.message


def test_the_servers_clock_is_read_from_its_answer(line: Line) -> None:
    assert line.send().served_at.isoformat() == "2026-11-22T12:00:00+00:00"


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Mon, 01 Jan 1000 00:00:00 +2300",
        "Fri, 31 Dec 9999 23:59:59 -2300",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sun, 22 Nov 2026 12:00:00 +9999999",
        "Sun, 22 Nov 2026 12:00:00 +999999999999999999999",
    ],
)
def test_a_clock_that_cannot_be_read_counts_as_ours(date: str | None) -> None:
    reply = Reply(200, {} if date is None else {"date": date}, b"")
    assert reply.date is None
    assert abs(reply.served_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert reply.served_at.microsecond == 0


@pytest.mark.parametrize("value", ["Fri, 31 Dec 9999 23:59:59 -2300", "9" * 400])
def test_an_absurd_retry_after_ends_the_retries(line: Line, value: str) -> None:
    line.fail(Response(429, b"", {"Retry-After": value}), times=None)
    with pytest.raises(NoAnswer):
        line.send()
    assert line.calls == 1


def test_the_log_sees_no_query_and_no_key(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    line.fail(drop="before")
    with caplog.at_level(logging.DEBUG, "mcsync.http"):
        line.send(headers={"Authorization": "Basic c2VjcmV0"}, data=b"fred@example.org")
    told = [r.getMessage() for r in caplog.records if r.name == "mcsync.http"]
    plain = f"GET {line.server.url.partition('//')[2]}/3.0/lists"
    assert [each.partition(" in ")[0] for each in told] == [f"{plain}: no answer", f"{plain}: 200"]
    ours = "\n".join(told)
    assert not any(word in ours for word in ("secret", "signature", "c2VjcmV0", "fred"))


def test_a_download_that_breaks_off_is_tried_again_from_its_beginning(line: Line) -> None:
    line.service.response = Response(200, b"stone tablets", {})
    into, waits = io.BytesIO(), []

    def mend(seconds: float) -> None:
        waits.append(seconds)
        broken.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstone")

    with Broken([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nstone tablets"]) as broken:
        http = HttpClient(max_connections=1, sleep=mend)
        assert http.download(broken.url, into, max_bytes=1000).status == 200
    assert into.getvalue() == b"stone"
    assert len(waits) == 1


def test_a_download_is_bounded(line: Line) -> None:
    line.service.response = Response(200, b"x" * 101, {})
    with pytest.raises(ProtocolError):
        line.http.download(line.server.url, io.BytesIO(), max_bytes=100)
    assert line.calls == 1


@pytest.mark.fact("mailchimp: Batches", "no credentials to it; the host is not pinned")
def test_a_download_carries_no_credentials(line: Line) -> None:
    line.http.download(line.server.url, io.BytesIO(), max_bytes=100)
    assert "authorization" not in line.server.requests[0].request.headers


def test_a_client_that_is_killed_in_mid_sentence_makes_no_noise(
    line: Line, capfd: pytest.CaptureFixture[str]
):
    """Nor does it later, in the output of whatever the process does by then."""
    before, ends_at = set(threading.enumerate()), time.monotonic() + 10
    address = urlsplit(line.server.url)
    client = socket.create_connection((str(address.hostname), address.port or 0))
    client.sendall(b"GET /3.0/ping HT")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    served: list[threading.Thread] = []
    while not served and time.monotonic() < ends_at:
        served = [each for each in threading.enumerate() if each not in before and each.is_alive()]
    assert served
    client.close()  # with a reset, as when a process is killed
    for thread in served:
        thread.join(10)
        assert not thread.is_alive()
    assert capfd.readouterr().err == ""
