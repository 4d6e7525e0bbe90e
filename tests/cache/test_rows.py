"""The cache's rows: the table of transitions at the top of `cache/rows.py`, row by row."""

import ast
import inspect
import itertools
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import mcsync
from mcsync.cache import rows
from mcsync.cache.outbox import StoredCause, add_update, close_queued, complete
from mcsync.cache.rows import StoredRefusal
from mcsync.cache.store import Store
from mcsync.decision import Agreed, Agreement, Policy, Reason, RowVerdict, Undone
from mcsync.decision import SyncStatus as Status
from mcsync.model import MemberChange, MemberStatus
from tests.new_cache import open_anew

LIST, OTHER_LIST, GROUP = "aaaaaaaaaa", "bbbbbbbbbb", 111
POLICY = Policy(LIST, GROUP)
CONTACT, WINNER = 7, 8
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
AT = "2026-11-22T09:00:00Z"
ADDRESS = "wilma@example.org"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_anew(tmp_path / "mcsync.db")
    with opened.atomic():
        for contact in (CONTACT, WINNER):
            opened.query(
                "INSERT INTO civicrm_mailchimpsync_contact (contact_id, first_name, last_name,"
                " is_deleted, is_deceased, is_opt_out, do_not_email, modified_at, first_name_at,"
                " last_name_at) VALUES (?, '', '', 0, 0, 0, 0, '', '', '')",
                (contact,),
            )
            opened.query(
                "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status)"
                " VALUES (?, ?, 'Added')",
                (GROUP, contact),
            )
        opened.query(
            "INSERT INTO civicrm_mailchimpsync_email (contact_id, email, email_key, is_primary,"
            " is_bulkmail, on_hold) VALUES (?, ?, ?, 1, 0, 0)",
            (CONTACT, ADDRESS, ADDRESS),
        )
    yield opened
    opened.close()


def add_member(store: Store, due: int = 0, mark: str = "ok", **values: object) -> int:
    """Wilma's row, linked to her contact."""
    row = {
        "mailchimp_list_id": LIST,
        "mailchimp_member_id": "hash",
        "mailchimp_email": ADDRESS,
        "email_key": ADDRESS,
        "mailchimp_status": "subscribed",
        "mailchimp_updated": AT,
        "mailchimp_data": "{}",
        "civicrm_contact_id": CONTACT,
        "due": due,
        "mark": mark,
        "sync_reason": "aborted",
        **values,
    }
    with store.atomic():
        cursor = store.query(
            f"INSERT INTO civicrm_mailchimpsync_cache ({', '.join(row)})"  # noqa: S608
            f" VALUES ({', '.join('?' * len(row))})",
            tuple(row.values()),
        )
    row_id = int(cursor.lastrowid or 0)
    if mark in ("live", "redo"):
        queue(store, row_id, MemberStatus.PENDING if mark == "redo" else MemberStatus.SUBSCRIBED)
    return row_id


def queue(store: Store, row_id: int, status: MemberStatus = MemberStatus.SUBSCRIBED) -> None:
    with store.atomic():
        change = MemberChange(ADDRESS, status=status)
        add_update(store, row_id, change, StoredCause("added-in-civicrm"), NOW)


def finish_update(store: Store, row_id: int) -> None:
    """The result of the oldest open update is in; call inside a transaction."""
    sql = (
        "SELECT min(id) FROM civicrm_mailchimpsync_update"
        " WHERE completed = 0 AND mailchimpsync_cache_id = ?"
    )
    complete(store, store.query(sql, (row_id,)).fetchone()[0], None, NOW)


def state(store: Store, row_id: int) -> tuple[int, str]:
    """(due, mark)"""
    found = store.query(
        "SELECT due, mark FROM civicrm_mailchimpsync_cache WHERE id = ?", (row_id,)
    ).fetchone()
    return found[0], found[1]


def shown(store: Store, row_id: int) -> str:
    found = store.query(
        "SELECT sync_status FROM civicrm_mailchimpsync_cache WHERE id = ?", (row_id,)
    )
    return str(found.fetchone()[0])


# --- everything that is written to a row ----------------------------------------------------------

Deed = Callable[[Store, int], object]


def look(is_news: int) -> Deed:
    def deed(store: Store, row_id: int) -> None:
        row = (LIST, ADDRESS, "hash", ADDRESS, "cleaned", AT, "{}", "u1", 3, is_news, row_id)
        rows.save_looks(store, [row])

    return deed


