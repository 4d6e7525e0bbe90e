"""What CiviCRM said: history in pieces, full compares, contacts and since when their gate is
closed. Hours are times; history ids are given in order."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.cache import linking
from mcsync.cache.contacts import (
    count_unseen,
    forget_purged,
    load_mirrored_contacts,
    load_not_deleted,
    load_sample,
    load_unmirrored_contacts,
    load_unseen,
    mark_purged,
    mark_unseen,
    note_names,
    save_contacts,
)
from mcsync.cache.mirror import (
    GroupState,
    MirrorState,
    apply_history,
    begin_compare,
    count_places,
    finish_compare,
    load_mirror_state,
    load_places,
    note_places,
    save_mirror_state,
    see_group_contacts,
    see_history,
    see_smart_group,
)
from mcsync.cache.rows import lose_contacts
from mcsync.cache.store import Store
from mcsync.decision import ContactView, NameWrite
from mcsync.model import Contact, ContactPage, Email, GroupContact, GroupStatus, HistoryRow
from mcsync.reconcile.gate import find_closed_gate
from tests.fuzz import law
from tests.hours import at, text

GROUP, OTHER, SMART = 111, 222, 333
FRED, WILMA, BARNEY = 1, 2, 3


LONG_AGO_TEXT = "0001-01-01T00:00:00Z"


def wrote(
    history_id: int,
    status: str,
    hour: int,
    *,
    contact: int = FRED,
    group: int = GROUP,
    ours: bool = False,
) -> HistoryRow:
    return HistoryRow(history_id, group, contact, status, at(hour), ours)


def apply(store: Store, *rows: HistoryRow) -> None:
    with store.atomic():
        apply_history(store, rows)


def compare(
    store: Store,
    history: Sequence[HistoryRow] = (),
    places: Sequence[tuple[int, str]] = (),
    hour: int = 20,
    groups: Sequence[int] = (GROUP,),
) -> None:
    begin_compare(store)
    for row in history:
        see_history(store, [row])
    see_group_contacts(store, [GroupContact(GROUP, who, status) for who, status in places])
    finish_compare(store, groups, at(hour))


def resolve(store: Store, contacts: Sequence[int], hour: int = 20) -> None:
    """Everybody in the computed group, as CiviCRM resolves it."""
    begin_compare(store)
    see_smart_group(store, SMART, contacts)
    finish_compare(store, [SMART], at(hour), are_smart=True)


def place(store: Store, contact: int = FRED, group: int = GROUP) -> tuple[object, ...] | None:
    """(what is there, whether a human said in, when)."""
    row = store.query(
        "SELECT status, says_in, said_at FROM civicrm_mailchimpsync_group_contact"
        " WHERE group_id = ? AND contact_id = ?",
        (group, contact),
    ).fetchone()
    return None if row is None else (row[0], None if row[1] is None else bool(row[1]), row[2])


def forget(store: Store) -> None:
    """Everybody whom the changes concern is told."""
    linking.begin(store)
    linking.finish(store)


def dirty(store: Store) -> set[int]:
    rows = store.query(
        "SELECT contact_id FROM civicrm_mailchimpsync_group_contact WHERE is_dirty = 1"
        " UNION SELECT contact_id FROM civicrm_mailchimpsync_contact WHERE is_dirty = 1"
    )
    return {row[0] for row in rows}


# --- history, as it comes -------------------------------------------------------------------------


def test_the_newest_row_that_we_did_not_write_is_what_a_human_said(store: Store):
    apply(store, wrote(1, "Added", 8), wrote(2, "Removed", 9), wrote(3, "Added", 10))
    assert place(store) == ("Added", True, text(10))


def test_what_we_wrote_is_there_and_says_nothing(store: Store):
    apply(store, wrote(1, "Added", 8), wrote(2, "Removed", 9, ours=True))
    assert place(store) == ("Removed", True, text(8))


def test_only_our_own_history_is_no_statement(store: Store):
    apply(store, wrote(1, "Added", 8, ours=True))
    assert place(store) == ("Added", None, None)


def test_a_human_after_us_counts(store: Store):
    apply(store, wrote(1, "Added", 8, ours=True), wrote(2, "Removed", 9))
    assert place(store) == ("Removed", False, text(9))


def test_deleted_from_the_group_is_nowhere_and_says_out(store: Store):
    apply(store, wrote(1, "Added", 8), wrote(2, "Deleted", 9))
    assert place(store) == (None, False, text(9))


def test_pending_awaits_a_confirmation_and_says_nothing(store: Store):
    apply(store, wrote(1, "Pending", 8))
    assert place(store) == ("Pending", None, None)


def test_pending_after_removed_does_not_say_in(store: Store):
    apply(store, wrote(1, "Removed", 8), wrote(2, "Pending", 9))
    found = place(store)
    assert found is not None
    assert found[0] == "Pending"
    assert found[1] is not True


def test_a_human_in_another_group_says_nothing_here(store: Store):
    apply(store, wrote(1, "Added", 8), wrote(2, "Removed", 9, group=OTHER))
    assert place(store) == ("Added", True, text(8))
    assert place(store, group=OTHER) == ("Removed", False, text(9))


def test_history_seen_again_changes_nothing_and_concerns_nobody(store: Store):
    rows = [wrote(1, "Added", 8), wrote(2, "Removed", 9, ours=True), wrote(3, "Added", 10)]
    apply(store, *rows)
    forget(store)
    before = store.query("SELECT * FROM civicrm_mailchimpsync_group_contact").fetchall()
    apply(store, *rows)
    assert store.query("SELECT * FROM civicrm_mailchimpsync_group_contact").fetchall() == before
    assert dirty(store) == set()


def test_our_own_write_coming_back_concerns_nobody(store: Store):
    apply(store, wrote(1, "Added", 8))
    forget(store)
    with store.atomic():
        note_places(store, GROUP, GroupStatus.REMOVED, [FRED])
    assert place(store) == ("Removed", True, text(8))
    apply(store, wrote(2, "Removed", 9, ours=True))
    assert place(store) == ("Removed", True, text(8))
    assert dirty(store) == set()


def test_a_human_who_came_before_our_write_is_heard_all_the_same(store: Store):
    apply(store, wrote(1, "Removed", 7))
    with store.atomic():
        note_places(store, GROUP, GroupStatus.ADDED, [FRED])
    forget(store)
    apply(store, wrote(2, "Removed", 9), wrote(3, "Added", 10, ours=True))
    assert place(store) == ("Added", False, text(9))
    assert dirty(store) == {FRED}


# --- the full compare -----------------------------------------------------------------------------

COMPARED = [
    pytest.param(
        [wrote(1, "Added", 8)],
        [(FRED, "Added")],
        ("Added", True, text(8)),
        id="history and group agree",
    ),
    pytest.param(
        [wrote(1, "Added", 8), wrote(2, "Removed", 9)],
        [(FRED, "Removed")],
        ("Removed", False, text(9)),
        id="the newest history",
    ),
    pytest.param(
        [wrote(1, "Added", 8), wrote(2, "Removed", 9, ours=True)],
        [(FRED, "Removed")],
        ("Removed", True, text(8)),
        id="ours says nothing",
    ),
    pytest.param(
        [wrote(1, "Added", 8, ours=True)],
        [(FRED, "Added")],
        ("Added", None, None),
        id="only ours is no statement",
    ),
    pytest.param(
        [],
        [(FRED, "Added")],
        ("Added", True, LONG_AGO_TEXT),
        id="no history: in, older than anything",
    ),
    pytest.param(
        [wrote(1, "Removed", 8)],
        [(FRED, "Added")],
        ("Added", True, text(8)),
        id="contradicted by what is there",
    ),
    pytest.param([], [(FRED, "Pending")], ("Pending", None, None), id="pending says nothing"),
    pytest.param(
        [wrote(1, "Added", 8), wrote(2, "Deleted", 9)],
        [],
        (None, False, text(9)),
        id="deleted from the group",
    ),
]


@pytest.mark.parametrize(("history", "places", "expected"), COMPARED)
def test_compared_on_first_sight(store: Store, history, places, expected):
    compare(store, history, places)
    assert place(store) == expected


def test_a_compare_that_finds_nothing_new_concerns_nobody(store: Store):
    history, places = [wrote(1, "Added", 8)], [(FRED, "Added")]
    apply(store, *history)
    forget(store)
    compare(store, history, places)
    compare(store, history, places)
    assert dirty(store) == set()
    assert place(store) == ("Added", True, text(8))


def test_changed_without_a_trace_was_changed_just_now(store: Store):
    """Direct SQL: the history still says Added."""
    apply(store, wrote(1, "Added", 8))
    forget(store)
    compare(store, [wrote(1, "Added", 8)], [(FRED, "Removed")], hour=20)
    assert place(store) == ("Removed", False, text(20))
    assert dirty(store) == {FRED}


def test_changed_without_a_trace_keeps_its_time_at_the_next_compare(store: Store):
    apply(store, wrote(1, "Added", 8))
    for hour in (20, 21, 22):
        compare(store, [wrote(1, "Added", 8)], [(FRED, "Removed")], hour=hour)
    assert place(store) == ("Removed", False, text(20))


def test_changed_without_a_trace_after_our_own_write_was_changed_just_now(store: Store):
    """Removed by staff at 8; Added by us, since she signed up; then removed by direct SQL."""
    history = [wrote(1, "Removed", 8), wrote(2, "Added", 10, ours=True)]
    apply(store, *history)
    compare(store, history, [(FRED, "Removed")], hour=20)
    assert place(store) == ("Removed", False, text(20))


def test_a_merge_that_gives_history_new_ids_changes_nobodys_word(store: Store):
    apply(store, wrote(1, "Added", 8))
    forget(store)
    compare(store, [wrote(7, "Added", 8)], [(FRED, "Added")])
    assert place(store) == ("Added", True, text(8))
    assert dirty(store) == set()


def test_a_merge_that_moves_history_to_the_survivor_moves_its_word(store: Store):
    apply(store, wrote(1, "Added", 8), wrote(2, "Removed", 9, contact=WILMA))
    moved = [wrote(1, "Added", 8), wrote(2, "Removed", 9)]
    compare(store, moved, [(FRED, "Removed")])
    assert place(store, FRED) == ("Removed", False, text(9))


def test_lost_history_leaves_the_word_that_we_know(store: Store):
    apply(store, wrote(1, "Added", 8))
    compare(store, [], [(FRED, "Added")])
    assert place(store) == ("Added", True, text(8))


def test_lost_history_of_our_own_does_not_become_a_word_of_now(store: Store):
    """We added Fred because he signed up. If our row is purged, nobody said anything since."""
    apply(store, wrote(1, "Added", 8, ours=True))
    compare(store, [], [(FRED, "Added")], hour=20)
    found = place(store)
    assert found is not None
    assert found[0] == "Added"
    assert found[2] in (None, LONG_AGO_TEXT)


def test_gone_from_the_group_with_all_history_was_taken_out_just_now(store: Store):
    apply(store, wrote(1, "Added", 8))
    forget(store)
    compare(store, [], [], hour=20)
    assert place(store) == (None, False, text(20))
    assert dirty(store) == {FRED}


def test_a_group_that_is_not_compared_stays(store: Store):
    apply(store, wrote(1, "Added", 8, group=OTHER))
    compare(store, [], [], groups=[GROUP])
    assert place(store, group=OTHER) == ("Added", True, text(8))


def test_a_smart_group_has_contacts_but_no_words(store: Store):
    resolve(store, [FRED, WILMA])
    assert place(store, FRED, SMART) == ("Added", None, None)
    forget(store)
    resolve(store, [WILMA])
    assert place(store, FRED, SMART) == (None, None, None)
    assert dirty(store) == {FRED}


def test_a_row_without_a_status_leaves_what_is_known(store: Store):
    apply(store, wrote(1, "Added", 8))
    forget(store)
    compare(store, [wrote(1, "Added", 8), wrote(2, "", 9)], [(FRED, ""), (WILMA, "")])
    assert place(store) == ("Added", True, text(8))
    assert place(store, WILMA) is None
    assert dirty(store) == set()


@pytest.mark.parametrize("how", ["trashed", "purged", "unseen"])
def test_who_is_not_shown_themselves_has_not_been_taken_out(store: Store, how: str):
    """Their places go with them from CiviCRM's answers; that is no word of anybody."""
    apply(store, wrote(1, "Added", 8))
    save_contacts(store, fred(9, is_deleted=how == "trashed"), at(9))
    if how == "purged":
        mark_purged(store, [FRED])
    if how == "unseen":
        mark_unseen(store, [FRED])
    compare(store, [], [], hour=20)
    assert place(store) == (None, True, text(8))


