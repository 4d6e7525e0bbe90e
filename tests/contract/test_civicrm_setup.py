"""How a site is set up, against the simulator and against what was recorded."""

import json
from datetime import timedelta

import pytest
from cassettes import CIVICRM_URL, recorder
from civicrm_site import KEY, Site

from mcsync.civicrm.site_setup import CivicrmSetup
from mcsync.errors import RemoteRefused
from mcsync.http import HttpClient
from mcsync.model import Group
from mcsync.pipeline.ports import CivicrmPort, CivicrmSetupPort
from mcsync.sandbox.server import Fault, Request, Response


def setup_of(site: Site, path: str = "", key: str = KEY) -> CivicrmSetup:
    http = HttpClient(max_connections=4, sleep=site.waits.append)
    return CivicrmSetup(f"{site.server.url}{path}", key, http=http)


# --- groups ---------------------------------------------------------------------------------------


def test_groups_by_title_with_what_they_are(site: Site) -> None:
    quarry = site.sim.add_group("a quarry", mailing=False)
    smart = site.sim.add_group("Smart Flintstones", smart_where=[["last_name", "=", "Flintstone"]])
    hidden = site.sim.add_group("Hidden")
    site.sim.update_group(hidden, is_hidden=True)
    site.sim.disable_group(quarry)
    port: CivicrmSetupPort = setup_of(site)
    groups = port.fetch_groups()
    assert [group.title for group in groups] == [
        "a quarry",
        "Administrators",
        "Newsletter",
        "Smart Flintstones",
    ]
    by_id = {group.group_id: group for group in groups}
    assert by_id[quarry] == Group(quarry, "a quarry", False, False, False)
    assert by_id[site.group] == Group(site.group, "Newsletter", True, False, is_mailing=True)
    assert by_id[smart].is_smart


def test_without_permission_there_is_a_refusal_and_no_empty_list(site: Site) -> None:
    site.sim.revoke("access CiviCRM")
    with pytest.raises(RemoteRefused) as caught:
        setup_of(site).fetch_groups()
    assert "access CiviCRM" in (caught.value.hint or "")


def test_what_other_programs_change_in_a_group_is_counted(site: Site) -> None:
    fred = site.add("fred", "fred@example.org")
    begun = site.snapshot().now
    later = begun + timedelta(minutes=1)
    for method, tracking in (
        ("API", None),
        ("API", "other"),
        ("API", "mcsync sync"),
        ("Admin", None),
    ):
        site.sim.remove_from_group(fred, site.group, method=method, tracking=tracking, at=later)
        site.sim.add_to_group(fred, site.group, method=method, tracking=tracking, at=later)
    apart = site.sim.add_group("Choir")
    site.sim.add_to_group(fred, apart, method="API", at=later)
    port: CivicrmSetupPort = setup_of(site)
    assert port.fetch_others_changes([site.group], begun) == {site.group: 4}
    assert port.fetch_others_changes([site.group, apart], begun) == {site.group: 4, apart: 1}
    assert port.fetch_others_changes([site.group], later) == {}


@pytest.mark.fact("civicrm: Groups", "groups IN finds those in groups inside it, too")
def test_people_who_are_only_in_groups_inside_a_group_are_counted(site: Site) -> None:
    inner, innermost, apart = (site.sim.add_group(name) for name in ("Board", "Chairs", "Choir"))
    site.sim.nest_group(inner, site.group)
    site.sim.nest_group(innermost, inner)
    fred, wilma, betty, barney = (
        site.add(name, f"{name}@example.org") for name in ("fred", "wilma", "betty", "barney")
    )
    gone = site.add("gone", "gone@example.org")
    for who, group in (
        (fred, site.group),
        (fred, inner),
        (wilma, inner),
        (betty, innermost),
        (barney, apart),
        (gone, inner),
    ):
        site.sim.add_to_group(who, group)
    site.sim.trash(gone)
    port: CivicrmSetupPort = setup_of(site)
    assert port.fetch_nested([site.group, inner, apart]) == {site.group: 2, inner: 1}
    pages = site.port.fetch_group_contacts([site.group])
    assert {row.contact_id for page in pages for row in page} == {fred}
    site.sim.delete_group(inner)
    assert port.fetch_nested([site.group]) == {}


