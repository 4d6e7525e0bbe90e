"""Observe: what a look at Mailchimp tells about a member, and since when.

A member's data is kept as the documents have it, a flat mapping: `status`, `first_name`,
`last_name` and `interest-ID`, each with a companion whose key ends in `@` that tells when it
was last changed *by a human* ("YYYY-MM-DDTHH:MM:SSZ", so that text order is time order).
One key is our own: `gated` is there while the status is one that we wrote because the contact
may not be mailed, which says nothing about what the member wants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | bool | None
Data = dict[str, Value]

STATUS = "status"
GATED = "gated"
_AT = {name: f"{name}@" for name in (STATUS, "first_name", "last_name")}  # of every member
LONG_AGO = "0001-01-01T00:00:00Z"  # model.LONG_AGO in the form of the data's `@` keys


@dataclass(frozen=True, slots=True)
class Written:
    """What our open or just finished updates of one member wrote, and who caused it.

    `values` maps a field to what we asked Mailchimp to write; `caused_at` maps a field to the
    time of the human act behind it, in the form of the data's `@` keys.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    caused_at: Mapping[str, str] = field(default_factory=dict)
    is_gate: bool = False


NOTHING_WRITTEN = Written()


def observe_first(seen: Mapping[str, Value], last_changed: str) -> Data:
    """The data of a member met for the first time: everything was said at `last_changed`."""
    data: Data = {}
    for name, value in seen.items():
        data[name] = value
        data[_AT.get(name) or f"{name}@"] = last_changed
    return data


def observe(
    known: Mapping[str, Value],
    seen: Mapping[str, Value],
    last_changed: str,
    written: Written = NOTHING_WRITTEN,
) -> Data:
    """The member's data after a look that is newer than `known`.

    A value that is neither the one known nor the one we wrote is a new statement, made at
    `last_changed`. One that we wrote carries the time of the human act that caused it.
    """
    data: Data = dict(known)
    is_new_of_ours = not known and bool(written.values)  # what we left blank nobody said
    for name, value in seen.items():
        at = f"{name}@"
        if at in known and known.get(name) == value:
            continue
        data[name] = value
        if name not in written.values or written.values[name] != value:
            data[at] = LONG_AGO if is_new_of_ours and not value else last_changed
            if name == STATUS:
                data.pop(GATED, None)
        elif name == STATUS:
            _observe_written_status(data, written, last_changed)
        else:
            data[at] = written.caused_at.get(name, last_changed)
    return data


def _observe_written_status(data: Data, written: Written, last_changed: str) -> None:
    if written.is_gate:
        data[GATED] = True  # the member's own word, and its time, stand
        return
    data.pop(GATED, None)
    data[f"{STATUS}@"] = written.caused_at.get(STATUS, last_changed)


def observe_overtaken(known: Mapping[str, Value], known_changed: str, written: Written) -> Data:
    """The data after a result that is older than what is `known`.

    Our write was in place, and a later look showed something else: so a human changed it in
    between, not before. Fields still as we wrote them keep the time of the human who caused it.
    """
    data: Data = dict(known)
    for name, value in written.values.items():
        if known.get(name) == value and name == STATUS:
            _observe_written_status(data, written, known_changed)
        elif known.get(name) == value:
            data[f"{name}@"] = written.caused_at.get(name, known_changed)
        else:
            data[f"{name}@"] = known_changed
            if name == STATUS:
                data.pop(GATED, None)
    return data


def observe_vanished(known: Mapping[str, Value], noticed_at: str) -> Data:
    """The data of a member whom a full fetch no longer returned: out, since that fetch."""
    data: Data = dict(known)
    if is_said_in(known) or STATUS not in known:
        data[f"{STATUS}@"] = noticed_at
    data[STATUS] = None
    data.pop(GATED, None)
    return data


def is_said_in(data: Mapping[str, Value]) -> bool:
    """Whether the member's own last word was to be in."""
    return data.get(STATUS) in ("subscribed", "pending") or bool(data.get(GATED))