def test_a_compare_that_was_interrupted_leaves_nothing_for_the_next_one(store: Store):
    begin_compare(store)
    see_group_contacts(store, [GroupContact(GROUP, BARNEY, "Added")])
    compare(store, [wrote(1, "Added", 8)], [(FRED, "Added")])
    assert place(store, BARNEY) is None


def test_counts_by_group_and_status(store: Store):
    apply(
        store,
        wrote(1, "Added", 8),
        wrote(2, "Added", 8, contact=WILMA),
        wrote(3, "Removed", 8, contact=BARNEY),
        wrote(4, "Added", 8, group=OTHER),
        wrote(5, "Deleted", 9, contact=WILMA),
    )
    assert count_places(store, [GROUP]) == {(GROUP, "Added"): 1, (GROUP, "Removed"): 1}
    assert count_places(store, [GROUP, OTHER])[OTHER, "Added"] == 1


# --- laws -----------------------------------------------------------------------------------------

statuses = st.sampled_from(("Added", "Removed", "Deleted", "Pending"))


@st.composite
def histories(draw: st.DrawFn) -> list[HistoryRow]:
    acts = draw(
        st.lists(st.tuples(statuses, st.sampled_from((FRED, WILMA)), st.booleans()), max_size=7)
    )
    return [
        wrote(number, status, number, contact=contact, ours=ours and status in ("Added", "Removed"))
        for number, (status, contact, ours) in enumerate(acts, 1)
    ]


