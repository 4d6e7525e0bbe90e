"""Names both ways, as in the older extension's tables, with data on."""

import logging
from inspect import signature

import pytest

from mcsync.pipeline.name_fields import NamedFields
from mcsync.pipeline.ports import MailchimpPort
from mcsync.pipeline.sync_contact import sync_contact
from tests.scenario.aftermath import assert_at_peace
from tests.scenario.bedrock import GROUP, LIST, Bedrock


@pytest.fixture
def named(bedrock: Bedrock) -> Bedrock:
    bedrock.with_data = True
    return bedrock


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
    named: Bedrock, civicrm: str, mailchimp: str, later: str, expected: str
):
    contact = seed(named, civicrm, mailchimp, later)
    named.sync_until_quiet()
    view = named.town.civicrm.contact(contact)
    assert view is not None
    assert (view.first_name or "") == expected
    assert first_name_at_mailchimp(named) == expected


def test_without_data_nothing_is_done_about_names_until_data_is_on(bedrock: Bedrock):
    seed(bedrock, "Fred", "Barney", "civicrm")
    assert bedrock.sync() == 0
    assert bedrock.sync() == 0
    bedrock.with_data = True
    bedrock.sync_until_quiet()
    assert first_name_at_mailchimp(bedrock) == "Fred"


def test_a_name_changed_at_both_ends_takes_the_later_one(named: Bedrock):
    contact = seed(named, "Fred", "Fred", "civicrm")
    named.sync()
    named.town.civicrm.update_contact(contact, first_name="Frederick")
    named.pass_time(minutes=2)
    named.town.mailchimp.edit_profile(LIST, "fred@example.org", first_name="Freddie")
    named.pass_time(minutes=2)
    named.sync_until_quiet()
    view = named.town.civicrm.contact(contact)
    assert view is not None
    assert view.first_name == "Freddie"
    assert first_name_at_mailchimp(named) == "Freddie"


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


def test_a_single_name_field_is_joined_for_mailchimp(named: Bedrock):
    single_name(named)
    named.add_contact("wilma@example.org")
    named.sync_until_quiet()
    member = named.town.mailchimp.member(LIST, "wilma@example.org")
    assert member is not None
    assert member["merge_fields"] == {"NAME": "Wilma Flintstone"}


def test_names_that_are_the_same_when_joined_are_left_alone(named: Bedrock):
    single_name(named)
    contact = named.town.civicrm.add_contact("Mary Ann", "Slate", ["mary@example.org"])
    named.town.civicrm.add_to_group(contact, GROUP)
    named.add_member("mary@example.org", merge_fields={"NAME": "Mary Ann Slate"})
    assert named.sync() == 0


def test_names_of_a_family_sharing_an_address_are_nobodys(named: Bedrock):
    named.add_member("flintstones@example.org", first_name="Fred")
    wilma = named.add_contact("flintstones@example.org")
    named.add_contact("flintstones@example.org")
    named.sync_until_quiet()
    view = named.town.civicrm.contact(wilma)
    assert view is not None
    assert view.first_name == "Flintstones"
    assert first_name_at_mailchimp(named, "flintstones@example.org") == "Fred"


def test_the_joined_name_that_we_wrote_outvotes_nobody(named: Bedrock):
    single_name(named)
    wilma = named.add_contact("wilma@example.org")
    named.sync_until_quiet()
    named.pass_time(hours=1)
    named.town.civicrm.update_contact(wilma, first_name="Wilhelmina")
    named.pass_time(minutes=1)

    def staff_think_better_of_it(_operation: object) -> None:
        named.town.mailchimp.before_operation = None
        named.town.civicrm.update_contact(wilma, first_name="Willa")
        named.pass_time(minutes=2)

    named.town.mailchimp.before_operation = staff_think_better_of_it
    named.sync()
    named.sync_until_quiet()
    view = named.town.civicrm.contact(wilma)
    assert view is not None
    assert view.first_name == "Willa"
    member = named.town.mailchimp.member(LIST, "wilma@example.org")
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
    named: Bedrock, first: str, last: str, hours: int
):
    single_name(named)
    wilma = named.add_contact("wilma@example.org")
    named.sync_until_quiet()
    assert name_field(named) == "Wilma Flintstone"
    named.pass_time(hours=hours)
    named.town.civicrm.update_contact(wilma, first_name=first or None, last_name=last or None)
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert name_field(named) == "Wilma Flintstone"
    assert names_of(named, wilma) == ("Wilma", "Flintstone")
    assert_at_peace(named)


