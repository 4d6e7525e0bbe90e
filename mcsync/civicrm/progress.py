"""What becomes of a write, and how several single writes share one request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mcsync.civicrm import records
from mcsync.civicrm.transport import Call, CallFailed, TooLarge, Transport
from mcsync.errors import McsyncError, RemoteRefused
from mcsync.http import NoAnswer
from mcsync.model import WriteResult


@dataclass
class Progress:
    """What became of one chunk so far; `error` ends the whole write once this was handed over."""

    done: dict[int, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    error: McsyncError | None = None

    def result(self) -> WriteResult:
        """What the caller is told."""
        return WriteResult(done=self.done, failed=self.failed)


def is_over(error: McsyncError) -> bool:
    """Whether the failed request has surely ended over there, with an error of its own."""
    if isinstance(error, CallFailed):
        return True
    reply = error.reply if isinstance(error, NoAnswer) else None
    return reply is not None and reply.status in (200, 500)


def told(progress: Progress) -> Iterator[WriteResult]:
    """Hand over what became of a chunk, then raise what ended it, if anything did."""
    if progress.done or progress.failed:
        yield progress.result()
    if progress.error is not None:
        raise progress.error


def joined(first: Progress, second: Progress) -> Progress:
    """What became of two parts of a chunk together; the first one's error goes before."""
    done, failed = first.done | second.done, first.failed | second.failed
    return Progress(done, failed, first.error or second.error)


def write_each(
    transport: Transport, calls: Mapping[int, Call[records.WireOwned]], tries_left: int
) -> Progress:
    """Several single writes in one request, so that each succeeds or fails alone, by key.

    `tries_left`: how often the whole may be repeated after silence, when that does no harm.
    """
    if not calls:
        return Progress()
    try:
        answers, _ = transport.call_all(list(calls.values()))
    except TooLarge as error:
        return (
            _write_halves(transport, calls, tries_left) if len(calls) > 1 else Progress(error=error)
        )
    except (NoAnswer, CallFailed) as error:
        return write_each(transport, calls, tries_left - 1) if tries_left else Progress(error=error)
    progress = Progress()
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
            progress.failed[key] = "CiviCRM has no such record, or does not show it"
    return progress


def _write_halves(
    transport: Transport, calls: Mapping[int, Call[records.WireOwned]], tries_left: int
) -> Progress:
    keys = list(calls)
    halves = (keys[: len(keys) // 2], keys[len(keys) // 2 :])
    first, second = (
        write_each(transport, {key: calls[key] for key in half}, tries_left) for half in halves
    )
    return joined(first, second)
