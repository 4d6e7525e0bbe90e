"""Whose contact is it: the documents' steps between fetching and judging."""

import random
from collections.abc import Mapping

import msgspec
import pytest

from mcsync.cache import linking
from mcsync.cache.contacts import mark_purged, save_contacts
from mcsync.cache.linking import (
    add_civi_only,
    due_chunks,
    load_addresses_to_look_up,
    load_linked_to_deleted,
    load_unknown_contacts,
    note_merged,
    populate_missing_contact_ids,
    remove_invalid_contact_ids,
)
from mcsync.cache.mirror import MirrorState, save_mirror_state
from mcsync.cache.rows import (
    cleanup_duplicates,
    identify_group_contact_changes,
    note_looked_up,
)
from mcsync.cache.store import Store
from mcsync.decision import InterestPolicy, Policy
from mcsync.model import Contact, ContactPage, Email
from tests.cache.filling import place
from tests.hours import at
from tests.new_cache import open_anew

LIST, OTHER_LIST = "aaaaaaaaaa", "bbbbbbbbbb"
GROUP, OTHER_GROUP = 111, 222
SHARED = "home@example.org"


def add_contact(
    store: Store, contact_id: int, *emails: str, name: str = "Fred Flint", **flags: bool
) -> None:
    first, _, last = name.partition(" ")
    contact = Contact(contact_id, first, last, modified_at=at(8), **flags)
    owned = tuple(Email(contact_id * 10 + n, contact_id, e) for n, e in enumerate(emails))
    save_contacts(store, ContactPage((contact,), owned), at(8))


def add_row(
    store: Store,
    address: str | None = None,
    contact: int | None = None,
    *,
    name: str = "",
    due: int = 1,
    gone: bool = False,
    audience: str = LIST,
) -> int:
    """A row; with an address it has a member, who may be gone."""
    first, _, last = name.partition(" ")
    data = {"status": "subscribed", "status@": "2026-11-22T09:00:00Z"}
    data |= {"first_name": first, "last_name": last}
    with store.atomic():
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, mailchimp_email,"
            " email_key, mailchimp_member_id, mailchimp_data, civicrm_contact_id, due, mark)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'ok')",
            (
                audience,
                address,
                address and address.lower(),
                None if gone else address and f"id of {address}",
                address and msgspec.json.encode(data).decode(),
                contact,
                due,
            ),
        )
    return int(cursor.lastrowid or 0)


def rows(store: Store, columns: str = "id, civicrm_contact_id") -> list[tuple[object, ...]]:
    sql = f"SELECT {columns} FROM civicrm_mailchimpsync_cache ORDER BY id"  # noqa: S608
    return store.query(sql).fetchall()


EVERYBODY = (-(2**62), 2**62)
NONE: Mapping[str, InterestPolicy] = {}
INTERESTS = {"f" * 10: InterestPolicy(OTHER_GROUP)}


def match(
    store: Store, *, skips_duplicates: bool = False, interests: Mapping[str, InterestPolicy] = NONE
) -> int:
    policy = Policy(LIST, GROUP, interests=interests, skips_duplicates=skips_duplicates)
    with store.atomic():
        return populate_missing_contact_ids(store, policy, EVERYBODY)


def tidy(store: Store) -> None:
    with store.atomic():
        cleanup_duplicates(store, LIST, EVERYBODY)


# --- populateMissingContactIDs --------------------------------------------------------------------

