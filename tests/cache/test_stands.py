"""Where each contact of a group stands, by SQL and by looking at them one by one."""

from collections import Counter
from random import Random

import pytest

from mcsync.cache.report_counts import (
    StandCount,
    Stands,
    count_placed_rows,
    count_stands,
    load_barred,
)
from mcsync.cache.store import Store
from tests.cache.filling import GROUP

LISTS = ("aaaaaaaaaa", "bbbbbbbbbb")
GROUPS = dict(zip(LISTS, (GROUP, GROUP + 1), strict=True))
STATUSES = ("subscribed", "pending", "unsubscribed", "cleaned", None)
REASONS = ("in-agreement", "opt-out", "other-address-subscribed", None)
Row = tuple[str, int | None, str | None, str, int, str | None, str]


def draw_rows(random: Random) -> list[Row]:
    """Rows of ten contacts, some with several, some without; addresses may be shared."""
    keys = [(list_id, number) for list_id in LISTS for number in range(14)]
    return [
        (
            list_id,
            random.choice([*range(1, 11), None]),
            random.choice(STATUSES),
            random.choice(("ok", "ok", "live", "redo", "fail")),
            random.choice((0, 0, 1)),
            random.choice(REASONS),
            f"p{number}@example.org",
        )
        for list_id, number in keys
    ]


def place_of(row: Row) -> int:
    _, _, status, mark, due, _, _ = row
    if status == "subscribed":
        return 0
    if status == "pending":
        return 1
    if due or mark in ("live", "redo"):
        return 2
    return 3 if mark == "fail" else 4


def stand_of(contact: int, rows: list[Row], emails: set[str]) -> tuple[Stands, str | None]:
    """`rows` are the audience's, in the order of their ids."""
    own = [row for row in rows if row[1] == contact]
    best = min(own, key=place_of, default=None)
    place = 4 if best is None else place_of(best)
    if place == 4:
        shared = {row[2] for row in rows if row[6] in emails}
        alone = 2 if best is None else 4
        place = 0 if "subscribed" in shared else 1 if "pending" in shared else alone
    stands = tuple(Stands)[place]
    return stands, best[5] if best is not None and stands is Stands.BARRED else None


@pytest.mark.parametrize("seed", range(25))
def test_each_contact_stands_where_their_best_row_says(store: Store, seed: int):
    random = Random(seed)
    rows = draw_rows(random)
    added = {list_id: set(random.sample(range(1, 13), 9)) for list_id in LISTS}
    emails = {n: {f"p{random.randrange(16)}@example.org" for _ in range(2)} for n in range(1, 13)}
    with store.atomic():
        store.run_many(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, civicrm_contact_id,"
            " mailchimp_status, mark, due, sync_reason, email_key) VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        store.run_many(
            "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status)"
            " VALUES (?, ?, ?)",
            [
                (GROUPS[list_id], n, "Added" if n in added[list_id] else "Removed")
                for list_id in LISTS
                for n in emails
            ],
        )
        store.run_many(
            "INSERT INTO civicrm_mailchimpsync_email (contact_id, email, email_key, is_primary,"
            " is_bulkmail, on_hold) VALUES (?, ?, ?, 0, 0, 0)",
            [(n, email, email) for n, of in emails.items() for email in of],
        )
    placed = count_placed_rows(store, GROUPS)
    for list_id, group_id in GROUPS.items():
        of_list = [row for row in rows if row[0] == list_id]
        wanted = Counter(stand_of(n, of_list, emails[n]) for n in added[list_id])
        counts = count_stands(store, list_id, group_id, len(added[list_id]), placed[list_id])
        assert sum(each.count for each in placed[list_id]) == len(of_list)
        assert {each for each in counts if each.count} == {
            StandCount(stands, reason, count) for (stands, reason), count in wanted.items()
        }
        barred = [each.contact_id for each in load_barred(store, list_id, group_id, 99)]
        assert sorted(barred) == sorted(
            n for n in added[list_id] if stand_of(n, of_list, emails[n])[0] is Stands.BARRED
        )
