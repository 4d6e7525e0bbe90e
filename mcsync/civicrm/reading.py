"""The reading half of the adapter: everything in pages by id, every answer proved."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import TypeVar

import msgspec

from mcsync.civicrm import records, sight
from mcsync.civicrm.sight import ANY_TRASH
from mcsync.civicrm.transport import Call, TooLarge, Transport, get
from mcsync.errors import ProtocolError
from mcsync.http import threads
from mcsync.model import (
    Contact,
    ContactPage,
    Email,
    GroupContact,
    HistoryRow,
    SiteSnapshot,
    email_key,
)

PAGE_SIZE = 10_000  # the sweet spot as measured (civicrm: Reading)
IDS_PER_REQUEST = 2_500  # some 8 bytes an id, twice: far below any web server's body limit
EMAILS_PER_REQUEST = 1_000  # some 32 bytes each
MERGED_PER_REQUEST = 200
BY_ID = {"id": "ASC"}
IN_FLIGHT = 2  # more read no faster (civicrm: Reading)
BEFORE_CIVICRM = datetime(1980, 1, 1, tzinfo=UTC)

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
K = TypeVar("K")
R = TypeVar("R")
Where = list[list[object]]


class Reader:
    """Reads a site; keeps the site's offset of this run, which dates depend on."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._offset: timedelta | None = None

    # --- the start of a run -------------------------------------------------------------------

    def fetch_snapshot(
        self, group_ids: Sequence[int], history_after: int, sample: Sequence[int] = ()
    ) -> SiteSnapshot:
        """Prove that we see everybody, and tell the rest that the port names, in two requests.

        What cannot be proved: without `access deleted contacts` the rows of trashed contacts are
        missing from everything, exactly as if nobody were in the trash.
        """
        self._transport.connect(is_forced=True)
        look, shown, counts = sight.look(sample), groups(group_ids), group_counts(group_ids)
        history = _history(group_ids, history_after)
        answers, served_at = self._transport.call_all([look, shown, counts, history])
        read = self._transport.read
        seen = read(answers[0], look)
        now = self._keep_offset(seen, served_at)
        offset, wanted = self._known_offset(), frozenset(sample)
        rows = read(answers[3], history)
        return SiteSnapshot(
            now=now,
            utc_offset_s=int(offset.total_seconds()),
            groups={row.id: records.read_group(row) for row in read(answers[1], shown)},
            counts={
                (row.group_id, row.status): row.n
                for row in read(answers[2], counts)
                if row.status is not None
            },
            history=tuple(records.read_history(row, offset) for row in rows),
            has_more_history=len(rows) >= PAGE_SIZE,
            created={
                row.id: records.read_time(row.created_date, offset)
                for row in seen
                if row.id in wanted
            },
        )

    def _keep_offset(self, seen: Sequence[records.WireSeen], served_at: datetime) -> datetime:
        """Remember the site's offset; its clock in UTC.

        Raises: RemoteRefused when we do not see everybody.
        """
        server_now = sight.prove(self._transport.host, seen).server_now
        self._offset = records.measure_offset(server_now, served_at)
        return records.parse_naive(server_now).replace(tzinfo=UTC) - self._offset

    def _known_offset(self) -> timedelta:
        """The site's offset, measured now if it was not yet; that also proves that we see all."""
        if self._offset is None:
            call = sight.look()
            answers, served_at = self._transport.call_all([call])
            self._keep_offset(self._transport.read(answers[0], call), served_at)
        assert self._offset is not None  # noqa: S101  # set above, or raised
        return self._offset

    # --- groups -------------------------------------------------------------------------------

    def fetch_history(
        self, group_ids: Sequence[int], after_id: int
    ) -> Iterator[tuple[HistoryRow, ...]]:
        """Subscription history of these groups with ids above `after_id`, oldest first."""
        offset = self._known_offset()
        pages = self._read_pages(partial(_history, group_ids), after_id)
        for rows in read_ahead(pages):
            yield tuple(records.read_history(row, offset) for row in rows)

    def fetch_group_contacts(self, group_ids: Sequence[int]) -> Iterator[tuple[GroupContact, ...]]:
        """All group contacts of these groups, by id, every status, trashed contacts too."""
        self._known_offset()
        for rows in read_ahead(self._read_pages(partial(_group_contacts, group_ids))):
            yield tuple(records.read_group_contact(row) for row in rows)

    def fetch_smart_group(self, group_id: int) -> Iterator[tuple[int, ...]]:
        """Contact ids that a smart group holds now, after asking CiviCRM to refresh it."""
        self._known_offset()
        refresh = Call("Group", "refresh", {"where": [["id", "=", group_id]]}, dict[str, object])
        self._transport.call(refresh)
        for rows in self._read_pages(partial(_smart_group, group_id)):
            yield tuple(row.id for row in rows)

    def _read_pages(
        self,
        ask: Callable[[int], Call[T]],
        after_id: int = 0,
        id_of: Callable[[T], int] = attrgetter("id"),
    ) -> Iterator[list[T]]:
        """All pages by id that have rows; `ask` makes the call for what comes after an id."""
        while rows := self._transport.call(ask(after_id)):
            after_id = id_of(rows[-1])
            yield rows
            if len(rows) < PAGE_SIZE:
                return

    # --- contacts -----------------------------------------------------------------------------

    def fetch_contacts(self, contact_ids: Sequence[int]) -> Iterator[ContactPage]:
        """These contacts, trashed ones too, with all their addresses; purged ones are absent."""
        self._known_offset()
        unique = list(dict.fromkeys(contact_ids))
        yield from read_parts(self._fetch_contacts, unique, IDS_PER_REQUEST)

    def _fetch_contacts(self, ids: list[int]) -> ContactPage:
        contacts = get("Contact", records.WireContact, where=[["id", "IN", ids], ANY_TRASH])
        whose = [["contact_id", "IN", ids]]
        emails = get("Email", records.WireEmail, where=whose, orderBy=BY_ID)
        return self._contact_page(*self._read_both(contacts, emails))

    def fetch_changed_contacts(self, since: datetime) -> Iterator[ContactPage]:
        """All contacts of the site modified at or after `since`, by id, trashed ones too.

        One request a page, asked for while the one before is worked on. Where the page's
        contacts or addresses reach the limit, it ends with the last contact whose addresses have
        all come, and the next one goes on from there.
        """
        self._known_offset()
        return read_ahead(self._fetch_changed(since))

    def _fetch_changed(self, since: datetime) -> Iterator[ContactPage]:
        offset = self._known_offset()
        after_id = 0
        while True:
            contacts, emails = _changed(after_id, since, offset)
            found, addresses = self._read_both(contacts, emails)
            ends = [found[-1].id] if len(found) >= PAGE_SIZE else []
            if len(addresses) >= PAGE_SIZE:
                ends.append((addresses[-1].contact_id or 0) - 1)
            end = min(ends, default=None)
            if end is not None and end <= after_id:
                raise ProtocolError(f"contact {after_id + 1} has too many addresses to read")
            if end is not None:
                found = [row for row in found if row.id <= end]
            if found:
                yield self._contact_page(found, addresses)
            if end is None:
                return
            after_id = end

    def _read_both(
        self, contacts: Call[records.WireContact], emails: Call[records.WireEmail]
    ) -> tuple[list[records.WireContact], list[records.WireEmail]]:
        answers, _ = self._transport.call_all([contacts, emails])
        return self._transport.read(answers[0], contacts), self._transport.read(answers[1], emails)

    def _contact_page(
        self, found: list[records.WireContact], addresses: list[records.WireEmail]
    ) -> ContactPage:
        offset = self._known_offset()
        contacts: tuple[Contact, ...] = tuple(records.read_contact(row, offset) for row in found)
        ids = {contact.contact_id for contact in contacts}
        emails = (records.read_email(row) for row in addresses if row.contact_id in ids)
        return ContactPage(contacts, tuple(email for email in emails if email is not None))

    def fetch_owners(self, emails: Sequence[str]) -> Iterator[tuple[Email, ...]]:
        """Addresses equal to one of these but for case, of contacts that are not trashed.

        CiviCRM's own comparison also ignores accents and trailing spaces, not leading ones: all
        addresses with such are read, and compared here.
        """
        self._known_offset()
        unique = list({email_key(email): email for email in emails}.values())
        yield from read_parts(self._fetch_owners, unique, EMAILS_PER_REQUEST)

    def _fetch_owners(self, emails: list[str]) -> tuple[Email, ...]:
        like = [["email", "LIKE", f"{blank}%"] for blank in (" ", "\t")]
        asked: list[object] = ["OR", [["email", "IN", emails], *like]]
        where: Where = [asked, ["contact_id.is_deleted", "=", False]]
        rows = self._transport.call(get("Email", records.WireEmail, where=where, orderBy=BY_ID))
        wanted = {email_key(email) for email in emails}
        found = (records.read_email(row) for row in rows)
        return tuple(email for email in found if email and email_key(email.email) in wanted)

    def fetch_merged_to(self, contact_ids: Sequence[int]) -> Mapping[int, int]:
        """For each of these trashed contacts that was merged, the contact that survived.

        A survivor that was merged in its turn is followed to the last one.
        """
        self._known_offset()
        step: dict[int, int] = {}
        asking = list(dict.fromkeys(contact_ids))
        asked: set[int] = set()
        while asking:
            asked.update(asking)
            for chunk in chunks(asking, MERGED_PER_REQUEST):
                step |= self._fetch_merged_once(chunk)
            asking = [survivor for survivor in set(step.values()) if survivor not in asked]
        return {start: _last(step, start) for start in contact_ids if start in step}

    def _fetch_merged_once(self, contact_ids: list[int]) -> dict[int, int]:
        shape = dict[str, object] | list[object]
        calls: list[Call[object]] = [
            Call("Contact", "getMergedTo", {"contactId": contact_id}, shape)  # type: ignore[arg-type]
            for contact_id in contact_ids
        ]
        answers, _ = self._transport.call_all(calls)
        found: dict[int, int] = {}
        for contact_id, call, answer in zip(contact_ids, calls, answers, strict=True):
            for row in self._transport.read(answer, call):
                if isinstance(row, dict) and row.get("id"):  # `[[]]`: never merged
                    found[contact_id] = int(str(row["id"]))
        return found