# contacts: id -> (name, status in the group); everybody owns the one address
MATCHING = [
    pytest.param({}, "", None, None, id="nobody owns the address"),
    pytest.param({7: ("Fred Flint", None)}, "", 7, 7, id="1: the only owner"),
    pytest.param({7: ("Fred Flint", None)}, "Wilma Stone", 7, 7, id="1: whatever their name"),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Flint", "Added"), 9: ("Pebbles Flint", "Added")},
        "",
        5,
        5,
        id="2: the lowest id among those Added",
    ),
    pytest.param(
        {3: ("Fred Flint", "Removed"), 5: ("Wilma Flint", "Added")},
        "Fred Flint",
        5,
        5,
        id="2: Added goes before history, and before the name",
    ),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Flint", "Removed"), 9: ("Pebbles Flint", "Removed")},
        "",
        5,
        5,
        id="3: the lowest id with any history",
    ),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Flint", "Deleted")},
        "",
        5,
        5,
        id="3: having been deleted from the group is history",
    ),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Flint", "Removed")},
        "Fred Flint",
        5,
        5,
        id="3: history goes before the name",
    ),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Flint", None)},
        "Wilma Flint",
        5,
        5,
        id="4: the only one with that first and last name",
    ),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Flint", None)},
        "WILMA flint",
        5,
        5,
        id="4: whatever the case of the name",
    ),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Flint", None), 9: ("Wilma Flint", None)},
        "Wilma Flint",
        3,
        None,
        id="5: two with that name tell nothing",
    ),
    pytest.param(
        {3: ("Fred Flint", None), 5: ("Wilma Stone", None)},
        "Wilma Flint",
        3,
        None,
        id="5: half a name tells nothing",
    ),
    pytest.param({3: (" ", None), 5: ("Fred Flint", None)}, "", 3, None, id="5: nor does no name"),
    pytest.param(
        {9: ("Fred Flint", None), 5: ("Wilma Flint", None)},
        "",
        5,
        None,
        id="5: the lowest id, or nobody",
    ),
]


@pytest.mark.parametrize(("contacts", "name", "lowest_id", "skip"), MATCHING)
@pytest.mark.parametrize("skips_duplicates", [False, True], ids=["lowest-id", "skip"])
def test_the_contact_of_a_member(store, contacts, name, lowest_id, skip, skips_duplicates):
    for contact_id, (full_name, status) in contacts.items():
        add_contact(store, contact_id, SHARED, name=full_name)
        if status is not None:
            place(store, contact_id, status)
    row = add_row(store, SHARED, name=name)
    expected = skip if skips_duplicates else lowest_id
    assert match(store, skips_duplicates=skips_duplicates) == (expected is not None)
    assert rows(store) == [(row, expected)]


def test_a_deleted_contact_owns_nothing(store: Store):
    add_contact(store, 3, SHARED, is_deleted=True)
    add_contact(store, 5, SHARED)
    row = add_row(store, SHARED)
    match(store, skips_duplicates=True)
    assert rows(store) == [(row, 5)]


def test_addresses_compare_without_regard_to_case_and_only_so(store: Store):
    add_contact(store, 3, "HOME@example.org")
    add_contact(store, 5, "hómé@example.org")
    row, other = add_row(store, "Home@Example.org"), add_row(store, "home@example.org ")
    match(store)
    assert rows(store) == [(row, 3), (other, None)]


def test_two_addresses_of_one_contact_are_both_linked_to_it(store: Store):
    add_contact(store, 3, "a@example.org", "b@example.org")
    one, two = add_row(store, "a@example.org"), add_row(store, "b@example.org")
    assert match(store) == 2
    assert rows(store) == [(one, 3), (two, 3)]


def test_one_contact_with_the_address_twice_is_one_owner(store: Store):
    add_contact(store, 3, SHARED, SHARED.upper())
    row = add_row(store, SHARED)
    match(store, skips_duplicates=True)
    assert rows(store) == [(row, 3)]


def test_a_contact_id_is_believed_once_set(store: Store):
    add_contact(store, 3, SHARED)
    row = add_row(store, SHARED, contact=9)
    assert match(store) == 0
    assert rows(store) == [(row, 9)]


def test_a_place_in_another_group_decides_nothing(store: Store):
    add_contact(store, 3, SHARED)
    add_contact(store, 5, SHARED)
    place(store, 5, "Added", OTHER_GROUP)
    row = add_row(store, SHARED)
    match(store)
    assert rows(store) == [(row, 3)]


def test_the_rows_of_another_audience_are_left_alone(store: Store):
    add_contact(store, 3, SHARED)
    row = add_row(store, SHARED, audience=OTHER_LIST)
    assert match(store) == 0
    assert rows(store) == [(row, None)]


# --- removeInvalidContactIds ----------------------------------------------------------------------


def remove_invalid(store: Store) -> None:
    remove_invalid_contact_ids(store, LIST, at(14))
    tidy(store)


def test_a_trashed_contact_is_lost_and_the_member_stays(store: Store):
    add_contact(store, 3, SHARED, is_deleted=True)
    row = add_row(store, SHARED, contact=3, due=0)
    remove_invalid(store)
    columns = "id, civicrm_contact_id, lost_contact_id, lost_at, civicrm_groups, civicrm_data, due"
    assert rows(store, columns) == [(row, None, 3, "2026-11-22T14:00:00Z", None, None, 1)]