def test_a_single_name_of_three_words_is_not_cut_by_a_blank_in_civicrm_f5(named: Bedrock):
    """The brother: what the blank was cannot be told from the joined name alone."""
    single_name(named)
    mary = named.town.civicrm.add_contact("Mary Ann", "Slate", ["mary@example.org"])
    named.town.civicrm.add_to_group(mary, GROUP)
    named.sync_until_quiet()
    named.pass_time(hours=1)
    named.town.civicrm.update_contact(mary, first_name=None)
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert name_field(named, "mary@example.org") == "Mary Ann Slate"
    assert names_of(named, mary) == ("Mary Ann", "Slate")
    assert_at_peace(named)


def test_a_single_name_field_that_is_emptied_is_filled_again_f5(named: Bedrock):
    """The brother: the blank is at Mailchimp."""
    single_name(named)
    wilma = named.add_contact("wilma@example.org")
    named.sync_until_quiet()
    named.pass_time(hours=1)
    named.town.mailchimp.edit_profile(LIST, "wilma@example.org", merge_fields={"NAME": ""})
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert name_field(named) == "Wilma Flintstone"
    assert names_of(named, wilma) == ("Wilma", "Flintstone")
    assert_at_peace(named)


@pytest.mark.parametrize("field", ["first_name", "last_name"])
def test_two_name_fields_are_not_emptied_by_a_blank_in_civicrm_f5(named: Bedrock, field: str):
    """The brother: FNAME and LNAME."""
    wilma = named.add_contact("wilma@example.org")
    named.sync_until_quiet()
    named.pass_time(hours=1)
    named.town.civicrm.update_contact(wilma, **{field: None})
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert first_name_at_mailchimp(named, "wilma@example.org") == "Wilma"
    assert names_of(named, wilma) == ("Wilma", "Flintstone")
    assert_at_peace(named)


def test_three_name_fields_are_not_emptied_by_a_blank_in_civicrm_f5(named: Bedrock):
    """The brother: NAME beside FNAME and LNAME."""
    named.town.mailchimp.add_merge_field(LIST, "NAME", "Name")
    wilma = named.add_contact("wilma@example.org")
    named.sync_until_quiet()
    assert name_field(named) == "Wilma Flintstone"
    named.pass_time(hours=1)
    named.town.civicrm.update_contact(wilma, first_name=None)
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert name_field(named) == "Wilma Flintstone"
    assert first_name_at_mailchimp(named, "wilma@example.org") == "Wilma"
    assert_at_peace(named)


# --- what CiviCRM cuts ----------------------------------------------------------------------------

LONG = "Uvuvwevwevwe Onyetenyevwe Ugwemuhwem Osas Featherstonehaugh-Cholmondeley"
CUT = LONG[:61] + "..."


def fields_of(bedrock: Bedrock, email: str) -> object:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    return member["merge_fields"]


@pytest.mark.parametrize("hours", [1, 25], ids=["plain run", "daily compare"])
def test_a_name_that_civicrm_cuts_stays_whole_at_mailchimp_c2(named: Bedrock, hours: int):
    wilma = named.add_both("wilma@example.org")
    named.sync_until_quiet()
    named.pass_time(hours=1)
    named.town.mailchimp.edit_profile(LIST, "wilma@example.org", last_name=LONG)
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert names_of(named, wilma) == ("Wilma", CUT)
    named.pass_time(hours=hours)
    named.town.civicrm.update_contact(wilma, job_title="Reporter")
    named.pass_time(minutes=1)
    assert named.sync() == 0
    assert fields_of(named, "wilma@example.org") == {"FNAME": "Wilma", "LNAME": LONG}
    assert_at_peace(named)


@pytest.mark.parametrize("has_one_field", [False, True], ids=["two fields", "NAME"])
def test_a_new_contact_whose_name_is_cut_renames_nobody_c2(named: Bedrock, has_one_field: bool):
    if has_one_field:
        single_name(named)
        given = {"NAME": f"Wilma {LONG}"}
    else:
        given = {"FNAME": "Wilma", "LNAME": LONG}
    named.add_member("wilma@example.org", merge_fields=given)
    named.sync_until_quiet()
    [wilma] = named.town.civicrm.contacts_by_email("wilma@example.org")
    assert names_of(named, wilma.id) == ("Wilma", CUT)
    named.pass_time(hours=25)
    named.sync_until_quiet()
    assert fields_of(named, "wilma@example.org") == given
    assert_at_peace(named)


def test_a_name_that_is_given_in_civicrm_after_a_cut_one_goes_to_mailchimp_c2(named: Bedrock):
    named.add_member("wilma@example.org", merge_fields={"FNAME": "Wilma", "LNAME": LONG})
    named.sync_until_quiet()
    [wilma] = named.town.civicrm.contacts_by_email("wilma@example.org")
    named.pass_time(hours=1)
    named.town.civicrm.update_contact(wilma.id, last_name="Slate")
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert fields_of(named, "wilma@example.org") == {"FNAME": "Wilma", "LNAME": "Slate"}
    assert_at_peace(named)


