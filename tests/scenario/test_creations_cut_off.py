"""Whoever CiviCRM may still be creating is not created again, though a run was killed meanwhile.

The site works on a request when nobody waits for its answer any more. Here it takes one and is
done with it only later, when the run that sent it is gone and others have begun.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
import requests

from mcsync.cache.creations import MAY_TAKE
from mcsync.civicrm import pace
from mcsync.sandbox.server import Request, Response
from tests.scenario.aftermath import assert_at_peace, contact_of
from tests.scenario.bedrock import LIST, Bedrock
from tests.scenario.wire import Death, Mortal, direct_wire

PEOPLE = ("wilma@example.org", "barney@example.org", "betty@example.org")
OTHER, OTHER_GROUP = "bbbbbbbbbb", 333
CREATES = "/Contact/save"


@pytest.fixture(autouse=True)
def _wire(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pace, "SIZES", dict.fromkeys(pace.SIZES, (1, 2)))
    with direct_wire(bedrock.town, Mortal()):
        yield


class Slow:
    """A site that keeps requests that create somebody, and is done with them when told so."""

    def __init__(self, bedrock: Bedrock) -> None:
        self._civicrm = bedrock.town.civicrm
        self._handle = bedrock.town.civicrm.handle
        self.kept: list[Request] = []

    @contextmanager
    def keeping(self, end: BaseException, most: int = 1) -> Iterator[None]:
        """Keep the first `most` of these requests; the run that sent one meets with `end`."""

        def handle(request: Request) -> Response:
            if request.path.endswith(CREATES) and len(self.kept) < most:
                self.kept.append(request)
                raise end
            return self._handle(request)

        self._civicrm.handle = handle  # type: ignore[method-assign]
        try:
            yield
        finally:
            self._civicrm.handle = self._handle  # type: ignore[method-assign]

    def finish(self) -> None:
        """Do what was kept, as if it had just come."""
        for request in self.kept:
            assert self._handle(request).status == 200


def sign_up(bedrock: Bedrock, *emails: str) -> None:
    for email in emails:
        bedrock.town.mailchimp.sign_up(LIST, email, email.partition("@")[0].title(), "Rubble")
    bedrock.pass_time(minutes=1)


def created(bedrock: Bedrock) -> int:
    return len(bedrock.town.civicrm.contacts(source="mailchimpsync"))


def creations(bedrock: Bedrock) -> list[str]:
    store = bedrock.open_store()
    try:
        return store.column("SELECT email_key FROM civicrm_mailchimpsync_creation ORDER BY 1")
    finally:
        store.close()


def assert_everybody_is_there_once(bedrock: Bedrock) -> None:
    bedrock.sync()
    for email in PEOPLE:
        assert bedrock.group_status(contact_of(bedrock, email)) == "Added"
    assert created(bedrock) == len(PEOPLE)
    assert creations(bedrock) == []
    assert_at_peace(bedrock)


ENDS = {"killed": Death(), "not answered in time": requests.ReadTimeout()}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_whom_the_site_is_still_creating_is_waited_for(bedrock: Bedrock, end: BaseException):
    sign_up(bedrock, *PEOPLE)
    site = Slow(bedrock)
    with site.keeping(end), suppress(Death):
        bedrock.sync(raises=False)
    bedrock.sync()  # at once, and nobody can see her yet
    assert created(bedrock) == (0 if isinstance(end, Death) else 2)
    assert site_first(site) in creations(bedrock)
    site.finish()
    bedrock.pass_time(minutes=5)
    assert_everybody_is_there_once(bedrock)


def test_who_has_come_into_being_meanwhile_is_taken_at_once(bedrock: Bedrock):
    sign_up(bedrock, *PEOPLE)
    site = Slow(bedrock)
    with site.keeping(requests.ReadTimeout()):
        bedrock.sync(raises=False)
    site.finish()
    bedrock.sync()
    assert bedrock.group_status(contact_of(bedrock, site_first(site))) == "Added"
    bedrock.pass_time(minutes=5)
    assert_everybody_is_there_once(bedrock)


def site_first(site: Slow) -> str:
    """Whom the first request that was kept creates."""
    body = site.kept[0].body.decode()
    return next(email for email in PEOPLE if email.replace("@", "%40") in body)


def test_whom_a_dead_request_never_created_is_created_minutes_later(bedrock: Bedrock):
    sign_up(bedrock, *PEOPLE)
    with Slow(bedrock).keeping(Death()), pytest.raises(Death):
        bedrock.sync()
    bedrock.pass_time(minutes=4)
    bedrock.sync()
    assert created(bedrock) == 0
    bedrock.pass_time(minutes=1)
    assert_everybody_is_there_once(bedrock)


def test_a_second_audience_does_not_create_them_either(bedrock: Bedrock):
    """She has signed up in both."""
    bedrock.town.add_audience(OTHER, "Choir", OTHER_GROUP, {})
    sign_up(bedrock, "wilma@example.org")
    bedrock.town.mailchimp.sign_up(OTHER, "Wilma@example.org", "Wilma", "Rubble")
    site = Slow(bedrock)
    with site.keeping(requests.ReadTimeout()):
        bedrock.sync(raises=False)
    bedrock.sync()
    site.finish()
    bedrock.pass_time(minutes=5)
    bedrock.sync()
    assert created(bedrock) == 1


def test_what_has_surely_not_arrived_is_tried_again_at_once(bedrock: Bedrock):
    sign_up(bedrock, *PEOPLE)
    site = Slow(bedrock)
    with site.keeping(requests.ConnectTimeout(), most=99):
        bedrock.sync(raises=False)
    assert creations(bedrock) == []
    assert_everybody_is_there_once(bedrock)


def test_a_clock_that_was_ahead_makes_nobody_wait_for_it(bedrock: Bedrock):
    sign_up(bedrock, *PEOPLE)
    with Slow(bedrock).keeping(Death()), pytest.raises(Death):
        bedrock.sync()
    store = bedrock.open_store()
    with store.atomic():
        store.query("UPDATE civicrm_mailchimpsync_creation SET began_at = '2099-01-01T00:00:00Z'")
    store.close()
    bedrock.sync()
    assert created(bedrock) == 0
    bedrock.pass_time(seconds=(MAY_TAKE + timedelta(seconds=1)).total_seconds())
    assert_everybody_is_there_once(bedrock)