def test_a_purged_contact_is_lost_like_a_trashed_one(store: Store):
    add_contact(store, 3, SHARED)
    mark_purged(store, [3])
    row = add_row(store, SHARED, contact=3, due=0)
    remove_invalid(store)
    assert rows(store, "id, civicrm_contact_id, lost_contact_id") == [(row, None, 3)]


def test_a_row_with_neither_half_goes(store: Store):
    add_contact(store, 3, is_deleted=True)
    add_row(store, contact=3, due=0)
    remove_invalid(store)
    assert rows(store) == []


def test_a_row_with_neither_half_stays_while_an_update_is_under_way(store: Store):
    add_contact(store, 3, is_deleted=True)
    row = add_row(store, contact=3)
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_update"
            " (mailchimpsync_cache_id, mailchimpsync_batch_id, data, cause, created_at)"
            " VALUES (?, 1, '{}', '{}', '')",
            (row,),
        )
    remove_invalid(store)
    assert rows(store) == [(row, None)]


def test_a_contact_who_is_alive_is_not_lost(store: Store):
    add_contact(store, 3, SHARED)
    row = add_row(store, SHARED, contact=3, due=0)
    remove_invalid(store)
    assert rows(store, "id, civicrm_contact_id, sync_status") == [(row, 3, "ok")]


def test_the_row_of_a_merged_contact_moves_to_the_survivor(store: Store):
    add_contact(store, 3, is_deleted=True)
    add_contact(store, 5, SHARED)
    with store.atomic():
        note_merged(store, {3: 5})
    row = add_row(store, SHARED, contact=3, due=0)
    remove_invalid(store)
    assert rows(store, "id, civicrm_contact_id, lost_contact_id, lost_at") == [(row, 5, None, None)]


def test_a_lost_contact_who_is_found_again_is_no_longer_lost(store: Store):
    add_contact(store, 3, SHARED, is_deleted=True)
    row = add_row(store, SHARED, contact=3)
    remove_invalid(store)
    add_contact(store, 5, SHARED)
    match(store)
    assert rows(store, "id, civicrm_contact_id, lost_contact_id, lost_at") == [(row, 5, None, None)]


def test_contacts_of_another_audience_are_lost_in_its_own_turn(store: Store):
    add_contact(store, 3, SHARED, is_deleted=True)
    row = add_row(store, SHARED, contact=3, due=0, audience=OTHER_LIST)
    remove_invalid(store)
    assert rows(store, "id, civicrm_contact_id, sync_status") == [(row, 3, "ok")]


# --- cleanupDuplicatesInCache ---------------------------------------------------------------------


def cleanup(store: Store) -> None:
    tidy(store)


def test_a_contact_whose_member_has_a_row_needs_none_of_its_own(store: Store):
    own, with_member = add_row(store, contact=3), add_row(store, SHARED, contact=3)
    cleanup(store)
    assert rows(store, "id") == [(with_member,)]
    assert own != with_member


def test_of_two_rows_of_a_contact_without_a_member_the_first_stays(store: Store):
    first, _ = add_row(store, contact=3), add_row(store, contact=3)
    cleanup(store)
    assert rows(store, "id") == [(first,)]


def test_two_members_of_one_contact_are_no_duplicates(store: Store):
    one, two = add_row(store, "a@b.org", contact=3), add_row(store, "c@b.org", contact=3)
    cleanup(store)
    assert rows(store, "id") == [(one,), (two,)]


def test_a_member_who_is_gone_is_no_duplicate_since_that_is_a_word(store: Store):
    """Else the later word, out, would be lost, and an older address be subscribed again."""
    one = add_row(store, "a@b.org", contact=3)
    two = add_row(store, "c@b.org", contact=3, gone=True)
    cleanup(store)
    assert rows(store, "id") == [(one,), (two,)]


def test_the_only_row_of_a_contact_stays(store: Store):
    row = add_row(store, contact=3)
    other = add_row(store, contact=3, audience=OTHER_LIST)
    cleanup(store)
    assert rows(store, "id") == [(row,), (other,)]


def test_a_row_whose_update_is_under_way_stays(store: Store):
    own, other = add_row(store, contact=3), add_row(store, SHARED, contact=3)
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_update"
            " (mailchimpsync_cache_id, data, cause, created_at) VALUES (?, '{}', '{}', '')",
            (own,),
        )
    cleanup(store)
    assert rows(store, "id") == [(own,), (other,)]


