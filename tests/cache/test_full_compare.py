"""The SQL of a full compare against the rule for one place, over thousands of random histories.

`place_rule.observe_place` says what a place tells; `cache.mirror` does the same for all contacts
of a group at once.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from mcsync.cache import mirror
from mcsync.cache.mirror import (
    begin_compare,
    finish_compare,
    see_group_contacts,
    see_history,
    see_smart_group,
)
from mcsync.cache.store import Store
from mcsync.cache.times import from_text, to_text
from mcsync.decision import Statement
from mcsync.model import LONG_AGO, GroupContact, GroupStatus, HistoryRow
from tests.unit.place_rule import History, KnownPlace, Word, observe_place

GROUP, OTHER = 111, 222
STATUSES = ("Added", "Added", "Removed", "Removed", "Pending", "Deleted", "", "Odd")
CROWD = 2000


def at(hour: int) -> datetime:
    return LONG_AGO if hour == 0 else datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)


NOW, LATER = at(20), at(21)


@dataclass
class Case:
    """One contact: what the cache has of the place, what is there, and what the history tells."""

    contact_id: int
    known: KnownPlace | None = None
    status: str | None = None
    history: list[HistoryRow] = field(default_factory=list)
    is_shown: bool = True


class Fate:
    """Makes up cases."""

    def __init__(self, seed: int) -> None:
        self.luck = random.Random(seed)

    def case(self, contact_id: int) -> Case:
        luck = self.luck
        case = Case(contact_id, is_shown=luck.random() > 0.1)
        case.known = self.known() if luck.random() < 0.7 else None
        case.history = self.history(contact_id) if luck.random() < 0.8 else []
        case.status = luck.choice((None, None, "Added", "Added", "Removed", "Pending", "", "Odd"))
        if case.history and luck.random() < 0.4:  # as it nearly always is
            newest = case.history[-1].status
            case.status = newest if newest in ("Added", "Removed", "Pending") else None
        return case

    def word(self) -> Word:
        if self.luck.random() < 0.3:
            return None
        return Statement(self.luck.random() < 0.5, at(self.luck.randint(0, 12)))

    def known(self) -> KnownPlace:
        """Any that may be there, and some that cannot."""
        said_id = self.luck.randint(0, 8)
        history_id = max(said_id, self.luck.randint(0, 8))
        status = self.luck.choice((None, "Added", "Added", "Removed", "Pending", "Odd"))
        return KnownPlace(status, self.word(), said_id, history_id)

    def history(self, contact_id: int) -> list[HistoryRow]:
        """Some rows, oldest first; after a merge their ids may be lower than one that we know."""
        ids = sorted(self.luck.sample(range(1, 13), self.luck.randint(1, 4)))
        return [
            HistoryRow(
                history_id,
                GROUP,
                contact_id,
                self.luck.choice(STATUSES),
                at(self.luck.randint(0, 12)),
                is_ours=self.luck.random() < 0.4,
            )
            for history_id in ids
        ]


def fold(rows: list[HistoryRow]) -> History | None:
    """What one contact's history tells, row by row."""
    found: History | None = None
    said_id, word = 0, None
    for row in rows:
        if row.status not in set(GroupStatus):
            continue
        if not row.is_ours:
            said_id = row.history_id
            is_pending = row.status == GroupStatus.PENDING
            word = None if is_pending else Statement(row.status == GroupStatus.ADDED, row.at)
        found = History(row.history_id, row.status, said_id, word)
    return found


def expect(case: Case, now: datetime, *, is_smart: bool = False) -> KnownPlace | None:
    history = None if is_smart else fold(case.history)
    return observe_place(
        case.known, case.status, history, now, is_smart=is_smart, is_shown=case.is_shown
    )


# --- in the cache ---------------------------------------------------------------------------------


def set_scene(store: Store, cases: list[Case]) -> None:
    """The cache as it is before: what is known, which contacts are shown, nobody to be told."""
    with store.atomic():
        for case in cases:
            if case.known is not None:
                keep(store, case.contact_id, case.known)
            if case.contact_id % 3 or not case.is_shown:
                hide = "is_deleted" if case.contact_id % 2 else "is_unseen"
                add_contact(store, case.contact_id, hide if not case.is_shown else None)


def keep(store: Store, contact_id: int, known: KnownPlace) -> None:
    word = known.word
    store.query(
        "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status,"
        " history_id, says_in, said_at, said_id, is_dirty) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        (
            GROUP,
            contact_id,
            known.status,
            known.history_id,
            None if word is None else word.value,
            None if word is None else to_text(word.at),
            known.said_id,
        ),
    )


def add_contact(store: Store, contact_id: int, flag: str | None) -> None:
    store.query(
        "INSERT INTO civicrm_mailchimpsync_contact (contact_id, first_name, last_name, is_deleted,"
        " is_deceased, is_opt_out, do_not_email, modified_at, first_name_at, last_name_at,"
        " is_unseen) VALUES (?, '', '', ?, 0, 0, 0, '', '', '', ?)",
        (contact_id, flag == "is_deleted", flag == "is_unseen"),
    )