def mirror_of(store: Store) -> list[tuple[object, ...]]:
    """The mirror, without contacts of whom nothing is known."""
    rows = store.query(
        "SELECT contact_id, status, says_in, said_at FROM civicrm_mailchimpsync_group_contact"
        " ORDER BY contact_id"
    )
    return [row for row in rows if row[1:] != (None, None, None)]


def empty(store: Store) -> None:
    with store.atomic():
        store.query("DELETE FROM civicrm_mailchimpsync_group_contact")


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("mirror") / "mcsync.db")
    opened.query("PRAGMA synchronous = OFF")
    yield opened
    opened.close()


@law(30)
@given(histories(), st.data())
def test_history_in_overlapping_pieces_is_the_history(shared_store, rows, more):
    empty(shared_store)
    apply(shared_store, *rows)
    expected = mirror_of(shared_store)
    empty(shared_store)
    begin = 0
    while begin < len(rows):
        length = more.draw(st.integers(1, 3))
        overlap = more.draw(st.integers(0, 3))
        apply(shared_store, *rows[max(0, begin - overlap) : begin + length])
        begin += length
    apply(shared_store, *rows)
    assert mirror_of(shared_store) == expected


@law(30)
@given(histories())
def test_a_full_compare_finds_what_the_increments_found(shared_store, rows):
    """A daily compare that disagreed with the increments would judge people differently."""
    newest = {row.contact_id: row.status for row in rows}
    places = [(who, status) for who, status in newest.items() if status != "Deleted"]
    empty(shared_store)
    apply(shared_store, *rows)
    incremental = mirror_of(shared_store)
    compare(shared_store, rows, places)
    assert mirror_of(shared_store) == incremental
    empty(shared_store)
    compare(shared_store, rows, places)
    assert mirror_of(shared_store) == incremental


