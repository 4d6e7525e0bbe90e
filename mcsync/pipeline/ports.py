"""What the stages need from the two services, as shapes; the adapters have these shapes.

Every method that reaches the network raises `RemoteUnavailable` when the service did not
answer after all retries, `RemoteRefused` when it refused our key or a permission, and
`ProtocolError` when its answer makes no sense; none returns half an answer as if it were whole.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mcsync.model import (
    Account,
    Audience,
    Batch,
    BatchWebhook,
    BulkMove,
    Contact,
    ContactPage,
    DataAudience,
    DataChoice,
    DataRow,
    DataSite,
    DataUpdate,
    Email,
    EmailWrite,
    EntityTag,
    Group,
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
    Webhook,
    WriteResult,
)


class MailchimpPort(Protocol):
    """One Mailchimp account, that is one API key."""

    def fetch_now(self) -> datetime:
        """Mailchimp's own clock, aware UTC, in whole seconds, never ahead of what it is there.

        Mostly known from its last answer; it is asked only when there was none yet.
        """
        ...

    def fetch_account_id(self) -> str:
        """Mailchimp's id of the account that the key opens."""
        ...

    def fetch_audience(self, list_id: str) -> Audience:
        """The audience itself; RemoteRefused (hint: check the list id) when there is none."""
        ...

    def fetch_merge_fields(self, list_id: str) -> tuple[MergeField, ...]:
        """All merge fields of the audience."""
        ...

    def fetch_interests(self, list_id: str) -> Mapping[str, str]:
        """Interest id to "Category: Interest", for the whole audience."""
        ...

    def fetch_members(
        self,
        list_id: str,
        since: datetime | None,
        is_awaited: Callable[[], bool] | None = None,
    ) -> Iterator[MemberPage]:
        """Members changed after `since` (all, when None), archived ones too, page by page.

        When the iterator ends without an error, every member that Mailchimp counted has come.
        At least one page comes, perhaps an empty one. Several pages are asked for at once, but
        none before its turn while `is_awaited` says that nobody waits for them.
        """
        ...

    def fetch_member(self, list_id: str, key: str) -> Member | None:
        """One member, or None when the audience has no such member.

        `key` is an address, or a member id as Mailchimp gave it, which has no "@" in it. Better
        the id, where it is known: old members may have one that their address does not lead to.
        """
        ...

    def fetch_each(self, list_id: str, keys: Sequence[str]) -> Mapping[str, Member | None]:
        """The same for several keys, over several connections; by the keys as they were given."""
        ...

    def fetch_each_contact(
        self, list_id: str, unique_contacts: Sequence[str]
    ) -> Mapping[str, Member | None]:
        """Members by Mailchimp's own id of them, which stays when the address changes."""
        ...

    def submit_batch(self, operations: Sequence[Operation]) -> Batch:
        """Start a batch; not repeated once it may have arrived.

        RemoteUnavailable says by `may_have_arrived` whether the batch may exist; ProtocolError
        leaves it unknown; RemoteRefused is an answer, and there is no batch.
        """
        ...

    def fetch_batch(self, batch_id: str) -> Batch | None:
        """A batch as it stands, or None when Mailchimp no longer knows it."""
        ...

    def fetch_batches(self) -> tuple[Batch, ...]:
        """All batches of the last seven days."""
        ...

    def fetch_outcomes(self, batch: Batch) -> Iterator[Outcome]:
        """Outcomes of a finished batch, in no order; some may carry ids that are not ours.

        Raises ProtocolError when the archive cannot be read to its end, after the outcomes
        that could be read.
        """
        ...

    def delete_batch(self, batch_id: str) -> None:
        """Stop a batch; its results are gone."""
        ...

    def change_member(self, operation: Operation) -> Outcome:
        """Carry out one operation directly, outside any batch.

        One with the status `pending`, which makes Mailchimp write to a human, is not repeated
        once it may have arrived; RemoteUnavailable says by `may_have_arrived` whether it may.
        """
        ...

    def delete_permanently(self, list_id: str, member_id: str) -> bool:
        """Erase a member for good, by the id that Mailchimp gave; False when there is none.

        RemoteRefused with Mailchimp's words when it does not.
        """
        ...


