"""Mailchimp's JSON to our values and back; nothing here goes to the network."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from mcsync.errors import ProtocolError
from mcsync.http import decode_json
from mcsync.model import (
    LONG_AGO,
    Batch,
    Member,
    MemberChange,
    MemberStatus,
    MergeField,
    Outcome,
    Refusal,
    email_key,
    text_of_value,
)
from mcsync.text import cut, fit_to_keep, without_addresses

_BY_ADMIN = "N/A (Unsubscribed by admin)"  # recorded after an unsubscribe by the API
_YEARS = range(1971, 3000)  # in any zone
_FIRST_YEAR, _LAST_YEAR = 2001, 2100  # Mailchimp began in 2001
_MOST_STATUS = 40  # characters of an unknown one that are told

_STATUSES = {status.value: status for status in MemberStatus}


class WireMember(msgspec.Struct):
    """A member; merge_fields and interests may be absent or null (mailchimp: Members).

    PHP, which Mailchimp is written in, makes an array of an object without properties. Nothing
    but the id need make sense: what is odd about one member must not cost the page.
    """

    id: str
    email_address: str | None = None
    status: object = None
    last_changed: str | None = None
    contact_id: str | None = None
    merge_fields: object = None
    interests: object = None
    unsubscribe_reason: object = None


class WireMembers(msgspec.Struct):
    """One page of members; `total_items` counts all that match, on any page."""

    members: list[WireMember]
    total_items: int


class WireBatch(msgspec.Struct):
    """A batch; unknown times and addresses are empty strings."""

    id: str
    status: str
    total_operations: int = 0
    finished_operations: int = 0
    errored_operations: int = 0
    submitted_at: str = ""
    completed_at: str = ""
    response_body_url: str = ""


class WireFieldError(msgspec.Struct):
    """One field that did not pass Mailchimp's validation."""

    field: str = ""
    message: str = ""


_MERGE_TAG = re.compile(r"[A-Z0-9_]{1,10}")  # the member's own properties are in lower case


class WireProblem(msgspec.Struct):
    """Mailchimp's error document; `type` is left alone: it has changed over the years."""

    title: str = ""
    detail: str = ""
    errors: list[WireFieldError] = []

    def __str__(self) -> str:
        fields = "; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in self.errors)
        return ". ".join(part.strip(" .") for part in (self.title, self.detail, fields) if part)

    @property
    def merge_tags(self) -> tuple[str, ...]:
        """The merge fields that it complains of, where it complains of nothing else."""
        paths = [each.field.removeprefix("merge_fields.") for each in self.errors]
        names = [path.partition(".")[0] for path in paths]  # of an address it may name a part
        return tuple(dict.fromkeys(names)) if all(map(_MERGE_TAG.fullmatch, names)) else ()

    @property
    def is_about_merge_fields(self) -> bool:
        """Whether it complains of merge fields, of single ones or of all together."""
        names = {each.field for each in self.errors}
        return bool(self.merge_tags) or names == {"merge_fields"}


class WireStats(msgspec.Struct):
    """The part of an audience's statistics that we read."""

    member_count: int = 0


class WireAudience(msgspec.Struct):
    """An audience."""

    id: str
    name: str
    double_optin: bool = False
    stats: WireStats = msgspec.field(default_factory=WireStats)


class WireFieldOptions(msgspec.Struct):
    """The part of a merge field's options that we read."""

    date_format: str | None = None
    choices: list[str | int | float] | None = None
    phone_format: str | None = None


class WireMergeField(msgspec.Struct):
    """A merge field."""

    tag: str
    name: str
    type: str
    required: bool = False
    options: WireFieldOptions | list[object] | None = None  # PHP writes what is empty as []


class WireTitled(msgspec.Struct):
    """An interest category (`title`) or an interest (`name`)."""

    id: str
    title: str = ""
    name: str = ""


class WireAccount(msgspec.Struct):
    """The answer of the API's root: the account, and the role of the key's user."""

    account_id: str
    account_name: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    role: str = ""


class WireWebhook(msgspec.Struct):
    """A webhook of an audience; the secret comes only with the answer that created it."""

    id: str
    url: str
    events: dict[str, bool] = {}
    sources: dict[str, bool] = {}
    signing_secret: str | None = None


class WireWebhooks(msgspec.Struct):
    """All webhooks of an audience."""

    webhooks: list[WireWebhook]
    total_items: int


class WireBatchWebhook(msgspec.Struct):
    """A webhook of an account; the secret comes only with the answer that created it."""

    id: str
    url: str
    enabled: bool = True
    signing_secret: str | None = None


class WireRoot(msgspec.Struct):
    """What may stand around a collection; only one of the lists is there."""

    total_items: int
    lists: list[WireAudience] = []
    merge_fields: list[WireMergeField] = []
    categories: list[WireTitled] = []
    interests: list[WireTitled] = []
    batches: list[WireBatch] = []
    webhooks: list[WireBatchWebhook] = []


