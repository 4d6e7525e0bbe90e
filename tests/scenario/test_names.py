"""Names both ways, as in the older extension's tables, with data on."""

import logging
from inspect import signature

import pytest

from mcsync.pipeline.name_fields import NamedFields
from mcsync.pipeline.ports import MailchimpPort
from mcsync.pipeline.sync_contact import sync_contact
from tests.scenario.aftermath import assert_at_peace, fields_of
from tests.scenario.bedrock import GROUP, LIST, Bedrock


def seed(bedrock: Bedrock, civicrm: str, mailchimp: str, later: str) -> int:
    """Somebody with one first name here and one there; `later` is the side edited last."""

    def at_mailchimp() -> None:
        bedrock.add_member("fred@example.org", first_name=mailchimp)

    def in_civicrm() -> int:
        contact = bedrock.town.civicrm.add_contact(civicrm, "", ["fred@example.org"])
        bedrock.town.civicrm.add_to_group(contact, GROUP)
        return contact

    if later == "mailchimp":
        contact = in_civicrm()
        bedrock.pass_time(minutes=1)
        at_mailchimp()
    else:
        at_mailchimp()
        bedrock.pass_time(minutes=1)
        contact = in_civicrm()
    bedrock.pass_time(minutes=1)
    return contact


def first_name_at_mailchimp(bedrock: Bedrock, email: str = "fred@example.org") -> str:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    fields = member["merge_fields"]
    assert isinstance(fields, dict)
    return str(fields["FNAME"])


@pytest.mark.parametrize(
    ("civicrm", "mailchimp", "later", "expected"),
    [
        pytest.param("Fred", "", "civicrm", "Fred", id="added"),
        pytest.param("Fred", "Fred", "civicrm", "Fred", id="no change"),
        pytest.param("Fred", "Barney", "civicrm", "Fred", id="corrected"),
        pytest.param("", "Fred", "civicrm", "Fred", id="a blank never overwrites"),
        pytest.param("Fred", "Barney", "mailchimp", "Barney", id="Mailchimp edited last"),
        pytest.param("Fred", "", "mailchimp", "Fred", id="a later blank does not either"),
    ],
)
def test_a_first_name_comes_to_be_the_same_at_both_sides(
    data: Bedrock, civicrm: str, mailchimp: str, later: str, expected: str
):
    contact = seed(data, civicrm, mailchimp, later)
    data.sync_until_quiet()
    view = data.town.civicrm.contact(contact)
    assert view is not None
    assert (view.first_name or "") == expected
    assert first_name_at_mailchimp(data) == expected


def test_without_data_nothing_is_done_about_names_until_data_is_on(bedrock: Bedrock):
    seed(bedrock, "Fred", "Barney", "civicrm")
    assert bedrock.sync() == 0
    assert bedrock.sync() == 0
    bedrock.with_data = True
    bedrock.sync_until_quiet()
    assert first_name_at_mailchimp(bedrock) == "Fred"


def test_a_name_changed_at_both_ends_takes_the_later_one(data: Bedrock):
    contact = seed(data, "Fred", "Fred", "civicrm")
    data.sync()
    data.town.civicrm.update_contact(contact, first_name="Frederick")
    data.pass_time(minutes=2)
    data.town.mailchimp.edit_profile(LIST, "fred@example.org", first_name="Freddie")
    data.pass_time(minutes=2)
    data.sync_until_quiet()
    view = data.town.civicrm.contact(contact)
    assert view is not None
    assert view.first_name == "Freddie"
    assert first_name_at_mailchimp(data) == "Freddie"


def single_name(bedrock: Bedrock) -> None:
    """The audience has one field for the whole name."""
    bedrock.town.mailchimp.remove_merge_field(LIST, "FNAME")
    bedrock.town.mailchimp.remove_merge_field(LIST, "LNAME")
    bedrock.town.mailchimp.add_merge_field(LIST, "NAME", "Name")


