"""The Mailchimp adapter against the simulator: what it asks, what it makes of the answers.

Every request it makes here is held against Mailchimp's own description.
"""

import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from mailchimp_bedrock import KEY, LIST
from mailchimp_town import BARNEY, FRED, START, WILMA, Town, serve

from mcsync.errors import ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.mailchimp.client import MailchimpClient
from mcsync.mailchimp.members import PAGE_SIZE
from mcsync.model import (
    Batch,
    MemberChange,
    MemberStatus,
    Operation,
    Refusal,
)
from mcsync.sandbox.mailchimp import subscriber_hash, typed_hash
from mcsync.sandbox.server import Fault, Request, Response

town = pytest.fixture(serve)


# --- the account ----------------------------------------------------------------------------------


def test_mailchimps_clock_is_asked_for_when_it_has_not_answered_yet(town: Town) -> None:
    assert town.port.fetch_now() == town.clock.now
    assert town.port.fetch_now() == town.clock.now
    assert [e.request.path for e in town.server.requests] == ["/3.0/ping"]


def test_mailchimps_clock_goes_on_from_its_last_answer(town: Town) -> None:
    ticks = [100.0]
    port = MailchimpClient(
        KEY, f"{town.server.url}/3.0", http=town.http, monotonic=lambda: ticks[0]
    )
    port.fetch_audience(LIST)
    begun = town.clock.now
    ticks[0] += 61.9
    assert port.fetch_now() == begun + timedelta(seconds=61)  # whole seconds, as all its times
    town.clock.tick(0, days=3)
    assert port.fetch_member(LIST, FRED) is None  # a 404 is an answer
    assert port.fetch_now() == begun + timedelta(days=3)
    assert len(town.server.requests) == 2


def test_what_mailchimp_did_not_answer_says_nothing_of_its_clock(town: Town) -> None:
    town.server.faults.append(Fault(path=LIST, answer=Response(502, b"<html>"), times=None))
    with pytest.raises(RemoteUnavailable):
        town.port.fetch_audience(LIST)
    town.port.fetch_now()
    assert town.server.requests[-1].request.path == "/3.0/ping"


