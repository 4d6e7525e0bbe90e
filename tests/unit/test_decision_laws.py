"""The laws of deciding, for anybody: what no decision may ever do, and that runs come to an end.

The cases are in test_decision_table.py.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mcsync.decision import (
    ContactView,
    Decision,
    InterestPolicy,
    MemberView,
    Person,
    Policy,
    Reason,
    RowView,
    SyncStatus,
)
from mcsync.model import SUBSCRIPTION, GroupStatus, MemberChange, MemberStatus, Side, email_key
from mcsync.reconcile.agree import hear_subscription
from mcsync.reconcile.enforce import decide
from tests.fuzz import law
from tests.unit.folk import (
    GROUP,
    PLAIN,
    THIS_RUN,
    VOLUNTEERING,
    VOLUNTEERS,
    People,
    agreed_before,
    alone,
    apply,
    at,
    contact,
    decide_all,
    member,
    person,
    settle,
)

hours = st.integers(0, 12)
maybe = st.none() | hours
POOL = ("fred@", "wilma@", "home@", "rocks@")
STATUSES = (*(status.value for status in MemberStatus), "left", "vanished")
REFUSALS = (Reason.COMPLIANCE, Reason.FORGOTTEN, Reason.REFUSED)


# --- anybody --------------------------------------------------------------------------------------


@st.composite
def contact_views(draw: st.DrawFn, name: str) -> ContactView:
    said = draw(maybe)
    is_added = draw(st.booleans())
    says_in = said is not None and draw(st.booleans())
    addresses = draw(st.lists(st.sampled_from(POOL), unique=True, max_size=3))
    marks = st.sampled_from(("", " primary", " bulk", " held", " bulk held"))
    volunteer = draw(maybe)
    return contact(
        name,
        *(address + draw(marks) for address in addresses),
        added=said if says_in else None,
        removed=None if says_in else said,
        is_added=is_added,
        volunteer=volunteer,
        no_volunteer=draw(maybe) if volunteer is None else None,
        is_volunteer=draw(st.booleans()),
        closed=draw(maybe),
        do_not_email=draw(st.sampled_from((False, False, False, True))),
        is_opt_out=draw(st.sampled_from((False, False, True))),
        is_deceased=draw(st.sampled_from((False, False, False, True))),
    )


@st.composite
def member_rows(draw: st.DrawFn, address: str, owners: tuple[str, ...]) -> RowView:
    status = draw(st.sampled_from(STATUSES))
    can_be_gated = status in ("unsubscribed", "archived")
    refused = draw(maybe)
    volunteer = draw(maybe)
    before = draw(maybe)
    return member(
        address,
        status,
        draw(maybe) if status == "transactional" else draw(hours),
        of=draw(st.sampled_from(owners)) if owners else "Nobody",
        gated=can_be_gated and draw(st.booleans()),
        says=draw(st.sampled_from((None, None, None, "in", "out"))),
        stranger=can_be_gated and draw(st.sampled_from((False, False, True))),
        volunteer=volunteer,
        no_volunteer=draw(maybe) if volunteer is None else None,
        has_volunteer=draw(st.sampled_from((None, None, True, False))),
        names=(draw(st.sampled_from(("", "Fred", "Freddie"))), ""),
        refused=None if refused is None else (refused, draw(st.sampled_from(REFUSALS))),
        reconfirmed=draw(maybe),
        lost=draw(maybe) if not owners else None,
        agreed=None if before is None else draw(agreements(before)),
    )


def agreements(hour: int) -> st.SearchStrategy[object]:
    about = st.sampled_from((SUBSCRIPTION, VOLUNTEERING))
    value = st.sampled_from(("in", "out"))
    return st.builds(
        lambda word, thing: agreed_before(word, hour, Reason.TRUST_MAILCHIMP, thing), value, about
    )


@st.composite
def people(draw: st.DrawFn, *, may_share: bool = True) -> People:
    """Whoever the cache may put together: without a contact there is one member, no more."""
    couples = (("Fred", "Wilma"),) if may_share else ()
    names = draw(st.sampled_from(((), ("Wilma",), ("Wilma",), *couples)))
    most = 3 if names else 1
    addresses = draw(
        st.lists(st.sampled_from(POOL), unique=True, min_size=len(names) != 1, max_size=most)
    )
    without = [alone(name) for name in names] if not addresses else []
    return person(
        *(draw(contact_views(name)) for name in names),
        *(draw(member_rows(address, names)) for address in addresses),
        *without,
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    interest = draw(st.none() | st.booleans())
    sides = st.sampled_from((None, None, *Side))
    trust = {SUBSCRIPTION: draw(sides), VOLUNTEERING: draw(sides)}
    return replace(
        PLAIN,
        interests={} if interest is None else {VOLUNTEERING: InterestPolicy(VOLUNTEERS, interest)},
        trust={key: side for key, side in trust.items() if side is not None},
        trusted_at=at(THIS_RUN),
        removes_by_archiving=draw(st.booleans()),
        syncs_names=draw(st.booleans()),
        name_tags=frozenset(draw(st.sampled_from((("FNAME", "LNAME"), ("NAME",), ())))),
        may_reconfirm=draw(st.booleans()),
        pushes_email_changes=draw(st.booleans()),
        confirms_new=draw(st.booleans()),
        moved_at=draw(st.sampled_from((None, None, at(12)))),
        deleted_contacts=draw(st.sampled_from(("recreate", "unsubscribe", "hold"))),
    )


def is_agreed_in(someone: Person, policy: Policy) -> bool:
    right = hear_subscription(someone, policy).right
    return right is not None and right.value


def contact_id_of(someone: Person) -> int | None:
    return someone.contact.contact_id if someone.contact is not None else None


def may_be_mailed(view: ContactView) -> bool:
    one = view.contact
    return not (one.is_deceased or one.is_opt_out or one.do_not_email)


def usable_addresses(view: ContactView) -> set[str]:
    return {email_key(e.email) for e in view.emails if not e.on_hold}


def members_by_address(everybody: People) -> dict[str, MemberView]:
    return {email_key(row.member.email): row.member for row in everybody.rows if row.member}


def asks_to_leave(decision: Decision):
    return [
        planned
        for planned in decision.changes
        if planned.change.is_archiving or planned.change.status is MemberStatus.UNSUBSCRIBED
    ]


def asks_to_be_in(decision: Decision):
    return [p for p in decision.changes if p.change.status is not None and p.change.status.is_in]


def essence(decision: Decision) -> tuple[object, ...]:
    """A decision without regard to the order of its parts."""
    return (
        {verdict.row_id: verdict for verdict in decision.verdicts},
        {(w.contact_id, w.group_id): w for w in decision.group_writes},
        {planned.change.email: planned for planned in decision.changes},
        {agreement.topic: agreement for agreement in decision.agreements},
        decision.new_contact,
    )


# --- runs come to an end --------------------------------------------------------------------------


@law(50)
@given(people(), policies())
def test_applying_a_decision_leaves_nothing_to_decide(everybody: People, policy: Policy):
    assert decide_all(settle(everybody, policy), policy).is_empty


@law(50)
@given(people(may_share=False), policies())
def test_no_run_takes_back_what_the_run_before_did(everybody: People, policy: Policy):
    statuses: dict[int, list[object]] = {}
    places: dict[tuple[int, int], list[object]] = {}
    for _ in range(3):
        everybody, decision = apply(everybody, policy)
        for planned in decision.changes:
            if planned.change.status or planned.change.is_archiving:
                statuses.setdefault(planned.row_id or 0, []).append(planned.change.status)
        for write in decision.group_writes:
            places.setdefault((write.contact_id, write.group_id), []).append(write.status)
    assert all(len(sent) == 1 for sent in (*statuses.values(), *places.values()))


@law(50)
@given(people(may_share=False), policies(), st.sampled_from(Side))
def test_what_a_run_settled_under_trust_the_next_run_does_not_undo(everybody, policy, side):
    policy = replace(policy, trust={SUBSCRIPTION: side, VOLUNTEERING: side})
    settled = settle(everybody, policy)
    verdicts = decide_all(settled, policy).verdicts
    if SyncStatus.FAIL not in {verdict.sync_status for verdict in verdicts}:
        assert decide_all(settled, replace(policy, trust={})).is_empty


@law(50)
@given(people(), policies())
def test_trusting_a_side_with_which_all_agree_changes_nothing(everybody: People, policy: Policy):
    settled = settle(everybody, replace(policy, trust={}))
    verdicts = decide_all(settled, replace(policy, trust={})).verdicts
    if SyncStatus.FAIL not in {verdict.sync_status for verdict in verdicts}:
        assert decide_all(settled, policy).is_empty


@law(50)
@given(people(), policies(), st.randoms(use_true_random=False))
def test_the_order_of_rows_contacts_and_addresses_does_not_matter(everybody, policy, random):
    def shuffled(items):
        return tuple(random.sample(items, len(items)))

    other = People(
        shuffled(everybody.rows),
        shuffled([replace(c, emails=shuffled(c.emails)) for c in everybody.contacts]),
        everybody.rivals,
    )
    for someone, same in zip(everybody.each(), other.each(), strict=True):
        assert essence(decide(same, policy)) == essence(decide(someone, policy))


# --- what is written ------------------------------------------------------------------------------


@law(50)
@given(people(), policies())
def test_every_row_gets_one_verdict_and_at_most_one_change(everybody: People, policy: Policy):
    for someone in everybody.each():
        decision = decide(someone, policy)
        told = sorted(verdict.row_id for verdict in decision.verdicts)
        assert told == sorted(row.row_id for row in someone.rows)
        changed = [planned.row_id for planned in decision.changes]
        assert len(set(changed)) == len(changed)


@law(50)
@given(people(), policies())
def test_a_row_waits_exactly_while_it_has_an_update(everybody: People, policy: Policy):
    for someone in everybody.each():
        decision = decide(someone, policy)
        waiting = {
            verdict.row_id: verdict.sync_status
            for verdict in decision.verdicts
            if verdict.sync_status in (SyncStatus.LIVE, SyncStatus.REDO)
        }
        own = {row.row_id for row in someone.rows}
        assert waiting == {
            planned.row_id: SyncStatus.REDO
            if planned.change.status is MemberStatus.PENDING
            and planned.reason is Reason.COMPLIANCE  # a new one may be asked at once: confirmNew
            else SyncStatus.LIVE
            for planned in decision.changes
            if planned.row_id in own
        }


@law(50)
@given(people(), policies())
def test_another_ones_row_is_never_changed_but_to_be_subscribed(everybody: People, policy: Policy):
    for someone in everybody.each():
        own = {None, *(row.row_id for row in someone.rows)}
        decision = decide(someone, policy)
        foreign = [planned for planned in decision.changes if planned.row_id not in own]
        assert all(planned in asks_to_be_in(decision) for planned in foreign)
        assert {write.contact_id for write in decision.group_writes} <= {contact_id_of(someone)}


@law(50)
@given(people(), policies())
def test_no_place_is_written_twice_or_as_it_is(everybody: People, policy: Policy):
    writes = decide_all(everybody, policy).group_writes
    assert len({(w.contact_id, w.group_id) for w in writes}) == len(writes)
    by_id = {c.contact_id: c for c in everybody.contacts}
    for write in writes:
        was_added = by_id[write.contact_id].place(write.group_id).is_added
        assert was_added is not (write.status is GroupStatus.ADDED)


@law(50)
@given(people(), policies())
def test_no_operation_carries_a_status_that_the_member_has(everybody: People, policy: Policy):
    known = members_by_address(everybody)
    for planned in decide_all(everybody, policy).changes:
        change = planned.change
        before = known.get(email_key(change.email))
        assert change.status is None or before is None or before.status is not change.status
        assert change != MemberChange(change.email, change.member_id)
        assert not change.is_archiving or (change.status is None and not change.interests)


@law(50)
@given(people(), policies())
def test_nothing_is_sent_while_something_is_under_way_and_civicrm_is_put_right_at_once(
    everybody: People, policy: Policy
):
    rows = tuple(replace(row, is_under_way=True) for row in everybody.rows)
    waiting = replace(everybody, rows=rows)
    for idle, busy in zip(everybody.each(), waiting.each(), strict=True):
        now, later = decide(busy, policy), decide(idle, policy)
        assert now.changes == ()
        assert now.group_writes == later.group_writes
        assert now.new_contact == later.new_contact
        assert now.agreements == later.agreements
        assert {v.sync_status for v in now.verdicts} <= {SyncStatus.TODO}


# --- who is mailed --------------------------------------------------------------------------------


@law(50)
@given(people(), policies())
def test_asked_to_confirm_is_only_who_is_new_or_was_refused_for_this_wish_and_not_asked_yet(
    everybody: People, policy: Policy
):
    for someone in everybody.each():
        for planned in decide(someone, policy).changes:
            if planned.change.status is not MemberStatus.PENDING:
                continue
            wish_at = planned.caused_at["status"]
            rows = [r for r in (*someone.rows, *someone.shared) if r.row_id == planned.row_id]
            if policy.confirms_new and planned.reason is not Reason.COMPLIANCE:
                assert all(r.member is None or r.member.status is None for r in rows)
                continue
            (row,) = rows
            [refusal] = [r for r in row.refusals if r.email == email_key(planned.change.email)]
            assert policy.may_reconfirm
            assert refusal.reason is Reason.COMPLIANCE
            assert wish_at <= refusal.times["subscribe"]
            assert row.reconfirmed_at is None or row.reconfirmed_at < wish_at


@law(50)
@given(people(), policies())
def test_only_a_usable_address_of_someone_who_may_be_mailed_is_subscribed(
    everybody: People, policy: Policy
):
    known = members_by_address(everybody)
    for someone in everybody.each():
        for planned in asks_to_be_in(decide(someone, policy)):
            key = email_key(planned.change.email)
            assert may_be_mailed(someone.contact)
            assert key in usable_addresses(someone.contact)
            assert key not in known or known[key].status is not MemberStatus.CLEANED


@law(50)
@given(people(), policies())
def test_subscribed_at_one_address_is_who_was_in_at_none(everybody: People, policy: Policy):
    for someone in everybody.each():
        subscribed = asks_to_be_in(decide(someone, policy))
        assert len(subscribed) <= 1
        everywhere = (*someone.members, *someone.shared_members)
        assert not subscribed or not any(m.is_in for m in everywhere)


@law(50)
@given(people(), policies())
def test_nobody_is_removed_who_is_agreed_to_be_in_nor_added_who_is_out(
    everybody: People, policy: Policy
):
    for someone in everybody.each():
        decision = decide(someone, policy)
        written = {w.status for w in decision.group_writes if w.group_id == GROUP}
        if someone.contact is None:
            continue
        if is_agreed_in(someone, policy):
            assert GroupStatus.REMOVED not in written
        else:
            assert GroupStatus.ADDED not in written
            assert not asks_to_be_in(decision)


@law(50)
@given(people(), policies())
def test_nobody_is_unsubscribed_but_who_is_out_or_may_not_be_mailed(
    everybody: People, policy: Policy
):
    for someone in everybody.each():
        if someone.contact is not None:
            for planned in asks_to_leave(decide(someone, policy)):
                assert planned.is_gate is is_agreed_in(someone, policy)


@law(50)
@given(people(), policies())
def test_nobody_is_unsubscribed_for_whom_another_one_stands(everybody: People, policy: Policy):
    each = {p.contact.contact_id: p for p in everybody.each() if p.contact is not None}
    for someone in each.values():
        for planned in asks_to_leave(decide(someone, policy)):
            key = email_key(planned.change.email)
            for other in each.values():
                stands = is_agreed_in(other, policy) and may_be_mailed(other.contact)
                if other is not someone and stands and usable_addresses(other.contact):
                    assert key not in other.contact.keys


# --- the rest -------------------------------------------------------------------------------------


@law(50)
@given(people(), policies())
def test_the_group_of_a_push_only_interest_is_never_written(everybody: People, policy: Policy):
    decision = decide_all(everybody, policy)
    interest = policy.interests.get(VOLUNTEERING)
    if interest is None or interest.is_push_only:
        assert VOLUNTEERS not in {write.group_id for write in decision.group_writes}
        new = decision.new_contact
        assert new is None or VOLUNTEERS not in new.group_ids


@law(50)
@given(people(), policies())
def test_a_contact_is_made_only_for_who_is_in_says_so_and_has_none(
    everybody: People, policy: Policy
):
    for someone in everybody.each():
        new = decide(someone, policy).new_contact
        if new is not None:
            assert someone.contact is None
            (found,) = (m for m in someone.members if m.row_id == new.row_id)
            assert found.is_in
            assert found.subscription is None or found.subscription.value


@law(50)
@given(people(), policies())
def test_titanics_are_left_alone(everybody: People, policy: Policy):
    rows = tuple(replace(row, contact_id=None) for row in everybody.rows)
    decision = decide_all(People(rows, rivals=(3, 4)), policy)
    assert decision.is_empty
    assert {v.reason for v in decision.verdicts} <= {Reason.AMBIGUOUS}
