"""People: who is judged, with which rows, and that no larger knot is ever tied."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mcsync.decision import Person, RowView
from mcsync.model import email_key
from mcsync.reconcile.enforce import decide
from tests.fuzz import law
from tests.unit.folk import GROUP, IDS, PLAIN, People, alone, contact, member, one, person, split


def by_name(people: People) -> dict[str, Person]:
    names = {number: name for name, number in IDS.items()}
    return {names[p.contact.contact_id]: p for p in people.each() if p.contact is not None}


def test_a_member_of_two_is_the_own_one_of_the_linked_and_shared_by_the_other():
    couple = by_name(
        person(
            contact("Wilma", "home@", added=5),
            contact("Fred", "fred@", "home@", added=5),
            member("home@", "subscribed", 5, of="Wilma"),
            member("fred@", "subscribed", 5),
        )
    )
    wilma, fred = couple["Wilma"], couple["Fred"]
    assert [m.email for m in wilma.members] == ["home@example.org"]
    assert [m.email for m in fred.members] == ["fred@example.org"]
    assert [m.email for m in fred.shared_members] == ["home@example.org"]
    assert [s.contact for s in wilma.sharers] == [fred.contact]
    assert (wilma.shared, fred.sharers) == ((), ())


def test_a_member_whom_nobody_owns_stands_alone():
    dino = one(person(member("dino@", "subscribed", 9), rivals=(3, 4)))
    assert (dino.contact, dino.rivals, len(dino.rows)) == (None, (3, 4), 1)


def test_who_was_never_in_the_group_and_has_no_row_is_not_judged():
    people = person(
        contact("Wilma", "home@", added=5),
        contact("Fred", "home@"),
        member("home@", "left", 9, of="Wilma"),
    )
    assert set(by_name(people)) == {"Wilma"}
    assert by_name(people)["Wilma"].sharers == ()


def test_who_is_not_in_the_group_yet_but_has_a_row_shares_what_else_he_owns():
    people = by_name(
        person(
            contact("Wilma", "home@", removed=5),
            contact("Fred", "fred@", "home@"),
            member("home@", "subscribed", 4, of="Wilma"),
            member("fred@", "subscribed", 9),
        )
    )
    assert [m.email for m in people["Fred"].shared_members] == ["home@example.org"]
    assert [s.contact for s in people["Wilma"].sharers] == [people["Fred"].contact]


def test_a_member_goes_before_the_row_of_who_was_only_tried_with_the_address():
    people = by_name(
        person(
            contact("Wilma", "home@", added=5),
            contact("Fred", "home@", added=5),
            member("home@", "subscribed", 4, of="Wilma"),
            alone("Fred", "home@"),
        )
    )
    assert [m.email for m in people["Fred"].shared_members] == ["home@example.org"]
    assert people["Wilma"].shared == ()


def test_who_waits_to_become_a_member_is_shared_as_well():
    people = by_name(
        person(
            contact("Wilma", "home@", added=5),
            contact("Fred", "home@", added=5),
            alone("Wilma", "home@"),
        )
    )
    assert [row.email for row in people["Fred"].shared] == ["home@example.org"]


def test_a_chain_of_shared_addresses_ties_nobody_together():
    """Wilma and Fred share an address, Fred and Barney another: Wilma and Barney are strangers."""
    people = by_name(
        person(
            contact("Wilma", "home@", added=5),
            contact("Fred", "home@", "rocks@", added=5),
            contact("Barney", "rocks@", removed=9),
            member("home@", "subscribed", 4, of="Wilma"),
            member("rocks@", "subscribed", 4, of="Barney"),
        )
    )
    assert [s.contact for s in people["Wilma"].sharers] == [people["Fred"].contact]
    assert people["Wilma"].shared == people["Barney"].shared == ()
    assert len(people["Fred"].shared) == 2


# --- laws -----------------------------------------------------------------------------------------

POOL = ("a@", "b@", "c@", "d@")
FOLK = ("Fred", "Wilma", "Barney", "Betty")


@st.composite
def knots(draw: st.DrawFn) -> People:
    """Contacts and rows in any knot of shared addresses."""
    parts: list[object] = []
    names = draw(st.lists(st.sampled_from(FOLK), unique=True, max_size=4))
    for name in names:
        owned = draw(st.lists(st.sampled_from(POOL), unique=True, max_size=3))
        place = draw(st.sampled_from(({}, {"added": 5}, {"removed": 6}, {"is_added": True})))
        parts.append(contact(name, *owned, **place))
    owners = st.sampled_from((*names, "Nobody"))
    for address in draw(st.lists(st.sampled_from(POOL), unique=True)):
        status = draw(st.sampled_from(("subscribed", "left", "vanished", "pending")))
        parts.append(member(address, status, draw(st.integers(1, 9)), of=draw(owners)))
    tried = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    parts += [alone(name, draw(st.none() | st.sampled_from(POOL))) for name in tried]
    return person(*parts)


def key_of(row: RowView) -> str | None:
    email = row.member.email if row.member else row.email
    return email_key(email) if email else None


@law(100)
@given(knots())
def test_every_row_is_exactly_one_persons(people: People):
    owned = sorted(row.row_id for someone in people.each() for row in someone.rows)
    assert owned == sorted(row.row_id for row in people.rows)


@law(100)
@given(knots())
def test_every_contact_with_a_row_or_a_place_is_judged_once(people: People):
    judged = [someone.contact.contact_id for someone in people.each() if someone.contact]
    linked = {row.contact_id for row in people.rows}
    placed = {c.contact_id for c in people.contacts if GROUP in c.places}
    assert sorted(judged) == sorted(placed | (linked - {None}))


@law(100)
@given(knots())
def test_who_shares_a_row_is_known_to_whose_it_is_and_the_other_way_round(people: People):
    everybody = [someone for someone in people.each() if someone.contact is not None]
    sharing = {
        (row.row_id, someone.contact.contact_id) for someone in everybody for row in someone.shared
    }
    for owner in everybody:
        ids = {sharer.contact.contact_id for sharer in owner.sharers}
        own = {row.row_id for row in owner.rows}
        assert ids == {contact_id for row_id, contact_id in sharing if row_id in own}
    assert {row_id for row_id, _ in sharing} <= {r.row_id for p in everybody for r in p.rows}


@law(100)
@given(knots())
def test_nobody_is_judged_together_through_a_third(people: People):
    """Only one's own rows, and whoever owns an address of theirs or whose address one owns."""
    for someone in people.each():
        if someone.contact is None:
            assert (someone.shared, someone.sharers, len(someone.rows)) == ((), (), 1)
            continue
        keys = {key_of(row) for row in someone.rows}
        assert all(row.contact_id == someone.contact.contact_id for row in someone.rows)
        for row in someone.shared:
            assert key_of(row) in someone.contact.keys
            assert row.contact_id != someone.contact.contact_id
        for sharer in someone.sharers:
            assert sharer.contact.keys & keys
            assert sharer.sharers == ()


@law(100)
@given(knots())
def test_what_is_decided_about_somebody_does_not_depend_on_strangers(people: People):
    for someone in people.each():
        if someone.contact is None:
            continue
        near = {someone.contact.contact_id, *(s.contact.contact_id for s in someone.sharers)}
        near |= {row.contact_id for row in someone.shared}
        near |= {row.contact_id for s in someone.sharers for row in s.shared}
        smaller = replace(
            people,
            rows=tuple(row for row in people.rows if row.contact_id in near),
            contacts=tuple(c for c in people.contacts if c.contact_id in near),
        )
        same = by_contact(smaller)[someone.contact.contact_id]
        assert decide(same, PLAIN) == decide(someone, PLAIN)


def by_contact(people: People) -> dict[int, Person]:
    return {p.contact.contact_id: p for p in people.each() if p.contact is not None}


@law(100)
@given(knots(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_contacts_does_not_matter(people: People, random):
    def shuffled(items):
        return random.sample(items, len(items))

    again = split(shuffled(people.rows), shuffled(people.contacts), GROUP)
    assert list(again) == list(split(people.rows, people.contacts, GROUP))
