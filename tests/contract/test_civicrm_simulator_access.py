"""The simulated CiviCRM site: what somebody sees whom an ACL limits, and what is said of access.

All of it was measured later (civicrm: Permissions); there are no recordings of it.
"""

from typing import Any

import pytest
from civicrm_served import Site, serve

from mcsync.sandbox.civicrm.users import ACCESS, ADD, EDIT, LOG_IN, VIEW

NEW = {"contact_type": "Individual", "first_name": "Gazoo", "email_primary.email": "g@example.org"}


site = pytest.fixture(serve)


@pytest.fixture
def wilma(site: Site, group: int) -> int:
    """Somebody in the group, to which the sync's user is limited; Fred is in none."""
    contact_id = site.sim.add_contact("Wilma", "Flintstone", ["wilma@example.org"])
    site.sim.add_to_group(contact_id, group)
    site.sim.add_contact("Fred", "Flintstone", ["fred@example.org"])
    site.sim.limit_to_group(group)
    return contact_id


def seen(site: Site, entity: str = "Contact", field: str = "id") -> set[int]:
    return {row[field] for row in site.values(entity, select=["id", field])}


# --- an ACL ---------------------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Permissions", "an ACL shows some contacts; contact 1 proves more")
def test_an_acl_shows_its_group_and_our_own_contact(site: Site, group: int, wilma: int) -> None:
    site.sim.add_group("Trustees")
    own = site.sim.user_contact_id
    assert seen(site) == {wilma, own}
    assert seen(site, "Email", "contact_id") == {wilma, own}
    assert seen(site, "GroupContact", "contact_id") == {wilma}
    assert seen(site, "SubscriptionHistory", "contact_id") == {wilma}
    assert seen(site, "Group") == {group}
    assert site.values("Contact", where=[["id", "=", 1]]) == []


@pytest.mark.fact("civicrm: Permissions", "an ACL shows some contacts; contact 1 proves more")
def test_aggregates_count_only_what_an_acl_shows(site: Site, group: int, wilma: int) -> None:
    fred = site.sim.add_contact("Barney", "Rubble")
    site.sim.add_to_group(fred, group)
    site.sim.remove_from_group(fred, group)
    count = {"select": ["status", "COUNT(id) AS n"], "groupBy": ["status"]}
    assert site.values("GroupContact", **count) == [{"status": "Added", "n": 1}]
    assert site.values("Contact", select=["MAX(id) AS m"]) == [{"m": wilma}]
    assert site.call("Contact", select=["row_count"])["count"] == 2


@pytest.mark.fact("civicrm: Permissions", "an ACL shows some contacts; contact 1 proves more")
def test_who_leaves_the_group_becomes_invisible_at_once(site: Site, group: int, wilma: int) -> None:
    site.sim.remove_from_group(wilma, group)
    assert seen(site) == {site.sim.user_contact_id}
    assert seen(site, "GroupContact", "contact_id") == set()
    site.sim.add_to_group(wilma, group)
    assert wilma in seen(site)


def test_a_limit_can_be_set_and_lifted_at_any_time(site: Site, wilma: int) -> None:
    site.sim.lift_limits()
    assert {1, wilma, wilma + 1} <= seen(site)
    site.sim.limit_to_contacts({1, wilma + 1})
    assert seen(site) == {1, wilma + 1, site.sim.user_contact_id}
    assert seen(site, "Group") == {1, 2}
    assert wilma in {row["id"] for row in site.values("Contact", key=site.sim.admin_api_key)}


def test_another_site_knows_nothing_of_a_limit(site: Site, wilma: int) -> None:
    site.sim.become_another_site()
    assert seen(site) == {1, 2, site.sim.user_contact_id}


def test_an_acl_on_a_smart_group(site: Site, wilma: int) -> None:
    smart = site.sim.add_group("Flintstones", smart_where=[["last_name", "=", "Flintstone"]])
    site.sim.limit_to_group(smart)
    assert seen(site) == {wilma, wilma + 1, site.sim.user_contact_id}


def test_the_trash_needs_its_own_permission_under_an_acl_too(site: Site, wilma: int) -> None:
    site.sim.trash(wilma)
    where = [["id", "=", wilma]]
    assert len(site.values("Contact", where=where)) == 1
    site.sim.revoke("access deleted contacts")
    assert site.values("Contact", where=where) == []


@pytest.mark.fact("civicrm: Permissions", "reload leaves out the unseen, the plain echo does not")
def test_contacts_created_under_an_acl_are_not_read_back(site: Site, wilma: int) -> None:
    """200 and no values with `reload`, though they are there; the plain echo has the ids."""
    answer = site.call("Contact", "save", records=[NEW, NEW], reload=["id"])
    assert (answer["values"], answer["count"]) == ([], 0)
    made = site.sim.contacts(first_name="Gazoo")
    assert len(made) == 2
    (echo,) = site.values("Contact", "save", records=[NEW])
    assert echo["id"] == made[-1].id + 1
    assert echo["email_primary.email"] == "g@example.org"
    assert seen(site) == {wilma, site.sim.user_contact_id}


