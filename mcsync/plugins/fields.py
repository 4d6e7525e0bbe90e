"""Fields: merge fields filled from fields of the contact, as the config maps them.

The value is fitted to the merge field; what does not fit is not sent, and what was sent before
stays. An empty one takes back what was sent before; what the member gave themselves is never
overwritten with nothing.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from mcsync.model import (
    DataAudience,
    DataRow,
    DataSite,
    DataUpdate,
    FieldsNotShown,
    MergeField,
    MergeValue,
)
from mcsync.plugins.fitting import Fit, Misfit, fit
from mcsync.plugins.hookspec import hookimpl

Values = Mapping[str, object]

ADDRESSES = ("address_primary", "address_billing")  # joins of Contact that lead to an address
# Mailchimp's parts of an address, and the field of CiviCRM's that each is. State and country as
# their abbreviations: Mailchimp's country is an ISO code.
_PARTS = {
    "addr1": "street_address",
    "addr2": "supplemental_address_1",
    "city": "city",
    "state": "state_province_id:abbr",
    "zip": "postal_code",
    "country": "country_id:abbr",
}


class Fields:
    """The plugin; `fields` maps a merge tag to an APIv4 field of Contact, joins included."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {tag.upper(): name for tag, name in fields.items()}
        self._site: DataSite | None = None
        self._usable: dict[str, MergeField] = {}
        self._as = ""

    @hookimpl
    def pre(self, audience: DataAudience, site: DataSite) -> Collection[int]:
        """Bring the mirror of the fields up to date, as far as the audience takes them."""
        self._site = site
        try:
            return self._follow(audience, site)
        except FieldsNotShown:  # a permission has been taken away since it was last asked
            return self._follow(audience, site)

    def _follow(self, audience: DataAudience, site: DataSite) -> Collection[int]:
        """Follow those fields that CiviCRM shows."""
        names = {tag: set(name_sources([source])) for tag, source in self._fields.items()}
        every = set().union(*names.values())
        unknown = set(site.find_unknown_fields(sorted(every)))
        usable, problems = find_usable(self._fields, audience.merge_fields)
        for tag, problem in sorted(problems.items()):
            site.tell_skipped(f"data.fields.{tag}", problem)
        self._usable = {tag: each for tag, each in usable.items() if not names[tag] & unknown}
        formats = [(tag, self._fields[tag], *_form(f)) for tag, f in sorted(self._usable.items())]
        self._as = sha256(json.dumps(formats).encode()).hexdigest()[:16]
        return site.follow_fields(sorted(every - unknown), self._as) if self._usable else ()

    @hookimpl
    def check_chunk(self, rows: Sequence[DataRow]) -> Iterator[DataUpdate]:
        """Send what differs from what was sent."""
        if self._site is None or not self._usable:
            return
        mirrored = self._site.load_fields([row.contact_id for row in rows])
        for row in rows:
            values = mirrored.get(row.contact_id)
            if values is not None and (update := self._compare(row, values)) is not None:
                yield update

    def _compare(self, row: DataRow, values: Values) -> DataUpdate | None:
        """The update of a row; what is left out is told once, as long as it is left out."""
        sent = _read_kept(row, "sent")
        fits = fit_values(self._fields, self._usable, values)
        wanted = {tag: each.value for tag, each in fits.items() if each.misfit is None}
        misfits = {
            tag: each.misfit.value
            for tag, each in fits.items()
            if each.misfit is not None and (each.misfit is not Misfit.REQUIRED or tag in sent)
        }
        changed = {tag: value for tag, value in wanted.items() if value != sent.get(tag, "")}
        stays = {tag: v for tag, v in sent.items() if tag in self._fields and tag not in wanted}
        told: dict[str, object] = {
            "seen": dict(values),
            "as": self._as,
            "sent": {**stays, **{tag: value for tag, value in wanted.items() if value}},
        }
        if misfits:
            told["left_out"] = misfits
        metadata = told if values else {}
        if not changed and metadata == row.metadata:
            return None
        before = _read_kept(row, "left_out")
        news = {tag: why for tag, why in misfits.items() if before.get(tag) != why}
        return DataUpdate(row.row_id, merge_fields=changed, metadata=metadata, left_out=news)


def _form(merge_field: MergeField) -> tuple[object, ...]:
    """All of a merge field that decides how a value is sent, or whether it fits."""
    return (
        merge_field.type,
        merge_field.choices,
        merge_field.phone_format,
        merge_field.is_required,
    )


def _read_kept(row: DataRow, name: str) -> dict[str, MergeValue]:
    kept = row.metadata.get(name)
    return kept if isinstance(kept, dict) else {}


# --- what is mapped to what -----------------------------------------------------------------------


def find_usable(
    fields: Mapping[str, str], merge_fields: Iterable[MergeField]
) -> tuple[dict[str, MergeField], dict[str, str]]:
    """Which of the mapped merge fields can be filled, and why the others cannot; by tag."""
    known = {merge_field.tag.upper(): merge_field for merge_field in merge_fields}
    tags = {tag.upper(): name for tag, name in fields.items()}
    found = {tag: find_problem(tag, name, known) for tag, name in tags.items()}
    usable = {tag: known[tag] for tag, problem in found.items() if problem is None}
    return usable, {tag: problem for tag, problem in found.items() if problem is not None}


def find_problem(tag: str, source: str, known: Mapping[str, MergeField]) -> str | None:
    """Why a merge field cannot be filled, or None; `known` are the audience's, by tag."""
    if tag not in known:
        return "the audience has no such merge field"
    is_address = known[tag].type == "address"
    if is_address and source not in ADDRESSES:
        return f"an address is filled as a whole, from {' or '.join(ADDRESSES)}"
    if not is_address and source in ADDRESSES:
        return f"{source} is a whole address, but the merge field has the type {known[tag].type}"
    return None


def name_sources(sources: Iterable[str]) -> list[str]:
    """The APIv4 fields of Contact to be read, in order; an address is read by its parts."""
    return sorted({name for source in sources for name in _name_parts(source).values()})


def _name_parts(source: str) -> dict[str, str]:
    if source not in ADDRESSES:
        return {"": source}
    return {part: f"{source}.{name}" for part, name in _PARTS.items()}


# --- what is sent ---------------------------------------------------------------------------------


def fit_values(
    fields: Mapping[str, str], usable: Mapping[str, MergeField], values: Values
) -> dict[str, Fit]:
    """What a contact's values are as these merge fields take them."""
    return {tag: fit(_find_value(fields[tag], values), each) for tag, each in usable.items()}


def _find_value(source: str, values: Values) -> object:
    if source not in ADDRESSES:
        return values.get(source)
    return {part: values[name] for part, name in _name_parts(source).items() if name in values}


def count_misfits(
    fields: Mapping[str, str], merge_fields: Iterable[MergeField], contacts: Iterable[Values]
) -> Counter[tuple[str, str]]:
    """How many of these contacts have a value that is left out, by merge tag and reason."""
    usable, _ = find_usable(fields, merge_fields)
    mapped = {tag.upper(): name for tag, name in fields.items()}
    return Counter(
        (tag, each.misfit.value)
        for values in contacts
        for tag, each in fit_values(mapped, usable, values).items()
        if each.misfit is not None
    )