def look_at_a_stranger(store: Store, _: int) -> None:
    row = (LIST, "x@example.org", "x", "x@example.org", "cleaned", AT, "{}", "u2", 3, 1)
    assert rows.add_strangers(store, [row]) == 1


def be_merged(store: Store, _: int) -> None:
    store.query(
        "UPDATE civicrm_mailchimpsync_contact SET is_deleted = 1, merged_to = ?"
        " WHERE contact_id = ?",
        (WINNER, CONTACT),
    )
    rows.lose_contacts(store, LIST, AT)


def be_trashed(store: Store, _: int) -> None:
    store.query("UPDATE civicrm_mailchimpsync_contact SET is_deleted = 1")
    rows.lose_contacts(store, LIST, AT)


def share_and_mark(store: Store, row_id: int) -> None:
    rows.mark_shared_due(store, row_id)  # nobody shares it yet
    store.query(
        "INSERT INTO civicrm_mailchimpsync_email (contact_id, email, email_key, is_primary,"
        " is_bulkmail, on_hold) VALUES (?, ?, ?, 1, 0, 0)",
        (WINNER, ADDRESS, ADDRESS),
    )
    rows.mark_shared_due(store, row_id)
    store.query("DELETE FROM civicrm_mailchimpsync_email WHERE contact_id = ?", (WINNER,))


def be_concerned(store: Store, _: int) -> None:
    store.query("CREATE TEMP TABLE changed (contact_id INTEGER PRIMARY KEY)")
    store.query("INSERT INTO changed VALUES (?)", (CONTACT,))
    rows.mark_concerned(store, 0, 99)
    store.query("DROP TABLE temp.changed")


def be_wanted(store: Store, row_id: int) -> None:
    rows.mark_wanted(store, [row_id])


def link_found(store: Store, row_id: int) -> None:
    found = f"SELECT {row_id} AS row_id, {WINNER} AS contact_id, 1 AS is_shared"
    assert rows.link_found(store, found, POLICY) == 1


def agree(store: Store, row_id: int) -> None:
    agreement = Agreement("subscription/111", Agreed(True, NOW, Reason.CIVICRM_ADDED))
    rows.note_agreed(store, [([row_id], [agreement])])


UNDONE = Undone(NOW, "0badcafe", NOW)
COMPLIANCE = StoredRefusal(ADDRESS, "compliance-state", {"subscribe": AT})
FORGOTTEN = StoredRefusal(
    "other@example.org", "forgotten-email", {"subscribe": AT}, {}, 3, "2026-11-22T10:00:00Z"
)


def refuse(store: Store, row_id: int) -> None:
    rows.save_refusals(store, row_id, [COMPLIANCE])


def refuse_and_mark(store: Store, row_id: int) -> None:
    rows.mark_refused_due(store, "SELECT ?", (CONTACT,))  # nothing was refused yet
    rows.save_refusals(store, row_id, [COMPLIANCE])
    rows.mark_refused_due(store, "SELECT ?", (CONTACT,))


NICK = StoredRefusal(ADDRESS, "refused-by-mailchimp", {}, {"field NICK": "1", "tag Bowling": "2"})
BY_CIVICRM = StoredRefusal("", "refused-by-civicrm")


def forget_refused_data(store: Store, row_id: int) -> None:
    refusals = [COMPLIANCE, NICK, BY_CIVICRM]
    rows.save_refusals(store, row_id, refusals)
    rows.forget_refused_data(store, row_id, {"tag Bowling": "2", "field FNAME": "1"})
    assert rows.load_refusals(store, row_id) == refusals
    rows.forget_refused_data(store, row_id, {"tag Bowling": "3"})
    assert rows.load_refusals(store, row_id) == [COMPLIANCE, BY_CIVICRM]


def judge(status: Status, due: int | None = None) -> Deed:
    """The judge has read the row as it is, or as it was with `due`."""

    def deed(store: Store, row_id: int) -> None:
        read = state(store, row_id)[0] if due is None else due
        rows.mark_judged(store, [RowVerdict(row_id, status, Reason.CIVICRM_ADDED, read)])

    return deed


def judge_with_many(store: Store, row_id: int) -> None:
    verdict = RowVerdict(0, Status.OK, Reason.IN_AGREEMENT)
    rows.mark_plain(store, [row_id], state(store, row_id)[0], verdict, with_data=True)


