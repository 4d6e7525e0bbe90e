"""What an answer may take, in bytes and in seconds, whoever sends it."""

import gzip
import io
import itertools
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import pytest

from mcsync.errors import ProtocolError
from mcsync.exchange import MAX_ANSWER_BYTES, BoundedAdapter
from mcsync.http import LEAST_S, MAX_VALUES, HttpClient, NoAnswer, decode_json
from tests.door import dripping

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
OPEN = HEAD + b"Connection: close\r\n\r\n"  # the body goes on until the connection is closed
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BYTES_FOR_EVER = itertools.repeat(b"x" * 1000)
MIB = 1 << 20


@contextmanager
def serving(*pieces: Iterable[bytes]) -> Iterator[str]:
    """A server that sends these pieces, then hangs until the client has gone; its URL."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(10_000)
                    for piece in itertools.chain(*pieces):
                        connection.sendall(piece)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def make_client(**settings: object) -> HttpClient:
    return HttpClient(max_connections=1, sleep=lambda _: None, service="Mailchimp", **settings)  # type: ignore[arg-type]


def get(url: str, http: HttpClient | None = None) -> bytes:
    return (http or make_client()).send("GET", url, is_repeatable=True).body


def packed(body: bytes, packing: str) -> list[bytes]:
    """An answer with this body, which is packed already."""
    length = f"Content-Encoding: {packing}\r\nContent-Length: {len(body)}\r\n\r\n"
    return [HEAD + length.encode(), body]


def ticking(step_s: float) -> HttpClient:
    """A client whose clock is so many seconds on at every look, as at a byte at a time."""
    times = itertools.count(0.0, step_s)
    return make_client(clock=lambda: next(times))


# --- bytes ----------------------------------------------------------------------------------------


def test_an_answer_that_unpacks_to_too_much_is_broken_off_d4() -> None:
    bomb = gzip.compress(bytes(400 * MIB), 9)
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        with serving(packed(bomb, "gzip")) as url, pytest.raises(ProtocolError, match="64 MiB"):
            get(url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * MIB


@pytest.mark.parametrize(
    "packing", ["gzip, gzip", "gzip,gzip,gzip", "br", "zstd", "compress", "gzip\x1b[2J", "x" * 99]
)
def test_only_what_was_asked_for_is_unpacked_d4(packing: str) -> None:
    with (
        serving(packed(gzip.compress(b"{}"), packing)) as url,
        pytest.raises(ProtocolError, match="compressed in a way mcsync did not ask for") as caught,
    ):
        get(url)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 150


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
def test_what_was_packed_is_unpacked_whole_d4(size: int) -> None:
    body = b'"' + b"a stone tablet " * (size // 15) + b'"'
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    forms = {
        "gzip": gzip.compress(body),
        "x-gzip": gzip.compress(body[:9]) + gzip.compress(body[9:]),  # two members
        "deflate": zlib.compress(body),
        "Deflate": raw.compress(body) + raw.flush(),
        "GZIP": gzip.compress(body) + b"\0" * 20,  # padded
        "identity": body,
    }
    for packing, data in forms.items():
        with serving(packed(data, packing)) as url:
            assert get(url) == body


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"{}" * 9)[:-9], b"\x1f\x8b\x08"],
    ids=["no gzip", "cut", "head only"],
)
def test_what_cannot_be_unpacked_is_told_d4(data: bytes) -> None:
    with (
        serving(packed(data, "gzip")) as url,
        pytest.raises(ProtocolError, match="compressed"),
    ):
        get(url)


def test_what_follows_the_packed_body_is_not_looked_at_d4() -> None:
    # Even where some of it looks like the begin of another member, in a piece of its own.
    rubbish = b"x" * (3 << 16) + b"\x1f\x8b" * (1 << 16)
    for packing, body in (("gzip", gzip.compress(b"{}")), ("deflate", zlib.compress(b"{}"))):
        with serving(packed(body + rubbish, packing)) as url:
            assert get(url) == b"{}"


@pytest.mark.parametrize("body", [b"", gzip.compress(b"")], ids=["nothing", "gzip of nothing"])
def test_nothing_stays_nothing_d4(body: bytes) -> None:
    with serving(packed(body, "gzip")) as url:
        assert get(url) == b""


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (OPEN, BYTES_FOR_EVER),
        (HEAD + b"Content-Length: 9999999999999999999999\r\n\r\n", BYTES_FOR_EVER),
        (CHUNKED, itertools.repeat(b"3e8\r\n" + b"x" * 1000 + b"\r\n")),
        (CHUNKED, itertools.repeat(b"1\r\nx\r\n" * 1000)),
        (CHUNKED + b"ffffffffff\r\n", BYTES_FOR_EVER),
        (CHUNKED + b"0\r\n", itertools.repeat(b"Trailer: x\r\n" * 1000)),
        (b"", itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
    ],
    ids=["open", "length", "chunks", "small-chunks", "one-chunk", "trailers", "continue"],
)
def test_an_answer_without_end_is_broken_off_d4(head: bytes, body: Iterable[bytes]) -> None:
    with serving([head], body) as url, pytest.raises(ProtocolError, match="more than 1 MiB"):
        get(url, make_client(max_answer_bytes=MIB))


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", CHUNKED, CHUNKED + b"1;x=", CHUNKED + b"0\r\n"],
    ids=["status", "header", "length", "extension", "trailer"],
)
def test_a_line_without_end_is_broken_off_d4(start: bytes) -> None:
    tracemalloc.start()
    try:
        with serving([start], BYTES_FOR_EVER) as url, pytest.raises((ProtocolError, NoAnswer)):
            make_client().download(url, io.BytesIO(), max_bytes=256 * MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


@pytest.mark.parametrize("length", [b"-1", b"-5", b"", b"x", b"0x-1", b"9" * 9000, b"\xff", b"\0"])
def test_a_chunk_of_a_length_that_there_is_not_d4(length: bytes) -> None:
    with serving([CHUNKED + length + b"\r\n{}\r\n0\r\n\r\n"]) as url:
        with pytest.raises((ProtocolError, NoAnswer)):
            get(url)
        with pytest.raises((ProtocolError, NoAnswer)):
            make_client().download(url, io.BytesIO(), max_bytes=MIB)


HEADS = {
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "no colon": HEAD + b"no colon\r\nContent-Length: 2\r\n\r\n{}",
    "too many": HEAD + b"X: y\r\n" * 200 + b"\r\n{}",
    "negative length": HEAD + b"Content-Length: -5\r\n\r\n{}",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "odd length": HEAD + b"Content-Length: \xb2\r\n\r\n{}",
    "a part": HEAD.replace(b"application/json", b"multipart/x; boundary=a") + b"\r\n{}",
    "a cookie": OPEN.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; expires=99999\r\n\r\n{}"),
    "no status": b"HTTP/1.1\r\n\r\n{}",
    "another status": b"HTTP/1.1 99999 ?\r\n\r\n{}",
    "bytes": b"\0\xff\r\n\r\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_whatever_the_head_is_it_is_an_answer_or_none_d4(
    head: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving([head]) as url, suppress(ProtocolError, NoAnswer):
        reply = make_client().send("GET", f"{url}?secret=hush", is_repeatable=True)
        assert reply.body in (b"", b"{}")
        assert reply.is_success == (reply.status == 200)
    written = capfd.readouterr()
    assert "hush" not in written.out + written.err


def test_of_an_answer_that_is_small_as_text_and_large_as_values_nothing_is_made_d4() -> None:
    tracemalloc.start()
    try:
        for one in (b"{},", b"[],", b"1,"):
            body = b"[" + one * (20 * MIB // len(one)) + b"0]"
            with pytest.raises(ProtocolError, match="larger than"):
                decode_json(body, list[object])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 70 * MIB  # the body, thrice
    assert len(decode_json(b"[" + b"1," * (MAX_VALUES - 1) + b"1]", list[int])) == MAX_VALUES


def test_a_download_is_bounded_packed_or_not_d4() -> None:
    bomb = gzip.compress(bytes(4 * MIB))
    for pieces in (packed(bomb, "gzip"), packed(b"x" * 4 * MIB, "identity")):
        with serving(pieces) as url, pytest.raises(ProtocolError, match="more than 1 MiB"):
            make_client().download(url, io.BytesIO(), max_bytes=MIB)
    into = io.BytesIO()
    with serving(packed(bomb, "gzip")) as url:
        make_client().download(url, into, max_bytes=5 * MIB)
    assert len(into.getvalue()) == 4 * MIB


def test_the_page_that_came_instead_of_a_file_is_bounded_too_d4() -> None:
    page = [b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"]
    with serving(page, BYTES_FOR_EVER) as url, pytest.raises(ProtocolError, match="64 MiB"):
        make_client().download(url, io.BytesIO(), max_bytes=4 * MAX_ANSWER_BYTES)


# --- seconds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (OPEN, itertools.repeat(b"x")),
        (HEAD, itertools.repeat(b"X: y\r\n")),
        (CHUNKED, itertools.repeat(b"1\r\nx\r\n")),
        (b"", itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    ],
    ids=["body", "headers", "chunks", "continue"],
)
def test_a_byte_at_a_time_does_not_hang_d4(head: bytes, body: Iterable[bytes]) -> None:
    with serving([head], body) as url, pytest.raises(NoAnswer) as caught:
        get(url, ticking(20.0))
    assert caught.value.was_sent


def test_what_is_not_whole_in_time_is_not_asked_for_again_d4() -> None:
    with serving([OPEN], itertools.repeat(b"x")) as url:
        with pytest.raises(NoAnswer, match=r"had not finished its answer after \d+ s") as caught:
            get(url, ticking(20.0))
        assert caught.value.is_timeout
        assert caught.value.is_final
        assert caught.value.may_have_arrived


def test_whoever_does_not_read_is_not_written_to_for_ever_d4() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        http = ticking(1.0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(NoAnswer, match="did not answer within"):
            http.send("POST", url, is_repeatable=False, data=b"x" * 20 * MIB, timeout_s=0.2)


def test_a_handshake_that_hangs_is_given_up_d4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcsync.http.CONNECT_TIMEOUT_S", 0.3)
    hello = b"\x16\x03\x03\x40\x00"  # the begin of a record of 16 KiB, which never ends
    for pieces in ([], slowly(hello + bytes(200))):
        begun = time.monotonic()
        with serving(pieces) as url, pytest.raises(NoAnswer):
            make_client(ends_at=begun).send("GET", f"https{url[4:]}", is_repeatable=True)
        assert time.monotonic() - begun < 10


def slowly(data: bytes) -> Iterator[bytes]:
    """A byte at a time, for longer than a test may last."""
    for byte in data:
        threading.Event().wait(0.1)
        yield bytes([byte])


def silence() -> Iterator[bytes]:
    """Half an answer, and then nothing for as long as the test lasts."""
    yield HEAD + b"Content-Length: 99\r\n\r\n{"
    threading.Event().wait(20)


def test_the_end_of_the_run_breaks_an_answer_off_d4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcsync.http.LEAST_S", 0.2)
    begun = time.monotonic()
    with serving(silence()) as url, pytest.raises(NoAnswer, match="had not finished"):
        get(url, make_client(ends_at=begun + 0.1))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_nothing_need_be_left_after_the_end_d4(is_repeatable: bool) -> None:
    begun = time.monotonic()
    http = make_client(ends_at=begun + 0.5, least_s=0)
    with dripping() as url, pytest.raises(NoAnswer, match="had not finished"):
        http.send("GET", url, is_repeatable=is_repeatable)
    assert time.monotonic() - begun < 5


def test_silence_is_told_as_such_d4() -> None:
    http = make_client(ends_at=time.monotonic() + 0.3, least_s=0)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(NoAnswer, match=r"did not answer within \d+ s"),
    ):
        http.send("GET", f"http://127.0.0.1:{mute.getsockname()[1]}/", is_repeatable=True)


def test_what_may_not_be_repeated_is_not_broken_off_by_the_end_of_the_run_d4() -> None:
    # Whether it was done would not be known then.
    http = make_client(ends_at=time.monotonic() - 2 * LEAST_S)
    with serving([HEAD + b"Content-Length: 2\r\n\r\n{}"]) as url:
        assert http.send("POST", url, is_repeatable=False).body == b"{}"


def test_after_the_end_of_the_run_nothing_is_tried_again_d4() -> None:
    waits: list[float] = []
    http = HttpClient(max_connections=1, sleep=waits.append, ends_at=time.monotonic())
    with (
        serving([b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"]) as url,
        pytest.raises(NoAnswer, match="503"),
    ):
        http.send("GET", url, is_repeatable=True)
    assert waits == []


def test_behind_a_socks_proxy_its_own_pools_stay() -> None:
    adapter = BoundedAdapter()
    manager = type("Manager", (), {"pool_classes_by_scheme": "its own"})()
    adapter.proxy_manager["socks5h://proxy.example:1080"] = manager
    assert adapter.proxy_manager_for("socks5h://proxy.example:1080") is manager
    assert manager.pool_classes_by_scheme == "its own"
    plain = adapter.proxy_manager_for("http://proxy.example:3128")
    assert plain.pool_classes_by_scheme["https"].__module__ == "mcsync.exchange"


def test_a_redirect_to_no_address_is_an_answer_like_others_d14() -> None:
    head = b"HTTP/1.1 301 Moved\r\nLocation: https://[::1/\r\nContent-Length: 0\r\n\r\n"
    with serving([head]) as url:
        reply = make_client().send("GET", url, is_repeatable=False, expects_json=False)
    assert reply.status == 301
