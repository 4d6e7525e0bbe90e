"""The writing half of the adapter.

`save` is not atomic and does not say which record was bad; a time-out does not say what was
written (civicrm: Writing). So a write is never simply repeated: what is there is read again, what
is there counts as done, and only the rest goes on, one by one: one bad record fails alone.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import TypeVar

from mcsync.civicrm import records, sight
from mcsync.civicrm.progress import Progress, is_over, told, write_each
from mcsync.civicrm.reading import BY_ID, chunks, highest_id, in_flight
from mcsync.civicrm.sight import ANY_TRASH
from mcsync.civicrm.transport import Call, CallFailed, TooLarge, Transport, get
from mcsync.errors import McsyncError
from mcsync.http import NoAnswer
from mcsync.model import Contact, GroupStatus, NewContact, WriteResult, email_key

# 200 memberships or 50 contacts stay within a slow host's 30 s (civicrm: Writing).
GROUP_CONTACTS_PER_REQUEST = 200
CONTACTS_PER_REQUEST = 50
T = TypeVar("T")
METHOD = "API"  # longer than 8 characters, and CiviCRM silently writes no history (civicrm: Groups)


class Writer:
    """Writes to a site."""

    _transport: Transport

    # --- group contacts -----------------------------------------------------------------------

    def save_group_contacts(
        self, group_id: int, status: GroupStatus, contact_ids: Sequence[int], tracking: str
    ) -> Iterator[WriteResult]:
        """Make these contacts Added to, or Removed from, a group; keys are contact ids.

        Results come in the order of the chunks. When CiviCRM stays silent no further chunk is
        begun, and what was surely written is yielded before RemoteUnavailable is raised.
        """
        save = _GroupContacts(self._transport, group_id, status, tracking)
        unique = list(dict.fromkeys(contact_ids))  # a pair twice in one save is refused
        errors: list[McsyncError] = []
        parts = takewhile(lambda _: not errors, chunks(unique, GROUP_CONTACTS_PER_REQUEST))
        for progress in in_flight(lambda part: [_gather(save.write, part)], parts):
            if progress.error is not None:
                errors.append(progress.error)
            if progress.done or progress.failed:
                yield progress.result()
        if errors:
            raise errors[0]

    # --- contacts -----------------------------------------------------------------------------

    def create_contacts(self, contacts: Sequence[NewContact], source: str) -> Iterator[WriteResult]:
        """Create individuals; keys are the contacts' row ids.

        Nobody is created twice: after an error the contacts that came into being are found by
        source, address and name among those newer than the newest one before. While a request
        may still be running over there nothing is tried again; the next run will find its
        contacts by their addresses. Where we do not see everybody, before or after, that proof
        fails and nothing is tried.

        Raises: RemoteRefused when CiviCRM does not show what it created; nothing of it is tried
        again, and whoever could be known was yielded before.
        """
        if not contacts:
            return
        create = _NewContacts(self._transport, source, self.fetch_newest_contact_id())
        for part in chunks(contacts, CONTACTS_PER_REQUEST):
            yield from told(_gather(create.write, part))

    def fetch_newest_contact_id(self) -> int:
        """The highest id of a contact, of all that there are; 0 when there is none."""
        newest = highest_id("Contact", [ANY_TRASH])
        return records.read_highest(_call_with_sight(self._transport, newest))

    def save_names(self, contacts: Sequence[Contact]) -> Iterator[WriteResult]:
        """Write first and last names that are not empty; keys are contact ids."""
        named = (contact for contact in contacts if contact.first_name or contact.last_name)
        unique = list({contact.contact_id: contact for contact in named}.values())
        for part in chunks(unique, CONTACTS_PER_REQUEST):
            calls = {contact.contact_id: _name_update(contact) for contact in part}
            yield from told(write_each(self._transport, calls, tries_left=1))


def _call_with_sight(transport: Transport, call: Call[T]) -> list[T]:
    """Read something, and in the same request prove that we see everybody.

    Raises: RemoteRefused when we do not, so that what is absent is surely not there.
    """
    look = sight.look()
    answers, _ = transport.call_all([look, call])
    sight.prove(transport.host, transport.read(answers[0], look))
    return transport.read(answers[1], call)


def _name_update(contact: Contact) -> Call[records.WireOwned]:
    names = {"first_name": contact.first_name, "last_name": contact.last_name}
    values = {name: value for name, value in names.items() if value}
    params = {"where": [["id", "=", contact.contact_id]], "values": values, "reload": ["id"]}
    return Call("Contact", "update", params, records.WireOwned)


def _gather(write: Callable[[list[T], Progress], None], part: list[T]) -> Progress:
    """What becomes of a chunk; what ends the write is handed over with it."""
    progress = Progress()
    try:
        write(part, progress)
    except McsyncError as error:
        progress.error = error
    return progress


class _GroupContacts:
    """Saves group contacts of one group and status."""

    def __init__(
        self, transport: Transport, group_id: int, status: GroupStatus, tracking: str
    ) -> None:
        self._transport = transport
        self._group_id = group_id
        self._status = status.value
        self._tracking = tracking

    def write(self, contact_ids: list[int], progress: Progress, tries_left: int = 1) -> None:
        """One chunk, with all that may have to follow. Raises: what ends the write."""
        try:
            self._save(contact_ids, progress)
        except TooLarge:
            if len(contact_ids) < 2:
                raise
            middle = len(contact_ids) // 2
            self.write(contact_ids[:middle], progress, tries_left)
            self.write(contact_ids[middle:], progress, tries_left)
        except (NoAnswer, CallFailed) as error:
            rest = self._reread(contact_ids, progress)
            if rest and not is_over(error):
                if not tries_left:
                    raise
                self.write(rest, progress, tries_left - 1)
            elif len(contact_ids) > 1:
                for contact_id in rest:
                    self.write([contact_id], progress, 1)
            elif rest and tries_left and isinstance(error, NoAnswer):
                self.write(rest, progress, 0)  # a page says nothing about the contact
            elif rest:
                progress.failed[rest[0]] = error.message

    def _save(self, contact_ids: list[int], progress: Progress) -> None:
        params = {
            "records": [{"contact_id": contact_id} for contact_id in contact_ids],
            "defaults": {"group_id": self._group_id, "status": self._status},
            "match": ["group_id", "contact_id"],
            "method": METHOD,
            "tracking": self._tracking,
        }
        call = Call("GroupContact", "save", params, records.WireGroupContact)
        rows = self._transport.call(call)
        written = {row.contact_id for row in rows}
        missing = [contact_id for contact_id in contact_ids if contact_id not in written]
        if missing:
            raise CallFailed(f"CiviCRM saved {len(written)} of {len(contact_ids)} group contacts")
        progress.done.update((contact_id, contact_id) for contact_id in contact_ids)

    def _reread(self, contact_ids: list[int], progress: Progress) -> list[int]:
        """Count as done what is there now; what is left."""
        where = [
            ["group_id", "=", self._group_id],
            ["contact_id", "IN", contact_ids],
            ["status", "=", self._status],
        ]
        call = get("GroupContact", records.WireGroupContact, where=where)
        there = {row.contact_id for row in self._transport.call(call)}
        progress.done.update((key, key) for key in contact_ids if key in there)
        return [key for key in contact_ids if key not in there]


class _NewContacts:
    """Creates contacts of one source, all with ids above `floor_id`."""

    def __init__(self, transport: Transport, source: str, floor_id: int) -> None:
        self._transport = transport
        self._source = source
        self._floor_id = floor_id

    def write(self, contacts: list[NewContact], progress: Progress) -> None:
        """One chunk, with all that may have to follow. Raises: what ends the write."""
        try:
            self._create(contacts, progress)
        except TooLarge:
            if len(contacts) < 2:
                raise
            middle = len(contacts) // 2
            self.write(contacts[:middle], progress)
            self.write(contacts[middle:], progress)
        except (NoAnswer, CallFailed) as error:
            self._go_on(self._reread(contacts, progress), progress, error)

    def _go_on(self, rest: list[NewContact], progress: Progress, error: McsyncError) -> None:
        if not rest:
            return
        if not is_over(error):
            raise error  # it may still be creating them: to try now could make them twice
        for contact in rest:
            try:
                self._create([contact], progress)
            except (NoAnswer, CallFailed) as alone:
                if not self._reread([contact], progress):
                    continue
                if not is_over(alone):
                    raise
                progress.failed[contact.row_id] = alone.message

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
