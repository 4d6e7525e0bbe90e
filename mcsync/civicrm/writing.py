"""Writing what may be written twice without harm: group contacts and names.

`save` is not atomic and does not say which record was bad; a time-out does not say what was
written (civicrm: Writing). So after an error group contacts are read again, and what is there
counts as done. The rest goes on in halves where the request was too much, else one by one: one bad
record fails alone. Contacts and addresses, which must not be written twice, have files of their
own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from mcsync.civicrm import records
from mcsync.civicrm.lanes import Lanes
from mcsync.civicrm.pace import GROUP_CONTACTS, NAMES, Pace
from mcsync.civicrm.progress import (
    NO_RECORD,
    Progress,
    gather,
    halves,
    is_over,
    is_silent,
    write_each,
)
from mcsync.civicrm.transport import Call, CallFailed, TooLarge, Transport, get
from mcsync.errors import RemoteRefused
from mcsync.http import NoAnswer
from mcsync.model import Contact, GroupStatus, WriteResult

T = TypeVar("T")
METHOD = "API"  # longer than 8 characters, and CiviCRM silently writes no history (civicrm: Groups)


class Writer:
    """Writes to a site."""

    _transport: Transport
    _paces: Mapping[str, Pace]
    _connections: int

    # --- group contacts -----------------------------------------------------------------------

    def save_group_contacts(
        self, group_id: int, status: GroupStatus, contact_ids: Sequence[int], tracking: str
    ) -> Iterator[WriteResult]:
        """Make these contacts Added to, or Removed from, a group; keys are contact ids.

        Several requests go at once; results come in the order of the chunks. When CiviCRM stays
        silent no further chunk is begun, and what was surely written is yielded before
        RemoteUnavailable is raised.
        """
        save = _GroupContacts(self._transport, group_id, status, tracking)
        unique = list(dict.fromkeys(contact_ids))  # a pair twice in one save is refused
        yield from self._write(save.write, unique, GROUP_CONTACTS, int)

    # --- names --------------------------------------------------------------------------------

    def save_names(self, contacts: Sequence[Contact]) -> Iterator[WriteResult]:
        """Write first and last names that are not empty; keys are contact ids."""
        named = (contact for contact in contacts if contact.first_name or contact.last_name)
        unique = list({contact.contact_id: contact for contact in named}.values())
        save = _Names(self._transport)
        yield from self._write(save.write, unique, NAMES, lambda contact: contact.contact_id)

    def _write(
        self,
        write: Callable[[list[T], Progress], None],
        items: Sequence[T],
        kind: str,
        key: Callable[[T], int],
    ) -> Iterator[WriteResult]:
        lanes = Lanes(partial(gather, write), items, self._paces[kind], self._connections, key)
        for _, progress in lanes.run():
            if progress.done or progress.failed:
                yield progress.result()


class _Names:
    """Saves names, a chunk in one `save`; where that fails, each alone.

    To write a name twice does no harm.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def write(self, contacts: list[Contact], progress: Progress, tries_left: int = 1) -> None:
        """One chunk, with all that may have to follow. Raises: what ends the write."""
        saved = [{"id": contact.contact_id, **_names_of(contact)} for contact in contacts]
        params = {"records": saved, "reload": ["id"]}
        call = Call("Contact", "save", params, records.WireId)
        try:
            with progress.timing(len(contacts)):
                rows = self._transport.call(call)
        except (CallFailed, RemoteRefused):
            self._write_each(contacts, progress)
            return
        except (TooLarge, NoAnswer) as error:
            self._go_on(contacts, progress, tries_left, error)
            return
        there = {row.id for row in rows}
        for contact in contacts:
            if contact.contact_id in there:
                progress.done[contact.contact_id] = contact.contact_id
            else:
                progress.failed[contact.contact_id] = NO_RECORD

    def _go_on(
        self,
        contacts: list[Contact],
        progress: Progress,
        tries_left: int,
        error: TooLarge | NoAnswer,
    ) -> None:
        if len(contacts) > 1 and (isinstance(error, TooLarge) or is_silent(error)):
            for half in halves(contacts):
                self.write(half, progress, tries_left)
        elif tries_left and isinstance(error, NoAnswer):
            self.write(contacts, progress, tries_left - 1)
        else:
            raise error

    def _write_each(self, contacts: list[Contact], progress: Progress) -> None:
        """By a call each, so that one that is refused is refused alone, and told why."""
        calls = {contact.contact_id: _name_update(contact) for contact in contacts}
        each = write_each(self._transport, calls, tries_left=1)
        progress.done |= each.done
        progress.failed |= each.failed
        if each.error is not None:
            raise each.error


def _names_of(contact: Contact) -> dict[str, str]:
    names = {"first_name": contact.first_name, "last_name": contact.last_name}
    return {name: value for name, value in names.items() if value}


def _name_update(contact: Contact) -> Call[records.WireOwned]:
    where = [["id", "=", contact.contact_id]]
    params = {"where": where, "values": _names_of(contact), "reload": ["id"]}
    return Call("Contact", "update", params, records.WireOwned)


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
            with progress.timing(len(contact_ids)):
                self._save(contact_ids, progress)
        except TooLarge:
            if len(contact_ids) < 2:
                raise
            self._write_halves(contact_ids, progress, tries_left)
        except (NoAnswer, CallFailed) as error:
            self._go_on(contact_ids, progress, tries_left, error)

    def _go_on(
        self,
        contact_ids: list[int],
        progress: Progress,
        tries_left: int,
        error: NoAnswer | CallFailed,
    ) -> None:
        """After an error: what is there is done, the rest goes on in smaller requests."""
        rest = self._reread(contact_ids, progress)
        is_page = isinstance(error, NoAnswer)  # and says nothing about any of them
        if not rest:
            return
        if len(contact_ids) > 1 and (is_silent(error) or (is_page and is_over(error))):
            self._write_halves(rest, progress, tries_left)
        elif len(contact_ids) > 1 and is_over(error):
            for contact_id in rest:
                self.write([contact_id], progress, 1)
        elif tries_left and is_page:
            self.write(rest, progress, tries_left - 1)
        elif is_over(error):
            progress.failed[rest[0]] = error.message
        else:
            raise error

    def _write_halves(self, contact_ids: list[int], progress: Progress, tries_left: int) -> None:
        for half in filter(None, halves(contact_ids)):
            self.write(half, progress, tries_left)

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
