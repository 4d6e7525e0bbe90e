"""Reading an audience's members to the end, although they move while we read.

Mailchimp pages by offset, sorted by `last_changed`. A member that changes meanwhile moves to
the end and lets all later ones slide up by one, so that a page may begin too late. Each page
therefore begins a few rows before the end of the one before it: the two must share a row, else
we step back. The last page is asked for only when all others have come, so that whatever moved
to the end is on it. What came is counted against what Mailchimp counts.

Counting a million members must not take a million ids in a dict (some 116 MiB). As pages are in
the order of changes, a row that is later than all before it, and older than this reading, was
not there before: its id goes into a plain array of 8 bytes each, and is never looked for. Sets
are for the rest: the page before, the last second of a page, whoever changed since we began;
only where we have to step back, or read everything once more, for all that came.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from mcsync.errors import ProtocolError
from mcsync.http import AnswerTooLarge, NoAnswer
from mcsync.mailchimp.wire import WireMember, as_noticed, read_member
from mcsync.model import LONG_AGO, Member, MemberPage

PAGE_SIZE = 1000  # Mailchimp's maximum; its default is 10
MIN_PAGE_SIZE = 100  # below it a page costs as much, and it must be far above OVERLAP
OVERLAP = 10  # rows that two neighbouring pages share when nothing moves
BORDER = 5 * OVERLAP  # rows at either end of a page where the shared ones are looked for first
IN_FLIGHT = 4
PASSES = 3
MAX_STEPS_BACK = 20  # in one pass; more means that the list never holds still
SETTLED = timedelta(minutes=10)  # what changed that long before we began does not move again
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

    `fetch_page(offset, count, is_patient)` makes one request; `pause` waits some seconds. Pages
    are asked for ahead of their turn only while `is_awaited`, or where that is None.
    """

    def __init__(
        self,
        fetch_page: FetchPage,
        pause: Callable[[float], None],
        is_awaited: Callable[[], bool] | None = None,
    ) -> None:
        self._fetch_page = fetch_page
        self._pause = pause
        self._is_awaited = is_awaited
        self._seen = _Seen()
        self._size = PAGE_SIZE
        self._ahead: dict[int, Future[RawPage]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def read(self) -> Iterator[MemberPage]:
        """Yield the members, each again only when it changed meanwhile; at least one page.

        Raises: ProtocolError when fewer came than Mailchimp counts, in every one of some passes.
        """
        try:
            for number in range(PASSES):
                if number:
                    self._seen.begin_again()
                for page in self._read_once():
                    total = page.total
                    members = self._seen.leave_news(page.rows, page.served_at)
                    yield MemberPage(members, page.served_at, page.total)
                received = self._seen.count_received()
                if received >= total:
                    return  # more than counted: some left while we read, which is no loss
            raise ProtocolError(
                f"received {received:,} of {total:,} members",
                hint="the next run tries again; the missing members are left as they were",
            )
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_once(self) -> Iterator[RawPage]:
        """One pass from the first row to the last, without gaps."""
        self._ahead.clear()
        offset, steps_back = 0, 0
        before: Sequence[WireMember] = ()  # the page before
        while True:
            page = self._take(offset)
            if offset and not _meet(before, page.rows):
                # A row could lie between the two pages: go back until they meet.
                steps_back += 1
                if steps_back > MAX_STEPS_BACK:
                    raise ProtocolError("the members at Mailchimp kept changing during the fetch")
                self._ahead.clear()
                offset = max(0, offset - steps_back * self._size)
                continue
            yield page
            is_old = len(page.rows) <= BORDER and _look_at(page.rows) <= _look_at(before)
            if offset + len(page.rows) >= page.total or is_old:
                return
            self._look_ahead(offset, len(page.rows), page.total)
            offset, before = _next_offset(offset, len(page.rows)), page.rows

    def _take(self, offset: int) -> RawPage:
        """The page at `offset`, half as long when Mailchimp took too long, or gave too much."""
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
                self._shrink()
                self._pause(PAUSE_S)
            except AnswerTooLarge:
                if is_patient:
                    raise
                self._shrink()

    def _shrink(self) -> None:
        """Ask for half as many from now on."""
        self._ahead.clear()
        self._size = max(MIN_PAGE_SIZE, self._size // 2)

    def _look_ahead(self, offset: int, count: int, total: int) -> None:
        """Ask for the next pages already, except for the last one, which must come last.

        Not where fewer came than were asked for, so that nobody knows where pages will begin:
        those asked for would pile up.
        """
        if count < self._size:
            self._ahead.clear()
            return
        if self._is_awaited is not None and not self._is_awaited():
            return
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


class _Seen:
    """Which members were handed out, and how many different ones a pass has received.

    Ids are kept as their hashes of 64 bits. Of a million ids two have the same hash once in
    some 40 million readings; the count is then one short, and everything is read again.
    """

    def __init__(self) -> None:
        self._settled_at: datetime | None = None  # what changed before it does not move any more
        self._settled = array("q")  # those, each once
        self._latest = LONG_AGO  # of the settled ones
        self._border: set[int] = set()  # settled ones that changed at that very second
        self._page_before: set[int] = set()
        self._all_settled: set[int] | None = None  # the array as a set, when it is needed
        self._others: dict[int, datetime] = {}  # all others, and when they had last changed
        self._received: set[int] | None = None  # all that a second pass has received

    def begin_again(self) -> None:
        """All pages are about to come once more."""
        self._received = set()

    def count_received(self) -> int:
        """How many different members have come in this pass."""
        if self._received is not None:
            return len(self._received)
        others = self._others
        moved = sum(key in others for key in self._settled) if others else 0
        return len(self._settled) + len(others) - moved

    def leave_news(self, rows: Iterable[WireMember], served_at: datetime) -> tuple[Member, ...]:
        """The members of a page that were not handed out yet, or changed since."""
        settled_at = self._settled_at = self._settled_at or served_at - SETTLED
        news: list[Member] = []
        page: set[int] = set()
        later: list[int] = []  # rows that came one after the other, each later than all before
        latest = self._latest
        for row in rows:
            member = read_member(row)
            key, at = hash(member.member_id), member.last_changed
            page.add(key)
            if latest < at < settled_at:  # nearly always, in a first fetch
                latest = at
                later.append(key)
                news.append(member)
                continue
            self._settle(later, latest)
            later = []
            member = as_noticed(member, served_at)
            if self._is_news(key, member.last_changed, settled_at):
                news.append(member)
        self._settle(later, latest)
        self._page_before = page
        if self._received is not None:
            self._received |= page
        return tuple(news)

    def _settle(self, later: Sequence[int], latest: datetime) -> None:
        """Rows that were not handed out yet; the last of them changed at `latest`."""
        if not later:
            return
        self._latest, self._border = latest, {later[-1]}
        self._settled.extend(later)
        if self._all_settled is not None:
            self._all_settled.update(later)

    def _is_news(self, key: int, at: datetime, settled_at: datetime) -> bool:
        """Whether a row was not handed out yet, or changed since; one that needs a closer look."""
        if at >= settled_at:
            before = self._others.get(key)
            if before is not None and at <= before:
                return False
            self._others[key] = at
            return True
        if at == self._latest:
            if key in self._border:
                return False
            self._border.add(key)
        elif key in self._page_before or key in self._load_all_settled():
            return False
        self._settled.append(key)
        if self._all_settled is not None:
            self._all_settled.add(key)
        return True

    def _load_all_settled(self) -> set[int]:
        if self._all_settled is None:
            self._all_settled = set(self._settled)
        return self._all_settled


def _meet(before: Sequence[WireMember], rows: Sequence[WireMember]) -> bool:
    """Whether two pages share a row: where nothing moved, at the end of one, the other's begin."""
    if not _look_at(before[-BORDER:]).isdisjoint(_look_at(rows[:BORDER])):
        return True
    return not _look_at(before).isdisjoint(_look_at(rows))


def _look_at(rows: Sequence[WireMember]) -> set[tuple[str, str | None]]:
    return {(row.id, row.last_changed) for row in rows}


def _next_offset(offset: int, count: int) -> int:
    return offset + max(1, count - OVERLAP)
