"""Every exit code of these commands, with the words that an operator reads beside it."""

import json

import pytest

from mcsync.sandbox.server import Fault, Response
from mcsync.sandbox.town import API_KEY
from tests.cli.conftest import (
    CALAMITIES,
    COMMANDS,
    GROUP,
    LIST,
    OTHER_GROUP,
    OTHER_LIST,
    Calamity,
    Office,
    Said,
)


def test_every_trouble_has_its_own_code_and_says_one_sentence_and_a_hint(
    office: Office, calamity: Calamity
):
    said = office.run("sync", *calamity.args, bug=calamity.kind == "bug")
    assert said.code == calamity.code
    assert said.out == ""
    assert calamity.says in said.err
    if calamity.hint:
        sentence, hint = (
            said.err.rstrip("\n").split("\n\nhint: ")
            if calamity.code != 2
            else (
                said.err,
                said.err,
            )
        )
        assert calamity.says in sentence
        assert calamity.hint in hint


def test_a_trouble_is_told_once(office: Office, calamity: Calamity):
    said = office.run("sync", *calamity.args, bug=calamity.kind == "bug")
    assert said.err.count(calamity.says or "no such words") <= 1


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_a_stage_after_a_sync_has_nothing_to_do_and_is_a_success(office: Office, command: str):
    office.run("sync", "--wait")
    before = office.town.writes
    assert office.run(command) == Said(0, "", "")
    assert office.town.writes == before


def test_batches_still_running_are_a_success(office: Office):
    office.town.mailchimp.settings.batch_delay_polls = None
    said = office.run("sync", "--json")
    assert said.code == 0
    (audience,) = said.document["audiences"]
    assert audience["batches_submitted"] == 1
    assert audience["batches_processed"] == 0
    assert audience["in_sync"] is False
    assert office.run("process-batches") == Said(0, "", "")


def test_a_bug_is_told_with_where_it_happened_and_the_request_to_report_it(
    office: Office, request: pytest.FixtureRequest
):
    CALAMITIES["a bug"].prepare(office, request)
    said = office.run("sync", bug=True)
    assert said.code == 70
    assert "please report" in said.err
    assert "ZeroDivisionError" in said.err
    # The operator looks where the words point.
    report, place = said.err.index("please report"), said.err.index("ZeroDivisionError")
    assert ("lines above" in said.err) == (place < report)


@pytest.mark.parametrize(
    ("status", "code"), [(500, 69), (503, 69), (429, 69), (401, 77), (403, 77), (302, 76)]
)
def test_a_status_of_mailchimp_becomes_a_code(
    office: Office, no_pauses: list[float], status: int, code: int
):
    headers = {"Content-Type": "application/problem+json", "Location": "https://example.org/"}
    answer = Response(status, json.dumps({"title": "No", "status": status}).encode(), headers)
    office.town.mailchimp_server.faults.append(Fault(answer=answer, times=None))
    said = office.run("sync")
    assert said.code == code
    assert "\nhint: " in said.err


@pytest.mark.parametrize(
    ("status", "code"), [(500, 76), (503, 69), (429, 69), (401, 77), (403, 77), (302, 76)]
)
def test_a_status_of_civicrm_becomes_a_code(
    office: Office, no_pauses: list[float], status: int, code: int
):
    headers = {"Content-Type": "application/json", "Location": "https://example.org/"}
    body = json.dumps({"error_message": "No", "status_message": "No"}).encode()
    answer = Response(status, body, headers)
    # Only after the login: there, any answer but 2xx is about the key.
    office.town.civicrm_server.faults.append(Fault(path="api4", answer=answer, times=None))
    said = office.run("sync")
    assert said.code == code
    assert "\nhint: " in said.err


def test_an_answer_of_mailchimp_without_sense_is_a_protocol_error(office: Office):
    answer = Response(200, b'{"members": "none"}', {"Content-Type": "application/json"})
    office.town.mailchimp_server.faults.append(Fault(path="/members", answer=answer, times=None))
    said = office.run("sync")
    assert said.code == 76
    assert "not the JSON that mcsync expects" in said.err


def test_a_person_whom_civicrm_refuses_is_no_failure_and_stops_nobody_else(office: Office):
    barney = office.add_contact("Barney@bedrock.example", group=None)
    office.town.civicrm.bad_contacts.add(barney)
    assert office.run("sync", "--wait") == Said(0, "", "")
    assert office.statuses()["betty@bedrock.example"] == "subscribed"
    assert office.town.civicrm.group_status(barney, GROUP) is None


# --- several audiences ----------------------------------------------------------------------------


