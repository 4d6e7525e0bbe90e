"""Measured facts about CiviCRM that needed a test of their own, against the adapter over HTTP.

In brackets: the recorded exchanges of tests/cassettes that show it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from civicrm_recordings import recording
from civicrm_site import API, KEY, Site, contacts_of, merged, params_of

from mcsync.civicrm import pace, reading
from mcsync.civicrm.transport import Call, Transport
from mcsync.errors import ProtocolError, RemoteRefused
from mcsync.http import HttpClient
from mcsync.model import BulkMove, Contact, EmailWrite, GroupStatus, NewContact
from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.server import Fault, LoopbackServer, Request, Response

JSON = {"Content-Type": "application/json"}


# --- everything the adapter ever asks -------------------------------------------------------------

Params = dict[str, Any]
Asked = list[tuple[str, str, Params]]


def asked_by(request: Request) -> Asked:
    """The calls in one request: entity, action, parameters."""
    params = params_of(request)
    if "calls" in params:
        return [(entity, action, how) for entity, action, how in params["calls"]]
    path = parse_qs(request.query).get("q", [request.path])[0]
    if "api4/" not in path:
        return []
    entity, action = path.partition("api4/")[2].split("/")
    return [(entity, action, params)]


@dataclass
class Visit:
    """A site of which everything was asked, and the requests that this took."""

    site: Site
    requests: list[Request]

    @property
    def calls(self) -> Asked:
        return [call for request in self.requests for call in asked_by(request)]


@pytest.fixture(scope="module")
def visit(civicrm_server: LoopbackServer) -> Visit:
    """Everything is read, and everything is written; pages are small."""
    site = Site(civicrm_server)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PAGE_SIZE", 4)
        smart = site.sim.add_group("All", smart_where=[["last_name", "=", "Flintstone"]])
        ids = site.add_many(10)
        site.save(ids)
        site.save(ids[:2], GroupStatus.REMOVED)
        site.snapshot()
        list(site.port.fetch_history([site.group], 0))
        list(site.port.fetch_group_contacts([site.group]))
        list(site.port.fetch_smart_group(smart))
        list(site.port.fetch_contacts(ids))
        list(site.port.fetch_changed_contacts(site.now - timedelta(days=1)))
        list(site.port.fetch_owners([f"pebbles{number}@example.org" for number in range(10)]))
        site.sim.merge(ids[0], ids[1])
        site.port.fetch_merged_to(ids)
        list(site.port.create_contacts([NewContact(1, "fred@example.org", "F", "F")], "test"))
        list(site.port.save_names([Contact(ids[2], "Pearl", ""), Contact(99_999, "Nobody", "")]))
        list(site.port.add_emails([EmailWrite(ids[3], "other@example.org")]))
        list(site.port.hold_emails([site.sim.emails(ids[4])[0].id]))
        list(site.port.move_bulk_mail([BulkMove(ids[3], None, "other@example.org")]))
    return Visit(site, [exchange.request for exchange in site.server.requests])


@pytest.mark.fact(
    "civicrm: Answers",
    "a JSON body is ignored",
    "POST, form-encoded; GET for reading only, 405 and 414",
    "query parameters are read by 6.x only",
)
def test_every_call_is_a_form_in_a_post(visit: Visit) -> None:
    """(error-json-body, error-post-action-over-get, query-params-in-url, multi-call-get-method)

    A JSON body would be ignored: the call would run with no `where` and no limit. GET writes
    nothing and is refused for several calls. Parameters in the query are read by 6.x only.
    """
    assert len(visit.requests) > 20
    for request in visit.requests:
        assert request.method == "POST"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.query == ""
        if "api4" in request.path:
            assert set(parse_qs(request.body.decode())) <= {"params", "calls"}


@pytest.mark.fact(
    "civicrm: Address",
    "X-Civi-Auth: Bearer, case-sensitive",
    "_authx as a form field gets logged",
    "400 and 403 without credential or X-Requested-With",
)
def test_the_key_is_in_one_header_and_nowhere_else(visit: Visit) -> None:
    """(auth-lowercase-bearer, auth-authorization-header-no-xrw, auth-param-authx)

    `X-Civi-Auth: Bearer KEY`: the scheme is case-sensitive, `Authorization` needs more and may
    be off, and a form field gets logged.
    """
    for request in visit.requests:
        assert request.headers["x-civi-auth"] == f"Bearer {KEY}"
        assert "authorization" not in request.headers
        assert request.headers["x-requested-with"] == "XMLHttpRequest"
        assert KEY.encode() not in request.body
        assert KEY not in request.path


@pytest.mark.fact("civicrm: Permissions", "Domain.get is 403: the version cannot be relied on")
def test_nothing_is_asked_that_only_an_administrator_may(visit: Visit) -> None:
    """(domain-get-version, groupcontactcache-get-sync, contact-get-duplicates,
    subscriptionhistory-create-denied, setting-timezone-get-admin)"""
    kinds = {(entity, action) for entity, action, _ in visit.calls}
    assert kinds == {
        ("Contact", "get"),
        ("Contact", "getMergedTo"),
        ("Contact", "save"),
        ("Contact", "update"),
        ("Email", "create"),
        ("Email", "get"),
        ("Email", "update"),
        ("Group", "get"),
        ("Group", "refresh"),
        ("GroupContact", "get"),
        ("GroupContact", "save"),
        ("SubscriptionHistory", "get"),
    }


@pytest.mark.fact("civicrm: Groups", "prefer Removed to delete")
def test_nobody_is_ever_deleted(visit: Visit) -> None:
    """(groupcontact-delete, contact-delete-*) A delete removes the row that tells of a removal;
    `Removed` keeps it."""
    assert not any("delete" in action for _, action, _ in visit.calls)
    assert {row.status for row in visit.site.sim.history()} == {"Added", "Removed"}


@pytest.mark.fact(
    "civicrm: Reading",
    "no default limit; paging by id",
    "with offset the counts are wrong",
    "without orderBy rows come in index order",
)
def test_pages_are_never_asked_for_by_offset_and_always_in_order(visit: Visit) -> None:
    """(get-keyset-page, get-offset-page, get-row-count, get-limit-negative)

    There is no default limit; without `orderBy` rows come in index order; with an `offset` the
    counts are wrong. So: by id, with an order, and no `row_count`.
    """
    pages = 0
    for entity, action, params in visit.calls:
        assert "offset" not in params
        assert "row_count" not in params.get("select", ())
        if "limit" not in params:
            continue
        pages += 1
        assert action == "get"
        assert params["limit"] > 0
        cursor = next(iter(params["orderBy"]))
        assert cursor in ("id", "contact_id")
        assert any(clause[:2] == [cursor, ">"] for clause in params["where"]), entity
    assert pages > 10


@pytest.mark.fact("civicrm: Answers", "unknown fields in select are ignored")
def test_every_field_that_is_asked_for_exists(visit: Visit) -> None:
    """(error-unknown-field-select) An unknown field is silently left out of the answer, so a slip
    would read as "empty" everywhere."""
    site = visit.site
    site.server.service = site.sim
    transport = Transport(site.server.url, KEY, None, HttpClient(max_connections=1))
    checked = set()
    for entity, action, params in visit.calls:
        if action != "get":
            continue
        wide = {k: v for k, v in params.items() if k != "limit"} | {"where": [["id", ">", 0]]}
        call = Call(entity, "get", wide, dict[str, object])
        row = transport.call(call)[0]
        for field in params["select"]:
            name = field.rpartition(" AS ")[2]
            assert name in row, (entity, field)
            checked.add((entity, name))
    assert ("Group", "group_type:name") in checked
    assert ("SubscriptionHistory", "tracking") in checked
    assert len(checked) > 25


@pytest.mark.fact("civicrm: Answers", "unknown fields in select are ignored")
def test_the_fields_that_are_asked_for_were_there_in_a_real_site(visit: Visit) -> None:
    """(groupcontact-fields, subscriptionhistory-fields, contact-get-after-create)"""
    real = {
        "GroupContact": _names("groupcontact-fields"),
        "SubscriptionHistory": _names("subscriptionhistory-fields"),
    }
    assert all(len(names) > 4 for names in real.values())
    for entity, action, params in visit.calls:
        if action == "get" and entity in real:
            assert {field for field in params["select"] if " AS " not in field} <= real[entity]


def _names(name: str) -> set[str]:
    return {row["name"] for row in recording(name)["response"]["body"]["values"]}


@pytest.mark.fact("civicrm: Time", "TIMESTAMPs are converted, DATETIMEs never")
def test_dates_that_are_never_converted_are_never_read(visit: Visit) -> None:
    """(email-get-on-hold) `hold_date` and `reset_date` are literal local times, unlike the
    TIMESTAMPs: read with the site's offset they would be wrong."""
    for _, _, params in visit.calls:
        assert not {"hold_date", "reset_date"} & set(params.get("select", ()))