@pytest.mark.fact("civicrm: Permissions", "GroupContact.save for an unseen contact is 403")
def test_the_memberships_of_the_unseen_cannot_be_saved(site: Site, group: int, wilma: int) -> None:
    match = {"match": ["group_id", "contact_id"]}
    for status in ("Removed", "Added"):
        record = {"contact_id": wilma + 1, "group_id": group, "status": status}
        assert site.ask("GroupContact", "save", records=[record], **match).status_code == 403
    assert site.sim.group_status(wilma + 1, group) is None
    record = {"contact_id": wilma, "group_id": group, "status": "Removed"}
    assert site.ask("GroupContact", "save", records=[record], **match).status_code == 200
    assert site.ask("GroupContact", "save", records=[record], **match).status_code == 403


def test_who_is_seen_by_an_acl_may_be_edited_and_nobody_else(site: Site, wilma: int) -> None:
    name = {"values": {"first_name": "X"}, "reload": ["id"]}
    for contact_id in (wilma, site.sim.user_contact_id):
        where = [["id", "=", contact_id]]
        assert site.values("Contact", "update", where=where, **name) == [{"id": contact_id}]
    assert site.values("Contact", "update", where=[["id", "=", wilma + 1]], **name) == []
    email = {"contact_id": wilma, "email": "w@example.org"}
    assert site.ask("Email", "create", values=email).status_code == 200
    email["contact_id"] = wilma + 1
    assert site.ask("Email", "create", values=email).status_code == 403


# --- what is said of access -----------------------------------------------------------------------


def access(site: Site, entity: str, action: str, **values: Any) -> dict[str, Any]:
    answer = site.post(
        f"/civicrm/ajax/api4/{entity}/checkAccess", params={"action": action, "values": values}
    )
    (row,) = answer.json()["values"]
    assert row.keys() == {"access", "id"}
    found: dict[str, Any] = row
    return found


@pytest.mark.fact("civicrm: Permissions", "checkAccess follows add contacts and edit all contacts")
def test_check_access_follows_add_contacts_and_edit_all_contacts(site: Site, group: int) -> None:
    place = {"contact_id": 1, "group_id": group}
    for _ in range(2):
        may_add, may_edit = (
            permission in site.sim.web.users[site.sim.api_key].permissions
            for permission in (ADD, EDIT)
        )
        made = access(site, "Contact", "create", contact_type="Individual")
        assert made == {"access": may_add, "id": None}
        assert access(site, "Contact", "update", id=1) == {"access": may_edit, "id": 1}
        assert access(site, "GroupContact", "create", **place)["access"] is may_edit
        assert access(site, "GroupContact", "save", **place)["access"] is may_edit
        site.sim.revoke(ADD)
        site.sim.revoke(EDIT)


@pytest.mark.fact("civicrm: Permissions", "checkAccess follows add contacts and edit all contacts")
def test_our_own_contact_proves_nothing(site: Site) -> None:
    site.sim.revoke(EDIT)
    site.sim.grant("edit my contact")
    own = site.sim.user_contact_id
    assert access(site, "Contact", "update", id=own) == {"access": True, "id": own}
    assert access(site, "Contact", "update", id=1) == {"access": False, "id": 1}


@pytest.mark.fact("civicrm: Permissions", "checkAccess follows add contacts and edit all contacts")
def test_saving_a_contact_without_an_id_is_said_to_be_denied(site: Site) -> None:
    assert access(site, "Contact", "save", contact_type="Individual")["access"] is False
    assert access(site, "Contact", "save", id=1)["access"] is True
    site.call("Contact", "save", records=[NEW])


def test_check_access_under_an_acl(site: Site, group: int, wilma: int) -> None:
    assert access(site, "Contact", "create", contact_type="Individual")["access"] is True
    assert access(site, "Contact", "update", id=wilma)["access"] is True
    assert access(site, "Contact", "update", id=1)["access"] is False
    assert access(site, "Contact", "get", id=wilma)["access"] is True
    assert access(site, "Contact", "get", id=1)["access"] is False
    unseen = {"contact_id": wilma + 1, "group_id": group}
    assert access(site, "GroupContact", "create", **unseen)["access"] is False


@pytest.mark.fact("civicrm: Permissions", "checkAccess follows add contacts and edit all contacts")
def test_get_actions_lists_create_and_save_only_with_add_contacts(site: Site) -> None:
    names = {row["name"] for row in site.values("Contact", "getActions", select=["name"])}
    assert {"create", "save", "update", "get"} <= names
    site.sim.revoke(ADD)
    without = {row["name"] for row in site.values("Contact", "getActions", select=["name"])}
    assert without == names - {"create", "save"}


@pytest.mark.fact("civicrm: Permissions", "groups are empty without view all contacts")
def test_without_sight_of_contacts_there_are_no_groups_and_no_error(site: Site, group: int) -> None:
    site.sim.add_user("poor", permissions=frozenset({LOG_IN, ACCESS}))
    assert site.values("Group", key="poor") == []
    site.sim.grant(VIEW, "poor")
    assert [row["id"] for row in site.values("Group", key="poor", select=["id"])] == [1, group]
