"""The simulated Mailchimp: authentication, errors, limits, lists, and the member listing.

One test per fact known about the real service; all answers are held against Mailchimp's own
description by the client.
"""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import requests
from mailchimp_bedrock import KEY, LIST, OTHER_KEY, Bedrock, at, check_answer, fetch, operation
from openapi_core.exceptions import OpenAPIError

from mcsync.sandbox.server import Request

MEMBERS = f"/lists/{LIST}/members"
WILMA = {"email_address": "wilma@example.org", "status": "subscribed"}
START = datetime(2021, 11, 23, 22, 51, 50, tzinfo=UTC)


def seed(api: Bedrock, count: int) -> None:
    """`count` members, one a second."""
    for number in range(count):
        moment = START - timedelta(seconds=count - number)
        api.sim.import_member(LIST, f"pebble{number}@example.org", last_changed=moment)


def emails(listing: dict[str, list[dict[str, str]]]) -> list[str]:
    """The addresses on a page."""
    return [member["email_address"].partition("@")[0] for member in listing["members"]]


def test_the_checker_refuses_an_answer_that_breaks_the_description(api: Bedrock) -> None:
    """Else all other tests would prove less than they say."""
    api.put("wilma@example.org", status="subscribed")
    path = at("wilma@example.org")
    answer = api.session.get(f"{api.server.url}/3.0{path}")
    answer._content = answer.content.replace(b'"status":"subscribed"', b'"status":"happy"')
    with pytest.raises(OpenAPIError):
        check_answer(answer.request, answer, path)


# Authentication and envelope


@pytest.mark.fact("mailchimp: Account", "Basic auth")
def test_basic_auth_takes_any_user_name_and_the_key_as_password(api: Bedrock) -> None:
    api.session.auth = ("fred", KEY)
    assert api.get("/ping") == {"health_status": "Everything's Chimpy!"}


@pytest.mark.fact("mailchimp: Account", "Basic auth")
def test_a_bearer_key_is_accepted_too(api: Bedrock) -> None:
    api.session.auth = None
    api.session.headers["Authorization"] = f"Bearer {KEY}"
    assert api.get("/")["role"] == "owner"


@pytest.mark.fact("mailchimp: Errors", "401 API Key Invalid, Missing")
def test_no_key_is_401_api_key_missing(api: Bedrock) -> None:
    api.session.auth = None
    problem = api.refused("GET", "/ping")
    assert (problem["status"], problem["title"]) == (401, "API Key Missing")
    assert problem["detail"] == "Your request did not include an API key."


@pytest.mark.fact("mailchimp: Errors", "401 API Key Invalid, Missing")
def test_a_wrong_key_is_401_api_key_invalid(api: Bedrock) -> None:
    api.session.auth = ("fred", "nonsense-us3")
    problem = api.refused("GET", "/ping")
    assert (problem["status"], problem["title"]) == (401, "API Key Invalid")


def test_the_root_shows_the_account(api: Bedrock) -> None:
    api.sim.import_member(LIST, "wilma@example.org")
    root = api.get("/")
    assert (root["account_name"], root["total_subscribers"]) == ("Bedrock Gazette", 1)


def test_another_accounts_list_is_404(api: Bedrock) -> None:
    api.sim.add_audience("bbbbbbbbbb", "Slate quarry", OTHER_KEY)
    assert api.refused("GET", "/lists/bbbbbbbbbb")["status"] == 404
    assert [found["id"] for found in api.get("/lists")["lists"]] == [LIST]


def test_accounts_of_the_same_name_have_ids_of_their_own(api: Bedrock) -> None:
    api.sim.add_account(OTHER_KEY, "Bedrock Gazette")
    ours = api.get("/", fields="account_id")
    assert ours == {"account_id": api.sim.account_id(KEY)}
    api.session.auth = ("", OTHER_KEY)
    theirs = api.get("/")
    assert theirs["account_id"] == api.sim.account_id(OTHER_KEY) != ours["account_id"]
    api.sim.add_account(OTHER_KEY, account_id="8d3a3db4d97663a9074efcc16")
    assert api.get("/")["account_id"] == "8d3a3db4d97663a9074efcc16"


