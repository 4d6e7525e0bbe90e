"""One Mailchimp account: what `pipeline.ports.MailchimpPort` asks for, over HTTP."""

import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import BinaryIO, TypeVar, cast
from urllib.parse import quote, urlsplit

import msgspec

from mcsync.errors import ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.exchange import MAX_ANSWER_BYTES
from mcsync.http import DEADLINE_S, NEXT_RUN, READ_TIMEOUT_S, HttpClient, Reply, place_of, threads
from mcsync.mailchimp import wire
from mcsync.mailchimp.archive import MAX_PACKED_BYTES, parse_batch_archive
from mcsync.mailchimp.members import MemberReader, RawPage
from mcsync.model import (
    Audience,
    Batch,
    Member,
    MemberPage,
    MemberStatus,
    MergeField,
    Operation,
    Outcome,
)
from mcsync.text import fit

T = TypeVar("T")

# In a page of members, of which some are in the air at once. Who has more in a thousand of them,
# 4 KiB and 150 fields and interests each, gets smaller pages.
MAX_PAGE_BYTES = 4 << 20
MAX_PAGE_VALUES = 150_000
MAX_CONNECTIONS = 6  # Mailchimp refuses the 11th of one user, whoever else uses the account
READERS = 4  # single members read at the same time
COUNT = 1000  # the maximum of any collection; the default is 10
SUBMIT_TIMEOUT_S = 300.0
SUBMIT_RETRIES_S = 60.0  # longer, and a batch could not be found again by when it was claimed
_MEMBER_FIELDS = wire.fields_of(wire.WireMember)
_PAGE_FIELDS = wire.fields_of(wire.WireMember, "members.") + ",total_items"
_BATCHES_FIELDS = wire.fields_of(wire.WireBatch, "batches.", but="response_body_url")


