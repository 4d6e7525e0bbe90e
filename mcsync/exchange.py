"""One exchange over HTTP within bounds, whatever the other side does.

The time-outs of sockets say how long a silence may be, not how long an answer: a byte a second is
never silent. And what the libraries read and unpack has no end of its own. So every read and every
write asks here how much time is left, bytes are counted as they come over the wire, and once more
as they are unpacked.
"""

import http.client
import io
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

MAX_ANSWER_BYTES = 64 << 20
ACCEPTED = "gzip, deflate"
_ROOM_FOR_HEADERS = 8 << 20  # on the wire, beside the body: headers, lengths of chunks
_LONGEST_LINE = 1 << 16  # as the standard library has it
_AT_ONCE = 1 << 16
_SENT_AT_ONCE = 1 << 14
_GZIP_BEGINS = b"\x1f"
_UNZIPPERS: Mapping[str, tuple[int, ...]] = {  # the window bits to try, one after the other
    "gzip": (16 + zlib.MAX_WBITS,),
    "x-gzip": (16 + zlib.MAX_WBITS,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),  # with or without the head that RFC 9110 wants
}


class OutOfBounds(Exception):
    """The other side sent more than it may; the message ends the sentence "HOST sends …"."""


class TooMuch(OutOfBounds):
    """More bytes than were expected: to ask for less may help."""


class TooSlow(Exception):
    """The time for this exchange is over, however much of the answer is there.

    `is_silent`: there is nothing of it.
    """

    def __init__(self, *, is_silent: bool) -> None:
        super().__init__()
        self.is_silent = is_silent


class Watch:
    """What one exchange may take: until when (by `clock`, seconds), and how many bytes."""

    def __init__(self, ends_at: float, max_bytes: int, clock: Callable[[], float]) -> None:
        self._ends_at = ends_at
        self._max_bytes = max_bytes
        self._left = max_bytes + _ROOM_FOR_HEADERS
        self._clock = clock

    def allow(self, sock: socket.socket, timeout_s: float | None) -> None:
        """Let one read or write take what is left of the time, at most `timeout_s`.

        Raises: TooSlow when nothing is left.
        """
        left = self._ends_at - self._clock()
        if left <= 0:
            raise self.too_slow()
        sock.settimeout(left if timeout_s is None else min(left, timeout_s))

    def too_slow(self) -> TooSlow:
        """What is raised when the time is over."""
        return TooSlow(is_silent=self._left == self._max_bytes + _ROOM_FOR_HEADERS)

    @property
    def left_s(self) -> float:
        """What is left of the time; never quite nothing, so that it can be waited for."""
        return max(self._ends_at - self._clock(), 0.1)

    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._clock() >= self._ends_at

    def count(self, size: int) -> None:
        """Take note of bytes from the wire. Raises: OutOfBounds when they are too many."""
        self._left -= size
        if self._left < 0:
            raise TooMuch(f"more than {_shown(self._max_bytes)} in one answer")


class BoundedAdapter(HTTPAdapter):
    """Connections whose every read and write is watched by the `watching` of their thread."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Build the pools, of our own kind."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """The same for those behind a proxy."""
        manager = super().proxy_manager_for(proxy, **settings)
        if not proxy.lower().startswith("socks"):  # those have pools that know the way
            manager.pool_classes_by_scheme = _POOLS
        return manager


_here = threading.local()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Have this thread's reads and writes watched."""
    _here.watch = watch
    try:
        yield
    finally:
        _here.watch = None


def _watch_of_thread() -> Watch | None:
    return getattr(_here, "watch", None)


class _Answer(http.client.HTTPResponse):
    """An answer that is read under the watch."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        watch = _watch_of_thread()
        if watch is not None:
            raw = self.fp.detach()
            self.fp = _Lines(_Watched(raw, sock, watch))


class _Lines(io.BufferedReader):
    """Lines that end: one is put together in memory before anybody looks at it."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise OutOfBounds("an endless line")
        return line


