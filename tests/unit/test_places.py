"""Observe CiviCRM: what a full compare tells of a contact's place in a group, case by case.

Hours are times, and `NOW` is when the compare looks; history ids are given in order.
"""

import pytest

from mcsync.decision import Statement
from mcsync.model import LONG_AGO
from tests.hours import at
from tests.unit.place_rule import History, KnownPlace, Word, observe_place

NOW = at(20)


def said(value: bool, hour: int) -> Word:
    return Statement(value, at(hour))


IN, OUT = said(True, 8), said(False, 9)
IN_SINCE_EVER = Statement(True, LONG_AGO)
JUST_OUT, JUST_IN = Statement(False, NOW), Statement(True, NOW)


def known(status: str | None, word: Word, row: int = 1) -> KnownPlace:
    """What the cache has, said by a history row, which is the newest one known."""
    return KnownPlace(status, word, said_id=row, history_id=row)


def human(status: str, word: Word, row: int = 1) -> History:
    """History whose newest row is a human's."""
    return History(row, status, said_id=row, word=word)


def ours(status: str, row: int = 2, before: Word = None, before_row: int = 0) -> History:
    """History whose newest row is ours, after what a human had said."""
    return History(row, status, said_id=before_row, word=before)


ADDED_BY_HUMAN = human("Added", IN)
REMOVED_BY_HUMAN = human("Removed", OUT, 2)
DELETED_BY_HUMAN = human("Deleted", OUT, 2)

FIRST_SIGHT = [
    pytest.param(None, None, None, id="never there, never heard of"),
    pytest.param("Added", ADDED_BY_HUMAN, known("Added", IN), id="added, and the history says so"),
    pytest.param("Removed", REMOVED_BY_HUMAN, known("Removed", OUT, 2), id="removed, likewise"),
    pytest.param(None, DELETED_BY_HUMAN, known(None, OUT, 2), id="deleted: out since then"),
    pytest.param(
        "Added", None, KnownPlace("Added", IN_SINCE_EVER), id="no history: in, older than anything"
    ),
    pytest.param(
        "Removed",
        None,
        KnownPlace("Removed", Statement(False, LONG_AGO)),
        id="removed without history: out, older than anything",
    ),
    pytest.param(
        "Added",
        ours("Added"),
        KnownPlace("Added", None, 0, 2),
        id="only ours: nobody has said anything",
    ),
    pytest.param(
        "Removed",
        ours("Removed", 2, IN, 1),
        KnownPlace("Removed", IN, 1, 2),
        id="removed by us: what the human said before stands",
    ),
    pytest.param(
        "Added",
        REMOVED_BY_HUMAN,
        known("Added", said(True, 9), 2),
        id="contradicted by what is there: in since the last trace",
    ),
    pytest.param(
        "Removed",
        ours("Added", 2),
        known("Removed", Statement(False, LONG_AGO), 2),
        id="ours says Added, and they are not: out, nobody knows since when",
    ),
    pytest.param("Pending", None, KnownPlace("Pending"), id="pending says nothing"),
    pytest.param(
        "Pending", ADDED_BY_HUMAN, KnownPlace("Pending", None, 1, 1), id="pending after added"
    ),
    pytest.param(
        None,
        ADDED_BY_HUMAN,
        known(None, None),
        id="gone before we ever saw them: nobody knows how, so it says nothing",
    ),
    pytest.param(None, ours("Added"), known(None, None, 2), id="gone, and only we had added them"),
    pytest.param("", ADDED_BY_HUMAN, None, id="no status: nobody knows what that means"),
    pytest.param("Odd", REMOVED_BY_HUMAN, known("Odd", OUT, 2), id="a status unheard of is not in"),
]


@pytest.mark.parametrize(("status", "history", "expected"), FIRST_SIGHT)
def test_a_place_that_we_meet(status, history, expected):
    assert observe_place(None, status, history, NOW) == expected


