"""Names: how merge fields and CiviCRM's two names become each other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.decision import ContactView, Policy, Reason, RowView, SyncStatus
from mcsync.name_tags import read_names
from mcsync.reconcile.names import cut_as_civicrm
from tests.unit.folk import (
    PLAIN,
    People,
    alone,
    at,
    contact,
    decide_all,
    member,
    person,
    tell_mailchimp,
)

READ = [
    pytest.param({"FNAME": "Fred", "LNAME": "Flintstone"}, ("Fred", "Flintstone"), id="two fields"),
    pytest.param({"FNAME": "Fred"}, ("Fred", ""), id="first name only"),
    pytest.param({"LNAME": "Flintstone"}, ("", "Flintstone"), id="last name only"),
    pytest.param({}, ("", ""), id="no fields"),
    pytest.param({"NAME": "Fred"}, ("Fred", ""), id="one word is the first name"),
    pytest.param({"NAME": "Fred Flintstone"}, ("Fred", "Flintstone"), id="first word and rest"),
    pytest.param({"NAME": "Fred von Flint"}, ("Fred", "von Flint"), id="the rest is the last name"),
    pytest.param({"NAME": " Fred   Flint "}, ("Fred", "Flint"), id="spaces around do not count"),
    pytest.param({"NAME": ""}, ("", ""), id="an empty name"),
    pytest.param({"NAME": "   "}, ("", ""), id="only spaces"),
    pytest.param(
        {"FNAME": "", "LNAME": "", "NAME": "Fred Flint"}, ("Fred", "Flint"), id="both empty: split"
    ),
    pytest.param(
        {"FNAME": "Fred", "LNAME": "", "NAME": "Barney Rubble"},
        ("Fred", ""),
        id="one of two is set",
    ),
    pytest.param(
        {"FNAME": "", "LNAME": "Flint", "NAME": "Barney Rubble"},
        ("", "Flint"),
        id="the other of two is set",
    ),
    pytest.param({"MMERGE3": "Bedrock"}, ("", ""), id="other fields are no names"),
]


@pytest.mark.parametrize(("fields", "names"), READ)
def test_read_names(fields: dict[str, str], names: tuple[str, str]):
    assert read_names(fields) == names


words = st.text(st.sampled_from("ab é"), max_size=12)


@given(words)
def test_splitting_loses_nothing_but_spaces(name: str):
    first, last = read_names({"NAME": name})
    assert " " not in first
    assert f"{first}{last}".replace(" ", "") == name.replace(" ", "")
    assert last == last.strip()


@given(words, words, words)
def test_a_single_name_matters_only_where_both_others_are_empty(first, last, name):
    found = read_names({"FNAME": first, "LNAME": last, "NAME": name})
    assert found == ((first, last) if first or last else read_names({"NAME": name}))


# --- what CiviCRM cuts ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 63, 64, 65, 84])
def test_civicrm_keeps_64_characters_c2(length: int):
    kept = cut_as_civicrm("é" * length)
    assert len(kept) == min(length, 64)
    assert kept.endswith("...") == (length > 64)


# --- names that go from one side to the other -----------------------------------------------------

TWO_FIELDS = replace(PLAIN, syncs_names=True, name_tags=frozenset(("FNAME", "LNAME")))
THREE_FIELDS = replace(TWO_FIELDS, name_tags=frozenset(("FNAME", "LNAME", "NAME")))
ONE_FIELD = replace(PLAIN, syncs_names=True, name_tags=frozenset(("NAME",)))


def called(view: ContactView, first: str, last: str, hour: int = 8) -> ContactView:
    """The contact under these names, given at `hour`."""
    named = view.contact._replace(first_name=first, last_name=last)
    return replace(view, contact=named, first_name_at=at(hour), last_name_at=at(hour))


def calls(row: RowView, first: str, last: str, hour: int = 8, **said: str) -> RowView:
    """The member under these names, given at `hour`; `said`: what we have overwritten."""
    view = replace(row.member, first_name=first, last_name=last, said_names=said)
    return replace(row, member=replace(view, first_name_at=at(hour), last_name_at=at(hour)))


def tell_names(people: People, policy: Policy) -> tuple[list[object], list[object]]:
    """What is written in CiviCRM (contact id, first and last name), and sent to Mailchimp."""
    decision = decide_all(people, policy)
    return (
        [(w.contact_id, w.first_name, w.last_name) for w in decision.name_writes],
        [dict(p.change.merge_fields) for p in decision.changes if p.change.merge_fields],
    )


def fred(first: str, last: str, hour: int = 8) -> ContactView:
    return called(contact("Fred", "fred@", added=5), first, last, hour)


def fred_at_mailchimp(first: str, last: str, hour: int = 8, **said: str) -> RowView:
    return calls(member("fred@", "subscribed", 5), first, last, hour, **said)


def slate(hour: int) -> ContactView:
    """An organisation."""
    view = fred("Slate & Company", "", hour)
    return replace(view, contact=view.contact._replace(is_person=False))


LONG = "Wolfeschlegelsteinhausenbergerdorff" * 3
CUT = LONG[:61] + "..."
NOTHING: tuple[list[object], list[object]] = ([], [])

BOTH_WAYS = [
    pytest.param(
        TWO_FIELDS,
        fred("Fred", "Flint", 8),
        fred_at_mailchimp("Freddie", "Flint", 9),
        ([(1, "Freddie", None)], []),
        id="given later at Mailchimp",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("Fred", "Flint", 9),
        fred_at_mailchimp("Freddie", "Flint", 8),
        ([], [{"FNAME": "Fred"}]),
        id="given later in CiviCRM",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("Fred", "Flint", 8),
        fred_at_mailchimp("Freddie", "Flint", 8),
        ([], [{"FNAME": "Fred"}]),
        id="at the same second: CiviCRM",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("", "Flint", 9),
        fred_at_mailchimp("Fred", "", 8),
        ([(1, "Fred", None)], [{"LNAME": "Flint"}]),
        id="blanks never overwrite, and are filled",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("Fred", "Flint", 8),
        fred_at_mailchimp("Fred", "Flint", 8, first_name="Freddie"),
        NOTHING,
        id="overwritten by us, but not later than CiviCRM",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("Fred", "Flint", 8),
        fred_at_mailchimp("Fred", "Flint", 9, first_name="Freddie"),
        ([(1, "Freddie", None)], [{"FNAME": "Freddie"}]),
        id="a later name that an operation of ours has overwritten stands",
    ),
    pytest.param(
        TWO_FIELDS,
        fred(CUT, "Flint", 9),
        fred_at_mailchimp(LONG, "Flint", 8),
        NOTHING,
        id="CiviCRM's cut is no new name",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("Fred", "Flint", 8),
        fred_at_mailchimp(LONG, "Flint", 9),
        ([(1, CUT, None)], []),
        id="a long name is written as CiviCRM will keep it",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("Fred", "Flint", 9),
        fred_at_mailchimp(LONG, "Flint", 8),
        ([], [{"FNAME": "Fred"}]),
        id="a later name in CiviCRM replaces a long one",
    ),
    pytest.param(
        TWO_FIELDS,
        fred(CUT, "Flint", 9),
        fred_at_mailchimp("", "Flint", 8),
        ([], [{"FNAME": CUT}]),
        id="a cut name is better than none",
    ),
    pytest.param(
        ONE_FIELD,
        fred("Fred", CUT, 9),
        fred_at_mailchimp("Fred", LONG, 8),
        NOTHING,
        id="one field NAME: CiviCRM's cut is no new name",
    ),
    pytest.param(
        ONE_FIELD,
        fred("บ" * 64, "ก" * 64, 9),
        fred_at_mailchimp("", "", 8),
        NOTHING,
        id="what Mailchimp would cut is not sent",
    ),
    pytest.param(
        TWO_FIELDS,
        fred("Fr\0ed", "Flint", 9),
        fred_at_mailchimp("", "", 8),
        ([], [{"LNAME": "Flint"}]),
        id="what Mailchimp cannot take is not sent",
    ),
    pytest.param(
        TWO_FIELDS,
        slate(9),
        fred_at_mailchimp("", "", 8),
        ([], [{"FNAME": "Slate & Company"}]),
        id="an organisation's name goes to FNAME",
    ),
    pytest.param(
        THREE_FIELDS,
        slate(9),
        fred_at_mailchimp("", "", 8),
        ([], [{"NAME": "Slate & Company"}]),
        id="an organisation's name goes to NAME where there is one",
    ),
    pytest.param(
        ONE_FIELD,
        slate(9),
        fred_at_mailchimp("Slate", "& Sons", 8),
        ([], [{"NAME": "Slate & Company"}]),
        id="an organisation's later name goes to the single NAME",
    ),
    pytest.param(
        ONE_FIELD,
        slate(8),
        fred_at_mailchimp("Slate", "& Sons", 9),
        NOTHING,
        id="an organisation takes no name, and leaves a later one alone",
    ),
    pytest.param(
        TWO_FIELDS,
        slate(9),
        fred_at_mailchimp("George", "Slate", 8),
        NOTHING,
        id="an organisation's name does not go beside somebody's own",
    ),
    pytest.param(
        TWO_FIELDS,
        slate(9),
        fred_at_mailchimp("Slate", "& Company", 8),
        NOTHING,
        id="an organisation's name that is there is not sent again",
    ),
    pytest.param(
        ONE_FIELD,
        fred("", "Flint", 9),
        fred_at_mailchimp("Fred", "Flint", 8),
        ([(1, "Fred", None)], []),
        id="one field NAME, and CiviCRM has no first name any more: NAME is not cut",
    ),
    pytest.param(
        ONE_FIELD,
        fred("Fred", "", 9),
        fred_at_mailchimp("Fred", "von Flint", 8),
        ([(1, None, "von Flint")], []),
        id="one field NAME, and CiviCRM has no last name any more: NAME is not cut",
    ),
    pytest.param(
        ONE_FIELD,
        fred("", "", 9),
        fred_at_mailchimp("Fred", "Flint", 8),
        ([(1, "Fred", "Flint")], []),
        id="one field NAME, and CiviCRM has no name any more: NAME is not emptied",
    ),
    pytest.param(
        ONE_FIELD,
        fred("", "Stone", 9),
        fred_at_mailchimp("Fred", "Flint", 8),
        ([(1, "Fred", None)], [{"NAME": "Fred Stone"}]),
        id="one field NAME, another last name and no first name: only the last name changes",
    ),
    pytest.param(
        ONE_FIELD,
        fred("Fred", "Flint", 9),
        fred_at_mailchimp("", "", 8),
        ([], [{"NAME": "Fred Flint"}]),
        id="one field NAME, and it is empty: filled",
    ),
    pytest.param(
        ONE_FIELD,
        fred("Fred von", "Flint", 8),
        fred_at_mailchimp("Fred", "von Flint", 9),
        NOTHING,
        id="one field NAME: the same name, split elsewhere",
    ),
]


@pytest.mark.parametrize(("policy", "someone", "row", "expected"), BOTH_WAYS)
def test_names_of_one_contact_and_one_member(policy, someone, row, expected):
    assert tell_names(person(someone, row), policy) == expected


def test_of_several_owners_the_linked_one_with_the_members_very_name_has_names_that_follow():
    family = (
        called(contact("Fred", "home@", added=5), "Fred", "Flint", 9),
        called(contact("Wilma", "home@", added=5), "Wilma", "Flint", 9),
    )
    home = calls(member("home@", "subscribed", 5, of="Fred"), "Freddie", "Flint", 8)
    assert tell_names(person(*family, home), TWO_FIELDS) == ([], [{"FNAME": "Fred"}])
    later = calls(member("home@", "subscribed", 5, of="Fred"), "Freddie", "Flint", 10)
    assert tell_names(person(*family, later), TWO_FIELDS) == ([(1, "Freddie", None)], [])


def test_of_several_owners_one_who_was_chosen_otherwise_keeps_the_name_and_gives_none():
    family = (
        called(contact("Fred", "home@", added=5), "Fred", "Flint", 9),
        called(contact("Wilma", "home@", added=5), "Wilma", "Flint", 9),
    )
    for hour in (8, 10):
        home = member("home@", "subscribed", 5, of="Fred", shared=True)
        row = calls(home, "Pebbles", "Flint", hour)
        assert tell_names(person(*family, row), TWO_FIELDS) == NOTHING


def test_two_contacts_newly_added_with_one_address_the_operation_has_the_name_of_whose_row_it_is():
    family = person(
        called(contact("Fred", "home@", added=10), "Fred", "Flint"),
        called(contact("Wilma", "home@", added=10), "Wilma", "Flint"),
        alone("Fred", "home@"),
    )
    (planned,) = decide_all(family, TWO_FIELDS).changes
    assert planned.row_id == 1
    assert planned.change.merge_fields == {"FNAME": "Fred", "LNAME": "Flint"}


def test_who_is_asked_to_confirm_gets_a_name_and_still_waits_as_such():
    betty = person(
        called(contact("Betty", "betty@", added=10), "Betty", "Rubble"),
        member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE)),
    )
    decision = decide_all(betty, TWO_FIELDS)
    assert tell_mailchimp(decision) == ["ask betty@"]
    assert decision.changes[0].change.merge_fields == {"FNAME": "Betty", "LNAME": "Rubble"}
    assert [verdict.sync_status for verdict in decision.verdicts] == [SyncStatus.REDO]


def test_while_something_is_under_way_names_are_written_in_civicrm_and_not_sent():
    row = calls(member("fred@", "subscribed", 5, under_way=True), "Freddie", "", 9)
    names, sent = tell_names(person(fred("Fred", "Flint", 8), row), TWO_FIELDS)
    assert (names, sent) == ([(1, "Freddie", None)], [])