# --- the calls ------------------------------------------------------------------------------------


def page(entity: str, shape: type[S], where: Where) -> Call[S]:
    """One page by id; the caller's condition says where it begins."""
    return get(entity, shape, where=where, orderBy=BY_ID, limit=PAGE_SIZE)


def groups(group_ids: Sequence[int]) -> Call[records.WireGroup]:
    """These groups, as far as they exist."""
    return get("Group", records.WireGroup, where=[["id", "IN", list(group_ids)]])


def group_counts(group_ids: Sequence[int], *where: list[object]) -> Call[records.WireCount]:
    """How many contacts these groups have in each status."""
    params = {
        "select": ["group_id", "status", "COUNT(id) AS n"],
        "where": [["group_id", "IN", list(group_ids)], *where],
        "groupBy": ["group_id", "status"],
    }
    return Call("GroupContact", "get", params, records.WireCount)


def highest_id(entity: str, where: Where) -> Call[records.WireHighest]:
    """The highest id of these rows, to be read by `records.read_highest`."""
    params = {"select": ["MAX(id) AS max_id"], "where": where}
    return Call(entity, "get", params, records.WireHighest)


def _history(group_ids: Sequence[int], after_id: int) -> Call[records.WireHistory]:
    where: Where = [["id", ">", after_id], ["group_id", "IN", list(group_ids)]]
    return page("SubscriptionHistory", records.WireHistory, where)


