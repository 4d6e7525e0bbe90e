"""The data step: tags, fields and third parties' plugins, from CiviCRM to Mailchimp."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mcsync.cache.audience_status import load_status
from mcsync.docs import read_topic
from mcsync.model import DataRow, DataUpdate
from mcsync.pipeline.sync_contact import sync_contact
from mcsync.plugins import hookimpl
from mcsync.sandbox.mailchimp.state import Operation
from tests.scenario.aftermath import warnings
from tests.scenario.bedrock import LIST, Bedrock

PLUGIN = "somebodys_plugin"

AddPlugin = Callable[..., None]


@pytest.fixture
def add_plugin(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> AddPlugin:
    """Have a plugin, made of these hooks, found by the config's `plugins`."""
    names: list[str] = []

    def add(name: str = PLUGIN, **hooks: Callable[..., object]) -> None:
        module = ModuleType(name)
        for hook, function in hooks.items():
            setattr(module, hook, hookimpl(function))
        monkeypatch.setitem(sys.modules, name, module)
        names.append(name)
        bedrock.settings["plugins"] = names

    return add


def give_tag(bedrock: Bedrock, contact: int, *labels: str) -> None:
    tags = bedrock.town.civicrm.store.tables["Tag"].rows
    for label in labels:
        known = [key for key, row in tags.items() if row["label"] == label]
        tag = known[0] if known else bedrock.town.civicrm.add_tag(label)
        bedrock.town.civicrm.tag(contact, tag)


def tag_id(bedrock: Bedrock, label: str) -> int:
    tags = bedrock.town.civicrm.store.tables["Tag"].rows
    return next(key for key, row in tags.items() if row["label"] == label)


def rename_tag(bedrock: Bedrock, label: str, new: str) -> None:
    bedrock.town.civicrm.store.tables["Tag"].change(tag_id(bedrock, label), {"label": new})


def delete_tag(bedrock: Bedrock, label: str) -> None:
    key = tag_id(bedrock, label)
    tables = bedrock.town.civicrm.store.tables
    for row_id in list(tables["EntityTag"].matching("tag_id", key)):
        tables["EntityTag"].remove(row_id["id"])
    tables["Tag"].remove(key)


def tags_of(bedrock: Bedrock, email: str) -> set[str]:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    tags = member["tags"]
    assert isinstance(tags, list)
    return {tag["name"] for tag in tags}


def field_of(bedrock: Bedrock, email: str, tag: str) -> object:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    fields = member["merge_fields"]
    assert isinstance(fields, dict)
    return fields[tag]


def sync_statuses(bedrock: Bedrock) -> set[str]:
    store = bedrock.open_store()
    try:
        rows = store.query("SELECT sync_status FROM civicrm_mailchimpsync_cache")
        return {row[0] for row in rows}
    finally:
        store.close()


def map_fields(bedrock: Bedrock, **fields: str) -> None:
    bedrock.settings["data"] = {"fields": fields}


# --- tags ---------------------------------------------------------------------------------------


def test_a_tag_put_on_and_taken_off_follows(data: Bedrock):
    fred = data.add_both("fred@example.org")
    data.sync_until_quiet()
    give_tag(data, fred, "Donor", "Volunteer")
    assert data.sync() == 1
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor", "CiviCRM: Volunteer"}
    assert data.sync() == 0
    data.town.civicrm.untag(fred, tag_id(data, "Donor"))
    assert data.sync() == 1
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Volunteer"}
    assert data.sync() == 0


def test_a_tag_that_is_renamed_or_deleted_is_taken_off_and_foreign_tags_stay(data: Bedrock):
    data.add_member("fred@example.org", tags=["Bowling", "CiviCRM: Foreign"])
    fred = data.add_contact("fred@example.org")
    give_tag(data, fred, "Donor", "Elder")
    data.sync_until_quiet()
    rename_tag(data, "Donor", "Patron")
    delete_tag(data, "Elder")
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"Bowling", "CiviCRM: Foreign", "CiviCRM: Patron"}


def test_a_tag_of_another_case_is_the_same_to_mailchimp(data: Bedrock):
    fred = data.add_both("fred@example.org")
    give_tag(data, fred, "Donor")
    data.sync_until_quiet()
    rename_tag(data, "Donor", "DONOR")
    assert data.sync() == 0
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}