class MailchimpSetupPort(Protocol):
    """How an account and its audiences are set up, and its webhooks put right."""

    def fetch_account(self) -> Account:
        """The account that the key opens."""
        ...

    def fetch_audiences(self) -> tuple[Audience, ...]:
        """All audiences of the account."""
        ...

    def fetch_webhooks(self, list_id: str) -> tuple[Webhook, ...]:
        """All webhooks of an audience, foreign ones too."""
        ...

    def create_webhook(
        self, list_id: str, url: str, events: Mapping[str, bool], sources: Mapping[str, bool]
    ) -> Webhook:
        """Register a webhook; Mailchimp asks the URL first, and refuses one that is not there.

        Raises RemoteRefused with Mailchimp's words when it does not take the URL.
        """
        ...

    def update_webhook(
        self,
        list_id: str,
        webhook_id: str,
        url: str,
        events: Mapping[str, bool],
        sources: Mapping[str, bool],
    ) -> None:
        """Change a webhook; RemoteRefused as for `create_webhook`."""
        ...

    def delete_webhook(self, list_id: str, webhook_id: str) -> None:
        """Take a webhook away; no error when it is gone already."""
        ...

    def fetch_batch_webhooks(self) -> tuple[BatchWebhook, ...]:
        """All batch webhooks of the account."""
        ...

    def create_batch_webhook(self, url: str) -> BatchWebhook:
        """Register a batch webhook; RemoteRefused as for `create_webhook`."""
        ...

    def update_batch_webhook(self, webhook_id: str, url: str, *, is_enabled: bool) -> None:
        """Change a batch webhook; RemoteRefused as for `create_webhook`."""
        ...

    def delete_batch_webhook(self, webhook_id: str) -> None:
        """Take a batch webhook away; no error when it is gone already."""
        ...


class CivicrmSetupPort(Protocol):
    """How a CiviCRM site is set up."""

    def fetch_groups(self) -> tuple[Group, ...]:
        """All groups by title; RemoteRefused when we may not look, or not see everybody."""
        ...

    def fetch_nested(self, group_ids: Sequence[int]) -> Mapping[int, int]:
        """How many contacts are in groups inside each of these, and not in the group itself.

        Only ordinary groups that have others inside them are told.
        """
        ...

    def fetch_others_changes(self, group_ids: Sequence[int], since: datetime) -> Mapping[int, int]:
        """How many changes to each of these groups other programs have made by the API since."""
        ...


