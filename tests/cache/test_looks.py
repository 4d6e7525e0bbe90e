"""Looks: pages, single members, answers and absences, and what each teaches the cache.

Hours are times. How a look becomes data is `reconcile.observe`; here it is about rows.
"""

from pathlib import Path

import msgspec
import pytest

from mcsync.cache.looks import (
    LookCount,
    Reader,
    count_members,
    find_row,
    has_members,
    load_strays,
    load_under_way,
    move_member,
    read_written,
    take_absences,
    take_answer,
    take_look,
    take_page,
)
from mcsync.cache.outbox import StoredCause, claim, complete, queue_update
from mcsync.cache.store import Store
from mcsync.decision import PlannedChange, Reason
from mcsync.model import Member, MemberChange, MemberStatus
from mcsync.reconcile.observe import Data, Look, Written, observe
from tests.hours import at, text

LIST, OTHER_LIST = "aaaaaaaaaa", "bbbbbbbbbb"
INTEREST = "cccccccccc"
READER = Reader([INTEREST])


def member(
    name: str,
    hour: int = 9,
    status: str = "subscribed",
    *,
    volunteer: bool = False,
    first: str = "",
    contact: str = "",
    member_id: str = "",
    left: bool = False,
) -> Member:
    return Member(
        member_id=member_id or f"id of {name.lower()}",
        email=f"{name}@example.org",
        status=MemberStatus(status),
        last_changed=at(hour),
        unique_contact=contact,
        merge_fields={"FNAME": first, "LNAME": ""},
        interests={INTEREST: volunteer},
        has_left=left,
    )


def take(store: Store, *members: Member, fetch_no: int = 0, audience: str = LIST) -> LookCount:
    return take_page(store, audience, members, READER, fetch_no)


def miss(store: Store, fetch_no: int, hour: int) -> int:
    return take_absences(store, LIST, fetch_no, at(hour))


def look(store: Store, row_id: int, seen: Member | None, hour: int = 14, **more: object) -> Data:
    with store.atomic():
        return take_look(store, row_id, seen, READER, at(hour), **more)  # type: ignore[arg-type]


def row(store: Store, name: str | int) -> dict[str, object]:
    """The row with this address, or this id."""
    column, value = ("id", name) if isinstance(name, int) else ("email_key", f"{name}@example.org")
    cursor = store.query(
        f"SELECT * FROM civicrm_mailchimpsync_cache WHERE {column} = ?",  # noqa: S608
        (value,),
    )
    found = cursor.fetchall()
    assert len(found) == 1, found
    columns = [column[0] for column in cursor.description]
    return dict(zip(columns, found[0], strict=True))


def row_id(store: Store, name: str) -> int:
    found = find_row(store, LIST, f"{name}@example.org")
    assert found is not None
    return found


def data(store: Store, name: str | int) -> dict[str, object]:
    return msgspec.json.decode(str(row(store, name)["mailchimp_data"]), type=dict[str, object])


def all_rows(store: Store) -> list[tuple[object, ...]]:
    return store.query("SELECT * FROM civicrm_mailchimpsync_cache ORDER BY id").fetchall()


def call_it_done(store: Store) -> None:
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET due = 0, mark = 'ok', is_data_due = 0")


def add_row(store: Store, contact: int, address: str | None = None) -> int:
    """A row that is no member yet, with nothing to do."""
    with store.atomic():
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, civicrm_contact_id,"
            " mailchimp_email, email_key, mark, due) VALUES (?, ?, ?, ?, 'ok', 0)",
            (LIST, contact, address, address),
        )
    return int(cursor.lastrowid or 0)


def plan(change: MemberChange, hour: int, *, is_gate: bool = False) -> PlannedChange:
    caused = {"status": at(hour)} if change.status or change.is_archiving else {}
    caused |= {f"interest-{key}": at(hour) for key in change.interests}
    return PlannedChange(None, None, change, Reason.CIVICRM_REMOVED, caused, is_gate)


def send(store: Store, name: str, change: MemberChange, hour: int, *, is_gate: bool = False) -> int:
    """Queue an update caused at `hour` and claim it for a batch; the update's id."""
    with store.atomic():
        queue_update(store, row_id(store, name), plan(change, hour, is_gate=is_gate), at(hour))
    claimed = claim(store, LIST, "account", at(hour), at(hour), limit=10)
    assert claimed is not None
    return claimed[1][-1].update_id


