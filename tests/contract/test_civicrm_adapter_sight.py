"""The adapter and a user who does not see everybody."""

from collections.abc import Callable, Iterator

import pytest
from test_civicrm_adapter import READS, Site, contacts_of

from mcsync.errors import RemoteRefused
from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.server import LoopbackServer

VIEW = "view all contacts"


@pytest.fixture(scope="module")
def shared_server() -> Iterator[LoopbackServer]:
    with LoopbackServer(CivicrmSimulator()) as server:
        yield server


@pytest.fixture
def site(shared_server: LoopbackServer) -> Site:
    return Site(shared_server)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_user_limited_by_an_acl_is_refused_whatever_is_read(
    site: Site, read: Callable[[Site], object]
) -> None:
    """Our own contact is visible by `view my contact`, so it proves nothing."""
    fred = site.add("Fred")
    site.sim.add_to_group(fred, site.group)
    site.sim.limit_to_group(site.group)
    with pytest.raises(RemoteRefused) as caught:
        read(site)
    assert "does not show every contact" in caught.value.message
    assert f'"{VIEW}"' in (caught.value.hint or "")
    site.sim.lift_limits()
    read(site)


def test_an_acl_between_two_runs_is_noticed_by_the_next_snapshot(site: Site) -> None:
    site.snapshot()
    site.sim.limit_to_group(site.group)
    with pytest.raises(RemoteRefused, match="every contact"):
        site.snapshot()


def test_the_proof_costs_no_request_of_its_own(site: Site) -> None:
    list(site.port.fetch_contacts([1]))
    list(site.port.fetch_owners(["fred@example.org"]))
    paths = [exchange.request.path for exchange in site.server.requests]
    assert paths == [
        "/civicrm/authx/id",
        "/civicrm/ajax/api4",  # the site's clock, which is needed anyhow
        "/civicrm/ajax/api4",
        "/civicrm/ajax/api4/Email/get",
    ]


def test_who_sees_contact_1_may_still_not_see_others(site: Site) -> None:
    """An extension may hide single contacts; a sample tells of it, and who is hidden is absent."""
    shown, hidden = site.add_many(2)
    site.sim.limit_to_contacts({1, shown})
    assert set(site.port.fetch_snapshot([site.group], 0, [shown, hidden]).created) == {shown}
    assert set(contacts_of(site.port.fetch_contacts([shown, hidden]))) == {shown}
