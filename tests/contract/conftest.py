"""The simulated services for tests of the adapters and of the simulators themselves.

Starting a server takes half a second: a file has one for all its tests.
"""

from collections.abc import Iterator

import pytest
from civicrm_served import Site as ServedSite
from civicrm_site import Site
from mailchimp_bedrock import Bedrock

from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.mailchimp import MailchimpSimulator
from mcsync.sandbox.server import LoopbackServer

# --- for the adapters -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def civicrm_server() -> Iterator[LoopbackServer]:
    with LoopbackServer(CivicrmSimulator()) as server:
        yield server


@pytest.fixture(scope="module")
def mailchimp_server() -> Iterator[LoopbackServer]:
    with LoopbackServer(MailchimpSimulator()) as server:
        yield server


@pytest.fixture
def site(civicrm_server: LoopbackServer) -> Site:
    """A new site behind the CiviCRM adapter."""
    return Site(civicrm_server)


# --- for the simulators; those of CiviCRM make their `site` by civicrm_served.serve ---------------


@pytest.fixture
def api() -> Iterator[Bedrock]:
    """A fresh account at Mailchimp with one audience."""
    with Bedrock() as bedrock:
        yield bedrock


@pytest.fixture
def group(site: ServedSite) -> int:
    return site.sim.add_group("Newsletter")


@pytest.fixture
def wilma(site: ServedSite) -> int:
    return site.sim.add_contact("Wilma", "Flintstone", ["wilma@example.org"])