def test_somebody_new_gets_tags_after_they_are_a_member(data: Bedrock):
    fred = data.add_contact("fred@example.org")
    give_tag(data, fred, "Donor")
    data.sync()
    assert data.member_status("fred@example.org") == "subscribed"
    data.sync()
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}
    assert data.sync() == 0
    assert sync_statuses(data) == {"ok"}


def test_somebody_who_signs_up_at_mailchimp_gets_data_when_they_have_a_contact(data: Bedrock):
    data.town.mailchimp.sign_up(LIST, "fred@example.org", "Fred", "Flintstone")
    data.sync()
    [fred] = data.town.civicrm.contacts_by_email("fred@example.org")
    give_tag(data, fred.id, "Donor")
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}


def test_one_person_synced_by_hand_gets_tags_with_the_next_run(data: Bedrock):
    data.add_both("wilma@example.org")
    data.sync_until_quiet()
    fred = data.add_contact("fred@example.org")
    give_tag(data, fred, "Donor")
    store = data.open_store()
    run = data.make_run(store)
    sync_contact(run, contact_id=fred)
    run.raise_troubles()
    store.close()
    assert data.member_status("fred@example.org") == "subscribed"
    assert field_of(data, "fred@example.org", "FNAME") == "Fred"
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}


def test_whoever_is_out_gets_nothing(data: Bedrock):
    data.add_member("fred@example.org", "unsubscribed")
    give_tag(data, data.add_contact("fred@example.org", group=False), "Donor")
    assert data.sync() == 0
    data.sync()
    assert tags_of(data, "fred@example.org") == set()


def test_who_comes_back_gets_what_they_should_have_now(data: Bedrock):
    fred = data.add_both("fred@example.org")
    give_tag(data, fred, "Donor")
    data.sync_until_quiet()
    data.pass_time(minutes=5)
    data.town.civicrm.remove_from_group(fred, 111)
    data.sync_until_quiet()
    rename_tag(data, "Donor", "Patron")
    assert data.sync() == 0
    data.town.civicrm.add_to_group(fred, 111)
    data.sync_until_quiet()
    assert data.member_status("fred@example.org") == "subscribed"
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Patron"}


def test_somebody_who_must_confirm_first_gets_tags_behind_the_request(data: Bedrock):
    data.add_member("fred@example.org", "unsubscribed", left=True)
    fred = data.add_contact("fred@example.org", group=False)
    give_tag(data, fred, "Donor")
    data.sync()
    data.pass_time(minutes=5)
    data.town.civicrm.add_to_group(fred, 111)
    data.sync_until_quiet(6)
    assert data.member_status("fred@example.org") == "pending"
    assert data.confirmation_mails == ["fred@example.org"]
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}


def test_when_the_first_of_two_updates_fails_the_second_is_not_sent(data: Bedrock):
    fred = data.add_contact("fred@example.org")
    give_tag(data, fred, "Donor")
    data.town.mailchimp.settings.fake_addresses = {"fred@example.org"}
    operations: list[Operation] = []
    data.town.mailchimp.before_operation = operations.append
    for _ in range(3):
        data.sync()
    assert [operation.path.endswith("/tags") for operation in operations] == [False]
    assert sync_statuses(data) == {"fail"}


def test_a_run_without_data_loses_nothing(data: Bedrock):
    fred = data.add_contact("fred@example.org")
    give_tag(data, fred, "Donor")
    data.sync()  # subscribed; the tags wait
    data.with_data = False
    data.town.civicrm.update_contact(fred, first_name="Freddie")
    data.sync()
    data.with_data = True
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}