OUT = MemberChange("w", status=MemberStatus.UNSUBSCRIBED)


# --- pages ----------------------------------------------------------------------------------------


def test_a_new_member_is_stored_in_the_documents_columns(store: Store):
    assert take(store, member("Wilma", first="Wilma")) == LookCount(fetched=1, changed=1)
    found = row(store, "wilma")
    assert found["mailchimp_list_id"] == LIST
    assert found["mailchimp_member_id"] == "id of wilma"
    assert found["mailchimp_email"] == "Wilma@example.org"
    assert found["mailchimp_status"] == "subscribed"
    assert found["mailchimp_updated"] == text(9)
    assert found["civicrm_contact_id"] is None
    assert (found["sync_status"], found["due"], found["mark"]) == ("todo", 1, "ok")
    assert data(store, "wilma") == {
        "status": "subscribed",
        "status@": text(9),
        "first_name": "Wilma",
        "first_name@": text(9),
        "last_name": "",
        "last_name@": text(9),
        f"interest-{INTEREST}": False,
        f"interest-{INTEREST}@": text(9),
    }


def test_who_left_and_who_was_met_out_is_told(store: Store):
    take(
        store,
        member("wilma", status="unsubscribed", left=True),
        member("betty", status="unsubscribed"),
        member("dino", status="archived"),
        member("fred"),
    )
    found = {name: data(store, name) for name in ("wilma", "betty", "dino", "fred")}
    assert {name: each.get("left") for name, each in found.items() if "left" in each} == {
        "wilma": True
    }
    assert {name: each.get("met") for name, each in found.items() if "met" in each} == {
        "betty": True,
        "dino": True,
    }


def test_a_shops_customer_has_said_nothing(store: Store):
    take(store, member("wilma", status="transactional"))
    assert "status@" not in data(store, "wilma")
    assert data(store, "wilma")["first_name@"] == text(9)


def test_an_at_moves_only_with_its_own_field(store: Store):
    take(store, member("wilma", 9, first="Wilma"))
    take(store, member("wilma", 12, first="Wilhelmina"))
    found = data(store, "wilma")
    assert found["first_name@"] == text(12)
    assert found["status@"] == text(9)
    assert found[f"interest-{INTEREST}@"] == text(9)


def test_a_page_sent_again_changes_nothing_and_marks_nobody(store: Store):
    page = [member("wilma"), member("betty", status="unsubscribed")]
    take(store, *page)
    call_it_done(store)
    before = all_rows(store)
    assert take(store, *page) == LookCount(fetched=2, changed=0)
    assert all_rows(store) == before


def test_a_record_touched_without_news_marks_nobody(store: Store):
    take(store, member("wilma", 9))
    call_it_done(store)
    assert take(store, member("wilma", 12)).changed == 0
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
    take(store, member("wilma", 9))
    call_it_done(store)
    assert take(store, news).changed == 1
    found = row(store, "wilma")
    assert (found["sync_status"], found["mark"], found["is_data_due"]) == ("todo", "ok", 1)


def test_who_gives_a_reason_of_their_own_later_has_news(store: Store):
    take(store, member("wilma", 9, "unsubscribed"))
    call_it_done(store)
    take(store, member("wilma", 12, "unsubscribed", left=True))
    assert row(store, "wilma")["sync_status"] == "todo"
    assert data(store, "wilma")["status@"] == text(12)


def test_addresses_compare_without_regard_to_case(store: Store):
    take(store, member("Wilma", 9))
    take(store, member("WILMA", 12, "unsubscribed"))
    assert count_members(store, LIST) == 1
    assert row(store, "wilma")["mailchimp_status"] == "unsubscribed"
    assert find_row(store, LIST, "WILMA@example.org") == row(store, "wilma")["id"]


def test_accents_and_spaces_make_another_address(store: Store):
    take(store, member("wilma"), member("wïlma"), member("wilma "))
    assert count_members(store, LIST) == 3


@pytest.mark.fact("mailchimp: Identity", "the same id in every audience")
def test_the_same_address_in_two_audiences_is_two_members(store: Store):
    take(store, member("wilma"))
    take(store, member("wilma"), audience=OTHER_LIST)
    assert count_members(store, LIST) == count_members(store, OTHER_LIST) == 1