class _Watched(io.RawIOBase):
    """What comes from a socket, byte by byte counted and timed."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, watch: Watch) -> None:
        self._raw = raw
        self._sock = sock
        self._watch = watch
        self._timeout_s = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._watch.allow(self._sock, self._timeout_s)
        try:
            size: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            if self._watch.is_over():
                raise self._watch.too_slow() from None
            raise
        self._watch.count(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def _send(connection: Any, data: Any) -> None:
    """Send in pieces, each of which may take what is left of the time."""
    watch = _watch_of_thread()
    if watch is None or not isinstance(data, bytes):
        type(connection).send(connection, data)
        return
    for start in range(0, max(len(data), 1), _SENT_AT_ONCE):
        if connection.sock is not None:
            watch.allow(connection.sock, connection.timeout)
        try:
            type(connection).send(connection, data[start : start + _SENT_AT_ONCE])
        except TimeoutError:
            if watch.is_over():
                raise watch.too_slow() from None
            raise


def _watched(connection: Any) -> Any:
    connection.response_class = _Answer
    connection.send = partial(_send, connection)
    return connection


class _Pool(HTTPConnectionPool):
    def _new_conn(self) -> Any:
        return _watched(super()._new_conn())


class _SecurePool(HTTPSConnectionPool):
    def _new_conn(self) -> Any:
        return _watched(super()._new_conn())


_POOLS = {"http": _Pool, "https": _SecurePool}


# --- the body -------------------------------------------------------------------------------------


def read_body(response: requests.Response, max_bytes: int) -> bytes:
    """The whole body, unpacked.

    Raises: OutOfBounds when it is longer than `max_bytes`, or packed in a way that we do not ask
    for: twice, or unheard of.
    """
    body = io.BytesIO()  # its value is handed out without a second copy
    for piece in read_pieces(response, max_bytes):
        body.write(piece)
    return body.getvalue()


def read_pieces(response: requests.Response, max_bytes: int) -> Iterator[bytes]:
    """The body, unpacked, a piece at a time. Raises: as `read_body`."""
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    told = response.headers.get("Content-Length", "").strip()
    if told.isascii() and told.isdecimal() and int(told[:18]) > max_bytes:
        raise TooMuch(f"more than {_shown(max_bytes)} in one answer")
    size = 0
    for piece in _unpack(_stream(response), packing):
        size += len(piece)
        if size > max_bytes:
            raise TooMuch(f"more than {_shown(max_bytes)} in one answer")
        yield piece


def _stream(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes over the wire."""
    try:
        yield from response.raw.stream(_AT_ONCE, decode_content=False)
    except ValueError:  # urllib3 reads on by whatever length a chunk says it has
        raise OutOfBounds("a chunk with an invalid length") from None


def _unpack(pieces: Iterator[bytes], packing: str) -> Iterator[bytes]:
    if packing in ("", "identity"):
        return pieces
    windows = _UNZIPPERS.get(packing)
    if windows is None:
        kind = packing[:20] if packing.isprintable() else "?"
        raise OutOfBounds(f"an answer compressed in a way mcsync did not ask for ({kind})")
    return _unzip(pieces, windows)


def _unzip(pieces: Iterator[bytes], windows: tuple[int, ...]) -> Iterator[bytes]:
    unzipper = None
    has_ended = False
    try:
        for piece in pieces:
            left = b"" if has_ended else piece
            if unzipper is None:
                unzipper = _begin_unzipping(left, windows)
            while left:
                if unzipper.eof:
                    if left[:1] != _GZIP_BEGINS:
                        has_ended = True  # whatever it is, it is not of the body
                        break
                    unzipper = zlib.decompressobj(windows[0])
                yield unzipper.decompress(left, _AT_ONCE)
                left = unzipper.unconsumed_tail or unzipper.unused_data
        while unzipper is not None and (rest := unzipper.decompress(b"", _AT_ONCE)):
            yield rest
    except zlib.error:
        raise OutOfBounds("a compressed answer that cannot be decompressed") from None
    if unzipper is not None and not unzipper.eof:
        raise OutOfBounds("a compressed answer that breaks off")


def _begin_unzipping(first: bytes, windows: tuple[int, ...]) -> Any:
    """An unzipper for the first form that these bytes are of."""
    for window in windows[:-1]:
        try:
            zlib.decompressobj(window).decompress(first, 1)
        except zlib.error:
            continue
        return zlib.decompressobj(window)
    return zlib.decompressobj(windows[-1])


def _shown(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size} bytes"