@pytest.mark.parametrize("date", ["yesterday", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_clock_of_mailchimps_that_cannot_be_read_counts_as_ours(
    town: Town, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    monkeypatch.setattr(town.sim, "date_header", lambda: date)
    assert abs(town.port.fetch_now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.fact("mailchimp: Account", "GET / tells the account and the key's role")
def test_the_account_behind_a_key(town: Town) -> None:
    assert town.port.fetch_account_id() == town.sim.account_id(KEY)
    (request,) = town.calls("GET", "/3.0/")
    assert parse_qs(request.query) == {"fields": ["account_id"]}


def test_an_account_without_an_id_makes_no_sense(town: Town) -> None:
    nameless = Response(200, b'{"account_id": ""}', {"Content-Type": "application/json"})
    town.server.faults.append(Fault(answer=nameless))
    with pytest.raises(ProtocolError, match="account"):
        town.port.fetch_account_id()


# --- audiences ------------------------------------------------------------------------------------


def test_an_audience(town: Town) -> None:
    town.populate(3)
    audience = town.port.fetch_audience(LIST)
    assert (audience.list_id, audience.name, audience.is_double_optin) == (LIST, "Bedrock", False)
    assert audience.member_count == 3


@pytest.mark.fact("mailchimp: Writing", "subscribed by the API skips double opt-in")
def test_a_double_optin_audience(town: Town) -> None:
    town.sim.add_audience("bbbbbbbbbb", "Rubble", KEY, double_optin=True)
    assert town.port.fetch_audience("bbbbbbbbbb").is_double_optin


@pytest.mark.fact("mailchimp: Writing", "merge fields are read first")
def test_merge_fields_with_their_kind(town: Town) -> None:
    town.sim.add_merge_field(
        LIST, "BORN", "Born", "date", required=True, options={"date_format": "DD/MM/YYYY"}
    )
    fields = {found.tag: found for found in town.port.fetch_merge_fields(LIST)}
    assert set(fields) == {"FNAME", "LNAME", "BORN"}
    born = fields["BORN"]
    assert (born.name, born.type, born.date_format) == ("Born", "date", "DD/MM/YYYY")
    assert born.is_required
    assert not fields["FNAME"].is_required


@pytest.mark.fact("mailchimp: Limits", "count 10 by default, at most 1000")
@pytest.mark.fact("mailchimp: Writing", "interests and categories are paged by ten")
def test_interests_of_all_categories_beyond_the_default_page(town: Town) -> None:
    for number in range(25):
        town.sim.add_interest(LIST, f"Club {number % 12}", f"i{number:09}", f"Night {number}")
    interests = town.port.fetch_interests(LIST)
    assert len(interests) == 25
    assert interests["i000000013"] == "Club 1: Night 13"


# --- members --------------------------------------------------------------------------------------


def test_a_member_as_mailchimp_shows_it(town: Town) -> None:
    town.sim.add_interest(LIST, "Clubs", "i1", "Bowling")
    town.sim.add_merge_field(LIST, "AGE", "Age", "number")
    town.sim.import_member(
        LIST,
        "Fred@Example.org",
        first_name="Fred",
        interests=["i1"],
        merge_fields={"AGE": 38},
        last_changed=START,
    )
    (member,) = town.fetch_all()
    assert member.member_id == subscriber_hash(FRED)
    assert member.email == "Fred@Example.org"
    assert member.status is MemberStatus.SUBSCRIBED
    assert member.last_changed == START
    assert len(member.unique_contact) == 32
    assert member.merge_fields == {"FNAME": "Fred", "LNAME": "", "AGE": "38"}
    assert member.interests == {"i1": True}


@pytest.mark.fact("mailchimp: Writing", "required fields, addresses, dates")
def test_an_address_field_is_left_out(town: Town) -> None:
    town.sim.add_merge_field(LIST, "CAVE", "Cave", "address")
    cave = {"addr1": "301 Cobblestone Way", "city": "Bedrock", "state": "AZ", "zip": "70777"}
    town.sim.import_member(LIST, FRED, merge_fields={"CAVE": cave})
    assert "CAVE" not in town.member(FRED).merge_fields


@pytest.mark.fact(
    "mailchimp: Members", "one status per request", "archived members are left out by default"
)
@pytest.mark.parametrize("status", list(MemberStatus))
def test_members_of_every_status_come(town: Town, status: MemberStatus) -> None:
    town.sim.import_member(LIST, FRED, status=status.value)
    town.clock.now += timedelta(minutes=1)
    assert [member.status for member in town.fetch_all()] == [status]


@pytest.mark.fact("mailchimp: Members", "unsubscribe_reason")
def test_why_somebody_left(town: Town) -> None:
    town.sim.import_member(LIST, FRED)
    town.sim.staff_unsubscribe(LIST, FRED)
    assert not town.member(FRED).has_left


def test_an_empty_audience_gives_one_empty_page(town: Town) -> None:
    pages = list(town.port.fetch_members(LIST, None))
    assert pages[0].members == ()
    assert pages[0].served_at == town.clock.now


@pytest.mark.fact("mailchimp: Members", "archived members are left out by default")
def test_many_members_come_once_each_and_are_counted(town: Town) -> None:
    town.populate(4500)
    town.populate(1200, status="archived")
    pages = list(town.port.fetch_members(LIST, None))
    members = [member for page in pages for member in page.members]
    assert len(members) == 5700
    assert len({member.member_id for member in members}) == 5700
    assert sum(member.status is MemberStatus.ARCHIVED for member in members) == 1200


@pytest.mark.fact(
    "mailchimp: Members", "parameters of the listing", "fields are dotted from the top"
)
def test_pages_are_asked_for_in_order_of_change_with_only_the_needed_fields(town: Town) -> None:
    town.populate(2500)
    town.fetch_all()
    asked = [parse_qs(request.query) for request in town.calls("GET", "/members")]
    assert len(asked) == 5  # the first for the archived ones
    assert {a["sort_field"][0] for a in asked} == {"last_changed"}
    assert {a["sort_dir"][0] for a in asked} == {"ASC"}
    assert {a["count"][0] for a in asked} == {str(PAGE_SIZE)}
    late = asked.pop()  # for those who were archived meanwhile
    assert (late["status"], "since_last_changed" in late) == (["archived"], True)
    assert not any("since_last_changed" in a for a in asked)
    fields = asked[0]["fields"][0].split(",")
    assert "total_items" in fields
    assert "members.merge_fields" in fields
    assert "members.stats" not in fields


def test_nothing_changed_costs_two_requests(town: Town) -> None:
    town.populate(1500)
    assert town.fetch_all(START + timedelta(days=1)) == []
    assert len(town.server.requests) == 2


@pytest.mark.fact("mailchimp: Members", "offsets in since_last_changed are ignored")
def test_only_what_changed_since_comes_whatever_zone_the_time_is_in(town: Town) -> None:
    town.sim.import_member(LIST, FRED, last_changed=START)
    town.sim.import_member(LIST, WILMA, last_changed=START + timedelta(minutes=5))
    for hours in (0, -2, 5):
        elsewhere = (START + timedelta(minutes=2)).astimezone(
            tz=datetime.strptime(f"{hours:+03}00", "%z").tzinfo
        )
        assert [member.email for member in town.fetch_all(elsewhere)] == [WILMA]
    asked = parse_qs(town.calls("GET", "/members")[-1].query)
    assert asked["since_last_changed"] == ["2021-11-01T00:02:00Z"]


def test_several_pages_are_in_flight_at_once(town: Town) -> None:
    town.populate(6000)
    lock, now, most = threading.Lock(), 0, 0
    together = threading.Event()

    def enter(request: Request) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now > 1:
                together.set()
        if "offset=990" in request.query:
            together.wait(5)

    def leave(request: Request, response: Response) -> None:
        nonlocal now
        with lock:
            now -= 1

    town.server.before_request, town.server.after_request = enter, leave
    assert len(town.fetch_all()) == 6000
    assert 2 <= most <= 4


def test_pages_that_nobody_waits_for_are_asked_for_one_by_one(town: Town) -> None:
    town.populate(3000)
    asked: list[str] = []
    town.server.before_request = lambda request: asked.append(request.query)
    pages = town.port.fetch_members(LIST, None, lambda: False)
    for taken, _page in enumerate(pages, 1):  # the first and the last one of archived members
        assert len(asked) == taken
    assert len(asked) == 6


def test_the_last_page_is_asked_for_when_all_others_have_come(town: Town) -> None:
    """Who changes meanwhile moves to it, and would be missing had it come before."""
    town.populate(4500)
    last = threading.Event()
    came_early: list[bool] = []

    def enter(request: Request) -> None:
        if "offset=3960" in request.query:
            last.set()
        if "offset=2970" in request.query:
            came_early.append(last.wait(0.2))

    town.server.before_request = enter
    assert len(town.fetch_all()) == 4500
    assert last.is_set()
    assert came_early == [False]


def test_a_single_member_by_address_in_any_case(town: Town) -> None:
    town.sim.import_member(LIST, FRED, first_name="Fred")
    assert town.member("FRED@Example.ORG").merge_fields["FNAME"] == "Fred"
    assert town.port.fetch_member(LIST, WILMA) is None


def test_several_members_by_address_and_by_the_id_that_stays(town: Town) -> None:
    for email in (FRED, WILMA):
        town.sim.import_member(LIST, email)
    found = town.port.fetch_each(LIST, [FRED, WILMA, BARNEY])
    assert {email: member is not None for email, member in found.items()} == {
        FRED: True,
        WILMA: True,
        BARNEY: False,
    }
    contacts = {email: member.unique_contact for email, member in found.items() if member}
    town.sim.change_address(LIST, WILMA, BARNEY)
    nobody = "0" * 32
    moved = town.port.fetch_each_contact(LIST, [*contacts.values(), nobody])
    emails = {key: member and member.email for key, member in moved.items()}
    assert emails == {contacts[FRED]: FRED, contacts[WILMA]: BARNEY, nobody: None}
    assert town.port.fetch_each(LIST, []) == {}


@pytest.mark.fact("mailchimp: Identity", "ids of mixed-case addresses")
def test_an_old_member_whose_id_is_no_lower_case_hash(town: Town) -> None:
    old_id = "1f1b1a3c0f3fb1d0f5b8ac0f0d3f1c11"
    town.sim.import_member(LIST, "Fred@Example.org", subscriber_id=old_id)
    (member,) = town.fetch_all()
    assert member.member_id == old_id
    outcome = town.change("Fred@Example.org", member_id=old_id, status=MemberStatus.UNSUBSCRIBED)
    assert outcome.is_success
    assert town.fetch_all()[0].status is MemberStatus.UNSUBSCRIBED


@pytest.mark.fact("mailchimp: Identity", "ids of mixed-case addresses")
def test_a_member_by_the_id_that_mailchimp_gave_it(town: Town) -> None:
    """Some ids of old audiences are the hash of another spelling than the one that stands there."""
    old_id = typed_hash("Fred@Example.ORG")
    town.sim.import_member(LIST, FRED, subscriber_id=old_id)
    assert town.port.fetch_member(LIST, FRED) is None
    town.server.requests.clear()
    member = town.port.fetch_member(LIST, old_id)
    assert member is not None
    assert (member.email, member.member_id) == (FRED, old_id)
    assert [e.request.path for e in town.server.requests] == [f"/3.0/lists/{LIST}/members/{old_id}"]
    assert town.port.fetch_member(LIST, subscriber_hash(WILMA)) is None


def test_several_members_by_address_and_by_id(town: Town) -> None:
    old_id = typed_hash("Fred@Example.ORG")
    town.sim.import_member(LIST, FRED, subscriber_id=old_id)
    town.sim.import_member(LIST, WILMA)
    nobody = subscriber_hash(BARNEY)
    found = town.port.fetch_each(LIST, [old_id, WILMA, nobody])
    assert {key: member and member.email for key, member in found.items()} == {
        old_id: FRED,
        WILMA: WILMA,
        nobody: None,
    }


@pytest.mark.parametrize("key", ["", "../../batches", "a/b?c#d"])
def test_what_is_no_id_is_nobodys_and_asks_for_nothing_else(town: Town, key: str) -> None:
    town.sim.import_member(LIST, FRED)
    assert town.port.fetch_member(LIST, key) is None
    (request,) = [exchange.request for exchange in town.server.requests]
    assert request.path.startswith(f"/3.0/lists/{LIST}/members/")
    assert request.path.count("/") == 5


# --- changes --------------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Identity", "the hash is MD5 of the lower-cased address")
@pytest.mark.fact("mailchimp: Writing", "PUT: address and status_if_new always")
def test_a_new_member_is_put_with_both_statuses(town: Town) -> None:
    town.sim.add_interest(LIST, "Clubs", "i1", "Bowling")
    outcome = town.change(
        FRED,
        status=MemberStatus.SUBSCRIBED,
        merge_fields={"FNAME": "Fred"},
        interests={"i1": True},
    )
    assert outcome.is_success
    assert outcome.member == town.member(FRED)
    assert town.member(FRED).interests == {"i1": True}
    (call,) = town.calls("PUT", subscriber_hash(FRED))
    assert b'"status":"subscribed"' in call.body
    assert b'"status_if_new":"subscribed"' in call.body


@pytest.mark.fact(
    "mailchimp: Writing",
    "status overwrites: omit it on data updates",
    "merge fields of the unsubscribed can be edited",
)
def test_a_change_without_status_leaves_the_status(town: Town) -> None:
    town.sim.import_member(LIST, FRED, status="unsubscribed")
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), merge_fields={"FNAME": "Fred"})
    assert outcome.is_success
    (call,) = town.calls("PATCH", subscriber_hash(FRED))
    assert b"status" not in call.body
    assert town.member(FRED).status is MemberStatus.UNSUBSCRIBED


def test_an_archived_member_comes_back(town: Town) -> None:
    town.sim.import_member(LIST, FRED, status="archived")
    town.change(FRED, member_id=subscriber_hash(FRED), status=MemberStatus.SUBSCRIBED)
    assert town.member(FRED).status is MemberStatus.SUBSCRIBED


def test_archiving(town: Town) -> None:
    town.sim.import_member(LIST, FRED)
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), is_archiving=True)
    assert outcome.is_success
    assert outcome.http_status == 204
    assert outcome.member is None
    assert town.member(FRED).status is MemberStatus.ARCHIVED