def test_an_interest_mapped_later_is_first_seen_later(store: Store):
    take_page(store, LIST, [member("wilma", 9)], Reader([]), 0)
    assert f"interest-{INTEREST}" not in data(store, "wilma")
    take(store, member("wilma", 10, volunteer=True))
    assert data(store, "wilma")[f"interest-{INTEREST}@"] == text(10)
    assert data(store, "wilma")["status@"] == text(9)


def test_a_row_waiting_for_its_member_gets_it(store: Store):
    add_row(store, 7, "wilma@example.org")
    take(store, member("wilma"))
    found = row(store, "wilma")
    assert (found["civicrm_contact_id"], found["mailchimp_member_id"]) == (7, "id of wilma")
    assert found["sync_status"] == "todo"


def test_whose_address_it_is_stays_known_until_the_address_changes(store: Store):
    take(store, member("wilma", 9, contact="u1"))
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET is_looked_up = 1")
    take(store, member("wilma", 12, "unsubscribed", contact="u1"))
    assert row(store, "wilma")["is_looked_up"] == 1
    take(store, member("flint", 13, contact="u1"))
    assert row(store, "flint")["is_looked_up"] == 0


# --- what we wrote ourselves ----------------------------------------------------------------------


def test_what_an_open_update_writes_is_no_statement(store: Store):
    take(store, member("wilma", 9))
    call_it_done(store)
    send(store, "wilma", OUT, 10)
    take(store, member("wilma", 12, "unsubscribed"))
    assert data(store, "wilma")["status"] == "unsubscribed"
    assert data(store, "wilma")["status@"] == text(10)
    assert row(store, "wilma")["due"] == 0


def test_what_an_open_update_does_not_write_is_a_statement(store: Store):
    take(store, member("wilma", 9))
    send(store, "wilma", MemberChange("w", interests={INTEREST: True}), 10)
    take(store, member("wilma", 12, "unsubscribed", volunteer=True))
    assert data(store, "wilma")["status@"] == text(12)
    assert data(store, "wilma")[f"interest-{INTEREST}@"] == text(10)


def test_a_reason_of_their_own_is_theirs_whatever_is_under_way(store: Store):
    take(store, member("wilma", 9))
    send(store, "wilma", OUT, 10)
    take(store, member("wilma", 12, "unsubscribed", left=True))
    found = data(store, "wilma")
    assert (found["status@"], found["left"]) == (text(12), True)


def test_an_open_update_for_the_gate_leaves_the_members_own_word(store: Store):
    take(store, member("wilma", 9))
    send(store, "wilma", OUT, 10, is_gate=True)
    take(store, member("wilma", 12, "unsubscribed"))
    found = data(store, "wilma")
    assert (found["status"], found["status@"], found["status!"]) == ("unsubscribed", text(9), True)


def test_an_archiving_of_ours_is_no_statement(store: Store):
    take(store, member("wilma", 9))
    send(store, "wilma", MemberChange("w", is_archiving=True), 10)
    take(store, member("wilma", 12, "archived"))
    assert data(store, "wilma")["status"] == "archived"
    assert data(store, "wilma")["status@"] == text(10)


def test_an_update_that_is_only_queued_has_written_nothing(store: Store):
    take(store, member("wilma", 9))
    with store.atomic():
        queue_update(store, row_id(store, "wilma"), plan(OUT, 10), at(10))
    take(store, member("wilma", 12, "unsubscribed"))
    assert data(store, "wilma")["status@"] == text(12)


def test_an_update_whose_fate_is_known_is_under_way_no_more(store: Store):
    take(store, member("wilma", 9))
    update_id = send(store, "wilma", OUT, 10)
    with store.atomic():
        complete(store, update_id, "refused", at(11))
    assert not load_under_way(store, [row_id(store, "wilma")])
    take(store, member("wilma", 12, "unsubscribed"))
    assert data(store, "wilma")["status@"] == text(12)


