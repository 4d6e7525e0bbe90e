"""Names: how Mailchimp's merge fields and CiviCRM's two names become each other.

Later word per field, CiviCRM on a tie; a blank says nothing, so it never overwrites and is
always filled. Audiences with a single NAME field know only both names joined. What CiviCRM has cut
to the width of its column is no word of its own. An organisation or household gives its display
name to Mailchimp, and takes none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mcsync.decision import (
    NAMES,
    ContactView,
    Decision,
    MemberView,
    NameWrite,
    Person,
    PlannedChange,
    Policy,
    Reason,
    RowView,
    Statement,
)
from mcsync.model import MemberChange, fits_merge_text
from mcsync.name_tags import FIRST_NAME_TAG, TAG_OF_NAME, WHOLE_NAME_TAG
from mcsync.reconcile.left_alone import is_left_alone, tell_undone

_CIVICRM_WIDTH = 64  # characters of first_name and last_name

Said = Statement[str]


def join_names(first: str, last: str) -> str:
    """Both names as one, as a NAME field has them."""
    return f"{first} {last}".strip()


def cut_as_civicrm(name: str) -> str:
    """What CiviCRM keeps of a name: it cuts what its column cannot hold (civicrm: Writing)."""
    return name if len(name) <= _CIVICRM_WIDTH else f"{name[: _CIVICRM_WIDTH - 3]}..."


def add_names(decision: Decision, person: Person, policy: Policy) -> Decision:
    """The decision with what names need at either side, for members who are in, or will be.

    Names are never taken to or from a contact who merely shares the address.
    """
    if person.contact is None or not person.rows or any(row.is_shared for row in person.rows):
        return decision
    named = _add_names_of(decision, person.rows, person.contact, policy)
    if named != decision and is_left_alone(person, policy, NAMES):
        return tell_undone(decision)
    return named


def _add_names_of(
    decision: Decision, rows: Sequence[RowView], contact: ContactView, policy: Policy
) -> Decision:
    planned = {change.row_id: change for change in decision.changes}
    staying = [row for row in rows if stays_in(row, planned.get(row.row_id))]
    if not staying:
        return decision
    if not contact.contact.is_person:
        return _add_display_name(decision, staying, contact, policy)
    members = [row.member for row in staying if row.member is not None]
    first, last = _agree_names(members, contact, policy)
    write = _write_contact(contact, first, last, policy)
    if write is not None:
        decision = replace(decision, name_writes=(*decision.name_writes, write))
    for row in staying:
        fields, caused_at = _differing(row.member, first, last, policy)
        if fields:
            decision = _with_fields(decision, row, contact, fields, caused_at)
    return decision


def stays_in(row: RowView, change: PlannedChange | None) -> bool:
    """Whether the row's member is in once the decision is carried out."""
    status = change.change.status if change is not None else None
    if status is not None:
        return status.is_in
    is_leaving = change is not None and change.change.is_archiving
    return row.member is not None and row.member.is_in and not is_leaving


# --- agreeing ---------------------------------------------------------------------------------


def _has_single_name(policy: Policy) -> bool:
    return policy.name_tags == {WHOLE_NAME_TAG}


def _agree_names(
    members: Sequence[MemberView], contact: ContactView, policy: Policy
) -> tuple[Said | None, Said | None]:
    """What the first and the last name should be; None where nobody says anything."""
    if _has_single_name(policy):
        return _agree_joined(members, contact)
    firsts = [Statement(_said(m)[0], m.first_name_at) for m in members]
    lasts = [Statement(_said(m)[1], m.last_name_at) for m in members]
    return (
        _agree_name(firsts, Statement(contact.contact.first_name, contact.first_name_at)),
        _agree_name(lasts, Statement(contact.contact.last_name, contact.last_name_at)),
    )


def _agree_name(members: Sequence[Said], contact: Said) -> Said | None:
    said = [statement for statement in members if statement.value]
    is_cut = any(contact.value == cut_as_civicrm(each.value) != each.value for each in said)
    if contact.value and not is_cut:
        said.insert(0, contact)  # the first of equals is the latest: CiviCRM on a tie
    return max(said, key=lambda statement: statement.at, default=None)


def _said(member: MemberView) -> tuple[str, str]:
    """What was said at Mailchimp, whatever an operation of ours has made of it."""
    said = member.said_names
    return said.get("first_name", member.first_name), said.get("last_name", member.last_name)


