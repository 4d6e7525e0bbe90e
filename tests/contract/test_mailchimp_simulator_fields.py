"""The simulated Mailchimp: merge fields, interests, tags, and the bulk call.

One test per fact known about the real service.
"""

import pytest
from mailchimp_bedrock import LIST, Bedrock, at

MEMBERS = f"/lists/{LIST}/members"
WILMA, FRED = "wilma@example.org", "fred@example.org"
BOWLING, QUARRY = "1111111111", "2222222222"


# Merge fields, interests, tags


@pytest.mark.fact("mailchimp: Writing", "unknown tags ignored, a blank clears")
def test_unknown_merge_tags_are_ignored_and_a_blank_clears(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed", merge_fields={"FNAME": "Wilma", "ROCK": "hard"})
    assert api.member(WILMA)["merge_fields"] == {"FNAME": "Wilma", "LNAME": ""}
    api.put(WILMA, merge_fields={"FNAME": ""})
    assert api.member(WILMA)["merge_fields"]["FNAME"] == ""


@pytest.mark.fact("mailchimp: Writing", "required fields, addresses, dates")
@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("number", "many", "Please enter a number"),
        ("address", {"addr1": "301 Cobblestone Way"}, "Please enter a complete address"),
        ("date", "yesterday", "Please enter the date"),
        ("birthday", "13/32", "Please enter your birthday"),
        ("text", True, "Schema describes string, boolean found instead"),
    ],
)
def test_merge_fields_are_validated_unless_that_is_skipped(
    api: Bedrock, kind: str, value: object, message: str
) -> None:
    api.sim.add_merge_field(LIST, "X", "X", kind)
    body = {"email_address": WILMA, "status": "subscribed", "merge_fields": {"X": value}}
    problem = api.refused("PUT", at(WILMA), body)
    assert problem["detail"] == "Your merge fields were invalid."
    assert problem["errors"] == [{"field": "X", "message": message}]
    api.write("PUT", at(WILMA), body, skip_merge_validation="true")


@pytest.mark.parametrize(
    ("kind", "sent", "read"),
    [
        ("number", "15.5", 15.5),
        ("date", "12/21/1980", "1980-12-21"),
        ("birthday", "12/21", "12/21"),
        ("phone", "+5583999999999", "+5583999999999"),
    ],
)
def test_merge_values_are_read_as_stored(
    api: Bedrock, kind: str, sent: object, read: object
) -> None:
    api.sim.add_merge_field(LIST, "X", "X", kind)
    assert (
        api.put(WILMA, status="subscribed", merge_fields={"X": sent})["merge_fields"]["X"] == read
    )
    assert api.put(WILMA, merge_fields={"X": ""})["merge_fields"]["X"] == ""


def test_an_address_reads_as_object_and_empty_as_blank(api: Bedrock) -> None:
    api.sim.add_merge_field(LIST, "HOME", "Home", "address")
    cave = {"addr1": "345 Cave Stone Rd", "city": "Bedrock", "state": "AZ", "zip": "70777"}
    assert api.put(WILMA, status="subscribed")["merge_fields"]["HOME"] == ""
    stored = api.put(WILMA, merge_fields={"HOME": cave})["merge_fields"]["HOME"]
    assert stored == cave | {"addr2": "", "country": "US"}


@pytest.mark.fact("mailchimp: Writing", "required fields, addresses, dates")
def test_a_required_field_is_demanded_unless_validation_is_skipped(api: Bedrock) -> None:
    api.sim.add_merge_field(LIST, "CAVE", "Cave", required=True)
    body = {"email_address": WILMA, "status": "subscribed"}
    problem = api.refused("POST", MEMBERS, body)
    assert problem["errors"] == [{"field": "CAVE", "message": "Please enter a value"}]
    api.write("POST", MEMBERS, body, skip_merge_validation="true")
    api.put(WILMA, status="unsubscribed")
    assert api.refused("PUT", at(WILMA), {"merge_fields": {"CAVE": ""}})["status"] == 400


def test_a_required_field_is_demanded_when_a_contact_is_brought_back(api: Bedrock) -> None:
    api.sim.import_member(LIST, WILMA, "archived")
    api.sim.add_merge_field(LIST, "CAVE", "Cave", required=True)
    assert api.refused("PUT", at(WILMA), {"status": "subscribed"})["errors"][0]["field"] == "CAVE"
    api.put(WILMA, vip=True)
    api.put(WILMA, status="subscribed", merge_fields={"CAVE": "7"})


@pytest.mark.fact("mailchimp: Limits", "text is cut to 255 bytes")
def test_text_is_cut_to_255_bytes(api: Bedrock) -> None:
    stored = api.put(WILMA, status="subscribed", merge_fields={"FNAME": "é" * 200})
    assert stored["merge_fields"]["FNAME"] == "é" * 127


