"""Facts about Mailchimp that needed a test of their own, against the adapter over HTTP."""

import json
import re
import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import pytest
from mailchimp_bedrock import KEY, LIST
from mailchimp_town import BARNEY, FRED, START, WILMA, Town, serve

from mcsync.errors import ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.http import READ_TIMEOUT_S, RETRIES, Reply
from mcsync.mailchimp.client import MAX_CONNECTIONS, MailchimpClient
from mcsync.mailchimp.wire import read_outcome
from mcsync.model import LONG_AGO, Batch, MemberChange, MemberStatus, Operation, Refusal
from mcsync.pipeline.submit import BATCH_SIZE
from mcsync.sandbox.mailchimp import subscriber_hash
from mcsync.sandbox.server import Fault, Request, Response

JSON = {"Content-Type": "application/json; charset=utf-8"}
PROBLEM = {"Content-Type": "application/problem+json; charset=utf-8"}
OTHER_LIST = "bbbbbbbbbb"


town = pytest.fixture(serve)


def requests_of(town: Town) -> list[Request]:
    return [exchange.request for exchange in town.server.requests]


# --- 1. address, key, envelope --------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Account", "Basic auth")
def test_the_key_is_the_password_of_basic_auth(town: Town) -> None:
    """Basic with any user name and the key as password; never in the address."""
    town.port.fetch_audience(LIST)
    (request,) = requests_of(town)
    kind, _, credentials = request.headers["authorization"].partition(" ")
    assert kind == "Basic"
    user, _, password = b64decode(credentials).decode().partition(":")
    assert user
    assert password == KEY
    assert KEY not in f"{request.path}?{request.query}"


@pytest.mark.fact("mailchimp: Account", "one host for every account; override")
def test_another_host_for_every_account_may_be_given(town: Town) -> None:
    """Old hosts have the data centre of the key, newest docs have one host for all: what
    stands in `apiUrl` is used, whatever the key ends with."""
    town.sim.add_account("0123456789abcdef0123456789abcdef-us99")
    port = MailchimpClient("0123456789abcdef0123456789abcdef-us99", f"{town.server.url}/3.0/")
    assert port.fetch_batches() == ()
    assert requests_of(town)[0].path == "/3.0/batches"


@pytest.mark.fact("mailchimp: Account", "plain HTTP is 426")
@pytest.mark.fact("mailchimp: Errors", "400 JSON Parse Exception, Bad Request", "414, 422")
@pytest.mark.parametrize(
    ("status", "title"),
    [
        (414, "URI Too Long"),
        (422, "Unprocessable Entity"),
        (426, "Upgrade Required"),
        (400, "JSON Parse Exception"),
        (405, "Method Not Allowed"),
    ],
)
def test_what_nobody_can_mend_is_told_once(town: Town, status: int, title: str) -> None:
    """414 nesting, 422 override, 426 plain HTTP (not redirected), 400, 405."""
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": "No."})
    town.server.faults.append(Fault(answer=Response(status, body.encode(), PROBLEM), times=None))
    with pytest.raises(ProtocolError, match=title):
        list(town.port.fetch_members(LIST, None))
    assert len(town.server.requests) == 1
    assert town.waits == []


TYPES: dict[str, dict[str, object]] = {
    "absent": {},
    "of long ago": {"type": "http://developer.mailchimp.com/documentation/mailchimp/guides/"},
    "of today": {"type": "https://mailchimp.com/developer/marketing/docs/errors/"},
    "of something else": {"type": "https://example.org/Member-Exists"},
    "nothing": {"type": None},
}


@pytest.mark.fact("mailchimp: Errors", "status and title decide, never type")
@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize(
    ("title", "refusal"),
    [
        ("Member In Compliance State", Refusal.COMPLIANCE),
        ("Forgotten Email Not Subscribed", Refusal.FORGOTTEN),
        ("Member Exists", Refusal.EXISTS),
    ],
)
def test_an_error_is_known_by_status_and_title_whatever_its_type(
    town: Town, kind: dict[str, object], title: str, refusal: Refusal
) -> None:
    """`type` is sometimes absent and has changed over the years; `instance` may be ""."""
    problem = {**kind, "title": title, "status": 400, "detail": "", "instance": ""}
    answer = Response(400, json.dumps(problem).encode(), PROBLEM)
    town.server.faults.append(Fault(method="PUT", answer=answer))
    assert town.change(FRED, status=MemberStatus.SUBSCRIBED).refusal is refusal


