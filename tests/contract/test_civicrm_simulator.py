"""The simulated CiviCRM site from outside: URLs, logging in, answers, errors, switches.

Names in brackets are the recorded exchanges that a test restates; what has none was
measured later or is a switch of the simulator's own.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from civicrm_served import Site, serve

from mcsync.sandbox.civicrm.users import DEBUG, LOG_IN
from mcsync.sandbox.server import Fault, Response

XRW = {"X-Requested-With": "XMLHttpRequest"}


site = pytest.fixture(serve)


@pytest.fixture
def standalone() -> Iterator[Site]:
    yield from serve(cms="standalone", utc_offset_minutes=0)


# URLs


@pytest.mark.fact("civicrm: Address", "clean URLs and the query forms")
@pytest.mark.parametrize(
    "path",
    [
        "/civicrm/ajax/api4/Group/get",
        "/civicrm/ajax/api4/Group/get/",
        "/?civiwp=CiviCRM&q=civicrm/ajax/api4/Group/get",
        "/?civiwp=CiviCRM&q=civicrm%2Fajax%2Fapi4%2FGroup%2Fget",
        "/index.php?civiwp=CiviCRM&q=civicrm/ajax/api4/Group/get",
        "/?page=CiviCRM&q=civicrm/ajax/api4/Group/get",
    ],
)
def test_wordpress_has_many_doors(site: Site, path: str) -> None:
    """(url-form-*)"""
    assert site.post(path, params={"select": ["id"]}).json()["values"] == [{"id": 1}]


@pytest.mark.fact("civicrm: Address", "without clean URLs the query form is used and named")
def test_without_permalinks_only_the_query_form_works(site: Site) -> None:
    site.sim.clean_urls = False
    answer = site.ask("Group")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (404, "text/html")
    answer = site.post("/?civiwp=CiviCRM&q=civicrm/ajax/api4/Group/get", params={})
    assert answer.json()["count"] == 1


@pytest.mark.fact("civicrm: Address", "wp-admin is a redirect to the login page")
def test_wp_admin_leads_to_the_login_page(site: Site) -> None:
    """(url-form-wp-admin-no-cms-session)"""
    answer = site.post("/wp-admin/admin.php?page=CiviCRM&q=civicrm/ajax/api4/Group/get")
    assert answer.status_code == 302
    assert "wp-login.php" in answer.headers["Location"]


@pytest.mark.fact("civicrm: Address", "Standalone has no query form")
def test_standalone_redirects_the_query_form(standalone: Site) -> None:
    """(standalone-url-form-query, standalone-url-form-index-php-civiwp)"""
    answer = standalone.post("/?civiwp=CiviCRM&q=civicrm/ajax/api4/Group/get")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/civicrm/home")


def test_wordpress_tells_its_zone_to_anyone(site: Site) -> None:
    """(url-form-wp-rest-root)"""
    told = site.http.get(site.server.url + "/wp-json/", timeout=10).json()
    assert (told["gmt_offset"], told["timezone_string"]) == (1, "Europe/Paris")
    site.sim.set_utc_offset(-210)
    told = site.http.get(site.server.url + "/wp-json/", timeout=10).json()
    assert (told["gmt_offset"], told["timezone_string"]) == (-3.5, "")


# Logging in


@pytest.mark.fact(
    "civicrm: Address",
    "X-Civi-Auth: Bearer, case-sensitive",
    "400 and 403 without credential or X-Requested-With",
)
@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({"X-Civi-Auth": "Bearer nosuchkey"}, 401, "HTTP 401 Invalid credential"),
        ({"X-Civi-Auth": "bearer simulated-sync-key"}, 401, "HTTP 401 Invalid credential"),
        ({"X-Civi-Auth": "simulated-sync-key"}, 401, "HTTP 401 Invalid credential"),
        ({"Authorization": "Bearer simulated-sync-key"}, 400, "SECURITY ALERT"),
        ({"Authorization": "Bearer simulated-sync-key", **XRW}, 200, '"entity":"Group"'),
        ({"X-Civi-Auth": "Bearer simulated-sync-key"}, 200, '"entity":"Group"'),
        ({}, 400, "SECURITY ALERT"),
        (XRW, 403, "Error ID"),
    ],
    ids=["unknown", "case", "scheme", "header", "header-xrw", "xheader", "none", "none-xrw"],
)
def test_who_gets_in(site: Site, headers: dict[str, str], status: int, text: str) -> None:
    """(auth-wrong-key, auth-lowercase-bearer, auth-bad-scheme, auth-authorization-header-no-xrw,
    auth-ok-authorization-header, auth-missing-x-requested-with, auth-none-no-xrw, auth-none)"""
    url = site.server.url + "/civicrm/ajax/api4/Group/get"
    answer = requests.post(url, data={"params": "{}"}, headers=headers, timeout=10)
    assert answer.status_code == status
    assert text in answer.text


@pytest.mark.fact("civicrm: Answers", "401 text/plain")
def test_refused_keys_are_told_in_plain_text(site: Site) -> None:
    """(auth-wrong-key)"""
    answer = site.ask("Group", key="nosuchkey")
    assert answer.headers["Content-Type"] == "text/plain;charset=UTF-8"


@pytest.mark.fact("civicrm: Address", "_authx as a form field gets logged")
def test_the_key_may_come_as_a_form_field(site: Site) -> None:
    """(auth-param-authx)"""
    url = site.server.url + "/civicrm/ajax/api4/Group/get"
    form = {"params": "{}", "_authx": f"Bearer {site.sim.api_key}"}
    assert requests.post(url, data=form, headers=XRW, timeout=10).status_code == 200


@pytest.mark.fact("civicrm: Address", "the guard: permission or site key")
def test_the_guard_wants_the_permission_or_the_site_key(site: Site) -> None:
    """(auth-no-authx-permission, auth-site-key-satisfies-guard)"""
    site.sim.revoke(LOG_IN)
    answer = site.post("/civicrm/authx/id")
    assert (answer.status_code, "Must satisfy guard" in answer.text) == (401, True)
    answer = site.post("/civicrm/authx/id", headers={"X-Civi-Key": site.sim.site_key})
    assert answer.json()["contact_id"] == site.sim.user_contact_id
    answer = site.post("/civicrm/authx/id", headers={"X-Civi-Key": "wrong"})
    assert answer.status_code == 401


@pytest.mark.fact("civicrm: Address", "authx/id says who we are")
def test_whoami(site: Site) -> None:
    """(authx-whoami)"""
    expected = {"contact_id": 3, "user_id": 2, "flow": "xheader", "cred": "api_key"}
    assert site.post("/civicrm/authx/id").json() == expected


@pytest.mark.fact("civicrm: Permissions", "a contact without a CMS user")
def test_a_contact_without_cms_user_may_nothing(site: Site) -> None:
    """(auth-contact-without-cms-user, auth-contact-without-cms-user-site-key)"""
    site.sim.add_user("lonely", cms_user=False)
    assert site.ask("Group", key="lonely").status_code == 401
    answer = site.post(
        "/civicrm/ajax/api4/Group/get", "lonely", {"X-Civi-Key": site.sim.site_key}, params={}
    )
    assert answer.status_code == 403


# Requests and answers


@pytest.mark.fact("civicrm: Answers", "POST, form-encoded; GET for reading only, 405 and 414")
def test_reading_by_get_and_writing_by_post(site: Site) -> None:
    """(auth-ok-get-method, error-post-action-over-get)"""
    head = {"X-Civi-Auth": f"Bearer {site.sim.api_key}"}
    url = site.server.url + "/civicrm/ajax/api4/Group/"
    query = {"params": '{"select": ["id"]}'}
    assert site.http.get(url + "get", params=query, headers=head, timeout=10).status_code == 200
    query = {"params": '{"values": {"title": "x"}}'}
    answer = site.http.get(url + "create", params=query, headers=head, timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (405, 405)


@pytest.mark.fact("civicrm: Answers", "a JSON body is ignored")
def test_a_json_body_is_ignored(site: Site) -> None:
    """(error-json-body): the call runs without where and without limit."""
    answer = site.http.post(
        site.server.url + "/civicrm/ajax/api4/Tag/get",
        json={"params": {"where": [["id", "=", 1]]}},
        headers={"X-Civi-Auth": f"Bearer {site.sim.api_key}"},
        timeout=10,
    )
    assert answer.json()["count"] == 5


@pytest.mark.fact("civicrm: Answers", "POST, form-encoded; GET for reading only, 405 and 414")
def test_a_long_url_is_refused(site: Site) -> None:
    head = {"X-Civi-Auth": f"Bearer {site.sim.api_key}"}
    query = {"params": json.dumps({"where": [["id", "IN", list(range(3000))]]})}
    url = site.server.url + "/civicrm/ajax/api4/Group/get"
    assert site.http.get(url, params=query, headers=head, timeout=10).status_code == 414


def test_index_picks_or_keys_the_values(site: Site) -> None:
    """(index-param-first, index-param-by-field)"""
    path, params = "/civicrm/ajax/api4/Tag/get", {"select": ["id", "name"], "limit": 1}
    assert site.post(path, params=params, index="0").json()["values"]["name"] == "Company"
    assert list(site.post(path, params=params, index="name").json()["values"]) == ["Company"]


@pytest.mark.fact("civicrm: Answers", "several calls: look into each element")
def test_several_calls_in_one_request(site: Site) -> None:
    """(multi-call-ok, multi-call-named, multi-call-one-fails, multi-call-all-fail)"""
    good = ["Tag", "get", {"select": ["row_count"]}]
    bad = ["Nonsense", "get", {}]
    both = site.post("/civicrm/ajax/api4", calls=[good, bad, good])
    assert both.status_code == 200
    assert [a.get("count") for a in both.json()] == [5, None, 5]
    assert "Error ID" in both.json()[1]["error_message"]
    named = site.post("/civicrm/ajax/api4", calls={"mine": good})
    assert named.json()["mine"]["countMatched"] == 5
    assert site.post("/civicrm/ajax/api4", calls=[bad, bad]).status_code == 500


@pytest.mark.fact("civicrm: Answers", "several calls: no transaction")
def test_a_failing_call_does_not_undo_the_others(site: Site) -> None:
    """Several calls are no transaction."""
    group = site.sim.add_group("Newsletter")
    save = ["GroupContact", "save", {"records": [{"contact_id": 1, "group_id": group}]}]
    site.post("/civicrm/ajax/api4", calls=[save, save])
    assert site.sim.group_status(1, group) == "Added"


@pytest.mark.fact("civicrm: Address", "cookies are ignored, connections are kept")
def test_keep_alive_and_a_cookie_on_each_answer(site: Site) -> None:
    assert "PHPSESSID" in site.ask("Group").headers["Set-Cookie"]
    assert "PHPSESSID" in site.ask("Group").headers["Set-Cookie"]


# Errors


@pytest.mark.fact("civicrm: Answers", "HTTP 200 is not success")
@pytest.mark.parametrize(
    ("entity", "action"),
    [("Nonsense", "get"), ("Group", "frobnicate"), ("GroupContactCache", "get")],
)
def test_what_does_not_exist(site: Site, standalone: Site, entity: str, action: str) -> None:
    """(error-unknown-entity, error-unknown-action, groupcontactcache-get, standalone-error-*)"""
    answer = site.ask(entity, action)
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (200, "text/html")
    assert "crm-error-message" in answer.text
    answer = standalone.ask(entity, action)
    assert (answer.status_code, answer.json()["status"]) == (500, 500)


@pytest.mark.fact("civicrm: Answers", "a value of the wrong type is an HTML page")
@pytest.mark.parametrize("params", ["{not json", "null", '"text"'])
def test_params_that_are_no_object(site: Site, standalone: Site, params: str) -> None:
    """(error-bad-json-params, standalone-error-bad-json-params)"""
    path = "/civicrm/ajax/api4/Group/get"
    for where, status in ((site, 200), (standalone, 500)):
        answer = where.post(path, params=params)
        assert (answer.status_code, answer.headers["Content-Type"][:9]) == (status, "text/html")


@pytest.mark.fact("civicrm: Answers", "a value of the wrong type is an HTML page")
@pytest.mark.parametrize(
    "params",
    [
        {"where": [["id", "IN", "6"]]},
        {"where": "id"},
        {"where": [["id", "=", 1], 5]},
        {"select": "id"},
        {"orderBy": ["id"]},
        {"limit": "many"},
        {"join": [["Tag AS t", "LEFT", 5]]},
        {"chain": [1]},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_a_page(site: Site, params: dict[str, Any]) -> None:
    answer = site.ask("Group", **params)
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (200, "text/html")


@pytest.mark.fact("civicrm: Answers", "messages are hidden, the Error ID is shown")
def test_errors_are_hidden_from_ordinary_users(site: Site) -> None:
    """(error-unknown-field-where, error-unknown-field-where-admin)"""
    call = {"where": [["nonsense", "=", 1]]}
    hidden = site.ask("Group", **call)
    assert (hidden.status_code, hidden.json()["error_code"]) == (500, "1")
    logged = site.sim.error_log[-1]
    assert f"(Error ID: {logged.error_id})" in hidden.json()["error_message"]
    assert logged.message == "Invalid field 'nonsense'"
    site.sim.grant(DEBUG)
    shown = site.ask("Group", **call).json()
    assert (shown["error_code"], shown["error_message"]) == (0, "Invalid field 'nonsense'")
    site.sim.revoke(DEBUG)
    site.sim.hidden_errors = False
    assert site.ask("Group", **call).json()["error_message"] == "Invalid field 'nonsense'"


@pytest.mark.fact("civicrm: Answers", "unknown fields in where are a 500")
@pytest.mark.fact(
    "civicrm: Writing",
    "delete and update without where are refused",
    "create refuses reload, GroupContact.delete tracking",
)
@pytest.mark.parametrize(
    ("entity", "action", "params", "message"),
    [
        ("Group", "get", {"limitt": 1}, "Unknown api parameter: limitt"),
        ("Group", "get", {"where": [["id", "<=>", 1]]}, "Illegal operator"),
        ("Tag", "get", {"limit": -1}, "DB Error: syntax error"),
        ("GroupContact", "delete", {}, 'Parameter "where" is required.'),
        (
            "Group",
            "update",
            {"values": {"title": "x"}},
            'Parameter "where" is required unless primary keys are supplied in values.',
        ),
        (
            "GroupContact",
            "create",
            {"values": {"group_id": 1}},
            "Mandatory values missing from Api4 GroupContact::create: contact_id",
        ),
        ("Contact", "create", {"reload": ["id"]}, "Unknown api parameter: reload"),
        (
            "GroupContact",
            "delete",
            {"where": [["id", "=", 1]], "tracking": "x"},
            "Unknown api parameter: tracking",
        ),
    ],
)
def test_what_is_refused(
    site: Site, entity: str, action: str, params: dict[str, Any], message: str
) -> None:
    """(error-unknown-param-admin, error-bad-operator, get-limit-negative,
    error-delete-without-where, error-update-without-where, error-missing-mandatory-admin)"""
    assert site.refusal(entity, action, **params) == (500, message)
    assert site.sim.writes == 0


@pytest.mark.fact(
    "civicrm: Answers", "maintenance mode: 503 with other keys", "database down: 500 text/html"
)
def test_maintenance_and_a_lost_database(site: Site) -> None:
    """(error-maintenance-mode, error-database-down)"""
    site.sim.maintenance = True
    answer = site.ask("Group")
    assert (answer.status_code, set(answer.json())) == (503, {"status_code", "status_message"})
    site.sim.maintenance, site.sim.database_down = False, True
    answer = site.ask("Group")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (500, "text/html")
    site.sim.database_down = False
    assert site.ask("Group").status_code == 200


@pytest.mark.fact("civicrm: Answers", "413 over the web server's limit")
def test_a_body_over_the_web_servers_limit(site: Site) -> None:
    site.sim.max_body_bytes = 100
    answer = site.ask("Email", where=[["email", "IN", ["wilma@example.org"] * 10]])
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (413, "text/html")


# Switches


def test_the_next_call_fails_if_told(site: Site) -> None:
    group = site.sim.add_group("Newsletter")
    site.sim.fail_next("GroupContact", "save", "Deadlock found")
    records = {"records": [{"contact_id": 1, "group_id": group}]}
    assert site.ask("GroupContact", "save", **records).status_code == 500
    assert (site.sim.error_log[-1].message, site.sim.writes) == ("Deadlock found", 0)
    assert site.ask("GroupContact", "save", **records).status_code == 200


def test_bad_contacts_fail_where_they_stand(site: Site) -> None:
    group = site.sim.add_group("Newsletter")
    people = [site.sim.add_contact(name) for name in ("Fred", "Wilma", "Barney")]
    site.sim.bad_contacts.add(people[1])
    records = [{"contact_id": person, "group_id": group} for person in people]
    assert site.ask("GroupContact", "save", records=records).status_code == 500
    assert site.sim.group_members(group) == {people[0]}
    where = [["id", "=", people[1]]]
    assert site.ask("Contact", "update", where=where, values={"source": "x"}).status_code == 500


def test_writes_are_counted_and_logged(site: Site) -> None:
    group = site.sim.add_group("Newsletter")
    people = [site.sim.add_contact(name) for name in ("Fred", "Wilma")]
    assert (site.sim.writes, site.sim.api_writes) == (0, [])
    records = [{"contact_id": person, "group_id": group} for person in people]
    site.values("GroupContact", "save", records=records)
    site.values("GroupContact")
    assert site.sim.writes == 2
    assert [(w.entity, w.action) for w in site.sim.api_writes] == [("GroupContact", "save")]
    assert site.sim.api_writes[0].params["records"] == records


def test_the_servers_faults_apply_too(site: Site) -> None:
    site.server.faults.append(Fault(path="Group", answer=Response(502, b"<html>")))
    assert site.ask("Group").status_code == 502
    assert site.ask("Group").status_code == 200


def test_the_date_header_is_the_sites_clock_in_utc(site: Site) -> None:
    site.wait(minutes=5)
    assert site.ask("Group").headers["Date"] == "Sun, 22 Nov 2026 12:05:00 GMT"
