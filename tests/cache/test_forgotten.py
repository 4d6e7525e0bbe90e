"""Who was forgotten does not come in again; who signs up, or is somebody else, does."""

import hmac
from datetime import datetime

import pytest

from mcsync.cache.contacts import save_contacts
from mcsync.cache.forgotten import (
    ToHash,
    is_forgotten,
    keep_hashes,
    leave_out_contacts,
    leave_out_members,
)
from mcsync.cache.outbox import claim, load_batch_updates, note_batch, note_processed, queue_update
from mcsync.cache.plans import add_to_plan
from mcsync.cache.rows import add_row, load_refusals
from mcsync.cache.store import Store
from mcsync.cache.times import to_text
from mcsync.cache.traces import AskedFor, erase, find_open_batch, find_owners, find_traces
from mcsync.decision import Decision, NameWrite, PlannedChange, Reason
from mcsync.model import (
    Batch,
    BulkMove,
    Contact,
    ContactPage,
    Email,
    Member,
    MemberChange,
    MemberStatus,
)
from tests.hours import at

LIST = "aaaaaaaaaa"
WILMA = "wilma@example.org"
IN, OUT = MemberStatus.SUBSCRIBED, MemberStatus.UNSUBSCRIBED


def member(
    email: str = WILMA, status: MemberStatus = IN, when: datetime | None = None, who: str = "w1"
) -> Member:
    return Member("m" + email, email, status, when or at(7), who)


def forget(
    store: Store,
    *emails: str,
    members: tuple[str, ...] = (),
    contacts: tuple[tuple[int, str], ...] = (),
    batch: int | None = None,
) -> None:
    what = ToHash(frozenset(emails), frozenset(members), frozenset(contacts))
    with store.atomic():
        keep_hashes(store, what, to_text(at(8)), batch)


def come_in(store: Store, *members: Member) -> list[str]:
    with store.atomic():
        return [each.email for each in leave_out_members(store, members)]


def is_known_no_more(store: Store, email: str = WILMA) -> bool:
    return is_forgotten(store, ToHash(emails=frozenset((email,))))


# --- members --------------------------------------------------------------------------------------


def test_nothing_is_hashed_while_nobody_is_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hmac, "digest", None)
    members, page = (member(),), ContactPage((Contact(1),), (Email(1, 1, WILMA),))
    assert leave_out_members(store, members) is members
    assert leave_out_contacts(store, page) is page


def test_the_key_is_of_this_cache_alone(store: Store):
    forget(store, WILMA)
    [(found, key)] = store.query(
        "SELECT hash, value FROM civicrm_mailchimpsync_forgotten, civicrm_mailchimpsync_state"
        " WHERE key = 'forgotten_key'"
    ).fetchall()
    told = f"email:{WILMA}".encode()
    assert hmac.digest(bytes.fromhex(key), told, "sha256").hex().startswith(found)
    assert len(bytes.fromhex(key)) == 32


@pytest.mark.parametrize(
    ("seen", "comes"),
    [
        pytest.param(member(), False, id="as she was"),
        pytest.param(member("Wilma@Example.org "), False, id="spelled otherwise"),
        pytest.param(member("slate@example.org"), False, id="moved, before"),
        pytest.param(member(who="another"), False, id="another id at Mailchimp"),
        pytest.param(member(status=OUT, when=at(9)), False, id="left since"),
        pytest.param(member(when=at(8)), False, id="in the same second"),
        pytest.param(member(when=at(9)), True, id="signed up since"),
        pytest.param(member(status=MemberStatus.PENDING, when=at(9)), True, id="pending since"),
        pytest.param(member(when=at(9))._replace(oddity="odd"), False, id="odd"),
        pytest.param(member("betty@example.org", who="b1"), True, id="somebody else"),
    ],
)
def test_who_comes_in(store: Store, seen: Member, comes: bool):
    forget(store, WILMA, members=("w1",))
    assert come_in(store, seen) == ([seen.email] if comes else [])


def test_who_signed_up_is_forgotten_no_more(store: Store):
    forget(store, WILMA, "slate@example.org", members=("w1",), contacts=((1, ""),))
    forget(store, "betty@example.org")
    assert come_in(store, member(when=at(9)), member("betty@example.org", who="b1")) == [WILMA]
    assert not is_known_no_more(store, "slate@example.org")
    assert is_known_no_more(store, "betty@example.org")
    assert come_in(store, member()) == [WILMA]


def test_to_be_forgotten_again_is_to_be_the_same_person(store: Store):
    forget(store, WILMA)
    forget(store, WILMA, "slate@example.org")
    assert come_in(store, member("slate@example.org", when=at(9))) == ["slate@example.org"]
    assert not is_known_no_more(store)


