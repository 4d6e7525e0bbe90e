"""Refusals: what Mailchimp would not do is known part by part, and left out until wished anew.

A change asks for several things at once, and is refused as a whole. What was refused is remembered
as these parts, so that nothing else waits for them: an address moves although an interest was
refused, a tag is set although another one was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

from mcsync.model import (
    Decision,
    MemberChange,
    Person,
    PlannedChange,
    Refused,
    SyncStatus,
    email_key,
)

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
    return {part: sha256(value.encode()).hexdigest()[:16] for part, value in values.items()}


def _interest(interest_id: str) -> str:
    return f"interest-{interest_id}"


def _field(tag: str) -> str:
    return f"field {tag}"


def _tag(name: str) -> str:
    return f"tag {name}"


# --- leaving out ----------------------------------------------------------------------------------


def leave_out_refused(decision: Decision, person: Person) -> Decision:
    """Without what Mailchimp has refused already; a newer human act makes a new wish.

    Whether to subscribe is chosen by what was refused; this is about all the rest.
    """
    rows = {row.row_id: row for row in person.rows}
    for planned in decision.changes:
        row = rows.get(planned.row_id or 0)
        if row is None or not row.refusals:
            continue
        refused = dict(_find_refused(planned, row.refusals))
        rest = _without(planned, refused) if refused else planned
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
    change = planned.change
    times = find_times(change, planned.caused_at)
    prints = find_prints(change, {**change.tags, **planned.tags})
    for refused in refusals:
        if refused.email != email_key(change.email) or SUBSCRIBE in refused.times:
            continue
        for part, at in refused.times.items():
            if part in times and times[part] <= at:
                yield part, refused
        for part, value in refused.prints.items():
            if prints.get(part) == value:
                yield part, refused


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