STAYS = "stays"
GROWS = "+ 1"
RISES = "+ 1 or more"
IS_SET = "at least 1"
# What becomes of `due`, and of `mark` (None: it stays), by what is written. The judge and results
# have tests of their own below.
DEEDS: dict[str, tuple[Deed, str]] = {
    "save_looks: news": (look(1), GROWS),
    "save_looks: no news": (look(0), STAYS),
    "add_strangers": (look_at_a_stranger, STAYS),
    "note_seen": (lambda s, i: rows.note_seen(s, [(AT, 3, i)]), STAYS),
    "note_still_there": (lambda s, _: rows.note_still_there(s, LIST, [(ADDRESS, "u1")], 3), STAYS),
    "take_addresses": (lambda s, i: rows.take_addresses(s, [i]), RISES),
    "give_addresses": (lambda s, i: rows.give_addresses(s, {i: "x@example.org"}), STAYS),
    "link_rows": (lambda s, i: rows.link_rows(s, {i: WINNER}), STAYS),
    "link_found": (link_found, STAYS),
    "lose_contacts: merged": (be_merged, GROWS),
    "lose_contacts: trashed": (be_trashed, GROWS),
    "lose_strangers": (lambda s, _: rows.lose_strangers(s, [CONTACT], AT), GROWS),
    "leave_rows_to_others": (lambda s, i: rows.leave_rows_to_others(s, [i], [CONTACT]), GROWS),
    "forget_addresses": (lambda s, _: rows.forget_addresses(s, {"x@example.org"}), STAYS),
    "erase_rows: others": (lambda s, i: rows.erase_rows(s, [i + 1000]), STAYS),
    "cleanup_duplicates": (lambda s, _: rows.cleanup_duplicates(s, LIST, (0, 99)), STAYS),
    "add_row": (lambda s, _: rows.add_row(s, LIST, WINNER), STAYS),
    "add_civi_only": (
        lambda s, _: rows.add_civi_only(s, POLICY, (0, 99), everybody=True),
        STAYS,
    ),
    "identify_group_contact_changes": (
        lambda s, _: rows.identify_group_contact_changes(s, POLICY, (0, 99)),
        STAYS,
    ),
    "note_looked_up": (lambda s, i: rows.note_looked_up(s, [i]), STAYS),
    "note_all_looked_up": (lambda s, i: rows.note_all_looked_up(s, LIST, (0, i)), STAYS),
    "prepare_address": (lambda s, i: rows.prepare_address(s, LIST, i, "x@example.org"), STAYS),
    "save_refusals": (refuse, STAYS),
    "note_civicrm_refused": (lambda s, i: rows.note_civicrm_refused(s, i, "x", [AT]), STAYS),
    "forget_civicrm_refused": (lambda s, i: rows.forget_civicrm_refused(s, [i]), STAYS),
    "note_asked": (lambda s, i: rows.note_asked(s, [(i, AT)]), STAYS),
    "note_agreed": (agree, STAYS),
    "note_undone": (lambda s, i: rows.note_undone(s, [i], [], {"names": UNDONE}), STAYS),
    "save_data": (lambda s, i: rows.save_data(s, {i: {"tags": {}}}), STAYS),
    "mark_data_wanted": (lambda s, i: rows.mark_data_wanted(s, [i]), STAYS),
    "note_data_done": (
        lambda s, i: rows.note_data_done(s, [RowVerdict(i, Status.OK, Reason.DATA)]),
        STAYS,
    ),
    "mark_due": (lambda s, i: rows.mark_due(s, [i]), GROWS),
    "mark_names_due: others": (lambda s, _: rows.mark_names_due(s, "b", [CONTACT]), GROWS),
    "mark_names_due: own": (lambda s, _: rows.mark_names_due(s, LIST, [CONTACT]), STAYS),
    "mark_shared_due": (share_and_mark, GROWS),
    "mark_addresses": (lambda s, _: rows.mark_addresses(s, f"SELECT {CONTACT}"), GROWS),
    "mark_refused_due": (refuse_and_mark, GROWS),
    "forget_refused_data": (forget_refused_data, STAYS),
    "mark_for_resync": (lambda s, i: rows.mark_for_resync(s, [i]), GROWS),
    "mark_concerned": (be_concerned, IS_SET),
    "mark_everyone": (lambda s, _: rows.mark_everyone(s, LIST), IS_SET),
    "mark_all_audiences": (lambda s, _: rows.mark_all_audiences(s), IS_SET),
    "mark_data_due": (lambda s, _: rows.mark_data_due(s, LIST), IS_SET),
    "mark_wanted": (be_wanted, IS_SET),
}
JUDGES = {"mark_judged", "mark_plain"}
RESULTS = {"mark_settled", "mark_given_up", "mark_failed_again"}
READERS = {
    "load_refusals",
    "is_refused_by_civicrm",
    "load_refused_by_civicrm",
    "describe_agreed",
}

