"""The mail gate: who may not be mailed, and which address is the best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.decision import ContactView, Reason
from mcsync.model import Contact, Email
from mcsync.reconcile.gate import find_best_email, find_closed_gate


def address(text: str, email_id: int = 1) -> Email:
    """`fred@ bulk held` in full."""
    name, *marks = text.split()
    return Email(
        email_id=email_id,
        contact_id=7,
        email=name + "example.org" if name != "-" else "",
        is_primary="primary" in marks,
        is_bulkmail="bulk" in marks,
        on_hold="held" in marks,
    )


def fred(*addresses: str, **flags: bool) -> ContactView:
    emails = tuple(address(text, number) for number, text in enumerate(addresses, 1))
    return ContactView(Contact(7, "Fred", "Flintstone", **flags), emails)


GATES = [
    pytest.param(fred("fred@ primary"), None, id="open"),
    pytest.param(fred("fred@", is_deceased=True), Reason.DECEASED, id="deceased"),
    pytest.param(fred("fred@", is_opt_out=True), Reason.OPT_OUT, id="opted out"),
    pytest.param(fred("fred@", do_not_email=True), Reason.DO_NOT_EMAIL, id="do not email"),
    pytest.param(fred(), Reason.NO_EMAIL, id="no address"),
    pytest.param(fred("-"), Reason.NO_EMAIL, id="an empty address is none"),
    pytest.param(fred("fred@ held", "rocks@ bulk held"), Reason.NO_EMAIL, id="all on hold"),
    pytest.param(fred("fred@ held", "rocks@"), None, id="one of two on hold"),
    pytest.param(
        fred(is_deceased=True, is_opt_out=True), Reason.DECEASED, id="deceased goes before all"
    ),
]


@pytest.mark.parametrize(("contact", "reason"), GATES)
def test_gate(contact: ContactView, reason: Reason | None):
    assert find_closed_gate(contact) is reason


BEST = [
    pytest.param(["a@", "b@ primary", "c@ bulk"], "c@example.org", id="bulk first"),
    pytest.param(["a@", "b@ primary", "c@ bulk held"], "b@example.org", id="then primary"),
    pytest.param(["a@", "b@ primary held"], "a@example.org", id="then any other"),
    pytest.param(["a@ primary", "b@ primary bulk"], "b@example.org", id="bulk and primary"),
    pytest.param(["a@", "b@"], "a@example.org", id="the older of equals"),
    pytest.param(["- bulk", "b@"], "b@example.org", id="empty ones are none"),
    pytest.param(["a@ bulk held"], None, id="nothing left"),
]


@pytest.mark.parametrize(("addresses", "best"), BEST)
def test_best_address(addresses: list[str], best: str | None):
    found = find_best_email(fred(*addresses))
    assert (found.email if found else None) == best


owned = st.lists(
    st.builds(
        Email,
        st.integers(1, 99),
        st.just(7),
        st.sampled_from(("", "a@example.org", "b@example.org")),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    unique_by=lambda email: email.email_id,
    max_size=4,
)


@given(owned, st.randoms(use_true_random=False))
def test_the_best_address_does_not_depend_on_their_order(emails, random):
    shuffled = tuple(random.sample(emails, len(emails)))
    contact = Contact(7)
    assert find_best_email(ContactView(contact, shuffled)) == find_best_email(
        ContactView(contact, tuple(emails))
    )


@given(owned)
def test_the_best_address_is_never_held_and_never_empty(emails):
    best = find_best_email(ContactView(Contact(7), tuple(emails)))
    assert (best is None) is all(email.on_hold or not email.email for email in emails)
    if best is not None:
        assert not best.on_hold
        assert best.email