@pytest.mark.fact("civicrm: Reading", "IN lists of 1,000 to 5,000 are safe")
@pytest.mark.fact("civicrm: Writing", "pages of 5,000 to 10,000 rows; 200 memberships, 50 contacts")
def test_chunks_and_pages_are_of_the_measured_sizes(site: Site) -> None:
    """1,000 to 5,000 of a list are safe, 5,000 to 10,000 rows are the best
    page, 200 memberships and 50 contacts end within a slow host's 30 s."""
    assert 1_000 <= reading.IDS_PER_REQUEST <= 5_000
    assert 1_000 <= reading.EMAILS_PER_REQUEST <= 5_000
    assert 5_000 <= reading.PAGE_SIZE <= 10_000
    assert pace.SIZES[pace.GROUP_CONTACTS] == (200, 500)
    assert pace.SIZES[pace.CONTACTS] == pace.SIZES[pace.NAMES] == (50, 100)
    # The widest requests stay below nginx's default of 1 MiB, whatever the addresses are:
    longest = [
        "\N{LATIN SMALL LETTER E WITH ACUTE}" * 64 + f"{n:06}@example.org" for n in range(3000)
    ]
    list(site.port.fetch_owners(longest))
    ids = range(10**9, 10**9 + 6_000)
    list(site.port.fetch_contacts(list(ids)))
    site.port.fetch_merged_to(ids[:500])
    assert len(site.server.requests) > 6
    assert max(len(e.request.body) for e in site.server.requests) < 1 << 20