STARTS = [(due, mark) for due in (0, 1, 5) for mark in ("ok", "fail", "live", "redo")]


@pytest.mark.parametrize(("deed", "effect"), DEEDS.values(), ids=DEEDS)
def test_whatever_is_learned_nobody_leaves_the_queue_by_it(store: Store, deed: Deed, effect: str):
    for due, mark in STARTS:
        row_id = add_member(store, due, mark)
        with store.atomic():
            deed(store, row_id)
        found, stayed = state(store, row_id)
        assert stayed == mark
        if effect is RISES:
            assert found > due
        else:
            assert found == {STAYS: due, GROWS: due + 1, IS_SET: max(due, 1)}[effect]
        assert shown(store, row_id) == ("todo" if found else mark)
        with store.atomic():
            store.query("DELETE FROM civicrm_mailchimpsync_cache")
            store.query("DELETE FROM civicrm_mailchimpsync_update")
            store.query("UPDATE civicrm_mailchimpsync_contact SET is_deleted = 0, merged_to = NULL")


def test_every_function_has_a_row_in_the_table():
    functions = {
        name
        for name, found in inspect.getmembers(rows, inspect.isfunction)
        if found.__module__ == rows.__name__ and not name.startswith("_")
    }
    tested = {name.partition(":")[0] for name in DEEDS}
    assert functions == tested | JUDGES | RESULTS | READERS


def test_a_row_that_is_made_is_to_be_judged(store: Store):
    with store.atomic():
        look_at_a_stranger(store, 0)
        row = (LIST, "y@b.org", "y", "y@b.org", "pending", AT, "{}", None, 0, 1)
        assert rows.add_strangers(store, [row]) == 1
        assert rows.add_civi_only(store, POLICY, (0, 99), everybody=True) == 2
    found = store.query("SELECT due, mark, sync_status FROM civicrm_mailchimpsync_cache").fetchall()
    assert found == [(1, "ok", "todo")] * 4


def test_a_row_that_is_made_for_an_update_is_live(store: Store):
    """It was judged before it was there: with the contact's other rows."""
    with store.atomic():
        row_id = rows.add_row(store, LIST, CONTACT)
    queue(store, row_id)
    assert (state(store, row_id), shown(store, row_id)) == ((0, "live"), "live")


def test_only_the_audience_asked_for_is_marked(store: Store):
    row_id = add_member(store)
    other = add_member(store, mailchimp_list_id=OTHER_LIST)
    quiet = add_member(store, email_key="quiet@example.org", is_data_due=0)
    rows.mark_data_due(store, LIST)
    assert [state(store, each)[0] for each in (row_id, other, quiet)] == [1, 0, 0]
    rows.mark_everyone(store, LIST)
    assert [state(store, each)[0] for each in (row_id, other, quiet)] == [1, 0, 1]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_everyone_is_marked_whatever_the_size_of_a_chunk(store, monkeypatch, size):
    monkeypatch.setattr(rows, "_MARK_CHUNK", size)
    luck = random.Random(size)
    every = [
        add_member(
            store,
            due=luck.choice((0, 0, 4)),
            mailchimp_list_id=luck.choice((LIST, LIST, OTHER_LIST)),
            email_key=f"{number}@example.org",
        )
        for number in range(12)
    ]
    before = {row_id: state(store, row_id)[0] for row_id in every}
    ours = {
        row[0]
        for row in store.query(
            "SELECT id FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ?", (LIST,)
        )
    }
    rows.mark_everyone(store, LIST)
    for row_id, due in before.items():
        assert state(store, row_id)[0] == (max(due, 1) if row_id in ours else due)


# --- the judge ------------------------------------------------------------------------------------


@pytest.mark.parametrize("due", [0, 1, 5])
@pytest.mark.parametrize("before", ["ok", "fail"])
@pytest.mark.parametrize("verdict", [Status.OK, Status.FAIL])
def test_who_is_judged_leaves_the_queue(store: Store, due: int, before: str, verdict: Status):
    row_id = add_member(store, due, before)
    with store.atomic():
        judge(verdict)(store, row_id)
    assert state(store, row_id) == (0, verdict)
    assert shown(store, row_id) == verdict