class CivicrmPort(Protocol):
    """One CiviCRM site."""

    def fetch_snapshot(
        self, group_ids: Sequence[int], history_after: int, sample: Sequence[int] = ()
    ) -> SiteSnapshot:
        """Prove that we see everybody, and tell clock, groups, counts and new history.

        `sample`: contacts, trashed ones too, of whom to tell when they were created. Raises
        RemoteRefused naming the permission when some contacts are not shown to us. Groups that
        do not exist are absent from `groups`; the caller decides what that means.
        """
        ...

    def fetch_history(
        self, group_ids: Sequence[int], after_id: int
    ) -> Iterator[tuple[HistoryRow, ...]]:
        """Subscription history of these groups with ids above `after_id`, oldest first."""
        ...

    def fetch_group_contacts(self, group_ids: Sequence[int]) -> Iterator[tuple[GroupContact, ...]]:
        """All group contacts of these groups, by id, every status, trashed contacts too."""
        ...

    def fetch_smart_group(self, group_id: int) -> Iterator[tuple[int, ...]]:
        """Contact ids that a smart group holds now, after asking CiviCRM to refresh it."""
        ...

    def fetch_contacts(self, contact_ids: Sequence[int]) -> Iterator[ContactPage]:
        """These contacts, trashed ones too, with all their addresses; purged ones are absent."""
        ...

    def fetch_changed_contacts(self, since: datetime) -> Iterator[ContactPage]:
        """All contacts of the site modified at or after `since`, by id, trashed ones too."""
        ...

    def fetch_newest_contact_id(self) -> int:
        """The highest id of a contact, of all that there are; 0 when there is none."""
        ...

    def fetch_owners(self, emails: Sequence[str]) -> Iterator[tuple[Email, ...]]:
        """Addresses equal to one of these but for case, of contacts that are not trashed."""
        ...

    def fetch_merged_to(self, contact_ids: Sequence[int]) -> Mapping[int, int]:
        """For each of these trashed contacts that was merged, the contact that survived."""
        ...

    def fetch_tags(self, after_id: int) -> TagSnapshot:
        """All tags, how many contacts have each, and who got one since; one request."""
        ...

    def fetch_entity_tags(
        self, after_id: int, tag_ids: Sequence[int] | None
    ) -> Iterator[tuple[EntityTag, ...]]:
        """Which contacts have which tags, by id above `after_id`; only these tags, or all."""
        ...

    def fetch_group_sizes(self, group_ids: Sequence[int]) -> GroupSizes:
        """These groups, as far as they exist, and what tells whether anybody came or went."""
        ...

    def find_unknown_fields(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Those of these APIv4 fields of Contact, implicit joins included, that it does not
        show: they do not exist, or a permission is missing.
        """
        ...

    def fetch_contact_fields(
        self, fields: Sequence[str], contact_ids: Sequence[int]
    ) -> Iterator[Mapping[int, Mapping[str, object]]]:
        """What these contacts have in these fields, by contact id; empty ones are left out.

        Fields are APIv4 fields of Contact, implicit joins included. Purged contacts are absent.
        """
        ...

    def fetch_changed_contact_fields(
        self, fields: Sequence[str], since: datetime
    ) -> Iterator[Mapping[int, Mapping[str, object]]]:
        """The same for all contacts of the site modified at or after `since`."""
        ...

    def fetch_records(
        self, entity: str, fields: Sequence[str], where: Sequence[Sequence[object]]
    ) -> Iterator[Mapping[str, object]]:
        """Records of any APIv4 entity, in id order."""
        ...

    def save_group_contacts(
        self, group_id: int, status: GroupStatus, contact_ids: Sequence[int], tracking: str
    ) -> Iterator[WriteResult]:
        """Make these contacts Added to, or Removed from, a group; keys are contact ids.

        One result per chunk as it is done, so that the caller can record it.
        """
        ...

    def find_limits(self) -> Mapping[str, int]:
        """How many records of a kind the site takes in one request, where it takes few."""
        ...

    def find_doubtful(self) -> Collection[str]:
        """Addresses, as keys, whose contact a request that was not answered may yet create."""
        ...

    def create_contacts(self, contacts: Iterable[NewContact], source: str) -> Iterator[WriteResult]:
        """Create individuals; keys are the contacts' row ids. One result per chunk.

        `contacts` may be an iterator, which is asked for more between results, in this thread.
        Nobody is created twice. RemoteRefused naming the permission when CiviCRM does not show
        what it created; whoever could be known was yielded as done before.
        """
        ...

    def add_emails(self, emails: Sequence[EmailWrite]) -> Iterator[WriteResult]:
        """Add bulk addresses to contacts that do not have them yet; keys are contact ids."""
        ...

    def move_bulk_mail(self, moves: Sequence[BulkMove]) -> Iterator[WriteResult]:
        """Have other addresses that contacts have get their bulk mail; keys are contact ids.

        Where the bulk mail goes to a third address by now, or the new one is gone or on hold, the
        contact is among those that failed, and stays as it is.
        """
        ...

    def hold_emails(self, email_ids: Sequence[int]) -> Iterator[WriteResult]:
        """Put addresses on hold as bounced; keys are email ids."""
        ...

    def save_names(self, contacts: Sequence[Contact]) -> Iterator[WriteResult]:
        """Write first and last names that are not empty; keys are contact ids.

        A contact without any name does not come up in the results.
        """
        ...


class DataPluginsPort(Protocol):
    """The plugins of the data step; none of these methods lets a plugin's trouble through."""

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins' names, in the order in which they are asked."""
        ...

    def begin(
        self, name: str, audience: DataAudience, rows: Iterable[DataRow], site: DataSite
    ) -> DataChoice | None:
        """Whom a plugin wants to be asked about; None when it is out for this audience."""
        ...

    def check(
        self, name: str, audience: DataAudience, rows: Sequence[DataRow]
    ) -> Sequence[DataUpdate]:
        """What a plugin wants of these rows; nothing that no plugin may ask for."""
        ...

    def finish(self, name: str, audience: DataAudience) -> None:
        """The audience is done."""
        ...