@pytest.mark.fact("civicrm: Reading", "two connections, no gain at four")
def test_two_requests_at_once_and_no_more_to_read(site: Site) -> None:
    """Two workers nearly double the pace, four add nothing."""
    assert reading.IN_FLIGHT == 2


@pytest.mark.fact("civicrm: Reading", "operators; IN [] is no rows")
def test_no_ids_are_no_rows(site: Site) -> None:
    """(get-where-in-empty) `IN []` is no error and finds nobody."""
    site.sim.add_to_group(site.add("Fred"), site.group)
    snapshot = site.port.fetch_snapshot([], 0)
    assert (snapshot.groups, snapshot.counts, snapshot.history) == ({}, {}, ())
    assert list(site.port.fetch_group_contacts([])) == []
    assert list(site.port.fetch_history([], 0)) == []
    assert list(site.port.fetch_contacts([])) == []
    assert list(site.port.fetch_owners([])) == []


# --- other sites ----------------------------------------------------------------------------------


@pytest.fixture
def standalone(civicrm_server: LoopbackServer) -> Site:
    site = Site(civicrm_server)
    site.sim = CivicrmSimulator(lambda: site.now, 0, cms="standalone")
    site.server.service = site.sim
    site.group = site.sim.add_group("Newsletter")
    return site


@pytest.mark.fact("civicrm: Address", "Standalone works like the others")
def test_standalone_is_read_and_written_like_any_other(standalone: Site) -> None:
    """(standalone-auth-ok, standalone-authx-whoami, standalone-now)"""
    ids = standalone.add_many(3)
    assert set(merged(standalone.save(ids)).done) == set(ids)
    snapshot = standalone.snapshot()
    assert snapshot.utc_offset_s == 0
    assert snapshot.now == standalone.now
    assert snapshot.counts == {(standalone.group, "Added"): 3}
    assert set(contacts_of(standalone.port.fetch_contacts(ids))) == set(ids)


