"""Persons: who is judged together, whatever the chunk they are read in.

Hours are times. A person is a contact with the members that are its own; what it shares with
others stands beside them.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec
import pytest

import mcsync.cache.persons as people_module
from mcsync.cache.contacts import mark_unseen, save_contacts
from mcsync.cache.persons import load_people, load_persons_of
from mcsync.cache.rows import StoredRefusal, note_agreed, note_asked, save_refusals
from mcsync.cache.store import Store
from mcsync.decision import (
    Agreed,
    Agreement,
    InterestPolicy,
    Person,
    Place,
    Policy,
    Reason,
    Refused,
    Statement,
)
from mcsync.model import LONG_AGO, Contact, ContactPage, Email, MemberStatus
from tests.cache.filling import place
from tests.hours import at, text

LIST, GROUP, VOLUNTEERS = "aaaaaaaaaa", 111, 222
POLICY = Policy(LIST, GROUP, interests={"cccccccccc": InterestPolicy(VOLUNTEERS)})
SKIPPING = Policy(LIST, GROUP, skips_duplicates=True)
FRED, WILMA, BARNEY = 1, 2, 3


def add_contact(store: Store, contact_id: int, *names: str, **flags: bool) -> None:
    contact = Contact(contact_id, "Fred", "Flint", modified_at=at(8), **flags)
    emails = tuple(
        Email(contact_id * 10 + n, contact_id, f"{name}@example.org")
        for n, name in enumerate(names)
    )
    save_contacts(store, ContactPage((contact,), emails), at(8))


def add_row(
    store: Store,
    name: str | None = None,
    contact: int | None = None,
    *,
    due: int = 1,
    **data: object,
) -> int:
    kept = {"status": "subscribed", "status@": text(9), **data}
    with store.atomic():
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, mailchimp_email,"
            " email_key, mailchimp_member_id, mailchimp_status, mailchimp_data,"
            " civicrm_contact_id, due, mark) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'ok')",
            (
                LIST,
                name and f"{name.title()}@example.org",
                name and f"{name}@example.org",
                name and f"id of {name}",
                name and kept["status"],
                name and msgspec.json.encode(kept).decode(),
                contact,
                due,
            ),
        )
    return int(cursor.lastrowid or 0)


def set_row(store: Store, row_id: int, **values: object) -> None:
    with store.atomic():
        for column, value in values.items():
            store.query(
                f"UPDATE civicrm_mailchimpsync_cache SET {column} = ? WHERE id = ?",  # noqa: S608
                (value, row_id),
            )


def load(store: Store, policy: Policy = POLICY, now: datetime = LONG_AGO) -> list[Person]:
    return [person for chunk in load_people(store, policy, now) for person in chunk]


Shape = tuple[int | None, list[int], list[int], list[int]]


def shape(people: Sequence[Person]) -> list[Shape]:
    """Each person's contact, own rows, rows shared, and contacts that share theirs."""
    found = [
        (
            person.contact.contact_id if person.contact else None,
            [row.row_id for row in person.rows],
            [row.row_id for row in person.shared],
            [sharer.contact.contact_id for sharer in person.sharers if sharer.contact],
        )
        for person in people
    ]
    return sorted(found, key=lambda each: (each[0] or 0, each[1]))


def person_of(
    contact: int | None,
    rows: Sequence[int],
    shared: Sequence[int] = (),
    sharers: Sequence[int] = (),
) -> Shape:
    return contact, list(rows), list(shared), list(sharers)


# --- who belongs together -------------------------------------------------------------------------


def test_nearly_always_one_of_each(store: Store):
    add_contact(store, FRED, "fred")
    add_contact(store, WILMA, "wilma")
    fred, wilma = add_row(store, "fred", FRED), add_row(store, "wilma", WILMA)
    assert shape(load(store)) == [person_of(FRED, [fred]), person_of(WILMA, [wilma])]


def test_a_member_whom_nobody_owns_stands_alone(store: Store):
    dino = add_row(store, "dino")
    assert shape(load(store)) == [person_of(None, [dino])]


def test_a_contact_unknown_to_mailchimp_stands_alone(store: Store):
    add_contact(store, FRED, "fred")
    place(store, FRED)
    fred = add_row(store, None, FRED)
    assert shape(load(store)) == [person_of(FRED, [fred])]


