"""How many contacts stand where in a group: kept by triggers, and never other than counted."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from mcsync.cache.contacts import save_contacts
from mcsync.cache.migrations import migrations
from mcsync.cache.mirror import (
    apply_history,
    begin_compare,
    count_places,
    finish_compare,
    note_places,
    see_group_contacts,
    see_smart_group,
)
from mcsync.cache.store import Store
from mcsync.model import Contact, ContactPage, GroupContact, GroupStatus, HistoryRow

GROUPS = [111, 222, 333]
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def counted(store: Store) -> dict[tuple[int, str], int]:
    rows = store.query(
        "SELECT group_id, status, count(*) FROM civicrm_mailchimpsync_group_contact"
        " WHERE status IS NOT NULL GROUP BY 1, 2"
    )
    return {(row[0], row[1]): row[2] for row in rows}


class Chance:
    """Everything that may happen to a place, in any order."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.luck = random.Random(seed)
        self.history_id = 0

    def contacts(self) -> list[int]:
        return [self.luck.randint(1, 30) for _ in range(8)]

    def history(self) -> None:
        rows = []
        for contact in self.contacts():
            self.history_id += 1
            status = self.luck.choice(("Added", "Removed", "Pending", "Deleted"))
            rows.append(
                HistoryRow(self.history_id, self.luck.choice(GROUPS), contact, status, NOW, False)
            )
        with self.store.atomic():
            apply_history(self.store, rows)

    def written(self) -> None:
        status = self.luck.choice((GroupStatus.ADDED, GroupStatus.REMOVED))
        with self.store.atomic():
            note_places(self.store, self.luck.choice(GROUPS), status, self.contacts())

    def compared(self) -> None:
        begin_compare(self.store)
        see_group_contacts(
            self.store,
            [
                GroupContact(111, contact, self.luck.choice(("Added", "Removed", "Odd")))
                for contact in self.contacts()
            ],
        )
        finish_compare(self.store, [111], NOW)

    def resolved(self) -> None:
        begin_compare(self.store)
        see_smart_group(self.store, 222, self.contacts())
        finish_compare(self.store, [222], NOW, are_smart=True)

    def became_somebody_else(self) -> None:
        """The id means another person now: all that was known of it goes."""
        for day in (1, 2):
            created = NOW - timedelta(days=day)
            contact = Contact(self.luck.randint(1, 30), "", "", created_at=created)
            save_contacts(self.store, ContactPage((contact,), ()), NOW)

    def by_hand(self) -> None:
        """Statements that conflict resolution, moves and deletions come from."""
        contact, other = self.luck.sample(range(1, 31), 2)
        self.store.query(
            "DELETE FROM civicrm_mailchimpsync_group_contact WHERE contact_id = ?", (contact,)
        )
        self.store.query(
            "UPDATE OR IGNORE civicrm_mailchimpsync_group_contact SET group_id = 111"
            " WHERE contact_id = ?",
            (other,),
        )
        self.store.query(
            "INSERT OR IGNORE INTO civicrm_mailchimpsync_group_contact"
            " (group_id, contact_id, status) VALUES (1, ?, 'x')",
            (contact,),
        )


@pytest.mark.parametrize("seed", range(5))
def test_the_counts_are_those_that_counting_gives(store: Store, seed: int):
    chance = Chance(store, seed)
    groups = [*GROUPS, 1]
    for _ in range(60):
        happenings = (chance.history, chance.written, chance.compared, chance.resolved)
        chance.luck.choice((*happenings, chance.became_somebody_else))()
        if chance.luck.random() < 0.3:
            with store.atomic():
                chance.by_hand()
        assert count_places(store, groups) == counted(store)
    assert len(counted(store)) > 3


def test_what_is_rolled_back_was_never_counted(store: Store):
    chance = Chance(store, 7)
    chance.history()
    before = count_places(store, GROUPS)
    store.query("BEGIN")
    chance.written()
    assert count_places(store, GROUPS) == counted(store) != before
    store.query("ROLLBACK")
    assert count_places(store, GROUPS) == before == counted(store)


def test_a_released_cache_is_counted_once_and_keeps_its_rows(tmp_path: Path):
    path = tmp_path / "mcsync.db"
    db = Database(path)
    migrations.apply(db, stop_before="m006_one_queue")
    db.conn.executemany(
        "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status)"
        " VALUES (?, ?, ?)",
        [(111, 1, "Added"), (111, 2, "Added"), (111, 3, "Removed"), (222, 1, None)],
    )
    db.conn.execute(
        "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key, sync_status)"
        " VALUES ('aaaaaaaaaa', 'fred@example.org', 'ok')"
    )
    db.conn.commit()
    db.close()
    store = Store(path)
    try:
        assert count_places(store, GROUPS) == {(111, "Added"): 2, (111, "Removed"): 1}
        assert store.query("SELECT count(*) FROM civicrm_mailchimpsync_cache").fetchone() == (1,)
        with store.atomic():
            note_places(store, 111, GroupStatus.ADDED, [3])
        assert count_places(store, GROUPS) == counted(store)
    finally:
        store.close()