def test_what_is_under_way_comes_oldest_first(store: Store):
    take(store, member("wilma", 9), member("betty", 9))
    wilma = row_id(store, "wilma")
    first = send(store, "wilma", OUT, 10)
    send(store, "betty", MemberChange("b", status=MemberStatus.SUBSCRIBED), 10)
    with store.atomic():  # a batch that hangs is not waited for
        store.query("UPDATE civicrm_mailchimpsync_batch SET is_overdue = 1")
    second = send(store, "wilma", MemberChange("w", status=MemberStatus.SUBSCRIBED), 11)
    assert first < second
    (found,) = load_under_way(store, [wilma]).values()
    assert [written.values["status"] for written in found] == ["unsubscribed", "subscribed"]


WRITTEN = [
    pytest.param(MemberChange("w"), {}, id="nothing"),
    pytest.param(OUT, {"status": "unsubscribed"}, id="a status"),
    pytest.param(MemberChange("w", is_archiving=True), {"status": "archived"}, id="an archiving"),
    pytest.param(
        MemberChange("w", interests={"c": True, "d": False}),
        {"interest-c": True, "interest-d": False},
        id="interests",
    ),
    pytest.param(
        MemberChange("w", merge_fields={"FNAME": "Wilma", "LNAME": "Flint", "JOB": "x"}),
        {"first_name": "Wilma", "last_name": "Flint"},
        id="names, and a field of which the cache knows nothing",
    ),
    pytest.param(
        MemberChange("w", merge_fields={"NAME": "Wilma Ann Flint"}),
        {"first_name": "Wilma", "last_name": "Ann Flint"},
        id="one name, as it will be seen",
    ),
    pytest.param(
        MemberChange("w", merge_fields={"NAME": "Wilma Ann Flint", "FNAME": "Wilma Ann"}),
        {"first_name": "Wilma Ann"},
        id="one name beside the others",
    ),
    pytest.param(MemberChange("w", tags={"CiviCRM: Donor": True}), {}, id="tags"),
    pytest.param(MemberChange("w", new_email="flint@example.org"), {}, id="an address"),
]


@pytest.mark.parametrize(("change", "values"), WRITTEN)
def test_what_an_update_writes_is_told_as_a_look_will_show_it(change: MemberChange, values: Data):
    cause = StoredCause(reason="added-in-civicrm", at={"status": text(9)}, is_gate=True)
    assert read_written(change, cause) == Written(values, {"status": text(9)}, is_gate=True)


# --- who moved ------------------------------------------------------------------------------------


def test_who_changes_address_keeps_the_row(store: Store):
    take(store, member("wilma", 9, contact="u1", first="Wilma"))
    old = row_id(store, "wilma")
    call_it_done(store)
    take(store, member("flint", 12, contact="u1", first="Wilma"))
    assert count_members(store, LIST) == 1
    found = row(store, "flint")
    assert (found["id"], found["mailchimp_member_id"]) == (old, "id of flint")
    assert (found["mailchimp_email"], found["moved_from"]) == (
        "flint@example.org",
        "wilma@example.org",
    )
    assert found["sync_status"] == "todo"
    assert data(store, "flint")["status@"] == text(9)


def test_who_moves_twice_before_anybody_judges_came_from_the_first_address(store: Store):
    take(store, member("wilma", 9, contact="u1"))
    take(store, member("flint", 12, contact="u1"))
    take(store, member("stone", 13, contact="u1"))
    assert row(store, "stone")["moved_from"] == "wilma@example.org"


def test_who_changes_address_keeps_the_contact(store: Store):
    take(store, member("wilma", 9, contact="u1"))
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET civicrm_contact_id = 7")
    take(store, member("flint", 12, contact="u1"))
    assert row(store, "flint")["civicrm_contact_id"] == 7


def test_members_without_a_contact_id_of_mailchimp_never_move(store: Store):
    take(store, member("wilma", 9))
    take(store, member("flint", 12))
    assert count_members(store, LIST) == 2


def test_an_address_of_another_audience_does_not_move(store: Store):
    take(store, member("wilma", contact="u1"), audience=OTHER_LIST)
    take(store, member("flint", 12, contact="u1"))
    assert count_members(store, OTHER_LIST) == count_members(store, LIST) == 1


