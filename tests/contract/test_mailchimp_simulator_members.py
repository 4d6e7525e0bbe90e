"""The simulated Mailchimp: who a member is, and what writing to one does.

One test per fact known about the real service.
"""

from typing import Any

import pytest
from mailchimp_bedrock import LIST, Bedrock, at

from mcsync.sandbox.mailchimp import subscriber_hash, typed_hash

MEMBERS = f"/lists/{LIST}/members"
WILMA, FRED, BARNEY = "wilma@example.org", "fred@example.org", "barney@example.org"
BY_ADMIN = "N/A (Unsubscribed by admin)"
BOWLING = "1111111111"


def moved(api: Bedrock, email: str, act: Any) -> bool:
    """Whether something that happens a minute later moves `last_changed`."""
    before = api.member(email)["last_changed"]
    api.clock.tick(60)
    act()
    return bool(api.member(email)["last_changed"] != before)


def titled(problem: dict[str, Any]) -> tuple[int, str]:
    """Status and title: what a client decides on."""
    return problem["status"], problem["title"]


# Identity


@pytest.mark.fact("mailchimp: Identity", "the hash is MD5 of the lower-cased address")
def test_the_id_is_the_md5_of_the_lower_cased_address(api: Bedrock) -> None:
    created = api.write(
        "POST", MEMBERS, {"email_address": "Wilma@Example.org", "status": "subscribed"}
    )
    assert created["id"] == subscriber_hash("wilma@example.org")
    assert created["email_address"] == "Wilma@Example.org"  # kept as typed


@pytest.mark.fact("mailchimp: Identity", "the hash is MD5 of the lower-cased address")
def test_a_member_is_found_by_hash_address_and_contact_id(api: Bedrock) -> None:
    wilma = api.put(WILMA, status="subscribed")
    for key in (wilma["id"], "WILMA%40example.org", wilma["contact_id"]):
        assert api.get(f"{MEMBERS}/{key}")["id"] == wilma["id"]
    assert api.refused("GET", f"{MEMBERS}/{'0' * 32}")["status"] == 404


def test_tags_and_delete_permanent_take_only_the_hash(api: Bedrock) -> None:
    wilma = api.put(WILMA, status="subscribed")
    body = {"tags": [{"name": "Quarry", "status": "active"}]}
    assert api.refused("POST", f"{MEMBERS}/{WILMA}/tags", body)["status"] == 404
    path = f"{MEMBERS}/{wilma['contact_id']}/actions/delete-permanent"
    assert api.refused("POST", path)["status"] == 404
    assert api.write("POST", at(WILMA, "/tags"), body) is None


