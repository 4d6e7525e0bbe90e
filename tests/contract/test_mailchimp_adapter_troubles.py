"""The Mailchimp adapter in trouble: what is tried again, what is not, what is still complete."""

import json
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
import urllib3
from mailchimp_bedrock import KEY, LIST
from mailchimp_town import FRED, START, WILMA, Town, serve

from mcsync.errors import ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.http import RETRIES
from mcsync.model import Member, MemberChange, MemberStatus, Operation
from mcsync.sandbox.mailchimp import subscriber_hash, typed_hash
from mcsync.sandbox.server import Fault, Request, Response

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
PAGE = "/members\\?"


town = pytest.fixture(serve)


def subscribe(*emails: str) -> list[Operation]:
    return [
        Operation(f"op{n}", LIST, MemberChange(email, status=MemberStatus.SUBSCRIBED))
        for n, email in enumerate(emails)
    ]


def asked(request: Request, name: str) -> int:
    return int(parse_qs(request.query)[name][0])


def refuse_connections(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The next connections, that many, do not come about."""
    connect, refused = urllib3.util.connection.create_connection, []

    def create(address: tuple[str, int], *more: object, **how: object) -> socket.socket:
        if len(refused) < times:
            refused.append(address)
            raise ConnectionRefusedError(111, "Connection refused")
        return connect(address, *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3.util.connection, "create_connection", create)


# --- submitting -----------------------------------------------------------------------------------

SUBMIT_TROUBLES = {
    "500": Fault(answer=Response(500, b"{}", JSON)),
    "502": Fault(answer=Response(502, b"<html>", HTML)),
    "504": Fault(answer=Response(504, b"<html>", HTML)),
    "200-html": Fault(answer=Response(200, b"<html>", HTML)),
    "403-html": Fault(answer=Response(403, b"<html>", HTML)),
    "dropped-before": Fault(drop="before"),
    "dropped-after": Fault(drop="after"),
}
WAITS = {
    "json": Response(429, b'{"title": "Too Many Requests"}', JSON),
    "html": Response(429, b"", HTML),
    "retry-after": Response(429, b"", {"Retry-After": "1"}),
}


@pytest.mark.fact("mailchimp: Errors", "502 HTML is a time-out")
@pytest.mark.parametrize("name", SUBMIT_TROUBLES)
def test_submitting_is_never_repeated(town: Town, name: str) -> None:
    town.server.faults.append(replace(SUBMIT_TROUBLES[name], path="/batches"))
    with pytest.raises(RemoteUnavailable) as caught:
        town.port.submit_batch(subscribe(FRED))
    assert caught.value.may_have_arrived
    assert len(town.calls("POST", "/batches")) == 1
    assert town.waits == []
    exists = len(town.port.fetch_batches())
    assert exists == (1 if name == "dropped-after" else 0)


@pytest.mark.fact("mailchimp: Limits", "500 pending batches or events")
@pytest.mark.parametrize("name", WAITS)
def test_a_batch_that_was_not_accepted_is_submitted_again(town: Town, name: str) -> None:
    town.server.faults.append(Fault(path="/batches", answer=WAITS[name], times=2))
    batch = town.port.submit_batch(subscribe(FRED))
    assert [found.batch_id for found in town.port.fetch_batches()] == [batch.batch_id]
    assert len(town.calls("POST", "/batches")) == 3
    assert len(town.waits) == 2
    assert name != "retry-after" or town.waits == [1, 1]


@pytest.mark.parametrize("name", WAITS)
def test_a_batch_that_is_never_accepted_surely_does_not_exist(town: Town, name: str) -> None:
    town.server.faults.append(Fault(path="/batches", answer=WAITS[name], times=None))
    with pytest.raises(RemoteUnavailable, match="429") as caught:
        town.port.submit_batch(subscribe(FRED))
    assert not caught.value.may_have_arrived
    assert len(town.waits) == RETRIES


def test_a_batch_that_is_to_wait_too_long_is_left_to_the_next_run(town: Town) -> None:
    later = Response(429, b"", {"Retry-After": "3600"})
    town.server.faults.append(Fault(path="/batches", answer=later))
    with pytest.raises(RemoteUnavailable) as caught:
        town.port.submit_batch(subscribe(FRED))
    assert not caught.value.may_have_arrived
    assert town.waits == []


def test_a_batch_goes_out_once_the_way_is_there(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_connections(monkeypatch, 2)
    town.port.submit_batch(subscribe(FRED))
    assert len(town.waits) == 2
    assert len(town.port.fetch_batches()) == 1


def test_a_batch_that_never_left_surely_does_not_exist(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_connections(monkeypatch, 100)
    with pytest.raises(RemoteUnavailable, match="cannot be reached") as caught:
        town.port.submit_batch(subscribe(FRED))
    assert not caught.value.may_have_arrived
    assert town.server.requests == []


def test_a_batch_whose_answer_is_lost_after_a_429_may_exist(town: Town) -> None:
    town.server.faults.append(Fault(path="/batches", answer=WAITS["json"]))
    town.server.faults.append(Fault(path="/batches", drop="after"))
    with pytest.raises(RemoteUnavailable) as caught:
        town.port.submit_batch(subscribe(FRED))
    assert caught.value.may_have_arrived
    assert len(town.calls("POST", "/batches")) == 2
    assert len(town.port.fetch_batches()) == 1


# --- reading members ------------------------------------------------------------------------------

PASSING = {
    "429": Response(429, b"", {"Retry-After": "2"}),
    "500": Response(500, b"{}", JSON),
    "503": Response(503, b"<html>", HTML),
    "html-200": Response(200, b"<html>", HTML),
    "html-403": Response(403, b"<html>", HTML),
}


@pytest.mark.fact("mailchimp: Errors", "403 as HTML", "500 Internal Server Error")
@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING)
def test_trouble_in_mid_paging_passes(town: Town, trouble: Response) -> None:
    town.populate(3500)
    town.server.faults.append(Fault(path="offset=1980", answer=trouble, times=2))
    assert len(town.fetch_all()) == 3500
    assert len(town.waits) == 2


@pytest.mark.fact("mailchimp: Limits", "Retry-After: honour it, never need it")
def test_retry_after_is_obeyed_three_times(town: Town) -> None:
    town.populate(10)
    for seconds in (5, 11, 2):
        wait = Response(429, b"", {"Retry-After": str(seconds)})
        town.server.faults.append(Fault(path=PAGE, answer=wait))
    assert len(town.fetch_all()) == 10
    assert town.waits == [5, 11, 2]


@pytest.mark.fact("mailchimp: Errors", "503 and 504 of the CDN")
def test_trouble_that_stays_ends_the_fetch(town: Town) -> None:
    town.populate(3500)
    town.server.faults.append(
        Fault(path="offset=1980", answer=Response(503, b"", HTML), times=None)
    )
    with pytest.raises(RemoteUnavailable, match="503"):
        town.fetch_all()


def test_dropped_connections_in_mid_paging(town: Town) -> None:
    town.populate(3500)
    town.server.faults.append(Fault(path="offset=990", drop="after", times=2))
    assert len(town.fetch_all()) == 3500


@pytest.mark.fact("mailchimp: Errors", "502 HTML is a time-out")
@pytest.mark.fact("mailchimp: Limits", "count=1000 can give 504")
@pytest.mark.parametrize("status", [502, 504])
def test_pages_are_halved_until_they_come(town: Town, status: int) -> None:
    town.populate(2600)
    slow = Response(status, b"<html>", HTML)
    town.server.faults.append(Fault(path="count=(1000|500)&", answer=slow, times=None))
    assert len(town.fetch_all()) == 2600
    counts = [asked(request, "count") for request in town.calls("GET", "/members")]
    assert counts[:3] == [1000, 500, 250]
    assert min(counts) == 250


def test_the_smallest_page_is_tried_patiently_and_then_given_up(town: Town) -> None:
    town.populate(300)
    town.server.faults.append(Fault(path=PAGE, answer=Response(504, b"", HTML), times=None))
    with pytest.raises(RemoteUnavailable, match="504"):
        town.fetch_all()
    counts = [asked(request, "count") for request in town.calls("GET", "/members")]
    assert counts == [1000, 500, 250, 125] + 6 * [100]


@pytest.mark.fact("mailchimp: Errors", "503 and 504 of the CDN")
def test_halving_in_mid_paging_loses_nobody(town: Town) -> None:
    town.populate(5000)
    slow = Response(504, b"<html>", HTML)
    town.server.faults.append(Fault(path="offset=2970", answer=slow, times=2))
    assert len(town.fetch_all()) == 5000


def claim(total: int, request: Request, response: Response) -> Response:
    """The answer with another `total_items`."""
    if b"archived" in request.query.encode():
        return response
    body = json.loads(response.body) | {"total_items": total}
    return Response(200, json.dumps(body).encode(), response.headers)


@pytest.mark.fact("mailchimp: Members", "total_items counts what matches")
def test_fewer_members_than_counted_is_an_error(town: Town) -> None:
    town.populate(2500)
    town.server.faults.append(
        Fault(path=PAGE, rewrite=lambda *answer: claim(4000, *answer), times=None)
    )
    seen: list[Member] = []
    with pytest.raises(ProtocolError, match=r"received 2,500 of 4,000 members"):  # noqa: PT012
        for page in town.port.fetch_members(LIST, None):
            seen += page.members
    assert len(seen) == 2500  # and none of them twice, although it was read again


def test_more_members_than_were_asked_for_is_an_error(town: Town) -> None:
    row = {"id": "a", "email_address": "fred@example.org", "status": "subscribed"}
    page = json.dumps({"members": [row] * 1_001, "total_items": 1_001}).encode()
    town.server.faults.append(Fault(path=PAGE, answer=Response(200, page, JSON), times=None))
    with pytest.raises(ProtocolError, match="more members than were asked for"):
        list(town.port.fetch_members(LIST, None))


def test_a_wrong_count_that_passes_costs_a_second_reading_but_no_member_twice(town: Town) -> None:
    town.populate(50)
    town.server.faults.append(
        Fault(path=PAGE, rewrite=lambda *answer: claim(51, *answer), skip=1, times=2)
    )
    assert len(town.fetch_all()) == 50


def during(town: Town, offset: int, act: Callable[[], None]) -> None:
    """Have something happen at Mailchimp just before the page at `offset` is made."""
    done: list[bool] = []

    def before(request: Request) -> None:
        if f"offset={offset}" in request.query.split("&") and not done:
            done.append(True)
            town.clock.tick(hours=1)
            act()

    town.server.before_request = before


@pytest.mark.fact("mailchimp: Members", "rows move while we page")
@pytest.mark.parametrize("movers", [1, 9, 40, 700])
@pytest.mark.parametrize("offset", [990, 1980, 2970])
def test_members_who_change_while_we_read_are_not_lost(
    town: Town, movers: int, offset: int
) -> None:
    town.populate(3500)

    def edit() -> None:
        for number in range(movers):
            email = f"subscribed{number}@example.org"
            town.sim.edit_profile(LIST, email, first_name="Changed")

    during(town, offset, edit)
    members = town.fetch_all()
    newest = {member.member_id: member for member in members}
    assert len(newest) == 3500
    changed = [m for m in newest.values() if m.merge_fields["FNAME"] == "Changed"]
    assert len(changed) == movers
    assert len(members) == 3500 + movers  # they came twice, the others once


@pytest.mark.parametrize("movers", [1, 40, 700])
def test_members_who_are_archived_while_we_read_hide_nobody(town: Town, movers: int) -> None:
    town.populate(3500)

    def archive() -> None:
        for number in range(movers):
            town.sim.staff_archive(LIST, f"subscribed{number}@example.org")

    during(town, 1980, archive)
    newest = {member.email for member in town.fetch_all()}
    stayed = {f"subscribed{number}@example.org" for number in range(movers, 3500)}
    assert stayed <= newest


def test_who_comes_back_from_the_archive_while_we_read_is_not_missing(town: Town) -> None:
    town.populate(100)
    town.sim.import_member(LIST, FRED, status="archived", last_changed=START)
    archived_was_read: list[bool] = []

    def after(request: Request, response: Response) -> None:
        town.check(request, response)
        if "status=archived" in request.query and not archived_was_read:
            archived_was_read.append(True)
            town.clock.tick()
            town.sim.sign_up(LIST, FRED)

    town.server.after_request = after
    last = {member.email: member.status for member in town.fetch_all()}
    assert last[FRED] is MemberStatus.SUBSCRIBED


def test_new_members_while_we_read_come_too(town: Town) -> None:
    town.populate(2500)

    def arrive() -> None:
        for number in range(30):
            town.sim.sign_up(LIST, f"new{number}@example.org")

    during(town, 1980, arrive)
    assert len(town.fetch_all()) == 2530


def test_a_consumer_that_stops_early_leaves_nothing_running(town: Town) -> None:
    town.populate(6000)
    pages = town.port.fetch_members(LIST, None)
    next(pages), next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert len(town.fetch_all(START + timedelta(days=1))) == 0


# --- changes whose answers are lost ---------------------------------------------------------------


def test_archiving_whose_answer_is_lost_counts_as_done(town: Town) -> None:
    town.sim.import_member(LIST, FRED)
    town.server.faults.append(Fault(method="DELETE", drop="after"))
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), is_archiving=True)
    assert outcome.is_success
    assert len(town.calls("DELETE", subscriber_hash(FRED))) == 2


def test_archiving_an_old_member_whose_answer_is_lost_is_looked_up_by_its_own_id(
    town: Town,
) -> None:
    old_id = typed_hash("Fred@Example.ORG")
    town.sim.import_member(LIST, FRED, status="cleaned", subscriber_id=old_id)
    assert not town.change(FRED, member_id=old_id, is_archiving=True).is_success
    town.sim.import_member(LIST, WILMA, subscriber_id=typed_hash("Wilma@Example.ORG"))
    town.server.faults.append(Fault(method="DELETE", drop="after"))
    done = town.change(WILMA, member_id=typed_hash("Wilma@Example.ORG"), is_archiving=True)
    assert done.is_success
    assert done.member is not None
    assert done.member.status is MemberStatus.ARCHIVED


@pytest.mark.fact("mailchimp: Writing", "a change of address goes to the old hash")
def test_a_new_address_whose_answer_is_lost_counts_as_done(town: Town) -> None:
    town.sim.import_member(LIST, FRED)
    town.server.faults.append(Fault(method="PATCH", drop="after"))
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), new_email=WILMA)
    assert outcome.is_success
    assert outcome.member is not None
    assert outcome.member.email == WILMA


ASKING_TROUBLES = {
    "dropped-before": Fault(drop="before"),
    "dropped-after": Fault(drop="after"),
    "429": Fault(answer=Response(429, b"", {"Retry-After": "1"})),
    "500": Fault(answer=Response(500, b"{}", JSON)),
    "504": Fault(answer=Response(504, b"<html>", HTML)),
    "html": Fault(answer=Response(200, b"<html>", HTML)),
}


@pytest.mark.fact("mailchimp: Writing", "pending mails once")
@pytest.mark.parametrize("name", ASKING_TROUBLES)
def test_asking_to_confirm_is_never_repeated(town: Town, name: str) -> None:
    """It makes Mailchimp write to a human, and a mail cannot be taken back."""
    town.server.faults.append(replace(ASKING_TROUBLES[name]))
    with pytest.raises(RemoteUnavailable) as caught:
        town.change(FRED, status=MemberStatus.PENDING)
    assert len(town.calls("PUT", subscriber_hash(FRED))) == 1
    assert town.waits == []
    assert caught.value.may_have_arrived == (name != "429")
    assert len(town.sim.confirmation_mails) == (name == "dropped-after")


def test_asking_to_confirm_goes_out_once_the_way_is_there(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_connections(monkeypatch, 2)
    assert town.change(FRED, status=MemberStatus.PENDING).is_success
    assert len(town.waits) == 2
    assert len(town.sim.confirmation_mails) == 1


def test_any_other_change_is_tried_again(town: Town) -> None:
    town.server.faults.append(Fault(method="PUT", drop="after"))
    assert town.change(FRED, status=MemberStatus.SUBSCRIBED).is_success
    assert len(town.calls("PUT", subscriber_hash(FRED))) == 2


# --- results --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [Response(503, b"", HTML), None], ids=["503", "dropped"])
def test_trouble_while_fetching_results_passes(town: Town, how: Response | None) -> None:
    drop = None if how else "before"
    town.server.faults.append(Fault(path="batch-results", answer=how, drop=drop, times=2))
    (outcome,) = town.run(MemberChange(FRED, status=MemberStatus.SUBSCRIBED)).values()
    assert outcome.is_success


@pytest.mark.parametrize("status", [302, 403, 404])
def test_results_that_cannot_be_had_are_left_to_the_next_run(town: Town, status: int) -> None:
    denied = Response(status, b"<Error/>", {"Location": "http://example.org/"})
    town.server.faults.append(Fault(path="batch-results", answer=denied, times=None))
    with pytest.raises(RemoteUnavailable):
        town.run(MemberChange(FRED, status=MemberStatus.SUBSCRIBED))
    assert len([e for e in town.server.requests if "batch-results" in e.request.path]) == 2


# --- refusals, redirects, keys --------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Errors", "403 Forbidden, User Disabled")
@pytest.mark.parametrize(("status", "title"), [(401, "API Key Invalid"), (403, "User Disabled")])
def test_a_refusal_is_not_tried_again(town: Town, status: int, title: str) -> None:
    problem = json.dumps({"title": title, "status": status, "detail": "No."}).encode()
    town.server.faults.append(
        Fault(answer=Response(status, problem, {"Content-Type": "application/problem+json"}))
    )
    with pytest.raises(RemoteRefused, match=title) as caught:
        town.port.fetch_audience(LIST)
    assert len(town.server.requests) == 1
    assert caught.value.hint


@pytest.mark.fact("mailchimp: Errors", "403 Forbidden, User Disabled")
def test_a_refused_key_is_no_outcome_of_a_change(town: Town) -> None:
    problem = b'{"title": "User Disabled", "status": 403}'
    town.server.faults.append(Fault(answer=Response(403, problem, JSON)))
    with pytest.raises(RemoteRefused):
        town.change(FRED, status=MemberStatus.SUBSCRIBED)


def test_a_redirect_is_not_followed(town: Town) -> None:
    away = Response(302, b"", {"Location": f"{town.server.url}/3.0/lists/{LIST}"})
    town.server.faults.append(Fault(answer=away))
    with pytest.raises(ProtocolError, match="redirect") as caught:
        town.port.fetch_audience(LIST)
    assert "apiUrl" in (caught.value.hint or "")
    assert len(town.server.requests) == 1


def test_json_that_is_cut_is_a_protocol_error(town: Town) -> None:
    town.populate(5)
    town.server.faults.append(
        Fault(rewrite=lambda _, whole: Response(200, whole.body[:-20], whole.headers))
    )
    with pytest.raises(ProtocolError):
        town.fetch_all()


def test_who_has_a_status_nobody_knows_is_counted_and_comes_as_odd_c8(town: Town) -> None:
    town.populate(5)
    town.sim.import_member(LIST, FRED, "unsubscribed")
    town.server.faults.append(
        Fault(
            path=PAGE,
            times=None,
            rewrite=lambda _, whole: Response(
                200, whole.body.replace(b'"subscribed"', b'"enchanted"'), whole.headers
            ),
        )
    )
    oddities = {member.email: member.oddity for member in town.fetch_all()}
    assert oddities.pop(FRED) == ""
    assert list(oddities.values()) == ['the unknown status "enchanted"'] * 5


def test_no_key_and_no_address_in_the_log(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    town.sim.import_member(LIST, FRED)
    town.server.faults.append(Fault(drop="before"))
    with caplog.at_level(logging.DEBUG):
        town.fetch_all()
        town.member(FRED)
        town.change(FRED, member_id=subscriber_hash(FRED), merge_fields={"FNAME": "Fred"})
        town.run(MemberChange(WILMA, status=MemberStatus.SUBSCRIBED))
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("mcsync")]
    assert len(ours) >= 6
    assert not any(KEY in line or "@" in line or "Signature" in line for line in ours)