# --- addCiviOnly ----------------------------------------------------------------------------------


def add_only(store: Store, *, everybody: bool = True) -> int:
    linking.begin(store)
    count = add_civi_only(store, Policy(LIST, GROUP), everybody=everybody)
    linking.finish(store)
    return count


def test_who_is_added_and_unknown_to_mailchimp_gets_a_row_of_their_own(store: Store):
    add_contact(store, 3, SHARED)
    place(store, 3, "Added")
    assert add_only(store) == 1
    columns = "mailchimp_list_id, civicrm_contact_id, due, mark, mailchimp_data, civicrm_data"
    assert rows(store, columns) == [(LIST, 3, 1, "ok", None, None)]
    ((text,),) = rows(store, "civicrm_groups")
    expected = {"111": {"status": "Added", "date": "2026-11-22T08:00:00Z"}}
    assert msgspec.json.decode(str(text)) == expected
    assert add_only(store) == 0


@pytest.mark.parametrize("status", ["Removed", "Pending", "Deleted"])
def test_who_is_not_added_gets_none(store: Store, status: str):
    add_contact(store, 3, SHARED)
    place(store, 3, status)
    assert add_only(store) == 0


def test_who_has_a_row_gets_none(store: Store):
    add_contact(store, 3, SHARED)
    place(store, 3, "Added")
    add_row(store, SHARED, contact=3)
    assert add_only(store) == 0


def test_a_row_in_another_audience_does_not_count(store: Store):
    add_contact(store, 3, SHARED)
    place(store, 3, "Added")
    add_row(store, SHARED, contact=3, audience=OTHER_LIST)
    assert add_only(store) == 1


def test_a_trashed_contact_gets_none_though_still_in_the_group(store: Store):
    add_contact(store, 3, SHARED, is_deleted=True)
    place(store, 3, "Added")
    assert add_only(store) == 0


def test_only_who_changed_is_looked_at_unless_everybody_is_asked_for(store: Store):
    add_contact(store, 3, SHARED)
    place(store, 3, "Added")
    linking.begin(store)
    linking.finish(store)
    assert add_only(store, everybody=False) == 0
    assert add_only(store, everybody=True) == 1


def test_who_came_into_the_group_just_now_is_looked_at(store: Store):
    add_contact(store, 3, SHARED)
    place(store, 3, "Added")
    assert add_only(store, everybody=False) == 1


# --- who is concerned by a change -----------------------------------------------------------------


def marked(store: Store) -> list[object]:
    """Who is to be judged, once everybody concerned was told."""
    linking.begin(store)
    linking.finish(store)
    found = rows(store, "id, sync_status")
    return [row_id for row_id, status in found if status == "todo"]


def test_a_change_concerns_linked_rows_and_owned_addresses(store: Store):
    linked = add_row(store, "old@example.org", contact=3, due=0)
    owned = add_row(store, SHARED, due=0, audience=OTHER_LIST)
    add_row(store, "wilma@example.org", contact=5, due=0)
    add_contact(store, 3, SHARED)
    assert marked(store) == [linked, owned]


def test_a_change_that_everybody_was_told_of_is_forgotten(store: Store):
    add_row(store, SHARED, contact=3, due=0)
    add_contact(store, 3, SHARED)
    marked(store)
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET due = 0")
    assert marked(store) == []


def test_a_change_of_place_concerns_the_contacts_row(store: Store):
    row = add_row(store, SHARED, contact=3, due=0)
    place(store, 3, "Removed")
    assert marked(store) == [row]


def test_an_address_that_leaves_a_contact_concerns_who_has_it_at_mailchimp(store: Store):
    add_contact(store, 3, SHARED)
    row = add_row(store, SHARED, due=0)
    marked(store)
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET due = 0")
    add_contact(store, 3, "new@example.org")
    assert marked(store) == [row]


# --- identifyGroupContactChanges ------------------------------------------------------------------