# --- contacts -------------------------------------------------------------------------------------


def fred(hour: int = 8, *addresses: str, **flags: bool) -> ContactPage:
    emails = tuple(
        Email(n, FRED, f"{name.split()[0]}@example.org", on_hold="held" in name)
        for n, name in enumerate(addresses or ("fred",), 10)
    )
    return ContactPage((Contact(FRED, "Fred", "Flint", modified_at=at(hour), **flags),), emails)


def created(contact_id: int, day: int, *addresses: str) -> ContactPage:
    """A contact who was entered on a day of November."""
    at_day = datetime(2026, 11, day, tzinfo=UTC)
    emails = [Email(contact_id * 10 + n, contact_id, a) for n, a in enumerate(addresses)]
    contact = Contact(contact_id, "Fred", "Flint", modified_at=at(8), created_at=at_day)
    return ContactPage((contact,), tuple(emails))


def save(store: Store, page: ContactPage, *, only_known: bool = False) -> list[int]:
    return save_contacts(store, page, at(20), only_known=only_known)


def known(store: Store) -> set[int]:
    return {row[0] for row in store.query("SELECT contact_id FROM civicrm_mailchimpsync_contact")}


def add_row(store: Store, contact: int | None, address: str | None = None) -> int:
    with store.atomic():
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key,"
            " civicrm_contact_id, mark, due) VALUES ('aaaaaaaaaa', ?, ?, 'ok', 0)",
            (address, contact),
        )
    return int(cursor.lastrowid or 0)


