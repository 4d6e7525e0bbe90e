"""Writing over several connections: never more than allowed, nobody twice, nothing forgotten."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from civicrm_site import Site, merged, params_of

from mcsync.civicrm import pace
from mcsync.errors import McsyncError, ProtocolError, RemoteUnavailable
from mcsync.model import Contact, EmailWrite, GroupStatus, NewContact, WriteResult
from mcsync.sandbox.server import Fault, Request, Response

HTML = {"Content-Type": "text/html; charset=UTF-8"}
SAVE_CONTACT, SAVE_MEMBERS = "Contact/save", "GroupContact/save"
SMALL = dict.fromkeys(pace.SIZES, (5, 10))


@pytest.fixture(autouse=True)
def _in_small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SIZES", SMALL)


class Gate:
    """Stands before the simulator: counts who is in, and holds writes until so many are."""

    def __init__(self, site: Site, together: int, patience_s: float = 10) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()
        self._together = together
        self._have_met = threading.Event()
        self._patience_s = patience_s
        self._handle = site.sim.handle
        site.sim.handle = self.handle  # type: ignore[method-assign]

    def handle(self, request: Request) -> Response:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now >= self._together:
                self._have_met.set()
        try:
            if request.path.endswith("/save") or b"%22create%22" in request.body:
                self._have_met.wait(self._patience_s)  # who is alone goes on in the end
            return self._handle(request)
        finally:
            with self._lock:
                self.now -= 1


def newcomers(count: int, first: int = 0) -> list[NewContact]:
    return [
        NewContact(n, f"gravel{n}@example.org", f"Gravel{n}", "Berry")
        for n in range(first, first + count)
    ]


def until_end(results: Iterator[WriteResult]) -> tuple[WriteResult, McsyncError | None]:
    """All that was handed over, and the error at the end, if there was one."""
    seen: list[WriteResult] = []
    try:
        for result in results:
            seen.append(result)  # noqa: PERF402  # what came before the error counts
    except McsyncError as error:
        return merged(seen), error
    return merged(seen), None


def created(site: Site) -> list[str]:
    """The addresses of those who were created, each as often as they were."""
    return sorted(contact.email or "" for contact in site.sim.contacts(source="test"))


def assert_each_is_linked_to_their_own(site: Site, done: dict[int, int]) -> None:
    for row_id, contact_id in done.items():
        contact = site.sim.contact(contact_id)
        assert contact is not None
        assert contact.email == f"gravel{row_id}@example.org"


# --- how many at once -----------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Writing", "four connections write more memberships than two")
@pytest.mark.parametrize("connections", [1, 2, 4])
def test_group_contacts_are_written_over_as_many_connections_as_allowed(
    site: Site, connections: int
) -> None:
    ids = site.add_many(20)
    gate = Gate(site, connections)
    port = site.client(connections=connections)
    done = merged(port.save_group_contacts(site.group, GroupStatus.ADDED, ids, "mcsync"))
    assert set(done.done) == site.sim.group_members(site.group) == set(ids)
    assert gate.most == connections
    assert all(len(site.sim.history(contact_id)) == 1 for contact_id in ids)


WRITES: dict[str, Callable[[Site, list[int]], Iterator[WriteResult]]] = {
    "contacts": lambda site, ids: site.port.create_contacts(newcomers(len(ids)), "test"),
    "names": lambda site, ids: site.port.save_names([Contact(i, "Bamm", "") for i in ids]),
    "addresses": lambda site, ids: site.port.add_emails(
        [EmailWrite(i, f"new{i}@example.org") for i in ids]
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_everything_is_written_over_several_connections(site: Site, write: Any) -> None:
    ids = site.add_many(60)
    site.snapshot()
    list(site.port.create_contacts(newcomers(1, first=99), "test"))  # who goes alone
    gate = Gate(site, 2)
    assert len(merged(write(site, ids)).done) == 60
    assert 2 <= gate.most <= 4


def test_the_first_contacts_are_created_alone(site: Site) -> None:
    """What is in doubt is not tried again: one request shows whether the site takes that many."""
    timeout = Response(504, b"<html>", HTML)
    site.server.faults.append(Fault(path=SAVE_CONTACT, answer=timeout, times=None))
    _, error = until_end(site.port.create_contacts(newcomers(60), "test"))
    assert isinstance(error, RemoteUnavailable)
    sizes = [len(call["records"]) for call in site.calls(SAVE_CONTACT)]  # type: ignore[arg-type]
    assert sizes == [5, 2, 1], "halved until it cannot be less, and each alone"


@pytest.mark.fact("civicrm: Writing", "names: one save with ids costs less than single updates")
def test_names_are_one_call_for_all(site: Site) -> None:
    ids = site.add_many(4)
    names = [Contact(i, f"Bamm{i}", "") for i in ids] + [Contact(ids[0], "", "Rubble")]
    done = merged(site.port.save_names(names))
    assert set(done.done) == set(ids)
    (call,) = site.calls(SAVE_CONTACT)
    assert call["records"] == [
        {"id": ids[0], "last_name": "Rubble"},
        *({"id": i, "first_name": f"Bamm{i}"} for i in ids[1:]),
    ]
    assert len(site.sim.contacts()) == 3 + 4


# --- a lost answer in the middle ------------------------------------------------------------------


def lost(status: int) -> dict[str, Any]:
    return {"rewrite": lambda request, answer: Response(status, b"<html>", HTML)}


LOST: dict[str, dict[str, Any]] = {
    "dropped": {"drop": "after"},
    "200 and a page": lost(200),
    "500 and a page": lost(500),
    "502": lost(502),
    "503": lost(503),
    "504": lost(504),
}


@pytest.mark.fact("civicrm: Writing", "a time-out does not mean that nothing was written")
@pytest.mark.parametrize("how", LOST.values(), ids=LOST)
@pytest.mark.parametrize("lost_no", [0, 2, 5])
def test_a_lost_answer_among_others_creates_nobody_twice(
    site: Site, how: dict[str, Any], lost_no: int
) -> None:
    gate = Gate(site, 2, patience_s=0.1)
    site.server.faults.append(Fault(path=SAVE_CONTACT, skip=lost_no, **how))
    done, error = until_end(site.port.create_contacts(newcomers(60), "test"))
    assert error is None
    assert set(done.done) == set(range(60))
    assert created(site) == sorted(new.email for new in newcomers(60))
    assert_each_is_linked_to_their_own(site, done.done)
    assert gate.most <= 4


BEFORE: dict[str, dict[str, Any]] = {
    "dropped": {"drop": "before"},
    "502": {"answer": Response(502, b"<html>", HTML)},
    "503": {"answer": Response(503, b"<html>", HTML)},
    "504": {"answer": Response(504, b"<html>", HTML)},
}


@pytest.mark.parametrize("how", BEFORE.values(), ids=BEFORE)
def test_who_may_still_be_created_is_not_tried_again_in_this_run(
    site: Site, how: dict[str, Any]
) -> None:
    """Nobody knows that nothing was done: only the next run looks for their addresses."""
    Gate(site, 2, patience_s=0.1)
    site.server.faults.append(Fault(path=SAVE_CONTACT, skip=2, **how))
    done, error = until_end(site.port.create_contacts(newcomers(60), "test"))
    assert isinstance(error, RemoteUnavailable)
    assert len(created(site)) == len(set(created(site))) == len(done.done)
    assert_each_is_linked_to_their_own(site, done.done)
    again, same = until_end(site.port.create_contacts(newcomers(60), "test"))
    written = [
        record["email_primary.email"]
        for call in site.calls(SAVE_CONTACT)
        for record in call["records"]  # type: ignore[attr-defined]
    ]
    in_doubt = {new.email for new in newcomers(60) if new.row_id not in done.done | again.done}
    assert in_doubt
    assert all(written.count(email) <= 1 for email in in_doubt)
    assert isinstance(same, RemoteUnavailable)


def test_what_was_written_beside_an_error_is_told(site: Site) -> None:
    ids = site.add_many(60)
    Gate(site, 2, patience_s=0.1)
    marked = f"contact_id%22%3A{ids[7]}%7D"
    site.server.faults.append(Fault(path=SAVE_MEMBERS, body=marked, drop="before", times=None))
    done, error = until_end(
        site.port.save_group_contacts(site.group, GroupStatus.ADDED, ids, "mcsync")
    )
    assert isinstance(error, RemoteUnavailable)
    assert set(done.done) == site.sim.group_members(site.group)


# --- a site that takes less -----------------------------------------------------------------------


class SlowHost:
    """Ends a request after so many records: the rest is not written, the answer is a page."""

    def __init__(self, site: Site, limit: int, status: int, *, is_done: bool = True) -> None:
        self._site = site
        self._limit = limit
        self._status = status
        self._is_done = is_done

    def answer(self, request: Request, answer: Response) -> Response:
        records = params_of(request)["records"]
        assert isinstance(records, list)
        if len(records) <= self._limit:
            return answer
        written = [row["id"] for row in json.loads(answer.body)["values"]]
        for contact_id in written[self._limit if self._is_done else 0 :]:
            self._site.sim.purge(contact_id)
        return Response(self._status, b"<html>", HTML)


@pytest.mark.parametrize("is_done", [True, False], ids=["part-written", "nothing-written"])
@pytest.mark.parametrize("status", [502, 504])
def test_requests_become_smaller_where_the_site_ends_them(
    site: Site, status: int, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run knows, and creates whom this one had to leave in doubt."""
    monkeypatch.setattr(pace, "GIVEN_UP_S", 0.0)  # as if it had taken long
    host = SlowHost(site, 2, status, is_done=is_done)
    site.server.faults.append(Fault(path=SAVE_CONTACT, rewrite=host.answer, times=None))
    port = site.client()
    done, error = until_end(port.create_contacts(newcomers(40), "test"))
    assert isinstance(error, RemoteUnavailable)
    assert port.find_limits() == {"contacts": 2}
    left = [new for new in newcomers(40) if new.email not in created(site)]
    assert len(left) == 5 - (2 if is_done else 0), "one request of five was in doubt"
    later, error = until_end(site.client(limits=port.find_limits()).create_contacts(left, "test"))
    assert error is None
    assert done.done.keys() | later.done.keys() == set(range(40))
    assert created(site) == sorted(new.email for new in newcomers(40))