@pytest.mark.fact("mailchimp: Identity", "a hash without lower-casing fails")
def test_a_hash_that_was_not_lower_cased_makes_put_fail_and_get_404(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    wrong = f"{MEMBERS}/{'a' * 32}"
    assert api.refused("GET", wrong)["status"] == 404
    problem = api.refused("PUT", wrong, {"email_address": WILMA, "status_if_new": "subscribed"})
    assert titled(problem) == (400, "Member Exists")


@pytest.mark.fact("mailchimp: Identity", "ids of mixed-case addresses")
def test_old_members_have_ids_of_mixed_case_addresses(api: Bedrock) -> None:
    old = "0123456789abcdef0123456789abcdef"
    api.sim.import_member(LIST, "Wilma@example.org", subscriber_id=old)
    problem = api.refused("PUT", at(WILMA), {"email_address": WILMA, "status": "subscribed"})
    assert titled(problem) == (400, "Member Exists")
    assert api.write("PATCH", f"{MEMBERS}/{old}", {"vip": True})["id"] == old


@pytest.mark.fact("mailchimp: Identity", "plus-addresses are distinct")
def test_plus_addresses_are_other_members(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.put("wilma+news@example.org", status="subscribed")
    assert api.members()["total_items"] == 2
    assert api.get(f"{MEMBERS}/wilma%2Bnews%40example.org")["email_address"].count("+") == 1


# Creating


@pytest.mark.fact("mailchimp: Writing", "POST un-archives and keeps tags")
def test_post_needs_address_and_status_and_takes_tags(api: Bedrock) -> None:
    problem = api.refused("POST", MEMBERS, {"email_address": WILMA})
    assert [error["field"] for error in problem["errors"]] == ["status"]
    body = {"email_address": WILMA, "status": "subscribed", "tags": ["Quarry"]}
    assert [tag["name"] for tag in api.write("POST", MEMBERS, body)["tags"]] == ["Quarry"]


@pytest.mark.fact("mailchimp: Errors", "400 Member Exists")
def test_post_of_a_member_is_member_exists_without_type(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    problem = api.refused("POST", MEMBERS, {"email_address": WILMA, "status": "subscribed"})
    assert titled(problem) == (400, "Member Exists")
    assert problem["detail"].endswith("Use PUT to insert or update list members.")
    assert "type" not in problem


def test_put_creates_with_status_if_new_or_status(api: Bedrock) -> None:
    assert api.put(WILMA, status_if_new="pending")["status"] == "pending"
    assert api.put(FRED, status="unsubscribed")["status"] == "unsubscribed"
    problem = api.refused("PUT", at(BARNEY), {"email_address": BARNEY})
    assert problem["errors"][0]["field"] == "status_if_new"


@pytest.mark.fact("mailchimp: Writing", "status overwrites: omit it on data updates")
def test_status_if_new_acts_only_on_creation(api: Bedrock) -> None:
    api.put(WILMA, status="unsubscribed")
    assert api.put(WILMA, status_if_new="subscribed")["status"] == "unsubscribed"


@pytest.mark.fact("mailchimp: Writing", "PUT: address and status_if_new always")
def test_put_works_on_an_existing_member_without_address(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    changed = api.write("PUT", at(WILMA), {"merge_fields": {"FNAME": "Wilma"}})
    assert changed["full_name"] == "Wilma"


@pytest.mark.fact("mailchimp: Writing", "PUT follows the body")
def test_put_follows_the_body_when_the_path_is_unknown(api: Bedrock) -> None:
    """Recorded: it creates the body's address; repeated it gives Member Exists."""
    body = {"email_address": WILMA, "status": "subscribed"}
    assert api.write("PUT", at(FRED), body)["id"] == subscriber_hash(WILMA)
    assert titled(api.refused("PUT", at(FRED), body)) == (400, "Member Exists")
    assert api.refused("GET", at(FRED))["status"] == 404


def test_patch_only_updates(api: Bedrock) -> None:
    assert api.refused("PATCH", at(WILMA), {"status": "subscribed"})["status"] == 404


@pytest.mark.fact("mailchimp: Writing", "PATCH only updates; statuses it takes")
def test_patch_and_put_have_different_statuses(api: Bedrock) -> None:
    api.put(WILMA, status="transactional")
    for status in ("transactional", "archived"):
        assert api.refused("PATCH", at(WILMA), {"status": status})["status"] == 400
    assert api.refused("PUT", at(WILMA), {"status": "archived"})["status"] == 400


@pytest.mark.fact("mailchimp: Errors", "400 please provide a valid address")
@pytest.mark.parametrize("email", ["AAAAA", "wilma@", "wilma@example", "a b@example.org"])
def test_a_bad_address_is_refused(api: Bedrock, email: str) -> None:
    problem = api.refused("POST", MEMBERS, {"email_address": email, "status": "subscribed"})
    assert problem["detail"] == "Please provide a valid email address."


def test_fake_looking_addresses_are_refused_and_ordinary_ones_are_not(api: Bedrock) -> None:
    api.sim.settings.fake_addresses = {"dino@example.com"}
    for email in ("noreply@example.org", "Admin@example.com", "Dino@example.com"):
        problem = api.refused("POST", MEMBERS, {"email_address": email, "status": "subscribed"})
        assert problem["detail"].startswith(f"{email} looks fake or invalid")
    api.put("dino@example.org", status="subscribed")


def test_a_busy_address_is_refused_for_now(api: Bedrock) -> None:
    api.sim.settings.busy_addresses = {WILMA}
    problem = api.refused("PUT", at(WILMA), {"email_address": WILMA, "status": "subscribed"})
    assert "signed up to a lot of lists very recently" in problem["detail"]
    api.sim.settings.busy_addresses.clear()
    api.put(WILMA, status="subscribed")


def test_a_local_part_that_is_not_ascii_is_refused(api: Bedrock) -> None:
    body = {"email_address": "wílma@example.org", "status": "subscribed"}
    assert "The username portion" in api.refused("POST", MEMBERS, body)["detail"]


@pytest.mark.fact("mailchimp: Writing", "delete-permanent: never; no ip")
def test_ip_addresses_must_be_valid(api: Bedrock) -> None:
    problem = api.refused("PUT", at(WILMA), {"email_address": WILMA, "ip_opt": "cave 7"})
    assert problem["errors"][0]["field"] == "ip_opt"
    assert api.put(WILMA, status="subscribed", ip_opt="2001:db8::7")["ip_opt"] == "2001:db8::7"


# Changing


@pytest.mark.fact("mailchimp: Writing", "absent properties stay untouched")
def test_put_leaves_alone_what_it_does_not_name(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed", merge_fields={"FNAME": "Wilma", "LNAME": "Flint"})
    api.put(WILMA, merge_fields={"LNAME": "Flintstone"})
    assert api.member(WILMA)["merge_fields"] == {"FNAME": "Wilma", "LNAME": "Flintstone"}
    assert api.member(WILMA)["status"] == "subscribed"


def test_a_failed_write_changes_nothing(api: Bedrock) -> None:
    api.sim.add_merge_field(LIST, "LTV", "Value", "number")
    api.put(WILMA, status="subscribed")
    body = {"status": "unsubscribed", "merge_fields": {"FNAME": "W", "LTV": "much"}}
    api.refused("PUT", at(WILMA), body)
    assert api.member(WILMA)["status"] == "subscribed"
    assert api.member(WILMA)["merge_fields"]["FNAME"] == ""


@pytest.mark.fact("mailchimp: Identity", "contact_id survives a change of address")
def test_an_address_change_gives_a_new_id_and_keeps_tags_and_contact_id(api: Bedrock) -> None:
    old = api.write(
        "POST", MEMBERS, {"email_address": WILMA, "status": "subscribed", "tags": ["Quarry"]}
    )
    new = api.write("PATCH", at(WILMA), {"email_address": "w.flintstone@example.org"})
    assert new["id"] == subscriber_hash("w.flintstone@example.org")
    assert new["contact_id"] == old["contact_id"]
    assert [tag["name"] for tag in new["tags"]] == ["Quarry"]
    assert api.refused("GET", at(WILMA))["status"] == 404
    assert api.get(f"{MEMBERS}/{old['contact_id']}")["email_address"] == "w.flintstone@example.org"


def test_an_address_changes_only_for_subscribed_members(api: Bedrock) -> None:
    api.sim.import_member(LIST, WILMA, "cleaned")
    problem = api.refused("PUT", at(WILMA), {"email_address": FRED})
    assert problem["status"] == 400
    assert problem["detail"] == (
        'This member\'s status is "cleaned." You can only update email addresses for members '
        'with a status of "subscribed."'
    )


def test_an_address_cannot_become_that_of_another_member(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.put(FRED, status="subscribed")
    problem = api.refused("PUT", at(WILMA), {"email_address": FRED})
    assert titled(problem) == (400, "Member Exists")


# Statuses


@pytest.mark.fact("mailchimp: Writing", "unsubscribed by the API may come back")
def test_an_unsubscribe_by_api_has_a_reason_and_can_be_undone(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    left = api.put(WILMA, status="unsubscribed")
    assert left["unsubscribe_reason"] == "N/A (Unsubscribed by admin)"
    back = api.put(WILMA, status="subscribed")
    assert back["status"] == "subscribed"
    assert "unsubscribe_reason" not in back


def test_an_unsubscribe_by_api_can_be_made_final(api: Bedrock) -> None:
    """Later reports say it is; an account may behave either way."""
    api.sim.settings.api_unsubscribe_is_final = True
    api.put(WILMA, status="subscribed")
    api.put(WILMA, status="unsubscribed")
    problem = api.refused("PUT", at(WILMA), {"status": "subscribed"})
    assert titled(problem) == (400, "Member In Compliance State")


@pytest.mark.fact("mailchimp: Errors", "400 Member In Compliance State")
@pytest.mark.parametrize("go", ["leave", "complain"])
def test_who_left_alone_is_in_compliance_state_and_only_pending_is_taken(
    api: Bedrock, go: str
) -> None:
    api.put(WILMA, status="subscribed")
    getattr(api.sim, go)(LIST, WILMA)
    problem = api.refused("PUT", at(WILMA), {"status": "subscribed"})
    assert titled(problem) == (400, "Member In Compliance State")
    assert problem["detail"].startswith(f"{WILMA} is in a compliance state due to unsubscribe")
    assert "type" not in problem
    assert api.put(WILMA, status="pending")["status"] == "pending"
    assert titled(api.refused("PUT", at(WILMA), {"status": "subscribed"}))[0] == 400
    api.sim.confirm(LIST, WILMA)
    api.put(WILMA, status="unsubscribed")
    assert api.put(WILMA, status="subscribed")["status"] == "subscribed"


def test_archiving_does_not_lift_the_compliance_state(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.sim.leave(LIST, WILMA)
    api.write("DELETE", at(WILMA))
    body = {"email_address": WILMA, "status": "subscribed"}
    assert titled(api.refused("POST", MEMBERS, body)) == (400, "Member In Compliance State")


def test_cleaned_is_never_subscribed_again(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.sim.bounce(LIST, WILMA)
    for status in ("subscribed", "pending"):
        problem = api.refused("PATCH", at(WILMA), {"status": status})
        assert titled(problem) == (400, "Member In Compliance State")


def test_whoever_signs_up_again_is_free_of_the_compliance_state(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.sim.leave(LIST, WILMA)
    api.sim.sign_up(LIST, WILMA, "Wilma")
    assert api.member(WILMA)["status"] == "subscribed"
    api.put(WILMA, status="unsubscribed")
    api.put(WILMA, status="subscribed")


def test_a_deleted_address_is_forgotten_for_subscribed_and_pending(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.write("POST", at(WILMA, "/actions/delete-permanent"))
    assert api.refused("GET", at(WILMA))["status"] == 404
    assert api.members()["total_items"] == api.members(status="archived")["total_items"] == 0
    for status in ("subscribed", "pending"):
        problem = api.refused("PUT", at(WILMA), {"email_address": WILMA, "status": status})
        assert titled(problem) == (400, "Forgotten Email Not Subscribed")
        assert "type" not in problem
    api.sim.sign_up(LIST, WILMA)
    assert api.member(WILMA)["status"] == "subscribed"
    api.sim.change_address(LIST, WILMA, FRED)
    assert api.put(WILMA, status="subscribed")["status"] == "subscribed"  # no longer forgotten


def test_who_signs_up_after_being_deleted_for_good_is_a_new_contact(api: Bedrock) -> None:
    old = api.put(WILMA, status="subscribed")
    seen = [old]
    for _ in range(2):
        api.sim.staff_delete_permanently(LIST, WILMA)
        api.sim.sign_up(LIST, WILMA)
        seen.append(api.member(WILMA))
    assert {member["id"] for member in seen} == {subscriber_hash(WILMA)}
    for name in ("contact_id", "unique_email_id", "web_id"):
        assert len({member[name] for member in seen}) == 3, name
    assert [len(member["unique_email_id"]) for member in seen] == [10] * 3
    assert api.refused("GET", f"{MEMBERS}/{old['contact_id']}")["status"] == 404
    assert api.members(unique_email_id=old["unique_email_id"])["total_items"] == 0


@pytest.mark.fact("mailchimp: Members", "unsubscribe_reason")
@pytest.mark.parametrize("by", ["api", "staff"])
def test_who_was_unsubscribed_may_still_leave_by_an_old_mail(api: Bedrock, by: str) -> None:
    """It becomes their own word: the reason changes, and so does `last_changed`."""
    api.put(WILMA, status="subscribed")
    if by == "api":
        api.put(WILMA, status="unsubscribed")
    else:
        api.sim.staff_unsubscribe(LIST, WILMA)
    assert api.member(WILMA)["unsubscribe_reason"] == BY_ADMIN
    assert moved(api, WILMA, lambda: api.sim.leave(LIST, WILMA))
    assert api.member(WILMA)["unsubscribe_reason"] not in ("", BY_ADMIN)
    problem = api.refused("PUT", at(WILMA), {"email_address": WILMA, "status": "subscribed"})
    assert titled(problem) == (400, "Member In Compliance State")
    assert not moved(api, WILMA, lambda: api.put(WILMA, status="unsubscribed"))
    assert api.member(WILMA)["unsubscribe_reason"] not in ("", BY_ADMIN)


def test_who_buys_in_a_shop_is_transactional_until_they_sign_up(api: Bedrock) -> None:
    api.sim.buy(LIST, WILMA, "Wilma")
    shown = api.member(WILMA)
    assert (shown["status"], shown["full_name"]) == ("transactional", "Wilma")
    assert api.members(status="transactional")["total_items"] == 1
    assert api.members()["total_items"] == 1
    assert api.get(f"/lists/{LIST}")["stats"]["member_count"] == 0
    assert titled(api.refused("DELETE", at(WILMA))) == (405, "Method Not Allowed")
    api.sim.sign_up(LIST, WILMA)
    assert api.member(WILMA)["status"] == "subscribed"


@pytest.mark.parametrize("status", ["subscribed", "unsubscribed", "cleaned", "archived"])
def test_buying_changes_nobody_who_is_there_already(api: Bedrock, status: str) -> None:
    api.sim.import_member(LIST, WILMA, status)
    assert not moved(api, WILMA, lambda: api.sim.buy(LIST, WILMA))
    assert api.member(WILMA)["status"] == status
    api.sim.staff_delete_permanently(LIST, WILMA)
    api.sim.buy(LIST, WILMA)
    assert api.refused("GET", at(WILMA))["status"] == 404


@pytest.mark.fact("mailchimp: Identity", "ids of mixed-case addresses")
def test_an_old_id_may_be_the_hash_of_another_spelling(api: Bedrock) -> None:
    old = typed_hash("Wilma@Example.ORG")
    assert old != typed_hash(WILMA) == subscriber_hash(WILMA)
    api.sim.import_member(LIST, WILMA, subscriber_id=old)
    assert api.refused("GET", at(WILMA))["status"] == 404
    assert api.get(f"{MEMBERS}/{old}")["email_address"] == WILMA
    assert [member["id"] for member in api.members()["members"]] == [old]
    api.write("PATCH", f"{MEMBERS}/{old}", {"status": "unsubscribed"})
    api.sim.sign_up(LIST, WILMA)  # people know nothing of ids
    assert api.get(f"{MEMBERS}/{old}")["status"] == "subscribed"
    assert api.members()["total_items"] == 1


@pytest.mark.fact("mailchimp: Writing", "pending mails once")
def test_pending_sends_one_mail_however_often_it_is_repeated(api: Bedrock) -> None:
    for _ in range(3):
        api.put(WILMA, status="pending")
        api.write("PATCH", at(WILMA), {"status": "pending"})
    mails = api.sim.confirmation_mails
    assert [(mail.list_id, mail.email, mail.at) for mail in mails] == [(LIST, WILMA, api.clock.now)]


def test_pending_contacts_vanish_after_60_days(api: Bedrock) -> None:
    api.put(WILMA, status="pending")
    api.put(FRED, status="pending")
    api.sim.confirm(LIST, FRED)
    api.clock.tick(0, days=59)
    assert api.members()["total_items"] == 2
    api.clock.tick(0, days=1)
    assert api.members()["total_items"] == 1
    assert api.refused("GET", at(WILMA))["status"] == 404
    assert api.sim.member(LIST, WILMA) is None


def test_a_vanished_contact_who_had_left_is_still_in_compliance_state(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.sim.leave(LIST, WILMA)
    api.put(WILMA, status="pending")
    api.clock.tick(days=61)
    body = {"email_address": WILMA, "status": "subscribed"}
    assert titled(api.refused("PUT", at(WILMA), body)) == (400, "Member In Compliance State")


@pytest.mark.fact("mailchimp: Writing", "subscribed by the API skips double opt-in")
def test_subscribed_by_api_skips_double_optin_and_a_form_does_not(api: Bedrock) -> None:
    api.sim.audiences[LIST].double_optin = True
    assert api.put(WILMA, status="subscribed")["status"] == "subscribed"
    assert api.sim.confirmation_mails == []
    api.sim.sign_up(LIST, FRED)
    assert api.member(FRED)["status"] == "pending"
    assert [mail.email for mail in api.sim.confirmation_mails] == [FRED]
    api.sim.confirm(LIST, FRED)
    assert api.member(FRED)["status"] == "subscribed"


def test_delete_archives_and_keeps_data_and_tags(api: Bedrock) -> None:
    body = {"email_address": WILMA, "status": "subscribed", "tags": ["Quarry"]}
    api.write("POST", MEMBERS, body | {"merge_fields": {"FNAME": "Wilma"}})
    assert moved(api, WILMA, lambda: api.write("DELETE", at(WILMA)))
    archived = api.member(WILMA)
    assert (archived["status"], archived["full_name"]) == ("archived", "Wilma")
    assert [tag["name"] for tag in archived["tags"]] == ["Quarry"]
    assert api.write("POST", at(WILMA, "/tags"), {"tags": []}) is None
    back = api.write("POST", MEMBERS, {"email_address": WILMA, "status": "subscribed"})
    assert [tag["name"] for tag in back["tags"]] == ["Quarry"]


@pytest.mark.fact("mailchimp: Errors", "405 cannot archive")
@pytest.mark.parametrize("status", ["archived", "pending", "cleaned"])
def test_delete_of_others_is_405_with_allow(api: Bedrock, status: str) -> None:
    api.sim.import_member(LIST, WILMA, status)
    answer = api.call("DELETE", at(WILMA))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PUT")
    assert answer.json()["detail"] == (
        "This list member cannot be removed. "
        "Can not archive a contact that is bounced, pending or archived"
    )


@pytest.mark.fact("mailchimp: Writing", "un-archive by an explicit status")
def test_put_without_status_leaves_archived(api: Bedrock) -> None:
    api.sim.import_member(LIST, WILMA, "archived")
    changed = api.put(WILMA, status_if_new="subscribed", merge_fields={"FNAME": "Wilma"})
    assert (changed["status"], changed["full_name"]) == ("archived", "Wilma")
    assert api.put(WILMA, status="subscribed")["status"] == "subscribed"


@pytest.mark.fact("mailchimp: Writing", "merge fields of the unsubscribed can be edited")
def test_merge_fields_of_an_unsubscribed_member_can_be_edited(api: Bedrock) -> None:
    api.put(WILMA, status="unsubscribed")
    changed = api.put(WILMA, merge_fields={"FNAME": "Wilma"})
    assert (changed["status"], changed["full_name"]) == ("unsubscribed", "Wilma")


# What moves last_changed


@pytest.mark.fact("mailchimp: Members", "when last_changed moves and when not")
def test_last_changed_moves_on_every_real_change(api: Bedrock) -> None:
    api.sim.add_interest(LIST, "Topics", BOWLING, "Bowling")
    api.put(WILMA, status="subscribed")
    tag = {"tags": [{"name": "Quarry", "status": "active"}]}
    off = {"tags": [{"name": "Quarry", "status": "inactive"}]}
    assert moved(api, WILMA, lambda: api.put(WILMA, merge_fields={"FNAME": "Wilma"}))
    assert moved(api, WILMA, lambda: api.put(WILMA, interests={BOWLING: True}))
    assert moved(api, WILMA, lambda: api.write("POST", at(WILMA, "/tags"), tag))
    assert moved(api, WILMA, lambda: api.write("POST", at(WILMA, "/tags"), off))
    assert moved(api, WILMA, lambda: api.put(WILMA, status="unsubscribed"))
    assert moved(api, WILMA, lambda: api.write("DELETE", at(WILMA)))
    assert moved(api, WILMA, lambda: api.put(WILMA, status="subscribed"))


def test_last_changed_moves_when_a_held_tag_is_named_again(api: Bedrock) -> None:
    """Recorded on 23 November 2021, 22:52:17."""
    api.write("POST", MEMBERS, {"email_address": WILMA, "status": "subscribed", "tags": ["Q"]})
    tag = {"tags": [{"name": "Q", "status": "active"}]}
    assert moved(api, WILMA, lambda: api.write("POST", at(WILMA, "/tags"), tag))


@pytest.mark.fact("mailchimp: Members", "when last_changed moves and when not")
def test_last_changed_stays_when_nothing_changes(api: Bedrock) -> None:
    api.sim.add_interest(LIST, "Topics", BOWLING, "Bowling")
    same = {"merge_fields": {"FNAME": "Wilma"}, "interests": {BOWLING: True}}
    api.put(WILMA, status="subscribed", **same)
    assert not moved(api, WILMA, lambda: api.put(WILMA, status="subscribed", **same))
    assert not moved(api, WILMA, lambda: api.put(WILMA, merge_fields={"ROCK": "hard"}))
    assert not moved(api, WILMA, lambda: api.write("POST", at(WILMA, "/tags"), {"tags": []}))


# Looking on


def test_writes_counts_what_succeeded_and_the_log_has_all(api: Bedrock) -> None:
    api.put(WILMA, status="subscribed")
    api.put(WILMA, status="subscribed")
    api.refused("PUT", at(FRED), {"email_address": "nonsense", "status": "subscribed"})
    api.members()
    assert api.sim.writes == 2
    assert [found.status for found in api.sim.operations] == [200, 200, 400]
    assert api.sim.operations[0].body == {"email_address": WILMA, "status": "subscribed"}


def test_people_and_staff_do_what_the_api_then_shows(api: Bedrock) -> None:
    api.sim.add_interest(LIST, "Topics", BOWLING, "Bowling")
    api.sim.sign_up(LIST, WILMA, "Wilma", "Slate", [BOWLING])
    api.sim.edit_profile(LIST, WILMA, last_name="Flintstone", interests={BOWLING: False})
    api.sim.change_address(LIST, WILMA, "w@example.org")
    wilma = api.member("w@example.org")
    assert (wilma["full_name"], wilma["interests"]) == ("Wilma Flintstone", {BOWLING: False})
    api.sim.staff_unsubscribe(LIST, "w@example.org")
    assert api.put("w@example.org", status="subscribed")["status"] == "subscribed"
    api.sim.staff_archive(LIST, "w@example.org")
    assert api.sim.members(LIST)["w@example.org"]["status"] == "archived"
    api.sim.staff_delete_permanently(LIST, "w@example.org")
    assert api.sim.members(LIST) == {}


def test_nobody_acts_who_is_not_there(api: Bedrock) -> None:
    with pytest.raises(KeyError):
        api.sim.leave(LIST, WILMA)
    api.sim.import_member(LIST, WILMA)
    with pytest.raises(ValueError, match="not pending"):
        api.sim.confirm(LIST, WILMA)
