"""The simulated CiviCRM site: what each permission is needed for, and how its lack shows.

Names in brackets are the recorded exchanges that a test restates.
"""

from typing import Any

import pytest
from civicrm_served import Site, serve

from mcsync.sandbox.civicrm.users import (
    ACCESS,
    ADD,
    DELETE,
    EDIT,
    EDIT_GROUPS,
    LOG_IN,
    SYNC_PERMISSIONS,
    TRASH,
    VIEW,
)

site = pytest.fixture(serve)


@pytest.mark.fact("civicrm: Permissions", "a missing permission reads as emptiness")
@pytest.mark.parametrize("entity", ["Contact", "Email", "GroupContact", "SubscriptionHistory"])
def test_a_missing_permission_reads_as_emptiness(site: Site, entity: str) -> None:
    """(error-permission-contact-get, groupcontact-get-noperm)"""
    group = site.sim.add_group("Newsletter")
    wilma = site.sim.add_contact("Wilma", "Flintstone", ["wilma@example.org"])
    site.sim.add_to_group(wilma, group)
    site.sim.revoke(VIEW)
    assert site.values(entity) != []  # editing implies viewing
    site.sim.revoke(EDIT)
    assert site.call(entity)["values"] == []
    site.sim.grant(VIEW)
    assert site.values(entity) != []


@pytest.mark.parametrize(
    ("permission", "entity", "action", "params"),
    [
        (ACCESS, "Group", "get", {}),
        (ACCESS, "GroupContact", "get", {}),
        (ACCESS, "Contact", "create", {"values": {"first_name": "Dino"}}),
        (ADD, "Contact", "create", {"values": {"first_name": "Dino"}}),
        (ADD, "Contact", "save", {"records": [{"first_name": "Dino"}]}),
        (EDIT, "GroupContact", "save", {"records": [{"contact_id": 4, "group_id": 1}]}),
        (EDIT, "Contact", "update", {"where": [["id", "=", 4]], "values": {"source": "x"}}),
        (EDIT, "Email", "update", {"where": [["contact_id", "=", 4]], "values": {"on_hold": 1}}),
        (EDIT_GROUPS, "Group", "create", {"values": {"title": "x"}}),
        (EDIT_GROUPS, "Group", "update", {"where": [["id", "=", 1]], "values": {"source": "x"}}),
        (DELETE, "Contact", "delete", {"where": [["id", "=", 4]]}),
    ],
)
def test_what_each_permission_is_needed_for(
    site: Site, permission: str, entity: str, action: str, params: dict[str, Any]
) -> None:
    """(error-permission-*, groupcontact-permission-noperm): 403, and nothing is written."""
    site.sim.add_contact("Wilma", "Flintstone", ["wilma@example.org"])
    for granted in (DELETE, VIEW):
        site.sim.grant(granted)
    site.sim.revoke(permission)
    answer = site.ask(entity, action, **params)
    assert (answer.status_code, answer.json()["status"]) == (403, 403)
    assert site.sim.writes == 0
    site.sim.grant(permission)
    assert site.ask(entity, action, **params).status_code == 200


def test_a_new_sync_user_has_what_a_sync_needs() -> None:
    assert {LOG_IN, ACCESS, VIEW, EDIT, ADD, EDIT_GROUPS, TRASH} == SYNC_PERMISSIONS


@pytest.mark.fact("civicrm: Permissions", "Domain.get is 403: the version cannot be relied on")
@pytest.mark.parametrize(
    ("entity", "action", "params"),
    [
        ("Domain", "get", {}),
        ("Setting", "get", {}),
        ("Contact", "getDuplicates", {}),
        ("Contact", "mergeDuplicates", {"contactId": 1, "duplicateId": 2}),
        ("SubscriptionHistory", "create", {"values": {"contact_id": 1, "group_id": 1}}),
    ],
)
def test_what_only_an_administrator_may(
    site: Site, entity: str, action: str, params: dict[str, Any]
) -> None:
    """(domain-get-version, error-permission-setting-get, contact-get-duplicates,
    subscriptionhistory-create-denied)"""
    assert site.ask(entity, action, **params).status_code == 403


@pytest.mark.fact("civicrm: Permissions", "without access to deleted contacts their rows vanish")
@pytest.mark.parametrize("entity", ["Email", "GroupContact", "SubscriptionHistory"])
def test_rows_of_trashed_contacts_vanish_without_permission(site: Site, entity: str) -> None:
    """(noperm-deleted-*, email-get-trashed-contact, groupcontact-get-trashed-contact)"""
    group = site.sim.add_group("Newsletter")
    dino = site.sim.add_contact("Dino", "", ["dino@example.org"])
    site.sim.add_to_group(dino, group)
    site.sim.trash(dino)
    query = {"select": ["contact_id.is_deleted"], "where": [["contact_id", "=", dino]]}
    assert site.values(entity, **query)[0]["contact_id.is_deleted"] is True
    site.sim.revoke(TRASH)
    assert site.values(entity, **query) == []
