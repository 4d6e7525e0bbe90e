"""The CiviCRM adapter in trouble: nothing believed too easily, nothing written twice."""

import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from civicrm_site import API, KEY, READS, TRACKING, Site, contacts_of, merged

from mcsync.civicrm import reading
from mcsync.errors import McsyncError, ProtocolError, RemoteUnavailable
from mcsync.model import (
    LONG_AGO,
    Contact,
    EmailWrite,
    GroupStatus,
    HistoryRow,
    NewContact,
    WriteResult,
)
from mcsync.sandbox.server import Fault, Request, Response

HTML = {"Content-Type": "text/html; charset=UTF-8"}
JSON = {"Content-Type": "application/json"}
SAVE_MEMBERS = "GroupContact/save"
SAVE_CONTACT = "Contact/save"


def until_error(results: Iterator[WriteResult]) -> tuple[WriteResult, McsyncError]:
    """What was handed over before the error, and the error."""
    seen: list[WriteResult] = []
    try:
        for result in results:
            seen.append(result)  # noqa: PERF402  # what came before the error counts
    except McsyncError as error:
        return merged(seen), error
    raise AssertionError("no error came")


# --- wrong addresses ------------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Address", "without clean URLs the query form is used and named")
def test_without_clean_urls_the_query_form_is_found_and_named_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.sim.clean_urls = False
    with caplog.at_level(logging.WARNING, "mcsync"):
        for _ in range(3):
            assert site.snapshot().groups.keys() == {site.group}
    (warning,) = [r.getMessage() for r in caplog.records if r.name.startswith("mcsync")]
    assert f"{site.server.url}/?civiwp=CiviCRM&q={API}" in warning


def test_a_full_endpoint_that_is_wrong_is_not_guessed_about(site: Site) -> None:
    site.sim.clean_urls = False
    with pytest.raises(ProtocolError, match="no CiviCRM") as caught:
        site.client(f"/{API}").fetch_snapshot([site.group], 0)
    assert "civicrm.url" in (caught.value.hint or "")
    assert len(site.server.requests) == 1


@pytest.mark.fact(
    "civicrm: Address",
    "without clean URLs the query form is used and named",
    "Standalone: an unknown path is 200 text/html",
)
@pytest.mark.parametrize("status", [200, 404])
def test_a_page_in_the_place_of_civicrm_names_the_other_form(site: Site, status: int) -> None:
    page = Response(status, b"<html>Welcome to Bedrock</html>", HTML)
    site.server.faults.append(Fault(answer=page, times=None))
    with pytest.raises(ProtocolError, match="no CiviCRM") as caught:
        site.snapshot()
    assert "?civiwp=CiviCRM&q=" in (caught.value.hint or "")
    assert len(site.server.requests) == 2
    assert site.waits == []


@pytest.mark.fact("civicrm: Address", "redirects are not followed")
@pytest.mark.parametrize("skip", [0, 1])
def test_a_redirect_means_a_wrong_url_and_is_not_followed(site: Site, skip: int) -> None:
    away = Response(302, b"", {"Location": f"{site.server.url}/wp-login.php", **HTML})
    site.server.faults.append(Fault(answer=away, skip=skip))
    with pytest.raises(ProtocolError, match="redirect") as caught:
        site.snapshot()
    assert "civicrm.url" in (caught.value.hint or "")
    assert len(site.server.requests) == 1 + skip


@pytest.mark.fact("civicrm: Address", "wp-admin is a redirect to the login page")
def test_the_page_for_old_wordpress_admin_urls_is_a_redirect(site: Site) -> None:
    with pytest.raises(ProtocolError, match="redirect"):
        site.client(f"/wp-admin/admin.php?page=CiviCRM&q={API}").fetch_snapshot([1], 0)


# --- reading in trouble ---------------------------------------------------------------------------

PASSING = {
    "429": Response(429, b"", {"Retry-After": "3"}),
    "500-html": Response(500, b"<html>", HTML),
    "502": Response(502, b"<html>", HTML),
    "503": Response(503, b"<html>", HTML),
    "504": Response(504, b"<html>", HTML),
    "200-html": Response(200, b"<html>", HTML),
}


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING)
def test_trouble_while_reading_passes(site: Site, trouble: Response) -> None:
    ids = site.add_many(5)
    site.server.faults.append(Fault(path="api4", answer=trouble, skip=1, times=3))
    assert set(contacts_of(site.port.fetch_contacts(ids))) == set(ids)
    assert len(site.waits) == 3


