"""What crosses from room to room: frozen dataclasses and enums, in the field's own words.

Everything here is a value. Times are aware UTC; addresses are as their service spelled them,
and `email_key` is how two of them are compared.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

SUBSCRIPTION = "subscription"  # the key of the subscription beside interest ids (config blob)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)  # older than anything that anybody said


class Side(StrEnum):
    """One of the two services."""

    MAILCHIMP = "mailchimp"
    CIVICRM = "civicrm"


class MemberStatus(StrEnum):
    """A member's status, as Mailchimp names it."""

    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    CLEANED = "cleaned"
    PENDING = "pending"
    TRANSACTIONAL = "transactional"
    ARCHIVED = "archived"

    @property
    def is_in(self) -> bool:
        """Whether the member gets the audience's mail, or will once they confirm."""
        return self in IN


IN = frozenset((MemberStatus.SUBSCRIBED, MemberStatus.PENDING))  # as SQL: `cache.rows.SQL_IN`


class GroupStatus(StrEnum):
    """One contact's place in a group; `DELETED` occurs only in the subscription history."""

    ADDED = "Added"
    REMOVED = "Removed"
    PENDING = "Pending"
    DELETED = "Deleted"


class Permission(StrEnum):
    """What the API user's role needs in CiviCRM, and no more; the manual tells why each."""

    LOG_IN = "authenticate with api key"
    ACCESS = "access CiviCRM"
    VIEW = "view all contacts"
    EDIT = "edit all contacts"
    ADD = "add contacts"
    TRASH = "access deleted contacts"
    CUSTOM = "access all custom data"  # for mapped custom fields only

    @property
    def hint(self) -> str:
        """What to do when it is missing."""
        return f'give the API user\'s role the permission "{self}"'


# What a merge field holds: a text, or an address by its parts.
MergeValue = str | dict[str, str]


MERGE_TEXT_BYTES = 255  # Mailchimp cuts longer texts, silently


def fits_merge_text(text: str) -> bool:
    """Whether Mailchimp would keep all of a text in a merge field."""
    return len(text.encode(errors="replace")) <= MERGE_TEXT_BYTES and "\0" not in text


def show_value(value: MergeValue) -> str:
    """What a merge field holds, in one line."""
    return value if isinstance(value, str) else ", ".join(value.values())


def text_of_value(value: object) -> str:
    """A single value of JSON as text; a number without a fraction is told as a whole one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def email_key(email: str) -> str:
    """The form in which two addresses are the same: case and blanks around them do not count."""
    return email.strip().lower()


# --- Mailchimp --------------------------------------------------------------------------------


class Member(NamedTuple):
    """One member as Mailchimp showed it.

    A tuple and no dataclass because a first fetch makes a million of them: 0.2 µs instead of 0.8.

    `member_id` is the id that Mailchimp gave, which for old members is not always the hash of
    the address. `merge_fields` holds text values only; `interests` may be empty although the
    audience has some, when the answer left them out. `has_left`: unsubscribed, and Mailchimp
    gives a reason other than that an administrator, or the API, did it. `oddity`: why nothing can
    be learned of somebody but that they are there ("the unknown status ..."); nearly always empty.
    """

    member_id: str
    email: str
    status: MemberStatus
    last_changed: datetime
    unique_contact: str = ""
    merge_fields: Mapping[str, str] = MappingProxyType({})
    interests: Mapping[str, bool] = MappingProxyType({})
    has_left: bool = False
    oddity: str = ""


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Some members of a fetch; no member comes twice in one fetch unless it changed meanwhile.

    `served_at` is Mailchimp's own clock when it answered, `total` how many members it counts for
    this page and all others.
    """

    members: tuple[Member, ...]
    served_at: datetime
    total: int


@dataclass(frozen=True, slots=True)
class Audience:
    """An audience, called a list by Mailchimp's API."""

    list_id: str
    name: str
    is_double_optin: bool
    member_count: int