def test_a_single_name_field_is_split_for_a_new_contact(bedrock: Bedrock):
    single_name(bedrock)
    bedrock.add_member("pearl@example.org", merge_fields={"NAME": "Pearl Van Slaghoople"})
    bedrock.sync()
    [pearl] = bedrock.town.civicrm.contacts_by_email("pearl@example.org")
    assert (pearl.first_name, pearl.last_name) == ("Pearl", "Van Slaghoople")


def test_a_single_name_field_is_joined_for_mailchimp(data: Bedrock):
    single_name(data)
    data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    member = data.town.mailchimp.member(LIST, "wilma@example.org")
    assert member is not None
    assert member["merge_fields"] == {"NAME": "Wilma Flintstone"}


def test_names_that_are_the_same_when_joined_are_left_alone(data: Bedrock):
    single_name(data)
    contact = data.town.civicrm.add_contact("Mary Ann", "Slate", ["mary@example.org"])
    data.town.civicrm.add_to_group(contact, GROUP)
    data.add_member("mary@example.org", merge_fields={"NAME": "Mary Ann Slate"})
    assert data.sync() == 0


def test_names_of_a_family_sharing_an_address_are_nobodys(data: Bedrock):
    data.add_member("flintstones@example.org", first_name="Fred")
    wilma = data.add_contact("flintstones@example.org")
    data.add_contact("flintstones@example.org")
    data.sync_until_quiet()
    view = data.town.civicrm.contact(wilma)
    assert view is not None
    assert view.first_name == "Flintstones"
    assert first_name_at_mailchimp(data, "flintstones@example.org") == "Fred"


def test_the_joined_name_that_we_wrote_outvotes_nobody(data: Bedrock):
    single_name(data)
    wilma = data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    data.pass_time(hours=1)
    data.town.civicrm.update_contact(wilma, first_name="Wilhelmina")
    data.pass_time(minutes=1)

    def staff_think_better_of_it(_operation: object) -> None:
        data.town.mailchimp.before_operation = None
        data.town.civicrm.update_contact(wilma, first_name="Willa")
        data.pass_time(minutes=2)

    data.town.mailchimp.before_operation = staff_think_better_of_it
    data.sync()
    data.sync_until_quiet()
    view = data.town.civicrm.contact(wilma)
    assert view is not None
    assert view.first_name == "Willa"
    member = data.town.mailchimp.member(LIST, "wilma@example.org")
    assert member is not None
    assert member["merge_fields"] == {"NAME": "Willa Flintstone"}


def name_field(bedrock: Bedrock, email: str = "wilma@example.org") -> str:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    fields = member["merge_fields"]
    assert isinstance(fields, dict)
    return str(fields["NAME"])


def names_of(bedrock: Bedrock, contact: int) -> tuple[str, str]:
    view = bedrock.town.civicrm.contact(contact)
    assert view is not None
    return view.first_name or "", view.last_name or ""


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param("Wilma", "", id="no last name"),
        pytest.param("", "Flintstone", id="no first name"),
        pytest.param("", "", id="no name"),
    ],
)
@pytest.mark.parametrize("hours", [1, 25], ids=["plain run", "daily compare"])
def test_a_single_name_field_is_not_cut_by_a_blank_in_civicrm_f5(
    data: Bedrock, first: str, last: str, hours: int
):
    single_name(data)
    wilma = data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    assert name_field(data) == "Wilma Flintstone"
    data.pass_time(hours=hours)
    data.town.civicrm.update_contact(wilma, first_name=first or None, last_name=last or None)
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert name_field(data) == "Wilma Flintstone"
    assert names_of(data, wilma) == ("Wilma", "Flintstone")
    assert_at_peace(data)


def test_a_single_name_of_three_words_is_not_cut_by_a_blank_in_civicrm_f5(data: Bedrock):
    """The brother: what the blank was cannot be told from the joined name alone."""
    single_name(data)
    mary = data.town.civicrm.add_contact("Mary Ann", "Slate", ["mary@example.org"])
    data.town.civicrm.add_to_group(mary, GROUP)
    data.sync_until_quiet()
    data.pass_time(hours=1)
    data.town.civicrm.update_contact(mary, first_name=None)
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert name_field(data, "mary@example.org") == "Mary Ann Slate"
    assert names_of(data, mary) == ("Mary Ann", "Slate")
    assert_at_peace(data)