def test_a_contact_with_two_subscribed_addresses_is_one_person(store: Store):
    add_contact(store, BARNEY, "barney", "rubble")
    one, two = add_row(store, "barney", BARNEY), add_row(store, "rubble", BARNEY, due=0)
    assert shape(load(store)) == [person_of(BARNEY, [one, two])]


def test_of_a_family_that_shares_an_address_each_is_a_person(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home")
    place(store, FRED)
    place(store, WILMA)
    member, own = add_row(store, "home", FRED), add_row(store, None, WILMA, due=0)
    assert shape(load(store)) == [
        person_of(FRED, [member], sharers=[WILMA]),
        person_of(WILMA, [own], shared=[member]),
    ]


def test_who_shares_an_address_is_judged_without_a_row_too(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home")
    place(store, WILMA)
    member = add_row(store, "home", FRED)
    assert shape(load(store)) == [
        person_of(FRED, [member], sharers=[WILMA]),
        person_of(WILMA, [], shared=[member]),
    ]


def test_who_was_removed_from_the_group_still_shares_the_address(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home")
    place(store, WILMA, "Removed")
    member = add_row(store, "home", FRED)
    assert shape(load(store)) == [
        person_of(FRED, [member], sharers=[WILMA]),
        person_of(WILMA, [], shared=[member]),
    ]


def test_who_was_never_in_the_group_is_nobody_here(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home")
    place(store, FRED)
    place(store, WILMA, group=VOLUNTEERS)
    member = add_row(store, "home", FRED)
    assert shape(load(store)) == [person_of(FRED, [member])]


def test_who_was_never_in_the_group_shares_the_address_with_a_member_of_their_own(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home", "wilma")
    home, wilma = add_row(store, "home", FRED), add_row(store, "wilma", WILMA, due=0)
    assert shape(load(store)) == [
        person_of(FRED, [home], sharers=[WILMA]),
        person_of(WILMA, [wilma], shared=[home]),
    ]


def test_a_trashed_contact_is_nobody(store: Store):
    add_contact(store, FRED, "home")
    add_contact(store, WILMA, "home", is_deleted=True)
    place(store, FRED)
    place(store, WILMA)
    member = add_row(store, "home", FRED)
    assert shape(load(store)) == [person_of(FRED, [member])]


@pytest.fixture
def chain(store: Store) -> list[int]:
    """Fred shares home@ with Wilma, and Wilma work@ with Barney; their rows, not to be judged."""
    add_contact(store, FRED, "fred", "home")
    add_contact(store, WILMA, "home", "work")
    add_contact(store, BARNEY, "work", "barney")
    for contact in (FRED, WILMA, BARNEY):
        place(store, contact)
    owners = {"fred": FRED, "home": FRED, "work": WILMA, "barney": BARNEY}
    return [add_row(store, name, contact, due=0) for name, contact in owners.items()]


def test_a_shared_address_says_nothing_about_the_others(store: Store, chain: list[int]):
    fred, home, work, barney = chain
    set_row(store, fred, due=1)
    assert shape(load(store)) == [person_of(FRED, [fred, home], sharers=[WILMA])]
    set_row(store, fred, due=0)
    set_row(store, home, due=1)
    assert shape(load(store)) == [
        person_of(FRED, [fred, home], sharers=[WILMA]),
        person_of(WILMA, [work], shared=[home], sharers=[BARNEY]),
    ]
    set_row(store, home, due=0)
    set_row(store, barney, due=1)
    assert shape(load(store)) == [person_of(BARNEY, [barney], shared=[work])]


def test_of_who_shares_everything_of_their_own_is_known(store: Store, chain: list[int]):
    """Whether somebody stands for a member depends on what they say with their own ones."""
    fred, home, work, _ = chain
    set_row(store, fred, due=1)
    (person,) = load(store)
    (sharer,) = person.sharers
    assert shape([sharer]) == [person_of(WILMA, [work], shared=[home])]
    assert sharer.contact is not None
    assert sharer.contact.keys == {"home@example.org", "work@example.org"}
    assert sharer.contact.place(GROUP).is_added


def test_row_ids_and_contact_ids_are_not_mixed_up(store: Store):
    """Row 1 belongs to contact 2, and row 2 to contact 1."""
    add_contact(store, 1, "fred")
    add_contact(store, 2, "wilma")
    wilma, fred = add_row(store, "wilma", 2), add_row(store, "fred", 1)
    assert (wilma, fred) == (1, 2)
    assert shape(load(store)) == [person_of(1, [2]), person_of(2, [1])]


def test_only_persons_with_something_to_do_are_loaded(store: Store):
    add_contact(store, FRED, "fred")
    add_row(store, "fred", FRED, due=0)
    dino = add_row(store, "dino")
    assert shape(load(store)) == [person_of(None, [dino])]


def test_the_rows_of_another_audience_belong_to_nobody_here(store: Store):
    add_contact(store, FRED, "fred")
    fred = add_row(store, "fred", FRED)
    with store.atomic():
        store.query(
            "INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key,"
            " civicrm_contact_id, mark) VALUES ('bbbbbbbbbb', 'fred@example.org', 1, 'ok')"
        )
    assert shape(load(store)) == [person_of(FRED, [fred])]


# --- asked for by name ----------------------------------------------------------------------------


def test_the_person_of_any_row_can_be_asked_for(store: Store):
    add_contact(store, BARNEY, "barney", "rubble")
    one = add_row(store, "barney", BARNEY, due=0)
    two = add_row(store, "rubble", BARNEY, due=0)
    assert shape(load_persons_of(store, POLICY, [two])) == [person_of(BARNEY, [one, two])]


def test_the_person_of_any_contact_can_be_asked_for(store: Store, chain: list[int]):
    fred, home, _, barney = chain
    assert shape(load_persons_of(store, POLICY, [], contact_ids=[FRED])) == [
        person_of(FRED, [fred, home], sharers=[WILMA])
    ]
    assert shape(load_persons_of(store, POLICY, [barney], contact_ids=[FRED])) == [
        person_of(FRED, [fred, home], sharers=[WILMA]),
        person_of(BARNEY, [barney], shared=[chain[2]]),
    ]


def test_a_contact_whom_nothing_links_to_the_audience_is_a_person_when_asked_for(store: Store):
    add_contact(store, FRED, "fred")
    (person,) = load_persons_of(store, POLICY, [], contact_ids=[FRED])
    assert shape([person]) == [person_of(FRED, [])]
    assert load_persons_of(store, POLICY, [], contact_ids=[77]) == []


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
        add_row(store, "b", BARNEY, due=0),
    ]
    assert shape(load(store)) == [
        person_of(None, [rows[1]]),
        person_of(FRED, [rows[3]]),
        person_of(BARNEY, [rows[0], rows[2], rows[4]]),
    ]


def make_bedrock(store: Store, seed: int) -> None:
    """Contacts with addresses of their own and shared ones, linked to anybody or to nobody."""
    luck = random.Random(seed)
    names = [f"n{number}" for number in range(14)]
    for contact in range(1, 11):
        add_contact(store, contact, *luck.sample(names, luck.randint(0, 3)))
        if luck.random() < 0.7:
            place(store, contact, luck.choice(("Added", "Removed", "Deleted")))
    for name in luck.sample(names, 11):
        contact = luck.choice((None, luck.randint(1, 10)))
        row = add_row(store, name, contact, due=luck.choice((0, 1, 1)))
        if luck.random() < 0.2:
            set_row(store, row, mailchimp_member_id=None, mailchimp_status=None)
    for contact in luck.sample(range(1, 11), 3):
        add_row(store, None, contact, due=luck.choice((0, 1)))


@pytest.mark.parametrize("policy", [POLICY, SKIPPING], ids=["lowest-id", "skip"])
@pytest.mark.parametrize("seed", range(25))
def test_the_size_of_a_chunk_does_not_matter(store, monkeypatch, seed, policy):
    make_bedrock(store, seed)
    at_once = load(store, policy)
    assert len(at_once) > 3
    for size in (1, 2, 3):
        monkeypatch.setattr(people_module, "CHUNK", size)
        in_parts = load(store, policy)
        assert shape(in_parts) == shape(at_once)
        assert all(person in at_once for person in in_parts)


def test_rows_may_be_marked_between_two_chunks(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(people_module, "CHUNK", 2)
    rows = [add_row(store, name) for name in ("a", "b", "c", "d", "e")]
    found = []
    for chunk in load_people(store, POLICY, at(9)):
        found += [person.rows[0].row_id for person in chunk]
        with store.atomic():
            store.query(
                "UPDATE civicrm_mailchimpsync_cache SET due = 0 WHERE id <= ?",
                (found[-1],),
            )
    assert found == rows


# --- what is under way ----------------------------------------------------------------------------


def wait_for_result(
    store: Store, row_id: int, *, is_sent: bool = True, is_overdue: bool = False
) -> None:
    with store.atomic():
        cursor = store.query(
            "INSERT INTO civicrm_mailchimpsync_batch (mailchimp_list_id, status, submitted_at,"
            " account, is_overdue) VALUES (?, 'pending', ?, 'us1', ?)",
            (LIST, text(9), is_overdue),
        )
        store.query(
            "INSERT INTO civicrm_mailchimpsync_update"
            " (mailchimpsync_cache_id, mailchimpsync_batch_id, data, cause, created_at)"
            " VALUES (?, ?, '{}', '{}', '')",
            (row_id, cursor.lastrowid if is_sent else None),
        )


def test_who_has_an_update_under_way_is_told_apart(store: Store):
    add_contact(store, BARNEY, "barney", "rubble")
    add_row(store, "barney", BARNEY)
    two = add_row(store, "rubble", BARNEY)
    add_row(store, "dino")
    wait_for_result(store, two)
    under_way = {person.contact is not None: person.is_under_way for person in load(store)}
    assert under_way == {True: True, False: False}


@pytest.mark.parametrize(
    ("how", "is_waited_for"),
    [({}, True), ({"is_sent": False}, False), ({"is_overdue": True}, False)],
    ids=["sent", "only queued", "in a batch that hangs"],
)
def test_what_is_waited_for(store: Store, how: dict[str, bool], is_waited_for: bool):
    dino = add_row(store, "dino")
    wait_for_result(store, dino, **how)
    (person,) = load(store)
    assert person.is_under_way is is_waited_for


# --- what is known of them ------------------------------------------------------------------------


def test_everything_the_rules_ask_for_is_there(store: Store):
    add_contact(store, FRED, "fred", is_opt_out=True)
    place(store, FRED)
    place(store, FRED, "Removed", VOLUNTEERS)
    row = add_row(
        store,
        "fred",
        FRED,
        due=3,
        **{
            "status": "unsubscribed",
            "left": True,
            "first_name": "Fred",
            "first_name@": text(10),
            "first_name!": "Frederick",
            "last_name": "Flint",
            "interest-cccccccccc": True,
            "interest-cccccccccc@": text(10),
        },
    )
    set_row(store, row, lost_at=text(7), is_shared=1, moved_from="before@example.org", owned_by=9)
    with store.atomic():
        note_asked(store, [(row, text(12))])
        agreement = Agreement("subscription/111", Agreed(True, at(6), Reason.TRUST_CIVICRM))
        note_agreed(store, [([row], [agreement])])
    (person,) = load(store)
    (view,) = person.rows
    assert (view.row_id, view.contact_id, view.due, view.email) == (
        row,
        FRED,
        3,
        "Fred@example.org",
    )
    assert (view.reconfirmed_at, view.lost_at) == (at(12), at(7))
    assert (view.is_shared, view.moved_from, view.owned_by) == (True, "before@example.org", 9)
    assert view.agreed == {"subscription/111": agreement.agreed}
    member = view.member
    assert member is not None
    assert (member.email, member.member_id) == ("Fred@example.org", "id of fred")
    assert member.status is MemberStatus.UNSUBSCRIBED
    assert member.subscription == Statement(value=False, at=at(9))
    assert (member.has_left, member.is_stranger) == (True, False)
    assert member.interests == {"cccccccccc": Statement(value=True, at=at(10))}
    assert (member.first_name, member.last_name) == ("Fred", "Flint")
    assert (member.first_name_at, member.last_name_at) == (at(10), LONG_AGO)
    assert member.said_names == {"first_name": "Frederick"}
    contact = person.contact
    assert contact is not None
    assert contact.contact.is_opt_out
    assert (contact.gate_closed_at, contact.is_unseen) == (at(8), False)
    assert [email.email for email in contact.emails] == ["fred@example.org"]
    added = Place(is_added=True, said=Statement(value=True, at=at(8)), is_known=True)
    removed = Place(is_added=False, said=Statement(value=False, at=at(8)), is_known=True)
    assert contact.places == {GROUP: added, VOLUNTEERS: removed}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"status": "unsubscribed", "status!": True}, Statement(value=True, at=at(9))),
        ({"status": "subscribed", "status!": False}, Statement(value=False, at=at(9))),
        ({"status": "pending"}, Statement(value=True, at=at(9))),
        ({"status": "cleaned"}, Statement(value=False, at=at(9))),
        ({"status": "transactional", "status@": None}, None),
    ],
    ids=["muted", "overwritten", "pending", "cleaned", "a shop's customer"],
)
def test_what_was_said_counts_and_not_what_is_there(store, data, expected):
    add_row(store, "dino", **data)
    (person,) = load(store)
    assert person.members[0].subscription == expected
    assert person.members[0].status is MemberStatus(data["status"])


def test_an_interest_that_was_overwritten_is_what_was_said_and_what_is_there(store: Store):
    add_row(
        store,
        "dino",
        **{
            "interest-cccccccccc": False,
            "interest-cccccccccc!": True,
            "interest-cccccccccc@": text(10),
        },
    )
    (person,) = load(store)
    (member,) = person.members
    assert member.interests == {"cccccccccc": Statement(value=True, at=at(10))}
    assert not member.has_interest("cccccccccc")


def test_who_was_met_out_is_a_stranger(store: Store):
    add_row(store, "dino", status="unsubscribed", met=True)
    (person,) = load(store)
    assert person.members[0].is_stranger


def test_a_member_who_is_gone_still_says_something(store: Store):
    add_contact(store, FRED, "fred")
    row = add_row(store, "fred", FRED, status=None)
    set_row(store, row, mailchimp_member_id=None)
    (person,) = load(store)
    assert person.members[0].status is None
    assert person.members[0].member_id is None
    assert person.members[0].subscription == Statement(value=False, at=at(9))


def test_a_row_that_lost_its_contact_tells_since_when(store: Store):
    row = add_row(store, "dino")
    set_row(store, row, lost_contact_id=7, lost_at=text(5))
    (person,) = load(store)
    assert person.rows[0].lost_at == at(5)


def test_a_contact_out_of_sight_is_told(store: Store):
    add_contact(store, FRED, "fred")
    add_row(store, "fred", FRED)
    mark_unseen(store, [FRED])
    (person,) = load(store)
    assert person.contact is not None
    assert person.contact.is_unseen


def test_a_place_that_was_deleted_is_none_and_its_word_is_known(store: Store):
    add_contact(store, FRED, "fred")
    place(store, FRED)
    place(store, FRED, "Deleted")
    add_row(store, "fred", FRED)
    (person,) = load(store)
    assert person.contact is not None
    assert person.contact.place(GROUP) == Place(said=Statement(value=False, at=at(8)))


REFUSED = Refused("dino@example.org", Reason.FORGOTTEN, {"subscribe": at(11)}, {"field DOG": "1"})
REFUSALS = [
    pytest.param("", 12, (REFUSED,), id="for good"),
    pytest.param(text(13), 12, (replace(REFUSED, is_paused=True),), id="for a while"),
    pytest.param(text(13), 13, (), id="that is over"),
    pytest.param("2027-11-22T13:00:00Z", 12, (), id="by a clock that was a year ahead"),
]


@pytest.mark.parametrize(("retry_at", "now", "expected"), REFUSALS)
def test_what_was_refused_counts_until_it_may_be_tried_again(store, retry_at, now, expected):
    row = add_row(store, "dino")
    with store.atomic():
        refusal = StoredRefusal(
            "dino@example.org",
            "forgotten-email",
            {"subscribe": text(11)},
            {"field DOG": "1"},
            retry_at=retry_at,
        )
        save_refusals(store, row, [refusal])
    (person,) = load(store, now=at(now))
    assert person.rows[0].refusals == expected


def test_rivals_are_told_where_duplicates_are_skipped(store: Store):
    add_contact(store, WILMA, "home")
    add_contact(store, FRED, "home")
    add_contact(store, BARNEY, "home", is_deleted=True)
    add_row(store, "home")
    (person,) = load(store, SKIPPING)
    assert person.rivals == (FRED, WILMA)
    (other,) = load(store, POLICY)
    assert other.rivals == ()