def test_tags_that_vanish_all_at_once_are_not_believed(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    for number in range(12):
        give_tag(data, data.add_both(f"fred{number}@example.org"), "Donor")
    data.sync_until_quiet()
    entity_tags = data.town.civicrm.store.tables["EntityTag"]
    for row_id in list(entity_tags.ids):
        entity_tags.remove(row_id)
    assert data.sync() == 0
    assert "plugin tags failed in pre" in caplog.text
    assert "no tags of contacts at all" in caplog.text


# --- fields -------------------------------------------------------------------------------------


def test_fields_are_written_as_their_types_want_them(data: Bedrock):
    for tag, kind in (("BORN", "date"), ("BDAY", "birthday"), ("NUMBER", "number")):
        data.town.mailchimp.add_merge_field(LIST, tag, tag.title(), kind)
    for tag in ("POSTCODE", "OPTOUT", "JOB"):
        data.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    map_fields(
        data,
        BORN="birth_date",
        BDAY="birth_date",
        NUMBER="id",
        POSTCODE="address_primary.postal_code",
        OPTOUT="do_not_phone",
        JOB="job_title",
    )
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, birth_date="1960-09-30", job_title="Crane operator")
    store = data.town.civicrm.store
    store.add_block("Address", {"contact_id": fred, "postal_code": "75001"})
    assert data.sync() == 1
    fields = {tag: field_of(data, "fred@example.org", tag) for tag in ("BORN", "BDAY", "NUMBER")}
    assert fields == {"BORN": "1960-09-30", "BDAY": "09/30", "NUMBER": fred}
    assert field_of(data, "fred@example.org", "POSTCODE") == "75001"
    assert field_of(data, "fred@example.org", "OPTOUT") == "false"
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"
    assert data.sync() == 0


def test_a_field_that_changes_or_becomes_empty_follows(data: Bedrock):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, JOB="job_title")
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, job_title="Crane operator")
    data.sync_until_quiet()
    for title in ("Manager", ""):
        data.pass_time(minutes=10)
        data.town.civicrm.update_contact(fred, job_title=title)
        assert data.sync() == 1
        assert field_of(data, "fred@example.org", "JOB") == title
        assert data.sync() == 0


def test_what_a_member_gave_themselves_is_not_overwritten_with_nothing(data: Bedrock):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, JOB="job_title")
    data.add_member("fred@example.org", merge_fields={"JOB": "Caveman"})
    data.add_contact("fred@example.org")
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "JOB") == "Caveman"


def test_somebody_new_comes_with_their_fields(data: Bedrock):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, JOB="job_title")
    operations: list[Operation] = []
    data.town.mailchimp.before_operation = operations.append
    fred = data.add_contact("fred@example.org")
    data.town.civicrm.update_contact(fred, job_title="Crane operator")
    data.sync()
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"
    assert field_of(data, "fred@example.org", "FNAME") == "Fred"
    assert len(operations) == 1
    assert data.sync() == 0


def test_unknown_fields_and_addresses_are_warned_of_and_skipped(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    data.town.mailchimp.add_merge_field(LIST, "HOME", "Home", "address")
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, HOME="address_primary.city", NOWHERE="job_title", JOB="job_title")
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, job_title="Crane operator")
    for _ in range(4):
        data.sync()  # cron would mail it every five minutes
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len([w for w in warnings if "data.fields.HOME is skipped" in w]) == 1
    assert len([w for w in warnings if "data.fields.NOWHERE is skipped" in w]) == 1


def test_a_merge_field_that_comes_later_is_filled_then(data: Bedrock):
    map_fields(data, JOB="job_title")
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, job_title="Crane operator")
    data.sync_until_quiet()
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"


def test_a_field_that_civicrm_has_no_more_takes_nothing_back(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, JOB="job_title")
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, job_title="Crane operator")
    data.sync_until_quiet()
    map_fields(data, JOB="jobtitle")
    assert data.sync() == 0
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"
    assert 'CiviCRM shows no contact field "jobtitle"' in caplog.text


def test_a_wrong_path_costs_that_field_alone_and_is_told_once_c4(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    for tag in ("JOB", "PET"):
        data.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    map_fields(data, JOB="job_title", PET="no_such.thing")
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, job_title="Crane operator")
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"
    [told] = warnings(caplog)
    assert told.startswith('data.fields: CiviCRM shows no contact field "no_such.thing"')
    data.pass_time(hours=25)
    data.town.civicrm.update_contact(fred, job_title="Manager")
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "JOB") == "Manager"
    assert warnings(caplog) == []


