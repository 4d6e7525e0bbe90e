"""One odd value, or one odd member, contact or row, never stops the others."""

import json
from collections.abc import Callable

import pytest

from mcsync.pipeline.direct import settle, take_in_members
from mcsync.pipeline.fetch import Window
from mcsync.sandbox.server import Fault, Request, Response
from tests.scenario.aftermath import contact_of, fields_of, warnings
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock

MEMBERS = f"/lists/{LIST}/members"
ODD, WILMA, FRED = "odd@example.org", "wilma@example.org", "fred@example.org"


@pytest.fixture
def data(bedrock: Bedrock) -> Bedrock:
    """Odd, Wilma and Fred in agreement, with names synced."""
    bedrock.with_data = True
    for email in (ODD, WILMA, FRED):
        bedrock.add_both(email)
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=1)
    return bedrock


def show_odd(bedrock: Bedrock, **values: object) -> None:
    """From now on Mailchimp shows the odd member with these values, in every answer."""

    def rewrite(_request: Request, response: Response) -> Response:
        shown = json.loads(response.body)
        members = shown.get("members", [shown])
        for member in members:
            if member.get("email_address") == ODD:
                member.update(values)
        return Response(response.status, json.dumps(shown).encode(), response.headers)

    bedrock.town.mailchimp_server.faults.append(
        Fault(method="GET", path=MEMBERS, rewrite=rewrite, times=None)
    )


def assert_the_others_go_on(bedrock: Bedrock) -> None:
    """Wilma leaves and Fred gets another name, whatever is odd; Odd stays in."""
    bedrock.pass_time(minutes=5)
    bedrock.town.mailchimp.leave(LIST, WILMA)
    bedrock.town.civicrm.update_contact(contact_of(bedrock, FRED), first_name="Frederick")
    bedrock.pass_time(minutes=5)
    for window in (None, None, Window()):
        bedrock.sync(window=window)
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Removed"
    fields = fields_of(bedrock, FRED)
    assert isinstance(fields, dict)
    assert fields["FNAME"] == "Frederick"
    emails = bedrock.town.civicrm.store.emails.rows.values()
    [odd] = [row["contact_id"] for row in emails if row["email"] == ODD]
    assert bedrock.group_status(odd) == "Added"
    bedrock.pass_time(hours=25)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(odd) == "Added"


@pytest.mark.parametrize(
    "values",
    [
        {"merge_fields": []},
        {"interests": []},
        {"merge_fields": [], "interests": []},
        {"merge_fields": None, "interests": None},
        {"merge_fields": {"FNAME": [], "LNAME": {}, "X": 1.5, "Y": True, "Z": None}},
        {"merge_fields": {"FNAME": "O\0dd", "LNAME": "\0"}},
        {"last_changed": ""},
        {"last_changed": "0000-00-00T00:00:00+00:00"},
        {"last_changed": "yesterday"},
        {"last_changed": "2026-11-22T05:00:00"},
        {"last_changed": "9999-12-31T23:59:59+00:00"},
        {"last_changed": "0001-01-01T00:00:00+14:00"},
        {"contact_id": None, "unsubscribe_reason": None},
        {"last_changed": None, "unsubscribe_reason": 7},
        {"merge_fields": "", "interests": ""},
        {"interests": {"cccccccccc": "perhaps"}},
    ],
    ids=str,
)
def test_an_odd_value_of_a_member_is_that_value_alone_c8(data: Bedrock, values: dict[str, object]):
    show_odd(data, **values)
    data.town.mailchimp.edit_profile(LIST, ODD, interests={"cccccccccc": False})
    assert_the_others_go_on(data)


@pytest.mark.parametrize("value", ["", "yesterday", "9999-12-31T23:59:59+00:00"])
def test_whoever_leaves_at_an_odd_time_is_out_and_not_asked_to_confirm_c8(
    data: Bedrock, value: str
):
    show_odd(data, last_changed=value)
    data.town.mailchimp.leave(LIST, ODD)
    data.pass_time(minutes=5)
    data.sync_until_quiet()
    assert data.group_status(contact_of(data, ODD)) == "Removed"
    assert data.member_status(ODD) == "unsubscribed"
    assert data.confirmation_mails == []


ODDITIES = [
    pytest.param({"status": "sms_only"}, 'the unknown status "sms_only"', id="a new word"),
    pytest.param({"status": f"see {ODD}\n"}, 'the unknown status "see (address)"', id="an address"),
    pytest.param({"status": None}, 'the unknown status "None"', id="none"),
    pytest.param({"email_address": ""}, "no usable address", id="no address"),
    pytest.param({"email_address": None}, "no usable address", id="address null"),
    pytest.param({"email_address": "o\0dd@example.org"}, "no usable address", id="NUL"),
]