def test_a_move_to_an_address_that_has_a_row_makes_a_stray_of_that(store: Store):
    take(store, member("wilma", 9, contact="u1"), member("flint", 9, "archived", contact="u2"))
    wilma, flint = row_id(store, "wilma"), row_id(store, "flint")
    take(store, member("flint", 12, contact="u1"))
    found = row(store, "flint")
    assert (found["id"], found["mailchimp_status"]) == (wilma, "subscribed")
    stray = row(store, flint)
    assert (stray["email_key"], stray["mailchimp_status"]) == (None, "archived")
    assert (stray["sync_status"], stray["moved_from"]) == ("todo", "flint@example.org")
    assert load_strays(store, LIST) == {flint: "u2"}
    assert load_strays(store, OTHER_LIST) == {}


def test_two_who_swap_addresses_keep_their_rows(store: Store):
    take(store, member("wilma", 9, contact="u1"), member("betty", 9, contact="u2"))
    wilma, betty = row_id(store, "wilma"), row_id(store, "betty")
    take(store, member("betty", 12, contact="u1"), member("wilma", 12, contact="u2"))
    assert (row_id(store, "betty"), row_id(store, "wilma")) == (wilma, betty)
    assert load_strays(store, LIST) == {}


def test_two_who_swap_addresses_keep_their_rows_page_by_page(store: Store):
    take(store, member("wilma", 9, contact="u1"), member("betty", 9, contact="u2"))
    wilma, betty = row_id(store, "wilma"), row_id(store, "betty")
    take(store, member("betty", 12, contact="u1"))
    take(store, member("wilma", 12, contact="u2"))
    assert (row_id(store, "betty"), row_id(store, "wilma")) == (wilma, betty)
    assert load_strays(store, LIST) == {}


def test_three_who_go_round_keep_their_rows(store: Store):
    take(store, *(member(n, 9, contact=c) for n, c in zip("abc", ("u1", "u2", "u3"), strict=True)))
    before = [row_id(store, name) for name in "abc"]
    take(store, *(member(n, 12, contact=c) for n, c in zip("bca", ("u1", "u2", "u3"), strict=True)))
    assert [row_id(store, name) for name in "bca"] == before


def test_who_takes_over_an_address_gets_a_row_of_their_own(store: Store):
    take(store, member("wilma", 9, contact="u1"))
    wilma = row_id(store, "wilma")
    take(store, member("wilma", 12, contact="u2"))
    assert row_id(store, "wilma") != wilma
    assert load_strays(store, LIST) == {wilma: "u1"}
    take(store, member("flint", 11, contact="u1"))
    assert load_strays(store, LIST) == {}
    assert (row(store, "flint")["id"], row(store, "flint")["moved_from"]) == (
        wilma,
        "wilma@example.org",
    )


def test_of_one_person_under_two_addresses_in_a_page_the_newer_one_counts(store: Store):
    take(store, member("wilma", 9, contact="u1"))
    wilma = row_id(store, "wilma")
    take(store, member("flint", 12, contact="u1"), member("wilma", 10, contact="u1"))
    assert row_id(store, "flint") == wilma
    assert len(all_rows(store)) == 1


def test_a_row_that_waits_for_its_member_gives_way_to_who_moves_there(store: Store):
    """Else one member has two rows, and the old one is missed: out, although nobody said so."""
    take(store, member("wilma", 9, contact="u1"), fetch_no=1)
    wilma = row_id(store, "wilma")
    waiting = add_row(store, 7, "flint@example.org")
    take(store, member("flint", 12, contact="u1"), fetch_no=2)
    assert row_id(store, "flint") == wilma
    found = row(store, waiting)
    assert (found["email_key"], found["mailchimp_member_id"], found["due"]) == (None, None, 1)
    assert load_strays(store, LIST) == {}
    assert miss(store, 2, 14) == 0


def test_a_second_move_after_a_move_to_an_address_that_had_a_row(store: Store):
    take(store, member("wilma", 9, contact="u1"), member("flint", 9, "archived", contact="u2"))
    take(store, member("flint", 12, contact="u1"))
    take(store, member("stone", 13, contact="u1"))
    assert row(store, "stone")["mailchimp_status"] == "subscribed"