def closed_at(store: Store) -> str | None:
    row = store.query(
        "SELECT gate_closed_at FROM civicrm_mailchimpsync_contact WHERE contact_id = ?", (FRED,)
    ).fetchone()
    return row[0]


@pytest.mark.parametrize("flag", ["is_deceased", "is_opt_out", "do_not_email"])
def test_the_gate_closes_when_the_contact_was_modified(store: Store, flag: str):
    save(store, fred(8))
    assert closed_at(store) is None
    save(store, fred(10, **{flag: True}))
    assert closed_at(store) == text(10)


def test_the_gate_stays_closed_since_it_closed(store: Store):
    save(store, fred(10, is_opt_out=True))
    save(store, fred(12, "fred", "rocks", is_opt_out=True))
    assert closed_at(store) == text(10)


def test_a_second_reason_closes_the_gate_again(store: Store):
    """Who signed up in spite of the first has not done so in spite of the second."""
    save(store, fred(10, is_opt_out=True))
    save(store, fred(12, is_opt_out=True, is_deceased=True))
    assert closed_at(store) == text(12)


def test_a_gate_that_opened_and_closed_again_closed_later(store: Store):
    save(store, fred(10, is_opt_out=True))
    save(store, fred(12))
    assert closed_at(store) is None
    save(store, fred(14, is_opt_out=True))
    assert closed_at(store) == text(14)


def test_a_hold_on_the_last_address_closes_the_gate(store: Store):
    save(store, fred(8, "fred", "rocks held"))
    assert closed_at(store) is None
    save(store, fred(10, "fred held", "rocks held"))
    assert closed_at(store) == text(10)