@pytest.mark.fact("civicrm: Address", "Standalone has no query form")
@pytest.mark.parametrize("form", [f"/?q={API}", f"/index.php?civiwp=CiviCRM&q={API}"])
def test_standalone_has_no_query_form(standalone: Site, form: str) -> None:
    """(standalone-url-form-query, standalone-url-form-index-php-civiwp) It answers 302."""
    with pytest.raises(ProtocolError, match="redirect") as caught:
        standalone.client(form).fetch_snapshot([standalone.group], 0)
    assert "civicrm.url" in (caught.value.hint or "")


@pytest.mark.fact("civicrm: Answers", "401 text/plain")
def test_a_wrong_key_at_standalone_is_refused_too(standalone: Site) -> None:
    """(standalone-auth-wrong-key)"""
    with pytest.raises(RemoteRefused, match="Invalid credential"):
        standalone.client(key="feedface").fetch_snapshot([standalone.group], 0)


@pytest.mark.fact("civicrm: Answers", "Standalone answers 500 for the same")
def test_an_error_of_a_standalone_site_is_json_with_500_and_no_empty_list(standalone: Site) -> None:
    """(standalone-error-unknown-entity, standalone-error-unknown-field-where) The same trouble is
    200 text/html on WordPress."""
    ids = standalone.add_many(2)
    standalone.sim.bad_contacts.add(ids[0])
    names = [Contact(contact_id, "Pearl", "") for contact_id in ids]
    result = merged(standalone.port.save_names(names))
    assert (set(result.done), set(result.failed)) == ({ids[1]}, {ids[0]})
    unknown = recording("standalone-error-unknown-entity")["response"]
    answer = Response(unknown["status"], json.dumps(unknown["body"]).encode(), JSON)
    assert answer.status == 500
    standalone.server.faults.append(Fault(answer=answer, times=None))
    with pytest.raises(ProtocolError, match="Error ID"):
        list(standalone.port.fetch_owners(["fred@example.org"]))


@pytest.mark.fact("civicrm: Permissions", "a contact without a CMS user")
def test_a_contact_without_a_user_account_is_refused(site: Site) -> None:
    """(auth-contact-without-cms-user, auth-contact-without-cms-user-site-key) By the guard, and
    with the site key for want of permissions."""
    site.sim.add_user("nocms-key", "nocms@example.org", cms_user=False)
    with pytest.raises(RemoteRefused) as caught:
        site.client(key="nocms-key").fetch_snapshot([site.group], 0)
    assert "user" in (caught.value.hint or "")
    with pytest.raises(RemoteRefused) as caught:
        site.client(key="nocms-key", site_key=site.sim.site_key).fetch_snapshot([site.group], 0)
    assert "permission" in (caught.value.hint or "")


# --- permissions, measured by removing one at a time ----------------------------------------------

CHANGES: dict[str, Callable[[Site, int], object]] = {
    "GroupContact.save": lambda site, fred: site.save([fred]),
    "Contact.update": lambda site, fred: list(site.port.save_names([Contact(fred, "F", "")])),
    "Email.create": lambda site, fred: list(
        site.port.add_emails([EmailWrite(fred, "new@example.org")])
    ),
    "Email.update": lambda site, fred: list(site.port.hold_emails([site.sim.emails(fred)[0].id])),
    "Email.update, for bulk mail": lambda site, fred: list(
        site.port.move_bulk_mail([BulkMove(fred, "fred@example.org", None)])
    ),
}


@pytest.mark.fact("civicrm: Permissions", "edit all contacts")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_to_change_anybody_takes_the_permission_to_edit_all(
    site: Site, change: Callable[[Site, int], object]
) -> None:
    """(groupcontact-permission-noperm) It is a refusal, not the person's failure."""
    fred = site.add("Fred")
    site.sim.grant("view all contacts")
    site.sim.revoke("edit all contacts")
    with pytest.raises(RemoteRefused) as caught:
        change(site, fred)
    assert '"edit all contacts"' in (caught.value.hint or "")
    assert site.sim.writes == 0