def end_long_requests(site: Site, limit: int, status: int) -> None:
    """Have a proxy give up on saves of more records; nothing of them is done."""
    handle = site.sim.handle

    def watched(request: Request) -> Response:
        is_save = request.path.endswith("/save")
        is_long = is_save and len(params_of(request)["records"]) > limit  # type: ignore[arg-type]
        return Response(status, b"<html>", HTML) if is_long else handle(request)

    site.sim.handle = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("status", [502, 504])
@pytest.mark.parametrize("what", ["group contacts", "names"])
def test_what_may_be_written_twice_goes_on_in_halves_at_once(
    site: Site, what: str, status: int
) -> None:
    ids = site.add_many(40)
    end_long_requests(site, 2, status)
    if what == "names":
        results = site.port.save_names([Contact(i, "Bamm-Bamm", "") for i in ids])
    else:
        results = site.port.save_group_contacts(site.group, GroupStatus.ADDED, ids, "mcsync")
    done, error = until_end(results)
    assert error is None
    assert set(done.done) == set(ids)


def test_who_is_created_after_all_is_found_before_the_end(site: Site) -> None:
    """The proxy gave up waiting, CiviCRM did not."""
    timeout = Response(504, b"<html>", HTML)

    def go_on() -> None:
        for new in newcomers(5):
            names = (new.first_name, new.last_name)
            site.sim.add_contact(*names, [new.email], source="test")

    site.server.faults += [
        Fault(path=SAVE_CONTACT, answer=timeout),
        Fault(path=SAVE_CONTACT, act=go_on),
    ]
    done, error = until_end(site.port.create_contacts(newcomers(30), "test"))
    assert error is None
    assert set(done.done) == set(range(30))
    assert_each_is_linked_to_their_own(site, done.done)
    assert created(site) == sorted(new.email for new in newcomers(30))
    again = merged(site.port.create_contacts(newcomers(1, first=30), "test"))
    assert set(again.done) == {30}