def test_a_move_that_a_webhook_tells_of_gives_the_row_its_new_address(store: Store):
    take(store, member("wilma", 9))
    wilma = row_id(store, "wilma")
    call_it_done(store)
    move_member(store, LIST, "Wilma@example.org", "Flint@example.org")
    found = row(store, "flint")
    assert (found["id"], found["moved_from"], found["due"]) == (wilma, "wilma@example.org", 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nobody@example.org", "flint@example.org"),
        ("wilma@example.org", "betty@example.org"),
        ("wilma@example.org", "WILMA@example.org"),
    ],
    ids=["of nobody", "to an address that has a row", "to where they are"],
)
def test_a_move_that_cannot_be_is_none(store: Store, old: str, new: str):
    take(store, member("wilma", 9), member("betty", 9))
    call_it_done(store)
    before = all_rows(store)
    move_member(store, LIST, old, new)
    assert all_rows(store) == before


# --- into an empty cache --------------------------------------------------------------------------


@pytest.mark.parametrize("interests", [{}, {INTEREST: True}, {INTEREST: False, "other": True}])
@pytest.mark.parametrize("names", [{}, {"NAME": "Ada King"}, {"FNAME": "Ada", "LNAME": "King"}])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("status", MemberStatus)
def test_whoever_is_read_first_is_read_as_a_look_tells(
    status: MemberStatus, left: bool, names: dict[str, str], interests: dict[str, bool]
):
    ada = Member("1", "ada@example.org", status, at(9), "", names, interests, left)
    look = Look(READER.read(ada), text(9), has_left=left)
    assert READER.read_first(ada, str(ada.status), text(9)) == observe(None, None, look).data


def take_first(store: Store, *members: Member) -> LookCount:
    """A page of a fetch that began at ten, when the cache knew nobody."""
    return take_page(store, LIST, members, READER, 1, at(10))


def test_a_first_fetch_ends_as_any_other_would(store: Store, tmp_path: Path):
    people = [member("wilma", 8, contact="u1"), member("betty", 9, "archived", first="Betty")]
    assert take_first(store, *people) == LookCount(2, 2)
    other = Store(tmp_path / "other.db")
    take(other, *people, fetch_no=1)
    assert all_rows(store) == all_rows(other)
    other.close()


def test_an_address_that_comes_twice_in_a_first_fetch_is_one_row(store: Store):
    take_first(store, member("wilma", 8))
    take_first(store, member("betty", 8), member("Wilma", 9, member_id="old hash"))
    assert len(all_rows(store)) == 2
    assert row(store, "wilma")["mailchimp_member_id"] == "old hash"
    assert row(store, "betty")["mailchimp_status"] == "subscribed"


def test_who_moves_while_a_first_fetch_runs_is_one_row(store: Store):
    take_first(store, member("wilma", 9, contact="u1"))
    take_first(store, member("flint", 11, contact="u1"))
    assert row(store, "flint")["moved_from"] == "wilma@example.org"
    assert len(all_rows(store)) == 1


def test_an_audience_has_members_once_one_was_taken_in(store: Store):
    take(store, member("wilma"), audience=OTHER_LIST)
    assert not has_members(store, LIST)
    take(store, member("wilma"))
    assert has_members(store, LIST)


def test_an_audience_that_expects_a_member_has_some(store: Store):
    add_row(store, 7)
    assert not has_members(store, LIST)
    add_row(store, 8, "wilma@example.org")
    assert has_members(store, LIST)


# --- who is no longer there -----------------------------------------------------------------------


def test_who_is_not_in_a_full_fetch_is_no_longer_there(store: Store):
    take(store, member("wilma", 9), member("betty", 9), fetch_no=1)
    call_it_done(store)
    take(store, member("wilma", 9), fetch_no=2)
    assert miss(store, 2, 14) == 1
    assert row(store, "wilma")["sync_status"] == "ok"
    betty = row(store, "betty")
    assert betty["sync_status"] == "todo"
    assert (betty["mailchimp_member_id"], betty["mailchimp_status"]) == (None, None)
    assert (data(store, "betty")["status"], data(store, "betty")["status@"]) == (None, text(14))
    assert count_members(store, LIST) == 1


def test_what_was_sent_is_forgotten_with_the_member(store: Store):
    take(store, member("wilma", 9), fetch_no=1)
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET civicrm_data = '{}'")
    miss(store, 2, 14)
    assert row(store, "wilma")["civicrm_data"] is None


def test_more_than_are_missed_in_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mcsync.cache.looks._AT_ONCE", 2)
    take(store, *(member(name) for name in "abcde"), fetch_no=1)
    assert miss(store, 2, 14) == 5
    assert count_members(store, LIST) == 0