def test_a_name_that_mailchimp_would_cut_is_left_out_and_told_c1(
    named: Bedrock, caplog: pytest.LogCaptureFixture
):
    single_name(named)
    long = named.town.civicrm.add_contact("ก" * 60, "ข" * 60, ["somchai@example.org"])
    named.town.civicrm.add_to_group(long, GROUP)
    named.sync_until_quiet()
    assert named.member_status("somchai@example.org") == "subscribed"
    assert fields_of(named, "somchai@example.org") == {"NAME": ""}
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [t.partition(";")[0] for t in told] == [
        "Main audience: names, NAME: 1 value is left out: longer than 255 bytes"
    ]
    named.pass_time(hours=1)
    named.town.civicrm.update_contact(long, last_name="ข")
    named.sync_until_quiet()
    assert fields_of(named, "somchai@example.org") == {"NAME": f"{'ก' * 60} ข"}


# --- organisations and households -----------------------------------------------------------------


def add_body(bedrock: Bedrock, kind: str, name: str, email: str) -> int:
    field = {"Organization": "organization_name", "Household": "household_name"}[kind]
    contact = bedrock.town.civicrm.add_contact(emails=[email], contact_type=kind, **{field: name})
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    return contact


@pytest.mark.parametrize("kind", ["Organization", "Household"])
@pytest.mark.parametrize("has_one_field", [False, True], ids=["two fields", "NAME"])
def test_the_display_name_goes_to_mailchimp_and_no_name_comes_back_c6(
    named: Bedrock, kind: str, has_one_field: bool
):
    if has_one_field:
        single_name(named)
    slate = add_body(named, kind, "Slate & Company", "office@example.org")
    named.sync_until_quiet()
    sent = {"NAME": "Slate & Company"} if has_one_field else {"FNAME": "Slate & Company"}
    assert sent.items() <= dict(fields_of(named, "office@example.org")).items()  # type: ignore[call-overload]
    named.pass_time(hours=1)
    edit = {"NAME": "George Slate"} if has_one_field else {"FNAME": "George", "LNAME": "Slate"}
    named.town.mailchimp.edit_profile(LIST, "office@example.org", merge_fields=edit)
    named.pass_time(minutes=1)
    named.sync_until_quiet()
    assert edit.items() <= dict(fields_of(named, "office@example.org")).items()  # type: ignore[call-overload]
    assert names_of(named, slate) == ("", "")
    assert_at_peace(named)


def test_an_organisation_without_a_name_sends_no_address_as_one_c6(named: Bedrock):
    add_body(named, "Organization", "", "office@example.org")
    named.sync_until_quiet()
    assert fields_of(named, "office@example.org") == {"FNAME": "", "LNAME": ""}
    assert_at_peace(named)


# --- other fields ---------------------------------------------------------------------------------

GERMAN = {"first": "VORNAME", "last": "NACHNAME"}


@pytest.fixture
def german(named: Bedrock) -> Bedrock:
    """An audience whose names are called otherwise, and whose FNAME is the name of a pet."""
    for tag in GERMAN.values():
        named.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    named.options["nameFields"] = GERMAN
    return named


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


def test_a_single_field_of_another_name_is_split_and_joined(named: Bedrock):
    named.town.mailchimp.add_merge_field(LIST, "FULLNAME", "Full name")
    named.options["nameFields"] = {"first": None, "last": None, "whole": "FULLNAME"}
    wilma = named.add_contact("wilma@example.org")
    named.sync_until_quiet()
    assert own_fields(named) == {"FNAME": "", "LNAME": "", "FULLNAME": "Wilma Flintstone"}
    edit(named, FULLNAME="Wilhelmina von Flint")
    named.sync_until_quiet()
    assert names_of(named, wilma) == ("Wilhelmina", "von Flint")
    assert_at_peace(named)


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


def test_when_the_fields_are_named_later_everybody_is_read_anew(named: Bedrock):
    for tag in GERMAN.values():
        named.town.mailchimp.add_merge_field(LIST, tag, tag.title())
    fields = {"VORNAME": "Wilma", "NACHNAME": "Flintstone", "FNAME": "Dino"}
    wilma = named.town.civicrm.add_contact(emails=["wilma@example.org"])
    named.town.civicrm.add_to_group(wilma, GROUP)
    named.with_data = False
    named.add_member("wilma@example.org", merge_fields=fields)
    named.sync_until_quiet()
    named.options["nameFields"] = GERMAN
    named.with_data = True
    named.sync_until_quiet()
    assert names_of(named, wilma) == ("Wilma", "Flintstone")


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