# --- what is under way ----------------------------------------------------------------------------


def send_something(store: Store) -> int:
    """A batch with an operation for Wilma is under way; its row."""
    with store.atomic():
        row = add_row(store, LIST, 1)
        change = MemberChange(WILMA, status=IN)
        queue_update(store, row, PlannedChange(row, None, change, Reason.COMPLIANCE), at(7))
    claimed = claim(store, LIST, "account", at(7), at(7))
    assert claimed is not None
    assert find_open_batch(store, [row]) == claimed[0].row_id
    return claimed[0].row_id


def test_what_was_sent_is_no_sign_up_until_its_batch_is_taken_in(store: Store):
    batch = send_something(store)
    forget(store, WILMA, batch=batch)
    assert come_in(store, member(when=at(9))) == []
    done = Batch("b", "finished", 1, 1, 0, at(7), completed_at=at(10))
    note_batch(store, batch, done, 1)
    assert come_in(store, member(when=at(11))) == []
    note_processed(store, batch)
    assert come_in(store, member(when=at(10))) == []
    assert come_in(store, member(when=at(11))) == [WILMA]


def test_where_its_end_is_not_told_what_is_seen_first_is_no_sign_up(store: Store):
    batch = send_something(store)
    forget(store, WILMA, batch=batch)
    note_processed(store, batch)
    assert come_in(store, member(when=at(9))) == []
    assert come_in(store, member(when=at(9))) == []
    assert come_in(store, member(when=at(10))) == [WILMA]


def test_the_number_of_what_was_sent_never_comes_to_mean_something_else(store: Store):
    batch = send_something(store)
    [sent] = load_batch_updates(store, batch)
    with store.atomic():
        erase(store, find_traces(store, AskedFor("1", contact_id=1)))
    assert load_batch_updates(store, batch) == {}
    [(kept, data)] = store.query("SELECT id, data FROM civicrm_mailchimpsync_update").fetchall()
    assert (kept, WILMA in data) == (sent, False)
    assert store.number("SELECT count(*) FROM civicrm_mailchimpsync_cache") == 0


# --- contacts -------------------------------------------------------------------------------------


def test_contacts_go_by_id_or_when_no_other_address_is_left(store: Store):
    forget(store, WILMA, contacts=((1, to_text(at(1))), (5, "")))
    page = ContactPage(
        (
            Contact(1, "Wilma", created_at=at(1)),
            Contact(2, "Wilma too"),
            Contact(3, "Fred"),
            Contact(4, "Nobody's mail"),
            Contact(5, "Wilma long ago", created_at=at(2)),
        ),
        (
            Email(1, 1, "new@example.org"),
            Email(2, 2, "WILMA@example.org"),
            Email(3, 3, WILMA),
            Email(4, 3, "fred@example.org"),
        ),
    )
    with store.atomic():
        left = leave_out_contacts(store, page)
    assert [contact.contact_id for contact in left.contacts] == [3, 4]
    assert [email.email_id for email in left.emails] == [4]


def test_of_whom_we_know_nothing_goes_unseen_but_the_address(store: Store):
    """Fred was given an address of hers, and then he opted out."""
    mirror(store, 3, "fred@example.org")
    forget(store, WILMA)
    page = ContactPage((Contact(3, "Fred", is_opt_out=True),), (Email(3, 3, WILMA),))
    save_contacts(store, page, at(9))
    sql = "SELECT is_opt_out FROM civicrm_mailchimpsync_contact WHERE contact_id = 3"
    assert store.value(sql) == 1
    assert store.column("SELECT email_key FROM civicrm_mailchimpsync_email") == []


def test_an_id_that_is_somebody_elses_now_is_not_forgotten(store: Store):
    forget(store, contacts=((1, to_text(at(1))),))
    page = ContactPage((Contact(1, "Betty", created_at=at(2)),), ())
    with store.atomic():
        assert leave_out_contacts(store, page) == page


# --- finding and erasing --------------------------------------------------------------------------


def mirror(store: Store, contact_id: int, *emails: str, is_deleted: bool = False) -> None:
    contact = Contact(contact_id, f"Contact {contact_id}", is_deleted=is_deleted)
    save_contacts(
        store,
        ContactPage(
            (contact,),
            tuple(Email(contact_id * 10 + n, contact_id, e) for n, e in enumerate(emails)),
        ),
        at(7),
    )


def add_member_row(store: Store, email: str, contact_id: int | None) -> int:
    with store.atomic():
        row = add_row(store, LIST, contact_id)
        store.query(
            "UPDATE civicrm_mailchimpsync_cache SET email_key = ?1, mailchimp_email = ?1"
            " WHERE id = ?2",
            (email, row),
        )
    return row