@pytest.mark.parametrize(("values", "oddity"), ODDITIES)
def test_a_member_that_is_not_understood_is_left_alone_and_told_once_c8(
    data: Bedrock, caplog: pytest.LogCaptureFixture, values: dict[str, object], oddity: str
):
    """In the list and when read alone; that member is neither in nor out, gone nor new."""
    contacts = len(data.town.civicrm.contacts())
    show_odd(data, **values)
    data.town.mailchimp.edit_profile(LIST, ODD, interests={"cccccccccc": False})
    data.pass_time(minutes=5)
    data.sync()
    [told] = warnings(caplog)
    assert told.startswith(f"Main audience: 1 member with {oddity} is left alone")
    for window in (None, Window(), None):
        data.sync(window=window)
    assert warnings(caplog) == []
    assert_the_others_go_on(data)
    assert data.member_status(ODD) == "subscribed"
    assert len(data.town.civicrm.contacts()) == contacts
    assert data.confirmation_mails == []


def test_a_stranger_who_is_not_understood_becomes_nobody_c8(bedrock: Bedrock):
    for email in (ODD, WILMA):
        bedrock.add_member(email)
    show_odd(bedrock, status="sms_only")
    bedrock.sync_until_quiet()
    assert bedrock.town.civicrm.contacts_by_email(ODD) == []
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Added"
    bedrock.town.mailchimp_server.faults.clear()
    bedrock.sync(window=Window())
    assert bedrock.group_status(contact_of(bedrock, ODD)) == "Added"


def test_an_odd_member_is_read_alone_without_harm_c8(data: Bedrock):
    """What a webhook, or `sync-contact`, makes us read again."""
    show_odd(data, status="sms_only")
    store = data.open_store()
    try:
        run = data.make_run(store)
        [task] = run.tasks
        take_in_members(run, task, [ODD, WILMA])
        settle(run, task, [ODD, WILMA])
    finally:
        store.close()
    assert data.group_status(contact_of(data, ODD)) == "Added"
    assert_the_others_go_on(data)


def test_an_odd_member_is_one_contact_only_c8(bedrock: Bedrock):
    bedrock.add_member(ODD)
    bedrock.add_member(WILMA)
    show_odd(bedrock, merge_fields={"FNAME": "O\0dd", "LNAME": "\0"})
    bedrock.sync_until_quiet()
    [odd] = bedrock.town.civicrm.contacts_by_email(ODD)
    assert (odd.first_name or "", odd.last_name or "") == ("Odd", "")
    assert bedrock.group_status(contact_of(bedrock, WILMA)) == "Added"


def spoil_name(data: Bedrock) -> None:
    data.town.civicrm.update_contact(contact_of(data, ODD), first_name="O\0dd")


def spoil_address(data: Bedrock) -> None:
    data.town.civicrm.add_email(contact_of(data, ODD), "o\0dd@example.org", is_bulkmail=True)


def forget_dates(data: Bedrock) -> None:
    store = data.town.civicrm.store
    row = store.contacts.rows[contact_of(data, ODD)]
    row["modified_date"] = row["created_date"] = None


def forget_history_dates(data: Bedrock) -> None:
    store = data.town.civicrm.store
    for row in store.history.matching("contact_id", contact_of(data, ODD)):
        row["date"] = None


def clear_other_status(data: Bedrock) -> None:
    odd = contact_of(data, ODD)
    data.town.civicrm.add_to_group(odd, VOLUNTEERS)
    data.town.civicrm.sql_clear_status(odd, VOLUNTEERS)


Spoil = Callable[[Bedrock], None]


@pytest.mark.parametrize(
    "spoil",
    [spoil_name, spoil_address, forget_dates, forget_history_dates, clear_other_status],
)
def test_an_odd_contact_stops_nobody_else_c8(data: Bedrock, spoil: Spoil):
    spoil(data)
    assert_the_others_go_on(data)


def test_a_group_contact_without_status_stops_nobody_else_c8(data: Bedrock):
    odd = contact_of(data, ODD)
    data.town.civicrm.sql_clear_status(odd, GROUP)
    data.pass_time(hours=25)
    data.town.mailchimp.leave(LIST, WILMA)
    data.pass_time(minutes=5)
    data.sync()
    data.sync_until_quiet()
    assert data.group_status(contact_of(data, WILMA)) == "Removed"
    assert data.member_status(FRED) == "subscribed"


def test_somebody_whose_only_address_has_a_nul_byte_is_left_alone_c8(data: Bedrock):
    contact = data.town.civicrm.add_contact("Nul", "", ["nu\0l@example.org"])
    data.town.civicrm.add_to_group(contact, GROUP)
    assert_the_others_go_on(data)
    assert data.group_status(contact) == "Added"