@pytest.mark.parametrize("on_hold", [False, True])
@pytest.mark.parametrize("email", ["", "fred@example.org"])
@pytest.mark.parametrize("flag", [None, "is_deceased", "is_opt_out", "do_not_email"])
def test_the_gate_is_that_of_the_rules(store: Store, flag: str | None, email: str, on_hold: bool):
    flags = {flag: True} if flag else {}
    contact = Contact(FRED, "Fred", "Flint", modified_at=at(8), **flags)
    emails = (Email(10, FRED, email, on_hold=on_hold),)
    save(store, ContactPage((contact,), emails))
    is_closed = find_closed_gate(ContactView(contact, emails)) is not None
    assert (closed_at(store) is not None) is is_closed


def test_a_contact_saved_again_has_not_changed(store: Store):
    save(store, fred(8))
    forget(store)
    save(store, fred(8))
    save(store, fred(9))  # touched, but nothing of ours
    assert dirty(store) == set()


@pytest.mark.parametrize(
    "changed",
    [
        fred(9, "fred", "rocks"),
        fred(9, "fred held"),
        fred(9, "rocks"),
        fred(9, is_opt_out=True),
        fred(9, is_deleted=True),
        ContactPage((Contact(FRED, "Freddy", "Flint", modified_at=at(9)),), fred().emails),
        ContactPage(fred(9).contacts, ()),
    ],
    ids=["an address more", "a hold", "another address", "opt-out", "trashed", "a name", "none"],
)
def test_a_change_of_any_kind_concerns_the_contact(store: Store, changed: ContactPage):
    save(store, fred(8))
    forget(store)
    save(store, changed)
    assert dirty(store) == {FRED}


def test_an_address_that_moved_to_another_contact_is_owned_once(store: Store):
    save(store, fred(8))
    wilma = Contact(WILMA, "Wilma", "Flint", modified_at=at(9))
    save(store, ContactPage((wilma,), (Email(10, WILMA, "fred@example.org"),)))
    owners = store.query("SELECT contact_id FROM civicrm_mailchimpsync_email").fetchall()
    assert owners == [(WILMA,)]


def test_an_address_that_leaves_a_contact_concerns_its_row(store: Store):
    save(store, fred(8))
    row = add_row(store, None, "fred@example.org")
    save(store, fred(9, "rocks"))
    due = store.query("SELECT due FROM civicrm_mailchimpsync_cache WHERE id = ?", (row,))
    assert due.fetchone()[0] > 0


def test_names_have_the_time_at_which_they_were_changed(store: Store):
    save(store, fred(8))
    changed = Contact(FRED, "Freddy", "Flint", modified_at=at(10))
    save(store, ContactPage((changed,), fred().emails))
    sql = "SELECT first_name_at, last_name_at FROM civicrm_mailchimpsync_contact"
    assert store.query(sql).fetchone() == (text(10), text(8))


def test_names_that_we_wrote_have_the_time_of_who_caused_them(store: Store):
    save(store, fred(8))
    forget(store)
    with store.atomic():
        note_names(store, [NameWrite(FRED, "Freddy", None, at(7), at(7))])
    sql = (
        "SELECT first_name, first_name_at, last_name, last_name_at"
        " FROM civicrm_mailchimpsync_contact"
    )
    written = ("Freddy", text(7), "Flint", text(8))
    assert store.query(sql).fetchone() == written
    back = Contact(FRED, "Freddy", "Flint", modified_at=at(12))
    save(store, ContactPage((back,), fred().emails))
    assert store.query(sql).fetchone() == written
    assert dirty(store) == set()


def test_strangers_are_left_out_when_only_the_known_are_wanted(store: Store):
    save(store, fred(8), only_known=True)
    assert known(store) == set()
    apply(store, wrote(1, "Added", 8))
    save(store, fred(8), only_known=True)
    assert known(store) == {FRED}


def test_the_owner_of_a_members_address_is_no_stranger(store: Store):
    add_row(store, None, "fred@example.org")
    save(store, fred(8), only_known=True)
    assert known(store) == {FRED}


# --- who is no longer shown -----------------------------------------------------------------------