@pytest.mark.parametrize(
    "second_look",
    [member("wilma", 9), member("wilma", 12), member("wilma", 12, "unsubscribed")],
    ids=["as known", "touched", "changed"],
)
def test_who_is_in_a_full_fetch_is_there(store: Store, second_look: Member):
    take(store, member("wilma", 9), fetch_no=1)
    take(store, second_look, fetch_no=2)
    assert miss(store, 2, 14) == 0


def test_who_moved_during_a_full_fetch_is_there(store: Store):
    take(store, member("wilma", 9, contact="u1"), fetch_no=1)
    take(store, member("flint", 12, contact="u1"), fetch_no=2)
    assert miss(store, 2, 14) == 0


def test_who_is_gone_is_not_missed_again(store: Store):
    take(store, member("wilma", 9), fetch_no=1)
    assert miss(store, 2, 14) == 1
    call_it_done(store)
    assert miss(store, 3, 15) == 0
    assert row(store, "wilma")["sync_status"] == "ok"


def test_who_was_gone_and_comes_back_says_so(store: Store):
    take(store, member("wilma", 9), fetch_no=1)
    miss(store, 2, 14)
    take(store, member("wilma", 15), fetch_no=3)
    assert row(store, "wilma")["mailchimp_status"] == "subscribed"
    assert data(store, "wilma")["status@"] == text(15)


def test_an_increment_between_two_full_fetches_makes_nobody_missing(store: Store):
    take(store, member("wilma", 9), fetch_no=1)
    take(store, member("wilma", 12, "unsubscribed"))
    take(store, member("wilma", 12, "unsubscribed"), fetch_no=2)
    assert miss(store, 2, 14) == 0


def test_a_contacts_own_row_is_not_missed(store: Store):
    add_row(store, 7)
    assert miss(store, 2, 14) == 0


# --- single looks ---------------------------------------------------------------------------------


def test_a_single_look_teaches_what_a_page_would(store: Store, tmp_path: Path):
    other = Store(tmp_path / "other.db")
    for each in (store, other):
        take(each, member("wilma", 9, first="Wilma"))
        call_it_done(each)
    now = member("Wilma", 12, "unsubscribed", first="Wilhelmina", left=True)
    take(other, now)
    found = look(store, row_id(store, "wilma"), now)
    assert all_rows(store) == all_rows(other)
    assert found == data(store, "wilma")
    other.close()


def test_a_single_look_without_news_marks_nobody(store: Store):
    take(store, member("wilma", 9))
    call_it_done(store)
    look(store, row_id(store, "wilma"), member("wilma", 12))
    found = row(store, "wilma")
    assert (found["due"], found["mailchimp_updated"]) == (0, text(12))


def test_a_look_of_a_fetch_counts_as_seen_by_it(store: Store):
    take(store, member("wilma", 9), fetch_no=1)
    look(store, row_id(store, "wilma"), member("wilma", 9), fetch_no=2)
    assert miss(store, 2, 14) == 0
    look(store, row_id(store, "wilma"), member("wilma", 9))
    assert row(store, "wilma")["seen_fetch"] == 2


def test_a_look_at_a_row_that_went_meanwhile_teaches_nothing(store: Store):
    assert look(store, 7, member("wilma")) == {}
    assert look(store, 7, None) == {}
    assert all_rows(store) == []


def test_a_look_that_finds_nobody_is_an_absence(store: Store):
    take(store, member("wilma", 9))
    call_it_done(store)
    wilma = row_id(store, "wilma")
    found = look(store, wilma, None, 14)
    assert (found["status"], found["status@"]) == (None, text(14))
    gone = row(store, "wilma")
    assert (gone["mailchimp_member_id"], gone["mailchimp_status"], gone["due"]) == (None, None, 1)
    assert gone["mailchimp_email"] == "wilma@example.org"


def test_who_never_was_a_member_is_not_missed(store: Store):
    fred = add_row(store, 7, "fred@example.org")
    before = all_rows(store)
    assert look(store, fred, None) == {}
    assert all_rows(store) == before