def test_each_of_several_in_doubt_is_looked_for(site: Site) -> None:
    timeout = Response(504, b"<html>", HTML)

    def go_on() -> None:
        """With the second request; the first is never heard of again."""
        for new in newcomers(2, first=5):
            names = (new.first_name, new.last_name)
            site.sim.add_contact(*names, [new.email], source="test")

    site.server.faults += [
        Fault(path=SAVE_CONTACT, answer=timeout, times=2),
        Fault(path=SAVE_CONTACT, act=go_on),
    ]
    done, error = until_end(site.port.create_contacts(newcomers(20), "test"))
    assert isinstance(error, RemoteUnavailable)
    assert set(done.done) == set(range(5, 20))
    assert created(site) == sorted(new.email for new in newcomers(15, first=5))


def test_who_could_not_even_be_looked_for_is_not_tried_again(site: Site) -> None:
    timeout = Response(504, b"<html>", HTML)
    down = Response(503, b"<html>", HTML)
    site.server.faults.append(Fault(path=SAVE_CONTACT, answer=timeout))
    site.server.faults.append(Fault(body="email_primary.email", answer=down, times=None))
    _, error = until_end(site.port.create_contacts(newcomers(5), "test"))
    assert isinstance(error, RemoteUnavailable)
    site.server.faults.clear()
    done, same = until_end(site.port.create_contacts(newcomers(7), "test"))
    assert isinstance(same, RemoteUnavailable)
    assert set(done.done) == {5, 6}
    assert created(site) == sorted(new.email for new in newcomers(2, first=5))


