"""The simulated CiviCRM site's data: reading, time, memberships, history, contacts, merges.

Names in brackets are the recorded exchanges that a test restates; what has none was
measured later, or is what a human does.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from civicrm_served import NOON, Site, serve

from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.civicrm.query import Query

Ids = list[int]


site = pytest.fixture(serve)


@pytest.fixture
def fred(site: Site, wilma: int) -> int:
    return site.sim.add_contact("Fred", "Flintstone", ["fred@example.org"])


def ids(site: Site, entity: str, *where: list[Any], **params: Any) -> Ids:
    rows = site.values(entity, select=["id"], where=list(where), **params)
    return [row["id"] for row in rows]


# Reading


@pytest.mark.fact("civicrm: Answers", "unknown fields in select are ignored")
def test_selecting(site: Site, wilma: int) -> None:
    """(error-unknown-field-select, contact-api-key-visible, contact-get-after-create)"""
    select = ["nonsense", "first_name", "email_primary.email", "api_key", "address_primary.city"]
    (row,) = site.values("Contact", select=select, where=[["id", "=", wilma]])
    assert row == {
        "id": wilma,
        "first_name": "Wilma",
        "email_primary.email": "wilma@example.org",
        "address_primary.city": None,
    }


def test_without_select_all_plain_fields_come(site: Site, wilma: int) -> None:
    """(groupcontact-get-select-default, email-get-after-update)"""
    (row,) = site.values("Email", where=[["contact_id", "=", wilma]])
    assert len(row) == 12
    assert row["is_primary"] is True
    assert row["on_hold"] == 0


@pytest.mark.fact("civicrm: Reading", "operators; IN [] is no rows")
@pytest.mark.parametrize(
    ("clause", "names"),
    [
        (["first_name", "=", "wilma"], {"Wilma"}),
        (["first_name", "!=", "Wilma"], {"Fred", "Bamm"}),
        (["first_name", "IN", ["Wilma", "FRED"]], {"Wilma", "Fred"}),
        (["first_name", "NOT IN", ["Wilma"]], {"Fred", "Bamm"}),
        (["first_name", "LIKE", "w_l%"], {"Wilma"}),
        (["first_name", "NOT LIKE", "w%"], {"Fred", "Bamm"}),
        (["source", "IS NULL"], {"Wilma", "Fred"}),
        (["source", "IS NOT EMPTY"], {"Bamm"}),
        (["source", "CONTAINS", "stone"], {"Bamm"}),
        (["id", "BETWEEN", [4, 5]], {"Wilma", "Fred"}),
        (["id", "IN", []], set()),
        (["OR", [["first_name", "=", "Fred"], ["source", "=", "stone age"]]], {"Fred", "Bamm"}),
        (["NOT", [["first_name", "=", "Fred"]]], {"Wilma", "Bamm"}),
        (["AND", [["id", ">", 4], ["id", "<=", 5]]], {"Fred"}),
        (["last_name", ">", "first_name", True], {"Wilma"}),
        (["email_primary.email", "=", "fred@example.org"], {"Fred"}),
    ],
)
def test_operators(site: Site, wilma: int, fred: int, clause: list[Any], names: set[str]) -> None:
    """(get-where-*)"""
    site.sim.update_contact(wilma, last_name="Zappa")
    site.sim.add_contact("Bamm", None, source="Stone Age")
    where = [["id", ">", 3], clause]
    found = site.values("Contact", select=["first_name"], where=where)
    assert {row["first_name"] for row in found} == names


@pytest.mark.fact("civicrm: Reading", "addresses match loosely: case, accents, trailing spaces")
@pytest.mark.parametrize(
    ("asked", "hits"),
    [
        ("WILMA@Example.ORG", True),
        ("wílma@example.org", True),
        ("wilma@example.org  ", True),
        (" wilma@example.org", False),
        ("wilma@example.or", False),
    ],
)
def test_addresses_are_found_by_collation(site: Site, wilma: int, asked: str, hits: bool) -> None:
    """(email-get-case-insensitive, email-get-accent-insensitive, email-get-trailing-space)"""
    for op, value in (("=", asked), ("IN", [asked]), ("LIKE", asked.rstrip())):
        assert bool(ids(site, "Email", ["email", op, value])) is hits


def test_counts(site: Site) -> None:
    """(get-row-count, get-row-count-only, get-offset-page)"""
    page = site.call("Tag", select=["row_count", "id"], limit=2, orderBy={"id": "ASC"})
    assert (page["count"], page["countFetched"], page["countMatched"]) == (5, 2, 5)
    only = site.call("Tag", select=["row_count"])
    assert (only["values"], only["count"], only["countMatched"]) == ([], 5, 5)
    full = site.call("Tag", select=["id"], limit=2, offset=1, orderBy={"id": "ASC"})
    assert (full["count"], "countMatched" in full) == (2, False)


@pytest.mark.fact("civicrm: Reading", "with offset the counts are wrong")
def test_with_an_offset_the_counts_are_wrong(site: Site) -> None:
    late = site.call("Tag", select=["row_count", "id"], limit=3, offset=4)
    assert (late["countFetched"], late["count"], late["countMatched"]) == (1, 5, 5)
    past = site.call("Tag", select=["row_count", "id"], limit=3, offset=50)
    assert (past["values"], past["count"]) == ([], 50)


@pytest.mark.fact("civicrm: Reading", "without orderBy rows come in index order")
def test_without_order_rows_come_by_an_index(site: Site, group: int) -> None:
    zoe = site.sim.add_contact("Zoe", "Slate")
    abe = site.sim.add_contact("Abe", "Rubble")
    for person in (abe, zoe):
        site.sim.add_to_group(person, group)
    assert ids(site, "Contact", ["id", ">", 3]) == [abe, zoe]
    assert [row["contact_id"] for row in site.values("GroupContact")] == [zoe, abe]
    assert ids(site, "GroupContact", orderBy={"id": "ASC"}) == [1, 2]
    assert [t["id"] for t in site.values("Tag", select=["id", "name"])] == [2, 3, 4, 1, 5]


@pytest.mark.fact("civicrm: Reading", "no default limit; paging by id")
def test_paging_by_id_sees_every_row_once(site: Site, group: int) -> None:
    """(get-keyset-page)"""
    other = site.sim.add_group("Other")
    people = [site.sim.add_contact(f"P{i}") for i in range(25)]
    for i, person in enumerate(people):
        site.sim.add_to_group(person, (group, other)[i % 2])
    seen: Ids = []
    while True:
        where = [["group_id", "IN", [group, other]], ["id", ">", seen[-1] if seen else 0]]
        page = ids(site, "GroupContact", *where, orderBy={"id": "ASC"}, limit=10)
        seen += page
        if len(page) < 10:
            break
    assert seen == list(range(1, 26))
    assert ids(site, "GroupContact", orderBy={"id": "DESC"}, limit=2) == [25, 24]


@pytest.mark.fact("civicrm: Reading", "aggregates")
def test_aggregates(site: Site, group: int, wilma: int, fred: int) -> None:
    """(groupcontact-get-sync-state, subscriptionhistory-get-latest)"""
    site.sim.add_to_group(wilma, group)
    site.sim.remove_from_group(fred, group)
    select = ["status", "COUNT(id) AS n", "MAX(id) AS newest"]
    found = site.values("GroupContact", select=select, groupBy=["status"])
    assert {row["status"]: (row["n"], row["newest"]) for row in found} == {
        "Added": (1, 1),
        "Removed": (1, 2),
    }
    select = ["MAX(id) AS max_id", "MIN(date) AS first", "COUNT(id) AS n", "CURDATE() AS today"]
    assert site.values("SubscriptionHistory", select=select) == [
        {"max_id": 2, "first": "2026-11-22 13:00:00", "n": 2, "today": "2026-11-22"}
    ]
    none = ["id", "=", 0]
    empty = site.values("SubscriptionHistory", select=["MAX(id) AS n"], where=[none])
    assert empty == [{"n": None}]


@pytest.mark.fact("civicrm: Reading", "implicit joins")
def test_joins(site: Site, group: int, wilma: int) -> None:
    """(groupcontact-join-contact, groupcontact-explicit-join-email, *-join-group-bridge)"""
    dino = site.sim.add_contact("Dino")
    for person in (wilma, dino):
        site.sim.add_to_group(person, group)
    select = ["group_id.title", "group_id:name", "contact_id.email_primary.email", "e.email"]
    join = [["Email AS e", "LEFT", ["e.contact_id", "=", "contact_id"]]]
    rows = site.values("GroupContact", select=select, join=join, orderBy={"id": "ASC"})
    assert [row["e.email"] for row in rows] == ["wilma@example.org", None]
    assert [row["contact_id.email_primary.email"] for row in rows] == ["wilma@example.org", None]
    assert rows[0]["group_id.title"] == "Newsletter"
    join[0][1] = "INNER"
    assert len(site.values("GroupContact", join=join)) == 1
    bridge = [["Group AS g", "INNER", "GroupContact", ["g.id", "=", group]]]
    assert ids(site, "Contact", join=bridge, orderBy={"id": "ASC"}) == [wilma, dino]


def test_names_of_groups_may_stand_for_ids(site: Site, group: int, wilma: int) -> None:
    """(groupcontact-get-group-name, groupcontact-get-group-name-unknown)"""
    site.sim.add_to_group(wilma, group)
    assert ids(site, "GroupContact", ["group_id:label", "=", "newsletter"]) == [1]
    assert ids(site, "GroupContact", ["group_id:label", "IN", ["nosuch"]]) == []
    assert ids(site, "Group", ["group_type:name", "CONTAINS", "Mailing List"]) == [group]


# Time


@pytest.mark.fact("civicrm: Time", "dates have no zone and use today's offset")
def test_now_and_timestamps_follow_todays_offset(site: Site, group: int, wilma: int) -> None:
    """(now-via-sql-function, subscriptionhistory-date-summer-winter)"""
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    site.sim.add_to_group(wilma, group, at=july)
    query = {"select": ["date", "NOW() AS now"], "where": [["contact_id", "=", wilma]]}
    (winter,) = site.values("SubscriptionHistory", **query)
    assert (winter["date"], winter["now"]) == ("2026-07-01 13:00:00", "2026-11-22 13:00:00")
    site.sim.set_utc_offset(120)
    (summer,) = site.values("SubscriptionHistory", **query)
    assert (summer["date"], summer["now"]) == ("2026-07-01 14:00:00", "2026-11-22 14:00:00")
    assert site.sim.history(wilma)[0].at == july


@pytest.mark.fact("civicrm: Time", "TIMESTAMPs are converted, DATETIMEs never")
def test_hold_dates_are_never_converted(site: Site, wilma: int) -> None:
    site.sim.update_email(site.sim.emails(wilma)[0].id, on_hold=1)
    site.sim.set_utc_offset(120)
    (row,) = site.values("Email", where=[["contact_id", "=", wilma]])
    assert row["hold_date"] == "2026-11-22 13:00:00"


@pytest.mark.fact("civicrm: Time", "where on dates: only naive local text is exact")
@pytest.mark.parametrize(
    ("asked", "hits"),
    [
        ("2026-07-01 13:00:00", True),
        ("2026-07-01T13:00:00", True),
        ("20260701130000", True),
        ("2026-07-01T12:00:00Z", False),
        ("2026-07-01T11:00:00Z", True),
        ("2026-07-01T14:00:00+02:00", False),
        ("@1782907200", False),
        ("@1782903600", True),
    ],
)
def test_only_naive_local_dates_are_exact(
    site: Site, group: int, wilma: int, asked: str, hits: bool
) -> None:
    """(date-where-*)"""
    site.sim.add_to_group(wilma, group, at=datetime(2026, 7, 1, 12, tzinfo=UTC))
    assert bool(ids(site, "SubscriptionHistory", ["date", "=", asked])) is hits


@pytest.mark.fact("civicrm: Time", "a garbage date matches everything")
@pytest.mark.parametrize(
    ("asked", "hits"),
    [("garbage", True), ("2020", False), ("now - 1 hour", True), ("now", False)],
)
def test_odd_dates(site: Site, group: int, wilma: int, asked: str, hits: bool) -> None:
    """(date-where-garbage, date-where-relative); "2020" is 20:20 today."""
    site.sim.add_to_group(wilma, group)
    assert bool(ids(site, "SubscriptionHistory", ["date", ">", asked])) is hits


# Memberships and history


@pytest.mark.fact("civicrm: Groups", "every write adds history, also when nothing changed")
def test_every_write_adds_history_even_without_change(site: Site, group: int, wilma: int) -> None:
    """(groupcontact-save-match-again, groupcontact-update-same-status)"""
    save = {
        "records": [{"contact_id": wilma}],
        "defaults": {"group_id": group, "status": "Added"},
        "match": ["group_id", "contact_id"],
        "method": "API",
        "tracking": "mcsync 1",
    }
    first = site.call("GroupContact", "save", **save)
    again = site.call("GroupContact", "save", **save)
    assert (first["countMatched"], again["countMatched"]) == (0, 1)
    where = [["contact_id", "=", wilma]]
    site.values("GroupContact", "update", where=where, values={"status": "Added"})
    entries = [(h.status, h.method, h.tracking) for h in site.sim.history(wilma, group)]
    assert entries == [("Added", "API", "mcsync 1")] * 2 + [("Added", "API", None)]


@pytest.mark.fact("civicrm: Groups", "method and tracking stand beside the records")
def test_method_and_tracking_are_no_fields_of_the_record(
    site: Site, group: int, wilma: int
) -> None:
    record = {"contact_id": wilma, "group_id": group, "method": "Web", "tracking": "mine"}
    site.values("GroupContact", "save", records=[record])
    assert [(h.method, h.tracking) for h in site.sim.history(wilma)] == [("API", None)]


@pytest.mark.fact("civicrm: Groups", "a method of more than 8 characters loses the row of history")
@pytest.mark.parametrize(("method", "rows"), [("Mailchmp", 1), ("Mailchimp", 0)])
def test_a_long_method_loses_the_history_row(
    site: Site, group: int, wilma: int, method: str, rows: int
) -> None:
    """(groupcontact-create-method-8-chars, -9-chars, groupcontact-method-width-history)"""
    values = {"contact_id": wilma, "group_id": group}
    site.values("GroupContact", "create", values=values, method=method)
    assert site.sim.group_status(wilma, group) == "Added"
    assert len(site.sim.history(wilma)) == rows


@pytest.mark.fact("civicrm: Groups", "tracking is cut to 255")
def test_tracking_is_cut(site: Site, group: int, wilma: int) -> None:
    """(groupcontact-create-tracking-256-chars)"""
    values = {"contact_id": wilma, "group_id": group}
    site.values("GroupContact", "create", values=values, tracking="x" * 256)
    assert site.sim.history(wilma)[0].tracking == "x" * 255


@pytest.mark.fact(
    "civicrm: Writing",
    "save with match; the same pair twice is refused",
    "save matches all before it writes any",
)
def test_a_pair_has_one_row(site: Site, group: int, wilma: int, fred: int) -> None:
    """(groupcontact-create-again-error-admin, groupcontact-save-duplicate-in-one-call)"""
    pair = {"contact_id": wilma, "group_id": group}
    site.values("GroupContact", "create", values=pair)
    exists = (500, "DB Error: already exists")
    assert site.refusal("GroupContact", "create", values=pair) == exists
    twice = [{"contact_id": fred, "group_id": group}] * 2
    match = ["group_id", "contact_id"]
    assert site.refusal("GroupContact", "save", records=twice, match=match) == exists
    assert site.sim.group_members(group) == {wilma, fred}  # the first of the two was written


@pytest.mark.fact("civicrm: Writing", "save is not atomic and stops at the first bad record")
def test_save_stops_at_the_first_bad_record(site: Site, group: int, wilma: int, fred: int) -> None:
    """(groupcontact-save-partial-failure, -after, -history)"""
    records = [{"contact_id": person, "group_id": group} for person in (wilma, 999999, fred)]
    refused = site.refusal("GroupContact", "save", records=records)
    assert refused == (500, "DB Error: constraint violation")
    assert site.sim.group_members(group) == {wilma}
    assert [h.contact_id for h in site.sim.history(group_id=group)] == [wilma]


@pytest.mark.fact("civicrm: Writing", "failed inserts use up ids")
def test_failed_inserts_use_up_ids(site: Site, group: int, wilma: int, fred: int) -> None:
    pair = {"contact_id": wilma, "group_id": group}
    site.values("GroupContact", "create", values=pair)
    site.ask("GroupContact", "create", values=pair)
    site.values("GroupContact", "create", values={**pair, "contact_id": fred})
    assert ids(site, "GroupContact") == [1, 3]


@pytest.mark.fact("civicrm: Groups", "bad statuses are stored as they are")
def test_odd_statuses_are_stored(site: Site, group: int, wilma: int) -> None:
    """(groupcontact-create-bad-status, groupcontact-create-pending)"""
    values = {"contact_id": wilma, "group_id": group, "status": "Nonsense"}
    site.values("GroupContact", "create", values=values)
    assert site.sim.group_status(wilma, group) == "Nonsense"


@pytest.mark.fact("civicrm: Writing", "update that matches nobody: values [] and 200")
def test_update_by_where_changes_many_or_none(
    site: Site, group: int, wilma: int, fred: int
) -> None:
    """(groupcontact-update-bulk-where, groupcontact-update-no-match)"""
    for person in (wilma, fred):
        site.sim.add_to_group(person, group)
    values = {"status": "Removed"}
    where: list[Any] = [["group_id", "=", group], ["contact_id", "IN", [wilma, fred]]]
    assert len(site.values("GroupContact", "update", where=where, values=values)) == 2
    assert site.sim.group_members(group, "Removed") == {wilma, fred}
    where = [["contact_id", "=", 999999]]
    assert site.values("GroupContact", "update", where=where, values=values) == []


@pytest.mark.fact("civicrm: Groups", "prefer Removed to delete")
def test_deleting_a_membership_says_deleted(site: Site, group: int, wilma: int) -> None:
    """(groupcontact-delete, subscriptionhistory-after-delete): the id comes back as text."""
    site.sim.add_to_group(wilma, group)
    where = [["contact_id", "=", wilma]]
    assert site.values("GroupContact", "delete", where=where) == [{"id": "1"}]
    assert site.sim.group_status(wilma, group) is None
    assert [h.status for h in site.sim.history(wilma)] == ["Added", "Deleted"]


@pytest.mark.fact("civicrm: Groups", "history cannot be back-dated")
def test_history_cannot_be_back_dated(site: Site, group: int, wilma: int) -> None:
    """(subscriptionhistory-create-admin)"""
    values = {"contact_id": wilma, "group_id": group, "date": "2024-07-01 12:00:00"}
    site.values("SubscriptionHistory", "create", site.sim.admin_api_key, values=values)
    assert site.sim.history(wilma)[0].at == NOON


@pytest.mark.fact("civicrm: Time", "modified_date follows emails and not groups")
def test_modified_date_follows_emails_but_not_groups(site: Site, group: int, wilma: int) -> None:
    """(contact-modified-date-after-group-and-email)"""
    site.wait(hours=1)
    site.values("GroupContact", "create", values={"contact_id": wilma, "group_id": group})
    changed = ["modified_date", ">", "2026-11-22 13:00:00"]
    assert ids(site, "Contact", changed) == []
    where = [["contact_id", "=", wilma]]
    site.values("Email", "update", where=where, values={"is_bulkmail": True})
    assert ids(site, "Contact", changed) == [wilma]
    site.wait(hours=1)
    site.values("Contact", "update", where=[["id", "=", wilma]], values={"first_name": "Wilma"})
    assert ids(site, "Contact", ["modified_date", ">", "2026-11-22 14:00:00"]) == []


# Groups


@pytest.mark.fact("civicrm: Groups", "GroupContact has the static rows only")
def test_smart_groups_are_resolved_from_a_stale_cache(site: Site, wilma: int, fred: int) -> None:
    """(contact-get-groups-smart*, groupcontact-get-smart, groupcontact-removed-from-smart)"""
    smart = site.sim.add_group("Smart", smart_where=[["last_name", "=", "Flintstone"]])
    inside = ["groups", "IN", [smart]]
    assert set(ids(site, "Contact", inside)) == {wilma, fred}
    assert ids(site, "GroupContact", ["group_id", "=", smart]) == []
    record = {"contact_id": fred, "group_id": smart, "status": "Removed"}
    site.values("GroupContact", "save", records=[record])
    pebbles = site.sim.add_contact("Pebbles", "Flintstone")
    assert set(ids(site, "Contact", inside)) == {wilma, fred}
    refreshed = site.values("Group", "refresh", where=[["id", "=", smart]])
    assert [row["id"] for row in refreshed] == [smart]
    assert set(ids(site, "Contact", inside)) == {wilma, pebbles}
    (row,) = site.values("Group", select=["saved_search_id"], where=[["id", "=", smart]])
    assert row["saved_search_id"] is not None


def test_the_groups_filter_finds_added_and_untrashed(site: Site, group: int) -> None:
    """(contact-get-groups-static)"""
    people = [site.sim.add_contact(name) for name in ("Ann", "Ben", "Cid", "Dot")]
    for person in people:
        site.sim.add_to_group(person, group)
    site.sim.remove_from_group(people[1], group)
    site.sim.trash(people[2])
    site.sim.pend_in_group(people[3], group)
    assert ids(site, "Contact", ["groups", "IN", [group]]) == [people[0]]
    assert ids(site, "Contact", ["groups:label", "IN", ["Newsletter"]]) == [people[0]]


def test_a_new_groups_name_is_derived_and_its_title_unique(site: Site, group: int) -> None:
    """(group-create-title-longer-than-name, group-create-duplicate-title)"""
    (made,) = site.values("Group", "create", values={"title": "Interest: dinosaurs"})
    assert made["name"] == f"Interest_dinos_{made['id']}"
    refused = site.refusal("Group", "create", values={"title": "NEWSLETTER"})
    assert refused == (500, "DB Error: already exists")


def test_switching_and_deleting_groups(site: Site, group: int, wilma: int) -> None:
    site.sim.add_to_group(wilma, group)
    site.sim.disable_group(group)
    assert ids(site, "Group", ["is_active", "=", False]) == [group]
    site.sim.enable_group(group)
    assert ids(site, "Group", ["is_active", "=", False]) == []
    site.sim.delete_group(group)
    assert ids(site, "Group", ["id", "=", group]) == []
    assert (ids(site, "GroupContact"), site.sim.history()) == ([], [])


def test_what_humans_do_writes_history_as_admin(site: Site, group: int, wilma: int) -> None:
    site.sim.add_to_group(wilma, group)
    site.wait(minutes=1)
    site.sim.remove_from_group(wilma, group)
    site.sim.pend_in_group(wilma, group)
    site.sim.delete_from_group(wilma, group)
    entries = site.sim.history(wilma, group)
    assert [h.status for h in entries] == ["Added", "Removed", "Pending", "Deleted"]
    assert [h.method for h in entries] == ["Admin"] * 4
    assert [h.tracking for h in entries] == [None] * 4
    assert (entries[1].at - entries[0].at).total_seconds() == 60
    assert site.sim.writes == 0


@pytest.mark.fact("civicrm: Groups", "history may have gaps, the row is the truth")
def test_direct_sql_leaves_no_history(site: Site, group: int, wilma: int) -> None:
    for status in ("Added", "Removed", None):
        site.sim.sql_set_membership(wilma, group, status)
        assert site.sim.group_status(wilma, group) == status
    site.sim.add_to_group(wilma, group, history=False)
    assert site.sim.history(wilma) == []


def test_tags(site: Site, wilma: int) -> None:
    """(entitytag-*, contact-get-tags-pseudofield)"""
    tag = site.sim.add_tag("Bowling club")
    record = {"entity_table": "civicrm_contact", "entity_id": wilma, "tag_id": tag}
    site.values("EntityTag", "create", values=record)
    refused = site.refusal("EntityTag", "create", values=record)
    assert refused == (500, "DB Error: already exists")
    match = ["entity_table", "entity_id", "tag_id"]
    assert site.call("EntityTag", "save", records=[record], match=match)["countMatched"] == 1
    assert ids(site, "Contact", ["tags", "IN", [tag]]) == [wilma]
    assert site.sim.tags_of(wilma) == {"Bowling club"}
    site.sim.untag(wilma, tag)
    assert site.sim.tags_of(wilma) == set()


def test_a_big_site_is_served_by_its_indexes() -> None:
    """20,000 people: what a query looks at is what it asked for, not everything."""
    sim = CivicrmSimulator()
    group = sim.add_group("Newsletter")
    people = [sim.add_contact("P", str(i), [f"p{i}@example.org"]) for i in range(20_000)]
    for person in people[::2]:
        sim.add_to_group(person, group)

    def looked_at(entity: str, *where: list[Any]) -> int:
        table = sim.store.tables[entity].entity
        return len(list(Query(sim.store, table, {"where": list(where)}, None).candidates()))

    assert looked_at("Email", ["email", "IN", ["p7@example.org", "P8@EXAMPLE.ORG"]]) == 2
    assert looked_at("Email", ["contact_id", "IN", people[:50]]) == 50
    assert looked_at("GroupContact", ["group_id", "IN", [group]], ["id", ">", 9_990]) == 10
    assert looked_at("Contact", ["id", ">", people[-3]]) == 2
    assert looked_at("Contact", ["email_primary.email", "=", "p7@example.org"]) == 1