def _group_contacts(group_ids: Sequence[int], after_id: int) -> Call[records.WireGroupContact]:
    where: Where = [["id", ">", after_id], ["group_id", "IN", list(group_ids)]]
    return page("GroupContact", records.WireGroupContact, where)


def _smart_group(group_id: int, after_id: int) -> Call[records.WireId]:
    where: Where = [["groups", "IN", [group_id]], ["id", ">", after_id]]
    return page("Contact", records.WireId, where)


def _changed(
    after_id: int, since: datetime, offset: timedelta
) -> tuple[Call[records.WireContact], Call[records.WireEmail]]:
    """Contacts modified since, and their addresses; a date before CiviCRM means all of them."""
    of_contacts: Where = [["id", ">", after_id], ANY_TRASH]
    of_emails: Where = [["contact_id", ">", after_id]]
    if since > BEFORE_CIVICRM:
        local = records.write_time(since, offset)
        of_contacts.append(["modified_date", ">=", local])
        of_emails.append(["contact_id.modified_date", ">=", local])
    order = {"contact_id": "ASC", "id": "ASC"}
    emails = get("Email", records.WireEmail, where=of_emails, orderBy=order, limit=PAGE_SIZE)
    return page("Contact", records.WireContact, of_contacts), emails


def _last(step: Mapping[int, int], start: int) -> int:
    """The end of a chain of merges; a circle, which should not be, ends where it closes."""
    seen = {start}
    while start in step and step[start] not in seen:
        start = step[start]
        seen.add(start)
    return start


# --- chunks ---------------------------------------------------------------------------------------


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def read_ahead(pages: Iterator[T]) -> Iterator[T]:
    """The same pages, each fetched while the one before is worked on."""
    pool = ThreadPoolExecutor(1, "civicrm")
    try:
        coming: Future[T | None] = pool.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = pool.submit(next, pages, None)
            yield page
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def read_parts(fetch: Callable[[list[K]], R], items: Sequence[K], size: int) -> Iterator[R]:
    """What `fetch` gives for at most `size` items at a time; a request too large is halved.

    Raises: TooLarge when it is for a single item.
    """

    def work(part: list[K]) -> list[R]:
        try:
            return [fetch(part)]
        except TooLarge:
            if len(part) < 2:
                raise TooLarge(
                    "CiviCRM's web server refuses even the smallest request (HTTP 413)"
                ) from None
        middle = len(part) // 2
        return work(part[:middle]) + work(part[middle:])

    return in_flight(work, chunks(items, size))


def in_flight(work: Callable[[list[K]], list[R]], parts: Iterator[list[K]]) -> Iterator[R]:
    """Do the parts, IN_FLIGHT at once, and yield what they give in the order of the parts."""
    waiting: list[Future[list[R]]] = []
    with threads(IN_FLIGHT, "civicrm") as pool:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) >= IN_FLIGHT:
                yield from waiting.pop(0).result()
        while waiting:
            yield from waiting.pop(0).result()