def test_archiving_somebody_cleaned_is_refused(town: Town) -> None:
    town.sim.import_member(LIST, FRED, status="cleaned")
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), is_archiving=True)
    assert not outcome.is_success
    assert "cannot be removed" in outcome.error


@pytest.mark.fact("mailchimp: Writing", "tags: wrapped, 204, 404 of nobody")
def test_tags_are_put_on_and_taken_off(town: Town) -> None:
    town.sim.import_member(LIST, FRED, tags=["Quarry"])
    outcome = town.change(
        FRED, member_id=subscriber_hash(FRED), tags={"Quarry": False, "Bowling": True}
    )
    assert outcome.is_success
    shown = town.sim.member(LIST, FRED)
    assert shown is not None
    assert [tag["name"] for tag in shown["tags"]] == ["Bowling"]  # type: ignore[attr-defined]


@pytest.mark.fact("mailchimp: Identity", "contact_id survives a change of address")
@pytest.mark.fact("mailchimp: Writing", "a change of address goes to the old hash")
def test_a_new_address_goes_to_the_old_id(town: Town) -> None:
    town.sim.import_member(LIST, FRED)
    contact = town.member(FRED).unique_contact
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), new_email=BARNEY)
    assert outcome.member is not None
    assert outcome.member.member_id == subscriber_hash(BARNEY)
    assert outcome.member.unique_contact == contact
    assert town.port.fetch_member(LIST, FRED) is None