def _agree_joined(
    members: Sequence[MemberView], contact: ContactView
) -> tuple[Said | None, Said | None]:
    """With a single field, both names come from one side, and only if they differ joined."""
    first, last = contact.contact.first_name, contact.contact.last_name
    at = max(contact.first_name_at, contact.last_name_at)
    ours = join_names(first, last)
    for member in members:
        names = _said(member)
        theirs = join_names(*names)
        said_at = max(member.first_name_at, member.last_name_at)
        if not theirs or theirs == ours:
            continue
        if join_names(*map(cut_as_civicrm, names)) == ours or not ours or said_at > at:
            (first, last), at = names, said_at
        elif not (first and last):
            first, last = _fill_blank(first, last, theirs, names)
        ours = join_names(first, last)
    return (Statement(first, at) if first else None), (Statement(last, at) if last else None)


def _fill_blank(first: str, last: str, theirs: str, names: tuple[str, str]) -> tuple[str, str]:
    """The contact's names with the blank one as the member has it: blanks never overwrite."""
    if not first and theirs.endswith(f" {last}"):
        return theirs.removesuffix(last).strip(), last
    if not last and theirs.startswith(f"{first} "):
        return first, theirs.removeprefix(first).strip()
    return first or names[0], last or names[1]


# --- writing ----------------------------------------------------------------------------------


def _write_contact(
    contact: ContactView, first: Said | None, last: Said | None, policy: Policy
) -> NameWrite | None:
    new_first = _new_value(contact.contact.first_name, first)
    new_last = _new_value(contact.contact.last_name, last)
    if new_first is None and new_last is None:
        return None
    return NameWrite(
        contact_id=contact.contact_id,
        first_name=new_first,
        last_name=new_last,
        first_name_at=first.at if first else contact.first_name_at,
        last_name_at=last.at if last else contact.last_name_at,
    )


def _new_value(now: str, said: Said | None) -> str | None:
    """What to write, as CiviCRM will keep it, so that we know it again."""
    kept = now if said is None else cut_as_civicrm(said.value)
    return kept if kept != now else None


def _differing(
    member: MemberView | None, first: Said | None, last: Said | None, policy: Policy
) -> tuple[dict[str, str], dict[str, datetime]]:
    """The merge fields to send, and when a human caused them."""
    said = {"first_name": first, "last_name": last}
    now = {
        "first_name": member.first_name if member else "",
        "last_name": member.last_name if member else "",
    }
    joined = join_names(first.value if first else "", last.value if last else "")
    is_same = joined == join_names(now["first_name"], now["last_name"])
    fields: dict[str, str] = {}
    if WHOLE_NAME_TAG in policy.name_tags and joined and not is_same:
        fields[WHOLE_NAME_TAG] = joined
    for name, tag in TAG_OF_NAME.items():
        statement = said[name]
        if tag in policy.name_tags and statement and statement.value != now[name]:
            fields[tag] = statement.value
    caused_at = {name: statement.at for name, statement in said.items() if statement}
    return {tag: name for tag, name in fields.items() if fits_merge_text(name)}, caused_at


def _add_display_name(
    decision: Decision, rows: Sequence[RowView], contact: ContactView, policy: Policy
) -> Decision:
    """The decision with the display name of a contact that is no person.

    It goes into NAME, or into FNAME where there is no NAME, but not beside or over the name that
    somebody there has given later, or as their own.
    """
    name, at = contact.contact.first_name, contact.first_name_at
    tag = WHOLE_NAME_TAG if WHOLE_NAME_TAG in policy.name_tags else FIRST_NAME_TAG
    if not name or tag not in policy.name_tags or not fits_merge_text(name):
        return decision
    for row in rows:
        if row.member is None or _takes_display_name(row.member, name, at, policy):
            caused_at = dict.fromkeys(TAG_OF_NAME if tag == WHOLE_NAME_TAG else ("first_name",), at)
            decision = _with_fields(decision, row, contact, {tag: name}, caused_at)
    return decision


def _takes_display_name(member: MemberView, name: str, at: datetime, policy: Policy) -> bool:
    now = join_names(member.first_name, member.last_name)
    if not now or now == name:
        return not now
    is_later = max(member.first_name_at, member.last_name_at) > at
    has_own = bool(member.last_name) or WHOLE_NAME_TAG in policy.name_tags
    return not is_later and (_has_single_name(policy) or not has_own)


def _with_fields(
    decision: Decision,
    row: RowView,
    contact: ContactView,
    fields: Mapping[str, str],
    caused_at: Mapping[str, datetime],
) -> Decision:
    """The decision with these merge fields in the row's one change."""
    if row.member is not None:
        new = MemberChange(email=row.member.email, member_id=row.member.member_id)
    else:
        new = MemberChange(email="")
    planned = decision.find_change(row.row_id) or PlannedChange(
        row.row_id, contact.contact_id, new, Reason.DATA
    )
    merged = replace(
        planned,
        change=replace(planned.change, merge_fields=fields),
        caused_at={**planned.caused_at, **caused_at},
    )
    return decision.with_change(merged)
