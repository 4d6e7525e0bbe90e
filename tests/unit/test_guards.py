"""Guards: what counts, what is too much, and what the operator is told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.decision import ContactView, Decision, GroupWrite, Person, PlannedChange, Reason
from mcsync.model import Contact, EmailWrite, GroupStatus, MemberChange, MemberStatus, NewContact
from mcsync.reconcile.guards import (
    Kind,
    PlanSize,
    Rulebook,
    find_excesses,
    has_grown,
    may_be_done_alone,
    measure,
    sum_up,
)
from mcsync.safety import NEVER_BELOW, Limit, Safety

TEN_PERCENT = Limit(10, is_percent=True)
HALF = Limit(50, is_percent=True)
ANY = Limit()
NOBODY = Limit(0)
USUAL = Safety(TEN_PERCENT, TEN_PERCENT, HALF, HALF, TEN_PERCENT)
FREE = Safety(ANY, ANY, ANY, ANY, ANY)


def change(reason: Reason = Reason.CIVICRM_REMOVED, **asked: object) -> Decision:
    asking = MemberChange("fred@example.org", **asked)
    return Decision((), changes=(PlannedChange(1, None, asking, reason),))


def write(status: GroupStatus, reason: Reason) -> Decision:
    return Decision((), (GroupWrite(1, 111, status, reason),))


def gate(decision: Decision) -> Decision:
    (planned,) = decision.changes
    return replace(decision, changes=(replace(planned, is_gate=True),))


COUNTED = [
    pytest.param(
        change(status=MemberStatus.UNSUBSCRIBED), {Kind.UNSUBSCRIBES}, id="an unsubscribe we send"
    ),
    pytest.param(
        change(is_archiving=True),
        {Kind.UNSUBSCRIBES},
        id="archiving is no smaller than an unsubscribe",
    ),
    pytest.param(
        gate(change(Reason.OPT_OUT, status=MemberStatus.UNSUBSCRIBED)),
        {Kind.MUTES},
        id="an unsubscribe because they may not be mailed",
    ),
    pytest.param(
        change(Reason.MAILCHIMP_LEFT, status=MemberStatus.UNSUBSCRIBED),
        set(),
        id="an unsubscribe of who left, which an operation of ours had overwritten",
    ),
    pytest.param(
        change(status=MemberStatus.SUBSCRIBED), {Kind.ADDITIONS}, id="somebody subscribed"
    ),
    pytest.param(
        change(new_email="rocks@example.org"), {Kind.ADDRESSES}, id="an address that changes"
    ),
    pytest.param(change(interests={"cccccccccc": False}), {Kind.INTERESTS}, id="interests we send"),
    *(
        pytest.param(write(GroupStatus.REMOVED, reason), {Kind.REMOVALS}, id=f"a removal, {reason}")
        for reason in (
            Reason.MAILCHIMP_STAFF,
            Reason.MAILCHIMP_CLEANED,
            Reason.MAILCHIMP_ARCHIVED,
            Reason.MAILCHIMP_VANISHED,
            Reason.TRUST_MAILCHIMP,
        )
    ),
    pytest.param(
        write(GroupStatus.REMOVED, Reason.MAILCHIMP_LEFT),
        set(),
        id="who left by themselves does not count",
    ),
    pytest.param(
        write(GroupStatus.ADDED, Reason.MAILCHIMP_SUBSCRIBED), {Kind.JOINS}, id="somebody Added"
    ),
    pytest.param(
        write(GroupStatus.REMOVED, Reason.INTEREST),
        {Kind.INTERESTS},
        id="an interest's group is another kind",
    ),
    pytest.param(
        Decision((), new_contact=NewContact(1, "dino@example.org", "Dino", "")),
        {Kind.NEW_CONTACTS},
        id="a new contact",
    ),
    pytest.param(
        Decision((), email_writes=(EmailWrite(1, "fred@example.org"),)),
        {Kind.ADDRESSES},
        id="an address that CiviCRM gets",
    ),
]


@pytest.mark.parametrize(("decision", "kinds"), COUNTED)
def test_what_counts(decision: Decision, kinds: set[Kind]):
    assert measure(decision) == kinds


def test_a_contact_that_civicrm_no_longer_shows_counts_as_such():
    unseen = Person((), ContactView(Contact(1), is_unseen=True))
    assert measure(change(status=MemberStatus.UNSUBSCRIBED), unseen) == {
        Kind.UNSEEN,
        Kind.UNSUBSCRIBES,
    }


def test_each_decision_counts_once_in_each_of_its_kinds():
    kinds = [frozenset({Kind.MUTES, Kind.INTERESTS}), frozenset({Kind.MUTES}), frozenset()]
    assert sum_up(kinds) == {Kind.MUTES: 2, Kind.INTERESTS: 1}


ALLOWED = [
    pytest.param(TEN_PERCENT, 10, 100, True, id="exactly the share"),
    pytest.param(TEN_PERCENT, 11, 100, False, id="one more than the share"),
    pytest.param(TEN_PERCENT, 9, 9, True, id="never below ten people, though it is everybody"),
    pytest.param(TEN_PERCENT, 10, 10, False, id="ten of ten is everybody"),
    pytest.param(TEN_PERCENT, 10, 0, False, id="ten of nobody"),
    pytest.param(NOBODY, 9, 1000, True, id="never below ten people, though none is allowed"),
    pytest.param(NOBODY, 10, 1000, False, id="a number, not a share"),
    pytest.param(Limit(50), 50, 10, True, id="exactly the number"),
    pytest.param(Limit(50), 51, 10_000, False, id="one more than the number"),
    pytest.param(Limit(2.5, is_percent=True), 25, 1000, True, id="half percents"),
    pytest.param(Limit(2.5, is_percent=True), 26, 1000, False, id="more than half percents"),
    pytest.param(ANY, 1_000_000, 0, True, id="no ceiling"),
]


@pytest.mark.parametrize(("ceiling", "count", "of", "is_allowed"), ALLOWED)
def test_ceiling(ceiling: Limit, count: int, of: int, is_allowed: bool):
    assert ceiling.allows(count, of) is is_allowed


def test_each_excess_is_told_with_its_numbers():
    safety = Safety(TEN_PERCENT, TEN_PERCENT, Limit(20), NOBODY, TEN_PERCENT)
    size = PlanSize(
        {
            Kind.UNSUBSCRIBES: 1200,
            Kind.MUTES: 600,
            Kind.REMOVALS: 11,
            Kind.ADDITIONS: 21,
            Kind.NEW_CONTACTS: 10,
            Kind.ADDRESSES: 501,
            Kind.UNSEEN: 38,
        }
    )
    assert find_excesses(size, Rulebook(safety), subscribed=5000, in_group=100) == {
        Kind.UNSUBSCRIBES: "would unsubscribe 1,200 of 5,000 subscribed members (limit: 10%)",
        Kind.MUTES: (
            "would unsubscribe 600 of 5,000 members because they may not be mailed (limit: 10%)"
        ),
        Kind.REMOVALS: "would remove 11 of 100 contacts from the group (limit: 10%)",
        Kind.ADDITIONS: "would subscribe 21 people in addition to 5,000 (limit: 20)",
        Kind.NEW_CONTACTS: (
            "would create contacts in CiviCRM for 10 people, with 100 in the group (limit: 0)"
        ),
        Kind.ADDRESSES: (
            "would change the addresses of 501 of 5,000 subscribed members (limit: 10%)"
        ),
        Kind.UNSEEN: "CiviCRM no longer shows 38 of its contacts",
    }


def test_a_small_plan_is_told_nothing():
    size = PlanSize(dict.fromkeys((Kind.UNSUBSCRIBES, Kind.MUTES, Kind.REMOVALS), 10))
    assert find_excesses(size, Rulebook(USUAL), 100, 100) == {}


def test_only_the_kinds_over_their_limit_are_held():
    size = PlanSize({Kind.UNSUBSCRIBES: 60, Kind.MUTES: 1, Kind.ADDITIONS: 20})
    assert set(find_excesses(size, Rulebook(USUAL), 203, 203)) == {Kind.UNSUBSCRIBES}


def test_who_leaves_by_themselves_and_who_joins_is_never_too_much():
    kinds = [measure(write(GroupStatus.REMOVED, Reason.MAILCHIMP_LEFT))] * 100
    kinds += [measure(write(GroupStatus.ADDED, Reason.MAILCHIMP_SUBSCRIBED))] * 100
    assert find_excesses(sum_up(kinds), Rulebook(USUAL), 100, 100) == {}


def test_all_unsubscribed_by_an_administrator_at_once_is_too_much():
    kinds = [measure(write(GroupStatus.REMOVED, Reason.MAILCHIMP_STAFF))] * 100
    assert set(find_excesses(sum_up(kinds), Rulebook(USUAL), 0, 100)) == {Kind.REMOVALS}


def test_before_the_first_sync_has_been_completed_additions_are_what_is_meant():
    size = PlanSize({Kind.ADDITIONS: 500, Kind.NEW_CONTACTS: 500, Kind.UNSUBSCRIBES: 500})
    first = Rulebook(USUAL, is_first=True)
    assert set(find_excesses(size, first, 100, 100)) == {Kind.UNSUBSCRIBES}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.UNSEEN])
@pytest.mark.parametrize("safety", [FREE, USUAL])
def test_after_the_rules_were_changed_more_than_a_tenth_of_any_kind_is_too_much(
    kind: Kind, safety: Safety
):
    strict = Rulebook(safety, is_strict=True)
    assert set(find_excesses(PlanSize({kind: 11}), strict, 100, 100)) == {kind}
    assert find_excesses(PlanSize({kind: 10}), strict, 100, 100) == {}


def test_a_ceiling_that_is_stricter_than_that_stays():
    one_percent = Limit(1, is_percent=True)
    strict = Rulebook(replace(FREE, unsubscribes=one_percent), is_strict=True)
    assert strict.limit(Kind.UNSUBSCRIBES) == one_percent


ALONE = [
    pytest.param(write(GroupStatus.REMOVED, Reason.MAILCHIMP_LEFT), True, id="who left"),
    pytest.param(write(GroupStatus.ADDED, Reason.MAILCHIMP_SUBSCRIBED), True, id="who signed up"),
    pytest.param(
        Decision((), new_contact=NewContact(1, "dino@example.org", "Dino", "")),
        True,
        id="who signed up and is new",
    ),
    pytest.param(write(GroupStatus.REMOVED, Reason.MAILCHIMP_STAFF), False, id="who was removed"),
    pytest.param(change(status=MemberStatus.UNSUBSCRIBED), False, id="whom staff removed"),
    pytest.param(
        gate(change(Reason.OPT_OUT, status=MemberStatus.UNSUBSCRIBED)), False, id="who opted out"
    ),
]


@pytest.mark.parametrize(("decision", "may"), ALONE)
def test_what_may_be_done_one_by_one(decision: Decision, may: bool):
    assert may_be_done_alone(decision, USUAL) is may
    assert may_be_done_alone(decision, FREE)


counts = st.integers(0, 10_000)
ceilings = st.builds(Limit, st.none() | st.integers(0, 100), st.booleans())


@given(ceilings, counts, counts, counts)
def test_what_is_allowed_for_many_is_allowed_for_fewer(ceiling, count, fewer, of):
    if fewer <= count and ceiling.allows(count, of):
        assert ceiling.allows(fewer, of)


@given(ceilings, st.integers(0, NEVER_BELOW - 1), counts)
def test_no_guard_ever_trips_below_ten_people(ceiling, count, of):
    assert ceiling.allows(count, of)


GROWTH = [
    ({"unsubscribes": 30}, {"unsubscribes": 30}, False),
    ({"unsubscribes": 33}, {"unsubscribes": 30}, False),
    ({"unsubscribes": 34}, {"unsubscribes": 30}, True),
    ({"unsubscribes": 12}, {"unsubscribes": 30}, False),
    ({"unsubscribes": 30, "removals": 11}, {"unsubscribes": 30}, True),
    ({"additions": 30}, {"unsubscribes": 30}, True),
    ({"unsubscribes": 20}, {"contacts-not-seen": 20}, False),
    ({"unsubscribes": 30}, {"contacts-not-seen": 20}, True),
    ({}, {"unsubscribes": 30}, False),
]


@pytest.mark.parametrize(("sizes", "told", "expected"), GROWTH)
def test_a_plan_that_was_told_has_grown_by_more_than_a_tenth_or_not(sizes, told, expected):
    assert has_grown(sizes, told) is expected
