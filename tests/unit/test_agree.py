"""Agree: the later word, CiviCRM on a tie; what was agreed before; trust; several voices."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.decision import (
    Agreed,
    Person,
    Policy,
    Reason,
    RowView,
    Statement,
    SyncStatus,
    make_topic,
)
from mcsync.model import LONG_AGO, SUBSCRIPTION, Side
from mcsync.reconcile.agree import (
    Rule,
    agree,
    agree_within,
    hear_interest,
    hear_subscription,
    stands_for,
)
from mcsync.reconcile.enforce import decide
from tests.fuzz import law
from tests.hours import at
from tests.unit.folk import (
    BOTH_WAYS,
    GROUP,
    PLAIN,
    PUSH_ONLY,
    THIS_RUN,
    TRUST_CIVICRM,
    TRUST_MAILCHIMP,
    VOLUNTEERING,
    VOLUNTEERS,
    agreed_before,
    alone,
    contact,
    member,
    one,
    person,
    trusting,
)

Said = Statement[bool]


def says_in(hour: int) -> Said:
    return Statement(value=True, at=at(hour))


def says_out(hour: int) -> Said:
    return Statement(value=False, at=at(hour))


def agreed(value: str, hour: int) -> Agreed:
    return Agreed(value == "in", at(hour), Reason.IN_AGREEMENT)


NOTHING = None
ALWAYS_IN = Statement(value=True, at=LONG_AGO)

TWO_SIDES = [
    pytest.param(says_in(9), says_out(10), says_out(10), Rule.CIVICRM_LATER, id="CiviCRM later"),
    pytest.param(
        says_in(11), says_out(10), says_in(11), Rule.MAILCHIMP_LATER, id="Mailchimp later"
    ),
    pytest.param(says_in(10), says_out(10), says_out(10), Rule.TIE, id="a tie: CiviCRM, out"),
    pytest.param(says_out(10), says_in(10), says_in(10), Rule.TIE, id="a tie: CiviCRM, in"),
    pytest.param(
        says_out(1), ALWAYS_IN, says_out(1), Rule.MAILCHIMP_LATER, id="in without history is older"
    ),
    pytest.param(says_in(9), says_in(10), says_in(10), Rule.SAME, id="both the same, at the later"),
    pytest.param(says_out(1), NOTHING, says_out(1), Rule.ONLY_MAILCHIMP, id="only Mailchimp"),
    pytest.param(NOTHING, says_in(1), says_in(1), Rule.ONLY_CIVICRM, id="only CiviCRM"),
    pytest.param(NOTHING, NOTHING, None, Rule.NOBODY, id="nobody says anything"),
]


@pytest.mark.parametrize(("mailchimp", "civicrm", "right", "rule"), TWO_SIDES)
def test_two_sides(mailchimp: Said | None, civicrm: Said | None, right: Said | None, rule: Rule):
    assert agree(mailchimp, civicrm) == (right, rule)


AGREED_BEFORE = [
    pytest.param(says_in(5), says_out(4), agreed("out", 9), says_out(9), id="both words are spent"),
    pytest.param(NOTHING, NOTHING, agreed("in", 9), says_in(9), id="nobody says anything any more"),
    pytest.param(
        says_in(5), says_out(8), agreed("in", 7), says_out(8), id="the older word is spent"
    ),
    pytest.param(
        says_out(8), says_in(5), agreed("in", 7), says_out(8), id="whichever side's it is"
    ),
    pytest.param(
        says_out(7), says_in(6), agreed("in", 7), says_out(7), id="a word of that time counts"
    ),
    pytest.param(says_in(8), says_out(9), agreed("in", 7), says_out(9), id="both are newer"),
]


@pytest.mark.parametrize(("mailchimp", "civicrm", "before", "right"), AGREED_BEFORE)
def test_a_word_older_than_what_was_agreed_counts_no_more(mailchimp, civicrm, before, right):
    assert agree(mailchimp, civicrm, before)[0] == right


SEVERAL = [
    pytest.param([], None, id="nobody"),
    pytest.param([NOTHING, NOTHING], None, id="nobody says anything"),
    pytest.param([says_in(9), says_out(12)], says_in(9), id="in, if any says in"),
    pytest.param([says_in(9), says_in(11), says_out(12)], says_in(11), id="in, at its latest"),
    pytest.param([says_out(9), says_out(8)], says_out(9), id="else out, at the latest"),
    pytest.param([NOTHING, says_out(8)], says_out(8), id="who says nothing does not count"),
]


@pytest.mark.parametrize(("voices", "together"), SEVERAL)
def test_several_voices_of_one_side(voices: list[Said | None], together: Said | None):
    assert agree_within(voices) == together


# --- the subscription of somebody -----------------------------------------------------------------

WILMA_OUT = member("wilma@", "left", 9)

HEARD = [
    pytest.param(
        person(contact("Wilma", "wilma@", added=8), member("wilma@", "cleaned", 9)),
        PLAIN,
        (Rule.MAILCHIMP_LATER, Reason.MAILCHIMP_CLEANED, False),
        id="cleaned later than added",
    ),
    pytest.param(
        person(contact("Wilma", "wilma@", added=10), WILMA_OUT),
        PLAIN,
        (Rule.CIVICRM_LATER, Reason.CIVICRM_ADDED, True),
        id="added later than left",
    ),
    pytest.param(
        person(contact("Wilma", "wilma@", removed=10), WILMA_OUT),
        PLAIN,
        (Rule.SAME, Reason.IN_AGREEMENT, False),
        id="both say the same",
    ),
    pytest.param(
        person(contact("Wilma", "wilma@", added=8), WILMA_OUT),
        TRUST_CIVICRM,
        (Rule.TRUST_CIVICRM, Reason.TRUST_CIVICRM, True),
        id="CiviCRM is trusted",
    ),
    pytest.param(
        person(contact("Wilma", "wilma@", added=10), WILMA_OUT),
        TRUST_MAILCHIMP,
        (Rule.TRUST_MAILCHIMP, Reason.TRUST_MAILCHIMP, False),
        id="Mailchimp is trusted",
    ),
    pytest.param(
        person(contact("Wilma", "wilma@", added=10), WILMA_OUT),
        TRUST_CIVICRM,
        (Rule.CIVICRM_LATER, Reason.CIVICRM_ADDED, True),
        id="CiviCRM is trusted, and its word is the later anyway",
    ),
    pytest.param(
        person(contact("Wilma", "wilma@", added=10), alone("Wilma")),
        TRUST_MAILCHIMP,
        (Rule.ONLY_CIVICRM, Reason.CIVICRM_ADDED, True),
        id="Mailchimp is trusted, and has never heard of her",
    ),
    pytest.param(
        person(contact("Wilma", "wilma@"), member("wilma@", "subscribed", 9)),
        TRUST_CIVICRM,
        (Rule.ONLY_MAILCHIMP, Reason.MAILCHIMP_SUBSCRIBED, True),
        id="CiviCRM is trusted, and she was never in the group",
    ),
    pytest.param(
        person(
            contact("Wilma", "wilma@", added=5),
            member("wilma@", "left", 6, agreed=agreed_before("in", 9, Reason.TRUST_CIVICRM)),
        ),
        PLAIN,
        (Rule.BEFORE, Reason.TRUST_CIVICRM, True),
        id="what was agreed before stands, for the reason of then",
    ),
    pytest.param(
        person(
            contact("Wilma", "wilma@", added=5),
            member("wilma@", "left", 10, agreed=agreed_before("in", 9, Reason.TRUST_CIVICRM)),
        ),
        PLAIN,
        (Rule.ONLY_MAILCHIMP, Reason.MAILCHIMP_LEFT, False),
        id="until something newer is said",
    ),
]


@pytest.mark.parametrize(("people", "policy", "expected"), HEARD)
def test_hear_subscription(people, policy, expected):
    heard = hear_subscription(one(people), policy)
    assert (heard.rule, heard.reason, heard.right.value) == expected


# --- after moving over from an extension ----------------------------------------------------------

MOVED = replace(PLAIN, moved_at=at(12))
IN_DOUBT = [
    pytest.param({"added": 10}, "left", 9, id="the extension may have added whom had left"),
    pytest.param({"added": 10}, "unsubscribed", 9, id="added again before the move"),
    pytest.param({"added": 9}, "unsubscribed", 10, id="the API may have been the extension"),
    pytest.param({"added": 9}, "archived", 10, id="archived by somebody, or something"),
    pytest.param({"removed": 10}, "subscribed", 9, id="the extension may have removed them"),
    pytest.param({"removed": 9}, "subscribed", 10, id="any change moves the member's time"),
    pytest.param({"removed": 10}, "subscribed", 10, id="both at once"),
    pytest.param({"added": 0}, "unsubscribed", 10, id="added without a history"),
]


@pytest.mark.parametrize(("place", "status", "hour"), IN_DOUBT)
def test_of_whom_both_differed_before_the_move_neither_side_is_believed(place, status, hour):
    wilma = one(person(contact("Wilma", "wilma@", **place), member("wilma@", status, hour)))
    heard = hear_subscription(wilma, MOVED)
    assert (heard.right, heard.rule, heard.reason) == (None, Rule.BEFORE_MOVE, Reason.BEFORE_MOVE)
    assert heard.remembered is None
    (verdict,) = decide(wilma, MOVED).verdicts
    assert decide(wilma, MOVED).is_empty
    assert (verdict.sync_status, verdict.reason) == (SyncStatus.OK, Reason.BEFORE_MOVE)
    assert hear_subscription(wilma, PLAIN).right is not None


NOT_IN_DOUBT = [
    pytest.param({"added": 10}, "subscribed", 9, Rule.SAME, id="both say the same"),
    pytest.param({"added": 9}, "left", 10, Rule.MAILCHIMP_LATER, id="they have left themselves"),
    pytest.param({"added": 9}, "cleaned", 10, Rule.MAILCHIMP_LATER, id="the address bounced"),
    pytest.param({"added": 13}, "left", 9, Rule.CIVICRM_LATER, id="added since"),
    pytest.param({"removed": 12}, "subscribed", 9, Rule.CIVICRM_LATER, id="removed just then"),
    pytest.param({"added": 9}, "unsubscribed", 13, Rule.MAILCHIMP_LATER, id="unsubscribed since"),
    pytest.param({"removed": 9}, "subscribed", 13, Rule.MAILCHIMP_LATER, id="signed up since"),
    pytest.param({}, "subscribed", 9, Rule.ONLY_MAILCHIMP, id="never in the group"),
]


@pytest.mark.parametrize(("place", "status", "hour", "rule"), NOT_IN_DOUBT)
def test_all_others_are_heard_as_ever_after_a_move(place, status, hour, rule):
    wilma = one(person(contact("Wilma", "wilma@", **place), member("wilma@", status, hour)))
    heard = hear_subscription(wilma, MOVED)
    assert heard.rule is rule
    assert heard == hear_subscription(wilma, PLAIN)


def test_after_a_move_a_side_may_be_trusted_about_those_in_doubt():
    wilma = one(person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9)))
    trusting_civicrm = replace(TRUST_CIVICRM, moved_at=at(12))
    assert hear_subscription(wilma, trusting_civicrm).right == says_out(10)


def test_after_a_move_nobody_in_doubt_is_mailed_who_may_not_be():
    wilma = contact("Wilma", "wilma@", removed=10, is_opt_out=True)
    heard = hear_subscription(one(person(wilma, member("wilma@", "subscribed", 9))), MOVED)
    assert heard.right == says_out(10)


@pytest.mark.parametrize(("place", "stays"), [({"added": 10}, True), ({"removed": 10}, False)])
def test_who_is_in_doubt_keeps_a_shared_member_while_in_the_group(place, stays):
    status = "unsubscribed" if stays else "subscribed"
    people = person(
        contact("Fred", "home@", added=5),
        contact("Wilma", "home@", **place),
        member("home@", status, 9, of="Fred"),
    )
    (wilma,) = (each for each in people.each() if each.contact.contact.first_name == "Wilma")
    assert hear_subscription(wilma, MOVED).rule is Rule.BEFORE_MOVE
    assert stands_for(wilma, MOVED) is stays


def test_what_was_agreed_about_another_group_does_not_bind():
    old = {make_topic(SUBSCRIPTION, 999): agreed("in", 20)}
    wilma = one(
        person(contact("Wilma", "wilma@", added=5), member("wilma@", "left", 9, agreed=old))
    )
    assert hear_subscription(wilma, PLAIN).right == says_out(9)


def test_an_overruled_word_is_remembered_with_the_time_of_the_word_that_decided():
    wilma = one(person(contact("Wilma", "wilma@", added=10), WILMA_OUT))
    remembered = hear_subscription(wilma, PLAIN).remembered
    assert remembered.topic == make_topic(SUBSCRIPTION, GROUP)
    assert remembered.agreed == Agreed(True, at(10), Reason.CIVICRM_ADDED)


def test_under_trust_it_is_remembered_with_the_time_of_the_run():
    wilma = one(person(contact("Wilma", "wilma@", added=10), WILMA_OUT))
    remembered = hear_subscription(wilma, TRUST_MAILCHIMP).remembered
    assert remembered.agreed == Agreed(False, at(THIS_RUN), Reason.TRUST_MAILCHIMP)


def test_where_all_say_the_same_nothing_needs_to_be_remembered():
    wilma = one(person(contact("Wilma", "wilma@", added=10), member("wilma@", "subscribed", 9)))
    assert hear_subscription(wilma, PLAIN).remembered is None


def test_of_two_addresses_one_that_left_is_overruled_by_the_other():
    barney = one(
        person(
            contact("Barney", "barney@", "rubble@"),
            member("barney@", "subscribed", 9),
            member("rubble@", "left", 8, of="Barney"),
        )
    )
    assert hear_subscription(barney, PLAIN).remembered.agreed.at == at(9)


def test_a_contact_without_a_member_speaks_by_the_one_it_shares():
    wilma, fred = person(
        contact("Fred", "home@", added=5),
        contact("Wilma", "home@", added=5),
        member("home@", "left", 9, of="Fred"),
    ).each()
    assert hear_subscription(wilma, PLAIN).right == says_out(9)
    assert hear_subscription(fred, PLAIN).right == says_out(9)


def test_a_contact_with_a_member_does_not_speak_by_the_one_it_shares():
    fred, _ = person(
        contact("Fred", "fred@", "home@", added=5),
        contact("Wilma", "home@", added=5),
        member("home@", "left", 9, of="Wilma"),
        member("fred@", "subscribed", 6),
    ).each()
    assert hear_subscription(fred, PLAIN).right == says_in(6)


STANDING = [
    pytest.param({"added": 9}, True, id="agreed in, and may be mailed"),
    pytest.param({"removed": 9}, False, id="removed"),
    pytest.param({"added": 9, "is_opt_out": True}, False, id="opted out"),
]


@pytest.mark.parametrize(("how", "stands"), STANDING)
def test_who_stands_for_a_member_that_several_share(how, stands: bool):
    fred, _ = person(
        contact("Fred", "home@", removed=10),
        contact("Wilma", "home@", **how),
        member("home@", "subscribed", 5, of="Fred"),
    ).each()
    (wilma,) = fred.sharers
    assert stands_for(wilma, PLAIN) is stands


# --- an interest of somebody ----------------------------------------------------------------------


def hear_volunteering(people, policy: Policy = BOTH_WAYS):
    return hear_interest(one(people), policy, VOLUNTEERING)


def test_of_members_who_are_out_no_interest_is_heard_while_another_one_is_in():
    heard = hear_volunteering(
        person(
            contact("Barney", "barney@", "rubble@", added=5),
            member("barney@", "subscribed", 8, no_volunteer=8),
            member("rubble@", "left", 9, of="Barney", volunteer=9),
        )
    )
    assert heard.right == says_out(8)


def test_of_a_muted_member_interests_are_heard():
    heard = hear_volunteering(
        person(
            contact("Barney", "barney@", added=5, is_opt_out=True),
            member("barney@", "unsubscribed", 8, gated=True, volunteer=7),
        )
    )
    assert heard.right == says_in(7)


def test_an_interest_that_is_push_only_is_as_the_group_is_whatever_was_said():
    heard = hear_volunteering(
        person(
            contact("Wilma", "wilma@", added=5, no_volunteer=7, is_volunteer=True),
            member("wilma@", "subscribed", 5, no_volunteer=9),
        ),
        PUSH_ONLY,
    )
    assert (heard.right, heard.rule) == (says_in(7), Rule.PUSH_ONLY)
    assert heard.remembered is None


def test_under_trust_a_side_speaks_by_what_the_member_has_not_by_the_last_human_word():
    """An operation of ours had overwritten the wish: it is what is there that is trusted."""
    heard = hear_volunteering(
        person(
            contact("Wilma", "wilma@", added=5, no_volunteer=6),
            member("wilma@", "subscribed", 5, no_volunteer=9, has_volunteer=True),
        ),
        trusting(Side.MAILCHIMP, VOLUNTEERING, policy=BOTH_WAYS),
    )
    assert (heard.right.value, heard.rule) == (True, Rule.TRUST_MAILCHIMP)
    assert heard.remembered.topic == make_topic(VOLUNTEERING, VOLUNTEERS)


# --- laws -----------------------------------------------------------------------------------------

statements = st.none() | st.builds(
    lambda value, hour: Statement(value=value, at=at(hour)), st.booleans(), st.integers(0, 9)
)
befores = st.none() | st.builds(agreed, st.sampled_from(("in", "out")), st.integers(0, 9))
sides = st.sampled_from((None, *Side))


@given(statements, statements)
def test_agreed_is_one_of_the_statements_or_nothing_was_said(member, contact):
    right, _ = agree(member, contact)
    assert right is member or right is contact
    assert (right is None) is (member is None and contact is None)


@given(statements, statements)
def test_nobody_said_anything_later(member, contact):
    right, _ = agree(member, contact)
    for said in (member, contact):
        assert said is None or right.at >= said.at


@given(statements, statements, befores)
def test_the_rule_names_the_side_whose_word_it_is(member, contact, before):
    right, rule = agree(member, contact, before)
    if rule.side is Side.MAILCHIMP:
        assert right is member
    elif rule.side is Side.CIVICRM:
        assert right is contact
    else:
        assert rule in (Rule.NOBODY, Rule.SAME, Rule.BEFORE)


@given(statements, statements, befores)
def test_a_spent_word_might_as_well_not_have_been_said(member, contact, before):
    def unless_spent(said: Said | None) -> Said | None:
        return None if said and before and said.at < before.at else said

    assert agree(member, contact, before) == agree(
        unless_spent(member), unless_spent(contact), before
    )


@given(statements, statements, befores)
def test_nothing_newer_than_what_was_agreed_means_that_it_stands(member, contact, before):
    right, rule = agree(member, contact, before)
    if before is not None and all(w is None or w.at < before.at for w in (member, contact)):
        assert (right, rule) == (Statement(before.value, before.at), Rule.BEFORE)


@given(st.lists(statements), st.randoms(use_true_random=False))
def test_several_voices_in_any_order_say_the_same(voices, random):
    shuffled = random.sample(voices, len(voices))
    assert agree_within(shuffled) == agree_within(voices)


@given(st.lists(statements))
def test_several_voices_are_in_exactly_if_one_is(voices):
    together = agree_within(voices)
    said = [voice for voice in voices if voice is not None]
    assert together in said if said else together is None
    if together is not None:
        assert together.value is any(voice.value for voice in said)


ADDRESSES = ("barney@", "rubble@", "b@")


@st.composite
def barneys(draw: st.DrawFn) -> Person:
    """One contact with up to three members; no two words are of the same time."""
    hours = iter(draw(st.permutations(range(1, 6))))
    place = (
        {draw(st.sampled_from(("added", "removed"))): next(hours)} if draw(st.booleans()) else {}
    )
    is_added = {"is_added": draw(st.booleans())} if draw(st.booleans()) else {}
    statuses = st.sampled_from(("subscribed", "unsubscribed", "left", "cleaned", "vanished"))
    rows = [
        member(address, draw(statuses), next(hours), of="Barney")
        for address in draw(st.lists(st.sampled_from(ADDRESSES), unique=True))
    ]
    return one(person(contact("Barney", *ADDRESSES, **place, **is_added), *rows, alone("Barney")))


def keep_in_mind(someone: Person, policy: Policy) -> Person:
    remembered = hear_subscription(someone, policy).remembered
    if remembered is None:
        return someone
    kept = {remembered.topic: remembered.agreed}
    return replace(someone, rows=tuple(replace(row, agreed=kept) for row in someone.rows))


def say_nothing(row: RowView) -> RowView:
    return replace(row, member=replace(row.member, subscription=None)) if row.member else row


@law(100)
@given(barneys(), sides, st.data())
def test_an_overruled_word_never_comes_back_to_life(someone: Person, side, more):
    """Whichever words are gone later: nothing but a newer one changes what was agreed.

    The newer one may have been there before: who left with one of two addresses has, once the
    other one says nothing any more.
    """
    policy = PLAIN if side is None else trusting(side)
    right = hear_subscription(someone, policy).right
    kept = keep_in_mind(someone, policy)
    rows = tuple(say_nothing(row) if more.draw(st.booleans()) else row for row in kept.rows)
    view = kept.contact
    if more.draw(st.booleans()):
        view = replace(view, places={g: replace(p, said=None) for g, p in view.places.items()})
    later = hear_subscription(replace(kept, rows=rows, contact=view), PLAIN).right
    assert later is None or later.value == right.value or later.at > right.at


@law(100)
@given(barneys(), sides)
def test_to_hear_again_is_to_hear_the_same_and_to_remember_nothing_new(someone: Person, side):
    policy = PLAIN if side is None else trusting(side)
    kept = keep_in_mind(someone, policy)
    again = hear_subscription(kept, PLAIN)
    right = hear_subscription(someone, policy).right
    assert again.right == right
    assert again.remembered is None


@law(100)
@given(barneys(), st.sampled_from(Side))
def test_the_trusted_side_is_right_wherever_both_know_the_person(someone: Person, side: Side):
    is_member = any(m.is_in for m in someone.members)
    place = someone.contact.place(GROUP)
    if someone.members and place.is_known:
        right = hear_subscription(someone, trusting(side)).right
        assert right.value is (is_member if side is Side.MAILCHIMP else place.is_added)
    else:
        assert (
            hear_subscription(someone, trusting(side)).right
            == hear_subscription(someone, PLAIN).right
        )
