"""Creating contacts: nobody twice.

CiviCRM does not look whether somebody is there already, and `save` with `match` looks before it
writes any (civicrm: Writing). So what was created is found again by what only it has, and while a
request may still be creating somebody, they are not tried again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TypeVar

from mcsync.civicrm import records, sight
from mcsync.civicrm.lanes import Lanes
from mcsync.civicrm.pace import CONTACTS, Pace
from mcsync.civicrm.progress import Progress, all_told, gather, halves, is_over, is_silent
from mcsync.civicrm.reading import BY_ID, highest_id
from mcsync.civicrm.sight import ANY_TRASH
from mcsync.civicrm.transport import Call, CallFailed, TooLarge, Transport, get
from mcsync.errors import McsyncError
from mcsync.http import NoAnswer
from mcsync.model import NewContact, WriteResult, email_key

T = TypeVar("T")


class ContactWriter:
    """Creates a site's contacts."""

    _transport: Transport
    _paces: Mapping[str, Pace]
    _connections: int
    _doubtful: dict[str, McsyncError]  # by the address of who may still be created

    def find_doubtful(self) -> Collection[str]:
        """Addresses, as keys, whose contact a request that was not answered may yet create."""
        return self._doubtful.keys()

    def create_contacts(self, contacts: Iterable[NewContact], source: str) -> Iterator[WriteResult]:
        """Create individuals; keys are the contacts' row ids. Several requests go at once.

        Nobody is created twice: after an error the contacts that came into being are found by
        source, address and name among those newer than the newest one before. While a request
        may still be running over there nothing of it is tried again; the next run will find its
        contacts by their addresses. When it was not answered in time, the others are created in
        smaller requests before the error is raised. Where we do not see everybody, before or
        after, that proof fails and nothing is tried.

        `contacts` may be an iterator: it is asked for more as requests end, in this thread.

        Raises: RemoteRefused when CiviCRM does not show what it created; nothing of it is tried
        again, and whoever could be known was yielded before.
        """
        in_doubt: list[McsyncError] = []
        items = self._without_doubtful(contacts, in_doubt)
        first = next(items, None)
        if first is not None:
            newest = self.fetch_newest_contact_id()
            create = _NewContacts(self._transport, source, newest, self._doubtful)
            yield from self._create(create, chain([first], items))
        if in_doubt:
            raise in_doubt[0]

    def _create(
        self, create: "_NewContacts", contacts: Iterable[NewContact]
    ) -> Iterator[WriteResult]:
        lanes = Lanes(
            partial(gather, create.write),
            contacts,
            self._paces[CONTACTS],
            self._connections,
            key=_key_of,
            is_wary=True,
        )
        doubtful: list[tuple[list[NewContact], Progress]] = []
        for part, progress in lanes.run():
            if progress.done or progress.failed:
                yield progress.result()
            if progress.doubt is not None:
                doubtful.append((part, progress))
        yield from all_told(create.look_again(*each) for each in doubtful)

    def _without_doubtful(
        self, contacts: Iterable[NewContact], errors: list[McsyncError]
    ) -> Iterator[NewContact]:
        """Those of whom a request of this run cannot still be creating one."""
        for contact in contacts:
            error = self._doubtful.get(_key_of(contact))
            if error is None:
                yield contact
            else:
                errors.append(error)

    def fetch_newest_contact_id(self) -> int:
        """The highest id of a contact, of all that there are; 0 when there is none."""
        newest = highest_id("Contact", [ANY_TRASH])
        return records.read_highest(_call_with_sight(self._transport, newest))


def _key_of(contact: NewContact) -> str:
    return email_key(contact.email)


def _call_with_sight(transport: Transport, call: Call[T]) -> list[T]:
    """Read something, and in the same request prove that we see everybody.

    Raises: RemoteRefused when we do not, so that what is absent is surely not there.
    """
    look = sight.look()
    answers, _ = transport.call_all([look, call])
    sight.prove(transport.host, transport.read(answers[0], look))
    return transport.read(answers[1], call)