def fields_of(shape: type[msgspec.Struct], within: str = "", but: str = "") -> str:
    """What to ask for in `fields`: all that a shape has, inside of a collection, but for one."""
    return ",".join(within + name for name in shape.__struct_fields__ if name != but)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API, its path relative to the base; body None for none."""

    method: str
    path: str
    body: bytes | None = None


def subscriber_hash(email: str) -> str:
    """The id that Mailchimp gives a new member: MD5 of the lower-cased address."""
    return hashlib.md5(email_key(email).encode(), usedforsecurity=False).hexdigest()


def old_subscriber_hash(email: str) -> str:
    """The id that some members of old audiences have: MD5 of the address as it was typed."""
    return hashlib.md5(email.encode(), usedforsecurity=False).hexdigest()


def read_time(value: str) -> datetime:
    """A time of Mailchimp's (UTC, whole seconds), aware; LONG_AGO for its empty string.

    Raises: ProtocolError.
    """
    if not value:
        return LONG_AGO
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise ProtocolError(f"Mailchimp gave {cut(value)!r} instead of a time") from None
    if at.tzinfo is None:
        raise ProtocolError(f"Mailchimp gave {value!r}, a time without a time zone")
    if at.year not in _YEARS:
        raise ProtocolError(f"Mailchimp gave {value!r} instead of a time")
    return at


def read_member(wire: WireMember) -> Member:
    """One member; numbers become text, and addresses, which are objects, are left out."""
    fields, interests, reason = wire.merge_fields, wire.interests, wire.unsubscribe_reason
    email = (wire.email_address or "").strip()
    status = _STATUSES.get(wire.status) if type(wire.status) is str else None
    is_usual = status is not None and "@" in email and "\0" not in email
    try:
        at = datetime.fromisoformat(wire.last_changed or "")
        if at.tzinfo is None or not _FIRST_YEAR <= at.year <= _LAST_YEAR:
            at = LONG_AGO  # what no member can have stops nobody else
    except ValueError:
        at = LONG_AGO
    values = (
        wire.id,
        email,
        status or MemberStatus.TRANSACTIONAL,
        at,
        wire.contact_id or "",
        _read_texts(fields) if type(fields) is dict else {},
        _read_interests(interests) if type(interests) is dict else {},
        bool(reason) and reason != _BY_ADMIN,
        "" if is_usual else _text_of_oddity(status, wire.status),
    )
    return tuple.__new__(Member, values)  # in two thirds of Member()'s time


def _text_of_oddity(status: MemberStatus | None, word: object) -> str:
    """What is odd about a member, to be told; without their address."""
    if status is not None:
        return "no usable address"
    shown = "".join(filter(str.isprintable, str(word)))[:_MOST_STATUS]
    return f'the unknown status "{without_addresses(shown)}"'


def as_noticed(member: Member, served_at: datetime) -> Member:
    """The member; one who is out since nobody knows when is out as of now.

    Else any word in CiviCRM would be newer, and somebody who left would be asked to confirm.
    """
    if member.last_changed > LONG_AGO or member.status.is_in:
        return member
    return member._replace(last_changed=served_at)


def _read_texts(values: dict[str, Any]) -> Mapping[str, str]:
    """The values as text; nearly always all of them are, and none of a million dicts is copied."""
    try:
        if "\0" not in "".join(values.values()):
            return values
    except TypeError:  # not all of them are
        pass
    return {
        tag: (value if type(value) is str else text_of_value(value)).replace("\0", "")
        for tag, value in values.items()
        if value is not None and type(value) not in (dict, list)
    }


def _read_interests(values: dict[str, Any]) -> Mapping[str, bool]:
    for value in values.values():
        if value is not True and value is not False:
            return {key: value for key, value in values.items() if isinstance(value, bool)}
    return values


def read_merge_field(wire: WireMergeField) -> MergeField:
    """One merge field."""
    options = wire.options if isinstance(wire.options, WireFieldOptions) else WireFieldOptions()
    return MergeField(
        tag=wire.tag,
        name=wire.name,
        type=wire.type,
        is_required=wire.required,
        date_format=options.date_format or "",
        choices=tuple(map(str, options.choices or ())),
        phone_format=options.phone_format or "",
    )


def read_batch(wire: WireBatch) -> Batch:
    """One batch as Mailchimp reports it."""
    return Batch(
        batch_id=wire.id,
        status=wire.status,
        total_operations=wire.total_operations,
        finished_operations=wire.finished_operations,
        errored_operations=wire.errored_operations,
        submitted_at=read_time(wire.submitted_at),
        completed_at=read_time(wire.completed_at) if wire.completed_at else None,
        results_url=wire.response_body_url,
    )


# --- changes --------------------------------------------------------------------------------------


def write_change(list_id: str, change: MemberChange) -> Call:
    """The one request that carries out a change; it may be repeated without harm.

    Subscribing, confirming and creating is PUT with `status` and `status_if_new`; any other
    change of an existing member is PATCH by the id that Mailchimp gave; archiving is DELETE;
    tags are a POST of their own.

    Raises: ValueError for a change that is no single request.
    """
    member_id = change.member_id or subscriber_hash(change.email)
    path = f"/lists/{list_id}/members/{member_id}"
    _check_is_one_request(change)
    call = _write_change(path, change)
    if change.skips_validation:
        return replace(call, path=f"{call.path}?skip_merge_validation=true")
    return call


def _write_change(path: str, change: MemberChange) -> Call:
    if change.is_archiving:
        return Call("DELETE", path)
    if change.tags:
        tags = [
            {"name": name, "status": "active" if is_on else "inactive"}
            for name, is_on in change.tags.items()
        ]
        return Call("POST", f"{path}/tags", msgspec.json.encode({"tags": tags}))
    body: dict[str, object] = {}
    if change.status is not None:
        body["status"] = change.status.value
    if change.merge_fields:
        body["merge_fields"] = dict(change.merge_fields)
    if change.interests:
        body["interests"] = dict(change.interests)
    if change.new_email is not None:
        body["email_address"] = change.new_email
        return Call("PATCH", path, msgspec.json.encode(body))
    if change.member_id is None or (change.status is not None and change.status.is_in):
        body["email_address"] = change.email
        body["status_if_new"] = body["status"]
        return Call("PUT", path, msgspec.json.encode(body))
    return Call("PATCH", path, msgspec.json.encode(body))


def _check_is_one_request(change: MemberChange) -> None:
    others = (change.status, change.new_email, change.merge_fields, change.interests)
    has_others = any(bool(other) for other in others)
    if change.is_archiving + bool(change.tags) + has_others != 1:
        raise ValueError("a change is either archiving, or tags, or anything else, and not nothing")
    if change.member_id is None and has_others and change.status is None:
        raise ValueError("a member cannot be created without a status")
    if change.member_id is None and change.new_email is not None:
        raise ValueError("only an existing member can change its address")
    if change.skips_validation and (change.is_archiving or change.tags):
        raise ValueError("only a member's own properties are validated")
    if change.status in (MemberStatus.ARCHIVED, MemberStatus.TRANSACTIONAL):
        raise ValueError(f"Mailchimp does not accept the status {change.status}")


# --- what became of them --------------------------------------------------------------------------

_REFUSALS = (  # title and detail, as recorded (mailchimp: Errors); the first that fits
    (r"was permanently deleted|Forgotten Email", Refusal.FORGOTTEN),
    (r"Member In Compliance State", Refusal.COMPLIANCE),
    (r"looks fake or invalid|provide a valid email|email address is invalid", Refusal.FAKE),
    (r"has signed up to a lot of lists", Refusal.TEMPORARY),
    (r"status is .?cleaned", Refusal.CLEANED),
    (r"Member Exists", Refusal.EXISTS),
    (r"merge fields were invalid", Refusal.MERGE_FIELDS),
)


def read_refusal(status: int, words: str) -> Refusal:
    """Why an operation was refused, by its HTTP status and Mailchimp's title and detail.

    A refused key, throttling and Mailchimp's own trouble say nothing about the person, so they
    count as temporary.
    """
    if status in (401, 403, 429) or status >= 500:
        return Refusal.TEMPORARY
    if status == 404:
        return Refusal.NOT_FOUND
    for pattern, refusal in _REFUSALS:
        if re.search(pattern, words, re.IGNORECASE):
            return refusal
    return Refusal.INVALID


def read_outcome(operation_id: str, status: int, answer: bytes) -> Outcome:
    """What one operation's own answer says; `answer` may be empty (204: archiving, tags).

    Raises: ProtocolError when the answer is not JSON.
    """
    if 200 <= status < 300:
        return Outcome(operation_id, True, status, member=_read_member_of(answer))
    problem = WireProblem()
    if answer.strip() not in (b"", b"null"):
        problem = decode_json(answer, WireProblem)
    words, tags = fit_to_keep(str(problem)) or f"HTTP {status}", problem.merge_tags
    refusal = read_refusal(status, words)
    if refusal is Refusal.INVALID and problem.is_about_merge_fields:
        refusal = Refusal.MERGE_FIELDS
    return Outcome(operation_id, False, status, refusal=refusal, error=words, merge_tags=tags)


_decode_member = msgspec.json.Decoder(WireMember).decode


def _read_member_of(answer: bytes) -> Member | None:
    if answer.strip() in (b"", b"null", b"[]", b"{}"):
        return None
    try:
        member = read_member(_decode_member(answer))
    except msgspec.ValidationError:
        return None  # a success of some other kind of operation, such as a collection
    except msgspec.DecodeError:
        raise ProtocolError("the answer to an operation is not JSON") from None
    return None if member.oddity else member