def test_the_row_has_its_own_copy_of_the_places_as_documented(store: Store):
    place(store, 3, "Added")
    place(store, 3, "Removed", OTHER_GROUP)
    add_row(store, SHARED, contact=3)
    with store.atomic():
        identify_group_contact_changes(store, Policy(LIST, GROUP, interests=INTERESTS), EVERYBODY)
    ((text,),) = rows(store, "civicrm_groups")
    assert msgspec.json.decode(str(text)) == {
        "111": {"status": "Added", "date": "2026-11-22T08:00:00Z"},
        "222": {"status": "Removed", "date": "2026-11-22T08:00:00Z"},
    }


def test_who_is_linked_only_now_has_it_too(store: Store):
    add_contact(store, 3, SHARED)
    place(store, 3, "Removed", OTHER_GROUP)
    add_row(store, SHARED)
    assert match(store, interests=INTERESTS) == 1
    ((text,),) = rows(store, "civicrm_groups")
    expected = {"222": {"status": "Removed", "date": "2026-11-22T08:00:00Z"}}
    assert msgspec.json.decode(str(text)) == expected


# --- chosen among several -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "is_shared"), [("Fred Flint", 0), ("fred FLINT", 0), ("Joe Rockhead", 1), ("", 1)]
)
def test_whether_the_address_is_anothers_too_is_told_unless_the_name_tells(
    store: Store, name: str, is_shared: int
):
    """Nothing but membership is written to somebody who was chosen by something else."""
    add_contact(store, 3, SHARED, name="Fred Flint")
    add_contact(store, 5, SHARED, name="Wilma Flint")
    add_row(store, SHARED, name=name)
    match(store)
    assert rows(store, "civicrm_contact_id, is_shared") == [(3, is_shared)]


def test_an_address_that_only_one_contact_owns_any_more_is_shared_no_more(store: Store):
    add_contact(store, 3, SHARED)
    add_contact(store, 5, SHARED)
    add_row(store, SHARED)
    match(store)
    cleanup(store)
    assert rows(store, "civicrm_contact_id, is_shared") == [(3, 1)]
    add_contact(store, 5, "elsewhere@example.org")
    cleanup(store)
    assert rows(store, "civicrm_contact_id, is_shared") == [(3, 0)]


# --- whose address is it --------------------------------------------------------------------------


def test_owners_are_asked_for_once_for_each_address_without_a_contact(store: Store):
    first = add_row(store, SHARED)
    add_row(store, "linked@example.org", contact=3)
    add_row(store, "quiet@example.org", due=0)
    add_row(store, "gone@example.org", gone=True)
    add_row(store, "other@example.org", audience=OTHER_LIST)
    second = add_row(store, "b@example.org")
    wanted = [(first, SHARED), (second, "b@example.org")]
    assert list(load_addresses_to_look_up(store, LIST, 10)) == [wanted]
    assert list(load_addresses_to_look_up(store, LIST, 1)) == [wanted[:1], wanted[1:]]
    with store.atomic():
        note_looked_up(store, [first])
    assert list(load_addresses_to_look_up(store, LIST, 10)) == [wanted[1:]]


def test_contacts_that_the_mirror_lacks_are_told(store: Store):
    add_contact(store, 3)
    assert load_unknown_contacts(store, [2, 3, 4]) == [2, 4]


def test_trashed_contacts_of_rows_are_asked_about_until_their_survivor_is_known(store: Store):
    for contact_id in (3, 4, 5, 6):
        add_contact(store, contact_id, is_deleted=contact_id != 6)
    for contact_id in (3, 4, 6):
        add_row(store, contact=contact_id)
    assert load_linked_to_deleted(store) == [3, 4]
    with store.atomic():
        note_merged(store, {3: 6})
    assert load_linked_to_deleted(store) == [4]


# --- chunks, and being cut short ------------------------------------------------------------------


def make_bedrock(store: Store, seed: int) -> None:
    """Contacts and rows of two audiences in every state that the steps can meet."""
    luck = random.Random(seed)
    names = [f"n{number}@example.org" for number in range(12)]
    for contact in range(1, 13):
        owned = luck.sample(names, luck.randint(0, 3))
        name = luck.choice(("Fred Flint", "Wilma Flint", " "))
        add_contact(store, contact, *owned, name=name, is_deleted=luck.random() < 0.2)
        for group in (GROUP, OTHER_GROUP):
            if luck.random() < 0.6:
                place(store, contact, luck.choice(("Added", "Added", "Removed", "Deleted")), group)
    with store.atomic():
        note_merged(store, {contact: luck.randint(1, 12) for contact in (1, 2)})
        for table in ("contact", "group_contact"):
            store.query(f"UPDATE civicrm_mailchimpsync_{table} SET is_dirty = contact_id % 3 > 0")  # noqa: S608
    for address in luck.sample(names, 9):
        add_row(
            store,
            address,
            luck.choice((None, None, luck.randint(1, 12))),
            name=luck.choice(("Fred Flint", "Wilma Flint", "")),
            due=luck.choice((0, 1)),
            gone=luck.random() < 0.2,
            audience=luck.choice((LIST, LIST, OTHER_LIST)),
        )
    for contact in luck.sample(range(1, 13), 5):
        add_row(store, contact=contact, due=luck.choice((0, 1)))


