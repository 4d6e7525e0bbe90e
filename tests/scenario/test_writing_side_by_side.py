"""Many new people at once: several requests under way, and nobody twice, whatever befalls one."""

import json
import threading
from typing import Any
from urllib.parse import parse_qs

import pytest

from mcsync.cache.rows import link_rows
from mcsync.civicrm import pace
from mcsync.pipeline import carry_out
from mcsync.pipeline.run import OutOfTime
from mcsync.sandbox.server import Fault, Request, Response
from tests.scenario.aftermath import assert_at_peace, contact_of
from tests.scenario.bedrock import GROUP, LIST, Bedrock

HTML = {"Content-Type": "text/html; charset=UTF-8"}
MANY = 60


@pytest.fixture(autouse=True)
def _in_small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SIZES", dict.fromkeys(pace.SIZES, (5, 10)))


def email(number: int) -> str:
    return f"gravel{number}@example.org"


def sign_up_many(bedrock: Bedrock) -> None:
    for number in range(MANY):
        bedrock.town.mailchimp.sign_up(LIST, email(number), "Gravel", f"Berry {number}")
    bedrock.pass_time(minutes=1)


def assert_everybody_is_there_once(bedrock: Bedrock) -> None:
    for number in range(MANY):
        assert bedrock.group_status(contact_of(bedrock, email(number))) == "Added"
    assert_at_peace(bedrock)
    assert len(bedrock.town.civicrm.contacts(source="mailchimpsync")) == MANY


def records_of(request: Request) -> list[object]:
    params = json.loads(parse_qs(request.body.decode())["params"][0])
    found = params["records"]
    assert isinstance(found, list)
    return found


def count_created(bedrock: Bedrock) -> list[int]:
    """How many contacts each request was to create, oldest first."""
    sent = [exchange.request for exchange in bedrock.town.civicrm_server.requests]
    return [len(records_of(r)) for r in sent if r.path.endswith("/Contact/save")]


def find_unmirrored(bedrock: Bedrock) -> list[int]:
    """Contacts of rows whom the mirror does not know, so that they would look deleted."""
    store = bedrock.open_store()
    try:
        return store.column(
            "SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache"
            " WHERE civicrm_contact_id > 0 AND civicrm_contact_id"
            " NOT IN (SELECT contact_id FROM civicrm_mailchimpsync_contact)"
        )
    finally:
        store.close()


class Watch:
    """How many requests the site has at once; a write waits a little for company."""

    def __init__(self, bedrock: Bedrock, together: int) -> None:
        self.now = self.most = 0
        self._together = together
        self._lock = threading.Lock()
        self._have_met = threading.Event()
        self._nothing = threading.Event()
        self._handle = bedrock.town.civicrm.handle
        bedrock.town.civicrm.handle = self.handle  # type: ignore[method-assign]

    def handle(self, request: Request) -> Response:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now >= self._together:
                self._have_met.set()
        try:
            if request.path.endswith("/GroupContact/save"):
                self._have_met.wait(10)
                self._nothing.wait(0.03)  # long enough for one too many to come
            return self._handle(request)
        finally:
            with self._lock:
                self.now -= 1


@pytest.mark.parametrize("connections", [1, 3, None])
def test_as_many_requests_are_under_way_as_the_config_says(
    bedrock: Bedrock, connections: int | None
) -> None:
    if connections is not None:
        site = bedrock.town.make_config()["civicrm"]
        assert isinstance(site, dict)
        bedrock.settings["civicrm"] = {**site, "connections": connections}
    sign_up_many(bedrock)
    watch = Watch(bedrock, connections or 4)
    bedrock.sync()
    assert watch.most == (connections or 4)
    assert_everybody_is_there_once(bedrock)


