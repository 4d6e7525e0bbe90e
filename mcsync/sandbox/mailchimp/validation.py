"""What Mailchimp accepts in the body of a member: address, shape, merge fields."""

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from mcsync.sandbox.mailchimp.problems import invalid_merge_fields, looks_fake, too_many_lists
from mcsync.sandbox.mailchimp.state import Audience, MergeField
from mcsync.sandbox.mailchimp.wire import JsonObject, invalid, not_validated, read_time

WRITABLE = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
PATCHABLE = ("subscribed", "unsubscribed", "cleaned", "pending")  # PATCH's enum, as specified
TEXT_BYTES = 255  # Mailchimp's guide to merge fields
# "looks fake or invalid": role addresses are; which ones is a guess
ROLE_NAMES = frozenset(
    {
        *("abuse", "admin", "administrator", "hostmaster", "mailer-daemon", "no-reply"),
        *("noreply", "postmaster", "root", "spam", "webmaster"),
    }
)
ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def check_address(email: str, fake: Collection[str], busy: Collection[str]) -> None:
    """Refuse an address Mailchimp does not take. Raises Problem.

    `fake` and `busy` hold lower-case addresses that look fake, or signed up too often.
    """
    if not ADDRESS.fullmatch(email):
        raise invalid("Please provide a valid email address.")
    local = email.partition("@")[0]
    if not local.isascii():
        raise invalid(
            "The username portion of the email address is invalid "
            f"(the portion before the @: {local})"
        )
    if local.lower() in ROLE_NAMES or email.lower() in fake:
        raise looks_fake(email)
    if email.lower() in busy:
        raise too_many_lists(email)


def found(value: object) -> str:
    """The word Mailchimp's schema errors use for the type of a value."""
    if value is None:
        return "NULL"
    words = {bool: "boolean", int: "integer", float: "double", str: "string", list: "array"}
    return words.get(type(value), "object")


SHAPES: Mapping[str, tuple[type, str]] = {
    "email_address": (str, "string"),
    "email_type": (str, "string"),
    "language": (str, "string"),
    "ip_signup": (str, "string"),
    "ip_opt": (str, "string"),
    "timestamp_signup": (str, "string"),
    "timestamp_opt": (str, "string"),
    "vip": (bool, "boolean"),
    "merge_fields": (dict, "object"),
    "interests": (dict, "object"),
    "location": (dict, "object"),
}


def check_shape(body: JsonObject, statuses: Collection[str]) -> None:
    """Check types, enums and IP addresses of a member body. Raises Problem with all errors."""
    errors = [
        (name, f"Schema describes {word}, {found(body[name])} found instead")
        for name, (kind, word) in SHAPES.items()
        if name in body and not isinstance(body[name], kind)
    ]
    for name in ("status", "status_if_new"):
        if name in body and body[name] not in statuses:
            text = "Data presented is not one of the accepted values: "
            errors.append((name, text + ", ".join(statuses) + "."))
    errors += [error for name in ("ip_signup", "ip_opt") for error in _ip_errors(name, body)]
    errors += _interest_errors(body.get("interests"))
    if errors:
        raise not_validated(*errors)
    for name in ("timestamp_signup", "timestamp_opt"):
        if body.get(name):
            read_time(name, str(body[name]))


def _ip_errors(name: str, body: JsonObject) -> list[tuple[str, str]]:
    value = body.get(name)
    if not value or not isinstance(value, str):
        return []
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return [(name, "Please provide a valid IP address.")]
    return []


def _interest_errors(interests: object) -> list[tuple[str, str]]:
    if not isinstance(interests, dict):
        return []
    return [
        (f"interests.{key}", f"Schema describes boolean, {found(value)} found instead")
        for key, value in interests.items()
        if not isinstance(value, bool)
    ]


def read_interests(audience: Audience, body: JsonObject, old: frozenset[str]) -> frozenset[str]:
    """The interests after a partial map. Raises Problem for an unknown id."""
    wanted = body.get("interests")
    if not isinstance(wanted, dict):
        return old
    for key in wanted:
        if key not in audience.interests:
            # Guess: the wording for an unknown interest was not found recorded
            raise invalid(f"Invalid interest ID: '{key}'.")
    on = {key for key, value in wanted.items() if value}
    off = {key for key, value in wanted.items() if not value}
    return (old | on) - off


