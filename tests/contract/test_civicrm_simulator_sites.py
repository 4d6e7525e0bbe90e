"""The simulated CiviCRM site: a new one, one restored from a backup, another one, broken groups."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicrm_served import NOON, Site, serve

CREATED = {"select": ["id", "created_date"], "orderBy": {"id": "ASC"}}


site = pytest.fixture(serve)


# --- a new site -----------------------------------------------------------------------------------


def test_a_new_site_has_its_own_organisation_as_contact_1(site: Site) -> None:
    """(get-row-count, contact-where-modified-date: contact 1, without a created_date)"""
    (row,) = site.values("Contact", where=[["id", "=", 1]])
    assert row["contact_type"] == "Organization"
    assert row["display_name"] == "Default Organization"
    names = ("first_name", "last_name", "birth_date", "job_title", "created_date", "source")
    assert all(row[name] is None for name in names)
    assert site.values("GroupContact", where=[["contact_id", "=", 1]]) == []
    assert site.sim.history(1) == []


@pytest.mark.fact("civicrm: Time", "created_date is a TIMESTAMP")
def test_created_date_is_a_timestamp_in_todays_offset(site: Site) -> None:
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    old = site.sim.add_contact("Wilma", created_date=july)
    new = site.sim.add_contact("Fred")

    def texts() -> dict[int, str]:
        rows = site.values("Contact", where=[["id", "IN", [old, new]]], **CREATED)
        return {row["id"]: row["created_date"] for row in rows}

    assert texts() == {old: "2026-07-01 13:00:00", new: "2026-11-22 13:00:00"}
    site.sim.set_utc_offset(120)
    assert texts() == {old: "2026-07-01 14:00:00", new: "2026-11-22 14:00:00"}
    assert site.sim.contact(old).created_at == july  # type: ignore[union-attr]


# --- backups --------------------------------------------------------------------------------------


def test_what_came_after_a_backup_is_gone_when_it_is_restored(site: Site, group: int) -> None:
    wilma, fred = site.sim.add_contact("Wilma"), site.sim.add_contact("Fred")
    site.sim.add_to_group(wilma, group)
    backup = site.sim.backup()
    site.wait(days=1)
    pebbles = site.sim.add_contact("Pebbles", emails=["pebbles@example.org"])
    site.sim.remove_from_group(wilma, group)
    site.sim.add_to_group(fred, group)
    site.sim.update_contact(wilma, first_name="Wilhelmina")
    newest = site.sim.history()[-1].id
    site.sim.restore(backup)
    assert site.sim.contact(pebbles) is None
    assert site.sim.contacts_by_email("pebbles@example.org") == []
    assert site.sim.contact(wilma).first_name == "Wilma"  # type: ignore[union-attr]
    assert [site.sim.group_status(who, group) for who in (wilma, fred)] == ["Added", None]
    assert [row.status for row in site.sim.history(group_id=group)] == ["Added"]
    # Ids are given again, to somebody else and for something else:
    assert site.sim.add_contact("Bamm-Bamm") == pebbles
    site.sim.add_to_group(fred, group)
    site.sim.add_to_group(pebbles, group)
    assert site.sim.history()[-1].id == newest


def test_a_backup_may_be_restored_twice_and_finds_by_index(site: Site, group: int) -> None:
    wilma = site.sim.add_contact("Wilma", "Flintstone", ["wilma@example.org"])
    site.sim.add_to_group(wilma, group)
    backup = site.sim.backup()
    for _ in range(2):
        site.sim.purge(wilma)
        assert site.values("Email", where=[["email", "=", "wilma@example.org"]]) == []
        site.sim.restore(backup)
        assert len(site.values("Email", where=[["email", "=", "wilma@example.org"]])) == 1
        assert len(site.values("GroupContact", where=[["contact_id", "=", wilma]])) == 1
    match: dict[str, Any] = {"match": ["group_id", "contact_id"]}
    record = {"group_id": group, "contact_id": wilma, "status": "Removed"}
    assert site.call("GroupContact", "save", records=[record], **match)["countMatched"] == 1


def test_an_id_may_mean_another_person(site: Site, group: int) -> None:
    wilma = site.sim.add_contact("Wilma", "Flintstone", ["wilma@example.org"])
    site.sim.add_to_group(wilma, group)
    site.sim.replace_person(wilma, "Betty", "Rubble", ["betty@example.org"])
    found = site.sim.contact(wilma)
    assert found is not None
    assert (found.first_name, found.last_name, found.email) == (
        "Betty",
        "Rubble",
        "betty@example.org",
    )
    assert found.created_at == NOON - timedelta(days=1)
    assert found.modified_at == NOON
    assert site.sim.history(wilma) == []
    assert site.sim.group_status(wilma, group) is None
    assert site.sim.contacts_by_email("wilma@example.org") == []
    site.sim.replace_person(wilma, "Dino", created_at=NOON)
    assert site.sim.contact(wilma).created_at == NOON  # type: ignore[union-attr]


def test_another_site_answers_with_the_same_key(site: Site, group: int) -> None:
    wilma = site.sim.add_contact("Wilma", emails=["wilma@example.org"])
    site.wait(days=1)
    site.sim.become_another_site()
    assert site.post("/civicrm/authx/id").json()["contact_id"] == 3
    rows = site.values("Contact", **CREATED)
    assert [row["created_date"] for row in rows] == [None, *["2026-11-23 13:00:00"] * 2]
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert [row["title"] for row in site.values("Group")] == ["Administrators"]
    assert site.sim.contacts_by_email("wilma@example.org") == []
    assert site.sim.add_contact("Fred") == wilma
    assert site.sim.add_group("Other people's news") == group


# --- odd rows and broken groups -------------------------------------------------------------------


def test_a_membership_may_have_no_status(site: Site, group: int) -> None:
    wilma = site.sim.add_contact("Wilma")
    site.sim.add_to_group(wilma, group)
    site.sim.sql_clear_status(wilma, group)
    select = ["contact_id", "status"]
    (row,) = site.values("GroupContact", select=select)
    assert (row["contact_id"], row["status"]) == (wilma, None)
    count = {"select": ["status", "COUNT(id) AS n"], "groupBy": ["status"]}
    assert site.values("GroupContact", **count) == [{"status": None, "n": 1}]
    assert site.values("Contact", where=[["groups", "IN", [group]]]) == []
    assert site.sim.group_status(wilma, group) == ""
    assert len(site.sim.history(wilma)) == 1


def test_a_deleted_membership_leaves_a_line_of_history_or_by_sql_none(
    site: Site, group: int
) -> None:
    wilma, fred = site.sim.add_contact("Wilma"), site.sim.add_contact("Fred")
    for contact_id in (wilma, fred):
        site.sim.add_to_group(contact_id, group)
    site.sim.delete_from_group(wilma, group)
    site.sim.sql_set_membership(fred, group, None)
    assert site.values("GroupContact") == []
    assert [row.status for row in site.sim.history(wilma)] == ["Added", "Deleted"]
    assert [row.status for row in site.sim.history(fred)] == ["Added"]


def test_one_group_fails_to_refresh_while_others_work(site: Site) -> None:
    first, second = (
        site.sim.add_group(name, smart_where=[["first_name", "=", name]])
        for name in ("Wilma", "Fred")
    )
    wilma = site.sim.add_contact("Wilma")
    site.sim.break_group(second)
    assert site.ask("Group", "refresh", where=[["id", "=", first]]).status_code == 200
    answer = site.ask("Group", "refresh", where=[["id", "=", second]])
    assert answer.status_code == 500
    assert "Error ID" in answer.json()["error_message"]
    for group_id, found in ((first, [{"id": wilma}]), (second, [])):
        where = [["groups", "IN", [group_id]]]
        assert site.values("Contact", select=["id"], where=where) == found
    site.sim.mend_group(second)
    assert site.ask("Group", "refresh", where=[["id", "=", second]]).status_code == 200


def test_one_group_fails_to_tell_who_is_in_it(site: Site, group: int) -> None:
    other = site.sim.add_group("Trustees")
    site.sim.break_group(group, "resolve")
    where = [["groups", "IN", [group]]]
    answer = site.ask("Contact", where=where)
    assert answer.status_code == 500
    assert "Error ID" in answer.json()["error_message"]
    assert site.values("Contact", where=[["groups", "IN", [other]]]) == []
    assert site.sim.resolved_members(group) == set()
    site.sim.mend_group(group)
    assert site.values("Contact", where=where) == []