@pytest.mark.fact("civicrm: Permissions", "access CiviCRM")
def test_without_access_to_civicrm_groups_are_refused_and_not_missing(site: Site) -> None:
    """`access CiviCRM`: 403 for Group.get and GroupContact.get."""
    site.sim.revoke("access CiviCRM")
    with pytest.raises(RemoteRefused) as caught:
        site.snapshot()
    assert '"access CiviCRM"' in (caught.value.hint or "")


@pytest.mark.fact("civicrm: Permissions", "view all contacts, implied by edit all contacts")
def test_to_edit_all_implies_to_view_all(site: Site) -> None:
    """`view all contacts` alone may be missing."""
    site.sim.revoke("view all contacts")
    fred = site.add("Fred")
    assert set(contacts_of(site.port.fetch_contacts([fred]))) == {fred}


@pytest.mark.fact("civicrm: Permissions", "without access to deleted contacts their rows vanish")
def test_without_sight_of_the_trash_its_rows_are_gone_from_everything(site: Site) -> None:
    """(noperm-deleted-contact-get, -email-get, -groupcontact-get, -history-get)

    Not to be told from a purge; the living are not concerned.
    """
    fred, dino = site.add("Fred"), site.add("Dino")
    for contact_id in (fred, dino):
        site.sim.add_to_group(contact_id, site.group)
    site.sim.trash(dino)
    assert site.snapshot().counts == {(site.group, "Added"): 2}
    site.sim.revoke("access deleted contacts")
    snapshot = site.snapshot()
    assert snapshot.counts == {(site.group, "Added"): 1}
    assert {row.contact_id for row in snapshot.history} == {fred}
    (rows,) = site.port.fetch_group_contacts([site.group])
    assert {row.contact_id for row in rows} == {fred}
    (page,) = site.port.fetch_contacts([fred, dino])
    assert {contact.contact_id for contact in page.contacts} == {fred}
    assert {email.contact_id for email in page.emails} == {fred}


# --- rows as they may be --------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Groups", "bad statuses are stored as they are")
@pytest.mark.parametrize("status", ["Banana", "Nonsense", ""])
def test_a_bad_status_is_handed_on_as_it_is(site: Site, status: str) -> None:
    """(groupcontact-create-bad-status) Neither Added nor Removed, and never guessed at."""
    fred = site.add("Fred")
    site.sim.sql_set_membership(fred, site.group, status)
    ((row,),) = site.port.fetch_group_contacts([site.group])
    assert (row.contact_id, row.status) == (fred, status)
    assert site.snapshot().counts == {(site.group, status): 1}


@pytest.mark.fact("civicrm: Time", "modified_date follows emails and not groups")
def test_a_change_of_group_shows_in_history_and_one_of_address_in_the_contact(site: Site) -> None:
    """(contact-modified-date-after-group-and-email) A membership does not touch
    `modified_date`; an address does."""
    fred, wilma = site.add("Fred"), site.add("Wilma")
    site.now += timedelta(hours=1)
    site.save([fred])
    site.sim.update_email(site.sim.emails(wilma)[0].id, on_hold=1)
    assert set(contacts_of(site.port.fetch_changed_contacts(site.now))) == {wilma}
    assert [row.contact_id for row in site.snapshot().history] == [fred]


@pytest.mark.fact("civicrm: Groups", "merge: rows move with their old ids")
def test_a_merge_moves_old_history_rows_behind_the_cursor(site: Site) -> None:
    """(contact-merge-after-history) They keep their ids: only the trashed loser tells of it."""
    winner, loser = site.add("Wilma"), site.add("Betty")
    site.sim.add_to_group(loser, site.group)
    cursor = site.snapshot().history[-1].history_id
    site.now += timedelta(hours=1)
    site.sim.merge(winner, loser)
    assert site.snapshot(cursor).history == ()
    assert [row.contact_id for row in site.snapshot().history] == [winner]
    changed = contacts_of(site.port.fetch_changed_contacts(site.now))
    assert changed[loser].is_deleted
    assert site.port.fetch_merged_to([loser]) == {loser: winner}


