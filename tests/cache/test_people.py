"""Persons: who belongs together, whatever the chunk they are read in."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

import mcsync.cache.people as people_module
from mcsync.cache.mirror import apply_history, save_contacts
from mcsync.cache.people import load_people, load_persons_of
from mcsync.cache.store import Store
from mcsync.model import (
    Contact,
    ContactPage,
    Email,
    HistoryRow,
    InterestPolicy,
    MemberStatus,
    Person,
    Place,
    Policy,
    Reason,
    Statement,
)

LIST, GROUP, VOLUNTEERS = "aaaaaaaaaa", 111, 222
POLICY = Policy(LIST, GROUP, interests={"cccccccccc": InterestPolicy(VOLUNTEERS)})
SKIPPING = Policy(LIST, GROUP, skips_duplicates=True)
FRED, WILMA, BARNEY = 1, 2, 3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "mcsync.db")
    yield opened
    opened.close()


def at(hour: int) -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)


def add_contact(store: Store, contact_id: int, *names: str, **flags: bool) -> None:
    contact = Contact(contact_id, "Fred", "Flint", modified_at=at(8), **flags)
    emails = tuple(
        Email(contact_id * 10 + n, contact_id, f"{name}@example.org")
        for n, name in enumerate(names)
    )
    save_contacts(store, ContactPage((contact,), emails))


def place(store: Store, contact_id: int, status: str = "Added", group: int = GROUP) -> None:
    (last,) = store.query(
        "SELECT coalesce(max(history_id), 0) FROM civicrm_mailchimpsync_group_contact"
    ).fetchone()
    with store.atomic():
        apply_history(
            store, [HistoryRow(last + 1, group, contact_id, status, at(8), is_ours=False)]
        )


def add_row(
    store: Store,
    name: str | None = None,
    contact: int | None = None,
    *,
    sync_status: str = "todo",
    **data: object,
) -> int:
    kept = {"status": "subscribed", "status@": "2026-11-22T09:00:00Z", **data}
    with store.atomic():
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, mailchimp_email,"
            " email_key, mailchimp_member_id, mailchimp_status, mailchimp_data,"
            " civicrm_contact_id, sync_status) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                LIST,
                name and f"{name.title()}@example.org",
                name and f"{name}@example.org",
                name and f"id of {name}",
                name and kept["status"],
                name and msgspec.json.encode(kept).decode(),
                contact,
                sync_status,
            ),
        )
    return int(cursor.lastrowid or 0)


def load(store: Store, policy: Policy = POLICY) -> list[Person]:
    return [person for chunk in load_people(store, policy) for person in chunk.people]


def shape(people: Sequence[Person]) -> set[tuple[frozenset[int], frozenset[int]]]:
    """Who belongs together: (row ids, contact ids) of each person."""
    return {
        (
            frozenset(row.row_id for row in person.rows),
            frozenset(contact.contact_id for contact in person.contacts),
        )
        for person in people
    }


def person_of(rows: Sequence[int], contacts: Sequence[int] = ()):
    return frozenset(rows), frozenset(contacts)


# --- who belongs together -------------------------------------------------------------------------


def test_nearly_always_one_of_each(store: Store):
    add_contact(store, FRED, "fred")
    add_contact(store, WILMA, "wilma")
    fred, wilma = add_row(store, "fred", FRED), add_row(store, "wilma", WILMA)
    assert shape(load(store)) == {person_of([fred], [FRED]), person_of([wilma], [WILMA])}


def test_a_member_whom_nobody_owns_stands_alone(store: Store):
    dino = add_row(store, "dino")
    assert shape(load(store)) == {person_of([dino])}


def test_a_contact_unknown_to_mailchimp_stands_alone(store: Store):
    add_contact(store, FRED, "fred")
    place(store, FRED)
    fred = add_row(store, None, FRED)
    assert shape(load(store)) == {person_of([fred], [FRED])}


def test_a_contact_with_two_subscribed_addresses_is_one_person(store: Store):
    add_contact(store, BARNEY, "barney", "rubble")
    one, two = add_row(store, "barney", BARNEY), add_row(store, "rubble", BARNEY)
    assert shape(load(store)) == {person_of([one, two], [BARNEY])}


def test_a_family_sharing_one_address_is_one_person(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home")
    place(store, FRED)
    place(store, WILMA)
    member, own = add_row(store, "home", FRED), add_row(store, None, WILMA)
    assert shape(load(store)) == {person_of([member, own], [FRED, WILMA])}


def test_who_was_removed_from_the_group_still_belongs_to_the_family(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home")
    place(store, WILMA, "Removed")
    member = add_row(store, "home", FRED)
    assert shape(load(store)) == {person_of([member], [FRED, WILMA])}


def test_who_was_never_in_the_group_does_not_belong_to_the_family(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home")
    place(store, FRED)
    place(store, WILMA, group=VOLUNTEERS)
    member = add_row(store, "home", FRED)
    assert shape(load(store)) == {person_of([member], [FRED])}


def test_a_trashed_contact_belongs_to_nobody(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home", is_deleted=True)
    place(store, FRED)
    place(store, WILMA)
    member = add_row(store, "home", FRED)
    assert shape(load(store)) == {person_of([member], [FRED])}


def test_a_chain_of_shared_addresses_is_one_person(store: Store):
    add_contact(store, FRED, "fred", "home")
    add_contact(store, WILMA, "home", "work")
    add_contact(store, BARNEY, "work", "barney")
    for contact in (FRED, WILMA, BARNEY):
        place(store, contact)
    rows = [
        add_row(store, "fred", FRED),
        add_row(store, "home", FRED, sync_status="ok"),
        add_row(store, "work", WILMA, sync_status="ok"),
        add_row(store, "barney", BARNEY, sync_status="ok"),
    ]
    assert shape(load(store)) == {person_of(rows, [FRED, WILMA, BARNEY])}


def test_row_ids_and_contact_ids_are_not_mixed_up(store: Store):
    """Row 1 belongs to contact 2, and row 2 to contact 1."""
    add_contact(store, 1, "fred")
    add_contact(store, 2, "wilma")
    wilma, fred = add_row(store, "wilma", 2), add_row(store, "fred", 1)
    assert (wilma, fred) == (1, 2)
    assert shape(load(store)) == {person_of([1], [2]), person_of([2], [1])}


def test_only_persons_with_something_to_do_are_loaded(store: Store):
    add_contact(store, FRED, "fred")
    add_row(store, "fred", FRED, sync_status="ok")
    dino = add_row(store, "dino")
    assert shape(load(store)) == {person_of([dino])}


def test_the_person_of_any_row_can_be_asked_for(store: Store):
    add_contact(store, BARNEY, "barney", "rubble")
    one = add_row(store, "barney", BARNEY, sync_status="ok")
    two = add_row(store, "rubble", BARNEY, sync_status="fail")
    assert shape(load_persons_of(store, POLICY, [two]).people) == {person_of([one, two], [BARNEY])}


def test_the_rows_of_another_audience_belong_to_nobody_here(store: Store):
    add_contact(store, FRED, "fred")
    fred = add_row(store, "fred", FRED)
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key,"
            " civicrm_contact_id) VALUES ('bbbbbbbbbb', 'fred@example.org', 1)"
        )
    assert shape(load(store)) == {person_of([fred], [FRED])}


# --- chunks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_nobody_is_judged_twice_or_in_halves_at_the_border_of_a_chunk(store, monkeypatch, size):
    monkeypatch.setattr(people_module, "CHUNK", size)
    add_contact(store, BARNEY, "barney", "rubble", "b")
    add_contact(store, FRED, "fred")
    rows = [
        add_row(store, "barney", BARNEY),
        add_row(store, "dino"),
        add_row(store, "rubble", BARNEY),
        add_row(store, "fred", FRED),
        add_row(store, "b", BARNEY, sync_status="ok"),
    ]
    people = load(store)
    assert len(people) == 3
    assert shape(people) == {
        person_of([rows[0], rows[2], rows[4]], [BARNEY]),
        person_of([rows[1]]),
        person_of([rows[3]], [FRED]),
    }


def test_rows_may_be_marked_between_two_chunks(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(people_module, "CHUNK", 2)
    rows = [add_row(store, name) for name in ("a", "b", "c", "d", "e")]
    found = []
    for chunk in load_people(store, POLICY):
        found += [person.rows[0].row_id for person in chunk.people]
        with store.atomic():
            store.query("UPDATE civicrm_mailchimpsync_cache SET sync_status = 'ok' WHERE id <= ?",
                        (chunk.last_row_id,))  # fmt: skip
    assert found == rows


def wait_for_result(store: Store, row_id: int, batch: int | None) -> None:
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_update"
            " (mailchimpsync_cache_id, mailchimpsync_batch_id, data, cause, created_at)"
            " VALUES (?, ?, '{}', '{}', '')",
            (row_id, batch),
        )


def test_who_has_an_update_under_way_waits_with_all_their_rows(store: Store):
    add_contact(store, BARNEY, "barney", "rubble")
    one, two = add_row(store, "barney", BARNEY), add_row(store, "rubble", BARNEY)
    dino = add_row(store, "dino")
    wait_for_result(store, two, batch=1)
    (chunk,) = load_people(store, POLICY)
    assert shape(chunk.people) == {person_of([dino])}
    assert set(chunk.waiting) == {one, two}


def test_an_update_that_is_only_queued_keeps_nobody_waiting(store: Store):
    dino = add_row(store, "dino")
    wait_for_result(store, dino, batch=None)
    assert shape(load(store)) == {person_of([dino])}


# --- what is known of them ------------------------------------------------------------------------


def test_everything_the_rules_ask_for_is_there(store: Store):
    add_contact(store, FRED, "fred", is_opt_out=True)
    place(store, FRED)
    place(store, FRED, "Removed", VOLUNTEERS)
    row = add_row(
        store,
        "fred",
        FRED,
        **{
            "status": "unsubscribed",
            "first_name": "Fred",
            "interest-cccccccccc": True,
            "interest-cccccccccc@": "2026-11-22T10:00:00Z",
        },
    )
    with store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_cache SET refused_at = '2026-11-22T11:00:00Z',"
            " refusal = 'compliance-state', reconfirmed_at = '2026-11-22T12:00:00Z'"
        )
    (person,) = load(store)
    (view,) = person.rows
    assert (view.row_id, view.contact_id, view.lost_contact) == (row, FRED, False)
    assert (view.refused_at, view.refusal) == (at(11), Reason.COMPLIANCE)
    assert view.reconfirmed_at == at(12)
    member = view.member
    assert member is not None
    assert (member.email, member.member_id) == ("Fred@example.org", "id of fred")
    assert member.status is MemberStatus.UNSUBSCRIBED
    assert member.subscription == Statement(value=False, at=at(9))
    assert member.interests == {"cccccccccc": Statement(value=True, at=at(10))}
    assert member.first_name == "Fred"
    (contact,) = person.contacts
    assert contact.contact.is_opt_out
    assert contact.gate_closed_at == at(8)
    assert [email.email for email in contact.emails] == ["fred@example.org"]
    assert contact.place(GROUP) == Place(is_added=True, said=Statement(value=True, at=at(8)))
    assert contact.place(VOLUNTEERS).said == Statement(value=False, at=at(8))


def test_the_gate_is_known_for_what_it_is(store: Store):
    add_row(store, "dino", status="unsubscribed", gated=True)
    (person,) = load(store)
    assert person.members[0].subscription.value
    assert not person.members[0].is_in


def test_a_member_who_vanished_still_says_something(store: Store):
    add_contact(store, FRED, "fred")
    add_row(store, "fred", FRED, status=None)
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET mailchimp_member_id = NULL")
    (person,) = load(store)
    assert person.members[0].status is None
    assert person.members[0].subscription == Statement(value=False, at=at(9))


def test_a_row_that_lost_its_contact_tells(store: Store):
    add_row(store, "dino")
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET lost_contact_id = 7")
    (person,) = load(store)
    assert person.rows[0].lost_contact


def test_rivals_are_told_where_duplicates_are_skipped(store: Store):
    add_contact(store, WILMA, "home")
    add_contact(store, FRED, "home")
    add_contact(store, BARNEY, "home", is_deleted=True)
    add_row(store, "home")
    (person,) = load(store, SKIPPING)
    assert person.rivals == (FRED, WILMA)
    (other,) = load(store, POLICY)
    assert other.rivals == ()