@pytest.mark.parametrize("verdict", [Status.LIVE, Status.REDO])
def test_who_waits_for_an_update_is_live_or_is_asked(store: Store, verdict: Status):
    row_id = add_member(store, 2)
    with store.atomic():
        judge(verdict)(store, row_id)
        status = MemberStatus.PENDING if verdict is Status.REDO else MemberStatus.SUBSCRIBED
        queue(store, row_id, status)
    assert (state(store, row_id), shown(store, row_id)) == ((0, verdict), verdict)


@pytest.mark.parametrize("before", ["live", "redo"])
@pytest.mark.parametrize("verdict", [Status.OK, Status.FAIL])
def test_who_is_judged_while_an_update_is_open_stays_live(
    store: Store, before: str, verdict: Status
):
    row_id = add_member(store, 1, before)
    with store.atomic():
        judge(verdict)(store, row_id)
    assert state(store, row_id) == (0, before)


@pytest.mark.parametrize("verdict", [Status.OK, Status.FAIL])
def test_who_is_judged_when_the_update_is_closed_is_live_no_more(store: Store, verdict: Status):
    row_id = add_member(store, 1, "live")
    with store.atomic():
        close_queued(store, [row_id], "superseded", NOW)
        judge(verdict)(store, row_id)
    assert state(store, row_id) == (0, verdict)


@pytest.mark.parametrize("mark", ["ok", "fail", "live", "redo"])
def test_who_has_to_wait_stays_in_the_queue(store: Store, mark: str):
    row_id = add_member(store, 3, mark)
    with store.atomic():
        judge(Status.TODO)(store, row_id)
    assert (state(store, row_id), shown(store, row_id)) == ((3, mark), "todo")


def test_who_has_to_wait_and_was_in_no_queue_comes_into_it(store: Store):
    """They were judged with others of the same person."""
    row_id = add_member(store, 0, "ok")
    with store.atomic():
        judge(Status.TODO)(store, row_id)
    assert state(store, row_id) == (1, "ok")


@pytest.mark.parametrize("verdict", [Status.OK, Status.FAIL, Status.LIVE])
def test_who_learned_something_meanwhile_stays_in_the_queue(store: Store, verdict: Status):
    row_id = add_member(store, 2)
    read_as = state(store, row_id)[0]
    with store.atomic():
        look(1)(store, row_id)
    with store.atomic():
        judge(verdict, read_as)(store, row_id)
    assert (state(store, row_id), shown(store, row_id)) == ((3, verdict), "todo")


def test_who_was_in_no_queue_and_learned_something_meanwhile_comes_into_it(store: Store):
    row_id = add_member(store, 0)
    with store.atomic():
        look(1)(store, row_id)
        judge(Status.OK, 0)(store, row_id)
    assert state(store, row_id) == (1, "ok")


def test_with_many_a_row_leaves_the_queue_unless_it_learned_something(store: Store):
    row_id = add_member(store, 2)
    other = add_member(store, 2, email_key="other@example.org")
    with store.atomic():
        rows.mark_due(store, [other])
        verdict = RowVerdict(0, Status.FAIL, Reason.CLEANED)
        rows.mark_plain(store, [row_id, other], 2, verdict, with_data=False)
    assert (state(store, row_id), state(store, other)) == ((0, "fail"), (3, "ok"))


def test_a_verdict_has_its_reason_and_keeps_who_owns_the_address(store: Store):
    row_id = add_member(store, 1, moved_from="before@example.org")
    stranger = add_member(
        store, 1, email_key="other@example.org", moved_from="before@example.org", owned_by=5
    )
    with store.atomic():
        judge(Status.OK)(store, row_id)
        judge(Status.FAIL)(store, stranger)
    found = store.query(
        "SELECT sync_reason, owned_by, moved_from FROM civicrm_mailchimpsync_cache ORDER BY id"
    ).fetchall()
    assert found == [
        ("added-in-civicrm", CONTACT, None),
        ("added-in-civicrm", 5, "before@example.org"),
    ]