@dataclass(frozen=True, slots=True)
class MergeField:
    """One merge field of an audience; `type` is Mailchimp's word (text, number, date ...).

    `choices` are those of a dropdown or radio field; `phone_format` is "US" where only numbers
    of that form are taken.
    """

    tag: str
    name: str
    type: str
    is_required: bool
    date_format: str = ""
    choices: tuple[str, ...] = ()
    phone_format: str = ""


@dataclass(frozen=True, slots=True)
class MemberChange:
    """What one update asks of one member; what is None or empty stays as it is.

    `member_id` is None for somebody who is not a member yet. `email` is the address the member
    has, or shall have when created; `new_email` changes the address of an existing member.
    `is_archiving` removes the member by archiving and excludes everything else. With
    `skips_validation` required merge fields may be missing; no batch can say so.
    """

    email: str
    member_id: str | None = None
    status: MemberStatus | None = None
    new_email: str | None = None
    is_archiving: bool = False
    merge_fields: Mapping[str, MergeValue] = field(default_factory=dict)
    interests: Mapping[str, bool] = field(default_factory=dict)
    tags: Mapping[str, bool] = field(default_factory=dict)
    skips_validation: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return self == MemberChange(email=self.email, member_id=self.member_id)

    @property
    def is_leaving(self) -> bool:
        """Whether it takes the member out."""
        return self.is_archiving or self.status is MemberStatus.UNSUBSCRIBED


@dataclass(frozen=True, slots=True)
class Operation:
    """One change inside a batch under our own key."""

    operation_id: str
    list_id: str
    change: MemberChange


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as Mailchimp reports it; `finished` includes operations that failed."""

    batch_id: str
    status: str
    total_operations: int
    finished_operations: int
    errored_operations: int
    submitted_at: datetime
    completed_at: datetime | None = None
    results_url: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether every operation has been tried."""
        return self.status == "finished"