IMPOSSIBLE = {
    "nothing": MemberChange(FRED, "id"),
    "archiving-and-more": MemberChange(
        FRED, "id", is_archiving=True, status=MemberStatus.SUBSCRIBED
    ),
    "tags-and-more": MemberChange(FRED, "id", tags={"a": True}, merge_fields={"FNAME": "Fred"}),
    "creating-without-status": MemberChange(FRED, merge_fields={"FNAME": "Fred"}),
    "new-address-of-nobody": MemberChange(FRED, new_email=WILMA, status=MemberStatus.SUBSCRIBED),
    "archived-as-status": MemberChange(FRED, "id", status=MemberStatus.ARCHIVED),
}


@pytest.mark.fact("mailchimp: Writing", "PATCH only updates; statuses it takes")
@pytest.mark.parametrize("change", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_is_no_single_request_is_a_mistake_of_the_caller(
    town: Town, change: MemberChange
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        town.port.submit_batch([Operation("a", LIST, change)])
    assert town.server.requests == []


@pytest.mark.fact("mailchimp: Errors", "400 Member In Compliance State")
@pytest.mark.fact("mailchimp: Writing", "who left alone may only be asked")
def test_somebody_who_left_cannot_be_subscribed_but_asked(town: Town) -> None:
    town.sim.import_member(LIST, FRED, status="unsubscribed", left=True)
    refused = town.change(FRED, member_id=subscriber_hash(FRED), status=MemberStatus.SUBSCRIBED)
    assert refused.refusal is Refusal.COMPLIANCE
    assert "compliance" in refused.error.lower()
    asked = town.change(FRED, member_id=subscriber_hash(FRED), status=MemberStatus.PENDING)
    assert asked.is_success
    assert [mail.email for mail in town.sim.confirmation_mails] == [FRED]


@pytest.mark.fact("mailchimp: Errors", "400 Forgotten Email Not Subscribed")
def test_somebody_deleted_for_good_is_forgotten(town: Town) -> None:
    town.sim.import_member(LIST, FRED)
    town.sim.staff_delete_permanently(LIST, FRED)
    assert town.change(FRED, status=MemberStatus.SUBSCRIBED).refusal is Refusal.FORGOTTEN


@pytest.mark.fact(
    "mailchimp: Errors", "400 looks fake or invalid", "400 signed up to a lot of lists"
)
def test_a_member_is_deleted_for_good_by_id(town: Town) -> None:
    town.sim.import_member(LIST, WILMA)
    member = town.member(WILMA)
    assert town.port.delete_permanently(LIST, member.member_id) is True
    assert town.port.fetch_member(LIST, WILMA) is None
    assert town.change(WILMA, status=MemberStatus.SUBSCRIBED).refusal is Refusal.FORGOTTEN
    assert town.port.delete_permanently(LIST, member.member_id) is False


def test_a_member_is_deleted_for_good_although_the_answer_was_lost(town: Town) -> None:
    town.sim.import_member(LIST, WILMA)
    member = town.member(WILMA)
    town.server.faults.append(Fault(path="delete-permanent", drop="after"))
    town.port.delete_permanently(LIST, member.member_id)
    assert town.port.fetch_member(LIST, WILMA) is None


def test_a_refusal_to_delete_for_good_is_told_in_mailchimps_words(town: Town) -> None:
    town.sim.import_member(LIST, WILMA)
    words = b'{"status": 400, "title": "Bad Request", "detail": "Not wilma@example.org"}'
    problem = Response(400, words, {"Content-Type": "application/problem+json"})
    town.server.faults.append(Fault(path="delete-permanent", answer=problem))
    with pytest.raises(RemoteRefused, match="Bad Request") as found:
        town.port.delete_permanently(LIST, town.member(WILMA).member_id)
    assert WILMA not in found.value.message


def test_a_fake_and_a_busy_address(town: Town) -> None:
    town.sim.settings.fake_addresses.add(FRED)
    town.sim.settings.busy_addresses.add(WILMA)
    assert town.change(FRED, status=MemberStatus.SUBSCRIBED).refusal is Refusal.FAKE
    assert town.change(WILMA, status=MemberStatus.SUBSCRIBED).refusal is Refusal.TEMPORARY


@pytest.mark.fact("mailchimp: Errors", "400 Member Exists")
def test_a_new_address_that_is_a_member_already(town: Town) -> None:
    town.sim.import_member(LIST, FRED)
    town.sim.import_member(LIST, WILMA)
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), new_email=WILMA)
    assert outcome.refusal is Refusal.EXISTS


