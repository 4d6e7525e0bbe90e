"""The archive in which Mailchimp hands over what became of a batch's operations."""

import gzip
import logging
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import msgspec

from mcsync.errors import ProtocolError
from mcsync.http import decode_json
from mcsync.mailchimp.tar import read_files
from mcsync.mailchimp.wire import read_outcome
from mcsync.model import Outcome

log = logging.getLogger("mcsync.mailchimp")

# A batch holds up to 1,000 operations with answers of a few KiB each: these leave ample room.
MAX_PACKED_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 1 << 30
MAX_FILE_BYTES = 16 << 20
MAX_ANSWER_BYTES = 1 << 20
MAX_ENTRIES = 100_000
MAX_RESULTS = 10_000  # in one file
MAX_SECONDS = 120.0

_READ_ERRORS = (EOFError, OSError, zlib.error)


class WireResult(msgspec.Struct):
    """One result; `response` is a JSON *string* inside the JSON, or nothing."""

    status_code: int
    operation_id: str | int | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")


def parse_batch_archive(
    stream: BinaryIO, clock: Callable[[], float] = time.monotonic
) -> Iterator[Outcome]:
    """Yield one outcome per operation of a finished batch, in no particular order.

    Shape: a gzipped tar of JSON arrays of results (mailchimp: Batches): the directory `./` comes
    first, a file may hold several results, one, none (`[]`) or nothing at all; results without
    an operation id are left out. `stream` must be seekable; `clock` (seconds) is for tests.
    Raises: ProtocolError if the archive, or any file in it, cannot be read to its end, or is
    beyond our bounds; after the outcomes that could be read.
    Source: Mailchimp, "Run Async Requests with the Batch Endpoint".
    """
    unreadable = 0
    timer = _Timer(clock)
    unpacked = _unpacked(stream, timer)
    try:
        for data in read_files(unpacked.read, MAX_ENTRIES, MAX_FILE_BYTES):
            try:
                outcomes = [out for result in _read_results(data) for out in _outcome(result)]
            except (msgspec.DecodeError, UnicodeError, RecursionError, ProtocolError):
                unreadable += 1
                continue
            with timer.paused():
                yield from outcomes
        while unpacked.read(1 << 16):  # to the end, where gzip keeps its checksum
            pass
    except _READ_ERRORS:
        raise ProtocolError("a batch's results break off before their end") from None
    if unreadable:
        raise ProtocolError(f"{unreadable} files of a batch's results cannot be read")


class _Timer:
    """How long the reading itself may take."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends_at = clock() + MAX_SECONDS

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done with the outcomes meanwhile does not count."""
        begun = self._clock()
        yield
        self._ends_at += self._clock() - begun

    def check(self) -> None:
        """Raises: ProtocolError when the time is over."""
        if self._clock() > self._ends_at:
            raise ProtocolError(f"a batch's results take over {MAX_SECONDS:.0f} s to read")


class _Timed:
    """The packed bytes; to be asked for them costs time even where nothing comes of them."""

    def __init__(self, inner: BinaryIO, timer: _Timer) -> None:
        self._inner = inner
        self._timer = timer

    def read(self, size: int = -1) -> bytes:
        """Some bytes."""
        self._timer.check()
        return self._inner.read(size)


class _Bounded:
    """Reads on until more than `limit` bytes have come: what unpacks to more is an attack."""

    def __init__(self, inner: _Timed | gzip.GzipFile, limit: int) -> None:
        self._inner = inner
        self._left = limit

    def read(self, size: int) -> bytes:
        """Some bytes."""
        data = self._inner.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolError(f"a batch's results unpack to over {MAX_UNPACKED_BYTES >> 20} MiB")
        return data


def _unpacked(stream: BinaryIO, timer: _Timer) -> _Bounded:
    """The tar itself: a storage host may have taken the gzip off already."""
    magic = stream.read(2)
    stream.seek(0)
    packed = _Timed(stream, timer)
    is_packed = magic == b"\x1f\x8b"
    inner = gzip.GzipFile(fileobj=cast(BinaryIO, packed), mode="rb") if is_packed else packed
    return _Bounded(inner, MAX_UNPACKED_BYTES)


def _read_results(data: bytes) -> list[WireResult]:
    if not data.strip():
        return []
    found = decode_json(data, list[WireResult] | WireResult | None)  # type: ignore[arg-type]
    if found is None:
        return []
    results = found if isinstance(found, list) else [found]
    if len(results) > MAX_RESULTS:
        raise ProtocolError("a file of a batch's results holds more than any batch can have")
    return results


def _outcome(result: WireResult) -> Iterator[Outcome]:
    if result.operation_id in (None, ""):
        return
    answer = bytes(result.response)
    if len(answer) > MAX_ANSWER_BYTES:
        raise ProtocolError("an answer in a batch's results is larger than any can be")
    if answer.startswith(b'"'):
        answer = msgspec.json.decode(answer, type=str).encode()
    yield read_outcome(str(result.operation_id), result.status_code, answer)