class Refusal(StrEnum):
    """Why Mailchimp would not do what an operation asked."""

    COMPLIANCE = "compliance-state"
    FORGOTTEN = "forgotten-email"
    CLEANED = "cleaned"
    FAKE = "fake-address"
    EXISTS = "member-exists"
    NOT_FOUND = "not-found"
    TEMPORARY = "temporary"
    MERGE_FIELDS = "merge-fields"
    INVALID = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one operation.

    `member` is the member as the answer showed it, None where the answer had no body;
    `refusal` and `error` (Mailchimp's own words) are set when `is_success` is False;
    `merge_tags` are the merge fields that it complains of.
    """

    operation_id: str
    is_success: bool
    http_status: int
    member: Member | None = None
    refusal: Refusal | None = None
    error: str = ""
    merge_tags: tuple[str, ...] = ()


# --- CiviCRM ----------------------------------------------------------------------------------


class Contact(NamedTuple):
    """One contact; `modified_at` is when CiviCRM last touched it or one of its addresses.

    `created_at` tells whether an id still means the same contact; LONG_AGO where CiviCRM does
    not know it. An organisation or household, which is not `is_person`, has its display name as
    the first name.
    """

    contact_id: int
    first_name: str = ""
    last_name: str = ""
    is_deleted: bool = False
    is_deceased: bool = False
    is_opt_out: bool = False
    do_not_email: bool = False
    modified_at: datetime = LONG_AGO
    created_at: datetime = LONG_AGO
    is_person: bool = True


class Email(NamedTuple):
    """One address of a contact; `on_hold` is true for both of CiviCRM's kinds of hold."""

    email_id: int
    contact_id: int
    email: str
    is_primary: bool = False
    is_bulkmail: bool = False
    on_hold: bool = False


@dataclass(frozen=True, slots=True)
class ContactPage:
    """Contacts, and every address of each of them."""

    contacts: tuple[Contact, ...]
    emails: tuple[Email, ...]


class GroupContact(NamedTuple):
    """One contact's place in one group; `status` is empty where CiviCRM has none."""

    group_id: int
    contact_id: int
    status: str


class HistoryRow(NamedTuple):
    """One row of the subscription history; `is_ours` when its tracking says that we wrote it.

    Where CiviCRM has no status it is empty; where it has no date, or an impossible one, `at` is
    LONG_AGO.
    """

    history_id: int
    group_id: int
    contact_id: int
    status: str
    at: datetime
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One CiviCRM group.

    `is_access_control`: whoever is in it may do more than others in CiviCRM or the CMS.
    """

    group_id: int
    title: str
    is_active: bool
    is_smart: bool
    is_mailing: bool
    is_access_control: bool = False


@dataclass(frozen=True, slots=True)
class GroupSizes:
    """Groups that exist, how many contacts are Added to each, and the newest row of their history.

    It tells whether anything has changed in them, computed groups apart.
    """

    groups: Mapping[int, Group]
    added: Mapping[int, int]
    newest_history: int


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """What CiviCRM says at the start of a run, everything checked that emptiness could hide.

    `utc_offset_s` is the site's offset of this moment, in seconds east of UTC; `now` is its
    clock. `counts` are the group contacts per (group id, status), trashed contacts included,
    those without a status left out. `history` are the rows after the cursor that was asked for,
    oldest first; when `has_more_history` the rest is to be fetched after the last id. `created`
    tells when each contact of the sample that was asked for was created; those that are gone, or
    not to be seen, are absent.
    """

    now: datetime
    utc_offset_s: int
    groups: Mapping[int, Group]
    counts: Mapping[tuple[int, str], int]
    history: tuple[HistoryRow, ...]
    has_more_history: bool
    created: Mapping[int, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact to be created; `row_id` is the cache row it is for.

    `group_ids` are the groups it is added to when it exists.
    """

    row_id: int
    email: str
    first_name: str
    last_name: str
    group_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a write to CiviCRM of several records, by the caller's own key.

    `done` maps a key to the contact id concerned; `failed` maps a key to CiviCRM's words.
    """

    done: Mapping[int, int] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntityTag:
    """One tag on one contact."""

    entity_tag_id: int
    contact_id: int
    tag_id: int


@dataclass(frozen=True, slots=True)
class TagSnapshot:
    """CiviCRM's tags: their labels and how many contacts have each, by tag id.

    `rows` are the entity tags after the cursor that was asked for, in id order; when `has_more`
    the rest is to be fetched after the last id.
    """

    labels: Mapping[int, str]
    counts: Mapping[int, int]
    rows: tuple[EntityTag, ...] = ()
    has_more: bool = False


# --- the data step, as its plugins see it -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin as `mcsync check` lists it; the version is empty where there is none.

    `source` is where it comes from: built in, entry point, config.
    """

    name: str
    version: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class DataAudience:
    """The audience a plugin is called for, and the merge fields that it has."""

    list_id: str
    name: str
    merge_fields: tuple[MergeField, ...] = ()


@dataclass(frozen=True, slots=True)
class DataRow:
    """Somebody who is subscribed or pending, or about to be judged, and has a contact.

    The names are the contact's. `status` is None for somebody who is no member yet.
    `merge_fields` are those known: the names, and what mcsync sent. `metadata` is what the
    plugin itself asked to keep when its last update for this row had succeeded.
    """

    row_id: int
    contact_id: int
    email: str
    first_name: str
    last_name: str
    status: MemberStatus | None
    merge_fields: Mapping[str, MergeValue] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataUpdate:
    """What a plugin wants of one row; what mcsync sent before is not sent again.

    `tags` maps a tag's name to whether the member shall have it. `metadata` (anything JSON can
    say) replaces what is kept, once everything has arrived at Mailchimp; None leaves it.
    `left_out` tells of merge fields that are not sent because the value does not fit, and why;
    values that do not fit are left out in any case.
    """

    row_id: int
    merge_fields: Mapping[str, MergeValue] = field(default_factory=dict)
    tags: Mapping[str, bool] = field(default_factory=dict)
    metadata: Mapping[str, object] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataChoice:
    """For which contacts a plugin wants to be asked; None: for all. Rows to do come anyway."""

    contact_ids: Collection[int] | None = None


class FieldsNotShown(Exception):
    """CiviCRM does not show all of the fields that were to be followed; `message` says which."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DataSite(Protocol):
    """What a plugin may ask of CiviCRM while it works for one audience; nothing can be written.

    The `follow_…` methods bring a mirror in the cache up to date, at a cost that does not
    depend on how many contacts did not change. They return the contacts of the audience for
    whom the mirror says something else than the metadata's own "seen" (and "as").
    """

    def fetch_records(
        self, entity: str, fields: Sequence[str], where: Sequence[Sequence[object]] = ()
    ) -> Iterator[Mapping[str, object]]:
        """Records of an APIv4 entity, in id order, read in pages; each has its `id`."""
        ...

    def follow_tags(self) -> Collection[int]:
        """Mirror all tags of contacts."""
        ...

    def load_tags(self, contact_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        """The labels of the contacts' tags, sorted, as mirrored."""
        ...

    def find_unknown_fields(self, fields: Sequence[str]) -> Collection[str]:
        """Those of these APIv4 fields of Contact that CiviCRM does not show; they are warned of.

        It has none of that name, or a permission is missing.
        """
        ...

    def tell_skipped(self, what: str, why: str) -> None:
        """Warn that something of the audience cannot be filled: once, then once a day."""
        ...

    def follow_fields(self, fields: Sequence[str], as_what: str) -> Collection[int]:
        """Mirror these APIv4 fields of the audience's contacts; `as_what`: how they are sent.

        Raises FieldsNotShown, and mirrors nothing, where CiviCRM does not show one of them.
        """
        ...

    def follow_groups(self, group_ids: Sequence[int], as_what: str) -> Collection[int]:
        """Mirror who is in these groups; `as_what`: how that is sent."""
        ...

    def load_groups(self, contact_ids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """Those of these groups that the contacts are in, sorted, as mirrored."""
        ...

    def load_fields(self, contact_ids: Sequence[int]) -> Mapping[int, Mapping[str, object]]:
        """The contacts' fields that are not empty, as mirrored."""
        ...


@dataclass(frozen=True, slots=True)
class EmailWrite:
    """A bulk address to be added to a contact, because its member moved there from `old_email`."""

    contact_id: int
    email: str
    old_email: str | None = None


@dataclass(frozen=True, slots=True)
class BulkMove:
    """A contact's bulk mail that goes to `email`, and to `old_email` no more; None: to none."""

    contact_id: int
    email: str | None
    old_email: str | None


# --- accounts, webhooks, and groups to choose from ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """A Mailchimp account as its key shows it; `served_at` is Mailchimp's clock, aware UTC."""

    account_id: str
    name: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    role: str = ""
    served_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """An audience's webhook; `events` and `sources` say which are on, by Mailchimp's names.

    `signing_secret` comes once, with the answer that created it.
    """

    webhook_id: str
    url: str = field(repr=False)  # it may carry a secret
    events: Mapping[str, bool]
    sources: Mapping[str, bool]
    signing_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BatchWebhook:
    """A webhook of an account, for finished batches."""

    webhook_id: str
    url: str = field(repr=False)
    is_enabled: bool
    signing_secret: str | None = field(default=None, repr=False)


class EventKind(StrEnum):
    """What a webhook may tell, by Mailchimp's names; any other is nothing to us.

    Which of them are asked for is `check.webhook_findings.EVENTS`.
    """

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    PROFILE = "profile"
    CLEANED = "cleaned"
    UPEMAIL = "upemail"
    BATCH_COMPLETED = "batch_operation_completed"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One delivery, reduced to what is needed to look for oneself: a payload is but a hint.

    `email` is the new address of an `upemail`; `reason` is that of a `cleaned` ("hard" or
    "abuse"); a batch has neither audience nor address. `fired_at` is the payload's text.
    """

    kind: EventKind
    list_id: str = ""
    email: str = ""
    old_email: str = ""
    reason: str = ""
    batch_id: str = ""
    fired_at: str = ""


@dataclass(frozen=True, slots=True)
class ContactsTold:
    """Contacts of which CiviCRM told that they changed, each once; which, and nothing else."""

    contact_ids: tuple[int, ...]


Delivery = WebhookEvent | ContactsTold