@pytest.mark.fact("civicrm: Groups", "a deletion for good leaves no trace")
def test_a_purge_leaves_no_trace_but_absence(site: Site) -> None:
    """(contact-delete-permanent-after-groupcontact, -after-history, -after-email)"""
    fred, dino = site.add("Fred"), site.add("Dino")
    site.save([fred, dino])
    site.now += timedelta(hours=1)
    site.sim.purge(dino)
    assert {row.contact_id for row in site.snapshot().history} == {fred}
    assert contacts_of(site.port.fetch_changed_contacts(site.now)) == {}
    assert set(contacts_of(site.port.fetch_contacts([fred, dino]))) == {fred}
    assert site.port.fetch_merged_to([dino]) == {}


@pytest.mark.fact("civicrm: Groups", "GroupContact has the static rows only")
def test_static_rows_of_a_smart_group_are_not_its_members(site: Site) -> None:
    """(groupcontact-get-smart) GroupContact has the static rows only; who is in a smart group
    comes from `Contact.get` with `groups`."""
    smart = site.sim.add_group("Flintstones", smart_where=[["last_name", "=", "Flintstone"]])
    fred, wilma = site.add("Fred"), site.add("Wilma")
    site.sim.remove_from_group(wilma, smart)
    (rows,) = site.port.fetch_group_contacts([smart])
    assert {(row.contact_id, row.status) for row in rows} == {(wilma, "Removed")}
    ((only,),) = site.port.fetch_smart_group(smart)
    assert only == fred