def test_where_no_group_is_inside_another_nothing_is_counted(site: Site) -> None:
    """Nor for a smart group: it is resolved, and then they are in."""
    smart = site.sim.add_group("Smart", smart_where=[["last_name", "=", "Flintstone"]])
    inner = site.sim.add_group("Board")
    site.sim.nest_group(inner, smart)
    barney = site.add("barney", "barney@example.org")
    site.sim.add_to_group(barney, inner)
    setup = setup_of(site)
    assert setup.fetch_nested([site.group, smart]) == {}
    assert len(site.calls("Group/get")) == 1
    assert list(setup.fetch_smart_group(smart)) == [(barney,)]


@pytest.mark.fact("civicrm: Permissions", "groups are empty without view all contacts")
def test_a_list_of_some_groups_or_none_is_a_missing_permission(site: Site) -> None:
    """(civicrm: Permissions) CiviCRM says 200, with no groups or those of an ACL."""
    site.sim.limit_to_group(site.group)
    with pytest.raises(RemoteRefused) as caught:
        setup_of(site).fetch_groups()
    assert "view all contacts" in (caught.value.hint or "")
    site.sim.lift_limits()
    for permission in ("view all contacts", "edit all contacts"):
        site.sim.revoke(permission)
    with pytest.raises(RemoteRefused) as caught:
        setup_of(site).fetch_groups()
    assert "view all contacts" in (caught.value.hint or "")


def test_a_wrong_key(site: Site) -> None:
    with pytest.raises(RemoteRefused, match="refused the API key"):
        setup_of(site, key="of-yesterday").fetch_groups()


def test_it_does_what_the_other_adapter_does(site: Site) -> None:
    port: CivicrmPort = setup_of(site)
    assert site.group in port.fetch_snapshot([site.group], 0).groups


# --- fields ---------------------------------------------------------------------------------------

KNOWN = (
    "job_title",
    "address_primary.postal_code",
    "email_primary.email",
    "employer_id.display_name",
    "preferred_language",
    "contact_type:label",
)
UNKNOWN = ("jobtitle", "address_primary.zip", "address.postal_code", "Membership.end_date")


def test_fields_that_do_not_exist_are_found_in_one_call(site: Site) -> None:
    mixed = [name for pair in zip(KNOWN, [*UNKNOWN, "", ""], strict=True) for name in pair if name]
    assert setup_of(site).find_unknown_fields(mixed) == UNKNOWN
    assert len(site.calls("/Contact/get")) == 1


def test_empty_fields_are_known(site: Site) -> None:
    """An empty field, and one joined to nothing, comes as null; an unknown one not at all."""
    assert setup_of(site).find_unknown_fields(KNOWN) == ()


def test_no_fields_cost_nothing(site: Site) -> None:
    assert setup_of(site).find_unknown_fields([]) == ()
    assert site.server.requests == []


def test_where_nobody_is_shown_no_field_is_judged(site: Site) -> None:
    site.sim.revoke("view all contacts")
    site.sim.revoke("edit all contacts")
    with pytest.raises(RemoteRefused, match="every contact") as caught:
        setup_of(site).find_unknown_fields(["job_title"])
    assert "view all contacts" in (caught.value.hint or "")


def test_a_field_that_we_may_not_see_is_as_good_as_unknown(site: Site) -> None:
    """(CiviCRM leaves `api_key` out of a select silently; civicrm: Reading)"""
    assert setup_of(site).find_unknown_fields(["api_key"]) == ("api_key",)


# --- what we may ----------------------------------------------------------------------------------


def test_our_own_contact(site: Site) -> None:
    assert setup_of(site).fetch_own_id() == 3
    site.sim.revoke("authenticate with api key")
    with pytest.raises(RemoteRefused, match="refused the API key"):
        setup_of(site).fetch_own_id()


def test_somebody_in_the_trash_proves_that_we_may_look(site: Site) -> None:
    assert setup_of(site).fetch_sight() == (False, ())
    site.sim.trash(site.add("Dino"))
    assert setup_of(site).fetch_sight() == (True, ())
    site.sim.revoke("access deleted contacts")
    assert setup_of(site).fetch_sight() == (False, ())