@pytest.mark.parametrize(
    ("halves", "is_open", "stays"),
    [
        ({"civicrm_contact_id": None, "mailchimp_member_id": None}, False, False),
        ({"civicrm_contact_id": None, "mailchimp_member_id": None}, True, True),
        ({"civicrm_contact_id": None}, False, True),
        ({"mailchimp_member_id": None}, False, True),
    ],
    ids=["neither half", "an update is open", "a member", "a contact"],
)
def test_who_is_judged_and_has_neither_half_goes(store: Store, halves, is_open, stays):
    row_id = add_member(store, 1, **halves)
    if is_open:
        queue(store, row_id)
    with store.atomic():
        judge(Status.OK)(store, row_id)
    found = store.query("SELECT id FROM civicrm_mailchimpsync_cache").fetchall()
    assert found == ([(row_id,)] if stays else [])


# --- results --------------------------------------------------------------------------------------


@pytest.mark.parametrize("due", [0, 1, 5])
@pytest.mark.parametrize("mark", ["live", "redo"])
@pytest.mark.parametrize("status", [Status.OK, Status.FAIL])
def test_a_result_takes_nobody_out_of_the_queue(store: Store, due, mark, status):
    row_id = add_member(store, due, mark)
    with store.atomic():
        finish_update(store, row_id)
        rows.mark_settled(store, row_id, status, Reason.CIVICRM_ADDED)
    assert state(store, row_id) == (due, status)


@pytest.mark.parametrize(
    ("status", "mark"), [(MemberStatus.PENDING, "redo"), (MemberStatus.SUBSCRIBED, "live")]
)
def test_a_result_leaves_a_row_live_while_another_update_is_open(store: Store, status, mark):
    row_id = add_member(store, 0, "live")
    queue(store, row_id, status)
    with store.atomic():
        finish_update(store, row_id)
        rows.mark_settled(store, row_id, Status.OK, Reason.CIVICRM_ADDED)
    assert state(store, row_id) == (0, mark)


@pytest.mark.parametrize("due", [0, 2])
def test_what_is_given_up_by_hand_fails_until_the_next_fetch(store: Store, due: int):
    row_id = add_member(store, due, "live")
    with store.atomic():
        close_queued(store, [row_id], "aborted", NOW)
        rows.mark_given_up(store, [row_id])
    assert state(store, row_id) == (due, "fail")
    with store.atomic():
        rows.mark_failed_again(store, LIST, AT)
    assert state(store, row_id) == (max(due, 1), "fail")


@pytest.mark.parametrize(
    ("mark", "reason", "is_tried"),
    [
        ("fail", "aborted", True),
        ("fail", "refused-by-civicrm", True),
        ("fail", "forgotten-email", False),
        ("ok", "aborted", False),
        ("live", "aborted", False),
    ],
)
def test_which_failures_every_fetch_tries_again(store: Store, mark, reason, is_tried):
    row_id = add_member(store, 0, mark, sync_reason=reason)
    with store.atomic():
        rows.mark_failed_again(store, OTHER_LIST, AT)
        assert state(store, row_id)[0] == 0
        rows.mark_failed_again(store, LIST, AT)
    assert state(store, row_id)[0] == int(is_tried)


def test_what_civicrm_refused_is_tried_after_pauses_then_given_up(store: Store):
    row_id = add_member(store, 0, "fail", sync_reason="refused-by-civicrm")
    pauses = ["2026-11-22T10:05:00Z", "2026-11-22T11:00:00Z"]

    def is_tried(now: str) -> bool:
        with store.atomic():
            rows.mark_failed_again(store, LIST, now)
            found = state(store, row_id)[0] > 0
            store.query("UPDATE civicrm_mailchimpsync_cache SET due = 0")
        return found

    given_up = []
    for pause in (*pauses, ""):
        with store.atomic():
            given_up.append(rows.note_civicrm_refused(store, row_id, "wish", pauses))
        assert is_tried("2026-11-22T10:00:00Z") is False
        assert is_tried(pause or "2026-11-30T10:00:00Z") is bool(pause)
    assert given_up == [False, False, True]
    with store.atomic():
        rows.forget_civicrm_refused(store, [row_id])
    assert rows.load_refusals(store, row_id) == []


def test_a_pause_that_a_wrong_clock_began_is_over(store: Store):
    row_id = add_member(store, 0, "fail", sync_reason="refused-by-civicrm")
    with store.atomic():
        rows.note_civicrm_refused(store, row_id, "wish", ["2027-11-22T10:05:00Z"])
        rows.mark_failed_again(store, LIST, "2026-11-22T10:00:00Z")
    assert state(store, row_id)[0] == 1