@pytest.mark.fact("civicrm: Permissions", "custom fields need access all custom data")
def test_a_custom_field_without_its_permission_costs_that_field_alone_e6(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    for tag in ("JOB", "REGION"):
        data.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    map_fields(data, JOB="job_title", REGION="Newsletter.Region")
    data.town.civicrm.add_custom_field("Newsletter.Region")
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, job_title="Miner", **{"Newsletter.Region": "North"})
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "JOB") == "Miner"
    assert field_of(data, "fred@example.org", "REGION") == ""
    assert '"access all custom data"' in warnings(caplog)[0]
    data.town.civicrm.grant("access all custom data")
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "REGION") == "North"


@pytest.mark.parametrize("hours", [1, 25])
def test_a_permission_that_is_taken_away_takes_nothing_back_e6(
    data: Bedrock, hours: int, caplog: pytest.LogCaptureFixture
):
    for tag in ("JOB", "REGION"):
        data.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    map_fields(data, JOB="job_title", REGION="Newsletter.Region")
    data.town.civicrm.add_custom_field("Newsletter.Region")
    data.town.civicrm.grant("access all custom data")
    fred = data.add_both("fred@example.org")
    data.town.civicrm.update_contact(fred, **{"Newsletter.Region": "North"})
    data.sync_until_quiet()
    data.town.civicrm.revoke("access all custom data")
    for title in ("Miner", "Manager"):
        data.pass_time(hours=hours)
        data.town.civicrm.update_contact(fred, job_title=title)
        data.sync_until_quiet()
        assert field_of(data, "fred@example.org", "JOB") == title
        assert field_of(data, "fred@example.org", "REGION") == "North"
    [told] = warnings(caplog)
    assert '"access all custom data"' in told
    data.town.civicrm.grant("access all custom data")
    assert data.sync() == 0
    data.pass_time(minutes=5)
    data.town.civicrm.update_contact(fred, **{"Newsletter.Region": ""})
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "REGION") == ""


# --- everything together ------------------------------------------------------------------------


def test_two_hundred_people(data: Bedrock):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, JOB="job_title")
    for number in range(200):
        email = f"p{number}@example.org"
        if number % 3:
            names = {} if number % 10 else {"first_name": f"Member{number}"}
            data.add_member(email, tags=["Bowling"], **names)
        if number % 10:
            contact = data.add_contact(email)
        else:  # nameless
            contact = data.town.civicrm.add_contact("", "", [email])
            data.town.civicrm.add_to_group(contact, 111)
        data.town.civicrm.update_contact(contact, job_title=f"Job {number}")
        give_tag(data, contact, "Even" if number % 2 == 0 else "Odd", f"Tag {number % 5}")
    data.sync_until_quiet()
    rename_tag(data, "Tag 1", "Tag one")
    delete_tag(data, "Tag 2")
    data.sync_until_quiet()
    assert data.sync() == 0
    for number in range(200):
        fifth = {1: {"CiviCRM: Tag one"}, 2: set()}.get(number % 5, {f"CiviCRM: Tag {number % 5}"})
        foreign = {"Bowling"} if number % 3 else set()
        parity = "CiviCRM: Odd" if number % 2 else "CiviCRM: Even"
        email = f"p{number}@example.org"
        assert tags_of(data, email) == {*fifth, *foreign, parity}
        assert field_of(data, email, "JOB") == f"Job {number}"
    assert sync_statuses(data) == {"ok"}


def test_a_quiet_run_asks_civicrm_a_number_of_times_that_no_contact_changes(data: Bedrock):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, JOB="job_title")

    def count_quiet_requests() -> int:
        data.sync_until_quiet()
        data.pass_time(minutes=30)
        before = len(data.town.civicrm_server.requests)
        assert data.sync() == 0
        return len(data.town.civicrm_server.requests) - before

    def add_people(first: int, last: int) -> None:
        for number in range(first, last):
            contact = data.add_both(f"p{number}@example.org")
            data.town.civicrm.update_contact(contact, job_title="Miner")
            give_tag(data, contact, "Donor")

    add_people(0, 3)
    few = count_quiet_requests()
    add_people(3, 120)
    assert count_quiet_requests() == few


def test_a_quiet_run_asks_plugins_about_nobody(data: Bedrock, monkeypatch: pytest.MonkeyPatch):
    fred = data.add_both("fred@example.org")
    give_tag(data, fred, "Donor")
    data.sync_until_quiet()
    asked: list[DataRow] = []
    monkeypatch.setattr("mcsync.plugins.tags.compare_tags", lambda row, _: asked.append(row))
    data.sync()
    assert asked == []