@pytest.mark.fact("mailchimp: Account", "GET / tells the account and the key's role")
def test_another_key_opens_the_same_account(api: Bedrock) -> None:
    api.sim.add_key(OTHER_KEY, KEY)
    batch_id = api.submit()
    root = api.get("/")
    api.session.auth = ("", OTHER_KEY)
    assert api.get("/") == root
    assert [found["id"] for found in api.get("/lists")["lists"]] == [LIST]
    assert api.get(f"/batches/{batch_id}")["id"] == batch_id
    api.sim.accounts[KEY].in_flight = 10
    assert api.refused("GET", "/ping")["status"] == 429  # the connections are the account's


def test_a_revoked_key_opens_nothing_and_the_other_one_still_does(api: Bedrock) -> None:
    api.sim.add_key(OTHER_KEY, KEY)
    api.sim.revoke_key(KEY)
    assert api.refused("GET", "/")["title"] == "API Key Invalid"
    api.session.auth = ("", OTHER_KEY)
    assert api.members()["total_items"] == 0
    result = api.run(operation("PUT", at("wilma@example.org"), "w", WILMA))["w"]
    assert result["status_code"] == 200


@pytest.mark.fact("mailchimp: Errors", "response headers as seen")
def test_errors_are_problem_documents_whose_instance_is_the_request_id(api: Bedrock) -> None:
    answer = api.call("GET", f"{MEMBERS}/nobody")
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert answer.json()["instance"] == answer.headers["X-Request-Id"]
    assert answer.json()["title"] == "Resource Not Found"


@pytest.mark.fact("mailchimp: Errors", "response headers as seen")
def test_answers_carry_the_headers_that_were_recorded(api: Bedrock) -> None:
    headers = api.call("GET", "/lists").headers
    assert headers["Server"] == "openresty"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert 'Lists/Collection.json>; rel="describedBy"' in headers["Link"]
    assert not {name for name in headers if "rate" in name.lower()}


def test_the_date_header_is_the_simulated_time(api: Bedrock) -> None:
    assert api.call("GET", "/ping").headers["Date"] == "Tue, 23 Nov 2021 22:51:50 GMT"