TROUBLES: dict[str, dict[str, Any]] = {
    "dropped after": {"drop": "after"},
    "dropped before": {"drop": "before"},
    "502 after": {"rewrite": lambda request, answer: Response(502, b"<html>", HTML)},
    "502 before": {"answer": Response(502, b"<html>", HTML)},
    "504 after": {"rewrite": lambda request, answer: Response(504, b"<html>", HTML)},
    "504 before": {"answer": Response(504, b"<html>", HTML)},
    "413": {"answer": Response(413, b"<html>", HTML)},
    "500 JSON": {
        "answer": Response(
            500, b'{"error_message": "Deadlock", "status": 500}', {"Content-Type": "text/json"}
        )
    },
}


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("what", ["/Contact/save", "/GroupContact/save"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_trouble_with_one_of_several_requests_leaves_no_trace(
    bedrock: Bedrock, trouble: dict[str, Any], what: str, place: int
) -> None:
    sign_up_many(bedrock)
    bedrock.town.civicrm_server.faults.append(Fault(path=what, skip=place, **trouble))
    bedrock.sync(raises=False)
    assert find_unmirrored(bedrock) == []
    bedrock.pass_time(minutes=5)  # until then somebody may yet be created
    bedrock.sync()
    assert_everybody_is_there_once(bedrock)


def test_a_run_that_is_killed_between_results_leaves_no_trace(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the others came to is never taken in: the next run finds them by their addresses."""

    class Killed(BaseException):
        pass

    taken: list[object] = []

    def die(*given: Any) -> None:
        taken.append(given)
        if len(taken) == 3:
            raise Killed
        link_rows(*given)

    sign_up_many(bedrock)
    monkeypatch.setattr(carry_out, "link_rows", die)
    with pytest.raises(Killed):
        bedrock.sync()
    monkeypatch.setattr(carry_out, "link_rows", link_rows)
    assert len(bedrock.town.civicrm.contacts(source="mailchimpsync")) > 10
    bedrock.pass_time(minutes=5)
    bedrock.sync()
    assert_everybody_is_there_once(bedrock)


def end_long_requests(bedrock: Bedrock, limit: int) -> None:
    """Have a proxy answer 504 to requests that are to create more; nothing of them is done."""
    handle = bedrock.town.civicrm.handle

    def watched(request: Request) -> Response:
        is_long = request.path.endswith("/Contact/save") and len(records_of(request)) > limit
        return Response(504, b"<html>", HTML) if is_long else handle(request)

    bedrock.town.civicrm.handle = watched  # type: ignore[method-assign]


def test_a_site_that_takes_few_at_a_time_gets_few_and_everybody_in_the_end(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "GIVEN_UP_S", 0.0)  # as if it had taken long
    sign_up_many(bedrock)
    end_long_requests(bedrock, limit=2)
    bedrock.sync(raises=False)
    assert count_created(bedrock)[:2] == [5, 2]
    bedrock.town.civicrm_server.requests.clear()
    bedrock.pass_time(minutes=5)
    bedrock.sync()
    assert set(count_created(bedrock)) <= {1, 2}, "what was found out is known to the next run"
    assert_everybody_is_there_once(bedrock)


@pytest.mark.parametrize("requests", [1, 3, None], ids=["a moment", "some seconds", "all the time"])
def test_a_site_that_is_down_for_a_while_gets_as_many_as_ever_afterwards(
    bedrock: Bedrock, requests: int | None
) -> None:
    """A gateway that has nobody behind it says so at once: that is not the size."""
    sign_up_many(bedrock)
    down = Fault(path="/save", answer=Response(502, b"<html>", HTML), times=requests)
    bedrock.town.civicrm_server.faults.append(down)
    bedrock.sync(raises=False)
    bedrock.town.civicrm_server.faults.clear()
    bedrock.town.civicrm_server.requests.clear()
    for number in range(MANY):
        name = f"pearl{number}@example.org"
        bedrock.town.mailchimp.sign_up(LIST, name, "Pearl", f"Slaghoople {number}")
    bedrock.pass_time(minutes=5)
    bedrock.sync()
    assert count_created(bedrock)[0] == 5
    bedrock.sync_until_quiet()
    assert len(bedrock.town.civicrm.contacts(source="mailchimpsync")) == 2 * MANY


def test_after_a_day_as_many_as_at_first_are_tried(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "GIVEN_UP_S", 0.0)  # as if it had taken long
    sign_up_many(bedrock)
    end_long_requests(bedrock, limit=2)
    bedrock.sync(raises=False)
    bedrock.town.civicrm_server.requests.clear()
    bedrock.pass_time(hours=25)
    bedrock.sync(raises=False)
    assert count_created(bedrock)[0] == 5


def test_whom_staff_enter_meanwhile_is_not_created_again(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is to be created is looked up shortly before, not when the plan was made."""
    monkeypatch.setattr(carry_out, "_LOOKED_UP_AT_ONCE", 10)

    def enter_all() -> None:
        for number in range(MANY):
            bedrock.town.civicrm.add_contact("Gravel", "Berry", [email(number)])

    sign_up_many(bedrock)
    bedrock.town.civicrm_server.faults.append(Fault(path="/Contact/save", act=enter_all))
    bedrock.sync()
    assert len(bedrock.town.civicrm.contacts(source="mailchimpsync")) == 10
    bedrock.sync_until_quiet()
    assert len(bedrock.town.civicrm.contacts(source="mailchimpsync")) == 10
    assert len(bedrock.town.civicrm.group_members(GROUP)) == MANY
    assert_at_peace(bedrock)


def test_when_the_time_is_over_what_is_under_way_is_finished_and_no_more(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carry_out, "_LOOKED_UP_AT_ONCE", 10)

    def end() -> None:
        assert bedrock.last_run is not None
        bedrock.last_run.deadline = 0.0

    sign_up_many(bedrock)
    bedrock.town.civicrm_server.faults.append(Fault(path="/Contact/save", act=end))
    with pytest.raises(OutOfTime):
        bedrock.sync()
    bedrock.pass_time(minutes=1)
    created = bedrock.town.civicrm.contacts(source="mailchimpsync")
    assert 5 <= len(created) <= 10
    assert all(bedrock.group_status(contact.id) == "Added" for contact in created)
    bedrock.sync()
    assert_everybody_is_there_once(bedrock)


def test_where_the_site_takes_what_it_is_sent_nothing_is_kept(bedrock: Bedrock) -> None:
    sign_up_many(bedrock)
    bedrock.sync()
    store = bedrock.open_store()
    try:
        assert store.get_state("request_limits") is None
    finally:
        store.close()
    assert bedrock.group_status(contact_of(bedrock, email(0)), GROUP) == "Added"
