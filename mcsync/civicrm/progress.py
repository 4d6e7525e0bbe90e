"""What becomes of a write, and how several single writes share one request."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from mcsync.civicrm import records
from mcsync.civicrm.pace import QUICK_S, Sent
from mcsync.civicrm.transport import Call, CallFailed, TooLarge, Transport
from mcsync.errors import McsyncError, RemoteRefused
from mcsync.http import NoAnswer
from mcsync.model import WriteResult

T = TypeVar("T")


@dataclass
class Progress:
    """What became of one chunk so far; `error` ends the whole write once this was handed over.

    `doubt` is why nobody knows of the others whether they are written, or will be: a request was
    not answered in time. They are not tried again; others are, in smaller requests. `sent` are
    the requests that tell how much the site takes.
    """

    done: dict[int, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    error: McsyncError | None = None
    doubt: McsyncError | None = None
    sent: list[Sent] = field(default_factory=list)

    def result(self) -> WriteResult:
        """What the caller is told."""
        return WriteResult(done=self.done, failed=self.failed)

    @contextmanager
    def timing(self, size: int) -> Iterator[None]:
        """Take note of how long a request of that size takes, or that it was too much."""
        begun = time.monotonic()
        try:
            yield
        except McsyncError as error:
            took_s = time.monotonic() - begun
            if isinstance(error, TooLarge) or is_silent(error) or _died(error, took_s):
                self.sent.append(Sent(size, took_s, True, is_silent(error)))
            raise
        self.sent.append(Sent(size, time.monotonic() - begun))


def is_silent(error: McsyncError) -> bool:
    """Whether a request was not answered in time: by CiviCRM, or by what stands before it."""
    return isinstance(error, NoAnswer) and error.is_timeout and error.was_sent


def _died(error: McsyncError, took_s: float) -> bool:
    """Whether PHP ended a request for the time that it took: a page with 500, or nothing in it."""
    reply = error.reply if isinstance(error, NoAnswer) else None
    return reply is not None and reply.status == 500 and took_s >= QUICK_S


def is_over(error: McsyncError) -> bool:
    """Whether the failed request has surely ended over there, with an error of its own."""
    if isinstance(error, CallFailed):
        return True
    reply = error.reply if isinstance(error, NoAnswer) else None
    return reply is not None and reply.status in (200, 500)


def gather(write: Callable[[list[T], Progress], None], part: list[T]) -> Progress:
    """What becomes of a chunk; what ends the write is handed over with it."""
    progress = Progress()
    try:
        write(part, progress)
    except McsyncError as error:
        progress.error = error
    return progress


def halves(items: list[T]) -> tuple[list[T], list[T]]:
    """The first and the second half."""
    middle = len(items) // 2
    return items[:middle], items[middle:]


def told(progress: Progress) -> Iterator[WriteResult]:
    """Hand over what became of a chunk, then raise what ended it, if anything did."""
    if progress.done or progress.failed:
        yield progress.result()
    if progress.error is not None:
        raise progress.error


def all_told(found: Iterable[Progress]) -> Iterator[WriteResult]:
    """Hand over what became of several chunks, then raise the first of what went wrong."""
    errors = []
    for progress in found:
        if progress.done or progress.failed:
            yield progress.result()
        if progress.error is not None:
            errors.append(progress.error)
    if errors:
        raise errors[0]


def joined(first: Progress, second: Progress) -> Progress:
    """What became of two parts of a chunk together; the first one's error goes before."""
    return Progress(
        first.done | second.done,
        first.failed | second.failed,
        first.error or second.error,
        first.doubt or second.doubt,
        [*first.sent, *second.sent],
    )


def write_each(
    transport: Transport, calls: Mapping[int, Call[records.WireOwned]], tries_left: int
) -> Progress:
    """Several single writes in one request, so that each succeeds or fails alone, by key.

    `tries_left`: how often the whole may be repeated after silence, when that does no harm.
    """
    progress = Progress()
    if not calls:
        return progress
    try:
        with progress.timing(len(calls)):
            answers, _ = transport.call_all(list(calls.values()))
    except (TooLarge, NoAnswer, CallFailed) as error:
        is_smaller_better = isinstance(error, TooLarge) or (tries_left and is_silent(error))
        if is_smaller_better and len(calls) > 1:
            return joined(progress, _write_halves(transport, calls, tries_left))
        if not tries_left or isinstance(error, TooLarge):
            progress.error = error
            return progress
        return joined(progress, write_each(transport, calls, tries_left - 1))
    for (key, call), answer in zip(calls.items(), answers, strict=True):
        try:
            rows = transport.read(answer, call)
        except CallFailed as error:
            progress.failed[key] = error.message
            continue
        except RemoteRefused as error:
            progress.error = error  # the permission that is missing, after what could be done
            continue
        if rows:
            progress.done[key] = rows[0].contact_id or rows[0].id
        else:
            progress.failed[key] = NO_RECORD
    return progress


NO_RECORD = "CiviCRM has no such record, or does not show it"


def _write_halves(
    transport: Transport, calls: Mapping[int, Call[records.WireOwned]], tries_left: int
) -> Progress:
    first, second = halves(list(calls))
    progress = write_each(transport, {key: calls[key] for key in first}, tries_left)
    if progress.error is not None:
        return progress
    rest = {key: calls[key] for key in second}
    return joined(progress, write_each(transport, rest, tries_left))