def test_dropped_connections_while_reading_pass(site: Site) -> None:
    ids = site.add_many(5)
    site.server.faults.append(Fault(path="api4", drop="after", skip=1, times=2))
    assert set(contacts_of(site.port.fetch_contacts(ids))) == set(ids)


LASTING = {
    "500-html": Response(500, b"<html>", HTML),
    "200-html": Response(200, b"<html>", HTML),
    "503": Response(503, b"<html>", HTML),
}


@pytest.mark.fact("civicrm: Answers", "HTTP 200 is not success")
@pytest.mark.parametrize("trouble", LASTING.values(), ids=LASTING)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_trouble_that_stays_is_never_an_empty_list(
    site: Site, trouble: Response, read: Any
) -> None:
    site.server.faults.append(Fault(path="api4", answer=trouble, times=None))
    with pytest.raises(RemoteUnavailable):
        read(site)


@pytest.mark.fact("civicrm: Answers", "maintenance mode: 503 with other keys")
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_maintenance_mode_is_said(site: Site, read: Any) -> None:
    site.sim.maintenance = True
    with pytest.raises(RemoteUnavailable, match="maintenance mode: Temporarily unavailable"):
        read(site)
    site.sim.maintenance = False
    read(site)
    site.sim.maintenance = True
    with pytest.raises(RemoteUnavailable, match="maintenance mode: Temporarily unavailable"):
        read(site)


@pytest.mark.fact("civicrm: Answers", "database down: 500 text/html")
def test_a_broken_database_is_unavailable(site: Site) -> None:
    site.sim.database_down = True
    with pytest.raises(RemoteUnavailable):
        site.snapshot()


def fail_element(number: int, status: int, request: Request, answer: Response) -> Response:
    """The answer with one of its elements replaced by an error."""
    elements = json.loads(answer.body)
    elements[number] = {"error_code": "1", "error_message": "Sorry (Error ID: x)", "status": status}
    return Response(200, json.dumps(elements).encode(), answer.headers)


@pytest.mark.fact("civicrm: Answers", "several calls: look into each element")
@pytest.mark.parametrize("number", range(4))
def test_one_failed_element_of_a_snapshot_fails_it(site: Site, number: int) -> None:
    site.server.faults.append(
        Fault(path="api4$|api4\\?$", rewrite=lambda *both: fail_element(number, 500, *both))
    )
    with pytest.raises(ProtocolError, match="Error ID: x"):
        site.snapshot()


@pytest.mark.fact("civicrm: Answers", "several calls: look into each element")
@pytest.mark.parametrize("number", [0, 1])
def test_one_failed_element_of_a_page_of_contacts_fails_it(site: Site, number: int) -> None:
    ids = site.add_many(3)
    site.snapshot()
    site.server.faults.append(
        Fault(path="api4\\?", rewrite=lambda *both: fail_element(number, 500, *both))
    )
    with pytest.raises(ProtocolError, match="Error ID: x"):
        list(site.port.fetch_contacts(ids))


@pytest.mark.fact("civicrm: Answers", "values must be there")
@pytest.mark.parametrize(
    "body",
    [b'{"entity": "Email", "count": 0}', b"[]", b"null", b'{"values": null}', b'{"values": [{}]}'],
)
def test_json_without_values_is_a_protocol_error(site: Site, body: bytes) -> None:
    site.snapshot()
    site.server.faults.append(Fault(answer=Response(200, body, JSON)))
    with pytest.raises(ProtocolError):
        list(site.port.fetch_owners(["fred@example.org"]))


def test_fewer_answers_than_calls_are_a_protocol_error(site: Site) -> None:
    site.snapshot()
    site.server.faults.append(Fault(answer=Response(200, b'[{"values": []}]', JSON)))
    with pytest.raises(ProtocolError, match="1 answers to 2 calls"):
        list(site.port.fetch_contacts([1]))


