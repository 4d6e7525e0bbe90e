"""Refusals: what Mailchimp would not do is known part by part, and left out until wished anew.

A change asks for several things at once, and is refused as a whole. What was refused is remembered
as these parts, so that nothing else waits for them: an address moves although an interest was
refused, a tag is set although another one was.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import TypeVar

from mcsync.decision import Decision, Person, PlannedChange, Reason, Refused, SyncStatus
from mcsync.model import MemberChange, MergeValue, email_key

# What may pass is tried again after these pauses, then given up.
PAUSES = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
SUBSCRIBE, LEAVE = "subscribe", "leave"
_EMAIL = "email"
_T = TypeVar("_T")


# --- the parts of a change ------------------------------------------------------------------------


def find_times(change: MemberChange, caused_at: Mapping[str, _T]) -> dict[str, _T]:
    """Since when humans wish what a change asks for: to subscribe, to leave, each interest."""
    names = {_interest(interest_id): _interest(interest_id) for interest_id in change.interests}
    if change.is_leaving or change.status is not None:
        names[LEAVE if change.is_leaving else SUBSCRIBE] = "status"
    return {part: caused_at[name] for part, name in names.items() if name in caused_at}


def find_prints(change: MemberChange, tags: Mapping[str, bool]) -> dict[str, str]:
    """What else a change asks for, as fingerprints: the new address, each merge field and tag.

    Whenever that is wished, it is the same wish as long as it is the same value.
    """
    values = {_field(tag): str(value) for tag, value in change.merge_fields.items()}
    values |= {_tag(name): str(is_on) for name, is_on in tags.items()}
    if change.new_email is not None:
        values[_EMAIL] = email_key(change.new_email)
    return {part: _print(value) for part, value in values.items()}


def without_prints(
    merge_fields: Mapping[str, MergeValue],
    tags: Mapping[str, bool],
    prints: Container[tuple[str, str]],
) -> tuple[dict[str, MergeValue], dict[str, bool]]:
    """Data without those that have one of these fingerprints, given as (part, fingerprint)."""
    return (
        {k: v for k, v in merge_fields.items() if (_field(k), _print(str(v))) not in prints},
        {k: v for k, v in tags.items() if (_tag(k), _print(str(v))) not in prints},
    )


def _print(value: str) -> str:
    return sha256(value.encode()).hexdigest()[:16]


def _interest(interest_id: str) -> str:
    return f"interest-{interest_id}"


def _field(tag: str) -> str:
    return f"field {tag}"


def _tag(name: str) -> str:
    return f"tag {name}"


def is_of_data(parts: Collection[str]) -> bool:
    """Whether these parts are merge fields and tags, and nothing else."""
    return bool(parts) and all(part.startswith((_field(""), _tag(""))) for part in parts)


# --- data that were given up ----------------------------------------------------------------------


def find_refused_data(person: Person) -> set[int]:
    """Rows of members who are in, and of whom Mailchimp did not take some data for good."""
    return {
        row.row_id
        for row in person.rows
        if row.member is not None and row.member.is_in and any(map(_is_given_up_data, row.refusals))
    }


def _is_given_up_data(refused: Refused) -> bool:
    is_given_up = not (refused.is_paused or refused.lacks_field or refused.times)
    return is_given_up and is_of_data(refused.prints)


def keep_refused(decision: Decision, row_ids: Iterable[int]) -> Decision:
    """The decision where data are not judged: what was refused of these rows is refused still."""
    fine = {v.row_id for v in decision.verdicts if v.sync_status is SyncStatus.OK}
    for row_id in fine.intersection(row_ids):
        decision = decision.with_verdict(row_id, SyncStatus.FAIL, Reason.REFUSED)
    return decision


# --- leaving out ----------------------------------------------------------------------------------


def leave_out_refused(decision: Decision, person: Person) -> Decision:
    """Without what Mailchimp has refused already; a newer human act makes a new wish.

    Whether to subscribe is chosen by what was refused; this is about all the rest.
    """
    rows = {row.row_id: row for row in (*person.rows, *person.shared)}
    for planned in decision.changes:
        row = rows.get(planned.row_id or 0)
        if row is None or not row.refusals:
            continue
        refused = dict(_find_refused(planned, row.refusals))
        rest = _without(planned, refused) if refused else planned
        if rest is not None and _lacks_field(rest, row.refusals):
            rest = replace(rest, change=replace(rest.change, skips_validation=True))
        if rest is None:
            others = tuple(each for each in decision.changes if each is not planned)
            is_paused = any(each.is_paused for each in refused.values())
            status = SyncStatus.TODO if is_paused else SyncStatus.FAIL
            reason = next(iter(refused.values())).reason
            decision = replace(decision, changes=others).with_verdict(row.row_id, status, reason)
        elif rest is not planned:
            decision = decision.with_change(rest)
    return decision


def _find_refused(
    planned: PlannedChange, refusals: tuple[Refused, ...]
) -> Iterator[tuple[str, Refused]]:
    """The parts of a change that were refused for the same wish, and when.

    What was refused together with subscribing says nothing about somebody who is in.
    """
    for refused in refusals:
        if SUBSCRIBE not in refused.times and not refused.lacks_field:
            for part in _find_same(planned, refused):
                yield part, refused


def _lacks_field(planned: PlannedChange, refusals: tuple[Refused, ...]) -> bool:
    """Whether what is left was refused only because a required merge field has no value."""
    if planned.change.is_archiving:  # which sends no fields, and so is not validated
        return False
    return any(r.lacks_field and any(_find_same(planned, r)) for r in refusals)


def _find_same(planned: PlannedChange, refused: Refused) -> Iterator[str]:
    """The parts of a change that are the same wish as what was refused."""
    change = planned.change
    if refused.email != email_key(change.email):
        return
    times = find_times(change, planned.caused_at)
    prints = find_prints(change, {**change.tags, **planned.tags})
    yield from (part for part, at in refused.times.items() if part in times and times[part] <= at)
    yield from (part for part, value in refused.prints.items() if prints.get(part) == value)


def _without(planned: PlannedChange, refused: Mapping[str, Refused]) -> PlannedChange | None:
    """A change without these parts; None if nothing is left."""
    change = planned.change
    if LEAVE in refused:
        return None
    rest = replace(
        change,
        new_email=None if _EMAIL in refused else change.new_email,
        interests={k: v for k, v in change.interests.items() if _interest(k) not in refused},
        merge_fields={k: v for k, v in change.merge_fields.items() if _field(k) not in refused},
    )
    tags = {name: is_on for name, is_on in planned.tags.items() if _tag(name) not in refused}
    if rest.is_empty and not tags:
        return None
    has_all_data = (len(rest.merge_fields), tags) == (len(change.merge_fields), planned.tags)
    return replace(
        planned,
        change=rest,
        tags=tags,
        caused_at={k: v for k, v in planned.caused_at.items() if k not in refused},
        for_others=tuple(name for name in planned.for_others if name not in refused),
        metadata=planned.metadata if has_all_data else {},
    )
