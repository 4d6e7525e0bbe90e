"""A dry run is the same code, with services that are read but never written.

`DryCivicrm` answers every write as if it had been done, under ids that no contact has;
`DryMailchimp` takes no batch and no change. The cache is a copy, made by the caller.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from mcsync.model import (
    Audience,
    Batch,
    Contact,
    ContactPage,
    Email,
    EmailWrite,
    EntityTag,
    GroupContact,
    GroupSizes,
    GroupStatus,
    HistoryRow,
    Member,
    MemberPage,
    MergeField,
    NewContact,
    Operation,
    Outcome,
    SiteSnapshot,
    TagSnapshot,
    WriteResult,
)
from mcsync.pipeline.ports import CivicrmPort, MailchimpPort


class DryRunError(AssertionError):
    """Something was about to be written in a dry run; that is a bug of ours."""

    def __init__(self, what: str) -> None:
        super().__init__(f"a dry run was about to {what}")


@dataclass(slots=True)
class DryCivicrm:
    """A CiviCRM that is read through and never written."""

    site: CivicrmPort
    _ids: Iterator[int] = field(default_factory=lambda: count(-1, -1))
    _made: dict[int, NewContact] = field(default_factory=dict)

    def fetch_snapshot(
        self, group_ids: Sequence[int], history_after: int, sample: Sequence[int] = ()
    ) -> SiteSnapshot:
        """As the site tells it; it knows nothing of contacts that would have been created."""
        real = [contact_id for contact_id in sample if contact_id > 0]
        return self.site.fetch_snapshot(group_ids, history_after, real)

    def fetch_history(
        self, group_ids: Sequence[int], after_id: int
    ) -> Iterator[tuple[HistoryRow, ...]]:
        """As the site tells it."""
        return self.site.fetch_history(group_ids, after_id)

    def fetch_group_contacts(self, group_ids: Sequence[int]) -> Iterator[tuple[GroupContact, ...]]:
        """As the site tells it."""
        return self.site.fetch_group_contacts(group_ids)

    def fetch_smart_group(self, group_id: int) -> Iterator[tuple[int, ...]]:
        """As the site tells it."""
        return self.site.fetch_smart_group(group_id)

    def fetch_contacts(self, contact_ids: Sequence[int]) -> Iterator[ContactPage]:
        """As the site tells it, and contacts that would have been created."""
        real = [contact_id for contact_id in contact_ids if contact_id > 0]
        if real:
            yield from self.site.fetch_contacts(real)
        made = {i: self._made[i] for i in contact_ids if i in self._made}
        if made:
            yield ContactPage(
                tuple(Contact(i, new.first_name, new.last_name) for i, new in made.items()),
                tuple(Email(i, i, new.email, is_primary=True) for i, new in made.items()),
            )

    def fetch_changed_contacts(self, since: datetime) -> Iterator[ContactPage]:
        """As the site tells it."""
        return self.site.fetch_changed_contacts(since)

    def fetch_newest_contact_id(self) -> int:
        """As the site tells it."""
        return self.site.fetch_newest_contact_id()

    def fetch_owners(self, emails: Sequence[str]) -> Iterator[tuple[Email, ...]]:
        """As the site tells it."""
        return self.site.fetch_owners(emails)

    def fetch_merged_to(self, contact_ids: Sequence[int]) -> Mapping[int, int]:
        """As the site tells it."""
        return self.site.fetch_merged_to(contact_ids)

    def fetch_group_sizes(self, group_ids: Sequence[int]) -> GroupSizes:
        """As the site tells it."""
        return self.site.fetch_group_sizes(group_ids)

    def find_unknown_fields(self, fields: Sequence[str]) -> tuple[str, ...]:
        """As the site tells it."""
        return self.site.find_unknown_fields(fields)

    def fetch_tags(self, after_id: int) -> TagSnapshot:
        """As the site tells it."""
        return self.site.fetch_tags(after_id)

    def fetch_entity_tags(
        self, after_id: int, tag_ids: Sequence[int] | None
    ) -> Iterator[tuple[EntityTag, ...]]:
        """As the site tells it."""
        return self.site.fetch_entity_tags(after_id, tag_ids)

    def fetch_contact_fields(
        self, fields: Sequence[str], contact_ids: Sequence[int]
    ) -> Iterator[Mapping[int, Mapping[str, object]]]:
        """As the site tells it; contacts that would have been created have nothing."""
        return self.site.fetch_contact_fields(fields, [i for i in contact_ids if i > 0])

    def fetch_changed_contact_fields(
        self, fields: Sequence[str], since: datetime
    ) -> Iterator[Mapping[int, Mapping[str, object]]]:
        """As the site tells it."""
        return self.site.fetch_changed_contact_fields(fields, since)

    def fetch_records(
        self, entity: str, fields: Sequence[str], where: Sequence[Sequence[object]]
    ) -> Iterator[Mapping[str, object]]:
        """As the site tells it."""
        return self.site.fetch_records(entity, fields, where)

    def save_group_contacts(
        self, group_id: int, status: GroupStatus, contact_ids: Sequence[int], tracking: str
    ) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={contact_id: contact_id for contact_id in contact_ids})

    def create_contacts(self, contacts: Sequence[NewContact], source: str) -> Iterator[WriteResult]:
        """As if it had been done."""
        made = {next(self._ids): new for new in contacts}
        self._made |= made
        yield WriteResult(done={new.row_id: contact_id for contact_id, new in made.items()})

    def add_emails(self, emails: Sequence[EmailWrite]) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={write.contact_id: write.contact_id for write in emails})

    def hold_emails(self, email_ids: Sequence[int]) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={email_id: email_id for email_id in email_ids})

    def save_names(self, contacts: Sequence[Contact]) -> Iterator[WriteResult]:
        """As if it had been done."""
        yield WriteResult(done={c.contact_id: c.contact_id for c in contacts})


@dataclass(frozen=True, slots=True)
class DryMailchimp:
    """A Mailchimp account that is read through and never written."""

    account: MailchimpPort

    def fetch_now(self) -> datetime:
        """As the account tells it."""
        return self.account.fetch_now()

    def fetch_account_id(self) -> str:
        """As the account tells it."""
        return self.account.fetch_account_id()

    def fetch_audience(self, list_id: str) -> Audience:
        """As the account tells it."""
        return self.account.fetch_audience(list_id)

    def fetch_merge_fields(self, list_id: str) -> tuple[MergeField, ...]:
        """As the account tells it."""
        return self.account.fetch_merge_fields(list_id)

    def fetch_interests(self, list_id: str) -> Mapping[str, str]:
        """As the account tells it."""
        return self.account.fetch_interests(list_id)

    def fetch_members(self, list_id: str, since: datetime | None) -> Iterator[MemberPage]:
        """As the account tells it."""
        return self.account.fetch_members(list_id, since)

    def fetch_member(self, list_id: str, key: str) -> Member | None:
        """As the account tells it."""
        return self.account.fetch_member(list_id, key)

    def fetch_each(self, list_id: str, keys: Sequence[str]) -> Mapping[str, Member | None]:
        """As the account tells it."""
        return self.account.fetch_each(list_id, keys)

    def fetch_each_contact(
        self, list_id: str, unique_contacts: Sequence[str]
    ) -> Mapping[str, Member | None]:
        """As the account tells it."""
        return self.account.fetch_each_contact(list_id, unique_contacts)

    def fetch_batch(self, batch_id: str) -> Batch | None:
        """As the account tells it."""
        return self.account.fetch_batch(batch_id)

    def fetch_batches(self) -> tuple[Batch, ...]:
        """As the account tells it."""
        return self.account.fetch_batches()

    def fetch_outcomes(self, batch: Batch) -> Iterator[Outcome]:
        """As the account tells it."""
        return self.account.fetch_outcomes(batch)

    def submit_batch(self, operations: Sequence[Operation]) -> Batch:
        """Never."""
        raise DryRunError(f"submit {len(operations)} operations")

    def delete_batch(self, batch_id: str) -> None:
        """Never."""
        raise DryRunError(f"delete batch {batch_id}")

    def change_member(self, operation: Operation) -> Outcome:
        """Never."""
        raise DryRunError("change a member")
