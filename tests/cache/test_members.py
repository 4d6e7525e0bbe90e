"""What Mailchimp said, merged into the cache: pages, `@` times, who moved and who vanished."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from mcsync.cache.members import (
    MergeCount,
    count_members,
    has_members,
    mark_vanished,
    merge_members,
)
from mcsync.cache.outbox import claim, queue_update
from mcsync.cache.store import Store
from mcsync.model import (
    InterestPolicy,
    Member,
    MemberChange,
    MemberStatus,
    PlannedChange,
    Policy,
    Reason,
)
from mcsync.pipeline.fetch import make_observer
from mcsync.reconcile.observe import observe_vanished

LIST = "aaaaaaaaaa"
POLICY = Policy(LIST, 111, interests={"cccccccccc": InterestPolicy(222)})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with_store = Store(tmp_path / "mcsync.db")
    yield with_store
    with_store.close()


def at(hour: int) -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)


def text(hour: int) -> str:
    return f"2026-11-22T{hour:02}:00:00Z"


def member(
    name: str,
    hour: int = 9,
    status: str = "subscribed",
    *,
    volunteer: bool = False,
    first: str = "",
    contact: str = "",
    member_id: str = "",
) -> Member:
    return Member(
        member_id=member_id or f"id of {name.lower()}",
        email=f"{name}@example.org",
        status=MemberStatus(status),
        last_changed=at(hour),
        unique_contact=contact,
        merge_fields={"FNAME": first, "LNAME": ""},
        interests={"cccccccccc": volunteer},
    )


def merge(store: Store, *members: Member, fetch_no: int = 0) -> MergeCount:
    return merge_members(store, LIST, members, make_observer(POLICY), fetch_no)


def vanish(store: Store, fetch_no: int, hour: int) -> int:
    return mark_vanished(store, LIST, fetch_no, at(hour), observe_vanished)


def row(store: Store, name: str) -> dict[str, object]:
    cursor = store.query(
        "SELECT * FROM civicrm_mailchimpsync_cache WHERE email_key = ?", (f"{name}@example.org",)
    )
    found = cursor.fetchall()
    assert len(found) == 1, found
    columns = [column[0] for column in cursor.description]
    return dict(zip(columns, found[0], strict=True))


def data(store: Store, name: str) -> dict[str, object]:
    return msgspec.json.decode(str(row(store, name)["mailchimp_data"]), type=dict[str, object])


def call_it_done(store: Store) -> None:
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET sync_status = 'ok'")


def send(store: Store, name: str, change: MemberChange, hour: int, *, is_gate: bool = False):
    """Queue an update caused at `hour` and claim it for a batch."""
    caused = {"status": at(hour)} if change.status or change.is_archiving else {}
    caused |= {f"interest-{key}": at(hour) for key in change.interests}
    planned = PlannedChange(None, None, change, Reason.CIVICRM_REMOVED, caused, is_gate)
    with store.atomic():
        queue_update(store, int(str(row(store, name)["id"])), planned, at(hour))
    assert claim(store, LIST, "account", 10, at(hour))


# --- pages ----------------------------------------------------------------------------------------


def test_a_new_member_is_stored_in_the_documents_columns(store: Store):
    assert merge(store, member("Wilma", first="Wilma")) == MergeCount(fetched=1, changed=1)
    found = row(store, "wilma")
    assert found["mailchimp_list_id"] == LIST
    assert found["mailchimp_member_id"] == "id of wilma"
    assert found["mailchimp_email"] == "Wilma@example.org"
    assert found["mailchimp_status"] == "subscribed"
    assert found["mailchimp_updated"] == text(9)
    assert found["civicrm_contact_id"] is None
    assert found["sync_status"] == "todo"
    assert data(store, "wilma") == {
        "status": "subscribed",
        "status@": text(9),
        "first_name": "Wilma",
        "first_name@": text(9),
        "last_name": "",
        "last_name@": text(9),
        "interest-cccccccccc": False,
        "interest-cccccccccc@": text(9),
    }


def test_an_at_moves_only_with_its_own_field(store: Store):
    merge(store, member("wilma", 9, first="Wilma"))
    merge(store, member("wilma", 12, first="Wilhelmina"))
    found = data(store, "wilma")
    assert found["first_name@"] == text(12)
    assert found["status@"] == text(9)
    assert found["interest-cccccccccc@"] == text(9)


def test_a_page_sent_again_changes_nothing_and_marks_nobody(store: Store):
    page = [member("wilma"), member("betty", status="unsubscribed")]
    merge(store, *page)
    call_it_done(store)
    before = store.query("SELECT * FROM civicrm_mailchimpsync_cache").fetchall()
    assert merge(store, *page) == MergeCount(fetched=2, changed=0)
    assert store.query("SELECT * FROM civicrm_mailchimpsync_cache").fetchall() == before


def test_a_record_touched_without_news_marks_nobody(store: Store):
    merge(store, member("wilma", 9))
    call_it_done(store)
    assert merge(store, member("wilma", 12)).changed == 0
    found = row(store, "wilma")
    assert (found["sync_status"], found["mailchimp_updated"]) == ("ok", text(12))
    assert data(store, "wilma")["status@"] == text(9)


@pytest.mark.parametrize(
    "news",
    [
        member("wilma", 12, "unsubscribed"),
        member("wilma", 12, volunteer=True),
        member("wilma", 12, first="Wilma"),
    ],
    ids=["status", "interest", "name"],
)
def test_news_of_any_kind_mark_the_row(store: Store, news: Member):
    merge(store, member("wilma", 9))
    call_it_done(store)
    assert merge(store, news).changed == 1
    assert row(store, "wilma")["sync_status"] == "todo"


def test_addresses_compare_without_regard_to_case(store: Store):
    merge(store, member("Wilma", 9))
    merge(store, member("WILMA", 12, "unsubscribed"))
    assert count_members(store, LIST) == 1
    assert row(store, "wilma")["mailchimp_status"] == "unsubscribed"


def test_accents_and_spaces_make_another_address(store: Store):
    merge(store, member("wilma"), member("wïlma"), member("wilma "))
    assert count_members(store, LIST) == 3


def test_the_same_address_in_two_audiences_is_two_members(store: Store):
    merge(store, member("wilma"))
    merge_members(store, "bbbbbbbbbb", [member("wilma")], make_observer(POLICY), 0)
    assert count_members(store, LIST) == count_members(store, "bbbbbbbbbb") == 1


def test_an_interest_mapped_later_is_first_seen_later(store: Store):
    without = make_observer(Policy(LIST, 111))
    merge_members(store, LIST, [member("wilma", 9)], without, 0)
    assert "interest-cccccccccc" not in data(store, "wilma")
    merge(store, member("wilma", 10, volunteer=True))
    assert data(store, "wilma")["interest-cccccccccc@"] == text(10)
    assert data(store, "wilma")["status@"] == text(9)


def test_a_row_waiting_for_its_member_gets_it(store: Store):
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, civicrm_contact_id,"
            " mailchimp_email, email_key) VALUES (?, 7, ?, ?)",
            (LIST, "wilma@example.org", "wilma@example.org"),
        )
    merge(store, member("wilma"))
    found = row(store, "wilma")
    assert (found["civicrm_contact_id"], found["mailchimp_member_id"]) == (7, "id of wilma")


# --- what we wrote ourselves ----------------------------------------------------------------------


def test_what_an_open_update_writes_is_no_statement(store: Store):
    merge(store, member("wilma", 9))
    send(store, "wilma", MemberChange("w", status=MemberStatus.UNSUBSCRIBED), 10)
    merge(store, member("wilma", 12, "unsubscribed"))
    assert data(store, "wilma")["status"] == "unsubscribed"
    assert data(store, "wilma")["status@"] == text(10)


def test_what_an_open_update_does_not_write_is_a_statement(store: Store):
    merge(store, member("wilma", 9))
    send(store, "wilma", MemberChange("w", interests={"cccccccccc": True}), 10)
    merge(store, member("wilma", 12, "unsubscribed", volunteer=True))
    assert data(store, "wilma")["status@"] == text(12)
    assert data(store, "wilma")["interest-cccccccccc@"] == text(10)


def test_an_open_update_for_the_gate_leaves_the_members_own_word(store: Store):
    merge(store, member("wilma", 9))
    send(store, "wilma", MemberChange("w", status=MemberStatus.UNSUBSCRIBED), 10, is_gate=True)
    merge(store, member("wilma", 12, "unsubscribed"))
    found = data(store, "wilma")
    assert (found["status"], found["status@"], found["gated"]) == ("unsubscribed", text(9), True)


def test_an_archiving_of_ours_is_no_statement(store: Store):
    merge(store, member("wilma", 9))
    send(store, "wilma", MemberChange("w", is_archiving=True), 10)
    merge(store, member("wilma", 12, "archived"))
    assert data(store, "wilma")["status"] == "archived"
    assert data(store, "wilma")["status@"] == text(10)


def test_an_update_that_is_only_queued_has_written_nothing(store: Store):
    merge(store, member("wilma", 9))
    planned = PlannedChange(
        1,
        None,
        MemberChange("w", status=MemberStatus.UNSUBSCRIBED),
        Reason.CIVICRM_REMOVED,
        {"status": at(10)},
    )
    with store.atomic():
        queue_update(store, int(str(row(store, "wilma")["id"])), planned, at(10))
    merge(store, member("wilma", 12, "unsubscribed"))
    assert data(store, "wilma")["status@"] == text(12)


# --- who moved ------------------------------------------------------------------------------------


def test_who_changes_address_keeps_the_row(store: Store):
    merge(store, member("wilma", 9, contact="u1", first="Wilma"))
    old = row(store, "wilma")["id"]
    merge(store, member("flint", 12, contact="u1", first="Wilma"))
    assert count_members(store, LIST) == 1
    found = row(store, "flint")
    assert (found["id"], found["mailchimp_member_id"]) == (old, "id of flint")
    assert found["mailchimp_email"] == "flint@example.org"
    assert found["sync_status"] == "todo"
    assert data(store, "flint")["status@"] == text(9)


def test_who_changes_address_keeps_the_contact(store: Store):
    merge(store, member("wilma", 9, contact="u1"))
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET civicrm_contact_id = 7")
    merge(store, member("flint", 12, contact="u1"))
    assert row(store, "flint")["civicrm_contact_id"] == 7


def test_members_without_a_contact_id_of_mailchimp_never_move(store: Store):
    merge(store, member("wilma", 9))
    merge(store, member("flint", 12))
    assert count_members(store, LIST) == 2


def test_an_address_of_another_audience_does_not_move(store: Store):
    merge_members(store, "bbbbbbbbbb", [member("wilma", contact="u1")], make_observer(POLICY), 0)
    merge(store, member("flint", 12, contact="u1"))
    assert count_members(store, "bbbbbbbbbb") == count_members(store, LIST) == 1


def test_a_move_to_an_address_that_has_a_row_takes_it_away_from_that(store: Store):
    merge(store, member("wilma", 9, contact="u1"), member("flint", 9, "archived", contact="u2"))
    wilma, flint = row(store, "wilma")["id"], row(store, "flint")["id"]
    count = merge(store, member("flint", 12, contact="u1"))
    assert count.detached == 1
    assert (row(store, "flint")["id"], row(store, "flint")["mailchimp_status"]) == (
        wilma,
        "subscribed",
    )
    detached = store.query(
        "SELECT email_key, mailchimp_status FROM civicrm_mailchimpsync_cache WHERE id = ?", (flint,)
    ).fetchone()
    assert detached == (None, "archived")


def test_two_who_swap_addresses_keep_their_rows(store: Store):
    merge(store, member("wilma", 9, contact="u1"), member("betty", 9, contact="u2"))
    wilma, betty = row(store, "wilma")["id"], row(store, "betty")["id"]
    merge(store, member("betty", 12, contact="u1"), member("wilma", 12, contact="u2"))
    assert (row(store, "betty")["id"], row(store, "wilma")["id"]) == (wilma, betty)


def test_who_takes_over_an_address_gets_a_row_of_their_own(store: Store):
    merge(store, member("wilma", 9, contact="u1"))
    wilma = row(store, "wilma")["id"]
    assert merge(store, member("wilma", 12, contact="u2")).detached == 1
    assert row(store, "wilma")["id"] != wilma
    assert merge(store, member("flint", 11, contact="u1")).detached == 0
    assert (row(store, "flint")["id"], row(store, "flint")["moved_from"]) == (
        wilma,
        "wilma@example.org",
    )


def test_of_one_person_under_two_addresses_in_a_page_the_newer_one_counts(store: Store):
    merge(store, member("wilma", 9, contact="u1"))
    wilma = row(store, "wilma")["id"]
    merge(store, member("flint", 12, contact="u1"), member("wilma", 10, contact="u1"))
    assert row(store, "flint")["id"] == wilma
    assert store.query("SELECT count(*) FROM civicrm_mailchimpsync_cache").fetchone() == (1,)


def test_a_second_move_after_a_move_to_an_address_that_had_a_row(store: Store):
    merge(store, member("wilma", 9, contact="u1"), member("flint", 9, "archived", contact="u2"))
    merge(store, member("flint", 12, contact="u1"))
    merge(store, member("stone", 13, contact="u1"))
    assert row(store, "stone")["mailchimp_status"] == "subscribed"


# --- into an empty cache --------------------------------------------------------------------------


def merge_first(store: Store, *members: Member) -> MergeCount:
    """A page of a fetch that began at ten, when the cache knew nobody."""
    return merge_members(store, LIST, members, make_observer(POLICY), 1, at(10))


def test_a_first_fetch_ends_as_any_other_would(store: Store, tmp_path: Path):
    people = [member("wilma", 8, contact="u1"), member("betty", 9, "archived", first="Betty")]
    assert merge_first(store, *people) == MergeCount(2, 2)
    other = Store(tmp_path / "other.db")
    merge(other, *people, fetch_no=1)
    sql = "SELECT * FROM civicrm_mailchimpsync_cache ORDER BY id"
    assert store.query(sql).fetchall() == other.query(sql).fetchall()
    other.close()


def test_an_address_that_comes_twice_in_a_first_fetch_is_one_row(store: Store):
    merge_first(store, member("wilma", 8))
    assert merge_first(store, member("betty", 8), member("Wilma", 9, member_id="old hash")) == (
        MergeCount(2, 2)
    )
    assert row(store, "wilma")["mailchimp_member_id"] == "old hash"
    assert row(store, "betty")["mailchimp_status"] == "subscribed"


def test_who_moves_while_a_first_fetch_runs_is_one_row(store: Store):
    merge_first(store, member("wilma", 9, contact="u1"))
    merge_first(store, member("flint", 11, contact="u1"))
    assert row(store, "flint")["moved_from"] == "wilma@example.org"
    assert store.query("SELECT count(*) FROM civicrm_mailchimpsync_cache").fetchone() == (1,)


def test_an_audience_has_members_once_one_was_merged(store: Store):
    merge_members(store, "bbbbbbbbbb", [member("wilma")], make_observer(POLICY), 0)
    assert not has_members(store, LIST)
    merge(store, member("wilma"))
    assert has_members(store, LIST)


# --- who vanished ---------------------------------------------------------------------------------


def test_who_is_not_in_a_full_fetch_has_vanished(store: Store):
    merge(store, member("wilma", 9), member("betty", 9), fetch_no=1)
    call_it_done(store)
    merge(store, member("wilma", 9), fetch_no=2)
    assert vanish(store, 2, 14) == 1
    assert row(store, "wilma")["sync_status"] == "ok"
    betty = row(store, "betty")
    assert betty["sync_status"] == "todo"
    assert (betty["mailchimp_member_id"], betty["mailchimp_status"]) == (None, None)
    assert data(store, "betty")["status@"] == text(14)
    assert count_members(store, LIST) == 1


@pytest.mark.parametrize(
    "second_look",
    [member("wilma", 9), member("wilma", 12), member("wilma", 12, "unsubscribed")],
    ids=["as known", "touched", "changed"],
)
def test_who_is_in_a_full_fetch_has_not_vanished(store: Store, second_look: Member):
    merge(store, member("wilma", 9), fetch_no=1)
    merge(store, second_look, fetch_no=2)
    assert vanish(store, 2, 14) == 0


def test_who_moved_during_a_full_fetch_has_not_vanished(store: Store):
    merge(store, member("wilma", 9, contact="u1"), fetch_no=1)
    merge(store, member("flint", 12, contact="u1"), fetch_no=2)
    assert vanish(store, 2, 14) == 0


def test_who_vanished_does_not_vanish_again(store: Store):
    merge(store, member("wilma", 9), fetch_no=1)
    assert vanish(store, 2, 14) == 1
    call_it_done(store)
    assert vanish(store, 3, 15) == 0
    assert row(store, "wilma")["sync_status"] == "ok"


def test_who_vanished_and_comes_back_says_so(store: Store):
    merge(store, member("wilma", 9), fetch_no=1)
    vanish(store, 2, 14)
    merge(store, member("wilma", 15), fetch_no=3)
    assert row(store, "wilma")["mailchimp_status"] == "subscribed"
    assert data(store, "wilma")["status@"] == text(15)


def test_an_increment_between_two_full_fetches_makes_nobody_vanish(store: Store):
    merge(store, member("wilma", 9), fetch_no=1)
    merge(store, member("wilma", 12, "unsubscribed"))
    merge(store, member("wilma", 12, "unsubscribed"), fetch_no=2)
    assert vanish(store, 2, 14) == 0


def test_a_contacts_own_row_does_not_vanish(store: Store):
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_cache"
            " (mailchimp_list_id, civicrm_contact_id, sync_status) VALUES (?, 7, 'ok')",
            (LIST,),
        )
    assert vanish(store, 2, 14) == 0