@pytest.mark.fact("civicrm: Writing", "failed inserts use up ids")
def test_ids_with_gaps_are_paged_to_their_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed inserts use up ids; a page ends where fewer rows come."""
    monkeypatch.setattr(reading, "PAGE_SIZE", 2)
    ids = site.add_many(3)
    for contact_id in ids:
        site.save([99_999, contact_id])  # the first fails, and uses up an id
    places = sorted(site.sim.store.tables["GroupContact"].rows)
    assert len(places) == 3
    assert places[-1] - places[0] > 2
    pages = list(site.port.fetch_group_contacts([site.group]))
    assert [[row.contact_id for row in page] for page in pages] == [ids[:2], ids[2:]]


# --- writes ---------------------------------------------------------------------------------------


@pytest.mark.fact(
    "civicrm: Groups",
    "a method of more than 8 characters loses the row of history",
    "method and tracking stand beside the records",
)
def test_method_and_tracking_stand_beside_the_records(site: Site) -> None:
    """(groupcontact-create-method-9-chars, groupcontact-create-tracking-256-chars)

    Inside a record they would be silently ignored; a `method` of more than 8 letters, such as
    "Mailchimp", loses the history row.
    """
    (fred,) = site.add_many(1)
    site.save([fred])
    (params,) = site.calls("GroupContact/save")
    assert params["method"] == "API"
    assert params["tracking"] == "mcsync sync"
    assert params["match"] == ["group_id", "contact_id"]
    assert params["records"] == [{"contact_id": fred}]
    assert len(site.sim.history(fred)) == 1


@pytest.mark.fact("civicrm: Writing", "create refuses reload, GroupContact.delete tracking")
def test_what_is_created_takes_no_reload(site: Site) -> None:
    """`reload` works on save and update only; `create` refuses it with 500."""
    fred = site.add("Fred")
    assert merged(site.port.add_emails([EmailWrite(fred, "new@example.org")])).failed == {}
    for exchange in site.server.requests:
        for _, action, params in asked_by(exchange.request):
            assert action != "create" or set(params) == {"values"}


@pytest.mark.fact("civicrm: Writing", "an extra address is not primary")
def test_a_bulk_address_added_to_others_stays_not_primary(site: Site) -> None:
    """(email-create-second, email-update-is-bulkmail)"""
    fred = site.add("Fred")
    list(site.port.add_emails([EmailWrite(fred, "one@example.org")]))
    list(site.port.add_emails([EmailWrite(fred, "two@example.org")]))
    shown = {e.email: (e.is_primary, e.is_bulkmail) for e in site.sim.emails(fred)}
    assert shown["fred@example.org"] == (True, False)
    assert shown["two@example.org"] == (False, True)


@pytest.mark.fact("civicrm: Writing", "update that matches nobody: values [] and 200")
def test_an_update_that_matches_nobody_is_no_success(site: Site) -> None:
    """(groupcontact-update-no-match) `values: []` with 200."""
    site.add("Fred")
    result = merged(site.port.save_names([Contact(99_999, "Nobody", "")]))
    assert result.done == {}
    assert "no such record" in result.failed[99_999]


@pytest.mark.fact("civicrm: Writing", "save is not atomic and stops at the first bad record")
def test_fewer_rows_saved_than_sent_is_no_success(site: Site) -> None:
    """(groupcontact-save-partial-failure) An answer is counted against what was sent."""
    ids = site.add_many(3)

    def lose_one(request: Request, answer: Response) -> Response:
        site.sim.sql_set_membership(ids[2], site.group, None)
        rows = b'{"values": [{"id": 1, "group_id": %d, "contact_id": %d, "status": "Added"}]}'
        return Response(200, rows % (site.group, ids[0]), JSON)

    site.server.faults.append(Fault(path="GroupContact/save", rewrite=lose_one))
    result = merged(site.save(ids))
    assert set(result.done) == set(ids) == site.sim.group_members(site.group)


ODD_NAMES = {
    "decoded": ("Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}", "O'Neil & S <x>"),
    "wider than its column": ("Pebbles" * 12, "Flintstone" * 9),
}


@pytest.mark.fact("civicrm: Reading", "names come back decoded")
@pytest.mark.fact("civicrm: Writing", "over-long text is cut with ...")
@pytest.mark.parametrize(("first", "last"), ODD_NAMES.values(), ids=ODD_NAMES)
@pytest.mark.parametrize("how", ["lost answer", "clear error"])
def test_whoever_was_created_is_known_by_any_name_and_not_created_twice(
    site: Site, first: str, last: str, how: str
) -> None:
    """(contact-create-unicode-markup, contact-save-bulk-one-bad-record-after)

    `save` is not atomic: the first was created although the call failed. He must be recognised
    by the name that CiviCRM kept, which is not the one that was sent.
    """
    new = [NewContact(1, "fred@example.org", first, last)]

    def hide(request: Request, answer: Response) -> Response:
        if how == "lost answer":
            return Response(504, b"<html>", {"Content-Type": "text/html"})
        return Response(500, b'{"error_code": "1", "error_message": "Sorry (Error ID: x)"}', JSON)

    site.server.faults.append(Fault(path="Contact/save", rewrite=hide))
    result = merged(site.port.create_contacts(new, "test"))
    assert set(result.done) == {1}
    assert len(site.sim.contacts(source="test")) == 1


@pytest.mark.fact("civicrm: Writing", "a time-out does not mean that nothing was written")
def test_a_time_out_of_a_write_does_not_mean_that_nothing_was_written(site: Site) -> None:
    """The site goes on without us: read again, count what is there as done."""
    ids = site.add_many(3)
    late = Response(504, b"<html>", {"Content-Type": "text/html"})
    site.server.faults.append(Fault(path="GroupContact/save", rewrite=lambda *_: late))
    assert set(merged(site.save(ids)).done) == set(ids)
    assert [len(site.sim.history(contact_id)) for contact_id in ids] == [1, 1, 1]


@pytest.mark.fact("civicrm: Answers", "a value of the wrong type is an HTML page")
def test_a_page_instead_of_an_answer_to_a_write_is_read_again(site: Site) -> None:
    """(error-unknown-action, error-bad-json-params) 200 text/html is no success of a write."""
    ids = site.add_many(2)
    site.snapshot()
    page = Response(200, b"<html>", {"Content-Type": "text/html"})
    site.server.faults.append(Fault(path="GroupContact/save", answer=page, times=None))
    assert set(merged(site.save(ids)).failed) == set(ids)
    assert site.sim.group_members(site.group) == set()
