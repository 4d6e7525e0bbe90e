"""Reading an audience's members to the end, although they move while we read.

Mailchimp pages by offset, sorted by `last_changed`. A member that changes meanwhile moves to
the end and lets all later ones slide up by one, so that a page may begin too late. Each page
therefore begins a few rows before the end of the one before it: the two must share a row, else
we step back. The last page is asked for only when all others have come, so that whatever moved
to the end is on it. What came is counted against what Mailchimp counts.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from mcsync.errors import ProtocolError
from mcsync.http import NoAnswer
from mcsync.mailchimp.wire import WireMember, read_member
from mcsync.model import Member, MemberPage

PAGE_SIZE = 1000  # Mailchimp's maximum; its default is 10
MIN_PAGE_SIZE = 100
OVERLAP = 10  # rows that two neighbouring pages share when nothing moves
IN_FLIGHT = 4
PASSES = 3
MAX_STEPS_BACK = 20  # in one pass; more means that the list never holds still
PAUSE_S = 5.0  # before asking for less: a request that timed out still runs over there


@dataclass(frozen=True, slots=True)
class RawPage:
    """One answer: rows in Mailchimp's order, its count of all, and its clock."""

    rows: Sequence[WireMember]
    total: int
    served_at: datetime


FetchPage = Callable[[int, int, bool], RawPage]  # offset, count, whether to try again on time-outs


class MemberReader:
    """Reads one kind of members of one audience, page by page, until all have come.

    `fetch_page(offset, count, is_patient)` makes one request; `pause` waits some seconds;
    `total_before` is added to the totals told, for members of another kind read before.
    """

    def __init__(
        self,
        fetch_page: FetchPage,
        pause: Callable[[float], None],
        total_before: int = 0,
    ) -> None:
        self._fetch_page = fetch_page
        self._pause = pause
        self._seen: dict[int, int] = {}  # hash of the id -> last_changed, in seconds: kept small
        self._total_before = total_before
        self._size = PAGE_SIZE
        self._ahead: dict[int, Future[RawPage]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self.total = 0

    def read(self) -> Iterator[MemberPage]:
        """Yield the members, each again only when it changed meanwhile; at least one page.

        Raises: ProtocolError when fewer came than Mailchimp counts, in every one of some passes.
        """
        try:
            for number in range(PASSES):
                ids: set[int] = set()
                for page in self._read_once():
                    if number:
                        ids.update(hash(row.id) for row in page.rows)
                    self.total = page.total
                    yield self._news(page)
                received = len(ids) if number else len(self._seen)
                if received >= self.total:
                    return  # more than counted: some left while we read, which is no loss
            raise ProtocolError(
                f"received {received:,} of {self.total:,} members",
                hint="the next run tries again; nothing was concluded from the missing ones",
            )
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_once(self) -> Iterator[RawPage]:
        """One pass from the first row to the last, without gaps."""
        self._ahead.clear()
        offset, steps_back = 0, 0
        known: set[tuple[str, str]] = set()  # the rows of the page before
        while True:
            page = self._take(offset)
            rows = {(row.id, row.last_changed) for row in page.rows}
            if offset and not rows & known:
                # A row could lie between the two pages: go back until they meet.
                steps_back += 1
                if steps_back > MAX_STEPS_BACK:
                    raise ProtocolError("the list of members at Mailchimp never held still")
                self._ahead.clear()
                offset = max(0, offset - steps_back * self._size)
                continue
            yield page
            if offset + len(page.rows) >= page.total or rows <= known:
                return
            self._look_ahead(offset, len(page.rows), page.total)
            offset, known = _next_offset(offset, len(page.rows)), rows

    def _take(self, offset: int) -> RawPage:
        """The page at `offset`, half as long when Mailchimp took too long over it."""
        while True:
            is_patient = self._size <= MIN_PAGE_SIZE
            try:
                waiting = self._ahead.pop(offset, None)
                if waiting is not None:
                    return waiting.result()
                return self._fetch_page(offset, self._size, is_patient)
            except NoAnswer as error:
                if is_patient or not error.is_timeout:
                    raise
                self._ahead.clear()
                self._size = max(MIN_PAGE_SIZE, self._size // 2)
                self._pause(PAUSE_S)

    def _look_ahead(self, offset: int, count: int, total: int) -> None:
        """Ask for the next pages already, except for the last one, which must come last."""
        offset = _next_offset(offset, count)
        for _ in range(IN_FLIGHT):
            if offset + self._size >= total:
                return
            if offset not in self._ahead:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(IN_FLIGHT, "mailchimp-members")
                self._ahead[offset] = self._pool.submit(
                    self._fetch_page, offset, self._size, self._size <= MIN_PAGE_SIZE
                )
            offset = _next_offset(offset, self._size)

    def _news(self, page: RawPage) -> MemberPage:
        """What of a page was not handed out before."""
        seen = self._seen
        members: list[Member] = []
        for row in page.rows:
            member = read_member(row)
            key, at = hash(member.member_id), int(member.last_changed.timestamp())
            before = seen.get(key)
            if before is None or at > before:
                seen[key] = at
                members.append(member)
        return MemberPage(tuple(members), page.served_at, self._total_before + page.total)


def _next_offset(offset: int, count: int) -> int:
    return offset + max(1, count - OVERLAP)