class MailchimpClient:
    """One account, that is one API key; `api_url` includes the path, such as `/3.0`.

    Safe to use from several threads. `sleep` is how retries wait; `ends_at`, a time of
    `time.monotonic`, is when the run's time is over, and `least_s` what each call has in any case;
    `http` and `monotonic` (seconds) are for tests.
    """

    def __init__(
        self,
        api_key: str,
        api_url: str,
        *,
        http: HttpClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        ends_at: float | None = None,
        least_s: float | None = None,
    ) -> None:
        self._base = api_url.rstrip("/")
        self._place = place_of(self._base) or self._base
        self._host = f"Mailchimp at {self._place}"
        credentials = b64encode(f"mcsync:{api_key}".encode()).decode()
        self._secrets = (api_key, credentials)
        self._headers = {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
        self._http = http or HttpClient(
            max_connections=MAX_CONNECTIONS,
            sleep=sleep,
            service="Mailchimp",
            address_key="apiUrl, or the data centre at the end of the API key,",
            ends_at=ends_at,
            least_s=least_s,
        )

        self._monotonic = monotonic
        self._heard: tuple[datetime, float] | None = None  # Mailchimp's time, and when by ours

    # --- the account --------------------------------------------------------------------------

    def fetch_now(self) -> datetime:
        """Its last answer's `Date` and the time gone by since, else it is asked."""
        if self._heard is None:
            return self._checked(self._get("/ping")).served_at
        date, at = self._heard
        return (date + timedelta(seconds=self._monotonic() - at)).replace(microsecond=0)

    def fetch_account_id(self) -> str:
        """Mailchimp's id of the account that the key opens."""
        reply = self._checked(self._get("/", fields="account_id"))
        account_id = reply.decode(wire.WireAccount).account_id
        if not account_id:
            raise ProtocolError(f"{self._host} has no id for the account of the API key")
        return account_id

    # --- audiences ----------------------------------------------------------------------------

    def fetch_audience(self, list_id: str) -> Audience:
        """The audience itself; RemoteRefused when the account has no such list."""
        reply = self._get(f"/lists/{list_id}", fields="id,name,double_optin,stats.member_count")
        found = self._checked(reply, list_id).decode(wire.WireAudience)
        return Audience(found.id, found.name, found.double_optin, found.stats.member_count)

    def fetch_merge_fields(self, list_id: str) -> tuple[MergeField, ...]:
        """All merge fields of the audience."""
        fields = wire.fields_of(wire.WireMergeField, "merge_fields.")
        path = f"/lists/{list_id}/merge-fields"
        found = self._collection(path, fields, lambda root: root.merge_fields, list_id)
        return tuple(map(wire.read_merge_field, found))

    def fetch_interests(self, list_id: str) -> Mapping[str, str]:
        """Interest id to "Category: Interest", for the whole audience."""
        path = f"/lists/{list_id}/interest-categories"
        fields = "categories.id,categories.title"
        names = {}
        for category in list(self._collection(path, fields, lambda r: r.categories, list_id)):
            inside = f"{path}/{category.id}/interests"
            fields = "interests.id,interests.name"
            for interest in self._collection(inside, fields, lambda r: r.interests, list_id):
                names[interest.id] = f"{category.title}: {interest.name}"
        return names

    # --- members ------------------------------------------------------------------------------

    def fetch_members(
        self,
        list_id: str,
        since: datetime | None,
        is_awaited: Callable[[], bool] | None = None,
    ) -> Iterator[MemberPage]:
        """Members changed after `since` (all, when None), archived ones too, page by page.

        The archived ones come first: the other way round somebody who came back could be
        missing. Who is archived while everybody is read comes at the end: whoever is missing
        altogether would be taken for a stranger, and subscribed. While `is_awaited` says that
        nobody waits for them, pages are asked for one by one.

        Raises: ProtocolError when fewer members came than Mailchimp counts.
        """
        params = {"fields": _PAGE_FIELDS, "sort_field": "last_changed", "sort_dir": "ASC"}
        if since is not None:
            params |= _changed_since(since)

        def fetch_page(only: dict[str, str], offset: int, count: int, is_patient: bool) -> RawPage:
            got = self._send(
                "GET",
                f"/lists/{list_id}/members",
                is_repeatable=True,
                params={**params, **only, "count": str(count), "offset": str(offset)},
                may_ask_for_less=not is_patient,
                max_bytes=MAX_PAGE_BYTES,
            )
            found = self._checked(got, list_id).decode(wire.WireMembers, MAX_PAGE_VALUES)
            if len(found.members) > count:
                raise ProtocolError(f"{self._host} sends more members than were asked for")
            return RawPage(found.members, found.total_items, got.served_at)

        def read(only: dict[str, str]) -> Iterator[MemberPage]:
            return MemberReader(partial(fetch_page, only), self._http.pause, is_awaited).read()

        archived = {"status": "archived"}
        began_at: datetime | None = None
        total = 0
        for only in (archived, {}):
            before = total
            for page in read(only):
                began_at = began_at or page.served_at
                total = before + page.total
                yield replace(page, total=total)
        if since is None and began_at is not None:
            late = archived | _changed_since(began_at - timedelta(seconds=1))
            for page in read(late):
                yield replace(page, total=total)

    def fetch_member(self, list_id: str, key: str) -> Member | None:
        """One member, or None when the audience has no such member.

        `key` is an address, or a member id as Mailchimp gave it. An address in mixed case is
        tried under its old hash too: audiences from before 2015 may hold such ids, and some
        that no spelling leads to (mailchimp: Identity).
        """
        found = (self._fetch_by_id(list_id, member_id) for member_id in _member_ids(key))
        return next((member for member in found if member is not None), None)

    def _fetch_by_id(self, list_id: str, member_id: str) -> Member | None:
        """One member by Mailchimp's id of the member, or of the contact."""
        path = f"/lists/{list_id}/members/{quote(member_id, safe='')}"
        reply = self._get(path, fields=_MEMBER_FIELDS)
        if reply.status == 404:
            return None
        member = wire.read_member(self._checked(reply, list_id).decode(wire.WireMember))
        return wire.as_noticed(member, reply.served_at)

    def fetch_each(self, list_id: str, keys: Sequence[str]) -> Mapping[str, Member | None]:
        """The same for several addresses or member ids, a few requests at a time."""
        return _map_few(lambda key: self.fetch_member(list_id, key), keys)

    def fetch_each_contact(
        self, list_id: str, unique_contacts: Sequence[str]
    ) -> Mapping[str, Member | None]:
        """Members by Mailchimp's contact id, which stays when the address changes."""
        return _map_few(lambda contact: self._fetch_by_id(list_id, contact), unique_contacts)

    def change_member(self, operation: Operation) -> Outcome:
        """Carry out one operation directly; a refusal that concerns the person is an outcome.

        Raises: RemoteRefused when the key is refused; RemoteUnavailable, as the port says.
        """
        change = operation.change
        call = wire.write_change(operation.list_id, change)
        is_repeatable = change.status is not MemberStatus.PENDING
        reply = self._send(call.method, call.path, is_repeatable=is_repeatable, body=call.body)
        if reply.status in (401, 403) or 300 <= reply.status < 400:
            self._checked(reply)
        outcome = wire.read_outcome(operation.operation_id, reply.status, reply.body)
        return outcome if outcome.is_success else self._settled(operation, outcome)

    def _settled(self, operation: Operation, refused: Outcome) -> Outcome:
        """A refusal, unless it only says that an earlier try, whose answer was lost, did it."""
        change = operation.change
        if change.is_archiving and refused.http_status in (404, 405):
            member = self.fetch_member(operation.list_id, change.member_id or change.email)
            is_done = member is None or member.status is MemberStatus.ARCHIVED
        elif change.new_email is not None and refused.http_status == 404:
            member = self.fetch_member(operation.list_id, change.new_email)
            is_done = member is not None
        else:
            return refused
        return Outcome(operation.operation_id, True, 200, member=member) if is_done else refused

    def delete_permanently(self, list_id: str, member_id: str) -> bool:
        """Erase a member for good; False when there is no such member (mailchimp: Writing).

        Only the id is documented here, no address. A second try finds nobody, which is no harm.
        Raises: RemoteRefused with Mailchimp's words.
        """
        path = f"/lists/{list_id}/members/{quote(member_id, safe='')}/actions/delete-permanent"
        reply = self._send("POST", path, is_repeatable=True)
        if reply.status == 404:
            return False
        if reply.status in (400, 405):
            words = self._text_of_reply(reply)
            raise RemoteRefused(
                f"{self._host} did not delete a member for good: {words}",
                hint="delete them at Mailchimp by hand",
            )
        self._checked(reply)
        return True

    # --- batches ------------------------------------------------------------------------------

    def submit_batch(self, operations: Sequence[Operation]) -> Batch:
        """Start a batch; repeated it would run twice.

        A 429 says that it was not accepted: that, and connections that never came about, are
        waited for, a minute at most.
        """
        calls = [(op, wire.write_change(op.list_id, op.change)) for op in operations]
        wired = [
            {
                "method": call.method,
                "path": call.path,
                "operation_id": operation.operation_id,
                **({} if call.body is None else {"body": call.body.decode()}),
            }
            for operation, call in calls
        ]
        body = msgspec.json.encode({"operations": wired})
        reply = self._send(
            "POST",
            "/batches",
            is_repeatable=False,
            body=body,
            timeout_s=SUBMIT_TIMEOUT_S,
            waits_for_429=True,
            deadline_s=SUBMIT_RETRIES_S,
        )
        return wire.read_batch(self._checked(reply).decode(wire.WireBatch))

    def fetch_batch(self, batch_id: str) -> Batch | None:
        """A batch as it stands, or None when Mailchimp no longer knows it."""
        reply = self._get(f"/batches/{batch_id}", fields=wire.fields_of(wire.WireBatch))
        if reply.status == 404:
            return None
        return wire.read_batch(self._checked(reply).decode(wire.WireBatch))

    def fetch_batches(self) -> tuple[Batch, ...]:
        """All batches of the last seven days, without the addresses of their results."""
        found = self._collection("/batches", _BATCHES_FIELDS, lambda root: root.batches)
        return tuple({each.id: wire.read_batch(each) for each in found}.values())

    def delete_batch(self, batch_id: str) -> None:
        """Stop a batch; its results are gone. No error when Mailchimp no longer knows it."""
        reply = self._send("DELETE", f"/batches/{batch_id}", is_repeatable=True)
        if reply.status != 404:
            self._checked(reply)

    def fetch_outcomes(self, batch: Batch) -> Iterator[Outcome]:
        """Outcomes of a finished batch, as the port says; nameless ones left out.

        The address of the results is signed and good for ten minutes: when it is missing or no
        longer good a fresh one is asked for, once. No credentials are sent to it.
        Raises: RemoteUnavailable, too, when there are no results to be had yet.
        """
        with tempfile.SpooledTemporaryFile(max_size=16 << 20) as file:
            into = cast(BinaryIO, file)
            if not (batch.results_url and self._has_downloaded(batch.results_url, into)):
                fresh = self.fetch_batch(batch.batch_id)
                if fresh is None or not fresh.results_url:
                    if fresh is not None and fresh.is_finished and fresh.total_operations == 0:
                        return
                    raise RemoteUnavailable(
                        f"{self._host} has no results of batch {batch.batch_id} yet",
                        hint=NEXT_RUN,
                    )
                if not self._has_downloaded(fresh.results_url, into):
                    raise RemoteUnavailable(
                        f"the results of batch {batch.batch_id} cannot be fetched", hint=NEXT_RUN
                    )
            into.seek(0)
            yield from parse_batch_archive(into)

    def _has_downloaded(self, url: str, into: BinaryIO) -> bool:
        """Fetch the results; False when the address is not, or no longer, good."""
        try:
            there, here = urlsplit(url), urlsplit(self._base)
        except ValueError:
            raise ProtocolError("Mailchimp gave an invalid address for results") from None
        if there.scheme != "https" and (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise ProtocolError("Mailchimp gave an address for results that is not https")
        return self._http.download(url, into, max_bytes=MAX_PACKED_BYTES).status == 200

    # --- one request --------------------------------------------------------------------------

    def _collection(
        self,
        path: str,
        fields: str,
        items_of: Callable[[wire.WireRoot], list[T]],
        list_id: str | None = None,
    ) -> Iterator[T]:
        """All items of a small collection, page by page.

        Raises: ProtocolError when fewer items came than Mailchimp counts.
        """
        offset = 0
        fields = f"{fields},total_items"
        while True:
            reply = self._get(path, fields=fields, count=str(COUNT), offset=str(offset))
            root = self._checked(reply, list_id).decode(wire.WireRoot)
            items = items_of(root)
            yield from items
            offset += len(items)
            if offset >= root.total_items:
                return
            if not items:
                raise ProtocolError(f"received {offset} of {root.total_items} items of {path}")

    def _get(self, path: str, **params: str) -> Reply:
        return self._send("GET", path, is_repeatable=True, params=params)

    def _send(
        self,
        method: str,
        path: str,
        *,
        is_repeatable: bool,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = READ_TIMEOUT_S,
        may_ask_for_less: bool = False,
        waits_for_429: bool = False,
        deadline_s: float = DEADLINE_S,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Reply:
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        reply = self._http.send(
            method,
            f"{self._base}{path}",
            is_repeatable=is_repeatable,
            headers=headers,
            params=params,
            data=body,
            timeout_s=timeout_s,
            may_ask_for_less=may_ask_for_less,
            waits_for_429=waits_for_429,
            deadline_s=deadline_s,
            max_bytes=max_bytes,
        )
        if reply.status == 404 and not reply.is_json:
            # Mailchimp's own 404 is JSON; to take this one for it would make people absent.
            raise ProtocolError(
                f"there is no Mailchimp API at {self._place}: it answered HTTP 404 and a page",
                hint="check apiUrl in the config; it ends in /3.0",
            )
        self._heard = (reply.served_at, self._monotonic())
        return reply

    def _checked(self, reply: Reply, list_id: str | None = None) -> Reply:
        """The reply, if it is a success; decided by status and title, never by `type`."""
        if reply.is_success:
            return reply
        words = self._text_of_reply(reply)
        if reply.status in (401, 403):
            raise RemoteRefused(
                f"{self._host} refused the API key: {words}",
                hint="check the key and its role at Mailchimp (Account > Extras > API keys)",
            )
        if reply.status == 404 and list_id is not None:
            raise RemoteRefused(
                f"{self._host} has no audience {list_id}: {words}",
                hint="check the list id, and that it belongs to this API key's account",
            )
        if 300 <= reply.status < 400:
            raise ProtocolError(
                f"{self._host} answered with a redirect (HTTP {reply.status})",
                hint="check apiUrl in the config; redirects are not followed",
            )
        raise ProtocolError(f"{self._host} did not accept a request: {words}")

    def _text_of_reply(self, reply: Reply) -> str:
        """Mailchimp's own words for an error, addresses and keys taken out."""
        words = ""
        if reply.is_json and reply.body.strip():
            with suppress(ProtocolError):
                words = str(reply.decode(wire.WireProblem))
        return f"{fit(words, self._secrets)} (HTTP {reply.status})".strip()


def _changed_since(at: datetime) -> dict[str, str]:
    """Mailchimp ignores offsets and reads the clock time as UTC (mailchimp: Members)."""
    return {"since_last_changed": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _member_ids(key: str) -> Sequence[str]:
    """The ids that a member may have: the id itself, or the hashes of an address."""
    if key and "@" not in key:
        return (key,)
    return tuple(dict.fromkeys((wire.subscriber_hash(key), wire.old_subscriber_hash(key))))


def _map_few(
    fetch: Callable[[str], Member | None], keys: Sequence[str]
) -> dict[str, Member | None]:
    """What `fetch` says of each key, a few at the same time."""
    if len(keys) < 2:
        return {key: fetch(key) for key in keys}
    with threads(READERS, "mailchimp-single") as pool:
        return dict(zip(keys, pool.map(fetch, keys), strict=True))