def test_a_single_name_field_that_is_emptied_is_filled_again_f5(data: Bedrock):
    """The brother: the blank is at Mailchimp."""
    single_name(data)
    wilma = data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    data.pass_time(hours=1)
    data.town.mailchimp.edit_profile(LIST, "wilma@example.org", merge_fields={"NAME": ""})
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert name_field(data) == "Wilma Flintstone"
    assert names_of(data, wilma) == ("Wilma", "Flintstone")
    assert_at_peace(data)


@pytest.mark.parametrize("field", ["first_name", "last_name"])
def test_two_name_fields_are_not_emptied_by_a_blank_in_civicrm_f5(data: Bedrock, field: str):
    """The brother: FNAME and LNAME."""
    wilma = data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    data.pass_time(hours=1)
    data.town.civicrm.update_contact(wilma, **{field: None})
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert first_name_at_mailchimp(data, "wilma@example.org") == "Wilma"
    assert names_of(data, wilma) == ("Wilma", "Flintstone")
    assert_at_peace(data)


def test_three_name_fields_are_not_emptied_by_a_blank_in_civicrm_f5(data: Bedrock):
    """The brother: NAME beside FNAME and LNAME."""
    data.town.mailchimp.add_merge_field(LIST, "NAME", "Name")
    wilma = data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    assert name_field(data) == "Wilma Flintstone"
    data.pass_time(hours=1)
    data.town.civicrm.update_contact(wilma, first_name=None)
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert name_field(data) == "Wilma Flintstone"
    assert first_name_at_mailchimp(data, "wilma@example.org") == "Wilma"
    assert_at_peace(data)


# --- what CiviCRM cuts ----------------------------------------------------------------------------

LONG = "Uvuvwevwevwe Onyetenyevwe Ugwemuhwem Osas Featherstonehaugh-Cholmondeley"
CUT = LONG[:61] + "..."


@pytest.mark.parametrize("hours", [1, 25], ids=["plain run", "daily compare"])
def test_a_name_that_civicrm_cuts_stays_whole_at_mailchimp_c2(data: Bedrock, hours: int):
    wilma = data.add_both("wilma@example.org")
    data.sync_until_quiet()
    data.pass_time(hours=1)
    data.town.mailchimp.edit_profile(LIST, "wilma@example.org", last_name=LONG)
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert names_of(data, wilma) == ("Wilma", CUT)
    data.pass_time(hours=hours)
    data.town.civicrm.update_contact(wilma, job_title="Reporter")
    data.pass_time(minutes=1)
    assert data.sync() == 0
    assert fields_of(data, "wilma@example.org") == {"FNAME": "Wilma", "LNAME": LONG}
    assert_at_peace(data)


@pytest.mark.parametrize("has_one_field", [False, True], ids=["two fields", "NAME"])
def test_a_new_contact_whose_name_is_cut_renames_nobody_c2(data: Bedrock, has_one_field: bool):
    if has_one_field:
        single_name(data)
        given = {"NAME": f"Wilma {LONG}"}
    else:
        given = {"FNAME": "Wilma", "LNAME": LONG}
    data.add_member("wilma@example.org", merge_fields=given)
    data.sync_until_quiet()
    [wilma] = data.town.civicrm.contacts_by_email("wilma@example.org")
    assert names_of(data, wilma.id) == ("Wilma", CUT)
    data.pass_time(hours=25)
    data.sync_until_quiet()
    assert fields_of(data, "wilma@example.org") == given
    assert_at_peace(data)


def test_a_name_that_is_given_in_civicrm_after_a_cut_one_goes_to_mailchimp_c2(data: Bedrock):
    data.add_member("wilma@example.org", merge_fields={"FNAME": "Wilma", "LNAME": LONG})
    data.sync_until_quiet()
    [wilma] = data.town.civicrm.contacts_by_email("wilma@example.org")
    data.pass_time(hours=1)
    data.town.civicrm.update_contact(wilma.id, last_name="Slate")
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert fields_of(data, "wilma@example.org") == {"FNAME": "Wilma", "LNAME": "Slate"}
    assert_at_peace(data)