def test_changing_somebody_who_is_not_there(town: Town) -> None:
    outcome = town.change(FRED, member_id=subscriber_hash(FRED), merge_fields={"FNAME": "Fred"})
    assert outcome.refusal is Refusal.NOT_FOUND


# --- batches --------------------------------------------------------------------------------------


def test_a_batch_from_submission_to_outcomes(town: Town) -> None:
    town.sim.import_member(LIST, WILMA)
    town.sim.import_member(LIST, BARNEY, status="unsubscribed", left=True)
    outcomes = town.run(
        MemberChange(FRED, status=MemberStatus.SUBSCRIBED, merge_fields={"FNAME": "Fred"}),
        MemberChange(WILMA, subscriber_hash(WILMA), is_archiving=True),
        MemberChange(BARNEY, subscriber_hash(BARNEY), status=MemberStatus.SUBSCRIBED),
        MemberChange("dino@example.org", subscriber_hash("dino@example.org"), tags={"Pet": True}),
    )
    assert {key: outcome.is_success for key, outcome in outcomes.items()} == {
        "op0": True,
        "op1": True,
        "op2": False,
        "op3": False,
    }
    assert outcomes["op0"].member == town.member(FRED)
    assert outcomes["op1"].http_status == 204
    assert outcomes["op2"].refusal is Refusal.COMPLIANCE
    assert outcomes["op3"].refusal is Refusal.NOT_FOUND