@pytest.mark.fact("civicrm: Answers", "413 over the web server's limit")
@pytest.mark.parametrize("limit", [400, 1500])
def test_requests_too_large_are_halved(site: Site, limit: int) -> None:
    ids = site.add_many(60)
    site.snapshot()
    emails = [f"pebbles{number}@example.org" for number in range(60)]
    site.sim.max_body_bytes = limit + 600
    assert set(contacts_of(site.port.fetch_contacts(ids))) == set(ids)
    owners = [email for chunk in site.port.fetch_owners(emails) for email in chunk]
    assert sorted(email.contact_id for email in owners) == ids
    assert set(merged(site.save(ids)).done) == set(ids)
    names = [Contact(contact_id, "Bamm-Bamm", "Rubble") for contact_id in ids]
    assert set(merged(site.port.save_names(names)).done) == set(ids)
    addresses = [EmailWrite(contact_id, f"x{contact_id}@example.org") for contact_id in ids]
    assert set(merged(site.port.add_emails(addresses)).done) == set(ids)
    new = [NewContact(n, f"new{n}@example.org", "Gazoo", "Great") for n in range(40)]
    assert len(merged(site.port.create_contacts(new, "test")).done) == 40
    assert len(site.sim.contacts(source="test")) == 40
    assert any(exchange.status == 413 for exchange in site.server.requests)


@pytest.mark.fact("civicrm: Answers", "413 over the web server's limit")
def test_a_site_that_takes_nothing_is_a_protocol_error(site: Site) -> None:
    site.snapshot()
    site.sim.max_body_bytes = 10
    with pytest.raises(ProtocolError, match="413"):
        list(site.port.fetch_owners(["fred@example.org", "wilma@example.org"]))


@pytest.mark.fact("civicrm: Address", "cookies are ignored, connections are kept")
def test_cookies_are_not_sent_back(site: Site) -> None:
    site.snapshot()
    site.snapshot()
    assert not any("cookie" in exchange.request.headers for exchange in site.server.requests)


def test_neither_key_nor_address_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.server.faults.append(Fault(drop="before", skip=2))
    with caplog.at_level(logging.DEBUG):
        list(site.port.fetch_owners(["fred@example.org"]))
        site.save([site.add("Fred"), 99999])
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("mcsync")]
    assert len(ours) >= 4
    assert not any(KEY in line or "@" in line for line in ours)


# --- odd rows, and many ---------------------------------------------------------------------------


def test_a_membership_without_status_does_not_stop_the_others(site: Site) -> None:
    """By SQL there may be one; it is neither in nor out, and counted nowhere."""
    fred, wilma = site.add("Fred"), site.add("Wilma")
    site.sim.sql_clear_status(fred, site.group)
    site.sim.add_to_group(wilma, site.group)
    (rows,) = site.port.fetch_group_contacts([site.group])
    assert {row.contact_id: row.status for row in rows} == {fred: "", wilma: "Added"}
    assert site.snapshot().counts == {(site.group, "Added"): 1}


@pytest.mark.parametrize("date", [None, "0000-00-00 00:00:00", "9999-12-31 23:59:59", "0000"])
def test_an_odd_row_of_history_does_not_stop_the_others(site: Site, date: str | None) -> None:
    fred, wilma = site.add("Fred"), site.add("Wilma")
    for contact_id in (fred, wilma):
        site.sim.add_to_group(contact_id, site.group)

    def spoil(request: Request, answer: Response) -> Response:
        spoiled = {"status": None, "date": date, "tracking": None}
        document = json.loads(answer.body)
        rows = document[3] if isinstance(document, list) else document
        rows["values"][0].update(spoiled)
        return Response(200, json.dumps(document).encode(), JSON)

    fault = Fault(body="SubscriptionHistory", rewrite=spoil)
    site.server.faults += [fault, Fault(path="SubscriptionHistory", rewrite=spoil)]
    told = site.snapshot().history
    (page,) = site.port.fetch_history([site.group], 0)
    for rows in (told, page):
        assert [(row.contact_id, row.status, row.at) for row in rows] == [
            (fred, "", LONG_AGO),
            (wilma, "Added", site.now),
        ]