def test_what_surely_never_arrived_is_in_no_doubt(site: Site) -> None:
    slower = Response(429, b"", HTML)
    site.server.faults.append(Fault(path=SAVE_CONTACT, answer=slower))
    _, error = until_end(site.port.create_contacts(newcomers(5), "test"))
    assert isinstance(error, RemoteUnavailable)
    assert len(merged(site.port.create_contacts(newcomers(5), "test")).done) == 5


def test_a_page_with_500_is_over_so_the_rest_goes_on_in_halves(site: Site) -> None:
    host = SlowHost(site, 2, 500)
    site.server.faults.append(Fault(path=SAVE_CONTACT, rewrite=host.answer, times=None))
    done, error = until_end(site.port.create_contacts(newcomers(30), "test"))
    assert error is None
    assert set(done.done) == set(range(30))
    assert created(site) == sorted(new.email for new in newcomers(30))


def test_a_body_limit_is_found_out_once(site: Site) -> None:
    site.snapshot()
    site.sim.max_body_bytes = 600
    port = site.client()
    assert len(merged(port.create_contacts(newcomers(40), "test")).done) == 40
    assert created(site) == sorted(new.email for new in newcomers(40))
    refused = [e for e in site.server.requests if e.status == 413]
    assert 1 <= len(refused) <= 8, "not in every request anew"
    assert port.find_limits()["contacts"] < 5


def test_a_smallest_request_that_is_refused_for_its_size_ends_the_write(site: Site) -> None:
    site.snapshot()
    site.sim.max_body_bytes = 10
    port = site.client()
    with pytest.raises(ProtocolError, match="413"):
        list(port.save_group_contacts(site.group, GroupStatus.ADDED, [4, 5, 6], "mcsync"))


def test_addresses_in_doubt_are_not_added_twice_and_the_others_are(site: Site) -> None:
    ids = site.add_many(30)
    site.snapshot()
    emails = [EmailWrite(i, f"new{i}@example.org") for i in ids]
    timeout = Response(504, b"<html>", HTML)
    site.server.faults.append(Fault(body="%22create%22", answer=timeout))
    done, error = until_end(site.client(connections=1).add_emails(emails))
    assert isinstance(error, RemoteUnavailable)
    assert set(done.done) == set(ids[5:])
    assert [len(site.sim.emails(i)) for i in ids] == [1] * 5 + [2] * 25


def test_where_addresses_cannot_be_read_no_more_are_added(site: Site) -> None:
    ids = site.add_many(30)
    site.snapshot()
    emails = [EmailWrite(i, f"new{i}@example.org") for i in ids]
    timeout = Response(504, b"<html>", HTML)
    site.server.faults.append(Fault(path="Email/get", answer=timeout, times=None))
    done, error = until_end(site.client(connections=1).add_emails(emails))
    assert isinstance(error, RemoteUnavailable)
    assert done.done == {}
    asked = {str(call["where"]) for call in site.calls("Email/get")}
    assert len(asked) == 1, "the first chunk's, however often"


def test_an_address_that_is_added_after_all_is_found_before_the_end(site: Site) -> None:
    ids = site.add_many(30)
    site.snapshot()
    emails = [EmailWrite(i, f"new{i}@example.org") for i in ids]

    def go_on() -> None:
        for contact_id in ids[:5]:
            site.sim.add_email(contact_id, f"new{contact_id}@example.org")

    timeout = Response(504, b"<html>", HTML)
    site.server.faults += [
        Fault(body="%22create%22", answer=timeout),
        Fault(body="%22create%22", act=go_on),
    ]
    assert set(merged(site.client(connections=1).add_emails(emails)).done) == set(ids)
    assert [len(site.sim.emails(i)) for i in ids] == [2] * 30


def test_addresses_behind_a_time_out_are_found(site: Site) -> None:
    ids = site.add_many(30)
    site.snapshot()
    emails = [EmailWrite(i, f"new{i}@example.org") for i in ids]
    site.server.faults.append(Fault(body="%22create%22", skip=1, **lost(504)))
    assert set(merged(site.port.add_emails(emails)).done) == set(ids)
    assert [len(site.sim.emails(i)) for i in ids] == [2] * 30


@pytest.mark.parametrize("how", [*LOST.values(), *BEFORE.values()])
def test_names_are_all_written_whatever_is_lost(site: Site, how: dict[str, Any]) -> None:
    ids = site.add_many(30)
    site.snapshot()
    site.server.faults.append(Fault(path=SAVE_CONTACT, skip=1, **how))
    names = [Contact(i, "Bamm-Bamm", "Rubble") for i in ids]
    assert set(merged(site.port.save_names(names)).done) == set(ids)
    assert {c.first_name for c in map(site.sim.contact, ids) if c} == {"Bamm-Bamm"}
    assert len(site.sim.contacts()) == 3 + 30