def test_all_addresses_of_a_contact_are_theirs_and_its_copies_in_the_trash(store: Store):
    mirror(store, 1, WILMA, "home@example.org")
    mirror(store, 2, WILMA, "old@example.org", is_deleted=True)
    mirror(store, 3, "fred@example.org")
    rows = {add_member_row(store, WILMA, 1), add_member_row(store, "home@example.org", 1)}
    add_member_row(store, "fred@example.org", 3)
    found = find_traces(store, AskedFor("home@example.org", email="Home@example.org"))
    assert found.emails == {WILMA, "home@example.org", "old@example.org"}
    assert (set(found.contacts), found.in_trash, found.rows) == ({1, 2}, {2}, rows)


def test_who_had_an_address_before_is_somebody_else(store: Store):
    mirror(store, 1, WILMA)
    mirror(store, 2, "betty@example.org")
    row = add_member_row(store, WILMA, 2)  # not linked anew yet
    betty = add_member_row(store, "betty@example.org", 2)
    found = find_traces(store, AskedFor(WILMA, email=WILMA))
    assert (set(found.contacts), found.rows, found.emails) == ({1}, {row}, {WILMA})
    with store.atomic():
        erase(store, found)
    assert store.column("SELECT id FROM civicrm_mailchimpsync_cache") == [betty]
    assert find_owners(store, "betty@example.org") == [2]


@pytest.mark.parametrize("column", ["moved_from", "mailchimp_email", "refusals"])
def test_an_address_they_had_before_is_theirs_unless_somebody_came_to_it(store: Store, column: str):
    moved = add_member_row(store, "slate@example.org", None)
    kept = f'[{{"email": "{WILMA}", "reason": "x"}}]' if column == "refusals" else WILMA
    with store.atomic():
        sql = f"UPDATE civicrm_mailchimpsync_cache SET {column} = ? WHERE id = ?"  # noqa: S608
        store.query(sql, (kept, moved))
    asked = AskedFor("slate@example.org", email="slate@example.org")
    assert find_traces(store, asked).emails == {WILMA, "slate@example.org"}
    pebbles = add_member_row(store, WILMA, None)
    found = find_traces(store, asked)
    assert (found.emails, found.rows) == ({"slate@example.org"}, {moved})
    found = find_traces(store, AskedFor(WILMA, email=WILMA))
    assert (found.emails, found.rows) == ({WILMA}, {pebbles})


@pytest.mark.parametrize("column", ["moved_from", "mailchimp_email", "refusals"])
def test_who_had_the_address_before_keeps_nothing_of_it(store: Store, column: str):
    slate = add_member_row(store, "slate@example.org", None)
    other = '{"email": "slate@example.org", "reason": "x"}'
    kept = f'[{{"email": "{WILMA}", "reason": "x"}}, {other}]'
    key = None if column == "mailchimp_email" else "slate@example.org"
    with store.atomic():
        store.query(
            f"UPDATE civicrm_mailchimpsync_cache SET {column} = ?, email_key = ? WHERE id = ?",  # noqa: S608
            (kept if column == "refusals" else WILMA.upper(), key, slate),
        )
        if column == "moved_from":
            store.query("UPDATE civicrm_mailchimpsync_cache SET moved_from = lower(moved_from)")
    add_member_row(store, WILMA, None)
    with store.atomic():
        erase(store, find_traces(store, AskedFor(WILMA, email=WILMA)))
    assert store.column("SELECT id FROM civicrm_mailchimpsync_cache") == [slate]
    assert WILMA not in "\n".join(store.conn.iterdump()).lower()
    assert [each.email for each in load_refusals(store, slate)] == (
        ["slate@example.org"] if column == "refusals" else []
    )


def test_decisions_about_them_are_dropped_from_a_held_plan(store: Store):
    mirror(store, 1, WILMA)
    mirror(store, 2, "betty@example.org")
    about = [
        Decision((), name_writes=(NameWrite(contact, "Wilma", None, at(7), at(7)),))
        for contact in (1, 2)
    ]
    about += [
        Decision((), bulk_moves=(BulkMove(1, None, None),)),
        Decision((), bulk_moves=(BulkMove(2, WILMA, None),)),
        Decision((), bulk_moves=(BulkMove(2, None, WILMA),)),
    ]
    with store.atomic():
        add_to_plan(store, LIST, [(decision, frozenset()) for decision in about])
        erase(store, find_traces(store, AskedFor(WILMA, email=WILMA)))
    assert store.number("SELECT count(*) FROM civicrm_mailchimpsync_plan") == 1