def test_an_audience_whose_list_is_gone_does_not_stop_the_other(office: Office):
    office.add_other_audience()
    office.write_config(lists=dict(reversed(office.town.lists.items())))
    del office.town.mailchimp.audiences[OTHER_LIST]
    said = office.run("sync", "--wait", "--json")
    assert said.code == 3
    lost, other = said.document["audiences"]
    assert (lost["list_id"], lost["error"]["kind"]) == (OTHER_LIST, "remote-refused")
    assert "error" not in other
    assert other["in_sync"] is True
    assert "1 of 2 audiences failed" in said.document["error"]["message"]
    assert office.statuses()["betty@bedrock.example"] == "subscribed"


def test_audiences_that_all_fail_in_one_way_give_the_code_of_that_way(office: Office):
    office.add_other_audience()
    office.town.mailchimp.audiences.clear()
    said = office.run("sync", "--json")
    assert said.code == 77
    assert said.document["error"]["kind"] == "remote-refused"
    assert [audience["error"]["kind"] for audience in said.document["audiences"]] == [
        "remote-refused",
        "remote-refused",
    ]


def test_audiences_that_fail_in_different_ways_are_a_partial_failure_that_names_both(
    office: Office,
):
    office.add_other_audience()
    office.town.civicrm.delete_group(OTHER_GROUP)
    del office.town.mailchimp.audiences[LIST]
    said = office.run("sync")
    assert said.code == 3
    assert f"has no audience {LIST}" in said.err
    assert f"no group {OTHER_GROUP}" in said.err


def test_list_selects_by_id_or_name(office: Office):
    office.add_other_audience()
    before = office.statuses()
    assert office.run("sync", "--wait", "--list", OTHER_LIST) == Said(0, "", "")
    assert office.statuses() == before
    assert len(office.town.civicrm.group_members(OTHER_GROUP)) == 1
    chosen = office.run("fetch", "--list", "Main audience", "--json").document["audiences"]
    assert [audience["list_id"] for audience in chosen] == [LIST]
    both = office.run("--list", LIST, "fetch", "--list", OTHER_LIST, "--json").document["audiences"]
    assert [audience["list_id"] for audience in both] == [LIST, OTHER_LIST]


# --- the guard ------------------------------------------------------------------------------------


def test_too_many_to_unsubscribe_are_held_and_nobody_else_waits_for_them(office: Office):
    leaving = office.close_gates(12, of=30)
    office.add_contact("hoppy@bedrock.example")
    said = office.run("sync", "--wait")
    assert said.code == 4
    assert (
        "would unsubscribe 12 of 35 members because they may not be mailed (limit: 10%)" in said.err
    )
    assert "everything else was done" in said.err
    assert {office.statuses()[email] for email in leaving} == {"subscribed"}
    assert office.statuses()["hoppy@bedrock.example"] == "subscribed"


def test_force_carries_a_held_plan_out_once(office: Office):
    leaving = office.close_gates(12, of=60)
    assert office.run("sync", "--wait").code == 4
    forced = office.run("sync", "--wait", "--force")
    assert (forced.code, forced.out) == (0, "")
    assert "Main audience: no longer held; " in forced.err
    assert {office.statuses()[email] for email in leaving} == {"unsubscribed"}
    workers = [office.town.civicrm.contacts_by_email(f"worker{n}@quarry.example")[0].id
               for n in range(12, 26)]  # fmt: skip
    for contact in workers:
        office.town.civicrm.update_contact(contact, is_opt_out=True)
    before = office.everything()
    assert office.run("sync", "--wait").code == 4
    assert office.everything() == before


def test_stages_after_a_held_plan_send_nothing(office: Office):
    office.close_gates(12, of=30)
    before = office.everything()
    assert office.run("fetch").code == 0
    assert office.run("reconcile").code == 4
    assert office.run("submit") == Said(0, "", "")
    assert office.run("process-batches", "--wait") == Said(0, "", "")
    assert office.everything() == before


def test_few_people_never_trip_the_guard(office: Office):
    leaving = office.close_gates(9, of=9)
    assert office.run("sync", "--wait") == Said(0, "", "")
    assert {office.statuses()[email] for email in leaving} == {"unsubscribed"}


def test_an_unchanged_held_plan_is_reported_once_and_not_every_five_minutes(office: Office):
    office.close_gates(12, of=30)
    assert "would unsubscribe 12" in office.run("sync").err
    assert office.run("sync") == Said(4, "", "")


def test_a_guarded_audience_does_not_stop_the_other(office: Office):
    office.close_gates(12, of=30)
    office.add_other_audience()
    said = office.run("sync", "--wait", "--json")
    assert said.code == 4
    held, other = said.document["audiences"]
    assert held["error"]["kind"] == "guard-tripped"
    assert other["in_sync"] is True
    assert other["contacts_created"] == 1
    assert API_KEY not in said.out