REFUSED_PEOPLE = {
    "fake": ("fake_addresses", Refusal.FAKE),
    "busy": ("busy_addresses", Refusal.TEMPORARY),
}


@pytest.mark.fact(
    "mailchimp: Errors", "400 looks fake or invalid", "400 signed up to a lot of lists"
)
@pytest.mark.parametrize(("kind", "refusal"), REFUSED_PEOPLE.values(), ids=REFUSED_PEOPLE)
def test_a_refused_address_is_told_apart_in_a_batch_too(
    town: Town, kind: str, refusal: Refusal
) -> None:
    """A refusal "looks fake or invalid" is for ever, "signed up to a lot of lists" is not."""
    getattr(town.sim.settings, kind).add(FRED)
    outcomes = town.run(
        MemberChange(FRED, status=MemberStatus.SUBSCRIBED),
        MemberChange(WILMA, status=MemberStatus.SUBSCRIBED),
    )
    assert outcomes["op0"].refusal is refusal
    assert outcomes["op1"].is_success


@pytest.mark.fact("mailchimp: Errors", "400 Forgotten Email Not Subscribed")
def test_pending_is_no_way_around_a_permanent_deletion(town: Town) -> None:
    """Forgotten Email Not Subscribed is said to `subscribed` AND `pending`."""
    town.sim.import_member(LIST, FRED)
    town.sim.staff_delete_permanently(LIST, FRED)
    for status in (MemberStatus.SUBSCRIBED, MemberStatus.PENDING):
        assert town.change(FRED, status=status).refusal is Refusal.FORGOTTEN
    assert town.sim.confirmation_mails == []
    assert town.port.fetch_member(LIST, FRED) is None
    assert town.fetch_all() == []


@pytest.mark.fact("mailchimp: Errors", "405 cannot archive")
@pytest.mark.parametrize("status", ["archived", "pending", "cleaned"])
def test_only_subscribed_and_unsubscribed_members_can_be_archived(town: Town, status: str) -> None:
    """405 for the others; to archive the archived is done, not refused."""
    town.sim.import_member(LIST, FRED, status=status)
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), is_archiving=True)
    assert outcome.is_success == (status == "archived")
    assert town.member(FRED).status.value == status


@pytest.mark.fact("mailchimp: Errors", "429 may come without JSON")
@pytest.mark.parametrize("has_body", [True, False])
def test_the_eleventh_request_at_once_comes_again(town: Town, has_body: bool) -> None:
    """429 Too Many Requests may come without JSON, and is no refusal."""
    town.sim.settings.drop_429_body = not has_body
    town.sim.settings.max_connections = 0
    town.populate(3)

    def make_room(request: Request) -> None:
        if len(town.server.requests) >= 1:
            town.sim.settings.max_connections = 10

    town.server.before_request = make_room
    assert len(town.fetch_all()) == 3
    assert [exchange.status for exchange in town.server.requests].count(429) == len(town.waits)


# --- 2. limits ------------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Limits", "ten connections per user")
def test_one_account_has_at_most_six_connections(town: Town) -> None:
    """Ten at once per USER, whoever else uses the account: we take six."""
    assert MAX_CONNECTIONS == 6
    port = MailchimpClient(KEY, f"{town.server.url}/3.0")
    lock, now, most = threading.Lock(), 0, 0
    full, too_many = threading.Event(), threading.Event()

    def enter(request: Request) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now == MAX_CONNECTIONS:
                full.set()
            if now > MAX_CONNECTIONS:
                too_many.set()
        full.wait(5)
        too_many.wait(0.1)

    def leave(request: Request, response: Response) -> None:
        nonlocal now
        with lock:
            now -= 1

    town.server.before_request, town.server.after_request = enter, leave
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: port.fetch_audience(LIST), range(12)))
    assert len(found) == 12
    assert most == MAX_CONNECTIONS


@pytest.mark.fact("mailchimp: Limits", "a call may take 120 s")
def test_we_wait_longer_than_mailchimp_itself(town: Town) -> None:
    """It ends a call after 120 s; who hangs up before does not know what became of it."""
    assert READ_TIMEOUT_S > 120


@pytest.mark.fact("mailchimp: Limits", "a thousand operations in a batch")
def test_a_batch_holds_as_many_operations_as_the_guide_uses() -> None:
    """No maximum is documented; the guide uses 1000."""
    assert BATCH_SIZE <= 1000