def test_a_removed_merge_field_is_gone_from_all_members(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed", merge_fields={"LNAME": "Flintstone"})
    api.sim.remove_merge_field(LIST, "LNAME")
    assert api.member(WILMA)["merge_fields"] == {"FNAME": ""}


@pytest.mark.fact("mailchimp: Writing", "interests: a map, only sent ids change")
def test_interests_are_a_map_of_which_only_sent_ids_change(api: Bedrock) -> None:
    api.sim.add_interest(LIST, "Topics", BOWLING, "Bowling")
    api.sim.add_interest(LIST, "Topics", QUARRY, "Quarrying")
    api.put(WILMA, status="subscribed", interests={BOWLING: True})
    changed = api.put(WILMA, interests={QUARRY: True})
    assert changed["interests"] == {BOWLING: True, QUARRY: True}
    assert api.put(WILMA, interests={BOWLING: False})["interests"][BOWLING] is False
    assert api.refused("PUT", at(WILMA), {"interests": {BOWLING: "yes"}})["status"] == 400
    assert api.refused("PUT", at(WILMA), {"interests": {"ffffffffff": True}})["status"] == 400


def test_tags_match_in_any_case_and_keep_the_first(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    for name, status in (("Quarry", "active"), ("QUARRY", "active"), ("Bowling", "active")):
        api.write("POST", at(WILMA, "/tags"), {"tags": [{"name": name, "status": status}]})
    assert {tag["name"] for tag in api.member(WILMA)["tags"]} == {"Quarry", "Bowling"}
    api.write("POST", at(WILMA, "/tags"), {"tags": [{"name": "quarry", "status": "inactive"}]})
    assert [tag["name"] for tag in api.get(at(WILMA, "/tags"))["tags"]] == ["Bowling"]


@pytest.mark.fact("mailchimp: Writing", "tags: wrapped, 204, 404 of nobody")
def test_a_tag_that_is_not_wrapped_does_nothing(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.write("POST", at(WILMA, "/tags"), {"name": "Quarry", "status": "active"})
    assert api.member(WILMA)["tags"] == []


def test_a_member_shows_50_tags_and_the_endpoint_all(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    tags = [{"name": f"Rock {number}", "status": "active"} for number in range(60)]
    api.write("POST", at(WILMA, "/tags"), {"tags": tags})
    wilma = api.member(WILMA)
    assert (len(wilma["tags"]), wilma["tags_count"]) == (50, 60)
    listed = api.get(at(WILMA, "/tags"), count=1000)
    assert (len(listed["tags"]), listed["total_items"]) == (60, 60)


def test_tags_of_nobody_are_404_and_member_tags_in_put_are_ignored(api: Bedrock) -> None:
    body = {"tags": [{"name": "Quarry", "status": "active"}]}
    assert api.refused("POST", at(WILMA, "/tags"), body)["status"] == 404
    assert api.put(WILMA, status="subscribed", tags=["Quarry"])["tags"] == []


# The bulk call


def test_bulk_creates_updates_and_reports_each_error(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    entries = [
        {"email_address": WILMA, "status": "subscribed"},
        {"email_address": FRED, "status": "subscribed", "tags": ["Quarry"]},
        {"email_address": "noreply@example.org", "status": "subscribed"},
    ]
    body = api.write("POST", f"/lists/{LIST}", {"members": entries})
    assert (body["total_created"], body["total_updated"], body["error_count"]) == (1, 0, 2)
    codes = [error["error_code"] for error in body["errors"]]
    assert codes == ["ERROR_CONTACT_EXISTS", "ERROR_GENERIC"]
    body = api.write("POST", f"/lists/{LIST}", {"members": entries, "update_existing": True})
    assert (body["total_created"], body["total_updated"], body["error_count"]) == (0, 2, 1)


def test_bulk_tells_the_field_of_a_merge_error(api: Bedrock) -> None:
    api.sim.add_merge_field(LIST, "LTV", "Value", "number")
    entry = {"email_address": WILMA, "status": "subscribed", "merge_fields": {"LTV": "much"}}
    error = api.write("POST", f"/lists/{LIST}", {"members": [entry]})["errors"][0]
    assert (error["field"], error["field_message"]) == ("LTV", "Please enter a number")


def test_bulk_adds_tags_or_replaces_them_with_sync_tags(api: Bedrock) -> None:
    entry = {"email_address": WILMA, "status": "subscribed", "tags": ["Quarry"]}
    api.write("POST", f"/lists/{LIST}", {"members": [entry]})
    more = {"members": [entry | {"tags": ["Bowling"]}], "update_existing": True}
    api.write("POST", f"/lists/{LIST}", more)
    assert api.member(WILMA)["tags_count"] == 2
    api.write("POST", f"/lists/{LIST}", more | {"sync_tags": True})
    assert [tag["name"] for tag in api.member(WILMA)["tags"]] == ["Bowling"]


def test_bulk_takes_at_most_500(api: Bedrock) -> None:
    entry = {"email_address": WILMA, "status": "subscribed"}
    assert api.refused("POST", f"/lists/{LIST}", {"members": [entry] * 501})["status"] == 400
