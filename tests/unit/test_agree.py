"""Agree: the later word, CiviCRM on a tie, trust where both know the person; several voices."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.model import LONG_AGO, Side, Statement
from mcsync.reconcile.agree import agree, agree_within

Said = Statement[bool]


def at(hour: int) -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour)


def says_in(hour: int) -> Said:
    return Statement(value=True, at=at(hour))


def says_out(hour: int) -> Said:
    return Statement(value=False, at=at(hour))


NOTHING = None
ALWAYS_IN = Statement(value=True, at=LONG_AGO)

TWO_SIDES = [
    pytest.param(says_in(9), says_out(10), None, "civicrm", id="the later: CiviCRM"),
    pytest.param(says_in(11), says_out(10), None, "member", id="the later: Mailchimp"),
    pytest.param(says_in(10), says_out(10), None, "civicrm", id="a tie: CiviCRM, out"),
    pytest.param(says_out(10), says_in(10), None, "civicrm", id="a tie: CiviCRM, in"),
    pytest.param(says_out(1), ALWAYS_IN, None, "member", id="without history: Mailchimp"),
    pytest.param(says_out(1), NOTHING, None, "member", id="only Mailchimp says something"),
    pytest.param(NOTHING, says_in(1), None, "civicrm", id="only CiviCRM says something"),
    pytest.param(says_out(9), says_in(10), Side.MAILCHIMP, "member", id="trust, though older"),
    pytest.param(
        says_out(9), says_in(8), Side.CIVICRM, "civicrm", id="trust CiviCRM, though older"
    ),
    pytest.param(NOTHING, says_in(1), Side.MAILCHIMP, "civicrm", id="trust empties no group"),
    pytest.param(says_in(1), NOTHING, Side.CIVICRM, "member", id="trust empties no audience"),
    pytest.param(NOTHING, NOTHING, Side.CIVICRM, "civicrm", id="nobody says anything"),
]


@pytest.mark.parametrize(("member", "contact", "trust", "right"), TWO_SIDES)
def test_two_sides(member: Said | None, contact: Said | None, trust: Side | None, right: str):
    assert agree(member, contact, trust) is (member if right == "member" else contact)


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


# --- laws -----------------------------------------------------------------------------------------

statements = st.none() | st.builds(
    lambda value, hour: Statement(value=value, at=at(hour)), st.booleans(), st.integers(0, 5)
)
sides = st.none() | st.sampled_from(Side)


@given(statements, statements, sides)
def test_agreed_is_one_of_the_statements_or_nothing_was_said(member, contact, trust):
    agreed = agree(member, contact, trust)
    assert agreed is member or agreed is contact
    assert (agreed is None) is (member is None and contact is None)


@given(statements, statements)
def test_without_trust_nobody_said_anything_later(member, contact):
    agreed = agree(member, contact, None)
    for said in (member, contact):
        assert said is None or agreed.at >= said.at


@given(statements, statements, sides)
def test_with_one_statement_only_trust_changes_nothing(member, contact, trust):
    if member is None or contact is None:
        assert agree(member, contact, trust) is agree(member, contact, None)


@given(statements, statements, st.sampled_from(Side))
def test_trust_decides_wherever_both_sides_speak(member, contact, trust):
    if member is not None and contact is not None:
        assert agree(member, contact, trust) is (member if trust is Side.MAILCHIMP else contact)


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