class _NewContacts:
    """Creates contacts of one source, all with ids above `floor_id`."""

    def __init__(
        self,
        transport: Transport,
        source: str,
        floor_id: int,
        doubtful: dict[str, McsyncError],
    ) -> None:
        self._transport = transport
        self._source = source
        self._floor_id = floor_id
        self._doubtful = doubtful

    def write(self, contacts: list[NewContact], progress: Progress) -> None:
        """One chunk, with all that may have to follow. Raises: what ends the write."""
        try:
            with progress.timing(len(contacts)):
                self._create(contacts, progress)
        except TooLarge:
            if len(contacts) < 2:
                raise
            for half in halves(contacts):
                self.write(half, progress)
        except (NoAnswer, CallFailed) as error:
            self._go_on(contacts, progress, error)

    def look_again(self, contacts: list[NewContact], before: Progress) -> Progress:
        """What has come of a chunk that was in doubt; that is the error unless all are there."""
        settled = before.done.keys() | before.failed.keys()
        rest = [contact for contact in contacts if contact.row_id not in settled]
        progress = Progress(dict(before.done))
        try:
            missing = self._reread(rest, progress)
        except McsyncError:
            missing = rest
        for contact in rest:
            if contact not in missing:
                self._doubtful.pop(_key_of(contact), None)
        found = {i: contact_id for i, contact_id in progress.done.items() if i not in settled}
        return Progress(done=found, error=before.doubt if missing else None)

    def _go_on(
        self, contacts: list[NewContact], progress: Progress, error: NoAnswer | CallFailed
    ) -> None:
        """After an error: who came into being is done, and who surely will not is tried again."""
        with self._doubting(contacts, progress, error):
            rest = self._reread(contacts, progress)
        if not rest:
            return
        if not is_over(error):
            # It may still be creating them: to try now could make them twice.
            if len(contacts) < 2 or not is_silent(error):
                raise error
            progress.doubt = error
        elif isinstance(error, NoAnswer) and len(rest) > 1:
            for half in halves(rest):  # a page says nothing about any of them
                self.write(half, progress)
        else:
            for contact in rest:
                self._create_alone(contact, progress)

    def _create_alone(self, contact: NewContact, progress: Progress) -> None:
        try:
            self._create([contact], progress)
        except (NoAnswer, CallFailed) as error:
            with self._doubting([contact], progress, error):
                rest = self._reread([contact], progress)
            if rest and not is_over(error):
                raise
            if rest:
                progress.failed[contact.row_id] = error.message

    @contextmanager
    def _doubting(
        self, contacts: list[NewContact], progress: Progress, error: NoAnswer | CallFailed
    ) -> Iterator[None]:
        """Remember of whom the block cannot tell that they were created, if they yet may be."""
        try:
            yield
        finally:
            if isinstance(error, NoAnswer) and error.may_have_arrived and not is_over(error):
                rest = (contact for contact in contacts if contact.row_id not in progress.done)
                self._doubtful |= {_key_of(contact): error for contact in rest}

    def _create(self, contacts: list[NewContact], progress: Progress) -> None:
        params = {
            "records": [_record(contact) for contact in contacts],
            "defaults": {"contact_type": "Individual", "source": self._source},
        }
        # Without `reload`: that reads the new contacts back, and to a user who may not see them
        # it tells of none, though they were created. The plain echo tells their ids
        # (civicrm: Permissions).
        call = Call("Contact", "save", params, records.WireCreated)
        rows = self._transport.call(call)
        if len(rows) == len(contacts):
            # In the order of the records (contact-save-bulk in the recordings).
            pairs = zip(contacts, rows, strict=True)
            progress.done.update((contact.row_id, row.id) for contact, row in pairs)
        elif _match(contacts, rows, progress):
            # Success was said, so all were created: whom we do not know of we do not see.
            raise sight.refusal(self._transport.host)

    def _reread(self, contacts: list[NewContact], progress: Progress) -> list[NewContact]:
        """Count as done who came into being; who is left.

        Raises: RemoteRefused when we do not see everybody: who is left may be there.
        """
        where = [
            ["id", ">", self._floor_id],
            ["source", "=", self._source],
            ["email_primary.email", "IN", [contact.email for contact in contacts]],
        ]
        call = get("Contact", records.WireCreated, where=where, orderBy=BY_ID)
        return _match(contacts, _call_with_sight(self._transport, call), progress)


def _record(contact: NewContact) -> dict[str, str]:
    names = {"first_name": contact.first_name, "last_name": contact.last_name}
    return {"email_primary.email": contact.email} | {k: v for k, v in names.items() if v}


def _match(
    contacts: list[NewContact], rows: Sequence[records.WireCreated], progress: Progress
) -> list[NewContact]:
    """Count as done whom these rows show, each row for one of them; who is left.

    Whose names are the very same come first: a longer name may look like a cut one.
    """
    free = {row.id: row for row in rows}
    for contact_id in progress.done.values():
        free.pop(contact_id, None)
    rest = list(contacts)
    for fits in (_has_same_names, _may_be_cut):
        for contact in tuple(rest):
            fitting = (r.id for r in free.values() if _is_to(r, contact) and fits(r, contact))
            if (found := next(fitting, None)) is not None:
                del free[found]
                progress.done[contact.row_id] = found
                rest.remove(contact)
    return rest


def _is_to(row: records.WireCreated, contact: NewContact) -> bool:
    return email_key(row.email or "") == email_key(contact.email)


def _has_same_names(row: records.WireCreated, contact: NewContact) -> bool:
    return (row.first_name or "", row.last_name or "") == (contact.first_name, contact.last_name)


def _may_be_cut(row: records.WireCreated, contact: NewContact) -> bool:
    """Whether the names are the beginnings of those that were to be written; long ones are cut."""
    first, last = (name.removesuffix("...") for name in (row.first_name or "", row.last_name or ""))
    return contact.first_name.startswith(first) and contact.last_name.startswith(last)