def test_the_step_is_done_as_often_as_the_config_says_or_when_asked_for(bedrock: Bedrock):
    bedrock.settings["data"] = {"sync": True, "everyHours": 24}
    bedrock.with_data = None  # as the config says
    fred = bedrock.add_both("fred@example.org")
    bedrock.sync()
    store = bedrock.open_store()
    assert load_status(store, LIST).data_synced_at is not None
    store.close()
    give_tag(bedrock, fred, "Donor")
    assert bedrock.sync() == 0
    bedrock.pass_time(hours=24)
    bedrock.sync_until_quiet()
    assert tags_of(bedrock, "fred@example.org") == {"CiviCRM: Donor"}
    give_tag(bedrock, fred, "Elder")
    bedrock.with_data = True
    bedrock.sync_until_quiet()
    assert tags_of(bedrock, "fred@example.org") == {"CiviCRM: Donor", "CiviCRM: Elder"}


def test_without_data_it_costs_nothing(bedrock: Bedrock):
    fred = bedrock.add_both("fred@example.org")
    give_tag(bedrock, fred, "Donor")
    bedrock.sync()
    asked = [x.request.body.decode() + x.request.path for x in bedrock.town.civicrm_server.requests]
    assert not [text for text in asked if "Tag" in text]
    paths = [x.request.path for x in bedrock.town.mailchimp_server.requests]
    assert not [path for path in paths if "merge-fields" in path]
    script = "import sys, mcsync.assemble; sys.exit('mcsync.plugins' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603


# --- plugins of others --------------------------------------------------------------------------


def test_a_plugin_with_pre_check_and_post(data: Bedrock, add_plugin: AddPlugin):
    data.town.mailchimp.add_merge_field(LIST, "INITIAL", "Initial")
    calls: list[str] = []

    def pre(audience, rows, site):
        calls.append(f"pre {audience.name} {sorted(row.email for row in rows)}")

    def check_chunk(rows):
        calls.append(f"check {len(rows)}")
        for row in rows:
            if row.metadata.get("initial") != row.first_name[0]:
                yield DataUpdate(
                    row.row_id,
                    merge_fields={"INITIAL": row.first_name[0]},
                    metadata={"initial": row.first_name[0]},
                )

    def post(audience):
        calls.append(f"post {audience.list_id}")

    add_plugin(pre=pre, check_chunk=check_chunk, post=post)
    data.add_both("fred@example.org")
    data.add_contact("wilma@example.org")
    data.add_member("out@example.org", "unsubscribed")
    data.sync()
    assert calls == [
        "pre Main audience ['fred@example.org', 'wilma@example.org']",
        "check 2",
        f"post {LIST}",
    ]
    assert field_of(data, "fred@example.org", "INITIAL") == "F"
    assert field_of(data, "wilma@example.org", "INITIAL") == "W"
    assert data.sync() == 0


def test_what_a_simple_plugin_repeats_is_not_sent_again(data: Bedrock, add_plugin: AddPlugin):
    data.town.mailchimp.add_merge_field(LIST, "PET", "Pet")

    def check_chunk(rows):
        return [
            DataUpdate(r.row_id, merge_fields={"PET": "Dino"}, tags={"Pet": True}) for r in rows
        ]

    add_plugin(check_chunk=check_chunk)
    data.add_both("fred@example.org")
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "PET") == "Dino"
    assert tags_of(data, "fred@example.org") == {"Pet"}
    assert data.sync() == 0


def test_two_plugins_giving_tags(data: Bedrock, add_plugin: AddPlugin):
    def check_first(rows):
        return [DataUpdate(r.row_id, tags={"Bowler": True, "Miner": True}) for r in rows]

    def check_second(rows):
        return [DataUpdate(r.row_id, tags={"Poker": True, "miner": False}) for r in rows]

    add_plugin("first_plugin", check_chunk=check_first)
    add_plugin("second_plugin", check_chunk=check_second)
    fred = data.add_both("fred@example.org")
    give_tag(data, fred, "Donor")
    operations: list[Operation] = []
    data.town.mailchimp.before_operation = operations.append
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"Bowler", "Poker", "CiviCRM: Donor"}
    assert len([operation for operation in operations if "/tags" in operation.path]) == 1