@pytest.mark.fact("mailchimp: Limits", "a time-out may still run: not at once")
def test_an_answer_that_took_too_long_is_not_asked_for_again_at_once(town: Town) -> None:
    """It may still run and hold a slot: a pause first, then less."""
    town.populate(10)
    slow = Response(504, b"<html>", {"Content-Type": "text/html"})
    town.server.faults.append(Fault(path="count=1000", answer=slow, times=1))
    assert len(town.fetch_all()) == 10
    assert len(town.waits) == 1
    assert town.waits[0] >= 5


@pytest.mark.fact("mailchimp: Limits", "an offset past the end")
def test_an_offset_past_the_end_is_an_empty_page_and_no_end_of_the_world(town: Town) -> None:
    """200, an empty array and the full `total_items`: here after a count that shrank."""
    town.populate(1500)

    def shrink(request: Request) -> None:
        if "offset=990" in request.query.split("&"):
            for number in range(800):
                town.sim.staff_archive(LIST, f"subscribed{number}@example.org")

    town.server.before_request = shrink
    kept = {f"subscribed{number}@example.org" for number in range(800, 1500)}
    assert kept <= {member.email for member in town.fetch_all()}


# --- 3. members -----------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Members", "times are UTC; unknown ones are empty")
def test_an_unknown_time_is_an_empty_string_and_long_ago(town: Town) -> None:
    """Not null."""
    town.sim.import_member(LIST, FRED)

    def forget(request: Request, response: Response) -> Response:
        body = re.sub(rb'"last_changed":\s*"[^"]*"', b'"last_changed": ""', response.body)
        return Response(200, body, response.headers)

    town.server.faults.append(Fault(path="/members", rewrite=forget, times=None))
    assert [member.last_changed for member in town.fetch_all()] == [LONG_AGO]


@pytest.mark.fact("mailchimp: Members", "times are UTC; unknown ones are empty")
@pytest.mark.parametrize("value", ["2021-11-23 22:52:05", "yesterday"])
def test_a_time_that_is_none_is_not_guessed(town: Town, value: str) -> None:
    """Times are ISO 8601 with `+00:00`; anything else is as unknown as none.

    Who is out since nobody knows when is out as of now.
    """
    town.sim.import_member(LIST, FRED)
    town.sim.import_member(LIST, WILMA, "unsubscribed")

    def spoil(request: Request, response: Response) -> Response:
        said = f'"last_changed": "{value}"'.encode()
        body = re.sub(rb'"last_changed":\s*"[^"]*"', said, response.body)
        return Response(200, body, response.headers)

    town.server.faults.append(Fault(path="/members", rewrite=spoil, times=None))
    at = {member.email: member.last_changed for member in town.fetch_all()}
    assert at == {FRED: LONG_AGO, WILMA: town.clock.now.replace(microsecond=0)}
    wilma = town.port.fetch_member(LIST, WILMA)
    assert wilma is not None
    assert wilma.last_changed == at[WILMA]


@pytest.mark.fact("mailchimp: Members", "interests absent or null; empty values")
def test_interests_are_absent_without_groups_and_empty_fields_are_blank(town: Town) -> None:
    """`interests` is absent; empty merge values are "", also for addresses and numbers."""
    town.sim.add_merge_field(LIST, "CAVE", "Cave", "address")
    town.sim.add_merge_field(LIST, "AGE", "Age", "number")
    town.sim.import_member(LIST, FRED)
    (member,) = town.fetch_all()
    assert member.interests == {}
    assert {member.merge_fields[tag] for tag in ("CAVE", "AGE", "FNAME")} == {""}


@pytest.mark.fact("mailchimp: Members", "interests absent or null; empty values")
@pytest.mark.parametrize("field", ["merge_fields", "interests"])
def test_null_instead_of_a_map_is_an_empty_one(town: Town, field: str) -> None:
    """Peers met null `interests` and `merge_fields`."""
    town.sim.add_interest(LIST, "Clubs", "i1", "Bowling")
    town.sim.import_member(LIST, FRED)

    def nothing(request: Request, response: Response) -> Response:
        body = json.loads(response.body)
        for member in body["members"]:
            member[field] = None
        return Response(200, json.dumps(body).encode(), response.headers)

    town.server.faults.append(Fault(path="/members", rewrite=nothing, times=None))
    (member,) = town.fetch_all()
    assert getattr(member, field) == {}