@pytest.mark.fact("mailchimp: Members", "times are UTC; unknown ones are empty")
@pytest.mark.fact("mailchimp: Batches", "a fresh batch counts nothing")
def test_a_batch_as_it_stands(town: Town) -> None:
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    fresh = town.port.submit_batch([Operation("a", LIST, change)])
    assert (fresh.status, fresh.total_operations, fresh.results_url) == ("pending", 0, "")
    assert fresh.submitted_at == town.clock.now
    assert fresh.completed_at is None
    town.sim.run_batches()
    done = town.batch(fresh.batch_id)
    assert done.is_finished
    assert (done.total_operations, done.finished_operations, done.errored_operations) == (1, 1, 0)
    assert done.completed_at == town.clock.now
    assert town.port.fetch_batch("0123456789") is None


@pytest.mark.fact("mailchimp: Limits", "count 10 by default, at most 1000")
@pytest.mark.fact("mailchimp: Batches", "GET /batches: seven days, paged")
def test_all_batches_beyond_the_default_page(town: Town) -> None:
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    made = {town.port.submit_batch([Operation("a", LIST, change)]).batch_id for _ in range(12)}
    assert {batch.batch_id for batch in town.port.fetch_batches()} == made


@pytest.mark.fact("mailchimp: Batches", "DELETE /batches")
def test_a_stopped_batch_is_gone(town: Town) -> None:
    town.sim.settings.batch_delay_polls = None
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    batch = town.port.submit_batch([Operation("a", LIST, change)])
    town.port.delete_batch(batch.batch_id)
    town.port.delete_batch(batch.batch_id)  # again: nothing to stop is no error
    assert town.port.fetch_batch(batch.batch_id) is None


@pytest.mark.fact("mailchimp: Batches", "no credentials to it; the host is not pinned")
def test_results_are_fetched_without_credentials(town: Town) -> None:
    town.run(MemberChange(FRED, status=MemberStatus.SUBSCRIBED))
    (call,) = [e.request for e in town.server.requests if "batch-results" in e.request.path]
    assert "authorization" not in call.headers