# --- asking again ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_at", "kept"),
    [(None, []), (AT, [COMPLIANCE])],
    ids=["nobody was asked", "a mail was asked for"],
)
def test_a_human_who_asks_again_has_nobody_mailed_twice_for_one_wish(store, asked_at, kept):
    row_id = add_member(store, reconfirmed_at=asked_at)
    with store.atomic():
        refusals = [COMPLIANCE, FORGOTTEN]
        rows.save_refusals(store, row_id, refusals)
        assert rows.load_refusals(store, row_id) == refusals
        rows.mark_for_resync(store, [row_id])
    assert rows.load_refusals(store, row_id) == kept
    asked = store.query("SELECT reconfirmed_at FROM civicrm_mailchimpsync_cache").fetchone()
    assert asked == (asked_at,)


def test_a_row_without_refusals_has_none_after_a_human_asked_again(store: Store):
    row_id = add_member(store, reconfirmed_at=AT)
    with store.atomic():
        rows.mark_for_resync(store, [row_id])
    assert rows.load_refusals(store, row_id) == []
    with store.atomic():
        rows.save_refusals(store, row_id, [COMPLIANCE])
        rows.save_refusals(store, row_id, [])
    assert rows.load_refusals(store, row_id) == []
    assert rows.load_refusals(store, 99) == []


# --- what is kept ---------------------------------------------------------------------------------


def test_what_is_agreed_is_kept_by_topic(store: Store):
    row_id = add_member(store)
    first = Agreement("subscription/111", Agreed(True, NOW, Reason.CIVICRM_ADDED))
    other = Agreement("cccccccccc/222", Agreed(False, NOW, Reason.INTEREST))
    later = Agreement("subscription/111", Agreed(False, NOW, Reason.MAILCHIMP_LEFT))
    with store.atomic():
        rows.note_agreed(store, [([row_id], [first]), ([row_id], []), ([row_id], [other])])
        rows.note_agreed(store, [([row_id], [later])])
    (kept,) = store.query("SELECT agreed FROM civicrm_mailchimpsync_cache").fetchone()
    assert ast.literal_eval(kept.replace("true", "True").replace("false", "False")) == {
        "subscription/111": [False, AT, "left-at-mailchimp"],
        "cccccccccc/222": [False, AT, "interest-changed"],
    }


PREPARED = [
    pytest.param({}, False, True, id="nobody has it"),
    pytest.param({"mailchimp_member_id": None}, False, True, id="it was tried once, in vain"),
    pytest.param({"mailchimp_member_id": None}, True, False, id="somebody is about to have it"),
    pytest.param({"mailchimp_member_id": "hash of it"}, False, False, id="somebody has it"),
]


@pytest.mark.parametrize(("other", "is_open", "is_given"), PREPARED)
def test_an_address_is_given_to_one_row(store: Store, other, is_open, is_given):
    row_id = add_member(store, mailchimp_member_id=None, mailchimp_email=None, email_key=None)
    wanted = "New@example.org"
    taken = add_member(store, email_key="new@example.org", **other) if other else None
    if taken is not None and is_open:
        queue(store, taken)
    with store.atomic():
        assert rows.prepare_address(store, LIST, row_id, wanted) is is_given
    sql = "SELECT id FROM civicrm_mailchimpsync_cache WHERE email_key = 'new@example.org'"
    assert store.query(sql).fetchall() == [(row_id if is_given else taken,)]


# --- laws -----------------------------------------------------------------------------------------


def be_right(status: Status) -> Deed:
    """The judge finds nothing to be written: what was queued is overtaken."""

    def deed(store: Store, row_id: int) -> None:
        close_queued(store, [row_id], "superseded", NOW)
        judge(status)(store, row_id)

    return deed


def be_planned(status: MemberStatus) -> Deed:
    """The judge has something written."""

    def deed(store: Store, row_id: int) -> None:
        close_queued(store, [row_id], "superseded", NOW)
        judge(Status.REDO if status is MemberStatus.PENDING else Status.LIVE)(store, row_id)
        change = MemberChange(ADDRESS, status=status)
        add_update(store, row_id, change, StoredCause("added-in-civicrm"), NOW)

    return deed


def settle(status: Status, *, is_news: bool) -> Deed:
    """A result comes in, if one is awaited."""

    def deed(store: Store, row_id: int) -> None:
        if state(store, row_id)[1] not in ("live", "redo"):
            return
        finish_update(store, row_id)
        if is_news:
            look(1)(store, row_id)
        rows.mark_settled(store, row_id, status, Reason.CIVICRM_ADDED)

    return deed