@pytest.mark.fact("mailchimp: Members", "unsubscribe_reason")
@pytest.mark.parametrize(("by_staff", "has_left"), [(True, False), (False, True)])
def test_the_reason_tells_whether_somebody_left_alone(
    town: Town, by_staff: bool, has_left: bool
) -> None:
    """`unsubscribe_reason` is there on unsubscribed members only; "N/A (Unsubscribed by
    admin)" after an unsubscribe by the API."""
    town.sim.import_member(LIST, FRED)
    assert not town.member(FRED).has_left
    if by_staff:
        town.change(FRED, member_id=subscriber_hash(FRED), status=MemberStatus.UNSUBSCRIBED)
    else:
        town.sim.leave(LIST, FRED)
    (member,) = town.fetch_all()
    assert member.status is MemberStatus.UNSUBSCRIBED
    assert member.has_left is has_left


@pytest.mark.fact("mailchimp: Members", "+0000 fails")
def test_the_lower_bound_of_a_window_is_never_a_zone_that_fails(town: Town) -> None:
    """Offsets are ignored, `+0000` fails, an unencoded plus is a space: always `Z`."""
    town.fetch_all(datetime(2021, 11, 1, 5, 30, 7, 999999, tzinfo=UTC))
    for request in requests_of(town):
        assert "since_last_changed=2021-11-01T05%3A30%3A07Z" in request.query
        assert "+" not in request.query
        assert "1970" not in request.query


