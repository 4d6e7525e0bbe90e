"""`mcsync explain`: why one person is where they are, and what would get them subscribed."""

from typing import Any

import pytest

from mcsync.answers.advice import ADVICE
from mcsync.answers.labels import Labels
from mcsync.decision import Reason
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.submit import submit
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.telling import Teller

NEWSLETTER = f'group {GROUP} "Main audience subscribers"'


def one(tell: Teller, who: str) -> dict[str, Any]:
    """The only answer about somebody."""
    (found,) = tell.json("explain", who)["people"]
    assert isinstance(found, dict)
    return found


def subscription(explained: dict[str, Any]) -> dict[str, Any]:
    """What was said about the subscription."""
    (found,) = [s for s in explained["statements"] if s["about"] == "subscription"]
    assert isinstance(found, dict)
    return found


def test_who_is_right_is_told_with_both_words_their_times_and_the_rule(
    bedrock: Bedrock, tell: Teller
):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.pass_time(hours=1)
    removed_at = bedrock.town.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.sync()
    explained = one(tell, "wilma@example.org")
    said = subscription(explained)
    assert said["civicrm"] == {"says": "out", "at": removed_at}
    assert said["mailchimp"] == {"says": "out", "at": removed_at}, "what we wrote is their word"
    assert said["right"] == "both"
    assert explained["rows"][0]["reason"] == "removed-in-civicrm"
    (change,) = explained["changes"]
    assert (change["before"], change["after"]) == ("subscribed", "unsubscribed")
    (update,) = explained["updates"]
    assert (update["what"], update["outcome"]) == ("unsubscribe wilma@example.org", "done")
    assert explained["would_be_done"] == []
    out = tell("explain", "wilma@example.org").out
    why = "because they were removed from the group"
    on = "on 22 November 2026"
    assert out.splitlines()[:3] == [
        f"Wilma Flintstone is not subscribed to Main audience, {why} {on}.",
        f"  Mailchimp     wilma@example.org: unsubscribed by mcsync {on}, {why} after the last"
        " change at Mailchimp",
        f"  CiviCRM       contact {contact}: removed from {NEWSLETTER} {on}, 07:02 UTC",
    ]
    assert explained["answer"] == out.splitlines()[0].removesuffix(".")


