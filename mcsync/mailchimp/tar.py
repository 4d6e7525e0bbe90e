"""Plain files of a tar, read as a stream; whatever else there may be in one is refused.

Python's tarfile follows what an archive says of itself: headers of any size, sparse files, records
of lengths that lie, links, names in chains. A batch's results need none of that: files and folders
with short names. So blocks are read one after the other, and bounded by what they can be.
"""

from collections.abc import Callable, Iterator

from mcsync.errors import ProtocolError

BLOCK = 512
_HEADER_ENDS = slice(148, 156)  # where the checksum stands; it counts as blanks
_FILE, _FOLDER = (b"0", b"\0", b"7"), (b"5",)
# What a long name or a fine time may be told by: passed over, for nobody needs either.
_ABOUT_THE_NEXT = (b"x", b"g", b"L")
_MOST_ABOUT = 1 << 20
_LYING = (b"size=", b"GNU.sparse", b"SCHILY.realsize", b"linkpath=")


def read_files(
    read: Callable[[int], bytes], max_entries: int, max_file_bytes: int
) -> Iterator[bytes]:
    """Yield the contents of each regular file, in order; `read` gives at most so many bytes.

    Raises: ProtocolError when the archive is not whole, is beyond the limits, or has in it what no
    results have.
    """
    for _ in range(max_entries):
        header = _read_exactly(read, BLOCK)
        if header.count(0) == BLOCK:
            return
        kind, size = header[156:157], _check(header)
        is_file, is_about = kind in _FILE, kind in _ABOUT_THE_NEXT
        if size > (max_file_bytes if is_file else _MOST_ABOUT if is_about else 0):
            raise ProtocolError("a batch's results hold more than any batch can have")
        if not (is_file or is_about or kind in _FOLDER):
            raise ProtocolError("a batch's results hold what is neither a file nor a folder")
        data = _read_exactly(read, size)
        _read_exactly(read, -size % BLOCK)
        if is_file:
            yield data
        elif any(word in data for word in _LYING):
            raise ProtocolError("a batch's results hold a header that overrules another")
    raise ProtocolError("a batch's results hold more than any batch can have")


def _check(header: bytes) -> int:
    """The size that a header tells, which must be sound. Raises: ProtocolError"""
    told, size = _read_number(header[_HEADER_ENDS]), _read_number(header[124:136])
    blanked = header[:148] + b" " * 8 + header[156:]
    if told is None or size is None or told != sum(blanked):
        raise ProtocolError("a batch's results break off before their end")
    return size


def _read_number(field: bytes) -> int | None:
    """An octal number, as headers have it; None for anything else, base 256 included."""
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if all(0x30 <= digit < 0x38 for digit in digits) else None


def _read_exactly(read: Callable[[int], bytes], size: int) -> bytes:
    parts = []
    while size > 0:
        part = read(min(size, 1 << 20))
        if not part:
            raise ProtocolError("a batch's results break off before their end")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