@pytest.mark.fact("mailchimp: Batches", "response_body_url: ten minutes, fresh each time")
def test_an_expired_address_of_results_is_asked_for_again_once(town: Town) -> None:
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    batch_id = town.port.submit_batch([Operation("a", LIST, change)]).batch_id
    town.sim.run_batches()
    batch = town.batch(batch_id)
    town.clock.tick(minutes=11)
    assert [outcome.operation_id for outcome in town.port.fetch_outcomes(batch)] == ["a"]
    assert len([e for e in town.server.requests if "batch-results" in e.request.path]) == 2


def test_results_not_ready_yet_are_left_to_the_next_run(town: Town) -> None:
    town.sim.oddities.unready_polls = 9
    change = MemberChange(FRED, status=MemberStatus.SUBSCRIBED)
    batch_id = town.port.submit_batch([Operation("a", LIST, change)]).batch_id
    town.sim.run_batches()
    with pytest.raises(RemoteUnavailable, match="no results"):
        list(town.port.fetch_outcomes(town.batch(batch_id)))


@pytest.mark.fact("mailchimp: Batches", "null operation ids")
def test_odd_results(town: Town) -> None:
    town.sim.oddities.null_ids = 2
    town.sim.oddities.missing = 3
    changes = [
        MemberChange(f"pebble{n}@example.org", status=MemberStatus.SUBSCRIBED) for n in range(20)
    ]
    assert len(town.run(*changes)) == 15


def test_a_cut_archive_gives_what_it_can_and_then_an_error(town: Town) -> None:
    town.sim.oddities.cut_archive = True
    changes = [
        MemberChange(f"pebble{n}@example.org", status=MemberStatus.SUBSCRIBED) for n in range(50)
    ]
    operations = [Operation(f"op{n}", LIST, change) for n, change in enumerate(changes)]
    batch = town.port.submit_batch(operations)
    town.sim.run_batches()
    outcomes = town.port.fetch_outcomes(town.batch(batch.batch_id))
    seen = []
    with pytest.raises(ProtocolError, match="break off"):  # noqa: PT012
        for outcome in outcomes:
            seen.append(outcome)  # noqa: PERF402
    assert len(seen) < 50


@pytest.mark.parametrize("url", ["http://storage.example.org/a", "file:///etc/passwd", "ftp://x/y"])
def test_results_elsewhere_than_by_https_are_not_fetched(town: Town, url: str) -> None:
    batch = Batch("0123456789", "finished", 1, 1, 0, START, results_url=url)
    with pytest.raises(ProtocolError, match="https"):
        list(town.port.fetch_outcomes(batch))
    assert town.server.requests == []


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Errors", "401 API Key Invalid, Missing")
def test_a_wrong_key_is_refused_with_a_hint(town: Town) -> None:
    port = MailchimpClient("feedfacefeedface-us3", f"{town.server.url}/3.0", http=town.http)
    with pytest.raises(RemoteRefused, match="API Key Invalid") as caught:
        port.fetch_audience(LIST)
    assert "feedface" not in f"{caught.value.message}{caught.value.hint}"
    with pytest.raises(RemoteRefused):
        list(port.fetch_members(LIST, None))
    assert len(town.server.requests) == 2


@pytest.mark.fact("mailchimp: Errors", "404 Resource Not Found")
def test_an_unknown_list_is_refused_with_a_hint_about_its_id(town: Town) -> None:
    for fetch in (town.port.fetch_audience, town.port.fetch_interests):
        with pytest.raises(RemoteRefused, match="cccccccccc") as caught:
            fetch("cccccccccc")
        assert caught.value.hint is not None
        assert "list id" in caught.value.hint
    with pytest.raises(RemoteRefused):
        list(town.port.fetch_members("cccccccccc", None))


def test_an_error_that_makes_no_sense_is_told_without_addresses(town: Town) -> None:
    problem = b'{"title": "Odd", "detail": "What is <fred@example.org>?", "status": 422}'
    town.server.faults.append(
        Fault(answer=Response(422, problem, {"Content-Type": "application/problem+json"}))
    )
    with pytest.raises(ProtocolError, match=r"Odd. What is <\(address\)>\? \(HTTP 422\)"):
        town.port.fetch_batches()


@pytest.mark.fact("mailchimp: Members", "parameters of the listing")
def test_the_description_notices_a_wrong_request(town: Town) -> None:
    town.check(Request("GET", f"/3.0/lists/{LIST}/members", "count=1001", {}, b""), Response(200))
    assert len(town.complaints) == 1
    town.complaints.clear()