def link(store: Store, *, everybody: bool) -> list[int]:
    """All steps, as a fetch takes them; the counts that they give."""
    counts = [linking.begin(store)]
    for audience, group in ((LIST, GROUP), (OTHER_LIST, OTHER_GROUP)):
        policy = Policy(audience, group)
        remove_invalid_contact_ids(store, audience, at(14))
        matched = 0
        for chunk in due_chunks(store, audience):
            with store.atomic():
                identify_group_contact_changes(store, policy, chunk)
                matched += populate_missing_contact_ids(store, policy, chunk)
                cleanup_duplicates(store, audience, chunk)
        counts.append(matched)
        counts.append(add_civi_only(store, policy, everybody=everybody))
    return counts


def describe(store: Store) -> list[tuple[object, ...]]:
    """All that the steps have made of the cache."""
    tables = ("cache", "contact", "group_contact")
    return [
        row
        for table in tables
        for row in store.query(f"SELECT * FROM civicrm_mailchimpsync_{table} ORDER BY 1, 2")  # noqa: S608
    ]


@pytest.mark.parametrize("everybody", [True, False], ids=["everybody", "whom changes concern"])
@pytest.mark.parametrize("seed", range(4))
def test_the_size_of_a_chunk_does_not_matter(tmp_path, monkeypatch, seed, everybody):
    found = []
    for size in (5000, 1, 2, 3):
        monkeypatch.setattr(linking, "CHUNK", size)
        store = open_anew(tmp_path / f"{size}.db")
        make_bedrock(store, seed)
        counts = link(store, everybody=everybody)
        linking.finish(store)
        found.append((counts, describe(store)))
        store.close()
    assert found[0][0][0] > 3
    for each in found[1:]:
        assert each == found[0]


def test_what_was_cut_short_is_told_again(store: Store):
    """Until every audience was told, nobody knows who was."""
    add_contact(store, 3, SHARED)
    row = add_row(store, SHARED, contact=3, due=0)
    assert linking.begin(store) == 1
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET due = 0, is_data_due = 0")
    assert linking.begin(store) == 1
    assert rows(store, "id, due, is_data_due") == [(row, 1, 1)]
    linking.finish(store)
    assert linking.begin(store) == 0


# --- a mirror that is filled for the first time ---------------------------------------------------


def test_a_mirror_that_nobody_was_told_of_concerns_everybody(store: Store):
    """Nobody in it is marked; even whoever was judged before is judged anew, once."""
    whom = [
        add_row(store, SHARED, due=0),
        add_row(store, "wilma@example.org", due=0, audience=OTHER_LIST),
    ]
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET is_data_due = 0")
        save_mirror_state(store, MirrorState(is_untold=True))
    assert linking.begin(store) == 0
    assert rows(store, "id, due, is_data_due") == [(row, 1, 1) for row in whom]
    assert linking.begin(store) == 0
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET due = 0, is_data_due = 0")
    assert linking.begin(store) == 0
    assert rows(store, "due") == [(1,), (1,)]
    linking.finish(store)
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_cache SET due = 0, is_data_due = 0")
    assert linking.begin(store) == 0
    assert rows(store, "due") == [(0,), (0,)]


def test_in_a_mirror_that_nobody_was_told_of_the_whole_group_is_looked_at(store: Store):
    with store.atomic():
        save_mirror_state(store, MirrorState(is_untold=True))
    add_contact(store, 3, SHARED)
    place(store, 3, "Added")
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_group_contact SET is_dirty = 0")
    assert linking.begin(store) == 1
    assert add_civi_only(store, Policy(LIST, GROUP), everybody=False) == 1
    linking.finish(store)
    assert linking.begin(store) == 0
