"""Guards: what counts, what is too much, and what the operator is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.model import (
    Decision,
    GroupStatus,
    GroupWrite,
    MemberChange,
    MemberStatus,
    NewContact,
    PlannedChange,
    Reason,
)
from mcsync.reconcile.guards import (
    NEVER_BELOW,
    Ceiling,
    Ceilings,
    PlanSize,
    find_excesses,
    measure,
)

TEN_PERCENT = Ceiling(10, is_percent=True)
ANY = Ceiling()
NOBODY = Ceiling(0)


def change(**asked: object) -> PlannedChange:
    return PlannedChange(1, None, MemberChange("fred@example.org", **asked), Reason.CIVICRM_REMOVED)


def write(status: GroupStatus, *, is_inferred: bool) -> GroupWrite:
    return GroupWrite(1, 111, status, Reason.MAILCHIMP_LEFT, is_inferred)


COUNTED = [
    pytest.param(
        Decision((), changes=(change(status=MemberStatus.UNSUBSCRIBED),)),
        PlanSize(unsubscribes=1),
        id="an unsubscribe we send",
    ),
    pytest.param(
        Decision((), changes=(change(is_archiving=True),)),
        PlanSize(unsubscribes=1),
        id="archiving is no smaller than an unsubscribe",
    ),
    pytest.param(
        Decision((), changes=(change(status=MemberStatus.SUBSCRIBED),)),
        PlanSize(additions=1),
        id="somebody subscribed",
    ),
    pytest.param(
        Decision((), changes=(change(interests={"cccccccccc": False}),)),
        PlanSize(),
        id="interests do not count",
    ),
    pytest.param(
        Decision((), (write(GroupStatus.REMOVED, is_inferred=True),)),
        PlanSize(removals=1),
        id="a removal that we infer",
    ),
    pytest.param(
        Decision((), (write(GroupStatus.REMOVED, is_inferred=False),)),
        PlanSize(),
        id="who left by themselves does not count",
    ),
    pytest.param(
        Decision((), (write(GroupStatus.ADDED, is_inferred=True),)),
        PlanSize(),
        id="nobody is removed by being added",
    ),
    pytest.param(
        Decision((), new_contact=NewContact(1, "dino@example.org", "Dino", "")),
        PlanSize(new_contacts=1),
        id="a new contact",
    ),
]


@pytest.mark.parametrize(("decision", "size"), COUNTED)
def test_what_counts(decision: Decision, size: PlanSize):
    assert measure(decision) == size


def test_sizes_add_up():
    assert PlanSize(1, 2, 3, 4).plus(PlanSize(10, 20, 30, 40)) == PlanSize(11, 22, 33, 44)


ALLOWED = [
    pytest.param(TEN_PERCENT, 10, 100, True, id="exactly the share"),
    pytest.param(TEN_PERCENT, 11, 100, False, id="one more than the share"),
    pytest.param(TEN_PERCENT, 9, 9, True, id="never below ten people, though it is everybody"),
    pytest.param(TEN_PERCENT, 10, 10, False, id="ten of ten is everybody"),
    pytest.param(TEN_PERCENT, 10, 0, False, id="ten of nobody"),
    pytest.param(NOBODY, 9, 1000, True, id="never below ten people, though none is allowed"),
    pytest.param(NOBODY, 10, 1000, False, id="a number, not a share"),
    pytest.param(Ceiling(50), 50, 10, True, id="exactly the number"),
    pytest.param(Ceiling(50), 51, 10_000, False, id="one more than the number"),
    pytest.param(Ceiling(2.5, is_percent=True), 25, 1000, True, id="half percents"),
    pytest.param(Ceiling(2.5, is_percent=True), 26, 1000, False, id="more than half percents"),
    pytest.param(ANY, 1_000_000, 0, True, id="no ceiling"),
]


@pytest.mark.parametrize(("ceiling", "count", "of", "is_allowed"), ALLOWED)
def test_ceiling(ceiling: Ceiling, count: int, of: int, is_allowed: bool):
    assert ceiling.allows(count, of) is is_allowed


def test_each_excess_is_told_with_its_numbers():
    ceilings = Ceilings(TEN_PERCENT, TEN_PERCENT, Ceiling(20), NOBODY)
    told = list(find_excesses(PlanSize(1200, 11, 21, 10), ceilings, subscribed=5000, in_group=100))
    assert told == [
        "would unsubscribe 1,200 (5,000 subscribed members; allowed: 10%)",
        "would remove from the group 11 (100 contacts in it; allowed: 10%)",
        "would subscribe 21 (5,000 subscribed now; allowed: 20)",
        "would create in CiviCRM 10 (100 in the group; allowed: 0)",
    ]


def test_a_small_plan_is_told_nothing():
    ceilings = Ceilings(TEN_PERCENT, TEN_PERCENT, ANY, ANY)
    assert not list(find_excesses(PlanSize(10, 10, 900, 900), ceilings, 100, 100))


counts = st.integers(0, 10_000)
ceilings = st.builds(Ceiling, st.none() | st.integers(0, 100), st.booleans())


@given(ceilings, counts, counts, counts)
def test_what_is_allowed_for_many_is_allowed_for_fewer(ceiling, count, fewer, of):
    if fewer <= count and ceiling.allows(count, of):
        assert ceiling.allows(fewer, of)


@given(ceilings, st.integers(0, NEVER_BELOW - 1), counts)
def test_no_guard_ever_trips_below_ten_people(ceiling, count, of):
    assert ceiling.allows(count, of)