@pytest.mark.fact("mailchimp: Members", "many members share a second")
def test_members_of_one_second_come_once_each(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of ten members shared a second in a recorded import: `last_changed` alone is no
    cursor."""
    town.populate(2500, per_second=2500)
    members = town.fetch_all(START - timedelta(seconds=1))
    assert len(members) == len({member.member_id for member in members}) == 2500


@pytest.mark.fact("mailchimp: Members", "permanently deleted contacts never appear")
def test_a_member_deleted_for_good_is_as_one_who_never_was(town: Town) -> None:
    """Never listed, and 404 alone: only a full list tells, by absence."""
    town.sim.import_member(LIST, FRED)
    town.sim.import_member(LIST, WILMA)
    town.clock.tick(60)
    town.sim.staff_delete_permanently(LIST, FRED)
    assert [member.email for member in town.fetch_all()] == [WILMA]
    assert town.fetch_all(town.clock.now - timedelta(seconds=5)) == []
    assert town.port.fetch_member(LIST, FRED) is None


# --- 4. who is who --------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Identity", "the same id in every audience")
def test_one_address_in_two_audiences_has_one_id_and_is_two_members(town: Town) -> None:
    """Keyed by list and id: a change goes to the audience that it names."""
    town.sim.add_audience(OTHER_LIST, "Rubble", KEY)
    for list_id in (LIST, OTHER_LIST):
        town.sim.import_member(list_id, FRED)
    assert town.member(FRED).member_id == subscriber_hash(FRED)
    town.change(FRED, member_id=subscriber_hash(FRED), status=MemberStatus.UNSUBSCRIBED)
    there = town.port.fetch_member(OTHER_LIST, FRED)
    assert there is not None
    assert there.member_id == subscriber_hash(FRED)
    assert there.status is MemberStatus.SUBSCRIBED
    assert town.member(FRED).status is MemberStatus.UNSUBSCRIBED


@pytest.mark.fact("mailchimp: Identity", "plus-addresses are distinct")
def test_plus_addresses_are_distinct_people(town: Town) -> None:
    town.sim.import_member(LIST, "fred+news@example.org", first_name="News")
    assert town.port.fetch_member(LIST, FRED) is None
    assert town.member("Fred+News@example.org").merge_fields["FNAME"] == "News"
    assert town.change(FRED, status=MemberStatus.SUBSCRIBED).is_success
    assert {m.email for m in town.fetch_all()} == {FRED, "fred+news@example.org"}


@pytest.mark.fact("mailchimp: Identity", "a hash without lower-casing fails")
def test_an_address_typed_in_capitals_is_written_under_its_lower_case_hash(town: Town) -> None:
    """A hash computed without lower-casing makes PUT fail with Member Exists."""
    town.sim.import_member(LIST, FRED, status="unsubscribed")
    assert town.change("FRED@Example.ORG", status=MemberStatus.SUBSCRIBED).is_success
    assert town.member(FRED).status is MemberStatus.SUBSCRIBED


@pytest.mark.fact("mailchimp: Writing", "bodies are UTF-8")
def test_addresses_are_sent_as_utf_8(town: Town) -> None:
    """A Latin-1 body is refused as null."""
    name = "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"
    outcome = town.change(FRED, status=MemberStatus.SUBSCRIBED, merge_fields={"FNAME": name})
    assert outcome.member is not None
    assert outcome.member.merge_fields["FNAME"] == name
    assert name.encode() in town.calls("PUT", subscriber_hash(FRED))[0].body


# --- 5. writing -----------------------------------------------------------------------------------


@pytest.mark.fact(
    "mailchimp: Writing",
    "absent properties stay untouched",
    "interests: a map, only sent ids change",
)
def test_absent_properties_stay_untouched(town: Town) -> None:
    """PUT behaves like a merge: names, interests and tags that are not named stay."""
    for interest in ("i1", "i2"):
        town.sim.add_interest(LIST, "Clubs", interest, f"Club {interest}")
    town.sim.import_member(
        LIST, FRED, "unsubscribed", "Fred", "Flintstone", interests=["i1"], tags=["Quarry"]
    )
    outcome = town.change(
        FRED,
        member_id=subscriber_hash(FRED),
        status=MemberStatus.SUBSCRIBED,
        merge_fields={"LNAME": "Rubble"},
        interests={"i2": True},
    )
    assert outcome.member is not None
    assert outcome.member.merge_fields == {"FNAME": "Fred", "LNAME": "Rubble"}
    assert outcome.member.interests == {"i1": True, "i2": True}
    shown = town.sim.member(LIST, FRED)
    assert shown is not None
    assert [tag["name"] for tag in shown["tags"]] == ["Quarry"]  # type: ignore[attr-defined]


@pytest.mark.fact("mailchimp: Writing", "unknown tags ignored, a blank clears")
def test_a_blank_clears_a_field_of_any_type(town: Town) -> None:
    """`""` clears; an absent field would stay as it is."""
    town.sim.add_merge_field(LIST, "BORN", "Born", "date")
    town.sim.import_member(LIST, FRED, "subscribed", "Fred", merge_fields={"BORN": "1960-09-30"})
    blank = {"FNAME": "", "BORN": ""}
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), merge_fields=blank)
    assert outcome.is_success
    assert town.member(FRED).merge_fields == {"FNAME": "", "LNAME": "", "BORN": ""}


@pytest.mark.fact("mailchimp: Writing", "unknown tags ignored, a blank clears")
def test_an_unknown_field_is_silently_ignored(town: Town) -> None:
    """200: so fields are read first, and what was stored is what the answer shows."""
    town.sim.import_member(LIST, FRED)
    before = town.member(FRED)
    town.clock.tick(60)
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), merge_fields={"NONSENSE": "x"})
    assert outcome.is_success
    assert outcome.member is not None
    assert "NONSENSE" not in outcome.member.merge_fields
    assert town.member(FRED).last_changed == before.last_changed


@pytest.mark.fact("mailchimp: Errors", "400 Invalid Resource with errors")
@pytest.mark.fact("mailchimp: Writing", "required fields, addresses, dates")
def test_a_required_field_that_is_missing_is_named(town: Town) -> None:
    """400 with `errors`: not a matter of the address."""
    town.sim.add_merge_field(LIST, "BORN", "Born", "text", required=True)
    outcome = town.change(FRED, status=MemberStatus.SUBSCRIBED)
    assert outcome.refusal is Refusal.MERGE_FIELDS
    assert "BORN" in outcome.error
    assert "enter a value" in outcome.error


@pytest.mark.fact("mailchimp: Writing", "un-archive by an explicit status")
def test_an_archived_member_comes_back_only_by_an_explicit_status(town: Town) -> None:
    """A change without a status leaves somebody archived; with one it does not."""
    town.sim.import_member(LIST, FRED, "archived", "Fred", tags=["Quarry"])
    town.change(FRED, member_id=subscriber_hash(FRED), merge_fields={"FNAME": "Frederick"})
    assert town.member(FRED).status is MemberStatus.ARCHIVED
    town.change(FRED, member_id=subscriber_hash(FRED), tags={"Bowling": True})
    assert town.member(FRED).status is MemberStatus.ARCHIVED  # tags are taken, 204
    town.change(FRED, member_id=subscriber_hash(FRED), status=MemberStatus.SUBSCRIBED)
    assert town.member(FRED).status is MemberStatus.SUBSCRIBED
    assert town.member(FRED).merge_fields["FNAME"] == "Frederick"


@pytest.mark.fact("mailchimp: Members", "when last_changed moves and when not")
@pytest.mark.fact("mailchimp: Writing", "DELETE archives and keeps everything")
def test_archiving_keeps_everything_and_moves_last_changed(town: Town) -> None:
    """So an archived member comes in the next increment, with all data."""
    town.sim.import_member(LIST, FRED, "subscribed", "Fred", last_changed=START)
    town.clock.tick(60)
    now = town.clock.now
    town.change(FRED, member_id=subscriber_hash(FRED), is_archiving=True)
    (member,) = town.fetch_all(now - timedelta(seconds=1))
    assert (member.status, member.merge_fields["FNAME"]) == (MemberStatus.ARCHIVED, "Fred")
    assert member.last_changed == now


@pytest.mark.fact("mailchimp: Errors", "400 Member Exists")
@pytest.mark.fact("mailchimp: Writing", "PUT follows the body")
def test_a_stale_hash_is_no_safe_repetition(town: Town) -> None:
    """PUT follows the BODY when the path is unknown: the member is created anew under its
    own hash, and the same PUT repeated is refused as Member Exists, not taken for a success."""
    stale = subscriber_hash(WILMA)
    again = [town.change(FRED, member_id=stale, status=MemberStatus.SUBSCRIBED) for _ in range(2)]
    assert again[0].is_success
    assert again[0].member is not None
    assert again[0].member.member_id == subscriber_hash(FRED)
    assert again[1].refusal is Refusal.EXISTS


@pytest.mark.fact("mailchimp: Writing", "PATCH only updates; statuses it takes")
def test_a_change_of_somebody_else_than_subscribed_never_creates_anybody(town: Town) -> None:
    """PATCH only updates: unsubscribing somebody who is not there makes no member."""
    for how in (
        {"status": MemberStatus.UNSUBSCRIBED},
        {"merge_fields": {"FNAME": "Fred"}},
        {"new_email": BARNEY},
    ):
        outcome = town.change(FRED, member_id=subscriber_hash(FRED), **how)
        assert outcome.refusal is Refusal.NOT_FOUND
    assert town.sim.members(LIST) == {}


@pytest.mark.fact("mailchimp: Writing", "a change of address goes to the old hash")
@pytest.mark.parametrize("status", ["unsubscribed", "cleaned", "pending", "archived"])
def test_the_address_of_somebody_not_subscribed_stays(town: Town, status: str) -> None:
    """It answers "You can only update email addresses for members with a status of
    subscribed": a refusal of that one person."""
    town.sim.import_member(LIST, FRED, status=status)
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), new_email=BARNEY)
    assert not outcome.is_success
    assert "only update email addresses" in outcome.error
    assert town.port.fetch_member(LIST, BARNEY) is None
    assert town.member(FRED).status.value == status