ADDED = known("Added", IN)
SEEN_AGAIN = [
    pytest.param(ADDED, "Added", ADDED_BY_HUMAN, ADDED, id="nothing new"),
    pytest.param(
        ADDED, "Removed", REMOVED_BY_HUMAN, known("Removed", OUT, 2), id="removed by staff"
    ),
    pytest.param(
        ADDED,
        "Removed",
        ours("Removed", 2, IN, 1),
        KnownPlace("Removed", IN, 1, 2),
        id="removed by us: no word",
    ),
    pytest.param(
        KnownPlace("Removed", IN, 1, 1),
        "Removed",
        ours("Removed", 2, IN, 1),
        KnownPlace("Removed", IN, 1, 2),
        id="our own write, known before its history row was",
    ),
    pytest.param(
        ADDED,
        "Removed",
        ADDED_BY_HUMAN,
        known("Removed", JUST_OUT),
        id="removed without a trace: out as of now",
    ),
    pytest.param(
        known("Removed", OUT, 2),
        "Added",
        REMOVED_BY_HUMAN,
        known("Added", JUST_IN, 2),
        id="added without a trace: in as of now",
    ),
    pytest.param(
        known("Removed", JUST_OUT),
        "Added",
        ADDED_BY_HUMAN,
        known("Added", JUST_IN),
        id="left and came back without a trace: in as of now, whatever an old row says",
    ),
    pytest.param(
        known(None, JUST_OUT),
        "Added",
        ADDED_BY_HUMAN,
        known("Added", JUST_IN),
        id="was gone and is back without a trace: in as of now",
    ),
    pytest.param(
        known("Removed", JUST_OUT),
        "Removed",
        ADDED_BY_HUMAN,
        known("Removed", JUST_OUT),
        id="noticed before: since then",
    ),
    pytest.param(
        known("Removed", JUST_OUT),
        "Removed",
        human("Removed", OUT, 1),
        known("Removed", JUST_OUT),
        id="noticed after the newest row: an old row is no newer word",
    ),
    pytest.param(
        known("Removed", JUST_OUT),
        "Added",
        human("Added", said(True, 21), 3),
        known("Added", said(True, 21), 3),
        id="noticed before, and staff have added them since",
    ),
    pytest.param(ADDED, "Added", None, ADDED, id="the history was purged: the word stands"),
    pytest.param(
        KnownPlace("Added", None, 0, 2),
        "Added",
        None,
        KnownPlace("Added", None, 0, 2),
        id="our own history was purged: nobody has said anything since",
    ),
    pytest.param(
        ADDED,
        "Added",
        human("Added", said(True, 7), 7),
        known("Added", said(True, 7), 7),
        id="rows with new ids tell what they tell",
    ),
    pytest.param(
        known("Removed", OUT, 5),
        "Added",
        human("Added", IN, 3),
        KnownPlace("Added", OUT, 5, 5),
        id="a merge brought them in with older rows: that is no newer word",
    ),
    pytest.param(
        ADDED,
        "Pending",
        None,
        KnownPlace("Pending", None, 1, 1),
        id="made pending: takes back what was said",
    ),
    pytest.param(
        known("Pending", None), "Added", human("Added", OUT, 2), known("Added", OUT, 2),
        id="confirmed",
    ),
    pytest.param(
        ADDED,
        "Added",
        History(3, "Added", 2, OUT),
        KnownPlace("Added", OUT, 2, 3),
        id="staff removed them, and we added them before we heard of it",
    ),
    pytest.param(ADDED, "", REMOVED_BY_HUMAN, ADDED, id="no status: all stays as it was"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "status", "history", "expected"), SEEN_AGAIN)
def test_a_place_that_we_know(before, status, history, expected):
    assert observe_place(before, status, history, NOW) == expected


GONE = [
    pytest.param(ADDED, DELETED_BY_HUMAN, known(None, OUT, 2), id="deleted, and the history says"),
    pytest.param(
        ADDED, ADDED_BY_HUMAN, known(None, JUST_OUT), id="gone without a trace: out as of now"
    ),
    pytest.param(ADDED, None, known(None, JUST_OUT), id="gone with all history: out as of now"),
    pytest.param(
        ADDED,
        ours("Added", 4, IN, 1),
        known(None, JUST_OUT, 4),
        id="gone although we had added them",
    ),
    pytest.param(
        known("Removed", OUT, 2),
        REMOVED_BY_HUMAN,
        known(None, OUT, 2),
        id="gone who was out: since they said so",
    ),
    pytest.param(
        KnownPlace("Removed", IN, 1, 2),
        ours("Removed", 2, IN, 1),
        known(None, JUST_OUT, 2),
        id="gone whom we had removed against their word",
    ),
    pytest.param(known(None, OUT, 2), DELETED_BY_HUMAN, known(None, OUT, 2), id="gone before"),
    pytest.param(known(None, JUST_OUT), None, known(None, JUST_OUT), id="noticed before"),
    pytest.param(
        known(None, JUST_OUT),
        human("Added", said(True, 21), 3),
        known(None, said(True, 21), 3),
        id="added since, and gone again: what was said is heard",
    ),
    pytest.param(
        known("Pending", None), None, known(None, JUST_OUT), id="pending, and gone: out as of now"
    ),
    pytest.param(
        known("Removed", OUT, 2),
        human("Added", said(True, 12), 3),
        known(None, JUST_OUT, 3),
        id="added by staff, and gone before we looked: out as of now, and not in later on",
    ),
    pytest.param(
        ADDED,
        human("Removed", said(False, 12), 3),
        known(None, said(False, 12), 3),
        id="removed by staff, and gone before we looked: out since they said so",
    ),
]


@pytest.mark.parametrize(("before", "history", "expected"), GONE)
def test_a_place_that_is_gone(before, history, expected):
    assert observe_place(before, None, history, NOW) == expected


HIDDEN = [
    pytest.param(ADDED, None, KnownPlace(None, IN, 1, 1), id="what was said stands"),
    pytest.param(ADDED, ADDED_BY_HUMAN, KnownPlace(None, IN, 1, 1), id="told, and no news"),
    pytest.param(ADDED, REMOVED_BY_HUMAN, known(None, OUT, 2), id="a newer word is heard"),
    pytest.param(None, None, None, id="nothing is known of a stranger"),
]


@pytest.mark.parametrize(("before", "history", "expected"), HIDDEN)
def test_a_place_that_went_with_its_contact(before, history, expected):
    """The contact is in the trash, or out of our sight: nobody has taken them from the group."""
    assert observe_place(before, None, history, NOW, is_shown=False) == expected


SMART = [
    pytest.param(None, None, None, id="never in it"),
    pytest.param(None, "Added", KnownPlace("Added"), id="in it"),
    pytest.param(KnownPlace("Added"), None, KnownPlace(None), id="in it before"),
    pytest.param(ADDED, "Added", KnownPlace("Added"), id="it was no smart group before"),
]


@pytest.mark.parametrize(("before", "status", "expected"), SMART)
def test_a_computed_group_says_nothing(before, status, expected):
    assert observe_place(before, status, None, NOW, is_smart=True) == expected
