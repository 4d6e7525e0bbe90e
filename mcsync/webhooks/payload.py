"""The body of a delivery, read: what Mailchimp or CiviCRM tells, reduced to where to look."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from mcsync.model import ContactsTold, EventKind, WebhookEvent

MAX_BODY = 1024 * 1024  # bytes; Mailchimp's largest are some ten thousand
_MAX_FIELDS = 5000  # 80 merge fields and 60 groups, the most an audience has, make some hundreds
_MAX_ADDRESS = 320  # 64 before the @, 255 after it (RFC 5321); in practice 254 altogether
_MAX_CONTACT_ID = 2**32 - 1  # CiviCRM's ids are INT UNSIGNED
_CONTACT_ID = re.compile(r"[0-9]{1,10}")
_CONTACT_NAME = re.compile(r"contact_id(\[[0-9]{0,10}\])?")  # PHP numbers the values of an array
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_WORD = re.compile(r"[a-z_]{1,40}")
_TIME = re.compile(r"[0-9T :+.Z-]{1,40}")


class NotAPayload(Exception):
    """The body is nothing that Mailchimp or CiviCRM sends."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A delivery as far as it concerns us; `event` None is nothing for us.

    `type` and `list_id` are "" where the body has none of the proper shape.
    """

    type: str
    list_id: str
    event: WebhookEvent | None

    @property
    def is_batch(self) -> bool:
        """Whether a batch webhook sent it, and no audience's."""
        return self.type == EventKind.BATCH_COMPLETED


def parse_delivery(body: bytes) -> Payload | ContactsTold:
    """Read what Mailchimp or CiviCRM sent; the body itself tells which of them it was.

    Mailchimp never sends JSON, in which any address may have what looks like a field.
    Raises: NotAPayload, and nothing else.
    """
    if _is_json(body):
        return parse_contacts(body)
    try:
        return parse_payload(body)
    except NotAPayload:
        return parse_contacts(body)


def parse_contacts(body: bytes) -> ContactsTold:
    """Read which contacts CiviCRM tells of: form-encoded, `contact_id=1&contact_id=2`, or JSON,
    `{"contact_id": 1}` or a list there; whatever else stands in either is passed over.

    Raises: NotAPayload, and nothing else, for a body without an id, or with too many.
    """
    found = _read_json(body) if _is_json(body) else _read_form(body)
    contact_ids = tuple(dict.fromkeys(map(int, found)))
    if not contact_ids or len(contact_ids) > _MAX_FIELDS:
        raise NotAPayload
    if not all(0 < contact_id <= _MAX_CONTACT_ID for contact_id in contact_ids):
        raise NotAPayload
    return ContactsTold(contact_ids)


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] == b"{"


class _Json(msgspec.Struct):
    """The JSON that CiviCRM's side may send."""

    contact_id: int | str | list[int | str]


_decode = msgspec.json.Decoder(_Json).decode  # made once, as several threads read


def _read_json(body: bytes) -> list[str]:
    try:
        told = _decode(body).contact_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotAPayload from None
    return _digits(map(str, told if isinstance(told, list) else [told]))


def _read_form(body: bytes) -> list[str]:
    return _digits(text for name, text in _read_pairs(body) if _CONTACT_NAME.fullmatch(name))


def _digits(texts: Iterable[str]) -> list[str]:
    """The ids as they were told. Raises: NotAPayload when one of them cannot be one."""
    found = [text.strip() for text in texts]
    if not all(map(_CONTACT_ID.fullmatch, found)):
        raise NotAPayload
    return found


def parse_payload(body: bytes) -> Payload:
    """Read a form-encoded body with bracketed keys; fields that nobody needs are passed over.

    Of a field that stands there twice the last one counts, as with PHP. What cannot be decoded,
    or has not the shape it should have, is as good as absent.
    Raises: NotAPayload, and nothing else, for a body without a type or with too many fields.
    Source: mailchimp: Webhooks.
    """
    fields = dict(_read_pairs(body))
    kind = fields.get("type", "").strip()
    if not kind:
        raise NotAPayload
    list_id = _shaped(_ID, fields.get("data[list_id]"))
    return Payload(_shaped(_WORD, kind), list_id, _read_event(kind, list_id, fields))


def _read_pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:  # too many fields
        raise NotAPayload from None


def _read_event(kind: str, list_id: str, fields: Mapping[str, str]) -> WebhookEvent | None:
    """The event, None when it is of a kind that is nothing to us, or tells too little."""
    try:
        event_kind = EventKind(kind)
    except ValueError:  # campaign, sms_subscribe, and whatever comes one day
        return None
    fired_at = _shaped(_TIME, fields.get("fired_at"))
    if event_kind is EventKind.BATCH_COMPLETED:
        batch_id = _shaped(_ID, fields.get("data[id]"))
        return WebhookEvent(event_kind, batch_id=batch_id, fired_at=fired_at) if batch_id else None
    if event_kind is EventKind.UPEMAIL:
        # An old address alone does not tell where its owner went; the next fetch does.
        email, old_email = _address(fields, "new_email"), _address(fields, "old_email")
    else:
        email, old_email = _address(fields, "email") or _address(fields, "merges][EMAIL"), ""
    if not list_id or not email:
        return None
    reason = fields.get("data[reason]") if event_kind is EventKind.CLEANED else None
    return WebhookEvent(
        event_kind,
        list_id=list_id,
        email=email,
        old_email=old_email,
        reason=_shaped(_WORD, reason),
        fired_at=fired_at,
    )


def _shaped(shape: re.Pattern[str], text: str | None) -> str:
    """The text if it has this shape, else ""."""
    stripped = (text or "").strip()
    return stripped if shape.fullmatch(stripped) else ""


def _address(fields: Mapping[str, str], name: str) -> str:
    """The address in `data[name]`, "" if there is none that could be one."""
    text = fields.get(f"data[{name}]", "").strip()
    before, _, after = text.rpartition("@")
    is_one = before and after and len(text) <= _MAX_ADDRESS
    # U+FFFD stands where bytes could not be decoded: whose address that is nobody knows.
    return text if is_one and text.isprintable() and "\ufffd" not in text else ""