@pytest.mark.fact("mailchimp: Writing", "unsubscribed by the API may come back")
def test_an_unsubscribe_of_ours_can_be_undone_and_one_of_theirs_cannot(town: Town) -> None:
    """Unsubscribed by the API: subscribed again at once. By a link: Compliance State."""
    for email in (FRED, WILMA):
        town.sim.import_member(LIST, email)
    town.change(FRED, member_id=subscriber_hash(FRED), status=MemberStatus.UNSUBSCRIBED)
    town.sim.leave(LIST, WILMA)
    outcomes = {
        email: town.change(email, member_id=subscriber_hash(email), status=MemberStatus.SUBSCRIBED)
        for email in (FRED, WILMA)
    }
    assert outcomes[FRED].is_success
    assert outcomes[WILMA].refusal is Refusal.COMPLIANCE


@pytest.mark.fact("mailchimp: Writing", "delete-permanent: never; no ip")
def test_nothing_that_we_send_erases_anybody_or_tells_an_address_of_the_internet(
    town: Town,
) -> None:
    """`actions/delete-permanent` forgets an address for ever: never asked for. No
    `ip_signup` or `ip_opt` is sent, which would have to be valid."""
    town.sim.import_member(LIST, FRED)
    town.change(FRED, member_id=subscriber_hash(FRED), merge_fields={"FNAME": "F"})
    town.change(FRED, member_id=subscriber_hash(FRED), tags={"Quarry": True})
    town.change(FRED, member_id=subscriber_hash(FRED), is_archiving=True)
    town.run(MemberChange(WILMA, status=MemberStatus.PENDING))
    for request in requests_of(town):
        assert "/actions/" not in request.path
        assert b"delete-permanent" not in request.body
        assert b"ip_" not in request.body
    archived = town.sim.member(LIST, FRED)
    assert archived is not None
    assert archived["status"] == "archived"


