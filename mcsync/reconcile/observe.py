"""Observe: what a look at a member of Mailchimp's tells, and since when.

A look is whatever was learned about one member: a page, a batch's result, the answer to a direct
call, a webhook's re-read, or that the member is not there. All looks come through `observe`.

A member's data is kept as the documents have it, a flat mapping: `status`, `first_name`,
`last_name` and `interest-ID` tell what is there, and a companion whose key ends in `@` when a
human last said something about it ("YYYY-MM-DDTHH:MM:SSZ", so that text order is time order).
Where what was said is not what is there, a companion whose key ends in `!` has it: true or false
for the status (in or out), else the value. That is so while a status is one that we wrote because
of the mail gate, where we wrote a field for somebody who shares the member, and where an operation
of ours ran late and overwrote a later word. A companion whose key ends in `~` is there while the
word is one of CiviCRM's about the member's own contact, which we wrote. Two keys are our own:
`left` is there while Mailchimp gives a reason of the member's own for being out, or gave it for a
word that an operation of ours overwrote; `met` while somebody is as an administrator, or the API,
had left them before we ever saw them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mcsync.model import IN

Value = str | bool | None
Data = dict[str, Value]

STATUS = "status"
LEFT = "left"
MET = "met"
_NAMES = ("first_name", "last_name")
LONG_AGO = "0001-01-01T00:00:00Z"  # model.LONG_AGO in the form of the data's `@` keys
_SILENT = "transactional"  # a shop's customer: an order is no word about a newsletter
_UNSUBSCRIBED = "unsubscribed"
_BY_OTHERS = frozenset((_UNSUBSCRIBED, "archived"))
TELLING = _BY_OTHERS | {_SILENT}  # statuses that tell more than that they were said


@dataclass(frozen=True, slots=True)
class Written:
    """What one update of ours writes, and who caused it.

    `values` maps a field to what we asked Mailchimp to write; `caused_at` maps a field to the
    time of the human act behind it, in the form of the data's `@` keys. `is_gate`: the status is
    written because the contact may not be mailed. `for_others`: fields written for a contact who
    merely shares the member, which puts no word into the mouth of the member's own.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    caused_at: Mapping[str, str] = field(default_factory=dict)
    is_gate: bool = False
    for_others: tuple[str, ...] = ()


class Look(NamedTuple):
    """What was seen of one member, None if they are not there; `at`: the service's time of it.

    For somebody who is there `at` is when the member was last changed. `has_left`: unsubscribed,
    for a reason of their own. `under_way` are our updates that may have been carried out,
    the oldest first; `done` is the one whose result this look is. `in_doubt` is one of which
    nobody told what became of it, while the member was changed since it was sent.
    """

    seen: Mapping[str, Value] | None
    at: str
    has_left: bool = False
    under_way: Sequence[Written] = ()
    done: Written | None = None
    in_doubt: Written | None = None


class Seen(NamedTuple):
    """The member's data after a look, and whether a human said anything that was not known."""

    data: Data
    is_news: bool


def observe(known: Mapping[str, Value] | None, known_at: str | None, look: Look) -> Seen:
    """What is known of a member after a look; `known_at`: of when the newest look before was.

    A value that is neither the one known nor one that we wrote is a new word, said at `look.at`.
    One that we wrote carries the time of the human act that caused it, unless something newer
    was said: then that stands. A word is replaced only by a newer one: a look that is older than
    what is known tells nothing, unless it is the result of an update, or nobody was there.
    """
    if known and known_at is not None and look.at < known_at:
        if look.done is not None and look.seen is not None:
            return _observe_overtaken(known, known_at, look, look.done)
        if look.seen is None or known.get(STATUS) is not None:
            return Seen(dict(known), False)
    if look.seen is None:
        return _observe_absence(known or {}, look.at)
    if known is None and not look.under_way and look.done is None:
        return Seen(_observe_first(look.seen, look.at, has_left=look.has_left), True)
    if look.done is not None and known and look.at == known_at:
        look = _believe_what_was_written(known, look, look.done)
    return _settle_doubt(_observe_next(known or {}, look), look)


def _believe_what_was_written(known: Mapping[str, Value], look: Look, done: Written) -> Look:
    """Of a result as old as what is known only what it wrote is believed.

    Within a second nobody knows what came first: but a result that shows other fields otherwise
    was made before these were changed.
    """
    seen = {k: v for k, v in (look.seen or {}).items() if k in done.values or k not in known}
    has_left = look.has_left if STATUS in done.values else bool(known.get(LEFT))
    return look._replace(seen=seen, has_left=has_left)


def _settle_doubt(seen: Seen, look: Look) -> Seen:
    """Where an update in doubt is not to be seen, a human may have changed it back: they count."""
    if look.in_doubt is None or look.seen is None:
        return seen
    data = dict(seen.data)
    for name, value in look.in_doubt.values.items():
        if name in look.seen and look.seen[name] != value:
            _note_said(data, seen.data, name, look.at)
    return Seen(data, True)


def _observe_first(seen: Mapping[str, Value], at: str, *, has_left: bool) -> Data:
    """The data of a member met for the first time: everything was said at the last change."""
    data: Data = {}
    for name, value in seen.items():
        data[name] = value
        data[f"{name}@"] = at
    note_first_status(data, has_left=has_left)
    return data


def note_first_status(data: Data, *, has_left: bool) -> None:
    """What the status tells of whoever is met for the first time; it was said with all else."""
    status = data.get(STATUS)
    if status == _SILENT:
        del data[f"{STATUS}@"]
    elif has_left:
        data[LEFT] = True
    elif status in _BY_OTHERS:
        data[MET] = True