def give_up(store: Store, row_id: int) -> None:
    close_queued(store, [row_id], "aborted", NOW)
    rows.mark_given_up(store, [row_id])


LIFE: tuple[Deed, ...] = (
    *(deed for deed, effect in DEEDS.values() if effect in (GROWS, RISES)),
    be_right(Status.OK),
    be_right(Status.FAIL),
    judge(Status.TODO),
    be_planned(MemberStatus.PENDING),
    be_planned(MemberStatus.UNSUBSCRIBED),
    settle(Status.OK, is_news=False),
    settle(Status.OK, is_news=True),
    settle(Status.FAIL, is_news=False),
    give_up,
    lambda s, _: rows.mark_failed_again(s, LIST, AT),
    lambda s, i: rows.link_rows(s, {i: CONTACT}),
)
_OPEN = (
    "SELECT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update"
    " WHERE completed = 0 AND mailchimpsync_cache_id = ?)"
)


@pytest.mark.parametrize("seed", range(6))
def test_no_row_without_an_open_update_is_live_or_asked(store: Store, seed: int):
    luck = random.Random(seed)
    row_id = add_member(store)
    seen = set()
    for deed in itertools.islice(iter(lambda: luck.choice(LIFE), None), 300):
        with store.atomic():
            deed(store, row_id)
        due, mark = state(store, row_id)
        seen.add((due > 0, mark))
        assert due >= 0
        is_open = bool(store.query(_OPEN, (row_id,)).fetchone()[0])
        assert is_open is (mark in ("live", "redo"))
    assert len(seen) == 8, "every mark, in the queue and out of it"


# --- the sources ----------------------------------------------------------------------------------

SOURCES = sorted(Path(mcsync.__file__).parent.rglob("*.py"))
ALLOWED = {"cache/rows.py", "cache/migrations.py"}
_WRITE = re.compile(
    r"\b(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM"
    r"|ALTER\s+TABLE|DROP\s+TABLE)\s+(\S+)",
    re.IGNORECASE,
)
_THE_TABLE = re.compile(r"^(?:civicrm_mailchimpsync_cache|\{(?:rows\.)?TABLE\})\b|^\{TABLE\}")


def statements(path: Path) -> Iterator[str]:
    """Every string of a source file, with what is put into it in braces."""
    ahead: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while ahead:
        node = ahead.pop(0)
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else f"{{{ast.unparse(part.value)}}}"
                for part in node.values
                if isinstance(part, ast.Constant | ast.FormattedValue)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        else:
            ahead += ast.iter_child_nodes(node)


def written_tables(path: Path) -> set[str]:
    return {table for text in statements(path) for table in _WRITE.findall(text)}


def name_of(path: Path) -> str:
    return path.relative_to(Path(mcsync.__file__).parent).as_posix()


def test_only_rows_and_migrations_write_rows():
    writers = {
        name_of(path)
        for path in SOURCES
        if any(_THE_TABLE.match(table) for table in written_tables(path))
    }
    assert writers == ALLOWED


def test_where_a_table_is_named_by_a_variable_it_is_never_that_of_the_rows():
    """`civicrm_mailchimpsync_{table}`: the tables are named in the same file."""
    for path in SOURCES:
        if any(table.startswith("civicrm_mailchimpsync_{") for table in written_tables(path)):
            assert "cache" not in set(statements(path)), name_of(path)


_SET = re.compile(r"\bSET\b(.*?)(?:\bWHERE\b|\Z)", re.DOTALL)
_DUE = re.compile(r"\bdue = ((?:CASE.*?\bEND\b)|(?:\([^)]*\)|[^,(])+)", re.DOTALL)
RAISING = {"due + 1", "due + ?10", "max(due, 1)"}


def test_only_the_judge_takes_a_row_out_of_the_queue():
    """No other statement sets `due` to anything but more than it was."""
    path = Path(rows.__file__)
    settings = [
        " ".join(each.split())
        for text in statements(path)
        for clause in _SET.findall(text)
        for each in _DUE.findall(clause)
    ]
    assert set(settings) >= RAISING
    lowering = [each for each in settings if each not in RAISING]
    assert sorted(each.split()[0] for each in lowering) == ["0{done}", "CASE"]
    assert "due = CASE" in rows._MARK_JUDGED
    assert "due = 0{done}" in inspect.getsource(rows.mark_plain)