def test_a_name_that_mailchimp_would_cut_is_left_out_and_told_c1(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    single_name(data)
    long = data.town.civicrm.add_contact("ก" * 60, "ข" * 60, ["somchai@example.org"])
    data.town.civicrm.add_to_group(long, GROUP)
    data.sync_until_quiet()
    assert data.member_status("somchai@example.org") == "subscribed"
    assert fields_of(data, "somchai@example.org") == {"NAME": ""}
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [t.partition(";")[0] for t in told] == [
        "Main audience: names, NAME: 1 value is left out: longer than 255 bytes"
    ]
    data.pass_time(hours=1)
    data.town.civicrm.update_contact(long, last_name="ข")
    data.sync_until_quiet()
    assert fields_of(data, "somchai@example.org") == {"NAME": f"{'ก' * 60} ข"}


# --- organisations and households -----------------------------------------------------------------


def add_body(bedrock: Bedrock, kind: str, name: str, email: str) -> int:
    field = {"Organization": "organization_name", "Household": "household_name"}[kind]
    contact = bedrock.town.civicrm.add_contact(emails=[email], contact_type=kind, **{field: name})
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    return contact


@pytest.mark.parametrize("kind", ["Organization", "Household"])
@pytest.mark.parametrize("has_one_field", [False, True], ids=["two fields", "NAME"])
def test_the_display_name_goes_to_mailchimp_and_no_name_comes_back_c6(
    data: Bedrock, kind: str, has_one_field: bool
):
    if has_one_field:
        single_name(data)
    slate = add_body(data, kind, "Slate & Company", "office@example.org")
    data.sync_until_quiet()
    sent = {"NAME": "Slate & Company"} if has_one_field else {"FNAME": "Slate & Company"}
    assert sent.items() <= dict(fields_of(data, "office@example.org")).items()  # type: ignore[call-overload]
    data.pass_time(hours=1)
    edit = {"NAME": "George Slate"} if has_one_field else {"FNAME": "George", "LNAME": "Slate"}
    data.town.mailchimp.edit_profile(LIST, "office@example.org", merge_fields=edit)
    data.pass_time(minutes=1)
    data.sync_until_quiet()
    assert edit.items() <= dict(fields_of(data, "office@example.org")).items()  # type: ignore[call-overload]
    assert names_of(data, slate) == ("", "")
    assert_at_peace(data)


def test_an_organisation_without_a_name_sends_no_address_as_one_c6(data: Bedrock):
    add_body(data, "Organization", "", "office@example.org")
    data.sync_until_quiet()
    assert fields_of(data, "office@example.org") == {"FNAME": "", "LNAME": ""}
    assert_at_peace(data)


# --- other fields ---------------------------------------------------------------------------------

GERMAN = {"first": "VORNAME", "last": "NACHNAME"}


@pytest.fixture
def german(data: Bedrock) -> Bedrock:
    """An audience whose names are called otherwise, and whose FNAME is the name of a pet."""
    for tag in GERMAN.values():
        data.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    data.options["nameFields"] = GERMAN
    return data


def edit(bedrock: Bedrock, **fields: str) -> None:
    bedrock.pass_time(hours=1)
    bedrock.town.mailchimp.edit_profile(LIST, "wilma@example.org", merge_fields=fields)
    bedrock.pass_time(minutes=1)


def own_fields(bedrock: Bedrock) -> dict[str, str]:
    fields = fields_of(bedrock, "wilma@example.org")
    assert isinstance(fields, dict)
    return fields


def test_names_go_both_ways_in_the_audiences_own_fields(german: Bedrock):
    wilma = german.add_contact("wilma@example.org")
    german.sync_until_quiet()
    names = {"VORNAME": "Wilma", "NACHNAME": "Flintstone"}
    assert own_fields(german) == {"FNAME": "", "LNAME": "", **names}
    edit(german, VORNAME="Wilhelmina", FNAME="Dino")
    german.sync_until_quiet()
    assert names_of(german, wilma) == ("Wilhelmina", "Flintstone")
    german.pass_time(hours=1)
    german.town.civicrm.update_contact(wilma, last_name="Slaghoople")
    german.sync_until_quiet()
    names = {"VORNAME": "Wilhelmina", "NACHNAME": "Slaghoople"}
    assert own_fields(german) == {"FNAME": "Dino", "LNAME": "", **names}
    assert_at_peace(german)


def test_a_new_contact_is_named_by_the_audiences_own_fields(german: Bedrock):
    german.add_member("wilma@example.org", merge_fields={"VORNAME": "Wilma", "FNAME": "Dino"})
    german.sync_until_quiet()
    [wilma] = german.town.civicrm.contacts_by_email("wilma@example.org")
    assert names_of(german, wilma.id) == ("Wilma", "")


def test_a_single_field_of_another_name_is_split_and_joined(data: Bedrock):
    data.town.mailchimp.add_merge_field(LIST, "FULLNAME", "Full name")
    data.options["nameFields"] = {"first": None, "last": None, "whole": "FULLNAME"}
    wilma = data.add_contact("wilma@example.org")
    data.sync_until_quiet()
    assert own_fields(data) == {"FNAME": "", "LNAME": "", "FULLNAME": "Wilma Flintstone"}
    edit(data, FULLNAME="Wilhelmina von Flint")
    data.sync_until_quiet()
    assert names_of(data, wilma) == ("Wilhelmina", "von Flint")
    assert_at_peace(data)


def test_somebody_synced_by_hand_is_named_in_the_audiences_own_fields(german: Bedrock):
    german.sync_until_quiet()
    wilma = german.add_contact("wilma@example.org")
    store = german.open_store()
    run = german.make_run(store)
    sync_contact(run, contact_id=wilma)
    run.raise_troubles()
    store.close()
    assert own_fields(german)["VORNAME"] == "Wilma"
    german.sync_until_quiet()
    assert names_of(german, wilma) == ("Wilma", "Flintstone")


def test_when_the_fields_are_named_later_everybody_is_read_anew(data: Bedrock):
    for tag in GERMAN.values():
        data.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    fields = {"VORNAME": "Wilma", "NACHNAME": "Flintstone", "FNAME": "Dino"}
    wilma = data.town.civicrm.add_contact(emails=["wilma@example.org"])
    data.town.civicrm.add_to_group(wilma, GROUP)
    data.with_data = False
    data.add_member("wilma@example.org", merge_fields=fields)
    data.sync_until_quiet()
    data.options["nameFields"] = GERMAN
    data.with_data = True
    data.sync_until_quiet()
    assert names_of(data, wilma) == ("Wilma", "Flintstone")


@pytest.mark.parametrize("tag", ["VORNAME", "PET"])
def test_reading_and_writing_take_each_other_back(tag: str):
    swapped = NamedFields(None, {"FNAME": "LNAME", "LNAME": "FNAME", "NAME": ""})  # type: ignore[arg-type]
    fields = {"FNAME": "Flintstone", "LNAME": "Fred", tag: "x"}
    assert swapped.read(fields) == {"LNAME": "Flintstone", "FNAME": "Fred", tag: "x"}
    assert swapped.write(swapped.read(fields)) == fields
    german = NamedFields(None, {"FNAME": "VORNAME"})  # type: ignore[arg-type]
    assert german.read({"FNAME": "Dino", "VORNAME": "Fred"}) == {"FNAME": "Fred"}
    assert german.write({"FNAME": "Fred", "VORNAME": "no name"}) == {"VORNAME": "Fred"}


def test_all_that_has_merge_fields_is_renamed():
    shapes = ("Member", "MergeField", "Operation", "Outcome")
    concerned = {
        name
        for name, method in vars(MailchimpPort).items()
        if callable(method) and any(shape in str(signature(method)) for shape in shapes)
    }
    assert "fetch_members" in concerned
    assert concerned <= vars(NamedFields).keys()
