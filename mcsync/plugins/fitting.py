"""Fitting: a value as a merge field takes it, or why the field would not take it.

Mailchimp refuses the whole operation for one value that does not fit its merge field. So such a
value is left out before it is sent, and told. Pure: nothing here knows a cache or a service.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mcsync.model import MERGE_TEXT_BYTES, MergeField, MergeValue, fits_merge_text, text_of_value

ADDRESS_PARTS = ("addr1", "addr2", "city", "state", "zip", "country")
# The guide's "required keys" (mailchimp: Writing). Not said: whether a state may be empty, where a
# country has none; it is reported as refused, with the whole operation.
_NEEDED_PARTS = ("addr1", "city", "state", "zip")

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?!\d)")
_AMERICAN_DATE = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})")
_DAY = re.compile(r"(\d\d?)/(\d\d?)")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_ZIP = re.compile(r"\d{5}(-\d{4})?", re.ASCII)
_URL = re.compile(r"https?://[^\s/]\S*", re.IGNORECASE)
_US_PHONE = re.compile(r"(\(\d{3}\)|\d{3})[- ]?\d{3}-?\d{4}", re.ASCII)
_PHONE_SIGNS = re.compile(r"[\s().+/-]")
_LEAP_YEAR = 2000  # a birthday may be 29 February


class Misfit(StrEnum):
    """Why a value is left out; the text completes "3 values were left out: "."""

    CHOICE = "not one of the field's choices"
    PHONE = "not a US phone number"
    DATE = "not a date"
    NUMBER = "not a number"
    ZIP = "not a US zip code"
    URL = "not a web address"
    LENGTH = f"longer than {MERGE_TEXT_BYTES} bytes"
    CHARACTER = "it contains a character that cannot be sent"
    ADDRESS = "not a complete address with street, city, state and zip"
    REQUIRED = "empty, and the field is required"


@dataclass(frozen=True, slots=True)
class Fit:
    """What to send, "" to clear the field; or, with `misfit`, why nothing can be sent."""

    value: MergeValue = ""
    misfit: Misfit | None = None


def fit(value: object, merge_field: MergeField) -> Fit:
    """The value as the merge field takes it, or why it does not.

    `value` is whatever JSON can say; an address is a mapping of Mailchimp's own parts (`addr1`,
    `city`, ...) to texts. What has been fitted fits again as it is.
    """
    if merge_field.type == "address":
        return _fit_address(value, merge_field)
    text = to_text(value)
    if not text:
        return Fit(misfit=Misfit.REQUIRED if merge_field.is_required else None)
    if "\0" in text:
        return Fit(misfit=Misfit.CHARACTER)
    found = _FITTERS.get(merge_field.type, _fit_text)(text, merge_field)
    if isinstance(found, str) and not fits_merge_text(found):
        return Fit(misfit=Misfit.LENGTH)
    return Fit(misfit=found) if isinstance(found, Misfit) else Fit(found)


def to_text(value: object) -> str:
    """A value of JSON as text, without blanks around it; several are joined by commas."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(to_text, value))
    return text_of_value(value).strip()


# --- by type --------------------------------------------------------------------------------------

Fitter = Callable[[str, MergeField], str | Misfit]


def _fit_address(value: object, merge_field: MergeField) -> Fit:
    """An address whole or not at all: Mailchimp refuses one that lacks a part."""
    if value in (None, "", {}):
        return Fit(misfit=Misfit.REQUIRED if merge_field.is_required else None)
    if not isinstance(value, Mapping):
        return Fit(misfit=Misfit.ADDRESS)
    texts = ((part, to_text(value.get(part))) for part in ADDRESS_PARTS)
    parts = {part: text for part, text in texts if text}
    if not all(part in parts for part in _NEEDED_PARTS):
        return Fit(misfit=Misfit.ADDRESS)
    if any("\0" in text for text in parts.values()):
        return Fit(misfit=Misfit.CHARACTER)
    if not all(map(fits_merge_text, parts.values())):
        return Fit(misfit=Misfit.LENGTH)
    return Fit(parts)


def _fit_text(text: str, _: MergeField) -> str | Misfit:
    return text


def _fit_choice(text: str, merge_field: MergeField) -> str | Misfit:
    """The choice as the field spells it; a field that names no choices takes anything."""
    if not merge_field.choices or text in merge_field.choices:
        return text
    folded = {choice.strip().casefold(): choice for choice in merge_field.choices}
    return folded.get(text.casefold(), Misfit.CHOICE)


def _fit_phone(text: str, merge_field: MergeField) -> str | Misfit:
    """A field of the US format takes ten digits only; any other one takes anything."""
    if merge_field.phone_format.upper() != "US" or _US_PHONE.fullmatch(text):
        return text
    digits = _PHONE_SIGNS.sub("", text)
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    is_number = len(digits) == 10 and digits.isascii() and digits.isdecimal()
    return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}" if is_number else Misfit.PHONE


def _fit_date(text: str, _: MergeField) -> str | Misfit:
    found = _read_date(text)
    return Misfit.DATE if found is None else found.isoformat()


def _read_date(text: str) -> date | None:
    """A date as CiviCRM writes it, perhaps with a time behind it, or as Mailchimp takes it too."""
    try:
        if found := _DATE.match(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _AMERICAN_DATE.fullmatch(text):
            return date(int(found[3]), int(found[1]), int(found[2]))
    except ValueError:
        return None
    return None


def _fit_birthday(text: str, _: MergeField) -> str | Misfit:
    """Month and day; in whatever order the field shows them, the API takes them in this one."""
    found = _read_date(text)
    if found is None and (day := _DAY.fullmatch(text)):
        found = _read_date(f"{day[1]}/{day[2]}/{_LEAP_YEAR}")
    return Misfit.DATE if found is None else f"{found:%m/%d}"


def _like(form: re.Pattern[str], misfit: Misfit) -> Fitter:
    """Takes texts of a form, as they are."""
    return lambda text, _: text if form.fullmatch(text) else misfit


_FITTERS: Mapping[str, Fitter] = {
    "birthday": _fit_birthday,
    "date": _fit_date,
    "dropdown": _fit_choice,
    "imageurl": _like(_URL, Misfit.URL),
    "number": _like(_NUMBER, Misfit.NUMBER),
    "phone": _fit_phone,
    "radio": _fit_choice,
    "url": _like(_URL, Misfit.URL),
    "zip": _like(_ZIP, Misfit.ZIP),
}