def test_a_purged_contact_counts_as_deleted(store: Store):
    save(store, fred(8))
    forget(store)
    mark_purged(store, [FRED, WILMA])
    assert load_not_deleted(store, [FRED, WILMA]) == []
    assert dirty(store) == {FRED}


def test_contacts_that_are_not_shown_and_not_believed_to_be_gone_are_told(store: Store):
    save(store, fred(8))
    save(store, created(WILMA, 3))
    apply(store, wrote(1, "Added", 8))
    mark_unseen(store, [FRED, WILMA, BARNEY])
    assert load_unseen(store) == [FRED, WILMA]
    assert (count_unseen(store, GROUP), count_unseen(store, OTHER)) == (1, 0)
    assert load_not_deleted(store, [FRED, WILMA, BARNEY]) == [FRED, WILMA]


def test_a_contact_that_is_shown_again_is_seen_and_looked_at(store: Store):
    save(store, fred(8))
    mark_unseen(store, [FRED])
    forget(store)
    save(store, fred(8))
    assert load_unseen(store) == []
    assert dirty(store) == {FRED}


def test_a_contact_that_turns_out_to_be_purged_is_not_missed_any_more(store: Store):
    save(store, fred(8))
    mark_unseen(store, [FRED])
    mark_purged(store, [FRED])
    assert load_unseen(store) == []


# --- who is gone for good -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "alive", "recent", "placed", "linked", "lost", "dirty"])
def test_who_was_deleted_long_ago_goes_unless_anything_leads_to_them(store: Store, kind: str):
    save(store, created(FRED, 3, "fred@example.org"))
    if kind != "alive":
        mark_purged(store, [FRED])
    if kind != "dirty":
        forget(store)
    if kind == "placed":
        apply(store, wrote(1, "Removed", 8))
        forget(store)
    if kind in ("linked", "lost"):
        row = add_row(store, FRED)
        if kind == "lost":
            with store.atomic():
                lose_contacts(store, "aaaaaaaaaa", text(9))
            assert store.column("SELECT lost_contact_id FROM civicrm_mailchimpsync_cache") == [FRED]
        assert row
    before = at(2) if kind == "recent" else at(23)
    assert forget_purged(store, [FRED, WILMA], before) == (kind == "plain")
    assert known(store) == (set() if kind == "plain" else {FRED})
    emails = store.number("SELECT count(*) FROM civicrm_mailchimpsync_email")
    assert emails == (kind != "plain")


# --- who they are ---------------------------------------------------------------------------------


def test_a_contact_of_another_date_of_creation_is_another_person(store: Store):
    """CiviCRM was restored from last night, and the id was given out again."""
    assert save(store, created(FRED, 3, "fred@example.org")) == []
    save(store, created(WILMA, 3, "wilma@example.org"))
    apply(store, wrote(1, "Added", 8), wrote(2, "Added", 8, contact=WILMA))
    row, other = add_row(store, FRED, "fred@example.org"), add_row(store, WILMA)
    assert save(store, created(FRED, 21, "joe@example.org")) == [FRED]
    rows = store.query(
        "SELECT id, civicrm_contact_id, lost_contact_id, lost_at, due > 0"
        " FROM civicrm_mailchimpsync_cache ORDER BY id"
    ).fetchall()
    assert rows == [(row, None, FRED, text(20), 1), (other, WILMA, None, None, 0)]
    assert place(store, FRED) is None
    assert place(store, WILMA) == ("Added", True, text(8))
    emails = store.query("SELECT email FROM civicrm_mailchimpsync_email ORDER BY 1").fetchall()
    assert emails == [("joe@example.org",), ("wilma@example.org",)]
    assert save(store, created(FRED, 21, "joe@example.org")) == []


def test_a_date_of_creation_that_was_not_known_makes_nobody_a_stranger(store: Store):
    """A cache of before has none, and an odd one cannot be read."""
    save(store, fred(8))
    assert save(store, created(FRED, 3, "fred@example.org")) == []
    assert load_sample(store) == {FRED: "2026-11-03T00:00:00Z"}
    assert save(store, fred(9)) == []
    assert load_sample(store) == {FRED: "2026-11-03T00:00:00Z"}
    assert save(store, created(FRED, 4, "fred@example.org")) == [FRED]