def test_history_is_never_in_memory_but_for_a_page_or_two(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows there are: one page is worked on while the next one arrives."""
    monkeypatch.setattr(reading, "PAGE_SIZE", 50)
    for contact_id in site.add_many(100):
        for _ in range(10):
            site.sim.add_to_group(contact_id, site.group)
    pages = 0
    for page in site.port.fetch_history([site.group], 0):
        pages += 1
        alive = sum(isinstance(each, HistoryRow) for each in gc.get_objects())
        assert alive <= 3 * len(page)
    assert pages == 20


# --- saving group contacts in trouble -------------------------------------------------------------


@pytest.mark.fact("civicrm: Answers", "messages are hidden, the Error ID is shown")
@pytest.mark.fact("civicrm: Writing", "save is not atomic and stops at the first bad record")
def test_one_bad_contact_fails_alone_in_civicrms_words(site: Site) -> None:
    ids = site.add_many(10)
    site.sim.bad_contacts.add(ids[4])
    result = merged(site.save(ids))
    assert set(result.done) == set(ids) - {ids[4]}
    assert list(result.failed) == [ids[4]]
    assert "Error ID" in result.failed[ids[4]]
    # Those before the bad one were written once, not twice:
    assert all(len(site.sim.history(contact_id)) == 1 for contact_id in result.done)


def test_a_contact_that_does_not_exist_fails_alone(site: Site) -> None:
    ids = site.add_many(3)
    result = merged(site.save([ids[0], 99999, *ids[1:]]))
    assert set(result.done) == set(ids)
    assert list(result.failed) == [99999]


def test_a_single_bad_contact_is_tried_once(site: Site) -> None:
    result = merged(site.save([99999]))
    assert list(result.failed) == [99999]
    assert len(site.calls(SAVE_MEMBERS)) == 1


@pytest.mark.fact("civicrm: Answers", "500 JSON, generic")
def test_a_clear_error_is_followed_by_one_by_one(site: Site) -> None:
    ids = site.add_many(4)
    site.sim.fail_next("GroupContact", "save")
    assert set(merged(site.save(ids)).done) == set(ids)
    assert len(site.calls(SAVE_MEMBERS)) == 1 + 4


SILENT = {
    "dropped": {"drop": "after"},
    "502": {"rewrite": lambda request, answer: Response(502, b"<html>", HTML)},
    "504": {"rewrite": lambda request, answer: Response(504, b"<html>", HTML)},
    "200-html": {"rewrite": lambda request, answer: Response(200, b"<html>", HTML)},
}


@pytest.mark.fact("civicrm: Writing", "a time-out does not mean that nothing was written")
@pytest.mark.parametrize("how", SILENT.values(), ids=SILENT)
def test_a_lost_answer_is_found_to_be_written(site: Site, how: Any) -> None:
    ids = site.add_many(5)
    site.server.faults.append(Fault(path=SAVE_MEMBERS, **how))
    assert set(merged(site.save(ids)).done) == set(ids)
    assert len(site.calls(SAVE_MEMBERS)) == 1
    assert all(len(site.sim.history(contact_id)) == 1 for contact_id in ids)


def test_what_was_lost_before_it_arrived_is_sent_once_more(site: Site) -> None:
    ids = site.add_many(5)
    site.server.faults.append(Fault(path=SAVE_MEMBERS, drop="before"))
    assert set(merged(site.save(ids)).done) == set(ids)
    assert len(site.calls(SAVE_MEMBERS)) == 2
    assert site.waits == []


def test_silence_that_stays_is_unavailable_after_what_was_done_is_told(site: Site) -> None:
    ids = site.add_many(600)
    third = f"contact_id%22%3A{ids[400]}%7D"
    site.server.faults.append(Fault(path=SAVE_MEMBERS, body=third, drop="before", times=None))
    done, error = until_error(
        site.port.save_group_contacts(site.group, GroupStatus.ADDED, ids, TRACKING)
    )
    assert isinstance(error, RemoteUnavailable)
    assert set(done.done) == site.sim.group_members(site.group) == set(ids[:400])
    assert done.failed == {}


def test_what_was_written_beside_a_chunk_that_failed_is_told_too(site: Site) -> None:
    ids = site.add_many(900)
    first = f"contact_id%22%3A{ids[0]}%7D"
    site.server.faults.append(Fault(path=SAVE_MEMBERS, body=first, drop="before", times=None))
    done, error = until_error(
        site.port.save_group_contacts(site.group, GroupStatus.ADDED, ids, TRACKING)
    )
    assert isinstance(error, RemoteUnavailable)
    assert set(done.done) == site.sim.group_members(site.group)
    assert set(ids[200:400]) <= set(done.done)


def test_a_removal_that_was_written_is_known_by_its_status(site: Site) -> None:
    ids = site.add_many(5)
    for contact_id in ids:
        site.sim.add_to_group(contact_id, site.group)
    site.server.faults.append(Fault(path=SAVE_MEMBERS, drop="before"))
    assert set(merged(site.save(ids, GroupStatus.REMOVED)).done) == set(ids)
    assert site.sim.group_members(site.group) == set()


# --- creating contacts in trouble -----------------------------------------------------------------


def newcomers(count: int) -> list[NewContact]:
    return [NewContact(n, f"gravel{n}@example.org", f"Gravel{n}", "Berry") for n in range(count)]


@pytest.mark.fact("civicrm: Writing", "no check for duplicates on create")
@pytest.mark.parametrize("how", SILENT.values(), ids=SILENT)
def test_contacts_created_behind_a_lost_answer_are_found(site: Site, how: Any) -> None:
    # An older one, alike in everything, is not taken for the new one:
    site.sim.add_contact("Gravel0", "Berry", ["gravel0@example.org"], source="test")
    site.server.faults.append(Fault(path=SAVE_CONTACT, **how))
    result = merged(site.port.create_contacts(newcomers(5), "test"))
    assert set(result.done) == set(range(5))
    assert len(site.sim.contacts(source="test")) == 6
    assert len(set(result.done.values())) == 5
    assert min(result.done.values()) > site.sim.contacts(source="test")[0].id
    for number, contact_id in result.done.items():
        contact = site.sim.contact(contact_id)
        assert contact is not None
        assert contact.emails[0].email == f"gravel{number}@example.org"


def test_after_a_clear_error_the_rest_is_created_one_by_one(site: Site) -> None:
    site.sim.fail_next("Contact", "save")
    result = merged(site.port.create_contacts(newcomers(4), "test"))
    assert set(result.done) == set(range(4))
    assert len(site.sim.contacts(source="test")) == 4
    assert len(site.calls(SAVE_CONTACT)) == 1 + 4


@pytest.mark.fact("civicrm: Writing", "save is not atomic and stops at the first bad record")
def test_one_bad_record_fails_alone_and_nobody_is_created_twice(site: Site) -> None:
    def break_third(request: Request, answer: Response) -> Response:
        """As if the request had died at its third record."""
        for contact in site.sim.contacts(source="test")[2:]:
            site.sim.purge(contact.id)
        return Response(500, b'{"error_code": "1", "error_message": "Sorry", "status": 500}', JSON)

    bad = Response(500, b'{"error_message": "Sorry (Error ID: abc)", "status": 500}', JSON)
    site.server.faults.append(Fault(path=SAVE_CONTACT, rewrite=break_third))
    site.server.faults.append(Fault(path=SAVE_CONTACT, body="gravel3", answer=bad))
    result = merged(site.port.create_contacts(newcomers(5), "test"))
    assert set(result.done) == {0, 1, 2, 4}
    assert "Error ID: abc" in result.failed[3]
    assert len(site.sim.contacts(source="test")) == 4
    assert len(site.calls(SAVE_CONTACT)) == 1 + 3


def test_two_new_contacts_with_one_address_are_told_apart(site: Site) -> None:
    family = "family@example.org"
    new = [NewContact(1, family, "Fred", "F"), NewContact(2, family, "Wilma", "F")]
    site.server.faults.append(Fault(path=SAVE_CONTACT, drop="after"))
    done = merged(site.port.create_contacts(new, "test")).done
    names = {row_id: site.sim.contact(contact_id) for row_id, contact_id in done.items()}
    assert {row_id: contact and contact.first_name for row_id, contact in names.items()} == {
        1: "Fred",
        2: "Wilma",
    }


@pytest.mark.fact("civicrm: Writing", "no check for duplicates on create")
def test_while_it_may_still_be_creating_nothing_is_tried_again(site: Site) -> None:
    site.server.faults.append(Fault(path=SAVE_CONTACT, drop="before"))
    done, error = until_error(site.port.create_contacts(newcomers(5), "test"))
    assert isinstance(error, RemoteUnavailable)
    assert done.done == {}
    assert len(site.calls(SAVE_CONTACT)) == 1


def test_half_a_chunk_behind_a_lost_answer_is_told_before_the_error(site: Site) -> None:
    def lose(request: Request, answer: Response) -> Response:
        for contact in site.sim.contacts(source="test")[2:]:
            site.sim.purge(contact.id)
        return Response(504, b"<html>", HTML)

    site.server.faults.append(Fault(path=SAVE_CONTACT, rewrite=lose))
    done, error = until_error(site.port.create_contacts(newcomers(5), "test"))
    assert isinstance(error, RemoteUnavailable)
    assert set(done.done) == {0, 1}


# --- names in trouble -----------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Answers", "several calls: no transaction")
def test_a_bad_name_fails_alone(site: Site) -> None:
    ids = site.add_many(4)
    site.sim.bad_contacts.add(ids[1])
    names = [Contact(contact_id, "Bamm-Bamm", "") for contact_id in (*ids, 99999)]
    result = merged(site.port.save_names(names))
    assert set(result.done) == {ids[0], ids[2], ids[3]}
    assert set(result.failed) == {ids[1], 99999}
    assert "Error ID" in result.failed[ids[1]]


@pytest.mark.fact("civicrm: Answers", "several calls: 500 only if all fail")
def test_when_all_names_are_bad_each_is_told(site: Site) -> None:
    ids = site.add_many(2)
    site.sim.bad_contacts.update(ids)
    result = merged(site.port.save_names([Contact(contact_id, "Bamm", "") for contact_id in ids]))
    assert set(result.failed) == set(ids)


@pytest.mark.parametrize("drop", ["before", "after"])
def test_names_are_sent_once_more_after_silence(site: Site, drop: str) -> None:
    (fred,) = site.add_many(1)
    site.snapshot()
    site.server.faults.append(Fault(drop=drop))
    assert merged(site.port.save_names([Contact(fred, "Fred", "")])).done == {fred: fred}
    site.server.faults.append(Fault(drop=drop, times=2))
    with pytest.raises(RemoteUnavailable):
        list(site.port.save_names([Contact(fred, "Fred", "")]))


# --- addresses in trouble -------------------------------------------------------------------------


def test_a_bad_contact_gets_no_address_alone(site: Site) -> None:
    ids = site.add_many(3)
    site.sim.bad_contacts.add(ids[1])
    new = [EmailWrite(contact_id, f"new{contact_id}@example.org") for contact_id in (*ids, 99999)]
    result = merged(site.port.add_emails(new))
    assert set(result.done) == {ids[0], ids[2]}
    assert set(result.failed) == {ids[1], 99999}


def test_an_address_added_behind_a_lost_answer_is_found(site: Site) -> None:
    ids = site.add_many(3)
    site.server.faults.append(Fault(body="create", drop="after"))
    new = [EmailWrite(contact_id, f"new{contact_id}@example.org") for contact_id in ids]
    assert set(merged(site.port.add_emails(new)).done) == set(ids)
    assert [len(site.sim.emails(contact_id)) for contact_id in ids] == [2, 2, 2]


def test_while_it_may_still_be_adding_addresses_nothing_is_tried_again(site: Site) -> None:
    (fred,) = site.add_many(1)
    site.server.faults.append(Fault(body="create", drop="before"))
    done, error = until_error(site.port.add_emails([EmailWrite(fred, "new@example.org")]))
    assert isinstance(error, RemoteUnavailable)
    assert done.done == {}
    assert len(site.sim.emails(fred)) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
def test_holding_is_sent_once_more_after_silence(site: Site, drop: str) -> None:
    (fred,) = site.add_many(1)
    email_id = site.sim.emails(fred)[0].id
    site.server.faults.append(Fault(body="update", drop=drop))
    assert merged(site.port.hold_emails([email_id])).done == {email_id: fred}
    assert site.sim.emails(fred)[0].on_hold == 1