def test_a_stray_who_is_gone_has_no_address_any_more(store: Store):
    take(store, member("wilma", 9, contact="u1"), member("flint", 9, contact="u2"))
    flint = row_id(store, "flint")
    take(store, member("flint", 12, contact="u1"))
    look(store, flint, None)
    found = row(store, flint)
    assert (found["mailchimp_email"], found["mailchimp_member_id"]) == (None, None)
    assert load_strays(store, LIST) == {}


def test_a_stray_who_is_found_has_the_address_where_they_are(store: Store):
    take(store, member("wilma", 9, contact="u1"), member("flint", 9, contact="u2"))
    flint = row_id(store, "flint")
    take(store, member("flint", 12, contact="u1"))
    look(store, flint, member("stone", 12, contact="u2"))
    found = row(store, "stone")
    assert (found["id"], found["moved_from"]) == (flint, "flint@example.org")
    assert load_strays(store, LIST) == {}


def test_a_member_found_where_another_row_is_takes_no_address_from_it(store: Store):
    take(store, member("wilma", 9, contact="u1"), member("betty", 9, contact="u2"))
    wilma, betty = row_id(store, "wilma"), row_id(store, "betty")
    look(store, wilma, member("betty", 12, contact="u1"))
    assert (row(store, wilma)["email_key"], row(store, betty)["email_key"]) == (
        "wilma@example.org",
        "betty@example.org",
    )


def test_a_result_shows_what_we_wrote_and_that_is_no_word(store: Store):
    take(store, member("wilma", 9))
    call_it_done(store)
    done = Written({"status": "unsubscribed"}, {"status": text(10)})
    found = look(store, row_id(store, "wilma"), member("wilma", 12, "unsubscribed"), done=done)
    assert (found["status"], found["status@"]) == ("unsubscribed", text(10))
    assert row(store, "wilma")["due"] == 0


def test_a_result_that_a_newer_look_has_overtaken_changes_only_what_is_known_of_it(store: Store):
    """She was unsubscribed by us at 10, signed up at 12, which was seen before the result."""
    take(store, member("wilma", 9))
    take(store, member("wilma", 12, first="Wilma"))
    call_it_done(store)
    done = Written({"status": "unsubscribed"}, {"status": text(8)})
    old = member("wilma", 10, "unsubscribed")
    found = look(store, row_id(store, "wilma"), old, done=done)
    assert (found["status"], found["status@"]) == ("subscribed", text(12))
    kept = row(store, "wilma")
    assert (kept["mailchimp_status"], kept["mailchimp_updated"]) == ("subscribed", text(12))
    assert kept["due"] == 1


def test_what_is_in_doubt_and_not_to_be_seen_counts_as_taken_back(store: Store):
    take(store, member("wilma", 9))
    call_it_done(store)
    in_doubt = Written({"status": "unsubscribed"}, {"status": text(10)})
    found = look(store, row_id(store, "wilma"), member("wilma", 12), in_doubt=in_doubt)
    assert (found["status"], found["status@"]) == ("subscribed", text(12))
    assert row(store, "wilma")["due"] == 1


def test_an_answer_without_a_member_tells_what_was_written(store: Store):
    take(store, member("wilma", 9, first="Wilma"))
    call_it_done(store)
    done = Written({"status": "archived"}, {"status": text(10)})
    with store.atomic():
        found = take_answer(store, row_id(store, "wilma"), done, at(14))
    assert (found["status"], found["status@"]) == ("archived", text(10))
    kept = row(store, "wilma")
    assert (kept["mailchimp_status"], kept["mailchimp_updated"]) == ("archived", text(9))
    assert (kept["mailchimp_member_id"], kept["due"]) == ("id of wilma", 0)
    take(store, member("wilma", 14, "archived", first="Wilma"))
    assert data(store, "wilma")["status@"] == text(10)
    assert row(store, "wilma")["due"] == 0


def test_an_answer_for_the_gate_leaves_the_members_own_word(store: Store):
    take(store, member("wilma", 9))
    done = Written({"status": "archived"}, {"status": text(10)}, is_gate=True)
    with store.atomic():
        found = take_answer(store, row_id(store, "wilma"), done, at(14))
    assert (found["status@"], found["status!"]) == (text(9), True)


def test_an_answer_for_a_row_that_went_meanwhile_teaches_nothing(store: Store):
    with store.atomic():
        assert take_answer(store, 7, Written({"status": "archived"}), at(14)) == {}
    assert all_rows(store) == []