def test_a_plugin_that_raises_loses_only_its_own_data(
    data: Bedrock, add_plugin: AddPlugin, caplog: pytest.LogCaptureFixture
):
    def check_chunk(rows):
        raise ValueError("fred@example.org has no stone")

    add_plugin(check_chunk=check_chunk)
    fred = data.add_both("fred@example.org")
    give_tag(data, fred, "Donor")
    data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}
    assert data.member_status("wilma@example.org") == "subscribed"
    assert sync_statuses(data) == {"ok"}
    warnings = {r.getMessage() for r in caplog.records if r.levelno == logging.WARNING}
    assert warnings == {
        f"Main audience: plugin {PLUGIN} failed in check_chunk, its data is ignored: ValueError"
    }


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            lambda row: {"row_id": row.row_id, "status": "unsubscribed"}, id="status in a mapping"
        ),
        pytest.param(
            lambda row: DataUpdate(row.row_id, merge_fields={"status": "unsubscribed", "JOB": "x"}),
            id="status",
        ),
        pytest.param(
            lambda row: DataUpdate(row.row_id, merge_fields={"email_address": "x@example.org"}),
            id="email_address",
        ),
        pytest.param(
            lambda row: DataUpdate(row.row_id, merge_fields={"EMAIL": "x@example.org"}), id="EMAIL"
        ),
    ],
)
def test_no_plugin_sets_a_status_or_an_address(
    data: Bedrock,
    add_plugin: AddPlugin,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[DataRow], object],
):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    add_plugin(check_chunk=lambda rows: [make(row) for row in rows])
    fred = data.add_both("fred@example.org")
    give_tag(data, fred, "Donor")
    data.sync_until_quiet()
    assert data.member_status("fred@example.org") == "subscribed"
    assert field_of(data, "fred@example.org", "JOB") == ""
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}
    assert f"plugin {PLUGIN} returned" in caplog.text
    assert "which plugins may not set" in caplog.text


def test_a_plugin_that_cannot_be_imported_is_named(data: Bedrock, caplog: pytest.LogCaptureFixture):
    data.settings["plugins"] = ["no.such.plugin"]
    fred = data.add_both("fred@example.org")
    give_tag(data, fred, "Donor")
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"CiviCRM: Donor"}
    assert "plugin no.such.plugin is not used" in caplog.text


def test_a_name_changed_at_both_ends_and_data_go_in_one_operation(
    data: Bedrock, add_plugin: AddPlugin
):
    data.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(data, JOB="job_title")
    data.add_member("fred@example.org", first_name="Fred")
    fred = data.add_contact("fred@example.org")
    data.sync_until_quiet()
    data.town.mailchimp.edit_profile(LIST, "fred@example.org", first_name="Freddie")
    data.pass_time(minutes=5)
    data.town.civicrm.update_contact(fred, first_name="Frederick", job_title="Miner")
    data.pass_time(minutes=1)
    operations: list[Operation] = []
    data.town.mailchimp.before_operation = operations.append
    data.sync_until_quiet()
    assert len(operations) == 1
    assert field_of(data, "fred@example.org", "FNAME") == "Frederick"
    assert field_of(data, "fred@example.org", "JOB") == "Miner"


def test_the_plugin_of_the_manual_works(
    data: Bedrock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    [source] = re.findall(r"```python plugin\n(.*?)```", read_topic("data"), re.DOTALL)
    assert len(source.splitlines()) < 40
    (tmp_path / "regions.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "regions", raising=False)
    data.settings["plugins"] = ["regions"]
    fred, wilma = data.add_both("fred@example.org"), data.add_contact("wilma@example.org")
    store = data.town.civicrm.store
    block = store.add_block("Address", {"contact_id": fred, "postal_code": "75001"})
    store.add_block("Address", {"contact_id": wilma, "postal_code": "13002"})
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"Region 75"}
    assert tags_of(data, "wilma@example.org") == {"Region 13"}
    store.tables["Address"].change(block["id"], {"postal_code": "69000"})
    data.sync_until_quiet()
    assert tags_of(data, "fred@example.org") == {"Region 69"}
    assert json.dumps(sorted(sync_statuses(data))) == '["ok"]'