def read_merge(
    audience: Audience, body: JsonObject, old: Mapping[str, object], *, skip: bool, complete: bool
) -> dict[str, object]:
    """The merge values after a write: absent ones stay, unknown tags are ignored.

    `skip` is `skip_merge_validation`; `complete` demands every required field (the contact is
    created or brought back). Raises Problem "Your merge fields were invalid.".
    """
    merge, errors = dict(old), []
    sent = body.get("merge_fields")
    for tag, value in sent.items() if isinstance(sent, dict) else ():
        merge_field = audience.merge_fields.get(tag)
        if merge_field is None:
            continue
        try:
            merge[tag] = read_merge_value(merge_field, value)
        except ValueError as error:
            if skip:
                merge[tag] = value
            else:
                errors.append((tag, str(error)))
    sent_tags = sent if isinstance(sent, dict) else {}
    for tag, merge_field in audience.merge_fields.items():
        asked = complete or tag in sent_tags
        if merge_field.required and asked and not skip and merge.get(tag, "") == "":
            errors.append((tag, "Please enter a value"))
    if errors:
        raise invalid_merge_fields(*errors)
    return {tag: value for tag, value in merge.items() if value != ""}


def read_merge_value(merge_field: MergeField, value: object) -> object:
    """The value as stored; "" clears any type. Raises ValueError with Mailchimp's message."""
    if value == "":
        return ""
    if value is None or isinstance(value, bool | list):
        # Guess at the wording; booleans are not a type
        raise ValueError(f"Schema describes string, {found(value)} found instead")
    return READERS.get(merge_field.type, _read_text)(value, merge_field)


def _read_text(value: object, merge_field: MergeField) -> object:
    if isinstance(value, dict):
        raise ValueError("Schema describes string, object found instead")
    return str(value).encode()[:TEXT_BYTES].decode(errors="ignore")


def _read_number(value: object, merge_field: MergeField) -> object:
    if isinstance(value, int | float):
        return value
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError("Please enter a number") from None
    return int(number) if number.is_integer() else number


def _read_address(value: object, merge_field: MergeField) -> object:
    if not isinstance(value, dict):
        raise ValueError("Please enter a complete address")
    if any(not isinstance(part, str) for part in value.values()):
        raise ValueError("Please enter a complete address")
    # Guess: blanks are no part of an address.
    if not all(value.get(part, "").strip() for part in ("addr1", "city", "state", "zip")):
        raise ValueError("Please enter a complete address")
    parts = ("addr1", "addr2", "city", "state", "zip", "country")
    return {part: value.get(part, "US" if part == "country" else "") for part in parts}


def _read_date(value: object, merge_field: MergeField) -> object:
    for form in ("%Y-%m-%d", "%m/%d/%Y"):
        try:
            return datetime.strptime(str(value), form).date().isoformat()  # noqa: DTZ007
        except ValueError:
            continue
    raise ValueError("Please enter the date")


def _read_birthday(value: object, merge_field: MergeField) -> object:
    try:
        return datetime.strptime(f"2000/{value}", "%Y/%m/%d").strftime("%m/%d")  # noqa: DTZ007
    except ValueError:
        raise ValueError("Please enter your birthday") from None


def _read_phone(value: object, merge_field: MergeField) -> object:
    us = merge_field.options.get("phone_format") == "US"
    if us and not re.fullmatch(r"\(?\d{3}\)?[- ]?\d{3}-?\d{4}", str(value)):
        raise ValueError("Please enter a valid phone number")
    return str(value)


def _read_zip(value: object, merge_field: MergeField) -> object:
    # Guess: ZIP+4 is taken; "Please enter a zip code (5 digits)" was reported.
    if not re.fullmatch(r"\d{5}(-\d{4})?", str(value)):
        raise ValueError("Please enter a zip code (5 digits)")
    return str(value)


def _read_url(value: object, merge_field: MergeField) -> object:
    if not re.fullmatch(r"https?://\S+", str(value)):
        raise ValueError("Please enter a valid URL")
    return str(value)


def _read_choice(value: object, merge_field: MergeField) -> object:
    choices = merge_field.options.get("choices")
    if isinstance(choices, list) and choices and value not in choices:
        raise ValueError("Please choose one of the options")
    return str(value)


# The wordings of all but number and address are guesses.
READERS: Mapping[str, Callable[[object, MergeField], object]] = {
    "number": _read_number,
    "address": _read_address,
    "date": _read_date,
    "birthday": _read_birthday,
    "phone": _read_phone,
    "zip": _read_zip,
    "url": _read_url,
    "imageurl": _read_url,
    "radio": _read_choice,
    "dropdown": _read_choice,
}