def compare(store: Store, cases: list[Case], now: datetime) -> None:
    """A full compare, page by page: all history by id, then all places."""
    begin_compare(store)
    rows = sorted((row for case in cases for row in case.history), key=lambda row: row.history_id)
    for start in range(0, len(rows), 700):
        see_history(store, rows[start : start + 700])
    places = [
        GroupContact(GROUP, case.contact_id, case.status)
        for case in cases
        if case.status is not None
    ]
    for start in range(0, len(places), 700):
        see_group_contacts(store, places[start : start + 700])
    finish_compare(store, [GROUP], now)


def load(store: Store) -> tuple[dict[int, KnownPlace], set[int]]:
    """What the cache has by contact, and who changed."""
    found, dirty = {}, set()
    for contact_id, status, history_id, says_in, said_at, said_id, is_dirty in store.query(
        "SELECT contact_id, status, history_id, says_in, said_at, said_id, is_dirty"
        " FROM civicrm_mailchimpsync_group_contact WHERE group_id = ?",
        (GROUP,),
    ):
        assert (says_in is None) == (said_at is None)
        word = None if says_in is None else Statement(bool(says_in), from_text(said_at))
        found[contact_id] = KnownPlace(status, word, said_id, history_id)
        if is_dirty:
            dirty.add(contact_id)
    return found, dirty


def has_news(before: KnownPlace | None, after: KnownPlace | None) -> bool:
    """Whether anybody has to be judged: not for ids that only we look at."""
    if before is None or after is None:
        return before is not after
    return (before.status, before.word) != (after.status, after.word)


@pytest.mark.parametrize("seed", range(4))
def test_a_compare_is_the_rule_for_each_place(store: Store, seed: int):
    fate = Fate(seed)
    cases = [fate.case(contact_id) for contact_id in range(1, CROWD + 1)]
    set_scene(store, cases)
    compare(store, cases, NOW)
    found, dirty = load(store)
    expected = {case.contact_id: expect(case, NOW) for case in cases}
    wrong = [
        (case, expected[case.contact_id], found.get(case.contact_id))
        for case in cases
        if expected[case.contact_id] != found.get(case.contact_id)
    ]
    assert wrong == []
    assert dirty == {c.contact_id for c in cases if has_news(c.known, expected[c.contact_id])}
    assert len(set(map(repr, expected.values()))) > 200  # else nothing was proved


@pytest.mark.parametrize("seed", range(2))
def test_a_second_compare_of_the_same_learns_nothing(store: Store, seed: int):
    fate = Fate(seed)
    cases = [fate.case(contact_id) for contact_id in range(1, CROWD + 1)]
    set_scene(store, cases)
    compare(store, cases, NOW)
    first, _ = load(store)
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_group_contact SET is_dirty = 0")
    compare(store, cases, LATER)
    assert load(store) == (first, set())


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunks_leave_nobody_out(store: Store, monkeypatch: pytest.MonkeyPatch, size: int):
    fate = Fate(9)
    cases = [fate.case(contact_id) for contact_id in fate.luck.sample(range(1, 1000), 60)]
    set_scene(store, cases)
    monkeypatch.setattr(mirror, "_CHUNK", size)
    compare(store, cases, NOW)
    expected = {case.contact_id: expect(case, NOW) for case in cases}
    assert load(store)[0] == {key: place for key, place in expected.items() if place is not None}


def test_other_groups_are_left_alone(store: Store):
    fate = Fate(5)
    cases = [fate.case(contact_id) for contact_id in range(1, 50)]
    set_scene(store, cases)
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_group_contact SELECT ?, contact_id, status,"
            " history_id, says_in, said_at, said_id, is_dirty"
            " FROM civicrm_mailchimpsync_group_contact",
            (OTHER,),
        )
    sql = "SELECT * FROM civicrm_mailchimpsync_group_contact WHERE group_id = ?"
    before = store.query(sql, (OTHER,)).fetchall()
    compare(store, cases, NOW)
    assert store.query(sql, (OTHER,)).fetchall() == before


@pytest.mark.parametrize("seed", range(2))
def test_a_computed_group_is_the_rule_for_each_place(store: Store, seed: int):
    fate = Fate(seed)
    cases = [fate.case(contact_id) for contact_id in range(1, CROWD + 1)]
    for case in cases:
        case.status = fate.luck.choice((None, "Added"))
    set_scene(store, cases)
    begin_compare(store)
    see_smart_group(store, GROUP, [case.contact_id for case in cases if case.status])
    finish_compare(store, [GROUP], NOW, are_smart=True)
    found, dirty = load(store)
    expected = {case.contact_id: expect(case, NOW, is_smart=True) for case in cases}
    assert found == {key: place for key, place in expected.items() if place is not None}
    assert dirty == {c.contact_id for c in cases if has_news(c.known, expected[c.contact_id])}