@pytest.mark.fact("mailchimp: Writing", "tags: wrapped, 204, 404 of nobody")
def test_tags_are_wrapped_and_only_the_named_ones_change(town: Town) -> None:
    """`{"tags": [...]}`: a bare list or object gives 204 and does nothing."""
    town.sim.import_member(LIST, FRED, tags=["Quarry", "Lodge"])
    town.change(FRED, member_id=subscriber_hash(FRED), tags={"Quarry": False, "Bowling": True})
    (call,) = town.calls("POST", "/tags")
    assert json.loads(call.body) == {
        "tags": [
            {"name": "Quarry", "status": "inactive"},
            {"name": "Bowling", "status": "active"},
        ]
    }
    shown = town.sim.member(LIST, FRED)
    assert shown is not None
    assert {tag["name"] for tag in shown["tags"]} == {"Lodge", "Bowling"}  # type: ignore[attr-defined]


# --- 6. batches -----------------------------------------------------------------------------------


def submitted(town: Town) -> list[dict[str, object]]:
    """The operations that were submitted."""
    return [
        operation
        for call in town.calls("POST", "/batches")
        for operation in json.loads(call.body)["operations"]
    ]


@pytest.mark.fact("mailchimp: Batches", "operations: path, body as a string, no params")
def test_operations_are_as_documented(town: Town) -> None:
    """`path` begins with a slash and is relative to `/3.0`; `body` is a JSON STRING (an
    object would fail operation by operation); `params`, which are for GET, are never sent; ids
    are ours and unique."""
    town.sim.import_member(LIST, FRED, tags=["Quarry"])
    town.run(
        MemberChange(WILMA, status=MemberStatus.SUBSCRIBED),
        MemberChange(FRED, subscriber_hash(FRED), merge_fields={"FNAME": "F"}),
        MemberChange(BARNEY, subscriber_hash(BARNEY), is_archiving=True),
    )
    operations = submitted(town)
    assert [operation["method"] for operation in operations] == ["PUT", "PATCH", "DELETE"]
    for operation in operations:
        assert str(operation["path"]).startswith(f"/lists/{LIST}/members/")
        assert isinstance(operation.get("body", ""), str)
        assert set(operation) <= {"method", "path", "operation_id", "body"}
    assert "body" not in operations[2]
    assert len({operation["operation_id"] for operation in operations}) == 3


@pytest.mark.fact("mailchimp: Batches", "finished is not success")
def test_finished_is_not_success(town: Town) -> None:
    """`finished_operations` includes failures; `errored_operations` are the non-2xx."""
    town.sim.import_member(LIST, FRED, status="unsubscribed", left=True)
    change = MemberChange(FRED, subscriber_hash(FRED), status=MemberStatus.SUBSCRIBED)
    batch_id = town.port.submit_batch([Operation("a", LIST, change)]).batch_id
    town.sim.run_batches()
    batch = town.batch(batch_id)
    assert batch.is_finished
    assert (batch.finished_operations, batch.errored_operations) == (1, 1)
    (outcome,) = town.port.fetch_outcomes(batch)
    assert not outcome.is_success


STATUSES = ["pending", "preprocessing", "started", "finalizing", "finished"]


@pytest.mark.fact("mailchimp: Batches", "the order of statuses")
def test_only_the_last_of_five_statuses_is_the_end(town: Town) -> None:
    """pending, preprocessing, started, finalizing, finished."""
    town.sim.settings.batch_delay_polls = 5
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    batch = town.port.submit_batch([Operation("a", LIST, change)])
    seen = [batch.status]
    while not batch.is_finished:
        assert len(seen) < 20
        batch = town.batch(batch.batch_id)
        seen.append(batch.status)
    assert list(dict.fromkeys(seen)) == STATUSES
    assert [Batch("x", status, 0, 0, 0, START).is_finished for status in STATUSES] == [
        *[False] * 4,
        True,
    ]


@pytest.mark.fact("mailchimp: Batches", "results are unordered")
def test_results_are_told_by_their_operation_in_whatever_order(town: Town) -> None:
    """Neither operations nor results keep an order."""
    changes = [
        MemberChange(f"pebbles{n}@example.org", status=MemberStatus.SUBSCRIBED) for n in range(40)
    ]
    outcomes = town.run(*changes)
    for number, change in enumerate(changes):
        member = outcomes[f"op{number}"].member
        assert member is not None
        assert member.email == change.email