@pytest.mark.fact("civicrm: Permissions", "checkAccess follows add contacts and edit all contacts")
@pytest.mark.parametrize("permission", ["add contacts", "edit all contacts"])
def test_a_missing_permission_to_write_is_named(site: Site, permission: str) -> None:
    """(civicrm: Permissions) `edit my contact` does not hide that others may not be edited."""
    for granted in ("view all contacts", "edit my contact"):
        site.sim.grant(granted)
    site.sim.revoke(permission)
    assert setup_of(site).fetch_sight() == (False, (permission,))


def test_all_that_is_missing_is_named_at_once(site: Site) -> None:
    """(civicrm: Permissions) Whether "add contacts" is missing besides "access CiviCRM", CiviCRM
    does not tell."""
    names = ("view all contacts", "edit all contacts", "add contacts")
    for name in names:
        site.sim.revoke(name)
    assert setup_of(site).fetch_sight() == (False, names)
    site.sim.revoke("access CiviCRM")
    assert setup_of(site).fetch_sight() == (False, ("access CiviCRM", *names[:2]))


def test_who_sees_no_group_at_all_lacks_the_permission_to_view_all(site: Site) -> None:
    """However contact 1 came to be visible: every site has groups."""

    def without_groups(_request: Request, answer: Response) -> Response:
        found = json.loads(answer.body)
        (found if isinstance(found, dict) else found[1])["values"] = []
        return Response(200, json.dumps(found).encode(), answer.headers)

    site.server.faults.append(Fault(body="checkAccess", rewrite=without_groups))
    site.server.faults.append(Fault(path="/Group/get", rewrite=without_groups))
    assert setup_of(site).fetch_sight() == (False, ("view all contacts",))
    with pytest.raises(RemoteRefused, match="does not show any group") as caught:
        setup_of(site).fetch_groups()
    assert "view all contacts" in (caught.value.hint or "")


def test_what_civicrm_denies_is_named_and_what_it_does_not_answer_is_not(site: Site) -> None:
    no = {"values": [{"access": False, "id": None}]}
    failed = {"error_code": "1", "error_message": "Sorry", "status": 500}
    body = json.dumps([failed, failed, {"values": []}, failed, no]).encode()
    answer = Response(200, body, {"Content-Type": "application/json"})
    site.server.faults.append(Fault(body="checkAccess", answer=answer))
    assert setup_of(site).fetch_sight() == (False, ("add contacts",))


# --- the address ----------------------------------------------------------------------------------


def test_a_site_with_clean_urls_is_found_where_it_is_said_to_be(site: Site) -> None:
    setup = setup_of(site)
    setup.fetch_groups()
    assert setup.found_url is None


def test_a_site_without_clean_urls_is_found_by_the_other_form(site: Site) -> None:
    page = Response(404, b"<html>Not found</html>", {"Content-Type": "text/html"})
    site.server.faults.append(Fault(path="^/civicrm/", answer=page, times=None))
    setup = setup_of(site)
    setup.fetch_groups()
    assert setup.found_url is not None
    assert "?civiwp=CiviCRM&q=civicrm/ajax/api4" in setup.found_url


# --- recorded -------------------------------------------------------------------------------------


def replayed() -> CivicrmSetup:
    http = HttpClient(max_connections=4, sleep=lambda seconds: None)
    return CivicrmSetup(CIVICRM_URL, "redacted", http=http)


def test_recorded_groups() -> None:
    with recorder().use_cassette("civicrm-groups.json") as cassette:
        groups = {group.group_id: group for group in replayed().fetch_groups()}
        assert cassette.all_played
    assert groups[2] == Group(2, "Newsletter", True, False, is_mailing=True)
    assert groups[3].is_mailing is False
    assert [group_id for group_id, group in groups.items() if group.is_smart] == [5]


def test_recorded_an_unknown_field_is_left_out_and_no_error() -> None:
    """The recording was made with Group.get; a select is a select."""
    with recorder().use_cassette("civicrm-unknown-field.json") as cassette:
        assert replayed().find_unknown_fields(["nonsense"]) == ("nonsense",)
        assert cassette.all_played


def test_recorded_a_joined_field_of_nothing_is_null_and_known() -> None:
    with recorder().use_cassette("civicrm-empty-joined-field.json") as cassette:
        field = "contact_id.email_primary.email"
        assert replayed().find_unknown_fields([field]) == ()
        assert cassette.all_played
