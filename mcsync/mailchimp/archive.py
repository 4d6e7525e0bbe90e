"""The archive in which Mailchimp hands over what became of a batch's operations."""

import gzip
import io
import logging
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

import msgspec

from mcsync.errors import ProtocolError
from mcsync.mailchimp.wire import read_outcome
from mcsync.model import Outcome

log = logging.getLogger("mcsync.mailchimp")

# A batch holds up to 1,000 operations with answers of a few KiB each: these leave ample room.
MAX_PACKED_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 1 << 30
MAX_FILE_BYTES = 128 << 20
MAX_ENTRIES = 100_000

_READ_ERRORS = (EOFError, OSError, tarfile.TarError, zlib.error)


class WireResult(msgspec.Struct):
    """One result; `response` is a JSON *string* inside the JSON, or nothing."""

    status_code: int
    operation_id: str | int | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")


def parse_batch_archive(stream: BinaryIO) -> Iterator[Outcome]:
    """Yield one outcome per operation of a finished batch, in no particular order.

    Shape: a gzipped tar of JSON arrays of results (facts, section 6): the directory `./` comes
    first, a file may hold several results, one, none (`[]`) or nothing at all; results without
    an operation id are left out. `stream` must be seekable.
    Raises: ProtocolError if the archive, or any file in it, cannot be read to its end, or is
    beyond our bounds; after the outcomes that could be read.
    Source: Mailchimp, "Run Async Requests with the Batch Endpoint".
    """
    unreadable = 0
    unpacked = _unpacked(stream)
    try:
        for data in _files(unpacked):
            try:
                results = _read_results(data)
                outcomes = [outcome for result in results for outcome in _outcome(result)]
            except (msgspec.DecodeError, UnicodeError, RecursionError, ProtocolError):
                unreadable += 1
                continue
            yield from outcomes
        while unpacked.read(1 << 16):  # to the end, where gzip keeps its checksum
            pass
    except _READ_ERRORS:
        raise ProtocolError("a batch's results break off before their end") from None
    if unreadable:
        raise ProtocolError(f"{unreadable} files of a batch's results cannot be read")


class _Bounded(io.RawIOBase):
    """Reads on until more than `limit` bytes have come: what unpacks to more is an attack."""

    def __init__(self, inner: IO[bytes], limit: int) -> None:
        self._inner = inner
        self._left = limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(size if size >= 0 else 1 << 20)
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolError(f"a batch's results unpack to over {MAX_UNPACKED_BYTES >> 20} MiB")
        return data


def _unpacked(stream: BinaryIO) -> BinaryIO:
    """The tar itself: a storage host may have taken the gzip off already."""
    magic = stream.read(2)
    stream.seek(0)
    inner = (
        cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb"))
        if magic == b"\x1f\x8b"
        else stream
    )
    return cast(BinaryIO, _Bounded(inner, MAX_UNPACKED_BYTES))


def _files(unpacked: BinaryIO) -> Iterator[bytes]:
    """The contents of the archive's regular files, nothing ever being written to disk."""
    with tarfile.open(fileobj=unpacked, mode="r|") as archive:
        for count, entry in enumerate(archive):
            if count >= MAX_ENTRIES or entry.size > MAX_FILE_BYTES:
                raise ProtocolError("a batch's results hold more than any batch can have")
            file = archive.extractfile(entry) if entry.isreg() else None
            if file is not None:
                yield file.read()
            archive.members.clear()  # type: ignore[attr-defined]  # else tarfile keeps them all


def _read_results(data: bytes) -> list[WireResult]:
    if not data.strip():
        return []
    found = msgspec.json.decode(data, type=list[WireResult] | WireResult | None)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _outcome(result: WireResult) -> Iterator[Outcome]:
    if result.operation_id in (None, ""):
        return
    answer = bytes(result.response)
    if answer.startswith(b'"'):
        answer = msgspec.json.decode(answer, type=str).encode()
    yield read_outcome(str(result.operation_id), result.status_code, answer)