@pytest.mark.fact("mailchimp: Batches", "no credentials to it; the host is not pinned")
def test_results_may_lie_at_any_host(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host changed in May 2022: it is not pinned, and never gets our key."""
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    batch_id = town.port.submit_batch([Operation("a", LIST, change)]).batch_id
    town.sim.run_batches()
    batch = town.batch(batch_id)
    elsewhere = "https://storage.example.org/results.tar.gz?Signature=x"
    download, asked = town.http.download, []

    def fetch(url: str, into: BinaryIO, **how: Any) -> Reply:
        asked.append((url, set(how)))
        return download(batch.results_url, into, **how)

    monkeypatch.setattr(town.http, "download", fetch)
    (outcome,) = town.port.fetch_outcomes(replace(batch, results_url=elsewhere))
    assert outcome.is_success
    assert asked == [(elsewhere, {"max_bytes"})]


@pytest.mark.fact("mailchimp: Batches", "GET /batches: seven days, paged")
def test_a_batch_of_more_than_seven_days_is_unknown(town: Town) -> None:
    """404, which is no error: its results are all missing."""
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    batch_id = town.port.submit_batch([Operation("a", LIST, change)]).batch_id
    town.sim.run_batches()
    town.clock.tick(days=8)
    assert town.port.fetch_batch(batch_id) is None
    assert town.port.fetch_batches() == ()


@pytest.mark.fact("mailchimp: Batches", "no idempotency")
def test_two_submissions_are_two_batches(town: Town) -> None:
    """There is no idempotency: a lost answer is looked for in the list, by number and
    time, and never sent again blindly."""
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    town.server.faults.append(Fault(method="POST", drop="after"))
    with pytest.raises(RemoteUnavailable):
        town.port.submit_batch([Operation("a", LIST, change)])
    (lost,) = town.port.fetch_batches()
    assert lost.submitted_at == town.clock.now
    assert len(town.calls("POST", "/batches")) == 1


@pytest.mark.fact("mailchimp: Limits", "500 pending batches or events")
def test_too_many_batches_waiting_is_trouble_that_passes(town: Town) -> None:
    """429 for POST /batches while 500 are pending: it says that nothing was taken,
    so it is waited for, and nothing is lost when that does not help."""
    town.sim.settings.batch_delay_polls = None
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    answer = Response(429, b'{"title": "Too Many Requests", "status": 429}', PROBLEM)
    town.server.faults.append(Fault(method="POST", answer=answer, times=None))
    with pytest.raises(RemoteUnavailable, match="429") as caught:
        town.port.submit_batch([Operation("a", LIST, change)])
    assert len(town.server.requests) == RETRIES + 1
    assert not caught.value.may_have_arrived


@pytest.mark.fact("mailchimp: Batches", "retry 429 and 5xx, never 400, 404, 422")
def test_an_operation_that_failed_for_a_while_is_told_from_one_that_failed_for_good(
    town: Town,
) -> None:
    """429 and 5xx may be repeated, 400, 404 and 422 never blindly."""
    for status, refusal in {
        429: Refusal.TEMPORARY,
        500: Refusal.TEMPORARY,
        503: Refusal.TEMPORARY,
        400: Refusal.INVALID,
        404: Refusal.NOT_FOUND,
        422: Refusal.INVALID,
    }.items():
        answer = json.dumps({"title": "Whatever", "status": status}).encode()
        assert read_outcome("a", status, answer).refusal is refusal


@pytest.mark.fact("mailchimp: Errors", "404 Resource Not Found")
def test_a_list_of_another_account_is_refused_and_not_empty(town: Town) -> None:
    """404 Resource Not Found: an unknown list is an error and nobody's absence."""
    town.sim.add_account("fedcba9876543210-us7")
    town.sim.add_audience(OTHER_LIST, "Slate", "fedcba9876543210-us7")
    town.sim.import_member(OTHER_LIST, FRED)
    with pytest.raises(RemoteRefused, match=OTHER_LIST):
        list(town.port.fetch_members(OTHER_LIST, None))


@pytest.mark.fact("mailchimp: Limits", "POST /lists/{id} with 500 members is never made")
def test_bulk_list_requests_are_never_made(town: Town) -> None:
    """`POST /lists/{id}` takes 500 and answers for all at once: batches are used instead."""
    town.run(MemberChange(FRED, status=MemberStatus.SUBSCRIBED))
    assert [r.path for r in requests_of(town) if r.method == "POST"] == ["/3.0/batches"]
