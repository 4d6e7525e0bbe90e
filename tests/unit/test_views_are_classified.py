"""Nobody is judged by another's case through a field that was forgotten.

Many people are judged by one of them: those whose views have the same shape, and of whom one
condition in SQL says that they may. So of every field that the rules may read it must be said
how it counts: as part of the shape, in the condition, or not at all.
"""

from dataclasses import fields

import pytest

from mcsync.cache.plain_people import FIELDS
from mcsync.decision import ContactView, MemberView, Place, Policy, RowView
from mcsync.model import Contact, Email

VIEWS = (MemberView, RowView, ContactView, Contact, Email, Place, Policy)
WAYS = {"in the shape", "in the condition", "no rule reads it"}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_every_field_is_classified_and_no_other(view: type):
    classified = FIELDS[view.__name__]
    assert set(classified) == {field.name for field in fields(view)}
    assert set(classified.values()) <= WAYS


def test_no_other_view_is_classified():
    assert set(FIELDS) == {view.__name__ for view in VIEWS}
