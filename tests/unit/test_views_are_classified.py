"""Nobody is judged by another's case through a field that was forgotten.

Many people are judged by one of them: those whose views have the same shape, and of whom one
condition in SQL says that they may. So of every field that the rules may read it must be said
how it counts: as part of the shape, in the condition, or not at all.
"""

import inspect
from collections.abc import Mapping

import pytest

from mcsync.decision import ContactView, MemberView, Place, Policy, RowView
from mcsync.model import Contact, Email

VIEWS = (MemberView, RowView, ContactView, Contact, Email, Place, Policy)
SHAPE, CONDITION, UNREAD = "in the shape", "in the condition", "no rule reads it"

# Where `cache.plain_people` takes care of each field that the rules can see.
FIELDS: Mapping[str, Mapping[str, str]] = {
    "MemberView": {
        "row_id": UNREAD,
        "email": CONDITION,
        "member_id": CONDITION,
        "status": SHAPE,
        "subscription": SHAPE,
        "interests": SHAPE,
        "has": SHAPE,
        "has_left": SHAPE,
        "written": UNREAD,  # of one's own member
        "is_stranger": CONDITION,  # it counts only where the contact may not be mailed
        "first_name": CONDITION,
        "last_name": CONDITION,
        "first_name_at": CONDITION,
        "last_name_at": CONDITION,
        "said_names": CONDITION,
    },
    "RowView": {
        "row_id": UNREAD,
        "contact_id": CONDITION,
        "member": CONDITION,
        "refusals": CONDITION,
        "reconfirmed_at": CONDITION,
        "lost_at": CONDITION,
        "email": CONDITION,
        "is_shared": CONDITION,
        "moved_from": CONDITION,
        "owned_by": CONDITION,
        "agreed": SHAPE,
        "due": UNREAD,
        "is_under_way": CONDITION,
        "undone": CONDITION,
    },
    "ContactView": {
        "contact": CONDITION,
        "emails": CONDITION,
        "places": SHAPE,
        "gate_closed_at": CONDITION,
        "first_name_at": CONDITION,
        "last_name_at": CONDITION,
        "is_unseen": CONDITION,
    },
    "Contact": {
        "contact_id": UNREAD,
        "first_name": CONDITION,
        "last_name": CONDITION,
        "is_deleted": CONDITION,
        "is_deceased": CONDITION,
        "is_opt_out": CONDITION,
        "do_not_email": CONDITION,
        "modified_at": UNREAD,
        "created_at": UNREAD,
        "is_person": UNREAD,  # only names ask, and they are the same at both sides
    },
    "Email": {
        "email_id": CONDITION,
        "contact_id": CONDITION,
        "email": CONDITION,
        "is_primary": CONDITION,
        "is_bulkmail": CONDITION,
        "on_hold": CONDITION,
    },
    "Place": {"is_added": SHAPE, "said": SHAPE, "is_known": SHAPE},
    # All plain people of a run are judged under one and the same policy.
    "Policy": dict.fromkeys(Policy.__dataclass_fields__, SHAPE),
}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_every_field_is_classified_and_no_other(view: type):
    classified = FIELDS[view.__name__]
    assert set(classified) == set(inspect.signature(view).parameters)
    assert set(classified.values()) <= {SHAPE, CONDITION, UNREAD}


def test_no_other_view_is_classified():
    assert set(FIELDS) == {view.__name__ for view in VIEWS}