def test_an_audience_knows_its_site_by_contacts_from_everywhere(store: Store):
    for contact_id in range(1, 301):
        save(store, created(contact_id, 1 + contact_id % 20))
    save(store, fred(8, is_deleted=True))
    sample = load_sample(store)
    assert 40 <= len(sample) <= 60
    assert min(sample) < 20
    assert max(sample) > 280
    assert FRED not in sample


def test_an_empty_mirror_has_no_sample(store: Store):
    assert load_sample(store) == {}


# --- which contacts are read ----------------------------------------------------------------------


def test_contacts_of_a_group_are_read_once(store: Store):
    apply(store, wrote(1, "Added", 8), wrote(2, "Added", 8, contact=WILMA))
    assert list(load_unmirrored_contacts(store, 10)) == [[FRED, WILMA]]
    assert list(load_unmirrored_contacts(store, 1)) == [[FRED], [WILMA]]
    save(store, fred(8))
    assert list(load_unmirrored_contacts(store, 10)) == [[WILMA]]
    assert load_mirrored_contacts(store, 0, limit=10) == [FRED, WILMA]


def test_in_a_mirror_that_is_untold_nobody_is_marked(store: Store):
    """All of it is told at once, and so it is known whose contacts are missing."""
    with store.atomic():
        save_mirror_state(store, MirrorState(is_untold=True))
    compare(store, places=[(FRED, "Added"), (WILMA, "Added")])
    assert list(load_unmirrored_contacts(store, 10)) == [[FRED, WILMA]]
    save(store, fred(8))
    assert list(load_unmirrored_contacts(store, 10)) == [[WILMA]]
    assert dirty(store) == set()
    save(store, fred(9, is_opt_out=True))
    apply(store, wrote(1, "Removed", 9, contact=WILMA))
    assert dirty(store) == {FRED, WILMA}
    forget(store)
    compare(store, places=[(BARNEY, "Added")], groups=[OTHER, GROUP])
    save(store, created(BARNEY, 3))
    assert dirty(store) >= {BARNEY}


def test_contacts_are_read_page_by_page_wherever_they_are_known_from(store: Store):
    apply(store, *(wrote(n, "Added", 8, contact=contact) for n, contact in enumerate((2, 4, 6))))
    apply(store, wrote(9, "Added", 8, contact=4, group=OTHER))
    for contact_id in (1, 2, 5, 7):
        save(store, created(contact_id, 3))
    found, after = [], 0
    while page := load_mirrored_contacts(store, after, limit=2):
        found += page
        after = page[-1]
    assert found == [1, 2, 4, 5, 6, 7]


def test_places_are_told_of_those_who_have_one(store: Store):
    apply(store, wrote(1, "Added", 8), wrote(2, "Deleted", 9, contact=WILMA))
    assert load_places(store, GROUP, [FRED, WILMA, BARNEY]) == {FRED: "Added"}


# --- how far it reaches ---------------------------------------------------------------------------


def test_a_new_mirror_reaches_nowhere(store: Store):
    state = load_mirror_state(store)
    assert (state.groups, state.modified_at) == ({}, "")
    assert not state.has_compared([])


def test_how_far_the_mirror_reaches_is_known_group_by_group(store: Store):
    groups = {GROUP: GroupState(7, text(9)), SMART: GroupState(0, text(10), True)}
    with store.atomic():
        save_mirror_state(store, MirrorState({**groups, OTHER: GroupState(5)}, text(8)))
    state = load_mirror_state(store)
    assert state.groups[GROUP] == groups[GROUP]
    assert state.smart_group_ids == {SMART}
    assert state.has_compared([GROUP, SMART])
    assert not state.has_compared([GROUP, OTHER])
