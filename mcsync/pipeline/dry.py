"""A dry run is the same code, with services that are read but never written.

`DryCivicrm` answers every write as if it had been done, under ids that no contact has;
`DryMailchimp` takes no batch and no change. Whatever reads is the services' own, and nothing else
comes through: a new kind of write has to be told here what it is to answer. The cache is a copy,
made by the caller.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from mcsync.model import (
    BulkMove,
    Contact,
    ContactPage,
    Email,
    EmailWrite,
    GroupStatus,
    NewContact,
    SiteSnapshot,
    WriteResult,
)
from mcsync.pipeline.ports import CivicrmPort, MailchimpPort

_READING = ("fetch_", "find_")  # how the names of all begin that only read


class DryRunError(AssertionError):
    """Something was about to be written in a dry run; that is a bug of ours."""


class _Dry:
    """A service, read through; nothing else can be had of it."""

    def __init__(self, service: CivicrmPort | MailchimpPort) -> None:
        self._service: Any = service

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(_READING):
            raise DryRunError(f"a dry run was about to {name.replace('_', ' ')}")
        return getattr(self._service, name)


class DryMailchimp(_Dry):
    """The account, read through and never written."""


class DryCivicrm(_Dry):
    """The site, where contacts that would have been created can be read until the next ones are."""

    def __init__(self, site: CivicrmPort) -> None:
        super().__init__(site)
        self._ids = count(-1, -1)
        self._made: dict[int, NewContact] = {}

    def fetch_snapshot(
        self, group_ids: Sequence[int], history_after: int, sample: Sequence[int] = ()
    ) -> SiteSnapshot:
        """As the site shows it; it knows nothing of contacts that would have been created."""
        real = [contact_id for contact_id in sample if contact_id > 0]
        snapshot: SiteSnapshot = self._service.fetch_snapshot(group_ids, history_after, real)
        return snapshot

    def fetch_contacts(self, contact_ids: Sequence[int]) -> Iterator[ContactPage]:
        """As the site shows them, and contacts that would have been created."""
        real = [contact_id for contact_id in contact_ids if contact_id > 0]
        if real:
            yield from self._service.fetch_contacts(real)
        made = {i: self._made[i] for i in contact_ids if i in self._made}
        if made:
            yield ContactPage(
                tuple(Contact(i, new.first_name, new.last_name) for i, new in made.items()),
                tuple(Email(i, i, new.email, is_primary=True) for i, new in made.items()),
            )

    def fetch_contact_fields(
        self, fields: Sequence[str], contact_ids: Sequence[int]
    ) -> Iterator[Mapping[int, Mapping[str, object]]]:
        """As the site shows them; contacts that would have been created have nothing."""
        yield from self._service.fetch_contact_fields(fields, [i for i in contact_ids if i > 0])

    def save_group_contacts(
        self, _group_id: int, _status: GroupStatus, contact_ids: Sequence[int], _tracking: str
    ) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={contact_id: contact_id for contact_id in contact_ids})

    def create_contacts(
        self, contacts: Iterable[NewContact], _source: str
    ) -> Iterator[WriteResult]:
        """As if it had been done."""
        self._made = {next(self._ids): new for new in contacts}
        yield WriteResult(done={new.row_id: contact_id for contact_id, new in self._made.items()})

    def add_emails(self, emails: Sequence[EmailWrite]) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={write.contact_id: write.contact_id for write in emails})

    def move_bulk_mail(self, moves: Sequence[BulkMove]) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={move.contact_id: move.contact_id for move in moves})

    def hold_emails(self, email_ids: Sequence[int]) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={email_id: email_id for email_id in email_ids})

    def save_names(self, contacts: Sequence[Contact]) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={c.contact_id: c.contact_id for c in contacts})