def _observe_next(known: Mapping[str, Value], look: Look) -> Seen:
    data: Data = dict(known)
    writings = [*look.under_way, *([look.done] if look.done else [])]
    is_first_of_ours = not known
    is_news = False
    for name, value in (look.seen or {}).items():
        if name in known and known[name] == value and (name == STATUS or f"{name}@" in known):
            continue
        data[name] = value
        is_own_word = name == STATUS and look.has_left
        ours = None if is_own_word else _find_writing(writings, name, value)
        if ours is not None:
            is_news |= _note_ours(data, known, name, ours)
        elif is_first_of_ours and not value:  # what we left blank nobody said
            data[f"{name}@"] = LONG_AGO
        else:
            _note_said(data, known, name, look.at)
            is_news = True
    if look.has_left and not known.get(LEFT):
        _note_said(data, known, STATUS, look.at)
        is_news = True
    _note_reason(data, has_left=look.has_left)
    return Seen(data, is_news)


def _note_reason(data: Data, *, has_left: bool) -> None:
    if data.get(f"{STATUS}!") is False:  # it was that of the word that stands
        return
    data.pop(LEFT, None)
    if has_left and data.get(STATUS) == _UNSUBSCRIBED:
        data[LEFT] = True


def _find_writing(writings: Sequence[Written], name: str, value: Value) -> Written | None:
    """The newest of our updates that writes this."""
    for written in reversed(writings):
        if name in written.values and written.values[name] == value:
            return written
    return None


def _note_said(data: Data, known: Mapping[str, Value], name: str, at: str) -> None:
    """A human said what is there now."""
    data.pop(MET, None) if name == STATUS else None
    if name == STATUS and data[STATUS] == _SILENT:
        _keep_word(data, known, name)
        return
    data.pop(f"{name}!", None)
    data.pop(f"{name}~", None)
    before = known.get(f"{name}@")
    data[f"{name}@"] = max(at, before) if isinstance(before, str) else at


def _note_ours(data: Data, known: Mapping[str, Value], name: str, written: Written) -> bool:
    """What is there now was written by us; whether it overwrote something newer."""
    before = known.get(f"{name}@")
    cause = written.caused_at.get(name)
    differs = isinstance(before, str) and _said(known, name) != _as_word(name, data[name])
    is_gate = written.is_gate and name == STATUS
    is_late = differs and cause is not None and str(before) > cause
    if is_gate or is_late or name in written.for_others:
        _keep_word(data, known, name)
        return is_late and not is_gate
    if name == STATUS:
        data.pop(MET, None)
    data.pop(f"{name}!", None)
    if (differs or before is None) and name not in _NAMES:
        data[f"{name}~"] = True
    data[f"{name}@"] = max(cause or LONG_AGO, str(before) if before and not differs else LONG_AGO)
    return False


def _keep_word(data: Data, known: Mapping[str, Value], name: str) -> None:
    """Let what was said stand, whatever is there now."""
    key = f"{name}!"
    data.pop(key, None)
    if f"{name}@" in known and _said(known, name) != _as_word(name, data[name]):
        data[key] = _said(known, name)


def _said(data: Mapping[str, Value], name: str) -> Value:
    """What was last said about a field: in or out for the status, else the value."""
    key = f"{name}!"
    return data[key] if key in data else _as_word(name, data.get(name))


def _as_word(name: str, value: Value) -> Value:
    return value in IN if name == STATUS else value


def _observe_overtaken(
    known: Mapping[str, Value], known_at: str, look: Look, done: Written
) -> Seen:
    """The data after a result that is older than what is known.

    Our write was in place, and a later look showed something else: so it was changed in between,
    by another update of ours or by a human, unless that word is known already. Fields still as we
    wrote them keep the time of the human who caused it.
    """
    data: Data = dict(known)
    is_news = False
    is_gone = known.get(STATUS) is None  # then nothing else was seen since
    for name, value in done.values.items():
        is_same = known.get(name, value) == value
        said_at = known.get(f"{name}@")
        if not is_same and isinstance(said_at, str) and said_at > look.at:
            continue
        data[name] = value
        is_late = _note_ours(data, known, name, done)
        if is_same or (is_gone and name != STATUS):
            is_news |= is_late
        elif is_gone:
            data, is_news = _observe_absence(data, known_at).data, True
        else:
            data, is_said = _observe_again(data, known[name], name, known_at, look)
            is_news |= is_said
    return Seen(data, is_news)


def _observe_again(
    between: Data, value: Value, name: str, known_at: str, look: Look
) -> tuple[Data, bool]:
    """The data after a look at one field that came in before what was there in between."""
    data: Data = {**between, name: value}
    is_own_word = name == STATUS and value == _UNSUBSCRIBED and bool(between.get(LEFT))
    later = None if is_own_word else _find_writing(look.under_way, name, value)
    if later is not None:
        return data, _note_ours(data, between, name, later)
    _note_said(data, between, name, known_at)
    return data, True


def _observe_absence(known: Mapping[str, Value], noticed_at: str) -> Seen:
    """The data of a member who is no longer there: out, since that was noticed."""
    data: Data = dict(known)
    was_out = f"{STATUS}@" in known and not is_said_in(known) and known.get(STATUS) not in IN
    if not was_out:
        data[f"{STATUS}@"] = noticed_at
    data[STATUS] = None
    for key in (f"{STATUS}!", f"{STATUS}~", LEFT, MET):
        data.pop(key, None)
    return Seen(data, True)


def is_said_in(data: Mapping[str, Value]) -> bool:
    """Whether the member's own last word was to be in."""
    return bool(_said(data, STATUS))