def test_what_a_sync_would_do_now_is_what_it_then_does(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.leave(LIST, "wilma@example.org")
    store = bedrock.open_store()
    fetch(bedrock.make_run(store))
    store.close()
    explained = one(tell, "WILMA@example.org")
    assert subscription(explained)["rule"] == "Mailchimp decides, because it was changed there last"
    (step,) = explained["would_be_done"]
    assert (step["side"], step["reason"]) == ("civicrm", "left-at-mailchimp")
    assert step["what"] == f"remove contact {contact} from {NEWSLETTER}"
    out = tell("explain", "wilma@example.org").out
    assert out.startswith(
        "Wilma Flintstone is not subscribed to Main audience; the next sync will remove contact"
        f" {contact} from {NEWSLETTER}, because they unsubscribed themselves"
    )
    assert "Mailchimp decides, because it was changed there last: not in the group" in out
    assert f"CiviCRM: remove contact {contact} from {NEWSLETTER}, because" in out
    bedrock.sync()
    assert bedrock.group_status(contact) == "Removed"
    assert one(tell, "wilma@example.org")["would_be_done"] == []


def test_a_refusal_is_told_in_mailchimps_own_words(bedrock: Bedrock, tell: Teller):
    bedrock.options["reconfirm"] = "never"
    contact = bedrock.add_both("fred@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.leave(LIST, "fred@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.sync()
    explained = one(tell, "fred@example.org")
    update = explained["updates"][0]
    assert (update["what"], update["outcome"]) == ("subscribe fred@example.org", "refused")
    assert "compliance state" in update["error"].lower()
    assert update["error"] in tell("explain", "fred@example.org").out
    assert explained["verdicts"][0]["reason"] == "compliance-state"
    assert "only they can come back" in explained["to_get_subscribed"]


def test_while_an_update_is_on_its_way_nothing_is_promised(bedrock: Bedrock, tell: Teller):
    bedrock.add_contact("betty@example.org")
    bedrock.town.mailchimp.settings.batch_delay_polls = None
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    submit(run)
    store.close()
    explained = one(tell, "betty@example.org")
    assert explained["is_waiting"] is True
    assert explained["updates"][0]["outcome"] == "sent"
    assert "on its way" in explained["to_get_subscribed"]
    assert tell("explain", "betty@example.org").out.startswith(
        "Betty Flintstone is not subscribed to Main audience, and an update for them is on its way"
        " to Mailchimp.\n"
    )


def test_what_a_guard_holds_is_not_promised(bedrock: Bedrock, tell: Teller):
    bedrock.safety = {}
    contacts = [bedrock.add_both(f"miner{number}@example.org") for number in range(30)]
    bedrock.sync()
    for contact in contacts[:12]:
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=5)
    store = bedrock.open_store()
    run = bedrock.make_run(store)
    fetch(run)
    reconcile(run)
    store.close()
    assert one(tell, "miner0@example.org")["answer"] == (
        "Miner0 Flintstone is subscribed to Main audience; the next sync will unsubscribe"
        " miner0@example.org, because they were removed from the group after the last change at"
        " Mailchimp, unless a guard still holds it"
    )
    held = "  held          would unsubscribe 12 of 30 subscribed members"
    assert held in tell("explain", "miner0@example.org").out


def test_an_interest_has_its_own_words(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.sync()
    explained = one(tell, "wilma@example.org")
    (said,) = [s for s in explained["statements"] if s["about"] == VOLUNTEERING]
    assert (said["civicrm"]["says"], said["agreed"]["says"]) == ("in", "in")
    assert said["name"] == "Topics: Volunteering"
    assert bedrock.has_interest("wilma@example.org")
    out = tell("explain", "wilma@example.org").out
    assert "interest   Topics: Volunteering: " in out
    assert 'Mailchimp: interest "Topics: Volunteering": no → yes' in out


def test_only_what_matters_is_said(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    assert tell("explain", "wilma@example.org").out.splitlines() == [
        "Wilma Flintstone is in sync with Main audience: subscribed at Mailchimp, Added in the"
        " group.",
        "  Mailchimp  wilma@example.org: subscribed since 22 November 2026, 06:01 UTC",
        f"  CiviCRM    contact {contact}: in {NEWSLETTER} since 22 November 2026, 06:01 UTC",
        f"  known as   row 1 (ok, in-agreement), audience {LIST}",
    ]


def test_names_that_no_run_has_seen_are_ids():
    labels = Labels({"cccccccccc": "Topics: Volunteering"}, {12: "Newsletter"})
    assert labels.interest("cccccccccc") == 'interest "Topics: Volunteering"'
    assert labels.interest("dddddddddd") == "interest dddddddddd"
    assert (labels.group(12), labels.group(13)) == ('group 12 "Newsletter"', "group 13")
    assert labels.field("first_name") == "first_name"


def test_an_override_that_will_act_is_the_rule(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.pass_time(minutes=5)
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    store = bedrock.open_store()
    fetch(bedrock.make_run(store))
    store.close()
    assert subscription(one(tell, "wilma@example.org"))["right"] == "civicrm"
    bedrock.options["trustOverride"] = {"subscription": "Mailchimp"}
    said = subscription(one(tell, "wilma@example.org"))
    assert (said["right"], said["agreed"]["says"]) == ("mailchimp", "in")
    assert "trustOverride" in said["rule"]


# --- what would have to change --------------------------------------------------------------------


def test_every_reason_has_its_advice():
    assert set(ADVICE) == set(Reason)
    for text in ADVICE.values():
        assert text.format(group=GROUP)


def test_somebody_subscribed_needs_nothing(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    assert one(tell, "wilma@example.org")["to_get_subscribed"] == "nothing: they are subscribed"


def test_somebody_muted_is_told_with_their_own_choice(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.town.civicrm.update_contact(contact, is_opt_out=True)
    bedrock.sync()
    out = tell("explain", "wilma@example.org").out
    why = "because the contact has opted out of bulk mail in CiviCRM"
    assert out.startswith(f"Wilma Flintstone is not subscribed to Main audience, {why}.\n")
    assert "wilma@example.org: unsubscribed by mcsync on 22 November 2026, " + why in out
    assert "; their own choice is to be subscribed since 22 November 2026" in out


def test_the_advice_for_a_closed_gate_works(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_contact("wilma@example.org", is_opt_out=True)
    bedrock.sync()
    assert "user opt out" in one(tell, "wilma@example.org")["to_get_subscribed"]
    bedrock.town.civicrm.update_contact(contact, is_opt_out=False)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "subscribed"


def test_somebody_out_and_opted_out_hears_of_both(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.town.civicrm.update_contact(contact, is_opt_out=True)
    bedrock.sync()
    advice = one(tell, "wilma@example.org")["to_get_subscribed"]
    assert f"group {GROUP}" in advice
    assert "user opt out" in advice


def test_somebody_asked_to_confirm_has_to(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("fred@example.org")
    bedrock.sync()
    bedrock.town.mailchimp.leave(LIST, "fred@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    advice = one(tell, "fred@example.org")["to_get_subscribed"]
    assert "they sign up again themselves" in advice
    assert "asks them to confirm" in advice
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("fred@example.org") == "pending"
    assert "confirm the mail" in one(tell, "fred@example.org")["to_get_subscribed"]


# --- who is meant ---------------------------------------------------------------------------------


def test_a_contact_who_was_never_in_the_group_has_no_row_and_is_told_so(
    bedrock: Bedrock, tell: Teller
):
    barney = bedrock.add_contact("barney@example.org", group=False)
    bedrock.add_member("barney@example.org", status="unsubscribed")
    bedrock.add_contact("wilma@example.org")
    bedrock.sync()
    explained = one(tell, f"contact:{barney}")
    assert explained["contacts"][0]["contact_id"] == barney
    assert explained["contacts"][0]["is_added"] is False


def test_a_number_may_be_a_contact_and_a_row_and_both_are_told(bedrock: Bedrock, tell: Teller):
    bedrock.add_member("slate@example.org", status="unsubscribed")  # row 1, nobody's
    number = bedrock.add_contact("wilma@example.org")
    for index in range(number + 1):
        bedrock.add_both(f"miner{index}@example.org")
    bedrock.sync()
    people = tell.json("explain", str(number))["people"]
    found = {tuple(p["found_as"]): p["rows"][0] for p in people}
    assert found[(f"contact {number}",)]["contact_id"] == number
    assert found[(f"row {number}",)]["row_id"] == number
    assert found[(f"row {number}",)]["contact_id"] != number
    (by_row,) = tell.json("explain", f"row:{number}")["people"]
    assert by_row["found_as"] == [f"row {number}"]
    (by_contact,) = tell.json("explain", f"contact:{number}")["people"]
    assert by_contact["rows"][0]["email"] == "wilma@example.org"
    assert f"slate@example.org (row {number}) is not subscribed" in tell("explain", str(number)).out


def test_several_persons_for_one_address_are_told_apart(bedrock: Bedrock, tell: Teller):
    bedrock.options["duplicates"] = "skip"
    owners = [bedrock.add_contact("family@example.org", group=False) for _ in range(2)]
    bedrock.add_member("family@example.org")
    bedrock.sync()
    people = tell.json("explain", "family@example.org")["people"]
    (member,) = [p for p in people if p["rows"]]
    assert member["rivals"] == owners
    assert member["verdicts"][0]["reason"] == "ambiguous-contact"
    assert [p["contacts"][0]["contact_id"] for p in people if not p["rows"]] == owners
    out = tell("explain", "family@example.org").out
    assert f"contacts {owners[0]}, {owners[1]} have the same address" in out
    assert out.startswith("3 answers, one for each person and audience:")


def test_the_same_address_in_two_audiences_is_told_twice_or_once_as_asked(
    bedrock: Bedrock, tell: Teller
):
    bedrock.town.add_audience("bbbbbbbbbb", "Quarry", 333, {})
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.town.mailchimp.import_member("bbbbbbbbbb", "wilma@example.org", status="unsubscribed")
    bedrock.town.civicrm.add_to_group(wilma, 333)
    bedrock.sync()
    people = tell.json("explain", "wilma@example.org")["people"]
    assert [p["list_id"] for p in people] == [LIST, "bbbbbbbbbb"]
    (only,) = tell.json("explain", "wilma@example.org", "--list", "Quarry")["people"]
    assert only["name"] == "Quarry"


def test_an_audience_that_never_had_to_do_with_them_is_left_out(bedrock: Bedrock, tell: Teller):
    bedrock.town.add_audience("bbbbbbbbbb", "Quarry", 333, {})
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    assert one(tell, "wilma@example.org")["list_id"] == LIST
    told = tell("explain", "wilma@example.org", "--list", "Quarry").out
    assert told.startswith(
        "Wilma Flintstone is not subscribed to Quarry: not a member at Mailchimp, not in the"
        " group.\n"
    )
    assert "no row, audience bbbbbbbbbb" in told
    assert "Neither side has ever said anything" in told
    assert "add the contact to group 333" in told


def test_a_part_of_a_name_or_an_address_finds_the_one_who_has_it(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.add_member("Łukasz@example.org", status="unsubscribed")
    bedrock.add_contact("barney@example.org", group=False)
    bedrock.sync()
    for words in ("wilma", "WILMA flint", "wilma@exam", "lma@", "flintstone"):
        assert one(tell, words)["rows"][0]["email"] == "wilma@example.org", words
    assert one(tell, "łukasz")["rows"][0]["email"] == "Łukasz@example.org"
    assert tell("explain", "wilma barney").code == 2
    assert tell("explain", "w%a").code == 2
    bedrock.town.mailchimp.edit_profile(LIST, "Łukasz@example.org", "Pearl", "Slate")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert one(tell, "slate pea")["rows"][0]["email"] == "Łukasz@example.org"


def test_several_who_match_are_listed_with_how_to_ask_for_one(bedrock: Bedrock, tell: Teller):
    contacts = [bedrock.add_both(f"miner{number}@example.org") for number in range(23)]
    bedrock.sync()
    bedrock.add_member("miner@example.com", status="unsubscribed")
    bedrock.sync()
    found = tell.json("explain", "miner")
    assert (found["people"], len(found["matches"]), found["matches_count"]) == ([], 20, 24)
    newest, other = found["matches"][0], found["matches"][1]
    assert (newest["who"], newest["email"]) == ("row:24", "miner@example.com")
    assert other["contact_id"] in contacts
    assert other["who"] == f"contact:{other['contact_id']}"
    assert (other["list_id"], other["mailchimp_status"]) == (LIST, "subscribed")
    assert one(tell, other["who"])["rows"][0]["email"] == other["email"]
    told = tell("explain", "miner")
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[1].split() == ["row:24", "miner@example.com", "unsubscribed"]
    assert lines[-3:] == [
        "and 4 more; these are the newest",
        "",
        "Show one of them with: mcsync explain row:24",
    ]


def test_of_two_who_share_a_name_one_is_in_no_audience(bedrock: Bedrock, tell: Teller):
    bedrock.options["duplicates"] = "skip"
    owners = [bedrock.add_contact("family@example.org", group=False) for _ in range(2)]
    bedrock.add_member("family@example.org")
    bedrock.sync()
    matches = tell.json("explain", "family")["matches"]
    assert [m["who"] for m in matches] == ["row:1", *(f"contact:{i}" for i in reversed(owners))]
    assert [m["list_id"] for m in matches] == [LIST, None, None]


@pytest.mark.parametrize(
    "who", ["nobody@example.org", "999999", "row:999999", "contact:999999", "fred", "fred@"]
)
def test_nobody_known(bedrock: Bedrock, tell: Teller, who: str):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    told = tell("explain", who)
    assert (told.code, told.out) == (2, "")
    assert f"nobody known as {who}" in told.err
    assert "mcsync fetch" in told.err


@pytest.mark.parametrize("who", ["row:", "row:x", "-1", "12.5", "group:12", ""])
def test_neither_an_address_nor_an_id(bedrock: Bedrock, tell: Teller, who: str):
    told = tell("explain", "--", who)
    assert (told.code, told.out) == (2, "")
    assert "neither an address nor an id" in told.err


def test_before_the_first_fetch_nobody_is_known(bedrock: Bedrock, tell: Teller):
    assert tell("explain", "wilma@example.org").code == 2
    assert not (bedrock.folder / "mcsync.db").exists()


def test_what_others_wrote_does_not_steer_the_terminal(bedrock: Bedrock, tell: Teller):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.town.civicrm.update_contact(contact, first_name="\x1b[31mWilma\x07\n")
    bedrock.sync()
    out = tell("explain", "wilma@example.org").out
    assert "Wilma" in out
    assert "\x1b" not in out
    assert "\x07" not in out