@pytest.mark.fact("mailchimp: Errors", "204 calls itself JSON and is empty")
def test_a_204_has_a_json_content_type_and_no_body(api: Bedrock) -> None:
    api.put("wilma@example.org", status="subscribed")
    answer = api.call("DELETE", at("wilma@example.org"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Content-Type"].startswith("application/json")


def test_an_unknown_path_is_404_and_a_wrong_method_405_with_allow(api: Bedrock) -> None:
    nowhere = api.session.get(f"{api.server.url}/3.0/nowhere")
    assert nowhere.status_code == 404
    wrong = api.session.put(f"{api.server.url}/3.0/lists", json={})
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET")


@pytest.mark.fact("mailchimp: Errors", "400 JSON Parse Exception, Bad Request")
def test_bad_json_is_a_json_parse_exception(api: Bedrock) -> None:
    url = f"{api.server.url}/3.0{MEMBERS}"
    assert api.session.post(url, data=b"{").json()["title"] == "JSON Parse Exception"


@pytest.mark.fact("mailchimp: Writing", "bodies are UTF-8")
def test_a_latin_1_body_is_refused_as_null(api: Bedrock) -> None:
    url = f"{api.server.url}/3.0{MEMBERS}"
    problem = api.session.post(url, data='{"x": "é"}'.encode("latin-1")).json()
    assert problem["status"] == 400
    assert problem["errors"][0]["message"] == "Schema describes object, NULL found instead"


@pytest.mark.fact("mailchimp: Errors", "414, 422")
def test_a_body_nested_too_deep_is_414(api: Bedrock) -> None:
    deep: dict[str, object] = {}
    for _ in range(60):
        deep = {"a": deep}
    assert api.refused("POST", MEMBERS, deep)["status"] == 414


def test_method_override_works_on_post_only(api: Bedrock) -> None:
    api.put("wilma@example.org", status="subscribed")
    url = f"{api.server.url}/3.0{at('wilma@example.org')}"
    override = {"X-HTTP-Method-Override": "DELETE"}
    assert api.session.get(url, headers=override).status_code == 422
    assert api.session.post(url, headers=override).status_code == 204
    assert api.member("wilma@example.org")["status"] == "archived"


def test_an_error_can_be_asked_for_by_header(api: Bedrock) -> None:
    api.session.headers["X-Trigger-Error"] = "APIKeyMissing"
    assert api.refused("GET", "/ping")["status"] == 401


# Limits


@pytest.mark.fact("mailchimp: Errors", "429 may come without JSON")
def test_the_eleventh_simultaneous_request_is_429(api: Bedrock) -> None:
    full, done = threading.Barrier(11, timeout=10), threading.Event()

    def wait(request: Request) -> None:
        if request.query == "hold":
            full.wait()
            done.wait(10)

    api.sim.before_answer = wait
    hold = [
        threading.Thread(target=requests.get, args=(f"{api.server.url}/3.0/ping?hold",),
                         kwargs={"auth": ("", KEY), "timeout": 10})
        for _ in range(10)
    ]  # fmt: skip
    for thread in hold:
        thread.start()
    full.wait()
    try:
        assert api.refused("GET", "/ping")["title"] == "Too Many Requests"
        api.sim.settings.drop_429_body = True
        bare = api.session.get(f"{api.server.url}/3.0/ping")
        assert (bare.status_code, bare.content) == (429, b"")
    finally:
        done.set()
        for thread in hold:
            thread.join()
    assert api.get("/ping")


@pytest.mark.fact("mailchimp: Limits", "ten connections per user")
def test_another_account_has_its_own_connections(api: Bedrock) -> None:
    api.sim.add_account(OTHER_KEY)
    api.sim.accounts[OTHER_KEY].in_flight = 10
    assert api.get("/ping")
    api.session.auth = ("", OTHER_KEY)
    assert api.refused("GET", "/ping")["status"] == 429


@pytest.mark.fact("mailchimp: Limits", "count 10 by default, at most 1000")
@pytest.mark.parametrize(("asked", "given"), [(None, 10), (3, 3), (1000, 1000), (5000, 1000)])
def test_count_is_10_by_default_and_capped_at_1000(
    api: Bedrock, asked: int | None, given: int
) -> None:
    seed(api, 1001)
    url = f"{api.server.url}/3.0{MEMBERS}?fields=members.id,total_items"
    body = api.session.get(url, params={"count": asked} if asked else {}).json()
    assert (len(body["members"]), body["total_items"]) == (given, 1001)


@pytest.mark.fact("mailchimp: Limits", "an offset past the end")
def test_an_offset_past_the_end_is_an_empty_page_with_the_full_total(api: Bedrock) -> None:
    seed(api, 3)
    assert api.members(offset=100)["total_items"] == 3
    assert api.members(offset=100)["members"] == []


@pytest.mark.parametrize("params", [{"count": "many"}, {"offset": "-1"}])
def test_paging_parameters_must_be_numbers(api: Bedrock, params: dict[str, str]) -> None:
    answer = api.session.get(f"{api.server.url}/3.0{MEMBERS}", params=params)
    assert answer.status_code == 400


# Lists


def test_a_list_tells_its_stats_and_double_optin(api: Bedrock) -> None:
    api.sim.add_audience("dddddddddd", "Careful audience", KEY, double_optin=True)
    for number, status in enumerate(("subscribed", "subscribed", "unsubscribed", "cleaned")):
        api.sim.import_member("dddddddddd", f"dino{number}@example.org", status)
    found = api.get("/lists/dddddddddd", include_total_contacts=True)
    assert found["double_optin"] is True
    stats = found["stats"]
    counts = [stats[name] for name in ("member_count", "unsubscribe_count", "cleaned_count")]
    assert (counts, stats["total_contacts"]) == ([2, 1, 1], 4)


def test_lists_are_paged_and_unknown_dates_are_empty_strings(api: Bedrock) -> None:
    api.sim.add_audience("dddddddddd", "Second", KEY)
    body = api.get("/lists", count=1, offset=1)
    assert [found["name"] for found in body["lists"]] == ["Second"]
    assert body["total_items"] == 2
    assert body["lists"][0]["stats"]["last_sub_date"] == ""


def test_a_removed_list_is_404(api: Bedrock) -> None:
    api.sim.remove_audience(LIST)
    assert api.refused("GET", f"/lists/{LIST}")["status"] == 404
    assert api.refused("GET", MEMBERS)["status"] == 404


@pytest.mark.fact("mailchimp: Writing", "interests and categories are paged by ten")
def test_interest_categories_and_interests_are_paged_by_ten(api: Bedrock) -> None:
    for number in range(12):
        api.sim.add_interest(LIST, "Topics", f"{number:010x}", f"Topic {number}")
    categories = api.get(f"/lists/{LIST}/interest-categories")
    assert categories["total_items"] == 1
    path = f"/lists/{LIST}/interest-categories/{categories['categories'][0]['id']}/interests"
    assert len(api.get(path)["interests"]) == 10
    rest = api.get(path, offset=10)["interests"]
    assert [interest["name"] for interest in rest] == ["Topic 10", "Topic 11"]
    assert rest[0]["subscriber_count"] == "0"


def test_categories_interests_and_merge_fields_can_be_created(api: Bedrock) -> None:
    root = f"/lists/{LIST}/interest-categories"
    category = api.write("POST", root, {"title": "Topics", "type": "checkboxes"})
    interest = api.write("POST", f"{root}/{category['id']}/interests", {"name": "Bowling"})
    api.put("wilma@example.org", status="subscribed", interests={interest["id"]: True})
    assert api.member("wilma@example.org")["interests"] == {interest["id"]: True}
    api.write("POST", f"/lists/{LIST}/merge-fields", {"name": "Cave", "type": "text"})
    tags = [found["tag"] for found in api.get(f"/lists/{LIST}/merge-fields")["merge_fields"]]
    assert tags == ["CAVE", "FNAME", "LNAME"]


# The member listing


@pytest.mark.fact("mailchimp: Members", "archived members are left out by default")
def test_without_status_archived_members_are_left_out(api: Bedrock) -> None:
    for status in ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived"):
        api.sim.import_member(LIST, f"{status}@example.org", status)
    assert api.members()["total_items"] == 5
    assert emails(api.members(status="archived")) == ["archived"]
    assert emails(api.members(status="cleaned")) == ["cleaned"]


@pytest.mark.fact("mailchimp: Members", "parameters of the listing")
def test_an_unknown_status_or_sort_field_is_refused(api: Bedrock) -> None:
    url = f"{api.server.url}/3.0{MEMBERS}"
    for params in ({"status": "happy"}, {"sort_field": "email_address"}, {"sort_dir": "UP"}):
        assert api.session.get(url, params=params).status_code == 400


def test_last_changed_sorts_both_ways_and_pages_fit_together(api: Bedrock) -> None:
    seed(api, 25)
    up = [
        name
        for offset in (0, 10, 20)
        for name in emails(api.members(sort_field="last_changed", sort_dir="ASC", offset=offset))
    ]
    assert up == [f"pebble{number}" for number in range(25)]
    down = api.members(sort_field="last_changed", sort_dir="DESC", count=25)
    assert emails(down) == up[::-1]


def test_within_one_second_the_order_is_arbitrary_but_stable(api: Bedrock) -> None:
    for number in range(30):
        api.sim.import_member(LIST, f"pebble{number:02}@example.org", last_changed=START)
    first = emails(api.members(sort_field="last_changed", count=30))
    assert first == emails(api.members(sort_field="last_changed", count=30))
    assert first != sorted(first)


def test_unsorted_pages_do_not_fit_together(api: Bedrock) -> None:
    seed(api, 100)
    pages = [emails(api.members(count=10, offset=offset)) for offset in range(0, 100, 10)]
    assert len({name for page in pages for name in page}) < 100
    api.sim.settings.unstable_order = False
    pages = [emails(api.members(count=10, offset=offset)) for offset in range(0, 100, 10)]
    assert len({name for page in pages for name in page}) == 100


def test_a_change_while_paging_makes_a_later_row_skip(api: Bedrock) -> None:
    """The drift that offset paging by `last_changed` must reckon with."""
    seed(api, 20)
    first = emails(api.members(sort_field="last_changed", count=10))
    api.sim.edit_profile(LIST, "pebble0@example.org", first_name="Pebbles")
    second = emails(api.members(sort_field="last_changed", count=10, offset=10))
    assert "pebble10" not in first + second
    assert second[-1] == "pebble0"


def test_the_lower_bound_is_exclusive_and_so_is_the_upper(api: Bedrock) -> None:
    seed(api, 5)
    low, high = START - timedelta(seconds=4), START - timedelta(seconds=1)
    found = api.members(since_last_changed=low.isoformat(), before_last_changed=high.isoformat())
    assert (sorted(emails(found)), found["total_items"]) == (["pebble2", "pebble3"], 2)
    earlier = (low - timedelta(milliseconds=1)).isoformat()
    assert api.members(since_last_changed=earlier)["total_items"] == 4


@pytest.mark.fact("mailchimp: Members", "offsets in since_last_changed are ignored")
def test_offsets_in_since_last_changed_are_ignored(api: Bedrock) -> None:
    """`T10:00:00-02:00` behaves as `T10:00:00Z`."""
    seed(api, 5)
    clock_time = (START - timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%S")
    for zone in ("", "Z", "+00:00", "-02:00", "+05:30"):
        assert api.members(since_last_changed=clock_time + zone)["total_items"] == 2, zone


@pytest.mark.fact("mailchimp: Members", "+0000 fails")
@pytest.mark.parametrize("zone", ["+0000", " 00:00"])
def test_a_zone_without_colon_or_with_an_unencoded_plus_fails(api: Bedrock, zone: str) -> None:
    params = {"since_last_changed": f"2021-11-23T22:51:50{zone}"}
    assert api.refused("GET", MEMBERS, **params)["status"] == 400


@pytest.mark.fact("mailchimp: Members", "total_items counts what matches")
def test_total_items_is_zero_when_the_window_excludes_all(api: Bedrock) -> None:
    seed(api, 5)
    assert api.members(since_last_changed="2025-01-01T00:00:00Z")["total_items"] == 0


@pytest.mark.fact("mailchimp: Members", "fields are dotted from the top")
def test_fields_are_dotted_from_the_top(api: Bedrock) -> None:
    seed(api, 2)
    body = api.members(fields="members.id,members.status,total_items")
    assert body.keys() == {"members", "total_items"}
    assert body["members"][0].keys() == {"id", "status"}
    assert "total_items" not in api.members(fields="members.id")
    assert api.members(fields="members.merge_fields.FNAME")["members"][0] == {
        "merge_fields": {"FNAME": ""}
    }


def test_exclude_fields_leaves_out_and_ignores_what_it_does_not_know(api: Bedrock) -> None:
    """Recorded: `exclude_fields=email_address` did nothing, without an error."""
    seed(api, 1)
    member = api.members(exclude_fields="members._links,members.stats,email_address")["members"][0]
    assert not {"_links", "stats"} & member.keys()
    assert "email_address" in member


@pytest.mark.fact("mailchimp: Members", "fields are dotted from the top")
@pytest.mark.parametrize("fields", ["id", "members.nonsense", "total_items,email"])
def test_a_bad_name_in_fields_is_an_error(api: Bedrock, fields: str) -> None:
    assert api.refused("GET", MEMBERS, fields=fields)["status"] == 400


@pytest.mark.fact("mailchimp: Members", "fields are dotted from the top")
def test_fields_and_exclude_fields_exclude_each_other(api: Bedrock) -> None:
    problem = api.refused("GET", MEMBERS, fields="members.id", exclude_fields="members._links")
    assert problem["status"] == 400


def test_fields_work_on_single_members_and_lists(api: Bedrock) -> None:
    api.put("wilma@example.org", status="subscribed")
    found = api.get(at("wilma@example.org"), fields="id,unsubscribe_reason,interests")
    assert found.keys() == {"id"}
    assert api.get("/lists", fields="lists.id") == {"lists": [{"id": LIST}]}


def test_listing_filters_by_email_type_vip_and_unique_email_id(api: Bedrock) -> None:
    seed(api, 3)
    api.put("pebble1@example.org", vip=True, email_type="text")
    unique = api.member("pebble2@example.org")["unique_email_id"]
    assert emails(api.members(vip_only=True)) == ["pebble1"]
    assert emails(api.members(email_type="text")) == ["pebble1"]
    assert emails(api.members(unique_email_id=unique)) == ["pebble2"]


def test_listing_by_interests_needs_all_three_parameters(api: Bedrock) -> None:
    api.sim.add_interest(LIST, "Topics", "1111111111", "Bowling")
    api.sim.add_interest(LIST, "Topics", "2222222222", "Quarrying")
    api.sim.import_member(LIST, "fred@example.org", interests=["1111111111", "2222222222"])
    api.sim.import_member(LIST, "barney@example.org", interests=["1111111111"])
    api.sim.import_member(LIST, "wilma@example.org")
    assert api.refused("GET", MEMBERS, interest_ids="1111111111")["status"] == 400
    category = api.get(f"/lists/{LIST}/interest-categories")["categories"][0]["id"]
    wanted = {"interest_category_id": category, "interest_ids": "1111111111,2222222222"}
    for match, found in (
        ("any", ["barney", "fred"]),
        ("all", ["fred"]),
        ("none", ["wilma"]),
    ):
        assert sorted(emails(api.members(**wanted, interest_match=match))) == found


def test_unsubscribed_since_needs_the_status_and_since_last_campaign_any(api: Bedrock) -> None:
    api.sim.import_member(LIST, "fred@example.org", "unsubscribed", last_changed=START)
    since = (START - timedelta(seconds=1)).isoformat()
    assert api.refused("GET", MEMBERS, unsubscribed_since=since)["status"] == 400
    assert api.refused("GET", MEMBERS, since_last_campaign="true")["status"] == 400
    found = api.members(status="unsubscribed", unsubscribed_since=since)
    assert emails(found) == ["fred"]
    api.clock.tick(60)
    api.sim.send_campaign(LIST)
    found = api.members(status="unsubscribed", since_last_campaign="true")
    assert found["total_items"] == 0


def test_sorting_and_filtering_by_timestamp_opt(api: Bedrock) -> None:
    seed(api, 4)
    found = api.members(
        sort_field="timestamp_opt",
        sort_dir="DESC",
        since_timestamp_opt=(START - timedelta(seconds=4)).isoformat(),
        before_timestamp_opt=(START - timedelta(seconds=1)).isoformat(),
    )
    assert emails(found) == ["pebble2", "pebble1"]


@pytest.mark.fact("mailchimp: Members", "interests absent or null; empty values")
def test_interests_are_absent_when_the_audience_has_none(api: Bedrock) -> None:
    seed(api, 1)
    assert "interests" not in api.members()["members"][0]
    api.sim.add_interest(LIST, "Topics", "1111111111", "Bowling")
    assert api.members()["members"][0]["interests"] == {"1111111111": False}


def test_a_page_after_one_change_is_not_sorted_anew(api: Bedrock) -> None:
    """A page after one change costs a look-up, not a sort: the index keeps its list."""
    seed(api, 2000)
    api.members(sort_field="last_changed", fields="members.id")
    keys = api.sim.audiences[LIST].everyone.window(None, None)[0]
    api.sim.edit_profile(LIST, "pebble7@example.org", first_name="Bamm-Bamm")
    page = api.members(sort_field="last_changed", sort_dir="DESC", fields="members.full_name")
    assert page["members"][0]["full_name"] == "Bamm-Bamm"
    assert api.sim.audiences[LIST].everyone.window(None, None)[0] is keys


def test_a_path_outside_the_api_asks_for_a_key_too(api: Bedrock) -> None:
    assert fetch(f"{api.server.url}/lists").status_code == 401
